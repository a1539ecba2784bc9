//! Gathers what all sources say, in the order in which they win.
//!
//! Promise: files are opened once, and judged by what was opened. A file that others may write, or a `config.toml` with a
//! secret that others may read, is refused (exit 78); a mail.rc with a secret that others may read gets a warning, as
//! `/etc/mail.rc` is read by all on most systems.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::keys::{self, Kind};
use super::value::{Raw, Value, check};
use super::{Assignment, Layer, Origin, Settings, SettingsError, mailrc, presets, target, toml};
use crate::address::{Aliases, Mailbox, parse_list};
use crate::cli::Args;

/// The system's mail.rc under the names distributions give it; the first one there is counts (spec/mailx.md section 0).
const SYSTEM_RC: &[&str] = &["/etc/smail.rc", "/etc/mail.rc", "/etc/s-nail.rc", "/etc/nail.rc"];
const SYSTEM_TOML: &str = "/etc/smail/config.toml";

/// Variables that Heirloom mailx reads as settings and that no other program means (their names cannot be set by a shell).
const FALLBACK: &[&str] = &["smtp-auth-user", "smtp-auth-password", "smtp-auth", "smtp-use-starttls"];
/// As above, but only where the caller isolates mailx from the rc files, as they are common names.
const FALLBACK_ISOLATED: &[&str] = &["from", "smtp", "sender", "replyto"];
/// Variables of the environment that mailx programs know.
const KNOWN_VARIABLES: &[(&str, &str)] = &[("NETRC", "netrc"), ("DEAD", "dead-letter"), ("ORGANIZATION", "organization")];

/// The world around this run: passed in, so that tests have their own.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The folder of the user's `config.toml`.
    pub config: Option<PathBuf>,
    /// Standard input is a terminal.
    pub terminal: bool,
}

impl Surroundings {
    /// The world of this process.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        Surroundings {
            variables,
            home: directories::BaseDirs::new().map(|d| d.home_dir().to_owned()),
            config: directories::ProjectDirs::from("", "", "smail").map(|d| d.config_dir().to_owned()),
            terminal: std::io::IsTerminal::is_terminal(&std::io::stdin()),
        }
    }

    /// The user's login name: the environment's word, else the account's, else `nobody`.
    pub fn user(&self) -> String {
        let named = ["LOGNAME", "USER"].iter().find_map(|n| self.variable(n).filter(|v| !v.is_empty()));
        named.map(str::to_owned).or_else(user_of_account).unwrap_or_else(|| "nobody".to_owned())
    }

    /// The time all dates are taken from, for builds that can be repeated (reproducible-builds.org, `SOURCE_DATE_EPOCH`).
    pub fn source_date_epoch(&self) -> Option<i64> {
        self.variable("SOURCE_DATE_EPOCH")?.trim().parse().ok()
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

/// All that was said, before an account is chosen.
pub struct Layers {
    said: Vec<Assignment>,
    accounts: BTreeMap<String, Vec<Assignment>>,
    aliases: Aliases,
    /// The account that the files choose, and where.
    default_account: Option<(String, Origin)>,
    account: Option<String>,
    attachment: Option<PathBuf>,
    home: Option<PathBuf>,
    notes: Vec<String>,
    warnings: Vec<String>,
    dialect: mailrc::Dialect,
}

impl Layers {
    /// Reads every source.
    ///
    /// # Errors
    /// [`SettingsError`]: the first thing that cannot stand.
    pub fn load(args: &Args, world: &Surroundings) -> Result<Self, SettingsError> {
        let mut layers = Layers {
            said: Vec::new(),
            accounts: BTreeMap::new(),
            aliases: Aliases::default(),
            default_account: None,
            account: None,
            attachment: None,
            home: world.home.clone(),
            notes: Vec::new(),
            warnings: Vec::new(),
            dialect: mailrc::Dialect::Old,
        };
        layers.fallback(args, world)?;
        for line in &args.startup_cmd {
            layers.line(line, "-X", Layer::Startup, world)?;
        }
        if !args.no_config {
            layers.rc_files(args, world)?;
            layers.toml_files(args, world)?;
        }
        layers.environment(world)?;
        for line in &args.cmd {
            layers.line(line, "-Y", Layer::Set, world)?;
        }
        layers.set_flags(args)?;
        layers.own_flags(args)?;
        layers.choose(args)?;
        Ok(layers)
    }

    /// The largest text that may be read, needed before the settings are settled.
    pub fn max_size(&self) -> u64 {
        let sizes = self.said.iter().filter(|a| a.key.name == "max-size");
        match sizes.max_by_key(|a| a.layer).and_then(|a| a.value.as_ref()) {
            Some(Value::Size(size)) => *size,
            _ => 64 << 20,
        }
    }

    /// Applies the account: the one chosen by `-A`, else the one whose `from` is the address of the author (`from`, when a
    /// template names one), else the default one. Then looks the provider up.
    ///
    /// # Errors
    /// [`SettingsError::NoDefaultAccount`].
    pub fn settle(&self, from: Option<&Mailbox>) -> Result<Settings, SettingsError> {
        let account = match &self.account {
            Some(name) => Some(name.clone()),
            None => self.account_of(from).or(self.default_account()?),
        };
        let mut trail = self.said.clone();
        if let Some(assignments) = account.as_ref().and_then(|name| self.accounts.get(name)) {
            trail.extend(assignments.iter().cloned());
        }
        let mut settings = Settings {
            trail,
            winners: BTreeMap::new(),
            aliases: self.aliases.clone(),
            account,
            preset: None,
            attachment: self.attachment.clone(),
            home: self.home.clone(),
            notes: self.notes.clone(),
            warnings: self.warnings.clone(),
        };
        settings.settle();
        look_up_provider(&mut settings)?;
        Ok(settings)
    }

    /// The account whose From address is that of the author, when the author was named on the command line or by a template.
    fn account_of(&self, from: Option<&Mailbox>) -> Option<String> {
        let named = self.said.iter().filter(|a| a.key.name == "from" && a.layer >= Layer::Environment).max_by_key(|a| a.layer);
        let named = named.and_then(|a| first_address(a.value.as_ref()?));
        let wanted = from.map(|m| m.address.key()).or(named)?;
        let of = |list: &[Assignment]| list.iter().rev().find(|a| a.key.name == "from").and_then(|a| first_address(a.value.as_ref()?));
        self.accounts.iter().find(|(_, list)| of(list).as_ref() == Some(&wanted)).map(|(name, _)| name.clone())
    }

    fn default_account(&self) -> Result<Option<String>, SettingsError> {
        let said = self.said.iter().filter(|a| a.key.name == "account").max_by_key(|a| a.layer);
        let chosen = match said.and_then(|a| Some((text(a.value.as_ref()?)?, a.origin.clone()))) {
            Some(chosen) => Some(chosen),
            None => self.default_account.clone(),
        };
        match chosen {
            Some((name, origin)) if !self.accounts.contains_key(&name) => Err(SettingsError::NoDefaultAccount { name, origin }),
            Some((name, _)) => Ok(Some(name)),
            None => Ok(None),
        }
    }

    fn fallback(&mut self, args: &Args, world: &Surroundings) -> Result<(), SettingsError> {
        let isolated = args.no_system_rc || world.variable("MAILRC") == Some("/dev/null");
        let also = if isolated { FALLBACK_ISOLATED } else { &[] };
        let pairs = FALLBACK.iter().chain(also).map(|n| (*n, *n)).chain(KNOWN_VARIABLES.iter().copied());
        for (variable, name) in pairs {
            if let Some(value) = world.variable(variable) {
                self.assign(name, Raw::Text(value.to_owned()), Layer::Fallback, &Origin::Environment(variable.to_owned()))?;
            }
        }
        Ok(())
    }

    fn environment(&mut self, world: &Surroundings) -> Result<(), SettingsError> {
        for (variable, value) in world.variables.iter().filter(|(k, _)| k.starts_with("SMAIL_")) {
            let origin = Origin::Environment(variable.clone());
            match keys::KEYS.iter().find(|k| keys::environment(k.name) == *variable) {
                Some(key) => self.assign(key.name, Raw::Text(value.clone()), Layer::Environment, &origin)?,
                None => self.notes.push(format!("{variable} names no setting and is passed over")),
            }
        }
        Ok(())
    }

    fn rc_files(&mut self, args: &Args, world: &Surroundings) -> Result<(), SettingsError> {
        let spec = args.resource_files.as_deref().unwrap_or("su");
        let system = !args.no_system_rc && world.variable("MAILX_NO_SYSTEM_RC").is_none() && !spec.contains('/') && spec.contains('s');
        let user = !spec.contains('/') && spec.contains('u');
        if let Some(bad) = spec.chars().find(|c| !"su/".contains(*c)) {
            let why = format!("`{}` names no file; `s`, `u` and `/` do", bad.escape_debug());
            return Err(SettingsError::Value { name: "-:".into(), origin: Some(Origin::Flag("-:".into())), why });
        }
        if system && let Some(path) = SYSTEM_RC.iter().map(Path::new).find(|p| p.exists()) {
            self.notes.push(format!("the system's settings are read from {}", path.display()));
            self.rc_file(path, Layer::SystemRc, world)?;
        }
        if user && let Some(path) = user_rc(world) {
            self.rc_file(&path, Layer::UserRc, world)?;
        }
        let extra = self.said.iter().rev().find(|a| a.key.name == "extra-rc").and_then(|a| text(a.value.as_ref()?));
        if let Some(extra) = extra.filter(|e| !e.is_empty()) {
            let path = super::value::expand_home(&extra, self.home.as_deref());
            self.rc_file(&path, Layer::UserRc, world)?;
        }
        Ok(())
    }

    fn rc_file(&mut self, path: &Path, layer: Layer, world: &Surroundings) -> Result<(), SettingsError> {
        let read = mailrc::read(path, &self.grammar(world, &|name| world.variables.get(name).cloned()));
        let read = match read {
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) if layer == Layer::SystemRc => {
                self.notes.push(format!("{}: {e}", path.display()));
                return Ok(());
            }
            Err(e) => return Err(SettingsError::File { path: path.to_owned(), why: e.to_string(), cure: None }),
        };
        for file in &read.files {
            let me = rustix::process::geteuid().as_raw();
            let device = file.path.as_ref() == Path::new("/dev/null");
            if !device && (file.mode & 0o002 != 0 || (file.owner != me && file.owner != 0)) {
                let path = file.path.to_path_buf();
                let cure = Some(format!("chmod go-w {}", path.display()));
                let why = "others may change it, and so could send mail in your name".to_owned();
                return Err(SettingsError::File { path, why, cure });
            }
            if file.mode & 0o044 != 0 && read.items.iter().any(|i| holds_secret(i, &file.path)) {
                let path = file.path.display();
                self.notes.push(format!("{path} holds a password and others may read it: chmod 600 {path}, or auth-password-file"));
            }
        }
        self.take(read, layer)
    }

    fn line(&mut self, line: &str, flag: &str, layer: Layer, world: &Surroundings) -> Result<(), SettingsError> {
        let read = mailrc::one_line(line, flag, &self.grammar(world, &|name| world.variables.get(name).cloned()));
        self.take(read, layer)
    }

    fn grammar<'a>(&'a self, world: &'a Surroundings, variables: &'a dyn Fn(&str) -> Option<String>) -> mailrc::Environment<'a> {
        mailrc::Environment {
            home: self.home.as_deref(),
            stdin_is_terminal: world.terminal,
            variables,
            known: &keys::is_known,
            dialect: self.dialect,
        }
    }

    fn take(&mut self, read: mailrc::RcFile, layer: Layer) -> Result<(), SettingsError> {
        let shown = |(place, text): &(mailrc::Place, String)| format!("{}:{}: {text}", place.path.display(), place.line);
        self.warnings.extend(read.warnings.iter().map(shown));
        self.notes.extend(read.notes.iter().map(shown));
        self.dialect = read.dialect;
        for item in read.items {
            match item {
                mailrc::Item::Account { name, items, .. } => {
                    let start = self.said.len();
                    for item in items {
                        self.item(item, Layer::Account)?;
                    }
                    let said = self.said.split_off(start);
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
            mailrc::Item::Set { name, value, place } => {
                let raw = value.map_or(Raw::Flag(true), Raw::Text);
                self.rc_assign(&name, raw, layer, &origin_of(&place))
            }
            mailrc::Item::Unset { name, place } => {
                if let Some((key, suffix)) = keys::find(&name) {
                    let suffix = suffix.map(str::to_lowercase);
                    let value = (key.kind == Kind::Flag).then_some(Value::Flag(false));
                    self.said.push(Assignment { key, suffix, value, layer, origin: origin_of(&place) });
                }
                Ok(())
            }
            mailrc::Item::Alias { name, members, place } => {
                self.aliases.add(&name, members, &origin_of(&place).to_string());
                Ok(())
            }
            mailrc::Item::Unalias { names, .. } => {
                for name in names {
                    if name == "*" { self.aliases = Aliases::default() } else { self.aliases.remove(&name) }
                }
                Ok(())
            }
            mailrc::Item::Account { .. } | mailrc::Item::UseAccount { .. } => Ok(()),
        }
    }

    /// As [`Layers::assign`], but unknown names belong to another program and are only noted.
    fn rc_assign(&mut self, name: &str, raw: Raw, layer: Layer, origin: &Origin) -> Result<(), SettingsError> {
        if keys::is_known(name) || keys::REFUSED.iter().any(|r| r.0 == name) {
            return self.assign(name, raw, layer, origin);
        }
        let near = keys::nearest(name).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        self.notes.push(format!("{origin}: `{}` is unknown and passed over{near}", name.escape_debug()));
        Ok(())
    }

    fn toml_files(&mut self, args: &Args, world: &Surroundings) -> Result<(), SettingsError> {
        if let Some(path) = &args.config {
            let found = self.toml_file(path, Layer::UserToml)?;
            return if found { Ok(()) } else { Err(SettingsError::File { path: path.clone(), why: "there is no such file".into(), cure: None }) };
        }
        self.toml_file(Path::new(SYSTEM_TOML), Layer::SystemToml)?;
        if let Some(folder) = &world.config {
            self.toml_file(&folder.join("config.toml"), Layer::UserToml)?;
        }
        Ok(())
    }

    /// Reads one file; tells whether there was one.
    fn toml_file(&mut self, path: &Path, layer: Layer) -> Result<bool, SettingsError> {
        let unusable = |why: String, cure: Option<String>| SettingsError::File { path: path.to_owned(), why, cure };
        let Some((text, privacy)) = toml::read_private(path).map_err(|why| unusable(why, None))? else { return Ok(false) };
        if privacy.foreign || privacy.writable {
            let why = "others may change it, and so could send mail in your name".to_owned();
            return Err(unusable(why, Some(format!("chmod go-w {}", path.display()))));
        }
        let file = toml::parse(&text).map_err(|m| SettingsError::Syntax { path: path.to_owned(), line: m.line, why: m.why })?;
        let start = self.said.len();
        let at = |line| Origin::File(path.to_owned(), line);
        for entry in file.entries {
            self.assign(&entry.name, entry.raw, layer, &at(entry.line))?;
        }
        for alias in file.aliases {
            let members = match alias.raw {
                Raw::List(list) => list,
                Raw::Text(text) => vec![text],
                Raw::Flag(_) => Vec::new(),
            };
            self.aliases.add(&alias.name, members, &at(alias.line).to_string());
        }
        let mut secret = self.said[start..].iter().any(is_secret);
        for (name, _, entries) in file.accounts {
            let start = self.said.len();
            for entry in entries {
                self.assign(&entry.name, entry.raw, Layer::Account, &at(entry.line))?;
            }
            let said = self.said.split_off(start);
            secret |= said.iter().any(is_secret);
            self.accounts.entry(name).or_default().extend(said);
        }
        if secret && privacy.readable {
            let why = format!("it holds a password, and others may read it (mode {:04o})", privacy.mode);
            return Err(unusable(why, Some(format!("chmod 600 {}", path.display()))));
        }
        Ok(true)
    }

    fn set_flags(&mut self, args: &Args) -> Result<(), SettingsError> {
        let origin = Origin::Flag("-S".to_owned());
        for set in &args.set {
            match set.split_once('=') {
                Some((name, value)) => self.assign(name.trim(), Raw::Text(value.to_owned()), Layer::Set, &origin)?,
                None => self.set_switch(set.trim(), &origin)?,
            }
        }
        Ok(())
    }

    /// `-S name` switches on and `-S noname` off, unless `noname` is a name itself.
    fn set_switch(&mut self, name: &str, origin: &Origin) -> Result<(), SettingsError> {
        match name.strip_prefix("no").filter(|rest| !keys::is_known(name) && keys::is_known(rest)) {
            Some(rest) => {
                if let Some((key, suffix)) = keys::find(rest) {
                    let value = (key.kind == Kind::Flag).then_some(Value::Flag(false));
                    let suffix = suffix.map(str::to_lowercase);
                    self.said.push(Assignment { key, suffix, value, layer: Layer::Set, origin: origin.clone() });
                }
                Ok(())
            }
            None => self.assign(name, Raw::Flag(true), Layer::Set, origin),
        }
    }

    fn own_flags(&mut self, args: &Args) -> Result<(), SettingsError> {
        let mut flag = |name: &str, shown: &str, value: Option<&str>| match value {
            Some(value) => self.assign(name, Raw::Text(value.to_owned()), Layer::Flag, &Origin::Flag(shown.to_owned())),
            None => Ok(()),
        };
        flag("from", "-r", args.from.as_deref())?;
        flag("reply-to", "--reply-to", args.reply_to.as_deref())?;
        flag("envelope-from", "-- -f", args.envelope_from.as_deref())?;
        flag("name", "-- -F", args.full_name.as_deref())?;
        flag("skip-empty", "-E", args.skip_empty.then_some("true"))?;
        flag("verbose", "-v", (args.verbose > 0).then_some("true"))?;
        flag("debug", "-d", args.dry_run.then_some("true"))
    }

    fn choose(&mut self, args: &Args) -> Result<(), SettingsError> {
        let Some(name) = &args.account else { return Ok(()) };
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
        Err(SettingsError::NoAccount(text, self.accounts.keys().cloned().collect()))
    }

    fn assign(&mut self, name: &str, raw: Raw, layer: Layer, origin: &Origin) -> Result<(), SettingsError> {
        if let Some((_, why)) = keys::REFUSED.iter().find(|r| r.0 == name) {
            return Err(SettingsError::Value { name: name.to_owned(), origin: Some(origin.clone()), why: (*why).to_owned() });
        }
        let Some((key, suffix)) = keys::find(name) else {
            if keys::is_known(name) && !matches!(layer, Layer::UserToml | Layer::SystemToml) {
                return Ok(());
            }
            let (name, near) = (name.to_owned(), keys::nearest(name));
            return Err(SettingsError::Unknown { name, origin: origin.clone(), near });
        };
        let value = check(key, raw).map_err(|why| SettingsError::Value {
            name: name.to_owned(),
            origin: Some(origin.clone()),
            why,
        })?;
        let suffix = suffix.map(str::to_lowercase);
        self.said.push(Assignment { key, suffix, value: Some(value), layer, origin: origin.clone() });
        Ok(())
    }
}

/// Finds the provider by `provider`, the server, the login or the author, and lets it name the server when nothing else does.
fn look_up_provider(settings: &mut Settings) -> Result<(), SettingsError> {
    let host = settings.filled("smtp").or_else(|| settings.filled("mta").filter(|m| m.contains("://")));
    let preset = match (settings.filled("provider"), &host) {
        (Some(id), _) => Some(presets::by_id(&id).ok_or_else(|| SettingsError::Value {
            name: "provider".into(),
            origin: settings.origin("provider").cloned(),
            why: format!("`{}` is no provider in the table", id.escape_debug()),
        })?),
        (None, Some(host)) => match target::parse(host) {
            Ok(target::Target::Server(server)) => presets::by_host(&server.host),
            _ => None,
        },
        (None, None) => provider_of_login(settings),
    };
    let Some(preset) = preset else { return Ok(()) };
    if let (None, None, Some(server)) = (&host, settings.filled("mta"), &preset.host) {
        let door = preset.door();
        let scheme = if door.tls == super::route::TlsMode::Implicit { "smtps" } else { "smtp" };
        let url = format!("{scheme}://{server}:{}", door.port);
        let id = preset.id.clone();
        settings.push_preset("smtp", Value::Text(url), &id);
    }
    settings.preset = Some(preset);
    Ok(())
}

/// Only a login points at a provider: without one, mail of a From address goes where mail went before.
fn provider_of_login(settings: &Settings) -> Option<presets::Preset> {
    let password = ["auth-password", "auth-password-file", "auth-password-command"].iter().any(|n| settings.winner(n).is_some());
    let user = settings.filled("auth-user");
    if user.is_none() && !password {
        return None;
    }
    let from = settings.list("from").first().and_then(|f| parse_list(f).ok()).and_then(|l| l.into_iter().next());
    let domain = |text: &str| text.rsplit_once('@').map(|(_, domain)| domain.to_lowercase());
    let by_user = user.as_deref().and_then(domain).and_then(|d| presets::by_domain(&d));
    by_user.or_else(|| presets::by_domain(&from?.address.domain()?.to_lowercase()))
}

/// The name of this process's account in the user database of the host's own files.
fn user_of_account() -> Option<String> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find(|l| l.split(':').nth(2) == Some(&uid)).and_then(|l| l.split(':').next()).map(str::to_owned)
}

fn user_rc(world: &Surroundings) -> Option<PathBuf> {
    if let Some(path) = world.variable("MAILRC").filter(|p| !p.is_empty()) {
        return Some(super::value::expand_home(path, world.home.as_deref()));
    }
    let home = world.home.as_ref()?;
    [".smailrc", ".mailrc"].iter().map(|name| home.join(name)).find(|path| path.exists())
}

fn origin_of(place: &mailrc::Place) -> Origin {
    if place.path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        return Origin::Flag(place.path.display().to_string());
    }
    Origin::File(place.path.to_path_buf(), place.line)
}

fn is_secret(assignment: &Assignment) -> bool {
    let url = ["smtp", "mta", "proxy"].contains(&assignment.key.name);
    let text = || assignment.value.as_ref().and_then(text).unwrap_or_default();
    assignment.key.kind == Kind::Secret || (url && super::target::has_password(&text()))
}

fn holds_secret(item: &mailrc::Item, path: &Path) -> bool {
    match item {
        mailrc::Item::Set { name, value: Some(value), place } => {
            let secret = keys::find(name).is_some_and(|(key, _)| key.kind == Kind::Secret);
            place.path.as_ref() == path && (secret || super::target::has_password(value))
        }
        mailrc::Item::Account { items, .. } => items.iter().any(|i| holds_secret(i, path)),
        _ => false,
    }
}

fn text(value: &Value) -> Option<String> {
    super::text_of(value)
}

fn first_address(value: &Value) -> Option<String> {
    parse_list(&text(value)?).ok()?.first().map(|m| m.address.key())
}
