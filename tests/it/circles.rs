//! Files of the program that import each other in a circle: the two that are allowed, and no other.
//!
//! A file may import the modules above it, as children use the types of their parent.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The interpreter of mail.rc runs blocks, whose lines are commands, one of which opens a block. A
/// transaction speaks in a pipeline or by BDAT, and each of them is a part of it.
const ALLOWED: &[&str] = &[
    "mailrc::blocks",
    "mailrc::commands",
    "transport::smtp::bdat",
    "transport::smtp::pipeline",
    "transport::smtp::transaction",
];

/// Every module of the program with its code; files of tests and their modules are left out.
fn modules() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut left) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = module(path.strip_prefix(&root).unwrap());
        if path.extension().is_some_and(|end| end == "rs") && !name.ends_with("tests") {
            let text = fs::read_to_string(&path).unwrap();
            let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let lines = program.lines().map(|line| line.split("//").next().unwrap());
            found.insert(name, lines.collect::<Vec<_>>().join(" "));
        }
    }
    found.retain(|name, _| !name.contains("::tests") && !["lib", "main"].contains(&&**name));
    found
}

fn module(path: &Path) -> String {
    let mut path = PathBuf::from(path);
    path.set_extension("");
    if path.ends_with("mod") {
        path.pop();
    }
    path.to_str().unwrap().replace('/', "::")
}

/// Every path that begins here, with its groups taken apart.
fn paths(text: &str, head: &[String], out: &mut Vec<Vec<String>>) {
    let word: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let path = [head, std::slice::from_ref(&word)].concat();
    let Some(below) = text[word.len()..].strip_prefix("::") else {
        return out.push(path);
    };
    let Some(group) = below.strip_prefix('{') else {
        return paths(below, &path, out);
    };
    let (mut depth, mut start) = (0, 0);
    for (at, character) in group.char_indices() {
        match character {
            ',' | '}' if depth == 0 => {
                paths(group[start..at].trim_start(), &path, out);
                start = at + 1;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && character == '}' && start == at + 1 {
            return;
        }
    }
}

/// The modules that the code of this one names, but for those above it.
fn imports(name: &str, code: &str, all: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut named = Vec::new();
    for (at, _) in ["crate::", "super::", "self::"]
        .iter()
        .flat_map(|root| code.match_indices(root))
    {
        let before = code[..at].chars().next_back();
        // `super::super::` is one path, which begins at the first of them.
        if !before.is_some_and(|c| c.is_alphanumeric() || "_:$".contains(c)) {
            paths(&code[at..], &[], &mut named);
        }
    }
    let own: Vec<String> = name.split("::").map(str::to_owned).collect();
    let absolute = |path: Vec<String>| {
        let (mut base, mut rest) = (own.clone(), &path[..]);
        while let Some((first, tail)) = rest.split_first() {
            match first.as_str() {
                "crate" => base.clear(),
                "super" => drop(base.pop()),
                "self" => {}
                _ => break,
            }
            rest = tail;
        }
        [base, rest.to_vec()].concat()
    };
    named
        .into_iter()
        .map(absolute)
        .filter_map(|path| {
            (1..=path.len())
                .rev()
                .map(|length| path[..length].join("::"))
                .find(|module| all.contains_key(module))
        })
        .filter(|module| module != name && !name.starts_with(&format!("{module}::")))
        .collect()
}

#[test]
fn files_import_each_other_in_two_circles_only() {
    let all = modules();
    let edges: BTreeMap<&String, BTreeSet<String>> = all
        .iter()
        .map(|(name, code)| (name, imports(name, code, &all)))
        .collect();
    let mut left: BTreeSet<&String> = all.keys().collect();
    // Takes away whoever imports nobody that is left, or whom nobody that is left imports.
    loop {
        let leaves = |name: &String| !edges[name].iter().any(|to| left.contains(to));
        let is_root = |name: &String| !left.iter().any(|from| edges[*from].contains(name));
        let free: Vec<&String> = left
            .iter()
            .copied()
            .filter(|name| leaves(name) || is_root(name))
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|name| !free.contains(name));
    }
    let left: Vec<&str> = left.into_iter().map(String::as_str).collect();
    assert_eq!(left, ALLOWED);
}

#[test]
fn groups_of_imports_are_taken_apart() {
    let mut found = Vec::new();
    paths("crate::a::{self, b::{c, d}, e};", &[], &mut found);
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        [
            "crate::a::self",
            "crate::a::b::c",
            "crate::a::b::d",
            "crate::a::e"
        ]
    );
}
