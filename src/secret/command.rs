//! Programs that print a secret.
//!
//! Promise: no shell, no standard input, no more than 64 KiB and 30 s; the program is gone when this returns. It keeps the
//! terminal (a PIN entry may need it) and standard error (its words are the best explanation).
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{Secret, SecretError, single_line};

/// The most a program may print, in octets.
const MAX_OUTPUT: usize = 64 << 10;
/// What is read of it at once.
const CHUNK: usize = 4096;
/// How long a program may take in all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Variables that may hold a secret of ours, which the program has no need to see.
const WITHHELD: &[&str] = &["SMAIL_AUTH_PASSWORD", "smtp-auth-password"];

/// What became of standard output.
type Output = io::Result<Zeroizing<Vec<u8>>>;

/// Runs a program and takes the line it prints.
pub(super) fn output(words: &[String]) -> Result<Secret, SecretError> {
    line(words, PATIENCE)
}

/// Runs a program and takes all it prints, of at most 64 KiB.
pub(super) fn text(words: &[String]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    within(words, PATIENCE)
}

/// Hands a text, as a keyring program wants it, to the standard input of a program; what it prints is dropped.
///
/// # Errors
/// [`SecretError`]: it cannot be run, failed, or took longer than two minutes (somebody may have to unlock a keyring first).
pub fn store(words: &[String], text: &Zeroizing<String>) -> Result<(), SecretError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(SecretError::permanent("no program is named"));
    };
    let whose = format!("`{program}`");
    let deadline = Instant::now() + PATIENCE * 4;
    let mut command = prepared(program, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let child = command.spawn().map_err(|error| SecretError::permanent(format!("{whose} cannot be run: {error}")))?;
    let mut running = Running(child);
    if let Some(mut stdin) = running.0.stdin.take() {
        // At most a few KiB, which a pipe holds; a program that does not read says so by its status.
        let _ = stdin.write_all(text.as_bytes());
    }
    let late =
        || SecretError::temporary(format!("{whose} took longer than {} s and was ended", PATIENCE.as_secs() * 4));
    succeeded(running.end(deadline).ok_or_else(late)?, &whose)
}

fn line(words: &[String], patience: Duration) -> Result<Secret, SecretError> {
    let bytes = within(words, patience)?;
    let whose = name(words);
    if bytes.strip_suffix(b"\n").unwrap_or(&bytes).contains(&b'\n') {
        return Err(SecretError::permanent(format!("{whose} printed more than one line")));
    }
    single_line(&bytes, &whose)
}

fn within(words: &[String], patience: Duration) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let Some((program, arguments)) = words.split_first().filter(|(program, _)| !program.is_empty()) else {
        return Err(SecretError::permanent("the password command names no program"));
    };
    let whose = name(words);
    let deadline = Instant::now() + patience;
    let mut command = prepared(program, arguments);
    let child = command.spawn().map_err(|error| SecretError::permanent(format!("{whose} cannot be run: {error}")))?;
    let mut running = Running(child);
    let late = || SecretError::temporary(format!("{whose} took longer than {} s and was ended", patience.as_secs()));
    let bytes = collect(running.0.stdout.take(), deadline)
        .ok_or_else(late)?
        .map_err(|error| SecretError::temporary(format!("{whose} cannot be read: {error}")))?;
    if bytes.len() > MAX_OUTPUT {
        return Err(SecretError::permanent(format!("{whose} printed more than {} KiB", MAX_OUTPUT >> 10)));
    }
    let status = running.end(deadline).ok_or_else(late)?;
    succeeded(status, &whose)?;
    Ok(bytes)
}

/// How errors call a program: without its arguments, which may tell what they should not.
fn name(words: &[String]) -> String {
    format!("the password command `{}`", words.first().map_or("", String::as_str))
}

fn prepared(program: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    for name in WITHHELD {
        command.env_remove(name);
    }
    command
}

fn succeeded(status: ExitStatus, whose: &str) -> Result<(), SecretError> {
    if let Some(signal) = status.signal() {
        return Err(SecretError::temporary(format!("{whose} was ended by signal {signal}")));
    }
    if !status.success() {
        return Err(SecretError::temporary(format!("{whose} failed with status {}", status.code().unwrap_or(-1))));
    }
    Ok(())
}

/// Reads standard output to its end; the deadline holds even when a grandchild keeps it open. `None`: the time was over
/// first. What is over the limit by at least an octet is read no further.
fn collect(stdout: Option<ChildStdout>, deadline: Instant) -> Option<Output> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT + CHUNK));
    let Some(mut pipe) = stdout else { return Some(Ok(bytes)) };
    let mut chunk = Zeroizing::new([0; CHUNK]);
    while bytes.len() <= MAX_OUTPUT {
        match readable(&pipe, deadline) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Err(error)),
        }
        match pipe.read(&mut *chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(bytes))
}

/// Waits until there is something to read, or the end of it; `false` when the time is over first.
fn readable(pipe: &ChildStdout, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let time = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&time)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A program that is ended and reaped, whichever way it is left.
struct Running(Child);

impl Running {
    /// Waits for the end; `None` when the time is over first.
    fn end(&mut self, deadline: Instant) -> Option<ExitStatus> {
        let mut pause = Duration::from_micros(200);
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => {}
                _ => return None,
            }
            // The standard library waits for a child for ever or not at all; most are gone at the first look.
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it is reaped already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Result<String, SecretError> {
        timed(script, Duration::from_secs(10))
    }

    fn timed(script: &str, patience: Duration) -> Result<String, SecretError> {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        line(&words, patience).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn the_one_line_a_program_prints_is_the_secret() {
        assert_eq!(run("printf 'pa ss\\n'"), Ok("pa ss".to_owned()));
        assert_eq!(run("printf 'pass\\r\\n'"), Ok("pass".to_owned()));
        assert_eq!(run("printf pass"), Ok("pass".to_owned()));
    }

    #[test]
    fn a_failing_program_gives_no_secret_even_when_it_printed_one() {
        let failed = run("echo pass; exit 3").unwrap_err();
        assert_eq!(failed, SecretError::temporary("the password command `/bin/sh` failed with status 3"));
        let killed = run("echo pass; kill -9 $$").unwrap_err();
        assert_eq!(killed, SecretError::temporary("the password command `/bin/sh` was ended by signal 9"));
    }

    #[test]
    fn nothing_two_lines_and_odd_bytes_are_no_secret() {
        let empty = "the password command `/bin/sh` gave an empty password";
        assert_eq!(run("true").unwrap_err(), SecretError::permanent(empty));
        assert_eq!(run("echo").unwrap_err(), SecretError::permanent(empty));
        let two = "the password command `/bin/sh` printed more than one line";
        assert_eq!(run("echo a; echo b").unwrap_err(), SecretError::permanent(two));
        assert_eq!(run("echo a; echo").unwrap_err(), SecretError::permanent(two));
        assert!(!run("printf '\\377'").unwrap_err().temporary);
        assert!(!run("printf 'a\\0b'").unwrap_err().temporary);
    }

    #[test]
    fn a_flood_is_cut_off() {
        let begun = Instant::now();
        let flood = run("exec cat /dev/zero").unwrap_err();
        assert_eq!(flood, SecretError::permanent("the password command `/bin/sh` printed more than 64 KiB"));
        assert!(begun.elapsed() < Duration::from_secs(9));
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        for script in ["exec sleep 60", "exec >&-; exec sleep 60", "sleep 3 & echo pass; exit 0"] {
            let begun = Instant::now();
            let hung = timed(script, Duration::from_millis(300)).unwrap_err();
            assert!(hung.temporary && hung.why.contains("and was ended"), "{hung}");
            assert!(begun.elapsed() < Duration::from_secs(2), "{script}");
        }
    }

    #[test]
    fn standard_input_is_closed_to_it() {
        assert_eq!(run("cat; echo pass"), Ok("pass".to_owned()));
    }

    #[test]
    fn it_does_not_inherit_our_password() {
        let command = prepared("pass", &[]);
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert_eq!(removed, ["SMAIL_AUTH_PASSWORD", "smtp-auth-password"]);
    }

    #[test]
    fn a_missing_program_is_permanent_and_named() {
        let words = ["/nonexistent/pass".to_owned(), "show".to_owned()];
        let missing = output(&words).unwrap_err();
        let why = "the password command `/nonexistent/pass` cannot be run: No such file or directory (os error 2)";
        assert_eq!(missing, SecretError::permanent(why));
    }

    #[test]
    fn no_child_is_left_unreaped() {
        let child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        drop(Running(child));
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
