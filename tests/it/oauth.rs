//! Logins with access tokens: signing in, renewing, and what becomes of a mail where that fails.
use std::sync::{Arc, Mutex};

use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::sink::{Options, Sink};
use crate::support::token_server::{CLIENT_SECRET, MARK, TokenServer};

/// A mail server that wants a token, and whoever gives it out.
struct Place {
    sandbox: Sandbox,
    tokens: TokenServer,
    sink: Sink,
}

impl Place {
    fn new() -> Self {
        let tokens = TokenServer::start();
        let sink = Options::new()
            .token("me@x.example", tokens.access())
            .implicit()
            .start();
        let place = Place {
            sandbox: Sandbox::new(),
            tokens,
            sink,
        };
        place.settings("");
        place
    }

    /// Writes an account `work` with some lines more.
    fn settings(&self, more: &str) {
        let text = format!(
            "[accounts.work]\nfrom = \"me@x.example\"\nauth-user = \"me@x.example\"\n\
             smtp = \"smtps://localhost:{}\"\ntls-ca-file = \"{}\"\nauth = \"oauth2\"\n\
             oauth2-client-id = \"client\"\noauth2-scope = \"https://mail/\"\n\
             oauth2-authorize-url = \"{}\"\noauth2-token-url = \"{}\"\noauth2-device-url = \"{}\"\n{more}",
            self.sink.port(),
            self.sandbox.pem("ca").display(),
            self.tokens.url("authorize"),
            self.tokens.url("token"),
            self.tokens.url("device"),
        );
        self.sandbox
            .write_mode("home/.config/smail/config.toml", &text, 0o600);
    }

    fn smail(&self, args: &[&str]) -> Outcome {
        self.sandbox.smail(args).run()
    }

    /// A person signs in: a program that stands for a browser follows every redirect.
    fn sign_in(&self) -> Outcome {
        self.sandbox.write_program(
            "bin/xdg-open",
            "#!/bin/sh\nexec curl -s -L -o /dev/null \"$1\" >/dev/null 2>&1\n",
        );
        let path = format!("{}:/usr/bin:/bin", self.sandbox.path("bin").display());
        let run = self.sandbox.smail(&["--login", "work"]);
        let outcome = run.env("PATH", path).env("DISPLAY", ":9").run();
        assert_eq!(outcome.status, 0, "{outcome:?}");
        outcome
    }

    fn send(&self) -> Outcome {
        self.sandbox
            .smail(&["-A", "work", "-s", "hello", "you@x.example"])
            .stdin("text\n")
            .run()
    }

    /// What the queue holds of a mail.
    fn stored(&self, id: &str) -> String {
        let read = |ending| {
            let path = self
                .sandbox
                .queue_dir()
                .join("q")
                .join(format!("{id}.{ending}"));
            String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
        };
        read("msg") + &read("log")
    }

    fn token_file(&self) -> String {
        let file = self
            .sandbox
            .read("home/.local/state/smail/oauth2/work.json");
        String::from_utf8(file.expect("nobody has signed in")).unwrap()
    }
}

/// Fails where a token, or its base64, is in what people see.
#[track_caller]
fn nothing_leaked(text: &str) {
    use base64::Engine as _;
    let encoded = |offset: usize| {
        let text = format!("{}{MARK}", "x".repeat(offset));
        let all = base64::engine::general_purpose::STANDARD.encode(text);
        all[4..all.len() - 4].to_owned()
    };
    for secret in [
        MARK.to_owned(),
        CLIENT_SECRET.to_owned(),
        encoded(0),
        encoded(1),
        encoded(2),
    ] {
        assert!(!text.contains(&secret), "{secret} is in\n{text}");
    }
}

#[test]
fn a_person_signs_in_with_a_browser_and_mail_goes_from_then_on() {
    let place = Place::new();
    let before = place.send();
    assert_eq!(before.status, 77, "{before:?}");
    assert_eq!(
        before.stderr,
        format!(
            "smail: cannot log in to localhost:{} (implicit TLS) as me@x.example\n  \
             no access token for work: nobody has signed in as me@x.example\n  \
             account: work\n  auth-user: set in {}:3\n\nhint: run smail --login work to sign in\n      \
             a message in the queue waits until then\n",
            place.sink.port(),
            place
                .sandbox
                .path("home/.config/smail/config.toml")
                .display()
        )
    );
    let outcome = place.sign_in();
    assert!(
        outcome.stderr.ends_with(&format!(
            "Signed in as me@x.example. The tokens are in {}.\n",
            place
                .sandbox
                .path("home/.local/state/smail/oauth2/work.json")
                .display()
        )),
        "{outcome:?}"
    );
    nothing_leaked(&outcome.stderr);
    let sent = place.send();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    assert_eq!(place.sink.mails().len(), 1);
    assert_eq!(place.tokens.grants(), ["authorization_code"]);
}

#[test]
fn the_address_of_a_browser_elsewhere_can_be_pasted() {
    let place = Place::new();
    let smail = env!("CARGO_BIN_EXE_smail");
    let script = format!(
        "mkfifo in\n'{smail}' --login work --no-browser <in 2>err &\nexec 3>in\n\
         until grep -q ^http err; do :; done\n\
         curl -s -o /dev/null -w '%{{redirect_url}}\\n' \"$(grep ^http err)\" >&3\nexec 3>&-\nwait $!\n"
    );
    let outcome = place.sandbox.program(&["/bin/sh", "-c", &script]).run();
    assert_eq!(
        outcome.status,
        0,
        "{:?} {:?}",
        outcome,
        place.sandbox.read("err")
    );
    assert!(place.token_file().contains("ACCESS-1"));
    // Anything else is refused.
    let run = place.sandbox.smail(&["--login", "work", "--no-browser"]);
    let stray = run.stdin("http://127.0.0.1:1/?code=x&state=y\n").run();
    assert_eq!(stray.status, 77, "{stray:?}");
    assert!(
        stray.stderr.contains("That address is not of this sign-in"),
        "{stray:?}"
    );
}

#[test]
fn a_device_signs_in_with_a_code() {
    let place = Place::new();
    place.settings("oauth2-grant = \"device\"\n");
    let outcome = place.smail(&["--login", "work"]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(
        outcome.stderr.starts_with(
            "Open https://id.example/device on any device and enter this code: ABCD-EFGH\n"
        ),
        "{outcome:?}"
    );
    nothing_leaked(&outcome.stderr);
    assert_eq!(place.send().status, 0);
}

#[test]
fn an_expired_token_is_renewed_and_the_mail_goes() {
    let place = Place::new();
    place.tokens.lives(0);
    place.sign_in();
    place.tokens.lives(3600);
    assert_eq!(place.send().status, 0);
    assert_eq!(place.send().status, 0);
    assert_eq!(
        place.tokens.grants(),
        ["authorization_code", "refresh_token"]
    );
    assert!(place.token_file().contains("REFRESH-2"));
}

#[test]
fn many_at_once_end_with_one_good_token() {
    let place = Place::new();
    place.tokens.lives(0);
    place.sign_in();
    place.tokens.lives(3600);
    let runs: Vec<_> = (0..6)
        .map(|_| {
            let run = place
                .sandbox
                .smail(&["-A", "work", "-s", "hello", "you@x.example"]);
            run.stdin("text\n").start()
        })
        .collect();
    for run in runs {
        let outcome = run.finish();
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    }
    assert_eq!(place.sink.mails().len(), 6);
    assert_eq!(
        place.tokens.grants(),
        ["authorization_code", "refresh_token"]
    );
}

#[test]
fn a_token_that_the_server_refuses_is_renewed_once() {
    let place = Place::new();
    place.sign_in();
    // The mail server has forgotten it.
    "another".clone_into(&mut place.tokens.access().lock().unwrap());
    let sent = place.send();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    assert_eq!(
        place.tokens.grants(),
        ["authorization_code", "refresh_token"]
    );
    // A server that takes no token at all is asked twice, and no more.
    let place = Place::new();
    place.sign_in();
    let closed = Options::new()
        .token("me@x.example", Arc::new(Mutex::new("none".to_owned())))
        .implicit()
        .start();
    let smtp = format!("smtp = \"smtps://localhost:{}\"\n", closed.port());
    let text = place
        .sandbox
        .read("home/.config/smail/config.toml")
        .unwrap();
    let text = String::from_utf8(text).unwrap();
    let old = format!("smtp = \"smtps://localhost:{}\"\n", place.sink.port());
    place.sandbox.write_mode(
        "home/.config/smail/config.toml",
        text.replace(&old, &smtp),
        0o600,
    );
    let refused = place.send();
    assert_eq!(refused.status, 77, "{refused:?}");
    nothing_leaked(&refused.stderr);
    assert!(
        refused.stderr.contains("535 5.7.8 authentication failed"),
        "{refused:?}"
    );
    assert!(
        refused.stderr.contains("\"scope\":\"https://mail/\""),
        "{refused:?}"
    );
    let tried = closed.dialogue();
    let tried = tried
        .iter()
        .filter(|line| line.starts_with("C: AUTH XOAUTH2"))
        .count();
    assert_eq!(tried, 2);
    assert_eq!(
        place.tokens.grants(),
        ["authorization_code", "refresh_token"]
    );
}

#[test]
fn a_sign_in_that_has_ended_leaves_the_mail_in_the_queue_and_says_what_to_do() {
    let place = Place::new();
    place.tokens.lives(0);
    place.sign_in();
    place.tokens.revoke();
    let run = place
        .sandbox
        .smail(&["-A", "work", "-s", "hello", "you@x.example"]);
    let outcome = run.stdin("text\n").queued().run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("queued as"), "{outcome:?}");
    assert!(outcome.stderr.contains("invalid_grant"), "{outcome:?}");
    nothing_leaked(&outcome.stderr.replace(&format!("no {MARK}"), ""));
    assert_eq!(place.sandbox.entries().len(), 1);
    // After a new sign-in it goes.
    place.tokens.lives(3600);
    place.sign_in();
    let id = &place.sandbox.entries()[0];
    let released = place.sandbox.smail(&["--release", id]).queued().run();
    assert_eq!(released.status, 0, "{released:?}");
    let flushed = place.sandbox.smail(&["--flush"]).queued().run();
    assert_eq!(flushed.status, 0, "{flushed:?}");
    assert_eq!(place.sink.mails().len(), 1, "{flushed:?}");
    assert!(place.sandbox.entries().is_empty());
}

#[test]
fn a_provider_that_cannot_be_asked_is_a_reason_to_try_later() {
    let place = Place::new();
    place.tokens.lives(0);
    place.sign_in();
    place.tokens.instead(503, "busy");
    let outcome = place.send();
    assert_eq!(outcome.status, 75, "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("no access token for work: 127.0.0.1 replied with status 503"),
        "{outcome:?}"
    );
    place.tokens.instead(401, "{\"error\":\"invalid_client\"}");
    assert_eq!(place.send().status, 78);
    // In the other language too.
    place.tokens.instead(401, "{\"error\":\"invalid_client\"}");
    let run = place
        .sandbox
        .smail(&["-A", "work", "-S", "language=zh", "you@x.example"]);
    let outcome = run.stdin("x\n").run();
    assert!(
        outcome
            .stderr
            .contains("没有 work 的访问令牌：127.0.0.1 replied invalid_client"),
        "{outcome:?}"
    );
}

#[test]
fn a_program_that_prints_a_token_is_asked_once_more_after_a_refusal() {
    let place = Place::new();
    place.sign_in();
    let good = place.tokens.access().lock().unwrap().clone();
    let command = place.sandbox.write_program(
        "token",
        &format!(
            "#!/bin/sh\necho run \"$SMAIL_TOKEN_REJECTED\" >>\"$HOME/runs\"\n\
             if test -n \"$SMAIL_TOKEN_REJECTED\"; then echo {good}; else echo old; fi\n"
        ),
    );
    place.settings(&format!(
        "oauth2-token-command = [\"{}\"]\n",
        command.display()
    ));
    let sent = place.send();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    assert_eq!(place.sandbox.read("home/runs").unwrap(), b"run \nrun 1\n");
    assert_eq!(place.sink.mails().len(), 1);
}

#[test]
fn status_and_token_are_for_people_and_programs() {
    let place = Place::new();
    let status = || place.smail(&["--login", "--status"]);
    assert_eq!(status().stdout, "work: me@x.example, not signed in\n");
    place.sign_in();
    let shown = status();
    assert_eq!(shown.status, 0, "{shown:?}");
    assert!(
        shown
            .stdout
            .starts_with("work: me@x.example, signed in on 2")
            && ["59", "60"].iter().any(|minutes| {
                let end = format!(
                    "; the access token is good for {minutes} min
"
                );
                shown.stdout.ends_with(&end)
            }),
        "{shown:?}"
    );
    let token = place.smail(&["--token", "work"]);
    assert_eq!((token.status, token.stderr.as_str()), (0, ""));
    assert_eq!(token.stdout, format!("{MARK}ACCESS-1\n"));
    place.settings("oauth2-provider = \"google\"\n");
    let shown = status();
    assert!(
        shown
            .stdout
            .ends_with("; if the client is in testing, the sign-in ends in 6 days\n")
            || shown
                .stdout
                .ends_with("; if the client is in testing, the sign-in ends in 7 days\n"),
        "{shown:?}"
    );
    // Seven days are few enough to be told by a check.
    let check = place.smail(&["--check", "work"]);
    assert!(
        ["6", "7"].iter().any(|days| check.stdout.contains(&format!(
            "if the client at the provider is in testing, the sign-in ends in {days} days: \
             run smail --login work"
        ))),
        "{check:?}"
    );
    let nobody = place.sandbox.smail(&["--token", "-S", "auth=plain"]).run();
    assert_eq!(nobody.status, 78, "{nobody:?}");
}

#[test]
fn a_client_signs_in_by_itself() {
    let place = Place::new();
    place
        .sandbox
        .write_mode("client-secret", format!("{CLIENT_SECRET}\n"), 0o600);
    let file = place.sandbox.path("client-secret");
    place.settings(&format!(
        "oauth2-grant = \"client-credentials\"\noauth2-client-secret-file = \"{}\"\n",
        file.display()
    ));
    assert_eq!(place.send().status, 0);
    assert_eq!(place.send().status, 0);
    assert_eq!(place.tokens.grants(), ["client_credentials"]);
    let login = place.smail(&["--login", "work"]);
    assert_eq!(
        (login.status, login.stderr.as_str()),
        (
            0,
            "This account needs no sign-in; 127.0.0.1 gave out a token.\n"
        )
    );
}

#[test]
fn a_token_is_sent_only_to_the_server_of_its_file() {
    let place = Place::new();
    place.sign_in();
    let other = Options::new()
        .token("me@x.example", Arc::new(Mutex::new("none".to_owned())))
        .implicit()
        .start();
    let smtp = format!("smtp=smtps://localhost:{}", other.port());
    let run = place
        .sandbox
        .smail(&["-A", "work", "-S", &smtp, "you@x.example"]);
    let outcome = run.stdin("x\n").run();
    assert_eq!(outcome.status, 77, "{outcome:?}");
    assert!(
        outcome.stderr.contains("oauth2-client-id in "),
        "{outcome:?}"
    );
    assert_eq!(other.sessions(), 0);
}

#[test]
fn no_token_is_in_what_people_and_programs_see() {
    let place = Place::new();
    place.tokens.lives(0);
    place
        .sandbox
        .write_mode("client-secret", format!("{CLIENT_SECRET}\n"), 0o600);
    let file = place.sandbox.path("client-secret");
    place.settings(&format!(
        "oauth2-client-secret-file = \"{}\"\nlog = \"{}\"\n",
        file.display(),
        place.sandbox.path("log").display()
    ));
    let mut seen = place.sign_in().stderr;
    for more in [
        &["-v"][..],
        &["--json"],
        &["--check"],
        &["--show-settings"],
        &["-d"],
    ] {
        let mut args = vec!["-A", "work"];
        args.extend_from_slice(more);
        if !more.contains(&"--show-settings") && !more.contains(&"--check") {
            args.extend(["-s", "hello", "you@x.example"]);
        }
        let run = place.sandbox.smail(&args).stdin("text\n");
        let outcome = run.queued().run();
        seen.push_str(&outcome.stdout);
        seen.push_str(&outcome.stderr);
    }
    place.tokens.revoke();
    let failing = place
        .sandbox
        .smail(&["-A", "work", "-v", "you@x.example"])
        .stdin("x\n")
        .queued()
        .run();
    seen.push_str(&failing.stderr.replace(&format!("no {MARK}"), ""));
    seen.push_str(
        &String::from_utf8_lossy(&place.sandbox.read("log").unwrap())
            .replace(&format!("no {MARK}"), ""),
    );
    let waiting = place.sandbox.entries();
    assert!(!waiting.is_empty());
    for id in waiting {
        seen.push_str(&place.stored(&id).replace(&format!("no {MARK}"), ""));
    }
    assert!(place.sink.mails().len() >= 2, "{seen}");
    nothing_leaked(&seen);
}

#[test]
fn setup_goes_through_the_sign_in_and_tries_it() {
    let place = Place::new();
    std::fs::remove_file(place.sandbox.path("home/.config/smail/config.toml")).unwrap();
    place.sandbox.write_program(
        "bin/xdg-open",
        "#!/bin/sh\nexec curl -s -L -o /dev/null \"$1\" >/dev/null 2>&1\n",
    );
    let path = format!("{}:/usr/bin:/bin", place.sandbox.path("bin").display());
    let settings = [
        format!("smtp=smtps://localhost:{}", place.sink.port()),
        format!("tls-ca-file={}", place.sandbox.pem("ca").display()),
        "auth-user=me@x.example".to_owned(),
        "auth=oauth2".to_owned(),
        "oauth2-client-id=client".to_owned(),
        "oauth2-scope=https://mail/".to_owned(),
        format!("oauth2-authorize-url={}", place.tokens.url("authorize")),
        format!("oauth2-token-url={}", place.tokens.url("token")),
    ];
    let mut args = vec!["--setup", "me@x.example", "--yes"];
    args.extend(settings.iter().flat_map(|setting| ["-S", setting]));
    let run = place
        .sandbox
        .smail(&args)
        .env("PATH", path)
        .env("DISPLAY", ":9");
    let outcome = run.run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    nothing_leaked(&format!("{}{}", outcome.stdout, outcome.stderr));
    let sent = place
        .sandbox
        .smail(&["-s", "hello", "you@x.example"])
        .stdin("text\n")
        .run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    assert_eq!(place.sink.mails().len(), 1);
    assert_eq!(place.tokens.grants(), ["authorization_code"]);
}

#[test]
fn a_mail_that_waits_keeps_its_client_and_none_of_its_secrets() {
    let place = Place::new();
    std::fs::remove_file(place.sandbox.path("home/.config/smail/config.toml")).unwrap();
    let settings = [
        format!("smtp=smtps://localhost:{}", place.sink.port()),
        format!("tls-ca-file={}", place.sandbox.pem("ca").display()),
        "from=me@x.example".to_owned(),
        "auth-user=me@x.example".to_owned(),
        "auth=oauth2".to_owned(),
        "oauth2-grant=client-credentials".to_owned(),
        "oauth2-client-id=client".to_owned(),
        "oauth2-scope=https://mail/".to_owned(),
        format!("oauth2-token-url={}", place.tokens.url("token")),
    ];
    let mut args = Vec::new();
    args.extend(settings.iter().flat_map(|setting| ["-S", setting]));
    args.extend(["-s", "hello", "you@x.example"]);
    place.tokens.instead(503, "busy");
    let run = place.sandbox.smail(&args).stdin("text\n").queued();
    let outcome = run.env("SMAIL_OAUTH2_CLIENT_SECRET", CLIENT_SECRET).run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let id = place.sandbox.entries().remove(0);
    let kept = place.sandbox.smail(&["--queue-show", &id]).queued().run();
    nothing_leaked(&format!("{outcome:?}{kept:?}"));
    nothing_leaked(&place.stored(&id));
    // A run that has the secret sends it.
    place.sandbox.smail(&["--release", &id]).queued().run();
    let flush = place.sandbox.smail(&["--flush"]).queued();
    let flushed = flush.env("SMAIL_OAUTH2_CLIENT_SECRET", CLIENT_SECRET).run();
    assert_eq!(flushed.status, 0, "{flushed:?}");
    assert_eq!(place.sink.mails().len(), 1);
}
