//! The words for what became of a mail, and the exit status that sums it up.
use std::collections::BTreeSet;

use super::{Exit, Failure};
use crate::delivery::{Cause, Class, Fate, Fault, Lacks, Reply, Report, Stage};
use crate::settings::{Settings, author};

/// The plain meaning of the reply codes people meet (the 18 of the source document, and what else a sender sees).
const MEANINGS: &[(u16, &str)] = &[
    (421, "the server is closing down or has too much to do; try again later"),
    (432, "the server wants the password to be changed or renewed first"),
    (450, "the mailbox cannot be used just now: busy, or greylisted; try again in some minutes"),
    (451, "the server had a trouble of its own; try again later"),
    (452, "the server is short of room, or got too many recipients at once; try again later"),
    (454, "TLS or the login is not available just now; try again later"),
    (500, "the server does not know the command"),
    (501, "the server does not accept the form of an address or a parameter"),
    (502, "the server does not do this command"),
    (503, "the server wanted another command first, often a login"),
    (504, "the server does not do this in the form that was asked for"),
    (521, "this host does not take mail at all"),
    (523, "the message is larger than the server takes"),
    (530, "the server wants TLS or a login first"),
    (534, "this way to log in is not allowed; providers often want an app password"),
    (
        535,
        "user name or password are not accepted; many providers want an app password or authorization code, not the web password",
    ),
    (538, "the server takes a login only over TLS"),
    (550, "the mailbox does not exist there, or this mail is not allowed to reach it"),
    (551, "the user is not here, and the server does not forward"),
    (552, "the message is too large, or the mailbox is full"),
    (553, "the server does not allow this address; often the From address must be that of the login"),
    (554, "the server refused the whole mail: often taken for spam, or the sender is not allowed"),
    (555, "the server does not know a parameter of MAIL or RCPT"),
    (556, "the domain takes no mail"),
];

/// How many of those who were refused are named.
const MOST_TOLD: usize = 20;

/// Sums a report up: `None` when every recipient was accepted.
pub fn account_for(report: &Report, settings: &Settings) -> Option<Failure> {
    let failed: Vec<(&Fate, &Fault)> =
        report.fates.iter().filter_map(|f| Some((f, f.outcome.as_ref().err()?))).collect();
    let (_, first) = *failed.first()?;
    let exit = exit(&failed);
    let sent = report.fates.len() - failed.len();
    if sent == 0 && failed.iter().all(|(_, f)| *f == first) && first.stage != Stage::Recipient {
        return Some(for_all(report, first, exit, settings));
    }
    let what = match (sent, report.fates.len()) {
        (0, 1) => format!("{} refuses the recipient; nothing was sent", report.via),
        (0, all) => format!("{} refuses all {all} recipients; nothing was sent", report.via),
        (sent, all) => format!("sent to {sent} of {all} recipients by {}", report.via),
    };
    let mut failure = Failure::new(exit, what);
    for (fate, fault) in failed.iter().take(MOST_TOLD) {
        failure = failure.fact(format!("{}: {}", fate.recipient, cause(&fault.cause)));
    }
    if failed.len() > MOST_TOLD {
        let more = failed.len() - MOST_TOLD;
        failure = failure.fact(format!("and {more} more; --json tells of every recipient"));
    }
    let codes: BTreeSet<u16> = failed.iter().filter_map(|(_, f)| f.reply().map(|r| r.code)).collect();
    for (code, meaning) in MEANINGS.iter().filter(|(code, _)| codes.contains(code)) {
        failure = failure.fact(format!("{code} means: {meaning}"));
    }
    if failed.iter().any(|(_, f)| f.in_doubt) {
        failure = failure.fact("the connection was lost after the message: it may have been accepted for the others");
    }
    Some(failure)
}

/// The one status for all faults: the common one, else 69 for a mixture.
fn exit(failed: &[(&Fate, &Fault)]) -> Exit {
    let mut codes: Vec<Exit> = failed.iter().map(|(_, fault)| exit_of(fault)).collect();
    codes.dedup();
    match codes.as_slice() {
        [one] => *one,
        many if many.contains(&Exit::PROTOCOL) => Exit::PROTOCOL,
        many => many.iter().copied().find(|e| e.0 >= 128).unwrap_or(Exit::REFUSED),
    }
}

fn exit_of(fault: &Fault) -> Exit {
    if fault.in_doubt {
        return Exit::PROTOCOL;
    }
    match &fault.cause {
        Cause::Interrupted(signal) => Exit(128_u8.saturating_add(u8::try_from(*signal).unwrap_or(2))),
        Cause::Protocol(_) => Exit::PROTOCOL,
        Cause::NoSuchHost(_) => Exit::NO_HOST,
        Cause::Distrust(_) | Cause::NoSecret(_, false) | Cause::ClearLogin => Exit::PERMISSION,
        Cause::TlsSettings(_) => Exit::CONFIG,
        Cause::Content(_) => Exit::DATA,
        Cause::File(_) => Exit::IO,
        Cause::Program(_, Some(status)) if (64..=78).contains(status) => Exit(u8::try_from(*status).unwrap_or(69)),
        Cause::Refused(reply) if fault.class() == Class::Permanent => match fault.stage {
            Stage::Login => Exit::PERMISSION,
            Stage::Recipient if is_unknown(reply) => Exit::NO_USER,
            _ => Exit::REFUSED,
        },
        _ if fault.class() == Class::Temporary => Exit::TEMPORARY,
        _ => Exit::REFUSED,
    }
}

/// x.1.x, but for the codes that speak of the sender (RFC 3463 section 3.2: x.1.7 and x.1.8).
fn is_unknown(reply: &Reply) -> bool {
    reply.enhanced.is_some_and(|e| e.1 == 1 && !matches!(e.2, 7 | 8))
}

/// One fault that struck every recipient.
fn for_all(report: &Report, fault: &Fault, exit: Exit, settings: &Settings) -> Failure {
    let mut failure = Failure::new(exit, headline(report, fault, settings));
    match &fault.cause {
        Cause::Refused(reply) => {
            for line in &reply.lines {
                failure = failure.fact(format!("server: {} {line}", reply.code));
            }
            if let Some((code, meaning)) = MEANINGS.iter().find(|(code, _)| *code == reply.code) {
                failure = failure.fact(format!("{code} means: {meaning}"));
            }
        }
        Cause::Unreachable(tried) => {
            for (address, why) in tried {
                failure = failure.fact(format!("{address}: {why}"));
            }
        }
        other => failure = failure.fact(cause(other)),
    }
    if fault.in_doubt {
        failure = failure.fact("it may have been accepted: sending it again could deliver it twice");
    }
    for fact in whose(fault, settings) {
        failure = failure.fact(fact);
    }
    hints(fault, settings).into_iter().fold(failure, Failure::hint)
}

fn headline(report: &Report, fault: &Fault, settings: &Settings) -> String {
    let via = &report.via;
    if fault.in_doubt {
        return format!("the connection to {via} was lost before it confirmed the message");
    }
    let user = author::login_name(settings).map_or_else(String::new, |u| format!(" as {u}"));
    match (&fault.cause, fault.stage) {
        (Cause::Interrupted(_), _) => "interrupted; nothing was sent".to_owned(),
        (Cause::Content(_), _) => "the message could not be read to its end; nothing was sent".to_owned(),
        (Cause::TooBig(..), _) => format!("the message is too large for {via}; nothing was sent"),
        (Cause::Program(..), _) => format!("{via} did not take the mail"),
        (Cause::File(_), _) => format!("{via} cannot be written"),
        (Cause::Ledger(_), _) => "the journal of the mail cannot be written; nothing was sent".to_owned(),
        (Cause::Lacks(lacks, _), _) => lacking(*lacks, via),
        (_, Stage::Prepare) => format!("nothing can be sent by {via}"),
        (_, Stage::Resolve) => format!("cannot find the server {via}"),
        (_, Stage::Connect) => format!("cannot connect to {via}"),
        (Cause::Refused(_), Stage::Greeting) => format!("{via} turns this host away"),
        (_, Stage::Greeting) => format!("{via} gave no greeting of a mail server"),
        (_, Stage::Hello) => format!("{via} does not accept the EHLO"),
        (Cause::Distrust(_), _) => format!("the certificate of {via} is not trusted; nothing was sent"),
        (_, Stage::Tls) => format!("cannot start TLS with {via}"),
        (_, Stage::Login) => format!("cannot log in to {via}{user}"),
        (Cause::Refused(_), Stage::Sender) => format!("{via} refuses the sender; nothing was sent"),
        (_, Stage::Sender | Stage::Recipient) => format!("{via} did not take sender and recipients; nothing was sent"),
        (Cause::Refused(_), Stage::Data | Stage::Content) => format!("{via} refuses the message"),
        (_, Stage::Data | Stage::Content) => format!("{via} did not take the message"),
    }
}

fn lacking(lacks: Lacks, via: &str) -> String {
    match lacks {
        Lacks::Starttls => format!("{via} does not offer TLS (STARTTLS); nothing was sent"),
        Lacks::Auth => format!("{via} does not offer a login (AUTH); nothing was sent"),
        Lacks::Mechanism => format!("{via} offers no login that can be used; nothing was sent"),
        Lacks::Smtputf8 => format!("{via} cannot carry addresses beyond ASCII (no SMTPUTF8); nothing was sent"),
        Lacks::EightBit => format!("{via} cannot carry this message (no 8BITMIME); nothing was sent"),
    }
}

/// A fault on one line, for lists and journals.
pub fn one_line(fault: &Fault) -> String {
    cause(&fault.cause).lines().collect::<Vec<_>>().join("; ")
}

/// What went wrong, in words.
fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Refused(reply) => reply.text(),
        Cause::NoSuchHost(name) => format!("there is no host called {name}"),
        Cause::NoAnswer(why) => format!("the name cannot be looked up now: {why}"),
        Cause::Unreachable(tried) => tried.iter().map(|(a, w)| format!("{a}: {w}")).collect::<Vec<_>>().join("; "),
        Cause::Proxy(why) => format!("proxy: {why}"),
        Cause::Silent(time) => format!("no complete answer within {} s", time.as_secs_f64()),
        Cause::Lost(why) => format!("the connection ended: {why}"),
        Cause::Protocol(why) => format!("the server broke the protocol: {why}"),
        Cause::Handshake(why) => format!("the TLS handshake failed: {why}"),
        Cause::Distrust(distrust) => match &distrust.fingerprint {
            Some(fingerprint) => format!("{}\nits SHA-256 is {fingerprint}", distrust.reason),
            None => distrust.reason.clone(),
        },
        Cause::TlsSettings(why) | Cause::File(why) | Cause::NoSecret(why, _) | Cause::Content(why) => why.clone(),
        Cause::Lacks(_, offered) if offered.is_empty() => "it offers nothing beyond plain SMTP".to_owned(),
        Cause::Lacks(_, offered) => format!("it offers: {offered}"),
        Cause::ClearLogin => "without TLS the password would travel in clear".to_owned(),
        Cause::TooBig(size, limit) => format!("it has {size} octets, and the server takes {limit}"),
        Cause::Ledger(why) => format!("its journal: {why}"),
        Cause::Program(said, Some(status)) if said.is_empty() => format!("exit status {status}"),
        Cause::Program(said, Some(status)) => format!("{said}\nexit status {status}"),
        Cause::Program(said, None) => said.clone(),
        Cause::Interrupted(signal) => format!("signal {signal}"),
    }
}

/// Whose setting it was: the account, and where the value at fault was said.
fn whose(fault: &Fault, settings: &Settings) -> Vec<String> {
    let names: &[&'static str] = match (&fault.cause, fault.stage) {
        (Cause::Interrupted(_) | Cause::Content(_) | Cause::File(_) | Cause::Ledger(_), _) => &[],
        (Cause::TlsSettings(_), _) => &["tls-ca-file", "tls-ca-dir", "tls-cert", "tls-key"],
        (Cause::Proxy(_), _) => &["proxy"],
        (_, Stage::Login) => &["auth-user", "auth-password", "auth-password-file", "auth-password-command"],
        (_, Stage::Sender) => &["from"],
        (_, Stage::Resolve | Stage::Connect | Stage::Greeting | Stage::Tls | Stage::Prepare) => {
            &["smtp", "mta", "connect-to", "tls"]
        }
        (_, Stage::Hello) => &["hello-name", "hostname"],
        _ => &[],
    };
    let account = settings.account.iter().filter(|_| !names.is_empty()).map(|name| format!("account: {name}"));
    let origins = names.iter().filter_map(|name| Some(format!("{name}: said in {}", settings.origin(name)?)));
    account.chain(origins).collect()
}

/// The way out, where the cause alone tells it; never "turn verification off" first.
fn hints(fault: &Fault, settings: &Settings) -> Vec<String> {
    let one = |text: &str| vec![text.to_owned()];
    match (&fault.cause, fault.stage) {
        (Cause::Distrust(distrust), _) => match &distrust.fingerprint {
            Some(fingerprint) => vec![
                "if the server has a private CA, name it with tls-ca-file".to_owned(),
                format!("to trust this one certificate: tls-fingerprint = \"{fingerprint}\""),
            ],
            None => one("if the server has a private CA, name it with tls-ca-file"),
        },
        (Cause::NoSuchHost(_), _) => one("is the name in `smtp` spelled right?"),
        (Cause::Unreachable(_), _) => {
            one("is the port right? many networks block port 25; 465 and 587 are for sending")
        }
        (Cause::Lacks(Lacks::Starttls, _), _) => {
            one("port 465 with smtps:// speaks TLS at once; tls = \"none\" sends without")
        }
        (Cause::Lacks(Lacks::Auth, _), _) => {
            one("many servers offer a login only after TLS, or on port 587 only; auth = \"none\" sends without")
        }
        (Cause::Lacks(Lacks::Mechanism, _), _) => one("leave `auth` out to use what the server offers"),
        (Cause::ClearLogin, _) => {
            one("use smtps:// or tls = \"starttls\"; auth-in-clear = true allows it all the same")
        }
        (Cause::Refused(reply), Stage::Login) if reply.code == 535 => preset_hint(settings),
        (Cause::Refused(reply), Stage::Sender) if reply.code == 530 => one("set auth-user and auth-password"),
        (Cause::NoSecret(..), _) => one("set auth-password-file, auth-password-command or $SMAIL_AUTH_PASSWORD"),
        _ => Vec::new(),
    }
}

fn preset_hint(settings: &Settings) -> Vec<String> {
    settings
        .preset
        .iter()
        .filter(|p| !p.credential_hint.is_empty())
        .map(|p| format!("{}: {}", p.name, p.credential_hint))
        .collect()
}
