//! A small file system of the test's own, in a mount namespace that ends with it: full disks, and
//! power cuts.
//!
//! Promise: nothing is mounted outside the namespace, and nothing stays when it is dropped. Needs
//! root.
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::sandbox::Sandbox;

/// A mounted file system.
pub(crate) struct Disk {
    holder: Child,
    place: PathBuf,
}

impl Disk {
    /// Mounts with these words of mount(8), at `place`, which is made.
    pub(crate) fn mount(place: &Path, words: &[&str]) -> Disk {
        fs::create_dir_all(place).unwrap();
        let script = "place=$1; shift; mount \"$@\" \"$place\" && chmod 700 \"$place\" && echo ready && read -r end";
        let mut holder = Command::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", script, "sh"])
            .arg(place)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n", "mount {words:?} failed");
        Disk {
            holder,
            place: place.to_owned(),
        }
    }

    /// The words that make a program see this disk.
    pub(crate) fn enter(&self) -> Vec<String> {
        ["nsenter", "-m", "-t", &self.holder.id().to_string(), "--"]
            .map(String::from)
            .to_vec()
    }

    /// Where the disk is for the test itself.
    pub(crate) fn inside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.place.strip_prefix("/").unwrap())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The end of its input ends the holder, and with it the namespace.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// A disk that can lose its power: an ext4 file system in a file. What was not synced is not in the
/// file.
pub(crate) struct Image(PathBuf);

impl Image {
    /// Makes an empty one of 8 MB.
    pub(crate) fn new(sandbox: &Sandbox, name: &str) -> Image {
        let path = sandbox.path(name);
        fs::File::create(&path).unwrap().set_len(8 << 20).unwrap();
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-F"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        Image(path)
    }

    /// Mounts it at `place`. The file system writes nothing by itself for five minutes.
    pub(crate) fn mount(&self, place: &Path) -> Disk {
        Disk::mount(place, &["-o", "loop,commit=300", self.0.to_str().unwrap()])
    }

    /// What a power cut at this moment would leave.
    pub(crate) fn cut(&self, sandbox: &Sandbox, name: &str) -> Image {
        let copy = sandbox.path(name);
        fs::copy(&self.0, &copy).unwrap();
        Image(copy)
    }

    /// Why there can be no such disk here.
    pub(crate) fn obstacle(sandbox: &Sandbox) -> Option<&'static str> {
        if !Path::new("/usr/sbin/mkfs.ext4").exists() && !Path::new("/sbin/mkfs.ext4").exists() {
            return Some("mkfs.ext4 is missing; tests/install.sh installs it");
        }
        let image = Image::new(sandbox, "probe.img");
        let words = [
            "-m",
            "--propagation",
            "private",
            "mount",
            "-o",
            "loop",
            image.0.to_str().unwrap(),
            "/mnt",
        ];
        let tried = Command::new("unshare")
            .args(words)
            .stderr(Stdio::null())
            .status();
        (!tried.is_ok_and(|status| status.success()))
            .then_some("this machine has no loop devices for us")
    }
}
