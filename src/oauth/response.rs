//! What a token server replies (RFC 6749 section 5, RFC 8628 section 3.5).
//!
//! Promise: a token leaves as a secret; whatever else the server says is made safe to print and cut.
use serde::Deserialize;

use super::{Response, TokenError, TokenFailure};
use crate::secret::Secret;
use crate::text::{short, word};

/// The longest token that is believed, in bytes.
const LONGEST: usize = 32 << 10;

/// The tokens of a reply.
pub(super) struct Tokens {
    /// What logs in.
    pub access: Secret,
    /// For how many seconds, where the server says it.
    pub lives: Option<i64>,
    /// What gets the next one.
    pub refresh: Option<Secret>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Option<String>,
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Seconds,
}

/// Some servers write the number as a text.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
    #[default]
    None,
}

#[derive(Deserialize, Default)]
struct Refusal {
    error: Option<String>,
    error_description: Option<String>,
}

/// What an error code means (RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5, `OpenID`
/// Connect Core section 3.1.2.6).
const CODES: &[(&str, TokenFailure)] = &[
    ("invalid_grant", TokenFailure::SignIn),
    ("invalid_token", TokenFailure::SignIn),
    ("interaction_required", TokenFailure::SignIn),
    ("login_required", TokenFailure::SignIn),
    ("consent_required", TokenFailure::SignIn),
    ("expired_token", TokenFailure::SignIn),
    ("access_denied", TokenFailure::Denied),
    ("authorization_declined", TokenFailure::Denied),
    ("invalid_client", TokenFailure::Settings),
    ("unauthorized_client", TokenFailure::Settings),
    ("unsupported_grant_type", TokenFailure::Settings),
    ("unsupported_response_type", TokenFailure::Settings),
    ("invalid_scope", TokenFailure::Settings),
    ("invalid_request", TokenFailure::Settings),
    ("temporarily_unavailable", TokenFailure::Temporary),
    ("server_error", TokenFailure::Temporary),
];

/// Reads the tokens of a reply.
///
/// # Errors
/// The error of the server, or a reply that makes no sense.
pub(super) fn tokens(response: &Response, host: &str) -> Result<Tokens, TokenError> {
    if response.status != 200 {
        return Err(refusal(response, host).1);
    }
    let senseless =
        |why: &str| TokenError::new(TokenFailure::Protocol, format!("{host} replied {why}"));
    let granted: Granted = serde_json::from_slice(&response.body)
        .map_err(|_| senseless("with something that is not a token"))?;
    let sound = |text: &String| {
        !text.is_empty()
            && text.len() <= LONGEST
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    // Google and others send errors with status 200 now and then.
    let Some(access) = granted.access_token.filter(sound) else {
        return Err(refusal(response, host).1);
    };
    let lives = match granted.expires_in {
        Seconds::Number(seconds) => Some(seconds),
        Seconds::Text(text) => text.trim().parse().ok(),
        Seconds::None => None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "bounded before")]
    let lives = lives.map(|seconds: f64| seconds.clamp(0.0, 1e9) as i64);
    Ok(Tokens {
        access: Secret::new(access),
        lives,
        refresh: granted.refresh_token.filter(sound).map(Secret::new),
    })
}

/// Reads the error of a reply: its code, where it has one, and what it means.
pub(super) fn refusal(response: &Response, host: &str) -> (Option<String>, TokenError) {
    let refusal: Refusal = serde_json::from_slice(&response.body).unwrap_or_default();
    let by_status = match response.status {
        429 | 500.. => TokenFailure::Temporary,
        _ => TokenFailure::Protocol,
    };
    let Some(code) = refusal.error else {
        let why = format!(
            "{host} replied with status {} and no error code",
            response.status
        );
        return (None, TokenError::new(by_status, why));
    };
    let said = refusal.error_description.as_deref();
    let error = meaning(&code, said, host);
    let error = match (by_status, error.kind) {
        (TokenFailure::Temporary, TokenFailure::Protocol) => TokenError {
            kind: TokenFailure::Temporary,
            ..error
        },
        _ => error,
    };
    (Some(code), error)
}

/// What an error code and its description mean, in the words of the server.
pub(super) fn meaning(code: &str, said: Option<&str>, host: &str) -> TokenError {
    let known = CODES.iter().find(|(known, _)| *known == code);
    let kind = known.map_or(TokenFailure::Protocol, |(_, kind)| *kind);
    // Microsoft adds lines with trace numbers and times.
    let line = said.and_then(|text| text.lines().map(str::trim).find(|line| !line.is_empty()));
    let why = match line {
        Some(line) => format!("{host} replied {}: {}", word(code), short(line)),
        None => format!("{host} replied {}", word(code)),
    };
    TokenError::new(kind, why)
}
