//! The reader: line by line, command by command, file by file.
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::blocks::{Branch, Open, opens_block};
use super::lines::{self, BLANKS, Line};
use super::table::{self, Command, MODIFIERS};
use super::words::{Shell, ShellFault, Word, old_words};
use super::{Context, Dialect, Item, MAX_IN_ALL, Place, RcFile, ReadFile, load, sourced_path};

/// How deep `source` may go, as in the peers.
const MAX_DEPTH: usize = 16;
/// How many files may be sourced in all: files that source each other twice would double at every
/// level.
const MAX_SOURCED: usize = 256;
/// How many warnings, and how many notes, are worth reading.
const MAX_REMARKS: usize = 100;
/// How many bytes `$NAME` may bring in all: variables that hold each other twice would double with
/// every line.
const MAX_EXPANDED: usize = 1 << 20;

/// Reads line by line and keeps what they say.
pub(super) struct Reader<'e> {
    pub(super) env: &'e Context<'e>,
    out: RcFile,
    pub(super) dialect: Dialect,
    pub(super) values: HashMap<String, String>,
    expanded: usize,
    pub(super) branches: Vec<Branch>,
    /// How many of them were open before the file at hand.
    pub(super) floor: usize,
    pub(super) account: Option<Open>,
    /// Blocks whose lines do not count, and that still have to end.
    pub(super) skipped: usize,
    /// The files being read, outermost first.
    pub(super) stack: Vec<Arc<Path>>,
    sourced: usize,
    /// Of all files so far.
    bytes: usize,
}

impl<'e> Reader<'e> {
    pub(super) fn new(env: &'e Context<'e>) -> Self {
        Reader {
            env,
            out: RcFile::default(),
            dialect: env.dialect,
            values: HashMap::new(),
            expanded: 0,
            branches: Vec::new(),
            floor: 0,
            account: None,
            skipped: 0,
            stack: Vec::new(),
            sourced: 0,
            bytes: 0,
        }
    }

    pub(super) fn finish(mut self) -> RcFile {
        self.out.dialect = self.dialect;
        self.out
    }

    /// Reads the bytes of a file that was opened.
    pub(super) fn file(&mut self, bytes: &[u8], path: &Arc<Path>, file: ReadFile) {
        self.out.files.push(file);
        self.bytes += bytes.len();
        self.bytes(bytes, path);
    }

    /// Reads a text; every block that it opens ends with it.
    pub(super) fn bytes(&mut self, bytes: &[u8], path: &Arc<Path>) {
        let text = lines::decode(bytes);
        let branches = self.branches.len();
        let floor = std::mem::replace(&mut self.floor, branches);
        self.stack.push(Arc::clone(path));
        let mut place = Place {
            path: Arc::clone(path),
            line: 1,
        };
        for line in lines::lines(&text) {
            place.line = line.number;
            self.line(&line, &place);
        }
        if self.skipped > 0 {
            self.skipped = 0;
            self.warn(&place, "a block has no `}`");
        }
        if self
            .account
            .as_ref()
            .is_some_and(|open| open.depth == self.stack.len())
        {
            self.warn(&place, "an `account` block has no `}`");
            self.close_account(&place);
        }
        if self.branches.len() > branches {
            self.warn(&place, "an `if` has no `endif`");
            self.branches.truncate(branches);
        }
        self.floor = floor;
        self.stack.pop();
    }

    fn line(&mut self, line: &Line<'_>, place: &Place) {
        let mut text: &str = &line.text;
        if text.starts_with('#') {
            if line.continued {
                self.note(
                    place,
                    "this comment ends with a backslash, so the next line is part of it",
                );
            }
            return;
        }
        let mut dialect = self.dialect;
        while let Some((word, rest)) = text.split_once(BLANKS) {
            if word == "wysh" {
                dialect = Dialect::Shell;
            } else if !MODIFIERS.contains(&word) {
                break;
            }
            text = rest.trim_start_matches(BLANKS);
        }
        if dialect == Dialect::Old {
            return self.command(&old_words(text), Dialect::Old, place);
        }
        let mut shell = Shell::new(text);
        while let Some(words) = shell.next_command(&mut |name| self.expand(name)) {
            match words {
                Ok(words) => self.command(&words, Dialect::Shell, place),
                Err(_) if !self.live() => {}
                Err(fault) => self.warn(place, &fault.to_string()),
            }
        }
    }

    /// The value of `$name`: a setting of this file, else the environment.
    pub(super) fn expand(&mut self, name: &str) -> Result<String, ShellFault> {
        let inner = self.account.as_ref().and_then(|open| open.values.get(name));
        let value = inner.or_else(|| self.values.get(name)).cloned();
        let value = value
            .or_else(|| (self.env.variables)(name))
            .unwrap_or_default();
        self.expanded = self.expanded.saturating_add(value.len());
        if self.expanded > MAX_EXPANDED {
            Err(ShellFault::TooMuch)
        } else {
            Ok(value)
        }
    }

    fn command(&mut self, words: &[Word], dialect: Dialect, place: &Place) {
        let Some((first, rest)) = words.split_first() else {
            return;
        };
        let name = first.text.strip_prefix('\\').unwrap_or(&first.text);
        if name == "}" {
            return self.close_block(place);
        }
        let command = table::find(name);
        let rest = if command == Some(Command::Set) {
            rest
        } else {
            without_remark(rest)
        };
        if self.skipped > 0 || !self.live() {
            return self.passed_over(command, rest, place);
        }
        match command {
            Some(Command::Set) => self.set(rest, dialect, place),
            Some(Command::Unset) => self.unset(rest, place),
            Some(Command::Alias) => self.alias(rest, place),
            Some(Command::Unalias) => self.unalias(rest, place),
            Some(Command::Source) => self.source(rest, place),
            Some(Command::Account) => self.account(rest, place),
            Some(Command::If | Command::Elif | Command::Else | Command::Endif) => {
                self.conditional(command, rest, place);
            }
            Some(Command::Define) => {
                self.note(place, "macros are not supported: `define` is ignored");
                self.skipped += usize::from(opens_block(rest));
            }
            Some(Command::Run) => self.note(
                place,
                &format!(
                    "`{name}` is ignored: smail runs no \
                commands"
                ),
            ),
            None if table::is_silent(name) => {}
            None => self.note(place, table::UNKNOWN),
        }
    }

    /// A line that does not count: only where blocks begin and end matters.
    fn passed_over(&mut self, command: Option<Command>, rest: &[Word], place: &Place) {
        match command {
            Some(Command::If | Command::Elif | Command::Else | Command::Endif)
                if self.skipped == 0 =>
            {
                self.conditional(command, rest, place);
            }
            Some(Command::Account | Command::Define) => {
                self.skipped += usize::from(opens_block(rest));
            }
            _ => {}
        }
    }

    pub(super) fn live(&self) -> bool {
        self.branches.last().is_none_or(|branch| branch.live)
    }

    fn alias(&mut self, words: &[Word], place: &Place) {
        match words {
            [] | [_] => self.note(place, "`alias` without members is ignored"),
            [name, members @ ..] => {
                let (name, members) = (name.text.clone(), texts(members));
                self.say(Item::Alias {
                    name,
                    members,
                    place: place.clone(),
                });
            }
        }
    }

    fn unalias(&mut self, words: &[Word], place: &Place) {
        if words.is_empty() {
            return self.warn(place, "`unalias` needs a name");
        }
        self.say(Item::Unalias {
            names: texts(words),
            place: place.clone(),
        });
    }

    fn source(&mut self, words: &[Word], place: &Place) {
        let [name] = words else {
            let why = if words.is_empty() {
                "`source` needs a file name"
            } else {
                "`source` takes one file name and does not run programs"
            };
            return self.warn(place, why);
        };
        let path = match sourced_path(&name.text, self.env.home) {
            Ok(path) => path,
            Err(why) => return self.warn(place, why),
        };
        if self.stack.len() >= MAX_DEPTH
            || self.sourced >= MAX_SOURCED
            || self.stack.iter().any(|open| **open == *path)
        {
            return self.warn(
                place,
                &format!(
                    "`{}` is not sourced: the files source each other endlessly",
                    path.display()
                ),
            );
        }
        self.sourced += 1;
        match load(&path) {
            Ok((bytes, _)) if self.bytes.saturating_add(bytes.len()) > MAX_IN_ALL => {
                self.warn(
                    place,
                    &format!(
                        "`{}` is not sourced: the files are larger than 16 MiB in all",
                        path.display()
                    ),
                );
            }
            Ok((bytes, file)) => {
                let path = Arc::clone(&file.path);
                self.file(&bytes, &path, file);
            }
            Err(error) => self.warn(
                place,
                &format!("cannot source `{}`: {error}", path.display()),
            ),
        }
    }

    pub(super) fn say(&mut self, item: Item) {
        self.account
            .as_mut()
            .map_or(&mut self.out.items, |open| &mut open.items)
            .push(item);
    }

    pub(super) fn warn(&mut self, place: &Place, text: &str) {
        remark(&mut self.out.warnings, place, text);
    }

    pub(super) fn note(&mut self, place: &Place, text: &str) {
        remark(&mut self.out.notes, place, text);
    }
}

fn remark(list: &mut Vec<(Place, String)>, place: &Place, text: &str) {
    let text = match list.len() {
        n if n > MAX_REMARKS => return,
        MAX_REMARKS => "and more like these",
        _ => text,
    };
    list.push((place.clone(), text.to_owned()));
}

fn without_remark(words: &[Word]) -> &[Word] {
    let end = words
        .iter()
        .position(|word| word.bare_start && word.text.starts_with('#'));
    &words[..end.unwrap_or(words.len())]
}

fn texts(words: &[Word]) -> Vec<String> {
    words.iter().map(|word| word.text.clone()).collect()
}
