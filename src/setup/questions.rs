//! The forms of a question: a line, yes or no, one of some rows.
//!
//! Promise: an answer that cannot be is asked for again, and nobody to ask ends the dialogue.
use super::messages::{self, Messages};
use super::secret_store::{SecretStore, StoredSecret};
use super::{Aborted, Place, Prompter, SetupError};
use crate::language::Sentence;

/// Asks where a password is to be stored; the first place is the default. `alone`: it is the only
/// one.
pub(super) fn choose_store(
    prompter: &mut dyn Prompter,
    messages: Messages,
    place: &Place,
    stored: StoredSecret,
    alone: bool,
) -> Result<StoredSecret, SetupError> {
    let mut available = SecretStore::available(&place.programs);
    // The environment has one password only.
    available.retain(|store| alone || *store != SecretStore::Environment);
    let rows: Vec<String> = available
        .iter()
        .map(|store| {
            StoredSecret {
                store: *store,
                ..stored.clone()
            }
            .shown(messages, place)
        })
        .collect();
    let chosen = choose(prompter, messages, messages::KEEP, &rows)?;
    Ok(StoredSecret {
        store: available.get(chosen).copied().unwrap_or(SecretStore::File),
        ..stored
    })
}

/// Asks for one of some rows; the first is the default.
pub(super) fn choose(
    prompter: &mut dyn Prompter,
    messages: Messages,
    head: Sentence,
    rows: &[String],
) -> Result<usize, SetupError> {
    prompter.say(&messages.of(head, &[]));
    for (number, row) in rows.iter().enumerate() {
        prompter.say(&format!("  {}  {row}", number + 1));
    }
    loop {
        let answer = ask(prompter, &messages.of(messages::NUMBER, &[]), Some("1"))?;
        match answer.parse::<usize>() {
            Ok(number) if (1..=rows.len()).contains(&number) => return Ok(number - 1),
            _ => prompter.say(&messages.of(messages::NO_NUMBER, &[&rows.len().to_string()])),
        }
    }
}

/// Asks for yes or no.
pub(super) fn yes(
    prompter: &mut dyn Prompter,
    messages: Messages,
    question: &str,
    default: bool,
) -> Result<bool, SetupError> {
    loop {
        match ask(prompter, question, Some(if default { "y" } else { "n" }))?
            .to_lowercase()
            .as_str()
        {
            "y" | "yes" | "是" => return Ok(true),
            "n" | "no" | "否" => return Ok(false),
            _ => prompter.say(&messages.of(messages::YES_OR_NO, &[])),
        }
    }
}

/// Asks for a line; nothing typed is the default.
pub(super) fn ask(
    prompter: &mut dyn Prompter,
    question: &str,
    default: Option<&str>,
) -> Result<String, SetupError> {
    let answer = prompter
        .ask(question, default)
        .map_err(|gone: Aborted| SetupError::Aborted(gone, question.to_owned()))?;
    Ok(if answer.is_empty() {
        default.unwrap_or_default().to_owned()
    } else {
        answer
    })
}
