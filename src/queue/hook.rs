//! The program of `on-failure`, run when a mail was given up.
//!
//! Promise: it runs once for each mail and for a minute at most; a list of recipients of any length reaches it, on standard
//! input; what goes wrong with it is told and changes nothing about the mail.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::entry::Head;
use crate::children::{self, Order};

/// How long it may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest reason, in bytes: servers say a lot.
const LONGEST_REASON: usize = 2000;
/// The most bytes of recipients in the environment, which is limited by the system; all of them are on standard input.
const LONGEST_LIST: usize = 8000;

/// Runs it with what it must know in its environment, and every recipient on a line of its standard input.
///
/// # Errors
/// A lowercase fragment: how it failed, with the last of its words.
pub(super) fn run(words: &[String], head: &Head, why: &str, queue: &Path) -> Result<(), String> {
    run_within(words, head, why, queue, PATIENCE)
}

fn run_within(words: &[String], head: &Head, why: &str, queue: &Path, patience: Duration) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let order = Order::new(program)
        .args(arguments)
        .reads()
        .env("SMAIL_QUEUE_ID", &head.id)
        .env("SMAIL_QUEUE_FILE", queue.join("failed").join(format!("{}.msg", head.id)))
        .env("SMAIL_QUEUE_REASON", &why[..why.floor_char_boundary(LONGEST_REASON)])
        .env("SMAIL_QUEUE_FROM", &head.from)
        .env("SMAIL_QUEUE_TO", first(&head.to))
        .env("SMAIL_QUEUE_COUNT", head.to.len().to_string());
    let mut running = order.start(&Arc::default()).map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    let mut list = head.to.join("\n");
    list.push('\n');
    // One that does not read them all may need no more.
    let ended = running.feed(list.as_bytes(), patience).and_then(|_| running.wait(patience, Duration::ZERO));
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
