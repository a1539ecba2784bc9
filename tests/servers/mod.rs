//! A private Postfix and Dovecot: started once for the test binary on free loopback ports, ended
//! with it.
//!
//! Promise: everything lives in one directory of its own below `/tmp`; no mailbox, queue or setting of
//! the machine is read or written. `run.sh` holds the servers and ends them when the pipe to it
//! closes, so they end however the tests do.
pub(crate) mod certificates;
pub(crate) mod harness;
pub(crate) mod mailbox;
pub(crate) mod sender;
pub(crate) mod stories;
#[path = "../it/support/terminal.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of scripted servers, and these use a part of it"
)]
pub(crate) mod terminal;
pub(crate) mod token;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use openssl::ssl::{SslConnector, SslMethod};

/// How long the servers may take to greet on every port.
const PATIENCE: Duration = Duration::from_secs(30);
/// The uid of `nobody` on Debian; the owner of the delivered mail in `main.cf` and `dovecot.conf`.
const NOBODY: u32 = 65534;
/// What must be installed; `tests/install.sh` does it.
const NEEDED: [&str; 6] = [
    "/usr/sbin/postfix",
    "/usr/sbin/dovecot",
    "/usr/lib/dovecot/submission-login",
    "/usr/lib/dovecot/lmtp",
    "/usr/bin/setsid",
    "/usr/bin/python3",
];

/// The ports, each named as in the configuration templates.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    /// In clear, no login.
    pub plain: u16,
    /// In clear, 20 000 bytes and 50 recipients at most, no SMTPUTF8.
    pub tight: u16,
    /// STARTTLS and a login required.
    pub starttls: u16,
    /// Implicit TLS, a login required.
    pub implicit: u16,
    /// Dovecot's submission server: implicit TLS, client certificates, hands on to `plain`.
    pub submissions: u16,
    /// Dovecot's LMTP.
    pub lmtp: u16,
}

impl Ports {
    /// Six ports that were free a moment ago. All are held until the last one is found, so that
    /// they differ.
    fn free() -> Ports {
        let held: Vec<TcpListener> = (0..6)
            .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
            .collect();
        let port = |i: usize| held[i].local_addr().expect("a bound port").port();
        Ports {
            plain: port(0),
            tight: port(1),
            starttls: port(2),
            implicit: port(3),
            submissions: port(4),
            lmtp: port(5),
        }
    }

    fn named(&self) -> [(&'static str, u16); 6] {
        [
            ("PLAIN", self.plain),
            ("TIGHT", self.tight),
            ("STARTTLS", self.starttls),
            ("IMPLICIT", self.implicit),
            ("SUBMISSIONS", self.submissions),
            ("LMTP", self.lmtp),
        ]
    }
}

/// The running servers. Dropping them closes the pipe to `run.sh`, which ends them and removes
/// their directory.
pub(crate) struct Servers {
    root: PathBuf,
    keeper: Child,
    /// Where they listen.
    pub ports: Ports,
}

impl Servers {
    /// Why the servers cannot run on this machine, if they cannot.
    pub(crate) fn obstacle() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("Postfix starts only as root".to_owned());
        }
        let missing: Vec<&str> = NEEDED
            .into_iter()
            .filter(|path| !Path::new(path).exists())
            .collect();
        (!missing.is_empty()).then(|| {
            format!(
                "not installed: {} (run tests/install.sh)",
                missing.join(" ")
            )
        })
    }

    /// Starts the servers and waits until each port greets. Tries other ports when somebody else
    /// took one meanwhile.
    pub(crate) fn start() -> Servers {
        let mut last = String::new();
        for _ in 0..3 {
            match Servers::try_start() {
                Ok(servers) => return servers,
                Err(reason) => last = reason,
            }
        }
        panic!("the servers did not start: {last}");
    }

    fn try_start() -> Result<Servers, String> {
        // Not the TMPDIR of the day: a unix socket's path has to stay below 108 bytes.
        let root = tempfile::Builder::new()
            .prefix("smail-real-")
            .tempdir_in("/tmp")
            .expect("a folder")
            .keep();
        let nonce = root
            .file_name()
            .and_then(|n| n.to_str())
            .expect("a name of ours")
            .to_owned();
        let ports = Ports::free();
        lay_out(&root, &nonce, &ports);

        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/run.sh");
        let mut keeper = Command::new("/usr/bin/setsid")
            .arg("--wait")
            .arg(here)
            .arg(&root)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run.sh starts");
        let mut first = String::new();
        let mut said = BufReader::new(keeper.stdout.take().expect("piped"));
        said.read_line(&mut first).expect("run.sh speaks");
        // From here on the pipe of `keeper` ends the servers, whichever way this function is left.
        let servers = Servers {
            root,
            keeper,
            ports,
        };
        if first != "started\n" {
            let mut servers = servers;
            drop(servers.keeper.stdin.take());
            said.read_to_string(&mut first).expect("run.sh ends");
            return Err(first);
        }
        servers.await_greetings(&nonce)?;
        Ok(servers)
    }

    /// Waits for the greeting of this instance on every port; another server's greeting is not
    /// enough.
    fn await_greetings(&self, nonce: &str) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        for (name, port) in self.ports.named() {
            let tls = matches!(name, "IMPLICIT" | "SUBMISSIONS");
            while let Err(reason) = self.greets(port, tls, nonce) {
                if Instant::now() > end {
                    return Err(format!(
                        "no greeting on {name} ({port}): {reason}\n{}",
                        self.log()
                    ));
                }
                std::thread::sleep(Duration::from_millis(20)); // no event tells that another program listens
            }
        }
        Ok(())
    }

    fn greets(&self, port: u16, tls: bool, nonce: &str) -> Result<(), String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .map_err(|e| e.to_string())?;
        let mut line = String::new();
        if tls {
            let mut connector =
                SslConnector::builder(SslMethod::tls()).map_err(|e| e.to_string())?;
            connector
                .set_ca_file(self.ca())
                .map_err(|e| e.to_string())?;
            let secured = connector
                .build()
                .connect("localhost", stream)
                .map_err(|e| e.to_string())?;
            let mut reader = BufReader::new(secured);
            reader.read_line(&mut line).map_err(|e| e.to_string())?;
            reader
                .get_mut()
                .write_all(b"QUIT\r\n")
                .map_err(|e| e.to_string())?;
        } else {
            let mut reader = BufReader::new(stream);
            reader.read_line(&mut line).map_err(|e| e.to_string())?;
            reader
                .get_mut()
                .write_all(b"QUIT\r\n")
                .map_err(|e| e.to_string())?;
        }
        if line.starts_with("220 ") && line.contains(nonce) {
            Ok(())
        } else {
            Err(format!("greeting {line:?}"))
        }
    }

    /// The CA that signed the servers' certificate and the clients'.
    pub(crate) fn ca(&self) -> PathBuf {
        self.root.join("tls/ca.pem")
    }

    /// A file made by [`certificates::write`].
    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.root.join("tls").join(name)
    }

    /// The unix socket of Dovecot's LMTP.
    pub(crate) fn lmtp_socket(&self) -> PathBuf {
        self.root.join("lmtp")
    }

    /// What both servers have logged so far.
    pub(crate) fn log(&self) -> String {
        let read = |name: &str| fs::read(self.root.join(name)).unwrap_or_default();
        let bytes = [
            read("postfix/maillog"),
            read("dovecot/log"),
            read("start.log"),
        ]
        .concat();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the servers' log says `words`, and gives the line.
    pub(crate) fn await_log(&self, words: &str) -> String {
        mailbox::await_some(&format!("{words:?} in the servers' log"), || {
            self.log()
                .lines()
                .find(|line| line.contains(words))
                .map(str::to_owned)
        })
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Writes everything the servers need, with the owners and modes they insist on.
fn lay_out(root: &Path, nonce: &str, ports: &Ports) {
    let dir = |path: &str, owner: Option<u32>| {
        let path = root.join(path);
        fs::create_dir_all(&path).expect("a folder");
        chown(&path, owner, None).expect("an owner");
    };
    open_to_all(root);
    for path in [
        "postfix/etc",
        "postfix/spool",
        "tls",
        "dovecot/keys/default/HS256",
        "dovecot/state",
    ] {
        dir(path, None);
    }
    dir("postfix/lib", Some(id_of("postfix")));
    dir("postfix/mail", Some(NOBODY));
    dir("dovecot/mail", Some(NOBODY));

    let fill = |template: &str| {
        let mut text = template
            .replace("@ROOT@", root.to_str().expect("ASCII"))
            .replace("@NONCE@", nonce);
        for (name, port) in ports.named() {
            text = text.replace(&format!("@{name}@"), &port.to_string());
        }
        text
    };
    let write = |path: &str, text: &str| fs::write(root.join(path), text).expect("a file");
    write("postfix/etc/main.cf", &fill(include_str!("main.cf")));
    write("postfix/etc/master.cf", &fill(include_str!("master.cf")));
    write("postfix/etc/recipients", include_str!("recipients"));
    write("dovecot/dovecot.conf", &fill(include_str!("dovecot.conf")));
    write(
        "dovecot/oauth2.conf.ext",
        &fill(include_str!("oauth2.conf.ext")),
    );
    write("dovecot/users", include_str!("users"));
    write("dovecot/keys/default/HS256/default", &token::key_file());
    certificates::write(&root.join("tls"));
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// The uid of a system user.
fn id_of(user: &str) -> u32 {
    let table = fs::read_to_string("/etc/passwd").expect("the users");
    let mut rows = table.lines().map(|row| row.split(':').collect::<Vec<_>>());
    let row = rows
        .find(|row| row[0] == user)
        .unwrap_or_else(|| panic!("no user {user}"));
    row[2].parse().expect("a uid")
}
