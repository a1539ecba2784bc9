//! What became of a mail for programs: `--json`, and the dialogue for `-v`.
//!
//! Promise: one object on one line, the same keys always, no secret.
use serde::Serialize;

use crate::delivery::{Class, Fate, Line, Report};

/// The object of `--json`.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// The Message-ID.
    id: Option<&'a str>,
    /// `done`, `partial`, `temporary` or `permanent`; `error` when nothing could be tried.
    status: &'static str,
    /// The exit status.
    exit: u8,
    /// The route.
    route: Option<&'a str>,
    /// Who logged in.
    user: Option<&'a str>,
    /// Octets sent.
    bytes: u64,
    /// Milliseconds.
    timing: Option<Milliseconds>,
    /// Every recipient.
    recipients: Vec<Recipient<'a>>,
    /// The text for standard error.
    error: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Milliseconds {
    connect: u128,
    session: u128,
    transaction: u128,
}

#[derive(Debug, Serialize)]
struct Recipient<'a> {
    address: &'a str,
    class: &'static str,
    stage: Option<&'static str>,
    code: Option<u16>,
    enhanced: Option<String>,
    reply: Option<String>,
    in_doubt: bool,
}

/// The object for a mail that was tried.
pub fn summary(id: &str, report: &Report, exit: u8, error: Option<&str>) -> String {
    let timing = Milliseconds {
        connect: report.timing.connect.as_millis(),
        session: report.timing.session.as_millis(),
        transaction: report.timing.transaction.as_millis(),
    };
    let summary = Summary {
        id: Some(id),
        status: status(report),
        exit,
        route: Some(&report.via),
        user: report.user.as_deref(),
        bytes: report.bytes,
        timing: Some(timing),
        recipients: report.fates.iter().map(recipient).collect(),
        error,
    };
    line(&summary)
}

/// The object for a mail that was not tried: empty and dropped (`-E`), or an error before.
pub fn untried(exit: u8, error: Option<&str>) -> String {
    let status = if error.is_some() { "error" } else { "done" };
    let recipients = Vec::new();
    line(&Summary { id: None, status, exit, route: None, user: None, bytes: 0, timing: None, recipients, error })
}

fn line(summary: &Summary<'_>) -> String {
    let mut line = serde_json::to_string(summary).unwrap_or_default();
    line.push('\n');
    line
}

fn status(report: &Report) -> &'static str {
    let done = report.fates.iter().filter(|f| f.class() == Class::Done).count();
    let permanent = report.fates.iter().any(|f| f.class() == Class::Permanent);
    match (done == report.fates.len(), done, permanent) {
        (true, _, _) => "done",
        (false, 1.., _) => "partial",
        (false, 0, true) => "permanent",
        (false, 0, false) => "temporary",
    }
}

fn recipient(fate: &Fate) -> Recipient<'_> {
    let reply = match &fate.outcome {
        Ok(reply) => Some(reply),
        Err(fault) => fault.reply(),
    };
    let fault = fate.outcome.as_ref().err();
    Recipient {
        address: &fate.recipient,
        class: fate.class().word(),
        stage: fault.map(|f| f.stage.word()),
        code: reply.map(|r| r.code),
        enhanced: reply.and_then(|r| r.enhanced).map(|e| e.to_string()),
        reply: reply.map(crate::delivery::Reply::text),
        in_doubt: fault.is_some_and(|f| f.in_doubt),
    }
}

/// One line of the dialogue, as people write dialogues.
pub fn spoken(line: &Line) -> String {
    match line {
        Line::Client(text) => format!("C: {text}\n"),
        Line::Server(text) => format!("S: {text}\n"),
        Line::Note(text) => format!("-- {text}\n"),
    }
}
