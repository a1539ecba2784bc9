//! What writes mail for people: git send-email, PHP, Perl, mutt and the mail programs beside
//! smail's own.
use super::{Machine, content};
use crate::support::sink::Options;

const GIT: &str = "/usr/lib/git-core/git-send-email";
const PHP: &str = "/usr/bin/php";
/// A text that a careless way would change or cut.
const TEXT: &str = "one\n.\n..two\nFrom three\n~four\n";

/// A repository with one commit in root's home.
fn repository(machine: &Machine) {
    machine.write(
        "/root/message",
        "add a file\n\n.\n..two\nFrom here on\nna\u{ef}ve\n",
        0o600,
    );
    machine.write(
        "/root/.gitconfig",
        "[user]\nname = A U Thor\nemail = author@x.example\n[sendemail]\nconfirm = never\n",
        0o600,
    );
    machine.write("/root/work/file", ".\nFrom a file\n", 0o600);
    let steps: [&[&str]; 3] = [
        &["init", "-q"],
        &["add", "file"],
        &["commit", "-q", "-F", "/root/message"],
    ];
    for step in steps {
        content(
            &machine
                .call(&[&["git", "-C", "/root/work"], step].concat())
                .run(),
            "",
        );
    }
}

/// Sends the commit, and applies what arrived elsewhere.
fn patch(machine: &Machine, words: &[&str]) -> String {
    repository(machine);
    let send = [
        "git",
        "-C",
        "/root/work",
        "send-email",
        "--quiet",
        "--to=list@x.example",
        "--cc=Cee <cee@x.example>",
    ];
    let outcome = machine.call(&[&send, words, &["-1"]].concat()).run();
    assert_eq!(
        (outcome.status, outcome.stderr.as_str()),
        (0, ""),
        "{outcome:?}"
    );
    let letter = machine.letter();
    machine.write("/root/mail", &letter.text(), 0o600);
    content(
        &machine
            .call(&["git", "init", "-q", "/root/elsewhere"])
            .run(),
        "",
    );
    content(
        &machine
            .call(&["git", "-C", "/root/elsewhere", "am", "-q", "/root/mail"])
            .run(),
        "",
    );
    let told = machine
        .call(&[
            "git",
            "-C",
            "/root/elsewhere",
            "show",
            "--format=%an <%ae>%n%B",
            "HEAD",
        ])
        .run();
    content(&told, APPLIED);
    letter.show(&["From", "To", "Cc", "Subject"])
}

const APPLIED: &str = "\
A U Thor <author@x.example>
add a file

.
..two
From here on
na\u{ef}ve


diff --git a/file b/file
new file mode 100644
index 0000000..3aa0c57
--- /dev/null
+++ b/file
@@ -0,0 +1,2 @@
+.
+From a file
";
const PATCH: &str = " -> list@x.example cee@x.example author@x.example
From: A U Thor <author@x.example>
To: list@x.example
Cc: Cee <cee@x.example>, A U Thor <author@x.example>
Subject: [PATCH] add a file

.
..two
From here on
na\u{ef}ve
---
";

#[test]
fn git_finds_sendmail_and_its_patch_can_be_applied() {
    let Some(machine) = Machine::for_program(GIT) else {
        return;
    };
    let shown = patch(&machine, &[]);
    assert!(
        shown.starts_with(&format!("author@x.example{PATCH}")),
        "{shown}"
    );
}

#[test]
fn git_sends_through_its_sendmail_command_for_another_sender() {
    let Some(machine) = Machine::for_program(GIT) else {
        return;
    };
    let shown = patch(
        &machine,
        &[
            "--sendmail-cmd=/usr/sbin/sendmail -oi",
            "--envelope-sender=bounces@x.example",
        ],
    );
    assert!(
        shown.starts_with(&format!("bounces@x.example{PATCH}")),
        "{shown}"
    );
}

/// The user of a web server may read the settings by its group.
fn php(machine: &Machine) {
    let program = "<?php var_dump(mail('root, Zoe <zoe@x.example>', 'Gr\u{fc}\u{df}e', \"one\\n.\\nFrom two\\r\\n..three\", \
                   \"From: Web <web@x.example>\\r\\nBcc: hidden@x.example\\r\\nX-Mailer: it\", '-fbounces@x.example'));";
    machine.write("/etc/program.php", program, 0o644);
    machine.share("/etc/smail/config.toml", "www-data");
    content(
        &machine
            .call_as("www-data", &["php", "/etc/program.php"])
            .run(),
        "bool(true)\n",
    );
    let letter = machine.letter();
    assert_eq!(letter.login(), Some("me"));
    assert_eq!(
        letter.show(&["From", "To", "Subject", "X-Mailer", "Bcc"]),
        "bounces@x.example -> admin@x.example zoe@x.example hidden@x.example\n\
         From: Web <web@x.example>\n\
         To: admin@x.example, Zoe <zoe@x.example>\n\
         Subject: =?utf-8?b?R3LDvMOfZQ==?=\n\
         X-Mailer: it\n\
         no Bcc\n\
         \n\
         one\n.\nFrom two\n..three\n"
    );
}

#[test]
fn php_mails_for_a_web_server_by_the_hosts_settings_and_their_password() {
    let server = Options::new().login("me", "secret");
    let Some(machine) = Machine::with_server(PHP, server) else {
        return;
    };
    machine.append(
        "/etc/smail/config.toml",
        "auth-user = \"me\"\nauth-password = \"secret\"\n",
    );
    php(&machine);
}

#[test]
fn php_mails_for_a_web_server_by_the_hosts_password_file() {
    let server = Options::new().login("me", "secret");
    let Some(machine) = Machine::with_server(PHP, server) else {
        return;
    };
    machine.write("/etc/smail/password", "secret\n", 0o600);
    machine.share("/etc/smail/password", "www-data");
    let settings = "auth-user = \"me\"\nauth-password-file = \"/etc/smail/password\"\n";
    machine.append("/etc/smail/config.toml", settings);
    php(&machine);
    // Root is as welcome as the group.
    content(
        &machine
            .service(&["sendmail", "root"])
            .stdin("Subject: again\n\n")
            .run(),
        "",
    );
    assert_eq!(machine.await_letters(2).len(), 2);
}

#[test]
fn php_mails_with_nothing_but_a_recipient() {
    let Some(machine) = Machine::for_program(PHP) else {
        return;
    };
    let outcome = machine
        .call_as(
            "www-data",
            &["php", "-r", "var_dump(mail('root', '', ''));"],
        )
        .run();
    content(&outcome, "bool(true)\n");
    assert_eq!(
        machine.letter().show(&["From", "To", "Subject"]),
        "root@x.example -> admin@x.example\nFrom: root@x.example\nTo: admin@x.example\nSubject: \n\n\n"
    );
}

#[test]
fn s_nail_mails() {
    let Some(machine) = Machine::for_program("/usr/bin/s-nail") else {
        return;
    };
    let words = [
        "s-nail",
        "-:/",
        "-Smta=/usr/sbin/sendmail",
        "-s",
        "Gr\u{fc}\u{df}e",
        "-r",
        "me@x.example",
        "-b",
        "hidden@x.example",
        "to@x.example",
    ];
    let letter = machine.silent(machine.call(&words).stdin(TEXT));
    let top = "me@x.example -> to@x.example hidden@x.example\n\
        From: me@x.example\n\
        To: to@x.example\n\
        no Bcc\n\
        Subject: Gr\u{fc}\u{df}e\n";
    assert_eq!(
        letter.read(&["From", "To", "Bcc"]),
        format!("{top}\n{TEXT}")
    );
}

#[test]
fn bsd_mailx_mails() {
    let Some(machine) = Machine::for_program("/usr/bin/bsd-mailx") else {
        return;
    };
    let words = [
        "bsd-mailx",
        "-s",
        "subject",
        "-c",
        "cee@x.example",
        "-b",
        "hidden@x.example",
        "root",
    ];
    let letter = machine.silent(machine.call(&words).stdin(TEXT));
    let top = "root@x.example -> admin@x.example cee@x.example hidden@x.example\n\
        From: root@x.example\n\
        To: admin@x.example\n\
        Cc: cee@x.example\n\
        no Bcc\n\
        Subject: subject\n";
    assert_eq!(
        letter.read(&["From", "To", "Cc", "Bcc"]),
        format!("{top}\n{TEXT}")
    );
}

#[test]
fn mailutils_mails() {
    let Some(machine) = Machine::for_program("/usr/bin/mail.mailutils") else {
        return;
    };
    // It gives names the full name of this host by itself, and ends at a lone dot.
    machine.append("/etc/smail/config.toml", "hostname = \"box.x.example\"\n");
    let words = [
        "mail.mailutils",
        "-s",
        "subject",
        "-a",
        "X-Job: night",
        "to@x.example",
        "root",
    ];
    let letter = machine.silent(machine.call(&words).stdin("one\n..two\nFrom three\n"));
    let top = "root@box.x.example -> to@x.example admin@x.example\n\
        From: root@box.x.example\n\
        To: to@x.example, admin@x.example\n\
        X-Job: night\n\
        Subject: subject\n";
    assert_eq!(
        letter.read(&["From", "To", "X-Job"]),
        format!("{top}\none\n..two\nFrom three\n")
    );
}

#[test]
fn mutt_mails_an_attachment() {
    let Some(machine) = Machine::for_program("/usr/bin/mutt") else {
        return;
    };
    machine.write("/root/list.txt", ".\nFrom a list\n", 0o600);
    let words = [
        "mutt",
        "-s",
        "Gr\u{fc}\u{df}e",
        "-b",
        "hidden@x.example",
        "-a",
        "list.txt",
        "--",
        "to@x.example",
    ];
    let letter = machine.silent(machine.call(&words).stdin(TEXT));
    let top = "root@x.example -> to@x.example hidden@x.example\n\
        From: root <root@x.example>\n\
        To: to@x.example\n\
        no Bcc\n\
        Subject: Gr\u{fc}\u{df}e\n";
    assert_eq!(
        letter.read(&["From", "To", "Bcc"]),
        format!("{top}\n{TEXT}")
    );
    assert_eq!(
        letter.attachments(),
        [("list.txt".to_owned(), ".\nFrom a list\n".to_owned())]
    );
}

#[test]
fn perls_mail_mailer_mails() {
    let Some(machine) = Machine::for_program("/usr/share/perl5/Mail/Mailer.pm") else {
        return;
    };
    let program = "use Mail::Mailer; my $mail = Mail::Mailer->new('sendmail'); \
        $mail->open({ To => 'root', Subject => 'subject', 'Reply-To' => 'www-data' }); \
        print $mail qq(one\\n.\\ntwo\\n); $mail->close or die \"$! $?\";";
    let letter = machine.silent(machine.call(&["perl", "-e", program]));
    assert_eq!(
        letter.show(&["From", "To", "Subject", "Reply-To"]),
        "root@x.example -> admin@x.example\n\
         From: root@x.example\n\
         To: admin@x.example\n\
         Subject: subject\n\
         Reply-To: admin@x.example\n\
         \n\
         one\n.\ntwo\n"
    );
}
