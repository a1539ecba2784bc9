//! The commands of a client: verbs, paths and parameters (RFC 5321 section 4.1), each refused with
//! its own reply.
use super::{Answer, Transaction, argument};
use crate::address::Address;

/// What is done about a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Ehlo,
    Helo,
    Mail,
    Rcpt,
    Data,
    Rset,
    Noop,
    /// EXPN too: both ask what becomes of a name.
    Vrfy,
    Help,
    Quit,
    /// Known, and not offered by EHLO.
    NotOffered,
    Unknown,
}

const VERBS: &[(&str, Verb)] = &[
    ("EHLO", Verb::Ehlo),
    ("HELO", Verb::Helo),
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("RSET", Verb::Rset),
    ("NOOP", Verb::Noop),
    ("VRFY", Verb::Vrfy),
    ("EXPN", Verb::Vrfy),
    ("HELP", Verb::Help),
    ("QUIT", Verb::Quit),
    ("STARTTLS", Verb::NotOffered),
    ("AUTH", Verb::NotOffered),
    ("BDAT", Verb::NotOffered),
    ("ETRN", Verb::NotOffered),
    ("TURN", Verb::NotOffered),
    ("ATRN", Verb::NotOffered),
    ("SEND", Verb::NotOffered),
    ("SAML", Verb::NotOffered),
    ("SOML", Verb::NotOffered),
];

/// What HELP says.
pub(super) const HELP: &str = "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY EXPN HELP QUIT";

/// The longest ENVID and ORCPT as they are written (RFC 3461 sections 4.4 and 4.2).
const LONGEST_ENVID: usize = 100;
const LONGEST_ORCPT: usize = 500;

const BLANKS: [char; 2] = [' ', '\t'];

impl Verb {
    /// Returns whether its reply may wait for those to the commands already read (RFC 2920 section
    /// 3.2).
    pub(super) fn may_wait(self) -> bool {
        matches!(self, Verb::Mail | Verb::Rcpt | Verb::Rset)
    }
}

/// Splits a line into its verb and what follows, without the blanks around it.
pub(super) fn split(line: &str) -> (Verb, &str) {
    let line = line.trim_matches(BLANKS);
    let (word, rest) = line.split_once(BLANKS).unwrap_or((line, ""));
    let verb = VERBS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map_or(Verb::Unknown, |row| row.1);
    (verb, rest.trim_matches(BLANKS))
}

/// Whose address a command names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Sender,
    Recipient,
}

impl Side {
    fn keyword(self) -> &'static str {
        match self {
            Side::Sender => "FROM",
            Side::Recipient => "TO",
        }
    }

    fn refusal(self, text: impl Into<String>) -> Answer {
        let detail = if self == Side::Sender { 7 } else { 3 };
        Answer::new(501, (5, 1, detail), text)
    }
}

/// Reads `FROM:<path> parameters`: the path without its brackets and its source route, and the
/// parameters. The path is empty for `<>` only. Blanks around the colon and a path without brackets
/// are taken, as old programs write them.
///
/// # Errors
/// 501 5.5.4 without `FROM:` or a path, 501 5.1.x when the path has no end.
pub(super) fn path(rest: &str, side: Side) -> Result<(&str, &str), Answer> {
    let keyword = side.keyword();
    let after = rest
        .get(..keyword.len())
        .filter(|word| word.eq_ignore_ascii_case(keyword))
        .and_then(|_| {
            rest[keyword.len()..]
                .trim_start_matches(BLANKS)
                .strip_prefix(':')
        })
        .map(|after| after.trim_start_matches(BLANKS))
        .filter(|after| !after.is_empty())
        .ok_or_else(|| argument(&format!("Expected {keyword}:<address>")))?;
    let bracketed = after.strip_prefix('<');
    let text = bracketed.unwrap_or(after);
    let (path, parameters) = match (end_of_path(text, bracketed.is_some()), bracketed) {
        (Some(end), Some(_)) => (&text[..end], &text[end + 1..]),
        (Some(end), None) => text.split_at(end),
        (None, Some(_)) => return Err(side.refusal("The `<` has no matching `>`")),
        (None, None) => (text, ""),
    };
    if !parameters.is_empty() && !parameters.starts_with(BLANKS) {
        return Err(side.refusal("Unexpected text after the `>`"));
    }
    Ok((without_route(path.trim_matches(BLANKS)), parameters))
}

/// The byte of the bracket or, without brackets, of the blank that ends a path; neither counts
/// inside quotes.
fn end_of_path(text: &str, bracketed: bool) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if bracketed && !quoted => return Some(at),
            ' ' | '\t' if !bracketed && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Drops a source route, `@a,@b:` (RFC 5321 section 4.1.1.3); a colon inside a domain literal does
/// not end it.
fn without_route(path: &str) -> &str {
    if !path.starts_with('@') {
        return path;
    }
    let mut literal = false;
    for (at, c) in path.char_indices() {
        match c {
            '[' => literal = true,
            ']' => literal = false,
            ':' if !literal => return &path[at + 1..],
            _ => {}
        }
    }
    path
}

/// Reads the address in a path.
///
/// # Errors
/// 501 5.1.7 or 5.1.3 when it is none, 553 5.6.7 when it needs an SMTPUTF8 that was not said (RFC
/// 6531 section 3.5).
pub(super) fn address(path: &str, side: Side, smtputf8: bool) -> Result<Address, Answer> {
    // The reader of headers also knows lists, groups and brackets, which a path does not have.
    if let Some(c) = path.chars().find(|c| ",;<".contains(*c)) {
        return Err(side.refusal(format!("`{c}` is not allowed in an address")));
    }
    if !smtputf8 && !path.is_ascii() {
        return Err(Answer::new(
            553,
            (5, 6, 7),
            "This address requires the SMTPUTF8 parameter of MAIL",
        ));
    }
    Address::parse(path).map_err(|error| side.refusal(error.to_string()))
}

/// Reads the parameters of MAIL into an otherwise empty transaction.
///
/// # Errors
/// 555 for an unknown one, 552 for a size over the limit, 501 for one that is malformed or said
/// twice.
pub(super) fn mail_parameters(text: &str, limit: Option<u64>) -> Result<Transaction, Answer> {
    let mut transaction = Transaction::default();
    for (keyword, value) in parameters(text)? {
        let good = match (keyword.as_str(), value) {
            ("SIZE", Some(value)) => size(value, limit)?,
            ("BODY", Some(value)) => {
                transaction.eight_bit = value.eq_ignore_ascii_case("8BITMIME");
                transaction.eight_bit || value.eq_ignore_ascii_case("7BIT")
            }
            ("SMTPUTF8", None) => {
                transaction.smtputf8 = true;
                true
            }
            ("RET", Some(value)) => {
                transaction.ret = one_of(value, &["FULL", "HDRS"]);
                transaction.ret.is_some()
            }
            ("ENVID", Some(value)) => {
                transaction.envid = Some(value)
                    .filter(|value| value.len() <= LONGEST_ENVID)
                    .and_then(xtext);
                transaction.envid.is_some()
            }
            // Who wrote the mail was checked by nobody (RFC 4954 section 5), so nothing is made of
            // it.
            ("AUTH", Some(_)) => true,
            ("SIZE" | "BODY" | "SMTPUTF8" | "RET" | "ENVID" | "AUTH", _) => false,
            _ => return Err(unknown_parameter(&keyword)),
        };
        if !good {
            return Err(argument(&format!("Invalid value for {keyword}")));
        }
    }
    Ok(transaction)
}

/// Reads the parameters of RCPT: NOTIFY in upper case. ORCPT is checked and dropped.
///
/// # Errors
/// 555 for an unknown one, 501 for one that is malformed or said twice.
pub(super) fn rcpt_parameters(text: &str) -> Result<Option<String>, Answer> {
    let mut notify = None;
    for (keyword, value) in parameters(text)? {
        let good = match (keyword.as_str(), value) {
            ("NOTIFY", Some(value)) => {
                notify = notifications(value);
                notify.is_some()
            }
            ("ORCPT", Some(value)) => value.len() <= LONGEST_ORCPT && value.contains(';'),
            ("NOTIFY" | "ORCPT", None) => false,
            _ => return Err(unknown_parameter(&keyword)),
        };
        if !good {
            return Err(argument(&format!("Invalid value for {keyword}")));
        }
    }
    Ok(notify)
}

/// The reply to a message over the limit (RFC 1870 section 6).
pub(super) fn too_big() -> Answer {
    Answer::new(552, (5, 3, 4), "The message exceeds the size limit")
}

fn unknown_parameter(keyword: &str) -> Answer {
    Answer::new(555, (5, 5, 4), format!("Unknown parameter {keyword}"))
}

/// Keywords in upper case with their values, each keyword once.
fn parameters(text: &str) -> Result<Vec<(String, Option<&str>)>, Answer> {
    let mut found: Vec<(String, Option<&str>)> = Vec::new();
    for word in text.split(BLANKS).filter(|word| !word.is_empty()) {
        let (keyword, value) = word
            .split_once('=')
            .map_or((word, None), |(keyword, value)| (keyword, Some(value)));
        let keyword = keyword.to_ascii_uppercase();
        // None is known but a few, so a long line cannot make this list long.
        if found.iter().any(|(known, _)| *known == keyword) {
            return Err(argument("Duplicate parameter"));
        }
        found.push((keyword, value.filter(|value| !value.is_empty())));
    }
    Ok(found)
}

/// Returns whether the value is a number; one beyond 64 bits is over every limit.
fn size(value: &str, limit: Option<u64>) -> Result<bool, Answer> {
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(false);
    }
    let bytes = value.parse().unwrap_or(u64::MAX);
    if limit.is_some_and(|limit| bytes > limit) {
        Err(too_big())
    } else {
        Ok(true)
    }
}

fn one_of(value: &str, known: &[&str]) -> Option<String> {
    known
        .iter()
        .find(|known| known.eq_ignore_ascii_case(value))
        .map(|known| (*known).to_owned())
}

/// NEVER, or a list of the others (RFC 3461 section 4.1), in upper case.
fn notifications(value: &str) -> Option<String> {
    one_of(value, &["NEVER"]).or_else(|| {
        let events: Option<Vec<String>> = value
            .split(',')
            .map(|event| one_of(event, &["SUCCESS", "FAILURE", "DELAY"]))
            .collect();
        events.map(|events| events.join(","))
    })
}

/// Decodes xtext (RFC 3461 section 4) into printable ASCII.
fn xtext(value: &str) -> Option<String> {
    let mut decoded = String::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'+' => hex(bytes.next()?)? * 16 + hex(bytes.next()?)?,
            b'=' => return None,
            plain => plain,
        };
        if !(byte == b' ' || byte.is_ascii_graphic()) {
            return None;
        }
        decoded.push(char::from(byte));
    }
    Some(decoded)
}

fn hex(byte: u8) -> Option<u8> {
    let digit = char::from(byte)
        .to_digit(16)
        .filter(|_| !byte.is_ascii_lowercase())?;
    u8::try_from(digit).ok()
}
