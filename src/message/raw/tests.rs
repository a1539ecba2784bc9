//! Mail as programs write it, and what becomes of it.
use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::*;
use crate::address::{Address, Mailbox};
use crate::message::tests::{address, mailbox, named, stamp, wire_bytes};
use crate::message::{Envelope, Message};
use crate::mime::crlf;

/// What is added on top when nothing is there.
const TOP: &str = "From: Cron <cron@y.example>\nDate: Mon, 23 Nov 2026 20:15:00 +0100\nMessage-ID: <20261123191500.bdd732262feb6e95@y.example>\n";
/// A head in which nothing is missing.
const FULL: &str =
    "From: a@b.example\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-ID: <1@b.example>\n";

fn envelope() -> Envelope {
    Envelope {
        recipients: vec![address("you@x.example")],
        ..Envelope::default()
    }
}

fn edits(mailbox: &dyn Fn(&str, &Mailbox) -> Option<Vec<Mailbox>>) -> Edits<'_> {
    Edits {
        author: named("Cron", "cron@y.example"),
        mailbox,
        force_from: None,
        fallback_charsets: &[],
    }
}

fn complete_with(input: &[u8], edits: &Edits<'_>) -> Message {
    Raw::read(input, false)
        .unwrap()
        .complete(envelope(), edits, &stamp())
        .unwrap()
}

fn complete(input: &[u8]) -> Message {
    complete_with(input, &edits(&|_, _| None))
}

/// The bytes as text with LF, what is not UTF-8 escaped.
fn shown(message: &Message) -> String {
    let out = wire_bytes(message);
    String::from_utf8(out)
        .unwrap_or_else(|error| error.into_bytes().escape_ascii().to_string())
        .replace("\r\n", "\n")
}

fn sent(input: impl AsRef<[u8]>) -> String {
    shown(&complete(input.as_ref()))
}

#[test]
fn input_as_it_really_comes_is_completed_and_sent() {
    let rows: [(&[u8], &str); 15] = [
        (b"hello place\n", "\nhello place\n"),
        (b"Error: foo\n", "Error: foo\n\n"),
        (b"Subject: s\nTo: root\n", "Subject: s\nTo: root\n\n"),
        (b"Subject: s\n\nno end", "Subject: s\n\nno end\n"),
        (b"Subject: s", "Subject: s\n\n"),
        (b"", "\n"),
        (b"\n", "\n"),
        (b"\nbody\n", "\nbody\n"),
        (
            b"Subject: s\n\n.\nafter the dot\n",
            "Subject: s\n\n.\nafter the dot\n",
        ),
        (
            b"Subject: s\r\nTo: root\r\n\r\nbody\r\n",
            "Subject: s\nTo: root\n\nbody\n",
        ),
        (
            b"To: a\r\nSubject: s\n\r\nx\ny\r\nz\r",
            "To: a\nSubject: s\n\nx\ny\nz\n",
        ),
        (
            b"To: a\r\r\nSubject: s\r\r\n\r\r\nx\n",
            "To: a\nSubject: s\n\nx\n",
        ),
        (
            b"From cron@b Mon Jan 1 00:00:00 2024\nTo: a\n\nb\n",
            "To: a\n\nb\n",
        ),
        (b">From x\n>>From y\nTo: a\n\nFrom b\n", "To: a\n\nFrom b\n"),
        (
            b"To: a\nthis is no field\nx: y\n",
            "To: a\n\nthis is no field\nx: y\n",
        ),
    ];
    for (input, wanted) in rows {
        assert_eq!(
            sent(input),
            format!("{TOP}{wanted}"),
            "{}",
            input.escape_ascii()
        );
    }
}

#[test]
fn a_dot_ends_it_at_a_terminal_only() {
    let typed = |text: &str| {
        let raw = Raw::read(text.as_bytes(), true).unwrap();
        shown(
            &raw.complete(envelope(), &edits(&|_, _| None), &stamp())
                .unwrap(),
        )
    };
    assert_eq!(typed("To: a\n\nb\n.\nc\n"), format!("{TOP}To: a\n\nb\n"));
    assert_eq!(typed("To: a\n.\nc\n"), format!("{TOP}To: a\n\n"));
    assert_eq!(typed("To: a\n\n..\nc\n"), format!("{TOP}To: a\n\n..\nc\n"));
}

#[test]
fn a_complete_mail_keeps_every_byte() {
    let odd = format!(
        "Received: by x;\n\tMon, 1 Jan 2024\nsubject :  two  blanks =?utf-8?q?=C3=BC?=\nTo: undisclosed-recipients:;\nCc: not an address\nX-Esc:\n folded\n{FULL}\nb \n\n"
    );
    assert_eq!(sent(&odd), odd);
}

#[test]
fn a_signed_mail_keeps_every_byte_with_eight_bits_too() {
    let signed = format!(
        "DKIM-Signature: v=1; a=rsa-sha256;\n  b=AbC\n{FULL}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: binary\n\nGrüße\n"
    );
    assert!(Raw::read(signed.as_bytes(), false).unwrap().is_signed());
    let message = complete(signed.as_bytes());
    assert_eq!(shown(&message), signed);
    assert!(message.eight_bit && !message.needs_smtputf8() && message.notes().is_empty());
}

#[test]
fn hidden_recipients_never_travel() {
    let input = format!(
        "Bcc: a@b.example,\n\tc@d.example\nBCC : e@f.example\n{FULL}Resent-Bcc: g@h.example\nReturn-Path: <i@j.example>\nContent-Length: 3\nSubject: s\n\nBcc: stays\n"
    );
    let wanted = format!("{FULL}Subject: s\n\nBcc: stays\n");
    assert_eq!(sent(input), wanted);
}

#[test]
fn mail_that_is_sent_on_gets_resent_fields_in_its_block() {
    let input = format!("Resent-To: x@y.example\nResent-To: old@y.example\n{FULL}\nb\n");
    let date = "Resent-Date: Mon, 23 Nov 2026 20:15:00 +0100";
    let id = "Resent-Message-ID: <20261123191500.bdd732262feb6e95@b.example>";
    assert_eq!(
        sent(&input),
        format!("Resent-From: Cron <cron@y.example>\n{date}\n{id}\n{input}")
    );
    let raw = Raw::read(input.as_bytes(), false).unwrap();
    assert!(raw.resent());
    assert_eq!(raw.resent_values("resent-to"), ["x@y.example"]);
    assert_eq!(raw.values("Resent-To"), ["x@y.example", "old@y.example"]);
}

#[test]
fn raw_bytes_in_a_head_are_encoded_by_the_grammar_of_their_field() {
    let rows: [(&[u8], &str); 9] = [
        (
            "Subject: Grüße".as_bytes(),
            "Subject: =?utf-8?b?R3LDvMOfZQ==?=",
        ),
        (b"Subject: Gr\xfc\xdfe", "Subject: =?utf-8?b?R3LDvMOfZQ==?="),
        (
            "Subject: =?utf-8?q?=C3=A4?= ö".as_bytes(),
            "Subject: =?utf-8?b?w6Qgw7Y=?=",
        ),
        (
            "To: Jörg <j@x.example>, k@x.example".as_bytes(),
            "To: =?utf-8?b?SsO2cmc=?= <j@x.example>, k@x.example",
        ),
        (
            "X-Cron-Env: <A=ü>".as_bytes(),
            "X-Cron-Env: =?utf-8?b?PEE9w7w+?=",
        ),
        (
            "Content-Type: text/plain; name=\"ü.txt\"".as_bytes(),
            "MIME-Version: 1.0\nContent-Type: text/plain; name*=utf-8''%C3%BC.txt",
        ),
        (
            "MIME-Version: 1.0\nContent-Disposition: attachment; filename=\"ü x.txt\"".as_bytes(),
            "MIME-Version: 1.0\nContent-Disposition: attachment; filename*=utf-8''%C3%BC%20x.txt",
        ),
        (b"Subject: a\0b\rBcc: evil", "Subject: a b Bcc: evil"),
        (b"Subject: a\n \n b", "Subject: a  b"),
    ];
    for (field, wanted) in rows {
        let input = [FULL.as_bytes(), field, b"\n\nb\n"].concat();
        let got = sent(&input);
        let (mime, wanted) = match wanted.strip_prefix("MIME-Version: 1.0\nContent-Type") {
            Some(rest) => ("MIME-Version: 1.0\n", format!("Content-Type{rest}")),
            None => ("", wanted.to_owned()),
        };
        assert_eq!(
            got,
            format!("{mime}{FULL}{wanted}\n\nb\n"),
            "{}",
            field.escape_ascii()
        );
    }
}

#[test]
fn an_address_beyond_ascii_needs_smtputf8_and_has_no_seven_bit_form() {
    let message = complete(format!("To: Jörg <jörg@x.example>\n{FULL}\nb\n").as_bytes());
    assert!(message.needs_smtputf8() && message.seven_bit().is_none());
    let out = shown(&message);
    assert!(
        out.contains("To: =?utf-8?b?SsO2cmc=?= <jörg@x.example>\n"),
        "{out}"
    );
}

#[test]
fn long_fields_fold_and_those_without_a_name_to_send_are_noted() {
    let words = "word ".repeat(400);
    let id = "<aaaaaaaaaaaaaaaaaaaa@b.example>".repeat(60);
    let name = "n".repeat(1200);
    let input = format!(
        "Subject: {words}\nReferences: {id}\nX-A: {}\n{name}: x\n{FULL}\nb\n",
        "y".repeat(3000)
    );
    let message = complete(input.as_bytes());
    let out = wire_bytes(&message);
    let parsed = MessageParser::default().parse(&out).unwrap();
    assert_eq!(parsed.subject().unwrap(), words.trim_end());
    assert_eq!(parsed.references().as_text_list().unwrap().len(), 60);
    let value = parsed
        .header_raw("X-A")
        .unwrap()
        .replace("=?utf-8?q?", "")
        .replace("?=", "");
    assert_eq!(
        value.split_whitespace().collect::<String>(),
        "y".repeat(3000)
    );
    assert_eq!(
        message.notes(),
        [format!(
            "the header that begins with `{}` cannot be sent and was left out",
            "n".repeat(40)
        )]
    );
}

#[test]
fn eight_bits_are_named() {
    let mime = |charset: &str| {
        format!(
            "MIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n"
        )
    };
    let message = complete("hellö\n".as_bytes());
    assert_eq!(shown(&message), format!("{TOP}{}\nhellö\n", mime("utf-8")));
    assert!(message.eight_bit);
    assert!(
        wire_bytes(&complete(b"Gr\xfc\xdfe\n")).starts_with(
            format!("{TOP}{}", mime("windows-1252"))
                .replace('\n', "\r\n")
                .as_bytes()
        )
    );
    let fallback = ["gb18030".to_owned(), "windows-1252".to_owned()];
    let known = Edits {
        fallback_charsets: &fallback,
        ..edits(&|_, _| None)
    };
    for (bytes, charset) in [
        (&b"Gr\xfc\xdfe\n"[..], "windows-1252"),
        (b"\xb2\xe2\xca\xd4\n", "gb18030"),
    ] {
        let out = wire_bytes(&complete_with(bytes, &known));
        assert!(
            out.starts_with(
                format!("{TOP}{}", mime(charset))
                    .replace('\n', "\r\n")
                    .as_bytes()
            ),
            "{charset}"
        );
    }
}

#[test]
fn labels_that_are_wrong_are_put_right() {
    let rows = [
        ("binary", "a\n", "7bit"),
        ("binary", "ü\n", "8bit"),
        ("7bit", "ü\n", "8bit"),
        ("8bit", "a\n", "8bit"),
    ];
    for (given, body, wanted) in rows {
        let mail = |label: &str| {
            format!(
                "{FULL}MIME-Version: 1.0\nContent-Transfer-Encoding: {label}\nContent-Type: text/plain\n\n{body}"
            )
        };
        assert_eq!(sent(mail(given)), mail(wanted));
    }
}

#[test]
fn only_the_addresses_that_are_looked_at_change() {
    let qualify = |_: &str, mailbox: &Mailbox| {
        let address = mailbox.address.clone();
        address.is_bare().then(|| {
            vec![Mailbox {
                name: mailbox.name.clone(),
                address: address.qualify("y.example").unwrap(),
            }]
        })
    };
    let input = "From: root (Cron Daemon)\nTo:   \"a\"  <b@c.example>\nCc: x@c.example, root\nDate: d\nMessage-ID: <1@b>\n\nb\n";
    let wanted = "From: Cron Daemon <root@y.example>\nTo:   \"a\"  <b@c.example>\nCc: x@c.example, root@y.example\nDate: d\nMessage-ID: <1@b>\n\nb\n";
    let seen = std::cell::RefCell::new(Vec::new());
    let look = |name: &str, mailbox: &Mailbox| {
        seen.borrow_mut().push(format!("{name} {mailbox}"));
        qualify(name, mailbox)
    };
    let message = complete_with(input.as_bytes(), &edits(&look));
    assert_eq!(shown(&message), wanted);
    assert_eq!(message.id, "<1@b>");
    assert_eq!(
        seen.into_inner(),
        [
            "from Cron Daemon <root>",
            "to a <b@c.example>",
            "cc x@c.example",
            "cc root"
        ]
    );
}

#[test]
fn a_forced_from_keeps_the_old_one() {
    let forced = Edits {
        force_from: Some(mailbox("only@y.example")),
        ..edits(&|_, _| None)
    };
    let rest = "Date: d\nMessage-ID: <1@b>\n\nb\n";
    let row = |head: &str| shown(&complete_with(format!("{head}{rest}").as_bytes(), &forced));
    assert_eq!(
        row("From: Joe <j@b.example>\n"),
        format!(
            "From: Joe <only@y.example>\nX-Original-From: Joe <j@b.example>\nReply-To: Joe <j@b.example>\n{rest}"
        )
    );
    assert_eq!(
        row("From: j@b.example\nReply-To: r@b.example\n"),
        format!(
            "From: only@y.example\nX-Original-From: j@b.example\nReply-To: r@b.example\n{rest}"
        )
    );
    assert_eq!(
        row("From: Joe <ONLY@y.example>\n"),
        format!("From: Joe <ONLY@y.example>\n{rest}")
    );
}

#[test]
fn a_head_without_end_is_refused_and_a_body_without_line_end_is_not() {
    let head = "a: b\n".repeat(1 << 20);
    assert_eq!(
        Raw::read(head.as_bytes(), false).unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
    let body = "x".repeat(6 << 20);
    let out = wire_bytes(&complete(body.as_bytes()));
    assert_eq!(
        MessageParser::default()
            .parse(&out)
            .unwrap()
            .body_text(0)
            .unwrap()
            .trim_end(),
        body
    );
}

#[test]
fn a_large_body_lies_in_a_file_and_is_sent_as_it_was() {
    let body = "Zeile für Zeile\n".repeat(300_000);
    let message = complete(format!("{FULL}\n{body}").as_bytes());
    assert!(
        message
            .pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Stored(stored) if stored.length > 4 << 20))
    );
    assert!(shown(&message).ends_with(&format!("Content-Transfer-Encoding: 8bit\n{FULL}\n{body}")));
    let seven = wire_bytes(message.seven_bit().unwrap());
    assert!(seven.is_ascii());
    assert_eq!(
        MessageParser::default()
            .parse(&seven)
            .unwrap()
            .body_text(0)
            .unwrap()
            .replace("\r\n", "\n"),
        body
    );
}

/// Bytes that mail is made of, and any others.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\0".to_vec()),
        Just(b" ".to_vec()),
        Just(b"From: ".to_vec()),
        Just(b"To: a@b.example, ".to_vec()),
        Just(b"Subject: =?utf-8?q?=C3?= ".to_vec()),
        Just(b"Content-Type: multipart/mixed; boundary=b\n\n".to_vec()),
        Just(b"Content-Type: message/rfc822\n\n".to_vec()),
        Just(b"Content-Transfer-Encoding: base64\n".to_vec()),
        Just(b"Content-Transfer-Encoding: quoted-printable\n".to_vec()),
        Just(b"--b\n".to_vec()),
        Just(b"--b--\n".to_vec()),
        Just(vec![b'x'; 1100]),
        Just("ü".repeat(600).into_bytes()),
        Just(b"= =\n=4".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(words, 0..30).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn whatever_comes_in_can_be_sent(input in soup()) {
        let message = complete(&input);
        let out = wire_bytes(&message);
        prop_assert_eq!(message.eight_bit, !out.is_ascii());
        let head = out.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(out.len());
        prop_assert_eq!(message.header_utf8(), !out[..head].is_ascii());
        if let Some(seven) = message.seven_bit() {
            prop_assert!(wire_bytes(seven).is_ascii());
        } else {
            prop_assert!(!message.eight_bit || message.header_utf8());
        }
    }

    #[test]
    fn text_of_any_kind_is_read_back(text in "([ -~äß€]{0,30}|[a-z ü]{990,1100}|=|\\.|\n){0,12}") {
        let message = complete(format!("Subject: s\n\n{text}").as_bytes());
        for out in [Some(wire_bytes(&message)), message.seven_bit().map(wire_bytes)].into_iter().flatten() {
            let parsed = MessageParser::default().parse(&out).unwrap();
            let got = parsed.body_text(0).unwrap_or_default().replace("\r\n", "\n");
            prop_assert_eq!(got.trim_end_matches('\n'), text.trim_end_matches('\n'));
            prop_assert!(parsed.content_transfer_encoding().is_none_or(|encoding| encoding != "binary"));
            prop_assert_eq!(crlf::check(&out), Ok(()));
        }
    }
}

/// No parser lets such an address exist; the guard behind the writer is all that is left then.
#[test]
fn a_field_that_would_begin_another_one_is_mended_or_makes_no_mail() {
    let odd = || Mailbox::from(Address::of("\"a\\\r\\\nBcc: e@x\\\r\\\n\"", "x"));
    let replace = |field: &str, _: &Mailbox| Some(vec![odd()]).filter(|_| field == "to");
    let none = |_: &str, _: &Mailbox| None;
    let rows = [
        (
            true,
            Edits {
                author: odd(),
                ..edits(&none)
            },
            "Subject: s\n\n",
        ),
        (false, edits(&replace), "To: b@x\n\n"),
        (
            false,
            Edits {
                force_from: Some(odd()),
                ..edits(&none)
            },
            "From: b@x\n\n",
        ),
    ];
    for (refused, edits, input) in rows {
        let built =
            Raw::read(input.as_bytes(), false)
                .unwrap()
                .complete(envelope(), &edits, &stamp());
        match built {
            Err(crate::message::MessageError::Mime(_)) => assert!(refused, "{input}"),
            Err(error) => panic!("{error}"),
            Ok(message) => assert!(
                !refused && !shown(&message).contains("\nBcc"),
                "{}",
                shown(&message)
            ),
        }
    }
}
