//! Mail as a program hands it to sendmail(1): read as it really comes, completed, and nothing else of it altered.
//!
//! Promise: no mail is refused for what it looks like, and none of it is lost: lines with any end, no head, no blank line, no last
//! line end, NUL, octets over 127. A field and a leaf that can be sent keep their exact octets; what is missing is added on
//! top; Bcc is never sent. Memory stays flat: a body over 1 MiB lies in a file without a name. Refuses a head over 4 MiB.
mod complete;
mod repair;

use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

pub use self::complete::Edits;
use super::field::{self, Field};
use super::header;
use super::spool::Spool;
use super::tree::Piece;
use super::wire::Canonical;
use crate::charset::Survey;

/// The longest head, in octets: thousands of recipients with room to spare.
const LONGEST_HEAD: u64 = 4 << 20;
/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A mail that was read and is not completed yet.
#[derive(Debug)]
pub struct Raw {
    fields: Vec<Field>,
    body: Piece,
    /// What the body is, seen while it was read.
    survey: Survey,
}

impl Raw {
    /// Reads to the end. With `dot` a line of a lone dot ends it too, as a person at a terminal types it.
    ///
    /// # Errors
    /// Those of the reader and of the temporary file; [`io::ErrorKind::InvalidData`] for a head over 4 MiB.
    pub fn read(from: impl Read, dot: bool) -> io::Result<Raw> {
        let mut input = Input { reader: BufReader::with_capacity(64 << 10, from), dot };
        let (fields, first) = read_head(&mut input)?;
        let mut sink = Sink::default();
        let mut next = match first {
            First::End => None,
            First::Blank => input.block()?,
            First::Line(line) => Some(line),
        };
        while let Some(octets) = next {
            sink.add(&octets)?;
            next = input.block()?;
        }
        let (body, survey) = sink.finish()?;
        Ok(Raw { fields, body, survey })
    }

    /// The values of all fields of a name, in order, each on one line; encoded-words as they are. What is not UTF-8 is read as Latin-1.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.fields.iter().filter(|field| field.is(name)).map(|field| field.text(&[])).collect()
    }

    /// Tells whether it was sent on by another person or program (RFC 5322 section 3.6.6).
    pub fn resent(&self) -> bool {
        !resent_block(&self.fields).is_empty()
    }

    /// The same as [`Raw::values`] of the last time it was sent on only: of the topmost `Resent-` fields, as far as no name comes again.
    pub fn resent_values(&self, name: &str) -> Vec<String> {
        let block = &self.fields[resent_block(&self.fields)];
        block.iter().filter(|field| field.is(name)).map(|field| field.text(&[])).collect()
    }

    /// Tells whether it has a DKIM-Signature (RFC 6376), which a change to a field or the body would break.
    pub fn is_signed(&self) -> bool {
        self.fields.iter().any(|field| field.is("dkim-signature"))
    }
}

/// Where the topmost block of `Resent-` fields lies; a name that comes again begins the one below.
fn resent_block(fields: &[Field]) -> Range<usize> {
    let start = fields.iter().position(|field| field.begins("resent-")).unwrap_or(fields.len());
    let mut end = start;
    while end < fields.len()
        && fields[end].begins("resent-")
        && !fields[start..end].iter().any(|field| field.is(fields[end].name()))
    {
        end += 1;
    }
    start..end
}

struct Input<R> {
    reader: BufReader<R>,
    dot: bool,
}

impl<R: Read> Input<R> {
    /// A line with its end, of at most so many octets; empty at the end.
    fn line(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.reader.by_ref().take(most).read_until(b'\n', &mut line)?;
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
        let octets = loop {
            match self.reader.fill_buf() {
                Ok(octets) => break octets.to_vec(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        self.reader.consume(octets.len());
        Ok(Some(octets).filter(|octets| !octets.is_empty()))
    }
}

/// A line without its end. Some programs write CR CR LF.
fn bare(line: &[u8]) -> &[u8] {
    let mut line = line.strip_suffix(b"\n").unwrap_or(line);
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    line
}

/// What ended a head.
enum First {
    /// The end of the mail.
    End,
    /// A blank line.
    Blank,
    /// A line of the body.
    Line(Vec<u8>),
}

/// Reads the fields, and what ends them.
///
/// Lines end at LF only here: a CR alone inside a field must not begin another one.
fn read_head<R: Read>(input: &mut Input<R>) -> io::Result<(Vec<Field>, First)> {
    let mut fields: Vec<Field> = Vec::new();
    let mut left = LONGEST_HEAD;
    loop {
        let mut line = input.line(left + 1)?;
        // Editors of another system begin every file with a mark, which in front of a head is nothing.
        if fields.is_empty() && line.strip_prefix(MARK).is_some_and(field::is_field) {
            line.drain(..MARK.len());
        }
        let text = bare(&line);
        let continues = text.starts_with(b" ") || text.starts_with(b"\t");
        if text.is_empty() {
            return Ok((fields, if line.is_empty() { First::End } else { First::Blank }));
        }
        let belongs = continues && !fields.is_empty() || field::is_field(text);
        if !(belongs || fields.is_empty() && is_envelope_line(text)) {
            return Ok((fields, First::Line(line)));
        }
        left = left
            .checked_sub(line.len() as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the head of the mail is longer than 4 MiB"))?;
        match (fields.last_mut(), Field::begin(text)) {
            (Some(last), _) if continues => last.extend(text),
            (_, Some(field)) => fields.push(field),
            // The line of a mailbox file in front of a mail.
            _ => {}
        }
    }
}

/// Tells whether a line is `From ` of a mailbox file or of git, also quoted.
fn is_envelope_line(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|b| **b == b'>').count();
    line[quotes..].starts_with(b"From ")
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
    fn add(&mut self, octets: &[u8]) -> io::Result<()> {
        self.out.clear();
        self.canonical.add(octets, &mut self.out);
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
    header::one_line(text).trim().chars().take(900).collect()
}

#[cfg(test)]
mod tests;
