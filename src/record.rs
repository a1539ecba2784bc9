//! Copies kept on this host: `record` and the dead letter, both mbox files.
//!
//! Promise: a copy is added whole or not at all, under a lock, to a regular file of ours with no other name; a symbolic link
//! is not followed, and in `/dev/null` no copy is wanted. A body line that begins with `From ` gets a `>` (mbox, RFC 4155). Refuses nothing silently.
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use chrono::{DateTime, FixedOffset};
use rustix::fs::{OFlags, major, minor};

use crate::address::Address;
use crate::message::Message;

/// Adds a message to an mbox file, which is made with mode 0600 when it does not exist. `bcc` goes into the copy.
///
/// # Errors
/// Whatever prevents it; then the file is as long as it was before.
pub fn append(path: &Path, message: &Message, date: DateTime<FixedOffset>, bcc: &[Address]) -> io::Result<()> {
    let mut file = open(path)?;
    let meta = file.metadata()?;
    if is_null(&meta) {
        return Ok(());
    }
    if !meta.is_file() || meta.nlink() != 1 {
        return Err(io::Error::other("it is not a regular file with one name"));
    }
    file.lock()?;
    let before = file.metadata()?.len();
    let written = write(&mut file, before, message, date, bcc);
    if written.is_err() {
        let _ = file.set_len(before);
    }
    written
}

/// `/dev/null`, by its number: whoever names it wants no copy.
fn is_null(meta: &Metadata) -> bool {
    meta.file_type().is_char_device() && (major(meta.rdev()), minor(meta.rdev())) == (1, 3)
}

/// Opens the file; a new one has mode 0600 whatever the umask, as the next mail must be able to open it again.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600).custom_flags(flags);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(0o600))?;
            Ok(file)
        }
        // Another process may have made it, or removed it, a moment ago.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.create(true).open(path),
        Err(error) => Err(error),
    }
}

fn write(
    file: &mut File,
    before: u64,
    message: &Message,
    date: DateTime<FixedOffset>,
    bcc: &[Address],
) -> io::Result<()> {
    let gap = gap(file, before)?;
    let sender = message.envelope.sender.as_ref().map_or_else(|| "MAILER-DAEMON".to_owned(), Address::to_string);
    let mut out = io::BufWriter::with_capacity(64 << 10, &*file);
    writeln!(out, "{gap}From {sender} {}", date.format("%a %b %e %H:%M:%S %Y"))?;
    if !bcc.is_empty() {
        let list = bcc.iter().map(Address::to_string).collect::<Vec<_>>().join(",\n ");
        writeln!(out, "Bcc: {list}")?;
    }
    let mut lines = Lines { out: &mut out, held: Vec::new() };
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
        let Some(end) = self.held.iter().rposition(|b| *b == b'\n') else { return Ok(()) };
        let rest = self.held.split_off(end + 1);
        let whole = std::mem::replace(&mut self.held, rest);
        for line in whole.split_inclusive(|b| *b == b'\n') {
            self.line(line)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let quoted = line.iter().position(|b| *b != b'>').is_some_and(|i| line[i..].starts_with(b"From "));
        if quoted {
            self.out.write_all(b">")?;
        }
        let text = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(line);
        self.out.write_all(text)?;
        self.out.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.held);
        if rest.is_empty() { Ok(()) } else { self.line(&rest) }
    }
}
