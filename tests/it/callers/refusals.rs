//! What callers are told when a mail cannot be: one line and the status of sysexits(3), and nothing
//! is kept that is refused.
use super::call::{call, host, host_with, one_line, silent};
use crate::support::sandbox::Sandbox;
use crate::support::sink::{Options, Place};

/// The call, with the queue and without; status and words are the same.
fn refused(sandbox: &Sandbox, line: &str, input: &str, status: i32, words: &str) {
    for queue in [false, true] {
        let outcome = call(line).stdin(input).run(sandbox, queue).run();
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (status, ""),
            "{line}: {}",
            outcome.stderr
        );
        one_line(&outcome, words);
        assert_eq!(sandbox.entries(), [""; 0], "{line}");
    }
}

#[test]
fn an_unknown_recipient_is_67_and_the_words_of_the_server() {
    let sink = Options::new()
        .recipient("admin@a.example", "550 5.1.1 no such user here")
        .start();
    refused(
        &host(sink.port()),
        "sendmail root",
        "x\n",
        67,
        "550 5.1.1 no such user here",
    );
}

#[test]
fn a_recipient_refused_for_another_reason_is_69() {
    let sink = Options::new()
        .recipient("admin@a.example", "554 5.7.1 relay access denied")
        .start();
    refused(
        &host(sink.port()),
        "sendmail root",
        "x\n",
        69,
        "554 5.7.1 relay access denied",
    );
}

#[test]
fn a_mail_refused_after_the_dot_is_69() {
    let sink = Options::new().dot("554 5.6.0 spam").start();
    refused(
        &host(sink.port()),
        "sendmail -t",
        "To: root\n\nx\n",
        69,
        "554 5.6.0 spam",
    );
}

#[test]
fn a_mail_that_was_refused_is_kept_for_the_operator_and_named() {
    let sink = Options::new().dot("554 5.6.0 spam").start();
    let sandbox = host(sink.port());
    let outcome = call("sendmail root").stdin("x\n").run(&sandbox, true).run();
    let failed = sandbox.queue_names("failed");
    let id = failed
        .iter()
        .find_map(|name| name.strip_suffix(".msg"))
        .unwrap();
    one_line(&outcome, id);
}

#[test]
fn settings_that_cannot_be_are_78() {
    let sandbox = host(1);
    sandbox.write("home/.config/smail/config.toml", "smtp = \n");
    refused(&sandbox, "sendmail root", "x\n", 78, "config.toml:1");
    sandbox.write("home/.config/smail/config.toml", "nonsense = 1\n");
    refused(&sandbox, "sendmail root", "x\n", 78, "nonsense");
    sandbox.write_mode(
        "home/.config/smail/config.toml",
        "smtp = \"127.0.0.1\"\n",
        0o666,
    );
    refused(
        &sandbox,
        "sendmail root",
        "x\n",
        78,
        "others can write to it",
    );
}

#[test]
fn a_host_without_any_server_says_how_to_name_one() {
    let sandbox = Sandbox::new();
    let aliases = sandbox.write("aliases", "root: admin@a.example\n");
    sandbox.write(
        "home/.config/smail/config.toml",
        format!(
            "aliases-file = \"{}\"\nfrom = \"a@a.example\"\n",
            aliases.display()
        ),
    );
    if std::path::Path::new("/usr/sbin/sendmail").exists() {
        println!("skipped: this host has a sendmail");
        return;
    }
    refused(&sandbox, "sendmail root", "x\n", 78, "hint: ");
}

#[test]
fn a_name_that_nothing_resolves_is_65() {
    let sandbox = host_with(1, "hostname = \"web1\"");
    if std::fs::metadata("/etc/mailname").is_ok()
        || hostname::get().unwrap().to_string_lossy().contains('.')
    {
        println!("skipped: this host gives its names a domain");
        return;
    }
    refused(
        &sandbox,
        "sendmail webmaster",
        "x\n",
        65,
        "`webmaster` has no domain, and no alias has this name",
    );
}

#[test]
fn an_option_without_its_value_and_the_subject_of_mail_are_64() {
    let sandbox = host(1);
    refused(&sandbox, "sendmail -f", "x\n", 64, "`-f` needs a value");
    refused(
        &sandbox,
        "sendmail --json -f",
        "x\n",
        64,
        "`-f` needs a value",
    );
    refused(
        &sandbox,
        "sendmail -s subject root",
        "x\n",
        64,
        "`-s` is an option of mail",
    );
}

#[test]
fn a_login_that_is_refused_waits_in_silence_and_is_77_without_a_queue() {
    let sink = Options::new().login("me", "right").start();
    let settings = "auth-user = \"me\"\nauth-password = \"wrong\"\nauth-in-clear = true";
    let sandbox = host_with(sink.port(), settings);
    silent(
        &call("sendmail root").stdin("x\n").run(&sandbox, true).run(),
        "queued",
    );
    assert_eq!(sandbox.entries().len(), 1);
    let outcome = call("sendmail root")
        .stdin("x\n")
        .run(&sandbox, false)
        .run();
    assert_eq!(outcome.status, 77);
    one_line(&outcome, "535 5.7.8");
    assert!(!outcome.stderr.contains("wrong"));
}

#[test]
fn a_server_that_is_down_is_75_with_its_address() {
    let place = Place::reserve();
    let outcome = call("sendmail root")
        .stdin("x\n")
        .run(&host(place.port()), false)
        .run();
    assert_eq!(outcome.status, 75);
    one_line(&outcome, &format!("127.0.0.1:{}", place.port()));
}

#[test]
fn a_mail_without_an_end_stops_at_the_limit_on_every_road() {
    let sink = Options::new().start();
    let sandbox = host_with(sink.port(), "max-size = \"1M\"\n");
    let endless = format!("Subject: s\n\n{}", "y\n".repeat(1 << 20));
    for line in ["sendmail root", "sendmail -t root", "sendmail -i -odq root"] {
        refused(
            &sandbox,
            line,
            &endless,
            65,
            "the message is larger than 1048576 bytes",
        );
    }
    // What is over by one, and what is not.
    let just = |length: usize| {
        format!(
            "To: root\n\n{}\n",
            "y".repeat(length - "To: root\n\n\n".len())
        )
    };
    refused(
        &sandbox,
        "sendmail -t",
        &just((1 << 20) + 1),
        65,
        "the message is larger than 1048576 bytes",
    );
    silent(
        &call("sendmail -t")
            .stdin(just(1 << 20))
            .run(&sandbox, true)
            .run(),
        "at the limit",
    );
    let dialogue = |text: &str| {
        let text = format!(
            "HELO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<root>\r\nDATA\r\n{text}.\r\nQUIT\r\n"
        );
        call("sendmail -bs")
            .stdin(text.replace("\r\n", "\n").replace('\n', "\r\n"))
            .run(&sandbox, true)
            .run()
            .stdout
    };
    assert!(dialogue(&endless).contains("552 5.3.4 The message exceeds the size limit"));
    assert!(dialogue("Subject: s\n\nx\n").contains("250 2.0.0 queued as "));
}
