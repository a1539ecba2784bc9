//! The forms of a question: a line, yes or no, one of some rows.
//!
//! Promise: an answer that cannot be is asked for again, and nobody to ask ends the dialogue.
use super::keep::{Keeping, Kept};
use super::words::{self, Text, Words};
use super::{Gone, Person, Place, SetupError};

/// Asks where a password is to be kept; the first place is the default. `alone`: it is the only
/// one.
pub fn choose_keeping(
    person: &mut dyn Person,
    words: Words,
    place: &Place,
    kept: Kept,
    alone: bool,
) -> Result<Kept, SetupError> {
    let mut available = Keeping::available(&place.programs);
    // The environment has one password only.
    available.retain(|keeping| alone || *keeping != Keeping::Environment);
    let rows: Vec<String> = available
        .iter()
        .map(|keeping| {
            Kept {
                keeping: *keeping,
                ..kept.clone()
            }
            .shown(words, place)
        })
        .collect();
    let chosen = choose(person, words, words::KEEP, &rows)?;
    Ok(Kept {
        keeping: available.get(chosen).copied().unwrap_or(Keeping::File),
        ..kept
    })
}

/// Asks for one of some rows; the first is the default.
pub fn choose(
    person: &mut dyn Person,
    words: Words,
    head: Text,
    rows: &[String],
) -> Result<usize, SetupError> {
    person.say(&words.of(head, &[]));
    for (number, row) in rows.iter().enumerate() {
        person.say(&format!("  {}  {row}", number + 1));
    }
    loop {
        let answer = ask(person, &words.of(words::NUMBER, &[]), Some("1"))?;
        match answer.parse::<usize>() {
            Ok(number) if (1..=rows.len()).contains(&number) => return Ok(number - 1),
            _ => person.say(&words.of(words::NO_NUMBER, &[&rows.len().to_string()])),
        }
    }
}

/// Asks for yes or no.
pub fn yes(
    person: &mut dyn Person,
    words: Words,
    question: &str,
    default: bool,
) -> Result<bool, SetupError> {
    loop {
        match ask(person, question, Some(if default { "y" } else { "n" }))?
            .to_lowercase()
            .as_str()
        {
            "y" | "yes" | "是" => return Ok(true),
            "n" | "no" | "否" => return Ok(false),
            _ => person.say(&words.of(words::YES_OR_NO, &[])),
        }
    }
}

/// Asks for a line; nothing typed is the default.
pub fn ask(
    person: &mut dyn Person,
    question: &str,
    default: Option<&str>,
) -> Result<String, SetupError> {
    let answer = person
        .ask(question, default)
        .map_err(|gone: Gone| SetupError::Gone(gone, question.to_owned()))?;
    Ok(if answer.is_empty() {
        default.unwrap_or_default().to_owned()
    } else {
        answer
    })
}
