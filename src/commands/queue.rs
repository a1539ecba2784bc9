//! What is done with mail that waits: by hand (`--queue`, `--flush` and their kin), and beside
//! other work.
use crate::cli::Args;
use crate::delivery::Report;
use crate::draft;
use crate::environment::Environment;
use crate::failure::{self, Exit, Failure};
use crate::maillog::Attempt;
use crate::message::Message;
use crate::queue::{self, Claim, FlushOptions, Flushed, Head, QueueError, Queues, Routes, Verdict};
use crate::report;
use crate::route::{Route, resolve::resolve};
use crate::settings::{Layers, Settings, StoredSettings};
use crate::transport::RunContext;

use super::maillog::RunLog;
use super::open_queue::TIME_LIMIT;
use super::open_queue::existing;
use super::{complain, notice, print};

/// The routes of mail that waits: files as they are now, with what its own command line and
/// environment said.
pub(super) struct RouteResolver<'a> {
    layers: &'a Layers,
    settings: &'a Settings,
    by_hand: bool,
    keeper: RunLog,
}

impl<'a> RouteResolver<'a> {
    /// For a run that nobody started by hand.
    pub(super) fn by_itself(layers: &'a Layers, settings: &'a Settings, args: &Args) -> Self {
        RouteResolver {
            layers,
            settings,
            by_hand: false,
            keeper: RunLog::of(settings, args),
        }
    }
}

impl Routes for RouteResolver<'_> {
    fn route(&mut self, head: &Head) -> Result<Route, String> {
        let kept = StoredSettings {
            account: head.account.as_deref(),
            said: &head.settings,
            login: head.login.as_ref(),
        };
        let settings = self
            .layers
            .resolve_for(kept, self.by_hand)
            .map_err(|e| e.to_string())?;
        let author = draft::first_author(&head.from).map_err(|e| e.to_string())?;
        let author = author.ok_or_else(|| "it has no From address".to_owned())?;
        resolve(&settings, &author).map_err(|e| e.to_string())
    }

    fn attempted(&mut self, head: &Head, report: &Report) {
        let (from, to) = (
            head.sender.as_deref().unwrap_or_default(),
            recipients(report),
        );
        let faults = || {
            report
                .recipients
                .iter()
                .filter_map(|f| f.outcome.as_ref().err())
        };
        let exit = match faults().all(|f| queue::verdict(f) == Verdict::Refuse) {
            _ if report.is_done() => Exit::OK,
            true => Exit::REFUSED,
            false => Exit::TEMPORARY,
        };
        let attempt = Attempt {
            id: Some(&head.id),
            message_id: &head.message_id,
            exit: exit.0,
            ..Attempt::default()
        };
        self.keeper
            .note(&attempt, (from, &to), Some(report), exit != Exit::REFUSED);
    }

    fn given_up(&mut self, head: &Head, why: &str) {
        let error = format!("given up: {why}");
        let (id, message_id, exit) = (
            Some(head.id.as_str()),
            head.message_id.as_str(),
            Exit::REFUSED.0,
        );
        let attempt = Attempt {
            id,
            message_id,
            exit,
            error: Some(&error),
            ..Attempt::default()
        };
        self.keeper.note_end(
            &attempt,
            (head.sender.as_deref().unwrap_or_default(), &head.to),
            "failed",
        );
    }

    fn notice(&mut self, failed: &Claim<'_>, why: &str) -> Option<(Head, Message)> {
        notice::notice(self.settings, failed, why)
    }

    fn put_off(&mut self, head: &Head, to: &[String], why: &str) {
        let from = head.sender.as_deref().unwrap_or_default();
        let (id, message_id, exit) = (
            Some(head.id.as_str()),
            head.message_id.as_str(),
            Exit::TEMPORARY.0,
        );
        let attempt = Attempt {
            id,
            message_id,
            exit,
            error: Some(why),
            ..Attempt::default()
        };
        self.keeper.note_end(&attempt, (from, to), "deferred");
    }
}

fn recipients(report: &Report) -> Vec<String> {
    report
        .recipients
        .iter()
        .map(|result| result.recipient.clone())
        .collect()
}

/// The errands: list, show, flush, hold, release, remove, check.
///
/// # Errors
/// No queue, no such mail, or what went wrong with it.
pub(super) fn errand(
    args: &Args,
    layers: &Layers,
    settings: &Settings,
    env: &Environment,
    context: &RunContext,
) -> Result<Exit, Failure> {
    let Some(queues) = existing(settings, env)? else {
        return errand_of_nothing(args);
    };
    let exit = on(&queues, args, layers, settings, context)?;
    Ok(say_unusable(&queues, exit))
}

/// Tells of the directories that could not be looked into, as mail may lie there; the status is
/// theirs where all else went well.
pub(super) fn say_unusable(queues: &Queues, exit: Exit) -> Exit {
    let mut told = exit;
    for problem in &queues.problems {
        complain(&failure::remark(&format!(
            "{problem}; messages may be waiting in it"
        )));
        told = if exit == Exit::OK { Exit::IO } else { exit };
    }
    told
}

fn on(
    queues: &Queues,
    args: &Args,
    layers: &Layers,
    settings: &Settings,
    context: &RunContext,
) -> Result<Exit, Failure> {
    let io = |error: QueueError| Failure::from(error);
    if let Some(id) = &args.queue_show {
        queues.show(id, &mut std::io::stdout().lock()).map_err(io)?;
    } else if let Some(id) = &args.hold {
        queues.hold(id, true).map_err(io)?;
    } else if let Some(id) = &args.release {
        queues.hold(id, false).map_err(io)?;
    } else if let Some(id) = &args.remove {
        queues.remove(id).map_err(io)?;
    } else if args.queue_check {
        return check(queues);
    } else if args.flush {
        let mut routes = RouteResolver {
            layers,
            settings,
            by_hand: true,
            keeper: RunLog::of(settings, args),
        };
        let options = FlushOptions {
            ids: args.operands.clone(),
            timeout: TIME_LIMIT,
            ..FlushOptions::default()
        };
        return Ok(say(&queues
            .flush(&mut routes, context, &options)
            .map_err(io)?));
    } else {
        let items = queues.list().map_err(io)?;
        let now = queue::now();
        print(&if args.json {
            report::queue_json(&items)
        } else {
            report::queue_list(&items, now)
        });
    }
    Ok(Exit::OK)
}

/// What an errand comes to where nothing can wait: the queue is empty, and holds no mail that was
/// named.
fn errand_of_nothing(args: &Args) -> Result<Exit, Failure> {
    let ids = [&args.queue_show, &args.hold, &args.release, &args.remove]
        .into_iter()
        .flatten();
    if let Some(id) = ids
        .chain(args.flush.then_some(&args.operands).into_iter().flatten())
        .next()
    {
        return Err(QueueError::NoEntry(id.clone()).into());
    }
    if !args.queue_check && !args.flush {
        print(&if args.json {
            report::queue_json(&[])
        } else {
            report::queue_list(&[], queue::now())
        });
    }
    Ok(Exit::OK)
}

fn check(queues: &Queues) -> Result<Exit, Failure> {
    let check = queues.check()?;
    for line in check.repaired.iter().chain(&check.problems) {
        complain(&failure::remark(line));
    }
    Ok(match (check.problems.is_empty(), check.newer) {
        (true, _) => Exit::OK,
        (false, true) => Exit::CONFIG,
        (false, false) => Exit::IO,
    })
}

/// Tells which mails were given up.
pub(super) fn say_given_up(flushed: &Flushed) {
    for (id, why) in &flushed.failed {
        complain(&failure::remark(&format!(
            "message {id} was given up: {why} (smail --queue-show {id})"
        )));
    }
}

/// Tells which mails were named and are held.
fn say_held(flushed: &Flushed) {
    for id in &flushed.held {
        complain(&failure::remark(&format!(
            "message {id} is held; `smail --release {id}` releases it"
        )));
    }
}

/// Tells which mails were named and not tried, as they are held or another process has them.
pub(super) fn say_untried(flushed: &Flushed) {
    say_held(flushed);
    for problem in flushed
        .problems
        .iter()
        .filter(|problem| matches!(problem, QueueError::Busy(_)))
    {
        complain(&failure::remark(&problem.to_string()));
    }
}

/// What a flush has to say, and its status: 0 when all that was tried was sent, 75 when some wait,
/// 69 when some were given up.
pub(super) fn say(flushed: &Flushed) -> Exit {
    say_given_up(flushed);
    for (id, why) in &flushed.waiting {
        complain(&failure::remark(&format!(
            "message {id} is still queued: {why}"
        )));
    }
    say_held(flushed);
    let mut exit = match (
        flushed.failed.is_empty(),
        flushed.waiting.is_empty() && flushed.held.is_empty(),
    ) {
        (true, true) => Exit::OK,
        (true, false) => Exit::TEMPORARY,
        (false, _) => Exit::REFUSED,
    };
    for problem in &flushed.problems {
        complain(&failure::remark(&problem.to_string()));
        exit = match problem {
            QueueError::Unreadable { newer: true, .. } => Exit::CONFIG,
            QueueError::NoEntry(_) => Exit::USAGE,
            QueueError::Busy(_) if exit == Exit::OK => Exit::TEMPORARY,
            _ if exit == Exit::OK => Exit::IO,
            _ => exit,
        };
    }
    exit
}
