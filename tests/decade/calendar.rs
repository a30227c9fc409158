//! What happens in the years, as a list that a seed decides: pushes and every kind of bad luck, each with a number of
//! its own that decides its details.
//!
//! An entry's details depend on nothing but its number, so a failing life is cut down by leaving entries out, and what
//! is left fails in the same way. Not here: doing any of it (`life`).

use larder_store::disk::Dice;

/// One thing that happens on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Happening {
    /// Place in the calendar of its seed; the name under which it is replayed.
    pub(crate) number: usize,
    /// Counted from 0.
    pub(crate) day: u32,
    pub(crate) event: Event,
    /// Decides its details.
    pub(crate) seed: u64,
}

/// Kinds of happenings, in the order in which those of one day are lived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Event {
    /// The box is switched off for days or weeks.
    SwitchedOff,
    /// Its clock wakes up in 1970 and is set right some days later.
    ClockReset,
    /// Its clock says 2100, and believes it.
    ClockJump,
    /// Somebody unplugs a disk, and plugs it in again days later.
    DiskPulled,
    /// The offsite disk comes for a day.
    Offsite,
    /// A disk comes back as it was weeks ago.
    OldImage,
    /// A disk is replaced by an empty one.
    Emptied,
    /// Both disks burn; the offsite disk is what is left.
    Fire,
    /// A disk behind a bridge that drops flushes takes the place of an honest one.
    Liar,
    /// There is no room on a disk for some days.
    Full,
    /// Bits flip, sectors go bad, a file vanishes.
    Rot,
    /// The agent is stopped in good order and started again.
    Restarted,
    /// One read, write or sync fails during the day.
    DiskErrs,
    /// A sync fails during the day, and gives up what it should have saved.
    SyncFails,
    /// A write finds no room during the day.
    NoRoom,
    /// A disk dies during the day.
    DiskDies,
    /// The agent is killed during the day.
    Killed,
    /// The power goes during the day.
    PowerCut,
    /// A device pushes what changed since its last push.
    Push,
    /// A device pushes garbage, dozens of times.
    Flood,
}

impl Event {
    /// How many years pass between two of a kind, on average; none for what has a rhythm of its own.
    fn years_between(self) -> Option<f64> {
        Some(match self {
            Self::SwitchedOff => 0.7,
            Self::ClockReset | Self::ClockJump => 1.2,
            Self::DiskPulled => 0.6,
            Self::OldImage => 1.5,
            Self::Emptied => 3.0,
            Self::Fire => 12.0,
            Self::Liar => 3.5,
            Self::Full => 1.0,
            Self::Rot => 0.25,
            Self::Restarted => 0.25,
            Self::DiskErrs => 0.2,
            Self::SyncFails | Self::NoRoom => 0.4,
            Self::DiskDies => 1.5,
            Self::Killed => 0.3,
            Self::PowerCut => 0.2,
            Self::Flood => 1.0,
            Self::Push | Self::Offsite => return None,
        })
    }

    /// In words, for the story.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::SwitchedOff => "box switched off for days",
            Self::ClockReset => "clock woke up in 1970",
            Self::ClockJump => "clock jumped to 2100",
            Self::DiskPulled => "disk pulled and put back",
            Self::Offsite => "offsite disk visited",
            Self::OldImage => "disk swapped for an older image",
            Self::Emptied => "disk replaced by an empty one",
            Self::Fire => "fire took the disks at home",
            Self::Liar => "disk that lies about flushes came",
            Self::Full => "disk full for days",
            Self::Rot => "rot",
            Self::Restarted => "agent restarted",
            Self::DiskErrs => "operation failed",
            Self::SyncFails => "sync failed",
            Self::NoRoom => "write found no room",
            Self::DiskDies => "disk died",
            Self::Killed => "agent killed",
            Self::PowerCut => "power cut",
            Self::Push => "push",
            Self::Flood => "flood of garbage",
        }
    }
}

const ALL: [Event; 20] = [
    Event::SwitchedOff,
    Event::ClockReset,
    Event::ClockJump,
    Event::DiskPulled,
    Event::Offsite,
    Event::OldImage,
    Event::Emptied,
    Event::Fire,
    Event::Liar,
    Event::Full,
    Event::Rot,
    Event::Restarted,
    Event::DiskErrs,
    Event::SyncFails,
    Event::NoRoom,
    Event::DiskDies,
    Event::Killed,
    Event::PowerCut,
    Event::Push,
    Event::Flood,
];

/// Days between two visits of the offsite disk, about.
const OFFSITE_DAYS: usize = 45;
/// Every other day some device pushes, holidays apart, and in one evening of so many another one does.
const EVENINGS: usize = 6;

/// Everything that happens in so many days of the life that belongs to `seed`.
pub(crate) fn calendar(seed: u64, days: u32) -> Vec<Happening> {
    let mut dice = Dice::new(seed);
    let mut all = Vec::new();
    let mut holiday_until = 0;
    let mut offsite = 14;
    for day in 0..days {
        if dice.one_in(120) {
            holiday_until = day + 7 + u32::try_from(dice.below(14)).expect("small");
        }
        for event in ALL {
            let times = match event.years_between() {
                Some(years) => usize::from((dice.below(1_000_000) as f64) < 1_000_000.0 / 365.0 / years),
                None if event == Event::Push && day >= holiday_until => {
                    usize::from(dice.one_in(2)) + usize::from(dice.one_in(EVENINGS))
                }
                None if event == Event::Offsite && day >= offsite => {
                    offsite =
                        day + u32::try_from(OFFSITE_DAYS / 2 + dice.below(OFFSITE_DAYS)).expect("small");
                    1
                }
                None => 0,
            };
            for _ in 0..times {
                all.push(Happening { number: all.len(), day, event, seed: dice.roll() });
            }
        }
    }
    all
}
