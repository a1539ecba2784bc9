//! What a code, a log line or a bounce means: the same knowledge without a delivery.
//!
//! Promise: linear in the text, bounded in what comes out, and never an error: what is not
//! understood is left out. Reads replies as they stand in the logs of Postfix, Exim, Sendmail,
//! qmail, msmtp, s-nail and smail, and the fields of delivery reports (RFC 3464 section 2.3). The
//! words given back are safe to print.
use std::collections::HashSet;

use super::{Hint, Query, find, pattern};
use crate::delivery::{Class, EnhancedCode, Stage};
use crate::text::{self, Policy};

/// The most explanations that are given.
const MOST: usize = 50;
/// The most characters of the words of one reply that are kept.
const KEPT: usize = 2000;
/// The most failures that are looked for among all rows: of those behind them only what has other
/// codes is told.
const MOST_LOOKS: usize = 5000;
/// The most names of hosts that are kept of the lines before a reply.
const HOSTS: usize = 16;

/// What Postfix writes behind the words of a server.
const POSTSCRIPT: &str = " (in reply to ";

/// Names the provider (id or family) of a failure by the names of hosts that stand with it.
pub type Provider<'a> = &'a dyn Fn(&[&str]) -> Option<String>;

/// A failure found in a text, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The reply code.
    pub code: Option<u16>,
    /// The enhanced status code.
    pub enhanced: Option<EnhancedCode>,
    /// The words that were found beside the codes; safe to print, may be empty.
    pub text: String,
    /// What becomes of the mail; `None` when nothing tells it.
    pub class: Option<Class>,
    /// What it means and what to do.
    pub hint: Option<&'static Hint>,
    /// Whose server said it, as the caller told by the hosts.
    pub provider: Option<String>,
}

impl Explanation {
    /// Returns whether a login was refused, or is what the server wants first.
    pub fn is_refused_login(&self) -> bool {
        matches!(self.code, Some(530 | 534 | 535 | 538))
            || self.hint.is_some_and(|hint| hint.is_about(Stage::Login))
    }
}

/// What stands in a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Found {
    code: Option<u16>,
    enhanced: Option<EnhancedCode>,
    text: String,
    /// Where in the line the reply begins.
    at: usize,
    /// More lines of the same reply follow.
    goes_on: bool,
}

/// Explains a code (`535`, `4.7.0`), a reply, a line of a log, a whole log, or a bounced mail:
/// every failure in it once, in order, at most fifty.
pub fn explain(text: &str, provider: Provider<'_>) -> Vec<Explanation> {
    let lines = unfolded(text);
    let single = lines.iter().filter(|line| !line.trim().is_empty()).count() == 1;
    let mut telling = Telling {
        provider,
        told: Vec::new(),
        seen: HashSet::new(),
        status: None,
        hosts: Vec::new(),
        looks: 0,
    };
    let mut at = 0;
    while at < lines.len() && telling.told.len() < MOST {
        let line = &lines[at];
        at += 1;
        if line.trim().is_empty() {
            telling.unused_status();
            telling.hosts.clear();
        }
        if let Some(value) = field(line, "status:") {
            telling.unused_status();
            telling.status = enhanced_in(value, true);
            continue;
        }
        let Some(found) = found(line, single, &mut telling.looks) else {
            telling.hosts.extend(hosts(line));
            telling.hosts.truncate(HOSTS);
            continue;
        };
        at += telling.reply(found, line, &lines[at..]);
    }
    telling.unused_status();
    if telling.told.is_empty() && !single && text.len() < KEPT {
        // A message of a program, broken over some lines.
        let found = found(&lines.join(" "), true, &mut telling.looks);
        telling
            .told
            .extend(found.map(|found| explained(found, provider(&telling.hosts))));
    }
    telling.told
}

/// What was told of a text so far.
struct Telling<'a> {
    provider: Provider<'a>,
    told: Vec<Explanation>,
    /// Replies that were looked at: logs repeat themselves.
    seen: HashSet<(Found, Option<String>)>,
    /// The Status field that a Diagnostic-Code may go with.
    status: Option<EnhancedCode>,
    /// The hosts named in the lines before, since the last empty one.
    hosts: Vec<&'a str>,
    /// How often all rows were looked through.
    looks: usize,
}

impl<'a> Telling<'a> {
    /// Tells of a reply that begins in this line, and returns how many of the lines behind it
    /// belong to it.
    fn reply(&mut self, mut found: Found, line: &'a str, behind: &[String]) -> usize {
        let is_report = field(line, "diagnostic-code:").is_some();
        let ours = is_ours(line);
        let mut taken = 0;
        while (found.goes_on || ours) && behind.get(taken).is_some_and(|l| is_ours(l) == ours) {
            let Some(next) = continued(&behind[taken], found.code, &mut self.looks) else {
                break;
            };
            if found.text.len() < KEPT {
                found.text.extend([" ", next.text.as_str()]);
            }
            found.goes_on = next.goes_on;
            taken += 1;
        }
        if is_report {
            let status = self.status.take();
            found.enhanced = found.enhanced.or(status);
        }
        // A line of a log stands for itself; a reply in a report belongs to the hosts named before
        // it.
        let before = if is_report || ours {
            std::mem::take(&mut self.hosts)
        } else {
            Vec::new()
        };
        let near: Vec<&str> = hosts(line.get(..found.at).unwrap_or_default())
            .chain(before)
            .collect();
        self.add(found, &near);
        taken
    }

    /// Tells of a Status field that no Diagnostic-Code went with.
    fn unused_status(&mut self) {
        let Some(enhanced) = self.status.take().filter(|code| code.0 != 2) else {
            return;
        };
        if !self
            .told
            .iter()
            .any(|explanation| explanation.enhanced == Some(enhanced))
        {
            let hosts = std::mem::take(&mut self.hosts);
            self.add(
                Found {
                    enhanced: Some(enhanced),
                    ..Found::default()
                },
                &hosts,
            );
        }
    }

    /// Adds what was found, unless the same was explained already.
    fn add(&mut self, found: Found, near: &[&str]) {
        let provider = (self.provider)(near);
        let found = Found { at: 0, ..found };
        if !self.seen.insert((found.clone(), provider.clone())) {
            return;
        }
        self.looks += 1;
        let known =
            |other: &Explanation| (other.code, other.enhanced) == (found.code, found.enhanced);
        if self.looks > MOST_LOOKS && self.told.iter().any(known) {
            return;
        }
        let explanation = explained(found, provider);
        let same = |other: &Explanation| {
            (other.code, other.enhanced, other.hint)
                == (explanation.code, explanation.enhanced, explanation.hint)
        };
        if !self.told.iter().any(same) {
            self.told.push(explanation);
        }
    }
}

fn explained(found: Found, provider: Option<String>) -> Explanation {
    let Found {
        code,
        enhanced,
        text,
        ..
    } = found;
    let query = Query {
        provider: provider.as_deref(),
        host: None,
        stage: None,
        code,
        enhanced,
        text: &text,
    };
    let hint = find(&query);
    let digit = code
        .map(|code| code / 100)
        .or(enhanced.map(|code| u16::from(code.0)));
    let by_digit = digit.map(|digit| match digit {
        2 | 3 => Class::Done,
        4 => Class::Temporary,
        _ => Class::Permanent,
    });
    Explanation {
        code,
        enhanced,
        text,
        class: hint.and_then(|hint| hint.class).or(by_digit),
        hint,
        provider,
    }
}

/// The names of hosts in a text: words with a dot that end in letters. What stands behind an `@` is
/// not where mail went.
fn hosts(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '@' | '_' | '+');
    let words = text
        .split(move |c| !is_part(c))
        .map(|word| word.trim_matches(['.', '-']));
    words.filter(|word| {
        let last = word.rsplit_once('.').map_or("", |(_, last)| last);
        last.len() > 1
            && last.bytes().all(|byte| byte.is_ascii_alphabetic())
            && !word.contains(['@', '_', '+'])
    })
}

/// The lines, safe to print; a folded Diagnostic-Code is one line (RFC 3464 section 2.1.1).
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut in_field = false;
    for line in text.lines() {
        let safe: String = text::safe(line, Policy::Blank).chars().take(KEPT).collect();
        let folded = safe.starts_with(' ') && !safe.trim().is_empty();
        match lines.last_mut() {
            Some(last) if in_field && folded => {
                if last.len() < KEPT {
                    last.push_str(&safe);
                }
            }
            _ => {
                in_field = field(&safe, "diagnostic-code:").is_some();
                lines.push(safe);
            }
        }
    }
    lines
}

/// The value of a field of a delivery report.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let head = line.get(..name.len())?;
    head.eq_ignore_ascii_case(name)
        .then(|| line[name.len()..].trim())
}

/// Finds a failure in a line. `single`: the line is all there is, so that a bare code or plain
/// words count as well.
fn found(line: &str, single: bool, looks: &mut usize) -> Option<Found> {
    // qmail writes what the other side said with `_` for blanks.
    let spaced;
    let line = if line.contains("_said:_") || line.contains("_recipient.") {
        spaced = line.replace('_', " ");
        spaced.as_str()
    } else {
        line
    };
    if let Some((at, code)) = code_in(line) {
        let rest = &line[at + 3..];
        let goes_on = rest.starts_with('-');
        let rest = rest.trim_start_matches(['-', ' ']);
        // What smail explained under the server's words.
        let after_codes =
            rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ');
        if after_codes.starts_with("means: ") || after_codes.starts_with("的含义：") {
            return None;
        }
        // Postfix says dsn=5.1.1 before the reply.
        let enhanced = leading(rest, code).or_else(|| enhanced_in(line, false));
        let text = rest
            .split(POSTSCRIPT)
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        return Some(Found {
            code: Some(code),
            enhanced,
            text,
            at,
            goes_on,
        });
    }
    let words = line.trim();
    if let Some(enhanced) = enhanced_in(words, single) {
        // What was delivered is no failure, unless it was asked for.
        return (single || enhanced.0 != 2).then(|| Found {
            code: None,
            enhanced: Some(enhanced),
            text: words.to_owned(),
            at: line.len(),
            goes_on: false,
        });
    }
    // Logs are long, and a search among all rows for every line of them would be too.
    if !single && (*looks > MOST_LOOKS || !is_mail_log(line)) {
        return None;
    }
    *looks += 1;
    let hint = find(&Query {
        text: words,
        ..Query::default()
    })?;
    let tells = single || !hint.cause.is_empty();
    tells.then(|| Found {
        text: words.to_owned(),
        at: line.len(),
        ..Found::default()
    })
}

/// The next line of a reply that goes on.
fn continued(line: &str, code: Option<u16>, looks: &mut usize) -> Option<Found> {
    let next = found(line, false, looks)?;
    (next.code == code).then_some(next)
}

/// A line as smail itself prints replies: every one with the code, and `server:` before it.
fn is_ours(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("server: ") || line.starts_with("服务器：")
}

/// Programs whose log lines may tell of a connection without any code.
const MAILERS: [&str; 9] = [
    "postfix", "smail", "exim", "sendmail", "msmtp", "smtp", "mailx", "mail:", "s-nail",
];

fn is_mail_log(line: &str) -> bool {
    let line = pattern::normal(line);
    MAILERS.iter().any(|name| line.contains(name))
}

/// The reply code of a line and where it stands: at its start, or 4yz and 5yz where a log quotes a
/// reply.
fn code_in(line: &str) -> Option<(usize, u16)> {
    let bytes = line.as_bytes();
    let start = line.len() - line.trim_start().len();
    let mut best: Option<(u8, usize, u16)> = None;
    for at in 0..bytes.len().saturating_sub(2) {
        let Some(code) = number(&bytes[at..at + 3]) else {
            continue;
        };
        let after = bytes.get(at + 3).copied().unwrap_or(b' ');
        let before = if at == 0 { b' ' } else { bytes[at - 1] };
        if !matches!(before, b' ' | b'(' | b'"' | b'\'' | b'<')
            || !matches!(after, b' ' | b'-' | b'"' | b')' | b':')
        {
            continue;
        }
        let rest = line[at + 3..].trim_start_matches(['-', ' ']);
        let quoted = line[..at]
            .trim_end_matches([' ', '"', '\''])
            .ends_with([':', ';', '(', '<']);
        let rank = match code {
            200..=599 if at == start => 4,
            400..=599 if leading(rest, code).is_some() => 3,
            400..=599 if quoted => 2,
            _ => continue,
        };
        if best.is_none_or(|(so_far, ..)| rank > so_far) {
            best = Some((rank, at, code));
        }
        if rank == 4 {
            break;
        }
    }
    best.map(|(_, at, code)| (at, code))
}

fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u16::from(digit - b'0'))
    })
}

/// The enhanced code that a reply begins with, when its class agrees with the reply code (RFC 2034
/// section 4).
fn leading(text: &str, code: u16) -> Option<EnhancedCode> {
    let word = text.split_whitespace().next()?;
    three(word.trim_end_matches(CLOSING)).filter(|enhanced| u16::from(enhanced.0) == code / 100)
}

/// What may stand behind a code.
const CLOSING: [char; 7] = [',', ';', ')', '"', '>', ':', '.'];

/// The first enhanced code of a text: `dsn=5.1.1`, `#5.1.1`, `(5.1.1)`; with `at_start` also the
/// first word. Numbers with more or fewer parts are addresses and versions.
fn enhanced_in(text: &str, at_start: bool) -> Option<EnhancedCode> {
    let mut first = at_start;
    for word in text.split_inclusive([' ', ',', ';', '(', '<', '"', '=', '#']) {
        let marked = std::mem::replace(&mut first, word.ends_with(['=', '#', '(']));
        let bare = word
            .trim_end_matches([' ', ',', ';', '(', '<', '"', '=', '#'])
            .trim_end_matches(CLOSING);
        if let Some(code) = three(bare).filter(|_| marked) {
            return Some(code);
        }
    }
    None
}

fn three(word: &str) -> Option<EnhancedCode> {
    if word.len() > 9
        || !word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None;
    }
    let mut parts = word.split('.');
    let code = EnhancedCode(
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    (parts.next().is_none() && matches!(code.0, 2 | 4 | 5) && code.1 <= 7 && code.2 <= 999)
        .then_some(code)
}

#[cfg(test)]
mod tests;
