//! Several at the same queue: who waits for whom, in what order, and what ends a wait. The test
//! itself is one of them: it has the locks that other processes would have.
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::obstacle;
use crate::support::sandbox::{Run, Running, Sandbox};
use crate::support::server::Server;
use crate::support::sink::{Options, Place, Sink};
use rustix::process::Signal;

const SLOTS: usize = 20;

fn mail<'w>(sandbox: &'w Sandbox, port: u16, to: &str) -> Run<'w> {
    let smtp = format!("smtp=127.0.0.1:{port}");
    let words = [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-S",
        "queue-drain=0",
        "-r",
        "a@a.example",
        "-s",
        "subj",
        to,
    ];
    sandbox.smail(&words).stdin("the words\n").queued()
}

/// Queues a mail for a server that is down, and gives its id.
fn wait(sandbox: &Sandbox, place: &Place) -> String {
    let before = sandbox.entries();
    assert_eq!(mail(sandbox, place.port(), "r1@x.example").run().status, 0);
    sandbox
        .entries()
        .into_iter()
        .find(|id| !before.contains(id))
        .unwrap()
}

fn message(sandbox: &Sandbox, id: &str) -> File {
    File::open(sandbox.queue_dir().join(format!("q/{id}.msg"))).unwrap()
}

/// Takes places among those who send.
fn take_slots(sandbox: &Sandbox) -> Vec<File> {
    let slot = |number| {
        let path = sandbox.queue_dir().join(format!("slot.{number}"));
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .unwrap();
        file.try_lock().unwrap();
        file
    };
    (0..SLOTS).map(slot).collect()
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many processes the kernel lets wait for a lock on this file.
fn queued_for(path: &Path) -> usize {
    let end = format!(":{} 0 EOF", fs::metadata(path).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks
        .lines()
        .filter(|line| line.contains("-> FLOCK") && line.ends_with(&end))
        .count()
}

/// Starts a mail, and waits until it is the head of those who wait, or one of them.
fn in_line<'w>(sandbox: &'w Sandbox, run: Run<'w>, before: usize) -> Running {
    let running = run.start();
    let head = sandbox.queue_dir().join("keys");
    until("it does not wait", || {
        if before > 0 {
            return queued_for(&head) == before;
        }
        // Only the head's lock keeps a shared one away.
        File::open(&head).unwrap().try_lock_shared().is_err()
    });
    running
}

/// A world whose queue is there, with all places among those who send taken.
fn crowded(sink: &Sink) -> (Sandbox, Vec<File>) {
    let sandbox = Sandbox::new();
    assert_eq!(mail(&sandbox, sink.port(), "r0@x.example").run().status, 0);
    let slots = take_slots(&sandbox);
    (sandbox, slots)
}

#[test]
fn those_who_wait_for_a_place_are_served_in_the_order_of_coming() {
    let sink = Options::new().start();
    let (sandbox, mut slots) = crowded(&sink);
    let people: Vec<_> = (1..=5)
        .map(|number| format!("r{number}@x.example"))
        .collect();
    let start =
        |(before, to): (usize, &String)| in_line(&sandbox, mail(&sandbox, sink.port(), to), before);
    let running: Vec<_> = people.iter().enumerate().map(start).collect();
    assert_eq!(sink.mails().len(), 1);
    // One place, which they hand on.
    drop(slots.remove(7));
    for one in running {
        let outcome = one.finish();
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    }
    let to: Vec<_> = sink
        .mails()
        .into_iter()
        .flat_map(|mail| mail.to)
        .skip(1)
        .collect();
    assert_eq!(to, people);
}

#[test]
fn a_place_of_a_process_that_was_killed_is_free() {
    let sink = Options::new().start();
    let (sandbox, mut slots) = crowded(&sink);
    let server = Server::play(
        "hang",
        "S: 220 mx.test\nC: EHLO *\nS: 250 mx.test\nC: MAIL FROM:*\n-- hang\n",
    );
    drop(slots.pop());
    let sends = mail(&sandbox, server.port(), "r1@x.example").start();
    server.wait_for("MAIL FROM:*");
    let waits = in_line(&sandbox, mail(&sandbox, sink.port(), "r2@x.example"), 0);
    sends.signal(Signal::KILL);
    let outcome = waits.finish();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(sink.mails()[1].to, ["r2@x.example"]);
    drop(sends);
    server.finish();
}

#[test]
fn a_signal_ends_the_wait_for_a_place() {
    for (signal, status, kept) in [(Signal::INT, 130, 0), (Signal::TERM, 143, 1)] {
        for before in [0, 1] {
            let sink = Options::new().start();
            let (sandbox, _slots) = crowded(&sink);
            let first = (before > 0)
                .then(|| in_line(&sandbox, mail(&sandbox, sink.port(), "r1@x.example"), 0));
            let running = in_line(
                &sandbox,
                mail(&sandbox, sink.port(), "r2@x.example"),
                before,
            );
            running.signal(signal);
            let outcome = running.finish();
            assert_eq!(outcome.status, status, "{}", outcome.stderr);
            assert!(
                outcome.elapsed < Duration::from_secs(10),
                "{:?}",
                outcome.elapsed
            );
            drop(first);
            assert_eq!(
                (sandbox.entries().len(), sink.sessions()),
                (kept + before, 1),
                "{}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn waiting_for_a_place_is_no_work() {
    if obstacle::stops(
        "the calls of a wait",
        obstacle::without_program("/usr/bin/strace"),
    ) {
        return;
    }
    let sink = Options::new().start();
    let (sandbox, slots) = crowded(&sink);
    let log = sandbox.path("log");
    let smtp = format!("smtp=127.0.0.1:{}", sink.port());
    let words = [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "a@a.example",
        "-s",
        "subj",
        "r1@x.example",
    ];
    let wrapper = [
        "/usr/bin/strace",
        "-f",
        "-qq",
        "-e",
        "trace=flock,poll,ppoll,read",
        "-o",
        log.to_str().unwrap(),
    ];
    let running = in_line(
        &sandbox,
        sandbox
            .under(&wrapper, &words)
            .stdin("the words\n")
            .queued(),
        0,
    );
    // What is looked at is that nothing happens, which has no event.
    std::thread::sleep(Duration::from_secs(2));
    drop(slots);
    let outcome = running.finish();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let calls = fs::read_to_string(&log).unwrap().lines().count();
    // Looking every 5 ms would be some thousands.
    assert!(calls < 400, "{calls} calls");
}

#[test]
fn looking_takes_no_lock_that_shuts_anybody_out() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let id = wait(&sandbox, &place);
    let looker = message(&sandbox, &id);
    looker.lock_shared().unwrap();
    let list = sandbox.smail(&["--queue", "--json"]).queued().run();
    assert!(
        list.stdout.contains("\"state\":\"waiting\""),
        "{}",
        list.stdout
    );
    // A run that somebody looks at waits for the end of the look, which is soon.
    let sink = Options::new().start_at(place);
    let flush = sandbox.smail(&["--flush", &id]).queued().start();
    until("the flush does not wait", || {
        queued_for(&sandbox.queue_dir().join(format!("q/{id}.msg"))) == 1
    });
    drop(looker);
    let outcome = flush.finish();
    assert_eq!(
        (outcome.status, outcome.stderr.as_str(), sink.mails().len()),
        (0, "", 1)
    );
}

#[test]
fn a_mail_that_was_named_and_is_busy_is_waited_for() {
    for words in [&["--flush"][..], &["--as", "sendmail", "-M"]] {
        let sandbox = Sandbox::new();
        let place = Place::reserve();
        let id = wait(&sandbox, &place);
        let sender = message(&sandbox, &id);
        sender.lock().unwrap();
        let sink = Options::new().start_at(place);
        let words: Vec<_> = words.iter().copied().chain([id.as_str()]).collect();
        let flush = sandbox.smail(&words).queued().start();
        until("the flush does not wait", || {
            queued_for(&sandbox.queue_dir().join(format!("q/{id}.msg"))) == 1
        });
        assert_eq!(sink.mails().len(), 0);
        drop(sender);
        let outcome = flush.finish();
        assert_eq!(
            (outcome.status, outcome.stderr.as_str(), sink.mails().len()),
            (0, "", 1),
            "{words:?}"
        );
    }
}

#[test]
fn a_mail_that_was_named_and_stays_busy_is_told() {
    for words in [
        &["--flush"][..],
        &["--as", "sendmail", "-M"],
        &["--as", "sendmail", "-v", "-M"],
    ] {
        let sandbox = Sandbox::new();
        let id = wait(&sandbox, &Place::reserve());
        let sender = message(&sandbox, &id);
        sender.lock().unwrap();
        let words: Vec<_> = words.iter().copied().chain([id.as_str()]).collect();
        let flush = sandbox.smail(&words).queued().start();
        until("the flush does not wait", || {
            queued_for(&sandbox.queue_dir().join(format!("q/{id}.msg"))) == 1
        });
        flush.signal(Signal::TERM);
        let outcome = flush.finish();
        let said = format!("smail: message {id} is being sent by another process\n");
        assert_eq!((outcome.status, outcome.stderr), (75, said), "{words:?}");
    }
}

#[test]
fn a_mail_that_another_process_gave_up_meanwhile_is_told() {
    let sandbox = Sandbox::new();
    let id = wait(&sandbox, &Place::reserve());
    let sender = message(&sandbox, &id);
    sender.lock().unwrap();
    let flush = sandbox.smail(&["--flush", &id]).queued().start();
    until("the flush does not wait", || {
        queued_for(&sandbox.queue_dir().join(format!("q/{id}.msg"))) == 1
    });
    for end in ["log", "msg"] {
        let name = |room: &str| sandbox.queue_dir().join(format!("{room}/{id}.{end}"));
        fs::rename(name("q"), name("failed")).unwrap();
    }
    drop(sender);
    let outcome = flush.finish();
    assert_eq!(outcome.status, 69, "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .starts_with(&format!("smail: message {id} was given up: ")),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_held_mail_is_sent_by_no_run() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let (held, _free) = (wait(&sandbox, &place), wait(&sandbox, &place));
    assert_eq!(sandbox.smail(&["--hold", &held]).queued().run().status, 0);
    let sink = Options::new().start_at(place);
    let told = format!("smail: message {held} is held; `smail --release {held}` releases it\n");
    let (by_name, by_part) = (format!("-qI{held}"), format!("-qI{}", &held[..12]));
    let rows: &[(&[&str], i32, &str)] = &[
        (&["--flush"], 0, ""),
        (&["--as", "sendmail", "-q"], 0, ""),
        (&["--as", "sendmail", "-qRx.example"], 0, ""),
        (&["--as", "sendmail", "-qSa.example"], 0, ""),
        (&["--flush", &held], 75, &told),
        (&["--as", "sendmail", &by_name], 75, &told),
        (&["--as", "sendmail", &by_part], 75, &told),
        (&["--as", "sendmail", &by_name, "-qRx.example"], 75, &told),
        (&["--as", "sendmail", "-M", &held], 75, &told),
    ];
    for (words, status, said) in rows {
        let outcome = sandbox.smail(words).queued().run();
        assert_eq!(
            (outcome.status, outcome.stderr.as_str()),
            (*status, *said),
            "{words:?}"
        );
        assert_eq!(sandbox.entries()[0], held, "{words:?}");
    }
    assert_eq!(mail(&sandbox, sink.port(), "r2@x.example").run().status, 0);
    assert_eq!(
        (sink.mails().len(), sandbox.entries()),
        (2, vec![held.clone()])
    );
    assert_eq!(
        sandbox.smail(&["--release", &held]).queued().run().status,
        0
    );
    assert_eq!(
        sandbox
            .as_name("sendmail", &[by_name])
            .queued()
            .run()
            .status,
        0
    );
    assert_eq!((sink.mails().len(), sandbox.entries()), (3, vec![]));
}
