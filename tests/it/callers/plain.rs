//! Programs that call mail(1): row 51 of the table of callers.
use super::call::{call, host, silent};
use crate::support::sink::{Options, Place};

/// A mail as mail(1) composes it of a subject and a text in ASCII.
pub(super) fn composed(to: &str, subject: &str, body: &str) -> String {
    format!(
        "Date: *\nFrom: Host <host@a.example>\nTo: {to}\nSubject: {subject}\nMessage-ID: <*@a.example>\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n{body}"
    )
}

/// Sends to root, and to ops where the program has two recipients.
fn mails(line: &str, subject: &str, body: &str) {
    let both = line.contains("ops@");
    let (to, head) = if both {
        (
            "admin@a.example ops@x.example",
            "admin@a.example, ops@x.example",
        )
    } else {
        ("admin@a.example", "admin@a.example")
    };
    call(line)
        .stdin(body)
        .to(to)
        .arrives(composed(head, subject, body))
        .check();
}

macro_rules! callers {
    ($($name:ident: $line:expr, $subject:expr, $body:expr;)*) => {
        $(#[test] fn $name() { mails($line, $subject, $body); })*
    };
}

callers! {
    nagios_notifies_a_contact:
        "/usr/bin/mail -s '** PROBLEM Service Alert: web1/Disk is CRITICAL **' root",
        "** PROBLEM Service Alert: web1/Disk is CRITICAL **", "***** Nagios *****\n\nNotification Type: PROBLEM\n";
    munin_pipes_its_warnings:
        "mail -s 'Munin notification' root ops@x.example", "Munin notification", "web1 :: CPU\n    WARNINGs: 97.00\n";
    zed_evaluates_its_mail_command:
        "mail -s 'ZFS scrub_finish event for tank on web1' root >/dev/null 2>&1".split(" >").next().unwrap(),
        "ZFS scrub_finish event for tank on web1", "ZFS has finished a scrub:\n\n   eid: 7\n";
    drbd_notifies_of_a_split_brain:
        "mail -s 'DRBD split brain on resource r0' root", "DRBD split brain on resource r0", "DRBD has detected split brain\n";
    nut_glues_the_subject_to_its_letter:
        "mail -s\"UPS monitor\" root", "UPS monitor", "UPS su700 on battery\n";
    apcupsd_mails_from_onbattery:
        "/usr/bin/mail -s 'UPS web1 Power Failure !!!' root", "UPS web1 Power Failure !!!", "Power failure on UPS\n";
    checksecurity_mails_changes_of_setuid:
        "/usr/bin/mail -s 'Changes in setuid programs on web1' root", "Changes in setuid programs on web1", "-  x\n+  y\n";
    chkrootkit_and_rkhunter_mail_a_line:
        "mail -s '[rkhunter] Warnings found for web1' root", "[rkhunter] Warnings found for web1", "Please inspect this machine\n";
    aide_backupninja_integrit_and_fcheck_mail_reports:
        "mail -s 'Daily AIDE report for web1' root", "Daily AIDE report for web1", "~ text ~\n.\n~.\nFrom x\n";
    pflogsumm_and_xymon_pipe_a_report:
        "mail -s 'Postfix log summaries' root", "Postfix log summaries", "Grand Totals\n------------\n";
}

#[test]
fn icinga_names_the_author_by_header_or_by_r() {
    let mail = composed(
        "admin@a.example",
        "[PROBLEM] disk on web1 is CRITICAL!",
        "x\n",
    );
    let mail = mail
        .replace("Host <host@a.example>", "Icinga <icinga@b.example>")
        .replace("<*@a", "<*@b");
    for flag in [
        "-a 'From: Icinga <icinga@b.example>'",
        "-r 'Icinga <icinga@b.example>'",
    ] {
        call(&format!(
            "mail {flag} -s '[PROBLEM] disk on web1 is CRITICAL!' root"
        ))
        .stdin("x\n")
        .sender("icinga@b.example")
        .to("admin@a.example")
        .arrives(&mail)
        .check();
    }
}

#[test]
fn logrotate_closes_standard_output() {
    let log = "Mar  2 04:05:06 web1 x\n".repeat(50);
    call("/usr/bin/mail -s /var/log/app.log.4 root")
        .stdin(&log)
        .by_file()
        .after("exec 1>&-")
        .to("admin@a.example")
        .arrives(composed("admin@a.example", "/var/log/app.log.4", &log))
        .check();
}

#[test]
fn slurm_gives_no_input_and_gets_an_empty_mail() {
    call("mail -s 'Slurm Job_id=7 Name=x Ended, Run time 00:00:01, COMPLETED, ExitCode 0' alice")
        .by_null()
        .to("alice@a.example")
        .arrives(composed(
            "alice@a.example",
            "Slurm Job_id=7 Name=x Ended, Run time 00:00:01, COMPLETED, ExitCode 0",
            "",
        ))
        .check();
}

#[test]
fn xymon_may_mail_without_a_subject() {
    let mail = composed("admin@a.example", "", "web1 conn red\n").replace("Subject: \n", "");
    call("mail root")
        .stdin("web1 conn red\n")
        .to("admin@a.example")
        .arrives(mail)
        .check();
}

#[test]
fn mail_is_taken_in_silence_where_both_outputs_are_closed() {
    let sandbox = host(Place::reserve().port());
    let run = call("mail -s s root")
        .stdin("x\n")
        .after("exec 1>&- 2>&-")
        .run(&sandbox, true);
    silent(&run.run(), "closed");
    assert_eq!(sandbox.entries().len(), 1);
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    silent(
        &call("mail -s s root")
            .stdin("x\n")
            .after("exec 1>&- 2>&-")
            .run(&sandbox, false)
            .run(),
        "closed",
    );
    assert_eq!(sink.mails().len(), 1);
}
