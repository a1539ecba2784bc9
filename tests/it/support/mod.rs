//! What the tests share: an isolated world to run smail in, certificates, a server that plays
//! transcripts, and an ordinary server that keeps the mail it is given.
//!
//! Promise: nothing here touches the home, the settings or the network of the machine (everything
//! is a temporary directory and 127.0.0.1 port 0), everything ends by itself within a time limit, and
//! a server that was not played to its end fails the test.
#![allow(
    dead_code,
    reason = "every test binary compiles all of this and uses its own part"
)]

pub(crate) mod certs;
pub(crate) mod disk;
pub(crate) mod obstacle;
mod player;
pub(crate) mod sandbox;
pub(crate) mod scram;
pub(crate) mod script;
pub(crate) mod server;
mod session;
pub(crate) mod sink;
pub(crate) mod terminal;
pub(crate) mod token_server;
pub(crate) mod web;
pub(crate) mod wire;
