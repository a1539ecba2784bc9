//! Files that go with a mail: what they are called, what they are, and how their bytes leave.
//!
//! Promise: a file arrives exactly as it was when it was opened. It is read while the mail is sent
//! (see `source`), so it may be of any size. Only small plain text goes as it is, for readers that
//! decode nothing, and mail, which may not be encoded (see `forward`).
use std::io;

use super::MessageError;
use super::forward;
use super::source::Source;
use super::tree::{Content, Leaf};
use crate::draft::Attachment;
use crate::mime::crlf;
use crate::mime::escape::percent;
use crate::mime::media::{self, MediaType, MediaTypes};
use crate::mime::transfer::{self, TextStats, Transfer};

/// The largest text that goes as it is.
const SMALL: u64 = 64 << 10;
/// The largest file that is read through to prove its charset.
const PROOF: u64 = 8 << 20;
/// The longest file name in bytes, as in most file systems.
const LONGEST_NAME: usize = 255;

/// How a part is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// As a file.
    Attached,
    /// Where the HTML refers to it.
    Inline,
}

/// Makes a part of a file.
pub(super) fn leaf(
    attachment: &Attachment,
    place: Place,
    types: Option<&MediaTypes>,
) -> Result<Leaf, MessageError> {
    let name = safe_name(&attachment.name);
    let source = Source::of(attachment);
    let failed = |error| MessageError::Attachment(attachment.path.clone(), error);
    let named = attachment
        .media_type
        .as_deref()
        .map(MediaType::parse)
        .transpose()?;
    let by_name = || {
        types
            .unwrap_or_else(|| MediaTypes::of_system())
            .by_name(&name)
    };
    let known = named.clone().or_else(by_name);
    // Only text is worth reading before it is sent; a film is what its name says, unless the name
    // says TypeScript to us.
    let survey = match &known {
        Some(media)
            if !media.is("text")
                && !media.is("message")
                && (named.is_some() || !media.is("video")) =>
        {
            Survey::default()
        }
        _ => Survey::of(&source).map_err(failed)?,
    };
    let media = kind(attachment, known, named.is_some(), &survey);
    if forward::is_message(&media) && survey.begins_a_message() {
        let (transfer, pieces) = forward::pieces(&source).map_err(failed)?;
        return Ok(Leaf {
            headers: headers(&media, &name, place)?,
            transfer,
            content: Content::Pieces(pieces),
        });
    }
    let goes = media.is("text") || media.is("message") && !forward::is_message(&media);
    let seven = survey
        .whole
        .filter(|text| goes && goes_as_it_is(text) && !source.is_cut());
    // RFC 2046 sections 5.1 and 5.2: what is itself mail must not be encoded, so it travels as a
    // file.
    let media = if seven.is_none() && (media.is("message") || media.is("multipart")) {
        MediaType::bare("application/octet-stream")
    } else {
        media
    };
    let (transfer, content) = match seven {
        Some(text) => (Transfer::SevenBit, Content::Bytes(crlf::canonical(&text))),
        None => (Transfer::Base64, Content::File(source)),
    };
    Ok(Leaf {
        headers: headers(&media, &name, place)?,
        transfer,
        content,
    })
}

/// The media type of a file, by what was said of it, its name and its content.
fn kind(
    attachment: &Attachment,
    known: Option<MediaType>,
    is_named: bool,
    survey: &Survey,
) -> MediaType {
    let charset = attachment.charset.as_deref().and_then(clean_charset);
    let media = match known {
        Some(media) if is_named || !(media.is("video") && survey.is_text) => media,
        _ if survey.is_text || charset.is_some() => MediaType::bare("text/plain"),
        _ => MediaType::bare("application/octet-stream"),
    };
    let media = match charset {
        Some(charset) if media.is("text") => media.with_charset(&charset),
        _ if media.is("text") && media.charset().is_none() && survey.is_utf8 => {
            media.with_charset("utf-8")
        }
        _ => media,
    };
    media.with_method(&survey.head)
}

/// Makes a part of binary input that was meant as text.
pub(super) fn binary_leaf(bytes: &[u8], name: &str) -> Result<Leaf, MessageError> {
    let media = MediaType::bare("application/octet-stream");
    let content = Content::Bytes(transfer::base64(bytes));
    Ok(Leaf {
        headers: headers(&media, name, Place::Attached)?,
        transfer: Transfer::Base64,
        content,
    })
}

fn headers(
    media: &MediaType,
    name: &str,
    place: Place,
) -> Result<Vec<(String, String)>, MessageError> {
    let mut headers = vec![("Content-Type".to_owned(), media.content_type(Some(name))?)];
    let kind = match place {
        Place::Attached => "attachment",
        Place::Inline => {
            headers.push(("Content-ID".to_owned(), format!("<{}>", content_id(name))));
            "inline"
        }
    };
    headers.push((
        "Content-Disposition".to_owned(),
        media::disposition(kind, name)?,
    ));
    Ok(headers)
}

/// What `cid:` refers to: the file name, percent-encoded where a URL or a header could not hold it
/// (RFC 2392).
fn content_id(name: &str) -> String {
    percent(name, b"-._~+@!$&'*=")
}

/// The first of `in#out`, if it can be a charset at all.
fn clean_charset(name: &str) -> Option<String> {
    let name = name.split('#').next().unwrap_or_default().trim();
    let fits = !name.is_empty()
        && name.len() <= 40
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:+".contains(&b));
    fits.then(|| name.to_ascii_lowercase())
}

/// A base name without control and direction characters, at most 255 bytes long, with its ending
/// kept.
pub(super) fn safe_name(name: &str) -> String {
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let base = name.rsplit('/').next().unwrap_or_default();
    let clean: String = base.chars().filter(|c| !turns(*c) && !breaks(*c)).collect();
    let clean = clean.trim();
    if matches!(clean, "" | "." | "..") {
        return "attachment".to_owned();
    }
    if clean.len() <= LONGEST_NAME {
        return clean.to_owned();
    }
    let ending = clean
        .rfind('.')
        .map(|at| &clean[at..])
        .filter(|ending| ending.len() <= 32)
        .unwrap_or_default();
    let mut cut = LONGEST_NAME - ending.len();
    while !clean.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{ending}", &clean[..cut])
}

/// Text that no server and no mailbox has a reason to change: ASCII, LF only, ended, short lines,
/// no `From ` in front.
fn goes_as_it_is(text: &[u8]) -> bool {
    let stats = TextStats::of(text);
    stats.ascii
        && stats.is_plain()
        && text.ends_with(b"\n")
        && !text.contains(&b'\r')
        && !text
            .split(|b| *b == b'\n')
            .any(|line| line.starts_with(b"From "))
}

/// What a look into a file found.
#[derive(Debug, Default)]
struct Survey {
    /// Its beginning is text.
    is_text: bool,
    /// All of it is UTF-8.
    is_utf8: bool,
    /// Its beginning, and all of it when it is small.
    head: Vec<u8>,
    whole: Option<Vec<u8>>,
}

impl Survey {
    fn of(source: &Source) -> io::Result<Self> {
        let head = source.read(0, source.len().min(SMALL))?;
        let whole = head.len() as u64 == source.len();
        let is_text = match std::str::from_utf8(&head) {
            Ok(text) => !text.contains('\0'),
            // The end of the head may part a character.
            Err(error) => !whole && error.error_len().is_none() && !head.contains(&0),
        } && !crate::mime::charset::is_binary(&head);
        if whole {
            return Ok(Survey {
                is_text,
                is_utf8: is_text,
                whole: Some(head.clone()),
                head,
            });
        }
        Ok(Survey {
            is_text,
            is_utf8: is_text && source.len() <= PROOF && source.is_utf8()?,
            head,
            whole: None,
        })
    }

    fn begins_a_message(&self) -> bool {
        let first = self
            .head
            .split(|b| *b == b'\n')
            .find(|line| !line.starts_with(b"From "));
        !crate::mime::charset::is_binary(&self.head)
            && first.is_some_and(crate::mime::head::is_field)
    }
}

#[cfg(test)]
#[path = "attachment_tests.rs"]
pub(crate) mod tests;
