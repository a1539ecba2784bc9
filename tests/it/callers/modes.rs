//! What sendmail does beside taking a mail: `-bs`, `-bp`, `-q`, `-bi`, `-bv`, and what it refuses.
use std::process::Command;

use super::call::{call, host, one_line, silent};
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::sink::{Options, Place};

/// The replies of a dialogue in which everything was said at once.
fn dialogue(sandbox: &Sandbox, line: &str, said: &[&str]) -> Vec<String> {
    let outcome = call(line)
        .stdin(said.join("\r\n") + "\r\n")
        .run(sandbox, true)
        .run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    outcome.stdout.lines().map(str::to_owned).collect()
}

/// The three digits that each reply ends with.
fn codes(replies: &[String]) -> Vec<&str> {
    replies
        .iter()
        .filter(|line| line.as_bytes()[3] == b' ')
        .map(|line| &line[..3])
        .collect()
}

const ONE: &[&str] = &[
    "MAIL FROM:<ann@b.example>",
    "RCPT TO:<bob@x.example>",
    "DATA",
    "Subject: s",
    "",
    "..dot",
    "text",
    ".",
];

#[test]
fn swiftmailer_and_symfony_send_two_mails_in_one_dialogue() {
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    let said = [
        &["EHLO [127.0.0.1]"],
        ONE,
        &["RSET"],
        ONE,
        &["NOOP", "QUIT"],
    ]
    .concat();
    let replies = dialogue(&sandbox, "/usr/sbin/sendmail -bs", &said);
    let wanted = [
        "220", "250", "250", "250", "354", "250", "250", "250", "250", "354", "250", "250", "221",
    ];
    assert_eq!(codes(&replies), wanted, "{replies:#?}");
    let mails = sink.wait_for_mails(2);
    for mail in mails {
        assert_eq!(
            (mail.from.as_str(), mail.to.as_slice()),
            ("ann@b.example", &["bob@x.example".to_owned()][..])
        );
        assert!(
            mail.text().ends_with("Subject: s\r\n\r\n.dot\r\ntext\r\n"),
            "{}",
            mail.text()
        );
    }
    assert_eq!(sandbox.queue_names("q"), [""; 0]);
}

#[test]
fn alpine_holds_a_dialogue_with_options_behind_the_mode() {
    let place = Place::reserve();
    let sandbox = host(place.port());
    let said = [&["HELO web1"], ONE, &["QUIT"]].concat();
    let replies = dialogue(&sandbox, "sendmail -bs -odb -oem", &said);
    assert_eq!(
        codes(&replies),
        ["220", "250", "250", "250", "354", "250", "221"],
        "{replies:#?}"
    );
    let ids = sandbox.entries();
    assert_eq!(ids.len(), 1);
    assert!(
        replies.contains(&format!("250 2.0.0 queued as {}", ids[0])),
        "{replies:#?}"
    );
    let sink = Options::new().start_at(place);
    silent(
        &call(&format!("sendmail -qI{}", ids[0]))
            .run(&sandbox, true)
            .run(),
        "flushed",
    );
    assert_eq!(sink.only_mail().to, ["bob@x.example"]);
}

#[test]
fn a_dialogue_that_breaks_off_in_the_mail_leaves_nothing() {
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    let replies = dialogue(&sandbox, "sendmail -bs", &ONE[..7]);
    assert_eq!(codes(&replies), ["220", "250", "250", "354"]);
    assert_eq!((sink.sessions(), sandbox.queue_names("q")), (0, vec![]));
}

#[test]
fn a_dialogue_takes_aliases_and_refuses_names_that_lead_nowhere() {
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    sandbox.write("aliases", "root: admin@a.example\njobs: |/bin/true\n");
    let said = [
        "EHLO web1",
        "MAIL FROM:<root>",
        "RCPT TO:<root>",
        "RCPT TO:<jobs>",
        "RCPT TO:<a@x..example>",
        "DATA",
        "To: root",
        "",
        "x",
        ".",
        "QUIT",
    ];
    let replies = dialogue(&sandbox, "sendmail -bs", &said);
    let codes = codes(&replies);
    assert_eq!(
        (codes[..4].to_vec(), codes[6..].to_vec()),
        (vec!["220", "250", "250", "250"], vec!["354", "250", "221"]),
        "{replies:#?}"
    );
    assert!(
        codes[4..6].iter().all(|code| code.starts_with('5')),
        "{replies:#?}"
    );
    let mail = sink.wait_for_mails(1).remove(0);
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("host@a.example", &["admin@a.example".to_owned()][..])
    );
    assert!(
        mail.text().contains("To: admin@a.example\r\n"),
        "{}",
        mail.text()
    );
}

#[test]
fn a_dialogue_without_a_queue_tells_the_caller_what_the_server_says() {
    let sink = Options::new()
        .recipient("bob@x.example", "550 5.1.1 no such user")
        .start();
    let sandbox = host(sink.port());
    let said = ([&["EHLO web1"], ONE, &["QUIT"]].concat().join("\r\n")) + "\r\n";
    let outcome = call("sendmail -bs").stdin(&said).run(&sandbox, false).run();
    let replies: Vec<_> = outcome.stdout.lines().map(str::to_owned).collect();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(codes(&replies)[5], "554", "{replies:#?}");
    let place = Place::reserve();
    let outcome = call("sendmail -bs")
        .stdin(&said)
        .run(&host(place.port()), false)
        .run();
    let replies: Vec<_> = outcome.stdout.lines().map(str::to_owned).collect();
    assert_eq!(codes(&replies)[5], "451", "{replies:#?}");
}

#[test]
fn what_a_client_asks_for_one_recipient_does_not_silence_the_reports_about_another() {
    for (first, second, more) in [
        (" NOTIFY=NEVER", "", ""),
        ("", " NOTIFY=NEVER", ""),
        (" NOTIFY=NEVER", " NOTIFY=FAILURE", ""),
        (" NOTIFY=NEVER", " NOTIFY=NEVER", " NOTIFY=NEVER"),
    ] {
        let sink = Options::new().extensions(&["DSN"]).start();
        let rcpt = [
            format!("RCPT TO:<bob@x.example>{first}"),
            format!("RCPT TO:<eve@x.example>{second}"),
        ];
        let said = [
            "EHLO web1",
            "MAIL FROM:<ann@b.example>",
            &rcpt[0],
            &rcpt[1],
            "DATA",
            "",
            "x",
            ".",
            "QUIT",
        ];
        let replies = dialogue(&host(sink.port()), "sendmail -bs", &said);
        assert_eq!(
            codes(&replies),
            ["220", "250", "250", "250", "250", "354", "250", "221"],
            "{replies:#?}"
        );
        assert_eq!(
            sink.wait_for_mails(1)[0].to,
            ["bob@x.example", "eve@x.example"]
        );
        for name in ["bob", "eve"] {
            let line = format!("C: RCPT TO:<{name}@x.example>{more}");
            assert!(
                sink.dialogue()
                    .iter()
                    .any(|said| said.split(" ORCPT").next() == Some(&line)),
                "{:#?}",
                sink.dialogue()
            );
        }
    }
}

/// Runs a real client with the words of a command behind its own.
fn client(sandbox: &Sandbox, wrapper: &[&str]) -> Outcome {
    sandbox
        .under_as(wrapper, "sendmail", &["-bs"])
        .queued()
        .run()
}

#[test]
fn pythons_smtplib_speaks_over_a_pipe() {
    if !Command::new("python3")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        println!("skipped: there is no python3 here");
        return;
    }
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/dialogue_clients/smtplib_pipe.py"
    );
    for up in [true, false] {
        let place = Place::reserve();
        let sandbox = host(place.port());
        let port = place.port();
        let sink = if up {
            Some(
                Options::new()
                    .extensions(&["8BITMIME", "DSN", "PIPELINING"])
                    .start_at(place),
            )
        } else {
            None
        };
        let outcome = client(&sandbox, &[python(), script]);
        let wanted = "\
extensions: 8bitmime dsn enhancedstatuscodes help pipelining size smtputf8
noop: 250
vrfy: 252
first refused: {'a..b c@x.example': 501}
second refused: {}
rset: 250
data without mail: 503
quit: 221
status: 0
stderr: ''
";
        assert_eq!(
            (
                outcome.status,
                outcome.stdout.as_str(),
                outcome.stderr.as_str()
            ),
            (0, wanted, ""),
            "up: {up} {port}"
        );
        let Some(sink) = sink else {
            assert_eq!(sandbox.entries().len(), 2);
            continue;
        };
        let mails = sink.wait_for_mails(2);
        assert_eq!(
            (mails[0].from.as_str(), mails[0].to.join(" ")),
            ("sender@x.example", "one@x.example two@x.example".into())
        );
        assert!(
            mails[0].text().ends_with("Subject: first\r\n\r\nbody\r\n"),
            "{}",
            mails[0].text()
        );
        assert_eq!(mails[1].to, ["admin@a.example"]);
        assert!(
            mails[1]
                .text()
                .ends_with("\r\n\r\n.dot\r\n..dots\r\ngr\u{fc}\u{df}e\r\n"),
            "{}",
            mails[1].text()
        );
        assert_eq!(mails[1].parameters, "BODY=8BITMIME RET=HDRS ENVID=q+2B1");
        let said = sink.dialogue().join("\n");
        assert!(
            said.contains(
                "C: RCPT TO:<admin@a.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;admin@a.example"
            ),
            "{said}"
        );
        assert_eq!(sandbox.queue_names("q"), [""; 0]);
    }
}

/// The interpreter itself: one that is chosen by the environment would not be found in a world's.
fn python() -> &'static str {
    if std::path::Path::new("/usr/bin/python3").exists() {
        "/usr/bin/python3"
    } else {
        "python3"
    }
}

#[test]
fn swaks_speaks_over_a_pipe() {
    if !Command::new("swaks")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        println!("skipped: there is no swaks here");
        return;
    }
    for (up, to, status) in [
        (true, "bob@x.example,root", 0),
        (false, "bob@x.example", 0),
        (true, "a@x..example", 24),
    ] {
        let place = Place::reserve();
        let sandbox = host(place.port());
        let sink = if up {
            Some(Options::new().start_at(place))
        } else {
            None
        };
        let pipe = format!("{} -bs", sandbox.link("sendmail").display());
        let words = [
            "swaks",
            "--pipe",
            &pipe,
            "--from",
            "ann@b.example",
            "--to",
            to,
            "--silent",
            "2",
            "--helo",
            "web1",
        ];
        let outcome = sandbox.program(&words).queued().run();
        let said = match status {
            0 => "",
            _ => "<** 501 5.1.3 `a@x..example` is not an address: the domain has an empty label\n",
        };
        assert_eq!(
            (
                outcome.status,
                outcome.stdout.as_str(),
                outcome.stderr.as_str()
            ),
            (status, said, ""),
            "{to}"
        );
        match sink {
            Some(sink) if status == 0 => {
                let mail = sink.wait_for_mails(1).remove(0);
                assert_eq!(
                    (mail.from.as_str(), mail.to.join(" ")),
                    ("ann@b.example", "bob@x.example admin@a.example".into())
                );
            }
            Some(sink) => assert_eq!((sink.sessions(), sandbox.entries()), (0, vec![])),
            None => assert_eq!(sandbox.entries().len(), 1),
        }
    }
}

#[test]
fn the_forms_of_q_flush_what_they_name_once_and_in_silence() {
    let place = Place::reserve();
    let sandbox = host(place.port());
    for to in [
        "bob@x.example",
        "carol@y.example",
        "dave@z.example",
        "eve@z.example",
    ] {
        silent(
            &sandbox
                .as_name("sendmail", &["-f", &format!("from-{}", &to[..3]), to])
                .stdin("x\n")
                .queued()
                .run(),
            to,
        );
    }
    let ids = sandbox.entries();
    // Nothing is due, whatever the interval: the first try was a moment ago.
    for form in ["-q", "-q30m", "-qp", "-q1h -odb", "-q -v"] {
        silent(
            &call(&format!("sendmail {form}")).run(&sandbox, true).run(),
            form,
        );
    }
    assert_eq!(sandbox.entries().len(), 4);
    let sink = Options::new().start_at(place);
    for (form, count) in [
        ("-qRy.example", 1),
        ("-qIno-such-id", 1),
        (&*format!("-M {}", ids[0]), 2),
        ("-qRz.example -qRnone", 4),
    ] {
        silent(
            &call(&format!("sendmail {form}")).run(&sandbox, true).run(),
            form,
        );
        assert_eq!(sink.mails().len(), count, "{form}");
    }
    assert_eq!(sandbox.entries(), [""; 0]);
}

#[test]
fn a_flush_is_silent_and_0_whatever_is_left() {
    let sandbox = host(Place::reserve().port());
    silent(
        &call("sendmail root").stdin("x\n").run(&sandbox, true).run(),
        "handed over",
    );
    silent(
        &call("sendmail -qRa.example").run(&sandbox, true).run(),
        "flush",
    );
    silent(&call("runq").run(&sandbox, true).run(), "runq");
    assert_eq!(sandbox.entries().len(), 1);
}

#[test]
fn a_daemon_is_refused_with_69_and_the_remedy() {
    let sandbox = host(1);
    for mode in ["-bd", "-bD", "-bl", "-bd -q30m"] {
        let outcome = call(&format!("sendmail {mode}")).run(&sandbox, true).run();
        assert_eq!(outcome.status, 69, "{mode}");
        let said = format!(
            "sendmail: `{}` starts a daemon, which smail does not have (hint: run `sendmail -q` from cron or a timer to send queued messages)\n",
            &mode[..3]
        );
        assert_eq!((outcome.stdout.as_str(), outcome.stderr), ("", said));
    }
}

#[test]
fn a_mode_that_nobody_knows_is_64_and_housekeeping_is_nothing() {
    let sandbox = host(1);
    for mode in ["-bt", "-bz", "-ba", "-be", "-bpx", "-b"] {
        let outcome = call(&format!("sendmail {mode}")).run(&sandbox, true).run();
        assert_eq!(outcome.status, 64, "{mode}");
        one_line(&outcome, "");
    }
    for mode in ["-bh", "-bH"] {
        silent(
            &call(&format!("sendmail {mode}")).run(&sandbox, true).run(),
            mode,
        );
    }
}

#[test]
fn nothing_but_a_mode_that_needs_it_reads_standard_input() {
    // A caller that holds the pipe open must not hang.
    let sandbox = host(Place::reserve().port());
    for line in [
        "mailq",
        "sendmail -bp",
        "sendmail -q",
        "newaliases",
        "sendmail -bi",
        "sendmail -bv root",
        "sendmail -bh",
        "sendmail -bd",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        let words = shlex::split(line).unwrap();
        let run = sandbox.as_name(&words[0], &words[1..]).queued();
        let outcome = run
            .stdin_file(std::fs::File::from(std::os::fd::OwnedFd::from(reader)))
            .run();
        assert!(
            [0, 69].contains(&outcome.status),
            "{line}: {}",
            outcome.stderr
        );
        drop(writer);
    }
}

#[test]
fn the_mode_bv_without_a_name_is_64_and_with_a_bad_one_65() {
    let sandbox = host(1);
    for (line, status) in [("sendmail -bv", 64), ("sendmail -bv 'a b@@x'", 65)] {
        let outcome = call(line).run(&sandbox, true).run();
        assert_eq!(outcome.status, status, "{line}");
        one_line(&outcome, "");
    }
}
