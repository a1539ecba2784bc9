//! Mail programs, and the older scripts: rows 34 to 40, 49, 50 and 52 of the table of callers.
use super::call::{ALL, Call, call, host, silent};
use crate::support::sink::{Options, Place};

const MAIL: &str = "\
Date: Mon, 2 Mar 2026 04:05:06 +0000
From: Ann Ort <ann@b.example>
To: bob@x.example
Cc: carol@x.example
Subject: words
Message-ID: <aaXk@b.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii
Content-Disposition: inline

words
.
From me
";

fn whole(line: &str) -> Call {
    call(line)
        .stdin(MAIL)
        .sender("ann@b.example")
        .to("bob@x.example carol@x.example")
        .gains("")
}

#[test]
fn mutt_names_to_cc_and_bcc_behind_the_end_of_options() {
    whole("/usr/sbin/sendmail -oem -oi -- bob@x.example carol@x.example")
        .sender("host@a.example")
        .check();
    whole("/usr/sbin/sendmail -oem -oi -f ann@b.example -- bob@x.example carol@x.example").check();
    let mail = MAIL
        .replace("Subject", "Bcc: boss@x.example\nSubject")
        .replace("us-ascii", "utf-8")
        + "größe\n";
    let mail = mail.replace(
        "Content-Disposition: inline",
        "Content-Disposition: inline\nContent-Transfer-Encoding: 8bit",
    );
    call("/usr/sbin/sendmail -oem -oi -B8BITMIME -f ann@b.example -- bob@x.example carol@x.example boss@x.example")
        .stdin(mail)
        .sender("ann@b.example")
        .to("bob@x.example carol@x.example boss@x.example")
        .gains("")
        .turns("Bcc: boss@x.example\n", "")
        .says("MAIL FROM:<ann@b.example> BODY=8BITMIME")
        .check();
}

#[test]
fn mutt_asks_for_delivery_notices_and_gets_what_the_server_has() {
    let line = "/usr/sbin/sendmail -oem -oi -f ann@b.example -N failure,delay -R hdrs -- bob@x.example carol@x.example";
    whole(line).check();
    whole(line)
        .offered("DSN")
        .says("MAIL FROM:<ann@b.example> RET=HDRS")
        .says("RCPT TO:<bob@x.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;bob@x.example")
        .says("RCPT TO:<carol@x.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;carol@x.example")
        .check();
}

#[test]
fn emacs_fails_on_any_word() {
    whole("/usr/sbin/sendmail -oi -f ann@b.example -oem -odb -t").check();
    whole("/usr/sbin/sendmail -oi -f ann@b.example -t").check();
    let resent = format!(
        "Resent-From: ann@b.example\nResent-To: dave@x.example\nResent-Date: Mon, 2 Mar 2026 05:00:00 +0000\nResent-Message-ID: <r@b.example>\n{MAIL}"
    );
    call("/usr/sbin/sendmail -oi -f ann@b.example -t")
        .stdin(&resent)
        .sender("ann@b.example")
        .to("dave@x.example")
        .gains("")
        .check();
    // Resending names everybody in one word.
    call("/usr/sbin/sendmail -oi -f ann@b.example 'dave@x.example, \"Eve E.\" <eve@x.example>'")
        .stdin(resent)
        .sender("ann@b.example")
        .to("dave@x.example eve@x.example")
        .gains("")
        .check();
}

#[test]
fn alpine_may_hand_over_by_a_pipe() {
    whole("/usr/sbin/sendmail -oem -t -oi")
        .sender("host@a.example")
        .check();
}

#[test]
fn bsd_mailx_has_letters_for_everything() {
    whole("/usr/sbin/sendmail -i -t -f ann@b.example").check();
    whole("/usr/sbin/sendmail -i -t -f ann@b.example -m")
        .after("trap '' PIPE INT HUP")
        .check();
    let no_date = MAIL
        .replace("Date: Mon, 2 Mar 2026 04:05:06 +0000\n", "")
        .replace("Message-ID: <aaXk@b.example>\n", "");
    call("/usr/sbin/sendmail -i -t")
        .stdin(no_date)
        .to("bob@x.example carol@x.example")
        .gains("Date: *\nMessage-ID: <*@b.example>\n")
        .check();
}

#[test]
fn bsd_mailx_asks_for_a_dialogue_with_v_and_hears_it_on_standard_error() {
    let sink = Options::new().start();
    let outcome = call("/usr/sbin/sendmail -i -t -v")
        .stdin(MAIL)
        .run(&host(sink.port()), true)
        .run();
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
    assert!(
        outcome.stderr.contains("C: RCPT TO:<bob@x.example>\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn s_nail_gives_the_full_name_and_the_sender() {
    whole("sendmail -i -- bob@x.example carol@x.example")
        .sender("host@a.example")
        .check();
    whole("sendmail -i -m -F 'Ann Ort' -f ann@b.example -- bob@x.example carol@x.example").check();
    let nobody = "Subject: words\nTo: bob@x.example\n\nwords\n";
    call("sendmail -i -F 'Ann \"A.\" Ort' -f ann@b.example -- bob@x.example")
        .stdin(nobody)
        .sender("ann@b.example")
        .to("bob@x.example")
        .gains("From: \"Ann \\\"A.\\\" Ort\" <ann@b.example>\nDate: *\nMessage-ID: <*@b.example>\n")
        .check();
}

#[test]
fn gnu_mailutils_writes_no_date() {
    let mail =
        "To: bob@x.example\nSubject: words\nUser-Agent: mail (GNU Mailutils 3.15)\n\nwords\n";
    call("/usr/sbin/sendmail -oi -f ann@b.example -t")
        .stdin(mail)
        .sender("ann@b.example")
        .to("bob@x.example")
        .gains("From: ann@b.example\nDate: *\nMessage-ID: <*@b.example>\n")
        .check();
}

#[test]
fn procmail_and_maildrop_forward_what_came_as_it_came() {
    let came = format!(
        "From ann@b.example  Mon Mar  2 04:05:06 2026\nReturn-Path: <ann@b.example>\nReceived: from x (y [192.0.2.1]) by z;\n\tMon, 2 Mar 2026 04:05:06 +0000\n{MAIL}"
    );
    let forward = |line: &str, to: &str| {
        call(line)
            .stdin(&came)
            .to(to)
            .gains("")
            .turns(
                "From ann@b.example  Mon Mar  2 04:05:06 2026\nReturn-Path: <ann@b.example>\n",
                "",
            )
            .check();
    };
    forward(
        "/usr/sbin/sendmail -oi dave@x.example eve@x.example",
        "dave@x.example eve@x.example",
    );
    forward("/usr/sbin/sendmail -oi -t", "bob@x.example carol@x.example");
}

#[test]
fn sqwebmail_backuppc_quilt_and_stgit() {
    whole("sendmail -oi -t -N never -f ann@b.example").check();
    whole("sendmail -t -f ann@b.example").check();
    whole("sendmail -f ann@b.example bob@x.example carol@x.example").check();
    whole("/path/to/sendmail -t -i")
        .sender("host@a.example")
        .check();
}

#[test]
fn tiger_gives_a_recipient_and_nothing_else() {
    call("sendmail root")
        .stdin("Subject: Tiger Auditing Report for web1\n\n--WARN--\n")
        .to("admin@a.example")
        .gains(ALL)
        .check();
}

#[test]
fn mailagent_has_its_mail_queued_and_nothing_sent() {
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    let line = "sendmail -odq -i bob@x.example carol@x.example";
    silent(&call(line).stdin(MAIL).run(&sandbox, true).run(), "queued");
    assert_eq!((sandbox.entries().len(), sink.sessions()), (1, 0));
    silent(
        &sandbox.as_name("sendmail", &["-q"]).queued().run(),
        "flushed",
    );
    assert_eq!(sink.only_mail().text(), MAIL.replace('\n', "\r\n"));
    // Without a queue it is better sent than refused.
    silent(
        &call(line).stdin(MAIL).run(&sandbox, false).run(),
        "no queue",
    );
    assert_eq!(sink.mails().len(), 2);
}

#[test]
fn nagios_check_mailq_finds_its_last_line() {
    let place = Place::reserve();
    let sandbox = host(place.port());
    let mailq = |line: &str| {
        let outcome = call(line).run(&sandbox, true).run();
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
        outcome.stdout
    };
    for line in ["mailq", "/usr/bin/mailq", "sendmail -bp"] {
        assert_eq!(mailq(line), "Mail queue is empty\n");
    }
    let big = format!(
        "{MAIL}{}",
        "0123456789012345678901234567890123456789012345678901234567890\n".repeat(100)
    );
    silent(
        &call("sendmail -t").stdin(big).run(&sandbox, true).run(),
        "one",
    );
    silent(
        &call("sendmail root").stdin("x\n").run(&sandbox, true).run(),
        "two",
    );
    let ids = sandbox.entries();
    let list = mailq("mailq");
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(
        lines[0], "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------",
        "{list}"
    );
    for (id, sender) in ids.iter().zip(["host@a.example", "host@a.example"]) {
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(id.as_str()) && line.ends_with(sender)),
            "{list}"
        );
    }
    for recipient in ["bob@x.example", "carol@x.example", "admin@a.example"] {
        assert!(
            lines
                .iter()
                .any(|line| line.trim_start() == recipient && line.starts_with(' ')),
            "{list}"
        );
    }
    let trailer: Vec<_> = lines.last().unwrap().split(' ').collect();
    assert!(
        matches!(trailer[..], ["--", kb, "Kbytes", "in", "2", "Requests."] if kb.parse::<u32>().unwrap() > 5),
        "{list}"
    );
}
