//! The roots of the system: the directory that is looked up in serves for most servers, the bundle
//! beside it for the rest, and no other program hears of how that is arranged.
use std::fs;
use std::path::Path;

use crate::support::obstacle;
use crate::support::sandbox::{Outcome, Sandbox, with_mounts};
use crate::support::sink::{Options, Sink};

const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Sends over TLS with a login, whose password a program gives that writes down what it sees of the
/// variables; `bundle` stands in the place of the system's.
fn send(sandbox: &Sandbox, sink: &Sink, bundle: &Path, variable: Option<&str>) -> Outcome {
    let program = sandbox.write_program(
        "home/password",
        "#!/bin/sh\n/usr/bin/env | /bin/grep SSL_CERT > \"$HOME/seen\"\necho p\n",
    );
    let mount = format!("mount --bind {} {BUNDLE} && exec \"$@\"", bundle.display());
    let server = format!("smtp=smtps://localhost:{}", sink.port());
    let password = format!("auth-password-command={}", program.display());
    let args = [
        "-S",
        &server,
        "-S",
        "auth-user=u",
        "-S",
        &password,
        "-r",
        "a@a.example",
        "b@x.example",
    ];
    let run = sandbox
        .under(&with_mounts(&mount), &args)
        .without_env("SSL_CERT_FILE")
        .without_env("SSL_CERT_DIR");
    let run = match variable {
        Some(file) => run.env("SSL_CERT_FILE", file),
        None => run,
    };
    run.stdin("x\n").run()
}

#[test]
fn a_root_that_only_the_bundle_has_is_found_and_no_program_sees_a_change() {
    let missing = (!Path::new(BUNDLE).exists()).then_some("the system has no such bundle");
    let obstacle = obstacle::without_root().or(missing);
    if obstacle::stops("a root in the bundle of the system", obstacle) {
        return;
    }
    let (sandbox, sink) = (
        Sandbox::new(),
        Options::new().implicit().login("u", "p").start(),
    );
    let ours = [
        fs::read(BUNDLE).unwrap(),
        fs::read(sandbox.pem("ca")).unwrap(),
    ]
    .concat();
    let ours = sandbox.write("home/bundle", ours);
    for (variable, seen) in [
        (None, ""),
        (
            Some(BUNDLE),
            "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt\n",
        ),
    ] {
        let outcome = send(&sandbox, &sink, &ours, variable);
        assert_eq!((outcome.status, &*outcome.stderr), (0, ""), "{variable:?}");
        let found = String::from_utf8(sandbox.read("home/seen").unwrap()).unwrap();
        assert_eq!(found, seen);
    }
    assert_eq!(sink.mails().len(), 2);
    // Without that root nothing is sent.
    let theirs = sandbox.write("home/theirs", fs::read(BUNDLE).unwrap());
    let outcome = send(&sandbox, &sink, &theirs, None);
    assert_eq!(outcome.status, 77, "{}", outcome.stderr);
    assert_eq!(sink.mails().len(), 2);
}
