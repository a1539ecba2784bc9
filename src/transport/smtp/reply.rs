//! The server's bytes turned into replies: bounded, decoded, and safe to print.
//!
//! Promise: whatever comes in, in whatever pieces, takes linear time and bounded memory, and ends
//! as a [`Reply`] or as a reason why it is none. Lenient where RFC 5321 section 4.2 asks for it
//! (bare LF, no text, any text), strict where a reply could be taken for another (no code, codes
//! out of range, two codes in one reply).

use crate::delivery::Reply;
use crate::text;
use crate::transport::peer_text::decode;

/// The longest line of a reply, in bytes (RFC 5321 section 4.5.3.1.5 asks for 512).
pub(crate) const LONGEST_LINE: usize = 16 * 1024;
/// The largest reply, in bytes.
pub(crate) const LARGEST: usize = 64 * 1024;
/// The most lines a reply may have.
pub(crate) const MOST_LINES: usize = 1000;
/// The most bytes of a line that are kept.
const SHOWN: usize = text::LONGEST_LINE;

/// Bytes received and not yet read, taken out line by line.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    searched: usize,
}

impl Input {
    /// Appends what was received.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            (self.start, self.searched) = (0, 0);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Takes a whole line without its end out, LF or CRLF; `None` while there is none.
    ///
    /// # Errors
    /// A reason when the line is longer than [`LONGEST_LINE`], complete or not.
    pub(crate) fn line(&mut self) -> Result<Option<Vec<u8>>, String> {
        let end = self.bytes[self.searched..]
            .iter()
            .position(|&b| b == b'\n')
            .map(|at| at + self.searched);
        if end.unwrap_or(self.bytes.len()) - self.start > LONGEST_LINE {
            return Err(format!("a line of more than {LONGEST_LINE} bytes"));
        }
        let Some(end) = end else {
            self.searched = self.bytes.len();
            return Ok(None);
        };
        let line = &self.bytes[self.start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.start = end + 1;
        self.searched = self.start;
        Ok(Some(line))
    }
}

/// A reply under way.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    code: Option<u16>,
    lines: Vec<String>,
    bytes: usize,
}

impl Parser {
    /// Takes the next line, and gives the reply when it was the last one.
    ///
    /// # Errors
    /// A reason, safe to print, when this cannot be a reply.
    pub(crate) fn push(&mut self, line: &[u8]) -> Result<Option<Reply>, String> {
        self.bytes += line.len() + 2;
        if self.bytes > LARGEST || self.lines.len() >= MOST_LINES {
            return Err(format!(
                "a reply of more than {MOST_LINES} lines or {LARGEST} bytes"
            ));
        }
        let (code, more, text) = split(line)?;
        if *self.code.get_or_insert(code) != code {
            return Err(format!(
                "two codes in one reply: {} and {code}",
                self.code.unwrap_or(code)
            ));
        }
        self.lines.push(decode(text));
        if more {
            return Ok(None);
        }
        Ok(Some(Reply::new(code, std::mem::take(&mut self.lines))))
    }
}

/// The reply that lines make; `None` while they make none.
///
/// # Errors
/// As [`Parser::push`].
pub(crate) fn parse<L: AsRef<[u8]>>(lines: &[L]) -> Result<Option<Reply>, String> {
    let mut parser = Parser::default();
    lines.iter().try_fold(None, |found, line| {
        Ok(parser.push(line.as_ref())?.or(found))
    })
}

/// Code, whether more lines follow, and text.
fn split(line: &[u8]) -> Result<(u16, bool, &[u8]), String> {
    let no_code = || {
        format!(
            "a line without a reply code: \"{}\"",
            decode(&line[..line.len().min(SHOWN)])
        )
    };
    let digits = line
        .get(..3)
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))
        .ok_or_else(no_code)?;
    let code = digits
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    let (more, text) = match line[3..].split_first() {
        None => (false, &line[3..]),
        Some((b' ', text)) => (false, text),
        Some((b'-', text)) => (true, text),
        Some(_) => return Err(no_code()),
    };
    if !(200..=599).contains(&code) {
        return Err(format!("the reply code {code}, which SMTP does not have"));
    }
    Ok((code, more, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Result<Vec<Reply>, String> {
        let (mut input, mut parser, mut replies) =
            (Input::default(), Parser::default(), Vec::new());
        for chunk in chunks {
            input.extend(chunk);
            while let Some(line) = input.line()? {
                if let Some(reply) = parser.push(&line)? {
                    replies.push(reply);
                    parser = Parser::default();
                }
            }
        }
        Ok(replies)
    }

    #[test]
    fn a_reply_is_the_same_however_it_is_cut() {
        let wire = b"250-mx.test hi\r\n250-\n250-SIZE 10\r\n250\r\n550 5.1.1 no such user\r\n";
        let whole = read(&[wire]).unwrap();
        assert_eq!(*whole[0].lines, ["mx.test hi", "", "SIZE 10", ""]);
        assert_eq!(whole[1].text(), "550 5.1.1 no such user");
        for first in 0..wire.len() {
            for second in first..wire.len() {
                assert_eq!(
                    read(&[&wire[..first], &wire[first..second], &wire[second..]]).unwrap(),
                    whole
                );
            }
        }
        assert_eq!(read(&wire.chunks(1).collect::<Vec<_>>()).unwrap(), whole);
    }

    #[test]
    fn what_is_no_reply_says_why() {
        for (wire, why) in [
            (
                &b"hello there\r\n"[..],
                "a line without a reply code: \"hello there\"",
            ),
            (b"\r\n", "a line without a reply code: \"\""),
            (b"25\r\n", "a line without a reply code: \"25\""),
            (b"2500 x\r\n", "a line without a reply code: \"2500 x\""),
            (b"199 x\r\n", "the reply code 199, which SMTP does not have"),
            (b"600 x\r\n", "the reply code 600, which SMTP does not have"),
            (b"250-a\r\n550 b\r\n", "two codes in one reply: 250 and 550"),
            (
                b"\x1b]0;x\x07\r\n",
                "a line without a reply code: \"\\u{1b}]0;x\\u{7}\"",
            ),
        ] {
            assert_eq!(read(&[wire]).unwrap_err(), why);
        }
    }

    #[test]
    fn a_reply_without_end_is_cut_off() {
        assert!(
            read(&[&vec![b'A'; LONGEST_LINE + 1]])
                .unwrap_err()
                .contains("more than 16384")
        );
        assert!(
            read(&[&b"250-X\r\n".repeat(2000)])
                .unwrap_err()
                .contains("more than 1000 lines")
        );
        let line = [&b"250-"[..], &[b'x'; 9000], b"\r\n"].concat();
        assert!(
            read(&[&line.repeat(8)])
                .unwrap_err()
                .contains("65536 bytes")
        );
        assert!(read(&[&line, b"250 ok\r\n"]).is_ok());
    }

    #[test]
    fn words_are_kept_to_twenty_lines_of_512_bytes() {
        let line = [&b"250-"[..], "é".repeat(1000).as_bytes(), b"\r\n"].concat();
        let wire = [line.repeat(30), b"250 end\r\n".to_vec()].concat();
        let reply = read(&[&wire]).unwrap().remove(0);
        assert_eq!(reply.lines.len(), 31);
        assert!(
            reply.lines[..30]
                .iter()
                .all(|line| line.len() <= 512 && line.ends_with("é…"))
        );
        let kept = crate::transport::peer_text::kept(&reply.lines);
        assert_eq!(
            (kept.len(), kept[15].as_str(), kept[20].as_str()),
            (21, "…", "end")
        );
        assert_eq!(crate::transport::peer_text::kept(&kept[..20]), kept[..20]);
    }

    #[test]
    fn text_is_decoded_as_utf8_then_gb18030_then_latin1() {
        assert_eq!(decode("é邮件".as_bytes()), "é邮件");
        assert_eq!(decode(&[0xd3, 0xca, 0xbc, 0xfe]), "邮件");
        assert_eq!(decode(b"h\xe9llo \xff"), "héllo ÿ");
    }

    #[test]
    fn replies_of_any_lines_take_linear_time() {
        use crate::pace::{assert_linear, repeated};
        for piece in [
            "250-x\r\n",
            "250 x\r\n",
            "250-\r\n250 y\n",
            "250-\x1b\x1b\x1b\r\n",
            "250 é\r\n",
            "2",
            "\n",
        ] {
            assert_linear(
                piece,
                |size| repeated(piece, size),
                |wire| drop(read(&[wire.as_bytes()])),
            );
            assert_linear(
                piece,
                |size| repeated(piece, size),
                |wire| drop(read(&wire.as_bytes().chunks(7).collect::<Vec<_>>())),
            );
        }
        assert_linear(
            "text",
            |size| repeated("\x1b\u{202e}é", size),
            |text| drop(crate::text::short(&text)),
        );
        assert_linear(
            "octets",
            |size| vec![0xe9; size],
            |bytes| drop(decode(&bytes)),
        );
    }
}
