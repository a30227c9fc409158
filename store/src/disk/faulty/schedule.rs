//! Which operations of a disk go wrong, and how: a value that prints as one line and parses back.
//!
//! `7:changes@12=error,syncs@0+=lies,reads~500=rot` is seed 7; an error at the 12th change; every sync lies; one read
//! in 500 has a wrong bit. The story of a run is a list of the same kind with fixed numbers, so a failure found by
//! chance can be replayed, and cut down, without chance. Not here: the faults themselves (`faulty`).

use crate::disk::Dice;
use std::fmt;
use std::str::FromStr;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The operation fails with an I/O error and without effect; later ones work.
    Error,
    /// The operation fails with an I/O error after its effect: half of a write, the whole of any further operation.
    ErrorAfter,
    /// The operation fails for want of room; later ones work.
    Full,
    /// The power goes: this operation and every later operation fail, on every disk of the box.
    PowerCut,
    /// This disk dies: this operation and every later operation fail.
    Dies,
    /// A sync fails, and its pending bytes are dropped although reads still show them, as Linux does. The next sync
    /// succeeds, and proves nothing. A failed sync of names also ends the filesystem's journal: the disk is read-only
    /// until the next mount. For other operations an `Error`.
    SyncLost,
    /// A sync returns success and no byte reached the medium, as with a USB bridge that drops flushes. No effect
    /// elsewhere.
    SyncLies,
    /// A read gives one wrong bit. No effect elsewhere.
    Rot,
    /// A read gives bytes of another place or file. No effect elsewhere.
    Elsewhere,
}

/// The operations that a fault applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum On {
    /// Every operation.
    All,
    /// Operations that change the disk: create, append, sync, publish, remove, folders.
    Changes,
    /// Syncs of files and folders.
    Syncs,
    /// Operations that only look: open, read, length, list, space.
    Reads,
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// Once, at this operation, counted from 0.
    At(u64),
    /// At this operation and every later operation.
    From(u64),
    /// At one in so many, by chance.
    OneIn(u64),
}

/// A kind of fault with a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Planned {
    /// The operations counted.
    pub on: On,
    /// The operations struck among the counted.
    pub when: When,
    /// The fault at this place.
    pub fault: Fault,
}

/// The simplest schedule: one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Number of the operation, counted from 0 over every change of the disk.
    pub at: u64,
    /// The fault at this place.
    pub fault: Fault,
}

/// The planned faults of one disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Seed of every random choice.
    pub seed: u64,
    /// The faults; of several at one operation the first happens.
    pub faults: Vec<Planned>,
}

impl Schedule {
    /// Several faults.
    pub fn new(seed: u64, faults: impl Into<Vec<Planned>>) -> Self {
        Self { seed, faults: faults.into() }
    }
}

impl When {
    pub(super) fn is_now(self, number: u64, dice: &mut Dice) -> bool {
        match self {
            Self::At(at) => number == at,
            Self::From(first) => number >= first,
            Self::OneIn(many) => dice.roll().is_multiple_of(many.max(1)),
        }
    }
}

impl From<Option<Plan>> for Schedule {
    fn from(plan: Option<Plan>) -> Self {
        let planned = |Plan { at, fault }| Planned { on: On::Changes, when: When::At(at), fault };
        Self::new(0, plan.map(planned).into_iter().collect::<Vec<_>>())
    }
}

const FAULTS: [(Fault, &str); 9] = [
    (Fault::Error, "error"),
    (Fault::ErrorAfter, "error-after"),
    (Fault::Full, "full"),
    (Fault::PowerCut, "power-cut"),
    (Fault::Dies, "dies"),
    (Fault::SyncLost, "lost"),
    (Fault::SyncLies, "lies"),
    (Fault::Rot, "rot"),
    (Fault::Elsewhere, "elsewhere"),
];
const ONS: [(On, &str); 4] =
    [(On::All, "all"), (On::Changes, "changes"), (On::Syncs, "syncs"), (On::Reads, "reads")];

fn name_of<T: PartialEq>(names: &[(T, &'static str)], wanted: &T) -> &'static str {
    names.iter().find(|(known, _)| known == wanted).map_or("?", |(_, name)| name)
}

fn named<T: Copy>(names: &[(T, &'static str)], name: &str) -> Result<T, String> {
    names.iter().find(|(_, known)| *known == name).map(|(value, _)| *value).ok_or(format!("unknown: {name}"))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&FAULTS, self))
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = name_of(&ONS, &self.on);
        match self.when {
            When::At(at) => write!(f, "{on}@{at}={}", self.fault),
            When::From(first) => write!(f, "{on}@{first}+={}", self.fault),
            When::OneIn(many) => write!(f, "{on}~{many}={}", self.fault),
        }
    }
}

impl FromStr for Planned {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, fault) = text.split_once('=').ok_or(format!("no `=` in {text}"))?;
        let (on, number) = place.split_once(['@', '~']).ok_or(format!("no `@` and no `~` in {text}"))?;
        let digits = number.trim_end_matches('+');
        let count: u64 = digits.parse().map_err(|_| format!("no number in {text}"))?;
        let when = match (place.contains('~'), number.ends_with('+')) {
            (true, _) => When::OneIn(count),
            (_, true) => When::From(count),
            _ => When::At(count),
        };
        Ok(Self { on: named(&ONS, on)?, when, fault: named(&FAULTS, fault)? })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self.faults.iter().map(Planned::to_string).collect();
        write!(f, "{}:{}", self.seed, faults.join(","))
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (seed, faults) = text.split_once(':').ok_or(format!("no `:` in {text}"))?;
        let seed = seed.parse().map_err(|_| format!("no seed in {text}"))?;
        let faults = faults.split(',').filter(|fault| !fault.is_empty());
        Ok(Self { seed, faults: faults.map(Planned::from_str).collect::<Result<_, _>>()? })
    }
}
