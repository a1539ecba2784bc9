//! The sign-in of a person with another device (RFC 8628).
//!
//! Promise: the server is asked no more often than it allows.
use serde::Deserialize;
use zeroize::Zeroizing;

use super::form::form;
use super::response::{Tokens, refusal, tokens};
use super::{Account, Post, TokenError, TokenFailure};
use crate::secret::Secret;

/// What the person is to do, and how its end is asked for.
#[derive(Debug)]
pub(crate) struct DeviceCode {
    /// What to type in.
    pub user_code: String,
    /// Where.
    pub address: String,
    /// Seconds between questions.
    pub interval: u64,
    /// Seconds until it is too late.
    pub lives: u64,
    code: Secret,
}

#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(default = "five")]
    interval: u64,
    #[serde(default = "quarter")]
    expires_in: u64,
}

/// RFC 8628 section 3.2.
fn five() -> u64 {
    5
}

fn quarter() -> u64 {
    900
}

/// What came of a question.
pub(crate) enum Polled {
    /// The person has not decided yet; ask again after as many seconds.
    Wait(u64),
    /// Signed in.
    Done(Box<Granted>),
}

/// Tokens of a sign-in.
pub(crate) struct Granted(pub(super) Tokens);

#[cfg(test)]
impl DeviceCode {
    /// A code that a server has given out.
    pub(super) fn for_tests(code: &str) -> Self {
        DeviceCode {
            user_code: String::new(),
            address: String::new(),
            interval: 5,
            lives: 600,
            code: Secret::new(code),
        }
    }
}

/// Asks for a code.
///
/// # Errors
/// The provider knows no such flow, or refuses.
pub(crate) fn begin(account: &Account, post: Post<'_>) -> Result<DeviceCode, TokenError> {
    let Some(url) = &account.device else {
        let why = "the provider has no device flow: set oauth2-device-url, or sign in with oauth2-grant=code";
        return Err(TokenError::new(TokenFailure::Settings, why));
    };
    let fields = [
        ("client_id", account.client_id.as_str()),
        ("scope", account.scope.as_str()),
    ];
    let response = super::request::ask(post, url, &form(&fields))?;
    if response.status != 200 {
        return Err(refusal(&response, &url.host).1);
    }
    let begun: Begun = serde_json::from_slice(&response.body).map_err(|_| {
        let why = format!(
            "{} replied with something that is not a device code",
            url.host
        );
        TokenError::new(TokenFailure::Protocol, why)
    })?;
    Ok(DeviceCode {
        user_code: crate::text::short(&begun.user_code),
        address: crate::text::short(&begun.verification_uri),
        interval: begun.interval.clamp(1, 60),
        lives: begun.expires_in.clamp(1, 3600),
        code: Secret::new(begun.device_code),
    })
}

/// Asks once whether the person has signed in.
///
/// # Errors
/// It was refused, or the code has expired.
pub(crate) fn poll(
    account: &Account,
    device: &DeviceCode,
    interval: u64,
    post: Post<'_>,
) -> Result<Polled, TokenError> {
    let secret = super::request::client_secret(account)?;
    let mut fields = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", account.client_id.as_str()),
        ("device_code", device.code.reveal()),
    ];
    if let Some(secret) = &secret {
        fields.push(("client_secret", secret.reveal()));
    }
    let body: Zeroizing<String> = form(&fields);
    let response = super::request::ask(post, &account.token, &body)?;
    if response.status == 200 {
        let granted = tokens(&response, &account.token.host)?;
        return Ok(Polled::Done(Box::new(Granted(granted))));
    }
    match refusal(&response, &account.token.host) {
        (Some(code), _) if code == "authorization_pending" => Ok(Polled::Wait(interval)),
        // Five seconds more from then on (RFC 8628 section 3.5).
        (Some(code), _) if code == "slow_down" => Ok(Polled::Wait(interval + 5)),
        (_, error) => Err(error),
    }
}
