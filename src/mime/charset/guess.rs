//! Finds out which charset octets that are no UTF-8 are in, when nobody has named one.
//!
//! Promise: the same octets always give the same answer, in linear time. What is too short to tell
//! by is read as most mail in the West and in China is: windows-1252, or GB18030 where nearly all
//! octets lie where its common characters are.
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, WINDOWS_1252};

/// Up to so many octets two characters of a Chinese text are also two of a Korean or a Japanese
/// one.
const FEW: usize = 4;

/// The charset, of those that are listed if any are; `None` when the list has none that fits.
pub(super) fn charset_of(octets: &[u8], listed: &[&'static Encoding]) -> Option<&'static Encoding> {
    if listed.is_empty() {
        return Some(likeliest(octets));
    }
    let plausible =
        |charset: &'static Encoding| is_likely(charset, octets) && fits(charset, octets, 20);
    let guess = likeliest(octets);
    if listed.contains(&guess) && plausible(guess) {
        return Some(guess);
    }
    listed.iter().copied().find(|charset| plausible(charset))
}

fn likeliest(octets: &[u8]) -> &'static Encoding {
    let high = octets.iter().filter(|octet| !octet.is_ascii()).count();
    if high < 2 {
        return WINDOWS_1252;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(octets, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    let is_chinese = || is_likely(GB18030, octets) && fits(GB18030, octets, usize::MAX);
    if guess == GBK || high <= FEW && [EUC_JP, EUC_KR, BIG5].contains(&guess) {
        return if is_chinese() { GB18030 } else { WINDOWS_1252 };
    }
    if guess.is_single_byte() && (high < 3 || !has_letters(octets)) {
        WINDOWS_1252
    } else {
        guess
    }
}

/// Signs such as those of money and degrees say nothing about a language, and stand in windows-1252
/// for the most part.
fn has_letters(octets: &[u8]) -> bool {
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(octets);
    text.chars().any(|c| !c.is_ascii() && c.is_alphabetic())
}

/// Tells whether octets can be of a charset, with at most one odd place for so many characters.
pub(super) fn fits(charset: &'static Encoding, octets: &[u8], most: usize) -> bool {
    let (text, _) = charset.decode_without_bom_handling(octets);
    let (mut good, mut odd) = (0_usize, 0_usize);
    text.chars()
        .filter(|c| !c.is_ascii())
        .for_each(|c| if c == '\u{fffd}' { odd += 1 } else { good += 1 });
    odd.saturating_mul(most) <= good
}

/// Chinese charsets take nearly any octets: `Jörg` in Latin-1 is also `J` and a rare character.
/// Real Chinese lies for the most part in the area of GB 2312, where both octets of a character are
/// high; in Latin-1 high octets mostly stand alone.
fn is_likely(charset: &'static Encoding, octets: &[u8]) -> bool {
    if charset != GB18030 && charset != GBK {
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
        if matches!(first, 0xA1..=0xA9 | 0xB0..=0xF7) && second >= 0xA1 {
            common += 1;
        } else {
            rare += 1;
        }
    }
    common > rare
}
