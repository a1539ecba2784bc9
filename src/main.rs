//! The program: what must happen before anything else does, and then the library's road.
use std::process::ExitCode;

/// Lets the TLS library look roots up in the hashed directory alone: it would read the bundle
/// beside it twice, which takes ten times as long as everything else, and only the environment
/// keeps it from that.
#[expect(
    unsafe_code,
    reason = "the environment is the only place where the TLS library looks; see SAFETY"
)]
#[expect(
    clippy::disallowed_methods,
    reason = "the one exception: before anything has read the environment"
)]
fn spare_the_bundle() {
    if let Some((name, value)) = smail::environment::certificates::to_set() {
        // SAFETY: the first statement of the program: no other thread exists that could read the
        // environment meanwhile.
        unsafe { std::env::set_var(name, value) };
    }
}

fn main() -> ExitCode {
    spare_the_bundle();
    smail::run()
}
