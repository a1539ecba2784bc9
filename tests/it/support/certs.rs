//! Certificates made in the process: a test authority and one leaf for every way a certificate can
//! be good or bad.
//!
//! Promise: made once per test binary, valid around the current time unless the row says otherwise,
//! never written to disk from here ([`super::sandbox::Sandbox::pem`] does that where a path is wanted).
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode};
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509NameBuilder};

use super::wire::hex;

/// A certificate and its key.
pub(crate) struct Pair {
    /// The certificate.
    pub cert: X509,
    /// Its key.
    pub key: PKey<Private>,
}

impl Pair {
    /// The certificate as PEM.
    pub(crate) fn cert_pem(&self) -> Vec<u8> {
        self.cert.to_pem().unwrap()
    }

    /// The key as PEM.
    pub(crate) fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }

    /// SHA-256 of the certificate, lower-case hex without colons.
    pub(crate) fn fingerprint(&self) -> String {
        hex(&self.cert.digest(MessageDigest::sha256()).unwrap())
    }
}

/// Who signs a certificate.
#[derive(Clone, Copy, PartialEq)]
enum Signer {
    Itself,
    Authority,
    Intermediate,
}

struct Row {
    name: &'static str,
    common_name: &'static str,
    /// `DNS:` and `IP:` entries of subjectAltName.
    alt: &'static [&'static str],
    /// First and last day of validity, counted from today.
    days: (i64, i64),
    signer: Signer,
}

/// Servers that are played here: reached by `connect-to`, checked by their own names.
const PROVIDERS: &[&str] = &[
    "DNS:smtp.163.com",
    "DNS:smtp.qq.com",
    "DNS:smtp.gmail.com",
    "DNS:smtp.office365.com",
    "DNS:mail.x.example",
];

/// The two hosts that tell what a domain publishes.
const WEB: &[&str] = &["DNS:autoconfig.x.example", "DNS:x.example"];

const LOOPBACK: &[&str] = &["DNS:localhost", "IP:127.0.0.1", "IP:::1"];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "server",    common_name: "localhost",      alt: LOOPBACK,                     days: (-2, 30),      signer: Signer::Authority },
    Row { name: "client",    common_name: "alice",          alt: &["DNS:alice.client.test"],   days: (-2, 30),      signer: Signer::Authority },
    Row { name: "badname",   common_name: "other.test",     alt: &["DNS:other.test"],          days: (-2, 30),      signer: Signer::Authority },
    Row { name: "expired",   common_name: "localhost",      alt: LOOPBACK,                     days: (-400, -30),   signer: Signer::Authority },
    Row { name: "notyet",    common_name: "localhost",      alt: LOOPBACK,                     days: (30, 400),     signer: Signer::Authority },
    Row { name: "soon",      common_name: "localhost",      alt: LOOPBACK,                     days: (-2, 5),       signer: Signer::Authority },
    Row { name: "self",      common_name: "localhost",      alt: LOOPBACK,                     days: (-2, 30),      signer: Signer::Itself },
    Row { name: "wildcard",  common_name: "*.wild.test",    alt: &["DNS:*.wild.test"],         days: (-2, 30),      signer: Signer::Authority },
    Row { name: "cn-only",   common_name: "cn.only.test",   alt: &[],                          days: (-2, 30),      signer: Signer::Authority },
    Row { name: "providers", common_name: "smtp.163.com",   alt: PROVIDERS,                    days: (-2, 30),      signer: Signer::Authority },
    Row { name: "web",       common_name: "x.example",      alt: WEB,                          days: (-2, 30),      signer: Signer::Authority },
    Row { name: "chainless", common_name: "localhost",      alt: LOOPBACK,                     days: (-2, 30),      signer: Signer::Intermediate },
];

/// All certificates of a test binary.
pub(crate) struct Certs {
    ca: Pair,
    intermediate: Pair,
    rows: BTreeMap<&'static str, Pair>,
}

/// The certificates, made on first use.
pub(crate) fn certs() -> &'static Certs {
    static CERTS: OnceLock<Certs> = OnceLock::new();
    CERTS.get_or_init(|| {
        let ca = make("smail test CA", &[], (-2, 3650), None, true);
        let intermediate = make("smail test intermediate", &[], (-2, 3650), Some(&ca), true);
        let sign = |row: &Row| {
            let signer = match row.signer {
                Signer::Itself => None,
                Signer::Authority => Some(&ca),
                Signer::Intermediate => Some(&intermediate),
            };
            (
                row.name,
                make(row.common_name, row.alt, row.days, signer, false),
            )
        };
        let rows = ROWS.iter().map(sign).collect();
        Certs {
            ca,
            intermediate,
            rows,
        }
    })
}

impl Certs {
    /// A pair by name: `ca`, `intermediate` or one of the rows above.
    pub(crate) fn pair(&self, name: &str) -> &Pair {
        match name {
            "ca" => &self.ca,
            "intermediate" => &self.intermediate,
            _ => self
                .rows
                .get(name)
                .unwrap_or_else(|| panic!("no certificate `{name}`")),
        }
    }

    /// What a server shows: the named leaf alone, and whether it demands a certificate of the test
    /// authority.
    pub(crate) fn acceptor(&self, name: &str, demand: bool) -> SslAcceptor {
        let pair = self.pair(name);
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        builder.set_certificate(&pair.cert).unwrap();
        builder.set_private_key(&pair.key).unwrap();
        // Nothing is resumed, and a ticket between two flights of a client would part them.
        builder.set_num_tickets(0).unwrap();
        if demand {
            let mut store = X509StoreBuilder::new().unwrap();
            store.add_cert(self.ca.cert.clone()).unwrap();
            builder.set_verify_cert_store(store.build()).unwrap();
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        builder.build()
    }
}

fn make(
    common_name: &str,
    alt: &[&str],
    days: (i64, i64),
    signer: Option<&Pair>,
    authority: bool,
) -> Pair {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", common_name).unwrap();
    let name = name.build();
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();

    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&name).unwrap();
    builder
        .set_issuer_name(signer.map_or(&*name, |by| by.cert.subject_name()))
        .unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&day(days.0)).unwrap();
    builder.set_not_after(&day(days.1)).unwrap();
    if authority {
        builder
            .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
            .unwrap();
        builder
            .append_extension(
                KeyUsage::new()
                    .critical()
                    .key_cert_sign()
                    .crl_sign()
                    .build()
                    .unwrap(),
            )
            .unwrap();
    } else {
        let usage = ExtendedKeyUsage::new()
            .server_auth()
            .client_auth()
            .build()
            .unwrap();
        builder.append_extension(usage).unwrap();
    }
    if !alt.is_empty() {
        let mut names = SubjectAlternativeName::new();
        for entry in alt {
            match entry.split_once(':').unwrap() {
                ("DNS", host) => names.dns(host),
                (_, ip) => names.ip(ip),
            };
        }
        let context = builder.x509v3_context(signer.map(|by| &*by.cert), None);
        let extension = names.build(&context).unwrap();
        builder.append_extension(extension).unwrap();
    }
    builder
        .sign(signer.map_or(&key, |by| &by.key), MessageDigest::sha256())
        .unwrap();
    Pair {
        cert: builder.build(),
        key,
    }
}

fn day(offset: i64) -> Asn1Time {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    Asn1Time::from_unix(i64::try_from(now).unwrap() + offset * 86_400).unwrap()
}
