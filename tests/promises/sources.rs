//! Sources belong to the owner: each knows its folder, and is called as the owner calls the folder.

use harness::home::{Home, text};
use larder_store::disk::Dice;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn folder(home: &Home, place: &str, file: &str) -> PathBuf {
    let folder = home.path(place);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(file), place).expect("written");
    folder
}

fn push(home: &Home, folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let path = folder.display().to_string();
    let output = home.larder(&[&["push", path.as_str()], more].concat()).output().expect("larder runs");
    (output.status.code(), text(&output))
}

/// Two folders of one name became one source, and the files of the first read as deleted.
#[test]
fn another_folder_of_the_same_name_is_refused_and_nothing_is_sent() {
    let home = Home::new();
    let (work, own) = (folder(&home, "work/src", "a.txt"), folder(&home, "home/src", "b.txt"));
    assert_eq!(push(&home, &work, &[]).0, Some(0));
    let status = home.json(&["status"]);
    let told = status["sources"][0]["folder"].as_str().expect("the folder is told");
    assert!(told.starts_with(&work.display().to_string()), "{told}");
    let stored = status["vault"]["stored_bytes"].clone();
    // The key of this computer may add backups, and see nothing of the past.
    home.pair_on("same", "laptop", "push");
    let path = own.display().to_string();
    let as_pusher = home.larder_on("same", &["push", &path]).output().expect("larder runs");
    for (code, told) in [(as_pusher.status.code(), text(&as_pusher)), push(&home, &own, &[])] {
        assert_eq!(code, Some(5), "{told}");
        for word in [&work.display().to_string(), &path, "--source", "--moved", "No backup was made"] {
            assert!(told.contains(word), "{word}: {told}");
        }
    }
    assert_eq!(home.json(&["status"])["vault"]["stored_bytes"], stored, "nothing was sent");
    assert!(home.ok(&["versions", "src:a.txt"]).lines().all(|line| !line.contains("deleted")));
    // One wrong folder among several: none is pushed.
    let third = folder(&home, "third", "c.txt");
    let refused = push(&home, &third, &[&path]);
    assert_eq!(refused.0, Some(5), "{}", refused.1);
    assert_eq!(home.json(&["sources"]).as_array().map(Vec::len), Some(1));

    assert_eq!(push(&home, &own, &["--source", "own"]).0, Some(0));
    let elsewhere = home.path("elsewhere");
    fs::rename(home.path("work"), &elsewhere).expect("moved");
    let moved = elsewhere.join("src");
    assert_eq!(push(&home, &moved, &[]).0, Some(5));
    assert_eq!(push(&home, &moved, &["--moved"]).0, Some(0));
    assert_eq!(push(&home, &moved, &[]).0, Some(0), "it is the source's folder now");
    let listed = home.ok(&["sources"]);
    assert!(listed.contains(&moved.display().to_string()), "{listed}");
}

/// `My Files` and `My-Files` were one source, and `Böse` was called `B-se`.
#[test]
fn a_folder_may_have_any_name_and_is_called_by_it_everywhere() {
    let home = Home::new();
    let names =
        ["My Files", "My-Files", "Böse", "B-se", "写真", "a@b:c", "it's #1?", ".hidden", "50%", "x+y_2e"];
    for name in names {
        let pushed = push(&home, &folder(&home, name, "a.txt"), &[]);
        assert_eq!(pushed.0, Some(0), "{name}: {}", pushed.1);
        assert!(pushed.1.contains(&format!("laptop/{name}: snapshot")), "{name}: {}", pushed.1);
    }
    let mut listed: Vec<_> = home.json(&["sources"]).as_array().expect("a list").clone();
    listed.retain(|source| source["snapshots"] == 1);
    assert_eq!(listed.len(), names.len(), "{listed:#?}");
    let status = home.json(&["status"]);
    let mut ids: Vec<_> =
        status["sources"].as_array().expect("a list").iter().map(|it| it["id"].as_str()).collect();
    ids.dedup();
    assert_eq!(ids.len(), names.len());
    // As another computer writes the same name.
    assert!(home.ok(&["ls", "laptop/Bo\u{308}se"]).contains("a.txt"));
    assert!(home.ok(&["ls", "写真"]).contains("a.txt"));
    let back = home.path("back");
    for (number, name) in names.iter().enumerate() {
        let spot = format!("laptop/{}", name.replace('@', "\\@").replace(':', "\\:"));
        let to = back.join(number.to_string());
        home.ok(&["restore", &spot, "--to", &to.display().to_string()]);
        assert_eq!(fs::read_to_string(to.join("a.txt")).expect("back"), *name);
        assert_eq!(home.json(&["snapshots", name]).as_array().map(Vec::len), Some(1), "{name}");
        let answers = home.larderd(&["answers", &format!("laptop/{name}")]).output().expect("larderd runs");
        assert!(text(&answers).contains(&format!("laptop/{name}")), "{}", text(&answers));
    }
}

/// Names that look, sort or compare alike somewhere.
const ALIKE: [&str; 16] = [
    "B\u{f6}se",
    "Bo\u{308}se",
    "B-se",
    "B_se",
    "My Files",
    "My-Files",
    "my files",
    " My Files",
    "photos",
    "photos ",
    "Photos",
    "\u{5199}\u{771f}",
    "\u{fb01}le",
    "file",
    "a@b:c",
    "\u{202e}gpj.exe",
];

/// A refusal names the two folders, or the number of sources that a computer may have.
const REFUSED: &[&str] = &["--moved", "sources"];
/// A name that no source can have, or that two folders of one command have.
const WRONG: &[&str] = &["--source"];

/// A name of letters of everywhere, or one of those that are easily mixed up.
fn any_name(dice: &mut Dice) -> String {
    if dice.below(3) > 0 {
        return ALIKE[dice.below(ALIKE.len())].to_owned();
    }
    let letter = |dice: &mut Dice| {
        let any = std::iter::from_fn(|| {
            Some(char::from_u32(0x20 + u32::try_from(dice.below(0x1_f6ff)).expect("a letter")))
        });
        any.flatten().find(|c| *c != '/').expect("there are letters")
    };
    (0..=dice.below(12)).map(|_| letter(dice)).collect()
}

/// Folders of any name anywhere, pushed in any order, again and again, alone or two at once, some under a name of their own:
/// every source is one folder for ever, and whoever pushes another one is told.
#[test]
fn no_two_folders_become_one_source() {
    let home = Home::new();
    let pushes: usize = std::env::var("LARDER_FOLDERS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let mut dice = Dice::new(43);
    let (mut folders, mut refused) = (Vec::new(), 0);
    for number in 0..pushes {
        for _ in 0..=dice.below(2) {
            let place =
                format!("{}/{}", ["home", "work", "old\\disk", "\u{f6}"][dice.below(4)], any_name(&mut dice));
            // A filesystem takes no longer names.
            if !folders.contains(&place) && home.path(&place).file_name().is_some_and(|name| name.len() < 250)
            {
                folder(&home, &place, "whose");
                folders.push(place);
            }
        }
        let chosen: Vec<_> =
            (0..1 + dice.below(4) / 3).map(|_| folders[dice.below(folders.len())].clone()).collect();
        let paths: Vec<_> = chosen.iter().map(|place| home.path(place).display().to_string()).collect();
        let name = format!("--source={}", any_name(&mut dice));
        let mut args = vec!["push"];
        args.extend((paths.len() == 1 && dice.below(5) == 0).then_some(&*name));
        args.push("--");
        args.extend(paths.iter().map(String::as_str));
        let pushed = home.larder(&args).output().expect("larder runs");
        let told = text(&pushed);
        match pushed.status.code() {
            Some(0) => assert!(told.contains("snapshot"), "{number}: {args:?}: {told}"),
            Some(code @ (2 | 5)) => {
                let words = if code == 5 { REFUSED } else { WRONG };
                assert!(words.iter().any(|words| told.contains(words)), "{number}: {args:?}: {told}");
                refused += 1;
            }
            code => panic!("{number}: {args:?}: {code:?}: {told}"),
        }
    }
    let mut whose: BTreeMap<String, String> = BTreeMap::new();
    let sources = home.json(&["sources"]);
    let mut snapshots = 0;
    for source in sources.as_array().expect("a list") {
        let source = source["source"].as_str().expect("a name");
        let typed: String = source
            .chars()
            .flat_map(|c| ["\\", ""][usize::from(!"@:\\".contains(c))].chars().chain([c]))
            .collect();
        for snapshot in home.json(&["snapshots", "--all", source]).as_array().expect("a list") {
            let spot = format!("{typed}@{}:whose", snapshot["snapshot"]);
            let place = home.ok(&["cat", &spot]);
            let first = whose.entry(source.to_owned()).or_insert_with(|| place.clone());
            assert_eq!(*first, place, "{source} is two folders");
            snapshots += 1;
        }
    }
    assert!(refused > pushes / 10 && snapshots > pushes / 4, "{refused} refused, {snapshots} made: too easy");
    println!(
        "{pushes} pushes of {} folders: {} sources, {snapshots} snapshots, {refused} refused in words, 0 of two folders",
        folders.len(),
        whose.len()
    );
}

/// Under the name that an earlier version gave, the past of a folder goes on.
#[test]
fn a_source_that_began_under_its_former_name_goes_on_under_it() {
    let home = Home::new();
    let own = folder(&home, "My Files", "a.txt");
    assert_eq!(push(&home, &own, &["--source", "My-Files"]).0, Some(0));
    let again = push(&home, &own, &[]);
    assert!(again.1.contains("laptop/My-Files: snapshot"), "{}", again.1);
    // Another folder is no reason to take that name.
    let other = push(&home, &folder(&home, "other/My Files", "b.txt"), &[]);
    assert!(other.1.contains("laptop/My Files: snapshot"), "{}", other.1);
    let unseen = push(&home, &folder(&home, "two\nlines", "a.txt"), &[]);
    assert_eq!(unseen.0, Some(2), "{}", unseen.1);
    assert!(unseen.1.contains("--source"), "{}", unseen.1);
    for refused in [
        push(&home, &folder(&home, "pho\u{ad}tos", "a.txt"), &[]),
        push(&home, &own, &["--source", "pho\u{ad}tos"]),
    ] {
        assert_eq!(refused.0, Some(2), "{}", refused.1);
        assert!(refused.1.contains("visible text"), "{}", refused.1);
    }
}

/// `/proc`, pushed by mistake: the box lets go of it, three days later, and one word keeps it.
#[test]
fn a_source_pushed_by_mistake_is_let_go_of_at_the_box_alone() {
    let mut home = Home::new();
    let own = folder(&home, "proc", "a.txt");
    assert_eq!(push(&home, &own, &[]).0, Some(0));
    let larderd = |home: &Home, args: &[&str], code: i32| {
        let output = home.larderd(args).output().expect("larderd runs");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
        text(&output)
    };
    larderd(&home, &["let-go", "laptop/nothing"], 1);
    larderd(&home, &["let-go", "laptop/proc", "--undo"], 1);
    larderd(&home, &["let-go", "laptop/proc", "--before", "soon"], 2);
    let old = larderd(&home, &["let-go", "laptop/proc", "--before", "2020-01-01"], 0);
    assert!(old.contains("Nothing of laptop/proc is that old"), "{old}");
    let told = larderd(&home, &["let-go", "laptop/proc"], 0);
    assert!(told.contains("1 backup of laptop/proc goes in 72 hours") && told.contains("--undo"), "{told}");
    home.kill_agent();
    home.start();
    let status = home.ok(&["status"]);
    assert!(status.contains("lets go of laptop/proc"), "{status}");
    assert!(home.ok(&["snapshots", "proc"]).contains("at least until"), "no date promises more");
    assert_eq!(home.json(&["status"])["health"]["lamp"], "needs_you_9");
    let planned = larderd(&home, &["prune", "--dry-run"], 0);
    assert!(!planned.contains("laptop/proc"), "not before its time: {planned}");
    let to = home.path("back").display().to_string();
    home.ok(&["restore", "proc", "--to", &to]);
    larderd(&home, &["let-go", "laptop/proc", "--undo"], 0);
    assert!(!home.ok(&["status"]).contains("lets go of"), "it is kept");
}
