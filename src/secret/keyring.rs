//! The keyring of a desktop: the Secret Service of Linux, the Keychain of macOS.
//!
//! Promise: nobody is asked to unlock it, so that cron never waits for a person: a locked keyring, and
//! one that does not run, are temporary. Entries are those of msmtp and of `secret-tool`: the
//! attributes `host`, `service` (smtp) and `user`; on macOS an internet password for SMTP.
use super::{Secret, SecretError};

/// Looks up the password of a user at a server.
///
/// # Errors
/// [`SecretError`]: temporary where the keyring is locked or absent.
pub(super) fn password(user: &str, host: &str) -> Result<Secret, SecretError> {
    let bytes = zeroize::Zeroizing::new(find(user, host)?);
    super::single_line(&bytes, "the keyring")
}

/// What is done about an entry that is not there.
fn missing(user: &str, host: &str) -> SecretError {
    let how = if cfg!(target_vendor = "apple") {
        format!("security add-internet-password -s {host} -a {user} -r smtp -w")
    } else {
        format!("secret-tool store --label={host} host {host} service smtp user {user}")
    };
    SecretError::permanent(format!(
        "the keyring has no password of {user} for {host}; store it with `{how}`"
    ))
}

#[cfg(not(feature = "keyring"))]
fn find(_: &str, _: &str) -> Result<Vec<u8>, SecretError> {
    let _ = missing;
    Err(SecretError::permanent(
        "this smail was built without the keyring; build it with --features keyring, or use auth-password-command",
    ))
}

#[cfg(all(feature = "keyring", not(target_vendor = "apple")))]
fn find(user: &str, host: &str) -> Result<Vec<u8>, SecretError> {
    use dbus_secret_service::{EncryptionType, Error, SecretService};

    let failed = |error: Error| {
        let why = match error {
            Error::Unavailable | Error::Dbus(_) => "no keyring runs in this session".to_owned(),
            Error::Locked | Error::Prompt => "the keyring is locked".to_owned(),
            other => format!("the keyring cannot be read: {other}"),
        };
        SecretError::temporary(why)
    };
    // The bus is a socket of this user.
    let service = SecretService::connect(EncryptionType::Plain).map_err(failed)?;
    let wanted = [("host", host), ("service", "smtp"), ("user", user)];
    let found = service.search_items(wanted.into()).map_err(failed)?;
    match (found.unlocked.first(), found.locked.is_empty()) {
        (Some(item), _) => item.get_secret().map_err(failed),
        (None, false) => Err(SecretError::temporary("the keyring is locked")),
        (None, true) => Err(missing(user, host)),
    }
}

#[cfg(all(feature = "keyring", target_vendor = "apple"))]
fn find(user: &str, host: &str) -> Result<Vec<u8>, SecretError> {
    use security_framework::passwords::get_internet_password;
    use security_framework_sys::keychain::{SecAuthenticationType, SecProtocolType};

    get_internet_password(
        host,
        None,
        user,
        "",
        None,
        SecProtocolType::SMTP,
        SecAuthenticationType::Any,
    )
    .map_err(|error| match error.code() {
        // errSecItemNotFound
        -25300 => missing(user, host),
        _ => SecretError::temporary(format!("the keyring cannot be read: {error}")),
    })
}
