//! Every flag once: what was typed, and nothing it means.
//!
//! Promise: [`parse`] reads the command line of mailx in the forms of Heirloom mailx, s-nail,
//! bsd-mailx and GNU mail and smail's own long names. It opens no file.
//! Refuses reading-mode flags, as smail only sends. The doc comment of a flag is its help text and
//! its line in the man page.
mod mailx;
pub mod sendmail;
mod validate;

pub use mailx::{Args, Artifact};

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory, FromArgMatches};

/// Why the command line is not understood, or what to print instead of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Text for standard output; all is well (`--help`, `--version`).
    Print(String),
    /// A mistake: what is wrong, and the way out.
    Usage {
        /// A lowercase fragment.
        what: String,
        /// What would be right, when that is known.
        hint: Option<String>,
    },
    /// A mode in which sendmail would stay and serve: as it was typed.
    Daemon(String),
}

impl Error {
    fn usage(what: impl Into<String>) -> Self {
        Error::Usage {
            what: what.into(),
            hint: None,
        }
    }
}

/// What smail is when it is called by another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Personality {
    /// The flags of mailx.
    Mailx,
    /// Those of sendmail, in a mode that the name implies.
    Sendmail(sendmail::Mode),
}

/// The names, by which smail is called or which `--as` gives.
const NAMES: &[(&str, Personality)] = &[
    ("sendmail", Personality::Sendmail(sendmail::Mode::Deliver)),
    ("send-mail", Personality::Sendmail(sendmail::Mode::Deliver)),
    ("mailq", Personality::Sendmail(sendmail::Mode::List)),
    ("newaliases", Personality::Sendmail(sendmail::Mode::Aliases)),
    ("runq", Personality::Sendmail(sendmail::Mode::Flush)),
    ("mail", Personality::Mailx),
    ("mailx", Personality::Mailx),
];

fn personality(name: &str) -> Option<Personality> {
    NAMES.iter().find(|row| row.0 == name).map(|row| row.1)
}

/// The personality that the name in the first word has.
fn given(words: &[OsString]) -> Option<Personality> {
    let name = words
        .first()
        .map(std::path::Path::new)
        .and_then(std::path::Path::file_name);
    name.and_then(std::ffi::OsStr::to_str).and_then(personality)
}

/// Reads a command line; the first word is the name smail was called by. `--as NAME` in the second
/// place gives it another one where it has none of [`NAMES`]: text of strangers may stand anywhere
/// else, and in all of a caller's words to sendmail.
///
/// # Errors
/// [`Error`], also for `--help` and `--version`.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Args, Error> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let mut known = given(&words);
    if known.is_none() && words.get(1).is_some_and(|word| word == "--as") {
        let name = words
            .get(2)
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        known = Some(personality(&name).ok_or_else(|| Error::Usage {
            what: format!("smail cannot be called as `{}`", crate::text::word(&name)),
            hint: Some(format!(
                "the names are {}",
                NAMES.iter().map(|row| row.0).collect::<Vec<_>>().join(", ")
            )),
        })?);
        words.drain(1..3);
    }
    if let Some(Personality::Sendmail(mode)) = known {
        let mut request = sendmail::parse(words.get(1..).unwrap_or_default())?;
        if mode != sendmail::Mode::Deliver {
            request.mode = mode;
        }
        let (verbose, quiet) = (u8::from(request.verbose), !request.verbose);
        return Ok(Args {
            verbose,
            quiet,
            sendmail: Some(Box::new(request)),
            ..Args::default()
        });
    }
    drop_commands(&mut words);
    let matches = Args::command()
        .try_get_matches_from(words)
        .map_err(|e| stop(&e))?;
    let mut args = Args::from_arg_matches(&matches).map_err(|e| stop(&e))?;
    args.attachment_names = attachment_names(&args.content_filename, &matches);
    args.validate()?;
    Ok(args)
}

/// The name that each `-a`, and then `-A`, has from the last `--content-filename` in front of it; a
/// name counts once.
fn attachment_names(names: &[String], matches: &ArgMatches) -> Vec<Option<String>> {
    let places =
        |id: &str| -> Vec<usize> { matches.indices_of(id).into_iter().flatten().collect() };
    let mut files: Vec<usize> = places("attach");
    files.extend(places("account").last());
    let mut found = vec![None; files.len()];
    for (name, place) in names.iter().zip(places("content_filename")) {
        let next = (0..files.len())
            .filter(|at| files[*at] > place)
            .min_by_key(|at| files[*at]);
        if let Some(at) = next {
            found[at] = Some(name.clone());
        }
    }
    found
}

/// Takes out `-E COMMAND` of GNU mail (`-E 'set escape'`), whose commands mean nothing here;
/// everywhere else `-E` has no value.
fn drop_commands(words: &mut Vec<OsString>) {
    let is_command = |word: &OsString| {
        word.to_str()
            .is_some_and(|word| word.contains(' ') && !word.contains('@'))
    };
    let mut kept = Vec::with_capacity(words.len());
    let mut rest = std::mem::take(words).into_iter().peekable();
    kept.extend(rest.next());
    while let Some(word) = rest.next_if(|word| word != "--") {
        if word == "-E" && rest.next_if(is_command).is_some() {
            continue;
        }
        kept.push(word);
    }
    kept.extend(rest);
    *words = kept;
}

/// Tells whether a command line is sendmail's, also when it cannot be read: its errors have one
/// line.
pub fn is_sendmail(words: &[OsString]) -> bool {
    let known = given(words).or_else(|| match words.get(1) {
        Some(word) if word == "--as" => personality(words.get(2)?.to_str()?),
        _ => None,
    });
    matches!(known, Some(Personality::Sendmail(_)))
}

/// Tells whether a command line has a switch, also when it cannot be read: not as the value of
/// another flag, and not behind `--`.
pub fn has_switch(words: &[OsString], switch: &str) -> bool {
    let command = Args::command();
    let takes = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    let long = |name: &str| {
        command
            .get_arguments()
            .any(|arg| arg.get_long() == Some(name) && takes(arg))
    };
    let short = |letter: char| {
        command
            .get_arguments()
            .any(|arg| arg.get_short() == Some(letter) && takes(arg))
    };
    let mut words = words
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy())
        .take_while(|word| word != "--");
    while let Some(word) = words.next() {
        let value_follows = match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(name), _) if name == switch => return true,
            (Some(name), _) => long(name),
            // The rest of a word behind such a letter is its value.
            (None, Some(letters)) => letters
                .find(short)
                .is_some_and(|at| letters[at..].chars().count() == 1),
            (None, None) => false,
        };
        if value_follows {
            words.next();
        }
    }
    false
}

/// The command as clap knows it, for the man page and the completions.
pub fn command() -> clap::Command {
    Args::command()
}

fn stop(error: &clap::Error) -> Error {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Error::Print(error.render().to_string())
        }
        kind => Error::Usage {
            what: complaint(kind, error),
            hint: suggestion(error),
        },
    }
}

/// What is wrong in the words of smail: clap's own text spans lines and repeats the usage.
fn complaint(kind: ErrorKind, error: &clap::Error) -> String {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(
            word.split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned(),
        ),
        Some(ContextValue::Strings(words)) => words.first().cloned(),
        _ => None,
    };
    let flag = word(ContextKind::InvalidArg).unwrap_or_default();
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => value.clone(),
        _ => String::new(),
    };
    match kind {
        ErrorKind::UnknownArgument => format!("there is no option `{flag}`"),
        ErrorKind::InvalidValue if value.is_empty() => format!("`{flag}` needs a value"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("`{}` is no value for `{flag}`", crate::text::word(&value))
        }
        ErrorKind::NoEquals => format!("the value of `{flag}` is written `{flag}=VALUE`"),
        ErrorKind::TooManyValues => format!("`{flag}` takes no value"),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        ErrorKind::ArgumentConflict => {
            let other = word(ContextKind::PriorArg).unwrap_or_default();
            format!("`{flag}` cannot be used together with `{other}`")
        }
        _ => error
            .render()
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    }
}

fn suggestion(error: &clap::Error) -> Option<String> {
    let listed = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        Some(ContextValue::Strings(words)) if !words.is_empty() => Some(words.join("`, `")),
        _ => None,
    };
    if let Some(near) = listed(ContextKind::SuggestedArg) {
        return Some(format!("did you mean `{near}`?"));
    }
    listed(ContextKind::ValidValue).map(|valid| format!("possible values are `{valid}`"))
}

#[cfg(test)]
mod tests;
