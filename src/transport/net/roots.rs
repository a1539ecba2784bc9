//! What TLS trusts and shows, read from the files that the settings name.
//!
//! Promise: a file that cannot be used is an error that names it, before anything is connected.
//! What is named is trusted as it is: a root, an intermediate (its name and key become the anchor
//! of the chain), or the server's own certificate.
use std::fs;
use std::path::Path;

use native_tls::{Certificate, Identity, Protocol, TlsConnector};

use super::pem::{certificates, read};
use super::tls::failed::{Failed, said};
use super::tls::identity::identity;
use super::tls::leaf::Leaf;
use crate::delivery::{Cause, Distrust};
use crate::environment::certificates;
use crate::route::{Trust, Verify};
use crate::transport::peer_text::reason;

/// How a certificate is judged on the next connection.
#[derive(Clone)]
pub(crate) enum Terms {
    /// By the library, in the handshake.
    Strict,
    /// It has to be one of the certificates of servers that the settings name.
    Named,
    /// It was refused before, for this reason, and the user wants to go on.
    Any(Distrust),
}

/// TLS as the settings want it, and what was learned of the server in this run.
pub(crate) struct TlsContext {
    roots: Vec<Certificate>,
    named: Vec<Leaf>,
    system: bool,
    least: Protocol,
    identity: Option<Identity>,
    /// A connector, and whether it takes any certificate.
    ready: Option<(bool, TlsConnector)>,
    /// How the next connection judges.
    pub terms: Terms,
    /// The roots of the bundle are known as well.
    widened: bool,
    again: bool,
}

/// Reads what the settings name: roots, certificate and key. Costs 2 ms where the system's roots
/// are hashed.
///
/// # Errors
/// [`Cause::TlsSettings`] naming the file.
pub(crate) fn prepare(trust: &Trust, host: &str, verify: Verify) -> Result<TlsContext, Cause> {
    let any = trust.fingerprint.is_some() || verify == Verify::Ignore;
    let mut prepared = TlsContext {
        roots: Vec::new(),
        named: Vec::new(),
        system: !trust.no_system_roots,
        least: if trust.only_tls13 {
            Protocol::Tlsv13
        } else {
            Protocol::Tlsv12
        },
        identity: None,
        ready: None,
        terms: Terms::Strict,
        widened: false,
        again: false,
    };
    if trust.fingerprint.is_none() {
        if let Some(stream) = certificates::stream().filter(|_| prepared.system) {
            prepared.roots.extend(
                read(stream)
                    .and_then(|pem| certificates(stream, &pem))
                    .into_iter()
                    .flatten(),
            );
        }
        if let Some(file) = &trust.ca_file {
            prepared.add(certificates(file, &read(file)?)?);
        }
        if let Some(dir) = &trust.ca_dir {
            prepared.add(of_dir(dir)?);
        }
    }
    if prepared
        .named
        .iter()
        .any(|leaf| leaf.is_for(host.strip_suffix('.').unwrap_or(host)))
    {
        prepared.terms = Terms::Named;
    }
    prepared.identity = trust
        .cert
        .as_ref()
        .map(|cert| identity(cert, trust.key.as_deref(), trust.key_password.as_ref()))
        .transpose()?;
    let any = any || matches!(prepared.terms, Terms::Named);
    // Also tells whether key and certificate belong together.
    let connector = prepared
        .connector(any)
        .map_err(|error| match (&trust.cert, &trust.key) {
            (Some(cert), key) => {
                let key = key.as_ref().unwrap_or(cert);
                Cause::TlsSettings(format!(
                    "{} is not the private key for {}",
                    key.display(),
                    cert.display()
                ))
            }
            (None, _) => Cause::TlsSettings(said(&error.to_string())),
        })?;
    prepared.ready = Some((any, connector));
    Ok(prepared)
}

impl TlsContext {
    /// Makes certificates known that the settings name.
    fn add(&mut self, found: Vec<Certificate>) {
        for certificate in found {
            let leaf = certificate
                .to_der()
                .map(Leaf)
                .ok()
                .filter(|leaf| !leaf.is_self_issued());
            match leaf {
                Some(leaf) if leaf.is_authority() => {
                    // Other libraries than OpenSSL take an intermediate for an anchor by
                    // themselves.
                    let anchor = leaf
                        .as_anchor()
                        .filter(|_| cfg!(not(target_vendor = "apple")));
                    let anchor = anchor.and_then(|anchor| Certificate::from_der(&anchor.0).ok());
                    self.roots.push(anchor.unwrap_or(certificate));
                }
                Some(leaf) => self.named.push(leaf),
                None => self.roots.push(certificate),
            }
        }
    }

    /// The library's connector; `any` certificate will do, because something else is compared or
    /// because the user said so.
    ///
    /// # Errors
    /// What the library says.
    pub(crate) fn connector(&self, any: bool) -> native_tls::Result<TlsConnector> {
        if let Some((_, connector)) = self.ready.as_ref().filter(|(known, _)| *known == any) {
            return Ok(connector.clone());
        }
        let mut builder = TlsConnector::builder();
        builder.min_protocol_version(Some(self.least));
        builder
            .danger_accept_invalid_certs(any)
            .disable_built_in_roots(any || !self.system);
        builder.danger_accept_invalid_hostnames(any);
        for root in self.roots.iter().filter(|_| !any) {
            builder.add_root_certificate(root.clone());
        }
        if let Some(identity) = &self.identity {
            builder.identity(identity.clone());
        }
        builder.build()
    }

    /// Returns whether this certificate is one that the settings name.
    pub(crate) fn names(&self, leaf: &Leaf) -> bool {
        self.named.contains(leaf)
    }

    /// Makes ready for one more connection where that may end otherwise than the one that has
    /// failed.
    pub(crate) fn prepare_another(&mut self, failed: &Failed, verify: Verify) {
        let Cause::Distrust(distrust) = &failed.cause else {
            return;
        };
        let known = failed.leaf.as_ref();
        let next = match self.terms {
            Terms::Named if !known.is_some_and(|leaf| self.names(leaf)) => Some(Terms::Strict),
            // With its certificate at hand there is nothing more to be found out.
            Terms::Strict if known.is_none() => {
                let widened = failed.unknown_issuer && self.widen();
                let any = (verify == Verify::Warn).then(|| Terms::Any(distrust.clone()));
                if widened { Some(Terms::Strict) } else { any }
            }
            _ => None,
        };
        self.again = next.is_some();
        self.terms = next.unwrap_or_else(|| self.terms.clone());
        if self.again {
            let any = matches!(self.terms, Terms::Any(_));
            self.ready = self.connector(any).ok().map(|connector| (any, connector));
        }
    }

    /// Returns whether one more connection was made ready, which is told once.
    pub(crate) fn take_again(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }

    /// Adds the roots that only the bundle has; `false` when that changes nothing.
    fn widen(&mut self) -> bool {
        if !self.system || std::mem::replace(&mut self.widened, true) {
            return false;
        }
        let before = self.roots.len();
        self.roots.extend(
            certificates::left_out()
                .iter()
                .filter_map(|der| Certificate::from_der(der).ok()),
        );
        self.ready = self.ready.take().filter(|(any, _)| *any);
        self.roots.len() > before
    }
}

/// Every certificate of the files of a directory; each once, though a hashed directory has two
/// names for it.
fn of_dir(dir: &Path) -> Result<Vec<Certificate>, Cause> {
    let why = |error: &std::io::Error| {
        Cause::TlsSettings(format!("{}: {}", dir.display(), reason(error)))
    };
    let mut found = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for entry in fs::read_dir(dir).map_err(|error| why(&error))?.flatten() {
        let path = entry.path();
        if !path.is_file() {
            continue;
        }
        let certificates = read(&path)
            .and_then(|pem| certificates(&path, &pem))
            .into_iter()
            .flatten();
        found.extend(certificates.filter(|one| one.to_der().is_ok_and(|der| known.insert(der))));
    }
    if found.is_empty() {
        return Err(Cause::TlsSettings(format!(
            "{} contains no certificate in PEM format",
            dir.display()
        )));
    }
    Ok(found)
}
