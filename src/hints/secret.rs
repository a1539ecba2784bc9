//! User names and secrets that are visibly of the wrong kind, told before they are tried.
//!
//! Promise: a hint and never a refusal, as providers change their forms. The secret is looked at
//! and forgotten: it is in no value and in no text that leaves here.
use super::{Hint, named};
use crate::providers::family;

/// The length that says a secret is a token and not a password; tokens have forms of their own.
const TOKEN: usize = 100;

/// Finds what is visibly wrong with a user name and a secret (as a password, not as a token of
/// OAuth2) at a provider, named by id or family.
pub fn suspicious(provider: Option<&str>, user: &str, secret: &str) -> Option<&'static Hint> {
    let of_provider = provider.and_then(|provider| wrong(family(provider), user, secret));
    named(of_provider.or_else(|| (secret.trim() != secret).then_some("secret-blank-ends"))?)
}

fn wrong(family: &str, user: &str, secret: &str) -> Option<&'static str> {
    let checks: &[(bool, &'static str)] = match family {
        "brevo" => &[(secret.starts_with("xkeysib-"), "secret-brevo-api-key")],
        "sendgrid" => &[
            (user != "apikey", "secret-sendgrid-user"),
            (!secret.starts_with("SG."), "secret-sendgrid-key"),
        ],
        "mailgun" => &[(secret.starts_with("key-"), "secret-mailgun-api-key")],
        "ses" => &[
            (user.contains('@'), "secret-ses-user"),
            // The derived password has 44 characters, the key it is derived from 40.
            (secret.len() == 40 && is_base64(secret), "secret-ses-iam"),
        ],
        "gmail" => &[(
            !is_token(secret) && !is_letters(secret, 16),
            "secret-gmail-length",
        )],
        "qq" => &[(!is_letters(secret, 16), "secret-qq-code")],
        "resend" => &[(user != "resend", "secret-resend-user")],
        "sparkpost" => &[(user != "SMTP_Injection", "secret-sparkpost-user")],
        "postmark" => &[(user.contains('@'), "secret-postmark-token")],
        "icloud" => &[(
            !is_letters(&secret.replace('-', ""), 16),
            "secret-icloud-form",
        )],
        _ => &[],
    };
    checks
        .iter()
        .find(|(is_wrong, _)| *is_wrong)
        .map(|(_, id)| *id)
}

/// So many letters, blanks aside: app passwords are shown in groups.
fn is_letters(secret: &str, count: usize) -> bool {
    let mut letters = secret.bytes().filter(|byte| *byte != b' ');
    letters
        .by_ref()
        .take(count)
        .filter(u8::is_ascii_alphabetic)
        .count()
        == count
        && letters.next().is_none()
}

fn is_token(secret: &str) -> bool {
    secret.len() >= TOKEN || secret.starts_with("ya29.") || secret.starts_with("eyJ")
}

fn is_base64(secret: &str) -> bool {
    secret
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(provider: &str, user: &str, secret: &str) -> &'static str {
        suspicious(Some(provider), user, secret).map_or("", |hint| hint.id)
    }

    #[test]
    fn what_is_visibly_of_the_wrong_kind_is_told() {
        let forty = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYabc";
        let cases = [
            ("brevo", "me@x", "xkeysib-0123", "secret-brevo-api-key"),
            ("brevo", "me@x", "xsmtpsib-0123", ""),
            ("sendgrid", "me@x", "SG.abc", "secret-sendgrid-user"),
            ("sendgrid", "apikey", "hunter2", "secret-sendgrid-key"),
            ("sendgrid", "apikey", "SG.abc", ""),
            (
                "mailgun-eu",
                "postmaster@x",
                "key-0123",
                "secret-mailgun-api-key",
            ),
            ("ses", "me@x", "BexampleExample", "secret-ses-user"),
            ("ses", "AKIAEXAMPLE", &forty[..40], "secret-ses-iam"),
            (
                "ses",
                "AKIAEXAMPLE",
                "BIexample0123456789abcdefghijklmnopqrstuvwxy",
                "",
            ),
            ("gmail", "me@gmail.com", "hunter2", "secret-gmail-length"),
            ("gworkspace", "me@x", "abcd efgh ijkl mnop", ""),
            (
                "gmail",
                "me@gmail.com",
                "abcdefghijklmnopq",
                "secret-gmail-length",
            ),
            ("gmail", "me@gmail.com", "ya29.a0Ab", ""),
            ("qq", "1@qq.com", "12345678", "secret-qq-code"),
            ("qq", "1@qq.com", "abcdefghijklmnop", ""),
            ("resend", "me@x", "re_1", "secret-resend-user"),
            ("sparkpost", "me", "k", "secret-sparkpost-user"),
            ("postmark", "me@x", "t", "secret-postmark-token"),
            ("icloud", "me@icloud.com", "abcd-efgh-ijkl-mnop", ""),
            ("icloud", "me@icloud.com", "hunter2", "secret-icloud-form"),
            ("fastmail", "me", "anything", ""),
            ("fastmail", "me", "anything ", "secret-blank-ends"),
        ];
        for (provider, user, secret, wanted) in cases {
            assert_eq!(
                id(provider, user, secret),
                wanted,
                "{provider} {user} {secret}"
            );
        }
        assert!(suspicious(None, "me", "").is_none());
    }

    #[test]
    fn the_hint_does_not_repeat_the_secret() {
        let shown = format!("{:?}", suspicious(Some("gmail"), "me@gmail.com", "hunter2"));
        assert!(
            shown.contains("secret-gmail-length") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
