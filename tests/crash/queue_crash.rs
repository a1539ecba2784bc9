//! smail killed, and failed by the system, at every system call: what was promised is kept.
//!
//! Every scene is recorded once with strace, which gives the list of its system calls. Then, each
//! time in a fresh world, one of them is where the process is killed, or is made to fail. What
//! follows is what a user would do: `--queue-check`, and `--flush` with a server that works. The
//! short form, which `cargo test` runs, takes every call that touches the queue or the disk's
//! order, and some of the others; `SMAIL_TEST_CRASH=full` takes all.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::obstacle;
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::sink::{Options, Place, Sink};

const STRACE: &str = "/usr/bin/strace";
/// How many worlds are tried at the same time.
const WORKERS: usize = 4;
/// Of the calls that touch neither the queue nor a connection, the short form takes one in so many.
const STRIDE: usize = 12;
/// Who gets mail.
const PEOPLE: [&str; 3] = ["r1@x.example", "r2@x.example", "r3@x.example"];

/// A piece of work that is disturbed.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a scene, not the states of one machine"
)]
struct Scene {
    name: &'static str,
    /// What lies in the world before it; gives the words for smail.
    prepare: fn(&Stage) -> Vec<String>,
    /// The server answers from the start; else only for the recovery.
    up: bool,
    /// What the server says at RCPT, and what it says later.
    replies: &'static [(&'static str, &'static str, &'static str)],
    /// How often a promise reaches each of [`PEOPLE`].
    due: [usize; 3],
    /// The server takes the message along with its envelope.
    chunking: bool,
    /// The mail was promised before the scene began.
    promised: bool,
    /// The mail ends in `failed/` (or `corrupt/`) and not with everybody.
    kept: bool,
}

/// The world of a scene and its server.
struct Stage {
    sandbox: Sandbox,
    port: u16,
    sink: Option<Sink>,
    place: Option<Place>,
}

const SCENES: &[Scene] = &[
    Scene {
        name: "enqueue",
        prepare: |stage| stage.mail(&PEOPLE[..1], &[]),
        up: false,
        replies: &[],
        due: [1, 0, 0],
        chunking: false,
        promised: false,
        kept: false,
    },
    Scene {
        name: "send",
        prepare: |stage| stage.mail(&PEOPLE[..2], &[]),
        up: true,
        replies: &[],
        due: [1, 1, 0],
        chunking: false,
        promised: false,
        kept: false,
    },
    Scene {
        name: "send with a key",
        prepare: |stage| stage.mail(&PEOPLE[..1], &["--idempotency-key", "k"]),
        up: true,
        replies: &[],
        due: [1, 0, 0],
        chunking: false,
        promised: false,
        kept: false,
    },
    Scene {
        name: "send to three results",
        prepare: |stage| stage.mail(&PEOPLE, &[]),
        up: true,
        replies: &[
            ("r2@x.example", "450 4.2.0 later", "250 2.1.5 now"),
            ("r3@x.example", "550 5.1.1 no", "550 5.1.1 no"),
        ],
        due: [1, 1, 0],
        chunking: false,
        promised: false,
        kept: true,
    },
    Scene {
        name: "send at once",
        prepare: |stage| stage.mail(&PEOPLE[..2], &[]),
        up: true,
        replies: &[],
        due: [1, 1, 0],
        chunking: true,
        promised: false,
        kept: false,
    },
    Scene {
        name: "send at once to three results",
        prepare: |stage| stage.mail(&PEOPLE, &[]),
        up: true,
        replies: &[
            ("r2@x.example", "450 4.2.0 later", "250 2.1.5 now"),
            ("r3@x.example", "550 5.1.1 no", "550 5.1.1 no"),
        ],
        due: [1, 1, 0],
        chunking: true,
        promised: false,
        kept: true,
    },
    Scene {
        name: "refused",
        prepare: |stage| stage.mail(&PEOPLE[..1], &[]),
        up: true,
        replies: &[("r1@x.example", "550 5.1.1 no", "550 5.1.1 no")],
        due: [0, 0, 0],
        chunking: false,
        promised: false,
        kept: true,
    },
    Scene {
        name: "flush",
        prepare: |stage| {
            let mut words = vec!["--flush".to_owned()];
            for to in &PEOPLE[..2] {
                let outcome = stage.smail(&stage.mail(&[to], &[]));
                assert_eq!(outcome.status, 0, "{}", outcome.stderr);
            }
            words.extend(stage.sandbox.entries());
            words
        },
        up: true,
        replies: &[],
        due: [1, 1, 0],
        chunking: false,
        promised: true,
        kept: false,
    },
    Scene {
        name: "set aside",
        prepare: |stage| {
            // One was accepted, and then the journal was damaged: nobody may get it again.
            let sink = Options::new()
                .recipient(PEOPLE[1], "450 4.2.0 later")
                .start();
            let mut words = stage.mail(&PEOPLE[..2], &[]);
            words.extend(["-S".to_owned(), format!("smtp=127.0.0.1:{}", sink.port())]);
            let outcome = stage.smail(&words);
            assert_eq!(
                (outcome.status, sink.only_mail().to),
                (0, vec![PEOPLE[0].to_owned()]),
                "{}",
                outcome.stderr
            );
            let id = stage.sandbox.entries().remove(0);
            let path = stage.sandbox.queue_dir().join(format!("q/{id}.log"));
            let mut bytes = fs::read(&path).unwrap();
            bytes[12] ^= 1;
            fs::write(path, bytes).unwrap();
            vec![
                "-S".to_owned(),
                format!("smtp=127.0.0.1:{}", stage.port),
                "--flush".to_owned(),
                id,
            ]
        },
        up: true,
        replies: &[],
        due: [0, 0, 0],
        chunking: false,
        promised: true,
        kept: true,
    },
];

impl Stage {
    /// Makes the world, with the server up or still down. What `prepare` does, it does while the
    /// server is down.
    fn set(scene: &Scene) -> (Stage, Vec<String>) {
        let place = Place::reserve();
        let mut stage = Stage {
            sandbox: Sandbox::new(),
            port: place.port(),
            sink: None,
            place: Some(place),
        };
        let words = (scene.prepare)(&stage);
        if scene.up {
            stage.open(scene);
        }
        (stage, words)
    }

    /// Starts the server, with what it says first.
    fn open(&mut self, scene: &Scene) {
        let plain = Options::new();
        let plain = if scene.chunking {
            plain.extensions(&["PIPELINING", "8BITMIME", "CHUNKING"])
        } else {
            plain
        };
        let options = scene
            .replies
            .iter()
            .fold(plain, |options, row| options.recipient(row.0, row.1));
        self.sink = self.place.take().map(|place| options.start_at(place));
    }

    fn mail(&self, to: &[&str], more: &[&str]) -> Vec<String> {
        let smtp = format!("smtp=127.0.0.1:{}", self.port);
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
        words.into_iter().map(str::to_owned).collect()
    }

    fn smail(&self, words: &[String]) -> Outcome {
        self.sandbox
            .smail(words)
            .stdin("the words\n")
            .queued()
            .run()
    }

    /// Runs smail under strace.
    fn traced(&self, options: &[&str], words: &[String]) -> Outcome {
        let mut wrapper = vec![STRACE, "-f", "-qq"];
        wrapper.extend(options);
        self.sandbox
            .under(&wrapper, words)
            .stdin("the words\n")
            .queued()
            .run()
    }

    fn sink(&self) -> &Sink {
        self.sink.as_ref().unwrap()
    }

    /// Returns whether a journal holds a dot that has no answer yet for one of those it was for.
    fn in_doubt(&self) -> bool {
        self.sandbox.entries().iter().any(|id| {
            let mut open = BTreeSet::new();
            for line in self.sandbox.journal(id) {
                // Behind the sum; a line that was torn off did not happen.
                let json = line.split_once(' ').map_or("", |(_, json)| json);
                let Ok(event) = serde_json::from_str::<serde_json::Value>(json) else {
                    break;
                };
                let to: BTreeSet<u64> = event["to"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .flat_map(places)
                    .collect();
                match event["event"].as_str() {
                    Some("dot") => open.extend(to),
                    Some("accepted" | "refused" | "deferred" | "doubt") => {
                        open.retain(|place| !to.contains(place));
                    }
                    _ => {}
                }
            }
            !open.is_empty()
        })
    }
}

/// A place in a journal, or all from one to another.
fn places(entry: &serde_json::Value) -> std::ops::RangeInclusive<u64> {
    let place = |value: &serde_json::Value| value.as_u64().expect("a place");
    match entry.as_array().map(Vec::as_slice) {
        Some([first, last]) => place(first)..=place(last),
        _ => place(entry)..=place(entry),
    }
}

/// One system call of a scene.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    name: String,
    /// Counted from one, among the calls of this name in its thread: as strace counts.
    number: usize,
    /// It concerns the queue.
    queue: bool,
    /// It concerns the queue, a connection, or what is said.
    close: bool,
}

/// The system calls of a scene, in their order.
fn record(scene: &Scene) -> Vec<Point> {
    let (stage, words) = Stage::set(scene);
    let log = stage.sandbox.path("strace.log");
    stage.traced(&["-y", "-o", log.to_str().unwrap()], &words);
    let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    let dir = stage.sandbox.queue_dir().display().to_string();
    let (mut counts, mut seen, mut points) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        let Some((name, arguments)) = rest.split_once('(') else {
            continue;
        };
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') || name == "execve" {
            continue;
        }
        let count = counts
            .entry((thread.to_owned(), name.to_owned()))
            .or_insert(0);
        *count += 1;
        if seen.insert((name.to_owned(), *count)) {
            let queue = arguments.contains(&dir);
            let close = queue
                || ["TCP:[", "socket:["]
                    .iter()
                    .any(|word| arguments.contains(word))
                || (name == "write" && arguments.starts_with(['1', '2']))
                || name == "exit_group";
            points.push(Point {
                name: name.to_owned(),
                number: *count,
                queue,
                close,
            });
        }
    }
    assert!(
        points.iter().filter(|p| p.queue).count() > 10,
        "{}: nothing was recorded:\n{text}",
        scene.name
    );
    points
}

/// The points of a scene that this run takes.
fn chosen(points: Vec<Point>) -> Vec<Point> {
    if full() {
        return points;
    }
    // Asking a descriptor for its flags, as debug builds do before they close it, changes nothing
    // on disk.
    let matters = |point: &Point| {
        point.close && !["fcntl", "fstat", "statx", "lseek"].contains(&point.name.as_str())
    };
    points
        .into_iter()
        .enumerate()
        .filter(|(at, point)| matters(point) || at % STRIDE == 0)
        .map(|(_, p)| p)
        .collect()
}

fn full() -> bool {
    std::env::var("SMAIL_TEST_CRASH").is_ok_and(|value| value == "full")
}

/// How a point is disturbed.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Kill,
    /// The call fails with this error; `for_good` makes all later calls of the name fail too.
    Error {
        error: &'static str,
        for_good: bool,
    },
}

impl Blow {
    fn inject(self, point: &Point) -> String {
        let Point { name, number, .. } = point;
        match self {
            Blow::Kill => format!("inject={name}:signal=SIGKILL:when={number}"),
            Blow::Error { error, for_good } => {
                format!(
                    "inject={name}:error={error}:when={number}{}",
                    if for_good { "+" } else { "" }
                )
            }
        }
    }
}

/// Plays a scene with one blow, recovers as a user would, and gives what is wrong.
fn strike(scene: &Scene, point: &Point, blow: Blow) -> (Vec<String>, bool) {
    let (mut stage, words) = Stage::set(scene);
    let inject = blow.inject(point);
    let outcome = stage.traced(
        &[
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={}", point.name),
            "-e",
            &inject,
        ],
        &words,
    );
    let struck = matches!(blow, Blow::Error { .. }) || outcome.status == 137;
    if stage.sink.is_none() {
        stage.open(scene);
    }
    let (corrupt, mut wrong) = (scene.name == "set aside", Vec::new());
    // The server may still be about to take what the dead client sent.
    stage.sink().round_trips();
    let waits = |stage: &Stage| stage.sandbox.entries();
    let given_up = |stage: &Stage| {
        !stage.sandbox.queue_names("failed").is_empty()
            || !stage.sandbox.queue_names("corrupt").is_empty()
    };
    let (doubt, waiting, before) = (
        stage.in_doubt(),
        !waits(&stage).is_empty(),
        stage.sink().mails().len(),
    );
    let said = outcome.stderr.contains("queued as") || outcome.stderr.contains("in the queue as");
    let promised = scene.promised || waiting || said || outcome.status == 0 || given_up(&stage);
    if let (Blow::Error { .. }, false) = (blow, scene.promised) {
        judge_error(scene, point, &outcome, waiting, before, &mut wrong);
        let litter = || {
            stage
                .sandbox
                .queue_names("q")
                .into_iter()
                .filter(|name| name.starts_with("tmp."))
        };
        if !point.name.starts_with("unlink") {
            wrong.extend(litter().map(|name| format!("{name} was left")));
        }
    }

    for row in scene.replies {
        stage.sink().answer(row.0, row.2);
    }
    let check = stage.smail(&["--queue-check".to_owned()]);
    let mut flush = vec!["-S".to_owned(), "tls=none".to_owned(), "--flush".to_owned()];
    flush.extend(waits(&stage));
    if corrupt {
        // Its own server is gone; were it sent to anybody, this one would tell.
        flush.extend(["-S".to_owned(), format!("smtp=127.0.0.1:{}", stage.port)]);
    }
    let flushed = stage.smail(&flush);
    if words.iter().any(|word| word == "--idempotency-key") && struck {
        // Whoever saw it die starts it again; with the key that is safe. And now somebody was told
        // that it is sent.
        let again = stage.smail(&words);
        if again.status != 0 {
            wrong.push(format!(
                "the second run with the key ended with {}: {}",
                again.status, again.stderr
            ));
        }
    }
    let promised = promised || words.iter().any(|word| word == "--idempotency-key");
    let second = stage.smail(&["--queue-check".to_owned()]);
    if !corrupt && (check.status != 0 || second.status != 0 || !second.stderr.is_empty()) {
        wrong.push(format!(
            "--queue-check: {} {}; then {} {}",
            check.status, check.stderr, second.status, second.stderr
        ));
    }
    let left = stage.sandbox.queue_names("q");
    if !left.is_empty() {
        wrong.push(format!(
            "left in the queue: {left:?} (flush: {} {})",
            flushed.status, flushed.stderr
        ));
    }
    if promised && scene.kept && !given_up(&stage) {
        wrong.push("it was refused for somebody and is not kept".to_owned());
    }
    judge_arrivals(scene, stage.sink(), promised, doubt, &mut wrong);
    if !wrong.is_empty() {
        wrong.insert(
            0,
            format!(
                "{}: {inject}: exit {} {:?}",
                scene.name, outcome.status, outcome.stderr
            ),
        );
    }
    (wrong, struck)
}

/// Without a mail that was promised before: 0 is a promise, and anything else leaves the mail in
/// the caller's hands only.
fn judge_error(
    scene: &Scene,
    point: &Point,
    outcome: &Outcome,
    waiting: bool,
    arrived: usize,
    wrong: &mut Vec<String>,
) {
    let status = outcome.status;
    let refused =
        [67, 69].contains(&status) && scene.replies.iter().any(|row| row.1.starts_with('5'));
    if status == 0 || refused {
        return;
    }
    if ![73, 74, 75].contains(&status) {
        wrong.push(format!("status {status}"));
    }
    if waiting && !point.name.starts_with("unlink") {
        wrong.push(format!("status {status}, and the mail waits in the queue"));
    }
    if arrived > 0 {
        wrong.push(format!("status {status}, and the mail was accepted"));
    }
}

fn judge_arrivals(
    scene: &Scene,
    sink: &Sink,
    promised: bool,
    doubt: bool,
    wrong: &mut Vec<String>,
) {
    let mails = sink.mails();
    for (who, due) in PEOPLE.iter().zip(scene.due) {
        let got: Vec<_> = mails
            .iter()
            .filter(|mail| mail.to.iter().any(|to| to == who))
            .map(crate::support::sink::Mail::text)
            .collect();
        let least = if promised { due } else { 0 };
        let most = if doubt { 2 * due } else { due };
        if got.len() < least || got.len() > most {
            wrong.push(format!(
                "{who} got it {} times, promised: {promised}, in doubt: {doubt}",
                got.len()
            ));
        }
        if got.iter().any(|text| *text != got[0]) {
            wrong.push(format!("{who} got two different mails"));
        }
    }
    wrong.extend(
        mails
            .iter()
            .filter(|mail| !mail.text().ends_with("\r\nthe words\r\n"))
            .map(|mail| format!("a mail was not whole: {}", mail.text())),
    );
}

/// Strikes at every point, several at a time, and fails with everything that went wrong.
fn sweep(scene: &Scene, blows: &[(Point, Blow)]) {
    let (next, struck, wrong) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        Mutex::new(Vec::new()),
    );
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((point, blow)) = blows.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let (found, hit) = strike(scene, point, *blow);
                    struck.fetch_add(usize::from(hit && point.queue), Ordering::SeqCst);
                    if !found.is_empty() {
                        wrong.lock().unwrap().push(found.join("\n    "));
                    }
                }
            });
        }
    });
    let (struck, wrong) = (struck.into_inner(), wrong.into_inner().unwrap());
    let aimed = blows.iter().filter(|(point, _)| point.queue).count();
    eprintln!(
        "{}: {} blows; {struck} of {aimed} at the queue struck",
        scene.name,
        blows.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {} blows broke a promise:\n{}",
        wrong.len(),
        blows.len(),
        wrong.join("\n")
    );
    // A sweep that misses its marks would prove nothing. How often a connection is read differs
    // from run to run; what is done to the queue hardly does.
    assert!(
        struck * 10 >= aimed * 9,
        "{}: only {struck} of {aimed} blows struck",
        scene.name
    );
}

fn kills(name: &str) {
    if obstacle::stops(
        "kills at every system call",
        obstacle::without_program(STRACE),
    ) {
        return;
    }
    let scene = SCENES.iter().find(|scene| scene.name == name).unwrap();
    let blows: Vec<_> = chosen(record(scene))
        .into_iter()
        .map(|point| (point, Blow::Kill))
        .collect();
    sweep(scene, &blows);
}

/// What a disk can refuse.
const REFUSABLE: [&str; 12] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "openat",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "ftruncate",
];

fn errors(name: &str) {
    if obstacle::stops(
        "errors at every system call",
        obstacle::without_program(STRACE),
    ) {
        return;
    }
    let scene = SCENES.iter().find(|scene| scene.name == name).unwrap();
    let points = record(scene)
        .into_iter()
        .filter(|point| point.queue && REFUSABLE.contains(&point.name.as_str()));
    let mut blows = Vec::new();
    for point in points {
        for error in ["EIO", "ENOSPC"] {
            for for_good in [false, true] {
                // A file that cannot be opened any more may be one of the system's.
                if !(for_good && point.name == "openat") {
                    blows.push((point.clone(), Blow::Error { error, for_good }));
                }
            }
        }
    }
    sweep(scene, &blows);
}

#[test]
fn a_kill_while_a_mail_is_stored_loses_nothing_that_was_promised() {
    kills("enqueue");
}

#[test]
fn a_kill_while_a_mail_is_sent_neither_loses_nor_doubles_it() {
    kills("send");
}

#[test]
fn a_kill_while_a_mail_leaves_with_its_envelope_neither_loses_nor_doubles_it() {
    kills("send at once");
}

#[test]
fn a_kill_amid_three_results_of_a_mail_with_its_envelope_keeps_them_apart() {
    kills("send at once to three results");
}

#[test]
fn a_kill_and_a_second_run_with_the_same_key_send_once() {
    kills("send with a key");
}

#[test]
fn a_kill_amid_three_results_keeps_them_apart() {
    kills("send to three results");
}

#[test]
fn a_kill_while_a_mail_is_given_up_keeps_it() {
    kills("refused");
}

#[test]
fn a_kill_while_the_queue_is_flushed_neither_loses_nor_doubles_a_mail() {
    kills("flush");
}

#[test]
fn a_kill_while_damage_is_set_aside_sends_nothing_twice() {
    kills("set aside");
}

#[test]
fn a_disk_that_fails_while_a_mail_is_stored_is_no_promise() {
    errors("enqueue");
}

#[test]
fn a_disk_that_fails_while_a_mail_is_sent_is_told_truly() {
    errors("send");
}

#[test]
fn a_disk_that_fails_while_a_mail_leaves_with_its_envelope_is_told_truly() {
    errors("send at once");
}

#[test]
fn a_disk_that_fails_amid_three_results_is_told_truly() {
    errors("send to three results");
}

#[test]
fn a_disk_that_fails_during_a_flush_loses_nothing() {
    errors("flush");
}
