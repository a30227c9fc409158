//! Which packs go for want of room, and which devices lose their pins: a value from facts, so that every rule can be tested.
//!
//! Not here: the facts, and letting go (`unfinished`).

use crate::packs::pins::{Holder, PINNED_S, Pins};
use larder_format::Hash;
use std::collections::BTreeMap;

/// A pack without a chunk needed by a kept snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) number: u32,
    pub(crate) name: Hash,
    pub(crate) len: u64,
}

/// Wanted room, and the limits of a plan.
pub(crate) struct Shortage {
    pub(crate) wanted_bytes: u64,
    /// A push was refused: only then do the devices' shares matter.
    pub(crate) is_refused: bool,
    /// History is on hold, and unpinned packs may belong to snapshots let go of before.
    pub(crate) spares_unpinned: bool,
    /// Room left for the uploads of all devices together.
    pub(crate) room_bytes: u64,
}

/// Packs to free, in order: the plan is a testable value, and the only source of removals.
pub(crate) fn plan(candidates: &[Candidate], pins: &Pins, shortage: &Shortage) -> Vec<Candidate> {
    // Counted here and not on receipt: a commit of one small file names none of the rest.
    let mut brought: BTreeMap<&Holder, u64> = BTreeMap::new();
    for (holder, bytes) in candidates.iter().flat_map(|pack| pins.holders(pack.number)) {
        *brought.entry(holder).or_default() += bytes;
    }
    let order = if shortage.is_refused { given_up(brought, pins, shortage.room_bytes) } else { Vec::new() };
    let mut ranked: Vec<(usize, Candidate)> =
        candidates.iter().filter_map(|pack| Some((rank(*pack, pins, &order, shortage)?, *pack))).collect();
    ranked.sort_by_key(|(rank, pack)| (*rank, pack.number));
    let mut bytes = 0;
    let is_wanted = |(_, pack): &(usize, Candidate)| {
        let is_wanted = bytes < shortage.wanted_bytes;
        bytes += pack.len;
        is_wanted
    };
    ranked.into_iter().take_while(is_wanted).map(|(_, pack)| pack).collect()
}

/// Devices losing their pins, in order, of those that brought bytes named by no snapshot.
pub(crate) fn given_up<'a>(
    brought: BTreeMap<&'a Holder, u64>,
    pins: &Pins,
    room_bytes: u64,
) -> Vec<&'a Holder> {
    let mut order = Vec::new();
    for (holder, bytes) in brought.into_iter().filter(|(holder, _)| matches!(holder, Holder::Device(_))) {
        let standing = pins.standing(holder);
        let is_above = standing.is_above_share(bytes, room_bytes);
        if is_above || standing.idle_s >= PINNED_S {
            order.push(((!is_above, std::cmp::Reverse(standing.idle_s)), holder));
        }
    }
    order.sort_by_key(|(key, _)| *key);
    order.into_iter().map(|(_, holder)| holder).collect()
}

/// Number of devices to give up before the pack may go; `None` where the pack must stay.
fn rank(pack: Candidate, pins: &Pins, order: &[&Holder], shortage: &Shortage) -> Option<usize> {
    let (mut rank, mut is_pinned) = (0, false);
    for (holder, _) in pins.holders(pack.number) {
        is_pinned = true;
        rank = rank.max(match holder {
            Holder::EarlierRun => 0,
            Holder::Appliance => return None,
            Holder::Device(_) => 1 + order.iter().position(|given_up| *given_up == holder)?,
        });
    }
    (is_pinned || !shortage.spares_unpinned).then_some(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> Holder {
        Holder::Device(name.to_owned())
    }

    fn pack(number: u32) -> Candidate {
        Candidate { number, name: Hash::of(&number.to_le_bytes()), len: 10 }
    }

    /// The laptop is above its share and pushes now. The phone was idle for two days, the tablet for an hour; both are
    /// within their shares. Pack 7 has no pins; the appliance itself wrote pack 6.
    fn pins() -> Pins {
        let mut pins = Pins::default();
        for (at_s, name, packs) in [
            (0, "phone", vec![1]),
            (2 * PINNED_S - 3600, "tablet", vec![2]),
            (2 * PINNED_S, "laptop", vec![3, 4, 5]),
        ] {
            pins.received(&device(name), 10 * packs.len() as u64, 40);
            packs.into_iter().for_each(|pack| pins.note_pack(&device(name), pack, 10));
            pins.see(at_s);
        }
        pins.note_pack(&Holder::Appliance, 6, 10);
        pins
    }

    fn planned(pins: &Pins, shortage: &Shortage) -> Vec<u32> {
        let candidates: Vec<_> = (1..8).map(pack).collect();
        plan(&candidates, pins, shortage).iter().map(|pack| pack.number).collect()
    }

    const ALL: Shortage =
        Shortage { wanted_bytes: 1000, is_refused: true, spares_unpinned: false, room_bytes: 0 };

    /// Unpinned packs go first, then devices above their share, then devices idle for a day.
    #[test]
    fn a_push_within_its_share_and_its_day_is_never_given_up() {
        assert_eq!(planned(&pins(), &ALL), [7, 3, 4, 5, 1]);
    }

    #[test]
    fn no_more_goes_than_is_wanted() {
        assert_eq!(planned(&pins(), &Shortage { wanted_bytes: 11, ..ALL }), [7, 3]);
        assert_eq!(planned(&pins(), &Shortage { wanted_bytes: 0, ..ALL }), [] as [u32; 0]);
    }

    #[test]
    fn as_long_as_nobody_is_refused_every_pin_counts() {
        assert_eq!(planned(&pins(), &Shortage { is_refused: false, ..ALL }), [7]);
    }

    /// Unpinned packs may be the content of snapshots let go of before history was put on hold.
    #[test]
    fn a_hold_keeps_what_snapshots_may_have_named() {
        assert_eq!(planned(&pins(), &Shortage { spares_unpinned: true, ..ALL }), [3, 4, 5, 1]);
    }

    #[test]
    fn of_two_devices_above_their_share_the_longer_idle_one_goes_first() {
        let mut pins = pins();
        pins.received(&device("tablet"), 20, 0);
        pins.note_pack(&device("tablet"), 1, 20);
        pins.see(2 * PINNED_S);
        // Pack 1 belongs to the phone as well, so the phone is given up first.
        assert_eq!(planned(&pins, &ALL), [7, 3, 4, 5, 2, 1]);
        pins.note(&device("laptop"), &[]);
        pins.see(2 * PINNED_S + 60);
        assert_eq!(planned(&pins, &ALL), [7, 2, 3, 4, 5, 1]);
    }

    /// A pack shared by two devices stays while either device keeps its pins.
    #[test]
    fn a_pack_stays_for_each_device_that_keeps_its_pins() {
        let mut pins = pins();
        pins.note(&device("tablet"), &[(4, 0)]);
        assert_eq!(planned(&pins, &ALL), [7, 3, 5, 1]);
    }

    /// A small commit after each gigabyte would otherwise make a device appear to hold nothing.
    #[test]
    fn a_commit_that_names_nothing_of_it_changes_no_share() {
        let mut pins = pins();
        pins.committed(&device("laptop"));
        assert_eq!(planned(&pins, &ALL), [7, 3, 4, 5, 1]);
    }
}
