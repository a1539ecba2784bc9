//! What happens while a message travels, told to whoever observes it.
//!
//! Promise: there is one observer and one list of events; an event that nobody wants is not
//! prepared. Lines are shown only after secrets were struck out of them.
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::peer_text::decode;
use super::steps::{Fact, Outcome, Step, StepRecorder, StepResult};
use super::{Learned, Redactor};
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
    /// A secret is visibly of the wrong kind: told once, after it was fetched and before it is sent.
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

/// What the deliveries of a run share.
#[derive(Clone, Default)]
pub struct RunContext {
    /// Is told what happens.
    pub observer: Option<Arc<dyn Observer>>,
    /// The number of a signal that asks for the end; 0 for none. Looked at at least four times a
    /// second before the final dot; after it the reply is still awaited, for at most ten seconds
    /// from the signal.
    pub interrupt: Arc<AtomicUsize>,
    /// Records the steps of a session, in a rehearsal.
    pub steps: Option<StepRecorder>,
    /// The secrets that were sent, struck out of whatever comes from then on.
    pub redactor: Redactor,
    /// What the run has learned of servers so far.
    pub learned: Arc<Learned>,
}

impl RunContext {
    /// Returns the same run without anybody who observes it.
    pub(super) fn unobserved(&self) -> Self {
        RunContext {
            observer: None,
            steps: None,
            ..self.clone()
        }
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext")
            .field("interrupt", &self.interrupt)
            .finish_non_exhaustive()
    }
}

/// Tells the observer of the dialogue, and the recorder of steps.
#[derive(Clone, Default)]
pub(crate) struct Reporter {
    dialogue: Option<Arc<dyn Observer>>,
    pub(super) steps: Option<StepRecorder>,
    pub(super) redactor: Redactor,
}

impl Reporter {
    pub(super) fn new(context: &RunContext) -> Self {
        Reporter {
            dialogue: context
                .observer
                .clone()
                .filter(|observer| observer.wants_dialogue()),
            steps: context.steps.clone(),
            redactor: context.redactor.clone(),
        }
    }

    /// Returns whether anybody is told of anything.
    pub(super) fn is_heard(&self) -> bool {
        self.dialogue.is_some() || self.steps.is_some()
    }

    pub(super) fn line(&self, line: &Line) {
        if let Some(observer) = &self.dialogue {
            observer.observe(Event::Line(line));
        }
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        self.line(&Line::Note(text.into()));
    }

    pub(super) fn server(&self, line: &[u8]) {
        if self.dialogue.is_some() {
            self.line(&Line::Server(decode(line)));
        }
    }

    /// Calls `record` only where steps are recorded.
    pub(super) fn steps(&self, record: impl FnOnce(&StepRecorder)) {
        if let Some(steps) = &self.steps {
            record(steps);
        }
    }

    pub(super) fn fact(&self, label: &'static str, text: impl FnOnce() -> String) {
        self.steps(|steps| steps.fact(label, Fact::Text(text())));
    }

    pub(super) fn passed(&self, step: Step) {
        self.steps(|steps| steps.over(step, Outcome::Passed));
    }
}
