//! Every flag once: what was typed, and nothing it means.
//!
//! Promise: [`parse`] reads the command line of mailx in the forms of Heirloom mailx, s-nail, bsd-mailx and GNU mail
//! (spec/mailx.md section 1) and smail's own long names. It opens no file. Refuses reading-mode flags, as smail only sends.
//! The doc comment of a flag is its help text and its line in the man page.
mod mailx;

pub use mailx::{Args, Artifact};

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

/// Why the command line is not understood, or what to print instead of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Text for standard output; all is well (`--help`, `--version`).
    Print(String),
    /// A mistake: what is wrong, and the way out.
    Usage {
        /// A lowercase fragment.
        what: String,
        /// What would be right, when that is known.
        hint: Option<String>,
    },
}

impl Stop {
    fn usage(what: impl Into<String>) -> Self {
        Stop::Usage { what: what.into(), hint: None }
    }
}

/// Reads a command line; the first word is the name smail was called by. As `mailq` and `sendmail -bp` it lists the queue, as
/// `sendmail -q` it sends what is due.
///
/// # Errors
/// [`Stop`], also for `--help` and `--version`.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Args, Stop> {
    let words: Vec<OsString> = words.into_iter().collect();
    let name = words.first().map(std::path::Path::new).and_then(std::path::Path::file_name);
    let is = |wanted: &str| name.is_some_and(|name| name == wanted);
    // What monitoring and cron ask a sendmail for; its other ways of being called are not known here.
    let asks = |flag: &str| is("sendmail") && words.iter().skip(1).any(|word| word == flag);
    let mailq = is("mailq") || asks("-bp");
    if asks("-bp") || asks("-q") {
        return Ok(Args { mailq, flush: !mailq, ..Args::default() });
    }
    let matches = Args::command().try_get_matches_from(words).map_err(|e| stop(&e))?;
    let mut args = Args::from_arg_matches(&matches).map_err(|e| stop(&e))?;
    args.mailq = mailq;
    args.settle()?;
    Ok(args)
}

/// The command as clap knows it, for the man page and the completions.
pub fn command() -> clap::Command {
    Args::command()
}

fn stop(error: &clap::Error) -> Stop {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Print(error.render().to_string()),
        kind => Stop::Usage { what: complaint(kind, error), hint: suggestion(error) },
    }
}

/// What is wrong in the words of smail: clap's own text spans lines and repeats the usage.
fn complaint(kind: ErrorKind, error: &clap::Error) -> String {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.split_whitespace().next().unwrap_or_default().to_owned()),
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
            format!("`{}` is no value for `{flag}`", value.escape_debug())
        }
        ErrorKind::NoEquals => format!("the value of `{flag}` is written `{flag}=VALUE`"),
        ErrorKind::TooManyValues => format!("`{flag}` takes no value"),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        ErrorKind::ArgumentConflict => {
            let other = word(ContextKind::PriorArg).unwrap_or_default();
            format!("`{flag}` cannot be used together with `{other}`")
        }
        _ => error.render().to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
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
