//! What runs at its time and mails what it said: cron, at, anacron.
use super::{Machine, content};

const CRON: &str = "/usr/sbin/cron";
const ATD: &str = "/usr/sbin/atd";
const ANACRON: &str = "/usr/sbin/anacron";
/// Runs its @reboot jobs at once, and logs that it did and what failed.
const CRON_AT_WORK: [&str; 4] = ["cron", "-f", "-L", "7"];

#[test]
fn cron_mails_what_a_job_of_roots_said() {
    let Some(machine) = Machine::for_program(CRON) else {
        return;
    };
    machine.write(
        "/etc/crontab",
        "MAILTO=root\n@reboot root echo caf\u{e9}; echo .; echo From here; printf end\n",
        0o644,
    );
    let daemon = machine.service(&CRON_AT_WORK).start();
    let letter = machine.await_letters(1).remove(0);
    let log = machine.await_log("END");
    drop(daemon);
    assert!(!log.contains("MTA"), "{log}");
    assert_eq!(
        letter.show(&["From", "To", "Content-Type", "Content-Transfer-Encoding"]),
        "root@x.example -> admin@x.example\n\
         From: Cron Daemon <root@x.example>\n\
         To: admin@x.example\n\
         Content-Type: text/plain; charset=UTF-8\n\
         Content-Transfer-Encoding: 8bit\n\
         \n\
         caf\u{e9}\n.\nFrom here\nend\n"
    );
}

#[test]
fn cron_mails_a_users_job_through_the_aliases() {
    let Some(machine) = Machine::for_program(CRON) else {
        return;
    };
    let table = "/var/spool/cron/crontabs/www-data";
    machine.write(table, "@reboot echo done >&2\n", 0o600);
    machine.give(table, "www-data", "crontab");
    let daemon = machine.service(&CRON_AT_WORK).start();
    let letter = machine.await_letters(1).remove(0);
    let log = machine.await_log("END");
    drop(daemon);
    assert!(!log.contains("MTA"), "{log}");
    assert_eq!(
        letter.show(&["From", "To", "Subject", "X-Cron-Env"]),
        "www-data@x.example -> admin@x.example\n\
         From: Cron Daemon <root@x.example>\n\
         To: admin@x.example\n\
         Subject: Cron <www-data@box> echo done >&2\n\
         X-Cron-Env: <SHELL=/bin/sh>\n\
         \n\
         done\n"
    );
}

#[test]
fn at_mails_what_a_job_said() {
    let Some(machine) = Machine::for_program(ATD) else {
        return;
    };
    at(
        &machine,
        &["at", "now"],
        "echo out; echo .; echo err >&2\n",
        "out\n.\nerr\n",
    );
}

#[test]
fn at_mails_that_a_silent_job_is_over() {
    let Some(machine) = Machine::for_program(ATD) else {
        return;
    };
    at(&machine, &["at", "-m", "now"], "true\n", "");
}

#[test]
fn batch_mails_what_a_job_said() {
    let Some(machine) = Machine::for_program(ATD) else {
        return;
    };
    at(
        &machine,
        &["batch"],
        "echo From a batch\n",
        "From a batch\n",
    );
}

/// Asks for a job, and starts the daemon behind it, which runs what has waited. No load is too high
/// for `batch`.
fn at(machine: &Machine, words: &[&str], job: &str, said: &str) {
    let asked = machine.call(words).stdin(job).run();
    assert_eq!(asked.status, 0, "{asked:?}");
    let daemon = machine
        .service(&["atd", "-f", "-b", "1", "-l", "1000"])
        .start();
    let letter = machine.await_letters(1).remove(0);
    drop(daemon);
    assert_eq!(
        letter.show(&["From", "To", "Subject"]),
        format!(
            "root@x.example -> admin@x.example\n\
             From: root@x.example\n\
             To: admin@x.example\n\
             Subject: Output from your job        1\n\
             \n\
             {said}"
        )
    );
}

#[test]
fn anacron_mails_a_dot_and_what_follows() {
    let Some(machine) = Machine::for_program(ANACRON) else {
        return;
    };
    machine.write(
        "/etc/anacrontab",
        "MAILTO=root\n1\t0\tnight\techo before; echo .; echo behind; false\n",
        0o644,
    );
    let outcome = machine.service(&["anacron", "-d", "-f", "-n"]).run();
    assert!(
        outcome.status == 0 && !outcome.stderr.contains("sendmail"),
        "{outcome:?}"
    );
    assert_eq!(
        machine.letter().show(&["From", "To", "Subject"]),
        "root@x.example -> admin@x.example\n\
         From: Anacron <root@x.example>\n\
         To: admin@x.example\n\
         Subject: Anacron job 'night' on box\n\
         \n\
         before\n.\nbehind\n"
    );
}

#[test]
fn what_a_job_said_while_no_server_is_there_waits() {
    let Some(machine) = Machine::for_program(ANACRON) else {
        return;
    };
    machine.write(
        "/etc/smail/config.toml",
        "smtp = \"smtp://127.0.0.1:1\"\n",
        0o644,
    );
    machine.write("/etc/anacrontab", "1\t0\tnight\techo said\n", 0o644);
    let outcome = machine.service(&["anacron", "-d", "-f", "-n"]).run();
    assert!(
        outcome.status == 0 && !outcome.stderr.contains("sendmail"),
        "{outcome:?}"
    );
    let list = machine.call(&["mailq"]).run();
    assert!(
        list.stdout.contains("root@x.example") && list.stdout.contains("admin@x.example"),
        "{list:?}"
    );
    assert!(list.stdout.ends_with("in 1 Request.\n"), "{list:?}");
    assert!(machine.mails().is_empty());
    content(&machine.call(&["sendmail", "-q"]).run(), "");
}
