//! How far the text of a message is.
//!
//! Promise: the pieces go through unchanged; who listens hears at most ten words a second, and one
//! more at the end.
use std::io;
use std::time::{Duration, Instant};

use super::Progress;

/// The time between two words on how far a text is.
const TICK: Duration = Duration::from_millis(100);

/// The pieces of a message, counted as they are asked for: what was given before has left by then.
pub struct Metered<'p, I> {
    chunks: I,
    given: u64,
    size: u64,
    progress: Option<&'p Progress>,
    /// When the last word was; none before the first, which is at the beginning.
    told: Option<Instant>,
}

impl<'p, I> Metered<'p, I> {
    /// Counts the pieces of a message of this size.
    pub fn new(chunks: I, size: u64, progress: Option<&'p Progress>) -> Self {
        Metered {
            chunks,
            given: 0,
            size,
            progress,
            told: None,
        }
    }
}

impl<I: Iterator<Item = io::Result<Vec<u8>>>> Iterator for Metered<'_, I> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.chunks.next();
        if let Some(hear) = self.progress
            && (chunk.is_none() || self.told.is_none_or(|told| told.elapsed() >= TICK))
        {
            hear(self.given, self.size);
            self.told = Some(Instant::now());
        }
        if let Some(Ok(octets)) = &chunk {
            self.given += octets.len() as u64;
        }
        chunk
    }
}
