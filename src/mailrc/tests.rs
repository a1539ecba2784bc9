//! The grammar, rule by rule.
use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::{Context, Dialect, Item, RcFile, one_line, parse, read};

fn switches(name: &str) -> bool {
    matches!(
        name,
        "smtp-use-starttls"
            | "sendwait"
            | "verbose"
            | "v15-compat"
            | "tls-ca-no-defaults"
            | "skipemptybody"
            | "save"
    )
}

fn variables(name: &str) -> Option<String> {
    (name == "FOO").then(|| "bar".to_owned())
}

pub(super) const WORLD: Context<'static> = Context {
    home: None,
    stdin_is_terminal: false,
    variables: &variables,
    known: &switches,
    dialect: Dialect::Old,
};

fn render(items: &[Item], indent: &str, out: &mut String) {
    for item in items {
        match item {
            Item::Set {
                name,
                value: Some(value),
                ..
            } => writeln!(out, "{indent}{name}={value}"),
            Item::Set {
                name, value: None, ..
            } => writeln!(out, "{indent}{name}"),
            Item::Unset { name, .. } => writeln!(out, "{indent}unset {name}"),
            Item::Alias { name, members, .. } => {
                writeln!(out, "{indent}alias {name}: {}", members.join(" | "))
            }
            Item::Unalias { names, .. } => writeln!(out, "{indent}unalias {}", names.join(" ")),
            Item::UseAccount { name, .. } => writeln!(out, "{indent}use {name}"),
            Item::Account { name, .. } => writeln!(out, "{indent}account {name}:"),
        }
        .expect("a string takes any text");
        if let Item::Account { items, .. } = item {
            render(items, "  ", out);
        }
    }
}

/// What a file says, a line an item.
pub(super) fn rendered(file: &RcFile) -> String {
    let mut out = String::new();
    render(&file.items, "", &mut out);
    out
}

fn remarks(list: &[(super::Place, String)]) -> Vec<String> {
    list.iter()
        .map(|(place, text)| format!("{}:{}: {text}", place.path.display(), place.line))
        .collect()
}

pub(super) fn said(text: &str) -> String {
    rendered(&parse(text.as_bytes(), Path::new("rc"), &WORLD))
}

fn warned(text: &str) -> Vec<String> {
    remarks(&parse(text.as_bytes(), Path::new("rc"), &WORLD).warnings)
}

fn noted(text: &str) -> Vec<String> {
    remarks(&parse(text.as_bytes(), Path::new("rc"), &WORLD).notes)
}

#[test]
fn within_quotes_only_that_quote_is_escaped_and_outside_every_character() {
    let text = r#"set v_a="x y" v_b='p"q' v_c="p\"q" v_d=un\ quoted v_e="back\slash" v_f="a\\b" v_g='a\b' v_h=a\b"#;
    assert_eq!(
        said(text),
        "v_a=x y\nv_b=p\"q\nv_c=p\"q\nv_d=un quoted\nv_e=back\\slash\nv_f=a\\\\b\nv_g=a\\b\nv_h=ab\n"
    );
}

#[test]
fn blanks_around_the_equals_sign_are_forgiven() {
    assert_eq!(
        said("set v_a = spaced\nset v_after=1"),
        "v_a=spaced\nv_after=1\n"
    );
    assert_eq!(
        said("set a= b\nset c =d\nset e = f g = h"),
        "a=b\nc=d\ne=f\ng=h\n"
    );
    assert_eq!(
        said("set hostname=yandex.com smtp-hostname="),
        "hostname=yandex.com\nsmtp-hostname=\n"
    );
    assert_eq!(
        said("set a= b=1\nset c= sendwait\nset d=\"\" e=2\nset f ="),
        "a=\nb=1\nc=\nsendwait\nd=\ne=2\nf=\n"
    );
    assert_eq!(said("set pw = #x\nset a = # nothing"), "pw=#x\na=\n");
}

#[test]
fn a_remark_behind_a_value_sets_nothing() {
    assert_eq!(
        said("set v_a=val # comment\nset v_b=val#x"),
        "v_a=val\nv_b=val#x\n"
    );
    assert_eq!(
        said("set from=x@y # sender\nset from=x@y  // sender replyto"),
        "from=x@y\nfrom=x@y\n"
    );
    assert_eq!(
        said("set from=x@y (the sender)\nset smtp=h  `smtp`"),
        "from=x@y\nsmtp=h\n"
    );
    assert_eq!(
        said("set smtp-user-starttls   #typo\nset from=x@y\t#a=b"),
        "smtp-user-starttls\nfrom=x@y\n"
    );
    assert_eq!(
        said("set v_a=\"a # b\" v_b=a\\ # c"),
        "v_a=a # b\nv_b=a #\n"
    );
    assert_eq!(
        noted("set smtp-auth-password=abcd efgh ijkl"),
        ["rc:1: 2 word(s) after a value are ignored; quote a value that contains spaces"]
    );
}

#[test]
fn half_an_address_is_not_dropped_in_silence() {
    let torn = "rc:1: an address after a value is ignored; quote a value that contains spaces";
    assert_eq!(warned("set from=Bob Smith <bob@x>"), [torn]);
}

#[test]
fn a_known_switch_may_follow_a_value_and_any_word_may_precede_one() {
    assert_eq!(
        said("set mta=smtp://h smtp-use-starttls nosendwait"),
        "mta=smtp://h\nsmtp-use-starttls\nunset sendwait\n"
    );
    assert_eq!(
        said("set hold append ask crt=20"),
        "hold\nappend\nask\ncrt=20\n"
    );
}

#[test]
fn a_comment_that_ends_in_a_backslash_swallows_the_next_line() {
    let text = "# full comment \\\nset v_hidden=1\nset v_c=1\n";
    assert_eq!(said(text), "v_c=1\n");
    assert_eq!(
        noted(text),
        ["rc:1: this comment ends with a backslash, so the next line is part of it"]
    );
}

#[test]
fn a_continued_line_joins_and_an_indented_one_starts_a_word() {
    assert_eq!(
        said("set v_a=one\\\ntwo\nset v_b=one \\\n   v_c=two\n"),
        "v_a=onetwo\nv_b=one\nv_c=two\n"
    );
    assert_eq!(said("set a=1\\\n b=2\\\r\n\tc=3"), "a=1\nb=2\nc=3\n");
    assert_eq!(said("set a=1\\\\\nset b=2\\"), "a=1\\\nb=2\n");
}

#[test]
fn byte_order_mark_and_carriage_returns_are_no_part_of_a_value() {
    assert_eq!(
        said("\u{feff}set v_a=crlf\r\nset v_b=last\r\n"),
        "v_a=crlf\nv_b=last\n"
    );
}

#[test]
fn shell_specials_are_plain_text_in_the_old_dialect() {
    let text = "set v_a=p@ss!w$HOME*(x);y&z|<>`\nset v_b=\"p@ss$HOME\"\nset v_d=~/x\nset smtp-auth-password=P@ss$w#rd!&;%40";
    let want =
        "v_a=p@ss!w$HOME*(x);y&z|<>`\nv_b=p@ss$HOME\nv_d=~/x\nsmtp-auth-password=P@ss$w#rd!&;%40\n";
    assert_eq!(said(text), want);
}

#[test]
fn conditions_know_sending_receiving_and_the_terminal() {
    let text = "if s\nset v_send\nelse\nset v_recv\nendif\nif t\nset v_term\nelse\nset v_noterm\nendif\nif r\nset x\nendif";
    assert_eq!(said(text), "v_send\nv_noterm\n");
    let at_terminal = Context {
        stdin_is_terminal: true,
        ..WORLD
    };
    assert_eq!(
        rendered(&one_line("if t\nset v_term\nendif", "-X", &at_terminal)),
        "v_term\n"
    );
}

#[test]
fn conditions_nest_and_an_unknown_one_is_false() {
    let text = "if r\n if s\n set a\n else\n set b\n endif\nelif s\n set c\n if t\n set d\n elif send\n set e\n else\n set f\n endif\nelse\n set g\nendif";
    assert_eq!(said(text), "c\ne\n");
    assert_eq!(said("if [ $x == y ]\nset a\nelse\nset b\nendif"), "b\n");
    assert_eq!(
        noted("if $ttycharset\nendif"),
        ["rc:1: an unsupported condition counts as false"]
    );
}

#[test]
fn lost_ends_are_warned_about_and_change_nothing_else() {
    assert_eq!(warned("if s\nset a"), ["rc:2: an `if` has no `endif`"]);
    assert_eq!(
        warned("else\nendif\nset a"),
        [
            "rc:1: `else` or `endif` without an `if`",
            "rc:2: `else` or `endif` without an `if`"
        ]
    );
    assert_eq!(warned("}\n"), ["rc:1: `}` without a block"]);
    assert_eq!(
        warned("account x {\nset a"),
        ["rc:2: an `account` block has no `}`"]
    );
    assert_eq!(said("account x {\nset a"), "account x:\n  a\n");
    assert_eq!(
        warned("if\nendif"),
        ["rc:1: `if` without a condition counts as false"]
    );
    assert_eq!(
        warned("account x {\nif s\n}\nset a"),
        ["rc:3: an `if` within an account has no `endif`"]
    );
}

#[test]
fn no_before_a_name_unsets_it_even_where_the_name_begins_so() {
    assert_eq!(
        said("set v_x=1\nset nov_x\nset notify=\"a b\"\nset v_y=1"),
        "v_x=1\nunset v_x\nunset tify\nv_y=1\n"
    );
    assert_eq!(
        said("set norecord no\nunset a b"),
        "unset record\nno\nunset a\nunset b\n"
    );
}

#[test]
fn margins_empty_values_and_glued_quotes() {
    let text = "\t  set   v_a=1\tv_b=\"2\"   \nset v_empty=\nset v_bool\nset \"v_q=quoted name\"\nset v_mid=a\"b c\"d'e f'";
    assert_eq!(
        said(text),
        "v_a=1\nv_b=2\nv_empty=\nv_bool\nv_q=quoted name\nv_mid=ab cde f\n"
    );
}

#[test]
fn a_quote_without_its_end_goes_to_the_end_of_the_line() {
    assert_eq!(
        said("set v_a=\"unterminated  \nset v_b=2"),
        "v_a=unterminated\nv_b=2\n"
    );
}

#[test]
fn commands_may_be_shortened_and_case_matters() {
    let text = "se v_a=1\nSET v_b=1\nuns x\na grp a@x\ng grp b@x\nuna grp\nac box\n";
    assert_eq!(
        said(text),
        "v_a=1\nunset x\nalias grp: a@x\nalias grp: b@x\nunalias grp\nuse box\n"
    );
    assert_eq!(noted(text), ["rc:2: not a command; the line is ignored"]);
}

#[test]
fn after_v15_compat_yes_the_shell_dialect_counts() {
    let text = "set v15-compat=yes\nset v_a=\"x $FOO y\" v_b='$FOO' v_c=$FOO v_d=\"q\\\"q\" v_f=\"a\\b\" v_g=\"a\\\\b\"\n\
                set v_i=1;set v_j=2\nset v_k=val # comment\nset v_o=it's\nset v_p=1\n";
    let want = "v15-compat=yes\nv_a=x bar y\nv_b=$FOO\nv_c=bar\nv_d=q\"q\nv_f=a\\b\nv_g=a\\b\nv_i=1\nv_j=2\nv_k=val\nv_p=1\n";
    assert_eq!(said(text), want);
    assert_eq!(
        warned(text),
        ["rc:5: a quote is not closed; the line is skipped"]
    );
    assert_eq!(
        parse(text.as_bytes(), Path::new("rc"), &WORLD).dialect,
        Dialect::Shell
    );
}

#[test]
fn a_bare_v15_compat_changes_no_quoting() {
    assert_eq!(
        said("set v15-compat\nset a=$FOO;x"),
        "v15-compat\na=$FOO;x\n"
    );
    assert_eq!(
        said("set v15-compat=yes\nset nov15-compat\nset a=$FOO"),
        "v15-compat=yes\nunset v15-compat\na=$FOO\n"
    );
}

#[test]
fn wysh_quotes_its_own_line_like_a_shell() {
    assert_eq!(
        said("wysh set a=$FOO b=$'x\\ty'\nset a=$FOO\nignerr wysh set c=${FOO}z"),
        "a=bar\nb=x\ty\na=$FOO\nc=barz\n"
    );
}

#[test]
fn dollar_quotes_know_their_escapes() {
    let text = r"wysh set a=$'\x41\u00e9\U0001F600\101\n\cA\'\$FOO\q' b=$'\xzz\uD800'";
    assert_eq!(
        said(text),
        "a=A\u{e9}\u{1f600}A\n\u{1}'bar\\q\nb=\\xzz\u{fffd}\n"
    );
}

#[test]
fn a_variable_of_the_file_precedes_the_environment() {
    let text = "set v15-compat=yes FOO=mine\nset a=$FOO b=$nowhere c=$ d=${v15-compat}; set e=$a\nset e+=.x; set -r f=1";
    assert_eq!(
        said(text),
        "v15-compat=yes\nFOO=mine\na=mine\nb=\nc=$\nd=yes\ne=mine\ne=mine.x\nf=1\n"
    );
}

#[test]
fn variables_that_double_each_other_are_stopped() {
    let mut text = String::from("set v15-compat=yes\nset a=0123456789\n");
    for _ in 0..64 {
        text.push_str("set a=$a$a\n");
    }
    let file = parse(text.as_bytes(), Path::new("rc"), &WORLD);
    assert!(file.items.len() < 25);
    assert_eq!(
        file.warnings[0].1,
        "the variables of this file expand to too much text; the line is skipped"
    );
}

#[test]
fn the_reading_side_is_silent() {
    let text = "set hold append ask crt dot keep emptybox\nset indentprefix=\"> \"\nignore received in-reply-to message-id references\n\
                retain date from to\nfwdretain subject date from to\nset bsdcompat\nalternates me@x\nshortcut a b\ncolour 256 x y\n\
                headerpick type retain from\nbind base x y\nset from=a@a.example\n";
    let file = parse(text.as_bytes(), Path::new("rc"), &WORLD);
    assert_eq!((file.warnings, file.notes), (vec![], vec![]));
}

#[test]
fn an_account_holds_what_it_says_and_is_used_by_name() {
    let text = "account box {\n localopts yes\n set from=box@a.example\n alias x y@z\n }\nset b=1\naccount box\n";
    assert_eq!(
        said(text),
        "account box:\n  from=box@a.example\n  alias x: y@z\nb=1\nuse box\n"
    );
    assert_eq!(
        said("account \"my box\" { # mine\nset a\n} # end\naccount 'my box' # now"),
        "account my box:\n  a\nuse my box\n"
    );
}

#[test]
fn the_dialect_of_an_account_ends_with_it() {
    let text = "account a {\nset v15-compat=yes\nset x=$FOO\n}\nset y=$FOO";
    assert_eq!(
        said(text),
        "account a:\n  v15-compat=yes\n  x=bar\ny=$FOO\n"
    );
}

#[test]
fn an_account_within_an_account_or_a_dead_branch_is_skipped_whole() {
    let text =
        "account a {\naccount b {\nset x\n}\nset y\n}\nif r\naccount c {\nset z\n}\nendif\nset w";
    assert_eq!(said(text), "account a:\n  y\nw\n");
    assert_eq!(
        warned(text),
        ["rc:2: an `account` within another is skipped"]
    );
}

#[test]
fn macros_are_never_run() {
    let text = "define m {\n set from=evil@x\n}\ncall m\nshell rm -rf /\neval set a=b\nset c=d";
    assert_eq!(said(text), "c=d\n");
    assert_eq!(noted(text).len(), 4);
}

#[test]
fn an_unknown_command_is_noted_without_repeating_what_may_be_a_secret() {
    assert_eq!(
        noted("bogus x\nhunter2\n"),
        [
            "rc:1: not a command; the line is ignored",
            "rc:2: not a command; the line is ignored"
        ]
    );
}

#[test]
fn a_malformed_command_is_a_warning_and_the_next_line_counts() {
    let text = "set =x a=1\nunset\nunalias\nsource\naccount {\n}\naccount a b\nset ok";
    assert_eq!(said(text), "a=1\nok\n");
    assert_eq!(
        warned(text),
        [
            "rc:1: `set` has a value without a name",
            "rc:2: `unset` needs a name",
            "rc:3: `unalias` needs a name",
            "rc:4: `source` needs a file name",
            "rc:5: `account` needs a name",
            "rc:7: `account` needs one name, and `{` at the end of the line to define it",
        ]
    );
}

#[test]
fn places_are_the_first_line_of_a_continued_one() {
    let file = parse(
        b"\n\nset a=1 \\\n b=2\nset c\n",
        Path::new("/home/x/.mailrc"),
        &WORLD,
    );
    let lines = file.items.iter().map(|item| match item {
        Item::Set { name, place, .. } => format!("{name} {}:{}", place.path.display(), place.line),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "a /home/x/.mailrc:3",
            "b /home/x/.mailrc:3",
            "c /home/x/.mailrc:5"
        ]
    );
}

#[test]
fn files_in_gb18030_and_latin_1_are_read() {
    let said = |bytes: &[u8]| rendered(&parse(bytes, Path::new("rc"), &WORLD));
    assert_eq!(
        said(b"set from=x@y # \xca\xda\xc8\xa8\xc2\xeb\nset name=\xd5\xc5\n"),
        "from=x@y\nname=\u{5f20}\n"
    );
    assert_eq!(said(b"set name=J\xf6\n"), "name=J\u{f6}\n");
}

#[test]
fn source_follows_home_and_goes_on_after_a_missing_file() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("more"),
        "set v15-compat=yes from=more@x\nif s\n",
    )
    .unwrap();
    std::fs::write(
        home.path().join("rc"),
        "source ~/more\nsource more\nsource nowhere\nsource 'id |'\nset a=$FOO\n",
    )
    .unwrap();
    let env = Context {
        home: Some(home.path()),
        ..WORLD
    };
    let file = read(&home.path().join("rc"), &env).unwrap();
    assert_eq!(
        rendered(&file),
        "v15-compat=yes\nfrom=more@x\nv15-compat=yes\nfrom=more@x\na=bar\n"
    );
    let at = home.path().display();
    assert_eq!(
        remarks(&file.warnings),
        [
            format!("{at}/more:3: an `if` has no `endif`"),
            format!("{at}/more:3: an `if` has no `endif`"),
            format!(
                "{at}/rc:3: cannot source `{at}/nowhere`: No such file or directory (os error 2)"
            ),
            format!("{at}/rc:4: `source` does not run programs"),
        ]
    );
    assert_eq!(
        file.files
            .iter()
            .map(|file| file.path.ends_with("more"))
            .collect::<Vec<_>>(),
        [false, true, true]
    );
}

#[test]
fn files_that_source_each_other_come_to_an_end() {
    let home = tempfile::tempdir().unwrap();
    let env = Context {
        home: Some(home.path()),
        ..WORLD
    };
    std::fs::write(home.path().join("rc"), "set a\nsource rc\n").unwrap();
    assert_eq!(
        rendered(&read(&home.path().join("rc"), &env).unwrap()),
        "a\n"
    );
    for level in 0..20 {
        let next = level + 1;
        std::fs::write(
            home.path().join(format!("f{level}")),
            format!("source f{next}\nsource f{next}\n"),
        )
        .unwrap();
    }
    std::fs::write(home.path().join("f20"), "set a\n").unwrap();
    let file = read(&home.path().join("f0"), &env).unwrap();
    assert!(file.files.len() <= 257);
    assert!(file.warnings[0].1.contains("source each other endlessly"));
}

#[test]
fn the_null_device_is_an_empty_file_and_a_directory_an_error() {
    let null = read(Path::new("/dev/null"), &WORLD).unwrap();
    assert!(null.items.is_empty());
    assert!(read(Path::new("/dev/zero"), &WORLD).is_err());
    assert!(read(Path::new("/"), &WORLD).is_err());
}

#[test]
fn a_fifo_without_a_writer_does_not_hang() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("fifo");
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    assert!(read(&path, &WORLD).unwrap().items.is_empty());
}

#[test]
fn a_file_tells_who_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("rc");
    std::fs::write(&path, "set a\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(
        read(&path, &WORLD).unwrap().files[0].access.unwrap().mode,
        0o640
    );
}

/// A megabyte of each of these must take about as long as a megabyte of anything; the bound is
/// fifty times what a slow machine needs, and a hundredth of what quadratic behaviour takes.
#[test]
fn a_megabyte_of_anything_is_read_in_linear_time() {
    let patterns: [&str; 14] = [
        "set a=1 ",
        "set a\\\n",
        "\\",
        "\"",
        "if s\nset a\n",
        "if r\nset a\n",
        "account a {\n",
        "account a {\n}\n",
        "${",
        "$a",
        "wysh ",
        "set a = ",
        "bogus\n",
        "set v15-compat=yes\nset a+=xx $a\n",
    ];
    for pattern in patterns {
        for start in [
            "",
            "set v15-compat=yes\nset a=b\n",
            "set v15-compat=yes\nset ",
        ] {
            let text = start.to_owned() + &pattern.repeat((1 << 20) / pattern.len());
            let begun = std::time::Instant::now();
            let file = parse(text.as_bytes(), Path::new("rc"), &WORLD);
            assert!(file.warnings.len() + file.notes.len() <= 202);
            assert!(
                begun.elapsed().as_secs() < 20,
                "{pattern:?} took {:?}",
                begun.elapsed()
            );
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        parse(&bytes, Path::new("rc"), &WORLD);
    }

    #[test]
    fn no_text_of_its_own_words_makes_it_panic(parts in prop::collection::vec(
        prop::sample::select(vec![
            "set ", "a", "=", " ", "\n", "\\", "\"", "'", "#", "//", "$", "{", "}", ";", "if s", "if r", "else", "elif t", "endif",
            "account ", "define ", "wysh ", "v15-compat=yes", "no", "unset ", "alias ", "x y", "\r\n", "$'", "\\x4", "\\u", "+=", "é",
        ]), 0..60)) {
        parse(parts.concat().as_bytes(), Path::new("rc"), &WORLD);
    }

    #[test]
    fn a_quoted_value_comes_back_as_it_was(value in "[^\"\\\\\r\n]{0,40}") {
        let file = parse(format!("set v=\"{value}\"").as_bytes(), Path::new("rc"), &WORLD);
        prop_assert_eq!(rendered(&file), format!("v={value}\n"));
    }
}
