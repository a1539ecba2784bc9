//! Everybody who mails through sendmail(8) or mail(1): each with the exact command line and the
//! standard input that it is known to give, and what must hold for all of them.
mod aliases;
mod call;
mod injection;
mod invariants;
mod mailers;
mod message;
mod modes;
mod plain;
mod programs;
mod recipients;
mod refusals;
mod schedulers;
mod watchers;
