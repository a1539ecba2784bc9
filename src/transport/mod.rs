//! The ways a message travels.
//!
//! Promise: delivery is total. A [`Transport`] has no error of its own: whatever happens becomes a fate for every
//! recipient, in order, exactly once.
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::delivery::{Line, Report};
use crate::message::Message;

/// What looks on while a message travels, and may end it.
#[derive(Clone, Default)]
pub struct Watch {
    /// Hears every line of the dialogue as it happens, secrets struck out.
    pub trace: Option<Arc<dyn Fn(&Line) + Send + Sync>>,
    /// The number of a signal that asks for the end; 0 for none. Looked at at least four times a second before the final
    /// dot; after it the reply is still awaited, for at most ten seconds from the signal.
    pub interrupt: Arc<AtomicUsize>,
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
pub trait Transport {
    /// Delivers one message. Total: every recipient gets a fate.
    fn deliver(&mut self, message: &Message, turn: Turn) -> Report;
}
