//! Statements that a client or a service account signs (RFC 7523, RS256 of RFC 7515).
//!
//! Promise: a key is read from a private file and forgotten when it has signed; the signature is
//! blinded, so that its time tells nothing of the key.
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Account, TokenError, TokenFailure};
use crate::secret::{Secret, private_file};

/// Seconds that a statement is good for.
const LIFETIME: i64 = 600;

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5t: Option<String>,
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    x5t_s256: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    iat: i64,
    exp: i64,
}

/// What is used of the JSON file of a service account.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: Zeroizing<String>,
    #[serde(default)]
    private_key_id: String,
}

/// The statement of a service account of Google: it acts for the mailbox.
///
/// # Errors
/// Its file cannot be used.
pub(super) fn of_service_account(account: &Account, now: i64) -> Result<Secret, TokenError> {
    let Some(path) = &account.service_key else {
        let why = "a service account needs oauth2-service-account, its JSON file";
        return Err(TokenError::new(TokenFailure::Settings, why));
    };
    let text = read(path)?;
    let file: ServiceAccount = serde_json::from_slice(&text).map_err(|_| {
        let why = format!(
            "{} is not the JSON file of a service account",
            path.display()
        );
        TokenError::new(TokenFailure::File, why)
    })?;
    let header = Header {
        alg: "RS256",
        typ: "JWT",
        kid: Some(file.private_key_id.as_str()).filter(|id| !id.is_empty()),
        x5t: None,
        x5t_s256: None,
    };
    let aud = account.token.to_string();
    let claims = Claims {
        iss: &file.client_email,
        sub: &account.user,
        aud: &aud,
        scope: Some(&account.scope),
        jti: None,
        iat: now,
        exp: now + LIFETIME,
    };
    sign(&header, &claims, file.private_key.as_bytes(), path)
}

/// The statement of a client that has a certificate.
///
/// # Errors
/// Key or certificate cannot be used.
pub(super) fn of_client(
    account: &Account,
    key: &Path,
    cert: &Path,
    now: i64,
) -> Result<Secret, TokenError> {
    let der = certificate(cert)?;
    let header = Header {
        alg: "RS256",
        typ: "JWT",
        kid: None,
        x5t: Some(URL_SAFE_NO_PAD.encode(Sha1::digest(&der))),
        x5t_s256: Some(URL_SAFE_NO_PAD.encode(Sha256::digest(&der))),
    };
    let aud = account.token.to_string();
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(no_random)?;
    let claims = Claims {
        iss: &account.client_id,
        sub: &account.client_id,
        aud: &aud,
        scope: None,
        jti: Some(URL_SAFE_NO_PAD.encode(id)),
        iat: now,
        exp: now + LIFETIME,
    };
    sign(&header, &claims, &read(key)?, key)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    private_file(path).map_err(|error| TokenError::new(TokenFailure::File, error.why))
}

fn no_random(error: getrandom::Error) -> TokenError {
    let why = format!("the system has no random numbers: {error}");
    TokenError::new(TokenFailure::Temporary, why)
}

/// The first certificate of a PEM file.
fn certificate(path: &Path) -> Result<Vec<u8>, TokenError> {
    let unusable =
        |why: &str| TokenError::new(TokenFailure::File, format!("{}: {why}", path.display()));
    let (bytes, _) = crate::files::read(path, 1 << 20)
        .map_err(|error| unusable(&crate::files::words(&error)))?;
    let text = String::from_utf8_lossy(&bytes);
    let inner = text
        .split_once("-----BEGIN CERTIFICATE-----")
        .and_then(|(_, rest)| rest.split_once("-----END CERTIFICATE-----"))
        .map(|(inner, _)| inner.split_ascii_whitespace().collect::<String>());
    inner
        .and_then(|inner| STANDARD.decode(inner).ok())
        .ok_or_else(|| unusable("it contains no certificate in PEM format"))
}

/// Signs a statement with a key in PEM.
fn sign(
    header: &Header<'_>,
    claims: &Claims<'_>,
    pem: &[u8],
    path: &Path,
) -> Result<Secret, TokenError> {
    let unusable = || {
        let why = format!(
            "{} contains no RSA key in PEM format without a passphrase",
            path.display()
        );
        TokenError::new(TokenFailure::File, why)
    };
    let pem = std::str::from_utf8(pem).map_err(|_| unusable())?;
    let begin = pem
        .find("-----BEGIN ")
        .filter(|_| pem.contains("PRIVATE KEY"));
    // A certificate may stand before its key.
    let key = begin.and_then(|_| {
        let at = pem.match_indices("-----BEGIN ").map(|(at, _)| &pem[at..]);
        at.filter(|text| {
            text.lines()
                .next()
                .is_some_and(|line| line.contains("PRIVATE KEY"))
        })
        .find_map(|text| {
            let pkcs8 = RsaPrivateKey::from_pkcs8_pem(text).ok();
            pkcs8.or_else(|| RsaPrivateKey::from_pkcs1_pem(text).ok())
        })
    });
    let key = SigningKey::<Sha256>::new(key.ok_or_else(unusable)?);
    let part = |json: serde_json::Result<Vec<u8>>| {
        json.map(|json| URL_SAFE_NO_PAD.encode(json))
            .map_err(|_| unusable())
    };
    let signed = format!(
        "{}.{}",
        part(serde_json::to_vec(header))?,
        part(serde_json::to_vec(claims))?
    );
    let signature = key
        .try_sign_with_rng(&mut Random, signed.as_bytes())
        .map_err(|_| unusable())?;
    let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
    Ok(Secret::new(format!("{signed}.{signature}")))
}

/// The system's random numbers, for the crate of RSA.
struct Random;

impl rsa::rand_core::RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        rsa::rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rsa::rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        // Without random numbers the key is used unblinded, which is what the crate does by default.
        let _ = getrandom::fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for Random {}
