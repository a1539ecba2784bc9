//! From nothing to the first mail, at a terminal; and what a check shows there.
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::servers::Servers;
use crate::servers::sender::{Sender, home};
use crate::servers::terminal::Terminal;

/// The authorization code of the accounts that Dovecot knows.
const CODE: &str = "ABCDEFGHIJKLMNOP";

/// A setup at a terminal, where the server of 163.com is this Postfix.
fn setup(servers: &Servers, home: &Arc<TempDir>) -> Terminal {
    let sender = Sender::at(home)
        .args(["--setup"])
        .set("tls-ca-file", servers.ca());
    sender
        .set(
            "connect-to",
            format!("127.0.0.1:{}", servers.ports.implicit),
        )
        .at_terminal()
}

/// Every path below a directory with its mode and its content.
fn tree(dir: &Path) -> BTreeMap<String, (u32, String)> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(below) = open.pop() {
        for path in fs::read_dir(&below)
            .expect("a folder")
            .map(|row| row.expect("a row").path())
        {
            let mode = fs::symlink_metadata(&path)
                .expect("a mode")
                .permissions()
                .mode()
                & 0o7777;
            let content = if path.is_dir() {
                String::new()
            } else {
                fs::read_to_string(&path).expect("text")
            };
            let name = path
                .strip_prefix(dir)
                .expect("below it")
                .display()
                .to_string();
            found.insert(name, (mode, content));
            open.extend(path.is_dir().then_some(path));
        }
    }
    found
}

/// What the setup wrote: the config, and the password beside it; all of it for the owner alone.
fn assert_written(home: &TempDir, config: &[&str], password: &str) {
    let mut written = tree(home.path());
    // The queue of the first mail, which is empty again.
    written.retain(|path, _| !path.starts_with(".local"));
    let (mode, text) = written
        .remove(".config/smail/config.toml")
        .expect("a config");
    let settings: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!((mode, settings.as_slice()), (0o600, config));
    let wanted = [
        (".config".to_owned(), (0o700, String::new())),
        (".config/smail".to_owned(), (0o700, String::new())),
        (
            format!(".config/smail/{password}"),
            (0o600, format!("{CODE}\n")),
        ),
    ];
    assert_eq!(written.into_iter().collect::<Vec<_>>(), wanted);
}

/// Fails unless `echo … | smail -s … recipient` arrives with the settings of this HOME alone.
fn assert_sends(servers: &Servers, home: &Arc<TempDir>, author: &str, recipient: &str) {
    Sender::at(home)
        .args(["-s", "from now on", recipient])
        .run(b"body\n")
        .assert_silent_success();
    let mail = servers.mail_to(recipient);
    assert_eq!(
        (mail.header("Subject"), mail.header("From"), mail.text()),
        ("from now on", author, "body\n")
    );
}

/// The first mail, as it lies in the mailbox.
fn assert_first_mail(servers: &Servers, address: &str) {
    let mail = servers.mail_to(address);
    assert_eq!((mail.header("From"), mail.header("To")), (address, address));
    assert_eq!(mail.header("Return-Path"), format!("<{address}>"));
    let (subject, text) = (mail.header("Subject"), mail.text());
    assert!(
        subject.starts_with("smail on ") && subject.ends_with(" is ready"),
        "{subject}"
    );
    assert!(
        text.ends_with(
            "The settings are in ~/.config/smail/config.toml; see `man smail` for more.\n"
        )
    );
    let login = format!("(Authenticated sender: {address})");
    assert!(
        mail.header("Received").contains(&login),
        "{}",
        mail.header("Received")
    );
}

pub(crate) fn from_nothing_to_the_first_mail_in_the_mailbox(servers: &Servers) {
    let (home, address) = (home(), "new@163.com");
    let mut terminal = setup(servers, &home);
    terminal.answer("Your email address: ", &format!("{address}\n"));
    terminal.answer("Password (not shown): ", &format!("{CODE}\n"));
    terminal.answer("Number [1]: ", "\n");
    terminal.wait_for("It works: the server accepted the login and the sender.");
    terminal.answer(
        "Send a test message to new@163.com afterwards? (y/n) [y]: ",
        "\n",
    );
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    assert!(
        shown.ends_with("A message to new@163.com was accepted; it should arrive soon.\n"),
        "{shown}"
    );
    assert!(!shown.contains(CODE), "{shown}");
    assert_first_mail(servers, address);
    let ca = format!("tls-ca-file = \"{}\"", servers.ca().display());
    let port = format!("connect-to = \"127.0.0.1:{}\"", servers.ports.implicit);
    let config = [
        "from = \"new@163.com\"",
        "smtp = \"smtps://smtp.163.com:465\"",
        "auth-user = \"new@163.com\"",
        "auth-password-file = \"~/.config/smail/password-163\"",
        &ca,
        &port,
    ];
    assert_written(&home, &config, "password-163");
    assert_sends(servers, &home, address, "from-now-on@setups.test");
}

pub(crate) fn a_server_that_is_named_is_set_up_too(servers: &Servers) {
    let (home, address) = (home(), "new@setups.test");
    let server = format!("smtp://localhost:{}", servers.ports.starttls);
    let sender = Sender::at(&home)
        .args(["--setup", address])
        .set("smtp", &server)
        .set("tls-ca-file", servers.ca());
    let mut terminal = sender.at_terminal();
    terminal.answer("User name [new@setups.test]: ", "\n");
    terminal.answer("Password (not shown): ", &format!("{CODE}\n"));
    terminal.answer("Number [1]: ", "\n");
    terminal.answer(
        "Send a test message to new@setups.test afterwards? (y/n) [y]: ",
        "\n",
    );
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    assert_first_mail(servers, address);
    let (ca, smtp) = (
        format!("tls-ca-file = \"{}\"", servers.ca().display()),
        format!("smtp = \"{server}\""),
    );
    let config = [
        "from = \"new@setups.test\"",
        "auth-user = \"new@setups.test\"",
        "auth-password-file = \"~/.config/smail/password-setups\"",
        &smtp,
        &ca,
    ];
    assert_written(&home, &config, "password-setups");
    assert_sends(servers, &home, address, "named@setups.test");
}

pub(crate) fn a_wrong_password_comes_before_the_right_one(servers: &Servers) {
    let (home, address) = (home(), "newer@163.com");
    let mut terminal = setup(servers, &home);
    terminal.answer("Your email address: ", &format!("{address}\n"));
    terminal.answer("Password (not shown): ", "my-web-password\n");
    terminal.answer("Number [1]: ", "\n");
    terminal.wait_for(
        "as newer@163.com\r
  server: 535 5.7.8 Error: authentication failed: (reason unavailable)\r
  535 means: the password must be the authorization code (授权码), not the web password\r
\r
hint: 网页邮箱 → 设置 → POP3/SMTP/IMAP → 开启 IMAP/SMTP → 新增授权密码; use that code, not the web password\r
That did not work.\r
",
    );
    assert_eq!(tree(home.path()), BTreeMap::new());
    terminal.answer("Number [1]: ", "1\n");
    terminal.answer("Password (not shown): ", &format!("{CODE}\n"));
    terminal.answer("(y/n) [y]: ", "\n");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    assert!(
        !shown.contains(CODE) && !shown.contains("my-web-password"),
        "{shown}"
    );
    assert_first_mail(servers, address);
    assert_sends(servers, &home, address, "afterwards@setups.test");
}

pub(crate) fn whoever_leaves_at_any_question_leaves_home_as_it_was(servers: &Servers) {
    let steps = [
        ("Your email address: ", "nobody@163.com\n"),
        ("Password (not shown): ", "my-web-password\n"),
        ("Number [1]: ", "2\n"),
        ("Number [1]: ", "1\n"),
        ("Password (not shown): ", "another-password\n"),
        ("Number [1]: ", "3\n"),
        (
            "Send a test message to nobody@163.com afterwards? (y/n) [y]: ",
            "",
        ),
    ];
    for leave in 0..steps.len() {
        let home = home();
        // Some homes are not new: a directory that is there stays, and so does its mode.
        if leave % 2 == 0 {
            fs::create_dir_all(home.path().join(".config/other")).expect("a folder");
            fs::write(home.path().join(".config/other/settings"), "mine\n").expect("a file");
        }
        let before = tree(home.path());
        let mut terminal = setup(servers, &home);
        for (question, answer) in &steps[..leave] {
            terminal.answer(question, answer);
        }
        terminal.answer(steps[leave].0, "\x03");
        let (status, shown) = terminal.finish();
        assert_eq!(status, 130, "at {leave}: {shown}");
        let question = steps[leave]
            .0
            .trim_end_matches(": ")
            .split(" [")
            .next()
            .expect("a question");
        let last = format!(
            "\x1b[1msmail:\x1b[0m the setup was interrupted at `{question}`; nothing was written\n"
        );
        assert!(shown.ends_with(&last), "{shown}");
        assert_eq!(tree(home.path()), before, "{shown}");
    }
    assert_eq!(servers.settled().get("nobody@163.com"), None);
}

/// A check of the way over STARTTLS, asking about one recipient.
fn check(servers: &Servers, recipient: &str) -> Sender {
    servers
        .over_starttls()
        .login_of_alice()
        .args(["--check", "--to", recipient])
}

/// A report without its times, which differ from run to run.
fn timeless(report: &str) -> String {
    let is_time = |line: &str| {
        line.split_once(" ms  ").map(|(before, after)| {
            format!(
                "{} N ms  {after}",
                before
                    .trim_end_matches(|c: char| c.is_ascii_digit())
                    .trim_end()
            )
        })
    };
    report
        .lines()
        .map(|line| is_time(line).unwrap_or_else(|| line.to_owned()) + "\n")
        .collect()
}

pub(crate) fn a_check_has_colours_at_a_terminal_and_nowhere_else(servers: &Servers) {
    let piped = check(servers, "refused@setups.test").run(b"");
    assert!(!piped.stdout.contains('\x1b'), "{piped:#?}");
    let plain = timeless(&piped.stdout);
    let (status, shown) = check(servers, "refused@setups.test").at_terminal().finish();
    assert_eq!((status, piped.status), (69, 69));
    let coloured = plain
        .replace(" ok ", " \x1b[32mok\x1b[0m ")
        .replace(" FAILED ", " \x1b[1;31mFAILED\x1b[0m ");
    assert_eq!(timeless(&shown), coloured);
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")] {
        let (status, shown) = check(servers, "refused@setups.test")
            .env(name, value)
            .at_terminal()
            .finish();
        assert_eq!(
            (status, timeless(&shown)),
            (69, plain.clone()),
            "{name}={value}"
        );
    }
}

pub(crate) fn a_check_of_a_refused_recipient_says_what_to_do(servers: &Servers) {
    let own = "check the recipient's address; see the rest of the server's text for the reason";
    let rows = [
        (
            "refused@setups.test",
            69,
            "550 5.7.1",
            "this mailbox takes no mail from you",
            own,
        ),
        (
            "unknown@setups.test",
            67,
            "550 5.1.1",
            "no such mailbox here",
            "check the part of the address before the @; the account may be gone",
        ),
        (
            "later@setups.test",
            75,
            "450 4.2.1",
            "mailbox busy, try again",
            "wait: the queue retries automatically; without a queue, try again in 15 minutes",
        ),
    ];
    for (recipient, status, code, why, advice) in rows {
        let ran = check(servers, recipient).run(b"");
        assert_eq!((ran.status, ran.stderr.as_str()), (status, ""), "{ran:#?}");
        let report = timeless(&ran.stdout);
        let steps = report
            .lines()
            .skip_while(|line| !line.starts_with("  recipient"));
        let steps: String = steps.map(|line| line.to_owned() + "\n").collect();
        let wanted = format!(
            "  recipient  FAILED N ms  RCPT TO:<{recipient}>: {code} <{recipient}>: Recipient address rejected: {why}
                               hint: {advice}
  reset      ok N ms  250 2.0.0 Ok
  quit       ok N ms  221 2.0.0 Bye
sending would fail with exit status {status}, with 1 warning; nothing was sent
"
        );
        assert_eq!(steps, wanted, "{report}");
    }
}
