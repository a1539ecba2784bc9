//! A line into words, in both dialects.
use std::iter::Peekable;
use std::str::Chars;

use super::lines::BLANKS;

/// A word without its quotes.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// What it says.
    pub text: String,
    /// Its first character was neither quoted nor escaped.
    pub bare_start: bool,
    /// No character was quoted or escaped.
    pub bare: bool,
}

/// A word that may still be empty, which counts only when it was quoted.
#[derive(Default)]
struct Growing {
    text: String,
    begun: bool,
    bare_start: bool,
    marked: bool,
}

impl Growing {
    fn bare(&mut self, c: char) {
        self.bare_start |= !self.begun;
        self.begun = true;
        self.text.push(c);
    }

    /// A quote or an escape begins.
    fn mark(&mut self) {
        self.begun = true;
        self.marked = true;
    }

    fn end(&mut self, words: &mut Vec<Word>) {
        let done = std::mem::take(self);
        if done.begun {
            words.push(Word {
                text: done.text,
                bare_start: done.bare_start,
                bare: !done.marked,
            });
        }
    }
}

/// Splits a line of the old dialect. Cannot fail: a quote that is not closed goes to the end of the
/// line.
///
/// Within quotes only a backslash before that same quote is an escape; outside, a backslash takes
/// the next character.
pub(super) fn old_words(line: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = Growing::default();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' => {
                word.mark();
                if !old_quoted(&mut chars, c, &mut word.text) {
                    // The blanks behind it are the margin of the line, not what the author meant to
                    // quote.
                    word.text.truncate(word.text.trim_end_matches(BLANKS).len());
                }
            }
            '\\' => {
                word.mark();
                word.text.extend(chars.next());
            }
            ' ' | '\t' => word.end(&mut words),
            _ => word.bare(c),
        }
    }
    word.end(&mut words);
    words
}

/// Takes what stands up to the closing quote; returns whether there was one.
fn old_quoted(chars: &mut Peekable<Chars<'_>>, quote: char, text: &mut String) -> bool {
    while let Some(c) = chars.next() {
        if c == quote {
            return true;
        }
        let escape = c == '\\' && chars.peek() == Some(&quote);
        text.push(if escape { chars.next().unwrap_or(c) } else { c });
    }
    false
}

/// Why a line of the shell dialect cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ShellFault {
    /// A quote or `${` without its end.
    #[error("a quote is not closed; the line is skipped")]
    Unclosed,
    /// Variables that double each other grow without bound.
    #[error("the variables of this file expand to too much text; the line is skipped")]
    TooMuch,
}

/// Gives the value of a variable, empty when unset.
pub(super) type Lookup<'l> = dyn FnMut(&str) -> Result<String, ShellFault> + 'l;

/// A line of the shell dialect, command by command, so that a command sees what the one before it
/// has set.
pub(super) struct Shell<'t> {
    chars: Peekable<Chars<'t>>,
}

impl<'t> Shell<'t> {
    /// Starts at the beginning of a line.
    pub(super) fn new(line: &'t str) -> Self {
        Shell {
            chars: line.chars().peekable(),
        }
    }

    /// Splits the next command, up to `;`, a comment or the end. `None` when nothing is left.
    ///
    /// # Errors
    /// [`ShellFault`]; nothing of the line is left then.
    pub(super) fn next_command(
        &mut self,
        lookup: &mut Lookup<'_>,
    ) -> Option<Result<Vec<Word>, ShellFault>> {
        self.chars.peek()?;
        let mut words = Vec::new();
        let outcome = self.command(&mut words, lookup);
        if outcome.is_err() {
            self.chars = "".chars().peekable();
        }
        Some(outcome.map(|()| words))
    }

    fn command(
        &mut self,
        words: &mut Vec<Word>,
        lookup: &mut Lookup<'_>,
    ) -> Result<(), ShellFault> {
        let mut word = Growing::default();
        while let Some(c) = self.chars.next() {
            match c {
                ';' => break,
                ' ' | '\t' => word.end(words),
                '#' if !word.begun => {
                    self.chars = "".chars().peekable();
                    break;
                }
                '\\' => {
                    word.mark();
                    word.text.extend(self.chars.next());
                }
                '\'' | '"' | '$' => self.quoted(c, &mut word, lookup)?,
                _ => word.bare(c),
            }
        }
        word.end(words);
        Ok(())
    }

    fn quoted(
        &mut self,
        c: char,
        word: &mut Growing,
        lookup: &mut Lookup<'_>,
    ) -> Result<(), ShellFault> {
        match c {
            '\'' => {
                word.mark();
                self.single(&mut word.text)
            }
            '"' => {
                word.mark();
                self.double(&mut word.text, lookup)
            }
            _ if self.chars.next_if_eq(&'\'').is_some() => {
                word.mark();
                self.dollar_single(&mut word.text, lookup)
            }
            _ => match self.parameter(lookup)? {
                Some(value) if value.is_empty() => Ok(()),
                Some(value) => {
                    word.mark();
                    word.text.push_str(&value);
                    Ok(())
                }
                None => {
                    word.bare('$');
                    Ok(())
                }
            },
        }
    }

    fn single(&mut self, text: &mut String) -> Result<(), ShellFault> {
        for c in self.chars.by_ref() {
            if c == '\'' {
                return Ok(());
            }
            text.push(c);
        }
        Err(ShellFault::Unclosed)
    }

    fn double(&mut self, text: &mut String, lookup: &mut Lookup<'_>) -> Result<(), ShellFault> {
        while let Some(c) = self.chars.next() {
            match c {
                '"' => return Ok(()),
                '\\' => text.push(
                    self.chars
                        .next_if(|c| matches!(c, '"' | '\\' | '$' | '`'))
                        .unwrap_or('\\'),
                ),
                '$' => match self.parameter(lookup)? {
                    Some(value) => text.push_str(&value),
                    None => text.push('$'),
                },
                _ => text.push(c),
            }
        }
        Err(ShellFault::Unclosed)
    }

    fn dollar_single(
        &mut self,
        text: &mut String,
        lookup: &mut Lookup<'_>,
    ) -> Result<(), ShellFault> {
        while let Some(c) = self.chars.next() {
            match c {
                '\'' => return Ok(()),
                '\\' => match self.chars.next() {
                    Some('$') => match self.parameter(lookup)? {
                        Some(value) => text.push_str(&value),
                        None => text.push('$'),
                    },
                    Some(kind) => self.escape(kind, text),
                    None => return Err(ShellFault::Unclosed),
                },
                _ => text.push(c),
            }
        }
        Err(ShellFault::Unclosed)
    }

    /// One escape of `$'…'`. What it does not know stays as written.
    fn escape(&mut self, kind: char, text: &mut String) {
        let number = match kind {
            'x' => self.digits(16, 2, 0),
            'u' => self.digits(16, 4, 0),
            'U' => self.digits(16, 8, 0),
            '0'..='7' => self.digits(8, 2, kind.to_digit(8).unwrap_or(0)),
            'c' => self.chars.next().map(|c| u32::from(c) & 0x1f),
            'a' => Some(7),
            'b' => Some(8),
            't' => Some(9),
            'n' => Some(10),
            'v' => Some(11),
            'f' => Some(12),
            'r' => Some(13),
            'e' | 'E' => Some(27),
            '\\' | '\'' | '"' | '?' => Some(kind.into()),
            _ => None,
        };
        match number.map(char::from_u32) {
            Some(Some(c)) => text.push(c),
            Some(None) => text.push(char::REPLACEMENT_CHARACTER),
            None => text.extend(['\\', kind]),
        }
    }

    /// Reads up to `most` digits behind the value `start`; `None` for no digit where one is needed.
    fn digits(&mut self, radix: u32, most: u32, start: u32) -> Option<u32> {
        let mut value = start;
        let mut found = radix == 8;
        for _ in 0..most {
            let Some(c) = self.chars.next_if(|c| c.is_digit(radix)) else {
                break;
            };
            value = value
                .saturating_mul(radix)
                .saturating_add(c.to_digit(radix).unwrap_or(0));
            found = true;
        }
        found.then_some(value)
    }

    /// The value behind `$`; `None` when no name follows and the `$` is meant as such.
    fn parameter(&mut self, lookup: &mut Lookup<'_>) -> Result<Option<String>, ShellFault> {
        let mut name = String::new();
        if self.chars.next_if_eq(&'{').is_some() {
            loop {
                match self.chars.next() {
                    Some('}') => return lookup(&name).map(Some),
                    Some(c) => name.push(c),
                    None => return Err(ShellFault::Unclosed),
                }
            }
        }
        if !self
            .chars
            .peek()
            .is_some_and(|c| c.is_ascii_alphabetic() || *c == '_')
        {
            return Ok(None);
        }
        while let Some(c) = self
            .chars
            .next_if(|c| c.is_ascii_alphanumeric() || *c == '_')
        {
            name.push(c);
        }
        lookup(&name).map(Some)
    }
}
