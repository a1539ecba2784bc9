//! `--setup` in the environment of this process. The terminal answers, the
//! transport tries, and the first mail goes as every mail does.
use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::address::Mailbox;
use crate::cli::Args;
use crate::delivery::{Cause, Fault, Stage};
use crate::draft::{Body, Draft};
use crate::environment::{self, Environment};
use crate::failure::{self, Exit, Failure};
use crate::hints::{self};
use crate::language::Language;
use crate::mailrc::{self, Dialect};
use crate::route::{Route, resolve::resolve};
use crate::secret::{self, Secret, SecretSource, Terminal};
use crate::settings::value::Raw;
use crate::settings::{self, Layers, Origin, Override, Overrides, Settings, SettingsFiles, keys};
use crate::setup::autoconfig::{NoPage, Page};
use crate::setup::dns::Dns;
use crate::setup::messages::Messages;
use crate::setup::{
    self, Aborted, AssumeYes, Before, Done, LEAKS, Place, Prompter, Services, Setting, SetupError,
    SetupOptions, TrialError,
};
use crate::transport::{self, Event, RunContext, https, rehearsal};

use super::send::send;
use super::{author, complain, context, print};

/// Sets smail up.
///
/// # Errors
/// [`Failure`], and nothing was written.
pub(super) fn run(args: &Args, env: &Environment) -> Result<Exit, Failure> {
    let options = options(args, env)?;
    let layers = Layers::read(&with(args, typed(args)), env)?;
    let settings = layers.resolve(&[])?;
    let language = failure::language(&settings);
    let messages = Messages(language);
    let mut context = context(args, &settings);
    let place = place(args, env, &layers, &settings)?;
    let mut hear = |text: &str| {
        if args.from_mailrc.is_some() {
            print(&format!("{text}\n"));
        } else if args.verbose > 0 {
            complain(&format!("{text}\n"));
        }
    };
    let mut assume_yes = AssumeYes { hear: &mut hear };
    let mut keyboard = if args.yes {
        None
    } else {
        Some(Keyboard::open(args, &context)?)
    };
    if keyboard.is_some() {
        // The dialogue points out what is visibly wrong with a password when it is typed.
        context.observer = Some(Arc::new(super::terminal::Terminal::without_doubts(
            args, &settings,
        )));
    }
    let prompter: &mut dyn Prompter = match &mut keyboard {
        Some(keyboard) => keyboard,
        None => &mut assume_yes,
    };
    if let Some(named) = &args.from_mailrc {
        return from_mailrc(named.as_deref(), env, messages, &options, &place, prompter);
    }
    let (refusal, retyped) = (RefCell::new(None), Cell::new(false));
    let try_it = |said: &[Setting]| {
        rehearse(args, said, env, &context).map_err(|failure| {
            // Whoever goes on from here has typed a password, or wants none of this.
            retyped.set(true);
            failed_trial(failure, &context, &refusal)
        })
    };
    let sign_in = |said: &[Setting], name: Option<&str>| {
        let overrides = with(args, said.iter().map(Setting::found));
        let signed_in = super::login::sign_in(args, &overrides, name, env, &context);
        signed_in.map_err(|failure| failed_trial(failure, &context, &refusal))
    };
    let doubt = |preset: Option<&crate::providers::Preset>, user: &str, secret: &Secret| {
        let hint = hints::suspicious(preset.map(|preset| preset.id), user, secret.reveal())?;
        Some(format!(
            "{}; {}",
            hint.meaning(language),
            hint.action(language)
        ))
    };
    let fetch = |host: &str, target: &str| fetch(args, host, target, env, &context, language);
    let services = Services {
        directory: &Dns::of_machine(),
        web: &fetch,
        try_it: &try_it,
        sign_in: &sign_in,
        doubt: &doubt,
    };
    let done =
        setup::run(prompter, messages, &options, &place, services).map_err(|error| {
            match (&error, refusal.take()) {
                (SetupError::Refused(_), Some(failure)) => failure.fact("nothing was written"),
                (SetupError::Aborted(Aborted::Interrupted, _), _) => interrupted(error, &context),
                _ => Failure::from(error),
            }
        })?;
    let typed = done.secret.is_none() && retyped.get();
    conclude(args, env, messages, &place, &done, typed, prompter)
}

/// Shows what was written and what outranks it, and sends the first mail if that is wanted.
fn conclude(
    args: &Args,
    env: &Environment,
    messages: Messages,
    place: &Place,
    done: &Done,
    typed: bool,
    prompter: &mut dyn Prompter,
) -> Result<Exit, Failure> {
    if args.yes {
        print(&format!("# {}\n{}", done.config, done.shown));
    }
    if let Some(names) = outranking(args, env, done, typed) {
        let text = setup::outranked(messages, &names);
        if args.yes {
            complain(&failure::remark(&text));
        } else {
            prompter.say(&text);
        }
    }
    if !done.first_mail {
        return Ok(Exit::OK);
    }
    let exit = first_mail(args, env, messages, place, done)?;
    if exit == Exit::OK {
        prompter.say(&setup::sent(messages, done));
    }
    Ok(exit)
}

/// Why a trial came to nothing; its failure is kept for the exit status.
fn failed_trial(
    failure: Failure,
    context: &RunContext,
    refusal: &RefCell<Option<Failure>>,
) -> TrialError {
    if context.interrupt.load(Ordering::SeqCst) != 0 {
        return TrialError::Interrupted;
    }
    let text = failure.text();
    refusal.replace(Some(failure));
    TrialError::Failed(text.trim_end().to_owned())
}

/// Status 130 for Ctrl-C, and that of the signal otherwise.
fn interrupted(error: SetupError, context: &RunContext) -> Failure {
    let mut failure = Failure::from(error);
    if let Ok(signal @ 1..) = u8::try_from(context.interrupt.load(Ordering::SeqCst)) {
        failure.exit = Exit(128_u8.saturating_add(signal));
    }
    failure
}

fn options(args: &Args, env: &Environment) -> Result<SetupOptions, Failure> {
    let mut options = SetupOptions {
        address: args.setup.clone().flatten().or_else(|| args.from.clone()),
        account: args
            .account
            .as_ref()
            .map(|name| name.to_string_lossy().into_owned()),
        said: args.set.iter().map(|text| Setting::parse(text)).collect(),
        yes: args.yes,
        ..SetupOptions::default()
    };
    let handed = |error: secret::SecretError| {
        Failure::new(Exit::PERMISSION, format!("--password-from: {error}"))
    };
    match args.password_from.as_deref() {
        Some("stdin" | "-") => options.secret = Some(secret::from_stdin().map_err(handed)?),
        Some(command) => {
            SecretSource::parse_command(command).map_err(handed)?;
            options.command = Some(command.to_owned());
        }
        None => {
            let said = env
                .variables
                .get("SMAIL_AUTH_PASSWORD")
                .filter(|password| !password.is_empty());
            options.secret = said.map(|password| Secret::new(password.as_str()));
        }
    }
    Ok(options)
}

fn place(
    args: &Args,
    env: &Environment,
    layers: &Layers,
    settings: &Settings,
) -> Result<Place, Failure> {
    let own = || env.config.as_ref().map(|dir| dir.join("config.toml"));
    let config = args.config.clone().or_else(own).ok_or_else(|| {
        Failure::new(Exit::CREATE, "this user has no directory for settings")
            .hint("use `--config FILE` to name a file")
    })?;
    // Other programs are started from here, and files named in settings are found from anywhere.
    let config = std::path::absolute(&config).unwrap_or(config);
    let mut account_of_files = of_files(args);
    account_of_files.settings.clear();
    Ok(Place {
        config,
        home: env.home.clone(),
        programs: env
            .variables
            .get("PATH")
            .map(Into::into)
            .unwrap_or_default(),
        host: env
            .host
            .hostname
            .clone()
            .unwrap_or_else(|| "localhost".to_owned()),
        accounts: layers.account_names(),
        chosen: Layers::read(&account_of_files, env)?
            .resolve(&[])?
            .account
            .is_some(),
        leaks: LEAKS
            .iter()
            .copied()
            .filter(|name| settings.filled(name).is_some())
            .collect(),
    })
}

/// The settings of all files, whatever account these choose.
fn of_files(args: &Args) -> Overrides {
    let mut files = SettingsFiles::of(args);
    // A file that is to be made says nothing yet.
    if files.config.take_if(|path| !path.exists()).is_some() {
        files.none = true;
    }
    let noisy = Some(Override::verbose()).filter(|_| args.verbose > 0);
    Overrides {
        files,
        settings: std::iter::once(Override::parse("noaccount"))
            .chain(noisy)
            .collect(),
        ..Overrides::default()
    }
}

/// As [`of_files`], with these settings over them.
fn with(args: &Args, settings: impl IntoIterator<Item = Override>) -> Overrides {
    let mut overrides = of_files(args);
    overrides.settings.extend(settings);
    overrides
}

/// What `-S` sets.
fn typed(args: &Args) -> impl Iterator<Item = Override> {
    args.set.iter().map(|text| Override::parse(text))
}

/// Connects, logs in and names the sender, as a mail would.
fn rehearse(
    args: &Args,
    said: &[Setting],
    env: &Environment,
    context: &RunContext,
) -> Result<(), Failure> {
    let tried = with(args, said.iter().map(Setting::found));
    let settings = Layers::read(&tried, env)?.resolve(&[])?;
    let author = author(&settings, &env.user())?;
    let route = resolve(&settings, &author)?;
    let sender = settings::author::return_path(&settings, &author, &env.user())?;
    let message = super::check::message(&author, sender, Vec::new());
    let (via, faults) = rehearsal::rehearse(&route, &message, context, |_: Event<'_>| {});
    let context = failure::Context::new(&via, &settings);
    failure::account_for_faults(&faults, &context).map_or(Ok(()), Err)
}

/// The settings that tell where mail goes, as whom, and who logs in.
const OF_THE_WAY: &[&str] = &[
    "from",
    "smtp",
    "mta",
    "provider",
    "tls",
    "connect-to",
    "tls-fingerprint",
    "envelope-from",
    "auth",
    "auth-user",
    "auth-password-file",
    "auth-password-command",
    "oauth2-client-id",
    "oauth2-token-command",
];

/// The variables of the environment that say something else than what was written, and outrank it.
/// A password there is the one that was tried, unless another was typed.
fn outranking(args: &Args, env: &Environment, done: &Done, typed: bool) -> Option<String> {
    let overrides = Overrides {
        files: SettingsFiles {
            none: false,
            ..SettingsFiles::of(args)
        },
        account: done.account.as_ref().map(Into::into),
        ..Overrides::default()
    };
    let mut quiet = env.clone();
    quiet
        .variables
        .retain(|name, _| !name.starts_with("SMAIL_"));
    let settled = |env: &Environment| Layers::read(&overrides, env)?.resolve(&[]);
    let (Ok(with), Ok(without)) = (settled(env), settled(&quiet)) else {
        return None;
    };
    let names = OF_THE_WAY
        .iter()
        .chain(Some(&"auth-password").filter(|_| typed));
    let variables = names.filter_map(|name| match with.origin(name) {
        Some(Origin::Environment(variable)) if !with.agrees(&without, name) => {
            Some(variable.clone())
        }
        _ => None,
    });
    Some(variables.collect::<Vec<_>>().join(", ")).filter(|variables| !variables.is_empty())
}

/// Fetches a page by the proxy and with the roots that count for mail.
fn fetch(
    args: &Args,
    host: &str,
    target: &str,
    env: &Environment,
    context: &RunContext,
    language: Language,
) -> Result<Page, NoPage> {
    let ours = [
        format!("smtp=smtps://{host}"),
        format!("from=setup@{host}"),
        "auth=none".to_owned(),
    ];
    let ours = ours.iter().map(|text| Override::parse(text));
    let overrides = with(args, typed(args).chain(ours));
    let route = || {
        let settings = Layers::read(&overrides, env)?.resolve(&[])?;
        Ok(resolve(&settings, &author(&settings, &env.user())?)?)
    };
    let route = match route().map_err(|failure: Failure| NoPage::Because(failure.what))? {
        Route::Smtp(server) => server,
        other => return Err(NoPage::Because(transport::describe(&other))),
    };
    match https::get(&route, target, context) {
        Ok(page) => Ok(Page {
            status: page.status,
            location: page.location,
            body: page.body,
        }),
        Err(Cause::Interrupted(_)) => Err(NoPage::Interrupted),
        Err(cause) => Err(NoPage::Because(failure::on_one_line(
            &Fault::new(Stage::Connect, cause),
            language,
        ))),
    }
}

/// Sends the first mail on the common road, without the queue: somebody waits for its result.
fn first_mail(
    args: &Args,
    env: &Environment,
    messages: Messages,
    place: &Place,
    done: &Done,
) -> Result<Exit, Failure> {
    let password = done
        .secret
        .iter()
        .map(|secret| Override::found("auth-password", Raw::Secret(secret.clone())));
    let args = Args {
        account: done.account.as_ref().map(Into::into),
        config: args.config.clone(),
        no_queue: true,
        verbose: args.verbose,
        ..Args::default()
    };
    let mut overrides = Overrides::of(&args);
    overrides.settings.extend(password);
    let layers = Layers::read(&overrides, env)?;
    let settings = layers.resolve(&[])?;
    let author = author(&settings, &env.user())?;
    let route = resolve(&settings, &author)?;
    let (subject, text) = setup::first_mail(messages, done, &place.host);
    let draft = Draft {
        to: vec![Mailbox::from(author.address.clone())],
        return_path: Some(author.address.clone()),
        from: vec![author],
        subject: Some(subject),
        body: Body {
            text: Some(text.into_bytes().into()),
            ..Body::default()
        },
        ..Draft::default()
    };
    send(&args, &layers, &settings, env, &route, draft)
}

fn from_mailrc(
    named: Option<&Path>,
    env: &Environment,
    messages: Messages,
    options: &SetupOptions,
    place: &Place,
    prompter: &mut dyn Prompter,
) -> Result<Exit, Failure> {
    let path = named
        .map(Path::to_owned)
        .or_else(|| settings::user_rc(env))
        .ok_or_else(|| {
            Failure::new(Exit::NO_INPUT, "this user has no mail.rc")
                .hint("use `--from-mailrc=/etc/mail.rc` to name another")
        })?;
    let grammar = mailrc::Context {
        home: env.home.as_deref(),
        stdin_is_terminal: false,
        variables: &|name| env.variables.get(name).cloned(),
        known: &keys::is_known,
        dialect: Dialect::Old,
    };
    let read = mailrc::read(&path, &grammar);
    let read =
        read.map_err(|error| Failure::new(Exit::NO_INPUT, format!("{}: {error}", path.display())))?;
    let routes = |text: &str| routes(&path, text, env);
    let before = Before {
        path: &path,
        read: &read,
        routes: &routes,
    };
    setup::from_mailrc(prompter, messages, options, place, &before)?;
    Ok(Exit::OK)
}

/// Where mail goes by a mail.rc alone, and by a text in its stead.
fn routes(path: &Path, text: &str, env: &Environment) -> (String, String) {
    let mut env = env.clone();
    env.host.config = None;
    env.variables
        .insert("MAILRC".to_owned(), path.display().to_string());
    let way = |files: SettingsFiles| -> Result<String, Failure> {
        let overrides = Overrides {
            files,
            ..Overrides::default()
        };
        let settings = Layers::read(&overrides, &env)?.resolve(&[])?;
        Ok(transport::describe(&resolve(
            &settings,
            &author(&settings, &env.user())?,
        )?))
    };
    let or_why = |way: Result<String, Failure>| {
        way.unwrap_or_else(|failure| format!("no route ({})", failure.what))
    };
    let before = way(SettingsFiles {
        resource_files: Some("u".to_owned()),
        ..SettingsFiles::default()
    });
    // The secrets of this text are struck out.
    let after = tempfile::NamedTempFile::new().ok().and_then(|file| {
        std::fs::write(file.path(), text).ok()?;
        let config = Some(PathBuf::from(file.path()));
        Some(way(SettingsFiles {
            config,
            resource_files: Some("/".to_owned()),
            ..SettingsFiles::default()
        }))
    });
    (
        or_why(before),
        after.map_or_else(|| "no route".to_owned(), or_why),
    )
}

/// The controlling terminal.
struct Keyboard {
    terminal: Terminal,
}

impl Keyboard {
    fn open(args: &Args, context: &RunContext) -> Result<Self, Failure> {
        let nobody = |why: &str| {
            Failure::new(Exit::USAGE, format!("`--setup` asks questions, but {why}"))
                .hint("without a terminal: smail --setup me@example.org --yes --password-from stdin < password")
        };
        // A script without a terminal of its own must not ask on that of whoever started it.
        if args.password_from.is_none() && !environment::stdin_is_terminal() {
            return Err(nobody("standard input is not a terminal"));
        }
        let terminal = Terminal::open(Arc::clone(&context.interrupt))
            .map_err(|why| nobody(&format!("there is {why}")))?;
        Ok(Keyboard { terminal })
    }

    fn gone<T>(&self, answer: std::io::Result<T>) -> Result<T, Aborted> {
        answer.map_err(|error| {
            self.terminal.say("\n");
            if error.kind() == ErrorKind::UnexpectedEof {
                Aborted::Left
            } else {
                Aborted::Interrupted
            }
        })
    }
}

impl Prompter for Keyboard {
    fn say(&mut self, text: &str) {
        self.terminal.say(&format!("{text}\n"));
    }

    fn ask(&mut self, question: &str, default: Option<&str>) -> Result<String, Aborted> {
        let default = default.map_or_else(String::new, |default| format!(" [{default}]"));
        let answer = self.terminal.ask(&format!("{question}{default}: "));
        self.gone(answer)
    }

    fn secret(&mut self, question: &str) -> Result<Secret, Aborted> {
        let answer = self.terminal.ask_secret(&format!("{question}: "));
        self.gone(answer)
    }
}
