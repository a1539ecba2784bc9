//! An ordinary, well-behaved server that keeps the mail it is given: for stories, the demo and
//! measurements.
//!
//! Promise: as RFC 5321 wants it, with the extensions that were switched on and no others; takes
//! many connections at once; ends when dropped.
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};

use super::scram::Lie;
use super::session::Session;
use super::wire::{PATIENCE, Wire};

/// What a sink offers and how it answers.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a server, not the states of one machine"
)]
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(super) starttls: bool,
    pub(super) implicit: bool,
    pub(super) cert: String,
    pub(super) login: Option<(String, String)>,
    pub(super) mechanisms: Vec<String>,
    /// The one access token that is good, in place of a password.
    pub(super) token: Option<Arc<Mutex<String>>>,
    /// How it lies in SCRAM.
    pub(super) lie: Lie,
    pub(super) size: Option<u64>,
    pub(super) extensions: Vec<String>,
    pub(super) lmtp: bool,
    /// Reply to RCPT for an address.
    pub(super) recipients: Vec<(String, String)>,
    /// Reply after the dot for an address (LMTP).
    pub(super) deliveries: Vec<(String, String)>,
    pub(super) dot: String,
    /// The most recipients of one transaction, and the reply to more.
    pub(super) most: Option<(usize, String)>,
    /// BDAT is not understood, although CHUNKING may be offered.
    pub(super) no_bdat: bool,
}

impl Options {
    /// Nothing but PIPELINING, 8BITMIME and ENHANCEDSTATUSCODES.
    pub(crate) fn new() -> Self {
        Options {
            starttls: false,
            implicit: false,
            cert: "server".into(),
            login: None,
            mechanisms: ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"]
                .map(String::from)
                .to_vec(),
            token: None,
            lie: Lie::None,
            size: None,
            extensions: ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"]
                .map(String::from)
                .to_vec(),
            lmtp: false,
            recipients: Vec::new(),
            deliveries: Vec::new(),
            dot: "250 2.0.0 queued".into(),
            most: None,
            no_bdat: false,
        }
    }

    /// Offers STARTTLS.
    #[must_use]
    pub(crate) fn starttls(mut self) -> Self {
        self.starttls = true;
        self
    }

    /// Speaks TLS from the first byte.
    #[must_use]
    pub(crate) fn implicit(mut self) -> Self {
        self.implicit = true;
        self
    }

    /// Shows another certificate than `server`.
    #[must_use]
    pub(crate) fn cert(mut self, name: &str) -> Self {
        name.clone_into(&mut self.cert);
        self
    }

    /// Wants this login before MAIL. Offered only under TLS when STARTTLS is offered.
    #[must_use]
    pub(crate) fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Offers only these mechanisms.
    #[must_use]
    pub(crate) fn mechanisms(mut self, names: &[&str]) -> Self {
        self.mechanisms = names.iter().map(ToString::to_string).collect();
        self
    }

    /// Wants this access token of a user before MAIL, by XOAUTH2 or OAUTHBEARER.
    #[must_use]
    pub(crate) fn token(mut self, user: &str, token: Arc<Mutex<String>>) -> Self {
        self.token = Some(token);
        self.login(user, "").mechanisms(&["XOAUTH2"])
    }

    /// Lies in SCRAM.
    #[must_use]
    pub(crate) fn lie(mut self, lie: Lie) -> Self {
        self.lie = lie;
        self
    }

    /// Offers SIZE with this limit.
    #[must_use]
    pub(crate) fn size(mut self, limit: u64) -> Self {
        self.size = Some(limit);
        self
    }

    /// Offers exactly these further extensions.
    #[must_use]
    pub(crate) fn extensions(mut self, lines: &[&str]) -> Self {
        self.extensions = lines.iter().map(ToString::to_string).collect();
        self
    }

    /// Speaks LMTP (RFC 2033).
    #[must_use]
    pub(crate) fn lmtp(mut self) -> Self {
        self.lmtp = true;
        self
    }

    /// Answers RCPT for this address so.
    #[must_use]
    pub(crate) fn recipient(mut self, address: &str, reply: &str) -> Self {
        self.recipients.push((address.to_owned(), reply.to_owned()));
        self
    }

    /// Answers so for this address after the dot (LMTP only).
    #[must_use]
    pub(crate) fn delivery(mut self, address: &str, reply: &str) -> Self {
        self.deliveries.push((address.to_owned(), reply.to_owned()));
        self
    }

    /// Answers the dot so.
    #[must_use]
    pub(crate) fn dot(mut self, reply: &str) -> Self {
        reply.clone_into(&mut self.dot);
        self
    }

    /// Takes no more recipients in one transaction, and answers the others so; a 421 ends the
    /// session.
    #[must_use]
    pub(crate) fn most(mut self, recipients: usize, reply: &str) -> Self {
        self.most = Some((recipients, reply.to_owned()));
        self
    }

    /// Refuses BDAT itself, whatever it offers.
    #[must_use]
    pub(crate) fn no_bdat(mut self) -> Self {
        self.no_bdat = true;
        self
    }

    /// Starts on 127.0.0.1.
    pub(crate) fn start(self) -> Sink {
        self.start_at(Place::reserve())
    }

    /// Starts where nobody listened until now.
    pub(crate) fn start_at(self, place: Place) -> Sink {
        place.0.listen(1024).unwrap();
        let listener = TcpListener::from(place.0);
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            options: self,
            kept: Mutex::default(),
            came: Condvar::new(),
            over: AtomicBool::new(false),
        });
        let on = Arc::clone(&shared);
        let acceptor = thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if on.over.load(Ordering::SeqCst) {
                    return;
                }
                let on = Arc::clone(&on);
                thread::spawn(move || Session::new(Wire::tcp(socket), &on).serve());
            }
        });
        Sink {
            shared,
            port,
            socket: None,
            acceptor: Some(acceptor),
        }
    }

    /// Starts on a unix socket.
    pub(crate) fn start_unix(self, path: &Path) -> Sink {
        let listener = UnixListener::bind(path).unwrap();
        let shared = Arc::new(Shared {
            options: self,
            kept: Mutex::default(),
            came: Condvar::new(),
            over: AtomicBool::new(false),
        });
        let on = Arc::clone(&shared);
        let acceptor = thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if on.over.load(Ordering::SeqCst) {
                    return;
                }
                let on = Arc::clone(&on);
                thread::spawn(move || Session::new(Wire::unix(socket), &on).serve());
            }
        });
        Sink {
            shared,
            port: 0,
            socket: Some(path.to_owned()),
            acceptor: Some(acceptor),
        }
    }
}

/// A port on 127.0.0.1 where connections are refused until a sink starts there: a server that is
/// down. Nobody else can take it meanwhile.
pub(crate) struct Place(Socket);

impl Place {
    /// Takes a port.
    pub(crate) fn reserve() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        Place(socket)
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().as_socket().unwrap().port()
    }
}

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    /// What stood between the angle brackets of MAIL FROM.
    pub from: String,
    /// The parameters of MAIL FROM.
    pub parameters: String,
    /// The recipients that were accepted.
    pub to: Vec<String>,
    /// The message, dot-stuffing taken away.
    pub data: Vec<u8>,
    /// The user of the session.
    pub user: Option<String>,
    /// It came under TLS.
    pub tls: bool,
}

impl Mail {
    /// The message as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// What was taken and said so far.
#[derive(Default)]
pub(crate) struct Kept {
    /// Replies to RCPT that have changed since the start.
    pub(super) answers: BTreeMap<String, String>,
    pub(super) mails: Vec<Mail>,
    pub(super) dialogue: Vec<String>,
    pub(super) round_trips: usize,
    pub(super) sessions: usize,
    pub(super) ended: usize,
}

/// What the sessions of a sink share.
pub(crate) struct Shared {
    pub(super) options: Options,
    pub(super) kept: Mutex<Kept>,
    pub(super) came: Condvar,
    pub(super) over: AtomicBool,
}

/// A running sink.
pub(crate) struct Sink {
    shared: Arc<Shared>,
    port: u16,
    socket: Option<PathBuf>,
    acceptor: Option<JoinHandle<()>>,
}

impl Sink {
    /// The port on 127.0.0.1; 0 on a unix socket.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on answers RCPT for this address so.
    pub(crate) fn answer(&self, address: &str, reply: &str) {
        self.shared
            .kept
            .lock()
            .unwrap()
            .answers
            .insert(address.to_owned(), reply.to_owned());
    }

    /// The mails taken so far.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.shared.kept.lock().unwrap().mails.clone()
    }

    /// The one mail that was taken.
    ///
    /// # Panics
    /// When there is none, or more.
    pub(crate) fn only_mail(&self) -> Mail {
        let mut mails = self.mails();
        assert_eq!(mails.len(), 1, "dialogue:\n{}", self.dialogue().join("\n"));
        mails.remove(0)
    }

    /// Waits until that many mails have come.
    pub(crate) fn wait_for_mails(&self, count: usize) -> Vec<Mail> {
        let kept = self.shared.kept.lock().unwrap();
        let few = |kept: &mut Kept| kept.mails.len() < count;
        let (kept, late) = self
            .shared
            .came
            .wait_timeout_while(kept, PATIENCE, few)
            .unwrap();
        assert!(
            !late.timed_out(),
            "{} of {count} mails came",
            kept.mails.len()
        );
        kept.mails.clone()
    }

    /// The dialogue of all sessions, line by line; messages are a note.
    pub(crate) fn dialogue(&self) -> Vec<String> {
        self.shared.kept.lock().unwrap().dialogue.clone()
    }

    /// The round trips of the sessions that have ended, in sum. Waits until all sessions have
    /// ended.
    pub(crate) fn round_trips(&self) -> usize {
        let kept = self.shared.kept.lock().unwrap();
        let open = |kept: &mut Kept| kept.ended < kept.sessions;
        let (kept, late) = self
            .shared
            .came
            .wait_timeout_while(kept, PATIENCE, open)
            .unwrap();
        assert!(!late.timed_out(), "a session does not end");
        kept.round_trips
    }

    /// How many connections there were.
    pub(crate) fn sessions(&self) -> usize {
        self.shared.kept.lock().unwrap().sessions
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the acceptor; sessions end with their clients.
        match &self.socket {
            Some(path) => drop(UnixStream::connect(path)),
            None => drop(std::net::TcpStream::connect((
                Ipv4Addr::LOCALHOST,
                self.port,
            ))),
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}
