//! The road of `--check`: the settings of a send, its way rehearsed, and a report in place of a
//! mail.
//!
//! Promise: nothing is sent, queued, recorded or logged; the exit status is that of a send with
//! these settings.
use std::sync::mpsc::{self, Sender};
use std::thread;

use crate::address::{Address, Mailbox, parse_list};
use crate::aliases::Local;
use crate::check::{self, Advice, CheckReport, Style, Subject};
use crate::cli::Args;
use crate::delivery::Fault;
use crate::draft::DraftError;
use crate::environment::{self, Environment};
use crate::failure::{self, Exit, Failure};
use crate::message::{Envelope, Message};
use crate::oauth::{Rule, Store};
use crate::route::{Credential, Route, resolve::resolve};
use crate::settings::{Settings, SettingsError, author};
use crate::transport::Event;
use crate::transport::{self, rehearsal};

use super::{print, remarks, terminal::print_coloured};

/// Checks the way of a mail and says what was found.
///
/// # Errors
/// What keeps a mail from having a way at all.
pub(super) fn run(args: &Args, settings: &Settings, env: &Environment) -> Result<Exit, Failure> {
    // A file in the place of an account is an attachment to mailx; here it can only be a mistake.
    if let (Some(_), Some(name)) = (&settings.attachment, &args.account) {
        return Err(
            SettingsError::NoAccount(name.to_string_lossy().into_owned(), Vec::new()).into(),
        );
    }
    let mut author = super::author(settings, &env.user())?;
    let mut sender = author::return_path(settings, &author, &env.user())?;
    if let Some(forced) = author::forced(settings, &author.address) {
        sender = forced.address.clone();
        author = forced;
    }
    let route = resolve(settings, &author)?;
    let mut recipients = recipients(args, settings)?;
    if recipients.is_empty() && !args.to.is_empty() {
        return Ok(dropped(args));
    }
    let own = recipients.is_empty() && matches!(route, Route::Smtp(_));
    if own {
        recipients.push(author.address.clone());
    }
    remarks(args, settings, &settings.warnings);
    let subject = Subject {
        own,
        ..subject(settings, &route, &author, &sender)
    };
    let message = message(&author, sender, recipients);
    Ok(report(args, settings, &route, &message, &subject))
}

/// Nobody is left to ask about, as the aliases want it.
fn dropped(args: &Args) -> Exit {
    let why = DraftError::Dropped.to_string();
    print(&if args.json {
        check::untried(Exit::OK.0, &why)
    } else {
        format!("{why}\n")
    });
    Exit::OK
}

/// The addresses of `--to`, by the rules of a send.
fn recipients(args: &Args, settings: &Settings) -> Result<Vec<Address>, Failure> {
    let mut named = Vec::new();
    for text in &args.to {
        named.extend(parse_list(text).map_err(|error| DraftError::FlagAddress {
            flag: "--to",
            error,
        })?);
    }
    let expanded = settings.aliases.expand(named).map_err(DraftError::from)?;
    let found = Local::new(settings, false).finish(expanded)?;
    Ok(found
        .into_iter()
        .map(|mailbox: Mailbox| mailbox.address)
        .collect())
}

fn subject(settings: &Settings, route: &Route, author: &Mailbox, sender: &Address) -> Subject {
    let login = match route {
        // A netrc may name the user only when somebody logs in.
        Route::Smtp(server) => server
            .login
            .as_ref()
            .map(|login| login.user.clone())
            .filter(|user| !user.is_empty()),
        _ => None,
    };
    let goal = match route {
        Route::Smtp(server) => server
            .socket
            .as_ref()
            .map_or_else(|| server.host.clone(), |s| s.display().to_string()),
        _ => transport::describe(route),
    };
    let now = environment::since_1970().as_secs();
    Subject {
        goal,
        author: author.address.to_string(),
        sender: sender.to_string(),
        login,
        account: settings.account.clone(),
        preset: settings.preset,
        own: false,
        now: i64::try_from(now).unwrap_or(i64::MAX),
        sign_in: sign_in(route, i64::try_from(now).unwrap_or(i64::MAX)),
    }
}

/// The end of the sign-in that a route logs in with, if it is within a week.
fn sign_in(route: &Route, now: i64) -> Option<check::SignIn> {
    let Route::Smtp(server) = route else {
        return None;
    };
    let Credential::Token(account) = &server.login.as_ref()?.credential else {
        return None;
    };
    let (rule, kept) = (account.rule?, Store::new(account).load().ok()??);
    let ends = kept.ends(rule);
    (ends - now <= 7 * 86_400).then_some(check::SignIn {
        ends,
        testing: matches!(rule, Rule::AfterSignIn(_)),
    })
}

/// A mail that is never sent; MAIL names its size.
pub(super) fn message(author: &Mailbox, sender: Address, recipients: Vec<Address>) -> Message {
    let bytes = format!("From: <{}>\r\nSubject: check\r\n\r\n", author.address).into_bytes();
    let envelope = Envelope {
        sender: Some(sender),
        recipients,
        ..Envelope::default()
    };
    Message::from_wire(String::new(), envelope, bytes)
}

fn report(
    args: &Args,
    settings: &Settings,
    route: &Route,
    message: &Message,
    subject: &Subject,
) -> Exit {
    let advise = |fault: &Fault, place: &str| advice(fault, place, settings);
    let mut sheet = CheckReport::new(subject, &advise);
    let look = Style {
        colour: has_colours(),
    };
    let say = |text: &str| {
        if !args.json {
            print_coloured(text);
        }
    };
    say(&sheet.title());
    let context = super::context(args, settings);
    let (tell, told) = mpsc::channel();
    let rehearse = |tell: Sender<Event<'static>>| {
        rehearsal::rehearse(route, message, &context, move |event: Event<'_>| {
            let _ = match event {
                Event::Endpoint(place) => tell.send(Event::Endpoint(place)),
                Event::Step(step) => tell.send(Event::Step(step)),
                _ => Ok(()),
            };
        })
    };
    // The lines come as the steps end, while the next one is under way; without a second thread,
    // when all of them have.
    let (via, faults) = thread::scope(|scope| {
        let from_thread = tell.clone();
        let walk = match thread::Builder::new().spawn_scoped(scope, move || rehearse(from_thread)) {
            Ok(walk) => {
                drop(tell);
                Ok(walk)
            }
            Err(_) => Err(rehearse(tell)),
        };
        for news in told {
            say(&sheet.add(news, look));
        }
        walk.map_or_else(
            |done| done,
            |walk| {
                walk.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            },
        )
    });
    let context = failure::Context::new(&via, settings);
    let exit =
        failure::account_for_faults(&faults, &context).map_or(Exit::OK, |failure| failure.exit);
    say(&sheet.verdict(&via, exit.0));
    if args.json {
        print(&sheet.json(&via, exit.0));
    }
    exit
}

/// The one place where words for a fault come in.
fn advice(fault: &Fault, place: &str, settings: &Settings) -> Advice {
    let found = failure::explain(fault, &failure::Context::new(place, settings));
    Advice {
        said: found.text,
        id: found.hint.map(|hint| hint.id.to_owned()),
        hints: found.lines,
    }
}

/// Colours are for a terminal that has them, and for nobody who asked for none (no-color.org).
fn has_colours() -> bool {
    environment::stdout_is_terminal()
        && environment::is_capable_terminal()
        && !environment::wants_no_colours()
}
