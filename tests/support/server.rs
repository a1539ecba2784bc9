//! A server that plays a transcript and fails the test when the client does not play along.
//!
//! Promise: [`Server::finish`] (and dropping, if the test forgot) panics when a transcript was not played to its end, when
//! the client said something else than the transcript, connected too often, or fell silent; the message shows the
//! dialogue, what was expected and what came. The server never sleeps but where the transcript says so.
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::certs::certs;
use super::script::{self, Act, Handshake, Step};
use super::wire::{PATIENCE, Wire, show};

/// The most an endless server sends: a client that swallowed this much has no limit.
const ENDLESS: usize = 64 << 20;

/// A transcript being played on a loopback port.
pub struct Server {
    port: u16,
    stage: Arc<Stage>,
    acceptor: Option<JoinHandle<()>>,
}

/// What was said on one connection.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// The dialogue: `S: …`, `C: …` and `-- …` lines.
    pub dialogue: Vec<String>,
    /// Every line the client said, apart from messages.
    pub said: Vec<String>,
    /// The messages, dot-stuffing taken away.
    pub mails: Vec<Vec<u8>>,
    /// How many of them a 2yz answered.
    pub accepted: usize,
    /// The common name of the client's certificate.
    pub client_name: Option<String>,
    /// The client's round trips.
    pub flights: usize,
}

/// What was said in the whole.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// In the order of their beginning.
    pub connections: Vec<Connection>,
}

impl Record {
    /// The messages of all connections.
    pub fn mails(&self) -> Vec<&[u8]> {
        self.connections.iter().flat_map(|c| &c.mails).map(Vec::as_slice).collect()
    }

    /// How many messages were accepted.
    pub fn accepted(&self) -> usize {
        self.connections.iter().map(|c| c.accepted).sum()
    }

    /// Every line the clients said, apart from messages.
    pub fn said(&self) -> Vec<&str> {
        self.connections.iter().flat_map(|c| &c.said).map(String::as_str).collect()
    }
}

struct Stage {
    name: String,
    connections: Vec<Vec<Step>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    record: Vec<Connection>,
    failures: Vec<String>,
    /// The local port of the connection that asks the acceptor to end.
    closing: Option<u16>,
}

impl Server {
    /// Plays `tests/transcripts/NAME.txt`.
    pub fn story(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(format!("{name}.txt"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Server::play(name, &text)
    }

    /// Plays a transcript.
    pub fn play(name: &str, text: &str) -> Self {
        let connections = script::parse(name, text);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stage =
            Arc::new(Stage { name: name.to_owned(), connections, state: Mutex::default(), changed: Condvar::new() });
        let on_stage = Arc::clone(&stage);
        let acceptor = thread::spawn(move || accept(&listener, &on_stage));
        Server { port, stage, acceptor: Some(acceptor) }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until a client has said a line like `pattern` (for a message: `-- message`).
    pub fn wait_for(&self, pattern: &str) {
        let heard = |state: &mut State| {
            !state.record.iter().flat_map(|c| &c.dialogue).any(|line| {
                let line = line.strip_prefix("C: ").unwrap_or(line);
                script::is_like(pattern, line)
            })
        };
        let state = self.stage.state.lock().unwrap();
        let (state, late) = self.stage.changed.wait_timeout_while(state, PATIENCE, heard).unwrap();
        drop(state);
        assert!(!late.timed_out(), "transcript {}: `{pattern}` was not heard within {PATIENCE:?}", self.stage.name);
    }

    /// Waits for the end of every connection and gives the record.
    ///
    /// # Panics
    /// When the transcript and the client did not agree.
    pub fn finish(mut self) -> Record {
        self.end().unwrap_or_else(|failures| panic!("{failures}"))
    }

    /// As [`Server::finish`], with the disagreement as an error.
    pub fn end(&mut self) -> Result<Record, String> {
        let Some(acceptor) = self.acceptor.take() else { return Ok(Record::default()) };
        // A connection of our own, queued behind every one of the client's, tells the acceptor that no more will come.
        let knock = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        knock.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let from = knock.local_addr().unwrap().as_socket().unwrap().port();
        self.stage.state.lock().unwrap().closing = Some(from);
        knock.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).into()).unwrap();
        let crashed = acceptor.join().is_err();
        let mut state = self.stage.state.lock().unwrap();
        if crashed {
            state.failures.push("the server itself crashed".into());
        }
        let (seen, wanted) = (state.record.len(), self.stage.connections.len());
        if seen < wanted {
            state
                .failures
                .push(format!("the client connected {seen} times and the transcript has {wanted} connections"));
        }
        if state.failures.is_empty() {
            return Ok(Record { connections: std::mem::take(&mut state.record) });
        }
        let mut text = format!("transcript {}: {}", self.stage.name, state.failures.join("\n"));
        for (number, connection) in state.record.iter().enumerate() {
            let _ = write!(text, "\n--- dialogue of connection {}:\n{}", number + 1, connection.dialogue.join("\n"));
        }
        Err(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let result = self.end();
        if let Err(failures) = result
            && !thread::panicking()
        {
            panic!("{failures}");
        }
    }
}

fn accept(listener: &TcpListener, theatre: &Arc<Stage>) {
    let mut players = Vec::new();
    while let Ok((socket, from)) = listener.accept() {
        let mut state = theatre.state.lock().unwrap();
        if state.closing == Some(from.port()) {
            break;
        }
        let number = state.record.len();
        state.record.push(Connection::default());
        if number >= theatre.connections.len() {
            state.failures.push(format!("the client connected a {}. time", number + 1));
            continue;
        }
        drop(state);
        let on_stage = Arc::clone(theatre);
        players.push(thread::spawn(move || Player::new(socket, &on_stage, number).play()));
    }
    for player in players {
        if player.join().is_err() {
            theatre.state.lock().unwrap().failures.push("a connection of the server crashed".into());
        }
    }
}

/// What came from the client.
#[derive(Clone)]
enum Heard {
    Line(String),
    End,
}

/// Whether the dialogue goes on.
enum Flow {
    On,
    Ended,
}

struct Player<'s> {
    wire: Wire,
    stage: &'s Stage,
    number: usize,
    outgoing: Vec<u8>,
    /// What was looked at and not yet taken.
    peeked: Option<Heard>,
    optional: bool,
    /// A message is waiting for its reply.
    unanswered: bool,
}

impl<'s> Player<'s> {
    fn new(socket: TcpStream, stage: &'s Stage, number: usize) -> Self {
        let wire = Wire::tcp(socket);
        Player { wire, stage, number, outgoing: Vec::new(), peeked: None, optional: false, unanswered: false }
    }

    fn play(mut self) {
        let steps = self.stage.connections[self.number].clone();
        let result = self.steps(&steps).and_then(|flow| match flow {
            Flow::On => self.last_words(),
            Flow::Ended => Ok(()),
        });
        if let Err(failure) = result {
            let text = format!("connection {}: {failure}", self.number + 1);
            self.stage.state.lock().unwrap().failures.push(text);
        }
        let (flights, client_name) = (self.wire.flights, self.wire.client_name());
        self.note(|connection| {
            connection.flights = flights;
            connection.client_name = connection.client_name.take().or(client_name);
        });
    }

    /// The transcript is over: the server closes, and the client must have nothing more to say.
    fn last_words(&mut self) -> Result<(), String> {
        self.flush();
        self.wire.shut();
        let rest = self.wire.drain();
        // A TLS client says goodbye beneath the lines (close_notify), which never shows here.
        if rest.is_empty() {
            Ok(())
        } else {
            Err(format!("the transcript is over, and the client says {}", show(&rest)))
        }
    }

    fn steps(&mut self, steps: &[Step]) -> Result<Flow, String> {
        for step in steps {
            let flow = self.step(step).map_err(|failure| format!("line {}: {failure}", step.line))?;
            if let Flow::Ended = flow {
                return Ok(Flow::Ended);
            }
        }
        Ok(Flow::On)
    }

    fn step(&mut self, step: &Step) -> Result<Flow, String> {
        match &step.act {
            Act::Say(bytes) => self.say(bytes),
            Act::Dribble(pause, bytes) => self.dribble(*pause, bytes),
            Act::Hear(pattern) => return self.hear(pattern),
            Act::Data => return self.data(),
            Act::Body(octets) => return self.body(*octets),
            Act::Tls(handshake) => return self.handshake(handshake),
            Act::Bye => return self.bye(),
            Act::Optional => self.optional = true,
            Act::Close => {
                self.close();
                return Ok(Flow::Ended);
            }
            Act::Reset => {
                self.flush();
                self.write_down("-- reset");
                self.wire.reset();
                return Ok(Flow::Ended);
            }
            Act::Hang => return self.hang(),
            Act::Pause(time) => {
                self.flush();
                if self.peeked.is_some() || !self.wire.is_quiet_for(*time) {
                    return Err("the client talks (or leaves) while it is the server's turn".into());
                }
            }
            Act::Endless(bytes) => return self.endless(bytes),
            Act::Either(branches) => return self.either(branches),
        }
        Ok(Flow::On)
    }

    fn say(&mut self, bytes: &[u8]) {
        self.write_down(&format!("S: {}", show(bytes.strip_suffix(b"\r\n").unwrap_or(bytes))));
        if std::mem::take(&mut self.unanswered) && bytes.first() == Some(&b'2') {
            self.note(|connection| connection.accepted += 1);
        }
        self.outgoing.extend_from_slice(bytes);
    }

    fn dribble(&mut self, pause: Duration, bytes: &[u8]) {
        self.flush();
        self.write_down(&format!("S: {} (slowly)", show(bytes)));
        for byte in bytes {
            thread::sleep(pause);
            if self.wire.send(&[*byte]).is_err() {
                return;
            }
        }
    }

    fn flush(&mut self) {
        let bytes = std::mem::take(&mut self.outgoing);
        if !bytes.is_empty() && self.wire.send(&bytes).is_err() {
            self.write_down("-- (the client had closed already)");
        }
    }

    fn peek(&mut self) -> Result<Option<String>, String> {
        if self.peeked.is_none() {
            self.flush();
            let line = self.wire.line().map_err(|error| error.to_string())?;
            self.peeked = Some(line.map_or(Heard::End, |bytes| Heard::Line(show(&bytes))));
        }
        Ok(match &self.peeked {
            Some(Heard::Line(line)) => Some(line.clone()),
            _ => None,
        })
    }

    fn take(&mut self) -> Result<Option<String>, String> {
        let line = self.peek()?;
        self.peeked = None;
        match &line {
            Some(line) => {
                self.note(|connection| connection.said.push(line.clone()));
                self.write_down(&format!("C: {line}"));
            }
            None => self.write_down("-- (the client closed)"),
        }
        Ok(line)
    }

    fn hear(&mut self, pattern: &str) -> Result<Flow, String> {
        match self.take()? {
            Some(line) if script::is_like(pattern, &line) => Ok(Flow::On),
            None if self.optional => Ok(Flow::Ended),
            got => {
                let got = got.map_or_else(|| "the end of the connection".into(), |line| format!("C: {line}"));
                Err(format!("\n  expected  C: {pattern}\n  got       {got}"))
            }
        }
    }

    fn data(&mut self) -> Result<Flow, String> {
        self.flush();
        match self.wire.message().map_err(|error| error.to_string())? {
            Some(message) => {
                self.note(|connection| connection.mails.push(message.clone()));
                self.write_down(&format!("-- message of {} octets", message.len()));
                self.unanswered = true;
                Ok(Flow::On)
            }
            None if self.optional => Ok(Flow::Ended),
            None => Err("expected a message and its dot, and the client closed".into()),
        }
    }

    fn body(&mut self, octets: usize) -> Result<Flow, String> {
        self.flush();
        let mut taken = 0;
        while taken < octets {
            let some = self.wire.some(octets - taken).map_err(|error| error.to_string())?;
            if some.is_empty() {
                return Err(format!("expected {octets} octets of a message, and the client closed after {taken}"));
            }
            taken += some.len();
        }
        self.write_down(&format!("-- {octets} octets of a message"));
        Ok(Flow::On)
    }

    fn handshake(&mut self, wanted: &Handshake) -> Result<Flow, String> {
        self.flush();
        let acceptor = certs().acceptor(&wanted.cert, wanted.demand);
        match (self.wire.start_tls(&acceptor), wanted.refused) {
            (Ok(()), false) => {
                self.write_down("-- TLS is up");
                let name = self.wire.client_name();
                self.note(|connection| connection.client_name = name);
                Ok(Flow::On)
            }
            // With TLS 1.3 a client may turn a certificate down after its part of the handshake was sent.
            (Ok(()), true) => match self.take()? {
                None => Ok(Flow::Ended),
                Some(line) => Err(format!("the client took the certificate `{}` and said {line}", wanted.cert)),
            },
            (Err(why), true) => {
                self.write_down(&format!("-- no TLS: {why}"));
                Ok(Flow::Ended)
            }
            (Err(why), false) => Err(why),
        }
    }

    fn bye(&mut self) -> Result<Flow, String> {
        match self.take()?.as_deref() {
            None => Ok(Flow::Ended),
            Some("QUIT") => {
                self.say(b"221 2.0.0 bye\r\n");
                self.flush();
                Ok(Flow::On)
            }
            Some(line) => Err(format!("\n  expected  C: QUIT, or the end of the connection\n  got       C: {line}")),
        }
    }

    fn close(&mut self) {
        self.flush();
        self.write_down("-- closed");
        self.wire.shut();
        // What the client had under way does not matter, but closing a socket with unread bytes would send a reset.
        self.wire.drain();
    }

    fn hang(&mut self) -> Result<Flow, String> {
        self.flush();
        self.write_down("-- silent");
        let since = Instant::now();
        self.wire.drain();
        if since.elapsed() >= PATIENCE { Err("the client never gives up".into()) } else { Ok(Flow::Ended) }
    }

    fn endless(&mut self, bytes: &[u8]) -> Result<Flow, String> {
        self.flush();
        self.write_down(&format!("S: {} (endlessly)", show(bytes)));
        let block = bytes.repeat((64 * 1024 / bytes.len().max(1)).max(1));
        let mut sent = 0;
        while sent < ENDLESS {
            if self.wire.send(&block).is_err() {
                return Ok(Flow::Ended);
            }
            sent += block.len();
        }
        Err(format!("the client swallowed {sent} octets"))
    }

    fn either(&mut self, branches: &[Vec<Step>]) -> Result<Flow, String> {
        let next = self.peek()?;
        let fits = |branch: &&Vec<Step>| match (branch.first().map(|step| &step.act), &next) {
            (None, None) => true,
            (Some(Act::Hear(pattern)), Some(line)) => script::is_like(pattern, line),
            (Some(Act::Bye), line) => line.as_ref().is_none_or(|line| line == "QUIT"),
            _ => false,
        };
        if let Some(branch) = branches.iter().find(fits) {
            return self.steps(branch);
        }
        let got = next.map_or_else(|| "the end of the connection".into(), |line| format!("C: {line}"));
        Err(format!("no branch begins with {got}"))
    }

    fn write_down(&self, line: &str) {
        self.note(|connection| connection.dialogue.push(line.to_owned()));
    }

    fn note(&self, change: impl FnOnce(&mut Connection)) {
        change(&mut self.stage.state.lock().unwrap().record[self.number]);
        self.stage.changed.notify_all();
    }
}
