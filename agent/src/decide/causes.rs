//! Causes as data: each has a code, a level and a key. Not here: the causes of one moment (`conditions`), their words
//! (`words`).

use super::facts::{LabelFacts, LettingGo, RetainedStanding, WhyRejected};
use crate::report::{About, ConditionCode, RetainedHead};
use larder_store::retention::Rule;

/// One reason for the owner to look.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cause {
    /// Entries of the ledger are on no connected disk.
    LedgerGap {
        /// How many are missing or damaged.
        entries: usize,
        /// Former place of an absent disk that may hold the entries.
        away_at: Option<String>,
    },
    /// The ledger lacks an entry that the appliance itself once called its newest.
    PastLost {
        /// What it said, as the broker kept it.
        said: RetainedHead,
        /// Number of the newest entry now.
        newest: u64,
        /// What became of the entry.
        standing: RetainedStanding,
        /// Place of an absent disk that may have it.
        away_at: Option<String>,
    },
    /// A newer Larder wrote to the disks, and this version only gives back.
    NewerLarder,
    /// Stored pieces are damaged on every disk.
    Damage(DamageFacts),
    /// A disk did not give some packs, and is asked again.
    Unread(DiskName),
    /// A disk fails to do its part.
    Disk {
        /// The disk.
        disk: DiskName,
        /// The fault.
        fault: DiskFault,
        /// No other disk takes backups.
        is_last: bool,
    },
    /// A disk is on its way out for good.
    Leaving(DiskName),
    /// A connected disk is not used.
    Rejected {
        /// Mount point.
        path: String,
        /// The reason.
        why: WhyRejected,
    },
    /// There are fewer copies than the settings ask for.
    FewCopies {
        /// Complete copies at this moment.
        copies: u64,
        /// How many there should be.
        wanted: u64,
    },
    /// Damaged files on a disk wait for their repair.
    Unrepaired(DiskName),
    /// Damaged files on a disk were repaired of late.
    Repaired {
        /// The disk.
        disk: DiskName,
        /// How many files.
        files: u64,
    },
    /// A disk was not read back for too long.
    NotReadBack(DiskName),
    /// The fullest disk takes no further backup.
    Full {
        /// The disk's path.
        path: String,
    },
    /// The fullest disk will be full soon.
    NearlyFull {
        /// The disk's path.
        path: String,
        /// Days until then.
        days: u64,
    },
    /// No source has a snapshot.
    NoBackupYet {
        /// Whether a computer has a key already.
        is_paired: bool,
    },
    /// A source has not pushed for too long.
    Overdue {
        /// `DEVICE/NAME`.
        source: String,
        /// The limit, in words.
        limit: String,
    },
    /// A source is being retired.
    Retiring {
        /// `DEVICE/NAME`.
        source: String,
        /// Seconds until it is.
        left_s: u64,
    },
    /// Somebody at the box lets go of what a source has.
    LettingGo {
        /// `DEVICE/NAME`.
        source: String,
        /// What, and when.
        what: LettingGo,
        /// A hold keeps it.
        on_hold: bool,
    },
    /// Somebody at the box wants a label to keep its snapshot for less long.
    LabelEnding {
        /// `DEVICE/NAME`.
        source: String,
        /// The label.
        label: LabelFacts,
    },
    /// A shorter rule waits to come into force.
    ShorterRule {
        /// The rule.
        rule: Rule,
        /// Seconds until the rule comes into force.
        left_s: i64,
    },
    /// The clock cannot be believed.
    ClockNotSet,
    /// The supply voltage was too low.
    WeakPower,
    /// Our own broker did not start, and no further attempt follows.
    BrokerNotStarted {
        /// The error of the attempt.
        error: Option<String>,
    },
    /// The broker has been away for too long.
    BrokerAway {
        /// The error of the last attempt.
        error: Option<String>,
        /// What ends it, where that is known.
        remedy: Option<String>,
    },
}

/// A disk, as conditions name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskName {
    pub(crate) id: String,
    pub(crate) path: String,
}

/// The fault of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// The system stopped writing.
    ReadOnly,
    /// Failed once, and is opened anew.
    Failed,
    /// Failed again.
    Suspect,
    /// Not connected.
    Away {
        /// Released by a person.
        is_released: bool,
    },
    /// An offsite disk has not been home for too long.
    OffsiteOverdue {
        /// Seconds since the disk was last complete; none if never.
        age_s: Option<u64>,
    },
    /// Being filled.
    Behind {
        /// Files still to copy.
        files: u64,
        /// The disk was fuller once.
        is_older_copy: bool,
    },
    /// Left as the disk is until everything that the disk lacks fits.
    Full,
    /// With another past.
    Forked,
    /// The free room is unknown.
    Silent,
}

/// The loss, as far as names are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DamageFacts {
    /// Source and path of each file with lost versions.
    pub(crate) files: Vec<(String, String)>,
    /// Source and number of each damaged snapshot.
    pub(crate) snapshots: Vec<(String, u64)>,
}

impl Cause {
    /// The promised number.
    pub(crate) fn code(&self) -> ConditionCode {
        match self {
            Self::LedgerGap { .. }
            | Self::Damage(_)
            | Self::Unread(_)
            | Self::PastLost { away_at: None, .. } => ConditionCode::FilesAtRisk,
            Self::PastLost { .. } => ConditionCode::DiskMissing,
            Self::Disk { fault, is_last: true, .. } if fault.takes_a_copy() => ConditionCode::FilesAtRisk,
            Self::Disk { .. } | Self::Leaving(_) | Self::Rejected { .. } | Self::FewCopies { .. } => {
                ConditionCode::DiskMissing
            }
            Self::Unrepaired(_) | Self::Repaired { .. } => ConditionCode::DiskHealth,
            Self::NotReadBack(_) => ConditionCode::ProofStale,
            Self::Full { .. } | Self::NearlyFull { .. } => ConditionCode::LittleRoom,
            Self::NewerLarder | Self::NoBackupYet { .. } | Self::Overdue { .. } => ConditionCode::Overdue,
            Self::ShorterRule { .. }
            | Self::Retiring { .. }
            | Self::LettingGo { .. }
            | Self::LabelEnding { .. } => ConditionCode::ShorterRule,
            Self::ClockNotSet | Self::WeakPower => ConditionCode::PowerOrClock,
            Self::BrokerNotStarted { .. } | Self::BrokerAway { .. } => ConditionCode::Network,
        }
    }

    /// Stays the same as long as the condition holds, whatever its figures; told at its end.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::LedgerGap { .. } => "ledger".to_owned(),
            Self::PastLost { .. } => "past".to_owned(),
            Self::Damage(_) => "damage".to_owned(),
            Self::Unread(disk) => format!("suspected {}", disk.id),
            Self::Disk { disk, .. } => format!("disk {}", disk.id),
            Self::Leaving(disk) => format!("leaving {}", disk.id),
            Self::Rejected { path, .. } => format!("stranger {path}"),
            Self::FewCopies { .. } => "copies".to_owned(),
            Self::Unrepaired(disk) => format!("unrepaired {}", disk.id),
            Self::Repaired { disk, .. } => format!("repaired {}", disk.id),
            Self::NotReadBack(disk) => format!("unread {}", disk.id),
            Self::Full { .. } => "full".to_owned(),
            Self::NearlyFull { .. } => "nearly full".to_owned(),
            Self::NewerLarder => "newer".to_owned(),
            Self::NoBackupYet { .. } => "nothing yet".to_owned(),
            Self::Overdue { source, .. } => format!("overdue {source}"),
            Self::ShorterRule { .. } => "shorter promise".to_owned(),
            Self::Retiring { source, .. } => format!("retiring {source}"),
            Self::LettingGo { source, .. } => format!("letting go {source}"),
            Self::LabelEnding { label, .. } => format!("label of {}", label.snapshot),
            Self::ClockNotSet => "clock".to_owned(),
            Self::WeakPower => "power".to_owned(),
            Self::BrokerNotStarted { .. } | Self::BrokerAway { .. } => "broker".to_owned(),
        }
    }

    /// How much of it there is, where more of it is something new; no figure that changes by itself.
    pub(crate) fn weight(&self) -> u64 {
        let count = match self {
            Self::LedgerGap { entries, .. } => *entries,
            Self::Damage(damage) => damage.files.len() + damage.snapshots.len(),
            _ => 0,
        };
        count as u64
    }

    /// The audience, given the meaning without file names.
    pub(crate) fn about(&self, unnamed: &str) -> About {
        match self {
            Self::Damage(_) => About::Files { unnamed: unnamed.to_owned() },
            Self::Overdue { source, .. }
            | Self::Retiring { source, .. }
            | Self::LettingGo { source, .. }
            | Self::LabelEnding { source, .. } => About::Source(source.clone()),
            _ => About::Appliance,
        }
    }
}

impl DiskFault {
    /// Whether a disk with this fault is missing as a copy, and not only late or strange.
    fn takes_a_copy(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Failed | Self::Suspect | Self::Away { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use larder_format::ledger::Head;

    /// Codes and keys are on the wire: a dashboard's automation asks for them.
    #[test]
    fn each_cause_keeps_its_code_and_its_key() {
        let disk = || DiskName { id: "d".to_owned(), path: "/d".to_owned() };
        let (path, source) = (|| "/d".to_owned(), || "a/b".to_owned());
        let fault = |fault, is_last| Cause::Disk { disk: disk(), fault, is_last };
        let check = |cause: Cause, code: u8, key: &str| {
            assert_eq!((cause.code().number(), cause.key().as_str()), (code, key), "{cause:?}");
        };
        check(Cause::LedgerGap { entries: 1, away_at: None }, 1, "ledger");
        let said = RetainedHead { head: Head::EMPTY, said: Timestamp::UNIX_EPOCH };
        let standing = RetainedStanding::Ahead;
        check(Cause::PastLost { said, newest: 1, standing, away_at: None }, 1, "past");
        check(Cause::PastLost { said, newest: 1, standing, away_at: Some(path()) }, 4, "past");
        check(Cause::Damage(DamageFacts::default()), 1, "damage");
        check(Cause::Unread(disk()), 1, "suspected d");
        for gone in [
            DiskFault::ReadOnly,
            DiskFault::Failed,
            DiskFault::Suspect,
            DiskFault::Away { is_released: false },
        ] {
            check(fault(gone, true), 1, "disk d");
            check(fault(gone, false), 4, "disk d");
        }
        let behind = DiskFault::Behind { files: 3, is_older_copy: false };
        let overdue = DiskFault::OffsiteOverdue { age_s: None };
        for late in [behind, DiskFault::Full, DiskFault::Forked, DiskFault::Silent, overdue] {
            check(fault(late, true), 4, "disk d");
        }
        check(Cause::Leaving(disk()), 4, "leaving d");
        check(Cause::Rejected { path: path(), why: WhyRejected::EmptyInPlaceOfAnother }, 4, "stranger /d");
        check(Cause::FewCopies { copies: 1, wanted: 2 }, 4, "copies");
        check(Cause::Unrepaired(disk()), 6, "unrepaired d");
        check(Cause::Repaired { disk: disk(), files: 1 }, 6, "repaired d");
        check(Cause::NotReadBack(disk()), 10, "unread d");
        check(Cause::Full { path: path() }, 5, "full");
        check(Cause::NearlyFull { path: path(), days: 3 }, 5, "nearly full");
        check(Cause::NewerLarder, 3, "newer");
        check(Cause::NoBackupYet { is_paired: true }, 3, "nothing yet");
        check(Cause::Overdue { source: source(), limit: "2 days".to_owned() }, 3, "overdue a/b");
        check(Cause::ShorterRule { rule: Rule::default(), left_s: 1 }, 9, "shorter promise");
        check(Cause::Retiring { source: source(), left_s: 1 }, 9, "retiring a/b");
        let what = LettingGo { snapshots: 1, left_s: 1 };
        check(Cause::LettingGo { source: source(), what, on_hold: false }, 9, "letting go a/b");
        let label = LabelFacts { snapshot: 7, text: String::new(), until: None, shortens_in_s: Some(1) };
        check(Cause::LabelEnding { source: source(), label }, 9, "label of 7");
        check(Cause::ClockNotSet, 7, "clock");
        check(Cause::WeakPower, 7, "power");
        check(Cause::BrokerNotStarted { error: None }, 8, "broker");
        check(Cause::BrokerAway { error: None, remedy: None }, 8, "broker");
    }
}
