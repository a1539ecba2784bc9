//! The cost of starting and ending any program on this machine.
fn main() {}
