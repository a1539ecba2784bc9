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
        if let Some(proof) = self.token_setting().filter(|_| !again) {
            return Ok(proof);
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
            return match self.client(server)? {
                Some(proof) => Ok(proof),
                None => self.token().map(Proof::Command),
            };
        }
        loop {
            if let Some(secret) = self.password(server, user, again)? {
                return Ok(Proof::Typed(secret));
            }
            if let Some(proof) = self.client(server)? {
                return Ok(proof);
            }
        }
    }

    /// What `-S` says of access tokens.
    fn token_setting(&self) -> Option<Proof> {
        if self.wish("auth").as_deref() != Some("oauth2") {
            return None;
        }
        let by_itself = ["oauth2-token-command", "oauth2-service-account"];
        match self.wish("oauth2-client-id") {
            Some(client) if self.wish("oauth2-grant").is_none() => Some(Proof::SignIn {
                client,
                secret: None,
            }),
            Some(_) => Some(Proof::Setting),
            None => by_itself
                .iter()
                .any(|name| self.wish(name).is_some())
                .then_some(Proof::Setting),
        }
    }

    /// Asks for the client that a person signs in for; `None` where there is none.
    fn client(&mut self, server: &Server) -> Result<Option<Proof>, SetupError> {
        if Account::token_provider(server).is_none() {
            return Ok(None);
        }
        self.say(messages::SIGN_IN, &[]);
        let client = self.ask(messages::CLIENT_ID, None)?;
        if client.is_empty() {
            return Ok(None);
        }
        let question = self.messages.of(messages::CLIENT_SECRET, &[]);
        let secret = self
            .prompter
            .secret(&question)
            .map_err(|gone| SetupError::Aborted(gone, question))?;
        let secret = Some(secret).filter(|secret| !secret.reveal().trim().is_empty());
        Ok(Some(Proof::SignIn { client, secret }))
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

    /// Asks for the password; `None` where the user wants to sign in instead.
    fn password(
        &mut self,
        server: &Server,
        user: &str,
        again: bool,
    ) -> Result<Option<Secret>, SetupError> {
        let preset = server.preset.as_ref();
        if let Some(secret) = self.options.secret.as_ref().filter(|_| !again) {
            self.say(messages::SECRET_GIVEN, &[]);
            let secret = self.without_blanks(preset, secret.clone());
            // What was handed over is tried as it is: the server decides.
            return Ok(Some(secret));
        }
        let may_sign_in = Account::token_provider(server).is_some_and(|row| row.replaces_passwords);
        if may_sign_in {
            self.say(messages::OR_SIGN_IN, &[]);
        }
        loop {
            let question = self.messages.of(messages::SECRET, &[]);
            let secret = self
                .prompter
                .secret(&question)
                .map_err(|gone| SetupError::Aborted(gone, question))?;
            if secret.reveal().trim().is_empty() {
                if may_sign_in {
                    return Ok(None);
                }
                self.say(messages::NO_SECRET, &[]);
                continue;
            }
            let secret = self.without_blanks(preset, secret);
            match (self.services.doubt)(preset, user, &secret) {
                None => return Ok(Some(secret)),
                Some(doubt) => {
                    self.say(messages::SUSPICIOUS, &[&doubt]);
                    if self.yes(messages::SECRET_AGAIN, &[], true)? {
                        return Ok(Some(secret));
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
