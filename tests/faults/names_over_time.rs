//! Names over all time, against a plain list of what was there in each snapshot.

use harness::plain::{self, APPLIANCE, Files, Hours, push};
use larder_format::ledger::{Event, Rule};
use larder_store::disk::{Dice, MemoryDisk};
use larder_store::{NameIndex, NameQuery, NamesBudget, NamesFound, Vault};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

const SOURCE: &str = "laptop/docs";
const GENEROUS: NamesBudget<'static> =
    NamesBudget { folders_max: 1000, node_bytes_max: 1 << 30, file_bytes_max: 1 << 30, go_on: &|| true };

/// First and last kept snapshot of each path.
type Spans = BTreeMap<String, (u64, u64)>;

fn find_at_most(vault: &Vault, index: &NameIndex, typed: &str, limit: usize) -> NamesFound {
    let query = NameQuery { typed, is_deleted: false, limit, go_on: &|| true };
    vault.by(&APPLIANCE).find_names(index, SOURCE, &query).expect("searched")
}

fn find(vault: &Vault, index: &NameIndex, typed: &str) -> Spans {
    let found = find_at_most(vault, index, typed, 1000);
    assert!(found.is_complete && !found.has_more, "{typed}");
    spans(found)
}

fn tell_all(vault: &Vault, index: &NameIndex) {
    while vault.tell_names(index, SOURCE, &GENEROUS).expect("told") {}
}

/// Paths of the files and of every folder above them.
fn paths(files: &Files) -> BTreeSet<String> {
    let with_folders = |path: &String| {
        let folders: Vec<_> = path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect();
        folders.into_iter().chain([path.clone()])
    };
    files.keys().flat_map(with_folders).collect()
}

/// What a search must find among the kept snapshots.
fn expected(vault: &Vault, pushed: &BTreeMap<u64, BTreeSet<String>>, typed: &str) -> Spans {
    let mut spans = Spans::new();
    for record in vault.ledger().snapshots(SOURCE) {
        for path in &pushed[&record.sequence] {
            let name = if typed.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) };
            if name.to_lowercase().contains(&typed.to_lowercase()) {
                let span = spans.entry(path.clone()).or_insert((record.sequence, record.sequence));
                span.1 = record.sequence;
            }
        }
    }
    spans
}

fn shake(files: &mut Files, dice: &mut Dice) {
    for _ in 0..dice.number_below(6) {
        let folder = ["", "Old/", "Photos/2024/", "Photos/2025/"]
            [usize::try_from(dice.number_below(4)).expect("small")];
        let path = format!("{folder}File-{}.TXT", dice.number_below(9));
        let bytes = vec![u8::try_from(dice.number_below(200)).expect("small"); 30];
        if files.remove(&path).is_none() {
            files.insert(path, bytes);
        }
    }
}

/// Files come, go and come back, snapshots are let go of, the agent ends in the middle: what is found is what is kept.
#[test]
fn what_is_found_is_what_is_kept() {
    for seed in 0..12 {
        let mut dice = Dice::new(seed);
        let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
        let folder = TempDir::new().expect("a folder");
        let index = vault.name_index(folder.path().join("names"));
        let rule =
            Rule { everything_days: 2, daily_days: 0, weekly_days: 0, monthly_days: Some(0), newest: 3 };
        let mut hours = Hours::default();
        vault.append(plain::stamp(0), Event::RetentionSet(rule)).expect("written");
        let (mut files, mut pushed) = (Files::new(), BTreeMap::new());
        for number in 1..60 {
            shake(&mut files, &mut dice);
            let now = hours.pass(&vault, 10);
            let committed = push(&vault, SOURCE, &files, number, now).expect("a push");
            pushed.insert(committed.record.sequence, paths(&files));
            match dice.number_below(6) {
                // A clock that is new lets nothing go yet.
                0 => drop(vault.prune(&vault.plan_prune(now), now)),
                1 => spoil(folder.path(), &mut dice),
                2 => drop(vault.tell_names(&index, SOURCE, &NamesBudget { go_on: &|| false, ..GENEROUS })),
                _ => {}
            }
            tell_all(&vault, &index);
            for typed in ["file", "FILE-3.t", "2024", "old", "nothing"] {
                let context = format!("seed {seed}, push {number}, {typed}");
                let expected = expected(&vault, &pushed, typed);
                assert_eq!(find(&vault, &index, typed), expected, "{context}");
                // A place that a path without a kept snapshot gave back goes to one that was there before it, too.
                for limit in [1, 2] {
                    let found = spans(find_at_most(&vault, &index, typed, limit));
                    assert!(found.iter().all(|(path, span)| expected[path] == *span), "{context}: {found:?}");
                }
                let newest = committed.record.sequence;
                let gone: Spans = expected.into_iter().filter(|(_, span)| span.1 < newest).collect();
                let query = NameQuery { typed, is_deleted: true, limit: 1000, go_on: &|| true };
                let found = vault.by(&APPLIANCE).find_names(&index, SOURCE, &query).expect("searched");
                assert!(found.is_complete && !found.has_more, "{context}");
                assert_eq!(spans(found), gone, "{context}, deleted");
            }
        }
    }
}

/// Blocks are large enough for filters: nothing is stepped over that a search is for, and a bent filter is noticed.
#[test]
fn what_is_stepped_over_has_nothing_that_is_kept() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let folder = TempDir::new().expect("a folder");
    let index = vault.name_index(folder.path().to_owned());
    let (mut dice, mut pushed) = (Dice::new(7), BTreeMap::new());
    let mut files = Files::new();
    for number in 1..6_u64 {
        // Every name of some areas is another one in each push: each block has much of one area and nothing of most.
        for area in 0..4 {
            if dice.number_below(2) == 0 && number > 1 {
                continue;
            }
            files.retain(|path, _| !path.starts_with(&format!("Area {area}/")));
            for at in 0..700 {
                let odd = if at % 90 == 0 { "Büro " } else { "" };
                let path = format!("Area {area}/Folder {}/{odd}PAGE-{number}-{at:05}-of-{area}.pdf", at % 7);
                files.insert(path, vec![1]);
            }
        }
        let committed = push(&vault, SOURCE, &files, number.into(), plain::stamp(number)).expect("a push");
        pushed.insert(committed.record.sequence, paths(&files));
    }
    tell_all(&vault, &index);
    let sought =
        ["page-3-", "büro", "-00690-of-2", "Folder 3/büro page", "area 2/folder 6/p", "area", "nowhere"];
    for typed in sought {
        let expected = expected(&vault, &pushed, typed);
        let found = find_at_most(&vault, &index, typed, 100_000);
        assert!(found.is_complete && !found.has_more, "{typed}");
        assert_eq!(spans(found), expected, "{typed}");
        let newest = vault.ledger().snapshots(SOURCE).last().expect("pushed").sequence;
        let gone: Spans = expected.clone().into_iter().filter(|(_, span)| span.1 < newest).collect();
        for limit in [3, 100_000] {
            let query = NameQuery { typed, is_deleted: true, limit, go_on: &|| true };
            let found = vault.by(&APPLIANCE).find_names(&index, SOURCE, &query).expect("searched");
            assert!(found.hits.iter().all(|hit| !hit.is_there), "{typed}");
            assert_eq!(
                (found.hits.len(), found.has_more),
                (gone.len().min(limit), gone.len() > limit),
                "{typed}"
            );
            assert!(spans(found).iter().all(|(path, span)| gone[path] == *span), "{typed}");
        }
        // With too many, those that are found are told whole: from when until when.
        for limit in [1, 5, 300] {
            let found = find_at_most(&vault, &index, typed, limit);
            assert_eq!(found.has_more, expected.len() > limit, "{typed}");
            assert_eq!(found.hits.len(), limit.min(expected.len()), "{typed}");
            assert!(spans(found).iter().all(|(path, span)| expected[path] == *span), "{typed}");
        }
    }
    let path = fs::read_dir(folder.path()).expect("listed").next().expect("a file").expect("listed").path();
    let bytes = fs::read(&path).expect("read");
    let mut noticed = 0;
    for at in (30..9000).step_by(97) {
        let mut bent = bytes.clone();
        bent[at] ^= 4;
        for typed in ["nowhere", "page-1-", "page-3-"] {
            fs::write(&path, &bent).expect("written");
            let expected = expected(&vault, &pushed, typed);
            let found = find_at_most(&vault, &index, typed, 100_000);
            noticed += usize::from(!found.is_complete);
            if found.is_complete {
                assert_eq!(spans(found), expected, "byte {at}, {typed}");
            } else {
                assert!(spans(found).keys().all(|path| expected.contains_key(path)), "byte {at}, {typed}");
            }
        }
    }
    assert!(noticed > 100, "{noticed}");
}

fn spans(found: NamesFound) -> Spans {
    let span = |hit: larder_store::NameHit| {
        (String::from_utf8(hit.path).expect("a text"), (hit.first.sequence, hit.last.sequence))
    };
    found.hits.into_iter().map(span).collect()
}

/// Cuts the file off, as a power cut would.
fn spoil(folder: &Path, dice: &mut Dice) {
    for entry in fs::read_dir(folder.join("names")).into_iter().flatten() {
        let path = entry.expect("listed").path();
        let len = fs::metadata(&path).expect("there").len();
        let file = fs::OpenOptions::new().write(true).open(&path).expect("opens");
        file.set_len(dice.number_below(len)).expect("cut");
    }
}

/// Damage in the middle ends a search there, and the answer says so.
#[test]
fn a_damaged_index_is_told_and_never_wrong() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let folder = TempDir::new().expect("a folder");
    let index = vault.name_index(folder.path().to_owned());
    for number in 1..6u8 {
        let name = format!("file-{number}");
        push(&vault, SOURCE, &plain::files([(&name, &[number])]), number.into(), plain::stamp(number.into()))
            .expect("a push");
    }
    assert!(!find_at_most(&vault, &index, "file", 9).is_complete, "nothing is told yet");
    tell_all(&vault, &index);
    let whole = find(&vault, &index, "file");
    assert_eq!(whole.len(), 5);
    let path = fs::read_dir(folder.path()).expect("listed").next().expect("a file").expect("listed").path();
    let bytes = fs::read(&path).expect("read");
    for at in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] ^= 4;
        fs::write(&path, &bent).expect("written");
        let found = find_at_most(&vault, &index, "file", 9);
        assert!(!found.is_complete, "byte {at}");
        for (path, (first, last)) in spans(found) {
            let span = whole.get(&path).unwrap_or_else(|| panic!("byte {at} made up {path}"));
            assert!(span.0 <= first && last <= span.1, "byte {at}: {path} from {first} to {last}");
        }
        tell_all(&vault, &index);
        assert_eq!(find(&vault, &index, "file"), whole, "byte {at}: it is made anew");
    }
}

/// A search for everything keeps no more in memory than was asked for.
#[test]
fn no_more_is_found_than_was_asked_for() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let folder = TempDir::new().expect("a folder");
    let index = vault.name_index(folder.path().to_owned());
    let files: Files = (0..50).map(|number| (format!("file-{number}"), vec![number])).collect();
    push(&vault, SOURCE, &files, 1, plain::stamp(1)).expect("a push");
    tell_all(&vault, &index);
    let found = find_at_most(&vault, &index, "file", 7);
    assert_eq!((found.hits.len(), found.has_more), (7, true));
    let no_folders = NamesBudget { folders_max: 0, ..GENEROUS };
    index.keep_only([].into_iter()).expect("removed");
    assert!(!find_at_most(&vault, &index, "file", 7).is_complete);
    while vault.tell_names(&index, SOURCE, &no_folders).expect("told") {}
    assert!(!find_at_most(&vault, &index, "file", 70).is_complete, "a snapshot that was cut short is told");
}

/// What a search says of a path holds for what it knows: a file that became a folder, and a snapshot that counts again.
#[test]
fn what_is_told_of_a_path_is_true() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let folder = TempDir::new().expect("a folder");
    let index = vault.name_index(folder.path().to_owned());
    let commit = |number: u64, names: &[&str]| {
        let files: Files = names.iter().map(|name| ((*name).to_owned(), vec![1])).collect();
        let pushed = push(&vault, SOURCE, &files, number.into(), plain::stamp(number)).expect("a push");
        pushed.record.sequence
    };
    let first = commit(1, &["thing", "old"]);
    tell_all(&vault, &index);
    let second = commit(2, &["thing/inside"]);
    // Nobody has told the second yet: that "old" is still there is not known.
    let found = find_at_most(&vault, &index, "old", 9);
    let hit = &found.hits[0];
    assert!(!found.is_complete && !hit.is_there && hit.last.sequence == first, "{hit:?}");
    tell_all(&vault, &index);
    let hits = find_at_most(&vault, &index, "thing", 9).hits;
    assert!(hits[0].is_folder && hits[0].is_there, "{hits:?}");
    assert_eq!((hits[0].first.sequence, hits[0].last.sequence), (first, second));

    let third = commit(3, &["only here"]);
    vault
        .append(plain::stamp(3), Event::SetAside { snapshot: third, why: "a test".to_owned() })
        .expect("written");
    commit(4, &["thing"]);
    tell_all(&vault, &index);
    assert!(find(&vault, &index, "only").is_empty());
    vault.append(plain::stamp(4), Event::SetAsideCleared { snapshot: third }).expect("written");
    assert!(!find_at_most(&vault, &index, "only", 9).is_complete, "it is not told");
    tell_all(&vault, &index);
    assert_eq!(find(&vault, &index, "only"), Spans::from([("only here".to_owned(), (third, third))]));
}

/// A tree of few nodes can have millions of long paths, and each would be written.
#[test]
fn long_paths_fill_no_disk() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    let folder = TempDir::new().expect("a folder");
    let index = vault.name_index(folder.path().to_owned());
    let deep = ["d".repeat(1000), "e".repeat(1000), "f".repeat(1000)].join("/");
    let files: Files = (0..2000).map(|number| (format!("{deep}/{number}/file"), vec![1])).collect();
    push(&vault, SOURCE, &files, 1, plain::stamp(1)).expect("a push");
    let little = NamesBudget { file_bytes_max: 10_000, folders_max: 1 << 20, ..GENEROUS };
    while vault.tell_names(&index, SOURCE, &little).expect("told") {}
    let path = fs::read_dir(folder.path()).expect("listed").next().expect("a file").expect("listed").path();
    assert!(fs::metadata(path).expect("there").len() < 30_000);
    assert!(!find_at_most(&vault, &index, "file", 9).is_complete);
}
