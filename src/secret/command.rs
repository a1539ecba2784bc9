//! Programs that print a secret.
//!
//! Promise: no standard input, no more than 64 KiB and 30 s. A program keeps the terminal, as a PIN
//! entry may need it; where there is none, the last of what it says on standard error stands in the
//! error.
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Secret, SecretError, single_line};
use crate::children::{self, Order, Running, Stop};

/// Is set to 1 for a program that is run once more because the server has refused what it printed.
const REJECTED: &str = "SMAIL_TOKEN_REJECTED";
/// The most a program may print, in bytes.
const MAX_OUTPUT: usize = 64 << 10;
/// How long a program may take in all.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The most lines of its words that stand in an error.
const MOST_WORDS: usize = 3;

/// Runs a program and takes the line it prints.
pub(super) fn output(words: &[String]) -> Result<Secret, SecretError> {
    line(words, TIME_LIMIT, false)
}

/// As [`output`], after the server has refused what was printed before: the program may look for
/// `SMAIL_TOKEN_REJECTED`.
pub(super) fn output_again(words: &[String]) -> Result<Secret, SecretError> {
    line(words, TIME_LIMIT, true)
}

/// Runs a program and takes all it prints, of at most 64 KiB.
pub(super) fn text(words: &[String]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    within(words, TIME_LIMIT, false)
}

/// Hands a text, as a keyring program wants it, to the standard input of a program; what it prints
/// is dropped.
///
/// # Errors
/// [`SecretError`]: it cannot be run, failed, or took longer than two minutes (somebody may have to
/// unlock a keyring first).
pub(crate) fn store(words: &[String], text: &Zeroizing<String>) -> Result<(), SecretError> {
    store_within(words, text, TIME_LIMIT * 4)
}

fn store_within(
    words: &[String],
    text: &Zeroizing<String>,
    timeout: Duration,
) -> Result<(), SecretError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(SecretError::permanent("no program given"));
    };
    let whose = format!("`{program}`");
    let mut running = start(Order::new(program).args(arguments).reads(), &whose)?;
    // At most a few KiB, which a pipe holds; a program that does not read says so by its status.
    running
        .feed(text.as_bytes(), timeout)
        .map_err(|stop| given_up(&stop, &whose))?;
    end(&mut running, timeout, &whose)
}

fn line(words: &[String], timeout: Duration, again: bool) -> Result<Secret, SecretError> {
    let bytes = within(words, timeout, again)?;
    let whose = name(words);
    if bytes.strip_suffix(b"\n").unwrap_or(&bytes).contains(&b'\n') {
        return Err(SecretError::permanent(format!(
            "{whose} printed more than one line"
        )));
    }
    single_line(&bytes, &whose)
}

fn within(
    words: &[String],
    timeout: Duration,
    again: bool,
) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let Some((program, arguments)) = words
        .split_first()
        .filter(|(program, _)| !program.is_empty())
    else {
        return Err(SecretError::permanent(
            "the password command contains no program",
        ));
    };
    let whose = name(words);
    let mut order = Order::new(program).args(arguments).prints(MAX_OUTPUT);
    if again {
        order = order.env(REJECTED, "1");
    }
    let mut running = start(order, &whose)?;
    end(&mut running, timeout, &whose)?;
    Ok(running.output())
}

/// How errors call a program: without its arguments, which may tell what they should not.
fn name(words: &[String]) -> String {
    format!(
        "the password command `{}`",
        words.first().map_or("", String::as_str)
    )
}

fn start(order: Order, whose: &str) -> Result<Running, SecretError> {
    // No watcher reaches this room; a signal that ends smail ends the program too.
    let running = order.talks().start(&Arc::default());
    running.map_err(|error| SecretError::permanent(format!("{whose} cannot be run: {error}")))
}

fn end(running: &mut Running, timeout: Duration, whose: &str) -> Result<(), SecretError> {
    let status = running
        .wait(timeout, Duration::ZERO)
        .map_err(|stop| given_up(&stop, whose))?;
    let Some(how) = children::failed(status) else {
        return Ok(());
    };
    let words = running.words();
    let last = words[words.len().saturating_sub(MOST_WORDS)..].join("; ");
    let between = if last.is_empty() { "" } else { ": " };
    Err(SecretError::temporary(format!(
        "{whose} {how}{between}{last}"
    )))
}

fn given_up(stop: &Stop, whose: &str) -> SecretError {
    match stop {
        Stop::Deadline(time) => SecretError::temporary(format!(
            "{whose} took longer than {} s and was killed",
            time.as_secs_f64()
        )),
        Stop::Signal(signal) => SecretError::temporary(format!(
            "{whose} was stopped because smail received signal \
                {signal}"
        )),
        Stop::Flood => SecretError::permanent(format!(
            "{whose} printed more than {} KiB",
            MAX_OUTPUT >> 10
        )),
        Stop::Io(error) => SecretError::temporary(format!("{whose} cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn run(script: &str) -> Result<String, SecretError> {
        timed(script, Duration::from_secs(10))
    }

    fn timed(script: &str, timeout: Duration) -> Result<String, SecretError> {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        line(&words, timeout, false).map(|secret| secret.reveal().to_owned())
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
        assert_eq!(
            failed,
            SecretError::temporary("the password command `/bin/sh` failed with status 3")
        );
        let killed = run("echo pass; kill -9 $$").unwrap_err();
        assert_eq!(
            killed,
            SecretError::temporary("the password command `/bin/sh` was killed by signal 9")
        );
    }

    #[test]
    fn nothing_two_lines_and_odd_bytes_are_no_secret() {
        let empty = "the password command `/bin/sh` provided an empty password";
        assert_eq!(run("true").unwrap_err(), SecretError::permanent(empty));
        assert_eq!(run("echo").unwrap_err(), SecretError::permanent(empty));
        let two = "the password command `/bin/sh` printed more than one line";
        assert_eq!(
            run("echo a; echo b").unwrap_err(),
            SecretError::permanent(two)
        );
        assert_eq!(
            run("echo a; echo").unwrap_err(),
            SecretError::permanent(two)
        );
        assert!(!run("printf '\\377'").unwrap_err().temporary);
        assert!(!run("printf 'a\\0b'").unwrap_err().temporary);
    }

    #[test]
    fn a_flood_is_cut_off() {
        let begun = Instant::now();
        let flood = run("exec cat /dev/zero").unwrap_err();
        assert_eq!(
            flood,
            SecretError::permanent("the password command `/bin/sh` printed more than 64 KiB")
        );
        assert!(begun.elapsed() < Duration::from_secs(9));
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        for script in [
            "exec sleep 60",
            "exec >&-; exec sleep 60",
            "sleep 3 & echo pass; exit 0",
        ] {
            let begun = Instant::now();
            let hung = timed(script, Duration::from_millis(300)).unwrap_err();
            assert!(
                hung.temporary && hung.why.contains("and was killed"),
                "{hung}"
            );
            assert!(begun.elapsed() < Duration::from_secs(2), "{script}");
        }
    }

    #[test]
    fn standard_input_is_closed_to_it() {
        assert_eq!(run("cat; echo pass"), Ok("pass".to_owned()));
    }

    #[test]
    fn the_last_words_of_a_program_that_fails_are_told() {
        let failed = run("printf 'one\\ntwo\\n\\nth\\033ree\\nfour\\n' >&2; exit 2").unwrap_err();
        let why = "the password command `/bin/sh` failed with status 2: two; th\\u{1b}ree; four";
        assert_eq!(failed, SecretError::temporary(why));
    }

    #[test]
    fn a_keyring_program_gets_its_text_and_may_leave_it_unread() {
        let store = |script: &str, text: &str| {
            let words = ["/bin/sh", "-c", script].map(str::to_owned);
            store_within(
                &words,
                &Zeroizing::new(text.to_owned()),
                Duration::from_millis(500),
            )
        };
        assert_eq!(store("test \"$(cat)\" = s3cret", "s3cret"), Ok(()));
        assert_eq!(store("exec <&-; exit 0", "s3cret"), Ok(()));
        let locked = SecretError::temporary("`/bin/sh` failed with status 1: locked");
        assert_eq!(store("echo locked >&2; exit 1", "s3cret"), Err(locked));
        let slow = SecretError::temporary("`/bin/sh` took longer than 0.5 s and was killed");
        assert_eq!(store("sleep 60", &"x".repeat(1 << 20)), Err(slow));
    }

    #[test]
    fn a_missing_program_is_permanent_and_named() {
        let words = ["/nonexistent/pass".to_owned(), "show".to_owned()];
        let missing = output(&words).unwrap_err();
        let why = "the password command `/nonexistent/pass` cannot be run: No such file or directory (os error 2)";
        assert_eq!(missing, SecretError::permanent(why));
    }
}
