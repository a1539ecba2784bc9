//! What a program says on standard error while it is written to.
//!
//! Promise: it never waits for somebody to listen, and nobody waits for it; no thread is needed. What is kept is bounded.
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdin};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::socket::wait;

/// The most octets of the program's words that are kept.
const MOST_WORDS: usize = 64 * 1024;
/// How long the words of a program that has ended are waited for: a child of it may keep the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What the program says on standard error, read beside everything else, so that it never waits for somebody to listen.
pub struct Words {
    pipe: Option<ChildStderr>,
    kept: Vec<u8>,
}

impl Words {
    /// Takes the standard error of a program that was started.
    ///
    /// # Errors
    /// When the pipe cannot be read without waiting.
    pub fn of(child: &mut Child) -> io::Result<Self> {
        let pipe = child.stderr.take();
        if let Some(pipe) = &pipe {
            unblock(pipe)?;
        }
        Ok(Words { pipe, kept: Vec::new() })
    }

    /// Takes what is there, within bounds: one that never stops must not keep the clock from being looked at.
    fn take(&mut self) {
        let mut piece = [0; 4096];
        for _ in 0..32 {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.kept.extend_from_slice(&piece[..count.min(MOST_WORDS - self.kept.len())]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.pipe = None,
            }
        }
    }

    /// Waits for more of it, until `other` may be written to, or until the time is over.
    ///
    /// # Errors
    /// Those of waiting.
    pub fn wait(&mut self, other: Option<&ChildStdin>, time: Duration) -> io::Result<()> {
        let mut fds: Vec<_> = other.iter().map(|stdin| PollFd::new(*stdin, PollFlags::OUT)).collect();
        fds.extend(self.pipe.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        wait(&mut fds, time)?;
        drop(fds);
        self.take();
        Ok(())
    }

    /// What was said by a program that has ended.
    pub fn end(mut self) -> Vec<u8> {
        self.take();
        let end = Instant::now() + LAST_WORDS;
        while self.pipe.is_some() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.wait(None, left).is_err() {
                break;
            }
        }
        self.kept
    }
}

/// Lets nobody wait for a pipe.
///
/// # Errors
/// Those of the system.
pub fn unblock(pipe: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&pipe)?;
    Ok(fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?)
}
