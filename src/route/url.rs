//! Reads where mail goes out of the text of `smtp` and `mta`.
//!
//! Promise: a host is in A-labels or an IP address, a port is none of the impossible ones, and user
//! and password are percent-decoded. No error text holds a password.
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::ProxyKind;

/// What the text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A server.
    Server(Server),
    /// A server on a unix socket, and what it speaks: SMTP or LMTP.
    Socket(PathBuf, Scheme),
    /// A sendmail-like program.
    Program(String),
    /// Standard output.
    Stdout,
    /// A file or directory.
    File(String),
}

/// A server as it was written.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// `None` without a scheme.
    pub scheme: Option<Scheme>,
    /// A-labels, or an IP address without brackets.
    pub host: String,
    /// As written.
    pub port: Option<u16>,
    /// Decoded.
    pub user: Option<String>,
    /// Decoded.
    pub password: Option<String>,
}

impl Server {
    /// The server of this host, at the other end of a socket.
    pub(crate) fn local(scheme: Scheme) -> Self {
        Server {
            scheme: Some(scheme),
            host: "localhost".into(),
            port: None,
            user: None,
            password: None,
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {} {:?}", self.scheme, self.host, self.port)
    }
}

/// The scheme of a URL: a protocol and when TLS starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Port 25, STARTTLS.
    Smtp,
    /// Port 465, TLS from the first byte.
    Smtps,
    /// Port 587, STARTTLS.
    Submission,
    /// Port 24, LMTP.
    Lmtp,
}

impl Scheme {
    /// The port when none is written.
    pub(crate) fn port(self) -> u16 {
        match self {
            Scheme::Smtp => 25,
            Scheme::Smtps => 465,
            Scheme::Submission => 587,
            Scheme::Lmtp => 24,
        }
    }
}

/// A text and what it means. It is read once, when it is made; what cannot be read counts only
/// where the meaning is asked for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Parsed<T> {
    text: String,
    meaning: Result<T, String>,
}

impl<T> Parsed<T> {
    /// The text, which may hold a password.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What it means.
    ///
    /// # Errors
    /// As [`parse`].
    pub(crate) fn meaning(&self) -> Result<&T, &str> {
        self.meaning.as_ref().map_err(String::as_str)
    }
}

impl Parsed<Target> {
    /// Reads the value of `smtp` or `mta`.
    pub(crate) fn target(text: String) -> Self {
        let meaning = parse(&text);
        Parsed { text, meaning }
    }

    /// The server that it names.
    pub(crate) fn server(&self) -> Option<&Server> {
        match &self.meaning {
            Ok(Target::Server(server)) => Some(server),
            _ => None,
        }
    }
}

impl Parsed<(ProxyKind, Server)> {
    /// Reads the value of `proxy`.
    pub(crate) fn proxy(text: String) -> Self {
        let meaning = proxy_server(&text);
        Parsed { text, meaning }
    }
}

const SCHEMES: &[(&str, Scheme)] = &[
    ("smtp", Scheme::Smtp),
    ("smtps", Scheme::Smtps),
    ("submission", Scheme::Submission),
    ("submissions", Scheme::Smtps),
    ("lmtp", Scheme::Lmtp),
];

/// What is said of a URL that holds more than a login, a host and a port.
const UNREADABLE: &str = "write `/`, `?` and `#` in a user or password as `%2F`, `%3F` and `%23`";

/// Reads the text.
///
/// # Errors
/// A lowercase fragment that repeats nothing of the text but an unknown scheme, as any other part
/// may be of a password.
pub(crate) fn parse(text: &str) -> Result<Target, String> {
    let text = text.trim();
    if text == "test" {
        return Ok(Target::Stdout);
    }
    if let Some(target) = socket(text) {
        return target;
    }
    if let Some(path) = text.strip_prefix("test://") {
        return if path.is_empty() {
            Ok(Target::Stdout)
        } else {
            Ok(Target::File(path.to_owned()))
        };
    }
    if let Some(path) = text.strip_prefix("file://") {
        return if is_path(path) {
            Ok(Target::Program(path.to_owned()))
        } else {
            Err(NO_PATH.to_owned())
        };
    }
    if is_path(text) {
        return Ok(Target::Program(text.to_owned()));
    }
    let (Some(scheme), rest) = split_scheme(text) else {
        return server(None, text).map(Target::Server);
    };
    let scheme = scheme.to_ascii_lowercase();
    match SCHEMES.iter().find(|(name, _)| *name == scheme) {
        Some((_, scheme)) => server(Some(*scheme), rest).map(Target::Server),
        None => Err(format!(
            "unknown scheme `{scheme}://`; expected smtp, smtps, submission, submissions or lmtp"
        )),
    }
}

fn proxy_server(text: &str) -> Result<(ProxyKind, Server), String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("socks5", text));
    let kind = match scheme.to_ascii_lowercase().as_str() {
        "socks5" | "socks5h" | "socks" => ProxyKind::Socks5,
        "http" => ProxyKind::Http,
        // It may be a part of a login.
        _ => return Err("expected a proxy as socks5://HOST:PORT or http://HOST:PORT".to_owned()),
    };
    match parse(&format!("smtp://{rest}"))? {
        Target::Server(server) => Ok((kind, server)),
        _ => Err("expected a host name".to_owned()),
    }
}

const NO_PATH: &str = "expected an absolute path after `file://`";

fn is_path(text: &str) -> bool {
    text.starts_with(['/', '~']) || text.starts_with("./")
}

/// The scheme (RFC 3986 section 3.1) and what follows it. What is longer than any scheme is part of
/// something else.
fn split_scheme(text: &str) -> (Option<&str>, &str) {
    let fits = |scheme: &str| {
        (1..=12).contains(&scheme.len())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    match text.split_once("://").filter(|(scheme, _)| fits(scheme)) {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    }
}

/// User and password, host and port, and what follows these. `None` when a part of the login may
/// stand in the wrong place.
fn authority(rest: &str) -> Option<(Option<&str>, &str, &str)> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if tail.contains('@') {
        return None;
    }
    match authority.rsplit_once('@') {
        Some((login, host)) => Some((Some(login), host, tail)),
        None => Some((None, authority, tail)),
    }
}

/// How a socket is written, and what is spoken there.
const SOCKETS: &[(&str, Scheme)] = &[
    ("unix:", Scheme::Smtp),
    ("smtp+unix:", Scheme::Smtp),
    ("lmtp+unix:", Scheme::Lmtp),
];

/// A unix socket; `None` for what is none. `unix:25` is port 25 of a host of that name.
fn socket(text: &str) -> Option<Result<Target, String>> {
    let named = |(name, scheme): &(&str, Scheme)| Some((text.strip_prefix(name)?, *scheme));
    let (path, scheme) = SOCKETS.iter().find_map(named)?;
    if text.starts_with("unix:") && path.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.starts_with(['/', '~']) {
        return Some(Ok(Target::Socket(PathBuf::from(path), scheme)));
    }
    Some(Err(
        "expected the absolute path of a socket, as in unix:/run/smail/submit".to_owned(),
    ))
}

fn server(scheme: Option<Scheme>, rest: &str) -> Result<Server, String> {
    let (login, rest, _) = authority(rest).ok_or(UNREADABLE)?;
    let (user, password) = match login {
        Some(login) => {
            let (user, password) = login
                .split_once(':')
                .map_or((login, None), |(u, p)| (u, Some(p)));
            (
                Some(decode(user)?).filter(|u| !u.is_empty()),
                password.map(decode).transpose()?,
            )
        }
        None => (None, None),
    };
    let (host, port) = host_port(rest)?;
    Ok(Server {
        scheme,
        host,
        port,
        user,
        password,
    })
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| "user and password must be UTF-8".to_owned())?;
    if decoded.contains(['\0', '\r', '\n']) {
        return Err("user and password cannot contain a line break".to_owned());
    }
    Ok(decoded.into_owned())
}

/// Reads `host`, `host:port`, `[v6]` and `[v6]:port`.
///
/// # Errors
/// A lowercase fragment that repeats nothing of the text: it may be a URL, or half a login.
pub(crate) fn host_port(text: &str) -> Result<(String, Option<u16>), String> {
    let text = text.trim();
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (name, rest) = rest.split_once(']').ok_or("the `[` has no matching `]`")?;
        (name.trim_start_matches("IPv6:"), rest.strip_prefix(':'))
    } else if text.matches(':').count() > 1 {
        (text, None)
    } else {
        text.split_once(':')
            .map_or((text, None), |(name, port)| (name, Some(port)))
    };
    let port = match port {
        None => None,
        Some(port) => match port.parse::<u16>() {
            Ok(number) if number > 0 && !port.starts_with('+') => Some(number),
            _ => {
                return Err(
                    "expected a port number after the `:`; write a login as USER:PASSWORD@HOST"
                        .to_owned(),
                );
            }
        },
    };
    Ok((host(name)?, port))
}

fn host(name: &str) -> Result<String, String> {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Ok(name.to_owned());
    }
    let bad = || "expected a host name".to_owned();
    let ascii = idna::domain_to_ascii(name.trim_end_matches('.')).map_err(|_| bad())?;
    let sound = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if ascii.is_empty() || ascii.len() > 253 || !ascii.split('.').all(sound) {
        return Err(bad());
    }
    Ok(ascii)
}

/// A text as errors and lists may show it, where it may be a URL or a part of one: everything
/// between the scheme and the last `@` is struck out but the user of a URL that can be read, and
/// all of it behind the scheme where that cannot.
pub(crate) fn masked(text: &str) -> String {
    let (scheme, rest) = split_scheme(text);
    let scheme = scheme.map_or_else(String::new, |scheme| format!("{scheme}://"));
    let shaped = !scheme.is_empty() || rest.contains('@');
    if !shaped || scheme.is_empty() && is_path(rest) {
        return text.to_owned();
    }
    if let Some((login, host, tail)) = authority(rest)
        && host_port(host).is_ok()
    {
        let tail = if tail.len() > 1 { "/***" } else { tail };
        return match login.map(|login| login.split_once(':')) {
            None => format!("{scheme}{host}{tail}"),
            Some(None) => format!("{scheme}{}@{host}{tail}", login.unwrap_or_default()),
            Some(Some((user, _))) => format!("{scheme}{user}:***@{host}{tail}"),
        };
    }
    match rest.rsplit_once('@') {
        Some((login, host)) if login.contains(':') || !scheme.is_empty() => {
            format!("{scheme}***@{host}")
        }
        Some(_) => text.to_owned(),
        None if is_path(rest) => text.to_owned(),
        None => format!("{scheme}***"),
    }
}

/// The value of a setting that takes a server, as lists may show it: as [`masked`], and nothing of
/// what cannot be read.
pub(crate) fn masked_server(text: &str) -> String {
    let (scheme, rest) = split_scheme(text.trim());
    let readable = match scheme {
        Some("file" | "test") => true,
        None if is_path(rest) || rest == "test" || rest.starts_with("lmtp+unix:") => {
            return text.to_owned();
        }
        _ => authority(rest).is_some_and(|(_, host, _)| host_port(host).is_ok()),
    };
    if readable || rest.contains('@') || rest.is_empty() {
        return masked(text);
    }
    scheme.map_or_else(|| "***".to_owned(), |scheme| format!("{scheme}://***"))
}

/// The text without the password of a URL; `None` for one in which the password cannot be found.
pub(crate) fn without_password(text: &str) -> Option<String> {
    let text = text.trim();
    let (scheme, rest) = split_scheme(text);
    match scheme {
        None if is_path(rest) || rest == "test" || rest.starts_with("lmtp+unix:") => {
            return Some(text.to_owned());
        }
        Some("file" | "test") => {
            return (is_path(rest) || !rest.contains('@')).then(|| text.to_owned());
        }
        _ => {}
    }
    let (login, host, _) = authority(rest)?;
    host_port(host).ok()?;
    let scheme = scheme.map_or_else(String::new, |scheme| format!("{scheme}://"));
    // What follows the host means nothing here, and is not kept either.
    Some(
        match login
            .and_then(|login| login.split(':').next())
            .filter(|user| !user.is_empty())
        {
            Some(user) => format!("{scheme}{user}@{host}"),
            None => format!("{scheme}{host}"),
        },
    )
}

/// Returns whether the text is a URL with a password in it.
pub(crate) fn has_password(text: &str) -> bool {
    split_scheme(text)
        .1
        .rsplit_once('@')
        .is_some_and(|(login, _)| login.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match parse(text) {
            Ok(Target::Server(s)) => format!(
                "{:?} {} {:?} {:?} {:?}",
                s.scheme, s.host, s.port, s.user, s.password
            ),
            Ok(other) => format!("{other:?}"),
            Err(why) => why,
        }
    }

    #[test]
    fn every_form_of_a_server_is_read() {
        let rows = [
            ("h.example", "None h.example None None None"),
            ("h:25", "None h Some(25) None None"),
            ("[::1]:25", "None ::1 Some(25) None None"),
            ("::1", "None ::1 None None None"),
            ("smtp://h", "Some(Smtp) h None None None"),
            ("SMTPS://h:994/", "Some(Smtps) h Some(994) None None"),
            (
                "submissions://u%40x:p%3A%2F@h",
                "Some(Smtps) h None Some(\"u@x\") Some(\"p:/\")",
            ),
            (
                "smtp://u@x.example:pw@h:587",
                "Some(Smtp) h Some(587) Some(\"u@x.example\") Some(\"pw\")",
            ),
            ("lmtp://h", "Some(Lmtp) h None None None"),
            ("lmtp+unix:/run/lmtp", "Socket(\"/run/lmtp\", Lmtp)"),
            ("lmtp+unix:///run/lmtp", "Socket(\"/run/lmtp\", Lmtp)"),
            (
                "unix:/run/smail/submit",
                "Socket(\"/run/smail/submit\", Smtp)",
            ),
            ("unix:///run/s", "Socket(\"/run/s\", Smtp)"),
            ("smtp+unix:~/s", "Socket(\"~/s\", Smtp)"),
            ("unix:25", "None unix Some(25) None None"),
            ("/usr/sbin/sendmail", "Program(\"/usr/sbin/sendmail\")"),
            (
                "file:///usr/sbin/sendmail",
                "Program(\"/usr/sbin/sendmail\")",
            ),
            ("test", "Stdout"),
            ("test:///tmp/x.eml", "File(\"/tmp/x.eml\")"),
            (
                "smtp.bücher.example",
                "None smtp.xn--bcher-kva.example None None None",
            ),
        ];
        for (text, want) in rows {
            assert_eq!(read(text), want, "{text}");
        }
    }

    const PORT: &str = "expected a port number after the `:`; write a login as USER:PASSWORD@HOST";

    #[test]
    fn what_is_no_server_is_refused() {
        let rows = [
            ("h:0", PORT),
            ("h:70000", PORT),
            ("h:smtp", PORT),
            (
                "imap://h",
                "unknown scheme `imap://`; expected smtp, smtps, submission, submissions or lmtp",
            ),
            ("smtp://", "expected a host name"),
            ("a b", "expected a host name"),
            ("smtp://u:secret@h y", "expected a host name"),
            (
                "file://u:secret@h",
                "expected an absolute path after `file://`",
            ),
            ("smtps://u:Se#cret@h", UNREADABLE),
            ("smtps://u:Se/cret@h", UNREADABLE),
            ("smtps://u:Se?cret@h", UNREADABLE),
            ("u:Se#cret@h", UNREADABLE),
            ("smtps://u:secret", PORT),
            ("u:secret", PORT),
            ("u:Se://cret@h x", UNREADABLE),
            ("[::1", "the `[` has no matching `]`"),
            (
                "unix:run/smail",
                "expected the absolute path of a socket, as in unix:/run/smail/submit",
            ),
            (
                "lmtp+unix:",
                "expected the absolute path of a socket, as in unix:/run/smail/submit",
            ),
        ];
        for (text, want) in rows {
            assert_eq!(read(text), want, "{text}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_struck_out() {
        let rows = [
            ("smtps://u%40x:pw@h:465", "smtps://u%40x:***@h:465"),
            ("smtps://u@h", "smtps://u@h"),
            ("u:pw@h", "u:***@h"),
            ("smtps://u:p@w@h", "smtps://u:***@h"),
            ("smtps://u:p:w@h/", "smtps://u:***@h/"),
            ("smtps://u:p#w@h", "smtps://***@h"),
            ("smtps://p#w@h", "smtps://***@h"),
            ("smtps://u:p/w@h", "smtps://***@h"),
            ("u:p://w@h", "***@h"),
            ("u:p#w@h", "***@h"),
            ("smtps://u:pw", "smtps://***"),
            ("smtps://u:pw@h:x", "smtps://***@h:x"),
            ("smtps://h/?pw", "smtps://h/***"),
            ("socks5://u:pw@h:1080", "socks5://u:***@h:1080"),
            ("h.example:25", "h.example:25"),
            ("me@h.example", "me@h.example"),
            ("/usr/sbin/sendmail", "/usr/sbin/sendmail"),
        ];
        for (text, want) in rows {
            assert_eq!(masked(text), want, "{text}");
        }
        assert_eq!(masked_server("u:pw"), "***");
        assert_eq!(masked_server("h:25"), "h:25");
        assert_eq!(masked_server("lmtp+unix:/run/x"), "lmtp+unix:/run/x");
        assert!(
            has_password("smtp://u:p@h")
                && !has_password("smtp://h:25")
                && !has_password("smtp://u@h:25")
        );
        assert!(has_password("u:p://w@h"));
    }

    #[test]
    fn what_is_kept_of_a_url_has_no_password() {
        let rows = [
            ("smtps://u%40x:pw@h:465", Some("smtps://u%40x@h:465")),
            ("smtps://:pw@h", Some("smtps://h")),
            ("smtps://u@h", Some("smtps://u@h")),
            ("u:pw@h:25/", Some("u@h:25")),
            ("socks5://u:pw@h", Some("socks5://u@h")),
            ("smtps://u:p#w@h", None),
            ("smtps://u:pw", None),
            ("/usr/sbin/sendmail", Some("/usr/sbin/sendmail")),
            ("lmtp+unix:/run/x", Some("lmtp+unix:/run/x")),
            ("test", Some("test")),
            (
                "file:///usr/sbin/sendmail",
                Some("file:///usr/sbin/sendmail"),
            ),
            ("file://u:pw@h", None),
        ];
        for (text, want) in rows {
            assert_eq!(without_password(text).as_deref(), want, "{text}");
        }
    }
}
