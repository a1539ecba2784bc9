//! TLS over a socket: what is trusted, what is refused, and why, in words.
//!
//! Promise: TLS 1.2 at least; the library verifies chain and host within the handshake, and nothing
//! that it says in words makes a certificate trusted. Before any byte of SMTP travels inside, the
//! certificate must name the host in its alternative names (RFC 9525), or be the one that is pinned
//! or named in the settings, byte for byte.
use std::error::Error as _;
use std::io::{self, Read};

use native_tls::HandshakeError;

pub(crate) use self::failed::{Failed, said};
pub(crate) use self::leaf::Leaf;
use self::stream::Lent;
pub(crate) use self::stream::Stream;
use super::roots::{Terms, TlsContext};
use super::socket::{Halt, Socket, cause};
use crate::delivery::{Cause, Distrust};
use crate::route::{Trust, Verify};
use crate::text::short;
use crate::transport::peer_text::decode;

pub(super) mod failed;
mod hello;
pub(super) mod identity;
pub(super) mod leaf;
mod stream;

const UNKNOWN: &str = "its issuer is not trusted here";
const UNKNOWN_OR_CUT: &str =
    "its issuer is not trusted here, or the server left an intermediate certificate out";
const SELF_SIGNED: &str = "it is self-signed";
const EXPIRED: &str = "it has expired";
const EARLY: &str = "it is not valid yet";
const ELSEWHERE: &str = "it is for a different host";

/// What the library says of a certificate that it has refused (`X509_verify_cert_error_string`, and
/// the words of other platforms), and what that means.
#[rustfmt::skip]
const WORDS: &[(&str, &str)] = &[
    ("self-signed certificate in certificate chain", UNKNOWN),
    ("self signed certificate in certificate chain", UNKNOWN),
    ("self-signed certificate", SELF_SIGNED),
    ("self signed certificate", SELF_SIGNED),
    ("certificate has expired", EXPIRED),
    ("certificate is not yet valid", EARLY),
    ("hostname mismatch", ELSEWHERE),
    ("Hostname mismatch", ELSEWHERE),
    ("IP address mismatch", ELSEWHERE),
    ("unable to get issuer certificate", UNKNOWN_OR_CUT),
    ("unable to get local issuer certificate", UNKNOWN_OR_CUT),
    ("unable to verify the first certificate", UNKNOWN_OR_CUT),
];

/// A connection on which TLS has begun.
pub(crate) struct Secured {
    /// The connection.
    pub stream: Stream,
    /// The version of the protocol, as in `TLSv1.3`.
    pub version: &'static str,
    /// The cipher, by OpenSSL's name.
    pub cipher: &'static str,
    /// The server's certificate.
    pub leaf: Option<Leaf>,
    /// Why the certificate is not trusted, when that was allowed to be so.
    pub doubt: Option<Distrust>,
}

/// Begins TLS with the server of this name; `verify` is what an untrusted certificate leads to.
/// Where it is not trusted, [`TlsContext::prepare_another`] may know of another try.
///
/// # Errors
/// [`Failed`].
pub(crate) fn begin(
    prepared: &TlsContext,
    name: &str,
    trust: &Trust,
    verify: Verify,
    mut socket: Socket,
) -> Result<Secured, Box<Failed>> {
    // What a proxy has said is not the server's.
    socket.forget_head();
    let name = name.strip_suffix('.').unwrap_or(name);
    let judged = is_judged_by_library(prepared, verify);
    let any = !judged || trust.fingerprint.is_some();
    let settings =
        |error: native_tls::Error| Failed::from(Cause::TlsSettings(said(&error.to_string())));
    let connector = prepared
        .connector(any)
        .map_err(|error| Box::new(settings(error)))?;
    let lent = Lent::new(socket);
    let stream = connector
        .connect(name, lent.clone())
        .map_err(|error| Box::new(failed(error, &mut lent.get())))?;
    let stream = Stream::new(stream);
    let leaf = stream.leaf();
    let doubt = doubt(prepared, name, trust, verify, leaf.as_ref());
    if let Some(distrust) = doubt
        .as_ref()
        .filter(|_| verify == Verify::Strict || is_other(prepared, leaf.as_ref(), verify))
    {
        return Err(Box::new(Failed {
            leaf,
            ..Cause::Distrust(distrust.clone()).into()
        }));
    }
    let (version, cipher) = hello::read(stream.socket().head());
    Ok(Secured {
        stream,
        version,
        cipher,
        leaf,
        doubt,
    })
}

/// Returns whether the handshake ends with an untrusted certificate. Another endpoint may be
/// stricter than the one before.
fn is_judged_by_library(prepared: &TlsContext, verify: Verify) -> bool {
    match (&prepared.terms, verify) {
        (_, Verify::Ignore) | (Terms::Named, _) | (Terms::Any(_), Verify::Warn) => false,
        (Terms::Any(_), Verify::Strict) | (Terms::Strict, _) => true,
    }
}

/// What speaks against a certificate once the handshake is over.
fn doubt(
    prepared: &TlsContext,
    name: &str,
    trust: &Trust,
    verify: Verify,
    leaf: Option<&Leaf>,
) -> Option<Distrust> {
    if let Some(pin) = &trust.fingerprint {
        return unpinned(leaf, pin);
    }
    if verify == Verify::Ignore {
        return None;
    }
    let Some(leaf) = leaf else {
        return Some(Distrust {
            reason: "the server presented none".to_owned(),
            fingerprint: None,
        });
    };
    match &prepared.terms {
        Terms::Any(before) if verify == Verify::Warn => Some(leaf.explain(&before.reason, name)),
        // The library takes a common name for a host where there is no other.
        Terms::Strict | Terms::Any(_) => leaf.other_host(name),
        Terms::Named if prepared.names(leaf) => leaf.other_host(name).or_else(|| leaf.untimely()),
        Terms::Named => Some(leaf.explain(UNKNOWN_OR_CUT, name)),
    }
}

/// Returns whether the settings name certificates of servers and this is another, which may be a
/// good one for all that.
fn is_other(prepared: &TlsContext, leaf: Option<&Leaf>, verify: Verify) -> bool {
    let named = matches!(prepared.terms, Terms::Named) && verify != Verify::Ignore;
    named && !leaf.is_some_and(|leaf| prepared.names(leaf))
}

/// Compares the server's certificate with the one that was pinned.
fn unpinned(leaf: Option<&Leaf>, pin: &[u8; 32]) -> Option<Distrust> {
    if leaf.is_some_and(|leaf| leaf.sha256() == *pin) {
        return None;
    }
    let reason = format!(
        "its SHA-256 fingerprint is not the one that is set ({})",
        hex(pin)
    );
    Some(Distrust {
        reason,
        fingerprint: leaf.map(Leaf::fingerprint),
    })
}

fn failed(error: HandshakeError<Lent>, socket: &mut Socket) -> Failed {
    // Records of TLS begin with 20 to 23.
    if socket
        .head()
        .first()
        .is_some_and(|first| !(20..=23).contains(first))
    {
        return Failed {
            not_tls: true,
            ..Cause::Handshake(plain_words(socket)).into()
        };
    }
    let HandshakeError::Failure(error) = error else {
        return Cause::Handshake("the handshake did not complete".to_owned()).into();
    };
    // Not every library hands on what the socket said.
    if let Err(halt) = socket.clock.look() {
        return cause(&halt.into()).into();
    }
    if let Some(reason) = refused(&error) {
        let unknown_issuer = reason.starts_with(UNKNOWN) || reason == SELF_SIGNED;
        return Failed {
            unknown_issuer,
            ..Cause::Distrust(Distrust {
                reason,
                fingerprint: None,
            })
            .into()
        };
    }
    let text = error.to_string();
    match error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
    {
        Some(error) => cause(error),
        None if text == "unexpected EOF" => {
            Cause::Lost("the server closed the connection during the TLS handshake".into())
        }
        None => Cause::Handshake(said(&text)),
    }
    .into()
}

/// Why the certificate was refused, if that is what the library says.
fn refused(error: &native_tls::Error) -> Option<String> {
    let text = error.to_string();
    let words = if cfg!(target_vendor = "apple") {
        is_about_certificates(&format!("{error:?}")).then_some(text.as_str())?
    } else {
        text.contains(":certificate verify failed:").then_some(())?;
        text.rsplit_once('(')?.1.trim_end_matches(')')
    };
    let known = WORDS.iter().find(|(theirs, _)| *theirs == words);
    Some(known.map_or_else(
        || short(&format!("it was rejected: {words}")),
        |(_, ours)| (*ours).to_owned(),
    ))
}

/// Tells by the number of an error of Secure Transport (`errSSLXCertChainInvalid` to
/// `errSSLCertNotYetValid`, host name) or of Security (`errSecHostNameMismatch` and its neighbours)
/// whether it is about certificates. It chooses words only.
fn is_about_certificates(debug: &str) -> bool {
    let number = debug.split("code: ").nth(1).and_then(|rest| {
        let end = rest
            .find(|c: char| c != '-' && !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse::<i64>().ok()
    });
    number.is_some_and(|code| matches!(code, -9815..=-9807 | -9843 | -67_901..=-67_585))
}

/// Says what answered in place of TLS, by its first bytes. What the library did not read of them
/// is there already.
fn plain_words(socket: &mut Socket) -> String {
    socket.set_instant(true);
    let _ = socket.read(&mut [0; 256]);
    let head = socket.head();
    let line = decode(
        head.split(|&b| b == b'\n')
            .next()
            .unwrap_or_default()
            .trim_ascii_end(),
    );
    if head.len() >= 3 && head[..3].iter().all(u8::is_ascii_digit) {
        return format!("the server speaks plain SMTP on this port: it sent \"{line}\"");
    }
    format!("the server does not speak TLS on this port: it sent \"{line}\"")
}

/// What the library says by an error of the connection, if it is one of TLS.
pub(crate) fn meaning(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    (!inner.is::<Halt>()).then(|| said(&inner.to_string()))
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
