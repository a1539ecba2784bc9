//! Access tokens for a login, asked for over HTTPS.
//!
//! Promise: asked for when a login needs one; neither what is asked with nor what comes back is in a
//! transcript.
use zeroize::Zeroizing;

use super::{RunContext, https};
use crate::delivery::Cause;
use crate::environment;
use crate::oauth::{self, Account, Response, TokenError, Url};
use crate::route::Smtp;
use crate::secret::Secret;

/// Returns an access token for the login of a route; another one than the one that was `rejected`.
///
/// # Errors
/// [`Cause::Token`], or the signal that has ended the question.
pub(super) fn fetch(
    account: &Account,
    route: &Smtp,
    context: &RunContext,
    rejected: Option<&Secret>,
) -> Result<Secret, Cause> {
    let now = environment::since_1970().as_secs().cast_signed();
    oauth::access_token(account, now, rejected, &|url, form| {
        post(route, url, form, context)
    })
    .map_err(|error| cause(error, account, context))
}

/// Why there is no token, as a cause.
fn cause(error: TokenError, account: &Account, context: &RunContext) -> Cause {
    let signal = context.interrupt.load(std::sync::atomic::Ordering::Relaxed);
    match i32::try_from(signal) {
        Ok(signal @ 1..) => Cause::Interrupted(signal),
        _ => Cause::Token(error.kind, account.name.clone(), error.why),
    }
}

/// Posts a form by the road of a route: its proxy, source address and roots.
///
/// # Errors
/// Why there is no reply: a lowercase fragment.
pub(crate) fn post(
    route: &Smtp,
    url: &Url,
    form: &Zeroizing<String>,
    context: &RunContext,
) -> Result<Response, String> {
    let page = https::post(route, url, form, context).map_err(|cause| words(&cause))?;
    Ok(Response {
        status: page.status,
        body: Zeroizing::new(page.body),
    })
}

/// What kept a server of tokens from being asked.
fn words(cause: &Cause) -> String {
    match cause {
        Cause::NoSuchHost(_) => "no such host".to_owned(),
        Cause::Silent(time) => format!("no complete answer within {} s", time.as_secs_f64()),
        Cause::Distrust(distrust) => {
            format!("its certificate is not trusted: {}", distrust.reason)
        }
        Cause::Unreachable(tried) => {
            let tried = tried
                .iter()
                .map(|(address, why)| format!("{address}: {why}"));
            tried.collect::<Vec<_>>().join("; ")
        }
        Cause::NoAnswer(why)
        | Cause::Proxy(why)
        | Cause::Lost(why)
        | Cause::Protocol(why)
        | Cause::Handshake(why)
        | Cause::TlsSettings(why)
        | Cause::NoSecret(why, _) => why.clone(),
        _ => "it was interrupted".to_owned(),
    }
}
