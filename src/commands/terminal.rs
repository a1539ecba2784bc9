//! What standard output and standard error show: data, talk, and how far a message is.
//!
//! Promise: colours and a line that changes are for terminals only, and only for those that can
//! show them; `NO_COLOR` is honoured. The line is gone before anything else is written. Whatever
//! the words were made of, no control but TAB and the line end leaves here.
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::environment;
use crate::failure;
use crate::report;
use crate::text::{self, Policy};
use crate::transport::Progress;

/// Erases the line the cursor stands in (ECMA-48 section 8.3.41).
const ERASE: &str = "\r\x1b[K";
/// Uploads that take no longer are not talked of.
const SHORT: Duration = Duration::from_secs(1);

/// The line about an upload is on the screen.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Standard output is for data; one that is closed is nobody's loss.
pub fn print(text: &str) {
    print_coloured(&text::safe(text, Policy::Lines));
}

/// The same for lines that hold colours and were made safe before they got them.
pub fn print_coloured(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Standard error is for talk; one that is closed must not stop a mail.
pub fn complain(text: &str) {
    let mut out = std::io::stderr().lock();
    if SHOWN.swap(false, Ordering::Relaxed) {
        let _ = out.write_all(ERASE.as_bytes());
    }
    let text = text::safe(text, Policy::Lines);
    let painted = has_colours().then(|| failure::painted(&text));
    let _ = out.write_all(painted.as_deref().unwrap_or(&text).as_bytes());
}

/// Whether standard error is a terminal that moves its cursor.
fn is_lively() -> bool {
    static LIVELY: OnceLock<bool> = OnceLock::new();
    *LIVELY.get_or_init(|| environment::stderr_is_terminal() && environment::is_capable_terminal())
}

/// Whether it shows colours, and the user wants them (no-color.org).
fn has_colours() -> bool {
    is_lively() && !environment::wants_no_colours()
}

/// Shows how far a message is, once it takes longer than a second; `None` where nobody looks on.
pub fn progress() -> Option<Progress> {
    if !is_lively() {
        return None;
    }
    let start = OnceLock::new();
    Some(Arc::new(move |sent, size| {
        let begun = *start.get_or_init(Instant::now);
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
    }))
}
