//! Finds who sends the mail of an address: the table of providers, the DNS, with consent the web,
//! and at last the user.
//!
//! Promise: what the DNS says is a proposal, which the user sees with its source and accepts or not
//! (RFC 6186 section 6).
use crate::providers::{self, Preset};
use crate::route::url::{self, Target};
use crate::route::{Endpoint, TlsMode};

/// What the DNS is asked.
pub(crate) trait Directory {
    /// The mail exchangers of a domain, the preferred ones first, in lower case without a dot at
    /// the end.
    fn mx(&self, domain: &str) -> Vec<String>;
    /// The hosts of a service, the preferred ones first. An empty host: the service is not offered.
    fn srv(&self, service: &str) -> Vec<Service>;
}

/// A host and a port that the DNS names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// The name, in lower case without a dot at the end.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// A server that may send for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// The name in A-labels, or an IP address.
    pub host: String,
    /// Its port and how TLS starts there.
    pub endpoint: Endpoint,
    /// Nobody named the port: that of [`Server::endpoint`] is tried, then 587 with STARTTLS.
    pub either: bool,
    /// The provider, when the table knows it.
    pub preset: Option<Preset>,
    /// The login, when the domain published it and the table does not know better.
    pub login: Option<Login>,
}

/// How a server wants its users to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// With a password, under this name if one was said.
    Password(Option<String>),
    /// With an access token (OAuth2) only.
    Token(Option<String>),
    /// Not at all.
    None,
}

impl Login {
    /// The user name, if one was said.
    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Login::Password(user) | Login::Token(user) => user.as_deref(),
            Login::None => None,
        }
    }
}

/// A server that somebody names, and whether it is not within the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// The server.
    pub server: Server,
    /// Its name is not within the domain of the address.
    pub outside: bool,
}

impl Server {
    /// The server as the setting `smtp` names it.
    pub(crate) fn setting(&self) -> String {
        if self.either {
            self.host.clone()
        } else {
            self.url()
        }
    }

    /// The same with scheme and port in any case.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.endpoint.tls == TlsMode::Implicit {
            "smtps"
        } else {
            "smtp"
        };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        format!("{scheme}://{host}:{}", self.endpoint.port)
    }

    /// The server in words.
    pub(crate) fn shown(&self) -> String {
        let tls = match self.endpoint.tls {
            TlsMode::Implicit => "TLS",
            TlsMode::None => "no TLS",
            TlsMode::Starttls | TlsMode::Opportunistic => "STARTTLS",
        };
        let then = if self.either { ", :587 (STARTTLS)" } else { "" };
        format!("{}:{} ({tls}){then}", self.host, self.endpoint.port)
    }

    /// That of a provider, when it is the same for all its customers.
    pub(crate) fn of_preset(preset: Preset) -> Option<Self> {
        let host = preset.host?.to_owned();
        Some(Server {
            host,
            endpoint: preset.endpoint(),
            either: false,
            preset: Some(preset),
            login: None,
        })
    }

    /// Reads what a user types: a host, a host and a port, or a URL as in the setting `smtp`.
    ///
    /// # Errors
    /// A lowercase fragment.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Target::Server(server) = url::parse(text)? else {
            return Err("expected a host".to_owned());
        };
        if server.password.is_some() || server.user.is_some() {
            return Err("the login is asked for later".to_owned());
        }
        let preset = providers::by_host(&server.host);
        let tls = |port| {
            let known = preset
                .as_ref()
                .and_then(|preset| preset.mode_for_port(port));
            known.unwrap_or(if matches!(port, 465 | 994 | 2465) {
                TlsMode::Implicit
            } else {
                TlsMode::Starttls
            })
        };
        let endpoint = match (server.scheme, server.port) {
            (Some(url::Scheme::Lmtp), _) => {
                return Err("mail is submitted by SMTP, not by LMTP".to_owned());
            }
            (Some(url::Scheme::Smtps), port) => Endpoint {
                port: port.unwrap_or(465),
                tls: TlsMode::Implicit,
            },
            (Some(scheme), port) => Endpoint {
                port: port.unwrap_or(scheme.port()),
                tls: TlsMode::Starttls,
            },
            (None, Some(port)) => Endpoint {
                port,
                tls: tls(port),
            },
            (None, None) => preset.as_ref().map_or(
                Endpoint {
                    port: 465,
                    tls: TlsMode::Implicit,
                },
                Preset::endpoint,
            ),
        };
        let either = server.scheme.is_none() && server.port.is_none() && preset.is_none();
        Ok(Server {
            host: server.host,
            endpoint,
            either,
            preset,
            login: None,
        })
    }
}

/// Where a proposal comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// The table knows the domain.
    Table(Server),
    /// The table knows who takes mail for the domain.
    Exchanger(Server),
    /// The domain names a server of its own.
    Service(Proposal),
    /// Nobody knows.
    Nothing,
}

/// Looks the table up.
pub(crate) fn in_table(domain: &str) -> Option<Found> {
    providers::by_domain(domain)
        .and_then(Server::of_preset)
        .map(Found::Table)
}

/// Asks the DNS: the exchangers of the domain against the table, then the services of RFC 8314
/// section 5.1 and RFC 6186.
pub(crate) fn in_dns(domain: &str, dns: &dyn Directory) -> Found {
    let exchangers = dns.mx(domain);
    if let Some(server) = exchangers
        .iter()
        .find_map(|host| Server::of_preset(providers::by_mx(host)?))
    {
        return Found::Exchanger(server);
    }
    for (service, tls) in [
        ("_submissions._tcp", TlsMode::Implicit),
        ("_submission._tcp", TlsMode::Starttls),
    ] {
        let first = dns
            .srv(&format!("{service}.{domain}"))
            .into_iter()
            .find(|s| !s.host.is_empty() && s.port > 0);
        if let Some(Service { host, port }) = first {
            let (outside, preset) = (!is_within(&host, domain), providers::by_host(&host));
            let server = Server {
                host,
                endpoint: Endpoint { port, tls },
                either: false,
                preset,
                login: None,
            };
            return Found::Service(Proposal { server, outside });
        }
    }
    Found::Nothing
}

/// Returns whether a host is the domain or below it.
pub(crate) fn is_within(host: &str, domain: &str) -> bool {
    host == domain
        || host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
}
