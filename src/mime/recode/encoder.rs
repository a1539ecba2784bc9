//! Encodings of octets that come in pieces, for leaves of any size.
//!
//! Promise: whatever the pieces are, the output is the same, has lines of at most 76 octets (998
//! for what is only broken up), and memory stays flat even for a line without end.
use super::walk::How;
use crate::mime::crlf::LONGEST_LINE;
use crate::mime::quoted_printable::QuotedPrintable;
use crate::mime::transfer::{self, LINE};

/// An encoding under way.
pub(crate) struct Encoder {
    how: How,
    seven: bool,
    /// Octets that wait for those behind them.
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

    /// Puts the next octets behind `out`.
    pub(crate) fn add(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match self.how {
            How::Base64 => {
                self.held.extend_from_slice(octets);
                let whole = self.held.len() / LINE.0 * LINE.0;
                out.extend(transfer::base64(&self.held[..whole]));
                self.held.drain(..whole);
            }
            How::MendBase64 => self.break_base64(octets, out),
            How::QuotedPrintable => octets.iter().for_each(|octet| self.quoted.add(*octet, out)),
            How::MendQuotedPrintable => {
                self.held.extend_from_slice(octets);
                self.mend(false, out);
            }
            How::Loose => octets.iter().for_each(|octet| self.loose(*octet, out)),
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

    fn break_base64(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        // Anything else means nothing (RFC 2045 section 6.8).
        for octet in octets
            .iter()
            .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
        {
            out.push(*octet);
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
                [octet, ..] => {
                    self.quoted.add(*octet, out);
                    at += 1;
                }
                [] => break,
            }
        }
        self.held = held[at..].to_vec();
    }

    fn loose(&mut self, octet: u8, out: &mut Vec<u8>) {
        match octet {
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
                out.push(match octet {
                    0 => b' ',
                    _ if self.seven && !octet.is_ascii() => b'?',
                    _ => octet,
                });
            }
        }
    }
}
