//! Reads encoded-words (RFC 2047), as programs write them into heads and into the words of a
//! command line.
//!
//! Promise: what is not a well-formed encoded-word stays as it is. A line end or another control
//! character that was hidden in one becomes a blank, so that decoding can never begin another
//! header.
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use encoding_rs::Encoding;

use super::charset;

/// The longest word that is read: the standard allows 75 bytes, and programs write more; a bound
/// keeps the time linear.
const LONGEST: usize = 2000;
/// Base64 as programs write it, with its padding and without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes every encoded-word of a value; blanks between two of them go (section 6.2), and a
/// character that was parted between them is whole again.
pub(crate) fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // What the last words said, while the next may belong to it.
    let mut open: Option<Word> = None;
    while let Some(start) = rest.find("=?") {
        let (before, candidate) = rest.split_at(start);
        let Some((word, length)) = word(candidate) else {
            close(&mut open, &mut out);
            out.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
            continue;
        };
        let follows = open.is_some() && before.bytes().all(|b| b.is_ascii_whitespace());
        match &mut open {
            Some(last) if follows && last.charset == word.charset => {
                last.bytes.extend(word.bytes);
            }
            _ => {
                close(&mut open, &mut out);
                out.push_str(if follows { "" } else { before });
                open = Some(word);
            }
        }
        rest = &candidate[length..];
    }
    close(&mut open, &mut out);
    out + rest
}

/// What an encoded-word holds.
struct Word {
    charset: &'static Encoding,
    bytes: Vec<u8>,
}

fn close(open: &mut Option<Word>, out: &mut String) {
    let Some(Word { charset, bytes }) = open.take() else {
        return;
    };
    let (decoded, _) = charset.decode_without_bom_handling(&bytes);
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    out.extend(decoded.chars().map(|c| if breaks(c) { ' ' } else { c }));
}

/// One encoded-word at the start of a text and its length: `=?charset?encoding?text?=`.
fn word(text: &str) -> Option<(Word, usize)> {
    let text = &text[..text.floor_char_boundary(LONGEST)];
    let inner = text.strip_prefix("=?")?;
    let (charset, inner) = inner.split_once('?')?;
    let (encoding, inner) = inner.split_once('?')?;
    let (encoded, _) = inner.split_once("?=")?;
    // A language may stand behind the charset (RFC 2231 section 5).
    let charset = charset::find(charset.split('*').next()?)?;
    if encoded.contains([' ', '\t', '?']) {
        return None;
    }
    let bytes = match encoding {
        // base64(1) breaks its lines.
        "B" | "b" => LENIENT.decode(encoded.replace(['\r', '\n'], "")).ok()?,
        "Q" | "q" if !encoded.contains(['\r', '\n']) => quoted(encoded)?,
        _ => return None,
    };
    let length = text.len() - inner.len() + encoded.len() + 2;
    Some((Word { charset, bytes }, length))
}

fn quoted(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        octets.push(match byte {
            b'_' => b' ',
            b'=' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn well_formed_words_are_decoded_and_the_rest_stays() {
        let rows = [
            ("plain", "plain"),
            ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
            ("Re: =?UTF-8?B?5rWL6K+V?= end", "Re: 测试 end"),
            ("=?utf-8?q?a?= =?utf-8?q?b?=  c", "ab  c"),
            ("=?iso-8859-1*de?Q?M=FCller?=", "Müller"),
            ("=?gb2312?B?suLK1A==?=", "测试"),
            ("=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"),
            ("=?utf-8?B?W1BST0JMRU1d?=", "[PROBLEM]"),
            ("=?utf-8?B?W1BST0JMRU1dCg==?=", "[PROBLEM] "),
            ("=?utf-8?b?5rWL6K+V5rWL?=", "测试测"),
            ("=?utf-8?b?5rWL\n6K+V?=", "测试"),
            (
                "=?utf-8?q?=E6=B5?= =?UTF8?q?=8B?= =?utf-8?b?6K8=?= =?utf-8?q?=95?=",
                "测试",
            ),
            ("=?utf-8?q?=C3?= =?iso-8859-1?q?=FC?=", "\u{fffd}ü"),
            ("=?utf-8?q?=C3?= x =?utf-8?q?=BC?=", "\u{fffd} x \u{fffd}"),
            ("=?cp936?b?suLK1A?=\t=?latin-1?q?=FC?=", "测试ü"),
            ("=?utf-8?q?a=E2=80=A8b?=", "a b"),
            ("=?utf-8?q?a", "=?utf-8?q?a"),
            ("=?nonsense?q?a?=", "=?nonsense?q?a?="),
            ("=?utf-8?b?%%%?=", "=?utf-8?b?%%%?="),
            ("=?utf-8?x?a?= =?", "=?utf-8?x?a?= =?"),
        ];
        for (text, want) in rows {
            assert_eq!(decode(text), want, "{text}");
        }
    }

    #[test]
    fn a_megabyte_of_beginnings_is_read_in_linear_time() {
        use crate::pace::{assert_linear, repeated};
        for piece in [
            "=?",
            "=?utf-8?",
            "=?utf-8?q?a?=",
            "=?utf-8?q?x",
            "=?a?b",
            "=?gb18030?b?AAAA",
            " =?utf-8?b??=",
        ] {
            assert_linear(
                piece,
                |size| repeated(piece, size),
                |text| drop(decode(&text)),
            );
        }
    }
}
