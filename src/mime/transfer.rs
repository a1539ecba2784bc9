//! Content-Transfer-Encoding: how bytes become lines (RFC 2045 section 6).
//!
//! Promise: what is encoded here is ASCII in lines of at most 76 bytes, ends as its input ends,
//! and is decoded to exactly what went in. Linear, and quick enough that the network is always the
//! slower part.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::ContentTransferEncoding;

use super::crlf::LONGEST_LINE;
pub use super::quoted_printable::quoted_printable;

/// How text is encoded for the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit where it fits, else the shorter of quoted-printable and base64.
    #[default]
    Auto,
    /// 8bit where the server offers 8BITMIME.
    EightBit,
    /// Quoted-printable unless 7bit fits.
    QuotedPrintable,
    /// Base64.
    Base64,
}

/// Bytes in one line of base64, and the bytes on the wire they become with CRLF.
pub(crate) const LINE: (usize, usize) = (57, 78);

/// How a part travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// ASCII in short lines, as it is.
    SevenBit,
    /// Short lines, as they are; needs 8BITMIME.
    EightBit,
    /// Readable in its source.
    QuotedPrintable,
    /// Anything.
    Base64,
}

impl Transfer {
    /// The same in lettre's words.
    pub(crate) fn lettre(self) -> ContentTransferEncoding {
        match self {
            Transfer::SevenBit => ContentTransferEncoding::SevenBit,
            Transfer::EightBit => ContentTransferEncoding::EightBit,
            Transfer::QuotedPrintable => ContentTransferEncoding::QuotedPrintable,
            Transfer::Base64 => ContentTransferEncoding::Base64,
        }
    }
}

/// What decides how a text can travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextStats {
    /// No byte over 127.
    pub(crate) ascii: bool,
    /// Control characters other than TAB, CR and LF: servers strip, refuse or change them.
    pub(crate) controls: usize,
    /// Bytes that quoted-printable spells with three.
    pub(crate) odd: usize,
    /// The longest line in bytes, without its end.
    pub(crate) longest: usize,
}

impl TextStats {
    /// Counts once over the whole text.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut stats = TextStats {
            ascii: text.is_ascii(),
            controls: 0,
            odd: 0,
            longest: 0,
        };
        for line in text.split(|b| *b == b'\n') {
            stats.longest = stats
                .longest
                .max(line.strip_suffix(b"\r").unwrap_or(line).len());
            let count = |wanted: fn(u8) -> bool| line.iter().filter(|b| wanted(**b)).count();
            stats.controls += count(|b| (b < b' ' && b != b'\t' && b != b'\r') || b == 0x7f);
            stats.odd +=
                count(|b| b >= 0x7f || b == b'=' || (b < b' ' && b != b'\t' && b != b'\r'));
        }
        stats
    }

    /// Returns whether the text can go as it is, in seven bits or in eight.
    pub(crate) fn is_plain(&self) -> bool {
        self.controls == 0 && self.longest <= LONGEST_LINE
    }
}

/// Encodes a text with canonical line ends. `eight` allows 8bit, which only [`Encoding::EightBit`]
/// asks for.
pub(crate) fn encode_text(text: Vec<u8>, encoding: Encoding, eight: bool) -> (Transfer, Vec<u8>) {
    let stats = TextStats::of(&text);
    if stats.is_plain() && stats.ascii {
        return (Transfer::SevenBit, text);
    }
    match encoding {
        Encoding::EightBit if eight && stats.is_plain() => (Transfer::EightBit, text),
        Encoding::Base64 => (Transfer::Base64, base64(&text)),
        Encoding::QuotedPrintable => (Transfer::QuotedPrintable, quoted_printable(&text)),
        Encoding::Auto | Encoding::EightBit => {
            let rival = base64_len(text.len() as u64);
            if (text.len() + 2 * stats.odd) as u64 <= rival {
                let readable = quoted_printable(&text);
                if readable.len() as u64 <= rival {
                    return (Transfer::QuotedPrintable, readable);
                }
            }
            (Transfer::Base64, base64(&text))
        }
    }
}

/// Encodes in lines of 76, every one ended by CRLF.
pub fn base64(bytes: &[u8]) -> Vec<u8> {
    let total = usize::try_from(base64_len(bytes.len() as u64)).unwrap_or(usize::MAX);
    let lines = bytes.len().div_ceil(LINE.0);
    let mut out = vec![0; total];
    // The whole block is encoded at once behind the room its line ends need, then every line moves
    // to its place: a line never overtakes the ones that are still to be moved.
    let mut from = 2 * lines;
    if STANDARD.encode_slice(bytes, &mut out[from..]).is_err() {
        return Vec::new(); // cannot be: the room is exact
    }
    let mut to = 0;
    while from < total {
        let width = (LINE.1 - 2).min(total - from);
        out.copy_within(from..from + width, to);
        out[to + width..to + width + 2].copy_from_slice(b"\r\n");
        from += width;
        to += width + 2;
    }
    out
}

/// The length of what [`base64`] gives.
pub(crate) fn base64_len(bytes: u64) -> u64 {
    let rest = bytes % LINE.0 as u64;
    let last = if rest == 0 {
        0
    } else {
        rest.div_ceil(3) * 4 + 2
    };
    bytes / LINE.0 as u64 * LINE.1 as u64 + last
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_breaks_after_57_bytes() {
        assert_eq!(base64(b""), b"");
        assert_eq!(base64(b"a"), b"YQ==\r\n");
        assert_eq!(
            base64(&[0; 57]),
            [vec![b'A'; 76], b"\r\n".to_vec()].concat()
        );
        assert_eq!(
            base64(&[0; 58]),
            [vec![b'A'; 76], b"\r\nAA==\r\n".to_vec()].concat()
        );
    }

    #[test]
    fn quoted_printable_keeps_what_would_be_lost() {
        let rows: [(&str, &str); 8] = [
            ("a  \r\nb\t\r\n", "a =20\r\nb=09\r\n"),
            ("a \u{1b}[31mred\u{1b}[0m\r\n", "a =1B[31mred=1B[0m\r\n"),
            ("a\0b\r\n", "a=00b\r\n"),
            ("a\u{c}b\r\n", "a=0Cb\r\n"),
            ("1=1\r\n", "1=3D1\r\n"),
            ("Grüße\r\n", "Gr=C3=BC=C3=9Fe\r\n"),
            ("", ""),
            ("no end", "no end"),
        ];
        for (given, wanted) in rows {
            assert_eq!(
                quoted_printable(given.as_bytes())
                    .escape_ascii()
                    .to_string(),
                wanted.as_bytes().escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn a_soft_break_never_parts_a_character() {
        let text = "测".repeat(40) + "\r\n";
        let encoded = String::from_utf8(quoted_printable(text.as_bytes())).unwrap();
        assert!(
            encoded
                .lines()
                .all(|line| line.len() <= 76 && line.trim_end_matches('=').len() % 9 == 0),
            "{encoded}"
        );
    }

    #[test]
    fn text_takes_the_shortest_form_that_is_safe() {
        let long = "x".repeat(999) + "\r\n";
        let rows = [
            ("plain\r\n", Encoding::Auto, Transfer::SevenBit),
            ("plain\r\n", Encoding::Base64, Transfer::SevenBit),
            (
                "Grüße an alle Leser\r\n",
                Encoding::Auto,
                Transfer::QuotedPrintable,
            ),
            ("测试邮件\r\n", Encoding::Auto, Transfer::Base64),
            (
                "测试邮件\r\n",
                Encoding::QuotedPrintable,
                Transfer::QuotedPrintable,
            ),
            ("测试邮件\r\n", Encoding::EightBit, Transfer::EightBit),
            ("测试\0\r\n", Encoding::EightBit, Transfer::Base64),
            ("ü\r\n", Encoding::Base64, Transfer::Base64),
            (&long, Encoding::Auto, Transfer::QuotedPrintable),
            (&long, Encoding::EightBit, Transfer::QuotedPrintable),
            (&long[1..], Encoding::Auto, Transfer::SevenBit),
            ("a\u{7f}\r\n", Encoding::Auto, Transfer::QuotedPrintable),
        ];
        for (text, encoding, wanted) in rows {
            assert_eq!(
                encode_text(text.as_bytes().to_vec(), encoding, true).0,
                wanted,
                "{text:.20} {encoding:?}"
            );
        }
        assert_eq!(
            encode_text("ü\r\n".into(), Encoding::EightBit, false).0,
            Transfer::QuotedPrintable
        );
    }

    fn decode_quoted_printable(encoded: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = encoded;
        while let Some((first, tail)) = rest.split_first() {
            rest = tail;
            if *first != b'=' {
                out.push(*first);
            } else if let Some(tail) = rest.strip_prefix(b"\r\n") {
                rest = tail;
            } else {
                out.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
                rest = &rest[2..];
            }
        }
        out
    }

    proptest! {
        #[test]
        fn base64_is_decoded_to_what_it_was(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let encoded = base64(&bytes);
            prop_assert_eq!(encoded.len() as u64, base64_len(bytes.len() as u64));
            prop_assert!(encoded.split(|b| *b == b'\n').all(|line| line.len() <= 77));
            let joined: Vec<u8> = encoded.into_iter().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
            prop_assert_eq!(STANDARD.decode(joined).unwrap(), bytes);
        }

        #[test]
        fn quoted_printable_is_decoded_to_what_it_was(bytes in proptest::collection::vec(prop_oneof![Just(b' '), Just(b'\n'), Just(b'='), any::<u8>()], 0..600)) {
            let text = super::super::crlf::canonical(&bytes);
            let encoded = quoted_printable(&text);
            prop_assert!(encoded.is_ascii());
            prop_assert!(encoded.split(|b| *b == b'\n').all(|line| line.len() <= 77 && !line.ends_with(b" \r") && !line.ends_with(b"\t\r")));
            prop_assert_eq!(decode_quoted_printable(&encoded), text);
        }
    }
}
