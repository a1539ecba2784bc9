//! Failures explained: every way a connection fails, driven for real, has its hint; what a provider
//! means by a reply decides what becomes of the mail; and the same knowledge is there without a
//! mail, in two languages.
use std::net::TcpListener;

use crate::support::sandbox::{Outcome, Run, Sandbox};
use crate::support::server::Server;
use serde_json::Value;

/// A mail to one recipient, with the report for programs.
fn mail<'w>(sandbox: &'w Sandbox, port: u16, more: &[&str]) -> Run<'w> {
    let smtp = format!("smtp=127.0.0.1:{port}");
    let mut words = vec![
        "--no-config",
        "-S",
        &smtp,
        "-r",
        "a@a.example",
        "-s",
        "subj",
    ];
    words.extend(more);
    sandbox
        .smail(&words)
        .stdin("the words\n")
        .arg("r1@x.example")
}

/// The first recipient in the report for programs.
fn recipient(outcome: &Outcome) -> Value {
    let summary: Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    summary["recipients"][0].clone()
}

/// The lines that tell what to do.
fn remedy(outcome: &Outcome) -> Vec<&str> {
    outcome
        .stderr
        .lines()
        .skip_while(|line| !line.starts_with("hint: "))
        .collect()
}

/// The hint, the class and the status of a failure; its way out has one to three lines.
fn told(outcome: &Outcome) -> (String, String, i32) {
    let to = recipient(outcome);
    let lines = remedy(outcome);
    assert!((1..=3).contains(&lines.len()), "{}", outcome.stderr);
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with("hint: "))
            .count(),
        1,
        "{}",
        outcome.stderr
    );
    let action = to["hint"]["action"].as_str().unwrap_or_default();
    assert!(outcome.stderr.contains(action), "{}", outcome.stderr);
    let text = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
    (text(&to["hint"]["id"]), text(&to["class"]), outcome.status)
}

/// Plays a transcript and tells how the mail was explained.
fn story(name: &str, flags: &[&str]) -> (String, String, i32) {
    let sandbox = Sandbox::new();
    sandbox.pem("ca");
    let mut server = Server::story(name);
    let mut more = vec!["--json", "-S", "timeout=1"];
    more.extend(flags);
    let outcome = mail(&sandbox, server.port(), &more)
        .arg("r2@x.example")
        .run();
    server.end().unwrap();
    told(&outcome)
}

const CLEAR: &[&str] = &["-S", "tls=none"];
const IMPLICIT: &[&str] = &["-S", "tls=implicit", "-S", "tls-ca-file=ca.pem"];
const STARTTLS: &[&str] = &["-S", "tls=starttls", "-S", "tls-ca-file=ca.pem"];
const LOGIN: &[&str] = &[
    "-S",
    "tls=none",
    "-S",
    "auth-user=u",
    "-S",
    "auth-password=s3cret-pw",
];

#[test]
fn every_way_a_connection_fails_has_its_hint() {
    #[rustfmt::skip]
    let stories: &[(&str, &[&str], &str, &str, i32)] = &[
        // The wrong mode of TLS, in both directions
        ("bannerplain",  IMPLICIT, "tls-plain-port",           "temporary", 75),
        ("bannertls",    CLEAR,    "tls-port-silent",          "temporary", 76),
        ("bannerhang",   CLEAR,    "greeting-silent",          "temporary", 75),
        // Silence and lost connections
        ("mailhang",     CLEAR,    "silent",                   "temporary", 75),
        ("bannerclose",  CLEAR,    "greeting-cut",             "temporary", 75),
        ("tlsdrop",      STARTTLS, "tls-cut",                  "temporary", 75),
        ("dotclose",     CLEAR,    "in-doubt",                 "temporary", 76),
        // Certificates
        ("tlsexpired",   STARTTLS, "certificate-expired",      "permanent", 77),
        ("tlsnotyet",    STARTTLS, "clock-wrong",              "permanent", 77),
        ("tlsbadname",   STARTTLS, "certificate-name",         "permanent", 77),
        ("tlschainless", STARTTLS, "certificate-unknown-ca",   "permanent", 77),
        ("tlsself",      STARTTLS, "certificate-self-signed",  "permanent", 77),
        // What is not offered
        ("notls",        STARTTLS, "starttls-missing",         "permanent", 69),
        ("authnone",     LOGIN,    "auth-missing",             "permanent", 69),
        // Refusals of the session, and for now
        ("banner421",    CLEAR,    "enhanced-3.2",             "temporary", 75),
        ("rcptalltemp",  CLEAR,    "greylisted",               "temporary", 75),
        ("auth535multi", LOGIN,    "gmail-password",           "permanent", 77),
    ];
    let mut wrong = Vec::new();
    for (name, flags, id, class, exit) in stories {
        let found = story(name, flags);
        if found != ((*id).to_owned(), (*class).to_owned(), *exit) {
            wrong.push(format!("{name}: {found:?} and not {id} {class} {exit}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn an_unknown_authority_is_explained_with_the_fingerprint_to_pin() {
    let sandbox = Sandbox::new();
    let to_tls = "S: 220 mx.test ESMTP\nC: EHLO *\nS: 250-mx.test\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n";
    let twice =
        format!("{to_tls}-- starttls server refused\n== connection\n{to_tls}-- starttls server\n");
    let mut server = Server::play("unknown", &twice);
    let outcome = mail(&sandbox, server.port(), &["--json", "-S", "tls=starttls"]).run();
    server.end().unwrap();
    assert_eq!(
        told(&outcome),
        ("certificate-unknown-ca".into(), "permanent".into(), 77)
    );
    let print = crate::support::certs::certs().pair("server").fingerprint();
    let wanted = [
        "hint: install ca-certificates; behind a company proxy or a virus scanner set `tls-ca-file` to its CA"
            .to_owned(),
        format!("      to trust this one certificate: tls-fingerprint = \"{print}\""),
    ];
    assert_eq!(remedy(&outcome), wanted);
}

#[test]
fn a_port_without_a_server_and_a_name_without_a_host_are_explained() {
    let sandbox = Sandbox::new();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let outcome = mail(&sandbox, port, &["--json", "-S", "tls=none"]).run();
    assert_eq!(
        told(&outcome),
        ("refused-here".into(), "temporary".into(), 75)
    );
    let outcome = mail(
        &sandbox,
        port,
        &["--json", "-S", "smtp=mx.invalid:25", "-S", "tls=none"],
    )
    .run();
    let found = told(&outcome);
    // A machine without any name server cannot tell that a name does not exist.
    let wanted = [
        ("dns-no-name", "permanent", 68),
        ("dns-no-answer", "temporary", 75),
    ];
    assert!(
        wanted.iter().any(
            |(id, class, exit)| (found.0.as_str(), found.1.as_str(), found.2)
                == (*id, *class, *exit)
        ),
        "{found:?}"
    );
}

/// A server that takes the login `u` and then answers as the lines say.
fn after_login(lines: &str) -> Server {
    let text = format!(
        "S: 220 mx.test ESMTP\nC: EHLO *\nS: 250-mx.test\nS: 250 AUTH PLAIN LOGIN\nC: AUTH PLAIN *\n{lines}-- bye\n"
    );
    Server::play("after_login", &text)
}

#[test]
fn every_refused_login_shows_once_where_the_provider_has_the_password() {
    let place = "网页邮箱 → 设置 → POP3/SMTP/IMAP → 开启 IMAP/SMTP → 新增授权密码";
    for reply in [
        "535 Error: authentication failed",
        "535 Error: login refused",
        "550 User has no permission",
        "454 4.7.0 try later",
    ] {
        let sandbox = Sandbox::new();
        let mut server = after_login(&format!("S: {reply}\n"));
        let flags = [
            "-S",
            "tls=none",
            "--provider",
            "163",
            "-S",
            "auth-user=u",
            "-S",
            "auth-password=p",
        ];
        let outcome = mail(&sandbox, server.port(), &flags).run();
        server.end().unwrap();
        let lines = remedy(&outcome);
        assert!((1..=3).contains(&lines.len()), "{}", outcome.stderr);
        assert_eq!(
            outcome.stderr.matches(place).count(),
            1,
            "{}",
            outcome.stderr
        );
        assert!(
            outcome.stderr.contains(&format!("  server: {reply}\n")),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn the_whole_output_is_chinese_where_the_locale_is() {
    let whole = |language: &[&str], locale: &[(&str, &str)]| {
        let sandbox = Sandbox::new();
        let mut server = after_login("S: 535 Error: authentication failed\n");
        let flags = [
            "-S",
            "tls=none",
            "--provider",
            "163",
            "-S",
            "auth-user=u",
            "-S",
            "auth-password=p",
        ];
        let mut run =
            mail(&sandbox, server.port(), &[&flags[..], language].concat()).without_env("LC_ALL");
        for (name, value) in locale {
            run = run.env(name, value);
        }
        let outcome = run.run();
        server.end().unwrap();
        assert_eq!((outcome.status, outcome.stdout.as_str()), (77, ""));
        outcome.stderr.replace(&server.port().to_string(), "PORT")
    };
    let chinese = "smail: 无法以 u 登录 127.0.0.1:PORT (no TLS)\n  \
        服务器：535 Error: authentication failed\n  \
        535 的含义：密码必须是授权码，网页登录密码无效\n  \
        auth-user：设置于 -S\n  \
        auth-password：设置于 -S\n\n\
        hint: 网页邮箱 → 设置 → POP3/SMTP/IMAP → 开启 IMAP/SMTP → 新增授权密码，把该授权码设为密码\n";
    assert_eq!(whole(&[], &[("LC_ALL", "zh_CN.UTF-8")]), chinese);
    assert_eq!(
        whole(&[], &[("LC_MESSAGES", "zh_CN"), ("LANG", "en_US.UTF-8")]),
        chinese
    );
    assert_eq!(whole(&["-S", "language=zh"], &[("LC_ALL", "C")]), chinese);
    for english in [
        &[("LC_ALL", "C"), ("LANG", "zh_CN")][..],
        &[("LANG", "de_DE.UTF-8")],
        &[("LC_ALL", "POSIX")],
        &[],
    ] {
        assert!(
            whole(&[], english)
                .starts_with("smail: cannot log in to 127.0.0.1:PORT (no TLS) as u\n  server: 535")
        );
    }
}

#[test]
fn several_recipients_share_their_hints() {
    let sandbox = Sandbox::new();
    let mut server = Server::story("rcptpolicy");
    let outcome = mail(&sandbox, server.port(), &["-S", "tls=none"])
        .arg("r2@x.example")
        .run();
    server.end().unwrap();
    let wanted = format!(
        "smail: 127.0.0.1:{} (no TLS) refused all 2 recipients; nothing was sent\n  \
        r1@x.example: 550 5.1.1 no such user\n  \
        r2@x.example: 550 5.7.1 relaying denied\n",
        server.port()
    );
    assert!(outcome.stderr.starts_with(&wanted), "{}", outcome.stderr);
    let lines = remedy(&outcome);
    assert_eq!(lines.len(), 2, "{}", outcome.stderr);
    assert!(
        lines[0].starts_with("hint: 550 5.1.1: ") && lines[1].starts_with("      550 5.7.1: "),
        "{}",
        outcome.stderr
    );
}

/// A server that takes a mail up to the stage at which it refuses it.
fn refusing(sender: &str, dot: Option<&str>) -> Server {
    let mut text = format!(
        "S: 220 mx.test ESMTP\nC: EHLO *\nS: 250 mx.test\nC: MAIL FROM:<a@a.example>\nS: {sender}\n"
    );
    if let Some(dot) = dot {
        text.push_str("C: RCPT TO:<r1@x.example>\nS: 250 ok\nC: DATA\nS: 354 go\n-- data\nS: ");
        text.push_str(dot);
        text.push('\n');
    }
    text.push_str("-- bye\n");
    Server::play("refusing", &text)
}

#[test]
fn what_never_ends_at_alibaba_is_given_up_at_once() {
    for code in [436, 440] {
        let reply = format!(
            "{code} \"MAIL FROM\" doesn't conform with authentication (Auth Account:u@x|Mail Account:a@a.example)"
        );
        for provider in ["aliyun", "directmail"]
            .iter()
            .filter(|name| smail::providers::by_id(name).is_some())
        {
            let sandbox = Sandbox::new();
            let mut server = refusing(&reply, None);
            let outcome = mail(
                &sandbox,
                server.port(),
                &["--json", "--provider", provider, "-S", "tls=none"],
            )
            .queued()
            .run();
            server.end().unwrap();
            assert_eq!(outcome.status, 69, "{}", outcome.stderr);
            assert_eq!(recipient(&outcome)["class"], "permanent");
            assert_eq!(sandbox.entries(), Vec::<String>::new());
            assert_eq!(sandbox.queue_names("failed").len(), 2);
        }
    }
}

#[test]
fn a_limit_of_gmail_that_ends_waits_in_the_queue() {
    let reply = "550 5.4.5 Daily user sending limit exceeded. - gsmtp";
    let flags = ["--json", "--provider", "gmail", "-S", "tls=none"];
    let sandbox = Sandbox::new();
    let mut server = refusing("250 ok", Some(reply));
    let outcome = mail(&sandbox, server.port(), &flags).queued().run();
    server.end().unwrap();
    assert_eq!(
        (outcome.status, sandbox.entries().len()),
        (0, 1),
        "{}",
        outcome.stderr
    );
    assert_eq!(recipient(&outcome)["class"], "temporary");
    assert!(
        outcome.stderr.starts_with("smail: queued as ") && outcome.stderr.contains(reply),
        "{}",
        outcome.stderr
    );
    let mut server = refusing("250 ok", Some(reply));
    let outcome = mail(&sandbox, server.port(), &flags)
        .queued()
        .arg("--no-queue")
        .run();
    server.end().unwrap();
    assert_eq!(
        told(&outcome),
        ("gmail-daily-limit".into(), "temporary".into(), 75)
    );
}

#[test]
fn a_password_of_the_wrong_kind_is_pointed_out_and_tried() {
    let flags = [
        "--provider",
        "gmail",
        "-S",
        "tls=none",
        "-S",
        "auth-user=u@gmail.com",
        "-S",
        "auth-password=hunter2",
    ];
    let said = |name: &str, more: &[&str]| {
        let sandbox = Sandbox::new();
        let mut server = Server::play(
            "suspect",
            "S: 220 mx.test ESMTP\nC: EHLO *\nS: 250-mx.test\nS: 250 AUTH PLAIN XOAUTH2\nC: AUTH *\nS: 235 in\n\
             C: MAIL FROM:<*\nS: 250 ok\nC: RCPT TO:<r1@x.example>\nS: 250 ok\nC: DATA\nS: 354 go\n-- data\nS: 250 ok\n-- bye\n",
        );
        let run = match name {
            "sendmail" => {
                let config = format!(
                    "smtp = \"127.0.0.1:{}\"\nprovider = \"gmail\"\ntls = \"none\"\nauth-user = \"u@gmail.com\"\n\
                     auth-password = \"hunter2\"\nqueue = false\n",
                    server.port()
                );
                sandbox.write("home/.config/smail/config.toml", config);
                sandbox
                    .as_name("sendmail", &["-f", "a@a.example", "r1@x.example"])
                    .stdin("Subject: s\n\nx\n")
            }
            _ => mail(&sandbox, server.port(), &[&flags[..], more].concat()),
        };
        let outcome = run.run();
        server.end().unwrap();
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (0, ""),
            "{}",
            outcome.stderr
        );
        assert!(!outcome.stderr.contains("hunter2"));
        outcome.stderr
    };
    let hint = smail::hints::named("secret-gmail-length").unwrap();
    let language = smail::language::Language::English;
    assert_eq!(
        said("smail", &[]),
        format!(
            "smail: {}; {}\n",
            hint.meaning(language),
            hint.action(language)
        )
    );
    assert_eq!(said("smail", &["--quiet"]), "");
    assert_eq!(said("smail", &["-S", "auth=xoauth2"]), "");
    assert_eq!(said("sendmail", &[]), "");
}

/// What `--explain` says; nothing on standard error.
fn explained(words: &[&str], input: &[u8]) -> String {
    let sandbox = Sandbox::new();
    let outcome = sandbox.smail(words).stdin(input).run();
    assert_eq!(
        (outcome.status, outcome.stderr.as_str()),
        (0, ""),
        "{words:?}"
    );
    outcome.stdout
}

#[test]
fn a_code_is_explained_without_a_mail() {
    let wanted = "535\n  \
        means: authentication failed: the user name or password was not accepted\n  \
        what to expect: permanent: trying again does not help\n  \
        who acts: you\n  \
        what to do: use the provider's app password or authorization code, not the web password; check the form of `auth-user`\n";
    assert_eq!(explained(&["--explain", "535"], b""), wanted);
    assert_eq!(explained(&["--explain"], b"535\n"), wanted);
    assert_eq!(explained(&["--explain", "-"], b"535\n"), wanted);
    assert_eq!(
        explained(&["--explain=535", "-S", "language=en"], b""),
        wanted
    );
    let four = explained(&["--explain", "4.7.0"], b"");
    assert!(
        four.starts_with("4.7.0\n  means: ")
            && four.contains("temporary: trying again later may help"),
        "{four}"
    );
    let send_as = explained(
        &[
            "--explain",
            "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        ],
        b"",
    );
    assert!(
        send_as.starts_with(
            "550 5.7.60 SMTP; Client does not have permissions to send as this sender\n"
        ),
        "{send_as}"
    );
    // Words without quotes are as good.
    let words =
        "--explain 550 5.7.60 SMTP; Client does not have permissions to send as this sender";
    assert_eq!(
        explained(&words.split(' ').collect::<Vec<_>>(), b""),
        send_as
    );
}

#[test]
fn the_provider_tells_what_a_reply_means() {
    let id = |words: &[&str]| {
        let found: Value =
            serde_json::from_str(&explained(&[&["--json"], words].concat(), b"")).unwrap();
        format!(
            "{} {}",
            found[0]["hint"]["id"].as_str().unwrap(),
            found[0]["class"].as_str().unwrap()
        )
    };
    assert_eq!(id(&["--explain", "535"]), "reply-535 permanent");
    assert_eq!(
        id(&[
            "--provider",
            "gmail",
            "--explain",
            "550 5.4.5 Daily user sending limit exceeded."
        ]),
        "gmail-daily-limit temporary"
    );
    assert_ne!(
        id(&[
            "--provider",
            "163",
            "--explain",
            "535 Error: authentication failed"
        ]),
        "reply-535 permanent"
    );
    assert_eq!(
        id(&[
            "--provider",
            "netease",
            "--explain",
            "535 Error: authentication failed"
        ]),
        id(&[
            "--provider",
            "163",
            "--explain",
            "535 Error: authentication failed"
        ])
    );
    let outcome = Sandbox::new()
        .smail(&["--provider", "nowhere", "--explain", "535"])
        .run();
    assert_eq!(outcome.status, 64);
    assert_eq!(
        outcome.stderr,
        "smail: --provider: unknown provider `nowhere`\n"
    );
}

#[test]
fn a_log_and_a_mail_that_came_back_are_explained_from_standard_input() {
    let bounce = "Subject: Undelivered Mail\n\nFinal-Recipient: rfc822; kim@b.example\nAction: failed\nStatus: 5.1.1\n\
        Diagnostic-Code: smtp; 550 5.1.1 <kim@b.example>: Recipient address rejected:\n    User unknown\n\n\
        Final-Recipient: rfc822; lee@c.example\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 mailbox full\n";
    let found: Value =
        serde_json::from_str(&explained(&["--explain", "--json"], bounce.as_bytes())).unwrap();
    let ids: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["hint"]["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["no-such-user", "mailbox-full"]);
    let text = explained(&["--explain"], bounce.as_bytes());
    assert_eq!(text.split("\n\n").count(), 2, "{text}");
    // A log in GB18030, between lines in UTF-8: "550 用户不存在" in bytes.
    let log = b"Nov 23 10:00:00 mx postfix/smtp[7]: connected\nNov 23 10:00:01 mx postfix/smtp[7]: host said: 550 \xd3\xc3\xbb\xa7\xb2\xbb\xb4\xe6\xd4\xda (in reply to RCPT TO)\n";
    let text = explained(&["--explain"], log);
    assert!(text.starts_with("550 用户不存在"), "{text}");
}

#[test]
fn a_host_beside_the_reply_tells_the_provider_and_where_its_password_is() {
    let log = "Nov 23 10:00:01 mx postfix/smtp[7]: 4X1: to=<a@qq.com>, relay=mx3.qq.com[192.0.2.5]:25, status=bounced \
        (host mx3.qq.com[192.0.2.5] said: 550 Mail content denied (in reply to end of DATA command))\n";
    let found: Value =
        serde_json::from_str(&explained(&["--explain", "--json"], log.as_bytes())).unwrap();
    assert_eq!(
        (&found[0]["provider"], &found[0]["hint"]["id"]),
        (&"qq".into(), &"qq-content".into())
    );
    // A report of smail's own.
    let report = "smail: cannot log in to smtp.sina.com:465 (implicit TLS) as a@sina.com\n  server: 535 no\n";
    let text = explained(&["--explain"], report.as_bytes());
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with("    Sina") && last.contains("授权码"),
        "{text}"
    );
    assert_eq!(
        explained(&["--explain", "535 no", "--provider", "sina"], b""),
        text
    );
    // The option without a word of its own.
    assert_eq!(
        explained(
            &["--provider", "sina", "--explain", "--json", "535 no"],
            b""
        )
        .matches("reply-535")
        .count(),
        1
    );
}

#[test]
fn what_is_not_known_has_a_status_of_its_own() {
    let sandbox = Sandbox::new();
    for (words, input) in [
        (&["--explain", "hello"][..], ""),
        (&["--explain"], ""),
        (&["--explain"], "all is well\nreally\n"),
    ] {
        let outcome = sandbox.smail(words).stdin(input).run();
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (65, ""),
            "{words:?}"
        );
        assert!(
            outcome
                .stderr
                .starts_with("smail: nothing in this text was recognized\n\nhint: "),
            "{}",
            outcome.stderr
        );
    }
    let outcome = sandbox.smail(&["--explain", "hello", "--json"]).run();
    assert_eq!((outcome.status, outcome.stdout.as_str()), (65, "[]\n"));
}

#[test]
fn settings_that_are_broken_stop_no_explanation() {
    let sandbox = Sandbox::new();
    sandbox.write_mode(
        "home/.config/smail/config.toml",
        "language = \"zh\"\nnonsense = [\n",
        0o666,
    );
    let outcome = sandbox.smail(&["--explain", "535"]).run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert!(outcome.stdout.starts_with("535\n  means: "));
    sandbox.write(
        "home/.config/smail/config.toml",
        "language = \"zh\"\nsmtp = \"smtp.163.com\"\n",
    );
    let outcome = sandbox
        .smail(&["--explain", "535 Error: authentication failed"])
        .run();
    assert!(
        outcome
            .stdout
            .starts_with("535 Error: authentication failed\n  含义：密码必须是授权码"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_terminal_has_colours_unless_they_are_unwanted() {
    let sandbox = Sandbox::new();
    let words = ["--explain", "hello"];
    let plain = sandbox.smail(&words).run().stderr;
    let at_terminal = |name: &str, value: &str| {
        sandbox
            .smail(&words)
            .env(name, value)
            .at_terminal()
            .stderr
            .replace("\r\n", "\n")
    };
    let painted = at_terminal("TERM", "xterm");
    assert!(
        painted.starts_with("\u{1b}[1msmail:\u{1b}[0m nothing")
            && painted.contains("\n\u{1b}[36mhint:\u{1b}[0m "),
        "{painted:?}"
    );
    assert_eq!(at_terminal("NO_COLOR", "1"), plain);
    assert_eq!(at_terminal("NO_COLOR", ""), painted);
    assert_eq!(at_terminal("TERM", "dumb"), plain);
}

/// Takes one mail, but reads nothing of its text for longer than a second.
fn slow_server() -> (u16, std::thread::JoinHandle<()>) {
    use std::io::{BufRead, BufReader, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let mut stream = listener.accept().unwrap().0;
        let mut lines = BufReader::new(stream.try_clone().unwrap()).split(b'\n');
        stream.write_all(b"220 mx.test\r\n").unwrap();
        while let Some(Ok(line)) = lines.next() {
            let answer = match line.get(..4) {
                Some(b"DATA") => "354 go\r\n",
                Some(b"QUIT") => "221 bye\r\n",
                _ => "250 ok\r\n",
            };
            stream.write_all(answer.as_bytes()).unwrap();
            if line.starts_with(b"DATA") {
                // The time is the point: what takes less is not talked of.
                std::thread::sleep(std::time::Duration::from_millis(1300));
                lines
                    .by_ref()
                    .find(|line| matches!(line.as_deref(), Ok(b".\r")))
                    .unwrap()
                    .unwrap();
                stream.write_all(b"250 queued\r\n").unwrap();
            }
        }
    };
    (port, std::thread::spawn(serve))
}

#[test]
fn a_long_upload_tells_a_terminal_how_far_it_is() {
    let send = |quiet: &[&str], at_terminal: bool| {
        let sandbox = Sandbox::new();
        sandbox.write("big.bin", vec![7; 24 << 20]);
        let (port, server) = slow_server();
        let run = mail(
            &sandbox,
            port,
            &[&["-S", "tls=none", "-a", "big.bin"], quiet].concat(),
        );
        let outcome = if at_terminal {
            run.at_terminal()
        } else {
            run.run()
        };
        server.join().unwrap();
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (0, ""),
            "{}",
            outcome.stderr
        );
        outcome.stderr
    };
    let shown = send(&[], true);
    assert!(
        shown.starts_with("\r\u{1b}[K") && shown.contains(" MB sent, ") && shown.contains(" %"),
        "{shown:?}"
    );
    assert!(shown.ends_with("\r\u{1b}[K"), "{shown:?}");
    assert_eq!(send(&["--quiet"], true), "");
    assert_eq!(send(&[], false), "");
}

#[test]
fn a_refused_login_is_explained_with_the_providers_own_place_for_passwords() {
    let sandbox = Sandbox::new();
    let rows = [
        (
            "sina",
            "Sina Mail: mail.sina.com.cn → 设置区 → 客户端pop/imap/smtp → 开启 + 授权码",
        ),
        ("sohu", "Sohu Mail: mail.sohu.com → 选项 → POP3/SMTP/IMAP"),
        (
            "139",
            "China Mobile 139: mail.10086.cn → 设置 → 账户与安全 → 授权码管理",
        ),
        (
            "189",
            "China Telecom 189: webmail.21cn/189.cn → 设置 → POP/SMTP → 客户端授权码",
        ),
        (
            "feishu",
            "Feishu / Lark Mail: Feishu Mail settings → third-party client login → generate password",
        ),
    ];
    for (provider, line) in rows {
        for said in ["535", "535 5.7.8 authentication failed"] {
            let outcome = sandbox
                .smail(&["--explain", said, "--provider", provider])
                .run();
            let last = outcome.stdout.lines().next_back().unwrap_or_default();
            assert_eq!(last, format!("    {line}"), "{}", outcome.stdout);
        }
    }
    // Where the row names the place itself, it is not said twice; and a code about something else
    // asks for no password.
    for (said, provider) in [("535", "gmail"), ("535", "qq"), ("550 5.1.1", "sina")] {
        let outcome = sandbox
            .smail(&["--explain", said, "--provider", provider])
            .run();
        let last = outcome.stdout.lines().next_back().unwrap_or_default();
        assert!(last.starts_with("  what to do: "), "{}", outcome.stdout);
    }
}
