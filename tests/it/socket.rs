//! Mail by a unix socket: a user without any password, a service that alone has it, and the socket
//! in between, served as systemd serves it (`Accept=yes`: each connection is standard input and
//! output of a process of another user).
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::sandbox::{Sandbox, entries_in};
use crate::support::sink::{Options, Place, Sink};

/// Who serves, and who sends. Without root both are the user of the test.
const SERVICE: u32 = 54_321;
const USER: u32 = 54_322;

/// A host with a service behind a socket, which listens until this is dropped.
struct Host {
    sandbox: Sandbox,
    smail: PathBuf,
    /// Ended by its number when the host is; a service that hangs would outlive the test.
    served: Arc<Mutex<Vec<Child>>>,
}

impl Host {
    /// `settings` are those of the service.
    fn new(settings: &str) -> Self {
        let sandbox = Sandbox::new();
        let smail = sandbox.copy_program(Path::new(env!("CARGO_BIN_EXE_smail")), "smail");
        fs::set_permissions(sandbox.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        sandbox.write("service/.config/smail/config.toml", settings);
        let socket = sandbox.path("submit");
        sandbox.write(
            "home/.config/smail/config.toml",
            format!("smtp = \"unix:{}\"\n", socket.display()),
        );
        give(&sandbox.path("service"), SERVICE, 0o700);
        give(&sandbox.path("home"), USER, 0o700);
        give(&sandbox.path("run"), USER, 0o777);
        Host {
            sandbox,
            smail,
            served: Arc::default(),
        }
    }

    /// The same with a server that wants the password of the service.
    fn before(sink: &Sink) -> Self {
        let settings = format!(
            "smtp = \"127.0.0.1:{}\"\ntls = \"none\"\nauth-user = \"host@a.example\"\nauth-password = \"s3cret-pw\"\nfrom = \"Host <host@a.example>\"\nlog = \"~/log\"\ntimeout = \"10s\"\n",
            sink.port()
        );
        Host::new(&settings)
    }

    fn socket(&self) -> PathBuf {
        self.sandbox.path("submit")
    }

    fn queue(&self) -> PathBuf {
        self.sandbox.path("service/.local/state/smail")
    }

    fn command(&self, home: &str, user: u32, args: &[&str]) -> Command {
        let mut command = Command::new(&self.smail);
        command
            .args(args)
            .env_clear()
            .current_dir("/")
            .stderr(Stdio::piped());
        command
            .env("HOME", self.sandbox.path(home))
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8");
        command
            .env("TMPDIR", self.sandbox.path("run"))
            .env("MAILX_NO_SYSTEM_RC", "1")
            .env("USER", "tester");
        if rustix::process::geteuid().is_root() {
            command.uid(user).gid(user);
        }
        command
    }

    /// Listens as the socket unit does, and starts the service for each connection.
    fn listen(&self) -> &Self {
        let listener = UnixListener::bind(self.socket()).unwrap();
        fs::set_permissions(self.socket(), fs::Permissions::from_mode(0o666)).unwrap();
        let served = Arc::clone(&self.served);
        let mut command = self.command("service", SERVICE, &["--as", "sendmail", "-bs"]);
        let journal = self.sandbox.path("service/journal");
        thread::spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                let output = connection.try_clone().unwrap();
                command
                    .stdin(OwnedFd::from(connection))
                    .stdout(OwnedFd::from(output));
                let child = command
                    .stderr(fs::File::create(&journal).unwrap())
                    .spawn()
                    .unwrap();
                // Ours must not stay open until the next connection comes.
                command.stdin(Stdio::null()).stdout(Stdio::null());
                served.lock().unwrap().push(child);
            }
        });
        self
    }

    /// A user's `smail`, with the words on standard input: status and standard error.
    fn user(&self, args: &[&str]) -> (i32, String) {
        finish(self.command("home", USER, args))
    }

    fn service(&self, args: &[&str]) -> (i32, String) {
        finish(self.command("service", SERVICE, args))
    }

    /// Waits until every process of the service has ended.
    fn settle(&self) {
        for child in self.served.lock().unwrap().iter_mut() {
            child.wait().unwrap();
        }
    }

    /// A client that writes what it likes.
    fn client(&self) -> Client {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut client = Client(BufReader::new(stream));
        assert_eq!(client.line().get(..4), Some("220 "));
        client
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for child in self.served.lock().unwrap().iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct Client(BufReader<UnixStream>);

impl Client {
    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

fn give(path: &Path, user: u32, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(path, Some(user), Some(user)).unwrap();
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            let mode = entry.metadata().unwrap().mode();
            if entry.file_type().unwrap().is_dir() {
                give(&entry.path(), user, mode & 0o7777);
            } else {
                chown(entry.path(), Some(user), Some(user)).unwrap();
            }
        }
    }
}

fn finish(mut command: Command) -> (i32, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(b"the words\n");
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(text).unwrap(),
    )
}

fn silent() -> (i32, String) {
    (0, String::new())
}

fn sink() -> Options {
    Options::new().login("host@a.example", "s3cret-pw")
}

#[test]
fn a_user_without_a_password_sends_with_that_of_the_service() {
    let sink = sink().start();
    let host = Host::before(&sink);
    let sent = host
        .listen()
        .user(&["-r", "me@a.example", "-s", "subj", "you@x.example"]);
    assert_eq!(sent, silent());
    let mail = sink.wait_for_mails(1).remove(0);
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("me@a.example", &["you@x.example".to_owned()][..])
    );
    assert_eq!(mail.user.as_deref(), Some("host@a.example"));
    assert!(
        mail.text().contains("Subject: subj\r\n") && mail.text().ends_with("\r\n\r\nthe words\r\n"),
        "{}",
        mail.text()
    );
    host.settle();
    assert_eq!(
        (entries_in(&host.queue()), host.sandbox.entries()),
        (vec![], vec![])
    );
    // Who sent it is what the kernel says.
    let log = fs::read_to_string(host.sandbox.path("service/log")).unwrap();
    let user = if rustix::process::geteuid().is_root() {
        "smail/54322"
    } else {
        "smail/"
    };
    assert!(
        log.lines().count() == 2 && log.contains(&format!(" caller={user}")),
        "{log}"
    );
}

#[test]
fn sendmail_goes_by_the_socket_too_and_many_at_once() {
    let sink = sink().start();
    let host = Host::before(&sink);
    host.listen();
    thread::scope(|scope| {
        for number in 0..8 {
            let (host, to) = (&host, format!("r{number}@x.example"));
            scope.spawn(move || {
                let words = ["--as", "sendmail", "-i", "-f", "me@a.example", &to];
                assert_eq!(host.user(&words), silent());
            });
        }
    });
    host.settle();
    let mut to: Vec<String> = sink
        .wait_for_mails(8)
        .into_iter()
        .flat_map(|mail| mail.to)
        .collect();
    to.sort();
    assert_eq!(
        to,
        (0..8)
            .map(|number| format!("r{number}@x.example"))
            .collect::<Vec<_>>()
    );
}

#[test]
fn what_the_service_cannot_send_now_waits_with_the_service() {
    let place = Place::reserve();
    let settings = |port| {
        format!(
            "smtp = \"127.0.0.1:{port}\"\ntls = \"none\"\nfrom = \"host@a.example\"\nlog = \"none\"\ntimeout = \"10s\"\n"
        )
    };
    let host = Host::new(&settings(place.port()));
    host.listen();
    assert_eq!(
        host.user(&["-r", "me@a.example", "you@x.example"]),
        silent()
    );
    host.settle();
    assert_eq!(
        (entries_in(&host.queue()).len(), host.sandbox.entries()),
        (1, vec![])
    );
    let sink = Options::new().start_at(place);
    assert_eq!(
        host.service(&["--flush", &entries_in(&host.queue())[0]]),
        silent()
    );
    assert_eq!(sink.only_mail().to, ["you@x.example"]);
}

#[test]
fn a_socket_that_cannot_be_used_says_why_and_the_remedy() {
    let host = Host::new("");
    let path = host.socket().display().to_string();
    let config = host
        .sandbox
        .path("home/.config/smail/config.toml")
        .display()
        .to_string();
    let refused = |why: &str, meaning: &str, action: &str| {
        format!(
            "smail: cannot connect to {path} (no TLS)\n  unix:{path}: {why}\n  this means: {meaning}\n  smtp: set in {config}:1\n\nhint: {action}\n"
        )
    };
    let send = || host.user(&["--no-queue", "-r", "me@a.example", "you@x.example"]);
    let missing = refused(
        "no such file or directory",
        "there is no such socket on this host: the service that listens on it is not set up or was stopped",
        "run systemctl enable --now smail.socket, or correct the path in `smtp`",
    );
    assert_eq!(send(), (75, missing));
    let listener = UnixListener::bind(host.socket()).unwrap();
    drop(listener);
    fs::set_permissions(host.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let idle = refused(
        "connection refused",
        "the socket exists but no service is listening on it: its service has ended",
        "run systemctl restart smail.socket, or start the server again",
    );
    assert_eq!(send(), (75, idle));
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(host.socket(), fs::Permissions::from_mode(0o600)).unwrap();
        let denied = refused(
            "permission denied",
            "this user may not use the socket",
            "ask to join the group that ls -l shows for the socket (SocketGroup= of its unit); a new group takes effect at the next login",
        );
        assert_eq!(send(), (75, denied));
    }
}

#[test]
fn mail_never_goes_in_a_circle() {
    let host = Host::new("");
    let settings = format!(
        "smtp = \"unix:{}\"\nfrom = \"host@a.example\"\nlog = \"none\"\n",
        host.socket().display()
    );
    fs::write(
        host.sandbox.path("service/.config/smail/config.toml"),
        settings,
    )
    .unwrap();
    let (status, said) = host
        .listen()
        .user(&["--no-queue", "-r", "me@a.example", "you@x.example"]);
    assert_eq!(status, 75, "{said}");
    assert_eq!(entries_in(&host.queue()), Vec::<String>::new());
    host.settle();
    let journal = fs::read_to_string(host.sandbox.path("service/journal")).unwrap();
    let path = host.socket().display().to_string();
    // Another user learns nothing of the settings of the service.
    if rustix::process::geteuid().is_root() {
        assert!(
            said.contains("451 4.3.5 Cannot accept mail now; see the log of the service"),
            "{said}"
        );
        let line = format!(
            "sendmail: mail would loop: smtp is set to {path}, the socket that this message came through (hint: set a different smtp for the user of this service)\n"
        );
        assert_eq!(journal, line);
    }
}

#[test]
fn a_client_that_says_nothing_is_let_go() {
    let host = Host::new(
        "smtp = \"127.0.0.1:9\"\nfrom = \"host@a.example\"\nlog = \"none\"\ntimeout = \"500ms\"\n",
    );
    host.listen();
    let gone = "421 4.4.2 Timed out waiting for input; closing the connection\r\n";
    assert_eq!(host.client().rest(), gone);
    let mut half = host.client();
    half.say("EHLO ");
    assert_eq!(half.rest(), gone);
    let mut text = host.client();
    text.say("MAIL FROM:<me@a.example>\r\nRCPT TO:<you@x.example>\r\nDATA\r\n");
    let replies: Vec<String> = (0..3).map(|_| text.line()).collect();
    assert_eq!(
        replies.iter().map(|line| &line[..3]).collect::<Vec<_>>(),
        ["250", "250", "354"]
    );
    text.say("Subject: half\r\n");
    assert_eq!(text.rest(), gone);
    host.settle();
    assert_eq!(entries_in(&host.queue()), Vec::<String>::new());
}

#[test]
fn a_client_that_has_gone_or_reads_nothing_ends_the_service() {
    let host = Host::new(
        "smtp = \"127.0.0.1:9\"\nfrom = \"host@a.example\"\nlog = \"none\"\ntimeout = \"500ms\"\n",
    );
    host.listen();
    drop(host.client());
    let mut half = host.client();
    half.say("MAIL FROM:<me@a.example>\r\nRCPT TO:<you@x.example>\r\nDATA\r\nSubject: half\r\n");
    drop(half);
    let mut deaf = host.client();
    deaf.0
        .get_mut()
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // It writes until nobody takes it any more, and reads no answer.
    while deaf
        .0
        .get_mut()
        .write_all("NOOP\r\n".repeat(2000).as_bytes())
        .is_ok()
    {}
    host.settle();
    assert_eq!(entries_in(&host.queue()), Vec::<String>::new());
}

#[test]
fn a_client_at_a_socket_may_not_send_without_limit() {
    let host = Host::new("smtp = \"127.0.0.1:9\"\nfrom = \"host@a.example\"\nlog = \"none\"\n");
    let mut client = host.listen().client();
    client.say("EHLO me\r\n");
    let offers: Vec<String> = (0..8).map(|_| client.line()).collect();
    assert!(
        offers.contains(&"250-SIZE 67108864".to_owned()),
        "{offers:?}"
    );
    client.say("MAIL FROM:<me@a.example> SIZE=67108865\r\n");
    assert_eq!(client.line().get(..9), Some("552 5.3.4"));
}

#[test]
fn a_socket_that_listens_is_no_connection() {
    let host = Host::new("smtp = \"127.0.0.1:9\"\n");
    let listener = UnixListener::bind(host.socket()).unwrap();
    let mut command = host.command("service", SERVICE, &["--as", "sendmail", "-bs"]);
    let output = command
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .output()
        .unwrap();
    let said = "sendmail: standard input is a listening socket; expected a connection (hint: set Accept=yes in the socket unit)\n";
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap().as_str()
        ),
        (Some(78), said)
    );
    assert_eq!(output.stdout, b"");
}

#[test]
fn this_host_may_come_by_its_loopback_address() {
    let sink = Options::new().start();
    let settings = format!(
        "smtp = \"127.0.0.1:{}\"\ntls = \"none\"\nfrom = \"host@a.example\"\nlog = \"none\"\n",
        sink.port()
    );
    let host = Host::new(&settings);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let served = listener.accept().unwrap().0;
    let mut command = host.command("service", SERVICE, &["--as", "sendmail", "-bs"]);
    let output = OwnedFd::from(served.try_clone().unwrap());
    let mut child = command
        .stdin(Stdio::from(OwnedFd::from(served)))
        .stdout(Stdio::from(output))
        .spawn()
        .unwrap();
    drop(command);
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    client
        .write_all(
            b"MAIL FROM:<me@a.example>\r\nRCPT TO:<you@x.example>\r\nDATA\r\nSubject: s\r\n\r\nx\r\n.\r\nQUIT\r\n",
        )
        .unwrap();
    let mut replies = String::new();
    client.read_to_string(&mut replies).unwrap();
    assert!(replies.ends_with("221 2.0.0 Bye\r\n"), "{replies}");
    assert_eq!(sink.wait_for_mails(1)[0].to, ["you@x.example"]);
    assert!(child.wait().unwrap().success());
}
