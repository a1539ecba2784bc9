//! Reads mail.rc files: who said what, in which line. What a setting means is not known here.
//!
//! Promise: nothing is executed, nothing is printed, and `$` is plain text in the old dialect
//! (passwords contain it). Any bytes give a result in linear time; a line that cannot be read costs
//! that line only. No warning or note repeats a value.
//!
//! Two dialects share one file: that of Heirloom mailx, and after `set v15-compat=yes` (or behind
//! `wysh`) the shell-like one of s-nail.
mod assign;
mod blocks;
mod commands;
mod lines;
pub mod mailx_names;
mod table;
mod words;

#[cfg(test)]
mod lists;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::{self, Access};

/// The largest file that is read, in bytes: far above any real one, and small enough to hold.
const MAX_BYTES: u64 = 8 << 20;
/// The most bytes that one file and all that it sources may have: files can be sourced again and
/// again.
const MAX_IN_ALL: usize = 16 << 20;

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or the option (`-X`) in its stead.
    pub path: Arc<Path>,
    /// The line, from 1; the first one of a continued line.
    pub line: u32,
}

/// One thing a file says, in the order of the file.
#[derive(Clone, PartialEq, Eq)]
pub enum Item {
    /// `set name=value`, or `set name` without a value: boolean on.
    Set {
        /// As written.
        name: String,
        /// `None`: boolean on. An empty value is `Some("")`.
        value: Option<String>,
        /// It stands behind another word of its line, and may be the rest of that one's value: a
        /// password with a blank in it.
        behind: bool,
        /// Where.
        place: Place,
    },
    /// `unset name` or `set noname`.
    Unset {
        /// As written, without `no`.
        name: String,
        /// Where.
        place: Place,
    },
    /// `alias name member …`; a second line for the same name adds members.
    Alias {
        /// As written.
        name: String,
        /// As written; may hold display names.
        members: Vec<String>,
        /// Where.
        place: Place,
    },
    /// `unalias name …`; `*` means all.
    Unalias {
        /// As written.
        names: Vec<String>,
        /// Where.
        place: Place,
    },
    /// `account name { … }`. Never holds another [`Item::Account`].
    Account {
        /// As written.
        name: String,
        /// What applies once the account is used.
        items: Vec<Item>,
        /// Where it begins.
        place: Place,
    },
    /// `account name`: the account applies from here on.
    UseAccount {
        /// As written.
        name: String,
        /// Where.
        place: Place,
    },
}

impl fmt::Debug for Item {
    /// Its name only: it may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Item(***)")
    }
}

/// How words are quoted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Heirloom mailx, and s-nail without `v15-compat=yes`.
    #[default]
    Old,
    /// s-nail with `v15-compat=yes`: shell quoting, `$VAR`, `;`.
    Shell,
}

/// A file that was opened, as it was when it was read (from its descriptor).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFile {
    /// Its path as in [`Place::path`].
    pub path: Arc<Path>,
    /// Who may touch it; `None` for the null device.
    pub access: Option<Access>,
}

/// What a file and all that it sources say.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RcFile {
    /// What was said, in order.
    pub items: Vec<Item>,
    /// Known commands that are malformed: to be shown.
    pub warnings: Vec<(Place, String)>,
    /// What was ignored: to be shown with `-v` only.
    pub notes: Vec<(Place, String)>,
    /// Every file that was read, the first one first. A secret in one that others may read is the
    /// caller's affair.
    pub files: Vec<ReadFile>,
    /// The dialect at the end; the next file starts with it.
    pub dialect: Dialect,
}

impl fmt::Debug for RcFile {
    /// Its name only: it may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RcFile(***)")
    }
}

/// What the grammar must know of the place.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Where `~` leads, and where relative names of `source` start: never the working directory,
    /// which others may own.
    pub home: Option<&'a Path>,
    /// Decides `if t`.
    pub stdin_is_terminal: bool,
    /// Environment variables, for `$NAME` in the shell dialect when no setting has that name.
    pub variables: &'a dyn Fn(&str) -> Option<String>,
    /// Returns whether a name means something without a value. Behind an assignment, other bare
    /// words are a remark of the author (`set from=x@y # sender`) and not settings.
    pub known: &'a dyn Fn(&str) -> bool,
    /// The dialect to start with.
    pub dialect: Dialect,
}

/// Reads a file and what it sources.
///
/// # Errors
/// The file itself cannot be opened or read, or is larger than 8 MiB. A sourced file that cannot is
/// a warning.
pub fn read(path: &Path, env: &Context<'_>) -> io::Result<RcFile> {
    let (bytes, file) = load(path)?;
    let place: Arc<Path> = Arc::clone(&file.path);
    let mut reader = commands::Reader::new(env);
    reader.file(&bytes, &place, file);
    Ok(reader.finish())
}

/// Reads a text as if it stood in `path`. Opens nothing but what the text sources.
pub fn parse(text: &[u8], path: &Path, env: &Context<'_>) -> RcFile {
    let mut reader = commands::Reader::new(env);
    reader.bytes(text, &Arc::from(path));
    reader.finish()
}

/// Reads a command as `-X` and `-Y` give it. `option` stands for the file in its [`Place`].
pub fn one_line(text: &str, option: &str, env: &Context<'_>) -> RcFile {
    parse(text.as_bytes(), Path::new(option), env)
}

/// Opens a file once and reads it whole: also the null device, and what a program writes into a
/// FIFO for ten seconds at most.
fn load(path: &Path) -> io::Result<(Vec<u8>, ReadFile)> {
    let (bytes, access) = files::read_stream(path, MAX_BYTES)?;
    // Everybody may write to the null device, and nothing comes of it.
    let access = Some(access).filter(|_| path != Path::new("/dev/null"));
    Ok((
        bytes,
        ReadFile {
            path: Arc::from(path),
            access,
        },
    ))
}

/// The file that `source` names. Only `~`, `$HOME` and names below home are understood.
fn sourced_path(name: &str, home: Option<&Path>) -> Result<PathBuf, &'static str> {
    if name.trim_end().ends_with('|') {
        return Err("`source` does not run programs");
    }
    let name = name
        .strip_prefix("$HOME/")
        .or_else(|| name.strip_prefix("~/"))
        .unwrap_or(name);
    if name.starts_with('~') {
        return Err("`source` supports only your own home directory");
    }
    let path = Path::new(name);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    home.map(|home| home.join(path))
        .ok_or("`source` requires a home directory for this name")
}
