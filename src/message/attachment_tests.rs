//! Facts about files that go with a mail.
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;

/// A file in a directory of its own, as a draft opens it.
pub(crate) fn attached(name: &str, bytes: &[u8]) -> Attachment {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Attachment {
        file: Arc::new(file),
        path: PathBuf::from(name),
        length: bytes.len() as u64,
        name: name.to_owned(),
        media_type: None,
        charset: None,
    }
}

fn described(attachment: &Attachment) -> (String, Transfer) {
    let leaf = leaf(attachment, Place::Attached, Some(&MediaTypes::default())).unwrap();
    (leaf.headers[0].1.clone(), leaf.transfer)
}

#[test]
fn a_file_is_what_its_name_and_its_content_say() {
    use Transfer::{Base64, EightBit, SevenBit};
    let rows: [(&str, &[u8], &str, Transfer); 24] = [
        ("a.txt", b"plain\n", "text/plain; charset=utf-8", SevenBit),
        ("p.png", b"\x89PNG\r\n\x1a\n\0\0", "image/png", Base64),
        (
            "i.html",
            b"<p>x</p>\n",
            "text/html; charset=utf-8",
            SevenBit,
        ),
        (
            "w.csv",
            b"a,b\r\n1,2\r\n",
            "text/csv; charset=utf-8",
            Base64,
        ),
        ("noext", b"k: v\n", "text/plain; charset=utf-8", SevenBit),
        ("nl.txt", b"no nl", "text/plain; charset=utf-8", Base64),
        ("e.txt", b"", "text/plain; charset=utf-8", Base64),
        (
            "ansi.log",
            b"log \x1b[1mB\x1b[0m\n",
            "text/plain; charset=utf-8",
            Base64,
        ),
        ("j.json", b"{\"a\":1}\n", "application/json", Base64),
        (
            "u.txt",
            "ü\n".as_bytes(),
            "text/plain; charset=utf-8",
            Base64,
        ),
        ("l.txt", b"Gr\xfcn\n", "text/plain", Base64),
        ("z.tar.gz", b"\x1f\x8b\x08\0zz", "application/gzip", Base64),
        ("r.sh", b"#!/bin/sh\necho hi\n", "application/x-sh", Base64),
        (
            "blob",
            b"\0\x01\x02\xff",
            "application/octet-stream",
            Base64,
        ),
        ("latin", b"Gr\xfcn\n", "application/octet-stream", Base64),
        (
            "from.txt",
            b"a\nFrom b\n",
            "text/plain; charset=utf-8",
            Base64,
        ),
        (
            "code.ts",
            b"let a = 1;\n",
            "text/plain; charset=utf-8",
            SevenBit,
        ),
        (
            "film.ts",
            b"G@\0\x10\0\0\xb0\r\0\x01\xc1",
            "video/vnd.dlna.mpeg-tts",
            Base64,
        ),
        ("m.eml", b"Subject: x\n\nbody\n", "message/rfc822", SevenBit),
        (
            "8.eml",
            "Subject: ü\n\n".as_bytes(),
            "message/rfc822",
            EightBit,
        ),
        (
            "none.eml",
            "ü\n\n".as_bytes(),
            "application/octet-stream",
            Base64,
        ),
        (
            "nul.eml",
            b"\0\0\0\0\x01\x01\x01\x01",
            "application/octet-stream",
            Base64,
        ),
        (
            "i.ics",
            b"BEGIN:VCALENDAR\r\nmethod:request\r\n",
            "text/calendar; charset=utf-8; method=request",
            Base64,
        ),
        (
            "p.ics",
            b"BEGIN:VCALENDAR\nVERSION:2.0\n",
            "text/calendar; charset=utf-8",
            SevenBit,
        ),
    ];
    for (name, bytes, media, transfer) in rows {
        assert_eq!(
            described(&attached(name, bytes)),
            (media.to_owned(), transfer),
            "{name}"
        );
    }
}

#[test]
fn what_the_user_says_about_a_file_counts() {
    let with = |name: &str, media: Option<&str>, charset: Option<&str>| {
        described(&Attachment {
            media_type: media.map(str::to_owned),
            charset: charset.map(str::to_owned),
            ..attached(name, b"Gr\xfcn\n")
        })
        .0
    };
    assert_eq!(
        with("l.txt", None, Some("latin1")),
        "text/plain; charset=latin1"
    );
    assert_eq!(
        with("m.txt", None, Some("latin1#utf-8")),
        "text/plain; charset=latin1"
    );
    assert_eq!(
        with("noext", None, Some("ISO-8859-1")),
        "text/plain; charset=iso-8859-1"
    );
    assert_eq!(with("l.txt", None, Some("a; b=\"c\r\n")), "text/plain");
    assert_eq!(
        with("l.txt", Some("application/x-mine; a=b"), None),
        "application/x-mine; a=b"
    );
    assert_eq!(
        with("l.txt", Some("text/x-mine; charset=koi8-r"), None),
        "text/x-mine; charset=koi8-r"
    );
    assert_eq!(
        with("l.txt", Some("message/rfc822"), None),
        "application/octet-stream"
    );
    assert_eq!(
        with("i.ics", Some("text/calendar; method=X"), None),
        "text/calendar; method=X"
    );
    let wrong = Attachment {
        media_type: Some("nonsense".into()),
        ..attached("a", b"")
    };
    assert!(matches!(
        leaf(&wrong, Place::Attached, Some(&MediaTypes::default())),
        Err(MessageError::Mime(crate::mime::MimeError::MediaType(_)))
    ));
}

#[test]
fn a_name_is_a_base_name_that_shows_as_it_is() {
    let long = "x".repeat(300) + ".pdf";
    let wide = "测".repeat(100) + ".txt";
    let rows = [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nX: y", "aX: y"),
        ("a\"b\\c.txt", "a\"b\\c.txt"),
        ("gpj.\u{202e}exe", "gpj.exe"),
        ("\u{1b}[1m\0", "[1m"),
        (" .. ", "attachment"),
        ("", "attachment"),
        ("dir/", "attachment"),
        (".profile", ".profile"),
        (&long, &("x".repeat(251) + ".pdf")),
        (&wide, &("测".repeat(83) + ".txt")),
    ];
    for (given, wanted) in rows {
        assert_eq!(safe_name(given), wanted, "{}", given.escape_debug());
    }
}

#[test]
fn an_inline_image_is_named_as_the_html_names_it() {
    let headers = leaf(
        &attached("my logo.png", b"x"),
        Place::Inline,
        Some(&MediaTypes::default()),
    )
    .unwrap()
    .headers;
    let text: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_eq!(
        text,
        [
            "Content-Type: image/png",
            "Content-ID: <my%20logo.png>",
            "Content-Disposition: inline; filename=\"my logo.png\""
        ]
    );
}

#[test]
fn a_large_text_is_proved_across_blocks() {
    let text = "ü测".repeat(60_000);
    assert_eq!(
        described(&attached("a.txt", text.as_bytes())).0,
        "text/plain; charset=utf-8"
    );
    let broken = [text.as_bytes(), b"\xfc"].concat();
    assert_eq!(described(&attached("a.txt", &broken)).0, "text/plain");
    let shifted = [b"x".as_slice(), text.as_bytes()].concat();
    assert_eq!(
        described(&attached("noext", &shifted)).0,
        "text/plain; charset=utf-8"
    );
}
