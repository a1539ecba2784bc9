//! A body written again as UTF-8, for one that was UTF-8 but for some bytes.
//!
//! Promise: memory stays flat; a line is held up to a megabyte, and of a longer one the rest is a
//! line of its own.
use std::io;

use crate::message::spool::Spool;
use crate::message::tree::Piece;
use crate::mime::charset::Repair;

/// The longest line that is looked at as one.
const LONGEST: usize = 1 << 20;

/// Writes it again.
///
/// # Errors
/// Those of reading it, and of the temporary file.
pub(super) fn repair(body: &Piece, repair: Repair) -> io::Result<Piece> {
    let mut spool = Spool::default();
    let mut held: Vec<u8> = Vec::new();
    let mut out = String::new();
    for chunk in body.chunks() {
        held.extend(chunk?);
        let end = match held.iter().rposition(|b| *b == b'\n') {
            Some(at) => at + 1,
            // Between two characters, if there are any.
            None if held.len() > LONGEST => held
                .iter()
                .rposition(u8::is_ascii)
                .map_or(held.len(), |at| at + 1),
            None => continue,
        };
        held[..end]
            .split_inclusive(|b| *b == b'\n')
            .for_each(|line| repair.line(line, false, &mut out));
        held.drain(..end);
        spool.add(out.as_bytes())?;
        out.clear();
    }
    repair.line(&held, true, &mut out);
    spool.add(out.as_bytes())?;
    spool.finish()
}
