//! Entries of every layout, and of future layouts.

use super::*;
use crate::ChunkRef;
use crate::ledger::{
    CONTENTS_MAX, ContentHash, ORIGIN_BYTES_MAX, Origin, PRUNED_PER_ENTRY_MAX, Pairing, Role,
    SEEN_DEVICES_MAX, SWEPT_PER_ENTRY_MAX, Sees, Snapshot,
};
use crate::tree::Totals;
use proptest::prelude::*;

fn snapshot() -> Snapshot {
    Snapshot {
        source: "laptop/photos".into(),
        push: [3; 16],
        root: ChunkRef::to(b"root"),
        totals: Totals { files: 2, directories: 1, bytes: 99 },
        skipped: 0,
        device_time_ms: -5,
        parent: None,
        origin: None,
        zone: None,
        contents: Vec::new(),
    }
}

fn entry(event: Event) -> Entry {
    Entry {
        sequence: 7,
        previous: Hash::of(b"six"),
        stamp: WallStamp { time_ms: 1_790_000_000_000, trusted: true, powered_on_s: 12 },
        event,
    }
}

fn from_the_future(without: Without) -> Event {
    Event::Newer(Newer { since: 9, kind: 77, without, payload: b"what nobody knows yet".to_vec() })
}

#[test]
fn an_entry_comes_back_with_its_hash_in_the_oldest_layout_that_can_say_it() {
    let with_parent = Snapshot { parent: Some(6), ..snapshot() };
    for (event, layout) in [(snapshot(), 1), (with_parent, 2)] {
        let entry = entry(Event::Snapshot(event));
        let (bytes, hash) = entry.encode();
        assert_eq!(bytes[8..12], [layout, 0, layout, 0]);
        assert_eq!(Entry::decode(&bytes).unwrap(), (entry, hash, bytes.len()));
    }
}

#[test]
fn the_longest_entries_fit() {
    let content = ContentHash { path: "x".repeat(ORIGIN_BYTES_MAX), hash: Hash::ZERO };
    let origin = Origin { computer: String::new(), path: "x".repeat(ORIGIN_BYTES_MAX) };
    let snapshot = Snapshot { origin: Some(origin), contents: vec![content; CONTENTS_MAX], ..snapshot() };
    let pruned = Event::Pruned { snapshots: vec![u64::MAX; PRUNED_PER_ENTRY_MAX], why: "x".repeat(1000) };
    let swept = Event::Swept { packs: vec![Hash([0xff; 32]); SWEPT_PER_ENTRY_MAX], salt: u32::MAX };
    for event in [pruned, swept, Event::Snapshot(snapshot)] {
        let (bytes, _) = entry(event).encode();
        assert!(bytes.len() < ENTRY_BYTES_MAX, "{}", bytes.len());
        assert!(Entry::decode(&bytes).is_ok());
    }
}

#[test]
fn a_kind_from_the_future_is_whole_and_says_what_may_be_done_without_it() {
    for without in [Without::StepOver, Without::KeepEverything, Without::ReadOnly] {
        let entry = entry(from_the_future(without));
        let (bytes, hash) = entry.encode();
        assert_eq!(Entry::decode(&bytes).unwrap(), (entry, hash, bytes.len()));
    }
}

/// The same entry with changed versions in the frame, and a correct hash.
fn reframed(entry: &Entry, written_by: u16, oldest_reader: u16) -> Vec<u8> {
    let (mut bytes, _) = entry.encode();
    bytes[8..10].copy_from_slice(&written_by.to_le_bytes());
    bytes[10..12].copy_from_slice(&oldest_reader.to_le_bytes());
    let body = bytes.len() - HASH_BYTES;
    let hash = Hash::of(&bytes[..body]);
    bytes[body..].copy_from_slice(&hash.0);
    bytes
}

#[test]
fn a_frame_from_the_future_can_only_be_read_past() {
    let bytes = reframed(&entry(from_the_future(Without::StepOver)), 9, 3);
    let (found, ..) = Entry::decode(&bytes).unwrap();
    let Event::Newer(newer) = found.event else { panic!("{found:?}") };
    assert_eq!(
        (found.sequence, newer.since, newer.kind, newer.without),
        (7, 9, UNKNOWN_KIND, Without::ReadOnly)
    );
}

#[test]
fn fields_that_a_newer_writer_adds_behind_a_known_kind_are_left_out() {
    let event = Event::SetAside { snapshot: 5, why: "odd".to_owned() };
    let mut longer = entry(event.clone()).event.payload();
    longer.push(1);
    let newer = |since| {
        entry(Event::Newer(Newer { since, kind: 13, without: Without::StepOver, payload: longer.clone() }))
    };
    assert_eq!(Entry::decode(&newer(3).encode().0).unwrap().0.event, event);
    // This version writes no such entry, so here it is damage.
    assert!(Entry::decode(&newer(2).encode().0).is_err());
}

/// A ledger comes from a disk that anybody may have written.
#[test]
fn a_pairing_that_sees_what_its_role_cannot_have_does_not_read() {
    let paired = |role, sees| {
        let pairing = Pairing { device: "laptop".to_owned(), role, key: Hash::of(b"a secret"), sees };
        entry(Event::DevicePaired(pairing)).encode().0
    };
    let devices = |names: &[&str]| Sees::Devices(names.iter().map(|name| (*name).to_owned()).collect());
    let many = |count| Sees::Devices((0..count).map(|n| format!("device-{n}")).collect());
    for (role, sees) in [
        (Role::User, devices(&[])),
        (Role::User, Sees::Everything),
        (Role::Read, devices(&["old"])),
        (Role::Read, many(SEEN_DEVICES_MAX)),
    ] {
        assert!(Entry::decode(&paired(role, sees.clone())).is_ok(), "{role:?} {sees:?}");
    }
    for (role, sees) in [
        (Role::Push, devices(&[])),
        (Role::Push, Sees::Everything),
        (Role::User, Sees::Nothing),
        (Role::Read, Sees::Nothing),
        (Role::Admin, devices(&["old"])),
        (Role::Read, many(SEEN_DEVICES_MAX + 1)),
        (Role::User, devices(&["a/b"])),
        (Role::User, devices(&[""])),
    ] {
        let read = Entry::decode(&paired(role, sees.clone()));
        assert!(matches!(read, Err(FormatError::Invalid { .. })), "{role:?} {sees:?}: {read:?}");
    }
}

#[test]
fn layout_1_has_no_kinds_of_later_layouts() {
    let (bytes, _) = entry(Event::SetAsideCleared { snapshot: 1 }).encode();
    let mut body = bytes[FRAME_BYTES..bytes.len() - HASH_BYTES].to_vec();
    // Layout 1 has no byte behind the kind.
    body.remove(body.len() - 2);
    let mut bytes = bytes[..FRAME_BYTES].to_vec();
    bytes[8..12].copy_from_slice(&[1, 0, 1, 0]);
    bytes[12..].copy_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(body);
    bytes.extend(Hash::of(&bytes).0);
    assert!(matches!(Entry::decode(&bytes), Err(FormatError::Invalid { .. })));
}

proptest! {
    #[test]
    fn any_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0u8..8, newer: bool) {
        let event = if newer { from_the_future(Without::StepOver) } else { Event::Snapshot(snapshot()) };
        let (mut bytes, _) = entry(event).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Entry::decode(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let _ = Entry::decode(&bytes);
        let _ = Entry::decode(&[&LEDGER_MAGIC[..], &bytes].concat());
    }
}
