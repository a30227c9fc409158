#![allow(clippy::disallowed_methods, reason = "damages sled's own files behind its back")]

use super::*;

const VAULT: [u8; 16] = [7; 16];

fn ids(from: u32, count: u32) -> Vec<ChunkId> {
    (from..from + count).map(|n| Hash::of(&n.to_le_bytes())).collect()
}

fn filled(folder: &Path) -> IndexPlace {
    let place = IndexPlace::Folder(folder.join("index"));
    let mut index = Index::open(&place, &VAULT).unwrap();
    for pack in 0..4 {
        index.insert(Records::of(pack, Hash::of(&pack.to_le_bytes()), &ids(pack * 500, 500))).unwrap();
    }
    index.flush().unwrap();
    place
}

fn check(index: &Index) {
    for (n, id) in (0u32..).zip(ids(0, 2000)) {
        let expected = (n / 500, u16::try_from(n % 500).unwrap());
        assert!(index.hints(&id).unwrap().contains(&expected), "chunk {n}");
    }
    assert_eq!(index.hints(&Hash::of(b"unknown")).unwrap(), []);
    assert_eq!(index.packs().unwrap().len(), 4);
}

#[test]
fn what_was_inserted_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    let mut index = Index::open(&place, &VAULT).unwrap();
    check(&index);
    index.insert(Records::of(3, Hash::of(&3u32.to_le_bytes()), &ids(1500, 500))).unwrap();
    drop(index);
    check(&Index::open(&place, &VAULT).expect("inserting a pack twice adds nothing"));
}

#[test]
fn another_vaults_index_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let place = filled(folder.path());
    assert!(Index::open(&place, &[8; 16]).is_err());
}

/// What the vault does after opening: packs that the index does not know are entered again.
fn completed(mut index: Index) -> Result<Index, Broken> {
    let known = index.packs()?;
    for pack in (0..4).filter(|pack| !known.contains_key(pack)) {
        index.insert(Records::of(pack, Hash::of(&pack.to_le_bytes()), &ids(pack * 500, 500)))?;
    }
    Ok(index)
}

/// Whatever happens to sled's files, the index is either right or says that it is broken.
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
                noticed += u16::from(index.packs().is_ok_and(|packs| packs.len() < 4));
                match completed(index) {
                    Ok(index) => check(&index),
                    Err(_) => noticed += 1,
                }
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

#[test]
fn memory_answers_alike() {
    let mut index = Index::open(&IndexPlace::Memory, &VAULT).unwrap();
    for pack in 0..4 {
        index.insert(Records::of(pack, Hash::of(&pack.to_le_bytes()), &ids(pack * 500, 500))).unwrap();
    }
    check(&index);
}
