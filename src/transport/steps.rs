//! The steps of a session: what each is called, what was found in it and how it ended.
//!
//! Promise: every step that begins ends in one result, also where the session fails.
use std::time::Duration;

use crate::delivery::{Fault, Stage};

/// A step of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The server's name is looked up.
    Resolve,
    /// The connection.
    Connect,
    /// The server's first line.
    Greeting,
    /// STARTTLS, where it comes to that, and the handshake.
    Tls,
    /// EHLO, HELO or LHLO; once more inside TLS.
    Hello,
    /// AUTH.
    Login,
    /// MAIL FROM.
    Sender,
    /// RCPT TO, once for each.
    Recipient,
    /// RSET.
    Reset,
    /// QUIT.
    Quit,
    /// A program that stands in for a server.
    Program,
    /// A file, a directory or standard output.
    File,
}

impl Step {
    /// The word used in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Step::Resolve => "resolve",
            Step::Connect => "connect",
            Step::Greeting => "greeting",
            Step::Tls => "tls",
            Step::Hello => "hello",
            Step::Login => "login",
            Step::Sender => "sender",
            Step::Recipient => "recipient",
            Step::Reset => "reset",
            Step::Quit => "quit",
            Step::Program => "program",
            Step::File => "file",
        }
    }

    /// The step in which a session ends with a fault of this stage.
    pub(super) fn of(stage: Stage) -> Self {
        match stage {
            Stage::Resolve => Step::Resolve,
            Stage::Connect => Step::Connect,
            Stage::Greeting => Step::Greeting,
            // Before a connection only the files that TLS needs are read.
            Stage::Prepare | Stage::Tls => Step::Tls,
            Stage::Hello => Step::Hello,
            Stage::Login => Step::Login,
            Stage::Recipient => Step::Recipient,
            Stage::Sender | Stage::Data | Stage::Content => Step::Sender,
        }
    }
}

/// Something that was found; texts of servers are safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Words.
    Text(String),
    /// Some of a kind.
    List(Vec<String>),
    /// A number; the label says of what.
    Number(i64),
}

/// What was found in a step: labels in the order of finding, none twice.
pub(crate) type Facts = Vec<(&'static str, Fact)>;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// There was nothing to do.
    Skipped,
    /// As a send would have failed.
    Failed(Fault),
}

/// A step that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// Which one.
    pub step: Step,
    /// How long it took.
    pub took: Duration,
    /// What was found, also where it failed.
    pub facts: Facts,
    /// How it ended.
    pub outcome: Outcome,
}

impl StepResult {
    /// A fact in words; `None` without it.
    pub fn text(&self, label: &str) -> Option<&str> {
        match self.fact(label)? {
            Fact::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A fact of several parts; empty without it.
    pub fn list(&self, label: &str) -> &[String] {
        match self.fact(label) {
            Some(Fact::List(list)) => list,
            _ => &[],
        }
    }

    /// A fact that is a number.
    pub fn number(&self, label: &str) -> Option<i64> {
        match self.fact(label)? {
            Fact::Number(number) => Some(*number),
            _ => None,
        }
    }

    fn fact(&self, label: &str) -> Option<&Fact> {
        self.facts
            .iter()
            .find(|(known, _)| *known == label)
            .map(|(_, fact)| fact)
    }
}
