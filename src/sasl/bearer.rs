//! XOAUTH2 and OAUTHBEARER (RFC 7628): a token that says by itself who may do what.
//!
//! Promise: a challenge that says why the token is refused gets the answer for which the server
//! waits before it refuses.
use super::{Bytes, Credentials, Exchange, Halt, Response, joined, saslname};

/// A login by token.
pub(super) struct Bearer {
    message: Bytes,
    /// The answer to an error.
    after_error: &'static str,
    repeated: bool,
}

impl Bearer {
    /// The form of Google and Microsoft.
    pub(super) fn xoauth2(who: &Credentials<'_>) -> Self {
        let message = joined(&[
            "user=",
            who.user,
            "\x01auth=Bearer ",
            who.secret,
            "\x01\x01",
        ]);
        Bearer {
            message,
            after_error: "",
            repeated: false,
        }
    }

    /// RFC 7628 section 3.1.
    pub(super) fn oauthbearer(who: &Credentials<'_>) -> Self {
        let message = joined(&[
            "n,a=",
            &saslname(who.user),
            ",\x01host=",
            who.host,
            "\x01port=",
            &who.port.to_string(),
            "\x01auth=Bearer ",
            who.secret,
            "\x01\x01",
        ]);
        Bearer {
            message,
            after_error: "\x01",
            repeated: false,
        }
    }
}

impl Exchange for Bearer {
    fn initial(&self) -> Option<Bytes> {
        Some(self.message.clone())
    }

    fn answer(&mut self, challenge: Option<&[u8]>) -> Result<Response, Halt> {
        // A server that has not looked at what came with the command asks once more.
        let asks = challenge.is_some_and(<[u8]>::is_empty);
        if asks && !std::mem::replace(&mut self.repeated, true) {
            return Ok(Response::Answer(self.message.clone()));
        }
        Ok(Response::AfterError(joined(&[self.after_error])))
    }

    fn has_tried_secret(&self) -> bool {
        true
    }
}
