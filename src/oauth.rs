//! OAuth2 (RFC 6749): access tokens that log in instead of a password, renewed without a person
//! where that is possible.
//!
//! Promise: the tokens of an account lie in one private file, which is replaced as a whole under a
//! lock; a new refresh token is on disk before its access token is used. No error text holds a token
//! or a secret. Knows no settings and no network: the caller hands in how a form is posted.
mod assertion;
mod authorize;
mod device;
mod form;
mod loopback;
pub(crate) mod provider;
mod request;
mod response;
mod store;
mod token;
mod url;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use zeroize::Zeroizing;

pub(crate) use authorize::{Authorization, Redirect};
pub(crate) use device::{Polled, begin as begin_device, poll};
pub(crate) use loopback::Listener;
pub(crate) use provider::{Provider, Rule, for_mail, named};
pub(crate) use store::Store;
pub(crate) use token::{access_token, sign_in_with_code, sign_in_with_device};
pub(crate) use url::Url;

pub(crate) use crate::delivery::TokenFailure;
use crate::secret::SecretSource;

/// How an account gets its first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// A person signs in with a browser (RFC 6749 section 4.1, RFC 7636).
    Code,
    /// A person signs in with another device (RFC 8628).
    Device,
    /// The program itself is known to the provider (RFC 6749 section 4.4).
    ClientCredentials,
    /// A service account of Google signs a statement (RFC 7523).
    ServiceAccount,
}

impl Grant {
    const ALL: [Grant; 4] = [
        Grant::Code,
        Grant::Device,
        Grant::ClientCredentials,
        Grant::ServiceAccount,
    ];

    /// The values of the setting `oauth2-grant`.
    pub(crate) const WORDS: &[&str] = &[
        Grant::Code.word(),
        Grant::Device.word(),
        Grant::ClientCredentials.word(),
        Grant::ServiceAccount.word(),
    ];

    const fn word(self) -> &'static str {
        match self {
            Grant::Code => "code",
            Grant::Device => "device",
            Grant::ClientCredentials => "client-credentials",
            Grant::ServiceAccount => "service-account",
        }
    }

    /// The grant that a value of `oauth2-grant` names.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Grant::ALL.into_iter().find(|grant| grant.word() == word)
    }

    /// Returns whether a person signs in once.
    pub(crate) fn needs_person(self) -> bool {
        matches!(self, Grant::Code | Grant::Device)
    }
}

/// Everything that getting a token needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What `--login` is to be called with; empty for the settings without an account.
    pub name: String,
    /// The mailbox that logs in.
    pub user: String,
    /// How the first token is got.
    pub grant: Grant,
    /// The name under which the provider knows this program.
    pub client_id: String,
    /// What goes with it.
    pub client_secret: Option<SecretSource>,
    /// A key and its certificate in place of a client secret.
    pub client_key: Option<(PathBuf, PathBuf)>,
    /// The JSON file of a service account.
    pub service_key: Option<PathBuf>,
    /// What the token is for.
    pub scope: String,
    /// Where a person signs in.
    pub authorize: Option<Url>,
    /// Where tokens are given out.
    pub token: Url,
    /// Where a device code is given out.
    pub device: Option<Url>,
    /// What the provider wants beside.
    pub extra: &'static [(&'static str, &'static str)],
    /// The name of this host in the redirect address.
    pub redirect_host: &'static str,
    /// When a sign-in ends.
    pub rule: Option<Rule>,
    /// The file of the tokens.
    pub file: PathBuf,
}

/// A reply to a form that was posted.
pub(crate) struct Response {
    /// The status of HTTP.
    pub status: u16,
    /// The page, of any status.
    pub body: Zeroizing<Vec<u8>>,
}

/// Posts a form to an address; an error is why there is no reply.
pub(crate) type Post<'a> = &'a dyn Fn(&Url, &Zeroizing<String>) -> Result<Response, String>;

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct TokenError {
    /// What kind of failure it is.
    pub kind: TokenFailure,
    /// A lowercase fragment, safe to print.
    pub why: String,
}

impl TokenError {
    fn new(kind: TokenFailure, why: impl Into<String>) -> Self {
        TokenError {
            kind,
            why: why.into(),
        }
    }
}
