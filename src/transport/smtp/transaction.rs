//! One message over an open session: MAIL, RCPT, DATA, the text, the dot (RFC 5321 section 3.3, RFC
//! 2920, RFC 2033).
//!
//! Promise: every recipient gets exactly one outcome; one that was refused does not stop the
//! others; the text is sent only after 354 and only if somebody accepted it, or behind BDAT (see
//! `bdat`); only 2yz to the last command of it is acceptance. Recipients that a server has no room
//! for in one transaction get another one (see `pipeline`).
use std::rc::Rc;

use super::bdat::Bdat;
use super::capabilities::Capabilities;
use super::commands::mail;
use super::connection::Session;
use super::pipeline;
use super::recipients::{Outcome, Recipients};
use crate::delivery::{Cause, Fault, Lacks, Reply, Stage};
use crate::hints::Classifier;
use crate::message::Message;
use crate::route::Timeouts;
use std::sync::Arc;

use crate::transport::Observer;
use crate::transport::StepRecorder;
use crate::transport::delivery_log::SettleOnce;
use crate::transport::line::Commands;
use crate::transport::progress::Metered;
use crate::transport::steps::{self, Fact, Step};

/// An open session and what is known of it.
pub(super) struct Connection {
    /// The session, logged in.
    pub session: Session,
    /// What the server offers.
    pub capabilities: Capabilities,
    /// How long each reply may take.
    pub timeouts: Timeouts,
    /// Is told how far the text is.
    pub observer: Option<Arc<dyn Observer>>,
    /// Every accepted recipient gets a reply of its own after the dot (RFC 2033).
    pub lmtp: bool,
    /// The transactions that were begun over it; after the first the server may have grown tired of
    /// it.
    pub turns: usize,
    /// A transaction was begun and has not ended.
    pub begun: bool,
    /// QUIT has been sent.
    pub quitting: bool,
}

/// How a run over one connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finished {
    /// Every recipient has an outcome.
    Done,
    /// Some have none, and this connection is of no use to them: nothing was sent, or it was
    /// refused. The words say why.
    Again(&'static str),
}

/// Chooses the form of a message that the server can take, and checks that it can.
///
/// # Errors
/// A fault at [`Stage::Sender`], before anything was sent.
pub(super) fn form<'m>(
    capabilities: &Capabilities,
    message: &'m Message,
) -> Result<&'m Message, Fault> {
    let fault = |cause| Fault::new(Stage::Sender, cause);
    if message.needs_smtputf8() && !capabilities.smtputf8 {
        return Err(fault(Cause::Lacks(Lacks::Smtputf8, capabilities.offered())));
    }
    let message = if message.eight_bit && !capabilities.eight_bit {
        message
            .seven_bit()
            .ok_or_else(|| fault(Cause::Lacks(Lacks::EightBit, capabilities.offered())))?
    } else {
        message
    };
    match capabilities.limit {
        Some(limit) if message.size() > limit => Err(fault(Cause::TooBig(message.size(), limit))),
        _ => Ok(message),
    }
}

/// Asks about sender and recipients, one by one, and takes it back. DATA is never said. Gives the
/// refusal of the sender, or those of the recipients, or what ended the session.
pub(super) fn rehearse(
    connection: &mut Connection,
    message: &Message,
    classifier: &Rc<Classifier>,
    steps: &StepRecorder,
) -> Vec<Fault> {
    let members: Vec<usize> = (0..message.envelope.recipients.len()).collect();
    let mut recipients = Recipients::new(members.len(), false, None, Rc::clone(classifier));
    let (timeouts, mut nobody) = (connection.timeouts.command, ());
    let mut once = SettleOnce::new(&mut nobody, members.len());
    let opening = mail(&connection.capabilities, message);
    let mut transaction = Transaction::new(
        connection,
        (message, &opening),
        &members,
        &mut recipients,
        &mut once,
    );
    let mut faults = Vec::new();
    let reset = std::mem::take(&mut transaction.connection.begun).then_some(Verb::Reset);
    let asked = members.iter().map(|&at| Verb::Rcpt(at));
    for verb in reset
        .into_iter()
        .chain([Verb::Mail])
        .chain(asked)
        .chain([Verb::Reset])
    {
        let step = match verb {
            Verb::Rcpt(_) if transaction.sender.is_some() => continue,
            Verb::Rcpt(_) => Step::Recipient,
            Verb::Reset => Step::Reset,
            Verb::Mail | Verb::Data | Verb::Bdat => Step::Sender,
        };
        let text = transaction.line(verb, None);
        steps.fact("said", Fact::Text(crate::text::short(text.trim_end())));
        let mut command = Commands::default();
        let said = match command.add(&text) {
            Ok(()) => transaction
                .connection
                .session
                .command(verb.stage(), timeouts, &command),
            Err(cause) => Err(transaction.connection.session.cut(Stage::Prepare, cause)),
        };
        let said =
            said.and_then(|reply| transaction.take_reply(verb, reply.clone()).map(|()| reply));
        let reply = match said {
            Ok(reply) => reply,
            Err(fault) => {
                let fault = classifier.classify(fault);
                steps.over(step, steps::Outcome::Failed(fault.clone()));
                return vec![fault];
            }
        };
        steps.fact("reply", Fact::Text(reply.text()));
        let refused = || Fault::new(verb.stage(), Cause::Refused(reply.clone()));
        let fault = (!reply.is_positive()).then(|| classifier.classify(refused()));
        steps.over(
            step,
            fault
                .clone()
                .map_or(steps::Outcome::Passed, steps::Outcome::Failed),
        );
        if members.is_empty() && matches!(verb, Verb::Mail) && fault.is_none() {
            steps.over(Step::Recipient, steps::Outcome::Skipped);
        }
        faults.extend(fault);
    }
    transaction.connection.begun = false;
    faults
}

/// Sends a message to those who have not been spoken for; `last` lets QUIT leave with it. All
/// recipients are settled in the log, unless it is [`Finished::Again`].
pub(super) fn run(
    connection: &mut Connection,
    message: &Message,
    last: bool,
    recipients: &mut Recipients,
    once: &mut SettleOnce<'_>,
) -> Finished {
    // Made once: it looks at every recipient, and a long list has many transactions.
    let opening = mail(&connection.capabilities, message);
    while !recipients.waiting.is_empty() {
        if connection
            .capabilities
            .mail_max
            .is_some_and(|most| connection.turns >= most)
        {
            connection.session.post("QUIT\r\n");
            return Finished::Again("the server accepts no more messages on this connection");
        }
        let members = recipients.next(connection.capabilities.rcpt_max);
        let before: Vec<_> = members
            .iter()
            .filter_map(|&at| Some((at, recipients.outcomes[at].take()?)))
            .collect();
        let last = last && recipients.waiting.is_empty();
        let mut transaction =
            Transaction::new(connection, (message, &opening), &members, recipients, once);
        let ended = transaction.run(last);
        let Transaction {
            answered,
            unwanted,
            accepted,
            later,
            limit,
            ..
        } = transaction;
        // A connection that ended before anything was heard on it of this transaction may have been
        // over before it.
        let used = connection.turns > 0;
        connection.turns += 1;
        if let Err(fault) = ended {
            let tried = Tried {
                members,
                before,
                accepted: accepted.len(),
                used,
                answered,
            };
            if let Some(again) = again(recipients, fault, tried) {
                return again;
            }
            break;
        }
        if let Some(limit) = limit {
            recipients.lower(limit);
        }
        recipients.begun = true;
        if unwanted {
            let mut again = [later, accepted].concat();
            again.sort_unstable();
            recipients.first(again);
            recipients.chunking = false;
            // What a server that knows no BDAT makes of the text behind it are answers nobody waits
            // for.
            if connection.quitting || connection.session.is_disturbed() {
                return Finished::Again("the server does not accept BDAT");
            }
            continue;
        }
        recipients.first(later);
        if recipients.waiting.is_empty() {
            break;
        }
        if connection.quitting {
            recipients.early_quit = false;
            return Finished::Again("the server has room for only some of the recipients");
        }
        if !connection.session.is_open() {
            return Finished::Again("the server closed the connection");
        }
    }
    recipients.settle(once);
    Finished::Done
}

/// A transaction that came to nothing.
struct Tried {
    members: Vec<usize>,
    /// What was known of them before it.
    before: Vec<(usize, Outcome)>,
    /// How many recipients the server had accepted.
    accepted: usize,
    /// The connection had been used before.
    used: bool,
    /// The server had answered MAIL.
    answered: bool,
}

/// Returns whether a fault is a reason to connect again; else it holds for all who have no outcome.
fn again(recipients: &mut Recipients, fault: Fault, tried: Tried) -> Option<Finished> {
    let mut why = None;
    if tried.used && !tried.answered && is_staleness(&fault) {
        why = Some("the server closed the connection");
    } else {
        recipients.lockstep |= fault.pipelined;
        // Nothing was handed over yet. A server that did not even answer the first command is not
        // waited for twice.
        if fault.pipelined && !fault.in_doubt && tried.answered {
            why = Some("the server drops commands that are sent together");
        } else if is_overfull(&fault, tried.accepted) && recipients.lower(tried.accepted) {
            why = Some("the server accepts fewer recipients at once");
        }
    }
    if why.is_some() {
        recipients.put_back(tried.members, tried.before);
    } else {
        recipients.give_up(&tried.members, tried.before, fault);
    }
    why.map(Finished::Again)
}

/// The server has closed the connection over one recipient too many, and not for a reason of its
/// own.
fn is_overfull(fault: &Fault, accepted: usize) -> bool {
    let says = |reply: &Reply| {
        reply
            .enhanced
            .is_some_and(|code| (code.1, code.2) == (5, 3))
    };
    let closed = fault
        .reply()
        .filter(|reply| reply.code == 421 && fault.stage == Stage::Recipient && !fault.in_doubt);
    closed.is_some_and(|reply| accepted > 0 && (accepted >= pipeline::ENOUGH || says(reply)))
}

/// The server closed a connection it had grown tired of.
fn is_staleness(fault: &Fault) -> bool {
    match &fault.cause {
        _ if fault.in_doubt => false,
        Cause::Lost(_) => true,
        Cause::Refused(reply) => reply.code == 421,
        _ => false,
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    Bdat,
}

impl Verb {
    pub(super) fn stage(self) -> Stage {
        match self {
            Verb::Reset | Verb::Mail => Stage::Sender,
            Verb::Rcpt(_) => Stage::Recipient,
            Verb::Data => Stage::Data,
            Verb::Bdat => Stage::Content,
        }
    }
}

/// One transaction for some of the recipients.
pub(super) struct Transaction<'a, 'l> {
    pub(super) connection: &'a mut Connection,
    pub(super) message: &'a Message,
    /// MAIL, with its line end.
    pub(super) opening: &'a str,
    pub(super) members: &'a [usize],
    pub(super) outcomes: &'a mut [Option<Outcome>],
    pub(super) once: &'a mut SettleOnce<'l>,
    pub(super) classifier: &'a Classifier,
    /// Whether BDAT may be used, and QUIT leave with it.
    allowed: (bool, bool),
    /// MAIL has been answered.
    answered: bool,
    /// The refusal of MAIL.
    pub(super) sender: Option<Reply>,
    pub(super) accepted: Vec<usize>,
    pub(super) refused: Vec<usize>,
    /// Those the server has no room for in this transaction.
    pub(super) later: Vec<usize>,
    /// How many recipients in a row found no room.
    pub(super) overflow: usize,
    /// The server has said that it takes no more in one transaction.
    pub(super) full_is_said: bool,
    /// The limit that was found.
    pub(super) limit: Option<usize>,
    data: Option<Reply>,
    /// The first answer to BDAT.
    chunk: Option<Reply>,
    /// BDAT itself was refused, and DATA may be taken.
    pub(super) unwanted: bool,
}

impl<'a, 'l> Transaction<'a, 'l> {
    fn new(
        connection: &'a mut Connection,
        (message, opening): (&'a Message, &'a str),
        members: &'a [usize],
        recipients: &'a mut Recipients,
        once: &'a mut SettleOnce<'l>,
    ) -> Self {
        Transaction {
            connection,
            message,
            opening,
            members,
            allowed: (recipients.chunking, recipients.early_quit),
            classifier: &recipients.classifier,
            outcomes: &mut recipients.outcomes,
            once,
            answered: false,
            sender: None,
            accepted: Vec::new(),
            refused: Vec::new(),
            later: Vec::new(),
            overflow: 0,
            full_is_said: false,
            limit: None,
            data: None,
            chunk: None,
            unwanted: false,
        }
    }

    /// # Errors
    /// The outcome of all members that have none of their own yet.
    fn run(&mut self, last: bool) -> Result<(), Fault> {
        let (chunking, early_quit) = self.allowed;
        let bdat = if chunking {
            Bdat::of(
                &self.connection.capabilities,
                self.message,
                last && early_quit,
            )?
        } else {
            None
        };
        self.speak(bdat.as_ref())
            .map_err(|fault| self.doubt(fault))?;
        self.settle(Side::Refused);
        if let (Some(reply), Some(bdat)) = (self.chunk.take(), bdat) {
            self.answered_whole(reply, &bdat)?;
            self.settle(Side::Accepted);
            return Ok(());
        }
        let refused = self
            .sender
            .take()
            .map(|reply| Fault::new(Stage::Sender, Cause::Refused(reply)));
        match self.data.take() {
            Some(reply) if reply.code == 354 && (refused.is_some() || self.accepted.is_empty()) => {
                self.lone_dot();
            }
            Some(reply) if reply.code == 354 => return self.text(last),
            Some(reply) if reply.code < 400 => {
                let why = format!("the server replied \"{}\" to DATA", reply.text());
                return Err(self
                    .connection
                    .session
                    .cut(Stage::Data, Cause::Protocol(why)));
            }
            Some(reply) if reply.code == 421 => {
                return Err(self
                    .connection
                    .session
                    .cut(Stage::Data, Cause::Refused(reply)));
            }
            Some(reply) if refused.is_none() && !self.accepted.is_empty() => {
                return Err(Fault::new(Stage::Data, Cause::Refused(reply)));
            }
            _ => {}
        }
        refused.map_or(Ok(()), Err)
    }

    /// Writes down what is certain.
    pub(super) fn settle(&mut self, side: Side) {
        let places = match side {
            Side::Refused => &self.refused,
            Side::Accepted => &self.accepted,
        };
        self.once.settle(
            places
                .iter()
                .filter_map(|&at| Some((at, self.outcomes[at].as_ref()?))),
        );
    }

    pub(super) fn take_reply(&mut self, verb: Verb, reply: Reply) -> Result<(), Fault> {
        let session = &mut self.connection.session;
        let stage = verb.stage();
        let word = if stage == Stage::Sender {
            "MAIL"
        } else {
            "RCPT"
        };
        match (verb, reply.code) {
            (Verb::Data, _) => self.data = Some(reply),
            (Verb::Bdat, _) => self.chunk = Some(reply),
            (_, 221) => {
                let why = format!(
                    "the server sent \"{}\" instead of a reply to {word}",
                    reply.text()
                );
                return Err(session.cut(stage, Cause::Lost(why)));
            }
            (Verb::Reset, 200..=299) => {}
            (Verb::Reset, _) => {
                let why = format!("the server replied \"{}\" to RSET", reply.text());
                return Err(session.cut(stage, Cause::Lost(why)));
            }
            (_, 421) => {
                // Who closes here has not looked at a message that was sent along.
                session.end_of_message();
                return Err(session.cut(stage, Cause::Refused(reply)));
            }
            (Verb::Rcpt(_), _) if self.sender.is_some() => {}
            (_, 300..=399) => {
                let why = format!("the server replied \"{}\" to {word}", reply.text());
                return Err(session.cut(stage, Cause::Protocol(why)));
            }
            (Verb::Mail, 200..=299) => (self.answered, self.connection.begun) = (true, true),
            (Verb::Mail, _) => (self.answered, self.sender) = (true, Some(reply)),
            (Verb::Rcpt(at), 200..=299) => {
                self.accepted.push(at);
                self.overflow = 0;
            }
            (Verb::Rcpt(at), _) => self.refuse(at, reply),
        }
        Ok(())
    }

    /// Ends a transaction that the server began to take without anybody to take it for (RFC 2920
    /// section 3.1).
    fn lone_dot(&mut self) {
        // A server may deliver nothing to nobody or refuse it; both end the transaction, as does a
        // lost connection.
        let _ = self.connection.session.command(
            Stage::Content,
            self.connection.timeouts.command,
            &Commands::fixed("."),
        );
        self.connection.begun = false;
    }

    fn text(&mut self, last: bool) -> Result<(), Fault> {
        let Connection {
            session,
            timeouts,
            observer,
            capabilities,
            quitting,
            begun,
            ..
        } = &mut *self.connection;
        let quit = last && self.later.is_empty() && capabilities.pipelining;
        let mut chunks = Metered::new(
            self.message.chunks(),
            self.message.size(),
            observer.as_deref(),
        );
        let mut clear = || self.once.before_dot(&self.accepted);
        let reply = session.message(
            self.message.size(),
            timeouts.dot,
            &mut chunks,
            quit,
            &mut clear,
        )?;
        *quitting |= quit;
        *begun = false;
        self.results(reply, "the final dot")?;
        self.settle(Side::Accepted);
        Ok(())
    }

    /// What becomes of those who were accepted: `reply` is the first answer to `what`.
    pub(super) fn results(&mut self, mut reply: Reply, what: &str) -> Result<(), Fault> {
        let Connection {
            session,
            timeouts,
            lmtp,
            ..
        } = &mut *self.connection;
        for (turn, &at) in self.accepted.iter().enumerate() {
            if turn > 0 && *lmtp {
                reply = session.reply(Stage::Content, timeouts.dot)?;
            }
            self.outcomes[at] = Some(match reply.code {
                221 => {
                    // The answer to QUIT has overtaken that to the message, which will not come any
                    // more.
                    let why = format!(
                        "the server sent \"{}\" instead of a reply to the message",
                        reply.text()
                    );
                    return Err(session.cut(Stage::Content, Cause::Lost(why)));
                }
                200..=299 => Ok(reply.clone()),
                300..=399 => {
                    let why = format!("the server replied \"{}\" to {what}", reply.text());
                    return Err(session.cut(Stage::Content, Cause::Protocol(why)));
                }
                421 => {
                    session.end_of_message();
                    return Err(session.cut(Stage::Content, Cause::Refused(reply)));
                }
                _ => Err(self
                    .classifier
                    .classify(Fault::new(Stage::Content, Cause::Refused(reply.clone())))),
            });
        }
        session.end_of_message();
        Ok(())
    }
}

/// Whom RCPT was answered yes, and whom no.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Refused,
    Accepted,
}
