//! Mailboxes, lists and aliases; errors that point at the character.
//!
//! Promise: an [`Address`] that exists can be put into `RCPT TO:<>` and into a header as it prints,
//! without quoting, control characters or a second meaning: its printed form was read back and gave
//! the same address. Refuses control characters wherever they stand, what parsers disagree on
//! (specials inside quoted local parts, encoded-words, source routes) and file and pipe targets.
//! Reads in linear time. Imports no other room but the floor `text`.
mod alias;
mod distinct;
mod domain;
mod parse;
mod parser;
mod phrase;

use std::borrow::Cow;
use std::fmt;

use crate::text::{columns, word};
pub use alias::{ALIAS_DEPTH, ALIAS_WIDTH, AliasError, Aliases, NOWHERE};
pub use distinct::Distinct;
pub use parse::{is_standard, parse_authors, parse_list, parse_word};

/// The longest domain (RFC 5321 section 4.5.3.1.2).
const LONGEST_DOMAIN: usize = 255;
/// The longest address: `MAIL FROM:<` and `>` with their CRLF fit around it into a command line of
/// 512 bytes (RFC 5321 section 4.5.3.1.4). Shorter limits, as 64 bytes for a local part, are the
/// server's to keep: reply addresses and rewritten senders (VERP, SRS) go beyond them.
const LONGEST: usize = 512 - "MAIL FROM:<>\r\n".len();

/// An address of the envelope: `local@domain`, or a bare local name such as `root`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// As it prints: a list of a hundred thousand holds one text for each.
    text: Box<str>,
    /// How many bytes of it are the local part; an `@` and the domain follow, or nothing.
    local: usize,
}

impl Address {
    /// Makes an address of its parts. The only way to make one: every parser and every change of a
    /// domain ends here.
    ///
    /// # Errors
    /// [`AddressError`] when its printed form does not read back as the same address.
    fn new(local: &str, domain: Option<&str>) -> Result<Self, AddressError> {
        let address = Address::joined(local, domain);
        if address.is_what(&address.text)? {
            return Ok(address);
        }
        Err(AddressError::new(
            &address.text,
            0,
            "it would be read back as a different address",
        ))
    }

    fn joined(local: &str, domain: Option<&str>) -> Self {
        let text = match domain {
            Some(domain) => [local, "@", domain].concat(),
            None => local.to_owned(),
        };
        Address {
            text: text.into_boxed_str(),
            local: local.len(),
        }
    }

    /// Returns whether a text is read as this address and nothing else.
    ///
    /// # Errors
    /// [`AddressError`] when it is read as none.
    pub fn is_what(&self, text: &str) -> Result<bool, AddressError> {
        let (local, domain) = parser::parts(text)?;
        Ok(local == self.local() && domain.as_deref() == self.domain())
    }

    /// Parses one addr-spec. The domain becomes A-labels (RFC 5890); a literal stays as it is.
    ///
    /// # Errors
    /// [`AddressError`] pointing at the character.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mailbox = Mailbox::parse(text)?;
        if mailbox.name.is_some() {
            return Err(AddressError::new(
                text,
                0,
                "expected an address alone, without a name",
            ));
        }
        Ok(mailbox.address)
    }

    /// The part before the `@`, in quotes if it was written so.
    pub fn local(&self) -> &str {
        &self.text[..self.local]
    }

    /// The domain in A-labels, or an address literal in brackets; `None` for a bare name.
    pub fn domain(&self) -> Option<&str> {
        self.text.get(self.local + 1..)
    }

    /// Returns whether the address is a bare local name, which only a local program or an alias can
    /// resolve.
    pub fn is_bare(&self) -> bool {
        self.domain().is_none()
    }

    /// Gives a bare name a domain; a full address stays as it is.
    ///
    /// # Errors
    /// [`AddressError`] when the domain is none.
    pub fn qualify(self, domain: &str) -> Result<Self, AddressError> {
        if self.domain().is_some() {
            return Ok(self);
        }
        let domain = domain::domain(domain, domain, 0)?;
        Address::new(self.local(), Some(&domain))
    }

    /// Puts another domain behind the same local part.
    ///
    /// # Errors
    /// [`AddressError`] when the domain is none.
    pub fn with_domain(&self, domain: &str) -> Result<Self, AddressError> {
        let domain = domain::domain(domain, domain, 0)?;
        Address::new(self.local(), Some(&domain))
    }

    /// Returns whether the local part needs SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        !self.local().is_ascii()
    }

    /// The key under which two spellings are the same recipient: case does not count.
    pub fn key(&self) -> String {
        self.text.to_lowercase()
    }

    /// The same as [`Address::key`], borrowed where it is written so already.
    fn folded(&self) -> Cow<'_, str> {
        if self.text.is_ascii() && !self.text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Borrowed(&self.text)
        } else {
            Cow::Owned(self.key())
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
        let mut list = parse_authors(text)?;
        match list.len() {
            1 => Ok(list.remove(0)),
            0 => Err(AddressError::new(text, 0, "expected an address")),
            _ => {
                let comma = text.find(',').unwrap_or(0);
                Err(AddressError::new(
                    text,
                    comma,
                    "expected one address, got a list",
                ))
            }
        }
    }
}

impl AsRef<Address> for Address {
    fn as_ref(&self) -> &Address {
        self
    }
}

impl AsRef<Address> for Mailbox {
    fn as_ref(&self) -> &Address {
        &self.address
    }
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Mailbox {
            name: None,
            address,
        }
    }
}

/// Shows a mailbox to a human; headers are written by the message.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// Why a text is no address: the text, the byte at which it fails, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an address: {reason}", word(.text))]
pub struct AddressError {
    /// The text as it was given, cut to a window around the place when it is long.
    pub text: String,
    /// The byte it fails at; at most the length of the text.
    pub at: usize,
    /// A lowercase fragment that reads after "is not an address: ".
    pub reason: String,
}

impl AddressError {
    pub(crate) fn new(text: &str, at: usize, reason: impl Into<String>) -> Self {
        const BEFORE: usize = 48;
        const SHOWN: usize = 96;
        let floor = |mut at: usize| {
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let at = floor(at.min(text.len()));
        let start = if text.len() <= SHOWN {
            0
        } else {
            floor(at.saturating_sub(BEFORE))
        };
        let end = floor((start + SHOWN).min(text.len()));
        AddressError {
            text: text[start..end].to_owned(),
            at: at - start,
            reason: reason.into(),
        }
    }

    /// Two lines for a terminal: the text made safe, and a caret under the character, or under the
    /// first of those that spell it.
    pub fn pointer(&self) -> String {
        let (before, behind) = self.text.split_at(self.at);
        let before = word(before);
        format!(
            "{before}{}\n{}^",
            word(behind),
            " ".repeat(columns(&before))
        )
    }
}

#[cfg(test)]
impl Address {
    /// Makes an address from its parts as they are, also one that no parser would let exist: what
    /// stands behind the parsers is tried with it.
    pub(crate) fn of(local: &str, domain: &str) -> Self {
        Address::joined(local, Some(domain))
    }
}

#[cfg(test)]
mod tests;
