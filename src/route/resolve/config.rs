//! s-nail's `smtp-config`: a list of words that switch features of the protocol on and off.
use crate::route::Mechanism;
use crate::settings::{Assignment, text_of};

/// What s-nail's `smtp-config` says that has a meaning here.
pub(super) struct SmtpConfig {
    pub(super) ehlo: bool,
    pub(super) starttls: bool,
    pub(super) mechanism: Option<Mechanism>,
}

impl SmtpConfig {
    pub(super) fn read(said: Option<&Assignment>) -> Self {
        let mut config = SmtpConfig {
            ehlo: true,
            starttls: true,
            mechanism: None,
        };
        let text = said
            .and_then(|a| a.value.as_ref().map(text_of))
            .unwrap_or_default();
        let words: Vec<_> = text
            .split(',')
            .map(|w| w.trim().to_ascii_lowercase())
            .collect();
        for word in &words {
            match word.as_str() {
                "-ehlo" => config.ehlo = false,
                "-starttls" => config.starttls = false,
                "-all" => (config.ehlo, config.starttls) = (false, false),
                "ehlo" | "+ehlo" => config.ehlo = true,
                "starttls" | "+starttls" => config.starttls = true,
                _ => {}
            }
        }
        let named: Vec<_> = words
            .iter()
            .filter_map(|w| Mechanism::of_word(w.trim_start_matches('+')))
            .collect();
        if words.iter().any(|w| w == "-allmechs" || w == "-all") || named.len() == 1 {
            config.mechanism = named.first().copied();
        }
        config
    }
}
