//! What happens while a message travels, told to whoever observes it.
//!
//! Promise: there is one observer and one list of events; an event that nobody wants is not
//! prepared. Lines are shown only after secrets were struck out of them.
use super::steps::StepResult;
use crate::delivery::Line;
use crate::hints::Hint;

/// Something that happens.
pub enum Event<'e> {
    /// A line of the dialogue, secrets struck out.
    Line(&'e Line),
    /// How many bytes of how many of a message have left: at most ten times a second, and when all
    /// of it has.
    Progress {
        /// How many have left.
        sent: u64,
        /// How many there are.
        size: u64,
    },
    /// A secret is visibly of the wrong kind: told once, after it was fetched and before it is
    /// sent.
    UnlikelySecret(&'static Hint),
    /// The steps that follow are those of this endpoint, in the words of a user.
    Endpoint(String),
    /// A step of a rehearsal is over.
    Step(StepResult),
}

/// Is told what happens, as it happens.
pub trait Observer: Send + Sync {
    /// Takes an event.
    fn observe(&self, event: Event<'_>);

    /// Returns whether lines of the dialogue are wanted.
    fn wants_dialogue(&self) -> bool {
        true
    }

    /// Returns whether progress is wanted.
    fn wants_progress(&self) -> bool {
        true
    }
}

impl<F: Fn(Event<'_>) + Send + Sync> Observer for F {
    fn observe(&self, event: Event<'_>) {
        self(event);
    }
}
