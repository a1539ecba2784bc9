//! The ports to try, and how TLS starts at each.
//!
//! Promise: a login never makes a port whose TLS may fall away, unless the server is on this host
//! or the user wrote so.
use std::net::IpAddr;

use super::config::SmtpConfig;
use crate::providers::Preset;
use crate::route::url::{Scheme, Server};
use crate::route::{Endpoint, TlsMode};
use crate::settings::Settings;
use crate::settings::value::Value;

/// The ports to try and how TLS starts at each.
pub(super) fn endpoints(
    settings: &Settings,
    server: &Server,
    chain: &[String],
    login: bool,
    config: &SmtpConfig,
) -> Vec<Endpoint> {
    let forced = forced_mode(settings, chain, server);
    let loopback = is_loopback(&server.host);
    // STARTTLS that may fall away is safe only where nothing secret travels; on this host nobody
    // listens.
    let softest = if login && !loopback {
        TlsMode::Starttls
    } else {
        TlsMode::Opportunistic
    };
    let soft = |mode: TlsMode| match mode {
        TlsMode::Starttls | TlsMode::Opportunistic if !config.starttls => TlsMode::None,
        TlsMode::Starttls => softest,
        mode => mode,
    };
    let preset = settings.preset.as_ref();
    let endpoint = |port, mode| {
        vec![Endpoint {
            port,
            tls: forced.unwrap_or(mode),
        }]
    };
    match (server.scheme, server.port) {
        (Some(Scheme::Smtps), port) => endpoint(port.unwrap_or(465), TlsMode::Implicit),
        (Some(scheme), port) => endpoint(port.unwrap_or(scheme.port()), soft(TlsMode::Starttls)),
        (None, Some(port)) => endpoint(port, mode_of_port(preset, port, &soft)),
        (None, None) => match (forced, preset) {
            (Some(TlsMode::Implicit), _) => endpoint(465, TlsMode::Implicit),
            (None, Some(preset)) => {
                let Endpoint { port, tls } = preset.endpoint();
                endpoint(
                    port,
                    if tls == TlsMode::None {
                        soft(TlsMode::Starttls)
                    } else {
                        tls
                    },
                )
            }
            (Some(mode), _) => endpoint(if login { 587 } else { 25 }, mode),
            (None, None) if login && !loopback => {
                vec![
                    Endpoint {
                        port: 465,
                        tls: TlsMode::Implicit,
                    },
                    Endpoint {
                        port: 587,
                        tls: TlsMode::Starttls,
                    },
                ]
            }
            (None, None) => endpoint(25, soft(TlsMode::Starttls)),
        },
    }
}

fn mode_of_port(preset: Option<&Preset>, port: u16, soft: &dyn Fn(TlsMode) -> TlsMode) -> TlsMode {
    match preset.and_then(|p| p.mode_for_port(port)) {
        Some(TlsMode::Implicit) => TlsMode::Implicit,
        Some(TlsMode::Starttls) => TlsMode::Starttls,
        _ if matches!(port, 465 | 994 | 2465) => TlsMode::Implicit,
        _ => soft(TlsMode::Starttls),
    }
}

/// The mode the user wrote: `tls`, else `smtp-use-starttls` where TLS is not implicit anyway.
fn forced_mode(settings: &Settings, chain: &[String], server: &Server) -> Option<TlsMode> {
    let set = settings.filled("tls");
    if let Some(mode) = set.as_deref().and_then(TlsMode::of_word) {
        return Some(mode);
    }
    let implicit = server.scheme == Some(Scheme::Smtps)
        || (server.scheme.is_none()
            && server.port.is_some_and(|p| {
                mode_of_port(settings.preset.as_ref(), p, &|m| m) == TlsMode::Implicit
            }));
    let asked = matches!(
        settings
            .chained("starttls", chain)
            .and_then(|a| a.value.as_ref()),
        Some(Value::Flag(true))
    );
    (asked
        && !implicit
        && (server.port.is_some() || server.scheme.is_some() || settings.preset.is_none()))
    .then_some(TlsMode::Starttls)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
