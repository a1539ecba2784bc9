//! Notices to senders whose mail was given up while nobody looked on.
//!
//! Promise: none for a notice, or any other mail without a sender (RFC 5321 section 6.1), and none
//! for who asked for none. It goes where the mail went, by the settings of the mail.
use crate::address::{Address, Mailbox};
use crate::aliases::Local;
use crate::hints::{self};
use crate::language::Language;
use crate::message::{Envelope, Message, Stamp};
use crate::notice::{self, Facts, Failed};
use crate::queue::{Claim, Head, RecipientStatus};
use crate::settings::Settings;

/// The notice for a mail that is given up; `None` when there is to be none.
pub(super) fn notice(settings: &Settings, claim: &Claim<'_>, why: &str) -> Option<(Head, Message)> {
    let head = claim.head();
    let sender =
        Address::parse(head.sender.as_ref().filter(|_| is_wanted(settings, head))?).ok()?;
    let recipients = readers(settings, &sender);
    let headers = claim.headers(notice::LONGEST_HEADERS).unwrap_or_default();
    let (stamp, arrived) = (Stamp::now(), Stamp::at(Some(head.created / 1000)).date());
    let host = sender.domain().unwrap_or("localhost").to_owned();
    let id = stamp.message_id(&host);
    let facts = Facts {
        host: &host,
        to: &sender.to_string(),
        date: &stamp.date(),
        id: &id,
        about: &head.message_id,
        queue_id: &head.id,
        subject: &head.subject,
        arrived: &arrived,
        envid: head.dsn.envid.as_deref(),
        why,
        failed: &failed(claim, why),
        headers: &headers,
    };
    let to = recipients.iter().map(ToString::to_string).collect();
    let envelope = Envelope {
        sender: None,
        recipients,
        ..Envelope::default()
    };
    let message = Message::from_wire(id.clone(), envelope, notice::build(&facts));
    let of_mail = Head {
        account: head.account.clone(),
        settings: head.settings.clone(),
        login: head.login.clone(),
        from: head.from.clone(),
        to,
        subject: "Undelivered Mail Returned to Sender".to_owned(),
        ..Head::default()
    };
    Some((of_mail, message))
}

/// Returns whether there is to be a notice: one is asked for here, and the sender did not ask for
/// none (RFC 3461 section 4.1).
fn is_wanted(settings: &Settings, head: &Head) -> bool {
    let here = match settings.filled("failure-notice") {
        Some(said) => said == "mail",
        None => settings.is_of_system("queue-dir"),
    };
    here && head
        .dsn
        .notify
        .is_none_or(|notify| notify.to_string().contains("FAILURE"))
}

/// Who reads the mail of a sender: a local name stands for what the aliases say.
fn readers(settings: &Settings, sender: &Address) -> Vec<Address> {
    let local = Local::new(settings, true);
    match local.expand(vec![Mailbox::from(sender.clone())]) {
        Ok(ends) if !ends.is_empty() => ends.into_iter().map(|end| end.address).collect(),
        _ => vec![sender.clone()],
    }
}

fn failed(claim: &Claim<'_>, why: &str) -> Vec<Failed> {
    let state = claim.state();
    let places = claim
        .head()
        .to
        .iter()
        .enumerate()
        .filter(|(at, _)| state.status[*at] != RecipientStatus::Accepted);
    let of = |(at, recipient): (usize, &String)| {
        let reply = Some(state.replies.about(at))
            .filter(|reply| !reply.is_empty())
            .unwrap_or(why);
        let cure = hints::explain(reply, &|_| None)
            .into_iter()
            .find_map(|found| found.hint);
        let cure = cure.map(|hint| hint.action(Language::English).to_owned());
        Failed {
            recipient: recipient.clone(),
            reply: reply.to_owned(),
            cure,
        }
    };
    places.map(of).collect()
}
