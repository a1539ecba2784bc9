//! An account on its way from answers to the lines of a file.
//!
//! Promise: what is tried is what is written; a value is quoted, a secret struck out where it is
//! shown.
use std::fmt::Write as _;

use super::find::{Login, Server};
use super::messages::{self, Messages};
use crate::oauth;
use crate::route::TlsMode;
use crate::route::url;
use crate::secret::Secret;
use crate::settings::keys::{self, Kind};
use crate::settings::value::Raw;
use crate::settings::{Override, quote};

/// Settings of other files that would change where mail of a new account goes or who logs in,
/// unless it says otherwise.
pub(crate) const LEAKS: &[&str] = &[
    "tls",
    "auth",
    "connect-to",
    "tls-fingerprint",
    "envelope-from",
    "provider",
];

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its name, with the suffix if there is one.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// A value as TOML has it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text.
    Text(String),
    /// A text that is shown to nobody.
    Secret(Secret),
    /// On or off.
    Flag(bool),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Text(text) => f.write_str(&quote(&url::masked_server(text))),
            other => f.write_str(&other.toml(false)),
        }
    }
}

impl Value {
    fn toml(&self, reveal: bool) -> String {
        match self {
            Value::Text(text) => quote(text),
            Value::Secret(secret) => quote(if reveal { secret.reveal() } else { "***" }),
            Value::Flag(on) => on.to_string(),
        }
    }
}

impl Setting {
    /// A setting with a text.
    pub(crate) fn new(name: &str, text: impl Into<String>) -> Self {
        Setting {
            name: name.to_owned(),
            value: Value::Text(text.into()),
        }
    }

    /// Reads the value of `-S`, with the name that the table gives it; unknown names stay as they
    /// are.
    pub(crate) fn parse(text: &str) -> Self {
        let Override { key, value, .. } = Override::parse(text);
        let value = match value {
            Some(Raw::Text(text)) => Value::Text(text),
            value => Value::Flag(value.is_some()),
        };
        let name = match keys::find(&key) {
            Some((row, None)) => row.name.to_owned(),
            Some((row, Some(suffix))) => format!("{}-{suffix}", row.name),
            None => key,
        };
        Setting { name, value }
    }

    /// As the settings take it.
    pub(crate) fn found(&self) -> Override {
        let raw = match &self.value {
            Value::Text(text) => Raw::Text(text.clone()),
            Value::Secret(secret) => Raw::Secret(secret.clone()),
            Value::Flag(on) => Raw::Flag(*on),
        };
        Override::found(&self.name, raw)
    }

    /// Returns whether it holds a secret, which no argument may.
    pub(crate) fn is_secret(&self) -> bool {
        let secret = keys::find(&self.name).is_some_and(|(key, _)| key.kind == Kind::Secret);
        secret
            || matches!(&self.value, Value::Text(text) if self.is_url() && url::has_password(text))
    }

    fn is_url(&self) -> bool {
        matches!(self.name.as_str(), "smtp" | "mta" | "proxy")
    }

    /// Its line in a file.
    pub(crate) fn line(&self, reveal: bool) -> String {
        let plain = self
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let name = if plain {
            self.name.clone()
        } else {
            quote(&self.name)
        };
        match &self.value {
            Value::Text(url) if self.is_url() && !reveal => {
                format!("{name} = {}\n", quote(&url::masked_server(url)))
            }
            value => format!("{name} = {}\n", value.toml(reveal)),
        }
    }
}

/// How the account proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// There is no login.
    None,
    /// A password that was typed or handed over.
    Typed(Secret),
    /// A program that prints the password, or the token.
    Command(String),
    /// An access token: a person signs in for this client of the provider.
    SignIn {
        /// Its id.
        client: String,
        /// Its secret, if it has one.
        secret: Option<Secret>,
    },
    /// `-S` says where it comes from.
    Setting,
}

/// What is known of the account.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// Mail comes from it.
    pub address: String,
    /// Where it goes; `None` when `-S` says so.
    pub server: Server,
    /// The user name; `None` without a login.
    pub user: Option<String>,
    /// How it logs in.
    pub proof: Proof,
}

impl Account {
    /// The provider that gives out access tokens for this server.
    pub(super) fn token_provider(server: &Server) -> Option<&'static oauth::Provider> {
        server
            .preset
            .as_ref()
            .and_then(|preset| oauth::for_mail(preset.id))
    }

    /// Returns whether the provider takes access tokens only.
    pub(super) fn wants_token(server: &Server) -> bool {
        if let Some(login) = &server.login {
            return matches!(login, Login::Token(_));
        }
        let auth = server.preset.as_ref().map_or(&[][..], |preset| preset.auth);
        !auth.is_empty() && auth.iter().all(|mechanism| mechanism.wants_token())
    }

    /// The settings, those of the command line last and in place of ours; `stored` says where the
    /// password is.
    pub(super) fn said(
        &self,
        options: &[Setting],
        leaks: &[&'static str],
        stored: Option<Setting>,
    ) -> Vec<Setting> {
        // Where another file says how TLS starts, both ports cannot be left open.
        let smtp = if leaks.contains(&"tls") {
            self.server.url()
        } else {
            self.server.setting()
        };
        let mut said = vec![
            Setting::new("from", &self.address),
            Setting::new("smtp", smtp),
        ];
        said.extend(
            leaks
                .iter()
                .filter(|n| **n != "tls")
                .map(|name| Setting::new(name, if *name == "auth" { "auto" } else { "" })),
        );
        if self.server.endpoint.tls == TlsMode::None || leaks.contains(&"tls") {
            said.push(Setting::new("tls", self.server.endpoint.tls.word()));
        }
        said.extend(
            self.user
                .as_ref()
                .map(|user| Setting::new("auth-user", user)),
        );
        if matches!(self.proof, Proof::Command(_)) && Account::wants_token(&self.server) {
            said.retain(|s| s.name != "auth");
            said.push(Setting::new("auth", "xoauth2"));
        }
        if let Proof::Command(command) = &self.proof {
            said.push(Setting::new("auth-password-command", command));
        }
        if let Proof::SignIn { client, secret } = &self.proof {
            said.retain(|s| s.name != "auth");
            said.push(Setting::new("auth", "oauth2"));
            said.push(Setting::new("oauth2-client-id", client));
            said.extend(secret.as_ref().map(|secret| Setting {
                name: "oauth2-client-secret".to_owned(),
                value: Value::Secret(secret.clone()),
            }));
        }
        said.extend(stored);
        said.retain(|ours| options.iter().all(|wish| wish.name != ours.name));
        said.extend(options.iter().cloned());
        said
    }

    /// What the provider says of itself, as remarks of the file.
    pub(super) fn remarks(&self, messages: Messages) -> String {
        let mut out = String::new();
        let Some(preset) = &self.server.preset else {
            return out;
        };
        let mut remark = |text: String| {
            let _ = writeln!(out, "# {text}");
        };
        remark(preset.name.to_owned());
        if self.proof != Proof::None && !preset.secret.is_empty() {
            remark(messages.of(messages::SECRET_KIND, &[preset.secret]));
        }
        if self.proof != Proof::None && !preset.credential_hint.is_empty() {
            remark(messages.of(messages::SECRET_WHERE, &[preset.credential_hint]));
        }
        out
    }
}
