//! Bytes nobody would send, and answers nobody would give: still one valid reply to each command.
use proptest::prelude::*;

use super::*;

/// The replies in an output, each valid by RFC 5321 section 4.2, and their codes.
fn codes(output: &str) -> Vec<u16> {
    let mut codes = Vec::new();
    let mut open: Option<&str> = None;
    for line in output.split_inclusive('\n') {
        let text = line.strip_suffix("\r\n").unwrap();
        assert!(
            line.len() <= 512 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line:?}"
        );
        assert!(open.is_none_or(|code| code == &text[..3]), "{line:?}");
        match text.as_bytes()[3] {
            b'-' => open = Some(&text[..3]),
            b' ' => {
                open = None;
                codes.push(text[..3].parse().unwrap());
            }
            other => panic!("{other}: {line:?}"),
        }
    }
    assert_eq!(open, None);
    codes
}

/// The number of replies that are due: one a line, and one more behind each dot. What each is comes
/// from the dialogue itself, as only their number is asked here.
fn replies_due(input: &[u8], codes: &[u16]) -> usize {
    let mut client = Client {
        rest: input,
        crlf: None,
    };
    let (mut due, mut crlf) = (1, false);
    while let Some(code) = codes.get(due - 1) {
        let ended = match code {
            221 | 421 => None,
            354 => client.text(crlf).map(|()| crlf),
            _ => client.line(),
        };
        match ended {
            Some(end) => crlf = end,
            None => break,
        }
        due += 1;
    }
    due
}

/// What a client has still to say, and whether its lines end with CRLF.
struct Client<'a> {
    rest: &'a [u8],
    crlf: Option<bool>,
}

impl Client<'_> {
    /// Takes what the other side takes for a line; returns whether it ended with CRLF.
    fn line(&mut self) -> Option<bool> {
        let at = self.rest.iter().position(|byte| *byte == b'\n')?;
        let crlf = self.rest[..at].ends_with(b"\r");
        self.rest = &self.rest[at + 1..];
        if *self.crlf.get_or_insert(crlf) && !crlf {
            let end = self
                .rest
                .windows(2)
                .position(|pair| pair == b"\r\n")
                .map_or(self.rest.len(), |at| at + 2);
            self.rest = &self.rest[end..];
        }
        Some(crlf)
    }

    /// Takes a text with its end.
    fn text(&mut self, crlf: bool) -> Option<()> {
        let ends: &[&[u8]] = if crlf {
            &[b"\r\n.\r\n"]
        } else {
            &[b"\n.\n", b"\n.\r\n"]
        };
        // The line end of DATA stands before the first line.
        let whole = [if crlf { &b"\r\n"[..] } else { b"\n" }, self.rest].concat();
        let found = ends.iter().filter_map(|end| {
            Some(whole.windows(end.len()).position(|at| at == *end)? + end.len())
        });
        let end = found.min()?;
        self.rest = &self.rest[end - (whole.len() - self.rest.len())..];
        Some(())
    }
}

fn said() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"MAIL FROM:<a>\n",
        b"MAIL FROM:<a>\r\n",
        b"DATA\r\n",
        b"\r\n",
        b"RCPT TO:<b>\r\n",
        b"DATA\n",
        b".\r\n",
        b".\n",
        b"QUIT\n",
        b"MAIL FROM:",
        b"RCPT TO:",
        b"RCPT TO:<nobody",
        b"VRFY ",
        b"EHLO ",
        b"<",
        b">",
        b"@",
        b":",
        b"\"",
        b"\\",
        b" ",
        b"NOTIFY=",
        b"ENVID=+",
        b"SIZE=9",
        b"\xc3\xb6",
        b"\r",
        b".",
        b"\0",
    ];
    let piece = prop_oneof![
        6 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 0..4000_usize).prop_map(|(byte, times)| vec![byte; times]),
        2 => Just(b"\n".to_vec()),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_is_said_every_command_has_one_reply(said in said(), size in 1..300_usize, limit in prop::option::of(0..200_u64)) {
        let outcome = held([said.as_slice()], limit, Postbox::default());
        let codes = codes(&outcome.output);
        prop_assert_eq!(replies_due(&said, &codes), codes.len(), "{}", outcome.output);
        prop_assert_eq!(outcome.end == End::Quit, codes.last() == Some(&221));
        prop_assert_eq!(outcome.end == End::TooManyErrors, codes.last() == Some(&421));
        let pieces = held(said.chunks(size), limit, Postbox::default());
        prop_assert_eq!((pieces.output, pieces.end, pieces.acceptor.taken), (outcome.output, outcome.end, outcome.acceptor.taken));
    }

    #[test]
    fn whatever_an_acceptor_answers_is_a_valid_reply(code in any::<u16>(), enhanced in any::<(u8, u16, u16)>(), text in "(?s).{0,6000}") {
        let mut output = Vec::new();
        let (mut input, mut pipe_output) = (io::empty(), &mut output);
        let mut pipe = Pipe::new(&mut input, &mut pipe_output);
        pipe.coded(&Answer { code, enhanced, text });
        pipe.flush().unwrap();
        prop_assert_eq!(codes(std::str::from_utf8(&output).unwrap()).len(), 1);
    }
}

/// A name, how the dialogue begins, and what it goes on with.
type Row<'a> = (&'a str, &'a str, &'a dyn Fn(usize) -> String);

#[test]
fn dialogues_of_any_commands_take_linear_time() {
    let begin = "EHLO x\nMAIL FROM:<a@x>\n";
    let rows: &[Row<'_>] = &[
        ("commands that do nothing", "", &|_| "NOOP\n".to_owned()),
        ("recipients", begin, &|n| format!("RCPT TO:<a{n}@x>\n")),
        ("parameters", "EHLO x\n", &|n| {
            format!(
                "MAIL FROM:<a>{}\nNOOP\n",
                crate::pace::numbered(1900, |m| format!(" {n}{m}="))
            )
        }),
        ("routes", begin, &|_| {
            format!("RCPT TO:<{}:b@x>\n", "@a,".repeat(500))
        }),
        ("quotes", begin, &|_| {
            format!("RCPT TO:<{}\nNOOP\n", "\"\\".repeat(900))
        }),
        ("a line without end", "", &|_| "x".to_owned()),
        ("transactions", "", &|_| {
            "MAIL FROM:<a>\nRCPT TO:<b>\nDATA\n.\n".to_owned()
        }),
        ("dots", "MAIL FROM:<a>\nRCPT TO:<b>\nDATA\n", &|_| {
            "..\n".to_owned()
        }),
        ("returns", "MAIL FROM:<a>\nRCPT TO:<b>\nDATA\n", &|_| {
            ".\r\r".to_owned()
        }),
    ];
    for (name, begin, row) in rows {
        let make = |size| format!("{begin}{}", crate::pace::numbered(size, row));
        crate::pace::assert_linear(name, make, |text| {
            drop(held([text.as_bytes()], None, Postbox::default()));
        });
    }
}
