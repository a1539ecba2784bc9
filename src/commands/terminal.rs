//! What standard output and standard error show: data, talk, and how far a message is.
//!
//! Promise: colours and a line that changes are for terminals only, and only for those that can
//! show them; `NO_COLOR` is honoured. The line is gone before anything else is written. Whatever
//! the words were made of, no control but TAB and the line end leaves here.
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::cli::Args;
use crate::environment;
use crate::failure;
use crate::language::Language;
use crate::report;
use crate::settings::Settings;
use crate::text::{self, Policy};
use crate::transport::{Event, Observer};

/// Erases the line the cursor stands in (ECMA-48 section 8.3.41).
const ERASE: &str = "\r\x1b[K";
/// Uploads that take no longer are not talked of.
const SHORT: Duration = Duration::from_secs(1);

/// The line about an upload is on the screen.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Standard output is for data; one that is closed is nobody's loss.
pub(super) fn print(text: &str) {
    print_coloured(&text::safe(text, Policy::Lines));
}

/// The same for lines that hold colours and were made safe before they got them.
pub(super) fn print_coloured(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Standard error is for talk; one that is closed must not stop a mail.
pub(super) fn complain(text: &str) {
    let mut out = std::io::stderr().lock();
    if SHOWN.swap(false, Ordering::Relaxed) {
        let _ = out.write_all(ERASE.as_bytes());
    }
    let text = text::safe(text, Policy::Lines);
    let painted = has_colours().then(|| failure::painted(&text));
    let _ = out.write_all(painted.as_deref().unwrap_or(&text).as_bytes());
}

/// Returns whether standard error is a terminal that moves its cursor.
fn is_lively() -> bool {
    static LIVELY: OnceLock<bool> = OnceLock::new();
    *LIVELY.get_or_init(|| environment::stderr_is_terminal() && environment::is_capable_terminal())
}

/// Returns whether it shows colours, and the user wants them (no-color.org).
fn has_colours() -> bool {
    is_lively() && !environment::wants_no_colours()
}

/// Shows what happens while a message travels: the dialogue under `-v`, a word on what is visibly
/// wrong with a password, and how far a message is that takes longer than a second.
pub(super) struct Terminal {
    language: Language,
    dialogue: bool,
    doubts: bool,
    progress: bool,
    start: OnceLock<Instant>,
}

impl Terminal {
    /// Shows what the command line and the settings ask for.
    pub(super) fn new(args: &Args, settings: &Settings) -> Self {
        Terminal {
            language: failure::language(settings),
            dialogue: settings.flag("verbose"),
            doubts: !args.quiet,
            progress: !args.quiet && args.sendmail.is_none() && is_lively(),
            start: OnceLock::new(),
        }
    }

    /// The same without a word on passwords, for a dialogue that has its own.
    pub(super) fn without_doubts(args: &Args, settings: &Settings) -> Self {
        Terminal {
            doubts: false,
            ..Terminal::new(args, settings)
        }
    }

    fn show_progress(&self, sent: u64, size: u64) {
        let begun = *self.start.get_or_init(Instant::now);
        let mut out = std::io::stderr().lock();
        if sent >= size {
            if SHOWN.swap(false, Ordering::Relaxed) {
                let _ = out.write_all(ERASE.as_bytes());
            }
        } else if begun.elapsed() >= SHORT {
            SHOWN.store(true, Ordering::Relaxed);
            let percent = sent.saturating_mul(100) / size.max(1);
            let _ = write!(
                out,
                "{ERASE}{} of {} sent, {percent} %",
                report::size(sent),
                report::size(size)
            );
            let _ = out.flush();
        }
    }
}

impl Observer for Terminal {
    fn observe(&self, event: Event<'_>) {
        match event {
            Event::Line(line) if self.dialogue => complain(&report::spoken(line)),
            Event::Progress { sent, size } if self.progress => self.show_progress(sent, size),
            Event::UnlikelySecret(hint) if self.doubts => {
                complain(&failure::suspicion(hint, self.language));
            }
            _ => {}
        }
    }

    fn wants_dialogue(&self) -> bool {
        self.dialogue
    }

    fn wants_progress(&self) -> bool {
        self.progress
    }
}
