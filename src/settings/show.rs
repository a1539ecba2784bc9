//! Prints every setting with its value and where it was said; secrets never.
use std::fmt::Write as _;

use super::keys::{KEYS, Key, Kind};
use super::{Assignment, Settings, text_of};
use crate::route::url;
use crate::text::{Policy, safe, word};

/// The lines of `--show-settings`: TOML that could stand in a file, each with its origin behind
/// `#`. With `all`, words that lost follow the one that won.
pub(crate) fn show(settings: &Settings, all: bool) -> String {
    let mut out = String::new();
    if let Some(account) = &settings.account {
        let _ = writeln!(out, "# account {}", word(account));
    }
    let mut group = "";
    for key in KEYS {
        if key.group != group {
            group = key.group;
            let _ = writeln!(out, "{}# {group}", if out.is_empty() { "" } else { "\n" });
        }
        show_key(settings, key, all, &mut out);
    }
    let aliases: Vec<_> = settings.aliases.iter().collect();
    if !aliases.is_empty() {
        out.push_str("\n[aliases]\n");
    }
    for (name, members, origin) in aliases {
        let _ = writeln!(out, "{} = {}  # {origin}", bare(name), quote(&members));
    }
    out
}

fn show_key(settings: &Settings, key: &'static Key, all: bool, out: &mut String) {
    let winner = settings.winner(key.name);
    match winner.and_then(|a| Some((a, shown(a)?))) {
        Some((assignment, value)) => {
            let _ = writeln!(out, "{} = {value}  # {}", key.name, assignment.origin);
        }
        None if key.default.is_empty() => {
            let _ = writeln!(out, "# {}", key.name);
        }
        None => {
            let _ = writeln!(out, "# {}: {}  # default", key.name, key.default);
        }
    }
    for said in settings.trail.iter().filter(|a| a.key.name == key.name) {
        let value = shown(said).unwrap_or_else(|| "unset".to_owned());
        match &said.suffix {
            Some(suffix) => {
                let _ = writeln!(
                    out,
                    "# {}-{} = {value}  # {}",
                    key.name,
                    word(suffix),
                    said.origin
                );
            }
            None if all && winner.is_none_or(|w| !std::ptr::eq(w, said)) => {
                let _ = writeln!(out, "#   was {value}  # {}", said.origin);
            }
            None => {}
        }
    }
}

fn shown(assignment: &Assignment) -> Option<String> {
    use super::value::Value;
    let value = assignment.value.as_ref()?;
    Some(match value {
        _ if assignment.key.kind == Kind::Secret => quote("***"),
        Value::Flag(on) => on.to_string(),
        Value::Time(time) => time.as_secs_f64().to_string(),
        Value::Size(size) => size.to_string(),
        Value::List(list) if list.len() > 1 => {
            format!(
                "[{}]",
                list.iter()
                    .map(|t| quote(&url::masked(t)))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
        value @ (Value::Target(_) | Value::Proxy(_)) => quote(&url::masked_server(&text_of(value))),
        value => quote(&url::masked(&text_of(value))),
    })
}

/// A TOML key, in quotes only where it needs them.
fn bare(name: &str) -> String {
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain { name.to_owned() } else { quote(name) }
}

/// A TOML string.
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", safe(text, Policy::Toml))
}
