//! Waiting for a lock, and for a place among the processes that send at the same time.
//!
//! Promise: nobody looks again and again. A lock is waited for in the kernel, which serves in the
//! order of coming; only the one process at the head looks for a free place, when it hears that one
//! was left. A signal or the end of the time ends every wait, and a process that dies leaves no
//! lock. No file has to be made where there is no room for one.
use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Queue;
use super::dir::{Lock, QueueDir};

/// How many processes send at the same time; the others wait, and then leave their mail to the next
/// run.
const SLOTS: usize = 20;
/// The longest wait without a look at the signal: a signal ends a wait at once, but for one that
/// comes just before it.
const LOOK: Duration = Duration::from_secs(1);
/// How often the head of those who wait looks for a free place on a system that cannot tell it.
const BLIND: Duration = Duration::from_millis(50);
/// How soon it looks again after it heard of one and found none: the kernel tells of a file that is
/// closed before it unlocks it.
const AGAIN: Duration = Duration::from_millis(2);

/// How long a wait may last, and what ends it before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit<'a> {
    end: Instant,
    interrupt: &'a AtomicUsize,
}

impl<'a> Limit<'a> {
    /// From now on. `interrupt` is the number of a signal, 0 for none.
    pub(super) fn new(time: Duration, interrupt: &'a AtomicUsize) -> Self {
        let now = Instant::now();
        Limit {
            end: now.checked_add(time).unwrap_or(now),
            interrupt,
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed) != 0
    }

    /// What is left of it; `None` when it is over.
    fn left(&self) -> Option<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        (!left.is_zero() && !self.is_interrupted()).then_some(left)
    }
}

/// Waits until a descriptor has something to say, for `time` or until a signal comes.
fn hear(fd: &OwnedFd, time: Duration) -> io::Result<bool> {
    let time = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(0),
        tv_nsec: time.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&time)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Locks a file, behind those who came before; `None` when the limit is over.
pub(super) fn lock(file: File, limit: &Limit<'_>) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => return Ok(Some(file)),
        Err(TryLockError::Error(error)) => return Err(error),
        Err(TryLockError::WouldBlock) => {}
    }
    if limit.left().is_none() {
        return Ok(None);
    }
    let (heard, told) = io::pipe()?;
    let heard = OwnedFd::from(heard);
    let (send, receive) = mpsc::channel();
    let wait = move || {
        let _told = told;
        // Where nobody waits for it any more, the file is closed here, and the lock goes with it.
        let _ = send.send(file.lock().map(|()| file));
    };
    // A lock cannot be awaited with a deadline, but a thread can be left behind.
    thread::Builder::new().stack_size(64 << 10).spawn(wait)?;
    while let Some(left) = limit.left() {
        if hear(&heard, left.min(LOOK))? {
            return receive.recv().map_err(io::Error::other)?.map(Some);
        }
    }
    // It may have come at the last moment.
    receive.try_recv().ok().transpose()
}

/// A place among the processes that send at the same time, until it is dropped.
#[derive(Debug)]
pub struct Slot(Option<File>);

impl Drop for Slot {
    fn drop(&mut self) {
        // Unlocked first: whoever waits hears of the close.
        let _ = self.0.as_ref().map(File::unlock);
    }
}

impl Queue {
    /// A place among the processes that send at the same time. Waits for one behind those who came
    /// before; `None` after `timeout`. Where places cannot be counted, or a signal has come, there
    /// is always one: the first is no reason to keep mail back, and after the second the attempt
    /// ends by itself.
    pub fn slot(&self, timeout: Duration, interrupt: &AtomicUsize) -> Option<Slot> {
        let limit = Limit::new(timeout, interrupt);
        match place(&self.dir, &limit) {
            Ok(None) if !limit.is_interrupted() => None,
            Ok(file) => Some(Slot(file)),
            Err(_) => Some(Slot(None)),
        }
    }
}

fn place(dir: &QueueDir, limit: &Limit<'_>) -> io::Result<Option<File>> {
    // Held while this process is the head of those who wait.
    let Some(_head) = lock(dir.lock_of(Lock::Head)?, limit)? else {
        return Ok(None);
    };
    let mut files = Vec::with_capacity(SLOTS);
    if let Some(file) = free(dir, &mut files)? {
        return Ok(Some(file));
    }
    let mut bell = Bell::of(dir.path());
    let mut pause = Duration::ZERO;
    while let Some(left) = limit.left() {
        let rang = bell.wait(left.min(pause))?;
        if let Some(file) = free(dir, &mut files)? {
            return Ok(Some(file));
        }
        pause = bell.next(pause, rang);
    }
    Ok(None)
}

/// A place that nobody has. The files of the places are opened once.
fn free(dir: &QueueDir, files: &mut Vec<File>) -> io::Result<Option<File>> {
    for slot in 0..SLOTS {
        if slot == files.len() {
            files.push(dir.file_of_slot(slot)?);
        }
        match files[slot].try_lock() {
            Ok(()) => return Ok(Some(files.swap_remove(slot))),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

/// Hears of files that are closed in a directory, and so of places that may be free.
struct Bell(Option<OwnedFd>);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Bell {
    fn of(path: &Path) -> Self {
        use rustix::fs::inotify;
        let bell = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)
            .and_then(|bell| {
                inotify::add_watch(
                    &bell,
                    path,
                    inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::ONLYDIR,
                )?;
                Ok(bell)
            });
        Bell(bell.ok())
    }

    /// Takes what was heard: one look answers all of it.
    fn empty(bell: &OwnedFd) {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut events = rustix::fs::inotify::Reader::new(bell, &mut buffer);
        while events.next().is_ok() {}
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Bell {
    fn of(_: &Path) -> Self {
        Bell(None)
    }

    fn empty(_: &OwnedFd) {}
}

impl Bell {
    /// Waits until it rings; returns whether it did.
    fn wait(&mut self, time: Duration) -> io::Result<bool> {
        let Some(bell) = &self.0 else {
            thread::sleep(time);
            return Ok(false);
        };
        let rang = hear(bell, time)?;
        if rang {
            Self::empty(bell);
        }
        Ok(rang)
    }

    /// How long to wait after a look that found nothing.
    fn next(&self, last: Duration, rang: bool) -> Duration {
        match self.0 {
            None => BLIND,
            Some(_) if rang => AGAIN,
            Some(_) => (last * 10).clamp(AGAIN, LOOK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Policy;

    fn queue() -> (tempfile::TempDir, Queue) {
        let place = tempfile::tempdir().unwrap();
        let queue = Queue::open(&place.path().join("smail"), Policy::default(), |_| {
            String::new()
        })
        .unwrap();
        (place, queue)
    }

    const SOON: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_secs(30);

    #[test]
    fn a_lock_is_waited_for_until_it_is_left_or_the_time_is_over_or_a_signal_came() {
        let (_place, queue) = queue();
        let (none, signal) = (AtomicUsize::new(0), AtomicUsize::new(15));
        let open = || queue.dir.lock_of(Lock::Head).unwrap();
        let owner = lock(open(), &Limit::new(SOON, &none)).unwrap().unwrap();
        assert!(lock(open(), &Limit::new(SOON, &none)).unwrap().is_none());
        assert!(lock(open(), &Limit::new(LATE, &signal)).unwrap().is_none());
        thread::scope(|scope| {
            let waits = scope.spawn(|| lock(open(), &Limit::new(LATE, &none)).unwrap().is_some());
            drop(owner);
            assert!(waits.join().unwrap());
        });
        // Those who gave up have left no lock behind.
        assert!(lock(open(), &Limit::new(LATE, &none)).unwrap().is_some());
    }

    #[test]
    fn there_are_so_many_places_and_the_next_is_had_when_one_is_left() {
        let (_place, queue) = queue();
        let none = AtomicUsize::new(0);
        let mut slots: Vec<_> = (0..SLOTS)
            .map(|_| queue.slot(SOON, &none).unwrap())
            .collect();
        assert!(queue.slot(SOON, &none).is_none());
        thread::scope(|scope| {
            let waits = scope.spawn(|| queue.slot(LATE, &none).is_some());
            slots.pop();
            assert!(waits.join().unwrap());
        });
    }

    #[test]
    fn places_that_cannot_be_counted_are_no_reason_to_wait() {
        let (place, queue) = queue();
        std::fs::create_dir(place.path().join("smail/slot.0")).unwrap();
        assert!(queue.slot(Duration::ZERO, &AtomicUsize::new(0)).is_some());
    }
}
