//! SASL (RFC 4422): what a client says to log in, mechanism by mechanism, as values that answer
//! challenges.
//!
//! Promise: no input or output. Everything that is made of a secret is wiped when it is dropped.
//! Text of a server is never trusted: SCRAM answers no challenge that does not fit to what it said
//! itself, and a server that does not prove that it knows the password is not believed. GSSAPI is
//! not here: it needs a library and headers in C.
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::delivery::ScramError;
use crate::route::Mechanism;

mod bearer;
mod cram;
mod hash;
mod scram;
mod simple;
#[cfg(test)]
mod tests;

use self::bearer::Bearer;
use self::cram::CramMd5;
use self::hash::Hash;
use self::scram::{Binding, Scram};
use self::simple::{Anonymous, External, Login, Plain};

/// Bytes that may hold a secret.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

/// Base64 as servers write it, with its padding or without.
pub(crate) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Who logs in, and where.
pub(crate) struct Credentials<'a> {
    /// The user.
    pub user: &'a str,
    /// The password or token.
    pub secret: &'a str,
    /// The server's name.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
}

/// What is known of the connection.
pub(crate) struct Channel {
    /// `tls-server-end-point` (RFC 5929 section 4), where TLS is on and the library knows it.
    pub end_point: Option<Vec<u8>>,
    /// The server offers a mechanism that is bound to the connection.
    pub offers_binding: bool,
}

/// What to send for a challenge.
pub(crate) enum Response {
    /// The answer.
    Answer(Bytes),
    /// An answer without meaning: the challenge was the server's reason for a refusal, and its
    /// reply comes next (RFC 7628 section 3.2.3).
    AfterError(Bytes),
}

/// Why an exchange cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// There is no answer to this challenge: the exchange is cancelled.
    Senseless,
    /// The server does not keep to SCRAM: the session ends.
    Scram(ScramError),
}

/// The client's part of one login.
pub(crate) trait Exchange {
    /// What the client says first; `None` where the server does.
    fn initial(&self) -> Option<Bytes>;

    /// The answer to the next challenge, which is `None` when it is not base64: some servers ask
    /// in plain words.
    ///
    /// # Errors
    /// [`Halt`].
    fn answer(&mut self, challenge: Option<&[u8]>) -> Result<Response, Halt>;

    /// Decides whether the server may be believed that it has accepted the login; `text` is what
    /// it said with that.
    ///
    /// # Errors
    /// Why it may not.
    fn finish(&mut self, _text: &[u8]) -> Result<(), ScramError> {
        Ok(())
    }

    /// Returns whether anything made of the secret has been given out: only then a refusal says
    /// that the secret is wrong, and counts against the account.
    fn has_tried_secret(&self) -> bool;

    /// The part of an answer that is as good as the secret for this one login.
    fn proof<'a>(&self, _answer: &'a [u8]) -> &'a [u8] {
        &[]
    }
}

/// Begins a login.
///
/// # Errors
/// Why the system has no random numbers.
pub(crate) fn start<'a>(
    mechanism: Mechanism,
    who: &'a Credentials<'a>,
    channel: &Channel,
) -> Result<Box<dyn Exchange + 'a>, String> {
    let scram = |hash, bound| -> Result<Box<dyn Exchange + 'a>, String> {
        let binding = Binding::of(bound, channel);
        Ok(Box::new(Scram::new(hash, who, binding, scram::nonce()?)))
    };
    Ok(match mechanism {
        Mechanism::ScramSha256Plus => scram(Hash::Sha256, true)?,
        Mechanism::ScramSha256 => scram(Hash::Sha256, false)?,
        Mechanism::ScramSha1Plus => scram(Hash::Sha1, true)?,
        Mechanism::ScramSha1 => scram(Hash::Sha1, false)?,
        Mechanism::Plain => Box::new(Plain::new(who)),
        Mechanism::Login => Box::new(Login::new(who)),
        Mechanism::CramMd5 => Box::new(CramMd5::new(who)),
        Mechanism::Xoauth2 => Box::new(Bearer::xoauth2(who)),
        Mechanism::Oauthbearer => Box::new(Bearer::oauthbearer(who)),
        Mechanism::External => Box::new(External),
        Mechanism::Anonymous => Box::new(Anonymous::new(who)),
    })
}

/// Puts pieces of text together, in a buffer of their full size: one that grows leaves copies
/// behind.
fn joined(parts: &[&str]) -> Bytes {
    Zeroizing::new(parts.concat().into_bytes())
}

/// A user name in a message whose fields are separated by commas (RFC 5802 section 5.1, RFC 5801
/// section 4).
fn saslname(user: &str) -> String {
    user.replace('=', "=3D").replace(',', "=2C")
}
