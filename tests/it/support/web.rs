//! An HTTP proxy that leads every name to a server of the test, and speaks HTTPS for those that
//! have a page.
//!
//! Promise: names are led by CONNECT alone, so that no name server is asked for them; what was
//! asked for is kept; ends with the test.
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::certs::certs;
use super::wire::{PATIENCE, Wire};

/// A name and a port, and what is there.
pub(crate) struct Place {
    /// As CONNECT names it: `host:port`.
    pub name: &'static str,
    /// A port of 127.0.0.1, or what answers every question by HTTPS.
    pub there: There,
}

/// What is at a place.
pub(crate) enum There {
    /// A server on this port of 127.0.0.1.
    Port(u16),
    /// A web server with this certificate that gives one answer.
    Answer(&'static str, String),
}

/// A running proxy.
pub(crate) struct Web {
    port: u16,
    over: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<String>>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Web {
    /// Starts on 127.0.0.1.
    pub(crate) fn start(places: Vec<Place>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (over, asked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let (ended, hear, places) = (Arc::clone(&over), Arc::clone(&asked), Arc::new(places));
        let acceptor = thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (hear, places) = (Arc::clone(&hear), Arc::clone(&places));
                thread::spawn(move || serve(socket, &places, &hear));
            }
        });
        Web {
            port,
            over,
            asked,
            acceptor: Some(acceptor),
        }
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The names that were asked for, and the first lines and hosts of the questions to web
    /// servers.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve(mut socket: TcpStream, places: &[Place], asked: &Mutex<Vec<String>>) {
    let _ = socket.set_read_timeout(Some(PATIENCE));
    let hear = |line: &str| asked.lock().unwrap().push(line.to_owned());
    let Ok(question) = head(&mut socket) else {
        return;
    };
    let name = question.split(' ').nth(1).unwrap_or_default();
    hear(name);
    let Some(place) = places.iter().find(|place| place.name == name) else {
        let _ = socket.write_all(b"HTTP/1.1 502 no such name\r\n\r\n");
        return;
    };
    if socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_err() {
        return;
    }
    match &place.there {
        There::Port(port) => join(&socket, *port),
        There::Answer(cert, answer) => {
            let mut wire = Wire::tcp(socket);
            if wire.start_tls(&certs().acceptor(cert, false)).is_err() {
                return;
            }
            while let Ok(Some(line)) = wire.line() {
                let line = String::from_utf8_lossy(&line).into_owned();
                if line.is_empty() {
                    let _ = wire.send(answer.as_bytes());
                    break;
                }
                if line.starts_with("GET ") || line.starts_with("Host: ") {
                    hear(&line);
                }
            }
            wire.shut();
        }
    }
}

/// The head of a question, one byte at a time: what follows is for another.
fn head(socket: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Carries bytes both ways until both ends are done.
fn join(near: &TcpStream, port: u16) {
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return;
    };
    let carry = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    };
    thread::scope(|scope| {
        scope.spawn(|| carry(near, &far));
        carry(&far, near);
    });
}
