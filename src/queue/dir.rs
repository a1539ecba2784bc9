//! The queue's directory: where it is, who may touch it, and the few file operations whose order
//! the promises rest on.
//!
//! Promise: every name is resolved inside directories that were opened once and judged by what was
//! opened; files are 0600 and directories 0700 whatever the umask. Refuses directories of others,
//! directories others may enter, and symbolic links.
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::environment;

/// One of the directories in the queue's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subdir {
    /// Mail that waits.
    Waiting,
    /// Mail that was refused or grew too old.
    Failed,
    /// What cannot be read.
    Corrupt,
    /// Keys of `--idempotency-key`.
    Keys,
}

const SUBDIRS: [(Subdir, &str); 4] = [
    (Subdir::Waiting, "q"),
    (Subdir::Failed, "failed"),
    (Subdir::Corrupt, "corrupt"),
    (Subdir::Keys, "keys"),
];

/// What a lock on the queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    /// A run that gives way to another has it while it lasts.
    Runner,
    /// A mail that was given up is being brought back.
    Moves,
    /// Its owner is the head of those who wait for a place among the processes that send.
    Head,
}

/// The name of the file that keeps a little room.
const RESERVE: &str = "reserve";

/// Why there is no directory.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// It belongs to another user.
    #[error("the queue directory {}: it belongs to another user", .path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// Others may enter it, or it is a symbolic link.
    #[error("the queue directory {}: {why}", .path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// A lowercase fragment.
        why: String,
    },
    /// It cannot be made or opened: no place, no permission, a read-only file system.
    #[error("the queue directory {}: {error}", .path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Makes a directory and those above it, each closed to others and open to us whatever the umask.
fn make_all(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_all(above)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Ok(()) if path.symlink_metadata()?.mode() & 0o700 != 0o700 => Ok(rustix::fs::chmodat(
            rustix::fs::CWD,
            path,
            Mode::from_raw_mode(0o700),
            AtFlags::empty(),
        )?),
        outcome => outcome,
    }
}

/// The opened directories.
#[derive(Debug)]
pub(super) struct QueueDir {
    root: OwnedFd,
    subdirs: [OwnedFd; 4],
    path: PathBuf,
}

impl QueueDir {
    /// Opens the queue at a path, and makes it when it is not there.
    ///
    /// # Errors
    /// [`DirError`].
    pub(super) fn open(path: &Path) -> Result<Self, DirError> {
        let unusable = |error: io::Error| DirError::Unusable {
            path: path.to_owned(),
            error,
        };
        let new = path.symlink_metadata().is_err();
        make_all(path).or_else(|error| {
            // A link or a file in its place is judged below, in words that say so.
            if path.symlink_metadata().is_ok() {
                Ok(())
            } else {
                Err(unusable(error))
            }
        })?;
        let root = Self::enter(rustix::fs::CWD, path, path)?;
        let mut subdirs = Vec::with_capacity(SUBDIRS.len());
        for (_, name) in SUBDIRS {
            match rustix::fs::mkdirat(&root, name, Mode::from_raw_mode(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(unusable(error.into())),
            }
            subdirs.push(Self::enter(&root, Path::new(name), &path.join(name))?);
        }
        if new {
            // Mail is as durable as the names of the directories it lies in.
            rustix::fs::fsync(&root).map_err(|error| unusable(error.into()))?;
            for above in path
                .ancestors()
                .skip(1)
                .take(3)
                .filter(|above| !above.as_os_str().is_empty())
            {
                let _ = std::fs::File::open(above).and_then(|dir| dir.sync_all());
            }
        }
        let subdirs = subdirs
            .try_into()
            .map_err(|_| unusable(io::Error::other("a directory is missing")))?;
        Ok(QueueDir {
            root,
            subdirs,
            path: path.to_owned(),
        })
    }

    fn enter(at: impl AsFd, name: &Path, shown: &Path) -> Result<OwnedFd, DirError> {
        let refused = |why: &str| DirError::Unsafe {
            path: shown.to_owned(),
            why: why.to_owned(),
        };
        let unusable = |error: Errno| DirError::Unusable {
            path: shown.to_owned(),
            error: error.into(),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match rustix::fs::openat(&at, name, flags, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(refused("it is a symbolic link or not a directory"));
            }
            // A umask of 777 leaves a directory that its own maker cannot enter.
            Err(Errno::ACCESS) => {
                let _ =
                    rustix::fs::chmodat(&at, name, Mode::from_raw_mode(0o700), AtFlags::empty());
                rustix::fs::openat(&at, name, flags, Mode::empty()).map_err(unusable)?
            }
            Err(error) => return Err(unusable(error)),
        };
        let stat = rustix::fs::fstat(&dir).map_err(unusable)?;
        if stat.st_uid != environment::user_id() {
            return Err(DirError::Foreign {
                path: shown.to_owned(),
            });
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(refused(&format!(
                "others can access it (mode {:04o}); run chmod 700 on it",
                stat.st_mode & 0o777
            )));
        }
        if stat.st_mode & 0o700 != 0o700 {
            rustix::fs::fchmod(&dir, Mode::from_raw_mode(0o700)).map_err(unusable)?;
        }
        Ok(dir)
    }

    /// Returns whether mail can be written down: a file system that became read-only lets
    /// everything be opened that is there.
    pub(super) fn is_writable(&self) -> bool {
        let access = rustix::fs::accessat(
            self.subdir(Subdir::Waiting),
            ".",
            Access::WRITE_OK,
            AtFlags::EACCESS,
        );
        !matches!(access, Err(Errno::ROFS | Errno::ACCESS))
    }

    /// The path as it was opened, for words.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn subdir(&self, subdir: Subdir) -> &OwnedFd {
        let place = SUBDIRS.iter().position(|(r, _)| *r == subdir).unwrap_or(0);
        &self.subdirs[place]
    }

    /// Makes a new file; an existing one is an error.
    pub(super) fn create(&self, subdir: Subdir, name: &str) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.make(subdir, name, flags)
    }

    /// Opens a file for reading and appending, and makes it when it is not there.
    pub(super) fn append(&self, subdir: Subdir, name: &str) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.make(subdir, name, flags)
    }

    /// The same for a file that must be there.
    pub(super) fn append_to(&self, subdir: Subdir, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.make(subdir, name, flags)
    }

    fn make(&self, subdir: Subdir, name: &str, flags: OFlags) -> io::Result<File> {
        Self::make_at(self.subdir(subdir), name, flags)
    }

    fn make_at(dir: &OwnedFd, name: &str, flags: OFlags) -> io::Result<File> {
        let mode = Mode::from_raw_mode(0o600);
        let file = match rustix::fs::openat(dir, name, flags, mode) {
            // Made by a process whose umask took too much, and not mended by it yet.
            Err(Errno::ACCESS) => {
                rustix::fs::chmodat(dir, name, mode, AtFlags::empty())?;
                rustix::fs::openat(dir, name, flags, mode)?
            }
            outcome => outcome?,
        };
        // The umask may have taken what we need ourselves.
        if rustix::fs::fstat(&file)?.st_mode & 0o777 != 0o600 {
            rustix::fs::fchmod(&file, mode)?;
        }
        Ok(File::from(file))
    }

    /// Opens a file of ours for reading; anything but a regular file of ours with one name is
    /// [`io::ErrorKind::InvalidData`].
    pub(super) fn open_file(&self, subdir: Subdir, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let strange = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it is not a file of this \
            queue",
            )
        };
        let file = match rustix::fs::openat(self.subdir(subdir), name, flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::NXIO) => return Err(strange()),
            outcome => outcome?,
        };
        let stat = rustix::fs::fstat(&file)?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular || stat.st_uid != environment::user_id() || stat.st_nlink > 1 {
            return Err(strange());
        }
        Ok(File::from(file))
    }

    /// Returns whether a name still stands for an open file: it may have been removed or exchanged
    /// before it was locked.
    pub(super) fn is_same(&self, subdir: Subdir, name: &str, file: &File) -> bool {
        let by_name = rustix::fs::statat(self.subdir(subdir), name, AtFlags::SYMLINK_NOFOLLOW);
        let by_file = rustix::fs::fstat(file);
        matches!((by_name, by_file), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
    }

    /// Returns whether there is a file of this name.
    pub(super) fn has(&self, subdir: Subdir, name: &str) -> bool {
        rustix::fs::statat(self.subdir(subdir), name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Gives a file another name, never that of an existing one.
    pub(super) fn rename(&self, from: (Subdir, &str), to: (Subdir, &str)) -> io::Result<()> {
        let (at, into) = (self.subdir(from.0), self.subdir(to.0));
        match rustix::fs::renameat_with(at, from.1, into, to.1, RenameFlags::NOREPLACE) {
            // Old kernels and some file systems cannot promise it; the names are random.
            Err(Errno::INVAL | Errno::NOSYS) if !self.has(to.0, to.1) => {
                Ok(rustix::fs::renameat(at, from.1, into, to.1)?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Removes a file; one that is not there is no error.
    pub(super) fn remove(&self, subdir: Subdir, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(self.subdir(subdir), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the names of a directory durable.
    pub(super) fn sync(&self, subdir: Subdir) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.subdir(subdir))?)
    }

    /// The names in a directory, sorted: names begin with the time, so the oldest comes first.
    pub(super) fn names(&self, subdir: Subdir) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(self.subdir(subdir))? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes())
                .to_string_lossy()
                .into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens what a lock lies on. It is a directory, which is there also when the disk has no room
    /// for one more file.
    pub(super) fn lock_of(&self, lock: Lock) -> io::Result<File> {
        let dir = match lock {
            Lock::Runner => &self.root,
            Lock::Moves => self.subdir(Subdir::Failed),
            Lock::Head => self.subdir(Subdir::Keys),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(
            dir,
            ".",
            flags,
            Mode::empty(),
        )?))
    }

    /// The file of a place among those who send, open for locking only.
    pub(super) fn file_of_slot(&self, slot: usize) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::make_at(&self.root, &format!("slot.{slot}"), flags)
    }

    /// Sets a little room and one file aside, so that a full disk still lets the queue drain.
    pub(super) fn keep_reserve(&self) {
        const SIZE: usize = 64 << 10;
        let kept = rustix::fs::statat(&self.root, RESERVE, AtFlags::SYMLINK_NOFOLLOW)
            .map_or(0, |stat| stat.st_size);
        if usize::try_from(kept).is_ok_and(|kept| kept >= SIZE) {
            return;
        }
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = Self::make_at(&self.root, RESERVE, flags);
        if made.is_ok_and(|file| io::Write::write_all(&mut &file, &vec![0x5a; SIZE]).is_err()) {
            // Half a reserve is none, and would be in the way.
            self.use_reserve();
        }
    }

    /// Gives the reserve back, its room and its file.
    pub(super) fn use_reserve(&self) {
        let _ = rustix::fs::unlinkat(&self.root, RESERVE, AtFlags::empty());
    }
}
