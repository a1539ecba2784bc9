//! Files of aliases(5): opened once, judged by what was opened, and read into lines. Nothing that
//! stands in them is opened or run here.
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::address::NOWHERE;
use crate::files;

/// The largest file, in bytes.
const LARGEST: u64 = 16 << 20;

/// Lines with their numbers.
pub(super) type Lines = Vec<(u32, String)>;

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unusable {
    /// There is none.
    pub(super) missing: bool,
    /// A lowercase fragment.
    pub(super) why: String,
    /// The command that mends it.
    pub(super) cure: Option<String>,
}

/// What one line says of a name.
#[derive(Debug)]
pub(super) struct Entry {
    /// `file:line`.
    pub(super) origin: Rc<str>,
    /// What stands behind the colon, or why the line is none.
    pub(super) value: Result<String, &'static str>,
}

/// All lines of all files; a name has one entry, the first.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) entries: BTreeMap<String, Entry>,
    /// Lines that no name leads to: where, and what is wrong.
    pub(super) strays: Vec<(String, String)>,
}

impl Table {
    /// Adds the lines of a file.
    pub(super) fn read(&mut self, path: &Path) -> Result<(), Unusable> {
        let text = open(path)?;
        for (line, text) in logical(&text) {
            let origin = format!("{}:{line}", path.display());
            let (name, value) = split_name(&text);
            let name = key(&name);
            if name.is_empty() {
                self.strays.push((
                    origin,
                    "expected a line that begins with a name and `:`".to_owned(),
                ));
                continue;
            }
            match self.entries.entry(name) {
                Place::Vacant(place) => {
                    place.insert(Entry {
                        origin: origin.into(),
                        value,
                    });
                }
                Place::Occupied(first) => {
                    let why = format!(
                        "`{}` is already defined in {}, which takes precedence",
                        first.key(),
                        first.get().origin
                    );
                    self.strays.push((origin, why));
                }
            }
        }
        Ok(())
    }
}

/// The form under which two spellings are one name: case does not count (aliases(5)).
pub(super) fn key(name: &str) -> String {
    name.trim().trim_matches('"').to_lowercase()
}

/// What one piece of a list is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// A name or addresses.
    Mailboxes(String),
    /// `\name`: nothing is looked up any more.
    Final(String),
    /// `:include:/path`.
    Include(PathBuf),
    /// `/dev/null`: the mail is dropped.
    Nowhere,
    /// What smail never does: a lowercase fragment.
    Refused(&'static str),
}

impl Member {
    /// Reads one piece, with or without quotes around the whole.
    pub(super) fn read(piece: &str) -> Member {
        let bare = unquote(piece);
        let included = bare
            .get(..9)
            .filter(|head| head.eq_ignore_ascii_case(":include:"));
        if included.is_some() {
            let path = PathBuf::from(unquote(bare[9..].trim()));
            let absolute = path.is_absolute();
            return if absolute {
                Member::Include(path)
            } else {
                Member::Refused("`:include:` requires an absolute path")
            };
        }
        if bare == NOWHERE {
            return Member::Nowhere;
        }
        match bare.chars().next() {
            Some('|') => Member::Refused("smail does not run programs for aliases"),
            Some('/' | '~') => Member::Refused("smail does not deliver to files for aliases"),
            Some(':') => Member::Refused("only `:include:` is supported"),
            Some('\\') => Member::Final(bare[1..].to_owned()),
            _ => Member::Mailboxes(piece.to_owned()),
        }
    }
}

/// The text without quotes around the whole of it.
fn unquote(piece: &str) -> &str {
    let inner = piece
        .strip_prefix('"')
        .and_then(|p| p.strip_suffix('"'))
        .filter(|inner| !inner.contains('"'));
    inner.map_or(piece, str::trim)
}

/// The lines of an `:include:` file, each with its number; comments and empty lines are left out.
pub(super) fn include(path: &Path) -> Result<Lines, Unusable> {
    let text = open(path)?;
    let lines = text
        .lines()
        .zip(1..)
        .map(|(line, number)| (number, line.trim()));
    Ok(lines
        .filter(|(_, l)| !l.is_empty() && !l.starts_with('#'))
        .map(|(n, l)| (n, l.to_owned()))
        .collect())
}

/// Splits at commas outside quotes, brackets and comments, one piece at a time. Empty pieces mean
/// nothing.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut depth, mut escaped) = (false, 0_u32, false);
    let pieces = text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '<' if !quoted => depth += 1,
            ')' | '>' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => return true,
            _ => {}
        }
        false
    });
    pieces.map(str::trim).filter(|piece| !piece.is_empty())
}

/// Lines with those that continue them (they begin with a blank), and the number of the first.
fn logical(text: &str) -> Vec<(u32, String)> {
    let mut lines: Vec<(u32, String)> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let words = line.trim();
        if words.is_empty() || words.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, before)) if line.starts_with([' ', '\t']) => {
                before.push(' ');
                before.push_str(words);
            }
            _ => lines.push((number, words.to_owned())),
        }
    }
    lines
}

/// The name before the colon, which may be in quotes, and the value behind it.
fn split_name(line: &str) -> (String, Result<String, &'static str>) {
    let quoted = line.strip_prefix('"').and_then(|line| line.split_once('"'));
    let (name, rest) = quoted.unwrap_or_else(|| {
        line.split_at(
            line.find(|c: char| c == ':' || c.is_whitespace())
                .unwrap_or(line.len()),
        )
    });
    let value = match rest.trim_start().strip_prefix(':').map(str::trim) {
        None => Err("expected `:` after the name"),
        Some(value) if pieces(value).next().is_none() => Err("it has no members"),
        Some(value) => Ok(value.to_owned()),
    };
    (name.to_owned(), value)
}

/// Reads a regular file of ours or root's that nobody else may write. A FIFO cannot block.
fn open(path: &Path) -> Result<String, Unusable> {
    let unusable = |why: &str, cure: Option<String>| Unusable {
        missing: false,
        why: why.to_owned(),
        cure,
    };
    let failed = |error: io::Error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        Unusable {
            missing,
            why: files::words(&error).to_lowercase(),
            cure: None,
        }
    };
    let (bytes, access) = files::read(path, LARGEST).map_err(failed)?;
    if access.is_foreign() {
        return Err(unusable(
            "it is owned by another user, who could redirect mail",
            None,
        ));
    }
    // The group of root is root's own.
    let group = access.mode & 0o020 != 0 && access.group != 0;
    if access.mode & 0o002 != 0 || group {
        let cure = Some(format!("chmod go-w {}", path.display()));
        return Err(unusable(
            "others can write to it and could redirect mail",
            cure,
        ));
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
