//! When a watched source sends what changed, and when it makes a snapshot.
//!
//! Changed files go ahead as soon as the folder is calm, so their bytes travel within seconds. A snapshot comes every
//! quarter-hour at most: every snapshot is an entry that the appliance keeps for ten years, and with a snapshot for
//! each saved letter a busy folder would fill the ledger. Time is an argument, counted from some fixed moment.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Between two snapshots of a source, for every door by which snapshots come without a person
/// (docs/why/016-by-itself.md).
pub(crate) const SNAPSHOT_EVERY: Duration = Duration::from_secs(15 * 60);
/// A folder without a change for so long is calm: programs that save a file write several times.
const CALM: Duration = Duration::from_secs(2);
/// A folder that never calms down is looked at all the same.
const RESTLESS_MAX: Duration = Duration::from_secs(20);
/// A walk rests for so many times its length, so that a tenth of the time goes into walks at most: a large file that
/// grows all day is read again by each walk.
const REST_FACTOR: u32 = 9;
/// After a walk that found nothing new, although something was said to have changed.
const NOTHING_NEW_REST: Duration = MINUTE;
const FIRST_RETRY: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(5 * 60);

/// The next thing to do for a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchStep {
    /// Send the changed folders ahead of the next snapshot.
    Ahead,
    Snapshot(SnapshotWish),
    /// Nothing before this moment, unless something changes.
    Rest(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotWish {
    IfChanged,
    /// Also without any change, once a day: the appliance tells of sources that fall silent.
    Always,
}

/// Whether the system tells of changes in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    Events,
    /// Only looking tells.
    Blind,
}

impl Sight {
    fn look_every(self) -> Duration {
        match self {
            // An event may be lost without a word.
            Self::Events => DAY,
            Self::Blind => SNAPSHOT_EVERY,
        }
    }
}

/// The state of a watched source.
pub(crate) struct SourcePacing {
    /// First and last of the changes that no walk has looked at.
    unseen: Option<Unseen>,
    /// Whether something changed since the walk of the last snapshot began.
    is_behind: bool,
    next_snapshot_from: Duration,
    last_snapshot: Option<Duration>,
    last_look: Option<Duration>,
    rest_until: Duration,
    failures: u32,
    pub(crate) sight: Sight,
}

#[derive(Clone, Copy)]
struct Unseen {
    first: Duration,
    last: Duration,
}

impl Unseen {
    fn calm_at(self) -> Duration {
        (self.last + CALM).min(self.first + RESTLESS_MAX)
    }
}

impl SourcePacing {
    /// A source whose tree nobody has looked at; no snapshot before `next_snapshot_from`.
    pub(crate) fn new(now: Duration, next_snapshot_from: Duration) -> Self {
        Self {
            // The first look also enters the folders that are to be watched.
            unseen: Some(Unseen { first: now.saturating_sub(CALM), last: now.saturating_sub(CALM) }),
            is_behind: true,
            next_snapshot_from,
            last_snapshot: None,
            last_look: None,
            rest_until: Duration::ZERO,
            failures: 0,
            sight: Sight::Events,
        }
    }

    /// What to do at `now`.
    pub(crate) fn next(&self, now: Duration) -> WatchStep {
        if now < self.rest_until {
            return WatchStep::Rest(self.rest_until);
        }
        let calm_at = self.unseen.map(Unseen::calm_at);
        if let Some(calm_at) = calm_at.filter(|calm_at| now < *calm_at) {
            return WatchStep::Rest(calm_at);
        }
        let look_at = self.last_look.map_or(now, |at| at + self.sight.look_every());
        let wanted_at = if self.is_behind { now } else { look_at };
        let snapshot_at = wanted_at.max(self.next_snapshot_from);
        if snapshot_at <= now {
            let is_daily = self.last_snapshot.is_none_or(|at| at + DAY <= now);
            return WatchStep::Snapshot(if is_daily {
                SnapshotWish::Always
            } else {
                SnapshotWish::IfChanged
            });
        }
        if calm_at.is_some() && self.sight == Sight::Events {
            return WatchStep::Ahead;
        }
        WatchStep::Rest(snapshot_at)
    }

    /// A folder changed.
    pub(crate) fn changed(&mut self, now: Duration) {
        self.is_behind = true;
        let first = self.unseen.map_or(now, |unseen| unseen.first);
        self.unseen = Some(Unseen { first, last: now });
    }

    /// Something may have changed, and nobody knows where: the next snapshot finds it.
    pub(crate) fn lost_sight(&mut self) {
        self.is_behind = true;
    }

    /// A walk begins: what changes from here on is for the next walk.
    pub(crate) fn begin(&mut self, step: WatchStep) {
        self.unseen = None;
        if matches!(step, WatchStep::Snapshot(_)) {
            self.is_behind = false;
        }
    }

    /// Changed folders were sent by a walk of this length.
    pub(crate) fn sent_ahead(&mut self, now: Duration, took: Duration) {
        self.went_well(now, took);
    }

    /// A snapshot was made by a walk of this length.
    pub(crate) fn made_snapshot(&mut self, now: Duration, took: Duration) {
        self.went_well(now, took);
        self.next_snapshot_from = now + SNAPSHOT_EVERY;
        self.last_snapshot = Some(now);
        self.last_look = Some(now);
    }

    /// A walk over the whole tree found nothing new.
    pub(crate) fn found_nothing_new(&mut self, now: Duration, took: Duration) {
        self.went_well(now, took);
        self.rest_until = self.rest_until.max(now + NOTHING_NEW_REST);
        self.last_look = Some(now);
    }

    fn went_well(&mut self, now: Duration, took: Duration) {
        self.failures = 0;
        self.rest_until = now + (took * REST_FACTOR).min(SNAPSHOT_EVERY);
    }

    /// A walk could not be finished: again after a pause that grows.
    pub(crate) fn failed(&mut self, now: Duration) {
        self.is_behind = true;
        // What the walk was to send would otherwise wait for the next snapshot.
        self.unseen.get_or_insert(Unseen { first: now, last: now });
        let pause = FIRST_RETRY * 2_u32.saturating_pow(self.failures.min(16));
        self.failures += 1;
        self.rest_until = now + pause.clamp(SECOND, RETRY_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IF_CHANGED: WatchStep = WatchStep::Snapshot(SnapshotWish::IfChanged);
    const ALWAYS: WatchStep = WatchStep::Snapshot(SnapshotWish::Always);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// With a snapshot at the moment 1000, made within no time.
    fn after_a_snapshot() -> SourcePacing {
        let mut pacing = SourcePacing::new(at(1000), Duration::ZERO);
        assert_eq!(pacing.next(at(1000)), ALWAYS, "the first comes at once");
        pacing.begin(ALWAYS);
        pacing.made_snapshot(at(1000), Duration::ZERO);
        pacing
    }

    #[test]
    fn bytes_go_within_seconds_and_snapshots_every_quarter_hour() {
        let mut pacing = after_a_snapshot();
        assert_eq!(pacing.next(at(1001)), WatchStep::Rest(at(1000) + DAY), "nothing changed");
        pacing.changed(at(1100));
        pacing.changed(at(1101));
        assert_eq!(pacing.next(at(1101)), WatchStep::Rest(at(1103)), "somebody is writing");
        assert_eq!(pacing.next(at(1103)), WatchStep::Ahead);
        pacing.begin(WatchStep::Ahead);
        pacing.sent_ahead(at(1104), SECOND);
        assert_eq!(pacing.next(at(1105)), WatchStep::Rest(at(1113)), "a walk of a second rests for nine");
        assert_eq!(pacing.next(at(1113)), WatchStep::Rest(at(1900)), "the rest waits for its quarter-hour");
        assert_eq!(pacing.next(at(1900)), IF_CHANGED);
        pacing.begin(IF_CHANGED);
        pacing.made_snapshot(at(1900), Duration::ZERO);
        pacing.changed(at(5000));
        assert_eq!(pacing.next(at(5002)), IF_CHANGED, "after a long silence the snapshot comes at once");
    }

    /// A hundred thousand changes in a day are no more than 96 snapshots, and a snapshot a day is enough for silence.
    #[test]
    fn a_busy_day_has_ninety_six_snapshots_and_a_quiet_day_one() {
        let snapshots = |changes_every: Option<u64>| {
            let mut pacing = after_a_snapshot();
            let (mut now, mut made) = (1000, 0);
            while now < 1000 + 10 * 86_400 {
                if changes_every.is_some_and(|every| now % every == 0) {
                    pacing.changed(at(now));
                }
                let step = pacing.next(at(now));
                match step {
                    WatchStep::Rest(_) => {}
                    WatchStep::Ahead => {
                        pacing.begin(step);
                        pacing.sent_ahead(at(now), Duration::from_millis(100));
                    }
                    WatchStep::Snapshot(_) => {
                        pacing.begin(step);
                        pacing.made_snapshot(at(now), Duration::from_millis(100));
                        made += 1;
                    }
                }
                now += 1;
            }
            made
        };
        let busy = snapshots(Some(1));
        assert!((930..=960).contains(&busy), "{busy}");
        assert_eq!(snapshots(None), 9, "one for each whole day");
    }

    #[test]
    fn a_folder_that_never_calms_down_is_looked_at_all_the_same() {
        let mut pacing = after_a_snapshot();
        for second in 1100..1120 {
            pacing.changed(at(second));
            assert!(matches!(pacing.next(at(second)), WatchStep::Rest(_)), "{second}");
        }
        pacing.changed(at(1120));
        assert_eq!(pacing.next(at(1120)), WatchStep::Ahead);
    }

    #[test]
    fn without_events_the_tree_is_looked_through_every_quarter_hour() {
        let mut pacing = after_a_snapshot();
        pacing.sight = Sight::Blind;
        assert_eq!(pacing.next(at(1001)), WatchStep::Rest(at(1900)));
        assert_eq!(pacing.next(at(1900)), IF_CHANGED);
        pacing.begin(IF_CHANGED);
        pacing.found_nothing_new(at(1900), Duration::ZERO);
        assert_eq!(pacing.next(at(1901)), WatchStep::Rest(at(1960)));
        assert_eq!(pacing.next(at(1960)), WatchStep::Rest(at(2800)));
        pacing.changed(at(1970));
        assert_eq!(pacing.next(at(1980)), IF_CHANGED, "what is seen by chance counts too");
    }

    #[test]
    fn lost_events_lead_to_a_whole_look_and_failures_to_longer_pauses() {
        let mut pacing = after_a_snapshot();
        pacing.lost_sight();
        assert_eq!(pacing.next(at(1001)), WatchStep::Rest(at(1900)));
        assert_eq!(pacing.next(at(1900)), IF_CHANGED);
        pacing.begin(IF_CHANGED);
        let mut now = at(1900);
        for pause in [5, 10, 20, 40, 80, 160, 300, 300] {
            pacing.failed(now);
            assert_eq!(pacing.next(now), WatchStep::Rest(now + at(pause)));
            now += at(pause);
            assert_eq!(pacing.next(now), IF_CHANGED, "what changed is not forgotten");
            pacing.begin(IF_CHANGED);
        }
        pacing.made_snapshot(now, Duration::ZERO);
        pacing.failed(now);
        assert_eq!(pacing.next(now), WatchStep::Rest(now + FIRST_RETRY), "a success starts the pauses anew");
    }

    #[test]
    fn what_could_not_be_sent_ahead_is_sent_after_the_pause() {
        let mut pacing = after_a_snapshot();
        pacing.changed(at(1100));
        let mut now = at(1102);
        for pause in [5, 10, 20, 40, 80] {
            assert_eq!(pacing.next(now), WatchStep::Ahead, "{now:?}");
            pacing.begin(WatchStep::Ahead);
            pacing.failed(now);
            assert_eq!(pacing.next(now), WatchStep::Rest(now + at(pause)));
            now += at(pause);
        }
        pacing.begin(WatchStep::Ahead);
        pacing.sent_ahead(now, Duration::ZERO);
        assert_eq!(pacing.next(now), WatchStep::Rest(at(1900)), "the snapshot waits for its quarter-hour");
    }

    /// A watch that is started again and again makes no snapshot each time, and still sends what changed.
    #[test]
    fn a_new_start_keeps_the_quarter_hour_of_the_last_snapshot() {
        let mut pacing = SourcePacing::new(at(100), at(400));
        assert_eq!(pacing.next(at(100)), WatchStep::Ahead);
        pacing.begin(WatchStep::Ahead);
        pacing.sent_ahead(at(100), Duration::ZERO);
        assert_eq!(pacing.next(at(101)), WatchStep::Rest(at(400)));
        assert_eq!(pacing.next(at(400)), ALWAYS);
    }
}
