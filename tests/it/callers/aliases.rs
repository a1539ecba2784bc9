//! Local names, from the alias file to the envelope and the head, and the author whom the provider
//! takes.
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::call::{ALL, STAMPS, call, host, host_with, one_line, silent};
use crate::support::sandbox::Sandbox;
use crate::support::sink::{Options, Place};

/// A host with these aliases.
fn with_aliases(port: u16, aliases: &str) -> Sandbox {
    let sandbox = host(port);
    sandbox.write("aliases", aliases);
    sandbox
}

fn recipients(aliases: &str, line: &str, input: &str) -> Vec<String> {
    let sink = Options::new().start();
    let sandbox = with_aliases(sink.port(), aliases);
    silent(&call(line).stdin(input).run(&sandbox, true).run(), line);
    sink.only_mail().to
}

#[test]
fn names_lead_to_names_lists_and_addresses_once_each() {
    let aliases = "# comment\nroot: team, bob@x.example,\n  ann@x.example\nteam: \"Ann\" <ann@x.example>, carol@x.example\n";
    assert_eq!(
        recipients(aliases, "sendmail root carol@x.example", "x\n"),
        ["ann@x.example", "carol@x.example", "bob@x.example"]
    );
    assert_eq!(
        recipients(aliases, "sendmail ROOT root@localhost", "x\n"),
        ["ann@x.example", "carol@x.example", "bob@x.example"]
    );
    assert_eq!(
        recipients(aliases, "sendmail -t", "To: root\nCc: team\n\nx\n"),
        ["ann@x.example", "carol@x.example", "bob@x.example"]
    );
}

#[test]
fn the_default_takes_every_name_without_an_alias() {
    let aliases = "root: ann@x.example\ndefault: all@x.example\n";
    assert_eq!(
        recipients(aliases, "sendmail root www-data nobody", "x\n"),
        ["ann@x.example", "all@x.example"]
    );
}

#[test]
fn an_alias_to_dev_null_drops_the_mail_in_silence_and_others_get_theirs() {
    let aliases = "nobody: /dev/null\nboth: /dev/null, ann@x.example\n";
    assert_eq!(
        recipients(aliases, "sendmail nobody both bob@x.example", "x\n"),
        ["ann@x.example", "bob@x.example"]
    );
    let place = Place::reserve();
    for (line, input) in [
        ("sendmail nobody", "x\n"),
        ("sendmail -t", "To: nobody\n\nx\n"),
        ("mail nobody", "x\n"),
    ] {
        let sandbox = with_aliases(place.port(), aliases);
        let outcome = call(line).stdin(input).run(&sandbox, true).run();
        silent(&outcome, line);
        assert_eq!(sandbox.entries(), Vec::<String>::new(), "{line}");
    }
    let sandbox = with_aliases(place.port(), aliases);
    let outcome = call("sendmail -bv nobody").run(&sandbox, true).run();
    assert_eq!(
        (outcome.status, outcome.stdout.as_str()),
        (0, "nobody -> /dev/null: dropped\n")
    );
}

#[test]
fn an_include_file_is_read_and_may_be_empty_of_nobody() {
    let sink = Options::new().start();
    let sandbox = host(sink.port());
    let list = sandbox.write("list", "# people\nann@x.example\nbob@x.example, root\n");
    sandbox.write(
        "aliases",
        format!(
            "root: admin@x.example\npeople: :include:{}\n",
            list.display()
        ),
    );
    silent(
        &call("sendmail people")
            .stdin("x\n")
            .run(&sandbox, true)
            .run(),
        "include",
    );
    assert_eq!(
        sink.only_mail().to,
        ["ann@x.example", "bob@x.example", "admin@x.example"]
    );
}

#[test]
fn programs_and_files_are_refused_with_their_line() {
    let (place, pwned) = (Place::reserve(), "touch pwned");
    for target in [
        &format!("|{pwned}"),
        &format!("\"|{pwned}\""),
        "/tmp/file",
        "\"/tmp/file\"",
    ] {
        let sandbox = with_aliases(
            place.port(),
            &format!("root: admin@x.example\njobs: ann@x.example,\n  {target}\n"),
        );
        let outcome = call("sendmail jobs").stdin("x\n").run(&sandbox, true).run();
        assert_eq!(outcome.status, 78, "{target}: {}", outcome.stderr);
        one_line(
            &outcome,
            &format!("{}:2: alias `jobs`: ", sandbox.path("aliases").display()),
        );
        // The others do not suffer.
        silent(
            &call("sendmail root").stdin("x\n").run(&sandbox, true).run(),
            target,
        );
        assert_eq!((sandbox.entries().len(), sandbox.read("pwned")), (1, None));
    }
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let sandbox = host(Place::reserve().port());
    fs::set_permissions(sandbox.path("aliases"), fs::Permissions::from_mode(0o666)).unwrap();
    let outcome = call("sendmail root").stdin("x\n").run(&sandbox, true).run();
    assert_eq!(outcome.status, 78);
    one_line(&outcome, "others can write to it");
    assert_eq!(sandbox.queue_names("q"), [""; 0]);
}

#[test]
fn a_circle_of_names_is_refused() {
    let sandbox = with_aliases(Place::reserve().port(), "a: b\nb: c\nc: a\n");
    let outcome = call("sendmail a").stdin("x\n").run(&sandbox, true).run();
    assert_eq!(outcome.status, 78, "{}", outcome.stderr);
    one_line(&outcome, "a");
    assert_eq!(sandbox.queue_names("q"), [""; 0]);
}

#[test]
fn a_name_in_the_head_becomes_its_address_and_keeps_what_stands_before() {
    call("sendmail -t")
        .stdin("To: \"The Root\" <root>, bob@x.example\nReply-To: root\nSubject: To root\n\nTo: root\n")
        .to("admin@a.example bob@x.example")
        .gains(ALL)
        .turns("\"The Root\" <root>", "The Root <admin@a.example>")
        .turns("Reply-To: root", "Reply-To: admin@a.example")
        .check();
}

#[test]
fn qualify_domain_gives_what_has_no_alias_a_domain() {
    call("sendmail -t -f www-data")
        .stdin("From: www-data (Web)\nTo: webmaster, root\n\nx\n")
        .settings("qualify-domain = \"q.example\"")
        .sender("www-data@q.example")
        .to("webmaster@q.example admin@a.example")
        .gains("Date: *\nMessage-ID: <*@q.example>\n")
        .turns("From: www-data (Web)", "From: Web <www-data@q.example>")
        .turns(
            "To: webmaster, root",
            "To: webmaster@q.example, admin@a.example",
        )
        .check();
}

#[test]
fn a_bare_author_becomes_that_of_the_settings_with_its_own_name() {
    for (bare, whole) in [
        ("root", "host@a.example"),
        ("<root>", "host@a.example"),
        ("root (Cron Daemon)", "Cron Daemon <host@a.example>"),
        ("Anacron <root>", "Anacron <host@a.example>"),
        ("\"Cron, the\" <root>", "\"Cron, the\" <host@a.example>"),
    ] {
        call("sendmail bob@x.example")
            .stdin(format!("From: {bare}\nSubject: s\n\nx\n"))
            .to("bob@x.example")
            .turns(&format!("From: {bare}"), &format!("From: {whole}"))
            .check();
    }
}

#[test]
fn force_from_replaces_an_author_that_is_not_ours_and_keeps_the_old_one() {
    let mail = "From: Web Shop <www@shop.example>\nSubject: s\n\nx\n";
    let forced = |input: &str, line: &str| {
        call(line)
            .stdin(input)
            .settings("force-from = true")
            .to("bob@x.example")
    };
    forced(mail, "sendmail -f www@shop.example bob@x.example")
        .turns(
            "From: Web Shop <www@shop.example>",
            "From: Web Shop <host@a.example>\nX-Original-From: Web Shop <www@shop.example>\nReply-To: Web Shop <www@shop.example>",
        )
        .check();
    let answered = mail.replace("Subject", "Reply-To: help@shop.example\nSubject");
    forced(&answered, "sendmail bob@x.example")
        .turns(
            "From: Web Shop <www@shop.example>",
            "From: Web Shop <host@a.example>\nX-Original-From: Web Shop <www@shop.example>",
        )
        .check();
}

#[test]
fn force_from_leaves_our_own_author_and_the_null_sender() {
    let ours = "From: Other Name <HOST@a.example>\nSubject: s\n\nx\n";
    let call = || {
        call("sendmail -f '' bob@x.example")
            .settings("force-from = true")
            .to("bob@x.example")
            .sender("")
    };
    call().stdin(ours.replace("HOST", "host")).check();
    call()
        .stdin("Subject: s\n\nx\n")
        .gains(&format!("From: Host <host@a.example>\n{STAMPS}"))
        .check();
}

#[test]
fn the_mode_bv_says_where_each_name_goes_and_who_says_so() {
    let sink = Options::new().start();
    let sandbox = host_with(
        sink.port(),
        "qualify-domain = \"q.example\"\n[aliases]\nops = \"ops@x.example\"",
    );
    let outcome = call("sendmail -bv root ops bob@x.example webmaster")
        .run(&sandbox, true)
        .run();
    let (aliases, settings) = (
        sandbox.path("aliases"),
        sandbox.path("home/.config/smail/config.toml"),
    );
    let (aliases, settings, port) = (aliases.display(), settings.display(), sink.port());
    let way = format!("via 127.0.0.1:{port} (no TLS)");
    let wanted = format!(
        "root -> admin@a.example ({aliases}:1) {way}\nops -> ops@x.example ({settings}:8) {way}\nbob@x.example -> bob@x.example {way}\nwebmaster -> webmaster@q.example ({settings}:6) {way}\n"
    );
    assert_eq!(
        (outcome.status, outcome.stdout, outcome.stderr),
        (0, wanted, String::new())
    );
    assert_eq!((sink.sessions(), sandbox.queue_names("q")), (0, vec![]));
}

#[test]
fn newaliases_is_silent_about_a_sound_file_and_names_every_line_that_is_not() {
    let sandbox = host(Place::reserve().port());
    for line in [
        "newaliases",
        "sendmail -bi",
        "sendmail -I",
        "/usr/bin/newaliases -v",
    ] {
        silent(&call(line).run(&sandbox, true).run(), line);
    }
    sandbox.write(
        "aliases",
        "root: admin@x.example\njobs: |/bin/true\nthis is none\nfile: /tmp/x\nloop: loop2\nloop2: loop\n",
    );
    let outcome = call("newaliases").run(&sandbox, true).run();
    assert_eq!((outcome.status, outcome.stdout.as_str()), (78, ""));
    let lines: Vec<_> = outcome.stderr.lines().collect();
    let file = sandbox.path("aliases");
    for number in [2, 3, 4] {
        let start = format!("newaliases: {}:{number}: ", file.display());
        assert!(
            lines.iter().any(|line| line.starts_with(&start)),
            "{number}: {}",
            outcome.stderr
        );
    }
    assert!(
        lines.iter().all(|line| line.starts_with("newaliases: ")),
        "{}",
        outcome.stderr
    );
}
