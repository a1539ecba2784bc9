//! The table of providers: what a row may say, what is wrong with one, and its code.
use std::collections::HashMap;

use serde::Deserialize;

use crate::mechanism::Mechanism;
use crate::rows::{Complaints, Row, Table};

/// A provider as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Provider {
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
    endpoints: Vec<String>,
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
    from: String,
    /// For readers of the file.
    #[serde(default)]
    from_text: String,
}

/// The family of a row.
pub(crate) fn family(row: &Row<Provider>) -> &str {
    row.fields.family.as_deref().unwrap_or(&row.id)
}

impl Provider {
    /// The names of servers that are this provider's alone.
    fn own_hosts(&self) -> Vec<String> {
        let own = self.host.iter().filter(|_| !self.shared);
        own.chain(&self.hosts).cloned().collect()
    }
}

/// Port and mode of TLS as Rust code.
fn endpoint(text: &str) -> Option<(u16, &'static str)> {
    let (port, tls) = text.split_once(' ')?;
    let mode = match tls {
        "implicit" => "Implicit",
        "starttls" => "Starttls",
        "none" => "None",
        _ => return None,
    };
    Some((port.parse().ok()?, mode))
}

fn from_rule(word: &str) -> Option<&'static str> {
    Some(match word {
        "" | "any" => "Any",
        "login" => "Login",
        "identity" => "Identity",
        "domain" => "Domain",
        "rewrite" => "Rewrite",
        _ => return None,
    })
}

fn is_user_form(text: &str) -> bool {
    matches!(text, "address" | "local" | "own" | "none")
        || text
            .strip_prefix("literal ")
            .is_some_and(|word| !word.is_empty() && !word.contains(' '))
}

/// A name is compared as it stands, and lists of names are stored with a blank between two.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains([' ', '<', '(']) && *name == name.to_lowercase()
}

/// Notes what is wrong with the rows.
pub(crate) fn check(rows: &[Row<Provider>], complaints: &mut Complaints) {
    let mut claimed: HashMap<(&str, String), &str> = HashMap::new();
    for row in rows {
        check_values(row, complaints);
        let fields = &row.fields;
        let hosts = fields.own_hosts();
        for (kind, names) in [("domain", &fields.domains), ("host", &hosts)] {
            for name in names {
                let before = claimed.insert((kind, name.clone()), &row.id);
                let by = before.unwrap_or_default();
                row.complain(
                    before.is_some(),
                    &format!("the {kind} `{name}` belongs to [{by}] already"),
                    complaints,
                );
            }
        }
    }
}

/// Notes the values of a row that cannot be.
fn check_values(row: &Row<Provider>, complaints: &mut Complaints) {
    let fields = &row.fields;
    let mut complain = |wrong, what: &str| row.complain(wrong, what, complaints);
    let mut ports = Vec::new();
    for text in &fields.endpoints {
        let endpoint = endpoint(text);
        let port = endpoint.map(|(port, _)| port);
        complain(
            endpoint.is_none(),
            &format!("endpoints: `{text}` is not a port with implicit, starttls or none"),
        );
        complain(
            ports.contains(&port),
            &format!("endpoints: `{text}` stands twice"),
        );
        ports.push(port);
    }
    complain(ports.is_empty(), "endpoints: expected at least one");
    for word in &fields.auth {
        complain(
            Mechanism::of_word(word).is_none(),
            &format!("auth: unknown mechanism `{word}`"),
        );
    }
    complain(
        !is_user_form(&fields.user),
        &format!("user: unknown form `{}`", fields.user),
    );
    complain(
        from_rule(&fields.from).is_none(),
        &format!("from: unknown rule `{}`", fields.from),
    );
    let names = [&fields.domains, &fields.mx, &fields.hosts];
    for name in names.into_iter().flatten().chain(&fields.host) {
        complain(
            !is_name(name),
            &format!("`{name}` is not a name in lower case"),
        );
    }
    let texts = [
        &fields.name,
        &fields.user_text,
        &fields.secret,
        &fields.hint,
        &fields.from_text,
    ];
    complain(fields.name.is_empty(), "name: expected a text");
    complain(
        texts.iter().any(|text| text.contains("unverified")),
        "a guess has no place in the table",
    );
}

/// The code of the table.
pub(crate) fn table(rows: &[Row<Provider>]) -> Table {
    let mut table = Table::default();
    let (mut endpoints, mut auth, mut codes) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let fields = &row.fields;
        let first = (endpoints.len(), auth.len());
        endpoints.extend(
            (fields.endpoints.iter().filter_map(|text| endpoint(text)))
                .map(|(port, tls)| format!("Endpoint {{ port: {port}, tls: TlsMode::{tls} }}")),
        );
        auth.extend(
            (fields
                .auth
                .iter()
                .filter_map(|word| Mechanism::of_word(word)))
            .map(|mechanism| format!("Mechanism::{mechanism:?}")),
        );
        let spans = [
            ("id", row.id.as_str()),
            ("name", &fields.name),
            ("family", family(row)),
            ("domains", &fields.domains.join(" ")),
            ("mx", &fields.mx.join(" ")),
            ("host", fields.host.as_deref().unwrap_or_default()),
            ("hosts", &fields.own_hosts().join(" ")),
            ("user", &fields.user),
            ("user_text", &fields.user_text),
            ("secret", &fields.secret),
            ("hint", &fields.hint),
        ]
        .map(|(name, text)| format!("{name}: {}", table.span(text)));
        codes.push(format!(
            "Row {{ {}, endpoints: ({}, {}), auth: ({}, {}), from: FromRule::{} }}",
            spans.join(", "),
            first.0,
            endpoints.len(),
            first.1,
            auth.len(),
            from_rule(&fields.from).unwrap_or("Any"),
        ));
    }
    table.list("ENDPOINTS", "Endpoint", &endpoints);
    table.list("AUTH", "Mechanism", &auth);
    table.list("ROWS", "Row", &codes);
    table
}
