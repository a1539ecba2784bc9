//! What TLS trusts and shows, read from the files that the settings name.
//!
//! Promise: a file that cannot be used is an error that names it, before anything is connected. The system's roots are
//! looked up by hash where that is possible, because reading the whole bundle takes 36 ms and more; what the bundle alone
//! holds is still trusted. Nothing is asked on the terminal: an encrypted key is refused.
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{SslContext, SslContextBuilder, SslMethod, SslOptions, SslVersion};
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509PurposeId, X509Ref, X509StoreContext, X509StoreContextRef};

use super::socket::reason;
use super::tls::library;
use crate::delivery::Cause;
use crate::files;
use crate::settings::route::Trust;

/// A folder with fewer hashed roots than this is not the whole of what the system trusts, if there is a bundle as well.
const WHOLE: usize = 50;

/// The largest file of certificates, in bytes; the system's has 220 KB.
const LARGEST: u64 = 16 << 20;

/// The bundle that is made of the same roots as the hashed folder it lies in (Debian, Alpine, Arch and their kin).
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// TLS as the settings want it.
pub struct Prepared {
    /// Roots, certificate and key.
    pub context: SslContext,
    /// The system's bundle, when only the hashed folder has been made known to the context.
    pub bundle: Option<PathBuf>,
}

/// Reads what the settings name: roots, certificate and key. Costs 2 ms where the system's roots are hashed.
///
/// # Errors
/// [`Cause::TlsSettings`] naming the file.
pub fn prepare(trust: &Trust) -> Result<Prepared, Cause> {
    let mut bundle = None;
    let mut builder = SslContextBuilder::new(SslMethod::tls_client()).map_err(|error| library(&error))?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(|error| library(&error))?;
    // Servers that close without a goodbye are many, and a cut reply is found out by SMTP itself.
    builder.set_options(SslOptions::IGNORE_UNEXPECTED_EOF | SslOptions::NO_COMPRESSION);
    if trust.fingerprint.is_none() {
        if !trust.no_system_roots {
            bundle = load_system_roots(&mut builder);
        }
        if let Some(file) = &trust.ca_file {
            let roots = certificates(file)?;
            add(&mut builder, roots)?;
        }
        if let Some(folder) = &trust.ca_dir {
            load_folder(&mut builder, folder)?;
        }
        // What is named is trusted as it is, be it an intermediate or the server's own certificate, as curl and msmtp do it.
        if trust.ca_file.is_some() || trust.ca_dir.is_some() {
            builder.verify_param_mut().set_flags(X509VerifyFlags::PARTIAL_CHAIN).map_err(|error| library(&error))?;
        }
    }
    if let Some(file) = &trust.cert {
        identify(&mut builder, file, trust.key.as_deref().unwrap_or(file))?;
    }
    Ok(Prepared { context: builder.build(), bundle })
}

/// Makes the system's roots known: looked up by hash where a folder of them exists, because the bundle takes long to
/// read. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace what the system has, as for every program that uses OpenSSL.
fn load_system_roots(builder: &mut SslContextBuilder) -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.exists());
    // Named by habit in containers; the folder says the same faster.
    let file = set("SSL_CERT_FILE").filter(|file| file != Path::new(BUNDLE));
    let folder = set("SSL_CERT_DIR");
    if file.is_some() || folder.is_some() {
        // OpenSSL would wait for ever for what is no file.
        let regular = file.as_deref().filter(|file| file.is_file());
        if let Some(stream) = file.as_deref().filter(|_| regular.is_none()) {
            let _ = certificates(stream).and_then(|roots| add(builder, roots));
        }
        let _ = builder.load_verify_locations(regular, folder.as_deref().filter(|folder| folder.is_dir()));
        return Some(PathBuf::from(BUNDLE)).filter(|_| file.is_none() && set("SSL_CERT_FILE").is_some());
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
    let bundle = openssl_probe::probe().cert_file;
    if best.is_some_and(|(roots, _)| roots >= WHOLE) {
        return bundle;
    }
    let _ = bundle.filter(|bundle| bundle.is_file()).map(|bundle| builder.load_verify_locations(Some(&bundle), None));
    None
}

/// Tells whether a root of the bundle vouches for a certificate whose issuer the hashed folder does not have: somebody
/// may have added it to the bundle by hand. `chain` begins with the certificate.
///
/// Of the bundle only the certificates that bear the name of an issuer are read: all of them take 20 ms and more, on every mail to a server
/// on this host with the certificate that Debian makes for it.
pub fn vouched<'a>(bundle: &Path, chain: impl Iterator<Item = &'a X509Ref>) -> bool {
    let check = || -> Result<bool, ErrorStack> {
        let mut others = Stack::new()?;
        let mut leaf = None;
        let mut issuers = Vec::new();
        for cert in chain {
            leaf.get_or_insert_with(|| cert.to_owned());
            issuers.push(cert.issuer_name().to_der()?);
            others.push(cert.to_owned())?;
        }
        let Some(leaf) = leaf else { return Ok(false) };
        let mut roots = X509StoreBuilder::new()?;
        // The comments of a bundle may be in any charset.
        let text = files::read(bundle, LARGEST).map_or_else(|_| Vec::new(), |(text, _)| text);
        let mut bundled: Vec<Vec<u8>> = encoded(&String::from_utf8_lossy(&text)).collect();
        // The bundle may hold what the server did not send, and then the root above it as well.
        while let Some(name) = issuers.pop() {
            // Both names are encoded alike (RFC 5280 section 4.1.2.6).
            for der in bundled.extract_if(.., |der| der.windows(name.len()).any(|part| part == name)) {
                let Ok(root) = X509::from_der(&der) else { continue };
                issuers.push(root.issuer_name().to_der()?);
                roots.add_cert(root)?;
            }
        }
        roots.set_purpose(X509PurposeId::SSL_SERVER)?;
        X509StoreContext::new()?.init(&roots.build(), &leaf, &others, X509StoreContextRef::verify_cert)
    };
    check().unwrap_or(false)
}

/// The octets of every certificate in a PEM text; what cannot be decoded is passed over.
fn encoded(pem: &str) -> impl Iterator<Item = Vec<u8>> {
    pem.split("-----BEGIN CERTIFICATE-----").skip(1).filter_map(|block| {
        let text: Vec<u8> = block.split("-----").next()?.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
        STANDARD.decode(text).ok()
    })
}

/// Tells whether every name that OpenSSL looks up by hash leads to a file: it would wait for ever for another.
fn is_sound(folder: &Path) -> bool {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.all(|path| {
        let by_hash =
            path.extension().is_some_and(|end| end.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit));
        !by_hash || path.is_file()
    })
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

/// Also what a program writes into a FIFO, as shells make for `<(…)`. What everybody may change proves nothing.
fn read(file: &Path) -> Result<Vec<u8>, Cause> {
    let unusable = |why: &str| Cause::TlsSettings(format!("{}: {why}", file.display()));
    let (bytes, access) = files::read_stream(file, LARGEST).map_err(|error| unusable(&reason(&error)))?;
    if access.mode & 0o002 != 0 && !bytes.is_empty() {
        return Err(unusable("everybody may change it; run chmod o-w on it"));
    }
    Ok(bytes)
}

fn add(builder: &mut SslContextBuilder, roots: Vec<X509>) -> Result<(), Cause> {
    for root in roots {
        builder.cert_store_mut().add_cert(root).map_err(|error| library(&error))?;
    }
    Ok(())
}

fn load_folder(builder: &mut SslContextBuilder, folder: &Path) -> Result<(), Cause> {
    if hashed(folder) > 0 && is_sound(folder) {
        return builder.load_verify_locations(None, Some(folder)).map_err(|error| library(&error));
    }
    let why = |error: &std::io::Error| Cause::TlsSettings(format!("{}: {}", folder.display(), reason(error)));
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
