//! What every question to a server of tokens has in common.
use zeroize::Zeroizing;

use super::form::redacted;
use super::{Account, Post, Response, TokenError, TokenFailure, Url};
use crate::secret::Secret;

/// Posts a form; that there is no reply is temporary.
pub(super) fn ask(
    post: Post<'_>,
    url: &Url,
    body: &Zeroizing<String>,
) -> Result<Response, TokenError> {
    let response = post(url, body).map_err(|why| {
        let why = format!("cannot ask {}: {why}", url.host);
        TokenError::new(TokenFailure::Temporary, why)
    })?;
    if response.status == 200 {
        return Ok(response);
    }
    Ok(Response {
        status: response.status,
        body: redacted(body, &response.body),
    })
}

/// What proves who the client is, where it has something.
pub(super) fn client_secret(account: &Account) -> Result<Option<Secret>, TokenError> {
    let fetched = account
        .client_secret
        .as_ref()
        .map(crate::secret::SecretSource::fetch);
    fetched.transpose().map_err(|error| {
        let kind = if error.temporary {
            TokenFailure::Temporary
        } else {
            TokenFailure::Settings
        };
        TokenError::new(kind, format!("no client secret: {error}"))
    })
}
