//! A ready mail put into another form: one that any server can take, or one of seven bits.
//!
//! Promise: only what must change does: leaves with lines that are too long, with NUL, or (for
//! seven bits) with bytes over 127 are encoded (RFC 2045), and their heads say so; every other
//! byte stays. What is unchanged stays where it lies, in memory or in a file; what is encoded goes
//! to memory up to 1 MiB and to a file without a name beyond that. Multiparts and messages are
//! never encoded themselves (RFC 2045 section 6.4), only their leaves.
use std::io;
use std::ops::Range;

use super::CHUNK;
use super::spool::Spool;
use super::stored::Stored;
use super::tree::Piece;
use crate::mime::recode::{Change, Edit, Encoder, Form, How, head, survey};

/// A mail in its new form.
#[derive(Debug)]
pub(super) struct Recoded {
    pub(super) pieces: Vec<Piece>,
    /// It holds bytes over 127.
    pub(super) eight_bit: bool,
    /// A leaf was encoded.
    pub(super) encoded: bool,
}

/// Puts a mail into a form. Its bytes have canonical line ends.
///
/// # Errors
/// Those of reading it, and of the file that what is encoded goes to.
pub(super) fn recode(pieces: &[Piece], form: Form) -> io::Result<Recoded> {
    let found = survey(pieces.iter().flat_map(Piece::chunks), form)?;
    let mut eight_bit = found.eight_bit;
    let mut out = Vec::new();
    let mut at = 0;
    let mut mail = Slicer { pieces, begin: 0 };
    for edit in &found.edits {
        mail.slice(at..edit.range.start, &mut out);
        let piece = apply(&mut mail, edit, form)?;
        eight_bit |= matches!((&edit.change, &piece), (Change::Head { .. }, Piece::Bytes(head)) if !head.is_ascii());
        push(piece, &mut out);
        at = edit.range.end;
    }
    mail.slice(at..u64::MAX, &mut out);
    let encoded = found
        .edits
        .iter()
        .any(|edit| !matches!(edit.change, Change::Head { .. }));
    Ok(Recoded {
        pieces: out,
        eight_bit,
        encoded,
    })
}

fn apply(mail: &mut Slicer<'_>, edit: &Edit, form: Form) -> io::Result<Piece> {
    let mut parts = Vec::new();
    mail.slice(edit.range.clone(), &mut parts);
    let chunks = parts.iter().flat_map(Piece::chunks);
    let seven = form == Form::SevenBit;
    let (mut encoder, open, inner) = match edit.change {
        Change::Head { encoding, root } => {
            let bytes = chunks.collect::<io::Result<Vec<_>>>()?.concat();
            return Ok(Piece::Bytes(head(&bytes, encoding, root, seven)));
        }
        Change::Leaf { how, open, inner } => (Encoder::new(how, seven), open, inner),
        Change::Loose => (Encoder::new(How::Loose, seven), false, false),
    };
    let (mut spool, mut out) = (Spool::default(), Vec::new());
    if open {
        out.extend_from_slice(b"\r\n");
    }
    for chunk in chunks {
        encoder.add(&chunk?, &mut out);
        // The last line end may be one too many.
        let keep = out.len().saturating_sub(2);
        spool.add(&out[..keep])?;
        out.drain(..keep);
    }
    encoder.finish(&mut out);
    if inner
        && out.ends_with(b"\r\n")
        && matches!(
            edit.change,
            Change::Leaf {
                how: How::Base64 | How::MendBase64,
                ..
            }
        )
    {
        out.truncate(out.len() - 2);
    }
    spool.add(&out)?;
    spool.finish()
}

/// A stretch behind the others; short ones grow together.
fn push(piece: Piece, out: &mut Vec<Piece>) {
    match (out.last_mut(), piece) {
        (_, piece) if piece.len() == 0 => {}
        (Some(Piece::Bytes(last)), Piece::Bytes(bytes)) if last.len() + bytes.len() <= CHUNK => {
            last.extend(bytes);
        }
        (_, piece) => out.push(piece),
    }
}

/// Takes ranges out of a mail, each behind the one before: a mail that was encoded once may have as
/// many pieces as lines.
struct Slicer<'p> {
    /// Those that do not end before the last range.
    pieces: &'p [Piece],
    /// Where the first of them begins.
    begin: u64,
}

impl Slicer<'_> {
    /// Puts a range behind `out`, without reading what lies in files.
    fn slice(&mut self, range: Range<u64>, out: &mut Vec<Piece>) {
        while let [first, rest @ ..] = self.pieces
            && self.begin < range.end
        {
            let end = self.begin + first.len();
            let (from, to) = (range.start.max(self.begin), range.end.min(end));
            if from < to {
                stretch(first, from - self.begin, to - self.begin, out);
            }
            if end > range.end {
                return;
            }
            (self.pieces, self.begin) = (rest, end);
        }
    }
}

/// Puts a stretch of a piece behind `out`.
fn stretch(piece: &Piece, from: u64, to: u64, out: &mut Vec<Piece>) {
    match piece {
        Piece::Bytes(bytes) => {
            let at = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(bytes.len());
            push(Piece::Bytes(bytes[at(from)..at(to)].to_vec()), out);
        }
        Piece::Stored(stored) => {
            let offset = stored.offset.saturating_add(from);
            push(
                Piece::Stored(Stored {
                    file: stored.file.clone(),
                    offset,
                    length: to - from,
                }),
                out,
            );
        }
        // A file that is encoded while it is sent has nothing to change, and is sent whole.
        Piece::File(source) => push(Piece::File(source.clone()), out),
    }
}

#[cfg(test)]
mod tests;
