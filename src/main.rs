//! The road of smail on one page: read everything, settle what it means, write the mail, speak to
//! the server, say what became of it. Nothing turns back.
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use smail::address::{Address, Mailbox};
use smail::cli::{self, Args, Command};
use smail::delivery::{Fault, Line};
use smail::draft::{self, Draft, DraftError, Input};
use smail::environment::{self, Environment, certificates};
use smail::failure::{self, Exit, Failure};
use smail::message::{Message, Stamp};
use smail::route::{Route, resolve::resolve};
use smail::settings::{self, Layers, Settings};
use smail::text::word;
use smail::transport::{self, Turn, Watch};
use smail::{check, children, generate, record, report};

#[path = "main/checked.rs"]
mod checked;
#[path = "main/client.rs"]
mod client;
#[path = "main/errands.rs"]
mod errands;
#[path = "main/explained.rs"]
mod explained;
#[path = "main/handed.rs"]
mod handed;
#[path = "main/logged.rs"]
mod logged;
#[path = "main/notified.rs"]
mod notified;
#[path = "main/queued.rs"]
mod queued;
#[path = "main/set_up.rs"]
mod set_up;
#[path = "main/terminal.rs"]
mod terminal;

use terminal::{complain, print};

/// Lets the TLS library look roots up in the hashed folder alone: it would read the bundle beside
/// it twice, which takes as long as everything else ten times over, and it takes no such wish but
/// by the environment.
#[expect(
    unsafe_code,
    reason = "the environment is the only place where the TLS library looks; see SAFETY"
)]
#[expect(
    clippy::disallowed_methods,
    reason = "the one exception: before anything has read the environment"
)]
fn spare_the_bundle() {
    if let Some((name, value)) = certificates::to_set() {
        // SAFETY: the first statement of the program: no other thread exists that could read the
        // environment meanwhile.
        unsafe { std::env::set_var(name, value) };
    }
}

fn main() -> ExitCode {
    spare_the_bundle();
    failure::apologise_on_panic();
    let words: Vec<_> = environment::words();
    let sendmail = cli::is_sendmail(&words);
    let exit = match unprivileged()
        .and_then(|()| Ok(cli::parse(words.clone())?))
        .and_then(|args| run(&args))
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
                print(&check::untried(failure.exit.0, &failure.text()));
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

/// Whoever runs smail chooses files, programs and servers: with the rights of another, these would
/// be the other's.
fn unprivileged() -> Result<(), Failure> {
    if environment::has_rights_of_another() {
        let what = "smail runs with the rights of another user or group, which it is not made for";
        let hint = "chmod ug-s on the program; it needs no rights of its own";
        return Err(Failure::new(Exit::PERMISSION, what).hint(hint));
    }
    if has_capabilities_of_file() {
        let what = "smail runs with capabilities that its file gives, which it is not made for";
        let hint = "setcap -r on the program; it needs no rights of its own";
        return Err(Failure::new(Exit::PERMISSION, what).hint(hint));
    }
    Ok(())
}

/// Whether this program has capabilities that its caller did not hand down: only the file can have
/// given them (capabilities(7)). The kernel says so in `AT_SECURE` too, but to C programs only.
#[cfg(target_os = "linux")]
fn has_capabilities_of_file() -> bool {
    use rustix::thread::{CapabilitySet, capabilities, capability_is_in_ambient_set};
    if environment::is_called_by_root() {
        return false;
    }
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.permitted);
    held.iter()
        .any(|one| !capability_is_in_ambient_set(one).unwrap_or(false))
}

#[cfg(not(target_os = "linux"))]
fn has_capabilities_of_file() -> bool {
    false
}

fn run(args: &Args) -> Result<Exit, Failure> {
    let command = Command::of(args);
    let env = Environment::of_process();
    match command {
        Command::Generate(artifact) => {
            print(&generate::print(artifact));
            Ok(Exit::OK)
        }
        Command::Sendmail(request) => handed::run(args, request, &Layers::load(args, &env)?, &env),
        Command::Setup => set_up::run(args, &env),
        Command::Explain(text) => explained::run(args, text, &env),
        Command::Check => checked::run(args, &Layers::load(args, &env)?.resolve(&[])?, &env),
        Command::ShowSettings | Command::Queue | Command::Send => {
            draft::check(args)?;
            let layers = Layers::load(args, &env)?;
            let settings = layers.resolve(&[])?;
            match command {
                Command::ShowSettings => {
                    show_settings(args, &settings, &env);
                    Ok(Exit::OK)
                }
                Command::Queue => {
                    let watch = watch(args, &settings);
                    errands::errand(args, &layers, &settings, &env, &watch)
                }
                _ => send_input(args, &layers, settings, &env),
            }
        }
    }
}

/// Sends what standard input and the command line hold.
fn send_input(
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
    logged::note_dropped(settings, args);
    if args.json {
        print(&report::untried(0, None, None));
    }
    if args.verbose > 0 || settings.flag("debug") {
        complain(&failure::remark(&DraftError::Dropped.to_string()));
    }
    Exit::OK
}

fn author(settings: &Settings, user: &str) -> Result<Mailbox, Failure> {
    let authors = settings::author::authors(settings, user)?;
    authors
        .into_iter()
        .next()
        .ok_or_else(|| Failure::new(Exit::CONFIG, "from names nobody"))
}

/// From the draft to the end of the road.
fn send(
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
        .ok_or_else(|| Failure::new(Exit::CONFIG, "from names nobody"))?;
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
    let watch = watch(args, settings);
    let post = queued::Post {
        args,
        layers,
        settings,
        route,
        watch: &watch,
        author: &author,
        subject: &subject,
    };
    // A file on this host is as safe as the queue would be.
    let travels = matches!(route, Route::Smtp(_) | Route::Program(_));
    let queues = if travels {
        queued::open(args, settings, env)?
    } else {
        None
    };
    let sent = match queues {
        Some(queues) => post.send(queues, &message)?,
        None => post.send_directly(&message),
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
                let hint = |fault: &Fault| failure::hint(fault, report, settings);
                let explain = report::Explain {
                    hint: &hint,
                    language: failure::language(settings),
                };
                report::summary(&message.id, report, exit.0, id, error, &explain)
            }
            None => report::untried(exit.0, id, error),
        });
    }
    Ok(exit)
}

/// What looks on while mail travels: signals, the dialogue under `-v`, and, unless that is
/// unwanted, a word on what is visibly wrong with a password and on how far a long message is.
fn watch(args: &Args, settings: &Settings) -> Watch {
    // Until now a signal has ended the process at once.
    let mut watch = Watch {
        interrupt: children::watched(),
        ..Watch::default()
    };
    // A file that grew too large must be an error to clean up after, and not the end of the
    // process.
    let ignored = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, ignored);
    if settings.flag("verbose") {
        watch.trace = Some(Arc::new(|line: &Line| complain(&report::spoken(line))));
    }
    // A program that stands in for a server may print what it was started with or found in the same
    // files.
    for secret in settings::secrets_at_hand(settings) {
        watch.redactor.add_for_programs(&secret);
    }
    if !args.quiet {
        let language = failure::language(settings);
        watch.suspect = Some(Arc::new(move |hint| {
            complain(&failure::suspicion(hint, language))
        }));
        watch.progress = terminal::progress().filter(|_| args.sendmail.is_none());
    }
    watch
}

/// The message on standard output, what is not part of it on standard error.
fn dry_run(settings: &Settings, message: &Message, route: &Route) -> Result<Exit, Failure> {
    let sender = message
        .envelope
        .sender
        .as_ref()
        .map_or_else(String::new, Address::to_string);
    let mut lines = format!(
        "-- nothing is sent: this is a dry run\n-- route: {}\n-- from: <{}>\n",
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
    let printed =
        transport::open(&Route::Stdout, &Watch::default()).deliver(message, Turn::Last, &mut ());
    failure::account_for(&printed, settings).map_or(Ok(Exit::OK), Err)
}

/// What a copy on this host needs of a draft before it becomes a message.
struct Copy {
    /// How many recipients the headers show; those behind them in the envelope are Bcc.
    shown: usize,
    /// The first recipient's name, for `-F`.
    first: Option<String>,
}

impl Copy {
    fn of(args: &Args, draft: &Draft) -> Self {
        let shown: BTreeSet<String> = draft
            .to
            .iter()
            .chain(&draft.cc)
            .map(|m| m.address.key())
            .collect();
        let first = draft.to.iter().chain(&draft.cc).chain(&draft.bcc).next();
        Copy {
            shown: shown.len(),
            first: first
                .filter(|_| args.record_by_recipient)
                .map(|m| m.address.local().replace('/', "_")),
        }
    }

    /// Keeps the copies that settings ask for. A copy that cannot be kept never undoes a mail that
    /// was sent.
    fn keep(
        &self,
        args: &Args,
        settings: &Settings,
        message: &Message,
        stamp: &Stamp,
        sent: &queued::Sent,
    ) -> Exit {
        let mut exit = Exit::OK;
        let bcc = message
            .envelope
            .recipients
            .get(self.shown..)
            .unwrap_or_default();
        for path in self.places(args, settings, sent) {
            let outcome = if sent.lost {
                "the mail was not sent and"
            } else {
                "the mail was sent, but"
            };
            let kept = record::append(&path, message, stamp.now, bcc)
                .with_context(|| format!("{outcome} no copy could be kept in {}", path.display()));
            if let Err(error) = kept {
                let failure = Failure::from(error);
                complain(&failure.text());
                exit = failure.exit;
            }
        }
        exit
    }

    fn places(
        &self,
        args: &Args,
        settings: &Settings,
        sent: &queued::Sent,
    ) -> Vec<std::path::PathBuf> {
        if sent.lost {
            let letter = || {
                settings
                    .path("dead-letter")
                    .unwrap_or_else(|| settings.expand("~/dead.letter"))
            };
            return settings.flag("save").then(letter).into_iter().collect();
        }
        let folder = settings
            .path("folder")
            .unwrap_or_else(|| settings.expand("~"));
        let in_folder = settings.flag("record-in-folder");
        let place = |name: &str| match name.strip_prefix('+') {
            Some(name) => folder.join(name),
            None if in_folder && !name.starts_with(['/', '~']) => folder.join(name),
            None => settings.expand(name),
        };
        // A mail with this key was recorded when it was taken; one that was refused is no copy of
        // sent mail.
        let taken = sent.report.is_none() && args.idempotency_key.is_some();
        if taken
            || !matches!(sent.exit, Exit::OK) && sent.report.as_ref().is_some_and(|r| !r.any_done())
        {
            return Vec::new();
        }
        settings
            .filled("record")
            .into_iter()
            .chain(self.first.clone())
            .map(|name| place(&name))
            .collect()
    }
}

fn show_settings(args: &Args, settings: &Settings, env: &Environment) {
    let mut text = settings::show(settings, args.verbose > 0);
    let route = author(settings, &env.user()).and_then(|author| Ok(resolve(settings, &author)?));
    let route = route.map_or_else(|failure| failure.what, |route| transport::describe(&route));
    text.push_str("\n# mail goes by ");
    text.push_str(&word(&route));
    text.push('\n');
    print(&text);
    remarks(args, settings, &settings.warnings);
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
