use super::*;
use crate::platform::status_of;
use larder_format::{
    ChunkRef,
    tree::{Entry, Kind, Owner, Time, Totals},
};
use std::sync::Arc;

fn entry(name: &str) -> Entry {
    let kind = Kind::Symlink(name.as_bytes().to_vec());
    Entry {
        name: name.into(),
        owner: 0,
        mode: 0o777,
        modified: Time::default(),
        hard_link: 3,
        xattrs: vec![],
        kind,
    }
}

fn folded(seed: u8) -> Folded {
    Folded { node: ChunkRef::to(&[seed]), totals: Totals { files: 1, directories: 2, bytes: 3 } }
}

fn write(cache: &Cache, key: FolderKey, names: impl IntoIterator<Item = String>, seed: u8) {
    let owner = Arc::new(Owner { uid: 1, gid: 2, user: "ada".to_owned(), group: "users".to_owned() });
    let time = Time { seconds: -5, nanos: 7 };
    let fingerprint = Fingerprint { inode: 9, size: 8, modified: time, changed: time };
    let mut writer = RecordWriter::new(key);
    for name in names {
        let entry = entry(&name);
        writer.push(
            &KnownEntry { entry: &entry, owner: &owner, fingerprint, racy: false, fixed_size: false },
            cache,
        );
    }
    writer.finish(&folded(seed), cache);
}

fn read(cache: &Cache, key: FolderKey) -> Option<Vec<String>> {
    let mut reader = RecordReader::open(cache, key)?;
    let mut names = Vec::new();
    while let Some(cached) = reader.peek() {
        assert!(!cached.racy && !cached.fixed_size);
        assert_eq!((cached.fingerprint.inode, cached.fingerprint.changed.seconds), (9, -5));
        let decoded = cached.decode().unwrap();
        let name = String::from_utf8(cached.name.to_vec()).unwrap();
        assert_eq!(decoded, entry(&name));
        assert_eq!(reader.owners[decoded.owner as usize].user, "ada");
        names.push(name);
        reader.step();
    }
    reader.rewind()?;
    assert_eq!(
        reader.peek().map(|first| first.name.to_vec()),
        names.first().map(|name| name.clone().into_bytes())
    );
    Some(names)
}

#[test]
fn folders_come_back_small_and_large() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/x.cache");
    let key = FolderKey::root(b"/home");
    let large: Vec<String> = (0..20_000).map(|n| format!("name {n:06}")).collect();
    let cache = Cache::open(path.clone());
    assert_eq!(read(&cache, key), None);
    write(&cache, key, ["a".to_owned(), "b".to_owned()], 1);
    write(&cache, key.child(b"large"), large.clone(), 2);
    write(&cache, key.child(b"empty"), [], 3);
    cache.finish().unwrap();

    let cache = Cache::open(path.clone());
    assert_eq!(read(&cache, key), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(read(&cache, key.child(b"large")), Some(large.clone()));
    assert_eq!(read(&cache, key.child(b"empty")), Some(vec![]));
    assert_eq!(read(&cache, key.child(b"none")), None);
    assert_eq!(RecordReader::open(&cache, key).unwrap().folded, folded(1));

    // A kept folder, a replaced folder, a missing folder.
    RecordReader::open(&cache, key.child(b"large")).unwrap().keep();
    write(&cache, key, ["c".to_owned()], 4);
    cache.finish().unwrap();
    let cache = Cache::open(path);
    assert_eq!(read(&cache, key), Some(vec!["c".to_owned()]));
    assert_eq!(read(&cache, key.child(b"large")), Some(large));
    assert_eq!(read(&cache, key.child(b"empty")), None);
}

#[test]
fn nothing_is_written_when_everything_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cache");
    let key = FolderKey::root(b"/");
    let cache = Cache::open(path.clone());
    write(&cache, key, ["a".to_owned()], 1);
    cache.finish().unwrap();
    let inode = || status_of(&File::open(&path).unwrap()).unwrap().inode;
    let before = inode();
    let cache = Cache::open(path.clone());
    RecordReader::open(&cache, key).unwrap().keep();
    cache.finish().unwrap();
    assert_eq!(inode(), before);
    // A folder that went away is a change, even without new records.
    let cache = Cache::open(path.clone());
    cache.finish().unwrap();
    assert_eq!(read(&Cache::open(path), key), None);
}
