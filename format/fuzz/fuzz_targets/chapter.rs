//! Chapters of the ledger. The input is a list of steps of five bytes, each of which changes a whole chapter: an entry is
//! put in another's place, or a byte becomes another. The count and the hash are made right behind them, or nothing would
//! be reached.
#![no_main]

use larder_format::Hash;
use larder_format::ledger::chapter::{Chapter, ChapterBuilder, entries_of};
use larder_format::ledger::{Entry, Event, WallStamp};
use std::sync::LazyLock;

/// Files of the entries of the first chapter.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut previous = Hash::ZERO;
    let file = |sequence| {
        let event = Event::HoldCleared { sequence };
        let (bytes, hash) = Entry { sequence, previous, stamp: WallStamp::default(), event }.encode();
        previous = hash;
        bytes
    };
    entries_of(0).map(file).collect()
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Chapter::decode(0, bytes);
    let mut files: Vec<&[u8]> = FILES.iter().map(Vec::as_slice).collect();
    let (mut flips, count) = (Vec::new(), files.len());
    for [kind, a, b, c, d] in bytes.as_chunks::<5>().0 {
        let (here, there) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
        if kind & 1 == 0 {
            files[usize::from(here) % count] = &FILES[usize::from(there) % count];
        } else {
            flips.push((u32::from(here) | u32::from(*c & 1) << 16, *d));
        }
    }
    let mut builder = ChapterBuilder::default();
    assert!(files.iter().all(|file| builder.push(file)));
    let mut file = builder.finish();
    let body = file.len() - 32;
    for (place, flip) in flips {
        file[place as usize % body] ^= flip;
    }
    let hash = Hash::of(&file[..body]);
    file[body..].copy_from_slice(&hash.0);
    if let Ok(chapter) = Chapter::decode(0, &file) {
        assert_eq!((chapter.hash, chapter.entries.len()), (hash, count));
        let same = chapter.entries.iter().zip(&*FILES).all(|(entry, file)| entry.bytes == file);
        assert!(same, "another entry was taken for one of this chain");
    }
});
