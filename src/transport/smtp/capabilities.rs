//! What a server offers in its answer to EHLO (RFC 5321 section 4.1.1.1).
//!
//! Promise: keywords count in any case, several AUTH lines are one, and what is unknown is ignored.
use crate::delivery::Reply;

/// The most mechanisms of AUTH that are kept; no server offers so many, and each is compared with
/// all others.
const MOST_MECHANISMS: usize = 100;

/// What the server offers on this connection now; nothing of it outlives STARTTLS (RFC 3207 section
/// 4.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword that is there or not"
)]
pub(crate) struct Capabilities {
    /// SIZE is offered (RFC 1870).
    pub size: bool,
    /// The largest message in bytes; `None` without a fixed limit.
    pub limit: Option<u64>,
    /// Commands may be sent in groups (RFC 2920).
    pub pipelining: bool,
    /// RFC 6152.
    pub eight_bit: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 2034.
    pub enhanced_codes: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3030.
    pub chunking: bool,
    /// The mechanisms of AUTH in upper case, in the order offered, each once (RFC 4954).
    pub auth: Vec<String>,
    /// The most recipients of one transaction (RFC 9422 section 4.2).
    pub rcpt_max: Option<usize>,
    /// The most transactions of one session (RFC 9422 section 4.1).
    pub mail_max: Option<usize>,
    /// AUTH is offered, with or without mechanisms.
    pub login: bool,
    offered: Vec<String>,
    /// What of `auth` may be shown.
    named: Vec<String>,
}

impl Capabilities {
    /// Reads the answer to EHLO or LHLO; its first line names the server and is skipped.
    pub(crate) fn new(reply: &Reply) -> Self {
        let mut capabilities = Capabilities::default();
        for line in reply.lines.iter().skip(1) {
            capabilities.add(line);
        }
        capabilities.named.clone_from(&capabilities.auth);
        capabilities
    }

    /// The same, told to the user in the words of another form of the answer.
    #[must_use]
    pub(crate) fn told_as(self, reply: &Reply) -> Self {
        let Capabilities { offered, named, .. } = Capabilities::new(reply);
        Capabilities {
            offered,
            named,
            ..self
        }
    }

    /// The mechanisms of AUTH for a message to the user.
    pub(crate) fn mechanisms(&self) -> &[String] {
        &self.named
    }

    /// Returns whether a mechanism is offered that is bound to the connection (RFC 5802 section 6).
    pub(crate) fn offers_binding(&self) -> bool {
        self.auth.iter().any(|name| name.ends_with("-PLUS"))
    }

    fn add(&mut self, line: &str) {
        // `AUTH=PLAIN LOGIN` is the form of servers from before RFC 2554.
        let line = line.to_ascii_uppercase().replacen("AUTH=", "AUTH ", 1);
        let mut words = line.split_whitespace();
        let Some(keyword) = words.next() else { return };
        match keyword {
            "SIZE" => {
                self.size = true;
                self.limit = words
                    .next()
                    .and_then(|limit| limit.parse().ok())
                    .filter(|&limit| limit > 0);
            }
            "PIPELINING" => self.pipelining = true,
            "8BITMIME" => self.eight_bit = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_codes = true,
            "STARTTLS" => self.starttls = true,
            "DSN" => self.dsn = true,
            "CHUNKING" => self.chunking = true,
            "AUTH" => {
                self.login = true;
                for mechanism in words.take(MOST_MECHANISMS.saturating_sub(self.auth.len())) {
                    if !self.auth.iter().any(|known| known == mechanism) {
                        self.auth.push(mechanism.to_owned());
                    }
                }
            }
            "LIMITS" => words.for_each(|word| self.limit_of(word)),
            _ => {}
        }
        if !self.offered.iter().any(|known| known == keyword) {
            self.offered.push(keyword.to_owned());
        }
    }

    /// Takes one limit in; what is none counts for nothing.
    fn limit_of(&mut self, word: &str) {
        let Some((name, value)) = word.split_once('=') else {
            return;
        };
        let value = value.parse().ok().filter(|&most: &usize| most > 0);
        match name {
            "RCPTMAX" => self.rcpt_max = value,
            "MAILMAX" => self.mail_max = value,
            _ => {}
        }
    }

    /// Every keyword that is offered, for a message to the user; "nothing" when none is.
    pub(crate) fn offered(&self) -> String {
        if self.offered.is_empty() {
            "nothing".to_owned()
        } else {
            self.offered.join(" ")
        }
    }

    /// The answer to EHLO again in the plainest form, for a parser that takes no other.
    pub(crate) fn plain(&self) -> String {
        let mut lines = vec!["server"];
        for (offered, keyword) in [(self.eight_bit, "8BITMIME"), (self.smtputf8, "SMTPUTF8")] {
            if offered {
                lines.push(keyword);
            }
        }
        let (last, others) = lines
            .split_last()
            .map_or(("", &[][..]), |(last, others)| (*last, others));
        let others = others.iter().flat_map(|line| ["250-", line, "\r\n"]);
        others.chain(["250 ", last, "\r\n"]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Capabilities {
        Capabilities::new(&Reply::new(
            250,
            lines.iter().map(|line| (*line).to_owned()).collect(),
        ))
    }

    #[test]
    fn keywords_count_in_any_case_and_auth_lines_add_up() {
        let found = read(&[
            "AUTH.server",
            "starttls",
            "8bitmime",
            "   ",
            "",
            "auth plain",
            "AUTH LOGIN PLAIN",
            "AUTH=Cram-MD5",
            "Size 1000",
            "Pipelining",
        ]);
        assert_eq!(found.auth, ["PLAIN", "LOGIN", "CRAM-MD5"]);
        assert_eq!(found.limit, Some(1000));
        assert!(
            found.starttls && found.eight_bit && found.pipelining && found.size && !found.smtputf8
        );
        assert_eq!(found.offered(), "STARTTLS 8BITMIME AUTH SIZE PIPELINING");
    }

    #[test]
    fn the_first_line_is_the_servers_name_whatever_it_says() {
        assert_eq!(read(&["STARTTLS"]), Capabilities::default());
        assert_eq!(read(&["STARTTLS"]).offered(), "nothing");
    }

    #[test]
    fn a_size_of_nothing_or_zero_is_no_limit() {
        for line in ["SIZE", "SIZE 0", "SIZE many"] {
            let found = read(&["x", line]);
            assert!(found.size && found.limit.is_none(), "{line}");
        }
    }

    #[test]
    fn limits_are_numbers_and_what_is_none_is_passed_over() {
        let found = read(&["x", "limits MAILMAX=50 rcptmax=100 RCPTDOMAINMAX=1 NEW"]);
        assert_eq!((found.mail_max, found.rcpt_max), (Some(50), Some(100)));
        for line in [
            "LIMITS",
            "LIMITS RCPTMAX",
            "LIMITS RCPTMAX=0",
            "LIMITS RCPTMAX=-1 MAILMAX=many",
        ] {
            let found = read(&["x", line]);
            assert_eq!((found.mail_max, found.rcpt_max), (None, None), "{line}");
        }
    }

    #[test]
    fn the_plain_form_ends_with_a_last_line() {
        assert_eq!(read(&["x"]).plain(), "250 server\r\n");
        assert_eq!(
            read(&["x", "8BITMIME", "SMTPUTF8"]).plain(),
            "250-server\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
        );
    }

    #[test]
    fn offers_of_any_kind_take_linear_time() {
        use crate::pace::{assert_linear, numbered};
        let lines = |size, line: &dyn Fn(usize) -> String| {
            let mut made = vec!["server".to_owned()];
            // No reply has more.
            made.extend((0..size / 1000).map(|n| numbered(1000, |m| line(1000 * n + m))));
            Reply::new(250, made)
        };
        for (name, word) in [
            ("mechanisms", "AUTH "),
            ("limits", "LIMITS "),
            ("words", "X"),
        ] {
            let make = |size| {
                lines(size, &|n| {
                    if n % 1000 == 0 {
                        word.to_owned()
                    } else {
                        format!("{n} ")
                    }
                })
            };
            assert_linear(name, make, |reply| drop(Capabilities::new(&reply)));
        }
    }
}
