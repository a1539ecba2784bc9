//! Settles the route: which server, which port, how TLS starts, who logs in.
//!
//! Promise: credentials and TLS are settled here once. A login never makes a route whose TLS may
//! fall away, unless the server is on this host or the user wrote so (house decision 11).
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

mod login;
mod owner;
#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod tests;

use super::url::{self, Scheme, Server, Target};
use super::{
    Door, Mechanism, Patience, Program, Proxy, ProxyKind, Route, Smtp, TlsMode, Trust, Verify,
};
use crate::address::Mailbox;
use crate::environment;
use crate::providers::Preset;
use crate::secret::{Secret, SecretSource};
use crate::settings::value::Value;
use crate::settings::{Assignment, Layer, Settings, SettingsError, text_of};
use login::{At, login, mechanism};

/// Where sendmail programs live.
const SENDMAIL: &[&str] = &[
    "/usr/sbin/sendmail",
    "/usr/lib/sendmail",
    "/usr/bin/sendmail",
];

/// Settles where a mail of this author goes.
///
/// # Errors
/// [`SettingsError`]: a value that does not fit, or nothing that says where.
pub fn resolve(settings: &Settings, author: &Mailbox) -> Result<Route, SettingsError> {
    let Some((target, name)) = chosen_target(settings)? else {
        if let Some(path) = &settings.unreadable {
            return Err(unreadable(path));
        }
        return program(settings, local_sendmail().ok_or(SettingsError::NoRoute)?);
    };
    match target {
        Target::Server(server) => {
            smtp(settings, author, server, None, name).map(|s| Route::Smtp(Box::new(s)))
        }
        Target::Socket(path, scheme) => {
            let socket = settings.expand(&path.to_string_lossy());
            let smtp = smtp(settings, author, Server::local(scheme), Some(socket), name)?;
            Ok(Route::Smtp(Box::new(smtp)))
        }
        Target::Program(path) => {
            let path = settings.expand(&path);
            // Found out here, before the text is read and lost.
            if !path.is_file() {
                let shown = url::masked(&path.display().to_string());
                return Err(wrong(
                    settings,
                    name,
                    format!("there is no program {shown}"),
                ));
            }
            program(settings, path)
        }
        Target::Stdout => Ok(Route::Stdout),
        Target::File(path) => Ok(Route::File(settings.expand(&path))),
    }
}

/// Tells whether mail goes to a program of this host, which can resolve bare names.
pub fn is_program(settings: &Settings) -> bool {
    !matches!(
        chosen_target(settings),
        Ok(Some((Target::Server(_) | Target::Socket(..), _)))
    )
}

/// `smtp` or `mta`: the one that was said by the stronger source, `smtp` when both were said by the
/// same.
pub(super) fn chosen_target(
    settings: &Settings,
) -> Result<Option<(Target, &'static str)>, SettingsError> {
    let layer = |name| {
        settings
            .winner(name)
            .filter(|_| settings.filled(name).is_some())
            .map(|a| a.layer)
    };
    let name = match (layer("smtp"), layer("mta")) {
        (None, None) => return Ok(None),
        (Some(smtp), Some(mta)) if mta > smtp => "mta",
        (Some(_), _) => "smtp",
        (None, Some(_)) => "mta",
    };
    let text = settings.filled(name).unwrap_or_default();
    let target = url::parse(&text).map_err(|why| wrong(settings, name, why))?;
    Ok(Some((target, name)))
}

pub(super) fn wrong(
    settings: &Settings,
    name: &'static str,
    why: impl Into<String>,
) -> SettingsError {
    SettingsError::Value {
        name: name.to_owned(),
        origin: settings.origin(name).cloned(),
        why: why.into(),
    }
}

/// The sendmail program of this host, when it is another program than this one.
fn local_sendmail() -> Option<PathBuf> {
    SENDMAIL
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file() && !is_this_program(path))
}

/// Whether a path, by whatever links, is the program that runs.
fn is_this_program(path: &Path) -> bool {
    let file = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
    let me = environment::program().and_then(|me| file(&me));
    me.is_some() && file(path) == me
}

/// Nothing but a file that this user may not read says where mail goes.
fn unreadable(path: &Path) -> SettingsError {
    let shown = path.display();
    SettingsError::File {
        path: path.to_owned(),
        why: "this user may not read it, and nothing else sets a server".to_owned(),
        cure: Some(format!(
            "chgrp GROUP {shown} && chmod 640 {shown}, with a group that this user is in"
        )),
    }
}

/// The way by a program, which must not be this one: mail would never arrive, and processes never
/// end.
fn program(settings: &Settings, path: PathBuf) -> Result<Route, SettingsError> {
    if settings.nested || is_this_program(&path) {
        return Err(SettingsError::Circle);
    }
    Ok(Route::Program(Program {
        path,
        argv0: settings.filled("mta-argv0"),
        arguments: settings.list("mta-arguments"),
        no_default_arguments: settings.flag("mta-no-default-arguments"),
        no_recipients: settings.flag("mta-no-recipient-arguments"),
        sender: ["from", "envelope-from", "envelope-domain", "auth-user"]
            .iter()
            .any(|n| settings.filled(n).is_some()),
        verbose: settings.flag("verbose"),
        patience: patience(settings),
    }))
}

fn patience(settings: &Settings) -> Patience {
    settings
        .time("timeout")
        .map_or_else(Patience::default, Patience::scaled)
}

/// The chain forms of a name, most specific first (spec/mailx.md section 2.4).
pub(super) fn suffixes(server: &Server, user: Option<&str>, author: &Mailbox) -> Vec<String> {
    let host = server.host.to_lowercase();
    let mut hosts = vec![host.clone()];
    if let Some(port) = server.port {
        hosts.insert(0, format!("{host}:{port}"));
    }
    let user = user.map(str::to_lowercase);
    let users = user
        .iter()
        .flat_map(|u| hosts.iter().map(move |h| format!("{u}@{h}")));
    let mut all: Vec<String> = users.collect();
    all.extend(hosts.iter().cloned());
    all.push(author.address.key());
    all
}

fn smtp(
    settings: &Settings,
    author: &Mailbox,
    server: Server,
    socket: Option<PathBuf>,
    name: &'static str,
) -> Result<Smtp, SettingsError> {
    let chain = suffixes(&server, server.user.as_deref(), author);
    let config = SmtpConfig::read(settings.chained("smtp-config", &chain));
    let trust = trust(settings, &chain)?;
    let always = |door: &Door| matches!(door.tls, TlsMode::Implicit | TlsMode::Starttls);
    let proven = (trust.verify == Verify::Strict || trust.fingerprint.is_some())
        && socket.is_none()
        && doors(settings, &server, &chain, true, &config)
            .iter()
            .all(always);
    let at = At {
        server: &server,
        socket: socket.as_deref(),
        name,
        proven,
    };
    let login = login(settings, author, &at, &chain, &config)?;
    let doors = match socket {
        Some(_) => vec![Door {
            port: 0,
            tls: TlsMode::None,
        }],
        None => doors(settings, &server, &chain, login.is_some(), &config),
    };
    let mut patience = patience(settings);
    if let Some(time) = settings.time("connect-timeout") {
        patience.connect = time;
    }
    Ok(Smtp {
        provider: settings.preset.as_ref().map(|preset| preset.id.to_owned()),
        lmtp: server.scheme == Some(Scheme::Lmtp),
        host: server.host,
        doors,
        socket,
        connect_to: host_port(settings, "connect-to")?,
        proxy: proxy(settings, &chain)?,
        source_address: source_address(settings)?,
        hello_name: hello_name(settings)?,
        ehlo: config.ehlo,
        trust,
        login,
        pipelining: settings.filled("pipelining").as_deref() != Some("no"),
        chunking: settings.filled("chunking").as_deref() != Some("no"),
        patience,
    })
}

/// What s-nail's `smtp-config` says that has a meaning here.
pub(super) struct SmtpConfig {
    ehlo: bool,
    starttls: bool,
    pub(super) mechanism: Option<Mechanism>,
}

impl SmtpConfig {
    fn read(said: Option<&Assignment>) -> Self {
        let mut config = SmtpConfig {
            ehlo: true,
            starttls: true,
            mechanism: None,
        };
        let text = said
            .and_then(|a| a.value.as_ref().map(text_of))
            .unwrap_or_default();
        let words: Vec<_> = text
            .split(',')
            .map(|w| w.trim().to_ascii_lowercase())
            .collect();
        for word in &words {
            match word.as_str() {
                "-ehlo" => config.ehlo = false,
                "-starttls" => config.starttls = false,
                "-all" => (config.ehlo, config.starttls) = (false, false),
                "ehlo" | "+ehlo" => config.ehlo = true,
                "starttls" | "+starttls" => config.starttls = true,
                _ => {}
            }
        }
        let named: Vec<_> = words
            .iter()
            .filter_map(|w| mechanism(w.trim_start_matches('+')))
            .collect();
        if words.iter().any(|w| w == "-allmechs" || w == "-all") || named.len() == 1 {
            config.mechanism = named.first().copied();
        }
        config
    }
}

/// The ports to try and how TLS starts at each.
fn doors(
    settings: &Settings,
    server: &Server,
    chain: &[String],
    login: bool,
    config: &SmtpConfig,
) -> Vec<Door> {
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
    let door = |port, mode| {
        vec![Door {
            port,
            tls: forced.unwrap_or(mode),
        }]
    };
    match (server.scheme, server.port) {
        (Some(Scheme::Smtps), port) => door(port.unwrap_or(465), TlsMode::Implicit),
        (Some(scheme), port) => door(port.unwrap_or(scheme.port()), soft(TlsMode::Starttls)),
        (None, Some(port)) => door(port, mode_of_port(preset, port, &soft)),
        (None, None) => match (forced, preset) {
            (Some(TlsMode::Implicit), _) => door(465, TlsMode::Implicit),
            (None, Some(preset)) => {
                let Door { port, tls } = preset.door();
                door(
                    port,
                    if tls == TlsMode::None {
                        soft(TlsMode::Starttls)
                    } else {
                        tls
                    },
                )
            }
            (Some(mode), _) => door(if login { 587 } else { 25 }, mode),
            (None, None) if login && !loopback => {
                vec![
                    Door {
                        port: 465,
                        tls: TlsMode::Implicit,
                    },
                    Door {
                        port: 587,
                        tls: TlsMode::Starttls,
                    },
                ]
            }
            (None, None) => door(25, soft(TlsMode::Starttls)),
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
    match settings.filled("tls").as_deref() {
        Some("implicit") => return Some(TlsMode::Implicit),
        Some("starttls") => return Some(TlsMode::Starttls),
        Some("opportunistic") => return Some(TlsMode::Opportunistic),
        Some("none") => return Some(TlsMode::None),
        _ => {}
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

fn trust(settings: &Settings, chain: &[String]) -> Result<Trust, SettingsError> {
    let text = |name| settings.chained_text(name, chain);
    let path = |name| text(name).map(|p| settings.expand(&p));
    let on = |name| {
        matches!(
            settings.chained(name, chain).and_then(|a| a.value.as_ref()),
            Some(Value::Flag(true))
        )
    };
    let verify = match text("tls-verify").as_deref() {
        Some("ignore") => Verify::Ignore,
        Some("warn") => Verify::Warn,
        _ => Verify::Strict,
    };
    let pairs = settings
        .chained("tls-config-pairs", chain)
        .and_then(|a| a.value.clone());
    let pair = |wanted: &str| {
        let Some(Value::List(list)) = &pairs else {
            return None;
        };
        list.iter()
            .filter_map(|p| p.split_once('='))
            .find(|(k, _)| k.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, v)| settings.expand(v.trim()))
    };
    let fingerprint = match text("tls-fingerprint") {
        Some(hex) => Some(fingerprint(&hex).ok_or_else(|| {
            wrong(
                settings,
                "tls-fingerprint",
                "64 hexadecimal digits (SHA-256) are wanted here",
            )
        })?),
        None => None,
    };
    Ok(Trust {
        verify,
        ca_file: path("tls-ca-file"),
        ca_dir: path("tls-ca-dir"),
        no_system_roots: on("tls-ca-no-defaults"),
        fingerprint,
        cert: path("tls-cert").or_else(|| pair("Certificate")),
        key: path("tls-key").or_else(|| pair("PrivateKey")),
    })
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let text = text.rsplit_once('=').map_or(text, |(_, hex)| hex);
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !matches!(c, ':' | ' '))
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .filter(|pair| pair.len() == 2)
        .map(|pair| pair[0] * 16 + pair[1])
        .collect();
    if digits.len() == 64 {
        bytes.try_into().ok()
    } else {
        None
    }
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
                format!("`{}` is no IP address", crate::text::word(&shown)),
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
                format!("`{}` is no host name", crate::text::word(&shown)),
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

/// Whether a name of the system tells this host from others: installers leave
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

fn proxy(settings: &Settings, chain: &[String]) -> Result<Option<Proxy>, SettingsError> {
    let Some(text) = settings.chained_text("proxy", chain) else {
        return Ok(None);
    };
    let (kind, server) = proxy_server(&text).map_err(|why| wrong(settings, "proxy", why))?;
    let (host, port) = (server.host.clone(), server.port.unwrap_or(1080));
    let password = match (&server.user, server.password.clone(), &settings.waiting) {
        // Its password was not kept; the run that sends it may have it.
        (Some(user), None, Some(waiting))
            if settings
                .chained("proxy", chain)
                .is_some_and(|a| a.layer == Layer::Waiting) =>
        {
            let same = |a: &Assignment| {
                let (other, found) = proxy_server(&text_of(a.value.as_ref()?)).ok()?;
                let alike = other == kind
                    && (&found.host, found.port, &found.user) == (&host, server.port, &server.user);
                found.password.filter(|_| alike)
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

fn proxy_server(text: &str) -> Result<(ProxyKind, Server), String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("socks5", text));
    let kind = match scheme.to_ascii_lowercase().as_str() {
        "socks5" | "socks5h" | "socks" => ProxyKind::Socks5,
        "http" => ProxyKind::Http,
        // It may be a part of a login.
        _ => return Err("expected a proxy as socks5://HOST:PORT or http://HOST:PORT".to_owned()),
    };
    match url::parse(&format!("smtp://{rest}"))? {
        Target::Server(server) => Ok((kind, server)),
        _ => Err("expected a host name".to_owned()),
    }
}
