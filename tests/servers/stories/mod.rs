//! What is proved against the real servers, a file a subject.
pub mod chunking;
pub mod content;
pub mod logins;
pub mod refusals;
pub mod setups;
pub mod ways;
