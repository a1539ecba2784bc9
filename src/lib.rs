//! The rooms of smail; not a public library and without any promise of stability: `pub` is what its
//! own tests and benches use.
//!
//! The road is in `commands`. Who may import whom is enforced by `tests/it/house.rs`.
#![forbid(unsafe_code)]

pub mod address;
pub mod aliases;
pub mod check;
pub mod children;
pub mod cli;
mod commands;
pub mod delivery;
pub mod draft;
pub mod environment;
pub mod failure;
pub mod files;
pub mod generate;
pub mod hints;
pub mod inject;
pub mod maillog;
pub mod mailrc;
pub mod mbox;
pub mod message;
pub mod mime;
pub mod notice;
#[cfg(test)]
mod pace;
pub mod providers;
pub mod queue;
pub mod report;
pub mod route;
pub mod secret;
pub mod settings;
pub mod setup;
mod span;
pub mod text;
pub mod transport;

pub use commands::run;
