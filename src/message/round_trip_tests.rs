//! What independent readers make of whole messages, and what any draft at all becomes.
use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::attachment::tests::attached;
use super::tests::{build, draft, named, stamp, wire_bytes};
use super::{MediaTypes, Message};
use crate::draft::{Attachment, Body, Encoding};

/// What Python's `email` reads: subject, mailboxes, file names and the bytes of files.
const READER: &str = r"
import email, email.policy, hashlib, json, struct, sys
data, out = sys.stdin.buffer.read(), []
while data:
    size = struct.unpack('>I', data[:4])[0]
    message, data = email.message_from_bytes(data[4:4 + size], policy=email.policy.default), data[4 + size:]
    boxes = lambda name: [[a.display_name, a.addr_spec] for a in message[name].addresses] if message[name] else []
    defects = [str(d) for part in message.walk() for d in part.defects]
    files = [[p.get_filename(), hashlib.sha256(p.get_payload(decode=True)).hexdigest()] for p in message.walk() if p.get_filename()]
    body = message.get_body(('plain',))
    out.append([str(message['subject']), boxes('from'), boxes('to'), files, body.get_content().replace('\r\n', '\n') if body else '', defects])
print(json.dumps(out))
";

fn python_reads(messages: &[Vec<u8>]) -> Option<serde_json::Value> {
    let started = Command::new("python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else { return None };
    let mut input = child.stdin.take().unwrap();
    for message in messages {
        input
            .write_all(&u32::try_from(message.len()).unwrap().to_be_bytes())
            .unwrap();
        input.write_all(message).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn python_reads_what_was_meant() {
    use sha2::{Digest, Sha256};
    let subjects = [
        "plain",
        "",
        "Grüße",
        "测试邮件标题很长".repeat(6).as_str(),
        "=?utf-8?q?fake?=",
        " leading",
        "trailing ",
        "a  double  blank ü  x",
        "tab\tin it",
        &"word ".repeat(60),
        &"x".repeat(1200),
        "[FAIL] build #12 – ünïcode and a very long rest of the line that folds somewhere 🎉🎉🎉 here",
        "quotes \" and \\ and , ; <a@b>",
        "?= =? =?=",
    ]
    .map(str::to_owned);
    let names = [
        "",
        "Bob",
        "Brown, Bob",
        "Jörg M.",
        "张三",
        "a \"b\" \\c",
        "=?utf-8?q?a?=",
        "x@y.example",
        "O'Neil (x)",
        "🎉",
        "J. Doe",
        &"长".repeat(13),
        "no\u{a0}break",
        "-",
    ]
    .map(str::to_owned);
    let files = [
        "a.txt",
        "sp ace.bin",
        "测试 报告.txt",
        "a\"b\\c.txt",
        &("长".repeat(60) + ".txt"),
        "ü.pdf",
        &("x".repeat(250) + ".z"),
        "=?utf-8?q?a?=.bin",
        "a;b=c.bin",
        "'q'%41.bin",
        "😀.png",
        "..x",
        "a'b",
        "#",
    ]
    .map(str::to_owned);
    let bytes: Vec<u8> = (0..=255u8).cycle().take(200_003).collect();
    let (mut sent, mut wanted) = (Vec::new(), Vec::new());
    for (n, ((subject, name), file)) in subjects.iter().zip(&names).zip(&files).enumerate() {
        let mut mail = draft(&format!("Text {n} für alle.\n.\nFrom x\n  \n"));
        mail.subject = Some(subject.clone());
        mail.from = vec![named(name, "me@y.example")];
        mail.to = names
            .iter()
            .enumerate()
            .map(|(n, name)| named(name, &format!("u{n}@x.example")))
            .collect();
        mail.attachments = vec![attached(file, &bytes[..bytes.len() - n * 19])];
        sent.push(wire_bytes(&build(mail)));
        let digest = Sha256::digest(&bytes[..bytes.len() - n * 19])
            .iter()
            .fold(String::new(), |hex, b| format!("{hex}{b:02x}"));
        let to: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(n, name)| serde_json::json!([name, format!("u{n}@x.example")]))
            .collect();
        let text = format!("Text {n} für alle.\n.\nFrom x\n  \n");
        wanted.push(serde_json::json!([
            subject,
            [[name, "me@y.example"]],
            to,
            [[file, digest]],
            text,
            []
        ]));
    }
    let Some(found) = python_reads(&sent) else {
        return;
    };
    for (found, wanted) in found.as_array().unwrap().iter().zip(&wanted) {
        assert_eq!(found, wanted);
    }
}

fn any_words() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("\r\n".to_owned()),
            Just("\0".to_owned()),
            Just("=?".to_owned()),
            "\\PC{0,8}",
            "[ -~]{0,30}",
            "[\u{0}-\u{1f}]{0,3}",
            "[x]{90,1100}"
        ],
        0..5,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_draft_is_a_mail_with_short_lines_or_an_error(
        words in proptest::collection::vec(any_words(), 8),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        (html, ready, media, encoding) in (any::<bool>(), any::<bool>(), 0..4usize, 0..4usize),
    ) {
        let attachment = Attachment { media_type: Some(words[5].clone()).filter(|_| media == 3), charset: Some(words[6].clone()), ..attached(&words[7], &bytes) };
        let mut mail = draft("");
        mail.subject = Some(words[0].clone());
        mail.from = vec![named(&words[1], "me@y.example")];
        mail.date = Some(words[2].clone());
        mail.message_id = Some(words[3].clone());
        mail.headers = vec![(words[4].clone(), words[0].clone()), ("X-Any".to_owned(), words[1].clone()), ("References".to_owned(), words[2].clone())];
        mail.headers.drain(..usize::from(media != 2));
        mail.attachments = vec![attachment];
        mail.encoding = [Encoding::Auto, Encoding::EightBit, Encoding::QuotedPrintable, Encoding::Base64][encoding];
        mail.body = Body {
            text: Some(bytes.clone().into()),
            fields: vec![("Content-Disposition".to_owned(), words[5].clone())],
            html: Some(words[3].clone().into_bytes()).filter(|_| html),
            media_type: [None, Some("multipart/mixed; boundary=x".to_owned()), Some("application/x".to_owned()), Some(words[4].clone())][media].clone(),
            ready: Some("8bit".to_owned()).filter(|_| ready),
            charset: Some(words[5].clone()).filter(|_| html),
            fallback_charsets: vec![words[6].clone(), "gb18030".to_owned()],
        };
        if let Ok(message) = Message::build_with(mail, &stamp(), &MediaTypes::default()) {
            let wire = wire_bytes(&message);
            prop_assert_eq!(message.eight_bit, !wire.is_ascii());
            if let Some(twin) = message.seven_bit() {
                prop_assert!(wire_bytes(twin).is_ascii());
            }
            let head = String::from_utf8_lossy(&wire).split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
            for name in ["date", "from", "to", "subject", "message-id", "mime-version", "content-type", "content-transfer-encoding"] {
                let count = head.split("\r\n").filter(|line| line.starts_with(&format!("{name}:"))).count();
                prop_assert!(count == 1 || name == "content-transfer-encoding" && count == 0, "{name} {head}");
            }
            prop_assert!(!head.contains("\r\nbcc:"));
        }
    }
}
