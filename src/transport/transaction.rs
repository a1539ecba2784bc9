//! One message over an open session: MAIL, RCPT, DATA, the text, the dot (RFC 5321 section 3.3, RFC 2920, RFC 2033).
//!
//! Promise: every recipient gets exactly one outcome; one that was refused does not stop the others; the text is sent
//! only after 354 and only if somebody accepted it; only 2yz after the dot is acceptance. Recipients that a server has
//! no room for in one transaction get another one.
use std::collections::VecDeque;

use lettre::transport::smtp::commands::{Mail, Rcpt};
use lettre::transport::smtp::extension::{MailBodyParameter, MailParameter, RcptParameter};

use super::Progress;
use super::capability::Capabilities;
use super::ledger::Books;
use super::metered::Metered;
use super::probe::{self, Ear, Fact, Step};
use super::reply::safe;
use super::session::Session;
use crate::address::Address;
use crate::delivery::{Cause, Fault, Lacks, Reply, Stage};
use crate::message::{Dsn, Message, Notify};
use crate::settings::route::Patience;

/// The most recipients that leave in one flight, at first (RFC 5321 section 4.5.3.1.8 lets every server take 100) and at last.
const GROUP: (usize, usize) = (100, 500);
/// The octets at which a flight is long enough: neither side may have to wait for room to write while the other does.
const FLIGHT: usize = 32 * 1024;
/// So many recipients in a row that find no room are no full mailboxes: the transaction is full.
const ENOUGH: usize = 10;

/// An open session and what is known of it.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
pub struct Link {
    /// The session, logged in.
    pub session: Box<dyn Session>,
    /// What the server offers.
    pub capabilities: Capabilities,
    /// How long each reply may take.
    pub patience: Patience,
    /// Hears how far the text is.
    pub progress: Option<Progress>,
    /// Every accepted recipient gets a reply of its own after the dot (RFC 2033).
    pub lmtp: bool,
    /// A message has been delivered over it, so that the server may have grown tired of it.
    pub used: bool,
    /// A transaction was begun and has not ended.
    pub begun: bool,
    /// How many recipients the server takes in one transaction, once that is known.
    pub room: Option<usize>,
    /// QUIT has been sent.
    pub quitting: bool,
}

/// What became of the recipients.
pub enum Ran {
    /// One outcome for each, in order.
    Outcomes(Vec<Result<Reply, Fault>>),
    /// The session was closed by the server before this message; nothing was sent.
    Stale,
}

/// Chooses the form of a message that the server can take, and checks that it can.
///
/// # Errors
/// A fault at [`Stage::Sender`], before anything was sent.
pub fn form<'m>(capabilities: &Capabilities, message: &'m Message) -> Result<&'m Message, Fault> {
    let fault = |cause| Fault::new(Stage::Sender, cause);
    if message.needs_smtputf8() && !capabilities.smtputf8 {
        return Err(fault(Cause::Lacks(Lacks::Smtputf8, capabilities.offered())));
    }
    let message = if message.eight_bit && !capabilities.eight_bit {
        message.seven_bit().ok_or_else(|| fault(Cause::Lacks(Lacks::EightBit, capabilities.offered())))?
    } else {
        message
    };
    match capabilities.limit {
        Some(limit) if message.size() > limit => Err(fault(Cause::TooBig(message.size(), limit))),
        _ => Ok(message),
    }
}

type Outcome = Result<Reply, Fault>;

/// Asks about sender and recipients, one by one, and takes it back. DATA is never said. Gives the refusal of the sender,
/// or those of the recipients, or what ended the session.
pub fn rehearse(link: &mut Link, message: &Message, ear: &Ear) -> Vec<Fault> {
    let members: Vec<usize> = (0..message.envelope.recipients.len()).collect();
    let mut outcomes = vec![None; members.len()];
    let (patience, mut nobody) = (link.patience.command, ());
    let mut books = Books::new(&mut nobody, members.len());
    let mut round = Round::new(link, message, &members, &mut outcomes, &mut books);
    let mut faults = Vec::new();
    let reset = std::mem::take(&mut round.link.begun).then_some(Verb::Reset);
    let asked = members.iter().map(|&at| Verb::Rcpt(at));
    for verb in reset.into_iter().chain([Verb::Mail]).chain(asked).chain([Verb::Reset]) {
        let step = match verb {
            Verb::Rcpt(_) if round.sender.is_some() => continue,
            Verb::Rcpt(_) => Step::Recipient,
            Verb::Reset => Step::Reset,
            Verb::Mail | Verb::Data => Step::Sender,
        };
        let line = round.line(verb);
        ear.fact("said", Fact::Text(safe(line.trim_end())));
        let said = round.link.session.command(verb.stage(), patience, &line);
        let said = said.and_then(|reply| round.judge(verb, reply.clone()).map(|()| reply));
        let reply = match said {
            Ok(reply) => reply,
            Err(fault) => {
                ear.over(step, probe::Outcome::Failed(fault.clone()));
                return vec![fault];
            }
        };
        ear.fact("reply", Fact::Text(reply.text()));
        let fault = (!reply.is_positive()).then(|| Fault::new(verb.stage(), Cause::Refused(reply)));
        ear.over(step, fault.clone().map_or(probe::Outcome::Passed, probe::Outcome::Failed));
        if members.is_empty() && matches!(verb, Verb::Mail) && fault.is_none() {
            ear.over(Step::Recipient, probe::Outcome::Skipped);
        }
        faults.extend(fault);
    }
    round.link.begun = false;
    faults
}

/// Sends a message; `last` lets QUIT leave with the dot. All recipients are settled in the books, unless it is
/// [`Ran::Stale`].
pub fn run(link: &mut Link, message: &Message, last: bool, books: &mut Books<'_>) -> Ran {
    let recipients = &message.envelope.recipients;
    let mut outcomes: Vec<Option<Outcome>> = vec![None; recipients.len()];
    let mut waiting: VecDeque<usize> = (0..recipients.len()).collect();
    let mut first = true;
    while !waiting.is_empty() {
        let room = link.room.unwrap_or(usize::MAX).min(waiting.len());
        let members: Vec<usize> = waiting.drain(..room).collect();
        let before: Vec<_> = members.iter().map(|&at| outcomes[at].take()).collect();
        let mut round = Round::new(link, message, &members, &mut outcomes, books);
        let ended = round.run(last && waiting.is_empty());
        let (answered, later) = (round.answered, round.later);
        if let Err(fault) = ended {
            if first && link.used && !answered && is_staleness(&fault) {
                return Ran::Stale;
            }
            // A server that wants no second transaction has still only run out of room for those it sent to a later one.
            let kept = |before: Option<Outcome>| before.filter(|_| fault.stage == Stage::Sender);
            for (&at, before) in members.iter().zip(before) {
                outcomes[at].get_or_insert_with(|| kept(before).unwrap_or_else(|| Err(fault.clone())));
            }
            for &at in &waiting {
                outcomes[at] = Some(kept(outcomes[at].take()).unwrap_or_else(|| Err(fault.clone())));
            }
            break;
        }
        if !link.session.is_open() {
            break;
        }
        later.into_iter().rev().for_each(|at| waiting.push_front(at));
        first = false;
    }
    link.used = true;
    let forgotten = || Err(Fault::new(Stage::Recipient, Cause::Protocol("no reply for this recipient".into())));
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(forgotten)).collect();
    books.settle(outcomes.iter().enumerate());
    Ran::Outcomes(outcomes)
}

/// The server closed a connection it had grown tired of.
fn is_staleness(fault: &Fault) -> bool {
    match &fault.cause {
        Cause::Lost(_) => true,
        Cause::Refused(reply) => reply.code == 421,
        _ => false,
    }
}

#[derive(Debug, Clone, Copy)]
enum Verb {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
}

impl Verb {
    fn stage(self) -> Stage {
        match self {
            Verb::Reset | Verb::Mail => Stage::Sender,
            Verb::Rcpt(_) => Stage::Recipient,
            Verb::Data => Stage::Data,
        }
    }
}

/// One transaction for some of the recipients.
struct Round<'a, 'l> {
    link: &'a mut Link,
    message: &'a Message,
    members: &'a [usize],
    outcomes: &'a mut [Option<Outcome>],
    books: &'a mut Books<'l>,
    /// MAIL has been answered.
    answered: bool,
    /// The refusal of MAIL.
    sender: Option<Reply>,
    accepted: Vec<usize>,
    refused: Vec<usize>,
    /// Those the server has no room for in this transaction.
    later: Vec<usize>,
    /// How many recipients in a row found no room.
    overflow: usize,
    /// The server has said that it takes no more in one transaction.
    full_is_said: bool,
    data: Option<Reply>,
}

impl<'a, 'l> Round<'a, 'l> {
    fn new(
        link: &'a mut Link,
        message: &'a Message,
        members: &'a [usize],
        outcomes: &'a mut [Option<Outcome>],
        books: &'a mut Books<'l>,
    ) -> Self {
        Round {
            link,
            message,
            members,
            outcomes,
            books,
            answered: false,
            sender: None,
            accepted: Vec::new(),
            refused: Vec::new(),
            later: Vec::new(),
            overflow: 0,
            full_is_said: false,
            data: None,
        }
    }

    /// # Errors
    /// The outcome of all members that have none of their own yet.
    fn run(&mut self, last: bool) -> Result<(), Fault> {
        self.speak()?;
        self.settle(Side::Refused);
        let refused = self.sender.take().map(|reply| Fault::new(Stage::Sender, Cause::Refused(reply)));
        match self.data.take() {
            Some(reply) if reply.code == 354 && (refused.is_some() || self.accepted.is_empty()) => self.lone_dot(),
            Some(reply) if reply.code == 354 => return self.text(last),
            Some(reply) if reply.code < 400 => {
                let why = format!("the server answered \"{}\" to DATA", reply.text());
                return Err(self.link.session.cut(Stage::Data, Cause::Protocol(why)));
            }
            Some(reply) if reply.code == 421 => {
                return Err(self.link.session.cut(Stage::Data, Cause::Refused(reply)));
            }
            Some(reply) if refused.is_none() && !self.accepted.is_empty() => {
                return Err(Fault::new(Stage::Data, Cause::Refused(reply)));
            }
            _ => {}
        }
        refused.map_or(Ok(()), Err)
    }

    /// Everything up to DATA, in flights where the server takes them. They grow while nothing is said against them, so that
    /// a long list does not wait for a reply a hundred times as often as it must.
    fn speak(&mut self) -> Result<(), Fault> {
        let members = self.members;
        let reset = std::mem::take(&mut self.link.begun).then_some(Verb::Reset);
        let recipients = members.iter().map(|&at| Verb::Rcpt(at));
        let mut verbs = reset.into_iter().chain([Verb::Mail]).chain(recipients).peekable();
        let (mut data, mut most) = (Some(Verb::Data), GROUP.0);
        while data.is_some() {
            let (mut flight, mut lines, mut named) = (Vec::new(), String::new(), 0);
            while let Some(verb) = verbs.peek().copied().or(data) {
                let fits = match verb {
                    _ if flight.is_empty() => true,
                    _ if !self.link.capabilities.pipelining => false,
                    Verb::Rcpt(_) => named < most && lines.len() < FLIGHT,
                    _ => true,
                };
                if !fits {
                    break;
                }
                lines.push_str(&self.line(verb));
                flight.push(verb);
                named += usize::from(matches!(verb, Verb::Rcpt(_)));
                if verbs.next().is_none() {
                    data = None;
                }
            }
            if self.sender.is_some() || (matches!(flight[..], [Verb::Data]) && self.accepted.is_empty()) {
                return Ok(());
            }
            self.fly(&flight, &lines)?;
            if self.is_full() {
                let rest = verbs.by_ref().filter_map(|verb| if let Verb::Rcpt(at) = verb { Some(at) } else { None });
                self.postpone(rest.collect());
            } else if self.overflow == 0 {
                most = (most * 2).min(GROUP.1);
            }
        }
        Ok(())
    }

    /// Sends a flight and reads its replies.
    fn fly(&mut self, flight: &[Verb], lines: &str) -> Result<(), Fault> {
        for (at, verb) in flight.iter().enumerate() {
            let patience = match verb {
                Verb::Data => self.link.patience.data,
                _ => self.link.patience.command,
            };
            let reply = match at {
                0 => self.link.session.command(verb.stage(), patience, lines)?,
                _ => self.link.session.reply(verb.stage(), patience)?,
            };
            self.judge(*verb, reply)?;
        }
        Ok(())
    }

    /// Writes down what is certain.
    fn settle(&mut self, side: Side) {
        let places = match side {
            Side::Refused => &self.refused,
            Side::Accepted => &self.accepted,
        };
        self.books.settle(places.iter().filter_map(|&at| Some((at, self.outcomes[at].as_ref()?))));
    }

    fn line(&self, verb: Verb) -> String {
        match verb {
            Verb::Reset => "RSET\r\n".to_owned(),
            Verb::Mail => mail(&self.link.capabilities, self.message),
            Verb::Rcpt(at) => {
                let notify = asked(&self.link.capabilities, self.message).and_then(|dsn| dsn.notify);
                rcpt(&self.message.envelope.recipients[at], notify)
            }
            Verb::Data => "DATA\r\n".to_owned(),
        }
    }

    fn judge(&mut self, verb: Verb, reply: Reply) -> Result<(), Fault> {
        let session = &mut self.link.session;
        let stage = verb.stage();
        match (verb, reply.code) {
            (Verb::Data, _) => self.data = Some(reply),
            (Verb::Reset, 200..=299) => {}
            (Verb::Reset, _) => {
                let why = format!("the server answered \"{}\" to RSET", reply.text());
                return Err(session.cut(stage, Cause::Lost(why)));
            }
            (_, 421) => return Err(session.cut(stage, Cause::Refused(reply))),
            (Verb::Rcpt(_), _) if self.sender.is_some() => {}
            (_, 300..=399) => {
                let verb = if stage == Stage::Sender { "MAIL" } else { "RCPT" };
                let why = format!("the server answered \"{}\" to {verb}", reply.text());
                return Err(session.cut(stage, Cause::Protocol(why)));
            }
            (Verb::Mail, 200..=299) => (self.answered, self.link.begun) = (true, true),
            (Verb::Mail, _) => (self.answered, self.sender) = (true, Some(reply)),
            (Verb::Rcpt(at), 200..=299) => {
                self.accepted.push(at);
                self.overflow = 0;
            }
            (Verb::Rcpt(at), _) => self.refuse(at, reply),
        }
        Ok(())
    }

    /// 452, and 552 from old servers, once others were accepted: too many for one transaction (RFC 5321 section
    /// 4.5.3.1.10).
    fn refuse(&mut self, at: usize, mut reply: Reply) {
        if matches!(reply.code, 452 | 552) && !self.accepted.is_empty() {
            // 4.5.3 and 5.5.3 say just that, and other codes something else; without any it may be the one mailbox that is full.
            let says = reply.enhanced.map(|code| (code.1, code.2) == (5, 3));
            self.full_is_said |= says == Some(true);
            self.overflow += match says {
                Some(true) => ENOUGH,
                Some(false) => 0,
                None => 1,
            };
            reply.code = 452;
            self.later.push(at);
        } else {
            self.refused.push(at);
        }
        self.outcomes[at] = Some(Err(Fault::new(Stage::Recipient, Cause::Refused(reply))));
    }

    /// Tells whether the server takes no more in this transaction.
    fn is_full(&self) -> bool {
        self.overflow >= ENOUGH
    }

    /// Leaves those who were not asked about yet to later transactions, as those before them were, and remembers how many fit in one.
    fn postpone(&mut self, rest: Vec<usize>) {
        let said = self.later.last().and_then(|&at| self.outcomes[at].clone());
        for &at in &rest {
            self.outcomes[at].clone_from(&said);
        }
        self.later.extend(rest);
        // Fewer than every server must take (RFC 5321 section 4.5.3.1.8) are believed only when they were said to be the limit.
        if self.accepted.len() >= GROUP.0 || self.full_is_said {
            self.link.room = Some(self.accepted.len());
        }
    }

    /// Ends a transaction that the server began to take without anybody to take it for (RFC 2920 section 3.1).
    fn lone_dot(&mut self) {
        // A server may deliver nothing to nobody or refuse it; both end the transaction, as does a lost connection.
        let _ = self.link.session.command(Stage::Content, self.link.patience.command, ".\r\n");
        self.link.begun = false;
    }

    fn text(&mut self, last: bool) -> Result<(), Fault> {
        let Link { session, patience, progress, lmtp, capabilities, quitting, begun, .. } = &mut *self.link;
        let quit = last && self.later.is_empty() && capabilities.pipelining;
        let mut chunks = Metered::new(self.message.chunks(), self.message.size(), progress.as_ref());
        let mut clear = || self.books.before_dot(&self.accepted);
        let mut reply = session.message(self.message.size(), patience.dot, &mut chunks, quit, &mut clear)?;
        *quitting |= quit;
        *begun = false;
        for (turn, &at) in self.accepted.iter().enumerate() {
            if turn > 0 && *lmtp {
                reply = session.reply(Stage::Content, patience.dot)?;
            }
            self.outcomes[at] = Some(match reply.code {
                221 => {
                    // The answer to QUIT has overtaken that to the dot, which will not come any more.
                    let why = format!("the server said \"{}\" in place of an answer to the message", reply.text());
                    return Err(session.cut(Stage::Content, Cause::Lost(why)));
                }
                200..=299 => Ok(reply.clone()),
                300..=399 => {
                    let why = format!("the server answered \"{}\" to the final dot", reply.text());
                    return Err(session.cut(Stage::Content, Cause::Protocol(why)));
                }
                421 => {
                    session.end_of_message();
                    return Err(session.cut(Stage::Content, Cause::Refused(reply)));
                }
                _ => Err(Fault::new(Stage::Content, Cause::Refused(reply.clone()))),
            });
        }
        session.end_of_message();
        self.settle(Side::Accepted);
        Ok(())
    }
}

/// Whom RCPT was answered yes, and whom no.
#[derive(Debug, Clone, Copy)]
enum Side {
    Refused,
    Accepted,
}

/// MAIL with the parameters the message needs, and no others (RFC 5321 section 4.1.1.3).
fn mail(capabilities: &Capabilities, message: &Message) -> String {
    let mut parameters = Vec::new();
    if capabilities.size {
        parameters.push(MailParameter::Other { keyword: "SIZE".into(), value: Some(message.size().to_string()) });
    }
    if message.eight_bit {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    if message.needs_smtputf8() {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if let Some(dsn) = asked(capabilities, message) {
        let ret = dsn.ret.map(|ret| ("RET", ret.to_string()));
        let envid = dsn.envid.as_ref().map(|envid| ("ENVID", envid.clone()));
        // lettre writes values as xtext.
        let parameter =
            |(keyword, value): (&str, _)| MailParameter::Other { keyword: keyword.into(), value: Some(value) };
        parameters.extend(ret.into_iter().chain(envid).map(parameter));
    }
    let command = match message.envelope.sender.as_ref().map(|sender| (sender.local(), sender.domain())) {
        None => Mail::new(None, parameters),
        Some((local, Some(domain))) => Mail::new(Some(lettre::Address::new_dangerous(local, domain)), parameters),
        // lettre has no name without a domain; its words about nobody hold everything but the name.
        Some((local, None)) => {
            return Mail::new(None, parameters).to_string().replacen("<>", &format!("<{local}>"), 1);
        }
    };
    command.to_string()
}

/// What the sender wants to be told, when it is anything and this server can be asked (RFC 3461).
fn asked<'m>(capabilities: &Capabilities, message: &'m Message) -> Option<&'m Dsn> {
    Some(&message.envelope.dsn).filter(|dsn| capabilities.dsn && !dsn.is_empty())
}

/// The longest ORCPT, in octets (RFC 3461 section 4.2).
const LONGEST_ORIGINAL: usize = 500;

fn rcpt(recipient: &Address, notify: Option<Notify>) -> String {
    let mut parameters = Vec::new();
    if let Some(notify) = notify {
        parameters.push(RcptParameter::Other { keyword: "NOTIFY".into(), value: Some(notify.to_string()) });
        let original = format!("rfc822;{recipient}");
        // Of an address beyond ASCII there is no such form; without ORCPT the notice names that of RCPT itself.
        if original.is_ascii() && original.len() * 3 <= LONGEST_ORIGINAL {
            parameters.push(RcptParameter::Other { keyword: "ORCPT".into(), value: Some(original) });
        }
    }
    if let Some(domain) = recipient.domain() {
        return Rcpt::new(lettre::Address::new_dangerous(recipient.local(), domain), parameters).to_string();
    }
    let parameters: String = parameters.iter().flat_map(|parameter| [" ".to_owned(), parameter.to_string()]).collect();
    format!("RCPT TO:<{}>{parameters}\r\n", recipient.local())
}
