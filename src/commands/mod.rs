//! The commands: one file for each thing that a command line can ask for, and what they share.
//!
//! Promise: the road goes one way, from the command line to an exit status; a failure is said once,
//! in the form that the caller asked for.
use std::process::ExitCode;
use std::sync::Arc;

use crate::address::Mailbox;
use crate::cli::{self, Args, Command};
use crate::draft;
use crate::environment::{self, Environment};
use crate::failure::{self, Exit, Failure};
use crate::settings::{self, Layers, Settings};
use crate::transport::RunContext;
use crate::{children, generate, report};

mod check;
mod client;
mod copy;
mod deliver;
mod explain;
mod login;
mod maillog;
mod notice;
mod open_queue;
mod privileges;
mod queue;
mod send;
mod sendmail;
mod setup;
mod show;
mod terminal;

use terminal::{Terminal, complain, print};

/// Runs the program: what was typed decides which command, and its failure which exit status.
pub fn run() -> ExitCode {
    failure::apologise_on_panic();
    let words: Vec<_> = environment::words();
    let sendmail = cli::is_sendmail(&words);
    let exit = match privileges::check()
        .and_then(|()| Ok(cli::parse(words.clone())?))
        .and_then(|args| dispatch(&args))
    {
        Ok(exit) => exit,
        // Help and version end the road early and well.
        Err(stop) if stop.exit == Exit::OK => {
            print(&stop.what);
            Exit::OK
        }
        Err(failure) => {
            // Looked for only now: a run that goes well need not know its flags twice.
            let json = !sendmail && cli::has_switch(&words, "json");
            if json && cli::has_switch(&words, "check") {
                print(&crate::check::untried(failure.exit.0, &failure.text()));
            } else if json {
                print(&report::untried(
                    failure.exit.0,
                    None,
                    Some(&failure.text()),
                ));
            }
            complain(&if sendmail {
                failure.line("sendmail")
            } else {
                failure.text()
            });
            failure.exit
        }
    };
    ExitCode::from(exit.0)
}

fn dispatch(args: &Args) -> Result<Exit, Failure> {
    let env = Environment::of_process();
    match Command::of(args) {
        Command::Generate(artifact) => {
            print(&generate::print(artifact));
            Ok(Exit::OK)
        }
        Command::Sendmail(request) => {
            sendmail::run(args, request, &Layers::load(args, &env)?, &env)
        }
        Command::Setup => setup::run(args, &env),
        Command::Login => login::run(args, &env),
        Command::Token => login::print_token(args, &env),
        Command::Explain(text) => explain::run(args, text, &env),
        Command::Check => check::run(args, &Layers::load(args, &env)?.resolve(&[])?, &env),
        command => {
            draft::check(args)?;
            let layers = Layers::load(args, &env)?;
            let settings = layers.resolve(&[])?;
            match command {
                Command::ShowSettings => Ok(show::run(args, &settings, &env)),
                Command::Queue => {
                    let context = context(args, &settings);
                    queue::errand(args, &layers, &settings, &env, &context)
                }
                _ => send::run(args, &layers, settings, &env),
            }
        }
    }
}

fn author(settings: &Settings, user: &str) -> Result<Mailbox, Failure> {
    let authors = settings::author::authors(settings, user)?;
    authors
        .into_iter()
        .next()
        .ok_or_else(|| Failure::new(Exit::CONFIG, "from contains no address"))
}

/// What a run shares: signals, the secrets to be struck out, and the terminal that observes it.
fn context(args: &Args, settings: &Settings) -> RunContext {
    // A file that grew too large must be an error to clean up after, and not the end of the
    // process.
    let ignored = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, ignored);
    let context = RunContext {
        // Until now a signal has ended the process at once.
        interrupt: children::watched(),
        observer: Some(Arc::new(Terminal::new(args, settings))),
        ..RunContext::default()
    };
    // A program that stands in for a server may print what it was started with or found in the same
    // files.
    for secret in settings::secrets_at_hand(settings) {
        context.redactor.add_for_programs(&secret);
    }
    context
}

fn remarks(args: &Args, settings: &Settings, warnings: &[String]) {
    if args.quiet {
        return;
    }
    let notes = if settings.flag("verbose") || settings.flag("debug") {
        settings.notes.as_slice()
    } else {
        &[]
    };
    for remark in warnings.iter().chain(notes) {
        complain(&failure::remark(remark));
    }
}
