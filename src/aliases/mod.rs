//! What local names stand for: the aliases of the settings, files of aliases(5), and the domain for
//! the rest.
//!
//! Promise: nothing is opened before a local name is looked up; programs and files that aliases
//! name are never run or written, and the mail is refused instead, but for `/dev/null`, which drops
//! it for that recipient; files that others may write are refused. Loops, depth and width are
//! bounded as those of [`crate::address::Aliases`], and the time is linear in what is read.
//!
//! A local name is one without a domain, or at `localhost`; one at this host's own name counts
//! where an alias has it. It is asked for in the settings, in the files, and as the alias
//! `default`; what is left gets a domain.
mod check;
mod file;
mod walk;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::address::{Address, AliasError, Mailbox, parse_word};
use crate::files;
use crate::route::resolve::is_program;
use crate::settings::value::expand_home;
use crate::settings::{Origin, Settings};
use file::{Entry, Lines, Member, Table, Unusable};
use walk::Walk;

/// The most of the file with the host's domain, in bytes.
const LONGEST_NAME: u64 = 4096;
/// The alias that stands for every name without one.
const DEFAULT: &str = "default";

/// Why a local name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LocalError {
    /// No alias, and nothing that could give it a domain.
    #[error("`{0}` has no domain, and no alias has this name")]
    Bare(String),
    /// An alias cannot be expanded.
    #[error("{0}")]
    Alias(#[from] AliasError),
    /// An alias of a file that smail cannot follow, or will not.
    #[error("{origin}: alias `{}`: {why}", crate::text::word(.name))]
    Entry {
        /// Its name.
        name: String,
        /// `file:line`.
        origin: String,
        /// A lowercase fragment.
        why: String,
    },
    /// A file cannot be read, or must not be used.
    #[error("{}: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// A lowercase fragment.
        why: String,
        /// The command that mends it.
        cure: Option<String>,
        /// Where it was named, when it was.
        said: Option<String>,
    },
}

/// The local names of this host.
pub(crate) struct Local<'a> {
    settings: &'a Settings,
    guess: bool,
    /// A local program takes the mail, and knows its own names.
    program: bool,
    /// Names of this host, in lower case.
    hosts: Vec<String>,
    /// An alias to `/dev/null` was followed.
    dropped: Cell<bool>,
    table: OnceCell<Result<Table, LocalError>>,
    domain: OnceCell<Option<(String, String)>>,
    included: RefCell<HashMap<PathBuf, Rc<Lines>>>,
    /// Of the settings and of the files: the aliases that were followed to their ends by
    /// [`Local::check_name`].
    sound: RefCell<(HashSet<String>, HashSet<String>)>,
    /// What names of headers became: a head may hold one again and again.
    headers: RefCell<HashMap<String, Option<Address>>>,
}

/// What makes an address local.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bare,
    Localhost,
    /// This host's name: a real domain maybe, so only an alias makes it local.
    Host,
}

/// Where a mailbox ended, and where that was said.
type End = (Mailbox, Option<Rc<str>>);

impl<'a> Local<'a> {
    /// Takes the settings; no file is opened. With `guess` a name without an alias may get this
    /// host's domain, as sendmail gives it; without, only `qualify-domain`.
    pub(crate) fn new(settings: &'a Settings, guess: bool) -> Self {
        let names = [settings.filled("hostname"), settings.host.hostname.clone()];
        let mut hosts = Vec::new();
        for name in names.into_iter().flatten().map(|name| name.to_lowercase()) {
            hosts.extend(name.split_once('.').map(|(short, _)| short.to_owned()));
            hosts.push(name);
        }
        Local {
            settings,
            guess,
            program: is_program(settings),
            hosts,
            dropped: Cell::new(false),
            table: OnceCell::new(),
            domain: OnceCell::new(),
            included: RefCell::default(),
            sound: RefCell::default(),
            headers: RefCell::default(),
        }
    }

    /// Puts into the place of each local name what it stands for, in order and recursively; other
    /// mailboxes stay. What an alias stands for comes once, at its first mention.
    ///
    /// # Errors
    /// [`LocalError`].
    pub(crate) fn expand(&self, list: Vec<Mailbox>) -> Result<Vec<Mailbox>, LocalError> {
        self.finish(self.of_aliases(list)?)
    }

    /// As [`Local::expand`], but only with the aliases of the settings.
    ///
    /// # Errors
    /// [`AliasError`].
    pub(crate) fn of_aliases(&self, list: Vec<Mailbox>) -> Result<Vec<Mailbox>, AliasError> {
        let anybody = !list.is_empty();
        let expanded = self.settings.aliases.expand(list)?;
        // Nothing else than `/dev/null` makes nobody of somebody.
        self.dropped
            .set(self.dropped.get() || anybody && expanded.is_empty());
        Ok(expanded)
    }

    /// Returns whether an alias to `/dev/null` dropped somebody: a list that came to nothing is
    /// then no mistake.
    pub(crate) fn has_dropped(&self) -> bool {
        self.dropped.get()
    }

    /// As [`Local::expand`], for a list in which the aliases of the settings were expanded before.
    ///
    /// # Errors
    /// [`LocalError`].
    pub(crate) fn finish(&self, list: Vec<Mailbox>) -> Result<Vec<Mailbox>, LocalError> {
        // Nothing to look up: a long list is not copied.
        if list
            .iter()
            .all(|mailbox| self.local(&mailbox.address).is_none())
        {
            return Ok(list);
        }
        let mut walk = Walk::default();
        for mailbox in list {
            walk.next();
            self.mailbox(mailbox, true, None, &mut walk)?;
        }
        Ok(walk.ends.into_iter().map(|(mailbox, _)| mailbox).collect())
    }

    /// Returns whether a recipient leads somewhere. Every alias is followed once, however many
    /// recipients are asked about.
    ///
    /// # Errors
    /// [`LocalError`].
    pub(crate) fn check_name(&self, recipient: &Address) -> Result<(), LocalError> {
        let mut sound = self.sound.borrow_mut();
        let list = vec![Mailbox::from(recipient.clone())];
        let list = self.settings.aliases.expand_further(list, &mut sound.0)?;
        let mut walk = Walk {
            before: std::mem::take(&mut sound.1),
            ..Walk::default()
        };
        let mut mailboxes = list.into_iter();
        let outcome = mailboxes.try_for_each(|mailbox| {
            walk.next();
            self.mailbox(mailbox, true, None, &mut walk)
        });
        if outcome.is_ok() {
            walk.next();
        }
        sound.1 = walk.before;
        outcome
    }

    /// What a mailbox of a header becomes, `None` when it stays: a local name whose alias is
    /// exactly one address becomes that address and keeps its display name; any other one gets a
    /// domain where there is one.
    pub(crate) fn header(&self, mailbox: &Mailbox) -> Option<Mailbox> {
        let (_, kind) = self.local(&mailbox.address)?;
        let key = mailbox.address.key();
        let known = self.headers.borrow().get(&key).cloned();
        let address = known.unwrap_or_else(|| {
            let found = self.address_in_header(mailbox, kind);
            self.headers.borrow_mut().insert(key, found.clone());
            found
        })?;
        (address != mailbox.address).then(|| Mailbox {
            name: mailbox.name.clone(),
            address,
        })
    }

    fn address_in_header(&self, mailbox: &Mailbox, kind: Kind) -> Option<Address> {
        // It is over at the second end: a long list is none of a header's.
        let walk = Walk {
            most: Some(1),
            ..Walk::default()
        };
        match self.ends(mailbox, walk).as_deref() {
            Ok([(only, _)]) => Some(only.address.clone()),
            _ if kind == Kind::Host => None,
            _ => self.qualify(mailbox.address.clone()),
        }
    }

    /// Gives a sender's bare name its domain, without asking aliases; `None` when there is none.
    /// Full addresses stay, but those at `localhost`, which mean nothing elsewhere.
    pub(crate) fn qualify(&self, address: Address) -> Option<Address> {
        match self.local(&address) {
            None | Some((_, Kind::Host)) => Some(address),
            Some((_, kind)) => match self.domain() {
                Some((domain, _)) => address.with_domain(&domain).ok(),
                None => (kind == Kind::Localhost).then_some(address),
            },
        }
    }

    /// The mailboxes one ends at, each with the place that says so (`/etc/aliases:12`), for
    /// `sendmail -bv`.
    ///
    /// # Errors
    /// [`LocalError`].
    pub(crate) fn explain(
        &self,
        mailbox: &Mailbox,
    ) -> Result<Vec<(Mailbox, Option<String>)>, LocalError> {
        let ends = self.ends(mailbox, Walk::default())?;
        Ok(ends
            .into_iter()
            .map(|(mailbox, said)| (mailbox, said.map(|said| said.to_string())))
            .collect())
    }

    fn ends(&self, mailbox: &Mailbox, mut walk: Walk) -> Result<Vec<End>, LocalError> {
        self.mailbox(mailbox.clone(), false, None, &mut walk)?;
        Ok(walk.ends)
    }

    /// The name of a local address as it is looked up in the settings, and why it is local.
    fn local(&self, address: &Address) -> Option<(String, Kind)> {
        let kind = match address.domain() {
            None => Kind::Bare,
            Some(domain) => {
                let domain = domain.to_lowercase();
                match domain.as_str() {
                    "localhost" | "localhost.localdomain" => Kind::Localhost,
                    host if self.hosts.iter().any(|name| name == host) => Kind::Host,
                    _ => return None,
                }
            }
        };
        Some((address.local().trim_matches('"').to_owned(), kind))
    }

    /// Follows one mailbox. `asked`: the aliases of the settings do not have this bare name, or
    /// named it themselves.
    fn mailbox(
        &self,
        mailbox: Mailbox,
        asked: bool,
        said: Option<Rc<str>>,
        walk: &mut Walk,
    ) -> Result<(), LocalError> {
        walk.step(mailbox.address.local())?;
        let Some((name, kind)) = self.local(&mailbox.address) else {
            walk.ends.push((mailbox, said));
            return Ok(());
        };
        let key = file::key(&name);
        if !(asked && kind == Kind::Bare) && self.settings.aliases.origin(&name).is_some() {
            return self.of_settings(&name, walk);
        }
        let table = self.table()?;
        if let Some(entry) = table.entries.get(&key) {
            return self.entry(&key, entry, walk);
        }
        if kind == Kind::Host || walk.way.iter().any(|name| name == DEFAULT) {
            return self.end(mailbox, kind, said, walk);
        }
        if let Some(entry) = table.entries.get(DEFAULT) {
            return self.entry(DEFAULT, entry, walk);
        }
        if self.settings.aliases.origin(DEFAULT).is_some() {
            walk.enter(DEFAULT.to_owned())?;
            self.of_settings(DEFAULT, walk)?;
            walk.leave();
            return Ok(());
        }
        self.end(mailbox, kind, said, walk)
    }

    /// Follows a name that the aliases of the settings have.
    fn of_settings(&self, name: &str, walk: &mut Walk) -> Result<(), LocalError> {
        let aliases = &self.settings.aliases;
        let said: Option<Rc<str>> = aliases.origin(name).map(Rc::from);
        let start = Address::parse(name).map_err(|error| AliasError::Member {
            name: name.to_owned(),
            origin: said.as_deref().unwrap_or_default().to_owned(),
            error,
        })?;
        for mailbox in aliases.expand(vec![Mailbox::from(start)])? {
            self.mailbox(mailbox, true, said.clone(), walk)?;
        }
        Ok(())
    }

    /// Follows the members of an alias of a file.
    fn entry(&self, name: &str, entry: &Entry, walk: &mut Walk) -> Result<(), LocalError> {
        if walk.knows(name) {
            return Ok(());
        }
        walk.enter(name.to_owned())?;
        let value = entry
            .value
            .as_ref()
            .map_err(|why| refused(name, &entry.origin, why))?;
        for piece in file::pieces(value) {
            self.member(piece, name, &entry.origin, walk)?;
        }
        walk.leave();
        Ok(())
    }

    fn member(
        &self,
        piece: &str,
        name: &str,
        said: &Rc<str>,
        walk: &mut Walk,
    ) -> Result<(), LocalError> {
        let wrong = |error| AliasError::Member {
            name: name.to_owned(),
            origin: said.to_string(),
            error,
        };
        match Member::read(piece) {
            Member::Refused(why) => Err(refused(name, said, why)),
            Member::Nowhere => {
                self.dropped.set(true);
                Ok(())
            }
            Member::Final(name) => {
                walk.step(&name)?;
                let mailbox = Mailbox::parse(&name).map_err(wrong)?;
                let kind = self
                    .local(&mailbox.address)
                    .map_or(Kind::Host, |(_, kind)| kind);
                self.end(mailbox, kind, Some(said.clone()), walk)
            }
            Member::Mailboxes(text) => {
                for mailbox in parse_word(&text).map_err(wrong)? {
                    match self.local(&mailbox.address) {
                        // A name among its own members is the mailbox itself.
                        Some((own, kind)) if walk.last() == Some(&file::key(&own)) => {
                            self.end(mailbox, kind, Some(said.clone()), walk)?;
                        }
                        _ => self.mailbox(mailbox, false, Some(said.clone()), walk)?,
                    }
                }
                Ok(())
            }
            Member::Include(path) => {
                walk.step(name)?;
                let included = format!(":include:{}", path.display());
                if walk.knows(&included) {
                    return Ok(());
                }
                walk.enter(included)?;
                for (line, text) in self.include(&path, said)?.iter() {
                    let said: Rc<str> = format!("{}:{line}", path.display()).into();
                    for piece in file::pieces(text) {
                        self.member(piece, name, &said, walk)?;
                    }
                }
                walk.leave();
                Ok(())
            }
        }
    }

    /// The lines of an include file, which is opened once.
    fn include(&self, path: &Path, said: &Rc<str>) -> Result<Rc<Lines>, LocalError> {
        if let Some(lines) = self.included.borrow().get(path) {
            return Ok(lines.clone());
        }
        let lines =
            file::include(path).map_err(|why| unusable(path, why, Some(said.to_string())))?;
        let lines = Rc::new(lines);
        self.included
            .borrow_mut()
            .insert(path.to_owned(), lines.clone());
        Ok(lines)
    }

    /// The end of the way for a name without an alias.
    fn end(
        &self,
        mailbox: Mailbox,
        kind: Kind,
        said: Option<Rc<str>>,
        walk: &mut Walk,
    ) -> Result<(), LocalError> {
        let domain = if kind == Kind::Host {
            None
        } else {
            self.domain()
        };
        let end = match domain.map(|(domain, by)| (mailbox.address.with_domain(&domain), by)) {
            Some((Ok(address), by)) => (
                Mailbox {
                    name: mailbox.name,
                    address,
                },
                said.or_else(|| Some(by.into())),
            ),
            _ if kind != Kind::Bare || self.program => (mailbox, said),
            _ => return Err(LocalError::Bare(mailbox.address.to_string())),
        };
        walk.ends.push(end);
        Ok(())
    }

    /// The domain of local names, and who says so.
    fn domain(&self) -> Option<(String, String)> {
        self.domain.get_or_init(|| self.find_domain()).clone()
    }

    fn find_domain(&self) -> Option<(String, String)> {
        let origin = || {
            self.settings
                .origin("qualify-domain")
                .map(Origin::to_string)
                .unwrap_or_default()
        };
        if let Some(domain) = self.settings.filled("qualify-domain") {
            return Some((domain, origin()));
        }
        if !self.guess || self.program {
            return None;
        }
        let sound = |domain: &String| Address::parse(&format!("root@{domain}")).is_ok();
        let mailname = self.settings.host.mailname.as_ref();
        let first_line = |path: &PathBuf| {
            let text = String::from_utf8(files::read(path, LONGEST_NAME).ok()?.0).ok()?;
            Some((
                text.lines().next()?.trim().to_owned(),
                path.display().to_string(),
            ))
        };
        let host = [
            self.settings.filled("hostname"),
            self.settings.host.hostname.clone(),
        ];
        let host = host
            .into_iter()
            .flatten()
            .find(|name| name.contains('.') && sound(name));
        mailname
            .and_then(first_line)
            .filter(|(d, _)| sound(d))
            .or_else(|| Some((host?, "the name of this host".to_owned())))
    }

    /// The files, each with where it was named; the host's own one only where no local program
    /// reads it itself.
    fn files(&self) -> Vec<(PathBuf, Option<String>)> {
        match self.settings.origin("aliases-file") {
            Some(origin) => {
                let expand = |path: &String| expand_home(path, self.settings.home());
                let named = self.settings.list("aliases-file");
                named
                    .iter()
                    .filter(|p| !p.is_empty())
                    .map(|path| (expand(path), Some(origin.to_string())))
                    .collect()
            }
            None if self.program => Vec::new(),
            None => self
                .settings
                .host
                .aliases
                .iter()
                .map(|path| (path.clone(), None))
                .collect(),
        }
    }

    fn table(&self) -> Result<&Table, LocalError> {
        let read = || {
            let mut table = Table::default();
            for (path, said) in self.files() {
                match table.read(&path) {
                    Ok(()) => {}
                    Err(why) if why.missing && said.is_none() => {}
                    Err(why) => return Err(unusable(&path, why, said)),
                }
            }
            Ok(table)
        };
        self.table.get_or_init(read).as_ref().map_err(Clone::clone)
    }
}

fn refused(name: &str, origin: &str, why: &str) -> LocalError {
    LocalError::Entry {
        name: name.to_owned(),
        origin: origin.to_owned(),
        why: why.to_owned(),
    }
}

fn unusable(path: &Path, why: Unusable, said: Option<String>) -> LocalError {
    LocalError::File {
        path: path.to_owned(),
        why: why.why,
        cure: why.cure,
        said,
    }
}

#[cfg(test)]
mod tests;
