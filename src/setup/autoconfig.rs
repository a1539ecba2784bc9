//! What a domain publishes about sending its mail: `config-v1.1.xml`, as Thunderbird reads it.
//!
//! Promise: nothing is asked before the user said yes to it, and of nobody but the two hosts of the
//! domain and where they point to, by HTTPS only; no database of a third party is asked. What they
//! answer is read within bounds, without a DTD, and is a proposal: a server without TLS, a name
//! that cannot be a host's, a login that smail does not have, is skipped.
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use roxmltree::{Document, Node, ParsingOptions};

use super::find::{Login, Proposal, Server, is_within};
use super::messages::{self, Messages};
use crate::address::Address;
use crate::providers;
use crate::route::{Endpoint, TlsMode};

/// How often a page may be somewhere else.
const MOST_REDIRECTS: usize = 2;
/// More elements and texts than this are no settings.
const MOST_NODES: u32 = 4096;
/// The longest value that is taken, in bytes.
const LONGEST: usize = 256;
/// What is no letter or digit is written in hex in a query, but for these (RFC 3986 section 2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a web server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The status.
    pub status: u16,
    /// Where the page is to be found instead.
    pub location: Option<String>,
    /// The page.
    pub body: Vec<u8>,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoPage {
    /// A signal ended the wait.
    Interrupted,
    /// In words.
    Because(String),
}

/// Asks a host for a page by its path and query, over HTTPS, and follows no redirect.
pub(crate) type Web<'a> = &'a dyn Fn(&str, &str) -> Result<Page, NoPage>;

/// Why a host is of no help.
#[derive(Debug, PartialEq, Eq)]
enum Miss {
    NoPage(NoPage),
    Status(u16),
    Elsewhere,
    Unreadable,
    NoServer,
}

impl Miss {
    /// # Errors
    /// That nothing more may be asked.
    fn of(self, host: &str, messages: Messages) -> Result<String, NoPage> {
        let why = match self {
            Miss::NoPage(NoPage::Because(why)) => why,
            Miss::NoPage(NoPage::Interrupted) => return Err(NoPage::Interrupted),
            Miss::Status(status) => messages.of(messages::WEB_STATUS, &[&status.to_string()]),
            Miss::Elsewhere => messages.of(messages::WEB_ELSEWHERE, &[]),
            Miss::Unreadable => messages.of(messages::WEB_UNREADABLE, &[]),
            Miss::NoServer => messages.of(messages::WEB_NO_SERVER, &[]),
        };
        Ok(format!("{host}: {why}"))
    }
}

/// Returns whether a domain can be asked at all.
pub(crate) fn has_hosts(domain: &str) -> bool {
    is_host(&format!("autoconfig.{domain}")) && is_host(domain)
}

/// Asks the hosts of the domain, `autoconfig.` first, which is told the address. What was found and
/// by whom it was said.
///
/// # Errors
/// What is wrong with each, in one line.
pub(crate) fn look(
    address: &Address,
    web: Web<'_>,
    messages: Messages,
) -> Result<(Proposal, String), NoPage> {
    let who = Who::new(address);
    let query = utf8_percent_encode(&who.address, QUERY);
    let places = [
        (
            format!("autoconfig.{}", who.domain),
            format!("/mail/config-v1.1.xml?emailaddress={query}"),
        ),
        (
            who.domain.clone(),
            "/.well-known/autoconfig/mail/config-v1.1.xml".to_owned(),
        ),
    ];
    let mut misses = Vec::new();
    for (host, target) in places {
        let found = fetch(&host, &target, web).and_then(|(by, page)| Ok((read(&page, &who)?, by)));
        match found {
            Ok((server, by)) => {
                let outside = !is_within(&server.host, &who.domain);
                let by = if by == host {
                    host
                } else {
                    format!("{host} → {by}")
                };
                return Ok((Proposal { server, outside }, by));
            }
            Err(miss) => misses.push(miss.of(&host, messages)?),
        }
    }
    Err(NoPage::Because(misses.join("; ")))
}

/// A page, and the host that gave it in the end.
fn fetch(host: &str, target: &str, web: Web<'_>) -> Result<(String, Vec<u8>), Miss> {
    let (mut host, mut target) = (host.to_owned(), target.to_owned());
    for _ in 0..=MOST_REDIRECTS {
        let page = web(&host, &target).map_err(Miss::NoPage)?;
        match (page.status, page.location) {
            (200, _) => return Ok((host, page.body)),
            (301..=303 | 307 | 308, Some(location)) => {
                (host, target) = redirected(&host, &location).ok_or(Miss::Elsewhere)?;
            }
            (status, _) => return Err(Miss::Status(status)),
        }
    }
    Err(Miss::Elsewhere)
}

/// Host, path and query of a page that is somewhere else; `None` where it is not asked for: not by
/// HTTPS, at another port, under an address instead of a name.
fn redirected(host: &str, location: &str) -> Option<(String, String)> {
    let location = location.split('#').next().unwrap_or_default();
    let printable = location.len() <= 2048 && location.bytes().all(|b| b.is_ascii_graphic());
    let scheme = location
        .get(..8)
        .filter(|scheme| scheme.eq_ignore_ascii_case("https://"));
    let rest = match scheme {
        Some(_) => location.get(8..)?,
        None if location.starts_with("//") => &location[2..],
        None => {
            return (printable && location.starts_with('/'))
                .then(|| (host.to_owned(), location.to_owned()));
        }
    };
    let (authority, target) = rest.split_at(rest.find(['/', '?', '\\']).unwrap_or(rest.len()));
    let host = authority
        .strip_suffix(":443")
        .unwrap_or(authority)
        .to_ascii_lowercase();
    let target = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("/{target}")
    };
    (printable && is_host(&host)).then_some((host, target))
}

/// Returns whether this is the full name of a host, in A-labels and without a dot at the end.
fn is_host(name: &str) -> bool {
    let sound = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // The last label of an IP address is a number, that of a name never is (RFC 3696 section 2).
    let named = name
        .rsplit_once('.')
        .is_some_and(|(_, last)| !last.bytes().all(|b| b.is_ascii_digit()));
    named && name.len() <= 253 && name.split('.').all(sound)
}

/// Whose settings are looked for.
struct Who {
    address: String,
    local: String,
    domain: String,
}

impl Who {
    fn new(address: &Address) -> Self {
        let domain = address.domain().unwrap_or_default().to_lowercase();
        Who {
            address: address.to_string(),
            local: address.local().to_owned(),
            domain,
        }
    }

    /// A value with its placeholders filled in; `None` when it is empty, too long, not printable,
    /// or has a placeholder that only Thunderbird could ask for.
    fn fill(&self, value: &str) -> Option<String> {
        let mut parts = Some(value.trim())
            .filter(|value| value.len() <= LONGEST)?
            .split('%');
        let mut out = parts.next()?.to_owned();
        while let Some(name) = parts.next() {
            out += match name {
                "EMAILADDRESS" => &self.address,
                "EMAILLOCALPART" => &self.local,
                "EMAILDOMAIN" => &self.domain,
                _ => return None,
            };
            out += parts.next()?;
        }
        // What turns or hides text is neither a letter, a digit nor a sign of ASCII.
        let printable = out
            .chars()
            .all(|c| c.is_alphanumeric() || c.is_ascii_graphic());
        (printable && !out.is_empty() && out.len() <= 2 * LONGEST).then_some(out)
    }
}

/// The first server of a page that can be used.
fn read(page: &[u8], who: &Who) -> Result<Server, Miss> {
    let text = std::str::from_utf8(page).map_err(|_| Miss::Unreadable)?;
    // DTDs are refused by default, and with them every entity of the page's own.
    let options = ParsingOptions {
        nodes_limit: MOST_NODES,
        ..ParsingOptions::default()
    };
    let tree = Document::parse_with_options(text, options).map_err(|_| Miss::Unreadable)?;
    let root = Some(tree.root_element())
        .filter(|root| is(*root, "clientConfig"))
        .ok_or(Miss::Unreadable)?;
    let providers = root.children().filter(|node| is(*node, "emailProvider"));
    let mut servers = providers
        .flat_map(|provider| provider.children())
        .filter(|node| is(*node, "outgoingServer"));
    servers
        .find_map(|node| server(node, who))
        .ok_or(Miss::NoServer)
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

fn server(node: Node<'_, '_>, who: &Who) -> Option<Server> {
    let values = |name| {
        node.children()
            .filter(move |child| is(*child, name))
            .filter_map(|child| child.text())
    };
    let value = |name| values(name).next().map(str::trim);
    if !node.attribute("type")?.eq_ignore_ascii_case("smtp") {
        return None;
    }
    let host = who.fill(value("hostname")?)?.to_lowercase();
    let host = Some(host.strip_suffix('.').unwrap_or(&host))
        .filter(|host| is_host(host))?
        .to_owned();
    let port = value("port")?.parse().ok().filter(|port| *port > 0)?;
    let tls = match value("socketType")?.to_ascii_lowercase().as_str() {
        "ssl" | "tls" => TlsMode::Implicit,
        "starttls" => TlsMode::Starttls,
        _ => return None,
    };
    let login = login(
        values("authentication"),
        value("username").and_then(|user| who.fill(user)),
    )?;
    let preset = providers::by_host(&host);
    // What the table knows of a provider counts.
    let login = Some(login).filter(|_| preset.is_none());
    Some(Server {
        host,
        endpoint: Endpoint { port, tls },
        either: false,
        preset,
        login,
    })
}

/// The first of password, token and no login at all that the server takes; `None` when it takes
/// something else only.
fn login<'a>(forms: impl Iterator<Item = &'a str>, user: Option<String>) -> Option<Login> {
    let offered: Vec<_> = forms.map(|form| form.trim().to_ascii_lowercase()).collect();
    let takes = |known: &[&str]| offered.iter().any(|form| known.contains(&form.as_str()));
    if offered.is_empty()
        || takes(&[
            "password-cleartext",
            "plain",
            "password-encrypted",
            "secure",
        ])
    {
        Some(Login::Password(user))
    } else if takes(&["oauth2"]) {
        Some(Login::Token(user))
    } else {
        takes(&["none", "client-ip-address"]).then_some(Login::None)
    }
}

#[cfg(test)]
mod tests;
