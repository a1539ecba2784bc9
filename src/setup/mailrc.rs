//! Turns a mail.rc into TOML, and says of every line what becomes of it.
//!
//! Promise: the mail.rc is left alone; what it says means the same afterwards, or the line that
//! does not is named with the reason. No value is shown. Passwords leave it for the place that is
//! chosen.
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::account::{Setting, Value};
use super::messages::{self, Messages};
use super::questions::{choose_store, yes};
use super::secret_store::{SecretStore, StoredSecret, free_file};
use super::write::Target;
use super::{Done, Place, Prompter, SetupError, SetupOptions};
use crate::language::Sentence;
use crate::mailrc::mailx_names::REFUSED;
use crate::mailrc::{Item, Place as Line, RcFile};
use crate::route::url;
use crate::secret::Secret;
use crate::settings::keys::{self, Kind};
use crate::settings::quote;
use crate::settings::value::{self, Raw};
use crate::text::word;

/// What there is to turn.
pub(crate) struct Before<'a> {
    /// The mail.rc.
    pub path: &'a Path,
    /// What it says.
    pub read: &'a RcFile,
    /// Where mail goes by it, and where it would go by this text in its stead.
    pub routes: &'a dyn Fn(&str) -> (String, String),
}

/// A part of the file: what stands at its top, or an account.
#[derive(Default)]
struct Part {
    said: Vec<(Setting, usize)>,
    secrets: Vec<(String, Secret)>,
}

/// A conversion under way.
pub(super) struct Conversion<'a> {
    prompter: &'a mut dyn Prompter,
    messages: Messages,
    options: &'a SetupOptions,
    place: &'a Place,
    before: &'a Before<'a>,
    /// What is said of each line, in their order.
    notes: Vec<String>,
    /// The name of the account (none: the top) and what it says.
    parts: Vec<(Option<String>, Part)>,
    aliases: BTreeMap<String, Vec<String>>,
}

impl<'a> Conversion<'a> {
    /// Begins one.
    pub(super) fn new(
        prompter: &'a mut dyn Prompter,
        messages: Messages,
        options: &'a SetupOptions,
        place: &'a Place,
        before: &'a Before<'a>,
    ) -> Self {
        let parts = vec![(None, Part::default())];
        Conversion {
            prompter,
            messages,
            options,
            place,
            before,
            notes: Vec::new(),
            parts,
            aliases: BTreeMap::new(),
        }
    }

    /// Reads, shows, asks and writes; `None` when there is nothing to turn, or it was not wanted.
    pub(super) fn run(mut self) -> Result<Option<Done>, SetupError> {
        let target = Target::look(&self.place.config)?;
        if !target.is_new() {
            return Err(SetupError::Exists(self.place.config.clone()));
        }
        let rc = self.place.shown(self.before.path);
        self.items(&self.before.read.items.clone(), 0);
        let read = self.before.read;
        for (line, why) in read.warnings.iter().chain(&read.notes) {
            self.note(line, "", messages::RC_WRONG, &[why]);
        }
        if self
            .parts
            .iter()
            .all(|(_, part)| part.said.is_empty() && part.secrets.is_empty())
            && self.aliases.is_empty()
        {
            self.prompter
                .say(&self.messages.of(messages::RC_EMPTY, &[&rc]));
            return Ok(None);
        }
        self.prompter
            .say(&self.messages.of(messages::RC_READ, &[&rc]));
        for note in std::mem::take(&mut self.notes) {
            self.prompter.say(&note);
        }
        let stored = self.choose_stores()?;
        let (shown, whole) = (
            self.text(&rc, &stored, false),
            self.text(&rc, &stored, true),
        );
        let whole = target.with(&whole)?;
        self.say_routes(&shown);
        self.prompter.say(
            &shown
                .lines()
                .map(|line| format!("  {line}").trim_end().to_owned())
                .collect::<Vec<_>>()
                .join("\n"),
        );
        let config = self.place.shown(&self.place.config);
        let question = self.messages.of(messages::RC_WRITE, &[&config]);
        if !self.options.yes && !yes(self.prompter, self.messages, &question, true)? {
            return Err(SetupError::GivenUp);
        }
        let stored: Vec<StoredSecret> = stored.into_iter().map(|(.., stored)| stored).collect();
        target.commit(&whole, &stored)?;
        self.prompter
            .say(&self.messages.of(messages::RC_LEFT, &[&rc, &config]));
        Ok(Some(Done {
            address: String::new(),
            account: None,
            config,
            shown,
            first_mail: false,
            secret: None,
        }))
    }

    fn items(&mut self, items: &[Item], part: usize) {
        for item in items {
            match item {
                // What nobody knows may be a part of a password before it.
                Item::Set {
                    name,
                    behind: true,
                    place,
                    ..
                } if !keys::is_known(name) => {
                    self.note(place, "", messages::RC_UNKNOWN, &[]);
                }
                Item::Set {
                    name, value, place, ..
                } => self.set(name, value.as_deref(), place, part),
                Item::Unset { name, place } => self.unset(name, place, part),
                Item::Alias {
                    name,
                    members,
                    place,
                } => {
                    self.aliases
                        .entry(name.clone())
                        .or_default()
                        .extend(members.iter().cloned());
                    self.note(place, &format!("alias {name}"), messages::RC_ALIAS, &[]);
                }
                Item::Unalias { names, place } => {
                    self.aliases
                        .retain(|alias, _| !names.iter().any(|name| name == alias || name == "*"));
                    self.note(place, "unalias", messages::RC_GONE, &[]);
                }
                Item::Account { name, items, place } => {
                    self.note(
                        place,
                        &format!("account {name}"),
                        messages::RC_ACCOUNT,
                        &[name],
                    );
                    let known = self
                        .parts
                        .iter()
                        .position(|(part, _)| part.as_ref() == Some(name));
                    let at = known.unwrap_or(self.parts.len());
                    if known.is_none() {
                        self.parts.push((Some(name.clone()), Part::default()));
                    }
                    self.items(items, at);
                }
                Item::UseAccount { name, place } => {
                    self.note(
                        place,
                        &format!("account {name}"),
                        messages::RC_CHOICE,
                        &[name],
                    );
                    self.push(Setting::new("account", name), part);
                }
            }
        }
    }

    fn set(&mut self, name: &str, text: Option<&str>, line: &Line, part: usize) {
        let Some((key, suffix)) = keys::find(name) else {
            return self.drop_unknown(name, line);
        };
        let raw = text.map_or(Raw::Flag(true), |text| Raw::Text(text.to_owned()));
        let checked = match value::check(key, raw) {
            Ok(checked) => checked,
            Err(why) => return self.note(line, name, messages::RC_WRONG, &[&why]),
        };
        let new = suffix.map_or_else(
            || key.name.to_owned(),
            |suffix| format!("{}-{suffix}", key.name),
        );
        if key.kind == Kind::Secret {
            let suffix = suffix
                .map(|suffix| format!("-{suffix}"))
                .unwrap_or_default();
            self.secret(suffix, text.unwrap_or_default(), part);
            return self.note(line, name, messages::RC_SECRET, &[]);
        }
        let value = match (checked, text) {
            (value::Value::Flag(on), _) => Value::Flag(on),
            (_, None) => Value::Flag(true),
            (checked, Some(text)) => self.url(checked, text, part),
        };
        let moved = matches!((&value, text), (Value::Text(new), Some(old)) if new != old);
        self.push(
            Setting {
                name: new.clone(),
                value,
            },
            part,
        );
        match suffix {
            _ if moved => self.note(line, name, messages::RC_URL, &[]),
            Some(suffix) => self.note(line, name, messages::RC_SUFFIX, &[suffix]),
            None if key.name == name => self.note(line, name, messages::RC_SAME, &[]),
            None => self.note(line, name, messages::RC_RENAMED, &[&new]),
        }
    }

    /// The value of a setting that may be a URL: its password goes where the others go.
    fn url(&mut self, value: value::Value, text: &str, part: usize) -> Value {
        let target = match value {
            value::Value::Target(target) if url::has_password(text) => target,
            value::Value::Proxy(_) if url::has_password(text) => {
                return Value::Secret(Secret::new(text));
            }
            _ => return Value::Text(text.to_owned()),
        };
        match target.server().and_then(|server| server.password.as_ref()) {
            Some(password) => {
                self.secret(String::new(), password, part);
                Value::Text(url::without_password(text).unwrap_or_default())
            }
            None => Value::Secret(Secret::new(text)),
        }
    }

    fn unset(&mut self, name: &str, line: &Line, part: usize) {
        let Some((key, suffix)) = keys::find(name) else {
            return self.drop_unknown(name, line);
        };
        let old = suffix.map_or_else(
            || key.name.to_owned(),
            |suffix| format!("{}-{suffix}", key.name),
        );
        let secrets = suffix
            .map(|suffix| format!("-{suffix}"))
            .unwrap_or_default();
        if let Some((_, part)) = self.parts.get_mut(part) {
            part.said.retain(|(said, _)| said.name != old);
            if key.kind == Kind::Secret {
                part.secrets.retain(|(suffix, _)| *suffix != secrets);
            }
        }
        if key.kind == Kind::Flag {
            self.push(
                Setting {
                    name: old,
                    value: Value::Flag(false),
                },
                part,
            );
        }
        self.note(line, &format!("unset {name}"), messages::RC_OFF, &[]);
    }

    fn drop_unknown(&mut self, name: &str, line: &Line) {
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            return self.note(line, name, messages::RC_WRONG, &[why]);
        }
        if keys::is_known(name) {
            return self.note(line, name, messages::RC_READING, &[]);
        }
        let near = keys::nearest(name);
        let name = &crate::settings::shown_name(name);
        match near {
            Some(near) => self.note(line, name, messages::RC_UNKNOWN_NEAR, &[near]),
            None => self.note(line, name, messages::RC_UNKNOWN, &[]),
        }
    }

    /// Adds a setting; what was said of it before is dropped, as mail.rc does.
    fn push(&mut self, said: Setting, part: usize) {
        let again = self.messages.of(messages::RC_AGAIN, &[]);
        let note = self.notes.len();
        let Some((_, part)) = self.parts.get_mut(part) else {
            return;
        };
        if let Some(at) = part.said.iter().position(|(old, _)| old.name == said.name) {
            let (_, old) = part.said.remove(at);
            if let Some(text) = self.notes.get_mut(old) {
                let head = text
                    .split_once(": ")
                    .map_or("", |(head, _)| head)
                    .to_owned();
                *text = format!("{head}: {again}");
            }
        }
        part.said.push((said, note));
    }

    fn secret(&mut self, suffix: String, text: &str, part: usize) {
        let Some((_, part)) = self.parts.get_mut(part) else {
            return;
        };
        part.secrets.retain(|(old, _)| *old != suffix);
        if !text.is_empty() {
            part.secrets.push((suffix, Secret::new(text)));
        }
    }

    fn note(&mut self, line: &Line, name: &str, text: Sentence, facts: &[&str]) {
        let place = if line.path.as_ref() == self.before.path {
            line.line.to_string()
        } else {
            format!("{}:{}", word(&self.place.shown(&line.path)), line.line)
        };
        let name = word(name);
        let gap = if name.is_empty() { "" } else { " " };
        self.notes.push(format!(
            "  {place}{gap}{name}: {}",
            self.messages.of(text, facts)
        ));
    }

    /// Where each password goes: its part, its suffix, and the place.
    fn choose_stores(&mut self) -> Result<Vec<(usize, String, StoredSecret)>, SetupError> {
        let mut all = Vec::new();
        for (at, (name, part)) in self.parts.iter().enumerate() {
            for (suffix, secret) in &part.secrets {
                let text = |name: &str| match part.said.iter().find(|(said, _)| said.name == name) {
                    Some((
                        Setting {
                            value: Value::Text(text),
                            ..
                        },
                        _,
                    )) => Some(text.clone()),
                    _ => None,
                };
                let host = text("smtp").and_then(|smtp| match url::parse(&smtp) {
                    Ok(url::Target::Server(server)) => Some(server.host),
                    _ => None,
                });
                let host = host.unwrap_or_else(|| "mail".to_owned());
                let suffixed = suffix.strip_prefix('-').map(str::to_owned);
                let user = suffixed
                    .or_else(|| text("auth-user"))
                    .or_else(|| text("from"))
                    .unwrap_or_default();
                let short = name
                    .as_deref()
                    .or(suffix.strip_prefix('-'))
                    .unwrap_or("mail");
                let short: String = short
                    .chars()
                    .filter(|c| c.is_ascii_alphanumeric() || b"-_.@".contains(&(*c as u8)))
                    .collect();
                let mut file = free_file(&self.place.config, &short);
                if all
                    .iter()
                    .any(|(_, _, stored): &(usize, String, StoredSecret)| stored.file == file)
                {
                    file = free_file(&self.place.config, &format!("{short}-{}", all.len() + 1));
                }
                let stored = StoredSecret {
                    store: SecretStore::File,
                    secret: secret.clone(),
                    host,
                    user,
                    file,
                };
                all.push((at, suffix.clone(), stored));
            }
        }
        if let [(_, _, first), rest @ ..] = all.as_mut_slice() {
            *first = choose_store(
                self.prompter,
                self.messages,
                self.place,
                first.clone(),
                rest.is_empty(),
            )?;
            let store = first.store;
            for (_, _, stored) in rest {
                stored.store = store;
            }
        }
        Ok(all)
    }

    fn text(&self, rc: &str, stored: &[(usize, String, StoredSecret)], reveal: bool) -> String {
        let mut out = format!("# {}\n", self.messages.of(messages::RC_MADE, &[rc]));
        let body = |at: usize, out: &mut String| {
            if let Some((_, part)) = self.parts.get(at) {
                part.said
                    .iter()
                    .for_each(|(said, _)| out.push_str(&said.line(reveal)));
            }
            for (_, suffix, stored) in stored.iter().filter(|(part, ..)| *part == at) {
                match stored.said(self.place, suffix) {
                    Some(said) => out.push_str(&said.line(reveal)),
                    None => {
                        let _ = writeln!(
                            out,
                            "# {}",
                            self.messages.of(messages::COMMENT_ENVIRONMENT, &[])
                        );
                    }
                }
            }
        };
        body(0, &mut out);
        if !self.aliases.is_empty() {
            out.push_str("\n[aliases]\n");
        }
        for (name, members) in &self.aliases {
            let members: Vec<String> = members.iter().map(|member| quote(member)).collect();
            let _ = writeln!(out, "{} = [{}]", quote(name), members.join(", "));
        }
        for (at, (name, _)) in self.parts.iter().enumerate() {
            if let Some(name) = name {
                let _ = writeln!(out, "\n[accounts.{}]", quote(name));
                body(at, &mut out);
            }
        }
        out
    }

    fn say_routes(&mut self, text: &str) {
        let (before, after) = (self.before.routes)(text);
        let line = if before == after {
            self.messages.of(messages::RC_ROUTE, &[&before])
        } else {
            self.messages
                .of(messages::RC_ROUTE_CHANGED, &[&before, &after])
        };
        self.prompter.say(&line);
    }
}
