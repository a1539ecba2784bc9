//! A directory that cannot be used for a moment: mail is kept in the next one, and every command of
//! the queue finds it there.
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::sandbox::{Outcome, Run, Sandbox, entries_in, names_in};
use crate::support::sink::{Options, Place};

/// A world whose first place is `state/smail`, and the second `home/.local/state/smail`.
struct Twice(Sandbox);

impl Twice {
    /// The first place is in the way of itself: root, whom no mode stops, cannot use it either.
    fn blocked() -> Twice {
        let sandbox = Sandbox::new();
        sandbox.write("state", "");
        Twice(sandbox)
    }

    fn open(&self) {
        fs::remove_file(self.0.path("state")).unwrap();
        fs::create_dir(self.0.path("state")).unwrap();
    }

    fn at<'w>(&'w self, run: Run<'w>) -> Run<'w> {
        run.queued().env("XDG_STATE_HOME", self.0.path("state"))
    }

    fn mail(&self, port: u16, more: &[&str]) -> Outcome {
        let smtp = format!("smtp=127.0.0.1:{port}");
        let mut words = vec![
            "-S",
            &smtp,
            "-S",
            "tls=none",
            "-r",
            "a@a.example",
            "-s",
            "subj",
        ];
        words.extend(more);
        words.push("r1@x.example");
        self.at(self.0.smail(&words).stdin("the words\n")).run()
    }

    fn smail(&self, words: &[&str]) -> Outcome {
        self.at(self.0.smail(words)).run()
    }

    fn first(&self) -> Vec<String> {
        entries_in(&self.0.path("state/smail"))
    }

    /// One mail in the second directory, and then one in the first.
    fn both(place: &Place) -> (Twice, String, String) {
        let twice = Twice::blocked();
        assert_eq!(twice.mail(place.port(), &[]).status, 0);
        twice.open();
        assert_eq!(twice.mail(place.port(), &[]).status, 0);
        let (second, first) = (twice.0.entries(), twice.first());
        assert_eq!((second.len(), first.len()), (1, 1));
        (twice, second[0].clone(), first[0].clone())
    }
}

fn silent(outcome: &Outcome) {
    assert_eq!(
        (
            outcome.status,
            outcome.stdout.as_str(),
            outcome.stderr.as_str()
        ),
        (0, "", "")
    );
}

#[test]
fn mail_of_both_directories_is_listed_the_oldest_first() {
    let (twice, old, new) = Twice::both(&Place::reserve());
    let list = twice.smail(&["--queue", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let ids: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        (list.status, ids),
        (0, vec![old.as_str(), new.as_str()]),
        "{}",
        list.stderr
    );
    let mailq = twice.at(twice.0.as_name("mailq", &[""; 0])).run();
    assert!(
        mailq.stdout.ends_with(" in 2 Requests.\n"),
        "{}",
        mailq.stdout
    );
}

#[test]
fn mail_of_both_directories_is_sent_by_every_run() {
    for words in [
        &["--flush"][..],
        &["--as", "sendmail", "-q"],
        &["--as", "sendmail", "-qRx.example"],
    ] {
        let place = Place::reserve();
        let (twice, old, new) = Twice::both(&place);
        for id in [&old, &new] {
            silent(&twice.smail(&["--release", id]));
        }
        let sink = Options::new().start_at(place);
        silent(&twice.smail(words));
        assert_eq!(
            (
                sink.mails().len(),
                twice.first().len(),
                twice.0.entries().len()
            ),
            (2, 0, 0),
            "{words:?}"
        );
    }
}

#[test]
fn mail_that_is_named_is_found_in_either_directory() {
    let place = Place::reserve();
    let (twice, old, new) = Twice::both(&place);
    for id in [&old, &new] {
        silent(&twice.smail(&["--hold", id]));
        silent(&twice.smail(&["--release", id]));
        let show = twice.smail(&["--queue-show", id]);
        assert!(
            show.status == 0 && show.stdout.contains("Subject: subj"),
            "{}",
            show.stderr
        );
    }
    let sink = Options::new().start_at(place);
    let flush = twice.smail(&["--flush", &old, "nosuchid", &new]);
    assert_eq!(
        (flush.status, flush.stderr.as_str()),
        (64, "smail: no message `nosuchid` in the queue\n")
    );
    assert_eq!(sink.mails().len(), 2);
    let place = Place::reserve();
    let (twice, old, new) = Twice::both(&place);
    silent(&twice.smail(&["--remove", &old]));
    silent(&twice.smail(&["--remove", &new]));
    assert_eq!((twice.first().len(), twice.0.entries().len()), (0, 0));
}

#[test]
fn a_mail_that_is_sent_takes_along_what_waits_in_either_directory() {
    let place = Place::reserve();
    let (twice, old, new) = Twice::both(&place);
    for id in [&old, &new] {
        silent(&twice.smail(&["--release", id]));
    }
    let sink = Options::new().start_at(place);
    silent(&twice.mail(sink.port(), &[]));
    assert_eq!(
        (
            sink.mails().len(),
            twice.first().len(),
            twice.0.entries().len()
        ),
        (3, 0, 0)
    );
}

#[test]
fn a_check_proves_both_directories() {
    let (twice, old, new) = Twice::both(&Place::reserve());
    for (queue, id) in [
        (twice.0.queue_dir(), &old),
        (twice.0.path("state/smail"), &new),
    ] {
        let path = queue.join(format!("q/{id}.msg"));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    }
    let check = twice.smail(&["--queue-check"]);
    assert!(
        check.status == 74 && check.stderr.contains(&old) && check.stderr.contains(&new),
        "{}",
        check.stderr
    );
}

#[test]
fn a_key_counts_in_whichever_directory_it_was_noted() {
    let sink = Options::new().start();
    let twice = Twice::blocked();
    let key = ["--idempotency-key", "nightly"];
    silent(&twice.mail(sink.port(), &key));
    twice.open();
    silent(&twice.mail(sink.port(), &key));
    sink.only_mail();
    silent(&twice.mail(sink.port(), &["--idempotency-key", "another"]));
    assert_eq!(sink.mails().len(), 2);
}

#[test]
fn a_directory_that_others_may_enter_is_told_and_the_others_are_looked_through() {
    let place = Place::reserve();
    let (twice, _, new) = Twice::both(&place);
    fs::set_permissions(twice.0.queue_dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let list = twice.smail(&["--queue"]);
    let path = twice.0.queue_dir().display().to_string();
    let told = format!(
        "smail: the queue directory {path}: others can access it (mode 0755); run chmod 700 on it; messages may be waiting in it\n"
    );
    assert_eq!((list.status, list.stderr.as_str()), (74, told.as_str()));
    assert!(list.stdout.starts_with(&new), "{}", list.stdout);
    // Whether a key was used cannot be told then.
    let sink = Options::new().start_at(place);
    let keyed = twice.mail(sink.port(), &["--idempotency-key", "k"]);
    assert_eq!(
        (keyed.status, sink.mails().len()),
        (78, 0),
        "{}",
        keyed.stderr
    );
    assert_eq!(twice.mail(sink.port(), &[]).status, 0);
}

#[test]
fn a_directory_that_is_named_takes_new_mail_and_the_others_are_looked_through() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let named = format!("queue-dir={}", sandbox.path("named").display());
    let smtp = format!("smtp=127.0.0.1:{}", place.port());
    let send = |more: &[&str]| {
        let mut words = vec![
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
        words.splice(0..0, more.iter().copied());
        assert_eq!(sandbox.smail(&words).stdin("x\n").queued().run().status, 0);
    };
    send(&[]);
    send(&["-S", &named]);
    assert_eq!(
        (
            sandbox.entries().len(),
            entries_in(&sandbox.path("named")).len()
        ),
        (1, 1)
    );
    let list = sandbox
        .smail(&["-S", &named, "--queue", "--json"])
        .queued()
        .run();
    assert_eq!(list.stdout.matches("\"id\"").count(), 2, "{}", list.stdout);
}

#[test]
fn looking_makes_no_directory_but_the_first() {
    let twice = Twice(Sandbox::new());
    fs::create_dir(twice.0.path("state")).unwrap();
    assert_eq!(twice.smail(&["--queue"]).status, 0);
    assert!(!twice.0.queue_dir().exists());
    assert_eq!(
        names_in(&twice.0.path("state/smail")),
        ["corrupt", "failed", "keys", "q"]
    );
}
