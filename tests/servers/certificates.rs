//! A certificate authority for one test run, and what it signed.
//!
//! Promise: the keys are made afresh for every run and stay in its directory. Nothing here is trusted
//! by anything else.
use std::fs;
use std::path::Path;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

struct Signed {
    certificate: X509,
    key: PKey<Private>,
}

/// Writes into `directory`: `ca.pem`; `server.pem` for localhost, 127.0.0.1 and smtp.163.com;
/// `alice.pem` for a client; and `stranger.pem`, an authority that signed none of them. Each
/// certificate has its key beside it (`.key`), but the authorities.
pub(crate) fn write(dir: &Path) {
    let ca = authority("smail test CA");
    let server = leaf(&ca, "localhost", 2, true);
    let alice = leaf(&ca, "alice", 3, false);
    let stranger = authority("smail test stranger");
    for (name, signed) in [
        ("ca", &ca),
        ("stranger", &stranger),
        ("server", &server),
        ("alice", &alice),
    ] {
        let pem = signed.certificate.to_pem().expect("PEM");
        fs::write(dir.join(format!("{name}.pem")), pem).expect("a certificate");
    }
    for (name, signed) in [("server", &server), ("alice", &alice)] {
        let pem = signed.key.private_key_to_pem_pkcs8().expect("PEM");
        crate::servers::sender::write_private(&dir.join(format!("{name}.key")), &pem);
    }
}

fn authority(name: &str) -> Signed {
    let key = fresh_key();
    let mut builder = start(name, 1, &key);
    let subject = common_name(name);
    builder.set_issuer_name(&subject).expect("an issuer");
    builder
        .append_extension(BasicConstraints::new().critical().ca().build().expect("CA"))
        .expect("CA");
    let usage = KeyUsage::new()
        .critical()
        .key_cert_sign()
        .crl_sign()
        .build()
        .expect("usage");
    builder.append_extension(usage).expect("usage");
    builder
        .sign(&key, MessageDigest::sha256())
        .expect("a signature");
    Signed {
        certificate: builder.build(),
        key,
    }
}

fn leaf(ca: &Signed, name: &str, serial: u32, server: bool) -> Signed {
    let key = fresh_key();
    let mut builder = start(name, serial, &key);
    builder
        .set_issuer_name(ca.certificate.subject_name())
        .expect("an issuer");
    let context = builder.x509v3_context(Some(&ca.certificate), None);
    let extension = if server {
        let names = SubjectAlternativeName::new()
            .dns("localhost")
            .ip("127.0.0.1")
            .dns("smtp.163.com")
            .build(&context);
        names.expect("names")
    } else {
        ExtendedKeyUsage::new()
            .client_auth()
            .build()
            .expect("usage")
    };
    builder.append_extension(extension).expect("an extension");
    builder
        .sign(&ca.key, MessageDigest::sha256())
        .expect("a signature");
    Signed {
        certificate: builder.build(),
        key,
    }
}

fn fresh_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

fn common_name(name: &str) -> openssl::x509::X509Name {
    let mut builder = X509NameBuilder::new().expect("a name");
    builder
        .append_entry_by_nid(Nid::COMMONNAME, name)
        .expect("a name");
    builder.build()
}

fn start(name: &str, serial: u32, key: &PKey<Private>) -> X509Builder {
    let mut builder = X509::builder().expect("a certificate");
    builder.set_version(2).expect("version 3");
    let serial = BigNum::from_u32(serial)
        .and_then(|n| n.to_asn1_integer())
        .expect("a number");
    builder.set_serial_number(&serial).expect("a number");
    builder
        .set_subject_name(&common_name(name))
        .expect("a subject");
    builder.set_pubkey(key).expect("a key");
    builder
        .set_not_before(&Asn1Time::days_from_now(0).expect("today"))
        .expect("today");
    builder
        .set_not_after(&Asn1Time::days_from_now(2).expect("soon"))
        .expect("soon");
    builder
}
