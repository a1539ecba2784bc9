//! Facts about files that strangers, FIFOs and devices stand in the place of.
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;

use super::*;

/// A number that no user of the test has.
const STRANGER: u32 = 54_321;

fn why<T>(outcome: io::Result<T>) -> String {
    outcome.map_or_else(|error| words(&error), |_| "fine".to_owned())
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
}

/// Gives a file to a stranger; only root can, and without root there is nothing to test.
fn give_away(path: &Path) -> bool {
    std::os::unix::fs::lchown(path, Some(STRANGER), None).is_ok()
}

#[test]
fn what_is_no_regular_file_is_refused_and_never_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    fifo(&place("fifo"));
    fs::write(place("file"), "text").unwrap();
    symlink(place("file"), place("link")).unwrap();
    let _socket = UnixListener::bind(place("socket")).unwrap();
    let rows = [
        (
            place("fifo"),
            "it is not a regular file",
            "fine",
            "it is not a regular file",
        ),
        (
            place("socket"),
            "it is not a regular file",
            "it is not a regular file",
            "it is not a regular file",
        ),
        (
            dir.path().to_owned(),
            "it is a directory",
            "it is a directory",
            "it is a directory",
        ),
        (
            "/dev/zero".into(),
            "it is not a regular file",
            "it is not a regular file",
            "it is not a regular file",
        ),
        (
            "/dev/null".into(),
            "it is not a regular file",
            "fine",
            "fine",
        ),
        (place("file"), "fine", "fine", "fine"),
        (place("link"), "fine", "fine", "it is a symbolic link"),
        (
            place("none"),
            "No such file or directory",
            "No such file or directory",
            "fine",
        ),
    ];
    for (path, read_as_file, read_as_stream, added_to) in rows {
        assert_eq!(why(read(&path, 10)), read_as_file, "{}", path.display());
        assert_eq!(
            why(read_stream(&path, 10)),
            read_as_stream,
            "{}",
            path.display()
        );
        assert_eq!(why(append(&path)), added_to, "{}", path.display());
    }
    assert_eq!(why(read(&place("file"), 3)), "it is larger than 3 bytes");
    assert_eq!(read(&place("file"), 4).unwrap().0, b"text");
    assert!(append(Path::new("/dev/null")).unwrap().is_none());
    assert_eq!(fs::metadata(place("none")).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn a_fifo_is_read_to_the_end_of_its_writer_and_no_longer_than_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    fifo(&path);
    let (reader, _) = open_anything(&path).unwrap();
    let writer = OpenOptions::new().write(true).open(&path).unwrap();
    io::Write::write_all(&mut &writer, b"half").unwrap();
    let late = Stream {
        file: reader.try_clone().unwrap(),
        end: Instant::now() + Duration::from_millis(50),
    };
    assert_eq!(
        why(whole(late, 100)),
        "it is a FIFO that was not closed within 10s"
    );
    io::Write::write_all(&mut &writer, b"all").unwrap();
    let end = std::thread::spawn(move || drop(writer));
    assert_eq!(
        whole(
            Stream {
                file: reader,
                end: Instant::now() + TIME_LIMIT
            },
            100
        )
        .unwrap(),
        b"all"
    );
    end.join().unwrap();
}

#[test]
fn a_file_with_a_second_name_is_not_added_to() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    fs::write(&first, "").unwrap();
    fs::hard_link(&first, &second).unwrap();
    assert_eq!(why(append(&first)), "it has more than one hard link");
    fs::remove_file(second).unwrap();
    assert_eq!(why(append(&first)), "fine");
}

#[test]
fn what_a_stranger_made_in_a_shared_directory_is_not_added_to_and_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    fs::write(&file, "").unwrap();
    symlink("/dev/null", &link).unwrap();
    if !(give_away(&file) && give_away(&link)) {
        return;
    }
    let strange = "it was created by another user in a directory that others can write to";
    for (mode, wanted) in [
        (0o700, "fine"),
        (0o755, "fine"),
        (0o777, strange),
        (0o1777, strange),
        (0o1770, strange),
    ] {
        fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        assert_eq!(why(append(&file)), wanted, "{mode:o}");
        assert_eq!(why(refuse_strange(&file)), wanted, "{mode:o}");
        assert_eq!(why(refuse_strange(&link)), wanted, "{mode:o}");
    }
    assert_eq!(why(refuse_strange(&dir.path().join("free"))), "fine");
    // Root's is nobody's trap.
    chown(&file, Some(0), None).unwrap();
    assert_eq!(why(append(&file)), "fine");
}

#[test]
fn who_may_touch_a_file_is_told_by_owner_and_mode() {
    let us = rustix::process::geteuid().as_raw();
    let access = |owner, mode| Access {
        mode,
        owner,
        group: 0,
    };
    let rows = [
        (us, 0o600, false),
        (us, 0o644, false),
        (0, 0o644, false),
        (us, 0o620, true),
        (0, 0o602, true),
    ];
    for (owner, mode, wanted) in rows {
        assert_eq!(access(owner, mode).is_unsafe(), wanted, "{owner} {mode:o}");
    }
    assert!(access(STRANGER, 0o600).is_unsafe());
}

#[test]
fn a_lock_that_another_holds_ends_the_wait_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let (one, other) = (
        append(&path).unwrap().unwrap(),
        append(&path).unwrap().unwrap(),
    );
    lock(&one).unwrap();
    assert_eq!(
        why(lock_within(&other, Duration::from_millis(60))),
        "it is locked by another program"
    );
    one.unlock().unwrap();
    lock(&other).unwrap();
}
