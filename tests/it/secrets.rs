//! Secrets from one end to the other: where a password goes, where it does not, and that none is
//! shown on the way.
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::sandbox::{Outcome, Run, Sandbox};
use crate::support::server::Server;
use crate::support::sink::{Options, Place, Sink};

/// The settings of server B, with the login of `u`.
fn config(sandbox: &Sandbox, port: u16) {
    let text = format!(
        "smtp = \"127.0.0.1:{port}\"\ntls = \"none\"\nauth-user = \"u\"\nauth-password = \"b-s3cret\"\nlog = \"{}\"\n",
        log(sandbox)
    );
    sandbox.write("home/.config/smail/config.toml", text);
}

fn log(sandbox: &Sandbox) -> String {
    sandbox.path("log").display().to_string()
}

/// A mail that goes through the queue.
fn mail<'w>(sandbox: &'w Sandbox, words: &[&str]) -> Run<'w> {
    let all = [words, &["-r", "a@a.example", "-s", "subj", "r1@x.example"]].concat();
    sandbox.smail(&all).stdin("the words\n").queued()
}

fn smail(sandbox: &Sandbox, words: &[&str]) -> Outcome {
    sandbox.smail(words).queued().run()
}

/// The users that logged in, one for each mail that was taken.
fn users(sink: &Sink) -> Vec<String> {
    sink.mails()
        .into_iter()
        .map(|mail| mail.user.unwrap_or_default())
        .collect()
}

/// Whether a client named a user in AUTH, or sent anything after it.
fn logins(sink: &Sink) -> usize {
    sink.dialogue()
        .iter()
        .filter(|line| line.starts_with("C: AUTH"))
        .count()
}

fn last(sandbox: &Sandbox) -> String {
    let outcome = smail(sandbox, &["--queue", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    json[0]["last"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_mail_that_waits_never_goes_with_the_password_of_another_server() {
    let (sandbox, place) = (Sandbox::new(), Place::reserve());
    let b = Options::new().login("u", "b-s3cret").start();
    config(&sandbox, b.port());
    let (smtp, site) = (
        format!("smtp=127.0.0.1:{}", place.port()),
        format!("127.0.0.1:{}", place.port()),
    );
    let a_login = [
        "-S",
        &smtp,
        "-S",
        "auth-user=a",
        "-S",
        "auth-password=a-s3cret",
    ];
    let waits = mail(&sandbox, &a_login).run();
    assert_eq!(
        (waits.status, sandbox.entries().len()),
        (0, 1),
        "{}",
        waits.stderr
    );
    let id = sandbox.entries().remove(0);
    let a = Options::new().login("a", "a-s3cret").start_at(place);
    // Due at once, as another run would find it an hour later.
    let journal = sandbox.queue_dir().join("q").join(format!("{id}.log"));
    fs::remove_file(&journal).unwrap();
    let ordinary = mail(&sandbox, &[]).run();
    assert_eq!((ordinary.status, ordinary.stderr.as_str()), (0, ""));
    assert_eq!(
        (users(&b), logins(&a), sandbox.entries()),
        (vec!["u".to_owned()], 0, vec![id.clone()])
    );
    let why = format!(
        "cannot log in to {site} as a: the password came from auth-password of -S and was not \
        stored"
    );
    assert_eq!(last(&sandbox), why);
    let flush = smail(&sandbox, &["--flush", &id]);
    assert_eq!(
        (flush.status, flush.stderr),
        (75, format!("smail: message {id} is still queued: {why}\n"))
    );
    let told = String::from_utf8(sandbox.read("log").unwrap()).unwrap();
    let line = told.lines().rfind(|line| line.contains(&id)).unwrap();
    assert!(line.contains(&why) && line.contains("deferred"), "{line}");
    assert_eq!((logins(&a), logins(&b)), (0, 1));
    let words: Vec<_> = a_login.iter().copied().chain(["--flush", &id]).collect();
    let flush = smail(&sandbox, &words);
    assert_eq!(
        (flush.status, flush.stderr.as_str(), users(&a)),
        (0, "", vec!["a".to_owned()])
    );
    assert_eq!((users(&b).len(), sandbox.entries().len()), (1, 0));
}

#[test]
fn a_mail_with_a_password_in_a_variable_goes_again_where_the_variable_is() {
    let (sandbox, place) = (Sandbox::new(), Place::reserve());
    let url = format!("smtp://a:a-s3cret@127.0.0.1:{}", place.port());
    let with = |words: &[&str]| {
        sandbox
            .smail(words)
            .queued()
            .env("SMAIL_SMTP", &url)
            .env("SMAIL_TLS", "none")
    };
    let waits = with(&["-r", "a@a.example", "-s", "s", "r1@x.example"])
        .stdin("x\n")
        .run();
    assert_eq!(
        (waits.status, sandbox.entries().len()),
        (0, 1),
        "{}",
        waits.stderr
    );
    let a = Options::new().login("a", "a-s3cret").start_at(place);
    let flush = smail(&sandbox, &["--flush"]);
    assert_eq!((flush.status, logins(&a)), (0, 0), "{}", flush.stderr);
    let id = sandbox.entries().remove(0);
    let flush = smail(&sandbox, &["--flush", &id]);
    assert!(
        flush
            .stderr
            .ends_with("as a: the password came from $SMAIL_SMTP and was not stored\n"),
        "{}",
        flush.stderr
    );
    assert_eq!(flush.status, 75);
    let flush = with(&["--flush", &id]).run();
    assert_eq!(
        (flush.status, flush.stderr.as_str(), users(&a)),
        (0, "", vec!["a".to_owned()])
    );
}

#[test]
fn a_dialogue_and_a_sendmail_call_send_with_the_password_of_their_environment() {
    let (sandbox, a) = (
        Sandbox::new(),
        Options::new().login("a", "a-s3cret").start(),
    );
    let url = format!("smtp://a:a-s3cret@127.0.0.1:{}", a.port());
    let dialogue = "EHLO x\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<r1@x.example>\r\nDATA\r\nSubject: s\r\n\r\nx\r\n.\r\nQUIT\r\n";
    let outcome = sandbox
        .as_name("sendmail", &["-bs"])
        .stdin(dialogue)
        .queued()
        .env("SMAIL_SMTP", &url)
        .env("SMAIL_TLS", "none")
        .run();
    assert_eq!(
        (outcome.status, users(&a)),
        (0, vec!["a".to_owned()]),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
    let call = sandbox
        .as_name("sendmail", &["-f", "a@a.example", "r1@x.example"])
        .stdin("Subject: s\n\nx\n")
        .queued();
    let outcome = call.env("SMAIL_SMTP", &url).env("SMAIL_TLS", "none").run();
    assert_eq!(
        (outcome.status, outcome.stderr.as_str(), users(&a).len()),
        (0, "", 2)
    );
    assert_eq!(sandbox.entries(), [""; 0]);
}

#[test]
fn the_login_of_a_file_does_not_follow_another_server_on_any_road() {
    let (sandbox, a, b) = (
        Sandbox::new(),
        Options::new().login("u", "b-s3cret").start(),
        Options::new().start(),
    );
    config(&sandbox, b.port());
    let (site, home) = (
        format!("127.0.0.1:{}", a.port()),
        format!("127.0.0.1:{}", b.port()),
    );
    let (set, glued) = (format!("smtp={site}"), format!("-Ssmtp={site}"));
    let file = sandbox
        .path("home/.config/smail/config.toml")
        .display()
        .to_string();
    let why =
        format!("cannot log in to {site} as u: auth-password in {file}:4 belongs to u at {home}");
    let ways = format!(
        "\nhint: define an account with its own server, user and password: [accounts.NAME] in config.toml, selected with -A NAME\n\
         hint: or set a separate password: \"auth-password-u@{site}\" in config.toml, or $SMAIL_AUTH_PASSWORD with -S smtp and -S auth-user\n\
         hint: or use -S auth=none to send to {site} without a login\n"
    );
    for words in [&["-S", set.as_str()][..], &[glued.as_str()]] {
        let outcome = mail(&sandbox, words).run();
        assert_eq!(
            (outcome.status, outcome.stderr),
            (77, format!("smail: {why}\n{ways}")),
            "{words:?}"
        );
        let direct = mail(&sandbox, &[words, &["--no-queue"]].concat()).run();
        assert_eq!(
            (direct.status, direct.stderr),
            (77, format!("smail: {why}\n{ways}")),
            "{words:?}"
        );
        let check = smail(&sandbox, &[words, &["--check"]].concat());
        assert_eq!(
            (check.status, check.stderr),
            (77, format!("smail: {why}\n{ways}")),
            "{words:?}"
        );
        let shown = smail(&sandbox, &[words, &["--show-settings"]].concat());
        assert!(
            shown
                .stdout
                .ends_with(&format!("# mail is sent via {why}\n")),
            "{}",
            shown.stdout
        );
    }
    let variable = mail(&sandbox, &[]).env("SMAIL_SMTP", &site).run();
    assert_eq!(
        (variable.status, variable.stderr),
        (77, format!("smail: {why}\n{ways}"))
    );
    let call = sandbox
        .as_name("sendmail", &["-f", "a@a.example", "r1@x.example"])
        .stdin("Subject: s\n\nx\n")
        .queued();
    let outcome = call.env("SMAIL_SMTP", &site).run();
    assert_eq!(outcome.status, 77);
    assert!(
        outcome
            .stderr
            .starts_with(&format!("sendmail: {why} (hint: ")),
        "{}",
        outcome.stderr
    );
    assert_eq!((logins(&a), sandbox.entries()), (0, vec![]));
    let none = mail(&sandbox, &["-S", &set, "-S", "auth=none"]).run();
    assert_eq!(logins(&a), 0, "{}", none.stderr);
}

/// A run whose words, variables or files hold the marker in a place where a secret may stand by
/// mistake.
struct Slip<'a> {
    words: &'a [&'a str],
    variables: &'a [(&'a str, &'a str)],
    toml: &'a str,
    rc: &'a str,
}

const NO_SLIP: Slip<'static> = Slip {
    words: &[],
    variables: &[],
    toml: "",
    rc: "",
};

/// Stands for a secret.
const MARKER: &str = "hunter2marker";

/// URLs with the marker in a password, in every way in which it can be mistyped.
const URLS: &[&str] = &[
    "smtps://u:hunter2marker@h.example",
    "smtps://u:a#hunter2marker@h.example",
    "smtps://u:hunter2marker#a@h.example",
    "smtps://u:a/hunter2marker@h.example",
    "smtps://u:hunter2marker/a@h.example",
    "smtps://u:a?hunter2marker@h.example",
    "smtps://u:a@hunter2marker:x@h.example",
    "smtps://u:a:hunter2marker@h.example:x",
    "smtps://u:hunter2marker@h y",
    "smtps://u:hunter2marker@[::1",
    "smtps://u:hunter2marker",
    "smtps://u:a%hunter2marker@",
    "smtps://u:%FFhunter2marker@h.example",
    "u:hunter2marker",
    "u:a#hunter2marker@h.example",
    "u:a://hunter2marker@h.example",
    "ftp://u:hunter2marker@h.example",
    "socks9://u:hunter2marker@h.example",
    "u:hunter2marker://h.example",
    "file://u:hunter2marker@h.example",
    "smtps://h.example/?password=hunter2marker",
    "smtps://h.example#hunter2marker",
];

/// The ways out, those that matter most first: what a run prints, and what lies in the queue behind
/// it.
const WAYS: &[&[&str]] = &[
    &["-v", "--json", "r1@x.example"],
    &["-d", "-v", "r1@x.example"],
    &["--check", "--json"],
    &["--show-settings", "-v"],
    &["--flush"],
    &["r1@x.example"],
    &["--no-queue", "r1@x.example"],
    &["--check"],
    &["--queue", "--json"],
    &[
        "--setup",
        "me@x.example",
        "--yes",
        "--password-from",
        "true",
    ],
    &["--setup", "--from-mailrc", "--yes"],
];
/// How many of these are tried where there are many slips.
const FEW: usize = 4;

fn everything(slip: &Slip<'_>, ways: &[&[&str]]) -> String {
    let mut all = String::new();
    for way in ways {
        let sandbox = Sandbox::new();
        if !slip.toml.is_empty() {
            sandbox.write("home/.config/smail/config.toml", slip.toml);
        }
        let rc = if slip.rc.is_empty() {
            "set from=a@a.example mta=/bin/false\n"
        } else {
            slip.rc
        };
        sandbox.write("home/.mailrc", rc);
        let words = [slip.words, way].concat();
        let mut run = sandbox
            .smail(&words)
            .queued()
            .stdin("x\n")
            .env("SMAIL_TIMEOUT", "1")
            .env("SMAIL_CONNECT_TO", "127.0.0.1:1");
        for (name, value) in slip.variables {
            run = run.env(name, value);
        }
        let outcome = run.run();
        let _ = write!(
            all,
            "== {way:?}: {}\n{}{}",
            outcome.status, outcome.stdout, outcome.stderr
        );
        for dir in ["q", "failed", "keys"] {
            for name in sandbox.queue_names(dir) {
                let bytes = fs::read(sandbox.queue_dir().join(dir).join(name)).unwrap_or_default();
                all.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }
    let sandbox = Sandbox::new();
    sandbox.write("home/.mailrc", "set mta=/bin/false\n");
    let mut call = sandbox
        .as_name("sendmail", &["-v", "-f", "a@a.example", "r1@x.example"])
        .stdin("Subject: s\n\nx\n")
        .queued();
    for (name, value) in slip.variables {
        call = call.env(name, value);
    }
    let outcome = call.env("SMAIL_CONNECT_TO", "127.0.0.1:1").run();
    all + &outcome.stdout + &outcome.stderr
}

fn kept_to_itself(what: &str, slip: &Slip<'_>, ways: &[&[&str]]) {
    let all = everything(slip, ways);
    let told: Vec<_> = all
        .lines()
        .filter(|line| line.starts_with("== ") || line.contains(MARKER))
        .collect();
    assert!(!all.contains(MARKER), "{what}\n{}", told.join("\n"));
}

#[test]
fn no_url_shows_its_password_wherever_it_stands() {
    let few = &WAYS[..FEW];
    for url in URLS {
        for variable in ["SMAIL_SMTP", "SMAIL_MTA", "SMAIL_PROXY"] {
            kept_to_itself(
                url,
                &Slip {
                    variables: &[(variable, url)],
                    ..NO_SLIP
                },
                few,
            );
        }
        kept_to_itself(
            url,
            &Slip {
                words: &["-S", &format!("smtp={url}")],
                ..NO_SLIP
            },
            few,
        );
    }
}

#[test]
fn no_file_shows_a_url_that_it_holds() {
    for (at, url) in URLS.iter().enumerate() {
        let setting = ["smtp", "mta", "proxy"][at % 3];
        let ways = if at < 3 { WAYS } else { &WAYS[..FEW] };
        let server = if setting == "proxy" {
            "smtp = \"h.example\"\n"
        } else {
            ""
        };
        kept_to_itself(
            url,
            &Slip {
                toml: &format!("{server}{setting} = \"{url}\"\n"),
                ..NO_SLIP
            },
            ways,
        );
        kept_to_itself(
            url,
            &Slip {
                rc: &format!("set from=a@a.example {setting}={url}\n"),
                ..NO_SLIP
            },
            ways,
        );
    }
}

#[test]
fn no_misplaced_secret_is_quoted() {
    let words: &[&[&str]] = &[
        &["-S", "auth-password hunter2marker"],
        &["-S", "auth-password", "hunter2marker"],
        &["-S", "auth-password:hunter2marker"],
        &["-S", "auth-pasword=hunter2marker"],
        &["-S", "smtps://u:hunter2marker@h.example"],
        &["-S", "smtps://u:a=hunter2marker@h.example"],
        &["-S", "connect-to=smtps://u:hunter2marker@h.example"],
        &["-S", "hello-name=smtps://u:hunter2marker@h.example"],
        &["-S", "hostname=u:hunter2marker@h.example"],
        &["-S", "source-address=smtps://u:hunter2marker@h.example"],
        &["-S", "timeout=smtps://u:hunter2marker@h.example"],
        &["-S", "max-size=u:hunter2marker@h.example"],
        &["-S", "tls=smtps://u:hunter2marker@h.example"],
        &["-S", "auth-in-clear=smtps://u:hunter2marker@h.example"],
        &["-S", "provider=smtps://u:hunter2marker@h.example"],
        &["-A", "smtps://u:hunter2marker@h.example"],
        &["-S", "auth-password=hunter2marker\nx"],
        &["-Y", "set smtp-auth-password hunter2marker"],
        &["-Y", "set smtp-auth-password=a hunter2marker"],
        &["--auth-password=hunter2marker"],
        &[
            "-Sauth-password=hunter2marker",
            "-S",
            "smtp=h.example",
            "-S",
            "auth-user=u",
        ],
    ];
    for words in words {
        kept_to_itself(&format!("{words:?}"), &Slip { words, ..NO_SLIP }, WAYS);
    }
    let variables: &[(&str, &str)] = &[
        ("SMAIL_AUTH_PASSWORD", "hunter2marker\nx"),
        ("SMAIL_AUTH_PASSWORD", "hunter2marker"),
        ("SMAIL_AUTH_PASWORD", "hunter2marker"),
        ("SMAIL_AUTH_PASSWORD_COMMAND", "pass 'hunter2marker"),
        ("smtp-auth-password", "hunter2marker"),
        ("SMAIL_CONNECT_TO", "u:hunter2marker@h.example"),
    ];
    for variable in variables {
        let server = [
            ("SMAIL_SMTP", "h.example"),
            ("SMAIL_AUTH_USER", "u"),
            *variable,
        ];
        kept_to_itself(
            &format!("{variable:?}"),
            &Slip {
                variables: &server,
                ..NO_SLIP
            },
            WAYS,
        );
    }
}

#[test]
fn no_line_of_a_file_is_quoted_that_may_hold_a_secret() {
    let tomls = [
        "auth-password = hunter2marker\n",
        "auth-password = \"hunter2marker\n",
        "auth-password = 'hunter2marker\n",
        "auth-password = \"a\" hunter2marker\n",
        "auth-password = \"a\"hunter2marker\"\n",
        "auth-password = \"a\\hunter2marker\"\n",
        "auth-password\nhunter2marker\n",
        "auth-password =\n\"hunter2marker\"\n",
        "auth-password = [\"hunter2marker\"]\n",
        "auth-password = { a = \"hunter2marker\" }\n",
        "auth-password: hunter2marker\n",
        "\"auth-password hunter2marker\" = true\n",
        "\"smtps://u:hunter2marker@h\" = true\n",
        "auth-password = \"\"\"\nhunter2marker\n\"\"\"\n",
        "auth-password = \"hunter2marker\"\nauth-password = \"hunter2marker\"\n",
        "auth-password = 0xhunter2marker\n",
        "auth-password = 1979-hunter2marker\n",
        "[accounts.a]\nauth-password = \"hunter2marker\nsmtp = \"h\"\n",
        "[aliases]\na = hunter2marker\n",
        "headers = { a = hunter2marker }\n",
    ];
    for toml in tomls {
        kept_to_itself(toml, &Slip { toml, ..NO_SLIP }, WAYS);
    }
    let rcs = [
        "set smtp-auth-password=a hunter2marker\n",
        "set v15-compat smtp-auth-password=a hunter2marker\n",
        "set v15-compat=yes\nset smtp-auth-password=a hunter2marker\n",
        "set v15-compat=yes\nset smtp-auth-password=a hunter2marker=b\n",
        "set v15-compat=yes\nset smtp-auth-password=a nohunter2marker\n",
        "set v15-compat=yes\nset smtp-auth-password hunter2marker\n",
        "set smtp-auth-password hunter2marker\n",
        "set smtp-auth-password=a hunter2marker=b\n",
        "set smtp-auth-password=a nohunter2marker=b\n",
        "set smtp-auth-password='a\nhunter2marker\n",
        "set smtp-auth-password=\"a\nhunter2marker x\"\n",
        "set v15-compat=yes\nset smtp-auth-password='a hunter2marker\n",
        "set v15-compat=yes\nset smtp-auth-password=a; hunter2marker\n",
        "wysh set smtp-auth-password=a hunter2marker\n",
        "smtp-auth-password=hunter2marker\n",
        "set smtp=smtps://u:a hunter2marker@h.example\n",
        "account a {\n set smtp-auth-password=a hunter2marker\n}\n",
        "if hunter2marker\nendif\n",
        "set \"smtp-auth-password hunter2marker\"\n",
        "set smtp-auth-password:hunter2marker\n",
    ];
    for rc in rcs {
        let rc = format!("set from=a@a.example mta=/bin/false\n{rc}");
        kept_to_itself(&rc, &Slip { rc: &rc, ..NO_SLIP }, WAYS);
    }
}

#[test]
fn no_netrc_is_quoted() {
    let sandbox = Sandbox::new();
    for (netrc, mode) in [
        ("machine h.example login u password hunter2marker\n", 0o644),
        (
            "machine h.example login u password \"hunter2marker\n",
            0o600,
        ),
        ("machine h.example password hunter2marker login\n", 0o600),
        ("hunter2marker\n", 0o600),
    ] {
        sandbox.write_mode("home/.netrc", netrc, mode);
        let words = [
            "-v",
            "-S",
            "smtp=127.0.0.1:1",
            "-S",
            "auth-user=u",
            "-S",
            "netrc-lookup",
            "-r",
            "a@a.example",
            "r1@x.example",
        ];
        let outcome = sandbox.smail(&words).stdin("x\n").run();
        assert!(
            outcome.status != 0 && !outcome.stderr.contains(MARKER),
            "{}",
            outcome.stderr
        );
    }
}

/// A user who owns nothing.
const STRANGER: u32 = 65_534;

/// A copy of smail that a stranger may run; `None` where the tests may not become another user.
fn for_strangers(sandbox: &Sandbox) -> Option<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    fs::set_permissions(sandbox.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    Some(sandbox.copy_program(Path::new(env!("CARGO_BIN_EXE_smail")), "smail"))
}

#[test]
fn a_process_with_a_secret_leaves_no_core_and_cannot_be_looked_into() {
    let sandbox = Sandbox::new();
    let hang = "S: 220 mx.test\nC: EHLO *\nS: 250 mx.test\nC: MAIL FROM:*\n-- hang\n";
    let Some(copy) = for_strangers(&sandbox) else {
        return;
    };
    for (secret, owner) in [(false, STRANGER), (true, 0)] {
        let server = Server::play("hang", hang);
        let smtp = format!("smtp=127.0.0.1:{}", server.port());
        let mut command = sandbox
            .program(&[copy.to_str().unwrap(), "-n", "--no-queue", "-S", &smtp])
            .into_command();
        command
            .args(["-S", "tls=none", "-r", "a@a.example", "r1@x.example"])
            .uid(STRANGER)
            .stdin(std::process::Stdio::null());
        command
            .env_remove("XDG_CONFIG_HOME")
            .env("HOME", "/nonexistent");
        if secret {
            command.args(["-S", "auth-password-other.example=x"]);
        }
        let mut child = command.spawn().unwrap();
        server.wait_for("MAIL FROM:*");
        let place = format!("/proc/{}", child.id());
        let limits = fs::read_to_string(format!("{place}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        let core: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
        assert!(core == ["0", "0"] || !secret, "{core:?}");
        assert_eq!(
            fs::metadata(format!("{place}/environ")).unwrap().uid(),
            owner,
            "secret: {secret}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_program_whose_file_has_capabilities_is_refused_as_one_that_is_set_uid() {
    let sandbox = Sandbox::new();
    let Some(copy) = for_strangers(&sandbox) else {
        return;
    };
    let run = |copy: &PathBuf| {
        let outcome = Command::new(copy)
            .arg("--version")
            .uid(STRANGER)
            .env_clear()
            .output()
            .unwrap();
        (
            outcome.status.code(),
            String::from_utf8(outcome.stderr).unwrap(),
        )
    };
    assert_eq!(run(&copy), (Some(0), String::new()));
    // CAP_NET_BIND_SERVICE, permitted and effective (capabilities(7), version 2 of the attribute).
    let words: [u32; 5] = [0x0200_0001, 1 << 10, 0, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    if rustix::fs::setxattr(
        &copy,
        "security.capability",
        &value,
        rustix::fs::XattrFlags::empty(),
    )
    .is_err()
    {
        return;
    }
    let refused = "smail: refusing to run with file capabilities\n\n\
                   hint: run setcap -r on the program; it needs no privileges of its own\n";
    assert_eq!(run(&copy), (Some(77), refused.to_owned()));
}
