//! A file that is read while the mail is sent, and may be written meanwhile.
//!
//! Promise: it is sent as long as it was when it was opened, whatever became of it since, and as
//! often as it is asked for: what was added later stays out. Where it was cut, a line in its place
//! says so, and line ends fill the room, as the length of a mail is announced before it is sent.
//! Read a block at a time and by position: memory stays flat.
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::draft::Attachment;
use crate::mime::transfer::{self, LINE};

/// The bytes of one block: whole lines of base64, and not over 128 KiB when encoded.
pub(super) const BLOCK: u64 = LINE.0 as u64 * 1680;
/// What is read at once of a file that is looked at.
const LOOK: u64 = 64 << 10;

/// An open file and the length it had.
#[derive(Debug, Clone)]
pub(super) struct Source {
    file: Arc<File>,
    path: PathBuf,
    length: u64,
    /// Where it was found to end too early; [`u64::MAX`] as long as it was not.
    cut: Arc<AtomicU64>,
}

impl Source {
    pub(super) fn of(attachment: &Attachment) -> Self {
        Source {
            file: attachment.file.clone(),
            path: attachment.path.clone(),
            length: attachment.length,
            cut: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// Its bytes.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// The bytes of it on the wire.
    pub(super) fn encoded_len(&self) -> u64 {
        transfer::base64_len(self.length)
    }

    /// It in base64, block by block. A block may be an error.
    pub(super) fn blocks(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> + '_ {
        (0..self.length.div_ceil(BLOCK)).map(|at| {
            let start = at * BLOCK;
            Ok(transfer::base64(
                &self.read(start, BLOCK.min(self.length - start))?,
            ))
        })
    }

    /// It as it is, in pieces.
    pub(super) fn bytes(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> + '_ {
        let starts = (0..self.length.div_ceil(LOOK)).map(|at| at * LOOK);
        starts.map(|start| self.read(start, LOOK.min(self.length - start)))
    }

    /// A stretch of what it was. What is there no more is filled.
    pub(super) fn read(&self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let mut have = 0;
        while have < bytes.len() {
            match self.file.read_at(&mut bytes[have..], start + have as u64) {
                Ok(0) => {
                    self.fill(&mut bytes[have..], start + have as u64);
                    break;
                }
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(io::Error::new(
                        error.kind(),
                        format!("`{}` cannot be read: {error}", self.shown()),
                    ));
                }
            }
        }
        Ok(bytes)
    }

    fn fill(&self, room: &mut [u8], at: u64) {
        room.fill(b'\n');
        if self.cut.fetch_min(at, Ordering::Relaxed) < at {
            return;
        }
        let words = format!(
            "\n[smail: this file had {} bytes when it was opened and {at} when it was read]\n",
            self.length
        );
        let width = words.len().min(room.len());
        room[..width].copy_from_slice(&words.as_bytes()[..width]);
    }

    /// Returns whether it was found shorter than it was.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed) != u64::MAX
    }

    /// What is to be told of it once it was sent, as a lowercase fragment.
    pub(super) fn note(&self) -> Option<String> {
        let at = Some(self.cut.load(Ordering::Relaxed)).filter(|at| *at != u64::MAX)?;
        let (shown, length) = (self.shown(), self.length);
        Some(format!(
            "`{shown}` had {length} bytes when it was opened and {at} when it was read; the rest was padded"
        ))
    }

    fn shown(&self) -> String {
        crate::text::word(&self.path.display().to_string()).into_owned()
    }

    /// Returns whether all of it is UTF-8.
    pub(super) fn is_utf8(&self) -> io::Result<bool> {
        let mut carry = Vec::new();
        for bytes in self.bytes() {
            carry.extend(bytes?);
            match std::str::from_utf8(&carry) {
                Ok(_) => carry.clear(),
                Err(error) if error.error_len().is_none() => {
                    drop(carry.drain(..error.valid_up_to()));
                }
                Err(_) => return Ok(false),
            }
        }
        Ok(carry.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::attachment::tests::attached;

    fn source(bytes: &[u8], length: u64) -> Source {
        Source::of(&Attachment {
            length,
            ..attached("a.bin", bytes)
        })
    }

    #[test]
    fn a_file_is_encoded_block_by_block_as_if_at_once() {
        for length in [0, 1, 56, 57, 58, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 31 % 251) as u8).collect();
            let source = source(&bytes, length);
            for _ in 0..2 {
                let blocks: Vec<Vec<u8>> = source.blocks().map(Result::unwrap).collect();
                assert!(blocks.iter().all(|block| block.len() <= 128 << 10));
                assert_eq!(blocks.concat(), transfer::base64(&bytes));
                assert_eq!(blocks.concat().len() as u64, source.encoded_len());
            }
        }
    }

    #[test]
    fn of_a_file_that_grew_what_was_there_is_sent() {
        for (now, before) in [(11, 10), (1, 0), (200_000, 100_000), (BLOCK + 1, BLOCK)] {
            let source = source(&vec![b'x'; usize::try_from(now).unwrap()], before);
            let sent: Vec<u8> = source.blocks().flat_map(Result::unwrap).collect();
            assert_eq!(
                sent,
                transfer::base64(&vec![b'x'; usize::try_from(before).unwrap()])
            );
            assert_eq!(source.note(), None);
        }
    }

    #[test]
    fn a_file_that_was_cut_says_so_in_its_place() {
        let words = |length: u64, at: u64| {
            format!(
                "\n[smail: this file had {length} bytes when it was opened and {at} when it was read]\n"
            )
        };
        for (now, before) in [(0, 200_u64), (10, 11), (100, 200_000), (100_000, 300_000)] {
            let source = source(&vec![b'x'; usize::try_from(now).unwrap()], before);
            let mut wanted = [
                vec![b'x'; usize::try_from(now).unwrap()],
                words(before, now).into_bytes(),
            ]
            .concat();
            wanted.resize(usize::try_from(before).unwrap(), b'\n');
            for _ in 0..2 {
                let sent: Vec<u8> = source.bytes().flat_map(Result::unwrap).collect();
                assert!(sent == wanted, "{now} of {before}");
            }
            let note = format!(
                "`a.bin` had {before} bytes when it was opened and {now} when it was read; the rest was padded"
            );
            assert_eq!(source.note(), Some(note));
        }
    }

    #[test]
    fn a_file_that_is_cut_between_two_blocks_keeps_its_length() {
        let source = source(&vec![b'x'; 300_000], 300_000);
        let mut blocks = source.blocks();
        let first = blocks.next().unwrap().unwrap();
        source.file.set_len(10).unwrap();
        let rest: Vec<u8> = blocks.flat_map(Result::unwrap).collect();
        assert_eq!((first.len() + rest.len()) as u64, source.encoded_len());
        assert!(source.is_cut());
    }
}
