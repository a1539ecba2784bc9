//! What the sender asks to be told (RFC 3461), and what the operator is told: the exact words to
//! servers, and the exact lines.
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::sandbox::{Run, Sandbox};
use crate::support::server::Server;
use crate::support::sink::{Options, Place};

const ASKED: &[&str] = &[
    "--dsn-notify",
    "Success, DELAY",
    "--dsn-return",
    "hdrs",
    "--dsn-envid",
    "job 7+1",
    "-S",
    "queue-drain=0",
];

/// A server that offers these keywords and wants exactly these lines of MAIL and RCPT.
fn server(offers: &str, mail: &str, rcpts: &[(&str, &str)]) -> Server {
    let mut text = String::from("S: 220 mx.test ESMTP\nC: EHLO *\nS: 250-mx.test\n");
    let _ = write!(text, "S: 250 {offers}\nC: {mail}\nS: 250 2.1.0 ok\n");
    for (rcpt, reply) in rcpts {
        let _ = write!(text, "C: {rcpt}\nS: {reply}\n");
    }
    if rcpts.iter().any(|(_, reply)| reply.starts_with('2')) {
        text.push_str("C: DATA\nS: 354 go\n-- data\nS: 250 2.0.0 queued as X1\n");
    }
    text.push_str("-- bye\n");
    Server::play("dsn", &text)
}

fn mail<'w>(sandbox: &'w Sandbox, port: u16, more: &[&str], to: &[&str]) -> Run<'w> {
    let smtp = format!("smtp=127.0.0.1:{port}");
    let mut words = vec![
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-S",
        "timeout=10",
        "-r",
        "a@a.example",
        "-s",
        "subj",
    ];
    words.extend(more);
    words.extend(to);
    sandbox.smail(&words).stdin("the words\n")
}

/// The lines of a log, with what changes from run to run struck out.
fn lines(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let text = String::from_utf8(sandbox.read(name).unwrap_or_default()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines().map(masked).collect()
}

fn masked(line: &str) -> String {
    let mask = |word: &str| match word.split_once('=') {
        Some(("time", time)) => {
            assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{line}");
            "time=T".to_owned()
        }
        Some(("id", id)) if id != "-" => {
            assert_eq!(id.len(), 17, "{line}");
            "id=I".to_owned()
        }
        Some(("message-id", id)) => {
            assert!(id.starts_with('<') && id.ends_with("@a.example>"), "{line}");
            "message-id=M".to_owned()
        }
        Some(("bytes", bytes)) if bytes != "0" => {
            assert!(bytes.parse::<u64>().unwrap() > 100, "{line}");
            "bytes=N".to_owned()
        }
        // The test itself called.
        Some(("caller", caller)) => {
            assert!(caller.starts_with("it-") && caller.contains('/'), "{line}");
            "caller=C".to_owned()
        }
        _ => word.to_owned(),
    };
    line.split(' ').map(mask).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_server_with_dsn_is_asked_and_one_without_gets_the_mail_all_the_same() {
    let sandbox = Sandbox::new();
    let both = ["r1@x.example", "r+2@x.example"];
    let offered = server(
        "DSN",
        "MAIL FROM:<a@a.example> RET=HDRS ENVID=job+207+2B1",
        &[
            (
                "RCPT TO:<r1@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;r1@x.example",
                "250 ok",
            ),
            (
                "RCPT TO:<r+2@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;r+2B2@x.example",
                "250 ok",
            ),
        ],
    );
    let sent = mail(&sandbox, offered.port(), ASKED, &both).run();
    assert_eq!(
        (sent.status, sent.stderr.as_str(), sent.stdout.as_str()),
        (0, "", "")
    );
    offered.finish();
    let without = || {
        let rcpts = [
            ("RCPT TO:<r1@x.example>", "250 ok"),
            ("RCPT TO:<r+2@x.example>", "250 ok"),
        ];
        server("8BITMIME", "MAIL FROM:<a@a.example>", &rcpts)
    };
    let quiet = without();
    let sent = mail(&sandbox, quiet.port(), ASKED, &both).run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    quiet.finish();
    let told = without();
    let sent = mail(
        &sandbox,
        told.port(),
        ASKED,
        &["-v", "r1@x.example", "r+2@x.example"],
    )
    .run();
    assert!(
        sent.stderr
            .contains("-- the server does not offer DSN; none is requested\n"),
        "{}",
        sent.stderr
    );
    told.finish();
}

#[test]
fn nothing_is_asked_for_unless_somebody_wants_it() {
    let sandbox = Sandbox::new();
    let server = server(
        "DSN",
        "MAIL FROM:<a@a.example>",
        &[("RCPT TO:<r1@x.example>", "250 ok")],
    );
    assert_eq!(
        mail(&sandbox, server.port(), &["-v"], &["r1@x.example"])
            .run()
            .status,
        0
    );
    server.finish();
}

#[test]
fn without_notify_no_original_recipient_is_named() {
    let sandbox = Sandbox::new();
    let server = server(
        "DSN",
        "MAIL FROM:<a@a.example> RET=FULL",
        &[("RCPT TO:<r1@x.example>", "250 ok")],
    );
    assert_eq!(
        mail(
            &sandbox,
            server.port(),
            &["--dsn-return=Full"],
            &["r1@x.example"]
        )
        .run()
        .status,
        0
    );
    server.finish();
}

#[test]
fn a_recipient_beyond_ascii_has_no_original_form() {
    let sandbox = Sandbox::new();
    let text = "S: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250-SMTPUTF8\nS: 250-8BITMIME\nS: 250 DSN\nC: MAIL FROM:<a@a.example>*SMTPUTF8*\n\
                S: 250 ok\nC: RCPT TO:<\\xc3\\xbc@x.example> NOTIFY=NEVER\nS: 250 ok\nC: DATA\nS: 354 go\n-- data\nS: 250 ok\n-- bye\n";
    let server = Server::play("utf8", text);
    let sent = mail(
        &sandbox,
        server.port(),
        &["--dsn-notify=never"],
        &["ü@x.example"],
    )
    .run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    server.finish();
}

#[test]
fn a_flag_wins_over_the_setting_and_the_queue_keeps_what_was_asked() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "home/.config/smail/config.toml",
        "dsn-notify = [\"success\", \"failure\"]\ndsn-return = \"full\"\n",
    );
    let place = Place::reserve();
    let asked = ["--dsn-return", "headers", "--dsn-envid", "e=1"];
    let kept = mail(&sandbox, place.port(), &asked, &["r1@x.example"])
        .queued()
        .run();
    assert_eq!(
        (kept.status, sandbox.entries().len()),
        (0, 1),
        "{}",
        kept.stderr
    );
    // What was asked when it was written counts, not what the files say now.
    sandbox.write("home/.config/smail/config.toml", "dsn-notify = \"never\"\n");
    let sink = Options::new().extensions(&["DSN"]).start_at(place);
    let flush = sandbox
        .smail(&["--flush", &sandbox.entries()[0]])
        .queued()
        .run();
    assert_eq!((flush.status, flush.stderr.as_str()), (0, ""));
    let said: Vec<_> = sink
        .dialogue()
        .into_iter()
        .filter(|line| line.contains("FROM:") || line.contains("TO:"))
        .collect();
    let wanted = [
        "C: MAIL FROM:<a@a.example> RET=HDRS ENVID=e+3D1",
        "C: RCPT TO:<r1@x.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;r1@x.example",
    ];
    assert_eq!(said, wanted);
}

#[test]
fn a_bad_word_is_refused_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    for (flags, status, words) in [
        (
            ["--dsn-notify", "always"],
            64,
            "smail: --dsn-notify: invalid value `always`; expected never, success, failure or \
            delay\n",
        ),
        (
            ["--dsn-notify", "never,delay"],
            64,
            "smail: --dsn-notify: `never` cannot be combined with other values\n",
        ),
        (
            ["--dsn-return", "body"],
            64,
            "smail: --dsn-return: invalid value `body`; expected full or headers\n",
        ),
        (
            ["--dsn-envid", "x\r\nRCPT TO:<b@x.example>"],
            64,
            "smail: --dsn-envid: expected an envelope ID of printable ASCII characters\n",
        ),
        (
            ["-S", "dsn-notify=often"],
            78,
            "smail: dsn-notify: invalid value `often`; expected never, success, failure or delay\n  set in -S\n",
        ),
        (
            ["-S", "dsn-return=body"],
            78,
            "smail: dsn-return: invalid value `body`; expected one of headers, full\n  set in -S\n",
        ),
    ] {
        let outcome = mail(&sandbox, 1, &flags, &["r1@x.example"]).run();
        assert_eq!((outcome.status, outcome.stderr.as_str()), (status, words));
    }
}

#[test]
fn a_dry_run_tells_what_would_be_asked() {
    let sandbox = Sandbox::new();
    let outcome = mail(&sandbox, 1, ASKED, &["--dry-run", "r1@x.example"]).run();
    assert_eq!(outcome.status, 0);
    let last = outcome.stderr.lines().last();
    assert_eq!(
        last,
        Some("-- dsn: NOTIFY=SUCCESS,DELAY RET=HDRS ENVID=job+207+2B1")
    );
    let outcome = mail(&sandbox, 1, &[], &["--dry-run", "r1@x.example"]).run();
    assert!(!outcome.stderr.contains("dsn"), "{}", outcome.stderr);
}

#[test]
fn a_program_is_asked_in_the_words_of_sendmail() {
    let sandbox = Sandbox::new();
    let program = sandbox.write_program(
        "bin/mta",
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >args\ncat >/dev/null\n",
    );
    let mta = format!("mta={}", program.display());
    let words = [
        "-S",
        &mta,
        "--dsn-notify=failure",
        "--dsn-return=full",
        "--dsn-envid=x1",
        "r1@x.example",
    ];
    let sent = sandbox.smail(&words).stdin("x\n").run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    let args = String::from_utf8(sandbox.read("args").unwrap()).unwrap();
    assert_eq!(
        args,
        "-i\n-N\nfailure\n-R\nfull\n-V\nx1\n--\nr1@x.example\n"
    );
}

#[test]
fn every_attempt_is_one_line_whatever_became_of_it() {
    let sandbox = Sandbox::new();
    let log = ["-S", "log=log"];
    let sink = Options::new()
        .login("u@a.example", "s3cret-pw")
        .cert("server")
        .starttls()
        .start();
    let ca = format!("tls-ca-file={}", sandbox.pem("ca").display());
    let smtp = format!("smtp=localhost:{}", sink.port());
    let mut words = vec![
        "-S",
        &smtp,
        "-S",
        "tls=starttls",
        "-S",
        &ca,
        "-S",
        "auth-user=u@a.example",
    ];
    words.extend([
        "-S",
        "auth-password=s3cret-pw",
        "-S",
        "log=log",
        "-r",
        "a@a.example",
        "-s",
        "s",
        "r1@x.example",
    ]);
    let sent = sandbox.smail(&words).stdin("x\n").run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    let refusing = server(
        "8BITMIME",
        "MAIL FROM:<a@a.example>",
        &[
            ("RCPT TO:<r1@x.example>", "250 ok"),
            ("RCPT TO:<r2@x.example>", "550 5.1.1 \"r2\" = nobody"),
        ],
    );
    let port = refusing.port();
    let partial = mail(&sandbox, port, &log, &["r1@x.example", "r2@x.example"]).run();
    assert_eq!(partial.status, 67, "{}", partial.stderr);
    refusing.finish();
    let nobody = Place::reserve();
    assert_eq!(
        mail(&sandbox, nobody.port(), &log, &["r1@x.example"])
            .run()
            .status,
        75
    );
    let text = fs::read_to_string(sandbox.path("log")).unwrap();
    assert!(!text.contains("s3cret-pw"), "{text}");
    let told = lines(&sandbox, "log");
    let head = "time=T id=- message-id=M caller=C from=a@a.example";
    assert_eq!(told.len(), 3, "{told:#?}");
    let (before, after) = told[0].split_once(" reply=").unwrap();
    assert_eq!(
        before,
        format!(
            "{head} to=r1@x.example bytes=N host=localhost:{} tls=TLSv1.3 user=u@a.example status=sent",
            sink.port()
        )
    );
    assert!(
        after.starts_with("\"250 ") && after.ends_with("\" exit=0"),
        "{after}"
    );
    assert_eq!(
        told[1],
        format!(
            "{head} to=r1@x.example,r2@x.example bytes=N host=127.0.0.1:{port} tls=none user=- status=partial \
             reply=\"550 5.1.1 \\\"r2\\\" = nobody\" exit=67"
        )
    );
    assert_eq!(
        told[2],
        format!(
            "{head} to=r1@x.example bytes=0 host=127.0.0.1:{port} tls=none user=- status=failed reply=- \
             error=\"127.0.0.1:{port}: connection refused\" exit=75",
            port = nobody.port()
        )
    );
    assert_eq!(
        fs::metadata(sandbox.path("log"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
}

#[test]
fn the_queue_and_its_flush_log_under_one_id() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/smail/config.toml", "log = \"~/mail.log\"\n");
    let place = Place::reserve();
    let port = place.port();
    let kept = mail(&sandbox, port, &[], &["r1@x.example"]).queued().run();
    assert_eq!(kept.status, 0, "{}", kept.stderr);
    let id = sandbox.entries()[0].clone();
    assert_eq!(sandbox.smail(&["--flush", &id]).queued().run().status, 75);
    let refusing = Options::new()
        .recipient("r1@x.example", "550 5.7.1 no")
        .start_at(place);
    assert_eq!(sandbox.smail(&["--flush", &id]).queued().run().status, 69);
    let head = "time=T id=I message-id=M caller=C from=a@a.example to=r1@x.example";
    let way = format!("host=127.0.0.1:{port} tls=none user=-");
    let waits = format!(
        "bytes=0 {way} status=deferred reply=- error=\"127.0.0.1:{port}: connection refused\""
    );
    let wanted = [
        format!("{head} {waits} exit=0"),
        format!("{head} {waits} exit=75"),
        format!("{head} bytes=N {way} status=rejected reply=\"550 5.7.1 no\" exit=69"),
    ];
    assert_eq!(lines(&sandbox, "home/mail.log"), wanted);
    let text = fs::read_to_string(sandbox.path("home/mail.log")).unwrap();
    assert_eq!(text.matches(&format!(" id={id} ")).count(), 3, "{text}");
    drop(refusing);
    // A mail that is taken along is logged too, behind the one that took it.
    sandbox.smail(&["--release", &id]).queued().run();
    let other = Options::new().start();
    assert_eq!(
        mail(&sandbox, other.port(), &[], &["r2@x.example"])
            .queued()
            .run()
            .status,
        0
    );
    let told = lines(&sandbox, "home/mail.log");
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(
        told[3].contains(" to=r2@x.example ") && told[3].contains(" status=sent "),
        "{}",
        told[3]
    );
    assert!(
        told[4].contains(" to=r1@x.example ") && told[4].contains(" status=deferred "),
        "{}",
        told[4]
    );
}

#[test]
fn no_word_from_outside_makes_a_second_line_or_another_key() {
    let sandbox = Sandbox::new();
    let text = "S: 220 mx\nC: EHLO *\nS: 250 mx\nC: MAIL *\nS: 250 ok\nC: RCPT *\n\
                S<: 550-5.1.1 x\\x0btime=0 status=sent\\x1b[2J\\r\\n550 5.1.1 \" exit=0\\r\\n\n-- bye\n";
    let server = Server::play("forger", text);
    let evil = ["-s", "subject\ntime=0 status=sent", "-S", "log=log"];
    let outcome = mail(
        &sandbox,
        server.port(),
        &evil,
        &["\"a b=c status=sent\"@x.example"],
    )
    .run();
    assert_eq!(outcome.status, 67, "{}", outcome.stderr);
    server.finish();
    let text = fs::read_to_string(sandbox.path("log")).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains(r#" to="\"a b=c status=sent\"@x.example" "#),
        "{text}"
    );
    assert!(!text.trim_end().contains(char::is_control), "{text}");
    let outside: String = text.replace("\\\"", "").split('"').step_by(2).collect();
    let keys: Vec<_> = outside
        .split_whitespace()
        .filter_map(|word| Some(word.split_once('=')?.0))
        .collect();
    let wanted = [
        "time",
        "id",
        "message-id",
        "caller",
        "from",
        "to",
        "bytes",
        "host",
        "tls",
        "user",
        "status",
        "reply",
        "exit",
    ];
    assert_eq!(keys, wanted);
    assert_eq!(outside.matches("status=rejected").count(), 1, "{text}");
}

#[test]
fn a_log_that_cannot_be_written_loses_no_mail_and_changes_no_status() {
    let sandbox = Sandbox::new();
    let sink = Options::new().start();
    let log = ["-S", "log=none/such/log"];
    let remark =
        "smail: cannot write the log: none/such/log: No such file or directory (os error 2)\n";
    let sent = mail(&sandbox, sink.port(), &log, &["r1@x.example"]).run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, remark));
    let quiet = mail(&sandbox, sink.port(), &log, &["--quiet", "r1@x.example"]).run();
    assert_eq!((quiet.status, quiet.stderr.as_str()), (0, ""));
    let queued = mail(&sandbox, sink.port(), &log, &["r1@x.example"])
        .queued()
        .run();
    assert_eq!((queued.status, queued.stderr.as_str()), (0, remark));
    assert_eq!(sandbox.entries(), [""; 0]);
    // A reader that never comes is not waited for.
    let fifo = sandbox.path("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let waits = mail(
        &sandbox,
        sink.port(),
        &["-S", "log=fifo"],
        &["r1@x.example"],
    )
    .run();
    assert_eq!(
        (waits.status, waits.stderr.lines().count()),
        (0, 1),
        "{}",
        waits.stderr
    );
    assert_eq!(sink.mails().len(), 4);
}

#[test]
fn a_log_of_none_switches_off_what_another_source_said() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "home/.config/smail/config.toml",
        "log = [\"log\", \"other\"]\n",
    );
    let sink = Options::new().start();
    assert_eq!(
        mail(
            &sandbox,
            sink.port(),
            &["-S", "log=none"],
            &["r1@x.example"]
        )
        .run()
        .status,
        0
    );
    assert!(sandbox.read("log").is_none() && sandbox.read("other").is_none());
    assert_eq!(
        mail(&sandbox, sink.port(), &[], &["r1@x.example"])
            .run()
            .status,
        0
    );
    assert_eq!(
        (lines(&sandbox, "log").len(), lines(&sandbox, "other").len()),
        (1, 1)
    );
}
