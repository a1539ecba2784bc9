//! The way to a mail server: its ports, trust, login, proxy and the names that are told.
use std::net::IpAddr;
use std::path::PathBuf;

use super::config::SmtpConfig;
use super::login::{At, login};
use super::ports::endpoints;
use super::proxy::proxy;
use super::trust::trust;
use super::{suffixes, timeouts, wrong};
use crate::address::Mailbox;
use crate::route::url::{self, Scheme, Server};
use crate::route::{Endpoint, Smtp, TlsMode, Verify};
use crate::settings::{Settings, SettingsError};

pub(super) fn smtp(
    settings: &Settings,
    author: &Mailbox,
    server: Server,
    socket: Option<PathBuf>,
    name: &'static str,
) -> Result<Smtp, SettingsError> {
    let chain = suffixes(&server, server.user.as_deref(), author);
    let config = SmtpConfig::read(settings.chained("smtp-config", &chain));
    let trust = trust(settings, &chain)?;
    let always =
        |endpoint: &Endpoint| matches!(endpoint.tls, TlsMode::Implicit | TlsMode::Starttls);
    let proven = (trust.verify == Verify::Strict || trust.fingerprint.is_some())
        && socket.is_none()
        && endpoints(settings, &server, &chain, true, &config)
            .iter()
            .all(always);
    let at = At {
        server: &server,
        socket: socket.as_deref(),
        name,
        proven,
    };
    let login = login(settings, author, &at, &chain, &config)?;
    let endpoints = match socket {
        Some(_) => vec![Endpoint {
            port: 0,
            tls: TlsMode::None,
        }],
        None => endpoints(settings, &server, &chain, login.is_some(), &config),
    };
    let mut timeouts = timeouts(settings);
    if let Some(time) = settings.time("connect-timeout") {
        timeouts.connect = time;
    }
    let proxy = proxy(settings, &chain, &server.host)?;
    Ok(Smtp {
        provider: settings.preset.as_ref().map(|preset| preset.id.to_owned()),
        lmtp: server.scheme == Some(Scheme::Lmtp),
        host: server.host,
        endpoints,
        socket,
        connect_to: host_port(settings, "connect-to")?,
        proxy,
        source_address: source_address(settings)?,
        hello_name: hello_name(settings)?,
        ehlo: config.ehlo,
        trust,
        login,
        pipelining: settings.filled("pipelining").as_deref() != Some("no"),
        chunking: settings.filled("chunking").as_deref() != Some("no"),
        timeouts,
    })
}

fn host_port(
    settings: &Settings,
    name: &'static str,
) -> Result<Option<(String, Option<u16>)>, SettingsError> {
    match settings.filled(name) {
        Some(text) => url::host_port(&text)
            .map(Some)
            .map_err(|why| wrong(settings, name, why)),
        None => Ok(None),
    }
}

fn source_address(settings: &Settings) -> Result<Option<IpAddr>, SettingsError> {
    match settings.filled("source-address") {
        Some(text) => text.parse().map(Some).map_err(|_| {
            let shown = url::masked(&text);
            wrong(
                settings,
                "source-address",
                format!("`{}` is not an IP address", crate::text::word(&shown)),
            )
        }),
        None => Ok(None),
    }
}

/// `hello-name`, else a `hostname` that was set or has a domain; `None` leaves the address literal,
/// which every server takes.
fn hello_name(settings: &Settings) -> Result<Option<String>, SettingsError> {
    if let Some(name) = settings.filled("hello-name") {
        let inner = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        if inner.is_some_and(|ip| ip.trim_start_matches("IPv6:").parse::<IpAddr>().is_ok()) {
            return Ok(Some(name));
        }
        let Ok((host, None)) = url::host_port(&name) else {
            let shown = url::masked(&name);
            return Err(wrong(
                settings,
                "hello-name",
                format!("`{}` is not a host name", crate::text::word(&shown)),
            ));
        };
        return Ok(Some(host));
    }
    if let Some(name) = settings.filled("hostname") {
        return url::host_port(&name)
            .map(|(host, _)| Some(host))
            .map_err(|why| wrong(settings, "hostname", why));
    }
    let own = settings.host.hostname.clone();
    Ok(own.filter(|name| names_a_host(name)))
}

/// Returns whether a name of the system tells this host from others: installers leave
/// `localhost.localdomain`, which servers refuse.
fn names_a_host(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let last = lower
        .trim_end_matches('.')
        .rsplit('.')
        .next()
        .unwrap_or_default();
    let everywhere = [
        "localhost",
        "localdomain",
        "localdomain4",
        "localdomain6",
        "invalid",
    ]
    .contains(&last);
    name.contains('.')
        && !everywhere
        && url::host_port(name).is_ok_and(|(h, p)| h == name && p.is_none())
}
