//! What has happened to a mail, one checksummed line an event; the state is folded from the lines
//! and never stored.
//!
//! Promise: a line counts when it is whole. A last line without its line end is what a crash tore:
//! it is cut away before the next one is written. Any other line that is not whole is damage, the
//! last one too: the entry is set aside, because the line may have been `accepted`.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Duration;

use super::event::Event;
use super::replies::{Replies, UNANSWERED};

/// How long a mail whose last answer was lost is left alone (RFC 5321 section 4.5.3.2.6: the server
/// may take ten minutes).
pub(super) const DOUBT: i64 = 10 * 60 * 1000;

/// How one recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientStatus {
    /// To be sent.
    Waiting,
    /// The dot was about to be sent and nothing is known since.
    InDoubt,
    /// Accepted: never sent again.
    Accepted,
    /// Refused for good.
    Refused,
}

/// Where a mail stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Every recipient, by place.
    pub status: Vec<RecipientStatus>,
    /// How many of them were accepted.
    pub accepted: usize,
    /// How many of them are in doubt.
    doubtful: usize,
    /// Attempts begun.
    pub tries: usize,
    /// Not to be tried before this time (milliseconds from 1970).
    pub next: i64,
    /// The two that `next` is made of: for those in doubt, and for those the server puts off. The
    /// group that holds a message is announced before anybody is put off, who must not shorten the
    /// time of the others.
    until: (i64, i64),
    /// Commands that were sent together may have been swallowed.
    pub lockstep: bool,
    /// Not to be tried until released.
    pub held: bool,
    /// The time between each two tries since it was last released, and the pause that was planned
    /// then (milliseconds).
    gaps: Vec<(i64, i64)>,
    /// When the last try began, and the pause that was planned after it.
    begun: Option<(i64, i64)>,
    /// The last words about it.
    pub last: String,
    /// The last words about every recipient.
    pub replies: Replies,
    /// The last words of a refusal for good: others may have been accepted after it.
    pub refusal: String,
    /// When the last event was written.
    pub latest: i64,
}

impl State {
    /// A mail to which nothing has happened.
    pub fn new(recipients: usize) -> Self {
        State {
            status: vec![RecipientStatus::Waiting; recipients],
            accepted: 0,
            doubtful: 0,
            tries: 0,
            next: 0,
            until: (0, 0),
            lockstep: false,
            held: false,
            gaps: Vec::new(),
            begun: None,
            last: String::new(),
            replies: Replies::new(recipients),
            refusal: String::new(),
            latest: 0,
        }
    }

    /// Where a mail stands after these events.
    pub fn after(recipients: usize, events: &[Event]) -> Self {
        let mut state = State::new(recipients);
        for event in events {
            state.fold(event);
        }
        state
    }

    /// Takes one event in.
    pub fn fold(&mut self, event: &Event) {
        use RecipientStatus::{Accepted, InDoubt, Refused, Waiting};
        self.replies.fold(event);
        match event {
            Event::Begin { at, idle } => self.begin(*at, *idle),
            Event::Dot { at, to } => {
                self.set(to, InDoubt);
                self.until.0 = at.saturating_add(DOUBT);
                UNANSWERED.clone_into(&mut self.last);
            }
            Event::Accepted { to, reply, .. } => {
                self.set(to, Accepted);
                self.last.clone_from(reply);
            }
            Event::Refused { to, reply, .. } => {
                self.set(to, Refused);
                self.last.clone_from(reply);
                self.refusal.clone_from(reply);
            }
            Event::Deferred {
                at,
                to,
                reply,
                next,
            } => {
                self.set(to, Waiting);
                (self.until.1, self.last) = (*next, reply.clone());
                self.plan(next.saturating_sub(*at));
            }
            Event::Doubt {
                at,
                to,
                reply,
                next,
            } => {
                self.set(to, InDoubt);
                (self.until.0, self.last) = (*next, reply.clone());
                self.plan(next.saturating_sub(*at));
            }
            Event::Lockstep { .. } => self.lockstep = true,
            Event::Hold { .. } => self.held = true,
            Event::Release { .. } => self.release(),
            Event::Failed { reply, .. } => self.last.clone_from(reply),
        }
        let (doubt, deferred) = self.until;
        self.next = if self.doubtful > 0 {
            doubt.max(deferred)
        } else {
            deferred
        };
        self.latest = event.at();
    }

    /// What was accepted stays so, whatever a later line says.
    fn set(&mut self, to: &[usize], status: RecipientStatus) {
        for place in to {
            let old = self.status.get_mut(*place);
            if let Some(old) = old.filter(|old| **old != RecipientStatus::Accepted) {
                // Counted, not looked for: a long list is settled by many lines.
                self.doubtful -= usize::from(*old == RecipientStatus::InDoubt);
                self.doubtful += usize::from(status == RecipientStatus::InDoubt);
                *old = status;
                self.accepted += usize::from(status == RecipientStatus::Accepted);
            }
        }
    }

    fn begin(&mut self, at: i64, idle: bool) {
        self.tries += 1;
        if !idle {
            let gap = |(before, planned)| (at.saturating_sub(before), planned);
            self.gaps.extend(self.begun.map(gap));
            self.begun = Some((at, 0));
        }
    }

    fn release(&mut self) {
        (self.held, self.until, self.begun) = (false, (0, 0), None);
        self.gaps.clear();
        for old in &mut self.status {
            if matches!(old, RecipientStatus::InDoubt | RecipientStatus::Refused) {
                *old = RecipientStatus::Waiting;
            }
        }
        self.doubtful = 0;
    }

    fn plan(&mut self, pause: i64) {
        if let Some((_, planned)) = &mut self.begun {
            *planned = pause.max(*planned);
        }
    }

    /// How long it has been tried (milliseconds), for a mail that is tried for `lifetime`. What
    /// lies between two tries counts as the pause that was planned, or as a fifth of the lifetime
    /// when that is longer, at most: a machine that was off and a clock that jumped tried nothing
    /// meanwhile.
    pub fn time_tried(&self, lifetime: i64) -> i64 {
        let counted =
            |(gap, planned): &(i64, i64)| (*gap).clamp(0, (*planned).max(lifetime / 5).max(0));
        self.gaps.iter().map(counted).fold(0, i64::saturating_add)
    }

    /// The places of those that must still be sent.
    pub fn left(&self) -> Vec<usize> {
        let open =
            |s: &RecipientStatus| matches!(s, RecipientStatus::Waiting | RecipientStatus::InDoubt);
        self.status
            .iter()
            .enumerate()
            .filter(|(_, s)| open(s))
            .map(|(i, _)| i)
            .collect()
    }

    /// The words that tell why it stands as it does: the latest about one of those that are left,
    /// else of the refusal.
    pub fn why(&self) -> &str {
        let left = self.left();
        match (left.is_empty(), self.refusal.is_empty()) {
            (false, _) => self.replies.latest(&left),
            (true, true) => &self.last,
            (true, false) => &self.refusal,
        }
    }

    /// Returns whether a recipient stands so.
    pub fn any(&self, status: RecipientStatus) -> bool {
        self.status.contains(&status)
    }

    /// Returns whether it may be tried now. A clock that jumped must not strand it: a time further
    /// away than the longest interval, or a last event in the future, does not count.
    pub fn is_due(&self, now: i64, longest: Duration) -> bool {
        let longest = i64::try_from(longest.as_millis())
            .unwrap_or(i64::MAX)
            .max(DOUBT)
            .saturating_mul(2);
        let jumped =
            self.latest > now.saturating_add(60_000) || self.next > now.saturating_add(longest);
        !self.held && (self.next <= now || jumped)
    }
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read.
    #[error("cannot read its journal: {0}")]
    Read(#[from] io::Error),
    /// A line is damaged that no crash has torn: which.
    #[error("its journal is damaged at line {0}")]
    Damaged(usize),
}

/// Reads the whole lines, and how many bytes they take.
///
/// # Errors
/// [`JournalError`].
pub(super) fn read(mut file: &File) -> Result<(Vec<Event>, u64), JournalError> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let mut events = Vec::new();
    let mut good = 0;
    for (number, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        match parse(line) {
            Some(event) => {
                events.push(event);
                good += line.len();
            }
            None if is_torn(line) => break,
            None => return Err(JournalError::Damaged(number + 1)),
        }
    }
    Ok((events, good as u64))
}

/// Returns whether the line ends where a crash ended it: it has no line end, nor another byte in
/// its place behind a whole line.
fn is_torn(line: &[u8]) -> bool {
    let rotten_end = line
        .split_last()
        .is_some_and(|(_, line)| event(line).is_some());
    !line.ends_with(b"\n") && !rotten_end
}

fn parse(line: &[u8]) -> Option<Event> {
    event(line.strip_suffix(b"\n")?)
}

fn event(line: &[u8]) -> Option<Event> {
    let (sum, json) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum.strip_suffix(b" ")?).ok()?, 16).ok()?;
    if crc32fast::hash(json) != sum {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// Appends events in one write. `good` is the length that [`read`] found whole; anything behind it
/// is cut away.
///
/// # Errors
/// Those of the file system; then the file is as it was, as far as that can be had.
pub(super) fn append(mut file: &File, good: &mut u64, events: &[Event]) -> io::Result<()> {
    let mut lines = Vec::new();
    for event in events {
        let json = serde_json::to_string(event)?;
        writeln!(lines, "{:08x} {json}", crc32fast::hash(json.as_bytes()))?;
    }
    if file.metadata()?.len() > *good {
        file.set_len(*good)?;
    }
    file.seek(SeekFrom::Start(*good))?;
    match file.write_all(&lines) {
        Ok(()) => {
            *good += lines.len() as u64;
            Ok(())
        }
        Err(error) => {
            let _ = file.set_len(*good);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
