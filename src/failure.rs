//! Facts into words and the exit status: the only room that knows either.
//!
//! Promise: an error says what failed, the server's words as they came, whose setting it was, and a
//! way out. The form is `smail: sentence`, indented facts, an empty line, `hint: …`; the status is
//! one of the table below (decision 13 in docs/decisions.md).
mod delivery;
mod from_errors;
pub(crate) mod messages;

pub(crate) use delivery::{
    Context, account_for, account_for_faults, explain, language, on_one_line, one_line,
    without_token,
};

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::hints::Hint;
use crate::language::Language;
use crate::text::{self, Policy};

/// The exit status; the table of the man page is made from [`EXITS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(pub u8);

impl Exit {
    /// Every recipient accepted.
    pub(crate) const OK: Exit = Exit(0);
    /// The user gave up.
    pub(crate) const GIVEN_UP: Exit = Exit(1);
    /// Usage.
    pub(crate) const USAGE: Exit = Exit(64);
    /// The mail cannot be.
    pub(crate) const DATA: Exit = Exit(65);
    /// A file cannot be read.
    pub(crate) const NO_INPUT: Exit = Exit(66);
    /// Unknown recipients.
    pub(crate) const NO_USER: Exit = Exit(67);
    /// Unknown server name.
    pub(crate) const NO_HOST: Exit = Exit(68);
    /// Refused for good.
    pub(crate) const REFUSED: Exit = Exit(69);
    /// Our fault.
    pub(crate) const SOFTWARE: Exit = Exit(70);
    /// Cannot be made.
    pub(crate) const CREATE: Exit = Exit(73);
    /// Writing failed.
    pub(crate) const IO: Exit = Exit(74);
    /// Not now.
    pub(crate) const TEMPORARY: Exit = Exit(75);
    /// Protocol, or in doubt.
    pub(crate) const PROTOCOL: Exit = Exit(76);
    /// Login, trust, permission.
    pub(crate) const PERMISSION: Exit = Exit(77);
    /// Settings.
    pub(crate) const CONFIG: Exit = Exit(78);
    /// SIGINT.
    pub(crate) const INTERRUPTED: Exit = Exit(130);
}

/// Every exit status and when it is given.
pub(crate) const EXITS: &[(u8, &str)] = &[
    (
        0,
        "Every recipient was accepted, or the rest is safely in the queue.",
    ),
    (1, "A setup was cancelled; nothing was written."),
    (64, "Usage: flags, or no recipient."),
    (
        65,
        "The message is invalid: address syntax, a header, a text over max-size. Also when --explain recognizes nothing in a text.",
    ),
    (66, "An attachment or a file of the message cannot be read."),
    (
        67,
        "Recipients were permanently refused, all of them as unknown (x.1.x).",
    ),
    (68, "The server's name does not exist."),
    (
        69,
        "Permanently refused for other or mixed reasons, too large for the server, or the server lacks a required feature.",
    ),
    (70, "A bug in smail."),
    (73, "A file cannot be created."),
    (
        74,
        "Reading or writing failed; also when a message was sent but its copy could not be saved.",
    ),
    (
        75,
        "Temporary failure, not queued: it is safe to try again for the recipients listed.",
    ),
    (
        76,
        "The server violated the protocol, or the connection was lost after the final dot: the message may have been accepted.",
    ),
    (
        77,
        "Login refused, certificate not trusted, or a secret that must not or cannot be used.",
    ),
    (
        78,
        "Settings: syntax, an unknown name, nothing configured, an unsafe file.",
    ),
    (130, "Interrupted before the final dot (143: terminated)."),
];

/// An error as it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit status.
    pub exit: Exit,
    /// What failed: a lowercase sentence without a period.
    pub what: String,
    /// Facts, each on a line of its own.
    pub facts: Vec<String>,
    /// Ways out; one may have several lines.
    pub hints: Vec<String>,
}

impl Failure {
    /// Makes a failure without facts and hints.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Failure {
            exit,
            what: what.into(),
            facts: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Adds a fact.
    #[must_use]
    pub(crate) fn fact(mut self, fact: impl Into<String>) -> Self {
        self.facts.push(fact.into());
        self
    }

    /// Adds a way out.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same on one line, as callers of sendmail log it; `name` is what smail was called as.
    pub(crate) fn line(&self, name: &str) -> String {
        // A caret under a character says nothing on one line, and the text it points into was said.
        let facts = self
            .facts
            .iter()
            .filter(|fact| !fact.trim_end().ends_with('^'));
        let said = std::iter::once(self.what.as_str())
            .chain(facts.flat_map(|fact| fact.lines()).map(str::trim));
        let mut out = format!(
            "{name}: {}",
            said.filter(|s| !s.is_empty())
                .map(safe)
                .collect::<Vec<_>>()
                .join("; ")
        );
        if !self.hints.is_empty() {
            let lines = |hint: &String| {
                hint.lines()
                    .map(|line| safe(line.trim()))
                    .collect::<Vec<_>>()
                    .join("; ")
            };
            let hints = self.hints.iter().map(lines).collect::<Vec<_>>();
            let _ = write!(out, " (hint: {})", hints.join(" "));
        }
        out.push('\n');
        out
    }

    /// The text for standard error.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("smail: {}\n", safe(&self.what));
        for line in self.facts.iter().flat_map(|f| f.lines()) {
            let _ = writeln!(out, "  {}", safe(line));
        }
        for (i, hint) in self.hints.iter().enumerate() {
            out.push_str(if i == 0 { "\n" } else { "" });
            for (line, text) in hint.lines().enumerate() {
                let _ = writeln!(
                    out,
                    "{} {}",
                    if line == 0 { "hint:" } else { "     " },
                    safe(text)
                );
            }
        }
        out
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// What an error of any room comes to: a [`Failure`] as it is, anything else a failure of reading
/// or writing with the context it was given on its way.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        error
            .downcast::<Failure>()
            .unwrap_or_else(|other| Failure::new(Exit::IO, format!("{other:#}")))
    }
}

/// One line of an error, whatever it quotes.
fn safe(text: &str) -> Cow<'_, str> {
    text::safe(text, Policy::Line)
}

/// The words at the head of a line that a terminal shows in colour, and the colours: bold, and
/// cyan.
const PAINTED: [(&str, &str); 2] = [("smail:", "\x1b[1m"), ("hint:", "\x1b[36m")];

/// The same text for a terminal that knows colours.
pub(crate) fn painted(text: &str) -> String {
    let paint = |line: &str| match PAINTED.iter().find(|(word, _)| line.starts_with(word)) {
        Some((word, colour)) => format!("{colour}{word}\x1b[0m{}", &line[word.len()..]),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(paint).collect()
}

/// What is visibly wrong with a password, on one line.
pub(crate) fn suspicion(hint: &Hint, language: Language) -> String {
    let between = if language == Language::Chinese {
        "；"
    } else {
        "; "
    };
    remark(&[hint.meaning(language), hint.action(language)].join(between))
}

/// A warning or a note on one line.
pub(crate) fn remark(text: &str) -> String {
    format!("smail: {}\n", safe(text))
}

/// Turns a panic into an apology and exit status 70. The message may hold anything, so only its
/// place is shown.
#[expect(
    clippy::disallowed_methods,
    reason = "with `panic = abort` nothing returns from here to main"
)]
pub(crate) fn apologise_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |l| format!(" ({}:{})", l.file(), l.line()));
        let text = Failure::new(Exit::SOFTWARE, format!("internal error{place}"))
            .hint("this is a bug in smail; please report it with the command that caused it");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.text().as_bytes());
        std::process::exit(i32::from(Exit::SOFTWARE.0));
    }));
}
