//! The programs that mail through sendmail, as Debian has them, with smail in its place: what they
//! were asked to tell arrives, and they are content.
//!
//! Each fact has a machine of its own (`debian/mod.rs`). A program that is not installed is said,
//! and its fact is skipped; where `CI` is set it fails.
mod debian;
#[path = "it/support/mod.rs"]
mod support;
