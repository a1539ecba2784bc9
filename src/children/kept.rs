//! What a program prints, read without waiting: a bounded part is kept, the rest is dropped.
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use zeroize::Zeroizing;

/// What is read at once, in bytes.
const BLOCK: usize = 16 << 10;
/// The most blocks that are read in a row, so that a flood does not keep the deadline from being
/// seen.
const MOST_BLOCKS: usize = 64;

/// Which part is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The first bytes; more are an error ([`Kept::is_over`]).
    First,
    /// The last bytes.
    Last,
}

/// A pipe from a program, and what came through it.
pub(super) struct Kept {
    pipe: Option<std::fs::File>,
    part: Part,
    most: usize,
    over: bool,
    bytes: Zeroizing<Vec<u8>>,
}

impl Kept {
    pub(super) fn new<P: Into<OwnedFd>>(pipe: Option<P>, part: Part, most: usize) -> Self {
        let pipe = pipe.map(|pipe| std::fs::File::from(pipe.into()));
        // A secret must not be left behind in memory that was too small for it.
        let room = match part {
            Part::First if pipe.is_some() => most + BLOCK,
            _ => 0,
        };
        Kept {
            pipe,
            part,
            most,
            over: false,
            bytes: Zeroizing::new(Vec::with_capacity(room)),
        }
    }

    /// Returns whether more may come.
    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Returns whether more came than is kept of the first part.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn take(&mut self) -> Zeroizing<Vec<u8>> {
        std::mem::take(&mut self.bytes)
    }

    /// Reads what is there.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        let mut block = Zeroizing::new([0; BLOCK]);
        for _ in 0..MOST_BLOCKS {
            let Some(pipe) = &mut self.pipe else {
                return Ok(());
            };
            match pipe.read(&mut *block) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.keep(&block[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn keep(&mut self, block: &[u8]) {
        match self.part {
            Part::First => {
                let room = self.most.saturating_sub(self.bytes.len()).min(block.len());
                self.bytes.extend_from_slice(&block[..room]);
                self.over |= room < block.len();
            }
            Part::Last => {
                self.bytes.extend_from_slice(block);
                if self.bytes.len() > 2 * self.most {
                    let surplus = self.bytes.len() - self.most;
                    self.bytes.drain(..surplus);
                }
            }
        }
    }
}
