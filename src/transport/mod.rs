//! How a message travels.
//!
//! Promise: delivery is total. A [`Transport`] has no error of its own: whatever happens becomes a
//! result for every recipient, in order, exactly once.
//!
//! `net` connects and encrypts, `smtp` speaks on top of it. Beside them `sendmail` and `file` are
//! the other transports, and `https` fetches what a provider publishes. What they share: `observer`
//! and `steps` tell what happens, `redact` strikes secrets out, `line` guards what is sent,
//! `learned` is what the next connection of a run should know, `delivery_log` records before the
//! dot, and `rehearsal` tries all of it.

pub(crate) use self::delivery_log::DeliveryLog;
pub(crate) use self::learned::Learned;
pub(crate) use self::observer::{Event, Observer};
pub(crate) use self::redact::Redactor;
pub(crate) use self::run::{Reporter, RunContext};
pub(crate) use self::step_recorder::StepRecorder;
pub(crate) use self::steps::{Fact, Outcome, Step, StepResult};
use crate::delivery::Report;
use crate::message::Message;
use crate::route::Route;

mod delivery_log;
mod file;
pub(crate) mod https;
mod learned;
mod line;
mod net;
mod observer;
mod peer_text;
mod progress;
mod redact;
pub(crate) mod rehearsal;
mod run;
mod secrets;
mod sendmail;
mod smtp;
mod step_recorder;
pub(crate) mod steps;
pub(crate) mod tokens;

#[cfg(test)]
mod tests;

/// Whether another message may follow on the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionReuse {
    /// This is the last one: QUIT may leave with the dot.
    Last,
    /// Another may follow.
    More,
}

/// An open route: connects when the first message is delivered, and keeps the connection for more.
///
/// Dropping it says goodbye to the server and waits for the answer, for `timeouts.quit` at most:
/// note down what became of the message before.
pub trait Transport {
    /// Delivers one message. Total: every recipient gets a result, and is settled in the log
    /// exactly once (`&mut ()` keeps no log).
    fn deliver(
        &mut self,
        message: &Message,
        reuse: ConnectionReuse,
        log: &mut dyn DeliveryLog,
    ) -> Report;

    /// Sends one command at a time from now on: an attempt before this one came to nothing over
    /// several at once.
    fn go_in_lockstep(&mut self) {}
}

/// Opens a route. Nothing is connected, started or written before the first message.
pub(crate) fn open(route: &Route, context: &RunContext) -> Box<dyn Transport> {
    match route {
        Route::Smtp(server) => Box::new(smtp::Server::new(server, context)),
        Route::Program(program) => Box::new(sendmail::Sendmail::new(program, context)),
        Route::File(path) => Box::new(file::Mailfile::new(Some(path), context)),
        Route::Stdout => Box::new(file::Mailfile::new(None, context)),
    }
}

/// Names a route in the words of a user, as [`Report::via`] does: `smtp.example.org:465 (implicit
/// TLS)`.
pub(crate) fn describe(route: &Route) -> String {
    match route {
        Route::Smtp(server) => {
            let endpoints: Vec<String> = server
                .endpoints
                .iter()
                .map(|endpoint| smtp::place(server, *endpoint))
                .collect();
            endpoints.join(", then ")
        }
        Route::Program(program) => program.path.display().to_string(),
        Route::File(path) => path.display().to_string(),
        Route::Stdout => "standard output".to_owned(),
    }
}
