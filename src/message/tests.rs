//! Whole messages: headers and text.
use mail_parser::{MessageParser, MimeHeaders};

use super::*;
use crate::draft::{Body, Encoding};
use crate::mime::crlf;

pub(super) fn address(text: &str) -> Address {
    let (local, domain) = text.split_once('@').unwrap();
    Address::of(local, domain)
}

pub(super) fn mailbox(text: &str) -> Mailbox {
    address(text).into()
}

pub(super) fn named(name: &str, text: &str) -> Mailbox {
    Mailbox {
        name: Some(name.to_owned()),
        address: address(text),
    }
}

pub(super) fn stamp() -> Stamp {
    Stamp {
        now: DateTime::parse_from_rfc3339("2026-11-23T20:15:00+01:00").unwrap(),
        random: 42,
    }
}

/// A mail with a text and nothing else.
pub(super) fn draft(text: &str) -> Draft {
    Draft {
        from: vec![mailbox("me@y.example")],
        return_path: Some(address("me@y.example")),
        to: vec![mailbox("bob@x.example")],
        subject: Some("subj".to_owned()),
        body: Body {
            text: Some(text.as_bytes().to_vec().into()),
            ..Body::default()
        },
        ..Draft::default()
    }
}

pub(super) fn build(draft: Draft) -> Message {
    Message::build_with(draft, &stamp(), &MediaTypes::default()).unwrap()
}

pub(super) fn wire_bytes(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.write_to(&mut out).unwrap();
    assert_eq!(out.len() as u64, message.size());
    assert_eq!(crlf::check(&out), Ok(()), "{}", out.escape_ascii());
    assert!(
        message
            .chunks()
            .all(|chunk| (1..=128 << 10).contains(&chunk.unwrap().len()))
    );
    out
}

pub(super) fn text(draft: Draft) -> String {
    String::from_utf8(wire_bytes(&build(draft)))
        .unwrap()
        .replace("\r\n", "\n")
}

/// The text of a mail below its Message-ID.
pub(super) fn mime(draft: Draft) -> String {
    let whole = text(draft);
    whole
        .split_once("@y.example>\nMIME-Version: 1.0\n")
        .unwrap()
        .1
        .to_owned()
}

pub(super) fn with_text(bytes: &[u8], change: impl FnOnce(&mut Body)) -> Draft {
    let mut draft = draft("");
    draft.body.text = Some(bytes.to_vec().into());
    change(&mut draft.body);
    draft
}

#[test]
fn a_plain_mail_is_exactly_this() {
    let wanted = "Date: Mon, 23 Nov 2026 20:15:00 +0100\nFrom: me@y.example\nTo: bob@x.example\nSubject: subj\n\
        Message-ID: <20261123191500.bdd732262feb6e95@y.example>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
        Content-Transfer-Encoding: 7bit\n\nbody\n";
    assert_eq!(text(draft("body\n")), wanted);
}

#[test]
fn every_header_has_its_place() {
    let mut full = draft("x\n");
    full.from = vec![mailbox("a@y.example"), named("Jörg M.", "j@y.example")];
    full.sender = Some(mailbox("c@y.example"));
    full.cc = vec![mailbox("cc@x.example")];
    full.bcc = vec![mailbox("secret@x.example")];
    full.reply_to = vec![mailbox("r@y.example")];
    full.user_agent = true;
    full.headers = [
        ("X-Tag", "one"),
        ("In-Reply-To", "<a@b>"),
        ("X-Tag", "two"),
        ("Bcc", "h@x.example"),
        ("date", "x"),
        ("In-Reply-To", "<c@d>"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let version = env!("CARGO_PKG_VERSION");
    let wanted = format!(
        "Date: Mon, 23 Nov 2026 20:15:00 +0100\nFrom: a@y.example, =?utf-8?b?SsO2cmcgTS4=?= <j@y.example>\nSender: c@y.example\n\
        To: bob@x.example\nCc: cc@x.example\nSubject: subj\nReply-To: r@y.example\nX-Tag: one\nX-Tag: two\n\
        Message-ID: <20261123191500.bdd732262feb6e95@y.example>\nIn-Reply-To: <a@b>\nUser-Agent: smail/{version}\nMIME-Version: 1.0\n\
        Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\nx\n"
    );
    let message = build(full);
    assert_eq!(
        String::from_utf8(wire_bytes(&message))
            .unwrap()
            .replace("\r\n", "\n"),
        wanted
    );
    assert_eq!(
        message.notes(),
        [
            "the header `Bcc` was left out",
            "the header `date` was left out",
            "the header `In-Reply-To` was left out"
        ]
    );
    assert_eq!(
        message.envelope.recipients,
        [
            address("bob@x.example"),
            address("cc@x.example"),
            address("secret@x.example")
        ]
    );
}

#[test]
fn subject_may_come_before_cc() {
    let mut first = draft("x\n");
    first.cc = vec![mailbox("cc@x.example")];
    first.subject_first = true;
    assert!(text(first).contains("To: bob@x.example\nSubject: subj\nCc: cc@x.example\n"));
}

#[test]
fn a_recipient_named_twice_gets_one_copy_and_one_mention() {
    let mut twice = draft("x\n");
    twice.to = vec![
        named("Bob", "bob@x.example"),
        mailbox("BOB@X.example"),
        mailbox("eve@x.example"),
    ];
    twice.cc = vec![mailbox("Eve@x.example")];
    twice.bcc = vec![mailbox("bob@x.EXAMPLE"), mailbox("z@x.example")];
    let message = build(twice);
    assert_eq!(
        message.envelope.recipients,
        [
            address("bob@x.example"),
            address("eve@x.example"),
            address("z@x.example")
        ]
    );
    let head = String::from_utf8(wire_bytes(&message)).unwrap();
    assert!(
        head.contains("\r\nTo: Bob <bob@x.example>, eve@x.example\r\nSubject:"),
        "{head}"
    );
}

#[test]
fn a_mail_with_only_bcc_shows_nobody() {
    let mut hidden = draft("x\n");
    hidden.bcc = std::mem::take(&mut hidden.to);
    let message = build(hidden);
    assert!(
        !String::from_utf8(wire_bytes(&message))
            .unwrap()
            .contains("bob@")
    );
    assert_eq!(message.envelope.recipients, [address("bob@x.example")]);
}

#[test]
fn authors_are_checked() {
    let build = |draft| Message::build_with(draft, &stamp(), &MediaTypes::default());
    assert!(matches!(build(Draft::default()), Err(MessageError::NoFrom)));
    let mut several = draft("");
    several.from.push(mailbox("b@y.example"));
    assert!(matches!(build(several), Err(MessageError::NoSender(2))));
    let mut wrong = draft("");
    wrong.headers = vec![("X-A\r\nBcc".to_owned(), "e@x.example".to_owned())];
    assert_eq!(
        build(wrong).unwrap_err().to_string(),
        "`X-A\\r\\nBcc` is not a header name"
    );
}

#[test]
fn a_given_date_and_message_id_count_when_they_are_such() {
    let mut given = draft("x\n");
    given.date = Some("Tue, 1 Jul 2003 10:52:37 +0200".to_owned());
    given.message_id = Some("<a.b@c.example>".to_owned());
    let message = build(given);
    assert_eq!(message.id, "<a.b@c.example>");
    let head = String::from_utf8(wire_bytes(&message)).unwrap();
    assert!(
        head.starts_with("Date: Tue, 1 Jul 2003 10:52:37 +0200\r\n")
            && head.contains("Message-ID: <a.b@c.example>\r\n"),
        "{head}"
    );
    let mut wrong = draft("x\n");
    wrong.date = Some("yesterday\r\nBcc: x".to_owned());
    wrong.message_id = Some("<a b>\r\nBcc: x".to_owned());
    let message = build(wrong);
    assert_eq!(message.id, "<20261123191500.bdd732262feb6e95@y.example>");
    assert_eq!(
        message.notes(),
        [
            "the invalid Message-ID `<a b>\\r\\nBcc: x` was replaced",
            "the invalid Date `yesterday\\r\\nBcc: x` was replaced"
        ]
    );
}

#[test]
fn every_row_of_the_body_table_is_sent_as_text() {
    let plain = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: ";
    let long = "x".repeat(2500);
    let soft = ["x".repeat(75), "x".repeat(75)].join("=\n");
    let rows: [(&str, &[u8], &str); 19] = [
        ("A01 ASCII", b"body\n", "7bit\n\nbody\n"),
        (
            "D01 UTF-8",
            "Grüße, 测试 an alle\nLeser von hier bis dort und weiter\n".as_bytes(),
            "quoted-printable\n\nGr=C3=BC=C3=9Fe, =E6=B5=8B=E8=AF=95 an alle\nLeser von hier bis dort und weiter\n",
        ),
        (
            "D02 UTF-8, shorter in base64",
            "Grüße, 测试\n".as_bytes(),
            "base64\n\nR3LDvMOfZSwg5rWL6K+VDQo=\n",
        ),
        (
            "D06 Latin-1",
            b"Gr\xfc\xdfe an alle Leser\n",
            "quoted-printable\n\nGr=C3=BC=C3=9Fe an alle Leser\n",
        ),
        ("D07 CRLF", b"a\r\nb\r\n", "7bit\n\na\nb\n"),
        ("B21 mixed", b"a\r\nb\nc\rd\n", "7bit\n\na\nb\nc\nd\n"),
        (
            "D08 ESC",
            b"a \x1b[31mred\x1b[0m\n",
            "quoted-printable\n\na =1B[31mred=1B[0m\n",
        ),
        (
            "D09 control",
            b"a \x01 b \x7f\n",
            "quoted-printable\n\na =01 b =7F\n",
        ),
        ("D10 NUL", b"a\0b\n", "quoted-printable\n\na=00b\n"),
        ("D11 form feed", b"a\x0cb\n", "quoted-printable\n\na=0Cb\n"),
        (
            "D12 bare CR",
            b"10%\r50%\r100%\ndone\n",
            "7bit\n\n10%\n50%\n100%\ndone\n",
        ),
        (
            "D13 no final newline",
            b"no newline",
            "7bit\n\nno newline\n",
        ),
        ("A21 empty", b"", "7bit\n\n"),
        (
            "D14 long line",
            long.as_bytes(),
            &format!("quoted-printable\n\n{soft}"),
        ),
        (
            "D16 From",
            b"From x\n>From y\n",
            "7bit\n\nFrom x\n>From y\n",
        ),
        ("H20 dots", b".\n..\n.a\n", "7bit\n\n.\n..\n.a\n"),
        ("D20 trailing blanks", b"a  \nb\t\n", "7bit\n\na  \nb\t\n"),
        ("D22 UTF-16", b"\xff\xfeh\0i\0\n\0", "7bit\n\nhi\n"),
        ("B19 tilde", b"~! id\n~< f\n", "7bit\n\n~! id\n~< f\n"),
    ];
    for (row, bytes, wanted) in rows {
        let found = mime(with_text(bytes, |_| {}));
        assert!(
            found.starts_with(&format!("{plain}{wanted}")),
            "{row}: {found}"
        );
    }
}

#[test]
fn what_had_to_be_assumed_about_a_text_is_noted() {
    let latin = build(with_text(b"Gr\xfc\xdfe\n", |body| {
        body.fallback_charsets = vec!["windows-1252".to_owned()];
    }));
    assert_eq!(
        latin.notes(),
        ["the text was not UTF-8 and was read as windows-1252"]
    );
    assert!(build(draft("Grüße")).notes().is_empty());
}

#[test]
fn binary_input_is_attached() {
    let bytes: Vec<u8> = (0..200u8).map(|n| n % 9).collect();
    let message = build(with_text(&bytes, |_| {}));
    assert_eq!(
        message.notes(),
        ["the text is binary and was attached as stdin.bin"]
    );
    let wire = wire_bytes(&message);
    let parsed = MessageParser::new().parse(&wire).unwrap();
    assert_eq!(
        parsed
            .attachments()
            .map(|part| (part.attachment_name(), part.contents()))
            .collect::<Vec<_>>(),
        [(Some("stdin.bin"), bytes.as_slice())]
    );
    assert_eq!(parsed.parts.len(), 2);
}

#[test]
fn the_encoding_asked_for_is_used_where_one_is_needed() {
    let with = |encoding, text: &str| {
        let mut draft = draft(text);
        draft.encoding = encoding;
        mime(draft)
            .split("\n\n")
            .next()
            .unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(with(Encoding::EightBit, "ü\n"), "8bit");
    assert_eq!(with(Encoding::Base64, "ü\n"), "base64");
    assert_eq!(
        with(Encoding::QuotedPrintable, "测试测试\n"),
        "quoted-printable"
    );
    assert_eq!(with(Encoding::Base64, "u\n"), "7bit");
}

#[test]
fn an_8bit_mail_has_a_twin_in_seven() {
    let mut eight = draft("Grüße an alle Leser\n");
    eight.encoding = Encoding::EightBit;
    let message = build(eight);
    assert!(message.eight_bit && !message.needs_smtputf8());
    assert!(
        String::from_utf8(wire_bytes(&message))
            .unwrap()
            .ends_with("8bit\r\n\r\nGrüße an alle Leser\r\n")
    );
    let twin = message.seven_bit().unwrap();
    assert_eq!((twin.eight_bit, &twin.id), (false, &message.id));
    assert!(
        String::from_utf8(wire_bytes(twin))
            .unwrap()
            .ends_with("quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe an alle Leser\r\n")
    );
}

#[test]
fn a_utf8_address_makes_the_headers_utf8() {
    let mut utf8 = draft("x\n");
    utf8.reply_to = vec![mailbox("jörg@y.example")];
    let message = build(utf8);
    assert!(
        message.eight_bit
            && message.needs_smtputf8()
            && message.seven_bit().is_none()
            && !message.envelope.needs_smtputf8()
    );
    assert!(
        String::from_utf8(wire_bytes(&message))
            .unwrap()
            .contains("\r\nReply-To: jörg@y.example\r\n")
    );
}

#[test]
fn a_media_type_the_user_names_is_kept_with_the_true_charset() {
    let with = |bytes: &[u8], media: &str| {
        mime(with_text(bytes, |body| {
            body.media_type = Some(media.to_owned());
        }))
    };
    assert_eq!(
        with(b"<p>x</p>", "text/html"),
        "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n<p>x</p>\n"
    );
    assert_eq!(
        with(
            b"\xb2\xe2\xca\xd4 1 2 3 4 5 6 7 8 9\n",
            "text/csv; charset=GB2312; header=present"
        ),
        "Content-Type: text/csv; charset=utf-8; header=present\nContent-Transfer-Encoding: quoted-printable\n\n=E6=B5=8B=E8=AF=95 1 2 3 4 5 6 7 8 9\n"
    );
    assert_eq!(
        with(b"\0\x01\r", "application/x-y"),
        "Content-Type: application/x-y\nContent-Transfer-Encoding: base64\n\nAAEN\n"
    );
    let multipart = "--b\nContent-Type: text/plain\n\nü\n--b--";
    assert_eq!(
        with(multipart.as_bytes(), "multipart/mixed; boundary=b"),
        format!(
            "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n{multipart}\n"
        )
    );
}

#[test]
fn a_ready_body_stays_as_it_is() {
    let with = |bytes: &[u8], media: &str, encoding: &str| {
        Message::build_with(
            with_text(bytes, |body| {
                (body.media_type, body.ready) = (Some(media.to_owned()), Some(encoding.to_owned()));
            }),
            &stamp(),
            &MediaTypes::default(),
        )
    };
    let shown = |message: Message| {
        String::from_utf8(wire_bytes(&message))
            .unwrap()
            .split_once("Content-Type: ")
            .unwrap()
            .1
            .replace("\r\n", "\n")
    };
    let plain = "text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: ";
    assert_eq!(
        shown(
            with(
                b"Gr=FCn\n",
                "text/plain; charset=iso-8859-1",
                "Quoted-Printable"
            )
            .unwrap()
        ),
        format!("{plain}quoted-printable\n\nGr=FCn\n")
    );
    assert_eq!(
        shown(with(&[b'A'; 1200], "a/b", "base64").unwrap())
            .lines()
            .map(str::len)
            .max(),
        Some(76)
    );
    let eight = with("ü\n".as_bytes(), "text/plain", "8bit").unwrap();
    assert!(eight.eight_bit && eight.seven_bit().is_some_and(|twin| !twin.eight_bit));
    let whole = with(
        "--b\n\nü\n--b--".as_bytes(),
        "multipart/mixed; boundary=b",
        "8bit",
    )
    .unwrap();
    assert!(
        whole.eight_bit
            && whole
                .seven_bit()
                .is_some_and(|twin| wire_bytes(twin).is_ascii())
    );
    let long = [b"--b\n\n".as_slice(), &[b'x'; 999], b"\n--b--"].concat();
    assert!(
        shown(with(&long, "multipart/mixed; boundary=b", "7bit").unwrap())
            .contains("quoted-printable")
    );
    assert!(matches!(
        with(b"", "text/plain", "uuencode"),
        Err(MessageError::Encoding(_))
    ));
    assert!(shown(with(&[b'x'; 999], "text/plain", "7bit").unwrap()).contains("quoted-printable"));
}
