//! The rows of `hints.toml`, as they were checked and laid out when the program was built.
//!
//! Promise: nothing is parsed and no text is copied: a value is a slice of the program itself. The
//! rows are put together when the first hint is wanted, and not before.
use std::sync::OnceLock;

use super::Who;
use super::pattern::Codes;
use crate::delivery::{Class, Stage};
use crate::span::Span;

include!(concat!(env!("OUT_DIR"), "/hints.rs"));

/// The file.
#[cfg(test)]
pub(super) const FILE: &str = include_str!("../hints.toml");

/// A row as it is laid out.
struct Row {
    id: Span,
    source: Span,
    date: Span,
    provider: Span,
    host: Span,
    cause: Span,
    stage: Span,
    reply: Span,
    enhanced: Span,
    pattern: Span,
    meaning: [Span; 2],
    action: [Span; 2],
    class: Option<Class>,
    who: Who,
    common: bool,
    vague: bool,
    alone: bool,
}

/// What a failure means and what to do about it: a row.
#[derive(Debug, PartialEq, Eq)]
pub struct Hint {
    /// Its name, for `--json` and for tests.
    pub id: &'static str,
    /// What becomes of the mail, where the first digit of the reply does not tell it.
    pub class: Option<Class>,
    /// Who has to act.
    pub who: Who,
    /// Where it is known from.
    pub source: &'static str,
    /// The year it was checked.
    pub date: &'static str,
    pub(super) meaning: [&'static str; 2],
    pub(super) action: [&'static str; 2],
    pub(super) provider: &'static str,
    pub(super) host: &'static str,
    pub(super) cause: &'static str,
    pub(super) stage: &'static str,
    pub(super) codes: Codes,
    pub(super) pattern: &'static str,
    pub(super) common: bool,
    pub(super) vague: bool,
    pub(super) alone: bool,
}

/// Every row, in the order of the file.
pub fn rows() -> &'static [Hint] {
    static HINTS: OnceLock<Vec<Hint>> = OnceLock::new();
    HINTS.get_or_init(|| ROWS.iter().map(Row::hint).collect())
}

impl Row {
    fn hint(&self) -> Hint {
        Hint {
            id: self.id.of(TEXT),
            class: self.class,
            who: self.who,
            source: self.source.of(TEXT),
            date: self.date.of(TEXT),
            meaning: self.meaning.map(|text| text.of(TEXT)),
            action: self.action.map(|text| text.of(TEXT)),
            provider: self.provider.of(TEXT),
            host: self.host.of(TEXT),
            cause: self.cause.of(TEXT),
            stage: self.stage.of(TEXT),
            codes: Codes {
                reply: self.reply.of(TEXT),
                enhanced: self.enhanced.of(TEXT),
            },
            pattern: self.pattern.of(TEXT),
            common: self.common,
            vague: self.vague,
            alone: self.alone,
        }
    }
}

/// The row of this name.
pub fn named(id: &str) -> Option<&'static Hint> {
    rows().iter().find(|row| row.id == id)
}

/// Every stage, by its word.
#[cfg(test)]
pub(super) const STAGES: [Stage; 11] = [
    Stage::Prepare,
    Stage::Resolve,
    Stage::Connect,
    Stage::Greeting,
    Stage::Hello,
    Stage::Tls,
    Stage::Login,
    Stage::Sender,
    Stage::Recipient,
    Stage::Data,
    Stage::Content,
];

impl Hint {
    /// Returns whether the row may speak at this stage; a row that names none may at all.
    pub(super) fn at(&self, stage: Option<Stage>) -> bool {
        self.stage.is_empty() || stage.is_none_or(|stage| self.is_about(stage))
    }

    /// Returns whether the row speaks of this stage.
    pub(super) fn is_about(&self, stage: Stage) -> bool {
        self.stage
            .split_ascii_whitespace()
            .any(|word| word == stage.word())
    }
}
