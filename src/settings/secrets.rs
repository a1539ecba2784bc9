//! The secrets that the settings hold themselves.
//!
//! Promise: nothing is fetched. What a file, a program or the terminal has is asked for at the
//! login, and by nobody else.
use super::Settings;
use super::value::Value;
use crate::route::url;
use crate::secret::Secret;

/// The secrets that the settings hold themselves, of any server, as they are typed and as they are
/// sent.
pub(crate) fn secrets_at_hand(settings: &Settings) -> Vec<Secret> {
    let values = settings.trail.iter().filter_map(|a| a.value.as_ref());
    values.flat_map(secrets_of).collect()
}

fn secrets_of(value: &Value) -> Vec<Secret> {
    let (text, server) = match value {
        Value::Secret(secret) => return vec![secret.clone()],
        Value::Target(target) => (target.text(), target.server()),
        Value::Proxy(proxy) => (proxy.text(), proxy.meaning().ok().map(|(_, server)| server)),
        _ => return Vec::new(),
    };
    if !url::has_password(text) {
        return Vec::new();
    }
    let decoded = server.and_then(|server| server.password.as_deref());
    let typed = text
        .rsplit_once('@')
        .and_then(|(login, _)| login.rsplit_once(':'))
        .map(|(_, password)| password);
    decoded.into_iter().chain(typed).map(Secret::new).collect()
}
