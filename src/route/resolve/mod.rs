//! From settings to a route: which server, which port, how TLS starts, who logs in.
//!
//! Promise: credentials and TLS are decided here once. Nothing is connected to and no secret is
//! fetched; files are looked at only where the route depends on what they are.
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

mod candidates;
mod config;
mod login;
mod owner;
mod ports;
mod proxy;
mod server;
mod token;
mod trust;

#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod tests;

use super::url::{self, Server, Target};
use super::{Program, Route, Timeouts};
use crate::address::Mailbox;
use crate::environment;
use crate::settings::{Settings, SettingsError};
use server::smtp;

/// Where sendmail programs live.
const SENDMAIL: &[&str] = &[
    "/usr/sbin/sendmail",
    "/usr/lib/sendmail",
    "/usr/bin/sendmail",
];

/// Decides where a mail of this author goes.
///
/// # Errors
/// [`SettingsError`]: a value that does not fit, or nothing that says where.
pub(crate) fn resolve(settings: &Settings, author: &Mailbox) -> Result<Route, SettingsError> {
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
                return Err(wrong(settings, name, format!("no such program: {shown}")));
            }
            program(settings, path)
        }
        Target::Stdout => Ok(Route::Stdout),
        Target::File(path) => Ok(Route::File(settings.expand(&path))),
    }
}

/// Returns whether mail goes to a program of this host, which can resolve bare names.
pub(crate) fn is_program(settings: &Settings) -> bool {
    !matches!(
        chosen_target(settings),
        Ok(Some((Target::Server(_) | Target::Socket(..), _)))
    )
}

/// `smtp` or `mta`: the one that the stronger source sets, `smtp` when the same one sets both.
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
    let Some(target) = settings.target(name) else {
        return Ok(None);
    };
    let target = target.meaning().map_err(|why| wrong(settings, name, why))?;
    Ok(Some((target.clone(), name)))
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

/// Returns whether a path, by whatever links, is the program that runs.
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
        why: "this user cannot read it, and nothing else sets a server".to_owned(),
        cure: Some(format!(
            "run chgrp GROUP {shown} && chmod 640 {shown}, with a group that this user belongs to"
        )),
    }
}

/// A route by a program, which must not be this one: mail would never arrive, and processes never
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
        provider: settings.provider().map(str::to_owned),
        timeouts: timeouts(settings),
    }))
}

fn timeouts(settings: &Settings) -> Timeouts {
    settings
        .time("timeout")
        .map_or_else(Timeouts::default, Timeouts::scaled)
}

/// The chain forms of a name, most specific first.
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
