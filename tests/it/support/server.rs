//! A server that plays a transcript and fails the test when the client does not play along.
//!
//! Promise: [`Server::finish`] (and dropping, if the test forgot) panics when a transcript was not
//! played to its end, when the client said something else than the transcript, connected too often,
//! or fell silent; the message shows the dialogue, what was expected and what came. The server
//! never sleeps but where the transcript says so.
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};

use super::player::Player;
use super::script::{self, Step};
use super::wire::PATIENCE;

/// A transcript being played on a loopback port.
pub(crate) struct Server {
    port: u16,
    stage: Arc<Stage>,
    acceptor: Option<JoinHandle<()>>,
}

/// What was said on one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    /// The dialogue: `S: …`, `C: …` and `-- …` lines.
    pub dialogue: Vec<String>,
    /// Every line the client said, apart from messages.
    pub said: Vec<String>,
    /// The messages, dot-stuffing taken away.
    pub mails: Vec<Vec<u8>>,
    /// How many of them a 2yz answered.
    pub accepted: usize,
    /// The common name of the client's certificate.
    pub client_name: Option<String>,
    /// The client's round trips.
    pub round_trips: usize,
}

/// What was said in the whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// In the order of their beginning.
    pub connections: Vec<Connection>,
}

impl Record {
    /// The messages of all connections.
    pub(crate) fn mails(&self) -> Vec<&[u8]> {
        self.connections
            .iter()
            .flat_map(|c| &c.mails)
            .map(Vec::as_slice)
            .collect()
    }

    /// How many messages were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.connections.iter().map(|c| c.accepted).sum()
    }

    /// Every line the clients said, apart from messages.
    pub(crate) fn said(&self) -> Vec<&str> {
        self.connections
            .iter()
            .flat_map(|c| &c.said)
            .map(String::as_str)
            .collect()
    }
}

/// What the connections of a server share.
pub(crate) struct Stage {
    name: String,
    /// The steps of each.
    pub connections: Vec<Vec<Step>>,
    /// What was said, and what went wrong.
    pub state: Mutex<State>,
    /// Rung whenever something was said.
    pub changed: Condvar,
}

/// What was said, and what went wrong.
#[derive(Default)]
pub(crate) struct State {
    /// In the order of their beginning.
    pub record: Vec<Connection>,
    /// Each a sentence.
    pub failures: Vec<String>,
    /// The local port of the connection that asks the acceptor to end.
    closing: Option<u16>,
}

impl Server {
    /// Plays `tests/transcripts/NAME.txt`.
    pub(crate) fn story(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/transcripts")
            .join(format!("{name}.txt"));
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Server::play(name, &text)
    }

    /// Plays a transcript.
    pub(crate) fn play(name: &str, text: &str) -> Self {
        let connections = script::parse(name, text);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stage = Arc::new(Stage {
            name: name.to_owned(),
            connections,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let on_stage = Arc::clone(&stage);
        let acceptor = thread::spawn(move || accept(&listener, &on_stage));
        Server {
            port,
            stage,
            acceptor: Some(acceptor),
        }
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until a client has said a line like `pattern` (for a message: `-- message`).
    pub(crate) fn wait_for(&self, pattern: &str) {
        let heard = |state: &mut State| {
            !state.record.iter().flat_map(|c| &c.dialogue).any(|line| {
                let line = line.strip_prefix("C: ").unwrap_or(line);
                script::is_like(pattern, line)
            })
        };
        let state = self.stage.state.lock().unwrap();
        let (state, late) = self
            .stage
            .changed
            .wait_timeout_while(state, PATIENCE, heard)
            .unwrap();
        drop(state);
        assert!(
            !late.timed_out(),
            "transcript {}: `{pattern}` was not heard within {PATIENCE:?}",
            self.stage.name
        );
    }

    /// Waits for the end of every connection and gives the record.
    ///
    /// # Panics
    /// When the transcript and the client did not agree.
    pub(crate) fn finish(mut self) -> Record {
        self.end().unwrap_or_else(|failures| panic!("{failures}"))
    }

    /// As [`Server::finish`], with the disagreement as an error.
    pub(crate) fn end(&mut self) -> Result<Record, String> {
        let Some(acceptor) = self.acceptor.take() else {
            return Ok(Record::default());
        };
        // A connection of our own, queued behind every one of the client's, tells the acceptor that
        // no more will come.
        let knock = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        knock
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        let from = knock.local_addr().unwrap().as_socket().unwrap().port();
        self.stage.state.lock().unwrap().closing = Some(from);
        knock
            .connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).into())
            .unwrap();
        let crashed = acceptor.join().is_err();
        let mut state = self.stage.state.lock().unwrap();
        if crashed {
            state.failures.push("the server itself crashed".into());
        }
        let (seen, wanted) = (state.record.len(), self.stage.connections.len());
        if seen < wanted {
            state.failures.push(format!(
                "the client connected {seen} times and the transcript has {wanted} connections"
            ));
        }
        if state.failures.is_empty() {
            return Ok(Record {
                connections: std::mem::take(&mut state.record),
            });
        }
        let mut text = format!(
            "transcript {}: {}",
            self.stage.name,
            state.failures.join("\n")
        );
        for (number, connection) in state.record.iter().enumerate() {
            let _ = write!(
                text,
                "\n--- dialogue of connection {}:\n{}",
                number + 1,
                connection.dialogue.join("\n")
            );
        }
        Err(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let result = self.end();
        if let Err(failures) = result
            && !thread::panicking()
        {
            panic!("{failures}");
        }
    }
}

fn accept(listener: &TcpListener, theatre: &Arc<Stage>) {
    let mut players = Vec::new();
    while let Ok((socket, from)) = listener.accept() {
        let mut state = theatre.state.lock().unwrap();
        if state.closing == Some(from.port()) {
            break;
        }
        let number = state.record.len();
        state.record.push(Connection::default());
        if number >= theatre.connections.len() {
            state
                .failures
                .push(format!("the client connected a {}. time", number + 1));
            continue;
        }
        drop(state);
        let on_stage = Arc::clone(theatre);
        players.push(thread::spawn(move || {
            Player::new(socket, &on_stage, number).play();
        }));
    }
    for player in players {
        if player.join().is_err() {
            theatre
                .state
                .lock()
                .unwrap()
                .failures
                .push("a connection of the server crashed".into());
        }
    }
}
