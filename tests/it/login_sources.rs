//! Where a login gets what it needs: credentials of systemd, a proxy of the environment, a token over
//! HTTPS, and a password that was changed meanwhile.
use crate::support::sandbox::{Outcome, Run, Sandbox};
use crate::support::sink::{Options, Sink};
use crate::support::web::{Place, There, Web};

fn server(sandbox: &Sandbox, sink: &Sink, more: &str) {
    let text = format!(
        "smtp = \"smtps://localhost:{}\"\ntls-ca-file = \"{}\"\nfrom = \"me@x.example\"\n{more}",
        sink.port(),
        sandbox.pem("ca").display()
    );
    sandbox.write_mode("home/.config/smail/config.toml", text, 0o600);
}

fn mail<'s>(sandbox: &'s Sandbox, args: &[&str]) -> Run<'s> {
    let run = sandbox.smail(&["-s", "hello", "you@x.example"]);
    run.args_of(args).stdin("text\n")
}

#[track_caller]
fn sent(outcome: &Outcome) {
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
}

#[test]
fn systemd_hands_a_service_its_password() {
    let sandbox = Sandbox::new();
    let sink = Options::new()
        .login("me@x.example", "from systemd")
        .implicit()
        .start();
    server(
        &sandbox,
        &sink,
        "auth-user = \"me@x.example\"\n[accounts.work]\nname = \"At work\"\n",
    );
    let dir = sandbox.path("credentials").display().to_string();
    let run = |args: &[&str]| {
        mail(&sandbox, args)
            .env("CREDENTIALS_DIRECTORY", &dir)
            .run()
    };
    let missing = run(&[]);
    assert_eq!(missing.status, 77, "{missing:?}");
    sandbox.write_mode("credentials/smail", "from systemd\n", 0o400);
    sent(&run(&[]));
    // An account has its own, and not that of the others.
    assert_eq!(run(&["-A", "work"]).status, 77);
    sandbox.write_mode("credentials/smail.work", "from systemd\n", 0o400);
    sent(&run(&["-A", "work"]));
    let shown = sandbox
        .smail(&["-A", "work", "--show-settings"])
        .env("CREDENTIALS_DIRECTORY", &dir)
        .run();
    assert!(
        shown.stdout.contains("$CREDENTIALS_DIRECTORY/smail.work"),
        "{shown:?}"
    );
    // What is set is stronger.
    let run = mail(&sandbox, &["-S", "auth-password=other"]).env("CREDENTIALS_DIRECTORY", &dir);
    assert_eq!(run.run().status, 77);
    // A file that others may read is refused.
    sandbox.write_mode("credentials/smail", "from systemd\n", 0o444);
    let open = mail(&sandbox, &[]).env("CREDENTIALS_DIRECTORY", &dir).run();
    assert_eq!(open.status, 77);
    assert!(open.stderr.contains("is accessible to others"), "{open:?}");
    // The server of the environment may have it; that of the command line, of another host, is the
    // run's own.
    assert_eq!(sink.mails().len(), 2);
}

#[test]
fn a_password_that_was_changed_meanwhile_is_asked_for_once_more() {
    let sandbox = Sandbox::new();
    let sink = Options::new()
        .login("me@x.example", "new")
        .implicit()
        .start();
    let program = |second: &str| {
        let text = format!(
            "#!/bin/sh\necho x >>\"$HOME/runs\"\ntest $(wc -l <\"$HOME/runs\") = 1 && echo old || echo {second}\n"
        );
        let path = sandbox.write_program("password", &text);
        let line = format!(
            "auth-user = \"me@x.example\"\nauth-password-command = [\"{}\"]\n",
            path.display()
        );
        server(&sandbox, &sink, &line);
        let _ = std::fs::remove_file(sandbox.path("home/runs"));
    };
    let runs = || sandbox.read("home/runs").unwrap().len() / 2;
    program("new");
    sent(&mail(&sandbox, &[]).run());
    assert_eq!(runs(), 2);
    // The same once more is not tried.
    program("old");
    assert_eq!(mail(&sandbox, &[]).run().status, 77);
    let logins = sink
        .dialogue()
        .iter()
        .filter(|line| line.starts_with("C: AUTH"))
        .count();
    assert_eq!((runs(), logins), (2, 3));
    // Nor is a third one.
    program("another");
    assert_eq!(mail(&sandbox, &[]).run().status, 77);
    let logins = sink
        .dialogue()
        .iter()
        .filter(|line| line.starts_with("C: AUTH"))
        .count();
    assert_eq!((runs(), logins), (2, 5));
}

#[test]
fn the_proxy_of_the_environment_is_used_where_the_settings_say_so() {
    let sandbox = Sandbox::new();
    let sink = Options::new().start();
    let web = Web::start(vec![Place {
        name: "mx.example:25",
        there: There::Port(sink.port()),
    }]);
    let proxy = format!("http://127.0.0.1:{}", web.port());
    let run = |more: &[&str], without: &str| {
        let settings = [
            "-S",
            "smtp=smtp://mx.example:25",
            "-S",
            "tls=none",
            "-r",
            "a@x.example",
        ];
        let run = mail(&sandbox, &settings).args_of(more);
        run.env("ALL_PROXY", &proxy).env("NO_PROXY", without).run()
    };
    sent(&run(
        &["-S", "proxy=environment"],
        "localhost,other.example",
    ));
    assert_eq!(web.asked(), ["mx.example:25"]);
    // Without the setting, and for a host that is excepted, nobody asks it.
    for (more, without) in [
        (&[][..], ""),
        (&["-S", "proxy=environment"], "example"),
        (&["-S", "proxy=environment"], "*"),
    ] {
        let direct = run(more, without);
        assert_ne!(direct.status, 0, "{direct:?}");
        assert!(direct.stderr.contains("mx.example"), "{direct:?}");
    }
    assert_eq!(web.asked().len(), 1);
    // A proxy that fails is not bypassed.
    let near = format!("smtp=smtp://127.0.0.1:{}", sink.port());
    let failing = mail(
        &sandbox,
        &["-S", &near, "-S", "tls=none", "-S", "proxy=environment"],
    );
    let failing = failing.env("ALL_PROXY", &proxy).run();
    assert_eq!(failing.status, 75, "{failing:?}");
    assert!(failing.stderr.contains("502"), "{failing:?}");
    let odd = mail(&sandbox, &["-S", &near, "-S", "proxy=environment"]);
    let odd = odd
        .env("ALL_PROXY", "https://user:MARKED@proxy.example")
        .run();
    assert_eq!(odd.status, 78, "{odd:?}");
    assert!(!odd.stderr.contains("MARKED"), "{odd:?}");
    assert_eq!(sink.mails().len(), 1);
}

#[test]
fn a_token_comes_over_https_by_the_proxy_of_the_route() {
    let sandbox = Sandbox::new();
    let token = std::sync::Arc::new(std::sync::Mutex::new("over-https".to_owned()));
    let sink = Options::new()
        .token("me@x.example", token)
        .implicit()
        .start();
    let page = "{\"access_token\":\"over-https\",\"expires_in\":3600}";
    let web = Web::start(vec![
        Place {
            name: "localhost:443",
            there: There::Answer(
                "server",
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}",
                    page.len()
                ),
            ),
        },
        Place {
            name: Box::leak(format!("localhost:{}", sink.port()).into_boxed_str()),
            there: There::Port(sink.port()),
        },
    ]);
    let settings = format!(
        "auth-user = \"me@x.example\"\nauth = \"oauth2\"\nproxy = \"http://127.0.0.1:{}\"\n\
         oauth2-grant = \"client-credentials\"\noauth2-client-id = \"c\"\noauth2-client-secret = \"s\"\n\
         oauth2-scope = \"mail\"\noauth2-token-url = \"https://localhost/token\"\n",
        web.port()
    );
    server(&sandbox, &sink, &settings);
    sent(&mail(&sandbox, &[]).run());
    assert!(
        web.asked().contains(&"localhost:443".to_owned()),
        "{:?}",
        web.asked()
    );
    // A certificate that is not trusted gives out no token.
    let run = mail(
        &sandbox,
        &[
            "-S",
            "oauth2-scope=other",
            "-S",
            "tls-verify=ignore",
            "-S",
            "tls-ca-file=",
        ],
    );
    let refused = run.run();
    assert_eq!(refused.status, 75, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("cannot ask localhost: its certificate is not trusted"),
        "{refused:?}"
    );
}

#[test]
fn a_program_without_the_keyring_says_so() {
    let sandbox = Sandbox::new();
    let sink = Options::new().login("me@x.example", "x").implicit().start();
    server(
        &sandbox,
        &sink,
        "auth-user = \"me@x.example\"\nauth-keyring = true\n",
    );
    let outcome = mail(&sandbox, &[])
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        .run();
    let (status, why) = if cfg!(feature = "keyring") {
        (75, "no keyring runs in this session")
    } else {
        (77, "this smail was built without the keyring")
    };
    assert_eq!(outcome.status, status, "{outcome:?}");
    assert!(outcome.stderr.contains(why), "{outcome:?}");
    // A password that is set needs none.
    sent(&mail(&sandbox, &["-S", "auth-password=x"]).run());
}
