//! Bearer tokens that Dovecot checks by itself: JSON web tokens signed with HS256 (RFC 7519).
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

const KEY: &[u8] = b"a key for the tests and for nothing else";

/// The key as `fs:posix` dictionaries of Dovecot hold it.
pub(crate) fn key_file() -> String {
    STANDARD.encode(KEY)
}

/// A token for `user` that ends `lifetime` seconds from now; negative: it has ended already.
pub(crate) fn bearer(user: &str, lifetime: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
        .cast_signed();
    let born = now - 3600;
    let claims = format!(
        r#"{{"sub":"{user}","iat":{born},"nbf":{born},"exp":{}}}"#,
        now + lifetime
    );
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    )
}
