//! What a certificate says of itself, read from its DER.
//!
//! Promise: never decides that an issuer is trusted; that is the library's part. A certificate that
//! cannot be read is for no host.
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use x509_cert::certificate::{CertificateInner, Raw, TbsCertificateInner};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};
use x509_cert::name::Name;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use super::hex;
use crate::delivery::Distrust;
use crate::environment;
use crate::text::short;
use crate::transport::peer_text::decode;
use crate::transport::steps::{Fact, Facts};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");

/// The kinds of a key, and a signature that such a key makes.
const SIGNATURES: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11"),
    ("1.2.840.10045.2.1", "1.2.840.10045.4.3.2"),
    ("1.3.101.112", "1.3.101.112"),
];

/// A certificate in DER.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Leaf(pub Vec<u8>);

impl Leaf {
    /// Its fingerprint.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// Its fingerprint in words.
    pub(crate) fn fingerprint(&self) -> String {
        hex(&self.sha256())
    }

    fn parsed(&self) -> Option<TbsCertificateInner<Raw>> {
        CertificateInner::<Raw>::from_der(&self.0)
            .ok()
            .map(|cert| cert.tbs_certificate)
    }

    /// What it says of itself: names, issuer, validity (seconds since 1970) and fingerprint.
    pub(crate) fn describe(&self) -> Facts {
        let mut facts = Vec::new();
        if let Some(cert) = self.parsed() {
            facts.push((
                "names",
                Fact::List(hosts(&cert).iter().map(|name| short(name)).collect()),
            ));
            facts.extend(called(&cert.issuer).map(|name| ("issuer", Fact::Text(name))));
            facts.push((
                "not_before",
                Fact::Number(seconds(cert.validity.not_before)),
            ));
            facts.push(("not_after", Fact::Number(seconds(cert.validity.not_after))));
        }
        facts.push(("sha256", Fact::Text(self.fingerprint())));
        facts
    }

    /// Returns whether its alternative names cover this host.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        self.parsed()
            .is_some_and(|cert| hosts(&cert).iter().any(|pattern| covers(pattern, host)))
    }

    /// Why it cannot be that of this host, by its alternative names (RFC 9525); a common name
    /// counts for nothing.
    pub(crate) fn other_host(&self, host: &str) -> Option<Distrust> {
        let names = self.parsed().map(|cert| hosts(&cert)).unwrap_or_default();
        if names.iter().any(|pattern| covers(pattern, host)) {
            return None;
        }
        let names = if names.is_empty() {
            "no host name".to_owned()
        } else {
            names.join(", ")
        };
        Some(self.distrust(&format!("it is for {names} and not for {host}")))
    }

    /// Why it is of no use now.
    pub(crate) fn untimely(&self) -> Option<Distrust> {
        let validity = self.parsed()?.validity;
        let now = environment::since_1970().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        if seconds(validity.not_after) < now {
            Some(self.distrust(&format!("it expired on {}", day(validity.not_after))))
        } else if seconds(validity.not_before) > now {
            Some(self.distrust(&format!(
                "it is not valid before {}",
                day(validity.not_before)
            )))
        } else {
            None
        }
    }

    /// Says of a reason which certificate it is about, and with which of its words.
    pub(crate) fn explain(&self, reason: &str, host: &str) -> Distrust {
        let issuer = self.parsed().and_then(|cert| called(&cert.issuer));
        match (reason, issuer) {
            (super::EXPIRED | super::EARLY, _) => self.untimely().unwrap_or_else(|| {
                self.distrust(&reason.replacen("it ", "the certificate of its issuer ", 1))
            }),
            (super::ELSEWHERE, _) => self
                .other_host(host)
                .unwrap_or_else(|| self.distrust(reason)),
            (_, Some(issuer)) if reason.starts_with(super::UNKNOWN) => self
                .distrust(&reason.replacen("its issuer", &format!("its issuer \"{issuer}\""), 1)),
            _ => self.distrust(reason),
        }
    }

    fn distrust(&self, reason: &str) -> Distrust {
        Distrust {
            reason: short(reason),
            fingerprint: Some(self.fingerprint()),
        }
    }

    /// Returns whether it may sign others.
    pub(crate) fn is_authority(&self) -> bool {
        let constraints = self
            .parsed()
            .and_then(|cert| cert.get::<BasicConstraints>().ok().flatten());
        constraints.is_some_and(|(_, constraints)| constraints.ca)
    }

    /// Returns whether it names itself as its issuer.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.parsed()
            .is_some_and(|cert| cert.issuer == cert.subject)
    }

    /// Its name and key with its constraints as an anchor of trust (RFC 5280 section 6.1.1 d), in
    /// the form in which OpenSSL takes one: as if it had issued itself. Nobody looks at the
    /// signature of an anchor.
    pub(crate) fn as_anchor(&self) -> Option<Leaf> {
        let mut cert = CertificateInner::<Raw>::from_der(&self.0).ok()?;
        let kind = cert
            .tbs_certificate
            .subject_public_key_info
            .algorithm
            .oid
            .to_string();
        let (_, signature) = SIGNATURES.iter().find(|(key, _)| *key == kind)?;
        let oid = ObjectIdentifier::new(signature).ok()?;
        let algorithm = AlgorithmIdentifierOwned {
            oid,
            parameters: None,
        };
        cert.tbs_certificate.issuer = cert.tbs_certificate.subject.clone();
        cert.tbs_certificate.signature = algorithm.clone();
        cert.tbs_certificate
            .extensions
            .iter_mut()
            .for_each(|all| all.retain(|one| one.extn_id != AUTHORITY_KEY));
        cert.signature_algorithm = algorithm;
        cert.to_der().ok().map(Leaf)
    }
}

/// A wildcard stands for a whole leftmost label.
fn covers(pattern: &str, host: &str) -> bool {
    match (pattern.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => return one == other,
        (Err(_), Err(_)) => {}
        _ => return false,
    }
    let wild = pattern.strip_prefix("*.").zip(host.split_once('.'));
    pattern.eq_ignore_ascii_case(host)
        || wild.is_some_and(|(rest, (label, tail))| {
            !label.is_empty() && rest.eq_ignore_ascii_case(tail)
        })
}

fn seconds(time: Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

fn day(time: Time) -> String {
    let time = chrono::DateTime::from_timestamp(seconds(time), 0).unwrap_or_default();
    time.format("%b %e %H:%M:%S %Y GMT").to_string()
}

/// The common name, or else the organisation.
fn called(name: &Name) -> Option<String> {
    let entry = |oid: ObjectIdentifier| {
        let mut entries = name.0.iter().flat_map(|part| part.0.iter());
        entries
            .find(|entry| entry.oid == oid)
            .map(|entry| decode(entry.value.value()))
    };
    entry(COMMON_NAME).or_else(|| entry(ORGANISATION))
}

/// The hosts it is for, by its alternative names.
fn hosts(cert: &TbsCertificateInner<Raw>) -> Vec<String> {
    let names = cert
        .get::<SubjectAltName>()
        .ok()
        .flatten()
        .map(|(_, names)| names.0)
        .unwrap_or_default();
    let host = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let address = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            address
                .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
                .ok()
                .map(|address| address.to_string())
        }
        _ => None,
    };
    names.iter().filter_map(host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_whole_label_of_a_name() {
        let rows = [
            ("mx.example", "MX.example", true),
            ("*.b.test", "a.b.test", true),
            ("*.b.test", "b.test", false),
            ("*.b.test", "x.a.b.test", false),
            ("*.b.test", ".b.test", false),
            ("f*.b.test", "foo.b.test", false),
            ("*.0.0.1", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "0:0::1", true),
            ("mx.example", "mx.example.org", false),
        ];
        for (pattern, host, wanted) in rows {
            assert_eq!(covers(pattern, host), wanted, "{pattern} {host}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_for_nobody() {
        for der in [vec![], vec![0x30, 0x82, 0xff], b"junk".to_vec()] {
            let leaf = Leaf(der);
            assert!(
                !leaf.is_for("localhost") && !leaf.is_authority() && leaf.as_anchor().is_none()
            );
            assert_eq!(
                leaf.other_host("x").unwrap().reason,
                "it is for no host name and not for x"
            );
        }
    }
}
