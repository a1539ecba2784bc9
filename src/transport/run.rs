//! What the deliveries of a run share, and how they report what happens.
//!
//! Promise: lines are shown only after secrets were struck out of them; a step is recorded only
//! where somebody asked for it.
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::observer::{Event, Observer};
use super::peer_text::decode;
use super::step_recorder::StepRecorder;
use super::steps::{Fact, Outcome, Step};
use super::{Learned, Redactor};
use crate::delivery::Line;

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
