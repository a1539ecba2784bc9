//! One leaf changes and nothing else does.
use std::io::Write;
use std::sync::Arc;

use mail_parser::MessageParser;

use super::*;
use crate::message::tests::{address, wire_bytes};
use crate::message::{Envelope, Message};

fn recoded(mail: &str, form: Form) -> String {
    let wire = mail.replace('\n', "\r\n").into_bytes();
    let recoded = recode(&[Piece::Bytes(wire)], form).unwrap();
    let out = recoded
        .pieces
        .iter()
        .flat_map(Piece::chunks)
        .collect::<io::Result<Vec<_>>>()
        .unwrap()
        .concat();
    assert_eq!(recoded.eight_bit, !out.is_ascii());
    assert_eq!(crate::mime::crlf::check(&out), Ok(()));
    String::from_utf8(out).unwrap().replace("\r\n", "\n")
}

fn legal(mail: &str) -> String {
    recoded(mail, Form::Legal { labels: true })
}

#[test]
fn a_long_line_changes_its_leaf_alone() {
    let long = "x".repeat(1500);
    let mail = |label: &str, first: &str| {
        format!(
            "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\"b 1\"\n\npreamble\n--b 1\nContent-Type: text/plain\n{label}\n{first}\n--b 1  \nContent-Transfer-Encoding: 8bit\n\nGrüße\n--b 1--\nepilogue\n"
        )
    };
    let soft = format!("{}=\n", "x".repeat(75)).repeat(19) + &"x".repeat(75);
    let given = mail("", &long);
    let wanted = mail("", &soft).replacen(
        "--b 1\n",
        "--b 1\nContent-Transfer-Encoding: quoted-printable\n",
        1,
    );
    assert_eq!(legal(&given), wanted);
    let given = mail("Content-Transfer-Encoding: 7bit\nX: y\n", &long);
    assert_eq!(
        legal(&given),
        mail("Content-Transfer-Encoding: quoted-printable\nX: y\n", &soft)
    );
}

#[test]
fn leaves_are_encoded_by_what_they_are() {
    let long = "x".repeat(1500);
    let pdf = "Content-Type: application/pdf\nMIME-Version: 1.0\n";
    let out = legal(&format!("{pdf}\n{long}\n"));
    assert!(
        out.starts_with(&format!("Content-Transfer-Encoding: base64\n{pdf}\neHh4")),
        "{out}"
    );
    let parsed = MessageParser::default().parse(out.as_bytes()).unwrap();
    assert_eq!(
        parsed.attachment(0).unwrap().contents(),
        format!("{long}\r\n").as_bytes()
    );
    // Encoded already, in lines too long.
    let head = "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n";
    assert_eq!(
        legal(&format!("{head}\n{}\n", "A".repeat(1064))),
        format!("{head}\n{}", format!("{}\n", "A".repeat(76)).repeat(14))
    );
    let head = "MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n";
    let mended = legal(&format!("{head}\n=41 =\nb\0{}=\n", "=3D".repeat(400)));
    assert!(
        mended.starts_with(&format!("{head}\n=41 =\nb=00=3D=3D")) && mended.ends_with("=3D=\n"),
        "{mended}"
    );
}

#[test]
fn seven_bits_reach_into_messages_and_signed_parts_but_no_further() {
    let inner = "Subject: Grüße\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße an alle Leser\n";
    let mail = format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\nprä\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n{inner}--b\nContent-Type: text/plain\n\nplain\n--b--\n"
    );
    assert_eq!(legal(&mail), mail);
    let wanted = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\npr??\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe an alle Leser\n--b\nContent-Type: text/plain\n\nplain\n--b--\n";
    assert_eq!(recoded(&mail, Form::SevenBit), wanted);
}

#[test]
fn hostile_nesting_and_a_hundred_thousand_delimiters_take_linear_time() {
    let level = |level| format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
    let deep = (0..200).map(level).collect::<Vec<_>>().concat();
    let end = "ü\n";
    for form in [Form::Legal { labels: true }, Form::SevenBit] {
        recoded(&format!("{deep}\n{end}"), form);
        let flat = format!(
            "Content-Type: multipart/mixed; boundary=b\n\n{}\n{end}",
            "--b\n\nü\n".repeat(100_000)
        );
        recoded(&flat, form);
        recoded(
            &format!(
                "Content-Type: message/rfc822\n\n{}{end}",
                "--\n\n".repeat(100_000)
            ),
            form,
        );
    }
}

#[test]
fn a_stored_mail_has_its_seven_bit_form_when_it_is_asked_for() {
    let wire = "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n";
    let mut file = tempfile::tempfile().unwrap();
    write!(file, "head\n{wire}END").unwrap();
    let envelope = Envelope {
        recipients: vec![address("you@b.example")],
        ..Envelope::default()
    };
    let stored = |eight, utf8| {
        let file = Arc::new(file.try_clone().unwrap());
        Message::from_file(
            "<1@a.example>".into(),
            envelope.clone(),
            file,
            5,
            wire.len() as u64,
            eight,
            utf8,
        )
    };
    let message = stored(true, false);
    let seven = message.seven_bit().unwrap();
    assert_eq!(
        String::from_utf8(wire_bytes(seven)).unwrap(),
        "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ0K\r\n"
    );
    assert!(!seven.eight_bit && seven.seven_bit().is_none() && seven.id == message.id);
    assert_eq!(wire_bytes(&message), wire.as_bytes());
    assert!(stored(false, false).seven_bit().is_none() && stored(true, true).seven_bit().is_none());
}
