//! What is known of mail providers: server, ports, TLS, the form of the user name, and where
//! passwords come from.
//!
//! Promise: the table is data (`providers.toml`); only the row that is asked for is parsed, and only
//! when it is asked for. Loopback names never lead to a preset: what listens there is the user's
//! own.
use std::net::IpAddr;

use serde::Deserialize;

use crate::route::{Door, Mechanism, TlsMode};

/// The rows. Each begins with `[id]` at the start of a line.
const TABLE: &str = include_str!("providers.toml");

/// The longest domain name (RFC 1035 section 2.3.4); what is longer is not looked up, so that the
/// work is bounded.
const MAX_NAME: usize = 253;

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Its name in settings.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Providers of one family answer with the same texts.
    pub family: String,
    /// Address domains, with all below them.
    pub domains: Vec<String>,
    /// Exchangers of its customers' domains, with all below them.
    pub mx: Vec<String>,
    /// The server; `None` where it depends on region or customer.
    pub host: Option<String>,
    /// Every server name that tells this provider; `*` is one label.
    pub hosts: Vec<String>,
    /// Its ports, the preferred one first. Never empty.
    pub doors: Vec<Door>,
    /// The mechanisms it offers.
    pub auth: Vec<Mechanism>,
    /// What the user name is.
    pub user_form: UserForm,
    /// More about the user name; may be empty.
    pub user_text: String,
    /// What serves as the password; may be empty.
    pub secret: String,
    /// Where to get it; may be empty.
    pub credential_hint: String,
    /// Whom From may name.
    pub from_rule: FromRule,
    /// The same in the provider's words; may be empty.
    pub from_text: String,
}

/// What a provider wants as the user name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserForm {
    /// The whole address.
    Address,
    /// The part before the `@`.
    Local,
    /// Always this word.
    Literal(String),
    /// A name that the provider hands out.
    Own,
    /// There is no login.
    None,
}

/// Whom From may name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FromRule {
    /// Not known, or anyone.
    #[default]
    Any,
    /// Only the login.
    Login,
    /// Addresses that were proven to be the sender's own.
    Identity,
    /// Any address of a domain that was proven.
    Domain,
    /// Others are replaced by the login in silence.
    Rewrite,
}

impl Preset {
    /// The preferred port.
    pub fn door(&self) -> Door {
        // `parse` lets no row without doors through; the fallback is RFC 8314's.
        self.doors.first().copied().unwrap_or(Door {
            port: 465,
            tls: TlsMode::Implicit,
        })
    }

    /// How TLS starts on a port; `None` for a port the table does not know.
    pub fn mode_for_port(&self, port: u16) -> Option<TlsMode> {
        self.doors
            .iter()
            .find(|door| door.port == port)
            .map(|door| door.tls)
    }

    /// The user name for an address; `None` when the address does not tell it.
    pub fn user_for(&self, address: &str) -> Option<String> {
        match &self.user_form {
            UserForm::Address => Some(address.to_owned()),
            UserForm::Local => address.rsplit_once('@').map(|(local, _)| local.to_owned()),
            UserForm::Literal(word) => Some(word.clone()),
            UserForm::Own | UserForm::None => None,
        }
    }

    /// Where its passwords are to be had, for a login that was refused; `None` where `said`, in
    /// English, names all of that.
    pub fn credential_beyond(&self, said: &str) -> Option<String> {
        let hint = self.credential_hint.as_str();
        let places = hint.split(';').next().unwrap_or_default().split(" or ");
        // A page or a path of menus; what there is to say of it stands behind.
        let mut places = places
            .filter_map(|place| place.split(['(', ',']).next())
            .map(str::trim);
        let named = hint.is_empty() || places.all(|place| said.contains(place));
        (!named).then(|| format!("{}: {hint}", self.name))
    }
}

/// Finds the provider of an address domain (A-labels, in any case): that of the domain itself, else
/// of the nearest one above.
pub fn by_domain(domain: &str) -> Option<Preset> {
    let domain = asked(domain)?;
    let mut name = domain.as_str();
    // A single label is no provider's domain.
    while let Some((_, parent)) = name.split_once('.') {
        if let Some(found) = naming(name, |preset| &preset.domains) {
            return Some(found);
        }
        name = parent;
    }
    None
}

/// Finds the provider of a server name (in any case), regional forms included. An address is
/// nobody's: in the table one stands only for a bridge on the user's own host, which is not told by
/// it.
pub fn by_host(host: &str) -> Option<Preset> {
    let host = asked(host).filter(|host| host.parse::<IpAddr>().is_err())?;
    naming(&host, |preset| &preset.hosts).or_else(|| {
        let form = regional_forms().find(|form| is_of_form(&host, form))?;
        naming(form, |preset| &preset.hosts)
    })
}

/// Finds the provider that takes mail by an exchanger (in any case): that of the host itself, else
/// of the nearest name above.
pub fn by_mx(host: &str) -> Option<Preset> {
    let host = asked(host)?;
    let names = host
        .match_indices('.')
        .map(|(dot, _)| &host[dot + 1..])
        .filter(|name| name.contains('.'));
    std::iter::once(host.as_str())
        .chain(names)
        .find_map(|name| naming(name, |preset| &preset.mx))
}

/// Finds a provider by its name in settings.
pub fn by_id(id: &str) -> Option<Preset> {
    let (at, _) = TABLE.match_indices(&format!("\n[{id}]\n")).next()?;
    row_at(at + 1)
        .filter(|(name, _)| *name == id)
        .and_then(|(id, body)| parse(id, body))
}

/// Every provider, in the order of the table.
pub fn all() -> impl Iterator<Item = Preset> {
    rows().filter_map(|(id, body)| parse(id, body))
}

/// A name as the table would write it.
fn asked(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    (name.len() <= MAX_NAME).then(|| name.to_ascii_lowercase())
}

/// The row with this word in a list of names. One search of the table; parsing is left to rows that
/// hold the word at all.
fn naming(word: &str, list: fn(&Preset) -> &Vec<String>) -> Option<Preset> {
    let quoted = format!("\"{word}\"");
    TABLE
        .match_indices(&quoted)
        .filter_map(|(at, _)| row_at(at))
        .filter_map(|(id, body)| parse(id, body))
        .find(|preset| list(preset).iter().any(|name| name == word))
}

/// Every server name of the table in which `*` stands for a label.
fn regional_forms() -> impl Iterator<Item = &'static str> {
    TABLE.match_indices('*').filter_map(|(at, _)| {
        let (before, after) = (
            TABLE[..at].rsplit('"').next()?,
            TABLE[at..].split('"').next()?,
        );
        TABLE
            .get(at - before.len()..at + after.len())
            .filter(|form| !form.contains(char::is_whitespace))
    })
}

/// Whether a name is a form with one label in the place of its `*`.
fn is_of_form(name: &str, form: &str) -> bool {
    let label = form
        .split_once('*')
        .and_then(|(head, tail)| name.strip_prefix(head)?.strip_suffix(tail));
    label.is_some_and(|label| !label.contains('.'))
}

/// Name and text of every row.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE
        .split("\n[")
        .skip(1)
        .filter_map(|row| row.split_once("]\n"))
}

/// Name and text of the row around this place of the table.
fn row_at(place: usize) -> Option<(&'static str, &'static str)> {
    let start = TABLE.get(..=place)?.rfind("\n[")? + 2;
    let row = TABLE[start..].split("\n[").next()?;
    row.split_once("]\n")
}

/// A row as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Row {
    name: String,
    family: Option<String>,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    mx: Vec<String>,
    host: Option<String>,
    #[serde(default)]
    shared: bool,
    #[serde(default)]
    hosts: Vec<String>,
    doors: Vec<String>,
    #[serde(default)]
    auth: Vec<String>,
    user: String,
    #[serde(default)]
    user_text: String,
    #[serde(default)]
    secret: String,
    #[serde(default)]
    hint: String,
    #[serde(default)]
    from: FromRule,
    #[serde(default)]
    from_text: String,
}

/// `None` only for a row that is written wrong, which the tests rule out.
fn parse(id: &str, body: &str) -> Option<Preset> {
    let row: Row = toml::from_str(body).ok()?;
    let doors: Vec<Door> = row
        .doors
        .iter()
        .map(|text| door(text))
        .collect::<Option<_>>()?;
    let auth = row
        .auth
        .iter()
        .map(|word| mechanism(word))
        .collect::<Option<_>>()?;
    let own = row.host.iter().filter(|_| !row.shared);
    Some(Preset {
        id: id.to_owned(),
        family: row.family.unwrap_or_else(|| id.to_owned()),
        hosts: own.chain(&row.hosts).cloned().collect(),
        doors: if doors.is_empty() { return None } else { doors },
        auth,
        user_form: user_form(&row.user)?,
        name: row.name,
        domains: row.domains,
        mx: row.mx,
        host: row.host,
        user_text: row.user_text,
        secret: row.secret,
        credential_hint: row.hint,
        from_rule: row.from,
        from_text: row.from_text,
    })
}

fn door(text: &str) -> Option<Door> {
    let (port, tls) = text.split_once(' ')?;
    let modes = [TlsMode::Implicit, TlsMode::Starttls, TlsMode::None];
    Some(Door {
        port: port.parse().ok()?,
        tls: modes.into_iter().find(|mode| mode.word() == tls)?,
    })
}

fn mechanism(word: &str) -> Option<Mechanism> {
    Some(match word {
        "login" => Mechanism::Login,
        "plain" => Mechanism::Plain,
        "cram-md5" => Mechanism::CramMd5,
        "xoauth2" => Mechanism::Xoauth2,
        "oauthbearer" => Mechanism::Oauthbearer,
        _ => return None,
    })
}

fn user_form(text: &str) -> Option<UserForm> {
    Some(match text {
        "address" => UserForm::Address,
        "local" => UserForm::Local,
        "own" => UserForm::Own,
        "none" => UserForm::None,
        _ => UserForm::Literal(text.strip_prefix("literal ")?.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn id(preset: Option<Preset>) -> String {
        preset.map_or_else(|| "nobody".to_owned(), |preset| preset.id)
    }

    #[test]
    fn every_row_is_written_right() {
        let whole: toml::Table = TABLE.parse().unwrap();
        assert_eq!(all().count(), whole.len());
        assert!(whole.len() > 90);
        for (row, body) in rows() {
            toml::from_str::<Row>(body).unwrap_or_else(|error| panic!("{row}: {error}"));
            assert!(
                parse(row, body).is_some(),
                "{row}: a door, a mechanism or the user form"
            );
        }
    }

    #[test]
    fn no_two_rows_claim_a_domain_a_host_or_a_port() {
        let mut claims: BTreeMap<String, String> = BTreeMap::new();
        for preset in all() {
            let kinds = [("domain", &preset.domains), ("host", &preset.hosts)];
            for (kind, names) in kinds {
                for name in names {
                    assert!(
                        !name.contains([' ', '<', '(']) && *name == name.to_lowercase(),
                        "{}: {name}",
                        preset.id
                    );
                    let before = claims.insert(format!("{kind} {name}"), preset.id.clone());
                    assert_eq!(before, None, "{kind} {name} of {}", preset.id);
                }
            }
            let mut ports: Vec<u16> = preset.doors.iter().map(|door| door.port).collect();
            ports.sort_unstable();
            ports.dedup();
            assert_eq!(ports.len(), preset.doors.len(), "{}", preset.id);
        }
    }

    #[test]
    fn no_row_holds_a_guess_marked_as_one() {
        assert!(!TABLE.contains("unverified") && !TABLE.contains("custom domains"));
    }

    #[test]
    fn every_row_with_a_server_of_its_own_is_found_by_it() {
        for preset in all() {
            for host in &preset.hosts {
                assert_eq!(
                    by_host(&host.replace('*', "eu-west-1")).as_ref(),
                    Some(&preset)
                );
            }
            for domain in &preset.domains {
                assert_eq!(by_domain(domain).as_ref(), Some(&preset));
            }
            assert_eq!(by_id(&preset.id).as_ref(), Some(&preset));
        }
    }

    #[test]
    fn netease_starts_tls_at_once_on_465_and_587() {
        let preset = by_domain("163.com").unwrap();
        assert_eq!(
            preset.door(),
            Door {
                port: 465,
                tls: TlsMode::Implicit
            }
        );
        assert_eq!(preset.mode_for_port(587), Some(TlsMode::Implicit));
        assert_eq!(preset.mode_for_port(25), Some(TlsMode::Starttls));
        assert_eq!(preset.mode_for_port(26), None);
        assert_eq!(preset.host.as_deref(), Some("smtp.163.com"));
        assert_eq!(preset.from_rule, FromRule::Login);
    }

    #[test]
    fn gmail_is_starttls_on_587_and_implicit_on_465() {
        let preset = by_host("SMTP.gmail.com.").unwrap();
        assert_eq!(preset.mode_for_port(587), Some(TlsMode::Starttls));
        assert_eq!(preset.mode_for_port(465), Some(TlsMode::Implicit));
        assert_eq!(preset.from_rule, FromRule::Rewrite);
    }

    #[test]
    fn a_domain_below_belongs_to_the_nearest_one_above() {
        assert_eq!(id(by_domain("vip.163.com")), "163vip");
        assert_eq!(id(by_domain("Contoso.onmicrosoft.com")), "m365");
        assert_eq!(id(by_domain("not163.com")), "nobody");
        assert_eq!(id(by_domain("com")), "nobody");
        assert_eq!(id(by_domain("")), "nobody");
    }

    #[test]
    fn an_exchanger_tells_who_keeps_the_mail_of_a_domain() {
        assert_eq!(
            id(by_mx("contoso-com.mail.protection.outlook.com.")),
            "m365"
        );
        assert_eq!(id(by_mx("ALT1.aspmx.l.google.com")), "gmail");
        assert_eq!(id(by_mx("mx.example.org")), "nobody");
        assert_eq!(id(by_mx("com")), "nobody");
    }

    #[test]
    fn regional_servers_are_known_and_lookalikes_are_not() {
        assert_eq!(id(by_host("email-smtp.us-east-1.amazonaws.com")), "ses");
        assert_eq!(
            id(by_host("smtp.email.ap-tokyo-1.oci.oraclecloud.com")),
            "ociemail"
        );
        assert_eq!(
            id(by_host("contoso-com.mail.protection.outlook.com")),
            "m365-mx"
        );
        assert_eq!(id(by_host("email-smtp.a.b.amazonaws.com")), "nobody");
        assert_eq!(id(by_host("smtp.gmail.com.evil.example")), "nobody");
        assert_eq!(id(by_host("x.smtp.gmail.com")), "nobody");
        assert_eq!(id(by_host(&"a.".repeat(100_000))), "nobody");
        assert_eq!(id(by_domain(&"a.".repeat(100_000))), "nobody");
    }

    #[test]
    fn loopback_is_nobodys() {
        for host in [
            "localhost",
            "127.0.0.1",
            "::1",
            "[::1]",
            "",
            "*",
            "\"",
            "465 implicit",
        ] {
            assert_eq!(id(by_host(host)), "nobody", "{host}");
        }
    }

    #[test]
    fn the_user_name_has_the_form_that_the_provider_wants() {
        let user = |id: &str| {
            by_id(id)
                .unwrap()
                .user_for("me@x.example")
                .unwrap_or_default()
        };
        assert_eq!(user("163"), "me@x.example");
        assert_eq!(user("yahoojp"), "me");
        assert_eq!(user("sendgrid"), "apikey");
        assert_eq!(user("ses"), "");
        assert_eq!(by_id("nobody"), None);
    }

    #[test]
    fn a_lookup_costs_less_than_two_milliseconds() {
        // The best of some, for the machine may be busy; without optimisation it is twenty times
        // slower than in a release.
        let slowest = [
            "nowhere.example",
            "a.b.c.d.e.f.g.h.yahoo.co.jp",
            "mail.protection.outlook.com",
            "163.com",
        ]
        .map(|name| {
            let once = || {
                let begun = std::time::Instant::now();
                assert_eq!(
                    by_host(name).is_some() || by_domain(name).is_some(),
                    name != "nowhere.example"
                );
                begun.elapsed()
            };
            (0..20).map(|_| once()).min().unwrap()
        });
        let limit = if cfg!(debug_assertions) { 40 } else { 2 };
        assert!(
            slowest.iter().max().unwrap().as_millis() < limit,
            "{slowest:?}"
        );
    }
}
