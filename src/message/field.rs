//! Header fields as they came: their exact octets, what they say, and how they are mended when they cannot be sent so.
//!
//! Promise: a field without a flaw keeps every octet, folds too. A mended one is ASCII (but for an address that needs SMTPUTF8),
//! has no control character and no line over 998 octets, and says the same. Refuses only names that no line can hold.
use super::charset::{self, Hints};
use super::header;
use super::media;
use super::wire::LONGEST_LINE;
use crate::address::{Mailbox, is_standard, parse_authors, parse_list};
use crate::draft::encoded_word;

/// The fields that hold mailboxes which a reader answers or a server checks (RFC 5322 sections 3.6.2, 3.6.3 and 3.6.6).
const ADDRESSES: [&str; 10] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "resent-from",
    "resent-sender",
    "resent-reply-to",
    "resent-to",
    "resent-cc",
];

/// One field with its folds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// Lines that end in CRLF. A CR or NUL that stood in one is still there.
    octets: Vec<u8>,
    colon: usize,
}

impl Field {
    /// Begins a field with its first line, which has no end; `None` when the line begins none.
    pub(super) fn begin(line: &[u8]) -> Option<Self> {
        let colon = line.iter().position(|b| *b == b':').filter(|_| is_field(line))?;
        let mut field = Field { octets: Vec::with_capacity(line.len() + 2), colon };
        field.extend(line);
        Some(field)
    }

    /// Adds a line, which has no end.
    pub(super) fn extend(&mut self, line: &[u8]) {
        self.octets.extend_from_slice(line);
        self.octets.extend_from_slice(b"\r\n");
    }

    /// Makes a field of a value that is written already.
    pub(super) fn new(name: &str, value: &str) -> Self {
        Field { octets: format!("{name}: {value}\r\n").into_bytes(), colon: name.len() }
    }

    pub(super) fn name(&self) -> &str {
        std::str::from_utf8(&self.octets[..self.colon]).unwrap_or_default().trim_end()
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// Tells whether the name begins so.
    pub(super) fn begins(&self, prefix: &str) -> bool {
        self.name().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The value on one line, without blanks around it; encoded-words as they are.
    pub(super) fn text(&self, fallback: &[String]) -> String {
        let value = self.octets[self.colon + 1..].trim_ascii();
        let mut flat = Vec::with_capacity(value.len());
        for (at, line) in value.split(|b| *b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // Behind a fold at least one blank is left of what may have been many.
            flat.extend_from_slice(if at == 0 { line } else { line.trim_ascii_start() });
            flat.push(b' ');
        }
        flat.pop();
        let (text, _) = charset::read(flat, Hints { fallback, ..Hints::default() });
        header::one_line(&text).trim().to_owned()
    }

    /// Tells whether it cannot be sent as it is by any server: a control character, a line of blanks (which some take for the end of
    /// the head), or a line that is too long.
    pub(super) fn is_flawed(&self) -> bool {
        self.octets.split_inclusive(|b| *b == b'\n').any(|line| {
            let line = line.strip_suffix(b"\r\n").unwrap_or(line);
            line.len() > LONGEST_LINE
                || line.trim_ascii().is_empty()
                || line.iter().any(|b| b.is_ascii_control() && *b != b'\t')
        })
    }

    /// The mailboxes, if it is a field that holds some and they can be read.
    pub(super) fn mailboxes(&self, fallback: &[String]) -> Option<Vec<Mailbox>> {
        let lower = self.name().to_ascii_lowercase();
        if !ADDRESSES.contains(&lower.as_str()) {
            return None;
        }
        let text = self.text(fallback);
        let is_author = !matches!(lower.as_str(), "to" | "cc" | "resent-to" | "resent-cc");
        let mut list = if is_author { parse_authors(&text) } else { parse_list(&text) }.ok()?;
        for mailbox in &mut list {
            mailbox.name = mailbox.name.take().map(|name| encoded_word::decode(&name));
        }
        Some(list)
    }

    /// Tells whether every reader of the field finds as many mailboxes as these.
    pub(super) fn is_as_read(&self, fallback: &[String], list: &[Mailbox]) -> bool {
        is_standard(&self.text(fallback), list.len())
    }

    /// The same in a form that can be sent; `None` when no line can hold its name.
    pub(super) fn mended(&self, fallback: &[String]) -> Option<Field> {
        let name = self.name();
        header::check_name(name).ok()?;
        let text = self.text(fallback);
        let lower = name.to_ascii_lowercase();
        let decoded = || encoded_word::decode(&text);
        let value = match (lower.as_str(), self.mailboxes(fallback)) {
            (_, Some(list)) if !list.is_empty() => header::mailboxes(name, &list),
            ("subject", _) => Ok(header::subject(&decoded())),
            ("content-type" | "content-disposition", _) => {
                media::mended(name, &text).or_else(|_| header::further(name, &text))
            }
            _ => header::further(name, &decoded()),
        };
        Some(Field::new(name, &value.unwrap_or_else(|_| header::free(name, &decoded()))))
    }
}

/// Splits a head into its fields, up to a blank line or one that is neither field nor continuation.
pub(super) fn split(head: &[u8]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for line in head.split_inclusive(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match fields.last_mut() {
            Some(last) if line.starts_with(b" ") || line.starts_with(b"\t") => last.extend(line),
            _ => match Field::begin(line) {
                Some(field) => fields.push(field),
                None => break,
            },
        }
    }
    fields
}

/// Tells whether a line begins a field: `^[!-9;-~]+[ \t]*:`.
pub(super) fn is_field(line: &[u8]) -> bool {
    let name = line.iter().take_while(|b| b.is_ascii_graphic() && **b != b':').count();
    let blanks = line[name..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    name > 0 && line.get(name + blanks) == Some(&b':')
}
