//! A device's share of sources, and of snapshots a day.
//!
//! Each source takes memory and a place on dashboards for as long as it is kept, and each snapshot is an entry that every
//! start reads: whoever makes thousands would take the room of others. Asked before a device sends a byte, and again where
//! the ledger is written. Not here: the room for uploads (`receive`), connections and memory (the agent).

use crate::ledger::view::LedgerView;
use crate::{Result, StoreError};
use larder_format::ledger::WallStamp;

/// Sources of one device. A source that is there already is never refused.
pub(crate) const SOURCES_OF_DEVICE_MAX: usize = 200;
/// Snapshots of one device within `DAY_S`: ten watched folders, each with one every quarter-hour.
pub(crate) const SNAPSHOTS_A_DAY_MAX: usize = 1000;
/// Counted in hours with power, which no clock that jumps can shorten.
const DAY_S: u64 = 86_400;

/// Looks whether the device of `source` may make one more snapshot of it.
///
/// # Errors
/// `TooManySources` for a new source, `TooManySnapshots` for any.
pub(crate) fn require(view: &LedgerView, source: &str, now: WallStamp) -> Result<()> {
    let Some((device, _)) = source.split_once('/') else { return Ok(()) };
    let first = format!("{device}/");
    let of_device = view.sources.range(first.clone()..).take_while(|(known, _)| known.starts_with(&first));
    let sources = of_device.clone().count();
    if sources >= SOURCES_OF_DEVICE_MAX && view.snapshots(source).is_empty() {
        return Err(StoreError::TooManySources { device: device.to_owned(), sources });
    }
    let newest =
        of_device.flat_map(|(known, _)| view.snapshots(known).iter().rev().take(SNAPSHOTS_A_DAY_MAX));
    // An entry of a box that had power for longer, whose disk came here, is not of this day.
    let ages = newest.filter_map(|record| now.powered_on_s.checked_sub(record.stamp.powered_on_s));
    let mut ages: Vec<u64> = ages.filter(|age| *age < DAY_S).collect();
    if ages.len() < SNAPSHOTS_A_DAY_MAX {
        return Ok(());
    }
    ages.sort_unstable();
    // The place of the oldest that counts is the next to become free.
    let wait_s = DAY_S - ages[SNAPSHOTS_A_DAY_MAX - 1];
    Err(StoreError::TooManySnapshots { device: device.to_owned(), snapshots: SNAPSHOTS_A_DAY_MAX, wait_s })
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::ledger::{Entry, Event, Snapshot};
    use larder_format::tree::Totals;
    use larder_format::{ChunkRef, Hash};

    /// So many hours with power.
    fn on(hours: u64) -> WallStamp {
        WallStamp { powered_on_s: hours * 3600, ..WallStamp::default() }
    }

    struct Ledger {
        view: LedgerView,
        sequence: u64,
    }

    impl Ledger {
        fn new() -> Self {
            Self { view: LedgerView::new(), sequence: 0 }
        }

        fn push(&mut self, source: &str, stamp: WallStamp) {
            self.sequence += 1;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&self.sequence.to_le_bytes());
            let event = Event::Snapshot(Snapshot::new(source, id, ChunkRef::to(b"root"), Totals::default()));
            let (sequence, previous) = (self.sequence, Hash::ZERO);
            self.view.apply(Entry { sequence, previous, stamp, event }, Hash::ZERO);
        }

        fn may_push(&self, source: &str, stamp: WallStamp) -> bool {
            require(&self.view, source, stamp).is_ok()
        }
    }

    /// Every source takes memory for as long as it is kept: a stolen key could make them without end.
    #[test]
    fn a_device_has_a_share_of_sources_and_keeps_those_that_it_has() {
        let mut ledger = Ledger::new();
        let now = on(9000);
        for number in 0..SOURCES_OF_DEVICE_MAX {
            let source = format!("thief/{number}");
            assert!(ledger.may_push(&source, now), "{source}");
            ledger.push(&source, on(0));
            // Names around it in the order of sources.
            ledger.push(&format!("thief-2/{number}"), on(0));
        }
        let refused = require(&ledger.view, "thief/one more", now).expect_err("too many");
        assert!(
            matches!(refused, StoreError::TooManySources { sources: SOURCES_OF_DEVICE_MAX, .. }),
            "{refused}"
        );
        assert!(ledger.may_push("thief/7", now) && ledger.may_push("laptop/docs", now));
        // Sources of an older appliance stay, however many there are.
        for number in 0..100 {
            ledger.push(&format!("thief/older {number}"), on(0));
        }
        assert!(ledger.may_push("thief/older 99", now) && !ledger.may_push("thief/one more", now));
    }

    /// Every snapshot is an entry that is read at each start: a stolen key could make one a second for years.
    #[test]
    fn a_device_has_a_share_of_snapshots_a_day() {
        let mut ledger = Ledger::new();
        // Of another life of the box: its hours say nothing here.
        (0..2000).for_each(|_| ledger.push("thief/a", on(5000)));
        for number in 0..SNAPSHOTS_A_DAY_MAX {
            assert!(ledger.may_push("thief/a", on(12)), "{number}");
            let (source, hour) = if number % 3 == 0 { ("thief/b", 10) } else { ("thief/a", 11) };
            ledger.push(source, on(hour));
        }
        let refused = require(&ledger.view, "thief/c", on(12)).expect_err("too many");
        assert!(matches!(refused, StoreError::TooManySnapshots { wait_s: 79_200, .. }), "{refused:?}");
        assert!(ledger.may_push("laptop/docs", on(12)) && ledger.may_push("thief-2/a", on(12)));
        assert!(!ledger.may_push("thief/a", on(33)) && ledger.may_push("thief/a", on(34)));
        // Beside a thousand of the last day, older ones do not count.
        (0..SNAPSHOTS_A_DAY_MAX).for_each(|_| ledger.push("thief/a", on(40)));
        assert!(!ledger.may_push("thief/a", on(63)) && ledger.may_push("thief/a", on(64)));
    }
}
