//! A few days with a vault that stays open: pushes, an edit, a deletion, a second source, the same push twice.
//!
//! For disks that come and go under it; `workload` starts anew after each fault.

use harness::plain::{self, Files, Push, files, push, restore, stamp};
use larder_format::{ChunkId, ChunkRef};
use larder_store::disk::Disk;
use larder_store::{Committed, Result, Vault};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A snapshot that was acknowledged, and what it must give back for ever.
pub(crate) struct Promised {
    root: ChunkRef,
    files: Files,
}

/// What has been acknowledged so far.
#[derive(Default)]
pub(crate) struct Promises(Vec<Promised>);

impl Promises {
    /// Every acknowledged snapshot gives back exactly what was pushed, and the next push simply works.
    pub(crate) fn check(&self, disks: Vec<Arc<dyn Disk>>, context: &str) {
        let vault = plain::open(disks)
            .unwrap_or_else(|error| panic!("{context}: the vault does not open: {error:?}"));
        self.check_on(&vault, context);
        let next = push(&vault, "laptop/docs", &days()[0].1, 999, stamp(99));
        next.unwrap_or_else(|error| panic!("{context}: the next push fails: {error:?}"));
        assert_eq!(vault.audit().expect("an audit").damaged, [""; 0], "{context}");
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Names of all content that was promised.
    pub(crate) fn names(&self, vault: &Vault) -> Vec<ChunkId> {
        let names: BTreeSet<_> = self
            .0
            .iter()
            .flat_map(|promised| Push::ask(vault, plain::APPLIANCE.clone(), &promised.files).names)
            .collect();
        names.into_iter().collect()
    }

    /// Every acknowledged snapshot exists and gives back exactly what was pushed.
    pub(crate) fn check_on(&self, vault: &Vault, context: &str) {
        let known: Vec<_> =
            vault.ledger().sources.values().flatten().map(|record| record.snapshot.root).collect();
        for (number, promised) in self.0.iter().enumerate() {
            assert!(known.contains(&promised.root), "{context}: snapshot {number} is not told");
            let found = restore(vault, promised.root);
            let found =
                found.unwrap_or_else(|error| panic!("{context}: snapshot {number} is lost: {error:?}"));
            assert!(found == promised.files, "{context}: snapshot {number} gives other bytes");
        }
    }
}

/// Source and files of each push, in order.
fn days() -> Vec<(&'static str, Files)> {
    let long = |seed: u8| (0..3000u32).map(|n| (n % 251) as u8 ^ seed).collect::<Vec<u8>>();
    let first = files([("a.txt", b"first"), ("photos/cat.jpg", &long(1)), ("photos/old/dog.jpg", &long(2))]);
    let mut edited = first.clone();
    edited.insert("a.txt".to_owned(), b"edited".to_vec());
    let mut deleted = edited.clone();
    deleted.remove("photos/cat.jpg");
    let other = files([("music/song.ogg", &long(3)), ("b.txt", b"first")]);
    vec![("laptop/docs", first), ("laptop/docs", edited), ("phone/dcim", other), ("laptop/docs", deleted)]
}

/// Lives through the days on these disks until something fails; returns what was acknowledged before that.
pub(crate) fn live(disks: Vec<Arc<dyn Disk>>) -> Promises {
    plain::open(disks).map(|vault| live_on(&vault)).unwrap_or_default()
}

/// The same on a vault that is open.
pub(crate) fn live_on(vault: &Vault) -> Promises {
    let mut promises = Promises::default();
    for (number, (source, files)) in (1u32..).zip(days()) {
        let pushed = push(vault, source, &files, number.into(), stamp(number.into()));
        let Ok(committed) = pushed else { return promises };
        promises.0.push(Promised { root: committed.record.snapshot.root, files: files.clone() });
        // A client that did not hear the answer asks again.
        let again = push(vault, source, &files, number.into(), stamp(50));
        let Ok(again) = again else { return promises };
        assert_eq!(again.record.sequence, committed.record.sequence, "the same push is the same snapshot");
    }
    promises
}

/// Pushes what changes from day to day; whatever it adds is promised too.
pub(crate) fn one_more_day(vault: &Vault, promises: &mut Promises) -> Committed {
    try_one_more_day(vault, promises).expect("a push")
}

/// The same where it may fail; promised is only what was acknowledged.
pub(crate) fn try_one_more_day(vault: &Vault, promises: &mut Promises) -> Result<Committed> {
    let number = 100 + promises.0.len();
    let text = format!("day {number}");
    let files = files([("diary.txt", text.as_bytes()), ("photos/cat.jpg", &[7; 2500])]);
    let hours = u64::try_from(number).expect("few days");
    let committed = push(vault, "laptop/diary", &files, number as u128, stamp(hours))?;
    promises.0.push(Promised { root: committed.record.snapshot.root, files });
    Ok(committed)
}
