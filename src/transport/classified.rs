//! Refusals classified by what is known of the provider, before anybody hears of them.
//!
//! Promise: the log and the report get the same answer, whichever reads it first. What is
//! known of words beats the first digit of a reply; where nothing is known, the reply's own class
//! stands.
use std::collections::HashMap;
use std::io;

use super::{ConnectionReuse, DeliveryLog, Transport};
use crate::delivery::{Class, Fault, Reply, Report, Stage};
use crate::hints;
use crate::message::Message;

/// A transport to a server of this provider, if it is known.
pub(super) struct Classified<T> {
    transport: T,
    provider: Option<String>,
}

impl<T: Transport> Classified<T> {
    /// Classifies what a transport reports.
    pub(super) fn new(transport: T, provider: Option<String>) -> Self {
        Classified {
            transport,
            provider,
        }
    }
}

impl<T: Transport> Transport for Classified<T> {
    fn go_in_lockstep(&mut self) {
        self.transport.go_in_lockstep();
    }

    fn deliver(
        &mut self,
        message: &Message,
        reuse: ConnectionReuse,
        log: &mut dyn DeliveryLog,
    ) -> Report {
        let mut classifier = Classifier::new(self.provider.as_deref());
        let mut report = self.transport.deliver(
            message,
            reuse,
            &mut ClassifiedLog {
                log,
                classifier: &mut classifier,
            },
        );
        for result in &mut report.recipients {
            classifier.classify(&mut result.outcome);
        }
        report
    }
}

struct ClassifiedLog<'l, 'p> {
    log: &'l mut dyn DeliveryLog,
    classifier: &'l mut Classifier<'p>,
}

impl DeliveryLog for ClassifiedLog<'_, '_> {
    fn before_dot(&mut self, recipients: &[usize]) -> io::Result<()> {
        self.log.before_dot(recipients)
    }

    fn settled(&mut self, outcomes: &[(usize, &Result<Reply, Fault>)]) {
        if outcomes.iter().all(|(_, outcome)| outcome.is_ok()) {
            return self.log.settled(outcomes);
        }
        let mut classified: Vec<_> = outcomes
            .iter()
            .map(|&(at, outcome)| (at, outcome.clone()))
            .collect();
        for (_, outcome) in &mut classified {
            self.classifier.classify(outcome);
        }
        self.log.settled(
            &classified
                .iter()
                .map(|(at, outcome)| (*at, outcome))
                .collect::<Vec<_>>(),
        );
    }
}

/// What the replies of a delivery mean: found once for each, whoever asks.
struct Classifier<'p> {
    provider: Option<&'p str>,
    known: HashMap<(Stage, Reply), Option<Class>>,
}

impl<'p> Classifier<'p> {
    fn new(provider: Option<&'p str>) -> Self {
        Classifier {
            provider,
            known: HashMap::new(),
        }
    }

    fn classify(&mut self, outcome: &mut Result<Reply, Fault>) {
        let Err(fault) = outcome else { return };
        // Only replies have words that tell a class.
        let Some(reply) = fault.reply() else { return };
        let provider = self.provider;
        let known = self
            .known
            .entry((fault.stage, reply.clone()))
            .or_insert_with(|| hints::class(fault, provider));
        let known = *known;
        fault.known = known;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Cause;

    fn class(provider: Option<&str>, stage: Stage, code: u16, text: &str) -> Class {
        let mut outcome = Err(Fault::new(
            stage,
            Cause::Refused(Reply::new(code, vec![text.into()])),
        ));
        Classifier::new(provider).classify(&mut outcome);
        outcome.unwrap_err().class()
    }

    #[test]
    fn what_a_provider_means_beats_the_first_digit() {
        let mail = "\"MAIL FROM\" doesn't conform with authentication (Auth Account:a@x.example|Mail Account:b@x.example)";
        assert_eq!(
            class(Some("alimail"), Stage::Sender, 440, mail),
            Class::Permanent
        );
        assert_eq!(
            class(Some("directmail"), Stage::Sender, 436, mail),
            Class::Permanent
        );
        let limit = "5.4.5 Daily user sending limit exceeded.";
        assert_eq!(
            class(Some("gmail"), Stage::Content, 550, limit),
            Class::Temporary
        );
        assert_eq!(
            class(None, Stage::Recipient, 550, "5.1.1 no such user"),
            Class::Permanent
        );
        assert_eq!(
            class(None, Stage::Recipient, 450, "4.2.0 greylisted"),
            Class::Temporary
        );
    }
}
