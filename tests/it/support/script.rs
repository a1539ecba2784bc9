//! The language of transcripts: a dialogue as text, read into steps.
//!
//! A transcript is what a server says and what a good client answers, line by line:
//!
//! ```text
//! # words after a hash at the start of a line are for the reader
//! S: 220 mx.test ESMTP                  the server sends this and CRLF
//! S<: 220 half\x0a                      the server sends exactly these bytes (\xNN \r \n \t \\)
//! C: MAIL FROM:<a@a.example>*           the client must say this; `*` stands for anything, `\*` for a star
//! C: AUTH PLAIN {plain u p}             `{plain USER PASSWORD}`, `{b64 TEXT}`, `{cram USER PASSWORD CHALLENGE}` are encoded
//! -- data                               a message comes, up to the lone dot
//! -- body 1000                          that many bytes of whatever comes are taken, and no more
//! -- chunk                              as many bytes of a message as BDAT announced
//! -- starttls server                    the TLS handshake, with that certificate;
//! -- starttls badname refused           … the client must break it off;
//! -- starttls server demand             … the client must show a certificate
//! -- implicit server                    the same as the first step of a connection
//! -- bye                                the client may say QUIT (221 is the answer) or close
//! -- optional                           from here on the client may close at any point
//! -- close | -- rst | -- hang           the server closes, resets, or falls silent until the client gives up
//! -- slow 50ms                          the next S line is sent byte by byte with this pause
//! -- pause 300ms                        the server takes its time, and the client must keep silent
//! -- endless 250-X                      this line for ever (`-- endless< A`: these bytes for ever, no line end)
//! -- either / -- or / -- end            the client's next line chooses the branch; an empty branch is its closing
//! == connection                         what follows is the next connection
//! ```
//!
//! Promise: a transcript with a mistake panics with its line number before any test runs against
//! it.
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use super::wire::hex;

/// One step, and the line of the transcript it stands on.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Counted from one.
    pub line: usize,
    /// What happens.
    pub act: Act,
}

/// What happens in a step.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// The server sends these bytes.
    Say(Vec<u8>),
    /// The server sends these bytes one by one.
    Dribble(Duration, Vec<u8>),
    /// The client says a line like this one.
    Hear(String),
    /// The client sends a message and the dot.
    Data,
    /// The client sends this many bytes of a message.
    Body(usize),
    /// The client sends as many bytes of a message as it said behind BDAT.
    Chunk,
    /// The TLS handshake.
    Tls(Handshake),
    /// QUIT and its answer, or the end.
    Bye,
    /// From here on the client may close.
    Optional,
    /// The server closes.
    Close,
    /// The server resets the connection.
    Reset,
    /// The server falls silent until the client closes.
    Hang,
    /// The server takes its time; the client must keep silent.
    Pause(Duration),
    /// The server repeats these bytes until the client closes.
    Endless(Vec<u8>),
    /// One of these, as the client chooses.
    Either(Vec<Vec<Step>>),
}

/// A TLS handshake of the server's.
#[derive(Debug, Clone)]
pub(crate) struct Handshake {
    /// The certificate shown, a name of `certs`.
    pub cert: String,
    /// The client must break it off.
    pub refused: bool,
    /// The client must show a certificate.
    pub demand: bool,
}

/// Reads a transcript into the steps of each connection. Panics on a mistake.
pub(crate) fn parse(name: &str, text: &str) -> Vec<Vec<Step>> {
    let mut reader = Reader {
        name,
        lines: text.lines().enumerate().peekable(),
    };
    let mut connections = Vec::new();
    loop {
        let (steps, end) = reader.steps(false);
        connections.push(steps);
        if end == End::Text {
            break;
        }
    }
    // A transcript may open with `== connection`.
    connections.retain(|steps| !steps.is_empty());
    connections
}

#[derive(PartialEq)]
enum End {
    Text,
    Connection,
    Or,
    Branches,
}

struct Reader<'t> {
    name: &'t str,
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'t>>>,
}

impl Reader<'_> {
    fn steps(&mut self, in_branch: bool) -> (Vec<Step>, End) {
        let mut steps = Vec::new();
        let mut slow = None;
        while let Some((at, line)) = self.lines.next() {
            let place = At {
                name: self.name,
                line: at + 1,
            };
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let act = match line.split_at_checked(3) {
                _ if line == "== connection" && !in_branch => return (steps, End::Connection),
                _ if line == "-- or" && in_branch => return (steps, End::Or),
                _ if line == "-- end" && in_branch => return (steps, End::Branches),
                _ if line == "-- either" => self.branches(),
                Some(("S: ", _)) => say(slow.take(), place.expand(&line[3..]) + "\r\n"),
                _ if line == "S:" => say(slow.take(), "\r\n".to_owned()),
                Some(("S<:", raw)) => match slow.take() {
                    Some(pause) => {
                        Act::Dribble(pause, place.unescape(raw.strip_prefix(' ').unwrap_or(raw)))
                    }
                    None => Act::Say(place.unescape(raw.strip_prefix(' ').unwrap_or(raw))),
                },
                Some(("C: ", pattern)) => Act::Hear(place.expand(pattern)),
                _ if line == "C:" => Act::Hear(String::new()),
                Some(("-- ", words)) => match words.split_once(' ') {
                    Some(("slow", time)) => {
                        slow = Some(place.duration(time));
                        continue;
                    }
                    other => place.directive(
                        other.map_or(words, |pair| pair.0),
                        other.map_or("", |pair| pair.1),
                    ),
                },
                _ => place.fail("this is no step"),
            };
            steps.push(Step {
                line: place.line,
                act,
            });
        }
        assert!(
            !in_branch,
            "transcript {}: `-- either` without `-- end`",
            self.name
        );
        (steps, End::Text)
    }

    fn branches(&mut self) -> Act {
        let mut branches = Vec::new();
        loop {
            let (steps, end) = self.steps(true);
            branches.push(steps);
            if end == End::Branches {
                return Act::Either(branches);
            }
        }
    }
}

fn say(slow: Option<Duration>, text: String) -> Act {
    match slow {
        Some(pause) => Act::Dribble(pause, text.into_bytes()),
        None => Act::Say(text.into_bytes()),
    }
}

#[derive(Clone, Copy)]
struct At<'t> {
    name: &'t str,
    line: usize,
}

impl At<'_> {
    fn fail(self, why: &str) -> ! {
        panic!("transcript {}, line {}: {why}", self.name, self.line)
    }

    fn directive(self, word: &str, rest: &str) -> Act {
        match word {
            "data" => Act::Data,
            "chunk" => Act::Chunk,
            "body" => Act::Body(
                rest.parse()
                    .unwrap_or_else(|_| self.fail("`-- body` wants a number of bytes")),
            ),
            "starttls" | "implicit" => {
                let mut words = rest.split_whitespace();
                let cert = words.next().unwrap_or("server").to_owned();
                let rest: Vec<_> = words.collect();
                Act::Tls(Handshake {
                    cert,
                    refused: rest.contains(&"refused"),
                    demand: rest.contains(&"demand"),
                })
            }
            "bye" => Act::Bye,
            "optional" => Act::Optional,
            "close" => Act::Close,
            "rst" => Act::Reset,
            "hang" => Act::Hang,
            "pause" => Act::Pause(self.duration(rest)),
            "endless" => Act::Endless(format!("{rest}\r\n").into_bytes()),
            "endless<" => Act::Endless(self.unescape(rest)),
            _ => self.fail("there is no such directive"),
        }
    }

    fn duration(self, text: &str) -> Duration {
        let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
        let number: u64 = number
            .parse()
            .unwrap_or_else(|_| self.fail("this is no time"));
        match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            _ => self.fail("a time ends in ms or s"),
        }
    }

    fn unescape(self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first != b'\\' {
                bytes.push(*first);
                continue;
            }
            let [kind, tail @ ..] = rest else {
                self.fail("a backslash at the end")
            };
            rest = tail;
            bytes.push(match kind {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'\\' => b'\\',
                b'x' => {
                    let Some((digits, tail)) = rest.split_at_checked(2) else {
                        self.fail("\\x wants two digits")
                    };
                    rest = tail;
                    let digits = std::str::from_utf8(digits)
                        .unwrap_or_else(|_| self.fail("\\x wants hex digits"));
                    u8::from_str_radix(digits, 16)
                        .unwrap_or_else(|_| self.fail("\\x wants hex digits"))
                }
                _ => self.fail("no such escape"),
            });
        }
        bytes
    }

    fn expand(self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, tail) = after
                .split_once('}')
                .unwrap_or_else(|| self.fail("`{` without `}`"));
            out.push_str(before);
            let (kind, words) = inside.split_once(' ').unwrap_or((inside, ""));
            match (kind, words.splitn(3, ' ').collect::<Vec<_>>().as_slice()) {
                ("b64", _) => out.push_str(&BASE64.encode(words)),
                ("plain", [user, password]) => out.push_str(&plain(user, password)),
                ("cram", [user, password, challenge]) => {
                    out.push_str(&cram_md5(user, password, challenge));
                }
                ("x", [count]) => {
                    let count = count
                        .parse()
                        .unwrap_or_else(|_| self.fail("{x N} wants a number"));
                    out.push_str(&"X".repeat(count));
                }
                _ => self.fail(
                    "{b64 TEXT}, {plain USER PASSWORD}, {cram USER PASSWORD CHALLENGE} or {x N}",
                ),
            }
            rest = tail;
        }
        out + rest
    }
}

/// The response of AUTH PLAIN (RFC 4616).
pub(crate) fn plain(user: &str, password: &str) -> String {
    BASE64.encode(format!("\0{user}\0{password}"))
}

/// The response of AUTH CRAM-MD5 to a challenge in clear (RFC 2195).
pub(crate) fn cram_md5(user: &str, password: &str, challenge: &str) -> String {
    let key = PKey::hmac(password.as_bytes()).unwrap();
    let mut signer = Signer::new(MessageDigest::md5(), &key).unwrap();
    let digest = signer.sign_oneshot_to_vec(challenge.as_bytes()).unwrap();
    BASE64.encode(format!("{user} {}", hex(&digest)))
}

/// Returns whether a line is like a pattern, in which `*` stands for anything and `\*` for a star.
pub(crate) fn is_like(pattern: &str, line: &str) -> bool {
    // NUL stands for the literal star while the pattern is taken apart; no line shown by
    // `wire::show` holds one.
    let pattern = pattern.replace("\\*", "\0");
    let line = line.replace('*', "\0");
    let mut pieces = pattern.split('*');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or("")) else {
        return false;
    };
    let pieces: Vec<_> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}
