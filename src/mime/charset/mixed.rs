//! Text that is UTF-8 in one place and something else in another, as logs are that several programs
//! write.
//!
//! Promise: what is UTF-8 stays, and an odd byte costs no more than itself. Both halves take a
//! text in pieces, so that it may be of any size: a [`Survey`] finds out what it is, and a
//! [`Repair`] writes it again.
use encoding_rs::{Encoding, WINDOWS_1252};

/// How much of the lines that are no UTF-8 is kept to find their charset.
const SAMPLE: usize = 64 << 10;

/// What bytes look like.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// A character that is cut at the end of the last piece.
    cut: Vec<u8>,
    /// The characters beyond ASCII that are UTF-8, and those of them that have three bytes or
    /// four.
    valid: usize,
    wide: usize,
    /// Those whose first byte no text in Latin letters has in front of a sign.
    common: usize,
    /// The places that are no UTF-8.
    odd: usize,
    /// Some of the lines they stand in.
    sample: Vec<u8>,
}

impl Survey {
    /// Looks at a whole text.
    pub fn of(bytes: &[u8]) -> Self {
        let mut survey = Survey::default();
        survey.add(bytes);
        survey.finish();
        survey
    }

    /// Looks at the next piece.
    pub fn add(&mut self, bytes: &[u8]) {
        if self.cut.is_empty() && bytes.is_ascii() {
            return;
        }
        let joined;
        let mut bytes = bytes;
        if !self.cut.is_empty() {
            joined = [std::mem::take(&mut self.cut).as_slice(), bytes].concat();
            bytes = &joined;
        }
        let whole = bytes.len() - cut_at_end(bytes);
        self.cut = bytes[whole..].to_vec();
        bytes[..whole]
            .split_inclusive(|b| *b == b'\n')
            .filter(|line| !line.is_ascii())
            .for_each(|l| self.line(l));
    }

    /// Ends the text.
    pub fn finish(&mut self) {
        let cut = std::mem::take(&mut self.cut);
        if !cut.is_empty() {
            self.line(&cut);
        }
    }

    fn line(&mut self, line: &[u8]) {
        let count = Count::of(line);
        self.valid += count.valid;
        self.wide += count.wide;
        self.common += usize::from(line.iter().copied().any(is_common));
        self.odd += count.odd;
        if count.odd > 0 {
            let room = SAMPLE.saturating_sub(self.sample.len());
            let line = &line[..line.len().min(room)];
            if count.odd > count.valid {
                self.sample.extend_from_slice(line);
            } else {
                for chunk in line.utf8_chunks() {
                    self.sample
                        .extend(chunk.valid().bytes().filter(u8::is_ascii));
                    self.sample.extend_from_slice(chunk.invalid());
                }
            }
        }
    }

    /// Returns whether there are bytes over 127.
    pub fn is_high(&self) -> bool {
        self.valid + self.odd > 0
    }

    /// Returns whether all of it is UTF-8.
    pub fn is_utf8(&self) -> bool {
        self.odd == 0
    }

    /// Returns whether it is UTF-8 but for some places.
    pub fn is_mostly_utf8(&self) -> bool {
        self.valid > 0 && self.valid >= self.odd
    }

    /// Returns whether it is UTF-8 so clearly that it cannot be in the charset it is said to be in.
    pub(super) fn contradicts(&self, charset: &'static Encoding) -> bool {
        let plausible = if charset.is_single_byte() {
            self.common > 0
        } else {
            self.valid > 3
        };
        self.is_utf8() && (self.wide > 0 || plausible)
    }

    /// Lines that are no UTF-8, without what is UTF-8 in them where that is most of it.
    pub(super) fn sample(&self) -> &[u8] {
        &self.sample
    }

    /// The repair it needs, with a charset for what is no UTF-8; without one that becomes U+FFFD.
    pub(super) fn repair(&self, charset: Option<&'static Encoding>) -> Repair {
        Repair {
            charset,
            utf8: self.is_mostly_utf8(),
            wide: self.wide * 2 > self.valid,
        }
    }
}

/// The first bytes of the letters of Europe in UTF-8 which are no capitals that a word of Latin-1
/// ends with.
fn is_common(byte: u8) -> bool {
    matches!(byte, 0xC2..=0xC5 | 0xCE..=0xD1)
}

/// The bytes of a character that the end of a text cuts off.
fn cut_at_end(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    let cut = tail
        .utf8_chunks()
        .last()
        .map(|chunk| chunk.invalid())
        .unwrap_or_default();
    match std::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() => cut.len(),
        _ => 0,
    }
}

/// The characters of a stretch.
#[derive(Default, Clone, Copy)]
struct Count {
    valid: usize,
    wide: usize,
    odd: usize,
}

impl Count {
    fn of(bytes: &[u8]) -> Self {
        let mut count = Count::default();
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars().filter(|c| !c.is_ascii()) {
                count.valid += 1;
                count.wide += usize::from(c.len_utf8() > 2);
            }
            count.odd += usize::from(!chunk.invalid().is_empty());
        }
        count
    }
}

/// How a text becomes UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Repair {
    charset: Option<&'static Encoding>,
    /// The text is UTF-8 but for some places.
    utf8: bool,
    /// Most of its characters have three bytes or more.
    wide: bool,
}

impl Repair {
    /// Writes a line, with its end. The last line of a text may end within a character, which then
    /// is lost.
    pub fn line(&self, line: &[u8], is_last: bool, out: &mut String) {
        if let Ok(text) = std::str::from_utf8(line)
            && (self.utf8 || line.is_ascii() || self.is_plausible(Count::of(line), line))
        {
            out.push_str(text);
            return;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let end = &line[text.len()..];
        // What cuts lines by their bytes parts characters, at both ends.
        let count = Count::of(text);
        let is_other = self.is_multibyte() && count.odd > count.valid;
        let broken = self.utf8 && self.wide && !is_other;
        let before = if broken {
            text.iter().take_while(|b| matches!(b, 0x80..=0xBF)).count()
        } else {
            0
        };
        let cut = cut_at_end(&text[before..]);
        let is_cut = broken
            && text
                .last()
                .is_some_and(|_| text[text.len() - cut..].first().is_some_and(|b| *b >= 0xE0));
        let behind = if is_cut || self.utf8 && is_last && end.is_empty() {
            cut
        } else {
            0
        };
        out.extend((before > 0).then_some('\u{fffd}'));
        self.words(&text[before..text.len() - behind], out);
        out.extend((behind > 0).then_some('\u{fffd}'));
        out.extend(end.iter().map(|b| char::from(*b)));
    }

    fn is_multibyte(&self) -> bool {
        self.charset
            .is_some_and(|charset| !charset.is_single_byte())
    }

    fn words(&self, text: &[u8], out: &mut String) {
        let count = Count::of(text);
        if self.is_multibyte() && (count.odd > count.valid || !self.utf8 && count.odd == 0) {
            // Characters of several bytes hold ASCII too, so they must not be taken apart.
            return self.decode(text, out);
        }
        for run in text.chunk_by(|a, b| a.is_ascii() == b.is_ascii()) {
            let count = Count::of(run);
            if count.odd > count.valid
                || count.odd == 0 && !(self.utf8 || self.is_plausible(count, run))
            {
                self.decode(run, out);
                continue;
            }
            for chunk in run.utf8_chunks() {
                out.push_str(chunk.valid());
                self.decode(chunk.invalid(), out);
            }
        }
    }

    /// Returns whether a stretch that could be UTF-8 is, in a text that mostly is not: Latin
    /// letters and a sign behind them, such as `É»`, look like it.
    fn is_plausible(&self, count: Count, stretch: &[u8]) -> bool {
        match self.charset {
            _ if count.wide > 0 => true,
            Some(charset) if charset == WINDOWS_1252 => stretch.iter().copied().any(is_common),
            Some(charset) if charset.is_single_byte() => count.valid > 1,
            Some(_) => count.valid > 3,
            None => true,
        }
    }

    fn decode(&self, bytes: &[u8], out: &mut String) {
        if bytes.is_empty() {
            return;
        }
        let Some(charset) = self.charset else {
            return out.push('\u{fffd}');
        };
        // What a charset leaves undefined is read as control characters, which were not meant.
        let lost = |c: char| matches!(c, '\u{80}'..='\u{9f}');
        let (text, _) = charset.decode_without_bom_handling(bytes);
        out.extend(text.chars().map(|c| if lost(c) { '\u{fffd}' } else { c }));
    }
}
