//! Mail written to an `.eml` file, into a directory, or to standard output.
//!
//! Promise: a file is there whole or not at all, readable by its owner only, and in a directory
//! nothing is overwritten. Devices, pipes and sockets are written to, never replaced.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;

use super::{ConnectionReuse, Reporter, RunContext, Transport};
use crate::delivery::{Cause, Fault, Reply, Report, Stage};
use crate::files;
use crate::message::Message;
use crate::transport::delivery_log::{DeliveryLog, SettleOnce};
use crate::transport::net::socket::{Clock, cause, wait};
use crate::transport::peer_text::reason;
use crate::transport::sendmail::Unix;

/// The longest file name made of a Message-ID, in bytes.
const LONGEST_NAME: usize = 200;
/// The most files of the same name that are tried.
const MOST_TRIES: usize = 1000;

/// A file, a directory, or standard output.
pub(super) struct Mailfile {
    path: Option<PathBuf>,
    context: RunContext,
}

impl Mailfile {
    /// Takes the path; `None` and `-` are standard output. Nothing is opened.
    pub(super) fn new(path: Option<&Path>, context: &RunContext) -> Self {
        let path = path
            .filter(|path| path.as_os_str() != "-")
            .map(Path::to_owned);
        Mailfile {
            path,
            context: context.clone(),
        }
    }

    fn write(&self, message: &Message, once: &mut SettleOnce<'_>) -> Result<String, Cause> {
        let Some(path) = &self.path else {
            let mut lines = Unix::default();
            // Not through the buffer of the library, which waits for its reader and for nothing
            // else.
            let _ = io::stdout().flush();
            let mut stdout = io::stdout()
                .as_fd()
                .try_clone_to_owned()
                .map(|fd| self.patient(File::from(fd)));
            let stdout = stdout
                .as_mut()
                .map_err(|error| failed("standard output", error))?;
            self.copy(message, "standard output", once, |piece| {
                stdout.write_all(lines.convert(piece))
            })?;
            return Ok("standard output".to_owned());
        };
        let name = path.display().to_string();
        let is_dir = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if is_dir {
            return self
                .add_to_dir(message, path, once)
                .map(|path| path.display().to_string());
        }
        files::refuse_strange(path).map_err(|error| failed(&name, &error))?;
        match fs::metadata(path) {
            Ok(there) if !there.is_file() => {
                // A FIFO without a reader fails in place of waiting for one.
                let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
                let file = OpenOptions::new()
                    .write(true)
                    .custom_flags(flags)
                    .open(path);
                let mut file = self.patient(file.map_err(|error| failed(&name, &error))?);
                self.copy(message, &name, once, |piece| file.write_all(piece))?;
            }
            _ => self.whole(message, path, once)?,
        }
        Ok(name)
    }

    fn patient(&self, file: File) -> Patient {
        Patient {
            file,
            clock: Clock::new(self.context.interrupt.clone(), Duration::MAX),
        }
    }

    /// Beside its place first, then in its place by one step.
    fn whole(
        &self,
        message: &Message,
        path: &Path,
        once: &mut SettleOnce<'_>,
    ) -> Result<(), Cause> {
        let name = path.display().to_string();
        // The file a link leads to, so that the link stays.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let dir = place
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut beside = tempfile::Builder::new()
            .prefix(".smail-")
            .tempfile_in(dir)
            .map_err(|error| failed(&name, &error))?;
        self.copy(message, &name, once, |piece| beside.write_all(piece))?;
        let whole = fs::Permissions::from_mode(0o600);
        beside
            .as_file()
            .set_permissions(whole)
            .map_err(|error| failed(&name, &error))?;
        beside
            .as_file()
            .sync_all()
            .map_err(|error| failed(&name, &error))?;
        beside
            .persist(&place)
            .map_err(|error| failed(&name, &error.error))?;
        Ok(())
    }

    fn add_to_dir(
        &self,
        message: &Message,
        dir: &Path,
        once: &mut SettleOnce<'_>,
    ) -> Result<PathBuf, Cause> {
        let id = file_name(&message.id);
        for count in 0..MOST_TRIES {
            let name = if count == 0 {
                format!("{id}.eml")
            } else {
                format!("{id}-{count}.eml")
            };
            let path = dir.join(name);
            let shown = path.display().to_string();
            let mut file = match OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
            {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed(&shown, &error)),
            };
            // The umask may have taken what its owner needs.
            file.set_permissions(fs::Permissions::from_mode(0o600))
                .map_err(|error| failed(&shown, &error))?;
            return self
                .fill(message, &mut file, &shown, once)
                .map(|()| path.clone())
                .inspect_err(|_| {
                    let _ = fs::remove_file(&path);
                });
        }
        Err(Cause::File(format!(
            "{}: too many files of the same name",
            dir.join(id).display()
        )))
    }

    fn fill(
        &self,
        message: &Message,
        file: &mut File,
        name: &str,
        once: &mut SettleOnce<'_>,
    ) -> Result<(), Cause> {
        self.copy(message, name, once, |piece| file.write_all(piece))?;
        file.sync_all().map_err(|error| failed(name, &error))
    }

    /// Writes the message; its last piece only when the log knows of it.
    fn copy(
        &self,
        message: &Message,
        name: &str,
        once: &mut SettleOnce<'_>,
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Cause> {
        let mut clock = Clock::new(self.context.interrupt.clone(), Duration::MAX);
        let mut put = |piece: &[u8]| {
            clock.look().map_err(|halt| cause(&halt.into()))?;
            write(piece).map_err(|error| match cause(&error) {
                interrupted @ Cause::Interrupted(_) => interrupted,
                _ => failed(name, &error),
            })
        };
        let mut last = None;
        for piece in message.chunks() {
            let piece = piece.map_err(|error| Cause::Content(reason(&error)))?;
            if let Some(ready) = last.replace(piece) {
                put(&ready)?;
            }
        }
        once.before_handover()?;
        put(&last.unwrap_or_default())
    }
}

/// A pipe or a device, written to no faster than its reader reads, and never past a signal.
struct Patient {
    file: File,
    clock: Clock,
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        /// What a pipe takes at once when it takes anything (POSIX: `PIPE_BUF` is 512 at least;
        /// 4096 on Linux).
        const MOST: usize = 512;
        loop {
            let time = self.clock.look()?;
            if !wait(&mut [PollFd::new(&self.file, PollFlags::OUT)], time)? {
                continue;
            }
            match self.file.write(&bytes[..bytes.len().min(MOST)]) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(name: &str, error: &io::Error) -> Cause {
    Cause::File(format!("{name}: {}", reason(error)))
}

/// A Message-ID as a file name: letters, digits and a few marks; never hidden, never a path.
fn file_name(id: &str) -> String {
    let id = id.trim_matches(['<', '>']);
    let name: String = id
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.@+=".contains(&b) {
                char::from(b)
            } else {
                '_'
            }
        })
        .take(LONGEST_NAME)
        .collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() {
        "message".to_owned()
    } else {
        name.to_owned()
    }
}

impl Transport for Mailfile {
    fn deliver(
        &mut self,
        message: &Message,
        _: ConnectionReuse,
        log: &mut dyn DeliveryLog,
    ) -> Report {
        let start = Instant::now();
        let mut once = SettleOnce::new(log, message.envelope.recipients.len());
        let written = self.write(message, &mut once);
        let via = match (&written, &self.path) {
            (Ok(name), _) => name.clone(),
            (Err(_), Some(path)) => path.display().to_string(),
            (Err(_), None) => "standard output".to_owned(),
        };
        let outcome = match written {
            Ok(name) => {
                Reporter::new(&self.context).note(format!(
                    "message, {} bytes, written to {name}",
                    message.size()
                ));
                Ok(Reply::new(250, vec![format!("written to {name}")]))
            }
            Err(cause) => Err(Fault::new(Stage::Content, cause)),
        };
        once.close(&outcome);
        let recipients: Vec<String> = message
            .envelope
            .recipients
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut report = Report::uniform(via, recipients.iter().map(String::as_str), &outcome);
        report.bytes = message.size();
        report.timing.transaction = start.elapsed();
        report
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::address::Address;
    use crate::message::Envelope;

    const WIRE: &[u8] = b"Subject: x\r\n\r\n.\r\nbody\r\n";

    fn message(id: &str) -> Message {
        let recipients = vec![Address::parse("you@b.test").unwrap()];
        Message::from_wire(
            id.to_owned(),
            Envelope {
                recipients,
                ..Envelope::default()
            },
            WIRE.to_vec(),
        )
    }

    fn deliver(path: &Path, id: &str) -> Report {
        Mailfile::new(Some(path), &RunContext::default()).deliver(
            &message(id),
            ConnectionReuse::Last,
            &mut (),
        )
    }

    #[test]
    fn a_directory_gets_a_private_file_named_by_the_message_and_keeps_those_it_has() {
        let dir = tempfile::tempdir().unwrap();
        for wanted in ["a.b@c.test.eml", "a.b@c.test-1.eml"] {
            let report = deliver(dir.path(), "<a.b@c.test>");
            let file = dir.path().join(wanted);
            assert!(report.is_done());
            assert_eq!(report.via, file.display().to_string());
            assert_eq!(fs::read(&file).unwrap(), WIRE);
            assert_eq!(
                fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, connection) = (dir.path().join("a.eml"), dir.path().join("connection"));
        fs::write(&file, "old and longer than the new one").unwrap();
        symlink(&file, &connection).unwrap();
        assert!(deliver(&connection, "<1@a>").is_done());
        assert_eq!(fs::read(&file).unwrap(), WIRE);
        assert!(fs::symlink_metadata(&connection).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_fifo_without_a_reader_is_an_error_and_one_whose_reader_sleeps_ends_at_a_signal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let why = format!("{}: no such device or address", path.display());
        assert_eq!(
            deliver(&path, "<1@a>").recipients[0].outcome,
            Err(Fault::new(Stage::Content, Cause::File(why)))
        );
        let reader = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(&path)
            .unwrap();
        assert!(deliver(&path, "<1@a>").is_done());
        assert_eq!(
            io::read_to_string(reader.try_clone().unwrap())
                .unwrap()
                .as_bytes(),
            WIRE
        );
        let (context, full) = (RunContext::default(), "y\r\n".repeat(100_000).into_bytes());
        let full = Message::from_wire("<1@a>".into(), message("<1@a>").envelope, full);
        let interrupt = context.interrupt.clone();
        let late = std::thread::spawn(move || {
            while rustix::io::ioctl_fionread(&reader).unwrap() < 60_000 {
                std::thread::yield_now();
            }
            interrupt.store(15, Ordering::Relaxed);
            reader
        });
        let report =
            Mailfile::new(Some(&path), &context).deliver(&full, ConnectionReuse::Last, &mut ());
        assert_eq!(
            report.recipients[0].outcome,
            Err(Fault::new(Stage::Content, Cause::Interrupted(15)))
        );
        drop(late.join().unwrap());
    }

    #[test]
    fn what_a_stranger_put_into_a_shared_directory_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, connection) = (dir.path().join("ours"), dir.path().join("connection"));
        fs::write(&ours, "ours").unwrap();
        symlink(&ours, &connection).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        if std::os::unix::fs::lchown(&connection, Some(54_321), None).is_err() {
            return;
        }
        let why = format!(
            "{}: it was created by another user in a directory that others can write to",
            connection.display()
        );
        assert_eq!(
            deliver(&connection, "<1@a>").recipients[0].outcome,
            Err(Fault::new(Stage::Content, Cause::File(why)))
        );
        assert_eq!(fs::read(&ours).unwrap(), b"ours");
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        assert!(deliver(Path::new("/dev/null"), "<1@a>").is_done());
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn what_cannot_be_written_is_named_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("no/such/");
        let why = format!(
            "{}: no such file or directory",
            missing.join("1@a.eml").display()
        );
        assert_eq!(
            deliver(&missing, "<1@a>").recipients[0].outcome,
            Err(Fault::new(Stage::Content, Cause::File(why)))
        );
        let context = RunContext::default();
        context.interrupt.store(15, Ordering::Relaxed);
        let report = Mailfile::new(Some(dir.path()), &context).deliver(
            &message("<1@a>"),
            ConnectionReuse::Last,
            &mut (),
        );
        assert_eq!(
            report.recipients[0].outcome,
            Err(Fault::new(Stage::Content, Cause::Interrupted(15)))
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_message_id_makes_no_path() {
        assert_eq!(file_name("<../../etc/passwd@x y>"), "_.._etc_passwd@x_y");
        assert_eq!(file_name("<>"), "message");
        assert_eq!(file_name(&"é".repeat(300)).len(), LONGEST_NAME);
    }
}
