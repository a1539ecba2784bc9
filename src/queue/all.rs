//! Every directory that may hold mail of a user, as one queue.
//!
//! Promise: mail that was kept in another directory, while the first could not be used, is seen and
//! sent like all other mail, and a key of `--idempotency-key` counts wherever it was noted. New
//! mail goes into one directory only. Looking makes no directory.
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::key::{Key, KeyState};
use super::{Check, DirError, FlushOptions, Flushed, Item, Queue, QueueError, Routes};
use crate::transport::RunContext;

/// The queues of a user.
#[derive(Debug)]
pub struct Queues {
    /// In the order of their places: there are no two orders in which the keys are locked.
    all: Vec<Queue>,
    first: usize,
    /// Directories that are there and cannot be used: mail may lie in them.
    pub problems: Vec<DirError>,
}

impl Queues {
    /// Takes opened queues: new mail goes into the one that was `named`, else into the first that
    /// can be written. `None` without any.
    pub fn new(all: Vec<Queue>, named: Option<usize>, problems: Vec<DirError>) -> Option<Self> {
        let first = named
            .or_else(|| all.iter().position(Queue::is_writable))
            .unwrap_or(0);
        (!all.is_empty()).then_some(Queues {
            all,
            first,
            problems,
        })
    }

    /// Where new mail goes.
    pub fn first(&self) -> &Queue {
        &self.all[self.first]
    }

    /// The queue of a mail; the one for new mail when none has it, which says so.
    fn of(&self, id: &str) -> &Queue {
        self.all
            .iter()
            .find(|queue| queue.has(id))
            .unwrap_or_else(|| self.first())
    }

    /// The entries that wait and those that failed, the oldest first.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn list(&self) -> Result<Vec<Item>, QueueError> {
        let mut items = self
            .all
            .iter()
            .map(Queue::list)
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        items.sort_by(|a, b| (a.state == "failed", &a.id).cmp(&(b.state == "failed", &b.id)));
        Ok(items)
    }

    /// Shows an entry whole.
    ///
    /// # Errors
    /// Those of [`Queue::show`].
    pub fn show(&self, id: &str, out: &mut dyn Write) -> Result<(), QueueError> {
        self.of(id).show(id, out)
    }

    /// Holds an entry, or lets it go at once.
    ///
    /// # Errors
    /// Those of [`Queue::hold`].
    pub fn hold(&self, id: &str, hold: bool) -> Result<(), QueueError> {
        self.of(id).hold(id, hold)
    }

    /// Removes an entry for good, delivered or not.
    ///
    /// # Errors
    /// Those of [`Queue::remove`].
    pub fn remove(&self, id: &str) -> Result<(), QueueError> {
        self.of(id).remove(id)
    }

    /// Proves every entry, and repairs what a crash left.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn check(&self) -> Result<Check, QueueError> {
        let mut all = Check::default();
        for queue in &self.all {
            let check = queue.check()?;
            all.sound += check.sound;
            all.repaired.extend(check.repaired);
            all.problems.extend(check.problems);
            all.newer |= check.newer;
        }
        Ok(all)
    }

    /// Sends what waits. A run that gives way leaves directories alone that cannot be written:
    /// nothing can be noted there.
    ///
    /// # Errors
    /// [`QueueError::Io`] when a directory cannot be read; what concerns one entry is in
    /// [`Flushed::problems`].
    pub fn flush(
        &self,
        routes: &mut dyn Routes,
        context: &RunContext,
        options: &FlushOptions,
    ) -> Result<Flushed, QueueError> {
        let start = Instant::now();
        let mut all = Flushed::default();
        let mut ids = options.ids.clone();
        for queue in self
            .all
            .iter()
            .filter(|queue| !options.only_if_idle || queue.is_writable())
        {
            let (here, elsewhere): (Vec<_>, Vec<_>) =
                ids.into_iter().partition(|id| queue.waits(id));
            ids = elsewhere;
            if (here.is_empty() && !options.ids.is_empty())
                || context.interrupt.load(Ordering::Relaxed) != 0
            {
                continue;
            }
            let options = FlushOptions {
                ids: here,
                most: options.most.map(|most| most.saturating_sub(all.begun)),
                time: options
                    .time
                    .map(|time| time.saturating_sub(start.elapsed())),
                ..options.clone()
            };
            let flushed = queue.flush(routes, context, &options)?;
            all.begun += flushed.begun;
            all.sent += flushed.sent;
            all.waiting.extend(flushed.waiting);
            all.held.extend(flushed.held);
            all.failed.extend(flushed.failed);
            all.problems.extend(flushed.problems);
        }
        all.problems
            .extend(ids.into_iter().map(QueueError::NoEntry));
        Ok(all)
    }

    /// Takes a key; waits while another process has it.
    ///
    /// # Errors
    /// It is empty or too long, its file is damaged, a directory that may hold it cannot be used,
    /// or those of the file system.
    pub fn key(&mut self, key: &str) -> Result<KeyState, QueueError> {
        if let Some(problem) = self.problems.pop() {
            return Err(problem.into());
        }
        let (mut own, mut others) = (None, Vec::new());
        for (place, queue) in self.all.iter().enumerate() {
            let Some(file) = queue.key_file(key, place == self.first)? else {
                continue;
            };
            if let Some(id) = queue.taken(key, &file)? {
                return Ok(KeyState::Taken(id));
            }
            if place == self.first {
                own = Some(file);
            } else {
                others.push(file);
            }
        }
        own.map(|file| KeyState::New(Key::new(file, others)))
            .ok_or(QueueError::Key)
    }
}
