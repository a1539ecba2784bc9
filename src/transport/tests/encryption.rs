//! TLS: what is trusted, what is refused, and what an attacker in the middle may try.
use std::fs;
use std::path::{Path, PathBuf};

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::dh::Dh;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod, SslStream, SslVersion};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

use super::*;
use crate::delivery::{Cause, Distrust};
use crate::route::{Choice, Login, Verify};
use crate::secret::{Secret, SecretSource};
use crate::transport::net::tls::hex;

pub(super) struct Pair {
    pub(super) cert: X509,
    pub(super) key: PKey<Private>,
}

/// Makes a certificate; `names` are DNS names or addresses, `issuer` signs it or it signs itself.
pub(super) fn pair(common: &str, names: &[&str], issuer: Option<&Pair>, days: (i64, i64)) -> Pair {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    pair_of(
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap(),
        common,
        names,
        issuer,
        days,
    )
}

pub(super) fn pair_of(
    key: PKey<Private>,
    common: &str,
    names: &[&str],
    issuer: Option<&Pair>,
    days: (i64, i64),
) -> Pair {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", common).unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(std::process::id()).unwrap();
    builder
        .set_serial_number(&Asn1Integer::from_bn(&serial).unwrap())
        .unwrap();
    let day = |offset: i64| Asn1Time::from_unix(1_800_000_000 + offset * 86_400).unwrap();
    builder.set_not_before(&day(days.0)).unwrap();
    builder.set_not_after(&day(days.1)).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder
        .set_issuer_name(issuer.map_or(&name, |issuer| issuer.cert.subject_name()))
        .unwrap();
    builder.set_pubkey(&key).unwrap();
    if names.is_empty() {
        builder
            .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
            .unwrap();
    } else if names != ["-"] {
        let mut alternative = SubjectAlternativeName::new();
        for name in names {
            if name.parse::<std::net::IpAddr>().is_ok() {
                alternative.ip(name)
            } else {
                alternative.dns(name)
            };
        }
        let context = builder.x509v3_context(issuer.map(|issuer| &*issuer.cert), None);
        let extension = alternative.build(&context).unwrap();
        builder.append_extension(extension).unwrap();
    }
    builder
        .sign(
            issuer.map_or(&key, |issuer| &issuer.key),
            MessageDigest::sha256(),
        )
        .unwrap();
    Pair {
        cert: builder.build(),
        key,
    }
}

pub(super) const LONG: (i64, i64) = (-5000, 20_000);

pub(super) fn write(dir: &Path, name: &str, pems: &[Vec<u8>]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, pems.concat()).unwrap();
    path
}

pub(super) fn pem(pair: &Pair) -> Vec<u8> {
    pair.cert.to_pem().unwrap()
}

pub(super) fn acceptor(leaf: &Pair) -> SslAcceptor {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&leaf.cert).unwrap();
    acceptor.set_private_key(&leaf.key).unwrap();
    acceptor.build()
}

/// A server with TLS from the first byte that plays a script, unless the handshake fails.
fn secure(leaf: &Pair, script: &[Step<'_>]) -> Server {
    let acceptor = acceptor(leaf);
    let script: Vec<(String, String)> = script
        .iter()
        .map(|(f, a)| (f.to_string(), a.to_string()))
        .collect();
    start(move |listener| {
        // One that was refused is looked at again, and then nothing is said.
        for _ in 0..3 {
            let Ok(mut stream) = acceptor.accept(listener.accept().unwrap().0) else {
                continue;
            };
            let greeted = stream.write_all(script[0].1.as_bytes());
            if greeted.is_ok() && stream.ssl_peek(&mut [0]).is_ok_and(|count| count > 0) {
                return play_inside(&mut stream, &script[1..]);
            }
        }
    })
}

pub(super) fn play_inside(stream: &mut SslStream<TcpStream>, script: &[(String, String)]) {
    play(stream, script);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

pub(super) fn implicit(server: &Server, trust: Trust) -> Smtp {
    let mut route = server.route();
    route.endpoints[0].tls = TlsMode::Implicit;
    Smtp {
        host: "localhost".into(),
        trust,
        ..route
    }
}

pub(super) const REFUSE: [Step<'static>; 4] = [
    HI,
    (EHLO, "250 mx.test\r\n"),
    ("MAIL FROM:<me@a.test>\r\n", "450 later\r\n"),
    ("QUIT\r\n", "221 bye\r\n"),
];
pub(super) const HEARD: &str = "temporary at sender: 450 later";

/// What comes of a certificate, and the fingerprint that is reported.
pub(super) fn judged(leaf: &Pair, trust: Trust, host: &str) -> Result<String, Distrust> {
    let strict = trust.verify == Verify::Strict;
    let server = secure(leaf, &REFUSE);
    let report = deliver(
        Smtp {
            host: host.into(),
            ..implicit(&server, trust)
        },
        &message(&["b@b.test"]),
    );
    if let Err(Fault {
        cause: Cause::Distrust(distrust),
        ..
    }) = &report.recipients[0].outcome
    {
        assert!(strict);
        // Nobody needs to wait for the connections that were not made.
        (0..3).for_each(|_| drop(TcpStream::connect(("127.0.0.1", server.port))));
        server.done();
        return Err(distrust.clone());
    }
    server.done();
    Ok(outcomes(&report).remove(0))
}

pub(super) fn print(pair: &Pair) -> String {
    hex(&pair.cert.digest(MessageDigest::sha256()).unwrap())
}

#[test]
fn a_certificate_is_judged_and_the_reason_is_one_a_person_understands() {
    let dir = tempfile::tempdir().unwrap();
    let root = pair("Test Root", &[], None, LONG);
    let ca_file = Some(write(
        dir.path(),
        "ca.pem",
        &[pem(&pair("Other Root", &[], None, LONG)), pem(&root)],
    ));
    let trust = Trust {
        ca_file,
        ..Trust::default()
    };
    let names = ["localhost", "*.b.test", "127.0.0.1"];
    let good = pair("x", &names, Some(&root), LONG);
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(judged(&good, trust.clone(), host), Ok(HEARD.into()));
    }
    for (leaf, reason) in [
        (
            pair("x", &["other.test"], Some(&root), LONG),
            "it is for other.test and not for localhost",
        ),
        (
            pair("localhost", &["-"], Some(&root), LONG),
            "it is for no host name and not for localhost",
        ),
        (
            pair("x", &names, Some(&root), (-5000, -2000)),
            "it expired on Jul 25 08:00:00 2021 GMT",
        ),
        (
            pair("x", &names, Some(&root), (15_000, 16_000)),
            "it is not valid before Feb  9 08:00:00 2068 GMT",
        ),
        (pair("x", &names, None, LONG), "it is self-signed"),
        (
            pair("x", &names, Some(&pair("Unknown", &[], None, LONG)), LONG),
            "its issuer \"Unknown\" is not trusted here, or the server left an intermediate certificate out",
        ),
    ] {
        let wanted = Distrust {
            reason: reason.into(),
            fingerprint: Some(print(&leaf)),
        };
        assert_eq!(judged(&leaf, trust.clone(), "localhost"), Err(wanted));
        let warn = Trust {
            verify: Verify::Warn,
            ..trust.clone()
        };
        assert_eq!(judged(&leaf, warn, "localhost"), Ok(HEARD.into()));
    }
}

#[test]
fn a_pinned_fingerprint_replaces_every_other_check() {
    let leaf = pair("x", &["other.test"], None, (-5000, -2000));
    let mut pin: [u8; 32] = leaf
        .cert
        .digest(MessageDigest::sha256())
        .unwrap()
        .as_ref()
        .try_into()
        .unwrap();
    assert_eq!(
        judged(
            &leaf,
            Trust {
                fingerprint: Some(pin),
                ..Trust::default()
            },
            "localhost"
        ),
        Ok(HEARD.into())
    );
    pin[0] ^= 1;
    let refused = judged(
        &leaf,
        Trust {
            fingerprint: Some(pin),
            ..Trust::default()
        },
        "localhost",
    )
    .unwrap_err();
    assert_eq!(refused.fingerprint, Some(print(&leaf)));
    assert!(
        refused
            .reason
            .starts_with("its SHA-256 fingerprint is not the one that is set ("),
        "{}",
        refused.reason
    );
}

/// A server that offers STARTTLS, answers it, and then does something in the middle.
fn starttls(answer: &str, then: impl FnOnce(TcpStream) + Send + 'static) -> Server {
    let answer = answer.to_owned();
    start(move |listener| {
        let mut stream = listener.accept().unwrap().0;
        let script = [
            HI,
            (EHLO, "250-mx.test\r\n250-AUTH PLAIN\r\n250 starttls\r\n"),
            ("STARTTLS\r\n", answer.as_str()),
        ];
        play(
            &mut stream,
            &script.map(|(group, answer)| (group.to_owned(), answer.to_owned())),
        );
        then(stream);
    })
}

fn upgraded(server: &Server, tls: TlsMode, trust: Trust) -> Smtp {
    let mut route = implicit(server, trust);
    route.endpoints[0].tls = tls;
    route
}

#[test]
fn what_was_learned_in_clear_is_forgotten_inside() {
    let dir = tempfile::tempdir().unwrap();
    let leaf = pair("x", &["localhost"], None, LONG);
    let trust = Trust {
        ca_file: Some(write(dir.path(), "ca", &[pem(&leaf)])),
        ..Trust::default()
    };
    let acceptor = acceptor(&leaf);
    let server = starttls("220 go\r\n", move |stream| {
        let script = [(EHLO, "250 mx.test\r\n"), ("QUIT\r\n", "221 bye\r\n")];
        play_inside(
            &mut acceptor.accept(stream).unwrap(),
            &script.map(|(f, a)| (f.to_owned(), a.to_owned())),
        );
    });
    let secret = SecretSource::Inline(Secret::new("p"));
    let login = Some(Login {
        user: "u".into(),
        credential: crate::route::Credential::Secret(secret),
        mechanism: Choice::Auto,
        in_clear: false,
        origin: None,
    });
    let route = Smtp {
        login,
        ..upgraded(&server, TlsMode::Starttls, trust)
    };
    assert_eq!(
        outcomes(&deliver(route, &message(&["b@b.test"]))),
        ["permanent at login: Lacks(Auth, \"nothing\")"]
    );
    server.done();
}

#[test]
fn what_came_in_clear_is_never_taken_for_what_came_inside() {
    for injected in ["250-evil\r\n250 AUTH PLAIN\r\n", "250-EVIL "] {
        let server = starttls(&format!("220 go\r\n{injected}"), |mut stream| {
            assert_eq!(rest(&mut stream), "");
        });
        let report = deliver(
            upgraded(&server, TlsMode::Starttls, Trust::default()),
            &message(&["b@b.test"]),
        );
        let why = "the server sent more clear text after its reply to STARTTLS, as in an attack";
        assert_eq!(
            outcomes(&report),
            [format!("temporary at tls: Protocol({why:?})")]
        );
        server.done();
    }
}

#[test]
fn required_tls_is_never_given_up_and_optional_tls_may_be() {
    for (answer, wanted) in [
        (
            "454 4.7.0 not now\r\n",
            "temporary at tls: 454 4.7.0 not now",
        ),
        ("501 5.5.4 what\r\n", "permanent at tls: 501 5.5.4 what"),
    ] {
        let server = starttls(answer, |mut stream| {
            assert_eq!(rest(&mut stream), "QUIT\r\n");
        });
        let report = deliver(
            upgraded(&server, TlsMode::Starttls, Trust::default()),
            &message(&["b@b.test"]),
        );
        assert_eq!(outcomes(&report), [wanted]);
        server.done();
        let server = starttls(answer, |mut stream| {
            let script = [REFUSE[2], REFUSE[3]];
            play(
                &mut stream,
                &script.map(|(group, answer)| (group.to_owned(), answer.to_owned())),
            );
        });
        let report = deliver(
            upgraded(&server, TlsMode::Opportunistic, Trust::default()),
            &message(&["b@b.test"]),
        );
        assert_eq!(outcomes(&report), [HEARD]);
        server.done();
    }
    let server = serve(&[&[HI, (EHLO, "250-mx.test\r\n250 SIZE\r\n"), ("QUIT\r\n", "")]]);
    let report = deliver(
        upgraded(&server, TlsMode::Starttls, Trust::default()),
        &message(&["b@b.test"]),
    );
    assert_eq!(
        outcomes(&report),
        ["permanent at tls: Lacks(Starttls, \"SIZE\")"]
    );
    server.done();
    let server = starttls("250 go\r\n", |mut stream| assert_eq!(rest(&mut stream), ""));
    let report = deliver(
        upgraded(&server, TlsMode::Opportunistic, Trust::default()),
        &message(&["b@b.test"]),
    );
    let why = "the server sent \"250 go\" as its reply to STARTTLS";
    assert_eq!(
        outcomes(&report),
        [format!("temporary at tls: Protocol({why:?})")]
    );
    server.done();
}

/// A server with STARTTLS that goes on with whoever takes its certificate, on one of so many
/// connections.
fn starttls_again(leaf: &Pair, most: usize) -> Server {
    let acceptor = acceptor(leaf);
    start(move |listener| {
        let text = |step: &Step<'_>| (step.0.to_owned(), step.1.to_owned());
        let clear = [
            HI,
            (EHLO, "250-mx.test\r\n250 starttls\r\n"),
            ("STARTTLS\r\n", "220 go\r\n"),
        ];
        for _ in 0..most {
            let mut stream = listener.accept().unwrap().0;
            play(&mut stream, &clear.each_ref().map(text));
            if let Ok(mut stream) = acceptor.accept(stream) {
                return play_inside(
                    &mut stream,
                    &[REFUSE[1], REFUSE[2], REFUSE[3]].each_ref().map(text),
                );
            }
        }
        panic!("nobody took the certificate");
    })
}

#[test]
fn where_tls_is_optional_an_unknown_certificate_is_noted_and_used() {
    let leaf = pair("x", &["localhost"], None, LONG);
    let server = starttls_again(&leaf, 2);
    let (context, lines) = listening();
    let route = upgraded(&server, TlsMode::Opportunistic, Trust::default());
    open(&Route::Smtp(Box::new(route)), &context).deliver(
        &message(&["b@b.test"]),
        ConnectionReuse::Last,
        &mut (),
    );
    server.done();
    let lines = lines.lock().unwrap();
    let at = lines.iter().rposition(|line| line == "< 220 go").unwrap();
    assert_eq!(lines[at + 1], "* TLSv1.3 TLS_AES_256_GCM_SHA384");
    let print = print(&leaf);
    assert_eq!(
        lines[at + 2],
        format!(
            "* the certificate is not trusted: it is self-signed (SHA-256 {print}); continuing as \
            configured"
        )
    );
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("connecting again"))
            .count(),
        1
    );
}

#[test]
fn where_nobody_hears_of_a_doubt_one_connection_is_enough() {
    let server = starttls_again(&pair("x", &["localhost"], None, LONG), 1);
    let report = deliver(
        upgraded(&server, TlsMode::Opportunistic, Trust::default()),
        &message(&["b@b.test"]),
    );
    assert_eq!(outcomes(&report), [HEARD]);
    server.done();
}

#[test]
fn the_wrong_kind_of_port_is_recognised() {
    let server = start(|listener| {
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(b"220 mx.test ESMTP ready\r\n").unwrap();
        rest(&mut stream);
    });
    let report = deliver(implicit(&server, Trust::default()), &message(&["b@b.test"]));
    let why = "the server speaks plain SMTP on this port: it sent \"220 mx.test ESMTP ready\"";
    assert_eq!(
        outcomes(&report),
        [format!("temporary at tls: Handshake({why:?})")]
    );
    server.done();

    let server = start(|listener| {
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(&[0x15, 3, 1, 0, 2, 2, 40]).unwrap();
        rest(&mut stream);
    });
    let report = deliver(server.route(), &message(&["b@b.test"]));
    let why = "no greeting: this port speaks TLS from the first byte";
    assert_eq!(
        outcomes(&report),
        [format!("temporary at greeting: Protocol({why:?})")]
    );
    server.done();
}

#[test]
fn a_port_that_is_not_tls_leads_to_the_next_endpoint() {
    let wrong = start(|listener| {
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(b"220 mx.test\r\n").unwrap();
        rest(&mut stream);
    });
    let server = serve(&[&[HI, (EHLO, "250 mx.test\r\n"), ("QUIT\r\n", "")]]);
    let mut route = implicit(&wrong, Trust::default());
    route.endpoints.push(Endpoint {
        port: server.port,
        tls: TlsMode::Starttls,
    });
    let report = deliver(route, &message(&["b@b.test"]));
    assert_eq!(
        outcomes(&report),
        ["permanent at tls: Lacks(Starttls, \"nothing\")"]
    );
    wrong.done();
    server.done();
}

#[test]
fn a_login_never_falls_from_an_endpoint_with_tls_to_one_without() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = serve(&[]);
    let secret = SecretSource::Inline(Secret::new("p"));
    let login = Some(Login {
        user: "u".into(),
        credential: crate::route::Credential::Secret(secret),
        mechanism: Choice::Auto,
        in_clear: true,
        origin: None,
    });
    let mut route = Smtp {
        login,
        ..implicit(&server, Trust::default())
    };
    route.host = "127.0.0.1".into();
    let open = listener.local_addr().unwrap().port();
    route.endpoints = vec![
        Endpoint {
            port: closed,
            tls: TlsMode::Implicit,
        },
        Endpoint {
            port: open,
            tls: TlsMode::None,
        },
    ];
    let report = deliver(route, &message(&["b@b.test"]));
    let wanted = Cause::Unreachable(vec![(
        format!("127.0.0.1:{closed}"),
        "connection refused".into(),
    )]);
    assert_eq!(
        report.recipients[0].outcome.as_ref().unwrap_err().cause,
        wanted
    );
    assert!(listener.accept().is_err());
    server.done();
}

#[test]
fn a_mute_server_does_not_hold_the_handshake_for_ever() {
    let server = start(|listener| {
        let mut stream = listener.accept().unwrap().0;
        rest(&mut stream);
    });
    // The name of the host may take its time.
    let timeouts = Timeouts {
        command: Duration::from_millis(200),
        ..Timeouts::default()
    };
    let report = deliver(
        Smtp {
            timeouts,
            ..implicit(&server, Trust::default())
        },
        &message(&["b@b.test"]),
    );
    assert_eq!(outcomes(&report), ["temporary at tls: Silent(200ms)"]);
    server.done();
}

#[test]
fn a_weak_key_of_the_exchange_is_named_as_such() {
    let leaf = pair_of(
        PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
        "x",
        &["localhost"],
        None,
        LONG,
    );
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&leaf.cert).unwrap();
    acceptor.set_private_key(&leaf.key).unwrap();
    acceptor
        .set_max_proto_version(Some(SslVersion::TLS1_2))
        .unwrap();
    acceptor
        .set_cipher_list("DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0")
        .unwrap();
    acceptor.set_tmp_dh(&Dh::get_1024_160().unwrap()).unwrap();
    let acceptor = acceptor.build();
    let server = start(move |listener| drop(acceptor.accept(listener.accept().unwrap().0)));
    let trust = Trust {
        verify: Verify::Ignore,
        ..Trust::default()
    };
    let report = deliver(implicit(&server, trust), &message(&["b@b.test"]));
    server.done();
    let fault = report.recipients[0].outcome.as_ref().unwrap_err();
    assert_eq!(fault.cause, Cause::Handshake("dh key too small".into()));
    assert_eq!(crate::hints::of(fault).unwrap().id, "tls-weak-dh");
}

#[test]
fn an_old_version_of_tls_is_refused_where_a_new_one_is_required() {
    let leaf = pair("x", &["localhost"], None, LONG);
    for only_tls13 in [false, true] {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&leaf.cert).unwrap();
        acceptor.set_private_key(&leaf.key).unwrap();
        acceptor
            .set_max_proto_version(Some(SslVersion::TLS1_2))
            .unwrap();
        let acceptor = acceptor.build();
        let server = start(move |listener| drop(acceptor.accept(listener.accept().unwrap().0)));
        let trust = Trust {
            verify: Verify::Ignore,
            only_tls13,
            ..Trust::default()
        };
        let report = deliver(implicit(&server, trust), &message(&["b@b.test"]));
        let fault = report.recipients[0].outcome.as_ref().unwrap_err();
        let is_of_version =
            matches!(&fault.cause, Cause::Handshake(why) if why.contains("version"));
        assert_eq!(is_of_version, only_tls13, "{fault:?}");
        server.done();
    }
}
