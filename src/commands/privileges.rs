//! Refuses to run with rights that the caller does not have.
//!
//! Promise: a program that is set-uid, set-gid or has capabilities of its file does nothing at all.
use crate::environment;
use crate::failure::{Exit, Failure};

/// Whoever runs smail chooses files, programs and servers: with the rights of another, these would
/// be the other's.
pub(super) fn check() -> Result<(), Failure> {
    if environment::has_rights_of_another() {
        let what = "refusing to run with the privileges of another user or group (set-uid or \
            set-gid)";
        let hint = "run chmod ug-s on the program; it needs no privileges of its own";
        return Err(Failure::new(Exit::PERMISSION, what).hint(hint));
    }
    if has_capabilities_of_file() {
        let what = "refusing to run with file capabilities";
        let hint = "run setcap -r on the program; it needs no privileges of its own";
        return Err(Failure::new(Exit::PERMISSION, what).hint(hint));
    }
    Ok(())
}

/// Returns whether this program has capabilities that its caller did not hand down: only the file
/// can have given them (capabilities(7)). The kernel says so in `AT_SECURE` too, but to C programs
/// only.
#[cfg(target_os = "linux")]
fn has_capabilities_of_file() -> bool {
    use rustix::thread::{CapabilitySet, capabilities, capability_is_in_ambient_set};
    if environment::is_called_by_root() {
        return false;
    }
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.permitted);
    held.iter()
        .any(|one| !capability_is_in_ambient_set(one).unwrap_or(false))
}

#[cfg(not(target_os = "linux"))]
fn has_capabilities_of_file() -> bool {
    false
}
