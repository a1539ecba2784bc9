//! What a run has learned of servers that their next connection should know.
//!
//! Promise: an address that was mute is tried after all others, never given up; a server that
//! swallowed commands in one group is spoken to in lock-step for the rest of the run; a session
//! that failed is not begun again in the run, by whoever sends: one wrong password is one refused
//! login. Shared by all connections of the run.
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::delivery::{Fault, Stage};
use crate::route::{Route, Smtp};

/// See the top of the file.
#[derive(Debug, Default)]
pub struct Learned {
    mute: Mutex<HashSet<SocketAddr>>,
    lockstep: Mutex<HashSet<String>>,
    failed: Mutex<Vec<(Route, String)>>,
}

impl Learned {
    /// Remembers an address that takes connections and does not greet.
    pub(super) fn is_mute(&self, address: SocketAddr) {
        lock(&self.mute).insert(address);
    }

    /// The addresses to try first, and those that were mute.
    pub(super) fn sort(&self, addresses: Vec<SocketAddr>) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let mute = lock(&self.mute);
        addresses
            .into_iter()
            .partition(|address| !mute.contains(address))
    }

    /// Remembers a server, by its host and port, that does not take commands in groups although it
    /// offers to.
    pub(super) fn swallows(&self, server: &str) {
        lock(&self.lockstep).insert(server.to_owned());
    }

    /// Returns whether this server swallowed commands in this run.
    pub(super) fn needs_lockstep(&self, server: &str) -> bool {
        lock(&self.lockstep).contains(server)
    }

    /// Remembers that a session over a route failed, and why. A server that was not reached or did
    /// not greet is so for every login; what came later belongs to this login alone.
    pub fn failed(&self, route: &Route, fault: &Fault, why: String) {
        let of_server = matches!(
            fault.stage,
            Stage::Resolve | Stage::Connect | Stage::Greeting
        );
        let route = if of_server {
            without_login(route)
        } else {
            route.clone()
        };
        lock(&self.failed).push((route, why));
    }

    /// Why a session over this route failed in this run.
    pub fn failure(&self, route: &Route) -> Option<String> {
        let server = without_login(route);
        lock(&self.failed)
            .iter()
            .find(|(known, _)| known == route || *known == server)
            .map(|(_, why)| why.clone())
    }
}

fn without_login(route: &Route) -> Route {
    match route {
        Route::Smtp(smtp) => Route::Smtp(Box::new(Smtp {
            login: None,
            ..(**smtp).clone()
        })),
        other => other.clone(),
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Cause, Reply};
    use crate::route::{Choice, Login, Timeouts, Trust};
    use crate::secret::{Secret, SecretSource};

    fn route(host: &str, password: &str) -> Route {
        let login = Login {
            user: "u".into(),
            credential: crate::route::Credential::Secret(SecretSource::Inline(Secret::new(
                password,
            ))),
            mechanism: Choice::Auto,
            in_clear: false,
            origin: None,
        };
        Route::Smtp(Box::new(Smtp {
            provider: None,
            host: host.into(),
            endpoints: Vec::new(),
            lmtp: false,
            socket: None,
            connect_to: None,
            proxy: None,
            source_address: None,
            hello_name: None,
            ehlo: true,
            trust: Trust::default(),
            login: Some(login),
            pipelining: true,
            chunking: true,
            timeouts: Timeouts::default(),
        }))
    }

    #[test]
    fn a_refused_login_is_of_its_secret_and_a_mute_server_is_so_for_all() {
        let learned = Learned::default();
        let refused = Fault::new(
            Stage::Login,
            Cause::Refused(Reply::new(535, vec!["no".into()])),
        );
        learned.failed(&route("a", "one"), &refused, "535".into());
        assert_eq!(learned.failure(&route("a", "one")).as_deref(), Some("535"));
        assert_eq!(learned.failure(&route("a", "two")), None);
        assert_eq!(learned.failure(&route("b", "one")), None);
        let mute = Fault::new(Stage::Greeting, Cause::Silent(std::time::Duration::ZERO));
        learned.failed(&route("b", "one"), &mute, "mute".into());
        assert_eq!(learned.failure(&route("b", "two")).as_deref(), Some("mute"));
        assert_eq!(learned.failure(&route("a", "two")), None);
    }
}
