//! How far a message has come, whichever connections it takes.
//!
//! Promise: what is known of a recipient outlives the connection it was learned on, and nobody is
//! spoken for twice. A fault has its meaning when it becomes an outcome.
use std::collections::VecDeque;
use std::rc::Rc;

use crate::delivery::{Cause, Fault, Reply, Stage};
use crate::hints::Classifier;
use crate::transport::delivery_log::SettleOnce;

/// What became of one recipient.
pub(super) type Outcome = Result<Reply, Fault>;

/// The recipients of one message, and what has been learned of the server that bears on the rest of
/// them.
#[expect(clippy::struct_excessive_bools, reason = "each is learned by itself")]
pub(super) struct Recipients {
    /// Says what faults mean.
    pub classifier: Rc<Classifier>,
    /// One for each, in the order of the envelope; `None` while nothing is known.
    pub outcomes: Vec<Option<Outcome>>,
    /// Those still to be spoken for, in order. One may have an outcome that holds unless a better
    /// one comes.
    pub waiting: VecDeque<usize>,
    /// A transaction for some of them has ended.
    pub begun: bool,
    /// How many recipients the server takes in one transaction, once that was learned the hard way.
    pub room: Option<usize>,
    /// BDAT may be used (RFC 3030): it was not refused.
    pub chunking: bool,
    /// Commands that were sent together were swallowed.
    pub lockstep: bool,
    /// QUIT may leave with BDAT: so far there was room for all recipients at once.
    pub early_quit: bool,
}

impl Recipients {
    /// Begins, with as many recipients.
    pub(super) fn new(
        recipients: usize,
        chunking: bool,
        room: Option<usize>,
        classifier: Rc<Classifier>,
    ) -> Self {
        let waiting = (0..recipients).collect();
        Recipients {
            classifier,
            outcomes: vec![None; recipients],
            waiting,
            begun: false,
            room,
            chunking,
            lockstep: false,
            early_quit: true,
        }
    }

    /// The members of the next transaction: as many as there is room for. `announced` is what the
    /// server says itself.
    pub(super) fn next(&mut self, announced: Option<usize>) -> Vec<usize> {
        let room = self
            .room
            .into_iter()
            .chain(announced)
            .min()
            .unwrap_or(usize::MAX);
        self.waiting.drain(..room.min(self.waiting.len())).collect()
    }

    /// Lets these be the next.
    pub(super) fn first(&mut self, members: Vec<usize>) {
        members
            .into_iter()
            .rev()
            .for_each(|at| self.waiting.push_front(at));
    }

    /// Undoes a transaction of which nothing remains.
    pub(super) fn put_back(&mut self, members: Vec<usize>, before: Vec<(usize, Outcome)>) {
        for &at in &members {
            self.outcomes[at] = None;
        }
        for (at, outcome) in before {
            self.outcomes[at] = Some(outcome);
        }
        self.first(members);
    }

    /// Takes a limit of recipients in; returns whether it is news.
    pub(super) fn lower(&mut self, room: usize) -> bool {
        let is_news = self.room.is_none_or(|known| room < known);
        if is_news {
            self.room = Some(room);
        }
        is_news
    }

    /// Nobody is spoken for any more. Who has no outcome gets the fault; who was to wait for
    /// another transaction only waits still when the server wants none.
    pub(super) fn give_up(
        &mut self,
        members: &[usize],
        before: Vec<(usize, Outcome)>,
        fault: Fault,
    ) {
        let unwanted = fault.stage == Stage::Sender && self.begun;
        let fault = self.classifier.classify(match &fault.cause {
            // It has taken this sender before: what it refuses is the transaction.
            Cause::Refused(reply) if unwanted => {
                let why = format!(
                    "the server accepts no further transaction: {}",
                    reply.text()
                );
                Fault::new(Stage::Sender, Cause::Lost(why))
            }
            _ => fault,
        });
        for (at, outcome) in before.into_iter().filter(|_| unwanted) {
            self.outcomes[at].get_or_insert(outcome);
        }
        for &at in members {
            self.outcomes[at].get_or_insert_with(|| Err(fault.clone()));
        }
        for at in std::mem::take(&mut self.waiting) {
            let kept = self.outcomes[at].take().filter(|_| unwanted);
            self.outcomes[at] = Some(kept.unwrap_or_else(|| Err(fault.clone())));
        }
    }

    /// Settles every recipient in the log; one of whom nothing was heard was forgotten by the
    /// server.
    pub(super) fn settle(&mut self, once: &mut SettleOnce<'_>) {
        let fault = || Fault::new(Stage::Recipient, unanswered());
        let forgotten = || Err(self.classifier.classify(fault()));
        once.settle(
            self.outcomes
                .iter_mut()
                .map(|outcome| &*outcome.get_or_insert_with(forgotten))
                .enumerate(),
        );
    }

    /// Gives the outcomes; `ended` is that of those of whom nothing is known.
    pub(super) fn close(self, ended: Result<(), Fault>) -> Vec<Outcome> {
        let otherwise = ended.and(Err(Fault::new(Stage::Recipient, unanswered())));
        self.outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(|| otherwise.clone()))
            .collect()
    }
}

/// Why a recipient has no outcome: the server has forgotten it.
fn unanswered() -> Cause {
    Cause::Protocol("no reply for this recipient".into())
}
