//! The ways a message travels.
//!
//! Promise: delivery is total. A [`Transport`] has no error of its own: whatever happens becomes a fate for every
//! recipient, in order, exactly once.
//!
//! From the wire upwards: `socket` waits, `dial` and `proxy` connect, `tls` encrypts for whom `trust` trusts, `reply` and `guard` keep the server
//! within bounds, `opening` greets, `session` is lettre's engine on top, `auth` logs in, `transaction` sends one message
//! with what `envelope` and `chunk` say, `progress` remembers whom it has reached, and `smtp` puts them together. `ledger` keeps books of all of it. `command` and `file` are the ways beside SMTP.
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub use self::ledger::Ledger;
use crate::delivery::{Line, Report};
use crate::message::Message;
use crate::settings::route::Route;

mod auth;
mod capability;
mod chunk;
mod command;
mod dial;
mod envelope;
mod file;
mod guard;
mod ledger;
mod opening;
mod progress;
mod proxy;
mod reply;
mod session;
mod smtp;
mod socket;
mod tls;
mod transaction;
mod trust;

#[cfg(test)]
mod tests;

/// Hears every line of the dialogue as it happens, secrets struck out.
pub type Trace = Arc<dyn Fn(&Line) + Send + Sync>;

/// What looks on while a message travels, and may end it.
#[derive(Clone, Default)]
pub struct Watch {
    /// Hears every line of the dialogue as it happens, secrets struck out.
    pub trace: Option<Trace>,
    /// The number of a signal that asks for the end; 0 for none. Looked at at least four times a second before the final
    /// dot; after it the reply is still awaited, for at most ten seconds from the signal.
    pub interrupt: Arc<AtomicUsize>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("interrupt", &self.interrupt).finish_non_exhaustive()
    }
}

/// Whether another message may follow on the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// This is the last one: QUIT may leave with the dot.
    Last,
    /// Another may follow.
    More,
}

/// An open way: connects when the first message is delivered, and keeps the connection for more.
///
/// Dropping it says goodbye to the server and waits for the answer, for `patience.quit` at most: note down what became
/// of the message before.
pub trait Transport {
    /// Delivers one message. Total: every recipient gets a fate, and is settled in the ledger exactly once (`&mut ()` keeps
    /// no books).
    fn deliver(&mut self, message: &Message, turn: Turn, ledger: &mut dyn Ledger) -> Report;
}

/// Opens a way. Nothing is connected, started or written before the first message.
pub fn open(route: &Route, watch: &Watch) -> Box<dyn Transport> {
    match route {
        Route::Smtp(server) => Box::new(smtp::Server::new(server, watch)),
        Route::Program(program) => Box::new(command::Sendmail::new(program, watch)),
        Route::File(path) => Box::new(file::Mailfile::new(Some(path), watch)),
        Route::Stdout => Box::new(file::Mailfile::new(None, watch)),
    }
}

/// Names a route in the words of a user, as [`Report::via`] does: `smtp.example.org:465 (implicit TLS)`.
pub fn describe(route: &Route) -> String {
    match route {
        Route::Smtp(server) => {
            let doors: Vec<String> = server.doors.iter().map(|door| smtp::place(server, *door)).collect();
            doors.join(", then ")
        }
        Route::Program(program) => program.path.display().to_string(),
        Route::File(path) => path.display().to_string(),
        Route::Stdout => "standard output".to_owned(),
    }
}

/// The watcher's ear.
#[derive(Clone, Default)]
pub(crate) struct Tell(Option<Trace>);

impl Tell {
    fn new(watch: &Watch) -> Self {
        Tell(watch.trace.clone())
    }

    fn line(&self, line: &Line) {
        if let Some(hear) = &self.0 {
            hear(line);
        }
    }

    fn note(&self, text: impl Into<String>) {
        self.line(&Line::Note(text.into()));
    }

    fn server(&self, line: &[u8]) {
        if self.0.is_some() {
            self.line(&Line::Server(reply::decode(line)));
        }
    }
}
