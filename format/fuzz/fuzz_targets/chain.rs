//! The ledger's chain, with entries that are missing, damaged, repeated or of a newer Larder. The input is a list of steps
//! of ten bytes: what kind, by how much the number grows, and what the entry says.
#![no_main]

use larder_format::Hash;
use larder_format::ledger::{Chain, Entry, Event, LEDGER_VERSION, Link, Newer, WallStamp, Without};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (mut chain, mut number, mut previous) = (Chain::new(), 0u64, Hash::ZERO);
    let mut told = 0u64;
    for step in bytes.as_chunks::<10>().0 {
        let [kind, grows, rest @ ..] = *step;
        let stamp = WallStamp { time_ms: i64::from_le_bytes(rest), trusted: false, powered_on_s: 0 };
        number = number.saturating_add(u64::from(grows.max(1))).min(u64::MAX - 1);
        let event = if kind & 1 == 0 {
            Event::HoldCleared { sequence: 0 }
        } else {
            let without = if kind & 8 == 0 { Without::ReadOnly } else { Without::KeepEverything };
            Event::Newer(Newer { since: LEDGER_VERSION + 1, kind: 1 << 20, without, payload: rest.to_vec() })
        };
        let entry = Entry { sequence: number, previous, stamp, event };
        let (file, hash) = entry.encode();
        assert_eq!(Entry::decode(&file), Ok((entry.clone(), hash, file.len())));
        if kind & 2 != 0 {
            let gap = chain.step_over(number);
            assert!(gap.is_none_or(|(first, last)| told < first && first <= last && last < number));
            told = number;
            continue;
        }
        let is_next = chain.is_next(&entry);
        match chain.step(&entry, hash) {
            Link::Follows => assert!(is_next),
            Link::AfterGap { first, last } => assert!(told < first && first <= last && last == number - 1),
            Link::Unchecked | Link::Broken => assert!(!is_next),
        }
        told = number;
        previous = if kind & 4 != 0 { Hash::of(&rest) } else { hash };
    }
});
