//! Whom a secret belongs to, and whether it may be sent to a server.
//!
//! Promise: a secret goes to the server and in the name of the user that its own source names, and
//! to no other. Files are one source after the other, then the environment,
//! then the command line; a secret that its file binds to no server belongs to the one that all
//! files name together. What the environment or the command line holds for one run follows that
//! run, unless its source names another server. Another address to connect to (`connect-to`,
//! `proxy`) is another server unless TLS proves the name by roots that the source of the secret
//! knows.
use std::fmt;
use std::path::{Path, PathBuf};

use super::{chosen_target, suffixes};
use crate::address::Mailbox;
use crate::route::url::{Server, Target};
use crate::settings::value::Value;
use crate::settings::{Assignment, Layer, Origin, Settings, SettingsError, Source};

/// Ports below belong to the administrator of a host; at and above it, to whoever listens first.
const ANYBODYS: u16 = 1024;
/// The settings that say how a server proves its name.
const TRUST: &[&str] = &[
    "tls-verify",
    "tls-ca-file",
    "tls-ca-dir",
    "tls-ca-no-defaults",
    "tls-fingerprint",
];

/// A server as it is told from others.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Site {
    host: String,
    /// `None` for every port that only an administrator can listen on.
    port: Option<u16>,
    socket: Option<PathBuf>,
}

impl Site {
    /// The site of a server, or of a socket.
    pub(super) fn of(server: &Server, socket: Option<&Path>) -> Self {
        let port = server.port.filter(|port| *port >= ANYBODYS);
        Site {
            host: server.host.to_lowercase(),
            port,
            socket: socket.map(Path::to_owned),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.socket, self.port) {
            (Some(path), _) => f.write_str(&crate::text::word(&path.display().to_string())),
            (None, Some(port)) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            (None, Some(port)) => write!(f, "{}:{port}", self.host),
            (None, None) => f.write_str(&self.host),
        }
    }
}

/// The server and the user that some settings name.
#[derive(Default)]
struct Named {
    site: Option<Site>,
    user: Option<String>,
}

/// A login that needs a secret.
pub(super) struct Goal<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The author of the mail.
    pub author: &'a Mailbox,
    /// The server.
    pub site: Site,
    /// The user.
    pub user: String,
    /// The chain forms of names for this server and user.
    pub chain: &'a [String],
    /// TLS proves the name of the server, or nothing is sent.
    pub proven: bool,
}

/// Where a secret stands, as errors call it.
pub(super) fn place(secret: &Assignment) -> String {
    let suffix = secret
        .suffix
        .as_ref()
        .map_or_else(String::new, |suffix| format!("-{suffix}"));
    let name = format!("{}{suffix}", secret.key.name);
    match &secret.origin {
        Origin::Environment(variable) => format!("${variable}"),
        origin @ Origin::Flag(_) => format!("{name} of {origin}"),
        origin => format!("{name} in {origin}"),
    }
}

/// Returns whether a setting names a server, and may hold a password in its URL.
pub(super) fn is_url(assignment: &Assignment) -> bool {
    ["smtp", "mta"].contains(&assignment.key.name)
}

impl Goal<'_> {
    /// The password of a URL that names this server and user.
    pub(super) fn password_of(&self, url: &Assignment) -> Option<String> {
        let Value::Target(target) = url.value.as_ref()? else {
            return None;
        };
        let target = target.meaning().ok()?.clone();
        let (server, socket) = target_server(self.settings, target)?;
        let same = Site::of(&server, socket.as_deref()) == self.site
            && server.user.as_deref() == Some(&self.user);
        server.password.filter(|_| same)
    }

    /// The error for a secret that belongs to others.
    pub(super) fn withheld(self, secret: String, why: String) -> SettingsError {
        let suffix = self.chain.first().cloned().unwrap_or_default();
        SettingsError::Withheld {
            server: self.site.to_string(),
            user: self.user,
            secret,
            why,
            suffix,
        }
    }

    /// Why a secret may not be used for this login; `None` when it may. Reads after the place of
    /// the secret.
    pub(super) fn refusal(&self, secret: &Assignment) -> Option<String> {
        let source = Source::of(secret.layer);
        let by_name = secret
            .suffix
            .as_ref()
            .is_some_and(|suffix| self.is_by_name(suffix));
        let foreign = if by_name {
            None
        } else {
            self.foreign(secret, source)
        };
        foreign.or_else(|| self.detour(source))
    }

    /// Why the password of a URL, which names its server itself, may not be used.
    pub(super) fn detour(&self, source: Source) -> Option<String> {
        let base = match source {
            Source::Files => self
                .settings
                .only(|layer| Source::of(layer) == Source::Files),
            // Who may name the server may also say by which address it is reached.
            Source::Environment
                if self.settings.waiting.is_none() && !self.follows_command_line() =>
            {
                self.settings
                    .only(|layer| matches!(Source::of(layer), Source::Files | Source::Environment))
            }
            _ => return None,
        };
        let same = |name: &&&'static str| {
            let said = |settings: &Settings| {
                settings
                    .chained(name, self.chain)
                    .and_then(|a| a.value.clone())
            };
            said(self.settings) == said(&base)
        };
        let other = ["connect-to", "proxy"].iter().find(|name| !same(name))?;
        if self.proven && TRUST.iter().all(|name| same(&name)) {
            return None;
        }
        let origin = self.settings.chained(other, self.chain).map(place);
        Some(format!(
            "is sent through {} only if TLS verifies the server",
            origin.unwrap_or_else(|| (*other).to_owned())
        ))
    }

    /// Returns whether a suffix names this server, and not the author.
    fn is_by_name(&self, suffix: &String) -> bool {
        let hosts = self.chain.len().saturating_sub(1);
        self.chain[..hosts].contains(suffix)
    }

    fn foreign(&self, secret: &Assignment, source: Source) -> Option<String> {
        let waiting = self.settings.waiting.as_deref();
        let owner = match (source, waiting) {
            (Source::Files, _) => return self.of_files(secret.layer),
            (Source::Waiting, waiting) => {
                let login = waiting?.login.as_ref()?;
                let same = login.server == self.site.to_string() && login.user == self.user;
                return (!same).then(|| format!("belongs to {} at {}", login.user, login.server));
            }
            // What this run holds belongs to where its own mail goes.
            (_, Some(waiting)) => waiting
                .run
                .as_ref()
                .map(|run| named(run, self.author))
                .unwrap_or_default(),
            (Source::Environment, None) => self.of_environment(),
            (Source::CommandLine, None) => self.explicit(Source::CommandLine),
        };
        self.compare(&owner)
    }

    fn of_files(&self, layer: Layer) -> Option<String> {
        let files = |most: Layer| {
            named(
                &self
                    .settings
                    .only(|layer| Source::of(layer) == Source::Files && layer <= most),
                self.author,
            )
        };
        let own = files(layer);
        let owner = if own.site.is_some() {
            own
        } else {
            let all = files(Layer::Account);
            Named {
                site: all.site,
                user: own.user.or(all.user),
            }
        };
        match owner.site {
            Some(_) => self.compare(&owner),
            None => Some("belongs to no server, because no file sets one".to_owned()),
        }
    }

    /// A variable follows the command line that names server and user both: that is how a password
    /// gets there unseen.
    fn of_environment(&self) -> Named {
        let own = self.explicit(Source::Environment);
        if own.site.is_some() {
            return own;
        }
        if self.follows_command_line() {
            return Named::default();
        }
        let base = self
            .settings
            .only(|layer| matches!(Source::of(layer), Source::Files | Source::Environment));
        Named {
            site: named(&base, self.author).site,
            user: None,
        }
    }

    /// Returns whether the command line names this server and user both, and the environment names
    /// no server of its own.
    fn follows_command_line(&self) -> bool {
        let typed = self.explicit(Source::CommandLine);
        self.explicit(Source::Environment).site.is_none()
            && typed.site.as_ref() == Some(&self.site)
            && typed.user.as_deref() == Some(&self.user)
    }

    /// What one source names by itself; a server only when it says so, and not by the domain of a
    /// login.
    fn explicit(&self, source: Source) -> Named {
        let own = self.settings.only(|layer| Source::of(layer) == source);
        let said = ["smtp", "mta", "provider"];
        if said
            .iter()
            .any(|name| own.winner(name).is_some_and(|a| a.layer != Layer::Preset))
        {
            named(&own, self.author)
        } else {
            Named::default()
        }
    }

    fn compare(&self, owner: &Named) -> Option<String> {
        let site = owner.site.as_ref()?;
        let same_user = owner.user.as_ref().is_none_or(|user| *user == self.user);
        if *site == self.site && same_user {
            return None;
        }
        Some(match &owner.user {
            Some(user) => format!("belongs to {user} at {site}"),
            None => format!("belongs to {site}"),
        })
    }
}

fn named(settings: &Settings, author: &Mailbox) -> Named {
    let plain = || settings.chained_text("auth-user", &[]);
    let Ok(Some((target, _))) = chosen_target(settings) else {
        return Named {
            site: None,
            user: plain(),
        };
    };
    let Some((server, socket)) = target_server(settings, target) else {
        return Named {
            site: None,
            user: plain(),
        };
    };
    let chain = suffixes(&server, server.user.as_deref(), author);
    let user = server
        .user
        .clone()
        .or_else(|| settings.chained_text("auth-user", &chain));
    Named {
        site: Some(Site::of(&server, socket.as_deref())),
        user,
    }
}

/// The server of a target and its socket; `None` for programs and files.
pub(super) fn target_server(
    settings: &Settings,
    target: Target,
) -> Option<(Server, Option<PathBuf>)> {
    match target {
        Target::Server(server) => Some((server, None)),
        Target::Socket(path, scheme) => Some((
            Server::local(scheme),
            Some(settings.expand(&path.to_string_lossy())),
        )),
        _ => None,
    }
}
