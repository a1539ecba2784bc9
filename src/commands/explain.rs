//! What failures mean, without a mail: `--explain`.
//!
//! Promise: sends nothing, and no settings can stop it: what can be read of them tells the language
//! and the provider, and what cannot is passed over.
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use crate::cli::Args;
use crate::environment::Environment;
use crate::failure::{self, Exit, Failure};
use crate::hints::{self, Explanation};
use crate::language::Language;
use crate::mime::charset;
use crate::providers;
use crate::report;
use crate::route::url;
use crate::settings::{Layers, Origin, Overrides, Settings, SettingsError};

use super::print;

/// The most that is read of standard input, in bytes: more than a log that anybody pipes on
/// purpose.
const MOST: u64 = 64 << 20;

/// Explains what the command line or standard input holds.
///
/// # Errors
/// A provider that is none, standard input that cannot be read, or a text of which nothing is
/// known.
pub(super) fn run(args: &Args, said: &OsStr, env: &Environment) -> Result<Exit, Failure> {
    let is_known =
        |name: &str| providers::all().any(|preset| preset.id == name || preset.family == name);
    if let Some(name) = args.provider.as_deref().filter(|name| !is_known(name)) {
        let why = format!(
            "unknown provider `{}`",
            crate::text::word(&url::masked(name))
        );
        return Err(Failure::new(Exit::USAGE, format!("--provider: {why}")));
    }
    let settings = readable(args, env);
    let language = settings
        .as_ref()
        .map_or_else(|| Language::of(env.locale()), failure::language);
    let ours = settings.as_ref().and_then(Settings::provider);
    let provider = |hosts: &[&str]| {
        let named = || {
            hosts
                .iter()
                .find_map(|host| providers::by_host(host).or_else(|| providers::by_mx(host)))
        };
        args.provider
            .clone()
            .or_else(|| Some(named()?.id.to_owned()))
            .or_else(|| ours.map(str::to_owned))
    };
    let mut found = hints::explain(&text(args, said)?, &provider);
    found.retain(|one| one.hint.is_some());
    if args.json {
        // The empty list is all that a program needs; a second document would spoil the first.
        print(&report::explained_json(&found, language));
        return Ok(if found.is_empty() {
            Exit::DATA
        } else {
            Exit::OK
        });
    }
    print(&report::explained(&found, language, &password));
    if found.is_empty() {
        return Err(
            Failure::new(Exit::DATA, "nothing in this text was recognized")
                .hint("give it a code (535, 5.7.1), a complete reply, a log or a bounce message"),
        );
    }
    Ok(Exit::OK)
}

/// Where the provider has the password that it wants, for a login that was refused.
fn password(found: &Explanation) -> Option<String> {
    let name = found
        .provider
        .as_deref()
        .filter(|_| found.is_refused_login())?;
    let preset =
        providers::by_id(name).or_else(|| providers::all().find(|preset| preset.family == name))?;
    preset.credential_beyond(found.hint.map_or("", |hint| hint.action(Language::English)))
}

/// The settings, as far as they can be read.
fn readable(args: &Args, env: &Environment) -> Option<Settings> {
    // A family of providers explains as well, and is no setting.
    let mut overrides = Overrides::of(args);
    overrides
        .settings
        .retain(|one| one.origin != Origin::Flag("--provider".to_owned()));
    let settle =
        || -> Result<Settings, SettingsError> { Layers::read(&overrides, env)?.resolve(&[]) };
    settle().ok()
}

/// What is to be explained: the words of the command line, else standard input, line by line in
/// whatever charset.
fn text(args: &Args, said: &OsStr) -> Result<String, Failure> {
    // `--explain --json 535`: the option got no word of its own.
    let said = Some(said.to_owned()).filter(|said| said != "-" || args.operands.is_empty());
    let words: Vec<OsString> = said
        .into_iter()
        .chain(args.operands.iter().map(OsString::from))
        .collect();
    let mut bytes = words.join(OsStr::new(" ")).as_bytes().to_vec();
    if bytes == b"-" {
        bytes.clear();
        let read = std::io::stdin().lock().take(MOST).read_to_end(&mut bytes);
        read.map_err(|error| Failure::new(Exit::NO_INPUT, format!("standard input: {error}")))?;
    }
    let lines: Vec<String> = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| charset::legible(line.to_vec()))
        .collect();
    Ok(lines.join("\n"))
}
