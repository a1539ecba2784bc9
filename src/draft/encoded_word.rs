//! Reads encoded-words (RFC 2047) in the head of a template, as programs write them there.
//!
//! Promise: what is not a well-formed encoded-word stays as it is. A line end or another control character that was
//! hidden in one becomes a blank, so that decoding can never begin another header.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::Encoding;

/// The longest word that is read: the standard allows 75 octets, and programs write more; a bound keeps the time linear.
const LONGEST: usize = 2000;

/// Decodes every encoded-word of a value; blanks between two of them go (section 6.2).
pub(crate) fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, candidate) = rest.split_at(start);
        let Some((decoded, length)) = word(candidate) else {
            out.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
            after_word = false;
            continue;
        };
        if !(after_word && before.chars().all(|c| c == ' ' || c == '\t')) {
            out.push_str(before);
        }
        out.push_str(&decoded);
        rest = &candidate[length..];
        after_word = true;
    }
    out + rest
}

/// One encoded-word at the start of a text and its length: `=?charset?encoding?text?=`.
fn word(text: &str) -> Option<(String, usize)> {
    let text = &text[..text.floor_char_boundary(LONGEST)];
    let inner = text.strip_prefix("=?")?;
    let (charset, inner) = inner.split_once('?')?;
    let (encoding, inner) = inner.split_once('?')?;
    let (encoded, _) = inner.split_once("?=")?;
    // A language may stand behind the charset (RFC 2231 section 5).
    let charset = Encoding::for_label(charset.split('*').next()?.as_bytes())?;
    if encoded.contains([' ', '\t', '?']) {
        return None;
    }
    let octets = match encoding {
        "B" | "b" => STANDARD.decode(encoded).ok()?,
        "Q" | "q" => quoted(encoded)?,
        _ => return None,
    };
    let length = text.len() - inner.len() + encoded.len() + 2;
    let (decoded, _) = charset.decode_without_bom_handling(&octets);
    Some((decoded.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(), length))
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
        for piece in ["=?", "=?utf-8?", "=?utf-8?q?a?=", "=?utf-8?q?x", "=?a?b", "=?gb18030?b?AAAA", " =?utf-8?b??="] {
            assert_linear(piece, |size| repeated(piece, size), |text| drop(decode(&text)));
        }
    }
}
