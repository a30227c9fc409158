//! Cutting files into chunks, so an edit costs about the size of the change.
//!
//! Most files are cut where their content says so (FastCDC): an insertion moves the cuts along with the bytes. Files
//! that are rewritten in place (disk images, databases) are cut every 16 KiB instead: 1 % of changed pages then costs
//! about 5 % of the file, where cuts of 1 MiB cost 93 % (docs/why/003-cutting.md).
//! Not here: reading files, and the choice of a cut by file name (`client`).

/// No chunk is larger, so no chunk buffer need be.
pub const CHUNK_BYTES_MAX: usize = 4 * MIB;
/// Files up to this size are a single chunk.
pub const CHUNK_BYTES_MIN: usize = 256 * KIB;
/// Aim of content-defined cuts.
pub const CHUNK_BYTES_AVG: usize = MIB;
/// Length of a fixed-size cut, a multiple of every page size in use.
pub const FIXED_SIZE_BYTES: usize = 16 * KIB;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How a file is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// By content, about 1 MiB each.
    Content,
    /// Every 16 KiB, aligned to the start of the file.
    FixedSize,
}

impl Cut {
    /// Length of the first chunk of `bytes`; `bytes` must hold `CHUNK_BYTES_MAX` unless the file ends with them.
    /// Zero only for no bytes.
    pub fn first_len(self, bytes: &[u8]) -> usize {
        let bytes = &bytes[..bytes.len().min(CHUNK_BYTES_MAX)];
        match self {
            Self::FixedSize => bytes.len().min(FIXED_SIZE_BYTES),
            Self::Content if bytes.len() <= CHUNK_BYTES_MIN => bytes.len(),
            Self::Content => {
                let mut chunker =
                    fastcdc::v2020::FastCDC::new(bytes, CHUNK_BYTES_MIN, CHUNK_BYTES_AVG, CHUNK_BYTES_MAX);
                chunker.next().map_or(bytes.len(), |chunk| chunk.length)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn lengths(cut: Cut, mut bytes: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while !bytes.is_empty() {
            let len = cut.first_len(bytes);
            lengths.push(len);
            bytes = &bytes[len..];
        }
        lengths
    }

    /// The cuts are part of the format: changed cuts would store every large file again.
    #[test]
    fn cuts_never_move() {
        let golden = [491_952, 1_049_634, 651_579, 532_654];
        let found = lengths(Cut::Content, &noise(9 * MIB, 1));
        assert_eq!(found.iter().sum::<usize>(), 9 * MIB);
        assert_eq!(found[..4], golden);
    }

    #[test]
    fn an_insertion_moves_few_cuts() {
        let old = noise(24 * MIB, 2);
        let mut new = old.clone();
        new.splice(9 * MIB..9 * MIB, *b"seventeen bytes!!");
        let hashes = |bytes: &[u8]| {
            let mut at = 0;
            lengths(Cut::Content, bytes)
                .into_iter()
                .map(|len| {
                    at += len;
                    blake3::hash(&bytes[at - len..at])
                })
                .collect::<Vec<_>>()
        };
        let (old, new) = (hashes(&old), hashes(&new));
        assert!(new.iter().filter(|hash| !old.contains(hash)).count() <= 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pieces_add_up_and_keep_their_limits(len in 0usize..12_000_000, seed: u64, fixed_size: bool) {
            let cut = if fixed_size { Cut::FixedSize } else { Cut::Content };
            let lengths = lengths(cut, &noise(len, seed));
            prop_assert_eq!(lengths.iter().sum::<usize>(), len);
            let (last, whole) = lengths.split_last().map_or((0, &[][..]), |(last, whole)| (*last, whole));
            prop_assert!(last <= CHUNK_BYTES_MAX);
            let least = if fixed_size { FIXED_SIZE_BYTES } else { CHUNK_BYTES_MIN };
            prop_assert!(whole.iter().all(|len| (least..=CHUNK_BYTES_MAX).contains(len)));
        }
    }
}
