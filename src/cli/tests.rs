//! Facts about the command line.
use super::sendmail::Mode;
use super::*;

fn args(words: &[&str]) -> Args {
    parse(
        std::iter::once("smail")
            .chain(words.iter().copied())
            .map(OsString::from),
    )
    .unwrap()
}

fn refused(words: &[&str]) -> (String, Option<String>) {
    match parse(
        std::iter::once("smail")
            .chain(words.iter().copied())
            .map(OsString::from),
    ) {
        Err(Error::Usage { what, hint }) => (what, hint),
        other => panic!("{other:?}"),
    }
}

#[test]
fn clap_finds_no_contradiction_in_the_flags() {
    command().debug_assert();
}

#[test]
fn options_are_permuted_clustered_and_glued() {
    let a = args(&["a@x", "-Essubj", "b@x", "-cc@x", "-d"]);
    assert_eq!(a.operands, ["a@x", "b@x"]);
    assert_eq!(a.subject.unwrap(), "subj");
    assert_eq!(a.cc, ["c@x"]);
    assert!(a.skip_empty && a.dry_run);
}

#[test]
fn the_last_subject_wins_and_lists_add_up() {
    let a = args(&["-s", "one", "-s", "two", "-c", "a@x", "-c", "b@x", "c@x"]);
    assert_eq!(a.subject.unwrap(), "two");
    assert_eq!(a.cc, ["a@x", "b@x"]);
}

#[test]
fn a_subject_may_begin_with_a_dash() {
    assert_eq!(
        args(&["-s", "-10 degrees", "a@x"]).subject.unwrap(),
        "-10 degrees"
    );
    assert_eq!(args(&["--subject=-s", "a@x"]).subject.unwrap(), "-s");
    assert_eq!(args(&["-s", "", "a@x"]).subject.unwrap(), "");
}

#[test]
fn words_after_two_dashes_are_recipients_or_sendmail_options() {
    assert_eq!(
        args(&["-s", "x", "--", "-oQ/tmp@b.com", "c@x"]).operands,
        ["-oQ/tmp@b.com", "c@x"]
    );
    let a = args(&["a@x", "--", "-f", "me@y", "-FMe My", "-oi", "-t"]);
    assert_eq!(
        (a.envelope_from.as_deref(), a.full_name.as_deref()),
        (Some("me@y"), Some("Me My"))
    );
    assert_eq!(
        args(&["a@x", "--", "-fme@y"]).envelope_from.as_deref(),
        Some("me@y")
    );
    assert_eq!(args(&["a@x", "--", "b@x"]).operands, ["a@x", "b@x"]);
    assert_eq!(
        refused(&["a@x", "--", "-X/tmp/x"]).0,
        "`-X/tmp/x` after `--` is not an option that smail can pass on"
    );
    assert_eq!(refused(&["a@x", "--", "-f"]).0, "`-f` needs a value");
    assert_eq!(
        refused(&["a@x", "--", "-ü"]).0,
        "`-ü` after `--` is not an option that smail can pass on"
    );
}

#[test]
fn a_quoted_file_never_eats_a_flag() {
    assert_eq!(args(&["-q", "f", "a@x"]).quote_file, Some("f".into()));
    assert_eq!(
        refused(&["-q", "-s", "x", "a@x"]).0,
        "`--quote-file` needs a value"
    );
    assert_eq!(args(&["-q", "-", "a@x"]).quote_file, Some("-".into()));
}

#[test]
fn html_takes_a_file_only_behind_an_equals_sign() {
    assert_eq!(args(&["--html", "a@x"]).html, Some("-".into()));
    assert_eq!(args(&["--html=f.html", "a@x"]).html, Some("f.html".into()));
}

#[test]
fn odd_letters_are_flags() {
    let a = args(&[
        "-~", "-#", "-.", "-:/", "-X", "set x", "-Yset y", "-vv", "-inNBI", "a@x",
    ]);
    assert_eq!(a.resource_files.as_deref(), Some("/"));
    assert_eq!(
        (a.startup_cmd, a.cmd, a.verbose),
        (vec!["set x".to_owned()], vec!["set y".to_owned()], 2)
    );
    assert!(a.enable_cmd_escapes && a.batch_mode && a.no_system_rc);
}

#[test]
fn the_long_names_of_s_nail_and_gnu_mail_are_known() {
    for words in [
        ["--subject=x", "--from-address=a@x", "--custom-header=A: b"],
        [
            "--return-address=a@x",
            "--append=A: b",
            "--content-type=text/html",
        ],
        ["--account=a", "--set=a=b", "--quote-file=f"],
        ["--resource-files=/", "--startup-cmd=x", "--target=cc: a@x"],
        ["--debug", "--norc", "--end-options"],
        [
            "--discard-empty-messages",
            "--batch-mode",
            "--enable-cmd-escapes",
        ],
    ] {
        args(&words);
    }
}

#[test]
fn reading_is_refused() {
    let (what, hint) = refused(&["-f", "a@x"]);
    assert_eq!(what, "`-f` reads mail, but smail only sends it");
    assert_eq!(hint.unwrap(), "use `-r ADDRESS` to set the envelope sender");
}

#[test]
fn mistakes_are_named_and_the_nearest_flag_too() {
    assert_eq!(
        refused(&["--subjet", "x"]),
        (
            "unknown option `--subjet`".into(),
            Some("did you mean `--subject`?".into())
        )
    );
    assert_eq!(refused(&["-s"]).0, "`--subject` needs a value");
    assert_eq!(refused(&["-Z", "a@x"]).0, "unknown option `-Z`");
    assert_eq!(refused(&["--dry-run=x"]).0, "`--dry-run` takes no value");
    assert_eq!(
        refused(&["-t", "-M", "text/html"]).0,
        "`-M` cannot be used together with `-t`"
    );
    assert_eq!(
        refused(&["--generate", "mn"]).0,
        "invalid value `mn` for `--generate`"
    );
}

#[test]
fn the_name_smail_is_called_by_chooses_the_command_line() {
    let called = |words: &[&str]| parse(words.iter().map(OsString::from)).unwrap();
    let mode = |words: &[&str]| called(words).sendmail.map(|request| request.mode);
    let rows: [(&[&str], Option<Mode>); 10] = [
        (&["/usr/bin/mailq"], Some(Mode::List)),
        (&["/usr/sbin/sendmail", "-bp"], Some(Mode::List)),
        (&["sendmail", "-q"], Some(Mode::Flush)),
        (&["send-mail", "a@x"], Some(Mode::Deliver)),
        (&["newaliases"], Some(Mode::Aliases)),
        (&["runq"], Some(Mode::Flush)),
        (&["smail", "--as", "sendmail", "-bs"], Some(Mode::Dialogue)),
        // Whoever writes recipients into the command line of sendmail must not reach the options of
        // mailx.
        (&["sendmail", "--as", "mailx", "a@x"], Some(Mode::Deliver)),
        (&["/usr/bin/mail", "a@x"], None),
        (&["smail", "-bp"], None),
    ];
    for (words, wanted) in rows {
        assert_eq!(mode(words), wanted, "{words:?}");
        assert_eq!(
            is_sendmail(&words.iter().map(OsString::from).collect::<Vec<_>>()),
            wanted.is_some(),
            "{words:?}"
        );
    }
    assert_eq!(called(&["smail", "-bp"]).bcc, ["p"]);
}

#[test]
fn the_letter_e_swallows_a_command_of_gnu_mail_and_nothing_else() {
    let read = |words: &[&str]| parse(words.iter().map(OsString::from)).unwrap();
    let rows: [(&[&str], bool, &[&str]); 6] = [
        (
            &["mail", "-E", "set escape", "-s", "x", "a@x"],
            false,
            &["a@x"],
        ),
        (
            &["mail", "-E", "set nonullbody", "-E", "a@x"],
            true,
            &["a@x"],
        ),
        (&["mail", "-E", "-s", "x", "root"], true, &["root"]),
        (&["mail", "-E", "root"], true, &["root"]),
        (&["mail", "-E", "Joe <a@x>"], true, &["Joe <a@x>"]),
        (
            &["mail", "--", "-E", "set escape"],
            false,
            &["-E", "set escape"],
        ),
    ];
    for (words, skip_empty, operands) in rows {
        let args = read(words);
        assert_eq!(
            (args.skip_empty, args.operands),
            (
                skip_empty,
                operands.iter().map(|o| (*o).to_owned()).collect()
            ),
            "{words:?}"
        );
    }
}

#[test]
fn another_name_is_given_in_the_first_word_only() {
    let refused = |words: &[&str]| {
        matches!(
            parse(words.iter().map(OsString::from)),
            Err(Error::Usage { .. })
        )
    };
    assert!(refused(&["smail", "--as", "postfix", "a@x"]));
    assert!(refused(&["smail", "--as"]));
    assert!(refused(&["mailx", "--as", "sendmail", "a@x"]));
    assert!(refused(&["smail", "-s", "x", "--as", "sendmail", "a@x"]));
    let subject = parse(["smail", "-s", "--as", "a@x"].map(OsString::from))
        .unwrap()
        .subject;
    assert_eq!(subject, Some("--as".into()));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let text = |flag: &str| match parse(["smail".into(), flag.into()]) {
        Err(Error::Print(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(text("--version").starts_with("smail "));
    assert_eq!(text("-h"), text("--help"));
    assert!(text("-h").contains("Examples:"));
}

#[test]
fn command_lines_of_any_words_take_linear_time() {
    use crate::pace::assert_linear;
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("recipients", &["smail"], &["a@x"]),
        ("what GNU mail takes", &["smail"], &["-E", "set x"]),
        ("copies", &["smail"], &["-c", "b@x"]),
        ("settings", &["smail", "a@x"], &["-S", "x=y"]),
        ("words behind", &["smail", "a@x", "--"], &["-f", "b@x"]),
        (
            "recipients of sendmail",
            &["smail", "--as", "sendmail"],
            &["a@x"],
        ),
        ("letters", &["smail", "--as", "sendmail"], &["-iiiiiiii"]),
        (
            "long letters",
            &["smail", "--as", "sendmail"],
            &["--x", "-F", "y"],
        ),
        ("filters", &["smail", "--as", "sendmail"], &["-qRx"]),
    ];
    for (name, begin, more) in rows {
        let make = |size: usize| {
            // A system hands over two megabytes, eight of them for the address of each word.
            let more = more.iter().cycle().take(size / 16);
            begin
                .iter()
                .chain(more)
                .map(OsString::from)
                .collect::<Vec<_>>()
        };
        assert_linear(name, make, |words| drop(parse(words)));
    }
}

#[test]
fn a_switch_counts_only_where_it_is_one() {
    let rows: &[(&[&str], bool)] = &[
        (&["--json", "--nope"], true),
        (&["--nope", "--json"], true),
        (&["-v", "--json"], true),
        (&["-sx", "--json"], true),
        (&["-s", "x", "--json"], true),
        (&["--from=a@x", "--json"], true),
        (&["-s", "--json", "--nope"], false),
        (&["-vs", "--json", "--nope"], false),
        (&["--subject", "--json", "--nope"], false),
        (&["--to", "--json", "--nope"], false),
        (&["--nope", "--", "--json"], false),
        (&["-s--json", "--nope"], false),
        (&["json"], false),
    ];
    for (words, wanted) in rows {
        let words: Vec<_> = ["smail"]
            .iter()
            .chain(*words)
            .map(std::ffi::OsString::from)
            .collect();
        assert_eq!(super::has_switch(&words, "json"), *wanted, "{words:?}");
    }
}
