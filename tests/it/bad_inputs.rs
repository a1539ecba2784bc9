//! What no input may do: crash, hang, send half a mail, write or run anything. One row an input;
//! the numbers are those of the list in the specification of reliability.
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::sink::{Options, Sink};

/// A world, a server in it, and the flags that lead there.
struct Place {
    sandbox: Sandbox,
    sink: Sink,
    smtp: String,
}

impl Place {
    fn new() -> Self {
        Place::at(Options::new().start())
    }

    fn at(sink: Sink) -> Self {
        let smtp = format!("smtp=127.0.0.1:{}", sink.port());
        Place {
            sandbox: Sandbox::new(),
            sink,
            smtp,
        }
    }

    fn run(&self, words: &[&str], stdin: &[u8]) -> Outcome {
        let mut all = vec!["--no-config", "-S", &self.smtp, "-r", "me@x.example"];
        all.extend(words);
        self.sandbox.smail(&all).stdin(stdin).run()
    }

    /// Sends and gives the only mail that arrived.
    fn sent(&self, words: &[&str], stdin: &[u8]) -> String {
        let outcome = self.run(words, stdin);
        assert_eq!(outcome.status, 0, "{words:?}: {}", outcome.stderr);
        self.sink.only_mail().text()
    }

    /// Expects a status before any connection, and words that say why.
    fn refused(&self, words: &[&str], stdin: &[u8], status: i32, says: &str) {
        let outcome = self.run(words, stdin);
        assert_eq!(outcome.status, status, "{words:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(says),
            "{words:?} does not say `{says}`: {}",
            outcome.stderr
        );
        assert!(outcome.owes(&[]).is_empty(), "{:?}", outcome.owes(&[]));
        assert_eq!(self.sink.sessions(), 0, "{words:?} made a connection");
    }
}

fn text_of(mail: &str) -> String {
    let parsed = mail_parser::MessageParser::default()
        .parse(mail.as_bytes())
        .unwrap();
    parsed.body_text(0).unwrap().replace("\r\n", "\n")
}

fn subject_of(mail: &str) -> String {
    let parsed = mail_parser::MessageParser::default()
        .parse(mail.as_bytes())
        .unwrap();
    parsed.subject().unwrap_or_default().to_owned()
}

#[test]
fn flags_that_cannot_be_meant_are_refused_before_any_connection() {
    let place = Place::new();
    let rows: &[(&[&str], i32, &str)] = &[
        (&["-s", "x"], 64, "no recipient given"),      // B1
        (&["b@x.example", "-s"], 64, "needs a value"), // B2
        (
            &["-r", "a@b>\r\nRSET", "b@x.example"],
            64,
            "-r: `a@b>\\r\\nRSET` is not an address",
        ), // B8
        (
            &["-c", "", "-b", " "],
            64,
            "no recipient given: -c, -b are empty",
        ),
        (&["--to", ""], 64, "no recipient given: --to is empty"),
        (
            &["-r", "a@x.example\nBcc: b@x.example", "b@x.example"],
            64,
            "a control character",
        ),
        (
            &["--to", "a@x.example\nBcc: b@x.example"],
            65,
            "this group has no `;`",
        ),
        (
            &["--frobnicate", "b@x.example"],
            64,
            "unknown option `--frobnicate`",
        ), // B11
        (
            &["-a", "", "b@x.example"],
            64,
            "expected a file or a header",
        ), // B44
        (
            &["-C", "X\r\nBcc: e@x: y", "b@x.example"],
            64,
            "invalid header",
        ),
        (&["-C", "no colon", "b@x.example"], 64, "invalid header"),
        (
            &["-S", "hostname=x\r\nMAIL FROM:<e@x>", "b@x.example"],
            78,
            "the value cannot contain a line break",
        ),
        (
            &["-S", "auth-user=a\0b", "b@x.example"],
            78,
            "the value cannot contain a line break",
        ),
        (
            &["-S", "tls=of", "b@x.example"],
            78,
            "invalid value `of`; expected one of",
        ), // B51
        (&["-S", "smpt=h", "b@x.example"], 64, "did you mean `smtp`?"),
        (
            &["-A", "nobody", "b@x.example"],
            64,
            "unknown account `nobody`",
        ),
        (
            &["-~", "b@x.example"],
            64,
            "the escape `~!` is not supported",
        ),
    ];
    for (words, status, says) in rows
        .iter()
        .filter(|r| !r.0.iter().any(|w| w.contains('\0')))
    {
        place.refused(words, b"~!id\n", *status, says);
    }
}

#[test]
fn addresses_that_could_mean_something_else_are_refused() {
    let place = Place::new();
    let rows = [
        ("|touch X", 65), // B31, C1
        ("/tmp/X", 65),
        ("./X", 65),
        ("+X", 65),
        ("~/X", 65),
        ("`id`@b", 65),
        ("$(id)@b", 65),
        ("%h", 65),
        ("&", 65),
        ("!id", 65),
        ("a@b\r\nRCPT TO:<c>", 65), // B32
        ("\"a> ORCPT=x\"@b", 65),   // B33
        ("\"v@evil\"@b", 65),
        ("root", 65),       // B36
        ("A, B <a@b>", 65), // B37
        ("a@b;c@d", 65),
        ("", 64),
        ("-", 64),
    ];
    for (word, status) in rows {
        let outcome = place.run(&["-s", "x", "--", word], b"body\n");
        assert_eq!(outcome.status, status, "{word:?}: {}", outcome.stderr);
        assert_eq!(outcome.owes(&[]), Vec::<String>::new());
    }
    let long = [
        format!("{}@b", "a".repeat(500)),
        format!("a@{}", "d".repeat(256)),
        format!("{}@{}.example", "a".repeat(64), "d.".repeat(95)),
    ];
    for word in &long {
        assert_eq!(place.run(&[word], b"").status, 65, "{word}"); // B34
    }
    assert_eq!(place.sink.sessions(), 0);
    let left: Vec<_> = std::fs::read_dir(place.sandbox.path(""))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .filter(|n| n == "X")
        .collect();
    assert!(left.is_empty());
}

#[test]
fn a_megabyte_of_brackets_is_refused_in_a_second() {
    let place = Place::new();
    for piece in ["(", ";", "<", "\""] {
        let word = piece.repeat(100_000); // one argument may hold 128 KiB
        let outcome = place.run(&["--", &word], b"");
        assert!(matches!(outcome.status, 64 | 65), "{}", outcome.stderr); // B39
        assert!(outcome.stderr.len() < 4096);
    }
    let template = format!("To: {}\n\nx", "(".repeat(1_000_000));
    assert_eq!(place.run(&["-t"], template.as_bytes()).status, 65);
}

#[test]
fn what_looks_like_an_option_behind_two_dashes_is_an_address() {
    let place = Place::new();
    place.sent(&["--", "-oQ/tmp@b.com"], b"x\n"); // B10
    assert_eq!(place.sink.only_mail().to, ["-oQ/tmp@b.com"]);
    assert!(!Path::new("/tmp@b.com").exists());
}

#[test]
fn a_subject_survives_whatever_stands_in_it() {
    let rows: &[(&[u8], &str)] = &[
        (b"x\r\nBcc: e@x", "x Bcc: e@x"), // B4
        (b"=?utf-8?q?a?=", "a"),          // B7
        (b"=?utf-8?q?a=0D=0ABcc:_e@x?=", "a  Bcc: e@x"),
        (b"\xff\xfe", "\u{ff}\u{fe}"), // B6
        (b"", ""),                     // B3
    ];
    for (subject, want) in rows {
        let place = Place::new();
        let outcome = place
            .sandbox
            .smail(&[
                "--no-config",
                "-S",
                &place.smtp,
                "-r",
                "me@x.example",
                "b@x.example",
                "-s",
            ])
            .arg(std::ffi::OsStr::from_bytes(subject))
            .stdin("x\n")
            .run();
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
        let mail = place.sink.only_mail();
        assert_eq!(subject_of(&mail.text()), *want);
        assert_eq!(mail.to, ["b@x.example"]);
        assert!(!mail.text().to_lowercase().contains("\r\nbcc:"));
    }
    let long = "failed: /var/log/".repeat(600);
    let place = Place::new(); // B5
    assert_eq!(
        subject_of(&place.sent(&["-s", &long, "b@x.example"], b"x\n")),
        long
    );
}

#[test]
fn text_arrives_as_it_was_typed() {
    let rows: &[(&[u8], &str)] = &[
        (b"", ""), // B16
        (
            b"~! id\n~< /etc/passwd\n.\nFrom x\n..\n.x\n",
            "~! id\n~< /etc/passwd\n.\nFrom x\n..\n.x\n",
        ), // B19, B24, C2
        (b"a\r\nb\nc\r\n", "a\nb\nc\n"), // B21
        (b"no end", "no end\n"), // B22
        (b"\xef\xbb\xbfbom\n", "bom\n"), // B27
        (b"\xff\xfeh\0i\0\n\0", "hi\n"),
        (b"a\0b\n", "a\0b\n"), // B20
    ];
    for (input, want) in rows {
        let place = Place::new();
        assert_eq!(
            text_of(&place.sent(&["-s", "x", "b@x.example"], input)),
            *want,
            "{input:?}"
        );
    }
    let line = "x".repeat(1_000_000); // B23
    let place = Place::new();
    assert_eq!(
        text_of(&place.sent(&["-s", "x", "b@x.example"], line.as_bytes())).trim_end(),
        line
    );
}

#[test]
fn text_without_an_end_stops_at_the_limit() {
    let place = Place::new();
    let endless = vec![b'y'; 3 << 20];
    let limited = ["-S", "max-size=1M", "b@x.example"];
    place.refused(
        &limited,
        &endless,
        65,
        "the text is larger than 1048576 bytes",
    ); // B25
    for more in [
        &["-a", "-"][..],
        &["-t"],
        &["--html=-"],
        &["-m", "-"],
        &["-Y", "set a=b"],
    ] {
        place.refused(
            &[more, &limited].concat(),
            &endless,
            65,
            "the text is larger than 1048576 bytes",
        );
    }
    let small = place.sandbox.write("small", "x");
    let attached = [
        "-a",
        small.to_str().unwrap(),
        "-S",
        "max-size=1",
        "b@x.example",
    ];
    place.refused(&attached, b"xy", 65, "the text is larger than 1 bytes");
    // Files have their end, and no limit.
    let large = place.sandbox.write("large", vec![b'y'; 3 << 20]);
    let attached = [
        "-a",
        large.to_str().unwrap(),
        "-S",
        "max-size=1K",
        "b@x.example",
    ];
    place.sent(&attached, b"x");
}

#[test]
fn standard_input_that_cannot_be_read_is_told_and_a_closed_one_is_empty() {
    let place = Place::new();
    let script = |redirect: &str| {
        let line = format!(
            "exec \"$0\" --no-config -S {} -r me@x.example -s x b@x.example {redirect}",
            place.smtp
        );
        let mut command = std::process::Command::new("/bin/sh");
        command
            .args(["-c", &line, env!("CARGO_BIN_EXE_smail")])
            .env("HOME", place.sandbox.path("home"));
        command.output().unwrap()
    };
    let dir = script("< /");
    assert_eq!(dir.status.code(), Some(66)); // B18
    assert_eq!(
        String::from_utf8_lossy(&dir.stderr),
        "smail: standard input: Is a directory\n"
    );
    assert_eq!(script("<&-").status.code(), Some(0)); // B17
    assert_eq!(text_of(&place.sink.only_mail().text()), "");
}

#[test]
fn a_template_is_read_whatever_it_looks_like() {
    let rows: &[(&[u8], &[&str])] = &[
        (
            b"To: a@x.example\nBcc : z@x.example\nSubject: s\n\nbody\n",
            &["a@x.example", "z@x.example"],
        ), // B30
        (
            b"To: a@x.example\nBCC:\n z@x.example,\n y@x.example\n\nbody\n",
            &["a@x.example", "z@x.example", "y@x.example"],
        ), // B28
        (
            b"To: a@x.example\nSubject: one\nSubject: two\nContent-Length: 5\n\nbody\n",
            &["a@x.example"],
        ),
        (b"To: a@x.example\nX-Odd: \xff\n\nbody\n", &["a@x.example"]),
    ];
    for (input, to) in rows {
        let place = Place::new();
        let mail = place.sent(&["-t"], input);
        assert_eq!(place.sink.only_mail().to, *to);
        assert!(
            !mail.to_lowercase().contains("bcc") && !mail.contains("z@x.example"),
            "{mail}"
        );
        assert!(mail.matches("Subject:").count() <= 1);
    }
    let many = "X-Many: y\n".repeat(10_000);
    let place = Place::new();
    place.sent(
        &["-t"],
        format!(
            "To: a@x.example\n{many}X-Long: {}\n\nbody\n",
            "z".repeat(5000)
        )
        .as_bytes(),
    );
    Place::new().refused(&["-t"], b"Subject: x\n\nbody\n", 64, "no recipient given"); // B29, with the status of B1
}

#[test]
fn files_that_block_or_never_end_are_refused_before_standard_input_is_read() {
    let place = Place::new();
    let fifo = place.sandbox.path("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let secret = place.sandbox.write_mode("unreadable", "x", 0o000);
    let root = rustix::process::geteuid().is_root();
    let mut rows = vec![
        ("missing.pdf".to_owned(), "No such file"),
        ("home".to_owned(), "it is a directory"),
        (fifo.display().to_string(), "not a regular file"),
        ("/dev/zero".to_owned(), "not a regular file"),
        ("/proc/self/mem".to_owned(), ""),
    ];
    if !root {
        rows.push((secret.display().to_string(), "Permission denied"));
    }
    for (path, says) in rows {
        place.refused(&["-a", &path, "b@x.example"], b"body", 66, &path); // B41
        place.refused(&["-a", &path, "b@x.example"], b"body", 66, says);
    }
}

#[test]
fn two_thousand_attachments_and_the_same_file_twice_are_sent() {
    let place = Place::new();
    place.sandbox.write("a.txt", "a\n");
    let words: Vec<&str> = std::iter::repeat_n(["-a", "a.txt"], 2000)
        .flatten()
        .chain(["b@x.example"])
        .collect();
    let mail = place.sent(&words, b"x\n");
    let parsed = mail_parser::MessageParser::default()
        .parse(mail.as_bytes())
        .unwrap();
    assert_eq!(parsed.attachment_count(), 2000); // B44
}

#[test]
fn a_file_that_is_cut_while_it_is_sent_is_told_of_and_stops_no_mail() {
    // The server holds the connection at its greeting until the file has changed.
    let sandbox = Sandbox::new();
    let path = sandbox.write("shrinks.bin", vec![7_u8; 300_000]);
    let server = crate::support::server::Server::play(
        "a file that changes",
        "S: 220 hi\nC: EHLO *\nS: 250-hi\nS: 250 8BITMIME\nC: MAIL FROM:<me@x.example>\n-- slow 100ms\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 250 ok\nC: DATA\nS: 354 go\n-- data\nS: 250 ok\n-- bye\n",
    );
    let smtp = format!("smtp=127.0.0.1:{}", server.port());
    let running = sandbox
        .smail(&[
            "--no-config",
            "-S",
            &smtp,
            "-S",
            "tls=none",
            "-r",
            "me@x.example",
            "-a",
            path.to_str().unwrap(),
            "b@x.example",
        ])
        .stdin("x\n")
        .start();
    server.wait_for("EHLO*");
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1000)
        .unwrap();
    let outcome = running.finish();
    let file = path.display();
    let told = format!(
        "smail: `{file}` had 300000 bytes when it was opened and 1000 when it was read; the rest was padded\n"
    );
    assert_eq!((outcome.status, outcome.stderr), (0, told)); // B43
}

#[test]
fn configuration_that_cannot_be_trusted_or_read_names_its_line() {
    let rows: &[(u32, &str, &str)] = &[
        (
            0o600,
            "from = \"a@x\"\nauth-password = s3cret-pw\n",
            "config.toml:2: ",
        ), // B50
        (0o600, "fron = \"a@x\"\n", "unknown setting `fron`"), // B51
        (0o644, "auth-password = \"s3cret-pw\"\n", "chmod 600 "), // B49
        (0o666, "from = \"a@x\"\n", "others can write to it"),
        (
            0o600,
            "timeout = \"soon\"\n",
            "invalid number of seconds `soon`",
        ),
    ];
    for (mode, text, says) in rows {
        let sandbox = Sandbox::new();
        sandbox.write_mode("home/.config/smail/config.toml", text, *mode);
        let outcome = sandbox
            .smail(&["-S", "smtp=127.0.0.1:9", "b@x.example"])
            .stdin("x")
            .run();
        assert_eq!(outcome.status, 78, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
        assert_eq!(outcome.owes(&["s3cret-pw"]), Vec::<String>::new());
    }
}

#[test]
fn a_password_command_that_fails_sends_nothing() {
    let sink = Options::new().starttls().login("u", "p").start();
    let place = Place::at(sink);
    let ca = format!("tls-ca-file={}", place.sandbox.pem("ca").display());
    for (command, status) in [
        ("false", 75),
        ("true", 77),
        ("printf 'a\\nb\\n'", 77),
        ("/nonexistent/pass", 77),
    ] {
        let command = format!("auth-password-command={command}");
        let outcome = place.run(
            &[
                "-S",
                &ca,
                "-S",
                "auth-user=u",
                "-S",
                &command,
                "b@x.example",
            ],
            b"x",
        );
        assert_eq!(outcome.status, status, "{command}: {}", outcome.stderr); // B52
        assert!(place.sink.mails().is_empty());
    }
}

#[test]
fn an_alias_to_itself_or_to_a_command_is_named() {
    for (rc, says) in [
        ("alias a b\nalias b a\n", "refers to itself: a -> b -> a"),
        ("alias a |id\n", "`|` is not allowed here"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("home/.mailrc", rc);
        let outcome = sandbox
            .smail(&["-S", "smtp=127.0.0.1:9", "-r", "me@x.example", "a"])
            .stdin("x")
            .run();
        assert_eq!(outcome.status, 78, "{}", outcome.stderr); // B40
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
    }
}

#[test]
fn the_environment_changes_nothing_it_should_not() {
    let place = Place::new();
    let keylog = place.sandbox.path("keys.log");
    let run = |hostile: bool| {
        let mut run = place
            .sandbox
            .smail(&[
                "--no-config",
                "-S",
                &place.smtp,
                "-r",
                "me@x.example",
                "-s",
                "Grüße",
                "b@x.example",
            ])
            .stdin("schön\n")
            .env("SOURCE_DATE_EPOCH", "844221007");
        if hostile {
            run = run
                .env("LC_ALL", "C")
                .env("TZ", "garbage")
                .env("COLUMNS", "x")
                .env("http_proxy", "http://127.0.0.1:1");
            run = run
                .env("SSLKEYLOGFILE", &keylog)
                .env("sendmail", "/bin/false")
                .env("record", "/tmp/never")
                .env("verbose", "1");
            run = run
                .env("interactive", "1")
                .env("expandaddr", "all")
                .env("PAGER", "id")
                .env("VISUAL", "id");
        }
        let outcome = run.run();
        assert_eq!(
            (
                outcome.status,
                outcome.stdout.as_str(),
                outcome.stderr.as_str()
            ),
            (0, "", "")
        );
    };
    run(false);
    run(true); // B54, C3
    let mails = place.sink.wait_for_mails(2);
    let neutral = |text: String| {
        text.lines()
            .filter(|l| !l.starts_with("Message-ID"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(neutral(mails[0].text()), neutral(mails[1].text()));
    assert!(!keylog.exists());
}

#[test]
fn a_home_that_is_not_there_is_no_obstacle() {
    let place = Place::new();
    let words = [
        "-S",
        &place.smtp,
        "-r",
        "me@x.example",
        "-s",
        "x",
        "b@x.example",
    ];
    for home in ["/nonexistent", "/", ""] {
        let outcome = place
            .sandbox
            .smail(&words)
            .without_env("XDG_CONFIG_HOME")
            .env("HOME", home)
            .stdin("x\n")
            .run();
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{home}"); // B53
    }
}

#[test]
fn an_international_domain_is_sent_as_a_labels_and_letters_before_the_at_need_smtputf8() {
    let place = Place::at(Options::new().extensions(&["8BITMIME"]).start());
    place.sent(&["user@exämple.com"], b"x\n"); // B35
    assert_eq!(place.sink.only_mail().to, ["user@xn--exmple-cua.com"]);
    let outcome = place.run(&["ü@b.example"], b"x\n");
    assert_eq!(outcome.status, 69, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("SMTPUTF8"), "{}", outcome.stderr);
}

#[test]
fn groups_and_comments_are_understood() {
    let place = Place::new();
    place.sent(
        &["grp: a@b.example, c@d.example;", "e@f.example (comment)"],
        b"x\n",
    ); // B38
    assert_eq!(
        place.sink.only_mail().to,
        ["a@b.example", "c@d.example", "e@f.example"]
    );
}

#[test]
fn a_copy_is_never_written_through_a_link() {
    let place = Place::new();
    let victim = place.sandbox.write("victim", "untouched\n");
    let link = place.sandbox.path("home/sent");
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let outcome = place.run(&["-S", "record=~/sent", "b@x.example"], b"x\n");
    assert_eq!(outcome.status, 74, "{}", outcome.stderr); // C24
    assert!(
        outcome
            .stderr
            .starts_with("smail: the message was sent, but no copy could be saved in "),
        "{}",
        outcome.stderr
    );
    assert_eq!(place.sandbox.read("victim").unwrap(), b"untouched\n");
    assert_eq!(place.sink.mails().len(), 1);
}
