//! What is proved against the real servers, a file a subject.
pub(crate) mod chunking;
pub(crate) mod content;
pub(crate) mod logins;
pub(crate) mod refusals;
pub(crate) mod setups;
pub(crate) mod ways;
