//! The domain of an address: a name in A-labels (RFC 5890) or an address literal (RFC 5321 section
//! 4.1.3).
//!
//! Promise: what it gives is printable ASCII without blanks, and gives itself when it is read
//! again. Linear in the length of the text.
use super::{AddressError, LONGEST_DOMAIN};

/// Checks a domain and turns it into A-labels; `text` and `at` say where it stands, for the error.
pub(super) fn domain(host: &str, text: &str, at: usize) -> Result<String, AddressError> {
    let error = |offset: usize, reason: &str| Err(AddressError::new(text, at + offset, reason));
    if host.is_empty() {
        return error(0, "nothing follows the `@`");
    }
    if let Some(inner) = host.strip_prefix('[') {
        let Some(inner) = inner.strip_suffix(']') else {
            return error(0, "this `[` has no matching `]`");
        };
        let v6 = inner
            .get(..5)
            .filter(|p| p.eq_ignore_ascii_case("IPv6:"))
            .map(|_| &inner[5..]);
        let known = v6.map_or_else(
            || inner.parse::<std::net::Ipv4Addr>().is_ok(),
            |v6| v6.parse::<std::net::Ipv6Addr>().is_ok(),
        );
        return if known {
            Ok(host.to_owned())
        } else {
            error(1, "this is not an IP address")
        };
    }
    if let Some(second) = host.find('@') {
        return error(second, "a second `@`");
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    // Before IDNA looks at it, whose time grows with the square of the length.
    if host.len() > LONGEST_DOMAIN * 4 {
        return error(0, "the domain is longer than 255 bytes");
    }
    let ascii = if host.is_ascii() && !host.to_ascii_lowercase().contains("xn--") {
        host.to_owned()
    } else {
        match idna::domain_to_ascii(host) {
            Ok(ascii) => ascii,
            Err(_) => return error(0, "this is not a domain name"),
        }
    };
    if ascii.len() > LONGEST_DOMAIN {
        return error(0, "the domain is longer than 255 bytes");
    }
    for label in ascii.split('.') {
        if label.is_empty() {
            return error(0, "the domain has an empty label");
        }
        if label.len() > 63 {
            return error(0, "a label of the domain is longer than 63 bytes");
        }
        if let Some(c) = label
            .chars()
            .find(|c| !(c.is_ascii_alphanumeric() || *c == '-' || *c == '_'))
        {
            let offset = host.find(c).unwrap_or(0);
            return error(
                offset,
                &format!("`{}` is not allowed in a domain", c.escape_debug()),
            );
        }
        if label.starts_with('-') || label.ends_with('-') {
            return error(0, "a label of the domain begins or ends with `-`");
        }
    }
    Ok(ascii)
}
