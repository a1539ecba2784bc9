//! Access tokens: kept, renewed, or got anew.
//!
//! Promise: a token that is still good is used as it is; a refresh token that the server replaces is
//! replaced on disk before the access token is used (RFC 6749 section 6); two processes at once ask
//! one time.
use zeroize::Zeroizing;

use super::device::Granted;
use super::form::form;
use super::request::{ask, client_secret};
use super::response::{Tokens, tokens};
use super::store::{Locked, Record, Store};
use super::{Account, Authorization, Grant, Post, TokenError, TokenFailure, assertion};
use crate::secret::Secret;

/// Seconds that a token has to be good for.
const LEAST: i64 = 60;
/// How long a token is taken to be good whose server does not say it.
const ASSUMED: i64 = 300;

/// Returns an access token: the one that is kept if it is good for a minute more and is not the one
/// that was `rejected`, else a new one.
///
/// # Errors
/// Nobody has signed in, or the server gives out none.
pub(crate) fn access_token(
    account: &Account,
    now: i64,
    rejected: Option<&Secret>,
    post: Post<'_>,
) -> Result<Secret, TokenError> {
    let store = Store::new(account);
    if let Some(kept) = good(store.load()?.as_ref(), now, rejected) {
        return Ok(kept);
    }
    let locked = store.lock()?;
    let record = locked.load()?;
    // Another process may have renewed it meanwhile.
    if let Some(kept) = good(record.as_ref(), now, rejected) {
        return Ok(kept);
    }
    if account.grant.needs_person() {
        renew(account, &locked, record, now, post)
    } else {
        let body = unattended(account, now)?;
        let granted = request(account, &body, post)?;
        keep(account, &locked, &granted, None, now)
    }
}

fn good(record: Option<&Record>, now: i64, rejected: Option<&Secret>) -> Option<Secret> {
    let record = record?;
    let access = record.access();
    let is_good = record.expires.saturating_sub(now) >= LEAST && rejected != Some(&access);
    is_good.then_some(access)
}

fn renew(
    account: &Account,
    locked: &Locked<'_>,
    record: Option<Record>,
    now: i64,
    post: Post<'_>,
) -> Result<Secret, TokenError> {
    let Some(record) = record else {
        let why = format!("nobody has signed in as {}", account.user);
        return Err(TokenError::new(TokenFailure::SignIn, why));
    };
    let Some(refresh) = record.refresh() else {
        let why = "the access token has expired, and the provider gave out no refresh token";
        return Err(TokenError::new(TokenFailure::SignIn, why));
    };
    let secret = client_secret(account)?;
    // Microsoft wants the scope here too.
    let mut fields = vec![
        ("grant_type", "refresh_token"),
        ("client_id", account.client_id.as_str()),
        ("refresh_token", refresh.reveal()),
        ("scope", account.scope.as_str()),
    ];
    if let Some(secret) = &secret {
        fields.push(("client_secret", secret.reveal()));
    }
    let mut granted = request(account, &form(&fields), post)?;
    granted.refresh = granted.refresh.or(Some(refresh));
    keep(account, locked, &granted, Some(record.signed_in), now)
}

/// Writes down what was given out; the access token is used only then.
fn keep(
    account: &Account,
    locked: &Locked<'_>,
    granted: &Tokens,
    signed_in: Option<i64>,
    now: i64,
) -> Result<Secret, TokenError> {
    let expires = now.saturating_add(granted.lives.unwrap_or(ASSUMED));
    let record = Record::new(account, &granted.access, expires, now);
    let record = match signed_in {
        Some(at) => record.signed_in(granted.refresh.as_ref(), at),
        None => record,
    };
    locked.save(&record)?;
    Ok(granted.access.clone())
}

/// The form of a grant that needs no person.
fn unattended(account: &Account, now: i64) -> Result<Zeroizing<String>, TokenError> {
    if account.grant == Grant::ServiceAccount {
        let assertion = assertion::of_service_account(account, now)?;
        return Ok(form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.reveal()),
        ]));
    }
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", account.client_id.as_str()),
        ("scope", account.scope.as_str()),
    ];
    let proof = match &account.client_key {
        Some((key, cert)) => Some(assertion::of_client(account, key, cert, now)?),
        None => client_secret(account)?,
    };
    match &proof {
        Some(assertion) if account.client_key.is_some() => fields.extend([
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", assertion.reveal()),
        ]),
        Some(secret) => fields.push(("client_secret", secret.reveal())),
        None => {
            let why = "client credentials need oauth2-client-secret, or oauth2-client-key and oauth2-client-cert";
            return Err(TokenError::new(TokenFailure::Settings, why));
        }
    }
    Ok(form(&fields))
}

/// Ends a sign-in with the code that the browser brought.
///
/// # Errors
/// The server gives out no token for it, or it cannot be kept.
pub(crate) fn sign_in_with_code(
    account: &Account,
    authorization: &Authorization,
    code: &Secret,
    now: i64,
    post: Post<'_>,
) -> Result<(), TokenError> {
    let secret = client_secret(account)?;
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("client_id", account.client_id.as_str()),
        ("code", code.reveal()),
        ("redirect_uri", &authorization.redirect),
        ("code_verifier", authorization.verifier.reveal()),
    ];
    if let Some(secret) = &secret {
        fields.push(("client_secret", secret.reveal()));
    }
    let granted = request(account, &form(&fields), post)?;
    signed_in(account, &granted, now)
}

/// Ends a sign-in with another device.
///
/// # Errors
/// The tokens cannot be kept.
pub(crate) fn sign_in_with_device(
    account: &Account,
    granted: &Granted,
    now: i64,
) -> Result<(), TokenError> {
    signed_in(account, &granted.0, now)
}

fn signed_in(account: &Account, granted: &Tokens, now: i64) -> Result<(), TokenError> {
    let store = Store::new(account);
    let locked = store.lock()?;
    keep(account, &locked, granted, Some(now), now).map(drop)
}

fn request(
    account: &Account,
    body: &Zeroizing<String>,
    post: Post<'_>,
) -> Result<Tokens, TokenError> {
    let response = ask(post, &account.token, body)?;
    tokens(&response, &account.token.host)
}
