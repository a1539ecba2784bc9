//! What is known of mail providers: server, ports, TLS, the form of the user name, and where
//! passwords come from.
//!
//! Promise: the table is data (`providers.toml`), checked and laid out when the program is built;
//! nothing is parsed. Loopback names never lead to a preset: what listens there is the user's own.
use std::net::IpAddr;

use crate::route::{Endpoint, Mechanism, TlsMode};
use crate::span::Span;

include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// The longest domain name (RFC 1035 section 2.3.4); what is longer is not looked up, so that the
/// work is bounded.
const MAX_NAME: usize = 253;

/// A row of the table. Lists of names have a blank between two of them; `endpoints` and `auth` are
/// ranges of `ENDPOINTS` and `AUTH`.
struct Row {
    id: Span,
    name: Span,
    family: Span,
    /// Address domains, with all below them.
    domains: Span,
    /// Exchangers of its customers' domains, with all below them.
    mx: Span,
    /// The server; empty where it depends on region or customer.
    host: Span,
    /// Every server name that tells this provider; `*` is one label.
    hosts: Span,
    user: Span,
    user_text: Span,
    secret: Span,
    hint: Span,
    endpoints: (usize, usize),
    auth: (usize, usize),
    from: FromRule,
}

/// A provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name in settings.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Providers of one family answer with the same texts.
    pub family: &'static str,
    /// The server; `None` where it depends on region or customer.
    pub host: Option<&'static str>,
    /// Its ports, the preferred one first. Never empty.
    pub endpoints: &'static [Endpoint],
    /// The mechanisms it offers.
    pub auth: &'static [Mechanism],
    /// What the user name is.
    pub user_form: UserForm,
    /// More about the user name; may be empty.
    pub user_text: &'static str,
    /// What serves as the password; may be empty.
    pub secret: &'static str,
    /// Where to get it; may be empty.
    pub credential_hint: &'static str,
    /// Whom From may name.
    pub from_rule: FromRule,
}

/// What a provider wants as the user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserForm {
    /// The whole address.
    Address,
    /// The part before the `@`.
    Local,
    /// Always this word.
    Literal(&'static str),
    /// A name that the provider hands out.
    Own,
    /// There is no login.
    None,
}

/// Whom From may name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    pub fn endpoint(&self) -> Endpoint {
        // The build lets no row without endpoints through; the fallback is RFC 8314's.
        self.endpoints.first().copied().unwrap_or(Endpoint {
            port: 465,
            tls: TlsMode::Implicit,
        })
    }

    /// How TLS starts on a port; `None` for a port the table does not know.
    pub fn mode_for_port(&self, port: u16) -> Option<TlsMode> {
        self.endpoints
            .iter()
            .find(|endpoint| endpoint.port == port)
            .map(|endpoint| endpoint.tls)
    }

    /// The user name for an address; `None` when the address does not tell it.
    pub fn user_for(&self, address: &str) -> Option<String> {
        match self.user_form {
            UserForm::Address => Some(address.to_owned()),
            UserForm::Local => address.rsplit_once('@').map(|(local, _)| local.to_owned()),
            UserForm::Literal(word) => Some(word.to_owned()),
            UserForm::Own | UserForm::None => None,
        }
    }

    /// Where its passwords are to be had, for a login that was refused; `None` where `said`, in
    /// English, names all of that.
    pub fn credential_beyond(&self, said: &str) -> Option<String> {
        let hint = self.credential_hint;
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
        if let Some(found) = naming(name, |row| row.domains) {
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
    naming(&host, |row| row.hosts).or_else(|| {
        let has_form = |row: &&Row| names(row.hosts).any(|form| is_of_form(&host, form));
        ROWS.iter().find(has_form).map(Row::preset)
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
        .find_map(|name| naming(name, |row| row.mx))
}

/// Finds a provider by its name in settings.
pub fn by_id(id: &str) -> Option<Preset> {
    let found = ROWS.iter().find(|row| row.id.of(TEXT) == id);
    found.map(Row::preset)
}

/// The family of a provider, by its name in settings; a name that the table does not have is one of
/// a family.
pub fn family(id: &str) -> &str {
    by_id(id).map_or(id, |preset| preset.family)
}

/// Every provider, in the order of the table.
pub fn all() -> impl Iterator<Item = Preset> {
    ROWS.iter().map(Row::preset)
}

/// A name as the table would write it.
fn asked(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    (name.len() <= MAX_NAME).then(|| name.to_ascii_lowercase())
}

/// The names of a list.
fn names(list: Span) -> impl Iterator<Item = &'static str> {
    list.of(TEXT).split_ascii_whitespace()
}

/// The first row with this name in a list.
fn naming(name: &str, list: fn(&Row) -> Span) -> Option<Preset> {
    let found = ROWS
        .iter()
        .find(|row| names(list(row)).any(|one| one == name));
    found.map(Row::preset)
}

/// Returns whether a name is a form with one label in the place of its `*`.
fn is_of_form(name: &str, form: &str) -> bool {
    let label = form
        .split_once('*')
        .and_then(|(head, tail)| name.strip_prefix(head)?.strip_suffix(tail));
    label.is_some_and(|label| !label.contains('.'))
}

impl Row {
    fn preset(&self) -> Preset {
        Preset {
            id: self.id.of(TEXT),
            name: self.name.of(TEXT),
            family: self.family.of(TEXT),
            host: Some(self.host.of(TEXT)).filter(|host| !host.is_empty()),
            endpoints: ENDPOINTS
                .get(self.endpoints.0..self.endpoints.1)
                .unwrap_or_default(),
            auth: AUTH.get(self.auth.0..self.auth.1).unwrap_or_default(),
            user_form: user_form(self.user.of(TEXT)),
            user_text: self.user_text.of(TEXT),
            secret: self.secret.of(TEXT),
            credential_hint: self.hint.of(TEXT),
            from_rule: self.from,
        }
    }
}

/// The build lets no other words through.
fn user_form(text: &'static str) -> UserForm {
    match text {
        "address" => UserForm::Address,
        "local" => UserForm::Local,
        "own" => UserForm::Own,
        _ => text
            .strip_prefix("literal ")
            .map_or(UserForm::None, UserForm::Literal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(preset: Option<Preset>) -> &'static str {
        preset.map_or("nobody", |preset| preset.id)
    }

    #[test]
    fn every_row_of_the_file_is_in_the_table() {
        let file: toml::Table = include_str!("providers.toml").parse().unwrap();
        assert!(file.len() > 90);
        assert_eq!(all().count(), file.len());
        for preset in all() {
            let row = &file[preset.id];
            let text = |key: &str| row.get(key).and_then(toml::Value::as_str);
            let read = [
                Some(preset.name),
                Some(preset.family),
                preset.host,
                Some(preset.user_text),
                Some(preset.secret),
                Some(preset.credential_hint),
            ];
            let written = [
                text("name"),
                text("family").or(Some(preset.id)),
                text("host"),
                text("user-text").or(Some("")),
                text("secret").or(Some("")),
                text("hint").or(Some("")),
            ];
            assert_eq!(read, written, "{}", preset.id);
            let endpoints: Vec<String> = preset
                .endpoints
                .iter()
                .map(|endpoint| format!("{} {}", endpoint.port, endpoint.tls.word()))
                .collect();
            assert_eq!(
                toml::Value::from(endpoints),
                row["endpoints"],
                "{}",
                preset.id
            );
        }
    }

    #[test]
    fn every_row_with_a_server_of_its_own_is_found_by_it() {
        for row in &ROWS {
            let preset = Some(row.preset());
            for host in names(row.hosts) {
                assert_eq!(by_host(&host.replace('*', "eu-west-1")), preset);
            }
            for domain in names(row.domains) {
                assert_eq!(by_domain(domain), preset);
            }
            assert_eq!(by_id(row.id.of(TEXT)), preset);
        }
    }

    #[test]
    fn netease_starts_tls_at_once_on_465_and_587() {
        let preset = by_domain("163.com").unwrap();
        assert_eq!(
            preset.endpoint(),
            Endpoint {
                port: 465,
                tls: TlsMode::Implicit
            }
        );
        assert_eq!(preset.mode_for_port(587), Some(TlsMode::Implicit));
        assert_eq!(preset.mode_for_port(25), Some(TlsMode::Starttls));
        assert_eq!(preset.mode_for_port(26), None);
        assert_eq!(preset.host, Some("smtp.163.com"));
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
