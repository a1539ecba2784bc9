//! Secrets from files and settings, and the splitting of commands.
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::{Secret, SecretError, SecretSource};

fn private(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn fetched(path: &Path) -> Result<String, SecretError> {
    SecretSource::File(path.to_owned())
        .fetch()
        .map(|secret| secret.reveal().to_owned())
}

fn refused(path: &Path) -> String {
    let error = fetched(path).unwrap_err();
    assert!(!error.temporary);
    error.why.replace(path.to_str().unwrap(), "FILE")
}

#[test]
fn the_first_line_of_a_private_file_is_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    for (bytes, want) in [
        (&b"pass"[..], "pass"),
        (b"pass\n", "pass"),
        (b"pass\r\nuser: x\n", "pass"),
        (b" pa ss \n", " pa ss "),
        (b"\xef\xbb\xbfp\xc3\xa4ss\n", "p\u{e4}ss"),
    ] {
        assert_eq!(
            fetched(&private(dir.path(), "s", bytes)),
            Ok(want.to_owned())
        );
    }
}

#[test]
fn a_file_that_others_may_read_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = private(dir.path(), "s", b"pass\n");
    for mode in [0o640, 0o604, 0o620, 0o601] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            refused(&path),
            format!("`FILE` is accessible to others (mode {mode:o}); run `chmod 600 FILE`")
        );
    }
}

#[test]
fn a_link_counts_as_what_it_points_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = private(dir.path(), "s", b"pass\n");
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(fetched(&link), Ok("pass".to_owned()));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(&link).contains("is accessible to others"));
}

#[test]
fn what_is_no_file_with_a_secret_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        refused(&private(dir.path(), "empty", b"")),
        "`FILE` provided an empty password"
    );
    assert_eq!(
        refused(&private(dir.path(), "blank", b"\npass\n")),
        "`FILE` provided an empty password"
    );
    assert_eq!(
        refused(&private(dir.path(), "latin", b"p\xe4ss\n")),
        "`FILE` provided a password that is not UTF-8"
    );
    assert_eq!(
        refused(&private(dir.path(), "nul", b"p\0ss\n")),
        "`FILE` provided a password with a NUL character"
    );
    assert_eq!(
        refused(&private(dir.path(), "big", &vec![b'x'; 65537])),
        "`FILE` is larger than 64 KiB"
    );
    assert_eq!(refused(dir.path()), "`FILE` is not a regular file");
    assert_eq!(
        refused(Path::new("/dev/null")),
        "`FILE` is not a regular file"
    );
    let missing = dir.path().join("missing");
    assert_eq!(
        refused(&missing),
        "`FILE` cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn a_fifo_does_not_hang() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(refused(&path), "`FILE` is not a regular file");
}

#[test]
fn nothing_shows_a_secret() {
    let secret = Secret::new("hunter2");
    assert_eq!(
        format!("{:?}", SecretSource::Inline(secret.clone())),
        "Inline(***)"
    );
    assert_eq!(SecretSource::Inline(secret.clone()).fetch(), Ok(secret));
}

#[test]
fn a_command_is_split_and_never_expanded() {
    let split = |text| SecretSource::parse_command(text).map_err(|error| error.why);
    let words = |words: &[&str]| Ok(words.iter().map(|word| (*word).to_owned()).collect());
    assert_eq!(
        split(" pass show 'my mail' \"a\\\"b\" $HOME `id` ; x#y"),
        words(&[
            "pass", "show", "my mail", "a\"b", "$HOME", "`id`", ";", "x#y"
        ])
    );
    assert_eq!(split(""), Err("it names no program".to_owned()));
    assert_eq!(split("'' x"), Err("it names no program".to_owned()));
    assert_eq!(split("a 'b"), Err("it has an unclosed quote".to_owned()));
    let tail = "it ends with a backslash or has an unquoted `#`";
    assert_eq!(split("pass show #1"), Err(tail.to_owned()));
    assert_eq!(split("pass show \\"), Err(tail.to_owned()));
    assert_eq!(split("pass show '#1'"), words(&["pass", "show", "#1"]));
    assert_eq!(
        split("a\nb"),
        Err("it contains a line break or a NUL character".to_owned())
    );
    assert_eq!(
        split("'a\nb'"),
        Err("it contains a line break or a NUL character".to_owned())
    );
}
