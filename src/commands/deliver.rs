//! The road through the queue: write down, try at once, say what became of it.
//!
//! Promise: exit status 0 means accepted, or durable and to be tried again; whatever else was said,
//! a mail is never both kept for another attempt and reported as the caller's to repeat.
use std::sync::atomic::Ordering;

use crate::address::Mailbox;
use crate::cli::Args;
use crate::delivery::{Cause, Class, Fault, Report, Stage};
use crate::failure::{self, Exit, Failure, messages};
use crate::maillog::Attempt;
use crate::message::Message;
use crate::queue::{
    self, Claim, FlushOptions, Head, KeyState, Outcome, Queue, QueueError, Queues, Verdict,
};
use crate::route::Route;
use crate::settings::{Layers, Settings};
use crate::transport::{self, ConnectionReuse, RunContext};

use super::complain;
use super::maillog::RunLog;
use super::open_queue::TIME_LIMIT;
use super::queue::{RouteResolver, say_given_up};

/// What the queue did with a mail.
pub(super) struct Sent {
    /// The results of its recipients, when it was tried.
    pub report: Option<Report>,
    /// The exit status.
    pub exit: Exit,
    /// What is to be said; status 0 when the mail is safe all the same.
    pub error: Option<Failure>,
    /// The id under which it waits or was kept.
    pub id: Option<String>,
    /// Nobody holds the mail: it was neither accepted nor kept.
    pub lost: bool,
}

impl Sent {
    /// A mail that waits under this id; what is to be said of it, if anything.
    fn waiting(id: String, error: Option<Failure>) -> Self {
        Sent {
            report: None,
            exit: Exit::OK,
            error,
            id: Some(id),
            lost: false,
        }
    }

    /// A mail that was tried and stays under this id, in the queue or among the failed ones.
    fn tried(report: Report, exit: Exit, error: Failure, id: String) -> Self {
        Sent {
            report: Some(report),
            exit,
            error: Some(error),
            id: Some(id),
            lost: false,
        }
    }
}

/// Everything that sending through the queue needs beside the queue.
pub(super) struct Mailer<'a> {
    /// What was typed.
    pub args: &'a Args,
    /// All sources, for the routes of other mail.
    pub layers: &'a Layers,
    /// The settings of this mail.
    pub settings: &'a Settings,
    /// Its way.
    pub route: &'a Route,
    /// What looks on.
    pub context: &'a RunContext,
    /// Its author.
    pub author: &'a Mailbox,
    /// Its subject, for the list.
    pub subject: &'a str,
}

impl Mailer<'_> {
    /// Writes the mail down and tries it; sends it directly when it cannot be written.
    ///
    /// # Errors
    /// The key, or what may not be used.
    pub(super) fn send(&self, mut queues: Queues, message: &Message) -> Result<Sent, Failure> {
        let key = match self
            .args
            .idempotency_key
            .as_deref()
            .map(|key| queues.key(key))
            .transpose()?
        {
            Some(KeyState::Taken(id)) => {
                if self.settings.flag("verbose") {
                    let key = self.args.idempotency_key.as_deref().unwrap_or_default();
                    let words = format!(
                        "a message with the key `{key}` was already accepted as {id}; nothing was \
                        sent"
                    );
                    complain(&failure::remark(&words));
                }
                return Ok(Sent::waiting(id, None));
            }
            Some(KeyState::New(key)) => Some(key),
            None => None,
        };
        let queue = queues.first();
        match queue.submit(self.head(message), message, key.as_ref()) {
            Ok(claim) => {
                // The key is free again for others, who now find the mail taken.
                drop(key);
                let id = claim.head().id.clone();
                let sent = self.attempt(queue, claim)?;
                self.note_attempt(message, Some(&id), &sent);
                if sent.exit == Exit::OK && sent.error.is_none() {
                    self.drain(&queues);
                }
                Ok(sent)
            }
            Err(QueueError::Io { error, .. })
                if error.kind() != std::io::ErrorKind::InvalidData && key.is_none() =>
            {
                self.say_unwritten(&error);
                Ok(self.send_directly(message))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn say_unwritten(&self, error: &std::io::Error) {
        if !self.args.quiet {
            complain(&failure::remark(&format!(
                "cannot write to the queue ({error}); sending without it"
            )));
        }
    }

    /// Writes the mail down for a later run; sends it directly when it cannot be written.
    ///
    /// # Errors
    /// What may not be used.
    pub(super) fn keep(&self, queues: &Queues, message: &Message) -> Result<Sent, Failure> {
        match queues.first().submit(self.head(message), message, None) {
            Ok(claim) => {
                let id = claim.head().id.clone();
                let sent = Sent::waiting(id.clone(), None);
                self.note_attempt(message, Some(&id), &sent);
                Ok(sent)
            }
            Err(QueueError::Io { error, .. })
                if error.kind() != std::io::ErrorKind::InvalidData =>
            {
                self.say_unwritten(&error);
                Ok(self.send_directly(message))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends without the queue.
    pub(super) fn send_directly(&self, message: &Message) -> Sent {
        let sent = self.direct(transport::open(self.route, self.context).deliver(
            message,
            ConnectionReuse::Last,
            &mut (),
        ));
        self.note_attempt(message, None, &sent);
        sent
    }

    /// Tells the log of the attempt. A log that cannot be written changes nothing about the mail.
    fn note_attempt(&self, message: &Message, id: Option<&str>, sent: &Sent) {
        let envelope = &message.envelope;
        let said = sent.error.as_ref().map(|failure| failure.what.as_str());
        let attempt = Attempt {
            id,
            message_id: &message.id,
            bytes: message.size(),
            exit: sent.exit.0,
            error: said,
            ..Attempt::default()
        };
        let from = envelope
            .sender
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let to = envelope
            .recipients
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        let kept = sent.id.is_some();
        RunLog::of(self.settings, self.args).note(
            &attempt,
            (&from, &to),
            sent.report.as_ref(),
            kept,
        );
    }

    fn direct(&self, report: Report) -> Sent {
        let failure = failure::account_for(&report, self.settings);
        let exit = failure.as_ref().map_or(Exit::OK, |f| f.exit);
        let lost = failure.is_some() && !report.any_done();
        Sent {
            report: Some(report),
            exit,
            lost,
            error: failure,
            id: None,
        }
    }

    fn head(&self, message: &Message) -> Head {
        Head {
            id: String::new(),
            created: 0,
            expires: 0,
            account: self.settings.account.clone(),
            settings: self.settings.said_of_route(),
            login: match self.route {
                Route::Smtp(server) => server.login.as_ref().and_then(|login| login.origin.clone()),
                _ => None,
            },
            from: self.author.address.to_string(),
            sender: message.envelope.sender.as_ref().map(ToString::to_string),
            to: message
                .envelope
                .recipients
                .iter()
                .map(ToString::to_string)
                .collect(),
            message_id: message.id.clone(),
            subject: self.subject.chars().take(200).collect(),
            eight_bit: false,
            header_utf8: false,
            key: self.args.idempotency_key.clone(),
            dsn: message.envelope.dsn.clone(),
        }
    }

    fn attempt(&self, queue: &Queue, mut claim: Claim<'_>) -> Result<Sent, Failure> {
        let id = claim.head().id.clone();
        let Some(slot) = queue.slot(TIME_LIMIT, &self.context.interrupt) else {
            return Ok(self.waits(&id, "too many messages are being sent at once"));
        };
        let report = match self.try_once(&mut claim) {
            Ok(report) => report,
            // Nothing was sent, as nothing could be noted; the mail itself is safe.
            Err(error) => return Ok(self.waits(&id, &error.to_string())),
        };
        drop(slot);
        if interrupted(&report) {
            claim.remove().map_err(|e| {
                Failure::new(Exit::IO, format!("message {id} stays in the queue: {e}"))
            })?;
            return Ok(self.direct(report));
        }
        let outcome = match claim.finish() {
            Ok(outcome) => outcome,
            Err(error) if report.is_done() => {
                let line = Failure::new(
                    Exit::OK,
                    format!(
                        "the message was sent, but {id} cannot be removed from the queue: {error}; it may be sent again"
                    ),
                );
                return Ok(Sent::tried(report, Exit::OK, line, id));
            }
            Err(error) => {
                return Ok(Sent {
                    report: Some(report),
                    ..self.waits(&id, &error.to_string())
                });
            }
        };
        Ok(self.account(&id, &outcome, report))
    }

    /// The attempt; a signal that came while the mail waited for its turn has ended it already.
    fn try_once(&self, claim: &mut Claim<'_>) -> Result<Report, QueueError> {
        let signal = self.context.interrupt.load(Ordering::Relaxed);
        if signal != 0 {
            let cause = Cause::Interrupted(i32::try_from(signal).unwrap_or(i32::MAX));
            let fault = Err(Fault::new(Stage::Prepare, cause));
            return Ok(Report::uniform(
                transport::describe(self.route),
                claim.head().to.iter().map(String::as_str),
                &fault,
            ));
        }
        claim.attempt(
            &mut *transport::open(self.route, self.context),
            ConnectionReuse::Last,
        )
    }

    /// The words and the status for what became of it.
    fn account(&self, id: &str, outcome: &Outcome, report: Report) -> Sent {
        let Some(failure) = failure::account_for(&report, self.settings) else {
            return Sent {
                report: Some(report),
                exit: Exit::OK,
                error: None,
                id: None,
                lost: false,
            };
        };
        let faults = || faults(&report);
        let id = id.to_owned();
        let language = failure::language(self.settings);
        match outcome {
            Outcome::Failed(problem) => {
                if let Some(why) = problem.clone() {
                    let hook = QueueError::Hook {
                        id: id.clone(),
                        why,
                    };
                    complain(&failure::remark(&hook.to_string()));
                }
                let failure = failure.fact(messages::KEPT.say(language, &[&id]));
                Sent::tried(report, failure.exit, failure, id)
            }
            Outcome::Waits if faults().any(|f| queue::verdict(f) == Verdict::Refuse) => {
                let exit = self.exit_of_refused(&report).unwrap_or(failure.exit);
                let failure = failure.fact(messages::QUEUED_OTHERS.say(language, &[&id]));
                Sent::tried(report, exit, failure, id)
            }
            // A fault of the session is the operator's to mend: it is explained in full.
            Outcome::Waits
                if faults().all(queue::is_of_session)
                    && faults().any(|f| f.class() == Class::Permanent) =>
            {
                let failure = failure.fact(messages::QUEUED_AGAIN.say(language, &[&id]));
                Sent::tried(report, Exit::OK, failure, id)
            }
            Outcome::Waits | Outcome::Gone => self.queued(&id, report),
        }
    }

    /// The status for those who were refused, as if nobody else had been asked.
    fn exit_of_refused(&self, report: &Report) -> Option<Exit> {
        let refused = Report {
            recipients: report
                .recipients
                .iter()
                .filter(|result| !waits_for(result))
                .cloned()
                .collect(),
            ..report.clone()
        };
        failure::account_for(&refused, self.settings).map(|failure| failure.exit)
    }

    /// A mail that waits after an attempt: one line, and the status of a signal that ended it.
    fn queued(&self, id: &str, report: Report) -> Sent {
        let language = failure::language(self.settings);
        let mut why = faults(&report)
            .next()
            .map(|fault| failure::on_one_line(fault, language))
            .unwrap_or_default();
        if faults(&report).any(|fault| fault.in_doubt) {
            why = messages::QUEUED_IN_DOUBT.say(language, &[&why]);
        }
        let signal = faults(&report).find_map(|fault| match fault.cause {
            Cause::Interrupted(signal) => u8::try_from(signal).ok(),
            _ => None,
        });
        let exit = signal.map_or(Exit::OK, |signal| Exit(128_u8.saturating_add(signal)));
        Sent {
            exit,
            report: Some(report),
            ..self.waits(id, &why)
        }
    }

    fn waits(&self, id: &str, why: &str) -> Sent {
        let language = failure::language(self.settings);
        let line = Failure::new(Exit::OK, messages::QUEUED.say(language, &[id, why]));
        Sent::waiting(id.to_owned(), Some(line))
    }

    /// Takes along what is due, quietly: what waits is told where it belongs, in the list, and what
    /// is given up at once.
    fn drain(&self, queues: &Queues) {
        let most = self
            .settings
            .size("queue-drain")
            .map_or(20, |most| usize::try_from(most).unwrap_or(20));
        if most == 0 {
            return;
        }
        let context = RunContext {
            observer: None,
            ..self.context.clone()
        };
        let options = FlushOptions {
            most: Some(most),
            time: Some(TIME_LIMIT),
            only_if_idle: true,
            ..FlushOptions::default()
        };
        let mut routes = RouteResolver::by_itself(self.layers, self.settings, self.args);
        if let Ok(flushed) = queues.flush(&mut routes, &context, &options) {
            say_given_up(&flushed);
            for problem in flushed.problems {
                complain(&failure::remark(&problem.to_string()));
            }
        }
    }
}

fn faults(report: &Report) -> impl Iterator<Item = &Fault> {
    let results = report.recipients.iter();
    results.filter_map(|result| result.outcome.as_ref().err())
}

fn waits_for(result: &crate::delivery::RecipientResult) -> bool {
    result
        .outcome
        .as_ref()
        .is_err_and(|f| queue::verdict(f) != Verdict::Refuse)
}

/// Ctrl-C at the terminal before anything was sent: the user wants it undone. Other signals only
/// end this process.
fn interrupted(report: &Report) -> bool {
    report
        .recipients
        .iter()
        .all(|f| matches!(&f.outcome, Err(fault) if fault.cause == Cause::Interrupted(2) && !fault.in_doubt))
}
