//! The sign-in of a person with a browser (RFC 6749 section 4.1, RFC 7636, RFC 8252).
//!
//! Promise: a code is taken only with the state that went out, and is of no use without the verifier,
//! which never leaves before the code is exchanged.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::form::{form, value};
use super::response::meaning;
use super::{Account, TokenError, TokenFailure};
use crate::secret::Secret;

/// A sign-in under way.
pub(crate) struct Authorization {
    /// The address for the browser.
    pub url: String,
    /// Where the browser is sent afterwards.
    pub redirect: String,
    pub(super) verifier: Secret,
    state: String,
}

/// What the browser brought back.
#[derive(Debug)]
pub(crate) enum Redirect {
    /// A code of this sign-in.
    Code(Secret),
    /// Nothing of this sign-in.
    Stray,
}

impl Authorization {
    /// Begins a sign-in; the browser is to come back to this port of this host.
    ///
    /// # Errors
    /// The account names no address for it, or the system has no random numbers.
    pub(crate) fn begin(account: &Account, port: u16) -> Result<Self, TokenError> {
        let redirect = format!("http://{}:{port}", account.redirect_host);
        Authorization::with(account, redirect, random()?, random()?.reveal().to_owned())
    }

    pub(super) fn with(
        account: &Account,
        redirect: String,
        verifier: Secret,
        state: String,
    ) -> Result<Self, TokenError> {
        let Some(authorize) = &account.authorize else {
            let why = "the provider has no address for signing in: set oauth2-authorize-url";
            return Err(TokenError::new(TokenFailure::Settings, why));
        };
        let challenge = challenge(verifier.reveal());
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", &account.client_id),
            ("redirect_uri", &redirect),
            ("scope", &account.scope),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("login_hint", &account.user),
        ];
        fields.extend(account.extra);
        let query = form(&fields);
        let authorize = authorize.to_string();
        let mark = if authorize.contains('?') { '&' } else { '?' };
        Ok(Authorization {
            url: format!("{authorize}{mark}{}", *query),
            redirect,
            verifier,
            state,
        })
    }

    /// Reads the address that the browser was sent to, or its query.
    ///
    /// # Errors
    /// The person or the provider has refused.
    pub(crate) fn read(&self, address: &str, host: &str) -> Result<Redirect, TokenError> {
        let query = address.split_once('?').map_or(address, |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        if value(query, "state").is_none_or(|state| *state != self.state) {
            return Ok(Redirect::Stray);
        }
        if let Some(code) = value(query, "error") {
            let said = value(query, "error_description");
            let said = said.as_ref().map(|text| text.as_str());
            return Err(meaning(&code, said, host));
        }
        Ok(value(query, "code")
            .filter(|code| !code.is_empty())
            .map_or(Redirect::Stray, |code| {
                Redirect::Code(Secret::new(code.as_str()))
            }))
    }
}

/// 43 characters that nobody can guess (RFC 7636 section 4.1).
fn random() -> Result<Secret, TokenError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| {
        let why = format!("the system has no random numbers: {error}");
        TokenError::new(TokenFailure::Temporary, why)
    })?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

/// The challenge of a verifier (RFC 7636 section 4.2).
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}
