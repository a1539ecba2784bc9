//! A small message in the group of its envelope: `BDAT n LAST` behind MAIL and RCPT (RFC 3030),
//! which saves the wait for 354.
//!
//! Promise: the size is that of the bytes that follow, exactly. The text leaves before it is known
//! whom the server takes it for, so the log hears of it first, and a connection lost before the
//! answer leaves all in doubt but those who were refused. A server that refuses BDAT itself gets
//! DATA. What it refuses must be reset before it goes on: Dovecot takes no other BDAT until then.
//!
//! A server that refuses BDAT and does not read its bytes takes every line of the text for a
//! command, with the envelope accepted before it. So only a text leaves that way of which no line
//! could be obeyed; all else waits for 354.
mod verbs;

use std::time::Duration;

use self::verbs::holds_command;
use super::capabilities::Capabilities;
use super::transaction::{Connection, Transaction};
use crate::delivery::{Cause, Fault, Reply, Stage};
use crate::message::Message;
use crate::transport::Event;
use crate::transport::line::Commands;
use crate::transport::peer_text::reason;

/// The largest message that is sent before anybody is accepted, in bytes.
const LARGEST: u64 = 64 * 1024;

/// A message to send at once.
pub(super) struct Bdat {
    /// All of it, in canonical form; dots are not doubled.
    pub bytes: Vec<u8>,
    /// QUIT leaves with it.
    pub quit: bool,
}

impl Bdat {
    /// Reads a message that this server may be sent at once; `None` when it goes by DATA.
    ///
    /// # Errors
    /// A fault at [`Stage::Content`], before anything was sent: a file cannot be read or has
    /// changed.
    pub(super) fn of(
        capabilities: &Capabilities,
        message: &Message,
        quit: bool,
    ) -> Result<Option<Self>, Fault> {
        if !capabilities.chunking || !capabilities.pipelining || message.size() > LARGEST {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        for piece in message.chunks() {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(error) => {
                    return Err(Fault::new(Stage::Content, Cause::Content(reason(&error))));
                }
            }
        }
        // DATA would end the last line by itself.
        let fits = bytes.ends_with(b"\r\n") && !holds_command(&bytes);
        Ok(fits.then_some(Bdat { bytes, quit }))
    }

    /// The command, in front of the bytes.
    pub(super) fn command(&self) -> String {
        format!("BDAT {} LAST\r\n", self.bytes.len())
    }

    /// Sends the group that ends with it, and gives the reply to its first command.
    ///
    /// # Errors
    /// As [`crate::transport::smtp::connection::Session::whole`].
    pub(super) fn send(
        &self,
        connection: &mut Connection,
        stage: Stage,
        timeout: Duration,
        commands: &Commands,
    ) -> Result<Reply, Fault> {
        let reply = connection
            .session
            .whole(stage, timeout, commands, &self.bytes, self.quit)?;
        if let Some(observer) = &connection.observer {
            let size = self.bytes.len() as u64;
            observer.observe(Event::Progress { sent: size, size });
        }
        Ok(reply)
    }
}

impl Transaction<'_, '_> {
    /// What the answer to BDAT means: of itself only where somebody waits for it.
    ///
    /// # Errors
    /// The outcome of all members that have none of their own yet.
    pub(super) fn answered_whole(&mut self, reply: Reply, bdat: &Bdat) -> Result<(), Fault> {
        self.connection.quitting |= bdat.quit;
        // Until it is known that the transaction has ended well.
        self.connection.begun = true;
        if let Some(refusal) = self.sender.take() {
            self.connection.session.end_of_message();
            return Err(Fault::new(Stage::Sender, Cause::Refused(refusal)));
        }
        if self.accepted.is_empty() || is_unwanted(&reply, self.connection.lmtp) {
            self.unwanted = !self.accepted.is_empty();
            self.connection.session.end_of_message();
            return Ok(());
        }
        self.results(reply, "BDAT")?;
        self.connection.begun = self
            .accepted
            .iter()
            .any(|&at| !matches!(self.outcomes[at], Some(Ok(_))));
        Ok(())
    }

    /// A fault while the answers to the group come in: what it means for the message that went
    /// along.
    pub(super) fn doubt(&mut self, fault: Fault) -> Fault {
        match self.sender.take() {
            Some(refusal) if fault.in_doubt => Fault::new(Stage::Sender, Cause::Refused(refusal)),
            refusal => {
                self.sender = refusal;
                Fault {
                    stage: if fault.in_doubt {
                        Stage::Content
                    } else {
                        fault.stage
                    },
                    ..fault
                }
            }
        }
    }
}

/// The server refuses the command and not the mail: it knows none such, or not here (RFC 5321
/// section 4.2.1, codes x0z). In LMTP only what can be no answer about a recipient counts, as there
/// may be one for each.
fn is_unwanted(reply: &Reply, lmtp: bool) -> bool {
    match reply.code {
        500 | 502 => true,
        501 | 503 | 504 => !lmtp,
        _ => false,
    }
}
