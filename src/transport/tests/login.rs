//! AUTH, mechanism by mechanism, as it stands on the wire and in the transcript.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::delivery::{Cause, Lacks, Stage};
use crate::hints::Classifier;
use crate::route::{Choice, Login, Mechanism};
use crate::secret::{Secret, SecretSource};

const MAIL: Step<'static> = ("MAIL FROM:<me@a.test>\r\n", "450 later\r\n");
const QUIT: Step<'static> = ("QUIT\r\n", "221 bye\r\n");
const IN: &str = "temporary at sender: 450 later";

fn login(user: &str, secret: &str, mechanism: Choice) -> Login {
    let secret = SecretSource::Inline(Secret::new(secret));
    Login {
        user: user.into(),
        credential: crate::route::Credential::Secret(secret),
        mechanism,
        in_clear: false,
        origin: None,
    }
}

/// Logs "user" in with "secret" against a server that offers `auth`; gives the outcome and the
/// transcript.
fn attempt(auth: &str, mechanism: Choice, steps: &[Step<'_>]) -> (String, String) {
    let hello = format!("250-mx.test\r\n250-{auth}\r\n250 HELP\r\n");
    let mut script = vec![HI, (EHLO, hello.as_str())];
    script.extend_from_slice(steps);
    let server = serve(&[&script]);
    let (context, lines) = listening();
    let route = Smtp {
        login: Some(login("user", "secret", mechanism)),
        ..server.route()
    };
    let report = open(&Route::Smtp(Box::new(route)), &context).deliver(
        &message(&["b@b.test"]),
        ConnectionReuse::Last,
        &mut (),
    );
    server.done();
    let lines = lines.lock().unwrap();
    let from = lines.iter().position(|line| line == "< 250 HELP").unwrap() + 1;
    assert_eq!(
        report.user.is_some(),
        report.recipients[0].outcome.as_ref().unwrap_err().stage == Stage::Sender
    );
    (outcomes(&report).remove(0), lines[from..].join("\n"))
}

const AFTER: &str = "> MAIL FROM:<me@a.test>\n< 450 later\n> QUIT\n< 221 bye";

#[test]
fn each_mechanism_stands_on_the_wire_as_its_paper_says_and_is_struck_out_in_the_transcript() {
    let only = Choice::Only;
    for (name, choice, steps, shown) in [
        (
            "PLAIN",
            Choice::Auto,
            vec![("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", "235 in\r\n")],
            "> AUTH PLAIN ***\n< 235 in",
        ),
        (
            "LOGIN",
            Choice::Auto,
            vec![
                ("AUTH LOGIN\r\n", "334 UG9ydGU/\r\n"),
                ("dXNlcg==\r\n", "334 \r\n"),
                ("c2VjcmV0\r\n", "235 in\r\n"),
            ],
            "> AUTH LOGIN\n< 334 UG9ydGU/\n> ***\n< 334 \n> ***\n< 235 in",
        ),
        (
            // RFC 2195 section 2, with the user and the secret used here.
            "CRAM-MD5",
            Choice::Auto,
            vec![
                (
                    "AUTH CRAM-MD5\r\n",
                    "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n",
                ),
                (
                    "dXNlciA3MzNiYTg3ZTY0ZWQ3ZTQ0MWYwNjJjNGFjNmRiMDEwMw==\r\n",
                    "235 in\r\n",
                ),
            ],
            "> AUTH CRAM-MD5\n< 334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\n> ***\n< 235 in",
        ),
        (
            "XOAUTH2",
            only(Mechanism::Xoauth2),
            vec![(
                "AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHNlY3JldAEB\r\n",
                "235 in\r\n",
            )],
            "> AUTH XOAUTH2 ***\n< 235 in",
        ),
        (
            "EXTERNAL",
            only(Mechanism::External),
            vec![("AUTH EXTERNAL =\r\n", "235 in\r\n")],
            "> AUTH EXTERNAL ***\n< 235 in",
        ),
    ] {
        let steps: Vec<Step<'_>> = steps.into_iter().chain([MAIL, QUIT]).collect();
        let (outcome, transcript) = attempt(&format!("AUTH {name}"), choice, &steps);
        assert_eq!(
            (outcome.as_str(), transcript),
            (IN, format!("{shown}\n{AFTER}")),
            "{name}"
        );
    }
}

#[test]
fn cram_md5_answers_the_challenge_of_its_paper() {
    let server = serve(&[&[
        HI,
        (EHLO, "250-mx.test\r\n250 AUTH CRAM-MD5\r\n"),
        (
            "AUTH CRAM-MD5\r\n",
            "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n",
        ),
        (
            "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n",
            "235 in\r\n",
        ),
        MAIL,
        QUIT,
    ]]);
    let route = Smtp {
        login: Some(login("tim", "tanstaaftanstaaf", Choice::Auto)),
        ..server.route()
    };
    assert_eq!(outcomes(&deliver(route, &message(&["b@b.test"]))), [IN]);
    server.done();
}

#[test]
fn a_server_without_initial_responses_is_asked_again_without() {
    for answer in ["334 \r\n", "334\r\n"] {
        let (outcome, _) = attempt(
            "AUTH PLAIN",
            Choice::Auto,
            &[
                (
                    "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n",
                    "501 no initial response\r\n",
                ),
                ("AUTH PLAIN\r\n", answer),
                ("AHVzZXIAc2VjcmV0\r\n", "235 in\r\n"),
                MAIL,
                QUIT,
            ],
        );
        assert_eq!(outcome, IN);
    }
}

#[test]
fn a_long_token_waits_for_its_turn() {
    let token = "t".repeat(600);

    let encoded = STANDARD.encode(format!("user=u\x01auth=Bearer {token}\x01\x01"));
    let server = serve(&[&[
        HI,
        (EHLO, "250-mx.test\r\n250 AUTH XOAUTH2\r\n"),
        ("AUTH XOAUTH2\r\n", "334 \r\n"),
        (&format!("{encoded}\r\n"), "235 in\r\n"),
        MAIL,
        QUIT,
    ]]);
    let route = Smtp {
        login: Some(login("u", &token, Choice::Only(Mechanism::Xoauth2))),
        ..server.route()
    };
    assert_eq!(outcomes(&deliver(route, &message(&["b@b.test"]))), [IN]);
    server.done();
}

#[test]
fn the_next_mechanism_is_tried_when_one_is_not_to_be_had_but_never_after_a_wrong_password() {
    for refusal in [
        "504 5.5.4 not here\r\n",
        "534 5.7.9 too weak\r\n",
        "500 what\r\n",
    ] {
        let (outcome, _) = attempt(
            "AUTH LOGIN PLAIN",
            Choice::Auto,
            &[
                ("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", refusal),
                ("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"),
                ("dXNlcg==\r\n", "334 UGFzc3dvcmQ6\r\n"),
                ("c2VjcmV0\r\n", "235 in\r\n"),
                MAIL,
                QUIT,
            ],
        );
        assert_eq!(outcome, IN);
    }
    let plain = "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n";
    let (outcome, _) = attempt(
        "AUTH LOGIN PLAIN",
        Choice::Auto,
        &[(plain, "535-5.7.8 bad\r\n535 5.7.8 see x\r\n"), QUIT],
    );
    assert_eq!(outcome, "permanent at login: 535 5.7.8 bad 5.7.8 see x");
    let (outcome, _) = attempt(
        "AUTH LOGIN PLAIN",
        Choice::Auto,
        &[(plain, "454 4.7.0 later\r\n"), QUIT],
    );
    assert_eq!(outcome, "temporary at login: 454 4.7.0 later");
    let (outcome, _) = attempt("AUTH PLAIN", Choice::Auto, &[(plain, "504 none\r\n"), QUIT]);
    assert_eq!(outcome, "permanent at login: 504 none");
}

#[test]
fn a_challenge_that_makes_no_sense_is_given_up() {
    let (outcome, transcript) = attempt(
        "AUTH CRAM-MD5 PLAIN",
        Choice::Auto,
        &[
            ("AUTH CRAM-MD5\r\n", "334 !!!\r\n"),
            ("*\r\n", "501 given up\r\n"),
            ("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", "235 in\r\n"),
            MAIL,
            QUIT,
        ],
    );
    assert_eq!(outcome, IN);
    assert!(
        transcript
            .starts_with("> AUTH CRAM-MD5\n< 334 !!!\n> *\n< 501 given up\n> AUTH PLAIN ***\n")
    );
    let steps = [
        ("AUTH CRAM-MD5\r\n", "334 \r\n"),
        ("*\r\n", "501 given up\r\n"),
        QUIT,
    ];
    let (outcome, _) = attempt("AUTH CRAM-MD5", Choice::Auto, &steps);
    assert_eq!(
        outcome,
        "temporary at login: Protocol(\"invalid challenge to AUTH CRAM-MD5\")"
    );
}

#[test]
fn only_235_is_a_login() {
    for code in ["250 ok", "354 go"] {
        let steps = [("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", &*format!("{code}\r\n"))];
        let (outcome, _) = attempt("AUTH PLAIN", Choice::Auto, &steps);
        assert_eq!(
            outcome,
            format!("temporary at login: Protocol(\"the server replied \\\"{code}\\\" to AUTH\")")
        );
    }
}

#[test]
fn a_server_that_asks_on_and_on_is_left() {
    let mut steps = vec![("AUTH EXTERNAL =\r\n", "334 \r\n")];
    steps.extend([("\r\n", "334 \r\n"); 10]);
    let (outcome, _) = attempt("AUTH EXTERNAL", Choice::Only(Mechanism::External), &steps);
    assert!(outcome.contains("10 to AUTH EXTERNAL"), "{outcome}");
}

#[test]
fn a_refused_token_is_explained_in_the_servers_words() {
    let json = "334 eyJzdGF0dXMiOiI0MDAifQ==\r\n";
    for (name, mechanism, first, answer) in [
        (
            "XOAUTH2",
            Mechanism::Xoauth2,
            "AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHNlY3JldAEB\r\n".to_owned(),
            "\r\n",
        ),
        (
            "OAUTHBEARER",
            Mechanism::Oauthbearer,
            String::new(),
            "AQ==\r\n",
        ),
    ] {
        let hello = format!("250-mx.test\r\n250 AUTH {name}\r\n");
        let server = start(move |listener| {
            let mut stream = listener.accept().unwrap().0;
            play(
                &mut stream,
                &[(String::new(), HI.1.into()), (EHLO.into(), hello)],
            );
            let mut heard = vec![0; 4096];
            let count = stream.read(&mut heard).unwrap();
            let heard = String::from_utf8_lossy(&heard[..count]).into_owned();
            if first.is_empty() {
                let line = heard.trim_end().strip_prefix("AUTH OAUTHBEARER ").unwrap();
                let line = STANDARD.decode(line).unwrap();
                let port = stream.local_addr().unwrap().port();
                let wanted = format!(
                    "n,a=us=3Der=2C,\x01host=127.0.0.1\x01port={port}\x01auth=Bearer secret\x01\x01"
                );
                assert_eq!(String::from_utf8(line).unwrap(), wanted);
            } else {
                assert_eq!(heard, first);
            }
            stream.write_all(json.as_bytes()).unwrap();
            play(
                &mut stream,
                &[
                    (answer.into(), "535 5.7.8 no\r\n".into()),
                    ("QUIT\r\n".into(), String::new()),
                ],
            );
        });
        let user = if answer == "\r\n" { "user" } else { "us=er," };
        let route = Smtp {
            login: Some(login(user, "secret", Choice::Only(mechanism))),
            ..server.route()
        };
        let report = deliver(route, &message(&["b@b.test"]));
        server.done();
        assert_eq!(
            outcomes(&report),
            ["permanent at login: 535 5.7.8 no {\"status\":\"400\"}"]
        );
    }
}

#[test]
fn nothing_is_tried_when_the_server_does_not_offer_it() {
    let lacks = |what, offered: &str| {
        format!(
            "permanent at login: {:?}",
            Cause::Lacks(what, offered.into())
        )
    };
    assert_eq!(
        attempt("SIZE 100", Choice::Auto, &[QUIT]).0,
        lacks(Lacks::Auth, "SIZE HELP")
    );
    assert_eq!(
        attempt("AUTH NTLM XOAUTH2", Choice::Auto, &[QUIT]).0,
        lacks(Lacks::Mechanism, "NTLM XOAUTH2")
    );
    let chosen = Choice::Only(Mechanism::Plain);
    assert_eq!(
        attempt("AUTH LOGIN", chosen, &[QUIT]).0,
        lacks(Lacks::Mechanism, "LOGIN")
    );
}

#[test]
fn a_login_needs_ehlo() {
    let server = serve(&[&[HI, (EHLO, "502 what\r\n"), ("QUIT\r\n", "")]]);
    let route = Smtp {
        login: Some(login("user", "secret", Choice::Auto)),
        ..server.route()
    };
    assert_eq!(
        outcomes(&deliver(route, &message(&["b@b.test"]))),
        ["permanent at hello: 502 what"]
    );
    server.done();
}

#[test]
fn a_nul_in_a_credential_never_leaves() {
    let hello = "250-mx.test\r\n250 AUTH PLAIN\r\n";
    for (user, secret, what) in [
        ("us\0er", "secret", "user name"),
        ("user", "sec\0ret", "password"),
    ] {
        let server = serve(&[&[HI, (EHLO, hello), QUIT]]);
        let route = Smtp {
            login: Some(login(user, secret, Choice::Auto)),
            ..server.route()
        };
        let report = deliver(route, &message(&["b@b.test"]));
        server.done();
        let wanted = Cause::NoSecret(format!("the {what} contains a NUL character"), false);
        assert_eq!(
            report.recipients[0].outcome,
            Err(Classifier::default().classify(Fault::new(Stage::Login, wanted)))
        );
    }
}
