//! Servers that repeat what was said to them in secret.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::route::{Choice, Login, Mechanism, Proxy, ProxyKind};
use crate::secret::{Secret, SecretSource};

const CHALLENGE: &str = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";

fn login(secret: &str, mechanism: Choice) -> Login {
    let secret = SecretSource::Inline(Secret::new(secret));
    Login {
        user: "user".into(),
        credential: crate::route::Credential::Secret(secret),
        mechanism,
        in_clear: false,
        origin: None,
    }
}

/// Logs in with a mechanism by a script, and gives the outcome and all that was heard.
fn attempt(secret: &str, mechanism: Choice, script: &[Step<'_>]) -> String {
    let server = serve(&[script]);
    let (context, lines) = listening();
    let route = Smtp {
        login: Some(login(secret, mechanism)),
        ..server.route()
    };
    let report = open(&Route::Smtp(Box::new(route)), &context).deliver(
        &message(&["b@b.test"]),
        ConnectionReuse::Last,
        &mut (),
    );
    server.done();
    let heard = lines
        .lock()
        .unwrap()
        .iter()
        .filter(|line| line.starts_with('<'))
        .cloned()
        .collect::<Vec<_>>();
    format!("{}\n{}", outcomes(&report).join("\n"), heard.join("\n"))
}

#[test]
fn every_form_in_which_a_mechanism_sends_a_secret_is_struck_out() {
    let digest = "733ba87e64ed7e441f062c4ac6db0103";
    let cram = STANDARD.encode(format!("user {digest}"));
    let bearer = STANDARD.encode("user=user\x01auth=Bearer secret\x01\x01");
    for (name, mechanism, steps) in [
        (
            "PLAIN",
            Mechanism::Plain,
            vec![(
                "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n".to_owned(),
                "535 AHVzZXIAc2VjcmV0 secret c2VjcmV0".to_owned(),
            )],
        ),
        (
            "LOGIN",
            Mechanism::Login,
            vec![
                ("AUTH LOGIN\r\n".to_owned(), "334 c2VjcmV0".to_owned()),
                ("dXNlcg==\r\n".to_owned(), "334 c2VjcmV0".to_owned()),
                ("c2VjcmV0\r\n".to_owned(), "535 c2VjcmV0 secret".to_owned()),
            ],
        ),
        (
            "CRAM-MD5",
            Mechanism::CramMd5,
            vec![
                ("AUTH CRAM-MD5\r\n".to_owned(), format!("334 {CHALLENGE}")),
                (format!("{cram}\r\n"), format!("535 {cram} {digest} secret")),
            ],
        ),
        (
            "XOAUTH2",
            Mechanism::Xoauth2,
            vec![
                (
                    format!("AUTH XOAUTH2 {bearer}\r\n"),
                    format!("334 {}", STANDARD.encode("{\"token\":\"secret\"}")),
                ),
                ("\r\n".to_owned(), format!("535 {bearer}")),
            ],
        ),
    ] {
        let hello = format!("250-mx.test\r\n250 AUTH {name}\r\n");
        let steps: Vec<(String, String)> = steps
            .into_iter()
            .map(|(said, answer)| (said, format!("{answer}\r\n")))
            .collect();
        let mut script = vec![HI, (EHLO, hello.as_str())];
        script.extend(
            steps
                .iter()
                .map(|(said, answer)| (said.as_str(), answer.as_str())),
        );
        script.push(("QUIT\r\n", "221 bye\r\n"));
        let told = attempt("secret", Choice::Only(mechanism), &script);
        for form in [
            "secret",
            "c2VjcmV0",
            "AHVzZXIAc2VjcmV0",
            digest,
            &cram,
            &bearer,
        ] {
            assert!(!told.contains(form), "{name}: {told}");
        }
        assert!(told.contains("\n< 535 ***"), "{name}: {told}");
        assert_eq!(told.contains(CHALLENGE), name == "CRAM-MD5", "{told}");
    }
}

#[test]
fn a_short_password_is_struck_out_only_within_the_whole_answer() {
    let script = [
        HI,
        (EHLO, "250-mx.test\r\n250 AUTH PLAIN\r\n"),
        (
            "AUTH PLAIN AHVzZXIAYWJj\r\n",
            "535 AHVzZXIAYWJj is bad for abc\r\n",
        ),
        ("QUIT\r\n", "221 bye\r\n"),
    ];
    let told = attempt("abc", Choice::Auto, &script);
    assert!(
        told.starts_with("permanent at login: 535 *** is bad for abc\n"),
        "{told}"
    );
}

#[test]
fn a_password_that_is_a_word_of_smtp_takes_no_extension_away() {
    let hello = "250-mx.test\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n";
    let again = "250-PLAIN mx.test\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n";
    let auth = format!("AUTH PLAIN {}\r\n", STANDARD.encode("\0user\0PLAIN"));
    let server = serve(&[
        &[
            HI,
            (EHLO, hello),
            (&auth, "235 in\r\n"),
            ("MAIL FROM:<me@a.test>\r\n", "421 tired\r\n"),
        ],
        &[
            HI,
            (EHLO, again),
            (&auth, "235 in\r\n"),
            ("MAIL FROM:<me@a.test>\r\n", "450 later\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
    ]);
    let (context, lines) = listening();
    let route = Smtp {
        login: Some(login("PLAIN", Choice::Auto)),
        ..server.route()
    };
    let mut way = open(&Route::Smtp(Box::new(route)), &context);
    way.deliver(&message(&["b@b.test"]), ConnectionReuse::More, &mut ());
    let report = way.deliver(&message(&["b@b.test"]), ConnectionReuse::Last, &mut ());
    drop(way);
    server.done();
    assert_eq!(outcomes(&report), ["temporary at sender: 450 later"]);
    let lines = lines.lock().unwrap();
    assert!(lines.contains(&"< 250-*** mx.test".to_owned()), "{lines:?}");
}

#[test]
fn a_secret_of_one_connection_is_struck_out_of_the_next_greeting_too() {
    let hello = "250-mx.test\r\n250 AUTH PLAIN\r\n";
    let server = serve(&[
        &[
            HI,
            (EHLO, hello),
            ("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", "235 in\r\n"),
            ("MAIL FROM:<me@a.test>\r\n", "421 tired\r\n"),
        ],
        &[
            ("", "554-secret\r\n554 AHVzZXIAc2VjcmV0\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
    ]);
    let route = Smtp {
        login: Some(login("secret", Choice::Auto)),
        ..server.route()
    };
    let mut way = open(&Route::Smtp(Box::new(route)), &RunContext::default());
    way.deliver(&message(&["b@b.test"]), ConnectionReuse::More, &mut ());
    let report = way.deliver(&message(&["b@b.test"]), ConnectionReuse::Last, &mut ());
    drop(way);
    server.done();
    assert_eq!(outcomes(&report), ["permanent at greeting: 554 *** ***"]);
}

#[test]
fn what_is_no_reply_and_what_ends_too_early_show_no_secret_either() {
    for (answer, wanted) in [
        (
            "secret AHVzZXIAc2VjcmV0\r\n",
            "a line without a reply code: \\\"*** ***\\\"",
        ),
        (
            "535-secret\r\n550 AHVzZXIAc2VjcmV0\r\n",
            "two codes in one reply: 535 and 550",
        ),
        (
            "250 secret\r\n",
            "the server replied \\\"250 ***\\\" to AUTH",
        ),
    ] {
        let script = [
            HI,
            (EHLO, "250-mx.test\r\n250 AUTH PLAIN\r\n"),
            ("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", answer),
        ];
        let told = attempt("secret", Choice::Auto, &script);
        assert!(told.contains(wanted), "{told}");
        assert!(!told.contains("secret") && !told.contains("AHVz"), "{told}");
    }
    let script = [
        HI,
        (EHLO, "250-mx.test\r\n250 AUTH PLAIN\r\n"),
        ("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", "535-secret\r\n"),
        GONE,
    ];
    let told = attempt("secret", Choice::Auto, &script);
    assert!(told.ends_with("< 535-***"), "{told}");
}

#[test]
fn a_proxy_that_repeats_its_password_tells_it_to_nobody() {
    for said in ["407 u:proxysecret dTpwcm94eXNlY3JldA==", "407 proxysecret"] {
        let answer = format!("HTTP/1.1 {said}\r\n\r\n");
        let server = start(move |listener| {
            let mut stream = listener.accept().unwrap().0;
            let mut heard = vec![0; 4096];
            let count = stream.read(&mut heard).unwrap();
            assert!(
                String::from_utf8_lossy(&heard[..count]).contains("Basic dTpwcm94eXNlY3JldA==\r\n")
            );
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let secret = SecretSource::Inline(Secret::new("proxysecret"));
        let proxy = Proxy {
            kind: ProxyKind::Http,
            host: "127.0.0.1".into(),
            port: server.port,
            login: Some(("u".into(), secret)),
        };
        let report = deliver(
            Smtp {
                proxy: Some(proxy),
                ..server.route()
            },
            &message(&["b@b.test"]),
        );
        server.done();
        let told = outcomes(&report).remove(0);
        assert!(
            told.contains("it answered 407 ") && told.contains("***"),
            "{told}"
        );
        assert!(
            !told.contains("proxysecret") && !told.contains("dTpw"),
            "{told}"
        );
    }
}
