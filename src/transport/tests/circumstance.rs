//! What happens around a conversation: signals, connections kept and lost, LMTP, endpoints, time.
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::*;
use crate::delivery::{Cause, Stage};

const PIPELINING: &str = "250-mx.test\r\n250-SIZE 1000\r\n250 PIPELINING\r\n";
const MAIL: &str = "MAIL FROM:<me@a.test> SIZE=26\r\n";

#[test]
fn a_signal_before_the_dot_sends_nothing_more() {
    let server = start(|listener| {
        let mut stream = listener.accept().unwrap().0;
        play(
            &mut stream,
            &[
                (String::new(), HI.1.into()),
                (EHLO.into(), "250-mx\r\n".into()),
            ],
        );
        assert_eq!(rest(&mut stream), "");
    });
    let (context, lines) = listening();
    let (hear, interrupt) = (context.observer.clone().unwrap(), context.interrupt.clone());
    let observer = move |event: Event<'_>| {
        if let Event::Line(line) = event {
            hear.observe(Event::Line(line));
            if *line == Line::Server("250-mx".into()) {
                interrupt.store(2, Ordering::Relaxed);
            }
        }
    };
    let context = RunContext {
        observer: Some(Arc::new(observer)),
        ..context
    };
    let begin = Instant::now();
    let report = open(&Route::Smtp(Box::new(server.route())), &context).deliver(
        &message(&["b@b.test"]),
        ConnectionReuse::Last,
        &mut (),
    );
    assert_eq!(
        report.recipients[0].outcome,
        Err(Fault::new(Stage::Hello, Cause::Interrupted(2)))
    );
    assert!(begin.elapsed() < Duration::from_secs(2));
    server.done();
    assert_eq!(lines.lock().unwrap().last().unwrap(), "< 250-mx");
}

#[test]
fn a_signal_after_the_dot_still_hears_the_answer() {
    let group = format!("{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n");
    let (go, text) = (
        "250 ok\r\n250 ok\r\n354 go\r\n",
        format!("{STUFFED}QUIT\r\n"),
    );
    let context = RunContext::default();
    let interrupt = context.interrupt.clone();
    let server = start(move |listener| {
        let mut stream = listener.accept().unwrap().0;
        let script = [HI, (EHLO, PIPELINING), (&group, go), (&text, "")];
        play(
            &mut stream,
            &script.map(|(f, a)| (f.to_owned(), a.to_owned())),
        );
        interrupt.store(15, Ordering::Relaxed);
        // Longer than one look at the signal.
        thread::sleep(Duration::from_millis(400));
        stream.write_all(b"250 2.0.0 queued\r\n").unwrap();
    });
    let report = open(&Route::Smtp(Box::new(server.route())), &context).deliver(
        &message(&["b@b.test"]),
        ConnectionReuse::Last,
        &mut (),
    );
    server.done();
    assert_eq!(outcomes(&report), ["250 2.0.0 queued"]);
}

#[test]
fn the_connection_is_kept_and_reset_after_a_failure() {
    let group = |reset| format!("{reset}{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n");
    let server = serve(&[&[
        HI,
        (EHLO, PIPELINING),
        (&group(""), "250 ok\r\n550 no\r\n503 no\r\n"),
        (
            &group("RSET\r\n"),
            "250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n",
        ),
        (STUFFED, "250 one\r\n"),
        (&group(""), "250 ok\r\n250 ok\r\n354 go\r\n"),
        (&format!("{STUFFED}QUIT\r\n"), "250 two\r\n221 bye\r\n"),
    ]]);
    let mut way = open(
        &Route::Smtp(Box::new(server.route())),
        &RunContext::default(),
    );
    let message = message(&["b@b.test"]);
    assert_eq!(
        outcomes(&way.deliver(&message, ConnectionReuse::More, &mut ())),
        ["permanent at recipient: 550 no"]
    );
    assert_eq!(
        outcomes(&way.deliver(&message, ConnectionReuse::More, &mut ())),
        ["250 one"]
    );
    assert_eq!(
        outcomes(&way.deliver(&message, ConnectionReuse::Last, &mut ())),
        ["250 two"]
    );
    drop(way);
    server.done();
}

#[test]
fn a_server_that_has_grown_tired_is_called_once_more() {
    let group = format!("{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n");
    let go = (group.as_str(), "250 ok\r\n250 ok\r\n354 go\r\n");
    let last = format!("{STUFFED}QUIT\r\n");
    let server = serve(&[
        &[
            HI,
            (EHLO, PIPELINING),
            go,
            (STUFFED, "250 one\r\n"),
            (&group, "421 too many messages\r\n"),
        ],
        &[
            HI,
            (EHLO, PIPELINING),
            go,
            (&last, "250 two\r\n221 bye\r\n"),
        ],
    ]);
    let mut way = open(
        &Route::Smtp(Box::new(server.route())),
        &RunContext::default(),
    );
    let message = message(&["b@b.test"]);
    assert_eq!(
        outcomes(&way.deliver(&message, ConnectionReuse::More, &mut ())),
        ["250 one"]
    );
    assert_eq!(
        outcomes(&way.deliver(&message, ConnectionReuse::Last, &mut ())),
        ["250 two"]
    );
    drop(way);
    server.done();
    // A fresh connection is not called twice.
    let report = exchange(
        &[
            HI,
            (EHLO, PIPELINING),
            (&group, "421 too many messages\r\n"),
        ],
        &["b@b.test"],
    );
    assert_eq!(
        outcomes(&report),
        ["temporary at sender: 421 too many messages"]
    );
}

#[test]
fn lmtp_answers_for_every_accepted_recipient() {
    let server = serve(&[&[
        HI,
        ("LHLO client.test\r\n", PIPELINING),
        (
            &format!(
                "{MAIL}RCPT TO:<a@b.test>\r\nRCPT TO:<b@b.test>\r\nRCPT TO:<c@b.test>\r\nDATA\r\n"
            ),
            "250 ok\r\n250 ok\r\n550 no b\r\n250 ok\r\n354 go\r\n",
        ),
        (
            &format!("{STUFFED}QUIT\r\n"),
            "250 a is in\r\n452 4.2.2 c is full\r\n221 bye\r\n",
        ),
    ]]);
    let report = deliver(
        Smtp {
            lmtp: true,
            ..server.route()
        },
        &message(&["a@b.test", "b@b.test", "c@b.test"]),
    );
    server.done();
    let wanted = [
        "250 a is in",
        "permanent at recipient: 550 no b",
        "temporary at content: 452 4.2.2 c is full",
    ];
    assert_eq!(outcomes(&report), wanted);
}

#[test]
fn what_the_server_cannot_take_is_known_before_it_is_sent() {
    let large = text(&["b@b.test"], BODY.repeat(60).into_bytes());
    let server = serve(&[&[HI, (EHLO, PIPELINING), ("QUIT\r\n", "221 bye\r\n")]]);
    let report = deliver(server.route(), &large);
    server.done();
    assert_eq!(
        outcomes(&report),
        ["permanent at sender: TooBig(1560, 1000)"]
    );

    // A header beyond ASCII has no form in seven bits.
    let server = serve(&[&[
        HI,
        (EHLO, "250-mx.test\r\n250 SMTPUTF8\r\n"),
        ("QUIT\r\n", "221 bye\r\n"),
    ]]);
    let report = deliver(
        server.route(),
        &text(&["b@b.test"], "Subject: é\r\n\r\nx\r\n".into()),
    );
    server.done();
    assert_eq!(
        outcomes(&report),
        ["permanent at sender: Lacks(EightBit, \"SMTPUTF8\")"]
    );

    let server = serve(&[&[HI, (EHLO, PIPELINING), ("QUIT\r\n", "221 bye\r\n")]]);
    let report = deliver(server.route(), &message(&["ü@b.test"]));
    server.done();
    assert_eq!(
        outcomes(&report),
        ["permanent at sender: Lacks(Smtputf8, \"SIZE PIPELINING\")"]
    );
}

#[test]
fn parameters_are_sent_where_they_are_needed_and_offered() {
    let server = serve(&[&[
        HI,
        (EHLO, "250-mx.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"),
        (
            "MAIL FROM:<me@a.test> BODY=8BITMIME SMTPUTF8\r\n",
            "250 ok\r\n",
        ),
        ("RCPT TO:<ü@b.test>\r\n", "550 5.1.1 no such user\r\n"),
        ("QUIT\r\n", "221 bye\r\n"),
    ]]);
    let report = deliver(server.route(), &text(&["ü@b.test"], "é\r\n".into()));
    server.done();
    assert_eq!(
        outcomes(&report),
        ["permanent at recipient: 550 5.1.1 no such user"]
    );
}

#[test]
fn a_server_from_before_ehlo_is_greeted_with_helo() {
    for code in [500, 502, 504, 550] {
        let report = exchange(
            &[
                HI,
                (EHLO, &format!("{code} what\r\n")),
                ("HELO client.test\r\n", "250\r\n"),
                ("MAIL FROM:<me@a.test>\r\n", "550 no\r\n"),
                ("QUIT\r\n", "221 bye\r\n"),
            ],
            &["b@b.test"],
        );
        assert_eq!(outcomes(&report), ["permanent at sender: 550 no"]);
    }
    let report = exchange(
        &[HI, (EHLO, "421 later\r\n"), ("QUIT\r\n", "")],
        &["b@b.test"],
    );
    assert_eq!(outcomes(&report), ["temporary at hello: 421 later"]);
}

#[test]
fn a_greeting_that_refuses_is_answered_with_a_goodbye() {
    let report = exchange(
        &[("", "554 5.7.1 no service\r\n"), ("QUIT\r\n", "")],
        &["b@b.test"],
    );
    assert_eq!(
        outcomes(&report),
        ["permanent at greeting: 554 5.7.1 no service"]
    );
    let report = exchange(&[("", "250 hello\r\n")], &["b@b.test"]);
    assert_eq!(
        outcomes(&report),
        ["temporary at greeting: Protocol(\"the server sent \\\"250 hello\\\" as its greeting\")"]
    );
}

#[test]
fn time_is_allowed_for_a_whole_reply_and_not_for_each_byte() {
    let server = start(|listener| {
        let mut stream = listener.accept().unwrap().0;
        for byte in b"220 a greeting that never ends".iter().cycle() {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let timeouts = Timeouts {
        command: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let begin = Instant::now();
    let report = deliver(
        Smtp {
            timeouts,
            ..server.route()
        },
        &message(&["b@b.test"]),
    );
    assert_eq!(outcomes(&report), ["temporary at greeting: Silent(300ms)"]);
    // With the time anew for each byte it would take as long as the longest line does.
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    server.done();
}

#[test]
fn the_answer_to_the_goodbye_is_not_waited_for_too_long() {
    let group = format!("{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n");
    let last = format!("{STUFFED}QUIT\r\n");
    let server = serve(&[&[
        HI,
        (EHLO, PIPELINING),
        (&group, "250 ok\r\n250 ok\r\n354 go\r\n"),
        (&last, "250 ok\r\n"),
    ]]);
    let mut route = server.route();
    route.timeouts.quit = Duration::from_millis(200);
    let begin = Instant::now();
    assert_eq!(
        outcomes(&deliver(route, &message(&["b@b.test"]))),
        ["250 ok"]
    );
    assert!(
        begin.elapsed() >= Duration::from_millis(200) && begin.elapsed() < Duration::from_secs(2)
    );
    server.done();
}

#[test]
fn a_bare_greeting_and_a_bare_answer_will_do() {
    let report = exchange(
        &[
            ("", "220\n"),
            (EHLO, "250\n"),
            ("MAIL FROM:<me@a.test>\r\n", "250\n"),
            ("RCPT TO:<b@b.test>\r\n", "250\n"),
            ("DATA\r\n", "354\n"),
            (STUFFED, "250\n"),
            ("QUIT\r\n", "221\n"),
        ],
        &["b@b.test"],
    );
    assert_eq!(outcomes(&report), ["250"]);
}

#[test]
fn the_next_endpoint_is_tried_only_when_nobody_answers_at_the_first() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = serve(&[&[
        HI,
        (EHLO, "250 mx.test\r\n"),
        ("MAIL FROM:<me@a.test>\r\n", "550 no\r\n"),
        ("QUIT\r\n", "221 bye\r\n"),
    ]]);
    let mut route = server.route();
    route.endpoints.insert(
        0,
        Endpoint {
            port: closed,
            tls: TlsMode::None,
        },
    );
    let report = deliver(route, &message(&["b@b.test"]));
    assert_eq!(report.via, format!("127.0.0.1:{} (no TLS)", server.port));
    assert_eq!(outcomes(&report), ["permanent at sender: 550 no"]);
    server.done();

    let server = serve(&[&[("", "554 no\r\n"), ("QUIT\r\n", "")]]);
    let mut route = server.route();
    route.endpoints.push(Endpoint {
        port: closed,
        tls: TlsMode::None,
    });
    assert_eq!(
        outcomes(&deliver(route, &message(&["b@b.test"]))),
        ["permanent at greeting: 554 no"]
    );
    server.done();
}

#[test]
fn a_unix_socket_is_a_server_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lmtp");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let player = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let script = [
            HI,
            ("LHLO client.test\r\n", "250 mx\r\n"),
            ("MAIL FROM:<me@a.test>\r\n", "450 later\r\n"),
        ];
        play(
            &mut stream,
            &script.map(|(f, a)| (f.to_owned(), a.to_owned())),
        );
    });
    let server = serve(&[]);
    let route = Smtp {
        lmtp: true,
        socket: Some(path.clone()),
        ..server.route()
    };
    let report = deliver(route, &message(&["b@b.test"]));
    player.join().unwrap();
    assert_eq!(outcomes(&report), ["temporary at sender: 450 later"]);
    assert_eq!(report.via, format!("{} (LMTP, no TLS)", path.display()));
    server.done();
}
