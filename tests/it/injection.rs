//! Every road that an address, or another text from outside, takes to a command line or a header:
//! whatever stands in it, no command and no field comes of it. Most are refused; where a line end
//! becomes a blank, the mail is harmless.
use std::fs;

use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::sink::{Options, Sink};

/// Addresses that would be several lines. PHP's validator calls the first ones valid.
const LINES: &[&str] = &[
    "\"a\\\r\\\nNOOP\\\r\\\nNOOP\\\r\\\nDATA\\\r\\\n\"@z.example",
    "\"a\\\nNOOP\\\n\"@z.example",
    "a@z.example>\r\nNOOP",
    "<\"a\\\n\"@z.example>",
    "\"a\nNOOP\"@z.example",
];
/// Addresses with other control characters, which files of lines can hold too.
const CONTROLS: &[&str] = &[
    "\"a\\\rNOOP\\\r\"@z.example",
    "\"a\rNOOP\"@z.example",
    "\"a\\\tb\"@z.example",
    "\"a\tb\"@z.example",
    "<\"a\\\u{85}b\"@z.example>",
    "\"a\\\u{2028}b\"@z.example",
    "\"a\\\u{1b}[1mb\"@z.example",
    "\"a\\\u{7f}\"@z.example",
    "a\u{9b}b@z.example",
];
/// The same in the hands of those who cannot say NUL in an argument.
const NULS: &[&str] = &["\"a\\\0b\"@z.example", "a\0b@z.example"];

/// A world with a server that offers all that text goes into.
struct Place {
    sandbox: Sandbox,
    sink: Sink,
}

impl Place {
    fn new() -> Self {
        let sink = Options::new()
            .extensions(&["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING"])
            .start();
        let sandbox = Sandbox::new();
        let place = Place { sandbox, sink };
        place.config("");
        place
    }

    /// Writes config.toml.
    fn config(&self, more: &str) {
        let smtp = format!(
            "smtp = \"127.0.0.1:{}\"\ntls = \"none\"\n",
            self.sink.port()
        );
        let from = if more.contains("from =") {
            ""
        } else {
            "from = \"me@x.example\"\n"
        };
        self.sandbox.write(
            "home/.config/smail/config.toml",
            format!("{smtp}{from}{more}"),
        );
    }

    fn smail(&self, words: &[&str], stdin: &[u8]) -> Outcome {
        self.sandbox.smail(words).queued().stdin(stdin).run()
    }

    fn sendmail(&self, words: &[&str], stdin: &[u8]) -> Outcome {
        self.sandbox
            .as_name("sendmail", words)
            .queued()
            .stdin(stdin)
            .run()
    }

    /// Nothing was sent, nothing was kept, and the words for it move no cursor.
    fn refused(&self, road: &str, text: &str, outcome: &Outcome) {
        let what = format!(
            "{road} with {text:?}: {} {}",
            outcome.status, outcome.stderr
        );
        assert!(
            (64..=78).contains(&outcome.status) && outcome.status != 70,
            "{what}"
        );
        assert_eq!(
            (self.sink.sessions(), self.sandbox.entries()),
            (0, vec![]),
            "{what}"
        );
        let printed = [&outcome.stdout, &outcome.stderr].map(|said| said.replace("\r\n", "\n"));
        assert!(
            printed
                .iter()
                .all(|said| !said.chars().any(|c| c.is_control() && c != '\n')),
            "{what}"
        );
    }

    /// One mail went out by the commands that one mail takes, and no line of its head was written
    /// by the text.
    fn harmless(&self, road: &str, text: &str, outcome: &Outcome) {
        let dialogue = self.sink.dialogue();
        let what = format!(
            "{road} with {text:?}: {} {}\n{}",
            outcome.status,
            outcome.stderr,
            dialogue.join("\n")
        );
        assert_eq!(
            (outcome.status, self.sink.sessions(), self.sandbox.entries()),
            (0, 1, vec![]),
            "{what}"
        );
        let verbs = dialogue
            .iter()
            .filter_map(|line| line.strip_prefix("C: ")?.split([' ', ':']).next());
        let mut verbs: Vec<&str> = verbs.collect();
        verbs.dedup();
        assert!(
            matches!(verbs[..], ["EHLO", "MAIL", "RCPT", "DATA" | "BDAT", "QUIT"]),
            "{what}"
        );
        let mail = self.sink.only_mail().text();
        let head = mail.split("\r\n\r\n").next().unwrap();
        assert!(
            !head
                .lines()
                .any(|line| line.starts_with("NOOP") || line.starts_with("Bcc")),
            "{mail}"
        );
        assert!(
            !head
                .chars()
                .any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t')),
            "{mail:?}"
        );
    }

    fn refused_or_harmless(&self, road: &str, text: &str, outcome: &Outcome) {
        if outcome.status == 0 {
            self.harmless(road, text, outcome);
        } else {
            self.refused(road, text, outcome);
        }
    }
}

/// Tries every text on a road, each in a world of its own, and expects to be refused.
fn closed(road: &str, texts: &[&[&str]], run: impl Fn(&Place, &str) -> Outcome) {
    for text in texts.concat() {
        let place = Place::new();
        let outcome = run(&place, text);
        place.refused(road, text, &outcome);
    }
}

/// The same where a line end may become a blank.
fn harmless(road: &str, texts: &[&[&str]], run: impl Fn(&Place, &str) -> Outcome) {
    for text in texts.concat() {
        let place = Place::new();
        let outcome = run(&place, text);
        place.refused_or_harmless(road, text, &outcome);
    }
}

#[test]
fn the_flags_of_mailx() {
    let roads: &[&[&str]] = &[
        &["ok@x.example", "{}"],
        &["{}"],
        &["-b", "{}", "ok@x.example"],
        &["-c", "{}", "ok@x.example"],
        &["--to", "{}"],
        &["--cc", "{}", "ok@x.example"],
        &["--bcc", "h1@x.example,{}", "ok@x.example"],
        &["-T", "bcc:{}", "ok@x.example"],
        &["-r", "{}", "ok@x.example"],
        &["--reply-to", "{}", "ok@x.example"],
        &["-C", "Bcc: {}", "ok@x.example"],
        &["-C", "Sender: {}", "ok@x.example"],
        &["ok@x.example", "--", "-f", "{}"],
        &["-S", "from={}", "ok@x.example"],
        &["-S", "envelope-from={}", "ok@x.example"],
        &["-S", "auto-bcc={}", "ok@x.example"],
        &["-S", "sender={}", "ok@x.example"],
        &["-S", "reply-to={}", "ok@x.example"],
    ];
    for road in roads {
        closed(&road.join(" "), &[LINES, CONTROLS], |place, text| {
            let words: Vec<String> = road.iter().map(|word| word.replace("{}", text)).collect();
            place.smail(
                &words.iter().map(String::as_str).collect::<Vec<_>>(),
                b"x\n",
            )
        });
    }
}

#[test]
fn the_environment_and_the_files_of_settings() {
    for name in ["SMAIL_FROM", "SMAIL_ENVELOPE_FROM", "SMAIL_AUTO_CC"] {
        closed(name, &[LINES, CONTROLS], |place, text| {
            place
                .sandbox
                .smail(&["ok@x.example"])
                .queued()
                .env(name, text)
                .stdin("x\n")
                .run()
        });
    }
    let quoted = |text: &str| {
        text.chars().fold(String::new(), |out, c| match c {
            '"' | '\\' => format!("{out}\\{c}"),
            c if c.is_control() => format!("{out}\\u{:04x}", u32::from(c)),
            c => format!("{out}{c}"),
        })
    };
    for key in ["from", "envelope-from", "auto-bcc", "aliases.staff"] {
        closed(key, &[LINES, CONTROLS, NULS], |place, text| {
            place.config(&format!("{key} = \"{}\"\n", quoted(text)));
            place.smail(&["staff,ok@x.example"], b"x\n")
        });
    }
    // Files of lines: an LF ends what they say.
    closed("mail.rc: alias", &[CONTROLS], |place, text| {
        place
            .sandbox
            .write("home/.mailrc", format!("alias staff '{text}'\n"));
        place.smail(&["staff"], b"x\n")
    });
    closed("mail.rc: set from", &[CONTROLS], |place, text| {
        place.config("envelope-from = \"me@x.example\"\n");
        place
            .sandbox
            .write("home/.mailrc", format!("set auto-cc='{text}'\n"));
        place.smail(&["ok@x.example"], b"x\n")
    });
    closed("aliases(5)", &[CONTROLS], |place, text| {
        let file = place
            .sandbox
            .write_mode("aliases", format!("staff: {text}\n"), 0o644);
        place.config(&format!("aliases-file = [\"{}\"]\n", file.display()));
        place.smail(&["staff"], b"x\n")
    });
    closed("aliases(5): :include:", &[CONTROLS], |place, text| {
        let list = place
            .sandbox
            .write_mode("list", format!("ok@x.example\n{text}\n"), 0o644);
        let file = place.sandbox.write_mode(
            "aliases",
            format!("staff: :include:{}\n", list.display()),
            0o644,
        );
        place.config(&format!("aliases-file = [\"{}\"]\n", file.display()));
        place.sendmail(&["staff"], b"Subject: x\n\nx\n")
    });
    closed("--to-file", &[CONTROLS, NULS], |place, text| {
        place
            .sandbox
            .write("list", format!("ok@x.example\n{text}\n"));
        place.smail(&["--to-file", "list"], b"x\n")
    });
}

#[test]
fn the_head_of_a_template() {
    for name in ["To", "Cc", "Bcc", "From", "Sender", "Reply-To"] {
        // As for sendmail, a control character in a head is a blank.
        harmless(&format!("-t {name}"), &[CONTROLS, NULS], |place, text| {
            place.smail(
                &["-t"],
                format!("To: ok@x.example\n{name}: {text}\nSubject: s\n\nx\n").as_bytes(),
            )
        });
        // A fold is a blank, and what it leaves of an address is none.
        harmless(&format!("-t {name}, folded"), &[LINES], |place, text| {
            let folded = text.replace('\n', "\n ");
            place.smail(
                &["-t"],
                format!("To: ok@x.example\n{name}: {folded}\nSubject: s\n\nx\n").as_bytes(),
            )
        });
    }
}

#[test]
fn the_personality_of_sendmail() {
    closed("sendmail: operand", &[LINES, CONTROLS], |place, text| {
        place.sendmail(&["-i", "--", "ok@x.example", text], b"Subject: s\n\nx\n")
    });
    closed("sendmail -f", &[LINES, CONTROLS], |place, text| {
        place.sendmail(&["-f", text, "ok@x.example"], b"Subject: s\n\nx\n")
    });
    harmless("sendmail -F", &[LINES, CONTROLS], |place, text| {
        place.sendmail(&["-F", text, "ok@x.example"], b"Subject: s\n\nx\n")
    });
    harmless("sendmail -V", &[LINES, CONTROLS], |place, text| {
        place.sendmail(
            &["-N", "success", "-V", text, "ok@x.example"],
            b"Subject: s\n\nx\n",
        )
    });
    for name in [
        "To",
        "Cc",
        "Bcc",
        "From",
        "Sender",
        "Reply-To",
        "Resent-To",
        "Resent-Bcc",
        "Resent-From",
        "Resent-Sender",
    ] {
        harmless(
            &format!("sendmail -t {name}"),
            &[CONTROLS, NULS],
            |place, text| {
                let to = if name.starts_with("Resent") {
                    "Resent-Cc"
                } else {
                    "X-To"
                };
                let head = format!(
                    "To: ok@x.example\n{to}: ok@x.example\n{name}: {text}\nSubject: s\n\nx\n"
                );
                place.sendmail(&["-t"], head.as_bytes())
            },
        );
        harmless(
            &format!("sendmail -t {name}, folded"),
            &[LINES],
            |place, text| {
                let folded = text.replace('\n', "\n ");
                place.sendmail(
                    &["-t"],
                    format!("To: ok@x.example\n{name}: {folded}\nSubject: s\n\nx\n").as_bytes(),
                )
            },
        );
    }
}

#[test]
fn the_dialogue_of_sendmail() {
    for (mail, rcpt) in [
        ("MAIL FROM:<{}>", "RCPT TO:<ok@x.example>"),
        ("MAIL FROM:<a@x.example>", "RCPT TO:<{}>"),
    ] {
        // A CRLF is the line end of the client itself.
        for text in [CONTROLS, NULS, LINES]
            .concat()
            .into_iter()
            .filter(|text| !text.contains("\r\n"))
        {
            let place = Place::new();
            let utf8 = if mail.contains("{}") && !text.is_ascii() {
                " SMTPUTF8"
            } else {
                ""
            };
            let (mail, rcpt) = (mail.replace("{}", text), rcpt.replace("{}", text));
            let said = format!(
                "EHLO me\r\n{mail}{utf8}\r\n{rcpt}\r\nDATA\r\nSubject: s\r\n\r\nx\r\n.\r\nQUIT\r\n"
            );
            let outcome = place.sendmail(&["-bs"], said.as_bytes());
            assert_eq!(outcome.status, 0, "{}", outcome.stderr);
            assert!(
                !outcome.stdout.contains("354"),
                "{said:?}: {}",
                outcome.stdout
            );
            assert_eq!(
                (place.sink.sessions(), place.sandbox.entries()),
                (0, vec![]),
                "{said:?}"
            );
        }
    }
    for parameter in [
        "ENVID=a+0D+0ANOOP",
        "ENVID=a+00",
        "BODY=8BITMIME\rNOOP",
        "RET=FULL\rNOOP",
        "SIZE=1\rNOOP",
    ] {
        let place = Place::new();
        let said = format!(
            "EHLO me\r\nMAIL FROM:<a@x.example> {parameter}\r\nRCPT TO:<ok@x.example>\r\nDATA\r\n"
        );
        let outcome = place.sendmail(&["-bs"], said.as_bytes());
        assert!(
            outcome.stdout.contains("\n501 5.5.4 ") && !outcome.stdout.contains("354"),
            "{}",
            outcome.stdout
        );
    }
}

#[test]
fn what_is_no_address_and_goes_into_a_command_all_the_same() {
    let text = "x\r\nNOOP\r\n";
    let roads: &[&[&str]] = &[
        &["--dsn-envid", text, "ok@x.example"],
        &["--dsn-notify", text, "ok@x.example"],
        &["-S", "dsn-notify=success\r\nNOOP", "ok@x.example"],
        &["-S", "hostname=x\r\nNOOP", "ok@x.example"],
        &["-S", "hello-name=x\r\nNOOP", "ok@x.example"],
        &["-S", "auth-user=x\r\nNOOP", "ok@x.example"],
        &["-S", "smtp=x\r\nNOOP", "ok@x.example"],
        &["-S", "proxy=http://x\r\nNOOP:1", "ok@x.example"],
        &["-S", "qualify-domain=x.example\r\nNOOP", "ok"],
        &["-C", "X-Y: z\r\nBcc: e@x.example", "ok@x.example"],
        &["-C", "X-Y\r\nBcc: e@x.example", "ok@x.example"],
        &["--setup", "\"a\\\r\\\nb\"@z.example", "--yes"],
    ];
    for words in roads {
        let place = Place::new();
        let outcome = place.smail(words, b"x\n");
        place.refused("the flags", &words.join(" "), &outcome);
    }
    for name in [
        "SMAIL_HELLO_NAME",
        "SMAIL_HOSTNAME",
        "SMAIL_NAME",
        "SMAIL_RECEIPT_TO",
        "SMAIL_ORGANIZATION",
    ] {
        let place = Place::new();
        let run = place
            .sandbox
            .smail(&["ok@x.example"])
            .queued()
            .env(name, "x\r\nBcc: e@x.example\r\nNOOP");
        place.refused_or_harmless(name, "x", &run.stdin("x\n").run());
    }
    // A subject and a name of a file are texts of any kind.
    let place = Place::new();
    let file = place.sandbox.write("a\r\nNOOP\r\n\r\nb", "x");
    let outcome = place.smail(
        &[
            "-s",
            "x\r\nBcc: e@x\r\n\r\nNOOP",
            "-a",
            file.to_str().unwrap(),
            "ok@x.example",
        ],
        b"x\n",
    );
    place.harmless("-s and -a", "x", &outcome);
}

/// An entry with another envelope, and a sum that fits.
fn rewritten(entry: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(entry.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    let text = text.replacen(from, to, 1);
    let covered = &text[..text.rfind("END ").unwrap()];
    let length = &text[covered.len() + 4..covered.len() + 24];
    format!(
        "{covered}END {length} {:08x}\n",
        crc32fast::hash(covered.as_bytes())
    )
    .into_bytes()
}

/// An earlier smail may have kept such an address, and a disk may rot.
#[test]
fn an_entry_of_the_queue_with_such_an_address_is_set_aside_and_told() {
    for (from, to) in [
        ("\"ok@x.example\"", r#""\"a\\\r\\\nNOOP\"@z.example""#),
        (
            "\"sender\":\"me@x.example\"",
            r#""sender":"me@x.example>\r\nNOOP""#,
        ),
        ("\"ok@x.example\"", r#""\"a b\"""#),
    ] {
        let place = Place::new();
        place.sink.answer("ok@x.example", "451 later");
        place.smail(&["ok@x.example"], b"x\n");
        let [id] = &place.sandbox.entries()[..] else {
            panic!("no entry")
        };
        let file = place
            .sandbox
            .queue_dir()
            .join("q")
            .join(format!("{id}.msg"));
        fs::write(&file, rewritten(&fs::read(&file).unwrap(), from, to)).unwrap();
        let before = place.sink.dialogue().len();
        for run in 0..2 {
            let outcome = place.smail(&["--flush", id], b"");
            let told = outcome.stderr.contains("its envelope is damaged")
                && outcome.stderr.contains("moved to corrupt/");
            assert!(
                run == 1 || told && outcome.status == 74,
                "{} {}",
                outcome.status,
                outcome.stderr
            );
        }
        assert!(
            !place.sink.dialogue()[before..]
                .iter()
                .any(|line| line.starts_with("C: MAIL")),
            "{to}"
        );
        assert_eq!(
            (
                place.sandbox.entries(),
                place.sandbox.queue_names("corrupt").len()
            ),
            (vec![], 2),
            "{to}"
        );
    }
}

/// A name in quotes without a domain was queued for a sendmail program, and could never leave.
#[test]
fn what_is_queued_can_leave() {
    for word in ["<\"a b\">", "<\"\">", "N <\"a b\">", "<\"a b\"> (c)"] {
        let place = Place::new();
        let program = place
            .sandbox
            .write_program("bin/mta", "#!/bin/sh\nexec cat > /dev/null\n");
        let mta = format!("mta={}", program.display());
        let outcome = place.smail(&["-n", "-S", &mta, "--", word], b"x\n");
        assert_eq!(
            (outcome.status, place.sandbox.entries()),
            (65, vec![]),
            "{}",
            outcome.stderr
        );
        assert!(
            outcome
                .stderr
                .contains("expected `@` and a domain after the quoted local part"),
            "{}",
            outcome.stderr
        );
    }
}
