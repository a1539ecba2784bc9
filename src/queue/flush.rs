//! A run over what waits: one connection for all mail that goes the same way, and no second try of
//! a server that was not there.
//!
//! Promise: an entry that another process has is passed over, unless it was named: then it is
//! waited for, or told. What is held is never sent. An entry that cannot be read does not stop the
//! others.
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::dir::{Lock, Subdir};
use super::entry::Head;
use super::journal::{self, State};
use super::key::KeyState;
use super::wait::Limit;
use super::{Claim, Outcome, Queue, QueueError, now, policy};
use crate::delivery::Report;
use crate::message::Message;
use crate::route::Route;
use crate::transport::{self, ConnectionReuse, RunContext, Transport};

/// How many connections are kept at once; more ways than that take turns.
const CONNECTIONS: usize = 4;

/// Settles the way of a mail that waits: `Err` says why there is none now.
pub trait Routes {
    /// The route for a head.
    ///
    /// # Errors
    /// A lowercase fragment.
    fn route(&mut self, head: &Head) -> Result<Route, String>;

    /// Hears of every attempt, when its outcome is in the journal.
    fn attempted(&mut self, _head: &Head, _report: &Report) {}

    /// Hears of a mail that was given up because it was tried for too long, and the last words
    /// about it.
    fn given_up(&mut self, _head: &Head, _why: &str) {}

    /// The notice for the sender of a mail that is given up; `None` when there is to be none.
    fn notice(&mut self, _failed: &Claim<'_>, _why: &str) -> Option<(Head, Message)> {
        None
    }

    /// Hears of a mail that was put off without an attempt, to whom it was to go, and why.
    fn put_off(&mut self, _head: &Head, _to: &[String], _why: &str) {}
}

/// What a run may do.
#[derive(Debug, Clone, Default)]
pub struct FlushOptions {
    /// Only these, whether they are due or not; all that are due when it is empty.
    pub ids: Vec<String>,
    /// How long each of these is waited for while another process has it.
    pub timeout: Duration,
    /// At most so many; all when `None`.
    pub most: Option<usize>,
    /// No further mail is begun after this time.
    pub time: Option<Duration>,
    /// Gives way to another run.
    pub only_if_idle: bool,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Flushed {
    /// Mails that were looked at closely.
    pub begun: usize,
    /// Mails that went to all that were left.
    pub sent: usize,
    /// Mails that still wait, with the last words.
    pub waiting: Vec<(String, String)>,
    /// Mails that were named and are held.
    pub held: Vec<String>,
    /// Mails that were given up, with the reason.
    pub failed: Vec<(String, String)>,
    /// Notices of failure that were written down and are to be sent yet.
    pub notices: Vec<String>,
    /// Entries that could not be used.
    pub problems: Vec<QueueError>,
}

impl Flushed {
    /// Returns whether a mail that was named was not tried, as it is held or another process has
    /// it.
    pub fn is_untried(&self) -> bool {
        !self.held.is_empty()
            || self
                .problems
                .iter()
                .any(|problem| matches!(problem, QueueError::Busy(_)))
    }
}

/// Looks a name up in a sorted list.
fn has(names: &[String], name: &str) -> bool {
    names
        .binary_search_by(|known| known.as_str().cmp(name))
        .is_ok()
}

/// The connections of a run, one for a route whoever sends over it.
struct Connections<'a> {
    open: Vec<(Route, Box<dyn Transport>)>,
    /// The route of each kind of mail, found once, or why there is none.
    found: HashMap<String, Result<Route, String>>,
    routes: &'a mut dyn Routes,
    context: &'a RunContext,
}

impl Connections<'_> {
    fn key(head: &Head) -> String {
        format!(
            "{:?} {:?} {:?} {:?}",
            head.account, head.settings, head.login, head.from
        )
    }

    /// The route of a mail; `Err` tells why nothing can be sent over it now, and whether that was
    /// tried.
    fn route(&mut self, head: &Head) -> Result<Route, (String, bool)> {
        let routes = &mut *self.routes;
        let found = self
            .found
            .entry(Self::key(head))
            .or_insert_with(|| routes.route(head));
        let route = found.clone().map_err(|why| (why, false))?;
        self.context
            .learned
            .failure(&route)
            .map_or(Ok(route), |why| Err((why, true)))
    }

    /// The connection for a route, opened when it is not yet.
    fn to(&mut self, route: &Route) -> &mut dyn Transport {
        let at_hand = self
            .open
            .iter()
            .position(|(known, _)| known == route)
            .map(|place| self.open.remove(place));
        if at_hand.is_none() && self.open.len() == CONNECTIONS {
            self.open.remove(0);
        }
        let way = at_hand.unwrap_or_else(|| (route.clone(), transport::open(route, self.context)));
        self.open.push(way);
        let last = self.open.len() - 1;
        &mut *self.open[last].1
    }
}

impl Queue {
    /// Sends what waits.
    ///
    /// # Errors
    /// [`QueueError::Io`] when the directory cannot be read; what concerns one entry is in
    /// [`Flushed::problems`].
    pub fn flush(
        &self,
        routes: &mut dyn Routes,
        context: &RunContext,
        options: &FlushOptions,
    ) -> Result<Flushed, QueueError> {
        let start = Instant::now();
        let mut flushed = Flushed::default();
        let runner = self.dir.lock_of(Lock::Runner).map_err(|e| self.io(e))?;
        if options.only_if_idle && runner.try_lock().is_err() {
            return Ok(flushed);
        }
        let names = self.dir.names(Subdir::Waiting).map_err(|e| self.io(e))?;
        let mut ways = Connections {
            open: Vec::new(),
            found: HashMap::new(),
            routes,
            context,
        };
        for name in &names {
            self.sweep(name, &names);
        }
        let all = names.iter().filter_map(|name| name.strip_suffix(".msg"));
        let wanted: Vec<&str> = if options.ids.is_empty() {
            all.collect()
        } else {
            let ids: HashSet<&str> = options.ids.iter().map(String::as_str).collect();
            all.filter(|id| ids.contains(id)).collect()
        };
        for id in wanted {
            if options.ids.is_empty() && !self.is_due(id, &names) {
                continue;
            }
            let over = options.time.is_some_and(|time| start.elapsed() > time)
                || options.most.is_some_and(|most| flushed.begun >= most);
            if over || context.interrupt.load(Ordering::Relaxed) != 0 {
                break;
            }
            flushed.begun += 1;
            if let Err(problem) = self.one(id, &mut ways, options, &mut flushed) {
                flushed.problems.push(problem);
            }
        }
        // Their senders need not wait for another run.
        for notice in std::mem::take(&mut flushed.notices) {
            let outcome = self.one(&notice, &mut ways, &FlushOptions::default(), &mut flushed);
            flushed.problems.extend(outcome.err());
        }
        let missing = options
            .ids
            .iter()
            .filter(|id| !has(&names, &format!("{id}.msg")));
        flushed
            .problems
            .extend(missing.map(|id| QueueError::NoEntry(id.clone())));
        Ok(flushed)
    }

    fn one(
        &self,
        id: &str,
        ways: &mut Connections<'_>,
        options: &FlushOptions,
        flushed: &mut Flushed,
    ) -> Result<(), QueueError> {
        let named = !options.ids.is_empty();
        let limit = Limit::new(options.timeout, &ways.context.interrupt);
        let Some(mut claim) = self.claim_within(id, named.then_some(&limit))? else {
            // Another process was quicker, and it is gone or was given up.
            let failed = self.item(Subdir::Failed, id).filter(|_| named);
            flushed
                .failed
                .extend(failed.map(|item| (item.id, item.last)));
            return Ok(());
        };
        let waits = !claim.state().left().is_empty();
        if waits && claim.state().held {
            flushed.held.extend(named.then(|| id.to_owned()));
            return Ok(());
        }
        // Another process may have tried it since the name was read.
        if !named && !claim.state().is_due(now(), self.policy.longest()) {
            return Ok(());
        }
        if waits {
            match self.send(&mut claim, ways) {
                // It can never be sent, so it must not wait for ever.
                Err(QueueError::Unreadable { why, .. }) => {
                    return self.set_aside(id, &why).map(drop);
                }
                outcome => outcome?,
            }
        }
        let (last, head) = (claim.state().why().to_owned(), claim.head().clone());
        let refused = claim.state().left().is_empty();
        let (routes, mut notices) = (&mut *ways.routes, Vec::new());
        let finished = claim.finish_with(&mut |claim, why| {
            notices.extend(
                routes
                    .notice(claim, why)
                    .map(|notice| self.notify(id, notice)),
            );
        });
        for notice in notices {
            match notice {
                Ok(notice) => flushed.notices.extend(notice),
                Err(problem) => flushed.problems.push(problem),
            }
        }
        match finished? {
            Outcome::Gone => flushed.sent += 1,
            Outcome::Waits => flushed.waiting.push((id.to_owned(), last)),
            Outcome::Failed(problem) => {
                if !refused {
                    ways.routes.given_up(&head, &last);
                }
                flushed.failed.push((id.to_owned(), last));
                let hook = |why| QueueError::Hook {
                    id: id.to_owned(),
                    why,
                };
                flushed.problems.extend(problem.map(hook));
            }
        }
        Ok(())
    }

    /// Writes a notice down, once for a mail: a crash may have come between the notice and the end
    /// of its mail.
    fn notify(
        &self,
        failed: &str,
        (head, message): (Head, Message),
    ) -> Result<Option<String>, QueueError> {
        let told = |error: QueueError| QueueError::Notice {
            id: failed.to_owned(),
            why: error.to_string(),
        };
        match self
            .key(&format!("failure-notice:{failed}"))
            .map_err(told)?
        {
            KeyState::Taken(_) => Ok(None),
            KeyState::New(key) => {
                let head = Head { key: None, ..head };
                Ok(Some(
                    self.submit(head, &message, Some(&key))
                        .map_err(told)?
                        .head()
                        .id
                        .clone(),
                ))
            }
        }
    }

    fn send(&self, claim: &mut Claim<'_>, ways: &mut Connections<'_>) -> Result<(), QueueError> {
        let route = match ways.route(claim.head()) {
            Ok(route) => route,
            Err((why, tried)) => {
                let to: Vec<String> = claim
                    .state()
                    .left()
                    .iter()
                    .map(|at| claim.head().to[*at].clone())
                    .collect();
                claim.defer(&why, tried)?;
                ways.routes.put_off(claim.head(), &to, &why);
                return Ok(());
            }
        };
        let report = claim.attempt(ways.to(&route), ConnectionReuse::More)?;
        let faults = || {
            report
                .recipients
                .iter()
                .filter_map(|f| f.outcome.as_ref().err())
        };
        if let Some(fault) = faults().find(|f| policy::is_of_session(f)) {
            ways.context
                .learned
                .failed(&route, fault, (self.words)(fault));
        }
        ways.routes.attempted(claim.head(), &report);
        Ok(())
    }

    /// Tells by its journal alone whether an entry is due; a journal that cannot be read is looked
    /// at closely later.
    fn is_due(&self, id: &str, names: &[String]) -> bool {
        if !has(names, &format!("{id}.log")) {
            return true;
        }
        let Ok(log) = self.dir.open_file(Subdir::Waiting, &format!("{id}.log")) else {
            return true;
        };
        let Ok((events, _)) = journal::read(&log) else {
            return true;
        };
        State::after(0, &events).is_due(now(), self.policy.longest())
    }

    /// Removes what a process left that died while it wrote or removed; returns whether it did.
    pub(super) fn sweep(&self, name: &str, names: &[String]) -> bool {
        if name.starts_with("tmp.") {
            // A living writer has the lock. One that has made the file and not locked it yet waits
            // for ours, and begins again.
            let Ok(file) = self.dir.open_file(Subdir::Waiting, name) else {
                return false;
            };
            return file.try_lock().is_ok() && self.dir.remove(Subdir::Waiting, name).is_ok();
        }
        let Some(message) = name.strip_suffix(".log").map(|id| format!("{id}.msg")) else {
            return false;
        };
        if has(names, &message) || self.dir.has(Subdir::Waiting, &message) {
            return false;
        }
        // A release moves the journal before its message.
        let Ok(moves) = self.dir.lock_of(Lock::Moves) else {
            return false;
        };
        if moves.try_lock().is_err() || self.dir.has(Subdir::Waiting, &message) {
            return false;
        }
        match [Subdir::Failed, Subdir::Corrupt]
            .into_iter()
            .find(|subdir| self.dir.has(*subdir, &message))
        {
            Some(subdir) => self
                .dir
                .rename((Subdir::Waiting, name), (subdir, name))
                .is_ok(),
            None => self.dir.remove(Subdir::Waiting, name).is_ok(),
        }
    }
}

impl Claim<'_> {
    /// Sends it to those that are left, keeping its journal.
    ///
    /// # Errors
    /// The journal cannot be written, so nothing was sent.
    pub fn attempt(
        &mut self,
        way: &mut dyn Transport,
        reuse: ConnectionReuse,
    ) -> Result<Report, QueueError> {
        let message = self.message()?;
        self.begin()?;
        if self.state().lockstep {
            way.go_in_lockstep();
        }
        let report = way.deliver(&message, reuse, self);
        self.tried(&report);
        Ok(report)
    }
}
