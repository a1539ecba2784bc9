//! From a name to a connected socket: look-up, the race of the addresses, proxies and unix sockets.
//!
//! Promise: nothing here waits past its deadline, the look-up included where a thread can be had for it. Of several addresses the first that answers
//! wins, families taking turns (RFC 8305), and when none does the reason of each is kept.
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use socket2::{Domain, Protocol, SockAddr, Type};

use super::probe::{Fact, Step};
use super::socket::{Clock, Halt, Socket, cause, reason, wait};
use super::{Tell, Watch, probe, proxy};
use crate::delivery::{Cause, Fault, Stage};
use crate::settings::route::Smtp;

/// The head start of each address over the next (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// What `getaddrinfo` says (glibc, musl, BSD and macOS) of a name that does not exist or has no address.
const NO_SUCH_NAME: [&str; 6] = [
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "Name has no usable address",
    "nodename nor servname provided",
    "No address associated with nodename",
];

/// A connection to the server, or through a proxy.
pub struct Dialled {
    /// The connection.
    pub socket: Socket,
    /// What to call the other end.
    pub peer: String,
    /// The other end is this machine.
    pub loopback: bool,
    /// The address this end has.
    pub local: Option<IpAddr>,
}

/// Connects to a port of the server. What can be made ready `meanwhile` is done while the name is looked up, and before
/// anything is connected.
///
/// # Errors
/// A fault at [`Stage::Resolve`] or [`Stage::Connect`], or that of `meanwhile`.
pub fn dial(
    route: &Smtp,
    port: u16,
    watch: &Watch,
    meanwhile: impl FnOnce() -> Result<(), Fault>,
) -> Result<Dialled, Fault> {
    let tell = Tell::new(watch);
    tell.steps(probe::Ear::begin);
    if let Some(path) = &route.socket {
        meanwhile()?;
        let dialled = unix(path, route, watch).map_err(|cause| Fault::new(Stage::Connect, cause))?;
        tell.fact("peer", || dialled.peer.clone());
        tell.passed(Step::Connect);
        return Ok(dialled);
    }
    let (host, port) = match &route.connect_to {
        Some((host, other)) => (host.as_str(), other.unwrap_or(port)),
        None => (route.host.as_str(), port),
    };
    let (first, first_port) = match &route.proxy {
        Some(proxy) => (proxy.host.as_str(), proxy.port),
        None => (host, port),
    };
    let patience = route.patience.connect;
    let mut clock = Clock::new(watch.interrupt.clone(), patience);
    let unknown = |cause| Fault::new(Stage::Resolve, cause);
    tell.fact("host", || first.to_owned());
    let lookup = Lookup::start(first, first_port);
    meanwhile()?;
    let addresses = lookup.finish(&mut clock).map_err(unknown)?;
    let list = || Fact::List(addresses.iter().map(|address| address.ip().to_string()).collect());
    tell.steps(|ear| ear.fact("addresses", list()));
    tell.passed(Step::Resolve);
    let fault = |cause| Fault::new(Stage::Connect, cause);
    let Winner { socket: io, address, late } =
        race(&addresses, route.source_address, patience, watch).map_err(fault)?;
    if !late.is_empty() {
        let late = || late.iter().map(|(address, why)| format!("{address}: {why}")).collect();
        tell.steps(|ear| ear.fact("late", Fact::List(late())));
    }
    let clock = Clock::new(watch.interrupt.clone(), patience);
    let mut socket = Socket::new(io, clock).map_err(|error| fault(cause(&error)))?;
    let mut dialled_peer = address.to_string();
    if let Some(settings) = &route.proxy {
        proxy::tunnel(&mut socket, settings, host, port).map_err(fault)?;
        dialled_peer = format!("{host}:{port} through the proxy {address}");
    }
    tell.fact("peer", || dialled_peer.clone());
    tell.passed(Step::Connect);
    let local = socket.local().map(|local| local.ip().to_canonical());
    let loopback = route.proxy.is_none() && address.ip().to_canonical().is_loopback();
    Ok(Dialled { socket, peer: dialled_peer, loopback, local })
}

fn unix(path: &Path, route: &Smtp, watch: &Watch) -> Result<Dialled, Cause> {
    let name = path.display().to_string();
    let failed = |error: &io::Error| Cause::Unreachable(vec![(name.clone(), reason(error))]);
    let connect = || {
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Never blocks: a server that does not accept is busy, and that is an answer.
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)?;
        Socket::new(socket, Clock::new(watch.interrupt.clone(), route.patience.connect))
    };
    let socket = connect().map_err(|error| failed(&error))?;
    Ok(Dialled { socket, peer: name, loopback: true, local: None })
}

/// A name that is being looked up, or an address, which need not be.
enum Lookup {
    Known(SocketAddr),
    Asked { host: String, answer: Receiver<io::Result<Vec<SocketAddr>>> },
}

impl Lookup {
    /// Asks the system.
    fn start(host: &str, port: u16) -> Self {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Lookup::Known(SocketAddr::new(address, port));
        }
        let (tell, answer) = mpsc::channel();
        let ask = move |name: &str| (name, port).to_socket_addrs().map(Vec::from_iter);
        let (name, from_thread) = (host.to_owned(), tell.clone());
        // The system's look-up cannot be stopped; a thread that nobody waits for any more ends on its own.
        let started = thread::Builder::new().spawn(move || drop(from_thread.send(ask(&name))));
        // Without a thread (`ulimit -u`) the deadline is that of the system's resolver.
        if started.is_err() {
            let _ = tell.send(ask(host));
        }
        Lookup::Asked { host: host.to_owned(), answer }
    }

    /// Every address, families taking turns, the system's favourite first.
    fn finish(self, clock: &mut Clock) -> Result<Vec<SocketAddr>, Cause> {
        let (host, answer) = match self {
            Lookup::Known(address) => return Ok(vec![address]),
            Lookup::Asked { host, answer } => (host, answer),
        };
        let found = loop {
            let time = clock.look().map_err(|halt| match halt {
                Halt::Deadline(allowed) => {
                    Cause::NoAnswer(format!("{host}: no name server answered within {allowed:?}"))
                }
                Halt::Signal(signal) => Cause::Interrupted(signal),
            })?;
            match answer.recv_timeout(time) {
                Ok(found) => break found,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    break Err(io::Error::other("the look-up ended without an answer"));
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
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(text);
    Cause::NoAnswer(format!("{host}: {}", reason(&io::Error::other(text.to_owned()))))
}

fn take_turns(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    let v6_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == v6_first);
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

struct Attempt {
    socket: socket2::Socket,
    address: SocketAddr,
    clock: Clock,
}

/// The address that answered first.
#[derive(Debug)]
struct Winner {
    socket: socket2::Socket,
    address: SocketAddr,
    /// Those that were tried before it, and why they were passed over.
    late: Vec<(String, String)>,
}

/// Connects to the first address that answers.
fn race(addresses: &[SocketAddr], source: Option<IpAddr>, patience: Duration, watch: &Watch) -> Result<Winner, Cause> {
    let mut waiting = addresses.iter();
    let mut running: Vec<Attempt> = Vec::new();
    let mut failed: Vec<(String, String)> = Vec::new();
    let mut next = Instant::now();
    loop {
        while running.is_empty() || Instant::now() >= next {
            let Some(&address) = waiting.next() else { break };
            next = Instant::now() + STAGGER;
            match start(address, source) {
                Ok(socket) => {
                    let clock = Clock::new(watch.interrupt.clone(), patience);
                    running.push(Attempt { socket, address, clock });
                }
                Err(error) => failed.push((address.to_string(), reason(&error))),
            }
        }
        if running.is_empty() {
            return Err(Cause::Unreachable(failed));
        }
        let mut time = next.saturating_duration_since(Instant::now());
        if time.is_zero() {
            time = STAGGER;
        }
        for attempt in std::mem::take(&mut running) {
            let mut attempt = attempt;
            match attempt.clock.look() {
                Ok(left) => {
                    time = time.min(left);
                    running.push(attempt);
                }
                Err(Halt::Signal(signal)) => return Err(Cause::Interrupted(signal)),
                Err(Halt::Deadline(allowed)) => {
                    failed.push((attempt.address.to_string(), format!("no answer within {allowed:?}")));
                }
            }
        }
        let failures = failed.len();
        if let Some((socket, address)) = settle(&mut running, &mut failed, time) {
            let before = addresses.iter().take_while(|other| **other != address);
            let silent = before.filter(|other| running.iter().any(|attempt| attempt.address == **other));
            failed.extend(silent.map(|other| (other.to_string(), format!("no answer within {STAGGER:?}"))));
            return Ok(Winner { socket, address, late: failed });
        }
        if failed.len() > failures {
            next = Instant::now();
        }
    }
}

/// Waits for one of the attempts to end; the failed ones leave.
fn settle(
    running: &mut Vec<Attempt>,
    failed: &mut Vec<(String, String)>,
    time: Duration,
) -> Option<(socket2::Socket, SocketAddr)> {
    let mut fds: Vec<_> = running.iter().map(|attempt| PollFd::new(&attempt.socket, PollFlags::OUT)).collect();
    if let Err(error) = wait(&mut fds, time) {
        failed.extend(running.drain(..).map(|attempt| (attempt.address.to_string(), reason(&error))));
        return None;
    }
    let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
    drop(fds);
    let mut winner = None;
    let all = std::mem::take(running);
    for (attempt, ready) in all.into_iter().zip(ready) {
        if !ready || winner.is_some() {
            running.push(attempt);
            continue;
        }
        match attempt.socket.take_error() {
            Ok(None) => winner = Some((attempt.socket, attempt.address)),
            Ok(Some(error)) | Err(error) => failed.push((attempt.address.to_string(), reason(&error))),
        }
    }
    winner
}

/// Starts a connection without waiting for it.
fn start(address: SocketAddr, source: Option<IpAddr>) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Without it the dot waits 40 ms for the acknowledgement of the text before it.
    socket.set_tcp_nodelay(true)?;
    // A server may take ten minutes to answer the dot; a network that forgot the connection should be noticed.
    socket.set_keepalive(true)?;
    if let Some(source) = source {
        if source.is_ipv4() != address.is_ipv4() {
            return Err(io::Error::other("of another family than the source address"));
        }
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&address.into()) {
        Ok(()) => Ok(socket),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Ok(socket),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::Ordering;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_favourite_stays_first() {
        let mixed = addresses(&["[::1]:1", "[::2]:1", "[::1]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        assert_eq!(take_turns(mixed), addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]));
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_from_a_look_up_that_failed() {
        let says = |text: &str| not_found("mx.test", &format!("failed to lookup address information: {text}"));
        assert_eq!(says("Name or service not known"), Cause::NoSuchHost("mx.test".into()));
        assert_eq!(
            says("Temporary failure in name resolution"),
            Cause::NoAnswer("mx.test: temporary failure in name resolution".into())
        );
    }

    #[test]
    fn the_next_address_is_tried_when_one_refuses_and_every_reason_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let patience = Duration::from_secs(5);
        let winner = race(&[closed, open], None, patience, &Watch::default()).unwrap();
        let late = vec![(closed.to_string(), "connection refused".to_owned())];
        assert_eq!((winner.address, winner.late), (open, late));
        assert_eq!(
            race(&[closed], None, patience, &Watch::default()).unwrap_err(),
            Cause::Unreachable(vec![(closed.to_string(), "connection refused".into())])
        );
        assert_eq!(
            race(&[open], Some("::1".parse().unwrap()), patience, &Watch::default()).unwrap_err(),
            Cause::Unreachable(vec![(open.to_string(), "of another family than the source address".into())])
        );
    }

    #[test]
    fn the_source_address_is_the_one_that_was_set() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let source = "127.0.0.9".parse().unwrap();
        let address = listener.local_addr().unwrap();
        race(&[address], Some(source), Duration::from_secs(5), &Watch::default()).unwrap();
        assert_eq!(listener.accept().unwrap().1.ip(), source);
    }

    #[test]
    fn a_signal_ends_the_wait_for_a_connection() {
        let watch = Watch::default();
        watch.interrupt.store(2, Ordering::Relaxed);
        let nowhere = addresses(&["127.0.0.1:9"]);
        let ended = race(&nowhere, None, Duration::from_secs(30), &watch).unwrap_err();
        assert!(matches!(ended, Cause::Interrupted(2) | Cause::Unreachable(_)), "{ended:?}");
        let mut clock = Clock::new(watch.interrupt.clone(), Duration::from_secs(30));
        let lookup = Lookup::start("localhost", 25);
        assert_eq!(lookup.finish(&mut clock).unwrap_err(), Cause::Interrupted(2));
    }
}
