//! What each command of a mail.rc does to what was said so far.
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::lines::{self, BLANKS, Line};
use super::words::{Shell, ShellFault, Word, old_words};
use super::{Dialect, Environment, Item, Place, RcFile, ReadFile, load, sourced_path};

/// How deep `source` may go, as in the peers.
const MAX_DEPTH: usize = 16;
/// How many files may be sourced in all: files that source each other twice would double at every level.
const MAX_SOURCED: usize = 256;
/// How many warnings, and how many notes, are worth reading.
const MAX_REMARKS: usize = 100;
/// How many octets `$NAME` may bring in all: variables that hold each other twice would double with every line.
const MAX_EXPANDED: usize = 1 << 20;

/// The commands that say something to a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Set,
    Unset,
    Alias,
    Unalias,
    Source,
    Account,
    If,
    Elif,
    Else,
    Endif,
    Define,
    /// Would run something.
    Run,
}

/// Name, the shortest abbreviation (POSIX where it has the command), command.
const COMMANDS: &[(&str, usize, Command)] = &[
    ("set", 2, Command::Set),
    ("unset", 3, Command::Unset),
    ("alias", 1, Command::Alias),
    ("group", 1, Command::Alias),
    ("unalias", 3, Command::Unalias),
    ("ungroup", 3, Command::Unalias),
    ("source", 2, Command::Source),
    ("account", 2, Command::Account),
    ("if", 2, Command::If),
    ("elif", 3, Command::Elif),
    ("else", 2, Command::Else),
    ("endif", 2, Command::Endif),
    ("define", 6, Command::Define),
    ("call", 4, Command::Run),
    ("eval", 4, Command::Run),
    ("shell", 2, Command::Run),
];

/// The reading side of the peers: accepted without a word.
const SILENT: &[&str] = &[
    "alternates",
    "alt",
    "ask",
    "bind",
    "cd",
    "chdir",
    "charsetalias",
    "collapse",
    "colour",
    "commandalias",
    "cwd",
    "discard",
    "di",
    "echo",
    "filetype",
    "flag",
    "folder",
    "folders",
    "fwddiscard",
    "fwdignore",
    "fwdretain",
    "headerpick",
    "history",
    "ignore",
    "ig",
    "localopts",
    "mimetype",
    "mlist",
    "mlsubscribe",
    "mono",
    "netrc",
    "quit",
    "readctl",
    "retain",
    "ret",
    "saveignore",
    "saveretain",
    "savediscard",
    "setenv",
    "shortcut",
    "sort",
    "tls",
    "unbind",
    "uncharsetalias",
    "uncolour",
    "uncommandalias",
    "undefine",
    "unfiletype",
    "unfwdignore",
    "unfwdretain",
    "unheaderpick",
    "unignore",
    "unmimetype",
    "unmlist",
    "unmlsubscribe",
    "unmono",
    "unretain",
    "unsaveignore",
    "unsaveretain",
    "unsetenv",
    "unshortcut",
    "varshow",
    "version",
];

/// Words before a command that change nothing here.
const MODIFIERS: &[&str] = &["ignerr", "local", "global", "our"];

/// A block of `if`.
struct Branch {
    /// The lines count, here and in every block around.
    live: bool,
    /// The block around is live.
    outer: bool,
    /// One of the branches was chosen already.
    chosen: bool,
}

/// An `account` block.
struct Open {
    name: String,
    place: Place,
    items: Vec<Item>,
    values: HashMap<String, String>,
    /// What counts again behind the block.
    dialect: Dialect,
    branches: usize,
    depth: usize,
}

/// Reads line by line and keeps what they say.
pub(super) struct Reader<'e> {
    env: &'e Environment<'e>,
    out: RcFile,
    dialect: Dialect,
    values: HashMap<String, String>,
    expanded: usize,
    branches: Vec<Branch>,
    /// How many of them were open before the file at hand.
    floor: usize,
    account: Option<Open>,
    /// Blocks whose lines do not count, and that still have to end.
    skipped: usize,
    /// The files being read, outermost first.
    stack: Vec<Arc<Path>>,
    sourced: usize,
}

impl<'e> Reader<'e> {
    pub fn new(env: &'e Environment<'e>) -> Self {
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
        }
    }

    pub fn finish(mut self) -> RcFile {
        self.out.dialect = self.dialect;
        self.out
    }

    /// Reads the bytes of a file that was opened.
    pub fn file(&mut self, bytes: &[u8], path: &Arc<Path>, file: ReadFile) {
        self.out.files.push(file);
        self.bytes(bytes, path);
    }

    /// Reads a text; every block that it opens ends with it.
    pub fn bytes(&mut self, bytes: &[u8], path: &Arc<Path>) {
        let text = lines::decode(bytes);
        let branches = self.branches.len();
        let floor = std::mem::replace(&mut self.floor, branches);
        self.stack.push(Arc::clone(path));
        let mut place = Place { path: Arc::clone(path), line: 1 };
        for line in lines::lines(&text) {
            place.line = line.number;
            self.line(&line, &place);
        }
        if self.skipped > 0 {
            self.skipped = 0;
            self.warn(&place, "a block has no `}`");
        }
        if self.account.as_ref().is_some_and(|open| open.depth == self.stack.len()) {
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
                self.note(place, "this comment ends in a backslash, so the next line is part of it");
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
    fn expand(&mut self, name: &str) -> Result<String, ShellFault> {
        let inner = self.account.as_ref().and_then(|open| open.values.get(name));
        let value = inner.or_else(|| self.values.get(name)).cloned();
        let value = value.or_else(|| (self.env.variables)(name)).unwrap_or_default();
        self.expanded = self.expanded.saturating_add(value.len());
        if self.expanded > MAX_EXPANDED { Err(ShellFault::TooMuch) } else { Ok(value) }
    }

    fn command(&mut self, words: &[Word], dialect: Dialect, place: &Place) {
        let Some((first, rest)) = words.split_first() else { return };
        let name = first.text.strip_prefix('\\').unwrap_or(&first.text);
        if name == "}" {
            return self.close_block(place);
        }
        let command =
            COMMANDS.iter().find(|(full, least, _)| name.len() >= *least && full.starts_with(name)).map(|row| row.2);
        let rest = if command == Some(Command::Set) { rest } else { without_remark(rest) };
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
                self.note(place, "macros are not run: `define` is ignored");
                self.skipped += usize::from(opens_block(rest));
            }
            Some(Command::Run) => self.note(place, &format!("`{name}` is ignored: nothing is run")),
            None if SILENT.contains(&name) => {}
            None => self.note(place, &unknown(name)),
        }
    }

    /// A line that does not count: only where blocks begin and end matters.
    fn passed_over(&mut self, command: Option<Command>, rest: &[Word], place: &Place) {
        match command {
            Some(Command::If | Command::Elif | Command::Else | Command::Endif) if self.skipped == 0 => {
                self.conditional(command, rest, place);
            }
            Some(Command::Account | Command::Define) => self.skipped += usize::from(opens_block(rest)),
            _ => {}
        }
    }

    fn live(&self) -> bool {
        self.branches.last().is_none_or(|branch| branch.live)
    }

    fn conditional(&mut self, command: Option<Command>, rest: &[Word], place: &Place) {
        // Neither an account's body nor a sourced file reaches into the `if` around it.
        let floor = self.account.as_ref().map_or(0, |open| open.branches).max(self.floor);
        if command == Some(Command::If) {
            let outer = self.live();
            let live = outer && self.condition(rest, place);
            return self.branches.push(Branch { live, outer, chosen: live });
        }
        if self.branches.len() <= floor {
            return self.warn(place, "`else` or `endif` without an `if`");
        }
        if command == Some(Command::Endif) {
            self.branches.pop();
            return;
        }
        let open = self.branches.last().is_some_and(|branch| branch.outer && !branch.chosen);
        let live = open && (command == Some(Command::Else) || self.condition(rest, place));
        if let Some(branch) = self.branches.last_mut() {
            branch.live = live;
            branch.chosen |= live;
        }
    }

    fn condition(&mut self, words: &[Word], place: &Place) -> bool {
        let [word] = words else {
            if words.is_empty() {
                self.warn(place, "`if` without a condition counts as false");
            } else {
                self.note(place, "a condition that is not understood counts as false");
            }
            return false;
        };
        match word.text.to_ascii_lowercase().as_str() {
            "s" | "send" | "true" | "yes" | "on" | "1" => true,
            "r" | "receive" | "false" | "no" | "off" | "0" => false,
            "t" | "term" | "terminal" | "tty" => self.env.stdin_is_terminal,
            _ => {
                self.note(place, "a condition that is not understood counts as false");
                false
            }
        }
    }

    fn set(&mut self, words: &[Word], dialect: Dialect, place: &Place) {
        if words.is_empty() {
            return self.note(place, "`set` without a name is ignored");
        }
        let old = dialect == Dialect::Old;
        let mut words = words.iter().peekable();
        let mut assigned = false;
        let mut remarks = 0_usize;
        while let Some(word) = words.next() {
            if is_remark(word) {
                break;
            }
            if !old && word.bare && matches!(word.text.as_str(), "-r" | "-g") {
                continue;
            }
            let (name, mut value) = match word.text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.text.as_str(), None),
            };
            if old && word.bare && value.as_deref().is_none_or(str::is_empty) {
                value = spaced_value(value, &mut words, self.env);
            }
            if name.is_empty() {
                self.warn(place, "`set` has a value without a name");
            } else if value.is_none() && assigned && old && !self.is_switch(name) {
                remarks += 1;
            } else {
                assigned |= value.is_some();
                match name.strip_suffix('+').filter(|_| !old) {
                    Some(name) => self.append(name, value, place),
                    None => self.assign(name, value, place),
                }
            }
        }
        if remarks > 0 {
            self.note(place, &format!("{remarks} word(s) behind a value are ignored; quote a value that has blanks"));
        }
    }

    /// `set name+=more`.
    fn append(&mut self, name: &str, more: Option<String>, place: &Place) {
        match self.expand(name) {
            Ok(value) => self.assign(name, Some(value + &more.unwrap_or_default()), place),
            Err(fault) => self.warn(place, &fault.to_string()),
        }
    }

    /// A bare word that may follow an assignment: the name of a switch, or `no` and one.
    fn is_switch(&self, name: &str) -> bool {
        (self.env.known)(name) || name.strip_prefix("no").is_some_and(|rest| (self.env.known)(rest))
    }

    fn assign(&mut self, name: &str, value: Option<String>, place: &Place) {
        // `no` wins over names that begin with it, as in every mailx, unless such a name is one of ours.
        if let Some(rest) = name.strip_prefix("no").filter(|rest| !rest.is_empty() && !(self.env.known)(name)) {
            if value.is_some() {
                self.note(place, "`no` before a name unsets it; the value is ignored");
            }
            return self.forget(rest, place);
        }
        if name == "v15-compat" {
            let on = value
                .as_deref()
                .is_some_and(|v| matches!(v.to_ascii_lowercase().as_str(), "yes" | "y" | "true" | "on" | "1"));
            self.dialect = if on { Dialect::Shell } else { Dialect::Old };
        }
        let values = self.account.as_mut().map_or(&mut self.values, |open| &mut open.values);
        values.insert(name.to_owned(), value.clone().unwrap_or_default());
        self.say(Item::Set { name: name.to_owned(), value, place: place.clone() });
    }

    fn forget(&mut self, name: &str, place: &Place) {
        if name == "v15-compat" {
            self.dialect = Dialect::Old;
        }
        let values = self.account.as_mut().map_or(&mut self.values, |open| &mut open.values);
        values.insert(name.to_owned(), String::new());
        self.say(Item::Unset { name: name.to_owned(), place: place.clone() });
    }

    fn unset(&mut self, words: &[Word], place: &Place) {
        if words.is_empty() {
            self.warn(place, "`unset` needs a name");
        }
        for word in words {
            self.forget(&word.text, place);
        }
    }

    fn alias(&mut self, words: &[Word], place: &Place) {
        match words {
            [] | [_] => self.note(place, "`alias` without members is ignored"),
            [name, members @ ..] => {
                let (name, members) = (name.text.clone(), texts(members));
                self.say(Item::Alias { name, members, place: place.clone() });
            }
        }
    }

    fn unalias(&mut self, words: &[Word], place: &Place) {
        if words.is_empty() {
            return self.warn(place, "`unalias` needs a name");
        }
        self.say(Item::Unalias { names: texts(words), place: place.clone() });
    }

    fn account(&mut self, words: &[Word], place: &Place) {
        if !opens_block(words) {
            return match words {
                [] => self.note(place, "`account` without a name is ignored"),
                [name] => self.say(Item::UseAccount { name: name.text.clone(), place: place.clone() }),
                _ => self.warn(place, "`account` needs one name, and `{` at the end of the line to define it"),
            };
        }
        let name = block_name(words);
        if name.is_empty() || self.account.is_some() {
            self.skipped += 1;
            let why = if name.is_empty() { "`account` needs a name" } else { "an `account` within another is skipped" };
            return self.warn(place, why);
        }
        self.account = Some(Open {
            name: name.to_owned(),
            place: place.clone(),
            items: Vec::new(),
            values: HashMap::new(),
            dialect: self.dialect,
            branches: self.branches.len(),
            depth: self.stack.len(),
        });
    }

    fn close_block(&mut self, place: &Place) {
        if self.skipped > 0 {
            self.skipped -= 1;
        } else if self.account.as_ref().is_some_and(|open| open.depth == self.stack.len()) {
            self.close_account(place);
        } else if self.live() {
            self.warn(place, "`}` without a block");
        }
    }

    fn close_account(&mut self, place: &Place) {
        let Some(open) = self.account.take() else { return };
        if self.branches.len() > open.branches {
            self.warn(place, "an `if` within an account has no `endif`");
            self.branches.truncate(open.branches);
        }
        self.dialect = open.dialect;
        self.say(Item::Account { name: open.name, items: open.items, place: open.place });
    }

    fn source(&mut self, words: &[Word], place: &Place) {
        let [name] = words else {
            let why = if words.is_empty() {
                "`source` needs a file name"
            } else {
                "`source` takes one file name and runs no programs"
            };
            return self.warn(place, why);
        };
        let path = match sourced_path(&name.text, self.env.home) {
            Ok(path) => path,
            Err(why) => return self.warn(place, why),
        };
        if self.stack.len() >= MAX_DEPTH || self.sourced >= MAX_SOURCED || self.stack.iter().any(|open| **open == *path)
        {
            return self
                .warn(place, &format!("`{}` is not sourced: the files source each other without end", path.display()));
        }
        self.sourced += 1;
        match load(&path) {
            Ok((bytes, file)) => {
                let path = Arc::clone(&file.path);
                self.file(&bytes, &path, file);
            }
            Err(error) => self.warn(place, &format!("cannot source `{}`: {error}", path.display())),
        }
    }

    fn say(&mut self, item: Item) {
        self.account.as_mut().map_or(&mut self.out.items, |open| &mut open.items).push(item);
    }

    fn warn(&mut self, place: &Place, text: &str) {
        remark(&mut self.out.warnings, place, text);
    }

    fn note(&mut self, place: &Place, text: &str) {
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

/// A word that begins a remark of the author: `# …` or `// …`.
fn is_remark(word: &Word) -> bool {
    word.bare_start && (word.text.starts_with('#') || word.text.starts_with("//"))
}

fn without_remark(words: &[Word]) -> &[Word] {
    let end = words.iter().position(|word| word.bare_start && word.text.starts_with('#'));
    &words[..end.unwrap_or(words.len())]
}

/// The value in `name = value`, `name =value` and `name= value`, which no mailx takes and many files have.
fn spaced_value<'w>(
    value: Option<String>,
    words: &mut std::iter::Peekable<impl Iterator<Item = &'w Word>>,
    env: &Environment<'_>,
) -> Option<String> {
    let Some(next) = words.peek() else { return value };
    if value.is_some() {
        // `a= b`: b may as well be the next setting.
        let own = is_remark(next) || next.text.contains('=') || (env.known)(&next.text);
        return if own { value } else { words.next().map(|word| word.text.clone()) };
    }
    let glued = next.text.strip_prefix('=').filter(|_| next.bare_start)?;
    words.next();
    if !glued.is_empty() {
        return Some(glued.to_owned());
    }
    let lone = |word: &Word| word.bare && matches!(word.text.as_str(), "#" | "//");
    Some(words.next_if(|word| !lone(word)).map_or_else(String::new, |word| word.text.clone()))
}

fn opens_block(words: &[Word]) -> bool {
    words.last().is_some_and(|word| word.bare && word.text.ends_with('{'))
}

/// The name before `{`, which may be glued to it.
fn block_name(words: &[Word]) -> &str {
    match words {
        [name] => name.text.trim_end_matches('{'),
        [name, brace] if brace.text == "{" => &name.text,
        _ => "",
    }
}

fn texts(words: &[Word]) -> Vec<String> {
    words.iter().map(|word| word.text.clone()).collect()
}

/// Names an unknown command only when it looks like one: a line that was torn apart may begin with a secret.
fn unknown(name: &str) -> String {
    if name.len() <= 24 && name.bytes().all(|b| b.is_ascii_lowercase()) {
        format!("`{name}` is not a command that matters for sending; ignored")
    } else {
        "not a command; the line is ignored".to_owned()
    }
}
