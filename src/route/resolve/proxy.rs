//! The proxy in front of a server, and its password.
//!
//! Promise: the password of a queued mail's proxy is taken from the run that sends it only where
//! that run names the same proxy and user.
use std::net::IpAddr;

use super::wrong;
use crate::environment;
use crate::route::url::{Parsed, Server};
use crate::route::{Proxy, ProxyKind};
use crate::secret::{Secret, SecretSource};
use crate::settings::value::Value;
use crate::settings::{Assignment, Layer, Settings, SettingsError};

/// The word for the proxy of the environment.
const OF_ENVIRONMENT: &str = "environment";

/// Decides on the proxy for a host.
pub(super) fn proxy(
    settings: &Settings,
    chain: &[String],
    host: &str,
) -> Result<Option<Proxy>, SettingsError> {
    let Some(text) = settings.chained("proxy", chain).and_then(proxy_of) else {
        return Ok(None);
    };
    if text.text().eq_ignore_ascii_case(OF_ENVIRONMENT) {
        return of_environment(settings, host);
    }
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

/// The proxy of the environment, unless the host is one of those that are reached without.
fn of_environment(settings: &Settings, host: &str) -> Result<Option<Proxy>, SettingsError> {
    let variable = |names: [&str; 2]| names.iter().find_map(environment::filled);
    let text = |value: std::ffi::OsString| value.into_string().ok();
    let Some(named) = variable(["all_proxy", "ALL_PROXY"]) else {
        return Ok(None);
    };
    let without = variable(["no_proxy", "NO_PROXY"]).and_then(text);
    if without.is_some_and(|list| is_listed(&list, host)) {
        return Ok(None);
    }
    let bad = |why: &str| wrong(settings, "proxy", format!("$ALL_PROXY: {why}"));
    let named = text(named).ok_or_else(|| bad("it is not UTF-8"))?;
    // curl's name for names that the proxy looks up, which is how it always is here.
    let parsed = Parsed::proxy(named);
    let (kind, server) = parsed.meaning().map_err(bad)?;
    let password = server.password.clone().unwrap_or_default();
    let secret = SecretSource::Inline(Secret::new(password));
    Ok(Some(Proxy {
        kind: *kind,
        host: server.host.clone(),
        port: server.port.unwrap_or(1080),
        login: server.user.clone().map(|user| (user, secret)),
    }))
}

/// Returns whether a list like that of `NO_PROXY` names a host: itself, a domain above it, its
/// address, a network, or `*` for all.
fn is_listed(list: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    let mut entries = list.split([',', ' ']).filter(|entry| !entry.is_empty());
    entries.any(|entry| {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        let network = entry.split_once('/').and_then(|(network, bits)| {
            Some((network.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?))
        });
        if let (Some(address), Some((network, bits))) = (address, network) {
            return is_within(address, network, bits);
        }
        let entry = entry.trim_matches(['[', ']']).trim_start_matches("*.");
        let domain = entry.trim_matches('.');
        match (address, domain.parse::<IpAddr>()) {
            (Some(address), Ok(named)) => address == named,
            (Some(_), Err(_)) | (None, Ok(_)) => false,
            (None, Err(_)) => host
                .strip_suffix(domain)
                .is_some_and(|rest| !domain.is_empty() && (rest.is_empty() || rest.ends_with('.'))),
        }
    })
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let shift = width - bits.min(width);
    let cut = |value: u128| value.checked_shr(shift).unwrap_or(0);
    bits <= width && cut(address) == cut(network)
}

/// The proxy that a setting names; `None` for an empty one.
fn proxy_of(said: &Assignment) -> Option<&Parsed<(ProxyKind, Server)>> {
    match said.value.as_ref()? {
        Value::Proxy(proxy) if !proxy.text().is_empty() => Some(proxy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_hosts_domains_addresses_and_networks() {
        let list = "localhost, .corp.example,*.lab.example,192.0.2.7,10.0.0.0/8,2001:db8::/32";
        for (host, listed) in [
            ("localhost", true),
            ("mail.corp.example", true),
            ("corp.example", true),
            ("mail.CORP.example.", true),
            ("notcorp.example", false),
            ("a.lab.example", true),
            ("192.0.2.7", true),
            ("192.0.2.70", false),
            ("10.200.0.1", true),
            ("11.0.0.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("example", false),
        ] {
            assert_eq!(is_listed(list, host), listed, "{host}");
        }
        assert!(is_listed("*", "x.example") && !is_listed("", "x.example"));
        assert!(!is_listed("0.0.0.0/40", "1.2.3.4") && is_listed("0.0.0.0/0", "1.2.3.4"));
    }
}
