//! Where a mail goes, settled: everything a transport must know, and nothing it would have to look
//! up.
//!
//! Promise: a [`Route`] is complete. A transport reads no setting, no environment and no file but
//! those named here.
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::oauth::Account;
use crate::secret::SecretSource;

pub(crate) use self::mechanism::Mechanism;

pub(crate) mod mechanism;
pub(crate) mod resolve;
pub(crate) mod url;

/// How a mail travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To a server.
    Smtp(Box<Smtp>),
    /// To a sendmail-like program.
    Program(Program),
    /// Into a file (`.eml`), or into a new file of a directory.
    File(PathBuf),
    /// To standard output.
    Stdout,
}

/// When TLS starts, and whether it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS from the first byte (RFC 8314 section 3.3).
    Implicit,
    /// STARTTLS, required.
    Starttls,
    /// STARTTLS where offered; in clear otherwise.
    Opportunistic,
    /// Never.
    None,
}

impl TlsMode {
    /// The values of the setting `tls`.
    pub(crate) const WORDS: &[&str] = &[
        TlsMode::Implicit.word(),
        TlsMode::Starttls.word(),
        TlsMode::Opportunistic.word(),
        TlsMode::None.word(),
    ];

    /// The mode that a value of `tls` names.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        use TlsMode::{Implicit, None, Opportunistic, Starttls};
        [Implicit, Starttls, Opportunistic, None]
            .into_iter()
            .find(|mode| mode.word() == word)
    }

    /// The value of the setting `tls`.
    pub const fn word(self) -> &'static str {
        match self {
            TlsMode::Implicit => "implicit",
            TlsMode::Starttls => "starttls",
            TlsMode::Opportunistic => "opportunistic",
            TlsMode::None => "none",
        }
    }
}

/// A port of the server and how TLS starts there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The TCP port.
    pub port: u16,
    /// How TLS starts there.
    pub tls: TlsMode,
}

/// The server and all that a session with it needs.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    /// The provider whose server it is, by its name in the table: it tells how replies are meant.
    pub provider: Option<String>,
    /// The name in A-labels, or an IP address without brackets; the TLS name.
    pub host: String,
    /// Tried in order; the next only when no connection to the one before could be made. Never
    /// empty.
    pub endpoints: Vec<Endpoint>,
    /// LMTP instead of SMTP (RFC 2033).
    pub lmtp: bool,
    /// A unix socket instead of TCP.
    pub socket: Option<PathBuf>,
    /// Another address and, if given, port to connect to; the TLS name stays.
    pub connect_to: Option<(String, Option<u16>)>,
    /// A proxy.
    pub proxy: Option<Proxy>,
    /// The local address to connect from.
    pub source_address: Option<IpAddr>,
    /// The argument of EHLO: a full name or an address literal. `None`: the literal of the local
    /// address.
    pub hello_name: Option<String>,
    /// EHLO may be skipped for HELO (smtp-config=-ehlo).
    pub ehlo: bool,
    /// What is trusted.
    pub trust: Trust,
    /// Who logs in.
    pub login: Option<Login>,
    /// Commands may be sent in groups where the server offers PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// A small message may leave with its envelope where the server offers CHUNKING (RFC 3030).
    pub chunking: bool,
    /// How long each step may take.
    pub timeouts: Timeouts,
}

/// What is trusted when TLS starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// What happens when the certificate is not trusted.
    pub verify: Verify,
    /// Roots beside those of the system: a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Roots beside those of the system: a directory of PEM files.
    pub ca_dir: Option<PathBuf>,
    /// Only the roots of `ca_file` and `ca_dir` count.
    pub no_system_roots: bool,
    /// SHA-256 of the server's certificate; replaces every other check.
    pub fingerprint: Option<[u8; 32]>,
    /// The certificate (PEM) to show, with its chain.
    pub cert: Option<PathBuf>,
    /// Its key (PEM); the certificate's file when `None`.
    pub key: Option<PathBuf>,
    /// Prints the passphrase of a PKCS #12 file; without it there is none.
    pub key_password: Option<SecretSource>,
    /// TLS 1.3 at least; else 1.2 is taken too.
    pub only_tls13: bool,
}

/// What happens when a certificate is not trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verify {
    /// The session ends.
    #[default]
    Strict,
    /// A note is written and the session goes on.
    Warn,
    /// The session goes on.
    Ignore,
}

impl Verify {
    /// The values of the setting `tls-verify`. There is nobody to `ask`, as s-nail would.
    pub(crate) const WORDS: &[&str] = &["strict", "warn", "ignore", "ask"];

    /// What a value of `tls-verify` means.
    pub(crate) fn of_word(word: &str) -> Self {
        match word {
            "ignore" => Verify::Ignore,
            "warn" => Verify::Warn,
            _ => Verify::Strict,
        }
    }
}

/// A proxy in front of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its protocol.
    pub kind: ProxyKind,
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User and password.
    pub login: Option<(String, SecretSource)>,
}

/// The protocol of a proxy. The server's name is always resolved by the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// RFC 1928, 1929.
    Socks5,
    /// HTTP CONNECT (RFC 9110 section 9.3.6).
    Http,
}

/// Who logs in and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name as the server wants it.
    pub user: String,
    /// What logs in; asked for once, when the server wants it.
    pub credential: Credential,
    /// The mechanism.
    pub mechanism: Choice,
    /// May travel without TLS to a host that is not loopback.
    pub in_clear: bool,
    /// Where the secret comes from; `None` when there is none.
    pub origin: Option<LoginOrigin>,
}

/// What logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A password, or a token that a setting, a file or a program holds.
    Secret(SecretSource),
    /// An access token of this account.
    Token(Box<Account>),
}

impl Credential {
    /// Returns whether it is known only from the source who logs in, and whether anybody does.
    pub fn names_user(&self) -> bool {
        matches!(self, Credential::Secret(source) if source.names_user())
    }
}

#[cfg(test)]
impl Credential {
    /// The source of a password, for tests that expect one.
    #[track_caller]
    pub(crate) fn source(&self) -> &SecretSource {
        match self {
            Credential::Secret(source) => source,
            Credential::Token(account) => panic!("{account:?}"),
        }
    }
}

/// Who logged in where, and where the secret came from: what a mail that waits keeps of its login.
/// Never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginOrigin {
    /// The user.
    pub user: String,
    /// The server: host, host:port or the path of a socket.
    pub server: String,
    /// The setting with the secret, and where it was set.
    pub secret: String,
    /// The secret was given to that one run, by the command line or the environment, and ended with
    /// it.
    #[serde(default)]
    pub given: bool,
}

/// Which mechanism is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The best one offered that is safe here.
    Auto,
    /// Exactly this one.
    Only(Mechanism),
    /// The secret is an access token: XOAUTH2, or OAUTHBEARER where only that is offered.
    Token,
}

/// How long each step may take, each reply as a whole (RFC 5321 section 4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// DNS and each address: 30 s.
    pub connect: Duration,
    /// The greeting, EHLO, TLS, each AUTH step, MAIL and RCPT: 5 min.
    pub command: Duration,
    /// The reply to DATA: 2 min.
    pub data: Duration,
    /// Each block of the message: 3 min.
    pub block: Duration,
    /// The reply to the dot: 10 min.
    pub dot: Duration,
    /// The reply to QUIT once the message was accepted: 5 s at most, never scaled up.
    pub quit: Duration,
}

impl Timeouts {
    /// The times of RFC 5321, scaled so that one command may take `command`.
    pub fn scaled(command: Duration) -> Self {
        let share = |of: u32| command.checked_mul(of).unwrap_or(Duration::MAX) / 300;
        Timeouts {
            connect: share(30).max(Duration::from_millis(100)),
            command,
            data: share(120),
            block: share(180),
            dot: share(600),
            quit: Duration::from_secs(5).min(command),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts::scaled(Duration::from_mins(5))
    }
}

/// A sendmail-like program: started directly, never through a shell.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its path.
    pub path: PathBuf,
    /// `argv[0]` when it is not the path.
    pub argv0: Option<String>,
    /// Arguments before the recipients (`mta-arguments`).
    pub arguments: Vec<String>,
    /// Leaves out the default arguments `-i` and `-f`.
    pub no_default_arguments: bool,
    /// Leaves the recipients out and lets the program read them (`-t` belongs into the arguments).
    pub no_recipients: bool,
    /// The user chose the sender (`-r`, `from`): it is handed over with `-f`.
    pub sender: bool,
    /// Adds `-v`.
    pub verbose: bool,
    /// The provider that the settings name: the program may repeat its words.
    pub provider: Option<String>,
    /// How long it may take: `block` for each block of the message, and `dot` from its end on.
    pub timeouts: Timeouts,
}
