//! The queues of this user: which directories they are, and by which policy they are kept.
use std::time::Duration;

use crate::cli::Args;
use crate::environment::Environment;
use crate::failure::{self, Exit, Failure};
use crate::queue::{DirError, Policy, Queue, Queues};
use crate::settings::{Settings, value};

use super::complain;

/// How long a mail waits for its turn when many are sent at once, how long a mail that was sent
/// takes others along, and how long a mail that was named is waited for.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Opens the queue, when mail goes through it.
///
/// # Errors
/// A directory that must not be used, or settings that do not fit.
pub(super) fn open(
    args: &Args,
    settings: &Settings,
    env: &Environment,
) -> Result<Option<Queues>, Failure> {
    let wanted = match settings.text("queue").as_deref() {
        Some(said) => said == "true",
        None => !env.is_ci(),
    };
    if args.no_queue || (!wanted && args.idempotency_key.is_none()) {
        return match &args.idempotency_key {
            Some(_) => Err(Failure::new(
                Exit::USAGE,
                "`--idempotency-key` requires the queue and cannot be used together with \
                `--no-queue`",
            )),
            None => Ok(None),
        };
    }
    match at_hand(settings, env) {
        // Where nothing can be kept, mail is sent as if there were no queue; a directory that was
        // named must be there.
        Err(Failure {
            exit: Exit::CREATE, ..
        }) if (settings.path("queue-dir").is_none() || settings.is_of_system("queue-dir"))
            && args.idempotency_key.is_none() =>
        {
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

/// The queues of this user, whether mail goes through them or not: the directory that takes new
/// mail, which is made where it is missing, and all others that are there, as mail may have been
/// kept in them while the first could not be used.
///
/// # Errors
/// No directory that may be used.
pub(super) fn at_hand(settings: &Settings, env: &Environment) -> Result<Queues, Failure> {
    let policy = policy(settings)?;
    let (mut found, mut problems, mut missing) = (Vec::new(), Vec::new(), None);
    if let Some(named) = settings.path("queue-dir") {
        match Queue::open(&named, policy.clone(), failure::one_line) {
            // The system's directory is root's, or that of one service; everybody else has their
            // own.
            Err(error) if settings.is_of_system("queue-dir") && is_of_others(&error) => {
                if settings.flag("verbose") {
                    complain(&failure::remark(&format!(
                        "{error}; using a directory of this user instead"
                    )));
                }
            }
            outcome => found.push(outcome?),
        }
    }
    let named = (!found.is_empty()).then_some(0);
    for place in &env.state {
        let enough = named.is_some() || found.iter().any(Queue::is_writable);
        let opened = if enough {
            Queue::look(place, policy.clone(), failure::one_line)
        } else {
            Queue::open(place, policy.clone(), failure::one_line).map(Some)
        };
        match opened {
            Ok(queue) => {
                found.extend(queue.filter(|queue| {
                    found
                        .iter()
                        .all(|other: &Queue| other.path() != queue.path())
                }));
            }
            // What others could read must be mended, not passed over: mail may wait in it.
            Err(error @ DirError::Unsafe { .. }) if found.is_empty() => return Err(error.into()),
            Err(error) if !matches!(error, DirError::Foreign { .. }) && place.is_dir() => {
                problems.push(error);
            }
            Err(error) => drop(missing.get_or_insert(error)),
        }
    }
    let problem = if found.is_empty() && !problems.is_empty() {
        Some(problems.remove(0))
    } else {
        missing
    };
    Queues::new(found, named, problems).ok_or_else(|| match problem {
        Some(error) => error.into(),
        None => Failure::new(Exit::CREATE, "no directory for the queue").hint("set queue-dir"),
    })
}

/// The queue of this user for those who ask what waits in it; `None` where there is no directory
/// that anything could wait in.
///
/// # Errors
/// A directory is there and must not be used, or cannot be.
pub(super) fn existing(settings: &Settings, env: &Environment) -> Result<Option<Queues>, Failure> {
    let named = settings.path("queue-dir");
    let of_user = named.is_some() && !settings.is_of_system("queue-dir");
    let is_there = |path: &std::path::PathBuf| path.symlink_metadata().is_ok();
    match at_hand(settings, env) {
        Err(Failure {
            exit: Exit::CREATE, ..
        }) if !of_user && !named.iter().chain(&env.state).any(is_there) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Returns whether a directory cannot be used because it is another's, or lies in one that is.
fn is_of_others(error: &DirError) -> bool {
    match error {
        DirError::Foreign { .. } => true,
        DirError::Unusable { error, .. } => error.kind() == std::io::ErrorKind::PermissionDenied,
        DirError::Unsafe { .. } => false,
    }
}

fn policy(settings: &Settings) -> Result<Policy, Failure> {
    let mut policy = Policy::default();
    let pauses = settings.list("queue-schedule");
    if !pauses.is_empty() {
        let read = |text: &String| {
            value::time(text)
                .map_err(|why| Failure::new(Exit::CONFIG, format!("queue-schedule: {why}")))
        };
        policy.schedule = pauses.iter().map(read).collect::<Result<_, _>>()?;
    }
    if let Some(lifetime) = settings.time("queue-lifetime") {
        policy.lifetime = lifetime;
    }
    policy.hold_on_doubt = settings.filled("on-doubt").as_deref() == Some("hold");
    policy.on_failure = settings.list("on-failure");
    Ok(policy)
}
