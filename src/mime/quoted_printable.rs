//! Quoted-printable (RFC 2045 section 6.7), for bytes that come in pieces of any size.
//!
//! Promise: whatever the pieces are, the output is the same; no line has more than 76 bytes; a
//! character of UTF-8 stays on one line, for readers that decode line by line; a blank before a
//! line end is spelled. Memory is flat even for a line without end.
use super::escape::push_hex;

/// The longest line.
const LONGEST: usize = 76;

/// The encoder. It holds one character back until it is known whether its line ends behind it.
#[derive(Debug, Default)]
pub(crate) struct QuotedPrintable {
    /// Bytes of the line under way.
    column: usize,
    held: [u8; 4],
    length: usize,
    /// How many bytes the character that is held is to have.
    width: usize,
}

/// Returns whether a byte may stand for itself.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t') && byte != b'='
}

/// Encodes text whose line ends are CRLF; those line ends stay.
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    let mut encoder = QuotedPrintable::default();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let inner = line.strip_suffix(b"\r\n").unwrap_or(line);
        let fits = inner.len() <= LONGEST && inner.iter().copied().all(is_plain);
        if fits && !inner.ends_with(b" ") && !inner.ends_with(b"\t") {
            out.extend_from_slice(line);
        } else {
            encoder.line(inner, &mut out);
            out.extend_from_slice(&line[inner.len()..]);
        }
    }
    out
}

impl QuotedPrintable {
    /// Puts the next byte of a text whose line ends are CRLF behind `out`.
    pub(crate) fn add(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            // Stands only before LF.
            b'\r' => {}
            b'\n' => {
                self.flush(true, out);
                out.extend_from_slice(b"\r\n");
                self.column = 0;
            }
            0x80..=0xbf if self.length > 0 && self.length < self.width => {
                self.held[self.length] = byte;
                self.length += 1;
            }
            _ => {
                self.flush(false, out);
                (self.held[0], self.length) = (byte, 1);
                self.width = width(byte);
            }
        }
    }

    /// Puts what is encoded already behind `out`: an escape of three bytes.
    pub(crate) fn escape(&mut self, escape: &[u8], out: &mut Vec<u8>) {
        self.flush(false, out);
        self.make_room(escape.len(), LONGEST - 1, out);
        out.extend_from_slice(escape);
    }

    /// Breaks the line here, as the text did that is encoded anew.
    pub(crate) fn soft_break(&mut self, out: &mut Vec<u8>) {
        self.flush(false, out);
        out.extend_from_slice(b"=\r\n");
        self.column = 0;
    }

    /// Writes a whole line without its end.
    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let mut rest = line;
        self.column = 0;
        while let [lead, behind @ ..] = rest {
            if is_plain(*lead) && !behind.is_empty() {
                self.make_room(1, LONGEST - 1, out);
                out.push(*lead);
                rest = behind;
                continue;
            }
            let most = behind.len().min(width(*lead) - 1);
            let is_more = |byte: &&u8| (0x80..=0xbf).contains(*byte);
            let length = 1 + behind[..most].iter().take_while(is_more).count();
            let (character, behind) = rest.split_at(length);
            self.put(character, behind.is_empty(), out);
            rest = behind;
        }
    }

    /// Writes the character that is held; `last`: its line ends behind it.
    pub(crate) fn flush(&mut self, last: bool, out: &mut Vec<u8>) {
        let held = self.held;
        let character = &held[..std::mem::take(&mut self.length)];
        self.put(character, last, out);
    }

    #[inline]
    fn put(&mut self, character: &[u8], last: bool, out: &mut Vec<u8>) {
        let [first, ..] = character else { return };
        let limit = if last { LONGEST } else { LONGEST - 1 };
        if is_plain(*first) && !(last && matches!(first, b' ' | b'\t')) {
            self.make_room(1, limit, out);
            out.push(*first);
        } else {
            self.make_room(3 * character.len(), limit, out);
            for byte in character {
                push_hex(b'=', *byte, out);
            }
        }
    }

    /// Breaks the line where so many bytes would pass the limit, and counts them.
    #[inline]
    fn make_room(&mut self, bytes: usize, limit: usize, out: &mut Vec<u8>) {
        if self.column + bytes > limit {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        self.column += bytes;
    }
}

/// How many bytes a character of UTF-8 has that begins so.
fn width(lead: u8) -> usize {
    match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_and_a_whole_text_are_encoded_alike(text in "([ -~\t]|ü|测|😀|\\x00|\r\n){0,300}") {
            let mut encoder = QuotedPrintable::default();
            let mut pieces = Vec::new();
            text.bytes().for_each(|byte| encoder.add(byte, &mut pieces));
            encoder.flush(true, &mut pieces);
            let whole = quoted_printable(text.as_bytes());
            prop_assert_eq!(whole.escape_ascii().to_string(), pieces.escape_ascii().to_string());
            prop_assert!(whole.split(|byte| *byte == b'\n').all(|line| line.len() <= LONGEST + 1));
        }
    }
}
