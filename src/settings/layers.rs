//! Gathers what all sources say, in the order in which they win.
//!
//! Promise: files are opened once, and judged by what was opened. A file that others may write, or
//! a `config.toml` with a secret that others may read, is refused (exit 78); a mail.rc with a
//! secret that others may read gets a warning, as `/etc/mail.rc` is read by all on most systems.
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use super::keys::{self, Kind};
use super::overrides::{Override, Overrides, SettingsFiles};
use super::value::{Raw, Value, check};
use super::{Assignment, Layer, Origin, Settings, SettingsError, text_of};
use crate::address::{Aliases, Mailbox, parse_authors};
use crate::cli::Args;
use crate::environment::{Environment, Host, STARTED_BY_SMAIL};
use crate::mailrc::{self, mailx_names};

/// Variables that Heirloom mailx reads as settings and that no other program means (their names
/// cannot be set by a shell).
const FALLBACK: &[&str] = &[
    "smtp-auth-user",
    "smtp-auth-password",
    "smtp-auth",
    "smtp-use-starttls",
];
/// As above, but only where the caller isolates mailx from the rc files, as they are common names.
const FALLBACK_ISOLATED: &[&str] = &["from", "smtp", "sender", "replyto"];
/// Variables of the environment that mailx programs know.
const KNOWN_VARIABLES: &[(&str, &str)] = &[
    ("NETRC", "netrc"),
    ("DEAD", "dead-letter"),
    ("ORGANIZATION", "organization"),
];

/// The largest text or mail that is read, where `max-size` does not say otherwise.
pub(crate) const MAX_SIZE: u64 = 64 << 20;
/// How many unknown names of mail.rc files are noted; each is compared with every known one.
const MOST_UNKNOWN: usize = 100;

/// The variable of systemd that names the directory of the credentials of a service
/// (systemd.exec(5)).
pub(super) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// All that was said, before an account is chosen.
pub(crate) struct Layers {
    pub(super) assignments: Vec<Assignment>,
    pub(super) accounts: BTreeMap<String, Vec<Assignment>>,
    pub(super) aliases: Aliases,
    /// The account that the files choose, and where.
    default_account: Option<(String, Origin)>,
    account: Option<String>,
    attachment: Option<PathBuf>,
    pub(super) home: Option<PathBuf>,
    /// Where this user's state lies.
    state: Option<PathBuf>,
    /// Where systemd put the credentials of this service.
    credentials: Option<PathBuf>,
    host: Host,
    nested: bool,
    /// The locale of messages.
    locale: String,
    /// The system's `config.toml`, where this user may not read it.
    pub(super) unreadable: Option<PathBuf>,
    pub(super) notes: Vec<String>,
    warnings: Vec<String>,
    /// Names of mail.rc files that are unknown.
    unknown: usize,
    dialect: mailrc::Dialect,
}

impl Layers {
    /// Reads every source for a command line.
    ///
    /// # Errors
    /// [`SettingsError`]: the first thing that cannot stand.
    pub(crate) fn load(args: &Args, env: &Environment) -> Result<Self, SettingsError> {
        Layers::read(&Overrides::of(args), env)
    }

    /// Reads every source.
    ///
    /// # Errors
    /// As [`Layers::load`].
    pub(crate) fn read(overrides: &Overrides, env: &Environment) -> Result<Self, SettingsError> {
        let mut layers = Layers::bare(
            env.home.clone(),
            env.state.first().cloned(),
            env.host.clone(),
        );
        layers.nested = env.variable(STARTED_BY_SMAIL).is_some();
        layers.credentials = env.variable(CREDENTIALS).map(PathBuf::from);
        env.locale().clone_into(&mut layers.locale);
        layers.fallback(&overrides.files, env)?;
        for line in &overrides.first_lines {
            layers.line(line, "-X", Layer::Startup, env)?;
        }
        if !overrides.files.none {
            layers.rc_files(&overrides.files, env)?;
            layers.toml_files(&overrides.files, env)?;
        }
        layers.environment(env)?;
        for line in &overrides.last_lines {
            layers.line(line, "-Y", Layer::Set, env)?;
        }
        for one in &overrides.settings {
            layers.set(one)?;
        }
        layers.choose(overrides.account.as_deref())?;
        Ok(layers)
    }

    /// The names of the accounts that the files have.
    pub(crate) fn account_names(&self) -> Vec<String> {
        self.accounts.keys().cloned().collect()
    }

    /// The largest text that may be read, needed before the settings are resolved.
    pub(crate) fn max_size(&self) -> u64 {
        let sizes = self.assignments.iter().filter(|a| a.key.name == "max-size");
        match sizes.max_by_key(|a| a.layer).and_then(|a| a.value.as_ref()) {
            Some(Value::Size(size)) => *size,
            _ => MAX_SIZE,
        }
    }

    /// Applies the account: the one chosen by `-A`, else the one whose `from` is the address of one
    /// of the authors (those that a template or a caller of sendmail names), else the default one.
    /// Then looks the provider up.
    ///
    /// # Errors
    /// [`SettingsError::NoDefaultAccount`].
    pub(crate) fn resolve(&self, authors: &[Mailbox]) -> Result<Settings, SettingsError> {
        let account = match &self.account {
            Some(name) => Some(name.clone()),
            None => self.account_of(authors).or(self.default_account()?),
        };
        let mut trail = self.assignments.clone();
        if let Some(assignments) = account.as_ref().and_then(|name| self.accounts.get(name)) {
            trail.extend(assignments.iter().cloned());
        }
        trail.extend(self.credential(account.as_deref()));
        let mut settings = Settings {
            trail,
            winners: BTreeMap::new(),
            aliases: self.aliases.clone(),
            account,
            preset: None,
            attachment: self.attachment.clone(),
            home: self.home.clone(),
            state: self.state.clone(),
            host: self.host.clone(),
            nested: self.nested,
            locale: self.locale.clone(),
            unreadable: self.unreadable.clone(),
            waiting: None,
            notes: self.notes.clone(),
            warnings: self.warnings.clone(),
        };
        settings.rank();
        super::provider::look_up(&mut settings)?;
        Ok(settings)
    }

    /// The password that systemd hands to this service for an account: `smail.ACCOUNT`, or `smail`
    /// without one. It is weaker than what is set, and is opened when somebody logs in.
    fn credential(&self, account: Option<&str>) -> Option<Assignment> {
        let name = match account {
            // It is a file in one directory.
            Some(account) if account.contains('/') => return None,
            Some(account) => format!("smail.{account}"),
            None => "smail".to_owned(),
        };
        let path = self.credentials.as_ref()?.join(&name);
        let (key, _) = keys::find("auth-password-file")?;
        path.is_file().then(|| Assignment {
            key,
            suffix: None,
            value: Some(Value::Text(path.to_string_lossy().into_owned())),
            layer: Layer::Fallback,
            origin: Origin::Environment(format!("{CREDENTIALS}/{name}")),
        })
    }

    /// The names of the accounts.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str)
    }

    /// The same sources for a mail of another time: what was said, without what was chosen.
    pub(super) fn again(&self, account: Option<&str>) -> Layers {
        Layers {
            assignments: self.assignments.clone(),
            accounts: self.accounts.clone(),
            credentials: self.credentials.clone(),
            account: account.map(str::to_owned),
            nested: self.nested,
            locale: self.locale.clone(),
            unreadable: self.unreadable.clone(),
            ..Layers::bare(self.home.clone(), self.state.clone(), self.host.clone())
        }
    }

    /// Nothing said yet.
    fn bare(home: Option<PathBuf>, state: Option<PathBuf>, host: Host) -> Layers {
        Layers {
            assignments: Vec::new(),
            accounts: BTreeMap::new(),
            aliases: Aliases::default(),
            default_account: None,
            account: None,
            attachment: None,
            home,
            state,
            credentials: None,
            host,
            nested: false,
            locale: String::new(),
            unreadable: None,
            notes: Vec::new(),
            warnings: Vec::new(),
            unknown: 0,
            dialect: mailrc::Dialect::Old,
        }
    }

    /// The account whose From address is that of an author, the first that has one; or of the From
    /// that the command line named.
    fn account_of(&self, authors: &[Mailbox]) -> Option<String> {
        let named = self
            .assignments
            .iter()
            .filter(|a| a.key.name == "from" && a.layer >= Layer::Environment)
            .max_by_key(|a| a.layer);
        let named = named.and_then(|a| first_address(a.value.as_ref()?));
        let named = if authors.is_empty() { named } else { None };
        let of = |list: &[Assignment]| {
            list.iter()
                .rev()
                .find(|a| a.key.name == "from")
                .and_then(|a| first_address(a.value.as_ref()?))
        };
        let account = |wanted: String| {
            self.accounts
                .iter()
                .find(|(_, list)| of(list).as_ref() == Some(&wanted))
        };
        authors
            .iter()
            .map(|m| m.address.key())
            .chain(named)
            .find_map(account)
            .map(|(name, _)| name.clone())
    }

    fn default_account(&self) -> Result<Option<String>, SettingsError> {
        let said = self
            .assignments
            .iter()
            .filter(|a| a.key.name == "account")
            .max_by_key(|a| a.layer);
        let chosen = match said.and_then(|a| Some((text_of(a.value.as_ref()?), a.origin.clone()))) {
            Some(chosen) => Some(chosen),
            None => self.default_account.clone(),
        };
        match chosen {
            Some((name, origin)) if !self.accounts.contains_key(&name) => {
                Err(SettingsError::NoDefaultAccount { name, origin })
            }
            Some((name, _)) => Ok(Some(name)),
            None => Ok(None),
        }
    }

    fn fallback(&mut self, files: &SettingsFiles, env: &Environment) -> Result<(), SettingsError> {
        let isolated = files.no_system_rc || env.variable("MAILRC") == Some("/dev/null");
        let also = if isolated { FALLBACK_ISOLATED } else { &[] };
        let pairs = FALLBACK
            .iter()
            .chain(also)
            .map(|n| (*n, *n))
            .chain(KNOWN_VARIABLES.iter().copied());
        for (variable, name) in pairs {
            if let Some(value) = env.variable(variable) {
                self.assign(
                    name,
                    Raw::Text(value.to_owned()),
                    Layer::Fallback,
                    &Origin::Environment(variable.to_owned()),
                )?;
            }
        }
        Ok(())
    }

    fn environment(&mut self, env: &Environment) -> Result<(), SettingsError> {
        for (variable, value) in env
            .variables
            .iter()
            .filter(|(k, v)| k.starts_with("SMAIL_") && *k != STARTED_BY_SMAIL && !v.is_empty())
        {
            let origin = Origin::Environment(variable.clone());
            match keys::KEYS
                .iter()
                .find(|k| keys::environment(k.name) == *variable)
            {
                Some(key) => self.assign(
                    key.name,
                    Raw::Text(value.clone()),
                    Layer::Environment,
                    &origin,
                )?,
                None => self
                    .notes
                    .push(format!("{variable} is not a setting and is ignored")),
            }
        }
        Ok(())
    }

    fn line(
        &mut self,
        line: &str,
        flag: &str,
        layer: Layer,
        env: &Environment,
    ) -> Result<(), SettingsError> {
        let read = mailrc::one_line(
            line,
            flag,
            &self.grammar(env, &|name| env.variables.get(name).cloned()),
        );
        self.take(read, layer)
    }

    pub(super) fn grammar<'a>(
        &'a self,
        env: &'a Environment,
        variables: &'a dyn Fn(&str) -> Option<String>,
    ) -> mailrc::Context<'a> {
        mailrc::Context {
            home: self.home.as_deref(),
            stdin_is_terminal: env.terminal,
            variables,
            known: &keys::is_known,
            dialect: self.dialect,
        }
    }

    pub(super) fn take(&mut self, read: mailrc::RcFile, layer: Layer) -> Result<(), SettingsError> {
        let shown = |(place, text): &(mailrc::Place, String)| {
            format!("{}:{}: {text}", place.path.display(), place.line)
        };
        self.warnings.extend(read.warnings.iter().map(shown));
        self.notes.extend(read.notes.iter().map(shown));
        self.dialect = read.dialect;
        for item in read.items {
            match item {
                mailrc::Item::Account { name, items, .. } => {
                    let start = self.assignments.len();
                    for item in items {
                        self.item(item, Layer::Account)?;
                    }
                    let said = self.assignments.split_off(start);
                    self.accounts.entry(name).or_default().extend(said);
                }
                mailrc::Item::UseAccount { name, place } => {
                    self.default_account = Some((name, origin_of(&place)));
                }
                item => self.item(item, layer)?,
            }
        }
        Ok(())
    }

    fn item(&mut self, item: mailrc::Item, layer: Layer) -> Result<(), SettingsError> {
        match item {
            mailrc::Item::Set {
                name,
                value,
                behind,
                place,
            } => {
                let raw = value.map_or(Raw::Flag(true), Raw::Text);
                self.rc_assign((&name, behind), raw, layer, &origin_of(&place))
            }
            mailrc::Item::Unset { name, place } => {
                self.unset(&name, layer, origin_of(&place));
                Ok(())
            }
            mailrc::Item::Alias {
                name,
                members,
                place,
            } => {
                self.aliases
                    .add(&name, members, &origin_of(&place).to_string());
                Ok(())
            }
            mailrc::Item::Unalias { names, .. } => {
                for name in names {
                    if name == "*" {
                        self.aliases = Aliases::default();
                    } else {
                        self.aliases.remove(&name);
                    }
                }
                Ok(())
            }
            mailrc::Item::Account { .. } | mailrc::Item::UseAccount { .. } => Ok(()),
        }
    }

    /// As [`Layers::assign`], but unknown names belong to another program and are only noted. One
    /// behind another word is not named, as it may be a part of that one's value.
    fn rc_assign(
        &mut self,
        (name, behind): (&str, bool),
        raw: Raw,
        layer: Layer,
        origin: &Origin,
    ) -> Result<(), SettingsError> {
        if keys::is_known(name) || mailx_names::REFUSED.iter().any(|r| r.0 == name) {
            return self.assign(name, raw, layer, origin);
        }
        if self.unknown == MOST_UNKNOWN {
            self.notes
                .push(format!("{origin}: more unknown names follow"));
        }
        self.unknown += 1;
        if self.unknown > MOST_UNKNOWN {
            return Ok(());
        }
        self.notes.push(match keys::nearest(name) {
            _ if behind => {
                format!("{origin}: an unknown word after another is ignored; quote a value that contains spaces")
            }
            Some(near) => {
                format!("{origin}: unknown setting `{}` is ignored; did you mean `{near}`?", super::shown_name(name))
            }
            None => format!("{origin}: unknown setting `{}` is ignored", super::shown_name(name)),
        });
        Ok(())
    }

    fn set(&mut self, one: &Override) -> Result<(), SettingsError> {
        let Override {
            key: name,
            value,
            origin,
            layer,
        } = one;
        match value {
            None => {
                self.unset(name, *layer, origin.clone());
                Ok(())
            }
            // The word that was meant for it would be taken for a recipient.
            Some(Raw::Flag(true))
                if keys::find(name).is_some_and(|(key, _)| key.kind == Kind::Secret) =>
            {
                Err(SettingsError::Value {
                    name: name.clone(),
                    origin: Some(origin.clone()),
                    why: format!("expected a value, as in `-S {name}=VALUE`"),
                })
            }
            Some(raw) => self.assign(name, raw.clone(), *layer, origin),
        }
    }

    /// Takes back what weaker sources say; a switch is off then.
    fn unset(&mut self, name: &str, layer: Layer, origin: Origin) {
        if let Some((key, suffix)) = keys::find(name) {
            self.assignments.push(Assignment {
                key,
                suffix: suffix.map(str::to_lowercase),
                value: (key.kind == Kind::Flag).then_some(Value::Flag(false)),
                layer,
                origin,
            });
        }
    }

    fn choose(&mut self, account: Option<&OsStr>) -> Result<(), SettingsError> {
        let Some(name) = account else {
            return Ok(());
        };
        let text = name.to_string_lossy().into_owned();
        if self.accounts.contains_key(&text) {
            self.account = Some(text);
            return Ok(());
        }
        let path = PathBuf::from(name);
        if path.is_file() {
            self.attachment = Some(path);
            return Ok(());
        }
        Err(SettingsError::NoAccount(
            text,
            self.accounts.keys().cloned().collect(),
        ))
    }

    pub(super) fn assign(
        &mut self,
        name: &str,
        raw: Raw,
        layer: Layer,
        origin: &Origin,
    ) -> Result<(), SettingsError> {
        if let Some((_, why)) = mailx_names::REFUSED.iter().find(|r| r.0 == name) {
            return Err(SettingsError::Value {
                name: name.to_owned(),
                origin: Some(origin.clone()),
                why: (*why).to_owned(),
            });
        }
        let Some((key, suffix)) = keys::find(name) else {
            if keys::is_known(name) && !matches!(layer, Layer::UserToml | Layer::SystemToml) {
                return Ok(());
            }
            let (name, near) = (name.to_owned(), keys::nearest(name));
            return Err(SettingsError::Unknown {
                name,
                origin: origin.clone(),
                near,
            });
        };
        let value = check(key, raw).map_err(|why| SettingsError::Value {
            name: name.to_owned(),
            origin: Some(origin.clone()),
            why,
        })?;
        let suffix = suffix.map(str::to_lowercase);
        let assignment = Assignment {
            key,
            suffix,
            value: Some(value),
            layer,
            origin: origin.clone(),
        };
        if has_url_password(&assignment) {
            crate::secret::shield();
        }
        self.assignments.push(assignment);
        Ok(())
    }
}

fn origin_of(place: &mailrc::Place) -> Origin {
    if place.path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        return Origin::Flag(place.path.display().to_string());
    }
    Origin::File(place.path.to_path_buf(), place.line)
}

fn first_address(value: &Value) -> Option<String> {
    parse_authors(&text_of(value))
        .ok()?
        .first()
        .map(|m| m.address.key())
}

/// Returns whether a value is a URL with a password in it.
pub(super) fn has_url_password(assignment: &Assignment) -> bool {
    match &assignment.value {
        Some(Value::Target(target)) => crate::route::url::has_password(target.text()),
        Some(Value::Proxy(proxy)) => crate::route::url::has_password(proxy.text()),
        _ => false,
    }
}
