//! Names that stand for lists of addresses.
use std::collections::{BTreeMap, HashSet};

use super::{AddressError, Mailbox, parse_word};

/// How deep an alias may lead to an alias, as in Heirloom mailx.
pub const ALIAS_DEPTH: usize = 25;
/// How many mailboxes an expansion may yield; stops aliases that double at each level.
pub const ALIAS_WIDTH: usize = 100_000;
/// The member of an alias that drops the mail for it.
pub const NOWHERE: &str = "/dev/null";

/// Names that stand for lists of addresses (`alias` of mail.rc, `[aliases]` of TOML). Names are
/// case-sensitive.
#[derive(Debug, Clone, Default)]
pub struct Aliases(BTreeMap<String, Vec<(String, String)>>);

/// Why a name cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// The alias leads back to itself: the names on the way.
    #[error("the alias `{}` refers to itself: {}", .0.first().map_or("", String::as_str), .0.join(" -> "))]
    Loop(Vec<String>),
    /// Aliases are nested too deeply or yield too many addresses.
    #[error("the alias `{0}` expands to more than {ALIAS_DEPTH} levels or {ALIAS_WIDTH} addresses")]
    TooMuch(String),
    /// A member is no address: the alias, where it was said, and why.
    #[error("alias `{name}` ({origin}): {error}")]
    Member {
        /// The alias.
        name: String,
        /// Where it was said: `file:line`.
        origin: String,
        /// What is wrong.
        error: AddressError,
    },
}

impl Aliases {
    /// Adds members to a name; lines for the same name append. `origin` says where, for errors.
    pub fn add(&mut self, name: &str, members: impl IntoIterator<Item = String>, origin: &str) {
        let members = members.into_iter().map(|m| (m, origin.to_owned()));
        self.0.entry(name.to_owned()).or_default().extend(members);
    }

    /// Forgets a name.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The names with their members, for `--show-settings`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, String, &str)> {
        self.0.iter().map(|(name, members)| {
            let origin = members.first().map_or("", |m| m.1.as_str());
            (
                name.as_str(),
                members
                    .iter()
                    .map(|m| m.0.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                origin,
            )
        })
    }

    /// Where a name was said first; `None` when it is no alias.
    pub fn origin(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|members| members.first().map_or("", |m| m.1.as_str()))
    }

    /// Puts the members of an alias in the place of its name, in order; a name that is none stays,
    /// and so does one that names itself among its members. What an alias stands for comes once, at
    /// the first mention of the alias: strangers may name it again and again.
    ///
    /// # Errors
    /// [`AliasError`].
    pub fn expand(&self, list: Vec<Mailbox>) -> Result<Vec<Mailbox>, AliasError> {
        self.expand_further(list, &mut HashSet::new())
    }

    /// As [`Aliases::expand`], for a list that comes in parts: `done` holds the aliases whose
    /// members came before.
    ///
    /// # Errors
    /// [`AliasError`].
    pub fn expand_further(
        &self,
        list: Vec<Mailbox>,
        done: &mut HashSet<String>,
    ) -> Result<Vec<Mailbox>, AliasError> {
        // No alias among them: a long list is not copied.
        if list.iter().all(|mailbox| self.of(mailbox).is_none()) {
            return Ok(list);
        }
        let mut expansion = Expansion {
            aliases: self,
            way: Vec::new(),
            most: 0,
            out: Vec::new(),
            fresh: Vec::new(),
        };
        expansion.out.reserve(list.len());
        for mailbox in list {
            expansion.most = expansion.out.len().saturating_add(ALIAS_WIDTH);
            expansion.one(mailbox, done)?;
            // Only now: within one mailbox an alias may come by several ways, and aliases that
            // double have to end.
            done.extend(expansion.fresh.drain(..));
        }
        Ok(expansion.out)
    }

    /// The members of the alias that a mailbox names, each with its origin.
    fn of(&self, mailbox: &Mailbox) -> Option<&Vec<(String, String)>> {
        if mailbox.address.is_bare() {
            self.0.get(mailbox.address.local())
        } else {
            None
        }
    }
}

/// A list that is being expanded.
struct Expansion<'a> {
    aliases: &'a Aliases,
    /// The aliases on the way to the mailbox at hand.
    way: Vec<String>,
    most: usize,
    out: Vec<Mailbox>,
    /// The aliases of the mailbox at hand.
    fresh: Vec<String>,
}

impl Expansion<'_> {
    fn one(&mut self, mailbox: Mailbox, done: &HashSet<String>) -> Result<(), AliasError> {
        let name = mailbox.address.local();
        let members = self.aliases.of(&mailbox);
        let Some(members) = members.filter(|_| self.way.last().is_none_or(|last| last != name))
        else {
            self.out.push(mailbox);
            return Ok(());
        };
        if done.contains(name) {
            return Ok(());
        }
        self.way.push(name.to_owned());
        if self.way.iter().collect::<HashSet<_>>().len() < self.way.len() {
            return Err(AliasError::Loop(std::mem::take(&mut self.way)));
        }
        if self.way.len() > ALIAS_DEPTH || self.out.len() > self.most {
            return Err(AliasError::TooMuch(self.way[0].clone()));
        }
        for (member, origin) in members
            .iter()
            .filter(|(member, _)| member.trim() != NOWHERE)
        {
            let parsed = parse_word(member).map_err(|error| AliasError::Member {
                name: name.to_owned(),
                origin: origin.clone(),
                error,
            })?;
            for mailbox in parsed {
                self.one(mailbox, done)?;
            }
        }
        self.fresh.extend(self.way.pop());
        Ok(())
    }
}
