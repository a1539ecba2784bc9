//! One entry claimed by this process: the journal of its attempt, and its end.
//!
//! Promise: the lock lies on the message file, which is never exchanged; what was accepted is
//! durable before anything else happens; the message goes before its journal, with the directory
//! made durable in between, so that no crash can bring a delivered mail back.
use std::fs::{File, TryLockError};
use std::io;
use std::sync::Arc;

use super::dir::{QueueDir, Subdir};
use super::entry::{self, Entry, EntryError, Head};
use super::event::Event;
use super::journal::{self, JournalError, RecipientStatus, State};
use super::policy::{self, Verdict};
use super::wait::{self, Limit};
use super::{Queue, QueueError, now};
use crate::delivery::{Cause, Fault, Reply, Report};
use crate::message::{Envelope, Message};
use crate::text::short;
use crate::transport::DeliveryLog;

/// An entry that no other process works on while this lives.
pub struct Claim<'q> {
    queue: &'q Queue,
    file: Arc<File>,
    entry: Entry,
    journal: Option<(File, u64)>,
    state: State,
    /// The places in the head of the recipients of the message that was handed out.
    sent_to: Vec<usize>,
    /// A try of this process failed: only then may it be given up.
    failed_try: bool,
}

/// What became of an entry at the end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every recipient was accepted; nothing is left of it.
    Gone,
    /// Some wait.
    Waits,
    /// It was given up: refused, or too old. What went wrong with `on-failure`, if anything did.
    Failed(Option<String>),
}

impl<'q> Claim<'q> {
    pub(super) fn new(queue: &'q Queue, file: File, entry: Entry) -> Self {
        let state = State::new(entry.head.to.len());
        Claim {
            queue,
            file: Arc::new(file),
            entry,
            journal: None,
            state,
            sent_to: Vec::new(),
            failed_try: false,
        }
    }

    /// Its head.
    pub fn head(&self) -> &Head {
        &self.entry.head
    }

    /// How it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The mail for those that are left.
    ///
    /// # Errors
    /// An address that is none any more, which damage causes, or a smail that took what this one
    /// does not.
    pub fn message(&mut self) -> Result<Message, QueueError> {
        let head = &self.entry.head;
        let bad = |text: String| {
            let why = format!(
                "its envelope is damaged: `{}` is not an address",
                crate::text::word(&text)
            );
            QueueError::Unreadable {
                id: head.id.clone(),
                why,
                newer: false,
            }
        };
        self.sent_to = self.state.left();
        let (sender, recipients) = head.addresses(self.sent_to.iter().copied()).map_err(bad)?;
        let envelope = Envelope {
            sender,
            recipients,
            dsn: head.dsn.clone(),
        };
        let Entry { offset, length, .. } = self.entry;
        Ok(Message::from_file(
            head.message_id.clone(),
            envelope,
            Arc::clone(&self.file),
            offset,
            length,
            head.eight_bit,
            head.header_utf8,
        ))
    }

    /// The headers of the mail, with their line ends, `most` bytes of them at most.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn headers(&self, most: usize) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; usize::try_from(self.entry.length).unwrap_or(most).min(most)];
        self.file.read_exact_at(&mut bytes, self.entry.offset)?;
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .map_or(bytes.len(), |at| at + 2);
        bytes.truncate(end);
        Ok(bytes)
    }

    /// Writes events down; `durable` waits until they are on disk.
    fn note(&mut self, events: &[Event], durable: bool) -> io::Result<()> {
        let dir = &self.queue.dir;
        if self.journal.is_none() {
            let name = format!("{}.log", self.entry.head.id);
            let file = with_reserve(dir, || dir.append(Subdir::Waiting, &name))?;
            dir.sync(Subdir::Waiting)?;
            self.journal = Some((file, 0));
        }
        let Some((file, good)) = &mut self.journal else {
            return Ok(());
        };
        with_reserve(dir, || journal::append(file, good, events))?;
        for event in events {
            self.state.fold(event);
        }
        // A failed sync is never tried again on the same file: the kernel may have dropped what it
        // could not write.
        if durable { file.sync_data() } else { Ok(()) }
    }

    /// Begins an attempt.
    ///
    /// # Errors
    /// Those of the file system: then nothing may be sent, as nothing could be noted.
    pub fn begin(&mut self) -> Result<(), QueueError> {
        self.note(
            &[Event::Begin {
                at: now(),
                idle: false,
            }],
            false,
        )
        .map_err(|e| self.queue.io(e))
    }

    /// Defers all that are left without an attempt of their own: `tried` when its server failed
    /// another mail of this run.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn defer(&mut self, why: &str, tried: bool) -> Result<(), QueueError> {
        self.failed_try |= tried;
        let to = self.state.left();
        let next = self.next();
        let begin = Event::Begin {
            at: now(),
            idle: !tried,
        };
        let events = [
            begin,
            Event::Deferred {
                at: now(),
                to,
                reply: why.to_owned(),
                next,
            },
        ];
        self.note(&events, true).map_err(|e| self.queue.io(e))
    }

    /// Hears what an attempt came to. One that was ended here, and not by the server, does not give
    /// a mail up.
    pub(super) fn tried(&mut self, report: &Report) {
        let theirs = |cause: &Cause| {
            !matches!(
                cause,
                Cause::Interrupted(_) | Cause::Journal(_) | Cause::Content(_)
            )
        };
        self.failed_try |= report
            .recipients
            .iter()
            .any(|f| f.outcome.as_ref().is_err_and(|f| theirs(&f.cause)));
    }

    fn next(&self) -> i64 {
        use std::hash::{BuildHasher, Hasher, RandomState};
        let pause = self.queue.policy.pause(
            self.state.tries.max(1),
            RandomState::new().build_hasher().finish(),
        );
        now().saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
    }

    /// Holds it, or releases it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn hold(&mut self, hold: bool) -> Result<(), QueueError> {
        let event = if hold {
            Event::Hold { at: now() }
        } else {
            Event::Release { at: now() }
        };
        self.note(&[event], true).map_err(|e| self.queue.io(e))
    }

    /// Ends the attempt: removes what is done, gives up what is refused or too old, keeps the rest.
    ///
    /// # Errors
    /// Those of the file system; the entry then stands as its journal says, and the next run ends
    /// it.
    pub fn finish(self) -> Result<Outcome, QueueError> {
        self.finish_with(&mut |_, _| {})
    }

    /// The same; `notify` hears why it is given up once that is durable, and before it leaves the
    /// waiting ones: after a crash it may hear of it again.
    ///
    /// # Errors
    /// Those of [`Claim::finish`].
    pub fn finish_with(
        mut self,
        notify: &mut dyn FnMut(&Claim<'_>, &str),
    ) -> Result<Outcome, QueueError> {
        let queue = self.queue;
        let left = self.state.left();
        let done = if left.is_empty() && !self.state.any(RecipientStatus::Refused) {
            self.remove().map(|()| Outcome::Gone)
        } else if left.is_empty() {
            let why = self.state.why().to_owned();
            self.fail(&why, notify).map(Outcome::Failed)
        } else if self.failed_try && self.is_expired() && !self.state.held {
            let why = format!(
                "given up after {} attempts; last: {}",
                self.state.tries,
                self.state.why()
            );
            self.fail(&why, notify).map(Outcome::Failed)
        } else {
            if self.state.any(RecipientStatus::InDoubt)
                && queue.policy.hold_on_doubt
                && !self.state.held
            {
                self.note(&[Event::Hold { at: now() }], true)
                    .map_err(|e| queue.io(e))?;
            }
            Ok(Outcome::Waits)
        };
        done.map_err(|e| queue.io(e))
    }

    /// Returns whether it was tried for as long as it may be; a release gives it a new time. No
    /// clock tells it, but the tries.
    fn is_expired(&self) -> bool {
        let head = &self.entry.head;
        let lifetime = head.expires.saturating_sub(head.created);
        self.state.time_tried(lifetime) >= lifetime
    }

    /// Removes the entry: its message first.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&mut self) -> io::Result<()> {
        let dir = &self.queue.dir;
        let id = &self.entry.head.id;
        if let Some(key) = &self.entry.head.key {
            // Undone before anybody got it: the key may be used again.
            let done = self.state.any(RecipientStatus::Accepted);
            if done {
                super::key::note_delivered(dir, key, id);
            } else {
                super::key::forget(dir, key, id);
            }
        }
        dir.remove(Subdir::Waiting, &format!("{id}.msg"))?;
        if self.journal.is_some() {
            // Without this a crash could bring the message back without its journal, and it would
            // be sent again.
            dir.sync(Subdir::Waiting)?;
            dir.remove(Subdir::Waiting, &format!("{id}.log"))?;
        }
        Ok(())
    }

    /// Gives the entry up: both files go to `failed/`, and `on-failure` is run once; returns what
    /// went wrong with that.
    fn fail(
        &mut self,
        why: &str,
        notify: &mut dyn FnMut(&Claim<'_>, &str),
    ) -> io::Result<Option<String>> {
        self.note(
            &[Event::Failed {
                at: now(),
                reply: why.to_owned(),
            }],
            true,
        )?;
        notify(self, why);
        let dir = &self.queue.dir;
        let id = self.entry.head.id.clone();
        for end in ["log", "msg"] {
            let name = format!("{id}.{end}");
            dir.rename((Subdir::Waiting, &name), (Subdir::Failed, &name))?;
        }
        dir.sync(Subdir::Failed)?;
        dir.sync(Subdir::Waiting)?;
        if let Some(key) = &self.entry.head.key {
            super::key::forget(dir, key, &id);
        }
        Ok(super::hook::run(
            &self.queue.policy.on_failure,
            &self.entry.head,
            why,
            dir.path(),
        )
        .err())
    }
}

impl DeliveryLog for Claim<'_> {
    fn before_dot(&mut self, recipients: &[usize]) -> io::Result<()> {
        let to = recipients
            .iter()
            .filter_map(|i| self.sent_to.get(*i).copied())
            .collect();
        self.note(&[Event::Dot { at: now(), to }], true)
    }

    fn settled(&mut self, outcomes: &[(usize, &Result<Reply, Fault>)]) {
        let next = self.next();
        let mut events: Vec<Event> = Vec::new();
        for (place, outcome) in outcomes {
            let Some(place) = self.sent_to.get(*place).copied() else {
                continue;
            };
            join(&mut events, event(place, outcome, next, self.queue.words));
        }
        if !self.state.lockstep
            && outcomes
                .iter()
                .any(|(_, o)| o.as_ref().is_err_and(|fault| fault.pipelined))
        {
            events.push(Event::Lockstep { at: now() });
        }
        // The answer that ends it all is made durable by the removal of the message, which follows
        // at once: one sync, not two. Counted, not looked through: a long list is settled in many
        // transactions.
        let accepted = |event: &Event| {
            if let Event::Accepted { to, .. } = event {
                to.len()
            } else {
                0
            }
        };
        let ends = self.state.accepted + events.iter().map(accepted).sum::<usize>()
            == self.state.status.len();
        if self.note(&events, !ends).is_err() {
            // The next run finds a dot without an answer, which is true. This one knows better, and
            // may still remove what is done.
            for event in &events {
                self.state.fold(event);
            }
        }
    }
}

/// Locks the file of an entry; gives it back when another process has it. Those who look have a
/// lock too, a shared one and for a moment, which is no reason to pass the entry over.
fn take(file: File) -> io::Result<Result<File, File>> {
    for _ in 0..LOOKERS {
        match file.try_lock() {
            Ok(()) => return Ok(Ok(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        match file.try_lock_shared() {
            // This lock becomes the other one in the next turn.
            Ok(()) => std::thread::yield_now(),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => return Ok(Err(file)),
        }
    }
    file.unlock()?;
    Ok(Err(file))
}

/// The event of one recipient's outcome.
fn event(
    place: usize,
    outcome: &Result<Reply, Fault>,
    next: i64,
    words: fn(&Fault) -> String,
) -> Event {
    let (at, to) = (now(), vec![place]);
    match outcome {
        Ok(reply) => Event::Accepted {
            at,
            to,
            reply: short(&reply.text()),
        },
        Err(fault) => {
            let reply = words(fault);
            match policy::verdict(fault) {
                Verdict::Defer => Event::Deferred {
                    at,
                    to,
                    reply,
                    next,
                },
                Verdict::Refuse => Event::Refused { at, to, reply },
                Verdict::Doubt => Event::Doubt {
                    at,
                    to,
                    reply,
                    next: next.max(at.saturating_add(journal::DOUBT)),
                },
            }
        }
    }
}

/// How often an entry is tried for that others only look at.
const LOOKERS: usize = 1000;

/// How many events back an answer is looked for: refusals of a few kinds alternate in a long list.
const BACK: usize = 8;

/// Adds an event to those before it; one that says the same of another recipient joins its line.
fn join(events: &mut Vec<Event>, event: Event) {
    let same = |old: &&mut Event| match (&**old, &event) {
        (Event::Accepted { reply: a, .. }, Event::Accepted { reply: b, .. })
        | (Event::Refused { reply: a, .. }, Event::Refused { reply: b, .. })
        | (Event::Deferred { reply: a, .. }, Event::Deferred { reply: b, .. })
        | (Event::Doubt { reply: a, .. }, Event::Doubt { reply: b, .. }) => a == b,
        _ => false,
    };
    match events.iter_mut().rev().take(BACK).find(same) {
        Some(
            Event::Accepted { to, .. }
            | Event::Refused { to, .. }
            | Event::Deferred { to, .. }
            | Event::Doubt { to, .. },
        ) => to.extend(places(&event)),
        _ => events.push(event),
    }
}

fn places(event: &Event) -> &[usize] {
    match event {
        Event::Accepted { to, .. }
        | Event::Refused { to, .. }
        | Event::Deferred { to, .. }
        | Event::Doubt { to, .. } => to,
        _ => &[],
    }
}

/// Does what may need room on the disk; where there is none, the reserve is given up first.
fn with_reserve<T>(dir: &QueueDir, mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match act() {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            dir.use_reserve();
            act()
        }
        outcome => outcome,
    }
}

impl Queue {
    /// Takes an entry for this process; `None` when another one has it or it is gone.
    ///
    /// # Errors
    /// [`QueueError::Unreadable`]: it is damaged and was set aside, or newer and was left alone.
    pub fn claim(&self, id: &str) -> Result<Option<Claim<'_>>, QueueError> {
        self.claim_within(id, None)
    }

    /// The same, but waits for the process that has it, within a limit; then it is
    /// [`QueueError::Busy`].
    ///
    /// # Errors
    /// Those of [`Queue::claim`].
    pub(super) fn claim_within(
        &self,
        id: &str,
        limit: Option<&Limit<'_>>,
    ) -> Result<Option<Claim<'_>>, QueueError> {
        let name = format!("{id}.msg");
        let file = match self.dir.open_file(Subdir::Waiting, &name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return self.set_aside(id, &error.to_string());
            }
            // A disk that fails says nothing about the entry.
            Err(error) => return Err(self.io(error)),
        };
        let file = match (take(file), limit) {
            (Ok(Ok(file)), _) => file,
            (Ok(Err(_)), None) => return Ok(None),
            (Ok(Err(file)), Some(limit)) => {
                let file = wait::lock(file, limit).map_err(|e| self.io(e))?;
                file.ok_or_else(|| QueueError::Busy(id.to_owned()))?
            }
            (Err(error), _) => return Err(self.io(error)),
        };
        if !self.dir.is_same(Subdir::Waiting, &name, &file) {
            return Ok(None);
        }
        let entry = match entry::prove(&file) {
            Ok(entry) if entry.head.id == id => entry,
            Ok(_) => return self.set_aside(id, "it carries the ID of a different message"),
            Err(EntryError::Read(error)) => return Err(self.io(error)),
            Err(error @ EntryError::Newer(_)) => {
                return Err(QueueError::Unreadable {
                    id: id.to_owned(),
                    why: error.to_string(),
                    newer: true,
                });
            }
            Err(error @ EntryError::Damaged(_)) => return self.set_aside(id, &error.to_string()),
        };
        if self.dir.has(Subdir::Failed, &format!("{id}.log")) {
            // Given up, and interrupted halfway.
            let moved = self
                .dir
                .rename((Subdir::Waiting, &name), (Subdir::Failed, &name));
            return moved.map(|()| None).map_err(|e| self.io(e));
        }
        let mut claim = Claim::new(self, file, entry);
        if self.dir.has(Subdir::Waiting, &format!("{id}.log")) {
            let log = self
                .dir
                .append(Subdir::Waiting, &format!("{id}.log"))
                .map_err(|e| self.io(e))?;
            match journal::read(&log) {
                Ok((events, good)) => {
                    claim.state = State::after(claim.entry.head.to.len(), &events);
                    claim.journal = Some((log, good));
                }
                Err(JournalError::Read(error)) => return Err(self.io(error)),
                Err(error @ JournalError::Damaged(_)) => {
                    return self.set_aside(id, &error.to_string());
                }
            }
        }
        Ok(Some(claim))
    }

    /// Moves a damaged entry out of the way; it is never sent. The message goes first: without its
    /// journal it would look new.
    pub(super) fn set_aside(&self, id: &str, why: &str) -> Result<Option<Claim<'_>>, QueueError> {
        for end in ["msg", "log"] {
            let name = format!("{id}.{end}");
            match self
                .dir
                .rename((Subdir::Waiting, &name), (Subdir::Corrupt, &name))
            {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.io(error)),
                _ => {}
            }
        }
        let why = format!("{why}; it was moved to corrupt/ and will not be sent");
        Err(QueueError::Unreadable {
            id: id.to_owned(),
            why,
            newer: false,
        })
    }
}
