//! Every mistake in the files of aliases, for `newaliases`: nothing is run, written, or sent.
use std::collections::HashSet;
use std::path::PathBuf;

use super::file::{self, Entry, Member, Table};
use super::{Local, LocalError, Walk};
use crate::address::{AliasError, parse_word};

/// A mistake that `newaliases` finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// A file, or `file:line`.
    pub place: String,
    /// A lowercase fragment.
    pub why: String,
}

impl Local<'_> {
    /// Every mistake in every file, in the order of the lines, for `newaliases`. Runs and writes
    /// nothing.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut table = Table::default();
        let mut problems = Vec::new();
        for (path, said) in self.files() {
            match table.read(&path) {
                Err(unusable) if !(unusable.missing && said.is_none()) => {
                    problems.push(Problem {
                        place: path.display().to_string(),
                        why: unusable.why,
                    });
                }
                _ => {}
            }
        }
        problems.extend(table.strays.iter().map(|(place, why)| Problem {
            place: place.clone(),
            why: why.clone(),
        }));
        let mut included = HashSet::new();
        for (name, entry) in &table.entries {
            self.check_entry(name, entry, &mut included, &mut problems);
        }
        problems.extend(self.check_loops());
        problems.sort_by_cached_key(|problem| {
            let (file, line) = problem
                .place
                .rsplit_once(':')
                .unwrap_or((&problem.place, ""));
            (file.to_owned(), line.parse::<u32>().unwrap_or(0))
        });
        problems.dedup();
        problems
    }

    fn check_entry(
        &self,
        name: &str,
        entry: &Entry,
        included: &mut HashSet<PathBuf>,
        problems: &mut Vec<Problem>,
    ) {
        let mut add = |place: &str, why: &str| {
            let why = format!("`{}`: {why}", crate::text::word(name));
            problems.push(Problem {
                place: place.to_owned(),
                why,
            });
        };
        if name.contains('@') {
            add(&entry.origin, "the name of an alias cannot have a domain");
        }
        match &entry.value {
            Err(why) => add(&entry.origin, why),
            Ok(value) => self.check_members(&entry.origin, value, Some(included), &mut add),
        }
    }

    /// Reads every member; those of an include file too, once, but not of one that an include file
    /// names (`None`).
    fn check_members(
        &self,
        place: &str,
        value: &str,
        mut included: Option<&mut HashSet<PathBuf>>,
        add: &mut dyn FnMut(&str, &str),
    ) {
        for piece in file::pieces(value) {
            match Member::read(piece) {
                Member::Refused(why) => add(place, why),
                Member::Nowhere => {}
                Member::Final(text) | Member::Mailboxes(text) => {
                    let _ = parse_word(&text).map_err(|error| add(place, &error.to_string()));
                }
                Member::Include(path) => match self.include(&path, &place.into()) {
                    Err(error) => add(place, &error.to_string()),
                    Ok(lines)
                        if included
                            .as_mut()
                            .is_some_and(|known| known.insert(path.clone())) =>
                    {
                        for (line, text) in lines.iter() {
                            self.check_members(
                                &format!("{}:{line}", path.display()),
                                text,
                                None,
                                add,
                            );
                        }
                    }
                    Ok(_) => {}
                },
            }
        }
    }

    /// Names that lead back to themselves. Each name is walked once.
    fn check_loops(&self) -> Vec<Problem> {
        let Ok(table) = self.table() else {
            return Vec::new();
        };
        let mut walk = Walk {
            done: Some(HashSet::new()),
            ..Walk::default()
        };
        let mut found = Vec::new();
        for (name, entry) in &table.entries {
            walk.way.clear();
            walk.ends.clear();
            let Err(error) = self.entry(name, entry, &mut walk) else {
                continue;
            };
            // A mistake is one, whichever of the names that lead to it one enters it by.
            let way = std::mem::take(&mut walk.way);
            walk.done.get_or_insert_default().extend(way);
            let LocalError::Alias(error) = error else {
                continue;
            };
            if let (AliasError::Loop(way), Some(done)) = (&error, &mut walk.done) {
                done.extend(way.iter().cloned());
            }
            if !matches!(error, AliasError::Member { .. }) {
                found.push(Problem {
                    place: entry.origin.to_string(),
                    why: error.to_string(),
                });
            }
        }
        found
    }
}
