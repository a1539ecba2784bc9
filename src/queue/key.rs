//! `--idempotency-key`: the same key does not send twice within seven days.
//!
//! Promise: safe when two run at once (the key's file is locked) and when one is killed between any
//! two steps: a key whose mail is neither waiting nor known to be sent counts for nothing. A file
//! whose last whole line says neither is damaged, and nothing is sent.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::dir::{QueueDir, Subdir};
use super::{Queue, QueueError, now};

/// How long a key counts.
const LIFETIME: i64 = 7 * 24 * 3600 * 1000;
/// The longest key; every byte may take three in a file's name.
pub(super) const LONGEST_KEY: usize = 80;

/// How a line can begin.
const WORDS: [&str; 3] = ["pending", "done", "free"];

/// More than all the lines a key can have.
const LONGEST_FILE: u64 = 1 << 20;

/// A key that this process holds.
#[derive(Debug)]
pub struct Key {
    file: File,
    /// The files of the same key in other directories, which stay locked.
    _others: Vec<File>,
}

/// What is known of a key.
#[derive(Debug)]
pub enum KeyState {
    /// Nothing: the mail may be sent.
    New(Key),
    /// The mail of this id was taken or sent already.
    Taken(String),
}

fn name(key: &str) -> String {
    utf8_percent_encode(key, NON_ALPHANUMERIC).to_string()
}

/// What the last whole line says, when there is one: `pending ID TIME` before the commit, `done ID
/// TIME` after it, `free ID TIME` when the mail was given up. `Err`: it says something else.
fn read(mut file: &File) -> io::Result<Option<(String, String, i64)>> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(LONGEST_FILE).read_to_end(&mut text)?;
    let Some(end) = text.iter().rposition(|b| *b == b'\n') else {
        return Ok(None);
    };
    let Some(line) = text[..end]
        .split(|b| *b == b'\n')
        .rfind(|line| !line.is_empty())
    else {
        return Ok(None);
    };
    let parsed = std::str::from_utf8(line).ok().and_then(|line| {
        let mut words = line.split(' ');
        let found = (
            words.next()?.to_owned(),
            words.next()?.to_owned(),
            words.next()?.parse().ok()?,
        );
        (words.next().is_none() && WORDS.contains(&found.0.as_str())).then_some(found)
    });
    parsed
        .map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its last line is damaged"))
}

/// Adds a line: a file that is written anew is empty for a moment, and a key that is forgotten then
/// would send twice. The line begins with a line end, as the one before it may be torn.
fn write(mut file: &File, word: &str, id: &str) -> io::Result<()> {
    file.write_all(format!("\n{word} {id} {}\n", now()).as_bytes())?;
    file.sync_data()
}

impl Queue {
    /// Takes a key; waits while another process has it.
    ///
    /// # Errors
    /// It is empty or too long, its file is damaged, or those of the file system.
    pub fn key(&self, key: &str) -> Result<KeyState, QueueError> {
        let file = self.key_file(key, true)?.ok_or(QueueError::Key)?;
        Ok(self.taken(key, &file)?.map_or_else(
            || KeyState::New(Key::new(file, Vec::new())),
            KeyState::Taken,
        ))
    }

    /// The locked file of a key, made or `None` when it is not there.
    pub(super) fn key_file(&self, key: &str, make: bool) -> Result<Option<File>, QueueError> {
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Err(QueueError::Key);
        }
        let name = name(key);
        let opened = if make {
            self.dir.append(Subdir::Keys, &name)
        } else {
            self.dir.open_file(Subdir::Keys, &name)
        };
        match opened.and_then(|file| file.lock().map(|()| file)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if !make && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(error)),
        }
    }

    /// The mail that a key was used for, when it counts.
    pub(super) fn taken(&self, key: &str, file: &File) -> Result<Option<String>, QueueError> {
        let path = || self.path().join("keys").join(name(key));
        let last = read(file).map_err(|error| QueueError::KeyFile {
            path: path(),
            error,
        })?;
        let counts = |(word, id, at): &(String, String, i64)| {
            let waits = self.dir.has(Subdir::Waiting, &format!("{id}.msg"));
            waits || (word == "done" && now().saturating_sub(*at).abs() < LIFETIME)
        };
        Ok(last.filter(counts).map(|(_, id, _)| id))
    }
}

impl Key {
    pub(super) fn new(file: File, others: Vec<File>) -> Self {
        Key {
            file,
            _others: others,
        }
    }

    /// Notes that the mail of this id is on its way: written before it is committed.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn pending(&self, id: &str) -> io::Result<()> {
        write(&self.file, "pending", id)
    }

    /// Notes that the mail was taken.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn done(&self, id: &str) -> io::Result<()> {
        write(&self.file, "done", id)
    }
}

/// Notes that the mail of a key was delivered by another process than the one that took the key.
pub(super) fn note_delivered(dir: &QueueDir, key: &str, id: &str) {
    change(dir, key, id, "done");
}

/// Forgets the key of a mail that was given up.
pub(super) fn forget(dir: &QueueDir, key: &str, id: &str) {
    change(dir, key, id, "free");
}

fn change(dir: &QueueDir, key: &str, id: &str, word: &str) {
    let Ok(file) = dir.append_to(Subdir::Keys, &name(key)) else {
        return;
    };
    // Held by another process only while that looks, and then it looks for the mail as well.
    let of_mail = |last: Option<(String, String, i64)>| {
        last.is_some_and(|(known, of, _)| of == id && known != word)
    };
    if file.lock().is_ok() && read(&file).is_ok_and(of_mail) {
        let _ = write(&file, word, id);
    }
}
