//! What each setting is, and who said so.
pub mod mailrc;
pub mod presets;
pub mod route;
