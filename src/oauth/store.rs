//! The tokens of an account on disk.
//!
//! Promise: mode 0600, in a directory of this user; replaced as a whole and synced; whoever renews
//! holds a lock, so that two at once end with one valid token. A file that others can read is refused.
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Account, Rule, TokenError, TokenFailure};
use crate::files;
use crate::secret::Secret;

/// The largest file, in bytes.
const LARGEST: u64 = 256 << 10;
/// How long another process may take to renew the tokens: it asks a server.
const LOCK: Duration = Duration::from_secs(30);
/// The form of the file.
const VERSION: u32 = 1;

/// What is kept of an account; times in seconds from 1970.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    /// The mailbox.
    user: String,
    client_id: String,
    token_url: String,
    scope: String,
    access_token: Zeroizing<String>,
    /// When the access token ends; 0: not known.
    pub expires: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Zeroizing<String>>,
    /// When a person signed in; 0 where nobody has to.
    pub signed_in: i64,
    /// When the last token was given out.
    pub renewed: i64,
}

impl Record {
    /// What is to be kept of tokens that were given out at this time.
    pub(super) fn new(account: &Account, access: &Secret, expires: i64, now: i64) -> Self {
        Record {
            version: VERSION,
            user: account.user.clone(),
            client_id: account.client_id.clone(),
            token_url: account.token.to_string(),
            scope: account.scope.clone(),
            access_token: Zeroizing::new(access.reveal().to_owned()),
            expires,
            refresh_token: None,
            signed_in: 0,
            renewed: now,
        }
    }

    /// Adds what gets the next token, and when a person signed in.
    pub(super) fn signed_in(mut self, refresh: Option<&Secret>, at: i64) -> Self {
        self.refresh_token = refresh.map(|token| Zeroizing::new(token.reveal().to_owned()));
        self.signed_in = at;
        self
    }

    /// Returns whether it is of this account as the settings have it now.
    fn is_of(&self, account: &Account) -> bool {
        self.version == VERSION
            && self.user == account.user
            && self.client_id == account.client_id
            && self.token_url == account.token.to_string()
            && self.scope == account.scope
    }

    /// When the sign-in ends by the rule of the provider, unless a token is got before.
    pub(crate) fn ends(&self, rule: Rule) -> i64 {
        let (from, days) = match rule {
            Rule::AfterSignIn(days) => (self.signed_in, days),
            Rule::Idle(days) => (self.renewed, days),
        };
        from.saturating_add(days.saturating_mul(86_400))
    }

    /// What logs in.
    pub(super) fn access(&self) -> Secret {
        Secret::new(self.access_token.as_str())
    }

    /// What gets the next token.
    pub(crate) fn refresh(&self) -> Option<Secret> {
        let token = self.refresh_token.as_ref()?;
        Some(Secret::new(token.as_str()))
    }
}

/// The file of an account.
pub(crate) struct Store<'a> {
    account: &'a Account,
    path: &'a Path,
}

/// The file, locked for this process.
pub(super) struct Locked<'s> {
    store: &'s Store<'s>,
    _lock: File,
}

impl<'a> Store<'a> {
    /// Names the file; nothing is opened.
    pub(crate) fn new(account: &'a Account) -> Self {
        Store {
            account,
            path: &account.file,
        }
    }

    fn failed(&self, what: &str, error: &io::Error) -> TokenError {
        let why = format!(
            "cannot {what} {}: {}",
            self.path.display(),
            files::words(error)
        );
        TokenError::new(TokenFailure::File, why)
    }

    /// Reads what is kept, if it is of this account.
    ///
    /// # Errors
    /// The file cannot be read, or others can.
    pub(crate) fn load(&self) -> Result<Option<Record>, TokenError> {
        let (bytes, access) = match files::read(self.path, LARGEST) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", &error)),
        };
        let bytes = Zeroizing::new(bytes);
        let shown = self.path.display();
        let refuse = |why: String| Err(TokenError::new(TokenFailure::File, why));
        if access.is_foreign() {
            return refuse(format!("{shown} belongs to another user"));
        }
        if access.mode & 0o077 != 0 {
            return refuse(format!(
                "{shown} is accessible to others; run `chmod 600 {shown}`"
            ));
        }
        match serde_json::from_slice::<Record>(&bytes) {
            Ok(record) => Ok(Some(record).filter(|record| record.is_of(self.account))),
            Err(_) => refuse(format!("{shown} is damaged; remove it and sign in again")),
        }
    }

    /// Waits until no other process renews the tokens of this account.
    ///
    /// # Errors
    /// The directory or the lock cannot be made, or another process holds it for long.
    pub(super) fn lock(&'a self) -> Result<Locked<'a>, TokenError> {
        if let Some(dir) = self.path.parent() {
            let made = DirBuilder::new().mode(0o700).recursive(true).create(dir);
            made.map_err(|error| self.failed("make the directory of", &error))?;
        }
        let lock = files::append(&self.beside("lock"))
            .and_then(|file| file.ok_or_else(|| io::ErrorKind::InvalidInput.into()))
            .map_err(|error| self.failed("lock", &error))?;
        files::lock_within(&lock, LOCK).map_err(|error| {
            let error = self.failed("lock", &error);
            TokenError {
                kind: TokenFailure::Temporary,
                ..error
            }
        })?;
        Ok(Locked {
            store: self,
            _lock: lock,
        })
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    }
}

impl Locked<'_> {
    /// Reads what is kept now.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub(super) fn load(&self) -> Result<Option<Record>, TokenError> {
        self.store.load()
    }

    /// Replaces what is kept.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn save(&self, record: &Record) -> Result<(), TokenError> {
        let store = self.store;
        let write = || -> io::Result<()> {
            let text = Zeroizing::new(serde_json::to_vec_pretty(record)?);
            let new = store.beside("new");
            // What a crash left there is of no use.
            match std::fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&text)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&new, store.path)?;
            let dir = store
                .path
                .parent()
                .filter(|dir| !dir.as_os_str().is_empty());
            File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|error| store.failed("write", &error))
    }
}
