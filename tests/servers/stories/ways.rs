//! The ways to a server: in clear, STARTTLS, implicit TLS, LMTP; and the ones that must not be
//! taken.
use crate::servers::Servers;
use crate::servers::sender::Sender;

pub(crate) fn plain_mail_arrives_and_nothing_is_said(servers: &Servers) {
    let ran = servers
        .over_plain()
        .args(["-s", "a plain subject", "plain@ways.test"])
        .run(b"body\n");
    ran.assert_silent_success();
    let mail = servers.mail_to("plain@ways.test");
    assert_eq!(mail.header("Subject"), "a plain subject");
    assert_eq!(mail.header("From"), "sender@example.com");
    assert_eq!(mail.header("To"), "plain@ways.test");
    assert_eq!(mail.header("Return-Path"), "<sender@example.com>");
    assert_eq!(mail.parsed["shape"], "text/plain");
    assert_eq!(mail.text(), "body\n");
}

pub(crate) fn starttls_is_used_before_the_login(servers: &Servers) {
    servers
        .over_starttls()
        .login_of_alice()
        .args(["-s", "s", "starttls@ways.test"])
        .run(b"body\n")
        .assert_silent_success();
    assert_encrypted_and_logged_in(servers, "starttls@ways.test");
}

pub(crate) fn implicit_tls_is_used_before_the_login(servers: &Servers) {
    servers
        .over_implicit()
        .login_of_alice()
        .args(["-s", "s", "implicit@ways.test"])
        .run(b"body\n")
        .assert_silent_success();
    assert_encrypted_and_logged_in(servers, "implicit@ways.test");
}

fn assert_encrypted_and_logged_in(servers: &Servers, recipient: &str) {
    let mail = servers.mail_to(recipient);
    let received = mail.header("Received");
    for words in ["TLSv1.3", "ESMTPSA", "(Authenticated sender: alice)"] {
        assert!(received.contains(words), "{words:?} is not in {received:?}");
    }
}

pub(crate) fn the_old_names_mail_and_mailx_send_too(servers: &Servers) {
    for (name, recipient) in [("mail", "mail@ways.test"), ("mailx", "mailx@ways.test")] {
        let sender = Sender::called(name).env("MAILRC", "/dev/null").args([
            "-n",
            "-r",
            "sender@example.com",
        ]);
        let sender = sender
            .set("smtp", format!("smtp://localhost:{}", servers.ports.plain))
            .set("tls", "none");
        sender
            .args(["-s", "called by another name", recipient])
            .run(b"body\n")
            .assert_silent_success();
        assert_eq!(
            servers.mail_to(recipient).header("Subject"),
            "called by another name"
        );
    }
}

/// Sends as `user`, who does not exist, so that the servers' log tells whether a login was tried at
/// all.
fn assert_no_login(servers: &Servers, user: &str, untrusting: Sender) {
    let ran = untrusting
        .login(user, "secret-of-nobody")
        .args(["-s", "s", "never@ways.test"])
        .run(b"body\n");
    ran.assert_failure(77, &["certificate"]);
    // A login that is tried after it has come into the log: so would the other have been.
    let control = format!("{user}-control");
    let tried = servers.over_implicit().login(&control, "secret-of-nobody");
    tried
        .args(["-s", "s", "never@ways.test"])
        .run(b"body\n")
        .assert_failure(77, &["535"]);
    servers.await_log(&control);
    let log = servers.log().replace(&control, "");
    assert!(!log.contains(user), "a login was tried");
    assert_eq!(servers.settled().get("never@ways.test"), None);
}

pub(crate) fn an_unknown_authority_ends_the_session_before_the_login(servers: &Servers) {
    let smtps = format!("smtps://localhost:{}", servers.ports.implicit);
    let sender = || Sender::new().args(["-r", "sender@example.com"]);
    assert_no_login(servers, "mallory-roots", sender().set("smtp", &smtps));
    let stranger = servers.certificate("stranger.pem");
    assert_no_login(
        servers,
        "mallory-stranger",
        sender().set("smtp", &smtps).set("tls-ca-file", &stranger),
    );
    let smtp = format!("smtp://localhost:{}", servers.ports.starttls);
    assert_no_login(
        servers,
        "mallory-starttls",
        sender().set("smtp", &smtp).set("tls-ca-file", &stranger),
    );
}

pub(crate) fn another_servers_certificate_ends_the_session_before_the_login(servers: &Servers) {
    let port = servers.ports.implicit;
    let sender = Sender::new()
        .args(["-r", "sender@example.com"])
        .set("smtp", format!("smtps://other.test:{port}"));
    let sender = sender
        .set("connect-to", format!("127.0.0.1:{port}"))
        .set("tls-ca-file", servers.ca());
    assert_no_login(servers, "mallory-name", sender);
}

pub(crate) fn required_starttls_that_is_not_offered_sends_nothing(servers: &Servers) {
    let sender = Sender::new()
        .args(["-r", "sender@example.com"])
        .set("tls", "starttls");
    let sender = sender
        .set("smtp", format!("smtp://localhost:{}", servers.ports.plain))
        .set("tls-ca-file", servers.ca());
    sender
        .args(["-s", "s", "stripped@ways.test"])
        .run(b"body\n")
        .assert_failure(69, &["STARTTLS"]);
    assert_eq!(servers.settled().get("stripped@ways.test"), None);
}

pub(crate) fn lmtp_answers_for_each_recipient_after_the_dot(servers: &Servers) {
    let sender = Sender::new().args(["-r", "sender@example.com"]);
    let sender = sender
        .set("smtp", format!("lmtp://localhost:{}", servers.ports.lmtp))
        .set("tls", "none");
    let text = "a line that fills the small mailbox\n".repeat(20);
    let ran = sender
        .args(["-s", "by lmtp", "carol@lmtp.test", "full@lmtp.test"])
        .run(text.as_bytes());
    ran.assert_failure(69, &["full@lmtp.test", "552 5.2.2"]);
    assert!(!ran.stderr.contains("carol@lmtp.test"), "{ran:#?}");
    let mail = servers.lmtp_mail_to("carol@lmtp.test");
    assert_eq!((mail.header("Subject"), mail.text()), ("by lmtp", &*text));
}

pub(crate) fn lmtp_over_a_unix_socket(servers: &Servers) {
    let sender = Sender::new().args(["-r", "sender@example.com"]);
    let sender = sender.set(
        "smtp",
        format!("lmtp+unix:{}", servers.lmtp_socket().display()),
    );
    sender
        .args(["-s", "by socket", "dave@lmtp.test"])
        .run(b"body\n")
        .assert_silent_success();
    assert_eq!(
        servers.lmtp_mail_to("dave@lmtp.test").header("Subject"),
        "by socket"
    );
}

pub(crate) fn a_check_goes_every_step_and_delivers_nothing(servers: &Servers) {
    let check = |recipient: &str| {
        let sender = servers
            .over_starttls()
            .login_of_alice()
            .args(["--check", "--to", recipient]);
        let ran = sender.run(b"");
        assert_eq!(ran.stderr, "", "{ran:#?}");
        let step = |line: &str| {
            line.split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let is_step = |line: &&str| line.find(|c| c != ' ') == Some(2);
        let steps: Vec<String> = ran.stdout.lines().filter(is_step).map(step).collect();
        (ran.status, steps.join(", "), ran.stdout)
    };
    let (status, steps, said) = check("checked@ways.test");
    let opening = "name ok, connect ok, greeting ok, EHLO ok, TLS ok, EHLO ok, login ok, sender ok";
    assert_eq!(
        (status, steps),
        (0, format!("{opening}, recipient ok, reset ok, quit ok")),
        "{said}"
    );
    assert!(
        said.contains("AUTH SCRAM-SHA-256 as alice") && said.contains("TLSv1.3 "),
        "{said}"
    );
    let (status, steps, said) = check("unknown@refusals.test");
    assert_eq!(
        (status, steps),
        (
            67,
            format!("{opening}, recipient FAILED, reset ok, quit ok")
        ),
        "{said}"
    );
    assert_eq!(servers.settled().get("checked@ways.test"), None);
}
