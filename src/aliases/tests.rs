//! Facts about local names, on a machine of the test's own.
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::cli;
use crate::environment::{Environment, Host};
use crate::pace::{assert_linear, numbered};
use crate::settings::Layers;

/// A machine called `web1.example.org` with an aliases file; mail goes to a server unless the test
/// says otherwise.
struct TestHost {
    dir: tempfile::TempDir,
    words: Vec<String>,
    rc: String,
}

impl TestHost {
    fn new(aliases: &str) -> Self {
        let host = TestHost {
            dir: tempfile::tempdir().unwrap(),
            words: Vec::new(),
            rc: String::new(),
        };
        host.file("aliases", aliases);
        host.set("smtp=h.example")
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A line of the user's mail.rc.
    fn rc(mut self, line: &str) -> Self {
        self.rc.push_str(line);
        self.rc.push('\n');
        self
    }

    fn set(mut self, setting: &str) -> Self {
        self.words.extend(["-S".to_owned(), setting.to_owned()]);
        self
    }

    fn settings(&self) -> Settings {
        self.file(".mailrc", &self.rc);
        let words = ["smail", "-n"]
            .map(String::from)
            .into_iter()
            .chain(self.words.iter().cloned());
        let args = cli::parse(words.map(OsString::from)).unwrap();
        let path = |name: &str| Some(self.dir.path().join(name));
        let host = Host {
            aliases: path("aliases"),
            mailname: path("mailname"),
            hostname: Some("web1.example.org".into()),
            ..Host::default()
        };
        let place = Environment {
            host,
            home: path(""),
            ..Environment::default()
        };
        Layers::load(&args, &place).unwrap().resolve(&[]).unwrap()
    }

    fn local<T>(&self, guess: bool, ask: impl FnOnce(&Local<'_>) -> T) -> T {
        ask(&Local::new(&self.settings(), guess))
    }

    fn neutral(&self, text: &str) -> String {
        text.replace(self.dir.path().to_str().unwrap(), "~")
            .replace("~/.mailrc", "~/mailrc")
    }

    fn expand_with(&self, guess: bool, list: &str) -> String {
        let list = crate::address::parse_list(list).unwrap();
        match self.local(guess, |local| local.expand(list)) {
            Ok(list) => list
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            Err(error) => format!("error: {}", self.neutral(&error.to_string())),
        }
    }

    fn expand(&self, list: &str) -> String {
        self.expand_with(false, list)
    }

    fn check(&self) -> Vec<String> {
        let problems = Local::new(&self.settings(), false).check();
        problems
            .iter()
            .map(|p| self.neutral(&format!("{}: {}", p.place, p.why)))
            .collect()
    }
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn the_syntax_of_aliases_is_read() {
    let host = TestHost::new(
        "# comment\n\nroot: admin@x.example\n  , second@x.example\n# between\n\tthird@x.example # is part of nothing\n",
    );
    assert!(
        host.expand("root").starts_with("error: "),
        "{}",
        host.expand("root")
    );
    let host = TestHost::new(concat!(
        "# comment\n\n",
        "root: admin@x.example,\n  second@x.example\n# a comment between\n\t, \"third\"@x.example\n",
        "Postmaster:root\n",
        "\"web master\" : \"root\"\n",
        "team:\tJoe <joe@x.example>, \"Doe, Jane\" <jane@x.example>, amy@x.example (Amy)\n",
        "chain : a, b\na: b\nb: c@x.example\n",
    ));
    let root = "admin@x.example, second@x.example, \"third\"@x.example";
    assert_eq!(host.expand("root"), root);
    assert_eq!(host.expand("POSTMASTER"), root);
    assert_eq!(
        host.expand("team"),
        "Joe <joe@x.example>, Doe, Jane <jane@x.example>, Amy <amy@x.example>"
    );
    assert_eq!(
        host.expand("chain, z@z.example, b"),
        "c@x.example, c@x.example, z@z.example"
    );
}

#[test]
fn a_backslash_and_the_name_itself_end_the_search() {
    let host = TestHost::new(
        "root: \\root, admin@x.example\nops: \\root\njoe: joe, copy@x.example\nroot2: \\ops\n",
    )
    .set("qualify-domain=q.example");
    assert_eq!(host.expand("root"), "root@q.example, admin@x.example");
    assert_eq!(host.expand("ops"), "root@q.example");
    assert_eq!(host.expand("Joe"), "joe@q.example, copy@x.example");
    assert_eq!(host.expand("root2"), "ops@q.example");
}

#[test]
fn names_at_this_host_are_local_where_an_alias_has_them() {
    let host = TestHost::new("root: admin@x.example\ndefault: all@x.example\n");
    for name in [
        "root@localhost",
        "root@LOCALHOST.localdomain",
        "Root@web1.example.org",
        "root@WEB1",
    ] {
        assert_eq!(host.expand(name), "admin@x.example", "{name}");
    }
    assert_eq!(host.expand("bob@web1.example.org"), "bob@web1.example.org");
    assert_eq!(host.expand("bob@localhost"), "all@x.example");
    assert_eq!(
        host.expand("root@web1.example.net"),
        "root@web1.example.net"
    );
    let named = TestHost::new("root: admin@x.example\n").set("hostname=box.example.net");
    assert_eq!(
        named.expand("root@box.example.net, root@box"),
        "admin@x.example"
    );
    let nothing = TestHost::new("");
    assert_eq!(nothing.expand("bob@localhost"), "bob@localhost");
    assert_eq!(
        nothing
            .set("qualify-domain=q.example")
            .expand("bob@localhost"),
        "bob@q.example"
    );
}

#[test]
fn the_settings_come_first_then_the_files_then_the_default_then_the_domain() {
    let host = TestHost::new("root: file@x.example\nbob: file@x.example\n")
        .rc("alias root own@x.example")
        .rc("alias team bob root")
        .set("qualify-domain=q.example");
    assert_eq!(host.expand("root, bob"), "own@x.example, file@x.example");
    assert_eq!(host.expand("team"), "file@x.example, own@x.example");
    // Whatever leads to it: what an alias stands for comes once.
    assert_eq!(
        host.expand("root, bob, team, root"),
        "own@x.example, file@x.example"
    );
    assert_eq!(host.expand("eve"), "eve@q.example");
    assert_eq!(host.expand("ROOT"), "file@x.example");
    let host = host.rc("alias default own-default@x.example");
    assert_eq!(host.expand("eve"), "own-default@x.example");
    let host = TestHost::new("bob: root\ndefault: nobody, last@x.example\n")
        .set("qualify-domain=q.example");
    assert_eq!(host.expand("eve"), "nobody@q.example, last@x.example");
    assert_eq!(host.expand("bob"), "nobody@q.example, last@x.example");
    let back = TestHost::new("team: ops\n").rc("alias ops team");
    assert_eq!(
        back.expand("ops"),
        "error: the alias `team` refers to itself: team -> team"
    );
    let itself = TestHost::new("root: file@x.example\n").rc("alias root root copy@x.example");
    assert_eq!(itself.expand("root"), "file@x.example, copy@x.example");
}

#[test]
fn a_name_without_anything_is_an_error_unless_sendmail_may_guess() {
    let host = TestHost::new("");
    assert_eq!(
        host.expand("root"),
        "error: `root` has no domain, and no alias has this name"
    );
    assert_eq!(host.expand_with(true, "root"), "root@web1.example.org");
    host.file("mailname", "mail.example.org\nsecond line\n");
    assert_eq!(host.expand_with(true, "root"), "root@mail.example.org");
    host.file("mailname", "not a domain\n");
    assert_eq!(host.expand_with(true, "root"), "root@web1.example.org");
    let qualified = host.set("qualify-domain=q.example");
    assert_eq!(qualified.expand_with(true, "root"), "root@q.example");
}

#[test]
fn a_local_program_knows_its_own_names() {
    let host = TestHost {
        words: Vec::new(),
        ..TestHost::new("root: admin@x.example\nx: |program\n")
    };
    let host = host.set("mta=/usr/bin/true");
    assert_eq!(host.expand_with(true, "root, x"), "root, x");
    let named = format!("aliases-file={}", host.dir.path().join("aliases").display());
    assert_eq!(host.set(&named).expand("root, eve"), "admin@x.example, eve");
}

#[test]
fn programs_files_and_unknown_words_are_refused_where_they_are_wanted() {
    let host = TestHost::new(concat!(
        "a: |/bin/rm -rf x\nb: \"|/bin/rm, -rf x\"\nc: /var/mail/c\nd: \"/dev/zero\"\ne: :fail: gone, for good\n",
        "f: ok@x.example, |x\ng nobody@x.example\nh:\ni: a b@x.example\nj: :include:relative\nfine: ok@x.example\n",
    ));
    let runs = "smail does not run programs for aliases";
    let files = "smail does not deliver to files for aliases";
    let wanted = [
        ("a", format!("~/aliases:1: alias `a`: {runs}")),
        ("b", format!("~/aliases:2: alias `b`: {runs}")),
        ("c", format!("~/aliases:3: alias `c`: {files}")),
        ("d", format!("~/aliases:4: alias `d`: {files}")),
        (
            "e",
            "~/aliases:5: alias `e`: only `:include:` is supported".to_owned(),
        ),
        ("f", format!("~/aliases:6: alias `f`: {runs}")),
        (
            "g",
            "~/aliases:7: alias `g`: expected `:` after the name".to_owned(),
        ),
        ("h", "~/aliases:8: alias `h`: it has no members".to_owned()),
        (
            "j",
            "~/aliases:10: alias `j`: `:include:` requires an absolute path".to_owned(),
        ),
    ];
    for (name, why) in &wanted {
        assert_eq!(host.expand(name), format!("error: {why}"));
    }
    assert!(
        host.expand("i")
            .starts_with("error: alias `i` (~/aliases:9): "),
        "{}",
        host.expand("i")
    );
    assert_eq!(host.expand("fine"), "ok@x.example");
    let problems = host.check();
    assert_eq!(problems.len(), 10, "{problems:#?}");
    for (problem, line) in problems.iter().zip(1..) {
        assert!(
            problem.starts_with(&format!("~/aliases:{line}: ")),
            "{problem}"
        );
    }
}

#[test]
fn an_alias_to_dev_null_drops_its_recipient_and_no_other() {
    let host = TestHost::new(
        "nobody: /dev/null\nquoted: \"/dev/null\"\nboth: nobody, a@x.example\nother: /dev/null/x\n",
    );
    let host = host.rc("alias rc /dev/null");
    for name in ["nobody", "quoted", "rc", "nobody, rc"] {
        assert_eq!(host.expand(name), "", "{name}");
    }
    assert_eq!(
        host.expand("nobody, both, rc, b@x.example"),
        "a@x.example, b@x.example"
    );
    assert!(host.expand("other").starts_with("error: "));
    let dropped = |text: &str| {
        host.local(true, |local| {
            let _ = local.expand(crate::address::parse_list(text).unwrap());
            local.has_dropped()
        })
    };
    assert_eq!(
        ["nobody", "rc", "both", "b@x.example"].map(dropped),
        [true, true, true, false]
    );
}

#[test]
fn include_files_are_read_as_lists_and_may_name_others() {
    let host = TestHost::new("");
    let deeper = host.file("deeper", "deep@x.example\n");
    let list = host.file(
        "list",
        &format!(
            "# team\na@x.example, Bob <b@x.example>\n\n \"c\"@x.example\nroot\n:include:{deeper}\n"
        ),
    );
    host.file(
        "aliases",
        &format!(
            "team: :include:{list}, z@x.example\nquoted: \":include:{list}\"\nroot: r@x.example\n"
        ),
    );
    let all = "a@x.example, Bob <b@x.example>, \"c\"@x.example, r@x.example, deep@x.example";
    assert_eq!(host.expand("team"), format!("{all}, z@x.example"));
    assert_eq!(host.expand("quoted"), all);
    host.file("deeper", &format!(":include:{list}\n"));
    assert_eq!(
        host.expand("team"),
        "error: the alias `team` refers to itself: team -> :include:~/list -> :include:~/deeper -> :include:~/list"
    );
    host.file("deeper", "ok@x.example\n|program\n");
    assert_eq!(
        host.expand("team"),
        "error: ~/deeper:2: alias `team`: smail does not run programs for aliases"
    );
    fs::remove_file(&deeper).unwrap();
    assert_eq!(
        host.expand("team"),
        "error: ~/deeper: no such file or directory"
    );
}

#[test]
fn loops_depth_and_width_end() {
    let host = TestHost::new("a: b\nb: c, x@x.example\nc: A\n");
    assert_eq!(
        host.expand("a"),
        "error: the alias `a` refers to itself: a -> b -> c -> a"
    );
    assert_eq!(host.check().len(), 1);
    let chain = lines(30, |n| format!("n{n}: n{}", n + 1));
    let deep = "error: the alias `n0` expands to more than 25 levels or 100000 addresses";
    assert_eq!(TestHost::new(&chain).expand("n0"), deep);
    let doubling = lines(20, |n| format!("n{n}: n{0}, n{0}", n + 1));
    assert_eq!(
        TestHost::new(&doubling)
            .set("qualify-domain=x.example")
            .expand("n0"),
        deep
    );
    let host = TestHost::new("");
    let empty = host.file("empty", "");
    host.file("aliases", &format!("{doubling}n20: :include:{empty}\n"));
    assert_eq!(host.expand("n0"), deep);
    assert_eq!(host.check(), Vec::<String>::new());
}

#[test]
fn files_that_others_may_write_are_not_used() {
    let host = TestHost::new("root: admin@x.example\n");
    let path = host.dir.path().join("aliases");
    let why = "error: ~/aliases: others can write to it and could redirect mail";
    fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).unwrap();
    assert_eq!(host.expand("root"), why);
    assert_eq!(host.expand("a@x.example"), "a@x.example");
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        assert_eq!(host.expand("root"), "admin@x.example");
        std::os::unix::fs::chown(&path, None, Some(1)).unwrap();
        assert_eq!(host.expand("root"), why);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(&path, Some(1), None).unwrap();
        let foreign = "error: ~/aliases: it is owned by another user, who could redirect mail";
        assert_eq!(host.expand("root"), foreign);
    }
    fs::remove_file(&path).unwrap();
    let list = host.file("list", "a@x.example\n");
    fs::set_permissions(&list, fs::Permissions::from_mode(0o666)).unwrap();
    host.file("aliases", &format!("team: :include:{list}\n"));
    assert_eq!(
        host.expand("team"),
        "error: ~/list: others can write to it and could redirect mail"
    );
}

#[test]
fn what_is_no_file_neither_blocks_nor_passes() {
    let host = TestHost::new("");
    let path = host.dir.path().join("aliases");
    fs::remove_file(&path).unwrap();
    assert_eq!(host.expand_with(true, "root"), "root@web1.example.org");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &path,
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    assert_eq!(
        host.expand("root"),
        "error: ~/aliases: it is not a regular file"
    );
    fs::remove_file(&path).unwrap();
    let real = host.file("real", "root: admin@x.example\n");
    std::os::unix::fs::symlink(real, &path).unwrap();
    assert_eq!(host.expand("root"), "admin@x.example");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let host = TestHost::new("root: machine@x.example\n");
    let own = host.file("own", "bob: b@x.example\n");
    let named = host.set(&format!("aliases-file={own}, ~/more"));
    assert_eq!(
        named.expand("bob"),
        "error: ~/more: no such file or directory"
    );
    named.file("more", "bob: second@x.example\neve: e@x.example\n");
    assert_eq!(named.expand("bob, eve"), "b@x.example, e@x.example");
    assert_eq!(
        named.expand("root"),
        "error: `root` has no domain, and no alias has this name"
    );
    assert_eq!(
        named.check(),
        ["~/more:1: `bob` is already defined in ~/own:1, which takes precedence"]
    );
    let none = named.set("aliases-file=").set("qualify-domain=q.example");
    assert_eq!(none.expand("bob"), "bob@q.example");
}

#[test]
fn headers_take_an_alias_that_is_one_address_and_keep_the_name() {
    let host =
        TestHost::new("root: Admin <admin@x.example>\nteam: a@x.example, b@x.example\nbad: |x\n");
    let header = |host: &TestHost, text: &str| {
        let mailbox = Mailbox::parse(text).unwrap();
        host.local(false, |local| local.header(&mailbox))
            .map_or_else(|| "stays".to_owned(), |m| m.to_string())
    };
    assert_eq!(
        header(&host, "Cron Daemon <root>"),
        "Cron Daemon <admin@x.example>"
    );
    assert_eq!(header(&host, "root@web1"), "admin@x.example");
    for text in ["team", "bad", "eve", "x@x.example", "eve@web1"] {
        assert_eq!(header(&host, text), "stays", "{text}");
    }
    let host = host.set("qualify-domain=q.example");
    assert_eq!(
        header(&host, "The Team <team>"),
        "The Team <team@q.example>"
    );
    assert_eq!(header(&host, "eve"), "eve@q.example");
}

#[test]
fn senders_get_the_domain_and_no_alias() {
    let host = TestHost::new("root: admin@x.example\n");
    let sender = |guess: bool, text: &str| {
        let address = Address::parse(text).unwrap();
        host.local(guess, |local| local.qualify(address))
            .map(|address| address.to_string())
    };
    assert_eq!(
        sender(true, "root").as_deref(),
        Some("root@web1.example.org")
    );
    assert_eq!(
        sender(true, "root@localhost").as_deref(),
        Some("root@web1.example.org")
    );
    assert_eq!(sender(false, "root"), None);
    assert_eq!(sender(false, "root@web1").as_deref(), Some("root@web1"));
    assert_eq!(sender(true, "a@x.example").as_deref(), Some("a@x.example"));
}

#[test]
fn every_end_says_where_it_was_said() {
    let host = TestHost::new("# two aliases\nroot: admin@x.example, own, eve\n")
        .rc("alias own o@x.example");
    let explain = |text: &str| {
        let ends = host
            .local(true, |local| local.explain(&Mailbox::parse(text).unwrap()))
            .unwrap();
        ends.iter()
            .map(|(m, said)| host.neutral(&format!("{m} {}", said.as_deref().unwrap_or("-"))))
            .collect::<Vec<_>>()
    };
    let wanted = [
        "admin@x.example ~/aliases:2",
        "o@x.example ~/mailrc:1",
        "eve@web1.example.org ~/aliases:2",
    ];
    assert_eq!(explain("root"), wanted);
    assert_eq!(
        explain("eve"),
        ["eve@web1.example.org the name of this host"]
    );
    assert_eq!(explain("x@x.example"), ["x@x.example -"]);
}

#[test]
fn a_large_file_takes_linear_time() {
    let many = lines(100_000, |n| format!("user{n}: user{}", (n + 1) % 100_000));
    let host = TestHost::new(&format!("root: a@x.example\n{many}"));
    assert_eq!(host.expand("root"), "a@x.example");
    let long = host.file("list", &"a@x.example,".repeat(90_000));
    host.file(
        "aliases",
        &format!(
            "all: :include:{long}\nmore: {}\n",
            "(((((,\"<".repeat(100_000)
        ),
    );
    assert_eq!(host.expand("all").len(), "a@x.example, ".len() * 90_000 - 2);
    assert!(host.expand("more").starts_with("error: alias `more`"));
}

#[test]
fn strangers_who_name_aliases_again_and_again_get_them_once_and_in_linear_time() {
    let members = lines(1000, |n| format!(" m{n}@x.example,"));
    let broken = lines(4000, |n| format!("r{n}: broken, default"));
    let host = TestHost::new(&format!(
        "all: b@x.example,\n{members}\ndefault: all\nbroken: {}a@@b\n{broken}",
        "a@x,".repeat(9000)
    ));
    let recipients = |size: usize| {
        (0..size / 16)
            .map(|n| format!("n{n}, all"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let list = |text: String| crate::address::parse_list(&text).unwrap();
    assert_linear(
        "recipients",
        |size| list(recipients(size)),
        |list| {
            let ends = host.local(true, |local| local.expand(list)).unwrap();
            assert_eq!(ends.len(), 1001);
        },
    );
    assert_linear(
        "a header",
        |size| list(recipients(size)),
        |list| {
            host.local(true, |local| {
                list.iter()
                    .filter_map(|mailbox| local.header(mailbox))
                    .count()
            });
        },
    );
    assert_linear(
        "recipients one by one",
        |size| list(recipients(size)),
        |list| {
            host.local(true, |local| {
                for mailbox in &list {
                    local.check_name(&mailbox.address).unwrap();
                }
            });
        },
    );
    assert_eq!(host.local(true, |local| local.check().len()), 1);
}

#[test]
fn files_of_any_lines_take_linear_time() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    std::fs::write(&list, "a@x.example, b\n".repeat(1000)).unwrap();
    let rows: &[(&str, &dyn Fn(usize) -> String)] = &[
        ("one list by many", &|n| {
            format!("a{n}: :include:{}\n", list.display())
        }),
        ("one name again and again", &|_| {
            "a: b@x.example\n".to_owned()
        }),
        ("lines that go on", &|_| "a: b,\n c,\n\td\n".to_owned()),
        ("a chain", &|n| format!("a{n}: a{}\n", n + 1)),
        ("what is no line", &|_| ":\nx\n\"\n".to_owned()),
        ("a mistake that many lead to", &|n| {
            format!("a{n}: a0, b@@c\n")
        }),
    ];
    for (name, row) in rows {
        assert_linear(
            name,
            |size| TestHost::new(&numbered(size, row)),
            |host| {
                host.expand("a1");
                host.local(true, |local| local.check().len());
            },
        );
    }
}
