//! One connection as a server sees it: clear or TLS, read line by line, so that pipelined commands
//! are no special case.
//!
//! Promise: no read waits longer than [`PATIENCE`]; a connection that the client resets counts as
//! closed.
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openssl::ssl::{SslAcceptor, SslStream};

/// How long a server waits for its client before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The longest line a client may send before the test fails (a message line may be 998 bytes, an
/// AUTH line 12288).
const LONGEST_LINE: usize = 1 << 20;
/// Stands at the end of a line that the client ended with LF alone.
const BARE_LF: &[u8] = b"<LF>";

/// The socket beneath.
#[derive(Debug)]
pub(crate) enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket, for LMTP.
    Unix(UnixStream),
}

/// A socket that counts how often bytes came from the client after something had been sent to it:
/// the round trips, those of a TLS handshake among them.
#[derive(Debug)]
struct Counting {
    socket: Socket,
    wrote: bool,
    round_trips: Arc<AtomicUsize>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.socket {
            Socket::Tcp(socket) => socket.read(buffer),
            Socket::Unix(socket) => socket.read(buffer),
        }?;
        if count > 0 && std::mem::take(&mut self.wrote) {
            self.round_trips.fetch_add(1, Ordering::SeqCst);
        }
        Ok(count)
    }
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wrote = true;
        match &mut self.socket {
            Socket::Tcp(socket) => socket.write(bytes),
            Socket::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Layer {
    Clear(Counting),
    Tls(Box<SslStream<Counting>>),
    /// Between the two, and after the end.
    Gone,
}

/// One connection.
pub(crate) struct Wire {
    layer: Layer,
    unread: Vec<u8>,
    /// Where `unread` starts being unread.
    start: usize,
    round_trips: Arc<AtomicUsize>,
}

impl Wire {
    /// Takes a TCP connection.
    pub(crate) fn tcp(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Wire::over(Socket::Tcp(socket))
    }

    /// Takes a connection on a unix socket.
    pub(crate) fn unix(socket: UnixStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Wire::over(Socket::Unix(socket))
    }

    fn over(socket: Socket) -> Self {
        let round_trips = Arc::default();
        // The first bytes are a group, whoever speaks first.
        let socket = Counting {
            socket,
            wrote: true,
            round_trips: Arc::clone(&round_trips),
        };
        Wire {
            layer: Layer::Clear(socket),
            unread: Vec::new(),
            start: 0,
            round_trips,
        }
    }

    /// How many times bytes came from the client after something had been sent to it.
    pub(crate) fn round_trips(&self) -> usize {
        self.round_trips.load(Ordering::SeqCst)
    }

    /// Returns whether TLS is up.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.layer, Layer::Tls(_))
    }

    /// The common name of the certificate the client showed.
    pub(crate) fn client_name(&self) -> Option<String> {
        let Layer::Tls(stream) = &self.layer else {
            return None;
        };
        let cert = stream.ssl().peer_certificate()?;
        let entry = cert.subject_name().entries().next()?;
        String::from_utf8(entry.data().as_slice().to_vec()).ok()
    }

    /// Bytes that have arrived and were not asked for yet.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.unread[self.start..]
    }

    /// Does the server's half of a handshake.
    ///
    /// # Errors
    /// What went wrong; also when the client sent clear bytes after STARTTLS, which it must not.
    pub(crate) fn start_tls(&mut self, acceptor: &SslAcceptor) -> Result<(), String> {
        if !self.pending().is_empty() {
            return Err(format!(
                "the client sent {:?} in clear before the handshake",
                show(self.pending())
            ));
        }
        match std::mem::replace(&mut self.layer, Layer::Gone) {
            Layer::Clear(socket) => match acceptor.accept(socket) {
                Ok(stream) => {
                    self.layer = Layer::Tls(Box::new(stream));
                    Ok(())
                }
                Err(error) => Err(format!("TLS handshake: {error}")),
            },
            _ => Err("TLS is up already".into()),
        }
    }

    /// Sends bytes at once.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.layer {
            Layer::Clear(socket) => socket.write_all(bytes),
            Layer::Tls(stream) => stream.write_all(bytes),
            Layer::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Reads a line without its line end; `None` when the client has closed. A last line without an
    /// end counts as one.
    ///
    /// # Errors
    /// Silence longer than [`PATIENCE`], or a line without end.
    pub(crate) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = self.start;
        loop {
            if let Some(at) = self.unread[searched..]
                .iter()
                .position(|&byte| byte == b'\n')
            {
                let end = searched + at;
                let mut line = self.unread[self.start..end].to_vec();
                if line.last() == Some(&b'\r') {
                    line.pop();
                } else {
                    // A client that ends lines with LF alone must not pass for a good one.
                    line.extend_from_slice(BARE_LF);
                }
                self.start = end + 1;
                return Ok(Some(line));
            }
            searched = self.unread.len();
            if searched - self.start > LONGEST_LINE {
                return Err(io::Error::other("a line without end"));
            }
            if !self.fill()? {
                let rest = self.unread.split_off(self.start);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            if self.start == 0 {
                continue;
            }
            self.unread.drain(..self.start);
            searched -= self.start;
            self.start = 0;
        }
    }

    /// Takes up to `most` bytes as they come; empty when the client has closed.
    pub(crate) fn some(&mut self, most: usize) -> io::Result<Vec<u8>> {
        if self.pending().is_empty() && !self.fill()? {
            return Ok(Vec::new());
        }
        let end = self.unread.len().min(self.start + most);
        let taken = self.unread[self.start..end].to_vec();
        self.start = end;
        Ok(taken)
    }

    /// Reads that many bytes; `None` when the client closed before.
    ///
    /// # Errors
    /// Silence longer than [`PATIENCE`].
    pub(crate) fn exactly(&mut self, bytes: usize) -> io::Result<Option<Vec<u8>>> {
        let mut taken = Vec::new();
        while taken.len() < bytes {
            let some = self.some(bytes - taken.len())?;
            if some.is_empty() {
                return Ok(None);
            }
            taken.extend(some);
        }
        Ok(Some(taken))
    }

    /// Reads a message up to the lone dot and takes the dot-stuffing away (RFC 5321 section 4.5.2);
    /// `None` when the client closed before the dot.
    ///
    /// # Errors
    /// What strict servers refuse, at the first such line: LF or CR alone, more than 998 bytes.
    pub(crate) fn message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut message = Vec::new();
        loop {
            let Some(line) = self.line()? else {
                return Ok(None);
            };
            if line == b"." {
                return Ok(Some(message));
            }
            if line.ends_with(BARE_LF) || line.contains(&b'\r') {
                return Err(io::Error::other(format!(
                    "a bare CR or LF in the message: {}",
                    show(&line)
                )));
            }
            if line.strip_prefix(b".").unwrap_or(&line).len() > 998 {
                return Err(io::Error::other(format!(
                    "a line of {} bytes in the message",
                    line.len()
                )));
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            message.extend_from_slice(b"\r\n");
        }
    }

    /// Waits, and tells whether the client kept silent meanwhile. What it said stays unread.
    pub(crate) fn is_quiet_for(&mut self, time: Duration) -> bool {
        if !self.pending().is_empty() {
            return false;
        }
        self.set_patience(time);
        let came = self.fill();
        self.set_patience(PATIENCE);
        came.is_err()
    }

    fn set_patience(&self, time: Duration) {
        let socket = match &self.layer {
            Layer::Clear(counting) => &counting.socket,
            Layer::Tls(stream) => &stream.get_ref().socket,
            Layer::Gone => return,
        };
        match socket {
            Socket::Tcp(socket) => socket.set_read_timeout(Some(time)).unwrap(),
            Socket::Unix(socket) => socket.set_read_timeout(Some(time)).unwrap(),
        }
    }

    /// Reads whatever still comes, until the client closes; gives it back.
    pub(crate) fn drain(&mut self) -> Vec<u8> {
        let mut rest = self.unread.split_off(self.start.min(self.unread.len()));
        self.unread.clear();
        self.start = 0;
        while let Ok(true) = self.fill() {
            rest.append(&mut self.unread);
        }
        rest
    }

    /// Tells the client that nothing more will come, and leaves its half open.
    pub(crate) fn shut(&mut self) {
        let socket = match &self.layer {
            Layer::Clear(counting) => &counting.socket,
            Layer::Tls(stream) => &stream.get_ref().socket,
            Layer::Gone => return,
        };
        // The client may be gone already, which is as good.
        let _ = match socket {
            Socket::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Socket::Unix(socket) => socket.shutdown(Shutdown::Write),
        };
    }

    /// Ends a TLS connection in good manners (`close_notify`).
    pub(crate) fn close_notify(&mut self) {
        if let Layer::Tls(stream) = &mut self.layer {
            let _ = stream.shutdown();
        }
    }

    /// Breaks the connection with a reset.
    pub(crate) fn reset(&mut self) {
        let socket = match &self.layer {
            Layer::Clear(counting) => &counting.socket,
            Layer::Tls(stream) => &stream.get_ref().socket,
            Layer::Gone => return,
        };
        if let Socket::Tcp(socket) = socket {
            socket2::SockRef::from(socket)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
        self.layer = Layer::Gone;
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let got = match &mut self.layer {
            Layer::Clear(socket) => socket.read(&mut chunk),
            Layer::Tls(stream) => stream.read(&mut chunk),
            Layer::Gone => Ok(0),
        };
        match got {
            Ok(count) => {
                self.unread.extend_from_slice(&chunk[..count]);
                Ok(count > 0)
            }
            Err(error) if is_silence(&error) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client is silent",
            )),
            // Reads with a time limit are not begun again by the kernel.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.fill(),
            Err(_) => Ok(false),
        }
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes for a message to a human: UTF-8 as it is, the rest escaped.
pub(crate) fn show(bytes: &[u8]) -> String {
    bytes
        .escape_ascii()
        .to_string()
        .replace("\\\"", "\"")
        .replace("\\'", "'")
        .replace("\\\\", "\\")
}
