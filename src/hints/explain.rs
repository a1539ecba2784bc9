//! What a code, a log line or a bounce means: the same knowledge without a delivery.
//!
//! Promise: linear in the text, bounded in what comes out, and never an error: what is not understood is left out. Reads
//! replies as they stand in the logs of Postfix, Exim, Sendmail, qmail, msmtp, s-nail and smail, and the fields of
//! delivery reports (RFC 3464 section 2.3). The words given back are safe to print.
use super::{Hint, Query, find, pattern};
use crate::delivery::{Class, EnhancedCode};

/// The most that is read of a text, in octets.
const READ: usize = 1024 * 1024;
/// The most explanations that are given.
const MOST: usize = 50;
/// The most characters of the words of one reply that are kept.
const KEPT: usize = 2000;

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
}

/// What stands in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    code: Option<u16>,
    enhanced: Option<EnhancedCode>,
    text: String,
    /// More lines of the same reply follow.
    goes_on: bool,
}

/// Explains a code (`535`, `4.7.0`), a reply, a line of a log, a whole log, or a bounced mail: every failure in it once,
/// in order, at most fifty. `provider` is an id or a family.
pub fn explain(text: &str, provider: Option<&str>) -> Vec<Explanation> {
    let lines = unfolded(bounded(text));
    let single = lines.iter().filter(|line| !line.trim().is_empty()).count() == 1;
    let mut explanations: Vec<Explanation> = Vec::new();
    let mut status: Option<EnhancedCode> = None;
    let mut at = 0;
    while at < lines.len() && explanations.len() < MOST {
        let line = &lines[at];
        at += 1;
        if line.trim().is_empty() {
            settle(&mut explanations, status.take(), provider);
        }
        if let Some(value) = field(line, "status:") {
            settle(&mut explanations, status.take(), provider);
            status = enhanced_in(value, true);
            continue;
        }
        let Some(mut found) = found(line, single) else { continue };
        let ours = is_ours(line);
        while (found.goes_on || ours) && at < lines.len() && is_ours(&lines[at]) == ours {
            let Some(next) = continued(&lines[at], found.code) else { break };
            if found.text.len() < KEPT {
                found.text.extend([" ", next.text.as_str()]);
            }
            found.goes_on = next.goes_on;
            at += 1;
        }
        if field(line, "diagnostic-code:").is_some() {
            found.enhanced = found.enhanced.or(status.take());
            status = None;
        }
        add(&mut explanations, found, provider);
    }
    settle(&mut explanations, status, provider);
    if explanations.is_empty() && !single && text.len() < KEPT {
        // A message of a program, broken over some lines.
        explanations.extend(found(&lines.join(" "), true).map(|found| explained(found, provider)));
    }
    explanations
}

/// A Status field that no Diagnostic-Code went with.
fn settle(explanations: &mut Vec<Explanation>, status: Option<EnhancedCode>, provider: Option<&str>) {
    let Some(enhanced) = status.filter(|code| code.0 != 2) else { return };
    if !explanations.iter().any(|explanation| explanation.enhanced == Some(enhanced)) {
        add(
            explanations,
            Found { code: None, enhanced: Some(enhanced), text: String::new(), goes_on: false },
            provider,
        );
    }
}

/// Adds what was found, unless the same was explained already.
fn add(explanations: &mut Vec<Explanation>, found: Found, provider: Option<&str>) {
    let explanation = explained(found, provider);
    let same = |other: &Explanation| {
        (other.code, other.enhanced, other.hint) == (explanation.code, explanation.enhanced, explanation.hint)
    };
    if !explanations.iter().any(same) {
        explanations.push(explanation);
    }
}

fn explained(found: Found, provider: Option<&str>) -> Explanation {
    let Found { code, enhanced, text, .. } = found;
    let hint = find(&Query { provider, host: None, stage: None, code, enhanced, text: &text });
    let digit = code.map(|code| code / 100).or(enhanced.map(|code| u16::from(code.0)));
    let by_digit = digit.map(|digit| match digit {
        2 | 3 => Class::Done,
        4 => Class::Temporary,
        _ => Class::Permanent,
    });
    Explanation { code, enhanced, text, class: hint.and_then(|hint| hint.class).or(by_digit), hint }
}

fn bounded(text: &str) -> &str {
    let mut end = text.len().min(READ);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The lines, safe to print; a folded Diagnostic-Code is one line (RFC 3464 section 2.1.1).
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut in_field = false;
    for line in text.lines() {
        let safe: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(KEPT).collect();
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
    head.eq_ignore_ascii_case(name).then(|| line[name.len()..].trim())
}

/// Finds a failure in a line. `single`: the line is all there is, so that a bare code or plain words count as well.
fn found(line: &str, single: bool) -> Option<Found> {
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
        let after_codes = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ');
        if after_codes.starts_with("means: ") || after_codes.starts_with("的含义：") {
            return None;
        }
        // Postfix says dsn=5.1.1 before the reply.
        let enhanced = leading(rest, code).or_else(|| enhanced_in(line, false));
        return Some(Found { code: Some(code), enhanced, text: rest.trim().to_owned(), goes_on });
    }
    let words = line.trim();
    if let Some(enhanced) = enhanced_in(words, single) {
        // What was delivered is no failure, unless it was asked for.
        return (single || enhanced.0 != 2).then(|| Found {
            code: None,
            enhanced: Some(enhanced),
            text: words.to_owned(),
            goes_on: false,
        });
    }
    let plain = Found { code: None, enhanced: None, text: words.to_owned(), goes_on: false };
    let query = Query { text: words, ..Query::default() };
    let tells = |hint: &Hint| single || (!hint.cause.is_empty() && is_mail_log(line));
    find(&query).is_some_and(tells).then_some(plain)
}

/// The next line of a reply that goes on.
fn continued(line: &str, code: Option<u16>) -> Option<Found> {
    let next = found(line, false)?;
    (next.code == code).then_some(next)
}

/// A line as smail itself prints replies: every one with the code, and `server:` before it.
fn is_ours(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("server: ") || line.starts_with("服务器：")
}

/// Programs whose log lines may tell of a connection without any code.
const MAILERS: [&str; 9] = ["postfix", "smail", "exim", "sendmail", "msmtp", "smtp", "mailx", "mail:", "s-nail"];

fn is_mail_log(line: &str) -> bool {
    let line = pattern::normal(line);
    MAILERS.iter().any(|name| line.contains(name))
}

/// The reply code of a line and where it stands: at its start, or 4yz and 5yz where a log quotes a reply.
fn code_in(line: &str) -> Option<(usize, u16)> {
    let bytes = line.as_bytes();
    let start = line.len() - line.trim_start().len();
    let mut best: Option<(u8, usize, u16)> = None;
    for at in 0..bytes.len().saturating_sub(2) {
        let Some(code) = number(&bytes[at..at + 3]) else { continue };
        let after = bytes.get(at + 3).copied().unwrap_or(b' ');
        let before = if at == 0 { b' ' } else { bytes[at - 1] };
        if !matches!(before, b' ' | b'(' | b'"' | b'\'' | b'<') || !matches!(after, b' ' | b'-' | b'"' | b')' | b':') {
            continue;
        }
        let rest = line[at + 3..].trim_start_matches(['-', ' ']);
        let quoted = line[..at].trim_end_matches([' ', '"', '\'']).ends_with([':', ';', '(', '<']);
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
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0')))
}

/// The enhanced code that a reply begins with, when its class agrees with the reply code (RFC 2034 section 4).
fn leading(text: &str, code: u16) -> Option<EnhancedCode> {
    let word = text.split_whitespace().next()?;
    three(word.trim_end_matches(CLOSING)).filter(|enhanced| u16::from(enhanced.0) == code / 100)
}

/// What may stand behind a code.
const CLOSING: [char; 7] = [',', ';', ')', '"', '>', ':', '.'];

/// The first enhanced code of a text: `dsn=5.1.1`, `#5.1.1`, `(5.1.1)`; with `at_start` also the first word. Numbers with
/// more or fewer parts are addresses and versions.
fn enhanced_in(text: &str, at_start: bool) -> Option<EnhancedCode> {
    let mut first = at_start;
    for word in text.split_inclusive([' ', ',', ';', '(', '<', '"', '=', '#']) {
        let marked = std::mem::replace(&mut first, word.ends_with(['=', '#', '(']));
        let bare = word.trim_end_matches([' ', ',', ';', '(', '<', '"', '=', '#']).trim_end_matches(CLOSING);
        if let Some(code) = three(bare).filter(|_| marked) {
            return Some(code);
        }
    }
    None
}

fn three(word: &str) -> Option<EnhancedCode> {
    if word.len() > 9 || !word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let mut parts = word.split('.');
    let code = EnhancedCode(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (parts.next().is_none() && matches!(code.0, 2 | 4 | 5) && code.1 <= 7 && code.2 <= 999).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes and hint of everything found.
    fn told(text: &str) -> Vec<String> {
        let word = |code: Option<String>| code.unwrap_or_else(|| "-".into());
        explain(text, None)
            .into_iter()
            .map(|e| {
                let (code, enhanced) = (e.code.map(|c| c.to_string()), e.enhanced.map(|c| c.to_string()));
                format!("{} {} {}", word(code), word(enhanced), e.hint.map_or("nothing", |hint| hint.id))
            })
            .collect()
    }

    #[test]
    fn a_code_alone_is_explained() {
        assert_eq!(told("535"), ["535 - reply-535"]);
        assert_eq!(told("4.7.0\n"), ["- 4.7.0 enhanced-7.0"]);
        assert_eq!(told("250"), ["250 - reply-250"]);
        assert_eq!(
            told("550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
            ["550 5.7.60 microsoft-send-as"]
        );
        assert_eq!(told(""), Vec::<String>::new());
        assert_eq!(told("hello"), Vec::<String>::new());
        assert_eq!(told("error:\ncertificate has expired\n"), ["- - certificate-expired"]);
        assert_eq!(told("999 1234 1.2.3.4 smail 0.1.0"), Vec::<String>::new());
    }

    #[test]
    fn a_line_of_a_log_is_explained() {
        for (line, wanted) in [
            (
                "Nov 23 10:00:01 mx postfix/smtp[550]: 4X1: to=<a@b.example>, relay=mx.b.example[192.0.2.550]:25, delay=1, dsn=5.1.1, status=bounced (host mx.b.example[192.0.2.5] said: 550 5.1.1 <a@b.example>: Recipient address rejected: User unknown (in reply to RCPT TO command))",
                "550 5.1.1 no-such-user",
            ),
            (
                "Nov 23 10:00:01 mx postfix/smtp[7]: 4X1: to=<a@b.example>, relay=none, dsn=4.4.1, status=deferred (connect to mx.b.example[192.0.2.5]:25: Connection timed out)",
                "- 4.4.1 port-25",
            ),
            (
                "2026-11-23 10:00:00 1tEx-0001-AB ** a@b.example R=dnslookup T=remote_smtp H=mx.b.example [192.0.2.5]: SMTP error from remote mail server after RCPT TO:<a@b.example>: 550 relay not permitted",
                "550 - relay-denied",
            ),
            (
                "Nov 23 10:00:01 mx sm-mta[77]: u1: to=<a@b.example>, delay=00:00:01, dsn=5.1.1, reply: 550 5.1.1 <a@b.example>... User unknown",
                "550 5.1.1 no-such-user",
            ),
            (
                "msmtp: server message: 535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
                "535 5.7.8 password-refused-prompt",
            ),
            ("s-nail: smtp-server: 535 5.7.3 Authentication unsuccessful", "535 5.7.3 password-refused"),
            ("  server: 550 5.7.1 Message rejected as spam", "550 5.7.1 spam"),
            (
                "@40000000 delivery 7: failure: 192.0.2.5_does_not_like_recipient./Remote_host_said:_550_No_such_user/Giving_up_on_192.0.2.5./",
                "550 - no-such-user",
            ),
            ("openssl: certificate verify failed: self-signed certificate", "- - certificate-self-signed"),
        ] {
            assert_eq!(told(line), [wanted], "{line}");
        }
    }

    #[test]
    fn the_lines_of_a_reply_are_one() {
        let reply = "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\n\
                     550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.\n\
                     550 5.7.26 See https://support.google.com/mail/ - gsmtp";
        assert_eq!(told(reply), ["550 5.7.26 sender-domain-policy"]);
        let known = explain(reply, Some("gmail"));
        assert_eq!(known.iter().map(|e| e.hint.unwrap().id).collect::<Vec<_>>(), ["gmail-unauthenticated"]);
        assert!(known[0].text.ends_with("- gsmtp"), "{}", known[0].text);
    }

    #[test]
    fn the_report_of_smail_itself_is_explained() {
        let report = "smail: cannot log in to smtp.qq.com:465 (implicit TLS) as 1@qq.com\n  \
                      server: 535 Login fail. Account is abnormal, service is not open, password is incorrect,\n  \
                      server: 535 login frequency limited, or system is busy.\n  \
                      535 means: authentication failed\n";
        let told = explain(report, Some("qq"));
        assert_eq!(told.iter().map(|e| e.hint.unwrap().id).collect::<Vec<_>>(), ["qq-abnormal"]);
        assert!(told[0].text.ends_with("incorrect, login frequency limited, or system is busy."), "{}", told[0].text);
    }

    #[test]
    fn a_bounce_is_explained_once_for_every_failure() {
        let bounce = "From: MAILER-DAEMON@mx.example.org\n\
            Subject: Undelivered Mail Returned to Sender\n\
            \n\
            <kim@b.example>: host mx.b.example[192.0.2.5] said: 550 5.1.1 <kim@b.example>:\n    \
            Recipient address rejected: User unknown (in reply to RCPT TO command)\n\
            \n\
            Reporting-MTA: dns; mx.example.org\n\
            \n\
            Final-Recipient: rfc822; kim@b.example\n\
            Action: failed\n\
            Status: 5.1.1\n\
            Diagnostic-Code: smtp; 550 5.1.1 <kim@b.example>: Recipient address rejected:\n    \
            User unknown\n\
            \n\
            Final-Recipient: rfc822; lee@c.example\n\
            Action: failed\n\
            Status: 5.2.2\n\
            Diagnostic-Code: smtp; 552 mailbox full\n\
            \n\
            Final-Recipient: rfc822; pat@d.example\n\
            Action: delayed\n\
            Status: 4.4.1\n";
        let told = told(bounce);
        assert_eq!(told[1..], ["550 5.1.1 no-such-user", "552 5.2.2 mailbox-full", "- 4.4.1 enhanced-4.1"]);
        assert_eq!(told[0], "550 5.1.1 enhanced-1.1");
    }

    #[test]
    fn the_words_are_safe_to_print_and_hostile_text_ends() {
        let explanation = explain("550 \u{1b}[2Jno such user\u{7}", None).remove(0);
        assert_eq!(explanation.text, "[2Jno such user");
        assert_eq!(explanation.class, Some(Class::Permanent));
        explain(&"5.5.5.5 (550-(".repeat(100_000), None);
        explain(&"550-".repeat(100_000), None);
        explain(&"550-x\n".repeat(100_000), None);
        explain(&"\u{4f60}".repeat(500_000), None);
    }
}
