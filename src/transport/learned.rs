//! What a run has learned of servers that their next connection should know.
//!
//! Promise: an address that was mute is tried after all others, never given up; a server that swallowed commands in one
//! flight is spoken to in lock-step for the rest of the run. Shared by all connections of the run.
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the top of the file.
#[derive(Debug, Default)]
pub struct Learned {
    mute: Mutex<HashSet<SocketAddr>>,
    lockstep: Mutex<HashSet<String>>,
}

impl Learned {
    /// Remembers an address that takes connections and does not greet.
    pub(super) fn is_mute(&self, address: SocketAddr) {
        lock(&self.mute).insert(address);
    }

    /// The addresses to try first, and those that were mute.
    pub(super) fn sort(&self, addresses: Vec<SocketAddr>) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let mute = lock(&self.mute);
        addresses.into_iter().partition(|address| !mute.contains(address))
    }

    /// Remembers a server, by its host and port, that does not take commands in groups although it offers to.
    pub(super) fn swallows(&self, server: &str) {
        lock(&self.lockstep).insert(server.to_owned());
    }

    /// Whether this server swallowed commands in this run.
    pub(super) fn needs_lockstep(&self, server: &str) -> bool {
        lock(&self.lockstep).contains(server)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
