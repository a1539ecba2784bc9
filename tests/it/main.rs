//! The stories: smail as users, callers and servers meet it. One program, so that it is linked once;
//! each module tells one story.
//!
//! Apart are only the stories that need servers or programs of the system (`real_servers`,
//! `real_callers`), and those that disturb the queue at every system call (`crash`), which would
//! take the machine from all others.
mod support;

mod addresses;
mod bad_inputs;
mod callers;
mod cases;
mod check;
mod children;
mod circles;
mod completions;
mod dsn_and_log;
mod echoes;
mod environments;
mod explain;
mod files;
mod generated;
mod house;
mod injection;
mod living_files;
mod login_sources;
mod no_thread;
mod notices;
mod oauth;
mod queue;
mod queue_at_once;
mod queue_dirs;
mod recipients_file;
mod roots;
mod round_trips;
mod sasl;
mod secrets;
mod server_scripts;
mod sessions;
mod setup;
mod setup_providers;
mod socket;
mod support_self;

mod touched;
