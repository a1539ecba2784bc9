//! What writes mail for people: git send-email, PHP, Perl, mutt and the mail programs beside smail's own.
use super::letter::Letter;
use super::{Machine, content};

const GIT: &str = "/usr/lib/git-core/git-send-email";
/// A text that a careless way would change or cut.
const TEXT: &str = "one\n.\n..two\nFrom three\n~four\n";

/// A repository with one commit in root's home.
fn repository(machine: &Machine) {
    machine.write("/root/message", "add a file\n\n.\n..two\nFrom here on\nna\u{ef}ve\n", 0o600);
    machine.write("/root/.gitconfig", "[user]\nname = A U Thor\nemail = author@x.example\n[sendemail]\nconfirm = never\n", 0o600);
    machine.write("/root/work/file", ".\nFrom a file\n", 0o600);
    let steps: [&[&str]; 3] = [&["init", "-q"], &["add", "file"], &["commit", "-q", "-F", "/root/message"]];
    for step in steps {
        content(&machine.call(&[&["git", "-C", "/root/work"], step].concat()).run(), "");
    }
}

fn patch(machine: &Machine, words: &[&str]) -> Letter {
    repository(machine);
    let all = [&["git", "-C", "/root/work", "send-email", "--quiet", "--to=list@x.example", "--cc=Cee <cee@x.example>"], words, &["-1"]];
    let outcome = machine.call(&all.concat()).run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    machine.letter()
}

const PATCH: &str = "";

#[test]
fn git_finds_sendmail_and_sends_a_patch_that_can_be_applied() {
    let Some(machine) = Machine::for_program(GIT) else { return };
    assert_eq!(patch(&machine, &[]).read(&["From", "To", "Cc", "Subject"]), PATCH);
}

#[test]
fn git_sends_a_patch_through_its_sendmail_command() {
    let Some(machine) = Machine::for_program(GIT) else { return };
    let words = ["--sendmail-cmd=/usr/sbin/sendmail -oi", "--envelope-sender=bounces@x.example"];
    let letter = patch(&machine, &words);
    assert_eq!(letter.read(&["From", "To", "Cc", "Subject"]), PATCH);
}

#[test]
fn php_mails_as_the_user_of_the_web_server_whose_settings_hold_a_password() {
    let Some(machine) = Machine::for_program("/usr/bin/php") else { return };
    let program = "<?php var_dump(mail('root, Zoe <zoe@x.example>', 'Gr\u{fc}\u{df}e', \"one\\n.\\nFrom two\\r\\n..three\", \
        \"From: Web <web@x.example>\\r\\nBcc: hidden@x.example\\r\\nX-Mailer: it\", '-fbounces@x.example'));";
    machine.write("/etc/program.php", program, 0o644);
    machine.append("/etc/smail/config.toml", "auth-user = \"me\"\nauth-password = \"secret\"\n");
    machine.give("/etc/smail/config.toml", "root", "www-data");
    let outcome = machine.call_as("www-data", &["php", "/etc/program.php"]).run();
    content(&outcome, "bool(true)\n");
    let letter = machine.letter();
    assert_eq!(letter.show(&["From", "To", "Subject", "X-Mailer", "Bcc"]), "");
}

#[test]
fn php_mails_with_nothing_but_a_recipient() {
    let Some(machine) = Machine::for_program("/usr/bin/php") else { return };
    let outcome = machine.call_as("www-data", &["php", "-r", "var_dump(mail('root', '', ''));"]).run();
    content(&outcome, "bool(true)\n");
    assert_eq!(machine.letter().show(&["From", "To", "Subject"]), "");
}

#[test]
fn s_nail_mails() {
    let Some(machine) = Machine::for_program("/usr/bin/s-nail") else { return };
    let words = ["s-nail", "-:/", "-Smta=/usr/sbin/sendmail", "-s", "Gr\u{fc}\u{df}e", "-r", "me@x.example", "-b", "hidden@x.example", "to@x.example"];
    let letter = machine.silent(machine.call(&words).stdin(TEXT));
    assert_eq!(letter.read(&["From", "To", "Subject", "Bcc"]), "");
}

#[test]
fn bsd_mailx_mails() {
    let Some(machine) = Machine::for_program("/usr/bin/bsd-mailx") else { return };
    let words = ["bsd-mailx", "-s", "subject", "-c", "cee@x.example", "-b", "hidden@x.example", "root"];
    let letter = machine.silent(machine.call(&words).stdin(TEXT));
    assert_eq!(letter.read(&["From", "To", "Cc", "Subject", "Bcc"]), "");
}

#[test]
fn mailutils_mails() {
    let Some(machine) = Machine::for_program("/usr/bin/mail.mailutils") else { return };
    let words = ["mail.mailutils", "-s", "subject", "-a", "X-Job: night", "to@x.example", "root"];
    let letter = machine.silent(machine.call(&words).stdin(TEXT));
    assert_eq!(letter.read(&["From", "To", "X-Job", "Subject"]), "");
}

#[test]
fn mutt_mails_an_attachment() {
    let Some(machine) = Machine::for_program("/usr/bin/mutt") else { return };
    machine.write("/root/list.txt", ".\nFrom a list\n", 0o600);
    let words = ["mutt", "-s", "Gr\u{fc}\u{df}e", "-b", "hidden@x.example", "-a", "list.txt", "--", "to@x.example"];
    let letter = machine.silent(machine.call(&words).stdin(TEXT));
    assert_eq!(letter.read(&["From", "To", "Subject", "Bcc"]), "");
    assert_eq!(letter.attachments(), [("list.txt".to_owned(), ".\nFrom a list\n".to_owned())]);
}

#[test]
fn perls_mail_mailer_mails() {
    let Some(machine) = Machine::for_program("/usr/share/perl5/Mail/Mailer.pm") else { return };
    let program = "use Mail::Mailer; my $mail = Mail::Mailer->new('sendmail'); \
        $mail->open({ To => 'root', Subject => 'subject', 'Reply-To' => 'www-data' }); \
        print $mail qq(one\\n.\\ntwo\\n); $mail->close or die \"$! $?\";";
    let letter = machine.silent(machine.call(&["perl", "-e", program]));
    assert_eq!(letter.show(&["From", "To", "Subject", "Reply-To"]), "");
}
