//! Why something is not as it should be, as data: each cause has a code, a level and a key. Not here: which causes there are
//! at one moment (`conditions`), their words (`words`).

use super::facts::WhyRejected;
use crate::report::{About, ConditionCode};
use larder_store::retention::Rule;

/// One reason why the owner has to look.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cause {
    /// Entries of the ledger are on no disk that is here.
    LedgerGap {
        /// How many are missing or damaged.
        entries: usize,
        /// Where a disk is away that may have them.
        away_at: Option<String>,
    },
    /// Stored pieces are damaged on every disk.
    Damage(DamageFacts),
    /// A disk did not give some packs, and is asked again.
    Unread(DiskName),
    /// A disk does not do its part.
    Disk {
        /// The disk.
        disk: DiskName,
        /// What is wrong with it.
        fault: DiskFault,
        /// No other disk takes backups.
        is_last: bool,
    },
    /// A disk is on its way out for good.
    Leaving(DiskName),
    /// A disk that is connected is not used.
    Rejected {
        /// Where it is connected.
        path: String,
        /// Why it is not used.
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
    /// The fullest disk takes nothing more.
    Full {
        /// Its path.
        path: String,
    },
    /// The fullest disk will take nothing more soon.
    NearlyFull {
        /// Its path.
        path: String,
        /// Days until then.
        days: u64,
    },
    /// No source has a snapshot.
    NoBackupYet,
    /// A source has not pushed for too long.
    Overdue {
        /// `DEVICE/NAME`.
        source: String,
        /// How long that is, as the settings write it.
        limit: String,
    },
    /// A rule that keeps less waits to come into force.
    ShorterRule {
        /// The rule.
        rule: Rule,
        /// Seconds until it comes into force.
        left_s: i64,
    },
    /// The clock cannot be believed.
    ClockNotSet,
    /// The supply voltage was too low.
    WeakPower,
    /// Our own broker did not start; nobody tries again.
    BrokerNotStarted {
        /// What the attempt said.
        error: Option<String>,
    },
    /// The broker has been away for too long.
    BrokerAway {
        /// What the last attempt said.
        error: Option<String>,
    },
}

/// A disk, as conditions name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskName {
    pub(crate) id: String,
    pub(crate) path: String,
}

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// The system stopped writing to it.
    ReadOnly,
    /// It failed once and is opened anew.
    Failed,
    /// It failed again.
    Suspect,
    /// It is not connected.
    Away {
        /// Somebody let go of it.
        is_released: bool,
    },
    /// An offsite disk has not been home for too long.
    OffsiteOverdue {
        /// Seconds since it had everything; none if it never had.
        age_s: Option<u64>,
    },
    /// It is being filled.
    Behind {
        /// Files that it lacks.
        files: u64,
        /// It once had more than it has now.
        is_older_copy: bool,
    },
    /// It has another past.
    Forked,
    /// It does not say how much room it has.
    Silent,
}

/// What is lost, as far as names are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DamageFacts {
    /// Source and path of each file, some of whose versions are lost.
    pub(crate) files: Vec<(String, String)>,
    /// Source and number of each snapshot that cannot be given back whole.
    pub(crate) snapshots: Vec<(String, u64)>,
}

impl Cause {
    /// The promised number.
    pub(crate) fn code(&self) -> ConditionCode {
        match self {
            Self::LedgerGap { .. } | Self::Damage(_) | Self::Unread(_) => ConditionCode::FilesAtRisk,
            Self::Disk { fault, is_last: true, .. } if fault.takes_a_copy() => ConditionCode::FilesAtRisk,
            Self::Disk { .. } | Self::Leaving(_) | Self::Rejected { .. } | Self::FewCopies { .. } => {
                ConditionCode::DiskMissing
            }
            Self::Unrepaired(_) | Self::Repaired { .. } => ConditionCode::DiskHealth,
            Self::NotReadBack(_) => ConditionCode::ProofStale,
            Self::Full { .. } | Self::NearlyFull { .. } => ConditionCode::LittleRoom,
            Self::NoBackupYet | Self::Overdue { .. } => ConditionCode::Overdue,
            Self::ShorterRule { .. } => ConditionCode::ShorterRule,
            Self::ClockNotSet | Self::WeakPower => ConditionCode::PowerOrClock,
            Self::BrokerNotStarted { .. } | Self::BrokerAway { .. } => ConditionCode::Network,
        }
    }

    /// Stays the same as long as the condition holds, whatever its figures; told when it is over.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::LedgerGap { .. } => "ledger".to_owned(),
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
            Self::NoBackupYet => "nothing yet".to_owned(),
            Self::Overdue { source, .. } => format!("overdue {source}"),
            Self::ShorterRule { .. } => "shorter promise".to_owned(),
            Self::ClockNotSet => "clock".to_owned(),
            Self::WeakPower => "power".to_owned(),
            Self::BrokerNotStarted { .. } | Self::BrokerAway { .. } => "broker".to_owned(),
        }
    }

    /// Whom it may be told to, given its meaning without the names of files.
    pub(crate) fn about(&self, unnamed: &str) -> About {
        match self {
            Self::Damage(_) => About::Files { unnamed: unnamed.to_owned() },
            Self::Overdue { source, .. } => About::Source(source.clone()),
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
