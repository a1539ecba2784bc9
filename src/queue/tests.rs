//! The queue against a model: random mails, attempts, crashes, clocks and flushes; and the states a
//! crash can leave.
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;
use crate::address::Address;
use crate::delivery::{Cause, Fault, RecipientResult, Reply, Report, Stage};
use crate::message::{Dsn, Envelope};
use crate::transport::{ConnectionReuse, DeliveryLog, Transport};

fn words(fault: &Fault) -> String {
    fault
        .reply()
        .map_or_else(|| format!("{:?}", fault.cause), Reply::text)
}

fn open(path: &Path) -> Queue {
    let policy = Policy {
        schedule: vec![std::time::Duration::from_millis(1)],
        ..Policy::default()
    };
    Queue::open(&path.join("smail"), policy, words).unwrap()
}

fn message(to: usize) -> Message {
    let recipients = (0..to)
        .map(|n| Address::of(&format!("r{n}"), "x.example"))
        .collect();
    let envelope = Envelope {
        sender: Some(Address::of("a", "x.example")),
        recipients,
        ..Envelope::default()
    };
    Message::from_wire(
        "<1@x.example>".into(),
        envelope,
        b"Subject: s\r\n\r\nbody\r\n".to_vec(),
    )
}

fn head(message: &Message) -> Head {
    Head {
        id: String::new(),
        created: 0,
        expires: 0,
        account: None,
        settings: Vec::new(),
        login: None,
        from: "a@x.example".into(),
        sender: Some("a@x.example".into()),
        to: message
            .envelope
            .recipients
            .iter()
            .map(ToString::to_string)
            .collect(),
        message_id: String::new(),
        subject: "s".into(),
        eight_bit: false,
        header_utf8: false,
        key: None,
        dsn: Dsn::default(),
    }
}

fn reply(code: u16) -> Reply {
    Reply::new(code, vec!["words".into()])
}

/// What the server does to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Accept,
    Refuse,
    Defer,
    LoseAfterDot,
}

/// A server of answers, and what it took: how often it accepted whom.
struct Server<'a> {
    answers: &'a [Answer],
    /// The process dies at this step of the conversation: before the dot, after it, or after its
    /// answer was noted.
    dies: Option<u8>,
    accepted: &'a mut BTreeMap<String, usize>,
}

impl Transport for Server<'_> {
    fn deliver(
        &mut self,
        message: &Message,
        _: ConnectionReuse,
        log: &mut dyn DeliveryLog,
    ) -> Report {
        let to: Vec<String> = message
            .envelope
            .recipients
            .iter()
            .map(ToString::to_string)
            .collect();
        let answer =
            |i: usize| self.answers[usize::from(to[i].as_bytes()[1] - b'0') % self.answers.len()];
        let outcome = |i: usize| match answer(i) {
            Answer::Accept => Ok(reply(250)),
            Answer::Refuse => Err(Fault::new(Stage::Recipient, Cause::Refused(reply(550)))),
            Answer::Defer => Err(Fault::new(Stage::Recipient, Cause::Refused(reply(450)))),
            Answer::LoseAfterDot => Err(Fault {
                in_doubt: true,
                ..Fault::new(Stage::Content, Cause::Lost("gone".into()))
            }),
        };
        let results = (0..to.len())
            .map(|i| RecipientResult {
                recipient: to[i].clone(),
                outcome: outcome(i),
            })
            .collect();
        let report = Report {
            recipients: results,
            ..Report::uniform(String::new(), std::iter::empty(), &Ok(reply(250)))
        };
        let outcomes: Vec<_> = (0..to.len()).map(outcome).collect();
        let early: Vec<_> = (0..to.len())
            .filter(|i| matches!(answer(*i), Answer::Refuse | Answer::Defer))
            .map(|i| (i, &outcomes[i]))
            .collect();
        let sent: Vec<usize> = (0..to.len())
            .filter(|i| matches!(answer(*i), Answer::Accept | Answer::LoseAfterDot))
            .collect();
        if !early.is_empty() {
            log.settled(&early);
        }
        if self.dies == Some(0) || sent.is_empty() || log.before_dot(&sent).is_err() {
            return report;
        }
        for i in &sent {
            *self.accepted.entry(to[*i].clone()).or_default() += 1;
        }
        if self.dies != Some(1) {
            log.settled(&sent.iter().map(|i| (*i, &outcomes[*i])).collect::<Vec<_>>());
        }
        report
    }
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    /// A new mail to so many, tried at once with these answers; the process dies at a step.
    Submit(usize, Vec<Answer>, Option<u8>),
    /// A run over all that waits.
    Flush(Vec<Answer>, Option<u8>),
    /// The last journal loses so many bytes of its end, as a power cut may take what was not
    /// synced.
    Check,
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let one = prop_oneof![3 => Just(Answer::Accept), 1 => Just(Answer::Refuse), 2 => Just(Answer::Defer), 1 => Just(Answer::LoseAfterDot)];
    prop::collection::vec(one, 1..4)
}

fn step() -> impl Strategy<Value = Step> {
    let dies = || prop_oneof![4 => Just(None), 1 => (0_u8..3).prop_map(Some)];
    prop_oneof![
        3 => (1_usize..5, answers(), dies()).prop_map(|(n, a, d)| Step::Submit(n, a, d)),
        3 => (answers(), dies()).prop_map(|(a, d)| Step::Flush(a, d)),
        1 => Just(Step::Check),
    ]
}

/// Ends an attempt as the living do, or as the dead do: dropping a claim is what a kill leaves, a
/// lock that is gone.
fn end(claim: Claim<'_>, dies: Option<u8>) {
    if dies.is_none() {
        claim.finish().unwrap();
    }
}

fn attempt(
    mut claim: Claim<'_>,
    answers: &[Answer],
    dies: Option<u8>,
    accepted: &mut BTreeMap<String, usize>,
) {
    if claim.state().left().is_empty() {
        return end(claim, dies);
    }
    claim
        .attempt(
            &mut Server {
                answers,
                dies,
                accepted,
            },
            ConnectionReuse::Last,
        )
        .unwrap();
    end(claim, dies);
}

fn waiting(queue: &Queue) -> Vec<String> {
    let names = queue.dir.names(Subdir::Waiting).unwrap();
    names
        .iter()
        .filter_map(|n| n.strip_suffix(".msg").map(str::to_owned))
        .collect()
}

/// Claims as the next process would. The children that other tests of this process start hold our
/// locks as well until they run their programs, so that a lock may outlive its claim for a moment.
fn claimed<'q>(queue: &'q Queue, id: &str) -> Option<Claim<'q>> {
    let tries = (0..2_000).map(|_| {
        queue.claim(id).unwrap().or_else(|| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            None
        })
    });
    tries.flatten().next()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The promise of the queue over any history: a mail is in the directory until all were
    /// accepted or refused, and nobody gets one twice but where a dot went without a noted answer.
    #[test]
    fn nothing_is_lost_and_nothing_doubled_without_doubt(steps in prop::collection::vec(step(), 1..12)) {
        let place = tempfile::tempdir().unwrap();
        let mut queue = open(place.path());
        let mut mails: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        let mut doubts: BTreeMap<String, usize> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Submit(count, answers, dies) => {
                    let message = message(count);
                    let claim = queue.submit(head(&message), &message, None).unwrap();
                    let id = claim.head().id.clone();
                    let lost = answers.contains(&Answer::LoseAfterDot) || dies == Some(1);
                    *doubts.entry(id.clone()).or_default() += usize::from(lost);
                    attempt(claim, &answers, dies, mails.entry(id).or_default());
                }
                Step::Flush(answers, dies) => {
                    for id in waiting(&queue) {
                        let Some(claim) = claimed(&queue, &id) else { continue };
                        let lost = answers.contains(&Answer::LoseAfterDot) || dies == Some(1);
                        *doubts.entry(id.clone()).or_default() += usize::from(lost);
                        attempt(claim, &answers, dies, mails.entry(id).or_default());
                    }
                }
                Step::Check => prop_assert!(queue.check().unwrap().problems.is_empty()),
            }
            // Another process, which knows only what is on disk.
            queue = open(place.path());
        }
        for id in waiting(&queue) {
            let Some(claim) = claimed(&queue, &id) else { continue };
            attempt(claim, &[Answer::Accept], None, mails.entry(id).or_default());
        }
        prop_assert_eq!(waiting(&queue), Vec::<String>::new());
        let failed: Vec<_> = queue.list().unwrap();
        for (id, accepted) in &mails {
            let refused = failed.iter().find(|i| i.id == *id).map_or(Vec::new(), |i| i.to.clone());
            prop_assert!(accepted.len() + refused.len() > 0, "{id} is lost");
            for (to, times) in accepted {
                prop_assert!(*times <= 1 + doubts[id], "{to} of {id} got {times}");
                prop_assert!(!refused.contains(to) || doubts[id] > 0);
            }
        }
        prop_assert!(queue.check().unwrap().problems.is_empty());
    }
}

#[test]
fn what_a_dead_writer_left_is_removed_and_what_a_living_one_writes_is_not() {
    let place = tempfile::tempdir().unwrap();
    let queue = open(place.path());
    queue.dir.create(Subdir::Waiting, "tmp.dead").unwrap();
    let living = queue.dir.create(Subdir::Waiting, "tmp.living").unwrap();
    living.lock().unwrap();
    queue.dir.create(Subdir::Waiting, "0gone.log").unwrap();
    let check = queue.check().unwrap();
    assert_eq!(check.repaired.len(), 2, "{check:?}");
    assert_eq!(queue.dir.names(Subdir::Waiting).unwrap(), ["tmp.living"]);
}

#[test]
fn an_entry_is_private_and_has_one_worker() {
    let place = tempfile::tempdir().unwrap();
    let queue = open(place.path());
    let message = message(1);
    let claim = queue.submit(head(&message), &message, None).unwrap();
    let id = claim.head().id.clone();
    assert!(queue.claim(&id).unwrap().is_none());
    drop(claim);
    assert!(queue.claim(&id).unwrap().is_some());
    let mode = |path: &str| {
        place
            .path()
            .join(path)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (
            mode("smail"),
            mode("smail/q"),
            mode(&format!("smail/q/{id}.msg"))
        ),
        (0o700, 0o700, 0o600)
    );
}

#[test]
fn a_damaged_entry_is_set_aside_and_the_others_are_found() {
    let place = tempfile::tempdir().unwrap();
    let queue = open(place.path());
    let message = message(1);
    let bad = queue
        .submit(head(&message), &message, None)
        .unwrap()
        .head()
        .id
        .clone();
    let good = queue
        .submit(head(&message), &message, None)
        .unwrap()
        .head()
        .id
        .clone();
    let path = place.path().join("smail/q").join(format!("{bad}.msg"));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() - 50;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let check = queue.check().unwrap();
    assert_eq!((check.sound, check.problems.len()), (1, 2), "{check:?}");
    assert_eq!(waiting(&queue), [good]);
    assert!(
        place
            .path()
            .join("smail/corrupt")
            .join(format!("{bad}.msg"))
            .exists()
    );
}

#[test]
fn directories_that_others_may_enter_or_own_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let refused = |path: &Path| {
        QueueDir::open(path)
            .unwrap_err()
            .to_string()
            .replace(place.path().to_str().unwrap(), "")
    };
    let open = place.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o750)).unwrap();
    assert_eq!(
        refused(&open),
        "the queue directory /open: others can access it (mode 0750); run chmod 700 on it"
    );
    let link = place.path().join("link");
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    assert_eq!(
        refused(&link),
        "the queue directory /link: it is a symbolic link or not a directory"
    );
}

#[test]
fn a_key_counts_once_it_was_taken_and_not_when_the_mail_was_never_committed() {
    let place = tempfile::tempdir().unwrap();
    let queue = open(place.path());
    let message = message(1);
    let KeyState::New(key) = queue.key("build 7/ü").unwrap() else {
        panic!("taken")
    };
    key.pending("neverwritten").unwrap();
    drop(key);
    let KeyState::New(key) = queue.key("build 7/ü").unwrap() else {
        panic!("a crash before the commit blocks the key")
    };
    let head = Head {
        key: Some("build 7/ü".into()),
        ..head(&message)
    };
    let claim = queue.submit(head, &message, Some(&key)).unwrap();
    drop(key);
    assert!(matches!(
        queue.key("build 7/ü").unwrap(),
        KeyState::Taken(_)
    ));
    let mut accepted = BTreeMap::new();
    attempt(claim, &[Answer::Accept], None, &mut accepted);
    assert!(matches!(
        queue.key("build 7/ü").unwrap(),
        KeyState::Taken(_)
    ));
    assert!(matches!(queue.key(&"k".repeat(81)), Err(QueueError::Key)));
}

#[test]
fn the_books_that_cannot_be_kept_stop_the_mail_before_its_dot() {
    struct Full;
    impl DeliveryLog for Full {
        fn before_dot(&mut self, _: &[usize]) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn settled(&mut self, _: &[(usize, &Result<Reply, Fault>)]) {}
    }
    let mut accepted = BTreeMap::new();
    Server {
        answers: &[Answer::Accept],
        dies: None,
        accepted: &mut accepted,
    }
    .deliver(&message(1), ConnectionReuse::Last, &mut Full);
    assert!(accepted.is_empty());
}

#[test]
fn eight_bits_wait_as_they_are_and_have_their_form_in_seven() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path());
    let wire = "Subject: s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n";
    let mail = Message::from_wire(
        "<1@x.example>".into(),
        message(1).envelope,
        wire.as_bytes().to_vec(),
    );
    let mut claim = queue.submit(head(&mail), &mail, None).unwrap();
    let stored = claim.message().unwrap();
    let bytes = |message: &Message| {
        let mut out = Vec::new();
        message.write_to(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(stored.eight_bit && !stored.header_utf8());
    assert_eq!(bytes(&stored), wire);
    assert_eq!(
        bytes(stored.seven_bit().unwrap()),
        "MIME-Version: 1.0\r\nSubject: s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ0K\r\n"
    );
}

#[test]
fn a_mail_is_given_up_only_after_a_try_that_the_server_failed() {
    struct Ended(Cause);
    impl Transport for Ended {
        fn deliver(
            &mut self,
            message: &Message,
            _: ConnectionReuse,
            _: &mut dyn DeliveryLog,
        ) -> Report {
            let to: Vec<_> = message
                .envelope
                .recipients
                .iter()
                .map(ToString::to_string)
                .collect();
            let fault = Err(Fault::new(Stage::Connect, self.0.clone()));
            Report::uniform(String::new(), to.iter().map(String::as_str), &fault)
        }
    }
    let place = tempfile::tempdir().unwrap();
    let policy = Policy {
        lifetime: std::time::Duration::ZERO,
        ..Policy::default()
    };
    let queue = Queue::open(&place.path().join("smail"), policy, words).unwrap();
    let message = message(1);
    let claim = || queue.submit(head(&message), &message, None).unwrap();
    let after = |cause: Cause| {
        let mut claim = claim();
        claim
            .attempt(&mut Ended(cause), ConnectionReuse::Last)
            .unwrap();
        claim.finish().unwrap()
    };
    let deferred = |tried: bool| {
        let mut claim = claim();
        claim.defer("why", tried).unwrap();
        claim.finish().unwrap()
    };
    assert_eq!(claim().finish().unwrap(), Outcome::Waits);
    assert_eq!(
        (deferred(false), deferred(true)),
        (Outcome::Waits, Outcome::Failed(None))
    );
    assert_eq!(after(Cause::Lost("gone".into())), Outcome::Failed(None));
    for ours in [
        Cause::Interrupted(15),
        Cause::Journal("full".into()),
        Cause::Content("changed".into()),
    ] {
        assert_eq!(after(ours), Outcome::Waits);
    }
}
