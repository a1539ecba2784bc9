//! The head of a mail taken apart as it came: its fields, with their exact bytes and what they
//! say.
//!
//! Promise: one reading for every mail that comes with a head, whoever hands it over. Lines end at
//! LF only, so that a CR inside a field never begins another; a mark of UTF-8, the line of an mbox
//! in front, folds and blanks before a colon are understood. Linear in the length of the head.
//! Refuses none, but says what ended it.
use std::collections::HashSet;
use std::io;
use std::ops::Range;

use super::charset::{self, Hints};

/// The longest line in bytes without its CRLF (RFC 5322 section 2.1.1).
const LONGEST_LINE: usize = 998;
/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// One field with its folds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Lines that end in CRLF. A CR or NUL that stood in one is still there.
    bytes: Vec<u8>,
    colon: usize,
}

impl Field {
    /// Begins a field with its first line, which has no end; `None` when the line begins none.
    pub fn begin(line: &[u8]) -> Option<Self> {
        let colon = line
            .iter()
            .position(|b| *b == b':')
            .filter(|_| is_field(line))?;
        let mut field = Field {
            bytes: Vec::with_capacity(line.len() + 2),
            colon,
        };
        field.extend(line);
        Some(field)
    }

    /// Adds a line, which has no end.
    pub fn extend(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Makes a field of a value that is written already.
    pub fn new(name: &str, value: &str) -> Self {
        Field {
            bytes: format!("{name}: {value}\r\n").into_bytes(),
            colon: name.len(),
        }
    }

    /// Its name, as it was written.
    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.colon])
            .unwrap_or_default()
            .trim_end()
    }

    /// Returns whether it has this name.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// Returns whether the name begins so.
    pub fn begins(&self, prefix: &str) -> bool {
        self.name()
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }

    /// Its exact bytes, with the CRLF of each line.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The value on one line, without blanks around it; encoded-words as they are.
    pub fn text(&self, fallback: &[String]) -> String {
        self.read(fallback).0
    }

    /// The same, with a note when its charset had to be assumed.
    pub fn read(&self, fallback: &[String]) -> (String, Option<String>) {
        let value = self.bytes[self.colon + 1..].trim_ascii();
        let mut flat = Vec::with_capacity(value.len());
        for (at, line) in value.split(|b| *b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // Behind a fold at least one blank is left of what may have been many.
            flat.extend_from_slice(if at == 0 {
                line
            } else {
                line.trim_ascii_start()
            });
            flat.push(b' ');
        }
        flat.pop();
        let (text, note) = charset::read(
            flat,
            Hints {
                fallback,
                ..Hints::default()
            },
        );
        (one_line(&text).trim().to_owned(), note)
    }

    /// Returns whether it cannot be sent as it is by any server: a control character, a line of
    /// blanks (which some take for the end of the head), or a line that is too long.
    pub fn is_flawed(&self) -> bool {
        self.bytes.split_inclusive(|b| *b == b'\n').any(|line| {
            let line = line.strip_suffix(b"\r\n").unwrap_or(line);
            line.len() > LONGEST_LINE
                || line.trim_ascii().is_empty()
                || line.iter().any(|b| b.is_ascii_control() && *b != b'\t')
        })
    }
}

/// What ended a head.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The end of the mail.
    AtEnd,
    /// A blank line.
    ByBlank,
    /// A line of the body.
    ByLine(Vec<u8>),
}

/// Reads the fields, up to so many bytes of them, and what ends them. `line` gives a line with its
/// end, of at most so many bytes; an empty one is the last.
///
/// # Errors
/// Those of `line`; [`io::ErrorKind::InvalidData`] for a head that is longer.
pub fn read(
    longest: u64,
    mut line: impl FnMut(u64) -> io::Result<Vec<u8>>,
) -> io::Result<(Vec<Field>, Ended)> {
    let mut fields: Vec<Field> = Vec::new();
    let mut left = longest;
    loop {
        let mut line = line(left + 1)?;
        // Editors of another system begin every file with a mark, which in front of a head is
        // nothing.
        if fields.is_empty() && line.strip_prefix(MARK).is_some_and(is_field) {
            line.drain(..MARK.len());
        }
        let text = bare(&line);
        let continues = text.starts_with(b" ") || text.starts_with(b"\t");
        if text.is_empty() {
            return Ok((
                fields,
                if line.is_empty() {
                    Ended::AtEnd
                } else {
                    Ended::ByBlank
                },
            ));
        }
        let belongs = continues && !fields.is_empty() || is_field(text);
        if !(belongs || fields.is_empty() && is_envelope_line(text)) {
            return Ok((fields, Ended::ByLine(line)));
        }
        left = left.checked_sub(line.len() as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the header of the message is longer than {} MiB",
                    longest >> 20
                ),
            )
        })?;
        match (fields.last_mut(), Field::begin(text)) {
            (Some(last), _) if continues => last.extend(text),
            (_, Some(field)) => fields.push(field),
            // The line of a mailbox file in front of a mail.
            _ => {}
        }
    }
}

/// Splits a head into its fields, up to a blank line or one that is neither field nor continuation.
pub fn split(head: &[u8]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for line in head.split_inclusive(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match fields.last_mut() {
            Some(last) if line.starts_with(b" ") || line.starts_with(b"\t") => last.extend(line),
            _ => match Field::begin(line) {
                Some(field) => fields.push(field),
                None => break,
            },
        }
    }
    fields
}

/// Where the topmost block of `Resent-` fields lies (RFC 5322 section 3.6.6); a name that comes
/// again begins the one below.
pub fn resent_block(fields: &[Field]) -> Range<usize> {
    let start = fields
        .iter()
        .position(|field| field.begins("resent-"))
        .unwrap_or(fields.len());
    let mut names = HashSet::new();
    let of_block =
        |field: &&Field| field.begins("resent-") && names.insert(field.name().to_ascii_lowercase());
    let length = fields[start..].iter().take_while(of_block).count();
    start..start + length
}

/// A line without its end. Some programs write CR CR LF.
pub fn bare(line: &[u8]) -> &[u8] {
    let mut line = line.strip_suffix(b"\n").unwrap_or(line);
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    line
}

/// Returns whether a line begins a field: `^[!-9;-~]+[ \t]*:`.
pub fn is_field(line: &[u8]) -> bool {
    let name = line
        .iter()
        .take_while(|b| b.is_ascii_graphic() && **b != b':')
        .count();
    let blanks = line[name..]
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    name > 0 && line.get(name + blanks) == Some(&b':')
}

/// Returns whether a line is `From ` of a mailbox file or of git, also quoted.
fn is_envelope_line(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|b| **b == b'>').count();
    line[quotes..].starts_with(b"From ")
}

/// Makes one line of a text: each run of line ends becomes a blank, and so does every other control
/// character but TAB, which no encoded-word may hold (RFC 2047 section 5).
pub fn one_line(text: &str) -> String {
    let is_end = |c: char| matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut out = String::with_capacity(text.len());
    let mut after_end = false;
    for c in text.chars() {
        if !(is_end(c) && after_end) {
            out.push(if is_end(c) || c.is_control() && c != '\t' {
                ' '
            } else {
                c
            });
        }
        after_end = is_end(c);
    }
    out
}
