//! Completes a mail: what RFC 5322 and MIME want and it lacks is put on top, what must not travel
//! is taken out, and what no server would take is mended.
use super::{Raw, repair, shown_id};
use crate::address::{Mailbox, parse_authors};
use crate::message::recode;
use crate::message::stamp::Stamp;
use crate::message::tree::Piece;
use crate::message::{Envelope, Message, MessageError, Seven};
use crate::mime::charset::{self, Survey};
use crate::mime::field::Mend;
use crate::mime::head::{Field, resent_block};
use crate::mime::header;
use crate::mime::recode::Form;

/// What never travels: hidden recipients, and what is only true of a mailbox.
const REMOVED: [&str; 4] = ["bcc", "resent-bcc", "return-path", "content-length"];

/// What is to be done with the addresses of a mail.
pub struct Edits<'a> {
    /// For a From, or Resent-From, that is missing.
    pub author: Mailbox,
    /// Looks at each mailbox of From, Sender, Reply-To, To, Cc and their `Resent-` forms, with the
    /// name of the field in lower case: `None` leaves it, `Some` replaces it. A field whose
    /// mailboxes are all left keeps its bytes.
    pub mailbox: &'a dyn Fn(&str, &Mailbox) -> Option<Vec<Mailbox>>,
    /// From becomes this address, with the old name if it has none; the old value goes into
    /// X-Original-From, and into Reply-To unless there is one.
    pub force_from: Option<Mailbox>,
    /// Charsets tried in order for what is not UTF-8.
    pub fallback_charsets: &'a [String],
}

impl Raw {
    /// Makes it a mail that can be sent. What had to be changed beyond the rules is in its notes.
    ///
    /// # Errors
    /// [`MessageError::Spool`]: what was read could not be read again, or what is encoded not be
    /// kept; [`MessageError::Unsound`].
    pub fn complete(
        self,
        envelope: Envelope,
        edits: &Edits<'_>,
        stamp: &Stamp,
    ) -> Result<Message, MessageError> {
        let signed = self.is_signed();
        let mut head = Head {
            fields: self.fields,
            notes: Vec::new(),
            edits,
            stamp,
        };
        head.fields
            .retain(|field| !REMOVED.iter().any(|name| field.is(name)));
        head.edit();
        if let Some(forced) = &edits.force_from {
            head.force(forced);
        }
        head.mend();
        let mut top = head.missing();
        // A body that says nothing of itself gets a label, which then has to be true.
        let is_mixed = !self.survey.is_utf8() && self.survey.is_mostly_utf8();
        let body =
            if is_mixed && !signed && !head.fields.iter().any(|field| field.begins("content-")) {
                head.notes.push(
                    "the text was UTF-8 except for some bytes, which were read as another charset"
                        .to_owned(),
                );
                repair::repair(
                    &self.body,
                    charset::repair_of(&self.survey, edits.fallback_charsets),
                )
                .map_err(MessageError::Spool)?
            } else {
                self.body
            };
        top.extend(head.missing_mime(&self.survey));
        let id = top
            .iter()
            .chain(&head.fields)
            .find(|field| field.is("message-id"));
        let id = id
            .map(|field| shown_id(&field.text(edits.fallback_charsets)))
            .unwrap_or_default();
        for field in top.iter().chain(&head.fields) {
            let bytes = field.bytes();
            header::check_folds(field.name(), bytes.strip_suffix(b"\r\n").unwrap_or(bytes))?;
        }
        let mut bytes = Vec::new();
        top.iter()
            .chain(&head.fields)
            .for_each(|field| bytes.extend_from_slice(field.bytes()));
        let header_utf8 = !bytes.is_ascii();
        bytes.extend_from_slice(b"\r\n");
        let mut notes = head.notes;
        let recoded = recode::recode(
            &[Piece::Bytes(bytes), body],
            Form::Legal { labels: !signed },
        )
        .map_err(MessageError::Spool)?;
        if signed && recoded.encoded {
            notes.push(
                "lines that no server accepts were encoded, which breaks the DKIM signature"
                    .to_owned(),
            );
        }
        Ok(Message {
            id,
            envelope,
            eight_bit: recoded.eight_bit,
            header_utf8,
            pieces: recoded.pieces,
            notes,
            seven_bit: Seven::later(),
        })
    }
}

struct Head<'a> {
    fields: Vec<Field>,
    notes: Vec<String>,
    edits: &'a Edits<'a>,
    stamp: &'a Stamp,
}

impl Head<'_> {
    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.is(name))
    }

    fn text(&self, field: &Field) -> String {
        field.text(self.edits.fallback_charsets)
    }

    /// Lets every mailbox be looked at, and takes out the fields that must say something and do
    /// not.
    fn edit(&mut self) {
        let fallback = self.edits.fallback_charsets;
        let notes = &mut self.notes;
        self.fields.retain_mut(|field| {
            let lower = field.name().to_ascii_lowercase();
            if ["from", "date", "message-id"].contains(&lower.as_str())
                && field.text(fallback).is_empty()
            {
                notes.push(format!("the empty header `{}` was replaced", field.name()));
                return false;
            }
            let Some(list) = field.mailboxes(fallback) else {
                return true;
            };
            let looked: Vec<_> = list
                .iter()
                .map(|mailbox| (self.edits.mailbox)(&lower, mailbox))
                .collect();
            // Readers would take what is no list for one: the name is written in quotes.
            if looked.iter().all(Option::is_none) && field.is_as_read(fallback, &list) {
                return true;
            }
            let list: Vec<_> = list
                .into_iter()
                .zip(looked)
                .flat_map(|(old, new)| new.unwrap_or_else(|| vec![old]))
                .collect();
            if list.is_empty() {
                notes.push(format!(
                    "the header `{}` has no address left and was left out",
                    field.name()
                ));
                return false;
            }
            match header::mailboxes(field.name(), &list) {
                Ok(value) => *field = Field::new(field.name(), &value),
                Err(_) => notes.push(format!(
                    "the header `{}` could not be rewritten and was left unchanged",
                    field.name()
                )),
            }
            true
        });
    }

    /// Puts another address into From, and keeps the old value.
    fn force(&mut self, forced: &Mailbox) {
        let fallback = self.edits.fallback_charsets;
        let Some(at) = self.fields.iter().position(|field| field.is("from")) else {
            return;
        };
        let old = self.fields[at].clone();
        let list = old.mailboxes(fallback).unwrap_or_default();
        if let [only] = list.as_slice()
            && only.address.key() == forced.address.key()
        {
            return;
        }
        let name = forced
            .name
            .clone()
            .or_else(|| list.first().and_then(|mailbox| mailbox.name.clone()));
        let from = Mailbox {
            name,
            address: forced.address.clone(),
        };
        let Ok(value) = header::mailboxes("From", &[from]) else {
            return;
        };
        let kept = |name: &str| match list.as_slice() {
            [] => header::free(name, &old.text(fallback)),
            list => header::mailboxes(name, list)
                .unwrap_or_else(|_| header::free(name, &old.text(fallback))),
        };
        let mut new = vec![
            Field::new("From", &value),
            Field::new("X-Original-From", &kept("X-Original-From")),
        ];
        // What cannot be read as an address is nothing to answer to.
        if !self.has("reply-to") && !list.is_empty() {
            new.push(Field::new("Reply-To", &kept("Reply-To")));
        }
        self.fields.splice(at..=at, new);
        let mut first = true;
        self.fields
            .retain(|field| !field.is("from") || std::mem::take(&mut first));
    }

    /// Mends what cannot be sent as it is.
    fn mend(&mut self) {
        let fallback = self.edits.fallback_charsets;
        let notes = &mut self.notes;
        self.fields.retain_mut(|field| {
            if !field.is_flawed() && field.bytes().is_ascii() {
                return true;
            }
            if let Some(mended) = field.mended(fallback) {
                *field = mended;
                return true;
            }
            let name: String = field.name().chars().take(40).collect();
            notes.push(format!(
                "the header that begins with `{name}` cannot be sent and was left out"
            ));
            false
        });
    }

    /// From, Date and Message-ID where they are missing; those of a mail that is sent on go to the
    /// others of its block.
    fn missing(&mut self) -> Vec<Field> {
        let block = resent_block(&self.fields);
        let resent = !block.is_empty();
        let author = |name: &str| {
            let value = header::mailboxes(name, std::slice::from_ref(&self.edits.author));
            Field::new(
                name,
                &value.unwrap_or_else(|_| self.edits.author.address.to_string()),
            )
        };
        let domain = self.domain_of_author();
        let fill = |name: &str| match name {
            "From" | "Resent-From" => author(name),
            "Date" | "Resent-Date" => Field::new(name, &self.stamp.date()),
            _ => Field::new(name, &self.stamp.message_id(&domain)),
        };
        let top = ["From", "Date", "Message-ID"]
            .into_iter()
            .filter(|name| !self.has(name))
            .map(fill)
            .collect();
        if resent {
            let in_block = |name: &str| {
                self.fields[block.clone()]
                    .iter()
                    .any(|field| field.is(name))
            };
            let wanted = ["Resent-From", "Resent-Date", "Resent-Message-ID"];
            let more: Vec<Field> = wanted
                .into_iter()
                .filter(|name| !in_block(name))
                .map(fill)
                .collect();
            self.fields.splice(block.start..block.start, more);
        }
        top
    }

    /// The domain that a Message-ID made here ends in.
    fn domain_of_author(&self) -> String {
        let from = self.fields.iter().find(|field| field.is("from"));
        let list = from
            .and_then(|field| parse_authors(&self.text(field)).ok())
            .unwrap_or_default();
        let author = list.first().unwrap_or(&self.edits.author);
        author
            .address
            .domain()
            .or(self.edits.author.address.domain())
            .unwrap_or("localhost")
            .to_owned()
    }

    /// What MIME wants: its version, and what bytes over 127 are (RFC 2045 section 4; RFC 6152
    /// section 3).
    fn missing_mime(&self, survey: &Survey) -> Vec<Field> {
        let mut top = Vec::new();
        let high = survey.is_high();
        if (high || self.fields.iter().any(|field| field.begins("content-")))
            && !self.has("mime-version")
        {
            top.push(Field::new("MIME-Version", "1.0"));
        }
        if high && !self.has("content-type") {
            let charset = if survey.is_mostly_utf8() {
                Some("utf-8".to_owned())
            } else {
                charset::name_of(survey, self.edits.fallback_charsets)
            };
            let charset = charset.unwrap_or_else(|| "unknown-8bit".to_owned());
            top.push(Field::new(
                "Content-Type",
                &format!("text/plain; charset={charset}"),
            ));
        }
        if high && !self.has("content-transfer-encoding") {
            top.push(Field::new("Content-Transfer-Encoding", "8bit"));
        }
        top
    }
}
