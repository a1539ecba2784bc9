//! `--setup` with the accounts that most people have: the servers of 163.com, QQ, Gmail and
//! Microsoft 365 in their own words, first with the password that everybody types first, then with
//! the one they take.
use std::fmt::Write as _;

use crate::support::sandbox::Sandbox;
use crate::support::server::Server;
use crate::support::terminal::Terminal;

/// A provider's side of the dialogue.
struct Play {
    address: &'static str,
    /// The first line.
    greeting: &'static str,
    /// The answer to EHLO, with the logins last; they are offered only under TLS.
    hello: &'static [&'static str],
    auth: &'static [&'static str],
    starttls: bool,
    /// The answers to the first password, and to the second.
    refusal: &'static [&'static str],
    accepted: &'static str,
    /// The answers to MAIL, RCPT, DATA, the dot and QUIT.
    mail: [&'static str; 5],
}

/// The passwords that are typed, and what is said of the first one.
struct Typed {
    wrong: &'static str,
    right: &'static str,
    /// What is pointed out before it is tried.
    doubt: Option<&'static str>,
    /// What the failure says behind its headline.
    explained: &'static str,
}

impl Play {
    fn until_login(&self, password: &str) -> String {
        let mut text = if self.starttls {
            String::new()
        } else {
            "-- implicit providers\n".to_owned()
        };
        let hello = |text: &mut String, lines: &[&str]| {
            text.push_str("C: EHLO *\n");
            for (at, line) in lines.iter().enumerate() {
                let _ = writeln!(
                    text,
                    "S: 250{}{line}",
                    if at + 1 == lines.len() { ' ' } else { '-' }
                );
            }
        };
        let _ = writeln!(text, "S: {}", self.greeting);
        if self.starttls {
            hello(&mut text, &[self.hello, &["STARTTLS"]].concat());
            text.push_str("C: STARTTLS\nS: 220 2.0.0 SMTP server ready\n-- starttls providers\n");
        }
        hello(&mut text, &[self.hello, self.auth].concat());
        if self.auth.iter().any(|line| line.contains("PLAIN")) {
            let _ = writeln!(text, "C: AUTH PLAIN {{plain {} {password}}}", self.address);
        } else {
            text.push_str(&self.login(password));
        }
        text
    }

    fn login(&self, password: &str) -> String {
        let user = format!(
            "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: {{b64 {}}}\n",
            self.address
        );
        format!("{user}S: 334 UGFzc3dvcmQ6\nC: {{b64 {password}}}\n")
    }

    /// The wrong password, the right one tried, and the first mail.
    fn script(&self, typed: &Typed) -> String {
        let [sender, recipient, data, dot, quit] = self.mail;
        let mut text = self.until_login(typed.wrong);
        let refusal = format!("S: {}\n", self.refusal.join("\nS: "));
        text.push_str(&refusal);
        // 534 says that the mechanism is too weak (RFC 4954 section 6), so that the next one is
        // tried.
        if refusal.starts_with("S: 534") {
            text.push_str(&self.login(typed.wrong));
            text.push_str(&refusal);
        }
        let _ = write!(
            text,
            "-- bye\n== connection\n{}S: {}\n",
            self.until_login(typed.right),
            self.accepted
        );
        let _ = writeln!(
            text,
            "C: MAIL FROM:<{}>*\nS: {sender}\nC: RSET\nS: {sender}\n-- bye",
            self.address
        );
        let _ = write!(
            text,
            "== connection\n{}S: {}\n",
            self.until_login(typed.right),
            self.accepted
        );
        let _ = writeln!(
            text,
            "C: MAIL FROM:<{0}>*\nS: {sender}\nC: RCPT TO:<{0}>\nS: {recipient}",
            self.address
        );
        let ask = if self.auth.contains(&"CHUNKING") {
            "C: BDAT *\n-- chunk".to_owned()
        } else {
            format!("C: DATA\nS: {data}\n-- data")
        };
        let _ = writeln!(text, "{ask}\nS: {dot}\nC: QUIT\nS: {quit}");
        text
    }
}

/// Sets up at a terminal as a new user would, and gives what was shown.
fn set_up(play: &Play, typed: &Typed) -> String {
    let (sandbox, server) = (
        Sandbox::new(),
        Server::play(play.address, &play.script(typed)),
    );
    let port = format!("connect-to=127.0.0.1:{}", server.port());
    let ca = format!("tls-ca-file={}", sandbox.pem("ca").display());
    let words = ["--setup", play.address, "-S", &port, "-S", &ca];
    let mut terminal = Terminal::start(
        sandbox
            .under(&["setsid", "--ctty", "--wait"], &words)
            .into_command(),
    );
    terminal.answer("Password (not shown): ", &format!("{}\n", typed.wrong));
    if let Some(doubt) = typed.doubt {
        terminal.wait_for(&format!("Please check: {doubt}\r\n"));
        terminal.answer("Use it anyway? (y/n) [y]: ", "\n");
    }
    terminal.answer("Number [1]: ", "\n");
    let user = format!(" as {}\n", play.address);
    terminal
        .wait_for(&format!("{user}{}That did not work.\n", typed.explained).replace('\n', "\r\n"));
    terminal.answer("Number [1]: ", "1\n");
    terminal.answer("Password (not shown): ", &format!("{}\n", typed.right));
    if typed.doubt.is_some() && typed.right == typed.wrong {
        terminal.answer("Use it anyway? (y/n) [y]: ", "\n");
    }
    terminal.wait_for("It works: the server accepted the login and the sender.");
    terminal.answer("(y/n) [y]: ", "\n");
    let (status, shown) = terminal.finish();
    assert_eq!(status, 0, "{shown}");
    assert!(
        shown.ends_with(&format!(
            "A message to {} was accepted; it should arrive soon.\n",
            play.address
        )),
        "{shown}"
    );
    assert!(
        !shown.contains(typed.right) && !shown.contains(typed.wrong),
        "{shown}"
    );
    let record = server.finish();
    let mails = record.mails();
    assert_eq!((record.accepted(), mails.len()), (1, 1));
    let mail = String::from_utf8_lossy(mails[0]).into_owned();
    assert!(
        mail.contains(&format!("From: {0}\r\nTo: {0}\r\n", play.address)),
        "{mail}"
    );
    shown
}

#[test]
fn netease_163_wants_the_authorization_code() {
    let play = Play {
        address: "me@163.com",
        greeting: "220 163.com Anti-spam GT for Coremail System (163com[20141201])",
        hello: &["mail", "PIPELINING"],
        auth: &[
            "AUTH LOGIN PLAIN ",
            "AUTH=LOGIN PLAIN",
            "coremail 1Uxr2xKj7kG0xkI17xGrU7I0s8FY2U3Uj8Cz28x1UUUUU7Ic2I0Y2UrJPY7-UCa0xDrUUUUj",
            "STARTTLS",
            "SIZE 73400320",
            "8BITMIME",
        ],
        starttls: false,
        refusal: &["535 Error: authentication failed"],
        accepted: "235 Authentication successful",
        mail: [
            "250 Mail OK",
            "250 Mail OK",
            "354 End data with <CR><LF>.<CR><LF>",
            "250 Mail OK queued as smtp1,C8CowAB3d8vYXk5m--.18371S2 1716412121",
            "221 Bye",
        ],
    };
    let typed = Typed {
        wrong: "my-web-password",
        right: "ABCDEFGHIJKLMNOP",
        doubt: None,
        explained: "  server: 535 Error: authentication failed
  535 means: the password must be the authorization code (授权码), not the web password

hint: 网页邮箱 → 设置 → POP3/SMTP/IMAP → 开启 IMAP/SMTP → 新增授权密码; use that code, not the web password
",
    };
    set_up(&play, &typed);
    // SMTP is off in every new mailbox.
    let off = Play {
        refusal: &["550 User has no permission"],
        ..play
    };
    let explained = "  server: 550 User has no permission
  550 means: SMTP is not enabled for this mailbox

hint: 网页邮箱 → 设置 → POP3/SMTP/IMAP → 开启 SMTP 服务
      NetEase 163.com: 网页邮箱 → 设置 → POP3/SMTP/IMAP → 开启 IMAP/SMTP → 新增授权密码; use that code, not the web password
";
    set_up(&off, &Typed { explained, ..typed });
}

#[test]
fn qq_wants_the_authorization_code() {
    let play = Play {
        address: "10001@qq.com",
        greeting: "220 newxmesmtplogicsvrszc5-0.qq.com XMail Esmtp QQ Mail Server.",
        hello: &[
            "newxmesmtplogicsvrszc5-0.qq.com",
            "PIPELINING",
            "SIZE 73400320",
        ],
        auth: &[
            "AUTH LOGIN PLAIN XOAUTH XOAUTH2",
            "AUTH=LOGIN",
            "MAILCOMPRESS",
            "SMTPUTF8",
            "8BITMIME",
        ],
        starttls: false,
        refusal: &[
            "535 Login Fail. Please enter your authorization code to login. More information in https://service.mail.qq.com/detail/0/53",
        ],
        accepted: "235 Authentication successful",
        mail: [
            "250 OK.",
            "250 OK",
            "354 End data with <CR><LF>.<CR><LF>.",
            "250 OK: queued as.",
            "221 Bye.",
        ],
    };
    let typed = Typed { wrong: "my-QQ-password", right: "abcdefghijklmnop", doubt: Some("this does not look like a QQ authorization code (授权码), which has 16 letters; mail.qq.com → 设置 → 账号 → POP3/IMAP/SMTP服务 → 开启 → 生成授权码"),
        explained: "  server: 535 Login Fail. Please enter your authorization code to login. More information in https://service.mail.qq.com/detail/0/53
  535 means: QQ requires the authorization code (授权码), not the QQ password

hint: mail.qq.com → 设置 → 账号 → POP3/IMAP/SMTP服务 → 开启 → 生成授权码; if the code is correct, wait: logins may be limited
" };
    set_up(&play, &typed);
}

#[test]
fn gmail_wants_an_app_password() {
    let play = Play {
        address: "me@gmail.com",
        greeting: "220 smtp.gmail.com ESMTP 5b1f17b1804b1-42c7c1e9a0dsm12345678.5 - gsmtp",
        hello: &[
            "smtp.gmail.com at your service, [203.0.113.5]",
            "SIZE 35882577",
            "8BITMIME",
        ],
        auth: &[
            "AUTH LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH",
            "ENHANCEDSTATUSCODES",
            "PIPELINING",
            "CHUNKING",
            "SMTPUTF8",
        ],
        starttls: false,
        refusal: &[
            "534-5.7.9 Application-specific password required. For more information, go to",
            "534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor 5b1f17b1804b1-42c7c1e9a0dsm12345678.5 - gsmtp",
        ],
        accepted: "235 2.7.0 Accepted",
        mail: [
            "250 2.1.0 OK 5b1f17b1804b1-42c7c1e9a0dsm12345678.5 - gsmtp",
            "250 2.1.5 OK 5b1f17b1804b1-42c7c1e9a0dsm12345678.5 - gsmtp",
            "354 Go ahead 5b1f17b1804b1-42c7c1e9a0dsm12345678.5 - gsmtp",
            "250 2.0.0 OK  1716412121 5b1f17b1804b1-42c7c1e9a0dsm12345678.5 - gsmtp",
            "221 2.0.0 closing connection 5b1f17b1804b1-42c7c1e9a0dsm12345678.5 - gsmtp",
        ],
    };
    let typed = Typed { wrong: "my-Google-password", right: "abcdefghijklmnop", doubt: Some("this does not look like a Google app password, which has 16 letters; create one at https://myaccount.google.com/apppasswords; the account password does not work here"),
        explained: "  server: 534 5.7.9 Application-specific password required. For more information, go to
  server: 534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor 5b1f17b1804b1-42c7c1e9a0dsm12345678.5 - gsmtp
  534 means: Google requires an app password, because 2-Step Verification is on

hint: create one at https://myaccount.google.com/apppasswords
" };
    set_up(&play, &typed);
    let bad = Play {
        refusal: &[
            "535-5.7.8 Username and Password not accepted. For more information, go to",
            "535 5.7.8  https://support.google.com/mail/?p=BadCredentials 5b1f17b1804b1-42c7c1e9a0dsm12345678.5 - gsmtp",
        ],
        ..play
    };
    set_up(&bad, &Typed { explained: "  server: 535 5.7.8 Username and Password not accepted. For more information, go to
  server: 535 5.7.8  https://support.google.com/mail/?p=BadCredentials 5b1f17b1804b1-42c7c1e9a0dsm12345678.5 - gsmtp
  535 means: Google did not accept the user name or password

hint: create an app password at https://myaccount.google.com/apppasswords (2-Step Verification must be on); use its 16 letters, not the account password
", ..typed });
}

#[test]
fn microsoft_365_wants_smtp_auth_switched_on() {
    let play = Play {
        address: "me@contoso.onmicrosoft.com",
        greeting: "220 AM0PR04CA0001.outlook.office365.com Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2026 01:59:58 +0000",
        hello: &[
            "AM0PR04CA0001.outlook.office365.com Hello [203.0.113.5]",
            "SIZE 157286400",
            "PIPELINING",
            "DSN",
            "ENHANCEDSTATUSCODES",
        ],
        auth: &[
            "AUTH LOGIN XOAUTH2",
            "8BITMIME",
            "BINARYMIME",
            "CHUNKING",
            "SMTPUTF8",
        ],
        starttls: true,
        refusal: &[
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [AM0PR04CA0001.eurprd04.prod.outlook.com 2026-11-24T01:59:58.000Z 08DC79E0B1F3A2C4]",
        ],
        accepted: "235 2.7.0 Authentication successful",
        mail: [
            "250 2.1.0 Sender OK",
            "250 2.1.5 Recipient OK",
            "354 Start mail input; end with <CRLF>.<CRLF>",
            "250 2.0.0 OK <20261124015958.1@contoso.onmicrosoft.com> [Hostname=AM0PR04MB0001.eurprd04.prod.outlook.com]",
            "221 2.0.0 Service closing transmission channel",
        ],
    };
    // The password is right all along: the administrator switches SMTP AUTH on meanwhile.
    let typed = Typed { wrong: "Pa55word!right", right: "Pa55word!right", doubt: None, explained: "  server: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [AM0PR04CA0001.eurprd04.prod.outlook.com 2026-11-24T01:59:58.000Z 08DC79E0B1F3A2C4]
  535 means: SMTP logins are disabled for the whole organization; a new password does not help

hint: the administrator runs Set-CASMailbox USER -SmtpClientAuthenticationDisabled $false for this mailbox; or sign in with smail --login (`auth = oauth2`)
" };
    set_up(&play, &typed);
}
