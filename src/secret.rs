//! Where secrets come from; they are never printed, and forgotten when dropped (best effort).
//!
//! Promise: no `Debug`, error or log of smail shows a secret. No shell runs: a command is an
//! argument vector.
mod command;
mod file;
mod keyring;
pub(crate) mod netrc;
mod prompt;

use std::fmt;
use std::path::PathBuf;
use std::sync::Once;

pub(crate) use command::store;
pub(crate) use prompt::Terminal;
use zeroize::Zeroizing;

/// Keeps this process out of core dumps and from the eyes of other processes of its user (`ptrace`,
/// `/proc`), from the first secret on. Best effort: what the system refuses is done without.
pub(crate) fn shield() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(
            Resource::Core,
            Rlimit {
                current: Some(0),
                maximum: Some(0),
            },
        );
        // A handler that core dumps are piped to (systemd-coredump, apport) is not held back by the
        // limit.
        #[cfg(target_os = "linux")]
        let _ =
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    });
}

/// A secret in memory: wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text in.
    pub fn new(text: impl Into<String>) -> Self {
        shield();
        Secret(Zeroizing::new(text.into()))
    }

    /// The text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Written in a setting, the environment or a URL.
    Inline(Secret),
    /// The first line of a private file.
    File(PathBuf),
    /// What a program prints: its argument vector. Standard input is closed and its time limited.
    Command(Vec<String>),
    /// The entry of a netrc, which may name the user too.
    Netrc(netrc::Lookup),
    /// The keyring of the desktop, for this user at this server.
    Keyring {
        /// Who logs in.
        user: String,
        /// Where.
        host: String,
    },
    /// Asked on the terminal, for this user at this server.
    Prompt {
        /// Who logs in.
        user: String,
        /// Where.
        host: String,
    },
}

/// Why a secret could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct SecretError {
    /// A lowercase fragment; names files and programs, never a secret.
    pub why: String,
    /// Trying again later can help (a locked keyring).
    pub temporary: bool,
}

impl SecretError {
    fn permanent(why: impl Into<String>) -> Self {
        SecretError {
            why: why.into(),
            temporary: false,
        }
    }

    fn temporary(why: impl Into<String>) -> Self {
        SecretError {
            why: why.into(),
            temporary: true,
        }
    }
}

impl SecretSource {
    /// Fetches the secret. May ask a program or a person, and takes 30 s at most unless it asks a
    /// person.
    ///
    /// # Errors
    /// [`SecretError`]: temporary only when a program failed. An empty secret is an error from
    /// every source but a setting.
    pub fn fetch(&self) -> Result<Secret, SecretError> {
        match self {
            SecretSource::Inline(secret) => Ok(secret.clone()),
            SecretSource::File(path) => file::first_line(path),
            SecretSource::Command(words) => command::output(words),
            SecretSource::Netrc(lookup) => match lookup.entry()? {
                Some(entry) => Ok(entry.password),
                None => Err(SecretError::permanent(format!(
                    "the netrc has no entry for {}",
                    lookup.host
                ))),
            },
            SecretSource::Keyring { user, host } => keyring::password(user, host),
            SecretSource::Prompt { user, host } => prompt::ask(user, host),
        }
    }

    /// Fetches the secret and who logs in with it: `user`, or whom a netrc names where that is
    /// empty. `None` when the netrc names nobody either: then nobody logs in.
    ///
    /// # Errors
    /// As [`SecretSource::fetch`].
    pub fn fetch_login(&self, user: &str) -> Result<Option<(String, Secret)>, SecretError> {
        let SecretSource::Netrc(lookup) = self else {
            return Ok(Some((user.to_owned(), self.fetch()?)));
        };
        match lookup.entry()? {
            Some(entry) => Ok(Some((entry.login, entry.password))),
            None if user.is_empty() => Ok(None),
            None => Ok(Some((user.to_owned(), prompt::ask(user, &lookup.host)?))),
        }
    }

    /// Fetches the secret anew after the server has refused it; `None` where nothing else could come
    /// of it.
    ///
    /// # Errors
    /// As [`SecretSource::fetch`].
    pub(crate) fn fetch_again(&self) -> Result<Option<Secret>, SecretError> {
        match self {
            SecretSource::Command(words) => command::output_again(words).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns whether it is known only from the source who logs in, and whether anybody does.
    pub fn names_user(&self) -> bool {
        matches!(self, SecretSource::Netrc(netrc::Lookup { user: None, .. }))
    }

    /// Splits the text of a command setting into its argument vector, quoted as for a shell.
    /// Nothing is expanded.
    ///
    /// # Errors
    /// A permanent [`SecretError`]: no program named, a quote without its end, or a line break
    /// within.
    pub fn parse_command(text: &str) -> Result<Vec<String>, SecretError> {
        let bad = |why: &str| SecretError::permanent(format!("it {why}"));
        if text.contains(['\n', '\r', '\0']) {
            return Err(bad("contains a line break or a NUL character"));
        }
        // shlex drops what follows `#` in silence, and then another command would run; a last word
        // of ours tells.
        let end = "\u{1}";
        let mut words =
            shlex::split(&format!("{text} {end}")).ok_or_else(|| bad("has an unclosed quote"))?;
        if words.pop().as_deref() != Some(end) {
            return Err(bad("ends with a backslash or has an unquoted `#`"));
        }
        if words.first().is_none_or(String::is_empty) {
            return Err(bad("names no program"));
        }
        Ok(words)
    }
}

/// Reads a private file of at most 64 KiB whole.
///
/// # Errors
/// A permanent [`SecretError`]: it cannot be read, or others can read it.
pub(crate) fn private_file(path: &std::path::Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    file::read_private(path, 64 << 10)
}

/// Reads the first line of standard input as a secret, of at most 64 KiB.
///
/// # Errors
/// A permanent [`SecretError`]: nothing there, or nothing that can be a password.
pub(crate) fn from_stdin() -> Result<Secret, SecretError> {
    use std::io::{BufRead as _, Read as _};
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    let read = std::io::stdin()
        .lock()
        .take(64 << 10)
        .read_until(b'\n', &mut line);
    read.map_err(|error| SecretError::permanent(format!("cannot read standard input: {error}")))?;
    single_line(&line, "standard input")
}

/// Takes a single line out of bytes from outside: without its line end, not empty, valid UTF-8.
fn single_line(bytes: &[u8], whose: &str) -> Result<Secret, SecretError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let bad = |why: &str| Err(SecretError::permanent(format!("{whose} {why}")));
    match std::str::from_utf8(bytes) {
        Err(_) => bad("provided a password that is not UTF-8"),
        Ok(text) if text.trim().is_empty() => bad("provided an empty password"),
        Ok(text) if text.contains('\0') => bad("provided a password with a NUL character"),
        Ok(text) => Ok(Secret::new(text)),
    }
}

#[cfg(test)]
mod tests;
