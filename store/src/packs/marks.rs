//! One bit for each chunk of each pack: 10 million chunks take 1.25 MB.

use std::collections::HashMap;

/// Pack number and slot.
pub(crate) type At = (u32, u16);

#[derive(Default)]
pub(crate) struct Marks(HashMap<u32, Vec<u64>>);

impl Marks {
    pub(crate) fn set(&mut self, (pack, slot): At) {
        let (word, bit) = (usize::from(slot / 64), slot % 64);
        let words = self.0.entry(pack).or_default();
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= 1 << bit;
    }

    /// Sets the mark and returns whether the mark is new.
    pub(crate) fn set_first(&mut self, at: At) -> bool {
        let is_first = !self.has(at);
        self.set(at);
        is_first
    }

    pub(crate) fn has(&self, (pack, slot): At) -> bool {
        let word = self.0.get(&pack).and_then(|words| words.get(usize::from(slot / 64)));
        word.is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    /// Whether any chunk of the pack is marked.
    pub(crate) fn has_any(&self, pack: u32) -> bool {
        self.0.contains_key(&pack)
    }

    /// Whether no mark is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets every mark of one pack that is set in `words`, 64 slots a word.
    pub(crate) fn join(&mut self, pack: u32, words: &[u64]) {
        let marks = self.0.entry(pack).or_default();
        marks.resize(marks.len().max(words.len()), 0);
        marks.iter_mut().zip(words).for_each(|(mark, word)| *mark |= word);
    }

    /// Marks of one pack, 64 slots a word.
    pub(crate) fn words(&self, pack: u32) -> Option<&[u64]> {
        self.0.get(&pack).map(Vec::as_slice)
    }

    /// Packs with a mark.
    pub(crate) fn packs(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.keys().copied()
    }

    /// Removes every mark of one pack.
    pub(crate) fn clear(&mut self, pack: u32) {
        self.0.remove(&pack);
    }

    /// Marked slots of one pack, rising.
    pub(crate) fn of(&self, pack: u32) -> impl Iterator<Item = u16> + '_ {
        let words = self.0.get(&pack).map_or(&[][..], Vec::as_slice);
        let slots = (0..=u16::MAX).take(words.len() * 64);
        slots.filter(|slot| words[usize::from(slot / 64)] & (1 << (slot % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_apart() {
        let mut marks = Marks::default();
        let set = [(1, 0), (1, 63), (1, 64), (7, u16::MAX)];
        set.into_iter().for_each(|at| marks.set(at));
        assert!(set.into_iter().all(|at| marks.has(at)));
        assert!(!marks.has((1, 1)) && !marks.has((2, 0)) && !marks.has((7, 0)) && !marks.has_any(2));
        assert_eq!(marks.of(1).collect::<Vec<_>>(), [0, 63, 64]);
        assert_eq!(marks.of(7).collect::<Vec<_>>(), [u16::MAX]);
    }
}
