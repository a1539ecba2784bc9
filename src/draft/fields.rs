//! Puts headers where they belong in a draft, so that none stands twice: those of flags, of
//! settings, and of a template.
use std::collections::HashSet;

use super::subject::subject_line;
use super::template::Template;
use super::{Draft, DraftError};
use crate::address::{AddressError, Mailbox, parse_authors, parse_list, parse_word};
use crate::mime::encoded_word;
use crate::mime::head::resent_block;

/// The fields that name recipients.
const RECIPIENTS: [&str; 3] = ["to", "cc", "bcc"];

/// One `Name: value` of a flag or a setting.
pub(super) fn header_line(draft: &mut Draft, text: &str) -> Result<(), DraftError> {
    let (name, value) = parts(text)?;
    field(draft, name, value)
}

/// The same of `-C`, where headers that have a flag of their own are refused.
pub(super) fn custom(text: &str) -> Result<(), DraftError> {
    const OWN: [(&str, &str); 9] = [
        ("to", "--to"),
        ("cc", "-c"),
        ("bcc", "-b"),
        ("from", "-r"),
        ("subject", "-s"),
        ("subj", "-s"),
        ("reply-to", "--reply-to"),
        ("replyto", "--reply-to"),
        ("content-type", "-M"),
    ];
    let (name, _) = parts(text)?;
    let base = name.to_ascii_lowercase();
    let base = base.trim_end_matches("?single");
    match OWN.iter().find(|(own, _)| *own == base) {
        Some((_, flag)) => Err(DraftError::OwnFlag {
            name: name.to_owned(),
            flag,
        }),
        None => Ok(()),
    }
}

fn parts(text: &str) -> Result<(&str, &str), DraftError> {
    let refuse = |why| DraftError::Header {
        text: text.chars().take(60).collect(),
        why,
    };
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| refuse("expected `:` after its name"))?;
    let name = name.trim();
    if name.is_empty() || !name.bytes().all(|b| (b'!'..=b'~').contains(&b)) {
        return Err(refuse(
            "its name is empty or contains spaces or control characters",
        ));
    }
    if value.contains(['\r', '\n', '\0']) {
        return Err(refuse("it cannot contain a line break"));
    }
    Ok((name, value.trim()))
}

/// Takes over the head of a template.
pub(super) fn apply(
    draft: &mut Draft,
    template: &Template,
    fallback: &[String],
) -> Result<(), DraftError> {
    const SINGLE: [&str; 7] = [
        "subject",
        "subj",
        "date",
        "message-id",
        "content-type",
        "in-reply-to",
        "references",
    ];
    let resent = resent_block(&template.fields);
    if template.fields.iter().any(|field| field.is("from")) {
        draft.from.clear();
    }
    if !resent.is_empty() {
        let more = std::mem::take(&mut draft.to)
            .into_iter()
            .chain(std::mem::take(&mut draft.cc));
        draft.bcc.extend(more.collect::<Vec<_>>());
    }
    let mut seen = HashSet::new();
    for (at, head) in template.fields.iter().enumerate() {
        let name = head.name().to_owned();
        let lower = name.to_ascii_lowercase();
        let (value, note) = head.read(fallback);
        draft
            .warnings
            .extend(note.map(|note| note.replacen("the text", &format!("the header {name}"), 1)));
        if SINGLE.contains(&lower.as_str()) && !seen.insert(lower.clone()) {
            draft
                .warnings
                .push(format!("a second {name} header was left out"));
            continue;
        }
        if resent.is_empty() {
            field(draft, &name, &value)?;
            continue;
        }
        // RFC 5322 section 3.6.6: who gets it this time stands in the topmost block, and the old
        // fields are only shown.
        let base = lower.strip_prefix("resent-").unwrap_or(&lower);
        match (resent.contains(&at), RECIPIENTS.contains(&base)) {
            (true, true) => {
                draft
                    .bcc
                    .extend(list_of(&value).map_err(DraftError::Address)?);
                if base != "bcc" {
                    draft.headers.push((name, encoded_word::decode(&value)));
                }
            }
            (false, true) if lower == "resent-bcc" || lower == "bcc" => {}
            (false, true) if base == lower => draft.shown.push((name, value)),
            (true, _) if base == "from" => {
                draft.resent_from = list_of(&value)
                    .map_err(DraftError::Address)?
                    .into_iter()
                    .next();
                draft.headers.push((name, encoded_word::decode(&value)));
            }
            _ => field(draft, &name, &value)?,
        }
    }
    Ok(())
}

/// Decodes what names were encoded in, as programs write them into heads and callers into flags:
/// they are encoded once, on their way out.
pub(super) fn decode_names(draft: &mut Draft) {
    let lists = [
        &mut draft.from,
        &mut draft.reply_to,
        &mut draft.to,
        &mut draft.cc,
        &mut draft.bcc,
    ];
    for mailbox in lists.into_iter().flatten().chain(&mut draft.sender) {
        mailbox.name = mailbox
            .name
            .take()
            .map(|name| encoded_word::decode(&name))
            .filter(|name| !name.trim().is_empty());
    }
}

/// A list as programs write it: also with the semicolons that some address books put between
/// addresses.
///
/// # Errors
/// [`AddressError`] as [`parse_list`].
pub(crate) fn list_of(value: &str) -> Result<Vec<Mailbox>, AddressError> {
    parse_list(value).or_else(|error| parse_list(&value.replace(';', ",")).map_err(|_| error))
}

/// Puts one header where it belongs.
pub(super) fn field(draft: &mut Draft, name: &str, value: &str) -> Result<(), DraftError> {
    let lower = name.to_ascii_lowercase();
    let (base, single) = lower
        .strip_suffix("?single")
        .map_or((lower.as_str(), false), |base| (base, true));
    let list = |value: &str| {
        if single {
            return Mailbox::parse(&quote_single(value))
                .map(|m| vec![m])
                .map_err(DraftError::Address);
        }
        parse_word(value)
            .or_else(|error| list_of(value).map_err(|_| error))
            .map_err(DraftError::Address)
    };
    let authors = |value: &str| {
        if single {
            list(value)
        } else {
            parse_authors(value).or_else(|_| list(value))
        }
    };
    match base {
        "to" | "cc" | "bcc" => {
            let found = list(value)?;
            // A group of nobody, `undisclosed-recipients:;`, is there to be seen.
            if found.is_empty() && value.contains(':') && base != "bcc" {
                draft.shown.push((name.to_owned(), value.to_owned()));
            }
            let to = if base == "to" {
                &mut draft.to
            } else if base == "cc" {
                &mut draft.cc
            } else {
                &mut draft.bcc
            };
            to.extend(found);
        }
        "from" => draft.from = authors(value)?,
        "reply-to" | "replyto" => {
            draft.reply_to = authors(value)?;
            if draft.reply_to.is_empty() && value.contains(':') {
                draft.shown.push(("Reply-To".to_owned(), value.to_owned()));
            }
        }
        "sender" => draft.sender = authors(value)?.into_iter().next(),
        "subject" | "subj" => draft.subject = Some(subject_line(value, &mut draft.warnings)),
        "date" => draft.date = Some(value.to_owned()).filter(|value| !value.is_empty()),
        "message-id" => draft.message_id = Some(value.to_owned()).filter(|value| !value.is_empty()),
        "content-type" => {
            draft.body.media_type = Some(value.to_owned()).filter(|value| !value.is_empty());
        }
        "content-transfer-encoding" => draft.body.ready = Some(value.to_owned()),
        "mime-version" | "return-path" | "content-length" | "status" => {}
        "fcc" => draft
            .warnings
            .push("Fcc was left out; use the setting record to keep copies".to_owned()),
        // They say what the text is, wherever in the mail it comes to stand.
        _ if base.starts_with("content-") => {
            draft.body.fields.push((name.to_owned(), value.to_owned()));
        }
        _ => draft
            .headers
            .push((name.to_owned(), encoded_word::decode(value))),
    }
    Ok(())
}

/// `To?single: a, b <x@y>` is one mailbox whose name holds a comma.
fn quote_single(value: &str) -> String {
    match value.rsplit_once('<') {
        Some((name, rest)) if !name.trim().is_empty() && !name.contains('"') => {
            format!("\"{}\" <{rest}", name.trim().replace('\\', "\\\\"))
        }
        _ => value.to_owned(),
    }
}
