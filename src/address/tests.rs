//! Facts about addresses and aliases.
use std::time::{Duration, Instant};

use super::*;

mod sound;

fn shown(text: &str) -> String {
    match parse_word(text) {
        Ok(list) => list
            .iter()
            .map(Mailbox::to_string)
            .collect::<Vec<_>>()
            .join(" | "),
        Err(error) => format!("{}: {}", error.at, error.reason),
    }
}

#[test]
fn what_people_write_is_read() {
    let rows = [
        ("a@b.example", "a@b.example"),
        ("Bob B <bob@x>", "Bob B <bob@x>"),
        ("\"Doe, John\" <j@x>", "Doe, John <j@x>"),
        ("Support (Billing) <a@y>", "Support (Billing) <a@y>"),
        ("Support (A) B (C) <a@y> (D)", "Support (A) B (C) <a@y>"),
        ("(Billing) <a@y>", "Billing <a@y>"),
        ("Re: Support <a@y>", "Re: Support <a@y>"),
        ("5\" disks <a@y>", "5\" disks <a@y>"),
        ("Smith; Jones & Co <a@y>", "Smith; Jones & Co <a@y>"),
        (
            "Big Corp, Sales <a@y>, B <b@y>",
            "Big Corp, Sales <a@y> | B <b@y>",
        ),
        ("Doe, John <j@x>", "Doe | John <j@x>"),
        ("jim@gmail.com(Jim Hall)", "Jim Hall <jim@gmail.com>"),
        ("a@b (a (nested) comment)", "a (nested) comment <a@b>"),
        ("a@x,b@x", "a@x | b@x"),
        ("a@x,, ,b@x,", "a@x | b@x"),
        ("a@x b@x", "a@x | b@x"),
        ("a@x b@x, C <c@x>", "a@x | b@x | C <c@x>"),
        ("root admin", "root | admin"),
        ("grp: a@b, c@d;", "a@b | c@d"),
        ("undisclosed-recipients:;", ""),
        ("< a@b >", "a@b"),
        ("a+b@x", "a+b@x"),
        ("o'neil@x", "o'neil@x"),
        ("\"q s\"@x", "\"q s\"@x"),
        ("<\"q s\"@x>", "\"q s\"@x"),
        ("a@[127.0.0.1]", "a@[127.0.0.1]"),
        ("a@[IPv6:::1]", "a@[IPv6:::1]"),
        ("user@exämple.com", "user@xn--exmple-cua.com"),
        ("a@中文.com", "a@xn--fiq228c.com"),
        ("ü@b.example", "ü@b.example"),
        ("docomo..x.@docomo.ne.jp", "docomo..x.@docomo.ne.jp"),
        ("Jörg M. <j@x>", "Jörg M. <j@x>"),
        ("[tag] <a@x>", "[tag] <a@x>"),
        ("a@x <a@x>", "a@x <a@x>"),
    ];
    for (text, want) in rows {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn among_authors_a_word_without_a_domain_belongs_to_the_name_behind_it() {
    let shown = |text: &str| match parse_authors(text) {
        Ok(list) => list
            .iter()
            .map(Mailbox::to_string)
            .collect::<Vec<_>>()
            .join(" | "),
        Err(error) => format!("{}: {}", error.at, error.reason),
    };
    let rows = [
        ("Acme, Inc. <shop@y>", "Acme, Inc. <shop@y>"),
        ("Doe, John <j@x>", "Doe, John <j@x>"),
        (
            "Doe, John <j@x>, Roe, Ann <a@x>",
            "Doe, John <j@x> | Roe, Ann <a@x>",
        ),
        ("\"Acme\", Inc. <shop@y>", "Acme, Inc. <shop@y>"),
        ("Acme, Inc. (EU) <shop@y>", "Acme, Inc. (EU) <shop@y>"),
        ("a@x, Bob <b@x>", "a@x | Bob <b@x>"),
        ("root", "root"),
        ("a@@x, Bob <b@x>", "2: a second `@`"),
        ("g: a@x, Bob <b@x>", "1: this group has no `;` at its end"),
        ("Acme, Inc. <shop>", "Acme | Inc. <shop>"),
    ];
    for (text, want) in rows {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn line_ends_separate_full_addresses_and_nothing_else() {
    let rows = [
        ("a@x\nb@x\n", "a@x | b@x"),
        ("\r\na@x\r\n\r\nB B <b@x>, c@x\r\n", "a@x | B B <b@x> | c@x"),
        ("a@[IPv6:::1]\nb@x d@x", "a@[IPv6:::1] | b@x | d@x"),
        ("a@x\nBcc: b@x", "3: this group has no `;` at its end"),
        (
            "a@x\nBcc: b@x;",
            "3: in a list of several lines, each line must be an address",
        ),
        (
            "a@x\nBcc: B <b@x>",
            "3: in a list of several lines, each line must be an address",
        ),
        (
            "a@x\nDATA",
            "0: in a list of several lines, each address needs a domain",
        ),
        (
            "a@x\r\nRCPT TO:<b@x>",
            "7: in a list of several lines, each line must be an address",
        ),
        ("a@x\rb@x", "3: a control character"),
        ("\"a@x\nb\" <c@x>", "0: this quote is not closed"),
    ];
    for (text, want) in rows {
        assert_eq!(shown(text), want, "{text:?}");
    }
}

#[test]
fn what_is_no_address_is_refused_at_the_character() {
    let rows = [
        (
            "a b@x",
            "2: an address after a name must be enclosed in `<` and `>`",
        ),
        ("a@x;b@x", "3: expected commas between the addresses"),
        ("a@", "2: nothing follows the `@`"),
        ("@x", "0: nothing precedes the `@`"),
        ("a@b@c", "3: a second `@`"),
        ("<a@b", "0: this `<` has no matching `>`"),
        ("a@b>", "3: this `>` has no matching `<`"),
        ("\"a", "0: this quote is not closed"),
        ("(a", "0: this comment is not closed"),
        ("g: a@b", "1: this group has no `;` at its end"),
        ("a@b\r\nRCPT TO:<c>", "7: this group has no `;` at its end"),
        ("a@b\u{2028}c", "3: a control character"),
        (
            "\"v@evil\"@b",
            "0: `@` is not allowed inside a quoted local part: servers interpret it differently",
        ),
        (
            "\"a> ORCPT=x\"@b",
            "0: `>` is not allowed inside a quoted local part: servers interpret it differently",
        ),
        ("=?utf-8?q?a?=@b", "0: an encoded word cannot be an address"),
        ("|sh", "0: `|` is not allowed here"),
        (
            "/etc/x",
            "0: files, directories, options and commands cannot be recipients",
        ),
        (
            "./f",
            "0: files, directories, options and commands cannot be recipients",
        ),
        (
            "+box",
            "0: files, directories, options and commands cannot be recipients",
        ),
        (
            "~/X",
            "0: files, directories, options and commands cannot be recipients",
        ),
        (
            "%h",
            "0: files, directories, options and commands cannot be recipients",
        ),
        ("`id`@b", "0: ``` is not allowed here"),
        (
            "$(id)@b",
            "5: an address after a name must be enclosed in `<` and `>`",
        ),
        ("a@-b", "2: a label of the domain begins or ends with `-`"),
        ("a@b..c", "2: the domain has an empty label"),
        ("a@b!c", "3: `!` is not allowed in a domain"),
        ("a@[1.2.3]", "3: this is not an IP address"),
        (
            "a@b <c@d> e",
            "10: unexpected text after the address; is a comma missing?",
        ),
        ("<@route:a@b>", "1: nothing precedes the `@`"),
        (
            "<\"a b\">",
            "1: expected `@` and a domain after the quoted local part",
        ),
        (
            "<\"\">",
            "1: expected `@` and a domain after the quoted local part",
        ),
        (
            "\"a\\\r\\\nNOOP\\\r\\\n\"@z.example",
            "3: a control character",
        ),
        ("(\\\n) a@b", "0: this comment is not closed"),
        ("\"a\tb\"@x", "2: a control character"),
        ("<\"a\tb\"@x>", "3: a control character"),
        ("<a\t@x>", "2: a control character"),
    ];
    for (text, want) in rows {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn an_address_is_as_long_as_a_command_can_hold_and_a_domain_as_the_standard_says() {
    for long in [
        "a".repeat(65),
        "a".repeat(496),
        format!("\"{}\"", "a b".repeat(100)),
        "é".repeat(100),
    ] {
        let text = format!("{long}@b");
        assert_eq!(shown(&text), text);
        assert_eq!(shown(&format!("N <{text}>")), format!("N <{text}>"));
    }
    assert_eq!("MAIL FROM:<@b>\r\n".len() + 496, 512);
    let why = "0: it is longer than 498 bytes, the most that fits into a command";
    assert_eq!(shown(&format!("{}@b", "a".repeat(497))), why);
    assert_eq!(shown(&"a".repeat(499)), why);
    let label = "d".repeat(63);
    assert!(parse_list(&format!("a@{label}.{label}.{label}")).is_ok());
    assert!(parse_list(&format!("a@{label}.{label}.{label}.{label}")).is_ok());
    assert!(parse_list(&format!("a@{label}.{label}.{label}.{label}.d")).is_err());
    assert!(parse_list(&format!("a@{label}d")).is_err());
}

/// A megabyte of what a stranger may write, each made to cost as much as it can.
fn megabytes() -> Vec<String> {
    const MEGABYTE: usize = 1_000_000;
    let mut texts: Vec<String> = [
        "(", "<", "\"", ";", ",", "a@b,", "\\", " ", "[", "a:", "é", "a b ", "a@x b@x ", "\"a\"",
        "(a)", "a:b;", "g:a@b;,",
    ]
    .iter()
    .map(|piece| piece.repeat(MEGABYTE / piece.len()))
    .collect();
    let long = "x".repeat(MEGABYTE);
    // Distinct characters are what IDNA finds hardest.
    let distinct: String = ('\u{4e00}'..='\u{9fff}')
        .cycle()
        .take(MEGABYTE / 3)
        .collect();
    texts.extend([
        format!("a@{long}"),
        format!("a@{distinct}"),
        format!("a@{}b", "a.".repeat(MEGABYTE / 2)),
        format!("\"{long}\"@b"),
        format!("\"{long}\" <a@b>"),
        format!(
            "a@b ({}{})",
            "(".repeat(MEGABYTE / 2 - 1),
            ")".repeat(MEGABYTE / 2 - 1)
        ),
        format!("{}:a@b;", "a ".repeat(MEGABYTE / 2)),
        format!("\"{}\" <a@b>", "\\x".repeat(MEGABYTE / 2)),
        format!("{long}\u{0}"),
    ]);
    texts
}

/// The time is that of a build without optimisation on a busy machine, and a thousandth of what a
/// square would take.
#[test]
fn a_megabyte_of_anything_ends_quickly_and_in_one_short_line() {
    for text in megabytes() {
        let start = Instant::now();
        for parsed in [parse_word(&text), parse_list(&text)] {
            if let Err(error) = parsed {
                assert!(error.to_string().len() < 1200, "{error}");
                assert!(error.pointer().len() < 1200, "{error}");
            }
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}: {:.40}",
            start.elapsed(),
            text
        );
    }
}

#[test]
fn the_pointer_stands_under_the_character() {
    let error = parse_list("ann@exa!mple").unwrap_err();
    assert_eq!(error.pointer(), "ann@exa!mple\n       ^");
    let error = parse_list("änn@exa!mple").unwrap_err();
    assert_eq!(error.pointer(), "änn@exa!mple\n       ^");
}

#[test]
fn a_bare_name_is_qualified_and_a_full_address_is_not() {
    let root = Address::parse("root").unwrap();
    assert!(root.is_bare());
    assert_eq!(
        root.qualify("x.example").unwrap().to_string(),
        "root@x.example"
    );
    assert_eq!(
        Address::parse("a@b")
            .unwrap()
            .qualify("x")
            .unwrap()
            .to_string(),
        "a@b"
    );
}

fn expand(aliases: &Aliases, word: &str) -> Result<String, AliasError> {
    let list = aliases.expand(parse_word(word).unwrap())?;
    Ok(list
        .iter()
        .map(Mailbox::to_string)
        .collect::<Vec<_>>()
        .join(" | "))
}

#[test]
fn aliases_append_nest_and_keep_names() {
    let mut aliases = Aliases::default();
    aliases.add("team", ["ann@x".into(), "Bob <bob@x>".into()], "rc:1");
    aliases.add("team", ["carl".into()], "rc:2");
    aliases.add("carl", ["carl@y, carl@z".into()], "rc:3");
    aliases.add("me", ["me".into(), "me@home".into()], "rc:4");
    assert_eq!(
        expand(&aliases, "team,d@x").unwrap(),
        "ann@x | Bob <bob@x> | carl@y | carl@z | d@x"
    );
    assert_eq!(expand(&aliases, "Team").unwrap(), "Team");
    assert_eq!(expand(&aliases, "me").unwrap(), "me | me@home");
}

#[test]
fn an_alias_loop_is_named() {
    let mut aliases = Aliases::default();
    aliases.add("a", ["b".into()], "rc:1");
    aliases.add("b", ["c".into()], "rc:2");
    aliases.add("c", ["a".into()], "rc:3");
    assert_eq!(
        expand(&aliases, "a").unwrap_err().to_string(),
        "the alias `a` refers to itself: a -> b -> c -> a"
    );
}

#[test]
fn an_alias_to_a_command_is_refused_where_it_was_said() {
    let mut aliases = Aliases::default();
    aliases.add("x", ["|cmd".into()], "~/.mailrc:7");
    assert_eq!(
        expand(&aliases, "x").unwrap_err().to_string(),
        "alias `x` (~/.mailrc:7): `|cmd` is not an address: `|` is not allowed here"
    );
}

#[test]
fn aliases_that_double_at_every_level_end() {
    let mut aliases = Aliases::default();
    for level in 0..24 {
        let next = format!("n{}", level + 1);
        aliases.add(&format!("n{level}"), [next.clone(), next], "rc:1");
    }
    aliases.add("n24", ["end@x".into(), "end@y".into()], "rc:1");
    assert!(matches!(
        expand(&aliases, "n0"),
        Err(AliasError::TooMuch(_))
    ));
}
