//! Which settings may hold a secret, and where it lies.
//!
//! Promise: nothing is opened or run here.
use std::cmp::Reverse;

use super::owner::{self, Goal};
use crate::secret::SecretSource;
use crate::settings::keys::Kind;
use crate::settings::value::Value;
use crate::settings::{Assignment, SECRETS, Settings};

/// What may hold the secret, the strongest first: the most specific suffix, then the layer, then
/// the later name. What a source takes back (`unset`) hides the weaker ones.
pub(super) fn candidates<'a>(goal: &'a Goal<'_>, names: &[&str]) -> Vec<&'a Assignment> {
    let settings = goal.settings;
    let beside = settings.waiting.iter().flat_map(|waiting| &waiting.secrets);
    let mut found: Vec<(usize, &Assignment)> = Vec::new();
    for name in names {
        let taken_back = settings
            .trail
            .iter()
            .rposition(|a| a.key.name == *name && a.suffix.is_none() && a.value.is_none());
        let plain = taken_back.map_or(0, |at| at + 1);
        let said = settings
            .trail
            .iter()
            .enumerate()
            .filter(|(at, a)| a.suffix.is_some() || *at >= plain);
        for secret in said
            .map(|(_, a)| a)
            .chain(beside.clone())
            .filter(|a| a.key.name == *name && a.value.is_some())
        {
            match &secret.suffix {
                None => found.push((usize::MAX, secret)),
                Some(suffix) => found.extend(
                    goal.chain
                        .iter()
                        .position(|s| s == suffix)
                        .map(|at| (at, secret)),
                ),
            }
        }
    }
    if names == SECRETS {
        let urls = settings
            .trail
            .iter()
            .chain(beside)
            .filter(|a| owner::is_url(a));
        found.extend(urls.map(|url| (usize::MAX, url)));
    }
    found.reverse();
    found.sort_by_key(|(specific, a)| (*specific, Reverse(a.layer)));
    found.into_iter().map(|(_, a)| a).collect()
}

/// Where a setting has its secret; `None` for one that is set to nothing.
pub(super) fn source(settings: &Settings, secret: &Assignment) -> Option<SecretSource> {
    match (secret.key.kind, secret.value.as_ref()?) {
        (Kind::Secret, Value::Secret(secret)) => Some(SecretSource::Inline(secret.clone())),
        (Kind::Path, Value::Text(path)) if !path.is_empty() => {
            Some(SecretSource::File(settings.expand(path)))
        }
        (Kind::Program, Value::List(words)) if !words.is_empty() => {
            let mut words = words.clone();
            words[0] = settings.expand(&words[0]).to_string_lossy().into_owned();
            Some(SecretSource::Command(words))
        }
        _ => None,
    }
}
