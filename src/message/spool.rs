//! Bytes that are kept until they are sent: small ones in memory, large ones in a file without a
//! name.
//!
//! Promise: memory stays flat however much is put in, and nothing of it is left on disk when the
//! process ends, in whatever way.
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use super::stored::Stored;
use super::tree::Piece;

/// What is kept in memory, in bytes.
const IN_MEMORY: usize = 1 << 20;

/// Takes bytes in.
#[derive(Debug, Default)]
pub(super) struct Spool {
    bytes: Vec<u8>,
    /// Once they are too many: the file, and how many have gone there.
    file: Option<(File, u64)>,
}

impl Spool {
    /// Puts bytes behind those that are there.
    pub(super) fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() <= IN_MEMORY {
            Ok(())
        } else {
            self.spill()
        }
    }

    /// What was put in, as a stretch of a message.
    pub(super) fn finish(mut self) -> io::Result<Piece> {
        if self.file.is_some() {
            self.spill()?;
        }
        Ok(match self.file {
            Some((file, length)) => Piece::Stored(Stored {
                file: Arc::new(file),
                offset: 0,
                length,
            }),
            None => Piece::Bytes(self.bytes),
        })
    }

    fn spill(&mut self) -> io::Result<()> {
        let (mut file, length) = match self.file.take() {
            Some(open) => open,
            None => (tempfile::tempfile()?, 0),
        };
        file.write_all(&self.bytes)?;
        self.file = Some((file, length + self.bytes.len() as u64));
        self.bytes.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_goes_to_a_file_and_comes_back_whole() {
        for length in [0, 10, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY + 7] {
            let bytes: Vec<u8> = (0..=250_u8).cycle().take(length).collect();
            let mut spool = Spool::default();
            bytes
                .chunks(100_000)
                .for_each(|chunk| spool.add(chunk).unwrap());
            let piece = spool.finish().unwrap();
            assert_eq!(matches!(piece, Piece::Stored(_)), length > IN_MEMORY);
            assert_eq!(piece.len(), length as u64);
            assert_eq!(
                piece
                    .chunks()
                    .collect::<io::Result<Vec<_>>>()
                    .unwrap()
                    .concat(),
                bytes
            );
        }
    }
}
