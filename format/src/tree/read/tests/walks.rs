//! Walks through a tree with names: the order of reports, the chunks asked for ahead, and the bytes waiting.

use super::*;

type PathWalk = FolderWalk<Vec<u8>>;

/// The reports of a walk, by path; folders end with a slash, and unreadable nodes with a question mark.
fn told<C: Chunks<Error = FormatError>>(chunks: &C, walk: &mut PathWalk, top: ChunkRef) -> Vec<String> {
    let mut told = Vec::new();
    let joined = |above: &[u8], name: &[u8]| [above, b"/", name].concat();
    let mut tell = |path: &[u8], end: &str| told.push(format!("{}{end}", String::from_utf8_lossy(path)));
    walk.enter(Vec::new(), InnerFolder::top(top));
    while let Some(step) = walk.next(chunks) {
        match step {
            WalkStep::Folder { above, found, inner } => {
                let path = joined(&above, &found.entry.name);
                tell(&path, "/");
                walk.enter(path, inner);
            }
            WalkStep::Others { place, entries } => {
                entries.for_each(|found| tell(&joined(&place, &found.entry.name), ""));
            }
            WalkStep::Unreadable { place, .. } => tell(&place, "?"),
        }
    }
    told
}

fn small_tree(kept: &mut Kept) -> ChunkRef {
    let fifo = |name: &str| (name.to_owned(), Kind::Fifo);
    let empty = kept.leaf(vec![]);
    let inner = kept.leaf(vec![fifo("x"), ("y".into(), directory(empty))]);
    let (first, second) = (
        kept.leaf(vec![fifo("a"), ("b".into(), directory(inner)), fifo("c")]),
        kept.leaf(vec![("d".into(), directory(empty)), ("e".into(), directory(inner)), fifo("f")]),
    );
    kept.branch(&[("c", first), ("f", second)])
}

const SMALL_TREE: [&str; 11] = ["/b/", "/b/y/", "/b/x", "/a", "/c", "/d/", "/e/", "/e/y/", "/e/x", "/f", ""];

#[test]
fn folders_of_a_node_come_before_its_other_entries_however_little_may_wait() {
    let mut kept = Kept::default();
    let top = small_tree(&mut kept);
    let expected = &SMALL_TREE[..10];
    assert_eq!(told(&kept, &mut PathWalk::default(), top), expected);
    let mut narrow = PathWalk::default().with_waiting_bytes_max(0);
    assert_eq!(told(&kept, &mut narrow, top), expected);
}

#[test]
fn a_lost_node_costs_only_what_is_in_it() {
    let mut kept = Kept::default();
    let top = small_tree(&mut kept);
    let Node::Branch(children) = node(&kept, &top).unwrap() else { panic!("a branch") };
    kept.chunks.remove(&children[0].node.id);
    assert_eq!(told(&kept, &mut PathWalk::default(), top), [&["?"], &SMALL_TREE[5..10]].concat());
}

/// Notes the chunks announced with each read.
struct Noting<'k>(&'k Kept, RefCell<Vec<(Hash, Vec<Hash>)>>);

impl Chunks for Noting<'_> {
    type Error = FormatError;
    type Bytes = Vec<u8>;

    fn get(&self, chunk: &ChunkRef) -> Result<Vec<u8>, FormatError> {
        self.0.get(chunk)
    }

    fn get_ahead(
        &self,
        chunk: &ChunkRef,
        next: &mut dyn Iterator<Item = ChunkRef>,
    ) -> Result<Vec<u8>, FormatError> {
        self.1.borrow_mut().push((chunk.id, next.map(|chunk| chunk.id).collect()));
        self.get(chunk)
    }
}

#[test]
fn the_source_is_told_what_comes_next() {
    let mut kept = Kept::default();
    let top = small_tree(&mut kept);
    let noting = Noting(&kept, RefCell::default());
    told(&noting, &mut PathWalk::default(), top);
    let asked = noting.1.into_inner();
    assert_eq!(asked[0].1, []);
    for pair in asked.windows(2) {
        let ((_, announced), (next, _)) = (&pair[0], &pair[1]);
        // A branch and a folder name further nodes of their own, unknown before.
        assert!(announced.first() == Some(next) || !announced.contains(next), "{asked:?}");
    }
    assert!(asked.iter().filter(|(_, announced)| !announced.is_empty()).count() >= 5);
}

#[test]
fn the_lists_of_a_file_are_told_ahead_as_far_as_the_range_goes() {
    let mut kept = Kept::default();
    let lists: Vec<Piece> = (0..6u8)
        .map(|number| {
            let chunk = kept.keep(vec![number; 10]);
            kept.list(&[Piece::Chunk(chunk)])
        })
        .collect();
    let id = |piece: &Piece| if let Piece::More { list, .. } = piece { list.id } else { Hash::ZERO };
    let noting = Noting(&kept, RefCell::default());
    assert!(ranges(&noting, lists.clone(), 15..45).all(|segment| segment.is_ok()));
    let asked = noting.1.into_inner();
    let expected: Vec<(Hash, Vec<Hash>)> =
        (1..5).map(|at| (id(&lists[at]), lists[at + 1..5].iter().map(id).collect())).collect();
    assert_eq!(asked, expected);
}

/// Each folder waits with a copy of the owner, whose name a node holds once.
#[test]
fn little_waits_in_a_deep_tree_of_wide_folders() {
    let mut kept = Kept::default();
    let long = Owner { user: "u".repeat(20_000), ..owner() };
    let mut below = kept.leaf(vec![]);
    for _ in 0..100 {
        let lost = ChunkRef::to(b"nowhere");
        let name = |number: u32| format!("{number:04}").into_bytes();
        let entries =
            (0..500).map(|number| entry(&name(number), directory(if number == 0 { below } else { lost })));
        below = kept.keep(Node::Leaf { owners: vec![long.clone()], entries: entries.collect() }.encode());
    }
    let mut walk = PathWalk::default();
    walk.enter(Vec::new(), InnerFolder::top(below));
    let mut depth = 0;
    while let Some(WalkStep::Folder { inner, .. }) = walk.next(&kept) {
        depth += 1;
        walk.enter(Vec::new(), inner);
    }
    assert_eq!(depth, 100);
    let peak = walk.waiting_bytes_peak();
    assert!((1 << 20..5 << 20).contains(&peak), "{peak} bytes waited");
}

#[test]
fn folders_and_branches_are_nested_only_so_deeply() {
    let mut kept = Kept::default();
    let mut node = kept.leaf(vec![("f".into(), Kind::Fifo)]);
    for level in 1..=BRANCHES_MAX + 1 {
        node = kept.branch(&[("f", node)]);
        let found = told(&kept, &mut PathWalk::default(), node);
        assert_eq!(found, [if level > BRANCHES_MAX { "?" } else { "/f" }], "{level}");
    }
    let mut folder = kept.leaf(vec![]);
    for _ in 0..crate::tree::DEPTH_MAX + 1 {
        folder = kept.leaf(vec![("d".into(), directory(folder))]);
    }
    let found = told(&kept, &mut PathWalk::default(), folder);
    assert_eq!(found.len(), crate::tree::DEPTH_MAX + 1);
    assert!(found.last().is_some_and(|last| last.ends_with("d?")));
}

#[test]
fn a_root_is_known_by_its_look() {
    let mut kept = Kept::default();
    let folder = kept.leaf(vec![("f".into(), Kind::Fifo)]);
    let root = kept.leaf(vec![(String::new(), directory(folder))]);
    let bytes = |chunk: &ChunkRef| kept.chunks[&chunk.id].clone();
    let found = root_in(&bytes(&root)).expect("a root");
    assert_eq!((found.folder, found.totals), (folder, Totals::default()));
    assert_eq!(root_in(&bytes(&folder)), None);
    assert_eq!((nodes_in(&bytes(&root)), nodes_in(b"no node")), (vec![folder], vec![]));
    assert!(node(&OneChunk(&bytes(&root)), &root).is_ok());
}
