//! A draft settled into an envelope and exact bytes.
//!
//! Promise: the bytes have CRLF line ends only, no line over 998 octets, exactly one From, Date, Message-ID and
//! MIME-Version, and never a Bcc. Attachments stay files until they are sent.
use std::io;

use crate::address::Address;

/// Who sends and who receives, apart from what the headers say (RFC 5321 section 2.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The reverse-path; `None` is the null one.
    pub sender: Option<Address>,
    /// Every recipient once, in the order To, Cc, Bcc.
    pub recipients: Vec<Address>,
}

impl Envelope {
    /// Tells whether an address of it needs SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        self.sender.iter().chain(&self.recipients).any(Address::needs_smtputf8)
    }
}

/// A mail ready to travel.
#[derive(Debug)]
pub struct Message {
    /// The Message-ID with its angle brackets.
    pub id: String,
    /// Who sends and who receives.
    pub envelope: Envelope,
    /// The bytes hold octets over 127 and need 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    bytes: Vec<u8>,
    seven_bit: Option<Box<Message>>,
}

impl Message {
    /// Takes ready bytes, which the canonicaliser has seen.
    pub fn from_wire(id: String, envelope: Envelope, bytes: Vec<u8>) -> Self {
        let eight_bit = !bytes.is_ascii();
        Message { id, envelope, eight_bit, bytes, seven_bit: None }
    }

    /// The octets that will be sent, without dot-stuffing and without the final dot; exact (RFC 1870 section 4).
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The same mail in seven bits, for a server without 8BITMIME; `None` when there is no such form.
    pub fn seven_bit(&self) -> Option<&Message> {
        self.seven_bit.as_deref()
    }

    /// The bytes in pieces of at most about 128 KiB, from the start; may be called again for another attempt. The whole ends in CRLF.
    ///
    /// # Errors
    /// Each piece may be an error: a file that cannot be read or has another length than before.
    pub fn chunks(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> + '_ {
        self.bytes.chunks(128 * 1024).map(|c| Ok(c.to_vec()))
    }
}
