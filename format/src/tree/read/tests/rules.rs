//! Trees that break rules or cost much, and the nodes left unread in a tree with few changes.

use super::*;
use crate::tree::NodeBuilder;

fn compare(kept: &Kept, before: ChunkRef, after: ChunkRef) -> (Result<Walked, FormatError>, Recorder) {
    let mut recorder = Recorder::default();
    (TreeComparison::new(Some(before), Some(after)).run(kept, &mut recorder), recorder)
}

fn is_broken<T>(result: &Result<T, FormatError>) -> bool {
    matches!(result, Err(FormatError::Invalid { what: TREE, .. }))
}

fn fifo(name: &str) -> (String, Kind) {
    (name.to_owned(), Kind::Fifo)
}

#[test]
fn nodes_out_of_order_are_refused() {
    let mut kept = Kept::default();
    let (ab, cd) = (kept.leaf(vec![fifo("a"), fifo("b")]), kept.leaf(vec![fifo("c"), fifo("d")]));
    let nothing = kept.leaf(vec![]);
    let sound = kept.branch(&[("b", ab), ("d", cd)]);
    assert_eq!(entries(&kept, sound).filter(Result::is_ok).count(), 4);
    let broken = [
        // A node away from its last name would not be found by name.
        kept.branch(&[("b", ab), ("e", cd)]),
        kept.branch(&[("b", cd), ("d", ab)]),
        // The same node twice: branches full of the same node would never end.
        kept.branch(&[("b", ab), ("c", ab)]),
        kept.branch(&[("b", nothing), ("c", nothing)]),
    ];
    for top in broken {
        let all: Vec<_> = entries(&kept, top).collect();
        assert!(all.iter().any(is_broken), "{all:?}");
        assert!(is_broken(&compare(&kept, nothing, top).0));
        assert!(is_broken(&compare(&kept, top, nothing).0));
    }
    let twice = kept.branch(&[("b", sound), ("d", sound)]);
    assert!(entries(&kept, twice).any(|entry| is_broken(&entry)));
}

#[test]
fn branches_and_lists_are_nested_only_so_deeply() {
    let mut kept = Kept::default();
    let mut node = kept.leaf(vec![fifo("a")]);
    let mut piece = Piece::Chunk(ChunkRef::to(b"x"));
    for level in 1..=BRANCHES_MAX + 1 {
        node = kept.branch(&[("a", node)]);
        piece = kept.list(&[piece]);
        let is_allowed = level <= BRANCHES_MAX;
        assert_eq!(entries(&kept, node).all(|entry| entry.is_ok()), is_allowed, "{level} branches");
        assert_eq!(
            ranges(&kept, vec![piece], 0..1).all(|segment| segment.is_ok()),
            is_allowed,
            "{level} lists"
        );
        let root = kept.leaf(vec![(String::new(), directory(node))]);
        assert_eq!(find(&kept, &root, b"a").is_ok(), is_allowed);
    }
}

#[test]
fn folders_that_are_too_deep_end_a_comparison() {
    let mut kept = Kept::default();
    let nothing = kept.leaf(vec![]);
    let mut node = kept.leaf(vec![fifo("f")]);
    for level in 1..=crate::tree::DEPTH_MAX + 1 {
        node = kept.leaf(vec![("d".to_owned(), directory(node))]);
        if level >= crate::tree::DEPTH_MAX {
            let (walked, _) = compare(&kept, nothing, node);
            assert_eq!(is_broken(&walked), level > crate::tree::DEPTH_MAX, "{level}");
        }
    }
}

#[test]
fn lists_must_cover_what_they_stand_for() {
    let mut kept = Kept::default();
    let Piece::More { list: of, .. } = kept.list(&[Piece::Hole(5)]) else { panic!("a list") };
    let lie = Piece::More { list: of, bytes: 6 };
    assert!(ranges(&kept, vec![lie], 0..6).any(|segment| is_broken(&segment)));
    assert!(is_broken(&list(&kept, &of, 6)));
    assert_eq!(list(&kept, &of, 5), Ok(vec![Piece::Hole(5)]));
}

/// Forty folders, each naming the next twice, have 2^40 paths.
#[test]
fn a_visitor_ends_what_has_no_end() {
    let mut kept = Kept::default();
    let nothing = kept.leaf(vec![]);
    let mut node = nothing;
    for _ in 0..40 {
        node = kept.leaf(vec![("a".to_owned(), directory(node)), ("b".to_owned(), directory(node))]);
    }
    let mut recorder = Recorder { nodes_max: Some(5000), ..Recorder::default() };
    let walked = TreeComparison::new(Some(nothing), Some(node)).run(&kept, &mut recorder).unwrap();
    assert!(!walked.is_complete && walked.folders < 5000, "{walked:?}");
}

/// Long names above many folders: with a path for each waiting folder, ten gigabytes.
#[test]
fn what_waits_stays_small_however_long_the_paths_are() {
    struct Count(usize);
    impl Visitor<FormatError> for Count {
        fn entry(&mut self, _: &DiffEntry<'_>) -> Result<(), FormatError> {
            self.0 += 1;
            Ok(())
        }
    }
    let mut kept = Kept::default();
    let nothing = kept.leaf(vec![]);
    let file = kept.leaf(vec![fifo("f")]);
    let leaves: Vec<_> = (0..300)
        .map(|leaf| {
            let folders = (0..500).map(|folder| (format!("{leaf:03}{folder:03}"), directory(file)));
            (format!("{leaf:03}499"), kept.leaf(folders.collect()))
        })
        .collect();
    let mut node = kept.branch(&leaves.iter().map(|(last, node)| (last.as_str(), *node)).collect::<Vec<_>>());
    for level in 0..64 {
        node = kept.leaf(vec![(format!("{level:01000}"), directory(node))]);
    }
    let mut count = Count(0);
    let walked = TreeComparison::new(Some(nothing), Some(node)).run(&kept, &mut count).unwrap();
    assert_eq!(count.0, 64 + 2 * 150_000);
    assert!(walked.pending_bytes_peak < 3 * 1024 * 1024, "{walked:?}");
    // The nodes of the large folder are read again only for every batch of folders.
    assert!(kept.reads() < 64 + 150_000 + 400, "{walked:?}");
}

#[test]
fn a_large_folder_that_changed_little_costs_few_reads() {
    let mut kept = Kept::default();
    let mut folder = |left_out: &str| {
        let mut chunks = Vec::new();
        let mut keep = |made: Vec<u8>| {
            chunks.push(made);
            Ok::<(), ()>(())
        };
        let mut builder = NodeBuilder::new();
        let names = (0..60_000).map(|n| format!("IMG_{n:06}.jpg")).filter(|name| name != left_out);
        names.for_each(|name| builder.push(entry(name.as_bytes(), Kind::Fifo), &owner(), &mut keep).unwrap());
        let (top, _) = builder.finish(&mut keep).unwrap();
        for chunk in chunks {
            kept.keep(chunk);
        }
        top
    };
    let (before, after) = (folder(""), folder("IMG_030000.jpg"));
    let (_, recorder) = compare(&kept, before, after);
    assert_eq!(recorder.told.len(), 1);
    let reads = kept.reads();
    assert!(reads <= 8, "{reads} nodes were read");
}

#[test]
fn a_lost_node_costs_only_what_is_in_it() {
    let mut kept = Kept::default();
    let leaves: Vec<_> = ["a", "b", "c"].map(|name| (name, kept.leaf(vec![fifo(name)]))).to_vec();
    let top = kept.branch(&leaves);
    let nothing = kept.leaf(vec![]);
    kept.chunks.remove(&leaves[1].1.id);
    let mut recorder = Recorder { goes_past_lost: true, ..Recorder::default() };
    TreeComparison::new(Some(nothing), Some(top)).run(&kept, &mut recorder).unwrap();
    let told: Vec<_> = recorder.told.iter().map(|(path, ..)| path.as_slice()).collect();
    assert_eq!((told, recorder.lost), (vec![&b"a"[..], b"c"], vec![(Side::After, leaves[1].1.id)]));
    assert!(compare(&kept, nothing, top).0.is_err());
}

/// A lookup meets the node of an untouched folder, and reads no node below.
#[test]
fn a_path_through_an_untouched_folder_is_read_down_to_that_folder() {
    let mut kept = Kept::default();
    let mut quiet = kept.leaf(vec![fifo("file")]);
    for name in ["d", "c", "b"] {
        quiet = kept.leaf(vec![(name.to_owned(), directory(quiet))]);
    }
    let mut lookups = Lookups::new(b"a/b/c/d/file");
    for snapshot in 0..50 {
        let names = vec![("a".to_owned(), directory(quiet)), fifo(&format!("log.{snapshot}"))];
        let top = kept.leaf(names);
        let root = kept.leaf(vec![(String::new(), directory(top))]);
        assert_eq!(lookups.look(&kept, &root).unwrap() == Looked::Same, snapshot > 0);
        assert_eq!(kept.reads(), if snapshot == 0 { 6 } else { 2 });
    }
    // A failed look is no basis for the next look.
    let nowhere = ChunkRef::to(b"nowhere");
    assert!(lookups.look(&kept, &nowhere).is_err());
    let root = kept.leaf(vec![(String::new(), directory(quiet))]);
    assert!(matches!(lookups.look(&kept, &root), Ok(Looked::Found(None))));
}
