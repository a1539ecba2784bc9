//! The command line of sendmail(1), as programs have written it for forty years.
//!
//! Promise: options end at the first recipient, so that nothing behind an address is ever read as
//! an option; values may be joined to their letter or follow it, letters may be clustered; a letter
//! nobody knows is skipped in silence. Refuses modes that nobody knows or that want a daemon.
//! What would name files to read or write (`-C`, `-X`, `-D`, `-oQ`) is swallowed with its value and
//! has no effect: callers put text of strangers on this line.
use std::ffi::OsString;

use super::Error;

/// What sendmail is asked to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Take the mail on standard input (`-bm`).
    #[default]
    Deliver,
    /// Speak SMTP on standard input and output (`-bs`).
    Dialogue,
    /// List the queue (`-bp`, `mailq`).
    List,
    /// Send what waits (`-q`).
    Flush,
    /// Check the alias files (`-bi`, `newaliases`).
    Aliases,
    /// Say where each address would go (`-bv`).
    Verify,
    /// Housekeeping of other programs that smail has no need of (`-bh`, `-bH`).
    Nothing,
}

/// Which mails `-q` sends; all that are due when every list is empty. Each entry is a part of what
/// it must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// `-qIid`, `-M id`.
    pub ids: Vec<String>,
    /// `-qRpart`.
    pub recipients: Vec<String>,
    /// `-qSpart`.
    pub senders: Vec<String>,
}

/// A command line of sendmail, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub mode: Mode,
    /// The words behind the options.
    pub recipients: Vec<String>,
    /// Recipients stand in the head of the mail too (`-t`).
    pub take_recipients: bool,
    /// The sender of the envelope as it was typed (`-f`, `-r`); empty and `<>` are the null sender.
    pub sender: Option<String>,
    /// The name for a From header that is missing (`-F`).
    pub full_name: Option<String>,
    /// When to report to the sender (`-N`), as typed.
    pub notify: Option<String>,
    /// How much of the mail a report holds (`-R`), as typed.
    pub dsn_return: Option<String>,
    /// The sender's name for the mail in reports (`-V`).
    pub envelope_id: Option<String>,
    /// Only keep the mail for the next run (`-odq`).
    pub queue_only: bool,
    /// Show the dialogue with the server (`-v`).
    pub verbose: bool,
    /// Which mails to flush.
    pub filter: Filter,
}

const HELP: &str = "\
smail as sendmail: reads a message from standard input and sends it through a mail server.

Usage: sendmail [-t] [-f SENDER] [-F NAME] [-N CONDITIONS] [-R full|hdrs] [-V ID] [-odq] [-v] [--] RECIPIENT... < mail
       sendmail -bs       speak SMTP on standard input and output
       sendmail -bv NAME  show where mail for a name would go
       sendmail -bi       check the alias files  (newaliases)
       sendmail -bp       list waiting mail      (mailq)
       sendmail -q        send mail that is due  (runq)

Other sendmail options are accepted and ignored. See smail(1), section AS SENDMAIL.
";

/// Whether a letter has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// None: more letters may follow in the same word.
    Nothing,
    /// The rest of the word, or the next word.
    Value,
    /// The rest of the word, which may be empty.
    Rest,
}

/// What a letter does with its value.
type Act = fn(&mut Request, String) -> Result<(), Error>;

/// Every letter that is more than ignored, or has a value to swallow.
#[rustfmt::skip]
const LETTERS: &[(char, Takes, Act)] = &[
    ('t', Takes::Nothing, |r, _| { r.take_recipients = true; Ok(()) }),
    ('v', Takes::Nothing, |r, _| { r.verbose = true; Ok(()) }),
    ('f', Takes::Value,   |r, v| { r.sender = Some(v); Ok(()) }),
    ('r', Takes::Value,   |r, v| { r.sender = Some(v); Ok(()) }),
    ('F', Takes::Value,   |r, v| { r.full_name = Some(v); Ok(()) }),
    ('N', Takes::Value,   |r, v| { r.notify = Some(v); Ok(()) }),
    ('R', Takes::Value,   |r, v| { r.dsn_return = Some(v); Ok(()) }),
    ('V', Takes::Value,   |r, v| { r.envelope_id = Some(v); Ok(()) }),
    ('b', Takes::Value,   |r, v| mode(r, &v)),
    ('q', Takes::Rest,    |r, v| { flush(r, &v); Ok(()) }),
    ('M', Takes::Value,   |r, v| { flush(r, &format!("I{v}")); Ok(()) }),
    ('I', Takes::Nothing, |r, _| mode(r, "i")),
    ('o', Takes::Value,   |r, v| { r.queue_only |= matches!(v.as_str(), "dq" | "dd"); Ok(()) }),
    ('s', Takes::Nothing, |_, _| Err(subject())),
    ('A', Takes::Value, ignore), ('B', Takes::Value, ignore), ('C', Takes::Value, ignore), ('D', Takes::Value, ignore),
    ('L', Takes::Value, ignore), ('O', Takes::Value, ignore), ('X', Takes::Value, ignore), ('h', Takes::Value, ignore),
    ('p', Takes::Value, ignore), ('d', Takes::Rest, ignore),  ('e', Takes::Rest, ignore),  ('J', Takes::Rest, ignore),
    ('Q', Takes::Rest, ignore),
];

#[expect(clippy::unnecessary_wraps, reason = "a row of the table may fail")]
fn ignore(_: &mut Request, _: String) -> Result<(), Error> {
    Ok(())
}

/// The modes of `-b`.
fn mode(request: &mut Request, word: &str) -> Result<(), Error> {
    request.mode = match word {
        "m" => Mode::Deliver,
        "s" => Mode::Dialogue,
        "p" => Mode::List,
        "i" => Mode::Aliases,
        "v" => Mode::Verify,
        "h" | "H" => Mode::Nothing,
        "d" | "D" | "l" => return Err(Error::Daemon(format!("-b{word}"))),
        _ => {
            return Err(Error::Usage {
                what: format!("unknown sendmail mode `-b{}`", crate::text::word(word)),
                hint: Some("expected -bm, -bs, -bp, -bi or -bv".to_owned()),
            });
        }
    };
    Ok(())
}

/// `-q`, and what may follow it: an interval, the name of a group, or a filter.
fn flush(request: &mut Request, rest: &str) {
    // `mailq` with a filter is still a list.
    if request.mode == Mode::Deliver {
        request.mode = Mode::Flush;
    }
    let filter = &mut request.filter;
    let list = match rest.chars().next() {
        Some('I') => &mut filter.ids,
        Some('R') => &mut filter.recipients,
        Some('S') => &mut filter.senders,
        _ => return,
    };
    list.extend(Some(rest[1..].to_owned()).filter(|part| !part.is_empty()));
}

fn subject() -> Error {
    Error::Usage {
        what: "`-s` is an option of mail, not of sendmail".to_owned(),
        hint: Some(
            "put the Subject into the header of the message, or call smail as \
            mail"
                .to_owned(),
        ),
    }
}

/// Reads the words behind the name.
///
/// # Errors
/// [`Error`].
pub fn parse(words: &[OsString]) -> Result<Request, Error> {
    let mut request = Request::default();
    let mut words = words.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            Some("-") => break,
            // Long options are not sendmail's; none of them may be taken for letters.
            Some("-help") => return Err(Error::Print(HELP.to_owned())),
            Some("-version") => {
                return Err(Error::Print(
                    concat!("smail ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
                ));
            }
            Some(long) if long.starts_with('-') => {}
            Some(letters) if !letters.is_empty() => cluster(&mut request, letters, &mut words)?,
            _ => {
                request.recipients.push(word);
                break;
            }
        }
    }
    request.recipients.extend(words);
    Ok(request)
}

/// One word of letters; the first that has a value ends it.
fn cluster(
    request: &mut Request,
    letters: &str,
    words: &mut dyn Iterator<Item = String>,
) -> Result<(), Error> {
    for (at, letter) in letters.char_indices() {
        let Some((_, takes, act)) = LETTERS.iter().find(|row| row.0 == letter) else {
            continue;
        };
        let rest = &letters[at + letter.len_utf8()..];
        let value = match takes {
            Takes::Nothing => {
                act(request, String::new())?;
                continue;
            }
            Takes::Value if rest.is_empty() => words
                .next()
                .ok_or_else(|| Error::usage(format!("`-{letter}` needs a value")))?,
            Takes::Value | Takes::Rest => rest.to_owned(),
        };
        return act(request, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Request, Error> {
        parse(&line.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn deliver(recipients: &[&str]) -> Request {
        Request {
            recipients: recipients.iter().map(|r| (*r).to_owned()).collect(),
            ..Request::default()
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn every_option_of_the_matrix_is_taken_joined_split_and_clustered() {
        let some = |text: &str| Some(text.to_owned());
        let all = |recipients: &[&str]| Request {
            take_recipients: true,
            ..deliver(recipients)
        };
        let rows: Vec<(&[&str], Request)> = vec![
            (&["-t"], all(&[])),
            (&["-ti"], all(&[])),
            (&["-it", "a@x"], all(&["a@x"])),
            (
                &["-tv"],
                Request {
                    verbose: true,
                    ..all(&[])
                },
            ),
            (&["-i", "-oi", "-oitrue", "-o", "i", "a"], deliver(&["a"])),
            (
                &["-f", "a@x", "b"],
                Request {
                    sender: some("a@x"),
                    ..deliver(&["b"])
                },
            ),
            (
                &["-fa@x", "b"],
                Request {
                    sender: some("a@x"),
                    ..deliver(&["b"])
                },
            ),
            (
                &["-f", "", "b"],
                Request {
                    sender: some(""),
                    ..deliver(&["b"])
                },
            ),
            (
                &["-f<>", "b"],
                Request {
                    sender: some("<>"),
                    ..deliver(&["b"])
                },
            ),
            (
                &["-r", "a@x", "b"],
                Request {
                    sender: some("a@x"),
                    ..deliver(&["b"])
                },
            ),
            (
                &["-FCronDaemon", "b"],
                Request {
                    full_name: some("CronDaemon"),
                    ..deliver(&["b"])
                },
            ),
            (
                &["-F", "Cron Daemon", "b"],
                Request {
                    full_name: some("Cron Daemon"),
                    ..deliver(&["b"])
                },
            ),
            (&["-B8BITMIME", "-B", "8BITMIME", "b"], deliver(&["b"])),
            (
                &["-N", "never", "b"],
                Request {
                    notify: some("never"),
                    ..deliver(&["b"])
                },
            ),
            (
                &["-Rhdrs", "b"],
                Request {
                    dsn_return: some("hdrs"),
                    ..deliver(&["b"])
                },
            ),
            (
                &["-VQ123", "b"],
                Request {
                    envelope_id: some("Q123"),
                    ..deliver(&["b"])
                },
            ),
            (
                &["-O", "QueueDirectory=/tmp", "-OTimeout=1", "b"],
                deliver(&["b"]),
            ),
            (
                &[
                    "-om", "-o7", "-o8", "-or0s", "-oT3d", "-oA/x", "-oMxy", "-oQ/tmp", "b",
                ],
                deliver(&["b"]),
            ),
            (&["-odi", "-odb", "b"], deliver(&["b"])),
            (
                &["-odq", "b"],
                Request {
                    queue_only: true,
                    ..deliver(&["b"])
                },
            ),
            (
                &[
                    "-oem", "-oee", "-oep", "-oeq", "-oew", "-em", "-ep", "-eq", "b",
                ],
                deliver(&["b"]),
            ),
            (
                &["-n", "-m", "-U", "-G", "-x", "-E", "-J", "b"],
                deliver(&["b"]),
            ),
            (
                &["-h", "3", "-L", "tag", "-Ac", "-Am", "b"],
                deliver(&["b"]),
            ),
            (
                &[
                    "-C", "/tmp/x", "-C/tmp/x", "-X/tmp/x", "-X", "/tmp/x", "-D", "/tmp/x", "b",
                ],
                deliver(&["b"]),
            ),
            (&["-d", "-d0.1", "b"], deliver(&["b"])),
            (&["-p", "proto:host", "b"], deliver(&["b"])),
            (&["-Z", "-zk", "b"], deliver(&["b"])),
            (&["--", "-z@x"], deliver(&["-z@x"])),
            (
                &["b", "-t", "-f", "x", "--"],
                deliver(&["b", "-t", "-f", "x", "--"]),
            ),
            (&["-"], deliver(&["-"])),
            (&["-bm", "b"], deliver(&["b"])),
        ];
        for (line, wanted) in rows {
            assert_eq!(read(line), Ok(wanted), "{line:?}");
        }
    }

    #[test]
    fn every_mode_is_known_or_refused() {
        let mode = |line: &[&str]| read(line).map(|request| request.mode);
        let rows: [(&[&str], Mode); 13] = [
            (&["-bs", "-odb", "-oem"], Mode::Dialogue),
            (&["-b", "s"], Mode::Dialogue),
            (&["-bp"], Mode::List),
            (&["-bp", "-qIx"], Mode::List),
            (&["-bi"], Mode::Aliases),
            (&["-I"], Mode::Aliases),
            (&["-bv", "a"], Mode::Verify),
            (&["-bh"], Mode::Nothing),
            (&["-bH"], Mode::Nothing),
            (&["-q"], Mode::Flush),
            (&["-q30m"], Mode::Flush),
            (&["-L", "sm-msp-queue", "-Ac", "-q"], Mode::Flush),
            (&["-M", "id"], Mode::Flush),
        ];
        for (line, wanted) in rows {
            assert_eq!(mode(line), Ok(wanted), "{line:?}");
        }
        for word in ["-bt", "-bz", "-ba", "-be", "-b1", "-bpx"] {
            assert!(matches!(mode(&[word]), Err(Error::Usage { .. })), "{word}");
        }
        for word in ["-bd", "-bD", "-bl"] {
            assert_eq!(mode(&[word]), Err(Error::Daemon(word.to_owned())));
        }
        for line in [&["-f"][..], &["-tf"], &["-b"], &["-s", "x", "b"]] {
            assert!(matches!(mode(line), Err(Error::Usage { .. })), "{line:?}");
        }
    }

    #[test]
    fn a_long_option_is_never_read_as_letters() {
        assert_eq!(
            read(&["--from=x", "--foo", "-t", "a"]),
            Ok(Request {
                take_recipients: true,
                ..deliver(&["a"])
            })
        );
        assert!(
            matches!(read(&["--version"]), Err(Error::Print(text)) if text.starts_with("smail "))
        );
        assert!(matches!(read(&["--help"]), Err(Error::Print(text)) if text.contains("-bs")));
    }

    #[test]
    fn a_queue_run_may_be_narrowed() {
        let filter = read(&["-qIabc", "-qRx.example", "-qSroot", "-qR"])
            .unwrap()
            .filter;
        let wanted = Filter {
            ids: vec!["abc".into()],
            recipients: vec!["x.example".into()],
            senders: vec!["root".into()],
        };
        assert_eq!(filter, wanted);
    }
}
