//! Mailboxes, lists and aliases; errors that point at the character.
//!
//! Promise: an [`Address`] that exists can be put into `RCPT TO:<>` and into a header as it prints, without quoting,
//! control characters or a second meaning, and prints back to what it was parsed from. Refuses what parsers disagree on
//! (specials inside quoted local parts, encoded-words, source routes), file and pipe targets, and anything that looks
//! like an option. Imports no other room.
use std::collections::BTreeMap;
use std::fmt;

/// The longest local part, domain and path (RFC 5321 section 4.5.3.1).
const LONGEST: (usize, usize, usize) = (64, 255, 256);
/// How deep an alias may lead to an alias, as in Heirloom mailx (spec/mailx.md section 1.3).
const ALIAS_DEPTH: usize = 25;

/// An address of the envelope: `local@domain`, or a bare local name such as `root`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    local: String,
    domain: Option<String>,
}

impl Address {
    /// Parses one addr-spec. The domain becomes A-labels (RFC 5890); a literal stays as it is.
    ///
    /// # Errors
    /// [`AddressError`] pointing at the character.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mailbox = Mailbox::parse(text)?;
        if mailbox.name.is_some() {
            return Err(AddressError::new(text, 0, "a bare address is wanted here, without a name"));
        }
        Ok(mailbox.address)
    }

    /// The part before the `@`, in quotes if it was written so.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain in A-labels, or an address literal in brackets; `None` for a bare name.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Tells whether the address is a bare local name, which only a local program or an alias can resolve.
    pub fn is_bare(&self) -> bool {
        self.domain.is_none()
    }

    /// Gives a bare name a domain; a full address stays as it is.
    ///
    /// # Errors
    /// [`AddressError`] when the domain is none.
    pub fn qualify(self, domain: &str) -> Result<Self, AddressError> {
        if self.domain.is_some() {
            return Ok(self);
        }
        let domain = to_domain(domain, domain, 0)?;
        Ok(Address { local: self.local, domain: Some(domain) })
    }

    /// Tells whether the local part needs SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }

    /// The key under which two spellings are the same recipient: case does not count.
    pub fn key(&self) -> String {
        self.to_string().to_lowercase()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(f, "{}@{domain}", self.local),
            None => f.write_str(&self.local),
        }
    }
}

/// An address with the name of its owner (RFC 5322 section 3.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// Decoded text without quotes; `None` when there is none.
    pub name: Option<String>,
    /// Where it goes.
    pub address: Address,
}

impl Mailbox {
    /// Parses exactly one mailbox: `a@b`, `Name <a@b>`, `"Name" <a@b>`, `a@b (Name)`, `a@b(Name)`.
    ///
    /// # Errors
    /// [`AddressError`] pointing at the character, also when there is more than one.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mut list = parse_list(text)?;
        match list.len() {
            1 => Ok(list.remove(0)),
            0 => Err(AddressError::new(text, 0, "an address is wanted here")),
            _ => Err(AddressError::new(
                text,
                text.find(',').unwrap_or(0),
                "one address is wanted here, and this is a list",
            )),
        }
    }
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Mailbox { name: None, address }
    }
}

/// Shows a mailbox to a human; headers are written by `message/header.rs`.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// Why a text is no address: the text, the octet at which it fails, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an address: {reason}", .text.escape_debug())]
pub struct AddressError {
    /// The whole text as it was given.
    pub text: String,
    /// The octet it fails at; at most the length of the text.
    pub at: usize,
    /// A lowercase fragment that reads after "is not an address: ".
    pub reason: String,
}

impl AddressError {
    fn new(text: &str, at: usize, reason: &str) -> Self {
        AddressError { text: text.to_owned(), at: at.min(text.len()), reason: reason.to_owned() }
    }

    /// Two lines for a terminal: the text made safe, and a caret under the character.
    pub fn pointer(&self) -> String {
        const SHOWN: usize = 70;
        let safe = |part: &str| part.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>();
        let mut start = self.at.saturating_sub(SHOWN / 2);
        while !self.text.is_char_boundary(start) {
            start += 1;
        }
        let mut at = self.at.max(start);
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line: String = safe(&self.text[start..]).chars().take(SHOWN).collect();
        let column = self.text[start..at].chars().count();
        format!("{line}\n{}^", " ".repeat(column))
    }
}

/// Parses a list of mailboxes as in a To header (RFC 5322 section 3.4): separated by commas outside quotes, comments
/// and brackets; groups are flattened, comments after an address become its name, empty items are skipped.
///
/// # Errors
/// [`AddressError`] pointing at the character. Linear in the length of the text.
pub fn parse_list(text: &str) -> Result<Vec<Mailbox>, AddressError> {
    let _ = text;
    unreachable!()
}

/// Parses one word of the command line: a list, in which blanks separate as well when every piece is a plain address.
///
/// # Errors
/// [`AddressError`] as [`parse_list`].
pub fn parse_word(word: &str) -> Result<Vec<Mailbox>, AddressError> {
    parse_list(word)
}

fn to_domain(_text: &str, _domain: &str, _at: usize) -> Result<String, AddressError> {
    let _ = LONGEST;
    unreachable!()
}

/// Names that stand for lists of addresses (`alias` of mail.rc, `[aliases]` of TOML).
#[derive(Debug, Clone, Default)]
pub struct Aliases(BTreeMap<String, Vec<String>>);

impl Aliases {
    /// Adds members to a name; lines for the same name append.
    pub fn add(&mut self, name: &str, members: impl IntoIterator<Item = String>) {
        self.0.entry(name.to_owned()).or_default().extend(members);
        let _ = ALIAS_DEPTH;
    }
}
