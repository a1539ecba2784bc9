//! What this process is and what it was given: words, variables, user, terminal, clock.
//!
//! Promise: nothing is remembered and nothing is written; each function asks the system once.
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, FixedOffset, Local};

/// The words of the command line; the first is the name that the program was called by.
pub fn words() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The names and values of all variables.
pub fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

/// A variable, also an empty one.
pub fn variable(name: impl AsRef<OsStr>) -> Option<OsString> {
    std::env::var_os(name)
}

/// A variable that is set to something.
pub fn filled(name: impl AsRef<OsStr>) -> Option<OsString> {
    variable(name).filter(|value| !value.is_empty())
}

/// The program that runs; `None` where the system does not tell.
pub fn program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// The number of this process.
pub fn id() -> u32 {
    std::process::id()
}

/// The user whose rights this process has.
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns whether this process has the rights of root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns whether this process has the rights of another user or group than its caller.
pub fn has_rights_of_another() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

/// Returns whether root started this process.
pub fn is_called_by_root() -> bool {
    rustix::process::getuid().is_root()
}

/// The name of this host, with a domain or without; `None` where it has none in UTF-8.
pub fn host_name() -> Option<String> {
    hostname::get().ok()?.into_string().ok()
}

/// Returns whether standard input is a terminal.
pub fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Returns whether standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether standard error is a terminal.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Returns whether the terminal, if there is one, can move its cursor and show colours.
pub fn is_capable_terminal() -> bool {
    filled("TERM").is_some_and(|term| term != "dumb")
}

/// Returns whether the user wants no colours (no-color.org).
pub fn wants_no_colours() -> bool {
    filled("NO_COLOR").is_some()
}

/// The time of the system's clock.
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// The time since 1970; none where the clock says an earlier one.
pub fn since_1970() -> Duration {
    now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// A day of local time, as in `2026-12-01`, of seconds from 1970.
pub fn date(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).map_or_else(String::new, |at| {
        at.with_timezone(&Local).format("%Y-%m-%d").to_string()
    })
}

/// The time of the system's clock, in the time zone of this process.
pub fn local_time() -> DateTime<FixedOffset> {
    Local::now().fixed_offset()
}
