//! Random trees: the reader's report equals the report of a naive model in memory.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A folder or a file of these many bytes.
#[derive(Debug, Clone, PartialEq)]
enum Model {
    File(u32),
    Folder(Names),
}

type Names = BTreeMap<Vec<u8>, Model>;

/// How many entries are in a leaf and children in a branch: small numbers make small trees deep.
#[derive(Debug, Clone, Copy)]
struct Shape {
    leaf: usize,
    branch: usize,
}

fn names() -> impl Strategy<Value = Names> {
    let name = prop::collection::vec(b'a'..b'f', 1..3);
    let file = (0u32..3).prop_map(Model::File);
    let model = file.prop_recursive(4, 200, 12, move |below| {
        prop::collection::btree_map(name.clone(), below, 0..12).prop_map(Model::Folder)
    });
    prop::collection::btree_map(prop::collection::vec(b'a'..b'f', 1..3), model, 0..12)
}

fn shape() -> impl Strategy<Value = Shape> {
    (1usize..6, 2usize..5).prop_map(|(leaf, branch)| Shape { leaf, branch })
}

impl Kept {
    fn folder(&mut self, names: &Names, shape: Shape) -> ChunkRef {
        let mut entries = Vec::new();
        for (name, model) in names {
            entries.push(entry(name, self.kind(model, shape)));
        }
        let mut nodes: Vec<Child> = Vec::new();
        for some in entries.chunks(shape.leaf) {
            let last = some.last().expect("not empty").name.clone();
            let node = Node::Leaf { owners: vec![owner()], entries: some.to_vec() }.encode();
            nodes.push(Child { last, node: self.keep(node) });
        }
        while nodes.len() > 1 {
            let above = nodes.chunks(shape.branch).map(|some| {
                let last = some.last().expect("not empty").last.clone();
                Child { last, node: self.keep(Node::Branch(some.to_vec()).encode()) }
            });
            nodes = above.collect();
        }
        let empty = || Node::Leaf { owners: vec![], entries: vec![] }.encode();
        nodes.pop().map(|child| child.node).unwrap_or_else(|| self.keep(empty()))
    }

    fn kind(&mut self, model: &Model, shape: Shape) -> Kind {
        match model {
            Model::File(0) => Kind::File { size: 0, pieces: vec![] },
            Model::File(bytes) => {
                Kind::File { size: (*bytes).into(), pieces: vec![Piece::Hole((*bytes).into())] }
            }
            Model::Folder(names) => directory(self.folder(names, shape)),
        }
    }
}

/// The differences in walk order: first the whole folder, then the content of the sub-folders.
fn differences(kept: &mut Kept, shape: Shape, (a, b): (&Names, &Names), path: &[u8]) -> Vec<Told> {
    let all: BTreeMap<_, _> =
        a.keys().chain(b.keys()).map(|name| (name, (a.get(name), b.get(name)))).collect();
    let (mut here, mut below) = (Vec::new(), Vec::new());
    for (name, (before, after)) in all {
        if before == after {
            continue;
        }
        let full = if path.is_empty() { name.clone() } else { [path, name].join(&b'/') };
        let folder = |model: Option<&Model>| match model {
            Some(Model::Folder(names)) => Some(names.clone()),
            _ => None,
        };
        let (old, new) = (folder(before), folder(after));
        if old.is_some() || new.is_some() {
            let pair = (&old.clone().unwrap_or_default(), &new.clone().unwrap_or_default());
            below.extend(differences(kept, shape, pair, &full));
        }
        if old.is_none() || new.is_none() {
            let mut kind = |model: Option<&Model>| model.map(|model| kept.kind(model, shape));
            here.push((full, kind(before), kind(after)));
        }
    }
    here.append(&mut below);
    here
}

fn paths(names: &Names, path: &[u8]) -> Vec<(Vec<u8>, Model)> {
    let mut all = Vec::new();
    for (name, model) in names {
        let full = if path.is_empty() { name.clone() } else { [path, name].join(&b'/') };
        if let Model::Folder(below) = model {
            all.extend(paths(below, &full));
        }
        all.push((full, model.clone()));
    }
    all
}

fn sorted(mut told: Vec<Told>) -> Vec<Told> {
    told.sort_by(|a, b| a.0.cmp(&b.0));
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_comparison_tells_what_the_model_tells(
        (a, b, shape, common) in (names(), names(), shape(), any::<bool>()),
    ) {
        let mut kept = Kept::default();
        let mut b = b;
        if common {
            // Half of the names are equal on both sides, as in a folder with few changes.
            b.extend(a.iter().step_by(2).map(|(name, model)| (name.clone(), model.clone())));
        }
        let (before, after) = (kept.folder(&a, shape), kept.folder(&b, shape));
        let expected = differences(&mut kept, shape, (&a, &b), b"");
        let whole = TreeComparison::new(Some(before), Some(after));
        let mut recorder = Recorder::default();
        prop_assert!(whole.run(&kept, &mut recorder).unwrap().is_complete);
        prop_assert_eq!(&recorder.told, &expected);
        // Without room each folder is resumed, and no entry is reported twice or left out.
        let mut narrow = Recorder::default();
        whole.with_pending_bytes_max(0).run(&kept, &mut narrow).unwrap();
        prop_assert_eq!(sorted(narrow.told), sorted(expected.clone()));
        // However often it pauses.
        let mut paused = Recorder { pauses_often: true, ..Recorder::default() };
        let (mut open, mut pauses) = (whole.begin(), 0);
        let walked = loop {
            let walked = open.go_on(&kept, &mut paused).unwrap();
            if !walked.is_paused {
                break walked;
            }
            pauses += 1;
        };
        prop_assert!(walked.is_complete && (pauses > 0 || before == after));
        prop_assert_eq!(sorted(paused.told), sorted(expected.clone()));
        let mut new = Recorder::default();
        whole.only(Interest::After).run(&kept, &mut new).unwrap();
        let is_new = |told: &Told| told.2.is_some();
        prop_assert_eq!(new.told, expected.into_iter().filter(is_new).collect::<Vec<_>>());
    }

    #[test]
    fn every_path_leads_to_what_the_model_has((names, shape) in (names(), shape())) {
        let mut kept = Kept::default();
        let folder = kept.folder(&names, shape);
        let root = kept.keep(Node::Leaf { owners: vec![owner()], entries: vec![entry(b"", directory(folder))] }.encode());
        for (path, model) in paths(&names, b"") {
            let kind = kept.kind(&model, shape);
            let found = find(&kept, &root, &path).unwrap().expect("it is there");
            prop_assert_eq!((&found.entry.kind, &found.owner), (&kind, &owner()));
            for beside in [&b"~"[..], b"/x", b"\0"] {
                prop_assert_eq!(find(&kept, &root, &[&path[..], beside].concat()).unwrap(), None);
            }
        }
        let all: Vec<_> = entries(&kept, folder).map(|found| found.unwrap().entry.name).collect();
        prop_assert_eq!(all, names.keys().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn a_walk_tells_each_entry_once_however_little_may_wait((names, shape) in (names(), shape())) {
        let mut kept = Kept::default();
        let folder = kept.folder(&names, shape);
        let mut told = Vec::new();
        for bytes_max in [1 << 20, 0] {
            let (mut walk, mut order) = (FolderWalk::default().with_waiting_bytes_max(bytes_max), Vec::new());
            walk.enter(Vec::new(), InnerFolder::top(folder));
            while let Some(step) = walk.next(&kept) {
                let joined = |above: &Vec<u8>, found: &Found| {
                    let name = found.entry.name.clone();
                    if above.is_empty() { name } else { [&above[..], &name].join(&b'/') }
                };
                match step {
                    WalkStep::Folder { above, found, inner } => {
                        let path = joined(&above, &found);
                        order.push(path.clone());
                        walk.enter(path, inner);
                    }
                    WalkStep::Others { place, entries } => {
                        order.extend(entries.map(|found| joined(&place, &found)));
                    }
                    WalkStep::Unreadable { error, .. } => prop_assert!(false, "{error}"),
                }
            }
            told.push(order);
        }
        prop_assert_eq!(&told[0], &told[1]);
        told[0].sort();
        let mut all: Vec<_> = paths(&names, b"").into_iter().map(|(path, _)| path).collect();
        all.sort();
        prop_assert_eq!(&told[0], &all);
    }

    #[test]
    fn a_look_after_another_says_what_a_first_look_says(
        (trees, shape, path) in (prop::collection::vec(names(), 1..6), shape(), prop::collection::vec(b'a'..b'f', 1..3)),
    ) {
        let mut kept = Kept::default();
        let mut lookups = Lookups::new(&path);
        let mut last = None;
        for names in trees.iter().chain(&trees) {
            let folder = kept.folder(names, shape);
            let entries = vec![entry(b"", directory(folder))];
            let root = kept.keep(Node::Leaf { owners: vec![owner()], entries }.encode());
            if let Looked::Found(found) = lookups.look(&kept, &root).unwrap() {
                last = found;
            }
            prop_assert_eq!(&last, &find(&kept, &root, &path).unwrap());
        }
    }

    #[test]
    fn any_range_is_cut_out_of_the_whole(
        (runs, per_list, range) in (
            prop::collection::vec((any::<bool>(), 1u32..50), 1..60),
            1usize..9,
            (0u64..1500, 0u64..1500),
        ),
    ) {
        let mut kept = Kept::default();
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        for (number, (is_hole, len)) in (1..).zip(&runs) {
            let bytes = vec![if *is_hole { 0 } else { number }; *len as usize];
            whole.extend_from_slice(&bytes);
            pieces.push(if *is_hole { Piece::Hole((*len).into()) } else { Piece::Chunk(kept.keep(bytes)) });
        }
        for _ in 0..3 {
            pieces = pieces.chunks(per_list).map(|some| kept.list(some)).collect();
        }
        kept.reads();
        let range = range.0..range.0 + range.1;
        let mut found = Vec::new();
        for segment in ranges(&kept, pieces, range.clone()) {
            match segment.unwrap() {
                Segment::Zeros(bytes) => found.resize(found.len() + usize::try_from(bytes).unwrap(), 0),
                Segment::Chunk { chunk, within } => found.extend_from_slice(&kept.chunks[&chunk.id][within]),
            }
        }
        let [from, to] = [range.start, range.end].map(|at| usize::try_from(at).unwrap().min(whole.len()));
        prop_assert_eq!(found, &whole[from..to]);
        prop_assert!(from < to || kept.reads() == 0, "nothing is read for nothing");
    }
}
