//! TLS over a socket: what is trusted, what is refused, and why, in words.
//!
//! Promise: TLS 1.2 at least; a certificate is judged before any octet of SMTP travels inside; a pinned fingerprint
//! replaces every other check; names are those of the certificate's alternative names only (RFC 9525), wildcards for a
//! whole leftmost label. Nothing is asked on the terminal: an encrypted key is refused.
//!
//! Speaks to OpenSSL by its own crate, which is what `native-tls` is on this platform: `native-tls` parses the whole
//! bundle of roots for every connector (36 ms against 1.6 ms), also when told not to, and hides why a certificate
//! failed and which one it was.
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{
    HandshakeError, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::verify::X509CheckFlags;
use openssl::x509::{X509, X509NameRef, X509Ref, X509StoreContextRef};

use super::reply::{decode, safe};
use super::socket::{Socket, cause};
use crate::delivery::{Cause, Distrust};
use crate::settings::route::{Trust, Verify};

/// A folder with fewer hashed roots than this is not the whole of what the system trusts, if there is a bundle as well.
const WHOLE: usize = 50;

/// A connection on which TLS has begun.
pub struct Secured {
    /// The connection.
    pub stream: SslStream<Socket>,
    /// Version and cipher.
    pub words: String,
    /// Why the certificate is not trusted, when that was allowed to be so.
    pub doubt: Option<Distrust>,
}

/// Why TLS has not begun.
pub struct Failed {
    /// What it means for the delivery.
    pub cause: Cause,
    /// What answered was not TLS.
    pub not_tls: bool,
}

/// Reads what the settings name: roots, certificate and key. Costs 2 ms where the system's roots are hashed.
///
/// # Errors
/// [`Cause::TlsSettings`] naming the file.
pub fn prepare(trust: &Trust) -> Result<SslContext, Cause> {
    let mut builder = SslContextBuilder::new(SslMethod::tls_client()).map_err(|error| library(&error))?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(|error| library(&error))?;
    // Servers that close without a goodbye are many, and a cut reply is found out by SMTP itself.
    builder.set_options(SslOptions::IGNORE_UNEXPECTED_EOF | SslOptions::NO_COMPRESSION);
    if trust.fingerprint.is_none() {
        if !trust.no_system_roots {
            load_system_roots(&mut builder);
        }
        if let Some(file) = &trust.ca_file {
            let roots = certificates(file)?;
            add(&mut builder, roots)?;
        }
        if let Some(folder) = &trust.ca_dir {
            load_folder(&mut builder, folder)?;
        }
    }
    if let Some(file) = &trust.cert {
        identify(&mut builder, file, trust.key.as_deref().unwrap_or(file))?;
    }
    Ok(builder.build())
}

/// Begins TLS with the server of this name; `verify` is what an untrusted certificate leads to.
///
/// # Errors
/// [`Failed`].
pub fn begin(
    context: &SslContext,
    name: &str,
    trust: &Trust,
    verify: Verify,
    socket: Socket,
) -> Result<Secured, Box<Failed>> {
    let doubt = Arc::new(Mutex::new(None));
    let strict = verify == Verify::Strict;
    let ssl = connection(context, name, trust.fingerprint.is_some(), strict, &doubt)
        .map_err(|error| Box::new(Failed { cause: library(&error), not_tls: false }))?;
    let found = || doubt.lock().unwrap_or_else(PoisonError::into_inner).take();
    let stream = ssl.connect(socket).map_err(|error| Box::new(failed(error, found())))?;
    let mut doubt = found();
    if let Some(pin) = trust.fingerprint {
        doubt = unpinned(&stream, &pin);
        if doubt.is_some() && strict {
            let cause = doubt.map_or(Cause::Handshake(String::new()), Cause::Distrust);
            return Err(Box::new(Failed { cause, not_tls: false }));
        }
    }
    let cipher = stream.ssl().current_cipher().map_or("", |cipher| cipher.name());
    let words = format!("{} {cipher}", stream.ssl().version_str());
    Ok(Secured { stream, words, doubt })
}

fn connection(
    context: &SslContext,
    name: &str,
    pinned: bool,
    strict: bool,
    doubt: &Arc<Mutex<Option<Distrust>>>,
) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
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
    ssl.set_verify_callback(SslVerifyMode::PEER, move |trusted, store| {
        if !trusted {
            doubt.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| distrust(store, &name));
        }
        trusted || !strict
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

fn failed(error: HandshakeError<Socket>, doubt: Option<Distrust>) -> Failed {
    if let Some(distrust) = doubt {
        return Failed { cause: Cause::Distrust(distrust), not_tls: false };
    }
    let middle = match error {
        HandshakeError::SetupFailure(error) => return Failed { cause: library(&error), not_tls: false },
        HandshakeError::Failure(middle) | HandshakeError::WouldBlock(middle) => middle,
    };
    let head = middle.get_ref().head();
    // Records of TLS begin with 20 to 23.
    let not_tls = head.first().is_some_and(|first| !(20..=23).contains(first));
    let cause = match (middle.error().io_error(), middle.error().ssl_error()) {
        _ if not_tls => Cause::Handshake(plain_words(head)),
        (Some(error), _) => cause(error),
        (None, Some(stack)) => Cause::Handshake(words(stack)),
        (None, None) => Cause::Lost("the server closed the connection during the TLS handshake".into()),
    };
    Failed { cause, not_tls }
}

/// Says what answered in place of TLS, by its first octets.
fn plain_words(head: &[u8]) -> String {
    let line = decode(head.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end());
    if head.len() >= 3 && head[..3].iter().all(u8::is_ascii_digit) {
        return format!("the server speaks plain SMTP on this port, it said \"{line}\"");
    }
    format!("the server does not speak TLS on this port, it said \"{line}\"")
}

/// What OpenSSL says, without the names of its functions.
pub fn words(stack: &ErrorStack) -> String {
    let reason = stack.errors().iter().find_map(openssl::error::Error::reason);
    safe(reason.unwrap_or("the TLS library failed without a reason"))
}

fn library(error: &ErrorStack) -> Cause {
    Cause::TlsSettings(words(error))
}

/// Why OpenSSL does not trust the certificate it is looking at.
fn distrust(store: &X509StoreContextRef, name: &str) -> Distrust {
    let leaf = store.chain().and_then(|chain| chain.iter().next()).or(store.current_cert());
    let at = store.current_cert().or(leaf);
    let lone = store.chain().is_none_or(|chain| chain.len() == 1);
    let issuer = || at.map_or_else(String::new, |cert| quoted(cert.issuer_name()));
    let whose = if store.error_depth() == 0 { "it" } else { "the certificate of its issuer" };
    let reason = match store.error().as_raw() {
        9 => format!("{whose} is not valid before {}", at.map_or_else(String::new, |c| c.not_before().to_string())),
        10 => format!("{whose} expired on {}", at.map_or_else(String::new, |c| c.not_after().to_string())),
        18 => "it is self-signed".to_owned(),
        19 => format!("its issuer{} is not trusted here", issuer()),
        2 | 20 | 21 if lone => {
            format!("its issuer{} is not trusted here, or the server left an intermediate certificate out", issuer())
        }
        2 | 20 | 21 => format!("its issuer{} is not trusted here", issuer()),
        62 | 64 => format!("it is for {} and not for {name}", leaf.map_or_else(String::new, names)),
        _ => format!("{whose} was refused: {}", store.error().error_string()),
    };
    let digest = leaf.and_then(|leaf| leaf.digest(MessageDigest::sha256()).ok());
    Distrust { reason: safe(&reason), fingerprint: digest.map(|digest| hex(&digest)) }
}

/// The common name, or else the organisation, in quotes after a blank.
fn quoted(name: &X509NameRef) -> String {
    let entry = |nid| name.entries_by_nid(nid).next().map(|entry| decode(entry.data().as_slice()));
    entry(Nid::COMMONNAME)
        .or_else(|| entry(Nid::ORGANIZATIONNAME))
        .map_or_else(String::new, |text| format!(" \"{text}\""))
}

/// The hosts a certificate is for.
fn names(leaf: &X509Ref) -> String {
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
    if names.is_empty() { "no host by name".to_owned() } else { names.join(", ") }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Makes the system's roots known: looked up by hash where a folder of them exists, because the bundle takes long to
/// read. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace what the system has.
fn load_system_roots(builder: &mut SslContextBuilder) {
    let set = |name| std::env::var_os(name).map(std::path::PathBuf::from).filter(|path| path.exists());
    let (file, folder) = (set("SSL_CERT_FILE"), set("SSL_CERT_DIR"));
    if file.is_some() || folder.is_some() {
        let _ = builder.load_verify_locations(file.as_deref(), folder.as_deref());
        return;
    }
    let mut best: Option<(usize, &Path)> = None;
    for folder in openssl_probe::candidate_cert_dirs() {
        let roots = hashed(folder);
        if roots > best.map_or(0, |(most, _)| most) {
            best = Some((roots, folder));
        }
        if roots >= WHOLE {
            break;
        }
    }
    if let Some((_, folder)) = best {
        let _ = builder.load_verify_locations(None, Some(folder));
    }
    if best.is_none_or(|(roots, _)| roots < WHOLE) {
        if let Some(bundle) = openssl_probe::probe().cert_file {
            let _ = builder.load_verify_locations(Some(&bundle), None);
        }
    }
}

/// How many certificates of a folder OpenSSL can find by hash.
fn hashed(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().as_encoded_bytes().ends_with(b".0")).take(WHOLE).count()
}

/// Every certificate of a PEM file; at least one.
fn certificates(file: &Path) -> Result<Vec<X509>, Cause> {
    let pem = read(file)?;
    match X509::stack_from_pem(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Cause::TlsSettings(format!("{} holds no certificate in PEM form", file.display()))),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Cause> {
    fs::read(file).map_err(|error| Cause::TlsSettings(format!("{}: {}", file.display(), super::socket::reason(&error))))
}

fn add(builder: &mut SslContextBuilder, roots: Vec<X509>) -> Result<(), Cause> {
    for root in roots {
        builder.cert_store_mut().add_cert(root).map_err(|error| library(&error))?;
    }
    Ok(())
}

fn load_folder(builder: &mut SslContextBuilder, folder: &Path) -> Result<(), Cause> {
    if hashed(folder) > 0 {
        return builder.load_verify_locations(None, Some(folder)).map_err(|error| library(&error));
    }
    let why =
        |error: &std::io::Error| Cause::TlsSettings(format!("{}: {}", folder.display(), super::socket::reason(error)));
    let mut roots = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| why(&error))?.flatten() {
        if entry.path().is_file() {
            roots.extend(certificates(&entry.path()).into_iter().flatten());
        }
    }
    if roots.is_empty() {
        return Err(Cause::TlsSettings(format!("{} holds no certificate in PEM form", folder.display())));
    }
    add(builder, roots)
}

/// Shows this certificate when the server asks for one.
fn identify(builder: &mut SslContextBuilder, cert: &Path, key: &Path) -> Result<(), Cause> {
    let mut chain = certificates(cert)?.into_iter();
    let pem = zeroize::Zeroizing::new(read(key)?);
    if pem.windows(9).any(|word| word == b"ENCRYPTED") {
        let why = format!("{}: the key is encrypted; a key without a passphrase is needed", key.display());
        return Err(Cause::TlsSettings(why));
    }
    // The callback keeps OpenSSL from asking for a passphrase on the terminal.
    let private = PKey::private_key_from_pem_callback(&pem, |_| Ok(0))
        .map_err(|_| Cause::TlsSettings(format!("{} holds no private key in PEM form", key.display())))?;
    if let Some(leaf) = chain.next() {
        builder.set_certificate(&leaf).map_err(|error| library(&error))?;
    }
    for issuer in chain {
        builder.add_extra_chain_cert(issuer).map_err(|error| library(&error))?;
    }
    builder
        .set_private_key(&private)
        .and_then(|()| builder.check_private_key())
        .map_err(|_| Cause::TlsSettings(format!("{} is not the key of {}", key.display(), cert.display())))
}
