//! Header values: what is encoded, how it is spelled, and where lines fold (RFC 5322 section 2.2.3,
//! RFC 2047, RFC 6532).
//!
//! Promise: a value written here holds no control character and no line end but its own folds, has
//! lines of 78 bytes where folding allows and of 998 always, and is read back as what was given,
//! blanks included. Text that merely looks encoded (`=?utf-8?q?a?=`) is encoded, so that it shows
//! as it is. Refuses header names and single words that no line can hold.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::MimeError;
use super::crlf::LONGEST_LINE;
use super::encoded_word;
use super::escape::push_hex;
use super::head::one_line;
use crate::address::{Mailbox, parse_list};

/// A header: its name and its value, encoded and folded.
pub(crate) type Header = (String, String);

/// The line length folding aims at (RFC 5322 section 2.1.1).
pub(crate) const LINE: usize = 78;
/// The longest word of a mailbox: it may be the first word of its header, and there nothing folds.
const FIRST: usize = LINE - "Reply-To: ".len();
/// The longest line with an encoded-word in it, and the longest encoded-word (RFC 2047 section 2).
pub(crate) const ENCODED: (usize, usize) = (76, 75);
/// What an encoded-word spends on `=?utf-8?q?` and `?=`.
const FRAME: usize = 12;
/// The longest header name lettre takes.
const LONGEST_NAME: usize = 76;
/// The longest word of a free header that stays as it is: other programs read such headers, and few
/// of them decode.
const LONGEST_WORD: usize = 900;
/// Headers with a grammar of their own: they fold, but ASCII in them is never encoded. A name that
/// ends in `-` stands for all that begin so.
const STRUCTURED: [&str; 24] = [
    "in-reply-to",
    "references",
    "list-",
    "content-",
    "resent-",
    "arc-",
    "sender",
    "reply-to",
    "errors-to",
    "return-receipt-to",
    "disposition-notification-to",
    "mail-followup-to",
    "mail-reply-to",
    "received",
    "return-path",
    "dkim-signature",
    "authentication-results",
    "auto-submitted",
    "autocrypt",
    "precedence",
    "supersedes",
    "message-id",
    "date",
    "tls-required",
];

/// Checks a header name (RFC 5322 section 3.6.8: printable ASCII without blank and colon).
pub(crate) fn check_name(name: &str) -> Result<(), MimeError> {
    let fits = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if fits {
        Ok(())
    } else {
        Err(MimeError::HeaderName(name.to_owned()))
    }
}

/// The last guard of the head: a field, name and value, that holds a NUL, or a CR or LF that is not
/// a fold, would be another field or the end of the head. What comes here was made by this room and
/// is trusted all the same by nobody.
pub(crate) fn check_folds(name: &str, field: &[u8]) -> Result<(), MimeError> {
    let sound = field.iter().enumerate().all(|(at, byte)| match byte {
        0 => false,
        b'\r' => matches!(field.get(at + 1..), Some([b'\n', b' ' | b'\t', ..])),
        b'\n' => at > 0 && field[at - 1] == b'\r',
        _ => true,
    });
    if sound {
        Ok(())
    } else {
        Err(MimeError::Unsound(name.to_owned()))
    }
}

/// Writes a header the user added, by the grammar its name has.
pub(crate) fn further(name: &str, text: &str) -> Result<String, MimeError> {
    let lower = name.to_ascii_lowercase();
    let is_structured = STRUCTURED
        .iter()
        .any(|row| *row == lower || row.ends_with('-') && lower.starts_with(row));
    if is_structured {
        structured(name, text)
    } else {
        Ok(unstructured(name, text, LONGEST_WORD))
    }
}

/// Writes a list that is only to be seen: as mailboxes, if it is read as some, else as it stands.
pub(crate) fn only_shown(name: &str, text: &str) -> Result<String, MimeError> {
    let mut list = parse_list(text).unwrap_or_default();
    if list.is_empty() {
        return structured(name, text);
    }
    for mailbox in &mut list {
        mailbox.name = mailbox.name.take().map(|name| encoded_word::decode(&name));
    }
    mailboxes(name, &list)
}

/// Writes a subject.
pub fn subject(text: &str) -> String {
    unstructured("Subject", text, LINE - 2)
}

/// Writes free text under any name: a word that no line can hold is encoded too.
pub(crate) fn free(name: &str, text: &str) -> String {
    unstructured(name, text, LONGEST_WORD)
}

/// Writes free text (RFC 5322 section 2.2.1): words that need it are encoded, and with them the
/// blanks that folding would lose.
fn unstructured(name: &str, text: &str, longest: usize) -> String {
    let text = one_line(text);
    let is_plain = |word: &str| word.bytes().all(|b| b.is_ascii_graphic()) && !word.contains("=?");
    let mut line = Line::after(name);
    if line.column + text.len() <= LINE && text.trim() == text && text.split(' ').all(is_plain) {
        line.push(&text);
        return line.out;
    }
    let words: Vec<&str> = text.split(' ').collect();
    let mut encoded: Vec<bool> = words
        .iter()
        .map(|w| !is_plain(w) || w.is_empty() || w.len() > longest)
        .collect();
    // The first word cannot move to a line of its own.
    encoded[0] |= longest < LINE && line.column + words[0].len() > LINE;
    for at in 0..words.len() {
        // An empty word is a blank too many: it lives in the encoded-word of its neighbour.
        if words[at].is_empty() {
            let neighbour = if at + 1 < words.len() {
                at + 1
            } else {
                at.saturating_sub(1)
            };
            encoded[neighbour] = true;
        }
    }
    let mut at = 0;
    while at < words.len() {
        let run = words[at..]
            .iter()
            .zip(&encoded[at..])
            .take_while(|(_, encoded)| **encoded)
            .count();
        if run == 0 {
            line.word(words[at]);
        } else {
            line.encoded(&words[at..at + run].join(" "), Alphabet::Text);
        }
        at += run.max(1);
    }
    line.out
}

/// Writes a value with a grammar: it folds at blanks outside quotes, and only words that are not
/// ASCII are encoded.
fn structured(name: &str, text: &str) -> Result<String, MimeError> {
    let text = one_line(text).replace('\t', " ");
    // Identifiers may stand side by side, and then no blank is there to fold at.
    let text = if text.len() > LINE {
        text.replace("><", "> <")
    } else {
        text
    };
    let mut line = Line::after(name);
    let mut odd = String::new();
    for word in quoted_words(&text) {
        if !word.is_ascii() {
            odd.push_str(if odd.is_empty() { "" } else { " " });
            odd.push_str(&unquoted(word));
            continue;
        }
        if !odd.is_empty() {
            line.encoded(&std::mem::take(&mut odd), Alphabet::Phrase);
        }
        line.word(word);
    }
    if !odd.is_empty() {
        line.encoded(&odd, Alphabet::Phrase);
    }
    line.fit(name)
}

/// Splits at blanks outside quoted strings.
fn quoted_words(text: &str) -> impl Iterator<Item = &str> {
    let (mut inside, mut escaped) = (false, false);
    text.split(move |c| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' => escaped = inside && !was_escaped,
            '"' if !was_escaped => inside = !inside,
            _ => {}
        }
        c == ' ' && !inside
    })
    .filter(|word| !word.is_empty())
}

fn unquoted(word: &str) -> String {
    match word.strip_prefix('"').and_then(|w| w.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => word.to_owned(),
    }
}

/// Writes a list of mailboxes (RFC 5322 section 3.4). It folds between mailboxes first. Linear in
/// the length of the list.
pub fn mailboxes(name: &str, list: &[Mailbox]) -> Result<String, MimeError> {
    let mut line = Line::after(name);
    for (at, mailbox) in list.iter().enumerate() {
        let comma = if at + 1 < list.len() { "," } else { "" };
        let address = mailbox.address.to_string();
        let phrase = match mailbox.name.as_deref().map(one_line) {
            Some(name) if !name.trim().is_empty() => name,
            _ => {
                line.word(&format!("{address}{comma}"));
                continue;
            }
        };
        match plain_phrase(&phrase) {
            Some(plain) if plain.len() + address.len() + 4 <= FIRST => {
                line.word(&format!("{plain} <{address}>{comma}"));
            }
            Some(plain) if !plain.starts_with('"') => {
                plain.split(' ').for_each(|word| line.word(word));
                line.word(&format!("<{address}>{comma}"));
            }
            Some(plain) => {
                line.word(&plain);
                line.word(&format!("<{address}>{comma}"));
            }
            None => {
                line.encoded(&phrase, Alphabet::Phrase);
                line.word(&format!("<{address}>{comma}"));
            }
        }
    }
    line.fit(name)
}

/// A display name in ASCII as atoms or as a quoted string; `None` when only an encoded-word says it
/// exactly.
fn plain_phrase(name: &str) -> Option<String> {
    const SPECIAL: &str = "!#$%&'*+-/=?^_`{|}~";
    let lone_blanks = name.trim() == name && !name.contains("  ");
    if !lone_blanks || name.contains("=?") || !name.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return None;
    }
    let is_atom = |w: &str| {
        w.len() <= FIRST
            && w.chars()
                .all(|c| c.is_ascii_alphanumeric() || SPECIAL.contains(c))
    };
    if name.split(' ').all(is_atom) {
        return Some(name.to_owned());
    }
    let quoted = quote(name);
    (quoted.len() <= FIRST).then_some(quoted)
}

/// Puts a text in quotes (RFC 5322 section 3.2.4).
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Writes words that are ready, such as the parameters of Content-Type: they fold between each
/// other.
pub(crate) fn ready<'a>(
    name: &str,
    words: impl Iterator<Item = &'a str>,
) -> Result<String, MimeError> {
    let mut line = Line::after(name);
    words.for_each(|word| line.word(word));
    line.fit(name)
}

/// Spells a text in encoded-words of at most 75 bytes, without folding; for parameters of old
/// readers.
pub(crate) fn encoded_words(text: &str) -> Vec<String> {
    let spelling = shorter(text, Alphabet::Phrase);
    let mut rest = text;
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (word, tail) = encoded_word(rest, ENCODED.1, Alphabet::Phrase, spelling);
        words.push(word);
        rest = tail;
    }
    words
}

/// Which characters the Q encoding leaves as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// In free text (RFC 2047 section 5 rule 1).
    Text,
    /// In a phrase (rule 3).
    Phrase,
}

impl Alphabet {
    fn cost(self, c: char) -> usize {
        let plain = match self {
            Alphabet::Text => c.is_ascii_graphic() && !matches!(c, '=' | '?' | '_') || c == ' ',
            Alphabet::Phrase => {
                c.is_ascii_alphanumeric() || matches!(c, '!' | '*' | '+' | '-' | '/' | ' ')
            }
        };
        if plain { 1 } else { 3 * c.len_utf8() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Q,
    B,
}

fn shorter(text: &str, alphabet: Alphabet) -> Spelling {
    let q: usize = text.chars().map(|c| alphabet.cost(c)).sum();
    if q <= text.len().div_ceil(3) * 4 {
        Spelling::Q
    } else {
        Spelling::B
    }
}

/// Encodes as much of a text as fits, at least one character, and gives back the rest. Never parts
/// a character (section 5).
fn encoded_word(text: &str, room: usize, alphabet: Alphabet, spelling: Spelling) -> (String, &str) {
    let budget = room.saturating_sub(FRAME);
    let (mut end, mut cost) = (0, 0);
    for c in text.chars() {
        cost += if spelling == Spelling::Q {
            alphabet.cost(c)
        } else {
            c.len_utf8()
        };
        let spent = if spelling == Spelling::Q {
            cost
        } else {
            cost.div_ceil(3) * 4
        };
        if spent > budget && end > 0 {
            break;
        }
        end += c.len_utf8();
    }
    let (head, tail) = text.split_at(end);
    if spelling == Spelling::B {
        return (format!("=?utf-8?b?{}?=", STANDARD.encode(head)), tail);
    }
    let mut word = b"=?utf-8?q?".to_vec();
    for c in head.chars() {
        match c {
            ' ' => word.push(b'_'),
            _ if alphabet.cost(c) == 1 => word.push(c as u8),
            _ => c
                .encode_utf8(&mut [0; 4])
                .bytes()
                .for_each(|b| push_hex(b'=', b, &mut word)),
        }
    }
    word.extend_from_slice(b"?=");
    (String::from_utf8(word).unwrap_or_default(), tail)
}

/// A value being written: it knows its column, so that it folds in time.
struct Line {
    out: String,
    column: usize,
    /// How far this line may go: less far with an encoded-word in it.
    limit: usize,
    empty: bool,
}

impl Line {
    fn after(name: &str) -> Self {
        Line {
            out: String::new(),
            column: name.len() + 2,
            limit: LINE,
            empty: true,
        }
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.len();
        self.empty = false;
    }

    /// The blank before a word, with a fold when the word would pass the limit.
    fn blank(&mut self, width: usize) {
        // Never at the start: a first line of blanks alone is obsolete, and some servers take it
        // for the end of the header.
        if self.empty {
            return;
        }
        if self.column + 1 + width > self.limit {
            self.out.push_str("\r\n");
            (self.column, self.limit) = (0, LINE);
        }
        self.push(" ");
    }

    fn word(&mut self, word: &str) {
        self.blank(word.len());
        self.push(word);
    }

    fn encoded(&mut self, text: &str, alphabet: Alphabet) {
        let spelling = shorter(text, alphabet);
        let mut rest = text;
        while !rest.is_empty() {
            // What is left of the line is used, unless the text fits whole on the next one (some
            // readers put a blank between the encoded-words of a name) or what is left is too
            // little to be worth an encoded-word.
            let left = ENCODED
                .0
                .saturating_sub(self.column + usize::from(!self.empty));
            let whole = || {
                encoded_word(rest, ENCODED.1, alphabet, spelling)
                    .1
                    .is_empty()
            };
            let next = !self.empty && (left < 2 * FRAME || left < ENCODED.1 && whole());
            let room = if next {
                ENCODED.1
            } else {
                left.clamp(2 * FRAME, ENCODED.1)
            };
            let (word, tail) = encoded_word(rest, room, alphabet, spelling);
            self.limit = ENCODED.0;
            self.blank(word.len());
            self.limit = ENCODED.0;
            self.push(&word);
            rest = tail;
        }
    }

    /// The value, if every line of it can be sent.
    fn fit(self, name: &str) -> Result<String, MimeError> {
        let first = name.len() + 2;
        let fits = self
            .out
            .split("\r\n")
            .enumerate()
            .all(|(at, line)| line.len() + if at == 0 { first } else { 0 } <= LONGEST_LINE);
        if fits {
            Ok(self.out)
        } else {
            Err(MimeError::HeaderTooLong(name.to_owned()))
        }
    }
}
