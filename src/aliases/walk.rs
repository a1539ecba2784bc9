//! One way through the aliases: bounded in depth and width, never round in a circle, and never
//! twice to the same ends.
use std::collections::HashSet;

use super::{End, LocalError};
use crate::address::{ALIAS_DEPTH, ALIAS_WIDTH, AliasError};

/// One expansion: the names on the way, and what it came to.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) way: Vec<String>,
    pub(super) steps: usize,
    pub(super) ends: Vec<End>,
    /// More ends than this are of no interest.
    pub(super) most: Option<usize>,
    /// Aliases of the mailboxes before: what they stand for is among the ends.
    pub(super) before: HashSet<String>,
    /// Aliases of the mailbox at hand.
    pub(super) fresh: Vec<String>,
    /// When all that matters is loops: names that are done, which are not walked twice.
    pub(super) done: Option<HashSet<String>>,
}

impl Walk {
    /// Counts a member, so that aliases that double at each level end.
    pub(super) fn step(&mut self, name: &str) -> Result<(), LocalError> {
        self.steps += 1;
        let enough = self.most.is_some_and(|most| self.ends.len() > most);
        if (self.steps > ALIAS_WIDTH || enough) && self.done.is_none() {
            return Err(AliasError::TooMuch(
                self.way.first().map_or(name, String::as_str).to_owned(),
            )
            .into());
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, name: String) -> Result<(), LocalError> {
        let known = self.way.contains(&name);
        self.way.push(name);
        if known {
            return Err(AliasError::Loop(std::mem::take(&mut self.way)).into());
        }
        if self.way.len() > ALIAS_DEPTH {
            return Err(AliasError::TooMuch(self.way.swap_remove(0)).into());
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        match (self.way.pop(), &mut self.done) {
            (Some(name), Some(done)) => drop(done.insert(name)),
            (name, None) => self.fresh.extend(name),
            (None, Some(_)) => {}
        }
    }

    /// Returns whether an alias, of a file or an include file, was followed before.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.before.contains(name) || self.done.as_ref().is_some_and(|done| done.contains(name))
    }

    /// The next mailbox begins. Only now are the aliases of the last one known: within one mailbox
    /// they may come by several ways, and aliases that double have to end.
    pub(super) fn next(&mut self) {
        self.steps = 0;
        self.before.extend(self.fresh.drain(..));
    }

    /// The alias whose members are being read.
    pub(super) fn last(&self) -> Option<&String> {
        self.way.iter().rev().find(|name| !name.starts_with(':'))
    }
}
