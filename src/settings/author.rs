//! Who sends: the author when nobody says, and the sender of the envelope.
use super::{Settings, SettingsError};
use crate::address::{Address, Mailbox, parse_authors, parse_list};

/// The mailboxes of a setting.
///
/// # Errors
/// [`SettingsError::Address`] with the place it was said.
pub(crate) fn mailboxes(
    settings: &Settings,
    name: &'static str,
) -> Result<Vec<Mailbox>, SettingsError> {
    let mut found = Vec::new();
    for text in settings.list(name) {
        // `Name a@b` without brackets is common in mail.rc.
        let parsed = if matches!(name, "auto-cc" | "auto-bcc") {
            parse_list(&text)
        } else {
            parse_authors(&text)
        }
        .or_else(|error| bracketed(&text).ok_or(error))
        .or_else(|error| separated(&text).ok_or(error));
        found.extend(parsed.map_err(|error| SettingsError::Address {
            name: name.to_owned(),
            origin: settings.origin(name).cloned(),
            error,
        })?);
    }
    Ok(found)
}

/// Reads `Name a@b` as `Name <a@b>`.
fn bracketed(text: &str) -> Option<Vec<Mailbox>> {
    let (name, address) = text.trim().rsplit_once([' ', '\t'])?;
    if name.contains(['@', ',']) {
        return None;
    }
    parse_list(&format!("{name} <{address}>")).ok()
}

/// Reads `a@b c@d`, as mailx lists may be separated by blanks.
fn separated(text: &str) -> Option<Vec<Mailbox>> {
    crate::address::parse_word(text).ok()
}

/// The authors: `from`, else the login when it is an address, else the user at this host.
///
/// # Errors
/// [`SettingsError`].
pub(crate) fn authors(settings: &Settings, user: &str) -> Result<Vec<Mailbox>, SettingsError> {
    let mut authors = mailboxes(settings, "from")?;
    if authors.is_empty() {
        let address = match login_address(settings) {
            Some(address) => address,
            None => local_author(settings, user)?,
        };
        authors.push(Mailbox::from(address));
    }
    for author in &mut authors {
        if author.address.is_bare() {
            author.address = qualified(settings, author.address.clone())?;
        }
    }
    if let (Some(name), [author]) = (settings.filled("name"), authors.as_mut_slice()) {
        author.name.get_or_insert(name);
    }
    Ok(authors)
}

/// Returns whether the settings name an author; the user at this host is one otherwise.
///
/// # Errors
/// [`SettingsError`].
pub(crate) fn is_said(settings: &Settings) -> Result<bool, SettingsError> {
    Ok(login_address(settings).is_some() || !mailboxes(settings, "from")?.is_empty())
}

fn login_address(settings: &Settings) -> Option<Address> {
    login_name(settings)
        .filter(|u| u.contains('@'))
        .and_then(|u| Address::parse(&u).ok())
}

/// The user name that was set, by itself or in the URL of the server.
pub(crate) fn login_name(settings: &Settings) -> Option<String> {
    settings.filled("auth-user").or_else(|| url_user(settings))
}

fn url_user(settings: &Settings) -> Option<String> {
    ["smtp", "mta"]
        .iter()
        .find_map(|name| settings.target(name)?.server()?.user.clone())
}

fn local_author(settings: &Settings, user: &str) -> Result<Address, SettingsError> {
    let bad = |error| SettingsError::Address {
        name: "from".to_owned(),
        origin: None,
        error,
    };
    qualified(settings, Address::parse(user).map_err(bad)?)
}

fn qualified(settings: &Settings, address: Address) -> Result<Address, SettingsError> {
    let domain = ["qualify-domain", "hostname"]
        .iter()
        .find_map(|n| settings.filled(n));
    let domain = domain
        .or_else(|| settings.host.hostname.clone())
        .unwrap_or_else(|| "localhost".to_owned());
    address
        .qualify(&domain)
        .map_err(|error| SettingsError::Address {
            name: "hostname".to_owned(),
            origin: settings.origin("hostname").cloned(),
            error,
        })
}

/// The sender of the envelope: `envelope-from`, else the login's name at `envelope-domain`, else
/// the first author (cases/mailx, the table of senders).
///
/// # Errors
/// [`SettingsError`].
pub(crate) fn return_path(
    settings: &Settings,
    author: &Mailbox,
    user: &str,
) -> Result<Address, SettingsError> {
    if let Some(mailbox) = mailboxes(settings, "envelope-from")?.into_iter().next() {
        return if mailbox.address.is_bare() {
            qualified(settings, mailbox.address)
        } else {
            Ok(mailbox.address)
        };
    }
    let Some(domain) = settings.text("envelope-domain") else {
        return Ok(author.address.clone());
    };
    let login = login_name(settings).unwrap_or_else(|| user.to_owned());
    let local = login.split('@').next().unwrap_or_default();
    let bad = |error| SettingsError::Address {
        name: "envelope-domain".to_owned(),
        origin: settings.origin("envelope-domain").cloned(),
        error,
    };
    let local = Address::parse(local).map_err(bad)?;
    if domain.is_empty() {
        qualified(settings, local)
    } else {
        local.with_domain(&domain).map_err(bad)
    }
}

/// The mailbox that `force-from` puts in the place of an address: the `from` of files, environment
/// or `-S`, else the login. `None` leaves the address: it is one of these, or there are none.
pub(crate) fn forced(settings: &Settings, stands: &Address) -> Option<Mailbox> {
    if !settings.flag("force-from") || stands.is_bare() {
        return None;
    }
    let said = settings
        .trail
        .iter()
        .rev()
        .find(|a| a.key.name == "from" && a.layer < super::Layer::Flag);
    let said = said
        .and_then(|a| a.value.as_ref())
        .map(super::text_of)
        .unwrap_or_default();
    let login = login_name(settings)
        .and_then(|login| Address::parse(&login).ok())
        .filter(|login| !login.is_bare());
    let ours: Vec<Mailbox> = parse_authors(&said)
        .unwrap_or_default()
        .into_iter()
        .chain(login.map(Mailbox::from))
        .collect();
    if ours.iter().any(|our| our.address.key() == stands.key()) {
        return None;
    }
    ours.into_iter().find(|our| !our.address.is_bare())
}
