//! Reads mailboxes and lists of them (RFC 5322 section 3.4), and what people write in their place.
use super::parser::strict;
use super::phrase::{has_bare, named};
use super::{AddressError, Mailbox};

/// Parses a list of mailboxes as in a To header (RFC 5322 section 3.4): separated by commas outside
/// quotes, comments and brackets; groups are flattened, a comment after an address becomes its
/// name, empty items are skipped.
///
/// # Errors
/// [`AddressError`] pointing at the character. Linear in the length of the text.
pub fn parse_list(text: &str) -> Result<Vec<Mailbox>, AddressError> {
    strict(text, false).or_else(|error| named(text, true).ok_or(error))
}

/// Parses a list of authors, as in From, Sender and Reply-To: as [`parse_list`], but beside a full
/// address nobody is named by a bare word, so `Acme, Inc. <shop@y>` is one.
///
/// # Errors
/// [`AddressError`] as [`parse_list`].
pub fn parse_authors(text: &str) -> Result<Vec<Mailbox>, AddressError> {
    let list = strict(text, false);
    match list {
        Ok(list) if list.len() > 1 && has_bare(&list) => Ok(named(text, false).unwrap_or(list)),
        Ok(list) => Ok(list),
        Err(error) => named(text, false).ok_or(error),
    }
}

/// Returns whether a text is a list of so many mailboxes by the standard alone, without what is
/// read into names.
pub fn is_standard(text: &str, count: usize) -> bool {
    strict(text, false).is_ok_and(|list| list.len() == count)
}

/// Parses one word of the command line: a list, in which blanks separate too where every piece is a
/// plain address. Line ends (LF, CRLF) separate as commas do, and then
/// each piece is a full address: a line that looks like a header or a command is refused.
///
/// # Errors
/// [`AddressError`] as [`parse_list`].
pub fn parse_word(word: &str) -> Result<Vec<Mailbox>, AddressError> {
    let of_word = |text: &str| match strict(text, true) {
        // `Big Corp, Sales <a@b>`: bare words are separated by blanks where no name can stand.
        Ok(list) if list.len() > 1 && has_bare(&list) && strict(text, false).is_err() => {
            Ok(named(text, true).unwrap_or(list))
        }
        Ok(list) => Ok(list),
        Err(error) => named(text, true).ok_or(error),
    };
    let lines = word.trim_matches(['\r', '\n']);
    if !lines.contains('\n') {
        return of_word(lines);
    }
    let mut list = Vec::new();
    for line in lines.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let found = of_word(line)?;
        // A group is for heads; the colons of a literal stand behind its `[`.
        let head = line.split(['"', '[', '<', '(']).next().unwrap_or_default();
        if let Some(colon) = head.find(':') {
            return Err(AddressError::new(
                line,
                colon,
                "in a list of several lines, each line must be an address",
            ));
        }
        if found.iter().any(|mailbox| mailbox.address.is_bare()) {
            return Err(AddressError::new(
                line,
                0,
                "in a list of several lines, each address needs a domain",
            ));
        }
        list.extend(found);
    }
    Ok(list)
}
