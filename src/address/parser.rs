//! The grammar of mailboxes and lists of them (RFC 5322 section 3.4).
//!
//! Promise: linear in the length of the text; an error points at the character. No control
//! character gets through.
use super::domain::domain;
use super::{Address, AddressError, LONGEST, Mailbox};

/// Parses a list by the standard alone.
pub(super) fn strict(text: &str, blanks_separate: bool) -> Result<Vec<Mailbox>, AddressError> {
    mailboxes(&Parser {
        text,
        at: 0,
        blanks_separate,
    })
}

fn mailboxes(parser: &Parser<'_>) -> Result<Vec<Mailbox>, AddressError> {
    let found = parser.clone().list()?;
    let mailbox = |Found {
                       name,
                       local,
                       domain,
                       at,
                   }| {
        let address = Address::new(&local, domain.as_deref())
            .map_err(|error| parser.error(at, error.reason))?;
        Ok(Mailbox { name, address })
    };
    found.into_iter().map(mailbox).collect()
}

/// Reads the one address that a text consists of into its local part and its domain, without making
/// an [`Address`] of it.
pub(super) fn parts(text: &str) -> Result<(String, Option<String>), AddressError> {
    let mut found = Parser {
        text,
        at: 0,
        blanks_separate: false,
    }
    .list()?;
    match found.pop() {
        Some(Found {
            name: None,
            local,
            domain,
            ..
        }) if found.is_empty() => Ok((local, domain)),
        _ => Err(AddressError::new(
            text,
            0,
            "expected one address without a name",
        )),
    }
}

/// One mailbox of a list.
struct Found {
    name: Option<String>,
    local: String,
    domain: Option<String>,
    /// The byte its address starts at.
    at: usize,
}

/// What one item of a list holds before it is known what it means.
#[derive(Default)]
struct Item {
    /// Atoms and quoted strings with the byte each starts at, and whether it was quoted.
    words: Vec<(String, usize, bool)>,
    /// The text between `<` and `>` with the byte it starts at.
    angle: Option<(String, usize)>,
    /// The last comment.
    comment: Option<String>,
    /// What stands before the `<` as it is shown: the words, and the comments between and behind
    /// them.
    phrase: Vec<String>,
}

#[derive(Clone)]
struct Parser<'a> {
    text: &'a str,
    at: usize,
    blanks_separate: bool,
}

impl Parser<'_> {
    fn list(mut self) -> Result<Vec<Found>, AddressError> {
        let mut found = Vec::new();
        let mut item = Item::default();
        let mut group: Option<usize> = None;
        while let Some(c) = self.peek() {
            match c {
                ',' => self.finish(&mut item, &mut found)?,
                ':' if group.is_none() && item.angle.is_none() && is_phrase(&item) => {
                    group = Some(self.at);
                    item = Item::default();
                }
                ';' if group.is_some() => {
                    self.finish(&mut item, &mut found)?;
                    group = None;
                }
                ';' => return Err(self.error(self.at, "expected commas between the addresses")),
                ':' => return Err(self.error(self.at, "`:` is not allowed here")),
                '(' => {
                    let comment = self.comment()?;
                    if item.angle.is_none() && !item.words.is_empty() {
                        item.phrase.push(format!("({comment})"));
                    }
                    item.comment = Some(comment);
                    continue;
                }
                '<' => {
                    if item.angle.is_some() {
                        return Err(self.error(
                            self.at,
                            "a second `<` in the same address; is a comma missing?",
                        ));
                    }
                    item.angle = Some(self.angle()?);
                    continue;
                }
                c if c.is_whitespace() && is_blank(c) => {}
                _ => {
                    if item.angle.is_some() {
                        return Err(self.error(
                            self.at,
                            "unexpected text after the address; is a comma missing?",
                        ));
                    }
                    let word = self.word()?;
                    item.phrase.push(word.0.clone());
                    item.words.push(word);
                    continue;
                }
            }
            self.at += c.len_utf8();
        }
        if let Some(at) = group {
            return Err(self.error(at, "this group has no `;` at its end"));
        }
        self.finish(&mut item, &mut found)?;
        Ok(found)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn error(&self, at: usize, reason: impl Into<String>) -> AddressError {
        AddressError::new(self.text, at, reason)
    }

    /// Turns an item into mailboxes; an empty one is skipped, as a doubled comma means nothing.
    fn finish(&self, item: &mut Item, found: &mut Vec<Found>) -> Result<(), AddressError> {
        let item = std::mem::take(item);
        if let Some((inner, at)) = &item.angle {
            let phrase = item.phrase.join(" ");
            let name = if phrase.trim().is_empty() {
                item.comment
            } else {
                Some(phrase)
            };
            found.push(self.address(inner, *at, tidy(name))?);
            return Ok(());
        }
        match item.words.as_slice() {
            [] => Ok(()),
            [(word, at, false)] => {
                found.push(self.address(word, *at, tidy(item.comment))?);
                Ok(())
            }
            [(_, at, true)] => {
                Err(self.error(*at, "expected an address in `<` and `>` after the name"))
            }
            words => self.several(words, found),
        }
    }

    /// Several words without brackets: separate addresses where blanks separate, an error that says
    /// what is missing otherwise.
    fn several(
        &self,
        words: &[(String, usize, bool)],
        found: &mut Vec<Found>,
    ) -> Result<(), AddressError> {
        let full = words.iter().filter(|w| w.0.contains('@')).count();
        let plain = words.iter().all(|w| !w.2) && (full == words.len() || full == 0);
        if !(self.blanks_separate && plain) {
            let reason = match words.iter().skip(1).find(|w| w.0.contains('@')) {
                Some(_) if full == 1 => "an address after a name must be enclosed in `<` and `>`",
                _ => "a space is not allowed here; is a comma missing?",
            };
            return Err(self.error(words[1].1, reason));
        }
        for (word, at, _) in words {
            found.push(self.address(word, *at, None)?);
        }
        Ok(())
    }

    /// A run without blanks and separators. Quoted parts and brackets of a domain literal belong to
    /// it.
    fn word(&mut self) -> Result<(String, usize, bool), AddressError> {
        let start = self.at;
        let mut word = String::new();
        let mut quoted = false;
        let mut literal = false;
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    let inner = self.quoted()?;
                    quoted = true;
                    // Part of a local part when an `@` follows: then the quotes belong to the
                    // address.
                    if self.peek() == Some('@') && word.is_empty() {
                        word = requote(&inner);
                        quoted = false;
                    } else {
                        word.push_str(&inner);
                    }
                    continue;
                }
                '[' => literal = true,
                ']' => literal = false,
                ':' if literal => {}
                ',' | ';' | ':' | '(' | '<' => break,
                '>' => return Err(self.error(self.at, "this `>` has no matching `<`")),
                c if is_blank(c) => break,
                c if is_unsafe(c) => return Err(self.error(self.at, "a control character")),
                _ => {}
            }
            word.push(c);
            self.at += c.len_utf8();
        }
        Ok((word, start, quoted))
    }

    /// The text between quotes. A TAB in a name is a blank, as folding may have left it there;
    /// [`Parser::local`] takes none.
    fn quoted(&mut self) -> Result<String, AddressError> {
        let start = self.at;
        self.at += 1;
        let mut inner = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(inner),
                '\\' => {
                    let Some(next) = self.escaped()? else { break };
                    inner.push(next);
                }
                c if is_unsafe(c) && c != '\t' => {
                    return Err(self.error(self.at - c.len_utf8(), "a control character"));
                }
                c => inner.push(c),
            }
        }
        Err(self.error(start, "this quote is not closed"))
    }

    /// The character behind a backslash, which makes no control character harmless: whoever takes
    /// the backslash off sends it raw.
    fn escaped(&mut self) -> Result<Option<char>, AddressError> {
        let next = self.peek();
        if next.is_some_and(is_unsafe) {
            return Err(self.error(self.at, "a control character"));
        }
        self.at += next.map_or(0, char::len_utf8);
        Ok(next)
    }

    fn comment(&mut self) -> Result<String, AddressError> {
        let start = self.at;
        let mut depth = 0_usize;
        let mut inner = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                '\\' => {
                    inner.extend(self.escaped()?);
                    continue;
                }
                c if is_unsafe(c) && c != '\t' => {
                    return Err(self.error(self.at - c.len_utf8(), "a control character"));
                }
                _ => {}
            }
            if depth == 0 {
                return Ok(inner);
            }
            if !(depth == 1 && c == '(') {
                inner.push(c);
            }
        }
        Err(self.error(start, "this comment is not closed"))
    }

    /// The text between brackets without blanks around it and without comments.
    fn angle(&mut self) -> Result<(String, usize), AddressError> {
        let open = self.at;
        self.at += 1;
        let mut inner = String::new();
        let mut start = self.at;
        while let Some(c) = self.peek() {
            match c {
                '>' => {
                    self.at += 1;
                    return Ok((inner.trim_end().to_owned(), start));
                }
                '<' => return Err(self.error(self.at, "a second `<` before the `>`")),
                '(' => {
                    self.comment()?;
                    continue;
                }
                '"' => {
                    let quoted = self.quoted()?;
                    inner.push_str(&requote(&quoted));
                    continue;
                }
                c if is_blank(c) && inner.is_empty() => start = self.at + c.len_utf8(),
                c if is_unsafe(c) => return Err(self.error(self.at, "a control character")),
                c => inner.push(c),
            }
            self.at += c.len_utf8();
        }
        Err(self.error(open, "this `<` has no matching `>`"))
    }

    /// Checks an addr-spec that starts at a byte of the text.
    fn address(&self, spec: &str, at: usize, name: Option<String>) -> Result<Found, AddressError> {
        let (local, host) = match split_at_sign(spec) {
            Some(i) => (&spec[..i], Some((&spec[i + 1..], at + i + 1))),
            None => (spec, None),
        };
        self.local(local, at, host.is_none())?;
        let domain = match host {
            Some((host, at)) => Some(domain(host, self.text, at)?),
            None => None,
        };
        if local.len() + domain.as_ref().map_or(0, |d| d.len() + 1) > LONGEST {
            return Err(self.error(
                at,
                format!("it is longer than {LONGEST} bytes, the most that fits into a command"),
            ));
        }
        Ok(Found {
            name,
            local: local.to_owned(),
            domain,
            at,
        })
    }

    fn local(&self, local: &str, at: usize, bare: bool) -> Result<(), AddressError> {
        if local.is_empty() {
            let reason = if bare {
                "it is empty"
            } else {
                "nothing precedes the `@`"
            };
            return Err(self.error(at, reason));
        }
        if let Some(inner) = local.strip_prefix('"').and_then(|l| l.strip_suffix('"')) {
            // Parsers disagree about specials inside quotes, and so would say different recipients.
            if let Some(c) = inner.chars().find(|c| "@<>,;:\\\"".contains(*c)) {
                return Err(self.error(
                    at,
                    format!(
                        "`{c}` is not allowed inside a quoted local part: servers interpret it \
                        differently"
                    ),
                ));
            }
            // No backslash is left inside, so each character stands one byte behind the quote and
            // its own place.
            if let Some((i, _)) = inner.char_indices().find(|(_, c)| is_unsafe(*c)) {
                return Err(self.error(at + 1 + i, "a control character"));
            }
            if bare {
                return Err(self.error(at, "expected `@` and a domain after the quoted local part"));
            }
            return Ok(());
        }
        if local.starts_with("=?") {
            return Err(self.error(at, "an encoded word cannot be an address"));
        }
        if let Some((i, c)) = local.char_indices().find(|(_, c)| !is_local(*c)) {
            return Err(self.error(
                at + i,
                format!("`{}` is not allowed here", c.escape_debug()),
            ));
        }
        if bare
            && (local.starts_with(['/', '+', '.', '~', '%', '&', '!', '-', '=', '#'])
                || local.contains('/'))
        {
            return Err(self.error(
                at,
                "files, directories, options and commands cannot be \
                recipients",
            ));
        }
        Ok(())
    }
}

/// The words before a `:` name a group only when none of them looks like an address.
fn is_phrase(item: &Item) -> bool {
    !item.words.is_empty() && item.words.iter().all(|w| !w.0.contains('@'))
}

/// The `@` between local part and domain: the last one, as a quoted local part may hold more.
fn split_at_sign(spec: &str) -> Option<usize> {
    if spec.starts_with('"') {
        let end = spec.rfind('"')?;
        return spec[end..].find('@').map(|i| end + i);
    }
    spec.find('@')
}

fn requote(inner: &str) -> String {
    let escaped = inner.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// An empty name is none; runs of blanks inside become one.
fn tidy(name: Option<String>) -> Option<String> {
    let name = name?.split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// Characters with an effect of their own on terminals, headers or commands.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Atom characters (RFC 5322 section 3.2.3) with dots and, for SMTPUTF8, letters beyond ASCII; not
/// the back-tick and the bar, which only ever stand for commands.
fn is_local(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_{}~.".contains(c)
        || (!c.is_ascii() && !c.is_whitespace() && !is_unsafe(c))
}
