//! When to speak on a link, and how much to listen: whatever strangers send, it stays little.

use larder_format::mdns::WantedRecords;
use std::time::Duration;
use tokio::time::Instant;

/// An announcement is said twice: multicast gets lost (RFC 6762, 8.3).
const ANNOUNCED_TIMES: u32 = 2;
/// Nothing is said to everybody more often (RFC 6762, 6).
const BETWEEN: Duration = Duration::from_secs(1);
/// Messages read in a second. Beyond, they wait in the kernel, which drops what is too much: a flood costs no more
/// processor time than this.
const READS_MAX: u32 = 100;
/// Answers to single askers in a second.
const SINGLE_ANSWERS_MAX: u32 = 10;

/// What is to be said to everybody, and when.
#[derive(Debug)]
pub(super) struct MulticastPace {
    wanted: WantedRecords,
    due: Option<Instant>,
    said: Option<Instant>,
    announcements_left: u32,
}

impl MulticastPace {
    pub(super) fn new() -> Self {
        Self { wanted: WantedRecords::default(), due: None, said: None, announcements_left: 0 }
    }

    /// Everything is to be said, as it is from now on.
    pub(super) fn announce(&mut self, now: Instant) {
        self.announcements_left = ANNOUNCED_TIMES - 1;
        self.ask(WantedRecords::ANNOUNCED, now, Duration::ZERO);
    }

    /// Somebody asks; `after` is the pause that keeps all appliances from answering at once. Askers who come together get
    /// one answer.
    pub(super) fn ask(&mut self, wanted: WantedRecords, now: Instant, after: Duration) {
        self.wanted = self.wanted.and(wanted);
        let soonest = self.said.map_or(now, |said| now.max(said + BETWEEN));
        self.due = Some(self.due.map_or(soonest + after, |due| due.min(soonest + after)));
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What is said now.
    pub(super) fn take(&mut self, now: Instant) -> WantedRecords {
        let wanted = std::mem::take(&mut self.wanted);
        (self.due, self.said) = (None, Some(now));
        if self.announcements_left > 0 {
            self.announcements_left -= 1;
            self.ask(WantedRecords::ANNOUNCED, now, Duration::ZERO);
        }
        wanted
    }
}

/// What may still be done within this second.
#[derive(Debug)]
pub(super) struct LinkBudget {
    ends: Instant,
    reads: u32,
    answers: u32,
}

impl LinkBudget {
    pub(super) fn new(now: Instant) -> Self {
        Self { ends: now + BETWEEN, reads: READS_MAX, answers: SINGLE_ANSWERS_MAX }
    }

    /// When the next message may be read.
    pub(super) fn may_read_at(&self, now: Instant) -> Instant {
        if self.reads > 0 { now } else { now.max(self.ends) }
    }

    /// Takes note of a message that was read.
    pub(super) fn read(&mut self, now: Instant) {
        if now >= self.ends {
            *self = Self::new(now);
        }
        self.reads = self.reads.saturating_sub(1);
    }

    /// Whether one more asker may be answered alone.
    pub(super) fn may_answer(&mut self) -> bool {
        let may = self.answers > 0;
        self.answers = self.answers.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const POINTER: WantedRecords =
        WantedRecords { service_type: false, pointer: true, service: false, text: false, addresses: false };
    const ADDRESSES: WantedRecords = WantedRecords { pointer: false, addresses: true, ..POINTER };

    #[test]
    fn an_announcement_is_said_twice() {
        let (start, mut pace) = (Instant::now(), MulticastPace::new());
        pace.announce(start);
        assert_eq!(pace.due(), Some(start));
        assert_eq!(pace.take(start), WantedRecords::ANNOUNCED);
        assert_eq!(pace.due(), Some(start + BETWEEN));
        assert_eq!(pace.take(start + BETWEEN), WantedRecords::ANNOUNCED);
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn many_askers_get_one_answer_and_not_more_than_one_a_second() {
        let (start, mut pace) = (Instant::now(), MulticastPace::new());
        pace.ask(POINTER, start, SOON);
        pace.ask(ADDRESSES, start + SOON / 2, SOON);
        assert_eq!(pace.due(), Some(start + SOON), "the first one need not wait for the second");
        assert_eq!(pace.take(start + SOON), POINTER.and(ADDRESSES));
        for at in 1..1000 {
            pace.ask(POINTER, start + SOON + Duration::from_micros(at), SOON);
        }
        assert_eq!(pace.due(), Some(start + SOON + BETWEEN + SOON));
    }

    #[test]
    fn a_flood_is_read_slowly_and_answered_seldom() {
        let start = Instant::now();
        let mut budget = LinkBudget::new(start);
        for _ in 0..READS_MAX {
            assert_eq!(budget.may_read_at(start), start);
            budget.read(start);
        }
        assert_eq!(budget.may_read_at(start), start + BETWEEN);
        let answered = (0..1000).filter(|_| budget.may_answer()).count();
        assert_eq!(answered, 10);
        budget.read(start + BETWEEN);
        assert!(budget.may_answer() && budget.may_read_at(start + BETWEEN) == start + BETWEEN);
    }
}
