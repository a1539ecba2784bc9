//! The road of mail that programs hand over: smail as sendmail, mailq and newaliases.
//!
//! Promise: standard input is read to its end before anything else happens; nothing is printed when
//! all is well, also when the mail waits in the queue; what went wrong is one line. Status 0 means
//! sent or durable, 75 means not kept.
use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, Sender as Wire};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::address::{Address, Mailbox, parse_word};
use crate::aliases::Local;
use crate::cli::Args;
use crate::cli::sendmail::{Filter, Mode, Request};
use crate::draft::Dsn;
use crate::environment::{self, Environment};
use crate::failure::{self, Exit, Failure};
use crate::inject::smtpd::{self, Acceptor, Answer, Transaction};
use crate::inject::{self, InjectError, Injection, Sender, Settled};
use crate::message::Raw;
use crate::message::Stamp;
use crate::queue::{FlushOptions, Item, QueueError, Queues};
use crate::report;
use crate::route::{Route, resolve::resolve};
use crate::settings::{Layers, MAX_SIZE, Settings};
use crate::text;
use crate::transport::{self, RunContext};

use super::client::Client;
use super::deliver::{Mailer, Sent};
use super::queue::{RouteResolver, say, say_given_up, say_untried, say_unusable};
use super::{complain, maillog, open_queue, print};

/// How long a dialogue goes by what it learned of servers.
const LEARNED_FOR: Duration = Duration::from_mins(1);

/// Does what a caller of sendmail asks for.
///
/// # Errors
/// What keeps it from being done.
pub(super) fn run(
    args: &Args,
    request: &Request,
    layers: &Layers,
    env: &Environment,
) -> Result<Exit, Failure> {
    let settings = layers.resolve(&[])?;
    let run = SendmailRun {
        args,
        layers,
        settings: &settings,
        env,
    };
    match request.mode {
        Mode::Deliver => {
            let raw = inject::read(
                io::stdin().lock(),
                environment::stdin_is_terminal(),
                run.limit(),
            )?;
            run.deliver(request, raw)
        }
        Mode::Dialogue => run.dialogue(),
        Mode::Verify => run.verify(&request.recipients),
        Mode::Aliases => Ok(run.check_aliases()),
        Mode::Flush => run.flush(&request.filter),
        Mode::List => {
            let Some(queues) = open_queue::existing(&settings, env)? else {
                print(&report::mailq(&[]));
                return Ok(Exit::OK);
            };
            print(&report::mailq(&queues.list()?));
            Ok(say_unusable(&queues, Exit::OK))
        }
        Mode::Nothing => Ok(Exit::OK),
    }
}

/// What is known before any mail is seen.
#[derive(Clone, Copy)]
struct SendmailRun<'a> {
    args: &'a Args,
    layers: &'a Layers,
    /// Those that hold when no mail chooses an account.
    settings: &'a Settings,
    env: &'a Environment,
}

/// A mail with its way.
struct Ready {
    settings: Settings,
    route: Route,
    settled: Settled,
}

impl Ready {
    fn mailer<'a>(&'a self, run: &SendmailRun<'a>, context: &'a RunContext) -> Mailer<'a> {
        Mailer {
            args: run.args,
            layers: run.layers,
            settings: &self.settings,
            route: &self.route,
            context,
            author: &self.settled.author,
            subject: &self.settled.subject,
        }
    }

    /// The queue it goes through; a file on this host is as safe.
    fn queue(&self, run: &SendmailRun<'_>) -> Result<Option<Queues>, Failure> {
        match self.route {
            Route::Smtp(_) | Route::Program(_) => {
                open_queue::open(run.args, &self.settings, run.env)
            }
            Route::File(_) | Route::Stdout => Ok(None),
        }
    }
}

impl SendmailRun<'_> {
    fn deliver(&self, request: &Request, raw: Raw) -> Result<Exit, Failure> {
        let Some(ready) = self.finish(Injection::read(request, &raw)?, raw)? else {
            return Ok(Exit::OK);
        };
        // Up to here a signal ends the process and with it the mail, which nobody has promised
        // anything of.
        let context = super::context(self.args, self.settings);
        let (mailer, message) = (ready.mailer(self, &context), &ready.settled.message);
        let sent = match ready.queue(self)? {
            Some(queues) if request.queue_only => mailer.keep(&queues, message)?,
            Some(queues) => mailer.send(queues, message)?,
            None => mailer.send_directly(message),
        };
        if let Some(failure) = sent
            .error
            .filter(|_| sent.exit != Exit::OK || self.args.verbose > 0)
        {
            complain(&failure.line("sendmail"));
        }
        Ok(sent.exit)
    }

    /// The largest mail that is taken; `None` without a limit.
    fn limit(&self) -> Option<u64> {
        Some(self.settings.size("max-size").unwrap_or(MAX_SIZE)).filter(|limit| *limit > 0)
    }

    /// `None` when aliases to `/dev/null` leave nobody.
    fn finish(&self, injection: Injection, raw: Raw) -> Result<Option<Ready>, Failure> {
        let settings = self.layers.resolve(&injection.identities(&raw))?;
        self.notes(&injection.notes);
        let stamp = Stamp::at(self.env.source_date_epoch());
        let settled = match inject::finish(injection, raw, &settings, &self.env.user(), &stamp) {
            Err(dropped @ InjectError::Dropped) => {
                self.notes(&[dropped.to_string()]);
                maillog::note_dropped(&settings, self.args);
                return Ok(None);
            }
            settled => settled?,
        };
        self.notes(settled.message.notes());
        let route = resolve(&settings, &settled.author)?;
        Ok(Some(Ready {
            settings,
            route,
            settled,
        }))
    }

    fn notes(&self, notes: &[String]) {
        for note in notes.iter().filter(|_| self.args.verbose > 0) {
            complain(&failure::remark(note));
        }
    }

    /// Speaks SMTP with the caller. What is accepted is in the queue; a second thread sends it
    /// meanwhile, so that neither the caller waits for the server nor the mail for the caller.
    fn dialogue(&self) -> Result<Exit, Failure> {
        let client = Client::at_hand(self.settings)?;
        let stdin = |error| Failure::new(Exit::IO, format!("standard input: {error}"));
        let mut input = client.input().map_err(stdin)?;
        let name = self
            .settings
            .filled("hello-name")
            .or_else(|| self.env.host.hostname.clone());
        let (wire, accepted) = mpsc::channel();
        let mut handler = SessionHandler {
            run: *self,
            client: &client,
            local: Local::new(self.settings, true),
            wire,
        };
        let accepted = Mutex::new(Some(accepted));
        let carry = || {
            let accepted = accepted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(accepted) = accepted {
                self.carry(&accepted);
            }
        };
        std::thread::scope(|scope| {
            let _ = std::thread::Builder::new().spawn_scoped(scope, carry);
            let mut stdout = io::stdout().lock();
            // A caller that has gone took what it wanted: what was accepted before is safe.
            let _ = smtpd::serve(
                &mut input,
                &mut stdout,
                name.as_deref().unwrap_or("localhost"),
                self.limit(),
                &mut handler,
            );
            client.leave();
            drop(handler);
        });
        // Where no second thread could be had (`ulimit -u`), what was accepted is sent now.
        carry();
        Ok(Exit::OK)
    }

    /// Sends what the dialogue accepted, as it comes, several mails over one connection where
    /// several came.
    fn carry(&self, accepted: &Receiver<String>) {
        // A dialogue ends by a signal at once: what it accepted is in the queue. It may last for
        // days, and what was learned of servers meanwhile holds for a minute.
        let (mut context, mut since) = (RunContext::default(), Instant::now());
        while let Ok(first) = accepted.recv() {
            if since.elapsed() > LEARNED_FOR {
                (context, since) = (RunContext::default(), Instant::now());
            }
            let ids: Vec<String> = std::iter::once(first).chain(accepted.try_iter()).collect();
            let Ok(queues) = open_queue::at_hand(self.settings, self.env) else {
                continue;
            };
            let options = FlushOptions {
                ids,
                ..FlushOptions::default()
            };
            let mut routes = RouteResolver::by_itself(self.layers, self.settings, self.args);
            let flushed = queues.flush(&mut routes, &context, &options);
            if let Ok(flushed) = flushed
                && self.args.verbose > 0
            {
                say(&flushed);
            }
        }
    }

    /// Says where mail for each word would go.
    fn verify(&self, words: &[String]) -> Result<Exit, Failure> {
        let local = Local::new(self.settings, true);
        let author = super::author(self.settings, &self.env.user())?;
        let route = transport::describe(&resolve(self.settings, &author)?);
        let mut exit = Exit::OK;
        for word in words {
            let ends = parse_word(word)
                .map_err(InjectError::Address)
                .and_then(|list| {
                    let ends = list
                        .iter()
                        .map(|mailbox| local.explain(mailbox).map_err(InjectError::Local));
                    Ok(ends.collect::<Result<Vec<_>, _>>()?.concat())
                });
            match ends {
                Ok(ends) if ends.is_empty() => {
                    print(&format!("{} -> /dev/null: dropped\n", text::word(word)));
                }
                Ok(ends) => ends.iter().for_each(|(end, said)| {
                    let said = said
                        .as_ref()
                        .map_or_else(String::new, |said| format!(" ({said})"));
                    let (given, end) = (text::word(word), end.address.to_string());
                    print(&format!(
                        "{given} -> {}{said} via {}\n",
                        text::word(&end),
                        text::word(&route)
                    ));
                }),
                Err(error) => {
                    let failure = Failure::from(error);
                    complain(&failure.line("sendmail"));
                    exit = failure.exit;
                }
            }
        }
        if words.is_empty() {
            Err(InjectError::NoRecipient.into())
        } else {
            Ok(exit)
        }
    }

    fn check_aliases(&self) -> Exit {
        let problems = Local::new(self.settings, true).check();
        for problem in &problems {
            complain(
                &Failure::new(Exit::CONFIG, format!("{}: {}", problem.place, problem.why))
                    .line("newaliases"),
            );
        }
        if problems.is_empty() {
            Exit::OK
        } else {
            Exit::CONFIG
        }
    }

    /// Sends what waits: silently and with status 0, as those who call it from cron expect; but for
    /// mail that was given up, and for mail that was named and cannot be sent now.
    fn flush(&self, filter: &Filter) -> Result<Exit, Failure> {
        let Some(queues) = open_queue::existing(self.settings, self.env)? else {
            return Ok(Exit::OK);
        };
        let mut options = FlushOptions {
            timeout: open_queue::TIME_LIMIT,
            ..FlushOptions::default()
        };
        if *filter != Filter::default() {
            options.ids = wanted(filter, &queues.list()?);
            if options.ids.is_empty() {
                return Ok(say_unusable(&queues, Exit::OK));
            }
        }
        let mut routes = RouteResolver::by_itself(self.layers, self.settings, self.args);
        let context = super::context(self.args, self.settings);
        let flushed = queues.flush(&mut routes, &context, &options)?;
        let named = !filter.ids.is_empty();
        if self.args.verbose > 0 {
            say(&flushed);
        } else {
            say_given_up(&flushed);
            if named {
                say_untried(&flushed);
            }
            // Nobody else would tell of it: it is no part of what became of the mail.
            let hooks = flushed.problems.iter().filter(|problem| {
                matches!(problem, QueueError::Hook { .. } | QueueError::Notice { .. })
            });
            hooks.for_each(|problem| complain(&failure::remark(&problem.to_string())));
        }
        let exit = if named && flushed.is_untried() {
            Exit::TEMPORARY
        } else {
            Exit::OK
        };
        Ok(say_unusable(&queues, exit))
    }
}

/// The mails that a filter means. What is held is meant only by its name, and then told.
fn wanted(filter: &Filter, items: &[Item]) -> Vec<String> {
    let within = |parts: &[String], text: &str| {
        parts.is_empty() || parts.iter().any(|part| text.contains(part.as_str()))
    };
    let wanted = |item: &&Item| {
        item.state != "failed"
            && (item.state != "held" || !filter.ids.is_empty())
            && within(&filter.ids, &item.id)
            && within(&filter.senders, &item.from)
            && item.to.iter().any(|to| within(&filter.recipients, to))
    };
    items
        .iter()
        .filter(wanted)
        .map(|item| item.id.clone())
        .collect()
}

/// Takes the mails of a dialogue.
struct SessionHandler<'a> {
    run: SendmailRun<'a>,
    /// One for all recipients of the dialogue: the files of aliases are read once.
    local: Local<'a>,
    client: &'a Client,
    wire: Wire<String>,
}

impl Acceptor for SessionHandler<'_> {
    fn sender(&mut self, _: Option<&Address>) -> Result<(), Answer> {
        Ok(())
    }

    fn recipient(&mut self, recipient: &Address) -> Result<(), Answer> {
        self.local
            .check_name(recipient)
            .map_err(|error| Answer::new(550, (5, 1, 1), error.to_string()))
    }

    fn message(&mut self, transaction: Transaction, from: &mut dyn Read) -> Result<String, Answer> {
        self.take(transaction, from)
            .map_err(|failure| self.client.answer(&failure, answer(&failure)))
    }
}

impl SessionHandler<'_> {
    fn take(&mut self, transaction: Transaction, from: &mut dyn Read) -> Result<String, Failure> {
        let raw = inject::read(from, false, None)?;
        let Some(ready) = self.run.finish(injection(transaction), raw)? else {
            return Ok("dropped".to_owned());
        };
        self.client.allows(&ready.route)?;
        let context = RunContext::default();
        let (mailer, message) = (ready.mailer(&self.run, &context), &ready.settled.message);
        let sent = match ready.queue(&self.run)? {
            Some(queues) => mailer.keep(&queues, message)?,
            None => mailer.send_directly(message),
        };
        match sent {
            Sent {
                exit: Exit::OK,
                id: Some(id),
                ..
            } => {
                let text = format!("queued as {id}");
                // Nobody listens only when the thread has ended early: then the next flush sends
                // it.
                let _ = self.wire.send(id);
                Ok(text)
            }
            Sent { exit: Exit::OK, .. } => Ok(format!("sent as {}", message.id)),
            Sent { error, exit, .. } => {
                Err(error.unwrap_or_else(|| Failure::new(exit, "the message was not accepted")))
            }
        }
    }
}

fn injection(transaction: Transaction) -> Injection {
    // What is asked for one recipient must not silence the reports about another: where they
    // differ, servers do as they always do.
    let notify = transaction
        .notify
        .first()
        .filter(|first| transaction.notify.iter().all(|asked| asked == *first));
    let notify = notify.and_then(Option::as_deref);
    let (dsn, notes) = Dsn::read_leniently(
        notify,
        transaction.ret.as_deref(),
        transaction.envid.as_deref(),
    );
    Injection {
        sender: transaction.sender.map_or(Sender::Null, Sender::Address),
        full_name: None,
        recipients: transaction
            .recipients
            .into_iter()
            .map(Mailbox::from)
            .collect(),
        dsn,
        notes,
    }
}

/// A failure as a reply: temporary where trying again can help, or where the fault is not the
/// mail's.
fn answer(failure: &Failure) -> Answer {
    let text = failure.line("sendmail");
    match failure.exit {
        Exit::USAGE | Exit::DATA => Answer::new(554, (5, 6, 0), text),
        Exit::NO_USER | Exit::REFUSED | Exit::NO_HOST => Answer::new(554, (5, 0, 0), text),
        Exit::CONFIG => Answer::new(451, (4, 3, 5), text),
        _ => Answer::new(451, (4, 3, 0), text),
    }
}
