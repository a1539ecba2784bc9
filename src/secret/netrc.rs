//! `.netrc`: logins by host (GNU inetutils' format as s-nail reads it).
//!
//! Promise: an entry is used only when it is the only one that can be meant; the `default` entry
//! never, for it would send one server's password to any other. A file that others may read is
//! refused.
use std::path::{Path, PathBuf};
use std::str::Chars;

use zeroize::Zeroizing;

use super::file::read_private;
use super::{Secret, SecretError, command};

/// The largest file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A login and its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who logs in.
    pub login: String,
    /// The password.
    pub password: Secret,
}

/// Where a netrc is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A private file.
    File(PathBuf),
    /// What a program prints: its argument vector.
    Command(Vec<String>),
}

/// What is looked up in a netrc, when somebody logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The netrc.
    pub place: Place,
    /// The host, without port.
    pub host: String,
    /// The user, where the settings name one.
    pub user: Option<String>,
}

impl Lookup {
    /// Reads the netrc and gives the entry that is meant; `None` when there is none.
    ///
    /// # Errors
    /// As [`read`] and [`run`]; an empty password is one too.
    pub fn entry(&self) -> Result<Option<Entry>, SecretError> {
        let text = match &self.place {
            Place::File(path) => read(path)?,
            Place::Command(words) => run(words)?,
        };
        let entry = lookup(&text, &self.host, self.user.as_deref());
        if entry
            .as_ref()
            .is_some_and(|entry| entry.password.reveal().is_empty())
        {
            return Err(SecretError::permanent(format!(
                "the netrc has an empty password for {}",
                self.host
            )));
        }
        Ok(entry)
    }
}

/// Reads the file, of at most 1 MiB.
///
/// # Errors
/// A permanent [`SecretError`]: it cannot be read, is not a regular file of this user (or root),
/// may be read by others, or is not UTF-8.
fn read(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    decoded(&read_private(path, MAX_BYTES)?, || {
        format!("`{}`", path.display())
    })
}

/// Reads what a program prints in the place of the file (`netrc-pipe`), at most 64 KiB in 30 s.
///
/// # Errors
/// [`SecretError`], temporary when the program failed.
fn run(words: &[String]) -> Result<Zeroizing<String>, SecretError> {
    decoded(&command::text(words)?, || {
        "the netrc of a program".to_owned()
    })
}

fn decoded(bytes: &[u8], whose: impl Fn() -> String) -> Result<Zeroizing<String>, SecretError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| SecretError::permanent(format!("{} is not UTF-8", whose())))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Finds the entry for a host (without port, in any case) and, if given, a user.
///
/// An entry for the host itself hides those with a wildcard (`*.example.org`: one label). With a
/// user, an entry without a login serves too when none names that user. Without a user, only a
/// single entry counts.
pub(crate) fn lookup(text: &str, host: &str, user: Option<&str>) -> Option<Entry> {
    let machines = machines(text);
    [Match::Exact, Match::Wildcard].into_iter().find_map(|how| {
        let candidates: Vec<&Machine> = machines
            .iter()
            .filter(|machine| machine.matches(host) == Some(how))
            .collect();
        chosen(&candidates, user)
    })
}

fn chosen(candidates: &[&Machine], user: Option<&str>) -> Option<Entry> {
    let Some(user) = user else {
        let (first, rest) = candidates.split_first()?;
        return if rest.iter().all(|other| other == first) {
            first.entry(None)
        } else {
            None
        };
    };
    let own = candidates
        .iter()
        .find(|machine| machine.login.as_deref() == Some(user));
    let any = || candidates.iter().find(|machine| machine.login.is_none());
    own.or_else(any)?.entry(Some(user))
}

/// How a name in the file stands for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Exact,
    Wildcard,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Machine {
    /// `None` is the `default` entry.
    host: Option<String>,
    login: Option<String>,
    password: Option<Secret>,
}

impl Machine {
    fn matches(&self, host: &str) -> Option<Match> {
        let name = self.host.as_deref()?;
        if name.eq_ignore_ascii_case(host) {
            return Some(Match::Exact);
        }
        let parent = name.strip_prefix("*.")?;
        let (label, rest) = host.split_once('.')?;
        (!label.is_empty() && rest.eq_ignore_ascii_case(parent)).then_some(Match::Wildcard)
    }

    fn entry(&self, user: Option<&str>) -> Option<Entry> {
        let login = user.or(self.login.as_deref())?;
        Some(Entry {
            login: login.to_owned(),
            password: self.password.clone()?,
        })
    }
}

fn machines(text: &str) -> Vec<Machine> {
    let mut tokens = Tokens {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text).chars(),
    };
    let mut machines: Vec<Machine> = Vec::new();
    while let Some(keyword) = tokens.next() {
        if keyword.starts_with('#') {
            tokens.skip_line();
            continue;
        }
        match keyword.as_str() {
            "machine" => machines.push(Machine {
                host: tokens.next(),
                ..Machine::default()
            }),
            "default" => machines.push(Machine::default()),
            "macdef" => tokens.skip_macro(),
            "login" | "user" | "password" | "passwd" | "account" => {
                let value = tokens.next();
                let Some(machine) = machines.last_mut() else {
                    continue;
                };
                match keyword.as_str() {
                    "login" | "user" => machine.login = value,
                    "password" | "passwd" => machine.password = value.map(Secret::new),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    machines
}

/// The words of the file: separated by white space, with `"…"` and backslashes taken off.
struct Tokens<'t> {
    rest: Chars<'t>,
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<String> {
        self.rest = self.rest.as_str().trim_start_matches(is_space).chars();
        let mut token = String::new();
        let mut begun = false;
        let mut quoted = false;
        loop {
            let before = self.rest.clone();
            let Some(c) = self.rest.next() else { break };
            match c {
                '"' => quoted = !quoted,
                '\\' => token.extend(self.rest.next()),
                _ if is_space(c) && !quoted => {
                    // Left in place: a comment or a macro ends with its line.
                    self.rest = before;
                    break;
                }
                _ => token.push(c),
            }
            begun = true;
        }
        begun.then_some(token)
    }

    fn skip_line(&mut self) {
        self.rest.by_ref().find(|c| *c == '\n');
    }

    /// A macro goes to the first empty line.
    fn skip_macro(&mut self) {
        let mut start = true;
        self.skip_line();
        for c in self.rest.by_ref() {
            match c {
                '\n' if start => return,
                '\n' => start = true,
                '\r' => {}
                _ => start = false,
            }
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str, user: Option<&str>) -> Option<String> {
        lookup(text, host, user).map(|entry| format!("{}/{}", entry.login, entry.password.reveal()))
    }

    #[test]
    fn a_single_entry_serves_with_and_without_a_user() {
        let text = "machine 127.0.0.1 login nu password np\n";
        assert_eq!(found(text, "127.0.0.1", None), Some("nu/np".to_owned()));
        assert_eq!(
            found(text, "127.0.0.1", Some("nu")),
            Some("nu/np".to_owned())
        );
        assert_eq!(found(text, "127.0.0.1", Some("other")), None);
        assert_eq!(found(text, "127.0.0.2", None), None);
        assert_eq!(
            found("machine Mail.X\nlogin u\npassword p", "mail.x", None),
            Some("u/p".to_owned())
        );
    }

    #[test]
    fn two_entries_for_a_host_need_a_user() {
        let text = "machine h login a password 1\nmachine h login b password 2\n";
        assert_eq!(found(text, "h", None), None);
        assert_eq!(found(text, "h", Some("b")), Some("b/2".to_owned()));
        assert_eq!(
            found(
                "machine h login a password 1 machine h login a password 1",
                "h",
                None
            ),
            Some("a/1".to_owned())
        );
    }

    #[test]
    fn an_entry_without_a_login_serves_a_user_who_has_none_of_his_own() {
        let text = "machine h password any\nmachine h login a password own\n";
        assert_eq!(found(text, "h", Some("a")), Some("a/own".to_owned()));
        assert_eq!(found(text, "h", Some("b")), Some("b/any".to_owned()));
        assert_eq!(found("machine h password any", "h", None), None);
        assert_eq!(found("machine h login a", "h", Some("a")), None);
    }

    #[test]
    fn a_wildcard_stands_for_one_label_and_yields_to_the_host_itself() {
        let text = "machine *.x.org login w password 1\nmachine mail.x.org login m password 2\n";
        assert_eq!(found(text, "mail.x.org", None), Some("m/2".to_owned()));
        assert_eq!(found(text, "smtp.X.org", None), Some("w/1".to_owned()));
        assert_eq!(found(text, "x.org", None), None);
        assert_eq!(found(text, "a.b.x.org", None), None);
    }

    #[test]
    fn the_default_entry_is_not_used() {
        let text = "machine h login a password 1\ndefault login anonymous password x\n";
        assert_eq!(found(text, "other", None), None);
        assert_eq!(found(text, "h", None), Some("a/1".to_owned()));
    }

    #[test]
    fn quoted_and_escaped_words_are_taken_as_meant() {
        let text = "machine h login \"a b\" password \"p\\\"q \\\\ #\"\nmachine i login u password a\\ b\\\\c\nmachine j login u password #x";
        assert_eq!(found(text, "h", None), Some("a b/p\"q \\ #".to_owned()));
        assert_eq!(found(text, "i", None), Some("u/a b\\c".to_owned()));
        assert_eq!(found(text, "j", None), Some("u/#x".to_owned()));
        assert_eq!(
            found("machine h login machine password \"\"", "h", None),
            Some("machine/".to_owned())
        );
    }

    #[test]
    fn macros_comments_and_unknown_words_are_passed_over() {
        let text = "# machine h login no password no\nmachine h login u\nmacdef init\nmachine h login no password no\ncd /\n\n\
                    account x frobnicate password p\r\n#\nmachine i login v password q";
        assert_eq!(found(text, "h", None), Some("u/p".to_owned()));
        assert_eq!(found(text, "i", None), Some("v/q".to_owned()));
    }

    #[test]
    fn only_a_private_file_is_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "machine h login u password p\n").unwrap();
        assert_eq!(
            *read(file.path()).unwrap(),
            "machine h login u password p\n"
        );
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        let name = file.path().display();
        let why = format!("`{name}` is accessible to others (mode 640); run `chmod 600 {name}`");
        assert_eq!(
            read(file.path()).unwrap_err(),
            SecretError {
                why,
                temporary: false
            }
        );
    }

    #[test]
    fn a_program_may_print_it() {
        let words = ["printf", "machine h\\nlogin u\\npassword p\\n"].map(str::to_owned);
        assert_eq!(*run(&words).unwrap(), "machine h\nlogin u\npassword p\n");
    }

    #[test]
    fn a_megabyte_of_quotes_is_read_in_linear_time() {
        use crate::pace::{assert_linear, repeated};
        for pattern in [
            "\"",
            "\\",
            "machine ",
            "macdef x\n",
            "# ",
            "machine h login u password p\n",
        ] {
            assert_linear(
                pattern,
                |size| repeated(pattern, size),
                |text| drop(lookup(&text, "h", None)),
            );
        }
    }
}
