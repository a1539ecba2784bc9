//! What is trusted when TLS starts, by the settings of a server.
//!
//! Promise: what does not read as a fingerprint is an error, and never less trust.
use super::candidates::source;
use super::wrong;
use crate::route::{Trust, Verify};
use crate::settings::value::Value;
use crate::settings::{Settings, SettingsError};

pub(super) fn trust(settings: &Settings, chain: &[String]) -> Result<Trust, SettingsError> {
    let text = |name| settings.chained_text(name, chain);
    let path = |name| text(name).map(|p| settings.expand(&p));
    let on = |name| {
        matches!(
            settings.chained(name, chain).and_then(|a| a.value.as_ref()),
            Some(Value::Flag(true))
        )
    };
    let verify = text("tls-verify").map_or(Verify::Strict, |word| Verify::of_word(&word));
    let pairs = settings
        .chained("tls-config-pairs", chain)
        .and_then(|a| a.value.clone());
    let pair = |wanted: &str| {
        let Some(Value::List(list)) = &pairs else {
            return None;
        };
        list.iter()
            .filter_map(|p| p.split_once('='))
            .find(|(k, _)| k.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, v)| settings.expand(v.trim()))
    };
    let fingerprint = match text("tls-fingerprint") {
        Some(hex) => Some(fingerprint(&hex).ok_or_else(|| {
            wrong(
                settings,
                "tls-fingerprint",
                "expected 64 hexadecimal digits (SHA-256)",
            )
        })?),
        None => None,
    };
    Ok(Trust {
        verify,
        ca_file: path("tls-ca-file"),
        ca_dir: path("tls-ca-dir"),
        no_system_roots: on("tls-ca-no-defaults"),
        fingerprint,
        cert: path("tls-cert").or_else(|| pair("Certificate")),
        key: path("tls-key").or_else(|| pair("PrivateKey")),
        key_password: settings
            .chained("tls-key-password-command", chain)
            .and_then(|command| source(settings, command)),
        only_tls13: text("tls-min-version").as_deref() == Some("1.3")
            || pair("MinProtocol").is_some_and(|version| {
                version
                    .to_str()
                    .is_some_and(|text| text.eq_ignore_ascii_case("tlsv1.3"))
            }),
    })
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let text = text.rsplit_once('=').map_or(text, |(_, hex)| hex);
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !matches!(c, ':' | ' '))
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .filter(|pair| pair.len() == 2)
        .map(|pair| pair[0] * 16 + pair[1])
        .collect();
    if digits.len() == 64 {
        bytes.try_into().ok()
    } else {
        None
    }
}
