//! The SMTP engine: commands and replies are lettre's, over a stream of ours; the text of a message
//! goes past it, as lettre looks at every byte by itself.
//!
//! Promise: lettre is named here and where its commands are made, nowhere else. The stream blocks
//! (with deadlines, see `socket`), so lettre's futures are always ready and need no runtime. lettre
//! sees replies only in a clean form; what is reported comes from the guard beneath it.
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::capabilities::Capabilities;
use super::guard::{Guard, shown};
use crate::delivery::{Cause, Fault, Line, Reply, Stage};
use crate::mime::crlf::Dots;
use crate::transport::line::{Commands, check_secret};
use crate::transport::peer_text::decode;

/// The pieces of a message in order.
pub(crate) type Chunks<'a> = &'a mut dyn Iterator<Item = io::Result<Vec<u8>>>;
/// Asked once, when all of the message but the final dot is ready to leave; an error keeps the dot
/// back.
pub(crate) type Clearance<'a> = &'a mut dyn FnMut() -> Result<(), Cause>;

/// A session after EHLO, STARTTLS and all, ready for AUTH and MAIL: lettre's connection over the
/// guard.
pub(crate) struct Session {
    connection: AsyncSmtpConnection,
    guard: Arc<Mutex<Guard>>,
    heard: Arc<Mutex<Option<Reply>>>,
}

impl Session {
    /// Puts lettre onto a connection on which the greeting and EHLO are over. Its own EHLO goes
    /// nowhere and is answered from what is known, so that this costs no round trip.
    ///
    /// # Errors
    /// [`Fault`] when lettre does not take it, which would be a bug.
    pub(crate) fn new(guard: Guard, capabilities: &Capabilities) -> Result<Self, Fault> {
        let guard = Arc::new(Mutex::new(guard));
        let heard = Arc::new(Mutex::new(None));
        let opening = vec![
            capabilities.plain().into_bytes(),
            b"220 server\r\n".to_vec(),
        ];
        let stream = Stream {
            guard: guard.clone(),
            heard: heard.clone(),
            opening,
            ready: Vec::new(),
            at: 0,
        };
        let name = ClientId::Ipv4(Ipv4Addr::LOCALHOST);
        match block(AsyncSmtpConnection::connect_with_transport(
            Box::new(stream),
            &name,
        )) {
            Ok(connection) => Ok(Session {
                connection,
                guard,
                heard,
            }),
            Err(error) => Err(lock(&guard).fail(Cause::Protocol(format!(
                "not taken by the SMTP engine: {error}"
            )))),
        }
    }

    /// What lettre made of the reply is not looked at: the guard has heard all of it.
    fn outcome<T>(
        &mut self,
        told: Result<T, lettre::transport::smtp::Error>,
    ) -> Result<Reply, Fault> {
        if let Some(reply) = lock(&self.heard).take() {
            return Ok(reply);
        }
        let mut guard = lock(&self.guard);
        if let Some(fault) = guard.broken() {
            return Err(fault.clone());
        }
        let why = told
            .err()
            .map_or_else(|| "no reply".to_owned(), |error| error.to_string());
        Err(guard.fail(Cause::Protocol(why)))
    }
}

impl Session {
    /// Sends commands in one group, and reads the reply to the first. `stage` is what they are
    /// about, `timeout` what each reply may take.
    ///
    /// # Errors
    /// [`Fault`] when there is no reply. A reply that says no is no error.
    pub(crate) fn command(
        &mut self,
        stage: Stage,
        timeout: Duration,
        commands: &Commands,
    ) -> Result<Reply, Fault> {
        {
            let mut guard = lock(&self.guard);
            guard.begin_command(stage, timeout);
            for line in commands.lines() {
                guard.tell(&shown(line));
            }
        }
        let told = block(self.connection.command(commands.as_str()));
        self.outcome(told)
    }

    /// Sends one command that is shown to the watcher as `mask`; where that ends in `***`, the word
    /// that stands there is concealed.
    ///
    /// # Errors
    /// As [`Session::command`].
    pub(crate) fn secret(
        &mut self,
        timeout: Duration,
        line: &str,
        mask: &str,
    ) -> Result<Reply, Fault> {
        {
            let mut guard = lock(&self.guard);
            guard.begin_command(Stage::Login, timeout);
            check_secret(line).map_err(|cause| guard.fail(cause))?;
            if mask.ends_with("***") {
                guard
                    .redactor()
                    .add_answer(line.trim_end().rsplit(' ').next().unwrap_or_default());
            }
            guard.tell(&shown(mask));
            // Past lettre, which would keep a copy; a failure is kept by the guard.
            let _ = guard.push_secret(line.as_bytes());
        }
        let told = block(self.connection.read_response());
        self.outcome(told)
    }

    /// Strikes a secret out of whatever is heard from now on.
    pub(crate) fn conceal(&self, secret: &[u8]) {
        lock(&self.guard).redactor().add(secret);
    }

    /// Words that the server sent in another form than a reply, decoded, without secrets and safe
    /// to print.
    pub(crate) fn words(&self, bytes: &[u8]) -> String {
        decode(&lock(&self.guard).redactor().text(bytes))
    }

    /// Reads the reply to the next command of the group.
    ///
    /// # Errors
    /// As [`Session::command`].
    pub(crate) fn reply(&mut self, stage: Stage, timeout: Duration) -> Result<Reply, Fault> {
        lock(&self.guard).begin_command(stage, timeout);
        let told = block(self.connection.read_response());
        self.outcome(told)
    }

    /// Sends a message with dots doubled and, once cleared, the final dot, QUIT behind it if
    /// wanted, and reads the reply to the dot.
    ///
    /// # Errors
    /// [`Fault`] when there is no reply, when a piece is an error or the dot is not cleared (it is
    /// never sent then), or when the server answered before the dot.
    pub(crate) fn message(
        &mut self,
        bytes: u64,
        timeout: Duration,
        chunks: Chunks<'_>,
        quit: bool,
        clear: Clearance<'_>,
    ) -> Result<Reply, Fault> {
        {
            let mut guard = lock(&self.guard);
            guard.begin_command(Stage::Content, timeout);
            guard.begin_body(quit.then_some("QUIT\r\n"));
            guard.tell(&Line::Note(format!("message, {bytes} bytes")));
        }
        let pieces = Pieces {
            chunks,
            held: None,
            guard: &self.guard,
            over: false,
            clear: Some(clear),
        };
        let mut dots = Dots::default();
        for piece in pieces {
            // A failure is kept by the guard, and ends the pieces.
            let _ = dots.add(&piece, |stretch| lock(&self.guard).push(stretch));
        }
        let _ = lock(&self.guard).push(b"\r\n.\r\n");
        let told = block(self.connection.read_response());
        self.outcome(told)
    }

    /// Sends commands, the last of them a BDAT, and its message behind them, QUIT behind it if
    /// wanted, all in one group, and reads the reply to the first. From when they have left until
    /// [`Session::end_of_message`] a fault is in doubt.
    ///
    /// # Errors
    /// As [`Session::command`].
    pub(crate) fn whole(
        &mut self,
        stage: Stage,
        timeout: Duration,
        commands: &Commands,
        message: &[u8],
        quit: bool,
    ) -> Result<Reply, Fault> {
        {
            let quit = if quit { "QUIT\r\n" } else { "" };
            let mut guard = lock(&self.guard);
            guard.begin_command(stage, timeout);
            for line in commands.lines() {
                guard.tell(&shown(line));
            }
            guard.tell(&Line::Note(format!("message, {} bytes", message.len())));
            for line in quit.split_terminator("\r\n") {
                guard.tell(&shown(line));
            }
            guard
                .push_message(&[commands.as_str().as_bytes(), message, quit.as_bytes()].concat())?;
        }
        // lettre has no part in the sending: a message need not be text, which its commands have to
        // be.
        let told = block(self.connection.read_response());
        self.outcome(told)
    }

    /// The replies to the message have all been read.
    pub(crate) fn end_of_message(&mut self) {
        lock(&self.guard).end_of_body();
    }

    /// The text of the last reply, untouched.
    pub(crate) fn challenge(&self) -> Vec<u8> {
        lock(&self.guard).text().to_vec()
    }

    /// What the connection is known by, where TLS is on (`tls-server-end-point`, RFC 5929 section
    /// 4).
    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        lock(&self.guard).end_point()
    }

    /// Returns whether the server said something unasked, or has closed.
    pub(crate) fn is_disturbed(&mut self) -> bool {
        lock(&self.guard).waiting()
    }

    /// Returns whether commands can still be sent.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.guard).is_open()
    }

    /// Sends a command, with its line end, without waiting for its reply.
    pub(crate) fn post(&mut self, line: &'static str) {
        let mut guard = lock(&self.guard);
        guard.tell(&shown(line.trim_end()));
        // Whether it arrives changes nothing any more.
        let _ = guard.push(line.as_bytes()).and_then(|()| guard.flush());
    }

    /// Closes the connection at once for a reason.
    pub(crate) fn cut(&mut self, stage: Stage, cause: Cause) -> Fault {
        let mut guard = lock(&self.guard);
        guard.begin_command(stage, Duration::ZERO);
        guard.fail(cause)
    }
}

/// The pieces of a message, which ends with CRLF, dot, CRLF: the last CRLF is held back.
struct Pieces<'a> {
    chunks: Chunks<'a>,
    held: Option<Vec<u8>>,
    guard: &'a Mutex<Guard>,
    over: bool,
    clear: Option<Clearance<'a>>,
}

impl Pieces<'_> {
    /// The dot comes next: it leaves only if nothing has failed and it is cleared.
    fn complete(&mut self) {
        let Some(clear) = self.clear.take() else {
            return;
        };
        if lock(self.guard).broken().is_some() {
            return;
        }
        match clear() {
            Ok(()) => lock(self.guard).complete_body(),
            Err(cause) => {
                lock(self.guard).fail(cause);
            }
        }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        while !self.over {
            match self.chunks.next() {
                // Nothing more is read for a connection that no longer takes anything.
                _ if lock(self.guard).broken().is_some() => self.over = true,
                // A line end may be cut in two; joining small pieces keeps it in the last one.
                Some(Ok(piece)) if piece.len() < 2 => {
                    self.held.get_or_insert_default().extend(piece);
                }
                Some(Ok(piece)) => {
                    if let Some(ready) = self.held.replace(piece) {
                        return Some(ready);
                    }
                }
                Some(Err(error)) => {
                    // Closes the connection: the dot that comes next goes nowhere.
                    lock(self.guard)
                        .fail(Cause::Content(crate::transport::peer_text::reason(&error)));
                    (self.over, self.held) = (true, None);
                }
                None => {
                    self.over = true;
                    let mut last = self.held.take().unwrap_or_default();
                    if last.ends_with(b"\r\n") {
                        last.truncate(last.len() - 2);
                    }
                    self.held = None;
                    return Some(last);
                }
            }
        }
        self.complete();
        None
    }
}

/// What lettre reads from and writes to.
struct Stream {
    guard: Arc<Mutex<Guard>>,
    heard: Arc<Mutex<Option<Reply>>>,
    /// Answers still to be given before lettre speaks to the server, the first one last.
    opening: Vec<Vec<u8>>,
    ready: Vec<u8>,
    at: usize,
}

impl Stream {
    fn fill(&mut self) -> Result<(), Fault> {
        self.at = 0;
        if let Some(answer) = self.opening.pop() {
            self.ready = answer;
            return Ok(());
        }
        let reply = lock(&self.guard).reply()?;
        self.ready = clean(&reply);
        *lock(&self.heard) = Some(reply);
        Ok(())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl AsyncTokioStream for Stream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at == self.ready.len()
            && let Err(fault) = self.fill()
        {
            return Poll::Ready(Err(ended(&fault)));
        }
        let count = out.remaining().min(self.ready.len() - self.at);
        out.put_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // lettre's own EHLO: the answer is ready already.
        if self.opening.is_empty()
            && let Err(fault) = lock(&self.guard).push(bytes)
        {
            return Poll::Ready(Err(ended(&fault)));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    /// Does nothing: what was written leaves together when lettre wants to read.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn ended(fault: &Fault) -> io::Error {
    io::Error::other(format!("the session ended during {}", fault.stage.word()))
}

/// A reply in the form lettre takes: ASCII, short lines, few of them.
fn clean(reply: &Reply) -> Vec<u8> {
    let code = reply.code;
    let word: String = reply
        .lines
        .first()
        .map_or("", String::as_str)
        .chars()
        .filter(char::is_ascii)
        .collect();
    format!("{code} {}\r\n", word.replace('\t', " ")).into_bytes()
}

/// Runs a future whose every step is ready.
fn block<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        // `Stream` never pends, so the first look finds the end; a loop rather than a claim.
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return output;
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
