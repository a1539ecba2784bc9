//! The road of smail on one page.
fn main() {}
