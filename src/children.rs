//! The programs that smail starts: the only place that starts one.
//!
//! Promise: no shell; no variable that may hold a secret of ours reaches a program; none is waited
//! for longer than it was given; one that is given up ends together with what it has started, and
//! so it does on a signal to smail; it never waits for a reader, and a bounded part of what it
//! prints is kept. Refuses nothing: its callers decide how a program ended.
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(crate) use std::process::ExitStatus;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use zeroize::Zeroizing;

use crate::environment::{self, STARTED_BY_SMAIL, certificates};
use crate::text::short;

mod kept;
mod reach;
mod signals;

#[cfg(test)]
mod tests;

use kept::{Kept, Part};
use reach::Reach;
pub(crate) use signals::{asked, watched};

/// How the names begin of the variables that no program gets: our settings, and those of mail.rc
/// that Heirloom mailx takes from the environment. Which of them holds a secret is not asked: URLs
/// do too.
const WITHHELD: [&[u8]; 2] = [b"SMAIL_", b"smtp-auth"];
/// How long a program that is asked to end may take for it.
const GRACE: Duration = Duration::from_secs(2);
/// The longest wait without a look at deadline, signal and end.
const LOOK: Duration = Duration::from_millis(50);
/// The first wait, doubled up to [`LOOK`]: most programs have ended by then.
const FIRST_LOOK: Duration = Duration::from_micros(200);
/// How long the words of a program that has ended are waited for: a child of it may keep the pipe
/// open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// The most bytes of standard error that are kept: the last ones.
const MOST_WORDS: usize = 64 << 10;
/// The most lines of standard error that are told.
const MOST_LINES: usize = 10;

/// Why a program is not waited for any longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The time that it was given is over.
    #[error("it took longer than {} s and was killed", .0.as_secs_f64())]
    Deadline(Duration),
    /// This signal asks smail to end.
    #[error("it was killed by signal {0}")]
    Signal(i32),
    /// It printed more than it may.
    #[error("it printed too much")]
    Flood,
    /// It could not be written to or waited for.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A program and how it is started: without standard input and output, its standard error kept.
pub(crate) struct Order {
    command: Command,
    printed: usize,
}

impl Order {
    /// Names the program. Its environment is ours without [our settings](WITHHELD).
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        let ours = environment::variables().map(|(name, _)| name);
        for name in ours.filter(is_withheld) {
            command.env_remove(name);
        }
        // What the library is told of roots is not for others: some of them would trust nothing
        // then.
        match certificates::before() {
            Some(Some(before)) => drop(command.env(certificates::BUNDLE, before)),
            Some(None) => drop(command.env_remove(certificates::BUNDLE)),
            None => {}
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Order {
            command,
            printed: 0,
        }
    }

    /// The name it is called by.
    #[must_use]
    pub(crate) fn called(mut self, name: &str) -> Self {
        self.command.arg0(name);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub(crate) fn args(mut self, arguments: &[String]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Its standard input is written by [`Running::feed`].
    #[must_use]
    pub(crate) fn reads(mut self) -> Self {
        self.command.stdin(Stdio::piped());
        self
    }

    /// Keeps what it prints on standard output, and gives it up when that is more than so many
    /// bytes.
    #[must_use]
    pub(crate) fn prints(mut self, most: usize) -> Self {
        self.command.stdout(Stdio::piped());
        self.printed = most;
        self
    }

    /// Shows what it prints on our standard error.
    ///
    /// # Errors
    /// When that cannot be handed on.
    pub(crate) fn shown(mut self) -> io::Result<Self> {
        self.command
            .stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?));
        Ok(self)
    }

    /// Lets it speak with the person at the terminal, where there is one, on standard error too.
    #[must_use]
    pub(crate) fn talks(mut self) -> Self {
        if environment::stderr_is_terminal() && Reach::here() == Reach::Tree {
            self.command.stderr(Stdio::inherit());
        }
        self
    }

    /// Starts it. A signal that sets `interrupt`, or that nobody else handles, ends it.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(self, interrupt: &Arc<AtomicUsize>) -> io::Result<Running> {
        self.start_within(interrupt, Reach::here())
    }

    fn start_within(mut self, interrupt: &Arc<AtomicUsize>, reach: Reach) -> io::Result<Running> {
        if reach == Reach::Group {
            self.command.process_group(0);
        }
        let signals = signals::Held::new();
        let mut child = self.command.spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let pid = Pid::from_child(&child);
        let running = Running {
            stdout: Kept::new(stdout, Part::First, self.printed),
            stderr: Kept::new(stderr, Part::Last, MOST_WORDS),
            child,
            pid,
            stdin,
            reach,
            interrupt: Arc::clone(interrupt),
            asked: None,
            ended: false,
            _signals: signals,
        };
        let fds = [
            running.stdin.as_ref().map(AsFd::as_fd),
            running.stdout.fd(),
            running.stderr.fd(),
        ];
        for fd in fds.into_iter().flatten() {
            fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
        }
        Ok(running)
    }
}

fn is_withheld(name: &OsString) -> bool {
    name != STARTED_BY_SMAIL
        && WITHHELD
            .iter()
            .any(|start| name.as_bytes().starts_with(start))
}

/// A program under way. One that has not ended when this is dropped is ended, with what it has
/// started.
pub(crate) struct Running {
    child: Child,
    pid: Pid,
    stdin: Option<ChildStdin>,
    stdout: Kept,
    stderr: Kept,
    reach: Reach,
    interrupt: Arc<AtomicUsize>,
    /// When the signal was first seen.
    asked: Option<Instant>,
    /// It has ended and was waited for.
    ended: bool,
    _signals: signals::Held,
}

impl Running {
    /// Writes to its standard input; `false` when it does not listen any more.
    ///
    /// # Errors
    /// [`Stop`]: it takes longer than `at_most` for these bytes, or a signal came. The input stays
    /// open.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], at_most: Duration) -> Result<bool, Stop> {
        let end = Instant::now().checked_add(at_most);
        while !bytes.is_empty() {
            self.look(end, at_most, Duration::ZERO)?;
            let Some(stdin) = &mut self.stdin else {
                return Ok(false);
            };
            match stdin.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.exchange(true, LOOK)?;
                }
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.stdin = None,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.stdin.is_some())
    }

    /// Closes its standard input and waits for its end and, where it is kept, for the end of its
    /// standard output. After a signal it may go on for `grace`.
    ///
    /// # Errors
    /// [`Stop`]; it still runs then.
    pub(crate) fn wait(&mut self, at_most: Duration, grace: Duration) -> Result<ExitStatus, Stop> {
        self.stdin = None;
        let end = Instant::now().checked_add(at_most);
        let mut pause = FIRST_LOOK;
        while self.stdout.is_open() || !self.has_ended()? {
            if self.stdout.is_over() {
                return Err(Stop::Flood);
            }
            self.look(end, at_most, grace)?;
            self.exchange(false, pause)?;
            pause = (pause * 2).min(LOOK);
        }
        if self.stdout.is_over() {
            return Err(Stop::Flood);
        }
        self.hear(LAST_WORDS)?;
        let status = self.child.wait()?;
        self.ended = true;
        Ok(status)
    }

    /// What it printed.
    pub(crate) fn output(&mut self) -> Zeroizing<Vec<u8>> {
        self.stdout.take()
    }

    /// The lines of what is kept of its standard error, as it wrote them.
    pub(crate) fn said(&self) -> Vec<&[u8]> {
        self.stderr.bytes().split(|&byte| byte == b'\n').collect()
    }

    /// The last lines of what it said on standard error, cut and safe to print.
    pub(crate) fn words(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(self.stderr.bytes());
        let lines = text
            .lines()
            .map(|line| short(line.trim_end()))
            .filter(|line| !line.is_empty());
        let mut lines: Vec<String> = lines.collect();
        lines.drain(..lines.len().saturating_sub(MOST_LINES));
        lines
    }

    /// Lets it go on after this process: a browser that a person looks at.
    pub(crate) fn leave(mut self) {
        self.ended = true;
    }

    /// Ends it at once and without a warning: one that cleans up could take half of its input for
    /// all of it.
    pub(crate) fn kill(&mut self) {
        if !self.ended {
            self.reach
                .signal(self.pid, &self.reach.members(self.pid), Signal::KILL);
            let _ = self.child.kill();
            self.ended = self.child.wait().is_ok();
        }
    }

    /// Asks it to end, and ends it when it does not.
    fn stop(&mut self) {
        let asked = self
            .signal()
            .and_then(Signal::from_named_raw)
            .unwrap_or(Signal::TERM);
        let members = self.reach.members(self.pid);
        self.reach.signal(self.pid, &members, asked);
        // One that was stopped could not hear it.
        self.reach.signal(self.pid, &members, Signal::CONT);
        let end = Instant::now() + GRACE;
        while Instant::now() < end && !(self.has_ended().unwrap_or(true) && self.is_silent()) {
            if self.exchange(false, LOOK).is_err() {
                break;
            }
        }
        self.reach.signal(self.pid, &members, Signal::KILL);
        self.kill();
    }

    /// Returns whether nobody holds its output any more, or nobody could tell.
    fn is_silent(&self) -> bool {
        !self.stdout.is_open() && !self.stderr.is_open()
    }

    /// Returns whether it has ended; it is not waited for, so that its number stays its own.
    fn has_ended(&self) -> io::Result<bool> {
        let looked = waitid(
            WaitId::Pid(self.pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
        );
        match looked {
            Ok(status) => Ok(status.is_some()),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn signal(&self) -> Option<i32> {
        let own = i32::try_from(self.interrupt.load(Ordering::Relaxed)).ok();
        own.filter(|signal| *signal != 0).or_else(asked)
    }

    fn look(
        &mut self,
        end: Option<Instant>,
        allowed: Duration,
        grace: Duration,
    ) -> Result<(), Stop> {
        if let Some(signal) = self.signal()
            && self.asked.get_or_insert_with(Instant::now).elapsed() >= grace
        {
            return Err(Stop::Signal(signal));
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            Err(Stop::Deadline(allowed))
        } else {
            Ok(())
        }
    }

    /// Hears what it says until it has said all, for so long at most.
    fn hear(&mut self, at_most: Duration) -> io::Result<()> {
        let end = Instant::now() + at_most;
        while self.stderr.is_open() && Instant::now() < end {
            self.exchange(false, LOOK)?;
        }
        Ok(())
    }

    /// Waits until it says something, or takes something, for `pause` at most, and keeps what it
    /// said.
    fn exchange(&mut self, writes: bool, pause: Duration) -> io::Result<()> {
        let stdin = self
            .stdin
            .as_ref()
            .filter(|_| writes)
            .map(|stdin| (stdin.as_fd(), PollFlags::OUT));
        let out = [self.stdout.fd(), self.stderr.fd()]
            .into_iter()
            .flatten()
            .map(|fd| (fd, PollFlags::IN));
        let fds: Vec<(BorrowedFd<'_>, PollFlags)> = out.chain(stdin).collect();
        let mut fds: Vec<PollFd<'_>> = fds
            .iter()
            .map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        let time = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(pause.min(LOOK).subsec_nanos()),
        };
        match poll(&mut fds, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        drop(fds);
        self.stdout.fill()?;
        self.stderr.fill()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.stop();
        }
    }
}

/// How a program ended that did not end well; `None`: with status 0.
pub(crate) fn failed(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("failed with status {code}")),
        (None, signal) => Some(format!("was killed by signal {}", signal.unwrap_or(0))),
    }
}
