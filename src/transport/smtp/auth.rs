//! AUTH (RFC 4954): a table of mechanisms and one conversation for all of them.
//!
//! Promise: no credential travels in clear but to this machine or where the user allowed it; only
//! 235 is a login; after a 535 nothing else is tried, so that a wrong password cannot lock an
//! account; secrets and user names never reach the observer.
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, Mac};
use md5::Md5;
use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::connection::Session;
use crate::delivery::{Cause, Fault, Lacks, Reply, Stage};
use crate::hints;
use crate::route::{Choice, Login, Mechanism, Smtp};
use crate::secret::Secret;
use crate::transport::net::tls::hex;
use crate::transport::secrets::no_secret;
use crate::transport::{Event, Observer};

/// The longest AUTH command with its line end (RFC 4954 section 4).
const LONGEST: usize = 512;
/// The most challenges that are answered.
const MOST_CHALLENGES: usize = 10;
/// Base64 as servers write it, with its padding or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Who logs in.
struct Credentials<'a> {
    user: &'a str,
    secret: &'a str,
    host: &'a str,
    port: u16,
}

type Bytes = Zeroizing<Vec<u8>>;

/// What a mechanism answers: see [`Row::answer`].
type Answer = fn(&Credentials<'_>, usize, Option<&[u8]>, bool) -> Option<Bytes>;

/// A mechanism.
struct Row {
    mechanism: Mechanism,
    name: &'static str,
    /// The secret itself does not travel: preferred where there is no TLS.
    keeps_secret: bool,
    /// Tried without being asked for, in the order of the table.
    automatic: bool,
    wants_secret: bool,
    /// What may go along with the command.
    initial: fn(&Credentials<'_>) -> Option<Bytes>,
    /// The answer to the nth challenge, counted from 0; the challenge is `None` when it is no
    /// base64, and `sent` is true when the initial response has been sent. `None` when there is no
    /// answer to it.
    answer: Answer,
}

const TABLE: [Row; 6] = [
    Row {
        mechanism: Mechanism::Plain,
        name: "PLAIN",
        keeps_secret: false,
        automatic: true,
        wants_secret: true,
        initial: |who| Some(plain(who)),
        // Once more to a server that has not looked at what came with the command.
        answer: |who, turn, _, _| if turn == 0 { Some(plain(who)) } else { None },
    },
    Row {
        mechanism: Mechanism::Login,
        name: "LOGIN",
        keeps_secret: false,
        automatic: true,
        wants_secret: true,
        initial: |_| None,
        // The prompts say what they like: "Username:", "User Name", or the same in another
        // language.
        answer: |who, turn, _, _| match turn {
            0 => Some(bytes(&[who.user])),
            1 => Some(bytes(&[who.secret])),
            _ => None,
        },
    },
    Row {
        mechanism: Mechanism::CramMd5,
        name: "CRAM-MD5",
        keeps_secret: true,
        automatic: true,
        wants_secret: true,
        initial: |_| None,
        answer: |who, turn, challenge, _| {
            if turn == 0 {
                cram(who, challenge?)
            } else {
                None
            }
        },
    },
    Row {
        mechanism: Mechanism::Xoauth2,
        name: "XOAUTH2",
        keeps_secret: false,
        automatic: false,
        wants_secret: true,
        initial: |who| Some(xoauth2(who)),
        answer: |who, turn, _, sent| {
            Some(if turn == 0 && !sent {
                xoauth2(who)
            } else {
                bytes(&[])
            })
        },
    },
    Row {
        mechanism: Mechanism::Oauthbearer,
        name: "OAUTHBEARER",
        keeps_secret: false,
        automatic: false,
        wants_secret: true,
        initial: |who| Some(oauthbearer(who)),
        answer: |who, turn, _, sent| {
            Some(if turn == 0 && !sent {
                oauthbearer(who)
            } else {
                bytes(&["\x01"])
            })
        },
    },
    Row {
        mechanism: Mechanism::External,
        name: "EXTERNAL",
        keeps_secret: true,
        automatic: false,
        wants_secret: false,
        initial: |_| Some(bytes(&[])),
        answer: |_, _, _, _| Some(bytes(&[])),
    },
];

fn bytes(parts: &[&str]) -> Bytes {
    Zeroizing::new(parts.concat().into_bytes())
}

/// RFC 4616 section 2.
fn plain(who: &Credentials<'_>) -> Bytes {
    bytes(&["\0", who.user, "\0", who.secret])
}

/// RFC 2195 section 2.
fn cram(who: &Credentials<'_>, challenge: &[u8]) -> Option<Bytes> {
    if challenge.is_empty() {
        return None;
    }
    let mut mac = Hmac::<Md5>::new_from_slice(who.secret.as_bytes()).ok()?;
    mac.update(challenge);
    Some(bytes(&[who.user, " ", &hex(&mac.finalize().into_bytes())]))
}

fn xoauth2(who: &Credentials<'_>) -> Bytes {
    bytes(&[
        "user=",
        who.user,
        "\x01auth=Bearer ",
        who.secret,
        "\x01\x01",
    ])
}

/// RFC 7628 section 3.1, with the escapes of a saslname (RFC 5801 section 4).
fn oauthbearer(who: &Credentials<'_>) -> Bytes {
    let user = who.user.replace('=', "=3D").replace(',', "=2C");
    let port = who.port.to_string();
    bytes(&[
        "n,a=",
        &user,
        ",\x01host=",
        who.host,
        "\x01port=",
        &port,
        "\x01auth=Bearer ",
        who.secret,
        "\x01\x01",
    ])
}

/// What a login needs to know of the session.
pub(super) struct Context<'a> {
    /// The server, its timeouts and the login.
    pub route: &'a Smtp,
    /// The port that answered.
    pub port: u16,
    /// What the server offers now.
    pub capabilities: &'a Capabilities,
    /// TLS is on.
    pub encrypted: bool,
    /// The other end is this machine.
    pub loopback: bool,
    /// Is told of a secret that is visibly of the wrong kind.
    pub observer: Option<&'a dyn Observer>,
}

/// Who logged in, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoggedIn {
    /// The user.
    pub user: String,
    /// The name of the mechanism.
    pub mechanism: &'static str,
}

/// Who logs in, and with what.
pub(super) type Fetched = (String, Secret);

/// Logs in as the route says; `None` where nobody does. `fetched` keeps what was fetched for the
/// next connection.
///
/// # Errors
/// A fault at [`Stage::Login`].
pub(super) fn login(
    session: &mut Session,
    context: &Context<'_>,
    fetched: &mut Option<Fetched>,
) -> Result<Option<LoggedIn>, Fault> {
    let Some(login) = &context.route.login else {
        return Ok(None);
    };
    let fault = |cause| Fault::new(Stage::Login, cause);
    let fetch = || {
        login
            .secret
            .fetch_login(&login.user)
            .map_err(|error| fault(no_secret(error)))
    };
    if fetched.is_none() && login.secret.names_user() {
        // Before anything is asked of the server: perhaps nobody logs in.
        let Some(found) = fetch()? else {
            return Ok(None);
        };
        *fetched = Some(found);
    }
    if !(context.encrypted || context.loopback || login.in_clear) {
        return Err(fault(Cause::ClearLogin));
    }
    let rows = choose(login.mechanism, context)?;
    if rows.iter().any(|row| row.wants_secret) && fetched.is_none() {
        *fetched = fetch()?;
    }
    let (user, password) = fetched
        .as_ref()
        .map_or((login.user.as_str(), ""), |(user, secret)| {
            (user, secret.reveal())
        });
    look_at(context, login, user, password);
    for (text, what) in [(user, "user name"), (password, "password")] {
        // It separates the fields of PLAIN (RFC 4616 section 2).
        if text.contains('\0') {
            return Err(fault(Cause::NoSecret(
                format!("the {what} contains a NUL character"),
                false,
            )));
        }
    }
    session.conceal(password.as_bytes());
    let who = Credentials {
        user,
        secret: password,
        host: &context.route.host,
        port: context.port,
    };
    let mut exchange = Exchange { session, context };
    let mut refusal = None;
    for row in rows {
        match exchange.run(row, &who)? {
            Attempt::Done => {
                return Ok(Some(LoggedIn {
                    user: user.to_owned(),
                    mechanism: row.name,
                }));
            }
            Attempt::Next(cause) => refusal = Some(cause),
        }
    }
    Err(fault(refusal.unwrap_or_else(|| {
        Cause::Lacks(
            Lacks::Mechanism,
            context.capabilities.mechanisms().join(" "),
        )
    })))
}

/// Tells of a password that is visibly of the wrong kind. Tokens have forms of their own.
fn look_at(context: &Context<'_>, login: &Login, user: &str, password: &str) {
    let token = [Mechanism::Xoauth2, Mechanism::Oauthbearer]
        .map(Choice::Only)
        .contains(&login.mechanism);
    if let Some(observer) = context.observer.filter(|_| !token)
        && let Some(hint) = hints::suspicious(context.route.provider.as_deref(), user, password)
    {
        observer.observe(Event::UnlikelySecret(hint));
    }
}

/// The mechanisms to try, best first.
fn choose(choice: Choice, context: &Context<'_>) -> Result<Vec<&'static Row>, Fault> {
    let capabilities = context.capabilities;
    let offered = |row: &&Row| capabilities.auth.iter().any(|name| name == row.name);
    let mut rows: Vec<&Row> = match choice {
        Choice::Auto => TABLE
            .iter()
            .filter(|row| row.automatic)
            .filter(offered)
            .collect(),
        Choice::Only(mechanism) => TABLE
            .iter()
            .filter(|row| row.mechanism == mechanism)
            .filter(offered)
            .collect(),
    };
    if !context.encrypted {
        rows.sort_by_key(|row| !row.keeps_secret);
    }
    let lacks = |what, offered| Err(Fault::new(Stage::Login, Cause::Lacks(what, offered)));
    match rows.is_empty() {
        false => Ok(rows),
        true if !capabilities.login => lacks(Lacks::Auth, capabilities.offered()),
        true if capabilities.auth.is_empty() => lacks(Lacks::Mechanism, "nothing".to_owned()),
        true => lacks(Lacks::Mechanism, capabilities.mechanisms().join(" ")),
    }
}

enum Attempt {
    Done,
    /// This mechanism is not to be had; another may be.
    Next(Cause),
}

struct Exchange<'a> {
    session: &'a mut Session,
    context: &'a Context<'a>,
}

impl Exchange<'_> {
    fn run(&mut self, row: &Row, who: &Credentials<'_>) -> Result<Attempt, Fault> {
        let initial = (row.initial)(who).map(|initial| first_line(row.name, &initial));
        let with = initial.filter(|line| line.len() <= LONGEST);
        let bare = Zeroizing::new(format!("AUTH {}\r\n", row.name));
        let mut sent = with.is_some();
        let mask = if sent {
            format!("AUTH {} ***", row.name)
        } else {
            format!("AUTH {}", row.name)
        };
        let mut reply = self.send(with.as_ref().unwrap_or(&bare), &mask)?;
        if sent && reply.code == 501 {
            sent = false;
            reply = self.send(&bare, &format!("AUTH {}", row.name))?;
        }
        let mut told = None;
        for turn in 0..=MOST_CHALLENGES {
            if reply.code != 334 {
                return self.judge(reply, told);
            }
            if turn == MOST_CHALLENGES {
                break;
            }
            let text = self.session.challenge();
            // Only what a mechanism makes its answer of has to be base64: servers ask in plain
            // words too.
            let challenge = LENIENT.decode(text.trim_ascii()).ok();
            let Some(answer) = (row.answer)(who, turn, challenge.as_deref(), sent) else {
                return self.cancel(row);
            };
            if row.keeps_secret {
                // A digest is as good as the secret, for this one challenge.
                self.session
                    .conceal(answer.rsplit(|b| *b == b' ').next().unwrap_or_default());
            }
            if sent || turn > 0 {
                told = Some(challenge.unwrap_or(text))
                    .filter(|json| !row.automatic && !json.is_empty());
            }
            let line = encoded("", &answer);
            reply = self.send(&line, "***")?;
        }
        let why = format!(
            "the server sent too many challenges ({MOST_CHALLENGES} to AUTH {})",
            row.name
        );
        Err(self.session.cut(Stage::Login, Cause::Protocol(why)))
    }

    fn send(&mut self, line: &str, mask: &str) -> Result<Reply, Fault> {
        self.session
            .secret(self.context.route.timeouts.command, line, mask)
    }

    /// Gives a mechanism up whose challenge makes no sense (RFC 4954 section 4).
    fn cancel(&mut self, row: &Row) -> Result<Attempt, Fault> {
        let reply = self.send("*\r\n", "*")?;
        match reply.code {
            421 => Err(Fault::new(Stage::Login, Cause::Refused(reply))),
            400.. => Ok(Attempt::Next(Cause::Protocol(format!(
                "invalid challenge to AUTH {}",
                row.name
            )))),
            _ => {
                let why = format!(
                    "the server replied \"{}\" to a cancelled login",
                    reply.text()
                );
                Err(self.session.cut(Stage::Login, Cause::Protocol(why)))
            }
        }
    }

    /// `told` is what the server said of the error in a challenge (RFC 7628 section 3.2.2).
    fn judge(&mut self, mut reply: Reply, told: Option<Vec<u8>>) -> Result<Attempt, Fault> {
        match reply.code {
            235 => Ok(Attempt::Done),
            500..=504 | 534 if told.is_none() => Ok(Attempt::Next(Cause::Refused(reply))),
            400.. => {
                reply.lines = reply
                    .lines
                    .iter()
                    .cloned()
                    .chain(told.map(|json| self.session.words(&json)))
                    .collect();
                Err(Fault::new(Stage::Login, Cause::Refused(reply)))
            }
            _ => {
                let why = format!("the server replied \"{}\" to AUTH", reply.text());
                Err(self.session.cut(Stage::Login, Cause::Protocol(why)))
            }
        }
    }
}

/// The command with its initial response; `=` stands for an empty one.
fn first_line(name: &str, initial: &[u8]) -> Zeroizing<String> {
    if initial.is_empty() {
        return Zeroizing::new(format!("AUTH {name} =\r\n"));
    }
    encoded(&format!("AUTH {name} "), initial)
}

/// A line with bytes in base64 behind its head, in a buffer of its full size: one that grows
/// leaves copies behind.
fn encoded(head: &str, bytes: &[u8]) -> Zeroizing<String> {
    let mut line = Zeroizing::new(String::with_capacity(
        head.len() + bytes.len().div_ceil(3) * 4 + 2,
    ));
    line.push_str(head);
    STANDARD.encode_string(bytes, &mut line);
    line.push_str("\r\n");
    line
}
