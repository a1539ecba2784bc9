//! The proxy in front of a server, and its password.
//!
//! Promise: the password of a queued mail's proxy is taken from the run that sends it only where
//! that run names the same proxy and user.
use super::wrong;
use crate::route::url::{Parsed, Server};
use crate::route::{Proxy, ProxyKind};
use crate::secret::{Secret, SecretSource};
use crate::settings::value::Value;
use crate::settings::{Assignment, Layer, Settings, SettingsError};

pub(super) fn proxy(settings: &Settings, chain: &[String]) -> Result<Option<Proxy>, SettingsError> {
    let Some(text) = settings.chained("proxy", chain).and_then(proxy_of) else {
        return Ok(None);
    };
    let (kind, server) = text
        .meaning()
        .map_err(|why| wrong(settings, "proxy", why))?;
    let (kind, server) = (*kind, server.clone());
    let (host, port) = (server.host.clone(), server.port.unwrap_or(1080));
    let password = match (&server.user, server.password.clone(), &settings.waiting) {
        // Its password was not kept; the run that sends it may have it.
        (Some(user), None, Some(waiting))
            if settings
                .chained("proxy", chain)
                .is_some_and(|a| a.layer == Layer::Waiting) =>
        {
            let same = |a: &Assignment| {
                let (other, found) = proxy_of(a)?.meaning().ok()?;
                let alike = *other == kind
                    && (&found.host, found.port, &found.user) == (&host, server.port, &server.user);
                found.password.clone().filter(|_| alike)
            };
            let known = waiting
                .secrets
                .iter()
                .filter(|a| a.key.name == "proxy")
                .find_map(same);
            Some(known.ok_or_else(|| SettingsError::NotKept {
                server: format!("the proxy {host}:{port}"),
                user: user.clone(),
                secret: "proxy".to_owned(),
            })?)
        }
        (_, password, _) => password,
    };
    let login = server.user.map(|user| {
        (
            user,
            SecretSource::Inline(Secret::new(password.unwrap_or_default())),
        )
    });
    Ok(Some(Proxy {
        kind,
        host,
        port,
        login,
    }))
}

/// The proxy that a setting names; `None` for an empty one.
fn proxy_of(said: &Assignment) -> Option<&Parsed<(ProxyKind, Server)>> {
    match said.value.as_ref()? {
        Value::Proxy(proxy) if !proxy.text().is_empty() => Some(proxy),
        _ => None,
    }
}
