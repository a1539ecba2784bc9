//! The part of the dialogue that asks how the account proves who it is.
//!
//! Promise: a secret is shown by no line of it; what is visibly wrong is pointed out, and the user
//! decides.
use super::super::SetupError;
use super::super::account::{Account, Proof};
use super::super::find::Server;
use super::super::messages;
use super::Dialogue;
use crate::providers::Preset;
use crate::secret::{Secret, SecretSource};

impl Dialogue<'_> {
    /// How the account logs in; `again` when what was handed over did not do.
    pub(super) fn proof(
        &mut self,
        server: &Server,
        user: Option<&str>,
        again: bool,
    ) -> Result<Proof, SetupError> {
        let asked_before = self
            .wish("auth-password-file")
            .or_else(|| self.wish("auth-password-command"));
        if again {
            self.forget(&["auth-password-file", "auth-password-command"]);
        } else if asked_before.is_some() {
            return Ok(Proof::Setting);
        }
        if let Some(command) = self.options.command.as_ref().filter(|_| !again) {
            return Ok(Proof::Command(command.clone()));
        }
        let Some(user) = user else {
            return Ok(Proof::None);
        };
        if let Some(preset) = &server.preset {
            let kind: Vec<_> = [
                (messages::SECRET_KIND, preset.secret),
                (messages::SECRET_WHERE, preset.credential_hint),
            ]
            .into_iter()
            .filter(|(_, fact)| !fact.is_empty())
            .map(|(text, fact)| self.messages.of(text, &[fact]))
            .collect();
            for line in &kind {
                self.prompter.say(line);
            }
        }
        if Account::wants_token(server) {
            return self.token().map(Proof::Command);
        }
        self.password(server, user, again).map(Proof::Typed)
    }

    fn token(&mut self) -> Result<String, SetupError> {
        self.say(messages::TOKEN, &[]);
        loop {
            let text = self.ask_filled(messages::TOKEN_COMMAND, None)?;
            match SecretSource::parse_command(&text) {
                Ok(_) => return Ok(text),
                Err(error) => self.say(messages::NO_COMMAND, &[&error.why]),
            }
        }
    }

    fn password(&mut self, server: &Server, user: &str, again: bool) -> Result<Secret, SetupError> {
        let preset = server.preset.as_ref();
        if let Some(secret) = self.options.secret.as_ref().filter(|_| !again) {
            self.say(messages::SECRET_GIVEN, &[]);
            let secret = self.without_blanks(preset, secret.clone());
            // What was handed over is tried as it is, and judged by the server.
            return Ok(secret);
        }
        loop {
            let question = self.messages.of(messages::SECRET, &[]);
            let secret = self
                .prompter
                .secret(&question)
                .map_err(|gone| SetupError::Aborted(gone, question))?;
            if secret.reveal().trim().is_empty() {
                self.say(messages::NO_SECRET, &[]);
                continue;
            }
            let secret = self.without_blanks(preset, secret);
            match (self.services.doubt)(preset, user, &secret) {
                None => return Ok(secret),
                Some(doubt) => {
                    self.say(messages::SUSPICIOUS, &[&doubt]);
                    if self.yes(messages::SECRET_AGAIN, &[], true)? {
                        return Ok(secret);
                    }
                }
            }
        }
    }

    /// Google shows its app passwords with blanks, and takes them without.
    fn without_blanks(&mut self, preset: Option<&Preset>, secret: Secret) -> Secret {
        let google = preset.is_some_and(|preset| preset.family == "gmail");
        let bare: zeroize::Zeroizing<String> = zeroize::Zeroizing::new(
            secret
                .reveal()
                .chars()
                .filter(|c| !c.is_whitespace())
                .collect(),
        );
        let app = bare.len() == 16 && bare.bytes().all(|b| b.is_ascii_alphabetic());
        if !(google && app) || bare.len() == secret.reveal().len() {
            return secret;
        }
        self.say(messages::SECRET_BLANKS, &[]);
        Secret::new(bare.as_str())
    }
}
