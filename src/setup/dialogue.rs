//! The questions in their order.
//!
//! Promise: every question comes before the first thing that is written; what the command line says
//! is not asked. An answer that cannot be is asked for again.
mod login;
mod published;

use std::fmt::Write as _;

use super::account::{Account, Proof, Setting};
use super::find::{self, Found, Login, Proposal, Server};
use super::messages::{self, Messages};
use super::questions::{ask, choose, choose_store, yes};
use super::secret_store::{SecretStore, StoredSecret, free_file};
use super::write::Target;
use super::{Aborted, Done, Place, Prompter, Services, SetupError, SetupOptions, TrialError};
use crate::address::Address;
use crate::language::Sentence;
use crate::providers;

/// A dialogue under way.
pub(super) struct Dialogue<'a> {
    prompter: &'a mut dyn Prompter,
    messages: Messages,
    options: &'a SetupOptions,
    place: &'a Place,
    services: Services<'a>,
    /// What `-S` says, without what an answer took the place of.
    said: Vec<Setting>,
}

/// What to do after a trial.
enum Next {
    Go,
    Secret,
    Server,
}

impl<'a> Dialogue<'a> {
    /// Begins one.
    pub(super) fn new(
        prompter: &'a mut dyn Prompter,
        messages: Messages,
        options: &'a SetupOptions,
        place: &'a Place,
        services: Services<'a>,
    ) -> Self {
        Dialogue {
            prompter,
            messages,
            options,
            place,
            services,
            said: options.said.clone(),
        }
    }

    /// Asks, tries and writes.
    pub(super) fn run(mut self) -> Result<Done, SetupError> {
        if let Some(said) = self.options.said.iter().find(|said| said.is_secret()) {
            return Err(SetupError::Argument(said.name.clone()));
        }
        let target = Target::look(&self.place.config)?;
        let accounts = target.accounts()?;
        self.say(messages::INTRO, &[]);
        let address = self.address()?;
        let mut account = self.account(&address)?;
        let mut stored = self.choose_store(&account)?;
        let name = self.name(&account, accounts.as_deref())?;
        loop {
            match self.try_it(&account, name.as_deref())? {
                Next::Go => break,
                Next::Secret => {
                    account.proof = self.proof(&account.server, account.user.as_deref(), true)?;
                }
                Next::Server => {
                    self.forget(&["smtp", "provider", "tls", "auth-user"]);
                    account.server = self.typed_server(Some(&account.server))?;
                    account.user = self.typed_user(&account)?;
                    account.proof = self.proof(&account.server, account.user.as_deref(), true)?;
                }
            }
        }
        if stored.is_none() {
            stored = self.choose_store(&account)?;
        }
        if let (Some(stored), Proof::Typed(secret)) = (&mut stored, &account.proof) {
            stored.secret = secret.clone();
            stored.host.clone_from(&account.server.host);
            stored.user = account.user.clone().unwrap_or_default();
        }
        let first_mail =
            !self.options.yes && self.yes(messages::FIRST_MAIL, &[&account.address], true)?;
        loop {
            match self.write(
                &target,
                &account,
                stored.as_ref(),
                name.as_deref(),
                first_mail,
            ) {
                // All other answers are good: only this one is asked for again.
                Err(SetupError::Store(error)) if !self.options.yes => {
                    self.say(messages::NOT_STORED, &[&error.why]);
                    stored = self.choose_store(&account)?;
                }
                outcome => return outcome,
            }
        }
    }

    fn address(&mut self) -> Result<Address, SetupError> {
        if let Some(text) = &self.options.address {
            let address = Address::parse(text).map_err(SetupError::Address)?;
            if !address.is_bare() {
                return Ok(address);
            }
        }
        loop {
            let text = self.ask(messages::ADDRESS, None)?;
            match Address::parse(&text) {
                Ok(address) if !address.is_bare() => return Ok(address),
                Ok(address) => self.say(messages::NO_ADDRESS, &[&address.to_string()]),
                Err(error) => self.say(messages::NO_ADDRESS, &[&error.reason]),
            }
        }
    }

    fn account(&mut self, address: &Address) -> Result<Account, SetupError> {
        let server = self.server(address)?;
        let address = address.to_string();
        let named = self.wish("auth-user");
        let form = server.preset.as_ref().map(|preset| preset.user_form);
        let user = match (named, form) {
            _ if self.wish("auth").as_deref() == Some("none") => None,
            (Some(user), _) => Some(user),
            (None, Some(providers::UserForm::None)) => None,
            (None, None) if server.login == Some(Login::None) => None,
            (None, _) => match server
                .preset
                .as_ref()
                .and_then(|preset| preset.user_for(&address))
            {
                Some(user) => Some(user),
                None => Some(self.user(&server, &address)?),
            },
        };
        let proof = self.proof(&server, user.as_deref(), false)?;
        Ok(Account {
            address,
            server,
            user,
            proof,
        })
    }

    fn user(&mut self, server: &Server, default: &str) -> Result<String, SetupError> {
        if let Some(preset) = server
            .preset
            .as_ref()
            .filter(|preset| !preset.user_text.is_empty())
        {
            self.say(messages::USER_TEXT, &[preset.user_text]);
            // A name that the provider hands out has no default that could be right.
            return self.ask_filled(messages::USER, None);
        }
        self.ask_filled(
            messages::USER,
            Some(
                server
                    .login
                    .as_ref()
                    .and_then(Login::user)
                    .unwrap_or(default),
            ),
        )
    }

    fn typed_user(&mut self, account: &Account) -> Result<Option<String>, SetupError> {
        let default = account
            .user
            .clone()
            .unwrap_or_else(|| account.address.clone());
        Ok(Some(self.ask_filled(messages::USER, Some(&default))?))
    }

    fn server(&mut self, address: &Address) -> Result<Server, SetupError> {
        if let Some(Ok(server)) = self.wish("smtp").map(|text| Server::parse(&text)) {
            return Ok(server);
        }
        let named = self
            .wish("provider")
            .and_then(|id| providers::by_id(&id))
            .and_then(Server::of_preset);
        let domain = address.domain().unwrap_or_default().to_lowercase();
        if let Some(server) = named.or_else(|| match find::in_table(&domain) {
            Some(Found::Table(server)) => Some(server),
            _ => None,
        }) {
            let name = server
                .preset
                .as_ref()
                .map_or("", |preset| preset.name)
                .to_owned();
            self.say(messages::KNOWN, &[&name, &server.shown()]);
            return Ok(server);
        }
        self.say(messages::SEARCHING, &[&domain]);
        let proposal = match find::in_dns(&domain, self.services.directory) {
            Found::Exchanger(server) | Found::Table(server) => {
                let name = server
                    .preset
                    .as_ref()
                    .map_or("", |preset| preset.name)
                    .to_owned();
                self.say(messages::BY_MX, &[&domain, &name]);
                self.yes(messages::USE_PROVIDER, &[&server.shown()], true)?
                    .then_some(server)
            }
            Found::Service(Proposal { server, outside }) => {
                self.say(messages::BY_SRV, &[&domain, &server.shown()]);
                if outside {
                    self.say(messages::OUTSIDE, &[&domain]);
                }
                self.yes(messages::USE_SERVER, &[&server.shown()], !outside)?
                    .then_some(server)
            }
            Found::Nothing => self.published(address, &domain)?,
        };
        if let Some(server) = proposal {
            return Ok(server);
        }
        self.say(messages::UNKNOWN, &[&domain]);
        self.typed_server(None)
    }

    fn typed_server(&mut self, before: Option<&Server>) -> Result<Server, SetupError> {
        let default = before.map(Server::setting);
        loop {
            let text = self.ask(messages::SERVER, default.as_deref())?;
            match Server::parse(&text) {
                Ok(server) => return Ok(server),
                Err(why) => self.say(messages::NO_SERVER, &[&why]),
            }
        }
    }

    fn choose_store(&mut self, account: &Account) -> Result<Option<StoredSecret>, SetupError> {
        let Proof::Typed(secret) = &account.proof else {
            return Ok(None);
        };
        let file = free_file(&self.place.config, &short_name(account));
        let (host, user) = (
            account.server.host.clone(),
            account.user.clone().unwrap_or_default(),
        );
        let stored = StoredSecret {
            store: SecretStore::File,
            secret: secret.clone(),
            host,
            user,
            file,
        };
        choose_store(self.prompter, self.messages, self.place, stored, true).map(Some)
    }

    /// The name of the account, when it is one among others.
    fn name(
        &mut self,
        account: &Account,
        there: Option<&[String]>,
    ) -> Result<Option<String>, SetupError> {
        let taken: Vec<String> = there
            .unwrap_or_default()
            .iter()
            .chain(&self.place.accounts)
            .cloned()
            .collect();
        let check = |name: &str| {
            let sound = !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            match (sound, taken.iter().any(|other| other == name)) {
                (false, _) => Err((messages::NO_ACCOUNT, "use letters, digits, - and _")),
                (true, true) => Err((messages::ACCOUNT_TAKEN, "it already exists")),
                (true, false) => Ok(()),
            }
        };
        if let Some(name) = &self.options.account {
            let refuse = |(_, why)| SetupError::Account {
                name: name.clone(),
                why,
            };
            return check(name).map(|()| Some(name.clone())).map_err(refuse);
        }
        if there.is_some() {
            self.say(messages::EXISTS, &[&self.place.shown(&self.place.config)]);
        } else if !self.place.chosen {
            return Ok(None);
        }
        let short = short_name(account);
        let numbered =
            std::iter::once(short.clone()).chain((2..1000).map(|n| format!("{short}-{n}")));
        let default = numbered.into_iter().find(|name| check(name).is_ok());
        loop {
            let name = self.ask(messages::ACCOUNT, default.as_deref())?;
            match check(&name) {
                Ok(()) => return Ok(Some(name)),
                Err((text, _)) => self.say(text, &[&name]),
            }
        }
    }

    fn try_it(&mut self, account: &Account, name: Option<&str>) -> Result<Next, SetupError> {
        let trying = self
            .messages
            .of(messages::TRYING, &[&account.server.shown()]);
        self.prompter.say(&trying);
        let tried = self.proven(account, name).and_then(|password| {
            let said = account.said(&self.said, &self.place.leaks, password);
            (self.services.try_it)(&said)
        });
        let why = match tried {
            Ok(()) => {
                self.say(messages::WORKS, &[]);
                return Ok(Next::Go);
            }
            Err(TrialError::Interrupted) => {
                return Err(SetupError::Aborted(Aborted::Interrupted, trying));
            }
            Err(TrialError::Failed(why)) => why,
        };
        if self.options.yes {
            return Err(SetupError::Refused(why));
        }
        self.prompter.say(&why);
        self.say(messages::FAILED, &[]);
        let rows = [
            messages::NEXT_SECRET,
            messages::NEXT_SERVER,
            messages::NEXT_KEEP,
            messages::NEXT_LEAVE,
        ]
        .map(|t| self.messages.of(t, &[]));
        match choose(self.prompter, self.messages, messages::NEXT, &rows)? {
            0 => Ok(Next::Secret),
            1 => Ok(Next::Server),
            2 => Ok(Next::Go),
            _ => Err(SetupError::GivenUp),
        }
    }

    /// What the trial needs beside the settings: the password that was typed, or the tokens of a
    /// person who signs in now.
    fn proven(&self, account: &Account, name: Option<&str>) -> Result<Option<Setting>, TrialError> {
        match &account.proof {
            Proof::Typed(secret) => Ok(Some(Setting {
                name: "auth-password".to_owned(),
                value: super::Value::Secret(secret.clone()),
            })),
            Proof::SignIn { .. } => {
                let said = account.said(&self.said, &self.place.leaks, None);
                let file = (self.services.sign_in)(&said, name)?;
                Ok(Some(Setting::new("oauth2-token-file", file)))
            }
            _ => Ok(None),
        }
    }

    fn write(
        &mut self,
        target: &Target,
        account: &Account,
        stored: Option<&StoredSecret>,
        name: Option<&str>,
        first_mail: bool,
    ) -> Result<Done, SetupError> {
        let block = |reveal| self.block(target, account, stored, name, reveal);
        let whole = target.with(&block(true))?;
        let shown = block(false).to_string();
        target.commit(&whole, stored.map_or(&[], std::slice::from_ref))?;
        let config = self.place.shown(&self.place.config);
        self.say(messages::WRITTEN, &[&config]);
        let indented: Vec<String> = shown
            .lines()
            .map(|line| format!("  {line}").trim_end().to_owned())
            .collect();
        self.prompter.say(&indented.join("\n"));
        let mut secret = None;
        match stored {
            Some(stored) if stored.store == SecretStore::Environment => {
                self.say(messages::ENVIRONMENT, &[]);
                secret = Some(stored.secret.clone());
            }
            Some(stored) if stored.store != SecretStore::Config => {
                let place = stored.shown(self.messages, self.place);
                self.say(messages::STORED, &[&place]);
            }
            _ => {}
        }
        match name {
            Some(name) if !target.is_new() => self.say(messages::DONE_ACCOUNT, &[name]),
            _ => self.say(messages::DONE, &[]),
        }
        let name = name.map(str::to_owned);
        Ok(Done {
            address: account.address.clone(),
            account: name,
            config,
            shown,
            first_mail,
            secret,
        })
    }

    /// The lines that are written; the secret in them only where it is revealed.
    fn block(
        &self,
        target: &Target,
        account: &Account,
        stored: Option<&StoredSecret>,
        name: Option<&str>,
        reveal: bool,
    ) -> zeroize::Zeroizing<String> {
        let mut out = zeroize::Zeroizing::new(format!(
            "# {}\n",
            self.messages.of(messages::COMMENT_MADE, &[])
        ));
        if let Some(name) = name {
            if target.is_new() {
                out.push_str(&Setting::new("account", name).line(reveal));
            }
            let _ = writeln!(out, "\n[accounts.{name}]");
        }
        out.push_str(&account.remarks(self.messages));
        let source = stored.and_then(|stored| stored.said(self.place, ""));
        for said in account.said(&self.said, &self.place.leaks, source) {
            out.push_str(&said.line(reveal));
        }
        if stored.is_some_and(|stored| stored.store == SecretStore::Environment) {
            let _ = writeln!(
                out,
                "# {}",
                self.messages.of(messages::COMMENT_ENVIRONMENT, &[])
            );
        }
        out
    }

    /// The text that the command line sets a setting to.
    fn wish(&self, name: &str) -> Option<String> {
        let said = self.said.iter().rev().find(|said| said.name == name)?;
        match &said.value {
            super::Value::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    fn forget(&mut self, names: &[&str]) {
        self.said
            .retain(|said| !names.contains(&said.name.as_str()));
    }

    fn say(&mut self, text: Sentence, facts: &[&str]) {
        let line = self.messages.of(text, facts);
        self.prompter.say(&line);
    }

    fn ask(&mut self, text: Sentence, default: Option<&str>) -> Result<String, SetupError> {
        ask(self.prompter, &self.messages.of(text, &[]), default)
    }

    fn ask_filled(&mut self, text: Sentence, default: Option<&str>) -> Result<String, SetupError> {
        loop {
            let answer = self.ask(text, default)?;
            if !answer.is_empty() {
                return Ok(answer);
            }
        }
    }

    fn yes(&mut self, text: Sentence, facts: &[&str], default: bool) -> Result<bool, SetupError> {
        let question = self.messages.of(text, facts);
        yes(self.prompter, self.messages, &question, default)
    }
}

/// A short name for the account: that of the provider, else the first label of the domain.
fn short_name(account: &Account) -> String {
    let domain = || {
        account
            .address
            .rsplit_once('@')
            .map_or("mail", |(_, domain)| domain)
    };
    let label = || {
        domain()
            .split('.')
            .next()
            .unwrap_or_default()
            .to_lowercase()
    };
    let name = account
        .server
        .preset
        .as_ref()
        .map_or_else(label, |preset| preset.id.to_owned());
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    if name.is_empty() {
        "mail".to_owned()
    } else {
        name
    }
}
