//! A send rehearsed: every step up to the recipients, what was found in each, and nothing sent.
//!
//! Promise: the route, the endpoints, the secrets and the explanations are those of a send, because
//! the code of a send runs; this room only observes it, asks about sender and recipients and takes
//! the question back (RSET). DATA is never sent, no program is started, no file is written.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Access, access};

use super::{Fact, Observer, Outcome, RunContext, Step, StepRecorder, sendmail};
use crate::delivery::{Cause, Fault, Stage};
use crate::hints::Classifier;
use crate::message::Message;
use crate::route::{Program, Route, Smtp};
use crate::transport::peer_text::reason;
use crate::transport::smtp::Server;

/// The longest that a step of a rehearsal takes: somebody waits at the terminal.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Rehearses sending a message and tells every step; each waits 30 s at most. Gives the last
/// endpoint in the words of a user, and the faults that a send would have ended with: none when all
/// would be accepted, one for each recipient that was refused.
pub(crate) fn rehearse(
    route: &Route,
    message: &Message,
    context: &RunContext,
    observer: impl Observer + 'static,
) -> (String, Vec<Fault>) {
    let steps = StepRecorder::new(Arc::new(observer));
    let place = super::describe(route);
    if let Route::Smtp(server) = route {
        let context = RunContext {
            steps: Some(steps.clone()),
            ..context.clone()
        };
        let mut server = Server::new(&hurried(server), &context);
        let faults = server.rehearse(message, &steps);
        return (server.via().to_owned(), faults);
    }
    steps.endpoint(place.clone());
    let (step, fits) = match route {
        Route::Program(program) => (Step::Program, program_fits(program, message, &steps)),
        Route::File(path) => (Step::File, file_fits(path, &steps)),
        // A server has been dealt with above.
        Route::Stdout | Route::Smtp(_) => {
            steps.fact(
                "writes",
                Fact::Text("the message would be printed".to_owned()),
            );
            (Step::File, Ok(()))
        }
    };
    let provider = match route {
        Route::Program(program) => program.provider.as_deref(),
        _ => None,
    };
    let classifier = Classifier::new(provider, None);
    let fault = |cause| classifier.classify(Fault::new(Stage::Connect, cause));
    let fault = fits.err().map(fault);
    steps.over(step, fault.clone().map_or(Outcome::Passed, Outcome::Failed));
    (place, fault.into_iter().collect())
}

/// The same server with shorter timeouts.
fn hurried(server: &Smtp) -> Smtp {
    let mut server = server.clone();
    for time in [&mut server.timeouts.connect, &mut server.timeouts.command] {
        *time = TIME_LIMIT.min(*time);
    }
    server
}

/// Returns whether the program is there and may be started; a send fails in the same way.
fn program_fits(program: &Program, message: &Message, steps: &StepRecorder) -> Result<(), Cause> {
    steps.fact(
        "command",
        Fact::Text(sendmail::spoken(program, &message.envelope)),
    );
    let found = if program.path.is_dir() {
        Err("it is a directory".to_owned())
    } else {
        access(&program.path, Access::EXEC_OK).map_err(|error| reason(&error.into()))
    };
    found.map_err(|why| Cause::Program(format!("{}: {why}", program.path.display()), Some(127)))
}

/// Returns whether a mail could be written: into the directory, or beside the file, where it is
/// made before it takes its place.
fn file_fits(path: &Path, steps: &StepRecorder) -> Result<(), Cause> {
    let is_dir = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let beside = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let special = std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir());
    let (kind, place, wanted) = match (is_dir, special) {
        (true, _) => (
            "the message would be written to a new file in this directory",
            path,
            Access::WRITE_OK | Access::EXEC_OK,
        ),
        (_, true) => (
            "the message would be written to it directly",
            path,
            Access::WRITE_OK,
        ),
        _ if path.exists() => (
            "the message would replace it",
            beside,
            Access::WRITE_OK | Access::EXEC_OK,
        ),
        _ => (
            "the message would be written to a new file",
            beside,
            Access::WRITE_OK | Access::EXEC_OK,
        ),
    };
    steps.fact("writes", Fact::Text(kind.to_owned()));
    access(place, wanted)
        .map_err(|error| Cause::File(format!("{}: {}", path.display(), reason(&error.into()))))
}
