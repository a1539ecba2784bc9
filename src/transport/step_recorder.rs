//! Records the steps of a session as they happen.
//!
//! Promise: every step that begins ends in one result, also where the session fails.
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::observer::{Event, Observer};
use super::steps::{Fact, Facts, Outcome, Step, StepResult};
use crate::delivery::Fault;

/// Times the steps of a session, keeps what is found in each, and tells an observer when it is
/// over.
#[derive(Clone)]
pub struct StepRecorder(Arc<Mutex<Recording>>);

struct Recording {
    since: Instant,
    facts: Facts,
    observer: Arc<dyn Observer>,
}

impl StepRecorder {
    pub(super) fn new(observer: Arc<dyn Observer>) -> Self {
        StepRecorder(Arc::new(Mutex::new(Recording {
            since: Instant::now(),
            facts: Facts::new(),
            observer,
        })))
    }

    fn with(&self, act: impl FnOnce(&mut Recording)) {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Another endpoint is tried.
    pub(super) fn endpoint(&self, place: String) {
        self.with(|recording| recording.observer.observe(Event::Endpoint(place)));
        self.begin();
    }

    /// A step begins; without this it is taken to begin where the one before ended.
    pub(super) fn begin(&self) {
        self.with(|recording| recording.since = Instant::now());
    }

    /// Something was found in the step under way.
    pub(super) fn fact(&self, label: &'static str, fact: Fact) {
        self.with(|recording| {
            recording.facts.retain(|(known, _)| *known != label);
            recording.facts.push((label, fact));
        });
    }

    /// The step under way is over.
    pub(super) fn over(&self, step: Step, outcome: Outcome) {
        self.with(|recording| {
            let facts = std::mem::take(&mut recording.facts);
            let took = recording.since.elapsed();
            recording.observer.observe(Event::Step(StepResult {
                step,
                took,
                facts,
                outcome,
            }));
            recording.since = Instant::now();
        });
    }

    /// The session ends with the step under way.
    pub(super) fn failed(&self, fault: &Fault) {
        self.over(Step::of(fault.stage), Outcome::Failed(fault.clone()));
    }
}

impl fmt::Debug for StepRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StepRecorder")
    }
}
