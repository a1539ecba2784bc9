//! From a name to addresses, by the system's own rules.
//!
//! Promise: nothing here waits past its deadline where a thread can be had for the look-up; without
//! one it is that of the system's resolver. A name that does not exist is told from a look-up that
//! failed.
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

use super::socket::{Clock, Halt};
use crate::delivery::Cause;
use crate::transport::peer_text::reason;

/// What `getaddrinfo` says (glibc, musl, BSD and macOS) of a name that does not exist or has no
/// address.
const NO_SUCH_NAME: [&str; 6] = [
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "Name has no usable address",
    "nodename nor servname provided",
    "No address associated with nodename",
];

/// A name that is being looked up, or an address, which need not be.
pub(super) enum Lookup {
    /// It need not be.
    Known(SocketAddr),
    /// The system was asked.
    Asked {
        /// The name.
        host: String,
        /// What the system found.
        answer: Receiver<io::Result<Vec<SocketAddr>>>,
    },
}

impl Lookup {
    /// Asks the system.
    pub(super) fn start(host: &str, port: u16) -> Self {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Lookup::Known(SocketAddr::new(address, port));
        }
        let (tell, answer) = mpsc::channel();
        let ask = move |name: &str| (name, port).to_socket_addrs().map(Vec::from_iter);
        let (name, from_thread) = (host.to_owned(), tell.clone());
        // The system's look-up cannot be stopped; a thread that nobody waits for any more ends on
        // its own.
        let started = thread::Builder::new().spawn(move || drop(from_thread.send(ask(&name))));
        // Without a thread (`ulimit -u`) the deadline is that of the system's resolver.
        if started.is_err() {
            let _ = tell.send(ask(host));
        }
        Lookup::Asked {
            host: host.to_owned(),
            answer,
        }
    }

    /// Every address, families taking turns, the system's favourite first.
    ///
    /// # Errors
    /// [`Cause::NoSuchHost`], [`Cause::NoAnswer`] or [`Cause::Interrupted`].
    pub(super) fn finish(self, clock: &mut Clock) -> Result<Vec<SocketAddr>, Cause> {
        let (host, answer) = match self {
            Lookup::Known(address) => return Ok(vec![address]),
            Lookup::Asked { host, answer } => (host, answer),
        };
        let found = loop {
            let time = clock.look().map_err(|halt| match halt {
                Halt::Deadline(allowed) => Cause::NoAnswer(format!(
                    "{host}: no name server answered within {allowed:?}"
                )),
                Halt::Signal(signal) => Cause::Interrupted(signal),
            })?;
            match answer.recv_timeout(time) {
                Ok(found) => break found,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    break Err(io::Error::other("the lookup ended without an answer"));
                }
            }
        };
        match found {
            Ok(addresses) if addresses.is_empty() => Err(Cause::NoSuchHost(host)),
            Ok(addresses) => Ok(take_turns(addresses)),
            Err(error) => Err(not_found(&host, &error.to_string())),
        }
    }
}

fn not_found(host: &str, text: &str) -> Cause {
    if NO_SUCH_NAME.iter().any(|phrase| text.contains(phrase)) {
        return Cause::NoSuchHost(host.to_owned());
    }
    let text = text
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(text);
    Cause::NoAnswer(format!(
        "{host}: {}",
        reason(&io::Error::other(text.to_owned()))
    ))
}

fn take_turns(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    let v6_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == v6_first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_favourite_stays_first() {
        let mixed = addresses(&[
            "[::1]:1",
            "[::2]:1",
            "[::1]:1",
            "[::3]:1",
            "1.1.1.1:1",
            "1.1.1.2:1",
        ]);
        assert_eq!(
            take_turns(mixed),
            addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"])
        );
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_from_a_look_up_that_failed() {
        let says = |text: &str| {
            not_found(
                "mx.test",
                &format!("failed to lookup address information: {text}"),
            )
        };
        assert_eq!(
            says("Name or service not known"),
            Cause::NoSuchHost("mx.test".into())
        );
        assert_eq!(
            says("Temporary failure in name resolution"),
            Cause::NoAnswer("mx.test: temporary failure in name resolution".into())
        );
    }

    #[test]
    fn a_signal_ends_the_wait_for_a_name() {
        let interrupt = Arc::new(AtomicUsize::new(0));
        interrupt.store(2, Ordering::Relaxed);
        let mut clock = Clock::new(interrupt, Duration::from_secs(30));
        let lookup = Lookup::start("localhost", 25);
        assert_eq!(
            lookup.finish(&mut clock).unwrap_err(),
            Cause::Interrupted(2)
        );
    }
}
