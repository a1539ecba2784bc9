//! Five hundred at once, as cron does it at midnight: all of them arrive or wait, once each. How
//! fast is measured in `benches/`, not here.
use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::sink::{Options, Place, Sink};

const MAILS: usize = 500;
/// As many as the test itself can feed at the same time.
const BATCH: usize = 125;

fn storm(sandbox: &Sandbox, port: u16) -> Vec<Outcome> {
    let smtp = format!("smtp=127.0.0.1:{port}");
    let mut outcomes = Vec::new();
    for batch in 0..MAILS / BATCH {
        let running: Vec<_> = (0..BATCH)
            .map(|number| {
                let to = format!("r{}@x.example", batch * BATCH + number);
                let words = [
                    "-S",
                    &smtp,
                    "-S",
                    "tls=none",
                    "-r",
                    "a@a.example",
                    "-s",
                    "subj",
                    &to,
                ];
                sandbox
                    .smail(&words)
                    .stdin("the words\n")
                    .queued()
                    .limit(Duration::from_mins(2))
                    .start()
            })
            .collect();
        outcomes.extend(
            running
                .into_iter()
                .map(crate::support::sandbox::Running::finish),
        );
    }
    outcomes
}

/// What was said around anything that is not to be said in a storm.
fn strange(sink: &Sink) -> String {
    let dialogue = sink.dialogue();
    let at = dialogue
        .iter()
        .position(|line| line.starts_with("S: 5") || line.starts_with("-- the session"));
    at.map_or_else(String::new, |at| {
        dialogue[at.saturating_sub(60)..dialogue.len().min(at + 20)].join("\n")
    })
}

fn everybody_once(sink: &Sink) {
    let to: Vec<_> = sink.mails().into_iter().flat_map(|mail| mail.to).collect();
    let people: BTreeSet<_> = to.iter().collect();
    assert_eq!((people.len(), to.len()), (MAILS, MAILS));
}

#[test]
fn a_storm_on_a_healthy_server_is_delivered_once_each() {
    let sandbox = Sandbox::new();
    let sink = Options::new().start();
    for outcome in storm(&sandbox, sink.port()) {
        let left: Vec<_> = sandbox
            .entries()
            .iter()
            .map(|id| sandbox.journal(id).join("\n"))
            .collect();
        let told = (
            outcome.status,
            outcome.stdout.as_str(),
            outcome.stderr.as_str(),
        );
        assert_eq!(
            told,
            (0, "", ""),
            "after {:?}:\n{}\n{}",
            outcome.elapsed,
            left.join("\n"),
            strange(&sink)
        );
    }
    everybody_once(&sink);
    assert_eq!(sandbox.queue_names("q"), [""; 0]);
}

#[test]
fn a_storm_on_a_dead_server_waits_and_then_takes_one_connection() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    for outcome in storm(&sandbox, place.port()) {
        assert_eq!(
            (outcome.status, outcome.stderr.lines().count()),
            (0, 1),
            "{}",
            outcome.stderr
        );
        assert!(
            outcome.stderr.starts_with("smail: queued as "),
            "{}",
            outcome.stderr
        );
    }
    let ids = sandbox.entries();
    assert_eq!(ids.len(), MAILS);
    let sink = Options::new().start_at(place);
    let mut words = vec!["--flush"];
    words.extend(ids.iter().map(String::as_str));
    let flush = sandbox
        .smail(&words)
        .queued()
        .limit(Duration::from_mins(2))
        .run();
    assert_eq!(
        (flush.status, flush.stderr.as_str()),
        (0, ""),
        "{}",
        strange(&sink)
    );
    everybody_once(&sink);
    assert_eq!(sink.sessions(), 1);
    assert_eq!(sandbox.queue_names("q"), [""; 0]);
    assert_eq!(sandbox.smail(&["--queue-check"]).queued().run().status, 0);
}
