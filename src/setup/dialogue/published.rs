//! The part of the dialogue that asks the web, and asks first whether it may.
//!
//! Promise: no yes, no connection. Nobody can have said yes where nobody is asked (`--yes`), and
//! what fails here is one line on the way to the next question.
use super::super::autoconfig::{self, NoPage};
use super::super::find::{Proposal, Server};
use super::super::messages;
use super::super::{Aborted, SetupError};
use super::Dialogue;
use crate::address::Address;

impl Dialogue<'_> {
    /// The server that the domain publishes, if the user wants it asked for and used.
    pub(super) fn published(
        &mut self,
        address: &Address,
        domain: &str,
    ) -> Result<Option<Server>, SetupError> {
        if self.options.yes || !autoconfig::has_hosts(domain) {
            return Ok(None);
        }
        if !self.yes(messages::ASK_WEB, &[domain, &address.to_string()], false)? {
            return Ok(None);
        }
        match autoconfig::look(address, self.services.web, self.messages) {
            Ok((Proposal { server, outside }, by)) => {
                self.say(messages::BY_WEB, &[&by, &server.shown()]);
                if outside {
                    self.say(messages::OUTSIDE_WEB, &[domain]);
                }
                Ok(self
                    .yes(messages::USE_SERVER, &[&server.shown()], !outside)?
                    .then_some(server))
            }
            Err(NoPage::Interrupted) => {
                let question = self
                    .messages
                    .of(messages::ASK_WEB, &[domain, &address.to_string()]);
                Err(SetupError::Aborted(Aborted::Interrupted, question))
            }
            Err(NoPage::Because(why)) => {
                self.say(messages::WEB_NOTHING, &[&why]);
                Ok(None)
            }
        }
    }
}
