//! Forms (`application/x-www-form-urlencoded`) and queries.
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

/// All but the unreserved characters (RFC 3986 section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Writes fields as a form. What is longer than expected is not left behind when the text grows.
pub(super) fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    let length = |text: &str| 3 * text.len() + 2;
    let room = fields
        .iter()
        .map(|(name, value)| length(name) + length(value));
    let mut out = Zeroizing::new(String::with_capacity(room.sum()));
    for (name, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        out.extend(utf8_percent_encode(name, ESCAPED));
        out.push('=');
        out.extend(utf8_percent_encode(value, ESCAPED));
    }
    out
}

/// The fields of a form that no error may repeat.
const SECRETS: &[&str] = &[
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "refresh_token",
];

/// Strikes out what a server repeats of the secrets of a form.
pub(super) fn redacted(form: &str, page: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(String::from_utf8_lossy(page).into_owned());
    for secret in SECRETS.iter().filter_map(|name| value(form, name)) {
        if !secret.is_empty() && text.contains(secret.as_str()) {
            text = Zeroizing::new(text.replace(secret.as_str(), "***"));
        }
    }
    Zeroizing::new(text.as_bytes().to_vec())
}

/// The value of a field in a query or form, decoded.
pub(super) fn value(query: &str, name: &str) -> Option<Zeroizing<String>> {
    let text = query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == name).then_some(value)
    })?;
    let blanks = Zeroizing::new(text.replace('+', " "));
    let decoded = percent_decode_str(&blanks).decode_utf8();
    decoded.ok().map(|text| Zeroizing::new(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let fields = [("a b", "1&2=3"), ("scope", "https://x/ ü+"), ("empty", "")];
        let text = form(&fields);
        assert_eq!(
            *text,
            "a%20b=1%262%3D3&scope=https%3A%2F%2Fx%2F%20%C3%BC%2B&empty="
        );
        assert_eq!(*value(&text, "scope").unwrap(), "https://x/ ü+");
        assert_eq!(*value("x=1&code=a+b%2f", "code").unwrap(), "a b/");
        assert_eq!(value("x=1", "code"), None);
        assert_eq!(value("code=%ff", "code"), None);
    }
}
