//! Pins: the chunks and packs that pushes under way rely on, for each device: chunks that the device was told are held, and
//! packs with bytes of its uploads.
//!
//! No snapshot names a pinned chunk yet, and the sweep would free the chunk just before the commit. Pins live in two
//! generations that take turns: a pin stays for a day at least and is forgotten after two. A longer push is asked at its
//! commit for chunks gone meanwhile. Pins do not outlive a restart, so an ordinary sweep waits a while after a restart.
//! Where room is short, the pins of some devices no longer count (`unfinished`). Memory: one bit for each pinned chunk and
//! some bytes for each pack, once for each paired device. Not here: chunks named by snapshots (`mark`).

use crate::packs::marks::{At, Marks};
use crate::packs::share::share_bytes;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How long a pin is kept at least, in seconds switched on.
pub(crate) const PINNED_S: u64 = 24 * 3600;

/// After a start a device may still go on with a push that an earlier run answered.
pub(crate) const SETTLED_AFTER_S: u64 = 3600;

/// The owner of a pin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// A device by its name.
    Device(String),
    /// The appliance itself: packs that a sweep or a repair has just written.
    Appliance,
    /// An earlier run: packs received and not sealed before the restart.
    EarlierRun,
}

/// What one device has sent without a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The name of its pairing.
    pub device: String,
    /// Bytes since its last commit.
    pub bytes: u64,
}

#[derive(Default)]
struct Generation {
    chunks: Marks,
    /// Bytes of the holder, by the number of their pack.
    packs: HashMap<u32, u64>,
}

impl Generation {
    fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.chunks.is_empty()
    }

    fn has_any(&self, pack: u32) -> bool {
        self.packs.contains_key(&pack) || self.chunks.has_any(pack)
    }

    fn has(&self, at: At) -> bool {
        self.packs.contains_key(&at.0) || self.chunks.has(at)
    }
}

/// The pins of one holder.
#[derive(Default)]
struct Pinned {
    young: Generation,
    old: Generation,
    /// Bytes received since the last commit.
    received_bytes: u64,
    /// The holder's share, from the first of these bytes on.
    share_bytes: Option<u64>,
    /// Whether the holder asked or sent since the last clock reading.
    is_active: bool,
    /// Time of the holder's last request or upload, in seconds switched on.
    active_s: u64,
}

impl Pinned {
    fn generations(&self) -> [&Generation; 2] {
        [&self.young, &self.old]
    }

    fn has_any(&self, pack: u32) -> bool {
        self.generations().iter().any(|generation| generation.has_any(pack))
    }

    /// Bytes of the holder in a pack; `None` without any.
    fn brought(&self, pack: u32) -> Option<u64> {
        let of_pack = self.generations().into_iter().filter_map(|generation| generation.packs.get(&pack));
        of_pack.copied().reduce(u64::saturating_add)
    }
}

/// The state of one holder when room is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Seconds since the last request or upload.
    pub(crate) idle_s: u64,
    /// Share at the start of the push; 0 as long as no byte has come since the last commit.
    pub(crate) share_bytes: u64,
}

impl Standing {
    /// Whether `held_bytes` exceed the share, where all uploads together can still bring `room_bytes`. Bytes of other
    /// devices take nothing off a share, and room gained since adds to the share.
    pub(crate) fn is_above_share(&self, held_bytes: u64, room_bytes: u64) -> bool {
        held_bytes > self.share_bytes.max(share_bytes(room_bytes.saturating_add(held_bytes)))
    }
}

#[derive(Default)]
pub(crate) struct Pins {
    of: BTreeMap<Holder, Pinned>,
    /// The latest known moment, in seconds switched on.
    now_s: u64,
    /// When the sweep asked first, and when the generations took turns.
    first_s: Option<u64>,
    turned_s: u64,
    /// A push was refused for want of room, and the refusal is not handled yet.
    is_refused: bool,
}

impl Pins {
    /// Takes note of the time. A device's activity counts for the next clock reading: counted for the last reading, a
    /// device that pushes between two readings would look idle.
    pub(crate) fn see(&mut self, powered_on_s: u64) {
        self.now_s = self.now_s.max(powered_on_s);
        for pinned in self.of.values_mut().filter(|pinned| pinned.is_active) {
            (pinned.is_active, pinned.active_s) = (false, self.now_s);
        }
    }

    fn active(&mut self, holder: &Holder) -> &mut Pinned {
        let pinned = self.of_holder(holder);
        pinned.is_active = true;
        pinned
    }

    fn of_holder(&mut self, holder: &Holder) -> &mut Pinned {
        if !self.of.contains_key(holder) {
            self.of.insert(holder.clone(), Pinned::default());
        }
        self.of.get_mut(holder).expect("it was just put there")
    }

    /// The holder was told that these chunks are held.
    pub(crate) fn note(&mut self, holder: &Holder, chunks: &[At]) {
        let pinned = self.active(holder);
        chunks.iter().for_each(|at| pinned.young.chunks.set(*at));
    }

    /// A pack was sealed with so many bytes of the holder, and the holder is about to name its chunks. Another device may
    /// have sealed the pack, so sealing says nothing about the holder's activity.
    pub(crate) fn note_pack(&mut self, holder: &Holder, pack: u32, bytes: u64) {
        let brought = self.of_holder(holder).young.packs.entry(pack).or_default();
        *brought = brought.saturating_add(bytes);
    }

    /// Whether the holder has brought no byte since its last commit: the share begins with the next bytes.
    pub(crate) fn is_beginning(&self, holder: &Holder) -> bool {
        self.of.get(holder).is_none_or(|pinned| pinned.share_bytes.is_none())
    }

    /// The holder brought so many bytes. `room_bytes` is the room left for all uploads together; the value counts only if
    /// the holder was beginning.
    pub(crate) fn received(&mut self, holder: &Holder, bytes: u64, room_bytes: u64) {
        let pinned = self.active(holder);
        pinned.share_bytes.get_or_insert_with(|| share_bytes(room_bytes));
        pinned.received_bytes = pinned.received_bytes.saturating_add(bytes);
    }

    /// A push of the holder was committed. The pins stay: another push of the same device may be under way.
    pub(crate) fn committed(&mut self, holder: &Holder) {
        let pinned = self.active(holder);
        (pinned.received_bytes, pinned.share_bytes) = (0, None);
    }

    /// Lets time pass. Returns whether enough time has passed since the start.
    pub(crate) fn turn(&mut self, powered_on_s: u64) -> bool {
        self.see(powered_on_s);
        let first_s = *self.first_s.get_or_insert_with(|| {
            self.turned_s = powered_on_s;
            powered_on_s
        });
        if powered_on_s >= self.turned_s.saturating_add(PINNED_S) {
            for pinned in self.of.values_mut() {
                pinned.old = std::mem::take(&mut pinned.young);
            }
            // An idle device counts no longer. A recently active device may have brought bytes that are not sealed yet.
            let now_s = self.now_s;
            let is_here = |pinned: &Pinned| now_s - pinned.active_s < 2 * PINNED_S;
            self.of.retain(|_, pinned| !pinned.old.is_empty() || is_here(pinned));
            self.turned_s = powered_on_s;
        }
        powered_on_s >= first_s.saturating_add(SETTLED_AFTER_S)
    }

    /// Whether the whole pack is pinned.
    pub(crate) fn has_pack(&self, pack: u32) -> bool {
        self.of.values().any(|pinned| pinned.brought(pack).is_some())
    }

    pub(crate) fn has_any(&self, pack: u32) -> bool {
        self.of.values().any(|pinned| pinned.has_any(pack))
    }

    pub(crate) fn has(&self, at: At) -> bool {
        self.generations().any(|generation| generation.has(at))
    }

    /// Holders that rely on the chunk: told of the chunk, or brought the chunk as `is_known_to_have_brought` says. Where
    /// nobody knows which of the pack's holders brought the chunk, each of them.
    pub(crate) fn relying(&self, at: At, is_known_to_have_brought: impl Fn(&Holder) -> bool) -> Vec<&Holder> {
        let (mut sure, mut maybe) = (Vec::new(), Vec::new());
        for (holder, pinned) in &self.of {
            let has_brought = pinned.brought(at.0).is_some();
            let was_told = pinned.generations().iter().any(|generation| generation.chunks.has(at));
            if was_told || (has_brought && is_known_to_have_brought(holder)) {
                sure.push(holder);
            } else if has_brought {
                maybe.push(holder);
            }
        }
        if sure.is_empty() { maybe } else { sure }
    }

    /// Slots of one pack with a pin of their own.
    pub(crate) fn of(&self, pack: u32) -> impl Iterator<Item = u16> + '_ {
        self.generations().flat_map(move |generation| generation.chunks.of(pack))
    }

    fn generations(&self) -> impl Iterator<Item = &Generation> {
        self.of.values().flat_map(Pinned::generations)
    }

    /// Holders with a pin in the pack, and the bytes of each holder in the pack.
    pub(crate) fn holders(&self, pack: u32) -> impl Iterator<Item = (&Holder, u64)> {
        let holding = self.of.iter().filter(move |(_, pinned)| pinned.has_any(pack));
        holding.map(move |(holder, pinned)| (holder, pinned.brought(pack).unwrap_or(0)))
    }

    pub(crate) fn standing(&self, holder: &Holder) -> Standing {
        let pinned = self.of.get(holder);
        Standing {
            idle_s: pinned
                .map_or(0, |pinned| if pinned.is_active { 0 } else { self.now_s - pinned.active_s }),
            share_bytes: pinned.and_then(|pinned| pinned.share_bytes).unwrap_or(0),
        }
    }

    /// Whether the holder has brought more than its share since the last commit, where all uploads together can still bring
    /// `room_bytes`.
    pub(crate) fn is_above_share(&self, holder: &Holder, room_bytes: u64) -> bool {
        let received = self.of.get(holder).map_or(0, |pinned| pinned.received_bytes);
        self.standing(holder).is_above_share(received, room_bytes)
    }

    /// Bytes brought since the last commit: by the holder, and by every other device.
    pub(crate) fn unfinished_bytes(&self, holder: &Holder) -> (u64, u64) {
        let received = |is_meant: &dyn Fn(&Holder) -> bool| {
            let meant = self.of.iter().filter(|(of, _)| is_meant(of));
            meant.map(|(_, pinned)| pinned.received_bytes).fold(0, u64::saturating_add)
        };
        let is_another = |of: &Holder| of != holder && matches!(of, Holder::Device(_));
        (received(&|of| of == holder), received(&is_another))
    }

    /// Devices with bytes since their last commit, by name.
    pub(crate) fn unfinished_uploads(&self) -> Vec<UnfinishedUpload> {
        let with_bytes = self.of.iter().filter(|(_, pinned)| pinned.received_bytes > 0);
        let upload = |(holder, pinned): (&Holder, &Pinned)| match holder {
            Holder::Device(device) => {
                Some(UnfinishedUpload { device: device.clone(), bytes: pinned.received_bytes })
            }
            Holder::Appliance | Holder::EarlierRun => None,
        };
        with_bytes.filter_map(upload).collect()
    }

    /// These packs were swept: their pins count no more. Bytes count no more for the holders for whom `is_freed` holds; for
    /// the others the bytes lie elsewhere.
    pub(crate) fn forget(&mut self, packs: &HashSet<u32>, is_freed: impl Fn(&Holder) -> bool) {
        for (holder, pinned) in &mut self.of {
            for generation in [&mut pinned.young, &mut pinned.old] {
                let gone = generation.packs.extract_if(|pack, _| packs.contains(pack));
                let bytes = gone.map(|(_, bytes)| bytes).fold(0, u64::saturating_add);
                if is_freed(holder) {
                    pinned.received_bytes = pinned.received_bytes.saturating_sub(bytes);
                }
                packs.iter().for_each(|pack| generation.chunks.clear(*pack));
            }
        }
    }

    /// A push was refused for want of room.
    pub(crate) fn note_refusal(&mut self) {
        self.is_refused = true;
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// The refusals were handled as far as possible.
    pub(crate) fn end_refusal(&mut self) {
        self.is_refused = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> Holder {
        Holder::Device(name.to_owned())
    }

    /// A pin of one device stays for a day at least and two at most, whatever the other devices do.
    #[test]
    fn a_pin_stays_for_a_day_for_each_device() {
        let mut pins = Pins::default();
        pins.turn(0);
        pins.note(&device("laptop"), &[(1, 7)]);
        pins.note_pack(&device("phone"), 2, 100);
        pins.turn(PINNED_S);
        pins.note(&device("laptop"), &[(3, 0)]);
        assert!(pins.has((1, 7)) && !pins.has((1, 8)) && pins.has((2, 9)) && pins.has_pack(2));
        pins.turn(2 * PINNED_S - 1);
        assert!(pins.has((1, 7)) && pins.has_pack(2));
        pins.turn(2 * PINNED_S);
        assert!(!pins.has((1, 7)) && !pins.has_any(2) && pins.has((3, 0)));
        assert_eq!(pins.of(3).collect::<Vec<_>>(), [0]);
    }

    /// A growing pack is pinned when any device seals the pack: until then the device must not be forgotten.
    #[test]
    fn a_device_whose_bytes_are_not_sealed_yet_is_not_forgotten() {
        let mut pins = Pins::default();
        pins.turn(0);
        pins.see(2 * PINNED_S - 10);
        pins.received(&device("laptop"), 60, 1_000);
        pins.turn(2 * PINNED_S);
        pins.note_pack(&device("laptop"), 1, 60);
        assert_eq!(pins.standing(&device("laptop")).idle_s, 0);
        assert_eq!(pins.unfinished_bytes(&device("laptop")).0, 60);
    }

    #[test]
    fn bytes_count_for_the_device_that_brought_them_until_it_commits() {
        let mut pins = Pins::default();
        let (laptop, phone) = (device("laptop"), device("phone"));
        pins.received(&laptop, 60, 100);
        assert!(pins.is_above_share(&laptop, 40) && !pins.is_above_share(&phone, 40));
        assert!(!pins.is_above_share(&laptop, 80), "room came since");
        pins.received(&phone, 5, 40);
        assert_eq!(pins.unfinished_bytes(&laptop), (60, 5));
        pins.note_pack(&laptop, 1, 60);
        pins.forget(&HashSet::from([1]), |_| true);
        assert!(!pins.is_above_share(&laptop, 0) && !pins.has_any(1));
        assert!(!pins.is_beginning(&laptop));
        pins.received(&laptop, 60, 1_000);
        pins.committed(&laptop);
        assert_eq!(pins.unfinished_bytes(&phone), (5, 0));
        assert!(pins.is_beginning(&laptop));
        pins.received(&phone, 5, 1_000);
        pins.received(&Holder::Appliance, 9, 1_000);
        let told = pins.unfinished_uploads();
        assert!(told.contains(&UnfinishedUpload {
            device: "phone".to_owned(),
            bytes: pins.unfinished_bytes(&phone).0
        }));
        assert!(told.iter().all(|upload| upload.bytes > 0), "{told:?}");
        pins.committed(&phone);
        assert!(pins.unfinished_uploads().iter().all(|upload| upload.device != "phone"));
    }

    #[test]
    fn a_device_is_idle_since_it_last_asked() {
        let mut pins = Pins::default();
        let idle_s = |pins: &Pins| pins.standing(&device("laptop")).idle_s;
        pins.note(&device("laptop"), &[]);
        // The first clock reading since a start: the idle time before is unknown.
        pins.see(100);
        assert_eq!(idle_s(&pins), 0);
        pins.see(160);
        assert_eq!(idle_s(&pins), 60);
        pins.note(&device("laptop"), &[]);
        assert_eq!(idle_s(&pins), 0);
    }
}
