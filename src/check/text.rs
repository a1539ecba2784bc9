//! The report in lines for people: a step a line, what belongs to it below.
//!
//! Promise: nothing but `ok` and `FAILED` is ever coloured, and what came from outside holds no
//! control character.
use std::fmt::Write as _;

use super::{DAY, Row, Subject};
use crate::text::{short, word as safe};
use crate::transport::{Outcome, Step, StepResult};

/// How lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// With colours: on a terminal that has them, and where nobody asked for none.
    pub colour: bool,
}

/// Where the words of a step begin.
const INDENT: usize = 31;

pub(super) fn title(subject: &Subject) -> String {
    let account = subject
        .account
        .as_ref()
        .map_or_else(String::new, |name| format!(" (account {name})"));
    format!(
        "{}\n",
        safe(&format!(
            "checking {} for {}{account}",
            subject.goal, subject.author
        ))
    )
}

pub(super) fn endpoint(place: &str) -> String {
    format!("{}\n", safe(place))
}

pub(super) fn verdict(subject: &Subject, via: &str, exit: u8, warnings: usize) -> String {
    let also = match warnings {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        many => format!(", with {many} warnings"),
    };
    match exit {
        // No more is promised than was tried.
        0 if subject.own => {
            let author = &subject.author;
            let text = format!(
                "mail to {author} can be sent through {via}{also}; use --to to check other \
                recipients; nothing was sent"
            );
            format!("{}\n", safe(&text))
        }
        0 => format!(
            "{}\n",
            safe(&format!(
                "mail can be sent through {via}{also}; nothing was sent"
            ))
        ),
        128.. => "interrupted; nothing was sent\n".to_owned(),
        _ => format!("sending would fail with exit status {exit}{also}; nothing was sent\n"),
    }
}

pub(super) fn row(row: &Row, subject: &Subject, look: Style) -> String {
    let probe = &row.probe;
    let (mark, colour) = match probe.outcome {
        Outcome::Passed => ("ok", "32"),
        Outcome::Skipped => ("-", ""),
        Outcome::Failed(_) => ("FAILED", "1;31"),
    };
    let shown = if look.colour && !colour.is_empty() {
        format!("\x1b[{colour}m{mark}\x1b[0m")
    } else {
        mark.to_owned()
    };
    let gap = " ".repeat(7_usize.saturating_sub(mark.len()));
    let time = match probe.outcome {
        Outcome::Skipped => String::new(),
        _ => format!("{} ms", probe.took.as_millis()),
    };
    let said = row
        .advice
        .as_ref()
        .map(|advice| match (probe.step, probe.text("said")) {
            (Step::Sender | Step::Recipient, Some(said)) => format!("{said}: {}", advice.said),
            _ => advice.said.clone(),
        });
    // A certificate ends with what is pinned; its names are cut where they are listed.
    let said = said.map_or_else(|| words(probe, subject), |said| short(&said));
    let mut lines = format!(
        "  {:<10} {shown}{gap}{time:>9}  {}\n",
        label(probe.step),
        safe(&said)
    );
    let mut below = |text: &str| {
        let _ = writeln!(lines, "{:INDENT$}{}", "", safe(text));
    };
    if row.advice.is_some() && probe.text("sha256").is_some() {
        below(&format!("certificate: {}", certificate(probe, subject)));
    }
    let kind = if row.advice.is_some() {
        "note"
    } else {
        "warning"
    };
    row.notes
        .iter()
        .for_each(|note| below(&format!("{kind}: {note}")));
    row.advice
        .iter()
        .flat_map(|advice| &advice.hints)
        .for_each(|hint| below(&format!("hint: {hint}")));
    lines
}

fn label(step: Step) -> &'static str {
    match step {
        Step::Resolve => "name",
        Step::Hello => "EHLO",
        Step::Tls => "TLS",
        other => other.word(),
    }
}

/// What a step found, on one line.
fn words(probe: &StepResult, subject: &Subject) -> String {
    let text = |label| probe.text(label).unwrap_or_default();
    match (probe.step, &probe.outcome) {
        (Step::Resolve, _) => addresses(probe, subject),
        (Step::Connect, _) => text("peer").to_owned(),
        (Step::Greeting, _) => short(text("reply")),
        (Step::Tls, Outcome::Skipped) => "none: everything is sent in clear text".to_owned(),
        (Step::Tls, _) => format!(
            "{} {}; {}",
            text("version"),
            text("cipher"),
            certificate(probe, subject)
        ),
        (Step::Hello, _) => offers(probe),
        (Step::Login, Outcome::Skipped) => "not set".to_owned(),
        (Step::Login, _) => format!("AUTH {} as {}", text("mechanism"), text("user")),
        (Step::Recipient, Outcome::Skipped) => "not checked; use --to ADDRESS to check \
            one"
        .to_owned(),
        (Step::Sender | Step::Recipient, _) => {
            format!("{}: {}", text("said"), short(text("reply")))
        }
        (Step::Reset | Step::Quit, _) => short(probe.text("reply").unwrap_or("no reply")),
        (Step::Program, _) => format!("would run: {}", text("command")),
        (Step::File, _) => text("writes").to_owned(),
    }
}

/// The host is named where it is not the server: a proxy, or what connect-to says.
fn addresses(probe: &StepResult, subject: &Subject) -> String {
    let addresses = probe.list("addresses").join(", ");
    match probe.text("host") {
        Some(host) if host != subject.goal && host != addresses => format!("{host}: {addresses}"),
        _ => addresses,
    }
}

fn offers(probe: &StepResult) -> String {
    let offers = probe.list("offers");
    let said = probe.text("said").unwrap_or_default();
    if offers.is_empty() {
        return format!("{said}: no extensions");
    }
    let words: Vec<String> = offers
        .iter()
        .map(|offer| match probe.number("size") {
            Some(bytes) if offer.to_ascii_uppercase().starts_with("SIZE ") => {
                format!("{offer} ({})", size(bytes))
            }
            _ => offer.clone(),
        })
        .collect();
    short(&format!("{said}: {}", words.join(", ")))
}

fn certificate(probe: &StepResult, subject: &Subject) -> String {
    let names = probe.list("names");
    let names = if names.is_empty() {
        "no host name".to_owned()
    } else {
        short(&names.join(", "))
    };
    let issuer = probe
        .text("issuer")
        .map_or_else(String::new, |issuer| format!("; issued by {issuer}"));
    let left = probe
        .number("not_after")
        .map_or_else(String::new, |end| match end - subject.now {
            gone @ ..0 => format!("; expired {} ago", days(-gone / DAY)),
            left => format!("; {} left", days(left / DAY)),
        });
    let print = probe
        .text("sha256")
        .map_or_else(String::new, |print| format!("; SHA-256 {print}"));
    format!("{names}{issuer}{left}{print}")
}

pub(super) fn days(count: i64) -> String {
    if count == 1 {
        "1 day".to_owned()
    } else {
        format!("{count} days")
    }
}

pub(super) fn date(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0).map_or_else(
        || "no date".to_owned(),
        |time| time.format("%Y-%m-%d").to_string(),
    )
}

pub(super) fn size(bytes: i64) -> String {
    match bytes {
        ..10_000 => format!("{bytes} bytes"),
        10_000..1_000_000 => format!("{} KB", bytes / 1000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}
