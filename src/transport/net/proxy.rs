//! Through a proxy to the server: SOCKS5 (RFC 1928, 1929) and HTTP CONNECT (RFC 9110 section
//! 9.3.6).
//!
//! Promise: the name of the server is looked up by the proxy, not a single byte of the server's
//! greeting is swallowed, and what the proxy says is bounded.
use std::io::{self, Read, Write};
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::socket::{Socket, cause};
use crate::delivery::Cause;
use crate::route::{Proxy, ProxyKind};
use crate::secret::SecretSource;
use crate::transport::line::check_host;
use crate::transport::peer_text::decode;
use crate::transport::redact::Redactor;

/// The longest answer of an HTTP proxy, in bytes.
const LONGEST: usize = 16 * 1024;

/// Asks the proxy on the other end for a tunnel to the server.
///
/// # Errors
/// [`Cause::Proxy`] when it refuses or breaks its protocol; [`Cause::NoSecret`]; [`Cause::Silent`];
/// [`Cause::Interrupted`].
pub(super) fn tunnel(
    socket: &mut Socket,
    proxy: &Proxy,
    host: &str,
    port: u16,
    redactor: &Redactor,
) -> Result<(), Cause> {
    check_host(host)?;
    let login = proxy.login.as_ref().map(|(user, source)| ProxyLogin {
        user,
        source,
        redactor,
    });
    match proxy.kind {
        ProxyKind::Socks5 => socks(socket, login.as_ref(), host, port),
        ProxyKind::Http => http(socket, login.as_ref(), host, port, redactor),
    }
}

/// Who logs in to the proxy.
struct ProxyLogin<'a> {
    user: &'a str,
    source: &'a SecretSource,
    redactor: &'a Redactor,
}

impl ProxyLogin<'_> {
    /// Fetches the password, which is struck out of what is heard from then on.
    fn password(&self) -> Result<Zeroizing<String>, Cause> {
        let secret = self
            .source
            .fetch()
            .map_err(crate::transport::secrets::no_secret)?;
        self.redactor.add(secret.reveal().as_bytes());
        Ok(Zeroizing::new(secret.reveal().to_owned()))
    }

    /// The credentials of RFC 7617 section 2.
    fn basic(&self) -> Result<Zeroizing<String>, Cause> {
        let pair = Zeroizing::new([self.user, ":", self.password()?.as_str()].concat());
        let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        self.redactor.add_answer(&encoded);
        Ok(encoded)
    }
}

fn failed(error: &io::Error) -> Cause {
    match cause(error) {
        Cause::Lost(why) => Cause::Proxy(why.replace("the server", "it")),
        other => other,
    }
}

fn exact<const N: usize>(socket: &mut Socket) -> Result<[u8; N], Cause> {
    let mut bytes = [0; N];
    socket
        .read_exact(&mut bytes)
        .map_err(|error| failed(&error))?;
    Ok(bytes)
}

fn send(socket: &mut Socket, bytes: &[u8]) -> Result<(), Cause> {
    socket.write_all(bytes).map_err(|error| failed(&error))
}

/// The byte that counts what follows it.
fn count(what: &str, length: usize) -> Result<u8, Cause> {
    u8::try_from(length).map_err(|_| {
        Cause::Proxy(format!(
            "the {what} is longer than SOCKS allows (255 bytes)"
        ))
    })
}

fn socks(
    socket: &mut Socket,
    login: Option<&ProxyLogin<'_>>,
    host: &str,
    port: u16,
) -> Result<(), Cause> {
    let methods: &[u8] = if login.is_some() {
        &[5, 2, 0, 2]
    } else {
        &[5, 1, 0]
    };
    send(socket, methods)?;
    match (exact::<2>(socket)?, login) {
        ([5, 0], _) => {}
        ([5, 2], Some(login)) => {
            let (user, password) = (login.user, login.password()?);
            // Full size from the start: a vector that grows leaves copies of the secret behind.
            let mut bytes = Zeroizing::new(Vec::with_capacity(3 + user.len() + password.len()));
            bytes.extend([1, count("proxy user", user.len())?]);
            bytes.extend_from_slice(user.as_bytes());
            bytes.push(count("proxy password", password.len())?);
            bytes.extend_from_slice(password.as_bytes());
            send(socket, &bytes)?;
            if exact::<2>(socket)?[1] != 0 {
                return Err(Cause::Proxy("it refused the user or the password".into()));
            }
        }
        ([5, 0xff], None) => return Err(Cause::Proxy("it wants a user and a password".into())),
        ([5, _], _) => {
            return Err(Cause::Proxy(
                "it accepts no supported authentication method".into(),
            ));
        }
        _ => return Err(Cause::Proxy("it does not speak SOCKS5".into())),
    }
    let mut request = vec![5, 1, 0];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => request.extend([&[1][..], &address.octets()].concat()),
        Ok(IpAddr::V6(address)) => request.extend([&[4][..], &address.octets()].concat()),
        Err(_) => {
            request.extend([&[3, count("server name", host.len())?][..], host.as_bytes()].concat());
        }
    }
    request.extend(port.to_be_bytes());
    send(socket, &request)?;
    let [version, answer, _, kind] = exact::<4>(socket)?;
    if version != 5 {
        return Err(Cause::Proxy("it does not speak SOCKS5".into()));
    }
    if answer != 0 {
        return Err(Cause::Proxy(format!(
            "{} ({host}:{port})",
            socks_refusal(answer)
        )));
    }
    let rest = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(exact::<1>(socket)?[0]),
        _ => {
            return Err(Cause::Proxy("its reply has an unknown address type".into()));
        }
    };
    let mut bound = vec![0; rest + 2];
    socket
        .read_exact(&mut bound)
        .map_err(|error| failed(&error))
}

/// RFC 1928 section 6.
fn socks_refusal(answer: u8) -> &'static str {
    match answer {
        2 => "its rules do not allow the connection",
        3 => "it cannot recipients the network",
        4 => "it cannot recipients the server",
        5 => "the server refused its connection",
        6 => "the server did not answer it in time",
        7 => "it does not support CONNECT",
        8 => "it does not support this address type",
        _ => "it failed",
    }
}

fn http(
    socket: &mut Socket,
    login: Option<&ProxyLogin<'_>>,
    host: &str,
    port: u16,
    redactor: &Redactor,
) -> Result<(), Cause> {
    let place = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let mut request = Zeroizing::new(format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n"));
    if let Some(login) = login {
        let basic = login.basic()?;
        request.reserve(64 + basic.len());
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&basic);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    send(socket, request.as_bytes())?;
    // One byte at a time: the greeting of the server may follow at once.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") && !answer.ends_with(b"\n\n") {
        if answer.len() >= LONGEST {
            return Err(Cause::Proxy("its response is incomplete".into()));
        }
        answer.push(exact::<1>(socket)?[0]);
        if answer.len() == 5 && !answer.starts_with(b"HTTP/") {
            return Err(Cause::Proxy("it does not speak HTTP".into()));
        }
    }
    let status = answer.split(|&b| b == b'\n').next().unwrap_or_default();
    let status = decode(&redactor.text(status.strip_suffix(b"\r").unwrap_or(status)));
    let mut words = status.splitn(3, ' ').skip(1);
    match words.next() {
        Some(code) if code.len() == 3 && code.starts_with('2') => Ok(()),
        Some(code) => Err(Cause::Proxy(format!(
            "it answered {code} {}",
            words.next().unwrap_or_default()
        ))),
        None => Err(Cause::Proxy("it does not speak HTTP".into())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::secret::Secret;
    use crate::transport::net::socket::Clock;

    /// Plays the proxy: answers each expected request, then the server behind it greets.
    fn play(
        script: Vec<(&'static [u8], &'static [u8])>,
        proxy: &Proxy,
    ) -> (Result<(), Cause>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let player = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            for (wanted, answer) in script {
                let mut heard = vec![0; wanted.len()];
                stream.read_exact(&mut heard).unwrap();
                assert_eq!(
                    String::from_utf8_lossy(&heard),
                    String::from_utf8_lossy(wanted)
                );
                stream.write_all(answer).unwrap();
            }
        });
        let clock = Clock::new(Arc::default(), Duration::from_secs(5));
        let mut socket = Socket::new(stream.into(), clock).unwrap();
        let result = tunnel(&mut socket, proxy, "mx.test", 25, &Redactor::default());
        player.join().unwrap();
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        (result, rest)
    }

    fn proxy(kind: ProxyKind, login: bool) -> Proxy {
        let login = login.then(|| ("u".to_owned(), SecretSource::Inline(Secret::new("p"))));
        Proxy {
            kind,
            host: "127.0.0.1".into(),
            port: 0,
            login,
        }
    }

    #[test]
    fn socks_hands_the_name_over_and_leaves_the_greeting_alone() {
        let script: Vec<(&[u8], &[u8])> = vec![
            (b"\x05\x01\x00", b"\x05\x00"),
            (
                b"\x05\x01\x00\x03\x07mx.test\x00\x19",
                b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x19220 hi\r\n",
            ),
        ];
        assert_eq!(
            play(script, &proxy(ProxyKind::Socks5, false)),
            (Ok(()), b"220 hi\r\n".to_vec())
        );
    }

    #[test]
    fn socks_logs_in_when_asked_to() {
        let script: Vec<(&[u8], &[u8])> = vec![
            (b"\x05\x02\x00\x02", b"\x05\x02"),
            (b"\x01\x01u\x01p", b"\x01\x00"),
            (
                b"\x05\x01\x00\x03\x07mx.test\x00\x19",
                b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00",
            ),
        ];
        let refused = Cause::Proxy("the server refused its connection (mx.test:25)".into());
        assert_eq!(
            play(script, &proxy(ProxyKind::Socks5, true)).0,
            Err(refused)
        );
    }

    #[test]
    fn http_connects_with_a_login_and_leaves_the_greeting_alone() {
        let script: Vec<(&[u8], &[u8])> = vec![(
            b"CONNECT mx.test:25 HTTP/1.1\r\nHost: mx.test:25\r\nProxy-Authorization: Basic dTpw\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n220 hi\r\n",
        )];
        assert_eq!(
            play(script, &proxy(ProxyKind::Http, true)),
            (Ok(()), b"220 hi\r\n".to_vec())
        );
    }

    #[test]
    fn a_refusal_of_an_http_proxy_is_shown_in_its_words() {
        let ask = b"CONNECT mx.test:25 HTTP/1.1\r\nHost: mx.test:25\r\n\r\n";
        let refused = play(
            vec![(ask, b"HTTP/1.1 403 Forbidden by policy\r\n\r\n")],
            &proxy(ProxyKind::Http, false),
        );
        assert_eq!(
            refused.0,
            Err(Cause::Proxy("it answered 403 Forbidden by policy".into()))
        );
        let smtp = play(
            vec![(ask, b"220 mx.test\r\n")],
            &proxy(ProxyKind::Http, false),
        );
        assert_eq!(smtp.0, Err(Cause::Proxy("it does not speak HTTP".into())));
    }
}
