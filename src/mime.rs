//! The codec of MIME: header fields, encodings, charsets and line ends, and how each is read and
//! written.
//!
//! Promise: nothing here knows what a message is for: words and bytes go in, words and bytes come
//! out. A header that is written ends where it must.
pub mod charset;
pub mod crlf;
pub mod encoded_word;
mod entity;
pub(crate) mod escape;
pub mod field;
pub mod head;
pub mod header;
pub mod html;
pub mod media;
mod quoted_printable;
pub(crate) mod recode;
pub mod transfer;

/// Why something cannot be written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MimeError {
    /// A header name that is none (RFC 5322 section 3.6.8), or is longer than 76 bytes.
    #[error("`{}` is not a header name", crate::text::word(.0))]
    HeaderName(String),
    /// A header with a word that no line of 998 bytes can hold.
    #[error("the header `{}` contains a word that is longer than a line may be", crate::text::word(.0))]
    HeaderTooLong(String),
    /// A media type that is none.
    #[error("`{}` is not a media type", crate::text::word(.0))]
    MediaType(String),
    /// A header (its name) would have begun another one; a bug.
    #[error("the header `{}` would not end where it must; nothing was sent", crate::text::word(.0))]
    Unsound(String),
}
