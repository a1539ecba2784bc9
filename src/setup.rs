//! Sets smail up in one dialogue: address, server, password, where to keep it, a trial, and the
//! file.
//!
//! Promise: nothing is written before the last question is answered and the trial is over; what was
//! there stays byte for byte the beginning of what is there then, and a failure halfway takes back
//! what was made. A secret goes into private files and standard input of programs, never into an
//! argument or onto the terminal. The room speaks to a [`Prompter`] and reaches DNS, web and
//! server through [`Services`], so that a dialogue is a text that can be compared.
mod account;
pub(crate) mod autoconfig;
mod dialogue;
pub(crate) mod dns;
pub(crate) mod find;
mod mailrc;
pub(crate) mod messages;
mod questions;
mod secret_store;
mod undo;
mod write;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) use account::{LEAKS, Setting, Value};
use autoconfig::Web;
use find::Directory;
pub(crate) use mailrc::Before;
use messages::Messages;

use crate::address::AddressError;
use crate::providers::Preset;
use crate::secret::{Secret, SecretError};

/// Who answers.
pub(crate) trait Prompter {
    /// Shows a line, or several.
    fn say(&mut self, text: &str);

    /// Asks for a line; an empty answer is the default.
    ///
    /// # Errors
    /// [`Aborted`]: there is no answer, and nothing may be asked any more.
    fn ask(&mut self, question: &str, default: Option<&str>) -> Result<String, Aborted>;

    /// Asks for a secret, unseen.
    ///
    /// # Errors
    /// As [`Prompter::ask`].
    fn secret(&mut self, question: &str) -> Result<Secret, Aborted>;
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aborted {
    /// A signal, or Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the terminal is gone.
    Left,
    /// Nobody is there to be asked.
    Nobody,
}

/// Agrees with every proposal, and has no answer where there is none: `--yes`.
pub(crate) struct AssumeYes<'a> {
    /// Hears what would be shown.
    pub hear: &'a mut dyn FnMut(&str),
}

impl Prompter for AssumeYes<'_> {
    fn say(&mut self, text: &str) {
        (self.hear)(text);
    }

    fn ask(&mut self, _: &str, default: Option<&str>) -> Result<String, Aborted> {
        default.map(str::to_owned).ok_or(Aborted::Nobody)
    }

    fn secret(&mut self, _: &str) -> Result<Secret, Aborted> {
        Err(Aborted::Nobody)
    }
}

/// What the command line says already.
#[derive(Debug, Default)]
pub(crate) struct SetupOptions {
    /// The address.
    pub address: Option<String>,
    /// The name of the account.
    pub account: Option<String>,
    /// Settings that are written as they are.
    pub said: Vec<Setting>,
    /// The password.
    pub secret: Option<Secret>,
    /// The command that prints it.
    pub command: Option<String>,
    /// Proposals are accepted without asking.
    pub yes: bool,
}

/// Where things are, and what is there.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The `config.toml` that is made or added to.
    pub config: PathBuf,
    /// The home directory, which `~` stands for.
    pub home: Option<PathBuf>,
    /// The directories of programs (`PATH`).
    pub programs: OsString,
    /// The name of this machine.
    pub host: String,
    /// The names of accounts that other files have.
    pub accounts: Vec<String>,
    /// Other files choose an account, which would win over settings that belong to none.
    pub chosen: bool,
    /// Of [`LEAKS`], the settings that other files make for every account.
    pub leaks: Vec<&'static str>,
}

impl Place {
    /// A path as it is shown, and written into settings.
    fn shown(&self, path: &Path) -> String {
        let below = self
            .home
            .as_deref()
            .and_then(|home| path.strip_prefix(home).ok());
        below.map_or_else(
            || path.display().to_string(),
            |rest| format!("~/{}", rest.display()),
        )
    }
}

/// Tries settings: connects, logs in and names the sender.
pub(crate) type Trial<'a> = &'a dyn Fn(&[Setting]) -> Result<(), TrialError>;

/// Why a trial came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TrialError {
    /// What failed, as it is to be shown.
    Failed(String),
    /// A signal, or Ctrl-C, ended it; nothing may be asked any more.
    Interrupted,
}
/// Lets a person sign in to the provider of access tokens, by settings and for the account of this
/// name; returns the file of the tokens.
pub(crate) type SignIn<'a> = &'a dyn Fn(&[Setting], Option<&str>) -> Result<String, TrialError>;

/// What is visibly wrong with a secret, for this provider and user name.
pub(crate) type Doubt<'a> = &'a dyn Fn(Option<&Preset>, &str, &Secret) -> Option<String>;

/// What the dialogue asks of the network.
#[derive(Clone, Copy)]
pub(crate) struct Services<'a> {
    /// Answers what the DNS knows.
    pub directory: &'a dyn Directory,
    /// Fetches a page from the web; only ever used after a yes.
    pub web: Web<'a>,
    /// Tries settings.
    pub try_it: Trial<'a>,
    /// Signs in with OAuth2.
    pub sign_in: SignIn<'a>,
    /// Looks at a secret.
    pub doubt: Doubt<'a>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// The address that mail comes from.
    pub address: String,
    /// The account, when it is one among others.
    pub account: Option<String>,
    /// The file, as it is shown.
    pub config: String,
    /// What was written into it, secrets struck out.
    pub shown: String,
    /// A first mail is wanted.
    pub first_mail: bool,
    /// The password that nothing keeps, for that mail.
    pub secret: Option<Secret>,
}

/// Why smail is not set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// Nobody answers: why, and the question.
    #[error("the setup was interrupted at `{1}`; nothing was written")]
    Aborted(Aborted, String),
    /// The user gave up.
    #[error("the setup was cancelled; nothing was written")]
    GivenUp,
    /// The trial failed, and nobody is there to decide.
    #[error("the settings do not work; nothing was written")]
    Refused(String),
    /// What was given is no whole address.
    #[error("{0}")]
    Address(AddressError),
    /// `-S` holds a password.
    #[error("`-S {0}` would expose a password to everyone on this host")]
    Argument(String),
    /// The account's name cannot be, or is taken.
    #[error("invalid account name `{name}`: {why}")]
    Account {
        /// As given.
        name: String,
        /// A lowercase fragment.
        why: &'static str,
    },
    /// The file with what is added would not be TOML.
    #[error("{}: cannot add to it: line {line}: {why}", .path.display())]
    Unextendable {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u32,
        /// A lowercase fragment.
        why: String,
    },
    /// The file changed while questions were asked.
    #[error("{} was changed in the meantime; nothing was written", .0.display())]
    Changed(PathBuf),
    /// There is a file, and `--from-mailrc` makes a new one.
    #[error("{} already exists; --from-mailrc only creates a new file", .0.display())]
    Exists(PathBuf),
    /// A file or directory cannot be read or made.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A program did not take the password.
    #[error("cannot store the password: {0}; nothing was written")]
    Store(SecretError),
}

/// Asks, tries and writes.
///
/// # Errors
/// [`SetupError`]; then everything is as it was.
pub(crate) fn run(
    prompter: &mut dyn Prompter,
    messages: Messages,
    options: &SetupOptions,
    place: &Place,
    services: Services<'_>,
) -> Result<Done, SetupError> {
    dialogue::Dialogue::new(prompter, messages, options, place, services).run()
}

/// Turns a mail.rc into a `config.toml`, telling of every line what becomes of it.
///
/// # Errors
/// [`SetupError`]; then everything is as it was.
pub(crate) fn from_mailrc(
    prompter: &mut dyn Prompter,
    messages: Messages,
    options: &SetupOptions,
    place: &Place,
    before: &Before<'_>,
) -> Result<Option<Done>, SetupError> {
    mailrc::Conversion::new(prompter, messages, options, place, before).run()
}

/// Subject and text of the first mail.
pub(crate) fn first_mail(messages: Messages, done: &Done, host: &str) -> (String, String) {
    let subject = messages.of(messages::MAIL_SUBJECT, &[host]);
    (
        subject,
        messages.of(messages::MAIL_BODY, &[host, &done.address, &done.config]),
    )
}

/// What is said when variables of the environment outrank what was written.
pub(crate) fn outranked(messages: Messages, variables: &str) -> String {
    messages.of(messages::OUTRANKED, &[variables])
}

/// What is said when it was accepted.
pub(crate) fn sent(messages: Messages, done: &Done) -> String {
    messages.of(messages::SENT, &[&done.address])
}

#[cfg(test)]
mod tests;
