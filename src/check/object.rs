//! The report for programs: one object on one line, the same keys always.
use std::collections::BTreeMap;

use serde::Serialize;

use super::{CheckReport, Row};
use crate::text::{self, Policy};
use crate::transport::{Fact, Outcome};

#[derive(Serialize)]
struct Object<'a> {
    /// `ok` or `failed`.
    status: &'static str,
    exit: u8,
    account: Option<&'a str>,
    from: Option<&'a str>,
    sender: Option<&'a str>,
    /// The endpoint that was tried last.
    route: Option<&'a str>,
    steps: Vec<Step<'a>>,
    /// Why there was no way to check.
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Step<'a> {
    #[serde(rename = "door")]
    endpoint: &'a str,
    #[serde(rename = "step")]
    name: &'static str,
    /// `ok`, `skipped` or `failed`.
    outcome: &'static str,
    ms: u128,
    facts: BTreeMap<&'static str, Value<'a>>,
    /// Warnings where the step passed.
    notes: &'a [String],
    error: Option<Error<'a>>,
}

#[derive(Serialize)]
struct Error<'a> {
    text: &'a str,
    class: &'static str,
    stage: &'static str,
    code: Option<u16>,
    enhanced: Option<String>,
    hint: Hint<'a>,
}

#[derive(Serialize)]
struct Hint<'a> {
    id: Option<&'a str>,
    text: &'a [String],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Text(&'a str),
    List(&'a [String]),
    Number(i64),
}

pub(super) fn line(sheet: &CheckReport<'_>, via: &str, exit: u8) -> String {
    let steps = sheet
        .endpoints
        .iter()
        .flat_map(|endpoint| endpoint.rows.iter().map(|row| step(row, &endpoint.place)));
    let object = Object {
        status: if exit == 0 { "ok" } else { "failed" },
        exit,
        account: sheet.subject.account.as_deref(),
        from: Some(&sheet.subject.author),
        sender: Some(&sheet.subject.sender),
        route: Some(via),
        steps: steps.collect(),
        error: None,
    };
    printed(&object)
}

/// The object of a check that found no way to go.
pub(super) fn untried(exit: u8, error: &str) -> String {
    let (account, from, sender, route) = (None, None, None, None);
    let error = Some(error);
    printed(&Object {
        status: "failed",
        exit,
        account,
        from,
        sender,
        route,
        steps: Vec::new(),
        error,
    })
}

fn printed(object: &Object<'_>) -> String {
    let mut line = serde_json::to_string(object).unwrap_or_default();
    line.push('\n');
    text::safe(&line, Policy::Json).into_owned()
}

fn step<'a>(row: &'a Row, endpoint: &'a str) -> Step<'a> {
    let probe = &row.probe;
    let value = |fact: &'a Fact| match fact {
        Fact::Text(text) => Value::Text(text),
        Fact::List(list) => Value::List(list),
        Fact::Number(number) => Value::Number(*number),
    };
    let outcome = match probe.outcome {
        Outcome::Passed => "ok",
        Outcome::Skipped => "skipped",
        Outcome::Failed(_) => "failed",
    };
    Step {
        endpoint,
        name: probe.step.word(),
        outcome,
        ms: probe.took.as_millis(),
        facts: probe
            .facts
            .iter()
            .map(|(label, fact)| (*label, value(fact)))
            .collect(),
        notes: &row.notes,
        error: error(row),
    }
}

fn error(row: &Row) -> Option<Error<'_>> {
    let (Outcome::Failed(fault), Some(advice)) = (&row.probe.outcome, &row.advice) else {
        return None;
    };
    let reply = fault.reply();
    Some(Error {
        text: &advice.said,
        class: fault.class().word(),
        stage: fault.stage.word(),
        code: reply.map(|reply| reply.code),
        enhanced: reply
            .and_then(|reply| reply.enhanced)
            .map(|code| code.to_string()),
        hint: Hint {
            id: advice.id.as_deref(),
            text: &advice.hints,
        },
    })
}
