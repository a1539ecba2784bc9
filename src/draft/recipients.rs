//! Recipients from a file: one a line, for lists that no command line and no header can hold.
//!
//! Promise: linear in the file; a file that cannot be read, or with a single line that is no
//! address, sends nothing, and every such line is named, up to ten. Refuses what is no regular
//! file, as everywhere, and lists of more than a million.
use std::io;
use std::path::Path;

use super::DraftError;
use super::read::{read_all, read_file};
use crate::address::{AddressError, Distinct, Mailbox, parse_list};

/// The most recipients of one mail.
pub(super) const MOST: usize = 1_000_000;
/// The largest file in bytes: a million of the longest addresses.
const LARGEST: u64 = 256 << 20;
/// How many bad lines are told.
const TOLD: usize = 10;

/// A list as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    shown: String,
    /// Everybody once, in the order of the file.
    pub(super) mailboxes: Vec<Mailbox>,
    twice: usize,
}

impl List {
    /// A word on what was left out, for those who want to know.
    pub(super) fn note(&self) -> Option<String> {
        let left_out = match self.twice {
            0 => return None,
            1 => "1 duplicate recipient was left out".to_owned(),
            many => format!("{many} duplicate recipients were left out"),
        };
        Some(format!(
            "{}: {} recipients; {left_out}",
            self.shown,
            self.mailboxes.len()
        ))
    }
}

/// A line of a file that is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// The file as it was written, and the line from 1: `list.txt:3`.
    pub place: String,
    /// What is wrong.
    pub error: AddressError,
}

/// Reads a list of recipients; `-` is standard input. A line holds a mailbox or several, separated
/// by commas; text behind a `#` at its beginning or behind a blank counts for nothing, and neither
/// do blank lines and a byte order mark.
///
/// # Errors
/// [`DraftError::File`], [`DraftError::Stdin`], [`DraftError::Lines`], [`DraftError::EmptyList`],
/// [`DraftError::TooMany`].
pub(super) fn read(path: &Path, shown: &str) -> Result<List, DraftError> {
    let is_stdin = path.as_os_str() == "-";
    let shown = if is_stdin { "standard input" } else { shown };
    let bytes = if is_stdin {
        read_all(io::stdin().lock(), LARGEST)
    } else {
        read_file(path, LARGEST)
    };
    let bytes = bytes.map_err(|error| match error {
        DraftError::TooLarge(_) => DraftError::TooMany(shown.to_owned(), MOST),
        other => other,
    })?;
    parse(&bytes, shown)
}

fn parse(bytes: &[u8], shown: &str) -> Result<List, DraftError> {
    // Spreadsheets write UTF-16 and a mark; whatever else is no UTF-8 is shown by the error of its
    // line.
    let (text, _, _) = encoding_rs::UTF_8.decode(bytes);
    let mut list = Distinct::with_capacity(0);
    let mut twice = 0;
    let (mut bad, mut count) = (Vec::new(), 0);
    for (number, line) in text.split('\n').enumerate() {
        match parse_list(meant(line)) {
            Ok(mailboxes) => {
                for mailbox in mailboxes {
                    twice += usize::from(!list.push(mailbox));
                }
            }
            Err(error) => {
                count += 1;
                if bad.len() < TOLD {
                    bad.push(BadLine {
                        place: format!("{shown}:{}", number + 1),
                        error,
                    });
                }
            }
        }
        if list.len() > MOST {
            return Err(DraftError::TooMany(shown.to_owned(), MOST));
        }
    }
    match (bad.is_empty(), list.is_empty()) {
        (false, _) => Err(DraftError::Lines { bad, count }),
        // Whatever should have written it has failed.
        (true, true) => Err(DraftError::EmptyList(shown.to_owned())),
        (true, false) => Ok(List {
            shown: shown.to_owned(),
            mailboxes: list.into_vec(),
            twice,
        }),
    }
}

/// A line without its end, its comment and the blanks around it. A `#` inside a word or quotes
/// belongs to the address.
fn meant(line: &str) -> &str {
    let (mut quoted, mut escaped, mut after_blank) = (false, false, true);
    let comment = line.bytes().position(|byte| {
        let begins = byte == b'#' && after_blank && !quoted;
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        after_blank = byte.is_ascii_whitespace();
        begins
    });
    line[..comment.unwrap_or(line.len())].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> Vec<String> {
        parse(bytes, "list")
            .unwrap()
            .mailboxes
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_line_is_a_mailbox_or_a_list_and_the_rest_is_passed_over() {
        let text = "\u{feff}# friends\r\nann@a.test\r\n\r\n  bob@a.test  # the boss\n\"Li #1, Ann\" <li@a.test>\n\
                    a#b@a.test, Carl <c@a.test>,\n\t#\nbob\n";
        let wanted = [
            "ann@a.test",
            "bob@a.test",
            "Li #1, Ann <li@a.test>",
            "a#b@a.test",
            "Carl <c@a.test>",
            "bob",
        ];
        assert_eq!(shown(text.as_bytes()), wanted);
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(shown(&wide), wanted);
    }

    #[test]
    fn every_bad_line_is_told_up_to_ten() {
        let text = format!("ann@a.test\nann@@a.test\n\n{}", "b c\n".repeat(20));
        let Err(DraftError::Lines { bad, count }) = parse(text.as_bytes(), "list") else {
            panic!("taken")
        };
        assert_eq!((bad.len(), count), (10, 21));
        let told: Vec<_> = bad[..2]
            .iter()
            .map(|line| format!("{}: {}", line.place, line.error))
            .collect();
        assert_eq!(
            told,
            [
                "list:2: `ann@@a.test` is not an address: a second `@`",
                "list:4: `b c` is not an address: a space is not allowed here; is a comma missing?"
            ]
        );
        assert_eq!(bad[0].error.pointer(), "ann@@a.test\n    ^");
    }

    #[test]
    fn everybody_is_named_once_and_the_others_are_counted() {
        let note = |text: &str| parse(text.as_bytes(), "list").unwrap().note();
        assert_eq!(note("ann@a.test\nbob"), None);
        assert_eq!(
            note("ann@a.test, Ann <ANN@A.test>\nbob").as_deref(),
            Some("list: 2 recipients; 1 duplicate recipient was left out")
        );
        assert_eq!(
            shown(b"bob\nann@a.test\nAnn <ann@A.test>\nbob\n"),
            ["bob", "ann@a.test"]
        );
        assert!(
            note(&"a@b\n".repeat(4))
                .is_some_and(|note| { note.ends_with("3 duplicate recipients were left out") })
        );
    }

    #[test]
    fn a_list_has_an_end() {
        let text = (0..MOST)
            .map(|n| format!("{n}@b"))
            .collect::<Vec<_>>()
            .join("\n")
            + "\n";
        assert_eq!(
            parse(text.as_bytes(), "list").unwrap().mailboxes.len(),
            MOST
        );
        assert!(matches!(
            parse((text + "a@b").as_bytes(), "list"),
            Err(DraftError::TooMany(..))
        ));
    }

    #[test]
    fn a_list_without_anybody_is_an_error() {
        for text in [&b""[..], b"\xef\xbb\xbf\n#\n"] {
            assert_eq!(
                parse(text, "l").unwrap_err().to_string(),
                "l: it contains no recipient"
            );
        }
    }

    #[test]
    fn lists_of_any_lines_take_linear_time() {
        use crate::pace::{assert_linear, numbered};
        let rows: &[(&str, &dyn Fn(usize) -> String)] = &[
            ("addresses", &|n| format!("a{n}@x\n")),
            ("one address", &|_| "a@x\n".to_owned()),
            ("names", &|n| format!("\"A, {n}\" <a{n}@x>, ")),
            ("what is none", &|n| format!("a@@{n}\n")),
            ("remarks", &|_| " #".to_owned()),
            ("quotes", &|_| "\"\\".to_owned()),
            ("line ends", &|_| "\r\n".to_owned()),
        ];
        for (name, row) in rows {
            assert_linear(
                name,
                |size| numbered(size, row),
                |text| drop(parse(text.as_bytes(), "list")),
            );
        }
    }
}
