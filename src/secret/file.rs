//! Private files: opened once, and judged by what was opened.
//!
//! Promise: a file that others may read or that is a stranger's is refused, whatever the path
//! points at a moment later.
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::{Secret, SecretError, single_line};
use crate::environment;
use crate::files::{self, Unfit};

/// The largest file with a secret, in bytes: a bearer token takes 4 KiB.
const MAX_SECRET: u64 = 64 << 10;

/// Reads the first line of a private file of at most 64 KiB.
pub(super) fn first_line(path: &Path) -> Result<Secret, SecretError> {
    let bytes = read_private(path, MAX_SECRET)?;
    let line = bytes
        .split_inclusive(|b| *b == b'\n')
        .next()
        .unwrap_or_default();
    single_line(line, &format!("`{}`", path.display()))
}

/// Reads a private file whole: regular, owned by this user or root (by anybody, for root), closed
/// to others, at most `limit` bytes. Closed to its group too, unless it is root's in /etc: there
/// it is for those that mail on this host.
pub(super) fn read_private(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let name = path.display();
    let refuse = |why: String| SecretError::permanent(format!("`{name}` {why}"));
    let cannot = |error: std::io::Error| refuse(format!("cannot be read: {error}"));
    let (file, facts) = files::open(path).map_err(|error| match error.get_ref() {
        Some(unfit) if unfit.is::<Unfit>() => refuse("is not a regular file".to_owned()),
        _ => cannot(error),
    })?;
    // Root reads what it likes, and was told to by a setting that is trusted: container engines
    // hand in the file of a host's user as it is. What counts is that nobody else can change it.
    let foreign = files::Access::of(&facts).is_foreign() && !environment::is_root();
    // Where container engines mount secrets: root's directory, and readable by all in a container
    // that has one user. systemd gives a service its credentials by access lists, whose mask stands
    // where the bits of the group do.
    let of_engine = ["/run/secrets", "/var/run/secrets", "/run/credentials"]
        .iter()
        .any(|dir| path.starts_with(dir));
    let mounted = of_engine && !foreign && facts.mode() & 0o022 == 0;
    if foreign {
        return Err(refuse("belongs to another user".to_owned()));
    }
    let of_host = path.starts_with("/etc") && facts.uid() == 0;
    let closed = if of_host { 0o037 } else { 0o077 };
    if facts.mode() & closed != 0 && !mounted {
        let mode = facts.mode() & 0o777;
        return Err(refuse(format!(
            "is accessible to others (mode {mode:03o}); run `chmod 600 {name}`"
        )));
    }
    if facts.len() > limit {
        return Err(refuse(format!("is larger than {} KiB", limit >> 10)));
    }
    // Full size from the start: a vector that grows leaves copies of the secret behind.
    let size = usize::try_from(facts.len()).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > limit {
        return Err(refuse(format!("is larger than {} KiB", limit >> 10)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    #[test]
    fn root_reads_a_secret_of_another_user_that_nobody_else_can_touch() {
        if !environment::is_root() {
            return;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        chown(file.path(), Some(54_321), Some(54_321)).unwrap();
        let name = file.path().display();
        let read = |mode| {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            first_line(file.path())
                .map(|secret| secret.reveal().to_owned())
                .map_err(|error| error.why)
        };
        for mode in [0o600, 0o400] {
            assert_eq!(read(mode), Ok("s3cret".to_owned()));
        }
        for mode in [0o620, 0o602, 0o644, 0o640] {
            let why = format!(
                "`{name}` is accessible to others (mode {mode:03o}); run `chmod 600 \
                    {name}`"
            );
            assert_eq!(read(mode), Err(why));
        }
    }
}
