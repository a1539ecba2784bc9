//! The program of `on-failure`, run when a mail was given up.
//!
//! Promise: it runs once for each mail and for a minute at most; a list of recipients of any length
//! reaches it, on standard input; what goes wrong with it is told and changes nothing about the
//! mail.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::entry::Head;
use crate::children::{self, Order};

/// How long it may take.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// The longest reason, in bytes: servers say a lot.
const LONGEST_REASON: usize = 2000;
/// The most bytes of recipients in the environment, which is limited by the system; all of them are
/// on standard input.
const LONGEST_LIST: usize = 8000;

/// Runs it with what it must know in its environment, and every recipient on a line of its standard
/// input.
///
/// # Errors
/// A lowercase fragment: how it failed, with the last of its words.
pub(super) fn run(words: &[String], head: &Head, why: &str, queue: &Path) -> Result<(), String> {
    run_within(words, head, why, queue, TIME_LIMIT)
}

fn run_within(
    words: &[String],
    head: &Head,
    why: &str,
    queue: &Path,
    timeout: Duration,
) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else {
        return Ok(());
    };
    let order = Order::new(program)
        .args(arguments)
        .reads()
        .env("SMAIL_QUEUE_ID", &head.id)
        .env(
            "SMAIL_QUEUE_FILE",
            queue.join("failed").join(format!("{}.msg", head.id)),
        )
        .env(
            "SMAIL_QUEUE_REASON",
            &why[..why.floor_char_boundary(LONGEST_REASON)],
        )
        .env("SMAIL_QUEUE_FROM", &head.from)
        .env("SMAIL_QUEUE_TO", first(&head.to))
        .env("SMAIL_QUEUE_COUNT", head.to.len().to_string());
    let mut running = order
        .start(&Arc::default())
        .map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    let mut list = head.to.join("\n");
    list.push('\n');
    // One that does not read them all may need no more.
    let ended = running
        .feed(list.as_bytes(), timeout)
        .and_then(|_| running.wait(timeout, Duration::ZERO));
    let how = match ended {
        Ok(status) => children::failed(status),
        Err(stop) => Some(format!("did not end: {stop}")),
    };
    let Some(how) = how else { return Ok(()) };
    let said = running.words().join("; ");
    let between = if said.is_empty() { "" } else { ": " };
    Err(format!("`{program}` {how}{between}{said}"))
}

/// The first recipients, as many as fit.
fn first(recipients: &[String]) -> String {
    let mut list = String::new();
    for recipient in recipients {
        if list.len() + recipient.len() >= LONGEST_LIST {
            break;
        }
        if !list.is_empty() {
            list.push(' ');
        }
        list.push_str(recipient);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(recipients: usize) -> Head {
        let to = (0..recipients).map(|i| format!("r{i}@x.example")).collect();
        Head {
            id: "x1".into(),
            from: "me@x.example".into(),
            to,
            ..Head::default()
        }
    }

    fn run(script: &str, recipients: usize, timeout: Duration) -> Result<(), String> {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        run_within(
            &words,
            &head(recipients),
            "550 5.1.1 no",
            Path::new("/q"),
            timeout,
        )
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn it_is_told_which_mail_it_was() {
        let script = "test \"$SMAIL_QUEUE_ID|$SMAIL_QUEUE_FILE|$SMAIL_QUEUE_REASON|$SMAIL_QUEUE_FROM|$SMAIL_QUEUE_TO|$SMAIL_QUEUE_COUNT\" \
            = 'x1|/q/failed/x1.msg|550 5.1.1 no|me@x.example|r0@x.example r1@x.example|2' || exit 1
            test \"$(cat)\" = \"$(printf 'r0@x.example\\nr1@x.example')\"";
        assert_eq!(run(script, 2, MINUTE), Ok(()));
        assert_eq!(
            run_within(&[], &head(1), "", Path::new("/q"), MINUTE),
            Ok(())
        );
    }

    #[test]
    fn a_list_of_any_length_reaches_it() {
        let script = "test \"$SMAIL_QUEUE_COUNT\" = 100000 && test \"$(wc -l)\" -eq 100000 && test ${#SMAIL_QUEUE_TO} -lt 8000";
        assert_eq!(run(script, 100_000, MINUTE), Ok(()));
        assert_eq!(run("exec <&-; exit 0", 100_000, MINUTE), Ok(()));
        assert_eq!(run("head -n 1", 100_000, MINUTE), Ok(()));
    }

    #[test]
    fn what_goes_wrong_with_it_is_told() {
        let short = Duration::from_millis(300);
        let failed = run("echo no route >&2; echo twice >&2; exit 3", 1, MINUTE);
        assert_eq!(
            failed,
            Err("`/bin/sh` failed with status 3: no route; twice".into())
        );
        assert_eq!(
            run("kill -9 $$", 1, MINUTE),
            Err("`/bin/sh` was killed by signal 9".into())
        );
        let hangs =
            Err("`/bin/sh` did not end: it took longer than 0.3 s and was killed: waiting".into());
        assert_eq!(
            run("trap '' TERM; echo waiting >&2; sleep 60", 1, short),
            hangs
        );
        assert_eq!(
            run("trap '' TERM; echo waiting >&2; sleep 60", 100_000, short),
            hangs
        );
        let missing = run_within(
            &["/nonexistent/x".into()],
            &head(1),
            "",
            Path::new("/q"),
            short,
        );
        let why = "`/nonexistent/x` cannot be run: No such file or directory (os error 2)";
        assert_eq!(missing, Err(why.into()));
    }
}
