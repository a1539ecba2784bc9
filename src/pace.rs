//! How readers of strangers' input are tested for their worst: they must take time in proportion to
//! it.
//!
//! Promise: processor time of the calling thread is compared, not time on the wall, so that a busy
//! machine changes nothing.
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The sizes that are compared, in bytes, each four times the one before.
const SIZES: [usize; 3] = [64 << 10, 256 << 10, 1 << 20];
/// What is as good as nothing, in a debug build too.
const NOTHING: Duration = Duration::from_millis(150);
/// Four times the input may take this many times the time: linear is 4, quadratic is 16.
const GROWTH: u32 = 9;
/// The longest for a megabyte, in a debug build.
const LONGEST: Duration = Duration::from_secs(10);

fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
}

/// Asserts that a reader takes linear time for inputs that `make` makes of about so many bytes.
///
/// # Panics
/// When it does not.
pub(crate) fn assert_linear<T>(name: &str, make: impl Fn(usize) -> T, mut read: impl FnMut(T)) {
    let mut before = Duration::ZERO;
    for size in SIZES {
        let input = make(size);
        let start = spent();
        read(input);
        let taken = spent().saturating_sub(start);
        let fits = taken < NOTHING || size == SIZES[0] || taken < before * GROWTH;
        assert!(
            fits && taken < LONGEST,
            "{name}: {size} bytes take {taken:?}, a quarter of them took {before:?}"
        );
        before = taken.max(NOTHING / GROWTH);
    }
}

/// Asserts that a reader takes next to no time for an input that cannot be larger.
///
/// # Panics
/// When it does not.
pub(crate) fn assert_short<T>(name: &str, input: T, read: impl FnOnce(T)) {
    let start = spent();
    read(input);
    let taken = spent().saturating_sub(start);
    assert!(taken < LONGEST / 4, "{name}: it takes {taken:?}");
}

/// A piece again and again, about so many bytes of it.
pub(crate) fn repeated(piece: &str, size: usize) -> String {
    piece.repeat(size / piece.len())
}

/// Pieces that differ: each is made of its number.
pub(crate) fn numbered(size: usize, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(size + 100);
    for number in 0.. {
        if text.len() >= size {
            break;
        }
        text.push_str(&piece(number));
    }
    text
}
