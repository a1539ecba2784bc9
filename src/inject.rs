//! Mail as programs hand it over, to sendmail or in a dialogue: who sends it and who gets it, by
//! the rules of the settings.
//!
//! Promise: a mail is complete and its envelope settled before anything is written or sent; a name
//! without a domain goes where aliases say, or gets a domain, in the envelope and in the headers
//! alike; nobody is a recipient twice. Refuses what has no recipient, and names that nothing
//! resolves.
pub(crate) mod patient;
pub(crate) mod smtpd;

use std::io::{self, Read};

use crate::address::{Address, AddressError, Distinct, Mailbox, parse_word};
use crate::aliases::{Local, LocalError};
use crate::cli::sendmail::Request;
use crate::draft::{Dsn, fallback_charsets, first_author, list_of};
use crate::message::{Edits, Raw};
use crate::message::{Envelope, Message, MessageError, Stamp};
use crate::mime::encoded_word;
use crate::settings::{Settings, SettingsError, author};

/// Why a mail cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InjectError {
    /// Nobody to send to.
    #[error("no recipient given")]
    NoRecipient,
    /// Whoever was named has an alias to `/dev/null`.
    #[error("every recipient has an alias to /dev/null: the message is dropped")]
    Dropped,
    /// An address that is none.
    #[error("{0}")]
    Address(AddressError),
    /// A local name that nothing resolves.
    #[error("{0}")]
    Local(#[from] LocalError),
    /// A setting does not fit.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The mail cannot be read.
    #[error("standard input: {0}")]
    Read(io::Error),
    /// The mail is larger than `max-size`.
    #[error("the message is larger than {0} bytes")]
    TooLarge(u64),
    /// The mail cannot be.
    #[error("{0}")]
    Message(#[from] MessageError),
}

/// The sender of the envelope as the caller said it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Sender {
    /// Nothing was said.
    #[default]
    Unsaid,
    /// The null sender.
    Null,
    /// An address or a local name.
    Address(Address),
}

impl Sender {
    /// Reads `-f`: empty, `<>` and `MAILER-DAEMON` are the null sender, as msmtp and Postfix take
    /// them.
    ///
    /// # Errors
    /// [`InjectError::Address`].
    pub(crate) fn parse(text: &str) -> Result<Self, InjectError> {
        let text = text.trim();
        if text.is_empty() || text == "<>" || text.eq_ignore_ascii_case("mailer-daemon") {
            return Ok(Sender::Null);
        }
        let mailbox = Mailbox::parse(text).map_err(InjectError::Address)?;
        Ok(Sender::Address(mailbox.address))
    }
}

/// A mail in the words of its caller.
#[derive(Debug, Default)]
pub(crate) struct Injection {
    /// The sender of the envelope.
    pub sender: Sender,
    /// The name for a From header that is missing.
    pub full_name: Option<String>,
    /// Who gets it; may hold local names, and the same one twice.
    pub recipients: Vec<Mailbox>,
    /// What the sender wants to hear of the delivery.
    pub dsn: Dsn,
    /// Lowercase fragments for `-v`: what was not understood and left out.
    pub notes: Vec<String>,
}

impl Injection {
    /// Reads the words of a command line, and with `-t` the head of the mail: the topmost
    /// Resent-To, Resent-Cc and Resent-Bcc if there are any, else To, Cc and Bcc.
    ///
    /// # Errors
    /// [`InjectError::Address`], [`InjectError::NoRecipient`].
    pub(crate) fn read(request: &Request, raw: &Raw) -> Result<Self, InjectError> {
        let mut injection = Injection {
            full_name: request.full_name.clone(),
            ..Injection::default()
        };
        if let Some(sender) = &request.sender {
            injection.sender = Sender::parse(sender)?;
        }
        for word in &request.recipients {
            injection
                .recipients
                .extend(parse_word(word).map_err(InjectError::Address)?);
        }
        if request.take_recipients {
            for value in ["to", "cc", "bcc"]
                .iter()
                .flat_map(|name| recipients_of(raw, name))
            {
                injection
                    .recipients
                    .extend(list_of(&value).map_err(InjectError::Address)?);
            }
        }
        if injection.recipients.is_empty() {
            return Err(InjectError::NoRecipient);
        }
        let (dsn, notes) = Dsn::read_leniently(
            request.notify.as_deref(),
            request.dsn_return.as_deref(),
            request.envelope_id.as_deref(),
        );
        injection.dsn = dsn;
        injection.notes.extend(notes);
        Ok(injection)
    }

    /// Those by whom the account is chosen: the sender of the envelope, then the author.
    pub(crate) fn identities(&self, raw: &Raw) -> Vec<Mailbox> {
        let sender = match &self.sender {
            Sender::Address(address) => Some(Mailbox::from(address.clone())),
            _ => None,
        };
        sender.into_iter().chain(author_of(raw)).collect()
    }
}

/// Reads a mail to its end, or to a lone dot where a person types it, and no further than the
/// limit.
///
/// # Errors
/// [`InjectError::TooLarge`], [`InjectError::Read`].
pub(crate) fn read(from: impl Read, dot: bool, limit: Option<u64>) -> Result<Raw, InjectError> {
    Raw::read(Limited { from, left: limit }, dot).map_err(|error| match (error.kind(), limit) {
        (io::ErrorKind::FileTooLarge, Some(limit)) => InjectError::TooLarge(limit),
        _ => InjectError::Read(error),
    })
}

/// A reader that fails behind its last byte, in place of what may never end.
struct Limited<R> {
    from: R,
    left: Option<u64>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(out)?;
        if let Some(left) = &mut self.left {
            *left = left
                .checked_sub(count as u64)
                .ok_or(io::ErrorKind::FileTooLarge)?;
        }
        Ok(count)
    }
}

fn recipients_of(raw: &Raw, name: &str) -> Vec<String> {
    if raw.resent() {
        raw.resent_values(&format!("resent-{name}"))
    } else {
        raw.values(name)
    }
}

/// The first author that the head names, of the resending if it is resent. A From that cannot be
/// read is nobody's.
fn author_of(raw: &Raw) -> Option<Mailbox> {
    let values = if raw.resent() {
        raw.resent_values("resent-from")
    } else {
        raw.values("from")
    };
    values
        .iter()
        .find_map(|value| first_author(value).ok().flatten())
}

/// A mail that is settled.
#[derive(Debug)]
pub(crate) struct Settled {
    /// The mail.
    pub message: Message,
    /// Its author.
    pub author: Mailbox,
    /// Its subject, for lists.
    pub subject: String,
}

/// Settles who sends and who receives, and completes the mail.
///
/// # Errors
/// [`InjectError`].
pub(crate) fn finish(
    injection: Injection,
    raw: Raw,
    settings: &Settings,
    user: &str,
    stamp: &Stamp,
) -> Result<Settled, InjectError> {
    let local = Local::new(settings, true);
    let ours = authors(settings, &local, user)?;
    let identity = LocalIdentity {
        settings,
        local: &local,
        ours: &ours,
    };
    let force = identity.force(author_of(&raw).as_ref());
    let sender = identity.sender(&injection.sender, &raw, user, force.is_some())?;
    let mut author = match (&sender, &force) {
        (_, Some(forced)) => forced.clone(),
        (Some(sender), None) if injection.sender != Sender::Unsaid => Mailbox::from(sender.clone()),
        _ => identity.author().clone(),
    };
    if let Some(name) = injection.full_name {
        author.name = Some(encoded_word::decode(&name));
    } else if author.name.is_none() {
        author.name = settings.filled("name");
    }
    let expanded = local.expand(injection.recipients)?;
    let mut recipients = Distinct::with_capacity(expanded.len());
    for mailbox in expanded {
        recipients.push(mailbox.address);
    }
    if recipients.is_empty() {
        return Err(if local.has_dropped() {
            InjectError::Dropped
        } else {
            InjectError::NoRecipient
        });
    }
    let envelope = Envelope {
        sender,
        recipients: recipients.into_vec(),
        dsn: reports(injection.dsn, settings),
    };
    let subject = raw.values("subject").into_iter().next().unwrap_or_default();
    let known = author_of(&raw).map(|mailbox| {
        identity
            .header("from", &mailbox)
            .map_or(mailbox, |mut new| new.remove(0))
    });
    let known = if force.is_some() { None } else { known };
    let edits = Edits {
        author: author.clone(),
        mailbox: &|field, mailbox| identity.header(field, mailbox),
        force_from: force,
        fallback_charsets: &fallback_charsets(settings),
    };
    let message = raw.complete(envelope, &edits, stamp)?;
    Ok(Settled {
        message,
        author: known.unwrap_or(author),
        subject,
    })
}

/// The authors by the settings. The user, where they name nobody, is a local name like any other of
/// the mail.
fn authors(
    settings: &Settings,
    local: &Local<'_>,
    user: &str,
) -> Result<Vec<Mailbox>, InjectError> {
    let mut ours = author::authors(settings, user)?;
    if !author::is_said(settings)?
        && let Some(address) = Address::parse(user)
            .ok()
            .and_then(|user| local.qualify(user))
    {
        ours[0].address = address;
    }
    Ok(ours)
}

/// What the caller asks to hear, else what the settings ask for.
fn reports(asked: Dsn, settings: &Settings) -> Dsn {
    let (own, _) = Dsn::read_leniently(
        settings.filled("dsn-notify").as_deref(),
        settings.filled("dsn-return").as_deref(),
        None,
    );
    Dsn {
        notify: asked.notify.or(own.notify),
        ret: asked.ret.or(own.ret),
        envid: asked.envid,
    }
}

/// The names of this host and of its owner.
struct LocalIdentity<'a> {
    settings: &'a Settings,
    local: &'a Local<'a>,
    /// The authors by the settings; never empty.
    ours: &'a [Mailbox],
}

impl LocalIdentity<'_> {
    fn author(&self) -> &Mailbox {
        &self.ours[0]
    }

    /// The address that must stand in From, when another one stands there (`force-from`).
    fn force(&self, stands: Option<&Mailbox>) -> Option<Mailbox> {
        author::forced(self.settings, &stands?.address).map(|our| Mailbox { name: None, ..our })
    }

    /// The sender of the envelope: what the caller said, else by `envelope-from` and `from`, else
    /// the author of the mail, else the user at this host.
    fn sender(
        &self,
        said: &Sender,
        raw: &Raw,
        user: &str,
        forced: bool,
    ) -> Result<Option<Address>, InjectError> {
        let own = || author::return_path(self.settings, self.author(), user);
        match said {
            Sender::Null => Ok(None),
            Sender::Address(address) if author::forced(self.settings, address).is_some() => {
                Ok(Some(own()?))
            }
            Sender::Address(address) if !address.is_bare() => Ok(Some(address.clone())),
            // The user that a daemon runs as is nobody the server would know.
            Sender::Address(address) => match self.named(address) {
                Some(named) => Ok(Some(named)),
                None => Ok(Some(own()?)),
            },
            Sender::Unsaid if forced || self.settings.filled("from").is_some() => Ok(Some(own()?)),
            Sender::Unsaid => match author_of(raw) {
                Some(author) if !author.address.is_bare() => {
                    Ok(Some(author::return_path(self.settings, &author, user)?))
                }
                _ => Ok(Some(own()?)),
            },
        }
    }

    /// A local name as a sender: at `qualify-domain`, else the `from` of the settings, else at this
    /// host.
    fn named(&self, address: &Address) -> Option<Address> {
        if let Some(domain) = self.settings.filled("qualify-domain") {
            return address.clone().qualify(&domain).ok();
        }
        if self.settings.filled("from").is_some() {
            return None;
        }
        self.local.qualify(address.clone())
    }

    /// What a mailbox of a header becomes; `None` leaves it.
    fn header(&self, field: &str, mailbox: &Mailbox) -> Option<Vec<Mailbox>> {
        let field = field.strip_prefix("resent-").unwrap_or(field);
        if !matches!(field, "from" | "sender") {
            return self.local.header(mailbox).map(|mailbox| vec![mailbox]);
        }
        if !mailbox.address.is_bare() {
            return None;
        }
        let address = self
            .named(&mailbox.address)
            .unwrap_or_else(|| self.author().address.clone());
        Some(vec![Mailbox {
            name: mailbox.name.clone(),
            address,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_null_sender_has_four_spellings() {
        for text in ["", " ", "<>", "Mailer-Daemon"] {
            assert_eq!(Sender::parse(text).unwrap(), Sender::Null, "{text:?}");
        }
        let address = |text: &str| Sender::Address(Address::parse(text).unwrap());
        assert_eq!(Sender::parse("root").unwrap(), address("root"));
        assert_eq!(
            Sender::parse("Ann <a@x.example>").unwrap(),
            address("a@x.example")
        );
        assert!(Sender::parse("a@x>\r\nRSET").is_err());
    }

    fn read(words: &[&str], head: &str) -> Vec<String> {
        let request = crate::cli::sendmail::parse(
            &words
                .iter()
                .map(std::ffi::OsString::from)
                .collect::<Vec<_>>(),
        );
        let raw = Raw::read(head.as_bytes(), false).unwrap();
        let injection = Injection::read(&request.unwrap(), &raw);
        match injection {
            Ok(injection) => injection
                .recipients
                .iter()
                .map(|mailbox| mailbox.address.to_string())
                .collect(),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn recipients_of_the_head_join_those_of_the_command_line() {
        let head = "To: a@x, Bob <b@x>\nCc: undisclosed-recipients:;\nBcc: c@x\n\n";
        assert_eq!(
            read(&["-t", "d@x,e@x"], head),
            ["d@x", "e@x", "a@x", "b@x", "c@x"]
        );
        assert_eq!(read(&["d@x"], head), ["d@x"]);
        assert_eq!(read(&[], head), ["no recipient given"]);
        assert_eq!(read(&["-t"], "To: a@x; Bob <b@x>;\n\n"), ["a@x", "b@x"]);
        assert_eq!(read(&["-t"], "\u{feff}To: a@x\n\n"), ["a@x"]);
        assert_eq!(
            read(&["-t"], "Subject: nobody\n\nTo: a@x\n"),
            ["no recipient given"]
        );
    }

    #[test]
    fn no_author_is_invented_of_a_name_with_specials() {
        for (from, wanted) in [
            ("Acme, Inc. <shop@y>", "Acme, Inc. <shop@y>"),
            ("Acme: Shop <shop@y>", "Acme: Shop <shop@y>"),
            ("Acme (EU) <shop@y>", "Acme (EU) <shop@y>"),
        ] {
            let raw = Raw::read(format!("From: {from}\nTo: a@x\n\n").as_bytes(), false).unwrap();
            assert_eq!(
                author_of(&raw).map(|author| author.to_string()).as_deref(),
                Some(wanted)
            );
        }
    }

    #[test]
    fn of_a_mail_that_was_sent_on_only_the_last_block_names_recipients() {
        let head = "Resent-To: a@x\nResent-Bcc: b@x\nResent-To: old@x\nTo: c@x\nBcc: d@x\n\n";
        assert_eq!(read(&["-t"], head), ["a@x", "b@x"]);
    }

    #[test]
    fn the_user_is_where_all_local_names_are() {
        use crate::environment::{Environment, Host};
        use crate::settings::Layers;
        let dir = tempfile::tempdir().unwrap();
        let mailname = dir.path().join("mailname");
        std::fs::write(&mailname, "x.example\n").unwrap();
        let host = Host {
            mailname: Some(mailname),
            hostname: Some("box".into()),
            ..Host::default()
        };
        let env = Environment {
            host,
            ..Environment::default()
        };
        let settled = |from: &str| {
            let words =
                ["smail", "-n", "-S", "smtp=h.example", "-S", from].map(std::ffi::OsString::from);
            let settings = Layers::load(&crate::cli::parse(words).unwrap(), &env)
                .unwrap()
                .resolve(&[])
                .unwrap();
            let raw = Raw::read(&b"To: to@x.example\n\n"[..], false).unwrap();
            let request = Request {
                take_recipients: true,
                ..Request::default()
            };
            let injection = Injection::read(&request, &raw).unwrap();
            let settled = finish(injection, raw, &settings, "me", &Stamp::at(Some(0))).unwrap();
            let sender = settled
                .message
                .envelope
                .sender
                .as_ref()
                .map(Address::to_string);
            format!(
                "{} by {}",
                settled.author.address,
                sender.unwrap_or_default()
            )
        };
        assert_eq!(settled("user-agent"), "me@x.example by me@x.example");
        assert_eq!(
            settled("auth-user=login@y.example"),
            "login@y.example by login@y.example"
        );
        assert_eq!(
            settled("from=author@y.example"),
            "author@y.example by author@y.example"
        );
    }
}
