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
pub(super) const LONGEST_KEY: usize = 80;

/// More than all the lines a key can have.
const LONGEST_FILE: u64 = 1 << 20;

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

/// The last whole line: `pending ID TIME` before the commit, `done ID TIME` after it, `free ID TIME` when the mail was given up.
fn read(mut file: &File) -> Option<(String, String, i64)> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(LONGEST_FILE).read_to_string(&mut text).ok()?;
    let whole = &text[..=text.rfind('\n')?];
    whole.lines().rev().find_map(|line| {
        let mut words = line.split(' ');
        let found = (words.next()?.to_owned(), words.next()?.to_owned(), words.next()?.parse().ok()?);
        words.next().is_none().then_some(found)
    })
}

/// Adds a line: a file that is written anew is empty for a moment, and a key that is forgotten then would send twice. The line
/// begins with a line end, as the one before it may be torn.
fn write(mut file: &File, word: &str, id: &str) -> io::Result<()> {
    file.write_all(format!("\n{word} {id} {}\n", now()).as_bytes())?;
    file.sync_data()
}

impl Queue {
    /// Takes a key; waits while another process has it.
    ///
    /// # Errors
    /// It is empty or too long, or those of the file system.
    pub fn key(&self, key: &str) -> Result<KeyState, QueueError> {
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Err(QueueError::Key);
        }
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
}

/// Notes that the mail of a key was delivered by another process than the one that took the key.
pub(super) fn settle(folder: &Folder, key: &str, id: &str) {
    change(folder, key, id, "done");
}

/// Forgets the key of a mail that was given up.
pub(super) fn forget(folder: &Folder, key: &str, id: &str) {
    change(folder, key, id, "free");
}

fn change(folder: &Folder, key: &str, id: &str, word: &str) {
    let Ok(file) = folder.append(Room::Keys, &name(key)) else { return };
    // Held by another process only while that looks, and then it looks for the mail as well.
    if file.lock().is_ok() && read(&file).is_some_and(|(known, of, _)| of == id && known != word) {
        let _ = write(&file, word, id);
    }
}
