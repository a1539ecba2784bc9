//! The one guarded open of files that are read, obeyed or added to. A shared floor: it knows no
//! room.
//!
//! Promise: a file is opened once and judged by what was opened. Opening never waits, and reading
//! is bounded in size and in time: a FIFO, a device or a socket in place of a file is refused, or
//! read against a deadline where programs hand such over. What a stranger may have put into a
//! directory that many may write to is not added to. Strangers are all but the user and root.
use std::fs::{File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::environment;

/// How long a program may take to write what is read from it as a file.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The pause between two looks at a lock that another program holds.
const PAUSE: Duration = Duration::from_millis(20);
/// Where a write means nothing.
const NULL: &str = "/dev/null";

/// Why a file is not used, beyond what the system says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A directory.
    #[error("it is a directory")]
    Dir,
    /// A device, a FIFO or a socket.
    #[error("it is not a regular file")]
    NotRegular,
    /// A symbolic link, where none is followed.
    #[error("it is a symbolic link")]
    Link,
    /// It has a second name, which may be that of another file of ours.
    #[error("it has more than one hard link")]
    SecondName,
    /// It lies in a directory that many may write to, and belongs to a stranger.
    #[error("it was created by another user in a directory that others can write to")]
    Strange,
    /// It is larger than this many bytes.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// It is a FIFO whose writer does not come to an end.
    #[error("it is a FIFO that was not closed within {0:?}")]
    Endless(Duration),
    /// Another program does not give its lock back.
    #[error("it is locked by another program")]
    Locked,
}

impl From<Unfit> for io::Error {
    fn from(unfit: Unfit) -> Self {
        io::Error::other(unfit)
    }
}

/// Who else may touch a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Permission bits, with those for set-uid and the like.
    pub mode: u32,
    /// The owner's number.
    pub owner: u32,
    /// The group's number.
    pub group: u32,
}

impl Access {
    /// Of a file that is open.
    pub fn of(facts: &Metadata) -> Self {
        Access {
            mode: facts.mode() & 0o7777,
            owner: facts.uid(),
            group: facts.gid(),
        }
    }

    /// Returns whether it belongs to a stranger.
    pub fn is_foreign(self) -> bool {
        self.owner != 0 && self.owner != environment::user_id()
    }

    /// Returns whether its group or everybody may change it.
    pub fn is_writable_by_others(self) -> bool {
        self.mode & 0o022 != 0
    }

    /// Returns whether others may decide what stands in it: the rule for every file that is obeyed.
    pub fn is_unsafe(self) -> bool {
        self.is_foreign() || self.is_writable_by_others()
    }
}

/// Opens a regular file for reading, and says what it is.
///
/// # Errors
/// [`Unfit::Directory`], [`Unfit::NotRegular`], and those of opening.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let (file, facts) = open_anything(path)?;
    regular(&facts)?;
    Ok((file, facts))
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// Those of [`open`] and of reading; [`Unfit::TooLarge`].
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<(Vec<u8>, Access)> {
    let (file, facts) = open(path)?;
    Ok((whole(file, limit)?, Access::of(&facts)))
}

/// As [`read`], also what a program writes: a FIFO, as shells make for `<(…)`, is read to its end
/// within ten seconds, and the null device is empty.
///
/// # Errors
/// Those of [`read`]; [`Unfit::Endless`].
pub(crate) fn read_stream(path: &Path, limit: u64) -> io::Result<(Vec<u8>, Access)> {
    let (file, facts) = open_anything(path)?;
    let bytes = if facts.file_type().is_fifo() {
        whole(
            Stream {
                file,
                end: Instant::now() + TIME_LIMIT,
            },
            limit,
        )?
    } else if is_null(&facts) {
        Vec::new()
    } else {
        regular(&facts)?;
        whole(file, limit)?
    };
    Ok((bytes, Access::of(&facts)))
}

/// Opens a file for adding to its end, and reading; `None` for the null device. A new one has mode
/// 0600 whatever the umask, as the next mail must be able to open it again.
///
/// # Errors
/// [`Unfit`]: a link, no regular file, a file with a second name, or one that a stranger may have
/// put there. Those of opening.
pub(crate) fn append(path: &Path) -> io::Result<Option<File>> {
    append_as(path, OFlags::RDWR)
}

/// As [`append`], without reading: nobody need be allowed to read a log to add to it.
///
/// # Errors
/// Those of [`append`].
pub(crate) fn append_unread(path: &Path) -> io::Result<Option<File>> {
    append_as(path, OFlags::WRONLY)
}

fn append_as(path: &Path, access: OFlags) -> io::Result<Option<File>> {
    let (dir, shared, name) = dir_of(path)?;
    let flags = access
        | OFlags::APPEND
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    let opened = match rustix::fs::openat(&dir, &name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            match rustix::fs::openat(&dir, &name, flags | OFlags::CREATE | OFlags::EXCL, mode) {
                Ok(new) => {
                    let file = File::from(new);
                    file.set_permissions(Permissions::from_mode(0o600))?;
                    return Ok(Some(file));
                }
                // Another process made it meanwhile.
                Err(Errno::EXIST) => rustix::fs::openat(&dir, &name, flags, Mode::empty()),
                Err(error) => Err(error),
            }
        }
        opened => opened,
    };
    let file = File::from(opened.map_err(|error| match error {
        Errno::LOOP | Errno::MLINK => Unfit::Link.into(),
        Errno::ISDIR => Unfit::Dir.into(),
        Errno::NXIO => Unfit::NotRegular.into(),
        other => io::Error::from(other),
    })?);
    let facts = file.metadata()?;
    if is_null(&facts) {
        return Ok(None);
    }
    regular(&facts)?;
    if facts.nlink() != 1 {
        return Err(Unfit::SecondName.into());
    }
    if shared && Access::of(&facts).is_foreign() {
        return Err(Unfit::Strange.into());
    }
    Ok(Some(file))
}

/// Refuses a name in a directory that others may write to, when a stranger made what stands there:
/// also a symbolic link, which would lead a write to a file of ours. A name that is free is fine.
///
/// # Errors
/// [`Unfit::Strange`], and those of looking.
pub(crate) fn refuse_strange(path: &Path) -> io::Result<()> {
    let (dir, shared, name) = dir_of(path)?;
    match rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) if shared && there.st_uid != 0 && there.st_uid != environment::user_id() => {
            Err(Unfit::Strange.into())
        }
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Why a file cannot be reached, though it may be there: a directory before it is closed to this
/// user, or cannot be entered. `None` for one that is there, and for one that is not.
pub(crate) fn unreachable(path: &Path) -> Option<io::Error> {
    path.metadata()
        .err()
        .filter(|error| error.kind() != io::ErrorKind::NotFound)
}

/// Locks a file for this process alone; another program may hold it for ten seconds at most.
///
/// # Errors
/// [`Unfit::Locked`], and those of locking.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    lock_within(file, TIME_LIMIT)
}

/// As [`lock`], for what may be held so long.
///
/// # Errors
/// Those of [`lock`].
pub(crate) fn lock_within(file: &File, timeout: Duration) -> io::Result<()> {
    let end = Instant::now() + timeout;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(Unfit::Locked.into());
            }
            // There is no lock with a deadline, and a signal that is handled would not end the wait
            // for one without.
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
    }
}

/// The words of the system, or ours, without the number of an error.
pub(crate) fn words(error: &io::Error) -> String {
    error
        .to_string()
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Opens a directory that need not be readable, where the system knows of that.
#[cfg(target_os = "linux")]
const UNREAD: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const UNREAD: OFlags = OFlags::RDONLY;

/// The directory a name lies in, opened; whether others may make names in it; and the name.
fn dir_of(path: &Path) -> io::Result<(OwnedFd, bool, std::ffi::OsString)> {
    let name = path.file_name().ok_or(Unfit::Dir)?.to_owned();
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let flags = UNREAD | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(rustix::fs::CWD, dir, flags, Mode::empty())?;
    let mode = rustix::fs::fstat(&dir)?.st_mode;
    // A group that may write to a directory in which only owners may rename is a crowd as well.
    let shared = mode & 0o002 != 0 || mode & 0o1020 == 0o1020;
    Ok((dir, shared, name))
}

fn open_anything(path: &Path) -> io::Result<(File, Metadata)> {
    // Without NONBLOCK a FIFO of that name would hold us before its kind is known.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        // A socket, or a device without a driver.
        Some(code) if code == Errno::NXIO.raw_os_error() => Unfit::NotRegular.into(),
        _ => error,
    })?;
    let facts = file.metadata()?;
    Ok((file, facts))
}

fn regular(facts: &Metadata) -> Result<(), Unfit> {
    match facts {
        facts if facts.is_dir() => Err(Unfit::Dir),
        facts if !facts.is_file() => Err(Unfit::NotRegular),
        _ => Ok(()),
    }
}

/// Returns whether it is the null device, whatever it is called.
fn is_null(facts: &Metadata) -> bool {
    facts.file_type().is_char_device()
        && std::fs::metadata(NULL).is_ok_and(|null| null.rdev() == facts.rdev())
}

fn whole(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        Err(Unfit::TooLarge(limit).into())
    } else {
        Ok(bytes)
    }
}

/// A FIFO that was opened without waiting, read until its writers are gone.
struct Stream {
    file: File,
    end: Instant,
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Unfit::Endless(TIME_LIMIT).into());
            }
            match self.file.read(out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready(self.file.as_fd(), left)?;
                }
                other => return other,
            }
        }
    }
}

/// Waits until there is something to read.
fn ready(file: std::os::fd::BorrowedFd<'_>, at_most: Duration) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(at_most.subsec_nanos()),
    };
    match poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&time)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
