//! TLS over a socket: what is trusted, what is refused, and why, in words.
//!
//! Promise: TLS 1.2 at least; a certificate is judged before any octet of SMTP travels inside; a pinned fingerprint
//! replaces every other check; names are those of the certificate's alternative names only (RFC 9525), wildcards for a
//! whole leftmost label.
//!
//! Speaks to OpenSSL by its own crate, which is what `native-tls` is on this platform: `native-tls` parses the whole
//! bundle of roots for every connector (36 ms against 1.6 ms), also when told not to, and hides why a certificate
//! failed and which one it was.
use std::io::Read;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::ssl::{HandshakeError, Ssl, SslStream, SslVerifyMode};
use openssl::x509::verify::X509CheckFlags;
use openssl::x509::{X509, X509NameRef, X509Ref, X509StoreContextRef};

use super::probe::{Fact, Facts};
use super::reply::decode;
use super::socket::{Socket, cause};
use super::trust::{Prepared, vouched};
use crate::delivery::{Cause, Distrust};
use crate::settings::route::{Trust, Verify};
use crate::text::short;

/// What OpenSSL calls an issuer it does not know (`X509_V_ERR_*`).
const UNKNOWN_ISSUER: [i32; 5] = [2, 18, 19, 20, 21];

/// A connection on which TLS has begun.
pub struct Secured {
    /// The connection.
    pub stream: SslStream<Socket>,
    /// The version of the protocol, as in `TLSv1.3`.
    pub version: &'static str,
    /// The cipher, by OpenSSL's name.
    pub cipher: &'static str,
    /// Why the certificate is not trusted, when that was allowed to be so.
    pub doubt: Option<Distrust>,
}

/// Why TLS has not begun.
pub struct Failed {
    /// What it means for the delivery.
    pub cause: Cause,
    /// What answered was not TLS.
    pub not_tls: bool,
    /// The certificate that is not trusted.
    pub leaf: Option<X509>,
}

/// Why a certificate is not trusted, and which one it is.
type Doubt = (Distrust, Option<X509>);

/// Begins TLS with the server of this name; `verify` is what an untrusted certificate leads to.
///
/// # Errors
/// [`Failed`].
pub fn begin(
    prepared: &Prepared,
    name: &str,
    trust: &Trust,
    verify: Verify,
    socket: Socket,
) -> Result<Secured, Box<Failed>> {
    let doubt = Arc::new(Mutex::new(None));
    let strict = verify == Verify::Strict;
    let ssl = connection(prepared, name, trust.fingerprint.is_some(), verify, &doubt)
        .map_err(|error| Box::new(Failed { cause: library(&error), not_tls: false, leaf: None }))?;
    let found = || doubt.lock().unwrap_or_else(PoisonError::into_inner).take();
    // A doubt that was let pass has not ended the handshake.
    let stream = ssl.connect(socket).map_err(|error| Box::new(failed(error, found().filter(|_| strict))))?;
    let mut doubt = found().map(|(distrust, _)| distrust);
    if let Some(pin) = trust.fingerprint {
        doubt = unpinned(&stream, &pin);
        if doubt.is_some() && strict {
            let cause = doubt.map_or(Cause::Handshake(String::new()), Cause::Distrust);
            let leaf = stream.ssl().peer_certificate();
            return Err(Box::new(Failed { cause, not_tls: false, leaf }));
        }
    }
    let cipher = stream.ssl().current_cipher().map_or("", |cipher| cipher.name());
    let version = stream.ssl().version_str();
    Ok(Secured { stream, version, cipher, doubt })
}

fn connection(
    prepared: &Prepared,
    name: &str,
    pinned: bool,
    verify: Verify,
    doubt: &Arc<Mutex<Option<Doubt>>>,
) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(&prepared.context)?;
    let name = name.strip_suffix('.').unwrap_or(name).to_owned();
    let address = name.parse::<IpAddr>().ok();
    if address.is_none() {
        ssl.set_hostname(&name)?;
    }
    if pinned {
        ssl.set_verify(SslVerifyMode::NONE);
        return Ok(ssl);
    }
    let wanted = ssl.param_mut();
    wanted.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS | X509CheckFlags::NEVER_CHECK_SUBJECT);
    match address {
        Some(address) => wanted.set_ip(address)?,
        None => wanted.set_host(&name)?,
    }
    let doubt = doubt.clone();
    // Nobody will hear of a doubt: nothing need be read to remove it.
    let bundle = prepared.bundle.clone().filter(|_| verify != Verify::Ignore);
    ssl.set_verify_callback(SslVerifyMode::PEER, move |trusted, store| {
        if !trusted && UNKNOWN_ISSUER.contains(&store.error().as_raw()) {
            let chain = store.chain().into_iter().flatten();
            if bundle.as_ref().is_some_and(|bundle| vouched(bundle, chain)) {
                return true;
            }
        }
        if !trusted {
            doubt.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| distrust(store, &name));
        }
        trusted || verify != Verify::Strict
    });
    Ok(ssl)
}

/// Compares the server's certificate with the one that was pinned.
fn unpinned(stream: &SslStream<Socket>, pin: &[u8; 32]) -> Option<Distrust> {
    let shown = stream.ssl().peer_certificate().and_then(|leaf| leaf.digest(MessageDigest::sha256()).ok());
    if shown.as_deref() == Some(&pin[..]) {
        return None;
    }
    let reason = format!("its SHA-256 fingerprint is not the one that is set ({})", hex(pin));
    Some(Distrust { reason, fingerprint: shown.map(|digest| hex(&digest)) })
}

fn failed(error: HandshakeError<Socket>, doubt: Option<Doubt>) -> Failed {
    if let Some((distrust, leaf)) = doubt {
        return Failed { cause: Cause::Distrust(distrust), not_tls: false, leaf };
    }
    let mut middle = match error {
        HandshakeError::SetupFailure(error) => return Failed { cause: library(&error), not_tls: false, leaf: None },
        HandshakeError::Failure(middle) | HandshakeError::WouldBlock(middle) => middle,
    };
    // Records of TLS begin with 20 to 23.
    let not_tls = middle.get_ref().head().first().is_some_and(|first| !(20..=23).contains(first));
    let cause = match (middle.error().io_error(), middle.error().ssl_error()) {
        _ if not_tls => Cause::Handshake(plain_words(middle.get_mut())),
        (Some(error), _) => cause(error),
        (None, Some(stack)) => Cause::Handshake(words(stack)),
        (None, None) => Cause::Lost("the server closed the connection during the TLS handshake".into()),
    };
    Failed { cause, not_tls, leaf: None }
}

/// Says what answered in place of TLS, by its first octets. What OpenSSL did not read of them is there already.
fn plain_words(socket: &mut Socket) -> String {
    socket.set_instant(true);
    let _ = socket.read(&mut [0; 256]);
    let head = socket.head();
    let line = decode(head.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end());
    if head.len() >= 3 && head[..3].iter().all(u8::is_ascii_digit) {
        return format!("the server speaks plain SMTP on this port, it said \"{line}\"");
    }
    format!("the server does not speak TLS on this port, it said \"{line}\"")
}

/// What OpenSSL says, without the names of its functions.
pub fn words(stack: &ErrorStack) -> String {
    let reason = stack.errors().iter().find_map(openssl::error::Error::reason);
    short(reason.unwrap_or("the TLS library failed without a reason"))
}

pub fn library(error: &ErrorStack) -> Cause {
    Cause::TlsSettings(words(error))
}

/// Why OpenSSL does not trust the certificate it is looking at.
fn distrust(store: &X509StoreContextRef, name: &str) -> Doubt {
    let leaf = store.chain().and_then(|chain| chain.iter().next()).or(store.current_cert());
    let at = store.current_cert().or(leaf);
    let lone = store.chain().is_none_or(|chain| chain.len() == 1);
    let issuer = || at.map_or_else(String::new, |cert| quoted(cert.issuer_name()));
    let whose = if store.error_depth() == 0 { "it" } else { "the certificate of its issuer" };
    let reason = match store.error().as_raw() {
        9 => format!("{whose} is not valid before {}", at.map_or_else(String::new, |c| c.not_before().to_string())),
        10 => format!("{whose} expired on {}", at.map_or_else(String::new, |c| c.not_after().to_string())),
        18 => "it is self-signed".to_owned(),
        2 | 20 | 21 if lone => {
            format!("its issuer{} is not trusted here, or the server left an intermediate certificate out", issuer())
        }
        2 | 19..=21 => format!("its issuer{} is not trusted here", issuer()),
        62 | 64 => format!("it is for {} and not for {name}", leaf.map_or_else(String::new, names)),
        _ => format!("{whose} was refused: {}", store.error().error_string()),
    };
    let digest = leaf.and_then(|leaf| leaf.digest(MessageDigest::sha256()).ok());
    let distrust = Distrust { reason: short(&reason), fingerprint: digest.map(|digest| hex(&digest)) };
    (distrust, leaf.map(ToOwned::to_owned))
}

/// The common name, or else the organisation.
fn called(name: &X509NameRef) -> Option<String> {
    let entry = |nid| name.entries_by_nid(nid).next().map(|entry| decode(entry.data().as_slice()));
    entry(Nid::COMMONNAME).or_else(|| entry(Nid::ORGANIZATIONNAME))
}

/// The same in quotes after a blank.
fn quoted(name: &X509NameRef) -> String {
    called(name).map_or_else(String::new, |text| format!(" \"{text}\""))
}

/// What a certificate says of itself: names, issuer, validity (seconds since 1970) and fingerprint.
pub fn describe(leaf: &X509Ref) -> Facts {
    let mut facts = vec![("names", Fact::List(hosts(leaf).iter().map(|name| short(name)).collect()))];
    facts.extend(called(leaf.issuer_name()).map(|name| ("issuer", Fact::Text(name))));
    for (label, time) in [("not_before", leaf.not_before()), ("not_after", leaf.not_after())] {
        facts.extend(seconds(time).map(|time| (label, Fact::Number(time))));
    }
    let digest = leaf.digest(MessageDigest::sha256()).ok();
    facts.extend(digest.map(|digest| ("sha256", Fact::Text(hex(&digest)))));
    facts
}

fn seconds(time: &Asn1TimeRef) -> Option<i64> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    Some(i64::from(since.days) * 86_400 + i64::from(since.secs))
}

/// The hosts a certificate is for, in words.
fn names(leaf: &X509Ref) -> String {
    let names = hosts(leaf);
    if names.is_empty() { "no host by name".to_owned() } else { names.join(", ") }
}

fn hosts(leaf: &X509Ref) -> Vec<String> {
    let mut names = Vec::new();
    for name in leaf.subject_alt_names().iter().flatten() {
        if let Some(host) = name.dnsname() {
            names.push(host.to_owned());
        } else if let Some(octets) = name.ipaddress() {
            let address = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            let address = address.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
            names.extend(address.map(|address| address.to_string()));
        }
    }
    names
}

/// Octets in lower-case hex.
pub fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
