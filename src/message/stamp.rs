//! What makes two builds of the same draft differ: the time and a random number, taken once and
//! handed in.
//!
//! Promise: everything in a message that is not in its draft comes from here, so a message is a
//! pure function of the two. No clock and no time zone panics: a time before 1970 or beyond the
//! year 9999 is as good as any other.
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, FixedOffset, Local, Utc};

use crate::environment;

/// The years a Date can name, in seconds from 1970, with a day to spare on both sides for the time
/// zone (RFC 5322 section 3.3: four digits, 1900 or later).
const YEARS: (i64, i64) = (-2_208_902_400, 253_402_214_399);

/// When a message was made, and the chance in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The time of the Date header, in its zone.
    pub now: DateTime<FixedOffset>,
    /// Where the random part of the Message-ID, the boundaries and the splice markers come from.
    pub random: u64,
}

impl Stamp {
    /// The time it is, in the local zone.
    pub fn now() -> Self {
        Stamp::at(None)
    }

    /// A given time in seconds from 1970 (`SOURCE_DATE_EPOCH`), in UTC so that it means the same
    /// everywhere; without one the time it is, in the local zone. The random number is random in
    /// both cases: two mails with one Message-ID are one mail to many servers.
    pub fn at(epoch: Option<i64>) -> Self {
        let now = match epoch {
            Some(seconds) => utc(seconds).fixed_offset(),
            None => utc(seconds_since_1970(environment::now()))
                .with_timezone(&Local)
                .fixed_offset(),
        };
        // Its keys come from the operating system, so processes that start together still differ.
        Stamp {
            now,
            random: RandomState::new().build_hasher().finish(),
        }
    }

    /// The Date header's value (RFC 5322 section 3.3).
    pub fn date(&self) -> String {
        self.now.format("%a, %d %b %Y %H:%M:%S %z").to_string()
    }

    /// A Message-ID without anything of this machine in it: `<YYYYMMDDhhmmss.RANDOM@domain>`, the
    /// time in UTC.
    pub fn message_id(&self, domain: &str) -> String {
        format!(
            "<{}.{:016x}@{domain}>",
            self.now.with_timezone(&Utc).format("%Y%m%d%H%M%S"),
            SplitMix64::new(self.random).draw()
        )
    }
}

fn seconds_since_1970(time: SystemTime) -> i64 {
    let whole = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()),
    }
}

fn utc(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds.clamp(YEARS.0, YEARS.1), 0).unwrap_or_default()
}

/// Numbers drawn from a seed (splitmix64): spread well, and not secret.
#[derive(Debug, Clone)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    /// Starts from a seed; the same seed gives the same numbers.
    pub(super) fn new(seed: u64) -> Self {
        SplitMix64(seed)
    }

    /// The next number.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_epoch_makes_a_date_with_four_digits_of_year() {
        let rows = [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (-1, "Wed, 31 Dec 1969 23:59:59 +0000"),
            (1_700_000_000, "Tue, 14 Nov 2023 22:13:20 +0000"),
            (i64::MIN, "Tue, 02 Jan 1900 00:00:00 +0000"),
            (i64::MAX, "Thu, 30 Dec 9999 23:59:59 +0000"),
        ];
        for (epoch, date) in rows {
            assert_eq!(Stamp::at(Some(epoch)).date(), date);
        }
    }

    #[test]
    fn a_clock_before_1970_is_a_time_like_any_other() {
        assert_eq!(seconds_since_1970(UNIX_EPOCH - Duration::from_secs(5)), -5);
        assert_eq!(seconds_since_1970(UNIX_EPOCH + Duration::from_secs(5)), 5);
    }

    #[test]
    fn a_date_keeps_its_zone_and_the_message_id_is_in_utc() {
        let now = DateTime::parse_from_rfc3339("2026-11-23T00:30:00+05:30").unwrap();
        let stamp = Stamp { now, random: 7 };
        assert_eq!(stamp.date(), "Mon, 23 Nov 2026 00:30:00 +0530");
        assert_eq!(
            stamp.message_id("x.example"),
            "<20261122190000.63cbe1e459320dd7@x.example>"
        );
    }

    #[test]
    fn two_stamps_of_one_moment_differ() {
        assert_ne!(Stamp::at(Some(1)).random, Stamp::at(Some(1)).random);
    }
}
