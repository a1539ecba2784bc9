//! One mail as it lies on disk: a head, the bytes of the mail, and an end that proves both are
//! whole.
//!
//! ```text
//! SMAILQ 1
//! {"id":"…","to":["a@example.org"],…}
//! Date: …                                   the mail as it is sent, with CRLF
//! END 00000000000000000258 1f2e3d4c          its bytes, and the CRC-32 of everything before this
//! line ```
//!
//! Promise: a file that was cut short or changed anywhere is found out. Never written again once it
//! is there. No secret.
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use crate::address::{Address, parse_authors};
use crate::message::{Dsn, Envelope, Message};
use crate::route::LoginOrigin;

const MAGIC: &str = "SMAILQ 1\n";
const FAMILY: &str = "SMAILQ ";
/// `END `, twenty digits, a blank, eight digits and a line end.
const END: usize = 4 + 20 + 1 + 8 + 1;
/// The longest head: a million of the longest addresses with room to spare.
const LONGEST_HEAD: u64 = 320 << 20;

/// What must be known of a mail beside its bytes. New fields may be added; they need a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The name of the entry.
    pub id: String,
    /// Milliseconds from 1970.
    pub created: i64,
    /// `created` and the lifetime; how long it was tried is counted from its journal.
    pub expires: i64,
    /// The account that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What the command line and the environment said of the route, `name=value`, without secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// Who logged in where, and where the secret came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginOrigin>,
    /// The author.
    pub from: String,
    /// The reverse-path; `None` is the null one.
    pub sender: Option<String>,
    /// The recipients, in the order of the envelope.
    pub to: Vec<String>,
    /// The Message-ID.
    pub message_id: String,
    /// For people who look at the list.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The mail holds bytes over 127.
    #[serde(default)]
    pub eight_bit: bool,
    /// Its headers do.
    #[serde(default)]
    pub header_utf8: bool,
    /// The key of `--idempotency-key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the sender wants to be told of the delivery.
    #[serde(default, skip_serializing_if = "Dsn::is_empty")]
    pub dsn: Dsn,
}

/// Why a file is no entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is damaged; what was found.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// It was written by a newer smail.
    #[error("it was written by a newer smail (format {0})")]
    Newer(String),
}

/// Where the mail lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The head.
    pub head: Head,
    /// The first byte of the mail.
    pub offset: u64,
    /// The bytes of the mail.
    pub length: u64,
}

/// Counts and sums what passes.
struct Summed<W> {
    inner: W,
    sum: crc32fast::Hasher,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sum.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Head {
    /// Reads the addresses of the envelope: the sender, and the recipients at these places.
    ///
    /// # Errors
    /// The text that is no address.
    pub fn addresses(
        &self,
        places: impl Iterator<Item = usize>,
    ) -> Result<(Option<Address>, Vec<Address>), String> {
        let read = |text: &String| Address::parse(text).map_err(|_| text.clone());
        let sender = self.sender.as_ref().map(read).transpose()?;
        let recipients = places
            .filter_map(|place| self.to.get(place))
            .map(read)
            .collect::<Result<_, _>>()?;
        Ok((sender, recipients))
    }
}

/// The last guard of the queue: what is about to be written reads back as the envelope it was made
/// of, so that no mail is kept that can never leave.
///
/// # Errors
/// The address that does not.
pub(super) fn check_envelope(head: &Head, envelope: &Envelope) -> Result<(), String> {
    let odd = |text: &String, address: &Address| {
        if address.is_what(text) == Ok(true) {
            Ok(())
        } else {
            Err(text.clone())
        }
    };
    match (&head.sender, &envelope.sender) {
        (Some(text), Some(address)) => odd(text, address)?,
        (None, None) => {}
        (text, _) => return Err(text.clone().unwrap_or_default()),
    }
    if head.to.len() != envelope.recipients.len() {
        return Err(format!("{} recipients", head.to.len()));
    }
    head.to
        .iter()
        .zip(&envelope.recipients)
        .try_for_each(|(text, address)| odd(text, address))?;
    // The way of a mail is found by its author.
    parse_authors(&head.from)
        .ok()
        .filter(|list| !list.is_empty())
        .map(drop)
        .ok_or_else(|| head.from.clone())
}

/// Writes an entry and makes its bytes durable.
///
/// # Errors
/// Those of the file system, and of a file of the mail that changed. What was written so far is the
/// caller's to remove.
pub(super) fn write(file: &File, head: &Head, message: &Message) -> io::Result<Entry> {
    let mut out = Summed {
        inner: BufWriter::with_capacity(64 << 10, file),
        sum: crc32fast::Hasher::new(),
    };
    out.write_all(MAGIC.as_bytes())?;
    let line = serde_json::to_string(head)?;
    if line.len() as u64 >= LONGEST_HEAD {
        return Err(io::Error::other(
            "the message has more recipients than the queue can hold",
        ));
    }
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    let mut length = 0;
    for chunk in message.chunks() {
        let chunk = chunk?;
        length += chunk.len() as u64;
        out.write_all(&chunk)?;
    }
    let sum = out.sum.clone().finalize();
    writeln!(out, "END {length:020} {sum:08x}")?;
    out.flush()?;
    drop(out);
    file.sync_data()?;
    Ok(Entry {
        head: head.clone(),
        offset: (MAGIC.len() + line.len() + 1) as u64,
        length,
    })
}

/// Reads the head and the end of a file; the bytes between are taken on trust.
///
/// # Errors
/// [`EntryError`].
pub(super) fn look(file: &File) -> Result<Entry, EntryError> {
    let mut reader = BufReader::with_capacity(4096, file);
    reader.seek(SeekFrom::Start(0))?;
    let mut magic = String::new();
    reader
        .by_ref()
        .take(64)
        .read_line(&mut magic)
        .map_err(|_| EntryError::Damaged("its first line"))?;
    if magic != MAGIC {
        return Err(match magic.strip_prefix(FAMILY).map(str::trim) {
            Some(version)
                if version.parse::<u32>().is_ok_and(|v| v > 1) && magic.ends_with('\n') =>
            {
                EntryError::Newer(version.to_owned())
            }
            _ => EntryError::Damaged("its first line"),
        });
    }
    let mut line = Vec::new();
    reader
        .by_ref()
        .take(LONGEST_HEAD)
        .read_until(b'\n', &mut line)?;
    let head: Head = serde_json::from_slice(&line).map_err(|_| EntryError::Damaged("its head"))?;
    let offset = (MAGIC.len() + line.len()) as u64;
    let whole = file.metadata()?.len();
    let length = whole
        .checked_sub(offset + END as u64)
        .ok_or(EntryError::Damaged("it is truncated"))?;
    let (said, _) = end(file, whole)?;
    if said != length {
        return Err(EntryError::Damaged("it is truncated"));
    }
    Ok(Entry {
        head,
        offset,
        length,
    })
}

fn end(file: &File, whole: u64) -> Result<(u64, u32), EntryError> {
    let bad = || EntryError::Damaged("its end");
    let mut last = [0_u8; END];
    file.read_exact_at(&mut last, whole.saturating_sub(END as u64))
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => bad(),
            _ => EntryError::Read(error),
        })?;
    let text = std::str::from_utf8(&last).map_err(|_| bad())?;
    let (length, sum) = text
        .strip_prefix("END ")
        .and_then(|t| t.strip_suffix('\n'))
        .and_then(|t| t.split_once(' '))
        .ok_or_else(bad)?;
    Ok((
        length.parse().map_err(|_| bad())?,
        u32::from_str_radix(sum, 16).map_err(|_| bad())?,
    ))
}

/// Reads a file whole and proves it.
///
/// # Errors
/// [`EntryError`].
pub(super) fn prove(file: &File) -> Result<Entry, EntryError> {
    let entry = look(file)?;
    let mut sum = crc32fast::Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    let covered = entry.offset + entry.length;
    let mut at = 0;
    while at < covered {
        let want = usize::try_from((covered - at).min(buffer.len() as u64)).unwrap_or(buffer.len());
        let count = file.read_at(&mut buffer[..want], at)?;
        if count == 0 {
            return Err(EntryError::Damaged("it is truncated"));
        }
        sum.update(&buffer[..count]);
        at += count as u64;
    }
    if end(file, covered + END as u64)?.1 != sum.finalize() {
        return Err(EntryError::Damaged("its checksum is wrong"));
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            id: "1".into(),
            created: 5,
            expires: 6,
            account: Some("work".into()),
            settings: vec!["smtp=h".into()],
            login: None,
            from: "a@x".into(),
            sender: None,
            to: vec!["b@x".into()],
            message_id: "<1@x>".into(),
            subject: "s".into(),
            eight_bit: false,
            header_utf8: false,
            key: None,
            dsn: Dsn::default(),
        }
    }

    fn written() -> (File, Entry) {
        let file = tempfile::tempfile().unwrap();
        let envelope = Envelope::default();
        let message = Message::from_wire(
            "<1@x>".into(),
            envelope,
            b"Subject: s\r\n\r\nEND of it\r\n".to_vec(),
        );
        let entry = write(&file, &head(), &message).unwrap();
        (file, entry)
    }

    #[test]
    fn what_was_written_is_read() {
        let (file, entry) = written();
        assert_eq!(look(&file).unwrap(), entry);
        assert_eq!(prove(&file).unwrap(), entry);
        let mut bytes = vec![0; usize::try_from(entry.length).unwrap()];
        file.read_exact_at(&mut bytes, entry.offset).unwrap();
        assert_eq!(bytes, b"Subject: s\r\n\r\nEND of it\r\n");
    }

    #[test]
    fn an_envelope_that_would_not_read_back_is_refused() {
        let envelope = Envelope {
            sender: None,
            recipients: vec![Address::of("b", "x")],
            ..Envelope::default()
        };
        assert_eq!(check_envelope(&head(), &envelope), Ok(()));
        let with = |change: fn(&mut Head)| {
            let mut head = head();
            change(&mut head);
            check_envelope(&head, &envelope)
        };
        assert_eq!(
            with(|head| head.to[0] = "\"a b\"".into()),
            Err("\"a b\"".into())
        );
        assert_eq!(
            with(|head| head.to[0] = "\"\\\r\\\n\"@x".into()),
            Err("\"\\\r\\\n\"@x".into())
        );
        assert_eq!(with(|head| head.to[0] = "c@x".into()), Err("c@x".into()));
        assert_eq!(with(|head| head.to.clear()), Err("0 recipients".into()));
        assert_eq!(
            with(|head| head.sender = Some("a@x\nb@x".into())),
            Err("a@x\nb@x".into())
        );
        assert_eq!(
            with(|head| head.sender = Some("a@x".into())),
            Err("a@x".into())
        );
        assert_eq!(
            with(|head| head.from = "\"a b\"".into()),
            Err("\"a b\"".into())
        );
        // The sender of the queue looks at what is to be written, whoever made it.
        let odd = Envelope {
            recipients: vec![Address::of("\"a\\\r\\\nDATA\"", "x")],
            ..envelope.clone()
        };
        let head = Head {
            to: vec![odd.recipients[0].to_string()],
            ..head()
        };
        assert_eq!(
            check_envelope(&head, &odd),
            Err("\"a\\\r\\\nDATA\"@x".into())
        );
    }

    #[test]
    fn a_file_cut_anywhere_is_found_out() {
        let (file, _) = written();
        let whole = file.metadata().unwrap().len();
        for length in (0..whole).rev() {
            file.set_len(length).unwrap();
            assert!(
                matches!(look(&file), Err(EntryError::Damaged(_))),
                "{length}"
            );
        }
    }

    #[test]
    fn a_changed_byte_is_found_out_wherever_it_is() {
        let (file, _) = written();
        for at in 0..file.metadata().unwrap().len() {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            assert!(prove(&file).is_err(), "{at}");
            file.write_all_at(&byte, at).unwrap();
        }
        assert!(prove(&file).is_ok());
    }

    #[test]
    fn an_entry_of_the_first_format_is_read_for_ever() {
        let file = tempfile::tempfile().unwrap();
        let golden = "SMAILQ 1\n{\"id\":\"1\",\"created\":5,\"expires\":6,\"from\":\"a@x\",\"sender\":null,\"to\":[\"b@x\"],\"message_id\":\"<1@x>\"}\nx\r\nEND 00000000000000000003 71b18de0\n";
        (&file).write_all(golden.as_bytes()).unwrap();
        let entry = prove(&file);
        assert_eq!(entry.unwrap().head.to, ["b@x"]);
    }

    #[test]
    fn a_newer_format_is_named_and_not_called_damaged() {
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(b"SMAILQ 2\nwhatever").unwrap();
        assert_eq!(
            look(&file).unwrap_err().to_string(),
            "it was written by a newer smail (format 2)"
        );
    }

    #[test]
    fn whatever_stands_in_the_place_of_an_entry_is_read_in_linear_time() {
        use crate::pace::{assert_linear, repeated};
        let whole = serde_json::to_string(&head()).unwrap();
        let many = |size| repeated("\"b@x\",", size);
        let rows: &[(&str, &dyn Fn(usize) -> String)] = &[
            ("no line end", &|size| repeated("x", size)),
            ("line ends", &|size| repeated("\n", size)),
            ("brackets", &|size| {
                MAGIC.to_owned() + &repeated("[", size) + "\n"
            }),
            ("a name again and again", &|size| {
                MAGIC.to_owned() + "{" + &repeated("\"x\":1,", size) + "\"id\":\"1\"}\n"
            }),
            ("recipients", &|size| {
                MAGIC.to_owned()
                    + &whole.replace("[\"b@x\"]", &format!("[{}\"b@x\"]", many(size)))
                    + "\n"
            }),
            ("ends", &|size| {
                MAGIC.to_owned()
                    + &whole
                    + "\n"
                    + &repeated("END 00000000000000000258 1f2e3d4c\n", size)
            }),
        ];
        for (name, make) in rows {
            let file = |size| {
                let file = tempfile::tempfile().unwrap();
                file.write_all_at(make(size).as_bytes(), 0).unwrap();
                file
            };
            assert_linear(name, file, |file| drop((look(&file), prove(&file))));
        }
    }
}
