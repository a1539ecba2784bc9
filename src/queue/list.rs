//! What lies in the queue, for those who look, and the check that it is sound.
use std::io::{self, Write};

use serde::Serialize;

use super::dir::{Lock, Subdir};
use super::entry;
use super::journal::{self, RecipientStatus, State};
use super::{Queue, QueueError};
use crate::text::{self, Policy};

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its name.
    pub id: String,
    /// `waiting`, `held`, `in doubt`, `sending`, `damaged` or `failed`.
    pub state: &'static str,
    /// Milliseconds from 1970.
    pub created: i64,
    /// Bytes of the mail.
    pub size: u64,
    /// The sender of the envelope.
    pub from: String,
    /// Those that are left (or were refused, of one that failed).
    pub to: Vec<String>,
    /// Attempts.
    pub tries: usize,
    /// Not tried before: milliseconds from 1970; 0 for at once.
    pub next: i64,
    /// The last words about those that are left, or why it failed.
    pub last: String,
    /// Its subject.
    pub subject: String,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Check {
    /// Sound entries.
    pub sound: usize,
    /// What was repaired: lowercase sentences.
    pub repaired: Vec<String>,
    /// What is wrong and stays so.
    pub problems: Vec<String>,
    /// Some entry was written by a newer smail, and was left as it is.
    pub newer: bool,
}

/// A fact as JSON that steers no terminal.
fn shown(fact: &impl Serialize) -> io::Result<String> {
    Ok(text::safe(&serde_json::to_string(fact)?, Policy::Json).into_owned())
}

impl Queue {
    /// The entries that wait and those that failed, the oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Item>, QueueError> {
        let mut items = Vec::new();
        for subdir in [Subdir::Waiting, Subdir::Failed] {
            for name in self.dir.names(subdir).map_err(|e| self.io(e))? {
                if let Some(id) = name.strip_suffix(".msg")
                    && let Some(item) = self.item(subdir, id)
                {
                    items.push(item);
                }
            }
        }
        Ok(items)
    }

    /// One entry as the list shows it; `None` when it is gone or cannot be read.
    pub fn item(&self, subdir: Subdir, id: &str) -> Option<Item> {
        let file = self.dir.open_file(subdir, &format!("{id}.msg")).ok()?;
        let entry = entry::look(&file).ok()?;
        let (state, damage) = self.state(subdir, id, entry.head.to.len());
        // A lock that shuts nobody out: a run would pass the mail over.
        let busy = subdir == Subdir::Waiting && file.try_lock_shared().is_err();
        let _ = file.unlock();
        let word = match subdir {
            Subdir::Failed => "failed",
            _ if busy => "sending",
            _ if damage.is_some() => "damaged",
            _ if state.held => "held",
            _ if state.any(RecipientStatus::InDoubt) => "in doubt",
            _ => "waiting",
        };
        let shown = |s: &RecipientStatus| {
            if subdir == Subdir::Failed {
                *s != RecipientStatus::Accepted
            } else {
                matches!(s, RecipientStatus::Waiting | RecipientStatus::InDoubt)
            }
        };
        let to = entry
            .head
            .to
            .iter()
            .zip(&state.status)
            .filter(|(_, s)| shown(s))
            .map(|(a, _)| a.clone())
            .collect();
        Some(Item {
            id: id.to_owned(),
            state: word,
            created: entry.head.created,
            size: entry.length,
            from: entry.head.sender.unwrap_or_default(),
            to,
            tries: state.tries,
            next: state.next,
            last: damage.unwrap_or_else(|| {
                if subdir == Subdir::Failed {
                    state.last.clone()
                } else {
                    state.why().to_owned()
                }
            }),
            subject: entry.head.subject,
        })
    }

    /// How an entry stands, and what is wrong with its journal.
    fn state(&self, subdir: Subdir, id: &str, recipients: usize) -> (State, Option<String>) {
        let log = self.dir.open_file(subdir, &format!("{id}.log")).ok();
        match log.map_or_else(|| Ok((Vec::new(), 0)), |log| journal::read(&log)) {
            Ok((events, _)) => (State::after(recipients, &events), None),
            Err(error) => (State::new(recipients), Some(error.to_string())),
        }
    }

    /// Returns whether a mail of this name lies here, wherever.
    pub(super) fn has(&self, id: &str) -> bool {
        self.find(id).is_ok()
    }

    /// Returns whether a mail of this name waits here.
    pub(super) fn waits(&self, id: &str) -> bool {
        matches!(self.find(id), Ok(Subdir::Waiting))
    }

    /// Where an entry lies.
    fn find(&self, id: &str) -> Result<Subdir, QueueError> {
        let sound = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
        let subdirs = [Subdir::Waiting, Subdir::Failed, Subdir::Corrupt];
        let found = subdirs
            .into_iter()
            .find(|subdir| sound && self.dir.has(*subdir, &format!("{id}.msg")));
        found.ok_or_else(|| QueueError::NoEntry(id.to_owned()))
    }

    /// Shows an entry whole: its journal, and its message as it is sent.
    ///
    /// # Errors
    /// There is none of that name, it cannot be read, or `out` cannot be written.
    pub fn show(&self, id: &str, out: &mut dyn Write) -> Result<(), QueueError> {
        let subdir = self.find(id)?;
        let file = self
            .dir
            .open_file(subdir, &format!("{id}.msg"))
            .map_err(|e| self.io(e))?;
        let entry = entry::look(&file).map_err(|error| QueueError::Unreadable {
            id: id.to_owned(),
            why: error.to_string(),
            newer: matches!(error, entry::EntryError::Newer(_)),
        })?;
        let write = |out: &mut dyn Write| -> io::Result<()> {
            writeln!(out, "# {}", shown(&entry.head)?)?;
            if let Ok(log) = self.dir.open_file(subdir, &format!("{id}.log")) {
                match journal::read(&log) {
                    Ok((events, _)) => {
                        for event in events {
                            writeln!(out, "# {}", shown(&event)?)?;
                        }
                    }
                    Err(error) => writeln!(out, "# {error}")?,
                }
            }
            let mut at = 0;
            let mut buffer = vec![0; 64 << 10];
            while at < entry.length {
                let want = usize::try_from((entry.length - at).min(buffer.len() as u64))
                    .unwrap_or(buffer.len());
                let count = std::os::unix::fs::FileExt::read_at(
                    &file,
                    &mut buffer[..want],
                    entry.offset + at,
                )?;
                if count == 0 {
                    break;
                }
                out.write_all(&buffer[..count])?;
                at += count as u64;
            }
            out.flush()
        };
        write(out).map_err(|e| self.io(e))
    }

    /// Holds an entry, or lets it go at once; one that failed waits again when it is released.
    ///
    /// # Errors
    /// There is none of that name, or another process has it.
    pub fn hold(&self, id: &str, hold: bool) -> Result<(), QueueError> {
        if self.find(id)? == Subdir::Failed && !hold {
            let moves = self.dir.lock_of(Lock::Moves).map_err(|e| self.io(e))?;
            moves.lock().map_err(|e| self.io(e))?;
            // The journal first: a message must never stand here without its own, as it would be
            // sent to everybody.
            for end in ["log", "msg"] {
                let name = format!("{id}.{end}");
                if self.dir.has(Subdir::Failed, &name) {
                    self.dir
                        .rename((Subdir::Failed, &name), (Subdir::Waiting, &name))
                        .map_err(|e| self.io(e))?;
                }
            }
            self.dir.sync(Subdir::Waiting).map_err(|e| self.io(e))?;
        }
        self.claim(id)?
            .ok_or_else(|| QueueError::Busy(id.to_owned()))?
            .hold(hold)
    }

    /// Removes an entry for good, delivered or not.
    ///
    /// # Errors
    /// There is none of that name, or another process has it.
    pub fn remove(&self, id: &str) -> Result<(), QueueError> {
        match self.find(id)? {
            Subdir::Waiting => {
                let mut claim = self
                    .claim(id)?
                    .ok_or_else(|| QueueError::Busy(id.to_owned()))?;
                claim.remove().map_err(|e| self.io(e))
            }
            subdir => {
                for end in ["msg", "log"] {
                    self.dir
                        .remove(subdir, &format!("{id}.{end}"))
                        .map_err(|e| self.io(e))?;
                }
                Ok(())
            }
        }
    }

    /// Proves every entry, and repairs what a crash left.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn check(&self) -> Result<Check, QueueError> {
        let mut check = Check::default();
        let names = self.dir.names(Subdir::Waiting).map_err(|e| self.io(e))?;
        for name in &names {
            let Some(id) = name.strip_suffix(".msg") else {
                if self.sweep(name, &names) {
                    check.repaired.push(format!(
                        "{name}: left over from a terminated process; removed"
                    ));
                }
                continue;
            };
            match self.claim(id) {
                Ok(Some(claim)) if claim.state().left().is_empty() => {
                    claim.finish()?;
                    check
                        .repaired
                        .push(format!("{id}: it was already complete; removed"));
                }
                // Another process has it, and so it is in good hands.
                Ok(_) => check.sound += 1,
                Err(problem) => {
                    check.newer |= matches!(problem, QueueError::Unreadable { newer: true, .. });
                    check.problems.push(problem.to_string());
                }
            }
        }
        for name in self.dir.names(Subdir::Corrupt).map_err(|e| self.io(e))? {
            if let Some(id) = name.strip_suffix(".msg") {
                check.problems.push(format!(
                    "{id}: it is damaged and was moved to corrupt/; use --queue-show or --remove \
                    on it"
                ));
            }
        }
        Ok(check)
    }
}
