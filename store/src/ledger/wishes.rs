//! What the owner wishes of each source, beside the rule: how long it may be silent, that it is retired, that its past is
//! let go of.
//!
//! Retiring and letting go make less, so each waits for 72 hours and is shown meanwhile: whoever takes a computer, or has an
//! evening at the box, must not be done the same evening. A push ends a retirement; what is pushed later is not let go of.
//! Pure: entries in, facts out.

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
    /// The wish to let go of its past.
    pub let_go: Option<LetGoWish>,
}

/// The wish to let go of what a source had at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetGoWish {
    /// When it was asked for.
    pub asked: TrustedTime,
    /// Number of the wish's entry: later snapshots stay.
    pub sequence: u64,
    /// Snapshots since this moment stay too; in milliseconds since 1970.
    pub before_ms: Option<i64>,
}

impl LetGoWish {
    /// Whether a snapshot, by number and time, is let go of by this wish.
    pub fn covers(&self, sequence: u64, time_ms: i64) -> bool {
        sequence < self.sequence && self.before_ms.is_none_or(|before_ms| time_ms < before_ms)
    }

    /// Seconds until the wish is in force, 0 once it is.
    pub fn left_s(&self, now: &TrustedTime) -> u64 {
        left_s(&self.asked, now)
    }
}

fn left_s(asked: &TrustedTime, now: &TrustedTime) -> u64 {
    SHORTEN_DELAY_S.saturating_sub(asked.age_s(now)).max(0).unsigned_abs()
}

impl SourceWish {
    /// Seconds until the retirement is in force, 0 once it is; none without a retirement.
    pub fn retires_in_s(&self, now: &TrustedTime) -> Option<u64> {
        self.retired.map(|asked| left_s(&asked, now))
    }
}

/// The wishes of every source with one, by `DEVICE/NAME`.
pub(crate) type SourceWishes = BTreeMap<String, SourceWish>;

/// Number and moment of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) sequence: u64,
    pub(crate) mark: TrustedTime,
}

/// Takes one entry in.
pub(crate) fn apply(wishes: &mut SourceWishes, told: Told, event: &Event) {
    let Told { sequence, mark } = told;
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
        Event::SourceLetGo { source, before_ms } => {
            let wish = &mut wishes.entry(source.clone()).or_default().let_go;
            // Asked for once more, the first time counts; another wish waits anew.
            if wish.is_none_or(|wish| wish.before_ms != *before_ms) {
                *wish = Some(LetGoWish { asked: mark, sequence, before_ms: *before_ms });
            }
        }
        Event::SourceKept { source } => {
            if let Some(wish) = wishes.get_mut(source) {
                wish.let_go = None;
            }
        }
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
            apply(&mut wishes, Told { sequence: hour + 1, mark: mark(hour) }, event);
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

    #[test]
    fn a_wish_to_let_go_waits_covers_what_was_there_and_is_taken_back() {
        let let_go = |before_ms| Event::SourceLetGo { source: "laptop/old".to_owned(), before_ms };
        let wish = after(&[retired(), let_go(None), let_go(None)]).let_go.unwrap();
        assert_eq!((wish.left_s(&mark(1)), wish.left_s(&mark(73))), (72 * 3600, 0));
        assert!(wish.covers(1, i64::MAX) && !wish.covers(2, 0) && !wish.covers(3, 0));
        let wish = after(&[retired(), let_go(None), let_go(Some(50))]).let_go.unwrap();
        assert_eq!(wish.left_s(&mark(2)), 72 * 3600, "another wish waits anew");
        assert!(wish.covers(2, 49) && !wish.covers(2, 50));
        let kept = Event::SourceKept { source: "laptop/old".to_owned() };
        assert_eq!(after(&[let_go(None), kept]).let_go, None);
    }
}
