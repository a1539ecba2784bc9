//! The certificate that is shown when the server asks for one, and its key.
//!
//! Promise: every usual form of a key without a passphrase is taken (PKCS #8, PKCS #1, SEC1, PKCS
//! #12), in a file of its own or together with the certificate. Nothing is asked on the terminal:
//! an encrypted key in PEM is refused, and the passphrase of PKCS #12 comes from a program.
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use native_tls::Identity;
use zeroize::Zeroizing;

use super::said;
use crate::delivery::Cause;
use crate::secret::{Secret, SecretSource};
use crate::transport::net::pem::{certificates, read};

const SEQUENCE: u8 = 0x30;
const BYTES: u8 = 0x04;
/// The parameters of a key in SEC1's form (RFC 5915).
const PARAMETERS: u8 = 0xA0;
const ZERO: &[u8] = &[0x02, 0x01, 0x00];
/// `rsaEncryption` with its NULL (RFC 8017), and `id-ecPublicKey` (RFC 5480).
const RSA: &[u8] = &[
    0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
];
const EC: &[u8] = &[0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];

/// Reads certificate and key.
///
/// # Errors
/// [`Cause::TlsSettings`] naming the file.
pub(crate) fn identity(
    cert: &Path,
    key: Option<&Path>,
    passphrase: Option<&SecretSource>,
) -> Result<Identity, Cause> {
    let whole = Zeroizing::new(read(cert)?);
    if whole.first() == Some(&SEQUENCE) {
        return packed(cert, key, &whole, passphrase);
    }
    certificates(cert, &whole)?;
    let path = key.unwrap_or(cert);
    let text = match key {
        Some(key) => Zeroizing::new(read(key)?),
        None => whole.clone(),
    };
    let bad = |why: &str| Cause::TlsSettings(format!("{}{why}", path.display()));
    if text.windows(9).any(|word| word == b"ENCRYPTED") {
        return Err(bad(
            ": the key is encrypted; expected a key without a passphrase",
        ));
    }
    let none = " contains no private key in PEM format";
    let key = in_pkcs8(&String::from_utf8_lossy(&text)).ok_or_else(|| bad(none))?;
    Identity::from_pkcs8(&whole, key.as_bytes()).map_err(|_| bad(none))
}

/// A PKCS #12 file; its passphrase is asked of a program, and is empty without one.
fn packed(
    cert: &Path,
    key: Option<&Path>,
    whole: &[u8],
    passphrase: Option<&SecretSource>,
) -> Result<Identity, Cause> {
    if key.is_some_and(|key| key != cert) {
        let why = format!(
            "{}: a PKCS #12 file contains its own key; unset tls-key",
            cert.display()
        );
        return Err(Cause::TlsSettings(why));
    }
    let secret = passphrase.map(SecretSource::fetch).transpose();
    let secret = secret.map_err(|error| Cause::TlsSettings(error.why))?;
    let text = secret.as_ref().map_or("", Secret::reveal);
    Identity::from_pkcs12(whole, text).map_err(|error| {
        let why = said(&error.to_string());
        let what = match secret {
            Some(_) => "with the passphrase of tls-key-password-command",
            None => "without a passphrase",
        };
        let file = cert.display();
        Cause::TlsSettings(format!("{file}: expected PKCS #12 {what}, got: {why}"))
    })
}

/// The first private key of a PEM text, in PKCS #8's form.
fn in_pkcs8(text: &str) -> Option<Zeroizing<String>> {
    let block = |label: &str| {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let inside = rest.split_once("-----END ")?.0;
        let inside: Zeroizing<String> = Zeroizing::new(inside.split_ascii_whitespace().collect());
        STANDARD.decode(inside.as_bytes()).ok().map(Zeroizing::new)
    };
    let der = if let Some(key) = block("PRIVATE KEY") {
        key
    } else if let Some(key) = block("RSA PRIVATE KEY") {
        wrap(RSA, &key)
    } else {
        let key = block("EC PRIVATE KEY")?;
        let curve = match curve(&key) {
            Some(curve) => curve.to_vec(),
            None => block("EC PARAMETERS")?.to_vec(),
        };
        wrap(&[EC, &curve].concat(), &key)
    };
    let coded = Zeroizing::new(STANDARD.encode(&*der));
    let lines: Vec<&str> = coded
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    Some(Zeroizing::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )))
}

/// A key of this algorithm as PKCS #8 has it (RFC 5208).
fn wrap(algorithm: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let key = Zeroizing::new(element(BYTES, key));
    Zeroizing::new(element(
        SEQUENCE,
        &Zeroizing::new([ZERO, &element(SEQUENCE, algorithm), &key].concat()),
    ))
}

/// The curve that a key in SEC1's form names.
fn curve(key: &[u8]) -> Option<&[u8]> {
    let (_, mut rest, _) = split(key)?;
    while let Some((tag, inside, after)) = split(rest) {
        if tag == PARAMETERS {
            return Some(inside);
        }
        rest = after;
    }
    None
}

/// Tag and content of the first element, and what follows it.
fn split(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, &first) = (der.first()?, der.get(1)?);
    let (length, start) = if first < 0x80 {
        (usize::from(first), 2)
    } else {
        let count = usize::from(first & 0x7F);
        let bytes = der.get(2..2 + count).filter(|bytes| bytes.len() <= 4)?;
        (
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            2 + count,
        )
    };
    let inside = der.get(start..start.checked_add(length)?)?;
    Some((tag, inside, &der[start + length..]))
}

fn element(tag: u8, inside: &[u8]) -> Vec<u8> {
    let length = inside.len();
    let bytes: Vec<u8> = length
        .to_be_bytes()
        .into_iter()
        .skip_while(|byte| *byte == 0)
        .collect();
    let mut der = Vec::with_capacity(length + 10);
    der.push(tag);
    if length >= 0x80 {
        der.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0x7F));
        der.extend(bytes);
    } else {
        der.extend(u8::try_from(length));
    }
    der.extend_from_slice(inside);
    der
}
