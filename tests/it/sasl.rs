//! Logins by SCRAM: the best that is offered, and servers that lie in it. None of them gets the
//! password, and none is believed.
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::scram::Lie;
use crate::support::sink::{Options, Sink};

const PASSWORD: &str = "s3cret-pw";
const ALL: [&str; 7] = [
    "LOGIN",
    "PLAIN",
    "CRAM-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
];

/// Sends with a login.
fn send(sink: &Sink, scheme: &str, more: &[&str]) -> Outcome {
    let sandbox = Sandbox::new();
    let server = format!("smtp={scheme}://localhost:{}", sink.port());
    let ca = format!("tls-ca-file={}", sandbox.pem("ca").display());
    let tls = match scheme {
        "smtps" => "tls=implicit",
        _ => "tls=none",
    };
    let mut args = vec!["-S", &server, "-S", &ca, "-S", tls, "-S", "auth-user=u"];
    if !more.iter().any(|word| word.starts_with("auth-password=")) {
        args.extend(["-S", "auth-password=s3cret-pw"]);
    }
    args.extend_from_slice(more);
    if !more.contains(&"--check") {
        args.extend(["-r", "a@a.example", "b@x.example"]);
    }
    sandbox.smail(&args).stdin("x\n").run()
}

fn start(options: Options, mechanisms: &[&str], lie: Lie) -> Sink {
    let options = options.login("u", PASSWORD).mechanisms(mechanisms);
    options.lie(lie).start()
}

/// The mechanisms that were tried.
fn tried(sink: &Sink) -> Vec<String> {
    let dialogue = sink.dialogue();
    let words = dialogue.iter().filter_map(|line| {
        let rest = line.strip_prefix("C: AUTH ")?;
        Some(rest.split(' ').next()?.to_owned())
    });
    words.collect()
}

#[test]
fn the_strongest_mechanism_that_is_offered_is_used_first() {
    for (scheme, offered, wanted) in [
        ("smtps", &ALL[..], "SCRAM-SHA-256-PLUS"),
        ("smtps", &ALL[..6], "SCRAM-SHA-256"),
        ("smtps", &ALL[..5], "SCRAM-SHA-1-PLUS"),
        ("smtps", &ALL[..4], "SCRAM-SHA-1"),
        ("smtps", &ALL[..3], "PLAIN"),
        ("smtps", &["CRAM-MD5", "LOGIN"], "LOGIN"),
        // Nothing can be bound to a connection without TLS.
        ("smtp", &ALL[..], "SCRAM-SHA-256"),
        ("smtp", &ALL[..4], "SCRAM-SHA-1"),
        ("smtp", &ALL[..3], "CRAM-MD5"),
        ("smtp", &ALL[..2], "PLAIN"),
    ] {
        let options = match scheme {
            "smtps" => Options::new().implicit(),
            _ => Options::new(),
        };
        let sink = start(options, offered, Lie::None);
        let outcome = send(&sink, scheme, &[]);
        assert_eq!((outcome.status, &*outcome.stderr), (0, ""), "{wanted}");
        assert_eq!(tried(&sink), [wanted]);
        assert_eq!(sink.only_mail().user.as_deref(), Some("u"));
    }
}

#[test]
fn each_mechanism_can_be_asked_for() {
    for name in ALL {
        let sink = start(Options::new().implicit(), &ALL, Lie::None);
        let auth = format!("auth={}", name.to_lowercase());
        let outcome = send(&sink, "smtps", &["-S", &auth]);
        assert_eq!((outcome.status, &*outcome.stderr), (0, ""), "{name}");
        assert_eq!(tried(&sink), [name]);
    }
    let sink = start(Options::new(), &ALL, Lie::None);
    let outcome = send(&sink, "smtp", &["-S", "auth=scram-sha-256-plus"]);
    assert_eq!(outcome.status, 69, "{}", outcome.stderr);
    assert_eq!(tried(&sink), [""; 0]);
}

#[test]
fn a_signature_in_the_reply_that_accepts_the_login_is_verified_too() {
    let sink = start(Options::new(), &ALL, Lie::SignatureInReply);
    let outcome = send(&sink, "smtp", &[]);
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
}

#[test]
fn a_server_that_lies_in_scram_is_not_believed_and_gets_no_password() {
    let (no_signature, nonce) = (
        ["accepted the login without its signature", "没有给出签名"],
        ["nonce does not extend ours", "nonce 不是我方 nonce 的延续"],
    );
    for (lie, said) in [
        (
            Lie::OtherSignature,
            ["the signature of the server is wrong", "签名不正确"],
        ),
        (Lie::NoSignature, no_signature),
        (Lie::AtOnce, no_signature),
        (Lie::OtherNonce, nonce),
        (Lie::SameNonce, nonce),
        (Lie::Iterations(0), ["asks for 0 iterations", "迭代 0 次"]),
        (Lie::Iterations(1), ["asks for 1 iterations", "迭代 1 次"]),
        (
            Lie::Iterations(4_000_000_000),
            ["asks for 4000000000 iterations", "迭代 4000000000 次"],
        ),
        (
            Lie::Extension,
            ["requires an unknown extension", "未知的扩展"],
        ),
        (Lie::Words, ["sent an invalid message", "消息无效"]),
    ] {
        for (language, said) in ["language=en", "language=zh"].into_iter().zip(said) {
            let sink = start(Options::new().implicit(), &ALL, lie);
            let outcome = send(&sink, "smtps", &["-S", language]);
            assert_eq!(outcome.status, 76, "{lie:?}: {}", outcome.stderr);
            assert!(outcome.stderr.contains(said), "{lie:?}: {}", outcome.stderr);
            assert_eq!(
                outcome.owes(&[PASSWORD, "czNjcmV0LXB3"]),
                [""; 0],
                "{lie:?}"
            );
            assert_eq!(tried(&sink), ["SCRAM-SHA-256-PLUS"], "{lie:?}");
            assert_eq!(sink.mails().len(), 0, "{lie:?}");
        }
    }
}

#[test]
fn a_wrong_password_is_refused_once_and_nothing_else_is_tried() {
    for name in [
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-1",
    ] {
        let sink = start(
            Options::new().implicit(),
            &["PLAIN", "CRAM-MD5", name],
            Lie::None,
        );
        let outcome = send(&sink, "smtps", &["-S", "auth-password=wrong-pw"]);
        assert_eq!(outcome.status, 77, "{name}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("535 5.7.8"), "{}", outcome.stderr);
        assert_eq!(tried(&sink), [name]);
    }
}

#[test]
fn a_user_without_a_verifier_logs_in_by_another_mechanism() {
    let sink = start(Options::new().implicit(), &ALL[..4], Lie::NoVerifier);
    let outcome = send(&sink, "smtps", &[]);
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
    assert_eq!(tried(&sink), ["SCRAM-SHA-1", "PLAIN"]);
    // Each refusal counts against the address that it comes from.
    let sink = start(Options::new().implicit(), &ALL, Lie::NoVerifier);
    let outcome = send(&sink, "smtps", &[]);
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
    assert_eq!(
        tried(&sink),
        ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"]
    );
    let sink = start(Options::new().implicit(), &ALL, Lie::NoVerifier);
    let outcome = send(&sink, "smtps", &["-S", "auth=scram-sha-256"]);
    assert_eq!(outcome.status, 77, "{}", outcome.stderr);
    assert_eq!(tried(&sink), ["SCRAM-SHA-256"]);
}

#[test]
fn a_server_that_knows_another_channel_binding_is_asked_without_one() {
    let sink = start(Options::new().implicit(), &ALL, Lie::OtherBinding);
    let outcome = send(&sink, "smtps", &[]);
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
    assert_eq!(tried(&sink), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
    let sink = start(Options::new().implicit(), &ALL, Lie::OtherBinding);
    let outcome = send(&sink, "smtps", &["-S", "auth=scram-sha-256-plus"]);
    assert_eq!(outcome.status, 77, "{}", outcome.stderr);
    let reason = "e=unsupported-channel-binding-type";
    assert!(outcome.stderr.contains(reason), "{}", outcome.stderr);
}

#[test]
fn a_connection_that_ends_in_the_login_is_a_temporary_failure() {
    let sink = start(Options::new(), &ALL, Lie::Close);
    let outcome = send(&sink, "smtp", &[]);
    assert_eq!(outcome.status, 75, "{}", outcome.stderr);
    assert_eq!(tried(&sink), ["SCRAM-SHA-256"]);
}

#[test]
fn a_rehearsal_names_the_mechanism() {
    let sink = start(Options::new().implicit(), &ALL, Lie::None);
    let outcome = send(&sink, "smtps", &["--check"]);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("SCRAM-SHA-256-PLUS"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn the_transcript_shows_neither_password_nor_proof() {
    let sink = start(Options::new().implicit(), &ALL, Lie::None);
    let outcome = send(&sink, "smtps", &["-v"]);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let answers = sink.dialogue();
    let answers = answers.iter().filter_map(|line| line.strip_prefix("C: "));
    let secrets: Vec<_> = answers.filter(|line| line.len() > 100).collect();
    assert_eq!(secrets.len(), 2, "the first message and the proof");
    for secret in secrets {
        let secret = secret.rsplit(' ').next().unwrap();
        assert!(!outcome.stderr.contains(secret), "{}", outcome.stderr);
    }
    assert!(
        outcome.stderr.contains("AUTH SCRAM-SHA-256-PLUS ***"),
        "{}",
        outcome.stderr
    );
}
