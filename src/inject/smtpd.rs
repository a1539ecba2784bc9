//! The dialogue of `sendmail -bs`: an ESMTP server for one client, over standard input and output.
//!
//! Promise: every command gets exactly one reply, in order, as RFC 5321 section 4.2 writes them;
//! what the client sends never makes it panic or grow beyond its bounds; a message counts as taken
//! only after its final dot was read and the [`Acceptor`] has it. Knows nothing of queues, aliases
//! and settings.
//!
//! The client is a program of the same user on a pipe, so much of it is believed: MAIL without a
//! greeting is fine, and a client may end its lines with LF throughout. What it puts between its
//! line ends is not: it may be a stranger's. So who ends DATA with CRLF ends the text with CRLF, a
//! dot and CRLF only, and who ends its first command with CRLF is answered 500 to a command with an
//! LF in it, of which nothing is obeyed.
//!
//! Refuses LMTP, TLS, logins and BDAT.
use std::io::{self, Read, Write};

use self::command::{Side, Verb};
use self::pipe::{Body, Finish, Line, LineEnd, Pipe};
use crate::address::Address;

mod command;
mod pipe;

#[cfg(test)]
mod tests;

/// The most recipients of one message; RFC 5321 section 4.5.3.1.8 wants at least 100.
pub(crate) const MOST_RECIPIENTS: usize = 10_000;
/// So many commands in a row that mean nothing end the dialogue: the other side is no SMTP client.
const MOST_ERRORS: u32 = 20;

/// A reply with an enhanced status code (RFC 2034). Its text may be of any length and hold
/// anything: it is made safe, and broken into lines, when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The reply code; 4yz or 5yz where it refuses.
    pub code: u16,
    /// Class, subject and detail (RFC 3463).
    pub enhanced: (u8, u16, u16),
    /// What a human reads.
    pub text: String,
}

impl Answer {
    /// Makes a reply of its three parts.
    pub(crate) fn new(code: u16, enhanced: (u8, u16, u16), text: impl Into<String>) -> Self {
        Answer {
            code,
            enhanced,
            text: text.into(),
        }
    }

    /// Returns whether the command meant nothing, so that whoever sent it may be no SMTP client; a
    /// command in the wrong place is none of these, as a pipeline behind a refused MAIL is full of
    /// them.
    fn is_nonsense(&self) -> bool {
        matches!(self.enhanced, (5, 5, 2 | 4))
    }
}

/// One message's envelope, and what was said about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Transaction {
    /// The sender; `None` for `<>`. May be a bare name.
    pub sender: Option<Address>,
    /// The accepted recipients in order, at least one and at most [`MOST_RECIPIENTS`]; some may be
    /// bare names, and some may be the same.
    pub recipients: Vec<Address>,
    /// NOTIFY of each recipient, in upper case (RFC 3461 section 4.1); as long as `recipients`.
    pub notify: Vec<Option<String>>,
    /// BODY=8BITMIME was said (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 was said (RFC 6531).
    pub smtputf8: bool,
    /// RET, `FULL` or `HDRS` (RFC 3461 section 4.3).
    pub ret: Option<String>,
    /// ENVID, decoded: printable ASCII, at most 100 bytes (RFC 3461 section 4.4).
    pub envid: Option<String>,
}

/// Decides what is taken. What it answers goes to the client as it is, made safe.
pub(crate) trait Acceptor {
    /// Takes or refuses a sender; `None` is `<>`.
    ///
    /// # Errors
    /// The refusal, 4yz or 5yz.
    fn sender(&mut self, sender: Option<&Address>) -> Result<(), Answer>;

    /// Takes or refuses one recipient, which may be a bare name such as `root`.
    ///
    /// # Errors
    /// The refusal, 4yz or 5yz.
    fn recipient(&mut self, recipient: &Address) -> Result<(), Answer>;

    /// Answers VRFY and EXPN (RFC 5321 section 3.5.3).
    fn verify(&mut self, text: &str) -> Answer {
        let _ = text;
        Answer::new(
            252,
            (2, 0, 0),
            "Cannot verify; send mail and delivery will be attempted",
        )
    }

    /// Takes one message, and returns the text of the 250 reply, which should say its id.
    ///
    /// `from` holds the text without the doubled dots, its line ends as they came. It reaches its
    /// end at the final dot only: if the client goes before, or the text is longer than the limit,
    /// reading fails, and nothing may be kept. When this returns `Ok`, `from` has been read to its
    /// end and the message is safe.
    ///
    /// # Errors
    /// The refusal, 4yz or 5yz; `from` need not have been read to its end.
    fn message(&mut self, transaction: Transaction, from: &mut dyn Read) -> Result<String, Answer>;
}

/// How a dialogue ended. None of them is an error: what was accepted is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client said QUIT.
    Quit,
    /// The client closed its side, perhaps in the middle of a message, of which nothing was kept.
    Eof,
    /// What came was not SMTP.
    TooManyErrors,
    /// The client did not go on in time, as the input says with [`io::ErrorKind::TimedOut`].
    Silent,
}

/// Holds the whole dialogue with one client, under the name of this host; `limit` is the size of a
/// message in bytes.
///
/// Replies to MAIL, RCPT and RSET wait for those that follow as long as more commands have already
/// been read (RFC 2920 section 3.2); nothing waits while input is waited for.
///
/// # Errors
/// The output cannot be written (the client has gone) or the input cannot be read. Messages
/// accepted before stay so.
pub(crate) fn serve(
    input: &mut dyn Read,
    output: &mut dyn Write,
    name: &str,
    limit: Option<u64>,
    acceptor: &mut dyn Acceptor,
) -> io::Result<End> {
    // SIZE 0 would say that there is no limit (RFC 1870 section 4).
    let limit = limit.filter(|limit| *limit > 0);
    Session {
        pipe: Pipe::new(input, output),
        name,
        limit,
        acceptor,
        transaction: None,
        errors: 0,
    }
    .run_in_time()
}

/// What a command comes to.
enum Reply {
    /// A reply with a status code of its own.
    Coded(Answer),
    /// A reply without one, as those to the greetings (RFC 2034 section 3).
    Plain(u16, Vec<String>),
    /// 354: the text follows.
    Go(Transaction),
    /// 221: the last one.
    Bye,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Reply::Coded(answer)
    }
}

struct Session<'a> {
    pipe: Pipe<'a>,
    name: &'a str,
    limit: Option<u64>,
    acceptor: &'a mut dyn Acceptor,
    /// From MAIL to the dot or RSET.
    transaction: Option<Transaction>,
    /// Commands without meaning since the last good one.
    errors: u32,
}

impl Session<'_> {
    fn run_in_time(&mut self) -> io::Result<End> {
        match self.run() {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.pipe.coded(&Answer::new(
                    421,
                    (4, 4, 2),
                    "Timed out waiting for input; closing the connection",
                ));
                self.pipe.flush()?;
                Ok(End::Silent)
            }
            end => end,
        }
    }

    fn run(&mut self) -> io::Result<End> {
        self.pipe
            .plain(220, &[format!("{} ESMTP smail", pipe::host(self.name))]);
        self.pipe.flush()?;
        loop {
            let mut ends = LineEnd::CrLf;
            let (verb, reply) = match self.pipe.line()? {
                Line::Command(line, end) => {
                    ends = end;
                    self.answer(&line)
                }
                Line::BareLf => (
                    Verb::Unknown,
                    syntax("The line contains an LF without CR").into(),
                ),
                Line::TooLong => (Verb::Unknown, syntax("The line is too long").into()),
                Line::End => return Ok(End::Eof),
            };
            let end = match reply {
                Reply::Plain(code, lines) => self.plain(code, &lines),
                Reply::Coded(answer) => self.coded(&answer),
                Reply::Go(transaction) => self.text(transaction, ends)?,
                Reply::Bye => {
                    self.pipe.coded(&Answer::new(221, (2, 0, 0), "Bye"));
                    Some(End::Quit)
                }
            };
            if end.is_some() || !verb.may_wait() {
                self.pipe.flush()?;
            }
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn plain(&mut self, code: u16, lines: &[String]) -> Option<End> {
        if code < 400 {
            self.errors = 0;
        }
        self.pipe.plain(code, lines);
        None
    }

    /// The last of too many errors in a row is answered by 421 in place of its own reply.
    fn coded(&mut self, answer: &Answer) -> Option<End> {
        if answer.is_nonsense() {
            self.errors += 1;
        } else if answer.code < 400 {
            self.errors = 0;
        }
        if self.errors == MOST_ERRORS {
            self.pipe.coded(&Answer::new(
                421,
                (4, 7, 0),
                "Too many errors; is this an SMTP client?",
            ));
            return Some(End::TooManyErrors);
        }
        self.pipe.coded(answer);
        None
    }

    fn answer(&mut self, line: &[u8]) -> (Verb, Reply) {
        let Ok(line) = std::str::from_utf8(line) else {
            return (Verb::Unknown, syntax("The command is not UTF-8").into());
        };
        let (verb, rest) = command::split(line);
        let reply = match verb {
            Verb::Ehlo => self.hello(rest, true),
            Verb::Helo => self.hello(rest, false),
            Verb::Mail => self.mail(rest).unwrap_or_else(|refusal| refusal).into(),
            Verb::Rcpt => self.rcpt(rest).unwrap_or_else(|refusal| refusal).into(),
            Verb::Data | Verb::Rset | Verb::Quit if !rest.is_empty() => {
                argument("This command takes no arguments").into()
            }
            Verb::Data => self.data(),
            Verb::Rset => {
                self.transaction = None;
                ok((2, 0, 0)).into()
            }
            Verb::Quit => Reply::Bye,
            Verb::Noop => ok((2, 0, 0)).into(),
            Verb::Vrfy if rest.is_empty() => argument("Expected an address").into(),
            Verb::Vrfy => self.acceptor.verify(rest).into(),
            Verb::Help => Answer::new(214, (2, 0, 0), command::HELP).into(),
            Verb::NotOffered => Answer::new(502, (5, 5, 1), "Not offered here").into(),
            Verb::Unknown => syntax("Unknown command").into(),
        };
        (verb, reply)
    }

    /// A greeting also ends the transaction (RFC 5321 section 4.1.4).
    fn hello(&mut self, rest: &str, extended: bool) -> Reply {
        if rest.is_empty() {
            return Reply::Plain(501, vec!["Expected the name of your host".to_owned()]);
        }
        self.transaction = None;
        let mut lines = vec![pipe::host(self.name)];
        if extended {
            let size = self
                .limit
                .map_or_else(|| "SIZE".to_owned(), |limit| format!("SIZE {limit}"));
            lines.extend(["PIPELINING".to_owned(), size]);
            lines.extend(
                ["8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "HELP"].map(str::to_owned),
            );
        }
        Reply::Plain(250, lines)
    }

    fn mail(&mut self, rest: &str) -> Result<Answer, Answer> {
        if self.transaction.is_some() {
            return Err(sequence("MAIL was already sent"));
        }
        let (path, parameters) = command::path(rest, Side::Sender)?;
        let mut transaction = command::mail_parameters(parameters, self.limit)?;
        transaction.sender = match path {
            "" => None,
            path => Some(command::address(path, Side::Sender, transaction.smtputf8)?),
        };
        self.acceptor
            .sender(transaction.sender.as_ref())
            .map_err(refusal)?;
        self.transaction = Some(transaction);
        Ok(ok((2, 1, 0)))
    }

    fn rcpt(&mut self, rest: &str) -> Result<Answer, Answer> {
        let Some(transaction) = &mut self.transaction else {
            return Err(sequence("Send MAIL first"));
        };
        if transaction.recipients.len() >= MOST_RECIPIENTS {
            return Err(Answer::new(
                452,
                (4, 5, 3),
                "Too many recipients for one message",
            ));
        }
        let (path, parameters) = command::path(rest, Side::Recipient)?;
        let notify = command::rcpt_parameters(parameters)?;
        let recipient = command::address(path, Side::Recipient, transaction.smtputf8)?;
        self.acceptor.recipient(&recipient).map_err(refusal)?;
        transaction.recipients.push(recipient);
        transaction.notify.push(notify);
        Ok(ok((2, 1, 5)))
    }

    fn data(&mut self) -> Reply {
        match self
            .transaction
            .take_if(|transaction| !transaction.recipients.is_empty())
        {
            Some(transaction) => Reply::Go(transaction),
            None if self.transaction.is_none() => sequence("Send MAIL first").into(),
            None => Answer::new(554, (5, 5, 1), "No valid recipients").into(),
        }
    }

    /// The text, from 354 to the reply to the dot. Either way the transaction is over.
    fn text(&mut self, transaction: Transaction, ends: LineEnd) -> io::Result<Option<End>> {
        self.pipe
            .plain(354, &["End data with <CR><LF>.<CR><LF>".to_owned()]);
        self.pipe.flush()?;
        let mut body = Body::new(&mut self.pipe, ends, self.limit);
        let taken = self.acceptor.message(transaction, &mut body);
        let answer = match (body.finish()?, taken) {
            (Finish::Lost, _) => return Ok(Some(End::Eof)),
            (Finish::TooLong, _) => command::too_big(),
            (Finish::Dot, Ok(text)) => Answer::new(250, (2, 0, 0), text),
            (Finish::Dot, Err(answer)) => refusal(answer),
        };
        Ok(self.coded(&answer))
    }
}

/// A refusal must read as one, whatever the acceptor says.
fn refusal(mut answer: Answer) -> Answer {
    if !(400..=599).contains(&answer.code) {
        (answer.code, answer.enhanced) = (451, (4, 3, 0));
    }
    answer
}

fn ok(enhanced: (u8, u16, u16)) -> Answer {
    Answer::new(250, enhanced, "OK")
}

fn syntax(text: &str) -> Answer {
    Answer::new(500, (5, 5, 2), text)
}

fn argument(text: &str) -> Answer {
    Answer::new(501, (5, 5, 4), text)
}

fn sequence(text: &str) -> Answer {
    Answer::new(503, (5, 5, 1), text)
}
