//! `--to-file`: a list of recipients that no header shows, and the words when a line of it is no address.
mod support;

use support::sink::{Options, Sink};
use support::world::{Run, World};

fn smail<'w>(world: &'w World, sink: &Sink, more: &[&str]) -> Run<'w> {
    let smtp = format!("smtp=127.0.0.1:{}", sink.port());
    let mut words = vec!["-S", &smtp, "-S", "tls=none", "-r", "me@a.test", "-s", "subj"];
    words.extend(more);
    world.smail(&words)
}

#[test]
fn a_list_from_a_file_goes_to_everybody_once_and_stands_in_no_header() {
    let (world, sink) = (World::new(), Options::new().start());
    world.write("list", "\u{feff}# all\r\nAnn <ann@a.test>\r\n\r\nbob@a.test, ANN@a.test\r\nops # an alias\r\n");
    let alias = "alias ops carl@a.test";
    let sent = smail(&world, &sink, &["-X", alias, "--to-file", "list", "bob@a.test"]).stdin("words\n").run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    let mail = sink.only_mail();
    assert_eq!(mail.to, ["bob@a.test", "ann@a.test", "carl@a.test"]);
    let text = mail.text();
    assert!(text.contains("To: bob@a.test\r\n") && !text.contains("ann@") && !text.contains("carl@"), "{text}");
}

#[test]
fn a_list_from_standard_input_leaves_the_words_to_a_file() {
    let (world, sink) = (World::new(), Options::new().start());
    let words = world.write("words", "words\n");
    let words = words.to_str().unwrap();
    let refused = smail(&world, &sink, &["--to-file", "-"]).stdin("ann@a.test\n").run();
    assert_eq!(
        (refused.status, refused.stderr.as_str()),
        (
            64,
            "smail: standard input can be read once only: it is wanted by --to-file - and by the text of the mail (`-m FILE` takes it from a file)\n"
        )
    );
    let sent = smail(&world, &sink, &["--to-file", "-", "-m", words]).stdin("ann@a.test\n").run();
    assert_eq!((sent.status, sent.stderr.as_str()), (0, ""));
    assert_eq!(sink.only_mail().to, ["ann@a.test"]);
}

#[test]
fn bad_lines_are_pointed_at_and_nothing_is_sent() {
    let (world, sink) = (World::new(), Options::new().start());
    world.write("list", "ann@a.test\nbob@@a.test\n");
    world.write("lists", "ann@a.test\nbob@@a.test\n\ncarl d\n");
    world.write("none", "# nobody\n");
    let fifo = world.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let rows = [
        ("list", 65, "smail: list:2: `bob@@a.test` is not an address: a second `@`\n  bob@@a.test\n      ^\n"),
        (
            "lists",
            65,
            "smail: 2 lines are no addresses; nothing was sent\n  lists:2: `bob@@a.test` is not an address: a second `@`\n  bob@@a.test\n      ^\n  lists:4: `carl d` is not an address: a blank cannot stand here; is a comma missing?\n  carl d\n       ^\n",
        ),
        ("none", 64, "smail: no recipient is named\n\nhint: smail -s SUBJECT ADDRESS < body\n"),
        ("missing", 66, "smail: missing: No such file or directory\n"),
        ("fifo", 66, "smail: fifo: it is not a regular file; pipe it in with `-`\n"),
    ];
    for (list, status, said) in rows {
        let outcome = smail(&world, &sink, &["--to-file", list]).stdin("words\n").run();
        assert_eq!((outcome.status, outcome.stderr.as_str()), (status, said), "{list}");
    }
    assert_eq!(sink.sessions(), 0);
}

#[test]
fn many_refused_recipients_are_counted_and_not_all_named() {
    let (world, mut sink) = (World::new(), Options::new());
    let names: Vec<String> = (0..25).map(|n| format!("r{n}@a.test")).collect();
    for name in &names {
        sink = sink.recipient(name, "550 5.1.1 unknown");
    }
    let sink = sink.start();
    world.write("list", names.join("\n"));
    let outcome = smail(&world, &sink, &["--to-file", "list"]).stdin("words\n").run();
    assert_eq!(outcome.status, 67);
    assert_eq!(outcome.stderr.matches("550 5.1.1 unknown").count(), 20, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("\n  and 5 more; --json tells of every recipient\n"), "{}", outcome.stderr);
}
