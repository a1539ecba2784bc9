//! What programs write, as it comes and as it arrives.
use super::call::{ALL, Call, STAMPS, call};

/// Hands over to bob. What is added is From, Date and Message-ID unless the test says otherwise.
fn bob(input: impl AsRef<[u8]>) -> Call {
    call("sendmail bob@x.example")
        .stdin(input)
        .to("bob@x.example")
        .gains(ALL)
}

fn arrives(input: impl AsRef<[u8]>, mail: &str) {
    bob(input).arrives(mail).check();
}

#[test]
fn a_text_without_any_header_is_the_body() {
    arrives(
        "hello world\nand more: words\n",
        &format!("{ALL}\nhello world\nand more: words\n"),
    );
    arrives("hello", &format!("{ALL}\nhello\n"));
    arrives("\nhello: x\n", &format!("{ALL}\nhello: x\n"));
    arrives(" indented: x\n", &format!("{ALL}\n indented: x\n"));
    arrives(
        "ls: cannot access\n",
        &format!("{ALL}ls: cannot access\n\n"),
    );
}

#[test]
fn a_first_line_that_reads_as_a_header_is_one() {
    arrives(
        "Error: foo\nsome text\n",
        &format!("{ALL}Error: foo\n\nsome text\n"),
    );
}

#[test]
fn an_empty_input_is_an_empty_mail() {
    arrives("", &format!("{ALL}\n"));
    bob("").by_null().arrives(format!("{ALL}\n")).check();
    bob("").by_file().arrives(format!("{ALL}\n")).check();
    bob("")
        .after("exec 0<&-")
        .arrives(format!("{ALL}\n"))
        .check();
}

#[test]
fn a_head_without_a_blank_line_or_a_last_line_end_is_whole() {
    arrives("Subject: s\n", &format!("{ALL}Subject: s\n\n"));
    arrives("Subject: s", &format!("{ALL}Subject: s\n\n"));
    arrives(
        "Subject: s\nX-A: b\n text without blank line?\nno header here\n",
        &format!("{ALL}Subject: s\nX-A: b\n text without blank line?\n\nno header here\n"),
    );
}

#[test]
fn a_lone_dot_is_text_with_i_and_without() {
    for line in [
        "sendmail bob@x.example",
        "sendmail -i bob@x.example",
        "sendmail -oi bob@x.example",
    ] {
        call(line)
            .stdin("Subject: s\n\n.\n..\n.x\n.\n")
            .to("bob@x.example")
            .gains(ALL)
            .check();
    }
}

#[test]
fn line_ends_of_every_kind_become_crlf() {
    let wanted = format!("{ALL}Subject: s\nX: y\n\none\ntwo\n\nthree\n");
    for input in [
        "Subject: s\r\nX: y\r\n\r\none\r\ntwo\r\n\r\nthree\r\n",
        "Subject: s\r\nX: y\r\n\r\none\ntwo\n\nthree\n",
        "Subject: s\nX: y\n\none\r\ntwo\r\n\r\nthree",
        "Subject: s\r\nX: y\n\r\none\r\ntwo\n\nthree\r\n",
        "Subject: s\r\r\nX: y\r\r\n\r\r\none\ntwo\n\nthree\n",
    ] {
        arrives(input, &wanted);
    }
}

#[test]
fn a_line_of_a_mailbox_in_front_is_dropped() {
    for line in [
        "From ann@b.example Mon Mar  2 04:05:06 2026\n",
        ">From ann@b.example Mon Mar  2 04:05:06 2026\n",
        ">>From x\r\n",
    ] {
        arrives(
            format!("{line}Subject: s\n\nFrom here\n>From there\n"),
            &format!("{ALL}Subject: s\n\nFrom here\n>From there\n"),
        );
    }
}

#[test]
fn a_line_over_998_bytes_is_encoded_and_not_cut() {
    let long = "x".repeat(1500);
    let input = format!("Subject: s\n\nshort\n{long}\n");
    let sink = crate::support::sink::Options::new().start();
    let sandbox = super::call::host(sink.port());
    super::call::silent(&bob(&input).run(&sandbox, false).run(), "long");
    let data = sink.only_mail().data;
    assert!(
        data.split(|byte| *byte == b'\n')
            .all(|line| line.len() <= 999)
    );
    let parsed = mail_parser::MessageParser::default()
        .parse(&data[..])
        .unwrap();
    assert_eq!(
        parsed.body_text(0).unwrap().replace("\r\n", "\n"),
        format!("short\n{long}\n")
    );
}

#[test]
fn nul_bytes_arrive() {
    let sink = crate::support::sink::Options::new().start();
    let sandbox = super::call::host(sink.port());
    super::call::silent(
        &bob(b"Subject: s\n\na\0b\nafter\n")
            .run(&sandbox, false)
            .run(),
        "NUL",
    );
    let data = sink.only_mail().data;
    assert!(!data.contains(&0));
    let parsed = mail_parser::MessageParser::default()
        .parse(&data[..])
        .unwrap();
    assert_eq!(
        parsed.body_text(0).unwrap().replace("\r\n", "\n"),
        "a\0b\nafter\n"
    );
}

#[test]
fn a_raw_subject_is_encoded_and_needs_no_smtputf8() {
    let mime = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n";
    bob("Subject: Gr\u{fc}\u{df}e\n\nascii\n")
        .arrives(format!("{ALL}Subject: =?utf-8?b?R3LDvMOfZQ==?=\n\nascii\n"))
        .check();
    bob("Subject: s\n\ngr\u{fc}n\n")
        .gains(&format!("{ALL}{mime}"))
        .check();
}

#[test]
fn a_body_in_utf8_with_an_odd_byte_stays_so_where_it_says_nothing_of_itself() {
    let mime = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n";
    let body = |name: &[u8]| [b"Subject: s\n\nf\xc3\xbcr ", name, b"\n\xe6\xb5\x8b\n"].concat();
    let whole = [format!("{ALL}{mime}").into_bytes(), body("Jörg".as_bytes())].concat();
    bob(body(b"J\xf6rg")).arrives(whole).check();
    let labelled = b"Subject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nf\xc3\xbcr J\xf6rg\n";
    bob(labelled).check();
}

#[test]
fn bytes_in_latin_1_are_labelled_and_unchanged() {
    let declared = b"Subject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\ngr\xfcn\n";
    bob(declared).check();
}

#[test]
fn a_signed_mail_keeps_every_byte() {
    let mail = "\
DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=b.example; s=k;
\th=from : to:subject; bh=abc=;
\tb=def
from:   Ann   <ann@b.example>
TO:bob@x.example
Subject:  two  blanks\x20
Date: Mon, 2 Mar 2026 04:05:06 +0000
Message-Id: <1@b.example>

text \x20
\t

";
    bob(mail).gains("").check();
}

#[test]
fn what_is_missing_is_added_and_nothing_is_added_to_to() {
    bob("Subject: s\n\nx\n").check();
    bob("From: ann@b.example\n\nx\n")
        .gains("Date: *\nMessage-ID: <*@b.example>\n")
        .check();
    bob("From: Ann <ann@b.example>\nDate: Mon, 2 Mar 2026 04:05:06 +0000\n\nx\n")
        .gains("Message-ID: <*@b.example>\n")
        .check();
}

#[test]
fn a_full_name_is_for_a_from_that_is_missing_alone() {
    call("sendmail -F 'Cron Daemon' bob@x.example")
        .stdin("Subject: s\n\nx\n")
        .to("bob@x.example")
        .gains(&format!("From: Cron Daemon <host@a.example>\n{STAMPS}"))
        .check();
    call("sendmail -F 'Gr\u{fc}n' bob@x.example")
        .stdin("From: ann@a.example\n\nx\n")
        .to("bob@x.example")
        .check();
}

#[test]
fn one_of_two_refused_leaves_the_other_mail_delivered() {
    use crate::support::sink::Options;
    let sink = Options::new()
        .recipient("no@x.example", "550 5.1.1 no such user")
        .recipient("later@x.example", "451 4.7.1 later")
        .start();
    let sandbox = super::call::host(sink.port());
    let outcome = call("sendmail bob@x.example no@x.example")
        .stdin("x\n")
        .run(&sandbox, true)
        .run();
    assert_eq!(outcome.status, 67);
    super::call::one_line(&outcome, "no@x.example");
    let outcome = call("sendmail bob@x.example later@x.example")
        .stdin("x\n")
        .run(&sandbox, true)
        .run();
    super::call::silent(&outcome, "one is queued");
    assert_eq!(
        sink.mails()
            .iter()
            .map(|mail| mail.to.join(" "))
            .collect::<Vec<_>>(),
        ["bob@x.example", "bob@x.example"]
    );
    assert_eq!(sandbox.entries().len(), 1);
    sink.answer("later@x.example", "250 2.1.5 ok");
    let run = sandbox.as_name("sendmail", &["-qRlater"]).queued();
    super::call::silent(&run.run(), "flushed");
    assert_eq!(sink.mails()[2].to, ["later@x.example"]);
    // Without a queue the caller has to try again.
    sink.answer("later@x.example", "451 4.7.1 later");
    let outcome = call("sendmail bob@x.example later@x.example")
        .stdin("x\n")
        .run(&sandbox, false)
        .run();
    assert_eq!(outcome.status, 75);
    super::call::one_line(&outcome, "451 4.7.1 later");
}
