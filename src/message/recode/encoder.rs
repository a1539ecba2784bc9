//! Encodings of octets that come in pieces, for leaves of any size.
//!
//! Promise: whatever the pieces are, the output is the same, has lines of at most 76 octets (998
//! for what is only broken up), and memory stays flat even for a line without end.
use super::walk::How;
use crate::mime::crlf::LONGEST_LINE;
use crate::mime::transfer::{self, LINE};

/// The longest line of quoted-printable before its soft break (RFC 2045 section 6.7).
const SOFT: usize = 75;

/// An encoding under way.
pub(super) struct Encoder {
    how: How,
    seven: bool,
    /// Octets that wait for those behind them.
    held: Vec<u8>,
    column: usize,
    /// A blank, which must be spelled out when its line ends.
    blank: Option<u8>,
}

impl Encoder {
    pub(super) fn new(how: How, seven: bool) -> Self {
        Encoder {
            how,
            seven,
            held: Vec::new(),
            column: 0,
            blank: None,
        }
    }

    /// Puts the next octets behind `out`.
    pub(super) fn add(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match self.how {
            How::Base64 => {
                self.held.extend_from_slice(octets);
                let whole = self.held.len() / LINE.0 * LINE.0;
                out.extend(transfer::base64(&self.held[..whole]));
                self.held.drain(..whole);
            }
            How::MendBase64 => self.break_base64(octets, out),
            How::QuotedPrintable => octets.iter().for_each(|octet| self.quoted(*octet, out)),
            How::MendQuotedPrintable => {
                self.held.extend_from_slice(octets);
                self.mend(false, out);
            }
            How::Loose => octets.iter().for_each(|octet| self.loose(*octet, out)),
        }
    }

    /// Ends it.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        match self.how {
            How::Base64 => out.extend(transfer::base64(&self.held)),
            How::MendBase64 if self.column > 0 => out.extend_from_slice(b"\r\n"),
            How::MendQuotedPrintable => self.mend(true, out),
            _ => {}
        }
        if let Some(blank) = self.blank.take() {
            self.spell(blank, out);
        }
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

    fn room(&mut self, width: usize, out: &mut Vec<u8>) {
        if self.column + width > SOFT {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
    }

    fn spell(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.room(3, out);
        transfer::push_hex(b'=', octet, out);
        self.column += 3;
    }

    fn plain(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.room(1, out);
        out.push(octet);
        self.column += 1;
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        if let Some(blank) = self.blank.take() {
            self.plain(blank, out);
        }
    }

    fn quoted(&mut self, octet: u8, out: &mut Vec<u8>) {
        match octet {
            // Stands only before LF.
            b'\r' => {}
            b'\n' => {
                if let Some(blank) = self.blank.take() {
                    self.spell(blank, out);
                }
                out.extend_from_slice(b"\r\n");
                self.column = 0;
            }
            b' ' | b'\t' => {
                self.release(out);
                self.blank = Some(octet);
            }
            b'!'..=b'~' if octet != b'=' => {
                self.release(out);
                self.plain(octet, out);
            }
            _ => {
                self.release(out);
                // A character stays on one line, for readers that decode line by line.
                self.room(3 * transfer::character_width(octet), out);
                self.spell(octet, out);
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
                    self.release(out);
                    out.extend_from_slice(b"=\r\n");
                    self.column = 0;
                    at += 3;
                }
                [b'=', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    self.release(out);
                    self.room(3, out);
                    out.extend_from_slice(&next[..3]);
                    self.column += 3;
                    at += 3;
                }
                // The soft break before the line end that belongs to the delimiter.
                [b'='] => {
                    self.release(out);
                    out.push(b'=');
                    at += 1;
                }
                [octet, ..] => {
                    self.quoted(*octet, out);
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
