//! The environment as callers really leave it: no home, closed streams, a strange umask, directories of
//! others, and a sendmail program that is smail itself. And local names, from an aliases file to
//! the envelope.
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::support::obstacle;
use crate::support::sandbox::entries_in;
use crate::support::sandbox::{Sandbox, with_mounts};
use crate::support::sink::{Options, Sink};

/// The flags that send to a server of the test in clear.
fn to(sink: &Sink) -> Vec<String> {
    let smtp = format!("smtp=127.0.0.1:{}", sink.port());
    [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "me@a.example",
        "-s",
        "subj",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

/// The one mail of a sink, to whom it went.
fn recipients(sink: &Sink) -> Vec<String> {
    sink.only_mail().to
}

#[test]
fn a_local_name_becomes_what_an_aliases_file_says() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let file = sandbox.write_mode(
        "aliases",
        "root: admin@x.example, team\nteam: a@x.example\n",
        0o644,
    );
    let set = format!("aliases-file={}", file.display());
    let outcome = sandbox
        .smail(&to(&sink))
        .arg("-S")
        .arg(set)
        .arg("root")
        .arg("root@localhost")
        .stdin("x\n")
        .run();
    assert_eq!(
        (outcome.status, outcome.owes(&[])),
        (0, vec![]),
        "{}",
        outcome.stderr
    );
    assert_eq!(recipients(&sink), ["admin@x.example", "a@x.example"]);
}

#[test]
fn reply_to_takes_the_alias_and_keeps_its_name() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let file = sandbox.write_mode("aliases", "help: desk@x.example\n", 0o644);
    let set = format!("aliases-file={}", file.display());
    let outcome = sandbox
        .smail(&to(&sink))
        .args_of(&["-S", &set, "--reply-to", "Help <help>", "bob@x.example"])
        .stdin("x\n")
        .run();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let text = sink.only_mail().text();
    assert!(
        text.contains("Reply-To: Help <desk@x.example>\r\n"),
        "{text}"
    );
}

#[test]
fn a_local_name_that_leads_nowhere_says_what_to_do() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let refused = |set: &str, name: &str| {
        let outcome = sandbox
            .smail(&to(&sink))
            .args_of(&["-S", set, name])
            .stdin("x\n")
            .run();
        assert!(sink.mails().is_empty());
        (
            outcome.status,
            outcome
                .stderr
                .replace(sandbox.path("").to_str().unwrap(), "~/"),
        )
    };
    let (status, words) = refused("aliases-file=", "root");
    assert_eq!(status, 65);
    assert!(
        words.starts_with("smail: `root` has no domain, and no alias has this name\n\nhint: "),
        "{words}"
    );
    for way in ["aliases-file", "qualify-domain", "`default`"] {
        assert!(words.contains(way), "{words}");
    }
    let file = sandbox.write_mode("aliases", "root: |/bin/true\n", 0o644);
    let set = format!("aliases-file={}", file.display());
    let (status, words) = refused(&set, "root");
    assert_eq!(status, 78);
    assert!(
        words.starts_with(
            "smail: ~/aliases:1: alias `root`: smail does not run programs for \
            aliases\n"
        ),
        "{words}"
    );
    let missing = refused("aliases-file=/nonexistent/aliases", "root");
    assert_eq!(
        missing,
        (
            78,
            "smail: /nonexistent/aliases: no such file or directory\n  set in -S\n".to_owned()
        )
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let (status, words) = refused(&set, "root");
    let wanted = "smail: ~/aliases: others can write to it and could redirect mail\n  set in -S\n\nhint: chmod go-w ~/aliases\n";
    assert_eq!((status, words.as_str()), (78, wanted));
}

#[test]
fn mail_goes_with_every_stream_closed() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    for (count, script) in [
        "exec \"$@\" 0<&- 1>&- 2>&-",
        "exec \"$@\" 1>&- 2>&-",
        "exec \"$@\" 2>&-",
        "exec \"$@\" 0<&-",
    ]
    .iter()
    .enumerate()
    {
        let mut args = to(&sink);
        args.push("bob@x.example".to_owned());
        let outcome = sandbox
            .under(&["sh", "-c", script, "sh"], &args)
            .queued()
            .stdin("words\n")
            .run();
        assert_eq!(outcome.status, 0, "{script}: {}", outcome.stderr);
        let mails = sink.mails();
        assert_eq!(mails.len(), count + 1, "{script}");
        let open = !script.contains("0<&-");
        assert_eq!(mails[count].text().ends_with("words\r\n"), open, "{script}");
    }
    assert_eq!(sandbox.entries(), [""; 0]);
}

#[test]
fn a_umask_takes_and_gives_nothing() {
    for umask in ["000", "777", "277"] {
        let sandbox = Sandbox::new();
        let script = format!("umask {umask}; exec \"$@\"");
        let port = crate::support::sink::Place::reserve().port();
        let smtp = format!("smtp=127.0.0.1:{port}");
        let record = sandbox.path("sent.mbox");
        let record = format!("record={}", record.display());
        let send = |set: &[&str]| {
            let mut args = words(&["-S", "tls=none", "-r", "me@a.example", "-S", &record]);
            args.extend(words(set));
            args.push("bob@x.example".to_owned());
            let state = sandbox.path("run/new/state");
            let run = sandbox
                .under(&["sh", "-c", &script, "sh"], &args)
                .queued()
                .env("XDG_STATE_HOME", state);
            run.stdin("words\n").run()
        };
        let first = send(&["-S", &smtp]);
        assert_eq!(first.status, 0, "{umask}: {}", first.stderr);
        let target = format!("mta=test://{}", sandbox.path("one.eml").display());
        assert_eq!(send(&["-S", &target]).status, 0);
        fs::create_dir_all(sandbox.path("many")).unwrap();
        let target = format!("mta=test://{}/", sandbox.path("many").display());
        assert_eq!(send(&["-S", &target]).status, 0);
        let mut seen = Vec::new();
        modes(&sandbox.path("run/new"), &mut seen);
        modes(&sandbox.path("many"), &mut seen);
        modes(&sandbox.path("one.eml"), &mut seen);
        modes(&sandbox.path("sent.mbox"), &mut seen);
        assert!(seen.len() > 10, "{seen:?}");
        let many = sandbox.path("many");
        let wrong: Vec<_> = seen
            .iter()
            .filter(|(path, dir, mode)| path != &many && *mode != if *dir { 0o700 } else { 0o600 })
            .collect();
        assert!(wrong.is_empty(), "{umask}: {wrong:?}");
        assert_eq!(entries_in(&sandbox.path("run/new/state/smail")).len(), 1);
    }
}

/// The modes of a path and of all below it.
fn modes(path: &Path, seen: &mut Vec<(std::path::PathBuf, bool, u32)>) {
    let meta = path.symlink_metadata().unwrap();
    seen.push((path.to_owned(), meta.is_dir(), meta.mode() & 0o777));
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            modes(&entry.unwrap().path(), seen);
        }
    }
}

#[test]
fn the_queue_lies_where_it_can() {
    let sandbox = Sandbox::new();
    // A file where a directory is wanted: neither root nor anybody can make one there.
    sandbox.write("in-the-way", "");
    let service = sandbox.path("run/service");
    fs::create_dir(&service).unwrap();
    let list = format!("{}:/nonexistent", service.display());
    let smtp = format!(
        "smtp=127.0.0.1:{}",
        crate::support::sink::Place::reserve().port()
    );
    let send = |home: &Path, service: &str| {
        let args = [
            "-S",
            &smtp,
            "-S",
            "tls=none",
            "-r",
            "me@a.example",
            "bob@x.example",
        ];
        let run = sandbox
            .smail(&args)
            .queued()
            .env("XDG_STATE_HOME", sandbox.path("in-the-way"))
            .env("HOME", home);
        run.env("STATE_DIRECTORY", service).stdin("words\n").run()
    };
    let home = sandbox.path("home");
    assert_eq!(send(&home, &list).status, 0);
    assert_eq!(entries_in(&sandbox.queue_dir()).len(), 1);
    fs::remove_dir_all(home.join(".local")).unwrap();
    sandbox.write("home/.local", "");
    let outcome = send(&home, &list);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert_eq!(entries_in(&service.join("smail")).len(), 1);
    let named = sandbox
        .smail(&[
            "-S",
            &smtp,
            "-S",
            "queue-dir=in-the-way/q",
            "-r",
            "me@a.example",
            "bob@x.example",
        ])
        .queued()
        .stdin("words\n")
        .run();
    assert_eq!(named.status, 73, "{}", named.stderr);
}

#[test]
fn a_job_without_home_user_and_directory_sends() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    for home in [Some("/"), Some("/nonexistent"), Some(""), None] {
        let before = sink.mails().len();
        let script = "cd / && exec \"$@\"";
        let mut args = words(&["--no-queue"]);
        args.extend(to(&sink));
        args.push("bob@x.example".to_owned());
        let mut run = sandbox.under(&["sh", "-c", script, "sh"], &args);
        for name in [
            "HOME",
            "USER",
            "LOGNAME",
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "TMPDIR",
            "PATH",
        ] {
            run = run.without_env(name);
        }
        if let Some(home) = home {
            run = run.env("HOME", home);
        }
        let outcome = run.env("LC_ALL", "C").stdin("words\n").run();
        assert_eq!(
            (outcome.status, outcome.stderr.as_str()),
            (0, ""),
            "{home:?}"
        );
        assert_eq!(sink.mails().len(), before + 1);
    }
}

#[test]
fn smail_never_sends_through_itself() {
    let sandbox = Sandbox::new();
    let link = sandbox.path("bin/sendmail");
    fs::create_dir_all(sandbox.path("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_smail"), &link).unwrap();
    let mta = format!("mta={}", link.display());
    let wanted = "smail: the sendmail program runs smail again\n\nhint: set smtp to the server that accepts mail from this host\n";
    let outcome = sandbox
        .smail(&["-S", &mta, "-r", "me@a.example", "bob@x.example"])
        .stdin("x\n")
        .run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (78, wanted));
    // By a detour: what smail starts may be a script that starts smail.
    let script = format!(
        "#!/bin/sh\nexec {} -S mta=/usr/bin/true x@x.example\n",
        env!("CARGO_BIN_EXE_smail")
    );
    let detour = sandbox.write_program("detour", &script);
    let mta = format!("mta={}", detour.display());
    let outcome = sandbox
        .smail(&["-S", &mta, "-r", "me@a.example", "bob@x.example"])
        .stdin("x\n")
        .run();
    assert_ne!(outcome.status, 0);
    assert!(
        outcome
            .stderr
            .contains("the sendmail program runs smail again"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_program_that_smail_starts_may_be_followed_by_a_server() {
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let smtp = format!("smtp=127.0.0.1:{}", sink.port());
    let outcome = sandbox
        .smail(&[
            "-S",
            &smtp,
            "-S",
            "tls=none",
            "-r",
            "me@a.example",
            "bob@x.example",
            "-v",
        ])
        .env("SMAIL_PROGRAM", "1")
        .stdin("x\n")
        .run();
    assert_eq!(
        (outcome.status, sink.mails().len()),
        (0, 1),
        "{}",
        outcome.stderr
    );
    assert!(
        !outcome.stderr.contains("SMAIL_PROGRAM"),
        "{}",
        outcome.stderr
    );
}

/// Runs smail as a user without rights, on a machine whose /etc holds these files (`NAME MODE
/// TEXT`).
fn as_daemon(
    sandbox: &Sandbox,
    etc: &[(&str, &str, &str)],
    args: &[&str],
) -> crate::support::sandbox::Outcome {
    const DAEMON: u32 = 54_321;
    let binary = sandbox.copy_program(Path::new(env!("CARGO_BIN_EXE_smail")), "smail");
    let mut script = "mount -t tmpfs none /etc && mkdir /etc/smail".to_owned();
    for (number, (name, mode, text)) in etc.iter().enumerate() {
        let source = sandbox.write(&format!("etc/{number}"), text);
        let _ = write!(
            script,
            " && cp {} /etc/{name} && chmod {mode} /etc/{name}",
            source.display()
        );
    }
    script.push_str(" && shift && exec setpriv --reuid 54321 --regid 54321 --clear-groups \"$@\"");
    let mut paths = Vec::new();
    modes(&sandbox.path(""), &mut paths);
    for (path, _, _) in paths {
        std::os::unix::fs::lchown(path, Some(DAEMON), Some(DAEMON)).unwrap();
    }
    let mut words = vec![binary.to_str().unwrap()];
    words.extend(args);
    // The program of the wrapper stands first and is shifted away: it may lie where this user
    // cannot go.
    sandbox
        .under(&with_mounts(&script), &words)
        .queued()
        .without_env("MAILX_NO_SYSTEM_RC")
        .stdin("words\n")
        .run()
}

#[test]
fn a_system_file_that_a_user_may_not_read_matters_only_where_nothing_else_names_a_server() {
    if obstacle::stops("a file of root", obstacle::without_root()) {
        return;
    }
    let (sandbox, sink) = (Sandbox::new(), Options::new().start());
    let etc = [("smail/config.toml", "600", "smtp = \"smtps://h.example\"\n")];
    let refused = as_daemon(&sandbox, &etc, &["-r", "me@a.example", "bob@x.example"]);
    let wanted = "smail: /etc/smail/config.toml: this user cannot read it, and nothing else sets a server\n\nhint: \
                  run chgrp GROUP /etc/smail/config.toml && chmod 640 /etc/smail/config.toml, with a group that this user belongs to\n";
    assert_eq!((refused.status, refused.stderr.as_str()), (78, wanted));
    let mut args = to(&sink);
    args.push("bob@x.example".to_owned());
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let sent = as_daemon(&sandbox, &etc, &args);
    assert_eq!(
        (sent.status, sent.stderr.as_str(), sink.mails().len()),
        (0, "", 1)
    );
    let told = as_daemon(&sandbox, &etc, &[&args[..], &["-v"]].concat());
    let note = "smail: /etc/smail/config.toml cannot be read by this user and is ignored\n";
    assert!(told.stderr.contains(note), "{}", told.stderr);
}

#[test]
fn the_queue_of_the_system_belongs_to_root_and_others_have_their_own() {
    if obstacle::stops("a queue of root", obstacle::without_root()) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let inside = root.path().join("deeper/queue");
    fs::create_dir_all(&inside).unwrap();
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o700)).unwrap();
    let smtp = format!(
        "smtp=127.0.0.1:{}",
        crate::support::sink::Place::reserve().port()
    );
    let args = [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "me@a.example",
        "bob@x.example",
    ];
    for (name, line) in [
        ("smail/config.toml", "queue-dir = \"QUEUE\"\n"),
        ("mail.rc", "set queue-dir=QUEUE\n"),
    ] {
        for place in [inside.as_path(), &root.path().join("new")] {
            let sandbox = Sandbox::new();
            let text = line.replace("QUEUE", place.to_str().unwrap());
            let outcome = as_daemon(&sandbox, &[(name, "644", &text)], &args);
            assert_eq!(
                (outcome.status, sandbox.entries().len()),
                (0, 1),
                "{}",
                outcome.stderr
            );
            assert!(!outcome.stderr.contains("belongs"), "{}", outcome.stderr);
        }
    }
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let text = format!("queue-dir = \"{}\"\n", inside.display());
    let (sandbox, etc) = (Sandbox::new(), "smail/config.toml");
    let told = as_daemon(
        &sandbox,
        &[(etc, "644", &text)],
        &[&args[..], &["-v"]].concat(),
    );
    let note = "it belongs to another user; using a directory of this user instead\n";
    // Root's directory cannot even be opened: either fact may be told.
    assert!(
        told.stderr.contains(note)
            || told.stderr.contains(
                "using a directory of this user \
            instead\n"
            ),
        "{}",
        told.stderr
    );
    let own = format!("queue-dir={}", inside.display());
    let sandbox = Sandbox::new();
    let refused = as_daemon(&sandbox, &[], &[&args[..], &["-S", &own]].concat());
    assert!(
        [73, 78].contains(&refused.status),
        "{}: {}",
        refused.status,
        refused.stderr
    );
}

#[test]
fn a_home_that_is_read_only_or_of_another_is_passed_over() {
    if obstacle::stops("a read-only home", obstacle::without_root()) {
        return;
    }
    let sandbox = Sandbox::new();
    let service = sandbox.path("run/service");
    fs::create_dir_all(&service).unwrap();
    let smtp = format!(
        "smtp=127.0.0.1:{}",
        crate::support::sink::Place::reserve().port()
    );
    let args = [
        "-S",
        &smtp,
        "-S",
        "tls=none",
        "-r",
        "me@a.example",
        "bob@x.example",
    ];
    let home = sandbox.path("home");
    let script = format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec \"$@\"",
        home.display()
    );
    let wrapper = with_mounts(&script);
    let send = || {
        sandbox
            .under(&wrapper, &args)
            .queued()
            .env("STATE_DIRECTORY", &service)
            .stdin("words\n")
            .run()
    };
    let outcome = send();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert_eq!(entries_in(&service.join("smail")).len(), 1);
    // With a queue in it from before, which can be opened and not written.
    assert_eq!(
        sandbox.smail(&args).queued().stdin("words\n").run().status,
        0
    );
    assert_eq!(sandbox.entries().len(), 1);
    assert_eq!(send().status, 0);
    assert_eq!(
        (
            sandbox.entries().len(),
            entries_in(&service.join("smail")).len()
        ),
        (1, 2)
    );
}

#[test]
fn where_nothing_can_wait_the_queue_is_empty() {
    if obstacle::stops("a read-only home", obstacle::without_root()) {
        return;
    }
    let sandbox = Sandbox::new();
    let home = sandbox.path("home");
    let script = format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec \"$@\"",
        home.display()
    );
    let wrapper = with_mounts(&script);
    for (name, flag) in [
        ("sendmail", "-q"),
        ("sendmail", "-bp"),
        ("mailq", "-v"),
        ("sendmail", "-qIx"),
    ] {
        let outcome = sandbox.under_as(&wrapper, name, &[flag]).queued().run();
        let said = if flag == "-bp" || name == "mailq" {
            "Mail queue is empty\n"
        } else {
            ""
        };
        assert_eq!(
            (
                outcome.status,
                outcome.stdout.as_str(),
                outcome.stderr.as_str()
            ),
            (0, said, ""),
            "{name} {flag}"
        );
    }
    for (words, said) in [
        (&["--queue"][..], "The queue is empty\n"),
        (&["--queue", "--json"], "[]\n"),
        (&["--flush"], ""),
    ] {
        let outcome = sandbox.under(&wrapper, words).queued().run();
        assert_eq!(
            (
                outcome.status,
                outcome.stdout.as_str(),
                outcome.stderr.as_str()
            ),
            (0, said, ""),
            "{words:?}"
        );
    }
    let unknown = sandbox
        .under(&wrapper, &["--queue-show", "x"])
        .queued()
        .run();
    let said = "smail: no message `x` in the queue\n\nhint: run `smail --queue` to list the \
        queue\n";
    assert_eq!((unknown.status, unknown.stderr.as_str()), (64, said));
    // What was named by the user must be there.
    let named = sandbox
        .under(&wrapper, &["--queue", "-S", "queue-dir=home/q"])
        .queued()
        .run();
    assert_eq!(named.status, 73, "{}", named.stderr);
}

#[test]
fn a_host_whose_name_is_that_of_every_host_says_its_address() {
    if obstacle::stops("another name of the host", obstacle::without_root()) {
        return;
    }
    let said = |name: &str| {
        let (sandbox, sink) = (Sandbox::new(), Options::new().start());
        let script = format!("echo {name} >/proc/sys/kernel/hostname && exec \"$@\"");
        let wrapper = ["unshare", "-u", "sh", "-c", &script, "sh"];
        let outcome = sandbox
            .under(&wrapper, &to(&sink))
            .args_of(&["-v", "bob@x.example"])
            .stdin("x\n")
            .run();
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
        let line = outcome
            .stderr
            .lines()
            .find_map(|line| Some(line.split_once("EHLO ")?.1.to_owned()));
        line.unwrap()
    };
    for name in [
        "localhost.localdomain",
        "localhost4.localdomain4",
        "LOCALHOST.LOCALDOMAIN",
        "box.localdomain",
        "box",
    ] {
        assert_eq!(said(name), "[127.0.0.1]", "{name}");
    }
    assert_eq!(said("box.a.example"), "box.a.example");
}
