//! Canonical line ends: the last look at every byte that reaches DATA.
//!
//! Promise: what [`canonical`] gives back has CRLF as its only line end, and no CR or LF beside it
//! (RFC 5321 section 2.3.8). Servers disagree on what a lone CR or LF means, and that disagreement
//! lets one mail become two; so there is no way around this room. Refuses nothing: it cannot
//! shorten lines, which only an encoding can, but [`check`] finds those that are too long.

/// The longest line in bytes without its CRLF (RFC 5322 section 2.1.1).
pub const LONGEST_LINE: usize = 998;

/// Ends every line with CRLF, whether it ended with LF, CR or CRLF; the last line is ended too.
/// Linear; nothing stays nothing.
pub fn canonical(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32 + 2);
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(b"\r\n");
        let width = if rest[at..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        rest = &rest[at + width..];
    }
    if !rest.is_empty() {
        out.extend_from_slice(rest);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The same as [`canonical`] for bytes that come in pieces.
#[derive(Debug, Default)]
pub(crate) struct Canonical {
    after_cr: bool,
    inside: bool,
}

impl Canonical {
    /// Puts the next piece behind `out`.
    pub(crate) fn add(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        if std::mem::take(&mut self.after_cr) {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.after_cr = bytes.is_empty();
        }
        while let Some(at) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(b"\r\n");
            self.inside = false;
            let width = if rest[at..].starts_with(b"\r\n") {
                2
            } else {
                1
            };
            self.after_cr = rest[at..] == *b"\r";
            rest = &rest[at + width..];
        }
        self.inside |= !rest.is_empty();
        out.extend_from_slice(rest);
    }

    /// Ends the last line.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        if self.inside {
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Doubles the dots at the beginnings of lines (RFC 5321 section 4.5.2) of canonical bytes that
/// come in pieces.
#[derive(Debug)]
pub struct Dots {
    /// The last two bytes.
    tail: [u8; 2],
}

impl Default for Dots {
    fn default() -> Self {
        Dots { tail: *b"\r\n" }
    }
}

impl Dots {
    /// Gives the next piece to `out`, in stretches as long as they can be: a piece without such a
    /// dot is one stretch, uncopied.
    ///
    /// # Errors
    /// The first of `out`.
    pub fn add<E>(
        &mut self,
        piece: &[u8],
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = 0;
        let mut double = |at: usize| {
            let stretch = &piece[std::mem::replace(&mut from, at)..at];
            if !stretch.is_empty() {
                out(stretch)?;
            }
            out(b".")
        };
        match (self.tail, piece) {
            ([b'\r', b'\n'], [b'.', ..]) => double(0)?,
            ([_, b'\r'], [b'\n', b'.', ..]) => double(1)?,
            _ => {}
        }
        for at in memchr::memmem::find_iter(piece, b"\r\n.") {
            double(at + 2)?;
        }
        match piece {
            [.., a, b] => self.tail = [*a, *b],
            [a] => self.tail = [self.tail[1], *a],
            [] => {}
        }
        if from < piece.len() {
            out(&piece[from..])
        } else {
            Ok(())
        }
    }
}

/// Why bytes are not fit for the wire, and the byte it starts at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A CR without its LF.
    #[error("a bare CR at byte {0}")]
    BareCr(usize),
    /// An LF without its CR.
    #[error("a bare LF at byte {0}")]
    BareLf(usize),
    /// The line that starts here has more than [`LONGEST_LINE`] bytes.
    #[error("a line of more than 998 bytes at byte {0}")]
    LongLine(usize),
    /// The last line, which starts here, has no end.
    #[error("an unterminated last line at byte {0}")]
    Open(usize),
}

/// Finds the first thing that must not reach DATA.
///
/// # Errors
/// The first [`Flaw`].
pub fn check(bytes: &[u8]) -> Result<(), Flaw> {
    let mut start = 0;
    while start < bytes.len() {
        let line = &bytes[start..];
        let length = line
            .iter()
            .position(|b| matches!(b, b'\r' | b'\n'))
            .unwrap_or(line.len());
        if length > LONGEST_LINE {
            return Err(Flaw::LongLine(start));
        }
        match &line[length..] {
            [b'\r', b'\n', ..] => start += length + 2,
            [b'\r', ..] => return Err(Flaw::BareCr(start + length)),
            [b'\n', ..] => return Err(Flaw::BareLf(start + length)),
            _ => return Err(Flaw::Open(start)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_of_line_end_becomes_crlf() {
        let rows: [(&[u8], &[u8]); 9] = [
            (b"", b""),
            (b"a", b"a\r\n"),
            (b"a\nb", b"a\r\nb\r\n"),
            (b"a\r\nb\r\n", b"a\r\nb\r\n"),
            (b"10%\r50%\rdone\n", b"10%\r\n50%\r\ndone\r\n"),
            (b"\r\r\n", b"\r\n\r\n"),
            (b"\n\r", b"\r\n\r\n"),
            (b"\r\n\n", b"\r\n\r\n"),
            (b"a\n.\nb", b"a\r\n.\r\nb\r\n"),
        ];
        for (given, wanted) in rows {
            assert_eq!(canonical(given), wanted, "{}", given.escape_ascii());
        }
    }

    #[test]
    fn each_flaw_is_found_where_it_is() {
        let long = [vec![b'x'; 999], b"\r\n".to_vec()].concat();
        let rows: [(&[u8], Result<(), Flaw>); 7] = [
            (b"", Ok(())),
            (b"a\r\n.\r\n", Ok(())),
            (&long[1..], Ok(())),
            (b"a\r\nb\rc\r\n", Err(Flaw::BareCr(4))),
            (b"a\nb\r\n", Err(Flaw::BareLf(1))),
            (&long, Err(Flaw::LongLine(0))),
            (b"a\r\nb", Err(Flaw::Open(3))),
        ];
        for (given, wanted) in rows {
            assert_eq!(check(given), wanted, "{}", given.escape_ascii());
        }
    }

    fn doubled(pieces: &[&[u8]]) -> (Vec<u8>, usize) {
        let (mut out, mut stretches, mut dots) = (Vec::new(), 0, Dots::default());
        for piece in pieces {
            let add = |bytes: &[u8]| -> Result<(), ()> {
                assert!(!bytes.is_empty());
                out.extend_from_slice(bytes);
                stretches += 1;
                Ok(())
            };
            dots.add(piece, add).unwrap();
        }
        (out, stretches)
    }

    #[test]
    fn dots_are_doubled_at_the_beginnings_of_lines_however_the_bytes_are_cut() {
        let text = b".\r\n..a.\r\n\r\n.\r\nb.\n.\r.\r\n.";
        let wanted = b"..\r\n...a.\r\n\r\n..\r\nb.\n.\r.\r\n..";
        for first in 0..text.len() {
            for second in first..text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(
                    doubled(&pieces).0.escape_ascii().to_string(),
                    wanted.escape_ascii().to_string()
                );
            }
        }
        assert_eq!(doubled(&[b"a.b\r\nc\r\n"]), (b"a.b\r\nc\r\n".to_vec(), 1));
    }

    proptest! {
        #[test]
        fn canonical_bytes_pass_the_check_and_stay_as_they_are(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), any::<u8>()], 0..400)) {
            let wire = canonical(&bytes);
            prop_assert_eq!(check(&wire), Ok(()));
            prop_assert_eq!(canonical(&wire), wire.clone());
            for size in [1, 3, 64] {
                let (mut pieces, mut stream) = (Vec::new(), Canonical::default());
                bytes.chunks(size).for_each(|piece| stream.add(piece, &mut pieces));
                stream.finish(&mut pieces);
                prop_assert_eq!(&pieces, &wire);
            }
            let words = |b: &[u8]| b.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect::<Vec<_>>();
            prop_assert_eq!(words(&wire), words(&bytes));
        }
    }
}
