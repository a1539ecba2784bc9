//! Runs the smail binary in a world of its own: empty environment, its own HOME, bounded time.
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tempfile::TempDir;

use super::Servers;
use super::terminal::Terminal;

/// Longer than any run that does not hang.
const PATIENCE: Duration = Duration::from_mins(2);

/// One run of smail, being described.
pub(crate) struct Sender {
    home: Arc<TempDir>,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

/// What a run of smail ended with.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit status; -1 after a signal.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Fails unless the run succeeded and said nothing.
    pub(crate) fn assert_silent_success(&self) {
        assert_eq!((self.status, &*self.stdout, &*self.stderr), (0, "", ""));
    }

    /// Fails unless the run ended with `status` and told the user each of `words`.
    pub(crate) fn assert_failure(&self, status: i32, words: &[&str]) {
        assert_eq!(self.status, status, "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {self:#?}");
        }
    }
}

impl Sender {
    /// Called by the name `smail`, with no setting from anywhere.
    pub(crate) fn new() -> Sender {
        Sender::called("smail").args(["--no-config"])
    }

    /// Called by another name (`mail`, `mailx`), reading the settings of its own HOME only.
    pub(crate) fn called(name: &'static str) -> Sender {
        let home = home();
        let program = home.path().join(name);
        symlink(env!("CARGO_BIN_EXE_smail"), &program).expect("a link");
        // With CI set nothing is queued, so the exit status tells what became of this attempt.
        Sender {
            program,
            ..Sender::at(&home)
        }
        .env("CI", "true")
    }

    /// Called by the name `smail`, in a HOME that lasts for several runs and gets nothing but what
    /// smail writes.
    pub(crate) fn at(home: &Arc<TempDir>) -> Sender {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_smail"));
        let sender = Sender {
            home: Arc::clone(home),
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        sender
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("TERM", "xterm")
    }

    /// Adds arguments.
    pub(crate) fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, arguments: I) -> Sender {
        self.arguments
            .extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Adds an attachment.
    pub(crate) fn attach(self, file: &Path) -> Sender {
        self.args([OsStr::new("-a"), file.as_os_str()])
    }

    /// Adds `-S name=value`.
    pub(crate) fn set(self, name: &str, value: impl AsRef<OsStr>) -> Sender {
        let mut setting = OsString::from(format!("{name}="));
        setting.push(value);
        self.args([OsStr::new("-S"), &setting])
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Sender {
        self.environment
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Writes a file into HOME, readable by its owner only, and gives its path.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        write_private(&path, content);
        path
    }

    /// Runs smail with `stdin` to read and gives what it ended with. A run that hangs is killed,
    /// and fails the test.
    pub(crate) fn run(self, stdin: &[u8]) -> Outcome {
        let mut child = self
            .described(Command::new(&self.program))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("smail starts");
        let mut pipe = child.stdin.take().expect("piped");
        let stdin = stdin.to_vec();
        // smail may end without having read everything, so the write may fail.
        std::thread::spawn(move || pipe.write_all(&stdin));
        let stdout = drain(child.stdout.take().expect("piped"));
        let stderr = drain(child.stderr.take().expect("piped"));
        let stdout = within_patience(&mut child, &stdout, &self.arguments);
        let stderr = within_patience(&mut child, &stderr, &self.arguments);
        let status = child.wait().expect("a status").code().unwrap_or(-1);
        Outcome {
            status,
            stdout,
            stderr,
        }
    }

    /// Starts smail with a terminal of its own, which `TERM` calls an xterm.
    pub(crate) fn at_terminal(&self) -> Terminal {
        let mut setsid = Command::new("/usr/bin/setsid");
        setsid.args(["--ctty", "--wait"]).arg(&self.program);
        Terminal::start(self.described(setsid))
    }

    /// The arguments and the world of the run.
    fn described(&self, mut command: Command) -> Command {
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command
            .args(&self.arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .envs(environment);
        command.current_dir(self.home.path());
        command
    }
}

/// A HOME with nothing in it.
pub(crate) fn home() -> Arc<TempDir> {
    Arc::new(
        tempfile::Builder::new()
            .prefix("smail-home-")
            .tempdir()
            .expect("a folder"),
    )
}

fn drain(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = tell.send(bytes);
    });
    told
}

fn within_patience(
    child: &mut Child,
    told: &mpsc::Receiver<Vec<u8>>,
    arguments: &[OsString],
) -> String {
    let Ok(bytes) = told.recv_timeout(PATIENCE) else {
        let _ = child.kill();
        panic!(
            "smail {arguments:?} still ran after {} s",
            PATIENCE.as_secs()
        );
    };
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes a file that only its owner may read, which is what smail asks of files with secrets.
pub(crate) fn write_private(path: &Path, content: &[u8]) {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .expect("a new file");
    file.write_all(content).expect("written");
}

/// How smail is told to reach the servers; each names one port.
impl Servers {
    /// In clear, without login.
    pub(crate) fn over_plain(&self) -> Sender {
        from_the_sender(Sender::new())
            .set("smtp", format!("smtp://localhost:{}", self.ports.plain))
            .set("tls", "none")
    }

    /// In clear, to the port with small limits and without SMTPUTF8.
    pub(crate) fn over_tight(&self) -> Sender {
        from_the_sender(Sender::new())
            .set("smtp", format!("smtp://localhost:{}", self.ports.tight))
            .set("tls", "none")
    }

    /// STARTTLS, trusting the run's CA; a login is still to be set.
    pub(crate) fn over_starttls(&self) -> Sender {
        let sender = from_the_sender(Sender::new())
            .set("smtp", format!("smtp://localhost:{}", self.ports.starttls));
        sender.set("tls", "starttls").set("tls-ca-file", self.ca())
    }

    /// Implicit TLS, trusting the run's CA; a login is still to be set.
    pub(crate) fn over_implicit(&self) -> Sender {
        let sender = from_the_sender(Sender::new())
            .set("smtp", format!("smtps://localhost:{}", self.ports.implicit));
        sender.set("tls-ca-file", self.ca())
    }
}

fn from_the_sender(sender: Sender) -> Sender {
    sender.args(["-r", "sender@example.com"])
}

impl Sender {
    /// Logs in as `user`; the secret travels by the environment, never by arguments.
    pub(crate) fn login(self, user: &str, secret: &str) -> Sender {
        self.set("auth-user", user)
            .env("SMAIL_AUTH_PASSWORD", secret)
    }

    /// Logs in as alice with her password.
    pub(crate) fn login_of_alice(self) -> Sender {
        self.login("alice", "wonderland")
    }
}
