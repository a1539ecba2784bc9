//! The log that somebody keeps while a message travels, so that a crash at any moment leaves the
//! truth on disk.
//!
//! Promise: no final dot leaves before the log has agreed to it, and every recipient is settled
//! exactly once in a delivery, however it ends. The ways of sending speak to the log only
//! through [`SettleOnce`], which sees to both.
use std::io;

use crate::delivery::{Cause, Fault, Reply};
use crate::transport::peer_text::reason;

/// Keeps a log while a message travels: told before a final dot may leave, and as soon as its
/// answer is known.
pub trait DeliveryLog {
    /// About to send the final dot, or to hand the message over, for these recipients (their places
    /// in the envelope).
    ///
    /// A message that leaves together with its envelope has its dot there, for all who were not
    /// refused before.
    ///
    /// A message for many may go in several transactions, each with a dot of its own. Settled
    /// recipients may have had no dot, and a dot that was announced may not leave after all: then
    /// they are settled with a fault without doubt.
    ///
    /// # Errors
    /// Whatever keeps the log from being written. It stops the transaction before the dot, as
    /// [`Cause::Journal`].
    fn before_dot(&mut self, recipients: &[usize]) -> io::Result<()>;

    /// What became of these recipients: once for each in a delivery, and before anything but QUIT
    /// is sent or awaited after it is certain. A refused recipient is certain once the server has
    /// heard all recipients of its transaction.
    fn settled(&mut self, outcomes: &[(usize, &Result<Reply, Fault>)]);
}

/// Keeps no log.
impl DeliveryLog for () {
    fn before_dot(&mut self, _: &[usize]) -> io::Result<()> {
        Ok(())
    }

    fn settled(&mut self, _: &[(usize, &Result<Reply, Fault>)]) {}
}

/// A log and who is still to be settled in it.
pub(super) struct SettleOnce<'l> {
    log: &'l mut dyn DeliveryLog,
    open: Vec<bool>,
}

impl<'l> SettleOnce<'l> {
    /// Opens the log for as many recipients.
    pub(super) fn new(log: &'l mut dyn DeliveryLog, recipients: usize) -> Self {
        SettleOnce {
            log,
            open: vec![true; recipients],
        }
    }

    /// Asks whether the dot may leave for these.
    ///
    /// # Errors
    /// [`Cause::Journal`]: it may not.
    pub(super) fn before_dot(&mut self, recipients: &[usize]) -> Result<(), Cause> {
        self.log
            .before_dot(recipients)
            .map_err(|error| Cause::Journal(reason(&error)))
    }

    /// Asks whether a message may be handed over for all at once.
    ///
    /// # Errors
    /// As [`SettleOnce::before_dot`].
    pub(super) fn before_handover(&mut self) -> Result<(), Cause> {
        let all: Vec<usize> = (0..self.open.len()).collect();
        self.before_dot(&all)
    }

    /// Settles those of these recipients that are not settled yet, in one entry.
    pub(super) fn settle<'o>(
        &mut self,
        outcomes: impl Iterator<Item = (usize, &'o Result<Reply, Fault>)>,
    ) {
        let open = &mut self.open;
        // In a long list most of them are open, so that the upper bound is a good guess.
        let mut entry = Vec::with_capacity(outcomes.size_hint().1.unwrap_or(0));
        let news = outcomes.filter(|(at, _)| open.get_mut(*at).is_some_and(std::mem::take));
        entry.extend(news);
        if !entry.is_empty() {
            self.log.settled(&entry);
        }
    }

    /// Settles all that are left with one outcome.
    pub(super) fn close(&mut self, outcome: &Result<Reply, Fault>) {
        self.settle((0..self.open.len()).map(|at| (at, outcome)));
    }
}
