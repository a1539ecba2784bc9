//! Copies kept on this host: `record` and the dead letter, both mbox files.
//!
//! Promise: a copy is added whole or not at all, under a lock, to a regular file with no other name
//! that no stranger made; a symbolic link is not followed, and the null device keeps nothing. A
//! body line that begins with `From ` gets a `>` (mbox, RFC 4155). Refuses nothing silently.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use chrono::{DateTime, FixedOffset};

use crate::address::Address;
use crate::files;
use crate::message::Message;

/// Adds a message to an mbox file, which is made with mode 0600 when it does not exist. `bcc` goes
/// into the copy.
///
/// # Errors
/// Whatever prevents it; then the file is as long as it was before.
pub(crate) fn append(
    path: &Path,
    message: &Message,
    date: DateTime<FixedOffset>,
    bcc: &[Address],
) -> io::Result<()> {
    // The null device is how people say that they want none.
    let Some(mut file) = files::append(path)? else {
        return Ok(());
    };
    files::lock(&file)?;
    let before = file.metadata()?.len();
    let written = write(&mut file, before, message, date, bcc);
    if written.is_err() {
        let _ = file.set_len(before);
    }
    written
}

fn write(
    file: &mut File,
    before: u64,
    message: &Message,
    date: DateTime<FixedOffset>,
    bcc: &[Address],
) -> io::Result<()> {
    let gap = gap(file, before)?;
    let sender = message
        .envelope
        .sender
        .as_ref()
        .map_or_else(|| "MAILER-DAEMON".to_owned(), Address::to_string);
    let mut out = io::BufWriter::with_capacity(64 << 10, &*file);
    writeln!(
        out,
        "{gap}From {sender} {}",
        date.format("%a %b %e %H:%M:%S %Y")
    )?;
    if !bcc.is_empty() {
        let list = bcc
            .iter()
            .map(Address::to_string)
            .collect::<Vec<_>>()
            .join(",\n ");
        writeln!(out, "Bcc: {list}")?;
    }
    let mut lines = Lines {
        out: &mut out,
        held: Vec::new(),
    };
    for chunk in message.chunks() {
        lines.write(&chunk?)?;
    }
    lines.finish()?;
    out.write_all(b"\n")?;
    out.flush()?;
    drop(out);
    file.sync_data()
}

/// What must stand before the next mail: an empty line, unless the file is empty or ends in one.
fn gap(file: &mut File, length: u64) -> io::Result<&'static str> {
    if length == 0 {
        return Ok("");
    }
    let mut end = [b'\n'; 2];
    let from = length.saturating_sub(2);
    file.seek(SeekFrom::Start(from))?;
    let wanted = usize::try_from(length - from).unwrap_or(2);
    file.read_exact(&mut end[2 - wanted..])?;
    Ok(match (end[0], end[1]) {
        (b'\n', b'\n') => "",
        (_, b'\n') => "\n",
        _ => "\n\n",
    })
}

/// Turns CRLF into LF and quotes `From ` at the start of a line, whatever the pieces are cut into.
struct Lines<W: Write> {
    out: W,
    held: Vec<u8>,
}

impl<W: Write> Lines<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(piece);
        let Some(end) = self.held.iter().rposition(|b| *b == b'\n') else {
            return Ok(());
        };
        let rest = self.held.split_off(end + 1);
        let whole = std::mem::replace(&mut self.held, rest);
        for line in whole.split_inclusive(|b| *b == b'\n') {
            self.line(line)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let quoted = line
            .iter()
            .position(|b| *b != b'>')
            .is_some_and(|i| line[i..].starts_with(b"From "));
        if quoted {
            self.out.write_all(b">")?;
        }
        let text = line
            .strip_suffix(b"\r\n")
            .or_else(|| line.strip_suffix(b"\n"))
            .unwrap_or(line);
        self.out.write_all(text)?;
        self.out.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.held);
        if rest.is_empty() {
            Ok(())
        } else {
            self.line(&rest)
        }
    }
}
