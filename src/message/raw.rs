//! Mail as a program hands it to sendmail(1): read as it really comes, completed, and nothing else
//! of it altered.
//!
//! Promise: no mail is refused for what it looks like, and none of it is lost: lines with any end,
//! no head, no blank line, no last line end, NUL, bytes over 127. A field and a leaf that can be
//! sent keep their exact bytes; what is missing is added on top; Bcc is never sent. Memory stays
//! flat: a body over 1 MiB lies in a file without a name. Refuses a head over 4 MiB.
mod complete;
mod repair;

use std::io::{self, BufRead, BufReader, Read};

pub use self::complete::Edits;
use super::spool::Spool;
use super::tree::Piece;
use crate::mime::charset::Survey;
use crate::mime::crlf::Canonical;
use crate::mime::head::{self, Ended, Field, bare, one_line, resent_block};

/// The longest head, in bytes: thousands of recipients with room to spare.
const LONGEST_HEAD: u64 = 4 << 20;

/// A mail that was read and is not completed yet.
#[derive(Debug)]
pub struct Raw {
    fields: Vec<Field>,
    body: Piece,
    /// What the body is, seen while it was read.
    survey: Survey,
}

impl Raw {
    /// Reads to the end. With `dot` a line of a lone dot ends it too, as a person at a terminal
    /// types it.
    ///
    /// # Errors
    /// Those of the reader and of the temporary file; [`io::ErrorKind::InvalidData`] for a head
    /// over 4 MiB.
    pub fn read(from: impl Read, dot: bool) -> io::Result<Raw> {
        let mut input = Input {
            reader: BufReader::with_capacity(64 << 10, from),
            dot,
        };
        let (fields, ended) = head::read(LONGEST_HEAD, |most| input.line(most))?;
        let mut sink = Sink::default();
        let mut next = match ended {
            Ended::AtEnd => None,
            Ended::ByBlank => input.block()?,
            Ended::ByLine(line) => Some(line),
        };
        while let Some(bytes) = next {
            sink.add(&bytes)?;
            next = input.block()?;
        }
        let (body, survey) = sink.finish()?;
        Ok(Raw {
            fields,
            body,
            survey,
        })
    }

    /// The values of all fields of a name, in order, each on one line; encoded-words as they are.
    /// What is not UTF-8 is read as Latin-1.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.fields
            .iter()
            .filter(|field| field.is(name))
            .map(|field| field.text(&[]))
            .collect()
    }

    /// Returns whether it was sent on by another person or program (RFC 5322 section 3.6.6).
    pub fn resent(&self) -> bool {
        !resent_block(&self.fields).is_empty()
    }

    /// The same as [`Raw::values`] of the last time it was sent on only: of the topmost `Resent-`
    /// fields, as far as no name comes again.
    pub fn resent_values(&self, name: &str) -> Vec<String> {
        let block = &self.fields[resent_block(&self.fields)];
        block
            .iter()
            .filter(|field| field.is(name))
            .map(|field| field.text(&[]))
            .collect()
    }

    /// Returns whether it has a DKIM-Signature (RFC 6376), which a change to a field or the body
    /// would break.
    pub fn is_signed(&self) -> bool {
        self.fields.iter().any(|field| field.is("dkim-signature"))
    }
}

struct Input<R> {
    reader: BufReader<R>,
    dot: bool,
}

impl<R: Read> Input<R> {
    /// A line with its end, of at most so many bytes; empty at the end.
    fn line(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.reader
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut line)?;
        if self.dot && bare(&line) == b"." {
            line.clear();
        }
        Ok(line)
    }

    /// What there is next, in whole lines where a dot may end it.
    fn block(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.dot {
            return Ok(Some(self.line(u64::MAX)?).filter(|line| !line.is_empty()));
        }
        let bytes = loop {
            match self.reader.fill_buf() {
                Ok(bytes) => break bytes.to_vec(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        self.reader.consume(bytes.len());
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

/// Takes the body in.
#[derive(Default)]
struct Sink {
    canonical: Canonical,
    spool: Spool,
    survey: Survey,
    out: Vec<u8>,
}

impl Sink {
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.clear();
        self.canonical.add(bytes, &mut self.out);
        self.survey.add(&self.out);
        self.spool.add(&self.out)
    }

    fn finish(mut self) -> io::Result<(Piece, Survey)> {
        self.out.clear();
        self.canonical.finish(&mut self.out);
        self.survey.add(&self.out);
        self.survey.finish();
        self.spool.add(&self.out)?;
        Ok((self.spool.finish()?, self.survey))
    }
}

/// Writes an id as a header and a log may show it.
fn shown_id(text: &str) -> String {
    one_line(text).trim().chars().take(900).collect()
}

#[cfg(test)]
mod tests;
