//! Who is at the other end of standard input, when that is a socket: a dialogue may be held with
//! another user.
//!
//! Promise: the user of a unix socket is what the kernel noted when it was connected, not what the
//! peer says.
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, fstat};
use socket2::SockRef;

use super::user_id;

/// The other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A file, a pipe or a terminal: whoever started this process.
    Starter,
    /// A process of this host, on a unix socket.
    Local {
        /// Its number when it connected; it may have ended since.
        pid: i32,
        /// Its user.
        uid: u32,
        /// The path of the socket that it has connected to; `None` where it has none.
        socket: Option<PathBuf>,
    },
    /// A host of the network; loopback addresses are this one.
    Host(IpAddr),
    /// A socket that waits for connections and is none.
    Listener,
}

impl Peer {
    /// The one at the other end of standard input.
    ///
    /// # Errors
    /// What the system says; a standard input that is closed is none.
    pub fn of_stdin() -> io::Result<Self> {
        Peer::of(io::stdin().as_fd())
    }

    fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let is_socket =
            fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
        if !is_socket {
            return Ok(Peer::Starter);
        }
        let socket = SockRef::from(&fd);
        let address = match socket.peer_addr() {
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(Peer::Listener),
            address => address?,
        };
        if let Some(address) = address.as_socket() {
            return Ok(Peer::Host(address.ip().to_canonical()));
        }
        let (pid, uid) = who(fd)?;
        let socket = socket.local_addr()?.as_pathname().map(Path::to_owned);
        Ok(Peer::Local { pid, uid, socket })
    }

    /// Returns whether this is another user, or a host.
    pub fn is_other(&self) -> bool {
        match self {
            Peer::Local { uid, .. } => *uid != user_id(),
            Peer::Host(_) => true,
            Peer::Starter | Peer::Listener => false,
        }
    }

    /// Returns whether mail for this socket would come back to the one that this peer has connected
    /// to.
    pub fn came_by(&self, path: &Path) -> bool {
        let Peer::Local {
            socket: Some(own), ..
        } = self
        else {
            return false;
        };
        let file = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
        own == path || file(own).is_some_and(|own| file(path) == Some(own))
    }
}

/// Process and user at the other end of a unix socket.
#[cfg(target_os = "linux")]
fn who(fd: BorrowedFd<'_>) -> io::Result<(i32, u32)> {
    let known = rustix::net::sockopt::socket_peercred(fd)?;
    Ok((known.pid.as_raw_nonzero().get(), known.uid.as_raw()))
}

/// Where the system is not asked, it is nobody: another user than ours in any case.
#[cfg(not(target_os = "linux"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "as on Linux, where the system may refuse"
)]
fn who(_: BorrowedFd<'_>) -> io::Result<(i32, u32)> {
    Ok((0, u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn of(fd: &impl AsFd) -> Peer {
        Peer::of(fd.as_fd()).unwrap()
    }

    #[test]
    fn the_other_end_is_what_the_kernel_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        let served = listener.accept().unwrap().0;
        let (pid, uid) = (
            std::process::id().cast_signed(),
            rustix::process::geteuid().as_raw(),
        );
        assert_eq!(
            of(&served),
            Peer::Local {
                pid,
                uid,
                socket: Some(path.clone())
            }
        );
        assert!(!of(&served).is_other());
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(
            of(&one),
            Peer::Local {
                pid,
                uid,
                socket: None
            }
        );
        assert_eq!(of(&listener), Peer::Listener);
        let network = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(network.local_addr().unwrap()).unwrap();
        assert_eq!(of(&client), Peer::Host("127.0.0.1".parse().unwrap()));
        assert_eq!(
            of(&std::fs::File::open("/dev/null").unwrap()),
            Peer::Starter
        );
    }

    #[test]
    fn a_socket_is_known_by_all_of_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("s"), dir.path().join("link"));
        let _listener = UnixListener::bind(&path).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let peer = Peer::Local {
            pid: 1,
            uid: 0,
            socket: Some(path.clone()),
        };
        assert!(peer.came_by(&path) && peer.came_by(&link));
        assert!(!peer.came_by(dir.path()) && !peer.came_by(Path::new("/nonexistent")));
        assert!(!Peer::Starter.came_by(&path));
    }
}
