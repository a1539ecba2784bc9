//! What is told of mail that waits or is given up: by a notice to its sender, and in the lists; and
//! what the result of one mail tells the others.
use std::process::Command;

use crate::support::obstacle;
use crate::support::sandbox::{Outcome, Sandbox, entries_in, with_mounts};
use crate::support::sink::{Options, Place};

/// A world whose settings lead to a server, with more lines.
fn sandbox(place: &Place, more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let text = format!(
        "smtp = \"127.0.0.1:{}\"\ntls = \"none\"\n{more}",
        place.port()
    );
    sandbox.write("home/.config/smail/config.toml", text);
    sandbox
}

/// Queues a mail while the server is down.
fn keep(sandbox: &Sandbox, from: &str, more: &[&str]) -> String {
    let mut words = vec!["-r", from, "-s", "Grüße", "r1@x.example"];
    words.splice(0..0, more.iter().copied());
    let outcome = sandbox.smail(&words).stdin("x\n").queued().run();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let said = outcome
        .stderr
        .split_once("queued as ")
        .unwrap_or_else(|| panic!("{}", outcome.stderr))
        .1;
    said.split(':').next().unwrap().to_owned()
}

fn flush(sandbox: &Sandbox) -> Outcome {
    sandbox.smail(&["--flush"]).queued().run()
}

/// Names every mail, as one that waits for its time is only sent when it is named.
fn flush_all(sandbox: &Sandbox) -> Outcome {
    let mut words = vec!["--flush".to_owned()];
    words.extend(sandbox.entries());
    sandbox.smail(&words).queued().run()
}

/// What Python's parser makes of a mail.
fn parsed(mail: &str) -> String {
    let script = r#"
import sys, email, email.policy
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
print(m.get_content_type(), m.get_param("report-type"), len(m.defects))
print(m["Auto-Submitted"], m["To"], m["In-Reply-To"] == m["References"])
text, status, headers = m.get_payload()
print("What to do:" in text.get_content(), "550 5.1.1 unknown" in text.get_content(), "Grüße" in text.get_content())
whole, one = status.get_payload()
print(whole["Reporting-MTA"], "|", one["Final-Recipient"], one["Action"], one["Status"], one["Diagnostic-Code"])
print(email.message_from_string(headers.get_content())["To"])
"#;
    let input = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(input.path(), mail).unwrap();
    let output = Command::new("python3")
        .args(["-X", "utf8", "-c", script])
        .stdin(std::fs::File::open(input.path()).unwrap())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn where_the_system_names_the_queue_the_sender_gets_a_notice_without_a_setting() {
    if obstacle::stops("settings of the system", obstacle::without_root()) {
        return;
    }
    for (of_system, notices) in [(true, 1), (false, 0)] {
        let (place, sandbox) = (Place::reserve(), Sandbox::new());
        let queue = sandbox.path("service/queue");
        std::fs::create_dir_all(queue.parent().unwrap()).unwrap();
        let named = format!("queue-dir = \"{}\"\n", queue.display());
        let server = format!("smtp = \"127.0.0.1:{}\"\ntls = \"none\"\n", place.port());
        let (system, user) = if of_system {
            (server + &named, String::new())
        } else {
            (server, named)
        };
        let system = sandbox.write("service/config.toml", system);
        sandbox.write("home/.config/smail/config.toml", user);
        let script = format!(
            "mount -t tmpfs none /etc && mkdir /etc/smail && cp {} /etc/smail/config.toml && \
             exec \"$@\"",
            system.display()
        );
        let run = |words: &[&str]| {
            let run = sandbox.under(&with_mounts(&script), words).queued();
            run.stdin("x\n").run()
        };
        let outcome = run(&["-r", "a@a.example", "-s", "s", "r1@x.example"]);
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
        let id = entries_in(&queue).remove(0);
        let sink = Options::new()
            .recipient("r1@x.example", "550 5.1.1 unknown")
            .start_at(place);
        assert_eq!(run(&["--flush", &id]).status, 69);
        assert_eq!(sink.mails().len(), notices, "{of_system}");
        if let Some(notice) = sink.mails().first() {
            assert!(notice.text().contains("multipart/report"));
        }
    }
}

#[test]
fn the_sender_of_a_mail_that_is_refused_later_gets_one_notice() {
    let place = Place::reserve();
    let sandbox = sandbox(&place, "failure-notice = \"mail\"\n");
    let id = keep(&sandbox, "a@a.example", &[]);
    let sink = Options::new()
        .recipient("r1@x.example", "550 5.1.1 unknown")
        .start_at(place);
    let outcome = flush_all(&sandbox);
    let told =
        format!("smail: message {id} was given up: 550 5.1.1 unknown (smail --queue-show {id})\n");
    assert_eq!((outcome.status, outcome.stderr), (69, told));
    let notice = sink.only_mail();
    assert_eq!(
        (notice.from.as_str(), notice.to.as_slice()),
        ("", &["a@a.example".to_owned()][..])
    );
    assert_eq!(
        parsed(&notice.text()),
        "multipart/report delivery-status 0\nauto-replied a@a.example True\nTrue True True\n\
         dns; a.example | rfc822; r1@x.example failed 5.1.1 smtp; 550 5.1.1 unknown\nr1@x.example\n"
    );
    // Nothing waits; the mail is kept among those that failed.
    assert_eq!(
        (sandbox.entries(), sandbox.queue_names("failed").len()),
        (vec![], 2)
    );
    assert_eq!((flush(&sandbox).status, sink.mails().len()), (0, 1));
    let mailq = sandbox.as_name("mailq", &[""; 0]).queued().run();
    assert!(
        mailq
            .stdout
            .starts_with(&format!("Mail queue is empty\n{id}#")),
        "{}",
        mailq.stdout
    );
    assert!(
        mailq.stdout.contains("(550 5.1.1 unknown)\n"),
        "{}",
        mailq.stdout
    );
}

#[test]
fn a_crash_between_a_notice_and_the_end_of_its_mail_makes_no_second_one() {
    let place = Place::reserve();
    let sandbox = sandbox(&place, "failure-notice = \"mail\"\n");
    let id = keep(&sandbox, "a@a.example", &[]);
    let sink = Options::new()
        .recipient("r1@x.example", "550 5.1.1 unknown")
        .start_at(place);
    assert_eq!((flush_all(&sandbox).status, sink.mails().len()), (69, 1));
    // As if it had ended before the two files were moved.
    for end in ["msg", "log"] {
        let at = |dir: &str| sandbox.queue_dir().join(format!("{dir}/{id}.{end}"));
        std::fs::rename(at("failed"), at("q")).unwrap();
    }
    assert_eq!((flush_all(&sandbox).status, sink.mails().len()), (69, 1));
    assert_eq!(
        (sandbox.entries(), sandbox.queue_names("failed").len()),
        (vec![], 2)
    );
}

#[test]
fn no_notice_where_none_is_wanted_and_none_of_a_notice() {
    let rows: [(&str, &[&str]); 3] = [
        ("", &[]),
        ("failure-notice = \"none\"\n", &[]),
        ("failure-notice = \"mail\"\n", &["--dsn-notify", "never"]),
    ];
    for (setting, more) in rows {
        let place = Place::reserve();
        let sandbox = sandbox(&place, setting);
        keep(&sandbox, "a@a.example", more);
        let sink = Options::new()
            .recipient("r1@x.example", "550 5.1.1 unknown")
            .start_at(place);
        assert_eq!(
            (flush_all(&sandbox).status, sink.mails().len()),
            (69, 0),
            "{setting}{more:?}"
        );
    }
    // The notice is refused too: two mails failed, and nobody writes of the second.
    let place = Place::reserve();
    let sandbox = sandbox(&place, "failure-notice = \"mail\"\n");
    keep(&sandbox, "a@a.example", &[]);
    let sink = Options::new()
        .recipient("r1@x.example", "550 5.1.1 unknown")
        .recipient("a@a.example", "550 5.1.1 gone")
        .start_at(place);
    let outcome = flush_all(&sandbox);
    assert_eq!(
        (outcome.status, outcome.stderr.lines().count()),
        (69, 2),
        "{}",
        outcome.stderr
    );
    assert_eq!(
        (
            sink.mails().len(),
            sandbox.entries(),
            sandbox.queue_names("failed").len()
        ),
        (0, vec![], 4)
    );
}

#[test]
fn a_caller_that_was_told_by_the_status_gets_no_notice() {
    let place = Place::reserve();
    let sandbox = sandbox(&place, "failure-notice = \"mail\"\n");
    let sink = Options::new()
        .recipient("r1@x.example", "550 5.1.1 unknown")
        .start_at(place);
    let outcome = sandbox
        .smail(&["-r", "a@a.example", "-s", "s", "r1@x.example"])
        .stdin("x\n")
        .queued()
        .run();
    assert_eq!(
        (outcome.status, sink.mails().len()),
        (67, 0),
        "{}",
        outcome.stderr
    );
}

#[test]
fn one_wrong_password_is_tried_once_in_a_run_whoever_sends() {
    let place = Place::reserve();
    let sandbox = sandbox(
        &place,
        "auth-user = \"u\"\nauth-password = \"wr0ng-secret\"\n",
    );
    (0..5).for_each(|n| drop(keep(&sandbox, &format!("a{n}@a.example"), &[])));
    let sink = Options::new().login("u", "right-secret").start_at(place);
    assert_eq!(flush_all(&sandbox).status, 75);
    assert_eq!(sink.sessions(), 1, "{:?}", sink.dialogue());
    assert_eq!(sandbox.entries().len(), 5);
}

#[test]
fn senders_of_one_account_share_a_connection_and_those_with_another_password_do_not() {
    let place = Place::reserve();
    let sandbox = sandbox(
        &place,
        "auth-user = \"u\"\nauth-password = \"right-secret\"\n",
    );
    (0..5).for_each(|n| drop(keep(&sandbox, &format!("a{n}@a.example"), &[])));
    let sink = Options::new().login("u", "right-secret").start_at(place);
    let outcome = flush_all(&sandbox);
    assert_eq!(
        (outcome.status, sink.mails().len(), sink.sessions()),
        (0, 5, 1),
        "{}",
        outcome.stderr
    );
    drop(sink);

    let place = Place::reserve();
    let sandbox = Sandbox::new();
    let server = format!("set smtp=127.0.0.1:{} tls=none auth-user=u\n", place.port());
    let each = "set auth-password-a0@a.example=wr0ng-secret\nset auth-password-a1@a.example=right-secret\n";
    sandbox.write("home/.mailrc", server + each);
    (0..2).for_each(|n| drop(keep(&sandbox, &format!("a{n}@a.example"), &[])));
    let sink = Options::new().login("u", "right-secret").start_at(place);
    let outcome = flush_all(&sandbox);
    assert_eq!(
        (outcome.status, sink.mails().len(), sink.sessions()),
        (75, 1, 2),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_reason_in_the_lists_is_that_of_those_who_wait() {
    let place = Place::reserve();
    let sandbox = sandbox(&place, "");
    let sink = Options::new()
        .recipient("r1@x.example", "452 4.2.2 mailbox full")
        .start_at(place);
    let words = [
        "-r",
        "a@a.example",
        "-s",
        "s",
        "r1@x.example",
        "r2@x.example",
    ];
    let outcome = sandbox.smail(&words).stdin("x\n").queued().run();
    assert_eq!(
        (outcome.status, sink.mails().len()),
        (0, 1),
        "{}",
        outcome.stderr
    );
    for outcome in [
        sandbox.smail(&["--queue"]).queued().run(),
        sandbox.as_name("mailq", &[""; 0]).queued().run(),
    ] {
        assert!(
            outcome.stdout.contains("452 4.2.2 mailbox full"),
            "{}",
            outcome.stdout
        );
        assert!(
            !outcome.stdout.contains("250") && !outcome.stdout.contains("r2@"),
            "{}",
            outcome.stdout
        );
    }
}
