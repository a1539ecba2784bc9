//! Reports of attempts turned into the words of the log.
//!
//! Promise: whatever becomes of the log, the mail and the exit status stay as they are.
use crate::cli::Args;
use crate::delivery::{Class, Fault, Report};
use crate::environment::Environment;
use crate::failure;
use crate::maillog::{Attempt, Log};
use crate::queue::{self, Verdict};
use crate::settings::Settings;

use super::complain;

/// Writes down that a mail was dropped, as its recipients have aliases to `/dev/null`.
pub(super) fn note_dropped(settings: &Settings, args: &Args) {
    let attempt = Attempt {
        error: Some("every recipient has an alias to /dev/null"),
        ..Attempt::default()
    };
    RunLog::of(settings, args).note_end(&attempt, ("", &[]), "dropped");
}

/// Keeps the log of this run, and complains of it once at most.
pub(super) struct RunLog {
    log: Log,
    caller: String,
    quiet: bool,
}

impl RunLog {
    /// For a run with these settings. sendmail is expected to write to the log of the host.
    pub(super) fn of(settings: &Settings, args: &Args) -> Self {
        let unsaid = args.sendmail.is_some() && settings.text("log").is_none();
        let log = if unsaid {
            Log::syslog()
        } else {
            Log::of(settings)
        };
        let caller = if log.is_off() {
            String::new()
        } else {
            Environment::of_process().caller()
        };
        RunLog {
            log,
            caller,
            quiet: args.quiet,
        }
    }

    /// Writes an attempt down with what its report tells. `kept`: those that failed for now will be
    /// tried again.
    pub(super) fn note(
        &mut self,
        attempt: &Attempt<'_>,
        (from, to): (&str, &[String]),
        report: Option<&Report>,
        kept: bool,
    ) {
        if self.log.is_off() {
            return;
        }
        let fault = report
            .and_then(|r| r.recipients.iter().find_map(|f| f.outcome.as_ref().err()))
            .map(failure::one_line);
        let refused = |f: &Fault| {
            if kept {
                queue::verdict(f) == Verdict::Refuse
            } else {
                f.class() == Class::Permanent
            }
        };
        let status = match report {
            None => "queued",
            Some(report) if report.is_done() => "sent",
            Some(report) if report.any_done() => "partial",
            Some(report)
                if report
                    .recipients
                    .iter()
                    .all(|f| f.outcome.as_ref().is_err_and(refused)) =>
            {
                "rejected"
            }
            Some(_) if kept => "deferred",
            Some(_) => "failed",
        };
        let error = fault.as_deref().or(attempt.error);
        self.write(
            &Attempt {
                report,
                status,
                error,
                ..attempt.clone()
            },
            (from, to),
        );
    }

    /// Writes down what became of a mail beside an attempt: it was put off before anything was sent
    /// of it, or given up after its last one.
    pub(super) fn note_end(
        &mut self,
        attempt: &Attempt<'_>,
        between: (&str, &[String]),
        status: &'static str,
    ) {
        self.write(
            &Attempt {
                status,
                ..attempt.clone()
            },
            between,
        );
    }

    fn write(&mut self, attempt: &Attempt<'_>, (from, to): (&str, &[String])) {
        if self.log.is_off() {
            return;
        }
        let to = to.iter().map(String::as_str).collect();
        let attempt = Attempt {
            caller: &self.caller,
            from,
            to,
            ..attempt.clone()
        };
        if let Err(error) = self.log.write(&attempt)
            && !std::mem::replace(&mut self.quiet, true)
        {
            complain(&failure::remark(&format!("cannot write the log: {error}")));
        }
    }
}
