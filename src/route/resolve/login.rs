//! Who logs in, how, and where the secret comes from.
//!
//! Promise: no secret is fetched here but those that the settings hold themselves; a program, a
//! file and the terminal are asked when somebody logs in.
use std::path::Path;

use super::candidates::{candidates, source};
use super::config::SmtpConfig;
use super::owner::{self, Goal, Site};
use super::{suffixes, token, wrong};
use crate::address::Mailbox;
use crate::files;
use crate::route::url::Server;
use crate::route::{Choice, Credential, Login, LoginOrigin, Mechanism};
use crate::secret::{Secret, SecretSource, netrc};
use crate::settings::value::Value;
use crate::settings::{Assignment, SECRETS, Settings, SettingsError, Source};

/// The server to log in at, as it was found.
pub(super) struct At<'a> {
    /// The server.
    pub server: &'a Server,
    /// Its socket, when it is on this host.
    pub socket: Option<&'a Path>,
    /// `smtp` or `mta`, which named it.
    pub name: &'static str,
    /// TLS proves its name, or nothing is sent.
    pub proven: bool,
}

/// Decides who logs in and how; `None` when nobody does.
pub(super) fn login(
    settings: &Settings,
    author: &Mailbox,
    at: &At<'_>,
    chain: &[String],
    config: &SmtpConfig,
) -> Result<Option<Login>, SettingsError> {
    let word = settings.chained_text("auth", chain);
    if word.as_deref() == Some("none") {
        return Ok(None);
    }
    let named = word.as_deref().filter(|word| *word != "auto");
    let mechanism = match named {
        Some(word) => Mechanism::of_word(word),
        None => config.mechanism,
    };
    let mechanism = mechanism.map_or(Choice::Auto, Choice::Only);
    let site = Site::of(at.server, at.socket);
    let before = settings
        .waiting
        .as_ref()
        .and_then(|w| w.login.as_ref())
        .filter(|l| l.server == site.to_string());
    let user = named_user(settings, at.server, chain, before);
    let chain = suffixes(at.server, user.as_deref(), author);
    let goal = Goal {
        settings,
        author,
        site,
        user: user
            .clone()
            .unwrap_or_else(|| default_user(settings, author)),
        chain: &chain,
        proven: at.proven,
    };
    if named == Some("oauth2") {
        return token::login(goal).map(Some);
    }
    let identity = Wanted {
        secretless: matches!(mechanism, Choice::Only(only) if !only.wants_secret()),
        named: named.is_some(),
        user,
        before,
    };
    let Some((user, secret, origin)) = credentials(goal, at, identity)? else {
        return Ok(None);
    };
    if user.contains('\0') {
        return Err(wrong(
            settings,
            at.name,
            "a user name cannot contain a NUL character",
        ));
    }
    Ok(Some(Login {
        user,
        credential: Credential::Secret(secret),
        mechanism,
        in_clear: settings.flag("auth-in-clear"),
        origin,
    }))
}

/// The user that the URL, the settings or the earlier login of a mail that waits names.
fn named_user(
    settings: &Settings,
    server: &Server,
    chain: &[String],
    before: Option<&LoginOrigin>,
) -> Option<String> {
    let set = || settings.chained_text("auth-user", chain);
    // Whom a netrc named is not known of a mail that has never logged in.
    let earlier = || before.map(|login| login.user.clone());
    let user = server.user.clone().or_else(set);
    user.or_else(|| earlier().filter(|user| !user.is_empty()))
}

/// What is known of a login before its secret is looked for.
struct Wanted<'a> {
    /// The mechanism needs no secret.
    secretless: bool,
    /// A setting names the mechanism.
    named: bool,
    /// The user, where one is named.
    user: Option<String>,
    /// The login of a mail that waits, at this server.
    before: Option<&'a LoginOrigin>,
}

/// The user, where the secret is, and what is noted of it; `None` where nobody logs in.
type Credentials = Option<(String, SecretSource, Option<LoginOrigin>)>;

/// Finds the secret: in the settings, else in a netrc, else at the terminal.
fn credentials(
    goal: Goal<'_>,
    at: &At<'_>,
    wanted: Wanted<'_>,
) -> Result<Credentials, SettingsError> {
    let found = secret(&goal, at);
    let missing = !matches!(found, Found::Secret(..));
    let looked_up = netrc_lookup(&goal, at.server, wanted.user.as_deref(), missing)?;
    let origin = |user: &str, secret: String, given: bool| {
        Some(LoginOrigin {
            user: user.to_owned(),
            server: goal.site.to_string(),
            secret,
            given,
        })
    };
    match (found, looked_up) {
        (Found::Secret(SecretSource::Inline(secret), place, _), _)
            if secret.reveal().is_empty() && !wanted.secretless =>
        {
            let why = format!("the password for {} is empty ({place})", goal.user);
            Err(wrong(goal.settings, at.name, why))
        }
        (Found::Secret(source, place, given), _) => {
            let origin = origin(&goal.user, place, given);
            Ok(Some((goal.user, source, origin)))
        }
        (Found::Nothing, _) if is_on(goal.settings, "auth-keyring", goal.chain) => {
            let keyring = SecretSource::Keyring {
                user: goal.user.clone(),
                host: at.server.host.clone(),
            };
            let origin = origin(&goal.user, "the keyring".to_owned(), false);
            Ok(Some((goal.user, keyring, origin)))
        }
        (_, Some(lookup)) => {
            let user = wanted.user.or_else(|| lookup.user.clone());
            let user = user.unwrap_or_default();
            let origin = origin(&user, "netrc".to_owned(), false);
            Ok(Some((user, SecretSource::Netrc(lookup), origin)))
        }
        (found, None) => {
            let origin = |user: &str| origin(user, "the terminal".to_owned(), false);
            let user = wanted.user.clone();
            let asked = user.map(|user| (origin(&user), user));
            without_secret(goal, found, at.server, &wanted, asked)
        }
    }
}

/// What a login comes to for which nothing holds a secret: the terminal is asked, or it is an
/// error.
fn without_secret(
    goal: Goal<'_>,
    found: Found,
    server: &Server,
    wanted: &Wanted<'_>,
    asked: Option<(Option<LoginOrigin>, String)>,
) -> Result<Credentials, SettingsError> {
    let prompt = |user: &str, host: &str| SecretSource::Prompt {
        user: user.to_owned(),
        host: host.to_owned(),
    };
    if wanted.secretless {
        let (origin, user) = asked.unwrap_or_default();
        let secret = prompt(&user, &server.host);
        return Ok(Some((user, secret, origin)));
    }
    // What was given to the run of this mail alone is missing now, whatever else there is.
    if let Some(before) = wanted.before
        && before.given
        && before.user == goal.user
    {
        return Err(SettingsError::NotKept {
            server: goal.site.to_string(),
            user: goal.user,
            secret: before.secret.clone(),
        });
    }
    if let Found::Refused(secret, why) = found {
        return Err(goal.withheld(secret, why));
    }
    match asked {
        Some((origin, user)) => {
            let secret = prompt(&user, &server.host);
            Ok(Some((user, secret, origin)))
        }
        None if wanted.named => {
            let why = format!(
                "it requires a login at {}, but no user is set: set auth-user and auth-password",
                server.host
            );
            Err(wrong(goal.settings, "auth", why))
        }
        None => Ok(None),
    }
}

/// The user name when only a password is set: the word the provider wants, else the author's
/// address.
fn default_user(settings: &Settings, author: &Mailbox) -> String {
    let address = author.address.to_string();
    settings
        .preset
        .as_ref()
        .and_then(|preset| preset.user_for(&address))
        .unwrap_or(address)
}

/// What the settings hold for a login.
enum Found {
    /// The secret, where it stands, and whether it was given to this run only.
    Secret(SecretSource, String, bool),
    /// Only secrets that belong to others: where the strongest stands, and why it may not be used.
    Refused(String, String),
    /// None.
    Nothing,
}

/// The password: the strongest that may be used. That of the URL which names the server comes
/// first.
fn secret(goal: &Goal<'_>, at: &At<'_>) -> Found {
    let mut refused = Found::Nothing;
    let mut refuse = |a: &Assignment, why| {
        if matches!(refused, Found::Nothing) {
            refused = Found::Refused(owner::place(a), why);
        }
    };
    if let (Some(password), Some(url)) = (&at.server.password, goal.settings.winner(at.name)) {
        match goal.detour(Source::of(url.layer)) {
            None => return inline(password, url),
            Some(why) => refuse(url, why),
        }
    }
    for candidate in candidates(goal, &SECRETS) {
        let source = match source(goal.settings, candidate) {
            Some(source) => source,
            None if owner::is_url(candidate) => match goal.password_of(candidate) {
                Some(password) => SecretSource::Inline(Secret::new(password)),
                None => continue,
            },
            // An empty name of a file takes back what weaker sources say.
            None => return Found::Nothing,
        };
        let refusal = if owner::is_url(candidate) {
            goal.detour(Source::of(candidate.layer))
        } else {
            goal.refusal(candidate)
        };
        match refusal {
            None => {
                let given = matches!(source, SecretSource::Inline(_))
                    && Source::of(candidate.layer) != Source::Files;
                return Found::Secret(source, owner::place(candidate), given);
            }
            Some(why) => refuse(candidate, why),
        }
    }
    refused
}

fn inline(password: &str, url: &Assignment) -> Found {
    let given = Source::of(url.layer) != Source::Files;
    Found::Secret(
        SecretSource::Inline(Secret::new(password)),
        owner::place(url),
        given,
    )
}

/// What is looked up in the netrc at the login. A file is asked now whether it has an entry, as the
/// port depends on it; a program is not run before somebody logs in.
fn netrc_lookup(
    goal: &Goal<'_>,
    server: &Server,
    user: Option<&str>,
    wanted: bool,
) -> Result<Option<netrc::Lookup>, SettingsError> {
    let settings = goal.settings;
    if !(wanted && is_on(settings, "netrc-lookup", goal.chain)) {
        return Ok(None);
    }
    let (host, user) = (server.host.clone(), user.map(str::to_owned));
    let command = settings.list("netrc-command");
    if !command.is_empty() {
        return Ok(Some(netrc::Lookup {
            place: netrc::Place::Command(command),
            host,
            user,
        }));
    }
    let named = settings.path("netrc");
    let path = named.clone().unwrap_or_else(|| settings.expand("~/.netrc"));
    // In a home that a service may not enter there is none.
    if named.is_none() && files::unreachable(&path).is_some() {
        return Ok(None);
    }
    let lookup = netrc::Lookup {
        place: netrc::Place::File(path),
        host,
        user,
    };
    let entry = lookup
        .entry()
        .map_err(|e| wrong(settings, "netrc", e.why))?;
    Ok(entry.map(|entry| netrc::Lookup {
        user: Some(entry.login),
        ..lookup
    }))
}

fn is_on(settings: &Settings, name: &'static str, chain: &[String]) -> bool {
    let value = settings.chained(name, chain).and_then(|a| a.value.as_ref());
    matches!(value, Some(Value::Flag(true)))
}
