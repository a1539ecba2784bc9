//! What can become of a message, whichever way it travels: facts only, no words for the user and no
//! I/O.
//!
//! Promise: a [`Report`] names every recipient of the envelope, in order, exactly once. Whatever
//! text of a server is kept here is already safe to print. Imports no other room.
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The one question the queue and the exit status ask of an outcome (RFC 3463 section 2: classes 2,
/// 4 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Accepted: the other side has taken responsibility.
    Done,
    /// Not now; the same attempt may succeed later.
    Temporary,
    /// Not ever in this form.
    Permanent,
}

impl Class {
    /// The word used in `--json` and in the log.
    pub fn word(self) -> &'static str {
        match self {
            Class::Done => "done",
            Class::Temporary => "temporary",
            Class::Permanent => "permanent",
        }
    }
}

/// What was under way when something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Before any connection: reading a secret, checking what is about to be sent.
    Prepare,
    /// Looking the server's name up.
    Resolve,
    /// The TCP connection, a proxy, a unix socket or a program to start.
    Connect,
    /// The server's first line.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS and the TLS handshake.
    Tls,
    /// AUTH.
    Login,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA, before any byte of the message.
    Data,
    /// The message itself and the reply to the final dot.
    Content,
}

impl Stage {
    /// The word used in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Prepare => "prepare",
            Stage::Resolve => "resolve",
            Stage::Connect => "connect",
            Stage::Greeting => "greeting",
            Stage::Hello => "hello",
            Stage::Tls => "tls",
            Stage::Login => "login",
            Stage::Sender => "sender",
            Stage::Recipient => "recipient",
            Stage::Data => "data",
            Stage::Content => "content",
        }
    }
}

/// An enhanced status code, `class.subject.detail` (RFC 3463).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedCode(pub u8, pub u16, pub u16);

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// One complete reply of a server (RFC 5321 section 4.2), decoded and made safe to print.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// Present when the first line starts with one whose class agrees with the code (RFC 2034
    /// section 4).
    pub enhanced: Option<EnhancedCode>,
    /// The text of every line without code and separator; never empty, but a line may be. Shared,
    /// as the reply to a dot is the outcome of all its recipients.
    pub lines: Arc<[String]>,
}

impl Reply {
    /// Makes a reply of a code and the text of its lines, finding the enhanced code in the first
    /// one.
    pub fn new(code: u16, lines: Vec<String>) -> Self {
        let enhanced = lines
            .first()
            .and_then(|line| enhanced_code(line))
            .filter(|e| u16::from(e.0) == code / 100);
        Reply {
            code,
            enhanced,
            lines: lines.into(),
        }
    }

    /// Returns whether the code begins with 2.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// The class by first digit. 2yz and 3yz are [`Class::Done`]; 552 to RCPT is the caller's
    /// special case.
    pub fn class(&self) -> Class {
        match self.code / 100 {
            2 | 3 => Class::Done,
            4 => Class::Temporary,
            _ => Class::Permanent,
        }
    }

    /// Code and text on one line, the lines of a longer reply joined by a blank.
    pub fn text(&self) -> String {
        let words = self
            .lines
            .iter()
            .map(|l| l.trim())
            .filter(|l| !l.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        if words.is_empty() {
            self.code.to_string()
        } else {
            format!("{} {words}", self.code)
        }
    }
}

fn enhanced_code(line: &str) -> Option<EnhancedCode> {
    let word = line.split_whitespace().next()?;
    let mut parts = word.split('.');
    let code = EnhancedCode(
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    (parts.next().is_none()
        && word.len() <= 9
        && word.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
    .then_some(code)
}

/// Why a certificate was not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrust {
    /// What the TLS library said, safe to print.
    pub reason: String,
    /// SHA-256 of the certificate the server showed, lower-case hex, when it could be had.
    pub fingerprint: Option<String>,
}

/// Something the server would have to offer and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lacks {
    /// STARTTLS while TLS is required.
    Starttls,
    /// AUTH while a login is set.
    Auth,
    /// Any mechanism that both sides know and that may be used here.
    Mechanism,
    /// SMTPUTF8 while an address needs it (RFC 6531).
    Smtputf8,
    /// 8BITMIME while the message cannot be sent in seven bits (RFC 6152).
    EightBit,
}

/// Why a login by SCRAM has ended: the server has not proved that it knows the password (RFC 5802).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScramError {
    /// It accepted the login without its signature.
    NoSignature,
    /// Its signature is wrong.
    Signature,
    /// Its nonce does not begin with ours, or adds nothing to it.
    Nonce,
    /// Its number of iterations is below 4096 or too large.
    Iterations(u64),
    /// It requires an extension (`m=`).
    Extension,
    /// Its message does not have the form that is expected now.
    Message,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The server answered no.
    Refused(Reply),
    /// The name does not exist (authoritative answer).
    NoSuchHost(String),
    /// The name could not be looked up now: no answer, or a temporary failure.
    NoAnswer(String),
    /// No address could be reached: each address tried with the reason.
    Unreachable(Vec<(String, String)>),
    /// A proxy refused or broke its protocol.
    Proxy(String),
    /// No complete answer within the time that was allowed.
    Silent(Duration),
    /// The connection ended or broke.
    Lost(String),
    /// The server broke the protocol; the text says how.
    Protocol(String),
    /// The server did not keep to SCRAM.
    Scram(ScramError),
    /// The TLS handshake failed for another reason than the certificate; the text is the library's.
    Handshake(String),
    /// The certificate is not trusted.
    Distrust(Distrust),
    /// TLS cannot be set up from these settings (a CA file without certificates, a bad key).
    TlsSettings(String),
    /// The server does not offer what is needed; the text lists what it does offer.
    Lacks(Lacks, String),
    /// A login would have travelled in clear.
    ClearLogin,
    /// The message is larger than the server takes: size, limit (bytes; RFC 1870).
    TooBig(u64, u64),
    /// The secret could not be had: why, and whether trying again later can help (a locked
    /// keyring).
    NoSecret(String, bool),
    /// A file of the message changed or could not be read while it was sent.
    Content(String),
    /// A program that stands in for a server failed: what it said, and its exit status.
    Program(String, Option<i32>),
    /// There is no access token for the login: why, for which account, and the details.
    Token(TokenFailure, String, String),
    /// A local file could not be written.
    File(String),
    /// The journal of the mail could not be written, so that it was stopped before the final dot.
    Journal(String),
    /// A signal ended the attempt: its number.
    Interrupted(i32),
    /// smail itself made what must not be sent, and noticed it in time: what it is. A mistake of
    /// smail.
    Unsound(String),
}

/// Why there is no access token (RFC 6749): it decides the class and what is advised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenFailure {
    /// Nobody has signed in, or the sign-in has ended.
    SignIn,
    /// The person or the administrator has refused.
    Denied,
    /// What the provider knows of the client does not fit.
    Settings,
    /// The provider cannot be asked now.
    Temporary,
    /// The reply makes no sense.
    Protocol,
    /// A file of the account cannot be used.
    File,
}

/// What is known of a failure beside what the reply itself tells; nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meaning {
    /// The class, where the words tell it better than the first digit of the reply.
    pub class: Option<Class>,
    /// The name of a row in the table of hints.
    pub hint: Option<&'static str>,
}

/// A failure: what was under way, what went wrong, and whether the message may have been accepted
/// all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What was under way.
    pub stage: Stage,
    /// What went wrong.
    pub cause: Cause,
    /// The connection was lost between the final dot and its reply: the message may have been
    /// accepted.
    pub in_doubt: bool,
    /// What is known of it. The transport finds it when the fault is final, once, so that the log,
    /// the queue, the exit status and the explanation have the same answer.
    pub meaning: Meaning,
    /// Nothing was heard any more while several commands were on their way at once (RFC 2920):
    /// something may have swallowed them, and the next attempt sends one at a time.
    pub pipelined: bool,
}

impl Fault {
    /// Makes a fault without doubt.
    pub fn new(stage: Stage, cause: Cause) -> Self {
        Fault {
            stage,
            cause,
            in_doubt: false,
            meaning: Meaning::default(),
            pipelined: false,
        }
    }

    /// Temporary or permanent. Never [`Class::Done`].
    pub fn class(&self) -> Class {
        if let Some(class) = self.meaning.class {
            return class;
        }
        match &self.cause {
            // RFC 5321 section 4.5.3.1.10: 552 to RCPT means "too many recipients" from old
            // servers. That holds only while others were accepted, which the transport knows; it
            // rewrites the code to 452 then.
            Cause::Refused(reply) if reply.class() == Class::Done => Class::Permanent,
            Cause::Refused(reply) => reply.class(),
            Cause::NoAnswer(_)
            | Cause::Unreachable(_)
            | Cause::Proxy(_)
            | Cause::Silent(_)
            | Cause::Lost(_)
            | Cause::Handshake(_)
            | Cause::Protocol(_)
            | Cause::Scram(_)
            | Cause::Interrupted(_)
            | Cause::Journal(_)
            | Cause::NoSecret(_, true)
            | Cause::Token(TokenFailure::Temporary | TokenFailure::Protocol, ..)
            | Cause::Program(_, Some(75) | None) => Class::Temporary,
            _ => Class::Permanent,
        }
    }

    /// The reply that caused it, if a reply did.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.cause {
            Cause::Refused(reply) => Some(reply),
            _ => None,
        }
    }
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientResult {
    /// The address as it stood in the envelope.
    pub recipient: String,
    /// The reply that accepted it, or why it was not.
    pub outcome: Result<Reply, Fault>,
}

impl RecipientResult {
    /// The class of the outcome.
    pub fn class(&self) -> Class {
        self.outcome
            .as_ref()
            .map_or_else(Fault::class, |_| Class::Done)
    }
}

/// One line of the dialogue for `-v`, safe to print and with secrets struck out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Sent by smail.
    Client(String),
    /// Sent by the server.
    Server(String),
    /// Something that happened beside the dialogue: connected, TLS established, bytes of the
    /// message.
    Note(String),
}

/// How long an attempt took, part by part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// Name look-up and connection.
    pub connect: Duration,
    /// From the connection to the end of the login.
    pub session: Duration,
    /// From MAIL to the reply to the dot.
    pub transaction: Duration,
}

/// What became of one message on one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The route in the words of a user: `smtp.example.org:465 (implicit TLS)`,
    /// `/usr/sbin/sendmail`, a file.
    pub via: String,
    /// Every recipient of the envelope, in order, exactly once.
    pub recipients: Vec<RecipientResult>,
    /// The user a login succeeded for.
    pub user: Option<String>,
    /// The other side by itself, without the words of [`Report::via`]: `smtp.example.org:465`;
    /// `None` when `via` is just that.
    pub host: Option<String>,
    /// The version of TLS, as in `TLSv1.3`; `None` in clear.
    pub tls: Option<String>,
    /// Bytes of the message as sent, without dot-stuffing.
    pub bytes: u64,
    /// How long it took.
    pub timing: Timing,
    /// What the user must be told although the mail went its way: lowercase fragments.
    pub remarks: Vec<String>,
}

impl Report {
    /// Gives every recipient the same outcome.
    pub fn uniform<'a>(
        via: String,
        recipients: impl Iterator<Item = &'a str>,
        outcome: &Result<Reply, Fault>,
    ) -> Self {
        let results = recipients
            .map(|r| RecipientResult {
                recipient: r.to_owned(),
                outcome: outcome.clone(),
            })
            .collect();
        Report {
            via,
            recipients: results,
            user: None,
            host: None,
            tls: None,
            bytes: 0,
            timing: Timing::default(),
            remarks: Vec::new(),
        }
    }

    /// Returns whether any recipient was accepted.
    pub fn any_done(&self) -> bool {
        self.recipients
            .iter()
            .any(|result| result.class() == Class::Done)
    }

    /// Returns whether every recipient was accepted.
    pub fn is_done(&self) -> bool {
        self.recipients
            .iter()
            .all(|result| result.class() == Class::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enhanced_code_counts_only_when_its_class_agrees_with_the_reply() {
        assert_eq!(
            Reply::new(550, vec!["5.1.1 no such user".into()]).enhanced,
            Some(EnhancedCode(5, 1, 1))
        );
        assert_eq!(
            Reply::new(450, vec!["5.1.1 no such user".into()]).enhanced,
            None
        );
        assert_eq!(Reply::new(550, vec!["5.1 no".into()]).enhanced, None);
        assert_eq!(Reply::new(220, vec!["2.0.0.1 mail".into()]).enhanced, None);
    }

    #[test]
    fn a_reply_without_text_prints_as_its_code() {
        assert_eq!(Reply::new(250, vec![String::new()]).text(), "250");
        assert_eq!(
            Reply::new(550, vec!["a".into(), "b".into()]).text(),
            "550 a b"
        );
    }

    #[test]
    fn a_positive_reply_that_was_not_wanted_is_a_permanent_fault() {
        let fault = Fault::new(
            Stage::Data,
            Cause::Refused(Reply::new(250, vec!["ok".into()])),
        );
        assert_eq!(fault.class(), Class::Permanent);
    }

    #[test]
    fn a_mail_whose_books_cannot_be_kept_may_be_tried_again() {
        let fault = Fault::new(
            Stage::Content,
            Cause::Journal("no space left on device".into()),
        );
        assert_eq!(fault.class(), Class::Temporary);
    }
}
