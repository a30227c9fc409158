//! The ledger's chain, with entries that are missing, damaged, repeated or of a newer Larder. The input is a list of steps
//! of ten bytes: what kind, by how much the number grows, and what the entry says.
#![no_main]

use larder_format::ledger::{Entry, Event, Stamp};
use larder_format::outline::{Chain, Link, Outline};
use larder_format::{FormatError, Hash};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Outline::decode(bytes);
    let (mut chain, mut number, mut previous) = (Chain::new(), 0u64, Hash::ZERO);
    let mut told = 0u64;
    for step in bytes.as_chunks::<10>().0 {
        let [kind, grows, rest @ ..] = *step;
        let stamp = Stamp { time_ms: i64::from_le_bytes(rest), trusted: false, powered_on_s: 0 };
        number = number.saturating_add(u64::from(grows.max(1))).min(u64::MAX - 1);
        let event = Event::HoldCleared { sequence: 0 };
        let entry = Entry { sequence: number, previous, stamp, event };
        let (mut file, hash) = entry.encode();
        if kind & 1 != 0 {
            let body = file.len() - 32;
            (file[10], file[body - 2]) = (rest[0].max(2), 0x7f);
            let hash = Hash::of(&file[..body]);
            file[body..].copy_from_slice(&hash.0);
            assert!(matches!(Entry::decode(&file), Err(FormatError::TooNew { .. })));
        }
        let outline = Outline::decode(&file).expect("it is whole");
        assert_eq!(outline.event.is_some(), kind & 1 == 0);
        if kind & 2 != 0 {
            let gap = chain.step_over(number);
            assert!(gap.is_none_or(|(first, last)| told < first && first <= last && last < number));
            told = number;
            continue;
        }
        let is_next = chain.is_next(&outline);
        match chain.step(&outline) {
            Link::Follows => assert!(is_next),
            Link::AfterGap { first, last } => assert!(told < first && first <= last && last == number - 1),
            Link::Unchecked | Link::Broken => assert!(!is_next),
        }
        told = number;
        previous = if kind & 4 != 0 { hash } else { outline.hash };
    }
});
