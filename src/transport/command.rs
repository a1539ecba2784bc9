//! Mail handed to a sendmail-like program.
//!
//! Promise: the program sees the whole message or is killed; a message that ends early is never completed by closing its
//! input. Lines end in LF, as local programs want them. The last of what it says on standard error is told; what it prints
//! is dropped, or shown on standard error with `-v`. It may take as long as a server for a block of the message and for its
//! end. A list that is too long for one command line goes to several runs of the program.
//!
//! A signal before the message is complete kills the program; after that it may go on for ten seconds. One that is ended when
//! it has the whole message, by whomever, leaves the mail in doubt.
use std::io;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use super::ledger::{Books, Ledger};
use super::socket::{cause, reason};
use super::{Tell, Transport, Turn, Watch};
use crate::address::Address;
use crate::children::{self, ExitStatus, Order, Running, STARTED_BY_SMAIL, Stop};
use crate::delivery::{Cause, Fate, Fault, Line, Reply, Report, Stage};
use crate::message::{Envelope, Message, xtext};
use crate::settings::route::{Patience, Program};

/// How long a program that has the whole message may go on after a signal.
const GRACE: Duration = Duration::from_secs(10);
/// The most bytes of recipients on one command line: what xargs allows itself.
const LONGEST_LIST: usize = 128 << 10;

/// A program that stands in for a server.
pub struct Sendmail {
    program: Program,
    watch: Watch,
}

impl Sendmail {
    /// Takes the program; nothing is started.
    pub fn new(program: &Program, watch: &Watch) -> Self {
        Sendmail { program: program.clone(), watch: watch.clone() }
    }

    /// Hands the message over for these of its recipients.
    fn run(&self, message: &Message, part: Range<usize>, books: &mut Books<'_>) -> Result<Reply, Fault> {
        let tell = Tell::new(&self.watch);
        let envelope = &message.envelope;
        let arguments = arguments(&self.program, envelope, &envelope.recipients[part.clone()]);
        tell.line(&Line::Client(super::reply::safe(&command_line(&self.program, &arguments))));
        let mut running = self.start(&arguments).map_err(|error| {
            // 127 is what a shell reports for it: permanent, unlike a program that a signal ended.
            let why = format!("{}: {}", self.program.path.display(), reason(&error));
            Fault::new(Stage::Connect, Cause::Program(why, Some(127)))
        })?;
        let patience = &self.program.patience;
        let whole = match write(&mut running, message, part, books, patience) {
            Ok(whole) => whole,
            Err(why) => {
                // Before its input closes: the end of the input would be the end of the message.
                running.kill();
                tell.note("the program was stopped before the message was complete");
                return Err(Fault::new(Stage::Content, why));
            }
        };
        tell.note(format!("message, {} octets", message.size()));
        let ended = running.wait(patience.dot, GRACE);
        let words = running.words();
        for line in &words {
            tell.line(&Line::Server(line.clone()));
        }
        match ended {
            Ok(status) => judge(status, &words, whole),
            Err(stop) => Err(Fault { in_doubt: true, ..Fault::new(Stage::Content, given_up(&stop, &words)) }),
        }
    }

    fn start(&self, arguments: &[String]) -> io::Result<Running> {
        let mut order = Order::new(&self.program.path).args(arguments).reads().env(STARTED_BY_SMAIL, "1");
        if let Some(name) = &self.program.argv0 {
            order = order.called(name);
        }
        if self.program.verbose {
            order = order.shown()?;
        }
        order.start(&self.watch.interrupt)
    }

    /// The recipients in pieces that fit a command line; an envelope that is no part of it is one piece.
    fn parts(&self, envelope: &Envelope) -> Vec<Range<usize>> {
        let all = envelope.recipients.len();
        let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (at, recipient) in envelope.recipients.iter().enumerate().filter(|_| !self.program.no_recipients) {
            // With its end and its place in the vector.
            let size = recipient.to_string().len() + 9;
            if bytes + size > LONGEST_LIST && at > start {
                parts.push(start..at);
                (start, bytes) = (at, 0);
            }
            bytes += size;
        }
        parts.push(start..all);
        parts
    }
}

impl Transport for Sendmail {
    fn deliver(&mut self, message: &Message, _: Turn, ledger: &mut dyn Ledger) -> Report {
        let start = Instant::now();
        let recipients = &message.envelope.recipients;
        let mut books = Books::new(ledger, recipients.len());
        let via = self.program.path.display().to_string();
        let mut report = Report::uniform(via, std::iter::empty(), &Ok(Reply::new(250, Vec::new())));
        let mut over: Option<Cause> = None;
        for part in self.parts(&message.envelope) {
            let outcome = match &over {
                Some(cause) => Err(Fault::new(Stage::Connect, cause.clone())),
                None => self.run(message, part.clone(), &mut books),
            };
            // It would be no other for the next part.
            if let Err(Fault { cause: cause @ (Cause::Interrupted(_) | Cause::Program(_, None)), .. }) = &outcome {
                over = Some(cause.clone());
            }
            books.settle(part.clone().map(|at| (at, &outcome)));
            let fate = |recipient: &Address| Fate { recipient: recipient.to_string(), outcome: outcome.clone() };
            report.fates.extend(recipients[part].iter().map(fate));
        }
        report.bytes = message.size();
        report.timing.transaction = start.elapsed();
        report
    }
}

/// The argument vector after the name.
fn arguments(program: &Program, envelope: &Envelope, recipients: &[Address]) -> Vec<String> {
    let mut arguments = Vec::new();
    if !program.no_default_arguments {
        arguments.push("-i".to_owned());
    }
    if program.verbose {
        arguments.push("-v".to_owned());
    }
    if program.sender && !program.no_default_arguments {
        let sender = envelope.sender.as_ref().map_or_else(|| "<>".to_owned(), ToString::to_string);
        arguments.extend(["-f".to_owned(), sender]);
    }
    if !program.no_default_arguments {
        // As xtext, which is what Sendmail wants; for plain words it is the same.
        let envid = envelope.dsn.envid.as_deref().map(xtext);
        let asked =
            [("-N", envelope.dsn.notify.map(String::from)), ("-R", envelope.dsn.ret.map(String::from)), ("-V", envid)];
        let given = asked.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value?]));
        arguments.extend(given.flatten());
    }
    arguments.extend(program.arguments.iter().cloned());
    if !program.no_recipients {
        arguments.push("--".to_owned());
        arguments.extend(recipients.iter().map(ToString::to_string));
    }
    arguments
}

/// The command that hands a message over, in the words of a shell.
pub fn spoken(program: &Program, envelope: &Envelope) -> String {
    super::reply::safe(&command_line(program, &arguments(program, envelope, &envelope.recipients)))
}

fn command_line(program: &Program, arguments: &[String]) -> String {
    let words = arguments.iter().map(String::as_str);
    let line = shlex::try_join(words).unwrap_or_else(|_| arguments.join(" "));
    format!("{} {line}", program.path.display()).trim_end().to_owned()
}

/// Writes the message; its last piece only when the books know of it. Tells whether the program listened to the end.
fn write(
    running: &mut Running,
    message: &Message,
    part: Range<usize>,
    books: &mut Books<'_>,
    patience: &Patience,
) -> Result<bool, Cause> {
    let mut put = |bytes: &[u8]| running.feed(bytes, patience.block).map_err(|stop| given_up(&stop, &running.words()));
    let mut lines = Unix::default();
    let mut last = None;
    let mut listens = true;
    for piece in message.chunks() {
        let piece = piece.map_err(|error| Cause::Content(reason(&error)))?;
        if let Some(ready) = last.replace(piece) {
            listens = put(lines.convert(&ready))?;
        }
        if !listens {
            break;
        }
    }
    // A program that needs no more of it may accept it all the same.
    books.before_dot(&part.collect::<Vec<_>>())?;
    Ok(listens && put(lines.convert(&last.unwrap_or_default()))? && put(lines.rest())?)
}

/// Why a program was not waited for any longer.
fn given_up(stop: &Stop, words: &[String]) -> Cause {
    match stop {
        Stop::Signal(signal) => Cause::Interrupted(*signal),
        Stop::Io(error) => cause(error),
        Stop::Deadline(_) | Stop::Flood => {
            let mut lines = vec![stop.to_string()];
            lines.extend_from_slice(words);
            Cause::Program(lines.join("\n"), None)
        }
    }
}

/// `whole`: it listened to the end of the message, and may have taken it when something ended it.
fn judge(status: ExitStatus, words: &[String], whole: bool) -> Result<Reply, Fault> {
    if children::failed(status).is_none() {
        return Ok(Reply::new(250, vec!["accepted by the program".to_owned()]));
    }
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with status {code} and said nothing"),
        (None, signal) => format!("signal {} ended it", signal.unwrap_or(0)),
    };
    let said = if words.is_empty() { how } else { words.join("\n") };
    let fault = Fault::new(Stage::Content, Cause::Program(said, status.code()));
    Err(Fault { in_doubt: whole && status.code().is_none(), ..fault })
}

/// CRLF into LF, piece by piece.
#[derive(Default)]
pub(super) struct Unix {
    out: Vec<u8>,
    cr: bool,
}

impl Unix {
    /// The piece with LF line ends; a CR at its end is kept for the next one.
    pub(super) fn convert(&mut self, piece: &[u8]) -> &[u8] {
        self.out.clear();
        self.out.reserve(piece.len() + 1);
        for &octet in piece {
            if std::mem::take(&mut self.cr) && octet != b'\n' {
                self.out.push(b'\r');
            }
            if octet == b'\r' {
                self.cr = true;
            } else {
                self.out.push(octet);
            }
        }
        &self.out
    }

    /// What was kept at the very end.
    pub(super) fn rest(&mut self) -> &[u8] {
        if std::mem::take(&mut self.cr) { b"\r" } else { b"" }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::address::Address;
    use crate::message::{Notify, Ret};

    fn program(path: &str, arguments: &[&str]) -> Program {
        Program {
            path: PathBuf::from(path),
            argv0: None,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            no_default_arguments: true,
            no_recipients: true,
            sender: false,
            verbose: false,
            patience: Patience::default(),
        }
    }

    fn message(bytes: &[u8]) -> Message {
        let envelope = Envelope {
            sender: Some(Address::parse("me@a.test").unwrap()),
            recipients: vec![Address::parse("you@b.test").unwrap(), Address::parse("root").unwrap()],
            ..Envelope::default()
        };
        Message::from_wire("<1@a.test>".into(), envelope, bytes.to_vec())
    }

    fn deliver(program: &Program, message: &Message) -> Report {
        Sendmail::new(program, &Watch::default()).deliver(message, Turn::Last, &mut ())
    }

    #[test]
    fn the_argument_vector_is_that_of_sendmail() {
        let envelope = message(b"").envelope;
        let mut settings = program("/usr/sbin/sendmail", &["-oem"]);
        assert_eq!(arguments(&settings, &envelope, &envelope.recipients), ["-oem"]);
        settings.no_default_arguments = false;
        settings.no_recipients = false;
        settings.sender = true;
        settings.verbose = true;
        let wanted = ["-i", "-v", "-f", "me@a.test", "-oem", "--", "you@b.test", "root"];
        assert_eq!(arguments(&settings, &envelope, &envelope.recipients), wanted);
        let nobody = Envelope { sender: None, ..envelope };
        assert_eq!(arguments(&settings, &nobody, &[])[3], "<>");
    }

    #[test]
    fn the_program_is_asked_for_notices_as_sendmail_is() {
        let mut envelope = message(b"").envelope;
        envelope.dsn.notify = Notify::parse("delay,success").ok();
        envelope.dsn.ret = Some(Ret::Headers);
        envelope.dsn.envid = Some("a b".into());
        let mut settings = program("/usr/sbin/sendmail", &[]);
        assert_eq!(arguments(&settings, &envelope, &envelope.recipients), [""; 0]);
        settings.no_default_arguments = false;
        assert_eq!(
            arguments(&settings, &envelope, &envelope.recipients),
            ["-i", "-N", "success,delay", "-R", "hdrs", "-V", "a+20b"]
        );
    }

    #[test]
    fn the_program_gets_the_whole_message_with_unix_line_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("got");
        let bytes = "Subject: x\r\n\r\n.\r\na\rb\r\n".repeat(40_000);
        let report = deliver(&program("/usr/bin/tee", &[file.to_str().unwrap()]), &message(bytes.as_bytes()));
        assert!(report.is_done(), "{report:?}");
        assert_eq!(report.fates.len(), 2);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), bytes.replace("\r\n", "\n"));
    }

    #[test]
    fn its_exit_status_and_words_are_the_outcome() {
        let failing = deliver(&program("/usr/bin/cp", &["/nonexistent/a", "/nonexistent/b"]), &message(b"x\r\n"));
        let Err(Fault { cause: Cause::Program(said, Some(1)), .. }) = &failing.fates[1].outcome else {
            panic!("{failing:?}")
        };
        assert!(said.contains("/nonexistent/a"), "{said}");
        let silent = deliver(&program("/usr/bin/false", &[]), &message(b"x\r\n"));
        let wanted = Cause::Program("it ended with status 1 and said nothing".into(), Some(1));
        assert_eq!(silent.fates[0].outcome, Err(Fault::new(Stage::Content, wanted)));
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let report = deliver(&program("/nonexistent/sendmail", &[]), &message(b"x\r\n"));
        let wanted = Cause::Program("/nonexistent/sendmail: no such file or directory".into(), Some(127));
        assert_eq!(report.fates[0].outcome, Err(Fault::new(Stage::Connect, wanted)));
    }

    #[test]
    fn a_program_that_says_a_lot_and_reads_nothing_cannot_block_the_message() {
        let folder = tempfile::tempdir().unwrap();
        let noise = folder.path().join("noise");
        std::fs::write(&noise, "n\n".repeat(200_000)).unwrap();
        // dd copies its own file to standard error and never reads the message.
        let input = format!("if={}", noise.display());
        let report = deliver(&program("/usr/bin/dd", &[&input, "of=/dev/stderr"]), &message(&vec![b'x'; 1 << 20]));
        assert!(report.is_done(), "{report:?}");
    }

    #[test]
    fn a_signal_stops_the_program_before_it_takes_half_a_message_for_a_whole_one() {
        let (lines, watch) = (Arc::new(Mutex::new(Vec::new())), Watch::default());
        let heard = lines.clone();
        let watch =
            Watch { trace: Some(Arc::new(move |line: &Line| heard.lock().unwrap().push(line.clone()))), ..watch };
        watch.interrupt.store(2, Ordering::Relaxed);
        let mut sleeper = Sendmail::new(&program("/usr/bin/sleep", &["60"]), &watch);
        let report = sleeper.deliver(&message(&vec![b'x'; 1 << 20]), Turn::Last, &mut ());
        assert_eq!(report.fates[0].outcome, Err(Fault::new(Stage::Content, Cause::Interrupted(2))));
        let note = Line::Note("the program was stopped before the message was complete".into());
        assert_eq!(lines.lock().unwrap().last(), Some(&note));
    }

    #[test]
    fn line_ends_are_found_across_pieces() {
        let wire = b"a\r\n\r\nb\rc\r\r\nd\r";
        for cut in 0..wire.len() {
            let mut lines = Unix::default();
            let mut out = lines.convert(&wire[..cut]).to_vec();
            out.extend(lines.convert(&wire[cut..]).to_vec());
            out.extend(lines.rest());
            assert_eq!(out, b"a\n\nb\rc\r\nd\r");
        }
    }
}
