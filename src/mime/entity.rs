//! Characters that HTML spells out: `&eacute;`, `&#8364;` (HTML Standard sections 13.2.5.72 to
//! 13.2.5.80).
//!
//! Promise: every name of the standard and every number is read as browsers read it; what is none
//! stays as it is. Linear.
use std::sync::OnceLock;

/// Name by name in the order of their bytes, with `!` behind those that need no semicolon, and the
/// characters in hexadecimal: the standard's entities.json. Text and no table of strings, as those
/// would be relocated at every start.
const NAMES: &str = include_str!("entities.txt");
/// The longest name, and the longest that needs no semicolon.
const LONGEST: (usize, usize) = (31, 6);

/// Where a reference stands; in the values of attributes `&copy=` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Text,
    Attribute,
}

/// The characters a text that begins with `&` stands for, and how much of the text says so.
pub(crate) fn character(text: &str, place: Place) -> (String, usize) {
    let rest = &text[1..];
    let found = match rest.strip_prefix('#') {
        Some(number) => numeric(number).map(|(c, width)| (c.to_string(), width + 2)),
        None => named(rest, place).map(|(word, width)| (word, width + 1)),
    };
    found.unwrap_or_else(|| ("&".to_owned(), 1))
}

/// Reads every reference of a value of an attribute.
pub(crate) fn characters(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (word, width) = character(&rest[at..], Place::Attribute);
        out.push_str(&word);
        rest = &rest[at + width..];
    }
    out + rest
}

fn numeric(text: &str) -> Option<(char, usize)> {
    let (digits, radix) = match text.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let width = digits
        .find(|c: char| !c.is_digit(radix))
        .unwrap_or(digits.len());
    let code = digits[..width].chars().fold(0_u32, |code, digit| {
        code.saturating_mul(radix)
            .saturating_add(digit.to_digit(radix).unwrap_or_default())
    });
    let width = (width > 0).then_some(text.len() - digits.len() + width)?;
    let c = match u8::try_from(code) {
        // What is called 128 to 159 is meant as windows-1252.
        Ok(byte @ 128..=159) => {
            let (text, _) =
                encoding_rs::WINDOWS_1252.decode_without_bom_handling(std::slice::from_ref(&byte));
            text.chars().next()
        }
        Ok(0) => None,
        _ => char::from_u32(code),
    };
    Some((
        c.unwrap_or('\u{fffd}'),
        width + usize::from(text[width..].starts_with(';')),
    ))
}

fn named(text: &str, place: Place) -> Option<(String, usize)> {
    let width = text
        .bytes()
        .take(LONGEST.0 + 1)
        .take_while(u8::is_ascii_alphanumeric)
        .count();
    if text[width..].starts_with(';')
        && let Some((_, codes)) = row(&text[..width])
    {
        return Some((spelled(codes), width + 1));
    }
    let (name, codes) = (1..=width.min(LONGEST.1)).rev().find_map(|width| {
        let (bare, codes) = row(&text[..width])?;
        bare.then_some((width, codes))
    })?;
    let goes_on = |c: char| c == '=' || c.is_ascii_alphanumeric();
    if place == Place::Attribute && text[name..].starts_with(goes_on) {
        return None;
    }
    Some((spelled(codes), name))
}

/// Returns whether a name needs no semicolon, and its characters.
fn row(name: &str) -> Option<(bool, &'static str)> {
    static ROWS: OnceLock<Vec<(&str, &str)>> = OnceLock::new();
    let rows = ROWS.get_or_init(|| {
        NAMES
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect()
    });
    let at = rows
        .binary_search_by(|(known, _)| known.trim_end_matches('!').cmp(name))
        .ok()?;
    let (known, codes) = rows[at];
    Some((known.ends_with('!'), codes))
}

fn spelled(codes: &str) -> String {
    codes
        .split(' ')
        .filter_map(|code| u32::from_str_radix(code, 16).ok().and_then(char::from_u32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_as_browsers_read_them() {
        let rows = [
            ("&ocirc;", "ô"),
            ("&iquest;Qu&eacute;?", "¿Qué?"),
            ("a &le; b &ge; c", "a ≤ b ≥ c"),
            ("&NotEqualTilde;&CounterClockwiseContourIntegral;", "≂̸∳"),
            ("&copy 2026 &AMP &notit; &notin;", "© 2026 & ¬it; ∉"),
            ("&Aacute;&aacute;&AElig", "ÁáÆ"),
            ("&#8364;&#x20AC;&#X20ac&#0000000000008364;&#128;", "€€€€€"),
            (
                "&#0;&#xD800;&#x110000;&#99999999999999999999;",
                "\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
            ),
            (
                "&#65bc &#x;&#;&#xg;& &;&bogus;&le &amp;amp;",
                "Abc &#x;&#;&#xg;& &;&bogus;&le &amp;",
            ),
            ("&#128512;&zwj;&ZeroWidthSpace;", "😀\u{200d}\u{200b}"),
        ];
        for (text, wanted) in rows {
            let mut out = String::new();
            let mut rest = text;
            while let Some(at) = rest.find('&') {
                out.push_str(&rest[..at]);
                let (word, width) = character(&rest[at..], Place::Text);
                out.push_str(&word);
                rest = &rest[at + width..];
            }
            assert_eq!(out + rest, wanted, "{text}");
        }
    }

    #[test]
    fn a_parameter_of_an_address_is_no_character() {
        assert_eq!(
            characters("?a=1&copy=2&reg3&amp;b&copy;&copy"),
            "?a=1&copy=2&reg3&b©©"
        );
    }

    #[test]
    fn the_names_are_in_order_and_all_there() {
        let names: Vec<_> = NAMES
            .lines()
            .map(|line| line.split(['!', ' ']).next().unwrap())
            .collect();
        assert!(names.is_sorted());
        assert_eq!((names.len(), NAMES.matches('!').count()), (2125, 106));
        assert_eq!(names.iter().map(|name| name.len()).max(), Some(LONGEST.0));
        let bare = NAMES.lines().filter_map(|line| line.split_once('!'));
        assert_eq!(bare.map(|(name, _)| name.len()).max(), Some(LONGEST.1));
        assert!(
            NAMES
                .lines()
                .all(|line| !spelled(line.split_once(' ').unwrap().1).is_empty())
        );
    }
}
