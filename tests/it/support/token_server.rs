//! A server of access tokens on this host: authorization code with PKCE, device code, refresh with
//! rotation, client credentials, and every error that is asked for.
//!
//! Promise: each refresh token is good once; a second use of one voids everything, as providers do;
//! what was asked is kept; ends with the test.
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::wire::PATIENCE;

/// Begins every token, so that a leak is found.
pub(crate) const MARK: &str = "MARKED-TOKEN-";
/// The secret of the client.
pub(crate) const CLIENT_SECRET: &str = "MARKED-CLIENT-SECRET";

#[derive(Default)]
struct State {
    /// What was posted.
    asked: Vec<String>,
    /// The challenge of the code that was given out.
    challenge: String,
    /// The refresh token that is good.
    refresh: String,
    serial: u32,
    /// Seconds that access tokens live.
    lives: u32,
    /// In place of the next replies to a post: status and page.
    instead: Vec<(u16, String)>,
}

/// A running server.
pub(crate) struct TokenServer {
    port: u16,
    state: Arc<Mutex<State>>,
    access: Arc<Mutex<String>>,
    over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl TokenServer {
    /// Starts on 127.0.0.1; access tokens live for an hour.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            lives: 3600,
            ..State::default()
        }));
        let access = Arc::new(Mutex::new(String::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (kept, good, ended) = (Arc::clone(&state), Arc::clone(&access), Arc::clone(&over));
        let acceptor = thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (kept, good) = (Arc::clone(&kept), Arc::clone(&good));
                thread::spawn(move || serve(socket, &kept, &good));
            }
        });
        TokenServer {
            port,
            state,
            access,
            over,
            acceptor: Some(acceptor),
        }
    }

    /// An address of the server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// The access token that is good: a server of mail looks at it.
    pub(crate) fn access(&self) -> Arc<Mutex<String>> {
        Arc::clone(&self.access)
    }

    /// Lets access tokens live so long from now on.
    pub(crate) fn lives(&self, seconds: u32) {
        self.state.lock().unwrap().lives = seconds;
    }

    /// Replies so to the next posts.
    pub(crate) fn instead(&self, status: u16, page: &str) {
        self.state
            .lock()
            .unwrap()
            .instead
            .push((status, page.to_owned()));
    }

    /// Forgets every token that it gave out.
    pub(crate) fn revoke(&self) {
        self.state.lock().unwrap().refresh.clear();
        self.access.lock().unwrap().clear();
    }

    /// What was posted: the grants.
    pub(crate) fn grants(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let grant = |form: &String| field(form, "grant_type").unwrap_or_default();
        state.asked.iter().map(grant).collect()
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve(mut socket: TcpStream, state: &Mutex<State>, access: &Mutex<String>) -> Option<()> {
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut text = Vec::new();
    let head = loop {
        if let Some(at) = text.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        let mut buffer = [0; 4096];
        let count = socket.read(&mut buffer).ok().filter(|count| *count > 0)?;
        text.extend_from_slice(&buffer[..count]);
    };
    let header = String::from_utf8_lossy(&text[..head]).to_ascii_lowercase();
    let length = header
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    while text.len() < head + length.unwrap_or(0) {
        let mut buffer = [0; 4096];
        let count = socket.read(&mut buffer).ok().filter(|count| *count > 0)?;
        text.extend_from_slice(&buffer[..count]);
    }
    let line = String::from_utf8_lossy(&text[..head])
        .lines()
        .next()?
        .to_owned();
    let form = String::from_utf8_lossy(&text[head..]).into_owned();
    let mut words = line.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut state = state.lock().unwrap();
    let (status, page) = match (method, path) {
        ("GET", "/authorize") => {
            let to = authorize(&mut state, query)?;
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            return socket.write_all(head.as_bytes()).ok();
        }
        ("POST", _) => {
            state.asked.push(form.clone());
            if state.instead.is_empty() {
                match path {
                    "/device" => (200, device()),
                    _ => token(&mut state, access, &form),
                }
            } else {
                state.instead.remove(0)
            }
        }
        _ => (404, String::new()),
    };
    let reply = format!(
        "HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    );
    socket.write_all(reply.as_bytes()).ok()
}

/// The person has agreed: the browser goes back with a code.
fn authorize(state: &mut State, query: &str) -> Option<String> {
    let wanted = [
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
        ("client_id", "client"),
    ];
    if wanted
        .iter()
        .any(|(name, value)| field(query, name).as_deref() != Some(*value))
    {
        return None;
    }
    state.challenge = field(query, "code_challenge")?;
    let redirect = field(query, "redirect_uri")?;
    let sound =
        redirect.starts_with("http://127.0.0.1:") || redirect.starts_with("http://localhost:");
    let state = field(query, "state")?;
    sound.then(|| format!("{redirect}/?code={MARK}CODE&state={state}"))
}

fn device() -> String {
    format!(
        "{{\"device_code\":\"{MARK}DEVICE\",\"user_code\":\"ABCD-EFGH\",\
         \"verification_uri\":\"https://id.example/device\",\"expires_in\":600,\"interval\":1}}"
    )
}

fn token(state: &mut State, access: &Mutex<String>, form: &str) -> (u16, String) {
    let refused = |code: &str| {
        (
            400,
            format!("{{\"error\":\"{code}\",\"error_description\":\"no {MARK}\"}}"),
        )
    };
    let get = |name: &str| field(form, name).unwrap_or_default();
    if get("client_id") != "client" {
        return refused("invalid_client");
    }
    let mut rotates = true;
    match get("grant_type").as_str() {
        "authorization_code" => {
            let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier")));
            if get("code") != format!("{MARK}CODE") || challenge != state.challenge {
                return refused("invalid_grant");
            }
        }
        "urn:ietf:params:oauth:grant-type:device_code" => {
            if get("device_code") != format!("{MARK}DEVICE") {
                return refused("invalid_grant");
            }
        }
        "refresh_token" => {
            if state.refresh.is_empty() || get("refresh_token") != state.refresh {
                state.refresh.clear();
                access.lock().unwrap().clear();
                return refused("invalid_grant");
            }
            if get("scope").is_empty() {
                return refused("invalid_scope");
            }
        }
        "client_credentials" => {
            if get("client_secret") != CLIENT_SECRET {
                return refused("invalid_client");
            }
            rotates = false;
        }
        _ => return refused("unsupported_grant_type"),
    }
    state.serial += 1;
    let serial = state.serial;
    let good = format!("{MARK}ACCESS-{serial}");
    access.lock().unwrap().clone_from(&good);
    let mut page = format!(
        "{{\"access_token\":\"{good}\",\"token_type\":\"Bearer\",\"expires_in\":{}",
        state.lives
    );
    if rotates {
        state.refresh = format!("{MARK}REFRESH-{serial}");
        page += &[",\"refresh_token\":\"", &state.refresh, "\""].concat();
    }
    (200, page + "}")
}

/// A field of a form, decoded.
fn field(form: &str, name: &str) -> Option<String> {
    let value = form
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
    Some(decoded.ok()?.into_owned())
}
