//! The client of a dialogue: the program that started smail, or one that has connected to a socket
//! of this host.
//!
//! Promise: a client at a socket is not waited for without end, sends no mail without limit, and
//! learns nothing of these settings; nobody from the network is served, as nobody is asked for a
//! password here.
use std::fs::File;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::environment::peer::Peer;
use crate::failure::{Exit, Failure};
use crate::inject::patient::Patient;
use crate::inject::smtpd::Answer;
use crate::route::Route;
use crate::settings::Settings;

use super::complain;

/// How long a client at a socket is waited for (RFC 5321 section 4.5.3.2.7).
const TIME_LIMIT: Duration = Duration::from_mins(5);

/// The other end of a dialogue.
pub(super) struct Client {
    peer: Peer,
    allowed: Duration,
}

impl Client {
    /// Whoever is at standard input.
    ///
    /// # Errors
    /// Nobody who may be served; a client has had its answer.
    pub(super) fn at_hand(settings: &Settings) -> Result<Self, Failure> {
        let peer = Peer::of_stdin()
            .map_err(|error| Failure::new(Exit::IO, format!("standard input: {error}")))?;
        match &peer {
            Peer::Host(address) if !address.is_loopback() => {
                super::print("554 5.7.1 Mail is not accepted from the network\r\n");
                let what = format!(
                    "rejected a client at {address}: mail is not accepted from the network"
                );
                let hint = "use a unix socket or ListenStream=127.0.0.1:25 to serve the users of this \
                    host";
                Err(Failure::new(Exit::PERMISSION, what).hint(hint))
            }
            Peer::Listener => {
                let what = "standard input is a listening socket; expected a connection";
                Err(Failure::new(Exit::CONFIG, what).hint("set Accept=yes in the socket unit"))
            }
            _ => Ok(Client {
                peer,
                allowed: settings.time("timeout").unwrap_or(TIME_LIMIT),
            }),
        }
    }

    fn is_at_socket(&self) -> bool {
        self.peer != Peer::Starter
    }

    /// What it writes. A program that started smail may be silent between two mails for as long as
    /// it lives.
    ///
    /// # Errors
    /// The socket cannot be set up.
    pub(super) fn input(&self) -> io::Result<Box<dyn Read>> {
        if !self.is_at_socket() {
            return Ok(Box::new(io::stdin().lock()));
        }
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        // A client that reads no answers is not waited for either.
        socket2::SockRef::from(&socket).set_write_timeout(Some(self.allowed))?;
        Ok(Box::new(Patient::new(File::from(socket), self.allowed)))
    }

    /// Lets the client go, although its mail may still be on its way.
    pub(super) fn leave(&self) {
        if self.is_at_socket() {
            let _ = socket2::SockRef::from(&io::stdin()).shutdown(Shutdown::Both);
        }
    }

    /// Refuses a way that leads back to the socket the mail came by.
    ///
    /// # Errors
    /// It does.
    pub(super) fn allows(&self, route: &Route) -> Result<(), Failure> {
        let Route::Smtp(server) = route else {
            return Ok(());
        };
        match &server.socket {
            Some(path) if self.peer.came_by(path) => {
                let what = format!(
                    "mail would loop: smtp is set to {}, the socket that this message came through",
                    path.display()
                );
                Err(Failure::new(Exit::CONFIG, what)
                    .hint("set a different smtp for the user of this service"))
            }
            _ => Ok(()),
        }
    }

    /// What the client hears of a failure: another user hears what is about the mail, and the log
    /// the rest.
    pub(super) fn answer(&self, failure: &Failure, full: Answer) -> Answer {
        if !self.peer.is_other() || full.code / 100 == 5 {
            return full;
        }
        complain(&failure.line("sendmail"));
        Answer::new(
            full.code,
            full.enhanced,
            "Cannot accept mail now; see the log of the service",
        )
    }
}
