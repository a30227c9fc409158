//! The folder of a source: which computer and path a push must come from.
//!
//! Two folders pushed under one name would make one source, and each push would read as the deletion of every file of the
//! other folder. Refused here, where the ledger is written, and asked for before a device sends a byte. The newest known
//! origin counts: snapshots of older clients say none. Not here: whether two origins are one folder
//! (`larder_format::ledger`).

use crate::ledger::view::LedgerView;
use crate::{Result, StoreError};
use larder_format::ledger::Origin;

/// The device's word on the folder of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FolderClaim {
    /// The same folder as ever.
    #[default]
    Same,
    /// A person says that the folder has moved.
    Moved,
}

/// What is known of a source before a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownSource {
    /// Kept snapshots.
    pub snapshots: u64,
    /// Whether the folder of the push is the known folder of the source; false where no folder is known.
    pub is_same_folder: bool,
}

/// Looks whether a push from `pushed` may become a snapshot of `source`.
///
/// # Errors
/// `OtherFolder` where another folder is known, unless it moved.
pub(crate) fn require_same(
    view: &LedgerView,
    source: &str,
    pushed: Option<&Origin>,
    claim: FolderClaim,
) -> Result<KnownSource> {
    let snapshots = view.snapshots(source).len() as u64;
    let (Some(known), Some(pushed)) = (view.origins.newest(source), pushed) else {
        return Ok(KnownSource { snapshots, is_same_folder: false });
    };
    let is_same_folder = known.is_same_folder(pushed);
    if is_same_folder || claim == FolderClaim::Moved {
        return Ok(KnownSource { snapshots, is_same_folder });
    }
    Err(StoreError::OtherFolder {
        name: source.to_owned(),
        known: Box::new(known.clone()),
        pushed: Box::new(pushed.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::ledger::{Entry, Event, Snapshot, WallStamp};
    use larder_format::tree::Totals;
    use larder_format::{ChunkRef, Hash};

    fn origin(computer: &str, path: &str) -> Origin {
        Origin { computer: computer.to_owned(), path: path.to_owned() }
    }

    /// A ledger with these origins of one source, oldest first.
    fn ledger(origins: &[Option<Origin>]) -> LedgerView {
        let mut view = LedgerView::new();
        for (sequence, origin) in (1..).zip(origins) {
            let push = [u8::try_from(sequence).unwrap(); 16];
            let known = Snapshot::new("laptop/src", push, ChunkRef::to(b"root"), Totals::default());
            let event = Event::Snapshot(Snapshot { origin: origin.clone(), ..known });
            let entry = Entry { sequence, previous: Hash::ZERO, stamp: WallStamp::default(), event };
            view.apply(entry, Hash::ZERO);
        }
        view
    }

    #[test]
    fn another_folder_is_refused_with_both_and_a_moved_one_is_not() {
        let (first, home) = (origin("pc", "/first/src"), origin("pc", "/home/src"));
        let view = ledger(&[Some(first.clone())]);
        let look = |pushed: &Origin, claim| require_same(&view, "laptop/src", Some(pushed), claim);
        let same = KnownSource { snapshots: 1, is_same_folder: true };
        assert_eq!(look(&first, FolderClaim::Same).unwrap(), same);
        let refused = look(&home, FolderClaim::Same).unwrap_err().to_string();
        assert_eq!(refused, "laptop/src is the folder /first/src on pc, and this is /home/src on pc");
        assert!(look(&origin("other", "/first/src"), FolderClaim::Same).is_err());
        let moved = KnownSource { snapshots: 1, is_same_folder: false };
        assert_eq!(look(&home, FolderClaim::Moved).unwrap(), moved);
    }

    #[test]
    fn a_source_without_a_known_folder_takes_any_and_the_newest_known_one_counts() {
        let (first, home) = (origin("pc", "/first/src"), origin("pc", "/home/src"));
        let look = |origins: &[Option<Origin>], pushed: Option<&Origin>| {
            require_same(&ledger(origins), "laptop/src", pushed, FolderClaim::Same)
        };
        assert_eq!(look(&[], Some(&first)).unwrap().snapshots, 0);
        assert!(look(&[None], Some(&first)).is_ok());
        assert!(look(&[Some(first.clone())], None).is_ok(), "an older client does not say");
        assert!(look(&[Some(first.clone()), None], Some(&home)).is_err(), "what it pushed hides nothing");
        assert!(look(&[Some(first.clone()), Some(home.clone())], Some(&home)).is_ok());
        assert!(look(&[Some(first.clone()), Some(home)], Some(&first)).is_err());
    }
}
