//! How far the text of a message is.
//!
//! Promise: the pieces go through unchanged; who listens hears at most ten words a second, and one
//! more at the end.
use std::io;
use std::time::{Duration, Instant};

use super::{Event, Observer};

/// The time between two words on how far a text is.
const TICK: Duration = Duration::from_millis(100);

/// The pieces of a message, counted as they are asked for: what was given before has left by then.
pub(super) struct Metered<'p, I> {
    chunks: I,
    given: u64,
    size: u64,
    observer: Option<&'p dyn Observer>,
    /// When the last word was; none before the first, which is at the beginning.
    told: Option<Instant>,
}

impl<'p, I> Metered<'p, I> {
    /// Counts the pieces of a message of this size.
    pub(super) fn new(chunks: I, size: u64, observer: Option<&'p dyn Observer>) -> Self {
        Metered {
            chunks,
            given: 0,
            size,
            observer,
            told: None,
        }
    }
}

impl<I: Iterator<Item = io::Result<Vec<u8>>>> Iterator for Metered<'_, I> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.chunks.next();
        if let Some(observer) = self.observer
            && (chunk.is_none() || self.told.is_none_or(|told| told.elapsed() >= TICK))
        {
            observer.observe(Event::Progress {
                sent: self.given,
                size: self.size,
            });
            self.told = Some(Instant::now());
        }
        if let Some(Ok(bytes)) = &chunk {
            self.given += bytes.len() as u64;
        }
        chunk
    }
}
