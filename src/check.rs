//! `--check`: what a rehearsal of a send found, step by step, and the mistakes that show in it.
//!
//! Promise: every step of the rehearsal has its line, in order; a step that failed says why and
//! what to do; a step that passed may still carry notes, which warn and change no exit status.
//! Knows no words of its own for faults: they come in as [`Advice`].
mod object;
mod text;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use crate::delivery::{Cause, Class, Fault};
use crate::providers::{FromRule, Preset};
use crate::transport::{Event, Outcome, Step, StepResult};

pub(crate) use text::Style;

/// The size in bytes that a server should take at least; providers that are for people take 20 to
/// 50 million.
const SMALL: i64 = 10_000_000;
/// A certificate with fewer days left should have been renewed: automatic renewal begins at thirty.
const FEW_DAYS: i64 = 14;
const DAY: i64 = 86_400;

/// What is checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subject {
    /// The server, the program or the file.
    pub goal: String,
    /// The author of a mail: the From header.
    pub author: String,
    /// The sender of the envelope.
    pub sender: String,
    /// The login, when it is set.
    pub login: Option<String>,
    /// The account, when one is chosen.
    pub account: Option<String>,
    /// The provider, when it is known.
    pub preset: Option<Preset>,
    /// Nobody named a recipient: the author's own address is asked about.
    pub own: bool,
    /// The time here, in seconds since 1970.
    pub now: i64,
    /// When the sign-in of OAuth2 ends by the rule of its provider, if that is soon.
    pub sign_in: Option<SignIn>,
}

/// The end of a sign-in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignIn {
    /// In seconds since 1970.
    pub ends: i64,
    /// Only a client in testing is under the rule.
    pub testing: bool,
}

/// The words for a fault, from the rooms that have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// What went wrong, on one line.
    pub said: String,
    /// The name of the hint in the table of hints.
    pub id: Option<String>,
    /// What to do, each on a line of its own.
    pub hints: Vec<String>,
}

/// A step with all that is said of it.
#[derive(Debug)]
struct Row {
    probe: StepResult,
    advice: Option<Advice>,
    notes: Vec<String>,
}

/// The steps at one endpoint of the server.
#[derive(Debug, Default)]
struct Endpoint {
    place: String,
    rows: Vec<Row>,
}

/// The report under way.
pub(crate) struct CheckReport<'a> {
    subject: &'a Subject,
    advise: &'a (dyn Fn(&Fault, &str) -> Advice + Sync),
    endpoints: Vec<Endpoint>,
}

impl<'a> CheckReport<'a> {
    /// Begins a report; `advise` gives the words for a fault at an endpoint.
    pub(crate) fn new(
        subject: &'a Subject,
        advise: &'a (dyn Fn(&Fault, &str) -> Advice + Sync),
    ) -> Self {
        CheckReport {
            subject,
            advise,
            endpoints: Vec::new(),
        }
    }

    /// Takes an event of a rehearsal in, and returns the lines to print for it.
    pub(crate) fn add(&mut self, event: Event<'_>, look: Style) -> String {
        match event {
            Event::Line(_) | Event::Progress { .. } | Event::UnlikelySecret(_) => String::new(),
            Event::Endpoint(place) => {
                let line = text::endpoint(&place);
                self.endpoints.push(Endpoint {
                    place,
                    rows: Vec::new(),
                });
                line
            }
            Event::Step(probe) => {
                if self.endpoints.is_empty() {
                    self.endpoints.push(Endpoint::default());
                }
                let subject = self.subject;
                let Some(endpoint) = self.endpoints.last_mut() else {
                    return String::new();
                };
                let advice = match &probe.outcome {
                    Outcome::Failed(fault) => Some((self.advise)(fault, &endpoint.place)),
                    _ => None,
                };
                let hints = advice.as_ref().map_or(&[][..], |advice| &advice.hints);
                let mut notes = notes(&probe, subject, endpoint, hints);
                // What was said of EHLO in clear is not said again inside TLS.
                notes.retain(|new| !endpoint.rows.iter().any(|row| row.notes.contains(new)));
                let row = Row {
                    probe,
                    advice,
                    notes,
                };
                let lines = text::row(&row, subject, look);
                endpoint.rows.push(row);
                lines
            }
        }
    }

    /// The first line.
    pub(crate) fn title(&self) -> String {
        text::title(self.subject)
    }

    /// The last line; `via` is the endpoint that was tried last, `exit` the status.
    pub(crate) fn verdict(&self, via: &str, exit: u8) -> String {
        text::verdict(self.subject, via, exit, self.warnings())
    }

    /// The whole as one JSON object on one line.
    pub(crate) fn json(&self, via: &str, exit: u8) -> String {
        object::line(self, via, exit)
    }

    /// What was noted although nothing failed.
    fn warnings(&self) -> usize {
        let rows = self
            .endpoints
            .iter()
            .flat_map(|endpoint| &endpoint.rows)
            .filter(|row| row.advice.is_none());
        rows.map(|row| row.notes.len()).sum()
    }
}

/// The JSON object of a check that settings or flags kept from its first step: that of every check,
/// with the reason.
pub(crate) fn untried(exit: u8, error: &str) -> String {
    object::untried(exit, error)
}

/// The mistakes that show in a step. What the hints say of it already is not said again.
fn notes(
    probe: &StepResult,
    subject: &Subject,
    endpoint: &Endpoint,
    hints: &[String],
) -> Vec<String> {
    let found = match (probe.step, &probe.outcome) {
        (Step::Connect, Outcome::Passed) => vec![passed_over(probe)],
        (Step::Connect, Outcome::Failed(fault)) => vec![one_family(fault)],
        (Step::Greeting | Step::Tls, outcome) => {
            vec![
                wrong_mode(probe, outcome),
                trust(probe, outcome),
                validity(probe, subject),
            ]
        }
        (Step::Hello, Outcome::Passed) => vec![small_size(probe)],
        (Step::Hello, Outcome::Failed(fault)) => vec![hello_name(probe, fault, hints)],
        (Step::Recipient, Outcome::Failed(fault)) => {
            let mut notes = refused_late(subject, endpoint, fault, hints);
            notes.extend(subject.own.then(|| {
                Some(
                    "this is the author's own address; use --to to check other \
                    recipients"
                        .to_owned(),
                )
            }));
            notes
        }
        (Step::Login, Outcome::Skipped) => vec![no_login(endpoint)],
        (Step::Login, Outcome::Passed) => vec![sign_in(subject)],
        (Step::Sender, Outcome::Passed) => vec![from_rule(subject)],
        (Step::Sender, Outcome::Failed(fault)) => vec![other_sender(subject, fault, hints)],
        _ => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

fn is_v6(address: &str) -> bool {
    address
        .parse::<SocketAddr>()
        .is_ok_and(|address| address.is_ipv6())
}

/// Addresses that were tried in vain before one answered.
fn passed_over(probe: &StepResult) -> Option<String> {
    let late = probe.list("late");
    let first = late.first()?;
    let winner = probe.text("peer").is_some_and(is_v6);
    // Reasons hold no `: ` before that behind the address.
    let families: Vec<bool> = late
        .iter()
        .filter_map(|l| l.split_once(": "))
        .map(|(a, _)| is_v6(a))
        .collect();
    if families.contains(&winner) {
        return Some(format!(
            "another address was tried without success: {first}"
        ));
    }
    let (bad, good) = if winner {
        ("IPv4", "IPv6")
    } else {
        ("IPv6", "IPv4")
    };
    Some(format!(
        "{bad} does not get through but {good} does, so every message first waits for {bad}: {first}"
    ))
}

/// Every address was of one family, and none could be reached.
fn one_family(fault: &Fault) -> Option<String> {
    let Cause::Unreachable(tried) = &fault.cause else {
        return None;
    };
    let all_v6 = !tried.is_empty() && tried.iter().all(|(address, _)| is_v6(address));
    all_v6.then(|| "the server has IPv6 addresses only".to_owned())
}

/// A server that kept silent, and began to speak when it was spoken to in TLS; every other fault of
/// this kind says it.
fn wrong_mode(probe: &StepResult, outcome: &Outcome) -> Option<String> {
    let Outcome::Failed(Fault {
        cause: Cause::Silent(_),
        ..
    }) = outcome
    else {
        return None;
    };
    (probe.text("speaks")? == "TLS").then(|| "this port speaks TLS from the first byte".to_owned())
}

/// What is added to a note, unless a hint speaks of the same setting.
fn unless_hinted(hints: &[String], setting: &str, more: &'static str) -> &'static str {
    if hints
        .iter()
        .any(|hint| hint.contains(&format!("`{setting}`")))
    {
        ""
    } else {
        more
    }
}

fn trust(probe: &StepResult, outcome: &Outcome) -> Option<String> {
    let doubt = probe
        .text("doubt")
        .filter(|_| *outcome == Outcome::Passed)?;
    Some(format!(
        "the certificate is not trusted, but the settings allow it: {doubt}"
    ))
}

/// A certificate against the clock of this host.
fn validity(probe: &StepResult, subject: &Subject) -> Option<String> {
    let (begin, end) = (probe.number("not_before")?, probe.number("not_after")?);
    if subject.now < begin || subject.now > end {
        let valid = format!(
            "it is valid from {} to {}",
            text::date(begin),
            text::date(end)
        );
        return Some(format!(
            "{valid}, but the clock of this host says {}",
            text::date(subject.now)
        ));
    }
    let left = (end - subject.now).div_euclid(DAY);
    (left < FEW_DAYS).then(|| {
        format!(
            "the certificate expires in {}, on {}",
            text::days(left),
            text::date(end)
        )
    })
}

fn small_size(probe: &StepResult) -> Option<String> {
    let size = probe.number("size").filter(|size| *size < SMALL)?;
    Some(format!(
        "the server accepts messages of at most {}; attachments grow by a third when encoded",
        text::size(size)
    ))
}

/// Only the name that was said can be at fault here, or the whole host.
fn hello_name(probe: &StepResult, fault: &Fault, hints: &[String]) -> Option<String> {
    let reply = fault
        .reply()
        .filter(|_| fault.class() == Class::Permanent)?;
    let name = probe.text("said")?.split_once(' ')?.1;
    let more = unless_hinted(hints, "hello-name", "; set hello-name to change it");
    (reply.code != 554).then(|| format!("the name sent was `{name}`{more}"))
}

/// Many servers look at the name in EHLO and at the sender only at RCPT (Postfix:
/// `smtpd_delay_reject`).
fn refused_late(
    subject: &Subject,
    endpoint: &Endpoint,
    fault: &Fault,
    hints: &[String],
) -> Vec<Option<String>> {
    let Some(reply) = fault.reply() else {
        return Vec::new();
    };
    let said = reply.text().to_ascii_lowercase();
    let hello = endpoint
        .rows
        .iter()
        .rev()
        .find(|row| row.probe.step == Step::Hello);
    match (said.contains("helo"), said.contains("sender")) {
        (true, _) => vec![hello.and_then(|row| hello_name(&row.probe, fault, hints))],
        (_, true) => vec![other_sender(subject, fault, hints)],
        _ => Vec::new(),
    }
}

fn no_login(endpoint: &Endpoint) -> Option<String> {
    let offered = offered(endpoint);
    let way = "set auth-user and a password if a login is required";
    (!offered.is_empty()).then(|| {
        format!(
            "no login is set, but the server offers one ({}); {way}",
            offered.join(" ")
        )
    })
}

/// A sign-in that ends before anybody is likely to look again.
fn sign_in(subject: &Subject) -> Option<String> {
    let SignIn { ends, testing } = subject.sign_in?;
    let account = subject.account.as_deref();
    let account = account.map_or_else(String::new, |name| format!(" {}", crate::text::word(name)));
    let when = match (ends - subject.now).div_euclid(DAY) {
        ..0 => "has ended".to_owned(),
        0 => "ends today".to_owned(),
        1 => "ends in 1 day".to_owned(),
        days => format!("ends in {days} days"),
    };
    let only = if testing {
        "if the client at the provider is in testing, "
    } else {
        ""
    };
    Some(format!(
        "{only}the sign-in {when}: run smail --login{account}"
    ))
}

/// The mechanisms that EHLO named last.
fn offered(endpoint: &Endpoint) -> &[String] {
    let hello = endpoint
        .rows
        .iter()
        .rev()
        .find(|row| row.probe.step == Step::Hello);
    hello.map_or(&[], |row| row.probe.list("auth"))
}

/// The login, when it is an address and another one than that.
fn other_login<'s>(subject: &'s Subject, address: &str) -> Option<&'s str> {
    let login = subject
        .login
        .as_deref()
        .filter(|login| login.contains('@'))?;
    (!login.eq_ignore_ascii_case(address)).then_some(login)
}

/// Some providers look at the From header only when the mail is there.
fn from_rule(subject: &Subject) -> Option<String> {
    let preset = subject.preset.as_ref()?;
    let (what, address) = match (
        other_login(subject, &subject.author),
        other_login(subject, &subject.sender),
    ) {
        (Some(_), _) => ("From", &subject.author),
        (None, Some(_)) => ("the sender", &subject.sender),
        (None, None) => return None,
    };
    let (name, login) = (&preset.name, subject.login.as_deref()?);
    match preset.from_rule {
        FromRule::Login => Some(format!(
            "{what} is {address}, but {name} accepts only the login address: {login}"
        )),
        FromRule::Rewrite => Some(format!(
            "{what} is {address}, but {name} replaces it with the login address: {login}"
        )),
        FromRule::Any | FromRule::Identity | FromRule::Domain => None,
    }
}

fn other_sender(subject: &Subject, fault: &Fault, hints: &[String]) -> Option<String> {
    // 530 wants a login, whoever sends.
    fault
        .reply()
        .filter(|reply| reply.code != 530 && fault.class() == Class::Permanent)?;
    let login = other_login(subject, &subject.sender)?;
    let more = unless_hinted(
        hints,
        "from",
        "; many servers accept only the login address",
    );
    Some(format!(
        "the sender is {} but the login is {login}{more}",
        subject.sender
    ))
}
