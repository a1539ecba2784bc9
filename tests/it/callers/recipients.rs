//! Who gets a mail with `-t` and without.
use super::call::{Call, call, host, one_line, silent};
use crate::support::sink::{Options, Place};

const HEAD: &str = "\
From: ann@b.example
To: a@x.example
Cc: \"C, c\" <c@x.example>
Bcc: b@x.example
Subject: s
Date: Mon, 2 Mar 2026 04:05:06 +0000
Message-ID: <1@b.example>

text
";

fn sent(line: &str, to: &str) -> Call {
    call(line)
        .stdin(HEAD)
        .to(to)
        .gains("")
        .turns("Bcc: b@x.example\n", "")
}

#[test]
fn recipients_of_the_command_line_and_of_the_head_add_up() {
    sent(
        "sendmail -t x@x.example",
        "x@x.example a@x.example c@x.example b@x.example",
    )
    .check();
}

#[test]
fn nobody_gets_a_mail_twice() {
    sent(
        "sendmail -t a@x.example A@X.EXAMPLE a@X.Example",
        "a@x.example c@x.example b@x.example",
    )
    .check();
}

#[test]
fn bcc_vanishes_with_t_and_without() {
    sent("sendmail -t", "a@x.example c@x.example b@x.example").check();
    sent("sendmail x@x.example", "x@x.example").check();
}

#[test]
fn a_resent_block_is_the_only_one_that_counts_and_its_bcc_vanishes() {
    let block = "Resent-From: ann@b.example\nResent-Date: Mon, 2 Mar 2026 05:00:00 +0000\nResent-Message-ID: <r@b.example>\n";
    let older = "Resent-To: old@x.example\nResent-From: eve@x.example\nResent-Date: Sun, 1 Mar 2026 05:00:00 +0000\n";
    let mail = format!("{block}Resent-To: r@x.example\nResent-Bcc: s@x.example\n{older}{HEAD}");
    for line in ["sendmail -t", "sendmail -t r@x.example"] {
        call(line)
            .stdin(&mail)
            .to("r@x.example s@x.example")
            .gains("")
            .turns("Resent-Bcc: s@x.example\n", "")
            .turns("Bcc: b@x.example\n", "")
            .check();
    }
}

#[test]
fn a_group_without_members_is_nobody() {
    let mail = HEAD
        .replace("a@x.example", "undisclosed-recipients:;")
        .replace("Cc: \"C, c\" <c@x.example>\n", "");
    call("sendmail -t")
        .stdin(mail)
        .to("b@x.example")
        .gains("")
        .turns("Bcc: b@x.example\n", "")
        .check();
}

#[test]
fn a_recipient_field_may_be_folded_in_many_ways() {
    let mail = "To: a@x.example,\n\tJoe\n <b@x.example>\n ,c@x.example\nTo: d@x.example\nFrom: ann@b.example\nDate: Mon, 2 Mar 2026 04:05:06 +0000\nMessage-ID: <1@b.example>\n\ntext\n";
    call("sendmail -t")
        .stdin(mail)
        .to("a@x.example b@x.example c@x.example d@x.example")
        .gains("")
        .check();
}

#[test]
fn no_recipient_is_64_and_a_line() {
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    let empty = "From: ann@b.example\nSubject: s\n\ntext\n";
    let group = "To: nobody:;\n\ntext\n";
    for (line, input) in [
        ("sendmail -t", empty),
        ("sendmail", empty),
        ("sendmail -t", group),
        ("sendmail -t", ""),
        ("sendmail -i --", ""),
    ] {
        for queue in [false, true] {
            let outcome = call(line).stdin(input).run(&sandbox, queue).run();
            assert_eq!(outcome.status, 64, "{line}: {}", outcome.stderr);
            one_line(&outcome, "no recipient");
        }
    }
    assert_eq!((sink.sessions(), sandbox.queue_names("q")), (0, vec![]));
}

#[test]
fn an_address_that_is_none_is_65_and_a_line() {
    let sandbox = host(Place::reserve().port());
    for line in [
        "sendmail 'a b@x.example@'",
        "sendmail '<a@x.example'",
        "sendmail a@x..example",
        "sendmail -f 'a@@b' root",
    ] {
        let outcome = call(line).stdin("x\n").run(&sandbox, true).run();
        assert_eq!(outcome.status, 65, "{line}: {}", outcome.stderr);
        one_line(&outcome, "");
    }
    assert_eq!(sandbox.queue_names("q"), [""; 0]);
}

#[test]
fn a_word_may_hold_several_addresses_with_names() {
    let whole = HEAD.replace("Bcc: b@x.example\n", "");
    let call = call(
        "sendmail -i 'a@x.example,b@x.example' 'Joe X <c@x.example>, \"Y, Z\" <d@x.example>' 'e@x.example (E)'",
    );
    call.stdin(whole)
        .to("a@x.example b@x.example c@x.example d@x.example e@x.example")
        .gains("")
        .check();
}

#[test]
fn behind_the_first_recipient_everything_is_a_recipient() {
    sent(
        "sendmail -i a@x.example -t@x.example",
        "a@x.example -t@x.example",
    )
    .check();
    sent("sendmail -i -- -z@x.example", "-z@x.example").check();
    let sandbox = host(Place::reserve().port());
    for words in ["-t", "-f ann@b.example", "-bs", "-bp", "-q", "--help"] {
        let outcome = call(&format!("sendmail -i a@x.example {words}"))
            .stdin(HEAD)
            .run(&sandbox, false)
            .run();
        // A name without alias or domain, unless this host has one to give: then it is sent to, and
        // the server is down.
        assert!(
            [65, 75].contains(&outcome.status),
            "{words}: {} {}",
            outcome.status,
            outcome.stderr
        );
        one_line(&outcome, "");
    }
}

#[test]
fn conditions_for_reports_that_nobody_knows_are_passed_over() {
    let sink = Options::new().extensions(&["DSN"]).start();
    let sandbox = host(sink.port());
    for option in [
        "-N bogus",
        "-N never,failure",
        "-R most",
        "-V 'a b=+'",
        "-N failure -R full -V id",
    ] {
        silent(
            &call(&format!("sendmail {option} a@x.example"))
                .stdin(HEAD)
                .run(&sandbox, true)
                .run(),
            option,
        );
    }
    assert_eq!(sink.mails().len(), 5);
    let said: Vec<_> = sink
        .dialogue()
        .into_iter()
        .filter(|l| l.starts_with("C: MAIL") || l.starts_with("C: RCPT"))
        .collect();
    let wanted = ["", "", "", " ENVID=a+20b+3D+2B", " RET=FULL ENVID=id"];
    let plain = "C: RCPT TO:<a@x.example>";
    let to = [
        plain,
        plain,
        plain,
        plain,
        "C: RCPT TO:<a@x.example> NOTIFY=FAILURE ORCPT=rfc822;a@x.example",
    ];
    let wanted: Vec<_> = wanted
        .iter()
        .zip(to)
        .flat_map(|(more, to)| {
            [
                format!("C: MAIL FROM:<host@a.example>{more}"),
                to.to_owned(),
            ]
        })
        .collect();
    assert_eq!(said, wanted);
}

#[test]
fn options_may_be_joined_split_and_clustered() {
    for line in [
        "sendmail -t -i -f ann@b.example -B8BITMIME",
        "sendmail -ti -fann@b.example -B 8BITMIME",
        "sendmail -it -rann@b.example -oi",
        "sendmail -tif ann@b.example",
        "sendmail -tifann@b.example -o i",
        "sendmail -oitrue -t -r ann@b.example -em -ep -m -U -G -h 3 -L tag -Am -d0.1 -p smtp:h -n -x -E -J -om -o7 -oMsx -oT4h",
    ] {
        sent(line, "a@x.example c@x.example b@x.example")
            .sender("ann@b.example")
            .check();
    }
}

#[test]
fn the_null_sender_in_all_its_forms() {
    for sender in [
        "-f ''",
        "-f '<>'",
        "'-f<>'",
        "-r '<>'",
        "-f MAILER-DAEMON",
        "-f mailer-daemon",
    ] {
        sent(&format!("sendmail {sender} a@x.example"), "a@x.example")
            .sender("")
            .check();
    }
}

#[test]
fn the_author_is_the_sender_where_neither_call_nor_settings_name_one() {
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    let settings = format!("smtp = \"127.0.0.1:{}\"\ntls = \"none\"\n", sink.port());
    sandbox.write("home/.config/smail/config.toml", settings);
    silent(
        &call("sendmail a@x.example")
            .stdin(HEAD)
            .run(&sandbox, false)
            .run(),
        "author",
    );
    assert_eq!(sink.only_mail().from, "ann@b.example");
}
