//! Where a password is kept, and how it gets there: one row a place.
//!
//! Promise: a program gets the secret by standard input; its arguments name host and user only.
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::account::{Said, Value};
use super::words::{self, Text, Words};
use super::{Place, SetupError};
use crate::secret::{self, Secret};

/// A place for a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// A private file beside the settings.
    File,
    /// The Secret Service, by `secret-tool`.
    SecretTool,
    /// The keychain of macOS, by `security`.
    Keychain,
    /// The password store, by `pass`.
    Pass,
    /// The settings themselves.
    Config,
    /// Nowhere; the environment has it.
    Environment,
}

/// A program that keeps secrets; `HOST` and `USER` in its arguments are replaced, and `secret`
/// makes its standard input.
struct Program {
    keeping: Keeping,
    name: &'static str,
    store: &'static [&'static str],
    lookup: &'static [&'static str],
    clear: &'static [&'static str],
    input: fn(&Kept) -> String,
}

#[rustfmt::skip]
const PROGRAMS: &[Program] = &[
    // The attributes are msmtp's, whose users have the secret there already.
    Program {
        keeping: Keeping::SecretTool, name: "secret-tool",
        store: &["store", "--label=smail: USER at HOST", "host", "HOST", "service", "smtp", "user", "USER"],
        lookup: &["lookup", "host", "HOST", "service", "smtp", "user", "USER"],
        clear: &["clear", "host", "HOST", "service", "smtp", "user", "USER"],
        input: |kept| kept.secret.reveal().to_owned(),
    },
    // Only its own command line, read from standard input, keeps the secret out of the arguments.
    Program {
        keeping: Keeping::Keychain, name: "security",
        store: &["-i"],
        lookup: &["find-internet-password", "-s", "HOST", "-a", "USER", "-r", "smtp", "-w"],
        clear: &["delete-internet-password", "-s", "HOST", "-a", "USER", "-r", "smtp"],
        input: |kept| {
            let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            let (host, user, secret) = (quoted(&kept.host), quoted(&kept.user), quoted(kept.secret.reveal()));
            format!("add-internet-password -U -s {host} -a {user} -r smtp -w {secret}\n")
        },
    },
    Program {
        keeping: Keeping::Pass, name: "pass",
        store: &["insert", "--multiline", "--force", "smail/HOST/USER"],
        lookup: &["show", "smail/HOST/USER"],
        clear: &["rm", "--force", "smail/HOST/USER"],
        input: |kept| format!("{}\n", kept.secret.reveal()),
    },
];

impl Keeping {
    /// The places there are: files first, then the programs that exist.
    pub fn available(programs: &OsStr) -> Vec<Keeping> {
        let there = PROGRAMS.iter().filter(|program| {
            // On other systems programs of that name do something else.
            (program.keeping != Keeping::Keychain || cfg!(target_os = "macos"))
                && is_there(program.name, programs)
        });
        let mut all = vec![Keeping::File];
        all.extend(there.map(|program| program.keeping));
        all.extend([Keeping::Config, Keeping::Environment]);
        all
    }

    fn row(self) -> (Text, Option<&'static Program>) {
        let text = match self {
            Keeping::File => words::KEEP_FILE,
            Keeping::SecretTool => words::KEEP_SECRET_TOOL,
            Keeping::Keychain => words::KEEP_KEYCHAIN,
            Keeping::Pass => words::KEEP_PASS,
            Keeping::Config => words::KEEP_CONFIG,
            Keeping::Environment => words::KEEP_ENVIRONMENT,
        };
        (
            text,
            PROGRAMS.iter().find(|program| program.keeping == self),
        )
    }
}

fn is_there(name: &str, programs: &OsStr) -> bool {
    let runs = |path: PathBuf| {
        path.metadata()
            .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(programs)
        .filter(|folder| folder.is_absolute())
        .any(|folder| runs(folder.join(name)))
}

/// A password and where it is to be kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Where.
    pub keeping: Keeping,
    /// The password.
    pub secret: Secret,
    /// The server it is for.
    pub host: String,
    /// The user it is for.
    pub user: String,
    /// The file, if it is kept in one.
    pub file: PathBuf,
}

impl Kept {
    /// The place in words.
    pub fn shown(&self, words: Words, place: &Place) -> String {
        let fact = match self.keeping {
            Keeping::Pass => self.filled("smail/HOST/USER"),
            Keeping::Config => place.shown(&place.config),
            _ => place.shown(&self.file),
        };
        words.of(self.keeping.row().0, &[&fact])
    }

    /// The setting that leads to it; `suffix` is mail.rc's.
    pub fn said(&self, place: &Place, suffix: &str) -> Option<Said> {
        let (name, value) = match (self.keeping, self.keeping.row().1) {
            (Keeping::File, _) => ("auth-password-file", Value::Text(place.shown(&self.file))),
            (Keeping::Config, _) => ("auth-password", Value::Secret(self.secret.clone())),
            (_, Some(program)) => {
                let words = self.words(program, program.lookup);
                let line = shlex::try_join(words.iter().map(String::as_str)).ok()?;
                ("auth-password-command", Value::Text(line))
            }
            _ => return None,
        };
        Some(Said {
            name: format!("{name}{suffix}"),
            value,
        })
    }

    /// Stores it, and tells how to take it back.
    pub fn store(&self, undo: &mut super::write::Undo) -> Result<(), SetupError> {
        match self.keeping.row().1 {
            Some(program) => {
                let input = Zeroizing::new((program.input)(self));
                secret::store(&self.words(program, program.store), &input)
                    .map_err(SetupError::Store)?;
                undo.command(self.words(program, program.clear));
                Ok(())
            }
            None if self.keeping == Keeping::File => {
                undo.private_file(&self.file, self.secret.reveal())
            }
            None => Ok(()),
        }
    }

    fn words(&self, program: &Program, arguments: &[&str]) -> Vec<String> {
        std::iter::once(program.name.to_owned())
            .chain(arguments.iter().map(|word| self.filled(word)))
            .collect()
    }

    fn filled(&self, word: &str) -> String {
        // Cut first, so that a user name cannot hold the place of the host.
        word.split("HOST")
            .map(|part| part.replace("USER", &self.user))
            .collect::<Vec<_>>()
            .join(&self.host)
    }
}

/// A name for a file beside the settings that nothing has yet.
pub fn free_file(config: &Path, name: &str) -> PathBuf {
    let folder = config.parent().unwrap_or(Path::new(""));
    let names = std::iter::once(format!("password-{name}"))
        .chain((2..1000).map(|n| format!("password-{name}-{n}")));
    let free = names
        .map(|name| folder.join(name))
        .find(|path| path.symlink_metadata().is_err());
    free.unwrap_or_else(|| folder.join(format!("password-{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(keeping: Keeping) -> Kept {
        let secret = Secret::new("pa\"ss\\");
        Kept {
            keeping,
            secret,
            host: "h.x".into(),
            user: "me@HOST".into(),
            file: PathBuf::from("/h/password"),
        }
    }

    #[test]
    fn no_argument_holds_the_secret_and_every_place_is_filled() {
        for program in PROGRAMS {
            let kept = kept(program.keeping);
            for arguments in [program.store, program.lookup, program.clear] {
                let line = kept.words(program, arguments).join(" ");
                assert!(!line.contains("pa\"ss"), "{line}");
                assert!(
                    arguments == ["-i"] || (line.contains("h.x") && line.contains("me@")),
                    "{line}"
                );
            }
            assert!((program.input)(&kept).contains("pa"));
        }
    }

    #[test]
    fn the_keychain_reads_a_command_with_quotes() {
        let text = (PROGRAMS[1].input)(&kept(Keeping::Keychain));
        assert_eq!(
            text,
            "add-internet-password -U -s \"h.x\" -a \"me@HOST\" -r smtp -w \"pa\\\"ss\\\\\"\n"
        );
    }

    #[test]
    fn only_programs_that_can_be_run_are_offered() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pass"), "").unwrap();
        std::os::unix::fs::symlink("/bin/true", folder.path().join("secret-tool")).unwrap();
        let found = Keeping::available(folder.path().as_os_str());
        assert_eq!(
            found,
            [
                Keeping::File,
                Keeping::SecretTool,
                Keeping::Config,
                Keeping::Environment
            ]
        );
    }
}
