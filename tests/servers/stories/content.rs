//! What is read out there is what was written here.
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::servers::Servers;

fn digest(bytes: &[u8]) -> Value {
    format!("{:x}", Sha256::digest(bytes)).into()
}

pub(crate) fn subject_body_and_attachment_names_beyond_ascii_arrive(servers: &Servers) {
    let subject = "Prüfung – 测试 😀 and so long a subject that it has to be folded into several encoded words, 折り返し";
    let text = "Grüße aus Köln\n你好,世界\n😀\n";
    let sender = servers.over_plain();
    let file = sender.file("Übersicht 报告 2026.txt", "Inhalt: äöü\n".as_bytes());
    let sender = sender
        .args(["-s", subject])
        .attach(&file)
        .args(["unicode@content.test"]);
    sender.run(text.as_bytes()).assert_silent_success();

    let mail = servers.mail_to("unicode@content.test");
    assert_eq!((mail.header("Subject"), mail.text()), (subject, text));
    assert_eq!(
        mail.parsed["shape"],
        "multipart/mixed(text/plain,text/plain)"
    );
    let attached = &mail.parts()[1];
    assert_eq!(attached["filename"], "Übersicht 报告 2026.txt");
    assert_eq!(attached["disposition"], "attachment");
    assert_eq!(attached["text"], "Inhalt: äöü\n");
}

pub(crate) fn an_address_beyond_ascii_travels_by_smtputf8(servers: &Servers) {
    let ran = servers
        .over_plain()
        .args(["-s", "s", "用户@content.test"])
        .run(b"body\n");
    ran.assert_silent_success();
    let mail = servers.mail_to("用户@content.test");
    assert_eq!(mail.header("To"), "用户@content.test");
    assert!(
        mail.header("Received").contains("UTF8SMTP"),
        "{}",
        mail.header("Received")
    );
}

pub(crate) fn ten_megabytes_arrive_byte_for_byte(servers: &Servers) {
    // Every byte in every neighbourhood: line ends, NUL and dots included.
    let mut state = 2026_u32;
    let mut bytes = Vec::with_capacity(10_000_000);
    while bytes.len() < 10_000_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.push((state >> 24) as u8);
    }
    let sender = servers.over_implicit().login_of_alice();
    let file = sender.file("ten.bin", &bytes);
    sender
        .args(["-s", "s"])
        .attach(&file)
        .args(["ten@content.test"])
        .run(b"see there\n")
        .assert_silent_success();
    let mail = servers.mail_to("ten@content.test");
    let attached = &mail.parts()[1];
    assert_eq!(attached["filename"], "ten.bin");
    assert_eq!(
        (&attached["size"], &attached["sha256"]),
        (&json!(10_000_000), &digest(&bytes))
    );
}

pub(crate) fn html_brings_its_text_and_its_picture(servers: &Servers) {
    let picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and no more than the looks of one";
    let sender = servers.over_plain();
    let html = sender.file(
        "page.html",
        "<p>Grüße, <b>bold</b></p><img src=\"cid:logo.png\">".as_bytes(),
    );
    let logo = sender.file("logo.png", picture);
    let mut option = std::ffi::OsString::from("--html=");
    option.push(&html);
    let sender = sender.args([option, "--inline".into(), logo.into()]).args([
        "-s",
        "s",
        "html@content.test",
    ]);
    sender.run(b"").assert_silent_success();

    let mail = servers.mail_to("html@content.test");
    let of_type = |name: &str| {
        let found = mail.parts().iter().find(|part| part["type"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {:#}", mail.parsed))
            .clone()
    };
    let shape = mail.parsed["shape"].as_str().expect("text");
    assert!(
        shape.contains("multipart/alternative(text/plain,"),
        "{shape}"
    );
    assert!(
        of_type("text/plain")["text"]
            .as_str()
            .expect("text")
            .contains("Grüße, ")
    );
    assert!(
        of_type("text/html")["text"]
            .as_str()
            .expect("text")
            .contains("<b>bold</b>")
    );
    let inline = of_type("image/png");
    assert_eq!(
        (&inline["disposition"], &inline["cid"]),
        (&json!("inline"), &json!("<logo.png>"))
    );
    assert_eq!(inline["sha256"], digest(picture));
}

/// The server refuses a bare line feed; a bare carriage return would be counted in the delivered
/// file.
pub(crate) fn bare_line_ends_are_made_whole(servers: &Servers) {
    let sender = servers.over_plain().args(["-s", "s", "bare@content.test"]);
    sender
        .run(b"unix\ndos\r\nlone\rreturn\r\n.\r\nRCPT TO:<smuggled@content.test>\n.\nend")
        .assert_silent_success();
    let mail = servers.mail_to("bare@content.test");
    let text = mail.text();
    assert!(text.starts_with("unix\ndos\nlone"), "{text:?}");
    assert!(
        text.ends_with("\n.\nRCPT TO:<smuggled@content.test>\n.\nend\n"),
        "{text:?}"
    );
    assert_eq!(servers.settled().get("smuggled@content.test"), None);
}

pub(crate) fn dots_and_long_lines_arrive_as_written(servers: &Servers) {
    let long = "x".repeat(5000);
    let text = format!(".\n..\n.hidden\n{long}\nFrom here on\nSubject: not a header\n.\n");
    let sender = servers.over_plain().args(["-s", "s", "dots@content.test"]);
    sender.run(text.as_bytes()).assert_silent_success();
    assert_eq!(servers.mail_to("dots@content.test").text(), text);
}

pub(crate) fn two_hundred_recipients_get_one_mail_each(servers: &Servers) {
    let all: Vec<String> = (0..200).map(|n| format!("many{n}@content.test")).collect();
    let sender = servers
        .over_implicit()
        .login_of_alice()
        .args(["-s", "s"])
        .args(&all);
    sender.run(b"body\n").assert_silent_success();
    let delivered = servers.settled();
    let wrong: Vec<_> = all
        .iter()
        .filter(|to| delivered.get(*to) != Some(&1))
        .collect();
    assert!(wrong.is_empty(), "not exactly one mail each: {wrong:?}");
    let to = servers
        .mail_to("many199@content.test")
        .header("To")
        .to_owned();
    assert_eq!(to.split(", ").collect::<Vec<_>>(), all);
}

pub(crate) fn bcc_is_delivered_and_never_shown(servers: &Servers) {
    let sender =
        servers
            .over_plain()
            .args(["-s", "s", "-c", "cc@content.test", "-b", "bcc@content.test"]);
    sender
        .args(["to@content.test"])
        .run(b"body\n")
        .assert_silent_success();
    for recipient in ["to@content.test", "cc@content.test", "bcc@content.test"] {
        let mail = servers.mail_to(recipient); // which checks that there is no Bcc
        assert_eq!(
            (mail.header("To"), mail.header("Cc")),
            ("to@content.test", "cc@content.test")
        );
    }
}
