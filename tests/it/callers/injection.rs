//! Text of strangers on the command line. Nothing that it names is written, read or run.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::call::{ALL, call, host, one_line, silent};
use crate::support::sandbox::Sandbox;
use crate::support::sink::{Options, Place};

/// A word that stands for a file which must stay away, `{F}`, and what becomes of the call.
const OPTIONS: &[(&str, i32)] = &[
    ("-X{F}", 0),
    ("-X {F}", 0),
    ("-C{F}", 0),
    ("-C {F}", 0),
    ("-D{F}", 0),
    ("-D {F}", 0),
    ("-OQueueDirectory={F}", 0),
    ("-O QueueDirectory={F}", 0),
    ("-O 'LogFile={F}'", 0),
    ("-oQ{F}", 0),
    ("-oA{F}", 0),
    ("-oQ/ -X{F}", 0),
    ("--config={F}", 0),
    ("--queue-dir={F}", 0),
    ("--attach={F}", 0),
    ("--generate={F}", 0),
    ("-d{F}", 0),
    ("-p{F}", 0),
    ("-L {F}", 0),
    ("-h {F}", 0),
    ("-be '${{run{{{F}}}}}'", 64),
    ("-bt{F}", 64),
    ("-b{F}", 64),
    ("-s {F}", 64),
    ("-bd -C{F}", 69),
];

/// Recipients that are no addresses, or no addresses that smail would ever open or run.
const RECIPIENTS: &[&str] = &[
    "'|touch {F}'",
    "'|{F}'",
    "'\"|touch {F}\"'",
    "{F}",
    ":include:{F}",
    "file:{F}",
    "+{F}",
    "'`touch {F}`@b'",
    "'$(touch {F})@x.example'",
    "'~/x'",
    "%h",
    "'&'",
    "'!id'",
    "./X",
    "-X{F}@b",
    "'|cmd@x.example'",
    "'`id`@x.example'",
];

/// Words behind the first recipient.
const BEHIND: &[&str] = &["-X{F}", "-C{F}", "-oQ{F}", "-be", "-t", "--config={F}"];

/// What opens, makes or changes files, and what starts programs.
const TRACED: &str = "trace=execve,execveat,fork,vfork,open,openat,creat,truncate,mkdir,mkdirat,unlink,unlinkat,rename,renameat2,symlink,link,chmod";

/// A world without a queue to look into, and the file that nothing may touch.
fn guarded(port: u16) -> (Sandbox, String) {
    let sandbox = host(port);
    let file = sandbox.path("forbidden/file").display().to_string();
    (sandbox, file)
}

/// Every path that the run opened, and every program it started but itself.
struct Seen(Vec<String>);

impl Seen {
    /// `None` where there is no strace, or it may not trace.
    fn possible() -> bool {
        Command::new("strace")
            .args(["-qq", "-o", "/dev/null", "true"])
            .status()
            .is_ok_and(|status| status.success())
    }

    fn read(trace: &Path) -> Self {
        let text = fs::read_to_string(trace).unwrap();
        assert!(text.contains("execve("), "{text}");
        Seen(
            text.lines()
                .skip_while(|line| !line.contains("execve("))
                .skip(1)
                .map(str::to_owned)
                .collect(),
        )
    }

    fn check(&self, what: &str) {
        for line in &self.0 {
            assert!(
                !line.contains("execve") && !line.contains("fork("),
                "{what}: {line}"
            );
            assert!(
                !line.contains("/forbidden/") && !line.contains("/etc/passwd-"),
                "{what}: {line}"
            );
        }
    }
}

/// Makes a call under strace and gives its status and its line.
fn traced(sandbox: &Sandbox, line: &str, input: &str) -> (i32, String) {
    let words = shlex::split(line).unwrap();
    let trace = sandbox.path("trace");
    let trace_word = trace.to_str().unwrap().to_owned();
    let strace = ["strace", "-f", "-qq", "-e", TRACED, "-o", &trace_word];
    let run = if Seen::possible() {
        sandbox.under_as(&strace, "sendmail", &words[1..])
    } else {
        println!("not traced: there is no strace here");
        sandbox.as_name("sendmail", &words[1..])
    };
    let outcome = run.stdin(input).run();
    if trace.exists() {
        Seen::read(&trace).check(line);
    }
    assert_eq!(sandbox.read("forbidden/file"), None, "{line}");
    assert!(!sandbox.path("forbidden").exists(), "{line}");
    assert_eq!(outcome.stdout, "", "{line}");
    assert!(
        outcome.stderr.lines().count() <= 1,
        "{line}: {}",
        outcome.stderr
    );
    (outcome.status, outcome.stderr)
}

#[test]
fn options_that_name_files_have_no_effect_before_the_first_recipient() {
    for (option, status) in OPTIONS {
        let sink = Options::new().start();
        let (sandbox, file) = guarded(sink.port());
        let line = format!(
            "sendmail {} bob@x.example",
            option
                .replace("{F}", &file)
                .replace("{{", "{")
                .replace("}}", "}")
        );
        let (got, said) = traced(&sandbox, &line, "x\n");
        assert_eq!(got, *status, "{line}: {said}");
        assert_eq!(said.is_empty(), *status == 0, "{line}: {said}");
        let mails = sink.mails();
        assert_eq!(mails.len(), usize::from(*status == 0), "{line}");
        assert!(
            mails.iter().all(|mail| mail.to == ["bob@x.example"]),
            "{line}"
        );
    }
}

#[test]
fn words_behind_a_recipient_are_recipients_and_never_options() {
    for word in BEHIND {
        let (sandbox, file) = guarded(Place::reserve().port());
        let line = format!("sendmail bob@x.example {}", word.replace("{F}", &file));
        let (status, said) = traced(&sandbox, &line, "x\n");
        // Without alias and domain, or at this host's: then it is sent to, and the server is down.
        assert!([65, 75].contains(&status), "{line}: {status} {said}");
        assert!(said.starts_with("sendmail: "), "{said}");
    }
}

#[test]
fn recipients_that_are_programs_files_or_nonsense_are_refused() {
    for form in RECIPIENTS {
        let (sandbox, file) = guarded(Place::reserve().port());
        let typed = form.replace("{F}", &file);
        let (status, said) = traced(&sandbox, &format!("sendmail -i -- {typed}"), "x\n");
        assert!([64, 65, 75].contains(&status), "{form}: {status} {said}");
        // The same in the head.
        let plain = &shlex::split(&typed).unwrap()[0];
        let (status, said) = traced(&sandbox, "sendmail -t", &format!("To: {plain}\n\nx\n"));
        assert!([64, 65, 75].contains(&status), "{form}: {status} {said}");
    }
}

#[test]
fn addresses_that_only_look_like_something_are_addresses() {
    for (line, to) in [
        ("sendmail -i -- -oQ/tmp@x.example", "-oQ/tmp@x.example"),
        (
            "sendmail -i bob@x.example -oQ/tmp@x.example",
            "bob@x.example -oQ/tmp@x.example",
        ),
        (
            "sendmail -i bob@x.example -X/tmp/x.php@x.example",
            "bob@x.example -X/tmp/x.php@x.example",
        ),
        ("sendmail -i '/file@x.example'", "/file@x.example"),
    ] {
        call(line)
            .stdin("Subject: s\n\nx\n")
            .to(to)
            .gains(ALL)
            .check();
    }
}

#[test]
fn phpmailers_sender_of_2016_is_one_sender_and_refused() {
    // CVE-2016-10033 and CVE-2016-10045, as the words come out of the shell.
    for line in [
        r#"sendmail -t -i '-f"attacker" -oQ/tmp/ -X{F} some"@x.example'"#,
        r#"sendmail -t -i '-f"a\" -oQ/tmp -X{F} b"@x.example'"#,
        r"sendmail -t -i '-fa -X{F} b@x.example'",
    ] {
        let (sandbox, file) = guarded(Place::reserve().port());
        let (status, said) = traced(
            &sandbox,
            &line.replace("{F}", &file),
            "To: bob@x.example\n\nx\n",
        );
        assert!([64, 65, 75].contains(&status), "{line}: {status} {said}");
    }
    // What came out of the shell as words of their own.
    let sink = Options::new().start();
    let (sandbox, file) = guarded(sink.port());
    let line = format!("sendmail -t -i -fattacker@x.example -oQ/tmp/ -X{file}");
    assert_eq!(
        traced(&sandbox, &line, "To: bob@x.example\n\n<?php x ?>\n").0,
        0
    );
    assert_eq!(sink.only_mail().from, "attacker@x.example");
}

#[test]
fn line_ends_in_values_reach_neither_the_dialogue_nor_the_head() {
    for option in ["-f", "-r", "-F", "-N", "-R", "-V"] {
        for value in [
            "a@x.example>\r\nRCPT TO:<evil@x.example>",
            "a\r\nBcc: evil@x.example",
            "a\nX-Evil: 1\n\nbody",
            "a\0b",
            "\r\n.\r\nQUIT",
        ] {
            if value.contains('\0') {
                continue;
            }
            let sink = Options::new().extensions(&["DSN"]).start();
            let sandbox = host(sink.port());
            let outcome = sandbox
                .as_name("sendmail", &[option, value, "bob@x.example"])
                .stdin("Subject: s\n\nx\n")
                .run();
            let dialogue = sink.dialogue().join("\n");
            assert!(!dialogue.contains("RCPT TO:<evil"), "{option}: {dialogue}");
            if outcome.status != 0 {
                assert!(
                    [64, 65].contains(&outcome.status),
                    "{option} {value:?}: {} {}",
                    outcome.status,
                    outcome.stderr
                );
                one_line(&outcome, "");
                assert_eq!(sink.mails(), [], "{option}");
                continue;
            }
            silent(&outcome, option);
            let mail = sink.only_mail();
            assert_eq!(mail.to, ["bob@x.example"]);
            let text = mail.text();
            assert!(
                !text.contains("\r\nBcc:")
                    && !text.contains("\r\nX-Evil:")
                    && text.ends_with("\r\nSubject: s\r\n\r\nx\r\n"),
                "{option}: {text}"
            );
            assert!(
                ["-F", "-N", "-R", "-V"].contains(&option),
                "{option} {value:?} was taken as a sender"
            );
        }
    }
}

#[test]
fn line_ends_in_recipients_are_refused() {
    let sandbox = host(Place::reserve().port());
    for value in [
        "bob@x.example\r\nRCPT TO:<evil@x.example>",
        "bob@x.example>\r\nDATA",
        "\"a\r\nb\"@x.example",
    ] {
        let outcome = sandbox.as_name("sendmail", &[value]).stdin("x\n").run();
        assert_eq!(outcome.status, 65, "{value:?}: {}", outcome.stderr);
        one_line(&outcome, "");
    }
}

#[test]
fn a_name_given_in_the_second_place_takes_nobody_out_of_sendmail() {
    // A caller with an unquoted list of recipients must not be led to the flags of mailx, which may
    // run programs.
    let sandbox = host(Place::reserve().port());
    let program = sandbox.write_program("program", "#!/bin/sh\ntouch \"$0.ran\"\n");
    let set = format!("mta={}", program.display());
    let outcome = sandbox
        .as_name("sendmail", &["--as", "mailx", "-S", &set, "bob@x.example"])
        .stdin("x\n")
        .run();
    assert_ne!(outcome.status, 0);
    assert_eq!(sandbox.read("program.ran"), None, "{}", outcome.stderr);
}

#[test]
fn variables_of_the_callers_environment_that_are_none_of_ours_have_no_effect() {
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    let mut run = sandbox
        .as_name("sendmail", &["root"])
        .stdin("Subject: s\n\nx\n");
    for name in [
        "SENDMAIL",
        "sendmail",
        "SHELL",
        "PAGER",
        "VISUAL",
        "EDITOR",
        "DEAD",
        "interactive",
        "MAILER",
        "mta",
        "smtp",
        "from",
        "record",
        "aliases",
        "IFS",
    ] {
        run = run.env(name, "|touch pwned");
    }
    silent(&run.run(), "environment");
    assert_eq!(
        (sink.only_mail().to, sandbox.read("pwned")),
        (vec!["admin@a.example".to_owned()], None)
    );
    assert!(!sandbox.path("|touch pwned").exists());
}

#[test]
fn a_body_that_commands_is_a_body() {
    let body = "~! touch pwned\n~< /etc/passwd\n~s h\n~p\n!touch pwned\n.\nQUIT\n";
    call("sendmail root")
        .stdin(format!("Subject: s\n\n{body}"))
        .to("admin@a.example")
        .gains(ALL)
        .check();
}

#[test]
fn the_guard_of_these_tests_sees_a_file_that_is_read() {
    if !Seen::possible() {
        println!("skipped: there is no strace here");
        return;
    }
    let sandbox = host(Place::reserve().port());
    let trace = sandbox.path("trace");
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-e",
        TRACED,
        "-o",
        trace.to_str().unwrap(),
    ];
    sandbox.write("forbidden/file", "x");
    let args = ["-a", "forbidden/file", "root"];
    let outcome = sandbox.under_as(&strace, "mail", &args).run();
    assert_eq!(outcome.status, 75, "{}", outcome.stderr);
    let seen = Seen::read(&trace);
    assert!(
        seen.0.iter().any(|line| line.contains("forbidden/file")),
        "{:#?}",
        seen.0
    );
}

#[test]
fn smail_refuses_to_run_with_the_rights_of_another() {
    let sandbox = host(Place::reserve().port());
    let copy = |from: &str, name: &str| {
        let to = sandbox.copy_program(std::path::Path::new(from), name);
        std::os::unix::fs::chown(&to, Some(1), None)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o4755))?;
        std::io::Result::Ok(to.to_str().unwrap().to_owned())
    };
    let (Ok(id), Ok(sendmail)) = (
        copy("/usr/bin/id", "id"),
        copy(env!("CARGO_BIN_EXE_smail"), "sendmail"),
    ) else {
        println!("skipped: only root gives files away");
        return;
    };
    fs::set_permissions(sandbox.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    if sandbox.program(&[&id, "-u"]).run().stdout != "1\n" {
        println!("skipped: set-user-ID has no effect here");
        return;
    }
    let outcome = sandbox.program(&[&sendmail, "root"]).stdin("x\n").run();
    assert_eq!(outcome.status, 77);
    one_line(&outcome, "the privileges of another user or group");
}
