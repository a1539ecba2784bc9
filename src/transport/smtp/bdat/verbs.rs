//! Text that a server could take for commands.
//!
//! Promise: says yes to every text with a line that a server of SMTP or LMTP might obey: one that
//! begins with a verb, in any case, behind blanks, control characters or bytes over 127. It may
//! say yes to a harmless text, which then costs a round trip. Linear in the length of the text.

/// Verbs that a line may begin with even as a part of a longer word: some servers look at four
/// letters, and `MAILFROM:<>` and `Database` are commands to them.
const BEGINNINGS: [&[u8]; 17] = [
    b"HELO",
    b"EHLO",
    b"LHLO",
    b"MAIL",
    b"RCPT",
    b"DATA",
    b"BDAT",
    b"RSET",
    b"NOOP",
    b"VRFY",
    b"EXPN",
    b"ETRN",
    b"ATRN",
    b"STARTTLS",
    b"BURL",
    b"XCLIENT",
    b"XFORWARD",
];
/// Verbs that begin words of every day (`Sender:`, `Author:`) and do nothing without the right word
/// behind them.
const WORDS: [&[u8]; 7] = [
    b"AUTH", b"HELP", b"QUIT", b"SAML", b"SEND", b"SOML", b"TURN",
];

/// The bytes behind which a server with a short buffer may take the rest of a line for another one
/// (RFC 5321 section 4.5.3.1.4 wants room for 512).
const SHORT: usize = 500;

/// Returns whether a line of the text could be read as a command.
pub(super) fn holds_command(text: &[u8]) -> bool {
    // A server may take any of these for the end of a line.
    text.split(|byte| *byte < b' ' && *byte != b'\t')
        .any(|line| {
            let blanks = line
                .iter()
                .take_while(|byte| !byte.is_ascii_graphic())
                .count();
            is_command(&line[blanks..])
                || line
                    .get(SHORT..)
                    .is_some_and(|rest| (0..rest.len()).any(|at| is_command(&rest[at..])))
        })
}

fn is_command(line: &[u8]) -> bool {
    // Most lines are told apart by their first letter.
    let begins = |verb: &&[u8]| {
        line.first()
            .is_some_and(|first| first.eq_ignore_ascii_case(&verb[0]))
            && line
                .get(..verb.len())
                .is_some_and(|word| word.eq_ignore_ascii_case(verb))
    };
    BEGINNINGS.iter().any(&begins)
        || WORDS.iter().any(|verb| {
            begins(verb) && !line.get(verb.len()).is_some_and(u8::is_ascii_alphanumeric)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_server_might_obey_is_a_command() {
        let rows = [
            "MAIL FROM:<a@x>",
            "mail from:<a@x>",
            "MAILFROM:<a@x>",
            "MAIL",
            "  RCPT TO:<b@x>",
            "\tdata",
            "\u{b}DATA",
            "\u{a0}DATA",
            "\u{3000}DATA",
            "Data: x",
            "Database",
            "lhlo x",
            "EHLO x",
            "QUIT",
            "quit.",
            "auth plain AGEAYg==",
            "Send a mail",
            "STARTTLS",
            "Bdat 5 LAST",
            "xclient ADDR=1.2.3.4",
            "rset",
            "noop",
            "\0RSET",
        ];
        for line in rows {
            for text in [
                format!("{line}\r\n"),
                format!("Subject: x\r\n\r\nbody\r\n{line}\r\nmore\r\n"),
                format!("x\n{line}"),
            ] {
                assert!(holds_command(text.as_bytes()), "{text:?}");
            }
            assert!(holds_command(format!("x\rDATA{line}").as_bytes()));
        }
    }

    #[test]
    fn an_ordinary_mail_holds_none() {
        let mail = "Date: Mon, 23 Nov 2026 20:15:00 +0100\r\nFrom: Ann <a@x.example>\r\nSender: b@x.example\r\n\
                    To: c@x.example\r\nSubject: help me\r\nAuthor: x\r\nMessage-ID: <1@x>\r\nIn-Reply-To: <2@x>\r\n\
                    References: <2@x>\r\nReceived: from x\r\nReply-To: a@x\r\nUser-Agent: smail\r\nMIME-Version: 1.0\r\n\
                    Content-Type: text/plain\r\nX-Mailer: y\r\n\r\nHello,\r\n\r\nthe mail comes, the data too. It is quite \
                    helpful.\r\nQuite so; sending it turned out well.\r\n> MAIL FROM:<x>\r\n.\r\n-- \r\nAnn\r\n";
        assert!(!holds_command(mail.as_bytes()));
        assert!(!holds_command("数据：邮件\r\n".as_bytes()));
        assert!(!holds_command(b""));
    }

    #[test]
    fn the_rest_of_a_long_line_is_one_to_a_server_with_a_short_buffer() {
        for (before, command) in [(490, false), (512, true), (998 - 15, true)] {
            let line = format!("{}MAIL FROM:<a@x>\r\n", "x".repeat(before));
            assert_eq!(holds_command(line.as_bytes()), command, "{before}");
        }
    }
}
