//! Encodings of bytes that come in pieces, for leaves of any size.
//!
//! Promise: whatever the pieces are, the output is the same, has lines of at most 76 bytes (998
//! for what is only broken up), and memory stays flat even for a line without end.
use super::walk::How;
use crate::mime::crlf::LONGEST_LINE;
use crate::mime::quoted_printable::QuotedPrintable;
use crate::mime::transfer::{self, LINE};

/// An encoding under way.
pub(crate) struct Encoder {
    how: How,
    seven: bool,
    /// Bytes that wait for those behind them.
    held: Vec<u8>,
    column: usize,
    quoted: QuotedPrintable,
}

impl Encoder {
    pub(crate) fn new(how: How, seven: bool) -> Self {
        Encoder {
            how,
            seven,
            held: Vec::new(),
            column: 0,
            quoted: QuotedPrintable::default(),
        }
    }

    /// Puts the next bytes behind `out`.
    pub(crate) fn add(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.how {
            How::Base64 => {
                self.held.extend_from_slice(bytes);
                let whole = self.held.len() / LINE.0 * LINE.0;
                out.extend(transfer::base64(&self.held[..whole]));
                self.held.drain(..whole);
            }
            How::MendBase64 => self.break_base64(bytes, out),
            How::QuotedPrintable => bytes.iter().for_each(|byte| self.quoted.add(*byte, out)),
            How::MendQuotedPrintable => {
                self.held.extend_from_slice(bytes);
                self.mend(false, out);
            }
            How::Loose => bytes.iter().for_each(|byte| self.loose(*byte, out)),
        }
    }

    /// Ends it.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        match self.how {
            How::Base64 => out.extend(transfer::base64(&self.held)),
            How::MendBase64 if self.column > 0 => out.extend_from_slice(b"\r\n"),
            How::MendQuotedPrintable => self.mend(true, out),
            _ => {}
        }
        self.quoted.flush(true, out);
    }

    fn break_base64(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        // Anything else means nothing (RFC 2045 section 6.8).
        for byte in bytes
            .iter()
            .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
        {
            out.push(*byte);
            self.column += 1;
            if self.column == LINE.1 - 2 {
                out.extend_from_slice(b"\r\n");
                self.column = 0;
            }
        }
    }

    /// Encodes what is held but for what is encoded already; unless it is the `end`, an escape that
    /// may be cut waits.
    fn mend(&mut self, end: bool, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        let mut at = 0;
        while at < held.len() {
            let next = &held[at..];
            if next[0] == b'=' && next.len() < 3 && !end {
                break;
            }
            match next {
                [b'=', b'\r', b'\n', ..] => {
                    self.quoted.soft_break(out);
                    at += 3;
                }
                [b'=', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    self.quoted.escape(&next[..3], out);
                    at += 3;
                }
                // The soft break before the line end that belongs to the delimiter.
                [b'='] => {
                    self.quoted.flush(false, out);
                    out.push(b'=');
                    at += 1;
                }
                [byte, ..] => {
                    self.quoted.add(*byte, out);
                    at += 1;
                }
                [] => break,
            }
        }
        self.held = held[at..].to_vec();
    }

    fn loose(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'\r' => {}
            b'\n' => {
                out.extend_from_slice(b"\r\n");
                self.column = 0;
            }
            _ => {
                if self.column == LONGEST_LINE {
                    out.extend_from_slice(b"\r\n");
                    self.column = 0;
                }
                self.column += 1;
                out.push(match byte {
                    0 => b' ',
                    _ if self.seven && !byte.is_ascii() => b'?',
                    _ => byte,
                });
            }
        }
    }
}
