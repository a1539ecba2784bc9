//! A connection inside TLS, and the socket that it borrows.
//!
//! Promise: the socket comes back when the library lets go of it, also after a handshake that
//! failed: what answered in place of TLS can still be read from it.
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use native_tls::TlsStream;

use super::leaf::Leaf;
use crate::transport::net::socket::Socket;

/// A socket on loan to the library.
#[derive(Debug, Clone)]
pub(crate) struct Lent(Arc<Mutex<Socket>>);

impl Lent {
    /// Lends a socket.
    pub(crate) fn new(socket: Socket) -> Self {
        Lent(Arc::new(Mutex::new(socket)))
    }

    /// The socket.
    pub(crate) fn get(&self) -> MutexGuard<'_, Socket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Lent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.get().read(buffer)
    }
}

impl Write for Lent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.get().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection inside TLS.
pub(crate) struct Stream(TlsStream<Lent>);

impl Stream {
    /// Takes over what the handshake has made.
    pub(crate) fn new(stream: TlsStream<Lent>) -> Self {
        Stream(stream)
    }

    /// The socket beneath.
    pub(crate) fn socket(&self) -> MutexGuard<'_, Socket> {
        self.0.get_ref().get()
    }

    /// Says goodbye, without waiting for an answer.
    pub(crate) fn shutdown(&mut self) {
        let _ = self.0.shutdown();
    }

    /// The hash of the server's certificate (RFC 5929 section 4.1); `None` where its signature has
    /// no hash of its own.
    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        self.0.tls_server_end_point().ok()?
    }

    /// The server's certificate.
    pub(crate) fn leaf(&self) -> Option<Leaf> {
        self.0.peer_certificate().ok()??.to_der().ok().map(Leaf)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
