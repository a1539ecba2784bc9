//! One question to the DNS at a time: MX and SRV, which the system's resolver does not tell.
//!
//! Promise: at most three servers of `/etc/resolv.conf` are asked over UDP, each waits two seconds
//! at most, and whatever they answer is read within bounds: 4096 bytes, 64 records, names of 255
//! bytes, pointers that lead backwards only. An answer can be forged on its way (no DNSSEC): what
//! comes from here is shown to the user before it is used. Written here because the crates that ask
//! bring a runtime or a resolver of their own, and those that only read answers save less than half
//! of this file. Answers that do not fit into a datagram are used as far as they go.
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use super::find::{Directory, Service};

const MX: u16 = 15;
const SRV: u16 = 33;
const TIME_LIMIT: Duration = Duration::from_secs(2);
const LONGEST: usize = 4096;
/// The largest list of servers that is read, in bytes.
const LONGEST_FILE: u64 = 64 << 10;
const MOST_RECORDS: u16 = 64;

/// The servers that are asked.
#[derive(Debug, Clone)]
pub(crate) struct Dns {
    servers: Vec<SocketAddr>,
    /// None of them answers: nobody shall wait for that again.
    silent: Cell<bool>,
}

impl Dns {
    /// Those of this machine.
    pub(crate) fn of_machine() -> Self {
        let text = crate::files::read(Path::new("/etc/resolv.conf"), LONGEST_FILE)
            .map_or_else(|_| Vec::new(), |(text, _)| text);
        let text = String::from_utf8_lossy(&text);
        let named = text.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            if words.next()? == "nameserver" {
                words.next()?.parse::<IpAddr>().ok()
            } else {
                None
            }
        });
        let mut servers: Vec<_> = named.take(3).map(|ip| SocketAddr::new(ip, 53)).collect();
        if servers.is_empty() {
            servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        }
        Dns {
            servers,
            silent: Cell::new(false),
        }
    }

    /// The data of every record of a kind: the place where each begins in the answer, and the
    /// answer.
    fn ask(&self, name: &str, kind: u16) -> (Vec<u8>, Vec<usize>) {
        let Some((id, question)) = question(name, kind) else {
            return (Vec::new(), Vec::new());
        };
        for server in self.servers.iter().filter(|_| !self.silent.get()) {
            if let Some(answer) = exchange(*server, id, &question)
                && let Some(records) = records(&answer, question.len(), kind)
            {
                return (answer, records);
            }
        }
        self.silent.set(true);
        (Vec::new(), Vec::new())
    }
}

impl Directory for Dns {
    fn mx(&self, domain: &str) -> Vec<String> {
        let (answer, records) = self.ask(domain, MX);
        let mut found: Vec<(u16, String)> = records
            .iter()
            .filter_map(|at| Some((number(&answer, *at)?, name(&answer, at + 2)?.0)))
            .collect();
        found.sort();
        found
            .into_iter()
            .map(|(_, host)| host)
            .filter(|host| !host.is_empty())
            .collect()
    }

    fn srv(&self, service: &str) -> Vec<Service> {
        let (answer, records) = self.ask(service, SRV);
        let read = |at: &usize| {
            let (priority, weight) = (number(&answer, *at)?, number(&answer, at + 2)?);
            Some((
                priority,
                u16::MAX - weight,
                number(&answer, at + 4)?,
                name(&answer, at + 6)?.0,
            ))
        };
        let mut found: Vec<_> = records.iter().filter_map(read).collect();
        found.sort();
        found
            .into_iter()
            .map(|(_, _, port, host)| Service { host, port })
            .collect()
    }
}

/// A question with recursion wanted, and its id, which an answer from elsewhere has to guess along
/// with the port.
fn question(name: &str, kind: u16) -> Option<(u16, Vec<u8>)> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).ok()?;
    let mut out = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        out.push(
            u8::try_from(label.len())
                .ok()
                .filter(|length| (1..64).contains(length))?,
        );
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    (out.len() <= 12 + 255 + 4).then_some((u16::from_be_bytes(id), out))
}

/// Asks one server; what answers another question is skipped.
fn exchange(server: SocketAddr, id: u16, question: &[u8]) -> Option<Vec<u8>> {
    let here: SocketAddr = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    }
    .parse()
    .ok()?;
    let socket = UdpSocket::bind(here).ok()?;
    socket.connect(server).ok()?;
    socket.send(question).ok()?;
    let deadline = Instant::now() + TIME_LIMIT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        socket
            .set_read_timeout(Some(left).filter(|left| !left.is_zero())?.into())
            .ok()?;
        let mut answer = vec![0; LONGEST];
        let length = socket.recv(&mut answer).ok()?;
        answer.truncate(length);
        let ours =
            number(&answer, 0) == Some(id) && answer.get(2).is_some_and(|flags| flags & 0x80 != 0);
        if ours
            && answer
                .get(12..question.len())
                .is_some_and(|echo| echo.eq_ignore_ascii_case(&question[12..]))
        {
            return Some(answer);
        }
    }
}

/// Where the data of each record of this kind begins; `None` when the server could not answer.
fn records(answer: &[u8], mut at: usize, kind: u16) -> Option<Vec<usize>> {
    // NXDOMAIN (3) is an answer: there is nothing.
    if !matches!(answer.get(3)? & 0x0f, 0 | 3) {
        return None;
    }
    let mut found = Vec::new();
    for _ in 0..number(answer, 6)?.min(MOST_RECORDS) {
        let Some((_, end)) = name(answer, at) else {
            break;
        };
        let (Some(of), Some(length)) = (number(answer, end), number(answer, end + 8)) else {
            break;
        };
        if of == kind {
            found.push(end + 10);
        }
        at = end + 10 + usize::from(length);
    }
    Some(found)
}

fn number(answer: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(answer.get(at..at + 2)?.try_into().ok()?))
}

/// A name in lower case, and where what follows it begins (RFC 1035 section 4.1.4). `None` for one
/// that no host can have.
fn name(answer: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut at, mut end, mut lowest) = (start, None, start);
    let mut out = String::new();
    loop {
        let length = usize::from(*answer.get(at)?);
        match length {
            0 => return Some((out, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = answer.get(at + 1..=at + length)?;
                if !label
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                {
                    return None;
                }
                if !out.is_empty() {
                    out.push('.');
                }
                out.extend(label.iter().map(|b| char::from(b.to_ascii_lowercase())));
                at += 1 + length;
            }
            192.. => {
                let to = usize::from(number(answer, at)? & 0x3fff);
                end.get_or_insert(at + 2);
                // Backwards only, and so never in a circle.
                if to >= lowest {
                    return None;
                }
                (at, lowest) = (to, to);
            }
            _ => return None,
        }
        if out.len() > 253 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers one question with these records: each a kind and its data, in which
    /// `@` stands for a pointer to the name of the question.
    fn served(code: u8, records: &[(u16, &[u8])]) -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = socket.local_addr().unwrap();
        let records: Vec<(u16, Vec<u8>)> = records
            .iter()
            .map(|(kind, data)| (*kind, data.to_vec()))
            .collect();
        std::thread::spawn(move || {
            let mut question = [0; 512];
            let (length, who) = socket.recv_from(&mut question).unwrap();
            // A datagram that was guessed comes first.
            socket.send_to(&[question[0] ^ 1, 0, 0x80, 0], who).unwrap();
            let mut answer = question[..length].to_vec();
            (answer[2], answer[3]) = (0x81, 0x80 | code);
            answer[7] = u8::try_from(records.len()).unwrap();
            for (kind, data) in records {
                answer.extend([0xc0, 12]);
                answer.extend(kind.to_be_bytes());
                answer.extend([0, 1, 0, 0, 0, 60]);
                answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
                answer.extend(data);
            }
            socket.send_to(&answer, who).unwrap();
        });
        Dns {
            servers: vec![at],
            silent: Cell::new(false),
        }
    }

    #[test]
    fn exchangers_come_in_the_order_of_their_preference() {
        let dns = served(
            0,
            &[
                (MX, b"\x00\x14\x03mx2\xc0\x0c"),
                (5, b"\x00"),
                (MX, b"\x00\x0a\x03MX1\xc0\x0c"),
            ],
        );
        assert_eq!(dns.mx("x.example"), ["mx1.x.example", "mx2.x.example"]);
    }

    #[test]
    fn services_have_a_port_and_a_host() {
        let dns = served(0, &[(SRV, b"\x00\x01\x00\x00\x01\xd1\x04mail\xc0\x17")]);
        let found = dns.srv("_subm._tcp.x.example");
        assert_eq!(
            found,
            [Service {
                host: "mail.x.example".into(),
                port: 465
            }]
        );
        let dns = served(0, &[(SRV, b"\x00\x00\x00\x00\x00\x00\x00")]);
        assert_eq!(
            dns.srv("_s._tcp.x.example"),
            [Service {
                host: String::new(),
                port: 0
            }]
        );
    }

    #[test]
    fn what_is_not_there_or_broken_is_nothing() {
        assert!(served(3, &[]).mx("x.example").is_empty());
        assert!(
            served(2, &[(MX, b"\x00\x0a\x03mx1\xc0\x0c")])
                .mx("x.example")
                .is_empty()
        );
        for data in [
            &b""[..],
            b"\x00",
            b"\x00\x0a",
            b"\x00\x0a\x05mx",
            b"\x00\x0a\xc0\xff",
            b"\x00\x0a\x03m x\x00",
        ] {
            assert!(
                served(0, &[(MX, data)]).mx("x.example").is_empty(),
                "{data:?}"
            );
        }
        assert!(served(0, &[]).mx("a..b").is_empty());
    }

    #[test]
    fn pointers_cannot_go_round() {
        let mut answer = vec![0; 12];
        answer.extend([0xc0, 12]);
        assert_eq!(name(&answer, 12), None);
        answer.extend([1, b'a', 0xc0, 12]);
        assert_eq!(name(&answer, 14), None);
        assert_eq!(name(&[1; 600], 0), None);
        assert_eq!(
            name(b"\x01a\x01b\x00\x01c\xc0\x02", 5),
            Some(("c.b".into(), 9))
        );
    }

    #[test]
    fn the_longest_answer_of_the_longest_pointers_takes_no_time() {
        // Each label leads to the one before, and each record begins at the last of them.
        let mut chain = vec![0; 12];
        chain.push(0);
        while chain.len() < 0x3ffc {
            let before = chain.len() - if chain.len() == 13 { 1 } else { 4 };
            chain.extend([
                1,
                b'a',
                0xc0 | u8::try_from(before >> 8).unwrap(),
                u8::try_from(before & 0xff).unwrap(),
            ]);
        }
        let last = chain.len() - 4;
        let start = chain.len();
        (chain[6], chain[7]) = (0xff, 0xff);
        while chain.len() < 65_000 {
            chain.extend([
                0xc0 | u8::try_from(last >> 8).unwrap(),
                u8::try_from(last & 0xff).unwrap(),
            ]);
            chain.extend([0, 15, 0, 1, 0, 0, 0, 60, 0, 0]);
        }
        crate::pace::assert_short("pointers", chain, |answer| {
            drop(records(&answer, start, MX));
        });
    }
}
