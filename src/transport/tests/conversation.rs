//! MAIL to the dot, group by group.
use std::io;

use super::*;
use crate::delivery::{Cause, Class, Stage};
use crate::transport::line::Commands;
use crate::transport::smtp::handshake;

const PIPELINING: &str = "250-mx.test\r\n250-SIZE 1000\r\n250 PIPELINING\r\n";
const MAIL: &str = "MAIL FROM:<me@a.test> SIZE=26\r\n";

#[test]
fn a_plain_send_takes_three_round_trips_and_the_goodbye_leaves_with_the_dot() {
    let report = exchange(
        &[
            HI,
            (EHLO, PIPELINING),
            (
                &format!("{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n"),
                "250 ok\r\n250 ok\r\n354 go\r\n",
            ),
            (
                &format!("{STUFFED}QUIT\r\n"),
                "250 2.0.0 queued\r\n221 bye\r\n",
            ),
        ],
        &["b@b.test"],
    );
    assert_eq!(outcomes(&report), ["250 2.0.0 queued"]);
    assert_eq!(report.bytes, BODY.len() as u64);
}

#[test]
fn without_pipelining_every_command_waits_for_its_reply() {
    let report = exchange(
        &[
            HI,
            (EHLO, "250 mx.test\r\n"),
            ("MAIL FROM:<me@a.test>\r\n", "250 ok\r\n"),
            ("RCPT TO:<b@b.test>\r\n", "550 5.1.1 unknown\r\n"),
            ("RCPT TO:<root>\r\n", "251 will forward\r\n"),
            ("DATA\r\n", "354 go\r\n"),
            (STUFFED, "250 ok\r\n"),
            ("QUIT\r\n", "500 what\r\n"),
        ],
        &["b@b.test", "root"],
    );
    assert_eq!(
        outcomes(&report),
        ["permanent at recipient: 550 5.1.1 unknown", "250 ok"]
    );
}

#[test]
fn the_dialogue_is_heard_in_the_order_of_the_wire() {
    let server = serve(&[&[
        HI,
        (EHLO, "250-mx.test\r\n250 PIPELINING\r\n"),
        (
            "MAIL FROM:<me@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n",
            "250 ok\r\n250 ok\r\n354 go\r\n",
        ),
        (
            &format!("{STUFFED}QUIT\r\n"),
            "250 \x1b[1mok\r\n221 bye\r\n",
        ),
    ]]);
    let (context, lines) = listening();
    let port = server.port;
    open(&Route::Smtp(Box::new(server.route())), &context).deliver(
        &message(&["b@b.test"]),
        ConnectionReuse::Last,
        &mut (),
    );
    server.done();
    assert_eq!(
        lines.lock().unwrap().join("\n"),
        format!(
            "* connected to 127.0.0.1:{port}\n< 220 mx.test ESMTP\n> EHLO client.test\n< 250-mx.test\n< 250 PIPELINING\n\
         > MAIL FROM:<me@a.test>\n> RCPT TO:<b@b.test>\n> DATA\n< 250 ok\n< 250 ok\n< 354 go\n* message, 26 bytes\n\
         > .\n> QUIT\n< 250 \\u{{1b}}[1mok\n< 221 bye"
        )
    );
}

#[test]
fn when_all_are_refused_a_server_that_wants_the_text_gets_a_lone_dot() {
    let report = exchange(
        &[
            HI,
            (EHLO, PIPELINING),
            (
                &format!("{MAIL}RCPT TO:<b@b.test>\r\nRCPT TO:<c@b.test>\r\nDATA\r\n"),
                "250 ok\r\n550 no b\r\n450 no c\r\n354 go\r\n",
            ),
            (".\r\n", "554 no valid recipients\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &["b@b.test", "c@b.test"],
    );
    assert_eq!(
        outcomes(&report),
        [
            "permanent at recipient: 550 no b",
            "temporary at recipient: 450 no c"
        ]
    );
}

#[test]
fn a_refused_sender_is_everybodys_refusal_and_all_replies_are_read() {
    let report = exchange(
        &[
            HI,
            (EHLO, PIPELINING),
            (
                &format!("{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n"),
                "550 5.7.1 not you\r\n503 no sender\r\n503 no recipient\r\n",
            ),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &["b@b.test"],
    );
    assert_eq!(
        outcomes(&report),
        ["permanent at sender: 550 5.7.1 not you"]
    );
}

#[test]
fn recipients_the_server_has_no_room_for_get_a_transaction_of_their_own() {
    let rcpt = |name| format!("RCPT TO:<{name}@b.test>\r\n");
    let report = exchange(
        &[
            HI,
            (EHLO, PIPELINING),
            (
                &format!("{MAIL}{}{}{}DATA\r\n", rcpt("a"), rcpt("b"), rcpt("c")),
                "250 ok\r\n250 ok\r\n452 4.5.3 too many\r\n552 too many\r\n354 go\r\n",
            ),
            (STUFFED, "250 first\r\n"),
            (
                &format!("{MAIL}{}DATA\r\n", rcpt("b")),
                "250 ok\r\n250 ok\r\n354 go\r\n",
            ),
            (STUFFED, "250 second\r\n"),
            (
                &format!("{MAIL}{}DATA\r\n", rcpt("c")),
                "250 ok\r\n452 4.2.2 full\r\n503 no recipient\r\n",
            ),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &["a@b.test", "b@b.test", "c@b.test"],
    );
    assert_eq!(
        outcomes(&report),
        [
            "250 first",
            "250 second",
            "temporary at recipient: 452 4.2.2 full"
        ]
    );
}

#[test]
fn a_552_to_the_first_recipient_is_a_full_mailbox_for_good() {
    let group = format!("{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n");
    let report = exchange(
        &[
            HI,
            (EHLO, PIPELINING),
            (&group, "250 ok\r\n552 full\r\n503 no\r\n"),
            ("QUIT\r\n", "221\r\n"),
        ],
        &["b@b.test"],
    );
    assert_eq!(outcomes(&report), ["permanent at recipient: 552 full"]);
}

#[test]
fn many_recipients_leave_in_groups() {
    let names: Vec<String> = (0..150).map(|n| format!("r{n}@b.test")).collect();
    let lines = |range: std::ops::Range<usize>| {
        names[range]
            .iter()
            .flat_map(|name| ["RCPT TO:<", name, ">\r\n"])
            .collect::<String>()
    };
    let report = exchange(
        &[
            HI,
            (EHLO, PIPELINING),
            (
                &format!("{MAIL}{}", lines(0..100)),
                &"250 ok\r\n".repeat(101),
            ),
            (
                &format!("{}DATA\r\n", lines(100..150)),
                &format!("{}354 go\r\n", "250 ok\r\n".repeat(50)),
            ),
            (&format!("{STUFFED}QUIT\r\n"), "250 ok\r\n221 bye\r\n"),
        ],
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    assert!(report.is_done());
    assert_eq!(
        report
            .recipients
            .iter()
            .map(|result| result.recipient.clone())
            .collect::<Vec<_>>(),
        names
    );
}

#[test]
fn a_421_ends_everything_that_is_not_decided_and_nothing_more_is_said() {
    let report = exchange(
        &[
            HI,
            (EHLO, "250 mx.test\r\n"),
            ("MAIL FROM:<me@a.test>\r\n", "250 ok\r\n"),
            ("RCPT TO:<a@b.test>\r\n", "550 no\r\n"),
            ("RCPT TO:<b@b.test>\r\n", "250 ok\r\n"),
            ("RCPT TO:<c@b.test>\r\n", "421 4.7.0 bye\r\n"),
        ],
        &["a@b.test", "b@b.test", "c@b.test"],
    );
    let bye = "temporary at recipient: 421 4.7.0 bye";
    assert_eq!(
        outcomes(&report),
        ["permanent at recipient: 550 no", bye, bye]
    );
}

#[test]
fn only_354_opens_the_text_and_only_2yz_accepts_it() {
    let start = [HI, (EHLO, PIPELINING)];
    let group = format!("{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n");
    for (answer, wanted) in [
        (
            "250 ok\r\n250 ok\r\n250 ok\r\n",
            "temporary at data: Protocol(\"the server replied \\\"250 ok\\\" to DATA\")",
        ),
        (
            "354 ok\r\n250 ok\r\n354 ok\r\n",
            "temporary at sender: Protocol(\"the server replied \\\"354 ok\\\" to MAIL\")",
        ),
        (
            "250 ok\r\n354 ok\r\n354 ok\r\n",
            "temporary at recipient: Protocol(\"the server replied \\\"354 ok\\\" to RCPT\")",
        ),
    ] {
        let report = exchange(&[start[0], start[1], (&group, answer)], &["b@b.test"]);
        assert_eq!(outcomes(&report), [wanted]);
    }
    let text = format!("{STUFFED}QUIT\r\n");
    let go = (group.as_str(), "250 ok\r\n250 ok\r\n354 go\r\n");
    let report = exchange(
        &[start[0], start[1], go, (&text, "354 again\r\n")],
        &["b@b.test"],
    );
    let wanted = "temporary in doubt at content: Protocol(\"the server replied \\\"354 again\\\" to the final dot\")";
    assert_eq!(outcomes(&report), [wanted]);
    let report = exchange(
        &[start[0], start[1], go, (&text, "221 bye\r\n")],
        &["b@b.test"],
    );
    let why = "the server sent \"221 bye\" instead of a reply to the message";
    assert_eq!(
        outcomes(&report),
        [format!("temporary in doubt at content: Lost({why:?})")]
    );
}

#[test]
fn only_a_connection_lost_after_the_dot_leaves_doubt() {
    let group = format!("{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n");
    let text = format!("{STUFFED}QUIT\r\n");
    let go = "250 ok\r\n250 ok\r\n354 go\r\n";
    let full: [Step<'_>; 4] = [HI, (EHLO, PIPELINING), (&group, go), (&text, "250-half a")];
    let lost = |stage, when| {
        format!("temporary at {stage}: Lost(\"the server closed the connection {when}\")")
    };
    let doubt = lost("content", "before replying to the message")
        .replace("temporary", "temporary in doubt");
    // How many steps are played, and how many bytes of the next group are read before the server
    // closes.
    for (steps, bytes, wanted) in [
        (0, 0, lost("greeting", "before its greeting")),
        (1, EHLO.len(), lost("hello", "after EHLO")),
        (2, group.len(), lost("sender", "after MAIL")),
        (3, text.len(), doubt.clone()),
        (4, 0, doubt),
    ] {
        let owned: Vec<(String, String)> = full[..steps]
            .iter()
            .map(|(f, a)| (f.to_string(), a.to_string()))
            .collect();
        let server = start(move |listener| {
            let mut stream = listener.accept().unwrap().0;
            play(&mut stream, &owned);
            stream.read_exact(&mut vec![0; bytes]).unwrap();
        });
        let report = deliver(server.route(), &message(&["b@b.test"]));
        server.done();
        assert_eq!(outcomes(&report), [wanted]);
    }
}

#[test]
fn a_server_that_refuses_while_the_text_is_under_way_is_heard() {
    let large = text(
        &["b@b.test"],
        "0123456789abcdef\r\n".repeat(1 << 20).into_bytes(),
    );
    let server = start(|listener| {
        let mut stream = listener.accept().unwrap().0;
        let script = [
            HI,
            (EHLO, "250 mx.test\r\n"),
            ("MAIL FROM:<me@a.test>\r\n", "250 ok\r\n"),
        ];
        let script = script.into_iter().chain([
            ("RCPT TO:<b@b.test>\r\n", "250 ok\r\n"),
            ("DATA\r\n", "354 go\r\n"),
        ]);
        play(
            &mut stream,
            &script
                .map(|(f, a)| (f.to_owned(), a.to_owned()))
                .collect::<Vec<_>>(),
        );
        stream.read_exact(&mut [0; 1000]).unwrap();
        // Closing with bytes unread resets the connection.
        stream.write_all(b"552 5.3.4 too big\r\n").unwrap();
    });
    let report = deliver(server.route(), &large);
    server.done();
    assert_eq!(
        outcomes(&report),
        ["permanent at content: 552 5.3.4 too big"]
    );
}

#[test]
fn a_file_that_changed_never_becomes_a_complete_message() {
    let server = start(|listener| {
        let mut stream = listener.accept().unwrap().0;
        play(
            &mut stream,
            &[
                (String::new(), HI.1.into()),
                (EHLO.into(), PIPELINING.into()),
                ("DATA\r\n".into(), "354 go\r\n".into()),
            ],
        );
        let heard = rest(&mut stream);
        assert!(
            !heard.contains("\r\n.\r\n") && heard.len() < 300_000,
            "{} bytes",
            heard.len()
        );
    });
    let route = server.route();
    let opened = handshake::open(
        &route,
        route.endpoints[0],
        &mut None,
        &RunContext::default(),
    );
    let mut session = opened.map_or_else(
        |closed| panic!("{:?}", closed.fault),
        |opened| opened.session,
    );
    let timeout = route.timeouts.dot;
    assert_eq!(
        session
            .command(Stage::Data, timeout, &Commands::fixed("DATA"))
            .unwrap()
            .code,
        354
    );
    let piece = || Ok(b"0123456789abcdef\r\n".repeat(10_000));
    let pieces: Vec<io::Result<Vec<u8>>> = vec![
        piece(),
        Err(io::Error::other("Changed while it was read")),
        piece(),
    ];
    let fault = session
        .message(0, timeout, &mut pieces.into_iter(), true, &mut || Ok(()))
        .unwrap_err();
    assert_eq!(
        fault,
        Fault::new(
            Stage::Content,
            Cause::Content("changed while it was read".into())
        )
    );
    assert_eq!(fault.class(), Class::Permanent);
    assert!(!session.is_open());
    drop(session);
    server.done();
}

#[test]
fn the_text_arrives_as_it_is_however_it_is_cut() {
    let wire = "a\r\n.\r\n..\r\n\r\nb";
    for (bytes, stuffed) in [
        (wire.to_owned() + "\r\n", "a\r\n..\r\n...\r\n\r\nb\r\n.\r\n"),
        (wire.to_owned(), "a\r\n..\r\n...\r\n\r\nb\r\n.\r\n"),
    ] {
        for size in 1..=bytes.len() {
            let server = serve(&[&[HI, (EHLO, "250 mx.test\r\n"), (stuffed, "250 ok\r\n")]]);
            let route = server.route();
            let opened = handshake::open(
                &route,
                route.endpoints[0],
                &mut None,
                &RunContext::default(),
            );
            let mut session = opened.map_or_else(
                |closed| panic!("{:?}", closed.fault),
                |opened| opened.session,
            );
            let mut pieces = bytes
                .as_bytes()
                .chunks(size)
                .map(|piece| Ok(piece.to_vec()));
            assert_eq!(
                session
                    .message(0, route.timeouts.dot, &mut pieces, false, &mut || Ok(()))
                    .unwrap()
                    .code,
                250
            );
            drop(session);
            server.done();
        }
    }
}
