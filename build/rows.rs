//! Reads a file of rows, and writes a table whose texts are parts of one.
//!
//! Promise: rows come in the order of the file, and equal texts are stored once.
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use serde::de::DeserializeOwned;

/// What is wrong with the files.
#[derive(Default)]
pub(crate) struct Complaints(pub(crate) Vec<String>);

/// A row, and where it stands.
pub(crate) struct Row<T> {
    /// Its name.
    pub(crate) id: String,
    /// What it says.
    pub(crate) fields: T,
    /// The file and the line, for messages.
    place: String,
}

impl<T> Row<T> {
    /// Notes a mistake of this row if there is one.
    pub(crate) fn complain(&self, wrong: bool, what: &str, complaints: &mut Complaints) {
        if wrong {
            complaints.0.push(format!("{} {what}", self.place));
        }
    }
}

/// Reads the rows of a file in its order. A row of the wrong form is noted and left out.
pub(crate) fn read<T: DeserializeOwned>(
    file: &str,
    text: &str,
    complaints: &mut Complaints,
) -> Vec<Row<T>> {
    let parsed: toml::Table = match text.parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            // Also two rows of one name. A message to cargo is one line.
            let error = error.to_string().replace('\n', " ");
            complaints.0.push(format!("{file}: {error}"));
            return Vec::new();
        }
    };
    let lines: HashMap<&str, usize> = text
        .lines()
        .enumerate()
        .filter_map(|(at, line)| {
            let id = line.strip_prefix('[')?.strip_suffix(']')?;
            Some((id.trim_matches('"'), at + 1))
        })
        .collect();
    let mut rows: Vec<(usize, Row<T>)> = Vec::new();
    for (id, value) in parsed {
        let line = lines.get(id.as_str()).copied().unwrap_or_default();
        let place = format!("{file}:{line}: [{id}]:");
        match value.try_into() {
            Ok(fields) => rows.push((line, Row { id, fields, place })),
            Err(error) => {
                let error = error.to_string().replace('\n', " ");
                complaints.0.push(format!("{place} {error}"));
            }
        }
    }
    rows.sort_by_key(|(line, _)| *line);
    for (line, row) in &rows {
        let formed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        row.complain(
            *line == 0 || !row.id.starts_with(char::is_alphanumeric) || !row.id.chars().all(formed),
            "expected a name of lower-case letters, digits, `-` and `.`, alone on its line",
            complaints,
        );
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

/// A number as Rust code.
fn literal(number: usize) -> String {
    match number {
        0..10_000 => number.to_string(),
        _ => format!("{}_{:03}", number / 1000, number % 1000),
    }
}

/// A table under way: its Rust code, and the text that its parts are cut from.
#[derive(Default)]
pub(crate) struct Table {
    /// The code.
    pub(crate) code: String,
    text: String,
    known: HashMap<String, usize>,
}

impl Table {
    /// The code for a text of the table.
    pub(crate) fn span(&mut self, text: &str) -> String {
        let at = if text.is_empty() {
            0
        } else if let Some(at) = self.known.get(text) {
            *at
        } else {
            let at = self.text.len();
            self.text.push_str(text);
            self.known.insert(text.to_owned(), at);
            at
        };
        format!("Span({}, {})", literal(at), text.len())
    }

    /// Adds a static list of values that are written as Rust code.
    pub(crate) fn list(&mut self, name: &str, kind: &str, values: &[String]) {
        let _ = writeln!(
            self.code,
            "static {name}: [{kind}; {}] = [\n    {},\n];",
            values.len(),
            values.join(",\n    ")
        );
    }

    /// Writes `NAME.rs` and, beside it, `NAME.txt` with the text.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> io::Result<()> {
        fs::write(dir.join(format!("{name}.txt")), &self.text)?;
        let text = format!(
            "static TEXT: &str = include_str!(concat!(env!(\"OUT_DIR\"), \"/{name}.txt\"));\n"
        );
        fs::write(dir.join(format!("{name}.rs")), text + &self.code)
    }
}
