//! The opening of a session: greeting, EHLO or HELO or LHLO, STARTTLS, TLS, and EHLO again.
//!
//! Promise: required TLS is never given up, what was learned in clear is forgotten inside TLS, and
//! no byte that came in clear is ever taken for one that came inside (RFC 3207 section 4.2).
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::capabilities::Capabilities;
use super::connection::Session;
use super::encryption::{self, Encryption, describe};
use super::guard::{Guard, Io, shown};
use crate::delivery::{Cause, Fault, Lacks, Reply, Stage};
use crate::route::{Endpoint, Smtp, TlsMode, Trust, Verify};
use crate::transport::line::Commands;
use crate::transport::net::dial::{self, Dialled};
use crate::transport::net::roots::{self, TlsContext};
use crate::transport::net::tls::{self, Leaf};
use crate::transport::steps::{Fact, Outcome, Step};
use crate::transport::{Reporter, RunContext};

/// The port on which servers wait for TLS without a greeting (RFC 8314 section 7.3).
const IMPLICIT_PORT: u16 = 465;

/// How long a knock at a silent port may take.
const KNOCK: Duration = Duration::from_secs(5);

/// A session ready for AUTH and MAIL.
pub(crate) struct Established {
    /// The session.
    pub session: Session,
    /// What the server offers.
    pub capabilities: Capabilities,
    /// TLS is on.
    pub encrypted: bool,
    /// Its version, as in `TLSv1.3`.
    pub tls: Option<String>,
    /// The other end is this machine.
    pub loopback: bool,
    /// When the connection stood, before the first byte.
    pub connected: Instant,
    /// The certificate is not trusted, and the user wants to be told and to go on.
    pub remark: Option<String>,
}

/// Why there is no session.
pub struct ConnectError {
    /// What happened.
    pub fault: Fault,
    /// The next endpoint may be tried: nothing was heard here that speaks this protocol.
    pub next_endpoint: bool,
}

impl From<Fault> for Box<ConnectError> {
    fn from(fault: Fault) -> Self {
        let next_endpoint = matches!(fault.cause, Cause::Unreachable(_));
        Box::new(ConnectError {
            fault,
            next_endpoint,
        })
    }
}

/// Connects through an endpoint and greets; once more where a certificate was refused that may be
/// good by other roots, or with which the user wants to go on.
///
/// # Errors
/// [`ConnectError`].
pub(crate) fn open(
    route: &Smtp,
    endpoint: Endpoint,
    prepared: &mut Option<TlsContext>,
    context: &RunContext,
) -> Result<Established, Box<ConnectError>> {
    let mut early = Reporter::new(context);
    loop {
        let mut closed = match open_once(route, endpoint, prepared, context, &early) {
            Err(closed) => closed,
            opened => return opened,
        };
        if !prepared.as_mut().is_some_and(TlsContext::take_again) {
            if let Cause::Distrust(distrust) = &mut closed.fault.cause
                && distrust.fingerprint.is_none()
                && let Some(leaf) = look(route, endpoint, context)
            {
                *distrust = leaf.explain(&distrust.reason, &route.host);
                describe(&Reporter::new(context), &leaf);
            }
            return Err(closed);
        }
        early.note("the certificate was rejected; connecting again to get the details");
        // A rehearsal has heard of the steps before TLS.
        early.steps = None;
    }
}

/// Connects and greets; where an address is mute or closes before anything is said, through the
/// next one (RFC 5321 section 5.1). All of them together may take as long as one that has no other.
/// `early` hears what comes before TLS.
fn open_once(
    route: &Smtp,
    endpoint: Endpoint,
    prepared: &mut Option<TlsContext>,
    context: &RunContext,
    early: &Reporter,
) -> Result<Established, Box<ConnectError>> {
    let reporter = Reporter::new(context);
    let context = &RunContext {
        steps: early.steps.clone(),
        ..context.clone()
    };
    let prepare = || {
        // Where TLS is only an offer, most servers that need none of it make none.
        if matches!(endpoint.tls, TlsMode::Implicit | TlsMode::Starttls) && prepared.is_none() {
            let made = roots::prepare(&route.trust, &route.host, route.trust.verify);
            *prepared = Some(made.map_err(|cause| Fault::new(Stage::Prepare, cause))?);
        }
        Ok(())
    };
    let mut addresses = dial::find(route, endpoint.port, context, prepare)?;
    let (begun, whole) = (Instant::now(), route.timeouts.command);
    let mut mute: Option<Box<ConnectError>> = None;
    loop {
        let dialled = match (addresses.connect(context), mute.take()) {
            (Ok(dialled), before) => {
                mute = before;
                dialled
            }
            // One that answered at all tells more than those that did not.
            (
                Err(Fault {
                    cause: Cause::Unreachable(_),
                    ..
                }),
                Some(closed),
            ) => return Err(closed),
            (Err(fault), _) => return Err(fault.into()),
        };
        let others = addresses.left();
        let share = if others == 0 && mute.is_none() {
            whole
        } else {
            share(whole, begun.elapsed(), others)
        };
        let dialled_address = dialled.address;
        let closed = match begin(route, endpoint, prepared, &reporter, early, dialled, share) {
            Err(closed) if others > 0 && is_elsewhere(&closed.fault, endpoint) => closed,
            outcome => return outcome,
        };
        if let Some(address) = dialled_address {
            context.learned.is_mute(address);
        }
        early.note("trying the next address of the server");
        early.steps(|steps| steps.failed(&super::classifier(route).classify(closed.fault.clone())));
        mute = Some(closed);
    }
}

/// What an address may take of the time that is left for it and the others, without odd fractions.
fn share(whole: Duration, gone: Duration, others: usize) -> Duration {
    let others = u32::try_from(others).unwrap_or(u32::MAX - 1);
    let share = whole.saturating_sub(gone) / (others + 1);
    if share < Duration::from_secs(10) {
        return Duration::from_millis(u64::try_from(share.as_millis()).unwrap_or(u64::MAX));
    }
    Duration::from_secs(share.as_secs())
}

/// Another address may do better: this one said nothing, or that it has no time.
fn is_elsewhere(fault: &Fault, endpoint: Endpoint) -> bool {
    let first = match fault.stage {
        Stage::Greeting => true,
        Stage::Tls => endpoint.tls == TlsMode::Implicit,
        _ => false,
    };
    match &fault.cause {
        Cause::Silent(_) => first,
        Cause::Lost(_) => first || fault.stage == Stage::Hello,
        Cause::Refused(reply) => {
            reply.code / 100 == 4 && matches!(fault.stage, Stage::Greeting | Stage::Hello)
        }
        _ => false,
    }
}

/// Greets on a connection; `timeout` is what the greeting may take, and the TLS handshake before
/// it.
fn begin(
    route: &Smtp,
    endpoint: Endpoint,
    prepared: &mut Option<TlsContext>,
    reporter: &Reporter,
    early: &Reporter,
    dialled: Dialled,
    timeout: Duration,
) -> Result<Established, Box<ConnectError>> {
    let Dialled {
        socket,
        peer,
        loopback,
        local,
        ..
    } = dialled;
    let connected = Instant::now();
    early.note(format!("connected to {peer}"));
    let verify = encryption::verify(route, endpoint, loopback, reporter);
    let mut tls = Encryption {
        route,
        prepared,
        verify,
        reporter,
        version: None,
        remark: None,
    };
    let io = if endpoint.tls == TlsMode::Implicit {
        tls.begin(socket, timeout).map_err(|(fault, not_tls)| {
            if not_tls {
                reporter.fact("speaks", || "clear".to_owned());
            }
            Box::new(ConnectError {
                fault,
                next_endpoint: not_tls,
            })
        })?
    } else {
        Io::Plain(socket)
    };
    let encrypted = matches!(io, Io::Tls(_));
    let heard = if encrypted { reporter } else { early };
    let mut opening = Opening {
        encrypted,
        guard: Guard::new(io, heard.clone(), route.timeouts.block),
        reporter: heard,
        route,
        endpoint,
        name: hello_name(route, local),
        capabilities: Capabilities::default(),
    };
    if let Err(fault) = opening.greeting(timeout).and_then(|()| opening.hello()) {
        return Err(opening.farewell(fault).into());
    }
    match opening.starttls() {
        Ok(false) if opening.endpoint.tls == TlsMode::Opportunistic => {
            reporter.note("continuing without TLS");
            reporter.steps(|steps| steps.over(Step::Tls, Outcome::Skipped));
        }
        Ok(false) if opening.endpoint.tls == TlsMode::None => {
            reporter.steps(|steps| steps.over(Step::Tls, Outcome::Skipped));
        }
        Ok(false) => {}
        Ok(true) => opening = opening.secure(&mut tls)?,
        Err(fault) => return Err(opening.farewell(fault).into()),
    }
    let Opening {
        guard,
        capabilities,
        encrypted,
        ..
    } = opening;
    let session = Session::new(guard, &capabilities)?;
    Ok(Established {
        session,
        capabilities,
        encrypted,
        tls: tls.version,
        loopback,
        connected,
        remark: tls.remark,
    })
}

/// Tells, on a connection of its own, whether a server that gave no greeting waits for TLS. For a
/// rehearsal only: a send would lose time with it.
pub(crate) fn speaks_tls(
    route: &Smtp,
    endpoint: Endpoint,
    prepared: &mut Option<TlsContext>,
    context: &RunContext,
) -> bool {
    let context = context.unobserved();
    let any = || roots::prepare(&Trust::default(), &route.host, Verify::Ignore).ok();
    let prepared = prepared.take().or_else(any);
    let (Some(prepared), Ok(Dialled { mut socket, .. })) =
        (prepared, dial::dial(route, endpoint.port, &context))
    else {
        return false;
    };
    socket.clock.allow(KNOCK.min(route.timeouts.command));
    tls::begin(&prepared, &route.host, &route.trust, Verify::Ignore, socket).is_ok()
}

/// The certificate that the library keeps to itself when it refuses it, from a connection of its
/// own on which nothing is shown, asked or sent once TLS has begun. Only words come of it.
fn look(route: &Smtp, endpoint: Endpoint, context: &RunContext) -> Option<Leaf> {
    let context = context.unobserved();
    let trust = Trust {
        verify: Verify::Ignore,
        ..Trust::default()
    };
    let prepared = roots::prepare(&trust, &route.host, Verify::Ignore).ok()?;
    let Dialled {
        mut socket, local, ..
    } = dial::dial(route, endpoint.port, &context).ok()?;
    if endpoint.tls != TlsMode::Implicit {
        let reporter = &Reporter::new(&context);
        let guard = Guard::new(Io::Plain(socket), reporter.clone(), route.timeouts.block);
        let (name, capabilities) = (hello_name(route, local), Capabilities::default());
        let mut opening = Opening {
            guard,
            reporter,
            route,
            endpoint,
            name,
            capabilities,
            encrypted: false,
        };
        opening
            .greeting(route.timeouts.command)
            .and_then(|()| opening.hello())
            .ok()?;
        opening.starttls().ok().filter(|begins| *begins)?;
        socket = opening.guard.into_socket().ok()?;
    }
    socket.clock.allow(route.timeouts.command);
    tls::begin(&prepared, &route.host, &trust, Verify::Ignore, socket)
        .ok()?
        .leaf
}

/// The argument of EHLO: what was set, or the literal of the local address (RFC 5321 section
/// 4.1.3).
fn hello_name(route: &Smtp, local: Option<IpAddr>) -> String {
    let fits = |name: &&String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    match (route.hello_name.as_ref().filter(fits), local) {
        (Some(name), _) => name.clone(),
        (None, Some(IpAddr::V4(address))) => format!("[{address}]"),
        (None, Some(IpAddr::V6(address))) => format!("[IPv6:{address}]"),
        (None, None) => "localhost".to_owned(),
    }
}

struct Opening<'a> {
    guard: Guard,
    reporter: &'a Reporter,
    route: &'a Smtp,
    endpoint: Endpoint,
    name: String,
    capabilities: Capabilities,
    encrypted: bool,
}

impl<'a> Opening<'a> {
    fn ask(&mut self, stage: Stage, line: &str) -> Result<Reply, Fault> {
        self.guard.begin_command(stage, self.route.timeouts.command);
        let mut command = Commands::default();
        command.add(line).map_err(|cause| self.guard.fail(cause))?;
        self.guard.tell(&shown(line));
        self.guard.push(command.as_str().as_bytes())?;
        self.guard.reply()
    }

    fn greeting(&mut self, timeout: Duration) -> Result<(), Fault> {
        self.guard.begin_command(Stage::Greeting, timeout);
        match self.guard.reply() {
            Ok(reply) => {
                let reply = self.wanted(220, "its greeting", Stage::Greeting, reply)?;
                self.reporter.fact("reply", || reply.text());
                self.reporter.passed(Step::Greeting);
                Ok(())
            }
            Err(fault) if matches!(fault.cause, Cause::Silent(_)) && self.is_tls_port() => {
                self.reporter.fact("speaks", || "TLS".to_owned());
                let why =
                    format!("no greeting: port {IMPLICIT_PORT} speaks TLS from the first byte");
                Err(Fault {
                    cause: Cause::Protocol(why),
                    ..fault
                })
            }
            Err(fault) => Err(fault),
        }
    }

    fn is_tls_port(&self) -> bool {
        self.endpoint.port == IMPLICIT_PORT && !self.encrypted && self.route.socket.is_none()
    }

    /// Takes the one reply that means yes; everything else is a refusal or not SMTP.
    fn wanted(
        &mut self,
        code: u16,
        what: &str,
        stage: Stage,
        reply: Reply,
    ) -> Result<Reply, Fault> {
        match reply.code {
            found if found == code => Ok(reply),
            400.. => Err(Fault::new(stage, Cause::Refused(reply))),
            _ => Err(self.guard.fail(Cause::Protocol(format!(
                "the server sent \"{}\" as {what}",
                reply.text()
            )))),
        }
    }

    /// EHLO, and HELO where the server knows no other and nothing is needed that only EHLO offers
    /// (RFC 5321 section 3.2).
    fn hello(&mut self) -> Result<(), Fault> {
        let needs_ehlo = self.route.lmtp
            || self.route.login.is_some()
            || (self.endpoint.tls == TlsMode::Starttls && !self.encrypted);
        self.capabilities = Capabilities::default();
        if self.route.ehlo || needs_ehlo {
            let verb = if self.route.lmtp { "LHLO" } else { "EHLO" };
            self.reporter
                .fact("said", || format!("{verb} {}", self.name));
            let reply = self.ask(Stage::Hello, &format!("{verb} {}", self.name))?;
            if needs_ehlo || !matches!(reply.code, 500 | 502 | 504 | 550) {
                let reply =
                    self.wanted(250, &format!("its reply to {verb}"), Stage::Hello, reply)?;
                let offered = self.guard.unstruck();
                self.capabilities =
                    Capabilities::new(offered.as_ref().unwrap_or(&reply)).told_as(&reply);
                self.greeted(&reply);
                return Ok(());
            }
        }
        self.reporter.fact("said", || format!("HELO {}", self.name));
        let reply = self.ask(Stage::Hello, &format!("HELO {}", self.name))?;
        let reply = self.wanted(250, "its reply to HELO", Stage::Hello, reply)?;
        self.greeted(&reply);
        Ok(())
    }

    /// Tells a rehearsal what the server offers.
    fn greeted(&self, reply: &Reply) {
        self.reporter.steps(|steps| {
            let offers = reply
                .lines
                .iter()
                .skip(1)
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty());
            steps.fact("offers", Fact::List(offers.collect()));
            steps.fact("auth", Fact::List(self.capabilities.mechanisms().to_vec()));
            if let Some(limit) = self.capabilities.limit {
                steps.fact(
                    "size",
                    Fact::Number(i64::try_from(limit).unwrap_or(i64::MAX)),
                );
            }
            steps.over(Step::Hello, Outcome::Passed);
        });
    }

    /// Asks for TLS where it is wanted; `true` when the handshake may begin.
    fn starttls(&mut self) -> Result<bool, Fault> {
        let required = match self.endpoint.tls {
            TlsMode::Starttls => true,
            TlsMode::Opportunistic => false,
            TlsMode::Implicit | TlsMode::None => return Ok(false),
        };
        if !self.capabilities.starttls {
            let offered = self.capabilities.offered();
            let lacks = Fault::new(Stage::Tls, Cause::Lacks(Lacks::Starttls, offered));
            return if required { Err(lacks) } else { Ok(false) };
        }
        let reply = self.ask(Stage::Tls, "STARTTLS")?;
        match self.wanted(220, "its reply to STARTTLS", Stage::Tls, reply) {
            Ok(_) => Ok(true),
            Err(Fault {
                cause: Cause::Refused(_),
                ..
            }) if !required => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    fn secure(self, tls: &mut Encryption<'a>) -> Result<Self, Fault> {
        let Opening {
            guard,
            route,
            endpoint,
            name,
            ..
        } = self;
        let io = tls
            .begin(guard.into_socket()?, route.timeouts.command)
            .map_err(|(fault, _)| fault)?;
        let reporter = tls.reporter;
        let guard = Guard::new(io, reporter.clone(), route.timeouts.block);
        let capabilities = Capabilities::default();
        let mut inside = Opening {
            guard,
            reporter,
            route,
            endpoint,
            name,
            capabilities,
            encrypted: true,
        };
        match inside.hello() {
            Ok(()) => Ok(inside),
            Err(fault) => Err(inside.farewell(fault)),
        }
    }

    /// Says goodbye to a server that can still hear it, without waiting for an answer.
    fn farewell(&mut self, fault: Fault) -> Fault {
        if self.guard.is_open() {
            self.guard.tell(&shown("QUIT"));
            let _ = self
                .guard
                .push(b"QUIT\r\n")
                .and_then(|()| self.guard.flush());
        }
        fault
    }
}
