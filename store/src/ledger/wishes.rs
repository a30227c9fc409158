//! What the owner wishes of each source, beside the rule: how long it may be silent, and that it is retired.
//!
//! Retiring makes less, so it waits for 72 hours and is shown meanwhile: whoever takes a computer must not be able to
//! silence its absence the same evening. A push ends it. Pure: entries in, facts out.

use crate::ledger::clock::{SHORTEN_DELAY_S, TrustedTime};
use larder_format::ledger::{Event, Expect};
use std::collections::BTreeMap;

/// The owner's wishes of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceWish {
    /// How long it may be silent.
    pub expect: Expect,
    /// When its retirement was asked for.
    pub retired: Option<TrustedTime>,
}

impl SourceWish {
    /// Seconds until the retirement is in force, 0 once it is; none without a retirement.
    pub fn retires_in_s(&self, now: &TrustedTime) -> Option<u64> {
        self.retired.map(|asked| SHORTEN_DELAY_S.saturating_sub(asked.age_s(now)).max(0).unsigned_abs())
    }
}

/// The wishes of every source with one, by `DEVICE/NAME`.
pub type SourceWishes = BTreeMap<String, SourceWish>;

/// Takes one entry in.
pub(crate) fn apply(wishes: &mut SourceWishes, mark: TrustedTime, event: &Event) {
    match event {
        Event::SourceExpected { source, expect } => {
            wishes.entry(source.clone()).or_default().expect = *expect;
        }
        Event::SourceRetired { source } => {
            // Asked for twice, the first time counts.
            wishes.entry(source.clone()).or_default().retired.get_or_insert(mark);
        }
        Event::SourceReturned { source } => take_back(wishes, source),
        Event::Snapshot(snapshot) => take_back(wishes, &snapshot.source),
        _ => {}
    }
}

fn take_back(wishes: &mut SourceWishes, source: &str) {
    if let Some(wish) = wishes.get_mut(source) {
        wish.retired = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::ChunkRef;
    use larder_format::ledger::{Snapshot, WallStamp};
    use larder_format::tree::Totals;

    fn mark(hours: u64) -> TrustedTime {
        let time_ms = i64::try_from(hours * 3_600_000).unwrap();
        let stamp = WallStamp { time_ms, trusted: true, powered_on_s: hours * 3600 };
        TrustedTime { stamp, lived_s: hours * 3600 }
    }

    fn retired() -> Event {
        Event::SourceRetired { source: "laptop/old".to_owned() }
    }

    /// The wish for `laptop/old` after these events, one an hour.
    fn after(events: &[Event]) -> SourceWish {
        let mut wishes = SourceWishes::new();
        for (hour, event) in (0..).zip(events) {
            apply(&mut wishes, mark(hour), event);
        }
        wishes.remove("laptop/old").unwrap_or_default()
    }

    #[test]
    fn a_source_is_retired_after_72_hours_and_not_by_asking_again() {
        let wish = after(&[retired(), retired(), retired()]);
        assert_eq!(wish.retires_in_s(&mark(0)), Some(72 * 3600));
        assert_eq!(wish.retires_in_s(&mark(71)), Some(3600));
        assert_eq!(wish.retires_in_s(&mark(72)), Some(0));
        assert_eq!(wish.retires_in_s(&mark(9000)), Some(0));
    }

    #[test]
    fn a_word_or_a_push_ends_a_retirement() {
        let returned = Event::SourceReturned { source: "laptop/old".to_owned() };
        assert_eq!(after(&[retired(), returned.clone()]).retired, None);
        let pushed = |source: &str| {
            Event::Snapshot(Snapshot::new(source, [1; 16], ChunkRef::to(b"root"), Totals::default()))
        };
        assert_eq!(after(&[retired(), pushed("laptop/old")]).retired, None);
        assert!(after(&[retired(), pushed("laptop/new")]).retired.is_some());
        assert!(after(&[retired(), returned, retired()]).retired.is_some());
    }

    #[test]
    fn the_last_word_on_a_rhythm_counts_and_outlives_a_retirement() {
        let expect = |expect| Event::SourceExpected { source: "laptop/old".to_owned(), expect };
        assert_eq!(after(&[expect(Expect::Never), expect(Expect::Within(5))]).expect, Expect::Within(5));
        assert_eq!(after(&[expect(Expect::Never), retired()]).expect, Expect::Never);
        assert_eq!(after(&[]).expect, Expect::Learn);
    }
}
