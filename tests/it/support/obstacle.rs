//! What a test needs of the machine and does not find: it is skipped loudly, and fails where `CI`
//! is set, because a test that silently does nothing there would prove nothing for ever.
use std::io::Write as _;
use std::path::Path;

/// Tells that something cannot be tested here, and whether: `true` when there is an obstacle.
///
/// # Panics
/// Where `CI` is set and there is an obstacle.
pub(crate) fn stops(what: &str, obstacle: Option<&str>) -> bool {
    let Some(why) = obstacle else { return false };
    let notice = format!("\n*** NOT TESTED: {what}: {why} ***\n");
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    assert!(!in_ci, "{notice}");
    // Past the capture of libtest, which shows nothing of tests that pass.
    let _ = std::io::stderr().write_all(notice.as_bytes());
    true
}

/// The obstacle of a program that is not installed.
pub(crate) fn without_program(path: &str) -> Option<&'static str> {
    (!Path::new(path).exists()).then_some("a program is missing; tests/install.sh installs it")
}

/// The obstacle of not being root.
pub(crate) fn without_root() -> Option<&'static str> {
    (!rustix::process::geteuid().is_root()).then_some("only root may mount")
}
