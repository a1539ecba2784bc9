//! A sendmail-like program as smail meets it: what it gets, how it ends, and what that means for
//! the mail.
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::*;
use crate::address::Address;
use crate::message::{Notify, Ret};
use crate::transport::Event;

fn program(path: &str, arguments: &[&str]) -> Program {
    Program {
        path: PathBuf::from(path),
        argv0: None,
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        no_default_arguments: true,
        no_recipients: true,
        sender: false,
        provider: None,
        verbose: false,
        timeouts: Timeouts::default(),
    }
}

fn message(bytes: &[u8]) -> Message {
    let envelope = Envelope {
        sender: Some(Address::parse("me@a.test").unwrap()),
        recipients: vec![
            Address::parse("you@b.test").unwrap(),
            Address::parse("root").unwrap(),
        ],
        ..Envelope::default()
    };
    Message::from_wire("<1@a.test>".into(), envelope, bytes.to_vec())
}

fn deliver(program: &Program, message: &Message) -> Report {
    Sendmail::new(program, &RunContext::default()).deliver(message, ConnectionReuse::Last, &mut ())
}

#[test]
fn the_argument_vector_is_that_of_sendmail() {
    let envelope = message(b"").envelope;
    let mut settings = program("/usr/sbin/sendmail", &["-oem"]);
    assert_eq!(
        arguments(&settings, &envelope, &envelope.recipients),
        ["-oem"]
    );
    settings.no_default_arguments = false;
    settings.no_recipients = false;
    settings.sender = true;
    settings.verbose = true;
    let wanted = [
        "-i",
        "-v",
        "-f",
        "me@a.test",
        "-oem",
        "--",
        "you@b.test",
        "root",
    ];
    assert_eq!(
        arguments(&settings, &envelope, &envelope.recipients),
        wanted
    );
    let nobody = Envelope {
        sender: None,
        ..envelope
    };
    assert_eq!(arguments(&settings, &nobody, &[])[3], "<>");
}

#[test]
fn the_program_is_asked_for_notices_as_sendmail_is() {
    let mut envelope = message(b"").envelope;
    envelope.dsn.notify = Notify::parse("delay,success").ok();
    envelope.dsn.ret = Some(Ret::Headers);
    envelope.dsn.envid = Some("a b".into());
    let mut settings = program("/usr/sbin/sendmail", &[]);
    assert_eq!(
        arguments(&settings, &envelope, &envelope.recipients),
        [""; 0]
    );
    settings.no_default_arguments = false;
    assert_eq!(
        arguments(&settings, &envelope, &envelope.recipients),
        ["-i", "-N", "success,delay", "-R", "hdrs", "-V", "a+20b"]
    );
}

#[test]
fn the_program_gets_the_whole_message_with_unix_line_ends() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("got");
    let bytes = "Subject: x\r\n\r\n.\r\na\rb\r\n".repeat(40_000);
    let report = deliver(
        &program("/usr/bin/tee", &[file.to_str().unwrap()]),
        &message(bytes.as_bytes()),
    );
    assert!(report.is_done(), "{report:?}");
    assert_eq!(report.recipients.len(), 2);
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        bytes.replace("\r\n", "\n")
    );
}

#[test]
fn its_exit_status_and_words_are_the_outcome() {
    let failing = deliver(
        &program("/usr/bin/cp", &["/nonexistent/a", "/nonexistent/b"]),
        &message(b"x\r\n"),
    );
    let Err(Fault {
        cause: Cause::Program(said, Some(1)),
        ..
    }) = &failing.recipients[1].outcome
    else {
        panic!("{failing:?}")
    };
    assert!(said.contains("/nonexistent/a"), "{said}");
    let silent = deliver(&program("/usr/bin/false", &[]), &message(b"x\r\n"));
    let wanted = Cause::Program(
        "it exited with status 1 and printed nothing".into(),
        Some(1),
    );
    assert_eq!(
        silent.recipients[0].outcome,
        Err(Fault::new(Stage::Content, wanted))
    );
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let report = deliver(&program("/nonexistent/sendmail", &[]), &message(b"x\r\n"));
    let wanted = Cause::Program(
        "/nonexistent/sendmail: no such file or directory".into(),
        Some(127),
    );
    assert_eq!(
        report.recipients[0].outcome,
        Err(Classifier::default().classify(Fault::new(Stage::Connect, wanted)))
    );
}

#[test]
fn a_program_that_says_a_lot_and_reads_nothing_cannot_block_the_message() {
    let dir = tempfile::tempdir().unwrap();
    let noise = dir.path().join("noise");
    std::fs::write(&noise, "n\n".repeat(200_000)).unwrap();
    // dd copies its own file to standard error and never reads the message.
    let input = format!("if={}", noise.display());
    let report = deliver(
        &program("/usr/bin/dd", &[&input, "of=/dev/stderr"]),
        &message(&vec![b'x'; 1 << 20]),
    );
    assert!(report.is_done(), "{report:?}");
}

#[test]
fn a_signal_stops_the_program_before_it_takes_half_a_message_for_a_whole_one() {
    let (lines, context) = (Arc::new(Mutex::new(Vec::new())), RunContext::default());
    let heard = lines.clone();
    let context = RunContext {
        observer: Some(Arc::new(move |event: Event<'_>| {
            if let Event::Line(line) = event {
                heard.lock().unwrap().push(line.clone());
            }
        })),
        ..context
    };
    context.interrupt.store(2, Ordering::Relaxed);
    let mut sleeper = Sendmail::new(&program("/usr/bin/sleep", &["60"]), &context);
    let report = sleeper.deliver(
        &message(&vec![b'x'; 1 << 20]),
        ConnectionReuse::Last,
        &mut (),
    );
    assert_eq!(
        report.recipients[0].outcome,
        Err(Fault::new(Stage::Content, Cause::Interrupted(2)))
    );
    let note = Line::Note("the program was stopped before the message was complete".into());
    assert_eq!(lines.lock().unwrap().last(), Some(&note));
}

fn shell(script: &str) -> Program {
    program("/bin/sh", &["-c", script])
}

#[test]
fn a_program_that_does_not_end_leaves_the_mail_in_doubt_only_when_it_has_all_of_it() {
    let short = Duration::from_millis(200);
    let hangs = |script: &str, size: usize| {
        let mut program = shell(script);
        (program.timeouts.block, program.timeouts.dot) = (short, short);
        let report = deliver(&program, &message(&vec![b'x'; size]));
        assert_eq!(report.recipients[0].outcome, report.recipients[1].outcome);
        report.recipients[0].outcome.clone().unwrap_err()
    };
    let why = "it took longer than 0.2 s and was killed\nbusy";
    let fault = Fault::new(Stage::Content, Cause::Program(why.into(), None));
    let classifier = Classifier::default();
    assert_eq!(
        hangs("cat >/dev/null; echo busy >&2; sleep 60", 9),
        classifier.classify(Fault {
            in_doubt: true,
            ..fault.clone()
        })
    );
    assert_eq!(fault.class(), crate::delivery::Class::Temporary);
    let unread = hangs("echo busy >&2; sleep 60", 1 << 20);
    assert_eq!(unread, classifier.classify(fault));
}

#[test]
fn a_program_that_a_signal_ends_leaves_the_mail_in_doubt_when_it_has_all_of_it() {
    let ended = |script: &str| {
        let report = deliver(&shell(script), &message(&vec![b'x'; 1 << 20]));
        let fault = report.recipients[0].outcome.clone().unwrap_err();
        (fault.cause, fault.in_doubt)
    };
    let killed = || Cause::Program("it was killed by signal 9".into(), None);
    assert_eq!(ended("cat >/dev/null; kill -9 $$"), (killed(), true));
    assert_eq!(
        ended("head -c 10 >/dev/null; kill -9 $$"),
        (killed(), false)
    );
}

#[test]
fn a_list_that_no_command_line_holds_goes_to_several_runs() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    // The second run refuses.
    let script = format!(
        "cat >/dev/null; printf '%s\\n' \"$#\" >>{0}; for i in \"$@\"; do echo \"$i\"; done >>{0}; test -e {0}.2 && exit 67; test -e {0}.1 && >{0}.2; >{0}.1",
        runs.display()
    );
    let mut program = shell(&script);
    program.no_recipients = false;
    let list: Vec<String> = (0..9000)
        .map(|i| format!("recipient-{i}@long-name.example"))
        .collect();
    let mut message = message(b"x\r\n");
    message.envelope.recipients = list
        .iter()
        .map(|text| Address::parse(text).unwrap())
        .collect();
    let report = deliver(&program, &message);
    let told: Vec<&str> = report
        .recipients
        .iter()
        .map(|result| result.recipient.as_str())
        .collect();
    assert_eq!(told, list);
    let text = std::fs::read_to_string(&runs).unwrap();
    let (counts, given): (Vec<_>, Vec<_>) = text.lines().partition(|line| !line.contains('@'));
    assert_eq!(given, list);
    let counts: Vec<usize> = counts.iter().map(|count| count.parse().unwrap()).collect();
    assert!(
        counts.len() > 2 && counts.iter().sum::<usize>() == list.len(),
        "{counts:?}"
    );
    let refused = report
        .recipients
        .iter()
        .position(|result| result.outcome.is_err());
    assert_eq!(refused, Some(counts[0] + counts[1]));
}

#[test]
fn line_ends_are_found_across_pieces() {
    let wire = b"a\r\n\r\nb\rc\r\r\nd\r";
    for cut in 0..wire.len() {
        let mut lines = Unix::default();
        let mut out = lines.convert(&wire[..cut]).to_vec();
        out.extend(lines.convert(&wire[cut..]).to_vec());
        out.extend(lines.rest());
        assert_eq!(out, b"a\n\nb\rc\r\nd\r");
    }
}
