//! A small mail in the group of its envelope (BDAT, RFC 3030): Postfix, Dovecot's submission
//! server and its LMTP take it.
use crate::servers::Servers;
use crate::servers::sender::{Outcome, Sender};

/// Lines that DATA would double.
const TEXT: &str = ".\n..dots\n.\nand no command\n";
/// Commands that nobody may obey.
const COMMANDS: &str =
    "RSET\nMAIL FROM:<evil@chunking.test>\n rcpt to:<evil@chunking.test>\nQUIT\n";

/// What smail said to the server from MAIL on, by the first word of each line; the transcript tells
/// it all.
fn said(ran: &Outcome) -> String {
    let lines = ran
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("C: "));
    let words = lines.filter_map(|line| line.split_whitespace().next());
    words
        .skip_while(|word| *word != "MAIL")
        .collect::<Vec<_>>()
        .join(" ")
}

/// Dovecot's submission server, which hands on to Postfix.
fn over_dovecot(servers: &Servers) -> Sender {
    let sender = Sender::new()
        .args(["-r", "sender@example.com"])
        .set("tls-ca-file", servers.ca());
    sender
        .set(
            "smtp",
            format!("smtps://localhost:{}", servers.ports.submissions),
        )
        .login("alice", "wonderland")
}

pub(crate) fn a_small_mail_leaves_with_its_envelope(servers: &Servers) {
    let ways = [
        ("plain@chunking.test", servers.over_plain()),
        (
            "starttls@chunking.test",
            servers.over_starttls().login_of_alice(),
        ),
        (
            "implicit@chunking.test",
            servers.over_implicit().login_of_alice(),
        ),
        ("dovecot@chunking.test", over_dovecot(servers)),
    ];
    for (to, sender) in ways {
        let ran = sender.args(["-v", "-s", "s", to]).run(TEXT.as_bytes());
        assert_eq!(
            (ran.status, said(&ran).as_str()),
            (0, "MAIL RCPT BDAT QUIT"),
            "{ran:#?}"
        );
        assert_eq!(servers.mail_to(to).text(), TEXT);
    }
}

pub(crate) fn a_text_with_commands_in_it_waits_for_354(servers: &Servers) {
    for (to, sender) in [
        ("p@chunking.test", servers.over_plain()),
        ("d@chunking.test", over_dovecot(servers)),
    ] {
        let ran = sender.args(["-v", "-s", "s", to]).run(COMMANDS.as_bytes());
        assert_eq!(
            (ran.status, said(&ran).as_str()),
            (0, "MAIL RCPT DATA . QUIT"),
            "{ran:#?}"
        );
        assert_eq!(servers.mail_to(to).text(), COMMANDS);
    }
    assert_eq!(servers.settled().get("evil@chunking.test"), None);
}

pub(crate) fn lmtp_takes_a_small_mail_with_its_envelope(servers: &Servers) {
    let sender = Sender::new().args(["-v", "-r", "sender@example.com"]);
    let sender = sender
        .set("smtp", format!("lmtp://localhost:{}", servers.ports.lmtp))
        .set("tls", "none");
    let ran = sender
        .args([
            "-s",
            "s",
            "erin@lmtp.test",
            "nobody@lmtp.test",
            "dave@lmtp.test",
        ])
        .run(TEXT.as_bytes());
    assert_eq!(
        (ran.status, said(&ran).as_str()),
        (67, "MAIL RCPT RCPT RCPT BDAT QUIT"),
        "{ran:#?}"
    );
    let told = ran
        .stderr
        .lines()
        .skip_while(|line| !line.starts_with("smail: "))
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        told.contains("sent to 2 of 3 recipients") && told.contains("nobody@lmtp.test: 550 5.1.1"),
        "{told}"
    );
    assert_eq!(servers.lmtp_mail_to("erin@lmtp.test").text(), TEXT);
}

pub(crate) fn refused_recipients_and_senders_are_told_and_the_others_get_it(servers: &Servers) {
    for (name, sender) in [("p", servers.over_plain()), ("d", over_dovecot(servers))] {
        let (first, last) = (
            format!("{name}1@chunking.test"),
            format!("{name}2@chunking.test"),
        );
        let to = [
            first.as_str(),
            "unknown@chunking.test",
            "later@chunking.test",
            &last,
        ];
        let ran = sender.args(["-v", "-s", "s"]).args(to).run(TEXT.as_bytes());
        assert_eq!(
            (ran.status, said(&ran).as_str()),
            (69, "MAIL RCPT RCPT RCPT RCPT BDAT QUIT"),
            "{ran:#?}"
        );
        assert!(ran.stderr.contains("sent to 2 of 4 recipients"), "{ran:#?}");
        assert_eq!(
            (
                servers.mail_to(&first).text(),
                servers.mail_to(&last).text()
            ),
            (TEXT, TEXT)
        );
    }
    for sender in [servers.over_plain(), over_dovecot(servers)] {
        let ran = sender
            .args(["-v", "-s", "s", "unknown@chunking.test"])
            .run(TEXT.as_bytes());
        assert_eq!(
            (ran.status, said(&ran).as_str()),
            (67, "MAIL RCPT BDAT QUIT"),
            "{ran:#?}"
        );
    }
    assert_eq!(servers.settled().get("unknown@chunking.test"), None);
}

pub(crate) fn a_large_mail_and_one_without_chunking_wait_for_354(servers: &Servers) {
    let large = "a line that is one of many, and too many of them for one group\n".repeat(1100);
    let ran = servers
        .over_plain()
        .args(["-v", "-s", "s", "large@chunking.test"])
        .run(large.as_bytes());
    assert_eq!(
        (ran.status, said(&ran).as_str()),
        (0, "MAIL RCPT DATA . QUIT"),
        "{ran:#?}"
    );
    assert_eq!(servers.mail_to("large@chunking.test").text(), large);
    let without =
        servers
            .over_plain()
            .set("chunking", "no")
            .args(["-v", "-s", "s", "without@chunking.test"]);
    let ran = without.run(TEXT.as_bytes());
    assert_eq!(
        (ran.status, said(&ran).as_str()),
        (0, "MAIL RCPT DATA . QUIT"),
        "{ran:#?}"
    );
    assert_eq!(servers.mail_to("without@chunking.test").text(), TEXT);
}

pub(crate) fn eight_bits_and_addresses_beyond_ascii_leave_with_it_too(servers: &Servers) {
    let ran = servers
        .over_plain()
        .args(["-v", "-s", "s", "почта@chunking.test"])
        .run("ж\n".as_bytes());
    assert_eq!(
        (ran.status, said(&ran).as_str()),
        (0, "MAIL RCPT BDAT QUIT"),
        "{ran:#?}"
    );
    assert!(ran.stderr.contains(" SMTPUTF8"), "{ran:#?}");
    assert_eq!(servers.mail_to("почта@chunking.test").text(), "ж\n");
}
