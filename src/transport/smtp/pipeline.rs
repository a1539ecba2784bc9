//! The commands of a transaction in groups (RFC 2920), and where a transaction is full.
//!
//! Promise: a group never makes both sides wait for room to write. Whoever finds no room in a
//! transaction waits for the next one; a server that is full is not asked about the rest, and how
//! many it took is known from then on.
use super::bdat::Bdat;
use super::commands::{asked, rcpt};
use super::transaction::{Side, Transaction, Verb};
use crate::delivery::{Cause, Fault, Reply, Stage};
use crate::transport::line::Commands;

/// The most recipients that leave in one group, at first (RFC 5321 section 4.5.3.1.8 lets every
/// server take 100) and at last.
const GROUP_RECIPIENTS: (usize, usize) = (100, 500);
/// The bytes at which a group is long enough: neither side may have to wait for room to write
/// while the other does.
const GROUP_BYTES: usize = 32 * 1024;
/// So many recipients in a row that find no room are no full mailboxes: the transaction is full.
pub(super) const ENOUGH: usize = 10;

/// Marks a fault that a server, or what stands before it, may have caused by dropping what came
/// behind the first command.
fn swallowed(fault: Fault, commands: usize) -> Fault {
    let pipelined = commands > 1 && matches!(fault.cause, Cause::Silent(_) | Cause::Lost(_));
    Fault { pipelined, ..fault }
}

impl Transaction<'_, '_> {
    /// Everything up to DATA, or BDAT with its message, in groups where the server takes
    /// them. They grow while nothing is said against them, so that a long list does not wait for a
    /// reply a hundred times as often as it must.
    ///
    /// # Errors
    /// The outcome of all members that have none of their own yet.
    pub(super) fn speak(&mut self, bdat: Option<&Bdat>) -> Result<(), Fault> {
        let members = self.members;
        let reset = std::mem::take(&mut self.connection.begun).then_some(Verb::Reset);
        let recipients = members.iter().map(|&at| Verb::Rcpt(at));
        let mut verbs = reset
            .into_iter()
            .chain([Verb::Mail])
            .chain(recipients)
            .peekable();
        let mut end = Some(if bdat.is_some() {
            Verb::Bdat
        } else {
            Verb::Data
        });
        let mut most = GROUP_RECIPIENTS.0;
        while end.is_some() {
            let (mut group, mut commands, mut named) = (Vec::new(), Commands::default(), 0);
            while let Some(verb) = verbs.peek().copied().or(end) {
                let fits = match verb {
                    _ if group.is_empty() => true,
                    _ if !self.connection.capabilities.pipelining => false,
                    Verb::Rcpt(_) => named < most && commands.len() < GROUP_BYTES,
                    _ => true,
                };
                if !fits {
                    break;
                }
                commands
                    .add(&self.line(verb, bdat))
                    .map_err(|cause| self.connection.session.cut(Stage::Prepare, cause))?;
                group.push(verb);
                named += usize::from(matches!(verb, Verb::Rcpt(_)));
                if verbs.next().is_none() {
                    end = None;
                }
            }
            if self.sender.is_some()
                || (matches!(group[..], [Verb::Data | Verb::Bdat]) && self.accepted.is_empty())
            {
                return Ok(());
            }
            self.exchange(
                &group,
                &commands,
                bdat.filter(|_| matches!(group[..], [.., Verb::Bdat])),
            )?;
            if self.overflow >= ENOUGH {
                let others = verbs.by_ref().filter_map(|verb| {
                    if let Verb::Rcpt(at) = verb {
                        Some(at)
                    } else {
                        None
                    }
                });
                self.postpone(others.collect());
            } else if self.overflow == 0 {
                most = (most * 2).min(GROUP_RECIPIENTS.1);
            }
        }
        Ok(())
    }

    /// Sends a group, the message behind it where it goes along, and reads the replies.
    fn exchange(
        &mut self,
        group: &[Verb],
        commands: &Commands,
        bdat: Option<&Bdat>,
    ) -> Result<(), Fault> {
        if bdat.is_some() {
            self.announce()?;
        }
        for (at, verb) in group.iter().enumerate() {
            let timeout = match verb {
                Verb::Data => self.connection.timeouts.data,
                Verb::Bdat => self.connection.timeouts.dot,
                _ => self.connection.timeouts.command,
            };
            if matches!(verb, Verb::Bdat) {
                self.settle(Side::Refused);
            }
            let (session, stage) = (&mut self.connection.session, verb.stage());
            let reply = match (at, bdat) {
                (0, Some(bdat)) => bdat.send(self.connection, stage, timeout, commands),
                (0, None) => session.command(stage, timeout, commands),
                _ => session.reply(stage, timeout),
            };
            self.take_reply(*verb, reply.map_err(|fault| swallowed(fault, group.len()))?)?;
        }
        Ok(())
    }

    /// Tells the log that the message leaves for all who are not refused yet: what becomes of
    /// them is heard later.
    fn announce(&mut self) -> Result<(), Fault> {
        let open: Vec<usize> = self
            .members
            .iter()
            .copied()
            .filter(|&at| self.outcomes[at].is_none())
            .collect();
        self.once
            .before_dot(&open)
            .map_err(|cause| self.connection.session.cut(Stage::Content, cause))
    }

    /// A command with its line end.
    pub(super) fn line(&self, verb: Verb, bdat: Option<&Bdat>) -> String {
        match verb {
            Verb::Reset => "RSET\r\n".to_owned(),
            Verb::Mail => self.opening.to_owned(),
            Verb::Rcpt(at) => {
                let notify =
                    asked(&self.connection.capabilities, self.message).and_then(|dsn| dsn.notify);
                rcpt(&self.message.envelope.recipients[at], notify)
            }
            Verb::Data => "DATA\r\n".to_owned(),
            Verb::Bdat => bdat.map_or_else(String::new, Bdat::command),
        }
    }

    /// 452, and 552 from old servers, once others were accepted: too many for one transaction (RFC
    /// 5321 section 4.5.3.1.10).
    pub(super) fn refuse(&mut self, at: usize, mut reply: Reply) {
        if matches!(reply.code, 452 | 552) && !self.accepted.is_empty() {
            // 4.5.3 and 5.5.3 say just that, and other codes something else; without any it may be
            // the one mailbox that is full.
            let says = reply.enhanced.map(|code| (code.1, code.2) == (5, 3));
            self.full_is_said |= says == Some(true);
            self.overflow += match says {
                Some(true) => ENOUGH,
                Some(false) => 0,
                None => 1,
            };
            reply.code = 452;
            self.later.push(at);
        } else {
            self.refused.push(at);
        }
        let fault = Fault::new(Stage::Recipient, Cause::Refused(reply));
        self.outcomes[at] = Some(Err(self.classifier.classify(fault)));
    }

    /// Leaves those who were not asked about yet to later transactions, as those before them were,
    /// and remembers how many fit in one.
    fn postpone(&mut self, rest: Vec<usize>) {
        let said = self.later.last().and_then(|&at| self.outcomes[at].clone());
        for &at in &rest {
            self.outcomes[at].clone_from(&said);
        }
        self.later.extend(rest);
        // Fewer than every server must take (RFC 5321 section 4.5.3.1.8) are believed only when
        // they were said to be the limit.
        if self.accepted.len() >= GROUP_RECIPIENTS.0 || self.full_is_said {
            self.limit = Some(self.accepted.len());
        }
    }
}
