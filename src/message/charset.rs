//! Text in whatever octets it came, read as UTF-8 whatever the locale is.
//!
//! Promise: text is never refused and never guessed at when it says what it is. What had to be assumed is noted.
use encoding_rs::Encoding;

/// How far into HTML its own charset is looked for (HTML Standard section 4.2.5.4).
const PRESCAN: usize = 1024;

/// What is known about the charset of a text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hints<'a> {
    /// The user named it.
    pub(super) named: Option<&'a str>,
    /// Its media type or its HTML names it; believed only when the text is not UTF-8, because such labels outlive conversions.
    pub(super) label: Option<&'a str>,
    /// Tried in order for text that is not UTF-8.
    pub(super) fallback: &'a [String],
}

/// Reads a text; the second value is a note when something had to be assumed.
pub(super) fn read(octets: Vec<u8>, hints: Hints<'_>) -> (String, Option<String>) {
    let mut note = None;
    if let Some(name) = hints.named {
        match find(name) {
            // A wrong `utf-8` is the most common claim of all, so it is checked rather than believed.
            Some(charset) if charset == encoding_rs::UTF_8 => {}
            Some(charset) => return read_as(&octets, charset),
            None => note = Some(format!("the charset `{}` is unknown and was not used", crate::text::word(name))),
        }
    }
    if let Some((charset, mark)) = Encoding::for_bom(&octets)
        && let Some(text) = charset.decode_without_bom_handling_and_without_replacement(&octets[mark..])
    {
        return (text.into_owned(), note);
    }
    let label = hints.label.and_then(find).filter(|charset| *charset != encoding_rs::UTF_8);
    // Charsets in seven bits look like UTF-8, so here the label is all there is.
    if let Some(charset) = label.filter(|charset| !charset.is_ascii_compatible()) {
        return read_as(&octets, charset);
    }
    let octets = match String::from_utf8(octets) {
        Ok(text) => return (text, note),
        Err(error) => error.into_bytes(),
    };
    let listed = hints.fallback.iter().filter(|name| !is_ascii_name(name)).filter_map(|name| find(name));
    let plausible = listed.filter(|charset| is_likely(charset, &octets));
    let exact = label.into_iter().chain(plausible).find_map(|charset| {
        Some((charset, charset.decode_without_bom_handling_and_without_replacement(&octets)?.into_owned()))
    });
    let (charset, text) = exact.unwrap_or_else(|| {
        let last = encoding_rs::WINDOWS_1252;
        (last, last.decode_without_bom_handling(&octets).0.into_owned())
    });
    (
        text,
        Some(
            note.unwrap_or_else(|| format!("the text was not UTF-8 and was read as {}", charset.name().to_lowercase())),
        ),
    )
}

/// Finds the first charset of a list that octets can be in, by the name it has in mail; `None` when there is none.
pub(super) fn name_of(octets: &[u8], listed: &[String]) -> Option<String> {
    let listed = listed.iter().filter(|name| !is_ascii_name(name)).filter_map(|name| find(name));
    let fits = |charset: &&'static Encoding| {
        let exact = charset.decode_without_bom_handling_and_without_replacement(octets).is_some();
        *charset != encoding_rs::UTF_8 && is_likely(charset, octets) && exact
    };
    listed.into_iter().find(fits).map(|charset| charset.name().to_lowercase())
}

/// Chinese charsets take nearly any octets: `Jörg` in Latin-1 is also `J` and a rare character. Real Chinese lies for the most
/// part in the area of GB 2312, where both octets of a character are high; in Latin-1 high octets mostly stand alone.
fn is_likely(charset: &'static Encoding, octets: &[u8]) -> bool {
    if charset != encoding_rs::GB18030 && charset != encoding_rs::GBK {
        return true;
    }
    let (mut common, mut rare) = (0_usize, 0_usize);
    let mut rest = octets;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first < 0x81 {
            continue;
        }
        let second = tail.first().copied().unwrap_or(0);
        rest = tail.get(1..).unwrap_or_default();
        if matches!(first, 0xA1..=0xA9 | 0xB0..=0xF7) && second >= 0xA1 { common += 1 } else { rare += 1 }
    }
    common > rare
}

fn read_as(octets: &[u8], charset: &'static Encoding) -> (String, Option<String>) {
    let (text, _, broken) = charset.decode(octets);
    let note = broken.then(|| format!("the text holds octets that are not {}", charset.name().to_lowercase()));
    (text.into_owned(), note)
}

fn find(name: &str) -> Option<&'static Encoding> {
    // The table calls everything Latin by its Windows name and knows most, but not these two spellings.
    match name.trim().to_ascii_lowercase().as_str() {
        "latin-1" => Some(encoding_rs::WINDOWS_1252),
        "cp936" => Some(encoding_rs::GBK),
        other => Encoding::for_label_no_replacement(other.as_bytes()),
    }
}

/// ASCII fits nothing that is not UTF-8, but the table reads its name as windows-1252, which fits everything.
fn is_ascii_name(name: &str) -> bool {
    ["us-ascii", "ascii", "ansi_x3.4-1968"].contains(&name.trim().to_ascii_lowercase().as_str())
}

/// Reads a line of unknown origin: UTF-8, else GB18030 where it looks Chinese, else Latin-1.
pub fn legible(octets: Vec<u8>) -> String {
    let fallback = ["gb18030".to_owned(), "windows-1252".to_owned()];
    read(octets, Hints { fallback: &fallback, ..Hints::default() }).0
}

/// Finds the charset that HTML names in its head.
pub(super) fn html_label(html: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&html[..html.len().min(PRESCAN)]).to_ascii_lowercase();
    let at = head.find("charset=")?;
    let value = head[at + "charset=".len()..].trim_start_matches(['"', '\'', ' ']);
    let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.:".contains(c)).unwrap_or(value.len());
    Some(value[..end].to_owned()).filter(|label| !label.is_empty())
}

/// Tells whether octets are no text at all: many control characters, and NUL among the likeliest. A colour escape, a bell or a
/// stray NUL in a log does not count for that.
pub(super) fn is_binary(octets: &[u8]) -> bool {
    const FEWEST: usize = 8;
    if Encoding::for_bom(octets).is_some_and(|(charset, _)| charset != encoding_rs::UTF_8) {
        return false;
    }
    let controls = octets.iter().filter(|b| matches!(b, 0..=6 | 11 | 14..=26 | 28..=31 | 127)).count();
    if std::str::from_utf8(octets).is_ok() {
        return controls >= FEWEST && controls > octets.len() / 10 * 3;
    }
    // Compressed data has a control character in every ten octets; text in any charset has next to none.
    controls >= 2 && controls > octets.len() / 20
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(octets: &[u8], fallback: &[&str]) -> (String, Option<String>) {
        let fallback: Vec<String> = fallback.iter().map(ToString::to_string).collect();
        read(octets.to_vec(), Hints { fallback: &fallback, ..Hints::default() })
    }

    /// Octets, fallback charsets, the text and the note.
    type Row<'a> = (&'a [u8], &'a [&'a str], &'a str, Option<String>);

    #[test]
    fn text_says_what_it_is_or_falls_back_with_a_note() {
        let read_as = |name: &str| Some(format!("the text was not UTF-8 and was read as {name}"));
        let stock = ["gb18030", "windows-1252"];
        let rows: [Row<'_>; 10] = [
            ("Grüße, 测试".as_bytes(), &stock, "Grüße, 测试", None),
            (b"\xef\xbb\xbfhi", &stock, "hi", None),
            (b"\xff\xfeh\0i\0\n\0", &stock, "hi\n", None),
            (b"\xfe\xff\0h\0i", &stock, "hi", None),
            (b"\xb2\xe2\xca\xd4\n", &stock, "测试\n", read_as("gb18030")),
            (b"\xfcber \xe9\xff \n", &stock, "über éÿ \n", read_as("windows-1252")),
            (b"Gr\xfc\xdfe\n", &["us-ascii", "utf-8", "iso-8859-1"], "Grüße\n", read_as("windows-1252")),
            (b"Gr\xfc\xdfe\n", &[], "Grüße\n", read_as("windows-1252")),
            (b"J\xf6rg gr\xfc\xdft M\xfcnchen\n", &stock, "Jörg grüßt München\n", read_as("windows-1252")),
            (b"\xff\xfea", &["windows-1252"], "ÿþa", read_as("windows-1252")),
        ];
        for (octets, fallback, text, note) in rows {
            assert_eq!(plain(octets, fallback), (text.to_owned(), note), "{}", octets.escape_ascii());
        }
    }

    #[test]
    fn a_named_charset_is_used_and_what_does_not_fit_is_noted() {
        let named = |octets: &[u8], name| read(octets.to_vec(), Hints { named: Some(name), ..Hints::default() });
        assert_eq!(named(b"Gr\xfcn", "latin1"), ("Grün".into(), None));
        assert_eq!(named(b"\xb2\xe2", "GB2312"), ("测".into(), None));
        assert_eq!(named(b"h\0i\0", "utf-16le"), ("hi".into(), None));
        assert_eq!(
            named(b"\x81", "shift_jis"),
            ("\u{fffd}".into(), Some("the text holds octets that are not shift_jis".into()))
        );
        assert_eq!(
            named("ü".as_bytes(), "klingon\x1b"),
            ("ü".into(), Some("the charset `klingon\\u{1b}` is unknown and was not used".into()))
        );
        assert_eq!(named(b"\xfc", "utf-8").0, "ü");
    }

    #[test]
    fn a_label_counts_only_when_the_text_is_not_utf8() {
        let labelled = |octets: &[u8], label| read(octets.to_vec(), Hints { label: Some(label), ..Hints::default() }).0;
        assert_eq!(labelled("ü".as_bytes(), "iso-8859-1"), "ü");
        assert_eq!(labelled(b"\xfc", "iso-8859-1"), "ü");
        assert_eq!(labelled(b"\x1b$B%F\x1b(B", "iso-2022-jp"), "テ");
    }

    #[test]
    fn html_names_its_own_charset() {
        assert_eq!(html_label(b"<meta charset=\"GBK\">").as_deref(), Some("gbk"));
        assert_eq!(
            html_label(b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>").as_deref(),
            Some("koi8-r")
        );
        assert_eq!(html_label(b"<p>charset"), None);
    }

    #[test]
    fn binary_is_told_from_odd_text() {
        let gzip: Vec<u8> = (0..=255u8).cycle().map(|b| b.wrapping_mul(167)).take(4000).collect();
        let rows: [(&[u8], bool); 10] = [
            (b"", false),
            (b"a\0b\n", false),
            (b"a \x01 b\n", false),
            (b"a \x1b[31mred\x1b[0m\n", false),
            (b"\xff\xfeh\0i\0\n\0", false),
            (b"Gr\xfc\xdfe \x01\n", false),
            (b"\x89PNG\r\n\x1a\n\0\0", true),
            (&[0; 4096], true),
            (b"\0\0\0\0\0\0\0\0\x01text", true),
            (&gzip, true),
        ];
        for (octets, wanted) in rows {
            assert_eq!(is_binary(octets), wanted, "{}", octets[..octets.len().min(20)].escape_ascii());
        }
    }
}
