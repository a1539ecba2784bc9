//! What the other side and the system say, as text.
//!
//! Promise: whatever charset and control characters come, the text is safe to print, and short.
use std::io;

use encoding_rs::GB18030;

use crate::text::short;

/// How many lines of a server's or a program's words are kept: the first ones, and the last ones.
const KEPT: (usize, usize) = (15, 5);

/// Text in whatever charset: UTF-8, else GB18030, else Latin-1; made safe to print.
pub(super) fn decode(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return short(text);
    }
    match GB18030.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => short(&text),
        None => short(&encoding_rs::mem::decode_latin1(bytes)),
    }
}

/// Words as they are kept: at most twenty lines, the first and the last ones, with `…` between
/// them.
pub(super) fn kept(lines: &[String]) -> Vec<String> {
    let (first, last) = KEPT;
    if lines.len() <= first + last {
        return lines.to_vec();
    }
    let dots = ["…".to_owned()];
    [&lines[..first], &dots[..], &lines[lines.len() - last..]].concat()
}

/// An error of the system as a lowercase fragment without its number.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    let lower = letters
        .next()
        .map(|first| first.to_ascii_lowercase().to_string())
        .unwrap_or_default();
    short(&(lower + letters.as_str()))
}
