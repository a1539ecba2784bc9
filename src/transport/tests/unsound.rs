//! What no parser lets exist, fed to the wire directly: nothing of it leaves, and it is called a
//! mistake of smail.
use std::path::PathBuf;

use super::*;
use crate::delivery::{Cause, Stage};
use crate::route::Program;
use crate::transport::rehearsal;

const CHUNKING: &str = "250-mx.test\r\n250-CHUNKING\r\n250-DSN\r\n250 PIPELINING\r\n";
/// Local parts that would be more than one line.
const ODD: [&str; 4] = [
    "\"a\\\r\\\nDATA\\\r\\\n\"",
    "a>\r\nRCPT TO:<e@x.test",
    "a\nb",
    "a\0b",
];

/// Envelopes of which one address is odd: the sender, the only recipient, the second one.
fn envelopes(local: &str) -> [Envelope; 3] {
    let (odd, good) = (Address::of(local, "b.test"), Address::of("good", "b.test"));
    let envelope = |sender: &Address, recipients: &[&Address]| Envelope {
        sender: Some(sender.clone()),
        recipients: recipients.iter().map(|&address| address.clone()).collect(),
        ..Envelope::default()
    };
    [
        envelope(&odd, &[&good]),
        envelope(&good, &[&odd]),
        envelope(&good, &[&good, &odd]),
    ]
}

fn messages() -> Vec<Message> {
    let message =
        |envelope| Message::from_wire("<1@a.test>".into(), envelope, BODY.as_bytes().to_vec());
    ODD.iter()
        .flat_map(|local| envelopes(local))
        .map(message)
        .collect()
}

fn is_mistake(fault: &Fault) {
    assert_eq!(
        (fault.stage, fault.in_doubt),
        (Stage::Prepare, false),
        "{fault:?}"
    );
    assert!(matches!(fault.cause, Cause::Unsound(_)), "{fault:?}");
}

#[test]
fn nothing_of_a_group_with_such_an_address_leaves() {
    for message in messages() {
        for (hello, lmtp) in [("EHLO", false), ("LHLO", true)] {
            let hello = format!("{hello} client.test\r\n");
            let server = serve(&[&[HI, (&hello, CHUNKING)]]);
            let report = deliver(
                Smtp {
                    lmtp,
                    ..server.route()
                },
                &message,
            );
            server.done();
            for result in &report.recipients {
                is_mistake(result.outcome.as_ref().unwrap_err());
            }
        }
    }
}

/// One command at a time, those before it have left; then the connection ends, and no text was
/// sent.
#[test]
fn without_pipelining_the_command_itself_never_leaves() {
    let odd = &messages()[2];
    let steps = [
        HI,
        (EHLO, "250 mx.test\r\n"),
        ("MAIL FROM:<good@b.test>\r\n", "250 ok\r\n"),
        ("RCPT TO:<good@b.test>\r\n", "250 ok\r\n"),
    ];
    let server = serve(&[&steps]);
    let report = deliver(server.route(), odd);
    server.done();
    report
        .recipients
        .iter()
        .for_each(|result| is_mistake(result.outcome.as_ref().unwrap_err()));
}

#[test]
fn a_rehearsal_asks_about_no_such_address() {
    let server = serve(&[&[HI, (EHLO, CHUNKING)]]);
    let (_, faults) = rehearsal::rehearse(
        &Route::Smtp(Box::new(server.route())),
        &messages()[0],
        &RunContext::default(),
        |_: Event<'_>| (),
    );
    server.done();
    assert_eq!(faults.len(), 1);
    is_mistake(&faults[0]);
}

#[test]
fn no_program_is_started_with_such_an_argument() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("started");
    let program = Program {
        path: PathBuf::from("/usr/bin/tee"),
        argv0: None,
        arguments: vec![file.display().to_string()],
        no_default_arguments: true,
        no_recipients: true,
        sender: false,
        provider: None,
        verbose: false,
        timeouts: crate::route::Timeouts::default(),
    };
    for message in messages() {
        let report = open(&Route::Program(program.clone()), &RunContext::default()).deliver(
            &message,
            ConnectionReuse::Last,
            &mut (),
        );
        report
            .recipients
            .iter()
            .for_each(|result| is_mistake(result.outcome.as_ref().unwrap_err()));
        assert!(!file.exists());
    }
}
