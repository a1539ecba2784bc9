//! The mailx cases: what users type and configure for Heirloom mailx, s-nail, bsd-mailx and GNU
//! mail, and what smail makes of it.
//!
//! The cases are text (`tests/it/cases/*.txt`). A case is its input and the result smail owes; where
//! smail does on purpose something else than the mailx programs agree on, the case says why
//! (`differs:`). A case runs once for each dialect of its mail.rc, through a stub in place of
//! sendmail or, with `sink:`, against a server.
//!
//! ```text
//! === A12-r-plain             the name
//! $ -r me@y.example bob@x     the words of the command line (quoted as in sh; \n \r \xNN are bytes)
//! stdin: body\n               standard input (`body\n` without it)
//! env: NAME=value             one variable
//! rc: set from=a@x            a line of mail.rc; `rc(H):` and `rc(S):` for one dialect each
//! file NAME: content          a file of the working directory
//! sink: auth starttls …       words of `sink()` below; {PORT} is its port, {DIR} the working directory, {MTA} the stub
//! exit: 65                    the status; 0 without it
//! unsent                      nothing may have been sent
//! envelope: a@x > b@x, c@x    the sender (`*`: anyone) and the recipients
//! head: To: b@x               each header, unfolded and in order, apart from Date, Message-ID (one each), the MIME
//!                             headers of 7-bit UTF-8 text, and a From of the local user
//! shows: Subject: Grüße       a header decoded (Subject, From, To); it is left out of `head:`
//! body: words\n               the body as sent; `text:` the body decoded
//! type: text/html             the media type, and `coding: base64` the transfer encoding
//! part: TYPE NAME: content    each attachment decoded, in order
//! says: words                 stderr holds this; without any, stderr is empty; `says: *` is anything
//! stdout: words               stdout holds this; without any, it is empty
//! said: AUTH LOGIN            the client said this to the server; `unsaid:` it did not
//! left NAME: content          a file afterwards holds this; `left NAME!` does not exist
//! differs: reason             why this is not what the mailx programs do
//! ```
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::sink::{Options, Sink};
use mail_parser::{MessageParser, MimeHeaders};

/// One case as it was written: its name and its lines (key, argument, value).
struct Case {
    name: String,
    lines: Vec<Line>,
}

struct Line {
    key: String,
    argument: String,
    value: String,
}

/// What a case sent: the message and its envelope.
struct Sent {
    from: String,
    to: Vec<String>,
    data: Vec<u8>,
}

const KEYS: &[&str] = &[
    "stdin", "env", "rc", "file", "sink", "exit", "unsent", "envelope", "head", "shows", "body",
    "text", "type", "coding", "part", "says", "stdout", "said", "unsaid", "left", "differs",
];

fn read_cases(name: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/cases")
        .join(name);
    let text = fs::read_to_string(&path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case {
                name: name.to_owned(),
                lines: Vec::new(),
            });
            continue;
        }
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (head, value) = match line.strip_prefix("$ ") {
            Some(words) => ("$", words),
            None => line.split_once(':').map_or((line, ""), |(head, value)| {
                (head, value.strip_prefix(' ').unwrap_or(value))
            }),
        };
        let (key, argument) = head
            .split_once([' ', '('])
            .map_or((head, ""), |(key, rest)| (key, rest.trim_end_matches(')')));
        // A media type and a name stand before the colon of `part`, so that it splits as the others
        // do.
        assert!(
            key == "$" || KEYS.contains(&key.trim_end_matches('!')),
            "{name}:{}: `{key}`",
            number + 1
        );
        let case = cases.last_mut().unwrap();
        case.lines.push(Line {
            key: key.into(),
            argument: argument.into(),
            value: value.into(),
        });
    }
    cases
}

impl Case {
    fn all<'c>(&'c self, key: &'c str) -> impl Iterator<Item = &'c Line> {
        self.lines.iter().filter(move |line| line.key == key)
    }

    fn one(&self, key: &str) -> Option<&str> {
        self.lines
            .iter()
            .find(|line| line.key == key)
            .map(|line| line.value.as_str())
    }

    fn has(&self, key: &str) -> bool {
        self.all(key).next().is_some()
    }

    /// The dialects its mail.rc is written in; one run when there is no difference.
    fn dialects(&self) -> Vec<&str> {
        let mut found: Vec<_> = self
            .all("rc")
            .map(|line| line.argument.as_str())
            .filter(|d| !d.is_empty())
            .collect();
        found.dedup();
        if found.is_empty() { vec![""] } else { found }
    }
}

/// Turns `\n \r \t \\ \xNN` into bytes.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return bytes,
            [b'\\', b'n', tail @ ..] => push(&mut bytes, b'\n', tail),
            [b'\\', b'r', tail @ ..] => push(&mut bytes, b'\r', tail),
            [b'\\', b't', tail @ ..] => push(&mut bytes, b'\t', tail),
            [b'\\', b'\\', tail @ ..] => push(&mut bytes, b'\\', tail),
            [b'\\', b'x', high, low, tail @ ..] => {
                let digits = [*high, *low];
                let byte = u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap();
                push(&mut bytes, byte, tail)
            }
            [byte, tail @ ..] => push(&mut bytes, *byte, tail),
        }
    }
}

fn push<'t>(bytes: &mut Vec<u8>, byte: u8, tail: &'t [u8]) -> &'t [u8] {
    bytes.push(byte);
    tail
}

/// Repeats: `{N*x}` in a case stands for N times x.
fn repeat(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('*') {
        let Some(open) = rest[..at].rfind('{') else {
            break;
        };
        let (Ok(count), Some(close)) = (rest[open + 1..at].parse::<usize>(), rest[at..].find('}'))
        else {
            break;
        };
        out.push_str(&rest[..open]);
        out.push_str(&rest[at + 1..at + close].repeat(count));
        rest = &rest[at + close + 1..];
    }
    out + rest
}

fn sink(words: &str) -> Sink {
    let mut options = Options::new().extensions(&["8BITMIME", "ENHANCEDSTATUSCODES"]);
    for word in words.split_whitespace() {
        let (word, value) = word.split_once('=').unwrap_or((word, ""));
        options = match word {
            "plain" => options,
            "auth" => {
                let (user, password) = value.split_once(':').unwrap_or(("u", "p"));
                options.login(user, password)
            }
            "mechanisms" => options.mechanisms(&value.split(',').collect::<Vec<_>>()),
            "starttls" => options.starttls(),
            "implicit" => options.implicit(),
            "refuse" => options.recipient(value, "550 5.1.1 no such user"),
            "defer" => options.recipient(value, "451 4.7.1 greylisted"),
            "dot" => options.dot("554 5.6.0 rejected"),
            _ => panic!("`sink: {word}`"),
        };
    }
    options.start()
}

/// Runs a case in one dialect and gives what is wrong with the result.
fn run(case: &Case, dialect: &str) -> Vec<String> {
    let sandbox = Sandbox::new();
    let server = case.one("sink").map(sink);
    let dir = sandbox.path("");
    let dir = dir.to_str().unwrap().trim_end_matches('/').to_owned();
    let mta = format!("{dir}/bin/stub");
    let port = server.as_ref().map_or(0, Sink::port).to_string();
    let fill = |text: &str| {
        repeat(text)
            .replace("{PORT}", &port)
            .replace("{DIR}", &dir)
            .replace("{MTA}", &mta)
    };
    sandbox.write_program(
        "bin/stub",
        &format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > '{dir}/argv'\nexec cat > '{dir}/mail'\n"),
    );
    sandbox.pem("ca");
    for file in case.all("file") {
        sandbox.write(&file.argument, unescape(&fill(&file.value)));
    }
    let rc: Vec<_> = case
        .all("rc")
        .filter(|l| l.argument.is_empty() || l.argument == dialect)
        .map(|l| fill(&l.value))
        .collect();
    if !rc.is_empty() {
        sandbox.write("rc", unescape_returns(&(rc.join("\n") + "\n")));
    }
    let command = fill(case.one("$").expect("a command"));
    let words = shlex::split(&command).expect("words");
    let mut run = sandbox.as_name("mailx", &["-n"]);
    if server.is_none() && !command.contains("sendmail=") {
        run = run.arg("-S").arg(format!("mta={mta}"));
    }
    for word in words {
        run = run.arg(std::ffi::OsString::from_vec(unescape(&word)));
    }
    run = run.env(
        "MAILRC",
        if rc.is_empty() {
            "/dev/null".into()
        } else {
            sandbox.path("rc")
        },
    );
    for line in case.all("env") {
        let (name, value) = line.value.split_once('=').unwrap();
        run = run.env(name, fill(value));
    }
    let outcome = run
        .stdin(unescape(&repeat(case.one("stdin").unwrap_or("body\\n"))))
        .run();
    let sent = match &server {
        Some(server) => server.mails().into_iter().next().map(|mail| Sent {
            from: mail.from,
            to: mail.to,
            data: mail.data,
        }),
        None => read_stub(&sandbox),
    };
    let mut wrong = check_run(case, &outcome, &sandbox, &fill);
    wrong.extend(check_sent(case, sent.as_ref()));
    if let Some(server) = &server {
        let dialogue = server.dialogue().join("\n");
        wrong.extend(
            case.all("said")
                .filter(|l| !dialogue.contains(&format!("C: {}", l.value)))
                .map(|l| format!("never said {}", l.value)),
        );
        wrong.extend(
            case.all("unsaid")
                .filter(|l| dialogue.contains(&format!("C: {}", l.value)))
                .map(|l| format!("said {}", l.value)),
        );
    }
    if !wrong.is_empty() {
        wrong.push(format!("stderr: {}", outcome.stderr.trim_end()));
    }
    wrong
}

/// In mail.rc a backslash is the text's own; only a carriage return has to be written.
fn unescape_returns(text: &str) -> String {
    text.replace("\\x0d", "\r")
}

fn read_stub(sandbox: &Sandbox) -> Option<Sent> {
    let argv = String::from_utf8(sandbox.read("argv")?).unwrap();
    let argv: Vec<_> = argv.lines().collect();
    let at = argv
        .iter()
        .position(|word| *word == "--")
        .unwrap_or_else(|| panic!("no `--` in {argv:?}"));
    let from = argv[..at]
        .iter()
        .position(|word| *word == "-f")
        .map_or("", |at| argv[at + 1]);
    let to = argv[at + 1..].iter().map(ToString::to_string).collect();
    // A program gets lines that end in LF or CRLF, as it is its own affair; the comparison is of
    // the mail.
    let data = String::from_utf8_lossy(&sandbox.read("mail")?)
        .replace("\r\n", "\n")
        .replace('\n', "\r\n");
    Some(Sent {
        from: from.to_owned(),
        to,
        data: data.into_bytes(),
    })
}

fn check_run(
    case: &Case,
    outcome: &Outcome,
    sandbox: &Sandbox,
    fill: &impl Fn(&str) -> String,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let exit: i32 = case.one("exit").map_or(0, |text| text.parse().unwrap());
    if outcome.status != exit {
        wrong.push(format!("exit: expected {exit}, got {}", outcome.status));
    }
    for (key, text) in [("says", &outcome.stderr), ("stdout", &outcome.stdout)] {
        if !case.has(key) && !text.is_empty() {
            wrong.push(format!("{key}: expected nothing, got {text:?}"));
        }
        for line in case.all(key).filter(|line| line.value != "*") {
            if !text.contains(&fill(&line.value)) {
                wrong.push(format!("{key}: expected {:?}, got {text:?}", line.value));
            }
        }
    }
    for line in case.all("left") {
        let name = line.argument.trim_end_matches('!');
        let content = sandbox
            .read(name)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let good = match &content {
            None => line.argument.ends_with('!'),
            Some(text) => {
                !line.argument.ends_with('!')
                    && text.contains(&*String::from_utf8(unescape(&line.value)).unwrap())
            }
        };
        if !good {
            wrong.push(format!("file {name}: {content:?}"));
        }
    }
    wrong
}

fn check_sent(case: &Case, sent: Option<&Sent>) -> Vec<String> {
    let Some(sent) = sent else {
        return if case.has("unsent") {
            vec![]
        } else {
            vec!["nothing was sent".into()]
        };
    };
    if case.has("unsent") {
        return vec!["it was sent".into()];
    }
    let mut wrong = Vec::new();
    let mut compare = |what: &str, expected: &str, got: &str| {
        if expected != got {
            wrong.push(format!(
                "{what}:\n    expected {expected:?}\n    got      {got:?}"
            ));
        }
    };
    if let Some(envelope) = case.one("envelope") {
        let (from, to) = envelope.split_once(" > ").unwrap();
        if from != "*" {
            compare("sender", from, &sent.from);
        }
        compare("recipients", to, &sent.to.join(", "));
    }
    let message = String::from_utf8_lossy(&sent.data).into_owned();
    let (head, body) = message.split_once("\r\n\r\n").unwrap_or((&message, ""));
    let expected: Vec<_> = case.all("head").map(|line| repeat(&line.value)).collect();
    let shown: Vec<_> = case
        .all("shows")
        .map(|line| line.value.split_once(": ").unwrap())
        .collect();
    let headers = headers(head, &shown, &expected);
    if case.has("head") {
        compare("headers", &expected.join("\n"), &headers.join("\n"));
    }
    let parsed = MessageParser::default().parse(&sent.data[..]).unwrap();
    for (name, value) in shown {
        compare(name, &repeat(value), &decoded(&parsed, name));
    }
    if let Some(expected) = case.one("body") {
        compare(
            "body",
            &String::from_utf8_lossy(&unescape(&repeat(expected))).replace('\n', "\r\n"),
            body,
        );
    }
    if let Some(expected) = case.one("text") {
        let is_html = parsed
            .content_type()
            .is_some_and(|t| t.subtype() == Some("html"));
        let text = if is_html {
            parsed.body_html(0)
        } else {
            parsed.body_text(0)
        };
        let text = text.unwrap_or_default().replace("\r\n", "\n");
        compare(
            "text",
            &String::from_utf8_lossy(&unescape(&repeat(expected))),
            &text,
        );
    }
    if let Some(expected) = case.one("type") {
        let got = parsed
            .content_type()
            .map(|t| format!("{}/{}", t.ctype(), t.subtype().unwrap_or("")))
            .unwrap_or_default();
        compare("type", expected, &got);
    }
    if let Some(expected) = case.one("coding") {
        compare(
            "coding",
            expected,
            parsed.content_transfer_encoding().unwrap_or(""),
        );
    }
    if case.has("part") {
        let expected: Vec<_> = case
            .all("part")
            .map(|l| {
                format!(
                    "{}: {}",
                    l.argument,
                    String::from_utf8_lossy(&unescape(&l.value)).escape_debug()
                )
            })
            .collect();
        let got: Vec<_> = parsed.attachments().map(part).collect();
        compare("parts", &expected.join("\n"), &got.join("\n"));
    }
    wrong.extend(must(head));
    wrong
}

fn part(part: &mail_parser::MessagePart<'_>) -> String {
    let kind = part
        .content_type()
        .map(|t| format!("{}/{}", t.ctype(), t.subtype().unwrap_or("")))
        .unwrap_or_default();
    let content = String::from_utf8_lossy(part.contents());
    // A part that is not encoded has the line ends of the wire; an encoded one must be exact.
    let content = match part.content_transfer_encoding() {
        None | Some("7bit" | "8bit") => content.replace("\r\n", "\n"),
        Some(_) => content.into_owned(),
    };
    format!(
        "{kind} {}: {}",
        part.attachment_name().unwrap_or("-"),
        content.escape_debug()
    )
}

fn decoded(message: &mail_parser::Message<'_>, name: &str) -> String {
    let addresses = match name {
        "Subject" => return message.subject().unwrap_or("").to_owned(),
        "From" => message.from(),
        "To" => message.to(),
        _ => panic!("`shows: {name}`"),
    };
    let mut text = String::new();
    for address in addresses.iter().flat_map(|list| list.iter()) {
        let gap = if text.is_empty() { "" } else { ", " };
        let (name, address) = (
            address.name().unwrap_or(""),
            address.address().unwrap_or(""),
        );
        let _ = if name.is_empty() {
            write!(text, "{gap}{address}")
        } else {
            write!(text, "{gap}{name} <{address}>")
        };
    }
    text
}

/// The headers unfolded, without those that every mail has and without those that are compared
/// decoded.
fn headers(head: &str, shown: &[(&str, &str)], expected: &[String]) -> Vec<String> {
    const USUAL: &[&str] = &[
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
    ];
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let wanted = |name: &str| expected.iter().any(|line| line.starts_with(name));
    unfolded
        .split("\r\n")
        .filter(|line| !USUAL.contains(line) || wanted(line))
        .filter(|line| {
            ["Date: ", "Message-ID: "]
                .iter()
                .all(|name| !line.starts_with(name) || wanted(name))
        })
        .filter(|line| !line.starts_with("From: tester@"))
        .filter(|line| {
            shown
                .iter()
                .all(|(name, _)| !line.starts_with(&format!("{name}: ")))
        })
        .map(ToOwned::to_owned)
        .collect()
}

/// What every mail must have exactly once, and never.
fn must(head: &str) -> Vec<String> {
    let count = |name: &str| {
        head.split("\r\n")
            .filter(|l| l.to_ascii_lowercase().starts_with(&format!("{name}:")))
            .count()
    };
    let mut wrong: Vec<_> = ["date", "message-id", "from", "mime-version", "content-type"]
        .iter()
        .filter(|name| count(name) != 1)
        .map(|name| format!("{} headers {name}", count(name)))
        .collect();
    if count("bcc") > 0 {
        wrong.push("a Bcc header".into());
    }
    wrong
}

fn play(file: &str) {
    let mut report = String::new();
    for case in read_cases(file) {
        for dialect in case.dialects() {
            let wrong = run(&case, dialect);
            if !wrong.is_empty() {
                let _ = writeln!(report, "{} {dialect}\n  {}", case.name, wrong.join("\n  "));
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

macro_rules! files {
    ($($name:ident)*) => {
        $(#[test] fn $name() { play(concat!(stringify!($name), ".txt")); })*
        const FILES: &[&str] = &[$(stringify!($name)),*];
    };
}

files! { options recipients template body headers_and_names attachments mailrc smtp failure_and_copies }

#[test]
fn every_file_of_cases_is_played() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases");
    let mut found: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| {
            e.unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .replace(".txt", "")
        })
        .collect();
    let mut played = FILES.to_vec();
    found.sort();
    played.sort_unstable();
    assert_eq!(found, played);
}
