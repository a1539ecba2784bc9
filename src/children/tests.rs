//! Programs that hang, flood, ignore signals, do not read and are not there, as every caller of
//! this room meets them.
use std::sync::mpsc;
use std::thread;

use super::*;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

fn order(script: &str) -> Order {
    Order::new("/bin/sh").args(&["-c".to_owned(), script.to_owned()])
}

fn start(script: &str) -> Running {
    order(script)
        .prints(1 << 20)
        .reads()
        .start_within(&Arc::default(), Reach::Group)
        .unwrap()
}

/// What a script prints, when it ends well.
fn printed(mut running: Running) -> String {
    assert!(
        running.wait(LONG, Duration::ZERO).unwrap().success(),
        "{:?}",
        running.words()
    );
    String::from_utf8(running.output().to_vec()).unwrap()
}

fn is_alive(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    // A zombie is nobody any more; its parent here may be a machine's first process that is slow to
    // wait.
    state
        .rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Waits until a process has ended, as one that was killed needs a moment.
fn gone(pid: &str) -> bool {
    let end = Instant::now() + LONG;
    while is_alive(pid) && Instant::now() < end {
        thread::sleep(Duration::from_millis(2));
    }
    !is_alive(pid)
}

#[test]
fn no_variable_of_ours_reaches_a_program() {
    let withheld = |name: &str| is_withheld(&OsString::from(name));
    for name in [
        "SMAIL_AUTH_PASSWORD",
        "SMAIL_SMTP",
        "SMAIL_PROXY",
        "SMAIL_MTA",
        "SMAIL_",
        "SMAIL_X",
        "SMAIL_PROGRAMS",
    ] {
        assert!(withheld(name), "{name}");
    }
    for name in [
        "smtp-auth-password",
        "smtp-auth-user",
        "smtp-auth-password-host.example",
    ] {
        assert!(withheld(name), "{name}");
    }
    for name in [
        "SMAIL_PROGRAM",
        "PATH",
        "HOME",
        "CREDENTIALS_DIRECTORY",
        "smtp",
        "XSMAIL_SMTP",
    ] {
        assert!(!withheld(name), "{name}");
    }
}

#[test]
fn what_is_set_for_a_program_reaches_it() {
    let running = order("printf %s \"$SMAIL_QUEUE_ID\"")
        .env("SMAIL_QUEUE_ID", "x1")
        .prints(10);
    assert_eq!(printed(running.start(&Arc::default()).unwrap()), "x1");
}

#[test]
fn it_reads_what_it_is_given_and_nothing_else() {
    let mut reads = start("cat");
    let text = "0123456789\n".repeat(50_000);
    assert!(matches!(
        reads.feed(&text.as_bytes()[..100], LONG),
        Ok(true)
    ));
    drop(reads);
    assert_eq!(
        printed(
            order("cat; echo end")
                .prints(9)
                .start(&Arc::default())
                .unwrap()
        ),
        "end\n"
    );
    let mut counts = start("wc -c");
    assert!(matches!(counts.feed(text.as_bytes(), LONG), Ok(true)));
    assert_eq!(printed(counts), "550000\n");
}

#[test]
fn one_that_closes_its_input_early_is_judged_by_its_status() {
    for (script, code) in [
        ("exec <&-; exit 0", 0),
        ("exec <&-; exit 1", 1),
        ("head -c 10 >/dev/null; exit 3", 3),
    ] {
        let mut running = start(script);
        assert!(
            matches!(running.feed(&vec![b'x'; 1 << 20], LONG), Ok(false)),
            "{script}"
        );
        assert_eq!(
            running.wait(LONG, Duration::ZERO).unwrap().code(),
            Some(code),
            "{script}"
        );
    }
}

#[test]
fn one_that_does_not_read_is_given_up_at_its_deadline() {
    let mut running = start("sleep 60");
    let stop = running.feed(&vec![b'x'; 1 << 20], SHORT).unwrap_err();
    assert_eq!(stop.to_string(), "it took longer than 0.3 s and was killed");
}

#[test]
fn one_that_hangs_ends_with_all_that_it_has_started() {
    let scripts = [
        "sleep 60 & echo $! $$; wait",
        "trap '' TERM; sleep 60 & echo $! $$; wait",
        "trap '' TERM HUP INT; (trap '' TERM; sleep 60) & echo $! $$; exec >&- 2>&-; while :; do sleep 1; done",
        "(sleep 60) & echo $! $$; kill -STOP $$",
    ];
    for script in scripts {
        let mut running = start(script);
        let stop = running.wait(SHORT, Duration::ZERO).unwrap_err();
        assert!(matches!(stop, Stop::Deadline(SHORT)), "{script}: {stop}");
        let pids = String::from_utf8(running.output().to_vec()).unwrap();
        let begun = Instant::now();
        drop(running);
        assert!(begun.elapsed() < GRACE + Duration::from_secs(3), "{script}");
        assert_eq!(pids.split_whitespace().count(), 2, "{script}: {pids}");
        assert!(pids.split_whitespace().all(gone), "{script}: {pids}");
    }
}

#[test]
fn at_a_terminal_its_children_are_found_without_a_group() {
    for script in [
        "sh -c 'sleep 60 & echo $! $$; wait'; true",
        "trap '' TERM; (trap '' TERM; sleep 60) & echo $! $$; wait",
    ] {
        let order = order(script).prints(100);
        let mut running = order.start_within(&Arc::default(), Reach::Tree).unwrap();
        assert!(matches!(
            running.wait(SHORT, Duration::ZERO),
            Err(Stop::Deadline(_))
        ));
        let pids = String::from_utf8(running.output().to_vec()).unwrap();
        drop(running);
        assert_eq!(pids.split_whitespace().count(), 2, "{script}: {pids}");
        assert!(pids.split_whitespace().all(gone), "{script}: {pids}");
    }
}

#[test]
fn one_that_is_asked_to_end_may_clean_up_and_one_that_is_killed_may_not() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("left");
    let script = format!(
        "trap 'echo cleaned >{}; exit' TERM; echo ready; while :; do sleep 0.01; done",
        left.display()
    );
    let mut asked = start(&script);
    assert!(matches!(
        asked.wait(SHORT, Duration::ZERO),
        Err(Stop::Deadline(_))
    ));
    drop(asked);
    assert_eq!(std::fs::read_to_string(&left).unwrap(), "cleaned\n");
    std::fs::remove_file(&left).unwrap();
    let mut killed = start(&script);
    assert!(matches!(
        killed.wait(SHORT, Duration::ZERO),
        Err(Stop::Deadline(_))
    ));
    killed.kill();
    drop(killed);
    assert!(!left.exists());
}

#[test]
fn a_signal_reaches_it_as_it_came_and_after_the_grace_it_was_given() {
    let interrupt = Arc::new(AtomicUsize::new(0));
    let started = |script: &str| {
        order(script)
            .prints(100)
            .start_within(&interrupt, Reach::Group)
            .unwrap()
    };
    let mut ends = started("sleep 0.3; echo whole");
    interrupt.store(15, Ordering::Relaxed);
    assert!(ends.wait(LONG, LONG).unwrap().success());
    let mut hangs = started("sleep 60");
    let begun = Instant::now();
    assert!(matches!(hangs.wait(LONG, SHORT), Err(Stop::Signal(15))));
    assert!(begun.elapsed() >= SHORT);
    let dir = tempfile::tempdir().unwrap();
    let heard = dir.path().join("heard");
    interrupt.store(0, Ordering::Relaxed);
    let mut listens = started(&format!(
        "trap 'echo int >{}; exit' INT; echo ready; while :; do sleep 0.01; done",
        heard.display()
    ));
    assert!(matches!(
        listens.wait(SHORT, Duration::ZERO),
        Err(Stop::Deadline(_))
    ));
    interrupt.store(2, Ordering::Relaxed);
    assert!(matches!(
        listens.wait(LONG, Duration::ZERO),
        Err(Stop::Signal(2))
    ));
    drop(listens);
    assert_eq!(std::fs::read_to_string(&heard).unwrap(), "int\n");
}

#[test]
fn a_flood_of_words_is_read_and_its_end_is_kept() {
    let script =
        "i=0; head -c 100000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo 'the end' >&2; exit 1";
    let mut running = start(script);
    let status = running.wait(LONG, Duration::ZERO).unwrap();
    assert_eq!(failed(status).unwrap(), "failed with status 1");
    assert!(running.stderr.bytes().len() <= 2 * MOST_WORDS);
    let words = running.words();
    assert_eq!((words.len(), words[1].as_str()), (2, "the end"));
    assert_eq!(words[0], short(&"x".repeat(MOST_WORDS)));
}

#[test]
fn a_flood_of_output_is_given_up() {
    let mut running = order("cat /dev/zero")
        .prints(64 << 10)
        .start(&Arc::default())
        .unwrap();
    assert!(matches!(
        running.wait(LONG, Duration::ZERO),
        Err(Stop::Flood)
    ));
    let mut fits = order("head -c 65536 /dev/zero")
        .prints(64 << 10)
        .start(&Arc::default())
        .unwrap();
    assert!(fits.wait(LONG, Duration::ZERO).is_ok());
    assert_eq!(fits.output().len(), 64 << 10);
    let mut over = order("head -c 65537 /dev/zero")
        .prints(64 << 10)
        .start(&Arc::default())
        .unwrap();
    assert!(matches!(over.wait(LONG, Duration::ZERO), Err(Stop::Flood)));
}

#[test]
fn words_are_few_short_and_safe() {
    let mut running = start(
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do printf '%s\\033[2J\\r\\n\\n' $i >&2; done; printf '\\377' >&2",
    );
    running.wait(LONG, Duration::ZERO).unwrap();
    let words = running.words();
    assert_eq!(
        (words.len(), words[0].as_str(), words[9].as_str()),
        (10, "4\\u{1b}[2J", "\u{fffd}")
    );
}

#[test]
fn one_that_leaves_a_helper_behind_is_not_waited_for() {
    let mut running = order("sleep 2 & exit 0").start(&Arc::default()).unwrap();
    let begun = Instant::now();
    assert!(running.wait(LONG, Duration::ZERO).unwrap().success());
    assert!(begun.elapsed() < Duration::from_millis(1500));
}

#[test]
fn one_that_does_not_exist_is_an_error_before_anything_else() {
    let missing = Order::new("/nonexistent/program")
        .reads()
        .start(&Arc::default());
    assert_eq!(missing.err().unwrap().kind(), io::ErrorKind::NotFound);
    let long = Order::new("/bin/true")
        .args(&["x".repeat(200_000)])
        .start(&Arc::default());
    assert_eq!(
        long.err().unwrap().kind(),
        io::ErrorKind::ArgumentListTooLong
    );
}

#[test]
fn it_keeps_none_of_our_pipes_open() {
    // A second program that runs meanwhile must not hold the first one's input open.
    let mut first = start("cat >/dev/null; echo done");
    let second = start("sleep 60");
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(first.wait(LONG, Duration::ZERO).is_ok()));
    assert!(receive.recv_timeout(Duration::from_secs(10)).unwrap());
    drop(second);
}

#[test]
fn ends_are_told_in_words() {
    let status = |raw| ExitStatus::from_raw(raw);
    assert_eq!(failed(status(0)), None);
    assert_eq!(failed(status(3 << 8)).unwrap(), "failed with status 3");
    assert_eq!(failed(status(9)).unwrap(), "was killed by signal 9");
}
