//! A message that lies in a file as it goes over the wire.
//!
//! Promise: the octets of one range, read by position while they are sent, so that several readers may share the file and
//! a message may be of any size. A file that ends before the range does is an error, never half a message.
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::tree::CHUNK;

/// A range of an open file.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) file: Arc<File>,
    /// Where it begins, in octets.
    pub(super) offset: u64,
    /// How many octets it has.
    pub(super) length: u64,
}

impl Stored {
    /// It in blocks of [`CHUNK`] octets. A block may be an error.
    pub(super) fn blocks(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> + '_ {
        (0..self.length.div_ceil(CHUNK as u64)).map(|at| self.block(at * CHUNK as u64))
    }

    fn block(&self, start: u64) -> io::Result<Vec<u8>> {
        let cut = |known: u64| {
            let text = format!("the stored message has {known} octets where {} were written", self.length);
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        };
        let size = usize::try_from(self.length - start).unwrap_or(CHUNK).min(CHUNK);
        let mut octets = vec![0; size];
        // No file reaches as far as a position that is no number any more.
        let place = self.offset.checked_add(start).ok_or_else(|| cut(0))?;
        match self.file.read_exact_at(&mut octets, place) {
            Ok(()) => Ok(octets),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(cut(self.file.metadata()?.len().saturating_sub(self.offset)))
            }
            Err(error) => Err(io::Error::new(error.kind(), format!("the stored message cannot be read: {error}"))),
        }
    }
}
