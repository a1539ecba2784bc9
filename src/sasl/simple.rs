//! The mechanisms that compute nothing: PLAIN, LOGIN, EXTERNAL and ANONYMOUS.
//!
//! Promise: the prompts of LOGIN are never compared; they say "Username:", "User Name", or the
//! same in another language.
use super::{Bytes, Credentials, Exchange, Halt, Response, joined};

/// RFC 4616.
pub(super) struct Plain<'a> {
    who: &'a Credentials<'a>,
    repeated: bool,
}

impl<'a> Plain<'a> {
    pub(super) fn new(who: &'a Credentials<'a>) -> Self {
        Plain {
            who,
            repeated: false,
        }
    }

    /// RFC 4616 section 2.
    fn message(&self) -> Bytes {
        joined(&["\0", self.who.user, "\0", self.who.secret])
    }
}

impl Exchange for Plain<'_> {
    fn initial(&self) -> Option<Bytes> {
        Some(self.message())
    }

    /// Once more to a server that has not looked at what came with the command.
    fn answer(&mut self, _challenge: Option<&[u8]>) -> Result<Response, Halt> {
        if std::mem::replace(&mut self.repeated, true) {
            return Err(Halt::Senseless);
        }
        Ok(Response::Answer(self.message()))
    }

    fn has_tried_secret(&self) -> bool {
        true
    }
}

/// draft-murchison-sasl-login-00: the user name for the first prompt, the password for the second.
pub(super) struct Login<'a> {
    who: &'a Credentials<'a>,
    prompts: usize,
}

impl<'a> Login<'a> {
    pub(super) fn new(who: &'a Credentials<'a>) -> Self {
        Login { who, prompts: 0 }
    }
}

impl Exchange for Login<'_> {
    fn initial(&self) -> Option<Bytes> {
        None
    }

    fn answer(&mut self, _challenge: Option<&[u8]>) -> Result<Response, Halt> {
        self.prompts += 1;
        match self.prompts {
            1 => Ok(Response::Answer(joined(&[self.who.user]))),
            2 => Ok(Response::Answer(joined(&[self.who.secret]))),
            _ => Err(Halt::Senseless),
        }
    }

    fn has_tried_secret(&self) -> bool {
        self.prompts > 1
    }
}

/// RFC 4422 appendix A: the certificate of the connection says who it is, and no other identity is
/// asked for.
pub(super) struct External;

impl Exchange for External {
    fn initial(&self) -> Option<Bytes> {
        Some(Bytes::default())
    }

    fn answer(&mut self, _challenge: Option<&[u8]>) -> Result<Response, Halt> {
        Ok(Response::Answer(Bytes::default()))
    }

    fn has_tried_secret(&self) -> bool {
        false
    }
}

/// RFC 4505: only a trace of who it is, and none where no user is set.
pub(super) struct Anonymous<'a>(&'a str);

impl<'a> Anonymous<'a> {
    pub(super) fn new(who: &'a Credentials<'a>) -> Self {
        Anonymous(who.user)
    }
}

impl Exchange for Anonymous<'_> {
    fn initial(&self) -> Option<Bytes> {
        Some(joined(&[self.0]))
    }

    fn answer(&mut self, _challenge: Option<&[u8]>) -> Result<Response, Halt> {
        Ok(Response::Answer(joined(&[self.0])))
    }

    fn has_tried_secret(&self) -> bool {
        false
    }
}
