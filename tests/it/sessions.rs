//! Sessions that a transcript and a row alone cannot tell: nobody there, signals, the dialogue
//! shown, LMTP, many at once.
use std::net::TcpListener;
use std::time::Duration;

use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::script::plain;
use crate::support::server::Server;
use crate::support::sink::Options;
use rustix::process::Signal;

const LOGIN: &[&str] = &[
    "-S",
    "tls=none",
    "-S",
    "auth-user=u",
    "-S",
    "auth-password=s3cret-pw",
    "-S",
    "timeout=10",
];

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sends a small mail to two recipients in clear.
fn send(sandbox: &Sandbox, port: u16, timeout: &str) -> Outcome {
    let (smtp, timeout) = (
        format!("smtp=127.0.0.1:{port}"),
        format!("timeout={timeout}"),
    );
    let words = [
        "--no-config",
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-S",
        &timeout,
        "-r",
        "a@a.example",
        "-s",
        "subj",
    ];
    sandbox
        .smail(&words)
        .arg("r1@x.example")
        .arg("r2@x.example")
        .stdin("the words\n")
        .run()
}

#[test]
fn nobody_listening_is_temporary_and_names_the_address() {
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let outcome = send(&Sandbox::new(), port, "10");
    assert_eq!(
        (outcome.status, outcome.owes(&[])),
        (75, vec![]),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains(&format!("127.0.0.1:{port}")),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("refused"), "{}", outcome.stderr);
}

#[test]
fn a_host_that_accepts_nothing_is_given_up_in_time() {
    // A listener whose queue is full drops further connections without an answer.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    while let Ok(one) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        held.push(one);
    }
    let outcome = send(&Sandbox::new(), address.port(), "3");
    assert_eq!(
        (outcome.status, outcome.owes(&[])),
        (75, vec![]),
        "{}",
        outcome.stderr
    );
    assert!(outcome.elapsed < secs(3), "{:?}", outcome.elapsed);
}

#[test]
fn a_server_that_does_not_exist_is_named() {
    let sandbox = Sandbox::new();
    let words = [
        "--no-config",
        "-S",
        "smtp=nosuchhost.invalid",
        "-S",
        "tls=none",
        "-r",
        "a@a.example",
        "-s",
        "s",
        "b@x.example",
    ];
    let outcome = sandbox.smail(&words).run();
    assert!(
        outcome.stderr.contains("nosuchhost.invalid"),
        "{}",
        outcome.stderr
    );
    // Without any name server the answer is not authoritative, and that is temporary.
    assert!(
        [68, 75].contains(&outcome.status),
        "{}: {}",
        outcome.status,
        outcome.stderr
    );
}

#[test]
fn line_ends_in_an_address_or_a_sender_never_reach_a_server() {
    let sandbox = Sandbox::new();
    for words in [
        ["-r", "a@a.example", "b@x.example\r\nRCPT TO:<c@x.example>"],
        ["-r", "a@a.example>\r\nRSET", "b@x.example"],
        [
            "-S",
            "hello-name=x\r\nMAIL FROM:<evil@x.example>",
            "b@x.example",
        ],
    ] {
        let server = Server::play("nobody comes", "");
        let smtp = format!("smtp=127.0.0.1:{}", server.port());
        let outcome = sandbox
            .smail(&["--no-config", "-S", &smtp, "-S", "tls=none"])
            .arg(words[0])
            .arg(words[1])
            .arg(words[2])
            .run();
        assert!(
            [64, 65, 78].contains(&outcome.status),
            "{words:?}: {} {}",
            outcome.status,
            outcome.stderr
        );
        assert!(
            outcome.owes(&[]).is_empty(),
            "{words:?}: {:?}",
            outcome.owes(&[])
        );
        server.finish();
    }
}

#[test]
fn a_refusal_is_reported_even_when_the_server_stops_reading() {
    let sandbox = Sandbox::new();
    let server = Server::story("dotearlyrst");
    let body = "a line of a message that is much too large\n".repeat(200_000);
    let smtp = format!("smtp=127.0.0.1:{}", server.port());
    let words = [
        "--no-config",
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "a@a.example",
        "-s",
        "subj",
        "r1@x.example",
        "r2@x.example",
    ];
    let outcome = sandbox.smail(&words).stdin(body).run();
    assert_eq!(
        (outcome.status, outcome.owes(&[])),
        (69, vec![]),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("552 5.3.4 too big"),
        "{}",
        outcome.stderr
    );
    server.finish();
}

#[test]
fn the_dialogue_is_shown_on_request_and_the_password_is_not() {
    let sandbox = Sandbox::new();
    let server = Server::story("authok");
    let smtp = format!("smtp=127.0.0.1:{}", server.port());
    let mut words = vec!["--no-config", "-v", "-S", &smtp];
    words.extend(LOGIN);
    words.extend([
        "-r",
        "a@a.example",
        "-s",
        "subj",
        "r1@x.example",
        "r2@x.example",
    ]);
    let outcome = sandbox.smail(&words).stdin("the words\n").run();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    for said in [
        "EHLO ",
        "AUTH PLAIN ",
        "235 2.7.0 welcome",
        "RCPT TO:<r2@x.example>",
        "354 go",
        "250 2.0.0 queued as X1",
    ] {
        assert!(outcome.stderr.contains(said), "{said}: {}", outcome.stderr);
    }
    for secret in ["s3cret-pw", "czNjcmV0LXB3", &plain("u", "s3cret-pw")] {
        assert!(!outcome.stderr.contains(secret), "{}", outcome.stderr);
    }
    server.finish();
}

#[test]
fn json_tells_the_result_of_every_recipient() {
    let sandbox = Sandbox::new();
    let server = Server::story("rcpt2bad");
    let smtp = format!("smtp=127.0.0.1:{}", server.port());
    let words = [
        "--no-config",
        "--json",
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "a@a.example",
        "-s",
        "subj",
        "r1@x.example",
        "r2@x.example",
    ];
    let outcome = sandbox.smail(&words).stdin("the words\n").run();
    assert_eq!(outcome.status, 67, "{}", outcome.stderr);
    let json: serde_json::Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{e}: {}", outcome.stdout));
    let recipients = json["recipients"]
        .as_array()
        .unwrap_or_else(|| panic!("{json:#}"));
    assert_eq!(recipients.len(), 2, "{json:#}");
    let text = recipients
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    assert!(
        text[0].contains("r1@x.example") && text[0].contains("done"),
        "{json:#}"
    );
    assert!(
        text[1].contains("r2@x.example")
            && text[1].contains("permanent")
            && text[1].contains("550"),
        "{json:#}"
    );
    server.finish();
}

#[test]
fn an_interrupt_before_the_dot_sends_nothing() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let sandbox = Sandbox::new();
        let server = Server::play(
            "interrupt",
            "S: 220 mx.test\nC: EHLO *\nS: 250 mx.test\nC: MAIL FROM:*\n-- hang\n",
        );
        let smtp = format!("smtp=127.0.0.1:{}", server.port());
        let words = [
            "--no-config",
            "-S",
            &smtp,
            "-S",
            "tls=none",
            "-r",
            "a@a.example",
            "-s",
            "subj",
            "r1@x.example",
        ];
        let running = sandbox.smail(&words).stdin("the words\n").start();
        server.wait_for("MAIL FROM:*");
        running.signal(signal);
        let outcome = running.finish();
        assert_eq!(outcome.status, status, "{}", outcome.stderr);
        assert!(outcome.elapsed < secs(5), "{:?}", outcome.elapsed);
        assert_eq!(server.finish().accepted(), 0);
    }
}

#[test]
fn an_interrupt_after_the_dot_waits_for_the_answer() {
    let sandbox = Sandbox::new();
    let server = Server::story("dotpause");
    let smtp = format!("smtp=127.0.0.1:{}", server.port());
    let words = [
        "--no-config",
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "a@a.example",
        "-s",
        "subj",
        "r1@x.example",
        "r2@x.example",
    ];
    let running = sandbox.smail(&words).stdin("the words\n").start();
    server.wait_for("-- message*");
    running.signal(Signal::INT);
    let outcome = running.finish();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(server.finish().accepted(), 1);
}

#[test]
fn lmtp_answers_for_every_recipient_after_the_dot() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("lmtp.sock");
    let sink = Options::new()
        .lmtp()
        .delivery("r2@x.example", "550 5.2.2 mailbox full")
        .start_unix(&path);
    let smtp = format!("smtp=lmtp+unix:{}", path.display());
    let words = [
        "--no-config",
        "-S",
        &smtp,
        "-r",
        "a@a.example",
        "-s",
        "subj",
        "r1@x.example",
        "r2@x.example",
    ];
    let outcome = sandbox.smail(&words).stdin("the words\n").run();
    assert_eq!(
        (outcome.status, outcome.owes(&[])),
        (69, vec![]),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome
            .stderr
            .contains("r2@x.example: 550 5.2.2 mailbox full"),
        "{}",
        outcome.stderr
    );
    assert_eq!(sink.only_mail().to, ["r1@x.example"]);
}

#[test]
fn a_hundred_runs_at_once_lose_nothing() {
    let sink = Options::new().start();
    let sandbox = Sandbox::new();
    let smtp = format!("smtp=127.0.0.1:{}", sink.port());
    let running: Vec<_> = (0..100)
        .map(|number| {
            let to = format!("r{number}@x.example");
            let words = [
                "--no-config",
                "-S",
                &smtp,
                "-S",
                "tls=none",
                "-r",
                "a@a.example",
                "-s",
                "subj",
                &to,
            ];
            sandbox
                .smail(&words)
                .stdin("the words\n")
                .limit(secs(60))
                .start()
        })
        .collect();
    for one in running {
        let outcome = one.finish();
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    }
    let mut to: Vec<_> = sink.mails().into_iter().flat_map(|mail| mail.to).collect();
    to.sort();
    to.dedup();
    assert_eq!(to.len(), 100);
}

#[test]
fn a_mail_whose_group_was_swallowed_is_sent_again_in_lock_step() {
    // The filter takes the message with its envelope (BDAT) and answers nothing, so that it is in
    // doubt.
    let sandbox = Sandbox::new();
    let greeting =
        "S: 220 mx.test ESMTP\nC: EHLO *\nS: 250-mx.test hi\nS: 250-CHUNKING\nS: 250 PIPELINING\n";
    let alone = "C: MAIL FROM:<a@a.example>*\n-- pause 50ms\nS: 250 ok\nC: RCPT TO:<r1@x.example>\n-- pause 50ms\nS: 250 ok\n\
                 C: DATA\nS: 354 go\n-- data\nS: 250 queued\n-- bye\n";
    let script =
        format!("{greeting}C: MAIL FROM:<a@a.example>*\n-- hang\n== connection\n{greeting}{alone}");
    let server = Server::play("swallowed", &script);
    let smtp = format!("smtp=127.0.0.1:{}", server.port());
    let words = [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-S",
        "timeout=1",
        "-r",
        "a@a.example",
        "-s",
        "subj",
        "r1@x.example",
    ];
    let first = sandbox.smail(&words).queued().stdin("the words\n").run();
    assert_eq!(first.status, 0, "{}", first.stderr);
    let ids = sandbox.entries();
    assert!(
        sandbox
            .journal(&ids[0])
            .iter()
            .any(|line| line.contains("\"lockstep\"")),
        "{:?}",
        sandbox.journal(&ids[0])
    );
    let flush: Vec<&str> = ["--flush"]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .collect();
    let flushed = sandbox.smail(&flush).queued().run();
    assert_eq!((flushed.status, flushed.stderr.as_str()), (0, ""));
    assert_eq!(sandbox.entries(), [""; 0]);
    server.finish();
}

#[test]
fn a_proxy_that_is_not_there_is_named_and_not_the_server() {
    let sandbox = Sandbox::new();
    let free = crate::support::sink::Place::reserve().port();
    let mute = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mute = mute
        .local_addr()
        .map(|address| (mute, address.port()))
        .unwrap();
    let said = |proxy: &str| {
        let proxy = format!("proxy={proxy}");
        let server = [
            "--no-config",
            "-S",
            "smtp=mx.example.org",
            "-S",
            "tls=none",
            "-S",
            "timeout=10",
            "-r",
            "a@a.example",
        ];
        let outcome = sandbox
            .smail(&server)
            .args_of(&["-S", &proxy, "b@x.example"])
            .stdin("x\n")
            .run();
        assert_eq!(outcome.status, 75, "{}", outcome.stderr);
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        assert_eq!(
            lines[0],
            "smail: cannot connect to mx.example.org:25 (no TLS)"
        );
        assert!(
            lines.contains(&"  proxy: set in -S") && !outcome.stderr.contains("smtp: said"),
            "{}",
            outcome.stderr
        );
        lines[1].to_owned()
    };
    let refused = format!("  proxy: no connection to it: 127.0.0.1:{free}: connection refused");
    assert_eq!(said(&format!("socks5://127.0.0.1:{free}")), refused);
    assert_eq!(
        said("http://proxy.invalid:8080"),
        "  proxy: its name proxy.invalid does not exist"
    );
    assert_eq!(
        said(&format!("socks5://127.0.0.1:{}", mute.1)),
        "  proxy: it did not answer within 1s"
    );
}
