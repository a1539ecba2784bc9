//! The rows of `hints.toml`, read once and only when a hint is wanted.
//!
//! Promise: nothing is copied. The file is TOML of a narrow form (a table is a row, a value is one
//! string on one line, without escapes), so that every value is a slice of the program itself;
//! reading all of it takes a fraction of the time that a TOML parser takes, and the tests compare
//! the two.
use std::sync::OnceLock;

use super::Who;
use super::pattern::Codes;
use crate::delivery::{Class, Stage};

/// The file.
pub const TABLE: &str = include_str!("../hints.toml");

/// What a failure means and what to do about it: a row.
#[derive(Debug, Default, PartialEq, Eq)]
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
    static ROWS: OnceLock<Vec<Hint>> = OnceLock::new();
    ROWS.get_or_init(|| read(TABLE))
}

/// The row of this name.
pub fn named(id: &str) -> Option<&'static Hint> {
    rows().iter().find(|row| row.id == id)
}

/// Reads the narrow form of TOML that the file keeps to; what is of another form is left out, which
/// the tests rule out.
fn read(text: &'static str) -> Vec<Hint> {
    let mut rows: Vec<Hint> = Vec::with_capacity(text.len() / 400);
    for line in text.lines() {
        if let Some(id) = line.strip_prefix('[') {
            let id = id.trim_end_matches(']').trim_matches('"');
            rows.push(Hint {
                id,
                ..Hint::default()
            });
        } else if let (Some((key, value)), Some(row)) = (line.split_once(" = "), rows.last_mut()) {
            set(
                row,
                key,
                value
                    .get(1..value.len().saturating_sub(1))
                    .unwrap_or_default(),
            );
        }
    }
    rows
}

fn set(row: &mut Hint, key: &str, value: &'static str) {
    match key {
        "provider" => row.provider = value,
        "host" => row.host = value,
        "cause" => row.cause = value,
        "stage" => row.stage = value,
        "code" => row.codes.reply = value,
        "enhanced" => row.codes.enhanced = value,
        "pattern" => row.pattern = value,
        "common" => row.common = true,
        "vague" => row.vague = true,
        "alone" => row.alone = true,
        "class" => row.class = CLASSES.into_iter().find(|class| class.word() == value),
        "who" => {
            row.who = WHO
                .into_iter()
                .find(|who| who.word() == value)
                .unwrap_or_default();
        }
        "meaning" => row.meaning[0] = value,
        "zh-meaning" => row.meaning[1] = value,
        "action" => row.action[0] = value,
        "zh-action" => row.action[1] = value,
        "source" => row.source = value,
        "date" => row.date = value,
        // The examples, which only the tests read.
        _ => {}
    }
}

const CLASSES: [Class; 3] = [Class::Done, Class::Temporary, Class::Permanent];

const WHO: [Who; 5] = [
    Who::You,
    Who::Recipient,
    Who::Server,
    Who::Network,
    Who::Admin,
];

/// Every stage, by its word.
#[cfg(test)]
pub const STAGES: [Stage; 11] = [
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
    /// Tells whether the row may speak at this stage; a row that names none may at all.
    pub(super) fn at(&self, stage: Option<Stage>) -> bool {
        self.stage.is_empty() || stage.is_none_or(|stage| self.is_about(stage))
    }

    /// Tells whether the row speaks of this stage.
    pub(super) fn is_about(&self, stage: Stage) -> bool {
        self.stage
            .split_ascii_whitespace()
            .any(|word| word == stage.word())
    }
}
