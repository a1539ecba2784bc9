//! A pseudo-terminal with a program on it, and somebody who reads and types.
//!
//! Promise: what is typed waits until the question is there; the program ends within the time limit
//! or the test fails.
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

const LIMIT: Duration = Duration::from_secs(30);

/// A program at its terminal. Killed when dropped.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    far: File,
    before: LocalModes,
    screen: Receiver<Vec<u8>>,
    shown: String,
    /// Up to here the screen was read.
    read: usize,
}

impl Terminal {
    /// Starts a program that makes the terminal its own (`setsid --ctty`).
    pub(crate) fn start(mut command: Command) -> Self {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        let name = ptsname(&near, Vec::new()).unwrap().into_string().unwrap();
        let flags = OFlags::NOCTTY.bits().cast_signed();
        let far = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(name)
            .unwrap();
        let before = tcgetattr(&far).unwrap().local_modes;
        let end = || Stdio::from(OwnedFd::from(far.try_clone().unwrap()));
        let child = command
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let near = File::from(near);
        let mut output = near.try_clone().unwrap();
        let (send, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            child,
            keys: near,
            far,
            before,
            screen,
            shown: String::new(),
            read: 0,
        }
    }

    /// Waits until the screen shows a text, from where the last one ended.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.shown[self.read..].find(text) {
                self.read += at + text.len();
                return;
            }
            match self
                .screen
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(more) => self.shown.push_str(&String::from_utf8_lossy(&more)),
                Err(why) => panic!("`{text}` never comes ({why}):\n{}", self.shown),
            }
        }
    }

    /// Waits for a question and types keys.
    pub(crate) fn answer(&mut self, question: &str, keys: &str) {
        self.wait_for(question);
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .unwrap();
    }

    /// Waits for the end: the status and all that was shown. The terminal's settings must be as
    /// before.
    pub(crate) fn finish(mut self) -> (i32, String) {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end:\n{}",
                self.shown
            );
            // What it shows meanwhile must be taken, or it could not go on.
            if let Ok(more) = self.screen.recv_timeout(Duration::from_millis(5)) {
                self.shown.push_str(&String::from_utf8_lossy(&more));
            }
        };
        assert_eq!(
            tcgetattr(&self.far).unwrap().local_modes,
            self.before,
            "the terminal is not as it was"
        );
        // A mark behind everything that the program wrote.
        self.far.write_all(b"\x04end\x04").unwrap();
        self.wait_for("\x04end\x04");
        let shown = self.shown.replace("\x04end\x04", "").replace("\r\n", "\n");
        (status.code().unwrap_or(-1), shown)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
