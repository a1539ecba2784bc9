//! Programming languages, their libraries and what is written in them: rows 19 to 33, 37 and 41 of
//! the table of callers.
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::call::{Call, STAMPS, call, host, one_line, silent};
use crate::support::sink::{Options, Place};

/// A head that lacks nothing: what libraries write.
const HEAD: &str = "\
Date: Mon, 02 Mar 2026 04:05:06 +0000
From: Ann Ort <ann@b.example>
To: bob@x.example
Message-ID: <69a5.123@web1.b.example>
Subject: a build is green
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 7bit
";
const BODY: &str = "\nfirst\n.\n..two\nFrom here on\n\nlast\n";

fn mail() -> String {
    format!("{HEAD}{BODY}")
}

/// A call that changes nothing of a whole mail from ann to bob.
fn whole(line: &str) -> Call {
    call(line)
        .stdin(mail())
        .sender("ann@b.example")
        .to("bob@x.example")
        .gains("")
}

#[test]
fn git_send_email_names_everybody_behind_i() {
    let patch = "\
From: Ann Ort <ann@b.example>
To: list@x.example
Cc: Bob <bob@x.example>
Subject: [PATCH 1/2] say =?UTF-8?q?gr=C3=BC=C3=9Fe?=
Date: Mon,  2 Mar 2026 04:05:06 +0000
Message-Id: <20260302040506.1-1-ann@b.example>
X-Mailer: git-send-email 2.39.2
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit

grüße

diff --git a/x b/x
-.
+..
 From here
--\x20
2.39.2

";
    for line in [
        "sendmail -i list@x.example bob@x.example",
        "/usr/lib/sendmail -f ann@b.example -i list@x.example bob@x.example",
        "/usr/sbin/sendmail -f 'Ann Ort <ann@b.example>' -i list@x.example bob@x.example",
    ] {
        let sender = if line.contains("-f") {
            "ann@b.example"
        } else {
            "host@a.example"
        };
        call(line)
            .stdin(patch)
            .sender(sender)
            .to("list@x.example bob@x.example")
            .gains("")
            .check();
    }
}

#[test]
fn git_format_patch_output_loses_its_first_line_and_nothing_else() {
    let line = "From 5d81f6f0a1b2c3d4e5f60718293a4b5c6d7e8f90 Mon Sep 17 00:00:00 2001\n";
    let patch = mail();
    call("sendmail -i bob@x.example")
        .stdin(format!("{line}{patch}"))
        .to("bob@x.example")
        .gains("")
        .turns(line, "")
        .check();
}

#[test]
fn git_post_receive_email_takes_recipients_from_the_head() {
    let mail = "To: list@x.example\nSubject: [SCM] repo branch, main, updated. v1-2-gabc\nX-Git-Refname: refs/heads/main\nAuto-Submitted: auto-generated\n\nThis is an automated email\n";
    call("/usr/sbin/sendmail -t")
        .stdin(mail)
        .to("list@x.example")
        .gains(super::call::ALL)
        .check();
    call("/usr/sbin/sendmail -t -f \"git@b.example\"")
        .stdin(mail)
        .sender("git@b.example")
        .to("list@x.example")
        .gains("From: git@b.example\nDate: *\nMessage-ID: <*@b.example>\n")
        .check();
}

#[test]
fn mercurial_calls_without_i_and_without_an_end_of_options() {
    for method in ["sendmail", "/usr/sbin/sendmail"] {
        let line = format!("{method} -f ann@b.example bob@x.example carol@x.example");
        whole(&line).to("bob@x.example carol@x.example").check();
    }
}

#[test]
fn subversion_mails_by_both_of_its_scripts() {
    whole("/usr/sbin/sendmail -f'ann@b.example' bob@x.example").check();
    whole("/usr/sbin/sendmail -f ann@b.example bob@x.example").check();
}

#[test]
fn php_ends_headers_with_crlf_and_the_body_with_lf() {
    let mail = "To: bob@x.example\r\nSubject: Bestellung\r\nX-PHP-Originating-Script: 1000:a.php\r\nFrom: shop@b.example\r\nBcc: boss@x.example\r\n\r\nline\n.\nline\r\nlast";
    let php = |line: &str, sender: &str| {
        call(line)
            .stdin(mail)
            .sender(sender)
            .to("bob@x.example boss@x.example")
            .gains("Date: *\nMessage-ID: <*@b.example>\n")
            .turns("Bcc: boss@x.example\r\n", "")
            .check();
    };
    php("/usr/sbin/sendmail -t -i", "host@a.example");
    php(
        "/usr/sbin/sendmail -t -i -fshop@b.example",
        "shop@b.example",
    );
}

#[test]
fn php_is_told_the_truth_by_0_and_75() {
    // It takes both for success: 0 must be stored or sent, and 75 may only come where the next call
    // can be believed to try again.
    let mail = "To: bob@x.example\r\nSubject: s\r\n\r\nbody\r\n";
    let down = host(Place::reserve().port());
    let php = call("/usr/sbin/sendmail -t -i").stdin(mail);
    silent(&php.run(&down, true).run(), "queued");
    assert_eq!(down.entries().len(), 1);
    let outcome = php.run(&down, false).run();
    assert_eq!(outcome.status, 75);
    one_line(&outcome, "refused");
    assert_eq!(down.entries().len(), 1);
    let sink = Options::new()
        .recipient("bob@x.example", "550 5.7.1 no")
        .start();
    let refused = host(sink.port());
    for queue in [false, true] {
        let outcome = php.run(&refused, queue).run();
        assert_eq!(outcome.status, 69);
        one_line(&outcome, "550 5.7.1 no");
        assert_eq!(refused.entries(), [""; 0]);
    }
}

#[test]
fn phpmailer_in_its_three_ways() {
    let mail = mail().replace(
        "To: bob@x.example\n",
        "To: bob@x.example\nBcc: boss@x.example\n",
    );
    let to = "bob@x.example boss@x.example";
    let call = |line: &str| {
        let call = call(line)
            .stdin(&mail)
            .gains("")
            .turns("Bcc: boss@x.example\n", "");
        call.to(to).sender("ann@b.example")
    };
    call("/usr/sbin/sendmail -oi -fann@b.example -t").check();
    call("/usr/sbin/sendmail -oi -t")
        .sender("host@a.example")
        .check();
    // As qmail: recipients are those of the mail all the same, and without -t there are none.
    let sandbox = host(Place::reserve().port());
    let outcome = call("/var/qmail/bin/sendmail -fann@b.example")
        .run(&sandbox, true)
        .run();
    assert_eq!(outcome.status, 64);
    one_line(&outcome, "no recipient");
}

#[test]
fn symfony_in_the_way_without_dialogue() {
    whole("/usr/sbin/sendmail -t -i")
        .sender("host@a.example")
        .check();
    whole("/usr/sbin/sendmail -i -f'ann@b.example' -- bob@x.example").check();
}

#[test]
fn mime_lite_and_mail_mailer() {
    whole("/usr/lib/sendmail -t -oi -oem -fann@b.example").check();
    whole("/usr/sbin/sendmail -t")
        .sender("host@a.example")
        .check();
}

#[test]
fn email_sender_ends_its_options() {
    whole("sendmail -i -f ann@b.example -- bob@x.example -carol@x.example")
        .to("bob@x.example -carol@x.example")
        .check();
}

#[test]
fn ruby_mail_quotes_everything_for_a_shell() {
    whole("/usr/sbin/sendmail -i -f \"ann@b.example\" -- \"bob@x.example\"").check();
    // Rails up to 6 gives -t and recipients: nobody is left out, and nobody gets two.
    whole("/usr/sbin/sendmail -i -t -f \"ann@b.example\" -- \"bob@x.example\" \"eve@x.example\"")
        .to("bob@x.example eve@x.example")
        .check();
}

#[test]
fn nodemailer_leaves_bcc_to_sendmail() {
    let mail = mail().replace(
        "To: bob@x.example\n",
        "To: bob@x.example\nBcc: Boss <boss@x.example>,\n eve@x.example\n",
    );
    call("sendmail -i -f ann@b.example bob@x.example boss@x.example eve@x.example")
        .stdin(mail)
        .sender("ann@b.example")
        .to("bob@x.example boss@x.example eve@x.example")
        .gains("")
        .turns("Bcc: Boss <boss@x.example>,\n eve@x.example\n", "")
        .check();
}

#[test]
fn nodemailer_kills_it_in_the_middle_of_a_mail_and_nothing_is_sent() {
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (reader, writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut &writer, mail().as_bytes()).unwrap();
        let file = std::fs::File::from(std::os::fd::OwnedFd::from(reader));
        let run = sandbox
            .as_name("sendmail", &["-i", "-f", "ann@b.example", "bob@x.example"])
            .queued();
        let running = run.stdin_file(file).start();
        // It reads what there is and waits for more; a signal at any time before does the same.
        sleep(Duration::from_millis(100));
        running.signal(signal);
        let outcome = running.finish();
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (128 + signal.as_raw(), ""),
            "{}",
            outcome.stderr
        );
        drop(writer);
        assert_eq!((sandbox.queue_names("q"), sink.mails()), (vec![], vec![]));
    }
}

#[test]
fn gitea_proxmox_and_dovecot() {
    whole("sendmail -f ann@b.example -i bob@x.example").check();
    whole("sendmail -B 8BITMIME -f ann@b.example -- bob@x.example").check();
    whole("sendmail -i -f ann@b.example -- bob@x.example").check();
    whole(
        "sendmail -i -f <> -- bob@x.example"
            .replace("<>", "'<>'")
            .as_str(),
    )
    .sender("")
    .check();
    whole("sendmail -i -f '' -- bob@x.example")
        .sender("")
        .check();
}

#[test]
fn proxmox_sends_multipart_in_text_and_html() {
    let mail = "\
Content-Type: multipart/alternative;
\tboundary=\"----_=_NextPart_001_1772424306\"
MIME-Version: 1.0
Subject: =?UTF-8?B?dnpkdW1w?=
From: vzdump backup tool <root>
To: root

This is a multi-part message in MIME format.

------_=_NextPart_001_1772424306
Content-Type: text/plain;
\tcharset=\"UTF-8\"
Content-Transfer-Encoding: 8bit

größe

------_=_NextPart_001_1772424306--
";
    call("sendmail -B 8BITMIME -f root -- root")
        .stdin(mail)
        .to("admin@a.example")
        .gains(&format!("{STAMPS}Content-Transfer-Encoding: 8bit\n"))
        .turns("<root>", "<host@a.example>")
        .turns("To: root", "To: admin@a.example")
        .check();
}

#[test]
fn aerc_appends_its_recipients_and_ends_lines_with_crlf() {
    let mail = mail().replace('\n', "\r\n");
    whole("/usr/bin/sendmail -oi bob@x.example")
        .stdin(mail)
        .sender("host@a.example")
        .check();
}

#[test]
fn reportbug_and_bts() {
    let mail = mail().replace(
        "To: bob@x.example",
        "To: Debian Bug Tracking System <submit@x.example>",
    );
    call("/usr/sbin/sendmail -f ann@b.example -oi -oem submit@x.example")
        .stdin(mail)
        .sender("ann@b.example")
        .to("submit@x.example")
        .gains("")
        .check();
    let mail = "From: Ann <ann@b.example>\nTo: control@x.example\nCc: 1@x.example\nSubject: tagging 1\nDate: Mon, 02 Mar 2026 04:05:06 +0000\nMessage-ID: <1@b.example>\n\ntags 1 + patch\nthanks\n";
    call("/usr/sbin/sendmail -t")
        .stdin(mail)
        .to("control@x.example 1@x.example")
        .gains("")
        .check();
}
