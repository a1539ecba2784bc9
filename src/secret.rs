//! Where secrets come from; they are never printed, and forgotten when dropped (best effort).
//!
//! Promise: no `Debug`, error or log of smail shows a secret. No shell runs: a command is an argument vector.
use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// A secret in memory: wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text in.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret comes from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Written in a setting, the environment or a URL.
    Inline(Secret),
    /// The first line of a private file.
    File(PathBuf),
    /// What a program prints: its argument vector. Standard input is closed and its time limited.
    Command(Vec<String>),
    /// Asked on the terminal, for this user at this server.
    Prompt {
        /// Who logs in.
        user: String,
        /// Where.
        host: String,
    },
}

/// Why a secret could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct SecretError {
    /// A lowercase fragment; names files and programs, never a secret.
    pub why: String,
    /// Trying again later can help (a locked keyring).
    pub temporary: bool,
}

impl SecretSource {
    /// Fetches the secret.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn fetch(&self) -> Result<Secret, SecretError> {
        unreachable!()
    }
}
