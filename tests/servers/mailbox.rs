//! What the servers delivered, read by Python's `email` package: a reader that shares no code with
//! smail.
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Servers;

/// How long a delivery may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// What Python's parser objects to and smail does on purpose: the name of an attachment in
/// Content-Type too, as encoded-words in quotes, for readers that look only there; and UTF-8 in the
/// headers of a mail that went by SMTPUTF8.
const ON_PURPOSE: [&str; 2] = [
    "Content-Type: InvalidHeaderDefect('encoded word inside quoted string')",
    "Content-Type: InvalidHeaderDefect('missing trailing whitespace after encoded-word')",
];
const ON_PURPOSE_BY_SMTPUTF8: [&str; 2] = ["NonASCIILocalPartDefect", "UndecodableBytesDefect"];

/// A delivered mail.
pub(crate) struct Mail {
    /// What `parse.py` prints.
    pub parsed: Value,
}

impl Mail {
    fn read(path: &Path) -> Mail {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/parse.py");
        let ran = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(path)
            .env_clear()
            .env("PYTHONUTF8", "1")
            .output();
        let ran = ran.expect("python3 starts");
        assert!(
            ran.status.success(),
            "parse.py: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        Mail {
            parsed: serde_json::from_slice(&ran.stdout).expect("parse.py prints JSON"),
        }
    }

    /// Every value of a header, decoded, in order.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let rows = self.parsed["headers"].as_array().expect("headers");
        let named = rows.iter().filter(|row| {
            row[0]
                .as_str()
                .is_some_and(|n| n.eq_ignore_ascii_case(name))
        });
        named.map(|row| row[1].as_str().expect("text")).collect()
    }

    /// The value of a header that stands there exactly once.
    pub(crate) fn header(&self, name: &str) -> &str {
        let [value] = self.headers(name)[..] else {
            panic!("{name} is not there exactly once: {:#}", self.parsed)
        };
        value
    }

    /// The parts that are not containers, in order.
    pub(crate) fn parts(&self) -> &Vec<Value> {
        self.parsed["parts"].as_array().expect("parts")
    }

    /// The text of the first part.
    pub(crate) fn text(&self) -> &str {
        self.parts()[0]["text"].as_str().expect("text")
    }

    /// Fails unless the mail is what every mail has to be: the fields of RFC 5322 section 3.6 and
    /// RFC 2045 exactly once, no Bcc, no defect the parser found, no bare CR, no line over 998
    /// bytes, an ASCII header unless sent by SMTPUTF8.
    pub(crate) fn assert_sound(&self) {
        for name in ["From", "Date", "Message-ID", "MIME-Version"] {
            self.header(name);
        }
        assert_eq!(self.headers("Bcc"), Vec::<&str>::new());
        let smtputf8 = self
            .headers("Received")
            .iter()
            .any(|value| value.contains("UTF8SMTP"));
        let forgiven = |defect: &&str| {
            ON_PURPOSE.contains(defect)
                || smtputf8
                    && ON_PURPOSE_BY_SMTPUTF8
                        .iter()
                        .any(|name| defect.contains(name))
        };
        let defects = self.parsed["defects"]
            .as_array()
            .expect("defects")
            .iter()
            .filter_map(Value::as_str);
        assert_eq!(
            defects.filter(|d| !forgiven(d)).collect::<Vec<_>>(),
            Vec::<&str>::new(),
            "{:#}",
            self.parsed
        );
        assert_eq!(self.parsed["bare_cr"], 0, "{:#}", self.parsed);
        assert!(
            self.parsed["longest_line"].as_u64().expect("a number") <= 998,
            "{:#}",
            self.parsed
        );
        if !smtputf8 {
            assert_eq!(self.parsed["above_127_in_header"], 0, "{:#}", self.parsed);
        }
    }
}

impl Servers {
    /// Waits for the mail that Postfix delivered to `recipient`, and checks that it is sound.
    pub(crate) fn mail_to(&self, recipient: &str) -> Mail {
        let path = await_some(&format!("a mail to {recipient}"), || {
            self.delivered().remove(recipient)?.pop()
        });
        let mail = Mail::read(&path);
        mail.assert_sound();
        mail
    }

    /// Waits for the mail that Dovecot's LMTP delivered to `user`, and checks that it is sound.
    pub(crate) fn lmtp_mail_to(&self, user: &str) -> Mail {
        let dir = self.root.join("dovecot/mail").join(user).join("new");
        let path = await_some(&format!("a mail to {user}"), || files(&dir).pop());
        let mail = Mail::read(&path);
        mail.assert_sound();
        mail
    }

    /// How many mails each recipient has, once Postfix has nothing left to deliver.
    pub(crate) fn settled(&self) -> HashMap<String, usize> {
        await_some("an empty queue", || self.queued().is_empty().then_some(()));
        self.delivered()
            .into_iter()
            .map(|(recipient, mails)| (recipient, mails.len()))
            .collect()
    }

    fn queued(&self) -> Vec<PathBuf> {
        // In the order in which a mail moves on; the other way round it could slip past between two
        // looks.
        ["incoming", "active", "deferred"]
            .iter()
            .flat_map(|q| tree(&self.root.join("postfix/spool").join(q)))
            .collect()
    }

    /// The files of Postfix's one maildir by the address each was delivered to, which virtual(8)
    /// writes on top.
    fn delivered(&self) -> HashMap<String, Vec<PathBuf>> {
        let mut by_recipient: HashMap<String, Vec<PathBuf>> = HashMap::new();
        for path in files(&self.root.join("postfix/mail/everyone/new")) {
            let recipient =
                addressee(&path).unwrap_or_else(|| panic!("no Delivered-To in {}", path.display()));
            by_recipient.entry(recipient).or_default().push(path);
        }
        by_recipient
    }
}

fn addressee(path: &Path) -> Option<String> {
    use std::io::{BufRead, BufReader};
    let lines = BufReader::new(fs::File::open(path).ok()?)
        .split(b'\n')
        .take(10);
    let mut lines = lines.filter_map(|line| String::from_utf8(line.ok()?).ok());
    lines.find_map(|line| line.strip_prefix("Delivered-To: ").map(str::to_owned))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .map(|rows| rows.filter_map(|row| Some(row.ok()?.path())).collect())
        .unwrap_or_default()
}

fn tree(dir: &Path) -> Vec<PathBuf> {
    let (dirs, mut found): (Vec<_>, Vec<_>) =
        files(dir).into_iter().partition(|path| path.is_dir());
    found.extend(dirs.iter().flat_map(|sub| tree(sub)));
    found
}

/// Asks again and again until there is an answer: what another program writes has no event to wait
/// for.
pub(crate) fn await_some<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < end,
            "waited {} s in vain for {what}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
