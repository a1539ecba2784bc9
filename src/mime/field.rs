//! Header fields as they came: how they are mended when they cannot be sent so.
//!
//! Promise: a mended field is ASCII (but for an address that needs SMTPUTF8), has no control
//! character and no line over 998 bytes, and says the same. Refuses only names that no line can
//! hold.
use super::encoded_word;
use super::head::Field;
use super::header;
use super::media;
use crate::address::{Mailbox, is_standard, parse_authors, parse_list};

/// The fields that hold mailboxes which a reader answers or a server checks (RFC 5322 sections
/// 3.6.2, 3.6.3 and 3.6.6).
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

/// What a field that can be sent says.
pub(crate) trait Mend {
    /// The mailboxes, if it is a field that holds some and they can be read.
    fn mailboxes(&self, fallback: &[String]) -> Option<Vec<Mailbox>>;

    /// Returns whether every reader of the field finds as many mailboxes as these.
    fn is_as_read(&self, fallback: &[String], list: &[Mailbox]) -> bool;

    /// The same in a form that can be sent; `None` when no line can hold its name.
    fn mended(&self, fallback: &[String]) -> Option<Field>;
}

impl Mend for Field {
    fn mailboxes(&self, fallback: &[String]) -> Option<Vec<Mailbox>> {
        let lower = self.name().to_ascii_lowercase();
        if !ADDRESSES.contains(&lower.as_str()) {
            return None;
        }
        let text = self.text(fallback);
        let is_author = !matches!(lower.as_str(), "to" | "cc" | "resent-to" | "resent-cc");
        let mut list = if is_author {
            parse_authors(&text)
        } else {
            parse_list(&text)
        }
        .ok()?;
        for mailbox in &mut list {
            mailbox.name = mailbox.name.take().map(|name| encoded_word::decode(&name));
        }
        Some(list)
    }

    fn is_as_read(&self, fallback: &[String], list: &[Mailbox]) -> bool {
        is_standard(&self.text(fallback), list.len())
    }

    fn mended(&self, fallback: &[String]) -> Option<Field> {
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
        Some(Field::new(
            name,
            &value.unwrap_or_else(|_| header::free(name, &decoded())),
        ))
    }
}
