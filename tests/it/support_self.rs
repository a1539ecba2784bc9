//! The test support itself, tried with clients that are known to be good and with ones that are
//! known to be bad.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::support::server::Server;
use crate::support::sink::Options;

/// Says lines to a port, reading one reply line before each and after the last.
fn say(port: u16, lines: &[&str]) -> Vec<String> {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut writer = socket;
    let mut heard = Vec::new();
    for line in lines.iter().map(Some).chain([None]) {
        let mut reply = String::new();
        reader.read_line(&mut reply).unwrap();
        heard.push(reply.trim_end().to_owned());
        if let Some(line) = line {
            write!(writer, "{line}\r\n").unwrap();
        }
    }
    heard
}

#[test]
fn a_transcript_played_to_its_end_is_recorded() {
    let server = Server::play(
        "t",
        "S: 220 hi\nC: EHLO *\nS: 250 mx\nC: QUIT\nS: 221 bye\n",
    );
    assert_eq!(
        say(server.port(), &["EHLO me", "QUIT"]),
        ["220 hi", "250 mx", "221 bye"]
    );
    assert_eq!(server.finish().said(), ["EHLO me", "QUIT"]);
}

#[test]
fn a_client_that_says_something_else_fails_the_test() {
    let mut server = Server::play("t", "S: 220 hi\nC: EHLO *\nS: 250 mx\n");
    say(server.port(), &["HELO me"]);
    let failure = server.end().unwrap_err();
    assert!(
        failure.contains("line 2: \n  expected  C: EHLO *\n  got       C: HELO me"),
        "{failure}"
    );
}

#[test]
fn a_client_that_ends_early_or_never_comes_fails_the_test() {
    let mut server = Server::play("t", "S: 220 hi\nC: QUIT\n");
    drop(TcpStream::connect(("127.0.0.1", server.port())).unwrap());
    assert!(
        server
            .end()
            .unwrap_err()
            .contains("got       the end of the connection")
    );
    let mut server = Server::play("t", "S: 220 hi\n");
    assert!(
        server
            .end()
            .unwrap_err()
            .contains("the client connected 0 times and the transcript has 1")
    );
}

#[test]
fn a_client_that_connects_or_says_too_much_fails_the_test() {
    let mut server = Server::play("t", "S: 220 hi\n-- bye\n");
    say(server.port(), &["QUIT"]);
    drop(TcpStream::connect(("127.0.0.1", server.port())));
    assert!(
        server
            .end()
            .unwrap_err()
            .contains("the client connected a 2. time")
    );
    let mut server = Server::play("t", "S: 220 hi\n");
    say(server.port(), &["NOOP"]);
    assert!(
        server
            .end()
            .unwrap_err()
            .contains("the transcript is over, and the client says NOOP")
    );
}

#[test]
fn the_clients_line_chooses_the_branch() {
    const TEXT: &str =
        "S: 220 hi\n-- either\nC: A\nS: 250 a\n-- or\nC: B\nS: 250 b\n-- or\n-- end\n";
    for (line, reply) in [("A", "250 a"), ("B", "250 b")] {
        let server = Server::play("t", TEXT);
        assert_eq!(say(server.port(), &[line])[1], reply);
        server.finish();
    }
    let server = Server::play("t", TEXT);
    say(server.port(), &[]);
    server.finish();
}

#[test]
fn a_message_is_kept_without_its_dot_stuffing_and_counted_when_accepted() {
    let server = Server::play("t", "S: 354 go\n-- data\nS: 250 ok\n-- bye\n");
    say(server.port(), &["a\r\n..\r\n.b\r\n."]);
    let record = server.finish();
    assert_eq!(record.mails(), [b"a\r\n.\r\nb\r\n"]);
    assert_eq!(record.accepted(), 1);
}

#[test]
fn the_sink_counts_round_trips_and_keeps_the_envelope() {
    let sink = Options::new()
        .recipient("b@y", "550 5.1.1 no such user")
        .start();
    let mut socket = TcpStream::connect(("127.0.0.1", sink.port())).unwrap();
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    socket.write_all(b"HELO me\r\n").unwrap();
    reader.read_line(&mut line).unwrap();
    socket
        .write_all(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n")
        .unwrap();
    for _ in 0..4 {
        reader.read_line(&mut line).unwrap();
    }
    socket
        .write_all(b"Subject: s\r\n\r\nx\r\n.\r\nQUIT\r\n")
        .unwrap();
    reader.read_to_string(&mut line).unwrap();
    drop((socket, reader));
    let mail = sink.only_mail();
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("a@x", ["c@y".to_owned()].as_slice())
    );
    assert_eq!(mail.text(), "Subject: s\r\n\r\nx\r\n");
    // Hello, the envelope, the message with QUIT.
    assert_eq!(sink.round_trips(), 3);
}
