//! Mail that waits: what is kept, what is said of it, who gets it and when, and what is refused.
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, Instant};

use crate::support::sandbox::{Outcome, Run, Sandbox};
use crate::support::server::Server;
use crate::support::sink::{Options, Place, Sink};

/// Prepares a mail to one recipient, with the queue on, for a server in clear.
fn mail<'w>(sandbox: &'w Sandbox, port: u16, more: &[&str]) -> Run<'w> {
    to(sandbox, port, more, &["r1@x.example"])
}

fn to<'w>(sandbox: &'w Sandbox, port: u16, more: &[&str], recipients: &[&str]) -> Run<'w> {
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
    words.extend(more);
    words.extend(recipients);
    sandbox.smail(&words).stdin("the words\n").queued()
}

/// Runs smail with the queue on and nothing on standard input.
fn smail(sandbox: &Sandbox, words: &[&str]) -> Outcome {
    sandbox.smail(words).queued().run()
}

/// The id in the line that a queued mail is told of by; the whole line is compared.
fn queued(outcome: &Outcome, reason: &str) -> String {
    assert_eq!(
        (outcome.status, outcome.stdout.as_str()),
        (0, ""),
        "{}",
        outcome.stderr
    );
    let lines: Vec<_> = outcome.stderr.lines().collect();
    let id = id_said(&outcome.stderr);
    assert_eq!(lines.len(), 1, "{}", outcome.stderr);
    assert!(
        lines[0].starts_with(&format!("smail: queued as {id}: ")),
        "{}",
        outcome.stderr
    );
    assert!(
        lines[0].ends_with(&format!(" (smail --queue-show {id})")),
        "{}",
        outcome.stderr
    );
    assert!(lines[0].contains(reason), "{reason}: {}", outcome.stderr);
    id
}

/// The id in `queued as ID:` or `in the queue as ID:`.
fn id_said(stderr: &str) -> String {
    let Some((_, rest)) = stderr
        .split_once("queued as ")
        .or_else(|| stderr.split_once("in the queue as "))
    else {
        panic!("nothing was queued: {stderr}")
    };
    rest.split(':').next().unwrap().to_owned()
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

/// Queues a mail for a server that is down.
fn wait(sandbox: &Sandbox, place: &Place) -> String {
    queued(&mail(sandbox, place.port(), &[]).run(), "refused")
}

fn list(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    let outcome = smail(sandbox, &["--queue", "--json"]);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let json: serde_json::Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{e}: {}", outcome.stdout));
    json.as_array()
        .unwrap_or_else(|| panic!("no array: {json}"))
        .clone()
}

/// Nothing is left of any mail.
fn empty(sandbox: &Sandbox) {
    assert_eq!(sandbox.queue_names("q"), [""; 0]);
    assert_eq!(sandbox.queue_names("failed"), [""; 0]);
    assert_eq!(sandbox.queue_names("corrupt"), [""; 0]);
    let check = smail(sandbox, &["--queue-check"]);
    assert_eq!(check.status, 0, "{}{}", check.stdout, check.stderr);
}

fn recipients(sink: &Sink) -> Vec<Vec<String>> {
    sink.mails().into_iter().map(|mail| mail.to).collect()
}

#[test]
fn success_leaves_nothing_behind_and_says_nothing() {
    let sandbox = Sandbox::new();
    let sink = Options::new().start();
    silent(&mail(&sandbox, sink.port(), &[]).run());
    assert_eq!(sink.only_mail().to, ["r1@x.example"]);
    empty(&sandbox);
    assert_eq!(list(&sandbox), [] as [serde_json::Value; 0]);
}

#[test]
fn a_refused_connection_keeps_the_mail_and_names_it() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let outcome = mail(&sandbox, place.port(), &[]).run();
    let id = queued(&outcome, "refused");
    assert!(
        outcome
            .stderr
            .contains(&format!("127.0.0.1:{}", place.port())),
        "{}",
        outcome.stderr
    );
    assert_eq!(sandbox.entries(), [id.as_str()]);
    let list = list(&sandbox);
    assert_eq!(list.len(), 1, "{list:?}");
    let item = &list[0];
    assert_eq!(
        (item["id"].as_str(), item["from"].as_str()),
        (Some(id.as_str()), Some("a@a.example")),
        "{item}"
    );
    assert_eq!(
        (item["to"].to_string().as_str(), item["tries"].as_u64()),
        (r#"["r1@x.example"]"#, Some(1)),
        "{item}"
    );
    assert!(item["last"].as_str().unwrap().contains("refused"), "{item}");
    let plain = smail(&sandbox, &["--queue"]);
    assert_eq!((plain.status, plain.stderr.as_str()), (0, ""));
    for word in [id.as_str(), "a@a.example", "r1@x.example", "refused"] {
        assert!(plain.stdout.contains(word), "{word}: {}", plain.stdout);
    }
    let show = smail(&sandbox, &["--queue-show", &id]);
    assert_eq!((show.status, show.stderr.as_str()), (0, ""));
    for word in [
        id.as_str(),
        "refused",
        "Subject: subj",
        "\r\n\r\nthe words\r\n",
    ] {
        assert!(show.stdout.contains(word), "{word}: {}", show.stdout);
    }
    let unknown = smail(&sandbox, &["--queue-show", "nosuchid"]);
    assert!(
        unknown.status != 0 && unknown.stderr.contains("nosuchid"),
        "{}: {}",
        unknown.status,
        unknown.stderr
    );
}

#[test]
fn mailq_speaks_as_postfix_does() {
    let sandbox = Sandbox::new();
    let none = sandbox.as_name("mailq", &[""; 0]).queued().run();
    assert_eq!(
        (none.status, none.stdout.as_str(), none.stderr.as_str()),
        (0, "Mail queue is empty\n", "")
    );
    let place = Place::reserve();
    let id = wait(&sandbox, &place);
    let one = sandbox.as_name("mailq", &[""; 0]).queued().run();
    let lines: Vec<_> = one.stdout.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>().join(" "),
        "-Queue ID- --Size-- ----Arrival Time---- -Sender/Recipient-------"
    );
    assert!(
        lines[1].starts_with(&id) && lines[1].ends_with("a@a.example"),
        "{}",
        one.stdout
    );
    assert!(
        lines[2].trim_start().starts_with('(')
            && lines[2].ends_with(')')
            && lines[2].contains("refused"),
        "{}",
        one.stdout
    );
    assert_eq!(lines[3].trim(), "r1@x.example", "{}", one.stdout);
    let last: Vec<_> = lines.last().unwrap().split(' ').collect();
    assert!(
        matches!(last[..], ["--", kb, "Kbytes", "in", "1", "Request."] if kb.parse::<u32>().is_ok()),
        "{}",
        one.stdout
    );
    wait(&sandbox, &place);
    let two = sandbox.as_name("mailq", &[""; 0]).queued().run();
    assert!(
        two.stdout.ends_with(" Kbytes in 2 Requests.\n"),
        "{}",
        two.stdout
    );
}

#[test]
fn a_flush_sends_the_very_bytes_that_were_stored() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let id = wait(&sandbox, &place);
    let show = smail(&sandbox, &["--queue-show", &id]).stdout;
    let stored = fs::read(sandbox.queue_dir().join(format!("q/{id}.msg"))).unwrap();
    let sink = Options::new().start_at(place);
    let flush = smail(&sandbox, &["--flush", &id]);
    assert_eq!(flush.status, 0, "{}", flush.stderr);
    let mail = sink.only_mail();
    assert!(show.ends_with(&mail.text()), "{show}");
    assert!(
        stored
            .windows(mail.data.len())
            .any(|part| part == mail.data),
        "{}",
        String::from_utf8_lossy(&stored)
    );
    assert!(
        mail.text().contains("\r\nMessage-ID: <") || mail.text().starts_with("Message-ID: <"),
        "{}",
        mail.text()
    );
    assert_eq!(
        (mail.from.as_str(), mail.to),
        ("a@a.example", vec!["r1@x.example".to_owned()])
    );
    empty(&sandbox);
}

#[test]
fn what_is_not_due_waits_and_what_is_due_goes_with_the_next_mail() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let first = wait(&sandbox, &place);
    let other = Options::new().start();
    silent(&mail(&sandbox, other.port(), &[]).run());
    let flush = smail(&sandbox, &["--flush"]);
    assert_eq!(
        (flush.status, sandbox.entries()),
        (0, vec![first.clone()]),
        "{}",
        flush.stderr
    );
    // Released, it is due at once.
    let release = smail(&sandbox, &["--release", &first]);
    assert_eq!(release.status, 0, "{}", release.stderr);
    let sink = Options::new().start_at(place);
    let none = mail(&sandbox, other.port(), &["-S", "queue-drain=0"]).run();
    silent(&none);
    assert_eq!(sandbox.entries(), [first]);
    silent(&mail(&sandbox, other.port(), &[]).run());
    assert_eq!(sink.only_mail().to, ["r1@x.example"]);
    assert_eq!(other.mails().len(), 3);
    empty(&sandbox);
}

#[test]
fn a_mail_comes_due_by_its_schedule() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let id = queued(
        &mail(&sandbox, place.port(), &["-S", "queue-schedule=1s"]).run(),
        "refused",
    );
    let next = list(&sandbox)[0]["next"].as_i64().unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let left = next - i64::try_from(now).unwrap();
    assert!(left <= 1000, "{left} ms");
    let sink = Options::new().start_at(place);
    let start = Instant::now();
    // Nothing tells that a time has come but the time.
    while sink.mails().is_empty() && start.elapsed() < Duration::from_secs(10) {
        assert_eq!(smail(&sandbox, &["--flush"]).status, 0);
    }
    assert_eq!(sink.only_mail().to, ["r1@x.example"], "{id}");
    empty(&sandbox);
}

#[test]
fn every_recipient_of_ten_has_its_own_result() {
    let sandbox = Sandbox::new();
    let sink = Options::new()
        .recipient("r4@x.example", "450 4.2.0 greylisted")
        .recipient("r7@x.example", "550 5.1.1 no such user")
        .start();
    let all: Vec<_> = (1..=10).map(|n| format!("r{n}@x.example")).collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    let outcome = to(&sandbox, sink.port(), &[], &all).run();
    assert_eq!(
        (outcome.status, outcome.stdout.as_str()),
        (67, ""),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome
            .stderr
            .contains("r7@x.example: 550 5.1.1 no such user"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("450 4.2.0 greylisted"),
        "{}",
        outcome.stderr
    );
    let id = id_said(&outcome.stderr);
    let taken: Vec<_> = all
        .iter()
        .filter(|a| !["r4@x.example", "r7@x.example"].contains(a))
        .collect();
    assert_eq!(sink.only_mail().to.iter().collect::<Vec<_>>(), taken);
    assert_eq!(list(&sandbox)[0]["to"].to_string(), r#"["r4@x.example"]"#);

    sink.answer("r4@x.example", "451 4.3.0 still not");
    let second = smail(&sandbox, &["--flush", &id]);
    assert_eq!(sandbox.entries(), [id.as_str()], "{}", second.stderr);
    assert_eq!(list(&sandbox)[0]["tries"], 2);

    sink.answer("r4@x.example", "250 2.1.5 now");
    smail(&sandbox, &["--flush", &id]);
    assert_eq!(recipients(&sink)[1..], [["r4@x.example"]]);
    let mails = sink.mails();
    assert_eq!(mails[0].text(), mails[1].text());
    assert_eq!(sandbox.queue_names("q"), [""; 0]);
    let asked = sink
        .dialogue()
        .iter()
        .filter(|line| line.contains("RCPT TO:<r7@"))
        .count();
    assert_eq!(
        asked,
        1,
        "a refusal is final:\n{}",
        sink.dialogue().join("\n")
    );
}

/// A program that notes each of its runs on a line of `$RUNS`, and the file that will hold them.
fn notifier(sandbox: &Sandbox) -> String {
    let runs = sandbox.path("runs");
    let text = format!(
        "#!/bin/sh\nprintf '%s|%s|%s|%s' \"$#\" \"$1\" \"$SMAIL_QUEUE_ID\" \"$SMAIL_QUEUE_TO\" >>'{0}'\necho >>'{0}'\n",
        runs.display()
    );
    sandbox
        .write_program("bin/notify", &text)
        .display()
        .to_string()
}

#[test]
fn a_mail_refused_for_all_is_kept_apart_and_told_of_once() {
    let sandbox = Sandbox::new();
    let sink = Options::new()
        .recipient("r1@x.example", "550 5.1.1 no such user")
        .start();
    let hook = format!(
        "on-failure={} '; touch PWNED; $(touch PWNED)'",
        notifier(&sandbox)
    );
    let outcome = mail(&sandbox, sink.port(), &["-S", &hook]).run();
    assert_eq!(
        (outcome.status, outcome.stdout.as_str()),
        (67, ""),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome
            .stderr
            .contains("r1@x.example: 550 5.1.1 no such user"),
        "{}",
        outcome.stderr
    );
    assert_eq!((sandbox.queue_names("q"), sink.mails().len()), (vec![], 0));
    let failed = sandbox.queue_names("failed");
    let id = failed[0].trim_end_matches(".log").to_owned();
    assert_eq!(failed, [format!("{id}.log"), format!("{id}.msg")]);
    assert!(outcome.stderr.contains(&id), "{}", outcome.stderr);
    let log = fs::read_to_string(sandbox.queue_dir().join("failed").join(&failed[0])).unwrap();
    assert!(log.contains("550 5.1.1 no such user"), "{log}");

    smail(&sandbox, &["-S", &hook, "--flush"]);
    smail(&sandbox, &["-S", &hook, "--queue-check"]);
    let runs = String::from_utf8(sandbox.read("runs").unwrap_or_default()).unwrap();
    assert_eq!(
        runs,
        format!("1|; touch PWNED; $(touch PWNED)|{id}|r1@x.example\n")
    );
    assert!(sandbox.read("PWNED").is_none());

    // Released, it goes.
    sink.answer("r1@x.example", "250 2.1.5 welcome");
    assert_eq!(smail(&sandbox, &["--release", &id]).status, 0);
    smail(&sandbox, &["--flush"]);
    assert_eq!(recipients(&sink), [["r1@x.example"]]);
    empty(&sandbox);
}

#[test]
fn a_mail_that_grew_too_old_is_given_up_and_not_deleted() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let hook = format!("on-failure={} x", notifier(&sandbox));
    let outcome = mail(
        &sandbox,
        place.port(),
        &["-S", "queue-lifetime=1ms", "-S", &hook],
    )
    .run();
    // Given up at the first attempt already, or at the next.
    if outcome.status == 0 {
        smail(
            &sandbox,
            &["-S", &hook, "--flush", &id_said(&outcome.stderr)],
        );
    }
    assert_eq!(
        (
            sandbox.queue_names("q"),
            sandbox.queue_names("failed").len()
        ),
        (vec![], 2),
        "{}",
        outcome.stderr
    );
    assert_eq!(
        String::from_utf8(sandbox.read("runs").unwrap())
            .unwrap()
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_held_mail_is_not_sent_until_it_is_released_and_a_removed_one_never() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let (held, removed) = (wait(&sandbox, &place), wait(&sandbox, &place));
    silent(&smail(&sandbox, &["--hold", &held]));
    silent(&smail(&sandbox, &["--remove", &removed]));
    assert_eq!(sandbox.entries(), [held.as_str()]);
    assert_eq!(list(&sandbox)[0]["state"], "held");
    let sink = Options::new().start_at(place);
    smail(&sandbox, &["--flush"]);
    assert_eq!((sink.mails().len(), sandbox.entries().len()), (0, 1));
    silent(&smail(&sandbox, &["--release", &held]));
    smail(&sandbox, &["--flush"]);
    assert_eq!(sink.mails().len(), 1);
    empty(&sandbox);
    for words in [
        ["--hold", "nosuchid"],
        ["--release", "nosuchid"],
        ["--remove", "nosuchid"],
        ["--remove", "../q/x"],
        ["--remove", ""],
    ] {
        let outcome = smail(&sandbox, &words);
        assert!(
            ![0, 70, 101].contains(&outcome.status),
            "{words:?}: {} {}",
            outcome.status,
            outcome.stderr
        );
    }
}

/// One connection that loses the answer to the dot, and one that goes well.
const DOUBTFUL: &str = "S: 220 mx.test ESMTP\nC: EHLO *\nS: 250 mx.test\nC: MAIL FROM:<a@a.example>*\nS: 250 ok\n\
    C: RCPT TO:<r1@x.example>\nS: 250 ok\nC: DATA\nS: 354 go\n-- data\n-- close\n== connection\n\
    S: 220 mx.test ESMTP\nC: EHLO *\nS: 250 mx.test\nC: MAIL FROM:<a@a.example>*\nS: 250 ok\n\
    C: RCPT TO:<r1@x.example>\nS: 250 ok\nC: DATA\nS: 354 go\n-- data\nS: 250 queued\n-- bye\n";

#[test]
fn a_mail_in_doubt_is_left_alone_unless_it_is_named() {
    let sandbox = Sandbox::new();
    let server = Server::play("doubtful", DOUBTFUL);
    let id = queued(
        &mail(&sandbox, server.port(), &["-S", "queue-schedule=1ms"]).run(),
        "in doubt",
    );
    assert_eq!(list(&sandbox)[0]["state"], "in doubt");
    let next = list(&sandbox)[0]["next"].as_i64().unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let left = next - i64::try_from(now).unwrap();
    assert!((590_000..=600_000).contains(&left), "{left} ms");
    smail(&sandbox, &["--flush"]);
    assert_eq!(sandbox.entries(), [id.as_str()]);
    smail(&sandbox, &["--flush", &id]);
    empty(&sandbox);
    let record = server.finish();
    let mails = record.mails();
    assert_eq!(
        (mails.len(), mails[0]),
        (2, mails[1]),
        "the same mail, with the same Message-ID"
    );
}

#[test]
fn a_mail_in_doubt_can_be_held() {
    let sandbox = Sandbox::new();
    let server = Server::play("doubtful", DOUBTFUL);
    let id = queued(
        &mail(&sandbox, server.port(), &["-S", "on-doubt=hold"]).run(),
        "in doubt",
    );
    assert_eq!(list(&sandbox)[0]["state"], "held");
    smail(&sandbox, &["--flush"]);
    assert_eq!(sandbox.entries(), [id.as_str()]);
    silent(&smail(&sandbox, &["--release", &id]));
    smail(&sandbox, &["--flush", &id]);
    empty(&sandbox);
    assert_eq!(server.finish().accepted(), 1);
}

#[test]
fn a_login_that_is_refused_keeps_queued_mail() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let config = |password: &str| {
        let text = format!(
            "smtp = \"127.0.0.1:{}\"\ntls = \"none\"\nauth-user = \"u\"\nauth-password = \"{password}\"\n",
            place.port()
        );
        sandbox.write("home/.config/smail/config.toml", text)
    };
    config("wr0ng-secret");
    let outcome = sandbox
        .smail(&["-r", "a@a.example", "-s", "s", "r1@x.example"])
        .stdin("x\n")
        .queued()
        .run();
    let id = queued(&outcome, "refused");
    let right = config("right-secret");
    let right = fs::read(right).unwrap();
    config("wr0ng-secret");
    let sink = Options::new().login("u", "right-secret").start_at(place);
    let flush = smail(&sandbox, &["--flush", &id]);
    assert_eq!(
        (sandbox.entries(), sink.mails().len()),
        (vec![id.clone()], 0),
        "{}",
        flush.stderr
    );
    assert!(
        list(&sandbox)[0]["last"].as_str().unwrap().contains("535"),
        "{:?}",
        list(&sandbox)
    );
    assert_eq!(sandbox.queue_names("failed"), [""; 0]);
    sandbox.write("home/.config/smail/config.toml", right);
    smail(&sandbox, &["--flush", &id]);
    assert_eq!(sink.only_mail().user.as_deref(), Some("u"));
    empty(&sandbox);
}

#[test]
fn a_server_that_closes_early_is_tried_again() {
    let sandbox = Sandbox::new();
    let server = Server::play(
        "rcpt421",
        "S: 220 mx.test\nC: EHLO *\nS: 250 mx.test\nC: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 421 4.7.0 bye\n-- close\n\
         == connection\nS: 220 mx.test\nC: EHLO *\nS: 250 mx.test\nC: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\n-- data\nS: 250 ok\n-- bye\n",
    );
    let id = queued(&mail(&sandbox, server.port(), &[]).run(), "421 4.7.0 bye");
    smail(&sandbox, &["--flush", &id]);
    assert_eq!(server.finish().accepted(), 1);
    empty(&sandbox);
}

#[test]
fn a_421_amid_a_flush_opens_another_connection() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let mut ids: Vec<_> = (0..3).map(|_| wait(&sandbox, &place)).collect();
    drop(place);
    let one = "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\n-- data\nS: 250 ok\n";
    let head = "S: 220 mx.test\nC: EHLO *\nS: 250 mx.test\n";
    // RSET between two mails is the client's choice.
    let next = |mail: &str| format!("-- either\nC: RSET\nS: 250 ok\n{mail}-- or\n{mail}-- end\n");
    let shown_out = next("C: MAIL FROM:*\nS: 421 4.3.2 going down\n-- close\n");
    let text = format!(
        "{head}{one}{shown_out}== connection\n{head}{one}{}-- bye\n",
        next(one)
    );
    let server = Server::play("421", &text);
    let smtp = format!("smtp=127.0.0.1:{}", server.port());
    ids.splice(0..0, ["-S".to_owned(), smtp, "--flush".to_owned()]);
    let words: Vec<_> = ids.iter().map(String::as_str).collect();
    let first = smail(&sandbox, &words);
    // The mail that met the 421 may go over the new connection, or wait for the next run.
    for _ in 0..sandbox.entries().len() {
        smail(&sandbox, &words);
    }
    assert_eq!(server.finish().accepted(), 3, "{}", first.stderr);
    empty(&sandbox);
}

#[test]
fn one_connection_carries_all_mail_of_an_account() {
    let sandbox = Sandbox::new();
    let (one, two) = (Place::reserve(), Place::reserve());
    let mut ids: Vec<_> = (0..20).map(|_| wait(&sandbox, &one)).collect();
    ids.extend((0..5).map(|_| wait(&sandbox, &two)));
    let (one, two) = (Options::new().start_at(one), Options::new().start_at(two));
    let mut words = vec!["--flush"];
    words.extend(ids.iter().map(String::as_str));
    let flush = smail(&sandbox, &words);
    assert_eq!(flush.status, 0, "{}", flush.stderr);
    assert_eq!((one.mails().len(), two.mails().len()), (20, 5));
    assert_eq!((one.sessions(), two.sessions()), (1, 1));
    empty(&sandbox);
}

#[test]
fn a_server_that_is_down_is_asked_once_for_all_its_mail() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let ids: Vec<_> = (0..6).map(|_| wait(&sandbox, &place)).collect();
    let greeting = Server::play("down", "S: 421 4.3.2 not now\n-- close\n");
    let smtp = format!("smtp=127.0.0.1:{}", greeting.port());
    let mut words = vec!["-S", &smtp, "--flush"];
    words.extend(ids.iter().map(String::as_str));
    smail(&sandbox, &words);
    greeting.finish();
    for item in list(&sandbox) {
        assert!(
            item["last"].as_str().unwrap().contains("421 4.3.2 not now"),
            "{item}"
        );
    }
}

#[test]
fn the_same_key_sends_once() {
    let sandbox = Sandbox::new();
    let sink = Options::new().start();
    let key = ["--idempotency-key", "nightly 2026/1"];
    silent(&mail(&sandbox, sink.port(), &key).run());
    silent(&mail(&sandbox, sink.port(), &key).run());
    sink.only_mail();
    let said = mail(&sandbox, sink.port(), &[&key[..], &["-v"]].concat()).run();
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert!(said.stderr.contains("nothing was sent"), "{}", said.stderr);
    sink.only_mail();
    silent(&mail(&sandbox, sink.port(), &["--idempotency-key", "another"]).run());
    assert_eq!(sink.mails().len(), 2);
}

#[test]
fn the_same_key_sends_once_even_at_the_same_time() {
    let sandbox = Sandbox::new();
    let sink = Options::new().start();
    let running: Vec<_> = (0..10)
        .map(|_| mail(&sandbox, sink.port(), &["--idempotency-key", "k"]).start())
        .collect();
    for one in running {
        silent(&one.finish());
    }
    sink.only_mail();
    empty(&sandbox);
}

#[test]
fn a_key_counts_while_its_mail_waits_and_not_after_it_was_refused() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let key = ["--idempotency-key", "k"];
    let id = queued(&mail(&sandbox, place.port(), &key).run(), "refused");
    assert_eq!(mail(&sandbox, place.port(), &key).run().status, 0);
    assert_eq!(sandbox.entries(), [id.as_str()]);
    let sink = Options::new()
        .recipient("r1@x.example", "550 5.1.1 no")
        .start_at(place);
    smail(&sandbox, &["--flush", &id]);
    assert_eq!(sandbox.entries(), [""; 0]);
    sink.answer("r1@x.example", "250 ok");
    silent(&mail(&sandbox, sink.port(), &key).run());
    sink.only_mail();
}

#[test]
fn without_the_queue_a_temporary_failure_is_75_and_leaves_no_file() {
    let place = Place::reserve();
    for (words, ci) in [
        (&["--no-queue"][..], false),
        (&["-S", "queue=false"], false),
        (&[], true),
    ] {
        let sandbox = Sandbox::new();
        let mut run = mail(&sandbox, place.port(), words);
        if ci {
            run = run.env("CI", "true");
        }
        let outcome = run.run();
        assert_eq!(
            (outcome.status, outcome.owes(&[])),
            (75, vec![]),
            "{words:?}: {}",
            outcome.stderr
        );
        assert!(!outcome.stderr.contains("queued"), "{}", outcome.stderr);
        assert!(!sandbox.queue_dir().exists(), "{words:?}");
    }
}

#[test]
fn the_queue_can_be_asked_for_in_ci() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    queued(
        &mail(&sandbox, place.port(), &["-S", "queue=true"])
            .env("CI", "true")
            .run(),
        "refused",
    );
}

#[test]
fn where_no_state_can_be_written_the_mail_goes_at_once_or_not_at_all() {
    let sandbox = Sandbox::new();
    let sink = Options::new().start();
    // The next place would be below the home directory.
    fs::remove_dir_all(sandbox.path("home/.local")).unwrap();
    sandbox.write("home/.local", "");
    let nowhere = |port| mail(&sandbox, port, &[]).env("XDG_STATE_HOME", "/dev/null/state");
    let good = nowhere(sink.port()).run();
    assert_eq!(good.status, 0, "{}", good.stderr);
    sink.only_mail();
    let bad = nowhere(Place::reserve().port()).run();
    assert_eq!(bad.status, 75, "{}", bad.stderr);
    // A directory that somebody named is another matter: it is not passed over in silence.
    let named = mail(
        &sandbox,
        sink.port(),
        &["-S", "queue=true", "-S", "queue-dir=/dev/null/q"],
    )
    .run();
    assert!(
        named.status != 0 || sink.mails().len() == 2,
        "{}: {}",
        named.status,
        named.stderr
    );
}

#[test]
fn a_directory_that_others_may_change_is_refused() {
    type Spoil = (&'static str, fn(&Sandbox));
    let spoil: &[Spoil] = &[
        ("group-writable", |sandbox| {
            fs::set_permissions(sandbox.queue_dir(), fs::Permissions::from_mode(0o770)).unwrap();
        }),
        ("group-writable q", |sandbox| {
            fs::set_permissions(
                sandbox.queue_dir().join("q"),
                fs::Permissions::from_mode(0o770),
            )
            .unwrap();
        }),
        ("a link", |sandbox| {
            fs::rename(sandbox.queue_dir(), sandbox.path("elsewhere")).unwrap();
            symlink(sandbox.path("elsewhere"), sandbox.queue_dir()).unwrap();
        }),
        ("q is a link", |sandbox| {
            fs::rename(sandbox.queue_dir().join("q"), sandbox.path("elsewhere")).unwrap();
            symlink(sandbox.path("elsewhere"), sandbox.queue_dir().join("q")).unwrap();
        }),
        ("another's", |sandbox| {
            std::os::unix::fs::chown(sandbox.queue_dir(), Some(65534), None).unwrap();
        }),
    ];
    let sink = Options::new().start();
    for (what, spoil) in spoil {
        if *what == "another's" && !rustix::process::geteuid().is_root() {
            eprintln!(
                "*** NOT TESTED: a queue folder of another user; only root can give one away ***"
            );
            continue;
        }
        let sandbox = Sandbox::new();
        wait(&sandbox, &Place::reserve());
        spoil(&sandbox);
        for outcome in [
            mail(&sandbox, sink.port(), &[]).run(),
            smail(&sandbox, &["--flush"]),
            smail(&sandbox, &["--queue"]),
        ] {
            assert_eq!(
                (outcome.status, outcome.owes(&[])),
                (78, vec![]),
                "{what}: {}",
                outcome.stderr
            );
            let path = sandbox.queue_dir().display().to_string();
            assert!(outcome.stderr.contains(&path), "{what}: {}", outcome.stderr);
        }
    }
    assert_eq!(sink.mails(), []);
}

#[test]
fn a_damaged_mail_is_set_aside_and_the_others_go() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let (good, bad) = (wait(&sandbox, &place), wait(&sandbox, &place));
    let path = |id: &str| sandbox.queue_dir().join(format!("q/{id}.msg"));
    let whole = fs::read(path(&bad)).unwrap();
    let sink = Options::new().start_at(place);
    // Cut short at each twentieth byte, and one bit turned at each.
    let damage = (0..whole.len()).step_by(20).flat_map(|at| {
        let mut turned = whole.clone();
        turned[at] ^= 1;
        [whole[..at].to_vec(), turned]
    });
    for bytes in damage {
        fs::write(path(&bad), &bytes).unwrap();
        let outcome = smail(&sandbox, &["--flush", &bad]);
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(sink.mails(), [], "{text}");
        if text.starts_with("SMAILQ ")
            && !text.starts_with("SMAILQ 1\n")
            && text.lines().next().unwrap()[7..].parse::<u32>().is_ok()
        {
            // A turned bit made it a newer one.
            continue;
        }
        assert!(
            outcome.status != 0 && outcome.stderr.contains(&bad),
            "{}: {}\n{text}",
            outcome.status,
            outcome.stderr
        );
        assert!(
            sandbox
                .queue_names("corrupt")
                .contains(&format!("{bad}.msg")),
            "{}\n{text}",
            outcome.stderr
        );
        assert_eq!(sandbox.entries(), [good.as_str()]);
        assert_ne!(smail(&sandbox, &["--queue-check"]).status, 0);
        smail(&sandbox, &["--remove", &bad]);
        assert_eq!(sandbox.queue_names("corrupt"), [""; 0]);
    }
    fs::write(path(&bad), &whole[..whole.len() / 2]).unwrap();
    smail(&sandbox, &["--flush", &good, &bad]);
    sink.only_mail();
    assert_eq!(sandbox.entries(), [""; 0]);
}

#[test]
fn a_mail_of_a_newer_smail_is_left_alone() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let (id, other) = (wait(&sandbox, &place), wait(&sandbox, &place));
    let path = sandbox.queue_dir().join(format!("q/{id}.msg"));
    let newer = fs::read(&path).unwrap().replace(b"SMAILQ 1", b"SMAILQ 2");
    fs::write(&path, &newer).unwrap();
    let sink = Options::new().start_at(place);
    for words in [
        &["--flush", id.as_str(), other.as_str()][..],
        &["--queue-check"],
        &["--queue-show", &id],
    ] {
        let outcome = smail(&sandbox, words);
        assert_eq!(outcome.status, 78, "{words:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(&id) && outcome.stderr.contains("newer"),
            "{words:?}: {}",
            outcome.stderr
        );
    }
    assert_eq!(fs::read(&path).unwrap(), newer);
    assert_eq!(sink.mails().len(), 1, "the other one goes");
}

trait Replace {
    fn replace(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl Replace for Vec<u8> {
    fn replace(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = self
            .windows(from.len())
            .position(|part| part == from)
            .unwrap();
        [&self[..at], to, &self[at + from.len()..]].concat()
    }
}

#[test]
fn a_torn_last_line_of_a_journal_did_not_happen() {
    let sandbox = Sandbox::new();
    let sink = Options::new()
        .recipient("r2@x.example", "450 4.2.0 later")
        .start();
    let outcome = to(
        &sandbox,
        sink.port(),
        &[],
        &["r1@x.example", "r2@x.example"],
    )
    .run();
    let id = id_said(&outcome.stderr);
    let path = sandbox.queue_dir().join(format!("q/{id}.log"));
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], b"1f2e3d4c {\"event\":\"acc"].concat()).unwrap();
    assert_eq!(smail(&sandbox, &["--queue-check"]).status, 0);
    sink.answer("r2@x.example", "250 ok");
    smail(&sandbox, &["--flush", &id]);
    assert_eq!(recipients(&sink), [["r1@x.example"], ["r2@x.example"]]);
    empty(&sandbox);
}

#[test]
fn a_whole_last_line_of_a_journal_that_is_damaged_is_no_torn_one() {
    // The last line says who was accepted, and is damaged: in its sum, in its text, at its end.
    for from_end in [1, 2, 20, 60] {
        let sandbox = Sandbox::new();
        let sink = Options::new()
            .recipient("r2@x.example", "450 4.2.0 later")
            .start();
        let outcome = to(
            &sandbox,
            sink.port(),
            &[],
            &["r1@x.example", "r2@x.example"],
        )
        .run();
        let id = id_said(&outcome.stderr);
        let path = sandbox.queue_dir().join(format!("q/{id}.log"));
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(list(&sandbox)[0]["state"], "damaged");
        let flush = smail(&sandbox, &["--flush", &id]);
        let why = format!("smail: message {id}: its journal is damaged at line ");
        assert!(
            flush.status == 74 && flush.stderr.starts_with(&why),
            "{from_end}: {}",
            flush.stderr
        );
        assert_eq!(
            (sink.mails().len(), sandbox.queue_names("corrupt").len()),
            (1, 2),
            "{from_end}"
        );
    }
}

#[test]
fn a_key_whose_last_line_is_damaged_sends_nothing() {
    let sandbox = Sandbox::new();
    let sink = Options::new().start();
    let key = ["--idempotency-key", "k"];
    silent(&mail(&sandbox, sink.port(), &key).run());
    let path = sandbox.queue_dir().join("keys/k");
    let noted = fs::read_to_string(&path).unwrap();
    fs::write(&path, noted.replace("done", "dona")).unwrap();
    let outcome = mail(&sandbox, sink.port(), &key).run();
    let said = format!(
        "smail: the key file {}: its last line is damaged\n",
        path.display()
    );
    assert!(
        outcome.status == 74 && outcome.stderr.starts_with(&said),
        "{}: {}",
        outcome.status,
        outcome.stderr
    );
    sink.only_mail();
    // What is torn did not happen.
    fs::write(&path, noted + "\nfree 1").unwrap();
    silent(&mail(&sandbox, sink.port(), &key).run());
    sink.only_mail();
}

/// Turns the times of a mail and of its journal back: what a machine that was off, or whose clock
/// was wrong, finds.
fn age(sandbox: &Sandbox, id: &str, milliseconds: i64) {
    let older = |line: &str| {
        let mut json: serde_json::Value = serde_json::from_str(line).unwrap();
        for name in ["at", "next", "created", "expires"] {
            if let Some(time) = json.get(name).and_then(serde_json::Value::as_i64) {
                json[name] = (time - milliseconds).into();
            }
        }
        json.to_string()
    };
    let path = |end: &str| sandbox.queue_dir().join(format!("q/{id}.{end}"));
    let journal = fs::read_to_string(path("log")).unwrap();
    let lines = journal.lines().map(|line| older(&line[9..]));
    let lines: Vec<_> = lines
        .map(|line| format!("{:08x} {line}\n", crc32fast::hash(line.as_bytes())))
        .collect();
    fs::write(path("log"), lines.concat()).unwrap();
    let whole = String::from_utf8(fs::read(path("msg")).unwrap()).unwrap();
    let (front, end) = whole.rsplit_once("END ").unwrap();
    let parts: Vec<_> = front.splitn(3, '\n').collect();
    let front = [parts[0], &older(parts[1]), parts[2]].join("\n");
    let end = format!(
        "END {} {:08x}\n",
        end.split_once(' ').unwrap().0,
        crc32fast::hash(front.as_bytes())
    );
    fs::write(path("msg"), front + &end).unwrap();
}

const DAY: i64 = 24 * 3600 * 1000;

#[test]
fn a_mail_whose_time_is_over_is_tried_before_it_is_given_up() {
    // Off for longer than the lifetime; a clock that was ten years behind, and one that was ten
    // years ahead.
    for days in [6, 3650, -3650] {
        let sandbox = Sandbox::new();
        let place = Place::reserve();
        let id = wait(&sandbox, &place);
        age(&sandbox, &id, days * DAY);
        let flush = smail(&sandbox, &["--flush"]);
        assert_eq!(
            (flush.status, sandbox.entries()),
            (75, vec![id.clone()]),
            "{days}: {}",
            flush.stderr
        );
        assert_eq!(list(&sandbox)[0]["tries"], 2, "{days}");
        age(&sandbox, &id, days * DAY);
        let sink = Options::new().start_at(place);
        silent(&smail(&sandbox, &["--flush"]));
        sink.only_mail();
        empty(&sandbox);
    }
}

#[test]
fn a_mail_is_given_up_after_it_was_tried_for_its_lifetime_and_that_is_told() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let id = wait(&sandbox, &place);
    let mut runs = 0;
    let given_up = loop {
        age(&sandbox, &id, DAY + 60_000);
        let flush = smail(&sandbox, &["--flush"]);
        runs += 1;
        if flush.status != 75 || runs > 9 {
            break flush;
        }
    };
    assert_eq!((given_up.status, runs), (69, 5), "{}", given_up.stderr);
    assert!(
        given_up
            .stderr
            .starts_with(&format!("smail: message {id} was given up: ")),
        "{}",
        given_up.stderr
    );
    assert_eq!(
        (sandbox.entries(), sandbox.queue_names("failed").len()),
        (vec![], 2)
    );
    // Released, it has a new lifetime.
    silent(&smail(&sandbox, &["--release", &id]));
    assert_eq!(
        (smail(&sandbox, &["--flush"]).status, sandbox.entries()),
        (75, vec![id])
    );
}

#[test]
fn a_mail_that_is_given_up_while_another_is_sent_is_told_and_logged() {
    for sendmail in [false, true] {
        let sandbox = Sandbox::new();
        let place = Place::reserve();
        let id = queued(
            &mail(&sandbox, place.port(), &["-S", "queue-lifetime=1ms"]).run(),
            "refused",
        );
        age(&sandbox, &id, DAY);
        let sink = Options::new().start();
        let log = format!("log={}", sandbox.path("log").display());
        let smtp = format!("smtp=127.0.0.1:{}", sink.port());
        let words = [
            "-S",
            &log,
            "-S",
            &smtp,
            "-S",
            "tls=none",
            "-r",
            "a@a.example",
            "r2@x.example",
        ];
        sandbox.write(
            "home/.config/smail/config.toml",
            format!(
                "smtp = \"127.0.0.1:{}\"\ntls = \"none\"\nlog = \"{}\"\n",
                sink.port(),
                sandbox.path("log").display()
            ),
        );
        let outcome = if sendmail {
            sandbox
                .as_name("sendmail", &["-f", "a@a.example", "r2@x.example"])
                .stdin("Subject: s\n\nx\n")
                .queued()
                .run()
        } else {
            sandbox.smail(&words).stdin("x\n").queued().run()
        };
        assert_eq!(
            (outcome.status, sink.mails().len()),
            (0, 1),
            "{}",
            outcome.stderr
        );
        assert!(
            outcome
                .stderr
                .starts_with(&format!("smail: message {id} was given up: ")),
            "{}",
            outcome.stderr
        );
        let log = String::from_utf8(sandbox.read("log").unwrap()).unwrap();
        let last = log
            .lines()
            .find(|line| line.contains(&id) && line.contains("status=failed"));
        assert!(
            last.is_some_and(|line| line.contains("error=\"given up: ")),
            "{log}"
        );
        assert_eq!(sandbox.queue_names("failed").len(), 2);
    }
}

#[test]
fn a_journal_damaged_in_the_middle_is_never_guessed_at() {
    let sandbox = Sandbox::new();
    let sink = Options::new()
        .recipient("r2@x.example", "450 4.2.0 later")
        .start();
    let outcome = to(
        &sandbox,
        sink.port(),
        &[],
        &["r1@x.example", "r2@x.example"],
    )
    .run();
    let id = id_said(&outcome.stderr);
    let path = sandbox.queue_dir().join(format!("q/{id}.log"));
    let mut bytes = fs::read(&path).unwrap();
    bytes[12] ^= 1;
    fs::write(&path, bytes).unwrap();
    let flush = smail(&sandbox, &["--flush", &id]);
    assert_ne!(flush.status, 0, "{}", flush.stderr);
    assert_eq!(
        (
            sink.mails().len(),
            sandbox.queue_names("corrupt").len(),
            sandbox.entries().len()
        ),
        (1, 2, 0),
        "{}",
        flush.stderr
    );
}

#[test]
fn no_secret_is_written_down() {
    type Way<'w> = (&'w str, &'w [&'w str], Option<(&'w str, &'w str)>);
    let place = Place::reserve();
    let url = format!("smtp=smtp://u:url-s3cret@127.0.0.1:{}", place.port());
    let plain = format!("smtp=127.0.0.1:{}", place.port());
    let ways: [Way<'_>; 4] = [
        (
            "set-s3cret",
            &[
                "-S",
                &plain,
                "-S",
                "auth-user=u",
                "-S",
                "auth-password=set-s3cret",
            ],
            None,
        ),
        ("url-s3cret", &["-S", &url], None),
        (
            "env-s3cret",
            &["-S", &plain, "-S", "auth-user=u"],
            Some(("SMAIL_AUTH_PASSWORD", "env-s3cret")),
        ),
        (
            "host-s3cret",
            &[
                "-S",
                &plain,
                "-S",
                "auth-user=u",
                "-S",
                "password-u@127.0.0.1=host-s3cret",
            ],
            None,
        ),
    ];
    for (secret, words, variable) in ways {
        let sandbox = Sandbox::new();
        let mut run = sandbox.smail(words).queued().stdin("x\n");
        for word in [
            "-S",
            "tls=none",
            "-r",
            "a@a.example",
            "-s",
            "s",
            "r1@x.example",
        ] {
            run = run.arg(word);
        }
        if let Some((name, value)) = variable {
            run = run.env(name, value);
        }
        let outcome = run.run();
        let id = queued(&outcome, "refused");
        let mut everything = outcome.stderr;
        for dir in ["", "q", "keys", "failed"] {
            for name in sandbox.queue_names(dir) {
                let bytes = fs::read(sandbox.queue_dir().join(dir).join(name)).unwrap_or_default();
                everything.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        everything.push_str(&smail(&sandbox, &["--queue-show", &id]).stdout);
        everything.push_str(&smail(&sandbox, &["--queue", "--json"]).stdout);
        assert!(everything.contains("Subject: s"));
        assert!(!everything.contains("s3cret"), "{secret}: {everything}");
    }
}

#[test]
fn what_the_command_line_said_of_the_way_still_counts_when_the_mail_goes_later() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let words = ["-S", "hello-name=special.example"];
    let id = queued(&mail(&sandbox, place.port(), &words).run(), "refused");
    let sink = Options::new().start_at(place);
    let outcome = smail(&sandbox, &["--flush", &id]);
    sink.only_mail();
    assert!(
        sink.dialogue()
            .contains(&"C: EHLO special.example".to_owned()),
        "{}\n{}",
        outcome.stderr,
        sink.dialogue().join("\n")
    );
}

#[test]
fn files_and_directories_are_private_whatever_the_umask() {
    for umask in ["000", "022", "777"] {
        let sandbox = Sandbox::new();
        let place = Place::reserve();
        let (script, smtp) = (
            format!("umask {umask}; exec \"$@\""),
            format!("smtp=127.0.0.1:{}", place.port()),
        );
        let words = [
            "-S",
            &smtp,
            "-S",
            "tls=none",
            "--idempotency-key",
            "k",
            "-r",
            "a@a.example",
            "-s",
            "s",
            "r1@x.example",
        ];
        let outcome = sandbox
            .under(&["/bin/sh", "-c", &script, "sh"], &words)
            .stdin("x\n")
            .queued()
            .run();
        queued(&outcome, "refused");
        let mut dirs = vec![sandbox.queue_dir()];
        while let Some(dir) = dirs.pop() {
            assert_eq!(
                fs::metadata(&dir).unwrap().mode() & 0o7777,
                0o700,
                "umask {umask}: {}",
                dir.display()
            );
            for entry in fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    assert_eq!(
                        fs::metadata(&path).unwrap().mode() & 0o7777,
                        0o600,
                        "umask {umask}: {}",
                        path.display()
                    );
                }
            }
        }
        assert_eq!(sandbox.entries().len(), 1);
    }
}

#[test]
fn an_attachment_is_stored_with_the_mail() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let file = sandbox.write(
        "data.bin",
        (0..=255).cycle().take(200_000).collect::<Vec<u8>>(),
    );
    let id = queued(
        &mail(&sandbox, place.port(), &["-a", file.to_str().unwrap()]).run(),
        "refused",
    );
    fs::remove_file(&file).unwrap();
    let sink = Options::new().start_at(place);
    smail(&sandbox, &["--flush", &id]);
    assert!(sink.only_mail().data.len() > 260_000);
    empty(&sandbox);
}

#[test]
fn json_says_that_the_mail_waits() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let outcome = mail(&sandbox, place.port(), &["--json"]).run();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let json: serde_json::Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{e}: {}", outcome.stdout));
    assert!(json.to_string().contains(&sandbox.entries()[0]), "{json:#}");
}

#[test]
fn an_interrupt_before_the_dot_keeps_the_mail() {
    let sandbox = Sandbox::new();
    let server = Server::play(
        "interrupt",
        "S: 220 mx.test\nC: EHLO *\nS: 250 mx.test\nC: MAIL FROM:*\n-- hang\n",
    );
    let running = mail(&sandbox, server.port(), &[]).start();
    server.wait_for("MAIL FROM:*");
    running.signal(rustix::process::Signal::TERM);
    let outcome = running.finish();
    assert_eq!(server.finish().accepted(), 0);
    assert_eq!(
        sandbox.entries().len(),
        1,
        "{}: {}",
        outcome.status,
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains(&sandbox.entries()[0]),
        "{}: {}",
        outcome.status,
        outcome.stderr
    );
}

#[test]
fn many_flushes_at_once_send_every_mail_once() {
    let sandbox = Sandbox::new();
    let place = Place::reserve();
    let ids: Vec<_> = (0..30).map(|_| wait(&sandbox, &place)).collect();
    let sink = Options::new().start_at(place);
    let mut words = vec!["--flush"];
    words.extend(ids.iter().map(String::as_str));
    let running: Vec<_> = (0..8)
        .map(|_| sandbox.smail(&words).queued().start())
        .collect();
    for one in running {
        one.finish();
    }
    let mut texts: Vec<_> = sink
        .mails()
        .iter()
        .map(crate::support::sink::Mail::text)
        .collect();
    texts.sort();
    texts.dedup();
    assert_eq!((texts.len(), sink.mails().len()), (30, 30));
    empty(&sandbox);
}
