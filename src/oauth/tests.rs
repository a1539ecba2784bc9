//! Whole flows against a server that a closure plays.
use std::cell::RefCell;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::device::DeviceCode;
use super::form::value;
use super::*;
use crate::secret::Secret;

const NOW: i64 = 1_800_000_000;

fn account(dir: &Path, grant: Grant) -> Account {
    Account {
        name: "work".to_owned(),
        user: "me@x.example".to_owned(),
        grant,
        client_id: "client".to_owned(),
        client_secret: None,
        client_key: None,
        service_key: None,
        scope: "https://mail/ offline_access".to_owned(),
        authorize: Some(Url::parse("https://id.example/authorize").unwrap()),
        token: Url::parse("https://id.example/token").unwrap(),
        device: Some(Url::parse("https://id.example/device").unwrap()),
        extra: &[("access_type", "offline")],
        redirect_host: "127.0.0.1",
        rule: None,
        file: dir.join("state/oauth2/work.json"),
    }
}

/// A server with scripted replies that writes down what it is asked.
struct Server {
    replies: RefCell<Vec<(u16, String)>>,
    asked: RefCell<Vec<String>>,
}

impl Server {
    fn new(replies: &[(u16, &str)]) -> Self {
        let replies = replies
            .iter()
            .rev()
            .map(|(status, body)| (*status, (*body).to_owned()));
        Server {
            replies: RefCell::new(replies.collect()),
            asked: RefCell::default(),
        }
    }

    fn post(&self, url: &Url, form: &Zeroizing<String>) -> Result<Response, String> {
        self.asked.borrow_mut().push(format!("{url} {}", **form));
        let (status, body) = self
            .replies
            .borrow_mut()
            .pop()
            .ok_or("connection refused")?;
        Ok(Response {
            status,
            body: Zeroizing::new(body.into_bytes()),
        })
    }

    fn token(
        &self,
        account: &Account,
        now: i64,
        rejected: Option<&str>,
    ) -> Result<String, TokenError> {
        let rejected = rejected.map(Secret::new);
        access_token(account, now, rejected.as_ref(), &|url, form| {
            self.post(url, form)
        })
        .map(|secret| secret.reveal().to_owned())
    }

    fn field(&self, at: usize, name: &str) -> Option<String> {
        let asked = self.asked.borrow();
        let (_, form) = asked[at].split_once(' ').unwrap();
        value(form, name).map(|value| value.to_string())
    }
}

fn granted(access: &str, refresh: Option<&str>, lives: u32) -> String {
    let refresh = refresh.map_or(String::new(), |r| format!(",\"refresh_token\":\"{r}\""));
    format!(
        "{{\"access_token\":\"{access}\",\"token_type\":\"Bearer\",\"expires_in\":{lives}{refresh}}}"
    )
}

fn signed_in(account: &Account, reply: &str, now: i64) {
    let server = Server::new(&[(200, reply)]);
    let authorization = Authorization::begin(account, 4711).unwrap();
    sign_in_with_code(
        account,
        &authorization,
        &Secret::new("code"),
        now,
        &|url, form| server.post(url, form),
    )
    .unwrap();
}

#[test]
fn the_challenge_is_that_of_the_standard() {
    // RFC 7636 appendix B.
    assert_eq!(
        authorize::challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
}

#[test]
fn a_code_is_taken_only_with_the_state_that_went_out() {
    let dir = tempfile::tempdir().unwrap();
    let account = account(dir.path(), Grant::Code);
    let redirect = "http://127.0.0.1:4711".to_owned();
    let begun = Authorization::with(
        &account,
        redirect,
        Secret::new("verifier"),
        "state".to_owned(),
    )
    .unwrap();
    assert_eq!(
        begun.url,
        format!(
            "https://id.example/authorize?response_type=code&client_id=client&\
             redirect_uri=http%3A%2F%2F127.0.0.1%3A4711&scope=https%3A%2F%2Fmail%2F%20offline_access&\
             state=state&code_challenge={}&code_challenge_method=S256&login_hint=me%40x.example&\
             access_type=offline",
            authorize::challenge("verifier")
        )
    );
    let read = |address: &str| match begun.read(address, "id.example") {
        Ok(Redirect::Code(code)) => code.reveal().to_owned(),
        Ok(Redirect::Stray) => "stray".to_owned(),
        Err(error) => format!("{:?}: {error}", error.kind),
    };
    assert_eq!(read("/?code=a%2Fb&state=state"), "a/b");
    assert_eq!(read("http://127.0.0.1:4711/?state=state&code=c#x"), "c");
    assert_eq!(read("/?code=a&state=other"), "stray");
    assert_eq!(read("/?code=a"), "stray");
    assert_eq!(read("/favicon.ico"), "stray");
    assert_eq!(read("/?code=&state=state"), "stray");
    assert_eq!(
        read("/?error=access_denied&error_description=no%0Athanks%1b&state=state"),
        "Denied: id.example replied access_denied: no"
    );
}

#[test]
fn a_token_is_kept_until_a_minute_before_its_end_and_then_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let account = account(dir.path(), Grant::Code);
    signed_in(&account, &granted("first", Some("r1"), 3600), NOW);
    let idle = Server::new(&[]);
    assert_eq!(idle.token(&account, NOW + 3540, None).unwrap(), "first");
    let server = Server::new(&[(200, &granted("second", Some("r2"), 3600))]);
    assert_eq!(server.token(&account, NOW + 3541, None).unwrap(), "second");
    assert_eq!(server.field(0, "refresh_token").unwrap(), "r1");
    assert_eq!(server.field(0, "scope").unwrap(), account.scope);
    // The one that came with it is the next to be used; without one the old stays.
    let server = Server::new(&[
        (200, &granted("third", None, 10)),
        (200, &granted("4th", None, 60)),
    ]);
    assert_eq!(server.token(&account, NOW + 8000, None).unwrap(), "third");
    assert_eq!(server.token(&account, NOW + 8000, None).unwrap(), "4th");
    assert_eq!(server.field(0, "refresh_token").unwrap(), "r2");
    assert_eq!(server.field(1, "refresh_token").unwrap(), "r2");
    let kept = Store::new(&account).load().unwrap().unwrap();
    assert_eq!((kept.signed_in, kept.renewed), (NOW, NOW + 8000));
}

#[test]
fn a_token_that_was_refused_is_renewed_however_long_it_is_good() {
    let dir = tempfile::tempdir().unwrap();
    let account = account(dir.path(), Grant::Code);
    signed_in(&account, &granted("first", Some("r1"), 3600), NOW);
    let server = Server::new(&[(200, &granted("second", None, 3600))]);
    assert_eq!(
        server.token(&account, NOW, Some("first")).unwrap(),
        "second"
    );
    // Another process has renewed it meanwhile: what is kept is not the one that was refused.
    assert_eq!(
        server.token(&account, NOW, Some("first")).unwrap(),
        "second"
    );
    assert_eq!(server.asked.borrow().len(), 1);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_error_of_the_standard_says_what_to_do() {
    use TokenFailure::{Denied, Protocol, Settings, SignIn, Temporary};
    let rows = [
        (
            400,
            r#"{"error":"invalid_grant","error_description":"Token has been revoked.\r\nTrace: 1"}"#,
            SignIn,
            "id.example replied invalid_grant: Token has been revoked.",
        ),
        (
            400,
            r#"{"error":"invalid_request"}"#,
            Settings,
            "id.example replied invalid_request",
        ),
        (
            401,
            r#"{"error":"invalid_client"}"#,
            Settings,
            "id.example replied invalid_client",
        ),
        (
            400,
            r#"{"error":"unauthorized_client"}"#,
            Settings,
            "id.example replied unauthorized_client",
        ),
        (
            400,
            r#"{"error":"unsupported_grant_type"}"#,
            Settings,
            "id.example replied unsupported_grant_type",
        ),
        (
            400,
            r#"{"error":"invalid_scope"}"#,
            Settings,
            "id.example replied invalid_scope",
        ),
        (
            400,
            r#"{"error":"interaction_required"}"#,
            SignIn,
            "id.example replied interaction_required",
        ),
        (
            403,
            r#"{"error":"access_denied"}"#,
            Denied,
            "id.example replied access_denied",
        ),
        (
            400,
            r#"{"error":"temporarily_unavailable"}"#,
            Temporary,
            "id.example replied temporarily_unavailable",
        ),
        (
            503,
            "<html>busy</html>",
            Temporary,
            "id.example replied with status 503 and no error code",
        ),
        (
            429,
            "",
            Temporary,
            "id.example replied with status 429 and no error code",
        ),
        (
            404,
            "<html>",
            Protocol,
            "id.example replied with status 404 and no error code",
        ),
        (
            500,
            r#"{"error":"what"}"#,
            Temporary,
            "id.example replied what",
        ),
        (
            200,
            "<html>hello</html>",
            Protocol,
            "id.example replied with something that is not a token",
        ),
        (
            200,
            r#"{"error":"invalid_grant"}"#,
            SignIn,
            "id.example replied invalid_grant",
        ),
        (
            200,
            r#"{"access_token":"a b"}"#,
            Protocol,
            "id.example replied with status 200 and no error code",
        ),
        (
            400,
            "{\"error\":\"x\\u001b[31m\"}",
            Protocol,
            "id.example replied x\\u{1b}[31m",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let account = account(dir.path(), Grant::Code);
    signed_in(&account, &granted("first", Some("r1"), 0), NOW);
    for (status, body, kind, why) in rows {
        let error = Server::new(&[(status, body)])
            .token(&account, NOW, None)
            .unwrap_err();
        assert_eq!((error.kind, error.why.as_str()), (kind, why), "{body}");
    }
    let error = Server::new(&[]).token(&account, NOW, None).unwrap_err();
    assert_eq!(
        (error.kind, error.why.as_str()),
        (Temporary, "cannot ask id.example: connection refused")
    );
}

#[test]
fn tokens_of_other_settings_are_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let account = account(dir.path(), Grant::Code);
    let server = Server::new(&[]);
    let nobody = |account: &Account| {
        let error = server.token(account, NOW, None).unwrap_err();
        assert_eq!(error.kind, TokenFailure::SignIn);
        error.why
    };
    assert_eq!(nobody(&account), "nobody has signed in as me@x.example");
    signed_in(&account, &granted("first", Some("r1"), 3600), NOW);
    for other in [
        Account {
            user: "you@x.example".to_owned(),
            ..account.clone()
        },
        Account {
            client_id: "other".to_owned(),
            ..account.clone()
        },
        Account {
            token: Url::parse("https://evil.example/token").unwrap(),
            ..account.clone()
        },
        Account {
            scope: "more".to_owned(),
            ..account.clone()
        },
    ] {
        nobody(&other);
    }
    assert!(server.asked.borrow().is_empty());
}

#[test]
fn the_file_is_private_and_another_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let account = account(dir.path(), Grant::Code);
    signed_in(&account, &granted("first", Some("r1"), 3600), NOW);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&account.file), 0o600);
    assert_eq!(mode(account.file.parent().unwrap()), 0o700);
    let file = std::fs::File::open(&account.file).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o640))
        .unwrap();
    let error = Server::new(&[]).token(&account, NOW, None).unwrap_err();
    let shown = account.file.display();
    assert_eq!(
        error.why,
        format!("{shown} is accessible to others; run `chmod 600 {shown}`")
    );
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
        .unwrap();
    std::fs::write(&account.file, "{").unwrap();
    let error = Server::new(&[]).token(&account, NOW, None).unwrap_err();
    assert_eq!(error.kind, TokenFailure::File);
}

#[test]
fn two_at_once_ask_once() {
    let dir = tempfile::tempdir().unwrap();
    let account = account(dir.path(), Grant::Code);
    signed_in(&account, &granted("first", Some("r1"), 0), NOW);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let post = |_: &Url, _: &Zeroizing<String>| {
                        let n = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        Ok(Response {
                            status: 200,
                            body: Zeroizing::new(
                                granted(&format!("t{n}"), Some("r2"), 3600).into(),
                            ),
                        })
                    };
                    access_token(&account, NOW, None, &post)
                        .unwrap()
                        .reveal()
                        .to_owned()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(tokens.iter().all(|token| token == "t0"), "{tokens:?}");
}

#[test]
fn a_device_is_asked_for_at_the_servers_pace() {
    let dir = tempfile::tempdir().unwrap();
    let account = account(dir.path(), Grant::Device);
    let server = Server::new(&[
        (
            200,
            r#"{"device_code":"dc","user_code":"AB-CD","verification_uri":"https://id.example/d","expires_in":600,"interval":3}"#,
        ),
        (400, r#"{"error":"authorization_pending"}"#),
        (400, r#"{"error":"slow_down"}"#),
        (200, &granted("first", Some("r1"), 3600)),
    ]);
    let post = |url: &Url, form: &Zeroizing<String>| server.post(url, form);
    let code = begin_device(&account, &post).unwrap();
    assert_eq!(
        (
            code.user_code.as_str(),
            code.address.as_str(),
            code.interval,
            code.lives
        ),
        ("AB-CD", "https://id.example/d", 3, 600)
    );
    let mut interval = code.interval;
    let mut waits = Vec::new();
    let granted = loop {
        match poll(&account, &code, interval, &post).unwrap() {
            Polled::Wait(next) => {
                waits.push(next);
                interval = next;
            }
            Polled::Done(granted) => break granted,
        }
    };
    assert_eq!(waits, [3, 8]);
    sign_in_with_device(&account, &granted, NOW).unwrap();
    assert_eq!(server.token(&account, NOW, None).unwrap(), "first");
    assert_eq!(server.field(1, "device_code").unwrap(), "dc");
    for (code, kind) in [
        ("expired_token", TokenFailure::SignIn),
        ("access_denied", TokenFailure::Denied),
    ] {
        let body = format!("{{\"error\":\"{code}\"}}");
        let server = Server::new(&[(400, &body)]);
        let device = DeviceCode::for_tests("dc");
        let polled = poll(&account, &device, 5, &|url, form| server.post(url, form));
        assert_eq!(polled.err().map(|error| error.kind), Some(kind), "{code}");
    }
}

/// A key and its certificate, made by OpenSSL.
fn key_pair(dir: &Path) -> (PathBuf, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let (key, cert) = (dir.join("key.pem"), dir.join("cert.pem"));
    let made = std::process::Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout",
        ])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    (key, cert)
}

/// The claims of a statement whose signature OpenSSL finds good.
fn verified(dir: &Path, cert: &Path, statement: &str) -> (serde_json::Value, serde_json::Value) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (signed, signature) = statement.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    std::fs::write(dir.join("signed"), signed).unwrap();
    std::fs::write(dir.join("signature"), decoded(signature)).unwrap();
    let openssl = |words: &[&str]| {
        let out = std::process::Command::new("openssl")
            .current_dir(dir)
            .args(words)
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
    };
    openssl(&[
        "x509",
        "-in",
        cert.to_str().unwrap(),
        "-pubkey",
        "-noout",
        "-out",
        "public",
    ]);
    openssl(&[
        "dgst",
        "-sha256",
        "-verify",
        "public",
        "-signature",
        "signature",
        "signed",
    ]);
    let json = |text| serde_json::from_slice(&decoded(text)).unwrap();
    (json(header), json(claims))
}

#[test]
fn a_client_signs_in_by_itself_with_a_secret_or_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let plain = account(dir.path(), Grant::ClientCredentials);
    let error = Server::new(&[]).token(&plain, NOW, None).unwrap_err();
    assert_eq!(error.kind, TokenFailure::Settings);
    let by_secret = Account {
        client_secret: Some(SecretSource::Inline(Secret::new("s3cret"))),
        ..plain.clone()
    };
    let server = Server::new(&[(200, &granted("app", None, 3600))]);
    assert_eq!(server.token(&by_secret, NOW, None).unwrap(), "app");
    assert_eq!(
        *server.asked.borrow(),
        [
            "https://id.example/token grant_type=client_credentials&client_id=client&scope=https%3A%2F%2Fmail%2F%20offline_access&client_secret=s3cret"
        ]
    );
    // It is kept for the next process.
    assert_eq!(server.token(&by_secret, NOW, None).unwrap(), "app");
    let (key, cert) = key_pair(dir.path());
    let by_cert = Account {
        client_key: Some((key, cert.clone())),
        scope: "another".to_owned(),
        ..plain
    };
    let server = Server::new(&[(200, &granted("app", None, 3600))]);
    assert_eq!(server.token(&by_cert, NOW, None).unwrap(), "app");
    let statement = server.field(0, "client_assertion").unwrap();
    let (header, claims) = verified(dir.path(), &cert, &statement);
    assert_eq!(header["alg"], "RS256");
    assert!(
        header["x5t"].is_string() && header["x5t#S256"].is_string(),
        "{header}"
    );
    for (name, wanted) in [
        ("iss", "client"),
        ("sub", "client"),
        ("aud", "https://id.example/token"),
    ] {
        assert_eq!(claims[name], wanted);
    }
    assert_eq!(
        (claims["iat"].as_i64(), claims["exp"].as_i64()),
        (Some(NOW), Some(NOW + 600))
    );
}

#[test]
fn a_service_account_acts_for_the_mailbox() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (key, cert) = key_pair(dir.path());
    let file = dir.path().join("robot.json");
    let text = serde_json::json!({
        "type": "service_account",
        "client_email": "robot@p.iam.example",
        "private_key_id": "k1",
        "private_key": std::fs::read_to_string(key).unwrap(),
    });
    std::fs::write(&file, text.to_string()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let account = Account {
        service_key: Some(file),
        ..account(dir.path(), Grant::ServiceAccount)
    };
    let server = Server::new(&[(200, &granted("robot", None, 3600))]);
    assert_eq!(server.token(&account, NOW, None).unwrap(), "robot");
    assert_eq!(
        server.field(0, "grant_type").unwrap(),
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let (header, claims) = verified(dir.path(), &cert, &server.field(0, "assertion").unwrap());
    assert_eq!(header["kid"], "k1");
    for (name, wanted) in [
        ("iss", "robot@p.iam.example"),
        ("sub", "me@x.example"),
        ("scope", "https://mail/ offline_access"),
    ] {
        assert_eq!(claims[name], wanted);
    }
}

#[test]
fn the_listener_takes_its_own_redirect_alone() {
    use std::io::{Read as _, Write as _};
    let listener = Listener::open().unwrap();
    let port = listener.port;
    let asked = std::thread::spawn(move || {
        [
            "POST /?a HTTP/1.1",
            "GET /favicon.ico HTTP/1.1",
            "GET /?code=c HTTP/1.1",
        ]
        .map(|line| {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream
                .write_all(format!("{line}\r\nHost: x\r\n\r\n").as_bytes())
                .unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            reply.lines().next().unwrap().to_owned()
        })
    });
    let none = std::sync::atomic::AtomicUsize::new(0);
    let mut heard = Vec::new();
    let minute = std::time::Duration::from_mins(1);
    listener
        .wait(minute, &none, |target| {
            heard.push(target.to_owned());
            target.contains("code=")
        })
        .unwrap();
    assert_eq!(heard, ["/favicon.ico", "/?code=c"]);
    assert_eq!(
        asked.join().unwrap(),
        [
            "HTTP/1.1 404 Not Found",
            "HTTP/1.1 404 Not Found",
            "HTTP/1.1 200 OK"
        ]
    );
    let signal = std::sync::atomic::AtomicUsize::new(2);
    let ended = listener.wait(minute, &signal, |_| true).unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::Interrupted);
}

#[test]
fn an_error_that_repeats_what_it_was_asked_with_shows_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let account = Account {
        client_secret: Some(SecretSource::Inline(Secret::new("cl!ent-secret"))),
        ..account(dir.path(), Grant::Code)
    };
    signed_in(&account, &granted("first", Some("r1-very-secret"), 0), NOW);
    let page =
        r#"{"error":"invalid_grant","error_description":"bad r1-very-secret of cl!ent-secret"}"#;
    let error = Server::new(&[(400, page)])
        .token(&account, NOW, None)
        .unwrap_err();
    assert_eq!(
        error.why,
        "id.example replied invalid_grant: bad *** of ***"
    );
}
