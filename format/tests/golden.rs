//! Golden bytes: every layout, byte for byte, as it lies on disks in people's homes.
//!
//! Each value below has one file in `golden/v1` (every layout's first version) or `golden/v2` (what the second layout of
//! the ledger brought). A test that fails here says that vaults already written would no
//! longer read, or would be stored anew: that is a new layout with a new folder, never an edit of these.
//! `pack`, `ledger-1…` together are the vault of FORMAT.md's worked example.
//!
//! Adding a layout: add its value, then `LARDER_GOLDEN=write-missing cargo test -p larder-format --test golden`.
//! That writes only files that are not there. Before the version's first release a file may be deleted first; after
//! it, never. Not here: whole vaults that real programs wrote (`tests/old_disks`).

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: it reads the golden files, or fails"
)]

use larder_format::block::{Codec, Decoder, Encoder, OpenBlock};
use larder_format::ledger::chapter::{Chapter, ChapterBuilder};
use larder_format::ledger::{
    ContentHash, DiskChange, DiskEvent, DiskRole, Entry as LedgerEntry, Event, Expect, Head, Newer, Origin,
    Pairing, Role, Rule, Scrubbed, Sees, Snapshot, WallStamp, Without,
};
use larder_format::pack::{FOOTER_BYTES, Footer, PACK_HEADER_BYTES, Table};
use larder_format::parity::{self, Parity, Shape};
use larder_format::statement::{Statement, StatementKind};
use larder_format::tree::{
    Child, Entry, Kind, Node, Owner, Piece, Time, Totals, encode_pieces,
    read::{self, OneChunk},
};
use larder_format::{ChunkRef, Hash, pack, wire};
use serde_bytes::ByteBuf;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Something that is promised to be readable for ever.
#[derive(Debug)]
enum Value {
    /// Chunks of one block.
    Block(Codec, Vec<Vec<u8>>),
    /// Chunks of each block of one pack.
    Pack(Vec<Vec<Vec<u8>>>),
    Node(Node),
    Pieces(Vec<Piece>),
    Ledger(Box<LedgerEntry>),
    /// All entries of the first chapter.
    Chapter(Vec<LedgerEntry>),
    Ids(Vec<Hash>),
    /// A pack whose sidecar it is.
    Parity(Vec<u8>),
    /// Signed and never read, so all that counts is that the bytes stay.
    Statement(&'static str),
}

impl Value {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Block(_, chunks) => block(chunks),
            Self::Pack(blocks) => {
                let mut bytes = pack::header(0).to_vec();
                let mut table = Table::default();
                for chunks in blocks {
                    let block = block(chunks);
                    table.push(bytes.len() as u64, block.len(), chunks.iter().map(|chunk| Hash::of(chunk)));
                    bytes.extend(block);
                }
                bytes.extend(table.encode(bytes.len() as u64));
                bytes
            }
            Self::Node(node) => node.encode(),
            Self::Pieces(pieces) => encode_pieces(pieces),
            Self::Ledger(entry) => entry.encode().0,
            Self::Chapter(entries) => {
                let mut builder = ChapterBuilder::default();
                assert!(entries.iter().all(|entry| builder.push(&entry.encode().0)));
                builder.finish()
            }
            Self::Ids(ids) => wire::encode_ids(ids),
            Self::Statement(kind) => statement(kind),
            Self::Parity(pack) => {
                let shape = Shape::of(pack.len() as u64).unwrap();
                let made = parity::encode(&shape, |at, buffer| copy_from(pack, at, buffer).ok_or(()));
                made.unwrap().1
            }
        }
    }

    /// Compressed bytes may differ between versions of zstd; all that is promised is that they read.
    fn is_fixed(&self) -> bool {
        !matches!(self, Self::Block(Codec::Zstd, _))
    }

    fn assert_reads_from(&self, bytes: &[u8], name: &str) {
        match self {
            Self::Block(codec, chunks) => {
                assert_eq!(assert_block(bytes, chunks, name), (*codec, bytes.len()), "{name}");
            }
            Self::Pack(blocks) => assert_pack(bytes, blocks, name),
            Self::Node(node) => {
                assert_eq!(read::node(&OneChunk(bytes), &ChunkRef::to(bytes)).as_ref(), Ok(node), "{name}");
            }
            Self::Pieces(pieces) => {
                let read = read::covering(&OneChunk(bytes), &ChunkRef::to(bytes)).map(|(pieces, _)| pieces);
                assert_eq!(read.as_ref(), Ok(pieces), "{name}");
            }
            Self::Ledger(entry) => {
                let (found, hash, len) = LedgerEntry::decode(bytes).unwrap();
                assert_eq!((&found, len), (&**entry, bytes.len()), "{name}");
                assert_eq!((&hash.0[..], hash), (&bytes[len - 32..], Hash::of(&bytes[..len - 32])), "{name}");
            }
            Self::Chapter(entries) => {
                let chapter = Chapter::decode(0, bytes).unwrap();
                assert!(chapter.entries.iter().map(|found| &found.entry).eq(entries), "{name}");
            }
            Self::Ids(ids) => assert_eq!(wire::decode_ids(bytes).as_ref(), Ok(ids), "{name}"),
            Self::Parity(pack) => assert_parity(bytes, pack, name),
            Self::Statement(kind) => assert_eq!(bytes, statement(kind), "{name}"),
        }
    }
}

fn statement(kind: &str) -> Vec<u8> {
    let root = ChunkRef::to(b"root");
    let kind = match kind {
        "newest" => StatementKind::Newest,
        "entry" => StatementKind::Entry,
        _ => StatementKind::Snapshot { source: "laptop/Photos", root: &root },
    };
    let entry = Head { sequence: 258, hash: Hash::of(b"an entry") };
    Statement { vault: [7; 16], entry, said_ms: 1_790_000_000_123, kind }.encode()
}

fn block(chunks: &[Vec<u8>]) -> Vec<u8> {
    let lengths = chunks.iter().map(|chunk| u32::try_from(chunk.len()).unwrap()).collect();
    Encoder::new().encode(&chunks.concat(), lengths)
}

fn assert_block(bytes: &[u8], chunks: &[Vec<u8>], name: &str) -> (Codec, usize) {
    let (header, open) = OpenBlock::read(&mut Decoder::new(), bytes).unwrap();
    let found: Vec<_> = open.chunks.iter().map(|(id, range)| (*id, &open.plain[range.clone()])).collect();
    let wanted: Vec<_> = chunks.iter().map(|chunk| (Hash::of(chunk), &chunk[..])).collect();
    assert_eq!(found, wanted, "{name}");
    (header.codec, header.block_len())
}

fn assert_pack(bytes: &[u8], blocks: &[Vec<Vec<u8>>], name: &str) {
    pack::check_header(&bytes[..PACK_HEADER_BYTES]).unwrap();
    let tail = bytes.len() - FOOTER_BYTES;
    let footer = Footer::decode(&bytes[tail..], bytes.len() as u64).unwrap();
    let table = Table::decode(&footer, &bytes[usize::try_from(footer.table_offset).unwrap()..]).unwrap();
    assert_eq!(table.blocks.len(), blocks.len(), "{name}");
    let mut next = PACK_HEADER_BYTES;
    for (number, (place, chunks)) in table.blocks.iter().zip(blocks).enumerate() {
        let (_, len) = assert_block(&bytes[place.offset as usize..], chunks, name);
        assert_eq!((place.offset as usize, place.len as usize), (next, len), "{name}");
        let names: Vec<_> = chunks.iter().map(|chunk| Hash::of(chunk)).collect();
        assert_eq!(table.chunks_of(number), names, "{name}");
        next += len;
    }
    assert_eq!(footer.table_offset, next as u64, "{name}");
}

fn copy_from(bytes: &[u8], at: u64, buffer: &mut [u8]) -> Option<()> {
    let found = bytes.get(usize::try_from(at).ok()?..)?.get(..buffer.len())?;
    buffer.copy_from_slice(found);
    Some(())
}

/// The first shards of the pack are lost, as many as there are recovery shards.
fn assert_parity(bytes: &[u8], pack: &[u8], name: &str) {
    let read = |at, buffer: &mut [u8]| copy_from(bytes, at, buffer).is_some();
    let Parity { name: of, shape, is_whole, .. } = Parity::read(bytes.len() as u64, read).unwrap();
    assert_eq!((of, is_whole, shape.pack_len), (Hash::of(pack), true, pack.len() as u64), "{name}");
    let lost: Vec<_> = (0..shape.recovery).collect();
    let found = parity::rebuild(&shape, &lost, &lost, |source, at, buffer| match source {
        parity::Source::Data(shard) => copy_from(pack, shape.data_range(shard).start + at, buffer).ok_or(()),
        parity::Source::Recovery(shard) => {
            copy_from(bytes, shape.recovery_range(shard).start + at, buffer).ok_or(())
        }
    });
    let found = found.unwrap().unwrap().concat();
    let len = found.len().min(pack.len());
    assert_eq!(found[..len], pack[..len], "{name}");
}

/// The worked example: one folder with one file.
fn example() -> (Vec<u8>, Node, Node) {
    let content = b"hello, larder\n".to_vec();
    let modified = Time { seconds: 1_700_000_000, nanos: 5 };
    let file = Kind::File { size: 14, pieces: vec![Piece::Chunk(ChunkRef::to(&content))] };
    let folder = leaf(vec![Entry { modified, ..entry(b"hello.txt", file) }]);
    let totals = Totals { files: 1, directories: 0, bytes: 14 };
    let root = Kind::Directory { node: ChunkRef::to(&folder.encode()), totals };
    (content, folder, leaf(vec![Entry { mode: 0o755, modified, ..entry(b"", root) }]))
}

fn leaf(entries: Vec<Entry>) -> Node {
    Node::Leaf { owners: vec![ada()], entries }
}

fn ada() -> Owner {
    Owner { uid: 1000, gid: 1000, user: "ada".to_owned(), group: "ada".to_owned() }
}

fn entry(name: &[u8], kind: Kind) -> Entry {
    Entry {
        name: name.to_vec(),
        owner: 0,
        mode: 0o644,
        modified: Time { seconds: 0, nanos: 0 },
        hard_link: 0,
        xattrs: Vec::new(),
        kind,
    }
}

fn chunk(text: &[u8]) -> ChunkRef {
    ChunkRef::to(text)
}

fn every_piece() -> Vec<Piece> {
    vec![
        Piece::Chunk(chunk(b"first bytes")),
        Piece::Hole(1 << 40),
        Piece::More { list: chunk(b"a list"), bytes: 300 },
    ]
}

/// Every kind of entry, every piece, and the ends of every range.
fn every_kind() -> Node {
    let (mib4, owner) = (ChunkRef { id: Hash([0xab; 32]), len: 4 << 20 }, 1);
    let totals = Totals { files: 127, directories: 128, bytes: u64::MAX };
    let xattrs = vec![
        (ByteBuf::from("user.empty"), ByteBuf::new()),
        (ByteBuf::from("user.note"), ByteBuf::from([0, 0xff, 0x80])),
    ];
    let before_1970 = Time { seconds: -1, nanos: 999_999_999 };
    let size = 11 + (1 << 40) + 300;
    let linked = entry(b"a", Kind::File { size, pieces: every_piece() });
    Node::Leaf {
        owners: vec![ada(), Owner { uid: 0, gid: u32::MAX, user: String::new(), group: "größe".to_owned() }],
        entries: vec![
            Entry { mode: 0o7777, modified: before_1970, hard_link: u64::MAX, xattrs, ..linked },
            entry(b"b", Kind::File { size: 0, pieces: Vec::new() }),
            Entry { owner, mode: 0, ..entry(b"c", Kind::Directory { node: mib4, totals }) },
            entry(b"d", Kind::Symlink(b"../\xff target".to_vec())),
            entry(b"e", Kind::Fifo),
            entry(b"f", Kind::Socket),
            entry(b"g", Kind::CharDevice { major: 1, minor: 300 }),
            entry(b"h", Kind::BlockDevice { major: 259, minor: u32::MAX }),
            entry(b"\xff\\ any bytes\n", Kind::File { size: 9, pieces: vec![Piece::Hole(9)] }),
        ],
    }
}

fn every_event() -> Vec<Event> {
    let pairing = |role, secret: &[u8]| {
        let sees = Sees::usual(role);
        let sees = if role == Role::Read { Sees::Everything } else { sees };
        Event::DevicePaired(Pairing { device: "laptop".to_owned(), role, key: Hash::of(secret), sees })
    };
    let (_, _, root) = example();
    vec![
        Event::VaultCreated { vault: core::array::from_fn(|n| u8::try_from(n).unwrap() * 0x11) },
        pairing(Role::Push, b"a secret"),
        Event::Snapshot(Snapshot {
            source: "laptop/notes".to_owned(),
            push: [0x5a; 16],
            root: ChunkRef::to(&root.encode()),
            totals: Totals { files: 1, directories: 0, bytes: 14 },
            skipped: 2,
            device_time_ms: -5,
            parent: None,
            origin: None,
            zone: None,
            contents: Vec::new(),
        }),
        pairing(Role::Read, b"another secret"),
        pairing(Role::Admin, b"a third secret"),
        Event::DeviceRevoked { key: Hash::of(b"another secret") },
        Event::HoldSet { source: None, reason: "holiday".to_owned() },
        Event::HoldSet { source: Some("laptop/notes".to_owned()), reason: "looks odd – ask".to_owned() },
        Event::HoldCleared { sequence: 7 },
        Event::Scrubbed(Scrubbed { disk: [0xd5; 16], bytes: 1 << 40, damaged: 300, repaired: 299, lost: 2 }),
    ]
}

/// What happens to disks: entries of their own, so that the chain of the worked example stays as short as it is.
fn every_disk_change() -> Vec<(&'static str, LedgerEntry)> {
    let adopted = DiskChange::Adopted { path: "/srv/larder/größe".to_owned(), role: DiskRole::Offsite };
    let changes = [
        ("adopted", adopted),
        ("failed", DiskChange::Failed { why: "Input/output error (os error 5)".to_owned() }),
        ("complete", DiskChange::Complete),
        ("leaving", DiskChange::Leaving),
        ("retired", DiskChange::Retired),
    ];
    let disk = core::array::from_fn(|n| u8::try_from(n).unwrap() * 0x11);
    let stamp = WallStamp { time_ms: 1_700_000_000_100, trusted: true, powered_on_s: 6000 };
    let entry = |what| {
        let event = Event::Disk(DiskEvent { disk, what });
        LedgerEntry { sequence: 100, previous: Hash::of(b"ninety-nine"), stamp, event }
    };
    changes.into_iter().map(|(name, what)| (name, entry(what))).collect()
}

/// Letting go: entries of their own, likewise.
fn letting_go() -> Vec<(&'static str, LedgerEntry)> {
    let rule =
        Rule { everything_days: 30, daily_days: 90, weekly_days: 365, monthly_days: Some(3650), newest: 3 };
    let events = [
        ("pruned", Event::Pruned { snapshots: vec![3, 130, 1 << 40], why: "older than 30 days".to_owned() }),
        ("retention-set", Event::RetentionSet(rule)),
        ("retention-for-ever", Event::RetentionSet(Rule { monthly_days: None, ..rule })),
        ("swept", Event::Swept { packs: vec![Hash::of(b"one pack"), Hash::of(b"another")], salt: 300 }),
        ("clock-confirmed", Event::ClockConfirmed),
    ];
    let stamp = WallStamp { time_ms: 1_700_000_000_200, trusted: true, powered_on_s: 6060 };
    let entry = |event| LedgerEntry { sequence: 101, previous: Hash::of(b"one hundred"), stamp, event };
    events.into_iter().map(|(name, event)| (name, entry(event))).collect()
}

/// What layout 2 of the ledger has and layout 1 does not: entries of their own, likewise.
fn layout_2() -> Vec<(&'static str, LedgerEntry)> {
    let Some(Event::Snapshot(first)) = every_event().into_iter().nth(2) else {
        panic!("the third is a snapshot")
    };
    let snapshot = Snapshot {
        parent: Some(300),
        origin: Some(Origin { computer: "größe".to_owned(), path: "/home/ada/notes".to_owned() }),
        zone: Some("Europe/Berlin".to_owned()),
        contents: vec![ContentHash { path: "hello.txt".to_owned(), hash: Hash::of(b"hello, larder\n") }],
        ..first
    };
    let expected = |expect| Event::SourceExpected { source: "laptop/Böse Dinge".to_owned(), expect };
    let labelled =
        |label: &str, until_ms| Event::Labelled { snapshot: 300, label: label.to_owned(), until_ms };
    let paired = |role, sees| {
        Event::DevicePaired(Pairing {
            device: "laptop".to_owned(),
            role,
            key: Hash::of(b"a fourth secret"),
            sees,
        })
    };
    let old = Sees::Devices(vec!["old".to_owned(), "phone".to_owned()]);
    let newer = |kind, without| Event::Newer(Newer { since: 9, kind, without, payload: b"unknown".to_vec() });
    let events = [
        ("snapshot", Event::Snapshot(snapshot)),
        ("set-aside", Event::SetAside { snapshot: 300, why: "it harms – stop".to_owned() }),
        ("set-aside-cleared", Event::SetAsideCleared { snapshot: 300 }),
        ("source-expected-learn", expected(Expect::Learn)),
        ("source-expected-within", expected(Expect::Within(777_600))),
        ("source-expected-never", expected(Expect::Never)),
        ("paired-user", paired(Role::User, Sees::usual(Role::User))),
        ("paired-user-everything", paired(Role::User, Sees::Everything)),
        ("paired-read-devices", paired(Role::Read, old)),
        ("source-retired", Event::SourceRetired { source: "laptop/Böse Dinge".to_owned() }),
        ("source-let-go", Event::SourceLetGo { source: "laptop/proc".to_owned(), before_ms: None }),
        (
            "source-let-go-before",
            Event::SourceLetGo { source: "laptop/proc".to_owned(), before_ms: Some(1_700_000_000_000) },
        ),
        ("source-kept", Event::SourceKept { source: "laptop/proc".to_owned() }),
        ("source-returned", Event::SourceReturned { source: "laptop/Böse Dinge".to_owned() }),
        ("labelled", labelled("before the move – Küche", None)),
        ("labelled-until", labelled("", Some(1_900_000_000_000))),
        ("label-ended", Event::LabelEnded { snapshot: 300, until_ms: None }),
        ("label-ended-until", Event::LabelEnded { snapshot: 300, until_ms: Some(1_800_000_000_000) }),
        ("newer-step-over", newer(1000, Without::StepOver)),
        ("newer-keep-everything", newer(1001, Without::KeepEverything)),
        ("newer-read-only", newer(1002, Without::ReadOnly)),
    ];
    let stamp = WallStamp { time_ms: 1_700_000_000_300, trusted: true, powered_on_s: 6120 };
    let entry =
        |event| LedgerEntry { sequence: 102, previous: Hash::of(b"one hundred and one"), stamp, event };
    events.into_iter().map(|(name, event)| (name, entry(event))).collect()
}

/// The shortest first chapter.
fn chapter() -> Vec<LedgerEntry> {
    let mut previous = Hash::ZERO;
    let entry = |sequence| {
        let entry =
            LedgerEntry { sequence, previous, stamp: WallStamp::default(), event: Event::ClockConfirmed };
        previous = entry.encode().1;
        entry
    };
    (1..1000).map(entry).collect()
}

/// The events as one chain.
fn chain() -> Vec<LedgerEntry> {
    let mut previous = Hash::ZERO;
    let mut entries = Vec::new();
    for (sequence, event) in (1u64..).zip(every_event()) {
        let time_ms = if sequence == 1 { -1 } else { 1_700_000_000_000 + sequence.cast_signed() };
        let stamp = WallStamp { time_ms, trusted: sequence > 1, powered_on_s: 60 * sequence };
        let entry = LedgerEntry { sequence, previous, stamp, event };
        previous = entry.encode().1;
        entries.push(entry);
    }
    entries
}

/// Folders of golden bytes, and what is in each.
fn folders() -> [(&'static str, Vec<(String, Value)>); 2] {
    let second = layout_2()
        .into_iter()
        .map(|(name, entry)| (format!("ledger-{name}.bin"), Value::Ledger(Box::new(entry))));
    let chapter = ("chapter.bin".to_owned(), Value::Chapter(chapter()));
    [("v1", values()), ("v2", second.chain([chapter]).collect())]
}

fn values() -> Vec<(String, Value)> {
    let (content, folder, root) = example();
    let child = |last: &[u8], node: &[u8]| Child { last: last.to_vec(), node: ChunkRef::to(node) };
    let text = b"The quick brown fox jumps over the lazy dog. ".repeat(20);
    let mut values = vec![
        ("block-plain", Value::Block(Codec::Plain, vec![b"first".to_vec(), Vec::new(), b"third".to_vec()])),
        ("block-zstd", Value::Block(Codec::Zstd, vec![text[..500].to_vec(), text[500..].to_vec()])),
        ("pack", Value::Pack(vec![vec![content], vec![folder.encode()], vec![root.encode()]])),
        ("node-empty", Value::Node(Node::Leaf { owners: Vec::new(), entries: Vec::new() })),
        ("node-folder", Value::Node(folder)),
        ("node-root", Value::Node(root)),
        ("node-every-kind", Value::Node(every_kind())),
        ("node-branch", Value::Node(Node::Branch(vec![child(b"m", b"one leaf"), child(b"z\xff", b"next")]))),
        ("pieces", Value::Pieces(every_piece())),
        ("ids", Value::Ids(vec![Hash::of(b"one"), Hash::of(b"two")])),
        ("statement-entry", Value::Statement("entry")),
        ("statement-newest", Value::Statement("newest")),
        ("statement-snapshot", Value::Statement("snapshot")),
    ]
    .into_iter()
    .map(|(name, value)| (format!("{name}.bin"), value))
    .collect::<Vec<_>>();
    let pack = values[2].1.encode();
    let mut noise = vec![0; 20_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    values.push(("parity-pack.bin".to_owned(), Value::Parity(pack)));
    values.push(("parity-several.bin".to_owned(), Value::Parity(noise)));
    values.extend(chain().into_iter().map(|entry| {
        let name = format!("ledger-{}-{}.bin", entry.sequence, event_name(&entry.event));
        (name, Value::Ledger(Box::new(entry)))
    }));
    let disks = every_disk_change().into_iter();
    values.extend(
        disks.map(|(name, entry)| (format!("ledger-disk-{name}.bin"), Value::Ledger(Box::new(entry)))),
    );
    let gone = letting_go().into_iter();
    values.extend(gone.map(|(name, entry)| (format!("ledger-{name}.bin"), Value::Ledger(Box::new(entry)))));
    values
}

// These have no catch-all arm: a new kind does not compile until it is listed, and fails until it has a value above.

fn event_name(event: &Event) -> &'static str {
    match event {
        Event::VaultCreated { .. } => "vault-created",
        Event::Snapshot(_) => "snapshot",
        Event::DevicePaired(Pairing { role: Role::Push, .. }) => "paired-push",
        Event::DevicePaired(Pairing { role: Role::Read, sees: Sees::Everything, .. }) => "paired-read",
        Event::DevicePaired(Pairing { role: Role::Read, .. }) => "paired-read-devices",
        Event::DevicePaired(Pairing { role: Role::Admin, .. }) => "paired-admin",
        Event::DevicePaired(Pairing { role: Role::User, sees: Sees::Everything, .. }) => {
            "paired-user-everything"
        }
        Event::DevicePaired(Pairing { role: Role::User, .. }) => "paired-user",
        Event::DeviceRevoked { .. } => "revoked",
        Event::HoldSet { source: None, .. } => "hold-all",
        Event::HoldSet { source: Some(_), .. } => "hold-source",
        Event::HoldCleared { .. } => "hold-cleared",
        Event::Scrubbed(_) => "scrubbed",
        Event::Disk(event) => disk_change_name(&event.what),
        Event::Pruned { .. } => "pruned",
        Event::RetentionSet(Rule { monthly_days: Some(_), .. }) => "retention-set",
        Event::RetentionSet(Rule { monthly_days: None, .. }) => "retention-for-ever",
        Event::Swept { .. } => "swept",
        Event::ClockConfirmed => "clock-confirmed",
        Event::SetAside { .. } => "set-aside",
        Event::SetAsideCleared { .. } => "set-aside-cleared",
        Event::SourceExpected { expect: Expect::Learn, .. } => "source-expected-learn",
        Event::SourceExpected { expect: Expect::Within(_), .. } => "source-expected-within",
        Event::SourceExpected { expect: Expect::Never, .. } => "source-expected-never",
        Event::SourceRetired { .. } => "source-retired",
        Event::SourceReturned { .. } => "source-returned",
        Event::SourceLetGo { before_ms: None, .. } => "source-let-go",
        Event::SourceLetGo { before_ms: Some(_), .. } => "source-let-go-before",
        Event::SourceKept { .. } => "source-kept",
        Event::Labelled { until_ms: None, .. } => "labelled",
        Event::Labelled { until_ms: Some(_), .. } => "labelled-until",
        Event::LabelEnded { until_ms: None, .. } => "label-ended",
        Event::LabelEnded { until_ms: Some(_), .. } => "label-ended-until",
        Event::Newer(_) => "newer",
    }
}

fn disk_change_name(change: &DiskChange) -> &'static str {
    match change {
        DiskChange::Adopted { .. } => "disk-adopted",
        DiskChange::Failed { .. } => "disk-failed",
        DiskChange::Complete => "disk-complete",
        DiskChange::Leaving => "disk-leaving",
        DiskChange::Retired => "disk-retired",
    }
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::File { .. } => "file",
        Kind::Directory { .. } => "directory",
        Kind::Symlink(_) => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice { .. } => "char device",
        Kind::BlockDevice { .. } => "block device",
    }
}

fn piece_name(piece: &Piece) -> &'static str {
    match piece {
        Piece::Chunk(_) => "chunk",
        Piece::Hole(_) => "hole",
        Piece::More { .. } => "more",
    }
}

fn folder(version: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(version)
}

#[test]
fn bytes_of_a_version_never_change() {
    for (version, values) in folders() {
        for (name, value) in values {
            let path = folder(version).join(&name);
            let made = value.encode();
            if !path.exists() && std::env::var("LARDER_GOLDEN").is_ok_and(|wish| wish == "write-missing") {
                std::fs::write(&path, &made).unwrap();
            }
            let golden = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(made == golden || !value.is_fixed(), "{name}: other bytes than {version} has");
            value.assert_reads_from(&golden, &name);
            value.assert_reads_from(&made, &name);
        }
    }
}

#[test]
fn no_golden_file_is_forgotten() {
    for (version, values) in folders() {
        let names: BTreeSet<_> = values.into_iter().map(|(name, _)| name).collect();
        let files = std::fs::read_dir(folder(version)).unwrap();
        let found: BTreeSet<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(found, names);
    }
}

#[test]
fn every_kind_has_golden_bytes() {
    let Node::Leaf { entries, .. } = every_kind() else { panic!("a leaf") };
    let kinds: BTreeSet<_> = entries.iter().map(|entry| kind_name(&entry.kind)).collect();
    let pieces: BTreeSet<_> = every_piece().iter().map(piece_name).collect();
    let events = every_event().into_iter().chain(
        every_disk_change().into_iter().chain(letting_go()).chain(layout_2()).map(|(_, entry)| entry.event),
    );
    let events: BTreeSet<_> = events.map(|event| event_name(&event)).collect();
    assert_eq!((kinds.len(), pieces.len(), events.len()), (7, 3, 38));
}
