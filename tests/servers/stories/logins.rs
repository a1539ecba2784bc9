//! Each way to log in, and what is said when it fails.
use std::path::PathBuf;

use crate::servers::mailbox::Mail;
use crate::servers::sender::Sender;
use crate::servers::{Servers, token};

/// The line of Postfix's log about the session that brought `mail`.
fn session(servers: &Servers, mail: &Mail) -> String {
    let received = mail.header("Received");
    let id = received
        .split_whitespace()
        .skip_while(|word| *word != "id")
        .nth(1)
        .expect("a queue id");
    let id = id.trim_end_matches(';');
    servers.await_log(&format!(": {id}: client="))
}

/// Sends on both ports that ask for a login, and checks who logged in and how.
fn assert_logs_in(servers: &Servers, auth: &str, method: &str, user: &str, secret: &str) {
    for (way, sender) in [
        ("starttls", servers.over_starttls()),
        ("implicit", servers.over_implicit()),
    ] {
        let recipient = format!("{auth}-{user}-{way}@logins.test");
        let ran = sender
            .login(user, secret)
            .set("auth", auth)
            .args(["-s", "s", &recipient])
            .run(b"body\n");
        ran.assert_silent_success();
        let line = session(servers, &servers.mail_to(&recipient));
        let wanted = format!("sasl_method={method}, sasl_username={user}");
        assert!(line.ends_with(&wanted), "{wanted:?} does not end {line:?}");
    }
}

pub(crate) fn auto_logs_in(servers: &Servers) {
    let ran = servers
        .over_implicit()
        .login_of_alice()
        .set("auth", "auto")
        .args(["-s", "s", "auto@logins.test"])
        .run(b"body\n");
    ran.assert_silent_success();
    let line = session(servers, &servers.mail_to("auto@logins.test"));
    let wanted = "sasl_method=SCRAM-SHA-256, sasl_username=alice";
    assert!(line.ends_with(wanted), "{line}");
}

pub(crate) fn scram_sha_256_logs_in(servers: &Servers) {
    assert_logs_in(
        servers,
        "scram-sha-256",
        "SCRAM-SHA-256",
        "alice",
        "wonderland",
    );
}

pub(crate) fn scram_sha_1_logs_in(servers: &Servers) {
    assert_logs_in(servers, "scram-sha-1", "SCRAM-SHA-1", "alice", "wonderland");
}

pub(crate) fn a_user_whose_password_is_stored_for_plain_only_logs_in(servers: &Servers) {
    let ran = servers
        .over_implicit()
        .login("hatter", "ten-and-six")
        .args(["-s", "s", "hatter@logins.test"])
        .run(b"body\n");
    ran.assert_silent_success();
    let line = session(servers, &servers.mail_to("hatter@logins.test"));
    let wanted = "sasl_method=PLAIN, sasl_username=hatter";
    assert!(line.ends_with(wanted), "{line}");
    let sender = servers.over_implicit().login("hatter", "seven-and-six");
    let ran = sender.args(["-s", "s", "wrong@logins.test"]).run(b"body\n");
    ran.assert_failure(77, &["535 5.7.8"]);
}

pub(crate) fn anonymous_logs_in_without_a_password(servers: &Servers) {
    let sender = servers.over_implicit().set("auth", "anonymous");
    let ran = sender
        .args(["-s", "s", "anonymous@logins.test"])
        .run(b"body\n");
    // Postfix takes the login, and no mail of anybody whom it does not know.
    ran.assert_failure(69, &["554 5.7.1", "Client host rejected"]);
    servers.await_log("anonymous(,127.0.0.1): login");
}

pub(crate) fn plain_logs_in(servers: &Servers) {
    assert_logs_in(servers, "plain", "PLAIN", "alice", "wonderland");
}

pub(crate) fn login_logs_in(servers: &Servers) {
    assert_logs_in(servers, "login", "LOGIN", "alice", "wonderland");
}

pub(crate) fn cram_md5_logs_in(servers: &Servers) {
    assert_logs_in(servers, "cram-md5", "CRAM-MD5", "alice", "wonderland");
}

pub(crate) fn xoauth2_logs_in(servers: &Servers) {
    assert_logs_in(
        servers,
        "xoauth2",
        "XOAUTH2",
        "alice",
        &token::bearer("alice", 600),
    );
}

pub(crate) fn oauthbearer_logs_in(servers: &Servers) {
    assert_logs_in(
        servers,
        "oauthbearer",
        "OAUTHBEARER",
        "alice",
        &token::bearer("alice", 600),
    );
}

pub(crate) fn an_expired_token_is_replaced_and_logs_in(servers: &Servers) {
    let (expired, good) = (token::bearer("alice", -60), token::bearer("alice", 600));
    let script = format!("test -n \"$SMAIL_TOKEN_REJECTED\" && echo {good} || echo {expired}");
    for (sender, to) in [
        (servers.over_implicit(), "implicit@tokens.test"),
        (servers.over_starttls(), "starttls@tokens.test"),
    ] {
        let sender = sender
            .set("auth", "oauth2")
            .set("auth-user", "alice")
            .set("oauth2-token-command", format!("sh -c '{script}'"));
        sender
            .args(["-s", "s", to])
            .run(b"body\n")
            .assert_silent_success();
        let line = session(servers, &servers.mail_to(to));
        let wanted = "sasl_method=XOAUTH2, sasl_username=alice";
        assert!(line.ends_with(wanted), "{line}");
    }
}

pub(crate) fn a_password_beyond_ascii_logs_in(servers: &Servers) {
    for (auth, method) in [
        ("scram-sha-256", "SCRAM-SHA-256"),
        ("scram-sha-1", "SCRAM-SHA-1"),
        ("plain", "PLAIN"),
        ("login", "LOGIN"),
        ("cram-md5", "CRAM-MD5"),
    ] {
        assert_logs_in(servers, auth, method, "bob", "bob's pässword");
    }
}

pub(crate) fn external_logs_in_by_the_client_certificate(servers: &Servers) {
    let sender = Sender::new().args(["-r", "sender@example.com"]);
    let sender = sender.set(
        "smtp",
        format!("smtps://localhost:{}", servers.ports.submissions),
    );
    let sender = sender
        .set("tls-ca-file", servers.ca())
        .set("auth", "external")
        .set("auth-user", "alice");
    let sender = sender
        .set("tls-cert", servers.certificate("alice.pem"))
        .set("tls-key", servers.certificate("alice.key"));
    sender
        .args(["-s", "s", "external@logins.test"])
        .run(b"body\n")
        .assert_silent_success();
    servers.mail_to("external@logins.test");
    servers.await_log("user=<alice>, method=EXTERNAL");
}

pub(crate) fn a_wrong_password_is_told_in_the_servers_words(servers: &Servers) {
    for auth in [
        "auto",
        "scram-sha-256",
        "scram-sha-1",
        "plain",
        "login",
        "cram-md5",
    ] {
        let sender = servers
            .over_implicit()
            .login("alice", "looking-glass")
            .set("auth", auth);
        let ran = sender.args(["-s", "s", "wrong@logins.test"]).run(b"body\n");
        ran.assert_failure(77, &["535 5.7.8", "authentication failed"]);
        assert!(!ran.stderr.contains("looking-glass"), "{ran:#?}");
    }
    assert_eq!(servers.settled().get("wrong@logins.test"), None);
}

pub(crate) fn an_expired_token_is_told_in_the_servers_words(servers: &Servers) {
    let expired = token::bearer("alice", -60);
    for auth in ["xoauth2", "oauthbearer"] {
        let sender = servers
            .over_implicit()
            .login("alice", &expired)
            .set("auth", auth);
        let ran = sender
            .args(["-s", "s", "expired@logins.test"])
            .run(b"body\n");
        ran.assert_failure(77, &["535 5.7.8"]);
        assert!(!ran.stderr.contains(&expired), "{ran:#?}");
    }
    assert_eq!(servers.settled().get("expired@logins.test"), None);
}

/// The five lines the source document puts into mail.rc, letter by letter; its password says "the
/// authorisation code that you filled in yourself".
const SOURCE_DOCUMENT: &str = "set from=\"xxx@163.com\"\n\
    set smtp=smtp.163.com\n\
    set smtp-auth-user=xxx@163.com\n\
    set smtp-auth-password=自己填写的授权码\n\
    set smtp-auth=login\n";

pub(crate) fn the_source_documents_mail_rc_logs_in(servers: &Servers) {
    let sender = Sender::called("mail").args(["-n"]);
    // A password of a file goes by another address only where that file says so.
    let here = format!(
        "set tls-ca-file={}\nset connect-to=127.0.0.1:{}\n",
        servers.ca().display(),
        servers.ports.implicit
    );
    let mailrc: PathBuf = sender.file("mailrc", format!("{SOURCE_DOCUMENT}{here}").as_bytes());
    let sender = sender.env("MAILRC", mailrc);
    sender
        .args(["-s", "TestMail", "xxx@163.com"])
        .run("This is a fine test body…\n".as_bytes())
        .assert_silent_success();
    let mail = servers.mail_to("xxx@163.com");
    assert_eq!(
        (mail.header("Subject"), mail.text()),
        ("TestMail", "This is a fine test body…\n")
    );
    assert_eq!(
        (mail.header("From"), mail.header("To")),
        ("xxx@163.com", "xxx@163.com")
    );
    let line = session(servers, &mail);
    assert!(
        line.ends_with("sasl_method=LOGIN, sasl_username=xxx@163.com"),
        "{line}"
    );
}
