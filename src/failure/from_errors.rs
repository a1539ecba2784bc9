//! The words for errors that rooms return before anything travels.
use super::{Exit, Failure};
use crate::address::AddressError;
use crate::aliases::LocalError;
use crate::cli;
use crate::draft::{BadLine, DraftError};
use crate::inject::InjectError;
use crate::message::MessageError;
use crate::mime::MimeError;
use crate::queue::{DirError, QueueError};
use crate::settings::{Origin, SettingsError};
use crate::setup::{Aborted, SetupError};

impl From<cli::Error> for Failure {
    fn from(stop: cli::Error) -> Self {
        match stop {
            cli::Error::Print(text) => Failure::new(Exit::OK, text),
            cli::Error::Daemon(mode) => Failure::new(
                Exit::REFUSED,
                format!("`{mode}` starts a daemon, which smail does not have"),
            )
            .hint("run `sendmail -q` from cron or a timer to send queued messages"),
            cli::Error::Usage { what, hint } => {
                let failure = Failure::new(Exit::USAGE, what);
                failure.hint(hint.unwrap_or_else(|| {
                    "run `smail --help` for the \
                    options"
                        .to_owned()
                }))
            }
        }
    }
}

fn address(exit: Exit, prefix: &str, error: &AddressError) -> Failure {
    Failure::new(exit, format!("{prefix}{error}")).fact(error.pointer())
}

/// Adds where it was said; what a dialogue found out has no such place.
fn said(failure: Failure, origin: &Origin) -> Failure {
    if matches!(origin, Origin::Flag(flag) if flag.is_empty()) {
        return failure;
    }
    failure.fact(format!("set in {origin}"))
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let what = error.to_string();
        match error {
            SettingsError::Unknown { origin, near, .. } => {
                let exit = if matches!(origin, Origin::Flag(_)) { Exit::USAGE } else { Exit::CONFIG };
                let failure = said(Failure::new(exit, what), &origin);
                failure.hint(near.map_or_else(
                    || "run `smail --show-settings` to list all settings".to_owned(),
                    |n| format!("did you mean `{n}`?"),
                ))
            }
            SettingsError::Value { origin, .. } => match origin {
                Some(origin) => said(Failure::new(Exit::CONFIG, what), &origin),
                None => Failure::new(Exit::CONFIG, what),
            },
            SettingsError::Syntax { .. } => Failure::new(Exit::CONFIG, what),
            SettingsError::File { cure, .. } => match cure {
                Some(cure) => Failure::new(Exit::CONFIG, what).hint(cure),
                None => Failure::new(Exit::CONFIG, what),
            },
            SettingsError::Withheld { server, suffix, .. } => withheld(what, &server, &suffix),
            SettingsError::NotKept { .. } => Failure::new(Exit::PERMISSION, what).hint(
                "run `smail --flush ID` with the settings, or in the environment, of the original send",
            ),
            SettingsError::NoAccount(_, known) => no_account(what, &known),
            SettingsError::NoDefaultAccount { origin, .. } => said(Failure::new(Exit::CONFIG, what), &origin),
            SettingsError::NoRoute => no_route(what),
            SettingsError::Circle => {
                Failure::new(Exit::CONFIG, what).hint("set smtp to the server that accepts mail from this host")
            }
            SettingsError::Address { name, origin, error } => {
                let failure = address(Exit::CONFIG, &format!("{name}: "), &error);
                origin.iter().fold(failure, said)
            }
        }
    }
}

/// A secret that belongs to another server or user: the ways to have one for this.
fn withheld(what: String, server: &str, suffix: &str) -> Failure {
    Failure::new(Exit::PERMISSION, what)
        .hint("define an account with its own server, user and password: [accounts.NAME] in config.toml, selected with -A NAME")
        .hint(format!(
            "or set a separate password: \"auth-password-{suffix}\" in config.toml, or $SMAIL_AUTH_PASSWORD with -S smtp and -S auth-user"
        ))
        .hint(format!("or use -S auth=none to send to {server} without a login"))
}

fn no_account(what: String, known: &[String]) -> Failure {
    let failure = Failure::new(Exit::USAGE, what);
    if known.is_empty() {
        return failure.hint(
            "define accounts as `[accounts.NAME]` in config.toml or `account NAME { … }` in \
            mail.rc",
        );
    }
    failure.hint(format!("known accounts are {}", known.join(", ")))
}

fn no_route(what: String) -> Failure {
    Failure::new(Exit::CONFIG, what)
        .hint("put three lines into ~/.config/smail/config.toml (chmod 600):")
        .hint("  smtp = \"smtps://smtp.example.org\"")
        .hint("  auth-user = \"me@example.org\"")
        .hint("  auth-password-command = \"pass show mail\"")
}

impl From<DraftError> for Failure {
    fn from(error: DraftError) -> Self {
        let what = error.to_string();
        match error {
            DraftError::Dropped => Failure::new(Exit::OK, what),
            DraftError::NoRecipient | DraftError::AllEmpty(_) => {
                Failure::new(Exit::USAGE, what).hint("smail -s SUBJECT ADDRESS < body")
            }
            DraftError::EmptyRecipient(_)
            | DraftError::Escape { .. }
            | DraftError::StdinTwice(..)
            | DraftError::Dsn { .. }
            | DraftError::NoHtml(_) => Failure::new(Exit::USAGE, what),
            DraftError::OwnFlag { flag, .. } => {
                Failure::new(Exit::USAGE, what).hint(format!("use `{flag}` to set it"))
            }
            DraftError::Header { .. } => {
                Failure::new(Exit::USAGE, what).hint("write a header as 'Name: value'")
            }
            DraftError::FlagAddress { flag, error } => {
                address(Exit::USAGE, &format!("{flag}: "), &error)
            }
            DraftError::Address(error) => address(Exit::DATA, "", &error),
            DraftError::Bare(_) => bare(what),
            DraftError::Local(error) => error.into(),
            DraftError::NotAllowed(_) | DraftError::EmptyList(_) => Failure::new(Exit::DATA, what),
            DraftError::Alias(_) => Failure::new(Exit::CONFIG, what),
            DraftError::Lines { bad, count } => lines(&bad, count),
            DraftError::TooMany(..) => {
                Failure::new(Exit::DATA, what).hint("send it as several messages")
            }
            DraftError::File { .. } | DraftError::Stdin(_) => Failure::new(Exit::NO_INPUT, what),
            DraftError::TooLarge(_) => {
                Failure::new(Exit::DATA, what).hint("attach it as a file, or set max-size")
            }
            DraftError::Settings(error) => error.into(),
        }
    }
}

/// Every bad line with a caret under the character.
fn lines(bad: &[BadLine], count: usize) -> Failure {
    let told = |line: &BadLine| {
        (
            format!("{}: {}", line.place, line.error),
            line.error.pointer(),
        )
    };
    if let ([line], 1) = (bad, count) {
        let (what, pointer) = told(line);
        return Failure::new(Exit::DATA, what).fact(pointer);
    }
    let mut failure = Failure::new(
        Exit::DATA,
        format!("{count} lines are not addresses; nothing was sent"),
    );
    for (what, pointer) in bad.iter().map(told) {
        failure = failure.fact(what).fact(pointer);
    }
    if count > bad.len() {
        failure = failure.fact(format!("and {} more", count - bad.len()));
    }
    failure
}

fn bare(what: String) -> Failure {
    Failure::new(Exit::DATA, what)
        .hint("write the full address, set qualify-domain, or define an alias for the name: in a file listed in aliases-file, or")
        .hint("in [aliases] of config.toml, where `default` matches every such name")
}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        let what = error.to_string();
        match error {
            LocalError::Bare(_) => bare(what),
            LocalError::Alias(_) => Failure::new(Exit::CONFIG, what),
            LocalError::Entry { .. } => Failure::new(Exit::CONFIG, what)
                .hint("an alias can hold addresses, names and `:include:` files"),
            LocalError::File { cure, said, .. } => {
                let mut failure = Failure::new(Exit::CONFIG, what);
                failure
                    .facts
                    .extend(said.map(|said| format!("set in {said}")));
                failure.hints.extend(cure);
                failure
            }
        }
    }
}

/// What a last guard found.
fn mistake(what: String) -> Failure {
    Failure::new(Exit::SOFTWARE, what)
        .hint("this is a bug in smail; please report it with the command that caused it")
}

impl From<DirError> for Failure {
    fn from(error: DirError) -> Self {
        let what = error.to_string();
        match error {
            DirError::Unsafe { .. } | DirError::Foreign { .. } => Failure::new(Exit::CONFIG, what)
                .hint(
                    "set queue-dir to another directory, or use --no-queue to send without a \
                        queue",
                ),
            DirError::Unusable { .. } => {
                Failure::new(Exit::CREATE, what).hint("set queue-dir to another directory")
            }
        }
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        let what = error.to_string();
        match error {
            QueueError::Dir(error) => error.into(),
            QueueError::NoEntry(_) => Failure::new(Exit::USAGE, what).hint("run `smail --queue` to list the queue"),
            QueueError::Key => Failure::new(Exit::USAGE, what),
            QueueError::Unsound(_) => mistake(what),
            QueueError::Busy(_) => Failure::new(Exit::TEMPORARY, what),
            QueueError::Unreadable { newer: true, .. } => {
                Failure::new(Exit::CONFIG, what).hint("it was left unchanged; run the newer smail")
            }
            QueueError::KeyFile { .. } => Failure::new(Exit::IO, what)
                .hint("it is unknown whether the message was sent: check the log or ask the recipients, then remove the file"),
            QueueError::Io { .. } | QueueError::Hook { .. } | QueueError::Notice { .. } | QueueError::Unreadable { .. } => {
                Failure::new(Exit::IO, what)
            }
        }
    }
}

impl From<InjectError> for Failure {
    fn from(error: InjectError) -> Self {
        let what = error.to_string();
        match error {
            InjectError::Dropped => Failure::new(Exit::OK, what),
            InjectError::NoRecipient => Failure::new(Exit::USAGE, what),
            InjectError::Address(error) => address(Exit::DATA, "", &error),
            InjectError::Local(error) => error.into(),
            InjectError::Settings(error) => error.into(),
            InjectError::TooLarge(_) => {
                Failure::new(Exit::DATA, what).hint("raise max-size to allow more")
            }
            InjectError::Read(_) => Failure::new(Exit::IO, what),
            InjectError::Message(error) => error.into(),
        }
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        let what = error.to_string();
        match error {
            SetupError::Aborted(Aborted::Interrupted, _) => Failure::new(Exit::INTERRUPTED, what),
            SetupError::Aborted(Aborted::Left, _) | SetupError::GivenUp => Failure::new(Exit::GIVEN_UP, what),
            SetupError::Aborted(Aborted::Nobody, question) => {
                Failure::new(Exit::USAGE, format!("`--yes` cannot answer `{question}`; nothing was written")).hint(
                    "smail --setup me@example.org --yes -S smtp=smtps://smtp.example.org --password-from stdin < file",
                )
            }
            SetupError::Refused(_) => Failure::new(Exit::REFUSED, what),
            SetupError::Address(error) => address(Exit::USAGE, "--setup: ", &error),
            SetupError::Argument(_) => Failure::new(Exit::USAGE, what).hint(
                "use `--password-from stdin`, `--password-from 'pass show mail'` or SMAIL_AUTH_PASSWORD instead",
            ),
            SetupError::Account { .. } => Failure::new(Exit::USAGE, what).hint("use `-A NAME` to choose another"),
            SetupError::Unextendable { .. } => {
                Failure::new(Exit::CONFIG, what).hint("correct it, or move it away and run the setup again")
            }
            SetupError::Changed(_) => Failure::new(Exit::TEMPORARY, what).hint("run it again"),
            SetupError::Exists(_) => {
                Failure::new(Exit::CREATE, what).hint("move it away, or use `--config FILE` to name another")
            }
            SetupError::File { .. } => Failure::new(Exit::CREATE, what),
            SetupError::Store(error) => {
                let exit = if error.temporary { Exit::TEMPORARY } else { Exit::PERMISSION };
                Failure::new(exit, what).hint("choose a private file, which needs no program, or unlock the keyring")
            }
        }
    }
}

impl From<MessageError> for Failure {
    fn from(error: MessageError) -> Self {
        let what = error.to_string();
        match error {
            // That a mail cannot be kept is no fault of the mail.
            MessageError::Spool(_) => Failure::new(Exit::IO, what),
            MessageError::Mime(MimeError::Unsound(_)) => mistake(what),
            _ => Failure::new(Exit::DATA, what),
        }
    }
}
