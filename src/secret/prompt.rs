//! A person at the terminal: the last source of a secret, and the one who answers when smail is set
//! up.
//!
//! Promise: asks on the controlling terminal only (standard input is the mail), never from the
//! background, where it would be stopped for ever; whatever ends the question (Enter, Ctrl-C,
//! Ctrl-Z, a signal that is handled), the terminal's settings are what they were before. A signal
//! that nobody handles ends the program at once, and is not our affair: `main` handles SIGINT and
//! SIGTERM.
//!
//! rpassword reads and edits the line (Enter, Backspace, Ctrl-U, Ctrl-W, Ctrl-D, UTF-8) and wipes
//! what it held. It is given keys and not the terminal, because version 7.5.4 left alone with one
//! breaks the promise in three places: after Ctrl-C it raises SIGINT before it restores, so that a
//! process which does not handle the signal dies with the echo off; it takes ISIG away and knows no
//! Ctrl-Z, which becomes a character of the password; and its blocking read is begun again after a
//! signal whose handler has `SA_RESTART`, so that SIGTERM waits for the next key.
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rpassword::{ConfigBuilder, read_password_with_config};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};
use zeroize::Zeroizing;

use super::{Secret, SecretError, single_line};
use crate::text::{self, Policy, word};

/// What would have made the question unnecessary.
const INSTEAD: &str =
    "set auth-password-command, auth-password-file or SMAIL_AUTH_PASSWORD, or use netrc";

const CTRL_C: u8 = 0x03;
const CTRL_Z: u8 = 0x1a;

/// Asks for the password of `user` at `host`.
pub(super) fn ask(user: &str, host: &str) -> Result<Secret, SecretError> {
    ask_at("/dev/tty", user, host)
}

fn ask_at(path: &str, user: &str, host: &str) -> Result<Secret, SecretError> {
    let (user, host) = (word(user), word(host));
    let nobody = |why: &str| {
        SecretError::permanent(format!(
            "no password for {user} at {host}: {why}; {INSTEAD}"
        ))
    };
    let terminal = Terminal::open_at(path, None).map_err(nobody)?;
    let quiet = Quiet::begin(Arc::clone(&terminal.file))
        .map_err(|_| nobody("the terminal cannot hide the password"))?;
    let question = format!("Password for {user} at {host}: ");
    match terminal.unseen(quiet, &question) {
        Ok(text) => single_line(text.as_bytes(), "the terminal"),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(SecretError::permanent("no password was entered"))
        }
        Err(error) => Err(SecretError::temporary(format!(
            "the password prompt was interrupted: {error}"
        ))),
    }
}

/// The controlling terminal, while it is ours to ask on.
#[derive(Debug)]
pub(crate) struct Terminal {
    file: Arc<File>,
    /// The number of a signal that was handled, and ends every question; `None`: any that was
    /// handled does.
    interrupt: Option<Arc<AtomicUsize>>,
}

impl Terminal {
    /// Opens it. `interrupt` becomes the number of a signal that was handled; it is looked at four
    /// times a second.
    ///
    /// # Errors
    /// A lowercase fragment: there is none, or this program is in the background, where it would be
    /// stopped for ever.
    pub(crate) fn open(interrupt: Arc<AtomicUsize>) -> Result<Self, &'static str> {
        Terminal::open_at("/dev/tty", Some(interrupt))
    }

    fn open_at(path: &str, interrupt: Option<Arc<AtomicUsize>>) -> Result<Self, &'static str> {
        let flags = OFlags::NOCTTY.bits().cast_signed();
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path);
        let terminal = open.map_err(|_| "there is no terminal to prompt on")?;
        let ours = tcgetpgrp(&terminal).is_ok_and(|group| group == rustix::process::getpgrp());
        if ours {
            Ok(Terminal {
                file: Arc::new(terminal),
                interrupt,
            })
        } else {
            Err("the terminal belongs to another program")
        }
    }

    /// Writes a text, made safe: names of users and servers come from files and the network. A
    /// terminal that is gone shows at the next question.
    pub(crate) fn say(&self, text: &str) {
        let _ = (&*self.file).write_all(text::safe(text, Policy::Lines).as_bytes());
    }

    /// Asks for a line of at most 4096 bytes, shown as it is typed.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] after Ctrl-D or when the terminal is gone; any other kind
    /// when a signal was handled.
    pub(crate) fn ask(&self, question: &str) -> io::Result<String> {
        const LONGEST: usize = 4096;
        self.say(question);
        let mut line = Vec::new();
        while !line.ends_with(b"\n") && line.len() < LONGEST {
            wait(&self.file, self.interrupt.as_deref())?;
            let mut buffer = [0; LONGEST];
            let count = (&*self.file).read(&mut buffer).unwrap_or(0);
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            line.extend_from_slice(&buffer[..count]);
        }
        Ok(String::from_utf8_lossy(&line).trim().to_owned())
    }

    /// Asks for a secret, unseen; an empty one is no error here.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] after Ctrl-D; any other kind when a signal was handled, or
    /// nothing can be hidden.
    pub(crate) fn ask_secret(&self, question: &str) -> io::Result<Secret> {
        let quiet = Quiet::begin(Arc::clone(&self.file))?;
        self.unseen(quiet, question).map(Secret)
    }

    fn unseen(&self, quiet: Quiet, question: &str) -> io::Result<Zeroizing<String>> {
        self.say(question);
        let config = ConfigBuilder::new()
            .input_reader(Keys {
                quiet,
                interrupt: self.interrupt.clone(),
            })
            .output_discard()
            .build();
        let answer = read_password_with_config(config).map(Zeroizing::new);
        self.say("\n");
        answer
    }
}

/// The terminal without echo, for as long as this lives.
struct Quiet {
    terminal: Arc<File>,
    before: Termios,
}

impl Quiet {
    fn begin(terminal: Arc<File>) -> io::Result<Self> {
        let before = tcgetattr(&*terminal)?;
        let quiet = Quiet { terminal, before };
        quiet.silence()?;
        Ok(quiet)
    }

    /// Keys arrive one by one and unseen, and Ctrl-C is a key: so the settings can be restored
    /// before it acts.
    fn silence(&self) -> io::Result<()> {
        let mut modes = self.before.clone();
        modes.local_modes -=
            LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        Ok(tcsetattr(&*self.terminal, OptionalActions::Flush, &modes)?)
    }

    fn restore(&self) {
        // Fails only when the terminal is gone, and its settings with it.
        let _ = tcsetattr(&*self.terminal, OptionalActions::Now, &self.before);
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.restore();
    }
}

/// The keys as they are typed; ends when a signal was handled, for whoever handled it wants an end.
struct Keys {
    quiet: Quiet,
    interrupt: Option<Arc<AtomicUsize>>,
}

/// Waits for a key.
fn wait(terminal: &File, interrupt: Option<&AtomicUsize>) -> io::Result<()> {
    // A signal may have been handled just before poll began, which would then wait for ever.
    let look = Timespec {
        tv_sec: 0,
        tv_nsec: 250_000_000,
    };
    loop {
        if interrupt.is_some_and(|signal| signal.load(Ordering::SeqCst) != 0) {
            return Err(Keys::interrupted());
        }
        // poll, unlike read, is never restarted after a signal was handled.
        match poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&look)) {
            Ok(0) => {}
            Ok(_) => return Ok(()),
            // Also the end of Ctrl-Z, which only the number tells apart.
            Err(rustix::io::Errno::INTR) if interrupt.is_some() => {}
            Err(rustix::io::Errno::INTR) => return Err(Keys::interrupted()),
            Err(error) => return Err(error.into()),
        }
    }
}

impl Keys {
    fn interrupted() -> io::Error {
        // Not `ErrorKind::Interrupted`: readers would try again.
        io::Error::other("interrupted")
    }

    /// Does what the terminal would have done for these keys.
    fn signal(&self, key: u8) -> io::Result<()> {
        self.quiet.restore();
        if key == CTRL_C {
            signal_hook::low_level::raise(signal_hook::consts::SIGINT)?;
            return Err(Keys::interrupted());
        }
        signal_hook::low_level::raise(signal_hook::consts::SIGTSTP)?;
        self.quiet.silence()
    }
}

impl Read for Keys {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(one) = buffer.get_mut(..1) else {
            return Ok(0);
        };
        loop {
            wait(&self.quiet.terminal, self.interrupt.as_deref())?;
            let count = (&*self.quiet.terminal).read(one)?;
            match one[0] {
                key @ (CTRL_C | CTRL_Z) if count == 1 => self.signal(key)?,
                _ => return Ok(count),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::process::{Command, ExitStatus, Stdio};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// Set for the process that runs at the terminal of a test.
    const FAR_HALF: &str = "SMAIL_TEST_FAR_HALF";

    /// The far half of the tests below, in a process of its own; without a terminal of theirs it
    /// has nothing to do.
    #[test]
    fn far_half() {
        if std::env::var_os(FAR_HALF).is_none() {
            return;
        }
        match ask("u@x", "mail.x") {
            Ok(secret) => println!("<{}>", secret.reveal()),
            Err(error) => println!("<{error}>"),
        }
    }

    /// Types keys at the question and gives what the terminal showed after it and how the program
    /// ended; the terminal must then be as before.
    fn typed(keys: &[u8]) -> (String, ExitStatus) {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        let name = ptsname(&near, Vec::new()).unwrap().into_string().unwrap();
        let far = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(name)
            .unwrap();
        let before = tcgetattr(&far).unwrap().local_modes;
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(program)
            .args(["--exact", "secret::prompt::tests::far_half", "--nocapture"])
            .env(FAR_HALF, "1")
            .stdin(Stdio::from(OwnedFd::from(far.try_clone().unwrap())))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut near = File::from(near);
        let mut shown = Vec::new();
        while !shown.ends_with(b"mail.x: ") {
            let mut byte = [0];
            assert_eq!(near.read(&mut byte).unwrap(), 1);
            shown.extend(byte);
        }
        assert!(
            !tcgetattr(&far)
                .unwrap()
                .local_modes
                .contains(LocalModes::ECHO)
        );
        near.write_all(keys).unwrap();
        let mut output = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut output)
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!(tcgetattr(&far).unwrap().local_modes, before);
        let answer = output
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'))
            .map_or("", |(answer, _)| answer);
        (answer.to_owned(), status)
    }

    #[test]
    fn a_password_is_typed_unseen_and_can_be_corrected() {
        assert_eq!(typed(b"pa ss\n").0, "pa ss");
        assert_eq!(typed(b"pax\x7fss\xc3\xa4\r").0, "pass\u{e4}");
    }

    #[test]
    fn no_answer_is_an_error() {
        assert_eq!(typed(b"\n").0, "the terminal provided an empty password");
        assert_eq!(typed(b"\x04").0, "no password was entered");
    }

    #[test]
    fn ctrl_c_ends_the_program_and_brings_the_echo_back() {
        let (answer, status) = typed(b"ab\x03");
        assert_eq!((answer.as_str(), status.success()), ("", false));
    }

    #[test]
    fn without_a_terminal_the_error_names_the_other_sources() {
        let error = ask_at("/nonexistent/tty", "u@x", "mail.x").unwrap_err();
        let why = "no password for u@x at mail.x: there is no terminal to prompt on; set auth-password-command, auth-password-file or SMAIL_AUTH_PASSWORD, or use netrc";
        assert_eq!(error, SecretError::permanent(why));
    }

    #[test]
    fn what_is_no_terminal_is_not_asked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = ask_at(file.path().to_str().unwrap(), "u", "h").unwrap_err();
        assert!(
            error
                .why
                .contains("the terminal belongs to another program"),
            "{error}"
        );
        assert_eq!(std::fs::read(file.path()).unwrap(), b"");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let terminal = Terminal {
            file: Arc::new(file.reopen().unwrap()),
            interrupt: None,
        };
        terminal.say("a\x1b]0;x\x07b\u{202e}\n");
        assert_eq!(
            std::fs::read_to_string(file.path()).unwrap(),
            "a\\u{1b}]0;x\\u{7}b\\u{202e}\n"
        );
    }
}
