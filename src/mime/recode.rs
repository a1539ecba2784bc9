//! What must change in a mail before a server takes it, and how: the survey of its lines, the heads
//! and the encodings. Where the mail lies is not known here.
//!
//! Promise: only leaves are encoded, never multiparts and messages themselves (RFC 2045 section
//! 6.4), and their heads say so.
mod encoder;
mod walk;

pub(crate) use self::encoder::Encoder;
pub(crate) use self::walk::{Change, Edit, How, survey};
use super::field::Mend;
use super::head::{self as heads, Field};

/// What a mail is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What every server with 8BITMIME takes. `labels` lets transfer encodings that say something
    /// wrong be put right.
    Legal { labels: bool },
    /// What every server takes (RFC 6152 section 3).
    SevenBit,
}

/// Writes a head again: its transfer encoding where the old one stood, or on top.
pub(crate) fn head(bytes: &[u8], encoding: Option<&str>, root: bool, seven: bool) -> Vec<u8> {
    let mut fields = heads::split(bytes);
    if let Some(encoding) = encoding {
        let new = Field::new("Content-Transfer-Encoding", encoding);
        let is_old = |field: &Field| field.is("content-transfer-encoding");
        let place = fields.iter().position(is_old);
        fields.retain(|field| !is_old(field));
        fields.insert(place.unwrap_or(0).min(fields.len()), new);
        if root && !fields.iter().any(|field| field.is("mime-version")) {
            fields.insert(0, Field::new("MIME-Version", "1.0"));
        }
    }
    let mut out = Vec::with_capacity(bytes.len() + 64);
    for field in fields {
        if field.is_flawed() || seven && !field.bytes().is_ascii() {
            // In the head of a part a field without a name that can be sent says nothing.
            out.extend_from_slice(field.mended(&[]).as_ref().map_or(b"", Field::bytes));
        } else {
            out.extend_from_slice(field.bytes());
        }
    }
    if seven && !out.is_ascii() {
        // An address beyond ASCII in a message within the message: no server of seven bits knows
        // it.
        out.iter_mut()
            .filter(|b| !b.is_ascii())
            .for_each(|b| *b = b'?');
    }
    if bytes.ends_with(b"\r\n\r\n") || bytes == b"\r\n" {
        out.extend_from_slice(b"\r\n");
    }
    out
}
