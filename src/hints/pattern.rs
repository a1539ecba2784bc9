//! How the conditions of a row are compared with what a server said.
//!
//! Promise: no regular expressions, no allocation per row, and time linear in the text for every
//! alternative, whatever the text. Letters compare in lower case, because the text was brought to
//! it before.
use crate::delivery::EnhancedCode;

/// How much of a text is compared, in bytes: more than any server says that means it well.
const COMPARED: usize = 8 * 1024;

/// The highest detail that the registry of enhanced codes (RFC 5248) has for every subject.
const DETAILS: [u16; 8] = [0, 10, 4, 6, 7, 6, 10, 30];

/// The codes a row is about, as they are written in the table, separated by blanks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Codes {
    /// `535 534`, or `4xx`.
    pub reply: &'static str,
    /// `5.7.8 x.7.9 5.7.500-699`.
    pub enhanced: &'static str,
}

/// Brings a text to the form that patterns are compared with: lower case, blanks collapsed,
/// bounded.
pub(super) fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len().min(COMPARED));
    for word in text.split_whitespace() {
        if normal.len() + word.len() >= COMPARED {
            break;
        }
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal.push_str(word);
    }
    normal.make_ascii_lowercase();
    normal
}

/// The length of the longest alternative of a pattern that the text holds; `None` when it holds
/// none.
#[cfg(test)]
pub(super) fn longest(pattern: &str, text: &str) -> Option<usize> {
    pattern
        .split('|')
        .filter(|alternative| holds(alternative, text))
        .map(str::len)
        .max()
}

/// Returns whether the parts of an alternative stand in the text, one behind the other.
pub(super) fn holds(alternative: &str, text: &str) -> bool {
    let mut rest = text;
    for part in alternative.split('*').filter(|part| !part.is_empty()) {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

impl Codes {
    /// What the reply code weighs where it is named: 1 its first digit, 2 a code that means many
    /// things, 5 any other; `None` when it is not.
    pub(super) fn reply(&self, code: u16) -> Option<u8> {
        let mut found = None;
        for word in self.reply.split_ascii_whitespace() {
            match word.strip_suffix("xx") {
                Some(digit) if digit.parse() == Ok(code / 100) => found = found.max(Some(1)),
                None if word.parse() == Ok(code) => {
                    return Some(if is_vague(code) { 2 } else { 5 });
                }
                _ => {}
            }
        }
        found
    }

    /// Returns whether the enhanced code is named, itself or in a range.
    pub(super) fn enhanced(&self, code: EnhancedCode) -> bool {
        self.enhanced
            .split_ascii_whitespace()
            .any(|word| names(word, code).unwrap_or(false))
    }
}

fn names(word: &str, code: EnhancedCode) -> Option<bool> {
    let mut parts = word.splitn(3, '.');
    let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
    let (low, high) = detail.split_once('-').unwrap_or((detail, detail));
    let class = class == "x" || class.parse() == Ok(code.0);
    let range = low.parse::<u16>().ok()?..=high.parse().ok()?;
    Some(class && subject.parse() == Ok(code.1) && range.contains(&code.2))
}

/// The code whose general meaning is that of this one: a detail beyond the registry means no more
/// than its subject.
pub(super) fn registered(code: EnhancedCode) -> EnhancedCode {
    match DETAILS.get(usize::from(code.1)) {
        Some(&highest) if code.2 <= highest => code,
        Some(_) => EnhancedCode(code.0, code.1, 0),
        None => EnhancedCode(code.0, 0, 0),
    }
}

/// Reply codes that mean many things.
fn is_vague(code: u16) -> bool {
    matches!(code, 450 | 451 | 500 | 501 | 550 | 554)
}

/// What an enhanced code weighs beside a reply code (see [`Codes::reply`]): `535 5.7.0` is a login
/// that was refused and not "another security status", while `550 5.2.2` is a full mailbox.
pub(super) fn weight_of_enhanced(reply: Option<u16>, enhanced: EnhancedCode) -> u8 {
    let login = reply.is_some_and(|code| matches!(code, 530 | 534 | 535 | 538));
    match (enhanced.1, enhanced.2) {
        (0, _) => 1,
        (7, 9..=14) => 6,
        (7, _) if login => 3,
        (_, 0) | (7, 1) | (5, 1 | 2 | 4) => 3,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_alternatives_of_parts_in_order() {
        assert_eq!(
            longest("greylist|come back", "please come back later"),
            Some(9)
        );
        assert_eq!(
            longest(
                "port 25*timed out",
                "connect to port 25: connection timed out"
            ),
            Some(17)
        );
        assert_eq!(
            longest(
                "timed out*port 25",
                "connect to port 25: connection timed out"
            ),
            None
        );
        assert_eq!(longest("a|ab|b", "ab"), Some(2));
        assert_eq!(normal("  No\tSuch\r\n USER "), "no such user");
        assert!(normal(&"ab ".repeat(100_000)).len() <= COMPARED);
    }

    #[test]
    fn codes_are_named_one_by_one_by_digit_and_by_range() {
        let codes = Codes {
            reply: "535 4xx",
            enhanced: "x.7.8 5.7.500-699",
        };
        assert_eq!(
            [codes.reply(535), codes.reply(451), codes.reply(534)],
            [Some(5), Some(1), None]
        );
        let named = |class, subject, detail| codes.enhanced(EnhancedCode(class, subject, detail));
        assert!(named(4, 7, 8) && named(5, 7, 8) && named(5, 7, 606));
        assert!(!named(4, 7, 606) && !named(5, 7, 700) && !named(5, 6, 8));
    }

    #[test]
    fn an_unknown_detail_means_its_subject() {
        assert_eq!(registered(EnhancedCode(5, 7, 606)), EnhancedCode(5, 7, 0));
        assert_eq!(registered(EnhancedCode(4, 9, 1)), EnhancedCode(4, 0, 0));
        assert_eq!(registered(EnhancedCode(5, 1, 1)), EnhancedCode(5, 1, 1));
    }
}
