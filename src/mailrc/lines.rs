//! Bytes into lines: decoding, line ends, continuation.
use std::borrow::Cow;

use encoding_rs::GB18030;

/// What separates words.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];

/// What copied web pages leave at the ends of lines, beside blanks.
const MARGIN: [char; 4] = [' ', '\t', '\u{a0}', '\u{3000}'];

/// Decodes a file: UTF-8, else GB18030 (what the tutorials' files are in), else Latin-1, which
/// takes anything.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .ok()
        .or_else(|| GB18030.decode_without_bom_handling_and_without_replacement(bytes))
        .unwrap_or_else(|| encoding_rs::mem::decode_latin1(bytes))
}

/// A command line, continuations joined.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'t> {
    /// Without margins.
    pub text: Cow<'t, str>,
    /// Where it begins, from 1.
    pub number: u32,
    /// It goes over several lines of the file.
    pub continued: bool,
}

/// The lines of a text.
pub(super) struct Lines<'t> {
    rest: std::str::Split<'t, char>,
    number: u32,
}

/// Takes a text apart.
pub(super) fn lines(text: &str) -> Lines<'_> {
    Lines {
        rest: text.split('\n'),
        number: 0,
    }
}

impl<'t> Lines<'t> {
    fn physical(&mut self) -> Option<&'t str> {
        let line = self.rest.next()?;
        self.number = self.number.saturating_add(1);
        Some(line.strip_suffix('\r').unwrap_or(line))
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = Line<'t>;

    fn next(&mut self) -> Option<Line<'t>> {
        let first = self.physical()?;
        let number = self.number;
        let Some(head) = continues(first) else {
            return Some(Line {
                text: first.trim_matches(MARGIN).into(),
                number,
                continued: false,
            });
        };
        let mut text = head.to_owned();
        while let Some(next) = self.physical() {
            // Heirloom puts a blank here and s-nail nothing. An indented line is meant as a new
            // word, others go on.
            if next.starts_with(BLANKS) {
                text.push(' ');
            }
            let next = next.trim_start_matches(BLANKS);
            let Some(head) = continues(next) else {
                text.push_str(next);
                break;
            };
            text.push_str(head);
        }
        Some(Line {
            text: text.trim_matches(MARGIN).to_owned().into(),
            number,
            continued: true,
        })
    }
}

/// The line without the backslash that continues it; an even number of them is escaped ones.
fn continues(line: &str) -> Option<&str> {
    let backslashes = line.len() - line.trim_end_matches('\\').len();
    if backslashes % 2 == 1 {
        line.strip_suffix('\\')
    } else {
        None
    }
}
