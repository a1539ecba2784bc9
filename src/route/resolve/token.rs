//! A login with an access token: the account of OAuth2, or the program that prints the token.
//!
//! Promise: a token belongs to the server and user of the file that names its client, as a password
//! does.
use std::path::PathBuf;

use super::candidates::{candidates, source};
use super::owner::{self, Goal};
use super::wrong;
use crate::oauth::{self, Account, Grant, Provider, Url};
use crate::route::{Choice, Credential, Login, LoginOrigin};
use crate::secret::SecretSource;
use crate::settings::value::Value;
use crate::settings::{Settings, SettingsError};

/// The settings that say where tokens come from, the strongest last.
const SOURCES: &[&str] = &[
    "oauth2-client-id",
    "oauth2-service-account",
    "oauth2-token-command",
];
/// Those of the secret of a client, the strongest last.
const CLIENT_SECRETS: &[&str] = &[
    "oauth2-client-secret-command",
    "oauth2-client-secret-file",
    "oauth2-client-secret",
];

/// Decides where the token of a login comes from.
///
/// # Errors
/// Nothing says it, something is missing, or it belongs to another server.
pub(super) fn login(goal: Goal<'_>) -> Result<Login, SettingsError> {
    let settings = goal.settings;
    let found = candidates(&goal, SOURCES).into_iter().find(|a| {
        let empty = |value: &Value| matches!(value, Value::Text(text) if text.is_empty());
        !a.value.as_ref().is_none_or(empty)
    });
    let Some(named) = found else {
        let why =
            "oauth2 requires oauth2-client-id, oauth2-service-account or oauth2-token-command";
        return Err(wrong(settings, "auth", why));
    };
    let place = owner::place(named);
    if let Some(why) = goal.refusal(named) {
        return Err(goal.withheld(place, why));
    }
    let origin = LoginOrigin {
        user: goal.user.clone(),
        server: goal.site.to_string(),
        secret: place,
        given: false,
    };
    let credential = if named.key.name == "oauth2-token-command" {
        let command = source(settings, named);
        let none = || wrong(settings, named.key.name, "it names no program");
        Credential::Secret(command.ok_or_else(none)?)
    } else {
        Credential::Token(Box::new(account(settings, &goal.user)?))
    };
    Ok(Login {
        user: goal.user,
        credential,
        mechanism: Choice::Token,
        in_clear: settings.flag("auth-in-clear"),
        origin: Some(origin),
    })
}

/// The account of OAuth2 that the settings describe.
fn account(settings: &Settings, user: &str) -> Result<Account, SettingsError> {
    let provider = provider(settings);
    let grant = grant(settings);
    let client_id = settings.filled("oauth2-client-id").unwrap_or_default();
    if client_id.is_empty() && grant != Grant::ServiceAccount {
        let why =
            "oauth2 requires oauth2-client-id, the client that you registered at the provider";
        return Err(wrong(settings, "auth", why));
    }
    let address = |name: &'static str, known: &str| -> Result<Option<Url>, SettingsError> {
        let tenant = settings.filled("oauth2-tenant");
        let default = provider.map_or("", |provider| provider.tenant);
        let tenant = tenant.as_deref().unwrap_or(default);
        let text = settings
            .filled(name)
            .unwrap_or_else(|| known.replace("{tenant}", tenant));
        let url = (!text.is_empty()).then(|| Url::parse(&text)).transpose();
        url.map_err(|why| wrong(settings, name, why))
    };
    let row = |pick: fn(&Provider) -> &'static str| provider.map_or("", pick);
    let Some(token) = address("oauth2-token-url", row(|row| row.token))? else {
        let why =
            "the provider of access tokens is not known: set oauth2-provider or oauth2-token-url";
        return Err(wrong(settings, "auth", why));
    };
    let scope = if grant.needs_person() {
        row(|row| row.scope)
    } else {
        row(|row| row.service_scope)
    };
    let name = settings.account.clone().unwrap_or_default();
    Ok(Account {
        user: user.to_owned(),
        grant,
        client_id,
        client_secret: client_secret(settings),
        client_key: settings.path("oauth2-client-key").map(|key| {
            let cert = settings.path("oauth2-client-cert");
            (key.clone(), cert.unwrap_or(key))
        }),
        service_key: settings.path("oauth2-service-account"),
        scope: settings
            .filled("oauth2-scope")
            .unwrap_or_else(|| scope.to_owned()),
        authorize: address("oauth2-authorize-url", row(|row| row.authorize))?,
        token,
        device: address("oauth2-device-url", row(|row| row.device))?,
        extra: provider.map_or(&[], |provider| provider.extra),
        redirect_host: provider.map_or("127.0.0.1", |provider| provider.redirect_host),
        rule: provider.and_then(|provider| provider.rule),
        file: file(settings, &name)?,
        name,
    })
}

fn provider(settings: &Settings) -> Option<&'static Provider> {
    match settings.filled("oauth2-provider") {
        Some(named) => oauth::named(&named),
        None => settings.provider().and_then(oauth::for_mail),
    }
}

fn grant(settings: &Settings) -> Grant {
    let named = settings.filled("oauth2-grant");
    match named.as_deref().and_then(Grant::of_word) {
        Some(grant) => grant,
        None if settings.filled("oauth2-service-account").is_some() => Grant::ServiceAccount,
        None => Grant::Code,
    }
}

/// The secret of the client: by the strongest layer, and in one of them by the order of the names.
fn client_secret(settings: &Settings) -> Option<SecretSource> {
    let set = CLIENT_SECRETS
        .iter()
        .filter_map(|name| settings.winner(name));
    let strongest = set.max_by_key(|assignment| assignment.layer)?;
    source(settings, strongest)
}

/// The file of the tokens.
fn file(settings: &Settings, name: &str) -> Result<PathBuf, SettingsError> {
    if let Some(path) = settings.path("oauth2-token-file") {
        return Ok(path);
    }
    let Some(state) = &settings.state else {
        let why = "this user has no directory for state: set it to a file";
        return Err(wrong(settings, "oauth2-token-file", why));
    };
    let sound = |c: char| c.is_ascii_alphanumeric() || "@-_".contains(c);
    let name: String = match name {
        "" => "default".to_owned(),
        name => {
            let dots = |(at, c): (usize, char)| {
                if sound(c) || at > 0 && c == '.' {
                    c
                } else {
                    '_'
                }
            };
            name.chars().enumerate().map(dots).collect()
        }
    };
    Ok(state.join("oauth2").join(name + ".json"))
}
