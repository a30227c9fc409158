//! Topics of ours that somebody else wrote to, and when each is put right.
//!
//! Only what changes is sent, so a state that another client replaced or removed would stay wrong until the next change: for
//! weeks, for the health of a box that is fine. Each such topic is shown again at once, and then at most every few seconds: two
//! boxes under one name, or somebody with a loop, must not make a storm. Time comes in. Not here: what a topic should
//! say (`outbox`).

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::last_told::LastTold;

/// Shortest time between two repairs of one topic.
const APART: Duration = Duration::from_secs(5);
/// Topics below ours that we do not know, under repair at once. Anybody can make them up without end.
const UNKNOWN_MAX: usize = 64;
/// Between two lines about it in the log.
const TOLD_APART: Duration = Duration::from_secs(600);

/// Whether a topic is shown by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopicKind {
    Ours,
    /// It lies where only ours should lie.
    Unknown,
}

struct Repair {
    last: Instant,
    /// Written to again since.
    is_due: bool,
    kind: TopicKind,
}

/// The repairs of the last seconds.
#[derive(Default)]
pub(super) struct Overwritten {
    repairs: HashMap<String, Repair>,
    told: LastTold,
}

impl Overwritten {
    /// Somebody else wrote to `topic`. Returns whether to put it right at once; otherwise it is due later.
    pub(super) fn note(&mut self, topic: &str, kind: TopicKind, now: Instant) -> bool {
        if let Some(repair) = self.repairs.get_mut(topic) {
            repair.is_due |= now < repair.last + APART;
            if !repair.is_due {
                repair.last = now;
            }
            return !repair.is_due;
        }
        let unknown = || self.repairs.values().filter(|repair| repair.kind == TopicKind::Unknown).count();
        if kind == TopicKind::Unknown && unknown() >= UNKNOWN_MAX {
            return false;
        }
        self.repairs.insert(topic.to_owned(), Repair { last: now, is_due: false, kind });
        true
    }

    /// Whether to tell the owner of the box, for the first time in a while.
    pub(super) fn is_news(&mut self, now: Instant) -> bool {
        self.told.is_news(now, TOLD_APART)
    }

    /// When `take_due` has to be called next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.repairs.values().map(|repair| repair.last + APART).min()
    }

    /// Topics to put right at `now`; repairs of long ago are forgotten.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<String> {
        let mut due = Vec::new();
        self.repairs.retain(|topic, repair| {
            if now < repair.last + APART {
                return true;
            }
            if std::mem::take(&mut repair.is_due) {
                repair.last = now;
                due.push(topic.clone());
                return true;
            }
            false
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_repair_comes_at_once_and_the_next_ones_every_few_seconds() {
        let start = Instant::now();
        let mut overwritten = Overwritten::default();
        assert!(overwritten.note("health", TopicKind::Ours, start));
        let mut repairs = 0;
        for tenth in 1..300u32 {
            let now = start + tenth * Duration::from_millis(100);
            repairs += u32::from(overwritten.note("health", TopicKind::Ours, now));
            if overwritten.due().is_some_and(|due| due <= now) {
                repairs += u32::try_from(overwritten.take_due(now).len()).unwrap();
            }
        }
        assert_eq!(repairs, 5, "30 seconds of writing");
        let later = start + Duration::from_secs(60);
        assert_eq!(overwritten.take_due(later), ["health"], "the last writing is put right too");
        let later = later + APART;
        assert!(overwritten.take_due(later).is_empty() && overwritten.due().is_none(), "nothing is kept");
        assert!(overwritten.note("health", TopicKind::Ours, later));
    }

    #[test]
    fn topics_without_end_keep_no_repair_of_ours_back() {
        let now = Instant::now();
        let mut overwritten = Overwritten::default();
        let made_up =
            (0..10_000).filter(|n| overwritten.note(&format!("source/{n}"), TopicKind::Unknown, now));
        assert_eq!(made_up.count(), UNKNOWN_MAX);
        assert!(overwritten.note("health", TopicKind::Ours, now));
        assert!(overwritten.is_news(now) && !overwritten.is_news(now + APART));
    }
}
