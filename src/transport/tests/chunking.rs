//! A message in the group of its envelope (RFC 3030), and every way in which that may go wrong.
use super::bookkeeping::{entries, witnessed};
use super::*;

const CHUNKING: &str = "250-mx.test\r\n250-CHUNKING\r\n250 PIPELINING\r\n";
const MAIL: &str = "MAIL FROM:<me@a.test>\r\n";
const BDAT: &str = "BDAT 26 LAST\r\nSubject: x\r\n\r\n.dot\r\nbody\r\n";
const OPENING: [Step<'static>; 2] = [HI, (EHLO, CHUNKING)];

/// One group: MAIL, the recipients, the message, and more.
fn group(recipients: &[&str], more: &str) -> String {
    let recipients: String = recipients
        .iter()
        .flat_map(|name| ["RCPT TO:<", name, "@b.test>\r\n"])
        .collect();
    format!("{MAIL}{recipients}{BDAT}{more}")
}

/// The same up to DATA, without a message.
fn asking(recipients: &[&str]) -> String {
    group(recipients, "").replace(BDAT, "DATA\r\n")
}

fn people(names: &[&str]) -> Message {
    let full: Vec<String> = names.iter().map(|name| format!("{name}@b.test")).collect();
    message(&full.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Delivers over connections with these scripts, and gives the outcomes and what the log heard.
fn told(scripts: &[&[Step<'_>]], names: &[&str], lmtp: bool) -> (Vec<String>, Vec<String>) {
    let server = serve(scripts);
    let lines = witnessed(
        Smtp {
            lmtp,
            ..server.route()
        },
        &people(names),
        9,
    );
    server.done();
    let server = serve(scripts);
    let report = deliver(
        Smtp {
            lmtp,
            ..server.route()
        },
        &people(names),
    );
    server.done();
    (
        outcomes(&report),
        entries(&lines).into_iter().map(str::to_owned).collect(),
    )
}

#[test]
fn a_small_mail_takes_two_round_trips_and_its_dots_stay_single() {
    let server = serve(&[&[
        HI,
        (EHLO, CHUNKING),
        (
            &group(&["b", "c"], "QUIT\r\n"),
            "250 ok\r\n550 no b\r\n250 ok\r\n250 2.0.0 queued\r\n221 bye\r\n",
        ),
    ]]);
    let lines = witnessed(server.route(), &people(&["b", "c"]), 1);
    server.done();
    let wanted = [
        "dot [0, 1]",
        "> MAIL FROM:<me@a.test>",
        "> RCPT TO:<b@b.test>",
        "> RCPT TO:<c@b.test>",
        "> BDAT 26 LAST",
        "* message, 26 bytes",
        "> QUIT",
        "< 250 ok",
        "< 550 no b",
        "< 250 ok",
        "settled 0 permanent at recipient: 550 no b",
        "< 250 2.0.0 queued",
        "settled 1 250 2.0.0 queued",
        "< 221 bye",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn data_is_used_where_chunking_or_pipelining_lacks_or_the_user_wants_it() {
    let asking = asking(&["b"]);
    let last = format!("{STUFFED}QUIT\r\n");
    let rest = [
        (asking.as_str(), "250 ok\r\n250 ok\r\n354 go\r\n"),
        (last.as_str(), "250 in\r\n221 bye\r\n"),
    ];
    assert_eq!(
        outcomes(&exchange(
            &[
                HI,
                (EHLO, "250-mx.test\r\n250 PIPELINING\r\n"),
                rest[0],
                rest[1]
            ],
            &["b@b.test"]
        )),
        ["250 in"]
    );
    let server = serve(&[&[HI, (EHLO, CHUNKING), rest[0], rest[1]]]);
    assert_eq!(
        outcomes(&deliver(
            Smtp {
                chunking: false,
                ..server.route()
            },
            &people(&["b"])
        )),
        ["250 in"]
    );
    server.done();
    let alone = "250-mx.test\r\n250 CHUNKING\r\n";
    let steps = [
        HI,
        (EHLO, alone),
        (MAIL, "250 ok\r\n"),
        ("RCPT TO:<b@b.test>\r\n", "550 no\r\n"),
        ("QUIT\r\n", "221 bye\r\n"),
    ];
    assert_eq!(
        outcomes(&exchange(&steps, &["b@b.test"])),
        ["permanent at recipient: 550 no"]
    );
}

#[test]
fn a_mail_of_more_than_64_kib_waits_for_354() {
    for (size, whole) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let mut bytes = "0123456789abcde\r\n".repeat(4000).into_bytes();
        bytes.truncate(size - 2);
        bytes.resize(size - 2, b'x');
        bytes.extend_from_slice(b"\r\n");
        let text = text(&["b@b.test"], bytes.clone());
        assert_eq!(text.size(), size as u64);
        let server = start(move |listener| {
            let mut stream = listener.accept().unwrap().0;
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            play(
                &mut stream,
                &OPENING.map(|(f, a)| (f.to_owned(), a.to_owned())),
            );
            let end = if whole {
                format!("BDAT {size} LAST\r\n")
            } else {
                "DATA\r\n".to_owned()
            };
            let commands = format!("{MAIL}RCPT TO:<b@b.test>\r\n{end}");
            let mut heard = vec![0; commands.len()];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(String::from_utf8_lossy(&heard), commands);
            if whole {
                let mut heard = vec![0; size];
                stream.read_exact(&mut heard).unwrap();
                assert!(heard == bytes);
                stream
                    .write_all(b"250 ok\r\n250 ok\r\n250 in\r\n221 bye\r\n")
                    .unwrap();
                assert_eq!(rest(&mut stream), "QUIT\r\n");
            } else {
                stream
                    .write_all(b"250 ok\r\n550 no\r\n554 nobody\r\n")
                    .unwrap();
                assert_eq!(rest(&mut stream), "QUIT\r\n");
            }
        });
        let wanted = if whole {
            "250 in"
        } else {
            "permanent at recipient: 550 no"
        };
        assert_eq!(outcomes(&deliver(server.route(), &text)), [wanted]);
        server.done();
    }
}

#[test]
fn a_message_for_nobody_brings_no_second_error() {
    let group = group(&["b", "c"], "QUIT\r\n");
    for answer in [
        "503 5.5.1 need RCPT",
        "554 no valid recipients",
        "250 to nobody",
    ] {
        let answers = format!("250 ok\r\n550 no b\r\n450 not now\r\n{answer}\r\n221 bye\r\n");
        let (outcomes, entries) = told(
            &[&[OPENING[0], OPENING[1], (&group, &answers)]],
            &["b", "c"],
            false,
        );
        assert_eq!(
            outcomes,
            [
                "permanent at recipient: 550 no b",
                "temporary at recipient: 450 not now"
            ]
        );
        let settled =
            "settled 0 permanent at recipient: 550 no b, 1 temporary at recipient: 450 not now";
        assert_eq!(entries, ["dot [0, 1]", settled]);
    }
    let answers = "550 5.7.1 not you\r\n503 no\r\n503 no\r\n503 no\r\n221 bye\r\n";
    let (outcomes, entries) = told(
        &[&[OPENING[0], OPENING[1], (&group, answers)]],
        &["b", "c"],
        false,
    );
    assert_eq!(outcomes, ["permanent at sender: 550 5.7.1 not you"; 2]);
    assert_eq!(entries.len(), 2);
}

#[test]
fn what_was_refused_is_reset_before_the_next_mail() {
    let (first, next) = (
        group(&["b"], ""),
        format!("RSET\r\n{}", group(&["b"], "QUIT\r\n")),
    );
    let refusals = [
        "250 ok\r\n550 no\r\n503 nobody\r\n",
        "550 no\r\n503 no\r\n503 no\r\n",
        "250 ok\r\n250 ok\r\n554 spam\r\n",
    ];
    for refusal in refusals {
        let good = "250 reset\r\n250 ok\r\n250 ok\r\n250 in\r\n221 bye\r\n";
        let server = serve(&[&[OPENING[0], OPENING[1], (&first, refusal), (&next, good)]]);
        let mut way = open(
            &Route::Smtp(Box::new(server.route())),
            &RunContext::default(),
        );
        assert!(
            way.deliver(&people(&["b"]), ConnectionReuse::More, &mut ())
                .recipients[0]
                .outcome
                .is_err()
        );
        assert_eq!(
            outcomes(&way.deliver(&people(&["b"]), ConnectionReuse::Last, &mut ())),
            ["250 in"]
        );
        drop(way);
        server.done();
    }
    // After one that was taken nothing has to be undone.
    let (good, last) = ("250 ok\r\n250 ok\r\n250 in\r\n", group(&["b"], "QUIT\r\n"));
    let server = serve(&[&[OPENING[0], OPENING[1], (&first, good), (&last, good), GONE]]);
    let mut way = open(
        &Route::Smtp(Box::new(server.route())),
        &RunContext::default(),
    );
    assert_eq!(
        outcomes(&way.deliver(&people(&["b"]), ConnectionReuse::More, &mut ())),
        ["250 in"]
    );
    assert_eq!(
        outcomes(&way.deliver(&people(&["b"]), ConnectionReuse::Last, &mut ())),
        ["250 in"]
    );
    drop(way);
    server.done();
}

#[test]
fn a_refusal_of_the_mail_is_final_and_told() {
    for (answer, class) in [
        ("552 5.3.4 too big", "permanent"),
        ("554 5.7.1 spam", "permanent"),
        ("451 later", "temporary"),
    ] {
        let answers = format!("250 ok\r\n250 ok\r\n550 no b\r\n{answer}\r\n221 bye\r\n");
        let group = group(&["a", "b"], "QUIT\r\n");
        let (outcomes, entries) = told(
            &[&[OPENING[0], OPENING[1], (&group, &answers)]],
            &["a", "b"],
            false,
        );
        let wanted = [
            format!("{class} at content: {answer}"),
            "permanent at recipient: 550 no b".to_owned(),
        ];
        assert_eq!(outcomes, wanted);
        let settled = [
            format!("settled 1 {}", wanted[1]),
            format!("settled 0 {}", wanted[0]),
        ];
        assert_eq!(entries, ["dot [0, 1]", &settled[0], &settled[1]]);
    }
}

#[test]
fn a_server_that_refuses_bdat_gets_data_in_the_same_session() {
    let (first, again) = (
        group(&["b", "c"], ""),
        format!("RSET\r\n{}", asking(&["c"])),
    );
    for code in [500, 501, 502, 503, 504] {
        let refusal = format!("250 ok\r\n550 no b\r\n250 ok\r\n{code} no BDAT\r\n");
        let server = serve(&[&[
            OPENING[0],
            OPENING[1],
            (&first, &refusal),
            (&again, "250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
            (STUFFED, "250 in\r\n"),
            // And never again on this way.
            (&asking(&["b"]), "250 ok\r\n250 ok\r\n354 go\r\n"),
            (&format!("{STUFFED}QUIT\r\n"), "250 second\r\n221 bye\r\n"),
        ]]);
        let mut way = open(
            &Route::Smtp(Box::new(server.route())),
            &RunContext::default(),
        );
        let report = way.deliver(&people(&["b", "c"]), ConnectionReuse::More, &mut ());
        assert_eq!(
            outcomes(&report),
            ["permanent at recipient: 550 no b", "250 in"]
        );
        assert_eq!(
            outcomes(&way.deliver(&people(&["b"]), ConnectionReuse::Last, &mut ())),
            ["250 second"]
        );
        drop(way);
        server.done();
    }
}

#[test]
fn a_server_that_refuses_bdat_after_quit_is_called_once_more() {
    let (first, again) = (group(&["b", "c"], "QUIT\r\n"), asking(&["c"]));
    let (outcomes, entries) = told(
        &[
            &[
                OPENING[0],
                OPENING[1],
                (
                    &first,
                    "250 ok\r\n550 no b\r\n250 ok\r\n502 no BDAT\r\n221 bye\r\n",
                ),
            ],
            &[
                OPENING[0],
                OPENING[1],
                (&again, "250 ok\r\n250 ok\r\n354 go\r\n"),
                (&format!("{STUFFED}QUIT\r\n"), "250 in\r\n221 bye\r\n"),
            ],
        ],
        &["b", "c"],
        false,
    );
    assert_eq!(outcomes, ["permanent at recipient: 550 no b", "250 in"]);
    assert_eq!(
        entries,
        [
            "dot [0, 1]",
            "settled 0 permanent at recipient: 550 no b",
            "dot [1]",
            "settled 1 250 in"
        ]
    );
}

#[test]
fn a_server_that_takes_the_text_for_commands_is_called_once_more() {
    // It answers every line of the message, and RSET gets the answer to one of them.
    let confused =
        "250 ok\r\n250 ok\r\n500 what\r\n500 what\r\n500 what\r\n500 what\r\n500 what\r\n";
    let (first, again) = (group(&["b"], ""), asking(&["b"]));
    let server = serve(&[
        &[OPENING[0], OPENING[1], (&first, confused)],
        &[
            OPENING[0],
            OPENING[1],
            (&again, "250 ok\r\n250 ok\r\n354 go\r\n"),
            (STUFFED, "250 in\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
    ]);
    let mut way = open(
        &Route::Smtp(Box::new(server.route())),
        &RunContext::default(),
    );
    assert_eq!(
        outcomes(&way.deliver(&people(&["b"]), ConnectionReuse::More, &mut ())),
        ["250 in"]
    );
    drop(way);
    server.done();
}

#[test]
fn recipients_there_is_no_room_for_get_another_connection_when_quit_has_left() {
    let (first, second) = (group(&["a", "b", "c"], "QUIT\r\n"), group(&["b", "c"], ""));
    let busy = "250 ok\r\n250 ok\r\n452 too many\r\n552 too many\r\n250 first\r\n221 bye\r\n";
    let (outcomes, entries) = told(
        &[
            &[OPENING[0], OPENING[1], (&first, busy)],
            &[
                OPENING[0],
                OPENING[1],
                (&second, "250 ok\r\n250 ok\r\n550 no c\r\n250 second\r\n"),
                ("QUIT\r\n", "221 bye\r\n"),
            ],
        ],
        &["a", "b", "c"],
        false,
    );
    assert_eq!(
        outcomes,
        [
            "250 first",
            "250 second",
            "permanent at recipient: 550 no c"
        ]
    );
    let wanted = [
        "dot [0, 1, 2]",
        "settled 0 250 first",
        "dot [1, 2]",
        "settled 2 permanent at recipient: 550 no c",
        "settled 1 250 second",
    ];
    assert_eq!(entries, wanted);
}

#[test]
fn recipients_there_is_no_room_for_stay_put_off_when_no_other_connection_is_to_be_had() {
    let first = group(&["a", "b"], "QUIT\r\n");
    let busy = "250 ok\r\n250 ok\r\n452 too many\r\n250 first\r\n221 bye\r\n";
    let scripts: [&[Step<'_>]; 2] = [
        &[OPENING[0], OPENING[1], (&first, busy)],
        &[
            ("", "554 one call is enough\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
    ];
    let (outcomes, entries) = told(&scripts, &["a", "b"], false);
    let put_off = "temporary at recipient: 452 too many";
    assert_eq!(outcomes, ["250 first", put_off]);
    assert_eq!(
        entries,
        [
            "dot [0, 1]",
            "settled 0 250 first",
            &format!("settled 1 {put_off}")
        ]
    );
}

#[test]
fn a_connection_lost_before_the_answer_is_in_doubt_for_all_but_the_refused() {
    let group = group(&["a", "b", "c"], "QUIT\r\n");
    let lost = "temporary in doubt at content: Lost";
    for (answers, refused) in [
        ("", false),
        ("250 ok\r\n", false),
        ("250 ok\r\n250 ok\r\n550 no b\r\n", true),
        ("250 ok\r\n250 ok\r\n550 no b\r\n250 ok\r\n", true),
    ] {
        let server = serve(&[&[OPENING[0], OPENING[1], (&group, answers), GONE]]);
        let report = deliver(server.route(), &people(&["a", "b", "c"]));
        server.done();
        let outcomes = outcomes(&report);
        assert!(
            outcomes[0].starts_with(lost) && outcomes[2].starts_with(lost),
            "{answers:?}: {outcomes:?}"
        );
        assert_eq!(
            outcomes[1] == "permanent at recipient: 550 no b",
            refused,
            "{answers:?}: {outcomes:?}"
        );
        assert_eq!(
            outcomes[1].starts_with(lost),
            !refused,
            "{answers:?}: {outcomes:?}"
        );
    }
}

#[test]
fn a_refusal_is_certain_even_when_the_connection_is_lost_after_it() {
    let group = group(&["a"], "QUIT\r\n");
    for (answers, wanted) in [
        ("550 not you\r\n", "permanent at sender: 550 not you"),
        ("250 ok\r\n550 no a\r\n", "permanent at recipient: 550 no a"),
        ("421 closing\r\n", "temporary at sender: 421 closing"),
        (
            "250 ok\r\n421 closing\r\n",
            "temporary at recipient: 421 closing",
        ),
        (
            "250 ok\r\n250 ok\r\n421 closing\r\n",
            "temporary at content: 421 closing",
        ),
    ] {
        let server = serve(&[&[OPENING[0], OPENING[1], (&group, answers), GONE]]);
        assert_eq!(
            outcomes(&deliver(server.route(), &people(&["a"]))),
            [wanted]
        );
        server.done();
    }
}

#[test]
fn the_answer_to_quit_is_none_to_anything_before_it() {
    let group = group(&["a"], "QUIT\r\n");
    for answers in [
        "221 bye\r\n",
        "250 ok\r\n221 bye\r\n",
        "250 ok\r\n250 ok\r\n221 bye\r\n",
    ] {
        let server = serve(&[&[OPENING[0], OPENING[1], (&group, answers)]]);
        let outcomes = outcomes(&deliver(server.route(), &people(&["a"])));
        server.done();
        assert!(
            outcomes[0].starts_with("temporary in doubt at content: Lost"),
            "{outcomes:?}"
        );
    }
    let server = serve(&[&[
        OPENING[0],
        OPENING[1],
        (&group, "250 ok\r\n250 ok\r\n354 go\r\n"),
        GONE,
    ]]);
    let outcomes = outcomes(&deliver(server.route(), &people(&["a"])));
    server.done();
    let wanted =
        "temporary in doubt at content: Protocol(\"the server replied \\\"354 go\\\" to BDAT\")";
    assert_eq!(outcomes, [wanted]);
}

#[test]
fn a_tired_connection_is_replaced_only_when_it_says_so() {
    let (first, last) = (group(&["b"], ""), group(&["b"], "QUIT\r\n"));
    let good = "250 ok\r\n250 ok\r\n250 in\r\n";
    // Said no: nothing was taken.
    let server = serve(&[
        &[
            OPENING[0],
            OPENING[1],
            (&first, good),
            (&last, "421 too many messages\r\n"),
        ],
        &[OPENING[0], OPENING[1], (&last, good), GONE],
    ]);
    let mut way = open(
        &Route::Smtp(Box::new(server.route())),
        &RunContext::default(),
    );
    assert_eq!(
        outcomes(&way.deliver(&people(&["b"]), ConnectionReuse::More, &mut ())),
        ["250 in"]
    );
    assert_eq!(
        outcomes(&way.deliver(&people(&["b"]), ConnectionReuse::Last, &mut ())),
        ["250 in"]
    );
    drop(way);
    server.done();
    // Said nothing, having heard the whole of it.
    let server = serve(&[&[OPENING[0], OPENING[1], (&first, good), (&last, ""), GONE]]);
    let mut way = open(
        &Route::Smtp(Box::new(server.route())),
        &RunContext::default(),
    );
    assert_eq!(
        outcomes(&way.deliver(&people(&["b"]), ConnectionReuse::More, &mut ())),
        ["250 in"]
    );
    let outcomes = outcomes(&way.deliver(&people(&["b"]), ConnectionReuse::Last, &mut ()));
    assert!(
        outcomes[0].starts_with("temporary in doubt at content: Lost"),
        "{outcomes:?}"
    );
    drop(way);
    server.done();
}

#[test]
fn a_journal_that_fails_keeps_the_whole_group_back() {
    let server = serve(&[&OPENING]);
    let lines = witnessed(server.route(), &people(&["b"]), 0);
    server.done();
    assert_eq!(
        lines,
        [
            "dot [0]",
            "settled 0 temporary at content: Journal(\"no space left on device\")"
        ]
    );
}

#[test]
fn lmtp_answers_bdat_for_every_accepted_recipient() {
    let group = group(&["a", "b", "c"], "QUIT\r\n");
    let answers =
        "250 ok\r\n250 ok\r\n550 no b\r\n250 ok\r\n250 a is in\r\n503 c is odd\r\n221 bye\r\n";
    let steps = [
        HI,
        ("LHLO client.test\r\n", CHUNKING),
        (group.as_str(), answers),
    ];
    let (outcomes, entries) = told(&[&steps], &["a", "b", "c"], true);
    let (b, c) = (
        "permanent at recipient: 550 no b",
        "permanent at content: 503 c is odd",
    );
    assert_eq!(outcomes, ["250 a is in", b, c]);
    assert_eq!(
        entries,
        [
            "dot [0, 1, 2]".to_owned(),
            format!("settled 1 {b}"),
            format!("settled 0 250 a is in, 2 {c}")
        ]
    );
}

#[test]
fn beyond_a_hundred_recipients_the_message_leaves_with_the_last_group() {
    let names: Vec<String> = (0..150).map(|at| format!("r{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let all = group(&names, "QUIT\r\n");
    let cut = all.find("RCPT TO:<r100@").unwrap();
    let (first, second) = all.split_at(cut);
    let refused = "550 no\r\n".repeat(50);
    let answers = (
        format!("250 ok\r\n{}{refused}", "250 ok\r\n".repeat(50)),
        format!("{refused}250 in\r\n221 bye\r\n"),
    );
    let steps = [
        OPENING[0],
        OPENING[1],
        (first, answers.0.as_str()),
        (second, answers.1.as_str()),
    ];
    let (outcomes, entries) = told(&[&steps], &names, false);
    assert!(outcomes[..50].iter().all(|outcome| outcome == "250 in"));
    assert!(
        outcomes[50..]
            .iter()
            .all(|outcome| outcome == "permanent at recipient: 550 no")
    );
    // Those refused by then are told of no message.
    let announced: Vec<usize> = (0..50).chain(100..150).collect();
    assert_eq!(entries[0], format!("dot {announced:?}"));
}

/// What a scripted server took a forged mail from: it offers CHUNKING, refuses BDAT and does not
/// read its bytes.
#[test]
fn a_text_with_a_line_that_is_a_command_waits_for_354() {
    for line in [
        "MAIL FROM:<forged@x.test>",
        "  rcpt to:<e@x.test>",
        "DATA",
        "quit",
        "lhlo x",
        "\tMailFrom:<>",
    ] {
        let bytes = format!("Subject: x\r\n\r\n{line}\r\nbody\r\n");
        let text = text(&["b@b.test"], bytes.clone().into_bytes());
        let last = format!("{bytes}.\r\nQUIT\r\n");
        let asking = asking(&["b"]);
        let steps = [
            OPENING[0],
            OPENING[1],
            (asking.as_str(), "250 ok\r\n250 ok\r\n354 go\r\n"),
            (last.as_str(), "250 in\r\n221 bye\r\n"),
        ];
        let server = serve(&[&steps]);
        assert_eq!(
            outcomes(&deliver(server.route(), &text)),
            ["250 in"],
            "{line}"
        );
        server.done();
    }
}
