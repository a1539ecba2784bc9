//! What holds for every caller. The row of each caller already proves silence on success and the
//! statuses 0 and 75; they are proved here for what no row does.
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::call::{ALL, call, host, host_with, one_line, silent};
use crate::support::sink::{Options, Place};

const MAIL: &str = "Subject: s\nTo: root\nBcc: boss@x.example\n\ntext\n";

#[test]
fn a_mail_that_is_queued_is_never_reported_as_the_callers_to_repeat() {
    // (b, c) Whatever is wrong for the moment: not reachable, greeting 421, MAIL 4yz, RCPT 4yz, the
    // dot 4yz.
    for recipient in ["451 4.7.1 later", "421 4.3.2 going down"] {
        let sink = Options::new()
            .recipient("admin@a.example", recipient)
            .start();
        let sandbox = host(sink.port());
        silent(
            &call("sendmail root").stdin("x\n").run(&sandbox, true).run(),
            recipient,
        );
        assert_eq!(sandbox.entries().len(), 1);
        let outcome = call("sendmail root")
            .stdin("x\n")
            .run(&sandbox, false)
            .run();
        assert_eq!(outcome.status, 75, "{}", outcome.stderr);
        one_line(&outcome, &recipient[..3]);
        assert_eq!(sandbox.entries().len(), 1);
    }
    let sink = Options::new().dot("451 4.3.0 try later").start();
    let sandbox = host(sink.port());
    silent(
        &call("sendmail root").stdin("x\n").run(&sandbox, true).run(),
        "dot",
    );
    assert_eq!(sandbox.entries().len(), 1);
}

#[test]
fn a_queue_that_was_named_and_cannot_be_made_is_73_and_nothing_is_sent() {
    // /proc takes no directories, whoever asks.
    let sink = Options::new().start();
    let sandbox = host_with(sink.port(), "queue-dir = \"/proc/none\"");
    let outcome = call("sendmail root").stdin("x\n").run(&sandbox, true).run();
    assert_eq!(outcome.status, 73);
    one_line(&outcome, "/proc/none");
    assert_eq!(sink.mails(), []);
}

#[test]
fn it_works_in_any_surroundings() {
    let closed = [
        "exec 1>&-",
        "exec 2>&-",
        "exec 1>&- 2>&-",
        "exec 1>/dev/full 2>/dev/full",
    ];
    let strange = [
        "cd /",
        "umask 0",
        "umask 777",
        "trap '' PIPE",
        "ulimit -c 0; ulimit -n 32",
        "trap '' HUP INT TERM CHLD",
    ];
    for script in strange.iter().chain(&closed) {
        let call = call("sendmail -t")
            .stdin(MAIL)
            .after(script)
            .to("admin@a.example boss@x.example")
            .gains(ALL);
        call.turns("To: root", "To: admin@a.example")
            .turns("Bcc: boss@x.example\n", "")
            .check();
    }
    for environment in [
        &[][..],
        &[("HOME", "/")],
        &[("HOME", "")],
        &[("HOME", "/nonexistent"), ("USER", "")],
        &[
            ("HOME", "relative"),
            ("LC_ALL", "C"),
            ("LANG", "xx_YY"),
            ("TZ", "Nowhere/None"),
            ("PATH", ""),
        ],
    ] {
        let call = call("sendmail root")
            .stdin("x\n")
            .environment(environment)
            .to("admin@a.example");
        call.arrives(format!("{ALL}\nx\n")).check();
    }
}

#[test]
fn the_queue_is_private_whatever_the_umask_is() {
    let sandbox = host(Place::reserve().port());
    silent(
        &call("sendmail root")
            .stdin("x\n")
            .after("umask 0")
            .run(&sandbox, true)
            .run(),
        "umask 0",
    );
    for (path, mode) in [("q", 0o700), ("", 0o700)] {
        assert_eq!(
            fs::metadata(sandbox.queue_dir().join(path))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            mode
        );
    }
    for name in sandbox.queue_names("q") {
        assert_eq!(
            fs::metadata(sandbox.queue_dir().join("q").join(&name))
                .unwrap()
                .permissions()
                .mode()
                & 0o077,
            0,
            "{name}"
        );
    }
}

#[test]
fn a_reader_that_has_gone_is_no_reason_to_fail() {
    // Both outputs are a pipe that nobody reads.
    let place = Place::reserve();
    let sandbox = host(place.port());
    let script = "exec 3>&1; { trap '' PIPE; while echo 2>/dev/null; do :; done; \"$0\" -bp; echo $? >&3; } | true";
    let link = sandbox.link("sendmail");
    let outcome = sandbox
        .under(&["/bin/sh", "-c", script, link.to_str().unwrap()], &[""; 0])
        .queued()
        .run();
    assert_eq!(
        (outcome.status, outcome.stdout.as_str()),
        (0, "0\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn bare_names_are_taken_everywhere() {
    // In the words, in From, To, Cc, Sender, Reply-To and behind -f.
    call("sendmail -f alice root postmaster")
        .stdin("From: alice\nSender: root\nTo: root\nCc: \"A\" <alice>\nReply-To: alice\n\nx\n")
        .to("admin@a.example")
        .turns("From: alice", "From: host@a.example")
        .turns("Sender: root", "Sender: host@a.example")
        .turns("To: root", "To: admin@a.example")
        .turns("\"A\" <alice>", "A <alice@a.example>")
        .turns("Reply-To: alice", "Reply-To: alice@a.example")
        .check();
}

#[test]
fn the_letter_a_of_mail_is_a_header_or_a_file() {
    let sandbox = host(Place::reserve().port());
    let run = |words: &[&str]| {
        let outcome = sandbox.as_name("mail", words).stdin("x\n").queued().run();
        assert_eq!(outcome.status, 0, "{words:?}: {}", outcome.stderr);
        let ids = sandbox.entries();
        let show = sandbox
            .smail(&["--queue-show", ids.last().unwrap()])
            .queued()
            .run()
            .stdout;
        for id in ids {
            sandbox.smail(&["--remove", &id]).queued().run();
        }
        show
    };
    assert!(run(&["-a", "X-Priority: 1", "-s", "s", "root"]).contains("\r\nX-Priority: 1\r\n"));
    sandbox.write("X-Name: 1", "content");
    let file = run(&["-a", "X-Name: 1", "-s", "s", "root"]);
    assert!(
        file.contains("filename=\"X-Name: 1\"") && !file.contains("\r\nX-Name: 1\r\n"),
        "{file}"
    );
    sandbox.write("plain.txt", "content");
    assert!(run(&["-a", "plain.txt", "-s", "s", "root"]).contains("filename=\"plain.txt\""));
}

#[test]
fn the_letter_e_of_mail_is_a_flag_or_swallows_a_command() {
    let sandbox = host(Place::reserve().port());
    let run =
        |words: &[&str], input: &str| sandbox.as_name("mail", words).stdin(input).queued().run();
    assert_eq!(run(&["-E", "-s", "s", "root"], "").status, 0);
    assert_eq!(sandbox.entries(), [""; 0]);
    assert_eq!(run(&["-E", "set escape", "-s", "s", "root"], "").status, 0);
    assert_eq!(sandbox.entries().len(), 1);
    assert_eq!(
        run(&["-E", "set nonullbody", "-s", "s", "root"], "x").status,
        0
    );
    assert_eq!(sandbox.entries().len(), 2);
}

#[test]
fn the_field_bcc_vanishes_in_every_spelling() {
    for field in ["Bcc", "BCC", "bcc ", "Bcc\t"] {
        let taken = format!("{field}: boss@x.example,\n eve@x.example\n");
        let input = format!("Subject: s\n{taken}X: y\n\nBcc: text\n");
        call("sendmail root")
            .stdin(input)
            .to("admin@a.example")
            .gains(ALL)
            .turns(&taken, "")
            .check();
    }
}

#[test]
fn a_signal_before_the_end_of_the_mail_leaves_nothing() {
    // Whether it has read a part, a head, or a body that lies in a file meanwhile.
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    let parts = [
        String::new(),
        "Subject: s\n".to_owned(),
        MAIL.to_owned(),
        format!("{MAIL}{}", "0123456789abcde\n".repeat(200_000)),
    ];
    for (part, signal) in parts
        .iter()
        .zip([Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL])
    {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let file = fs::File::from(std::os::fd::OwnedFd::from(reader));
        let running = sandbox
            .as_name("sendmail", &["root"])
            .queued()
            .stdin_file(file)
            .start();
        // A pipe holds 64 KiB: what is more is written only when it was read.
        writer.write_all(part.as_bytes()).unwrap();
        sleep(Duration::from_millis(50));
        running.signal(signal);
        assert_eq!(running.finish().status, 128 + signal.as_raw());
        drop(writer);
    }
    assert_eq!((sink.sessions(), sandbox.queue_names("q")), (0, vec![]));
    assert_eq!(fs::read_dir(sandbox.path("run")).unwrap().count(), 0);
}

#[test]
fn a_file_is_read_from_where_it_stands() {
    // What stands before its offset is not the mail's.
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"Subject: secret\n\nSubject: s\n\nx\n")
        .unwrap();
    file.seek(SeekFrom::Start(17)).unwrap();
    silent(
        &sandbox
            .as_name("sendmail", &["root"])
            .stdin_file(file)
            .run(),
        "offset",
    );
    let text = sink.only_mail().text();
    assert!(
        text.ends_with("Subject: s\r\n\r\nx\r\n") && !text.contains("secret"),
        "{text}"
    );
}

#[test]
fn standard_input_that_cannot_be_read_is_74() {
    let sandbox = host(Place::reserve().port());
    let dir = fs::File::open(sandbox.path("home")).unwrap();
    let outcome = sandbox
        .as_name("sendmail", &["root"])
        .queued()
        .stdin_file(dir)
        .run();
    assert_eq!(outcome.status, 74);
    one_line(&outcome, "standard input: ");
    assert_eq!(sandbox.queue_names("q"), [""; 0]);
}

#[test]
fn send_mail_is_sendmail_and_runq_flushes() {
    let place = Place::reserve();
    let sandbox = host(place.port());
    silent(
        &sandbox
            .as_name("send-mail", &["root"])
            .stdin("x\n")
            .queued()
            .run(),
        "send-mail",
    );
    silent(
        &sandbox
            .smail(&["--as", "sendmail", "root"])
            .stdin("x\n")
            .queued()
            .run(),
        "--as",
    );
    assert_eq!(sandbox.entries().len(), 2);
    let sink = Options::new().start_at(place);
    silent(
        &sandbox.as_name("runq", &["-qRadmin"]).queued().run(),
        "runq",
    );
    assert_eq!(sink.mails().len(), 2);
    let text = sink.mails()[0].text();
    assert!(
        text.starts_with("From: Host <host@a.example>\r\nDate: "),
        "{text}"
    );
}
