//! How TLS begins on a connection: how strictly, and what is told of it.
//!
//! Promise: whatever the user has named must be right; where nobody hears of a doubt, nobody is
//! asked about one.
use std::time::Duration;

use super::guard::Io;
use crate::delivery::{Fault, Stage};
use crate::route::{Endpoint, Smtp, TlsMode, Verify};
use crate::transport::Reporter;
use crate::transport::net::roots::{self, TlsContext};
use crate::transport::net::socket::Socket;
use crate::transport::net::tls::{self, Leaf};
use crate::transport::steps::Step;

/// What an untrusted certificate leads to on a connection.
pub(super) fn verify(
    route: &Smtp,
    endpoint: Endpoint,
    loopback: bool,
    reporter: &Reporter,
) -> Verify {
    let clear_login = route
        .login
        .as_ref()
        .is_none_or(|login| login.in_clear || loopback);
    match (endpoint.tls, route.trust.verify) {
        // Where clear would do, an unknown certificate does as well; one that was named must still
        // be right.
        (TlsMode::Opportunistic, Verify::Strict) if clear_login && !is_particular(route) => {
            // To know of a doubt takes a connection more.
            if reporter.is_heard() {
                Verify::Warn
            } else {
                Verify::Ignore
            }
        }
        (_, verify) => verify,
    }
}

/// The user named what to trust, so that it counts even where TLS itself is optional.
fn is_particular(route: &Smtp) -> bool {
    let trust = &route.trust;
    trust.fingerprint.is_some()
        || trust.ca_file.is_some()
        || trust.ca_dir.is_some()
        || trust.no_system_roots
}

/// How TLS begins on this connection.
pub(super) struct Encryption<'a> {
    /// Where it leads.
    pub route: &'a Smtp,
    /// What is trusted and shown.
    pub prepared: &'a mut Option<TlsContext>,
    /// What an untrusted certificate leads to.
    pub verify: Verify,
    /// Hears of it.
    pub reporter: &'a Reporter,
    /// The version that was agreed upon.
    pub version: Option<String>,
    /// The certificate is not trusted, and the user wants to be told and to go on.
    pub remark: Option<String>,
}

impl Encryption<'_> {
    /// Begins TLS.
    ///
    /// # Errors
    /// The fault, and whether what answered was something else than TLS.
    pub(super) fn begin(
        &mut self,
        mut socket: Socket,
        timeout: Duration,
    ) -> Result<Io, (Fault, bool)> {
        let route = self.route;
        let prepared = match self.prepared.take() {
            Some(prepared) => prepared,
            None => roots::prepare(&route.trust, &route.host, self.verify)
                .map_err(|cause| (Fault::new(Stage::Prepare, cause), false))?,
        };
        let prepared = self.prepared.insert(prepared);
        socket.clock.allow(timeout);
        match tls::begin(prepared, &route.host, &route.trust, self.verify, socket) {
            Ok(secured) => {
                self.reporter.fact("version", || secured.version.to_owned());
                self.reporter.fact("cipher", || secured.cipher.to_owned());
                secured
                    .leaf
                    .iter()
                    .for_each(|leaf| describe(self.reporter, leaf));
                self.reporter
                    .note(format!("{} {}", secured.version, secured.cipher));
                self.version = Some(secured.version.to_owned());
                if let Some(doubt) = &secured.doubt {
                    self.reporter.fact("doubt", || doubt.reason.clone());
                }
                self.reporter.passed(Step::Tls);
                if let (Some(doubt), Verify::Warn) = (secured.doubt, self.verify) {
                    let print = doubt
                        .fingerprint
                        .map_or_else(String::new, |print| format!(" (SHA-256 {print})"));
                    let words = format!(
                        "the certificate is not trusted: {}{print}; continuing as configured",
                        doubt.reason
                    );
                    self.reporter.note(words.clone());
                    self.remark = Some(words).filter(|_| route.trust.verify == Verify::Warn);
                }
                Ok(Io::Tls(secured.stream))
            }
            Err(failed) => {
                prepared.prepare_another(&failed, self.verify);
                failed
                    .leaf
                    .iter()
                    .for_each(|leaf| describe(self.reporter, leaf));
                Err((Fault::new(Stage::Tls, failed.cause), failed.not_tls))
            }
        }
    }
}

/// Tells a rehearsal what certificate was shown.
pub(super) fn describe(reporter: &Reporter, leaf: &Leaf) {
    reporter.steps(|steps| {
        leaf.describe()
            .into_iter()
            .for_each(|(label, fact)| steps.fact(label, fact));
    });
}
