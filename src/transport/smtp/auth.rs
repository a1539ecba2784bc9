//! AUTH (RFC 4954): a table of mechanisms and one conversation for all of them.
//!
//! Promise: no credential travels in clear but to this machine or where the user allowed it; only
//! 235 is a login; after a password was refused nothing else is tried, so that a wrong one cannot
//! lock an account; secrets and user names never reach the observer. What is said is made by
//! [`sasl`](crate::sasl).
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::connection::Session;
use crate::delivery::{Cause, Fault, Lacks, Reply, Stage};
use crate::hints;
use crate::route::{Choice, Credential, Login, Mechanism, Smtp};
use crate::sasl::{self, Channel, Credentials, Exchange, Halt, LENIENT, Response};
use crate::secret::{Secret, SecretSource};
use crate::transport::secrets::no_secret;
use crate::transport::{Event, Observer, RunContext, tokens};

/// The longest AUTH command with its line end (RFC 4954 section 4).
const LONGEST: usize = 512;
/// The most challenges that are answered.
const MOST_CHALLENGES: usize = 10;

/// A mechanism.
struct Row {
    mechanism: Mechanism,
    /// The secret itself does not travel: preferred where there is no TLS.
    keeps_secret: bool,
    /// Tried without being asked for, in the order of the table.
    automatic: bool,
    /// Its kind, which a server may have switched on without having what it needs of a user.
    kind: Kind,
}

/// What a user must have for a mechanism.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A SCRAM verifier, and a server that knows our kind of channel binding.
    BoundScram,
    /// A SCRAM verifier.
    Scram,
    /// A password, a token or a certificate.
    Other,
}

#[rustfmt::skip]
const TABLE: [Row; 11] = [
    Row { mechanism: Mechanism::ScramSha256Plus, keeps_secret: true,  automatic: true,  kind: Kind::BoundScram },
    Row { mechanism: Mechanism::ScramSha256,     keeps_secret: true,  automatic: true,  kind: Kind::Scram },
    Row { mechanism: Mechanism::ScramSha1Plus,   keeps_secret: true,  automatic: true,  kind: Kind::BoundScram },
    Row { mechanism: Mechanism::ScramSha1,       keeps_secret: true,  automatic: true,  kind: Kind::Scram },
    Row { mechanism: Mechanism::Plain,           keeps_secret: false, automatic: true,  kind: Kind::Other },
    Row { mechanism: Mechanism::Login,           keeps_secret: false, automatic: true,  kind: Kind::Other },
    // Servers need the password itself for it: behind those that need only a hash, if TLS is on.
    Row { mechanism: Mechanism::CramMd5,         keeps_secret: true,  automatic: true,  kind: Kind::Other },
    Row { mechanism: Mechanism::Xoauth2,         keeps_secret: false, automatic: false, kind: Kind::Other },
    Row { mechanism: Mechanism::Oauthbearer,     keeps_secret: false, automatic: false, kind: Kind::Other },
    Row { mechanism: Mechanism::External,        keeps_secret: true,  automatic: false, kind: Kind::Other },
    Row { mechanism: Mechanism::Anonymous,       keeps_secret: true,  automatic: false, kind: Kind::Other },
];

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
    /// The run, for a token that has to be asked for.
    pub run: &'a RunContext,
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
pub(super) struct Fetched {
    user: String,
    secret: Secret,
    /// It was fetched anew, as the server had refused the one before.
    renewed: bool,
}

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
    if fetched.is_none() && login.credential.names_user() {
        // Before anything is asked of the server: perhaps nobody logs in.
        let Some(found) = fetch(login, context)? else {
            return Ok(None);
        };
        *fetched = Some(found);
    }
    if !(context.encrypted || context.loopback || login.in_clear) {
        return Err(Fault::new(Stage::Login, Cause::ClearLogin));
    }
    let channel = Channel {
        end_point: session.end_point(),
        offers_binding: context.capabilities.offers_binding(),
    };
    let rows = choose(login, context, &channel)?;
    if rows.iter().any(|row| row.mechanism.wants_secret()) && fetched.is_none() {
        *fetched = fetch(login, context)?;
    }
    let mut conversation = Conversation {
        session,
        context,
        channel,
    };
    let refused = match conversation.try_all(&rows, login, fetched.as_ref()) {
        Err(fault) if fault.reply().is_some_and(|reply| reply.code == 535) => fault,
        ended => return ended.map(Some),
    };
    // Once in a run, and never the same again.
    let old = fetched.as_mut().filter(|fetched| !fetched.renewed);
    let has_new = old.map_or(Ok(false), |old| renew(login, context, old))?;
    if has_new && conversation.session.is_open() {
        return conversation
            .try_all(&rows, login, fetched.as_ref())
            .map(Some);
    }
    Err(refused)
}

fn fetch(login: &Login, context: &Context<'_>) -> Result<Option<Fetched>, Fault> {
    let found = match &login.credential {
        Credential::Secret(source) => source.fetch_login(&login.user).map_err(no_secret),
        Credential::Token(account) => {
            let secret = tokens::fetch(account, context.route, context.run, None);
            secret.map(|secret| Some((login.user.clone(), secret)))
        }
    };
    let found = found.map_err(|cause| Fault::new(Stage::Login, cause))?;
    Ok(found.map(|(user, secret)| Fetched {
        user,
        secret,
        renewed: false,
    }))
}

/// Fetches a secret anew that the server has refused, where another may come of it; returns whether
/// one did.
fn renew(login: &Login, context: &Context<'_>, old: &mut Fetched) -> Result<bool, Fault> {
    old.renewed = true;
    let new = match &login.credential {
        Credential::Secret(source) => source.fetch_again().map_err(no_secret),
        Credential::Token(account) => {
            tokens::fetch(account, context.route, context.run, Some(&old.secret)).map(Some)
        }
    };
    let new = new.map_err(|cause| Fault::new(Stage::Login, cause))?;
    let Some(new) = new.filter(|new| *new != old.secret) else {
        return Ok(false);
    };
    old.secret = new;
    Ok(true)
}

/// Tells of a password that is visibly of the wrong kind. Tokens have forms of their own.
fn look_at(context: &Context<'_>, login: &Login, user: &str, password: &str) {
    let token = match login.mechanism {
        Choice::Only(only) => only.wants_token(),
        Choice::Token => true,
        Choice::Auto => false,
    };
    if let Some(observer) = context.observer.filter(|_| !token)
        && let Some(hint) = hints::suspicious(context.route.provider.as_deref(), user, password)
    {
        observer.observe(Event::UnlikelySecret(hint));
    }
}

/// The mechanisms to try, best first.
fn choose(
    login: &Login,
    context: &Context<'_>,
    channel: &Channel,
) -> Result<Vec<&'static Row>, Fault> {
    let capabilities = context.capabilities;
    let offered = |row: &&Row| {
        let name = row.mechanism.name();
        (row.kind != Kind::BoundScram || channel.end_point.is_some())
            && capabilities.auth.iter().any(|offered| offered == name)
    };
    let external = |row: &&Row| row.mechanism == Mechanism::External && offered(row);
    let mut rows: Vec<&Row> = match login.mechanism {
        // Before anybody is asked for a password.
        Choice::Auto
            if has_only_certificate(login, context) && TABLE.iter().any(|row| external(&row)) =>
        {
            TABLE.iter().filter(external).collect()
        }
        Choice::Auto => TABLE
            .iter()
            .filter(|row| row.automatic)
            .filter(offered)
            .collect(),
        Choice::Token => TABLE
            .iter()
            .filter(|row| row.mechanism.wants_token())
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

/// Returns whether a certificate is all there is to log in with.
fn has_only_certificate(login: &Login, context: &Context<'_>) -> bool {
    context.encrypted
        && context.route.trust.cert.is_some()
        && matches!(
            login.credential,
            Credential::Secret(SecretSource::Prompt { .. })
        )
}

enum Attempt {
    Done,
    /// This mechanism is not to be had; another may be.
    Next(Cause),
    /// Refused before the password was in play: this user cannot log in by this kind of mechanism.
    NotForUser(Cause),
}

struct Conversation<'a> {
    session: &'a mut Session,
    context: &'a Context<'a>,
    channel: Channel,
}

impl Conversation<'_> {
    /// Tries these mechanisms, best first, until one is accepted or no other may be tried.
    fn try_all(
        &mut self,
        rows: &[&Row],
        login: &Login,
        fetched: Option<&Fetched>,
    ) -> Result<LoggedIn, Fault> {
        let fault = |cause| Fault::new(Stage::Login, cause);
        let (user, password) = fetched.map_or((login.user.as_str(), ""), |fetched| {
            (fetched.user.as_str(), fetched.secret.reveal())
        });
        look_at(self.context, login, user, password);
        for (text, what) in [(user, "user name"), (password, "password")] {
            // It separates the fields of PLAIN (RFC 4616 section 2).
            if text.contains('\0') {
                let why = format!("the {what} contains a NUL character");
                return Err(fault(Cause::NoSecret(why, false)));
            }
        }
        self.session.conceal(password.as_bytes());
        let who = Credentials {
            user,
            secret: password,
            host: &self.context.route.host,
            port: self.context.port,
        };
        let mut refusal = None;
        let mut without: Vec<Kind> = Vec::new();
        for row in rows {
            if without.contains(&row.kind) {
                continue;
            }
            match self.run(row, &who)? {
                Attempt::Done => {
                    return Ok(LoggedIn {
                        user: user.to_owned(),
                        mechanism: row.mechanism.name(),
                    });
                }
                Attempt::Next(cause) => refusal = Some(cause),
                Attempt::NotForUser(cause) => {
                    without.extend_from_slice(match row.kind {
                        Kind::Scram => &[Kind::Scram, Kind::BoundScram],
                        Kind::BoundScram => &[Kind::BoundScram],
                        Kind::Other => &[],
                    });
                    refusal = Some(cause);
                }
            }
        }
        let offered = || self.context.capabilities.mechanisms().join(" ");
        let cause = refusal.unwrap_or_else(|| Cause::Lacks(Lacks::Mechanism, offered()));
        Err(fault(cause))
    }

    fn run(&mut self, row: &Row, who: &Credentials<'_>) -> Result<Attempt, Fault> {
        let name = row.mechanism.name();
        let exchange = &mut *sasl::start(row.mechanism, who, &self.channel).map_err(|why| {
            let why = format!("the system has no random numbers: {why}");
            Fault::new(Stage::Login, Cause::NoSecret(why, true))
        })?;
        let mut unsent = exchange.initial();
        let mut reply = self.command(name, &mut unsent)?;
        let mut told = None;
        for _ in 0..MOST_CHALLENGES {
            if reply.code != 334 {
                return self.conclude(reply, told, exchange);
            }
            let text = self.session.challenge();
            // Only what a mechanism makes its answer of has to be base64: servers ask in plain
            // words too.
            let challenge = LENIENT.decode(text.trim_ascii()).ok();
            let response = match unsent.take() {
                Some(initial) => Ok(Response::Answer(initial)),
                None => exchange.answer(challenge.as_deref()),
            };
            let answer = match response {
                Ok(Response::Answer(answer)) => answer,
                Ok(Response::AfterError(answer)) => {
                    told = Some(challenge.unwrap_or(text)).filter(|said| !said.is_empty());
                    answer
                }
                Err(Halt::Senseless) => return self.cancel(name, exchange),
                Err(Halt::Scram(error)) => {
                    return Err(self.session.cut(Stage::Login, Cause::Scram(error)));
                }
            };
            // As good as the secret, for this one challenge.
            self.session.conceal(exchange.proof(&answer));
            reply = self.send(&encoded("", &answer), "***")?;
        }
        if reply.code != 334 {
            return self.conclude(reply, told, exchange);
        }
        let why = format!("the server sent too many challenges ({MOST_CHALLENGES} to AUTH {name})");
        Err(self.session.cut(Stage::Login, Cause::Protocol(why)))
    }

    /// Sends AUTH, with the initial response if there is one that fits and the server takes it;
    /// else leaves it for the first challenge.
    fn command(&mut self, name: &str, initial: &mut Option<sasl::Bytes>) -> Result<Reply, Fault> {
        let bare = format!("AUTH {name}\r\n");
        let with = initial.as_ref().map(|initial| first_line(name, initial));
        if let Some(line) = with.filter(|line| line.len() <= LONGEST) {
            let reply = self.send(&line, &format!("AUTH {name} ***"))?;
            if reply.code != 501 {
                *initial = None;
                return Ok(reply);
            }
        }
        self.send(&bare, bare.trim_end())
    }

    fn send(&mut self, line: &str, mask: &str) -> Result<Reply, Fault> {
        self.session
            .secret(self.context.route.timeouts.command, line, mask)
    }

    /// Gives a mechanism up whose challenge makes no sense (RFC 4954 section 4).
    fn cancel(&mut self, name: &str, exchange: &dyn Exchange) -> Result<Attempt, Fault> {
        let reply = self.send("*\r\n", "*")?;
        let invalid = Cause::Protocol(format!("invalid challenge to AUTH {name}"));
        match reply.code {
            421 => Err(Fault::new(Stage::Login, Cause::Refused(reply))),
            // The password may be wrong for all that is known.
            400.. if exchange.has_tried_secret() => Err(Fault::new(Stage::Login, invalid)),
            400.. => Ok(Attempt::Next(invalid)),
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
    fn conclude(
        &mut self,
        mut reply: Reply,
        told: Option<Vec<u8>>,
        exchange: &mut dyn Exchange,
    ) -> Result<Attempt, Fault> {
        let is_final = told.is_some() && exchange.has_tried_secret();
        let said = told.map(|said| self.session.words(&said));
        reply.lines = reply.lines.iter().cloned().chain(said).collect();
        match reply.code {
            235 => match exchange.finish(&self.session.challenge()) {
                Ok(()) => Ok(Attempt::Done),
                Err(error) => Err(self.session.cut(Stage::Login, Cause::Scram(error))),
            },
            500..=504 | 534 if !is_final => Ok(Attempt::Next(Cause::Refused(reply))),
            535 if !exchange.has_tried_secret() => Ok(Attempt::NotForUser(Cause::Refused(reply))),
            400.. => Err(Fault::new(Stage::Login, Cause::Refused(reply))),
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
