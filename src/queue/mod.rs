//! Mail that waits, crash-safe and without a daemon.
//!
//! Promise: once [`Queue::submit`] has returned, the mail is durable, and stays until every
//! recipient was accepted. A recipient that was accepted is never sent to again. One process works
//! on an entry at a time; a process that was killed leaves no lock. Nothing undelivered is deleted.
//! Refuses directories that others may enter, and entries that are not whole.
//!
//! What a crash can leave, and what becomes of it:
//!
//! | in `q/` | it ended | what the next run does |
//! |---|---|---|
//! | `tmp.ID`, not locked | while it was written; exit 0 was not seen | removes it (`--queue-check`, a flush) |
//! | `ID.msg` | after the rename, before the first attempt | sends it when it is due: at once |
//! | `ID.msg`, `ID.log` without `dot` | before the final dot left | sends it to all that are left |
//! | … last line without its end | while a line was written | cuts the line away; the event did not happen |
//! | … `dot` without an answer | between the dot and the synced answer: in doubt | sends it to these again after ten minutes, with the same Message-ID (or holds it: `on-doubt`) |
//! | … `accepted` for some | after the answer was synced | sends it to the others only |
//! | … `accepted` for all | before it was removed | removes it, sends nothing |
//! | `ID.log` without `ID.msg` | while it was removed | removes it |
//! | `failed/ID.log` without `failed/ID.msg` | while it was given up | moves `ID.msg` too |
//! | `ID.msg` damaged, or any other line of `ID.log` | the disk's doing | moves both to `corrupt/`, sends nothing |
mod all;
mod claim;
mod dir;
mod entry;
mod event;
mod flush;
mod hook;
mod journal;
mod key;
mod list;
mod policy;
mod replies;
mod wait;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use all::Queues;
pub use claim::{Claim, Outcome};
pub use dir::{DirError, Subdir};
pub use entry::{EntryError, Head};
pub use flush::{FlushOptions, Flushed, Routes};
pub use journal::{JournalError, RecipientStatus, State};
pub use key::{Key, KeyState};
pub use list::{Check, Item};
pub use policy::{Policy, Verdict, is_of_session, verdict};
pub use replies::Replies;
pub use wait::Slot;

use crate::delivery::Fault;
use crate::environment;
use crate::message::Message;
use dir::QueueDir;

/// The opened queue.
#[derive(Debug)]
pub struct Queue {
    dir: QueueDir,
    policy: Policy,
    words: fn(&Fault) -> String,
}

/// Why the queue cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// There is no directory to use.
    #[error("{0}")]
    Dir(#[from] DirError),
    /// Reading or writing failed; nothing half-written is left.
    #[error("the queue in {}: {error}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No entry has this id.
    #[error("no message `{}` in the queue", crate::text::word(.0))]
    NoEntry(String),
    /// An address of the envelope that would not be read back as itself; a bug.
    #[error("cannot queue the message: its envelope would not be read back unchanged ({})", crate::text::word(.0))]
    Unsound(String),
    /// A key of `--idempotency-key` that cannot be one.
    #[error("expected a key of 1 to {} bytes", key::LONGEST_KEY)]
    Key,
    /// What is noted of a key cannot be told.
    #[error("the key file {}: {error}", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process works on the entry.
    #[error("message {0} is being sent by another process")]
    Busy(String),
    /// The program of `on-failure`, which was run for a mail that was given up.
    #[error("message {id} was given up; on-failure: {why}")]
    Hook {
        /// The name of the mail.
        id: String,
        /// A lowercase fragment.
        why: String,
    },
    /// Its sender cannot be told that a mail was given up.
    #[error("message {id} was given up, but no notice could be sent: {why}")]
    Notice {
        /// The name of the mail.
        id: String,
        /// A lowercase fragment.
        why: String,
    },
    /// An entry was written by a newer smail, or is damaged and was set aside.
    #[error("message {id}: {why}")]
    Unreadable {
        /// Its name.
        id: String,
        /// A lowercase fragment.
        why: String,
        /// It was written by a newer smail and left alone.
        newer: bool,
    },
}

/// Milliseconds from 1970; negative before.
pub fn now() -> i64 {
    let whole = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    match environment::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()),
    }
}

impl Queue {
    /// Opens the queue in a directory, and makes it when it is not there. `words` says a fault on
    /// one line, for the journal.
    ///
    /// # Errors
    /// [`DirError`].
    pub fn open(
        path: &Path,
        policy: Policy,
        words: fn(&Fault) -> String,
    ) -> Result<Self, DirError> {
        Ok(Queue {
            dir: QueueDir::open(path)?,
            policy,
            words,
        })
    }

    /// Opens the queue in a directory that must be there: `None` when there is no directory.
    ///
    /// # Errors
    /// [`DirError`].
    pub fn look(
        path: &Path,
        policy: Policy,
        words: fn(&Fault) -> String,
    ) -> Result<Option<Self>, DirError> {
        if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            return Self::open(path, policy, words).map(Some);
        }
        Ok(None)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Returns whether mail can be written down in it; what is there can be read anyway.
    pub fn is_writable(&self) -> bool {
        self.dir.is_writable()
    }

    /// Its schedule and rules.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    fn io(&self, error: io::Error) -> QueueError {
        QueueError::Io {
            path: self.dir.path().to_owned(),
            error,
        }
    }

    /// Writes a mail down and takes it for this process. The head's id, times and bytes' facts are
    /// filled in here.
    ///
    /// # Errors
    /// [`QueueError::Io`]: nothing of it is left, and it may be sent without the queue.
    /// [`QueueError::Unsound`]: nothing was written.
    pub fn submit(
        &self,
        mut head: Head,
        message: &Message,
        key: Option<&Key>,
    ) -> Result<Claim<'_>, QueueError> {
        entry::check_envelope(&head, &message.envelope).map_err(QueueError::Unsound)?;
        head.created = now();
        head.expires = head.created.saturating_add(self.policy.lifetime_ms());
        head.message_id.clone_from(&message.id);
        head.eight_bit = message.eight_bit;
        head.header_utf8 = message.header_utf8();
        self.dir.keep_reserve();
        self.write_down(head, message, key)
            .map_err(|error| self.io(error))
    }

    fn write_down(
        &self,
        mut head: Head,
        message: &Message,
        key: Option<&Key>,
    ) -> io::Result<Claim<'_>> {
        let (temporary, file) = loop {
            head.id = new_id(head.created);
            let temporary = format!("tmp.{}", head.id);
            match self.dir.create(Subdir::Waiting, &temporary) {
                // The lock is on the file and not on the name: it goes with the rename, and no
                // flush takes the mail away from us. A sweep that came before it took the file for
                // that of a dead process.
                Ok(file) => match file.lock() {
                    Ok(()) if self.dir.is_same(Subdir::Waiting, &temporary, &file) => {
                        break (temporary, file);
                    }
                    Ok(()) => {}
                    Err(error) => {
                        let _ = self.dir.remove(Subdir::Waiting, &temporary);
                        return Err(error);
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        let committed = entry::write(&file, &head, message).and_then(|entry| {
            if let Some(key) = key {
                key.pending(&head.id)?;
                self.dir.sync(Subdir::Keys)?;
            }
            self.dir.rename(
                (Subdir::Waiting, &temporary),
                (Subdir::Waiting, &format!("{}.msg", head.id)),
            )?;
            Ok(entry)
        });
        let entry = match committed {
            Ok(entry) => entry,
            Err(error) => {
                let _ = self.dir.remove(Subdir::Waiting, &temporary);
                return Err(error);
            }
        };
        if let Err(error) = self.dir.sync(Subdir::Waiting) {
            // Not known to be durable, so not promised.
            let _ = self
                .dir
                .remove(Subdir::Waiting, &format!("{}.msg", head.id));
            return Err(error);
        }
        if let Some(key) = key {
            // Not fatal: while the mail waits, `pending` says as much.
            let _ = key.done(&head.id);
        }
        Ok(Claim::new(self, file, entry))
    }
}

/// The time first, so that names sort by age; then enough chance that two hosts on one file system
/// never meet.
fn new_id(created: i64) -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digits = |mut number: u64, width: usize| {
        let mut text = vec![b'0'; width];
        for digit in text.iter_mut().rev() {
            *digit = DIGITS[usize::try_from(number % 32).unwrap_or(0)];
            number /= 32;
        }
        String::from_utf8(text).unwrap_or_default()
    };
    let mut chance = RandomState::new().build_hasher();
    chance.write_u32(environment::id());
    format!(
        "{}{}",
        digits(created.max(0).cast_unsigned(), 9),
        digits(chance.finish(), 8)
    )
}

#[cfg(test)]
mod tests;
