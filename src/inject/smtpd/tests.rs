//! Whole dialogues as transcripts, whatever the pieces they arrive in.
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::*;

mod hostile;

/// Takes and refuses by the names of the addresses, and keeps what it took.
#[derive(Default)]
struct Postbox {
    taken: Vec<(Transaction, Vec<u8>)>,
    /// Reads so many bytes of a message and then refuses it.
    stops_after: Option<u64>,
}

impl Acceptor for Postbox {
    fn sender(&mut self, sender: Option<&Address>) -> Result<(), Answer> {
        match sender.map(Address::local) {
            Some("spammer") => Err(Answer::new(550, (5, 7, 1), "not\r\n250 you, J\u{f6}rg")),
            _ => Ok(()),
        }
    }

    fn recipient(&mut self, recipient: &Address) -> Result<(), Answer> {
        match recipient.local() {
            "nobody" => Err(Answer::new(550, (5, 1, 1), "nobody is called so")),
            "busy" => Err(Answer::new(450, (4, 2, 1), "later")),
            "broken" => Err(Answer::new(
                250,
                (2, 0, 0),
                "a refusal that reads like a yes",
            )),
            "long" => Err(Answer::new(550, (5, 0, 0), "words ".repeat(150))),
            _ => Ok(()),
        }
    }

    fn message(&mut self, transaction: Transaction, from: &mut dyn Read) -> Result<String, Answer> {
        let mut text = Vec::new();
        if let Some(bytes) = self.stops_after {
            let _ = from.take(bytes).read_to_end(&mut text);
            return Err(Answer::new(452, (4, 3, 1), "no room"));
        }
        from.read_to_end(&mut text)
            .map_err(|error| Answer::new(451, (4, 3, 0), error.to_string()))?;
        self.taken.push((transaction, text));
        Ok(format!("queued as {}", self.taken.len()))
    }
}

/// What came of a dialogue.
struct Outcome {
    end: End,
    output: String,
    /// What was written at once.
    writes: Vec<String>,
    acceptor: Postbox,
}

/// Hands out the input in pieces, and keeps the writes apart.
struct Pieces<'a>(VecDeque<&'a [u8]>);

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.0.front_mut() else {
            return Ok(0);
        };
        let read = piece.read(out)?;
        if piece.is_empty() {
            self.0.pop_front();
        }
        Ok(read)
    }
}

#[derive(Default)]
struct Writes(Vec<String>);

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(String::from_utf8(bytes.to_vec()).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn held<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: Option<u64>,
    mut acceptor: Postbox,
) -> Outcome {
    let mut input = Pieces(
        pieces
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .collect(),
    );
    let mut output = Writes::default();
    let end = serve(
        &mut input,
        &mut output,
        "host.example",
        limit,
        &mut acceptor,
    )
    .unwrap();
    Outcome {
        end,
        output: output.0.concat(),
        writes: output.0,
        acceptor,
    }
}

/// Holds a dialogue of lines, at once and in pieces, with both line ends: its output without
/// greeting, the same each time.
fn talk(lines: &str) -> String {
    let (lf, crlf) = (lines.to_owned(), lines.replace('\n', "\r\n"));
    let mut outputs = Vec::new();
    for text in [lf.as_bytes(), crlf.as_bytes()] {
        outputs.push(held([text], Some(1000), Postbox::default()).output);
        outputs.push(
            held(
                text.split_inclusive(|c| *c == b'\n'),
                Some(1000),
                Postbox::default(),
            )
            .output,
        );
        outputs.push(held(text.chunks(1), Some(1000), Postbox::default()).output);
    }
    assert!(
        outputs.iter().all(|output| *output == outputs[0]),
        "{outputs:#?}"
    );
    let output = outputs[0]
        .strip_prefix("220 host.example ESMTP smail\r\n")
        .unwrap();
    assert_eq!(output.matches('\n').count(), output.matches("\r\n").count());
    output.replace("\r\n", "\n")
}

/// What the client says, and what it hears after the greeting.
#[rustfmt::skip]
const TRANSCRIPTS: &[(&str, &str)] = &[
    ("", ""),
    ("QUIT\n", "221 2.0.0 Bye\n"),
    ("quit\nNOOP\n", "221 2.0.0 Bye\n"),
    ("EHLO [127.0.0.1]\nQUIT\n", "\
250-host.example\n250-PIPELINING\n250-SIZE 1000\n250-8BITMIME\n250-SMTPUTF8\n250-ENHANCEDSTATUSCODES\n250-DSN\n250 HELP\n221 2.0.0 Bye\n"),
    ("helo me\nEHLO\n", "250 host.example\n501 Expected the name of your host\n"),
    ("LHLO me\n\n", "500 5.5.2 Unknown command\n500 5.5.2 Unknown command\n"),
    // A whole mail, and another in the same session.
    ("HELO me\nMAIL FROM:<a@x.example>\nRCPT TO:<b@y.example>\nDATA\nSubject: s\n\nbody\n.\nMAIL FROM:<>\nRCPT TO:<Postmaster>\nDATA\n.\nQUIT\n", "\
250 host.example\n250 2.1.0 OK\n250 2.1.5 OK\n354 End data with <CR><LF>.<CR><LF>\n250 2.0.0 queued as 1\n\
250 2.1.0 OK\n250 2.1.5 OK\n354 End data with <CR><LF>.<CR><LF>\n250 2.0.0 queued as 2\n221 2.0.0 Bye\n"),
    // Without a greeting, in the hands of those who type, and along old routes.
    ("mail from: root \nRcpt To: bob@x.example notify=never\nRCPT TO : < c@x.example >\nRCPT TO:<@a.example,@[IPv6:::1]:d@x.example>\nRCPT\tTO:<root>\t\n", "\
250 2.1.0 OK\n250 2.1.5 OK\n250 2.1.5 OK\n250 2.1.5 OK\n250 2.1.5 OK\n"),
    // Each command in the wrong place.
    ("RCPT TO:<b@x.example>\nDATA\nMAIL FROM:<a@x.example>\nMAIL FROM:<a@x.example>\nDATA\nRCPT TO:<nobody>\nDATA\n", "\
503 5.5.1 Send MAIL first\n503 5.5.1 Send MAIL first\n250 2.1.0 OK\n503 5.5.1 MAIL was already sent\n\
554 5.5.1 No valid recipients\n550 5.1.1 nobody is called so\n554 5.5.1 No valid recipients\n"),
    // RSET and a second greeting end the transaction.
    ("MAIL FROM:<a@x.example>\nRSET\nRCPT TO:<b>\nMAIL FROM:<a@x.example>\nHELO me\nDATA\n", "\
250 2.1.0 OK\n250 2.0.0 OK\n503 5.5.1 Send MAIL first\n250 2.1.0 OK\n250 host.example\n503 5.5.1 Send MAIL first\n"),
    // A refused recipient does not stop the others; a refused sender stops all.
    ("MAIL FROM:<a>\nRCPT TO:<nobody>\nRCPT TO:<busy>\nRCPT TO:<b>\nDATA\n.\n", "\
250 2.1.0 OK\n550 5.1.1 nobody is called so\n450 4.2.1 later\n250 2.1.5 OK\n354 End data with <CR><LF>.<CR><LF>\n250 2.0.0 queued as 1\n"),
    ("MAIL FROM:<spammer>\nRCPT TO:<b>\nDATA\n", "\
        550 5.7.1 not  250 you, J?rg\n503 5.5.1 Send MAIL first\n503 5.5.1 Send MAIL first\n"),
    ("MAIL FROM:<a>\nRCPT TO:<broken>\n", "250 2.1.0 OK\n451 4.3.0 a refusal that reads like a yes\n"),
    // Addresses that are none.
    ("MAIL\nMAIL a@x\nMAIL TO:<a@x>\nMAIL FROM:\nMAIL FROM:<a@x\nMAIL FROM:<a@x>SIZE=1\nMAIL FROM:<a@x,b@x>\nMAIL FROM:<g:a@x;>\n", "\
501 5.5.4 Expected FROM:<address>\n501 5.5.4 Expected FROM:<address>\n501 5.5.4 Expected FROM:<address>\n501 5.5.4 Expected FROM:<address>\n\
501 5.1.7 The `<` has no matching `>`\n501 5.1.7 Unexpected text after the `>`\n501 5.1.7 `,` is not allowed in an address\n501 5.1.7 `;` is not allowed in an address\n"),
    ("MAIL FROM:<>\nRCPT TO:<>\nRCPT TO:<a b@x>\nRCPT TO:<|cat>\nRCPT TO:<@x.example>\n", "\
250 2.1.0 OK\n501 5.1.3 `` is not an address: expected an address\n501 5.1.3 `a b@x` is not an address: an address after a name must be enclosed in `<` and `>`\n\
501 5.1.3 `|cat` is not an address: `|` is not allowed here\n501 5.1.3 `@x.example` is not an address: nothing precedes the `@`\n"),
    // Beyond ASCII.
    ("MAIL FROM:<j\u{f6}rg@x.example>\nMAIL FROM:<j\u{f6}rg@x.example> smtputf8\nRCPT TO:<\u{4e2d}@y.example>\nRSET\nMAIL FROM:<a@x.example>\nRCPT TO:<a@b\u{fc}cher.example>\n", "\
553 5.6.7 This address requires the SMTPUTF8 parameter of MAIL\n250 2.1.0 OK\n250 2.1.5 OK\n250 2.0.0 OK\n250 2.1.0 OK\n\
553 5.6.7 This address requires the SMTPUTF8 parameter of MAIL\n"),
    // Parameters.
    ("MAIL FROM:<a> SIZE=1000 BODY=8bitmime RET=hdrs ENVID=x+2By AUTH=<>\nRCPT TO:<b> NOTIFY=success,Delay ORCPT=rfc822;b@x.example\n", "250 2.1.0 OK\n250 2.1.5 OK\n"),
    ("MAIL FROM:<a> SIZE=1001\nMAIL FROM:<a> SIZE=99999999999999999999999\nMAIL FROM:<a> SIZE=-1\nMAIL FROM:<a> SIZE=\nMAIL FROM:<a> XVERP\nMAIL FROM:<a> BODY=BINARYMIME\n", "\
552 5.3.4 The message exceeds the size limit\n552 5.3.4 The message exceeds the size limit\n501 5.5.4 Invalid value for SIZE\n501 5.5.4 Invalid value for SIZE\n\
555 5.5.4 Unknown parameter XVERP\n501 5.5.4 Invalid value for BODY\n"),
    ("MAIL FROM:<a> SIZE=1 size=2\nMAIL FROM:<a> ENVID=+0A\nMAIL FROM:<a> ENVID=+2\nMAIL FROM:<a> RET=ALL\nMAIL FROM:<a> SMTPUTF8=1\n", "\
501 5.5.4 Duplicate parameter\n501 5.5.4 Invalid value for ENVID\n501 5.5.4 Invalid value for ENVID\n501 5.5.4 Invalid value for RET\n501 5.5.4 Invalid value for SMTPUTF8\n"),
    ("MAIL FROM:<a>\nRCPT TO:<b> NOTIFY=NEVER,DELAY\nRCPT TO:<b> ORCPT=b\nRCPT TO:<b> SIZE=1\n", "\
250 2.1.0 OK\n501 5.5.4 Invalid value for NOTIFY\n501 5.5.4 Invalid value for ORCPT\n555 5.5.4 Unknown parameter SIZE\n"),
    // Everything else.
    ("NOOP any thing\nVRFY bob\nEXPN staff\nVRFY\nHELP me\nDATA now\nRSET now\nQUIT now\n", "\
250 2.0.0 OK\n252 2.0.0 Cannot verify; send mail and delivery will be attempted\n252 2.0.0 Cannot verify; send mail and delivery will be attempted\n501 5.5.4 Expected an address\n\
214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY EXPN HELP QUIT\n501 5.5.4 This command takes no arguments\n501 5.5.4 This command takes no arguments\n501 5.5.4 This command takes no arguments\n"),
    ("STARTTLS\nAUTH PLAIN AGEAYg==\nBDAT 5 LAST\nETRN x\nTURN\n", "\
502 5.5.1 Not offered here\n502 5.5.1 Not offered here\n502 5.5.1 Not offered here\n502 5.5.1 Not offered here\n502 5.5.1 Not offered here\n"),
    // A command without its line end is none.
    ("NOOP\nRCPT TO:<root", "250 2.0.0 OK\n"),
];

#[test]
fn every_dialogue_reads_as_written_however_it_arrives() {
    for (said, heard) in TRANSCRIPTS {
        assert_eq!(talk(said), *heard, "{said}");
    }
}

/// The texts taken in one session that sends these as they are, with this line end in the commands.
fn texts(end: &str, sent: &[&str]) -> Vec<String> {
    let mail = |text: &&str| format!("MAIL FROM:<a>{end}RCPT TO:<b>{end}DATA{end}{text}");
    let input: String = sent.iter().map(mail).collect();
    let taken = |outcome: Outcome| {
        let texts = outcome.acceptor.taken.into_iter();
        texts
            .map(|(_, text)| String::from_utf8(text).unwrap())
            .collect::<Vec<_>>()
    };
    let whole = taken(held([input.as_bytes()], None, Postbox::default()));
    assert_eq!(
        taken(held(input.as_bytes().chunks(1), None, Postbox::default())),
        whole
    );
    whole
}

#[test]
fn the_text_ends_at_a_lone_dot_and_loses_its_doubled_ones() {
    let sent = [
        ".\r\n",
        "a\r\n.\r\n",
        "..\r\n...\r\n..a\r\n.b\r\nc.\r\n.\r\n",
        ".\r.\r\n.\rx\r\n.\r\r\n.\r\n",
        "a\r.\r\nb\r\n.\r\n",
    ];
    let taken = [
        "",
        "a\r\n",
        ".\r\n..\r\n.a\r\nb\r\nc.\r\n",
        "\r.\r\n\rx\r\n\r\r\n",
        "a\r.\r\nb\r\n",
    ];
    assert_eq!(texts("\r\n", &sent), taken);
    assert_eq!(texts("\n", &sent), taken);
    let sent = [
        ".\n",
        "a\n.\n",
        "..\n...\n..a\n.b\n.\n",
        "\r\n.\n",
        "a\n.\r\n",
    ];
    assert_eq!(
        texts("\n", &sent),
        ["", "a\n", ".\n..\n.a\nb\n", "\r\n", "a\n"]
    );
}

/// What stands between the line ends of a client may be a stranger's: only its own line end begins
/// a line.
#[test]
fn the_text_of_a_client_that_speaks_crlf_ends_with_crlf_only() {
    for inside in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r.\r\n",
        "\n\n.\n",
        "\r\n.\r.\n",
        "\n.\r",
    ] {
        let smuggled = "MAIL FROM:<forged>\r\nRCPT TO:<e>\r\nDATA\r\nforged";
        let sent = format!("a{inside}{smuggled}\r\n.\r\n");
        let taken = texts("\r\n", &[&sent, "b\r\n.\r\n"]);
        // A dot behind CRLF is the transparency's, whatever follows it.
        let kept = format!("a{}{smuggled}\r\n", inside.replace("\r\n.", "\r\n"));
        assert_eq!(taken, [kept.as_str(), "b\r\n"], "{inside:?}");
    }
    // A dot behind LF alone begins no line, and stays.
    assert_eq!(
        texts("\r\n", &["a\n.b\n..c\r\n..d\r\n.\r\n"]),
        ["a\n.b\n..c\r\n.d\r\n"]
    );
}

#[test]
fn a_command_with_a_line_end_inside_is_none_to_a_client_that_speaks_crlf() {
    let said = "HELO me\r\nMAIL FROM:<a>\r\nRCPT TO:<b\nRCPT TO:<e>\nRCPT TO:<f>\r\nRCPT TO:<b>\r\nVRFY x\nRSET\r\n\
                DATA\r\n.\r\nQUIT\r\n";
    for outcome in [
        held([said.as_bytes()], None, Postbox::default()),
        held(said.as_bytes().chunks(1), None, Postbox::default()),
    ] {
        let codes: Vec<&str> = outcome
            .output
            .lines()
            .skip(1)
            .map(|line| &line[..9])
            .collect();
        let wanted = [
            "250 host.",
            "250 2.1.0",
            "500 5.5.2",
            "250 2.1.5",
            "500 5.5.2",
            "354 End d",
            "250 2.0.0",
            "221 2.0.0",
        ];
        assert_eq!(codes, wanted, "{}", outcome.output);
        assert_eq!(
            outcome.acceptor.taken[0].0.recipients,
            [Address::parse("b").unwrap()]
        );
    }
    // The reply does not wait for the end of the line.
    let outcome = held([b"NOOP\r\nNOOP\n".as_slice()], None, Postbox::default());
    let replies: Vec<&str> = outcome.output.lines().skip(1).collect();
    assert_eq!(
        replies,
        [
            "250 2.0.0 OK",
            "500 5.5.2 The line contains an LF without CR"
        ]
    );
}

#[test]
fn a_long_text_arrives_whole_across_blocks() {
    let line = format!("{}\r\n.{}\r\n", "x".repeat(5000), ".".repeat(5000));
    let sent = line.repeat(20) + ".\r\n";
    let taken = line.replace("\r\n..", "\r\n.").repeat(20);
    assert!(texts("\r\n", &[&sent, &sent]) == [taken.clone(), taken]);
}

#[test]
fn the_transaction_says_what_the_client_said() {
    let said = "MAIL FROM:<a@x.example> BODY=8BITMIME SMTPUTF8 RET=full ENVID=a+20b\nRCPT TO:<Root> NOTIFY=failure\n\
                RCPT TO:<nobody> NOTIFY=NEVER\nRCPT TO:<b@y.example>\nDATA\n.\n";
    let outcome = held([said.as_bytes()], None, Postbox::default());
    let transaction = Transaction {
        sender: Some(Address::of("a", "x.example")),
        recipients: vec![
            Address::parse("Root").unwrap(),
            Address::of("b", "y.example"),
        ],
        notify: vec![Some("FAILURE".into()), None],
        eight_bit: true,
        smtputf8: true,
        ret: Some("FULL".into()),
        envid: Some("a b".into()),
    };
    assert_eq!(outcome.acceptor.taken, [(transaction, Vec::new())]);
    assert_eq!(outcome.end, End::Eof);
}

#[test]
fn a_message_without_its_dot_is_not_taken() {
    for rest in [
        "",
        "Subject: s\r\n\r\nbody\r\n",
        "body\r\n.",
        "body\r\n.\r",
        "body",
    ] {
        let said = format!("MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n{rest}");
        for stops_after in [None, Some(1)] {
            let outcome = held(
                [said.as_bytes()],
                None,
                Postbox {
                    stops_after,
                    ..Postbox::default()
                },
            );
            assert_eq!(
                (outcome.end, outcome.acceptor.taken.len()),
                (End::Eof, 0),
                "{rest}"
            );
            assert!(
                outcome
                    .output
                    .ends_with("354 End data with <CR><LF>.<CR><LF>\r\n"),
                "{rest}"
            );
        }
    }
}

#[test]
fn a_message_over_the_limit_is_refused_and_the_next_one_taken() {
    let mail = |bytes: usize| {
        format!(
            "MAIL FROM:<a>\nRCPT TO:<b>\nDATA\n{}\n.\n",
            "x".repeat(bytes - 1)
        )
    };
    let said = mail(60_001) + &mail(60_000) + "QUIT\n";
    let outcome = held([said.as_bytes()], Some(60_000), Postbox::default());
    let mut codes = outcome.output.lines().map(|line| &line[..9]);
    let go = "354 End d";
    let expected = [
        "220 host.",
        "250 2.1.0",
        "250 2.1.5",
        go,
        "552 5.3.4",
        "250 2.1.0",
        "250 2.1.5",
        go,
        "250 2.0.0",
        "221 2.0.0",
    ];
    assert!(codes.by_ref().eq(expected), "{}", outcome.output);
    assert_eq!(
        (outcome.end, outcome.acceptor.taken[0].1.len()),
        (End::Quit, 60_000)
    );
}

#[test]
fn a_limit_of_nothing_is_no_limit() {
    let said = "EHLO me\nMAIL FROM:<a> SIZE=99999999999999999999\nRCPT TO:<b>\nDATA\nx\n.\n";
    let outcome = held([said.as_bytes()], Some(0), Postbox::default());
    assert!(outcome.output.contains("250-SIZE\r\n"));
    assert_eq!(outcome.acceptor.taken.len(), 1);
}

#[test]
fn a_message_refused_half_read_is_read_to_its_dot() {
    let said = format!(
        "MAIL FROM:<a>\nRCPT TO:<b>\nDATA\n{}.\nNOOP\n",
        "RSET\nQUIT\n".repeat(9000)
    );
    for bytes in [0, 1, 40_000] {
        let outcome = held(
            [said.as_bytes()],
            None,
            Postbox {
                stops_after: Some(bytes),
                ..Postbox::default()
            },
        );
        assert!(
            outcome
                .output
                .ends_with("\r\n452 4.3.1 no room\r\n250 2.0.0 OK\r\n"),
            "{}",
            outcome.output
        );
    }
}

#[test]
fn replies_in_a_pipeline_leave_together() {
    let said = "EHLO me\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nRCPT TO:<nobody>\r\nDATA\r\nx\r\n.\r\nRSET\r\nMAIL FROM:<a>\r\n";
    let outcome = held([said.as_bytes()], None, Postbox::default());
    let first_words: Vec<Vec<&str>> = outcome
        .writes
        .iter()
        .map(|write| write.lines().map(|line| &line[..3]).collect())
        .collect();
    let expected: [&[&str]; 5] = [
        &["220"],
        &["250"; 8],
        &["250", "250", "550", "354"],
        &["250"],
        &["250", "250"],
    ];
    assert_eq!(first_words, expected);
}

/// A client that says its next line only when all that was said has been answered.
struct Patient<'a> {
    lines: VecDeque<&'a str>,
    said: usize,
    heard: Rc<RefCell<Vec<u8>>>,
}

impl Read for Patient<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let heard = self.heard.borrow().split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(
            heard,
            self.said + 1,
            "a reply is held back while the client waits for it"
        );
        let Some(line) = self.lines.pop_front() else {
            return Ok(0);
        };
        self.said += 1;
        out[..line.len()].copy_from_slice(line.as_bytes());
        Ok(line.len())
    }
}

struct Heard(Rc<RefCell<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_reply_is_held_back_from_a_client_that_waits_for_it() {
    let heard = Rc::<RefCell<Vec<u8>>>::default();
    let lines = [
        "HELO me\n",
        "MAIL FROM:<a>\n",
        "RCPT TO:<b>\n",
        "RSET\n",
        "MAIL FROM:<a>\n",
        "RCPT TO:<b>\n",
        "DATA\n",
        ".\n",
    ];
    let mut input = Patient {
        lines: lines.into(),
        said: 0,
        heard: Rc::clone(&heard),
    };
    let end = serve(
        &mut input,
        &mut Heard(heard),
        "h",
        None,
        &mut Postbox::default(),
    );
    assert_eq!((end.unwrap(), input.said), (End::Eof, lines.len()));
}

#[test]
fn an_overlong_line_is_skipped_and_has_one_reply() {
    let fits = format!("NOOP {}\r\n", "x".repeat(2041));
    let long = format!("NOOP {}\r\n", "x".repeat(2042));
    let endless = format!("{}\r\n", "NOOP ".repeat(100_000));
    let outcome = held(
        [
            fits.as_bytes(),
            long.as_bytes(),
            endless.as_bytes(),
            b"NOOP\r\n",
        ],
        None,
        Postbox::default(),
    );
    let replies: Vec<&str> = outcome.output.lines().skip(1).collect();
    let long = "500 5.5.2 The line is too long";
    assert_eq!(
        (fits.len(), replies),
        (2048, vec!["250 2.0.0 OK", long, long, "250 2.0.0 OK"])
    );
}

#[test]
fn twenty_errors_in_a_row_end_the_dialogue() {
    let letter = "Dear Bob,\n".repeat(30);
    let outcome = held([letter.as_bytes()], None, Postbox::default());
    assert_eq!(outcome.end, End::TooManyErrors);
    assert_eq!(outcome.output.matches("500 5.5.2").count(), 19);
    assert!(
        outcome
            .output
            .ends_with("\r\n421 4.7.0 Too many errors; is this an SMTP client?\r\n")
    );

    let mixed = ("x\n".repeat(19) + "NOOP\n").repeat(3);
    assert_eq!(
        held([mixed.as_bytes()], None, Postbox::default()).end,
        End::Eof
    );
}

#[test]
fn many_refused_recipients_are_no_errors_of_the_client() {
    let refused = "RCPT TO:<nobody>\nRCPT TO:<a b>\n".repeat(30);
    for sender in ["a", "spammer"] {
        let said = format!("MAIL FROM:<{sender}>\n{refused}QUIT\n");
        assert_eq!(
            held([said.as_bytes()], None, Postbox::default()).end,
            End::Quit
        );
    }
}

#[test]
fn recipients_beyond_the_most_are_put_off() {
    let said = format!(
        "MAIL FROM:<a>\n{}DATA\n.\n",
        "RCPT TO:<b>\n".repeat(MOST_RECIPIENTS + 2)
    );
    let outcome = held([said.as_bytes()], None, Postbox::default());
    assert_eq!(
        outcome
            .output
            .matches("452 4.5.3 Too many recipients for one message\r\n")
            .count(),
        2
    );
    assert_eq!(
        outcome.acceptor.taken[0].0.recipients.len(),
        MOST_RECIPIENTS
    );
    assert_eq!(outcome.acceptor.taken[0].0.notify.len(), MOST_RECIPIENTS);
}

#[test]
fn a_long_answer_becomes_lines_of_one_reply() {
    let outcome = held(
        [b"MAIL FROM:<a>\nRCPT TO:<long>\n".as_slice()],
        None,
        Postbox::default(),
    );
    let line = |words: usize| ["words"].repeat(words).join(" ");
    let reply = format!("550-5.0.0 {}\r\n550 5.0.0 {}\r\n", line(80), line(70));
    assert_eq!(
        outcome.writes.concat(),
        format!("220 host.example ESMTP smail\r\n250 2.1.0 OK\r\n{reply}")
    );
}

#[test]
fn a_client_that_has_gone_ends_the_dialogue() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let end = serve(
        &mut io::repeat(b'\n'),
        &mut Gone,
        "h",
        None,
        &mut Postbox::default(),
    );
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}
