//! The words of a mail and what goes with them, as a tree of parts.
//!
//! Promise: text is sent as UTF-8 text whatever came in, binary input is sent as a file, a body
//! that is ready stays as it is. What is alternative, related and mixed nests as readers expect it:
//! mixed(alternative(text, related(HTML, images)), files).
use super::MessageError;
use super::attachment::{self, Place};
use super::tree::{Content, Leaf, Part};
use crate::draft::{Attachment, Body, Encoding, Text};
use crate::mime::charset::{self, Hints};
use crate::mime::crlf;
use crate::mime::encoded_word;
use crate::mime::header::{self, Header};
use crate::mime::html;
use crate::mime::media::{self, MediaType, MediaTypes};
use crate::mime::transfer::{self, TextStats, Transfer};

/// Everything below the headers, read but not encoded: it may be encoded for servers with 8BITMIME
/// and for those without.
pub(super) struct Prepared {
    text: Option<Words>,
    html: Option<Words>,
    /// What else is said of the text.
    fields: Vec<Header>,
    images: Vec<Leaf>,
    files: Vec<Leaf>,
    encoding: Encoding,
}

/// One of the texts.
enum Words {
    /// UTF-8 with canonical line ends.
    Text(MediaType, Vec<u8>),
    /// Of a media type that is no text: as it is.
    Bytes(MediaType, Vec<u8>),
    /// Encoded by the user.
    Ready(MediaType, Ready, Vec<u8>),
}

/// The transfer encoding of a body that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ready {
    /// 7bit, 8bit, binary or none given: what it is shows in the bytes.
    Plain,
    QuotedPrintable,
    Base64,
}

impl Prepared {
    /// Reads the texts and looks at the files.
    pub(super) fn read(
        body: Body,
        inline: &[Attachment],
        attachments: &[Attachment],
        encoding: Encoding,
        types: Option<&MediaTypes>,
        notes: &mut Vec<String>,
    ) -> Result<Self, MessageError> {
        let Body {
            text,
            html,
            media_type,
            ready,
            fields,
            charset,
            fallback_charsets,
        } = body;
        let hints = Hints {
            named: charset.as_deref(),
            label: None,
            fallback: &fallback_charsets,
        };
        let media = media_type.as_deref().map(MediaType::parse).transpose()?;
        let (text, html, media) =
            shown_page(text, html, media, !inline.is_empty() && ready.is_none());
        let label = media
            .as_ref()
            .and_then(MediaType::charset)
            .map(str::to_owned);
        let media = if text.is_some() { media } else { None };
        let leaves = |files: &[Attachment], place| -> Result<Vec<Leaf>, MessageError> {
            files
                .iter()
                .map(|file| attachment::leaf(file, place, types))
                .collect()
        };
        // Without HTML nothing shows the images, so they go as files.
        let place = if html.is_some() {
            Place::Inline
        } else {
            Place::Attached
        };
        let mut images = leaves(inline, place)?;
        let mut files = leaves(attachments, Place::Attached)?;
        let text = match text {
            Some(text) if media.is_none() && ready.is_none() && charset.is_none() => {
                let (words, binary) = sorted(text);
                for bytes in binary {
                    notes.push("the text is binary and was attached as stdin.bin".to_owned());
                    files.insert(0, attachment::binary_leaf(&bytes, "stdin.bin")?);
                }
                words
            }
            other => other,
        };
        let text = text
            .map(|text| words(text, media, ready.as_deref(), hints, notes))
            .transpose()?;
        let html = html.map(|bytes| {
            let label = charset::html_label(&bytes).or(label.filter(|_| text.is_none()));
            let (page, note) = charset::read(
                bytes,
                Hints {
                    label: label.as_deref(),
                    ..hints
                },
            );
            notes.extend(note.map(|note| note.replacen("the text", "the HTML", 1)));
            page
        });
        let text = match (&html, text) {
            (Some(page), None) => Some(Words::text(
                MediaType::text("text/plain"),
                &html::text_of(page),
            )),
            (_, text) => text,
        };
        let html = html.map(|page| Words::text(MediaType::text("text/html"), &page));
        if html.is_none() {
            files.splice(0..0, images.drain(..));
        }
        Ok(Prepared {
            text,
            html,
            fields: spelled(&fields),
            images,
            files,
            encoding,
        })
    }

    /// Returns whether the text is a body that was made elsewhere.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.text, Some(Words::Ready(..)))
    }

    /// Builds the tree. `eight` allows bytes over 127 in text. A clone is made of what is encoded,
    /// so the tree can be built twice.
    pub(super) fn tree(&self, eight: bool) -> Result<Part, MessageError> {
        let mut parts = Vec::new();
        // A text that says nothing is left out when something else is there.
        let others = self.html.is_some() || !self.files.is_empty();
        let text = self
            .text
            .as_ref()
            .filter(|words| !others || !words.is_empty());
        let mut text = text
            .map(|words| words.leaf(self.encoding, eight))
            .transpose()?;
        if let Some(leaf) = &mut text {
            leaf.headers.extend(self.fields.iter().cloned());
        }
        let text = text.map(Part::Leaf);
        match &self.html {
            Some(html) => {
                let mut shown = vec![Part::Leaf(html.leaf(self.encoding, eight)?)];
                shown.extend(self.images.iter().cloned().map(Part::Leaf));
                let shown = Part::join("related; type=\"text/html\"", shown);
                parts.push(Part::join(
                    "alternative",
                    text.into_iter().chain([shown]).collect(),
                ));
            }
            None => parts.extend(text),
        }
        let files = self.files.iter().cloned().map(Part::Leaf);
        if self.files.is_empty() {
            return Ok(match parts.pop() {
                Some(part) => part,
                None => Part::Leaf(
                    Words::text(MediaType::text("text/plain"), "").leaf(self.encoding, eight)?,
                ),
            });
        }
        parts.extend(files);
        Ok(Part::Multi("mixed", parts))
    }
}

/// Takes the text for a page where something shows images that it is said to hold.
fn shown_page(
    text: Option<Text>,
    html: Option<Vec<u8>>,
    media: Option<MediaType>,
    images: bool,
) -> (Option<Text>, Option<Vec<u8>>, Option<MediaType>) {
    match (text, html, media) {
        (Some(text), None, Some(media)) if images && media.essence == "text/html" => {
            (None, Some(text.into_sources().concat()), Some(media))
        }
        other => other,
    }
}

/// Parts the sources that are text from those that are none.
fn sorted(text: Text) -> (Option<Text>, Vec<Vec<u8>>) {
    let (binary, words): (Vec<_>, Vec<_>) = text
        .into_sources()
        .into_iter()
        .partition(|bytes| charset::is_binary(bytes));
    let is_gone = words.is_empty() && !binary.is_empty();
    let mut text = Text::default();
    for bytes in words {
        text.push(bytes);
    }
    (Some(text).filter(|_| !is_gone), binary)
}

/// Writes further fields of a part by their grammar.
fn spelled(fields: &[(String, String)]) -> Vec<Header> {
    let value = |name: &str, text: &str| {
        if name.eq_ignore_ascii_case("content-disposition") {
            media::mended(name, &encoded_word::decode(text))
        } else {
            header::further(name, text)
        }
    };
    fields
        .iter()
        .filter_map(|(name, text)| Some((name.clone(), value(name, text).ok()?)))
        .collect()
}

fn words(
    text: Text,
    media: Option<MediaType>,
    ready: Option<&str>,
    hints: Hints<'_>,
    notes: &mut Vec<String>,
) -> Result<Words, MessageError> {
    let media = media.unwrap_or_else(|| MediaType::text("text/plain"));
    let sources = text.into_sources();
    // A multipart or a message may not be encoded (RFC 2046 sections 5.1 and 5.2), so it can only
    // be ready.
    let ready = ready.or((media.is("multipart") || media.is("message")).then_some(""));
    if let Some(encoding) = ready {
        let ready = match encoding.trim().to_ascii_lowercase().as_str() {
            "7bit" | "8bit" | "binary" | "" => Ready::Plain,
            "quoted-printable" => Ready::QuotedPrintable,
            "base64" => Ready::Base64,
            _ => return Err(MessageError::Encoding(encoding.to_owned())),
        };
        if ready == Ready::Plain
            && media.is("text")
            && !charset::agrees(&sources.concat(), media.charset())
        {
            let (media, text) = read_all(sources, media, hints, notes);
            return Ok(Words::Ready(media, ready, crlf::canonical(text.as_bytes())));
        }
        return Ok(Words::Ready(
            media,
            ready,
            crlf::canonical(&sources.concat()),
        ));
    }
    if !media.is("text") {
        return Ok(Words::Bytes(media, sources.concat()));
    }
    let (media, text) = read_all(sources, media, hints, notes);
    Ok(Words::text(media.with_method(text.as_bytes()), &text))
}

/// Reads each source by itself; what they are together is UTF-8.
fn read_all(
    sources: Vec<Vec<u8>>,
    media: MediaType,
    hints: Hints<'_>,
    notes: &mut Vec<String>,
) -> (MediaType, String) {
    let label = media.charset().map(str::to_owned);
    let mut whole = String::new();
    for bytes in sources {
        let own = (media.essence == "text/html")
            .then(|| charset::html_label(&bytes))
            .flatten();
        let label = label.clone().or(own);
        let (text, note) = charset::read(
            bytes,
            Hints {
                label: label.as_deref(),
                ..hints
            },
        );
        notes.extend(note.filter(|note| !notes.contains(note)));
        whole.push_str(&text);
    }
    (media.with_charset("utf-8"), whole)
}

impl Words {
    fn text(media: MediaType, text: &str) -> Self {
        Words::Text(media, crlf::canonical(text.as_bytes()))
    }

    fn is_empty(&self) -> bool {
        match self {
            Words::Text(_, bytes) | Words::Bytes(_, bytes) | Words::Ready(_, _, bytes) => {
                bytes.is_empty()
            }
        }
    }

    fn leaf(&self, encoding: Encoding, eight: bool) -> Result<Leaf, MessageError> {
        let (media, (transfer, bytes)) = match self {
            Words::Text(media, text) => {
                (media, transfer::encode_text(text.clone(), encoding, eight))
            }
            Words::Bytes(media, bytes) => (media, (Transfer::Base64, transfer::base64(bytes))),
            Words::Ready(media, ready, bytes) => (media, ready_body(media, *ready, bytes, eight)),
        };
        let headers: Vec<Header> = vec![("Content-Type".to_owned(), media.content_type(None)?)];
        Ok(Leaf {
            headers,
            transfer,
            content: Content::Bytes(bytes),
        })
    }
}

/// A body that is ready stays as it is, unless no server could be given it: then it is encoded
/// where that changes nothing. The parts of a multipart are left to whoever looks into it.
fn ready_body(media: &MediaType, ready: Ready, bytes: &[u8], eight: bool) -> (Transfer, Vec<u8>) {
    let stats = TextStats::of(bytes);
    let fits = stats.longest <= crlf::LONGEST_LINE;
    let composite = media.is("multipart") || media.is("message");
    let as_it_is = |transfer| (transfer, bytes.to_vec());
    match ready {
        Ready::Plain if composite => as_it_is(if stats.ascii {
            Transfer::SevenBit
        } else {
            Transfer::EightBit
        }),
        Ready::Plain if fits && stats.ascii && stats.is_plain() => as_it_is(Transfer::SevenBit),
        Ready::Plain if fits && eight && stats.is_plain() => as_it_is(Transfer::EightBit),
        Ready::Plain if media.is("text") => {
            transfer::encode_text(bytes.to_vec(), Encoding::Auto, false)
        }
        Ready::Plain => (Transfer::Base64, transfer::base64(bytes)),
        Ready::QuotedPrintable => as_it_is(Transfer::QuotedPrintable),
        Ready::Base64 if fits => as_it_is(Transfer::Base64),
        Ready::Base64 => (Transfer::Base64, rewrapped(bytes)),
    }
}

/// Base64 in lines of 76.
fn rewrapped(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    digits
        .chunks(76)
        .flat_map(|line| line.iter().copied().chain(*b"\r\n"))
        .collect()
}
