//! `--idempotency-key`: the same key does not send twice within seven days.
//!
//! Promise: safe when two run at once (the key's file is locked) and when one is killed between any two steps: a key whose
//! mail is neither waiting nor known to be sent counts for nothing.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::folder::{Folder, Room};
use super::{Queue, QueueError, now};

/// How long a key counts.
const LIFETIME: i64 = 7 * 24 * 3600 * 1000;
/// The longest key; every octet may take three in a file's name.
pub const LONGEST_KEY: usize = 80;

/// A key in the hands of this process.
#[derive(Debug)]
pub struct Key {
    file: File,
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

/// `pending ID TIME` before the commit, `done ID TIME` after it.
fn read(mut file: &File) -> Option<(String, String, i64)> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(1024).read_to_string(&mut text).ok()?;
    let mut words = text.strip_suffix('\n')?.split(' ');
    let found = (words.next()?.to_owned(), words.next()?.to_owned(), words.next()?.parse().ok()?);
    words.next().is_none().then_some(found)
}

fn write(mut file: &File, word: &str, id: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("{word} {id} {}\n", now()).as_bytes())?;
    file.sync_data()
}

impl Queue {
    /// Takes a key; waits while another process has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn key(&self, key: &str) -> Result<KeyState, QueueError> {
        let file = self.folder.append(Room::Keys, &name(key)).map_err(|e| self.io(e))?;
        file.lock().map_err(|e| self.io(e))?;
        if let Some((word, id, at)) = read(&file) {
            let waits = self.folder.has(Room::Waiting, &format!("{id}.msg"));
            if waits || (word == "done" && now().saturating_sub(at).abs() < LIFETIME) {
                return Ok(KeyState::Taken(id));
            }
        }
        Ok(KeyState::New(Key { file }))
    }
}

impl Key {
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

    /// Forgets the key: the mail was refused, and may be tried again.
    pub fn forget(&self) {
        let _ = self.file.set_len(0);
    }
}

/// Notes that the mail of a key was delivered by another process than the one that took the key.
pub(super) fn settle(folder: &Folder, key: &str, id: &str) {
    change(folder, key, id, |file| {
        let _ = write(file, "done", id);
    });
}

/// Forgets the key of a mail that was given up.
pub(super) fn forget(folder: &Folder, key: &str, id: &str) {
    change(folder, key, id, |file| {
        let _ = file.set_len(0);
    });
}

fn change(folder: &Folder, key: &str, id: &str, with: impl FnOnce(&File)) {
    let Ok(file) = folder.append(Room::Keys, &name(key)) else { return };
    // Held by the process that sends this very mail: it notes the end itself.
    if file.try_lock().is_ok() && read(&file).is_some_and(|(_, known, _)| known == id) {
        with(&file);
    }
}
