//! Finds what must change in a mail, by one look at its lines: heads of parts, leaves, and what
//! stands between parts.
//!
//! Promise: linear, memory as large as one head and the list of changes; a line is remembered only
//! by its start. Nesting beyond [`DEEPEST`] and parts beyond [`MOST_PARTS`] are not looked into.
use std::io;
use std::ops::Range;

use super::Form;
use crate::mime::crlf::LONGEST_LINE;
use crate::mime::head;
use crate::mime::media::MediaType;
use crate::mime::transfer;

/// How deep multiparts and messages are looked into.
const DEEPEST: usize = 20;
/// How many parts are looked at.
const MOST_PARTS: usize = 10_000;
/// What is remembered of a line, and of a head.
const START: usize = 1000;
const HEAD: usize = 64 << 10;

/// A change to a range of the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) range: Range<u64>,
    pub(crate) change: Change,
}

/// What becomes of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The fields of a head are mended where they need it, and this is its transfer encoding;
    /// `root` is that of the mail.
    Head {
        encoding: Option<&'static str>,
        root: bool,
    },
    /// The bytes of a leaf. `open` puts the blank line there that its head lacks; `inner` leaves
    /// the last line end to the delimiter.
    Leaf { how: How, open: bool, inner: bool },
    /// Lines that mean nothing to a reader are broken, and their odd bytes replaced.
    Loose,
}

/// How the bytes of a leaf are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    QuotedPrintable,
    Base64,
    /// It is quoted-printable, and not well made.
    MendQuotedPrintable,
    /// The same with base64.
    MendBase64,
    /// Its encoding is unknown.
    Loose,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In their order, without overlap.
    pub(crate) edits: Vec<Edit>,
    /// Bytes over 127 stay, outside the heads that change.
    pub(crate) eight_bit: bool,
}

/// A transfer encoding as a head names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declared {
    None,
    Seven,
    Eight,
    Binary,
    QuotedPrintable,
    Base64,
    Unknown,
}

/// A line while it comes in.
#[derive(Debug, Default)]
struct Line {
    at: u64,
    length: u64,
    start: Vec<u8>,
    high: bool,
    nul: bool,
    odd: u64,
}

impl Line {
    fn add(&mut self, bytes: &[u8]) {
        let room = START.saturating_sub(self.start.len()).min(bytes.len());
        self.start.extend_from_slice(&bytes[..room]);
        self.length += bytes.len() as u64;
        self.nul |= bytes.contains(&0);
        if !bytes.is_ascii() {
            self.high = true;
        }
        self.odd += bytes.iter().filter(|b| **b > b'~' || **b == b'=').count() as u64;
    }

    fn next(&mut self) {
        let at = self.at + self.length;
        self.start.clear();
        *self = Line {
            at,
            start: std::mem::take(&mut self.start),
            ..Line::default()
        };
    }

    fn is_long(&self) -> bool {
        self.length > LONGEST_LINE as u64 + 2
    }

    fn is_blank(&self) -> bool {
        self.start == b"\r\n"
    }
}

/// A head that was read.
#[derive(Debug)]
struct Head {
    range: Range<u64>,
    /// Its first bytes.
    text: Vec<u8>,
    blank: bool,
    /// A field of it must be mended.
    flawed: bool,
    high: bool,
    essence: String,
    declared: Declared,
}

/// An entity that has entities in it.
struct Node {
    head: Head,
    boundary: Option<Vec<u8>>,
    high: bool,
    digest: bool,
    sealed: bool,
}

struct Leaf {
    head: Head,
    from: u64,
    high: bool,
    flawed: bool,
    odd: u64,
}

enum State {
    Head(Head),
    Leaf(Leaf),
    Loose,
}

/// Looks at a mail with canonical line ends.
pub(crate) fn survey(
    chunks: impl Iterator<Item = io::Result<Vec<u8>>>,
    form: Form,
) -> io::Result<Found> {
    let mut walker = Walker {
        form,
        found: Found::default(),
        open: Vec::new(),
        parts: 0,
        state: State::Loose,
    };
    walker.state = walker.begin(0);
    let mut line = Line::default();
    for chunk in chunks {
        for bytes in chunk?.split_inclusive(|b| *b == b'\n') {
            line.add(bytes);
            if bytes.ends_with(b"\n") {
                walker.line(&line);
                line.next();
            }
        }
    }
    if line.length > 0 {
        walker.line(&line);
        line.next();
    }
    walker.close(line.at, false);
    while let Some(node) = walker.open.pop() {
        walker.leave(node);
    }
    walker
        .found
        .edits
        .sort_by_key(|edit| (edit.range.start, edit.range.end));
    Ok(walker.found)
}

struct Walker {
    form: Form,
    found: Found,
    open: Vec<Node>,
    parts: usize,
    state: State,
}

impl Walker {
    fn begin(&mut self, at: u64) -> State {
        self.parts += 1;
        let digest = self.open.last().is_some_and(|node| node.digest);
        State::Head(Head {
            range: at..at,
            text: Vec::new(),
            blank: false,
            flawed: false,
            high: false,
            essence: if digest {
                "message/rfc822"
            } else {
                "text/plain"
            }
            .to_owned(),
            declared: Declared::None,
        })
    }

    fn line(&mut self, line: &Line) {
        if line.start.starts_with(b"--")
            && let Some((at, last)) = self.delimiter(&line.start)
        {
            self.close(line.at, true);
            while self.open.len() > at + 1 {
                if let Some(node) = self.open.pop() {
                    self.leave(node);
                }
            }
            if last {
                self.open[at].boundary = None;
                self.state = State::Loose;
            } else {
                self.state = self.begin(line.at + line.length);
            }
            return self.loose_line(line);
        }
        match &mut self.state {
            State::Loose => self.loose_line(line),
            State::Leaf(leaf) => {
                leaf.high |= line.high;
                leaf.flawed |= line.nul || line.is_long();
                leaf.odd += line.odd;
            }
            State::Head(head) => {
                let continues =
                    !head.range.is_empty() && matches!(line.start.first(), Some(b' ' | b'\t'));
                let belongs = continues || head::is_field(&line.start);
                head.blank = line.is_blank();
                if head.blank || belongs {
                    head.range.end = line.at + line.length;
                    head.high |= line.high;
                    head.flawed |= line.is_long() || line.nul;
                    if head.text.len() < HEAD {
                        head.text.extend_from_slice(&line.start);
                        if !head.text.ends_with(b"\n") {
                            head.text.extend_from_slice(b"\r\n");
                        }
                    }
                }
                if head.blank || !belongs {
                    let blank = head.blank;
                    self.enter();
                    if !blank {
                        self.line(line);
                    }
                }
            }
        }
    }

    /// Which of the open multiparts a line delimits, and whether it is the last time.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.strip_prefix(b"--")?.trim_ascii_end();
        if self.parts >= MOST_PARTS {
            return None;
        }
        self.open.iter().enumerate().rev().find_map(|(at, node)| {
            let rest = line.strip_prefix(node.boundary.as_deref()?)?;
            match rest {
                b"" => Some((at, false)),
                b"--" => Some((at, true)),
                _ => None,
            }
        })
    }

    /// A head is over: what follows it?
    fn enter(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Loose);
        let State::Head(mut head) = state else { return };
        let boundary = head.read();
        let from = head.range.end;
        let plain = matches!(
            head.declared,
            Declared::None | Declared::Seven | Declared::Eight | Declared::Binary
        );
        let multi = head.essence.starts_with("multipart/");
        let message =
            ["message/rfc822", "message/global", "message/news"].contains(&head.essence.as_str());
        if !(plain && (multi || message)) {
            self.state = State::Leaf(Leaf {
                head,
                from,
                high: false,
                flawed: false,
                odd: 0,
            });
            return;
        }
        let shallow = self.open.len() < DEEPEST;
        let sealed =
            head.essence == "multipart/signed" || self.open.last().is_some_and(|node| node.sealed);
        let digest = head.essence == "multipart/digest";
        self.open.push(Node {
            head,
            boundary: boundary.filter(|_| multi && shallow),
            high: false,
            digest,
            sealed,
        });
        self.state = if message && shallow {
            self.begin(from)
        } else {
            State::Loose
        };
    }

    fn loose_line(&mut self, line: &Line) {
        let seven = self.form == Form::SevenBit;
        if line.high && !seven {
            self.found.eight_bit = true;
        }
        if let Some(node) = self.open.last_mut() {
            node.high |= line.high;
        }
        if !(line.is_long() || line.nul || line.high && seven) {
            return;
        }
        let end = line.at + line.length;
        match self.found.edits.last_mut() {
            Some(Edit {
                range,
                change: Change::Loose,
            }) if range.end == line.at => range.end = end,
            _ => self.found.edits.push(Edit {
                range: line.at..end,
                change: Change::Loose,
            }),
        }
    }

    /// The entity being read is over; `inner` when a delimiter ends it, to which the last line end
    /// belongs.
    fn close(&mut self, at: u64, inner: bool) {
        if matches!(self.state, State::Head(_)) {
            self.enter();
            // A message without a head, within one.
            if matches!(self.state, State::Head(_)) {
                self.enter();
            }
        }
        if let State::Leaf(leaf) = std::mem::replace(&mut self.state, State::Loose) {
            let end = if inner {
                at.saturating_sub(2).max(leaf.from)
            } else {
                at
            };
            self.leaf(leaf, end, inner);
        }
    }

    fn leaf(&mut self, leaf: Leaf, end: u64, inner: bool) {
        let seven = self.form == Form::SevenBit;
        if let Some(node) = self.open.last_mut() {
            node.high |= leaf.high || leaf.head.high;
        }
        if !(leaf.flawed || seven && leaf.high) {
            self.found.eight_bit |= leaf.high;
            let label = self.label(&leaf.head, leaf.high);
            return self.head(leaf.head, label);
        }
        let is_text =
            leaf.head.essence.starts_with("text/") || leaf.head.essence.starts_with("message/");
        let length = end - leaf.from;
        let (how, label) = match leaf.head.declared {
            Declared::Unknown => (How::Loose, None),
            Declared::QuotedPrintable => (How::MendQuotedPrintable, None),
            Declared::Base64 => (How::MendBase64, None),
            _ if is_text && (!seven || length + 2 * leaf.odd <= transfer::base64_len(length)) => {
                (How::QuotedPrintable, Some("quoted-printable"))
            }
            _ => (How::Base64, Some("base64")),
        };
        // What is loose keeps its bytes over 127 where eight bits go.
        self.found.eight_bit |= how == How::Loose && leaf.high && !seven;
        let change = Change::Leaf {
            how,
            open: !leaf.head.blank,
            inner,
        };
        self.found.edits.push(Edit {
            range: leaf.from..end,
            change,
        });
        self.head(leaf.head, label);
    }

    fn leave(&mut self, node: Node) {
        let high = node.high;
        if let Some(parent) = self.open.last_mut() {
            parent.high |= high || node.head.high;
        }
        let label = self.label(&node.head, high);
        self.head(node.head, label);
    }

    /// The transfer encoding that a head must name for what is not encoded, if it names another.
    fn label(&self, head: &Head, high: bool) -> Option<&'static str> {
        let sealed = self.open.iter().any(|node| node.sealed);
        match (self.form, head.declared) {
            (Form::SevenBit, Declared::Eight | Declared::Binary) => Some("7bit"),
            (Form::Legal { labels: true }, Declared::Binary) if !sealed => {
                Some(if high { "8bit" } else { "7bit" })
            }
            (Form::Legal { labels: true }, Declared::Seven) if high && !sealed => Some("8bit"),
            _ => None,
        }
    }

    fn head(&mut self, head: Head, encoding: Option<&'static str>) {
        let seven = self.form == Form::SevenBit;
        if encoding.is_some() || head.flawed || seven && head.high {
            // Every other entity stands behind the line that begins it, or the head it is in.
            let root = head.range.start == 0;
            self.found.edits.push(Edit {
                range: head.range,
                change: Change::Head { encoding, root },
            });
        } else {
            self.found.eight_bit |= head.high;
        }
    }
}

impl Head {
    /// Reads what it says of its body; gives the boundary.
    fn read(&mut self) -> Option<Vec<u8>> {
        let fields = head::split(&std::mem::take(&mut self.text));
        let value = |name: &str| {
            fields
                .iter()
                .find(|field| field.is(name))
                .map(|field| field.text(&[]))
        };
        if let Some(encoding) = value("content-transfer-encoding") {
            let word = encoding
                .split([' ', '\t', ';', '('])
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            self.declared = match word.as_str() {
                "" => Declared::None,
                "7bit" => Declared::Seven,
                "8bit" => Declared::Eight,
                "binary" => Declared::Binary,
                "quoted-printable" => Declared::QuotedPrintable,
                "base64" => Declared::Base64,
                _ => Declared::Unknown,
            };
        }
        let media = MediaType::parse(&value("content-type")?).ok();
        // What cannot be read is plain text (RFC 2045 section 5.2).
        let media = media.unwrap_or_else(|| MediaType::bare("text/plain"));
        self.essence = media.essence;
        let boundary = media
            .parameters
            .into_iter()
            .find(|(name, _)| name == "boundary")?
            .1
            .trim_end()
            .to_owned();
        Some(boundary.into_bytes()).filter(|boundary| !boundary.is_empty() && boundary.len() <= 200)
    }
}
