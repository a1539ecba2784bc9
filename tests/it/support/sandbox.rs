//! An isolated place to run smail in: its own home, settings and working directory, and an environment
//! that holds nothing of the machine.
//!
//! Promise: a run ends within its time limit (the process is killed and the test fails), and its
//! whole output is kept. A run sends without the queue unless the test asks for it
//! ([`Run::queued`]): `CI` is set.
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::certs::certs;

/// How long one run of smail may take unless the test says otherwise.
const LIMIT: Duration = Duration::from_secs(20);

/// A temporary directory that is all a run of smail knows of the world.
pub(crate) struct Sandbox {
    dir: TempDir,
    binary: PathBuf,
}

impl Sandbox {
    /// Makes an empty world for the smail that the tests were built with.
    pub(crate) fn new() -> Self {
        // An example of the same package includes this file too, and cargo names the binary to
        // tests only.
        let Some(binary) = option_env!("CARGO_BIN_EXE_smail") else {
            panic!("only a test knows the binary by itself")
        };
        Sandbox::for_binary(Path::new(binary))
    }

    /// Makes an empty world for another program.
    pub(crate) fn for_binary(binary: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("smail-test-")
            .tempdir()
            .unwrap();
        for name in [
            "home",
            "home/.config",
            "home/.local/state",
            "home/.cache",
            "run",
            "bin",
        ] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        Sandbox {
            dir,
            binary: binary.to_owned(),
        }
    }

    /// A path in this world; `home/…` is the home, everything else lies in the working directory.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Writes a private file (mode 0600), making its directories.
    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.write_mode(relative, content, 0o600)
    }

    /// Writes a program for this world.
    pub(crate) fn write_program(&self, relative: &str, content: &str) -> PathBuf {
        self.write_mode(relative, content, 0o700)
    }

    /// Writes a file with the given mode, making its directories.
    pub(crate) fn write_mode(
        &self,
        relative: &str,
        content: impl AsRef<[u8]>,
        mode: u32,
    ) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if mode & 0o111 != 0 {
            install(Path::new("/dev/stdin"), &path, mode, content.as_ref());
            return path;
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&path)
            .unwrap();
        file.write_all(content.as_ref()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Copies a program into this world, executable for all.
    pub(crate) fn copy_program(&self, from: &Path, relative: &str) -> PathBuf {
        let path = self.path(relative);
        install(from, &path, 0o755, b"");
        path
    }

    /// Reads a file of this world; `None` when there is none.
    pub(crate) fn read(&self, relative: &str) -> Option<Vec<u8>> {
        fs::read(self.path(relative)).ok()
    }

    /// Writes the certificate `name` (and `NAME.key`) of the test authority and gives the
    /// certificate's path back.
    pub(crate) fn pem(&self, name: &str) -> PathBuf {
        let pair = certs().pair(name);
        self.write(&format!("{name}.key"), pair.key_pem());
        self.write(&format!("{name}.pem"), pair.cert_pem())
    }

    /// Prepares a run of smail.
    pub(crate) fn smail<S: AsRef<OsStr>>(&self, args: &[S]) -> Run<'_> {
        self.prepare(&self.binary, args)
    }

    /// Prepares a run of smail under another program (`strace …`, `sh -c …`), which gets smail's
    /// path and arguments behind its own.
    pub(crate) fn under<S: AsRef<OsStr>>(&self, wrapper: &[&str], args: &[S]) -> Run<'_> {
        let mut run = self.prepare(Path::new(wrapper[0]), &wrapper[1..]);
        run.command.arg(&self.binary).args(args);
        run
    }

    /// The same for smail under another name, as [`Sandbox::as_name`] gives it.
    pub(crate) fn under_as<S: AsRef<OsStr>>(
        &self,
        wrapper: &[&str],
        name: &str,
        args: &[S],
    ) -> Run<'_> {
        let mut run = self.prepare(Path::new(wrapper[0]), &wrapper[1..]);
        run.command.arg(self.link(name)).args(args);
        run
    }

    /// Prepares a run of another program, which may start smail.
    pub(crate) fn program(&self, words: &[&str]) -> Run<'_> {
        self.prepare(Path::new(words[0]), &words[1..])
    }

    /// Where this world's mail waits unless a setting says otherwise.
    pub(crate) fn queue_dir(&self) -> PathBuf {
        self.path("home/.local/state/smail")
    }

    /// The ids of the mails that wait, sorted.
    pub(crate) fn entries(&self) -> Vec<String> {
        entries_in(&self.queue_dir())
    }

    /// The names in a directory of the queue (`q`, `failed`, `corrupt`), sorted; none when it does not
    /// exist.
    pub(crate) fn queue_names(&self, dir: &str) -> Vec<String> {
        names_in(&self.queue_dir().join(dir))
    }

    /// The lines of an entry's journal; none when it has none.
    pub(crate) fn journal(&self, id: &str) -> Vec<String> {
        let path = self.queue_dir().join("q").join(format!("{id}.log"));
        fs::read_to_string(path)
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Prepares a run of smail under another name (`mailx`, `sendmail`), as a symbolic link would
    /// give it.
    pub(crate) fn as_name<S: AsRef<OsStr>>(&self, name: &str, args: &[S]) -> Run<'_> {
        self.prepare(&self.link(name), args)
    }

    /// A symbolic link to smail, in `bin`.
    pub(crate) fn link(&self, name: &str) -> PathBuf {
        let link = self.path("bin").join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(&self.binary, &link).unwrap();
        }
        link
    }

    fn prepare<S: AsRef<OsStr>>(&self, program: &Path, args: &[S]) -> Run<'_> {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.dir.path()).env_clear();
        let home = self.path("home");
        command.env("XDG_CONFIG_HOME", home.join(".config"));
        command.env("XDG_STATE_HOME", home.join(".local/state"));
        command.env("XDG_CACHE_HOME", home.join(".cache"));
        command.env("XDG_RUNTIME_DIR", self.path("run"));
        command
            .env("HOME", home)
            .env("TMPDIR", self.path("run"))
            .env("PATH", "/usr/bin:/bin");
        command
            .env("USER", "tester")
            .env("LOGNAME", "tester")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
        // s-nail's own way to leave the system's mail.rc out: the machine that runs the tests may
        // have one.
        command.env("MAILX_NO_SYSTEM_RC", "1");
        command.env("CI", "true");
        Run {
            sandbox: self,
            command,
            input: Vec::new(),
            file: None,
            limit: LIMIT,
        }
    }
}

/// What runs a program after a script with mounts that nobody else sees; `exec "$@"` ends the
/// script. Wants root.
pub(crate) fn with_mounts(script: &str) -> [&str; 8] {
    let propagation = "private";
    [
        "unshare",
        "-m",
        "--propagation",
        propagation,
        "sh",
        "-c",
        script,
        "sh",
    ]
}

/// Makes a program by another process: one that is open for writing here is for a moment open for
/// writing in every process that another thread starts, and cannot be executed (`ETXTBSY`).
fn install(from: &Path, to: &Path, mode: u32, input: &[u8]) {
    let mut child = Command::new("/usr/bin/install")
        .args(["-m", &format!("{mode:o}")])
        .args([from, to])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    assert!(child.wait().unwrap().success());
}

/// The ids of the mails that wait in a queue directory, sorted.
pub(crate) fn entries_in(queue: &Path) -> Vec<String> {
    names_in(&queue.join("q"))
        .iter()
        .filter_map(|name| name.strip_suffix(".msg"))
        .map(str::to_owned)
        .collect()
}

/// The names in a directory, sorted; none when it does not exist.
pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A run that is being prepared.
pub(crate) struct Run<'w> {
    sandbox: &'w Sandbox,
    command: Command,
    input: Vec<u8>,
    file: Option<fs::File>,
    limit: Duration,
}

impl Run<'_> {
    /// What standard input holds; empty without it.
    #[must_use]
    pub(crate) fn stdin(mut self, input: impl AsRef<[u8]>) -> Self {
        self.input = input.as_ref().to_vec();
        self
    }

    /// Gives it an open file, or a device, as standard input in place of a pipe.
    #[must_use]
    pub(crate) fn stdin_file(mut self, file: fs::File) -> Self {
        self.file = Some(file);
        self
    }

    /// Adds an argument, in any bytes.
    #[must_use]
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub(crate) fn args_of(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes a variable out of the environment.
    #[must_use]
    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Takes the mail into the queue first, as smail does wherever `CI` is not set.
    #[must_use]
    pub(crate) fn queued(self) -> Self {
        self.without_env("CI")
    }

    /// Allows another time than 20 seconds.
    #[must_use]
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The command as it is, for a test that starts it otherwise.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    /// Runs to the end.
    pub(crate) fn run(self) -> Outcome {
        self.start().finish()
    }

    /// Runs to the end with a terminal as standard error, which `TERM` calls an xterm unless the
    /// test says otherwise.
    pub(crate) fn at_terminal(mut self) -> Outcome {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        let name = ptsname(&near, Vec::new()).unwrap().into_string().unwrap();
        let noctty = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
        let far = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(noctty)
            .open(name)
            .unwrap();
        if !self.command.get_envs().any(|(name, _)| name == "TERM") {
            self.command.env("TERM", "xterm");
        }
        self.command.stderr(far);
        // Once the last far end is closed, reading the near one fails; that is the end of what was
        // shown.
        let shown = collect(fs::File::from(near));
        let mut running = self.start_with_stderr();
        running.stderr = shown;
        running.finish()
    }

    /// Starts, for a test that does something meanwhile.
    pub(crate) fn start(mut self) -> Running {
        self.command.stderr(Stdio::piped());
        self.start_with_stderr()
    }

    /// Starts with the standard error that was chosen.
    fn start_with_stderr(mut self) -> Running {
        self.command
            .stdin(self.file.map_or_else(Stdio::piped, Stdio::from))
            .stdout(Stdio::piped());
        let what = Path::new(self.command.get_program()).display().to_string();
        hear_signals();
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let input = self.input;
        if let Some(mut stdin) = child.stdin.take() {
            // The program may end without reading: a broken pipe is its right.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let stdout = collect(child.stdout.take().unwrap());
        // The far end of a terminal must not stay open here.
        drop(self.command);
        let stderr = child
            .stderr
            .take()
            .map_or_else(|| mpsc::channel().1, collect);
        let _ = self.sandbox;
        Running {
            child,
            stdout,
            stderr,
            started: Instant::now(),
            limit: self.limit,
        }
    }
}

/// Takes the signals that the caller of the tests has set to be ignored (`nohup`, `&` in a script)
/// out of that state: a program would inherit it, and not end by the signals that a test sends. A
/// handler becomes the default in a child.
fn hear_signals() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored
            .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
            .unwrap_or(0);
        for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM].map(Signal::as_raw) {
            if ignored & (1 << (signal - 1)) != 0 {
                let nobody = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
                signal_hook::flag::register(signal, nobody).unwrap();
            }
        }
    });
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut all = Vec::new();
        let _ = from.read_to_end(&mut all);
        let _ = send.send(all);
    });
    receive
}

/// A run under way. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    started: Instant,
    limit: Duration,
}

impl Running {
    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end and collects the output.
    pub(crate) fn finish(mut self) -> Outcome {
        let left = |started: Instant, limit: Duration| limit.saturating_sub(started.elapsed());
        let stdout = self.stdout.recv_timeout(left(self.started, self.limit));
        let stderr = self.stderr.recv_timeout(left(self.started, self.limit));
        let (Ok(stdout), Ok(stderr)) = (stdout, stderr) else {
            let _ = self.child.kill();
            let said = self
                .stderr
                .recv_timeout(Duration::from_secs(1))
                .unwrap_or_default();
            panic!(
                "still running after {:?}; stderr so far: {}",
                self.limit,
                String::from_utf8_lossy(&said)
            );
        };
        // Both pipes are closed, so the end is a matter of moments.
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                self.started.elapsed() < self.limit,
                "the output was closed, but the process does not end"
            );
            thread::sleep(Duration::from_millis(1));
        };
        Outcome {
            status: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            elapsed: self.started.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What became of a run.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The exit status; 128 and the signal when one ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From the start to the end.
    pub elapsed: Duration,
}

impl Outcome {
    /// What is wrong with this outcome whatever smail was asked to do: a word on stdout or stderr
    /// after plain success, words without its name, a control character, one of `secrets`, or the
    /// status of a crash.
    pub(crate) fn owes(&self, secrets: &[&str]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut claim = |holds: bool, what: &str| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        claim(self.stdout.is_empty(), "stdout is not empty");
        claim(
            self.status != 0 || self.stderr.is_empty(),
            "success is not silent",
        );
        claim(
            self.status == 0 || self.stderr.starts_with("smail: "),
            "stderr does not begin with `smail: `",
        );
        claim(
            !self.stderr.chars().any(|c| c.is_control() && c != '\n'),
            "stderr holds a control character",
        );
        claim(![70, 101, 134, 139].contains(&self.status), "smail broke");
        claim(
            !secrets.iter().any(|secret| self.stderr.contains(secret)),
            "stderr holds a secret",
        );
        wrong
    }
}
