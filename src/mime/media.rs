//! Media types and their parameters: read from the user, from file names and from content, written
//! for old and new readers (RFC 2045 section 5.1, RFC 2231).
//!
//! Promise: what is written parses everywhere; a parameter that is not ASCII is percent-encoded
//! and, when long, continued.
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::MimeError;
use super::escape::percent;
use super::head::one_line;
use super::header;
use crate::environment;
use crate::files;

/// A media type with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaType {
    /// `type/subtype` in lower case.
    pub(crate) essence: String,
    /// Names in lower case, values without quotes.
    pub(crate) parameters: Vec<(String, String)>,
}

impl MediaType {
    /// A type without parameters.
    pub(crate) fn bare(essence: &str) -> Self {
        MediaType {
            essence: essence.to_owned(),
            parameters: Vec::new(),
        }
    }

    /// Text in UTF-8.
    pub(crate) fn text(essence: &str) -> Self {
        MediaType::bare(essence).with_charset("utf-8")
    }

    /// Reads what the user wrote. Parameters that are none are left out.
    pub(crate) fn parse(text: &str) -> Result<Self, MimeError> {
        let clean = one_line(text);
        let (essence, rest) = clean.split_once(';').unwrap_or((&clean, ""));
        let essence = essence.trim().to_ascii_lowercase();
        let fits = essence.len() <= 200
            && essence.split('/').count() == 2
            && essence.split('/').all(is_token);
        if !fits {
            return Err(MimeError::MediaType(text.to_owned()));
        }
        let mut parameters = Vec::new();
        let mut known = HashSet::new();
        for piece in pieces(rest) {
            let Some((name, value)) = piece.split_once('=') else {
                continue;
            };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if !is_token(&name) || name.len() > 60 || !known.insert(name.clone()) {
                continue;
            }
            parameters.push((name, unquoted(value)));
        }
        Ok(MediaType {
            essence,
            parameters,
        })
    }

    /// Returns whether it is `kind/…`.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.essence.split('/').next() == Some(kind)
    }

    /// The charset, if one is named.
    pub(crate) fn charset(&self) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(name, _)| name == "charset")
            .map(|(_, value)| value.as_str())
    }

    /// The same with this charset.
    pub(crate) fn with_charset(mut self, charset: &str) -> Self {
        self.parameters.retain(|(name, _)| name != "charset");
        self.parameters
            .insert(0, ("charset".to_owned(), charset.to_owned()));
        self
    }

    /// The same with the method of a calendar, which readers act on (RFC 5546 section 1.4), as its
    /// text says.
    pub(crate) fn with_method(mut self, text: &[u8]) -> Self {
        if self.essence != "text/calendar"
            || self.parameters.iter().any(|(name, _)| name == "method")
        {
            return self;
        }
        let method = text.split(|b| *b == b'\n').find_map(|line| {
            let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            let name = name
                .split(';')
                .next()
                .unwrap_or_default()
                .trim_start_matches('\u{feff}');
            Some(value.trim()).filter(|value| {
                name.eq_ignore_ascii_case("method") && is_token(value) && value.len() <= 60
            })
        });
        self.parameters
            .extend(method.map(|method| ("method".to_owned(), method.to_owned())));
        self
    }

    /// The same with a name for readers that look only here: encoded-words in quotes, which RFC
    /// 2047 forbids and all of them understand.
    pub(crate) fn content_type(&self, name: Option<&str>) -> Result<String, MimeError> {
        let mut words = vec![self.essence.clone()];
        words.extend(
            self.parameters
                .iter()
                .flat_map(|(name, value)| parameter(name, value)),
        );
        let has_name = self
            .parameters
            .iter()
            .any(|(known, _)| known.starts_with("name"));
        if let Some(name) = name.filter(|name| !is_plain(name) && !has_name) {
            let mut spelled = header::encoded_words(name);
            if let Some(first) = spelled.first_mut() {
                first.insert_str(0, "name=\"");
            }
            if let Some(last) = spelled.last_mut() {
                last.push('"');
            }
            return write("Content-Type", words, spelled);
        }
        write("Content-Type", words, Vec::new())
    }
}

/// Writes a Content-Disposition with a file name: plain for ASCII, else as RFC 2231 wants it.
pub(crate) fn disposition(kind: &str, name: &str) -> Result<String, MimeError> {
    let mut words = vec![kind.to_owned()];
    words.extend(parameter("filename", name));
    write("Content-Disposition", words, Vec::new())
}

/// Writes a Content-Type or Content-Disposition again whose parameters cannot be sent as they are.
pub(crate) fn mended(name: &str, text: &str) -> Result<String, MimeError> {
    if name.eq_ignore_ascii_case("content-type") {
        return MediaType::parse(text)?.content_type(None);
    }
    // A disposition is a media type without its first half.
    let MediaType {
        essence,
        parameters,
    } = MediaType::parse(&format!("x/{text}"))?;
    let mut words = vec![essence.trim_start_matches("x/").to_owned()];
    words.extend(
        parameters
            .iter()
            .flat_map(|(name, value)| parameter(name, value)),
    );
    write(name, words, Vec::new())
}

/// Joins a value and its parameters by semicolons; `tail` is one more parameter in several words.
fn write(header: &str, mut words: Vec<String>, tail: Vec<String>) -> Result<String, MimeError> {
    let last = words.len() - usize::from(tail.is_empty());
    words[..last].iter_mut().for_each(|word| word.push(';'));
    words.extend(tail);
    header::ready(header, words.iter().map(String::as_str))
}

fn is_token(text: &str) -> bool {
    const SPECIAL: &[u8] = b"()<>@,;:\\\"/[]?=";
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !SPECIAL.contains(&b))
}

/// Returns whether a parameter value can stand in plain quotes. Old readers decode what looks
/// encoded even there.
fn is_plain(value: &str) -> bool {
    value.len() <= 255 && value.bytes().all(|b| (b' '..=b'~').contains(&b)) && !value.contains("=?")
}

/// Spells one parameter, in several segments when it is long and not plain (RFC 2231 sections 3 and
/// 4).
fn parameter(name: &str, value: &str) -> Vec<String> {
    const SEGMENT: usize = 50;
    if is_token(value) && is_plain(value) && name != "filename" {
        return vec![format!("{name}={value}")];
    }
    if is_plain(value) {
        return vec![format!("{name}={}", header::quote(value))];
    }
    let mut segments = vec![String::new()];
    for c in value.chars() {
        let spelled = percent(c.encode_utf8(&mut [0; 4]), b"-._~");
        match segments.last_mut() {
            Some(last) if last.len() + spelled.len() <= SEGMENT => last.push_str(&spelled),
            _ => segments.push(spelled),
        }
    }
    match segments.as_slice() {
        [only] => vec![format!("{name}*=utf-8''{only}")],
        several => (several.iter().enumerate())
            .map(|(at, segment)| {
                format!(
                    "{name}*{at}*={}{segment}",
                    if at == 0 { "utf-8''" } else { "" }
                )
            })
            .collect(),
    }
}

/// Splits parameters at semicolons outside quotes.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let (mut inside, mut escaped) = (false, false);
    text.split(move |c| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' => escaped = inside && !was_escaped,
            '"' if !was_escaped => inside = !inside,
            _ => {}
        }
        c == ';' && !inside
    })
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut out = String::new();
    let mut chars = inner.strip_suffix('"').unwrap_or(inner).chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// Media types by the end of a file name, read from `mime.types` files.
#[derive(Debug, Clone, Default)]
pub struct MediaTypes(HashMap<String, String>);

impl MediaTypes {
    /// Where the system and the user keep them, the user's first: `~/.mime.types`,
    /// `/etc/mime.types`.
    pub fn places() -> Vec<PathBuf> {
        let home = environment::home().map(|home| home.join(".mime.types"));
        home.into_iter()
            .chain([PathBuf::from("/etc/mime.types")])
            .collect()
    }

    /// Reads files, those named first winning. A file that is not there, not regular, a stranger's
    /// or too large (4 MiB) counts as empty.
    pub fn read(files: &[PathBuf]) -> Self {
        let mut types = MediaTypes::default();
        files
            .iter()
            .filter_map(|path| read_small(path))
            .for_each(|text| types.add(&text));
        types
    }

    /// Those of this system, read when they are first asked for.
    pub(crate) fn of_system() -> &'static MediaTypes {
        static SYSTEM: OnceLock<MediaTypes> = OnceLock::new();
        SYSTEM.get_or_init(|| MediaTypes::read(&MediaTypes::places()))
    }

    fn add(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_ascii_whitespace();
            // s-nail puts markers such as `@t@` in front.
            let essence = words
                .by_ref()
                .find(|word| !word.starts_with('@'))
                .unwrap_or_default();
            if essence.split('/').count() == 2 && essence.split('/').all(is_token) {
                for ending in words {
                    self.0
                        .entry(ending.to_ascii_lowercase())
                        .or_insert_with(|| essence.to_ascii_lowercase());
                }
            }
        }
    }

    /// The type a file name stands for: from the files, else from the built-in table.
    pub(crate) fn by_name(&self, name: &str) -> Option<MediaType> {
        let (stem, ending) = name.rsplit_once('.')?;
        if stem.is_empty() {
            return None;
        }
        let ending = ending.to_ascii_lowercase();
        match self.0.get(&ending) {
            Some(essence) => Some(MediaType::bare(essence)),
            None => mime_guess::from_ext(&ending)
                .first_raw()
                .map(MediaType::bare),
        }
    }
}

fn read_small(path: &Path) -> Option<String> {
    const LIMIT: u64 = 4 << 20;
    let (bytes, access) = files::read(path, LIMIT).ok()?;
    // sudo leaves the HOME of its caller, whose word is not this user's.
    if access.is_foreign() {
        return None;
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_media_type_is_read_with_its_parameters() {
        let rows = [
            ("text/plain", "text/plain"),
            (
                " Text/HTML ; Charset=\"gb2312\"; x",
                "text/html; charset=gb2312",
            ),
            ("text/csv; header=present", "text/csv; header=present"),
            (
                "multipart/mixed; boundary=\"a;b \\\" c\"",
                "multipart/mixed; boundary=\"a;b \\\" c\"",
            ),
            ("a/b; c=d; C=e", "a/b; c=d"),
            (
                "a/b; title=\"测试\"",
                "a/b; title*=utf-8''%E6%B5%8B%E8%AF%95",
            ),
        ];
        for (given, wanted) in rows {
            assert_eq!(
                MediaType::parse(given).unwrap().content_type(None).unwrap(),
                wanted,
                "{given}"
            );
        }
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for given in [
            "",
            "text",
            "text/",
            "/plain",
            "a/b/c",
            "te xt/plain",
            "tëxt/plain",
            "text/plain\r\nBcc: x",
        ] {
            assert!(
                matches!(MediaType::parse(given), Err(MimeError::MediaType(_))),
                "{given}"
            );
        }
    }

    #[test]
    fn a_file_name_is_written_for_new_and_old_readers() {
        let rows = [
            ("a.txt", "attachment; filename=\"a.txt\""),
            ("sp ace.txt", "attachment; filename=\"sp ace.txt\""),
            ("a\"\\.txt", "attachment; filename=\"a\\\"\\\\.txt\""),
            (
                "=?utf-8?q?a?=",
                "attachment; filename*=utf-8''%3D%3Futf-8%3Fq%3Fa%3F%3D",
            ),
            ("ü.txt", "attachment; filename*=utf-8''%C3%BC.txt"),
            (
                "测试 报告.txt",
                "attachment;\r\n filename*=utf-8''%E6%B5%8B%E8%AF%95%20%E6%8A%A5%E5%91%8A.txt",
            ),
            (
                "测试测试测试测试.txt",
                "attachment;\r\n filename*0*=utf-8''%E6%B5%8B%E8%AF%95%E6%B5%8B%E8%AF%95%E6%B5%8B;\r\n filename*1*=%E8%AF%95%E6%B5%8B%E8%AF%95.txt",
            ),
        ];
        for (name, wanted) in rows {
            assert_eq!(disposition("attachment", name).unwrap(), wanted, "{name}");
        }
        let png = MediaType::bare("image/png");
        assert_eq!(png.content_type(Some("a.png")).unwrap(), "image/png");
        assert_eq!(
            png.content_type(Some("ü.png")).unwrap(),
            "image/png; name=\"=?utf-8?b?w7wucG5n?=\""
        );
    }

    #[test]
    fn the_users_mime_types_come_before_the_systems() {
        let dir = tempfile::tempdir().unwrap();
        let (user, system) = (dir.path().join("user"), dir.path().join("system"));
        fs::write(
            &user,
            "# mine\napplication/x-mine  FOO\n@t@ text/x-bar bar\ntype=broken ext\n",
        )
        .unwrap();
        fs::write(
            &system,
            "application/x-theirs foo qux # tail\nno-slash baz\n",
        )
        .unwrap();
        let types = MediaTypes::read(&[
            user,
            dir.path().join("missing"),
            system,
            dir.path().to_owned(),
        ]);
        let essence = |name: &str| types.by_name(name).map(|media| media.essence);
        assert_eq!(essence("a.foo").as_deref(), Some("application/x-mine"));
        assert_eq!(essence("a.BAR").as_deref(), Some("text/x-bar"));
        assert_eq!(essence("a.qux").as_deref(), Some("application/x-theirs"));
        assert_eq!(essence("a.tar.gz").as_deref(), Some("application/gzip"));
        assert_eq!(essence("a.png").as_deref(), Some("image/png"));
        assert_eq!(essence("a.baz"), None);
        assert_eq!(essence("noext"), None);
        assert_eq!(essence(".foo"), None);
    }

    #[test]
    fn the_mime_types_of_a_stranger_do_not_count() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "application/x-theirs foo\n").unwrap();
        let essence = || {
            MediaTypes::read(&[file.path().to_owned()])
                .by_name("a.foo")
                .map(|media| media.essence)
        };
        assert_eq!(essence().as_deref(), Some("application/x-theirs"));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(file.path(), Some(54_321), None).unwrap();
            assert_eq!(essence(), None);
        }
    }
}
