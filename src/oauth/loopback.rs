//! The end of a sign-in on this host: one small web server for one redirect (RFC 8252 section 7.3).
//!
//! Promise: listens on the loopback addresses alone; every request is bounded in size and time; what
//! does not belong to the sign-in is answered and forgotten.
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The longest request, in bytes: a code of Microsoft has two thousand.
const LONGEST: usize = 16 << 10;
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(5);
/// How often signals are looked at.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};

/// Waits for the browser.
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    /// The port of this host.
    pub port: u16,
}

impl Listener {
    /// Listens on a free port; on both loopback addresses where there are two, as `localhost` may be
    /// either.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn open() -> io::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = first.local_addr()?.port();
        let mut sockets = vec![first];
        sockets.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, port)));
        for socket in &sockets {
            socket.set_nonblocking(true)?;
        }
        Ok(Listener { sockets, port })
    }

    /// Gives the target of each request to `take` until that says that it was the one.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] at the end of the time, [`io::ErrorKind::Interrupted`] after a
    /// signal, and those of the system.
    pub(crate) fn wait(
        &self,
        at_most: Duration,
        interrupt: &AtomicUsize,
        mut take: impl FnMut(&str) -> bool,
    ) -> io::Result<()> {
        let end = Instant::now() + at_most;
        while Instant::now() < end {
            if interrupt.load(Ordering::Relaxed) != 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let mut waiting: Vec<_> = self
                .sockets
                .iter()
                .map(|socket| PollFd::new(socket, PollFlags::IN))
                .collect();
            match poll(&mut waiting, Some(&LOOK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for socket in &self.sockets {
                // Whoever has gone again is not the browser.
                if let Ok((stream, _)) = socket.accept()
                    && serve(stream, &mut take).unwrap_or(false)
                {
                    return Ok(());
                }
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// Reads a request and answers it; returns whether it was the one.
fn serve(mut stream: TcpStream, take: &mut impl FnMut(&str) -> bool) -> io::Result<bool> {
    stream.set_nonblocking(false)?;
    let end = Instant::now() + REQUEST;
    let mut request = zeroize::Zeroizing::new(Vec::with_capacity(LONGEST));
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || request.len() == LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.set_read_timeout(Some(left))?;
        let mut buffer = [0; 1024];
        let most = buffer.len().min(LONGEST - request.len());
        match stream.read(&mut buffer[..most])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    let line = request
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    let target = std::str::from_utf8(line).ok().and_then(|line| {
        let target = line.strip_prefix("GET ")?.split(' ').next()?;
        target.starts_with('/').then_some(target)
    });
    let done = target.is_some_and(take);
    let (status, text) = if done {
        ("200 OK", "You are signed in. You can close this page.")
    } else {
        ("404 Not Found", "This page is not part of the sign-in.")
    };
    stream.set_write_timeout(Some(REQUEST))?;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{text}\n",
        text.len() + 1
    )?;
    Ok(done)
}
