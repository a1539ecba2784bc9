//! Settles who logs in, how, and where the secret comes from.
use super::keys::Kind;
use super::route::{Choice, Login, Mechanism};
use super::target::Server;
use super::value::Value;
use super::way::{SmtpConfig, suffixes, wrong};
use super::{Settings, SettingsError, target};
use crate::address::Mailbox;
use crate::secret::{Secret, SecretSource, netrc};

pub(super) fn chained_text(settings: &Settings, name: &'static str, chain: &[String]) -> Option<String> {
    settings.chained(name, chain).and_then(|a| a.value.as_ref().map(super::text_of)).filter(|t| !t.is_empty())
}

/// Settles the login; `None` when there is none.
pub(super) fn login(
    settings: &Settings,
    author: &Mailbox,
    server: &Server,
    chain: &[String],
    config: &SmtpConfig,
    name: &'static str,
) -> Result<Option<Login>, SettingsError> {
    let word = chained_text(settings, "auth", chain);
    let mechanism = match word.as_deref() {
        Some("none") => return Ok(None),
        Some("auto") | None => config.mechanism.map_or(Choice::Auto, Choice::Only),
        Some(word) => mechanism(word).map_or(Choice::Auto, Choice::Only),
    };
    let external = mechanism == Choice::Only(Mechanism::External);
    let user = server.user.clone().or_else(|| chained_text(settings, "auth-user", chain));
    let chain = suffixes(server, user.as_deref(), author);
    let secret = match &server.password {
        Some(password) => Some(SecretSource::Inline(Secret::new(password.clone()))),
        None => secret(settings, &chain),
    };
    let looked_up = netrc_entry(settings, server, user.as_deref(), secret.is_none(), &chain)?;
    let (user, secret) = match (user, secret, looked_up) {
        (user, None, Some(entry)) => (user.or(Some(entry.login)), Some(SecretSource::Inline(entry.password))),
        (user, secret, _) => (user, secret),
    };
    let user = match (user, &secret) {
        (Some(user), _) => user,
        (None, Some(_)) => default_user(settings, author),
        (None, None) if external => String::new(),
        (None, None) if word.as_deref().is_some_and(|w| w != "auto") => {
            let why =
                format!("it asks for a login at {}, and no user is set: add auth-user and auth-password", server.host);
            return Err(wrong(settings, "auth", why));
        }
        (None, None) => return Ok(None),
    };
    if user.contains('\0') {
        return Err(wrong(settings, name, "a user name cannot hold a NUL"));
    }
    let secret = secret.unwrap_or_else(|| SecretSource::Prompt { user: user.clone(), host: server.host.clone() });
    Ok(Some(Login { user, secret, mechanism, in_clear: settings.flag("auth-in-clear") }))
}

/// The user name when only a password is set: the word the provider wants, else the author's address.
fn default_user(settings: &Settings, author: &Mailbox) -> String {
    let address = author.address.to_string();
    settings.preset.as_ref().and_then(|preset| preset.user_for(&address)).unwrap_or(address)
}

/// The password: of the ways to say it, the one the strongest source chose.
fn secret(settings: &Settings, chain: &[String]) -> Option<SecretSource> {
    let said = ["auth-password", "auth-password-file", "auth-password-command"].map(|n| settings.chained(n, chain));
    let strongest = said.into_iter().flatten().max_by_key(|a| (a.suffix.is_some(), a.layer))?;
    match (strongest.key.kind, strongest.value.as_ref()?) {
        (Kind::Secret, Value::Text(text)) => Some(SecretSource::Inline(Secret::new(text.clone()))),
        (Kind::Path, Value::Text(path)) if !path.is_empty() => Some(SecretSource::File(settings.expand(path))),
        (Kind::Program, Value::List(words)) if !words.is_empty() => {
            let mut words = words.clone();
            words[0] = settings.expand(&words[0]).to_string_lossy().into_owned();
            Some(SecretSource::Command(words))
        }
        _ => None,
    }
}

fn netrc_entry(
    settings: &Settings,
    server: &Server,
    user: Option<&str>,
    wanted: bool,
    chain: &[String],
) -> Result<Option<netrc::Entry>, SettingsError> {
    let on = matches!(settings.chained("netrc-lookup", chain).and_then(|a| a.value.as_ref()), Some(Value::Flag(true)));
    if !(on && wanted) {
        return Ok(None);
    }
    let command = settings.list("netrc-command");
    let text = if command.is_empty() {
        let path = settings.path("netrc").unwrap_or_else(|| settings.expand("~/.netrc"));
        netrc::read(&path).map_err(|e| wrong(settings, "netrc", e.why))?
    } else {
        netrc::run(&command).map_err(|e| wrong(settings, "netrc-command", e.why))?
    };
    Ok(netrc::lookup(&text, &server.host, user))
}

/// The secrets that the settings hold themselves, of any server: nothing is fetched.
pub fn secrets_at_hand(settings: &Settings) -> Vec<Secret> {
    let mut found = Vec::new();
    for said in &settings.trail {
        match (&said.value, said.key.kind, said.key.name) {
            (Some(Value::Text(text)), Kind::Secret, _) => found.push(Secret::new(text.clone())),
            (Some(Value::Text(url)), _, "smtp" | "mta" | "proxy") if target::has_password(url) => {
                if let Ok(target::Target::Server(Server { password: Some(password), .. })) = target::parse(url) {
                    found.push(Secret::new(password));
                }
                let login = url.rsplit_once('@').map_or("", |(login, _)| login);
                found.extend(login.rsplit_once(':').map(|(_, password)| Secret::new(password)));
            }
            _ => {}
        }
    }
    found
}

pub(super) fn mechanism(word: &str) -> Option<Mechanism> {
    match word {
        "plain" => Some(Mechanism::Plain),
        "login" => Some(Mechanism::Login),
        "cram-md5" => Some(Mechanism::CramMd5),
        "xoauth2" => Some(Mechanism::Xoauth2),
        "oauthbearer" => Some(Mechanism::Oauthbearer),
        "external" | "externanon" => Some(Mechanism::External),
        _ => None,
    }
}
