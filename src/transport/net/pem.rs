//! Files of certificates that the settings name.
//!
//! Promise: a file that everybody may change is refused; an error names the file.
use std::path::Path;

use native_tls::Certificate;

use crate::delivery::Cause;
use crate::files;
use crate::transport::peer_text::reason;

/// The largest file of certificates, in bytes; the system's has 220 KB.
const LARGEST: u64 = 16 << 20;

/// Every certificate of a PEM file; at least one.
///
/// # Errors
/// [`Cause::TlsSettings`] naming the file.
pub(crate) fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<Certificate>, Cause> {
    match Certificate::stack_from_pem(pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Cause::TlsSettings(format!(
            "{} contains no certificate in PEM format",
            file.display()
        ))),
    }
}

/// Also what a program writes into a FIFO, as shells make for `<(…)`. What everybody may change
/// proves nothing.
///
/// # Errors
/// [`Cause::TlsSettings`] naming the file.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Cause> {
    let unusable = |why: &str| Cause::TlsSettings(format!("{}: {why}", file.display()));
    let (bytes, access) =
        files::read_stream(file, LARGEST).map_err(|error| unusable(&reason(&error)))?;
    if access.mode & 0o002 != 0 && !bytes.is_empty() {
        return Err(unusable("it is writable by everyone; run chmod o-w on it"));
    }
    Ok(bytes)
}
