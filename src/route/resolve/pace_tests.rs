//! The worst that a settings file can be: whatever its lines are, the time grows as the file does.
use std::ffi::OsString;
use std::fs;

use crate::cli;
use crate::environment::{Environment, Host};
use crate::pace::{assert_linear, numbered};
use crate::settings::{Layers, show};

/// Reads a mail.rc and everything that follows from it.
fn read(dir: &std::path::Path, text: &str) {
    fs::write(dir.join(".mailrc"), text).unwrap();
    let args = cli::parse(["smail", "-n", "a@x.example"].map(OsString::from)).unwrap();
    let env = Environment {
        host: Host::default(),
        home: Some(dir.to_owned()),
        ..Environment::default()
    };
    let Ok(layers) = Layers::load(&args, &env) else {
        return;
    };
    let author = crate::address::Mailbox::parse("me@x.example").unwrap();
    let Ok(settings) = layers.resolve(std::slice::from_ref(&author)) else {
        return;
    };
    let _ = super::resolve(&settings, &author);
    assert!(!show(&settings, true).is_empty());
}

#[test]
fn files_of_any_settings_take_linear_time() {
    let dir = tempfile::tempdir().unwrap();
    let sourced = dir.path().join("sourced");
    fs::write(&sourced, "set auth-password=x\n".repeat(2000)).unwrap();
    let long = "y".repeat(10_000);
    let rows: &[(&str, &dyn Fn(usize) -> String)] = &[
        ("one setting", &|_| "set from=a@x\n".to_owned()),
        ("unknown settings", &|n| format!("set unknown{n}=1\n")),
        ("long unknown settings", &|n| format!("set {long}{n}=1\n")),
        ("settings of hosts", &|n| {
            format!("set smtp-auth-password-a{n}@x.example=y\n")
        }),
        ("accounts", &|n| {
            format!("account a{n} {{\nset from=a{n}@x.example\n}}\n")
        }),
        ("one account", &|_| {
            "account a {\nset from=a@x.example\n}\n".to_owned()
        }),
        ("aliases", &|n| format!("alias a{n} b@x.example\n")),
        ("one alias", &|n| format!("alias a b{n}@x.example\n")),
        ("aliases that go", &|n| format!("alias a{n} b\nunalias *\n")),
        ("files in files", &|_| "source sourced\n".to_owned()),
        ("values that grow", &|_| {
            "set v15-compat=yes\nset from+=a\n".to_owned()
        }),
        ("lines that go on", &|_| "set a=b\\\n".to_owned()),
        ("headers", &|n| format!("set customhdr='X-{n}: y'\n")),
    ];
    for (name, row) in rows {
        assert_linear(
            name,
            |size| numbered(size, row),
            |text| read(dir.path(), &text),
        );
    }
}
