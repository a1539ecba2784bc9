//! Disks that are full, read-only, or lose their power: exit status 0 stays a promise, and nothing
//! half-written stays.
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::disk::{Disk, Image};
use crate::support::obstacle;
use crate::support::sandbox::{Outcome, Run, Sandbox, entries_in, names_in};
use crate::support::server::Server;
use crate::support::sink::{Mail, Options, Place, Sink};

/// A world whose queue lies on a disk of its own.
struct Stage {
    sandbox: Sandbox,
    disk: Disk,
}

impl Stage {
    fn on(words: &[&str]) -> Stage {
        let sandbox = Sandbox::new();
        // Below the home directory there is no second place for the queue.
        fs::remove_dir_all(sandbox.path("home/.local")).unwrap();
        sandbox.write("home/.local", "");
        let disk = Disk::mount(&sandbox.path("disk"), words);
        Stage { sandbox, disk }
    }

    fn run(&self, disk: &Disk, words: &[&str]) -> Run<'_> {
        self.under(disk, &[], words)
    }

    fn under(&self, disk: &Disk, wrapper: &[&str], words: &[&str]) -> Run<'_> {
        let mut all = disk.enter();
        all.extend(wrapper.iter().map(ToString::to_string));
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        self.sandbox
            .under(&all, words)
            .env("XDG_STATE_HOME", self.sandbox.path("disk"))
            .queued()
    }

    fn mail(&self, port: u16, body: &str) -> Run<'_> {
        let words = words(port, &["r1@x.example"]);
        self.run(
            &self.disk,
            &words.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .stdin(body)
    }

    fn smail(&self, words: &[&str]) -> Outcome {
        self.run(&self.disk, words).run()
    }

    fn queue(&self) -> PathBuf {
        self.disk.inside().join("smail")
    }

    fn entries(&self) -> Vec<String> {
        entries_in(&self.queue())
    }

    fn names(&self) -> Vec<String> {
        names_in(&self.queue().join("q"))
    }

    fn flush(&self) -> Outcome {
        let ids = self.entries();
        let mut words = vec!["--flush"];
        words.extend(ids.iter().map(String::as_str));
        self.smail(&words)
    }
}

fn words(port: u16, to: &[&str]) -> Vec<String> {
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
    words.extend(to);
    words.into_iter().map(str::to_owned).collect()
}

fn small() -> String {
    "the words\n".to_owned()
}

fn large() -> String {
    "a line of a mail that does not fit on this disk\n".repeat(5000)
}

/// Not stored, and not sent: the caller knows, and nothing is left.
fn not_taken(outcome: &Outcome, left: &[String]) {
    assert!(
        [73, 74, 75].contains(&outcome.status),
        "{}: {}",
        outcome.status,
        outcome.stderr
    );
    assert_eq!(left, [""; 0], "{}", outcome.stderr);
}

#[test]
fn a_mail_that_does_not_fit_goes_at_once_or_not_at_all() {
    if obstacle::stops("a full disk", obstacle::without_root()) {
        return;
    }
    for size in ["size=64k", "size=128k"] {
        let stage = Stage::on(&["-t", "tmpfs", "-o", size, "none"]);
        not_taken(
            &stage.mail(Place::reserve().port(), &large()).run(),
            &stage.names(),
        );
        let sink = Options::new().start();
        let sent = stage.mail(sink.port(), &large()).run();
        assert_eq!(sent.status, 0, "{size}: {}", sent.stderr);
        assert!(sink.only_mail().data.len() > 200_000);
        assert_eq!(stage.names(), [""; 0]);
    }
}

#[test]
fn a_full_disk_still_lets_the_queue_drain() {
    if obstacle::stops("a full disk", obstacle::without_root()) {
        return;
    }
    let stage = Stage::on(&["-t", "tmpfs", "-o", "size=256k", "none"]);
    let place = Place::reserve();
    let mut taken = 0;
    loop {
        let outcome = stage.mail(place.port(), &small()).run();
        if outcome.status != 0 {
            assert!(
                [73, 74, 75].contains(&outcome.status),
                "{}: {}",
                outcome.status,
                outcome.stderr
            );
            break;
        }
        taken += 1;
        assert_eq!(stage.entries().len(), taken, "{}", outcome.stderr);
        assert!(taken < 200, "the disk is never full");
    }
    assert!(taken > 5, "only {taken} mails fitted");
    // Whatever room is left goes too.
    let _ = fs::write(stage.disk.inside().join("filler"), vec![0; 256 << 10]);
    let sink = Options::new().start_at(place);
    let flush = stage.flush();
    assert_eq!(
        (flush.status, stage.names()),
        (0, vec![]),
        "{}",
        flush.stderr
    );
    assert_eq!(sink.mails().len(), taken);
}

#[test]
fn a_disk_without_inodes_makes_no_promise() {
    if obstacle::stops("a disk without inodes", obstacle::without_root()) {
        return;
    }
    for inodes in 2..14 {
        let stage = Stage::on(&[
            "-t",
            "tmpfs",
            "-o",
            &format!("size=1m,nr_inodes={inodes}"),
            "none",
        ]);
        let place = Place::reserve();
        let outcome = stage.mail(place.port(), &small()).run();
        let sink = Options::new().start_at(place);
        if outcome.status != 0 {
            not_taken(&outcome, &stage.names());
            continue;
        }
        assert_eq!(stage.entries().len(), 1, "{inodes}: {}", outcome.stderr);
        // The disk may have no room for a journal; once it has, the mail goes.
        let flush = stage
            .run(&stage.disk, &["--flush", &stage.entries()[0]])
            .run();
        if flush.status != 0 {
            assert_eq!(
                (sink.mails().len(), stage.entries().len()),
                (0, 1),
                "{inodes}: {}",
                flush.stderr
            );
        } else {
            assert_eq!(
                (sink.mails().len(), stage.entries().len()),
                (1, 0),
                "{inodes}: {}",
                flush.stderr
            );
        }
    }
}

/// Fills the disk with empty files, but for so many; gives how many there are.
fn fill(stage: &Stage, but: usize) -> usize {
    let name = |number: usize| stage.disk.inside().join(format!("filler.{number}"));
    let made = (0..100_000)
        .take_while(|number| fs::File::create(name(*number)).is_ok())
        .count();
    assert!(but < made && made < 100_000, "{made}");
    (made - but..made).for_each(|number| fs::remove_file(name(number)).unwrap());
    made - but
}

#[test]
fn a_disk_without_inodes_still_lets_the_queue_drain() {
    if obstacle::stops("a disk without inodes", obstacle::without_root()) {
        return;
    }
    for words in [&["--flush"][..], &["--as", "sendmail", "-q"]] {
        let stage = Stage::on(&["-t", "tmpfs", "-o", "size=4m,nr_inodes=64", "none"]);
        let sink = Options::new().start();
        let smtp = format!("smtp = \"127.0.0.1:{}\"\ntls = \"none\"\n", sink.port());
        stage.sandbox.write("home/.config/smail/config.toml", smtp);
        // None of them has a journal yet.
        let kept = [
            "--as",
            "sendmail",
            "-odq",
            "-f",
            "a@a.example",
            "r1@x.example",
        ];
        for _ in 0..3 {
            assert_eq!(
                stage
                    .run(&stage.disk, &kept)
                    .stdin("Subject: s\n\nx\n")
                    .run()
                    .status,
                0
            );
        }
        assert!(stage.disk.inside().join("smail/reserve").exists());
        fill(&stage, 0);
        let flush = stage.smail(words);
        assert_eq!(
            (flush.status, flush.stderr.as_str(), stage.names()),
            (0, "", vec![]),
            "{words:?}"
        );
        assert_eq!(sink.mails().len(), 3);
    }
}

#[test]
fn a_place_to_send_that_no_file_can_be_made_for_is_no_crowd() {
    if obstacle::stops("a disk without inodes", obstacle::without_root()) {
        return;
    }
    let stage = Stage::on(&["-t", "tmpfs", "-o", "size=4m,nr_inodes=64", "none"]);
    let sink = Options::new().start();
    assert_eq!(stage.mail(sink.port(), &small()).run().status, 0);
    for slot in 0..20 {
        let _ = fs::remove_file(stage.disk.inside().join(format!("smail/slot.{slot}")));
    }
    // Room for the mail and for nothing else: not for a journal, but for the reserve.
    fill(&stage, 1);
    let sent = stage.mail(sink.port(), &small()).run();
    assert_eq!(
        (
            sent.status,
            sent.stderr.as_str(),
            sink.mails().len(),
            stage.names()
        ),
        (0, "", 2, vec![])
    );
}

#[test]
fn mail_that_is_kept_elsewhere_while_the_disk_is_read_only_goes_with_the_rest() {
    if obstacle::stops("a read-only disk", obstacle::without_root()) {
        return;
    }
    let stage = Stage::on(&["-t", "tmpfs", "-o", "size=1m", "none"]);
    fs::remove_file(stage.sandbox.path("home/.local")).unwrap();
    let place = Place::reserve();
    let remount = |how: &str| {
        let mut words = stage.disk.enter();
        words.extend(["mount", "-o", how].map(String::from));
        let done = std::process::Command::new(&words[0])
            .args(&words[1..])
            .arg(stage.sandbox.path("disk"))
            .status();
        assert!(done.unwrap().success());
    };
    let key = |run: &str| {
        let mut words = words(place.port(), &["r1@x.example"]);
        words.extend(["--idempotency-key".to_owned(), run.to_owned()]);
        words
    };
    let send = |words: Vec<String>| {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let outcome = stage.run(&stage.disk, &words).stdin(small()).run();
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    };
    send(key("one"));
    remount("remount,ro");
    // The key is read where nothing can be written.
    send(key("one"));
    assert_eq!(
        (stage.entries().len(), stage.sandbox.entries().len()),
        (1, 0)
    );
    send(key("two"));
    assert_eq!(
        (stage.entries().len(), stage.sandbox.entries().len()),
        (1, 1)
    );
    let list = stage.smail(&["--queue", "--json"]);
    assert_eq!(list.stdout.matches("\"id\"").count(), 2, "{}", list.stdout);
    remount("remount,rw");
    send(key("two"));
    let ids = [stage.entries().remove(0), stage.sandbox.entries().remove(0)];
    let sink = Options::new().start_at(place);
    let flush = stage.smail(&["--flush", &ids[0], &ids[1]]);
    assert_eq!(
        (flush.status, flush.stderr.as_str(), sink.mails().len()),
        (0, "", 2)
    );
}

#[test]
fn a_read_only_disk_keeps_what_it_has_and_new_mail_goes_at_once() {
    if obstacle::stops("a read-only disk", obstacle::without_root()) {
        return;
    }
    let stage = Stage::on(&["-t", "tmpfs", "-o", "size=1m", "none"]);
    let place = Place::reserve();
    let outcome = stage.mail(place.port(), &small()).run();
    assert_eq!(
        (outcome.status, stage.entries().len()),
        (0, 1),
        "{}",
        outcome.stderr
    );
    let mut remount = stage.disk.enter();
    remount.extend(["mount", "-o", "remount,ro"].map(String::from));
    let done = std::process::Command::new(&remount[0])
        .args(&remount[1..])
        .arg(stage.sandbox.path("disk"))
        .status();
    assert!(done.unwrap().success());
    not_taken(&stage.mail(place.port(), &small()).run(), &[]);
    let sink = Options::new().start_at(place);
    let sent = stage.mail(sink.port(), &small()).run();
    assert_eq!((sent.status, sink.mails().len()), (0, 1), "{}", sent.stderr);
    let flush = stage.flush();
    assert!(
        flush.status != 0 && sink.mails().len() == 1 && stage.entries().len() == 1,
        "{}: {}",
        flush.status,
        flush.stderr
    );
    let list = stage.smail(&["--queue"]);
    assert!(
        list.status == 0 && list.stdout.contains(&stage.entries()[0]),
        "{}: {}",
        list.status,
        list.stderr
    );
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_death() {
    let sandbox = Sandbox::new();
    let limited = |port: u16| {
        let words = words(port, &["r1@x.example"]);
        sandbox
            .under(&["/bin/sh", "-c", "ulimit -f 8; exec \"$@\"", "sh"], &words)
            .stdin(large())
            .queued()
            .run()
    };
    not_taken(&limited(Place::reserve().port()), &sandbox.queue_names("q"));
    let sink = Options::new().start();
    let sent = limited(sink.port());
    assert_eq!(
        (sent.status, sink.mails().len(), sandbox.queue_names("q")),
        (0, 1, vec![]),
        "{}",
        sent.stderr
    );
}

/// A world whose queue lies on an ext4 file system in a file.
struct Powered {
    stage: Stage,
    image: Image,
}

impl Powered {
    /// `None` where there are no loop devices, which is told.
    fn up() -> Option<Powered> {
        if obstacle::stops("power cuts", obstacle::without_root()) {
            return None;
        }
        let sandbox = Sandbox::new();
        if obstacle::stops("power cuts", Image::obstacle(&sandbox)) {
            return None;
        }
        let image = Image::new(&sandbox, "disk.img");
        let disk = image.mount(&sandbox.path("disk"));
        Some(Powered {
            stage: Stage { sandbox, disk },
            image,
        })
    }

    /// Cuts the power, and mounts what is left in place of the disk.
    fn cut(self) -> Stage {
        let left = self.image.cut(&self.stage.sandbox, "left.img");
        let Stage { sandbox, disk } = self.stage;
        drop(disk);
        let disk = left.mount(&sandbox.path("disk"));
        Stage { sandbox, disk }
    }
}

#[test]
fn a_power_cut_after_exit_0_loses_no_mail() {
    let Some(powered) = Powered::up() else { return };
    let place = Place::reserve();
    let outcome = powered.stage.mail(place.port(), &small()).run();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    // Without this the test could not fail: what nobody synced has to be lost.
    let unsynced = "smail/q/unsynced";
    fs::write(powered.stage.disk.inside().join(unsynced), "not synced").unwrap();
    let stage = powered.cut();
    assert_ne!(
        fs::read(stage.disk.inside().join(unsynced)).unwrap_or_default(),
        b"not synced"
    );
    let sink = Options::new().start_at(place);
    let flush = stage.flush();
    assert_eq!(
        (flush.status, sink.mails().len()),
        (0, 1),
        "{}",
        flush.stderr
    );
}

#[test]
fn a_power_cut_after_a_mail_was_accepted_does_not_bring_it_back() {
    let Some(powered) = Powered::up() else { return };
    let sink = Options::new()
        .recipient("r2@x.example", "450 4.2.0 later")
        .start();
    let port = sink.port();
    let words = words(port, &["r1@x.example", "r2@x.example"]);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    for outcome in [
        powered.stage.mail(port, &small()).run(),
        powered
            .stage
            .run(&powered.stage.disk, &words)
            .stdin(small())
            .run(),
    ] {
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    }
    let stage = powered.cut();
    sink.answer("r2@x.example", "250 2.1.5 now");
    let flush = stage.flush();
    assert_eq!(
        (flush.status, stage.names()),
        (0, vec![]),
        "{}",
        flush.stderr
    );
    let to: Vec<_> = sink.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(to, [["r1@x.example"], ["r1@x.example"], ["r2@x.example"]]);
}

#[test]
fn a_power_cut_while_the_answer_is_awaited_leaves_the_mail_in_doubt() {
    let Some(powered) = Powered::up() else { return };
    let server = Server::play(
        "silent",
        "S: 220 mx.test\nC: EHLO *\nS: 250 mx.test\nC: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\n-- data\n-- hang\n",
    );
    let Powered { stage, image } = powered;
    let running = stage.mail(server.port(), &small()).start();
    server.wait_for("-- message*");
    let left = image.cut(&stage.sandbox, "left.img");
    drop(running);
    server.finish();
    let Stage { sandbox, disk } = stage;
    drop(disk);
    let disk = left.mount(&sandbox.path("disk"));
    let stage = Stage { sandbox, disk };
    let list = stage.smail(&["--queue", "--json"]);
    assert!(
        list.stdout.contains("\"in doubt\""),
        "{}{}",
        list.stdout,
        list.stderr
    );
    let flush = stage.smail(&["--flush"]);
    assert_eq!(
        (flush.status, stage.entries().len()),
        (0, 1),
        "{}",
        flush.stderr
    );
}

/// The calls of a recorded run that concern the queue or a connection, as strace counts them.
fn calls(log: &Path, dir: &str) -> Vec<(String, usize)> {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    let mut counts = std::collections::BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((name, arguments)) = line
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
            .split_once('(')
        else {
            continue;
        };
        let count = counts.entry(name.to_owned()).or_insert(0);
        *count += 1;
        let quiet = ["fcntl", "fstat", "statx", "lseek", "poll", "ppoll"].contains(&name);
        if !quiet && (arguments.contains(dir) || arguments.contains("TCP:[")) {
            calls.push((name.to_owned(), *count));
        }
    }
    calls
}

#[test]
fn a_power_cut_at_every_step_neither_loses_nor_doubles_a_mail() {
    if obstacle::stops(
        "power cuts at every step",
        obstacle::without_program("/usr/bin/strace"),
    ) {
        return;
    }
    let Some(probe) = Powered::up() else { return };
    let people = ["r1@x.example", "r2@x.example"];
    let send = |stage: &Stage, wrapper: &[&str], port: u16| {
        let words = words(port, &people);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        stage
            .under(&stage.disk, wrapper, &words)
            .stdin(small())
            .run()
    };
    let log = probe.stage.sandbox.path("log");
    let sink = || {
        Options::new()
            .recipient("r2@x.example", "450 4.2.0 later")
            .start()
    };
    let first = sink();
    send(
        &probe.stage,
        &["strace", "-f", "-qq", "-y", "-o", log.to_str().unwrap()],
        first.port(),
    );
    let dir = probe.stage.sandbox.path("disk").display().to_string();
    let calls = calls(&log, &dir);
    assert!(calls.len() > 20, "{calls:?}");
    drop(probe);
    let mut wrong = Vec::new();
    for (name, number) in &calls {
        let Some(powered) = Powered::up() else { return };
        let sink = sink();
        let inject = format!("inject={name}:signal=SIGKILL:when={number}");
        let wrapper = [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={name}"),
            "-e",
            &inject,
        ];
        let outcome = send(&powered.stage, &wrapper, sink.port());
        sink.round_trips();
        let stage = powered.cut();
        let (doubt, stored) = recover(&stage, &sink);
        let promised = outcome.status == 0 || outcome.stderr.contains("queued as") || stored;
        for who in people {
            let got = sink
                .mails()
                .iter()
                .filter(|mail| mail.to.iter().any(|to| to == who))
                .count();
            let fair = usize::from(promised)..=if doubt { 2 } else { 1 };
            if !fair.contains(&got) {
                wrong.push(format!(
                    "{inject}: exit {}: {who} got it {got} times, in doubt: {doubt}",
                    outcome.status
                ));
            }
        }
        if sink
            .mails()
            .iter()
            .map(Mail::text)
            .collect::<std::collections::BTreeSet<_>>()
            .len()
            > 1
        {
            wrong.push(format!("{inject}: two different mails"));
        }
        if !stage.names().is_empty() {
            wrong.push(format!("{inject}: left: {:?}", stage.names()));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cuts broke a promise:\n{}",
        wrong.len(),
        calls.len(),
        wrong.join("\n")
    );
}

/// What a user does when the power is back; returns whether the mail was in doubt, and whether it was
/// there.
fn recover(stage: &Stage, sink: &Sink) -> (bool, bool) {
    sink.answer("r2@x.example", "250 2.1.5 now");
    let check = stage.smail(&["--queue-check"]);
    assert_eq!(check.status, 0, "{}", check.stderr);
    let list = stage.smail(&["--queue", "--json"]).stdout;
    let stored = !stage.entries().is_empty();
    let flush = stage.flush();
    assert_eq!(flush.status, 0, "{}", flush.stderr);
    (list.contains("\"in doubt\""), stored)
}
