//! Bounded reading of files and of standard input.
//!
//! Promise: a file that could block or never end is not opened; an error names the file.
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::DraftError;
use crate::files::{self, Unfit, words};

pub(super) fn unreadable(path: &Path, why: impl Into<String>) -> DraftError {
    DraftError::File {
        path: path.to_owned(),
        why: why.into(),
    }
}

/// Opens a regular file; a FIFO or a device could block or never end.
pub(super) fn open_regular(path: &Path) -> Result<(File, u64), DraftError> {
    let refuse = |error: io::Error| match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Unfit>())
    {
        Some(Unfit::NotRegular) => {
            unreadable(path, "it is not a regular file; pipe it in with `-`")
        }
        _ => unreadable(path, words(&error)),
    };
    let (file, facts) = files::open(path).map_err(refuse)?;
    Ok((file, facts.len()))
}

/// Reads a text file of at most `limit` bytes.
///
/// # Errors
/// [`DraftError::File`], [`DraftError::TooLarge`].
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, DraftError> {
    let (file, _) = open_regular(path)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| unreadable(path, words(&e)))?;
    within(bytes, limit)
}

pub(super) fn read_all(from: impl Read, limit: u64) -> Result<Vec<u8>, DraftError> {
    let mut bytes = Vec::new();
    from.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| DraftError::Stdin(words(&e)))?;
    within(bytes, limit)
}

fn within(bytes: Vec<u8>, limit: u64) -> Result<Vec<u8>, DraftError> {
    if bytes.len() as u64 > limit {
        Err(DraftError::TooLarge(limit))
    } else {
        Ok(bytes)
    }
}
