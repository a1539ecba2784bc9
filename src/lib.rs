//! The rooms of smail; not a public library and without any promise of stability: `pub` is what its
//! own tests and benches use.
//!
//! The road is in `commands`. Who may import whom is enforced by `tests/it/house.rs`.
#![forbid(unsafe_code)]

pub mod address;
mod aliases;
mod check;
mod children;
pub mod cli;
mod commands;
mod delivery;
mod draft;
pub mod environment;
mod failure;
mod files;
mod generate;
pub mod hints;
mod inject;
pub mod language;
mod maillog;
pub mod mailrc;
mod mbox;
pub mod message;
pub mod mime;
mod notice;
mod oauth;
#[cfg(test)]
mod pace;
pub mod providers;
pub mod queue;
mod report;
mod route;
mod sasl;
mod secret;
mod settings;
mod setup;
mod span;
pub mod text;
mod transport;

pub use commands::run;
