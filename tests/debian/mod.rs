//! A machine whose sendmail is smail, for the programs that Debian has.
//!
//! Promise: a namespace of its own for mounts, processes and the host name; the real machine's
//! settings, spools, programs and services are neither changed nor, where they could run a job or
//! send a mail, read. Whatever was started in it ends with it. Needs root.
mod jobs;
pub(crate) mod letter;
mod watchers;
mod writers;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use letter::Letter;

use crate::support::obstacle;
use crate::support::sandbox::{Outcome, Run, Sandbox};
use crate::support::sink::{Mail, Options, Place, Sink};

/// How long a daemon may take to do what it was asked to do at once.
const PATIENCE: Duration = Duration::from_secs(20);
/// All that a service finds in its environment.
const SERVICE: [&str; 2] = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"];
/// What root has more.
const LOGIN: [&str; 3] = ["HOME=/root", "LOGNAME=root", "USER=root"];

/// A machine called `box`, in the domain `x.example`; mail for `root` goes to `admin@x.example`.
pub(crate) struct Machine {
    sandbox: Sandbox,
    holder: Child,
    syslog: UnixDatagram,
    server: Sink,
}

impl Machine {
    /// Starts one, unless this test's program or what a machine takes is missing here, which is
    /// said.
    pub(crate) fn for_program(program: &str) -> Option<Machine> {
        Machine::with_server(program, Options::new())
    }

    /// The same, and the mail server is as the options say.
    pub(crate) fn with_server(program: &str, server: Options) -> Option<Machine> {
        let absent = || {
            (!Path::new(program).exists())
                .then_some("it is not installed; tests/install.sh installs it")
        };
        (!obstacle::stops(program, obstacle().or_else(absent))).then(|| Machine::start(server))
    }

    fn start(server: Options) -> Machine {
        let place = Place::reserve();
        let config = format!("smtp = \"smtp://127.0.0.1:{}\"\n", place.port());
        let sandbox = Sandbox::for_binary(Path::new("/usr/bin/nsenter"));
        let dir = sandbox.path("machine");
        fs::create_dir(&dir).unwrap();
        let mut holder = Command::new("unshare")
            .args([
                "-m",
                "-u",
                "-p",
                "-f",
                "--kill-child",
                "--mount-proc",
                "--propagation",
                "private",
                "--",
            ])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/debian/machine.sh"))
            .arg(&dir)
            .arg(env!("CARGO_BIN_EXE_smail"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n", "no machine");
        let log = format!("/proc/{}/root/dev/log", holder.id());
        let syslog = UnixDatagram::bind(&log).unwrap();
        fs::set_permissions(&log, fs::Permissions::from_mode(0o666)).unwrap();
        syslog
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let machine = Machine {
            sandbox,
            holder,
            syslog,
            server: server.start_at(place),
        };
        machine.write("/etc/smail/config.toml", &config, 0o644);
        machine
    }

    /// A path of the machine, as the test sees it.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.holder.id()))
    }

    /// Writes a file of root's.
    pub(crate) fn write(&self, path: &str, content: &str, mode: u32) {
        let path = self.inside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Adds to a file.
    pub(crate) fn append(&self, path: &str, content: &str) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.inside(path))
            .unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    /// Gives a file to a user and a group of the machine.
    pub(crate) fn give(&self, path: &str, user: &str, group: &str) {
        chown(
            self.inside(path),
            Some(self.id("passwd", user, 2)),
            Some(self.id("group", group, 2)),
        )
        .unwrap();
    }

    /// Lets a group read a file of root's, and nobody else.
    pub(crate) fn share(&self, path: &str, group: &str) {
        self.give(path, "root", group);
        fs::set_permissions(self.inside(path), fs::Permissions::from_mode(0o640)).unwrap();
    }

    /// A number in the row of a name in one of the machine's tables of users and groups.
    fn id(&self, table: &str, name: &str, column: usize) -> u32 {
        let text = fs::read_to_string(self.inside("/etc").join(table)).unwrap();
        let row = text
            .lines()
            .map(|row| row.split(':').collect::<Vec<_>>())
            .find(|row| row[0] == name);
        row.unwrap_or_else(|| panic!("no {name} in {table}"))[column]
            .parse()
            .unwrap()
    }

    /// Prepares a program, as root in root's home.
    pub(crate) fn call(&self, words: &[&str]) -> Run<'_> {
        self.call_under(&[&["env", "-C", "/root"], &LOGIN[..]].concat(), words)
    }

    /// Prepares a program as systemd starts it: as root, in the directory `/`, with hardly an
    /// environment.
    pub(crate) fn service(&self, words: &[&str]) -> Run<'_> {
        self.call_under(&[], words)
    }

    /// Prepares a program as a user without other groups, in the directory `/`, with root's
    /// environment: as what gave its rights up.
    pub(crate) fn call_as(&self, user: &str, words: &[&str]) -> Run<'_> {
        let group = self.id("passwd", user, 3).to_string();
        let wrapper = [
            "setpriv",
            "--reuid",
            user,
            "--regid",
            &group,
            "--clear-groups",
            "env",
        ];
        self.call_under(&[&wrapper[..], &LOGIN].concat(), words)
    }

    fn call_under(&self, wrapper: &[&str], words: &[&str]) -> Run<'_> {
        let of = |name: &str| format!("/proc/{}/ns/{name}", self.holder.id());
        let spaces = [
            format!("--mount={}", of("mnt")),
            format!("--uts={}", of("uts")),
            format!("--pid={}", of("pid_for_children")),
        ];
        let mut all: Vec<&str> = spaces.iter().map(String::as_str).collect();
        all.extend(["--", "env", "-i", "-C", "/"]);
        all.extend(SERVICE);
        all.extend(wrapper);
        all.extend(words);
        self.sandbox.smail(&all)
    }

    /// Runs a program that has to be content and say nothing, and gives the one mail it sent.
    pub(crate) fn silent(&self, run: Run<'_>) -> Letter {
        content(&run.run(), "");
        self.letter()
    }

    /// The one mail that was sent. Nothing waits any more.
    pub(crate) fn letter(&self) -> Letter {
        let letter = Letter::of(self.server.only_mail());
        let list = self.call(&["mailq"]).run();
        assert_eq!(
            (list.status, list.stdout.as_str()),
            (0, "Mail queue is empty\n")
        );
        letter
    }

    /// Waits for that many mails of a daemon's.
    pub(crate) fn await_letters(&self, count: usize) -> Vec<Letter> {
        self.server
            .wait_for_mails(count)
            .into_iter()
            .map(Letter::of)
            .collect()
    }

    /// The mails as the server took them.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.server.mails()
    }

    /// Waits until the system's log has these words in a line; gives all lines until then.
    pub(crate) fn await_log(&self, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut lines = String::new();
        let mut line = [0; 4096];
        while !lines.contains(words) {
            assert!(Instant::now() < end, "no {words:?} in the log:\n{lines}");
            if let Ok(length) = self.syslog.recv(&mut line) {
                lines.push_str(
                    String::from_utf8_lossy(&line[..length]).trim_end_matches(['\0', '\n']),
                );
                lines.push('\n');
            }
        }
        lines
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The end of its input ends process 1, and with it every other.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// The program ended well, and said this on its standard output and nothing else.
pub(crate) fn content(outcome: &Outcome, said: &str) {
    let all = (
        outcome.status,
        outcome.stdout.as_str(),
        outcome.stderr.as_str(),
    );
    assert_eq!(all, (0, said, ""));
}

/// Why there can be no machine here.
fn obstacle() -> Option<&'static str> {
    if let Some(why) = obstacle::without_root() {
        return Some(why);
    }
    let words = [
        "-m",
        "--propagation",
        "private",
        "mount",
        "-t",
        "overlay",
        "-o",
        "lowerdir=/etc:/usr",
        "none",
        "/mnt",
    ];
    let tried = Command::new("unshare")
        .args(words)
        .stderr(Stdio::null())
        .status();
    (!tried.is_ok_and(|status| status.success())).then_some("this machine lets us mount no overlay")
}
