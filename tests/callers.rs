//! Everybody who mails through sendmail(8) or mail(1): each with the exact command line and the
//! standard input that it is known to give, and what must hold for all of them.
mod support;

#[path = "callers/aliases.rs"]
mod aliases;
#[path = "callers/call.rs"]
mod call;
#[path = "callers/injection.rs"]
mod injection;
#[path = "callers/invariants.rs"]
mod invariants;
#[path = "callers/mailers.rs"]
mod mailers;
#[path = "callers/message.rs"]
mod message;
#[path = "callers/modes.rs"]
mod modes;
#[path = "callers/plain.rs"]
mod plain;
#[path = "callers/programs.rs"]
mod programs;
#[path = "callers/recipients.rs"]
mod recipients;
#[path = "callers/refusals.rs"]
mod refusals;
#[path = "callers/schedulers.rs"]
mod schedulers;
#[path = "callers/watchers.rs"]
mod watchers;
