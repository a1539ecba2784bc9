//! The queue disturbed: killed and failed at system calls, without room on its disk, stormed.
#[path = "../it/support/mod.rs"]
mod support;

mod queue_crash;
mod queue_disk;
mod queue_storm;
