//! Mail that goes with a mail: a message within the message.
//!
//! Promise: it stays a message, which readers show as one (RFC 2046 section 5.2.1 forbids to encode
//! it): its bytes go as they are, in seven bits or in eight; only leaves of it that no server
//! takes are encoded within it. It may be of any size.
use std::io;

use super::recode;
use super::source::Source;
use super::spool::Spool;
use super::tree::Piece;
use crate::mime::crlf::Canonical;
use crate::mime::media::MediaType;
use crate::mime::recode::Form;
use crate::mime::transfer::Transfer;

/// Returns whether a type is that of a whole message.
pub(super) fn is_message(media: &MediaType) -> bool {
    matches!(media.essence.as_str(), "message/rfc822" | "message/global")
}

/// Makes what goes over the wire of a file that holds a message. The line of a mailbox file in
/// front is none of it.
pub(super) fn pieces(source: &Source) -> io::Result<(Transfer, Vec<Piece>)> {
    let (mut spool, mut canonical, mut out) = (Spool::default(), Canonical::default(), Vec::new());
    let mut at_start = true;
    for bytes in source.bytes() {
        let bytes = bytes?;
        let envelope = if at_start && bytes.starts_with(b"From ") {
            bytes.iter().position(|b| *b == b'\n')
        } else {
            None
        };
        at_start = false;
        out.clear();
        canonical.add(&bytes[envelope.map_or(0, |at| at + 1)..], &mut out);
        spool.add(&out)?;
    }
    out.clear();
    canonical.finish(&mut out);
    spool.add(&out)?;
    let recoded = recode::recode(&[spool.finish()?], Form::Legal { labels: false })?;
    Ok((
        if recoded.eight_bit {
            Transfer::EightBit
        } else {
            Transfer::SevenBit
        },
        recoded.pieces,
    ))
}
