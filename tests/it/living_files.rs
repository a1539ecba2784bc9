//! Attachments that are written while they are sent, as logs are: what was there when they were
//! opened goes.
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::sandbox::Sandbox;
use crate::support::sink::{Mail, Options, Place};
use mail_parser::{MessageParser, MimeHeaders};

/// A run that has opened a file and waits for its text.
fn begun(sandbox: &Sandbox, port: u16, file: &Path, queued: bool) -> Child {
    let smtp = format!("smtp=127.0.0.1:{port}");
    let run = sandbox.smail(&[
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "me@a.example",
        "-s",
        "s",
        "-a",
        file.to_str().unwrap(),
    ]);
    let run = if queued { run.queued() } else { run };
    let mut command = run.arg("you@b.example").into_command();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let dir = format!("/proc/{}/fd", child.id());
    let start = Instant::now();
    let is_open = || {
        fs::read_dir(&dir)
            .unwrap()
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == file))
    };
    while !is_open() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "the file was never opened"
        );
        std::thread::yield_now();
    }
    child
}

fn ended(mut child: Child) -> Output {
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"see the log\n")
        .unwrap();
    child.wait_with_output().unwrap()
}

fn attached(mail: &Mail) -> Vec<u8> {
    let parsed = MessageParser::default().parse(&mail.data).unwrap();
    let part = parsed.attachment(0).unwrap();
    assert_eq!(part.attachment_name(), Some("app.log"));
    part.contents().to_vec()
}

/// A log of so many lines, small enough to be looked at whole and larger than that.
const LINES: [usize; 2] = [10, 20_000];

fn log(lines: usize) -> String {
    (0..lines)
        .map(|n| format!("line {n} of the log"))
        .collect::<Vec<_>>()
        .join("\n")
        + "\n"
}

#[test]
fn of_a_log_that_grows_what_was_there_is_sent() {
    for (lines, queued) in LINES
        .into_iter()
        .flat_map(|lines| [(lines, false), (lines, true)])
    {
        let (sandbox, sink) = (Sandbox::new(), Options::new().start());
        let file = sandbox.write("app.log", log(lines));
        let child = begun(&sandbox, sink.port(), &file, queued);
        fs::OpenOptions::new()
            .append(true)
            .open(&file)
            .unwrap()
            .write_all(b"and one more\n")
            .unwrap();
        let output = ended(child);
        assert_eq!(
            (output.status.code(), output.stderr),
            (Some(0), Vec::new()),
            "{lines} {queued}"
        );
        let sent = attached(&sink.only_mail());
        assert!(
            String::from_utf8_lossy(&sent).replace("\r\n", "\n") == log(lines),
            "{lines} {queued}"
        );
    }
}

#[test]
fn a_log_that_waits_in_the_queue_is_as_it_was() {
    let (sandbox, place) = (Sandbox::new(), Place::reserve());
    let file = sandbox.write("app.log", log(20_000));
    let output = ended(begun(&sandbox, place.port(), &file, true));
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::write(&file, "rotated\n").unwrap();
    let sink = Options::new().start_at(place);
    let flushed = sandbox
        .smail(&["--flush"])
        .queued()
        .args_of(
            &sandbox
                .entries()
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        )
        .run();
    assert_eq!(flushed.status, 0, "{}", flushed.stderr);
    assert!(attached(&sink.only_mail()) == log(20_000).as_bytes());
}

#[test]
fn a_log_that_is_cut_says_so_in_its_place() {
    for (lines, queued) in LINES
        .into_iter()
        .flat_map(|lines| [(lines, false), (lines, true)])
    {
        let (sandbox, sink) = (Sandbox::new(), Options::new().start());
        let file = sandbox.write("app.log", log(lines));
        let length = log(lines).len();
        let child = begun(&sandbox, sink.port(), &file, queued);
        fs::OpenOptions::new()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(14)
            .unwrap();
        let output = ended(child);
        let told = format!(
            "smail: `{}` had {length} bytes when it was opened and 14 when it was read; the rest was padded\n",
            file.display()
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), told);
        assert_eq!(output.status.code(), Some(0));
        let sent = attached(&sink.only_mail());
        assert_eq!(sent.len(), length);
        let words = format!(
            "line 0 of the \n[smail: this file had {length} bytes when it was opened and 14 when it was read]\n"
        );
        assert!(
            sent.starts_with(words.as_bytes()),
            "{}",
            sent[..100].escape_ascii()
        );
        assert!(sent[words.len()..].iter().all(|b| *b == b'\n'));
    }
}

#[test]
fn a_file_of_the_kernel_that_says_more_than_it_holds_is_sent_as_it_is() {
    let known = [
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/class/net/lo/mtu",
        "/sys/devices/system/cpu/online",
    ];
    let Some(file) = known
        .into_iter()
        .find(|file| fs::metadata(file).is_ok_and(|meta| meta.len() > 1))
    else {
        return;
    };
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let smtp = format!("smtp=127.0.0.1:{}", sink.port());
    let words = [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "me@a.example",
        "-s",
        "s",
        "-a",
        file,
        "you@b.example",
    ];
    let outcome = sandbox.smail(&words).run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let mail = sink.only_mail();
    let parsed = MessageParser::default().parse(&mail.data).unwrap();
    let sent = String::from_utf8_lossy(parsed.attachment(0).unwrap().contents())
        .trim_end()
        .to_owned();
    assert_eq!(sent, fs::read_to_string(file).unwrap().trim_end());
}
