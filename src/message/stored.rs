//! A message that lies in a file as it goes over the wire.
//!
//! Promise: the bytes of one range, read by position while they are sent, so that several readers
//! may share the file and a message may be of any size. A file that ends before the range does is
//! an error, never half a message.
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::CHUNK;

/// A range of an open file.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) file: Arc<File>,
    /// Where it begins, in bytes.
    pub(super) offset: u64,
    /// How many bytes it has.
    pub(super) length: u64,
}

impl Stored {
    /// It in blocks of [`CHUNK`] bytes. A block may be an error.
    pub(super) fn blocks(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> + '_ {
        (0..self.length.div_ceil(CHUNK as u64)).map(|at| self.block(at * CHUNK as u64))
    }

    fn block(&self, start: u64) -> io::Result<Vec<u8>> {
        let cut = |known: u64| {
            let text = format!(
                "the stored message has {known} bytes; expected {}",
                self.length
            );
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        };
        let size = usize::try_from(self.length - start)
            .unwrap_or(CHUNK)
            .min(CHUNK);
        let mut bytes = vec![0; size];
        // No file reaches as far as the last position there is.
        match self
            .file
            .read_exact_at(&mut bytes, self.offset.saturating_add(start))
        {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(cut(self.file.metadata()?.len().saturating_sub(self.offset)))
            }
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("cannot read the stored message: {error}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::address::Address;
    use crate::message::{Envelope, Message};

    /// A message of `length` bytes that begins `offset` bytes into a file.
    fn message(bytes: &[u8], offset: u64, length: u64) -> Message {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let envelope = Envelope {
            sender: None,
            recipients: vec![Address::parse("you@b.test").unwrap()],
            ..Envelope::default()
        };
        Message::from_file(
            "<1@a.test>".into(),
            envelope,
            Arc::new(file),
            offset,
            length,
            true,
            false,
        )
    }

    #[test]
    fn a_stored_message_is_its_range_of_the_file_as_often_as_it_is_read() {
        let wire = "Subject: é\r\n\r\n0123456789\r\n"
            .repeat(20_000)
            .into_bytes();
        let stored = [b"header of the queue\n", wire.as_slice(), b"what follows"].concat();
        let message = message(&stored, 20, wire.len() as u64);
        assert_eq!(message.size(), wire.len() as u64);
        assert!(message.eight_bit && !message.needs_smtputf8());
        assert!(message.seven_bit().is_some_and(|seven| !seven.eight_bit));
        for _ in 0..2 {
            let chunks: Vec<Vec<u8>> = message.chunks().collect::<io::Result<_>>().unwrap();
            assert!(
                chunks
                    .iter()
                    .all(|chunk| (1..=CHUNK).contains(&chunk.len()))
            );
            assert_eq!(chunks.len(), wire.len().div_ceil(CHUNK));
            assert_eq!(chunks.concat(), wire);
        }
        assert_eq!(self::message(&stored, 20, 0).chunks().count(), 0);
    }

    #[test]
    fn a_file_that_ends_before_the_message_does_is_an_error() {
        let error = |offset, length| {
            let mut out = Vec::new();
            message(&[b'x'; 1000], offset, length)
                .write_to(&mut out)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(10, 991),
            "the stored message has 990 bytes; expected 991"
        );
        assert_eq!(error(2000, 1), "the stored message has 0 bytes; expected 1");
        assert!(error(u64::MAX, u64::MAX).starts_with("cannot read the stored message"));
    }
}
