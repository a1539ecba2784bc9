//! Facts about texts in one charset, in several, and in one that was said.
use super::*;

fn plain(bytes: &[u8], fallback: &[&str]) -> (String, Option<String>) {
    let fallback: Vec<String> = fallback.iter().map(ToString::to_string).collect();
    read(
        bytes.to_vec(),
        Hints {
            fallback: &fallback,
            ..Hints::default()
        },
    )
}

/// Bytes, fallback charsets, the text and the note.
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
        (
            b"\xfcber \xe9\xff \n",
            &stock,
            "über éÿ \n",
            read_as("windows-1252"),
        ),
        (
            b"Gr\xfc\xdfe\n",
            &["us-ascii", "utf-8", "iso-8859-1"],
            "Grüße\n",
            read_as("windows-1252"),
        ),
        (b"Gr\xfc\xdfe\n", &[], "Grüße\n", read_as("windows-1252")),
        (
            b"J\xf6rg gr\xfc\xdft M\xfcnchen\n",
            &stock,
            "Jörg grüßt München\n",
            read_as("windows-1252"),
        ),
        (
            b"\xff\xfea",
            &["windows-1252"],
            "ÿþa",
            read_as("windows-1252"),
        ),
    ];
    for (bytes, fallback, text, note) in rows {
        assert_eq!(
            plain(bytes, fallback),
            (text.to_owned(), note),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn a_named_charset_is_used_and_what_does_not_fit_is_noted() {
    let named = |bytes: &[u8], name| {
        read(
            bytes.to_vec(),
            Hints {
                named: Some(name),
                ..Hints::default()
            },
        )
    };
    assert_eq!(named(b"Gr\xfcn", "latin1"), ("Grün".into(), None));
    assert_eq!(named(b"\xb2\xe2", "GB2312"), ("测".into(), None));
    assert_eq!(named(b"h\0i\0", "utf-16le"), ("hi".into(), None));
    assert_eq!(
        named(b"\x81", "shift_jis"),
        (
            "\u{fffd}".into(),
            Some("the text was not UTF-8 and was read as windows-1252".into())
        )
    );
    assert_eq!(
        named("ü".as_bytes(), "klingon\x1b"),
        (
            "ü".into(),
            Some("unknown charset `klingon\\u{1b}` was ignored".into())
        )
    );
    assert_eq!(named(b"\xfc", "utf-8").0, "ü");
}

#[test]
fn a_label_counts_only_when_the_text_is_not_utf8() {
    let labelled = |bytes: &[u8], label| {
        read(
            bytes.to_vec(),
            Hints {
                label: Some(label),
                ..Hints::default()
            },
        )
        .0
    };
    assert_eq!(labelled("ü".as_bytes(), "iso-8859-1"), "ü");
    assert_eq!(labelled(b"\xfc", "iso-8859-1"), "ü");
    assert_eq!(labelled(b"\x1b$B%F\x1b(B", "iso-2022-jp"), "テ");
}

#[test]
fn html_names_its_own_charset() {
    assert_eq!(
        html_label(b"<meta charset=\"GBK\">").as_deref(),
        Some("gbk")
    );
    assert_eq!(
        html_label(b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>")
            .as_deref(),
        Some("koi8-r")
    );
    assert_eq!(html_label(b"<p>charset"), None);
}

#[test]
fn binary_is_told_from_odd_text() {
    let gzip: Vec<u8> = (0..=255u8)
        .cycle()
        .map(|b| b.wrapping_mul(167))
        .take(4000)
        .collect();
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
    for (bytes, wanted) in rows {
        assert_eq!(
            is_binary(bytes),
            wanted,
            "{}",
            bytes[..bytes.len().min(20)].escape_ascii()
        );
    }
}

/// A text in a charset that no line end can be in the middle of.
fn written(charset: &'static Encoding, text: &str) -> Vec<u8> {
    let (bytes, _, lost) = charset.encode(text);
    assert!(!lost, "{text}");
    bytes.into_owned()
}

fn mixed(name: &str) -> String {
    format!("the text was UTF-8 except for some bytes, which were read as {name}")
}

#[test]
fn one_odd_byte_costs_no_more_than_itself() {
    let rows: [(&[u8], &str, &str); 9] = [
        (
            b"Gr\xc3\xbc\xc3\x9fe von J\xf6rg\n",
            "Grüße von Jörg\n",
            "windows-1252",
        ),
        (
            b"Gr\xc3\xbc\xc3\x9fe\nvon\nJ\xf6rg",
            "Grüße\nvon\nJörg",
            "windows-1252",
        ),
        (
            b"\xe6\xb5\x8b\xe8\xaf\x95 \xa3 5\r\n\xe6\xb5\x8b\r\n",
            "测试 £ 5\r\n测\r\n",
            "windows-1252",
        ),
        // Next to a character, and one that is nothing in any charset.
        (
            b"f\xc3\xbcr\xc3\xbc\xf6 \x81 \xc3\xbc\n",
            "fürüö \u{fffd} ü\n",
            "windows-1252",
        ),
        // A line in Chinese, in a log in Chinese.
        (
            b"\xe6\xb5\x8b\xe8\xaf\x95\xe6\xb5\x8b\xe8\xaf\x95\n\xb2\xe2\xca\xd4\n",
            "测试测试\n测试\n",
            "gb18030",
        ),
        // A mark in front, as editors of Windows set it.
        (b"\xef\xbb\xbf\xc3\xbc \xfc\n", "ü ü\n", "windows-1252"),
        // Lines that were cut by their bytes.
        (
            b"\xe6\xb5\x8b\xe8\xaf\n\xaf\x95\xe6\xb5\x8b\n\xe6\xb5\x8b\n\xe6\xb5\x8b\xe6",
            "测\u{fffd}\n\u{fffd}测\n测\n测\u{fffd}",
            "windows-1252",
        ),
        (b"\xc3\xbc \xc3\xbc \xc3", "ü ü \u{fffd}", "windows-1252"),
        // UTF-8 stays also where it is the rarer.
        (
            b"J\xf6rg\nM\xfcller\nGr\xc3\xbc\xc3\x9fe f\xfcr alle\nB\xe4r\nCAF\xc9\xbb\nK\xe4se\n",
            "Jörg\nMüller\nGrüße für alle\nBär\nCAFÉ»\nKäse\n",
            "-windows-1252",
        ),
    ];
    for (bytes, text, name) in rows {
        let note = match name.strip_prefix('-') {
            Some(name) => Some(format!("the text was not UTF-8 and was read as {name}")),
            None => Some(mixed(name)),
        };
        assert_eq!(
            plain(bytes, &[]),
            (text.to_owned(), note),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn ten_thousand_lines_stay_what_they_are_beside_one_that_is_not() {
    let line = "2026-11-23 Müller prüft die Größe\n";
    let mut bytes = line.repeat(5_000).into_bytes();
    bytes.extend(b"J\xf6rg\n");
    bytes.extend(line.repeat(5_000).bytes());
    let (text, note) = plain(&bytes, &[]);
    assert_eq!(text, format!("{0}Jörg\n{0}", line.repeat(5_000)));
    assert_eq!(note, Some(mixed("windows-1252")));
}

#[test]
fn what_no_listed_charset_can_be_is_lost_alone() {
    let note = Some("the text was UTF-8 except for some bytes, which were lost".to_owned());
    assert_eq!(
        plain(b"\xc3\xbc J\xf6rg\n", &["gb18030"]),
        ("ü J\u{fffd}rg\n".to_owned(), note)
    );
    assert_eq!(
        plain(b"\xc3\xbc\xc3\xbc \xcf\xf0\n", &["windows-1251"]),
        ("üü Пр\n".to_owned(), Some(mixed("windows-1251")))
    );
}

#[test]
fn a_whole_text_in_another_charset_is_found_out() {
    let rows = [
        (WINDOWS_1252, "Größe: 5 m², über 10 € für das Menü\n"),
        (WINDOWS_1252, "Hyvää päivää kaikille\n"),
        (WINDOWS_1252, "price £5\n"),
        (encoding_rs::GB18030, "联通"),
        (encoding_rs::GB18030, "你好"),
        (
            encoding_rs::GB18030,
            "服务器磁盘空间不足，请及时处理。\n一些\n",
        ),
        (encoding_rs::BIG5, "伺服器磁碟空間不足，請及時處理。\n"),
        (
            encoding_rs::SHIFT_JIS,
            "サーバーのディスク容量が不足しています。\n表示\n",
        ),
        (
            encoding_rs::EUC_JP,
            "サーバーのディスク容量が不足しています。\n",
        ),
        (encoding_rs::EUC_KR, "서버의 디스크 공간이 부족합니다.\n"),
        (
            encoding_rs::WINDOWS_1251,
            "Ошибка: на диске «СССР» недостаточно места\n",
        ),
        (encoding_rs::KOI8_U, "Ошибка: на диске недостаточно места\n"),
        (
            encoding_rs::WINDOWS_1250,
            "Žluťoučký kůň úpěl ďábelské ódy\n",
        ),
        (
            encoding_rs::WINDOWS_1253,
            "Σφάλμα: ο δίσκος είναι γεμάτος\n",
        ),
        (encoding_rs::WINDOWS_1254, "Günaydın dünya, şişe ağaç\n"),
    ];
    for (charset, text) in rows {
        let note = Some(format!(
            "the text was not UTF-8 and was read as {}",
            name(charset)
        ));
        assert_eq!(plain(&written(charset, text), &[]), (text.to_owned(), note));
    }
    let listed = ["windows-1251", "koi8-u"];
    assert_eq!(
        plain(&written(encoding_rs::KOI8_U, "Ошибка на диске\n"), &listed).0,
        "Ошибка на диске\n"
    );
}

#[test]
fn a_charset_that_the_bytes_contradict_is_a_guess_like_any_other() {
    let said = |bytes: &[u8], named, label| {
        read(
            bytes.to_vec(),
            Hints {
                named,
                label,
                ..Hints::default()
            },
        )
        .0
    };
    // One odd byte does not.
    let mut chinese = written(encoding_rs::GBK, "服务器磁盘空间不足\n");
    chinese.extend(b"\xff\n");
    for (named, label) in [(Some("gbk"), None), (None, Some("gb2312"))] {
        assert_eq!(
            said(&chinese, named, label),
            "服务器磁盘空间不足\n\u{fffd}\n"
        );
        assert_eq!(said("测试测试\n".as_bytes(), named, label), "测试测试\n");
        assert_eq!(
            said(b"zw\xf6, gro\xdf. Men\xfc \xe0 gogo\n", named, label),
            "zwö, groß. Menü à gogo\n"
        );
    }
    assert_eq!(
        said("Größe\n".as_bytes(), Some("iso-8859-1"), None),
        "Größe\n"
    );
    assert_eq!(said(b"CAF\xc9\xbb\n", Some("iso-8859-1"), None), "CAFÉ»\n");
    assert_eq!(
        said(&written(encoding_rs::GBK, "一些\n"), Some("gbk"), None),
        "一些\n"
    );
    assert_eq!(
        said(b"\xb2\xe2\xca\xd4\n", Some("us-ascii"), Some("ascii")),
        "测试\n"
    );
    assert_eq!(
        said("Größe\n".as_bytes(), Some("iso-2022-jp"), None),
        "Größe\n"
    );
    assert_eq!(said(b"plain\n", Some("utf-16le"), None), "plain\n");
}

#[test]
fn a_label_agrees_with_what_it_may_be_on() {
    let rows: [(&[u8], Option<&str>, bool); 10] = [
        (b"a\n", None, true),
        (b"\xc3\xbc\n", None, false),
        (b"\xc3\xbc\n", Some("US-ASCII"), false),
        (b"\xc3\xbc\n", Some("UTF-8"), true),
        (b"\xc3\xbc \xfc\n", Some("utf-8"), false),
        (b"\xfc\n", Some("iso-8859-1"), true),
        (b"\xc3\xbc\n", Some("iso-8859-1"), false),
        (b"\xb2\xe2\xca\xd4\n", Some("gb2312"), true),
        (b"\xff \xff\n", Some("gb2312"), false),
        (b"\xfc\n", Some("klingon"), true),
    ];
    for (bytes, said, wanted) in rows {
        assert_eq!(
            agrees(bytes, said),
            wanted,
            "{} {said:?}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn the_same_is_found_in_pieces_as_in_one() {
    let text = "Größe 测试\nJörg\n".repeat(50);
    let mut bytes = text.into_bytes();
    bytes.extend(b"J\xf6rg\n");
    let whole = Survey::of(&bytes);
    for width in [1, 2, 3, 7, 64] {
        let mut survey = Survey::default();
        bytes.chunks(width).for_each(|piece| survey.add(piece));
        survey.finish();
        assert_eq!(
            (survey.is_mostly_utf8(), survey.is_utf8(), survey.is_high()),
            (true, false, true)
        );
        assert_eq!(name_of(&survey, &[]), name_of(&whole, &[]));
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    let start = std::time::Instant::now();
    for piece in [
        &b"\xc3"[..],
        b"\xc3\xbc\xf6",
        b"\xe6\xb5",
        b"\xff\n",
        b"\x81a",
        b"\x80\n\xe6\xb5\x8b",
    ] {
        plain(&piece.repeat(1_000_000 / piece.len()), &[]);
    }
    // Quadratic time over these would be hours.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
