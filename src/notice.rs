//! The notice to a sender that a mail was given up, in the form of RFC 3464: words for people, the
//! facts for programs, and the headers of the mail.
//!
//! Promise: ASCII, with CRLF; nothing a server said or a header holds can add a field or a part of
//! its own. The mail itself is not sent back. Whom the notice goes to, and whether there is to be
//! one, is the caller's to know.
use std::fmt::Write as _;

use crate::text;

/// The longest headers that go along.
pub(crate) const LONGEST_HEADERS: usize = 64 << 10;

/// A recipient that did not get the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// The address.
    pub recipient: String,
    /// What the server said, or why else.
    pub reply: String,
    /// What to do about it, where that is known.
    pub cure: Option<String>,
}

/// What a notice is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts<'a> {
    /// Where it is sent from: the name of the host, or a domain.
    pub host: &'a str,
    /// To whom.
    pub to: &'a str,
    /// The Date.
    pub date: &'a str,
    /// Its Message-ID.
    pub id: &'a str,
    /// The Message-ID of the mail.
    pub about: &'a str,
    /// The name of the mail in the queue, which keeps it.
    pub queue_id: &'a str,
    /// Its subject.
    pub subject: &'a str,
    /// When it was taken, as a Date.
    pub arrived: &'a str,
    /// The name its sender gave the envelope.
    pub envid: Option<&'a str>,
    /// Why it was given up.
    pub why: &'a str,
    /// Who did not get it.
    pub failed: &'a [Failed],
    /// The headers of the mail, with CRLF.
    pub headers: &'a [u8],
}

/// Builds the notice.
pub(crate) fn build(facts: &Facts<'_>) -> Vec<u8> {
    // No line of the parts begins so: the name of the notice is new.
    let boundary = format!(
        "=_notice_{}",
        facts
            .id
            .bytes()
            .filter(u8::is_ascii_alphanumeric)
            .map(char::from)
            .collect::<String>()
    );
    let mut out = String::new();
    for (name, value) in [
        ("Date", facts.date),
        (
            "From",
            &format!("Mail Delivery System <MAILER-DAEMON@{}>", facts.host),
        ),
        ("To", facts.to),
        ("Subject", "Undelivered Mail Returned to Sender"),
        ("Message-ID", facts.id),
        ("In-Reply-To", facts.about),
        ("References", facts.about),
        ("Auto-Submitted", "auto-replied"),
        ("MIME-Version", "1.0"),
    ] {
        field(&mut out, name, value);
    }
    let _ = write!(
        out,
        "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n"
    );
    let part = |out: &mut String, kind: &str| {
        let _ = write!(out, "--{boundary}\r\nContent-Type: {kind}\r\n");
    };
    part(&mut out, "text/plain; charset=utf-8");
    readable(&mut out, words(facts).as_bytes());
    part(&mut out, "message/delivery-status");
    out.push_str("\r\n");
    status(&mut out, facts);
    part(&mut out, "text/rfc822-headers; charset=utf-8");
    readable(
        &mut out,
        &facts.headers[..facts.headers.len().min(LONGEST_HEADERS)],
    );
    let _ = write!(out, "--{boundary}--\r\n");
    out.into_bytes()
}

/// One field. What is not printable ASCII has no place in it.
fn field(out: &mut String, name: &str, value: &str) {
    let value: String = value
        .chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .collect();
    let mut line = format!("{name}:");
    for word in value.split_ascii_whitespace() {
        if line.len() + word.len() >= 77 && line.len() > name.len() + 1 {
            out.extend([line.as_str(), "\r\n"]);
            line.clear();
        }
        // No line is longer than SMTP allows; an address or an identifier never is.
        line.extend([" ", text::cut(word, 900).as_str()]);
    }
    out.extend([line.as_str(), "\r\n"]);
}

/// A part in quoted-printable, with its own line ends.
fn readable(out: &mut String, bytes: &[u8]) {
    out.push_str("Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    out.push_str(&String::from_utf8_lossy(&crate::message::quoted_printable(
        bytes,
    )));
    if !bytes.ends_with(b"\n") {
        out.push_str("\r\n");
    }
}

fn words(facts: &Facts<'_>) -> String {
    let (id, why) = (facts.queue_id, text::short(facts.why));
    let mut out = format!("This is the mail program at {}.\r\n\r\n", facts.host);
    out.push_str("Your message was not delivered to everyone; smail has stopped trying.\r\n\r\n");
    let _ = write!(
        out,
        "  Subject: {}\r\n  Sent:    {}\r\n  Reason:  {why}\r\n\r\n",
        text::short(facts.subject),
        facts.arrived
    );
    out.push_str("Undelivered recipients:\r\n\r\n");
    for failed in facts.failed {
        let _ = write!(
            out,
            "  {}\r\n    {}\r\n",
            text::word(&failed.recipient),
            text::short(&failed.reply)
        );
        if let Some(cure) = &failed.cure {
            let _ = write!(out, "    What to do: {}\r\n", text::short(cure));
        }
    }
    let _ = write!(
        out,
        "\r\nThe message is kept there: `smail --queue-show {id}` shows it, and\r\n`smail --release {id}` sends it again.\r\n"
    );
    out
}

fn status(out: &mut String, facts: &Facts<'_>) {
    field(out, "Reporting-MTA", &format!("dns; {}", facts.host));
    if let Some(envid) = facts.envid {
        field(out, "Original-Envelope-Id", envid);
    }
    field(out, "Arrival-Date", facts.arrived);
    out.push_str("\r\n");
    for failed in facts.failed {
        field(out, "Final-Recipient", &recipient(&failed.recipient));
        field(out, "Action", "failed");
        field(out, "Status", &code(&failed.reply));
        let of_server = failed
            .reply
            .get(..3)
            .is_some_and(|code| code.bytes().all(|b| b.is_ascii_digit()));
        let kind = if of_server { "smtp" } else { "x-smail" };
        if !failed.reply.is_empty() {
            field(out, "Diagnostic-Code", &format!("{kind}; {}", failed.reply));
        }
        out.push_str("\r\n");
    }
}

/// The address with its type; one that is not ASCII in the form of RFC 6533 section 3.
fn recipient(address: &str) -> String {
    if address.is_ascii() {
        return format!("rfc822; {address}");
    }
    let mut out = String::from("utf-8; ");
    for c in address.chars() {
        if c.is_ascii_graphic() && !matches!(c, '\\' | '+' | '=') {
            out.push(c);
        } else {
            let _ = write!(out, "\\x{{{:02X}}}", u32::from(c));
        }
    }
    out
}

/// The code of RFC 3463: the server's own, else what its reply code says, else that the time was
/// over.
fn code(reply: &str) -> String {
    let mut words = reply.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    let parts = |word: &str| {
        word.split('.')
            .map(str::parse::<u16>)
            .collect::<Result<Vec<_>, _>>()
            .ok()
    };
    let enhanced = |word: &&str| {
        parts(word).is_some_and(|p| {
            p.len() == 3 && matches!(p[0], 4 | 5) && p[1..].iter().all(|n| *n < 1000)
        })
    };
    match (first, words.next().filter(enhanced)) {
        (_, Some(own)) => own.to_owned(),
        (code, None) if code.len() == 3 && code.starts_with('5') => "5.0.0".to_owned(),
        _ => "4.4.7".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(failed: &[Failed], headers: &[u8]) -> String {
        let facts = Facts {
            host: "h.example",
            to: "me@x.example",
            date: "Tue, 01 Dec 2026 00:00:00 +0000",
            id: "<2.b@h.example>",
            about: "<1.a@x.example>",
            queue_id: "q1",
            subject: "Grüße",
            arrived: "Mon, 30 Nov 2026 00:00:00 +0000",
            envid: Some("job 7"),
            why: "550 5.1.1 unknown",
            failed,
            headers,
        };
        String::from_utf8(build(&facts)).unwrap()
    }

    fn failed(recipient: &str, reply: &str) -> Failed {
        Failed {
            recipient: recipient.into(),
            reply: reply.into(),
            cure: Some("Check the address.".into()),
        }
    }

    #[test]
    fn a_notice_is_a_report_in_three_parts() {
        let text = notice(
            &[failed("a@x.example", "550 5.1.1 unknown")],
            b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n",
        );
        assert_eq!(
            text,
            "Date: Tue, 01 Dec 2026 00:00:00 +0000\r\n\
             From: Mail Delivery System <MAILER-DAEMON@h.example>\r\n\
             To: me@x.example\r\n\
             Subject: Undelivered Mail Returned to Sender\r\n\
             Message-ID: <2.b@h.example>\r\n\
             In-Reply-To: <1.a@x.example>\r\n\
             References: <1.a@x.example>\r\n\
             Auto-Submitted: auto-replied\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"=_notice_2bhexample\"\r\n\r\n\
             --=_notice_2bhexample\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
             This is the mail program at h.example.\r\n\r\n\
             Your message was not delivered to everyone; smail has stopped trying.\r\n\r\n\
             \x20 Subject: Gr=C3=BC=C3=9Fe\r\n  Sent:    Mon, 30 Nov 2026 00:00:00 +0000\r\n  Reason:  550 5.1.1 unknown\r\n\r\n\
             Undelivered recipients:\r\n\r\n\
             \x20 a@x.example\r\n    550 5.1.1 unknown\r\n    What to do: Check the address.\r\n\r\n\
             The message is kept there: `smail --queue-show q1` shows it, and\r\n`smail --release q1` sends it again.\r\n\
             --=_notice_2bhexample\r\nContent-Type: message/delivery-status\r\n\r\n\
             Reporting-MTA: dns; h.example\r\nOriginal-Envelope-Id: job 7\r\nArrival-Date: Mon, 30 Nov 2026 00:00:00 +0000\r\n\r\n\
             Final-Recipient: rfc822; a@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 unknown\r\n\r\n\
             --=_notice_2bhexample\r\nContent-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
             Subject: =3D?utf-8?q?Gr=3DC3=3DBC=3DC3=3D9Fe?=3D\r\n\
             --=_notice_2bhexample--\r\n"
        );
    }

    #[test]
    fn whatever_was_said_adds_no_field_and_no_part() {
        let evil = "550 no\r\nX-Evil: 1\r\n\r\n--=_notice_2bhexample\r\n\u{1b}[2J";
        let text = notice(
            &[failed("ü@x.example", evil)],
            "Subject: ü\r\n--=_notice_2bhexample--\r\n".as_bytes(),
        );
        assert!(text.is_ascii());
        assert!(
            !text.contains("\r\nX-Evil") && !text.contains('\u{1b}'),
            "{text}"
        );
        assert_eq!(
            text.matches("\r\n--=_notice_2bhexample\r\n").count(),
            3,
            "{text}"
        );
        assert!(
            text.contains("\r\nFinal-Recipient: utf-8; \\x{FC}@x.example\r\n"),
            "{text}"
        );
        assert!(text.lines().all(|line| line.len() < 999));
    }

    #[test]
    fn the_code_is_the_servers_or_follows_from_its_reply() {
        let rows = [
            ("550 5.1.1 unknown", "5.1.1"),
            ("550 no", "5.0.0"),
            ("452 4.2.2 full", "4.2.2"),
            ("450 later", "4.4.7"),
            ("cannot connect to 10.0.0.1", "4.4.7"),
            ("550 5.1.1000 x", "5.0.0"),
            ("", "4.4.7"),
        ];
        for (reply, status) in rows {
            assert_eq!(code(reply), status, "{reply}");
        }
    }
}
