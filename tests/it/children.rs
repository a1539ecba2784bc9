//! Each program that smail starts, and what it may do: hang, ignore signals, fail, flood, read
//! nothing, not be there, and look for secrets in its environment.
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::sandbox::{Outcome, Run, Sandbox};
use crate::support::sink::{Options, Sink};
use rustix::process::Signal;

/// How a program comes to be started.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Child {
    Mta,
    OnFailure,
    Password,
    Netrc,
}

const ALL: [Child; 4] = [Child::Mta, Child::OnFailure, Child::Password, Child::Netrc];

/// A server that refuses the recipient, and wants a login where one is to be made.
fn server(child: Child) -> Sink {
    let refusing = Options::new().recipient("r1@x.example", "550 5.1.1 no such user");
    if child == Child::OnFailure {
        refusing.start()
    } else {
        Options::new().login("u", "pw").start()
    }
}

/// Prepares a mail on whose way this program is run.
fn mail<'w>(sandbox: &'w Sandbox, child: Child, sink: &Sink, program: &str) -> Run<'w> {
    let smtp = format!("smtp=127.0.0.1:{}", sink.port());
    let mut words = vec![
        "-S",
        "tls=none",
        "-S",
        "timeout=20",
        "-S",
        "from=a@a.example",
        "-S",
        "user-agent",
    ];
    let set = match child {
        Child::Mta => format!("mta={program}"),
        Child::OnFailure => format!("on-failure={program}"),
        Child::Password => format!("auth-password-command={program}"),
        Child::Netrc => format!("netrc-command={program}"),
    };
    if child != Child::Mta {
        words.extend(["-S", &smtp]);
    }
    words.extend(match child {
        Child::Mta | Child::OnFailure => &[][..],
        Child::Password => &["-S", "auth-user=u"],
        Child::Netrc => &["-S", "auth-user=u", "-S", "netrc-lookup"],
    });
    words.extend(["-S", &set, "r1@x.example"]);
    let run = sandbox.smail(&words).stdin("the words\n");
    if child == Child::OnFailure {
        run.queued()
    } else {
        run
    }
}

fn run(sandbox: &Sandbox, child: Child, script: &str) -> Outcome {
    let program = sandbox.write_program("bin/child", &format!("#!/bin/sh\n{script}\n"));
    mail(sandbox, child, &server(child), program.to_str().unwrap()).run()
}

/// What has to stand before what a script does, so that it succeeds where it prints a secret or
/// takes a mail.
fn well(child: Child) -> &'static str {
    match child {
        Child::Mta => "cat >/dev/null",
        Child::OnFailure => "",
        Child::Password => "echo pw",
        Child::Netrc => "echo machine 127.0.0.1 login u password pw",
    }
}

#[test]
fn no_program_finds_a_secret_in_its_environment() {
    for child in ALL {
        let sandbox = Sandbox::new();
        let script = format!("env >{}\n{}", sandbox.path("env").display(), well(child));
        let program = sandbox.write_program("bin/child", &format!("#!/bin/sh\n{script}\n"));
        let sink = server(child);
        let mut run = mail(&sandbox, child, &sink, program.to_str().unwrap());
        // None of them is in the way of the one that is looked for.
        for name in [
            "SMAIL_X_PASSWORD",
            "SMAIL_NAME",
            "SMAIL_ORGANIZATION",
            "SMAIL_HEADERS",
        ] {
            run = run.env(name, "X-Secret: s3cret-pw");
        }
        if matches!(child, Child::Mta) {
            run = run
                .env("SMAIL_AUTH_PASSWORD", "s3cret-pw")
                .env("SMAIL_PROXY", "socks5://u:s3cret-pw@127.0.0.1:9");
            run = run
                .env("SMAIL_SMTP", "smtps://u:s3cret-pw@h.example")
                .env("smtp-auth-password", "s3cret-pw");
        }
        let outcome = run.env("CREDENTIALS_DIRECTORY", "/run/credentials/x").run();
        assert_eq!(
            outcome.status,
            if child == Child::OnFailure { 67 } else { 0 },
            "{child:?}: {}",
            outcome.stderr
        );
        let environment = String::from_utf8(sandbox.read("env").unwrap()).unwrap();
        assert!(
            !environment.contains("s3cret-pw"),
            "{child:?}: {environment}"
        );
        assert!(
            environment.contains("CREDENTIALS_DIRECTORY=/run/credentials/x\n"),
            "{child:?}"
        );
        let ours = environment
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, _)| name);
        let mut ours: Vec<&str> = ours.filter(|name| name.starts_with("SMAIL_")).collect();
        ours.sort_unstable();
        let wanted: &[&str] = match child {
            Child::Mta => &["SMAIL_PROGRAM"],
            Child::OnFailure => &[
                "SMAIL_QUEUE_COUNT",
                "SMAIL_QUEUE_FILE",
                "SMAIL_QUEUE_FROM",
                "SMAIL_QUEUE_ID",
                "SMAIL_QUEUE_REASON",
                "SMAIL_QUEUE_TO",
            ],
            Child::Password | Child::Netrc => &[],
        };
        assert_eq!(ours, wanted, "{child:?}");
    }
}

/// The line in which a program's failure is told.
fn told(sandbox: &Sandbox, child: Child, outcome: &Outcome, how: &str, words: &str) {
    let program = sandbox.path("bin/child").display().to_string();
    let (status, line) = match child {
        Child::Mta => (69, words.to_owned()),
        Child::OnFailure => {
            let failed = sandbox.queue_names("failed");
            let id = failed[0].trim_end_matches(".log").to_owned();
            (
                67,
                format!("smail: message {id} was given up; on-failure: `{program}` {how}: {words}"),
            )
        }
        Child::Password | Child::Netrc => (
            75,
            format!("the password command `{program}` {how}: {words}"),
        ),
    };
    assert_eq!(outcome.status, status, "{child:?}: {}", outcome.stderr);
    assert!(
        outcome.stderr.contains(&line),
        "{child:?}: {line}\n{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.len() < 3000,
        "{child:?}: {}",
        outcome.stderr.len()
    );
}

#[test]
fn what_a_program_says_when_it_fails_is_told() {
    for child in ALL {
        let sandbox = Sandbox::new();
        let outcome = run(&sandbox, child, "echo 'it is locked' >&2; exit 1");
        told(
            &sandbox,
            child,
            &outcome,
            "failed with status 1",
            "it is locked",
        );
    }
}

#[test]
fn a_flood_is_read_to_its_end_and_cut() {
    for child in ALL {
        let sandbox = Sandbox::new();
        let outcome = run(
            &sandbox,
            child,
            "head -c 100000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo 'it is locked' >&2; exit 1",
        );
        assert!(
            outcome.stderr.contains("; it is locked")
                || outcome.stderr.contains("\n  it is locked"),
            "{}",
            outcome.stderr
        );
        assert!(
            outcome.stderr.len() < 3000,
            "{child:?}: {}",
            outcome.stderr.len()
        );
    }
}

#[test]
fn one_that_closes_its_input_at_once_may_succeed() {
    for child in ALL {
        let sandbox = Sandbox::new();
        let good = if child == Child::Mta {
            "true"
        } else {
            well(child)
        };
        let outcome = run(&sandbox, child, &format!("exec <&-\n{good}"));
        assert_eq!(
            outcome.status,
            if child == Child::OnFailure { 67 } else { 0 },
            "{child:?}: {}",
            outcome.stderr
        );
        assert!(
            !outcome.stderr.contains("bin/child"),
            "{child:?}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn one_that_is_not_there_is_named() {
    for child in ALL {
        let (sandbox, sink) = (Sandbox::new(), server(child));
        let outcome = mail(&sandbox, child, &sink, "/nonexistent/child").run();
        let status = match child {
            Child::Mta => 78,
            Child::OnFailure => 67,
            Child::Password | Child::Netrc => 77,
        };
        assert_eq!(outcome.status, status, "{child:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("/nonexistent/child"),
            "{child:?}: {}",
            outcome.stderr
        );
    }
}

fn is_alive(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state
        .rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_signal_ends_a_program_that_hangs_and_what_it_has_started_even_when_they_ignore_it() {
    for child in ALL {
        for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
            let sandbox = Sandbox::new();
            let pids = sandbox.path("pids").display().to_string();
            let script = format!(
                "trap '' TERM INT\n(trap '' TERM INT; sleep 60) &\necho $$ $! >{pids}.new; mv {pids}.new {pids}\nwait"
            );
            let program = sandbox.write_program("bin/child", &format!("#!/bin/sh\n{script}\n"));
            let sink = server(child);
            // A mail that a pipe does not hold, so that it is not complete when the signal comes.
            let running = mail(&sandbox, child, &sink, program.to_str().unwrap())
                .stdin("x\n".repeat(100_000))
                .start();
            until("it never started", || sandbox.read("pids").is_some());
            running.signal(signal);
            let outcome = running.finish();
            let alive = String::from_utf8(sandbox.read("pids").unwrap()).unwrap();
            until(&format!("{child:?} {alive}"), || {
                !alive.split_whitespace().any(is_alive)
            });
            // The mail was given up before the signal came, and says so.
            let status = if child == Child::OnFailure {
                67
            } else {
                status
            };
            assert_eq!(outcome.status, status, "{child:?}: {}", outcome.stderr);
        }
    }
}
