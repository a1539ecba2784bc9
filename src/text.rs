//! The one sanitizer: what came from outside, as it may stand in a message, a listing, a log or a
//! reply.
//!
//! Promise: nothing that leaves through here moves a cursor, ends a line, turns the direction of
//! writing or hides; it is spelled out instead, so that the reader sees what was there. Text
//! without such characters is not changed. A second pass changes nothing. What goes into a mail is
//! none of this room's business.
use std::borrow::Cow;
use std::fmt::Write as _;

/// The most bytes of a line of a server's words, and of whatever else a stranger says on one line.
pub const LONGEST_LINE: usize = 512;

/// What may stay, and how the rest is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// A word inside a sentence or a column, such as the name of a file: one line, no TAB.
    Word,
    /// One line; TAB stays.
    Line,
    /// A text of several lines: LF and TAB stay.
    Lines,
    /// Words that are only compared: whatever is not safe becomes a blank.
    Blank,
    /// Printable ASCII, for the replies of a server: a control becomes a blank, anything else `?`.
    Ascii,
    /// The inside of a TOML string in double quotes; the value stays the same.
    Toml,
    /// A whole JSON text; the values stay the same.
    Json,
}

/// Returns whether a character does something else than being seen: the controls C0, DEL and C1,
/// the line ends of Unicode, marks of direction, and format characters that no reader sees. U+200C
/// and U+200D stay, as Persian, Hindi and emoji are spelled with them.
pub fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

impl Policy {
    fn keeps(self, c: char) -> bool {
        match self {
            Policy::Ascii => matches!(c, ' '..='~'),
            Policy::Toml if matches!(c, '"' | '\\') => false,
            // JSON has escapes of its own for C0, and a line end behind the object.
            Policy::Json if c < ' ' => true,
            Policy::Line if c == '\t' => true,
            Policy::Lines if matches!(c, '\t' | '\n') => true,
            _ => !is_unsafe(c),
        }
    }

    fn spell(self, c: char, out: &mut String) {
        let code = u32::from(c);
        match (self, c) {
            (Policy::Blank, _) => out.push(' '),
            (Policy::Ascii, c) => out.push(if c.is_ascii() { ' ' } else { '?' }),
            (Policy::Toml, '"' | '\\') => out.extend(['\\', c]),
            (Policy::Toml, '\u{10000}'..) => drop(write!(out, "\\U{code:08X}")),
            (Policy::Json, _) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            (_, '\n') => out.push_str("\\n"),
            (Policy::Toml, _) => drop(write!(out, "\\u{code:04X}")),
            (_, '\r') => out.push_str("\\r"),
            (_, '\t') => out.push_str("\\t"),
            (_, '\0') => out.push_str("\\0"),
            _ => drop(write!(out, "\\u{{{code:x}}}")),
        }
    }
}

/// The text as the policy lets it out.
pub fn safe(text: &str, policy: Policy) -> Cow<'_, str> {
    let Some((first, _)) = text.char_indices().find(|(_, c)| !policy.keeps(*c)) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        if policy.keeps(c) {
            out.push(c);
        } else {
            policy.spell(c, &mut out);
        }
    }
    Cow::Owned(out)
}

/// A word as it may stand inside a sentence.
pub fn word(text: &str) -> Cow<'_, str> {
    safe(text, Policy::Word)
}

/// One line, safe to print and of at most [`LONGEST_LINE`] bytes; `…` ends one that was longer.
pub fn short(text: &str) -> String {
    cut(&safe(text, Policy::Line), LONGEST_LINE)
}

/// At most so many bytes of a text; `…` ends one that was longer. A character is never cut in two.
pub fn cut(text: &str, most: usize) -> String {
    const MARK: char = '…';
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(MARK.len_utf8()));
    let mut out = text[..end].to_owned();
    out.push(MARK);
    out
}

/// The columns that a text without controls takes on a terminal.
pub fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Marks above a letter take none, the letters of East Asia and emoji two (Unicode Standard Annex
/// 11, by blocks).
fn width(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}'
        | '\u{200c}'
        | '\u{200d}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character that is spelled out somewhere.
    fn steering() -> Vec<char> {
        ('\0'..=char::MAX).filter(|c| is_unsafe(*c)).collect()
    }

    #[test]
    fn the_characters_that_steer_or_hide_are_these() {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for code in steering().into_iter().map(u32::from) {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == code => *last = code,
                _ => ranges.push((code, code)),
            }
        }
        let wanted = [
            (0, 0x1f),
            (0x7f, 0x9f),
            (0x61c, 0x61c),
            (0x180e, 0x180e),
            (0x200b, 0x200b),
            (0x200e, 0x200f),
            (0x2028, 0x202e),
            (0x2060, 0x206f),
            (0xfeff, 0xfeff),
            (0xfff9, 0xfffb),
            (0xe0000, 0xe007f),
        ];
        assert_eq!(ranges, wanted);
        assert!(
            steering().iter().filter(|c| c.is_control()).count()
                == ('\0'..=char::MAX).filter(|c| c.is_control()).count()
        );
    }

    #[test]
    fn no_policy_lets_one_of_them_out() {
        let kept: [(Policy, &[char]); 6] = [
            (Policy::Word, &[]),
            (Policy::Line, &['\t']),
            (Policy::Lines, &['\t', '\n']),
            (Policy::Blank, &[]),
            (Policy::Ascii, &[]),
            (Policy::Toml, &[]),
        ];
        for (policy, kept) in kept {
            for c in steering() {
                let text = format!("a{c}b");
                let out = safe(&text, policy).into_owned();
                let left: Vec<char> = out.chars().filter(|c| is_unsafe(*c)).collect();
                assert_eq!(
                    left,
                    if kept.contains(&c) { vec![c] } else { vec![] },
                    "{policy:?} {:04x}",
                    u32::from(c)
                );
                assert!(out.starts_with('a') && out.ends_with('b'));
                if policy != Policy::Toml {
                    assert_eq!(safe(&out, policy), out, "a second pass");
                }
            }
        }
    }

    #[test]
    fn a_character_is_spelled_so_that_it_can_be_read() {
        let given = "a\0\t\r\n\x1b[31m\x7f\u{85}\u{202e}\u{2028}\u{feff}\u{e0041}\"\\é邮";
        for (policy, wanted) in [
            (
                Policy::Word,
                "a\\0\\t\\r\\n\\u{1b}[31m\\u{7f}\\u{85}\\u{202e}\\u{2028}\\u{feff}\\u{e0041}\"\\é邮",
            ),
            (
                Policy::Line,
                "a\\0\t\\r\\n\\u{1b}[31m\\u{7f}\\u{85}\\u{202e}\\u{2028}\\u{feff}\\u{e0041}\"\\é邮",
            ),
            (
                Policy::Lines,
                "a\\0\t\\r\n\\u{1b}[31m\\u{7f}\\u{85}\\u{202e}\\u{2028}\\u{feff}\\u{e0041}\"\\é邮",
            ),
            (Policy::Blank, "a     [31m      \"\\é邮"),
            (Policy::Ascii, "a     [31m ?????\"\\??"),
            (
                Policy::Toml,
                "a\\u0000\\u0009\\u000D\\n\\u001B[31m\\u007F\\u0085\\u202E\\u2028\\uFEFF\\U000E0041\\\"\\\\é邮",
            ),
        ] {
            assert_eq!(safe(given, policy), wanted, "{policy:?}");
        }
        for plain in ["", "plain, é 邮件 \u{200c}\u{200d}👩‍💻", "a\\u{1b}b"] {
            assert!(matches!(safe(plain, Policy::Word), Cow::Borrowed(same) if same == plain));
        }
    }

    #[test]
    fn json_and_toml_keep_the_value() {
        let given: String = steering()
            .into_iter()
            .chain(['"', '\\', 'é', '𝄞'])
            .collect();
        let json = serde_json::to_string(&given).unwrap();
        let out = safe(&json, Policy::Json);
        assert!(!out.chars().any(is_unsafe));
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), given);
        let toml = format!("x = \"{}\"", safe(&given, Policy::Toml));
        assert!(!toml.chars().any(is_unsafe));
        assert_eq!(
            toml.parse::<toml::Table>().unwrap()["x"].as_str().unwrap(),
            given
        );
    }

    #[test]
    fn a_long_line_ends_between_two_characters() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "lo…");
        assert_eq!(cut("éééé", 7), "éé…");
        for (given, length) in [
            ("x".repeat(512), 512),
            ("x".repeat(513), 512),
            ("邮".repeat(300), 510),
        ] {
            let out = short(&given);
            assert_eq!((out.len(), out.ends_with('…')), (length, given.len() > 512));
        }
    }

    #[test]
    fn columns_are_those_of_a_terminal() {
        for (text, wanted) in [
            ("", 0),
            ("abc", 3),
            ("é", 1),
            ("e\u{301}", 1),
            ("邮件", 4),
            ("😀", 2),
            ("ＡＢ", 4),
        ] {
            assert_eq!(columns(text), wanted, "{text}");
        }
    }
}
