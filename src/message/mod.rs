//! A draft settled into an envelope and exact bytes.
//!
//! Promise: the bytes have CRLF line ends only, no line over 998 bytes, exactly one From, Date,
//! Message-ID and MIME-Version, and never a Bcc. Attachments stay files until they are sent. The
//! same draft and the same [`Stamp`] give the same bytes. lettre writes the MIME tree; the values
//! of headers and the bytes of parts are made here, because its own fold too late, forget repeated
//! headers, and leave line ends as they came.
mod attachment;
mod body;
mod forward;
mod raw;
mod recode;
mod source;
mod spool;
mod stamp;
mod stored;
mod tree;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use chrono::DateTime;

use self::body::Prepared;
pub use self::raw::{Edits, Raw};
use self::stamp::SplitMix64;
pub use self::stamp::Stamp;
use self::stored::Stored;
use self::tree::Piece;
use crate::address::{Address, Distinct, Mailbox};
use crate::draft::Draft;
pub use crate::draft::dsn::{Dsn, Notify, Ret, xtext};
use crate::mime::header::Header;
pub use crate::mime::media::MediaTypes;
use crate::mime::recode::Form;
pub use crate::mime::transfer::quoted_printable;
use crate::mime::{MimeError, header};

/// The most bytes of a message that are kept together as one chunk.
const CHUNK: usize = 128 << 10;

/// Why a draft cannot become a mail.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// No author: RFC 5322 section 3.6.2 wants one.
    #[error("the message has no From address")]
    NoFrom,
    /// Several authors (their number) and no Sender (RFC 5322 section 3.6.2).
    #[error("{0} From addresses require a Sender")]
    NoSender(usize),
    /// A header or a media type that cannot be written.
    #[error(transparent)]
    Mime(#[from] MimeError),
    /// A transfer encoding that is none.
    #[error("`{}` is not a transfer encoding", crate::text::word(.0))]
    Encoding(String),
    /// An attachment that could not be looked at.
    #[error("cannot attach `{}`: {}", crate::text::word(&.0.display().to_string()), .1)]
    Attachment(PathBuf, #[source] io::Error),
    /// What a mail is kept in while it is read, or its encoded parts, could not be written or read.
    #[error("cannot store the message until it is sent: {0}")]
    Spool(#[source] io::Error),
    /// lettre refused what it was given; a bug.
    #[error("cannot write the message: {0}")]
    Builder(#[source] lettre::error::Error),
    /// lettre did not write what it was given; a bug.
    #[error("cannot build the message")]
    Frame,
}

/// Who sends and who receives, apart from what the headers say (RFC 5321 section 2.3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The reverse-path; `None` is the null one.
    pub sender: Option<Address>,
    /// Every recipient once, in the order To, Cc, Bcc.
    pub recipients: Vec<Address>,
    /// What the sender wants to be told of the delivery.
    pub dsn: Dsn,
}

impl Envelope {
    /// Returns whether an address of it needs SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        self.sender
            .iter()
            .chain(&self.recipients)
            .any(Address::needs_smtputf8)
    }
}

/// A mail ready to travel.
#[derive(Debug)]
pub struct Message {
    /// The Message-ID with its angle brackets.
    pub id: String,
    /// Who sends and who receives.
    pub envelope: Envelope,
    /// The bytes hold bytes over 127 and need 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    header_utf8: bool,
    pieces: Vec<Piece>,
    notes: Vec<String>,
    seven_bit: Seven,
}

/// The form of a mail in seven bits.
#[derive(Debug)]
enum Seven {
    /// Made with the mail; there may be none.
    Ready(Option<Box<Message>>),
    /// Made of the ready bytes when it is asked for.
    Later(OnceLock<Option<Box<Message>>>),
}

impl Seven {
    fn later() -> Self {
        Seven::Later(OnceLock::new())
    }
}

impl Message {
    /// Settles a draft. A pure function of the draft, the stamp and the system's `mime.types`.
    ///
    /// # Errors
    /// [`MessageError`]; text is never among the reasons.
    pub fn build(draft: Draft, stamp: &Stamp) -> Result<Message, MessageError> {
        build(draft, stamp, None)
    }

    /// The same with these media types instead of the system's.
    ///
    /// # Errors
    /// As [`Message::build`].
    pub fn build_with(
        draft: Draft,
        stamp: &Stamp,
        types: &MediaTypes,
    ) -> Result<Message, MessageError> {
        build(draft, stamp, Some(types))
    }

    /// Takes ready bytes, which the canonicaliser has seen.
    pub fn from_wire(id: String, envelope: Envelope, bytes: Vec<u8>) -> Self {
        let eight_bit = !bytes.is_ascii();
        let header_utf8 = eight_bit && !head_of(&bytes).is_ascii();
        Message {
            id,
            envelope,
            eight_bit,
            header_utf8,
            pieces: vec![Piece::Bytes(bytes)],
            notes: Vec::new(),
            seven_bit: Seven::later(),
        }
    }

    /// Takes ready bytes that lie in a file from `offset` on, `length` bytes of them, which the
    /// canonicaliser has seen.
    ///
    /// `eight_bit` and `header_utf8` are what was known when they were written: bytes over 127
    /// anywhere, and in a header. The file is read by position only while the message is sent; one
    /// that is too short then is an error of [`Message::chunks`].
    pub fn from_file(
        id: String,
        envelope: Envelope,
        file: Arc<File>,
        offset: u64,
        length: u64,
        eight_bit: bool,
        header_utf8: bool,
    ) -> Message {
        let pieces = vec![Piece::Stored(Stored {
            file,
            offset,
            length,
        })];
        Message {
            id,
            envelope,
            eight_bit,
            header_utf8,
            pieces,
            notes: Vec::new(),
            seven_bit: Seven::later(),
        }
    }

    /// The bytes that will be sent, without dot-stuffing and without the final dot; exact (RFC
    /// 1870 section 4).
    pub fn size(&self) -> u64 {
        self.pieces.iter().map(Piece::len).sum()
    }

    /// The same mail in seven bits, for a server without 8BITMIME; `None` when there is no such
    /// form.
    ///
    /// Of ready bytes it is made when it is first asked for, by encoding the leaves that need it;
    /// there is none when a header needs SMTPUTF8, or when the bytes cannot be read.
    pub fn seven_bit(&self) -> Option<&Message> {
        match &self.seven_bit {
            Seven::Ready(twin) => twin.as_deref(),
            Seven::Later(twin) => twin.get_or_init(|| self.encoded().map(Box::new)).as_deref(),
        }
    }

    fn encoded(&self) -> Option<Message> {
        if !self.eight_bit || self.header_utf8 {
            return None;
        }
        let recoded = recode::recode(&self.pieces, Form::SevenBit).ok()?;
        Some(Message {
            id: self.id.clone(),
            envelope: self.envelope.clone(),
            eight_bit: false,
            header_utf8: false,
            pieces: recoded.pieces,
            notes: self.notes.clone(),
            seven_bit: Seven::Ready(None),
        })
    }

    /// Returns whether a header holds bytes over 127, which only SMTPUTF8 allows (RFC 6532).
    pub fn header_utf8(&self) -> bool {
        self.header_utf8
    }

    /// Returns whether an address, of the envelope or of a header, needs SMTPUTF8 (RFC 6531 section
    /// 3.4, RFC 6532).
    pub fn needs_smtputf8(&self) -> bool {
        self.header_utf8 || self.envelope.needs_smtputf8()
    }

    /// What had to be assumed or left out, as lowercase fragments for stderr.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What is to be said once it was read, of files that had changed by then.
    pub fn late_notes(&self) -> Vec<String> {
        let file = |piece: &Piece| {
            if let Piece::File(source) = piece {
                source.note()
            } else {
                None
            }
        };
        self.pieces.iter().filter_map(file).collect()
    }

    /// The bytes in pieces of at most about 128 KiB, from the start; may be called again for
    /// another attempt. The whole ends in CRLF.
    ///
    /// # Errors
    /// Each piece may be an error: a file that cannot be read or has another length than before.
    /// Nothing after it counts.
    pub fn chunks(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> + '_ {
        self.pieces.iter().flat_map(Piece::chunks)
    }

    /// Writes the bytes as they will be sent.
    ///
    /// # Errors
    /// Those of [`Message::chunks`] and of the writer.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        self.chunks().try_for_each(|chunk| out.write_all(&chunk?))
    }
}

fn head_of(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(bytes.len());
    &bytes[..end]
}

fn build(
    mut draft: Draft,
    stamp: &Stamp,
    types: Option<&MediaTypes>,
) -> Result<Message, MessageError> {
    match (draft.from.as_slice(), &draft.sender) {
        ([], _) => return Err(MessageError::NoFrom),
        ([_, _, ..], None) => return Err(MessageError::NoSender(draft.from.len())),
        _ => {}
    }
    let mut notes = Vec::new();
    let envelope = take_envelope(&mut draft);
    let id = message_id(&draft, stamp, &mut notes);
    let headers = headers(&draft, stamp, &id, &mut notes)?;
    let header_utf8 = headers.iter().any(|(_, value)| !value.is_ascii());
    let body = std::mem::take(&mut draft.body);
    let prepared = Prepared::read(
        body,
        &draft.inline,
        &draft.attachments,
        draft.encoding,
        types,
        &mut notes,
    )?;
    let make = |eight: bool| -> Result<(bool, Vec<Piece>), MessageError> {
        // The first number is the Message-ID's.
        let mut chance = SplitMix64::new(stamp.random);
        chance.draw();
        let tree = prepared.tree(eight)?;
        let eight_bit = tree.is_eight_bit() || header_utf8;
        Ok((
            eight_bit,
            tree::assemble(headers.clone(), tree, &mut chance)?,
        ))
    };
    let (mut eight_bit, mut pieces) = make(true)?;
    if prepared.is_ready() {
        // What was made elsewhere may hold what no server takes.
        let recoded =
            recode::recode(&pieces, Form::Legal { labels: true }).map_err(MessageError::Spool)?;
        (eight_bit, pieces) = (recoded.eight_bit, recoded.pieces);
    }
    let settle = |eight_bit, pieces, envelope, notes, seven_bit| Message {
        id: id.clone(),
        envelope,
        eight_bit,
        header_utf8,
        pieces,
        notes,
        seven_bit,
    };
    let twin = if eight_bit && !header_utf8 && !prepared.is_ready() {
        Some(make(false)?)
    } else {
        None
    };
    let seven = match twin {
        Some((false, pieces)) => {
            let twin = settle(
                false,
                pieces,
                envelope.clone(),
                notes.clone(),
                Seven::Ready(None),
            );
            Seven::Ready(Some(Box::new(twin)))
        }
        // Mail within mail is encoded leaf by leaf, when it must be.
        _ => Seven::later(),
    };
    Ok(settle(eight_bit, pieces, envelope, notes, seven))
}

/// Takes every recipient once: a second mention counts neither for the envelope nor for a later
/// header.
fn take_envelope(draft: &mut Draft) -> Envelope {
    let mut recipients = Distinct::with_capacity(draft.to.len() + draft.cc.len() + draft.bcc.len());
    for list in [&mut draft.to, &mut draft.cc] {
        list.retain(|mailbox| recipients.push(mailbox.address.clone()));
    }
    // No header shows them, so that a long list is not there twice.
    for mailbox in std::mem::take(&mut draft.bcc) {
        recipients.push(mailbox.address);
    }
    Envelope {
        sender: draft.return_path.clone(),
        recipients: recipients.into_vec(),
        dsn: std::mem::take(&mut draft.dsn),
    }
}

/// The draft's Message-ID if it is one, else the stamp's with the domain of the author.
fn message_id(draft: &Draft, stamp: &Stamp, notes: &mut Vec<String>) -> String {
    let is_id = |id: &str| {
        let inner = id
            .strip_prefix('<')
            .and_then(|id| id.strip_suffix('>'))
            .unwrap_or_default();
        !inner.is_empty()
            && id.len() <= 900
            && inner
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'))
    };
    match draft.message_id.as_deref().map(str::trim) {
        Some(id) if is_id(id) => return id.to_owned(),
        Some(id) => notes.push(format!(
            "the invalid Message-ID `{}` was replaced",
            crate::text::word(id)
        )),
        None => {}
    }
    stamp.message_id(
        draft
            .from
            .first()
            .and_then(|mailbox| mailbox.address.domain())
            .unwrap_or("localhost"),
    )
}

/// The draft's Date if it is one, else the stamp's.
fn date(draft: &Draft, stamp: &Stamp, notes: &mut Vec<String>) -> String {
    match draft.date.as_deref().map(str::trim) {
        Some(date)
            if date.len() <= 60 && is_line(date) && DateTime::parse_from_rfc2822(date).is_ok() =>
        {
            return date.to_owned();
        }
        Some(date) => notes.push(format!(
            "the invalid Date `{}` was replaced",
            crate::text::word(date)
        )),
        None => {}
    }
    stamp.date()
}

fn is_line(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// The headers in the order of s-nail, without those of MIME.
fn headers(
    draft: &Draft,
    stamp: &Stamp,
    id: &str,
    notes: &mut Vec<String>,
) -> Result<Vec<Header>, MessageError> {
    let mut out = vec![("Date".to_owned(), date(draft, stamp, notes))];
    let list =
        |name: &str, mailboxes: &[Mailbox], out: &mut Vec<Header>| -> Result<(), MessageError> {
            let shown = || {
                draft
                    .shown
                    .iter()
                    .find(|(shown, _)| shown.eq_ignore_ascii_case(name))
            };
            if !mailboxes.is_empty() {
                out.push((name.to_owned(), header::mailboxes(name, mailboxes)?));
            } else if let Some((_, text)) = shown() {
                out.push((name.to_owned(), header::only_shown(name, text)?));
            }
            Ok(())
        };
    let subject = draft
        .subject
        .as_deref()
        .map(|subject| ("Subject".to_owned(), header::subject(subject)));
    list("From", &draft.from, &mut out)?;
    list("Sender", draft.sender.as_slice(), &mut out)?;
    list("To", &draft.to, &mut out)?;
    if draft.subject_first {
        out.extend(subject.clone());
    }
    list("Cc", &draft.cc, &mut out)?;
    if !draft.subject_first {
        out.extend(subject);
    }
    list("Reply-To", &draft.reply_to, &mut out)?;
    further(draft, &mut out, notes)?;
    let is_thread =
        |name: &str| ["in-reply-to", "references"].contains(&name.to_ascii_lowercase().as_str());
    let (thread, mut out): (Vec<Header>, Vec<Header>) =
        out.into_iter().partition(|(name, _)| is_thread(name));
    out.push(("Message-ID".to_owned(), id.to_owned()));
    out.extend(thread);
    if draft.user_agent
        && !out
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("User-Agent"))
    {
        out.push((
            "User-Agent".to_owned(),
            concat!("smail/", env!("CARGO_PKG_VERSION")).to_owned(),
        ));
    }
    Ok(out)
}

/// Adds the headers the user named. Those that this room writes, and those a mail has once, are
/// left out the second time; Bcc always.
fn further(
    draft: &Draft,
    out: &mut Vec<Header>,
    notes: &mut Vec<String>,
) -> Result<(), MessageError> {
    const OURS: [&str; 13] = [
        "date",
        "from",
        "to",
        "cc",
        "bcc",
        "resent-bcc",
        "message-id",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "content-length",
        "return-path",
    ];
    const ONCE: [&str; 7] = [
        "subject",
        "sender",
        "reply-to",
        "in-reply-to",
        "references",
        "user-agent",
        "auto-submitted",
    ];
    let mut seen: HashSet<String> = out
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    for (name, value) in &draft.headers {
        header::check_name(name)?;
        let lower = name.to_ascii_lowercase();
        if OURS.contains(&lower.as_str())
            || (ONCE.contains(&lower.as_str()) && seen.contains(&lower))
        {
            notes.push(format!("the header `{name}` was left out"));
            continue;
        }
        let value = if lower == "subject" {
            header::subject(value)
        } else {
            header::further(name, value)?
        };
        out.push((name.clone(), value));
        seen.insert(lower);
    }
    Ok(())
}

#[cfg(test)]
mod header_tests;
#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod round_trip_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree_tests;
