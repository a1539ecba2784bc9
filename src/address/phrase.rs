//! Names as people write them: whatever stands before one `<address>`, where it cannot be a list.
//!
//! Promise: only an address in brackets comes of it, and no piece that looks like an address
//! becomes part of a name. Linear in the length of the text. Refuses control characters and names
//! that lead to a bare word.
use super::Mailbox;
use super::parser::{is_unsafe, strict};

/// Reads a list in which names hold commas, colons, semicolons or lone quotes without being quoted.
/// With `bare` a word without a domain beside others is a recipient; without, nobody is named so
/// and it belongs to the name behind it.
pub(super) fn named(text: &str, bare: bool) -> Option<Vec<Mailbox>> {
    let mut list = Vec::new();
    for chunk in chunks(text) {
        match strict(chunk, false) {
            Ok(found) if found.len() < 2 || !has_bare(&found) || bare => list.extend(found),
            _ => list.push(one(chunk)?),
        }
    }
    Some(list)
}

/// Returns whether a list names somebody by a word without a domain.
pub(super) fn has_bare(list: &[Mailbox]) -> bool {
    list.iter().any(|mailbox| mailbox.address.is_bare())
}

/// Pieces that end behind an address in brackets and its comma.
fn chunks(text: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while let Some(close) = rest.find('>') {
        let behind = &rest[close + 1..];
        let end = close + 1 + behind.find([',', ';']).map_or(behind.len(), |at| at + 1);
        let (chunk, next) = rest.split_at(end);
        chunks.push(chunk.trim_end().trim_end_matches([',', ';']));
        rest = next;
    }
    if !rest.trim().is_empty() {
        chunks.push(rest);
    }
    chunks
}

/// A name and its address.
fn one(chunk: &str) -> Option<Mailbox> {
    let (phrase, address) = chunk.split_at(chunk.find('<')?);
    let mut list = strict(address, false).ok()?;
    let mailbox = list
        .pop()
        .filter(|mailbox| list.is_empty() && !mailbox.address.is_bare())?;
    let seems_address = |word: &str| word.contains('@') && word.len() > 1;
    let (before, _) = phrase.rsplit_once([',', ';']).unwrap_or_default();
    let group = phrase.split_once(':').map_or("", |(_, behind)| behind);
    if [before, group]
        .iter()
        .any(|text| text.split([' ', '\t', ',', ';']).any(seems_address))
    {
        return None;
    }
    if phrase
        .chars()
        .any(|c| c == '\\' || is_unsafe(c) && c != '\t')
    {
        return None;
    }
    // A pair of quotes is no part of a name, a lone one is (`5" disks`).
    let plain = if phrase.matches('"').count() % 2 == 0 {
        phrase.replace('"', "")
    } else {
        phrase.to_owned()
    };
    let name = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Mailbox {
        name: Some(name).filter(|name| !name.is_empty()),
        address: mailbox.address,
    })
}
