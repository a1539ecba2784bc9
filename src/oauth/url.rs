//! Addresses of token servers.
//!
//! Promise: https, but for a server on this host. No user, no fragment.
use std::fmt;

/// An address over HTTPS, or of this host over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// TLS is used.
    pub secure: bool,
    /// The host's name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub target: String,
}

impl Url {
    /// Parses an address.
    ///
    /// # Errors
    /// A lowercase fragment that tells what was expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !graphic(text) || text.contains(['#', '"', '<', '>', '\\']) {
            return Err("expected a URL without spaces or fragment");
        }
        let (secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err("expected a URL that begins with https://"),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err("expected a URL without a user name");
        }
        let (host, port) = match authority.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, port))) => (host, port.strip_prefix(':')),
            Some(None) => return Err("expected `]` after the address"),
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let default = if secure { 443 } else { 80 };
        let port = port.map_or(Ok(default), str::parse);
        let port = port.map_err(|_| "expected a port number after the host")?;
        if host.is_empty() {
            return Err("expected a host name");
        }
        if !secure && !["127.0.0.1", "::1", "localhost"].contains(&host) {
            return Err("expected https://, as http:// is only for this host");
        }
        Ok(Url {
            secure,
            host: host.to_ascii_lowercase(),
            port,
            target: match target {
                "" => "/".to_owned(),
                query if query.starts_with('?') => format!("/{query}"),
                path => path.to_owned(),
            },
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.secure {
            ("https", 443)
        } else {
            ("http", 80)
        };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        write!(f, "{scheme}://{host}")?;
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_is_asked_without_tls() {
        let rows = [
            (
                "https://oauth2.example/token",
                Ok("https://oauth2.example/token"),
            ),
            ("HTTPS://X.example", Ok("https://x.example/")),
            (
                "https://x.example:8443/a?b=c",
                Ok("https://x.example:8443/a?b=c"),
            ),
            ("https://x.example?b", Ok("https://x.example/?b")),
            ("http://127.0.0.1:8080/t", Ok("http://127.0.0.1:8080/t")),
            ("http://[::1]:8080/t", Ok("http://[::1]:8080/t")),
            ("http://localhost/t", Ok("http://localhost/t")),
            (
                "http://localhost.evil.example/t",
                Err("expected https://, as http:// is only for this host"),
            ),
            (
                "https://u@x.example/",
                Err("expected a URL without a user name"),
            ),
            (
                "https://x.example/#a",
                Err("expected a URL without spaces or fragment"),
            ),
            (
                "https://x.example/a b",
                Err("expected a URL without spaces or fragment"),
            ),
            ("https://:1/", Err("expected a host name")),
            ("https://x:y/", Err("expected a port number after the host")),
            (
                "x.example/token",
                Err("expected a URL that begins with https://"),
            ),
        ];
        for (text, wanted) in rows {
            let found = Url::parse(text).map(|url| url.to_string());
            assert_eq!(found, wanted.map(str::to_owned), "{text}");
        }
    }
}
