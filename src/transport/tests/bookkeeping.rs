//! What the log is told, and when, beside what the wire has seen by then.
use std::io;

use super::*;
use crate::route::Program;
use crate::transport::DeliveryLog;

const PIPELINING: &str = "250-mx.test\r\n250-SIZE 1000000\r\n250 PIPELINING\r\n";
const MAIL: &str = "MAIL FROM:<me@a.test> SIZE=26\r\n";

/// Writes its entries between the lines of the dialogue.
struct Scribe {
    lines: Arc<Mutex<Vec<String>>>,
    /// How many dots are allowed.
    dots: usize,
    /// Looked at before each dot.
    look: Box<dyn FnMut()>,
}

impl DeliveryLog for Scribe {
    fn before_dot(&mut self, recipients: &[usize]) -> io::Result<()> {
        (self.look)();
        self.lines
            .lock()
            .unwrap()
            .push(format!("dot {recipients:?}"));
        if self.dots == 0 {
            return Err(io::Error::from_raw_os_error(28));
        }
        self.dots -= 1;
        Ok(())
    }

    fn settled(&mut self, outcomes: &[(usize, &Result<Reply, Fault>)]) {
        let entry: Vec<String> = outcomes
            .iter()
            .map(|(at, result)| format!("{at} {}", outcome(result)))
            .collect();
        self.lines
            .lock()
            .unwrap()
            .push(format!("settled {}", entry.join(", ")));
    }
}

/// Delivers, and gives back dialogue and entries from MAIL on in the order they came.
pub(super) fn witnessed(route: Smtp, message: &Message, dots: usize) -> Vec<String> {
    let (context, lines) = listening();
    let mut scribe = Scribe {
        lines: lines.clone(),
        dots,
        look: Box::new(|| ()),
    };
    open(&Route::Smtp(Box::new(route)), &context).deliver(
        message,
        ConnectionReuse::Last,
        &mut scribe,
    );
    let lines = lines.lock().unwrap();
    let begin = lines
        .iter()
        .position(|line| {
            ["MAIL", "dot [", "settled"]
                .iter()
                .any(|word| line.contains(word))
        })
        .unwrap();
    lines[begin..].to_vec()
}

pub(super) fn entries(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .map(String::as_str)
        .filter(|line| line.starts_with("dot") || line.starts_with("settled"))
        .collect()
}

const FULL: &str = "temporary at content: Journal(\"no space left on device\")";

#[test]
fn the_journal_hears_of_the_dot_before_it_leaves_and_of_the_answer_at_once() {
    let server = serve(&[&[
        HI,
        (EHLO, "250 mx.test\r\n"),
        ("MAIL FROM:<me@a.test>\r\n", "250 ok\r\n"),
        ("RCPT TO:<b@b.test>\r\n", "550 no b\r\n"),
        ("RCPT TO:<c@b.test>\r\n", "250 ok\r\n"),
        ("DATA\r\n", "354 go\r\n"),
        (STUFFED, "250 2.0.0 queued\r\n"),
        ("QUIT\r\n", "221 bye\r\n"),
    ]]);
    let lines = witnessed(server.route(), &message(&["b@b.test", "c@b.test"]), 1);
    server.done();
    let wanted = [
        "> MAIL FROM:<me@a.test>",
        "< 250 ok",
        "> RCPT TO:<b@b.test>",
        "< 550 no b",
        "> RCPT TO:<c@b.test>",
        "< 250 ok",
        "> DATA",
        "< 354 go",
        "settled 0 permanent at recipient: 550 no b",
        "* message, 26 bytes",
        "dot [1]",
        "> .",
        "< 250 2.0.0 queued",
        "settled 1 250 2.0.0 queued",
        "> QUIT",
        "< 221 bye",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn a_journal_that_fails_keeps_the_dot_back_and_the_connection_is_cut() {
    let go = "250 ok\r\n250 ok\r\n354 go\r\n";
    // Once all of the text still waits for the dot, and once most of it has left before.
    for count in [2, 20_000] {
        let text = text(
            &["b@b.test"],
            "0123456789abcdef\r\n".repeat(count).into_bytes(),
        );
        let group = format!(
            "MAIL FROM:<me@a.test> SIZE={}\r\nRCPT TO:<b@b.test>\r\nDATA\r\n",
            text.size()
        );
        let server = start(move |listener| {
            let mut stream = listener.accept().unwrap().0;
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            play(
                &mut stream,
                &[HI, (EHLO, PIPELINING), (&group, go)].map(|(f, a)| (f.to_owned(), a.to_owned())),
            );
            let heard = rest(&mut stream);
            assert!(
                !heard.contains("\r\n.\r\n") && !heard.contains("QUIT"),
                "{heard}"
            );
            assert!(
                !heard.ends_with('\n') && (heard.is_empty() == (count == 2)),
                "{} bytes",
                heard.len()
            );
        });
        let lines = witnessed(server.route(), &text, 0);
        server.done();
        assert_eq!(
            lines[lines.len() - 2..],
            ["dot [0]".to_owned(), format!("settled 0 {FULL}")]
        );
    }
}

#[test]
fn the_text_of_a_long_message_may_leave_before_the_dot_is_allowed() {
    let text = text(
        &["b@b.test"],
        "0123456789abcdef\r\n".repeat(20_000).into_bytes(),
    );
    let group = format!(
        "MAIL FROM:<me@a.test> SIZE={}\r\nRCPT TO:<b@b.test>\r\nDATA\r\n",
        text.size()
    );
    let (arrived, arrival) = std::sync::mpsc::channel();
    let server = start(move |listener| {
        let mut stream = listener.accept().unwrap().0;
        let script = [
            HI,
            (EHLO, PIPELINING),
            (&group, "250 ok\r\n250 ok\r\n354 go\r\n"),
        ];
        play(
            &mut stream,
            &script.map(|(f, a)| (f.to_owned(), a.to_owned())),
        );
        stream.read_exact(&mut vec![0; 200_000]).unwrap();
        arrived.send(()).unwrap();
        let mut left = vec![0; 160_000 + ".\r\nQUIT\r\n".len()];
        stream.read_exact(&mut left).unwrap();
        assert!(left.ends_with(b"f\r\n.\r\nQUIT\r\n"));
        stream.write_all(b"250 ok\r\n221 bye\r\n").unwrap();
    });
    let (context, lines) = listening();
    let look = move || arrival.recv_timeout(Duration::from_secs(10)).unwrap();
    let mut scribe = Scribe {
        lines: lines.clone(),
        dots: 1,
        look: Box::new(look),
    };
    open(&Route::Smtp(Box::new(server.route())), &context).deliver(
        &text,
        ConnectionReuse::Last,
        &mut scribe,
    );
    server.done();
    assert_eq!(
        entries(&lines.lock().unwrap()),
        ["dot [0]", "settled 0 250 ok"]
    );
}

#[test]
fn every_transaction_has_a_dot_of_its_own_and_is_settled_before_the_next_one() {
    let rcpt = |name| format!("RCPT TO:<{name}@b.test>\r\n");
    let first = format!("{MAIL}{}{}{}DATA\r\n", rcpt("a"), rcpt("b"), rcpt("c"));
    let second = format!("{MAIL}{}{}DATA\r\n", rcpt("b"), rcpt("c"));
    let busy = "250 ok\r\n250 ok\r\n452 too many\r\n452 too many\r\n354 go\r\n";
    let script = [
        HI,
        (EHLO, PIPELINING),
        (&first, busy),
        (STUFFED, "250 first\r\n"),
        (&second, "250 ok\r\n250 ok\r\n550 no c\r\n354 go\r\n"),
        (STUFFED, "250 second\r\n"),
        ("QUIT\r\n", "221 bye\r\n"),
    ];
    let three = message(&["a@b.test", "b@b.test", "c@b.test"]);
    // The goodbye could have left with the last dot: nobody was put off a second time.
    let together = format!("{STUFFED}QUIT\r\n");
    let mut played = script[..5].to_vec();
    played.push((&together, "250 second\r\n221 bye\r\n"));
    let server = serve(&[&played]);
    let lines = witnessed(server.route(), &three, 2);
    server.done();
    let refused = "settled 2 permanent at recipient: 550 no c";
    assert_eq!(
        entries(&lines),
        [
            "dot [0]",
            "settled 0 250 first",
            refused,
            "dot [1]",
            "settled 1 250 second"
        ]
    );
    let at = |wanted: &str| lines.iter().position(|line| line == wanted).unwrap();
    assert!(
        at("settled 0 250 first")
            < lines
                .iter()
                .rposition(|line| line.contains("MAIL"))
                .unwrap()
    );

    // The second dot is not allowed: the first stays accepted.
    let server = serve(&[&script[..5]]);
    let lines = witnessed(server.route(), &three, 1);
    server.done();
    let stopped = format!("settled 1 {FULL}");
    assert_eq!(
        entries(&lines),
        [
            "dot [0]",
            "settled 0 250 first",
            refused,
            "dot [1]",
            &stopped
        ]
    );
}

#[test]
fn recipients_put_off_are_settled_once_when_no_second_transaction_comes() {
    let first = format!("{MAIL}RCPT TO:<a@b.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n");
    let server = serve(&[&[
        HI,
        (EHLO, PIPELINING),
        (&first, "250 ok\r\n250 ok\r\n452 too many\r\n354 go\r\n"),
        (STUFFED, "250 first\r\n"),
        (
            &format!("{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n"),
            "550 once is enough\r\n503 no\r\n503 no\r\n",
        ),
        ("QUIT\r\n", "221 bye\r\n"),
    ]]);
    let lines = witnessed(server.route(), &message(&["a@b.test", "b@b.test"]), 1);
    server.done();
    let put_off = "settled 1 temporary at recipient: 452 too many";
    assert_eq!(entries(&lines), ["dot [0]", "settled 0 250 first", put_off]);
    let at = |wanted: &str| lines.iter().position(|line| line == wanted).unwrap();
    assert!(at(put_off) < at("> QUIT"));
}

#[test]
fn lmtp_is_settled_with_all_its_replies_at_once() {
    let group =
        format!("{MAIL}RCPT TO:<a@b.test>\r\nRCPT TO:<b@b.test>\r\nRCPT TO:<c@b.test>\r\nDATA\r\n");
    let server = serve(&[&[
        HI,
        ("LHLO client.test\r\n", PIPELINING),
        (
            &group,
            "250 ok\r\n250 ok\r\n550 no b\r\n250 ok\r\n354 go\r\n",
        ),
        (
            &format!("{STUFFED}QUIT\r\n"),
            "250 a is in\r\n452 c is full\r\n221 bye\r\n",
        ),
    ]]);
    let route = Smtp {
        lmtp: true,
        ..server.route()
    };
    let lines = witnessed(route, &message(&["a@b.test", "b@b.test", "c@b.test"]), 1);
    server.done();
    let wanted = [
        "settled 1 permanent at recipient: 550 no b",
        "dot [0, 2]",
        "settled 0 250 a is in, 2 temporary at content: 452 c is full",
    ];
    assert_eq!(entries(&lines), wanted);
}

#[test]
fn a_connection_lost_after_the_dot_is_settled_as_in_doubt() {
    let group = format!("{MAIL}RCPT TO:<a@b.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n");
    let server = start(move |listener| {
        let mut stream = listener.accept().unwrap().0;
        let script = [
            HI,
            (EHLO, PIPELINING),
            (&group, "250 ok\r\n550 no a\r\n250 ok\r\n354 go\r\n"),
        ];
        play(
            &mut stream,
            &script.map(|(f, a)| (f.to_owned(), a.to_owned())),
        );
        stream
            .read_exact(&mut vec![0; STUFFED.len() + "QUIT\r\n".len()])
            .unwrap();
    });
    let lines = witnessed(server.route(), &message(&["a@b.test", "b@b.test"]), 1);
    server.done();
    let lost = "Lost(\"the server closed the connection before replying to the message\")";
    let doubt = format!("settled 1 temporary in doubt at content: {lost}");
    assert_eq!(
        entries(&lines),
        [
            "settled 0 permanent at recipient: 550 no a",
            "dot [1]",
            &doubt
        ]
    );
}

#[test]
fn a_session_that_fails_is_settled_once_for_all() {
    let two = message(&["a@b.test", "b@b.test"]);
    let server = serve(&[&[("", "554 no\r\n"), ("QUIT\r\n", "")]]);
    let lines = witnessed(server.route(), &two, 0);
    server.done();
    let no = "permanent at greeting: 554 no";
    assert_eq!(entries(&lines), [format!("settled 0 {no}, 1 {no}")]);

    // A server that has grown tired of a connection is no outcome: the second connection brings
    // one.
    let one = message(&["b@b.test"]);
    let group = format!("{MAIL}RCPT TO:<b@b.test>\r\nDATA\r\n");
    let go = (group.as_str(), "250 ok\r\n250 ok\r\n354 go\r\n");
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
            (STUFFED, "250 two\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
    ]);
    let (context, lines) = listening();
    let mut scribe = Scribe {
        lines: lines.clone(),
        dots: 2,
        look: Box::new(|| ()),
    };
    let mut way = open(&Route::Smtp(Box::new(server.route())), &context);
    way.deliver(&one, ConnectionReuse::More, &mut scribe);
    way.deliver(&one, ConnectionReuse::More, &mut scribe);
    drop(way);
    server.done();
    let lines = lines.lock().unwrap();
    assert_eq!(
        entries(&lines),
        [
            "dot [0]",
            "settled 0 250 one",
            "dot [0]",
            "settled 0 250 two"
        ]
    );
}

#[test]
fn a_program_and_a_file_are_told_of_before_they_have_the_whole_message() {
    let dir = tempfile::tempdir().unwrap();
    let (copy, file) = (dir.path().join("copy"), dir.path().join("file"));
    let program = Program {
        path: "/usr/bin/tee".into(),
        argv0: None,
        arguments: vec![copy.display().to_string()],
        no_default_arguments: true,
        no_recipients: true,
        sender: false,
        provider: None,
        verbose: false,
        timeouts: crate::route::Timeouts::default(),
    };
    let two = text(&["a@b.test", "b@b.test"], BODY.repeat(20_000).into_bytes());
    for (route, place) in [
        (Route::Program(program), copy),
        (Route::File(file.clone()), file),
    ] {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        for dots in [0, 1] {
            let length = {
                let place = place.clone();
                move || std::fs::metadata(&place).map_or(0, |known| known.len())
            };
            let (look, seen) = (length.clone(), seen.clone());
            let look = move || seen.lock().unwrap().push(look());
            let mut scribe = Scribe {
                lines: lines.clone(),
                dots,
                look: Box::new(look),
            };
            let report = open(&route, &RunContext::default()).deliver(
                &two,
                ConnectionReuse::Last,
                &mut scribe,
            );
            assert_eq!(report.is_done(), dots == 1, "{report:?}");
            assert_eq!(
                length() > two.size() * 3 / 4,
                dots == 1,
                "{} bytes",
                length()
            );
        }
        assert!(
            seen.lock()
                .unwrap()
                .iter()
                .all(|length| *length < two.size() * 3 / 4),
            "{seen:?}"
        );
        let lines = lines.lock().unwrap();
        assert_eq!(
            lines[..2],
            [
                "dot [0, 1]".to_owned(),
                format!("settled 0 {FULL}, 1 {FULL}")
            ]
        );
        assert!(
            lines[2] == "dot [0, 1]" && lines[3].starts_with("settled 0 250 "),
            "{lines:?}"
        );
        assert_eq!(lines.len(), 4);
    }
}
