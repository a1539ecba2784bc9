//! Mail over SMTP, submission and LMTP: the endpoints of a server, the session kept from message to
//! message, and the report.
//!
//! Promise: connects when the first message comes, says RSET and QUIT when they are due, and
//! connects once more when a server has grown tired of a connection. Never goes from an endpoint
//! with TLS to one without while a login is set.
mod auth;
mod bdat;
mod capabilities;
mod commands;
pub(super) mod connection;
mod encryption;
mod guard;
pub(super) mod handshake;
mod pipeline;
mod recipients;
pub(super) mod reply;
mod transaction;

use std::rc::Rc;
use std::time::Instant;

use self::auth::LoggedIn;
use self::handshake::{ConnectError, Established};
use self::recipients::Recipients;
use self::transaction::{Connection, Finished};
use super::{ConnectionReuse, Reporter, RunContext, Transport};
use crate::delivery::{Cause, Fault, Report, Stage, Timing};
use crate::hints::Classifier;
use crate::message::Message;
use crate::route::{Endpoint, Smtp, TlsMode};
use crate::transport::StepRecorder;
use crate::transport::delivery_log::{DeliveryLog, SettleOnce};
use crate::transport::line::Commands;
use crate::transport::net::roots::TlsContext;
use crate::transport::steps::{Fact, Outcome, Step};

/// How many connections are tried for a message while nobody is spoken for on them.
const MOST_IDLE: usize = 4;

/// A server, connected or not.
pub(super) struct Server {
    route: Smtp,
    classifier: Rc<Classifier>,
    context: RunContext,
    prepared: Option<TlsContext>,
    fetched: Option<auth::Fetched>,
    connection: Option<Connection>,
    user: Option<String>,
    via: String,
    /// The version of TLS the session at hand speaks.
    tls: Option<String>,
    /// The host and port of the endpoint that was tried last.
    host: Option<String>,
    remarks: Vec<String>,
    /// Commands are sent one at a time.
    lockstep: bool,
    /// BDAT may be used: it is wanted, and was never refused.
    chunking: bool,
    /// How many recipients it takes in one transaction, once that was learned.
    room: Option<usize>,
}

impl Server {
    /// Takes the route; nothing is connected.
    pub(super) fn new(route: &Smtp, context: &RunContext) -> Self {
        let via = route
            .endpoints
            .first()
            .map_or_else(String::new, |endpoint| place(route, *endpoint));
        Server {
            route: route.clone(),
            classifier: Rc::new(classifier(route)),
            context: context.clone(),
            prepared: None,
            fetched: None,
            connection: None,
            user: None,
            via,
            tls: None,
            host: None,
            remarks: Vec::new(),
            lockstep: !route.pipelining,
            chunking: route.chunking,
            room: None,
        }
    }

    /// A session for the next message: the one at hand, if nothing has happened to it.
    fn ready(&mut self, timing: &mut Timing) -> Result<&mut Connection, Fault> {
        let usable = |connection: &mut Connection| {
            connection.session.is_open()
                && !connection.quitting
                && !connection.session.is_disturbed()
        };
        let mut at_hand = self.connection.take();
        if !at_hand.as_mut().is_some_and(usable) {
            self.part(at_hand.take());
            at_hand = Some(self.connect(timing)?);
        }
        match at_hand {
            Some(connection) => Ok(self.connection.insert(connection)),
            None => Err(self.unreachable(Vec::new())),
        }
    }

    fn connect(&mut self, timing: &mut Timing) -> Result<Connection, Fault> {
        let mut unreachable = Vec::new();
        let mut secure_before = false;
        let mut ended = None;
        for endpoint in self.route.endpoints.clone() {
            if self.route.login.is_some() && secure_before && endpoint.tls == TlsMode::None {
                continue;
            }
            secure_before |= endpoint.tls != TlsMode::None;
            self.via = place(&self.route, endpoint);
            (self.host, self.tls) = (Some(host(&self.route, endpoint)), None);
            let reporter = Reporter::new(&self.context);
            reporter.steps(|steps| steps.endpoint(self.via.clone()));
            match self.enter(endpoint, timing) {
                Ok(connection) => return Ok(connection),
                Err(closed) => {
                    let fault = self.classifier.classify(closed.fault);
                    reporter.steps(|steps| {
                        let silent = fault.stage == Stage::Greeting
                            && matches!(fault.cause, Cause::Silent(_));
                        if silent
                            && handshake::speaks_tls(
                                &self.route,
                                endpoint,
                                &mut self.prepared,
                                &self.context,
                            )
                        {
                            steps.fact("speaks", Fact::Text("TLS".to_owned()));
                        }
                        steps.failed(&fault);
                    });
                    match fault.cause {
                        Cause::Unreachable(reasons) => unreachable.extend(reasons),
                        _ => ended = Some(fault),
                    }
                    if !closed.next_endpoint {
                        break;
                    }
                }
            }
        }
        Err(ended.unwrap_or_else(|| self.unreachable(unreachable)))
    }

    fn unreachable(&self, tried: Vec<(String, String)>) -> Fault {
        let fault = Fault::new(Stage::Connect, Cause::Unreachable(tried));
        self.classifier.classify(fault)
    }

    fn enter(
        &mut self,
        endpoint: Endpoint,
        timing: &mut Timing,
    ) -> Result<Connection, Box<ConnectError>> {
        let start = Instant::now();
        let mut opened = handshake::open(&self.route, endpoint, &mut self.prepared, &self.context)?;
        self.remarks.extend(opened.remark.take());
        self.tls = opened.tls.take();
        timing.connect = opened.connected - start;
        let connected = opened.connected;
        let connection = self.login(opened, endpoint);
        timing.session = connected.elapsed();
        Ok(connection?)
    }

    fn login(&mut self, opened: Established, endpoint: Endpoint) -> Result<Connection, Fault> {
        let Established {
            session,
            mut capabilities,
            encrypted,
            loopback,
            ..
        } = opened;
        capabilities.pipelining &= !self.is_in_lockstep(endpoint);
        let reporter = Reporter::new(&self.context);
        let mut connection = Connection {
            session,
            capabilities,
            timeouts: self.route.timeouts,
            observer: self
                .context
                .observer
                .clone()
                .filter(|observer| observer.wants_progress()),
            lmtp: self.route.lmtp,
            turns: 0,
            begun: false,
            quitting: false,
        };
        let context = auth::Context {
            route: &self.route,
            port: endpoint.port,
            capabilities: &connection.capabilities,
            encrypted,
            loopback,
            observer: self.context.observer.as_deref(),
            run: &self.context,
        };
        match auth::login(&mut connection.session, &context, &mut self.fetched) {
            Ok(Some(LoggedIn { user, mechanism })) => {
                reporter.fact("mechanism", || mechanism.to_owned());
                reporter.fact("user", || user.clone());
                reporter.passed(Step::Login);
                self.user = Some(user);
                Ok(connection)
            }
            Ok(None) => {
                reporter.steps(|steps| steps.over(Step::Login, Outcome::Skipped));
                self.user = None;
                Ok(connection)
            }
            Err(fault) => {
                quit(&mut connection);
                Err(fault)
            }
        }
    }

    fn is_in_lockstep(&self, endpoint: Endpoint) -> bool {
        self.lockstep
            || self
                .context
                .learned
                .needs_lockstep(&host(&self.route, endpoint))
    }

    /// Remembers for the run that the server swallows commands that are sent together.
    fn learn_lockstep(&mut self) {
        self.lockstep = true;
        self.host
            .iter()
            .for_each(|server| self.context.learned.swallows(server));
    }

    /// The endpoint that was tried last, in the words of a user.
    pub(super) fn via(&self) -> &str {
        &self.via
    }

    /// Goes the way of a message up to its recipients, and back. Gives what a send would have
    /// failed with, for each recipient that was refused.
    pub(super) fn rehearse(&mut self, message: &Message, steps: &StepRecorder) -> Vec<Fault> {
        let classifier = Rc::clone(&self.classifier);
        let connection = match self.ready(&mut Timing::default()) {
            Ok(connection) => connection,
            Err(fault) => return vec![fault],
        };
        let faults = match transaction::form(&connection.capabilities, message) {
            Ok(message) => transaction::rehearse(connection, message, &classifier, steps),
            Err(fault) => {
                let fault = classifier.classify(fault);
                steps.failed(&fault);
                vec![fault]
            }
        };
        if connection.session.is_open() {
            let timeouts = connection.timeouts.quit;
            connection.quitting = true;
            // What is said to a goodbye changes nothing.
            if let Ok(reply) =
                connection
                    .session
                    .command(Stage::Content, timeouts, &Commands::fixed("QUIT"))
            {
                steps.fact("reply", Fact::Text(reply.text()));
            }
            steps.over(Step::Quit, Outcome::Passed);
        }
        self.connection = None;
        faults
    }

    /// Waits for the answer to QUIT, for what it is worth.
    fn part(&self, connection: Option<Connection>) {
        let Some(mut connection) = connection else {
            return;
        };
        quit(&mut connection);
        if connection.quitting && connection.session.is_open() {
            let _ = connection
                .session
                .reply(Stage::Content, self.route.timeouts.quit);
        }
    }

    /// Connects until everybody is spoken for, and returns what became of those who are not.
    fn attempts(
        &mut self,
        message: &Message,
        reuse: ConnectionReuse,
        report: &mut Report,
        recipients: &mut Recipients,
        once: &mut SettleOnce<'_>,
    ) -> Result<(), Fault> {
        // Each reason to begin again is good for once, unless somebody was spoken for meanwhile: a
        // tired connection, BDAT refused, QUIT sent too early, too many recipients at once.
        let (mut idle, mut left) = (0, usize::MAX);
        while idle < MOST_IDLE {
            idle = if recipients.waiting.len() < left {
                1
            } else {
                idle + 1
            };
            left = recipients.waiting.len();
            let ran = self.attempt(message, reuse, report, recipients, once);
            if recipients.lockstep {
                self.learn_lockstep();
            }
            match ran {
                Ok(Finished::Again(why)) => {
                    self.connection = None;
                    Reporter::new(&self.context).note(format!("{why}; connecting again"));
                }
                Ok(Finished::Done) => return Ok(()),
                Err(fault) => return Err(fault),
            }
        }
        let lost = Cause::Lost("the server closes every connection".into());
        Err(self.classifier.classify(Fault::new(Stage::Connect, lost)))
    }

    fn attempt(
        &mut self,
        message: &Message,
        reuse: ConnectionReuse,
        report: &mut Report,
        recipients: &mut Recipients,
        once: &mut SettleOnce<'_>,
    ) -> Result<Finished, Fault> {
        let mut timing = report.timing;
        let reporter = Reporter::new(&self.context);
        let connection = self.ready(&mut timing);
        report.timing = timing;
        let connection = connection?;
        let start = Instant::now();
        let message = match transaction::form(&connection.capabilities, message) {
            Ok(message) => message,
            Err(fault) => {
                let fault = recipients.classifier.classify(fault);
                once.settle(
                    recipients
                        .outcomes
                        .iter()
                        .enumerate()
                        .filter_map(|(at, known)| Some((at, known.as_ref()?))),
                );
                once.close(&Err(fault.clone()));
                if reuse == ConnectionReuse::Last {
                    quit(connection);
                }
                return Err(fault);
            }
        };
        if !message.envelope.dsn.is_empty() && !connection.capabilities.dsn {
            reporter.note("the server does not offer DSN; none is requested");
        }
        let ran = transaction::run(
            connection,
            message,
            reuse == ConnectionReuse::Last,
            recipients,
            once,
        );
        report.timing.transaction = start.elapsed();
        report.bytes = message.size();
        if reuse == ConnectionReuse::Last && ran == Finished::Done {
            quit(connection);
        }
        Ok(ran)
    }
}

/// Says what the failures of this server mean.
fn classifier(route: &Smtp) -> Classifier {
    let host = route.socket.is_none().then_some(route.host.as_str());
    Classifier::new(route.provider.as_deref(), host)
}

/// Sends QUIT, once.
fn quit(connection: &mut Connection) {
    if connection.session.is_open() && !connection.quitting {
        connection.quitting = true;
        connection.session.post("QUIT\r\n");
    }
}

impl Transport for Server {
    fn go_in_lockstep(&mut self) {
        self.lockstep = true;
        self.connection
            .iter_mut()
            .for_each(|connection| connection.capabilities.pipelining = false);
    }

    fn deliver(
        &mut self,
        message: &Message,
        reuse: ConnectionReuse,
        log: &mut dyn DeliveryLog,
    ) -> Report {
        let nothing = Err(Fault::new(Stage::Connect, Cause::Unreachable(vec![])));
        let recipients: Vec<String> = message
            .envelope
            .recipients
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut report = Report::uniform(
            String::new(),
            recipients.iter().map(String::as_str),
            &nothing,
        );
        // A list may be long; one copy of it is enough while it is worked through.
        drop(recipients);
        let mut once = SettleOnce::new(log, report.recipients.len());
        let mut recipients = Recipients::new(
            report.recipients.len(),
            self.chunking,
            self.room,
            Rc::clone(&self.classifier),
        );
        let ended = self.attempts(message, reuse, &mut report, &mut recipients, &mut once);
        (self.chunking, self.room) = (recipients.chunking, recipients.room);
        for (result, outcome) in report.recipients.iter_mut().zip(recipients.close(ended)) {
            result.outcome = outcome;
        }
        once.settle(
            report
                .recipients
                .iter()
                .map(|result| &result.outcome)
                .enumerate(),
        );
        report.via.clone_from(&self.via);
        report.user.clone_from(&self.user);
        report.tls.clone_from(&self.tls);
        report.host.clone_from(&self.host);
        report.remarks = std::mem::take(&mut self.remarks);
        report
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let connection = self.connection.take();
        self.part(connection);
    }
}

/// An endpoint in the words of a user.
pub(super) fn place(route: &Smtp, endpoint: Endpoint) -> String {
    let tls = match endpoint.tls {
        TlsMode::Implicit => "implicit TLS",
        TlsMode::Starttls => "STARTTLS",
        TlsMode::Opportunistic => "STARTTLS if offered",
        TlsMode::None => "no TLS",
    };
    let lmtp = if route.lmtp { "LMTP, " } else { "" };
    format!("{} ({lmtp}{tls})", host(route, endpoint))
}

/// Host and port of an endpoint, or the path of a socket.
fn host(route: &Smtp, endpoint: Endpoint) -> String {
    match &route.socket {
        Some(path) => path.display().to_string(),
        None if route.host.contains(':') => format!("[{}]:{}", route.host, endpoint.port),
        None => format!("{}:{}", route.host, endpoint.port),
    }
}
