//! Secrets that cannot be had, as causes.
use crate::children;
use crate::delivery::Cause;
use crate::secret::SecretError;

/// Why there is no secret: also because a signal has ended the program that was asked for it.
pub(super) fn no_secret(error: SecretError) -> Cause {
    children::asked().map_or(
        Cause::NoSecret(error.why, error.temporary),
        Cause::Interrupted,
    )
}
