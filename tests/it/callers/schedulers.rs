//! cron and its kin: rows 1 to 9, 45 and 53 of the table of callers.
use super::call::{ALL, Call, STAMPS, call, host, silent};
use crate::support::sink::{Options, Place};

/// What a daemon started by init has.
const DAEMON: &[(&str, &str)] = &[("PATH", "/usr/bin:/bin"), ("LC_ALL", "C")];

const CRON: &str = "\
From: root (Cron Daemon)
To: alice
Subject: Cron <alice@web1> /usr/local/bin/backup --all (failed)
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
X-Cron-Env: <SHELL=/bin/sh>
X-Cron-Env: <HOME=/home/alice>
X-Cron-Env: <PATH=/usr/bin:/bin>
X-Cron-Env: <LOGNAME=alice>

tar: Entfernen von führendem `/'
.
From here on nothing was read
";

/// Cron's bare names: the sender becomes the address of the settings and keeps its name, the
/// recipient is an alias.
fn cron(call: Call) -> Call {
    call.turns(
        "From: root (Cron Daemon)",
        "From: Cron Daemon <host@a.example>",
    )
    .turns("To: alice", "To: alice@a.example")
}

#[test]
fn debian_cron_mails_a_bare_user_from_a_bare_root() {
    let line = "/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem  alice";
    cron(call(line).stdin(CRON).environment(DAEMON))
        .to("alice@a.example")
        .says("MAIL FROM:<host@a.example> BODY=8BITMIME")
        .check();
}

#[test]
fn debian_cron_sends_output_in_a_charset_that_is_not_the_declared_one() {
    let output = [CRON.as_bytes(), b"gr\xfc\xdfe\n"].concat();
    cron(call("/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem  alice@x.example").stdin(output))
        .to("alice@x.example")
        .check();
}

#[test]
fn debian_cron_takes_mailfrom_as_the_author() {
    let mail = CRON
        .replace("root (Cron Daemon)", "jobs@b.example (Cron Daemon)")
        .replace("To: alice", "To: ops@x.example");
    call("/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem  ops@x.example")
        .stdin(mail)
        .to("ops@x.example")
        .gains("Date: *\nMessage-ID: <*@b.example>\n")
        .check();
}

#[test]
fn cronie_mails_a_bare_user_from_a_bare_root() {
    let mail = "\
From: \"(Cron Daemon)\" <root>
To: alice
Subject: Cron <alice@web1> run-parts /etc/cron.hourly
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
Auto-Submitted: auto-generated
Precedence: bulk
X-Cron-Env: <LANG=C.UTF-8>

output
.
more
";
    call("/usr/sbin/sendmail -FCronDaemon -i -odi -oem -oi -t -f root")
        .stdin(mail)
        .environment(DAEMON)
        .to("alice@a.example")
        .turns("<root>", "<host@a.example>")
        .turns("To: alice", "To: alice@a.example")
        .check();
}

#[test]
fn cronie_takes_mailfrom_as_the_sender() {
    let mail = "From: \"(Cron Daemon)\" <jobs@b.example>\nTo: ops@x.example\nSubject: Cron <root@web1> true\n\nx\n";
    call("/usr/sbin/sendmail -FCronDaemon -i -odi -oem -oi -t -f jobs@b.example")
        .stdin(mail)
        .sender("jobs@b.example")
        .to("ops@x.example")
        .gains("Date: *\nMessage-ID: <*@b.example>\n")
        .check();
}

#[test]
fn isc_cron_names_the_recipient_in_the_mail_alone() {
    cron(
        call("sendmail -FCronDaemon -odi -oem -oi -t")
            .stdin(CRON)
            .environment(DAEMON),
    )
    .to("alice@a.example")
    .check();
}

#[test]
fn vixie_cron_calls_without_i_and_a_lone_dot_is_text() {
    cron(call("sendmail -FCronDaemon -odi -oem -or0s alice").stdin(CRON))
        .to("alice@a.example")
        .check();
    cron(call("sendmail -FCronDaemon alice").stdin(CRON))
        .to("alice@a.example")
        .check();
}

#[test]
fn systemd_cron_sends_binary_output_without_a_home() {
    let mail = "\
Content-Type: text/plain; charset=UTF-8
MIME-Version: 1.0
Content-Transfer-Encoding: binary
Date: Mon, 02 Mar 2026 04:05:06 +0000
From: root (systemd-cron)
To: alice
Subject: [web1] job cron-alice-alice-0
X-Mailer: systemd-cron 1.15
Auto-Submitted: auto-generated

status
";
    for line in [
        "sendmail -i -B 8BITMIME alice",
        "sendmail -i -B8BITMIME alice",
    ] {
        call(line)
            .stdin(mail)
            .environment(&[
                ("PATH", "/usr/bin:/bin"),
                ("user", "alice"),
                ("LANG", "C.UTF-8"),
            ])
            .to("alice@a.example")
            .gains("Message-ID: <*@a.example>\n")
            // No server takes `binary`, and the text is none.
            .turns("Encoding: binary", "Encoding: 7bit")
            .turns(
                "From: root (systemd-cron)",
                "From: systemd-cron <host@a.example>",
            )
            .turns("To: alice", "To: alice@a.example")
            .check();
    }
}

#[test]
fn busybox_crond_gives_an_unlinked_file_with_two_headers() {
    call("sendmail -ti")
        .stdin("To: alice\nSubject: cron: /bin/job\n\nline\n.\nno newline")
        .by_file()
        .environment(&[
            ("PATH", "/usr/bin:/bin"),
            ("USER", "alice"),
            ("HOME", "/"),
            ("SHELL", "/bin/sh"),
        ])
        .to("alice@a.example")
        .gains(ALL)
        .turns("To: alice", "To: alice@a.example")
        .check();
}

#[test]
fn fcron_and_its_own_name() {
    let mail = "From: alice@web1.b.example (fcron)\nTo: alice\nSubject: fcron <alice@web1> job\n\nout\n.\nput\n";
    call("sendmail -Ffcron -odi alice")
        .stdin(mail)
        .to("alice@a.example")
        .gains("Date: *\nMessage-ID: <*@web1.b.example>\n")
        .turns("To: alice", "To: alice@a.example")
        .check();
}

#[test]
fn anacron_gives_a_seekable_file_and_no_outputs() {
    let mail = "From: Anacron <root>\nTo: root\nContent-Type: text/plain; charset=\"UTF-8\"\nSubject: Anacron job 'cron.daily' on web1\n\nout\n.\nput\n";
    call("/usr/sbin/sendmail -FAnacron -odi root")
        .stdin(mail)
        .by_file()
        .environment(&[
            ("PATH", "/usr/bin:/bin"),
            ("SHELL", "/bin/sh"),
            ("LOGNAME", "root"),
            ("HOME", "/root"),
        ])
        .to("admin@a.example")
        .gains(&format!("{STAMPS}MIME-Version: 1.0\n"))
        .turns("Anacron <root>", "Anacron <host@a.example>")
        .turns("To: root", "To: admin@a.example")
        .check();
}

#[test]
fn at_runs_in_the_root_directory_and_names_no_author() {
    call("/usr/sbin/sendmail -i alice")
        .stdin("Subject: Output from your job        7\nTo: alice\n\nout\n.\nput\n")
        .after("cd /")
        .environment(&[("PATH", "/usr/bin:/bin")])
        .to("alice@a.example")
        .gains(ALL)
        .turns("To: alice", "To: alice@a.example")
        .check();
}

#[test]
fn freebsd_periodic_mails_its_report_and_nothing_when_there_is_none() {
    let line = "mail -E -s 'web1.a.example daily run output' root";
    let sandbox = host(1);
    silent(&call(line).run(&sandbox, true).run(), "empty");
    assert_eq!(sandbox.entries(), [""; 0]);
    call(line)
        .stdin("Disk status:\n/dev/ada0p2  7%\n")
        .to("admin@a.example")
        .arrives(super::plain::composed(
            "admin@a.example",
            "web1.a.example daily run output",
            "Disk status:\n/dev/ada0p2  7%\n",
        ))
        .check();
}

#[test]
fn the_crontab_of_bsd_and_macos_runs_the_queue_in_silence() {
    let line = "sendmail -L sm-msp-queue -Ac -q";
    let place = Place::reserve();
    let sandbox = host(place.port());
    silent(&call(line).run(&sandbox, true).run(), "nothing waits");
    silent(
        &call("sendmail bob@x.example")
            .stdin("x\n")
            .run(&sandbox, true)
            .run(),
        "handed over",
    );
    silent(&call(line).run(&sandbox, true).run(), "server down");
    assert_eq!(sandbox.entries().len(), 1);
    let sink = Options::new().start_at(place);
    silent(&call(line).run(&sandbox, true).run(), "not due");
    assert_eq!(sink.mails(), []);
    silent(
        &call("sendmail -q -qRx.example").run(&sandbox, true).run(),
        "asked for",
    );
    assert_eq!(sink.only_mail().to, ["bob@x.example"]);
    assert_eq!(sandbox.entries(), [""; 0]);
}
