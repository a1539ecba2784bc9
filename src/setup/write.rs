//! Writes what was agreed upon, all of it or nothing.
//!
//! Promise: the old file is the beginning of the new one, byte for byte, and is replaced by one
//! rename of a file that is complete, private and synced. Whatever fails, files, directories and
//! entries that were made before are taken away.
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::SetupError;
use super::secret_store::StoredSecret;
use super::undo::Undo;
use crate::environment;
use crate::files;
use crate::settings::toml;

/// The largest file of settings, in bytes.
const LARGEST: u64 = 4 << 20;

/// A file that settings are written into.
#[derive(Debug)]
pub(super) struct Target {
    /// The file itself, links followed.
    path: PathBuf,
    /// What it holds; `None` when it does not exist.
    before: Option<String>,
}

impl Target {
    /// Looks at a file.
    ///
    /// # Errors
    /// It cannot be read, or what it holds is no settings.
    pub(super) fn look(path: &Path) -> Result<Self, SetupError> {
        let failed = |error| SetupError::File {
            path: path.to_owned(),
            error,
        };
        let path = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() =>
            {
                return Ok(Target {
                    path: path.to_owned(),
                    before: None,
                });
            }
            Err(error) => return Err(failed(error)),
        };
        let (before, _) = files::read(&path, LARGEST).map_err(failed)?;
        let before =
            String::from_utf8(before).map_err(|_| failed(io::Error::other("it is not UTF-8")))?;
        Ok(Target {
            path,
            before: Some(before),
        })
    }

    /// Returns whether there is no file yet.
    pub(super) fn is_new(&self) -> bool {
        self.before.is_none()
    }

    /// Returns whether there is a file, and the names of its accounts.
    ///
    /// # Errors
    /// It is no TOML.
    pub(super) fn accounts(&self) -> Result<Option<Vec<String>>, SetupError> {
        let Some(text) = &self.before else {
            return Ok(None);
        };
        Ok(Some(
            self.parsed(text)?
                .accounts
                .into_iter()
                .map(|(name, ..)| name)
                .collect(),
        ))
    }

    fn parsed(&self, text: &str) -> Result<toml::TomlFile, SetupError> {
        toml::parse(text).map_err(|m| SetupError::Unextendable {
            path: self.path.clone(),
            line: m.line,
            why: m.why,
        })
    }

    /// The whole text with a block at its end.
    ///
    /// # Errors
    /// [`SetupError::Unextendable`]: the old text leaves no room for it, as with accounts in
    /// braces.
    pub(super) fn with(&self, block: &str) -> Result<Zeroizing<String>, SetupError> {
        let before = self.before.as_deref().unwrap_or_default();
        let gap = match before {
            "" => "",
            text if text.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        let whole = Zeroizing::new(format!("{before}{gap}{block}"));
        self.parsed(&whole)?;
        Ok(whole)
    }

    /// Stores the passwords, then writes the text that [`Target::with`] gave.
    ///
    /// # Errors
    /// [`SetupError`], and nothing has changed.
    pub(super) fn commit(&self, whole: &str, stored: &[StoredSecret]) -> Result<(), SetupError> {
        let mut undo = Undo::default();
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        undo.dir(dir)?;
        for stored in stored {
            stored.store(&mut undo)?;
        }
        self.replace(dir, whole)?;
        undo.keep();
        Ok(())
    }

    fn replace(&self, dir: &Path, whole: &str) -> Result<(), SetupError> {
        let failed = |error| SetupError::File {
            path: self.path.clone(),
            error,
        };
        let mut file = tempfile::Builder::new()
            .prefix(".config.toml.")
            .tempfile_in(dir)
            .map_err(failed)?;
        file.write_all(whole.as_bytes()).map_err(failed)?;
        if let Some(before) = &self.before {
            self.share(file.as_file()).map_err(failed)?;
            if files::read(&self.path, LARGEST).map_err(failed)?.0 != before.as_bytes() {
                return Err(SetupError::Changed(self.path.clone()));
            }
        }
        file.as_file().sync_all().map_err(failed)?;
        let moved = match self.before {
            Some(_) => file.persist(&self.path),
            None => file.persist_noclobber(&self.path),
        };
        match moved {
            Ok(_) => {}
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(SetupError::Changed(self.path.clone()));
            }
            Err(e) => return Err(failed(e.error)),
        }
        // The file is there; on a file system that cannot sync directories it is as safe as it can
        // be.
        let _ = File::open(dir).and_then(|dir| dir.sync_all());
        Ok(())
    }

    /// The system's file may be read by a group of its own; ours is private.
    fn share(&self, file: &File) -> io::Result<()> {
        let old = fs::metadata(&self.path)?;
        if old.uid() == 0 && old.mode() & 0o040 != 0 && environment::is_root() {
            std::os::unix::fs::fchown(file, None, Some(old.gid()))?;
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o640))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::setup::secret_store::SecretStore;

    fn password(file: PathBuf) -> StoredSecret {
        let (host, user) = ("h".to_owned(), "u".to_owned());
        StoredSecret {
            store: SecretStore::File,
            secret: Secret::new("pw"),
            host,
            user,
            file,
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_private_and_so_are_its_directories() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/config.toml");
        let target = Target::look(&path).unwrap();
        let whole = target.with("from = \"a@b\"\n").unwrap();
        target
            .commit(&whole, &[password(home.path().join("a/b/password-x"))])
            .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "from = \"a@b\"\n");
        assert_eq!(
            fs::read_to_string(home.path().join("a/b/password-x")).unwrap(),
            "pw\n"
        );
        for (name, wanted) in [
            ("a", 0o700),
            ("a/b", 0o700),
            ("a/b/config.toml", 0o600),
            ("a/b/password-x", 0o600),
        ] {
            assert_eq!(mode(&home.path().join(name)), wanted, "{name}");
        }
    }

    #[test]
    fn a_failure_takes_back_what_was_made() {
        let home = tempfile::tempdir().unwrap();
        let target = Target::look(&home.path().join("a/b/config.toml")).unwrap();
        let taken = home.path().join("taken");
        fs::write(&taken, "old").unwrap();
        let stored = [
            password(home.path().join("a/b/password-x")),
            password(taken.clone()),
        ];
        assert!(matches!(
            target.commit("", &stored),
            Err(SetupError::File { .. })
        ));
        assert_eq!(fs::read_to_string(&taken).unwrap(), "old");
        assert!(!home.path().join("a").exists());
    }

    #[test]
    fn the_old_file_is_the_beginning_of_the_new_one_also_behind_a_link() {
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (
            home.path().join("dotfiles.toml"),
            home.path().join("config.toml"),
        );
        for old in ["# mine\nfrom = \"a@b\"", "\r\nfrom = \"a@b\"\r\n"] {
            fs::write(&real, old).unwrap();
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(&real, &link).unwrap();
            let target = Target::look(&link).unwrap();
            let whole = target.with("[accounts.x]\n").unwrap();
            target.commit(&whole, &[]).unwrap();
            let new = fs::read_to_string(&real).unwrap();
            assert!(
                new.starts_with(old) && new.ends_with("\n\n[accounts.x]\n"),
                "{new:?}"
            );
            assert!(link.is_symlink());
        }
    }

    #[test]
    fn a_file_that_changed_or_leaves_no_room_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.toml");
        let new = Target::look(&path).unwrap();
        fs::write(&path, "accounts = { x = { from = \"a@b\" } }\n").unwrap();
        assert!(matches!(new.commit("", &[]), Err(SetupError::Changed(_))));
        let old = Target::look(&path).unwrap();
        assert!(matches!(
            old.with("[accounts.y]\n"),
            Err(SetupError::Unextendable { .. })
        ));
        fs::write(&path, "#\n").unwrap();
        assert!(matches!(old.commit("", &[]), Err(SetupError::Changed(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "#\n");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
