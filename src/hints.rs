//! What to do about a failure: rows that tell what a server means and who has to act, and the
//! search for the right one.
//!
//! Promise: whatever happened, the most specific row that is known is found, and the same question
//! always has the same answer. Texts are the room's own, in English and Simplified Chinese; the
//! server's words are compared, never changed. Nothing is read before the first question. No I/O,
//! and no secret is kept or repeated.
//!
//! Order: a row of this provider before a row of all; words of the server before codes; codes by
//! what says more.
use std::borrow::Cow;
use std::cell::RefCell;

pub use self::explain::{Explanation, Provider, explain};
use self::index::best;
pub use self::secret::suspicious;
pub use self::table::{Hint, named, rows};
use crate::delivery::{
    Cause, Class, EnhancedCode, Fault, Lacks, Meaning, Reply, Stage, TokenFailure,
};
use crate::language::Language;
use crate::providers;

mod explain;
mod index;
mod pattern;
mod secret;
mod table;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;

/// Who has to act.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Who {
    /// The one who sends: settings, password, message.
    #[default]
    You,
    /// The recipient, or whoever knows the right address.
    Recipient,
    /// The server or its provider; often time heals it.
    Server,
    /// Whoever runs the network or owns the address that is sent from.
    Network,
    /// The administrator of the account, the organisation or the domain.
    Admin,
}

impl Who {
    /// The word used in the table and in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Who::You => "you",
            Who::Recipient => "recipient",
            Who::Server => "server",
            Who::Network => "network",
            Who::Admin => "admin",
        }
    }
}

impl Hint {
    /// What happened: a lowercase fragment.
    pub fn meaning(&self, language: Language) -> &'static str {
        self.meaning[language as usize]
    }

    /// What to do about it: one or two short clauses.
    pub fn action(&self, language: Language) -> &'static str {
        self.action[language as usize]
    }
}

/// What is known of a failure; the more, the better the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// The id or the family of a provider, as in the table of providers.
    pub provider: Option<&'a str>,
    /// The server's name.
    pub host: Option<&'a str>,
    /// What was under way.
    pub stage: Option<Stage>,
    /// The reply code.
    pub code: Option<u16>,
    /// The enhanced status code.
    pub enhanced: Option<EnhancedCode>,
    /// The words of the server, or of whatever else failed.
    pub text: &'a str,
}

/// What is looked for: a query, and the kind of connection-level failure if it is one.
struct Sought<'a> {
    family: Option<&'a str>,
    host: Option<&'a str>,
    stage: Option<Stage>,
    cause: Option<&'static str>,
    code: Option<u16>,
    enhanced: Option<EnhancedCode>,
    /// In the form of [`pattern::normal`].
    text: String,
}

/// How well a row fits, compared from left to right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    /// It is about this provider or host.
    own: bool,
    /// It is about connections, as a text without a code is.
    link: bool,
    /// Bytes of the server's words that it names.
    words: usize,
    /// How much its codes say, or words that are vague.
    weight: u8,
    /// It is about this stage.
    stage: bool,
}

/// Finds the most specific row for a failure; `None` only where neither code nor known words are
/// given.
pub fn find(query: &Query<'_>) -> Option<&'static Hint> {
    search(&Sought::new(query, None)).map(|(hint, _)| hint)
}

/// Returns what is known of a fault.
pub fn of(fault: &Fault) -> Option<&'static Hint> {
    fault.meaning.hint.and_then(named)
}

/// What the failures of one server mean: the provider and the host that they are looked up with.
#[derive(Debug, Default, Clone)]
pub struct Classifier {
    provider: Option<String>,
    host: Option<String>,
    /// The answer given last: a list is often refused with one reply for all.
    last: RefCell<Option<(Stage, Reply, Meaning)>>,
}

impl Classifier {
    /// Takes the id or family of a provider and the name of the server, as far as they are known.
    pub fn new(provider: Option<&str>, host: Option<&str>) -> Self {
        Classifier {
            provider: provider.map(str::to_owned),
            host: host.map(str::to_owned),
            last: RefCell::default(),
        }
    }

    /// Returns the fault with its meaning. It is to be final: what is changed in it later may mean
    /// something else.
    #[must_use]
    pub fn classify(&self, mut fault: Fault) -> Fault {
        let known = fault
            .reply()
            .filter(|_| !fault.in_doubt && !fault.pipelined);
        let Some(reply) = known.cloned() else {
            fault.meaning = self.meaning(&fault);
            return fault;
        };
        let last = self.last.take();
        let (stage, reply, meaning) = last
            .filter(|(stage, last, _)| (*stage, last) == (fault.stage, &reply))
            .unwrap_or_else(|| (fault.stage, reply, self.meaning(&fault)));
        fault.meaning = meaning;
        self.last.replace(Some((stage, reply, meaning)));
        fault
    }

    fn meaning(&self, fault: &Fault) -> Meaning {
        let (provider, host) = (self.provider.as_deref(), self.host.as_deref());
        Meaning {
            class: class(fault, provider),
            hint: of_fault(fault, provider, host).map(|hint| hint.id),
        }
    }
}

/// Finds the row for a fault, also for those below SMTP.
fn of_fault(fault: &Fault, provider: Option<&str>, host: Option<&str>) -> Option<&'static Hint> {
    let cause = match fault {
        Fault { in_doubt: true, .. } => "in-doubt",
        Fault {
            pipelined: true, ..
        } => "swallowed",
        _ => word(&fault.cause)?,
    };
    let said = said(&fault.cause);
    let (code, enhanced) = fault
        .reply()
        .map_or((None, None), |reply| (Some(reply.code), reply.enhanced));
    let query = Query {
        provider,
        host,
        stage: Some(fault.stage),
        code,
        enhanced,
        text: &said,
    };
    if cause == "program" {
        let of_output = || {
            explain(&said, &|_| provider.map(str::to_owned))
                .into_iter()
                .find_map(|explanation| explanation.hint)
        };
        return search(&Sought::new(&query, Some(cause)))
            .map(|(hint, _)| hint)
            .or_else(of_output);
    }
    let cause = Some(cause).filter(|cause| *cause != "refused");
    search(&Sought::new(&query, cause)).map(|(hint, _)| hint)
}

/// The class of a fault where it is known better than by the first digit of the reply: a limit that
/// ends after a day (Gmail's 550 5.4.5), a 4yz that never ends (436 of Alibaba). `None`:
/// [`Fault::class`] stands.
fn class(fault: &Fault, provider: Option<&str>) -> Option<Class> {
    let Reply { code, enhanced, .. } = *fault.reply()?;
    let text = said(&fault.cause);
    let query = Query {
        provider,
        host: None,
        stage: Some(fault.stage),
        code: Some(code),
        enhanced,
        text: &text,
    };
    let sought = Sought::new(&query, None);
    // Where the provider is known, words of others may explain, but they decide nothing.
    best(&sought)?.0.class.filter(|class| *class != Class::Done)
}

impl<'a> Sought<'a> {
    fn new(query: &Query<'a>, cause: Option<&'static str>) -> Self {
        Sought {
            family: query.provider.map(providers::family),
            host: query.host,
            stage: query.stage,
            cause,
            code: query.code,
            enhanced: query.enhanced,
            text: pattern::normal(query.text),
        }
    }
}

/// The best row; where none is the provider's own, words of other providers are looked through as
/// well: mail travels on.
fn search(sought: &Sought<'_>) -> Option<(&'static Hint, Fit)> {
    let found = best(sought);
    if sought.family.is_none() || found.is_some_and(|(_, fit)| fit.own) {
        return found;
    }
    let elsewhere = Sought {
        family: None,
        text: sought.text.clone(),
        ..*sought
    };
    let said = found.map_or(0, |(_, fit)| fit.words);
    best(&elsewhere)
        .filter(|(_, fit)| fit.words > said)
        .or(found)
}

/// What vague words weigh among codes: more than codes that are as vague.
const VAGUE_WORDS: u8 = 4;

/// What a code of many meanings weighs at least where the row tells it by the stage: more than a
/// code of a whole subject.
const STAGE: u8 = 4;

/// How well a row fits of whose words so many bytes were found; `None` when it does not.
fn fit(row: &Hint, sought: &Sought<'_>, said: Option<usize>) -> Option<Fit> {
    let own = owned(row, sought)?;
    if !row.at(sought.stage) {
        return None;
    }
    let by_cause = caused(row, sought)?;
    let codes = coded(row, sought)?;
    let said = match said {
        _ if row.pattern.is_empty() => 0,
        Some(length) => length,
        None if by_cause && row.alone => 0,
        None => return None,
    };
    if said == 0 && codes == 0 && !by_cause {
        return None;
    }
    let link = said > 0 && sought.code.is_none() && !row.cause.is_empty();
    let stage = sought.stage.is_some() && !row.stage.is_empty();
    let codes = if stage && codes > 1 {
        codes.max(STAGE)
    } else {
        codes
    };
    let (words, weight) = if row.vague && said > 0 {
        (0, VAGUE_WORDS)
    } else {
        (said, codes)
    };
    Some(Fit {
        own,
        link,
        words,
        weight,
        stage,
    })
}

/// Returns whether the row is about this provider or host; `None` when it is about another one.
fn owned(row: &Hint, sought: &Sought<'_>) -> Option<bool> {
    if !row.host.is_empty() {
        let is = |name: &str| {
            sought
                .host
                .map_or_else(|| sought.text.contains(name), |host| host == name)
        };
        return row.host.split(' ').any(is).then_some(true);
    }
    if row.provider.is_empty() {
        return Some(false);
    }
    match sought.family {
        Some(family) => row
            .provider
            .split(' ')
            .any(|name| name == family)
            .then_some(true),
        // Without a provider its words may still tell it, but not its codes.
        None => (!row.common && !row.pattern.is_empty()).then_some(false),
    }
}

/// Returns whether the row is about this kind of failure; `None` when it is about another one.
fn caused(row: &Hint, sought: &Sought<'_>) -> Option<bool> {
    match sought.cause {
        Some(cause) => row
            .cause
            .split(' ')
            .any(|word| word == cause)
            .then_some(true),
        None if row.cause.is_empty() => Some(false),
        // A text without a code may tell of a connection, as logs do.
        None => (!row.pattern.is_empty() && (sought.code.is_none() || !row.codes.reply.is_empty()))
            .then_some(false),
    }
}

/// What the codes of the row weigh; `None` when they are other ones. A code that is not known
/// contradicts no words.
fn coded(row: &Hint, sought: &Sought<'_>) -> Option<u8> {
    let words = !row.pattern.is_empty();
    let reply = match (row.codes.reply, sought.code) {
        ("", _) => 0,
        (_, None) if words => 0,
        (_, code) => row.codes.reply(code?)?,
    };
    let enhanced = match (row.codes.enhanced, sought.enhanced) {
        ("", _) => 0,
        (_, None) if words => 0,
        (_, code) => {
            let code = code?;
            let general = row.provider.is_empty() && row.codes.reply.is_empty();
            let code = if general && !words {
                pattern::registered(code)
            } else {
                code
            };
            if !row.codes.enhanced(code) {
                return None;
            }
            pattern::weight_of_enhanced(sought.code, code)
        }
    };
    // Both say more than each of them.
    Some(if reply > 1 && enhanced > 0 {
        reply + enhanced
    } else {
        reply.max(enhanced)
    })
}

/// The table's word for a cause; `None` for what has no hint.
fn word(cause: &Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::Refused(_) => "refused",
        Cause::NoSuchHost(_) => "no-such-host",
        Cause::NoAnswer(_) => "no-answer",
        Cause::Unreachable(_) => "unreachable",
        Cause::Proxy(_) => "proxy",
        Cause::Silent(_) => "silent",
        Cause::Lost(_) => "lost",
        Cause::Protocol(_) => "protocol",
        Cause::Scram(_) => "scram",
        Cause::Handshake(_) => "handshake",
        Cause::Distrust(_) => "distrust",
        Cause::TlsSettings(_) => "tls-settings",
        Cause::Lacks(Lacks::Starttls, _) => "lacks-starttls",
        Cause::Lacks(Lacks::Auth, _) => "lacks-auth",
        Cause::Lacks(Lacks::Mechanism, _) => "lacks-mechanism",
        Cause::Lacks(Lacks::Smtputf8, _) => "lacks-smtputf8",
        Cause::Lacks(Lacks::EightBit, _) => "lacks-8bitmime",
        Cause::ClearLogin => "clear-login",
        Cause::TooBig(..) => "too-big",
        Cause::NoSecret(..) => "no-secret",
        Cause::Token(kind, ..) => token(*kind),
        Cause::Program(_, Some(127)) => "not-started",
        Cause::Program(..) => "program",
        Cause::Content(_)
        | Cause::File(_)
        | Cause::Journal(_)
        | Cause::Interrupted(_)
        | Cause::Unsound(_) => {
            return None;
        }
    })
}

fn token(kind: TokenFailure) -> &'static str {
    match kind {
        TokenFailure::SignIn => "token-sign-in",
        TokenFailure::Denied => "token-denied",
        TokenFailure::Settings => "token-settings",
        TokenFailure::Temporary => "token-temporary",
        TokenFailure::Protocol => "token-protocol",
        TokenFailure::File => "token-file",
    }
}

/// What was said: by the server, by the TLS library, by the system.
fn said(cause: &Cause) -> Cow<'_, str> {
    match cause {
        Cause::Refused(reply) => reply.text().into(),
        Cause::Unreachable(tried) => unreachable(tried).into(),
        Cause::Distrust(distrust) => distrust.reason.as_str().into(),
        Cause::NoSuchHost(why)
        | Cause::NoAnswer(why)
        | Cause::Proxy(why)
        | Cause::Lost(why)
        | Cause::Protocol(why)
        | Cause::Handshake(why)
        | Cause::TlsSettings(why)
        | Cause::Lacks(_, why)
        | Cause::NoSecret(why, _)
        | Cause::Token(_, _, why)
        | Cause::Program(why, _) => why.as_str().into(),
        _ => "".into(),
    }
}

/// Every address that was tried, with the reason. Where there was an IPv4 address, a machine
/// without IPv6 is not the trouble, and what happened to IPv4 tells it.
fn unreachable(tried: &[(String, String)]) -> String {
    let any_v4 = tried.iter().any(|(address, _)| !address.starts_with('['));
    let mut text = String::new();
    for (address, why) in tried {
        if !(any_v4 && address.starts_with('[') && why.contains("network is unreachable")) {
            text.extend([address, ": ", why, "; "]);
        }
    }
    text
}
