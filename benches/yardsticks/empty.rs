//! What starting and ending any program costs on this machine.
fn main() {}
