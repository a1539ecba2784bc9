//! What is known of the providers of tokens: a row each.
//!
//! Sources: the providers' own pages on OAuth2 for mail and the tables of Thunderbird and
//! email-oauth2-proxy. No client is registered for smail: whoever uses it brings their own.

/// When a sign-in ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// So many days after it, if the client of the provider is only a test.
    AfterSignIn(i64),
    /// So many days after the last token.
    Idle(i64),
}

/// A provider.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Its name in `oauth2-provider`.
    pub id: &'static str,
    /// The rows of the table of mail providers that it signs in for.
    pub mail: &'static [&'static str],
    /// Where a person signs in. `{tenant}` is replaced.
    pub authorize: &'static str,
    /// Where tokens are given out.
    pub token: &'static str,
    /// Where a device code is given out; empty where there is none for mail.
    pub device: &'static str,
    /// What the token is for.
    pub scope: &'static str,
    /// The same for a client that signs in by itself.
    pub service_scope: &'static str,
    /// The tenant if none is set.
    pub tenant: &'static str,
    /// The name of this host that it takes in a redirect.
    pub redirect_host: &'static str,
    /// What it wants beside.
    pub extra: &'static [(&'static str, &'static str)],
    /// It takes no passwords, or not from everybody.
    pub replaces_passwords: bool,
    /// When a sign-in ends.
    pub rule: Option<Rule>,
}

const PROVIDERS: &[Provider] = &[
    Provider {
        id: "google",
        mail: &["gmail", "gworkspace", "gworkspace-relay"],
        authorize: "https://accounts.google.com/o/oauth2/v2/auth",
        token: "https://oauth2.googleapis.com/token",
        // Its device flow gives out no token for mail.
        device: "",
        scope: "https://mail.google.com/",
        service_scope: "https://mail.google.com/",
        tenant: "",
        redirect_host: "127.0.0.1",
        extra: &[("access_type", "offline"), ("prompt", "consent")],
        replaces_passwords: true,
        rule: Some(Rule::AfterSignIn(7)),
    },
    Provider {
        id: "microsoft",
        mail: &["m365"],
        authorize: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
        token: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
        device: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode",
        scope: "https://outlook.office.com/SMTP.Send offline_access",
        service_scope: "https://outlook.office365.com/.default",
        tenant: "common",
        redirect_host: "localhost",
        extra: &[],
        replaces_passwords: true,
        rule: Some(Rule::Idle(90)),
    },
    Provider {
        id: "microsoft-consumer",
        mail: &["outlook"],
        authorize: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
        token: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
        device: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode",
        scope: "https://outlook.office.com/SMTP.Send offline_access",
        service_scope: "",
        tenant: "consumers",
        redirect_host: "localhost",
        extra: &[],
        replaces_passwords: true,
        rule: Some(Rule::Idle(90)),
    },
    Provider {
        id: "yahoo",
        mail: &["yahoo", "aol"],
        authorize: "https://api.login.yahoo.com/oauth2/request_auth",
        token: "https://api.login.yahoo.com/oauth2/get_token",
        device: "",
        scope: "mail-w",
        service_scope: "",
        tenant: "",
        redirect_host: "localhost",
        extra: &[],
        replaces_passwords: false,
        rule: None,
    },
    Provider {
        id: "fastmail",
        mail: &["fastmail"],
        authorize: "https://api.fastmail.com/oauth/authorize",
        token: "https://api.fastmail.com/oauth/refresh",
        device: "",
        scope: "https://www.fastmail.com/dev/protocol-smtp",
        service_scope: "",
        tenant: "",
        redirect_host: "127.0.0.1",
        extra: &[],
        replaces_passwords: false,
        rule: None,
    },
    Provider {
        id: "yandex",
        mail: &["yandex", "yandex360"],
        authorize: "https://oauth.yandex.com/authorize",
        token: "https://oauth.yandex.com/token",
        device: "",
        scope: "mail:smtp",
        service_scope: "",
        tenant: "",
        redirect_host: "localhost",
        extra: &[],
        replaces_passwords: false,
        rule: None,
    },
];

/// The names of `oauth2-provider`.
pub(crate) const NAMES: &[&str] = &[
    "google",
    "microsoft",
    "microsoft-consumer",
    "yahoo",
    "fastmail",
    "yandex",
];

/// Every provider.
#[cfg(test)]
pub(crate) fn all() -> &'static [Provider] {
    PROVIDERS
}

/// Finds a provider by its name.
pub(crate) fn named(id: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.id == id)
}

/// Finds the provider that signs in for a provider of mail.
pub(crate) fn for_mail(id: &str) -> Option<&'static Provider> {
    PROVIDERS
        .iter()
        .find(|provider| provider.mail.contains(&id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Url;

    #[test]
    fn every_row_has_addresses_that_can_be_asked() {
        assert_eq!(
            NAMES,
            PROVIDERS.iter().map(|row| row.id).collect::<Vec<_>>()
        );
        for row in PROVIDERS {
            let addresses = [row.authorize, row.token, row.device];
            for text in addresses.iter().filter(|text| !text.is_empty()) {
                let text = text.replace("{tenant}", row.tenant);
                assert!(Url::parse(&text).is_ok_and(|url| url.secure), "{text}");
            }
            assert!(!row.scope.is_empty(), "{}", row.id);
        }
    }
}
