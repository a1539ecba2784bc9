//! Text in whatever bytes it came, read as UTF-8 whatever the locale is.
//!
//! Promise: text is never refused. What is UTF-8 in it stays UTF-8, and what is not is read where
//! it stands. A charset that is said counts as long as the bytes fit it, and is a guess like any
//! other when they do not. What had to be assumed is noted.
mod guess;
mod mixed;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

pub use mixed::{Repair, Survey};

/// How far into HTML its own charset is looked for (HTML Standard section 4.2.5.4).
const PRESCAN: usize = 1024;
/// A charset that is said fits with one odd place in so many characters.
const FITS: usize = 4;

/// What is known about the charset of a text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints<'a> {
    /// The user named it.
    pub named: Option<&'a str>,
    /// Its media type or its HTML names it; believed only when the text is not UTF-8, because such
    /// labels outlive conversions.
    pub label: Option<&'a str>,
    /// Those that text which is not UTF-8 may be in; without any, it is found out.
    pub fallback: &'a [String],
}

/// Reads a text; the second value is a note when something had to be assumed.
pub fn read(bytes: Vec<u8>, hints: Hints<'_>) -> (String, Option<String>) {
    let named = hints.named.and_then(find);
    let unknown = hints.named.filter(|_| named.is_none());
    let unknown =
        unknown.map(|name| format!("unknown charset `{}` was ignored", crate::text::word(name)));
    let bytes = match marked(bytes) {
        Ok((text, note)) => return (text, note.or(unknown)),
        Err(bytes) => bytes,
    };
    let said = |name: Option<&str>| {
        name.filter(|name| !is_ascii_name(name))
            .and_then(find)
            .filter(|c| *c != UTF_8)
    };
    let (named, label) = (said(hints.named), said(hints.label));
    for charset in named
        .into_iter()
        .chain(label)
        .filter(|charset| !charset.is_ascii_compatible())
    {
        // Charsets in seven bits look like UTF-8, so here what was said is all there is; UTF-16 has
        // a NUL in every line end.
        let is_wide = charset == UTF_16LE || charset == UTF_16BE;
        if guess::fits(charset, &bytes, FITS) && (!is_wide || bytes.contains(&0)) {
            return read_as(&bytes, charset);
        }
    }
    let ascii_based = |charset: Option<&'static Encoding>| {
        charset.filter(|charset| charset.is_ascii_compatible())
    };
    let (named, label) = (ascii_based(named), ascii_based(label));
    let survey = Survey::of(&bytes);
    match (
        String::from_utf8(bytes),
        named.filter(|charset| !survey.contradicts(charset)),
    ) {
        (Ok(text), Some(charset)) => read_as(text.as_bytes(), charset),
        (Ok(text), None) => (text, unknown),
        (Err(error), _) => {
            let (text, note) = mended(error.as_bytes(), &survey, (named, label), hints.fallback);
            (text, unknown.or(note))
        }
    }
}

/// Reads what is not UTF-8 from its beginning to its end. `said` are the charset that was named,
/// and that of a label.
fn mended(
    bytes: &[u8],
    survey: &Survey,
    said: (Option<&'static Encoding>, Option<&'static Encoding>),
    fallback: &[String],
) -> (String, Option<String>) {
    let (named, label) = said;
    let fitting = named
        .into_iter()
        .chain(label)
        .find(|charset| guess::fits(charset, survey.sample(), FITS));
    let found = fitting.or_else(|| guess::charset_of(survey.sample(), &listed(fallback)));
    let mixed = survey.is_mostly_utf8();
    let charset = if mixed {
        found
    } else {
        found.or(Some(WINDOWS_1252))
    };
    let repair = survey.repair(charset);
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').peekable();
    while let Some(line) = lines.next() {
        repair.line(line, lines.peek().is_none(), &mut text);
    }
    let note = match charset.map(name) {
        None => Some("the text was UTF-8 except for some bytes, which were lost".to_owned()),
        Some(name) if mixed => Some(format!(
            "the text was UTF-8 except for some bytes, which were read as {name}"
        )),
        Some(name) if fitting.is_some() && text.contains('\u{fffd}') => {
            Some(format!("the text contains bytes that are not {name}"))
        }
        Some(_) if named.is_some() && fitting == named => None,
        Some(name) => Some(format!("the text was not UTF-8 and was read as {name}")),
    };
    (text, note)
}

/// Reads a text that begins with a byte order mark. Of UTF-8 only the mark is taken away, and the
/// rest is any text's.
fn marked(mut bytes: Vec<u8>) -> Result<(String, Option<String>), Vec<u8>> {
    match Encoding::for_bom(&bytes) {
        Some((charset, mark)) if charset == UTF_8 => {
            bytes.drain(..mark);
            Err(bytes)
        }
        Some((charset, mark)) if has_few_odd(charset, &bytes[mark..]) => {
            Ok(read_as(&bytes[mark..], charset))
        }
        _ => Err(bytes),
    }
}

/// Returns whether nearly every character of a text in UTF-16 is whole; most of them may be ASCII.
fn has_few_odd(charset: &'static Encoding, bytes: &[u8]) -> bool {
    let (text, _) = charset.decode_without_bom_handling(bytes);
    let odd = text.chars().filter(|c| *c == '\u{fffd}').count();
    !text.is_empty() && odd * FITS <= text.chars().count()
}

/// Returns whether a text can be in the charset that is said of it; without any it is ASCII.
pub fn agrees(bytes: &[u8], said: Option<&str>) -> bool {
    match said.filter(|name| !is_ascii_name(name)).map(find) {
        None => bytes.is_ascii(),
        Some(Some(charset)) if charset == UTF_8 => std::str::from_utf8(bytes).is_ok(),
        Some(Some(charset)) => {
            guess::fits(charset, bytes, FITS) && !Survey::of(bytes).contradicts(charset)
        }
        Some(None) => true,
    }
}

/// The charset of a text that is to keep its bytes, by the name it has in mail.
pub fn name_of(survey: &Survey, fallback: &[String]) -> Option<String> {
    if survey.is_utf8() {
        return Some("utf-8".to_owned());
    }
    guess::charset_of(survey.sample(), &listed(fallback)).map(name)
}

/// The repair that a text needs which was seen already and is UTF-8 but for some places.
pub fn repair_of(survey: &Survey, fallback: &[String]) -> Repair {
    survey.repair(guess::charset_of(survey.sample(), &listed(fallback)))
}

fn listed(names: &[String]) -> Vec<&'static Encoding> {
    let known = names
        .iter()
        .filter(|name| !is_ascii_name(name))
        .filter_map(|name| find(name));
    known.filter(|charset| *charset != UTF_8).collect()
}

fn name(charset: &'static Encoding) -> String {
    charset.name().to_lowercase()
}

fn read_as(bytes: &[u8], charset: &'static Encoding) -> (String, Option<String>) {
    let (text, broken) = charset.decode_without_bom_handling(bytes);
    let note = broken.then(|| format!("the text contains bytes that are not {}", name(charset)));
    (text.into_owned(), note)
}

/// Finds a charset by a name that people give it.
pub(crate) fn find(name: &str) -> Option<&'static Encoding> {
    // The table calls everything Latin by its Windows name and knows most, but not these two
    // spellings.
    match name.trim().to_ascii_lowercase().as_str() {
        "latin-1" => Some(encoding_rs::WINDOWS_1252),
        "cp936" => Some(encoding_rs::GBK),
        other => Encoding::for_label_no_replacement(other.as_bytes()),
    }
}

/// ASCII fits nothing that is not UTF-8, but the table reads its name as windows-1252, which fits
/// everything.
fn is_ascii_name(name: &str) -> bool {
    ["us-ascii", "ascii", "ansi_x3.4-1968"].contains(&name.trim().to_ascii_lowercase().as_str())
}

/// Reads a line of unknown origin.
pub fn legible(bytes: Vec<u8>) -> String {
    read(bytes, Hints::default()).0
}

/// Finds the charset that HTML names in its head.
pub fn html_label(html: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&html[..html.len().min(PRESCAN)]).to_ascii_lowercase();
    let at = head.find("charset=")?;
    let value = head[at + "charset=".len()..].trim_start_matches(['"', '\'', ' ']);
    let end = value
        .find(|c: char| !c.is_ascii_alphanumeric() && !"-_.:".contains(c))
        .unwrap_or(value.len());
    Some(value[..end].to_owned()).filter(|label| !label.is_empty())
}

/// Returns whether bytes are no text at all: many control characters, and NUL among the likeliest.
/// A colour escape, a bell or a stray NUL in a log does not count for that.
pub fn is_binary(bytes: &[u8]) -> bool {
    const FEWEST: usize = 8;
    if Encoding::for_bom(bytes).is_some_and(|(charset, _)| charset != encoding_rs::UTF_8) {
        return false;
    }
    let controls = bytes
        .iter()
        .filter(|b| matches!(b, 0..=6 | 11 | 14..=26 | 28..=31 | 127))
        .count();
    if std::str::from_utf8(bytes).is_ok() {
        return controls >= FEWEST && controls > bytes.len() / 10 * 3;
    }
    // Compressed data has a control character in every ten bytes; text in any charset has next to
    // none.
    controls >= 2 && controls > bytes.len() / 20
}

#[cfg(test)]
mod tests;
