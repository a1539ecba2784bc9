//! How far a message has come, whichever connections it takes.
//!
//! Promise: what is known of a recipient outlives the connection it was learned on, and nobody is spoken for twice.
use super::ledger::Books;
use crate::delivery::{Cause, Fault, Reply, Stage};

/// What became of one recipient.
pub type Outcome = Result<Reply, Fault>;

/// The recipients of one message, and what has been learned of the server that bears on the rest of them.
pub struct Reach {
    /// One for each, in the order of the envelope; `None` while nothing is known.
    pub outcomes: Vec<Option<Outcome>>,
    /// Those still to be spoken for, in order. One may have an outcome that holds unless a better one comes.
    pub members: Vec<usize>,
    /// BDAT may be used (RFC 3030): it was not refused.
    pub chunking: bool,
    /// QUIT may leave with BDAT: so far there was room for all recipients at once.
    pub early_quit: bool,
}

impl Reach {
    /// Begins, with as many recipients.
    pub fn new(recipients: usize, chunking: bool) -> Self {
        Reach { outcomes: vec![None; recipients], members: (0..recipients).collect(), chunking, early_quit: true }
    }

    /// Settles every recipient in the books; one of whom nothing was heard was forgotten by the server.
    pub fn settle(&mut self, books: &mut Books<'_>) {
        let why = || Cause::Protocol("no reply for this recipient".into());
        let forgotten = || Err(Fault::new(Stage::Recipient, why()));
        books.settle(self.outcomes.iter_mut().map(|outcome| &*outcome.get_or_insert_with(forgotten)).enumerate());
    }

    /// Gives the outcomes; those of whom nothing is known get this one.
    pub fn close(self, otherwise: &Outcome) -> Vec<Outcome> {
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| otherwise.clone())).collect()
    }
}
