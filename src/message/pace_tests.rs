//! The worst that a mail can be: whatever its head and its body are made of, the time grows as the
//! mail does.
use super::raw::{Edits, Raw};
use super::tests::{address, draft, mailbox, stamp};
use super::{Envelope, MediaTypes, Message};
use crate::pace::{assert_linear, numbered, repeated};

/// A name, the beginning of a mail, and what it goes on with.
type Row<'a> = (&'a str, &'a str, &'a dyn Fn(usize) -> String);

/// Reads a mail as sendmail does, completes it, and makes its form of seven bits.
fn hand_over(mail: &str) -> Option<usize> {
    let raw = Raw::read(mail.as_bytes(), false).ok()?;
    let names = ["to", "cc", "bcc"].map(|name| format!("resent-{name}"));
    let count: usize = names
        .iter()
        .map(|name| raw.resent_values(name).len() + raw.values(name).len())
        .sum();
    let edits = Edits {
        author: mailbox("me@y.example"),
        mailbox: &|_, mailbox| Some(vec![mailbox.clone()]),
        force_from: Some(mailbox("us@y.example")),
        fallback_charsets: &["gb18030".to_owned(), "windows-1252".to_owned()],
    };
    let envelope = Envelope {
        recipients: vec![address("you@x.example")],
        ..Envelope::default()
    };
    let message = raw.complete(envelope, &edits, &stamp()).ok()?;
    let written = |message: &Message| {
        message
            .chunks()
            .map(|chunk| chunk.unwrap().len())
            .sum::<usize>()
    };
    Some(count + written(&message) + message.seven_bit().map_or(0, written))
}

/// Asserts it for a mail made of a beginning and as much more as it takes.
fn assert_mail(name: &str, begin: &str, rest: &dyn Fn(usize) -> String) {
    assert_linear(
        name,
        |size| format!("{begin}{}", rest(size)),
        |mail| assert!(hand_over(&mail).is_some()),
    );
}

#[test]
fn heads_of_any_fields_take_linear_time() {
    let fields: &[(&str, &dyn Fn(usize) -> String)] = &[
        ("distinct Resent- fields", &|n| format!("Resent-{n}: x\n")),
        ("distinct fields", &|n| format!("X-{n}: y\n")),
        ("recipients", &|n| format!("To: a{n}@x.example\n")),
        ("authors", &|n| format!("From: Ann {n} <a{n}@x.example>\n")),
        ("hidden recipients", &|n| format!("Bcc: a{n}@x.example\n")),
        ("blocks of those who sent it on", &|n| {
            format!("Resent-To: a{n}@x\nResent-From: b@x\n")
        }),
        ("fields beyond ASCII", &|n| format!("X-{n}: ü\n")),
        ("fields with a control character", &|n| {
            format!("X-{n}: \0\n")
        }),
        ("fields without a name to send", &|n| {
            format!("X{n}{}: \0\n", "y".repeat(80))
        }),
        ("fields of MIME", &|n| {
            format!("Content-{n}: y\nMIME-Version: 1.0\n")
        }),
        ("empty fields that must say something", &|_| {
            "From:\nDate:\nMessage-ID:\n".to_owned()
        }),
    ];
    for (name, field) in fields {
        assert_mail(name, "", &|size| numbered(size, field));
    }
}

#[test]
fn fields_of_any_length_take_linear_time() {
    let values: &[Row<'_>] = &[
        ("parameters", "Content-Type: text/plain", &|n| {
            format!(";a{n}=b")
        }),
        (
            "parameters in folds",
            "Content-Disposition: attachment",
            &|n| format!(";\n a{n}=\"ü\""),
        ),
        ("folds", "X-A: y", &|_| "\n z".to_owned()),
        ("folds of blanks", "X-A: y", &|_| "\n \n\t".to_owned()),
        ("carriage returns", "X-A: y", &|_| "\r".to_owned()),
        ("encoded-words", "Subject: ü", &|_| {
            " =?utf-8?q?a?=".to_owned()
        }),
        ("halves of encoded-words", "Subject: ü", &|_| {
            "=?a?b".to_owned()
        }),
        ("words", "Subject: ü", &|_| " a  ü".to_owned()),
        ("one word", "X-A: ", &|_| "ü".to_owned()),
        ("identifiers", "References: ", &|n| format!("<{n}@x>")),
        ("quotes", "In-Reply-To: ü", &|_| " \"\\".to_owned()),
        ("mailboxes", "Cc: a@x", &|n| format!(", Bö {n} <b{n}@x>")),
        ("commas", "Cc: a@x", &|_| ",".to_owned()),
        ("a long name", "To: ", &|_| "ü ".to_owned()),
    ];
    for (name, begin, value) in values {
        assert_mail(name, begin, &|size| numbered(size, value) + "\n\n");
    }
}

#[test]
fn bodies_of_any_parts_take_linear_time() {
    const MULTI: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n";
    let long = "y".repeat(1100);
    let parts: &[Row<'_>] = &[
        ("parts", MULTI, &|_| "--b\n\nü\n".to_owned()),
        ("parts with parameters", MULTI, &|n| {
            format!(
                "--b\nContent-Type: text/plain{}\n\n\0\n",
                numbered(4000, |m| format!(";a{n}x{m}=b"))
            )
        }),
        ("multiparts in multiparts", MULTI, &|n| {
            format!("--b\nContent-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n\n")
        }),
        ("messages in messages", MULTI, &|_| {
            "--b\nContent-Type: message/rfc822\n\nX: ü\n".to_owned()
        }),
        ("what is nearly a delimiter", MULTI, &|_| {
            "--bb\n--\n".to_owned()
        }),
        ("lines between parts that must change", MULTI, &|_| {
            "\0\n\nü\n\n".to_owned()
        }),
        ("long lines between parts", MULTI, &|_| {
            format!("{long}\nshort\n")
        }),
        ("a line without end", "X-A: b\n\n", &|_| "ü".to_owned()),
        ("line ends", "X-A: b\n\n", &|_| "\r\r\n".to_owned()),
        (
            "quoted-printable that is not",
            "Content-Transfer-Encoding: quoted-printable\n\n",
            &|_| "=4 =\0".to_owned(),
        ),
        (
            "base64 that is not",
            "Content-Transfer-Encoding: base64\n\n",
            &|_| "A=\0".to_owned(),
        ),
        (
            "an unknown encoding",
            "Content-Transfer-Encoding: x-y\n\n",
            &|_| "ü\0".to_owned(),
        ),
    ];
    for (name, begin, part) in parts {
        assert_mail(name, begin, &|size| numbered(size, part));
    }
}

#[test]
fn a_mail_of_many_pieces_is_put_into_seven_bits_in_linear_time() {
    // Over a megabyte the body lies in a file, and every line that changed is a piece of its own.
    let tail = "plain\n".repeat(200_000);
    let begin = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n";
    assert_linear(
        "pieces",
        |size| format!("{begin}{}{tail}", repeated("ü\n\0\n", size / 8)),
        |mail| assert!(hand_over(&mail).is_some()),
    );
}

#[test]
fn drafts_of_any_kind_take_linear_time() {
    let build = |draft| drop(Message::build_with(draft, &stamp(), &MediaTypes::default()));
    let headers = |size: usize, pair: &dyn Fn(usize) -> (String, String)| {
        let mut made = draft("");
        made.headers = (0..size / 10).map(pair).collect();
        made
    };
    assert_linear(
        "headers",
        |size| headers(size, &|n| (format!("X-{n}"), "y".to_owned())),
        build,
    );
    assert_linear(
        "threads",
        |size| headers(size, &|n| ("References".to_owned(), format!("<{n}@x>"))),
        build,
    );
    let text = |piece: &'static str| move |size| draft(&repeated(piece, size));
    for piece in ["ü", "\0", "a \n", "\r", "=", "测试\n", "\u{feff}"] {
        assert_linear(piece, text(piece), build);
    }
    let typed = |size| {
        let mut made = draft("x\n");
        made.body.media_type =
            Some("text/plain".to_owned() + &numbered(size, |n| format!(";a{n}=b")));
        made
    };
    assert_linear("a media type", typed, build);
    let page = |piece: &'static str| {
        move |size| {
            let mut made = draft("");
            made.body.text = None;
            made.body.html = Some(repeated(piece, size).into_bytes());
            made
        }
    };
    for piece in [
        "<a href=x:y>t",
        "<ul><li>",
        "<p ",
        "&#",
        "<a b='",
        "</",
        "<!--",
        "&amp",
        "<pre>\n",
        "<a href='&",
    ] {
        assert_linear(piece, page(piece), build);
    }
}

#[test]
fn a_name_of_any_length_is_spelled_in_linear_time() {
    let media = crate::mime::media::MediaType::bare("a/b");
    assert_linear(
        "a name",
        |size| repeated("ü", size),
        |name| drop(media.content_type(Some(&name))),
    );
    assert_linear(
        "a file's name",
        |size| repeated("ü ", size),
        |name| drop(crate::mime::media::disposition("x", &name)),
    );
}
