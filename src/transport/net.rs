//! Connections: names and addresses, proxies, deadlines and TLS.
//!
//! Promise: nothing here knows SMTP or settings. From the wire upwards: `socket` waits, `lookup`,
//! `dial` and `proxy` connect, and `tls` encrypts for whom `roots` trusts.
pub(super) mod dial;
mod lookup;
mod pem;
mod proxy;
pub(super) mod roots;
pub(super) mod socket;
pub(super) mod tls;
