//! Lines compared whole; sockets and files of the test's own.
use std::fs;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;
use crate::delivery::{Cause, Fault, Reply, Stage};

const TIME: &str = "2026-01-02T03:04:05+01:00";

fn now() -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(TIME).unwrap()
}

fn accepted(words: &str) -> Report {
    let outcome = Ok(Reply::new(250, vec![words.to_owned()]));
    let mut report = Report::uniform(
        "smtp.x.example:465 (implicit TLS)".into(),
        ["b@x.example"].into_iter(),
        &outcome,
    );
    report.host = Some("smtp.x.example:465".into());
    report.tls = Some("TLSv1.3".into());
    report.user = Some("me@x.example".into());
    report.bytes = 321;
    report
}

fn attempt(report: Option<&Report>) -> Attempt<'_> {
    Attempt {
        id: Some("0abc"),
        message_id: "<1@x.example>",
        caller: "cron/root",
        from: "a@x.example",
        to: vec!["b@x.example"],
        report,
        bytes: 7,
        exit: 0,
        status: "sent",
        error: None,
    }
}

fn text(attempt: &Attempt<'_>) -> String {
    String::from_utf8(line(&facts(attempt), now())).unwrap()
}

fn to_file(path: &Path) -> Log {
    Log {
        places: vec![Place::File(path.to_owned())],
    }
}

#[test]
fn a_mail_that_was_sent_is_one_line() {
    let report = accepted("2.0.0 queued as X1");
    let wanted = format!(
        "time={TIME} id=0abc message-id=<1@x.example> caller=cron/root from=a@x.example to=b@x.example bytes=321 \
         host=smtp.x.example:465 tls=TLSv1.3 user=me@x.example status=sent reply=\"250 2.0.0 queued as X1\" exit=0\n"
    );
    assert_eq!(text(&attempt(Some(&report))), wanted);
}

#[test]
fn what_is_not_known_is_a_dash_and_the_null_sender_is_named() {
    let attempt = Attempt {
        id: None,
        from: "",
        status: "queued",
        error: Some("no slot"),
        ..attempt(None)
    };
    let wanted = format!(
        "time={TIME} id=- message-id=<1@x.example> caller=cron/root from=<> to=b@x.example bytes=7 host=- tls=none \
         user=- status=queued reply=- error=\"no slot\" exit=0\n"
    );
    assert_eq!(text(&attempt), wanted);
}

#[test]
fn of_mixed_results_the_first_refusal_is_told() {
    let mut report = accepted("ok");
    for words in ["no such user", "another"] {
        let reply = Reply::new(550, vec!["5.1.1".into(), words.into()]);
        let outcome = Err(Fault::new(Stage::Recipient, Cause::Refused(reply)));
        report.recipients.push(RecipientResult {
            recipient: "c@x.example".into(),
            outcome,
        });
    }
    assert!(text(&attempt(Some(&report))).contains(" reply=\"550 5.1.1 no such user\" exit="));
    let lost = Fault::new(Stage::Content, Cause::Lost("reset".into()));
    report.recipients[0].outcome = Err(lost);
    let told = text(&Attempt {
        error: Some("the connection ended: reset"),
        ..attempt(Some(&report))
    });
    assert!(
        told.contains(" reply=- error=\"the connection ended: reset\" exit="),
        "{told}"
    );
}

#[test]
fn no_value_ends_a_line_or_forges_a_key() {
    assert_eq!(quoted("a@x.example,b@x.example"), "a@x.example,b@x.example");
    assert_eq!(quoted(""), r#""""#);
    assert_eq!(quoted("x status=sent"), r#""x status=sent""#);
    assert_eq!(quoted("x\" exit=0\ntime=1"), r#""x\" exit=0\ntime=1""#);
    assert_eq!(quoted("a\\"), r#""a\\""#);
    assert_eq!(
        quoted("\u{1b}[2J\r\0\u{85}\u{2028}\u{202e}"),
        r#""\u{1b}[2J\r\0\u{85}\u{2028}\u{202e}""#
    );
    assert_eq!(quoted("jörg's@x.example"), "\"jörg's@x.example\"");
    let evil = "x\r\ntime=0 id=1 status=sent \"";
    let to: Vec<&str> = vec![evil; 2];
    let told = text(&Attempt {
        id: Some(evil),
        message_id: evil,
        caller: evil,
        from: evil,
        to,
        ..attempt(None)
    });
    assert_eq!(told.matches('\n').count(), 1);
    // Outside of quotes there are our keys only.
    let outside: String = told.replace("\\\"", "").split('"').step_by(2).collect();
    assert_eq!(
        outside,
        format!(
            "time={TIME} id= message-id= caller= from= to= bytes=7 host=- tls=none user=- status=sent reply=- exit=0\n"
        )
    );
}

#[test]
fn many_recipients_are_counted_and_long_words_are_cut() {
    let address = "somebody-with-a-long-name@x.example";
    let named = text(&Attempt {
        to: vec![address; 20],
        ..attempt(None)
    });
    assert_eq!(named.matches(address).count(), 20);
    let counted = text(&Attempt {
        to: vec![address; 21],
        ..attempt(None)
    });
    assert!(counted.contains(" to=\"21 recipients\" "), "{counted}");
    let long = "é".repeat(5000);
    let told = text(&Attempt {
        error: Some(&long),
        ..attempt(None)
    });
    assert!(
        told.contains(&format!(" error=\"{}…\" exit=0", "é".repeat(254))),
        "{told}"
    );
}

#[test]
fn a_file_is_made_private_and_only_added_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    to_file(&path).write_at(&attempt(None), now()).unwrap();
    to_file(&path).write_at(&attempt(None), now()).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        text(&attempt(None)).repeat(2)
    );
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    // A mode that an operator chose stays.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    to_file(&path).write_at(&attempt(None), now()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
}

#[test]
fn links_fifos_directories_and_devices_are_refused_and_nothing_waits() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    symlink(place("target"), place("link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for path in [
        place("link"),
        place("fifo"),
        dir.path().to_owned(),
        place("none/log"),
        PathBuf::from("/dev/null"),
    ] {
        let error = to_file(&path)
            .write(&attempt(None))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("{}: ", path.display())),
            "{error}"
        );
    }
    assert!(!place("target").exists());
    // A FIFO that somebody reads gets nothing either.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut reader = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(place("fifo"))
        .unwrap();
    let error = to_file(&place("fifo"))
        .write(&attempt(None))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!("{}: it is not a regular file", place("fifo").display())
    );
    assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn every_place_is_written_to_and_the_first_failure_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (bad, good) = (dir.path().join("none/log"), dir.path().join("log"));
    let log = Log {
        places: vec![
            Place::File(bad.clone()),
            Place::Syslog(bad.clone()),
            Place::File(good.clone()),
        ],
    };
    let error = log.write(&attempt(None)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(
        error
            .to_string()
            .starts_with(&format!("{}: ", bad.display())),
        "{error}"
    );
    assert!(fs::read_to_string(good).unwrap().ends_with("exit=0\n"));
}

/// Listens, writes an attempt, and gives what came.
fn heard(place: fn(PathBuf) -> Place, attempt: &Attempt<'_>) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    Log {
        places: vec![place(path)],
    }
    .write_at(attempt, now())
    .unwrap();
    let mut datagram = vec![0; 64 << 10];
    let length = socket.recv(&mut datagram).unwrap();
    datagram.truncate(length);
    datagram
}

#[test]
fn syslog_gets_a_datagram_of_the_mail_facility() {
    let report = accepted("ok");
    let pid = std::process::id();
    let sent = attempt(Some(&report));
    let told = text(&sent).replacen(&format!("time={TIME} "), "", 1);
    let wanted = format!("<22>Jan  2 03:04:05 smail[{pid}]: {}", told.trim_end());
    assert_eq!(
        String::from_utf8(heard(Place::Syslog, &sent)).unwrap(),
        wanted
    );
    for (status, head) in [
        ("deferred", "<20>"),
        ("partial", "<20>"),
        ("failed", "<19>"),
        ("rejected", "<19>"),
    ] {
        let told = heard(
            Place::Syslog,
            &Attempt {
                status,
                ..attempt(Some(&report))
            },
        );
        assert!(told.starts_with(head.as_bytes()), "{status}");
    }
}

#[test]
fn a_message_to_syslog_has_eight_kibibytes_at_most() {
    let long = "\u{1b}é".repeat(5000);
    let told = heard(
        Place::Syslog,
        &Attempt {
            to: vec![&long],
            ..attempt(None)
        },
    );
    assert!((8190..=8192).contains(&told.len()), "{}", told.len());
    assert!(std::str::from_utf8(&told).is_ok());
}

#[test]
fn the_journal_gets_fields_that_no_value_can_add_to() {
    let mut report = accepted("ok");
    report.user = None;
    let told = heard(
        Place::Journal,
        &Attempt {
            caller: "x\nPRIORITY=0",
            ..attempt(Some(&report))
        },
    );
    let message = text(&Attempt {
        caller: "x\nPRIORITY=0",
        ..attempt(Some(&report))
    });
    let message = message.replacen(&format!("time={TIME} "), "", 1);
    let wanted = format!(
        "MESSAGE={message}PRIORITY=6\nSYSLOG_IDENTIFIER=smail\nSYSLOG_FACILITY=2\nSYSLOG_PID={}\nSMAIL_ID=0abc\n\
         SMAIL_MESSAGE_ID=<1@x.example>\nSMAIL_CALLER\n\x0c\0\0\0\0\0\0\0x\nPRIORITY=0\nSMAIL_FROM=a@x.example\n\
         SMAIL_TO=b@x.example\nSMAIL_BYTES=321\nSMAIL_HOST=smtp.x.example:465\nSMAIL_TLS=TLSv1.3\nSMAIL_STATUS=sent\n\
         SMAIL_REPLY=250 ok\nSMAIL_EXIT=0\n",
        std::process::id()
    );
    assert_eq!(String::from_utf8(told).unwrap(), wanted);
}

#[test]
fn a_full_socket_is_an_error_and_not_a_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _nobody_reads = UnixDatagram::bind(&path).unwrap();
    let log = Log {
        places: vec![Place::Syslog(path)],
    };
    let error = (0..100_000)
        .find_map(|_| log.write(&attempt(None)).err())
        .unwrap();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}
