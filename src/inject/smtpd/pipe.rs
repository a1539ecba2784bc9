//! The bytes of a dialogue: bounded lines in, the text up to its dot, and replies that leave
//! together.
//!
//! Promise: nothing waits to be written while input is waited for; memory does not grow with what
//! the client sends; what is written are lines of RFC 5321 section 4.5.3.1.5, ASCII, at most 512
//! bytes with their CRLF. Where lines end is the client's choice, made by its first command: a
//! client that speaks CRLF ends nothing by LF alone, neither a command nor the text.
use std::io::{self, Read, Write};

use super::Answer;
use crate::text::{self, Policy};

/// The longest command with its line end, in bytes: RFC 5321 wants 512, and the parameters of DSN
/// and SMTPUTF8 more.
pub(super) const LONGEST_COMMAND: usize = 2048;
/// What is read at once, in bytes; the replies to what it holds are the most that ever waits.
const BLOCK: usize = 16 * 1024;
/// The longest text in a line of a reply: 512 bytes without `250-`, an enhanced status code and
/// CRLF.
const LONGEST_TEXT: usize = 480;
/// The most lines that an acceptor's text becomes.
const MOST_LINES: usize = 8;
/// The longest name of a host (RFC 1035 section 2.3.4).
const LONGEST_HOST: usize = 255;

/// How the lines of the client end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// CRLF and nothing else.
    CrLf,
    /// LF, with a CR before it or not.
    Lf,
}

/// One line of the client.
pub(super) enum Line {
    /// Without its line end, and the one it had.
    Command(Vec<u8>, LineEnd),
    /// It holds an LF without CR, from a client that ends its lines with CRLF; the rest of it is
    /// skipped.
    BareLf,
    /// Longer than [`LONGEST_COMMAND`], and skipped.
    TooLong,
    /// The client has closed its side; a line without an end was no command.
    End,
}

/// Both directions of the dialogue.
pub(super) struct Pipe<'a> {
    input: &'a mut dyn Read,
    output: &'a mut dyn Write,
    buffer: Box<[u8]>,
    /// What of the buffer has been read and not used.
    start: usize,
    end: usize,
    /// Replies that have not left.
    waiting: Vec<u8>,
    /// How the first command ended.
    ends: Option<LineEnd>,
    /// The rest of a refused line is to be skipped.
    skips: bool,
}

impl<'a> Pipe<'a> {
    pub(super) fn new(input: &'a mut dyn Read, output: &'a mut dyn Write) -> Self {
        let buffer = vec![0; BLOCK].into_boxed_slice();
        Pipe {
            input,
            output,
            buffer,
            start: 0,
            end: 0,
            waiting: Vec::new(),
            ends: None,
            skips: false,
        }
    }

    /// What has been read; empty at the end of the input only. The only place that waits for the
    /// client, and so the replies leave before.
    fn peek(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.flush()?;
            self.start = 0;
            self.end = 0;
            self.end = loop {
                match self.input.read(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// The next command.
    pub(super) fn line(&mut self) -> io::Result<Line> {
        while std::mem::take(&mut self.skips) {
            match self.up_to_lf()? {
                (_, None) => return Ok(Line::End),
                (_, Some(end)) => self.skips = end != LineEnd::CrLf,
            }
        }
        let (line, Some(end)) = self.up_to_lf()? else {
            return Ok(Line::End);
        };
        if *self.ends.get_or_insert(end) == LineEnd::CrLf && end == LineEnd::Lf {
            // The rest may be what a stranger wrote behind the LF: a command of its own it must not
            // become.
            self.skips = true;
            return Ok(Line::BareLf);
        }
        Ok(line.map_or(Line::TooLong, |line| Line::Command(line, end)))
    }

    /// The bytes up to the next LF, without the line end, and which one it was; no bytes when
    /// there are too many, and no line end at the end of the input.
    fn up_to_lf(&mut self) -> io::Result<(Option<Vec<u8>>, Option<LineEnd>)> {
        let mut line = Vec::new();
        let (mut length, mut before) = (0, 0);
        loop {
            let block = self.peek()?;
            if block.is_empty() {
                return Ok((None, None));
            }
            let line_end = block.iter().position(|byte| *byte == b'\n');
            let part = &block[..line_end.map_or(block.len(), |at| at + 1)];
            length += part.len();
            if length <= LONGEST_COMMAND {
                line.extend_from_slice(part);
            }
            let used = part.len();
            match line_end {
                Some(at) => before = if at > 0 { part[at - 1] } else { before },
                None => before = part[used - 1],
            }
            self.start += used;
            if line_end.is_some() {
                break;
            }
        }
        let end = if before == b'\r' {
            LineEnd::CrLf
        } else {
            LineEnd::Lf
        };
        if length > LONGEST_COMMAND {
            return Ok((None, Some(end)));
        }
        line.pop();
        line.pop_if(|last| *last == b'\r');
        Ok((Some(line), Some(end)))
    }

    /// Writes a reply with an enhanced status code. A code that is no reply's becomes 451.
    pub(super) fn coded(&mut self, answer: &Answer) {
        let Answer {
            code,
            enhanced: (class, subject, detail),
            text,
        } = answer;
        let (status, text) = (format!("{class}.{subject}.{detail} "), safe(text));
        let lines: Vec<String> = broken(&text)
            .iter()
            .map(|line| format!("{status}{line}"))
            .collect();
        self.plain(
            if (200..=599).contains(code) {
                *code
            } else {
                451
            },
            &lines,
        );
    }

    /// Writes a reply of these lines, which are safe and short.
    pub(super) fn plain(&mut self, code: u16, lines: &[String]) {
        for (at, line) in lines.iter().enumerate() {
            let more = if at + 1 < lines.len() { '-' } else { ' ' };
            self.waiting
                .extend_from_slice(format!("{code}{more}{line}\r\n").as_bytes());
        }
    }

    /// Lets the replies leave, in one write.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.output.write_all(&waiting)?;
        self.output.flush()
    }
}

/// The name of a host as a reply may say it.
pub(super) fn host(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(char::is_ascii_graphic)
        .take(LONGEST_HOST)
        .collect();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}

/// Printable ASCII: what an acceptor quotes may come from anywhere, and the client may be a
/// terminal.
fn safe(text: &str) -> String {
    text::safe(text.trim(), Policy::Ascii).into_owned()
}

/// Breaks a text into lines, at blanks where there are some.
fn broken(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while rest.len() > LONGEST_TEXT && lines.len() + 1 < MOST_LINES {
        let at = rest[..LONGEST_TEXT]
            .rfind(' ')
            .filter(|at| *at > 0)
            .unwrap_or(LONGEST_TEXT);
        lines.push(&rest[..at]);
        rest = rest[at..].trim_start();
    }
    lines.push(&rest[..rest.len().min(LONGEST_TEXT)]);
    lines
}

/// Where in a line of the text the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// Behind a dot at the start: the last one, or one of a doubled pair.
    Dot,
    /// Behind a dot and a CR.
    DotReturn,
    Middle,
    /// Behind a CR that may be that of a line end.
    Return,
    /// Behind the final dot.
    End,
    /// The input ended before the dot.
    Lost,
}

/// How the text of a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// With its dot.
    Dot,
    /// With its dot, and the reader was told that it is over the limit.
    TooLong,
    /// Without its dot.
    Lost,
}

/// The text of one message: ends at the lone dot, dots at the start of lines taken off (RFC 5321
/// section 4.5.2). A line begins and the dot ends where the client's lines do: behind LF alone only
/// when DATA ended so, as the text of a client that speaks CRLF may hold an LF, a dot and an LF
/// that a stranger wrote.
///
/// Reading fails with `UnexpectedEof` when the input ends before the dot, and with `FileTooLarge`
/// over the limit.
pub(super) struct Body<'p, 'a> {
    pipe: &'p mut Pipe<'a>,
    ends: LineEnd,
    place: Place,
    limit: Option<u64>,
    bytes: u64,
    too_long: bool,
}

impl<'p, 'a> Body<'p, 'a> {
    /// Begins; `ends` is the end that DATA had.
    pub(super) fn new(pipe: &'p mut Pipe<'a>, ends: LineEnd, limit: Option<u64>) -> Self {
        Body {
            pipe,
            ends,
            place: Place::Start,
            limit,
            bytes: 0,
            too_long: false,
        }
    }

    /// Reads what was left unread, and says how the text ended. The next command follows.
    pub(super) fn finish(mut self) -> io::Result<Finish> {
        let mut rest = [0; 4096];
        while !matches!(self.place, Place::End | Place::Lost) {
            self.unstuffed(&mut rest)?;
        }
        Ok(match self.place {
            Place::Lost => Finish::Lost,
            _ if self.too_long => Finish::TooLong,
            _ => Finish::Dot,
        })
    }

    /// Fills `out` as far as the input has come, with at least one byte but at the end of the text
    /// or the input.
    fn unstuffed(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() && !matches!(self.place, Place::End | Place::Lost) {
            if filled > 0 && self.pipe.start == self.pipe.end {
                break;
            }
            let block = self.pipe.peek()?;
            let Some(&first) = block.first() else {
                self.place = Place::Lost;
                break;
            };
            let strict = self.ends == LineEnd::CrLf;
            let (place, used) = match (self.place, first) {
                (Place::Start, b'.') => (Place::Dot, 1),
                (Place::Dot, b'\r') => (Place::DotReturn, 1),
                (Place::Dot, b'\n') if !strict => (Place::End, 1),
                (Place::DotReturn, b'\n') => (Place::End, 1),
                (Place::DotReturn, _) => {
                    out[filled] = b'\r';
                    filled += 1;
                    (Place::Return, 0)
                }
                (Place::Return, b'\n') => {
                    out[filled] = b'\n';
                    filled += 1;
                    (Place::Start, 1)
                }
                _ => {
                    let room = &block[..block.len().min(out.len() - filled)];
                    let (place, used) = up_to_line_end(room, strict);
                    out[filled..filled + used].copy_from_slice(&room[..used]);
                    filled += used;
                    (place, used)
                }
            };
            self.place = place;
            self.pipe.start += used;
        }
        Ok(filled)
    }
}

/// How much of a stretch of text belongs to this line, at least one byte, and where the reading is
/// behind it.
fn up_to_line_end(text: &[u8], strict: bool) -> (Place, usize) {
    let end = if strict { b'\r' } else { b'\n' };
    match text.iter().position(|byte| *byte == end) {
        None => (Place::Middle, text.len()),
        Some(at) if strict => (Place::Return, at + 1),
        Some(at) => (Place::Start, at + 1),
    }
}

impl Read for Body<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let filled = if self.too_long {
            0
        } else {
            self.unstuffed(out)?
        };
        self.bytes += filled as u64;
        self.too_long |= self.limit.is_some_and(|limit| self.bytes > limit);
        if self.too_long {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the message exceeds the size limit",
            ));
        }
        // What was read before the loss is handed over first; the next read fails.
        if filled == 0 && self.place == Place::Lost {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the message ended without its final dot",
            ));
        }
        Ok(filled)
    }
}
