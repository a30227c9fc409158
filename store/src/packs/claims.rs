//! Claims on the chunks of a pack that is not sealed yet: which devices brought which.
//!
//! One bit a device for each chunk: a chunk that two devices bring at once is stored once, and is of both. Not here:
//! chunks of sealed packs (`owners`).

use crate::packs::pins::Holder;
use larder_format::ChunkId;
use std::collections::HashMap;

/// Devices with a claim in one pack: as many as a claim has bits. A further device waits for the next pack.
const HOLDERS_MAX: usize = u32::BITS as usize;

/// The chunks of one pack, each with the devices that brought it.
#[derive(Default)]
pub(crate) struct Claims {
    of: HashMap<ChunkId, u32>,
    holders: Vec<Holder>,
}

impl Claims {
    /// Takes in chunks without a device.
    pub(crate) fn extend(&mut self, ids: &[ChunkId]) {
        for id in ids {
            self.of.entry(*id).or_default();
        }
    }

    pub(crate) fn contains(&self, id: &ChunkId) -> bool {
        self.of.contains_key(id)
    }

    /// Whether a claim of `holder` has a bit, or can get one.
    pub(crate) fn has_place_for(&self, holder: &Holder) -> bool {
        self.holders.len() < HOLDERS_MAX || self.holders.contains(holder)
    }

    /// `holder` brought those of the chunks that lie in this pack.
    pub(crate) fn claim(&mut self, holder: &Holder, ids: &[ChunkId]) {
        if !matches!(holder, Holder::Device(_)) || !self.has_place_for(holder) {
            return;
        }
        let place = self.holders.iter().position(|known| known == holder).unwrap_or_else(|| {
            self.holders.push(holder.clone());
            self.holders.len() - 1
        });
        for id in ids {
            if let Some(claims) = self.of.get_mut(id) {
                *claims |= 1 << place;
            }
        }
    }

    /// Whether `holder` brought the chunk; none where it does not lie here. The appliance may name every chunk.
    pub(crate) fn is_own(&self, id: &ChunkId, holder: &Holder) -> Option<bool> {
        let claims = self.of.get(id)?;
        let place = self.holders.iter().position(|known| known == holder);
        Some(*holder == Holder::Appliance || place.is_some_and(|place| claims & 1 << place != 0))
    }

    /// The slots of each device in a pack with these chunks by slot.
    pub(crate) fn slots<'a>(
        &'a self,
        chunks: &'a [ChunkId],
    ) -> impl Iterator<Item = (&'a Holder, impl Iterator<Item = u16> + 'a)> {
        let numbered = move || (0..=u16::MAX).zip(chunks);
        self.holders.iter().enumerate().map(move |(place, holder)| {
            let is_its = move |id: &ChunkId| self.of.get(id).is_some_and(|claims| claims & 1 << place != 0);
            (holder, numbered().filter(move |(_, id)| is_its(id)).map(|(slot, _)| slot))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::Hash;

    fn device(name: &str) -> Holder {
        Holder::Device(name.to_owned())
    }

    #[test]
    fn a_chunk_is_of_whoever_brought_it() {
        let ids: Vec<_> = (0..4u8).map(|n| Hash::of(&[n])).collect();
        let (laptop, phone) = (device("laptop"), device("phone"));
        let mut claims = Claims::default();
        claims.extend(&ids[..3]);
        claims.claim(&laptop, &ids[..2]);
        claims.claim(&phone, &ids[1..]);
        let of = |holder: &Holder| {
            ids.iter().map(|id| claims.is_own(id, holder) == Some(true)).collect::<Vec<_>>()
        };
        assert_eq!(of(&laptop), [true, true, false, false]);
        assert_eq!(of(&phone), [false, true, true, false], "the last chunk does not lie here");
        assert_eq!(of(&device("stranger")), [false; 4]);
        assert_eq!(of(&Holder::Appliance), [true, true, true, false]);
        let slots: Vec<_> = claims
            .slots(&ids[..3])
            .map(|(holder, slots)| (holder.clone(), slots.collect::<Vec<_>>()))
            .collect();
        assert_eq!(slots, [(laptop, vec![0, 1]), (phone, vec![1, 2])]);
    }

    /// A claim without a bit would be lost, and the device's commit refused for ever.
    #[test]
    fn a_pack_takes_as_many_devices_as_it_has_bits() {
        let id = Hash::of(b"chunk");
        let mut claims = Claims::default();
        claims.extend(&[id]);
        for number in 0..HOLDERS_MAX {
            let device = device(&number.to_string());
            assert!(claims.has_place_for(&device));
            claims.claim(&device, &[id]);
            assert_eq!(claims.is_own(&id, &device), Some(true));
        }
        assert!(!claims.has_place_for(&device("one more")) && claims.has_place_for(&device("0")));
    }
}
