//! Where a password is stored, and how it gets there: one row a place.
//!
//! Promise: a program gets the secret by standard input; its arguments name host and user only.
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::account::{Setting, Value};
use super::messages::{self, Messages};
use super::{Place, SetupError};
use crate::language::Sentence;
use crate::secret::{self, Secret};

/// A place for a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretStore {
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
    store: SecretStore,
    name: &'static str,
    add: &'static [&'static str],
    lookup: &'static [&'static str],
    clear: &'static [&'static str],
    input: fn(&StoredSecret) -> String,
}

#[rustfmt::skip]
const PROGRAMS: &[Program] = &[
    // The attributes are msmtp's, whose users have the secret there already.
    Program {
        store: SecretStore::SecretTool, name: "secret-tool",
        add: &["store", "--label=smail: USER at HOST", "host", "HOST", "service", "smtp", "user", "USER"],
        lookup: &["lookup", "host", "HOST", "service", "smtp", "user", "USER"],
        clear: &["clear", "host", "HOST", "service", "smtp", "user", "USER"],
        input: |stored| stored.secret.reveal().to_owned(),
    },
    // Only its own command line, read from standard input, keeps the secret out of the arguments.
    Program {
        store: SecretStore::Keychain, name: "security",
        add: &["-i"],
        lookup: &["find-internet-password", "-s", "HOST", "-a", "USER", "-r", "smtp", "-w"],
        clear: &["delete-internet-password", "-s", "HOST", "-a", "USER", "-r", "smtp"],
        input: |stored| {
            let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            let (host, user, secret) = (quoted(&stored.host), quoted(&stored.user), quoted(stored.secret.reveal()));
            format!("add-internet-password -U -s {host} -a {user} -r smtp -w {secret}\n")
        },
    },
    Program {
        store: SecretStore::Pass, name: "pass",
        add: &["insert", "--multiline", "--force", "smail/HOST/USER"],
        lookup: &["show", "smail/HOST/USER"],
        clear: &["rm", "--force", "smail/HOST/USER"],
        input: |stored| format!("{}\n", stored.secret.reveal()),
    },
];

impl SecretStore {
    /// The places there are: files first, then the programs that exist.
    pub(crate) fn available(programs: &OsStr) -> Vec<SecretStore> {
        let there = PROGRAMS.iter().filter(|program| {
            // On other systems programs of that name do something else.
            (program.store != SecretStore::Keychain || cfg!(target_os = "macos"))
                && is_there(program.name, programs)
        });
        let mut all = vec![SecretStore::File];
        all.extend(there.map(|program| program.store));
        all.extend([SecretStore::Config, SecretStore::Environment]);
        all
    }

    fn row(self) -> (Sentence, Option<&'static Program>) {
        let text = match self {
            SecretStore::File => messages::KEEP_FILE,
            SecretStore::SecretTool => messages::KEEP_SECRET_TOOL,
            SecretStore::Keychain => messages::KEEP_KEYCHAIN,
            SecretStore::Pass => messages::KEEP_PASS,
            SecretStore::Config => messages::KEEP_CONFIG,
            SecretStore::Environment => messages::KEEP_ENVIRONMENT,
        };
        (text, PROGRAMS.iter().find(|program| program.store == self))
    }
}

fn is_there(name: &str, programs: &OsStr) -> bool {
    let runs = |path: PathBuf| {
        path.metadata()
            .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(programs)
        .filter(|dir| dir.is_absolute())
        .any(|dir| runs(dir.join(name)))
}

/// A password and where it is to be stored.
#[derive(Debug, Clone)]
pub(super) struct StoredSecret {
    /// Where.
    pub store: SecretStore,
    /// The password.
    pub secret: Secret,
    /// The server it is for.
    pub host: String,
    /// The user it is for.
    pub user: String,
    /// The file, if it is kept in one.
    pub file: PathBuf,
}

impl StoredSecret {
    /// The place in words.
    pub(super) fn shown(&self, messages: Messages, place: &Place) -> String {
        let fact = match self.store {
            SecretStore::Pass => self.filled("smail/HOST/USER"),
            SecretStore::Config => place.shown(&place.config),
            _ => place.shown(&self.file),
        };
        messages.of(self.store.row().0, &[&fact])
    }

    /// The setting that leads to it; `suffix` is mail.rc's.
    pub(super) fn said(&self, place: &Place, suffix: &str) -> Option<Setting> {
        let (name, value) = match (self.store, self.store.row().1) {
            (SecretStore::File, _) => ("auth-password-file", Value::Text(place.shown(&self.file))),
            (SecretStore::Config, _) => ("auth-password", Value::Secret(self.secret.clone())),
            (_, Some(program)) => {
                let argv = self.argv(program, program.lookup);
                let line = shlex::try_join(argv.iter().map(String::as_str)).ok()?;
                ("auth-password-command", Value::Text(line))
            }
            _ => return None,
        };
        Some(Setting {
            name: format!("{name}{suffix}"),
            value,
        })
    }

    /// Stores it, and tells how to take it back.
    pub(super) fn store(&self, undo: &mut super::undo::Undo) -> Result<(), SetupError> {
        match self.store.row().1 {
            Some(program) => {
                let input = Zeroizing::new((program.input)(self));
                secret::store(&self.argv(program, program.add), &input)
                    .map_err(SetupError::Store)?;
                undo.command(self.argv(program, program.clear));
                Ok(())
            }
            None if self.store == SecretStore::File => {
                undo.private_file(&self.file, self.secret.reveal())
            }
            None => Ok(()),
        }
    }

    fn argv(&self, program: &Program, arguments: &[&str]) -> Vec<String> {
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
pub(super) fn free_file(config: &Path, name: &str) -> PathBuf {
    let dir = config.parent().unwrap_or(Path::new(""));
    let names = std::iter::once(format!("password-{name}"))
        .chain((2..1000).map(|n| format!("password-{name}-{n}")));
    let free = names
        .map(|name| dir.join(name))
        .find(|path| path.symlink_metadata().is_err());
    free.unwrap_or_else(|| dir.join(format!("password-{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(store: SecretStore) -> StoredSecret {
        let secret = Secret::new("pa\"ss\\");
        StoredSecret {
            store,
            secret,
            host: "h.x".into(),
            user: "me@HOST".into(),
            file: PathBuf::from("/h/password"),
        }
    }

    #[test]
    fn no_argument_holds_the_secret_and_every_place_is_filled() {
        for program in PROGRAMS {
            let stored = stored(program.store);
            for arguments in [program.add, program.lookup, program.clear] {
                let line = stored.argv(program, arguments).join(" ");
                assert!(!line.contains("pa\"ss"), "{line}");
                assert!(
                    arguments == ["-i"] || (line.contains("h.x") && line.contains("me@")),
                    "{line}"
                );
            }
            assert!((program.input)(&stored).contains("pa"));
        }
    }

    #[test]
    fn the_keychain_reads_a_command_with_quotes() {
        let text = (PROGRAMS[1].input)(&stored(SecretStore::Keychain));
        assert_eq!(
            text,
            "add-internet-password -U -s \"h.x\" -a \"me@HOST\" -r smtp -w \"pa\\\"ss\\\\\"\n"
        );
    }

    #[test]
    fn only_programs_that_can_be_run_are_offered() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pass"), "").unwrap();
        std::os::unix::fs::symlink("/bin/true", dir.path().join("secret-tool")).unwrap();
        let found = SecretStore::available(dir.path().as_os_str());
        assert_eq!(
            found,
            [
                SecretStore::File,
                SecretStore::SecretTool,
                SecretStore::Config,
                SecretStore::Environment
            ]
        );
    }
}
