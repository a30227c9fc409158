//! The owner's limit on the bytes of a push in a second.
//!
//! Bytes wait before the network gets any of them, a tenth of a second's worth at a time, so that a video call beside
//! the push sees an even stream. Uploads of several threads share one limit. Not here: the speed of answers, since a
//! push receives next to nothing.

use std::{
    fmt,
    io::{self, Read},
    num::NonZeroU64,
    str::FromStr,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

/// Bytes in a second that a push may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteRate(NonZeroU64);

/// Four uploads share the limit, and the appliance takes an upload below 16 KiB a second for a dead one
/// (`BYTES_PER_SECOND_MIN` in agent/src/state/upload_memory.rs).
const BYTES_PER_SECOND_MIN: u64 = 100_000;
/// Time not used up to now that may be made up for: sleeps end late, and without this the limit would never be reached.
const CREDIT: Duration = Duration::from_millis(200);
const PIECES_PER_SECOND: u64 = 10;
/// Names of units, in lower case, and bytes of each.
const UNITS: [(&str, u64); 11] = [
    ("b", 1),
    ("k", 1_000),
    ("kb", 1_000),
    ("kib", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1_000_000_000),
    ("kbit", 125),
    ("mbit", 125_000),
];

impl ByteRate {
    fn bytes_per_second(self) -> u64 {
        self.0.get()
    }

    /// The time that `bytes` take.
    pub(super) fn time_for(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl FromStr for ByteRate {
    type Err = String;

    /// Reads a rate as typed: `2MB/s`, `1.5 MB/s`, `500k`, `16Mbit/s`.
    fn from_str(typed: &str) -> Result<Self, String> {
        let wrong = || format!("\"{typed}\" is no rate such as 2MB/s or 500kB/s");
        let text = typed.trim().to_ascii_lowercase();
        let text = text.strip_suffix("/s").unwrap_or(&text);
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(unit_at);
        let (_, unit_bytes) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let thousandths = thousandths(number.trim()).ok_or_else(wrong)?;
        let bytes = thousandths.checked_mul(unit_bytes).ok_or_else(wrong)? / 1000;
        if bytes < BYTES_PER_SECOND_MIN {
            return Err(format!(
                "{typed} is too slow: the appliance gives up uploads below {} kB/s",
                BYTES_PER_SECOND_MIN / 1000
            ));
        }
        NonZeroU64::new(bytes).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B/s", self.bytes_per_second())
    }
}

/// `1.5` as 1500; at most three digits after the dot.
fn thousandths(number: &str) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 3 || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

/// A limit that every upload of a connection shares.
pub(super) struct RateLimit {
    pub(super) rate: ByteRate,
    /// When the bytes that were let through until now have gone, on `clock`.
    gone_at: Mutex<Duration>,
    clock: fn() -> Duration,
}

impl RateLimit {
    /// `clock` tells the time since some fixed moment.
    pub(super) fn new(rate: ByteRate, clock: fn() -> Duration) -> Self {
        Self { rate, gone_at: Mutex::new(Duration::ZERO), clock }
    }

    /// Waits until `bytes` more may go.
    pub(super) fn wait(&self, bytes: u64) {
        let delay = {
            let mut gone_at = self.gone_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = (self.clock)();
            *gone_at = next_gone_at(*gone_at, now, self.rate.time_for(bytes));
            gone_at.saturating_sub(now)
        };
        thread::sleep(delay);
    }

    fn piece_bytes(&self) -> usize {
        usize::try_from(self.rate.bytes_per_second() / PIECES_PER_SECOND).unwrap_or(usize::MAX)
    }
}

/// When bytes that take `time` have gone, if everything before has gone at `gone_at`.
fn next_gone_at(gone_at: Duration, now: Duration, time: Duration) -> Duration {
    gone_at.max(now.saturating_sub(CREDIT)).saturating_add(time)
}

/// A body that comes no faster than the limit lets it.
pub(super) struct Paced<'a, R> {
    pub(super) body: R,
    pub(super) limit: Option<&'a RateLimit>,
}

impl<R: Read> Read for Paced<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(limit) = self.limit else { return self.body.read(into) };
        let most = into.len().min(limit.piece_bytes());
        let read = self.body.read(&mut into[..most])?;
        limit.wait(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    #[test]
    fn rates_are_read_as_people_write_them() {
        let check = |typed: &str, expect: u64| {
            assert_eq!(typed.parse::<ByteRate>().map(ByteRate::bytes_per_second), Ok(expect), "{typed}");
        };
        for (typed, expect) in [
            ("2MB/s", 2_000_000),
            ("1.5 MB/s", 1_500_000),
            ("2m", 2_000_000),
            ("500kB/s", 500_000),
            ("1MiB/s", 1 << 20),
            ("16Mbit/s", 2_000_000),
            ("100000B/s", 100_000),
        ] {
            check(typed, expect);
        }
        // What a schedule stores is what it reads again.
        let rate: ByteRate = "1.5MB/s".parse().expect("a rate");
        check(&rate.to_string(), 1_500_000);
        for wrong in
            ["", "2", "MB/s", "fast", "2 MB/h", "-2MB/s", "1.2345MB/s", "2..5MB/s", "99999999999999999999MB"]
        {
            assert!(wrong.parse::<ByteRate>().is_err_and(|why| why.contains("2MB/s")), "{wrong}");
        }
        for slow in ["0MB/s", "10kB/s", "99999B/s"] {
            assert!(slow.parse::<ByteRate>().is_err_and(|why| why.contains("100 kB/s")), "{slow}");
        }
    }

    /// A minute of uploads with a clock that jumps by what each wait asked for, and by a little more.
    #[test]
    fn over_any_time_no_more_goes_than_the_limit_says() {
        let second = Duration::from_secs(1);
        let rate: ByteRate = "1MB/s".parse().expect("a rate");
        let (mut now, mut gone_at, mut sent) = (7 * second, Duration::ZERO, 0_u64);
        let begun = now;
        while now < begun + 60 * second {
            sent += 64_000;
            gone_at = next_gone_at(gone_at, now, rate.time_for(64_000));
            // Sleeps end late.
            now = now.max(gone_at) + Duration::from_millis(3);
        }
        let allowed = 1_000_000 * 60;
        assert!((allowed * 98 / 100..=allowed * 101 / 100).contains(&sent), "{sent}");
        // After a rest of an hour there is no flood.
        now += 3600 * second;
        let after = next_gone_at(gone_at, now, rate.time_for(1_000_000));
        assert_eq!(after, now + second - CREDIT);
    }

    #[test]
    fn a_body_waits_for_its_bytes() {
        static ASKED: AtomicU64 = AtomicU64::new(1);
        // Each question comes an hour after the last: nobody waits in the test.
        let clock = || Duration::from_secs(3600 * ASKED.fetch_add(1, Relaxed));
        let limit = RateLimit::new("1MB/s".parse().expect("a rate"), clock);
        let bytes = vec![7; 250_000];
        let mut body = Paced { body: &bytes[..], limit: Some(&limit) };
        let mut lengths = Vec::new();
        let mut into = vec![0; 200_000];
        while let Ok(read @ 1..) = body.read(&mut into) {
            lengths.push(read);
        }
        assert_eq!(lengths, [100_000, 100_000, 50_000], "even pieces");
        let gone_at = *limit.gone_at.lock().expect("whole");
        // The last piece, of half the length, and the end of the body, which costs nothing.
        assert_eq!(ASKED.load(Relaxed), 5);
        assert_eq!(gone_at, Duration::from_secs(4 * 3600) - CREDIT);
    }
}
