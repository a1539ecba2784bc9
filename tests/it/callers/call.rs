//! One call as a program makes it, and the mail that comes of it.
//!
//! Promise: a call is made in four situations. The server is there: the mail arrives, without a
//! word, also by the queue. The server is down: with the queue the call succeeds in silence and the
//! next `sendmail -q` delivers the same mail; without it the status is 75, with one line on
//! standard error, and nothing is kept. Envelope and mail are compared whole: what arrives is what
//! was written, plus what the test says it gains, with what the test says is turned into something
//! else.
use std::fs::File;
use std::io::{Seek, Write};

use crate::support::sandbox::{Outcome, Run, Sandbox};
use crate::support::sink::{Mail, Options, Place, Sink};

/// What a mail without them gets on top.
pub(super) const STAMPS: &str = "Date: *\nMessage-ID: <*@a.example>\n";
/// The same for a mail that has no From either.
pub(super) const ALL: &str = "From: Host <host@a.example>\nDate: *\nMessage-ID: <*@a.example>\n";
/// Where the mail of every world goes: `alice`, `root` and whoever is mailed as them.
pub(super) const ALIASES: &str =
    "root: admin@a.example\nalice: alice@a.example\npostmaster: root\n";

/// A world with settings as a host has them: a server, its own address, and aliases for root and
/// alice.
pub(super) fn host(port: u16) -> Sandbox {
    host_with(port, "")
}

/// The same with more lines of settings.
pub(super) fn host_with(port: u16, more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let aliases = sandbox.write("aliases", ALIASES);
    let settings = format!(
        "smtp = \"127.0.0.1:{port}\"\ntls = \"none\"\ntimeout = \"10s\"\nfrom = \"Host <host@a.example>\"\naliases-file = \"{}\"\n{more}",
        aliases.display()
    );
    sandbox.write("home/.config/smail/config.toml", settings);
    sandbox
}

/// What the program gave as standard input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Pipe,
    /// A regular file at its start, which has no name any more.
    File,
    Null,
}

/// A call, and what must come of it.
#[must_use]
pub(super) struct Call {
    line: Vec<String>,
    input: Vec<u8>,
    given: Given,
    script: String,
    environment: Option<Vec<(&'static str, &'static str)>>,
    settings: String,
    offers: Vec<&'static str>,
    sender: String,
    to: Vec<String>,
    says: Vec<&'static str>,
    gains: String,
    turns: Vec<(String, String)>,
    whole: Option<Vec<u8>>,
}

/// The command line as the program writes it, in the words of a shell; smail is called by the last
/// part of its first word.
pub(super) fn call(line: &str) -> Call {
    Call {
        line: shlex::split(line).unwrap(),
        input: Vec::new(),
        given: Given::Pipe,
        script: String::new(),
        environment: None,
        settings: String::new(),
        offers: vec!["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"],
        sender: "host@a.example".to_owned(),
        to: Vec::new(),
        says: Vec::new(),
        gains: STAMPS.to_owned(),
        turns: Vec::new(),
        whole: None,
    }
}

impl Call {
    /// What the program writes.
    pub(super) fn stdin(mut self, input: impl AsRef<[u8]>) -> Self {
        self.input = input.as_ref().to_vec();
        self
    }

    /// It is a regular file at offset 0 that was unlinked.
    pub(super) fn by_file(mut self) -> Self {
        self.given = Given::File;
        self
    }

    /// It is /dev/null.
    pub(super) fn by_null(mut self) -> Self {
        self.given = Given::Null;
        self
    }

    /// What a shell does before: `cd /`, `umask 0`, `exec 1>&-`.
    pub(super) fn after(mut self, script: &str) -> Self {
        script.clone_into(&mut self.script);
        self
    }

    /// The whole environment of the caller, apart from where the settings and the queue of the test
    /// lie.
    pub(super) fn environment(mut self, all: &[(&'static str, &'static str)]) -> Self {
        self.environment = Some(all.to_vec());
        self
    }

    /// More settings.
    pub(super) fn settings(mut self, lines: &str) -> Self {
        self.settings = format!("{lines}\n");
        self
    }

    /// The server offers this too.
    pub(super) fn offered(mut self, extension: &'static str) -> Self {
        self.offers.push(extension);
        self
    }

    /// Who gets it, in order, separated by blanks.
    pub(super) fn to(mut self, recipients: &str) -> Self {
        self.to = recipients.split_whitespace().map(str::to_owned).collect();
        self
    }

    /// The sender of the envelope, in place of that of the settings.
    pub(super) fn sender(mut self, sender: &str) -> Self {
        sender.clone_into(&mut self.sender);
        self
    }

    /// smail says this line to the server.
    pub(super) fn says(mut self, line: &'static str) -> Self {
        self.says.push(line);
        self
    }

    /// What is put on top, in place of [`STAMPS`]; `*` stands for a Date and the left side of a
    /// Message-ID.
    pub(super) fn gains(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.gains);
        self
    }

    /// A part of what was written arrives as something else.
    pub(super) fn turns(mut self, old: &str, new: &str) -> Self {
        self.turns.push((old.to_owned(), new.to_owned()));
        self
    }

    /// What arrives, in place of what was written.
    pub(super) fn arrives(mut self, mail: impl AsRef<[u8]>) -> Self {
        self.whole = Some(mail.as_ref().to_vec());
        self
    }

    fn name(&self) -> &str {
        self.line[0].rsplit('/').next().unwrap()
    }

    /// As sendmail it is silent where mail(1) says that the mail waits.
    fn is_sendmail(&self) -> bool {
        self.name() == "sendmail"
    }

    /// Prepares the call in a world.
    pub(super) fn run<'w>(&self, sandbox: &'w Sandbox, queue: bool) -> Run<'w> {
        let words = &self.line[1..];
        let mut run = if self.script.is_empty() {
            sandbox.as_name(self.name(), words)
        } else {
            let script = format!("{}; exec \"$@\"", self.script);
            sandbox.under_as(&["/bin/sh", "-c", &script, "sh"], self.name(), words)
        };
        if let Some(environment) = &self.environment {
            for name in [
                "HOME",
                "USER",
                "LOGNAME",
                "PATH",
                "LC_ALL",
                "TZ",
                "TMPDIR",
                "XDG_CACHE_HOME",
                "XDG_RUNTIME_DIR",
            ] {
                run = run.without_env(name);
            }
            // Without HOME the home is that of the account, and what lies there is none of the
            // test's.
            run = run.env("MAILRC", "/dev/null");
            for (name, value) in environment {
                run = run.env(name, value);
            }
        }
        if queue {
            run = run.queued();
        }
        match self.given {
            Given::Pipe => run.stdin(&self.input),
            Given::File => {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&self.input).unwrap();
                file.rewind().unwrap();
                run.stdin_file(file)
            }
            Given::Null => run.stdin_file(File::open("/dev/null").unwrap()),
        }
    }

    fn server(&self) -> Options {
        Options::new().extensions(&self.offers)
    }

    /// Makes the call in every situation.
    pub(super) fn check(self) {
        for queue in [false, true] {
            let sink = self.server().start();
            let sandbox = host_with(sink.port(), &self.settings);
            silent(&self.run(&sandbox, queue).run(), &format!("queue {queue}"));
            self.compare(&sink);
            assert_eq!(sandbox.queue_names("q"), [""; 0]);
        }
        self.waits();
        self.fails();
    }

    /// The server is down, and the queue takes the mail.
    fn waits(&self) {
        let place = Place::reserve();
        let sandbox = host_with(place.port(), &self.settings);
        let outcome = self.run(&sandbox, true).run();
        if self.is_sendmail() {
            silent(&outcome, "server down");
        } else {
            assert_eq!(
                (outcome.status, outcome.stdout.as_str()),
                (0, ""),
                "{}",
                outcome.stderr
            );
            assert!(
                outcome.stderr.starts_with("smail: queued as ")
                    && outcome.stderr.lines().count() == 1,
                "{}",
                outcome.stderr
            );
        }
        let ids = sandbox.entries();
        assert_eq!(ids.len(), 1, "{}", outcome.stderr);
        let sink = self.server().start_at(place);
        silent(
            &sandbox
                .as_name("sendmail", &[format!("-qI{}", ids[0])])
                .queued()
                .run(),
            "sendmail -q",
        );
        self.compare(&sink);
        assert_eq!(sandbox.queue_names("q"), [""; 0]);
    }

    /// The server is down, and there is no queue.
    fn fails(&self) {
        let place = Place::reserve();
        let sandbox = host_with(place.port(), &self.settings);
        let outcome = self.run(&sandbox, false).run();
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (75, ""),
            "{}",
            outcome.stderr
        );
        if self.is_sendmail() && !self.script.contains("2>") {
            one_line(&outcome, "refused");
        }
        assert_eq!(sandbox.queue_names("q"), [""; 0]);
    }

    fn compare(&self, sink: &Sink) {
        let mail = sink.only_mail();
        assert_eq!((&mail.from, &mail.to), (&self.sender, &self.to));
        assert_eq!(shown(&self.normal(&mail)), shown(&self.expected()));
        let dialogue = sink.dialogue();
        for line in &self.says {
            assert!(
                dialogue.contains(&format!("C: {line}")),
                "{line}: {}",
                dialogue.join("\n")
            );
        }
    }

    fn expected(&self) -> Vec<u8> {
        let text = self.whole.clone().unwrap_or_else(|| {
            let mut text = self.input.clone();
            for (old, new) in &self.turns {
                text = replaced(&text, old, new);
            }
            text
        });
        let text = if self.whole.is_some() {
            text
        } else {
            [self.gains.as_bytes(), &text].concat()
        };
        let mut wire = Vec::new();
        for (at, byte) in text.iter().enumerate() {
            if *byte == b'\n' && (at == 0 || text[at - 1] != b'\r') {
                wire.push(b'\r');
            }
            wire.push(*byte);
        }
        if !wire.ends_with(b"\r\n") {
            wire.extend(b"\r\n");
        }
        wire
    }

    /// The mail with `*` for what smail generates, which is what the program did not write.
    fn normal(&self, mail: &Mail) -> Vec<u8> {
        let end = head_of(&mail.data).len();
        let mut normal = Vec::new();
        for line in mail.data[..end].split_inclusive(|byte| *byte == b'\n') {
            let bare = line.strip_suffix(b"\r\n").unwrap();
            let generated = !holds(&self.input, bare);
            match std::str::from_utf8(bare)
                .unwrap_or_default()
                .split_once(": ")
            {
                Some(("Date", date)) if generated => {
                    assert!(
                        mail_parser::DateTime::parse_rfc822(date)
                            .is_some_and(|date| date.is_valid()),
                        "{date}"
                    );
                    normal.extend(b"Date: *\r\n");
                }
                Some(("Message-ID", id)) if generated => {
                    let (left, domain) = id.split_once('@').unwrap();
                    assert!(left.starts_with('<') && left.len() > 16, "{id}");
                    normal.extend(format!("Message-ID: <*@{domain}\r\n").bytes());
                }
                _ => normal.extend(line),
            }
        }
        normal.extend(&mail.data[end..]);
        normal
    }
}

/// The head of a mail, with the line end of its last field.
pub(super) fn head_of(mail: &[u8]) -> &[u8] {
    let end = mail
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(mail.len(), |at| at + 2);
    &mail[..end]
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fn replaced(text: &[u8], old: &str, new: &str) -> Vec<u8> {
    let at = text
        .windows(old.len())
        .position(|part| part == old.as_bytes());
    let at = at.unwrap_or_else(|| panic!("{old:?} is not in the mail"));
    [&text[..at], new.as_bytes(), &text[at + old.len()..]].concat()
}

/// Bytes for a comparison that a person can read.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text
            .replace("\r\n", "\n")
            .escape_debug()
            .to_string()
            .replace("\\n", "\n"),
        Err(_) => bytes.escape_ascii().to_string().replace("\\r\\n", "\n"),
    }
}

/// All went well, and nothing was said.
pub(super) fn silent(outcome: &Outcome, what: &str) {
    assert_eq!(
        (
            outcome.status,
            outcome.stdout.as_str(),
            outcome.stderr.as_str()
        ),
        (0, "", ""),
        "{what}"
    );
}

/// Nothing but one line on standard error, which holds the words.
pub(super) fn one_line(outcome: &Outcome, words: &str) {
    let said = &outcome.stderr;
    assert!(
        said.starts_with("sendmail: ") && said.ends_with('\n') && said.lines().count() == 1,
        "{said:?}"
    );
    assert!(said.contains(words), "{words}: {said}");
    assert_eq!(outcome.stdout, "");
}
