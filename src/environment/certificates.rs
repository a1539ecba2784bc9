//! Where the system keeps the roots that it trusts, and what OpenSSL is told of it by the
//! environment.
//!
//! Promise: the environment is changed where that changes nothing for the user but the time: where
//! a hashed directory holds the roots of the bundle too, and the variables are not set or name just
//! what is found without them; or where a variable names something that OpenSSL would wait for
//! without end. What is left out because of it
//! is named here, and no program that smail starts sees the change.
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

#[cfg(not(target_vendor = "apple"))]
use super::variable;
use crate::files;

/// The variable that names the bundle of roots.
pub const BUNDLE: &str = "SSL_CERT_FILE";
#[cfg(not(target_vendor = "apple"))]
const FOLDER: &str = "SSL_CERT_DIR";
/// A bundle without a root.
const EMPTY: &str = "/dev/null";
/// A directory with fewer hashed roots than this was made by hand beside a bundle, which is read
/// then. Every run counts so far.
#[cfg(not(target_vendor = "apple"))]
const WHOLE: usize = 8;
/// The largest file of certificates, in bytes; the system's has 220 KB.
const LARGEST: u64 = 16 << 20;

static CHANGE: OnceLock<Change> = OnceLock::new();

struct Change {
    before: Option<OsString>,
    dir: Option<PathBuf>,
    bundle: Option<PathBuf>,
}

/// Names the variable to set, with its value, before the library reads the environment: it would
/// read the bundle twice, which takes ten times as long as the rest of a run. The caller sets it;
/// for whom that is safe is not known here.
pub fn to_set() -> Option<(&'static str, &'static str)> {
    let change = change()?;
    CHANGE.set(change).ok()?;
    Some((BUNDLE, EMPTY))
}

#[cfg(not(target_vendor = "apple"))]
fn change() -> Option<Change> {
    let standard = || openssl_probe::candidate_cert_dirs().find(|dir| is_whole(dir));
    match (variable(BUNDLE), variable(FOLDER)) {
        (None, None) => Some(Change {
            before: None,
            dir: Some(standard()?.to_owned()),
            bundle: openssl_probe::probe().cert_file,
        }),
        (Some(file), _) if is_stream(Path::new(&file)) => Some(Change {
            bundle: Some(PathBuf::from(&file)),
            before: Some(file),
            dir: None,
        }),
        // Containers and CI set what OpenSSL takes anyway. The roots are the same ones.
        (Some(file), named) => {
            let dir = standard()?;
            let same = named.is_none_or(|named| is_same(Path::new(&named), dir));
            let usual = is_usual_bundle(Path::new(&file), dir);
            (same && usual).then(|| Change {
                bundle: Some(PathBuf::from(&file)),
                before: Some(file),
                dir: Some(dir.to_owned()),
            })
        }
        _ => None,
    }
}

#[cfg(target_vendor = "apple")]
fn change() -> Option<Change> {
    None
}

/// Returns whether a file is the bundle that distributions keep beside the hashed directory.
#[cfg(not(target_vendor = "apple"))]
fn is_usual_bundle(file: &Path, dir: &Path) -> bool {
    const BESIDE: [&str; 4] = [
        "ca-certificates.crt",
        "ca-bundle.crt",
        "../cert.pem",
        "../ca-bundle.pem",
    ];
    BESIDE.iter().any(|name| is_same(file, &dir.join(name)))
}

#[cfg(not(target_vendor = "apple"))]
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::canonicalize(path).ok();
    place(one).is_some_and(|found| Some(found) == place(other))
}

/// Returns whether OpenSSL, which knows no end of waiting, would wait for it.
#[cfg(not(target_vendor = "apple"))]
fn is_stream(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::metadata(path)
        .is_ok_and(|facts| facts.file_type().is_fifo() || facts.file_type().is_socket())
}

#[cfg(not(target_vendor = "apple"))]
fn is_whole(dir: &Path) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().as_encoded_bytes().ends_with(b".0"))
        .take(WHOLE)
        .count()
        == WHOLE
}

/// What the variable was before it was set; `None` when it was not touched.
pub fn before() -> Option<Option<&'static OsString>> {
    CHANGE.get().map(|change| change.before.as_ref())
}

/// The stream that the user named in place of the bundle.
pub fn stream() -> Option<&'static Path> {
    let change = CHANGE.get()?;
    let named = change.before.is_some() && change.dir.is_none();
    change.bundle.as_deref().filter(|_| named)
}

/// The roots in DER that the bundle has and the hashed directory has not: somebody may have added
/// them by hand.
pub fn left_out() -> Vec<Vec<u8>> {
    let Some(Change {
        dir: Some(dir),
        bundle: Some(bundle),
        ..
    }) = CHANGE.get()
    else {
        return Vec::new();
    };
    beyond(bundle, dir)
}

/// The certificates of a bundle that no file of a directory holds.
fn beyond(bundle: &Path, dir: &Path) -> Vec<Vec<u8>> {
    let mut rest = certificates(bundle);
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_hashed = entry
            .path()
            .extension()
            .is_some_and(|end| end.as_encoded_bytes()[..].iter().all(u8::is_ascii_digit));
        if is_hashed {
            let known = certificates(&entry.path());
            rest.retain(|root| !known.contains(root));
        }
    }
    rest
}

/// The DER of every certificate in a PEM file; what cannot be decoded is skipped.
fn certificates(file: &Path) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    // The comments of a bundle may be in any charset.
    let text = files::read(file, LARGEST).map_or_else(|_| Vec::new(), |(text, _)| text);
    let text = String::from_utf8_lossy(&text);
    let blocks = text
        .split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .filter_map(|block| {
            let inside: String = block
                .split("-----")
                .next()?
                .split_ascii_whitespace()
                .collect();
            base64::engine::general_purpose::STANDARD
                .decode(inside)
                .ok()
        });
    blocks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(bytes: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{bytes}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn what_the_bundle_has_beyond_the_directory_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path().join("bundle.pem");
        // A comment in Latin-1, and a block that is none, stop nothing.
        let text = [
            b"# Autorit\xe9\n".to_vec(),
            pem("?").into(),
            pem("AAAA").into(),
            pem("AAAB").into(),
        ]
        .concat();
        fs::write(&bundle, text).unwrap();
        fs::write(dir.path().join("01234567.0"), pem("AAAA")).unwrap();
        fs::write(dir.path().join("other.pem"), pem("AAAB")).unwrap();
        assert_eq!(beyond(&bundle, dir.path()), [vec![0, 0, 1]]);
        fs::write(dir.path().join("01234567.1"), pem("AAAB")).unwrap();
        assert!(beyond(&bundle, dir.path()).is_empty());
        assert!(beyond(&dir.path().join("none"), dir.path()).is_empty());
    }

    #[cfg(not(target_vendor = "apple"))]
    #[test]
    fn a_directory_counts_when_it_holds_several_roots() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..WHOLE {
            assert!(!is_whole(dir.path()));
            fs::write(dir.path().join(format!("{number:08}.0")), "").unwrap();
        }
        assert!(is_whole(dir.path()));
    }

    #[cfg(not(target_vendor = "apple"))]
    #[test]
    fn the_bundle_beside_the_directory_is_told_from_one_of_the_users() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("certs");
        fs::create_dir(&dir).unwrap();
        for name in ["certs/ca-certificates.crt", "cert.pem", "own.pem"] {
            fs::write(place.path().join(name), "").unwrap();
        }
        std::os::unix::fs::symlink(dir.join("ca-certificates.crt"), place.path().join("link"))
            .unwrap();
        let usual = |name: &str| is_usual_bundle(&place.path().join(name), &dir);
        assert!(usual("certs/ca-certificates.crt") && usual("link") && usual("cert.pem"));
        assert!(!usual("own.pem") && !usual("none") && !usual("certs"));
    }
}
