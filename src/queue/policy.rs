//! When a mail is tried again, and what an outcome means for it.
use std::time::Duration;

use crate::delivery::{Cause, Class, Fault, Stage};

/// The schedule and the rules of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The pauses between attempts; the last one repeats.
    pub schedule: Vec<Duration>,
    /// How long a mail is tried.
    pub lifetime: Duration,
    /// A mail in doubt is held instead of sent again.
    pub hold_on_doubt: bool,
    /// The program that is run when a mail is given up, with its arguments.
    pub on_failure: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        let minutes = [1, 2, 5, 10, 20, 40, 60, 120, 240];
        Policy {
            schedule: minutes.map(Duration::from_mins).to_vec(),
            lifetime: Duration::from_hours(5 * 24),
            hold_on_doubt: false,
            on_failure: Vec::new(),
        }
    }
}

/// What an outcome means for a recipient that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again later.
    Defer,
    /// Given up.
    Refuse,
    /// Perhaps accepted.
    Doubt,
}

impl Policy {
    /// The pause after so many attempts, with a tenth of jitter on long ones so that queues do not
    /// march in step. `chance` is any number.
    pub fn pause(&self, tries: usize, chance: u64) -> Duration {
        let last = self.schedule.len().saturating_sub(1);
        let pause = self
            .schedule
            .get(tries.saturating_sub(1).min(last))
            .copied()
            .unwrap_or(Duration::from_mins(1));
        if pause < Duration::from_hours(1) {
            return pause;
        }
        let tenth = pause / 10;
        tenth * 9 + tenth * u32::try_from(chance % 201).unwrap_or(100) / 100
    }

    /// The longest pause there is.
    pub fn longest(&self) -> Duration {
        self.schedule.iter().max().copied().unwrap_or_default()
    }

    /// The lifetime in milliseconds.
    pub fn lifetime_ms(&self) -> i64 {
        i64::try_from(self.lifetime.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Decides on a fault. What its operator can mend (a name, a certificate, a login) keeps the mail;
/// what the server said of this mail and its recipients counts.
pub fn verdict(fault: &Fault) -> Verdict {
    if fault.in_doubt {
        return Verdict::Doubt;
    }
    let wants_login = fault.stage == Stage::Sender
        && fault
            .reply()
            .is_some_and(|r| matches!(r.code, 530 | 535 | 538));
    let of_session = matches!(
        fault.stage,
        Stage::Prepare
            | Stage::Resolve
            | Stage::Connect
            | Stage::Greeting
            | Stage::Hello
            | Stage::Tls
            | Stage::Login
    );
    match &fault.cause {
        Cause::Content(_) | Cause::Unsound(_) => Verdict::Refuse,
        _ if of_session || wants_login || fault.class() == Class::Temporary => Verdict::Defer,
        _ => Verdict::Refuse,
    }
}

/// Returns whether a fault struck the session and not this mail: the next mail for the same server
/// would fare the same.
pub fn is_of_session(fault: &Fault) -> bool {
    verdict(fault) == Verdict::Defer
        && matches!(
            fault.stage,
            Stage::Prepare
                | Stage::Resolve
                | Stage::Connect
                | Stage::Greeting
                | Stage::Hello
                | Stage::Tls
                | Stage::Login
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Reply;

    fn refused(stage: Stage, code: u16) -> Fault {
        Fault::new(stage, Cause::Refused(Reply::new(code, vec!["x".into()])))
    }

    #[test]
    fn the_pauses_grow_and_the_last_one_repeats() {
        let policy = Policy::default();
        let minutes = |tries| policy.pause(tries, 100).as_secs() / 60;
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99].map(minutes),
            [1, 2, 5, 10, 20, 40, 60, 120, 240, 240, 240]
        );
        assert_eq!(
            (policy.pause(9, 0).as_secs(), policy.pause(9, 200).as_secs()),
            (216 * 60, 264 * 60)
        );
    }

    #[test]
    fn what_the_operator_can_mend_keeps_the_mail() {
        assert_eq!(verdict(&refused(Stage::Login, 535)), Verdict::Defer);
        assert_eq!(
            verdict(&Fault::new(Stage::Resolve, Cause::NoSuchHost("x".into()))),
            Verdict::Defer
        );
        assert_eq!(verdict(&refused(Stage::Sender, 530)), Verdict::Defer);
        assert_eq!(verdict(&refused(Stage::Recipient, 450)), Verdict::Defer);
        assert_eq!(verdict(&refused(Stage::Recipient, 550)), Verdict::Refuse);
        assert_eq!(verdict(&refused(Stage::Sender, 550)), Verdict::Refuse);
        assert_eq!(verdict(&refused(Stage::Content, 554)), Verdict::Refuse);
        assert_eq!(
            verdict(&Fault {
                in_doubt: true,
                ..refused(Stage::Content, 451)
            }),
            Verdict::Doubt
        );
        assert!(
            is_of_session(&refused(Stage::Login, 535))
                && !is_of_session(&refused(Stage::Recipient, 450))
        );
    }
}
