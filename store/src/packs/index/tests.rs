#![allow(clippy::disallowed_methods, reason = "damages sled's own files behind its back")]

use super::*;

const VAULT: [u8; 16] = [7; 16];

fn ids(from: u32, count: u32) -> Vec<ChunkId> {
    (from..from + count).map(|n| Hash::of(&n.to_le_bytes())).collect()
}

fn name(pack: u32) -> Hash {
    Hash::of(&pack.to_le_bytes())
}

/// Long enough for several parts.
const CHUNKS: u32 = 10_000;

fn names(pack: u32) -> PackNames {
    PackNames::of(pack, name(pack), &ids(pack * CHUNKS, CHUNKS))
}

fn filled(folder: &Path) -> IndexPlace {
    let place = IndexPlace::Folder(folder.join("index"));
    let mut index = Index::open(&place, &VAULT).unwrap();
    for pack in 0..4 {
        index.insert(&[names(pack)]).unwrap();
    }
    index.flush();
    place
}

fn check(index: &Index) {
    check_packs(index, 0..4);
}

fn check_packs(index: &Index, packs: std::ops::Range<u32>) {
    for pack in packs.clone() {
        for (slot, id) in (0u16..).zip(ids(pack * CHUNKS, CHUNKS)) {
            assert!(index.hints(&id).any(|hint| hint == (pack, slot)), "slot {slot} of pack {pack}");
        }
    }
    assert!(index.packs().iter().map(|(number, name)| (*number, *name)).eq(packs.map(|n| (n, name(n)))));
}

#[test]
fn what_was_inserted_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    let mut index = Index::open(&place, &VAULT).unwrap();
    check(&index);
    let before = index.hints(&ids(0, 1)[0]).count();
    index.insert(&[names(0)]).unwrap();
    assert_eq!(index.hints(&ids(0, 1)[0]).count(), before, "a pack that it has is not entered twice");
}

#[test]
fn what_was_removed_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    let mut index = Index::open(&place, &VAULT).unwrap();
    index.remove(&[0]);
    check_packs(&index, 1..4);
    assert!(!ids(0, CHUNKS).iter().any(|id| index.hints(id).any(|(pack, _)| pack == 0)));
    index.flush();
    drop(index);
    check_packs(&Index::open(&place, &VAULT).unwrap(), 1..4);
}

#[test]
fn a_pack_without_chunks_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let place = IndexPlace::Folder(folder.path().join("index"));
    let mut index = Index::open(&place, &VAULT).unwrap();
    index.insert(&[PackNames::of(7, name(7), &[])]).unwrap();
    drop(index);
    assert_eq!(Index::open(&place, &VAULT).unwrap().packs().len(), 1);
}

/// A part of another pack, or out of order, proves no pack.
#[test]
fn parts_are_believed_only_together() {
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    let index = Index::open(&place, &VAULT).unwrap();
    let packs = index.kept.as_ref().unwrap().packs.clone();
    let stray = packs.get(part_key(1, 1)).unwrap().unwrap();
    packs.insert(part_key(0, 1), stray).unwrap();
    packs.remove(part_key(2, 1)).unwrap();
    packs.remove(part_key(3, 0)).unwrap();
    drop((index, packs));
    assert!(Index::open(&place, &VAULT).unwrap().packs().keys().eq(&[1]));
}

#[test]
fn another_vaults_index_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    assert!(Index::open(&place, &[8; 16]).is_err());
}

/// The vault's work after opening: packs unknown to the index are entered again.
fn completed(mut index: Index) -> Index {
    let lost: Vec<_> = (0..4).filter(|pack| !index.packs().contains_key(pack)).collect();
    index.insert(&lost.into_iter().map(names).collect::<Vec<_>>()).unwrap();
    index
}

/// After any damage to sled's files, the index is either right or reports itself broken.
#[test]
fn damage_is_noticed_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    let db = folder.path().join("index/db");
    let whole = std::fs::read(&db).unwrap();
    let cases = 120u16;
    let mut noticed = 0;
    for case in 0..cases {
        let mut bytes = whole.clone();
        let at = usize::from_le_bytes(*blake3::hash(&case.to_le_bytes()).as_bytes().first_chunk().unwrap());
        match case % 3 {
            0 => bytes.truncate(at % whole.len()),
            1 => bytes[at % whole.len()] ^= 1 << (case % 8),
            _ => {
                let from = at % whole.len();
                let to = (from + 5000).min(whole.len());
                bytes[from..to].fill(0);
            }
        }
        std::fs::write(&db, bytes).unwrap();
        match Index::open(&place, &VAULT) {
            Ok(index) => {
                noticed += u16::from(index.packs().len() < 4);
                check(&completed(index));
            }
            Err(_) => noticed += 1,
        }
        Index::discard(&place).unwrap();
        let _ = std::fs::remove_file(folder.path().join("index.opening"));
        std::fs::create_dir_all(folder.path().join("index")).unwrap();
        for item in std::fs::read_dir(folder.path().join("index.broken")).unwrap().map(Result::unwrap) {
            if item.file_type().unwrap().is_file() {
                std::fs::copy(item.path(), folder.path().join("index").join(item.file_name())).unwrap();
            }
        }
        for item in std::fs::read_dir(folder.path().join("index")).unwrap().map(Result::unwrap) {
            if item.file_name().to_string_lossy().starts_with("snap") {
                std::fs::remove_file(item.path()).unwrap();
            }
        }
    }
    assert!(noticed > cases / 2, "the damage must bite: {noticed} of {cases}");
}

/// An index that can no longer write goes on answering.
#[test]
fn memory_answers_alike() {
    let mut index = Index::in_memory();
    for pack in 0..4 {
        index.insert(&[names(pack)]).unwrap();
    }
    check(&index);
}

#[test]
fn a_failure_of_sled_costs_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    let mut index = Index::open(&place, &VAULT).unwrap();
    index.keep(|_| panic!("as sled does"));
    assert!(index.kept.is_none());
    check(&index);
    index.insert(&[PackNames::of(4, name(4), &ids(4 * CHUNKS, CHUNKS))]).unwrap();
    check_packs(&index, 0..5);
}

/// A value that sled returns whole, yet unlike the written value, proves nothing: its pack is read again.
#[test]
fn a_value_that_was_changed_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    let IndexPlace::Folder(path) = &place else { panic!("it lies in a folder") };
    let kept = Kept::open(path, &VAULT).unwrap();
    let key = part_key(1, 0);
    let mut value = kept.packs.get(key).unwrap().unwrap().to_vec();
    *value.last_mut().unwrap() ^= 1;
    kept.packs.insert(key, value).unwrap();
    // The same value under another pack's number.
    let other = kept.packs.get(part_key(3, 0)).unwrap().unwrap();
    kept.packs.insert(part_key(2, 0), other).unwrap();
    kept.flush().unwrap();
    drop(kept);
    let index = Index::open(&place, &VAULT).unwrap();
    assert!(index.packs().keys().eq(&[0, 3]), "{:?}", index.packs());
    check(&completed(index));
}

/// An index whose opening hung, or killed the agent, is not opened again.
#[test]
fn an_opening_that_did_not_end_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    check(&Index::open(&place, &VAULT).unwrap());
    std::fs::write(folder.path().join("index.opening"), b"").unwrap();
    assert!(Index::open(&place, &VAULT).is_err());
    Index::discard(&place).unwrap();
    assert!(Index::open(&place, &VAULT).unwrap().packs().is_empty());
}

/// The index as a start finds it after a kill at this moment: the bytes written by then, without an orderly close.
fn killed(folder: &Path) -> (tempfile::TempDir, IndexPlace) {
    let copy = tempfile::tempdir().unwrap();
    let mut rest = vec![PathBuf::from("index")];
    while let Some(folder_of_it) = rest.pop() {
        std::fs::create_dir(copy.path().join(&folder_of_it)).unwrap();
        for item in std::fs::read_dir(folder.join(&folder_of_it)).unwrap().map(Result::unwrap) {
            let path = folder_of_it.join(item.file_name());
            println!("{} {}", path.display(), item.metadata().unwrap().len());
            if item.file_type().unwrap().is_file() {
                std::fs::copy(item.path(), copy.path().join(path)).unwrap();
            } else {
                rest.push(path);
            }
        }
    }
    let place = IndexPlace::Folder(copy.path().join("index"));
    (copy, place)
}

/// Otherwise each start of a box that is killed soon after reads the chunk tables of every pack.
#[test]
fn an_index_of_an_agent_that_was_killed_at_once_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let place = IndexPlace::Folder(folder.path().join("index"));
    let mut index = Index::open(&place, &VAULT).unwrap();
    let (_copy, copied) = killed(folder.path());
    Index::open(&copied, &VAULT).expect("a new one has its stamp at once");
    for pack in 0..4 {
        index.insert(&[names(pack)]).unwrap();
    }
    index.flush();
    let (_copy, copied) = killed(folder.path());
    let found = Index::open(&copied, &VAULT).expect("what was written out is found");
    println!("{:?}", found.packs());
    check(&found);
}

/// Earlier versions wrote the stamp with the first packs, some seconds after the folder.
#[test]
fn an_index_without_a_stamp_and_without_packs_is_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let place = IndexPlace::Folder(folder.path().join("index"));
    drop(sled::open(folder.path().join("index")).unwrap());
    drop(Index::open(&place, &VAULT).expect("nobody's yet"));
    assert!(Index::open(&place, &[8; 16]).is_err(), "now it is somebody's");
}

/// A special file in the place of sled's file or the marker ends in a new index, not in an endless wait.
#[test]
fn a_fifo_in_the_place_of_a_file_is_moved_aside() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let fifo = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    for path in ["index/db", "index.opening", "index"].map(|name| folder.path().join(name)) {
        let _ = std::fs::remove_file(&path);
        let _ = std::fs::remove_dir_all(&path);
        fifo(&path);
        assert!(Index::open(&place, &VAULT).is_err(), "{}", path.display());
        Index::discard(&place).unwrap();
        Index::open(&place, &VAULT).expect("a new one");
        let _ = std::fs::remove_file(folder.path().join("index.broken"));
    }
}
