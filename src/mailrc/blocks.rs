//! What spans lines: `if` … `endif` and `account` … `}`.
use std::collections::HashMap;

use super::commands::Reader;
use super::table::Command;
use super::words::Word;
use super::{Dialect, Item, Place};

/// A block of `if`.
pub(super) struct Branch {
    /// The lines count, here and in every block around.
    pub live: bool,
    /// The block around is live.
    pub outer: bool,
    /// One of the branches was chosen already.
    pub chosen: bool,
}

/// An `account` block.
pub(super) struct Open {
    pub name: String,
    pub place: Place,
    pub items: Vec<Item>,
    pub values: HashMap<String, String>,
    /// What counts again behind the block.
    pub dialect: Dialect,
    pub branches: usize,
    pub depth: usize,
}

impl Reader<'_> {
    pub(super) fn conditional(&mut self, command: Option<Command>, rest: &[Word], place: &Place) {
        // Neither an account's body nor a sourced file reaches into the `if` around it.
        let floor = self
            .account
            .as_ref()
            .map_or(0, |open| open.branches)
            .max(self.floor);
        if command == Some(Command::If) {
            let outer = self.live();
            let live = outer && self.condition(rest, place);
            return self.branches.push(Branch {
                live,
                outer,
                chosen: live,
            });
        }
        if self.branches.len() <= floor {
            return self.warn(place, "`else` or `endif` without an `if`");
        }
        if command == Some(Command::Endif) {
            self.branches.pop();
            return;
        }
        let open = self
            .branches
            .last()
            .is_some_and(|branch| branch.outer && !branch.chosen);
        let live = open && (command == Some(Command::Else) || self.condition(rest, place));
        if let Some(branch) = self.branches.last_mut() {
            branch.live = live;
            branch.chosen |= live;
        }
    }

    pub(super) fn condition(&mut self, words: &[Word], place: &Place) -> bool {
        let [word] = words else {
            if words.is_empty() {
                self.warn(place, "`if` without a condition counts as false");
            } else {
                self.note(place, "an unsupported condition counts as false");
            }
            return false;
        };
        match word.text.to_ascii_lowercase().as_str() {
            "s" | "send" | "true" | "yes" | "on" | "1" => true,
            "r" | "receive" | "false" | "no" | "off" | "0" => false,
            "t" | "term" | "terminal" | "tty" => self.env.stdin_is_terminal,
            _ => {
                self.note(place, "an unsupported condition counts as false");
                false
            }
        }
    }

    pub(super) fn account(&mut self, words: &[Word], place: &Place) {
        if !opens_block(words) {
            return match words {
                [] => self.note(place, "`account` without a name is ignored"),
                [name] => self.say(Item::UseAccount {
                    name: name.text.clone(),
                    place: place.clone(),
                }),
                _ => self.warn(
                    place,
                    "`account` needs one name, and `{` at the end of the line to define it",
                ),
            };
        }
        let name = block_name(words);
        if name.is_empty() || self.account.is_some() {
            self.skipped += 1;
            let why = if name.is_empty() {
                "`account` needs a name"
            } else {
                "an `account` within another is skipped"
            };
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

    pub(super) fn close_block(&mut self, place: &Place) {
        if self.skipped > 0 {
            self.skipped -= 1;
        } else if self
            .account
            .as_ref()
            .is_some_and(|open| open.depth == self.stack.len())
        {
            self.close_account(place);
        } else if self.live() {
            self.warn(place, "`}` without a block");
        }
    }

    pub(super) fn close_account(&mut self, place: &Place) {
        let Some(open) = self.account.take() else {
            return;
        };
        if self.branches.len() > open.branches {
            self.warn(place, "an `if` within an account has no `endif`");
            self.branches.truncate(open.branches);
        }
        self.dialect = open.dialect;
        self.say(Item::Account {
            name: open.name,
            items: open.items,
            place: open.place,
        });
    }
}

pub(super) fn opens_block(words: &[Word]) -> bool {
    words
        .last()
        .is_some_and(|word| word.bare && word.text.ends_with('{'))
}

/// The name before `{`, which may be glued to it.
fn block_name(words: &[Word]) -> &str {
    match words {
        [name] => name.text.trim_end_matches('{'),
        [name, brace] if brace.text == "{" => &name.text,
        _ => "",
    }
}
