//! Finds out which charset bytes that are no UTF-8 are in, when nobody has named one.
//!
//! Promise: the same bytes always give the same answer, in linear time. What is too short to tell
//! by is read as most mail in the West and in China is: windows-1252, or GB18030 where nearly all
//! bytes lie where its common characters are.
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, WINDOWS_1252};

/// Up to so many bytes two characters of a Chinese text are also two of a Korean or a Japanese
/// one.
const FEW: usize = 4;

/// The charset, of those that are listed if any are; `None` when the list has none that fits.
pub(super) fn charset_of(bytes: &[u8], listed: &[&'static Encoding]) -> Option<&'static Encoding> {
    if listed.is_empty() {
        return Some(likeliest(bytes));
    }
    let plausible =
        |charset: &'static Encoding| is_likely(charset, bytes) && fits(charset, bytes, 20);
    let guess = likeliest(bytes);
    if listed.contains(&guess) && plausible(guess) {
        return Some(guess);
    }
    listed.iter().copied().find(|charset| plausible(charset))
}

fn likeliest(bytes: &[u8]) -> &'static Encoding {
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    if high < 2 {
        return WINDOWS_1252;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    let is_chinese = || is_likely(GB18030, bytes) && fits(GB18030, bytes, usize::MAX);
    if guess == GBK || high <= FEW && [EUC_JP, EUC_KR, BIG5].contains(&guess) {
        return if is_chinese() { GB18030 } else { WINDOWS_1252 };
    }
    if guess.is_single_byte() && (high < 3 || !has_letters(bytes)) {
        WINDOWS_1252
    } else {
        guess
    }
}

/// Signs such as those of money and degrees say nothing about a language, and stand in windows-1252
/// for the most part.
fn has_letters(bytes: &[u8]) -> bool {
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
    text.chars().any(|c| !c.is_ascii() && c.is_alphabetic())
}

/// Returns whether bytes can be of a charset, with at most one odd place for so many characters.
pub(super) fn fits(charset: &'static Encoding, bytes: &[u8], most: usize) -> bool {
    let (text, _) = charset.decode_without_bom_handling(bytes);
    let (mut good, mut odd) = (0_usize, 0_usize);
    text.chars()
        .filter(|c| !c.is_ascii())
        .for_each(|c| if c == '\u{fffd}' { odd += 1 } else { good += 1 });
    odd.saturating_mul(most) <= good
}

/// Chinese charsets take nearly any bytes: `Jörg` in Latin-1 is also `J` and a rare character.
/// Real Chinese lies for the most part in the area of GB 2312, where both bytes of a character are
/// high; in Latin-1 high bytes mostly stand alone.
fn is_likely(charset: &'static Encoding, bytes: &[u8]) -> bool {
    if charset != GB18030 && charset != GBK {
        return true;
    }
    let (mut common, mut rare) = (0_usize, 0_usize);
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first < 0x81 {
            continue;
        }
        let second = tail.first().copied().unwrap_or(0);
        rest = tail.get(1..).unwrap_or_default();
        if matches!(first, 0xA1..=0xA9 | 0xB0..=0xF7) && second >= 0xA1 {
            common += 1;
        } else {
            rare += 1;
        }
    }
    common > rare
}
