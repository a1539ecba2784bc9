//! `--to-file`: a list of recipients that no header shows, and the words when a line of it is no
//! address.
use crate::support::sandbox::{Run, Sandbox};
use crate::support::sink::{Options, Sink};

fn smail<'w>(sandbox: &'w Sandbox, sink: &Sink, more: &[&str]) -> Run<'w> {
    let smtp = format!("smtp=127.0.0.1:{}", sink.port());
    let mut words = vec![
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "me@a.test",
        "-s",
        "subj",
    ];
    words.extend(more);
    sandbox.smail(&words)
}

#[test]
fn a_list_from_a_file_goes_to_everybody_once_and_stands_in_no_header() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    sandbox.write(
        "list",
        "\u{feff}# all\r\nAnn <ann@a.test>\r\n\r\nbob@a.test, ANN@a.test\r\nops # an alias\r\n",
    );
    let alias = "alias ops carl@a.test";
    let sent = smail(
        &sandbox,
        &sink,
        &["-X", alias, "--to-file", "list", "bob@a.test"],
    )
    .stdin("words\n")
    .run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    let mail = sink.only_mail();
    assert_eq!(mail.to, ["bob@a.test", "ann@a.test", "carl@a.test"]);
    let text = mail.text();
    assert!(
        text.contains("To: bob@a.test\r\n") && !text.contains("ann@") && !text.contains("carl@"),
        "{text}"
    );
}

#[test]
fn a_list_from_standard_input_leaves_the_words_to_a_file() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let words = sandbox.write("words", "words\n");
    let words = words.to_str().unwrap();
    let refused = smail(&sandbox, &sink, &["--to-file", "-"])
        .stdin("ann@a.test\n")
        .run();
    assert_eq!(
        (refused.status, refused.stderr.as_str()),
        (
            64,
            "smail: standard input can only be read once, but is needed for --to-file - and for the text of the message (`-m FILE` reads it from a file)\n"
        )
    );
    let sent = smail(&sandbox, &sink, &["--to-file", "-", "-m", words])
        .stdin("ann@a.test\n")
        .run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    assert_eq!(sink.only_mail().to, ["ann@a.test"]);
}

#[test]
fn bad_lines_are_pointed_at_and_nothing_is_sent() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    sandbox.write("list", "ann@a.test\nbob@@a.test\n");
    sandbox.write("lists", "ann@a.test\nbob@@a.test\n\ncarl d\n");
    sandbox.write("none", "# nobody\n");
    let fifo = sandbox.path("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let rows = [
        (
            "list",
            65,
            "smail: list:2: `bob@@a.test` is not an address: a second `@`\n  bob@@a.test\n      ^\n",
        ),
        (
            "lists",
            65,
            "smail: 2 lines are not addresses; nothing was sent\n  lists:2: `bob@@a.test` is not an address: a second `@`\n  bob@@a.test\n      ^\n  lists:4: `carl d` is not an address: a space is not allowed here; is a comma missing?\n  carl d\n       ^\n",
        ),
        ("none", 65, "smail: none: it contains no recipient\n"),
        ("missing", 66, "smail: missing: No such file or directory\n"),
        (
            "fifo",
            66,
            "smail: fifo: it is not a regular file; pipe it in with `-`\n",
        ),
    ];
    for (list, status, said) in rows {
        let outcome = smail(&sandbox, &sink, &["--to-file", list])
            .stdin("words\n")
            .run();
        assert_eq!(
            (outcome.status, outcome.stderr.as_str()),
            (status, said),
            "{list}"
        );
    }
    assert_eq!(sink.sessions(), 0);
}

#[test]
fn many_refused_recipients_are_counted_and_not_all_named() {
    let (sandbox, mut sink) = (Sandbox::new(), Options::new());
    let names: Vec<String> = (0..25).map(|n| format!("r{n}@a.test")).collect();
    for name in &names {
        sink = sink.recipient(name, "550 5.1.1 unknown");
    }
    let sink = sink.start();
    sandbox.write("list", names.join("\n"));
    let outcome = smail(&sandbox, &sink, &["--to-file", "list"])
        .stdin("words\n")
        .run();
    assert_eq!(outcome.status, 67);
    assert_eq!(
        outcome.stderr.matches("550 5.1.1 unknown").count(),
        20,
        "{}",
        outcome.stderr
    );
    assert!(
        outcome
            .stderr
            .contains("\n  and 5 more; use --json to list every recipient\n"),
        "{}",
        outcome.stderr
    );
}

/// Addresses for a list, one a line.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("r{n}@a.test")).collect()
}

fn commands(sink: &Sink, verb: &str) -> usize {
    let wanted = format!("C: {verb}");
    sink.dialogue()
        .iter()
        .filter(|line| line.starts_with(&wanted))
        .count()
}

#[test]
fn a_long_list_is_split_where_the_server_says_it_is_full() {
    let names = names(1000);
    for reply in [
        "452 4.5.3 too many recipients",
        "452 too many recipients",
        "552 too many recipients",
    ] {
        let (sandbox, sink) = (Sandbox::new(), Options::new().most(100, reply).start());
        sandbox.write("list", names.join("\n"));
        let sent = smail(&sandbox, &sink, &["--to-file", "list"])
            .stdin("words\n")
            .run();
        assert_eq!((sent.status, sent.stderr.as_str()), (0, ""), "{reply}");
        let mails = sink.mails();
        assert!(mails.iter().all(|mail| mail.to.len() == 100), "{reply}");
        assert_eq!(
            mails
                .iter()
                .flat_map(|mail| mail.to.clone())
                .collect::<Vec<_>>(),
            names,
            "{reply}"
        );
        // The two hundred that followed the first hundred were refused together; nobody was ever
        // asked about twice after that.
        assert_eq!(
            (
                commands(&sink, "MAIL"),
                commands(&sink, "RCPT"),
                sink.sessions()
            ),
            (10, 1200, 1),
            "{reply}"
        );
        // Greeting, EHLO, three round trips of the first transaction, one of each further one, and the
        // dots; QUIT leaves with the last.
        assert_eq!(sink.round_trips(), 1 + 3 + 9 + 10, "{reply}");
    }
}

#[test]
fn a_limit_that_is_announced_is_never_reached() {
    let names = names(1000);
    let (sandbox, sink) = (
        Sandbox::new(),
        Options::new()
            .extensions(&["PIPELINING", "LIMITS RCPTMAX=250"])
            .most(250, "550 5.5.3 told you")
            .start(),
    );
    sandbox.write("list", names.join("\n"));
    let sent = smail(&sandbox, &sink, &["--to-file", "list"])
        .stdin("words\n")
        .run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    assert_eq!(
        (
            commands(&sink, "MAIL"),
            commands(&sink, "RCPT"),
            sink.sessions()
        ),
        (4, 1000, 1)
    );
}

#[test]
fn every_recipient_of_a_long_list_in_the_queue_has_a_result() {
    let names = names(2100);
    let (sandbox, mut options) = (
        Sandbox::new(),
        Options::new().most(100, "452 4.5.3 too many recipients"),
    );
    for (at, name) in names.iter().enumerate() {
        options = match at % 7 {
            3 => options.recipient(name, "450 4.2.1 later"),
            5 => options.recipient(name, "550 5.1.1 unknown"),
            _ => options,
        };
    }
    let sink = options.start();
    sandbox.write("list", names.join("\n"));
    let first = smail(&sandbox, &sink, &["--to-file", "list"])
        .stdin("words\n")
        .queued()
        .run();
    assert!(
        first.stderr.contains("1500 of 2100"),
        "{} {}",
        first.status,
        first.stderr
    );
    let taken = |from: usize| {
        sink.mails()[from..]
            .iter()
            .flat_map(|mail| mail.to.clone())
            .collect::<Vec<_>>()
    };
    let kept = |rest: &[usize]| -> Vec<_> {
        names
            .iter()
            .enumerate()
            .filter(|(at, _)| rest.contains(&(at % 7)))
            .map(|(_, name)| name.clone())
            .collect()
    };
    assert_eq!(taken(0), kept(&[0, 1, 2, 4, 6]));
    let [id] = sandbox.entries().try_into().unwrap();
    // The beginning, and of each transaction what was refused, what was put off, the dot and what
    // was accepted: none for each recipient.
    assert_eq!(sandbox.journal(&id).len(), 1 + 4 * sink.mails().len());
    for name in kept(&[3]) {
        sink.answer(&name, "250 2.1.5 now");
    }
    let before = sink.mails().len();
    let flush = sandbox.smail(&["--flush", &id]).queued().run();
    let told =
        format!("smail: message {id} was given up: 550 5.1.1 unknown (smail --queue-show {id})\n");
    assert_eq!((flush.status, flush.stderr), (69, told));
    assert_eq!(taken(before), kept(&[3]));
}

#[test]
fn what_a_list_names_twice_is_said_to_those_who_ask() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    sandbox.write("list", "ann@a.test\nAnn <ANN@a.test>\nbob@a.test\n");
    let dry = smail(&sandbox, &sink, &["--to-file", "list", "--dry-run"])
        .stdin("words\n")
        .run();
    assert_eq!(dry.status, 0);
    let said = "smail: list: 2 recipients; 1 duplicate recipient was left out\n";
    assert!(dry.stderr.contains(said), "{}", dry.stderr);
    assert!(
        dry.stderr
            .contains("-- to: <ann@a.test>\n-- to: <bob@a.test>\n"),
        "{}",
        dry.stderr
    );
    assert!(
        !dry.stdout.contains("ann@") && !dry.stdout.contains("bob@"),
        "{}",
        dry.stdout
    );
    assert_eq!(sink.sessions(), 0);
}

#[test]
fn a_list_adds_to_the_recipients_of_a_template() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    sandbox.write("list", "bob@a.test\nann@a.test\n");
    let mail = "To: ann@a.test\nSubject: s\n\nwords\n";
    let sent = smail(&sandbox, &sink, &["-t", "--to-file", "list"])
        .stdin(mail)
        .run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    let mail = sink.only_mail();
    assert_eq!(mail.to, ["ann@a.test", "bob@a.test"]);
    assert!(
        mail.text().contains("To: ann@a.test\r\n") && !mail.text().contains("bob@"),
        "{}",
        mail.text()
    );
    let twice = smail(&sandbox, &sink, &["-t", "--to-file", "-"])
        .stdin("ann@a.test\n")
        .run();
    let said =
        "smail: standard input can only be read once, but is needed for --to-file - and for -t\n";
    assert_eq!((twice.status, twice.stderr.as_str()), (64, said));
}
