//! What a run touches of the machine: files, other hosts, threads, writes. Names and counts of
//! system calls, never seconds.
use crate::support::obstacle;
use crate::support::sandbox::Sandbox;
use crate::support::sink::{Options, Sink};

const STRACE: &str = "/usr/bin/strace";
/// What the loader, the runtime and the C library open of themselves, and where the zone of the
/// Date is read.
const OF_THE_SYSTEM: &[&str] = &[
    "/etc/ld.so",
    ".so.",
    "/proc/self/maps",
    "/sys/fs/cgroup",
    "zoneinfo",
    "localtime",
];

/// Where systems keep hashed roots.
const ROOTS: &[&str] = &["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// The system calls of one run, a line each, from the start of smail on.
fn calls(sandbox: &Sandbox, sink: &Sink, words: &[&str]) -> Vec<String> {
    let trace = sandbox.path("trace");
    let wrapper = [
        STRACE,
        "-f",
        "-qq",
        "-o",
        trace.to_str().unwrap(),
        "-e",
        "trace=openat,connect,clone,clone3,rt_sigaction,setsockopt,sendto",
    ];
    let smtp = format!("smtp=127.0.0.1:{}", sink.port());
    let way = [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "me@a.example",
        "you@b.example",
    ];
    let outcome = sandbox
        .under(&wrapper, words)
        .args_of(&way)
        .stdin("text\n")
        .run();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    std::fs::read_to_string(trace)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The files that were opened, or looked for, with the world's own directory as `~`.
fn opened(sandbox: &Sandbox, calls: &[String]) -> Vec<String> {
    let names = calls
        .iter()
        .filter(|call| call.contains(" openat("))
        .filter_map(|call| call.split('"').nth(1));
    let own = names.filter(|name| !OF_THE_SYSTEM.iter().any(|part| name.contains(part)));
    // Whether there is a directory of roots is looked up by the names in it; none of its files is
    // opened.
    let own = own.filter(|name| !ROOTS.contains(name));
    own.map(|name| name.replace(sandbox.path("home").to_str().unwrap(), "~"))
        .collect()
}

fn count(calls: &[String], name: &str) -> usize {
    calls.iter().filter(|call| call.contains(name)).count()
}

#[test]
fn a_dry_run_opens_each_settings_file_once_and_nothing_else() {
    if obstacle::stops("what a dry run touches", obstacle::without_program(STRACE)) {
        return;
    }
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let calls = calls(&sandbox, &sink, &["--dry-run"]);
    assert_eq!(
        opened(&sandbox, &calls),
        ["/etc/smail/config.toml", "~/.config/smail/config.toml"]
    );
    assert_eq!(
        (count(&calls, " connect("), count(&calls, " clone")),
        (0, 0),
        "{calls:#?}"
    );
    assert_eq!(count(&calls, "rt_sigaction(SIGTERM"), 0, "{calls:#?}");
}

#[test]
fn a_plain_send_opens_no_more_and_connects_once_without_a_thread() {
    if obstacle::stops(
        "what a plain send touches",
        obstacle::without_program(STRACE),
    ) {
        return;
    }
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let calls = calls(&sandbox, &sink, &["-s", "subject"]);
    assert_eq!(sink.only_mail().to, ["you@b.example"]);
    // No roots of trust, no user database, no name server.
    assert_eq!(
        opened(&sandbox, &calls),
        ["/etc/smail/config.toml", "~/.config/smail/config.toml"]
    );
    assert_eq!(
        (count(&calls, " connect("), count(&calls, " clone")),
        (1, 0),
        "{calls:#?}"
    );
}

/// Bytes asked to be written to the server and bytes that were taken, for every write.
fn written(calls: &[String]) -> Vec<(usize, usize)> {
    let sent = calls.iter().filter(|call| call.contains(" sendto("));
    let numbers = |call: &String| {
        let (asked, taken) = call.rsplit_once(") = ")?;
        Some((
            asked.rsplit(", ").nth(3)?.parse().ok()?,
            taken.trim().parse().ok()?,
        ))
    };
    sent.map(|call| numbers(call).unwrap_or_else(|| panic!("{call}")))
        .collect()
}

#[test]
fn a_large_attachment_leaves_in_writes_of_64_kib_and_more_without_delay() {
    if obstacle::stops(
        "what a large mail writes",
        obstacle::without_program(STRACE),
    ) {
        return;
    }
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let file = sandbox.write("large.bin", "0123456789abcde\n".repeat(300_000));
    let calls = calls(
        &sandbox,
        &sink,
        &["-s", "subject", "-a", file.to_str().unwrap()],
    );
    assert_eq!(count(&calls, "TCP_NODELAY, [1]"), 1, "{calls:#?}");
    let written = written(&calls);
    // What the system takes in part is asked again for its rest, which is no write of its own.
    let whole = written
        .iter()
        .enumerate()
        .filter(|(at, _)| *at == 0 || written[at - 1].0 == written[at - 1].1);
    let small = whole.filter(|(_, (asked, _))| *asked < 64 * 1024).count();
    let bytes: usize = written.iter().map(|(_, taken)| taken).sum();
    assert!(bytes > 6_400_000, "{bytes}");
    // EHLO; MAIL, RCPT and DATA; the end of the message with the dot and QUIT.
    assert!(small <= 3, "{small} small writes: {written:?}");
}
