//! A server on this machine that says what a script says, and fails when it hears anything else.
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{ConnectionReuse, Event, RunContext, open};
use crate::address::Address;
use crate::delivery::{Fault, Line, Reply, Report};
use crate::message::{Envelope, Message};
use crate::route::{Endpoint, Route, Smtp, Timeouts, TlsMode, Trust};

mod bookkeeping;
mod chunking;
mod circumstance;
mod conversation;
mod encryption;
mod login;
mod many;
mod named;
mod repeated;
mod unsound;

/// One group of the client and what the server answers to it. The server speaks first: that group
/// is empty.
type Step<'a> = (&'a str, &'a str);

const HI: Step<'static> = ("", "220 mx.test ESMTP\r\n");
/// The server closes without a word.
const GONE: Step<'static> = ("", "");
const EHLO: &str = "EHLO client.test\r\n";
const BODY: &str = "Subject: x\r\n\r\n.dot\r\nbody\r\n";
const STUFFED: &str = "Subject: x\r\n\r\n..dot\r\nbody\r\n.\r\n";

/// A running script; joining it tells whether it was played to the end.
struct Server {
    port: u16,
    player: JoinHandle<()>,
}

/// Plays one script a connection. Each group must come in one piece and be exactly the one written
/// down.
fn serve(scripts: &[&[Step<'_>]]) -> Server {
    let owned: Vec<Vec<(String, String)>> = scripts
        .iter()
        .map(|script| {
            script
                .iter()
                .map(|(group, answer)| (group.to_string(), answer.to_string()))
                .collect()
        })
        .collect();
    start(move |listener| {
        for script in owned {
            let mut stream = listener.accept().unwrap().0;
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            play(&mut stream, &script);
            if script
                .last()
                .is_some_and(|(group, answer)| (group.as_str(), answer.as_str()) == GONE)
            {
                stream.shutdown(Shutdown::Write).unwrap();
            }
            assert_eq!(rest(&mut stream), "", "more than the script has");
        }
    })
}

fn start(run: impl FnOnce(TcpListener) + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    Server {
        port,
        player: thread::spawn(move || run(listener)),
    }
}

fn play(stream: &mut (impl Read + Write), script: &[(String, String)]) {
    for (group, answer) in script {
        if !group.is_empty() {
            let mut heard = vec![0; group.len().max(1) + 4096];
            let count = stream.read(&mut heard).unwrap();
            assert_eq!(String::from_utf8_lossy(&heard[..count]), *group);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        stream.flush().unwrap();
    }
}

fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A reset is an end as well: what the server said last may not have been read.
    let _ = stream.read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}

impl Server {
    fn route(&self) -> Smtp {
        Smtp {
            provider: None,
            host: "127.0.0.1".into(),
            endpoints: vec![Endpoint {
                port: self.port,
                tls: TlsMode::None,
            }],
            lmtp: false,
            socket: None,
            connect_to: None,
            proxy: None,
            source_address: None,
            hello_name: Some("client.test".into()),
            ehlo: true,
            trust: Trust::default(),
            login: None,
            pipelining: true,
            chunking: true,
            timeouts: Timeouts::scaled(Duration::from_secs(10)),
        }
    }

    fn done(self) {
        if let Err(panic) = self.player.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

fn message(recipients: &[&str]) -> Message {
    text(recipients, BODY.as_bytes().to_vec())
}

fn text(recipients: &[&str], bytes: Vec<u8>) -> Message {
    let recipients = recipients
        .iter()
        .map(|text| Address::parse(text).unwrap())
        .collect();
    let envelope = Envelope {
        sender: Some(Address::parse("me@a.test").unwrap()),
        recipients,
        ..Envelope::default()
    };
    Message::from_wire("<1@a.test>".into(), envelope, bytes)
}

/// Delivers one message, the last one, and says goodbye.
fn deliver(route: Smtp, message: &Message) -> Report {
    open(&Route::Smtp(Box::new(route)), &RunContext::default()).deliver(
        message,
        ConnectionReuse::Last,
        &mut (),
    )
}

/// Delivers to a server with one script, which must be played to the end.
fn exchange(script: &[Step<'_>], recipients: &[&str]) -> Report {
    let server = serve(&[script]);
    let report = deliver(server.route(), &message(recipients));
    server.done();
    report
}

/// The outcome of every recipient: its code and text, or what went wrong.
fn outcomes(report: &Report) -> Vec<String> {
    report
        .recipients
        .iter()
        .map(|result| outcome(&result.outcome))
        .collect()
}

fn outcome(outcome: &Result<Reply, Fault>) -> String {
    match outcome {
        Ok(reply) => reply.text(),
        Err(fault) => {
            let doubt = if fault.in_doubt { " in doubt" } else { "" };
            let cause = fault
                .reply()
                .map_or_else(|| format!("{:?}", fault.cause), Reply::text);
            format!(
                "{}{doubt} at {}: {cause}",
                fault.class().word(),
                fault.stage.word()
            )
        }
    }
}

/// A context that keeps what it hears.
fn listening() -> (RunContext, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = lines.clone();
    let observer = move |event: Event<'_>| {
        let Event::Line(line) = event else { return };
        heard.lock().unwrap().push(match line {
            Line::Client(text) => format!("> {text}"),
            Line::Server(text) => format!("< {text}"),
            Line::Note(text) => format!("* {text}"),
        });
    };
    (
        RunContext {
            observer: Some(Arc::new(observer)),
            ..RunContext::default()
        },
        lines,
    )
}
