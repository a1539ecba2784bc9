//! The envelope on the wire: MAIL and RCPT with the parameters that this server knows (RFC 5321
//! sections 4.1.1.2 and 4.1.1.3).
//!
//! Promise: a parameter is said only where it was offered, and only where the message needs it or
//! the sender asked.
use lettre::transport::smtp::commands::{Mail, Rcpt};
use lettre::transport::smtp::extension::{MailBodyParameter, MailParameter, RcptParameter};

use super::capabilities::Capabilities;
use crate::address::Address;
use crate::message::{Dsn, Message, Notify};

/// MAIL with the parameters the message needs, and no others (RFC 5321 section 4.1.1.3).
pub(super) fn mail(capabilities: &Capabilities, message: &Message) -> String {
    let mut parameters = Vec::new();
    if capabilities.size {
        parameters.push(MailParameter::Other {
            keyword: "SIZE".into(),
            value: Some(message.size().to_string()),
        });
    }
    if message.eight_bit {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    if message.needs_smtputf8() {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if let Some(dsn) = asked(capabilities, message) {
        let ret = dsn.ret.map(|ret| ("RET", ret.to_string()));
        let envid = dsn.envid.as_ref().map(|envid| ("ENVID", envid.clone()));
        // lettre writes values as xtext.
        let parameter = |(keyword, value): (&str, _)| MailParameter::Other {
            keyword: keyword.into(),
            value: Some(value),
        };
        parameters.extend(ret.into_iter().chain(envid).map(parameter));
    }
    let command = match message
        .envelope
        .sender
        .as_ref()
        .map(|sender| (sender.local(), sender.domain()))
    {
        None => Mail::new(None, parameters),
        Some((local, Some(domain))) => Mail::new(
            Some(lettre::Address::new_dangerous(local, domain)),
            parameters,
        ),
        // lettre has no name without a domain; its words about nobody hold everything but the name.
        Some((local, None)) => {
            return Mail::new(None, parameters).to_string().replacen(
                "<>",
                &format!("<{local}>"),
                1,
            );
        }
    };
    command.to_string()
}

/// What the sender wants to be told, when it is anything and this server can be asked (RFC 3461).
pub(super) fn asked<'m>(capabilities: &Capabilities, message: &'m Message) -> Option<&'m Dsn> {
    Some(&message.envelope.dsn).filter(|dsn| capabilities.dsn && !dsn.is_empty())
}

/// The longest ORCPT, in bytes (RFC 3461 section 4.2).
const LONGEST_ORIGINAL: usize = 500;

/// RCPT, with what the sender wants to be told.
pub(super) fn rcpt(recipient: &Address, notify: Option<Notify>) -> String {
    let mut parameters = Vec::new();
    if let Some(notify) = notify {
        parameters.push(RcptParameter::Other {
            keyword: "NOTIFY".into(),
            value: Some(notify.to_string()),
        });
        let original = format!("rfc822;{recipient}");
        // Of an address beyond ASCII there is no such form; without ORCPT the notice names that of
        // RCPT itself.
        if original.is_ascii() && original.len() * 3 <= LONGEST_ORIGINAL {
            parameters.push(RcptParameter::Other {
                keyword: "ORCPT".into(),
                value: Some(original),
            });
        }
    }
    if let Some(domain) = recipient.domain() {
        return Rcpt::new(
            lettre::Address::new_dangerous(recipient.local(), domain),
            parameters,
        )
        .to_string();
    }
    let parameters: String = parameters
        .iter()
        .flat_map(|parameter| [" ".to_owned(), parameter.to_string()])
        .collect();
    format!("RCPT TO:<{}>{parameters}\r\n", recipient.local())
}
