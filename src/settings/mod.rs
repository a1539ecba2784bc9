//! What each setting is, and who said so.
//!
//! All sources become [`Assignment`]s of one table of rows ([`keys`]); the last word by [`Layer`]
//! wins, all words are remembered, and every value knows its [`Origin`]. Promise: what a file, a
//! variable or a flag says has the same effect. Refuses unknown names in TOML and `-S` (exit 78,
//! 64) and skips unknown ones in mail.rc, which belong to others.
pub(crate) mod author;
mod files;
pub(crate) mod keys;
mod layers;
mod overrides;
mod provider;
mod secrets;
mod show;
pub(crate) mod toml;
pub(crate) mod value;
mod waiting;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::address::Aliases;
use crate::environment::Host;
use crate::route::url::{self, Parsed, Target};
use crate::text::word;
pub(crate) use files::user_rc;
use keys::Key;
pub(crate) use layers::{Layers, MAX_SIZE};
pub(crate) use overrides::{Override, Overrides, SettingsFiles};
pub(crate) use secrets::secrets_at_hand;
pub(crate) use show::{quote, show};
use value::{Value, expand_home};
pub(crate) use waiting::SECRETS;
pub(crate) use waiting::StoredSettings;

/// Which source a value came from; the later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// Variables of Heirloom mailx in the environment.
    Fallback,
    /// `-X`.
    Startup,
    /// The provider's row.
    Preset,
    /// The system's mail.rc.
    SystemRc,
    /// The user's mail.rc.
    UserRc,
    /// `/etc/smail/config.toml`.
    SystemToml,
    /// The user's `config.toml`, or the file of `--config`.
    UserToml,
    /// The chosen account.
    Account,
    /// `SMAIL_*`.
    Environment,
    /// What a mail that waits was sent with.
    Waiting,
    /// `-S` and `-Y`.
    Set,
    /// A flag of its own.
    Flag,
}

/// Who sets a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The files of settings and what follows from them.
    Files,
    /// Variables.
    Environment,
    /// A mail that waits, of its own run.
    Waiting,
    /// Flags.
    CommandLine,
}

impl Source {
    /// The source of a layer.
    pub(crate) fn of(layer: Layer) -> Self {
        match layer {
            Layer::Fallback | Layer::Environment => Source::Environment,
            Layer::Startup | Layer::Set | Layer::Flag => Source::CommandLine,
            Layer::Waiting => Source::Waiting,
            _ => Source::Files,
        }
    }
}

/// Where a value was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file and its line.
    File(PathBuf, u32),
    /// A variable of the environment.
    Environment(String),
    /// A flag, as it was typed.
    Flag(String),
    /// The row of a provider.
    Preset(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path, line) => write!(f, "{}:{line}", word(&path.display().to_string())),
            Origin::Environment(name) => write!(f, "${}", word(name)),
            Origin::Flag(flag) => f.write_str(&word(flag)),
            Origin::Preset(id) => write!(f, "provider {}", word(id)),
        }
    }
}

/// One thing one source said of one setting.
#[derive(Clone)]
pub(crate) struct Assignment {
    /// The setting.
    pub key: &'static Key,
    /// The host, user@host or address behind the name, in lower case (`smtp-auth-user-HOST`).
    pub suffix: Option<String>,
    /// What it said; `None` unsets.
    pub value: Option<Value>,
    /// Which source it was.
    pub layer: Layer,
    /// Where it stands.
    pub origin: Origin,
}

/// What went wrong with the settings. Every variant exits 78 but those that come from the command
/// line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    /// No setting has this name; the nearest one.
    #[error("unknown setting `{}`", shown_name(.name))]
    Unknown {
        /// As written.
        name: String,
        /// Where.
        origin: Origin,
        /// The nearest known one.
        near: Option<&'static str>,
    },
    /// The value does not fit.
    #[error("{name}: {why}")]
    Value {
        /// The setting.
        name: String,
        /// Where.
        origin: Option<Origin>,
        /// A lowercase fragment.
        why: String,
    },
    /// A file cannot be parsed.
    #[error("{}:{line}: {why}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
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
    },
    /// `-A` names neither an account nor a file that can be read; the accounts there are.
    #[error("unknown account `{}`", crate::text::word(&url::masked(.0)))]
    NoAccount(String, Vec<String>),
    /// The default account does not exist.
    #[error("the account `{name}` does not exist")]
    NoDefaultAccount {
        /// As written.
        name: String,
        /// Where.
        origin: Origin,
    },
    /// Mail would go round in a circle.
    #[error("the sendmail program runs smail again")]
    Circle,
    /// The secret belongs to another server or user. No part of it says what the secret is.
    #[error("cannot log in to {server} as {user}: {secret} {why}")]
    Withheld {
        /// The server.
        server: String,
        /// The user.
        user: String,
        /// The setting that has the secret, and where it stands.
        secret: String,
        /// A lowercase fragment that reads after it: whom it belongs to.
        why: String,
        /// The suffix that a setting with a secret for this login has.
        suffix: String,
    },
    /// The secret of a mail that waits was given to its own run only.
    #[error(
        "cannot log in to {server} as {user}: the password came from {secret} and was not \
        stored"
    )]
    NotKept {
        /// The server.
        server: String,
        /// The user.
        user: String,
        /// The setting that had the secret, and where it was set.
        secret: String,
    },
    /// Nothing says where mail goes.
    #[error("no mail server is set, and no sendmail program was found")]
    NoRoute,
    /// A mailbox cannot be read; where it was said.
    #[error("{name}: {error}")]
    Address {
        /// The setting.
        name: String,
        /// Where.
        origin: Option<Origin>,
        /// What is wrong.
        error: crate::address::AddressError,
    },
}

/// The settings of this run.
pub(crate) struct Settings {
    /// Every word of every source, in order of precedence.
    pub(crate) trail: Vec<Assignment>,
    /// The winners, for names without a suffix.
    winners: BTreeMap<&'static str, usize>,
    /// Names that stand for lists of addresses.
    pub aliases: Aliases,
    /// The account in use.
    pub account: Option<String>,
    /// The provider's row.
    pub preset: Option<crate::providers::Preset>,
    /// `-A` named a file: it is an attachment (GNU mail).
    pub attachment: Option<PathBuf>,
    home: Option<PathBuf>,
    /// Where this user's state lies.
    pub state: Option<PathBuf>,
    pub(crate) host: Host,
    /// This process was started by smail, as its sendmail program.
    pub(crate) nested: bool,
    locale: String,
    /// The system's `config.toml`, where this user may not read it.
    pub(crate) unreadable: Option<PathBuf>,
    /// They are those of a mail that waits.
    pub(crate) waiting: Option<Box<waiting::Waiting>>,
    /// Lowercase fragments for `-v`.
    pub notes: Vec<String>,
    /// Lowercase fragments for standard error.
    pub warnings: Vec<String>,
}

impl Settings {
    /// The text of a setting; lists are joined by commas. `None` when it is not set.
    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        self.value(name).map(text_of)
    }

    /// The text of a setting when it is set to something.
    pub(crate) fn filled(&self, name: &'static str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// Returns whether a setting has the same value in both, secrets included.
    pub(crate) fn agrees(&self, other: &Settings, name: &'static str) -> bool {
        self.value(name) == other.value(name)
    }

    /// Returns whether a switch is on; off when it is not set.
    pub(crate) fn flag(&self, name: &'static str) -> bool {
        matches!(self.value(name), Some(Value::Flag(true)))
    }

    /// The texts of a list; empty when it is not set.
    pub(crate) fn list(&self, name: &'static str) -> Vec<String> {
        match self.value(name) {
            Some(Value::List(list)) => list.clone(),
            Some(Value::Text(text)) if !text.is_empty() => vec![text.clone()],
            _ => Vec::new(),
        }
    }

    /// A path with `~` expanded.
    pub(crate) fn path(&self, name: &'static str) -> Option<PathBuf> {
        self.filled(name).map(|path| self.expand(&path))
    }

    /// Puts the home directory in the place of `~`.
    pub(crate) fn expand(&self, path: &str) -> PathBuf {
        expand_home(path, self.home.as_deref())
    }

    /// The user's home directory.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// A length of time.
    pub(crate) fn time(&self, name: &'static str) -> Option<Duration> {
        match self.value(name)? {
            Value::Time(time) => Some(*time),
            _ => None,
        }
    }

    /// A number of bytes.
    pub(crate) fn size(&self, name: &'static str) -> Option<u64> {
        match self.value(name)? {
            Value::Size(size) => Some(*size),
            _ => None,
        }
    }

    /// Where mail goes by `smtp` or `mta`, when that is set to something.
    pub(crate) fn target(&self, name: &'static str) -> Option<&Parsed<Target>> {
        match self.value(name)? {
            Value::Target(target) if !target.text().is_empty() => Some(target),
            _ => None,
        }
    }

    /// The locale in which failures are explained: `language`, else that of messages.
    pub(crate) fn locale(&self) -> String {
        self.filled("language")
            .unwrap_or_else(|| self.locale.clone())
    }

    /// The provider in use, by its name in the table.
    pub(crate) fn provider(&self) -> Option<&str> {
        self.preset.as_ref().map(|preset| preset.id)
    }

    /// Where the winning value was said.
    pub(crate) fn origin(&self, name: &'static str) -> Option<&Origin> {
        let origin = self.winner(name).map(|a| &a.origin);
        origin.filter(|origin| !matches!(origin, Origin::Flag(flag) if flag.is_empty()))
    }

    /// Returns whether the winning value stands in a file of the system, which one user cannot
    /// change.
    pub(crate) fn is_of_system(&self, name: &'static str) -> bool {
        self.winner(name)
            .is_some_and(|a| matches!(a.layer, Layer::SystemRc | Layer::SystemToml))
    }

    /// These settings as they would be if only some layers had said anything.
    pub(crate) fn only(&self, keep: impl Fn(Layer) -> bool) -> Settings {
        let wanted = |a: &&Assignment| a.layer != Layer::Preset && keep(a.layer);
        let mut settings = self.bare(self.trail.iter().filter(wanted).cloned().collect());
        // A provider that is none has been complained of before.
        let _ = provider::look_up(&mut settings);
        settings
    }

    /// The text of a setting for the chain forms of its name; `None` when it is not set or empty.
    pub(crate) fn chained_text(&self, name: &'static str, chain: &[String]) -> Option<String> {
        self.chained(name, chain)
            .and_then(|a| a.value.as_ref().map(text_of))
            .filter(|text| !text.is_empty())
    }

    pub(crate) fn winner(&self, name: &'static str) -> Option<&Assignment> {
        debug_assert!(
            keys::KEYS.iter().any(|k| k.name == name),
            "{name} is no row"
        );
        self.winners
            .get(name)
            .map(|i| &self.trail[*i])
            .filter(|a| a.value.is_some())
    }

    fn value(&self, name: &'static str) -> Option<&Value> {
        self.winner(name)?.value.as_ref()
    }

    /// The winner among the chain forms of a setting: the most specific suffix that is set, else
    /// the plain name.
    pub(crate) fn chained(&self, name: &'static str, suffixes: &[String]) -> Option<&Assignment> {
        let specific = suffixes.iter().find_map(|suffix| {
            self.trail
                .iter()
                .rev()
                .find(|a| a.key.name == name && a.suffix.as_ref() == Some(suffix))
        });
        specific
            .filter(|a| a.value.is_some())
            .or_else(|| self.winner(name))
    }

    /// Puts a word in below all others, as a provider's row does.
    fn push_preset(&mut self, name: &'static str, value: Value, id: &str) {
        let Some((key, _)) = keys::find(name) else {
            return;
        };
        self.trail.push(Assignment {
            key,
            suffix: None,
            value: Some(value),
            layer: Layer::Preset,
            origin: Origin::Preset(id.to_owned()),
        });
        self.rank();
    }

    /// Settings that hold nothing but these words.
    fn bare(&self, trail: Vec<Assignment>) -> Settings {
        let mut settings = Settings {
            trail,
            winners: BTreeMap::new(),
            aliases: Aliases::default(),
            account: None,
            preset: None,
            attachment: None,
            home: self.home.clone(),
            state: self.state.clone(),
            host: Host::default(),
            nested: self.nested,
            locale: String::new(),
            unreadable: None,
            waiting: None,
            notes: Vec::new(),
            warnings: Vec::new(),
        };
        settings.rank();
        settings
    }

    fn rank(&mut self) {
        self.trail.sort_by_key(|a| a.layer);
        self.winners = self
            .trail
            .iter()
            .enumerate()
            .filter(|(_, a)| a.suffix.is_none())
            .map(|(i, a)| (a.key.name, i))
            .collect();
    }
}

pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Target(target) => target.text().to_owned(),
        Value::Proxy(proxy) => proxy.text().to_owned(),
        Value::Secret(_) => "***".to_owned(),
        Value::List(list) => list.join(", "),
        Value::Flag(on) => on.to_string(),
        Value::Time(time) => time.as_secs_f64().to_string(),
        Value::Size(size) => size.to_string(),
    }
}

/// A name as errors show it, as far as it can be one: `-S 'auth-password s3cret'` and `-S
/// smtps://u:s3cret@h` hold a secret.
pub(crate) fn shown_name(name: &str) -> String {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    match name.find(|c| !fits(c)) {
        None => name.to_owned(),
        Some(end) => format!("{}…", &name[..end]),
    }
}
