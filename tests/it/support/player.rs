//! The server's part in one connection: walks the steps of a transcript and says where the client
//! left it.
//!
//! Promise: every step ends, by the client's doing or by [`PATIENCE`]; what was said is written
//! down as it happens.
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::certs::certs;
use super::script::{self, Act, Handshake, Step};
use super::server::{Connection, Stage};
use super::wire::{PATIENCE, Wire, show};

/// The most an endless server sends: a client that swallowed this much has no limit.
const ENDLESS: usize = 64 << 20;

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

/// The server in one connection.
pub(super) struct Player<'s> {
    wire: Wire,
    stage: &'s Stage,
    number: usize,
    outgoing: Vec<u8>,
    /// What was looked at and not yet taken.
    peeked: Option<Heard>,
    optional: bool,
    /// The size of the message that BDAT announced.
    chunk: Option<usize>,
    /// A message is waiting for its reply.
    unanswered: bool,
}

impl<'s> Player<'s> {
    /// Takes the connection with this number.
    pub(super) fn new(socket: TcpStream, stage: &'s Stage, number: usize) -> Self {
        let wire = Wire::tcp(socket);
        Player {
            wire,
            stage,
            number,
            outgoing: Vec::new(),
            peeked: None,
            optional: false,
            chunk: None,
            unanswered: false,
        }
    }

    /// Plays to the end; what goes wrong is noted on the stage.
    pub(super) fn play(mut self) {
        let steps = self.stage.connections[self.number].clone();
        let result = self.steps(&steps).and_then(|flow| match flow {
            Flow::On => self.last_words(),
            Flow::Ended => Ok(()),
        });
        if let Err(failure) = result {
            let text = format!("connection {}: {failure}", self.number + 1);
            self.stage.state.lock().unwrap().failures.push(text);
        }
        let (round_trips, client_name) = (self.wire.round_trips(), self.wire.client_name());
        self.note(|connection| {
            connection.round_trips = round_trips;
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
            Err(format!(
                "the transcript is over, and the client says {}",
                show(&rest)
            ))
        }
    }

    fn steps(&mut self, steps: &[Step]) -> Result<Flow, String> {
        for step in steps {
            let flow = self
                .step(step)
                .map_err(|failure| format!("line {}: {failure}", step.line))?;
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
            Act::Chunk => return self.chunk(),
            Act::Body(bytes) => return self.body(*bytes),
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
        self.write_down(&format!(
            "S: {}",
            show(bytes.strip_suffix(b"\r\n").unwrap_or(bytes))
        ));
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
                let size = line
                    .strip_prefix("BDAT ")
                    .and_then(|rest| rest.strip_suffix(" LAST"));
                self.chunk = size.and_then(|size| size.parse().ok());
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
                let got = got.map_or_else(
                    || "the end of the connection".into(),
                    |line| format!("C: {line}"),
                );
                Err(format!("\n  expected  C: {pattern}\n  got       {got}"))
            }
        }
    }

    fn data(&mut self) -> Result<Flow, String> {
        self.flush();
        match self.wire.message().map_err(|error| error.to_string())? {
            Some(message) => {
                self.note(|connection| connection.mails.push(message.clone()));
                self.write_down(&format!("-- message of {} bytes", message.len()));
                self.unanswered = true;
                Ok(Flow::On)
            }
            None if self.optional => Ok(Flow::Ended),
            None => Err("expected a message and its dot, and the client closed".into()),
        }
    }

    fn chunk(&mut self) -> Result<Flow, String> {
        self.flush();
        let bytes = self.chunk.take().ok_or("no BDAT came before this chunk")?;
        match self
            .wire
            .exactly(bytes)
            .map_err(|error| error.to_string())?
        {
            Some(message) => {
                self.write_down(&format!("-- message of {bytes} bytes"));
                self.note(|connection| connection.mails.push(message));
                self.unanswered = true;
                Ok(Flow::On)
            }
            None => Err(format!(
                "expected a message of {bytes} bytes, and the client closed"
            )),
        }
    }

    fn body(&mut self, bytes: usize) -> Result<Flow, String> {
        self.flush();
        let mut taken = 0;
        while taken < bytes {
            let some = self
                .wire
                .some(bytes - taken)
                .map_err(|error| error.to_string())?;
            if some.is_empty() {
                return Err(format!(
                    "expected {bytes} bytes of a message, and the client closed after {taken}"
                ));
            }
            taken += some.len();
        }
        self.write_down(&format!("-- {bytes} bytes of a message"));
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
            // With TLS 1.3 a client may turn a certificate down after its part of the handshake was
            // sent.
            (Ok(()), true) => match self.take()? {
                None => Ok(Flow::Ended),
                Some(line) => Err(format!(
                    "the client took the certificate `{}` and said {line}",
                    wanted.cert
                )),
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
                self.unanswered = false;
                self.say(b"221 2.0.0 bye\r\n");
                self.flush();
                Ok(Flow::On)
            }
            Some(line) => Err(format!(
                "\n  expected  C: QUIT, or the end of the connection\n  got       C: {line}"
            )),
        }
    }

    fn close(&mut self) {
        self.flush();
        self.write_down("-- closed");
        self.wire.shut();
        // What the client had under way does not matter, but closing a socket with unread bytes
        // would send a reset.
        self.wire.drain();
    }

    fn hang(&mut self) -> Result<Flow, String> {
        self.flush();
        self.write_down("-- silent");
        let since = Instant::now();
        self.wire.drain();
        if since.elapsed() >= PATIENCE {
            Err("the client never gives up".into())
        } else {
            Ok(Flow::Ended)
        }
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
        Err(format!("the client swallowed {sent} bytes"))
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
        let got = next.map_or_else(
            || "the end of the connection".into(),
            |line| format!("C: {line}"),
        );
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
