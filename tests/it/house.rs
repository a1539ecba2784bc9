//! The doors of the house: which room may import which, and which outside crates live where. Rules
//! as data; the source is read as text.
use std::fs;
use std::path::{Path, PathBuf};

/// A room, by its module path, and the rooms whose doors are open to it. A row of a longer path
/// takes a part of a room out of it.
#[rustfmt::skip]
const DOORS: &[(&str, &[&str])] = &[
    ("cli",       &[]),
    // What is known of ending processes, and nothing of mail: whoever starts a program comes here.
    ("children",  &[]),
    ("secret",    &["children"]),
    ("address",   &[]),
    ("mime",      &["address"]),
    ("delivery",  &[]),
    // Syntax only: what a name means is asked of the caller.
    ("mailrc",    &[]),
    // Tokens are secrets, and why there is none is a fact of a delivery.
    ("oauth",     &["secret", "delivery"]),
    // What a route is, and how its text is read.
    ("route",     &["secret", "oauth"]),
    // What is known of mail providers.
    ("providers", &["route"]),
    // What a client says to log in; why a server is not believed is a fact of the delivery.
    ("sasl",      &["route", "delivery"]),
    ("settings",  &["cli", "mailrc", "route", "oauth", "providers", "secret", "address"]),
    // From settings to a route.
    ("route::resolve", &["settings", "providers", "route", "oauth", "secret", "address"]),
    ("aliases",   &["settings", "route::resolve", "address"]),
    ("draft",     &["cli", "settings", "route::resolve", "aliases", "address", "mime"]),
    ("message",   &["draft", "address", "mime"]),
    // An envelope is made of addresses, and what to say in RCPT is asked of them. What a provider
    // means by a reply decides what becomes of the mail, before the log hears of it.
    ("transport", &["route", "oauth", "sasl", "secret", "message", "mime", "delivery", "address", "hints", "children"]),
    // An envelope is stored as text and read back as addresses.
    ("queue",     &["route", "message", "mime", "delivery", "transport", "address", "children"]),
    // What a program hands over with sendmail's command line, or in a dialogue, becomes mail by the
    // rules of its settings.
    ("inject", &["cli", "settings", "aliases", "draft", "message", "mime", "address"]),
    ("maillog",       &["settings", "delivery"]),
    ("setup",     &["oauth", "settings", "providers", "route", "mailrc", "secret", "address"]),
    // Providers of one family answer with the same texts.
    ("hints",     &["providers", "delivery"]),
    // The report of a rehearsal; its words for faults are handed in.
    ("check",     &["providers", "transport", "delivery"]),
    ("report",    &["delivery", "queue", "hints"]),
    ("mbox",    &["address", "message", "mime"]),
    // Words and facts become the bytes of a mail, in an encoding of the message.
    ("notice",    &["message", "mime"]),
    // The exit table of the man page is made from the rows that decide the exit.
    ("generate",  &["cli", "settings", "failure"]),
    ("failure",   &["cli", "oauth", "secret", "address", "aliases", "delivery", "settings", "route", "draft", "message", "mime", "transport", "queue", "hints", "mbox", "inject", "setup"]),
];

/// Rooms that the tests of every room may enter: what is typed is where many facts begin.
const FOR_TESTS: &[&str] = &["cli"];

/// The shared floors: they know no room, and every room may stand on them.
const FLOORS: &[&str] = &["environment", "files", "language", "pace", "span", "text"];

/// A path into an outside crate, and the places (a room, or a file) it may be named in.
#[rustfmt::skip]
const OUTSIDE: &[(&str, &[&str])] = &[
    ("lettre::message",   &["message", "mime", "address"]),
    ("lettre::transport", &["transport"]),
    ("native_tls",        &["transport"]),
    ("openssl_probe",     &["environment"]),
    ("x509_cert",         &["transport"]),
    ("tokio",             &["transport"]),
    ("clap",              &["cli", "generate"]),
    ("clap_complete",     &["generate", "cli"]),
    ("clap_mangen",       &["generate"]),
    ("rpassword",         &["secret"]),
    ("hmac",              &["sasl"]),
    ("md5",               &["sasl"]),
    ("sha1",              &["sasl", "oauth"]),
    ("pbkdf2",            &["sasl"]),
    ("stringprep",        &["sasl"]),
    ("httparse",          &["transport"]),
    ("hostname",          &["environment"]),
    ("directories",       &["environment"]),
    ("rsa",               &["oauth"]),
    ("roxmltree",         &["setup"]),
];

/// What no file of the program may hold: unfinished work, and words left from looking for a fault.
const FORBIDDEN: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// The longest file of the program. The aim is 400 lines; what is longer than this is two files.
const LONGEST: usize = 600;
/// The longest file of tests: a table of cases is read row by row.
const LONGEST_OF_TESTS: usize = 900;

struct Source {
    /// Relative to `src`.
    path: String,
    /// The first directory, or the file's name without `.rs`.
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut dirs = vec![root.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let relative = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                let name = relative
                    .split('/')
                    .next()
                    .unwrap()
                    .trim_end_matches(".rs")
                    .to_owned();
                found.push(Source {
                    path: relative,
                    room: name,
                    text: fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The text without comments and without what stands in quotes: only names that the compiler sees
/// can be imports.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split_once("//").map_or(line, |(before, _)| before))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every path named after `crate::`, of two words where it has two: `crate::{a, b::{c, d}}` names
/// `a`, `b::c` and `b::d`.
fn paths_named(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at]
            .ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$')
        {
            continue;
        }
        for (head, rest) in heads(&code[at + "crate::".len()..]) {
            match rest.strip_prefix("::").map(heads) {
                Some(below) => {
                    paths.extend(below.iter().map(|(name, _)| format!("{head}::{name}")));
                }
                None => paths.push(head),
            }
        }
    }
    paths.retain(|path| !path.is_empty());
    paths
}

/// The first words of what stands here, a name or a group, and the text behind each.
fn heads(text: &str) -> Vec<(String, &str)> {
    let head = |text| {
        let name = word(text);
        let rest = &text[name.len()..];
        (name, rest)
    };
    let Some(group) = text.strip_prefix('{') else {
        return vec![head(text)];
    };
    let mut heads = vec![head(group.trim_start())];
    let mut depth = 1;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(head(group[at + 1..].trim_start())),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

/// The room of a path: the longest row that it lies in.
fn room_of<'a>(path: &str) -> Option<&'a str> {
    let within = |row: &str| {
        path.strip_prefix(row)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let rooms = DOORS.iter().map(|(room, _)| *room);
    rooms
        .filter(|room| within(room))
        .max_by_key(|room| room.len())
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Whether the code names a path, as a whole word: `lettre::message` also as `lettre::{message,
/// …}`.
fn names(code: &str, path: &str) -> bool {
    let (head, tail) = path
        .split_once("::")
        .map_or((path, None), |(head, tail)| (head, Some(tail)));
    code.match_indices(head).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '.') {
            return false;
        }
        let Some(rest) = code[at + head.len()..].strip_prefix("::") else {
            return false;
        };
        match (tail, rest.strip_prefix('{')) {
            (None, _) => true,
            (Some(tail), None) => word(rest) == tail,
            (Some(tail), Some(_)) => heads(rest).iter().any(|(head, _)| head == tail),
        }
    })
}

fn check(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn rooms_import_only_through_their_doors() {
    let mut complaints = Vec::new();
    for source in sources() {
        // commands are the road and open every door.
        if ["main", "lib", "commands"].contains(&source.room.as_str()) {
            continue;
        }
        let path = source.path.trim_end_matches(".rs").replace('/', "::");
        let room = room_of(&path);
        if room.is_none() && !FLOORS.contains(&source.room.as_str()) {
            complaints.push(format!(
                "src/{}: the house has no room `{}`",
                source.path, source.room
            ));
        }
        let open = DOORS
            .iter()
            .find(|(name, _)| Some(*name) == room)
            .map_or(&[][..], |(_, open)| open);
        for named in paths_named(&code(&source.text)) {
            if let Some(named) = room_of(&named)
                && room != Some(named)
                && !open.contains(&named)
                && !(FOR_TESTS.contains(&named) && is_of_tests(&source))
            {
                complaints.push(format!(
                    "src/{}: `{}` has no door to `{named}`",
                    source.path,
                    room.unwrap_or(&source.room)
                ));
            }
        }
    }
    complaints.dedup();
    check(&complaints);
}

#[test]
fn outside_crates_live_in_their_rooms() {
    let mut complaints = Vec::new();
    for source in sources() {
        let code = code(&source.text);
        for (path, places) in OUTSIDE {
            if names(&code, path) && !places.contains(&source.room.as_str()) {
                complaints.push(format!(
                    "src/{}: {path} belongs into {}",
                    source.path,
                    places.join(" and ")
                ));
            }
        }
    }
    check(&complaints);
}

fn is_of_tests(source: &Source) -> bool {
    let mut parts = source.path.split('/');
    parts.any(|part| part == "tests" || part.ends_with("tests.rs"))
}

/// The code without its tests, which may start what they like.
fn code_of_program(source: &Source) -> String {
    let code = code(&source.text);
    if is_of_tests(source) {
        String::new()
    } else {
        code.split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .to_owned()
    }
}

#[test]
fn programs_are_started_in_one_place() {
    let starts = |source: &&Source| {
        let names = |line: &str| {
            line.contains("Command::new") || line.contains("process::") && line.contains("Command")
        };
        code_of_program(source).lines().any(names)
    };
    let found: Vec<_> = sources()
        .iter()
        .filter(starts)
        .map(|source| source.path.clone())
        .collect();
    assert_eq!(found, ["children.rs"]);
}

/// What asks the process or the host about itself, and stands in `environment` alone.
const OF_ENVIRONMENT: &[&str] = &[
    "env::var",
    "env::args",
    "env::current_",
    "env::home_dir",
    "hostname::get",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getppid",
    "IsTerminal",
    "SystemTime::now",
    "Local::now",
    "Utc::now",
    "process::id(",
    "BaseDirs",
    "/etc/passwd",
];

#[test]
fn process_and_host_are_asked_in_one_place() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| s.room != "environment") {
        let code = code_of_program(source);
        let asked = OF_ENVIRONMENT.iter().filter(|name| code.contains(**name));
        complaints.extend(
            asked.map(|name| format!("src/{}: {name} belongs into environment", source.path)),
        );
    }
    check(&complaints);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = |source: &Source| !source.text.starts_with("//!");
    let complaints: Vec<_> = sources()
        .iter()
        .filter(|s| silent(s))
        .map(|s| format!("src/{}: opens without //!", s.path))
        .collect();
    check(&complaints);
}

#[test]
fn no_file_does_two_jobs() {
    let lines = |source: &Source| source.text.lines().count();
    let long = sources()
        .iter()
        .filter(|s| {
            let tests = s.path.contains("/tests/") || s.path.ends_with("tests.rs");
            lines(s) > if tests { LONGEST_OF_TESTS } else { LONGEST }
        })
        .map(|s| format!("src/{}: {} lines", s.path, lines(s)))
        .collect::<Vec<_>>();
    check(&long);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut complaints = Vec::new();
    for source in sources() {
        let code = code(&source.text);
        complaints.extend(
            FORBIDDEN
                .iter()
                .filter(|word| code.contains(**word))
                .map(|word| format!("src/{}: {word}", source.path)),
        );
    }
    check(&complaints);
}

#[test]
fn connections_know_no_smtp() {
    let complaints: Vec<_> = sources()
        .into_iter()
        .filter(|source| source.path.starts_with("transport/net"))
        .filter(|source| code(&source.text).contains("transport::smtp"))
        .map(|source| format!("src/{}: `transport::net` knows no SMTP", source.path))
        .collect();
    check(&complaints);
}

#[test]
fn the_doors_make_no_circle() {
    // Takes away, again and again, every room whose doors lead only to rooms already taken; a
    // circle would stay.
    let mut left: Vec<_> = DOORS.to_vec();
    while let Some(at) = left
        .iter()
        .position(|(_, open)| !left.iter().any(|(room, _)| open.contains(room)))
    {
        left.remove(at);
    }
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_reading_of_imports_sees_groups_and_skips_comments() {
    let text = "use crate::{a::B, c::{d, e}, f};\n// crate::g\nlet x = crate::h::i();\npub(crate) use super::crate_::j;";
    assert_eq!(
        paths_named(&code(text)),
        ["a::B", "c::d", "c::e", "f", "h::i"]
    );
    assert!(names(
        "use lettre::{Address, message::header};",
        "lettre::message"
    ));
    assert!(!names(
        "use lettre::address::Envelope; my_lettre::message();",
        "lettre::message"
    ));
    assert!(names("    clap::Parser::parse()", "clap"));
    assert!(!names("use clap_complete::Shell;", "clap"));
}

/// Types that hold secrets, or words of which some may be one: none derives `Debug`.
const SECRETIVE: &[&str] = &[
    "Args",
    "Environment",
    "Raw",
    "Value",
    "Assignment",
    "Layers",
    "Settings",
    "Waiting",
    "TomlFile",
    "Entry",
    "Item",
    "RcFile",
    "Word",
    "Server",
    "Secret",
    "Credentials",
    "Guard",
];
/// Types of these names that hold none.
const HARMLESS: &[(&str, &str)] = &[
    ("message/raw.rs", "Raw"),
    ("aliases/file.rs", "Entry"),
    ("queue/entry.rs", "Entry"),
    ("queue/list.rs", "Item"),
    ("secret/netrc.rs", "Entry"),
    ("setup/find.rs", "Server"),
];

/// The names and bodies of the types of a file that derive `Debug`.
fn debuggable(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("#[derive(") {
        let rest = &code[at..];
        let Some((derived, rest)) = rest.split_once(")]") else {
            continue;
        };
        let head = ["struct ", "enum "]
            .iter()
            .filter_map(|kind| rest.find(kind).map(|at| at + kind.len()))
            .min();
        if let Some(head) = head.filter(|_| derived.contains("Debug")) {
            let body = rest[head..].split("\n}").next().unwrap_or_default();
            found.push((word(&rest[head..]), body.to_owned()));
        }
    }
    found
}

#[test]
fn no_type_that_holds_secrets_derives_debug() {
    let mut complaints = Vec::new();
    for source in sources() {
        for (name, body) in debuggable(&code(&source.text)) {
            let harmless = HARMLESS.contains(&(source.path.as_str(), name.as_str()));
            if SECRETIVE.contains(&name.as_str()) && !harmless {
                complaints.push(format!("src/{}: {name} derives Debug", source.path));
            }
            let plain = |line: &&str| {
                line.contains("password: ") && (line.contains("String") || line.contains("Vec<u8>"))
            };
            if let Some(field) = body.lines().find(plain) {
                complaints.push(format!(
                    "src/{}: {name} derives Debug and has `{}`",
                    source.path,
                    field.trim()
                ));
            }
        }
    }
    check(&complaints);
}

#[test]
fn the_reading_of_derives_sees_the_type_behind_other_attributes() {
    let text = "#[derive(Debug, Clone)]\n#[command(name = \"x\")]\npub struct A {\n    password: String,\n}\n#[derive(Clone)]\nenum B {}\n";
    let found = debuggable(text);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].0.as_str(), found[0].1.contains("password: String")),
        ("A", true)
    );
}
