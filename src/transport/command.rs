//! Mail handed to a sendmail-like program: started directly, never through a shell.
//!
//! Promise: the program sees the whole message or is stopped; a message that ends early is never completed by closing its
//! input. Lines end in LF, as local programs want them. What it says on standard error is kept (64 KiB) and made safe;
//! what it prints is dropped, or shown on standard error with `-v`.
//!
//! A signal before the message is complete stops the program, and says so to the watcher; after that the program is
//! waited for, ten seconds at most, and left to itself.
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::ledger::{Books, Ledger};
use super::reply::decode;
use super::socket::{Clock, cause, reason};
use super::stderr::{Words, unblock};
use super::{Tell, Transport, Turn, Watch};
use crate::delivery::{Cause, Fault, Line, Reply, Report, Stage};
use crate::message::{Envelope, Message, xtext};
use crate::settings::STARTED_BY_SMAIL;
use crate::settings::route::Program;

/// The longest wait between two looks at whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

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

    fn run(&self, message: &Message, books: &mut Books<'_>) -> Result<Reply, Fault> {
        let tell = Tell::new(&self.watch);
        let arguments = arguments(&self.program, &message.envelope);
        tell.line(&Line::Client(super::reply::safe(&command_line(&self.program, &arguments))));
        let mut child = self.start(&arguments).map_err(|error| {
            // 127 is what a shell reports for it: permanent, unlike a program that a signal ended.
            let why = format!("{}: {}", self.program.path.display(), reason(&error));
            Fault::new(Stage::Connect, Cause::Program(why, Some(127)))
        })?;
        let mut words =
            Words::of(&mut child).map_err(|error| Fault::new(Stage::Connect, Cause::Program(reason(&error), None)))?;
        let mut clock = Clock::new(self.watch.interrupt.clone(), Duration::MAX);
        if let Some(stdin) = child.stdin.take() {
            let mut stdin = Pipe { stdin, clock, words: &mut words };
            let written = write(&mut stdin, message, books);
            clock = stdin.clock;
            if let Err(failure) = written {
                // Before its input closes: the end of the input would be the end of the message.
                let _ = child.kill();
                drop(stdin.stdin);
                let _ = child.wait();
                tell.note("the program was stopped before the message was complete");
                return Err(Fault::new(Stage::Content, failure));
            }
        }
        tell.note(format!("message, {} octets", message.size()));
        clock.set_grace(true);
        let status = wait_for(&mut child, &mut clock, &mut words)?;
        judge(status, &words.end(), &tell)
    }

    fn start(&self, arguments: &[String]) -> io::Result<Child> {
        let mut command = Command::new(&self.program.path);
        if let Some(name) = &self.program.argv0 {
            command.arg0(name);
        }
        let stdout =
            if self.program.verbose { Stdio::from(io::stderr().as_fd().try_clone_to_owned()?) } else { Stdio::null() };
        command.env(STARTED_BY_SMAIL, "1");
        command.args(arguments).stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()).spawn()
    }
}

impl Transport for Sendmail {
    fn deliver(&mut self, message: &Message, _: Turn, ledger: &mut dyn Ledger) -> Report {
        let start = Instant::now();
        let mut books = Books::new(ledger, message.envelope.recipients.len());
        let outcome = self.run(message, &mut books);
        books.close(&outcome);
        let recipients: Vec<String> = message.envelope.recipients.iter().map(ToString::to_string).collect();
        let via = self.program.path.display().to_string();
        let mut report = Report::uniform(via, recipients.iter().map(String::as_str), &outcome);
        report.bytes = message.size();
        report.timing.transaction = start.elapsed();
        report
    }
}

/// The argument vector after the name.
fn arguments(program: &Program, envelope: &Envelope) -> Vec<String> {
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
        arguments.extend(envelope.recipients.iter().map(ToString::to_string));
    }
    arguments
}

/// The command that hands a message over, in the words of a shell.
pub fn spoken(program: &Program, envelope: &Envelope) -> String {
    super::reply::safe(&command_line(program, &arguments(program, envelope)))
}

fn command_line(program: &Program, arguments: &[String]) -> String {
    let words = arguments.iter().map(String::as_str);
    let line = shlex::try_join(words).unwrap_or_else(|_| arguments.join(" "));
    format!("{} {line}", program.path.display()).trim_end().to_owned()
}

/// The program's standard input, written without ever waiting past a signal.
struct Pipe<'w> {
    stdin: ChildStdin,
    clock: Clock,
    words: &'w mut Words,
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let time = self.clock.look()?;
            match self.stdin.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.words.wait(Some(&self.stdin), time)?,
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the message; its last piece only when the books know of it.
fn write(pipe: &mut Pipe<'_>, message: &Message, books: &mut Books<'_>) -> Result<(), Cause> {
    unblock(&pipe.stdin).map_err(|error| cause(&error))?;
    let mut lines = Unix::default();
    let mut last = None;
    let mut listens = true;
    for piece in message.chunks() {
        let piece = piece.map_err(|error| Cause::Content(reason(&error)))?;
        if let Some(ready) = last.replace(piece) {
            listens = put(pipe, lines.convert(&ready))?;
        }
        if !listens {
            break;
        }
    }
    // A program that needs no more of it may accept it all the same.
    books.before_handover()?;
    if listens && put(pipe, lines.convert(&last.unwrap_or_default()))? {
        put(pipe, lines.rest())?;
    }
    Ok(())
}

/// Tells whether the program listens still. One that does not needs no more, or has failed: its exit status tells which.
fn put(pipe: &mut Pipe<'_>, bytes: &[u8]) -> Result<bool, Cause> {
    match pipe.write_all(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(cause(&error)),
    }
}

fn wait_for(child: &mut Child, clock: &mut Clock, words: &mut Words) -> Result<ExitStatus, Fault> {
    let fault = |cause| Fault { in_doubt: true, ..Fault::new(Stage::Content, cause) };
    let mut pause = Duration::from_micros(200);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) => return Err(fault(Cause::Program(reason(&error), None))),
        }
        clock.look().map_err(|halt| fault(cause(&halt.into())))?;
        words.wait(None, pause).map_err(|error| fault(cause(&error)))?;
        pause = (pause * 2).min(LOOK);
    }
}

fn judge(status: ExitStatus, words: &[u8], tell: &Tell) -> Result<Reply, Fault> {
    let lines: Vec<String> = words.split(|&b| b == b'\n').map(decode).filter(|line| !line.trim().is_empty()).collect();
    for line in &lines {
        tell.line(&Line::Server(line.clone()));
    }
    if status.success() {
        return Ok(Reply::new(250, vec!["accepted by the program".to_owned()]));
    }
    let mut said = lines.join("\n");
    if said.is_empty() {
        said = match (status.code(), status.signal()) {
            (Some(code), _) => format!("it ended with status {code} and said nothing"),
            (None, signal) => format!("signal {} ended it", signal.unwrap_or(0)),
        };
    }
    Err(Fault::new(Stage::Content, Cause::Program(said, status.code())))
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
        assert_eq!(arguments(&settings, &envelope), ["-oem"]);
        settings.no_default_arguments = false;
        settings.no_recipients = false;
        settings.sender = true;
        settings.verbose = true;
        let wanted = ["-i", "-v", "-f", "me@a.test", "-oem", "--", "you@b.test", "root"];
        assert_eq!(arguments(&settings, &envelope), wanted);
        let nobody = Envelope { sender: None, ..envelope };
        assert_eq!(arguments(&settings, &nobody)[3], "<>");
    }

    #[test]
    fn the_program_is_asked_for_notices_as_sendmail_is() {
        let mut envelope = message(b"").envelope;
        envelope.dsn.notify = Notify::parse("delay,success").ok();
        envelope.dsn.ret = Some(Ret::Headers);
        envelope.dsn.envid = Some("a b".into());
        let mut settings = program("/usr/sbin/sendmail", &[]);
        assert_eq!(arguments(&settings, &envelope), [""; 0]);
        settings.no_default_arguments = false;
        assert_eq!(arguments(&settings, &envelope), ["-i", "-N", "success,delay", "-R", "hdrs", "-V", "a+20b"]);
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
