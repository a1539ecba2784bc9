//! Copies of sent mail on this host: `record`, `-F`, and the dead letter of a mail that was lost.
use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context;

use super::complain;
use super::deliver::Sent;
use crate::cli::Args;
use crate::draft::Draft;
use crate::failure::{Exit, Failure};
use crate::mbox;
use crate::message::{Message, Stamp};
use crate::settings::Settings;

/// What a copy on this host needs of a draft before it becomes a message.
pub(super) struct Copy {
    /// How many recipients the headers show; those behind them in the envelope are Bcc.
    shown: usize,
    /// The first recipient's name, for `-F`.
    first: Option<String>,
}

impl Copy {
    pub(super) fn of(args: &Args, draft: &Draft) -> Self {
        let shown: BTreeSet<String> = draft
            .to
            .iter()
            .chain(&draft.cc)
            .map(|m| m.address.key())
            .collect();
        let first = draft.to.iter().chain(&draft.cc).chain(&draft.bcc).next();
        Copy {
            shown: shown.len(),
            first: first
                .filter(|_| args.record_by_recipient)
                .map(|m| m.address.local().replace('/', "_")),
        }
    }

    /// Keeps the copies that settings ask for. A copy that cannot be kept never undoes a mail that
    /// was sent.
    pub(super) fn keep(
        &self,
        args: &Args,
        settings: &Settings,
        message: &Message,
        stamp: &Stamp,
        sent: &Sent,
    ) -> Exit {
        let mut exit = Exit::OK;
        let bcc = message
            .envelope
            .recipients
            .get(self.shown..)
            .unwrap_or_default();
        for path in self.places(args, settings, sent) {
            let outcome = if sent.lost {
                "the message was not sent, and"
            } else {
                "the message was sent, but"
            };
            let kept = mbox::append(&path, message, stamp.now, bcc)
                .with_context(|| format!("{outcome} no copy could be saved in {}", path.display()));
            if let Err(error) = kept {
                let failure = Failure::from(error);
                complain(&failure.text());
                exit = failure.exit;
            }
        }
        exit
    }

    fn places(&self, args: &Args, settings: &Settings, sent: &Sent) -> Vec<PathBuf> {
        if sent.lost {
            let letter = || {
                settings
                    .path("dead-letter")
                    .unwrap_or_else(|| settings.expand("~/dead.letter"))
            };
            return settings.flag("save").then(letter).into_iter().collect();
        }
        let dir = settings
            .path("folder")
            .unwrap_or_else(|| settings.expand("~"));
        let in_dir = settings.flag("record-in-folder");
        let place = |name: &str| match name.strip_prefix('+') {
            Some(name) => dir.join(name),
            None if in_dir && !name.starts_with(['/', '~']) => dir.join(name),
            None => settings.expand(name),
        };
        // A mail with this key was recorded when it was taken; one that was refused is no copy of
        // sent mail.
        let taken = sent.report.is_none() && args.idempotency_key.is_some();
        if taken
            || !matches!(sent.exit, Exit::OK) && sent.report.as_ref().is_some_and(|r| !r.any_done())
        {
            return Vec::new();
        }
        settings
            .filled("record")
            .into_iter()
            .chain(self.first.clone())
            .map(|name| place(&name))
            .collect()
    }
}
