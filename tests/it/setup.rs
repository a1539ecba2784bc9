//! `--setup` as a new user meets it: at a terminal, from nothing to the first mail; and what it
//! leaves when it is left.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::sandbox::Sandbox;
use crate::support::server::Server;
use crate::support::sink::{Options, Sink};
use crate::support::terminal::Terminal;
use crate::support::web::{Place, There, Web};
use rustix::process::Signal;

/// A server of one of the providers.
fn provider(user: &str, password: &str, starttls: bool) -> Sink {
    let options = Options::new()
        .cert("providers")
        .login(user, password)
        .mechanisms(&["LOGIN", "PLAIN"]);
    if starttls {
        options.starttls().start()
    } else {
        options.implicit().start()
    }
}

/// The words that lead to a server of the test, whatever the provider's is called.
fn led(sandbox: &Sandbox, sink: &Sink) -> Vec<String> {
    let ca = sandbox.pem("ca");
    vec![
        "-S".to_owned(),
        format!("connect-to=127.0.0.1:{}", sink.port()),
        "-S".to_owned(),
        format!("tls-ca-file={}", ca.display()),
    ]
}

/// With programs of its own only: which of those that keep passwords this machine has is shown.
fn command(sandbox: &Sandbox, args: &[String]) -> Command {
    let programs = sandbox.path("home/bin");
    fs::create_dir_all(&programs).unwrap();
    std::os::unix::fs::symlink("/bin/cat", programs.join("cat")).unwrap();
    let mut command = sandbox
        .under(&["/usr/bin/setsid", "--ctty", "--wait"], args)
        .into_command();
    command.env("PATH", programs);
    command
}

fn setup(sandbox: &Sandbox, sink: &Sink, more: &[&str]) -> Terminal {
    let args: Vec<String> = std::iter::once("--setup")
        .chain(more.iter().copied())
        .map(str::to_owned)
        .chain(led(sandbox, sink))
        .collect();
    Terminal::start(command(sandbox, &args))
}

fn mode(sandbox: &Sandbox, path: &str) -> u32 {
    fs::metadata(sandbox.path(path))
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}

fn text(sandbox: &Sandbox, path: &str) -> String {
    String::from_utf8(sandbox.read(path).unwrap_or_default()).unwrap()
}

const CONFIG: &str = "home/.config/smail/config.toml";

#[test]
fn from_nothing_to_the_first_mail_with_four_providers() {
    let rows = [
        (
            "me@163.com",
            "ABCDEFGHIJKLMNOP",
            false,
            "smtps://smtp.163.com:465",
            "163",
        ),
        (
            "me@qq.com",
            "abcdefghijklmnop",
            false,
            "smtps://smtp.qq.com:465",
            "qq",
        ),
        (
            "me@gmail.com",
            "abcdefghijklmnop",
            false,
            "smtps://smtp.gmail.com:465",
            "gmail",
        ),
        (
            "me@contoso.onmicrosoft.com",
            "Pa ss \"w\\rd",
            true,
            "smtp://smtp.office365.com:587",
            "m365",
        ),
    ];
    for (address, password, starttls, url, id) in rows {
        let (sandbox, sink) = (Sandbox::new(), provider(address, password, starttls));
        let mut terminal = setup(&sandbox, &sink, &[]);
        terminal.answer("Your email address: ", &format!("{address}\n"));
        terminal.answer("Password (not shown): ", &format!("{password}\n"));
        terminal.answer("Number [1]: ", "\n");
        terminal.answer("(y/n) [y]: ", "\n");
        let (status, shown) = terminal.finish();
        assert_eq!(status, 0, "{shown}");
        assert!(!shown.contains(password), "{shown}");
        assert!(
            shown.ends_with(&format!(
                "A message to {address} was accepted; it should arrive soon.\n"
            )),
            "{shown}"
        );
        let config = text(&sandbox, CONFIG);
        let lines = format!("from = \"{address}\"\nsmtp = \"{url}\"\nauth-user = \"{address}\"\n");
        assert!(
            config.contains(&lines) && !config.contains(password),
            "{config}"
        );
        assert_eq!(
            text(&sandbox, &format!("home/.config/smail/password-{id}")),
            format!("{password}\n")
        );
        assert_eq!(
            (mode(&sandbox, CONFIG), mode(&sandbox, "home/.config/smail")),
            (0o600, 0o700)
        );
        let mail = sink.only_mail();
        assert_eq!(
            (mail.from.as_str(), mail.to.as_slice()),
            (address, &[address.to_owned()][..])
        );
        assert!(
            mail.tls && mail.user.as_deref() == Some(address) && mail.text().contains("is ready")
        );
        // And from now on, without another word.
        let later = sandbox
            .smail(&["-s", "Later", "you@x.example"])
            .stdin("text\n")
            .run();
        assert_eq!((later.status, later.stderr.as_str()), (0, ""));
        assert_eq!(sink.wait_for_mails(2)[1].to, ["you@x.example"]);
    }
}

#[test]
fn a_wrong_password_is_explained_and_asked_for_again() {
    let (sandbox, sink) = (Sandbox::new(), provider("me@163.com", "right", false));
    let mut terminal = setup(&sandbox, &sink, &["me@163.com"]);
    terminal.answer("Password (not shown): ", "wrong\n");
    terminal.answer("Number [1]: ", "2\n");
    terminal.wait_for("server: 535 5.7.8 authentication failed");
    terminal.answer("Number [1]: ", "1\n");
    terminal.answer("Password (not shown): ", "right\n");
    terminal.answer("(y/n) [y]: ", "n\n");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    // Nobody said anything in a flag.
    assert!(!shown.contains("-S"), "{shown}");
    assert!(
        !shown.contains("right") && !shown.contains("wrong"),
        "{shown}"
    );
    assert!(text(&sandbox, CONFIG).contains("auth-password = \"right\"\n"));
    assert!(sink.mails().is_empty());
}

#[test]
fn whoever_leaves_at_any_question_leaves_nothing() {
    let steps = [
        ("Your email address: ", "me@163.com\n"),
        ("shown): ", "right\n"),
        ("Number [1]: ", "\n"),
        ("[y]: ", ""),
    ];
    for leave in 0..steps.len() {
        for (keys, wanted) in [("\x03", 130), ("\x04", 1), ("", 143)] {
            let (sandbox, sink) = (Sandbox::new(), provider("me@163.com", "right", false));
            let mut terminal = setup(&sandbox, &sink, &[]);
            for (question, answer) in &steps[..leave] {
                terminal.answer(question, answer);
            }
            terminal.answer(steps[leave].0, keys);
            if wanted == 143 {
                terminal.signal(Signal::TERM);
            }
            let (status, shown) = terminal.finish();
            assert_eq!(status, wanted, "at {leave}: {shown}");
            let last = shown.trim_end().lines().next_back().unwrap();
            assert!(
                last.starts_with("smail: the setup was interrupted at `"),
                "{shown}"
            );
            assert!(!sandbox.path("home/.config/smail").exists(), "{shown}");
        }
    }
}

/// What a domain publishes, in an answer of a web server.
fn published(host: &str) -> String {
    let page = format!(
        "<?xml version=\"1.0\"?><clientConfig version=\"1.1\"><emailProvider id=\"x\"><outgoingServer type=\"smtp\">\
         <hostname>{host}</hostname><port>465</port><socketType>SSL</socketType><username>%EMAILLOCALPART%</username>\
         <authentication>password-cleartext</authentication></outgoingServer></emailProvider></clientConfig>"
    );
    format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{page}\r\n0\r\n\r\n",
        page.len()
    )
}

/// Sets an address up whose domain is in no table, with all names led through a proxy of the test.
fn setup_by(sandbox: &Sandbox, web: &Web, more: &[&str]) -> Terminal {
    let (proxy, ca) = (
        format!("proxy=http://127.0.0.1:{}", web.port()),
        format!("tls-ca-file={}", sandbox.pem("ca").display()),
    );
    let args = ["--setup", "me@x.example", "-S", &proxy, "-S", &ca];
    let args: Vec<String> = args
        .iter()
        .chain(more)
        .map(|arg| (*arg).to_owned())
        .collect();
    Terminal::start(command(sandbox, &args))
}

const CONSENT: &str = "The first will see me@x.example. (y/n) [n]: ";

#[test]
fn what_a_domain_publishes_is_asked_for_with_consent_only() {
    let (sandbox, sink) = (Sandbox::new(), provider("me", "right", false));
    let web = Web::start(vec![
        Place {
            name: "autoconfig.x.example:443",
            there: There::Answer("web", published("mail.x.example")),
        },
        Place {
            name: "mail.x.example:465",
            there: There::Port(sink.port()),
        },
    ]);
    let mut terminal = setup_by(&sandbox, &web, &[]);
    terminal.wait_for(CONSENT);
    assert_eq!(web.asked(), [""; 0]);
    terminal.answer("", "y\n");
    terminal.wait_for("autoconfig.x.example lists mail.x.example:465 (TLS) for sending.");
    let question = "GET /mail/config-v1.1.xml?emailaddress=me%40x.example HTTP/1.1";
    assert_eq!(
        web.asked(),
        [
            "autoconfig.x.example:443",
            question,
            "Host: autoconfig.x.example"
        ]
    );
    terminal.answer("Send through mail.x.example:465 (TLS)? (y/n) [y]: ", "\n");
    terminal.answer("User name [me]: ", "\n");
    terminal.answer("Password (not shown): ", "right\n");
    terminal.answer("Number [1]: ", "\n");
    terminal.answer("(y/n) [y]: ", "\n");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    let config = text(&sandbox, CONFIG);
    assert!(
        config.contains("smtp = \"smtps://mail.x.example:465\"\nauth-user = \"me\"\n"),
        "{config}"
    );
    let mail = sink.only_mail();
    assert_eq!(
        (mail.from.as_str(), mail.user.as_deref()),
        ("me@x.example", Some("me"))
    );
}

#[test]
fn a_web_server_that_is_not_trusted_is_asked_for_nothing() {
    let sandbox = Sandbox::new();
    let web = Web::start(vec![
        Place {
            name: "autoconfig.x.example:443",
            there: There::Answer("badname", published("mail.x.example")),
        },
        Place {
            name: "x.example:443",
            there: There::Answer("self", published("mail.x.example")),
        },
    ]);
    // What is said of the mail server is not said of this one.
    let pin = format!("tls-fingerprint={}", "ab".repeat(32));
    let of_mail = [
        "-S",
        "tls-verify=ignore",
        "-S",
        &pin,
        "-S",
        "connect-to=127.0.0.1:9",
        "-S",
        "tls=none",
    ];
    let mut terminal = setup_by(&sandbox, &web, &of_mail);
    terminal.answer(CONSENT, "y\n");
    terminal.wait_for("No settings found: autoconfig.x.example: it is for other.test and not for autoconfig.x.example");
    terminal.wait_for("; x.example: it is self-signed.\r\n");
    terminal.answer("Server, as host or host:port: ", "\x04");
    assert_eq!(terminal.finish().0, 1);
    // Each is looked at once more, for its certificate, and then nothing is asked.
    let twice = [
        "autoconfig.x.example:443",
        "autoconfig.x.example:443",
        "x.example:443",
        "x.example:443",
    ];
    assert_eq!(web.asked(), twice);
}

#[test]
fn ctrl_c_ends_the_wait_for_a_web_server() {
    // It takes the connection, and then says nothing.
    let (sandbox, silent) = (
        Sandbox::new(),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let port = silent.local_addr().unwrap().port();
    let web = Web::start(vec![Place {
        name: "autoconfig.x.example:443",
        there: There::Port(port),
    }]);
    let mut terminal = setup_by(&sandbox, &web, &[]);
    terminal.answer(CONSENT, "y\n");
    let (near, _) = silent.accept().unwrap();
    let start = std::time::Instant::now();
    terminal.answer("", "\x03");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 130, "{shown}");
    assert!(
        shown.contains("smail: the setup was interrupted at `Ask https://autoconfig."),
        "{shown}"
    );
    assert!(
        start.elapsed() < std::time::Duration::from_secs(5) && !sandbox.path(CONFIG).exists(),
        "{shown}"
    );
    drop(near);
}

#[test]
fn whoever_leaves_while_the_server_is_silent_leaves_nothing() {
    let sandbox = Sandbox::new();
    let silent = Server::play("silent", "S: 220 mx.test ESMTP\nC: EHLO *\n-- hang\n");
    let flags = [
        "--setup",
        "me@x.example",
        "-S",
        &format!("smtp=smtp://127.0.0.1:{}", silent.port()),
    ]
    .map(str::to_owned);
    let mut terminal = Terminal::start(command(&sandbox, &flags));
    terminal.answer("User name [me@x.example]: ", "\n");
    terminal.answer("Password (not shown): ", "right\n");
    terminal.answer("Number [1]: ", "\n");
    silent.wait_for("EHLO *");
    terminal.answer("Testing: ", "\x03");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 130, "{shown}");
    assert!(!sandbox.path("home/.config/smail").exists(), "{shown}");
    let trying = format!("Testing: 127.0.0.1:{} (STARTTLS) …", silent.port());
    let last = format!(
        "{trying}\n^Csmail: the setup was interrupted at `{trying}`; nothing was \
            written\n"
    );
    assert!(shown.ends_with(&last), "{shown}");
}

#[test]
fn variables_that_outrank_what_was_written_are_named() {
    let (sandbox, sink) = (Sandbox::new(), provider("me@163.com", "right", false));
    let named = "SMAIL_FROM, SMAIL_TLS: set in this environment and overrides what was written; unset it, or mail will be sent differently.";
    let args: Vec<String> = ["--setup", "me@163.com"]
        .map(str::to_owned)
        .into_iter()
        .chain(led(&sandbox, &sink))
        .collect();
    let mut command = command(&sandbox, &args);
    command.envs([
        ("SMAIL_FROM", "other@163.com"),
        ("SMAIL_TLS", "starttls"),
        ("SMAIL_AUTH_USER", "me@163.com"),
    ]);
    let mut terminal = Terminal::start(command);
    terminal.answer("Password (not shown): ", "right\n");
    terminal.answer("Number [1]: ", "\n");
    terminal.answer("(y/n) [y]: ", "n\n");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    assert!(shown.ends_with(&format!("{named}\n")), "{shown}");
    // Without questions it is a remark, and standard output stays the file.
    let sandbox = Sandbox::new();
    let mut args = vec![
        "--setup".to_owned(),
        "me@163.com".to_owned(),
        "--yes".to_owned(),
    ];
    args.extend(led(&sandbox, &sink));
    let outcome = sandbox
        .smail(&args)
        .env("SMAIL_AUTH_PASSWORD", "right")
        .env("SMAIL_FROM", "other@163.com")
        .run();
    let named = "smail: SMAIL_FROM: set in this environment and overrides what was written; unset it, or mail will be sent differently.\n";
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, named));
    assert!(!text(&sandbox, CONFIG).is_empty());
}

#[test]
fn a_password_of_the_environment_that_was_wrong_is_named_when_another_was_typed() {
    let (sandbox, sink) = (Sandbox::new(), provider("me@163.com", "right", false));
    let args: Vec<String> = ["--setup", "me@163.com"]
        .map(str::to_owned)
        .into_iter()
        .chain(led(&sandbox, &sink))
        .collect();
    let mut command = command(&sandbox, &args);
    command.env("SMAIL_AUTH_PASSWORD", "wrong");
    let mut terminal = Terminal::start(command);
    terminal.answer("Number [1]: ", "\n");
    terminal.wait_for("535 5.7.8 authentication failed");
    terminal.answer("Number [1]: ", "1\n");
    terminal.answer("Password (not shown): ", "right\n");
    terminal.answer("(y/n) [y]: ", "n\n");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    let named = "SMAIL_AUTH_PASSWORD: set in this environment and overrides what was written; unset it, or mail will be sent differently.\n";
    assert!(shown.ends_with(named), "{shown}");
}

#[test]
fn a_config_that_is_there_is_kept_byte_for_byte() {
    let (sandbox, sink) = (
        Sandbox::new(),
        provider("me@qq.com", "abcdefghijklmnop", false),
    );
    let old =
        "# mine\r\nfrom = \"a@b.example\"\nauth = \"none\"\n\n[aliases]\nteam = \"x@y.example\"";
    sandbox.write(CONFIG, old);
    let mut terminal = setup(&sandbox, &sink, &["me@qq.com"]);
    terminal.answer("Password (not shown): ", "abcdefghijklmnop\n");
    terminal.answer("Number [1]: ", "\n");
    terminal.answer("Account name [qq]: ", "work\n");
    terminal.answer("[y]: ", "y\n");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    let config = text(&sandbox, CONFIG);
    assert!(
        config.starts_with(old) && config.contains("\n[accounts.work]\n"),
        "{config}"
    );
    assert_eq!(sink.only_mail().from, "me@qq.com");
    let sent = sandbox
        .smail(&["-A", "work", "-s", "x", "team"])
        .stdin("text\n")
        .run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
}

#[test]
fn programs_that_keep_passwords_get_them_by_standard_input() {
    let (sandbox, sink) = (
        Sandbox::new(),
        provider("me@qq.com", "abcdefghijklmnop", false),
    );
    // Writes down its arguments and its input, and gives the input back.
    let script = "#!/bin/sh\necho \"$*\" >> \"$HOME/words\"\n\
                  case $1 in insert) cat > \"$HOME/kept\" ;; show) cat \"$HOME/kept\" ;; esac\n";
    sandbox.write_program("home/bin/pass", script);
    let args: Vec<String> = ["--setup", "me@qq.com"]
        .map(str::to_owned)
        .into_iter()
        .chain(led(&sandbox, &sink))
        .collect();
    let mut terminal = Terminal::start(command(&sandbox, &args));
    terminal.answer("Password (not shown): ", "abcdefghijklmnop\n");
    terminal.wait_for("2  the password store (pass), as smail/smtp.qq.com/me@qq.com");
    terminal.answer("Number [1]: ", "2\n");
    terminal.answer("[y]: ", "\n");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    let config = text(&sandbox, CONFIG);
    assert!(
        config.contains("auth-password-command = \"pass show smail/smtp.qq.com/me@qq.com\"\n"),
        "{config}"
    );
    let entry = "smail/smtp.qq.com/me@qq.com";
    assert_eq!(
        text(&sandbox, "home/words"),
        format!("insert --multiline --force {entry}\nshow {entry}\n")
    );
    assert_eq!(sink.only_mail().user.as_deref(), Some("me@qq.com"));
}

#[test]
fn a_place_that_takes_no_password_is_chosen_again() {
    let (sandbox, sink) = (
        Sandbox::new(),
        provider("me@qq.com", "abcdefghijklmnop", false),
    );
    sandbox.write_program("home/bin/pass", "#!/bin/sh\nexit 1\n");
    let args: Vec<String> = ["--setup", "me@qq.com"]
        .map(str::to_owned)
        .into_iter()
        .chain(led(&sandbox, &sink))
        .collect();
    let mut terminal = Terminal::start(command(&sandbox, &args));
    terminal.answer("Password (not shown): ", "abcdefghijklmnop\n");
    terminal.answer("Number [1]: ", "2\n");
    terminal.answer("[y]: ", "n\n");
    terminal
        .wait_for("Could not store it: `pass` failed with status 1. Nothing has been written yet.");
    assert!(!sandbox.path("home/.config/smail").exists());
    terminal.answer("Number [1]: ", "1\n");
    assert_eq!(terminal.finish().0, 0);
    assert_eq!(
        text(&sandbox, "home/.config/smail/password-qq"),
        "abcdefghijklmnop\n"
    );
}

#[test]
fn being_stopped_for_a_while_ends_nothing() {
    let (sandbox, sink) = (
        Sandbox::new(),
        provider("me@qq.com", "abcdefghijklmnop", false),
    );
    let mut terminal = setup(&sandbox, &sink, &[]);
    for (question, answer) in [
        ("address: ", "me@qq.com\n"),
        ("shown): ", "abcdefghijklmnop\n"),
        ("[1]: ", "\n"),
        ("[y]: ", "n\n"),
    ] {
        terminal.wait_for(question);
        terminal.signal(Signal::STOP);
        terminal.signal(Signal::CONT);
        terminal.answer("", answer);
    }
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
}

#[test]
fn without_a_terminal_it_says_how() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.smail(&["--setup", "me@qq.com"]).run();
    assert_eq!(outcome.status, 64);
    let wanted = "smail: `--setup` asks questions, but standard input is not a terminal\n\n\
                  hint: without a terminal: smail --setup me@example.org --yes --password-from stdin < password\n";
    assert_eq!(outcome.stderr, wanted);
}

#[test]
fn without_questions_everything_is_said_by_flags() {
    for way in ["environment", "stdin", "command"] {
        let (sandbox, sink) = (Sandbox::new(), provider("boss", "right", false));
        let kept = sandbox.write("kept", "right\n");
        let command = format!("cat {}", kept.display());
        let mut args: Vec<&str> = vec![
            "--setup",
            "me@x.example",
            "--yes",
            "-S",
            "smtp=mail.x.example",
            "-S",
            "auth-user=boss",
        ];
        let led = led(&sandbox, &sink);
        args.extend(led.iter().map(String::as_str));
        let outcome = match way {
            "environment" => sandbox
                .smail(&args)
                .env("SMAIL_AUTH_PASSWORD", "right")
                .run(),
            "stdin" => sandbox
                .smail(&args)
                .args_of(&["--password-from=stdin"])
                .stdin("right\n")
                .run(),
            _ => sandbox
                .smail(&args)
                .args_of(&["--password-from", &command])
                .run(),
        };
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{way}");
        assert_eq!(
            outcome.stdout,
            format!("# ~/.config/smail/config.toml\n{}", text(&sandbox, CONFIG)),
            "{way}"
        );
        assert!(sink.mails().is_empty() && !outcome.stdout.contains("right"));
        let later = sandbox
            .smail(&["-s", "x", "you@x.example"])
            .stdin("text\n")
            .run();
        assert_eq!((later.status, later.stderr.as_str()), (0, ""), "{way}");
        assert_eq!(sink.only_mail().from, "me@x.example");
    }
}

#[test]
fn without_questions_a_failure_is_the_failure_of_a_mail() {
    let (sandbox, sink) = (Sandbox::new(), provider("me@163.com", "right", false));
    let mut args = vec![
        "--setup".to_owned(),
        "me@163.com".to_owned(),
        "--yes".to_owned(),
    ];
    args.extend(led(&sandbox, &sink));
    let refused = sandbox
        .smail(&args)
        .env("SMAIL_AUTH_PASSWORD", "wrong")
        .run();
    assert_eq!(refused.status, 77, "{}", refused.stderr);
    assert!(
        refused
            .stderr
            .starts_with("smail: cannot log in to smtp.163.com:465"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("nothing was written") && !refused.stderr.contains("wrong"),
        "{}",
        refused.stderr
    );
    let unasked = sandbox.smail(&args).run();
    assert_eq!(unasked.status, 64);
    assert!(
        unasked
            .stderr
            .starts_with("smail: `--yes` cannot answer `Password (not shown)`"),
        "{}",
        unasked.stderr
    );
    let shown = sandbox
        .smail(&[
            "--setup",
            "me@163.com",
            "--yes",
            "-S",
            "auth-password=right",
        ])
        .run();
    assert_eq!(shown.status, 64);
    assert!(!shown.stderr.contains("right"), "{}", shown.stderr);
    assert!(!sandbox.path("home/.config/smail").exists());
}

#[test]
fn a_mailrc_becomes_a_config_that_sends() {
    let (sandbox, sink) = (Sandbox::new(), provider("me@163.com", "pa$$word", false));
    let led = led(&sandbox, &sink);
    let rc = format!(
        "set from=me@163.com smtp=smtp.163.com\nset smtp-auth-user=me@163.com\nset smtp-auth-password=pa$$word\n\
         set smtp-auth=login\nset {} {}\nset crt=20\nalias team you@x.example\n",
        led[1], led[3]
    );
    let path = sandbox.write("home/.mailrc", &rc);
    let outcome = sandbox.smail(&["--setup", "--from-mailrc", "--yes"]).run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    for line in [
        "  2 smtp-auth-user: is now called auth-user\n",
        "  6 crt: dropped: has no effect on sending\n",
        "Mail is sent through smtp.163.com:465 (implicit TLS), as before.\n",
        "~/.mailrc is left unchanged; from now on ~/.config/smail/config.toml takes precedence over it.\n",
    ] {
        assert!(outcome.stdout.contains(line), "{}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("pa$$word"), "{}", outcome.stdout);
    assert_eq!(
        (
            text(&sandbox, "home/.mailrc"),
            text(&sandbox, "home/.config/smail/password-mail")
        ),
        (rc, "pa$$word\n".into())
    );
    fs::remove_file(path).unwrap();
    let sent = sandbox.smail(&["-s", "x", "team"]).stdin("text\n").run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    assert_eq!(sink.only_mail().to, ["you@x.example"]);
    let again = sandbox
        .smail(&["--setup", "--from-mailrc=home/.mailrc", "--yes"])
        .run();
    assert_eq!(again.status, 66);
}
