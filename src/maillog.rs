//! The log for operators: one line for every attempt to send, to a file, to syslog or to the
//! journal (the setting `log`).
//!
//! Promise: a line is written whole by one call and can never be two lines, nor hold a key that is
//! not ours: values with blanks, quotes, `=` or control characters are quoted and escaped. Nothing
//! waits: not for a reader, not for a disk that is a FIFO. No secret is among the facts of an
//! [`Attempt`]. Refuses symbolic links, whatever is no regular file, and what a stranger made in a
//! directory that others may write to.
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset, SecondsFormat};

use crate::delivery::{RecipientResult, Report};
use crate::environment;
use crate::files;
use crate::settings::Settings;
use crate::text::{self, Policy};

/// The socket of the host's syslog.
const SYSLOG: &str = "/dev/log";
/// The most recipients that are named; more are counted.
const MOST_NAMED: usize = 20;
/// The most bytes of a message to syslog.
const LONGEST_MESSAGE: usize = 8 << 10;
/// The facility `mail` (RFC 5424 section 6.2.1).
const FACILITY: u8 = 2;

/// Where lines go; nowhere by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Log {
    places: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    /// The socket of the host's syslog.
    Syslog(PathBuf),
    /// The socket of systemd's journal.
    Journal(PathBuf),
}

/// One attempt to send a mail, as facts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt<'a> {
    /// Its id in the queue.
    pub id: Option<&'a str>,
    /// Its Message-ID.
    pub message_id: &'a str,
    /// The parent process and the user.
    pub caller: &'a str,
    /// The reverse-path; empty for the null one.
    pub from: &'a str,
    /// Those it was meant for this time.
    pub to: Vec<&'a str>,
    /// What became of it, when it was tried.
    pub report: Option<&'a Report>,
    /// Its bytes, where no report knows better.
    pub bytes: u64,
    /// The exit status.
    pub exit: u8,
    /// `sent`, `partial`, `queued`, `deferred`, `failed` or `rejected`.
    pub status: &'a str,
    /// What went wrong, when it was not the server that said so.
    pub error: Option<&'a str>,
}

impl Log {
    /// Reads `log`: paths, `syslog` and `journal`; nothing with `none` among them.
    pub(crate) fn of(settings: &Settings) -> Self {
        let words = settings.list("log");
        if words.iter().any(|word| word == "none") {
            return Log::default();
        }
        let place = |word: &String| match word.as_str() {
            "syslog" => Place::Syslog(PathBuf::from(SYSLOG)),
            "journal" => Place::Journal(PathBuf::from("/run/systemd/journal/socket")),
            path => Place::File(settings.expand(path)),
        };
        Log {
            places: words
                .iter()
                .filter(|word| !word.is_empty())
                .map(place)
                .collect(),
        }
    }

    /// The log of the host, where it has one: what sendmail is expected to write to.
    pub(crate) fn syslog() -> Self {
        let socket = PathBuf::from(SYSLOG);
        Log {
            places: Some(socket)
                .filter(|socket| socket.exists())
                .map(Place::Syslog)
                .into_iter()
                .collect(),
        }
    }

    /// Returns whether anything is written at all.
    pub(crate) fn is_off(&self) -> bool {
        self.places.is_empty()
    }

    /// Writes an attempt down in every place.
    ///
    /// # Errors
    /// The first place that failed and why, when all were tried. It must never change what becomes
    /// of the mail.
    pub(crate) fn write(&self, attempt: &Attempt<'_>) -> io::Result<()> {
        self.write_at(attempt, environment::local_time())
    }

    fn write_at(&self, attempt: &Attempt<'_>, now: DateTime<FixedOffset>) -> io::Result<()> {
        if self.is_off() {
            return Ok(());
        }
        let facts = facts(attempt);
        let mut outcome = Ok(());
        for place in &self.places {
            let (path, written) = match place {
                Place::File(path) => (path, file(path, &line(&facts, now))),
                Place::Syslog(path) => (path, send(path, &syslog(&facts, attempt.status, now))),
                Place::Journal(path) => (path, send(path, &journal(&facts, attempt.status))),
            };
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            outcome = outcome.and(written.map_err(named));
        }
        outcome
    }
}

/// A key and its value, not yet quoted.
type Fact = (&'static str, String);

/// All facts in the order of the line. What is not known is `-`.
fn facts(attempt: &Attempt<'_>) -> Vec<Fact> {
    let known = |text: Option<&str>| {
        text.filter(|text| !text.is_empty())
            .unwrap_or("-")
            .to_owned()
    };
    let report = attempt.report;
    let host = report.map(|report| report.host.as_deref().unwrap_or(&report.via));
    let reply = report.and_then(reply);
    let to = match attempt.to.len() {
        0..=MOST_NAMED => attempt.to.join(","),
        more => format!("{more} recipients"),
    };
    let from = if attempt.from.is_empty() {
        "<>"
    } else {
        attempt.from
    };
    let mut facts = vec![
        ("id", known(attempt.id)),
        ("message-id", known(Some(attempt.message_id))),
        ("caller", known(Some(attempt.caller))),
        ("from", from.to_owned()),
        ("to", known(Some(&to))),
        (
            "bytes",
            report
                .map_or(attempt.bytes, |report| report.bytes)
                .to_string(),
        ),
        ("host", known(host)),
        (
            "tls",
            report
                .and_then(|report| report.tls.clone())
                .unwrap_or_else(|| "none".to_owned()),
        ),
        (
            "user",
            known(report.and_then(|report| report.user.as_deref())),
        ),
        ("status", attempt.status.to_owned()),
        ("reply", known(reply.as_deref())),
    ];
    facts.extend(
        attempt
            .error
            .filter(|_| reply.is_none())
            .map(|error| ("error", error.to_owned())),
    );
    facts.push(("exit", attempt.exit.to_string()));
    for (_, value) in facts.iter_mut().filter(|(key, _)| *key != "to") {
        *value = text::cut(value, text::LONGEST_LINE);
    }
    facts
}

/// The server's words: those of the first refusal, else those of acceptance; none when the first
/// failure had no words of a server.
fn reply(report: &Report) -> Option<String> {
    let failed = report
        .recipients
        .iter()
        .find(|result| result.outcome.is_err());
    match failed.or(report.recipients.first()) {
        Some(RecipientResult {
            outcome: Ok(reply), ..
        }) => Some(reply.text()),
        Some(RecipientResult {
            outcome: Err(fault),
            ..
        }) => fault.reply().map(crate::delivery::Reply::text),
        None => None,
    }
}

/// A value that stands bare where nobody can take it for something else, and else in quotes.
fn quoted(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'=' | b'\\');
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c => out.push_str(&text::word(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('"');
    out
}

fn pairs(facts: &[Fact]) -> String {
    facts
        .iter()
        .map(|(key, value)| format!("{key}={}", quoted(value)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn line(facts: &[Fact], now: DateTime<FixedOffset>) -> Vec<u8> {
    format!(
        "time={} {}\n",
        now.to_rfc3339_opts(SecondsFormat::Secs, true),
        pairs(facts)
    )
    .into_bytes()
}

/// The severity (RFC 5424 section 6.2.1): error, warning or informational.
fn severity(status: &str) -> u8 {
    match status {
        "sent" | "queued" => 6,
        "deferred" | "partial" => 4,
        _ => 3,
    }
}

/// A message for the local socket, in the form that C libraries send (RFC 3164 without the host).
fn syslog(facts: &[Fact], status: &str, now: DateTime<FixedOffset>) -> Vec<u8> {
    let (priority, pid) = (FACILITY * 8 + severity(status), environment::id());
    let mut text = format!(
        "<{priority}>{} smail[{pid}]: {}",
        now.format("%b %e %H:%M:%S"),
        pairs(facts)
    );
    text.truncate(text.floor_char_boundary(LONGEST_MESSAGE));
    text.into_bytes()
}

/// A message in the native protocol of the journal (`systemd.io/JOURNAL_NATIVE_PROTOCOL`).
fn journal(facts: &[Fact], status: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut field = |name: &str, value: &str| {
        let value = text::safe(value, Policy::Lines);
        out.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            // Its length in place of the `=`, so that a line end in it ends nothing.
            out.push(b'\n');
            out.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            out.push(b'=');
        }
        out.extend_from_slice(value.as_bytes());
        out.push(b'\n');
    };
    field("MESSAGE", &pairs(facts));
    field("PRIORITY", &severity(status).to_string());
    field("SYSLOG_IDENTIFIER", "smail");
    field("SYSLOG_FACILITY", &FACILITY.to_string());
    field("SYSLOG_PID", &environment::id().to_string());
    for (key, value) in facts.iter().filter(|(_, value)| value != "-") {
        field(
            &format!("SMAIL_{}", key.replace('-', "_").to_uppercase()),
            value,
        );
    }
    out
}

/// Adds a line by one call, so that those of several processes never mix.
fn file(path: &Path, line: &[u8]) -> io::Result<()> {
    let Some(mut file) = files::append_unread(path)? else {
        return Err(files::Unfit::NotRegular.into());
    };
    match file.write(line)? {
        written if written == line.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

fn send(path: &Path, datagram: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(datagram, path).map(drop)
}

#[cfg(test)]
mod tests;
