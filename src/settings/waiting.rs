//! What a mail keeps of its route while it waits, and the settings by which it goes later.
//!
//! Promise: no secret is kept. A mail goes where it was meant to go: what its own command line and
//! environment said of the route counts over the files of today, and the command line and
//! environment of the run that takes it along do not count, unless that run is there to send what
//! waits. Secrets of that run are at hand, but go only where they belong.
use super::keys::{Key, Kind};
use super::layers::{CREDENTIALS, Layers, has_url_password};
use super::value::{Raw, Value};
use super::{Assignment, Layer, Origin, Settings, SettingsError, Source, text_of};
use crate::route::{LoginOrigin, url};

/// The settings that hold a secret, or say where it comes from.
pub(crate) const SECRETS: [&str; 3] = [
    "auth-password",
    "auth-password-file",
    "auth-password-command",
];

/// What a mail kept of its run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredSettings<'a> {
    /// The account it was sent by.
    pub account: Option<&'a str>,
    /// What [`Settings::said_of_route`] gave.
    pub said: &'a [String],
    /// Its login, when it had one and was kept by a version that notes it.
    pub login: Option<&'a LoginOrigin>,
}

/// What settings for a mail that waits know beside their values.
pub(crate) struct Waiting {
    /// The settings of the run that sends it.
    pub run: Option<Settings>,
    /// The URLs with a password, and other secrets, that this run has beside these settings.
    pub secrets: Vec<Assignment>,
    /// The login of the mail.
    pub login: Option<LoginOrigin>,
}

impl Layers {
    /// The settings for a mail that waited: those of the files, with what its command line and its
    /// environment said of the way, and its account. With `by_hand` the environment and the `-S` of
    /// this run count too, `-S` most.
    ///
    /// # Errors
    /// [`SettingsError`]: also when the account is gone.
    pub(crate) fn resolve_for(
        &self,
        kept: StoredSettings<'_>,
        by_hand: bool,
    ) -> Result<Settings, SettingsError> {
        let mut layers = self.again(kept.account);
        let counts = |a: &Assignment| {
            Source::of(a.layer) == Source::Files || (by_hand && a.layer != Layer::Flag)
        };
        layers.assignments.retain(counts);
        if let Some(name) = kept
            .account
            .filter(|name| !layers.accounts.contains_key(*name))
        {
            return Err(SettingsError::NoAccount(
                name.to_owned(),
                layers.accounts.into_keys().collect(),
            ));
        }
        if kept.account.is_none() {
            layers.assignments.retain(|a| a.key.name != "account");
        }
        let origin = Origin::Flag("the queue".to_owned());
        for line in kept.said {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            layers.assign(name, Raw::Text(value.to_owned()), Layer::Waiting, &origin)?;
        }
        let mut settings = layers.resolve(&[])?;
        let beside =
            |a: &&Assignment| !counts(a) && SECRETS.contains(&a.key.name) || has_url_password(a);
        let secrets = self.assignments.iter().filter(beside).cloned().collect();
        settings.waiting = Some(Box::new(Waiting {
            run: self.resolve(&[]).ok(),
            secrets,
            login: kept.login.cloned(),
        }));
        Ok(settings)
    }
}

impl Settings {
    /// What the command line and the environment said of the way, as `name=value`, without secrets:
    /// a mail that waits needs it.
    pub(crate) fn said_of_route(&self) -> Vec<String> {
        let of_run = |a: &&Assignment| {
            let outdone = || {
                self.trail
                    .iter()
                    .any(|other| is_of_file(other) && is_same(other, a))
            };
            Source::of(a.layer) != Source::Files
                && ["Server", "Login", "OAuth2"].contains(&a.key.group)
                && !is_credential(a)
                && a.key.kind != Kind::Secret
                && (a.layer >= Layer::Environment || !outdone())
        };
        let mut lines: Vec<String> = self.trail.iter().filter(of_run).filter_map(line).collect();
        // A server that was found by what only this run said would not be found again.
        let found = self
            .winner("smtp")
            .filter(|smtp| smtp.layer == Layer::Preset);
        let by_run = |name| {
            self.winner(name)
                .is_some_and(|a| Source::of(a.layer) != Source::Files)
        };
        if let Some(smtp) =
            found.filter(|_| by_run("from") || SECRETS.iter().any(|name| by_run(name)))
        {
            lines.extend(line(smtp));
        }
        lines
    }
}

/// Returns whether systemd handed it to this run: the next one has its own, or none.
fn is_credential(assignment: &Assignment) -> bool {
    matches!(&assignment.origin, Origin::Environment(name) if name.starts_with(CREDENTIALS))
}

fn is_of_file(assignment: &Assignment) -> bool {
    Source::of(assignment.layer) == Source::Files && assignment.layer != Layer::Preset
}

fn is_same(one: &Assignment, other: &Assignment) -> bool {
    std::ptr::eq(one.key, other.key) && one.suffix == other.suffix
}

/// A value as it is kept; `None` for one that cannot be kept.
fn line(assignment: &Assignment) -> Option<String> {
    let Key { name, kind, .. } = assignment.key;
    let value = match assignment.value.as_ref()? {
        Value::List(list) if *kind == Kind::Program => {
            shlex::try_join(list.iter().map(String::as_str)).ok()?
        }
        value @ (Value::Target(_) | Value::Proxy(_)) => url::without_password(&text_of(value))?,
        // A URL in the wrong place.
        value => {
            Some(text_of(value)).filter(|text| *name == "auth-user" || !url::has_password(text))?
        }
    };
    Some(match &assignment.suffix {
        Some(suffix) => format!("{name}-{suffix}={value}"),
        None => format!("{name}={value}"),
    })
}
