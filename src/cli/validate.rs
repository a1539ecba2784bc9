//! What the flags of mailx mean together: those that exclude each other, and the words after `--`.
use super::{Args, Error};

impl Args {
    /// Refuses what smail does not do, and sorts the words after `--`.
    pub(super) fn validate(&mut self) -> Result<(), Error> {
        let reading = [
            (self.check_and_exit, "-e"),
            (self.file, "-f"),
            (self.header_summary, "-H"),
            (self.inbox_of, "-u"),
            (self.search, "-L"),
            (self.read_only, "-R"),
        ];
        if let Some((_, flag)) = reading.iter().find(|(given, _)| *given) {
            return Err(Error::Usage {
                what: format!("`{flag}` reads mail, but smail only sends it"),
                hint: Some("use `-r ADDRESS` to set the envelope sender".to_owned()),
            });
        }
        if self.personality.is_some() {
            return Err(Error::usage("`--as` must be the first argument"));
        }
        self.one_source()?;
        let of_setup = [
            (self.from_mailrc.is_some(), "--from-mailrc"),
            (self.password_from.is_some(), "--password-from"),
            (self.yes, "--yes"),
        ];
        if let Some((_, flag)) = of_setup
            .iter()
            .find(|(given, _)| *given && self.setup.is_none())
        {
            return Err(Error::usage(format!(
                "`{flag}` is only valid with `--setup`"
            )));
        }
        self.account_to_sign_in()?;
        if self.setup.is_some() && self.has_recipients() {
            return Err(Error::usage(
                "`--setup` takes one address and sends no mail to others",
            ));
        }
        // An address that is empty is none: scripts write `-r "$FROM"`.
        for address in [&mut self.from, &mut self.reply_to, &mut self.envelope_from] {
            address.take_if(|address| address.trim().is_empty());
        }
        let words = std::mem::take(&mut self.after_dashes);
        if self.has_recipients() && words.first().is_some_and(|w| w.starts_with('-')) {
            return self.program_options(words);
        }
        self.operands.extend(words);
        if self.check {
            self.account_to_check()
        } else {
            Ok(())
        }
    }

    /// `--login` and `--token` may name an account, as `-A` does.
    fn account_to_sign_in(&mut self) -> Result<(), Error> {
        let of_login = [(self.status, "--status"), (self.no_browser, "--no-browser")];
        if let Some((_, flag)) = of_login
            .iter()
            .find(|(given, _)| *given && self.login.is_none())
        {
            return Err(Error::usage(format!(
                "`{flag}` is only valid with `--login`"
            )));
        }
        for (named, flag) in [(&self.login, "--login"), (&self.token, "--token")] {
            let Some(named) = named else { continue };
            if self.has_recipients() {
                return Err(Error::usage(format!("`{flag}` sends no mail")));
            }
            match (named, &self.account) {
                (Some(_), Some(_)) => {
                    return Err(Error::usage(format!("`{flag}` takes one account")));
                }
                (Some(name), None) => self.account = Some(name.clone()),
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// The operand of `--check` is an account.
    fn account_to_check(&mut self) -> Result<(), Error> {
        let mut named = std::mem::take(&mut self.operands).into_iter();
        match (named.next(), named.next(), &self.account) {
            (None, ..) => Ok(()),
            (Some(name), None, None) => {
                self.account = Some(name.into());
                Ok(())
            }
            _ => Err(Error::Usage {
                what: "`--check` takes one account".to_owned(),
                hint: Some("use `--to ADDRESS` to ask the server about a recipient".to_owned()),
            }),
        }
    }

    /// Returns whether the queue is to be looked at or worked on, in place of sending a mail.
    pub(super) fn is_about_queue(&self) -> bool {
        let named = [&self.queue_show, &self.hold, &self.release, &self.remove]
            .iter()
            .any(|id| id.is_some());
        named || self.queue || self.flush || self.queue_check
    }

    /// Returns whether any recipient was named before `--`.
    fn has_recipients(&self) -> bool {
        let named = [&self.operands, &self.to, &self.cc, &self.bcc]
            .iter()
            .any(|list| !list.is_empty());
        named || !self.to_file.is_empty()
    }

    fn one_source(&self) -> Result<(), Error> {
        let sources = [
            (self.body_file.is_some(), "-m"),
            (self.content_type.is_some(), "-M"),
            (self.quote_file.is_some(), "-q"),
            (self.template, "-t"),
        ];
        let given: Vec<_> = sources
            .iter()
            .filter(|(given, _)| *given)
            .map(|(_, flag)| *flag)
            .collect();
        match given.as_slice() {
            [first, second, ..] => Err(Error::usage(format!(
                "`{first}` cannot be used together with `{second}`"
            ))),
            _ => Ok(()),
        }
    }

    /// Words for the sendmail program behind the recipients: `-f A`, `-fA`, `-r A` and `-F N` mean
    /// something, what does nothing here is ignored, and the rest is refused.
    fn program_options(&mut self, words: Vec<String>) -> Result<(), Error> {
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (flag, glued) = match word.char_indices().nth(2) {
                Some((end, _)) => (word[..end].to_owned(), Some(word[end..].to_owned())),
                None => (word.clone(), None),
            };
            let mut value = || glued.clone().or_else(|| words.next());
            match flag.as_str() {
                "-f" | "-r" => {
                    self.envelope_from = Some(
                        value().ok_or_else(|| Error::usage(format!("`{flag}` needs a value")))?,
                    );
                }
                "-F" => {
                    self.full_name =
                        Some(value().ok_or_else(|| Error::usage("`-F` needs a value"))?);
                }
                "-o" | "-i" | "-t" | "-O" | "-m" | "-n" | "-v" => {}
                _ => {
                    return Err(Error::Usage {
                        what: format!(
                            "`{}` after `--` is not an option that smail can pass on",
                            crate::text::word(&word)
                        ),
                        hint: Some("put options before the recipients".to_owned()),
                    });
                }
            }
        }
        Ok(())
    }
}
