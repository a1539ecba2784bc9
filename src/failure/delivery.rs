//! The words for what became of a mail, and the exit status that sums it up.
//!
//! Promise: what the server said comes first and as it came, then what it means, then what to do,
//! in at most three lines.
use super::messages;
use super::{Exit, Failure};
use crate::delivery::{Cause, Class, Fault, Lacks, Reply, Report, ScramError, Stage, TokenFailure};
use crate::hints::{self, Classifier, Hint};
use crate::language::{Language, Sentence};
use crate::oauth::TokenError;
use crate::settings::{Settings, author};
use crate::text;

/// The most lines of what to do.
const MOST_LINES: usize = 3;

/// The language in which failures are explained with these settings.
pub(crate) fn language(settings: &Settings) -> Language {
    Language::of(&settings.locale())
}

/// What the words for a fault depend on beside the fault.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    via: &'a str,
    settings: &'a Settings,
    language: Language,
}

impl<'a> Context<'a> {
    /// What an attempt depends on that went by this route, in the words of a user.
    pub(crate) fn new(via: &'a str, settings: &'a Settings) -> Self {
        Context {
            via,
            settings,
            language: language(settings),
        }
    }
}

/// A fault that is explained by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Explained {
    /// What went wrong, on one line.
    pub text: String,
    /// What is known of it.
    pub hint: Option<&'static Hint>,
    /// What to do, each on a line of its own.
    pub lines: Vec<String>,
}

/// Explains one fault without a headline.
pub(crate) fn explain(fault: &Fault, context: &Context<'_>) -> Explained {
    let hint = hints::of(fault);
    let text = on_one_line(fault, context.language);
    let text = match (&fault.cause, hint) {
        // Only the headline would name what is missing.
        (Cause::Lacks(..), Some(hint)) => format!("{}; {text}", hint.meaning(context.language)),
        _ => text,
    };
    let failure = account_for_faults(std::slice::from_ref(fault), context);
    let hints = failure.map_or_else(Vec::new, |failure| failure.hints);
    let lines = hints.iter().flat_map(|hint| hint.lines());
    Explained {
        text,
        hint,
        lines: lines.map(str::to_owned).collect(),
    }
}

/// Says why there is no access token, outside of a session.
pub(crate) fn without_token(error: &TokenError, account: &str, settings: &Settings) -> Failure {
    let cause = Cause::Token(error.kind, account.to_owned(), error.why.clone());
    let fault = Classifier::default().classify(Fault::new(Stage::Login, cause));
    let context = Context::new("", settings);
    let explained = explain(&fault, &context);
    let mut failure = Failure::new(exit_of(&fault), explained.text);
    if let Some(hint) = explained.hint {
        failure = failure.fact(context.meaning(&fault, hint, false));
    }
    with_remedy(failure, explained.lines)
}

/// A fault, and the recipient that it struck.
struct Failed<'a> {
    recipient: &'a str,
    fault: &'a Fault,
}

/// How many of those who were refused are named.
const MOST_TOLD: usize = 20;

/// Sums a report up: `None` when every recipient was accepted.
pub(crate) fn account_for(report: &Report, settings: &Settings) -> Option<Failure> {
    let failed: Vec<Failed<'_>> = report
        .recipients
        .iter()
        .filter_map(|result| {
            Some(Failed {
                recipient: &result.recipient,
                fault: result.outcome.as_ref().err()?,
            })
        })
        .collect();
    Context::new(&report.via, settings).summary(&failed, report.recipients.len())
}

/// Sums up the faults that a rehearsal ended with, as a send would: `None` without any.
pub(crate) fn account_for_faults(faults: &[Fault], context: &Context<'_>) -> Option<Failure> {
    let struck = |fault| Failed {
        recipient: "",
        fault,
    };
    let failed: Vec<Failed<'_>> = faults.iter().map(struck).collect();
    context.summary(&failed, failed.len())
}

impl Context<'_> {
    /// The failure of an attempt for so many recipients.
    fn summary(&self, failed: &[Failed<'_>], all: usize) -> Option<Failure> {
        let first = failed.first()?.fault;
        let exit = exit(failed);
        let sent = all - failed.len();
        let same = failed.iter().all(|one| one.fault == first);
        Some(if sent == 0 && same && first.stage != Stage::Recipient {
            self.for_all(first, exit)
        } else {
            self.for_some(failed, sent, all, exit)
        })
    }

    fn say(&self, sentence: Sentence, parts: &[&str]) -> String {
        sentence.say(self.language, parts)
    }

    /// Recipients that fared differently, or that were refused themselves.
    fn for_some(&self, failed: &[Failed<'_>], sent: usize, all: usize, exit: Exit) -> Failure {
        let via = self.via;
        let what = match (sent, all) {
            (0, 1) => self.say(messages::RECIPIENT, &[via]),
            (0, all) => self.say(messages::RECIPIENTS, &[via, &all.to_string()]),
            (sent, all) => self.say(
                messages::SENT_TO_SOME,
                &[&sent.to_string(), &all.to_string(), via],
            ),
        };
        let mut failure = Failure::new(exit, what);
        for one in failed.iter().take(MOST_TOLD) {
            failure = failure.fact(format!(
                "{}: {}",
                one.recipient,
                cause(&one.fault.cause, self.language)
            ));
        }
        if let Some(more) = failed.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
            failure = failure.fact(self.say(messages::MORE_RECIPIENTS, &[&more.to_string()]));
        }
        let mut distinct: Vec<(&Fault, &'static Hint)> = Vec::new();
        for Failed { fault, .. } in failed {
            if let Some(hint) = hints::of(fault)
                && !distinct.iter().any(|(_, known)| known.id == hint.id)
            {
                distinct.push((fault, hint));
            }
        }
        for (fault, hint) in &distinct {
            failure = failure.fact(self.meaning(fault, hint, distinct.len() > 1));
        }
        if failed.iter().any(|one| one.fault.in_doubt) {
            failure = failure.fact(self.say(messages::PERHAPS_OTHERS, &[]));
        }
        let lines = distinct.iter().map(|(fault, hint)| {
            match fault.reply().filter(|_| distinct.len() > 1) {
                Some(reply) => format!("{}: {}", codes(reply), hint.action(self.language)),
                None => hint.action(self.language).to_owned(),
            }
        });
        with_remedy(failure, lines.collect())
    }

    /// What a hint says of a fault; `full`: with all codes, as others have some too.
    fn meaning(&self, fault: &Fault, hint: &Hint, full: bool) -> String {
        let meaning = hint.meaning(self.language);
        match fault.reply() {
            Some(reply) if full => self.say(messages::MEANS, &[&codes(reply), meaning]),
            Some(reply) => self.say(messages::MEANS, &[&reply.code.to_string(), meaning]),
            None => self.say(messages::THIS_MEANS, &[meaning]),
        }
    }
}

/// The codes of a reply as the server writes them.
fn codes(reply: &Reply) -> String {
    reply.enhanced.map_or_else(
        || reply.code.to_string(),
        |enhanced| format!("{} {enhanced}", reply.code),
    )
}

/// What to do, in so many lines at most.
fn with_remedy(failure: Failure, mut lines: Vec<String>) -> Failure {
    lines.truncate(MOST_LINES);
    if lines.is_empty() {
        failure
    } else {
        failure.hint(lines.join("\n"))
    }
}

/// The one status for all faults: the common one, else 69 for a mixture.
fn exit(failed: &[Failed<'_>]) -> Exit {
    let mut codes: Vec<Exit> = failed.iter().map(|one| exit_of(one.fault)).collect();
    codes.dedup();
    match codes.as_slice() {
        [one] => *one,
        many if many.contains(&Exit::PROTOCOL) => Exit::PROTOCOL,
        many => many
            .iter()
            .copied()
            .find(|e| e.0 >= 128)
            .unwrap_or(Exit::REFUSED),
    }
}

fn exit_of(fault: &Fault) -> Exit {
    if fault.in_doubt {
        return Exit::PROTOCOL;
    }
    match &fault.cause {
        Cause::Interrupted(signal) => {
            Exit(128_u8.saturating_add(u8::try_from(*signal).unwrap_or(2)))
        }
        Cause::Protocol(_) | Cause::Scram(_) => Exit::PROTOCOL,
        Cause::NoSuchHost(_) => Exit::NO_HOST,
        Cause::Distrust(_) | Cause::NoSecret(_, false) | Cause::ClearLogin => Exit::PERMISSION,
        Cause::Token(kind, ..) => of_token(*kind),
        Cause::TlsSettings(_) => Exit::CONFIG,
        Cause::Content(_) => Exit::DATA,
        Cause::File(_) => Exit::IO,
        Cause::Unsound(_) => Exit::SOFTWARE,
        Cause::Program(_, Some(status)) if (64..=78).contains(status) => {
            Exit(u8::try_from(*status).unwrap_or(69))
        }
        Cause::Refused(reply) if fault.class() == Class::Permanent => match fault.stage {
            Stage::Login => Exit::PERMISSION,
            Stage::Recipient if is_unknown(reply) => Exit::NO_USER,
            _ => Exit::REFUSED,
        },
        _ if fault.class() == Class::Temporary => Exit::TEMPORARY,
        _ => Exit::REFUSED,
    }
}

fn of_token(kind: TokenFailure) -> Exit {
    match kind {
        TokenFailure::SignIn | TokenFailure::Denied | TokenFailure::File => Exit::PERMISSION,
        TokenFailure::Settings => Exit::CONFIG,
        TokenFailure::Temporary => Exit::TEMPORARY,
        TokenFailure::Protocol => Exit::PROTOCOL,
    }
}

/// x.1.x, but for the codes that speak of the sender (RFC 3463 section 3.2: x.1.7 and x.1.8).
fn is_unknown(reply: &Reply) -> bool {
    reply
        .enhanced
        .is_some_and(|e| e.1 == 1 && !matches!(e.2, 7 | 8))
}

impl Context<'_> {
    /// One fault that struck every recipient.
    fn for_all(&self, fault: &Fault, exit: Exit) -> Failure {
        let mut failure = Failure::new(exit, self.headline(fault));
        match &fault.cause {
            Cause::Refused(reply) => {
                for line in &*reply.lines {
                    failure = failure
                        .fact(self.say(messages::SERVER, &[&format!("{} {line}", reply.code)]));
                }
            }
            Cause::Unreachable(tried) => {
                for (address, why) in tried {
                    failure = failure.fact(format!("{address}: {why}"));
                }
            }
            other => failure = failure.fact(cause(other, self.language)),
        }
        let hint = hints::of(fault);
        if let Some(hint) = hint.filter(|_| !fault.in_doubt && !is_plain(&fault.cause)) {
            failure = failure.fact(self.meaning(fault, hint, false));
        }
        if fault.in_doubt {
            failure = failure.fact(self.say(messages::PERHAPS, &[]));
        }
        for fact in self.whose(fault) {
            failure = failure.fact(fact);
        }
        with_remedy(failure, self.lines(fault, hint))
    }

    fn headline(&self, fault: &Fault) -> String {
        let via = self.via;
        let user = author::login_name(self.settings);
        if let (Some(user), false, Stage::Login, None) =
            (&user, fault.in_doubt, fault.stage, always(&fault.cause))
        {
            return self.say(messages::LOGIN_AS, &[via, user]);
        }
        self.say(headline(fault), &[via])
    }

    /// Whose setting it was: the account, and where the value at fault was said.
    fn whose(&self, fault: &Fault) -> Vec<String> {
        let names = at_fault(fault);
        let account = self.settings.account.iter().filter(|_| !names.is_empty());
        let account = account.map(|name| self.say(messages::ACCOUNT, &[name]));
        let origin = |name: &&'static str| {
            Some(self.say(
                messages::SET_IN,
                &[name, &self.settings.origin(name)?.to_string()],
            ))
        };
        account.chain(names.iter().filter_map(origin)).collect()
    }

    /// The way out: what is known, and what these settings and this server add to it; never "turn
    /// verification off" first.
    fn lines(&self, fault: &Fault, hint: Option<&Hint>) -> Vec<String> {
        let mut lines: Vec<String> = hint
            .iter()
            .map(|hint| hint.action(self.language).to_owned())
            .collect();
        if let Cause::Distrust(distrust) = &fault.cause {
            if hint.is_none() {
                lines.push(self.say(messages::PRIVATE_CA, &[]));
            }
            lines.extend(
                distrust
                    .fingerprint
                    .as_ref()
                    .map(|print| self.say(messages::PIN, &[print])),
            );
        }
        if let Cause::Token(TokenFailure::SignIn | TokenFailure::Denied, account, _) = &fault.cause
        {
            let account = match account.as_str() {
                "" => String::new(),
                account => format!(" {}", text::word(account)),
            };
            lines.insert(0, self.say(messages::SIGN_IN, &[&account]));
        }
        if matches!(fault.cause, Cause::Unsound(_)) {
            lines.push(self.say(messages::REPORT_IT, &[]));
        }
        if is_refused_login(fault) {
            let said = hint.map_or("", |hint| hint.action(Language::English));
            lines.extend(
                self.settings
                    .preset
                    .as_ref()
                    .and_then(|preset| preset.credential_beyond(said)),
            );
        }
        lines
    }
}

/// The login was refused, or is what the server wants first.
fn is_refused_login(fault: &Fault) -> bool {
    match (fault.reply(), fault.stage) {
        (Some(_), Stage::Login) => true,
        (Some(reply), Stage::Sender) => matches!(reply.code, 530 | 535 | 538),
        _ => false,
    }
}

/// Returns whether the headline and the cause say already what it means.
fn is_plain(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::NoSuchHost(_)
            | Cause::NoAnswer(_)
            | Cause::Distrust(_)
            | Cause::TlsSettings(_)
            | Cause::Lacks(..)
            | Cause::ClearLogin
            | Cause::TooBig(..)
            | Cause::NoSecret(..)
            | Cause::Token(..)
    )
}

/// The headline of causes that have the same at every stage.
fn always(cause: &Cause) -> Option<Sentence> {
    Some(match cause {
        Cause::Interrupted(_) => messages::INTERRUPTED,
        Cause::Content(_) => messages::UNREADABLE,
        Cause::TooBig(..) => messages::TOO_LARGE,
        Cause::Program(..) => messages::PROGRAM,
        Cause::File(_) => messages::FILE,
        Cause::Journal(_) => messages::JOURNAL,
        Cause::Unsound(_) => messages::UNSOUND,
        Cause::Lacks(Lacks::Starttls, _) => messages::NO_STARTTLS,
        Cause::Lacks(Lacks::Auth, _) => messages::NO_AUTH,
        Cause::Lacks(Lacks::Mechanism, _) => messages::NO_MECHANISM,
        Cause::Lacks(Lacks::Smtputf8, _) => messages::NO_SMTPUTF8,
        Cause::Lacks(Lacks::EightBit, _) => messages::NO_8BITMIME,
        _ => return None,
    })
}

fn headline(fault: &Fault) -> Sentence {
    if fault.in_doubt {
        return messages::IN_DOUBT;
    }
    if let Some(sentence) = always(&fault.cause) {
        return sentence;
    }
    let refused = matches!(fault.cause, Cause::Refused(_));
    match fault.stage {
        Stage::Prepare => messages::PREPARE,
        Stage::Resolve => messages::RESOLVE,
        Stage::Connect => messages::CONNECT,
        Stage::Greeting if refused => messages::TURNED_AWAY,
        Stage::Greeting => messages::NO_GREETING,
        Stage::Hello => messages::HELLO,
        Stage::Tls if matches!(fault.cause, Cause::Distrust(_)) => messages::DISTRUST,
        Stage::Tls => messages::TLS,
        Stage::Login => messages::LOGIN,
        Stage::Sender if refused => messages::SENDER,
        Stage::Sender | Stage::Recipient => messages::ENVELOPE,
        Stage::Data | Stage::Content if refused => messages::MESSAGE,
        Stage::Data | Stage::Content => messages::MESSAGE_LOST,
    }
}

/// A fault on one line, for lists and journals, in English.
pub(crate) fn one_line(fault: &Fault) -> String {
    on_one_line(fault, Language::English)
}

/// A fault on one line, for people.
pub(crate) fn on_one_line(fault: &Fault, language: Language) -> String {
    text::short(
        &cause(&fault.cause, language)
            .lines()
            .collect::<Vec<_>>()
            .join("; "),
    )
}

/// What went wrong, in words.
fn cause(cause: &Cause, language: Language) -> String {
    let say = |sentence: Sentence, parts: &[&str]| sentence.say(language, parts);
    match cause {
        Cause::Refused(reply) => text::short(&reply.text()),
        Cause::NoSuchHost(name) => say(messages::NO_HOST, &[name]),
        Cause::NoAnswer(why) => say(messages::NO_ANSWER, &[why]),
        Cause::Unreachable(tried) => tried
            .iter()
            .map(|(a, w)| format!("{a}: {w}"))
            .collect::<Vec<_>>()
            .join("; "),
        Cause::Proxy(why) => say(messages::PROXY, &[why]),
        Cause::Token(_, account, why) if account.is_empty() => say(messages::TOKEN_DEFAULT, &[why]),
        Cause::Token(_, account, why) => say(messages::TOKEN, &[account, why]),
        Cause::Silent(time) => say(messages::SILENT, &[&time.as_secs_f64().to_string()]),
        Cause::Lost(why) => say(messages::LOST, &[why]),
        Cause::Protocol(why) => say(messages::PROTOCOL, &[&text::short(why)]),
        Cause::Scram(error) => scram(*error, language),
        Cause::Handshake(why) => say(messages::HANDSHAKE, &[why]),
        Cause::Distrust(distrust) => match &distrust.fingerprint {
            Some(fingerprint) => format!(
                "{}\n{}",
                distrust.reason,
                say(messages::FINGERPRINT, &[fingerprint])
            ),
            None => distrust.reason.clone(),
        },
        Cause::TlsSettings(why)
        | Cause::File(why)
        | Cause::NoSecret(why, _)
        | Cause::Content(why) => why.clone(),
        Cause::Lacks(_, offered) if offered.is_empty() => say(messages::OFFERS_NOTHING, &[]),
        Cause::Lacks(_, offered) => say(messages::OFFERS, &[offered]),
        Cause::ClearLogin => say(messages::CLEAR_LOGIN, &[]),
        Cause::TooBig(size, limit) => {
            say(messages::SIZES, &[&size.to_string(), &limit.to_string()])
        }
        Cause::Journal(why) => say(messages::ITS_JOURNAL, &[why]),
        Cause::Program(said, None) => said.clone(),
        Cause::Program(said, Some(status)) => {
            let status = say(messages::STATUS, &[&status.to_string()]);
            if said.is_empty() {
                status
            } else {
                format!("{said}\n{status}")
            }
        }
        Cause::Interrupted(signal) => say(messages::SIGNAL, &[&signal.to_string()]),
        Cause::Unsound(what) => what.clone(),
    }
}

/// How a server did not keep to SCRAM, in words.
fn scram(error: ScramError, language: Language) -> String {
    match error {
        ScramError::NoSignature => messages::NO_SIGNATURE.say(language, &[]),
        ScramError::Signature => messages::SIGNATURE.say(language, &[]),
        ScramError::Nonce => messages::NONCE.say(language, &[]),
        ScramError::Iterations(count) => messages::ITERATIONS.say(language, &[&count.to_string()]),
        ScramError::Extension => messages::EXTENSION.say(language, &[]),
        ScramError::Message => messages::SCRAM_MESSAGE.say(language, &[]),
    }
}

/// The settings that may be at fault.
fn at_fault(fault: &Fault) -> &'static [&'static str] {
    match (&fault.cause, fault.stage) {
        (
            Cause::Interrupted(_)
            | Cause::Content(_)
            | Cause::File(_)
            | Cause::Journal(_)
            | Cause::Unsound(_),
            _,
        ) => &[],
        (Cause::TlsSettings(_), _) => &[
            "tls-ca-file",
            "tls-ca-dir",
            "tls-cert",
            "tls-key",
            "tls-key-password-command",
        ],
        (Cause::Proxy(_), _) => &["proxy"],
        (_, Stage::Login) => &[
            "auth-user",
            "auth-password",
            "auth-password-file",
            "auth-password-command",
        ],
        (Cause::Handshake(_), _) => &["smtp", "connect-to", "proxy", "tls", "tls-min-version"],
        (_, Stage::Sender) => &["from"],
        (_, Stage::Resolve | Stage::Connect | Stage::Greeting | Stage::Tls | Stage::Prepare) => {
            &["smtp", "mta", "connect-to", "proxy", "tls"]
        }
        (_, Stage::Hello) => &["hello-name", "hostname"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::settings::Layers;

    #[test]
    fn what_a_last_guard_found_is_called_a_mistake_of_smail() {
        let args = crate::cli::parse(
            ["smail", "-n", "-S", "smtp=h.example"].map(std::ffi::OsString::from),
        )
        .unwrap();
        let settings = Layers::load(&args, &Environment::default())
            .unwrap()
            .resolve(&[])
            .unwrap();
        let why = "the command RCPT contains the byte 0x0a".to_owned();
        let outcome = Err(Fault::new(Stage::Prepare, Cause::Unsound(why)));
        let report = Report::uniform(
            "h.example:25 (STARTTLS)".into(),
            ["a@x", "b@x"].into_iter(),
            &outcome,
        );
        let failure = account_for(&report, &settings).unwrap();
        assert_eq!(failure.exit, Exit::SOFTWARE);
        assert_eq!(
            failure.text(),
            "smail: smail generated an invalid command; nothing was sent\n  the command RCPT contains the byte 0x0a\n\n\
             hint: this is a bug in smail; please report it with the command that caused it\n"
        );
    }
}
