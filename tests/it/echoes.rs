//! Words of strangers on their way out: no control, mark of direction or hidden character reaches a
//! terminal, a log or another program raw, whoever said it; and no server repeats a secret to
//! whoever reads its words.
use crate::support::sandbox::{Outcome, Run, Sandbox};
use crate::support::server::Server;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smail::text;

/// One of each kind that does something else than being seen; a name of a file may hold them all.
const EVIL: &str = "e\u{1}\t\r\n\u{1b}[31m\u{1b}]0;x\u{7}\u{8}\u{7f}\u{85}\u{9b}2J\u{200b}\u{200e}\u{200f}\u{61c}\u{2028}\u{2029}\
                    \u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{e0041}d";
/// The same without a line end, as a setting may hold it.
const FLAT: &str = "e\u{1}\u{1b}[31m\u{1b}]0;x\u{7}\u{8}\u{7f}\u{85}\u{9b}2J\u{200b}\u{200e}\u{200f}\u{61c}\u{2028}\u{2029}\
                    \u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{e0041}d";

/// Written down once more, so that a gap in the program's own list shows.
fn steers(c: char) -> bool {
    c.is_control() || (!c.is_ascii() && EVIL.contains(c))
}

/// What of a text could steer or hide; TAB and the line end (CRLF in dialogues and mails) are the
/// program's own.
fn raw(text: &str) -> Vec<char> {
    let ends = text.replace("\r\n", "\n");
    ends.chars()
        .filter(|c| !matches!(c, '\t' | '\n') && steers(*c))
        .collect()
}

/// A rehearsal takes its question back before it goes.
const BYE: &str =
    "-- either\nC: RSET\nS: 250 ok\n-- bye\n-- or\nC: QUIT\nS: 221 bye\n-- or\n-- end\n";

/// A server that plays a transcript; the client may leave at any point.
fn play(script: &str) -> Server {
    Server::play(
        "stranger",
        &format!("-- optional\n{}", script.replace("-- bye\n", BYE)),
    )
}

/// Runs, and proves that both outputs are clean and speak of what was given.
fn clean(what: &str, run: Run<'_>) -> Outcome {
    let outcome = run.run();
    for (name, text) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        assert!(raw(text).is_empty(), "{what}: {name} is {text:?}");
    }
    outcome
}

#[test]
fn no_word_of_the_command_line_reaches_the_terminal_raw() {
    let sandbox = Sandbox::new();
    let address = format!("{EVIL}@x.example");
    let set = |name: &str| format!("{name}={FLAT}");
    let named = |name: &str| format!("{name}={EVIL}");
    let rows: Vec<Vec<String>> = [
        vec!["-s", "x", &address],
        vec!["-r", &address, "you@x.example"],
        vec![
            "-c",
            &format!("a@x.example, {EVIL} <b@x.example>, c@"),
            "you@x.example",
        ],
        vec!["-a", EVIL, "you@x.example"],
        vec!["-q", EVIL, "you@x.example"],
        vec!["-m", EVIL, "you@x.example"],
        vec!["--to-file", EVIL],
        vec!["--html", EVIL],
        vec!["--inline", EVIL, "you@x.example"],
        vec!["-C", EVIL, "you@x.example"],
        vec!["-M", EVIL, "you@x.example"],
        vec!["-T", EVIL, "you@x.example"],
        vec!["-A", EVIL, "you@x.example"],
        vec!["--provider", EVIL, "you@x.example"],
        vec!["--config", EVIL, "you@x.example"],
        vec!["-:", EVIL, "you@x.example"],
        vec!["-X", EVIL, "you@x.example"],
        vec!["-Y", &format!("set {FLAT}=1"), "you@x.example"],
        vec!["-S", EVIL, "you@x.example"],
        vec!["-S", &named("from"), "you@x.example"],
        vec!["-S", &set("smtp"), "you@x.example"],
        vec!["-S", &set("mta"), "--check"],
        vec!["-S", &set("mta"), "--check", "--json"],
        vec![
            "-S",
            &set("mta"),
            "-d",
            "-s",
            EVIL,
            "-a",
            "/dev/null",
            "you@x.example",
        ],
        vec!["-S", &set("tls"), "you@x.example"],
        vec!["-S", &set("timeout"), "you@x.example"],
        vec!["-S", &set("proxy"), "you@x.example"],
        vec!["-S", &set("hello-name"), "-S", "smtp=h", "--check"],
        vec![
            "-S",
            &set("smtp-auth-user"),
            "-S",
            &format!("auth-user-{FLAT}=x"),
            "-v",
            "--show-settings",
        ],
        vec![
            "-S",
            &set("folder"),
            "-S",
            &set("record"),
            "-v",
            "--show-settings",
        ],
        vec!["--explain", EVIL],
        vec!["--explain", &format!("550 5.1.1 {EVIL} user unknown")],
        vec![
            "--explain",
            &format!("550 5.1.1 {EVIL} user unknown"),
            "--json",
        ],
        vec!["--queue-show", EVIL],
        vec!["--flush", EVIL],
        vec!["--hold", EVIL],
        vec!["--generate", EVIL],
        vec!["--dsn-notify", EVIL, "you@x.example"],
        vec!["--dsn-envid", EVIL, "you@x.example"],
        vec![&format!("--{EVIL}")],
        vec!["--setup", EVIL, "--yes", "--password-from", "stdin"],
        vec!["--setup", "--from-mailrc", EVIL],
        vec!["--as", EVIL],
        vec!["--as", "sendmail", "-bv", EVIL],
        vec!["--as", "sendmail", &format!("-b{EVIL}")],
        vec![
            "--as",
            "sendmail",
            &format!("-O{EVIL}"),
            "-f",
            EVIL,
            "you@x.example",
        ],
        vec!["--as", "sendmail", "-C", EVIL, "you@x.example"],
        vec!["--as", "mailx", "-r", EVIL, "you@x.example"],
        vec!["--json", "-S", "mta=/bin/false", &address],
    ]
    .into_iter()
    .map(|row| row.into_iter().map(str::to_owned).collect())
    .collect();
    for row in &rows {
        clean(&format!("{row:?}"), sandbox.smail(row).stdin("x\n"));
    }
}

#[test]
fn every_unsafe_character_of_an_address_is_spelled_out_above_its_caret() {
    let sandbox = Sandbox::new();
    let all = ('\u{1}'..='\u{ffff}').filter(|c| steers(*c));
    for c in all.filter(|c| !c.is_ascii() || u32::from(*c) % 7 == 1) {
        let outcome = clean(
            &format!("{c:?}"),
            sandbox.smail(&["-S", "mta=/bin/false", &format!("邮a{c}@x.example")]),
        );
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        // What only hides is a letter of an address beyond ASCII.
        if outcome.status == 69 {
            continue;
        }
        assert_eq!(outcome.status, 65, "{}", outcome.stderr);
        // Two columns of the indent, two of 邮, one of a.
        assert_eq!(
            lines[1],
            format!("  邮a{}@x.example", text::word(&c.to_string()))
        );
        assert_eq!(lines[2], "     ^");
    }
}

#[test]
fn no_word_of_a_file_or_the_environment_reaches_the_terminal_raw() {
    let sandbox = Sandbox::new();
    let rc = |line: &str| {
        sandbox.write("home/.mailrc", line);
        clean(line, sandbox.smail(&["-v", "-d", "you@x.example"]));
        clean(line, sandbox.smail(&["-v", "--show-settings"]));
        clean(line, sandbox.smail(&["--setup", "--from-mailrc", "--yes"]));
    };
    for line in [
        format!("set {FLAT}=1"),
        format!("set smtp='{FLAT}'"),
        format!("set from='{FLAT}'"),
        format!("set mta='/{FLAT}'"),
        format!("alias {FLAT} {FLAT}"),
        format!("account {FLAT} {{\n set from={FLAT}\n}}"),
        format!("account {FLAT}"),
        format!("source {FLAT}"),
        format!("{FLAT} {FLAT}"),
        format!("set auth-password-{FLAT}=x auth-user-{FLAT}='{FLAT}'"),
        format!("unset {FLAT}"),
        format!("if {FLAT}"),
        format!("set record='{FLAT}' folder='{FLAT}'\necho {FLAT}"),
    ] {
        rc(&line);
    }
    sandbox.write("home/.mailrc", "");
    let spelled = text::safe(EVIL, text::Policy::Toml);
    for line in [
        format!("\"{spelled}\" = 1"),
        format!("from = \"{spelled}\""),
        format!("smtp = \"{spelled}\""),
        format!("smtp = [\"{spelled}\"]"),
        format!("[aliases]\n\"{spelled}\" = \"{spelled}\""),
        format!("[accounts.\"{spelled}\"]\nfrom = \"{spelled}\""),
        format!("account = \"{spelled}\""),
        format!("= {FLAT}"),
        format!("tls-ca-file = \"{spelled}\"\nsmtp = \"smtps://127.0.0.1:1\""),
        format!("log = \"/nonexistent/{spelled}\"\nmta = \"/bin/false\""),
        format!("record = \"/nonexistent/{spelled}\"\nmta = \"/bin/true\""),
        format!("queue-dir = \"/dev/null/{spelled}\"\nmta = \"/bin/true\""),
        format!("mta = \"/nonexistent/{spelled}\""),
        format!("auth-password-file = \"/nonexistent/{spelled}\"\nsmtp = \"h\""),
        format!("auth-password-command = \"/nonexistent/{spelled}\"\nsmtp = \"h\""),
    ] {
        sandbox.write("home/.config/smail/config.toml", &line);
        clean(&line, sandbox.smail(&["-v", "you@x.example"]).stdin("x\n"));
        clean(
            &line,
            sandbox.smail(&["you@x.example"]).stdin("x\n").queued(),
        );
        clean(
            &line,
            sandbox.smail(&["--json", "you@x.example"]).stdin("x\n"),
        );
        clean(&line, sandbox.smail(&["-v", "--show-settings"]));
        clean(&line, sandbox.smail(&["--check"]));
    }
    let odd = format!("home/{EVIL}.toml");
    sandbox.write(&odd, "from = 1\nfrom = 2\nx = 3\n");
    let path = sandbox.path(&odd);
    let named = path.to_str().unwrap();
    clean(
        "a file of that name",
        sandbox.smail(&["--config", named, "--show-settings"]),
    );
    sandbox.write(&odd, "from = 'a'\nsmtp = 'h'\n");
    clean(
        "a file of that name",
        sandbox.smail(&["--config", named, "-v", "--show-settings"]),
    );
    clean(
        "a file of that name",
        sandbox.smail(&["--config", named, "you@x.example"]),
    );
    for name in [
        "SMAIL_SMTP",
        "SMAIL_FROM",
        "SMAIL_TLS",
        "HOME",
        "USER",
        "LC_ALL",
        "TZ",
        "SMAIL_ACCOUNT",
        "MAILRC",
    ] {
        clean(
            name,
            sandbox.smail(&["-v", "--show-settings"]).env(name, FLAT),
        );
        clean(
            name,
            sandbox
                .smail(&["-v", "-d", "you@x.example"])
                .env(name, FLAT),
        );
    }
}

/// The same bytes in the language of transcripts, as a server says them inside a line.
fn said() -> String {
    FLAT.bytes()
        .map(|b| {
            if b.is_ascii_graphic() && b != b'\\' {
                char::from(b).to_string()
            } else {
                format!("\\x{b:02x}")
            }
        })
        .collect()
}

fn to(sandbox: &Sandbox, port: u16, more: &[&str]) -> Vec<String> {
    let _ = sandbox;
    let smtp = format!("smtp=127.0.0.1:{port}");
    let words = [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-S",
        "timeout=10",
        "-S",
        "queue-drain=0",
        "-S",
        "log=log",
        "-r",
        "a@a.example",
    ];
    words
        .iter()
        .chain(more)
        .map(|word| (*word).to_owned())
        .collect()
}

#[test]
fn no_word_of_a_server_reaches_the_terminal_the_log_or_the_lists_raw() {
    let evil = said();
    let begin = format!(
        "S<: 220 mx {evil}\\r\\n\nC: EHLO *\nS<: 250-mx {evil}\\r\\n250 {evil}\\r\\nC: MAIL *\n"
    )
    .replace("\\r\\nC:", "\\r\\n\nC:");
    let end = |code: u16| format!("S<: {code}-{evil}\\r\\n{code} {evil}\\r\\n\n-- bye\n");
    let scripts = [
        format!("S<: 554 {evil}\\r\\n\n-- bye\n"),
        format!("S<: {evil}\\r\\n\n-- bye\n"),
        format!(
            "S: 220 mx\nC: EHLO *\nS<: 550 {evil}\\r\\n\nC: HELO *\nS<: 550 {evil}\\r\\n\n-- bye\n"
        ),
        format!("{begin}{}", end(550)),
        format!("{begin}{}", end(451)),
        format!("{begin}S: 250 ok\nC: RCPT *\n{}", end(550)),
        format!("{begin}S: 250 ok\nC: RCPT *\n{}", end(451)),
        format!(
            "{begin}S<: 250 {evil}\\r\\n\nC: RCPT *\nS<: 250 {evil}\\r\\n\nC: DATA\n{}",
            end(354).replace("-- bye\n", "-- data\n") + &end(554)
        ),
    ];
    for script in &scripts {
        for more in [
            &["-v"][..],
            &["--json"],
            &["-v", "--json"],
            &["--check", "--to", "b@b.example"],
            &["--check", "--json", "--to", "b@b.example"],
        ] {
            if more.contains(&"--check") && script.contains("DATA") {
                continue;
            }
            let sandbox = Sandbox::new();
            let server = play(script);
            let words: Vec<String> = to(&sandbox, server.port(), more)
                .into_iter()
                .chain(
                    more.iter()
                        .all(|m| *m != "--check")
                        .then(|| "b@b.example".to_owned()),
                )
                .collect();
            let outcome = clean(
                &format!("{more:?} {script}"),
                sandbox.smail(&words).stdin("x\n").queued(),
            );
            if more.contains(&"--json") {
                let line = outcome.stdout.lines().last().unwrap_or_default();
                assert!(
                    serde_json::from_str::<serde_json::Value>(line).is_ok(),
                    "{more:?}: {}",
                    outcome.stdout
                );
            }
            for look in [&["--queue"][..], &["--queue", "--json"], &["--as", "mailq"]] {
                clean(&format!("{look:?}"), sandbox.smail(look).queued());
            }
            for id in sandbox.entries() {
                clean(
                    "--queue-show",
                    sandbox.smail(&["--queue-show", &id]).queued(),
                );
            }
            let log = String::from_utf8(sandbox.read("log").unwrap_or_default()).unwrap();
            assert!(raw(&log).is_empty(), "{log:?}");
        }
    }
}

#[test]
fn no_word_of_a_client_or_a_program_comes_back_raw() {
    let sandbox = Sandbox::new();
    let program = sandbox.write_program(
        "mta",
        &format!("#!/bin/sh\nprintf '%s\\n' '{FLAT}' >&2\nexit 1\n"),
    );
    let mta = format!("mta={}", program.display());
    clean(
        "mta",
        sandbox
            .smail(&["-v", "-S", &mta, "b@b.example"])
            .stdin("x\n"),
    );
    clean(
        "mta --json",
        sandbox
            .smail(&["--json", "-S", &mta, "b@b.example"])
            .stdin("x\n"),
    );
    let dialogue = format!(
        "EHLO {FLAT}\r\nMAIL FROM:<{FLAT}@x>\r\nMAIL FROM:<a@a.example> {FLAT}=1\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<{FLAT}@x>\r\n\
         RCPT TO:<{FLAT}>\r\n{FLAT}\r\nVRFY {FLAT}\r\nQUIT\r\n"
    );
    let outcome = clean(
        "-bs",
        sandbox
            .smail(&["--as", "sendmail", "-S", &mta, "-bs"])
            .stdin(&dialogue),
    );
    assert!(
        outcome.stdout.replace("\r\n", "").is_ascii(),
        "{}",
        outcome.stdout
    );
    let outcome = clean(
        "-bs",
        sandbox
            .as_name("sendmail", &["-bs"])
            .env("SMAIL_MTA", &program)
            .stdin(dialogue),
    );
    assert!(
        !outcome.stdout.is_empty() && outcome.stdout.is_ascii(),
        "{}",
        outcome.stdout
    );
}

const USER: &str = "ann";
const PASSWORD: &str = "hunter2-é is long";

/// Everything a secret may be found in.
fn forms() -> Vec<String> {
    let plain = STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
    vec![
        PASSWORD.to_owned(),
        STANDARD.encode(PASSWORD),
        plain.clone(),
        plain[..plain.len() - 6].to_owned(),
        "hunter2".to_owned(),
    ]
}

fn reveals(text: &str) -> Option<String> {
    forms()
        .into_iter()
        .find(|form| text.contains(form.as_str()))
}

/// A server that takes or refuses the login, and repeats what it heard in every later reply.
fn echo(mechanism: &str, login: u16, rest: &str) -> Server {
    let plain = STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
    let (first, last) = plain.split_at(plain.len() / 2);
    let bytes = |text: &str| {
        text.bytes()
            .map(|b| {
                if b.is_ascii() {
                    char::from(b).to_string()
                } else {
                    format!("\\x{b:02x}")
                }
            })
            .collect::<String>()
    };
    let password = bytes(PASSWORD);
    let script = match mechanism {
        "PLAIN" => format!("C: AUTH PLAIN {plain}\n"),
        _ => format!(
            "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: {}\nS: 334 {}\nC: {}\n",
            STANDARD.encode(USER),
            plain,
            STANDARD.encode(PASSWORD)
        ),
    };
    play(&format!(
        "S: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250 AUTH {mechanism}\n{script}\
         S<: {login}-5.7.8 you said AUTH PLAIN {plain}\\r\\n{login}-5.7.8 {first}\\r\\n{login}-5.7.8 {last}\\r\\n{login}-{password}\\r\\n{login} {} {}\\r\\n\n{}-- bye\n",
        STANDARD.encode(PASSWORD),
        &plain[..plain.len() - 6],
        rest.replace("{}", &password),
    ))
}

#[test]
fn a_server_that_repeats_the_password_tells_it_to_nobody() {
    let refused = "C: MAIL *\nS<: 250 {}\\r\\n\nC: RCPT *\nS<: 451-{}\\r\\n451 {}\\r\\n\n";
    for (mechanism, login, rest) in [
        ("PLAIN", 535, ""),
        ("LOGIN", 454, ""),
        ("PLAIN", 235, refused),
        ("LOGIN", 235, refused),
    ] {
        for more in [
            &["-v"][..],
            &["--json"],
            &["--check", "--to", "b@b.example"],
            &["--check", "--json", "-v", "--to", "b@b.example"],
        ] {
            let sandbox = Sandbox::new();
            let server = echo(mechanism, login, rest);
            let mut words = to(&sandbox, server.port(), more);
            words.extend([
                "-S".to_owned(),
                format!("auth-user={USER}"),
                "-S".to_owned(),
                "auth-password-command=/bin/cat pw".to_owned(),
            ]);
            if !more.contains(&"--check") {
                words.push("b@b.example".to_owned());
            }
            sandbox.write("pw", format!("{PASSWORD}\n"));
            let outcome = sandbox.smail(&words).stdin("x\n").queued().run();
            let shown = format!("{}\n{}", outcome.stdout, outcome.stderr);
            assert_eq!(
                reveals(&shown),
                None,
                "{mechanism} {login} {more:?}: {shown}"
            );
            assert!(
                shown.contains("***"),
                "{mechanism} {login} {more:?}: {shown}"
            );
            let log = String::from_utf8(sandbox.read("log").unwrap_or_default()).unwrap();
            assert_eq!(reveals(&log), None, "{log}");
            for id in sandbox.entries() {
                assert_eq!(reveals(&sandbox.journal(&id).concat()), None);
            }
        }
    }
}

#[test]
fn a_program_in_place_of_a_server_that_prints_the_password_tells_it_to_nobody() {
    let sandbox = Sandbox::new();
    let program = sandbox.write_program(
        "mta",
        &format!("#!/bin/sh\necho \"bad login: {PASSWORD}\" >&2\nexit 1\n"),
    );
    sandbox.write(
        "home/.config/smail/config.toml",
        format!(
            "mta = \"{}\"\nauth-password = \"{PASSWORD}\"\n",
            program.display()
        ),
    );
    let outcome = sandbox.smail(&["-v", "b@b.example"]).stdin("x\n").run();
    assert_eq!(reveals(&outcome.stderr), None, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("bad login: ***\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn words_of_a_server_are_cut_to_512_bytes_a_line_and_twenty_lines() {
    let sandbox = Sandbox::new();
    let line = format!("451-{}\\r\\n", "\\xc3\\xa9".repeat(600));
    let script = format!(
        "S: 220 mx\nC: EHLO *\nS: 250 mx\nC: MAIL *\nS<: {}451 end\\r\\n\n-- bye\n",
        line.repeat(40)
    );
    let server = play(&script);
    let mut words = to(&sandbox, server.port(), &["b@b.example"]);
    let outcome = sandbox.smail(&words).stdin("x\n").run();
    let told: Vec<&str> = outcome
        .stderr
        .lines()
        .filter(|line| line.contains("server: "))
        .collect();
    assert_eq!(told.len(), 21, "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .lines()
            .all(|line| line.len() <= 512 + "  server: 451 ".len()),
        "{}",
        outcome.stderr
    );
    assert!(
        told[0].ends_with("é…") && told[15] == "  server: 451 …" && told[20] == "  server: 451 end",
        "{told:?}"
    );
    let server = play(&script);
    words = to(&sandbox, server.port(), &["b@b.example"]);
    sandbox.smail(&words).stdin("x\n").queued().run();
    let list = sandbox.smail(&["--queue"]).queued().run().stdout;
    assert!(
        list.lines().all(|line| line.len() <= 560) && list.contains('…'),
        "{list}"
    );
    let log = String::from_utf8(sandbox.read("log").unwrap()).unwrap();
    let reply = log
        .lines()
        .last()
        .unwrap()
        .split(" reply=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(reply.len() <= 512 && reply.ends_with('…'), "{reply}");
}
