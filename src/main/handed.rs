//! The road of mail that programs hand over: smail as sendmail, mailq and newaliases.
//!
//! Promise: standard input is read to its end before anything else happens; nothing is printed when all is well, also when
//! the mail waits in the queue; what went wrong is one line. Status 0 means sent or durable, 75 means not kept.
use std::io::{self, IsTerminal, Read};
use std::sync::mpsc::{self, Receiver, Sender as Wire};
use std::sync::{Mutex, PoisonError};

use smail::address::{Address, Mailbox, parse_word};
use smail::cli::Args;
use smail::cli::sendmail::{Filter, Mode, Request};
use smail::draft::Dsn;
use smail::failure::{self, Exit, Failure};
use smail::message::Raw;
use smail::message::Stamp;
use smail::queue::{Bounds, Queue};
use smail::report;
use smail::settings::route::Route;
use smail::settings::{self, Layers, Local, Settings, Surroundings};
use smail::submission::dialogue::{self, Acceptor, Answer, Transaction};
use smail::submission::{self, Handover, Sender, Settled, SubmissionError};
use smail::transport::{self, Watch};

use super::errands::{self, Ways};
use super::queued::{self, Post, Sent};
use super::{complain, print};

/// Does what a caller of sendmail asks for.
///
/// # Errors
/// What keeps it from being done.
pub fn run(args: &Args, request: &Request, layers: &Layers, world: &Surroundings) -> Result<Exit, Failure> {
    let settings = layers.settle(&[])?;
    // Before the whole mail is there a signal ends the process and with it the mail, which nobody has promised anything of.
    let raw = match request.mode {
        Mode::Deliver => Some(Raw::read(io::stdin().lock(), io::stdin().is_terminal()).map_err(SubmissionError::Read)?),
        _ => None,
    };
    // A dialogue ends by a signal at once: what it accepted is in the queue.
    let watch = if request.mode == Mode::Dialogue { Watch::default() } else { super::watch(args, &settings) };
    let desk = Desk { args, layers, settings: &settings, world, watch: &watch };
    if let Some(raw) = raw {
        return desk.deliver(request, raw);
    }
    match request.mode {
        Mode::Dialogue => Ok(desk.dialogue()),
        Mode::Verify => desk.verify(&request.recipients),
        Mode::Aliases => Ok(desk.check_aliases()),
        Mode::Flush => desk.flush(&request.filter),
        Mode::List => {
            let queue = queued::existing(&settings, world)?;
            print(&report::mailq(&queue.map_or_else(|| Ok(Vec::new()), |queue| queue.list())?));
            Ok(Exit::OK)
        }
        Mode::Deliver | Mode::Nothing => Ok(Exit::OK),
    }
}

/// What is known before any mail is seen.
#[derive(Clone, Copy)]
struct Desk<'a> {
    args: &'a Args,
    layers: &'a Layers,
    /// Those that hold when no mail chooses an account.
    settings: &'a Settings,
    world: &'a Surroundings,
    watch: &'a Watch,
}

/// A mail with its way.
struct Ready {
    settings: Settings,
    route: Route,
    settled: Settled,
}

impl Ready {
    fn post<'a>(&'a self, desk: &Desk<'a>) -> Post<'a> {
        Post {
            args: desk.args,
            layers: desk.layers,
            settings: &self.settings,
            route: &self.route,
            watch: desk.watch,
            author: &self.settled.author,
            subject: &self.settled.subject,
        }
    }

    /// The queue it goes through; a file on this host is as safe.
    fn queue(&self, desk: &Desk<'_>) -> Result<Option<Queue>, Failure> {
        match self.route {
            Route::Smtp(_) | Route::Program(_) => queued::open(desk.args, &self.settings, desk.world),
            Route::File(_) | Route::Stdout => Ok(None),
        }
    }
}

impl Desk<'_> {
    fn deliver(&self, request: &Request, raw: Raw) -> Result<Exit, Failure> {
        let ready = self.settle(Handover::read(request, &raw)?, raw)?;
        let (post, message) = (ready.post(self), &ready.settled.message);
        let sent = match ready.queue(self)? {
            Some(queue) if request.queue_only => post.keep(&queue, message)?,
            Some(queue) => post.send(&queue, message)?,
            None => post.send_directly(message),
        };
        if let Some(failure) = sent.error.filter(|_| sent.exit != Exit::OK || self.args.verbose > 0) {
            complain(&failure.line("sendmail"));
        }
        Ok(sent.exit)
    }

    fn settle(&self, handover: Handover, raw: Raw) -> Result<Ready, Failure> {
        let settings = self.layers.settle(&handover.identities(&raw))?;
        self.notes(&handover.notes);
        let stamp = Stamp::at(self.world.source_date_epoch());
        let settled = submission::settle(handover, raw, &settings, &self.world.user(), &stamp)?;
        self.notes(settled.message.notes());
        let route = settings::route(&settings, &settled.author)?;
        Ok(Ready { settings, route, settled })
    }

    fn notes(&self, notes: &[String]) {
        for note in notes.iter().filter(|_| self.args.verbose > 0) {
            complain(&failure::remark(note));
        }
    }

    /// Speaks SMTP with the caller. What is accepted is in the queue; a second thread sends it meanwhile, so that neither
    /// the caller waits for the server nor the mail for the caller.
    fn dialogue(&self) -> Exit {
        let name = self.settings.filled("hello-name").or_else(|| self.world.machine.hostname.clone());
        let (wire, accepted) = mpsc::channel();
        let mut clerk = Clerk { desk: *self, wire };
        let accepted = Mutex::new(Some(accepted));
        let carry = || {
            let accepted = accepted.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(accepted) = accepted {
                self.carry(&accepted);
            }
        };
        std::thread::scope(|scope| {
            let _ = std::thread::Builder::new().spawn_scoped(scope, carry);
            let mut stdin = io::stdin().lock();
            let mut stdout = io::stdout().lock();
            // A caller that has gone took what it wanted: what was accepted before is safe.
            let _ = dialogue::serve(
                &mut stdin,
                &mut stdout,
                name.as_deref().unwrap_or("localhost"),
                self.settings.size("max-size"),
                &mut clerk,
            );
            drop(clerk);
        });
        // Where no second thread could be had (`ulimit -u`), what was accepted is sent now.
        carry();
        Exit::OK
    }

    /// Sends what the dialogue accepted, as it comes, several mails over one connection where several came.
    fn carry(&self, accepted: &Receiver<String>) {
        while let Ok(first) = accepted.recv() {
            let ids: Vec<String> = std::iter::once(first).chain(accepted.try_iter()).collect();
            let Ok(queue) = queued::at_hand(self.settings, self.world) else { continue };
            let bounds = Bounds { ids, ..Bounds::default() };
            let flushed = queue.flush(&mut Ways::by_itself(self.layers, self.settings, self.args), self.watch, &bounds);
            if let Ok(flushed) = flushed
                && self.args.verbose > 0
            {
                errands::say(&flushed);
            }
        }
    }

    /// Says where mail for each word would go.
    fn verify(&self, words: &[String]) -> Result<Exit, Failure> {
        let local = Local::new(self.settings, true);
        let author = super::author(self.settings, &self.world.user())?;
        let route = transport::describe(&settings::route(self.settings, &author)?);
        let mut exit = Exit::OK;
        for word in words {
            let ends = parse_word(word).map_err(SubmissionError::Address).and_then(|list| {
                let ends = list.iter().map(|mailbox| local.explain(mailbox).map_err(SubmissionError::Local));
                Ok(ends.collect::<Result<Vec<_>, _>>()?.concat())
            });
            match ends {
                Ok(ends) => ends.iter().for_each(|(end, said)| {
                    let said = said.as_ref().map_or_else(String::new, |said| format!(" ({said})"));
                    print(&format!("{word} -> {}{said} by {route}\n", end.address));
                }),
                Err(error) => {
                    let failure = Failure::from(error);
                    complain(&failure.line("sendmail"));
                    exit = failure.exit;
                }
            }
        }
        if words.is_empty() { Err(SubmissionError::NoRecipient.into()) } else { Ok(exit) }
    }

    fn check_aliases(&self) -> Exit {
        let problems = Local::new(self.settings, true).check();
        for problem in &problems {
            complain(&Failure::new(Exit::CONFIG, format!("{}: {}", problem.place, problem.why)).line("newaliases"));
        }
        if problems.is_empty() { Exit::OK } else { Exit::CONFIG }
    }

    /// Sends what waits: silently and with status 0 whatever became of it, as those who call it from cron expect.
    fn flush(&self, filter: &Filter) -> Result<Exit, Failure> {
        let Some(queue) = queued::existing(self.settings, self.world)? else { return Ok(Exit::OK) };
        let mut ids = Vec::new();
        if *filter != Filter::default() {
            let within = |parts: &[String], text: &str| {
                parts.is_empty() || parts.iter().any(|part| text.contains(part.as_str()))
            };
            let wanted = |item: &smail::queue::Item| {
                within(&filter.ids, &item.id)
                    && within(&filter.senders, &item.from)
                    && item.to.iter().any(|to| within(&filter.recipients, to))
            };
            let waiting = queue.list()?.into_iter().filter(|item| item.state != "failed");
            ids.extend(waiting.filter(wanted).map(|item| item.id));
            if ids.is_empty() {
                return Ok(Exit::OK);
            }
        }
        let mut ways = Ways::by_itself(self.layers, self.settings, self.args);
        let flushed = queue.flush(&mut ways, self.watch, &Bounds { ids, ..Bounds::default() })?;
        if self.args.verbose > 0 {
            errands::say(&flushed);
        }
        Ok(Exit::OK)
    }
}

/// Takes the mails of a dialogue.
struct Clerk<'a> {
    desk: Desk<'a>,
    wire: Wire<String>,
}

impl Acceptor for Clerk<'_> {
    fn sender(&mut self, _: Option<&Address>) -> Result<(), Answer> {
        Ok(())
    }

    fn recipient(&mut self, recipient: &Address) -> Result<(), Answer> {
        let list = vec![Mailbox::from(recipient.clone())];
        let local = Local::new(self.desk.settings, true);
        local.expand(list).map(drop).map_err(|error| Answer::new(550, (5, 1, 1), error.to_string()))
    }

    fn message(&mut self, transaction: Transaction, from: &mut dyn Read) -> Result<String, Answer> {
        let raw = Raw::read(from, false).map_err(|error| answer(&SubmissionError::Read(error).into()))?;
        let ready = self.desk.settle(handover(transaction), raw).map_err(|failure| answer(&failure))?;
        let (post, message) = (ready.post(&self.desk), &ready.settled.message);
        let sent = match ready.queue(&self.desk).map_err(|failure| answer(&failure))? {
            Some(queue) => post.keep(&queue, message).map_err(|failure| answer(&failure))?,
            None => post.send_directly(message),
        };
        match sent {
            Sent { exit: Exit::OK, id: Some(id), .. } => {
                let text = format!("queued as {id}");
                // Nobody listens only when the thread has ended early: then the next flush sends it.
                let _ = self.wire.send(id);
                Ok(text)
            }
            Sent { exit: Exit::OK, .. } => Ok(format!("sent as {}", message.id)),
            Sent { error, exit, .. } => {
                Err(answer(&error.unwrap_or_else(|| Failure::new(exit, "the mail was not taken"))))
            }
        }
    }
}

fn handover(transaction: Transaction) -> Handover {
    // What is asked for one recipient must not silence the reports about another: where they differ, servers do as they always do.
    let notify = transaction.notify.first().filter(|first| transaction.notify.iter().all(|asked| asked == *first));
    let notify = notify.and_then(Option::as_deref);
    let (dsn, notes) = Dsn::read_leniently(notify, transaction.ret.as_deref(), transaction.envid.as_deref());
    Handover {
        sender: transaction.sender.map_or(Sender::Null, Sender::Address),
        full_name: None,
        recipients: transaction.recipients.into_iter().map(Mailbox::from).collect(),
        dsn,
        notes,
    }
}

/// A failure as a reply: temporary where trying again can help, or where the fault is not the mail's.
fn answer(failure: &Failure) -> Answer {
    let text = failure.line("sendmail");
    match failure.exit {
        Exit::USAGE | Exit::DATA => Answer::new(554, (5, 6, 0), text),
        Exit::NO_USER | Exit::REFUSED | Exit::NO_HOST => Answer::new(554, (5, 0, 0), text),
        Exit::CONFIG => Answer::new(451, (4, 3, 5), text),
        _ => Answer::new(451, (4, 3, 0), text),
    }
}
