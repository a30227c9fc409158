//! The contract of every disk. A disk without a pass does not exist.

use super::*;

fn check(given: &dyn Disk) {
    let error = |result: io::Result<()>| result.expect_err("must fail").kind();
    assert!(given.make_folder("a").expect("make"));
    assert!(!given.make_folder("a").expect("make again"));
    given.sync_folder("").expect("sync the top");

    let mut file = given.create("a/one.part").expect("create");
    assert!(file.is_empty().expect("len"));
    file.append(b"hello ").expect("append");
    file.append(b"world").expect("append");
    file.sync().expect("sync");
    let mut word = [0; 5];
    file.read_at(6, &mut word).expect("read what was just written");
    assert_eq!((&word, file.len().expect("len")), (b"world", 11));
    assert_eq!(error(file.read_at(7, &mut word)), io::ErrorKind::UnexpectedEof);
    assert_eq!(error(given.create("a/one.part").map(drop)), io::ErrorKind::AlreadyExists);

    given.publish("a/one.part", "a/one").expect("publish");
    given.sync_folder("a").expect("sync");
    file.read_at(0, &mut word).expect("an open file outlives its name");
    assert_eq!(error(given.open("a/one.part").map(drop)), io::ErrorKind::NotFound);

    given.create("a/two.part").expect("create").append(b"other").expect("append");
    assert_eq!(error(given.publish("a/two.part", "a/one")), io::ErrorKind::AlreadyExists);
    assert_eq!(read_whole(given, "a/one", 11).expect("read"), b"hello world", "publish never replaces");
    assert_eq!(error(read_whole(given, "a/one", 10).map(drop)), io::ErrorKind::InvalidData);

    let names =
        |path| given.list(path).expect("list").into_iter().map(|i| (i.name, i.len)).collect::<Vec<_>>();
    assert_eq!(names("a"), [("one".to_owned(), 11), ("two.part".to_owned(), 5)]);
    assert_eq!(names("nowhere"), []);
    given.remove("a/two.part").expect("remove");
    assert_eq!(error(given.remove("a/two.part")), io::ErrorKind::NotFound);

    write_whole(given, "new.part", "b/c/whole", b"all of it").expect("write whole");
    assert_eq!(read_whole(given, "b/c/whole", 9).expect("read"), b"all of it");
    let space = given.space().expect("space");
    assert!(space.free <= space.total && space.total > 0);
}

#[test]
fn real() {
    let folder = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(folder.path()).unwrap();
    check(&disk);
    assert_eq!(RealDisk::open(folder.path()).map(drop).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn memory() {
    check(&MemoryDisk::new());
}

#[test]
fn faulty_without_faults() {
    let disk = FaultyDisk::new(MemoryDisk::new(), None);
    check(&disk);
    assert!(disk.operations() > 10 && !disk.fired());
}
