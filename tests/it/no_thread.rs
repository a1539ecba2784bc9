//! Hosts where a process may have no second thread (`ulimit -u`, old seccomp profiles): everything
//! works, in one.
use crate::support::obstacle;
use crate::support::sandbox::Sandbox;
use crate::support::sink::{Options, Sink};

const STRACE: &str = "/usr/bin/strace";

/// What keeps threads from being made.
const NO_THREAD: &[&str] = &[
    STRACE,
    "-f",
    "-qq",
    "-o",
    "trace",
    "-e",
    "trace=clone,clone3",
    "-e",
    "inject=clone,clone3:error=EAGAIN",
];

fn to(sink: &Sink) -> Vec<String> {
    // A name, which has to be looked up.
    let smtp = format!("smtp=localhost:{}", sink.port());
    [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "me@a.example",
        "-s",
        "subj",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn cannot() -> bool {
    obstacle::stops("no second thread", obstacle::without_program(STRACE))
}

/// Threads were wanted and not had.
fn refused(sandbox: &Sandbox) -> bool {
    String::from_utf8_lossy(&sandbox.read("trace").unwrap_or_default()).contains("(INJECTED)")
}

#[test]
fn without_a_second_thread_the_name_is_looked_up_in_the_first() {
    if cannot() {
        return;
    }
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let outcome = sandbox
        .under(NO_THREAD, &to(&sink))
        .arg("bob@x.example")
        .stdin("x\n")
        .run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(sink.only_mail().to, ["bob@x.example"]);
    assert!(refused(&sandbox));
}

#[test]
fn without_a_second_thread_a_dialogue_sends_when_it_is_over() {
    if cannot() {
        return;
    }
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let config = format!("smtp = \"localhost:{}\"\ntls = \"none\"\n", sink.port());
    sandbox.write("home/.config/smail/config.toml", config);
    let said = "EHLO me\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\nSubject: s\r\n\r\nx\r\n.\r\nQUIT\r\n";
    let outcome = sandbox
        .under_as(NO_THREAD, "sendmail", &["-bs"])
        .queued()
        .stdin(said)
        .run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(sink.only_mail().to, ["b@x.example"]);
    assert_eq!(sandbox.entries(), [""; 0]);
    assert!(refused(&sandbox));
}

#[test]
fn without_a_second_thread_a_check_says_the_same() {
    if cannot() {
        return;
    }
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let outcome = sandbox
        .under(NO_THREAD, &to(&sink)[..6])
        .arg("--check")
        .run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert!(
        outcome.stdout.ends_with("nothing was sent\n"),
        "{}",
        outcome.stdout
    );
    assert!(refused(&sandbox));
}

#[test]
fn a_program_is_written_to_and_heard_in_one_thread() {
    if cannot() {
        return;
    }
    let sandbox = Sandbox::new();
    let watch = [
        STRACE,
        "-f",
        "-qq",
        "-o",
        "trace",
        "-e",
        "trace=clone,clone3,vfork,fork",
    ];
    let keep = sandbox.write_mode("keep", "#!/bin/sh\ncat >kept\n", 0o755);
    let mta = format!("mta={}", keep.display());
    let outcome = sandbox
        .under(&watch, &["-S", &mta, "-s", "subj", "bob@x.example"])
        .stdin("x\n")
        .run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert!(
        String::from_utf8(sandbox.read("kept").unwrap())
            .unwrap()
            .ends_with("\n\nx\n")
    );
    let trace = String::from_utf8(sandbox.read("trace").unwrap()).unwrap();
    assert!(!trace.contains("CLONE_THREAD"), "{trace}");
}
