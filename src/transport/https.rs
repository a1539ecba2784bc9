//! One page over HTTPS, asked for once: what a provider publishes about its servers, or a token for
//! a login.
//!
//! Promise: nothing is asked before the certificate of the host was found good, whatever
//! `tls-verify` says of mail servers; what belongs to the mail server (login, pinned fingerprint,
//! client certificate, `connect-to`) is not for this one, while proxy, source address and roots
//! are. No redirect is followed, and no more than [`LONGEST`] bytes of a page are taken, within
//! [`TIME_LIMIT`] from the handshake to its end.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Duration;

use httparse::{EMPTY_HEADER, Header, Response, Status, parse_chunk_size};
use zeroize::Zeroizing;

use super::{Reporter, RunContext};
use crate::delivery::{Cause, Distrust};
use crate::oauth::Url;
use crate::route::{Smtp, Trust, Verify};
use crate::transport::net::dial::{self, Dialled};
use crate::transport::net::roots::{self, TlsContext};
use crate::transport::net::socket::cause;
use crate::transport::net::tls::{self, Failed, Secured, Stream};

const PORT: u16 = 443;
/// The longest page, in bytes; what providers publish has two or three thousand.
const LONGEST: usize = 64 * 1024;
/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// The most that is read at all: the smallest chunks cost six bytes for one.
const MOST: usize = LONGEST_HEAD + 8 * LONGEST;
/// Handshake, question and answer as a whole; the connection has as much before it.
const TIME_LIMIT: Duration = Duration::from_secs(10);
const MOST_FIELDS: usize = 64;

/// What a web server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The status.
    pub status: u16,
    /// Where the page is to be found instead.
    pub location: Option<String>,
    /// The page; what was got with [`get`] is empty unless the status is 200.
    pub body: Vec<u8>,
}

/// Asks the host of a route for a page, by its path and query.
///
/// # Errors
/// Those of a connection, and [`Cause::Protocol`] for an answer that is out of bounds or no HTTP.
pub(crate) fn get(route: &Smtp, target: &str, context: &RunContext) -> Result<Page, Cause> {
    if !is_sound(&route.host) || !is_sound(target) || !target.starts_with('/') {
        return Err(broken("this page cannot be requested"));
    }
    let (route, reporter) = (for_web(route), Reporter::new(context));
    reporter.note(format!("requesting https://{}{target}", route.host));
    let stream = secured(&route, PORT, context)?;
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: smail\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\
         Connection: close\r\n\r\n",
        route.host
    );
    let page = exchange(stream, head.as_bytes(), &[], false)?;
    reporter.note(format!("the response is {}", page.status));
    Ok(page)
}

/// Posts a form to an address and returns the page, of any status. The mail server of the route has
/// no part in it; its proxy, source address and roots are used.
///
/// # Errors
/// As [`get`].
pub(crate) fn post(
    route: &Smtp,
    url: &Url,
    form: &Zeroizing<String>,
    context: &RunContext,
) -> Result<Page, Cause> {
    if !is_sound(&url.host) || !is_sound(&url.target) {
        return Err(broken("this page cannot be requested"));
    }
    let route = for_web(&Smtp {
        host: url.host.clone(),
        ..route.clone()
    });
    // Path and query may name a tenant, and nothing else: what is secret is in the form.
    let reporter = Reporter::new(context);
    reporter.note(format!("requesting {url}"));
    let host = match url.host.contains(':') {
        true => format!("[{}]:{}", url.host, url.port),
        false if url.port == PORT => url.host.clone(),
        false => format!("{}:{}", url.host, url.port),
    };
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: smail\r\nAccept: application/json\r\n\
         Accept-Encoding: identity\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        url.target,
        form.len()
    );
    let page = if url.secure {
        let stream = secured(&route, url.port, context)?;
        exchange(stream, head.as_bytes(), form.as_bytes(), true)?
    } else {
        let direct = Smtp {
            proxy: None,
            ..route
        };
        let dialled = dial::dial(&direct, url.port, context).map_err(|fault| fault.cause)?;
        let mut socket = dialled.socket;
        socket.clock.allow(direct.timeouts.command);
        exchange(socket, head.as_bytes(), form.as_bytes(), true)?
    };
    reporter.note(format!("the response is {}", page.status));
    Ok(page)
}

fn is_sound(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Sends a request and reads its response; the page too where the status is not 200, if `every` is
/// wanted.
fn exchange(
    mut stream: impl Read + Write,
    head: &[u8],
    body: &[u8],
    every: bool,
) -> Result<Page, Cause> {
    for bytes in [head, body] {
        stream.write_all(bytes).map_err(|error| cause(&error))?;
    }
    stream.flush().map_err(|error| cause(&error))?;
    read(stream, every)
}

/// Connects, and returns a stream to a host whose certificate is good.
fn secured(route: &Smtp, port: u16, context: &RunContext) -> Result<Stream, Cause> {
    let mut prepared = roots::prepare(&route.trust, &route.host, Verify::Strict)?;
    loop {
        let failed = match encrypted(route, port, &prepared, Verify::Strict, context)? {
            Ok(secured) => return Ok(secured.stream),
            Err(failed) => failed,
        };
        prepared.prepare_another(&failed, Verify::Strict);
        if !prepared.take_again() {
            return Err(unpinned(explained(failed.cause, route, port, context)));
        }
    }
}

/// Connects and begins TLS.
fn encrypted(
    route: &Smtp,
    port: u16,
    prepared: &TlsContext,
    verify: Verify,
    context: &RunContext,
) -> Result<Result<Secured, Box<Failed>>, Cause> {
    let Dialled { mut socket, .. } =
        dial::dial(route, port, context).map_err(|fault| fault.cause)?;
    socket.clock.allow(route.timeouts.command);
    Ok(tls::begin(
        prepared,
        &route.host,
        &route.trust,
        verify,
        socket,
    ))
}

/// Says why a certificate was refused in the words of the certificate, from a second look at it;
/// nothing is asked there.
fn explained(cause: Cause, route: &Smtp, port: u16, context: &RunContext) -> Cause {
    let Cause::Distrust(distrust) = cause else {
        return cause;
    };
    let looked = roots::prepare(&route.trust, &route.host, Verify::Ignore)
        .and_then(|prepared| encrypted(route, port, &prepared, Verify::Ignore, context));
    let leaf = looked
        .ok()
        .and_then(Result::ok)
        .and_then(|secured| secured.leaf);
    Cause::Distrust(leaf.map_or(distrust.clone(), |leaf| {
        leaf.explain(&distrust.reason, &route.host)
    }))
}

/// The same way to a host that is no mail server.
fn for_web(route: &Smtp) -> Smtp {
    let mut web = Smtp {
        socket: None,
        connect_to: None,
        login: None,
        ..route.clone()
    };
    web.trust = Trust {
        verify: Verify::Strict,
        fingerprint: None,
        cert: None,
        key: None,
        key_password: None,
        ..web.trust
    };
    for time in [&mut web.timeouts.connect, &mut web.timeouts.command] {
        *time = TIME_LIMIT.min(*time);
    }
    web
}

/// No certificate can be pinned here, so that there is no use for its fingerprint.
fn unpinned(cause: Cause) -> Cause {
    match cause {
        Cause::Distrust(distrust) => Cause::Distrust(Distrust {
            fingerprint: None,
            ..distrust
        }),
        other => other,
    }
}

fn broken(why: &str) -> Cause {
    Cause::Protocol(why.to_owned())
}

fn cut() -> Cause {
    cause(&io::ErrorKind::UnexpectedEof.into())
}

/// Reads an answer (RFC 9112).
fn read(stream: impl Read, every: bool) -> Result<Page, Cause> {
    let mut reader = BufReader::new(stream.take(MOST as u64));
    loop {
        let head = head(&mut reader)?;
        let mut fields = [EMPTY_HEADER; MOST_FIELDS];
        let mut answer = Response::new(&mut fields);
        let whole = answer
            .parse(&head)
            .map_err(|error| broken(&format!("the response is not HTTP: {error}")))?;
        let (Status::Complete(_), Some(status)) = (whole, answer.code) else {
            return Err(broken("the response is not HTTP"));
        };
        if (100..200).contains(&status) {
            // Another head follows (RFC 9110 section 15.2).
            continue;
        }
        let location = field(answer.headers, "location").map(str::to_owned);
        let body = if status == 200 || every {
            body(&mut reader, answer.headers)?
        } else {
            Vec::new()
        };
        return Ok(Page {
            status,
            location,
            body,
        });
    }
}

/// The lines up to an empty one, which is the last.
fn head(reader: &mut impl BufRead) -> Result<Vec<u8>, Cause> {
    let mut head = Vec::new();
    loop {
        let start = head.len();
        line(reader, &mut head)?;
        if matches!(&head[start..], b"\n" | b"\r\n") {
            return Ok(head);
        }
        if head.len() > LONGEST_HEAD {
            return Err(broken("the header of the response is incomplete"));
        }
    }
}

/// Takes a line with its end. What stood in `into` before says nothing about it: the end may have
/// come behind a whole line.
fn line(reader: &mut impl BufRead, into: &mut Vec<u8>) -> Result<(), Cause> {
    let before = into.len();
    reader
        .take(LONGEST_HEAD as u64)
        .read_until(b'\n', into)
        .map_err(|error| cause(&error))?;
    if into[before..].ends_with(b"\n") {
        Ok(())
    } else {
        Err(cut())
    }
}

fn field<'a>(fields: &[Header<'a>], name: &str) -> Option<&'a str> {
    let found = fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok().map(str::trim)
}

fn body(reader: &mut impl BufRead, fields: &[Header<'_>]) -> Result<Vec<u8>, Cause> {
    if field(fields, "content-encoding")
        .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
    {
        return Err(broken("the page is compressed, which was not requested"));
    }
    match (
        field(fields, "transfer-encoding"),
        field(fields, "content-length"),
    ) {
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => chunks(reader),
        (Some(_), _) => Err(broken(
            "the page has a transfer coding that was not requested",
        )),
        (None, Some(length)) => match length.parse() {
            Ok(length) if length <= LONGEST => exactly(reader, length),
            _ => Err(too_long()),
        },
        (None, None) => {
            let mut page = Vec::new();
            reader
                .take(LONGEST as u64 + 1)
                .read_to_end(&mut page)
                .map_err(|error| cause(&error))?;
            if page.len() > LONGEST {
                Err(too_long())
            } else {
                Ok(page)
            }
        }
    }
}

fn too_long() -> Cause {
    broken(&format!("the page is larger than {} KiB", LONGEST / 1024))
}

fn exactly(reader: &mut impl BufRead, length: usize) -> Result<Vec<u8>, Cause> {
    let mut bytes = Vec::new();
    reader
        .take(length as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| cause(&error))?;
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err(cut())
    }
}

/// A page in chunks (RFC 9112 section 7.1); what stands behind the last is of no use here.
fn chunks(reader: &mut impl BufRead) -> Result<Vec<u8>, Cause> {
    let mut page = Vec::new();
    loop {
        let mut size = Vec::new();
        line(reader, &mut size)?;
        let Ok(Status::Complete((_, size))) = parse_chunk_size(&size) else {
            return Err(broken("the chunks of the page are malformed"));
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        match size {
            0 => return Ok(page),
            _ if size > LONGEST - page.len() => return Err(too_long()),
            _ => page.extend(exactly(reader, size)?),
        }
        let mut end = Vec::new();
        line(reader, &mut end)?;
        if !matches!(&end[..], b"\n" | b"\r\n") {
            return Err(broken("the chunks of the page are malformed"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(answer: &str) -> Result<String, String> {
        match read(answer.as_bytes(), false) {
            Ok(page) => Ok(format!(
                "{} {:?} {}",
                page.status,
                page.location,
                String::from_utf8_lossy(&page.body)
            )),
            Err(Cause::Protocol(why) | Cause::Lost(why)) => Err(why),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn a_page_comes_whole_in_every_form() {
        let rows = [
            ("HTTP/1.0 200 OK\r\n\r\nto the end", "200 None to the end"),
            (
                "HTTP/1.1 200\r\nContent-Length: 4\r\n\r\ntext and more",
                "200 None text",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n02\r\nde\r\n0\r\nX: y\r\n\r\n",
                "200 None abcde",
            ),
            (
                "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nlate",
                "200 None late",
            ),
            (
                "HTTP/1.1 302 Found\r\nLOCATION:  /x \r\nContent-Length: 9999999\r\n\r\n",
                "302 Some(\"/x\") ",
            ),
            ("HTTP/1.1 404 No\n\nnot here", "404 None "),
        ];
        for (answer, wanted) in rows {
            assert_eq!(page(answer).as_deref(), Ok(wanted), "{answer}");
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let many = format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "A: b\r\n".repeat(MOST_FIELDS + 1)
        );
        let endless = format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(LONGEST_HEAD));
        let line = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MOST));
        let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(LONGEST + 1));
        let said = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", LONGEST + 1);
        let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let huge = format!("{chunk}ffffffffffffffff\r\n");
        let chunks = format!(
            "{chunk}{}",
            format!("8000\r\n{}\r\n", "x".repeat(0x8000)).repeat(3)
        );
        let (unended, early) = (
            format!("{chunk}3\r\nabcd\r\n0\r\n\r\n"),
            "HTTP/1.1 100 C\r\n\r\n".repeat(40_000),
        );
        let rows = [
            (
                "SSH-2.0-x\r\n\r\n",
                "the response is not HTTP: invalid HTTP version",
            ),
            (
                "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
                "the response is not HTTP: invalid header name",
            ),
            (&many, "the response is not HTTP: too many headers"),
            (&endless, "the header of the response is incomplete"),
            (&line, "the server closed the connection"),
            (&long, "the page is larger than 64 KiB"),
            (&said, "the page is larger than 64 KiB"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                "the page is larger than 64 KiB",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
                "the server closed the connection",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-",
                "the server closed the connection",
            ),
            ("HTTP/1.1 200 OK\r\n", "the server closed the connection"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
                "the server closed the connection",
            ),
            ("HTTP/1.1 100 C\r\n\r\n", "the server closed the connection"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "the server closed the connection",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                "the server closed the connection",
            ),
            ("", "the server closed the connection"),
            (
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nx",
                "the page is compressed, which was not requested",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nx",
                "the page has a transfer coding that was not requested",
            ),
            (&huge, "the page is larger than 64 KiB"),
            (&chunks, "the page is larger than 64 KiB"),
            (&unended, "the chunks of the page are malformed"),
            (&early, "the server closed the connection"),
        ];
        for (answer, wanted) in rows {
            assert_eq!(
                page(answer).as_ref().map_err(String::as_str),
                Err(wanted),
                "{answer:.60}"
            );
        }
    }
}
