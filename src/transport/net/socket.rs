//! A socket that never waits longer than it may: every read and write looks at a deadline and at
//! the user's signal.
//!
//! Promise: no wait is longer than a quarter of a second without a look at both, and no stream of
//! bytes, however fast it comes, keeps a reader from them. Knows nothing of SMTP.
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::delivery::Cause;
use crate::transport::peer_text::reason;

/// The longest wait without a look at deadline and signal.
const LOOK: Duration = Duration::from_millis(250);
/// How long a reply to the final dot is still awaited once a signal has come.
const GRACE: Duration = Duration::from_secs(10);
/// The most reads of one look at what has arrived: a peer that never stops sending must not keep
/// the reader there.
const MOST_AT_ONCE: u32 = 256;
/// How many of the first bytes received are kept, to tell what it was that answered.
const HEAD: usize = 256;

/// Why a wait ended without anything to read or write.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum Halt {
    /// The time that was allowed is over.
    #[error("nothing was received within {0:?}")]
    Deadline(Duration),
    /// The user asked for the end.
    #[error("signal {0}")]
    Signal(i32),
}

impl From<Halt> for io::Error {
    fn from(halt: Halt) -> Self {
        io::Error::other(halt)
    }
}

/// A deadline and the user's wish to end.
#[derive(Debug)]
pub(crate) struct Clock {
    end: Option<Instant>,
    allowed: Duration,
    interrupt: Arc<AtomicUsize>,
    grace: bool,
    asked: Option<Instant>,
}

impl Clock {
    /// Starts with `allowed` from now on.
    pub(crate) fn new(interrupt: Arc<AtomicUsize>, allowed: Duration) -> Self {
        Clock {
            end: Instant::now().checked_add(allowed),
            allowed,
            interrupt,
            grace: false,
            asked: None,
        }
    }

    /// Allows this much from now on.
    pub(crate) fn allow(&mut self, allowed: Duration) {
        self.end = Instant::now().checked_add(allowed);
        self.allowed = allowed;
    }

    /// While set, a signal ends the wait only ten seconds after it was seen: an answer that tells
    /// what becomes of the message is on its way.
    pub(crate) fn set_grace(&mut self, grace: bool) {
        self.grace = grace;
    }

    /// How long may be waited until the next look.
    ///
    /// # Errors
    /// [`Halt`] when the time is over or a signal came.
    pub(crate) fn look(&mut self) -> Result<Duration, Halt> {
        let signal = self.interrupt.load(Ordering::Relaxed);
        if signal != 0 {
            let since = *self.asked.get_or_insert_with(Instant::now);
            if !self.grace || since.elapsed() >= GRACE {
                return Err(Halt::Signal(i32::try_from(signal).unwrap_or(i32::MAX)));
            }
        }
        let Some(end) = self.end else { return Ok(LOOK) };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(Halt::Deadline(self.allowed))
        } else {
            Ok(left.min(LOOK))
        }
    }
}

/// Waits until one of the descriptors is ready, for at most `at_most`; `false` when none is.
///
/// # Errors
/// What `poll` says, but not that a signal came.
pub(crate) fn wait(fds: &mut [PollFd<'_>], at_most: Duration) -> io::Result<bool> {
    let time = Timespec {
        tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(at_most.subsec_nanos()),
    };
    match poll(fds, Some(&time)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A connected stream socket, TCP or unix, with its clock.
#[derive(Debug)]
pub(crate) struct Socket {
    io: socket2::Socket,
    /// Bounds every wait.
    pub clock: Clock,
    /// Reads that are left until one fails in place of waiting; `None`: reads wait.
    instant: Option<u32>,
    head: Vec<u8>,
    /// What is gathered, while it is.
    gathered: Option<Vec<u8>>,
}

impl Socket {
    /// Takes a connected socket, which becomes non-blocking.
    ///
    /// # Errors
    /// When that cannot be set.
    pub(crate) fn new(io: socket2::Socket, clock: Clock) -> io::Result<Self> {
        io.set_nonblocking(true)?;
        Ok(Socket {
            io,
            clock,
            instant: None,
            head: Vec::new(),
            gathered: None,
        })
    }

    /// While set, a read that would wait fails with [`io::ErrorKind::WouldBlock`] instead, and so
    /// does the one after 256 others.
    pub(crate) fn set_instant(&mut self, instant: bool) {
        self.instant = instant.then_some(MOST_AT_ONCE);
    }

    /// From now on what is written waits for [`Socket::release`].
    pub(crate) fn gather(&mut self) {
        self.gathered.get_or_insert_default();
    }

    /// Writes what was gathered.
    ///
    /// # Errors
    /// Those of writing; then it is lost, and the connection with it.
    pub(crate) fn release(&mut self) -> io::Result<()> {
        let gathered = self.gathered.take().unwrap_or_default();
        self.write_all(&gathered)
    }

    /// The first bytes that were received, at most 256.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Begins anew with the first bytes: another protocol follows.
    pub(crate) fn forget_head(&mut self) {
        self.head.clear();
    }

    /// The local address, if it has one.
    pub(crate) fn local(&self) -> Option<std::net::SocketAddr> {
        self.io.local_addr().ok()?.as_socket()
    }

    fn wait(&mut self, wanted: PollFlags) -> io::Result<()> {
        loop {
            let time = self.clock.look()?;
            if wait(&mut [PollFd::new(&self.io, wanted)], time)? {
                return Ok(());
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.instant {
            Some(0) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(left) => *left -= 1,
            // Also when bytes are there at once: records of TLS may hold nothing for the reader
            // above, without end.
            None => drop(self.clock.look()?),
        }
        loop {
            match self.io.read(buffer) {
                Ok(count) => {
                    let room = HEAD.saturating_sub(self.head.len()).min(count);
                    self.head.extend_from_slice(&buffer[..room]);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock && self.instant.is_none() =>
                {
                    self.wait(PollFlags::IN)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Also when the socket takes everything at once: a long message must stop when asked to.
        self.clock.look()?;
        if let Some(gathered) = &mut self.gathered {
            gathered.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        loop {
            match self.io.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::OUT)?;
                }
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What an input or output error means for a delivery.
pub(crate) fn cause(error: &io::Error) -> Cause {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Halt>())
    {
        Some(Halt::Deadline(allowed)) => return Cause::Silent(*allowed),
        Some(Halt::Signal(signal)) => return Cause::Interrupted(*signal),
        None => {}
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Cause::Lost("the server closed the connection".into()),
        io::ErrorKind::ConnectionReset => Cause::Lost("the server reset the connection".into()),
        io::ErrorKind::BrokenPipe => {
            Cause::Lost("the server closed the connection during a write".into())
        }
        _ => Cause::Lost(reason(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;

    /// A socket whose peer sends without end, until this end is dropped.
    fn flooded(allowed: Duration) -> (Socket, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut peer = listener.accept().unwrap().0;
        thread::spawn(move || while peer.write_all(&[0; 4096]).is_ok() {});
        let interrupt = Arc::new(AtomicUsize::new(0));
        let socket = Socket::new(stream.into(), Clock::new(interrupt.clone(), allowed)).unwrap();
        (socket, interrupt)
    }

    /// Reads as TLS does where no record holds anything: until an error; the most is far more than
    /// a second of reading.
    fn end_of(socket: &mut Socket) -> Option<Cause> {
        let timeout = Instant::now() + Duration::from_secs(20);
        while Instant::now() < timeout {
            if let Err(error) = socket.read(&mut [0; 5]) {
                return Some(cause(&error));
            }
        }
        None
    }

    #[test]
    fn a_flood_outlives_neither_the_deadline_nor_a_signal() {
        let allowed = Duration::from_millis(100);
        let (mut socket, interrupt) = flooded(allowed);
        assert_eq!(end_of(&mut socket), Some(Cause::Silent(allowed)));
        socket.clock.allow(Duration::from_mins(10));
        interrupt.store(15, Ordering::Relaxed);
        assert_eq!(end_of(&mut socket), Some(Cause::Interrupted(15)));
    }

    #[test]
    fn a_look_at_what_has_arrived_ends_under_a_flood() {
        let (mut socket, _) = flooded(Duration::from_mins(10));
        socket.set_instant(true);
        let reads = (0..100_000)
            .take_while(|_| !matches!(socket.read(&mut [0; 5]), Err(e) if e.kind() == io::ErrorKind::WouldBlock));
        assert!(reads.count() <= MOST_AT_ONCE as usize);
        socket.set_instant(false);
        assert_eq!(socket.read(&mut [0; 5]).unwrap(), 5);
    }
}
