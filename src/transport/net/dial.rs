//! From a name to a connected socket: the race of the addresses, proxies and unix sockets.
//!
//! Promise: nothing here waits past its deadline, the look-up included (see `lookup`). Of several
//! addresses the first that answers wins and the others can still be tried, families taking turns
//! (RFC 8305), and when none does the reason of each is kept.
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use socket2::{Domain, Protocol, SockAddr, Type};

use super::lookup::Lookup;
use super::proxy;
use super::socket::{Clock, Halt, Socket, cause, wait};
use crate::delivery::{Cause, Fault, Stage};
use crate::route::Smtp;
use crate::transport::peer_text::reason;
use crate::transport::steps::{Fact, Step};
use crate::transport::{Reporter, RunContext, StepRecorder};

/// The head start of each address over the next (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// A connection to the server, or through a proxy.
pub(crate) struct Dialled {
    /// The connection.
    pub socket: Socket,
    /// What to call the other end.
    pub peer: String,
    /// The address that answered; `None` for a unix socket.
    pub address: Option<SocketAddr>,
    /// The other end is this machine.
    pub loopback: bool,
    /// The address this end has.
    pub local: Option<IpAddr>,
}

/// Where a port of a server may be reached: the addresses that are left to try.
pub(crate) struct Addresses<'r> {
    route: &'r Smtp,
    /// The server's name and port, for a proxy.
    host: &'r str,
    port: u16,
    left: Vec<SocketAddr>,
    /// Those that were mute in this run.
    mute: Vec<SocketAddr>,
}

/// Looks up where a port of the server is. What can be made ready `meanwhile` is done while the
/// name is looked up, and before anything is connected.
///
/// # Errors
/// A fault at [`Stage::Resolve`], or that of `meanwhile`.
pub(crate) fn find<'r>(
    route: &'r Smtp,
    port: u16,
    context: &RunContext,
    meanwhile: impl FnOnce() -> Result<(), Fault>,
) -> Result<Addresses<'r>, Fault> {
    let reporter = Reporter::new(context);
    reporter.steps(StepRecorder::begin);
    let (host, port) = match &route.connect_to {
        Some((host, other)) => (host.as_str(), other.unwrap_or(port)),
        None => (route.host.as_str(), port),
    };
    if route.socket.is_some() {
        meanwhile()?;
        return Ok(Addresses {
            route,
            host,
            port,
            left: Vec::new(),
            mute: Vec::new(),
        });
    }
    let (first, first_port) = match &route.proxy {
        Some(proxy) => (proxy.host.as_str(), proxy.port),
        None => (host, port),
    };
    let mut clock = Clock::new(context.interrupt.clone(), route.timeouts.connect);
    reporter.fact("host", || first.to_owned());
    let lookup = Lookup::start(first, first_port);
    meanwhile()?;
    let found = lookup
        .finish(&mut clock)
        .map_err(|cause| match route.proxy {
            Some(_) => Fault::new(Stage::Connect, of_proxy(cause)),
            None => Fault::new(Stage::Resolve, cause),
        })?;
    let list = || {
        Fact::List(
            found
                .iter()
                .map(|address| address.ip().to_string())
                .collect(),
        )
    };
    reporter.steps(|steps| steps.fact("addresses", list()));
    reporter.passed(Step::Resolve);
    let (left, mute) = context.learned.sort(found);
    Ok(Addresses {
        route,
        host,
        port,
        left,
        mute,
    })
}

/// Connects to a port of the server.
///
/// # Errors
/// As [`find`] and [`Addresses::connect`].
pub(crate) fn dial(route: &Smtp, port: u16, context: &RunContext) -> Result<Dialled, Fault> {
    find(route, port, context, || Ok(()))?.connect(context)
}

impl Addresses<'_> {
    /// How many addresses are left.
    pub(crate) fn left(&self) -> usize {
        self.left.len() + self.mute.len()
    }

    /// Connects to the first of those left that answers.
    ///
    /// # Errors
    /// A fault at [`Stage::Connect`].
    pub(crate) fn connect(&mut self, context: &RunContext) -> Result<Dialled, Fault> {
        let (reporter, route) = (Reporter::new(context), self.route);
        let fault = |cause| Fault::new(Stage::Connect, cause);
        if let Some(path) = &route.socket {
            let dialled = unix(path, route, context).map_err(fault)?;
            reporter.fact("peer", || dialled.peer.clone());
            reporter.passed(Step::Connect);
            return Ok(dialled);
        }
        let timeout = route.timeouts.connect;
        let whose = |cause| {
            if route.proxy.is_some() {
                of_proxy(cause)
            } else {
                cause
            }
        };
        let Winner {
            socket: io,
            address,
            late,
            left,
        } = self.race(context).map_err(|cause| fault(whose(cause)))?;
        self.left = left;
        if !late.is_empty() {
            let late = || {
                late.iter()
                    .map(|(address, why)| format!("{address}: {why}"))
                    .collect()
            };
            reporter.steps(|steps| steps.fact("late", Fact::List(late())));
        }
        let clock = Clock::new(context.interrupt.clone(), timeout);
        let mut socket = Socket::new(io, clock).map_err(|error| fault(cause(&error)))?;
        let mut peer = address.to_string();
        if let Some(settings) = &route.proxy {
            // What a server does behind a proxy is nothing that another address of the proxy would
            // change.
            (self.left, self.mute) = (Vec::new(), Vec::new());
            proxy::tunnel(
                &mut socket,
                settings,
                self.host,
                self.port,
                &context.redactor,
            )
            .map_err(|cause| fault(of_proxy(cause)))?;
            peer = format!("{}:{} through the proxy {address}", self.host, self.port);
        }
        reporter.fact("peer", || peer.clone());
        reporter.passed(Step::Connect);
        let local = socket.local().map(|local| local.ip().to_canonical());
        let loopback = route.proxy.is_none() && address.ip().to_canonical().is_loopback();
        Ok(Dialled {
            socket,
            peer,
            address: Some(address),
            loopback,
            local,
        })
    }

    /// Those that were mute wait until no other is left.
    fn race(&mut self, context: &RunContext) -> Result<Winner, Cause> {
        let (source, timeout) = (self.route.source_address, self.route.timeouts.connect);
        let first = std::mem::take(&mut self.left);
        match race(&first, source, timeout, context) {
            Err(Cause::Unreachable(mut why)) if !self.mute.is_empty() => {
                let last = std::mem::take(&mut self.mute);
                race(&last, source, timeout, context).map_err(|cause| match cause {
                    Cause::Unreachable(more) => {
                        why.extend(more);
                        Cause::Unreachable(why)
                    }
                    other => other,
                })
            }
            outcome => outcome,
        }
    }
}

/// The proxy is another host than the server, and another setting names it.
fn of_proxy(cause: Cause) -> Cause {
    match cause {
        Cause::NoSuchHost(name) => Cause::Proxy(format!("its name {name} does not exist")),
        Cause::NoAnswer(why) => Cause::Proxy(format!("its name cannot be looked up: {why}")),
        Cause::Unreachable(tried) => {
            let tried: Vec<String> = tried
                .iter()
                .map(|(address, why)| format!("{address}: {why}"))
                .collect();
            Cause::Proxy(format!("no connection to it: {}", tried.join("; ")))
        }
        Cause::Silent(time) => Cause::Proxy(format!("it did not answer within {time:?}")),
        other => other,
    }
}

fn unix(path: &Path, route: &Smtp, context: &RunContext) -> Result<Dialled, Cause> {
    let name = path.display().to_string();
    let failed =
        |error: &io::Error| Cause::Unreachable(vec![(format!("unix:{name}"), reason(error))]);
    let connect = || {
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Never blocks: a server that does not accept is busy, and that is an answer.
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)?;
        Socket::new(
            socket,
            Clock::new(context.interrupt.clone(), route.timeouts.connect),
        )
    };
    let socket = connect().map_err(|error| failed(&error))?;
    Ok(Dialled {
        socket,
        peer: name,
        address: None,
        loopback: true,
        local: None,
    })
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
    /// Those that may still be tried.
    left: Vec<SocketAddr>,
}

/// Connects to the first address that answers.
fn race(
    addresses: &[SocketAddr],
    source: Option<IpAddr>,
    timeout: Duration,
    context: &RunContext,
) -> Result<Winner, Cause> {
    let mut waiting = addresses.iter();
    let mut running: Vec<Attempt> = Vec::new();
    let mut failed: Vec<(String, String)> = Vec::new();
    let mut next = Instant::now();
    loop {
        while running.is_empty() || Instant::now() >= next {
            let Some(&address) = waiting.next() else {
                break;
            };
            next = Instant::now() + STAGGER;
            match start(address, source) {
                Ok(socket) => {
                    let clock = Clock::new(context.interrupt.clone(), timeout);
                    running.push(Attempt {
                        socket,
                        address,
                        clock,
                    });
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
                    failed.push((
                        attempt.address.to_string(),
                        format!("no answer within {allowed:?}"),
                    ));
                }
            }
        }
        let failures = failed.len();
        if let Some((socket, address)) = wait_for_one(&mut running, &mut failed, time) {
            let before = addresses.iter().take_while(|other| **other != address);
            let silent =
                before.filter(|other| running.iter().any(|attempt| attempt.address == **other));
            failed.extend(
                silent.map(|other| (other.to_string(), format!("no answer within {STAGGER:?}"))),
            );
            let left = running
                .iter()
                .map(|attempt| attempt.address)
                .chain(waiting.copied())
                .collect();
            return Ok(Winner {
                socket,
                address,
                late: failed,
                left,
            });
        }
        if failed.len() > failures {
            next = Instant::now();
        }
    }
}

/// Waits for one of the attempts to end; the failed ones leave.
fn wait_for_one(
    running: &mut Vec<Attempt>,
    failed: &mut Vec<(String, String)>,
    time: Duration,
) -> Option<(socket2::Socket, SocketAddr)> {
    let mut fds: Vec<_> = running
        .iter()
        .map(|attempt| PollFd::new(&attempt.socket, PollFlags::OUT))
        .collect();
    if let Err(error) = wait(&mut fds, time) {
        failed.extend(
            running
                .drain(..)
                .map(|attempt| (attempt.address.to_string(), reason(&error))),
        );
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
            Ok(Some(error)) | Err(error) => {
                failed.push((attempt.address.to_string(), reason(&error)));
            }
        }
    }
    winner
}

/// Starts a connection without waiting for it.
fn start(address: SocketAddr, source: Option<IpAddr>) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    // Without it the dot waits 40 ms for the acknowledgement of the text before it.
    socket.set_tcp_nodelay(true)?;
    // A server may take ten minutes to answer the dot; a network that forgot the connection should
    // be noticed.
    socket.set_keepalive(true)?;
    if let Some(source) = source {
        if source.is_ipv4() != address.is_ipv4() {
            return Err(io::Error::other(
                "its address family differs from that of the source address",
            ));
        }
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&address.into()) {
        Ok(()) => Ok(socket),
        Err(error)
            if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
        {
            Ok(socket)
        }
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
    fn the_next_address_is_tried_when_one_refuses_and_every_reason_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let timeout = Duration::from_secs(5);
        let winner = race(&[closed, open], None, timeout, &RunContext::default()).unwrap();
        let late = vec![(closed.to_string(), "connection refused".to_owned())];
        assert_eq!(
            (winner.address, winner.late, winner.left),
            (open, late, vec![])
        );
        assert_eq!(
            race(&[open, closed], None, timeout, &RunContext::default())
                .unwrap()
                .left,
            [closed]
        );
        assert_eq!(
            race(&[closed], None, timeout, &RunContext::default()).unwrap_err(),
            Cause::Unreachable(vec![(closed.to_string(), "connection refused".into())])
        );
        assert_eq!(
            race(
                &[open],
                Some("::1".parse().unwrap()),
                timeout,
                &RunContext::default()
            )
            .unwrap_err(),
            Cause::Unreachable(vec![(
                open.to_string(),
                "its address family differs from that of the source address".into()
            )])
        );
    }

    #[test]
    fn the_source_address_is_the_one_that_was_set() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let source = "127.0.0.9".parse().unwrap();
        let address = listener.local_addr().unwrap();
        race(
            &[address],
            Some(source),
            Duration::from_secs(5),
            &RunContext::default(),
        )
        .unwrap();
        assert_eq!(listener.accept().unwrap().1.ip(), source);
    }

    #[test]
    fn a_signal_ends_the_wait_for_a_connection() {
        let context = RunContext::default();
        context.interrupt.store(2, Ordering::Relaxed);
        let nowhere = addresses(&["127.0.0.1:9"]);
        let ended = race(&nowhere, None, Duration::from_secs(30), &context).unwrap_err();
        assert!(
            matches!(ended, Cause::Interrupted(2) | Cause::Unreachable(_)),
            "{ended:?}"
        );
    }
}
