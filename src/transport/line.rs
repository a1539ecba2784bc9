//! Command lines on their way out: the last guard at the wire, for SMTP, LMTP and the login alike.
//!
//! Promise: no line leaves that holds a CR, an LF or a NUL, which would make a command of what
//! follows it, and no address with one becomes an argument of a program. What comes here was
//! checked where it came in; this room trusts none of it. A line that is refused is a mistake of
//! smail, and nothing of its group leaves.
use crate::delivery::Cause;
use crate::message::Envelope;

/// Commands that leave together, each of them one line.
#[derive(Debug, Default)]
pub(super) struct Commands(String);

impl Commands {
    /// A command without anything from outside in it; `line` has no line end.
    pub(super) fn fixed(line: &'static str) -> Self {
        Commands(format!("{line}\r\n"))
    }

    /// Adds a command, with its line end or without.
    ///
    /// # Errors
    /// [`Cause::Unsound`]: it is more than one line.
    pub(super) fn add(&mut self, line: &str) -> Result<(), Cause> {
        let line = one_line(line).map_err(|byte| {
            let verb: String = line
                .chars()
                .take_while(char::is_ascii_alphabetic)
                .take(8)
                .collect();
            unsound(&format!("the command {verb}"), byte)
        })?;
        self.0.push_str(line);
        self.0.push_str("\r\n");
        Ok(())
    }

    /// The bytes to send.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The lines without their ends.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.split_terminator("\r\n")
    }

    /// The bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Checks a line of a login, which is told nothing of.
///
/// # Errors
/// [`Cause::Unsound`]: it is more than one line.
pub(super) fn check_secret(line: &str) -> Result<(), Cause> {
    one_line(line)
        .map(drop)
        .map_err(|byte| unsound("a line of the login", byte))
}

/// Checks the addresses that become arguments of a program.
///
/// # Errors
/// [`Cause::Unsound`].
pub(super) fn check_arguments(envelope: &Envelope) -> Result<(), Cause> {
    let odd = |text: &str| text.bytes().find(u8::is_ascii_control);
    let mut addresses = envelope.sender.iter().chain(&envelope.recipients);
    match addresses.find_map(|address| {
        odd(address.local()).or_else(|| odd(address.domain().unwrap_or_default()))
    }) {
        None => Ok(()),
        Some(byte) => Err(unsound("an address of the envelope", byte)),
    }
}

/// Checks the name of a server that a proxy is asked for by name.
///
/// # Errors
/// [`Cause::Unsound`].
pub(super) fn check_host(host: &str) -> Result<(), Cause> {
    let odd = host.bytes().find(|byte| !byte.is_ascii_graphic());
    odd.map_or(Ok(()), |byte| Err(unsound("the name of the server", byte)))
}

/// Gives a line without its end back, or the byte that makes more than one of it.
fn one_line(line: &str) -> Result<&str, u8> {
    let line = line.strip_suffix("\r\n").unwrap_or(line);
    line.bytes()
        .find(|byte| matches!(byte, b'\r' | b'\n' | 0))
        .map_or(Ok(line), Err)
}

fn unsound(what: &str, byte: u8) -> Cause {
    Cause::Unsound(format!("{what} contains the byte {byte:#04x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    #[test]
    fn a_line_that_would_be_two_is_refused_and_not_told() {
        for (line, byte) in [
            ("RCPT TO:<a\r\nRSET>\r\n", "0x0d"),
            ("RCPT TO:<a\nb>", "0x0a"),
            ("RCPT TO:<a\rb>", "0x0d"),
            ("RCPT TO:<a\0b>", "0x00"),
            ("RCPT TO:<a>\r\n\r\n", "0x0d"),
            ("RCPT TO:<a>\n", "0x0a"),
        ] {
            let mut commands = Commands::fixed("RSET");
            let why = format!("the command RCPT contains the byte {byte}");
            assert_eq!(commands.add(line), Err(Cause::Unsound(why)), "{line:?}");
            assert_eq!(commands.as_str(), "RSET\r\n");
        }
        let why = "a line of the login contains the byte 0x0a".to_owned();
        assert_eq!(check_secret("cGFzc3dvcmQ=\n\r\n"), Err(Cause::Unsound(why)));
        assert_eq!(check_secret("cGFzc3dvcmQ=\r\n"), Ok(()));
    }

    #[test]
    fn an_address_that_would_be_more_than_one_is_no_argument_of_a_program() {
        let envelope = |local: &str, domain: &str| Envelope {
            sender: Some(Address::of("me", "x")),
            recipients: vec![Address::of("you", "x"), Address::of(local, domain)],
            ..Envelope::default()
        };
        assert_eq!(check_arguments(&envelope("\"a b\"", "x")), Ok(()));
        for (local, domain) in [
            ("a\nb", "x"),
            ("\"\\\r\"", "x"),
            ("a", "x\0"),
            ("a\tb", "x"),
        ] {
            assert!(
                matches!(
                    check_arguments(&envelope(local, domain)),
                    Err(Cause::Unsound(_))
                ),
                "{local:?} {domain:?}"
            );
        }
        let sender = Envelope {
            sender: Some(Address::of("a\nb", "x")),
            ..Envelope::default()
        };
        let why = "an address of the envelope contains the byte 0x0a".to_owned();
        assert_eq!(check_arguments(&sender), Err(Cause::Unsound(why)));
    }

    #[test]
    fn a_host_that_would_be_another_line_is_asked_of_no_proxy() {
        assert_eq!(check_host("xn--fiq228c.example"), Ok(()));
        assert_eq!(check_host("2001:db8::1"), Ok(()));
        for host in ["a\r\nX: y", "a b", "a\0", "a\u{85}"] {
            assert!(
                matches!(check_host(host), Err(Cause::Unsound(_))),
                "{host:?}"
            );
        }
    }

    #[test]
    fn lines_leave_as_they_are() {
        let mut commands = Commands::fixed("RSET");
        commands.add("RCPT TO:<\"a\tb\"@x>\r\n").unwrap();
        commands.add("").unwrap();
        assert_eq!(commands.as_str(), "RSET\r\nRCPT TO:<\"a\tb\"@x>\r\n\r\n");
        assert_eq!(
            commands.lines().collect::<Vec<_>>(),
            ["RSET", "RCPT TO:<\"a\tb\"@x>", ""]
        );
        assert_eq!(commands.len(), commands.as_str().len());
    }
}
