//! `--check`: each of the common mistakes at a scripted server, the whole report compared.
//!
//! Times, ports, dates and fingerprints differ from run to run; [`normal`] puts words in their
//! place.
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use crate::support::certs::certs;
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::server::Server;
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const LOGIN: &[&str] = &[
    "-S",
    "auth-user=u@x.example",
    "-S",
    "auth-password=s3cret-pw",
];
const CLEAR: &[&str] = &["-S", "tls=none", "-S", "timeout=10"];
const STARTTLS: &[&str] = &[
    "-S",
    "tls=starttls",
    "-S",
    "tls-ca-file=ca.pem",
    "-S",
    "timeout=10",
];
const IMPLICIT: &[&str] = &[
    "-S",
    "tls=implicit",
    "-S",
    "tls-ca-file=ca.pem",
    "-S",
    "timeout=10",
];

/// Checks a server that plays `script`; gives the outcome with standard output made comparable.
fn check(script: &str, flags: &[&[&str]]) -> Outcome {
    let sandbox = Sandbox::new();
    let server = Server::play("check", script);
    sandbox.pem("ca");
    let words = words(server.port(), flags);
    let mut outcome = sandbox.smail(&words).run();
    let record = server.finish();
    assert!(
        record.mails().is_empty() && !record.said().contains(&"DATA"),
        "{record:?}"
    );
    assert!(!outcome.stdout.contains("s3cret-pw"), "{outcome:?}");
    outcome.stdout = normal(&outcome.stdout, Some(record_port(&words)));
    outcome
}

fn words(port: u16, flags: &[&[&str]]) -> Vec<String> {
    let mut words = vec![
        "--no-config".to_owned(),
        "--check".into(),
        "-S".into(),
        format!("smtp=127.0.0.1:{port}"),
    ];
    words.extend(["-r", "a@a.example"].map(String::from));
    words.extend(
        flags
            .iter()
            .copied()
            .flatten()
            .map(|word| word.replace("{PORT}", &port.to_string())),
    );
    words
}

fn record_port(words: &[String]) -> &str {
    words
        .iter()
        .find_map(|word| word.strip_prefix("smtp=127.0.0.1:"))
        .unwrap()
}

/// Puts words in the place of what differs from run to run.
fn normal(text: &str, port: Option<&str>) -> String {
    let mut text = text.to_owned();
    if let Some(port) = port {
        text = text.replace(&format!(":{port}"), ":PORT");
    }
    for name in ["server", "badname", "expired", "notyet", "soon", "wildcard"] {
        text = text.replace(&certs().pair(name).fingerprint(), "PRINT");
    }
    text.lines()
        .map(|line| days(&dates(&times(line))) + "\n")
        .collect()
}

/// The times: `     12 ms` is `    N ms`.
fn times(line: &str) -> String {
    let Some((before, after)) = line.split_once(" ms  ") else {
        return line.to_owned();
    };
    let digits = before.trim_end_matches(|c: char| c.is_ascii_digit());
    format!("{} N ms  {after}", digits.trim_end())
}

/// Dates, and days of a certificate that was made a moment ago: whether a second has passed since
/// makes one day of difference.
fn dates(line: &str) -> String {
    let is_date = |word: &str| {
        let word = word.trim_matches([',', ':', ';']);
        word.len() == 10
            && word.bytes().enumerate().all(|(at, b)| {
                if at == 4 || at == 7 {
                    b == b'-'
                } else {
                    b.is_ascii_digit()
                }
            })
    };
    let line = match (
        line.find("before ").or_else(|| line.find("expired on ")),
        line.find(" GMT"),
    ) {
        (Some(from), Some(to)) => {
            let from = from
                + if line[from..].starts_with("before") {
                    "before".len()
                } else {
                    "expired on".len()
                };
            format!("{} DATE{}", &line[..from], &line[to + 4..])
        }
        _ => line.to_owned(),
    };
    line.split(' ')
        .map(|word| {
            if is_date(word) {
                format!("DATE{}", &word[10..])
            } else {
                word.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn days(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let counts = |at: usize| {
        words
            .get(at + 1)
            .is_some_and(|next| next.trim_end_matches(',') == "days")
    };
    let shown = words
        .iter()
        .enumerate()
        .map(|(at, word)| if counts(at) { "SOME" } else { word });
    shown.collect::<Vec<_>>().join(" ")
}

/// Compares the whole report.
#[track_caller]
fn assert_report(outcome: &Outcome, status: i32, report: &str) {
    assert_eq!(outcome.stdout, report, "{}", outcome.stdout);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (status, ""));
}

const GREETED: &str = "S: 220 mx.test ESMTP\nC: EHLO *\n";

#[test]
fn a_way_that_is_open_passes_every_step_and_nothing_is_sent() {
    let script = "S: 220 mx.test ESMTP
C: EHLO *
S: 250-mx.test hi
S: 250 STARTTLS
C: STARTTLS
S: 220 go
-- starttls server
C: EHLO *
S: 250-mx.test hi
S: 250-AUTH PLAIN LOGIN
S: 250 SIZE 35882577
C: AUTH PLAIN {plain u@x.example s3cret-pw}
S: 235 2.7.0 welcome
C: MAIL FROM:<a@a.example> SIZE=39
S: 250 2.1.0 ok
C: RCPT TO:<r@x.example>
S: 250 2.1.5 ok
C: RSET
S: 250 2.0.0 flushed
C: QUIT
S: 221 2.0.0 bye
";
    assert_report(
        &check(script, &[STARTTLS, LOGIN, &["--to", "r@x.example"]]),
        0,
        "checking 127.0.0.1 for a@a.example
127.0.0.1:PORT (STARTTLS)
  name       ok N ms  127.0.0.1
  connect    ok N ms  127.0.0.1:PORT
  greeting   ok N ms  220 mx.test ESMTP
  EHLO       ok N ms  EHLO [127.0.0.1]: STARTTLS
  TLS        ok N ms  TLSv1.3 TLS_AES_256_GCM_SHA384; localhost, 127.0.0.1, ::1; issued by smail test CA; SOME days left; SHA-256 PRINT
  EHLO       ok N ms  EHLO [127.0.0.1]: AUTH PLAIN LOGIN, SIZE 35882577 (35.8 MB)
  login      ok N ms  AUTH PLAIN as u@x.example
  sender     ok N ms  MAIL FROM:<a@a.example> SIZE=39: 250 2.1.0 ok
  recipient  ok N ms  RCPT TO:<r@x.example>: 250 2.1.5 ok
  reset      ok N ms  250 2.0.0 flushed
  quit       ok N ms  221 2.0.0 bye
mail can be sent through 127.0.0.1:PORT (STARTTLS); nothing was sent
",
    );
}

#[test]
fn a_port_that_speaks_in_clear_is_told_from_tls() {
    assert_report(
        &check("S: 220 mx.test ESMTP\n-- body 1\n-- close\n", &[IMPLICIT]),
        75,
        "checking 127.0.0.1 for a@a.example
127.0.0.1:PORT (implicit TLS)
  name       ok N ms  127.0.0.1
  connect    ok N ms  127.0.0.1:PORT
  TLS        FAILED N ms  the TLS handshake failed: the server speaks plain SMTP on this port: it sent \"220 mx.test ESMTP\"
                               hint: use `tls = starttls` on 587, 25 and 2525, or port 465 with `tls = implicit`
sending would fail with exit status 75; nothing was sent
",
    );
}

#[test]
fn a_port_that_waits_for_tls_is_told_from_a_silent_one() {
    let report = |why: &str, advice: &str| {
        format!(
            "checking 127.0.0.1 for a@a.example
127.0.0.1:PORT (STARTTLS)
  name       ok N ms  127.0.0.1
  connect    ok N ms  127.0.0.1:PORT
  greeting   FAILED N ms  {why}
{advice}sending would fail with exit status {}; nothing was sent
",
            if why.contains("protocol") { 76 } else { 75 }
        )
    };
    let note = "                               note: this port speaks TLS from the first byte\n";
    let unsure = "                               hint: if the port expects TLS immediately, use `tls = implicit`; otherwise the server is overloaded or a firewall blocks the connection\n";
    let sure = "                               hint: use `tls = implicit` (smtps://) on 465, 994 and 2465\n";
    let hasty: &[&str] = &["-S", "tls=starttls", "-S", "timeout=1"];
    let silent = "-- hang\n== connection\n";
    let nothing = "no complete answer within 1 s";
    assert_report(
        &check(
            &format!("{silent}-- implicit server\n-- optional\n-- bye\n"),
            &[hasty],
        ),
        75,
        &report(nothing, &format!("{note}{unsure}")),
    );
    assert_report(
        &check(&format!("{silent}-- hang\n"), &[hasty]),
        75,
        &report(nothing, unsure),
    );
    let alert = "S<: \\x15\\x03\\x01\\x00\\x02\\x02\\x46\n-- close\n";
    let said =
        "the server violated the protocol: no greeting: this port speaks TLS from the first byte";
    assert_report(&check(alert, &[STARTTLS]), 76, &report(said, sure));
}

#[test]
fn the_next_door_is_tried_as_a_send_would() {
    let script = "S: 220 mx.test ESMTP
-- body 1
-- close
== connection
S: 220 mx.test ESMTP
C: EHLO *
S: 250-mx.test hi
S: 250 STARTTLS
C: STARTTLS
S: 220 go
-- starttls wildcard
C: EHLO *
S: 250-mx.test hi
S: 250 AUTH PLAIN
C: AUTH PLAIN {plain u@x.example s3cret-pw}
S: 535 5.7.8 bad credentials
-- bye
";
    let elsewhere: &[&str] = &[
        "-S",
        "smtp=mx.wild.test",
        "-S",
        "connect-to=127.0.0.1:{PORT}",
        "-S",
        "tls-ca-file=ca.pem",
    ];
    assert_report(
        &check(script, &[elsewhere, LOGIN]),
        77,
        "checking mx.wild.test for a@a.example
mx.wild.test:465 (implicit TLS)
  name       ok N ms  127.0.0.1
  connect    ok N ms  127.0.0.1:PORT
  TLS        FAILED N ms  the TLS handshake failed: the server speaks plain SMTP on this port: it sent \"220 mx.test ESMTP\"
                               hint: use `tls = starttls` on 587, 25 and 2525, or port 465 with `tls = implicit`
mx.wild.test:587 (STARTTLS)
  name       ok N ms  127.0.0.1
  connect    ok N ms  127.0.0.1:PORT
  greeting   ok N ms  220 mx.test ESMTP
  EHLO       ok N ms  EHLO [127.0.0.1]: STARTTLS
  TLS        ok N ms  TLSv1.3 TLS_AES_256_GCM_SHA384; *.wild.test; issued by smail test CA; SOME days left; SHA-256 PRINT
  EHLO       ok N ms  EHLO [127.0.0.1]: AUTH PLAIN
  login      FAILED N ms  535 5.7.8 bad credentials
                               hint: use the provider's app password, and the full address as `auth-user`
sending would fail with exit status 77; nothing was sent
",
    );
}

/// The lines from the step on, with the verdict.
fn from(outcome: &Outcome, label: &str) -> String {
    let found = outcome
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with(&format!("  {label}")));
    found.map(|line| line.to_owned() + "\n").collect()
}

#[track_caller]
fn assert_from(outcome: &Outcome, status: i32, label: &str, report: &str) {
    assert_eq!(from(outcome, label), report, "{}", outcome.stdout);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (status, ""));
}

#[test]
fn a_certificate_says_what_is_wrong_with_it() {
    let clock = "                               note: it is valid from DATE to DATE, but the clock of this host says DATE\n";
    let cases = [
        (
            "badname",
            "it is for other.test and not for 127.0.0.1; its SHA-256 is PRINT",
            "other.test; issued by smail test CA; SOME days left; SHA-256 PRINT",
            "",
            "set `smtp` to a name in the certificate, usually the provider's real server; on a web host the firewall may redirect the connection",
        ),
        (
            "expired",
            "it expired on DATE; its SHA-256 is PRINT",
            "localhost, 127.0.0.1, ::1; issued by smail test CA; expired SOME days ago; SHA-256 PRINT",
            clock,
            "check `date`; then contact the provider, and do not disable verification",
        ),
        (
            "notyet",
            "it is not valid before DATE; its SHA-256 is PRINT",
            "localhost, 127.0.0.1, ::1; issued by smail test CA; SOME days left; SHA-256 PRINT",
            clock,
            "check `date` and set the clock (NTP), then send again",
        ),
    ];
    for (name, why, certificate, note, hint) in cases {
        let script = format!("-- implicit {name} refused\n== connection\n-- implicit {name}\n");
        let report = format!(
            "  TLS        FAILED N ms  {why}
                               certificate: {certificate}
{note}                               hint: {hint}
                               hint: to trust this one certificate: tls-fingerprint = \"PRINT\"
sending would fail with exit status 77; nothing was sent
"
        );
        assert_from(&check(&script, &[IMPLICIT]), 77, "TLS", &report);
    }
}

#[test]
fn a_certificate_that_expires_soon_is_a_warning() {
    let script = "-- implicit soon
S: 220 mx.test ESMTP
C: EHLO *
S: 250 mx.test
C: MAIL FROM:<a@a.example>
S: 250 2.1.0 ok
C: RCPT TO:<a@a.example>
S: 250 2.1.5 ok
C: RSET
S: 250 2.0.0 flushed
-- bye
";
    assert_report(
        &check(script, &[IMPLICIT]),
        0,
        "checking 127.0.0.1 for a@a.example
127.0.0.1:PORT (implicit TLS)
  name       ok N ms  127.0.0.1
  connect    ok N ms  127.0.0.1:PORT
  TLS        ok N ms  TLSv1.3 TLS_AES_256_GCM_SHA384; localhost, 127.0.0.1, ::1; issued by smail test CA; SOME days left; SHA-256 PRINT
                               warning: the certificate expires in SOME days, on DATE
  greeting   ok N ms  220 mx.test ESMTP
  EHLO       ok N ms  EHLO [127.0.0.1]: no extensions
  login      -                 not set
  sender     ok N ms  MAIL FROM:<a@a.example>: 250 2.1.0 ok
  recipient  ok N ms  RCPT TO:<a@a.example>: 250 2.1.5 ok
  reset      ok N ms  250 2.0.0 flushed
  quit       ok N ms  221 2.0.0 bye
mail to a@a.example can be sent through 127.0.0.1:PORT (implicit TLS), with 1 warning; use --to to check other recipients; nothing was sent
",
    );
}

#[test]
fn starttls_that_is_not_offered_is_told() {
    let script = format!("{GREETED}S: 250-mx.test hi\nS: 250 8BITMIME\n-- bye\n");
    assert_from(
        &check(&script, &[STARTTLS]),
        69,
        "TLS",
        "  TLS        FAILED N ms  the server does not offer TLS on this port, or something in between removes the offer; it offers: 8BITMIME
                               hint: try port 465 (smtps://); never send a password without TLS
sending would fail with exit status 69; nothing was sent
",
    );
}

#[test]
fn a_login_that_cannot_be_had_is_told() {
    let none = "the server offers no usable login method; it offers: ";
    let late = "many servers offer it only after TLS, or only on 587 and 465; `auth = none` sends \
        without a login";
    let other = "unset `auth` to use what the server offers; for Outlook.com sign in with smail --login (`auth = oauth2`)";
    let cases = [
        (
            "S: 250-mx.test\nS: 250 8BITMIME\n",
            "auto",
            "the server offers no login here; it offers: 8BITMIME",
            late,
        ),
        (
            "S: 250-mx.test\nS: 250 AUTH GSSAPI NTLM\n",
            "auto",
            &*format!("{none}GSSAPI NTLM"),
            other,
        ),
        (
            "S: 250-mx.test\nS: 250 AUTH PLAIN\n",
            "xoauth2",
            &*format!("{none}PLAIN"),
            other,
        ),
    ];
    for (offers, auth, why, hint) in cases {
        let outcome = check(
            &format!("{GREETED}{offers}-- bye\n"),
            &[CLEAR, LOGIN, &["-S", &format!("auth={auth}")]],
        );
        let report = format!(
            "  login      FAILED N ms  {why}
                               hint: {hint}
sending would fail with exit status 69; nothing was sent
"
        );
        assert_from(&outcome, 69, "login", &report);
    }
}

#[test]
fn a_name_in_ehlo_that_is_refused_is_shown() {
    let script = "S: 220 mx.test ESMTP\nC: EHLO me\nS: 501 5.5.2 <me>: invalid name\n-- bye\n";
    assert_from(
        &check(script, &[CLEAR, &["-S", "hello-name=me"]]),
        69,
        "EHLO",
        "  EHLO       FAILED N ms  501 5.5.2 <me>: invalid name
                               note: the name sent was `me`
                               hint: set `hello-name` to the full DNS name of this host; or send through your own provider's server with a login
sending would fail with exit status 69; nothing was sent
",
    );
}

#[test]
fn a_sender_that_is_not_the_login_is_told() {
    let script = format!(
        "{GREETED}S: 250-mx.test\nS: 250 AUTH PLAIN\nC: AUTH *\nS: 235 2.7.0 welcome\nC: MAIL FROM:<a@a.example>
S: 553 5.7.1 <a@a.example>: not owned by user\nC: RSET\nS: 250 2.0.0 ok\n-- bye\n"
    );
    assert_from(
        &check(&script, &[CLEAR, LOGIN, &["--to", "r@x.example"]]),
        69,
        "sender",
        "  sender     FAILED N ms  MAIL FROM:<a@a.example>: 553 5.7.1 <a@a.example>: not owned by user
                               note: the sender is a@a.example but the login is u@x.example
                               hint: set `from` to the login address or an alias that the server knows
  reset      ok N ms  250 2.0.0 ok
  quit       ok N ms  221 2.0.0 bye
sending would fail with exit status 69; nothing was sent
",
    );
}

#[test]
fn a_from_that_the_provider_refuses_only_later_is_a_warning() {
    let script = format!(
        "{GREETED}S: 250-mx.test\nS: 250-SIZE 1048576\nS: 250 AUTH PLAIN\nC: AUTH *\nS: 235 2.7.0 welcome
C: MAIL FROM:<a@a.example> SIZE=39\nS: 250 2.1.0 ok\nC: RCPT TO:<a@a.example>\nS: 250 2.1.5 ok\nC: RSET\nS: 250 2.0.0 ok\n-- bye\n"
    );
    assert_from(
        &check(&script, &[CLEAR, LOGIN, &["-S", "provider=163"]]),
        0,
        "EHLO",
        "  EHLO       ok N ms  EHLO [127.0.0.1]: SIZE 1048576 (1.0 MB), AUTH PLAIN
                               warning: the server accepts messages of at most 1.0 MB; attachments grow by a third when encoded
  TLS        -                 none: everything is sent in clear text
  login      ok N ms  AUTH PLAIN as u@x.example
  sender     ok N ms  MAIL FROM:<a@a.example> SIZE=39: 250 2.1.0 ok
                               warning: From is a@a.example, but NetEase 163.com accepts only the login address: u@x.example
  recipient  ok N ms  RCPT TO:<a@a.example>: 250 2.1.5 ok
  reset      ok N ms  250 2.0.0 ok
  quit       ok N ms  221 2.0.0 bye
mail to a@a.example can be sent through 127.0.0.1:PORT (no TLS), with 2 warnings; use --to to check other recipients; nothing was sent
",
    );
}

#[test]
fn every_recipient_is_asked_about_and_a_refusal_has_the_status_of_a_send() {
    let script = format!(
        "{GREETED}S: 250 mx.test\nC: MAIL FROM:<a@a.example>\nS: 250 2.1.0 ok\nC: RCPT TO:<bad@x.example>
S: 550 5.1.1 no such user\nC: RCPT TO:<r@x.example>\nS: 250 2.1.5 ok\nC: RSET\nS: 250 2.0.0 ok\n-- bye\n"
    );
    assert_from(
        &check(
            &script,
            &[CLEAR, &["--to", "bad@x.example", "--to", "r@x.example"]],
        ),
        67,
        "recipient",
        "  recipient  FAILED N ms  RCPT TO:<bad@x.example>: 550 5.1.1 no such user
                               hint: check the part of the address before the @; the account may be gone
  recipient  ok N ms  RCPT TO:<r@x.example>: 250 2.1.5 ok
  reset      ok N ms  250 2.0.0 ok
  quit       ok N ms  221 2.0.0 bye
sending would fail with exit status 67; nothing was sent
",
    );
}

#[test]
fn recipients_refused_for_several_reasons_have_the_status_of_a_mixture() {
    let script = format!(
        "{GREETED}S: 250 mx.test\nC: MAIL FROM:<a@a.example>\nS: 250 2.1.0 ok\nC: RCPT TO:<bad@x.example>
S: 550 5.1.1 no such user\nC: RCPT TO:<r@x.example>\nS: 554 5.7.1 no relay\nC: RSET\nS: 250 2.0.0 ok\n-- bye\n"
    );
    assert_from(
        &check(&script, &[CLEAR, &["--to", "bad@x.example", "--to", "r@x.example"]]),
        69,
        "recipient",
        "  recipient  FAILED N ms  RCPT TO:<bad@x.example>: 550 5.1.1 no such user
                               hint: check the part of the address before the @; the account may be gone
  recipient  FAILED N ms  RCPT TO:<r@x.example>: 554 5.7.1 no relay
                               hint: log in (`auth-user`, port 587 or 465), or use your own provider's server; check the recipient
  reset      ok N ms  250 2.0.0 ok
  quit       ok N ms  221 2.0.0 bye
sending would fail with exit status 69; nothing was sent
",
    );
}

#[test]
fn json_is_one_object_and_nothing_else() {
    let script = format!(
        "{GREETED}S: 250-mx.test\nS: 250 AUTH PLAIN\nC: AUTH *\nS: 535 5.7.8 bad credentials\n-- bye\n"
    );
    let outcome = check(&script, &[CLEAR, LOGIN, &["--json"]]);
    let mut object: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    for step in object["steps"].as_array_mut().unwrap() {
        assert!(step["ms"].take().is_u64());
        assert_eq!(step["door"].take(), "127.0.0.1:PORT (no TLS)");
    }
    let step = |step: &str, outcome: &str, facts: serde_json::Value, error: serde_json::Value| serde_json::json!({ "door": null, "step": step, "outcome": outcome, "ms": null, "facts": facts, "notes": [], "error": error });
    let none = serde_json::Value::Null;
    let hello = serde_json::json!({ "said": "EHLO [127.0.0.1]", "offers": ["AUTH PLAIN"], "auth": ["PLAIN"] });
    let error = serde_json::json!({
        "text": "535 5.7.8 bad credentials", "class": "permanent", "stage": "login", "code": 535, "enhanced": "5.7.8",
        "hint": { "id": "password-refused", "text": ["use the provider's app password, and the full address as `auth-user`"] }
    });
    let wanted = serde_json::json!({
        "status": "failed", "exit": 77, "account": null, "from": "a@a.example", "sender": "a@a.example",
        "route": "127.0.0.1:PORT (no TLS)",
        "steps": [
            step("resolve", "ok", serde_json::json!({ "host": "127.0.0.1", "addresses": ["127.0.0.1"] }), none.clone()),
            step("connect", "ok", serde_json::json!({ "peer": "127.0.0.1:PORT" }), none.clone()),
            step("greeting", "ok", serde_json::json!({ "reply": "220 mx.test ESMTP" }), none.clone()),
            step("hello", "ok", hello, none.clone()),
            step("tls", "skipped", serde_json::json!({}), none),
            step("login", "failed", serde_json::json!({}), error),
        ],
        "error": null
    });
    assert_eq!(object, wanted);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (77, ""));
}

#[test]
fn what_keeps_a_check_from_its_first_step_is_told_in_the_same_object() {
    let sandbox = Sandbox::new();
    let rows: [(&[&str], i32, &str); 3] = [
        (
            &["-S", "smtp=127.0.0.1:1", "-S", "timeout=soon"],
            78,
            "smail: timeout: invalid number of seconds `soon`",
        ),
        (
            &["-S", "smtp=127.0.0.1:1", "--to", "no address"],
            64,
            "smail: ",
        ),
        (&["--nonsense"], 64, "smail: "),
    ];
    for (more, exit, begin) in rows {
        let outcome = sandbox
            .smail(&["--no-config", "--check", "--json", "-r", "a@a.example"])
            .args_of(more)
            .run();
        assert_eq!(
            (outcome.status, outcome.stdout.lines().count()),
            (exit, 1),
            "{outcome:?}"
        );
        let mut object: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let error = object["error"].take();
        assert_eq!(error, outcome.stderr, "{outcome:?}");
        assert!(outcome.stderr.starts_with(begin), "{outcome:?}");
        let wanted = serde_json::json!({
            "status": "failed", "exit": exit, "account": null, "from": null, "sender": null, "route": null,
            "steps": [], "error": null
        });
        assert_eq!(object, wanted);
    }
}

#[test]
fn programs_and_files_are_looked_at_and_left_alone() {
    let sandbox = Sandbox::new();
    let marker = sandbox.path("ran");
    sandbox.write_program("mta", &format!("#!/bin/sh\ntouch {}\n", marker.display()));
    sandbox.write_mode("plain", "no program", 0o600);
    let run = |mta: &str, more: &[&str]| {
        let setting = format!("mta={}", sandbox.path(mta).display());
        let words = [
            "--no-config",
            "--check",
            "-r",
            "a@a.example",
            "-S",
            &setting,
        ];
        let mut outcome = sandbox.smail(&words).args_of(more).run();
        outcome.stdout = normal(
            &outcome
                .stdout
                .replace(sandbox.path("").to_str().unwrap(), "/W/"),
            None,
        );
        outcome
    };
    assert_report(
        &run("mta", &["--to", "r@x.example"]),
        0,
        "checking /W/mta for a@a.example
/W/mta
  program    ok N ms  would run: /W/mta -i -f a@a.example -- r@x.example
mail can be sent through /W/mta; nothing was sent
",
    );
    assert_report(
        &run("plain", &[]),
        69,
        "checking /W/plain for a@a.example
/W/plain
  program    FAILED N ms  /W/plain: permission denied; exit status 127
                               hint: correct the path in `mta`, or install the program; with `smtp` set to a server, smail sends by itself
sending would fail with exit status 69; nothing was sent
",
    );
    let file = |name: &str| {
        let setting = format!("mta=test://{}", sandbox.path(name).display());
        let mut outcome = sandbox
            .smail(&[
                "--no-config",
                "--check",
                "-r",
                "a@a.example",
                "-S",
                &setting,
            ])
            .run();
        outcome.stdout = normal(
            &outcome
                .stdout
                .replace(sandbox.path("").to_str().unwrap(), "/W/"),
            None,
        );
        outcome
    };
    assert_report(
        &file("box.eml"),
        0,
        "checking /W/box.eml for a@a.example
/W/box.eml
  file       ok N ms  the message would be written to a new file
mail can be sent through /W/box.eml; nothing was sent
",
    );
    assert_report(
        &file("nowhere/box.eml"),
        74,
        "checking /W/nowhere/box.eml for a@a.example
/W/nowhere/box.eml
  file       FAILED N ms  /W/nowhere/box.eml: no such file or directory
sending would fail with exit status 74; nothing was sent
",
    );
    assert!(!sandbox.path("box.eml").exists());
    assert!(!marker.exists());
}

#[test]
fn an_account_is_the_operand_and_only_one() {
    let sandbox = Sandbox::new();
    let config =
        "[accounts.work]\nsmtp = \"smtp://127.0.0.1:1\"\ntls = \"none\"\nfrom = \"w@a.example\"\n";
    sandbox.write("home/.config/smail/config.toml", config);
    let mut outcome = sandbox.smail(&["--check", "work"]).run();
    outcome.stdout = normal(&outcome.stdout, None);
    assert_report(
        &outcome,
        75,
        "checking 127.0.0.1 for w@a.example (account work)
127.0.0.1:1 (no TLS)
  name       ok N ms  127.0.0.1
  connect    FAILED N ms  127.0.0.1:1: connection refused
                               hint: start the mail server, or set `smtp` to your provider's server; in a container this host is the container itself
sending would fail with exit status 75; nothing was sent
",
    );
    let unknown = sandbox.smail(&["--check", "home"]).run();
    assert_eq!((unknown.status, unknown.stdout.as_str()), (64, ""));
    assert_eq!(
        unknown.stderr.lines().next(),
        Some("smail: unknown account `home`")
    );
    let two = sandbox.smail(&["--check", "work", "other"]).run();
    let usage = "smail: `--check` takes one account\n\nhint: use `--to ADDRESS` to ask the server about a recipient\n";
    assert_eq!(
        (two.status, two.stdout.as_str(), two.stderr.as_str()),
        (64, "", usage)
    );
}

/// What a terminal shows of a check of a closed port.
fn on_terminal(environment: &[(&str, &str)]) -> String {
    let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&near).unwrap();
    unlockpt(&near).unwrap();
    let name = ptsname(&near, Vec::new()).unwrap().into_string().unwrap();
    let noctty = OFlags::NOCTTY.bits().cast_signed();
    let far = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(noctty)
        .open(name)
        .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_smail"))
        .args([
            "--no-config",
            "--check",
            "-S",
            "smtp=127.0.0.1:1",
            "-S",
            "tls=none",
            "-r",
            "a@a.example",
        ])
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::from(OwnedFd::from(far)))
        .spawn()
        .unwrap();
    let mut near = File::from(near);
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    // The far half is closed by the end of the program, and reading is an error (EIO) then.
    while let Ok(count @ 1..) = near.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(child.wait().unwrap().code(), Some(75));
    normal(
        &String::from_utf8(shown).unwrap().replace("\r\n", "\n"),
        None,
    )
}

#[test]
fn colours_are_for_terminals_that_have_them_and_nobody_else() {
    let report = |ok: &str, failed: &str| {
        format!(
            "checking 127.0.0.1 for a@a.example
127.0.0.1:1 (no TLS)
  name       {ok} N ms  127.0.0.1
  connect    {failed} N ms  127.0.0.1:1: connection refused
                               hint: start the mail server, or set `smtp` to your provider's server; in a container this host is the container itself
sending would fail with exit status 75; nothing was sent
"
        )
    };
    let plain = report("ok", "FAILED");
    assert_eq!(
        on_terminal(&[("TERM", "xterm")]),
        report("\x1b[32mok\x1b[0m", "\x1b[1;31mFAILED\x1b[0m")
    );
    assert_eq!(on_terminal(&[("TERM", "xterm"), ("NO_COLOR", "1")]), plain);
    assert_eq!(on_terminal(&[("TERM", "dumb")]), plain);
    assert_eq!(on_terminal(&[]), plain);
}

#[test]
fn without_a_recipient_the_own_address_is_asked_about() {
    let script = format!(
        "{GREETED}S: 250 mx.test\nC: MAIL FROM:<a@a.example>\nS: 250 2.1.0 ok\nC: RCPT TO:<a@a.example>
S: 554 5.7.1 <a@a.example>: Relay access denied\nC: RSET\nS: 250 2.0.0 ok\n-- bye\n"
    );
    assert_from(
        &check(&script, &[CLEAR]),
        69,
        "sender",
        "  sender     ok N ms  MAIL FROM:<a@a.example>: 250 2.1.0 ok
  recipient  FAILED N ms  RCPT TO:<a@a.example>: 554 5.7.1 <a@a.example>: Relay access denied
                               note: this is the author's own address; use --to to check other recipients
                               hint: log in first (`auth-user`, port 587 or 465), or use your own provider's server
  reset      ok N ms  250 2.0.0 ok
  quit       ok N ms  221 2.0.0 bye
sending would fail with exit status 69; nothing was sent
",
    );
}
