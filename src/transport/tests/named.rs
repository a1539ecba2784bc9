//! Certificates that the settings name: whom they vouch for, and what is shown to a server.
use openssl::pkcs12::Pkcs12;

use crate::secret::SecretSource;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode};

use super::encryption::*;
use super::*;
use crate::delivery::Cause;
use crate::route::Verify;
use crate::transport::net::roots;

fn naming(dir: &tempfile::TempDir, named: &[&Pair]) -> Trust {
    let pems: Vec<Vec<u8>> = named.iter().map(|one| pem(one)).collect();
    Trust {
        ca_file: Some(write(dir.path(), "named.pem", &pems)),
        ..Trust::default()
    }
}

#[test]
fn an_intermediate_vouches_for_what_it_has_signed_and_for_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let rsa = || PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let root = pair_of(rsa(), "Root", &[], None, LONG);
    let names = ["localhost"];
    let unknown = "its issuer \"Middle\" is not trusted here, or the server left an intermediate certificate out";
    for key in [rsa(), pair("x", &names, None, LONG).key] {
        let middle = pair_of(key, "Middle", &[], Some(&root), LONG);
        let trust = naming(&dir, &[&pair("Other", &[], None, LONG), &middle]);
        let good = pair("x", &names, Some(&middle), LONG);
        assert_eq!(judged(&good, trust.clone(), "localhost"), Ok(HEARD.into()));
        let elsewhere = pair("x", &["other.test"], Some(&middle), LONG);
        let refused = judged(&elsewhere, trust.clone(), "localhost").unwrap_err();
        assert_eq!(refused.reason, "it is for other.test and not for localhost");
        // Of the same name, with another key.
        let forged = pair(
            "x",
            &names,
            Some(&pair("Middle", &[], Some(&root), LONG)),
            LONG,
        );
        let refused = judged(&forged, trust.clone(), "localhost").unwrap_err();
        assert!(
            refused.reason.contains("signature") || refused.reason == unknown,
            "{}",
            refused.reason
        );
        // Signed by a certificate that may not sign.
        let child = pair("y", &names, Some(&good), LONG);
        assert!(judged(&child, trust, "localhost").is_err());
        // The one above the intermediate vouches for it no more than anybody else.
        let beside = pair("x", &names, Some(&root), LONG);
        assert!(judged(&beside, naming(&dir, &[&middle]), "localhost").is_err());
    }
}

#[test]
fn an_intermediate_that_has_expired_vouches_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = pair("Root", &[], None, LONG);
    let middle = pair("Middle", &[], Some(&root), (-5000, -2000));
    let leaf = pair("x", &["localhost"], Some(&middle), LONG);
    let refused = judged(&leaf, naming(&dir, &[&middle]), "localhost").unwrap_err();
    assert_eq!(refused.reason, "the certificate of its issuer has expired");
}

#[test]
fn the_certificate_of_a_server_vouches_for_itself_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = pair("Root", &[], None, LONG);
    let leaf = |names: &[&str], days| pair("x", names, Some(&root), days);
    let good = leaf(&["localhost"], LONG);
    assert_eq!(
        judged(&good, naming(&dir, &[&good]), "localhost"),
        Ok(HEARD.into())
    );
    let another = leaf(&["localhost"], LONG);
    let trust = naming(&dir, &[&good]);
    let refused = judged(&another, trust.clone(), "localhost").unwrap_err();
    let unknown = "its issuer \"Root\" is not trusted here, or the server left an intermediate certificate out";
    assert_eq!(
        (refused.reason.as_str(), refused.fingerprint),
        (unknown, Some(print(&another)))
    );
    // Where the issuer is named as well, the other certificate is as good.
    assert_eq!(
        judged(&another, naming(&dir, &[&good, &root]), "localhost"),
        Ok(HEARD.into())
    );
    let old = leaf(&["localhost"], (-5000, -2000));
    let refused = judged(&old, naming(&dir, &[&old]), "localhost").unwrap_err();
    assert_eq!(refused.reason, "it expired on Jul 25 08:00:00 2021 GMT");
    let elsewhere = leaf(&["other.test"], LONG);
    assert!(judged(&elsewhere, naming(&dir, &[&elsewhere]), "localhost").is_err());
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (
        pair("one", &["-"], None, LONG),
        pair("two", &["-"], None, LONG),
    );
    let key = |pair: &Pair| pair.key.private_key_to_pem_pkcs8().unwrap();
    let locked = one
        .key
        .private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"x")
        .unwrap();
    let sealed = Pkcs12::builder()
        .pkey(&one.key)
        .cert(&one.cert)
        .build2("secret")
        .unwrap()
        .to_der()
        .unwrap();
    let path = |name: &str, pems: &[Vec<u8>]| Some(write(dir.path(), name, pems));
    let cert = path("cert.pem", &[pem(&one)]);
    let empty = tempfile::tempdir().unwrap();
    let none = Some(dir.path().join("none"));
    let base = Trust {
        no_system_roots: true,
        ..Trust::default()
    };
    for (trust, wanted) in [
        (
            Trust {
                ca_file: none,
                ..base.clone()
            },
            "none: no such file or directory",
        ),
        (
            Trust {
                ca_file: path("junk", &[b"junk".to_vec()]),
                ..base.clone()
            },
            "junk contains no certificate in PEM format",
        ),
        (
            Trust {
                ca_dir: Some(empty.path().into()),
                ..base.clone()
            },
            " contains no certificate in PEM format",
        ),
        (
            Trust {
                cert: cert.clone(),
                ..base.clone()
            },
            "cert.pem contains no private key in PEM format",
        ),
        (
            Trust {
                cert: cert.clone(),
                key: path("two.key", &[key(&two)]),
                ..base.clone()
            },
            "is not the private key for",
        ),
        (
            Trust {
                cert: cert.clone(),
                key: path("locked", &[locked]),
                ..base.clone()
            },
            "the key is encrypted",
        ),
        (
            Trust {
                cert: path("p12", &[sealed]),
                ..base.clone()
            },
            "p12: expected PKCS #12 without a passphrase, got: ",
        ),
    ] {
        let Err(Cause::TlsSettings(why)) =
            roots::prepare(&trust, "localhost", Verify::Strict).map(|_| ())
        else {
            panic!("{wanted}")
        };
        assert!(why.contains(wanted), "{why}");
    }
    let both = Trust {
        cert: path("both.pem", &[pem(&one), key(&one)]),
        ca_dir: Some(dir.path().into()),
        ..base
    };
    assert!(roots::prepare(&both, "localhost", Verify::Strict).is_ok());
}

/// A server that wants a certificate of this root: one session for each of those that have one, and
/// then nobody.
fn inquisitive(root: &Pair, leaf: &Pair, sessions: usize) -> Server {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&leaf.cert).unwrap();
    acceptor.set_private_key(&leaf.key).unwrap();
    acceptor
        .cert_store_mut()
        .add_cert(root.cert.clone())
        .unwrap();
    acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    let acceptor = acceptor.build();
    start(move |listener| {
        let script = REFUSE.map(|(group, answer)| (group.to_owned(), answer.to_owned()));
        for _ in 0..sessions {
            play_inside(
                &mut acceptor.accept(listener.accept().unwrap().0).unwrap(),
                &script,
            );
        }
        assert!(acceptor.accept(listener.accept().unwrap().0).is_err());
    })
}

#[test]
fn a_client_certificate_is_shown_when_asked_for_whatever_form_its_key_has() {
    let dir = tempfile::tempdir().unwrap();
    let root = pair("Root", &[], None, LONG);
    let leaf = pair("x", &["localhost"], Some(&root), LONG);
    let alice = pair("alice", &["-"], Some(&root), LONG);
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let bob = pair_of(rsa, "bob", &["-"], Some(&root), LONG);
    let file = |name: &str, parts: &[Vec<u8>]| Some(write(dir.path(), name, parts));
    let eight = |one: &Pair| one.key.private_key_to_pem_pkcs8().unwrap();
    let sec1 = alice.key.ec_key().unwrap().private_key_to_pem().unwrap();
    let curve =
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n".to_vec();
    let pkcs1 = bob.key.rsa().unwrap().private_key_to_pem().unwrap();
    let packed = Pkcs12::builder()
        .name("alice")
        .pkey(&alice.key)
        .cert(&alice.cert)
        .build2("")
        .unwrap();
    let sealed = Pkcs12::builder()
        .name("alice")
        .pkey(&alice.key)
        .cert(&alice.cert)
        .build2("open sesame")
        .unwrap();
    let forms = [
        (file("1", &[pem(&alice), eight(&alice)]), None),
        (file("2", &[eight(&alice), pem(&alice), pem(&root)]), None),
        (
            file("3", &[pem(&alice)]),
            file("3.key", std::slice::from_ref(&sec1)),
        ),
        (file("4", &[pem(&alice), curve, sec1]), None),
        (
            file("5", &[pem(&bob)]),
            file("5.key", std::slice::from_ref(&pkcs1)),
        ),
        (file("6", &[pkcs1, pem(&bob)]), None),
        (file("7.p12", &[packed.to_der().unwrap()]), None),
        (file("8.p12", &[sealed.to_der().unwrap()]), None),
    ];
    let server = inquisitive(&root, &leaf, forms.len());
    let trust = Trust {
        ca_file: Some(write(dir.path(), "ca", &[pem(&root)])),
        ..Trust::default()
    };
    for (cert, key) in forms {
        let name = format!("{cert:?}");
        let command = || SecretSource::Command(vec!["echo".into(), "open sesame".into()]);
        let shown = Trust {
            cert,
            key,
            key_password: name.contains("8.p12").then(command),
            ..trust.clone()
        };
        assert_eq!(
            outcomes(&deliver(implicit(&server, shown), &message(&["b@b.test"]))),
            [HEARD],
            "{name}"
        );
    }
    let without = deliver(implicit(&server, trust), &message(&["b@b.test"]));
    server.done();
    let outcome = outcomes(&without).remove(0);
    assert!(outcome.contains("certificate required"), "{outcome}");
}
