use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn entry(name: &str, kind: Kind) -> Entry {
    let modified = Time { seconds: 1_700_000_000, nanos: 5 };
    Entry { name: name.into(), owner: 0, mode: 0o644, modified, hard_link: 0, xattrs: vec![], kind }
}

fn owner() -> Owner {
    Owner { uid: 1000, gid: 1000, user: "ada".into(), group: "ada".into() }
}

fn folder(names: impl IntoIterator<Item = String>) -> (ChunkRef, HashMap<Hash, Vec<u8>>) {
    let mut kept = HashMap::new();
    let mut keep = |made: Made| {
        kept.insert(Hash::of(&made), made);
        Ok::<(), ()>(())
    };
    let mut builder = NodeBuilder::new();
    for name in names {
        builder.push(entry(&name, Kind::Fifo), &owner(), &mut keep).unwrap();
    }
    let (top, _) = builder.finish(&mut keep).unwrap();
    (top, kept)
}

fn names(top: ChunkRef, kept: &HashMap<Hash, Vec<u8>>) -> Vec<String> {
    match Node::decode(&kept[&top.id]).unwrap() {
        Node::Leaf { entries, .. } => {
            entries.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()).collect()
        }
        Node::Branch(children) => children.iter().flat_map(|child| names(child.node, kept)).collect(),
    }
}

#[test]
fn a_large_folder_changes_in_small_steps() {
    let all: Vec<_> = (0..60_000).map(|n| format!("IMG_{n:06}.jpg")).collect();
    let (top, kept) = folder(all.clone());
    assert_eq!(names(top, &kept), all);
    let (_, after) = folder(all.iter().filter(|name| *name != "IMG_030000.jpg").cloned());
    let fresh = after.keys().filter(|id| !kept.contains_key(id)).count();
    assert!(fresh <= 4, "{fresh} of {} nodes are new", after.len());
}

/// A node above the limit of the reader would be a lost folder. These names are no borders, so only the estimated
/// bytes of the entries end a node.
#[test]
fn no_node_outgrows_what_is_read() {
    let is_no_border = |name: &String| !Hash::of(name.as_bytes()).0.starts_with(&[0]);
    let short = (1..=250u8).map(|byte| (vec![byte].into(), Vec::new().into())).collect::<Vec<_>>();
    let target = || Kind::Symlink(vec![b't'; 4000]);
    let holes = || Kind::File { size: 64, pieces: vec![Piece::Hole(1); 64] };
    type Shape<'a> = (usize, Vec<(ByteBuf, ByteBuf)>, &'a dyn Fn() -> Kind);
    let shapes: [Shape<'_>; 4] = [
        (255, Vec::new(), &|| Kind::Fifo),
        (4, short, &|| Kind::Fifo),
        (20, Vec::new(), &target),
        (20, Vec::new(), &holes),
    ];
    for (name_bytes, xattrs, kind) in shapes {
        let mut nodes = 0;
        let mut keep = |made: Made| {
            assert!(Node::decode(&made).is_ok(), "{} bytes", made.len());
            nodes += 1;
            Ok::<(), ()>(())
        };
        let mut builder = NodeBuilder::new();
        for name in (0..9000).map(|n| format!("{n:0>name_bytes$}")).filter(is_no_border) {
            let entry = Entry { xattrs: xattrs.clone(), ..entry(&name, kind()) };
            builder.push(entry, &owner(), &mut keep).unwrap();
        }
        builder.finish(&mut keep).unwrap();
        assert!(nodes > 2, "the test must fill a node");
    }
}

#[test]
fn a_terabyte_is_a_short_entry() {
    let mut kept = HashMap::new();
    let mut keep = |made: Made| {
        kept.insert(Hash::of(&made), made);
        Ok::<(), ()>(())
    };
    let mut builder = PieceBuilder::default();
    let chunks: Vec<_> = (0..300_000u32)
        .map(|n| Piece::Chunk(ChunkRef { id: Hash::of(&n.to_le_bytes()), len: 4 << 20 }))
        .collect();
    chunks.iter().for_each(|piece| builder.push(*piece, &mut keep).unwrap());
    let (size, pieces) = builder.finish(&mut keep).unwrap();
    assert_eq!(size, 300_000 * (4 << 20));
    assert!(pieces.len() <= 64);
    fn flatten(pieces: &[Piece], kept: &HashMap<Hash, Vec<u8>>, into: &mut Vec<Piece>) {
        for piece in pieces {
            match piece {
                Piece::More { list, bytes } => {
                    let below = decode_pieces(&kept[&list.id]).unwrap();
                    assert_eq!(below.iter().map(Piece::bytes).sum::<u64>(), *bytes);
                    flatten(&below, kept, into);
                }
                other => into.push(*other),
            }
        }
    }
    let mut found = Vec::new();
    flatten(&pieces, &kept, &mut found);
    assert_eq!(found, chunks);
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["..", ".", "a/b", "a\0b"] {
        let bytes = Node::Leaf { owners: vec![owner()], entries: vec![entry(name, Kind::Fifo)] }.encode();
        assert!(Node::decode(&bytes).is_err(), "{name:?}");
    }
}

#[test]
fn sizes_must_add_up() {
    let lie = Kind::File { size: 10, pieces: vec![Piece::Hole(u64::MAX), Piece::Hole(11)] };
    let bytes = Node::Leaf { owners: vec![owner()], entries: vec![entry("x", lie)] }.encode();
    assert!(Node::decode(&bytes).is_err());
}

#[test]
fn a_node_names_all_it_needs() {
    let chunk = |text: &str| ChunkRef::to(text.as_bytes());
    let pieces = vec![Piece::Chunk(chunk("c")), Piece::Hole(3), Piece::More { list: chunk("l"), bytes: 9 }];
    let node = Node::Leaf {
        owners: vec![owner()],
        entries: vec![
            entry("d", Kind::Directory { node: chunk("n"), totals: Totals::default() }),
            entry("f", Kind::File { size: 13, pieces }),
        ],
    };
    let expected = [Reference::Node(chunk("n")), Reference::Bytes(chunk("c")), Reference::List(chunk("l"))];
    assert_eq!(node.references().collect::<Vec<_>>(), expected);
}

/// A value has a single name: a second encoding is refused.
#[test]
fn there_is_one_way_to_write_a_node() {
    let bytes = Node::Leaf { owners: vec![owner()], entries: vec![entry("x", Kind::Fifo)] }.encode();
    assert!(Node::decode(&bytes).is_ok());
    // The first byte is the kind, the second the number of owners: 1, and 1 written in two bytes.
    assert_eq!(bytes[..2], [0, 1]);
    assert!(Node::decode(&[&[0, 0x81, 0][..], &bytes[2..]].concat()).is_err());
    assert!(Node::decode(&[&bytes[..], &[0]].concat()).is_err());
    let mut twice = entry("x", Kind::Fifo);
    twice.xattrs =
        vec![(b"user.a".to_vec().into(), vec![].into()), (b"user.a".to_vec().into(), vec![].into())];
    assert!(Node::decode(&Node::Leaf { owners: vec![owner()], entries: vec![twice] }.encode()).is_err());
    let nowhere = entry("x", Kind::Symlink(Vec::new()));
    assert!(Node::decode(&Node::Leaf { owners: vec![owner()], entries: vec![nowhere] }.encode()).is_err());
}

proptest! {
    #[test]
    fn holes_and_chunks_come_back(lens in prop::collection::vec((any::<bool>(), 1u32..100), 0..900)) {
        let mut builder = PieceBuilder::default();
        let mut keep = |_: Made| Ok::<(), ()>(());
        let mut sum = 0u64;
        for (hole, len) in lens {
            sum += u64::from(len);
            let chunk = ChunkRef { id: Hash::of(&len.to_le_bytes()), len };
            let piece = if hole { Piece::Hole(len.into()) } else { Piece::Chunk(chunk) };
            builder.push(piece, &mut keep).unwrap();
        }
        let (size, pieces) = builder.finish(&mut keep).unwrap();
        prop_assert_eq!(size, sum);
        prop_assert_eq!(pieces.iter().map(Piece::bytes).sum::<u64>(), sum);
        prop_assert!(pieces.len() <= 64);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let _ = Node::decode(&bytes);
        let _ = decode_pieces(&bytes);
    }
}
