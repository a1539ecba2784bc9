//! Facts about headers, read back by an independent parser.
use mail_parser::MessageParser;
use proptest::prelude::*;

use crate::address::{Address, Mailbox};
use crate::mime::MimeError;
use crate::mime::crlf;
use crate::mime::head::one_line;
use crate::mime::header::*;

fn named(name: &str, local: &str) -> Mailbox {
    Mailbox {
        name: Some(name.to_owned()),
        address: Address::of(local, "x.example"),
    }
}

/// What an independent parser reads from a header.
fn parsed(name: &str, value: &str) -> String {
    let mail = format!("{name}: {value}\r\nX-End: 1\r\n\r\n");
    let message = MessageParser::new().parse(mail.as_bytes()).unwrap();
    assert_eq!(message.headers().len(), 2, "{mail}");
    message
        .subject()
        .or_else(|| message.header(name.to_owned()).and_then(|v| v.as_text()))
        .unwrap_or_default()
        .to_owned()
}

fn assert_lines(name: &str, value: &str) {
    let mail = format!("{name}: {value}\r\n");
    assert_eq!(crlf::check(mail.as_bytes()), Ok(()), "{mail}");
    assert!(mail.lines().all(|line| line.len() <= LINE), "{mail}");
    assert!(
        mail.lines()
            .all(|line| !line.contains("=?") || line.len() <= ENCODED.0),
        "{mail}"
    );
    assert!(
        value.split("\r\n").all(|line| !line.trim().is_empty()) || value.is_empty(),
        "{mail}"
    );
}

#[test]
fn a_subject_is_encoded_only_where_it_must_be() {
    let rows = [
        ("subj", "subj"),
        ("", ""),
        ("a  b", "a  b"),
        ("Grüße", "=?utf-8?b?R3LDvMOfZQ==?="),
        ("测试", "=?utf-8?b?5rWL6K+V?="),
        (
            "[FAIL] Überraschung an alle",
            "[FAIL] =?utf-8?q?=C3=9Cberraschung?= an alle",
        ),
        ("ä ö", "=?utf-8?b?w6Qgw7Y=?="),
        ("=?utf-8?q?a?=", "=?utf-8?b?PT91dGYtOD9xP2E/PQ==?="),
        (" lead", "=?utf-8?q?_lead?="),
        ("trail ", "=?utf-8?q?trail_?="),
        (" ", "=?utf-8?q?_?="),
        ("tab\there", "=?utf-8?q?tab=09here?="),
        ("x\r\nBcc: e@x.example", "x Bcc: e@x.example"),
        ("a\n\n\u{2028}b\u{0}c\u{1b}[1m", "a b c [1m"),
        ("1 = 1?", "1 = 1?"),
    ];
    for (given, wanted) in rows {
        assert_eq!(subject(given), wanted, "{}", given.escape_debug());
    }
}

#[test]
fn a_long_subject_of_characters_is_split_between_them() {
    let value = subject(&"测试邮件标题很长".repeat(6));
    let wanted = "=?utf-8?b?5rWL6K+V6YKu5Lu25qCH6aKY5b6I6ZW/5rWL6K+V6YKu5Lu25qCH?=\r\n \
        =?utf-8?b?6aKY5b6I6ZW/5rWL6K+V6YKu5Lu25qCH6aKY5b6I6ZW/5rWL6K+V6YKu5Lu2?=\r\n \
        =?utf-8?b?5qCH6aKY5b6I6ZW/5rWL6K+V6YKu5Lu25qCH6aKY5b6I6ZW/5rWL6K+V6YKu?=\r\n \
        =?utf-8?b?5Lu25qCH6aKY5b6I6ZW/?=";
    assert_eq!(value, wanted);
}

#[test]
fn a_long_ascii_subject_folds_at_blanks_and_a_long_word_is_encoded() {
    let words = subject("word ".repeat(40).trim_end());
    assert_eq!(
        words,
        ["word"; 14].join(" ")
            + "\r\n "
            + &["word"; 15].join(" ")
            + "\r\n "
            + &["word"; 11].join(" ")
    );
    let word = "x".repeat(200);
    let value = subject(&word);
    assert_lines("Subject", &value);
    assert_eq!(parsed("Subject", &value), word);
    let log = "a log line of ten kilobytes ".repeat(360);
    let value = subject(&log);
    assert_lines("Subject", &value);
    assert_eq!(parsed("Subject", &value), log);
}

#[test]
fn a_free_header_keeps_long_words_that_other_programs_read() {
    let word = "x".repeat(300);
    assert_eq!(further("X-Token", &word).unwrap(), word);
    let value = further("X-Token", &"y".repeat(2000)).unwrap();
    assert_lines("X-Token", &value);
}

#[test]
fn a_header_with_a_grammar_folds_and_is_not_encoded() {
    let ids: Vec<String> = (0..4)
        .map(|n| format!("<2026112319000{n}.0123456789abcdef@mail.example>"))
        .collect();
    assert_eq!(
        further("References", &ids.join(" ")).unwrap(),
        ids.join("\r\n ")
    );
    assert_eq!(
        further("References", &ids.concat()).unwrap(),
        ids.join("\r\n ")
    );
    assert_eq!(
        further("List-Id", "\"=?x\" <a.b>").unwrap(),
        "\"=?x\" <a.b>"
    );
    assert_eq!(
        further("Resent-To", "\"Jörg M.\" <j@x.example>, b@x.example").unwrap(),
        "=?utf-8?b?SsO2cmcgTS4=?= <j@x.example>, b@x.example"
    );
    assert_eq!(
        further("List-Help", "<https://x.example/>\r\nBcc: a@b").unwrap(),
        "<https://x.example/> Bcc: a@b"
    );
    assert!(
        matches!(further("References", &"<".repeat(999)), Err(MimeError::HeaderTooLong(name)) if name == "References")
    );
}

#[test]
fn a_header_name_that_could_end_its_line_is_refused() {
    let long = "X".repeat(77);
    for name in [
        "",
        "X A",
        "X:A",
        "X\r\nBcc",
        "Xü",
        "X\tA",
        "X\0",
        long.as_str(),
    ] {
        assert!(
            matches!(check_name(name), Err(MimeError::HeaderName(_))),
            "{name:?}"
        );
    }
    assert!(check_name("X-A!").is_ok());
}

#[test]
fn names_are_atoms_quoted_or_encoded_whole() {
    let rows = [
        ("Bob", "Bob <b@x.example>"),
        ("Bob Brown", "Bob Brown <b@x.example>"),
        ("Brown, Bob", "\"Brown, Bob\" <b@x.example>"),
        ("Bob B.", "\"Bob B.\" <b@x.example>"),
        ("a \"b\" \\c", "\"a \\\"b\\\" \\\\c\" <b@x.example>"),
        ("Jörg M.", "=?utf-8?b?SsO2cmcgTS4=?= <b@x.example>"),
        ("张三", "=?utf-8?b?5byg5LiJ?= <b@x.example>"),
        (
            "=?utf-8?q?a?=",
            "=?utf-8?b?PT91dGYtOD9xP2E/PQ==?= <b@x.example>",
        ),
        ("x\r\nBcc: e@x", "\"x Bcc: e@x\" <b@x.example>"),
        ("", "b@x.example"),
        (" ", "b@x.example"),
        ("e@evil.example", "\"e@evil.example\" <b@x.example>"),
    ];
    for (name, wanted) in rows {
        assert_eq!(
            mailboxes("To", &[named(name, "b")]).unwrap(),
            wanted,
            "{}",
            name.escape_debug()
        );
    }
}

#[test]
fn a_long_list_folds_between_addresses() {
    let list: Vec<Mailbox> = (0..12)
        .map(|n| Address::of(&format!("user{n:02}"), "example.example").into())
        .collect();
    let wanted = "user00@example.example, user01@example.example, user02@example.example,\r\n \
        user03@example.example, user04@example.example, user05@example.example,\r\n \
        user06@example.example, user07@example.example, user08@example.example,\r\n \
        user09@example.example, user10@example.example, user11@example.example";
    assert_eq!(mailboxes("To", &list).unwrap(), wanted);
}

#[test]
fn a_hundred_thousand_addresses_are_written_in_linear_time() {
    let list: Vec<Mailbox> = (0..100_000)
        .map(|n| named(&format!("Ü {n}"), &format!("u{n}")))
        .collect();
    let start = std::time::Instant::now();
    assert_lines("To", &mailboxes("To", &list).unwrap());
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// Text as people and hostile programs write it.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(" ".to_owned()),
        Just("  ".to_owned()),
        Just("=?utf-8?q?x?=".to_owned()),
        Just("=?".to_owned()),
        Just("?=".to_owned()),
        Just("\t".to_owned()),
        "[a-zA-Z0-9.,:;<>()\\[\\]@\"\\\\_=?-]{1,12}",
        "[x]{60,120}",
        "\\PC{1,6}",
        "[测试邮件]{1,40}",
        "[\r\n\u{0}-\u{1f}]{1,3}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_subject_is_read_back_as_it_was(text in any_text()) {
        let value = subject(&text);
        assert_lines("Subject", &value);
        prop_assert_eq!(parsed("Subject", &value), one_line(&text));
    }

    #[test]
    fn a_free_header_is_read_back_as_it_was(text in any_text()) {
        let value = further("X-Any", &text).unwrap();
        let mail = format!("X-Any: {value}\r\n");
        prop_assert_eq!(crlf::check(mail.as_bytes()), Ok(()));
        // Under a name that the parser decodes.
        prop_assert_eq!(parsed("Subject", &value), one_line(&text));
    }

    #[test]
    fn names_and_addresses_are_read_back_as_they_were(names in proptest::collection::vec(any_text(), 1..5)) {
        let list: Vec<Mailbox> = names.iter().enumerate().map(|(n, name)| named(name, &format!("u{n}"))).collect();
        let value = mailboxes("To", &list).unwrap();
        assert_lines("To", &value);
        let mail = format!("To: {value}\r\n\r\n");
        let message = MessageParser::new().parse(mail.as_bytes()).unwrap();
        let found: Vec<(String, String)> = message.to().unwrap().iter()
            .map(|a| (a.name().unwrap_or_default().to_owned(), a.address().unwrap_or_default().to_owned())).collect();
        let wanted: Vec<(String, String)> = list.iter()
            .map(|m| (Some(one_line(m.name.as_deref().unwrap())).filter(|n| !n.trim().is_empty()).unwrap_or_default(), m.address.to_string())).collect();
        prop_assert!(found == wanted, "{mail} {found:?} {wanted:?}");
    }

    #[test]
    fn a_structured_header_holds_its_lines(text in any_text()) {
        if let Ok(value) = further("List-Id", &text) {
            let mail = format!("List-Id: {value}\r\n");
            prop_assert_eq!(crlf::check(mail.as_bytes()), Ok(()));
            prop_assert!(mail.is_ascii());
        }
    }
}

#[test]
fn the_last_guard_takes_folds_and_nothing_else_that_ends_a_line() {
    let rows: &[(&[u8], bool)] = &[
        (b"plain", true),
        (b"", true),
        (b"a\r\n b", true),
        (b"a\r\n\tb\r\n c", true),
        (b"a\r\nBcc: b@x", false),
        (b"a\r\n", false),
        (b"a\r\n\r\n b", false),
        (b"a\n b", false),
        (b"a\r b", false),
        (b"a\r\r\n b", false),
        (b"\n b", false),
        (b"a\0b", false),
    ];
    for (value, sound) in rows {
        assert_eq!(
            check_folds("To", value).is_ok(),
            *sound,
            "{}",
            value.escape_ascii()
        );
    }
}

/// No parser lets such an address exist; the guard behind the writer is all that is left then.
#[test]
fn an_address_with_a_line_end_makes_no_mail() {
    let stamp = crate::message::Stamp::at(Some(0));
    for local in ["\"a\\\r\\\nBcc: e@x\\\r\\\n\"", "a\r\nb", "a\nb", "a\0b"] {
        let draft = crate::draft::Draft {
            from: vec![Address::of("me", "x").into()],
            to: vec![Address::of(local, "x").into()],
            ..crate::draft::Draft::default()
        };
        let built = crate::message::Message::build(draft, &stamp);
        assert!(
            matches!(built, Err(super::MessageError::Mime(MimeError::Unsound(name))) if name == "To"),
            "{local:?}"
        );
    }
}
