//! The ways a message travels.
//!
//! Promise: delivery is total. A [`Transport`] has no error of its own: whatever happens becomes a
//! result for every recipient, in order, exactly once.
//!
//! From the wire upwards: `socket` waits, `lookup`, `dial` and `proxy` connect, `tls` encrypts for
//! whom `trust` trusts, `encryption` says how strictly, `reply` and `guard` keep the server within
//! bounds, `redact` strikes secrets out of its words, `opening` greets, `session` is lettre's
//! engine on top, `auth` logs in, `transaction` sends one message with what `envelope` and `chunk`
//! say, in flights that `flight` plans, `recipients` remembers whom it has reached, and `smtp` puts them
//! together. `learned` is what the next connection of a run should know, `judged` tells what
//! refusals mean for later attempts, `probe` rehearses all of it, and `log` keeps a log of it.
//! `command` and `file` are the ways beside SMTP; `web` fetches what a provider publishes about
//! itself.
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub use self::delivery_log::DeliveryLog;
pub use self::learned::Learned;
pub use self::redact::Redactor;
use self::rehearsal::{Fact, Outcome, Step};
use crate::delivery::{Line, Report};
use crate::hints::Hint;
use crate::message::Message;
use crate::route::Route;

mod delivery_log;
mod file;
pub mod https;
mod judged;
mod learned;
mod line;
mod net;
mod peer_text;
mod progress;
mod redact;
pub mod rehearsal;
mod secrets;
mod sendmail;
mod smtp;

#[cfg(test)]
mod tests;

/// Hears every line of the dialogue as it happens, secrets struck out.
pub type Trace = Arc<dyn Fn(&Line) + Send + Sync>;

/// Hears how many octets of how many of a message have left.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Hears of a secret that is visibly of the wrong kind, before it is tried.
pub type Suspect = Arc<dyn Fn(&'static Hint) + Send + Sync>;

/// What looks on while a message travels, and may end it.
#[derive(Clone, Default)]
pub struct Watch {
    /// Hears every line of the dialogue as it happens, secrets struck out.
    pub trace: Option<Trace>,
    /// Hears how far the text of a message is, at most ten times a second, and when all of it has
    /// left.
    pub progress: Option<Progress>,
    /// Hears of a secret that is visibly of the wrong kind: once, when it was fetched and before it
    /// is sent.
    pub suspect: Option<Suspect>,
    /// The number of a signal that asks for the end; 0 for none. Looked at at least four times a
    /// second before the final dot; after it the reply is still awaited, for at most ten seconds
    /// from the signal.
    pub interrupt: Arc<AtomicUsize>,
    /// Hears the steps of a session, in a rehearsal.
    pub steps: Option<rehearsal::Ear>,
    /// The secrets that were sent, struck out of whatever is heard from then on.
    pub redactor: Redactor,
    /// What the run has learned of servers so far.
    pub learned: Arc<Learned>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("interrupt", &self.interrupt)
            .finish_non_exhaustive()
    }
}

/// Whether another message may follow on the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionReuse {
    /// This is the last one: QUIT may leave with the dot.
    Last,
    /// Another may follow.
    More,
}

/// An open way: connects when the first message is delivered, and keeps the connection for more.
///
/// Dropping it says goodbye to the server and waits for the answer, for `patience.quit` at most:
/// note down what became of the message before.
pub trait Transport {
    /// Delivers one message. Total: every recipient gets a result, and is settled in the log
    /// exactly once (`&mut ()` keeps no log).
    fn deliver(
        &mut self,
        message: &Message,
        turn: ConnectionReuse,
        log: &mut dyn DeliveryLog,
    ) -> Report;

    /// Sends one command at a time from now on: an attempt before this one came to nothing over
    /// several at once.
    fn go_in_lockstep(&mut self) {}
}

/// Opens a way. Nothing is connected, started or written before the first message.
pub fn open(route: &Route, watch: &Watch) -> Box<dyn Transport> {
    match route {
        Route::Smtp(server) => Box::new(judged::Judged::new(
            smtp::Server::new(server, watch),
            server.provider.clone(),
        )),
        Route::Program(program) => Box::new(sendmail::Sendmail::new(program, watch)),
        Route::File(path) => Box::new(file::Mailfile::new(Some(path), watch)),
        Route::Stdout => Box::new(file::Mailfile::new(None, watch)),
    }
}

/// Names a route in the words of a user, as [`Report::via`] does: `smtp.example.org:465 (implicit
/// TLS)`.
pub fn describe(route: &Route) -> String {
    match route {
        Route::Smtp(server) => {
            let doors: Vec<String> = server
                .doors
                .iter()
                .map(|door| smtp::place(server, *door))
                .collect();
            doors.join(", then ")
        }
        Route::Program(program) => program.path.display().to_string(),
        Route::File(path) => path.display().to_string(),
        Route::Stdout => "standard output".to_owned(),
    }
}

/// The watcher's ear.
#[derive(Clone, Default)]
pub(crate) struct Tell {
    trace: Option<Trace>,
    steps: Option<rehearsal::Ear>,
    redactor: Redactor,
}

impl Tell {
    fn new(watch: &Watch) -> Self {
        Tell {
            trace: watch.trace.clone(),
            steps: watch.steps.clone(),
            redactor: watch.redactor.clone(),
        }
    }

    /// Whether anybody hears of what happens on the way.
    fn is_heard(&self) -> bool {
        self.trace.is_some() || self.steps.is_some()
    }

    fn line(&self, line: &Line) {
        if let Some(hear) = &self.trace {
            hear(line);
        }
    }

    fn note(&self, text: impl Into<String>) {
        self.line(&Line::Note(text.into()));
    }

    fn server(&self, line: &[u8]) {
        if self.trace.is_some() {
            self.line(&Line::Server(peer_text::decode(line)));
        }
    }

    /// What follows is told only where a rehearsal listens.
    fn steps(&self, tell: impl FnOnce(&rehearsal::Ear)) {
        if let Some(ear) = &self.steps {
            tell(ear);
        }
    }

    fn fact(&self, label: &'static str, text: impl FnOnce() -> String) {
        self.steps(|ear| ear.fact(label, Fact::Text(text())));
    }

    fn passed(&self, step: Step) {
        self.steps(|ear| ear.over(step, Outcome::Passed));
    }
}
