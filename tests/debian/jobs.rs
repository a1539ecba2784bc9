//! What runs at its time and mails what it said: cron, at, anacron.
use super::{Machine, content};

const CRON: &str = "/usr/sbin/cron";
const ATD: &str = "/usr/sbin/atd";
const ANACRON: &str = "/usr/sbin/anacron";
/// Runs its @reboot jobs at once, and logs that it did and what failed.
const CRON_AT_WORK: [&str; 4] = ["cron", "-f", "-L", "7"];

#[test]
fn cron_mails_what_a_job_of_roots_said() {
    let Some(machine) = Machine::for_program(CRON) else { return };
    machine.write("/etc/crontab", "MAILTO=root\n@reboot root echo caf\u{e9}; echo .; echo From here; printf end\n", 0o644);
    let daemon = machine.call(&CRON_AT_WORK).start();
    let letter = machine.await_letters(1).remove(0);
    let log = machine.await_log("END");
    drop(daemon);
    assert!(!log.contains("MTA"), "{log}");
    assert_eq!(
        letter.show(&["From", "To", "Subject", "Content-Type", "Content-Transfer-Encoding"]),
        ""
    );
}

#[test]
fn cron_mails_a_users_job_through_the_aliases() {
    let Some(machine) = Machine::for_program(CRON) else { return };
    let table = "/var/spool/cron/crontabs/www-data";
    machine.write(table, "@reboot echo done >&2\n", 0o600);
    machine.give(table, "www-data", "crontab");
    let daemon = machine.call(&CRON_AT_WORK).start();
    let letter = machine.await_letters(1).remove(0);
    let log = machine.await_log("END");
    drop(daemon);
    assert!(!log.contains("MTA"), "{log}");
    assert_eq!(
        letter.show(&["From", "To", "Subject", "X-Cron-Env"]),
        ""
    );
}

#[test]
fn at_mails_what_a_job_said() {
    let Some(machine) = Machine::for_program(ATD) else { return };
    let daemon = machine.call(&["atd", "-f"]).start();
    machine.await_log("atd");
    let asked = machine.call(&["at", "now"]).stdin("echo out; echo .; echo err >&2\n").run();
    assert_eq!(asked.status, 0, "{asked:?}");
    let letter = machine.await_letters(1).remove(0);
    drop(daemon);
    assert_eq!(letter.show(&["From", "To", "Subject"]), "");
}

#[test]
fn batch_mails_that_a_silent_job_is_over() {
    let Some(machine) = Machine::for_program(ATD) else { return };
    let asked = machine.call(&["at", "-m", "-q", "b", "now"]).stdin("true\n").run();
    assert_eq!(asked.status, 0, "{asked:?}");
    // Started behind the job: it runs what has waited.
    let daemon = machine.call(&["atd", "-f", "-b", "1", "-l", "1000"]).start();
    let letter = machine.await_letters(1).remove(0);
    drop(daemon);
    assert_eq!(letter.show(&["From", "To", "Subject"]), "");
}

#[test]
fn anacron_mails_a_dot_and_what_follows() {
    let Some(machine) = Machine::for_program(ANACRON) else { return };
    machine.write("/etc/anacrontab", "MAILTO=root\n1\t0\tnight\techo before; echo .; echo behind; false\n", 0o644);
    let outcome = machine.call(&["anacron", "-d", "-f", "-n"]).run();
    assert!(outcome.status == 0 && !outcome.stderr.contains("sendmail"), "{outcome:?}");
    assert_eq!(
        machine.letter().show(&["From", "To", "Subject"]),
        ""
    );
}

#[test]
fn what_a_job_said_while_no_server_is_there_waits() {
    let Some(machine) = Machine::for_program(ANACRON) else { return };
    machine.write("/etc/smail/config.toml", "smtp = \"smtp://127.0.0.1:1\"\n", 0o644);
    machine.write("/etc/anacrontab", "1\t0\tnight\techo said\n", 0o644);
    let outcome = machine.call(&["anacron", "-d", "-f", "-n"]).run();
    assert!(outcome.status == 0 && !outcome.stderr.contains("sendmail"), "{outcome:?}");
    let list = machine.call(&["mailq"]).run();
    assert!(list.stdout.contains("root@x.example") && list.stdout.contains("admin@x.example"), "{list:?}");
    assert!(list.stdout.ends_with("in 1 Request.\n"), "{list:?}");
    assert!(machine.mails().is_empty());
    content(&machine.call(&["sendmail", "-q"]).run(), "");
}
