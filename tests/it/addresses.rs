//! A server with more than one address, of which the first is of no use (RFC 5321 section 5.1).
use std::io::Read as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::support::obstacle;
use crate::support::sandbox::{Outcome, Sandbox, with_mounts};
use crate::support::sink::{Options, Sink};

/// What an address does with a connection before it would greet.
#[derive(Clone, Copy, Debug)]
enum Bad {
    Mute,
    Closes,
    Busy,
}

/// A port at which the first address of this host is bad, and the second one is that of a sink.
/// Tells every connection to the first.
fn two(sink: &Sink, how: Bad) -> (u16, Receiver<()>) {
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = first.local_addr().unwrap().port();
    let second = TcpListener::bind(("127.0.0.2", port)).unwrap();
    let (tell, told) = channel();
    serve(first, move |stream| {
        let _ = tell.send(());
        thread::spawn(move || treat(stream, how));
    });
    let goal = sink.port();
    serve(second, move |stream| {
        let server = TcpStream::connect(("127.0.0.1", goal)).unwrap();
        pass(stream.try_clone().unwrap(), server.try_clone().unwrap());
        pass(server, stream);
    });
    (port, told)
}

fn serve(listener: TcpListener, each: impl Fn(TcpStream) + Send + 'static) {
    thread::spawn(move || listener.incoming().flatten().for_each(each));
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn treat(mut stream: TcpStream, how: Bad) {
    use std::io::Write as _;
    match how {
        Bad::Mute => drop(stream.read_to_end(&mut Vec::new())),
        Bad::Closes => {}
        Bad::Busy => {
            let _ = stream.write_all(b"421 4.3.2 come back later\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

/// Runs smail where `mx.test` has both addresses; the system puts that one first which it would
/// connect from.
fn run(sandbox: &Sandbox, port: u16, more: &[&str]) -> Outcome {
    let hosts = sandbox.write("hosts", "127.0.0.1 mx.test\n127.0.0.2 mx.test\n");
    let script = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
    let wrapper = with_mounts(&script);
    let smtp = format!("smtp=mx.test:{port}");
    let words = [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "me@a.example",
        "-s",
        "subj",
    ];
    sandbox
        .under(&wrapper, &[&words, more].concat())
        .queued()
        .stdin("x\n")
        .run()
}

fn cannot() -> bool {
    obstacle::stops("names of this host", obstacle::without_root())
}

#[test]
fn where_an_address_does_not_greet_the_next_one_is_tried() {
    if cannot() {
        return;
    }
    for how in [Bad::Mute, Bad::Closes, Bad::Busy] {
        let (sandbox, sink) = (Sandbox::new(), Options::new().start());
        let (port, told) = two(&sink, how);
        let outcome = run(&sandbox, port, &["-S", "timeout=2", "bob@x.example"]);
        assert_eq!(
            (outcome.status, outcome.stderr.as_str()),
            (0, ""),
            "{how:?}"
        );
        assert_eq!(sink.only_mail().to, ["bob@x.example"]);
        assert_eq!(told.try_iter().count(), 1, "{how:?}");
    }
}

#[test]
fn an_address_that_was_mute_is_not_waited_for_again_in_a_run() {
    if cannot() {
        return;
    }
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let (port, told) = two(&sink, Bad::Mute);
    let smtp = format!("smtp=mx.test:{port}");
    // Where the name does not exist they wait; each has a connection of its own, as each has an
    // author of its own.
    for author in ["a@a.example", "b@a.example", "c@a.example"] {
        let words = [
            "-S",
            &smtp,
            "-S",
            "tls=none",
            "-S",
            "timeout=4",
            "-r",
            author,
            "bob@x.example",
        ];
        assert_eq!(sandbox.smail(&words).queued().stdin("x\n").run().status, 0);
    }
    let ids = sandbox.entries();
    let flush: Vec<&str> = ["--flush"]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .collect();
    let outcome = run(&sandbox, port, &flush);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!((sink.mails().len(), told.try_iter().count()), (3, 1));
}

#[test]
fn a_server_of_which_no_address_greets_takes_no_longer_than_one() {
    if cannot() {
        return;
    }
    let sandbox = Sandbox::new();
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = first.local_addr().unwrap().port();
    let _second = TcpListener::bind(("127.0.0.2", port)).unwrap();
    let outcome = run(
        &sandbox,
        port,
        &["-S", "timeout=3", "--no-queue", "bob@x.example"],
    );
    assert_eq!(outcome.status, 75, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("greeting"), "{}", outcome.stderr);
    // Two times the half of it, and what a busy machine adds.
    assert!(
        outcome.elapsed < Duration::from_millis(5500),
        "{:?}",
        outcome.elapsed
    );
}
