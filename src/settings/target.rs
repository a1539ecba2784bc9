//! Reads where mail goes out of the text of `smtp` and `mta`.
//!
//! Promise: a host is in A-labels or an IP address, a port is none of the impossible ones, and user and password are
//! percent-decoded. No error text holds a password.
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// What the text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A server.
    Server(Server),
    /// A server on a unix socket, and what it speaks: SMTP or LMTP.
    Socket(PathBuf, Scheme),
    /// A sendmail-like program.
    Program(String),
    /// Standard output.
    Stdout,
    /// A file or folder.
    File(String),
}

/// A server as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
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

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {} {:?}", self.scheme, self.host, self.port)
    }
}

/// The scheme of a URL: a protocol and when TLS starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
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
    pub fn port(self) -> u16 {
        match self {
            Scheme::Smtp => 25,
            Scheme::Smtps => 465,
            Scheme::Submission => 587,
            Scheme::Lmtp => 24,
        }
    }
}

const SCHEMES: &[(&str, Scheme)] = &[
    ("smtp", Scheme::Smtp),
    ("smtps", Scheme::Smtps),
    ("submission", Scheme::Submission),
    ("submissions", Scheme::Smtps),
    ("lmtp", Scheme::Lmtp),
];

/// Reads the text.
///
/// # Errors
/// A lowercase fragment without the text, which may hold a password.
pub fn parse(text: &str) -> Result<Target, String> {
    let text = text.trim();
    if text == "test" {
        return Ok(Target::Stdout);
    }
    if let Some(target) = socket(text) {
        return target;
    }
    if let Some(path) = text.strip_prefix("test://") {
        return if path.is_empty() { Ok(Target::Stdout) } else { Ok(Target::File(path.to_owned())) };
    }
    if let Some(path) = text.strip_prefix("file://") {
        return Ok(Target::Program(path.to_owned()));
    }
    if text.starts_with(['/', '~']) || text.starts_with("./") {
        return Ok(Target::Program(text.to_owned()));
    }
    let Some((scheme, rest)) = text.split_once("://") else { return server(None, text).map(Target::Server) };
    let scheme = scheme.to_ascii_lowercase();
    match SCHEMES.iter().find(|(name, _)| *name == scheme) {
        Some((_, scheme)) => server(Some(*scheme), rest).map(Target::Server),
        None => Err(format!(
            "`{}://` is no scheme; smtp, smtps, submission, submissions and lmtp are",
            scheme.escape_debug()
        )),
    }
}

/// How a socket is written, and what is spoken there.
const SOCKETS: &[(&str, Scheme)] =
    &[("unix:", Scheme::Smtp), ("smtp+unix:", Scheme::Smtp), ("lmtp+unix:", Scheme::Lmtp)];

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
    Some(Err("expected the path of a socket from `/` on, as in unix:/run/smail/submit".to_owned()))
}

fn server(scheme: Option<Scheme>, rest: &str) -> Result<Server, String> {
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (login, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => (Some(login), rest),
        None => (None, rest),
    };
    let (user, password) = match login {
        Some(login) => {
            let (user, password) = login.split_once(':').map_or((login, None), |(u, p)| (u, Some(p)));
            (Some(decode(user)?).filter(|u| !u.is_empty()), password.map(decode).transpose()?)
        }
        None => (None, None),
    };
    let (host, port) = host_port(rest)?;
    Ok(Server { scheme, host, port, user, password })
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| "user and password must be UTF-8".to_owned())?;
    if decoded.contains(['\0', '\r', '\n']) {
        return Err("user and password cannot hold a line end".to_owned());
    }
    Ok(decoded.into_owned())
}

/// Reads `host`, `host:port`, `[v6]` and `[v6]:port`.
///
/// # Errors
/// A lowercase fragment.
pub fn host_port(text: &str) -> Result<(String, Option<u16>), String> {
    let text = text.trim();
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (name, rest) = rest.split_once(']').ok_or("the `[` has no `]`")?;
        (name.trim_start_matches("IPv6:"), rest.strip_prefix(':'))
    } else if text.matches(':').count() > 1 {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)))
    };
    let port = match port {
        None => None,
        Some(port) => match port.parse::<u16>() {
            Ok(number) if number > 0 && !port.starts_with('+') => Some(number),
            _ => return Err(format!("`{}` is no port number", port.escape_debug())),
        },
    };
    Ok((host(name)?, port))
}

fn host(name: &str) -> Result<String, String> {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Ok(name.to_owned());
    }
    let bad = || format!("`{}` is no host name", name.escape_debug());
    let ascii = idna::domain_to_ascii(name.trim_end_matches('.')).map_err(|_| bad())?;
    let sound = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if ascii.is_empty() || ascii.len() > 253 || !ascii.split('.').all(sound) {
        return Err(bad());
    }
    Ok(ascii)
}

/// The text with the password of a URL struck out.
pub fn masked(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return mask_login(text) };
    format!("{scheme}://{}", mask_login(rest))
}

fn mask_login(rest: &str) -> String {
    match rest.rsplit_once('@') {
        Some((login, host)) if login.contains(':') => {
            format!("{}:***@{host}", login.split(':').next().unwrap_or_default())
        }
        _ => rest.to_owned(),
    }
}

/// The text without the password of a URL.
pub fn without_password(text: &str) -> String {
    if !has_password(text) {
        return text.to_owned();
    }
    masked(text).replacen(":***@", "@", 1)
}

/// Tells whether the text is a URL with a password in it.
pub fn has_password(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match parse(text) {
            Ok(Target::Server(s)) => format!("{:?} {} {:?} {:?} {:?}", s.scheme, s.host, s.port, s.user, s.password),
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
            ("submissions://u%40x:p%3A%2F@h", "Some(Smtps) h None Some(\"u@x\") Some(\"p:/\")"),
            ("smtp://u@x.example:pw@h:587", "Some(Smtp) h Some(587) Some(\"u@x.example\") Some(\"pw\")"),
            ("lmtp://h", "Some(Lmtp) h None None None"),
            ("lmtp+unix:/run/lmtp", "Socket(\"/run/lmtp\", Lmtp)"),
            ("lmtp+unix:///run/lmtp", "Socket(\"/run/lmtp\", Lmtp)"),
            ("unix:/run/smail/submit", "Socket(\"/run/smail/submit\", Smtp)"),
            ("unix:///run/s", "Socket(\"/run/s\", Smtp)"),
            ("smtp+unix:~/s", "Socket(\"~/s\", Smtp)"),
            ("unix:25", "None unix Some(25) None None"),
            ("/usr/sbin/sendmail", "Program(\"/usr/sbin/sendmail\")"),
            ("file:///usr/sbin/sendmail", "Program(\"/usr/sbin/sendmail\")"),
            ("test", "Stdout"),
            ("test:///tmp/x.eml", "File(\"/tmp/x.eml\")"),
            ("smtp.bücher.example", "None smtp.xn--bcher-kva.example None None None"),
        ];
        for (text, want) in rows {
            assert_eq!(read(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        let rows = [
            ("h:0", "`0` is no port number"),
            ("h:70000", "`70000` is no port number"),
            ("h:smtp", "`smtp` is no port number"),
            ("imap://h", "`imap://` is no scheme; smtp, smtps, submission, submissions and lmtp are"),
            ("smtp://", "`` is no host name"),
            ("a b", "`a b` is no host name"),
            ("smtp://u:secret@h y", "`h y` is no host name"),
            ("[::1", "the `[` has no `]`"),
            ("unix:run/smail", "expected the path of a socket from `/` on, as in unix:/run/smail/submit"),
            ("lmtp+unix:", "expected the path of a socket from `/` on, as in unix:/run/smail/submit"),
        ];
        for (text, want) in rows {
            assert_eq!(read(text), want, "{text}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_struck_out() {
        assert_eq!(masked("smtps://u%40x:pw@h:465"), "smtps://u%40x:***@h:465");
        assert_eq!(masked("smtps://u@h"), "smtps://u@h");
        assert!(has_password("smtp://u:p@h") && !has_password("smtp://h:25") && !has_password("smtp://u@h:25"));
    }
}
