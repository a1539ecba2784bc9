//! Values: what was said, checked against the kind of its setting.
//!
//! Promise: a checked value never holds a line end or a NUL, and no error text holds a secret.
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::{Key, Kind};
use crate::route::ProxyKind;
use crate::route::url::{Parsed, Server, Target, masked};
use crate::secret::{Secret, SecretSource};

/// What one source said, before it is known what the setting takes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    /// Text, as in mail.rc, the environment, `-S` and TOML strings.
    Text(String),
    /// Text that another part of smail knows to be a secret.
    Secret(Secret),
    /// A TOML array.
    List(Vec<String>),
    /// A TOML boolean, or mail.rc's `set name`.
    Flag(bool),
}

impl fmt::Debug for Raw {
    /// Its name only: it may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Raw(***)")
    }
}

/// A checked value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Text; a path still has its `~`, a choice is in lower case.
    Text(String),
    /// A password or token.
    Secret(Secret),
    /// Several texts.
    List(Vec<String>),
    /// On or off.
    Flag(bool),
    /// A length of time.
    Time(Duration),
    /// Bytes.
    Size(u64),
    /// Where mail goes.
    Target(Parsed<Target>),
    /// A proxy.
    Proxy(Parsed<(ProxyKind, Server)>),
}

/// Checks a value against its setting.
///
/// # Errors
/// A lowercase fragment that reads after the name of the setting.
pub(crate) fn check(key: &Key, raw: Raw) -> Result<Value, String> {
    let texts: &[String] = match &raw {
        Raw::Text(text) => std::slice::from_ref(text),
        Raw::List(list) => list,
        Raw::Flag(_) | Raw::Secret(_) => &[],
    };
    let multiline = matches!(key.name, "text-head" | "text-tail");
    let torn = |text: &str| text.contains('\0') || (!multiline && text.contains(['\r', '\n']));
    let secret = if let Raw::Secret(secret) = &raw {
        secret.reveal()
    } else {
        ""
    };
    if texts.iter().any(|text| torn(text)) || torn(secret) {
        return Err("the value cannot contain a line break".to_owned());
    }
    match (key.kind, raw) {
        (Kind::Flag, raw) => flag(key, raw),
        (Kind::List | Kind::Program | Kind::Addresses, Raw::List(list)) => Ok(Value::List(list)),
        (_, Raw::List(_)) => Err("expected a single value, got a list".to_owned()),
        (Kind::Secret, Raw::Secret(secret)) => Ok(Value::Secret(secret)),
        (Kind::Secret, Raw::Text(text)) => Ok(Value::Secret(Secret::new(text))),
        (Kind::Secret, Raw::Flag(true)) => Ok(Value::Secret(Secret::new(""))),
        (_, Raw::Secret(_)) => Err("expected a value that may be shown, got a secret".to_owned()),
        (Kind::Text | Kind::Path | Kind::Target | Kind::Proxy, Raw::Flag(true)) => {
            checked_text(key.kind, String::new())
        }
        (Kind::Choice(words), Raw::Flag(on)) => flag_choice(words, on),
        (_, Raw::Flag(_)) => Err("expected a value, got on or off".to_owned()),
        (kind, Raw::Text(text)) => checked_text(kind, text),
    }
}

/// A value as errors show it: a URL that stands in the wrong place keeps its password to itself.
fn shown(text: &str) -> String {
    crate::text::word(&masked(text)).into_owned()
}

fn checked_text(kind: Kind, text: String) -> Result<Value, String> {
    match kind {
        Kind::List => Ok(Value::List(split_commas(&text))),
        Kind::Program => SecretSource::parse_command(&text)
            .map(Value::List)
            .map_err(|e| e.why),
        Kind::Addresses => Ok(Value::List(vec![text])),
        Kind::Time => time(&text).map(Value::Time),
        Kind::Size => size(&text).map(Value::Size),
        Kind::Choice(words) => choice(words, &text),
        Kind::Target => Ok(Value::Target(Parsed::target(text))),
        Kind::Proxy => Ok(Value::Proxy(Parsed::proxy(text))),
        Kind::Text | Kind::Secret | Kind::Path | Kind::Flag => Ok(Value::Text(text)),
    }
}

fn flag(key: &Key, raw: Raw) -> Result<Value, String> {
    match raw {
        Raw::Flag(on) => Ok(Value::Flag(on)),
        Raw::Text(text) => match text.to_ascii_lowercase().as_str() {
            "" | "true" | "yes" | "on" | "1" | "y" => Ok(Value::Flag(true)),
            "false" | "no" | "off" | "0" | "n" => Ok(Value::Flag(false)),
            // Any value switches a mailx variable on (`set bsdcompat=x`), and the certificate of
            // s-nail's `smtp-use-starttls=anything` must not end in clear text.
            _ if !key.mailrc.is_empty() => Ok(Value::Flag(true)),
            _ => Err(format!("expected on or off, got `{}`", shown(&text))),
        },
        Raw::List(_) | Raw::Secret(_) => Err("expected on or off, got a list".to_owned()),
    }
}

/// `tls-verify = false` and `tls = false` are how other programs say it; they mean the weakest word
/// only where that is plain.
fn flag_choice(words: &[&str], on: bool) -> Result<Value, String> {
    let word = match (words.contains(&"strict"), on) {
        (true, true) => "strict",
        (true, false) => "ignore",
        (false, false) if words.contains(&"none") => "none",
        _ => return Err(format!("expected one of {}", words.join(", "))),
    };
    Ok(Value::Text(word.to_owned()))
}

fn choice(words: &[&str], text: &str) -> Result<Value, String> {
    let lower = text.to_ascii_lowercase();
    let lower = match lower.as_str() {
        "gssapi" => {
            return Err(
                "GSSAPI is not supported; unset `auth` to use what the server offers".to_owned(),
            );
        }
        "true" | "yes" | "on" if words.contains(&"strict") => "strict",
        "false" | "no" | "off" if words.contains(&"strict") => "ignore",
        "hdrs" if words.contains(&"headers") => "headers",
        "qp" if words.contains(&"quoted-printable") => "quoted-printable",
        "8b" if words.contains(&"8bit") => "8bit",
        "b64" if words.contains(&"base64") => "base64",
        word => word,
    };
    if words.contains(&lower) {
        return Ok(Value::Text(lower.to_owned()));
    }
    Err(format!(
        "invalid value `{}`; expected one of {}",
        shown(text),
        words.join(", ")
    ))
}

/// Reads a length of time: seconds, or a number with `ms`, `s`, `m`, `h` or `d`; more than nothing,
/// less than a year.
///
/// # Errors
/// A lowercase fragment.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let unit = match text[digits..].trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("invalid number of seconds `{}`", shown(text))),
    };
    match text[..digits].parse::<f64>() {
        Ok(n) if n > 0.0 && n * unit < 31_536_000.0 => Ok(Duration::from_secs_f64(n * unit)),
        _ => Err(format!("invalid number of seconds `{}`", shown(text))),
    }
}

fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let unit: u64 = match text[digits..]
        .trim()
        .to_ascii_uppercase()
        .trim_end_matches('B')
    {
        "" => 1,
        "K" | "KI" => 1 << 10,
        "M" | "MI" => 1 << 20,
        "G" | "GI" => 1 << 30,
        _ => return Err(format!("invalid size `{}`", shown(text))),
    };
    let number = text[..digits]
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(unit));
    number.ok_or_else(|| format!("invalid size `{}`", shown(text)))
}

/// Splits at commas; `\,` is a comma. Blanks around a piece and empty pieces go.
pub(crate) fn split_commas(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&',') => {
                chars.next();
                if let Some(last) = pieces.last_mut() {
                    last.push(',');
                }
            }
            ',' => pieces.push(String::new()),
            c => {
                if let Some(last) = pieces.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    pieces
        .into_iter()
        .map(|p| p.trim().to_owned())
        .filter(|p| !p.is_empty())
        .collect()
}

/// Puts the home directory in the place of a leading `~`.
pub(crate) fn expand_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::keys::find;

    fn checked(name: &str, raw: Raw) -> String {
        match check(find(name).unwrap().0, raw) {
            Ok(Value::Text(t)) => t,
            Ok(Value::Secret(secret)) => secret.reveal().to_owned(),
            Ok(Value::List(l)) => format!("{l:?}"),
            Ok(Value::Flag(b)) => b.to_string(),
            Ok(Value::Time(t)) => format!("{t:?}"),
            Ok(Value::Size(n)) => n.to_string(),
            Ok(Value::Target(target)) => target.text().to_owned(),
            Ok(Value::Proxy(proxy)) => proxy.text().to_owned(),
            Err(e) => format!("error: {e}"),
        }
    }

    fn text(name: &str, value: &str) -> String {
        checked(name, Raw::Text(value.to_owned()))
    }

    #[test]
    fn a_mistyped_tls_mode_is_an_error_and_not_none() {
        assert_eq!(
            text("tls", "of"),
            "error: invalid value `of`; expected one of implicit, starttls, opportunistic, none"
        );
        assert_eq!(text("tls", "STARTTLS"), "starttls");
        assert_eq!(text("ssl-verify", "no"), "ignore");
        assert_eq!(
            checked("tls", Raw::Flag(true)),
            "error: expected one of implicit, starttls, opportunistic, none"
        );
    }

    #[test]
    fn a_mailx_flag_is_on_with_any_value_but_no() {
        assert_eq!(text("smtp-use-starttls", "yes"), "true");
        assert_eq!(text("smtp-use-starttls", "no"), "false");
        assert_eq!(text("smtp-use-starttls", "x"), "true");
        assert_eq!(
            text("auth-in-clear", "x"),
            "error: expected on or off, got `x`"
        );
    }

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(text("timeout", "1.5"), "1.5s");
        assert_eq!(text("timeout", "2m"), "120s");
        assert_eq!(text("timeout", "0"), "error: invalid number of seconds `0`");
        assert_eq!(text("timeout", "x"), "error: invalid number of seconds `x`");
        assert_eq!(text("max-size", "2K"), "2048");
        assert_eq!(
            text("max-size", "99999999999G"),
            "error: invalid size `99999999999G`"
        );
    }

    #[test]
    fn lists_and_programs_are_split() {
        assert_eq!(
            text("headers", "A: b\\, c, D: e,"),
            r#"["A: b, c", "D: e"]"#
        );
        assert_eq!(
            text("auth-password-command", "pass 'my mail'"),
            r#"["pass", "my mail"]"#
        );
        assert_eq!(
            text("auth-password-command", "pass 'x"),
            "error: it has an unclosed quote"
        );
    }

    #[test]
    fn a_line_end_is_refused_without_showing_the_value() {
        assert_eq!(
            text("auth-password", "a\nb"),
            "error: the value cannot contain a line break"
        );
    }
}
