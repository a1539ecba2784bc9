//! A send rehearsed: every step up to the recipients, what was found in each, and nothing sent.
//!
//! Promise: the way, the doors, the secrets and the judgements are those of a send, because it is
//! the code of a send that runs; this room only listens to it, asks about sender and recipients and
//! takes the question back (RSET). No DATA is ever said, no program started, no file written.
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};

use super::{Watch, sendmail};
use crate::delivery::{Cause, Fault, Stage};
use crate::hints;
use crate::message::Message;
use crate::route::{Program, Route, Smtp};
use crate::transport::peer_text::reason;
use crate::transport::smtp::Server;

/// The longest that a step of a rehearsal takes: somebody waits at the terminal.
const PATIENCE: Duration = Duration::from_secs(30);

/// A step of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The server's name is looked up.
    Resolve,
    /// The connection.
    Connect,
    /// The server's first line.
    Greeting,
    /// STARTTLS, where it comes to that, and the handshake.
    Tls,
    /// EHLO, HELO or LHLO; once more inside TLS.
    Hello,
    /// AUTH.
    Login,
    /// MAIL FROM.
    Sender,
    /// RCPT TO, once for each.
    Recipient,
    /// RSET.
    Reset,
    /// QUIT.
    Quit,
    /// A program that stands in for a server.
    Program,
    /// A file, a folder or standard output.
    File,
}

impl Step {
    /// The word used in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Step::Resolve => "resolve",
            Step::Connect => "connect",
            Step::Greeting => "greeting",
            Step::Tls => "tls",
            Step::Hello => "hello",
            Step::Login => "login",
            Step::Sender => "sender",
            Step::Recipient => "recipient",
            Step::Reset => "reset",
            Step::Quit => "quit",
            Step::Program => "program",
            Step::File => "file",
        }
    }

    /// The step in which a session ends with a fault of this stage.
    fn of(stage: Stage) -> Self {
        match stage {
            Stage::Resolve => Step::Resolve,
            Stage::Connect => Step::Connect,
            Stage::Greeting => Step::Greeting,
            // Before a connection only the files that TLS needs are read.
            Stage::Prepare | Stage::Tls => Step::Tls,
            Stage::Hello => Step::Hello,
            Stage::Login => Step::Login,
            Stage::Recipient => Step::Recipient,
            Stage::Sender | Stage::Data | Stage::Content => Step::Sender,
        }
    }
}

/// Something that was found; texts of servers are safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Words.
    Text(String),
    /// Some of a kind.
    List(Vec<String>),
    /// A number; the label says of what.
    Number(i64),
}

/// What was found in a step: labels in the order of finding, none twice.
pub type Facts = Vec<(&'static str, Fact)>;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// There was nothing to do.
    Skipped,
    /// As a send would have failed.
    Failed(Fault),
}

/// A step that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Which one.
    pub step: Step,
    /// How long it took.
    pub took: Duration,
    /// What was found, also where it failed.
    pub facts: Facts,
    /// How it ended.
    pub outcome: Outcome,
}

impl Probe {
    /// A fact in words; `None` without it.
    pub fn text(&self, label: &str) -> Option<&str> {
        match self.fact(label)? {
            Fact::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A fact of several parts; empty without it.
    pub fn list(&self, label: &str) -> &[String] {
        match self.fact(label) {
            Some(Fact::List(list)) => list,
            _ => &[],
        }
    }

    /// A fact that is a number.
    pub fn number(&self, label: &str) -> Option<i64> {
        match self.fact(label)? {
            Fact::Number(number) => Some(*number),
            _ => None,
        }
    }

    fn fact(&self, label: &str) -> Option<&Fact> {
        self.facts
            .iter()
            .find(|(known, _)| *known == label)
            .map(|(_, fact)| fact)
    }
}

/// What a listener is told, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The steps that follow are those of this door, in the words of a user.
    Door(String),
    /// A step is over.
    Step(Probe),
}

/// Hears the steps of a session.
#[derive(Clone)]
pub struct Ear(Arc<Mutex<Walk>>);

struct Walk {
    since: Instant,
    facts: Facts,
    hear: Box<dyn FnMut(News) + Send>,
}

impl Ear {
    fn new(hear: impl FnMut(News) + Send + 'static) -> Self {
        Ear(Arc::new(Mutex::new(Walk {
            since: Instant::now(),
            facts: Facts::new(),
            hear: Box::new(hear),
        })))
    }

    fn with(&self, act: impl FnOnce(&mut Walk)) {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Another door is tried.
    pub(super) fn door(&self, place: String) {
        self.with(|walk| (walk.hear)(News::Door(place)));
        self.begin();
    }

    /// A step begins; without this it is taken to begin where the one before ended.
    pub(super) fn begin(&self) {
        self.with(|walk| walk.since = Instant::now());
    }

    /// Something was found in the step under way.
    pub(super) fn fact(&self, label: &'static str, fact: Fact) {
        self.with(|walk| {
            walk.facts.retain(|(known, _)| *known != label);
            walk.facts.push((label, fact));
        });
    }

    /// The step under way is over.
    pub(super) fn over(&self, step: Step, outcome: Outcome) {
        self.with(|walk| {
            let facts = std::mem::take(&mut walk.facts);
            let took = walk.since.elapsed();
            (walk.hear)(News::Step(Probe {
                step,
                took,
                facts,
                outcome,
            }));
            walk.since = Instant::now();
        });
    }

    /// The session ends with the step under way.
    pub(super) fn failed(&self, fault: &Fault) {
        self.over(Step::of(fault.stage), Outcome::Failed(fault.clone()));
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ear")
    }
}

/// Rehearses sending a message and tells every step; each waits 30 s at most. Gives the last door
/// in the words of a user, and the faults that a send would have ended with: none when the way is
/// open, one for each recipient that was refused.
pub fn rehearse(
    route: &Route,
    message: &Message,
    watch: &Watch,
    mut hear: impl FnMut(News) + Send + 'static,
) -> (String, Vec<Fault>) {
    let provider = match route {
        Route::Smtp(server) => server.provider.clone(),
        _ => None,
    };
    let meant = provider.clone();
    let ear = Ear::new(move |mut news| {
        if let News::Step(Probe {
            outcome: Outcome::Failed(fault),
            ..
        }) = &mut news
        {
            hints::classify(fault, meant.as_deref());
        }
        hear(news);
    });
    let place = super::describe(route);
    if let Route::Smtp(server) = route {
        let watch = Watch {
            steps: Some(ear.clone()),
            ..watch.clone()
        };
        let mut server = Server::new(&hurried(server), &watch);
        let mut faults = server.rehearse(message, &ear);
        for fault in &mut faults {
            hints::classify(fault, provider.as_deref());
        }
        return (server.via().to_owned(), faults);
    }
    ear.door(place.clone());
    let (step, fits) = match route {
        Route::Program(program) => (Step::Program, program_fits(program, message, &ear)),
        Route::File(path) => (Step::File, file_fits(path, &ear)),
        // A server has been dealt with above.
        Route::Stdout | Route::Smtp(_) => {
            ear.fact("writes", Fact::Text("a mail would be printed".to_owned()));
            (Step::File, Ok(()))
        }
    };
    let fault = fits.err().map(|cause| Fault::new(Stage::Connect, cause));
    ear.over(step, fault.clone().map_or(Outcome::Passed, Outcome::Failed));
    (place, fault.into_iter().collect())
}

/// The same server with less patience.
fn hurried(server: &Smtp) -> Smtp {
    let mut server = server.clone();
    for time in [&mut server.patience.connect, &mut server.patience.command] {
        *time = PATIENCE.min(*time);
    }
    server
}

/// Whether the program is there and may be started; a send fails in the same way.
fn program_fits(program: &Program, message: &Message, ear: &Ear) -> Result<(), Cause> {
    ear.fact(
        "command",
        Fact::Text(sendmail::spoken(program, &message.envelope)),
    );
    let found = if program.path.is_dir() {
        Err("it is a folder".to_owned())
    } else {
        access(&program.path, Access::EXEC_OK).map_err(|error| reason(&error.into()))
    };
    found.map_err(|why| Cause::Program(format!("{}: {why}", program.path.display()), Some(127)))
}

/// Whether a mail could be written: into the folder, or beside the file, where it is made before it
/// takes its place.
fn file_fits(path: &Path, ear: &Ear) -> Result<(), Cause> {
    let is_folder = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let beside = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let special = std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir());
    let (kind, place, wanted) = match (is_folder, special) {
        (true, _) => (
            "a mail would be a new file in this folder",
            path,
            Access::WRITE_OK | Access::EXEC_OK,
        ),
        (_, true) => (
            "a mail would be written to it as it is",
            path,
            Access::WRITE_OK,
        ),
        _ if path.exists() => (
            "a mail would take its place",
            beside,
            Access::WRITE_OK | Access::EXEC_OK,
        ),
        _ => (
            "a mail would make it",
            beside,
            Access::WRITE_OK | Access::EXEC_OK,
        ),
    };
    ear.fact("writes", Fact::Text(kind.to_owned()));
    access(place, wanted)
        .map_err(|error| Cause::File(format!("{}: {}", path.display(), reason(&error.into()))))
}
