//! Packs that the index knows and no disk shows: swept, given up, or missing.

use crate::disk::Disk;
use crate::disks::members::Members;
use crate::ledger::clock::TrustedTime;
use larder_format::Hash;
use larder_format::layout::{self, QUARANTINE};
use std::collections::{HashMap, HashSet};

/// Sorts packs that the index knows and no disk shows: numbers of swept or given-up packs, and the missing packs.
pub(crate) fn gone_or_missing(
    members: &Members,
    absent: Vec<(u32, Hash)>,
    swept: &HashMap<Hash, TrustedTime>,
) -> (Vec<u32>, Vec<(u32, Hash)>) {
    let (mut gone, absent): (Vec<_>, Vec<_>) =
        absent.into_iter().partition(|(_, name)| swept.contains_key(name));
    // Records are read from the disks only where some pack is still unexplained.
    let given_up = if absent.is_empty() { HashSet::new() } else { packs_given_up(members) };
    let (given_up, missing): (Vec<_>, Vec<_>) =
        absent.into_iter().partition(|(_, name)| given_up.contains(name));
    gone.extend(given_up);
    (gone.into_iter().map(|(number, _)| number).collect(), missing)
}

/// Packs with a record of the loss.
fn packs_given_up(members: &Members) -> HashSet<Hash> {
    let all = members.all();
    let readable = all.iter().filter(|member| member.is_readable());
    let items = readable.flat_map(|member| member.disk.list(QUARANTINE).unwrap_or_default());
    items.filter_map(|item| layout::set_aside_losses_name(&item.name)).collect()
}
