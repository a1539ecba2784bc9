//! The MIME tree (RFC 2045, RFC 2046): lettre writes it, with a marker where the bytes of each
//! part belong, and the bytes are put in their place afterwards.
//!
//! Promise: no byte of a part passes through lettre, so a part may be a file that is read while it
//! is sent; boundaries are a function of the stamp and occur in no part.
use std::io;

use lettre::message::header::{Header as LettreHeader, HeaderName, HeaderValue};
use lettre::message::{Body, Message as LettreMessage, MultiPart, SinglePart};
use lettre::{Address as LettreAddress, address::Envelope as LettreEnvelope};

use super::CHUNK;
use super::MessageError;
use super::source::Source;
use super::stamp::SplitMix64;
use super::stored::Stored;
use crate::mime::MimeError;
use crate::mime::header::{self, Header};
use crate::mime::transfer::Transfer;

/// What a part holds, ready for the wire.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Encoded, in lines that end in CRLF.
    Bytes(Vec<u8>),
    /// To be encoded in base64.
    File(Source),
    /// Ready, in lines that end in CRLF, and perhaps in a file.
    Pieces(Vec<Piece>),
}

impl Content {
    fn holds(&self, text: &str) -> bool {
        match self {
            Content::Bytes(bytes) => holds(bytes, text),
            Content::File(_) => false,
            Content::Pieces(pieces) => {
                let mut carry = Vec::new();
                pieces
                    .iter()
                    .flat_map(Piece::chunks)
                    .map_while(Result::ok)
                    .any(|chunk| {
                        carry.extend(chunk);
                        let found = memchr::memmem::find(&carry, text.as_bytes()).is_some();
                        carry.drain(..carry.len().saturating_sub(text.len()));
                        found
                    })
            }
        }
    }
}

/// A part that is no multipart. Its transfer encoding is written after its Content-Type.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) headers: Vec<Header>,
    pub(super) transfer: Transfer,
    pub(super) content: Content,
}

/// A part of a message, or all of it.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// Text or a file.
    Leaf(Leaf),
    /// `multipart/…` with its parameters beside the boundary.
    Multi(&'static str, Vec<Part>),
}

impl Part {
    /// Joins parts; a single one stays as it is.
    pub(super) fn join(kind: &'static str, mut parts: Vec<Part>) -> Part {
        if parts.len() == 1 {
            parts.remove(0)
        } else {
            Part::Multi(kind, parts)
        }
    }

    /// Returns whether a leaf goes in eight bits.
    pub(super) fn is_eight_bit(&self) -> bool {
        match self {
            Part::Leaf(leaf) => leaf.transfer == Transfer::EightBit,
            Part::Multi(_, parts) => parts.iter().any(Part::is_eight_bit),
        }
    }

    fn leaves<'a>(&'a self, out: &mut Vec<&'a Leaf>) {
        match self {
            Part::Leaf(leaf) => out.push(leaf),
            Part::Multi(_, parts) => parts.iter().for_each(|part| part.leaves(out)),
        }
    }

    fn into_leaves(self, out: &mut Vec<Leaf>) {
        match self {
            Part::Leaf(leaf) => out.push(leaf),
            Part::Multi(_, parts) => parts.into_iter().for_each(|part| part.into_leaves(out)),
        }
    }
}

/// A stretch of a message.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file, to be encoded.
    File(Source),
    /// In a file, ready for the wire.
    Stored(Stored),
}

impl Piece {
    /// Its bytes on the wire.
    pub(super) fn len(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(source) => source.encoded_len(),
            Piece::Stored(stored) => stored.length,
        }
    }

    /// It in chunks, none of them empty.
    pub(super) fn chunks(&self) -> Box<dyn Iterator<Item = io::Result<Vec<u8>>> + '_> {
        match self {
            Piece::Bytes(bytes) => Box::new(bytes.chunks(CHUNK).map(|chunk| Ok(chunk.to_vec()))),
            Piece::File(source) => Box::new(
                source
                    .blocks()
                    .filter(|block| !matches!(block, Ok(bytes) if bytes.is_empty())),
            ),
            Piece::Stored(stored) => Box::new(stored.blocks()),
        }
    }
}

/// Writes a message: its headers in order without those of MIME, and its content.
pub(super) fn assemble(
    headers: Vec<Header>,
    root: Part,
    chance: &mut SplitMix64,
) -> Result<Vec<Piece>, MessageError> {
    let mut leaves = Vec::new();
    root.leaves(&mut leaves);
    for (name, value) in headers
        .iter()
        .chain(leaves.iter().flat_map(|leaf| &leaf.headers))
    {
        header::check_folds(name, value.as_bytes())?;
    }
    let mut writer = Writer {
        chance,
        marker: String::new(),
        leaves: &leaves,
        placed: 0,
    };
    writer.marker = format!("splice-{:016x}-", writer.chance.draw());
    let mut builder = LettreMessage::builder().envelope(no_envelope()?);
    for header in gathered(headers) {
        builder = builder.raw_header(ready(header)?.0);
    }
    builder = builder.raw_header(ready(("MIME-Version".to_owned(), "1.0".to_owned()))?.0);
    let whole = match &root {
        Part::Multi(kind, parts) => builder.multipart(writer.multi(kind, parts)?),
        Part::Leaf(leaf) => {
            for header in &leaf.headers {
                builder = builder.raw_header(ready(header.clone())?.0);
            }
            builder.body(writer.marker_body(leaf.transfer))
        }
    };
    let marker = writer.marker;
    let frame = String::from_utf8(whole.map_err(MessageError::Builder)?.formatted())
        .map_err(|_| MessageError::Frame)?;
    let mut leaves = Vec::new();
    root.into_leaves(&mut leaves);
    splice(&frame, &marker, leaves)
}

/// lettre asks for an envelope that it then never uses.
fn no_envelope() -> Result<LettreEnvelope, MessageError> {
    LettreEnvelope::new(None, vec![LettreAddress::new_dangerous("x", "x")])
        .map_err(MessageError::Builder)
}

/// lettre holds one header of a name and looks through all of them for every new one, so those that
/// are repeated, and all beyond a few, go in the value of the one before. The order stays.
fn gathered(headers: Vec<Header>) -> Vec<Header> {
    const FEW: usize = 32;
    let mut out: Vec<Header> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let stands_alone = out.len() < FEW
            && !out
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(&name));
        match out.last_mut() {
            Some((_, block)) if !stands_alone => block.extend(["\r\n", &name, ": ", &value]),
            _ => out.push((name, value)),
        }
    }
    out
}

/// A header lettre takes as it is.
#[derive(Clone)]
struct Ready(HeaderValue);

impl LettreHeader for Ready {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("X-Ready") // never asked for: lettre files a header by the name of its value
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Err("headers are only written here".into())
    }

    fn display(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn ready((name, value): Header) -> Result<Ready, MessageError> {
    // lettre reads these back and insists on what its own types can hold; what is sent is the value
    // beside it.
    let readable = match name.as_str() {
        "From" | "Sender" => "x@x.invalid".to_owned(),
        "Date" => "Thu, 01 Jan 1970 00:00:00 +0000".to_owned(),
        _ => value.replace("\r\n", ""),
    };
    let name = HeaderName::new_from_ascii(name.clone()).map_err(|_| MimeError::HeaderName(name))?;
    Ok(Ready(HeaderValue::dangerous_new_pre_encoded(
        name, readable, value,
    )))
}

struct Writer<'a> {
    chance: &'a mut SplitMix64,
    marker: String,
    leaves: &'a [&'a Leaf],
    placed: usize,
}

impl Writer<'_> {
    fn marker_body(&mut self, transfer: Transfer) -> Body {
        self.placed += 1;
        Body::dangerous_pre_encoded(self.marker.clone().into_bytes(), transfer.lettre())
    }

    fn single(&mut self, leaf: &Leaf) -> Result<SinglePart, MessageError> {
        let mut part = SinglePart::builder();
        for (at, header) in leaf.headers.iter().enumerate() {
            part = part.header(ready(header.clone())?);
            if at == 0 {
                part = part.header(leaf.transfer.lettre());
            }
        }
        Ok(part.body(self.marker_body(leaf.transfer)))
    }

    fn multi(&mut self, kind: &str, parts: &[Part]) -> Result<MultiPart, MessageError> {
        let boundary = self.boundary();
        let value = format!("multipart/{kind};\r\n boundary=\"{boundary}\"");
        let mut multi = MultiPart::builder()
            .header(ready(("Content-Type".to_owned(), value))?)
            .build();
        for part in parts {
            multi = match part {
                Part::Leaf(leaf) => multi.singlepart(self.single(leaf)?),
                Part::Multi(kind, parts) => multi.multipart(self.multi(kind, parts)?),
            };
        }
        Ok(multi)
    }

    /// A boundary that no part holds. The `=_` in it occurs in no base64 and no quoted-printable
    /// (RFC 2045 section 6.7).
    fn boundary(&mut self) -> String {
        loop {
            let boundary = format!("=_{:016x}", self.chance.draw());
            let is_plain =
                |leaf: &&&Leaf| matches!(leaf.transfer, Transfer::SevenBit | Transfer::EightBit);
            if !self
                .leaves
                .iter()
                .filter(is_plain)
                .any(|leaf| leaf.content.holds(&boundary))
            {
                return boundary;
            }
        }
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(known) => known.contains(text),
        Err(_) => bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes()),
    }
}

/// Puts the contents where their markers are. A marker counts only behind the blank line that ends
/// headers, where no header can write.
fn splice(frame: &str, marker: &str, leaves: Vec<Leaf>) -> Result<Vec<Piece>, MessageError> {
    let sign = format!("\r\n\r\n{marker}");
    let mut pieces = Pieces::default();
    let mut rest = frame;
    for leaf in leaves {
        let (head, tail) = rest.split_once(&sign).ok_or(MessageError::Frame)?;
        pieces.add(head.as_bytes());
        pieces.add(b"\r\n\r\n");
        let empty = match leaf.content {
            Content::Bytes(bytes) => pieces.take(bytes),
            Content::File(source) => pieces.file(source),
            Content::Pieces(ready) => pieces.ready(ready),
        };
        // The line end before a delimiter is part of the delimiter; the last line of base64 has
        // brought its own.
        rest = if leaf.transfer == Transfer::Base64 && !empty {
            tail.strip_prefix("\r\n").unwrap_or(tail)
        } else {
            tail
        };
    }
    pieces.add(rest.as_bytes());
    Ok(pieces.done)
}

/// Pieces in the making: what is small is kept together, so that a small mail leaves in one write.
#[derive(Default)]
struct Pieces {
    done: Vec<Piece>,
}

impl Pieces {
    fn add(&mut self, bytes: &[u8]) {
        match self.done.last_mut() {
            Some(Piece::Bytes(last)) if last.len() + bytes.len() <= CHUNK => {
                last.extend_from_slice(bytes);
            }
            _ => self.done.push(Piece::Bytes(bytes.to_vec())),
        }
    }

    fn take(&mut self, bytes: Vec<u8>) -> bool {
        let empty = bytes.is_empty();
        if bytes.len() < CHUNK {
            self.add(&bytes);
        } else {
            self.done.push(Piece::Bytes(bytes));
        }
        empty
    }

    fn ready(&mut self, pieces: Vec<Piece>) -> bool {
        let empty = pieces.iter().all(|piece| piece.len() == 0);
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => drop(self.take(bytes)),
                other => self.done.push(other),
            }
        }
        empty
    }

    fn file(&mut self, source: Source) -> bool {
        let empty = source.encoded_len() == 0;
        self.done.push(Piece::File(source));
        empty
    }
}
