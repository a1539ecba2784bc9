//! What setup has made before all of it is written.
//!
//! Promise: it is taken away again unless the whole succeeds.
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::SetupError;
use crate::secret;

/// What was made so far; taken away again unless it is kept.
#[derive(Debug, Default)]
pub(super) struct Undo {
    dirs: Vec<PathBuf>,
    files: Vec<PathBuf>,
    commands: Vec<Vec<String>>,
}

impl Undo {
    /// Makes a directory and those above it, closed to others.
    pub(super) fn dir(&mut self, path: &Path) -> Result<(), SetupError> {
        let missing: Vec<&Path> = path
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        for path in missing.into_iter().rev() {
            let made = DirBuilder::new().mode(0o700).create(path);
            made.map_err(|error| SetupError::File {
                path: path.to_owned(),
                error,
            })?;
            self.dirs.push(path.to_owned());
        }
        Ok(())
    }

    /// Writes a private file that must not exist.
    pub(super) fn private_file(&mut self, path: &Path, line: &str) -> Result<(), SetupError> {
        let failed = |error| SetupError::File {
            path: path.to_owned(),
            error,
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        self.files.push(path.to_owned());
        let text = Zeroizing::new(format!("{line}\n"));
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed)
    }

    /// Notes the command that takes a stored password away.
    pub(super) fn command(&mut self, words: Vec<String>) {
        self.commands.push(words);
    }

    /// All is well.
    pub(super) fn keep(&mut self) {
        (self.dirs, self.files, self.commands) = (Vec::new(), Vec::new(), Vec::new());
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // Each as well as it goes: the failure that led here is the one that is told.
        for words in &self.commands {
            let _ = secret::store(words, &Zeroizing::default());
        }
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        for dir in self.dirs.iter().rev() {
            let _ = fs::remove_dir(dir);
        }
    }
}
