//! Reads `config.toml` into what it says, each with its line.
//!
//! Promise: a syntax error names its line and never repeats a value. Refuses a secret in a file
//! others may read, and a file others may write.
use std::fmt;
use std::io;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::value::Raw;
use crate::environment;
use crate::files;

/// The largest file, in bytes.
const LARGEST: u64 = 4 << 20;

/// One key of the file.
#[derive(Clone)]
pub(crate) struct Entry {
    /// The key as it was written.
    pub name: String,
    /// Its value.
    pub raw: Raw,
    /// Its line, from 1.
    pub line: u32,
}

impl fmt::Debug for Entry {
    /// Its name only: it may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(***)")
    }
}

/// What a file says.
#[derive(Default)]
pub(crate) struct TomlFile {
    /// The keys at the top.
    pub entries: Vec<Entry>,
    /// `[aliases]`.
    pub aliases: Vec<Entry>,
    /// `[accounts.NAME]` in the order of their names.
    pub accounts: Vec<(String, u32, Vec<Entry>)>,
}

impl fmt::Debug for TomlFile {
    /// Its name only: it may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TomlFile(***)")
    }
}

/// A mistake: the line and a lowercase fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// From 1.
    pub line: u32,
    /// What is wrong.
    pub why: String,
}

/// Reads the text of a file.
///
/// # Errors
/// The first [`Mistake`].
pub(crate) fn parse(text: &str) -> Result<TomlFile, Mistake> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = &Lines::of_text(text);
    let table = DeTable::parse(text).map_err(|error| Mistake {
        line: lines.of(error.span().map_or(0, |s| s.start)),
        why: syntax(error.message()),
    })?;
    let mut file = TomlFile::default();
    for (key, value) in table.into_inner() {
        let line = lines.of(key.span().start);
        let name = key.into_inner().into_owned();
        match (name.as_str(), value.into_inner()) {
            ("aliases", DeValue::Table(table)) => file.aliases = entries(table, lines)?,
            ("accounts", DeValue::Table(table)) => file.accounts = accounts(table, lines)?,
            ("aliases" | "accounts", _) => {
                return Err(Mistake {
                    line,
                    why: format!("`{name}` must be a table: write `[{name}]`"),
                });
            }
            (_, value) => file.entries.push(Entry {
                raw: raw(value, &name, line)?,
                name,
                line,
            }),
        }
    }
    Ok(file)
}

fn accounts(table: DeTable<'_>, lines: &Lines) -> Result<Vec<(String, u32, Vec<Entry>)>, Mistake> {
    let mut found = Vec::new();
    for (key, value) in table {
        let line = lines.of(key.span().start);
        let name = key.into_inner().into_owned();
        let DeValue::Table(inner) = value.into_inner() else {
            return Err(Mistake {
                line,
                why: format!("an account must be a table: write `[accounts.{name}]`"),
            });
        };
        found.push((name, line, entries(inner, lines)?));
    }
    Ok(found)
}

fn entries(table: DeTable<'_>, lines: &Lines) -> Result<Vec<Entry>, Mistake> {
    let entry = |(key, value): (toml::Spanned<_>, toml::Spanned<DeValue<'_>>)| {
        let line = lines.of(key.span().start);
        let name: std::borrow::Cow<'_, str> = key.into_inner();
        let name = name.into_owned();
        Ok(Entry {
            raw: raw(value.into_inner(), &name, line)?,
            name,
            line,
        })
    };
    table.into_iter().map(entry).collect()
}

fn raw(value: DeValue<'_>, name: &str, line: u32) -> Result<Raw, Mistake> {
    let wrong = |why: String| Mistake { line, why };
    match value {
        DeValue::Boolean(on) => Ok(Raw::Flag(on)),
        DeValue::Array(array) => {
            let text = |v: toml::Spanned<DeValue<'_>>| {
                scalar(v.into_inner())
                    .ok_or_else(|| wrong(format!("expected a list of strings for `{name}`")))
            };
            array
                .into_iter()
                .map(text)
                .collect::<Result<_, _>>()
                .map(Raw::List)
        }
        DeValue::Table(table) if name == "headers" || name == "customhdr" => {
            let header = |(key, value): (
                toml::Spanned<std::borrow::Cow<'_, str>>,
                toml::Spanned<DeValue<'_>>,
            )| {
                let value = scalar(value.into_inner())
                    .ok_or_else(|| wrong("expected a string for a header".to_owned()))?;
                Ok(format!("{}: {value}", key.into_inner()))
            };
            table
                .into_iter()
                .map(header)
                .collect::<Result<_, _>>()
                .map(Raw::List)
        }
        DeValue::Table(_) => Err(wrong(format!(
            "unknown table `[{name}]`; expected `[aliases]` or `[accounts.NAME]`"
        ))),
        other => scalar(other)
            .map(Raw::Text)
            .ok_or_else(|| wrong(format!("expected a string for `{name}`"))),
    }
}

fn scalar(value: DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.into_owned()),
        DeValue::Integer(n) => Some(n.as_str().to_owned()),
        DeValue::Float(n) => Some(n.as_str().to_owned()),
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Datetime(d) => Some(d.to_string()),
        _ => None,
    }
}

/// The library's message, which may quote the line: only its first sentence, which does not.
fn syntax(message: &str) -> String {
    let first = message
        .lines()
        .next()
        .unwrap_or("syntax error")
        .trim_end_matches('.');
    if first.contains('`') {
        "not valid TOML; is a quote missing?".to_owned()
    } else {
        first.to_owned()
    }
}

/// Where the lines of a text end: every key asks for its own.
struct Lines(Vec<usize>);

impl Lines {
    fn of_text(text: &str) -> Self {
        Lines(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    fn of(&self, byte: usize) -> u32 {
        u32::try_from(self.0.partition_point(|end| *end < byte) + 1).unwrap_or(u32::MAX)
    }
}

/// Reads a file and judges who may write it, and who may read it if it holds a secret. A file of
/// root may be shared with the group it was given to where root is another user, or where it is
/// there for the whole host (`of_host`).
///
/// # Errors
/// `Ok(None)` when there is no such file; a fragment otherwise. The mode is that of the opened
/// file, so that it cannot be exchanged in between.
pub(crate) fn read_private(path: &Path, of_host: bool) -> io::Result<Option<(String, Privacy)>> {
    let (bytes, access) = match files::read(path, LARGEST) {
        Ok(read) => read,
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
    let ours = access.owner == environment::user_id();
    let privacy = Privacy {
        unsafe_to_obey: access.is_unsafe(),
        readable: access.mode
            & if access.owner == 0 && (of_host || !ours) {
                0o004
            } else {
                0o044
            }
            != 0,
        mode: access.mode & 0o777,
    };
    Ok(Some((text, privacy)))
}

/// Who else may touch a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Privacy {
    /// It belongs to another user, who is not root, or others may write it.
    pub unsafe_to_obey: bool,
    /// Others may read it.
    pub readable: bool,
    /// Its permission bits.
    pub mode: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_line() {
        let file = parse(
            "# c\nfrom = \"a@b\"\ntimeout = 5\n\n[aliases]\nteam = [\"x@y\", \"z@y\"]\n[accounts.work]\nsmtp = \"h\"\n",
        )
        .unwrap();
        let shown: Vec<_> = file
            .entries
            .iter()
            .map(|e| (e.name.as_str(), e.line, e.raw.clone()))
            .collect();
        assert_eq!(
            shown,
            [
                ("from", 2, Raw::Text("a@b".into())),
                ("timeout", 3, Raw::Text("5".into()))
            ]
        );
        assert_eq!(file.aliases[0].line, 6);
        assert_eq!(
            (file.accounts[0].0.as_str(), file.accounts[0].2[0].line),
            ("work", 8)
        );
    }

    #[test]
    fn any_keys_take_linear_time() {
        let rows: &[(&str, &dyn Fn(usize) -> String)] = &[
            ("keys", &|n| format!("a{n} = 1\n")),
            ("accounts", &|n| {
                format!("[accounts.a{n}]\nfrom = \"a@b\"\n")
            }),
            ("one key again", &|_| "a = 1\n".to_owned()),
            ("tables", &|_| "[a.b]\n".to_owned()),
            ("dots", &|n| format!("a.b{n}.c = 1\n")),
            ("lists", &|_| "a = [[[\n".to_owned()),
            ("braces", &|_| "a = {a = {\n".to_owned()),
            ("quotes", &|_| "\"\"\"".to_owned()),
        ];
        for (name, row) in rows {
            crate::pace::assert_linear(
                name,
                |size| crate::pace::numbered(size, row),
                |text| drop(parse(&text)),
            );
        }
    }

    #[test]
    fn a_syntax_error_names_the_line_and_no_value() {
        let mistake = parse("from = \"a@b\"\nauth-password = s3cret\n").unwrap_err();
        assert_eq!(mistake.line, 2);
        assert!(!mistake.why.contains("s3cret"), "{}", mistake.why);
    }

    #[test]
    fn headers_may_be_a_table() {
        let file = parse("[headers]\nX-A = \"b\"\n").unwrap();
        assert_eq!(file.entries[0].raw, Raw::List(vec!["X-A: b".into()]));
        assert_eq!(
            parse("[nonsense]\n").unwrap_err().why,
            "unknown table `[nonsense]`; expected `[aliases]` or `[accounts.NAME]`"
        );
    }
}
