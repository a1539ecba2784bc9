//! A mail as it arrived, shown as text that a test can compare.
use mail_parser::MessageParser;

use crate::support::sink::Mail;

/// A mail that was sent and is whole: with one Date, one Message-ID, one From, and no line the
/// standard does not allow.
pub(crate) struct Letter {
    mail: Mail,
    head: Vec<(String, String)>,
    body: String,
}

impl Letter {
    /// Reads it.
    ///
    /// # Panics
    /// When it is not whole.
    pub(crate) fn of(mail: Mail) -> Letter {
        let text = mail.text();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no end of the head:\n{text}"));
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let field = |line: &str| {
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("no header: {line:?}\n{text}"));
            assert!(
                name.bytes().all(|b| b.is_ascii_graphic()),
                "no header: {line:?}\n{text}"
            );
            (name.to_owned(), value.trim_start().to_owned())
        };
        let head: Vec<_> = unfolded.split("\r\n").map(field).collect();
        let count = |name: &str| {
            head.iter()
                .filter(|(n, _)| n.eq_ignore_ascii_case(name))
                .count()
        };
        for (name, least) in [
            ("Date", 1),
            ("Message-ID", 1),
            ("From", 1),
            ("To", 0),
            ("Subject", 0),
            ("MIME-Version", 0),
        ] {
            assert!(
                (least..=1).contains(&count(name)),
                "{} times {name}:\n{text}",
                count(name)
            );
        }
        assert!(
            head.iter().all(|(_, value)| value.is_ascii()),
            "raw bytes in the head:\n{text}"
        );
        assert!(
            text.ends_with("\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']),
            "line ends:\n{text:?}"
        );
        assert!(
            text.split("\r\n").all(|line| line.len() <= 998),
            "a line is too long"
        );
        let body = body.replace("\r\n", "\n");
        Letter { mail, head, body }
    }

    /// A header, unfolded, or nothing.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The user it was sent by.
    pub(crate) fn login(&self) -> Option<&str> {
        self.mail.user.as_deref()
    }

    /// The envelope.
    pub(crate) fn envelope(&self) -> String {
        format!("{} -> {}", self.mail.from, self.mail.to.join(" "))
    }

    /// Envelope, these headers and the body, as they travelled but for line ends.
    pub(crate) fn show(&self, headers: &[&str]) -> String {
        format!("{}\n{}", self.top(headers), self.body)
    }

    /// The same with Subject and text as a reader sees them.
    pub(crate) fn read(&self, headers: &[&str]) -> String {
        let parsed = MessageParser::default().parse(&self.mail.data).unwrap();
        let text = parsed
            .body_text(0)
            .unwrap_or_default()
            .replace("\r\n", "\n");
        format!(
            "{}Subject: {}\n\n{text}",
            self.top(headers),
            parsed.subject().unwrap_or_default()
        )
    }

    /// The mail as it is stored in a file.
    pub(crate) fn text(&self) -> String {
        self.mail.text().replace("\r\n", "\n")
    }

    /// Names and contents of the attachments.
    pub(crate) fn attachments(&self) -> Vec<(String, String)> {
        use mail_parser::MimeHeaders as _;
        let parsed = MessageParser::default().parse(&self.mail.data).unwrap();
        let part = |part: &mail_parser::MessagePart<'_>| {
            let name = part.attachment_name().unwrap_or_default().to_owned();
            (
                name,
                String::from_utf8_lossy(part.contents()).replace("\r\n", "\n"),
            )
        };
        parsed.attachments().map(part).collect()
    }

    fn top(&self, headers: &[&str]) -> String {
        let line = |name: &&str| match self.header(name) {
            Some(value) => format!("{name}: {value}\n"),
            None => format!("no {name}\n"),
        };
        format!(
            "{}\n{}",
            self.envelope(),
            headers.iter().map(line).collect::<String>()
        )
    }
}
