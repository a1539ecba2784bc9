//! Standard input of a dialogue whose client is another process at a socket: it is not waited for
//! without end.
//!
//! Promise: a line, or 512 bytes of one, comes within the time that is allowed; what this side does
//! meanwhile does not count.
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// So many bytes count as a line does.
const STEP: usize = 512;

/// A reader that gives up with [`ErrorKind::TimedOut`].
pub(crate) struct Patient<R> {
    from: R,
    allowed: Duration,
    waited: Duration,
    since: usize,
}

impl<R: Read + AsFd> Patient<R> {
    /// Allows each line as much time.
    pub(crate) fn new(from: R, allowed: Duration) -> Self {
        Patient {
            from,
            allowed,
            waited: Duration::ZERO,
            since: 0,
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        loop {
            let left = self.allowed.saturating_sub(self.waited);
            if left.is_zero() {
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    "timed out waiting for the client",
                ));
            }
            let time = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let start = Instant::now();
            let ready = poll(&mut [PollFd::new(&self.from, PollFlags::IN)], Some(&time));
            self.waited += start.elapsed();
            match ready {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<R: Read + AsFd> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        let count = self.from.read(buffer)?;
        self.since += count;
        if self.since >= STEP || buffer[..count].contains(&b'\n') {
            (self.waited, self.since) = (Duration::ZERO, 0);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    fn pair(allowed: u64) -> (Patient<UnixStream>, UnixStream) {
        let (one, other) = UnixStream::pair().unwrap();
        (Patient::new(one, Duration::from_millis(allowed)), other)
    }

    #[test]
    fn a_client_that_says_nothing_is_given_up_and_one_that_has_gone_is_not() {
        let (mut from, client) = pair(50);
        assert_eq!(
            from.read(&mut [0; 9]).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        assert_eq!(
            from.read(&mut [0; 9]).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        let (mut gone, other) = pair(5000);
        drop((other, client));
        assert_eq!(gone.read(&mut [0; 9]).unwrap(), 0);
    }

    #[test]
    fn a_line_counts_and_pieces_of_one_do_not() {
        let (mut from, mut client) = pair(300);
        let writer = thread::spawn(move || {
            // Each well within the time, all of them not.
            for _ in 0..100 {
                thread::sleep(Duration::from_millis(20));
                if client.write_all(b"x").is_err() {
                    return;
                }
            }
        });
        let mut count = 0;
        let error = loop {
            match from.read(&mut [0; 9]) {
                Ok(bytes) => count += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(count > 0);
        drop(from);
        writer.join().unwrap();
        for step in [&b"a\n"[..], &[b'x'; STEP]] {
            let (mut from, mut client) = pair(2000);
            from.waited = Duration::from_millis(1900);
            client.write_all(step).unwrap();
            assert_eq!(from.read(&mut [0; STEP]).unwrap(), step.len());
            assert_eq!((from.waited, from.since), (Duration::ZERO, 0));
        }
    }
}
