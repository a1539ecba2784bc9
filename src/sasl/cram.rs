//! CRAM-MD5 (RFC 2195): a digest of the password and the server's challenge.
//!
//! Promise: the password itself does not travel. The server proves nothing.
use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::hash::Hash;
use super::{Bytes, Credentials, Exchange, Halt, Response};

/// A login by digest.
pub(super) struct CramMd5<'a> {
    who: &'a Credentials<'a>,
    answered: bool,
}

impl<'a> CramMd5<'a> {
    pub(super) fn new(who: &'a Credentials<'a>) -> Self {
        CramMd5 {
            who,
            answered: false,
        }
    }
}

impl Exchange for CramMd5<'_> {
    fn initial(&self) -> Option<Bytes> {
        None
    }

    /// RFC 2195 section 2.
    fn answer(&mut self, challenge: Option<&[u8]>) -> Result<Response, Halt> {
        let challenge = challenge.filter(|challenge| !challenge.is_empty() && !self.answered);
        let key = self.who.secret.as_bytes();
        let digest = challenge.and_then(|challenge| Hash::Md5.hmac(key, challenge));
        let digest = digest.ok_or(Halt::Senseless)?;
        self.answered = true;
        let size = self.who.user.len() + 1 + 2 * digest.len();
        let mut answer = Zeroizing::new(String::with_capacity(size));
        answer.push_str(self.who.user);
        answer.push(' ');
        for byte in &*digest {
            // Writing into a text does not fail.
            let _ = write!(answer, "{byte:02x}");
        }
        Ok(Response::Answer(Zeroizing::new(
            std::mem::take(&mut *answer).into_bytes(),
        )))
    }

    fn has_tried_secret(&self) -> bool {
        self.answered
    }

    fn proof<'a>(&self, answer: &'a [u8]) -> &'a [u8] {
        answer.rsplit(|byte| *byte == b' ').next().unwrap_or(answer)
    }
}
