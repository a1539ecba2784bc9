//! Whole messages: how their parts nest, and what must never happen to them.
use super::attachment::tests::attached;
use super::tests::{address, build, draft, mailbox, mime, stamp, text, wire_bytes, with_text};
use super::*;
use crate::draft::{Attachment, Body};
use mail_parser::{MessageParser, MimeHeaders};

#[test]
fn html_brings_a_text_of_its_own() {
    let mut page = draft("");
    page.body = Body {
        html: Some("<p>Grüße &amp; <b>mehr</b></p>".into()),
        ..Body::default()
    };
    let b = "=_47526757130f9f52";
    let wanted = format!(
        "Content-Type: multipart/alternative;\n boundary=\"{b}\"\n\n--{b}\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n\
        Gr=C3=BC=C3=9Fe & mehr\n\n--{b}\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n\
        <p>Gr=C3=BC=C3=9Fe &amp; <b>mehr</b></p>\n\n--{b}--\n"
    );
    assert_eq!(mime(page), wanted);
}

/// The first boundary of a mail.
fn boundary_of(text: &str) -> String {
    text.split("boundary=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

fn skeleton(draft: Draft) -> Vec<String> {
    let whole = mime(draft);
    whole
        .lines()
        .filter(|line| {
            line.starts_with("Content-Type")
                || line.starts_with("--")
                || line.starts_with("Content-ID")
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn parts_nest_as_readers_expect() {
    let mut full = draft("text\n");
    full.body.html = Some(b"<img src='cid:logo.png'>".to_vec());
    full.inline = vec![attached("logo.png", b"png")];
    full.attachments = vec![attached("a.bin", b"\0"), attached("b.txt", b"x\n")];
    let found = skeleton(full);
    let b: Vec<&str> = found
        .iter()
        .filter(|line| line.starts_with("--") && line.ends_with("--"))
        .map(|line| line.trim_end_matches('-'))
        .collect();
    let [related, alternative, mixed] = b.as_slice() else {
        panic!("{found:?}")
    };
    let wanted = [
        "Content-Type: multipart/mixed;",
        mixed,
        "Content-Type: multipart/alternative;",
        alternative,
        "Content-Type: text/plain; charset=utf-8",
        alternative,
        "Content-Type: multipart/related; type=\"text/html\";",
        related,
        "Content-Type: text/html; charset=utf-8",
        related,
        "Content-Type: image/png",
        "Content-ID: <logo.png>",
        &format!("{related}--"),
        &format!("{alternative}--"),
        mixed,
        "Content-Type: application/octet-stream",
        mixed,
        "Content-Type: text/plain; charset=utf-8",
        &format!("{mixed}--"),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn an_attachment_without_words_stands_alone() {
    let mut alone = draft("");
    alone.attachments = vec![attached("a.txt", b"plain\n"), attached("z", b"\0")];
    let whole = mime(alone);
    let b = boundary_of(&whole);
    let wanted = format!(
        "Content-Type: multipart/mixed;\n boundary=\"{b}\"\n\n--{b}\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\
        Content-Disposition: attachment; filename=\"a.txt\"\n\nplain\n\n--{b}\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\
        Content-Disposition: attachment; filename=\"z\"\n\nAA==\n--{b}--\n"
    );
    assert_eq!(whole, wanted);
}

#[test]
fn a_boundary_never_occurs_in_a_text() {
    let mut first = draft("text\n");
    first.attachments = vec![attached("z", b"\0")];
    let boundary = boundary_of(&mime(first));
    let mut second = draft(&format!("--{boundary}\nContent-Type: evil\n"));
    second.attachments = vec![attached("z", b"\0")];
    assert_ne!(boundary_of(&mime(second)), boundary);
}

#[test]
fn a_header_cannot_pass_for_a_splice_marker() {
    // The marker is the second number of the seed, and a hostile subject may know the seed.
    let mut chance = SplitMix64::new(stamp().random);
    chance.draw();
    let mut hostile = draft("body\n");
    hostile.subject = Some(format!("x\r\n\r\nsplice-{:016x}-", chance.draw()));
    assert!(text(hostile).ends_with("7bit\n\nbody\n"));
}

#[test]
fn the_same_draft_and_stamp_give_the_same_bytes() {
    let make = || {
        let mut draft = draft("text\n");
        draft.body.html = Some(b"<p>x".to_vec());
        draft.attachments = vec![attached("z", b"\0")];
        wire_bytes(&build(draft))
    };
    assert_eq!(make(), make());
}

#[test]
fn a_file_that_shrinks_is_filled_and_told_of() {
    let mut shrinking = draft("x\n");
    shrinking.attachments = vec![attached("z.bin", &[0; 500_000])];
    let file = shrinking.attachments[0].file.clone();
    let message = build(shrinking);
    assert!(message.write_to(&mut io::sink()).is_ok());
    file.set_len(400_000).unwrap();
    assert!(message.late_notes().is_empty());
    let mut wire = Vec::new();
    message.write_to(&mut wire).unwrap();
    assert_eq!(wire.len() as u64, message.size());
    let parsed = MessageParser::new().parse(&wire).unwrap();
    let sent = parsed.attachment(0).unwrap().contents();
    let words =
        "\n[smail: this file had 500000 bytes when it was opened and 400000 when it was read]\n\n";
    assert_eq!(sent.len(), 500_000);
    assert!(sent[400_000..].starts_with(words.as_bytes()));
    let note = "`z.bin` had 500000 bytes when it was opened and 400000 when it was read; the rest was padded";
    assert_eq!(message.late_notes(), [note]);
}

#[test]
fn large_things_take_linear_time() {
    let start = std::time::Instant::now();
    wire_bytes(&build(draft(&"a line of text\n".repeat(700_000))));
    wire_bytes(&build(draft(&"eine Zeile für alle\n".repeat(400_000))));
    wire_bytes(&build(draft(&"x".repeat(1 << 20))));
    let mut many = draft("x\n");
    many.headers = (0..10_000)
        .map(|n| (format!("X-{n}"), "v".to_owned()))
        .collect();
    many.to = (0..20_000)
        .map(|n| mailbox(&format!("u{n}@x.example")))
        .collect();
    many.attachments = vec![attached("z", b"\0"); 2000];
    wire_bytes(&build(many));
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn a_ready_multipart_is_one_part_beside_files() {
    let mut ready = draft(
        "--b\nContent-Type: text/plain\n\nfirst\n--b\nContent-Type: text/plain\n\nsecond\n--b--\n",
    );
    ready.body.media_type = Some("multipart/alternative; boundary=b".to_owned());
    ready.body.ready = Some("7bit".to_owned());
    ready.attachments = vec![attached("z.bin", b"\0")];
    let wire = wire_bytes(&build(ready));
    let parsed = MessageParser::new().parse(&wire).unwrap();
    let kinds: Vec<_> = parsed
        .parts
        .iter()
        .map(|part| part.content_type().unwrap().subtype().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds,
        ["mixed", "alternative", "plain", "plain", "octet-stream"]
    );
    assert_eq!(
        (
            parsed.body_text(0).as_deref(),
            parsed.attachment(0).map(mail_parser::MessagePart::contents)
        ),
        (Some("first"), Some(b"\0".as_slice()))
    );
}

#[test]
fn a_subject_of_several_lines_begins_no_other_header() {
    let mut several = draft("x\n");
    several.subject = Some("x\r\nBcc: e@x.example".to_owned());
    let message = build(several);
    assert!(
        String::from_utf8(wire_bytes(&message))
            .unwrap()
            .contains("\r\nSubject: x Bcc: e@x.example\r\n")
    );
}

#[test]
fn html_says_what_charset_it_is_in() {
    let page = |bytes: &[u8]| {
        mime(with_text(bytes, |body| {
            body.media_type = Some("text/html".to_owned());
        }))
    };
    assert!(
        page(b"<meta charset=gbk>\n<p>a paragraph of some length\n<p>\xb2\xe2\xca\xd4")
            .ends_with("<p>=E6=B5=8B=E8=AF=95\n")
    );
}

#[test]
fn a_mail_that_is_ready_tells_what_it_needs() {
    let envelope = || Envelope {
        sender: None,
        recipients: vec![address("a@b.example")],
        ..Envelope::default()
    };
    let from_wire =
        |text: &str| Message::from_wire("<a@b>".to_owned(), envelope(), text.as_bytes().to_vec());
    let body = from_wire("From: a@b\r\n\r\nü\r\n");
    assert!(body.eight_bit && !body.needs_smtputf8());
    assert!(from_wire("From: ü@b\r\n\r\nx\r\n").needs_smtputf8());
    assert!(!from_wire("From: a@b\r\n\r\nx\r\n").eight_bit);
}

/// A mail with mail in eight bits in it.
fn forwarding(inner: &[u8]) -> Message {
    let mut outer = draft("see below\n");
    outer.attachments = vec![attached("m.eml", inner)];
    build(outer)
}

#[test]
fn mail_that_goes_with_a_mail_stays_mail_in_eight_bits_and_in_seven() {
    let inner = "From x Mon Nov 23\nSubject: gr\u{fc}n\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße\nFrom here\n";
    let message = forwarding(inner.as_bytes());
    assert!(message.eight_bit && !message.needs_smtputf8());
    let shown = String::from_utf8(wire_bytes(&message)).unwrap();
    let wire = inner.split_once('\n').unwrap().1.replace('\n', "\r\n");
    assert!(shown.contains(&format!("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\nContent-Disposition: attachment; filename=\"m.eml\"\r\n\r\n{wire}\r\n--")), "{shown}");
    let seven = wire_bytes(message.seven_bit().unwrap());
    assert!(seven.is_ascii());
    for wire in [wire_bytes(&message), seven] {
        let parsed = MessageParser::new().parse(&wire).unwrap();
        let inner = parsed.attachment(0).unwrap().message().unwrap();
        assert_eq!(inner.subject(), Some("grün"));
        assert_eq!(
            inner.body_text(0).unwrap().replace("\r\n", "\n"),
            "Grüße\nFrom here\n"
        );
    }
}

#[test]
fn a_large_mail_within_a_mail_is_read_while_it_is_sent() {
    let text = "Grüße und mehr davon\n".repeat(200_000);
    let long = "x".repeat(2000);
    let inner = format!("Subject: x\n\n{text}{long}\n");
    let message = forwarding(inner.as_bytes());
    let wire = wire_bytes(&message);
    let parsed = MessageParser::new().parse(&wire).unwrap();
    let inner = parsed.attachment(0).unwrap().message().unwrap();
    assert!(inner.body_text(0).unwrap().replace("\r\n", "\n") == format!("{text}{long}\n"));
}

#[test]
fn what_is_said_of_a_text_stays_beside_it() {
    let make = |files: Vec<Attachment>| {
        let mut draft = draft("YQ==\n");
        draft.body.media_type = Some("application/pdf".to_owned());
        draft.body.ready = Some("base64".to_owned());
        draft.body.fields = vec![
            (
                "Content-Disposition".to_owned(),
                "attachment; filename=\"ü.pdf\"".to_owned(),
            ),
            ("Content-ID".to_owned(), "<1@y>".to_owned()),
        ];
        draft.attachments = files;
        mime(draft)
    };
    let part = "Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\
        Content-Disposition: attachment; filename*=utf-8''%C3%BC.pdf\nContent-ID: <1@y>\n\nYQ==\n";
    let coding = "Content-Transfer-Encoding: base64\n";
    assert_eq!(
        make(Vec::new()),
        part.replace(coding, "")
            .replace("\n\n", &format!("\n{coding}\n"))
    );
    assert!(make(vec![attached("z.bin", b"\0")]).contains(&format!("\n{part}")));
}
