//! The hash functions of the mechanisms, and what is made of them: HMAC (RFC 2104) and PBKDF2 (RFC
//! 8018 section 5.2, the `Hi` of RFC 5802).
//!
//! Promise: whatever is computed is wiped when it is dropped.
use hmac::{Hmac, Mac};
use md5::Md5;
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::Bytes;

/// A hash function.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hash {
    /// For CRAM-MD5 only.
    Md5,
    /// RFC 3174.
    Sha1,
    /// RFC 6234.
    Sha256,
}

impl Hash {
    /// The digest of a text.
    pub(super) fn digest(self, text: &[u8]) -> Bytes {
        match self {
            Hash::Md5 => moved(Md5::digest(text)),
            Hash::Sha1 => moved(Sha1::digest(text)),
            Hash::Sha256 => moved(Sha256::digest(text)),
        }
    }

    /// The HMAC of a text. A key of any length will do, so that there always is one.
    pub(super) fn hmac(self, key: &[u8], text: &[u8]) -> Option<Bytes> {
        match self {
            Hash::Md5 => code::<Hmac<Md5>>(key, text),
            Hash::Sha1 => code::<Hmac<Sha1>>(key, text),
            Hash::Sha256 => code::<Hmac<Sha256>>(key, text),
        }
    }

    /// Returns whether this is the HMAC of a text; takes the same time for every wrong one.
    pub(super) fn verifies(self, key: &[u8], text: &[u8], code: &[u8]) -> bool {
        match self {
            Hash::Md5 => verified::<Hmac<Md5>>(key, text, code),
            Hash::Sha1 => verified::<Hmac<Sha1>>(key, text, code),
            Hash::Sha256 => verified::<Hmac<Sha256>>(key, text, code),
        }
    }

    /// A password with a salt, hashed so many times.
    pub(super) fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Bytes {
        let mut key = self.digest(&[]);
        match self {
            Hash::Md5 => pbkdf2_hmac::<Md5>(password, salt, iterations, &mut key),
            Hash::Sha1 => pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut key),
            Hash::Sha256 => pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut key),
        }
        key
    }
}

/// Moves a digest to where it is wiped.
fn moved(mut digest: impl AsMut<[u8]>) -> Bytes {
    let bytes = Zeroizing::new(digest.as_mut().to_vec());
    digest.as_mut().zeroize();
    bytes
}

fn keyed<M: Mac + hmac::digest::KeyInit>(key: &[u8], text: &[u8]) -> Option<M> {
    let mut mac = <M as Mac>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac)
}

fn code<M: Mac + hmac::digest::KeyInit>(key: &[u8], text: &[u8]) -> Option<Bytes> {
    Some(moved(keyed::<M>(key, text)?.finalize().into_bytes()))
}

fn verified<M: Mac + hmac::digest::KeyInit>(key: &[u8], text: &[u8], code: &[u8]) -> bool {
    keyed::<M>(key, text).is_some_and(|mac| mac.verify_slice(code).is_ok())
}
