//! Mail handed to a sendmail-like program.
//!
//! Promise: the program sees the whole message or is killed; a message that ends early is never
//! completed by closing its input. Lines end in LF, as local programs want them. The last of what
//! it says on standard error is told; what it prints is dropped, or shown on standard error with
//! `-v`. It may take as long as a server for a block of the message and for its end. A list that is
//! too long for one command line goes to several runs of the program.
//!
//! A signal before the message is complete kills the program; after that it may go on for ten
//! seconds. One that is ended when it has the whole message, by whomever, leaves the mail in doubt.
use std::io;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use super::{ConnectionReuse, Reporter, RunContext, Transport};
use crate::address::Address;
use crate::children::{self, ExitStatus, Order, Running, Stop};
use crate::delivery::{Cause, Fault, Line, RecipientResult, Reply, Report, Stage};
use crate::environment::STARTED_BY_SMAIL;
use crate::hints::Classifier;
use crate::message::{Envelope, Message, xtext};
use crate::route::{Program, Timeouts};
use crate::transport::delivery_log::{DeliveryLog, SettleOnce};
use crate::transport::line::check_arguments;
use crate::transport::net::socket::cause;
use crate::transport::peer_text::reason;
use crate::transport::peer_text::{decode, kept};

/// How long a program that has the whole message may go on after a signal.
const GRACE: Duration = Duration::from_secs(10);
/// The most bytes of recipients on one command line: what xargs allows itself.
const LONGEST_LIST: usize = 128 << 10;

/// A program that stands in for a server.
pub(super) struct Sendmail {
    program: Program,
    context: RunContext,
}

impl Sendmail {
    /// Takes the program; nothing is started.
    pub(super) fn new(program: &Program, context: &RunContext) -> Self {
        Sendmail {
            program: program.clone(),
            context: context.clone(),
        }
    }

    /// Hands the message over for these of its recipients.
    fn run(
        &self,
        message: &Message,
        part: Range<usize>,
        once: &mut SettleOnce<'_>,
    ) -> Result<Reply, Fault> {
        let reporter = Reporter::new(&self.context);
        let envelope = &message.envelope;
        check_arguments(envelope).map_err(|cause| Fault::new(Stage::Prepare, cause))?;
        let arguments = arguments(&self.program, envelope, &envelope.recipients[part.clone()]);
        reporter.line(&Line::Client(crate::text::short(&command_line(
            &self.program,
            &arguments,
        ))));
        let mut running = self.start(&arguments).map_err(|error| {
            // 127 is what a shell reports for it: permanent, unlike a program that a signal ended.
            let why = format!("{}: {}", self.program.path.display(), reason(&error));
            Fault::new(Stage::Connect, Cause::Program(why, Some(127)))
        })?;
        let timeouts = &self.program.timeouts;
        let whole = match write(&mut running, message, part, once, timeouts, &reporter) {
            Ok(whole) => whole,
            Err(why) => {
                // Before its input closes: the end of the input would be the end of the message.
                running.kill();
                reporter.note("the program was stopped before the message was complete");
                return Err(Fault::new(Stage::Content, why));
            }
        };
        reporter.note(format!("message, {} bytes", message.size()));
        let ended = running.wait(timeouts.dot, GRACE);
        let words = words(&running, &reporter);
        for line in &words {
            reporter.line(&Line::Server(line.clone()));
        }
        match ended {
            Ok(status) => outcome_of(status, &words, whole),
            Err(stop) => Err(Fault {
                in_doubt: true,
                ..Fault::new(Stage::Content, given_up(&stop, &words))
            }),
        }
    }

    fn start(&self, arguments: &[String]) -> io::Result<Running> {
        let mut order = Order::new(&self.program.path)
            .args(arguments)
            .reads()
            .env(STARTED_BY_SMAIL, "1");
        if let Some(name) = &self.program.argv0 {
            order = order.called(name);
        }
        if self.program.verbose {
            order = order.shown()?;
        }
        order.start(&self.context.interrupt)
    }

    /// The recipients in pieces that fit a command line; an envelope that is no part of it is one
    /// piece.
    fn parts(&self, envelope: &Envelope) -> Vec<Range<usize>> {
        let all = envelope.recipients.len();
        let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (at, recipient) in envelope
            .recipients
            .iter()
            .enumerate()
            .filter(|_| !self.program.no_recipients)
        {
            // With its end and its place in the vector.
            let size = recipient.to_string().len() + 9;
            if bytes + size > LONGEST_LIST && at > start {
                parts.push(start..at);
                (start, bytes) = (at, 0);
            }
            bytes += size;
        }
        parts.push(start..all);
        parts
    }
}

impl Transport for Sendmail {
    fn deliver(
        &mut self,
        message: &Message,
        _: ConnectionReuse,
        log: &mut dyn DeliveryLog,
    ) -> Report {
        let start = Instant::now();
        let recipients = &message.envelope.recipients;
        let mut once = SettleOnce::new(log, recipients.len());
        let via = self.program.path.display().to_string();
        let mut report = Report::uniform(via, std::iter::empty(), &Ok(Reply::new(250, Vec::new())));
        let mut over: Option<Cause> = None;
        let classifier = Classifier::new(self.program.provider.as_deref(), None);
        for part in self.parts(&message.envelope) {
            let ended = match &over {
                Some(cause) => Err(Fault::new(Stage::Connect, cause.clone())),
                None => self.run(message, part.clone(), &mut once),
            };
            let outcome = ended.map_err(|fault| classifier.classify(fault));
            // It would be no other for the next part.
            if let Err(Fault {
                cause: cause @ (Cause::Interrupted(_) | Cause::Program(_, None)),
                ..
            }) = &outcome
            {
                over = Some(cause.clone());
            }
            once.settle(part.clone().map(|at| (at, &outcome)));
            let result = |recipient: &Address| RecipientResult {
                recipient: recipient.to_string(),
                outcome: outcome.clone(),
            };
            report
                .recipients
                .extend(recipients[part].iter().map(result));
        }
        report.bytes = message.size();
        report.timing.transaction = start.elapsed();
        report
    }
}

/// The argument vector after the name.
fn arguments(program: &Program, envelope: &Envelope, recipients: &[Address]) -> Vec<String> {
    let mut arguments = Vec::new();
    if !program.no_default_arguments {
        arguments.push("-i".to_owned());
    }
    if program.verbose {
        arguments.push("-v".to_owned());
    }
    if program.sender && !program.no_default_arguments {
        let sender = envelope
            .sender
            .as_ref()
            .map_or_else(|| "<>".to_owned(), ToString::to_string);
        arguments.extend(["-f".to_owned(), sender]);
    }
    if !program.no_default_arguments {
        // As xtext, which is what Sendmail wants; for plain words it is the same.
        let envid = envelope.dsn.envid.as_deref().map(xtext);
        let asked = [
            ("-N", envelope.dsn.notify.map(String::from)),
            ("-R", envelope.dsn.ret.map(String::from)),
            ("-V", envid),
        ];
        let given = asked
            .into_iter()
            .filter_map(|(option, value)| Some([option.to_owned(), value?]));
        arguments.extend(given.flatten());
    }
    arguments.extend(program.arguments.iter().cloned());
    if !program.no_recipients {
        arguments.push("--".to_owned());
        arguments.extend(recipients.iter().map(ToString::to_string));
    }
    arguments
}

/// The command that hands a message over, in the words of a shell.
pub(super) fn spoken(program: &Program, envelope: &Envelope) -> String {
    crate::text::short(&command_line(
        program,
        &arguments(program, envelope, &envelope.recipients),
    ))
}

fn command_line(program: &Program, arguments: &[String]) -> String {
    let words = arguments.iter().map(String::as_str);
    let line = shlex::try_join(words).unwrap_or_else(|_| arguments.join(" "));
    format!("{} {line}", program.path.display())
        .trim_end()
        .to_owned()
}

/// Writes the message; its last piece only when the log knows of it. Tells whether the program
/// listened to the end.
fn write(
    running: &mut Running,
    message: &Message,
    part: Range<usize>,
    once: &mut SettleOnce<'_>,
    timeouts: &Timeouts,
    reporter: &Reporter,
) -> Result<bool, Cause> {
    let mut put = |bytes: &[u8]| {
        running
            .feed(bytes, timeouts.block)
            .map_err(|stop| given_up(&stop, &words(running, reporter)))
    };
    let mut lines = Unix::default();
    let mut last = None;
    let mut listens = true;
    for piece in message.chunks() {
        let piece = piece.map_err(|error| Cause::Content(reason(&error)))?;
        if let Some(ready) = last.replace(piece) {
            listens = put(lines.convert(&ready))?;
        }
        if !listens {
            break;
        }
    }
    // A program that needs no more of it may accept it all the same.
    once.before_dot(&part.collect::<Vec<_>>())?;
    Ok(listens && put(lines.convert(&last.unwrap_or_default()))? && put(lines.rest())?)
}

/// What it said on standard error, without secrets and safe to print.
fn words(running: &Running, reporter: &Reporter) -> Vec<String> {
    let lines = reporter.redactor.program(&running.said());
    let lines: Vec<String> = lines
        .iter()
        .map(|line| decode(line))
        .filter(|line| !line.trim().is_empty())
        .collect();
    kept(&lines)
}

/// Why a program was not waited for any longer.
fn given_up(stop: &Stop, words: &[String]) -> Cause {
    match stop {
        Stop::Signal(signal) => Cause::Interrupted(*signal),
        Stop::Io(error) => cause(error),
        Stop::Deadline(_) | Stop::Flood => {
            let mut lines = vec![stop.to_string()];
            lines.extend_from_slice(words);
            Cause::Program(lines.join("\n"), None)
        }
    }
}

/// `whole`: it listened to the end of the message, and may have taken it when something ended it.
fn outcome_of(status: ExitStatus, words: &[String], whole: bool) -> Result<Reply, Fault> {
    if children::failed(status).is_none() {
        return Ok(Reply::new(250, vec!["accepted by the program".to_owned()]));
    }
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with status {code} and printed nothing"),
        (None, signal) => format!("it was killed by signal {}", signal.unwrap_or(0)),
    };
    let said = if words.is_empty() {
        how
    } else {
        words.join("\n")
    };
    let fault = Fault::new(Stage::Content, Cause::Program(said, status.code()));
    Err(Fault {
        in_doubt: whole && status.code().is_none(),
        ..fault
    })
}

/// CRLF into LF, piece by piece.
#[derive(Default)]
pub(super) struct Unix {
    out: Vec<u8>,
    cr: bool,
}

impl Unix {
    /// The piece with LF line ends; a CR at its end is kept for the next one.
    pub(super) fn convert(&mut self, piece: &[u8]) -> &[u8] {
        self.out.clear();
        self.out.reserve(piece.len() + 1);
        for &byte in piece {
            if std::mem::take(&mut self.cr) && byte != b'\n' {
                self.out.push(b'\r');
            }
            if byte == b'\r' {
                self.cr = true;
            } else {
                self.out.push(byte);
            }
        }
        &self.out
    }

    /// What was kept at the very end.
    pub(super) fn rest(&mut self) -> &[u8] {
        if std::mem::take(&mut self.cr) {
            b"\r"
        } else {
            b""
        }
    }
}

#[cfg(test)]
mod tests;
