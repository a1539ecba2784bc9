//! Files that are not what they should be: FIFOs, devices and directories in the place of any file
//! smail reads or writes, and files of strangers. Nothing hangs, nothing of others is obeyed,
//! nothing is added to what a stranger made.
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::sink::{Options, Sink};
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// A number that no user of the test has.
const STRANGER: u32 = 54_321;

fn fifo(sandbox: &Sandbox, relative: &str) {
    let path = sandbox.path(relative);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// A server, words that lead to it, the words that name the FIFO, the status, and what is said.
type Row<'a> = (&'a Sink, &'a [&'a str], &'a [&'a str], i32, &'a str);

/// Sends a mail with these words before the recipient.
fn sent(sandbox: &Sandbox, sink: &Sink, words: &[&str]) -> Outcome {
    let smtp = format!(
        "smtp={}:{}",
        if words.contains(&"tls=implicit") {
            "localhost"
        } else {
            "127.0.0.1"
        },
        sink.port()
    );
    let first = [
        "-S",
        &smtp,
        "-S",
        "queue=no",
        "-r",
        "me@x.example",
        "-s",
        "s",
    ];
    sandbox
        .smail(&[&first, words, &["b@x.example"]].concat())
        .stdin("text\n")
        .run()
}

/// The status and the first line of what was said.
fn told(outcome: &Outcome) -> String {
    format!(
        "{} {}",
        outcome.status,
        outcome.stderr.lines().next().unwrap_or_default()
    )
}

#[test]
fn a_fifo_in_the_place_of_any_file_that_is_read_never_hangs() {
    let clear = Options::new().start();
    let secured = Options::new().implicit().start();
    let login = Options::new().login("me", "secret").start();
    let tls = ["-S", "tls=implicit"];
    let user = ["-S", "auth-user=me"];
    let (no_file, no_text) = (
        "fifo: it is not a regular file",
        "fifo: it is not a regular file; pipe it in with `-`",
    );
    let no_certificate = "contains no certificate in PEM format";
    let rows: &[Row<'_>] = &[
        (&clear, &[], &["--config", "fifo"], 78, no_file),
        (&clear, &[], &["-S", "signature=fifo"], 66, no_text),
        (&clear, &[], &["-m", "fifo"], 66, no_text),
        (&clear, &[], &["-q", "fifo"], 66, no_text),
        (&clear, &[], &["--html=fifo"], 66, no_text),
        (&clear, &[], &["--to-file", "fifo"], 66, no_text),
        (&clear, &[], &["-a", "fifo"], 66, no_text),
        (
            &clear,
            &[],
            &["-S", "aliases-file=fifo", "root"],
            78,
            no_file,
        ),
        (&clear, &[], &["-S", "extra-rc=fifo"], 0, ""),
        (
            &login,
            &user,
            &["-S", "auth-password-file=fifo"],
            77,
            "`fifo` is not a regular file",
        ),
        (
            &login,
            &user,
            &["-S", "netrc-lookup", "-S", "netrc=fifo"],
            78,
            "`fifo` is not a regular file",
        ),
        (
            &secured,
            &tls,
            &["-S", "tls-ca-file=fifo"],
            78,
            no_certificate,
        ),
        (&secured, &tls, &["-S", "tls-cert=fifo"], 78, no_certificate),
        (
            &secured,
            &tls,
            &["-S", "tls-cert=server.pem", "-S", "tls-key=fifo"],
            78,
            "fifo contains no private key in PEM format",
        ),
        (
            &secured,
            &tls,
            &["-S", "tls-ca-dir=hashed"],
            78,
            no_certificate,
        ),
    ];
    for (sink, first, words, status, says) in rows {
        let sandbox = Sandbox::new();
        fifo(&sandbox, "fifo");
        fifo(&sandbox, "hashed/12345678.0");
        sandbox.pem("server");
        let outcome = sent(&sandbox, sink, &[*first, words].concat());
        assert!(
            outcome.status == *status && outcome.stderr.contains(says),
            "{words:?}: {}",
            told(&outcome)
        );
    }
}

#[test]
fn a_fifo_at_the_usual_place_of_a_settings_file_never_hangs() {
    let sink = Options::new().start();
    let rows = [
        ("home/.config/smail/config.toml", "78 smail: "),
        ("home/.mailrc", "0 "),
        ("home/.smailrc", "0 "),
        ("home/.mime.types", "0 "),
        ("home/.netrc", "0 "),
    ];
    for (place, wanted) in rows {
        let sandbox = Sandbox::new();
        fifo(&sandbox, place);
        sandbox.write("a.odd", "x");
        let outcome = sent(&sandbox, &sink, &["-a", "a.odd"]);
        assert!(
            told(&outcome).starts_with(wanted),
            "{place}: {}",
            told(&outcome)
        );
    }
    for (variable, value) in [
        ("MAILRC", "fifo"),
        ("SSL_CERT_FILE", "fifo"),
        ("NETRC", "fifo"),
    ] {
        let sandbox = Sandbox::new();
        fifo(&sandbox, "fifo");
        let words = [
            "-S",
            "smtp=smtps://127.0.0.1:1",
            "-S",
            "queue=no",
            "-r",
            "me@x.example",
            "b@x.example",
        ];
        let outcome = sandbox.smail(&words).env(variable, value).stdin("x").run();
        assert_eq!(outcome.status, 75, "{variable}: {}", outcome.stderr);
    }
}

#[test]
fn settings_may_come_from_a_program_as_shells_hand_it_over() {
    let sink = Options::new().start();
    let sandbox = Sandbox::new();
    let script = "MAILRC=<(printf 'set from=pipe@x.example\\nset smtp=127.0.0.1:%s\\n' \"$1\") exec \"$0\" -S queue=no b@x.example";
    let outcome = sandbox
        .under(&["/bin/bash", "-c", script], &[sink.port().to_string()])
        .stdin("x\n")
        .run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(sink.only_mail().from, "pipe@x.example");
}

#[test]
fn copies_and_logs_go_into_regular_files_and_nowhere_else() {
    let sink = Options::new().start();
    let cannot = "74 smail: the message was sent, but no copy could be saved in ";
    for (place, why) in [
        ("fifo", "it is not a regular file"),
        ("folder", "it is a directory"),
        ("linked", "it has more than one hard link"),
        ("link", "it is a symbolic link"),
        ("/dev/full", "it is not a regular file"),
    ] {
        let sandbox = Sandbox::new();
        fifo(&sandbox, "fifo");
        fs::create_dir(sandbox.path("folder")).unwrap();
        sandbox.write("other", "untouched\n");
        fs::hard_link(sandbox.path("other"), sandbox.path("linked")).unwrap();
        std::os::unix::fs::symlink(sandbox.path("other"), sandbox.path("link")).unwrap();
        let outcome = sent(&sandbox, &sink, &["-S", &format!("record={place}")]);
        assert!(
            told(&outcome).starts_with(cannot),
            "{place}: {}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains(why), "{place}: {}", outcome.stderr);
        let logged = sent(&sandbox, &sink, &["-S", &format!("log={place}")]);
        assert_eq!(logged.status, 0, "{place}: {}", logged.stderr);
        assert!(logged.stderr.contains(why), "{place}: {}", logged.stderr);
        let lost = [
            "-S",
            "save",
            "-S",
            &format!("dead-letter={place}"),
            "-S",
            "smtp=127.0.0.1:1",
        ];
        assert!(sent(&sandbox, &sink, &lost).stderr.contains(why), "{place}");
        assert_eq!(sandbox.read("other").unwrap(), b"untouched\n");
    }
}

#[test]
fn the_null_device_keeps_no_copy_and_that_is_what_was_asked_for() {
    let sink = Options::new().start();
    let sandbox = Sandbox::new();
    let outcome = sent(&sandbox, &sink, &["-S", "record=/dev/null"]);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let outcome = sent(
        &sandbox,
        &sink,
        &[
            "-S",
            "save",
            "-S",
            "dead-letter=/dev/null",
            "-S",
            "smtp=127.0.0.1:1",
        ],
    );
    assert_eq!(outcome.status, 75);
    assert!(!outcome.stderr.contains("/dev/null"), "{}", outcome.stderr);
}

#[test]
fn a_copy_that_another_program_has_locked_ends_the_wait() {
    let sink = Options::new().start();
    let sandbox = Sandbox::new();
    let held = fs::File::open(sandbox.write("sent", "")).unwrap();
    held.lock().unwrap();
    let outcome = sent(&sandbox, &sink, &["-S", "record=sent"]);
    assert_eq!(outcome.status, 74);
    assert!(
        outcome.stderr.contains("it is locked by another program"),
        "{}",
        outcome.stderr
    );
}

/// Gives a name to a stranger; only root can, and without root there is nothing to test.
fn give_away(path: &Path) -> bool {
    std::os::unix::fs::lchown(path, Some(STRANGER), Some(STRANGER)).is_ok()
}

#[test]
fn nothing_is_added_to_what_a_stranger_made_in_a_shared_directory() {
    let sink = Options::new().start();
    let sandbox = Sandbox::new();
    let file = sandbox.write_mode("shared/file", "theirs\n", 0o666);
    let link = sandbox.path("shared/link");
    std::os::unix::fs::symlink(sandbox.write("ours", "ours\n"), &link).unwrap();
    fs::set_permissions(sandbox.path("shared"), fs::Permissions::from_mode(0o1777)).unwrap();
    if !(give_away(&file) && give_away(&link)) {
        return;
    }
    let strange = "it was created by another user in a directory that others can write to";
    for place in ["file", "link"] {
        let why = if place == "file" {
            strange
        } else {
            "it is a symbolic link"
        };
        let recorded = sent(&sandbox, &sink, &["-S", &format!("record=shared/{place}")]);
        assert_eq!(recorded.status, 74, "{place}");
        assert!(
            recorded.stderr.contains(why),
            "{place}: {}",
            recorded.stderr
        );
        let logged = sent(&sandbox, &sink, &["-S", &format!("log=shared/{place}")]);
        assert!(
            logged.status == 0 && logged.stderr.contains(why),
            "{place}: {}",
            logged.stderr
        );
        let lost = [
            "-S",
            "save",
            "-S",
            &format!("dead-letter=shared/{place}"),
            "-S",
            "smtp=127.0.0.1:1",
        ];
        assert!(sent(&sandbox, &sink, &lost).stderr.contains(why), "{place}");
        let words = [
            "-S",
            &format!("mta=test://shared/{place}"),
            "-r",
            "me@x.example",
            "b@x.example",
        ];
        let written = sandbox.smail(&words).stdin("x\n").run();
        assert!(
            written.status != 0 && written.stderr.contains(strange),
            "{place}: {}",
            written.stderr
        );
    }
    assert_eq!(
        (fs::read(&file).unwrap(), sandbox.read("ours").unwrap()),
        (b"theirs\n".to_vec(), b"ours\n".to_vec())
    );
    // What is new there is ours, and so is what we made before.
    for _ in 0..2 {
        let outcome = sent(
            &sandbox,
            &sink,
            &["-S", "record=shared/new", "-S", "log=shared/log"],
        );
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    }
}

#[test]
fn a_mail_rc_is_obeyed_when_nobody_else_may_change_it() {
    let sink = Options::new().start();
    for (mode, foreign, wanted) in [
        (0o600, false, "0 "),
        (0o644, false, "0 "),
        (0o664, false, "78 smail: "),
        (0o620, false, "78 smail: "),
        (0o646, false, "78 smail: "),
        (0o600, true, "78 smail: "),
    ] {
        for place in [
            "home/.mailrc",
            "home/sourced",
            "home/.config/smail/config.toml",
        ] {
            let sandbox = Sandbox::new();
            let text = if place.ends_with("toml") {
                "name = \"Me\"\n"
            } else {
                "set name=Me\n"
            };
            let path = sandbox.write_mode(place, text, mode);
            if place == "home/sourced" {
                sandbox.write("home/.mailrc", "source sourced\n");
            }
            if foreign && !give_away(&path) {
                continue;
            }
            let outcome = sent(&sandbox, &sink, &[]);
            assert!(
                told(&outcome).starts_with(wanted),
                "{place} {mode:o}: {}",
                told(&outcome)
            );
            let says = "others can write to it and could send mail in your name";
            assert_eq!(
                outcome.status == 78,
                outcome.stderr.contains(says),
                "{}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn roots_that_everybody_may_change_prove_nothing() {
    let sink = Options::new().implicit().start();
    let sandbox = Sandbox::new();
    let ca = sandbox.pem("ca");
    fs::set_permissions(&ca, fs::Permissions::from_mode(0o666)).unwrap();
    let outcome = sent(
        &sandbox,
        &sink,
        &["-S", "tls=implicit", "-S", "tls-ca-file=ca.pem"],
    );
    assert_eq!(outcome.status, 78);
    assert!(
        outcome
            .stderr
            .contains("ca.pem: it is writable by everyone; run chmod o-w on it"),
        "{}",
        outcome.stderr
    );
}
