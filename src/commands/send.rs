//! Sends one mail: from what was typed to what became of it.
use std::fmt::Write as _;

use crate::address::Address;
use crate::cli::Args;
use crate::draft::{self, Draft, DraftError, Input};
use crate::environment::Environment;
use crate::failure::{self, Exit, Failure};
use crate::message::{Message, Stamp};
use crate::report;
use crate::route::{Route, resolve::resolve};
use crate::settings::{Layers, Settings};
use crate::text::word;
use crate::transport::{self, ConnectionReuse, RunContext};

use super::copy::Copy;
use super::{author, complain, context, deliver, maillog, open_queue, print, remarks};

/// Runs the command line that names no other command.
///
/// # Errors
/// Whatever keeps the mail from being sent or queued.
pub(super) fn run(
    args: &Args,
    layers: &Layers,
    mut settings: Settings,
    env: &Environment,
) -> Result<Exit, Failure> {
    let user = env.user();
    let author = author(&settings, &user)?;
    let mut route = resolve(&settings, &author)?;
    let mut input = Input::read(
        args,
        settings.home(),
        settings.attachment.as_deref(),
        layers.max_size(),
    )?;
    if input.empty && settings.flag("skip-empty") {
        if args.json {
            print(&report::untried(0, None, None));
        }
        return Ok(Exit::OK);
    }
    if let Some(from) = input.from() {
        let from = draft::first_author(&from).map_err(DraftError::Address)?;
        settings = layers.resolve(from.as_slice())?;
        route = resolve(&settings, from.as_ref().unwrap_or(&author))?;
    }
    settings.notes.append(&mut input.notes);
    let draft = match draft::compose(args, &settings, input, &user) {
        Err(DraftError::Dropped) => return Ok(dropped(args, &settings)),
        draft => draft?,
    };
    send(args, layers, &settings, env, &route, draft)
}

/// Nobody is left to send to, as the aliases want it.
fn dropped(args: &Args, settings: &Settings) -> Exit {
    maillog::note_dropped(settings, args);
    if args.json {
        print(&report::untried(0, None, None));
    }
    if args.verbose > 0 || settings.flag("debug") {
        complain(&failure::remark(&DraftError::Dropped.to_string()));
    }
    Exit::OK
}

/// From the draft to the end of the road.
pub(super) fn send(
    args: &Args,
    layers: &Layers,
    settings: &Settings,
    env: &Environment,
    route: &Route,
    mut draft: Draft,
) -> Result<Exit, Failure> {
    let copy = Copy::of(args, &draft);
    let author = draft
        .from
        .first()
        .cloned()
        .ok_or_else(|| Failure::new(Exit::CONFIG, "from contains no address"))?;
    let subject = draft.subject.clone().unwrap_or_default();
    let mut warnings = std::mem::take(&mut draft.warnings);
    let stamp = Stamp::at(env.source_date_epoch());
    let message = Message::build(draft, &stamp)?;
    warnings.extend(settings.warnings.iter().cloned());
    warnings.extend(message.notes().iter().cloned());
    remarks(args, settings, &warnings);
    if settings.flag("debug") {
        return dry_run(settings, &message, route);
    }
    let context = context(args, settings);
    let mailer = deliver::Mailer {
        args,
        layers,
        settings,
        route,
        context: &context,
        author: &author,
        subject: &subject,
    };
    // A file on this host is as safe as the queue would be.
    let travels = matches!(route, Route::Smtp(_) | Route::Program(_));
    let queues = if travels {
        open_queue::open(args, settings, env)?
    } else {
        None
    };
    let sent = match queues {
        Some(queues) => mailer.send(queues, &message)?,
        None => mailer.send_directly(&message),
    };
    let late = message.late_notes();
    let told = sent
        .report
        .iter()
        .flat_map(|r| &r.remarks)
        .chain(&late)
        .filter(|_| !args.quiet);
    told.for_each(|r| complain(&failure::remark(r)));
    if let Some(error) = &sent.error {
        complain(&error.text());
    }
    let kept = copy.keep(args, settings, &message, &stamp, &sent);
    let exit = if sent.exit == Exit::OK {
        kept
    } else {
        sent.exit
    };
    if args.json {
        let said = sent.error.as_ref().map(Failure::text);
        let (id, error) = (sent.id.as_deref(), said.as_deref());
        print(&match &sent.report {
            Some(report) => {
                let language = failure::language(settings);
                report::summary(&message.id, report, exit.0, id, error, language)
            }
            None => report::untried(exit.0, id, error),
        });
    }
    Ok(exit)
}

/// The message on standard output, what is not part of it on standard error.
fn dry_run(settings: &Settings, message: &Message, route: &Route) -> Result<Exit, Failure> {
    let sender = message
        .envelope
        .sender
        .as_ref()
        .map_or_else(String::new, Address::to_string);
    let mut lines = format!(
        "-- dry run: nothing is sent\n-- route: {}\n-- from: <{}>\n",
        word(&transport::describe(route)),
        word(&sender)
    );
    for recipient in &message.envelope.recipients {
        lines.push_str("-- to: <");
        lines.push_str(&word(&recipient.to_string()));
        lines.push_str(">\n");
    }
    if !message.envelope.dsn.is_empty() {
        let _ = writeln!(lines, "-- dsn: {}", word(&message.envelope.dsn.to_string()));
    }
    complain(&lines);
    let printed = transport::open(&Route::Stdout, &RunContext::default()).deliver(
        message,
        ConnectionReuse::Last,
        &mut (),
    );
    failure::account_for(&printed, settings).map_or(Ok(Exit::OK), Err)
}
