//! Looks the provider up and lets it name the server when nothing else does.
use super::value::Value;
use super::{Settings, SettingsError};
use crate::address::parse_authors;
use crate::providers;
use crate::route::TlsMode;
use crate::route::url::{self, Parsed};

/// Finds the provider by `provider`, the server, the login or the author, and lets it name the
/// server when nothing else does.
pub(super) fn look_up(settings: &mut Settings) -> Result<(), SettingsError> {
    let host = settings.target("smtp").or_else(|| {
        settings
            .target("mta")
            .filter(|mta| mta.text().contains("://"))
    });
    let preset = match (settings.filled("provider"), &host) {
        (Some(id), _) => Some(providers::by_id(&id).ok_or_else(|| SettingsError::Value {
            name: "provider".into(),
            origin: settings.origin("provider").cloned(),
            why: format!(
                "unknown provider `{}`",
                crate::text::word(&url::masked(&id))
            ),
        })?),
        (None, Some(host)) => host
            .server()
            .and_then(|server| providers::by_host(&server.host)),
        (None, None) => provider_of_login(settings),
    };
    let Some(preset) = preset else { return Ok(()) };
    if let (None, None, Some(server)) = (&host, settings.filled("mta"), &preset.host) {
        let endpoint = preset.endpoint();
        let scheme = if endpoint.tls == TlsMode::Implicit {
            "smtps"
        } else {
            "smtp"
        };
        let url = format!("{scheme}://{server}:{}", endpoint.port);
        settings.push_preset("smtp", Value::Target(Parsed::target(url)), preset.id);
    }
    settings.preset = Some(preset);
    Ok(())
}

/// Only a login points at a provider: without one, mail of a From address goes where mail went
/// before.
fn provider_of_login(settings: &Settings) -> Option<providers::Preset> {
    let password = [
        "auth-password",
        "auth-password-file",
        "auth-password-command",
    ]
    .iter()
    .any(|n| settings.winner(n).is_some());
    let user = settings.filled("auth-user");
    if user.is_none() && !password {
        return None;
    }
    let from = settings
        .list("from")
        .first()
        .and_then(|f| parse_authors(f).ok())
        .and_then(|l| l.into_iter().next());
    let domain = |text: &str| {
        text.rsplit_once('@')
            .map(|(_, domain)| domain.to_lowercase())
    };
    let by_user = user
        .as_deref()
        .and_then(domain)
        .and_then(|d| providers::by_domain(&d));
    by_user.or_else(|| providers::by_domain(&from?.address.domain()?.to_lowercase()))
}
