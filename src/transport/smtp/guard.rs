//! The bytes of a session in both directions: what leaves together, what comes back as a reply,
//! and when it is over.
//!
//! Promise: a group leaves in one write before anything is read; every reply is bounded in size
//! and, as a whole, in time; the first failure is the last word, nothing is written after it. A
//! failure between the final dot and its reply is marked as in doubt, and no other is.
use std::io::{self, Read, Write};
use std::time::Duration;

use zeroize::Zeroize;

use super::reply::{Input, Parser, parse};
use crate::delivery::{Cause, Fault, Line, Reply, Stage};
use crate::transport::net::socket::{Socket, cause};
use crate::transport::net::tls::{self, Stream};
use crate::transport::peer_text::kept;
use crate::transport::{Redactor, Reporter};

/// What is gathered of a long message before it is written, in bytes.
const BLOCK: usize = 64 * 1024;
/// How long the server's last words are looked for when it no longer takes ours.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The connection, in clear or not.
pub(crate) enum Io {
    /// In clear.
    Plain(Socket),
    /// Inside TLS.
    Tls(Stream),
}

impl Io {
    /// Does something with the socket beneath.
    pub(crate) fn on_socket<T>(&mut self, act: impl FnOnce(&mut Socket) -> T) -> T {
        match self {
            Io::Plain(socket) => act(socket),
            Io::Tls(stream) => act(&mut stream.socket()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Io::Plain(socket) => socket.read(buffer),
            Io::Tls(stream) => stream.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Io::Plain(socket) => socket.write_all(bytes),
            Io::Tls(stream) => {
                // OpenSSL writes record by record; what belongs together leaves together.
                stream.socket().gather();
                stream.write_all(bytes)?;
                stream.socket().release()
            }
        }
    }
}

/// Where a message is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Commands and replies.
    None,
    /// Its text is being written.
    Open,
    /// Its text is complete; what is written next is the final dot.
    Ending,
    /// The dot, or a message without one, waits to leave with the rest of the group.
    Dotted,
    /// It has left and its replies have not all come.
    Awaited,
}

/// One side of a session: see the top of the file.
pub(crate) struct Guard {
    io: Option<Io>,
    input: Input,
    out: Vec<u8>,
    /// What waits in it holds a secret.
    wiped: bool,
    reporter: Reporter,
    stage: Stage,
    timeout: Duration,
    block: Duration,
    body: Body,
    after_dot: Option<&'static str>,
    broken: Option<Fault>,
    text: Vec<u8>,
    unstruck: Option<Reply>,
}

impl Guard {
    /// Takes a connection over. `block` is the time that a block of a message may take.
    pub(crate) fn new(io: Io, reporter: Reporter, block: Duration) -> Self {
        Guard {
            io: Some(io),
            input: Input::default(),
            out: Vec::new(),
            wiped: false,
            reporter,
            stage: Stage::Greeting,
            timeout: block,
            block,
            body: Body::None,
            after_dot: None,
            broken: None,
            text: Vec::new(),
            unstruck: None,
        }
    }

    /// Says what is under way, and how long its reply may take from when the command has left.
    pub(crate) fn begin_command(&mut self, stage: Stage, timeout: Duration) {
        self.stage = stage;
        self.timeout = timeout;
    }

    /// Tells the watcher a line of the dialogue.
    pub(crate) fn tell(&self, line: &Line) {
        self.reporter.line(line);
    }

    /// The first failure, if there was one.
    pub(crate) fn broken(&self) -> Option<&Fault> {
        self.broken.as_ref()
    }

    /// Ends the connection for a reason: nothing is written any more, and every later step fails
    /// for the same reason.
    pub(crate) fn fail(&mut self, cause: Cause) -> Fault {
        let fault = Fault {
            in_doubt: self.body == Body::Awaited,
            ..Fault::new(self.stage, cause)
        };
        self.io = None;
        if std::mem::take(&mut self.wiped) {
            self.out.zeroize();
        }
        self.out = Vec::new();
        self.broken.get_or_insert(fault).clone()
    }

    /// What the connection is known by, where TLS is on.
    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        match self.io.as_ref()? {
            Io::Plain(_) => None,
            Io::Tls(stream) => stream.end_point(),
        }
    }

    /// The text of the last line of the last reply as it came: a challenge may be longer than what
    /// is kept for humans.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The last reply to EHLO as it came, for what the server offers: a password may be the name of
    /// an extension.
    pub(crate) fn unstruck(&mut self) -> Option<Reply> {
        self.unstruck.take()
    }

    /// The secrets that are struck out of what is heard.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.reporter.redactor
    }

    /// Takes bytes to send. They leave when a block is full, or before the next reply is read.
    ///
    /// # Errors
    /// [`Fault`] when a block could not be written.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        if self.body == Body::Ending {
            self.out.extend_from_slice(bytes);
            self.tell(&Line::Client(".".into()));
            if let Some(line) = self.after_dot.take() {
                self.tell(&Line::Client(line.trim_end().into()));
                self.out.extend_from_slice(line.as_bytes());
            }
            self.body = Body::Dotted;
            return Ok(());
        }
        if self.out.is_empty() && bytes.len() >= BLOCK {
            return self.write(bytes);
        }
        self.out.extend_from_slice(bytes);
        if self.out.len() >= BLOCK {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Takes a line with a secret in it, which leaves before the next reply is read and is wiped
    /// then.
    ///
    /// # Errors
    /// [`Fault`] when the connection is over.
    pub(crate) fn push_secret(&mut self, line: &[u8]) -> Result<(), Fault> {
        // A buffer that grows leaves copies of the secret behind.
        self.out.reserve(line.len());
        self.wiped = true;
        self.push(line)
    }

    /// Takes a group that holds a whole message: its last bytes count as the final dot does.
    ///
    /// # Errors
    /// [`Fault`] when the connection is over.
    pub(crate) fn push_message(&mut self, group: &[u8]) -> Result<(), Fault> {
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        self.out.extend_from_slice(group);
        self.body = Body::Dotted;
        Ok(())
    }

    /// Writes what is waiting.
    ///
    /// # Errors
    /// [`Fault`] with the server's last words, if it left any.
    pub(crate) fn flush(&mut self) -> Result<(), Fault> {
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        if self.out.is_empty() {
            return Ok(());
        }
        let mut out = std::mem::take(&mut self.out);
        let done = self.write(&out);
        if std::mem::take(&mut self.wiped) {
            out.zeroize();
        }
        out.clear();
        self.out = out;
        done?;
        if self.body == Body::Dotted {
            self.body = Body::Awaited;
            if let Some(io) = &mut self.io {
                io.on_socket(|socket| socket.clock.set_grace(true));
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if matches!(self.body, Body::Open | Body::Dotted) && self.waiting() {
            return Err(self.interrupted_by_server());
        }
        let time = if self.body == Body::None {
            self.timeout
        } else {
            self.block
        };
        let Some(io) = &mut self.io else {
            return Err(self.fail(Cause::Lost("the connection is closed".into())));
        };
        io.on_socket(|socket| socket.clock.allow(time));
        match io.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.last_words(&error)),
        }
    }

    /// The server no longer takes what is written: it may have said why.
    fn last_words(&mut self, error: &io::Error) -> Fault {
        let why = meaning(error);
        if !matches!(why, Cause::Lost(_)) {
            return self.fail(why);
        }
        match self.read_reply(LAST_WORDS) {
            Ok(reply) if matches!(reply.code / 100, 4 | 5) => self.fail(Cause::Refused(reply)),
            // An alert tells more than the end that follows it.
            Err(alert @ Cause::Handshake(_)) => self.fail(alert),
            _ => self.fail(why),
        }
    }

    /// The server has spoken before the message was complete.
    fn interrupted_by_server(&mut self) -> Fault {
        match self.read_reply(LAST_WORDS) {
            Ok(reply) if matches!(reply.code / 100, 4 | 5) => self.fail(Cause::Refused(reply)),
            Ok(reply) => self.fail(Cause::Protocol(format!(
                "the server replied \"{}\" before the final dot",
                reply.text()
            ))),
            Err(cause) => self.fail(cause),
        }
    }

    /// Returns whether bytes wait that nobody has asked for, or the server has closed; waits for
    /// nothing.
    pub(crate) fn waiting(&mut self) -> bool {
        if !self.input.rest().is_empty() {
            return true;
        }
        let Some(io) = &mut self.io else { return true };
        io.on_socket(|socket| socket.set_instant(true));
        let mut buffer = [0; 4096];
        let read = io.read(&mut buffer);
        io.on_socket(|socket| socket.set_instant(false));
        match read {
            Ok(count) => {
                self.input.extend(&buffer[..count]);
                true
            }
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Reads the next reply, after what is waiting has left.
    ///
    /// # Errors
    /// [`Fault`]: nothing came in time, the connection ended, or this is no reply.
    pub(crate) fn reply(&mut self) -> Result<Reply, Fault> {
        self.flush()?;
        self.read_reply(self.timeout)
            .map_err(|cause| self.fail(cause))
    }

    /// The replies to the dot have all come.
    pub(crate) fn end_of_body(&mut self) {
        self.body = Body::None;
        if let Some(io) = &mut self.io {
            io.on_socket(|socket| socket.clock.set_grace(false));
        }
    }

    /// A message begins; `after_dot` is a command that leaves together with the dot.
    pub(crate) fn begin_body(&mut self, after_dot: Option<&'static str>) {
        self.body = Body::Open;
        self.after_dot = after_dot;
    }

    /// The text of the message is complete.
    pub(crate) fn complete_body(&mut self) {
        self.body = Body::Ending;
    }

    /// Reads a reply. Here the server's words come into being for everything else: without secrets,
    /// and not too many.
    fn read_reply(&mut self, timeout: Duration) -> Result<Reply, Cause> {
        let redactor = self.reporter.redactor.clone();
        let mut heard = Vec::new();
        let reporter = self.reporter.clone();
        let outcome = self.hear(timeout, &mut |line: &[u8]| {
            if redactor.is_idle() {
                reporter.server(line);
            } else {
                heard.push(line.to_vec());
            }
        });
        self.unstruck = outcome
            .as_ref()
            .ok()
            .filter(|_| self.stage == Stage::Hello)
            .cloned();
        let heard = redactor.lines(&heard);
        for line in &heard {
            reporter.server(line);
        }
        let reply = match parse(&heard) {
            Err(why) => return Err(protocol(&why)),
            // What came was no whole reply, or nothing had to be struck out of it.
            Ok(None) => outcome?,
            Ok(Some(reply)) => outcome.map(|_| reply)?,
        };
        // Each line of an answer to EHLO is an extension.
        let whole = self.stage == Stage::Hello && reply.is_positive();
        Ok(if whole {
            reply
        } else {
            Reply {
                lines: kept(&reply.lines).into(),
                ..reply
            }
        })
    }

    /// Reads lines up to the end of a reply.
    fn hear(&mut self, timeout: Duration, each: &mut dyn FnMut(&[u8])) -> Result<Reply, Cause> {
        let Some(io) = &mut self.io else {
            return Err(Cause::Lost("the connection is closed".into()));
        };
        io.on_socket(|socket| socket.clock.allow(timeout));
        let mut parser = Parser::default();
        let mut buffer = [0; 4096];
        loop {
            while let Some(line) = self.input.line().map_err(|why| protocol(&why))? {
                each(&line);
                if let Some(reply) = parser.push(&line).map_err(|why| protocol(&why))? {
                    self.text = line.get(4..).unwrap_or_default().to_vec();
                    return Ok(reply);
                }
            }
            if self.stage == Stage::Greeting && matches!(self.input.rest(), [0x15 | 0x16, 3, ..]) {
                self.reporter.fact("speaks", || "TLS".to_owned());
                return Err(Cause::Protocol(
                    "no greeting: this port speaks TLS from the first byte".into(),
                ));
            }
            match io.read(&mut buffer) {
                Ok(0) => {
                    return Err(Cause::Lost(format!(
                        "the server closed the connection {}",
                        when(self.stage)
                    )));
                }
                Ok(count) => self.input.extend(&buffer[..count]),
                Err(error) => return Err(meaning(&error)),
            }
        }
    }

    /// Gives the connection back for TLS to begin on it.
    ///
    /// # Errors
    /// [`Fault`] when it is gone, or when bytes wait that came in clear: they would be taken for
    /// answers given inside TLS (RFC 3207 section 4, CVE-2011-0411).
    pub(crate) fn into_socket(mut self) -> Result<Socket, Fault> {
        if self.waiting() && !self.input.rest().is_empty() {
            let why = "the server sent more clear text after its reply to STARTTLS, as in an \
                attack";
            return Err(self.fail(Cause::Protocol(why.into())));
        }
        match self.io.take() {
            Some(Io::Plain(mut socket)) => {
                socket.forget_head();
                Ok(socket)
            }
            _ => Err(self.fail(Cause::Lost("the server closed the connection".into()))),
        }
    }

    /// Ends TLS and the connection without waiting.
    pub(crate) fn close(&mut self) {
        if let Some(Io::Tls(mut stream)) = self.io.take() {
            stream.socket().set_instant(true);
            stream.shutdown();
        }
    }

    /// Returns whether the connection can still be used.
    pub(crate) fn is_open(&self) -> bool {
        self.io.is_some() && self.broken.is_none()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.close();
    }
}

fn protocol(why: &str) -> Cause {
    Cause::Protocol(format!("the server sent {why}"))
}

/// An error of the connection, or of TLS on it.
fn meaning(error: &io::Error) -> Cause {
    tls::meaning(error).map_or_else(|| cause(error), Cause::Handshake)
}

/// What was awaited when the server closed.
fn when(stage: Stage) -> &'static str {
    match stage {
        Stage::Greeting => "before its greeting",
        Stage::Hello => "after EHLO",
        Stage::Tls => "after STARTTLS",
        Stage::Login => "during the login",
        Stage::Sender => "after MAIL",
        Stage::Recipient => "after RCPT",
        Stage::Data => "after DATA",
        Stage::Content => "before replying to the message",
        Stage::Prepare | Stage::Resolve | Stage::Connect => "at once",
    }
}

/// A line to the server as it may be shown.
pub(super) fn shown(line: &str) -> Line {
    Line::Client(crate::text::short(line))
}
