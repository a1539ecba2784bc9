//! What the user means, before any of it is mail: everything is read, nothing is encoded.
//!
//! Promise: once a [`Draft`] exists, no file, input or setting has to be opened any more.
//! Attachments are open files whose bytes are read when the mail is sent.
mod compose;
pub(crate) mod dsn;
mod fields;
mod input;
mod read;
mod recipients;
mod subject;
mod template;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::address::{Address, AddressError, AliasError, Mailbox};
use crate::aliases::LocalError;
pub(crate) use crate::mime::transfer::Encoding;
use crate::settings::SettingsError;

pub(crate) use compose::{check, compose, fallback_charsets, first_author};
pub(crate) use dsn::{Dsn, DsnError};
pub(crate) use fields::list_of;
pub(crate) use input::Input;
pub(crate) use recipients::BadLine;

/// A whole mail as it is meant.
#[derive(Debug, Default)]
pub struct Draft {
    /// The authors. Several need a [`Draft::sender`]. Never empty when a message is built.
    pub from: Vec<Mailbox>,
    /// The Sender header.
    pub sender: Option<Mailbox>,
    /// The reverse-path; `None` is the null one (`MAIL FROM:<>`).
    pub return_path: Option<Address>,
    /// Reply-To.
    pub reply_to: Vec<Mailbox>,
    /// To.
    pub to: Vec<Mailbox>,
    /// Cc.
    pub cc: Vec<Mailbox>,
    /// Recipients that no header shows.
    pub bcc: Vec<Mailbox>,
    /// Fields of recipients that are only to be seen, with their values on one line: groups of
    /// nobody, and those of a mail that is sent on.
    pub shown: Vec<(String, String)>,
    /// Who sends on a mail of others.
    pub resent_from: Option<Mailbox>,
    /// Subject in any characters, without line ends; `None` leaves the header out, empty keeps it
    /// empty.
    pub subject: Option<String>,
    /// Date as given by a template, in place of the stamp's.
    pub date: Option<String>,
    /// Message-ID as given by a template with its angle brackets, in place of the stamp's.
    pub message_id: Option<String>,
    /// Further headers in order: a name (checked: RFC 5322 ftext) and a value without line ends.
    /// Also In-Reply-To and References.
    pub headers: Vec<(String, String)>,
    /// Adds a User-Agent header.
    pub user_agent: bool,
    /// Puts Subject before Cc (`bsdcompat`).
    pub subject_first: bool,
    /// The words.
    pub body: Body,
    /// Images that the HTML shows, `cid:` by file name.
    pub inline: Vec<Attachment>,
    /// Files that go with it.
    pub attachments: Vec<Attachment>,
    /// How text is encoded for the wire.
    pub encoding: Encoding,
    /// What the sender wants to be told of the delivery.
    pub dsn: Dsn,
    /// Lowercase fragments for standard error: what was changed or left out.
    pub warnings: Vec<String>,
}

/// Why a draft cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DraftError {
    /// Nobody to send to.
    #[error("no recipient given")]
    NoRecipient,
    /// Whoever was named has an alias to `/dev/null`.
    #[error("every recipient has an alias to /dev/null: the message is dropped")]
    Dropped,
    /// Nobody to send to, as these options are empty.
    #[error("no recipient given: {} empty", .0)]
    AllEmpty(String),
    /// A file of recipients without any.
    #[error("{0}: it contains no recipient")]
    EmptyList(String),
    /// A recipient that is `-`.
    #[error("`{0}` is not a recipient")]
    EmptyRecipient(String),
    /// A recipient, the author or another mailbox is no address.
    #[error("{0}")]
    Address(AddressError),
    /// A flag's mailbox is no address, found before anything was read.
    #[error("{flag}: {error}")]
    FlagAddress {
        /// The flag as it was typed.
        flag: &'static str,
        /// What is wrong.
        error: AddressError,
    },
    /// A bare name, and nothing that could give it a domain.
    #[error("`{0}` has no domain, and no alias has this name")]
    Bare(String),
    /// `expand-address` does not allow this kind of recipient.
    #[error("`{0}`: expand-address does not allow this kind of recipient")]
    NotAllowed(String),
    /// An alias cannot be expanded.
    #[error("{0}")]
    Alias(#[from] AliasError),
    /// A local name leads nowhere.
    #[error("{0}")]
    Local(#[from] LocalError),
    /// A file cannot be read: its path and why.
    #[error("{}: {why}", .path.display())]
    File {
        /// As written.
        path: PathBuf,
        /// A lowercase fragment.
        why: String,
    },
    /// Lines of a list of recipients that hold no address.
    #[error("{count} lines of the list contain no address")]
    Lines {
        /// The first ten of them.
        bad: Vec<BadLine>,
        /// How many there are.
        count: usize,
    },
    /// A list of recipients is longer than any mail's may be: the file, and the most.
    #[error("{0}: it has more than {1} recipients")]
    TooMany(String, usize),
    /// Standard input cannot be read.
    #[error("standard input: {0}")]
    Stdin(String),
    /// What was read is larger than `max-size`.
    #[error("the text is larger than {0} bytes")]
    TooLarge(u64),
    /// A header cannot be.
    #[error("invalid header `{}`: {why}", crate::text::word(.text))]
    Header {
        /// As written, shortened.
        text: String,
        /// A lowercase fragment.
        why: &'static str,
    },
    /// `-C` with a header that has a flag of its own: the header, and the flag.
    #[error("`-C` does not accept a `{}` header", .name.escape_debug())]
    OwnFlag {
        /// As written.
        name: String,
        /// The flag.
        flag: &'static str,
    },
    /// `--html` beside a head that says what the text is.
    #[error("cannot use `--html`: the header declares the text as {0}")]
    NoHtml(String),
    /// A tilde escape that is not supported.
    #[error("line {line} of the body: the escape `~{letter}` is not supported")]
    Escape {
        /// From 1.
        line: usize,
        /// As written.
        letter: char,
    },
    /// Two flags that cannot both read standard input.
    #[error("standard input can only be read once, but is needed for {0} and for {1}")]
    StdinTwice(&'static str, &'static str),
    /// A flag asks for a delivery status notification that cannot be.
    #[error("{flag}: {error}")]
    Dsn {
        /// The flag as it was typed.
        flag: &'static str,
        /// What is wrong.
        error: DsnError,
    },
    /// A setting does not fit.
    #[error("{0}")]
    Settings(#[from] SettingsError),
}

/// The words of a mail, as they were read.
#[derive(Debug, Default)]
pub struct Body {
    /// Plain text (or text of [`Body::media_type`]).
    pub text: Option<Text>,
    /// HTML in whatever bytes it came. With no text, a text alternative is made from it.
    pub html: Option<Vec<u8>>,
    /// The media type of `text` when the user named one (`-M`, `-a 'Content-Type: …'`), with its
    /// parameters.
    pub media_type: Option<String>,
    /// `text` is a complete MIME body: `media_type` and this transfer encoding describe it, and its
    /// bytes stay as they are but for line ends.
    pub ready: Option<String>,
    /// Further fields of the text: Content-Disposition and its like.
    pub fields: Vec<(String, String)>,
    /// Names the charset of the input; without it UTF-8 (or UTF-16 by its mark) is found, and the
    /// rest is read where it stands.
    pub charset: Option<String>,
    /// Charsets that text which is not UTF-8 may be in; without any, the charset is found out.
    pub fallback_charsets: Vec<String>,
}

/// A text by the sources it comes from (the input, a quoted file, a signature), each in whatever
/// bytes it came: what is odd in one says nothing of the others.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Text(Vec<Vec<u8>>);

impl Text {
    /// Adds what another source says.
    pub fn push(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.0.push(bytes);
        }
    }

    /// What each source says.
    pub fn into_sources(self) -> Vec<Vec<u8>> {
        self.0
    }

    /// Returns whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds all that another text says.
    pub fn append(&mut self, other: Text) {
        self.0.extend(other.0);
    }

    /// Ends the last line, if there is one.
    fn end_line(&mut self) {
        if let Some(last) = self.0.last_mut().filter(|last| !last.ends_with(b"\n")) {
            last.push(b'\n');
        }
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        let mut text = Text::default();
        text.push(bytes);
        text
    }
}

/// A file that goes with a mail: open, regular and of a known length.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The open file. Read by position, so that one handle serves several attempts.
    pub file: Arc<File>,
    /// Where it was found, for errors.
    pub path: PathBuf,
    /// Its length in bytes when it was opened, and as it is sent.
    pub length: u64,
    /// The name the receiver sees: a base name without control characters.
    pub name: String,
    /// The media type when the user named one; otherwise it is found by the name and the content.
    pub media_type: Option<String>,
    /// The charset of the file when the user named one (`FILE=CHARSET`).
    pub charset: Option<String>,
}
