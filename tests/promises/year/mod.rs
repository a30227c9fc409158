//! Letting go over weeks and months, on the release programs and on two disks: a clock that the test moves takes the agent
//! from hour to hour, two computers back up a folder that changes, and the agent is killed and started again.
//!
//! What must be there and what must be gone says a model that was written from the owner's documents (`rule`). A month in
//! each run; a year and more with `LARDER_DAYS`.

mod rule;

use crate::byte_exact::{Dice, describe};
use crate::old_disks::python;
use harness::home::{Home, find_number, text};
use harness::moved_clock::MovedClock;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rule::{Judged, Listed, Wishes, WrittenRule, judge};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The longest that the box is off.
const OFF_H_MAX: u64 = 3;
/// "Their room is free again about eight days later"; and a restart costs a day.
const QUIET_DAYS: i64 = 10;
/// Between two lists of what there is.
const LIST_EVERY_H: i64 = 6;
/// What makes less takes so long.
const THREE_DAYS: SignedDuration = SignedDuration::from_hours(72);

fn days() -> i64 {
    std::env::var("LARDER_DAYS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}

/// One source and all of its backups.
struct Life {
    /// Folder of the computer's settings, as in `Home::larder_on`.
    computer: &'static str,
    source: &'static str,
    folder: PathBuf,
    backups: Vec<Listed>,
    /// What was pushed, by number.
    contents: BTreeMap<u64, BTreeMap<Vec<u8>, String>>,
    holds: Vec<(Timestamp, Timestamp)>,
}

impl Life {
    fn new(home: &Home, computer: &'static str, source: &'static str) -> Self {
        let folder = home.path(&format!("folders/{source}"));
        fs::create_dir_all(folder.join("letters")).expect("a folder");
        let (backups, contents, holds) = <_>::default();
        Self { computer, source, folder, backups, contents, holds }
    }

    /// Somebody works in the folder.
    fn change(&self, dice: &mut Dice) {
        let path = |number: u64| self.folder.join(format!("letters/{number}.txt"));
        for _ in 0..2 {
            let len = usize::try_from(20_000 + dice.below(100_000)).expect("small");
            fs::write(path(dice.below(16)), dice.bytes(len)).expect("written");
        }
        let _ = fs::remove_file(path(dice.below(16)));
        let diary = self.folder.join("diary.txt");
        let lines = fs::read_to_string(&diary).unwrap_or_default();
        fs::write(diary, format!("{lines}Dear diary, {}\n", dice.below(1000))).expect("written");
    }
}

/// A box, two computers, and the time.
struct Household {
    home: Home,
    clock: MovedClock,
    dice: Dice,
    lives: Vec<Life>,
    rules: Vec<(Timestamp, WrittenRule)>,
    hours: i64,
    kills: u64,
    starts: u64,
    restored: u64,
    /// Bytes of packs that were ever on the first disk, by name.
    packs_ever: BTreeMap<String, u64>,
}

impl Household {
    fn new(rule: WrittenRule) -> Self {
        let mut home = Home::with_settings(&format!("{}[mqtt]\nenabled = false\n", rule.settings()));
        home.pair_on("desk", "desk", "admin");
        home.kill_agent();
        fs::remove_dir_all(home.path("disk")).expect("removed");
        home.use_disks(&["disk", "second"]);
        let mut clock = MovedClock::new(&home.path(""));
        clock.advance(to_the_twentieth(clock.now()));
        assert!(clock.start(&mut home), "{}", home.log());
        home.pair("laptop", "admin");
        home.pair_on("desk", "desk", "admin");
        let of = [("", "laptop/notes"), ("desk", "desk/work"), ("desk", "desk/attic")];
        let lives = of.map(|(computer, source)| Life::new(&home, computer, source)).into();
        let rules = vec![(clock.now(), rule)];
        let (dice, packs_ever) = (Dice(7), BTreeMap::new());
        Self { home, clock, dice, lives, rules, hours: 0, kills: 0, starts: 1, restored: 0, packs_ever }
    }

    fn larder(&self, computer: &str, args: &[&str]) -> Output {
        let mut command = self.home.larder_on(computer, args);
        command.envs(self.clock.variables()).output().expect("larder runs")
    }

    /// The same as JSON; it must succeed.
    fn json(&self, computer: &str, args: &[&str]) -> serde_json::Value {
        let output = self.larder(computer, &[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}\n{}", text(&output), self.home.log());
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn larderd(&self, args: &[&str]) -> serde_json::Value {
        let output = self.home.larderd(&[args, &["--json"]].concat()).envs(self.clock.variables()).output();
        let output = output.expect("larderd runs");
        assert!(output.status.success(), "{args:?}: {}\n{}", text(&output), self.home.log());
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn hour(&mut self) {
        self.clock.step(&self.home, SignedDuration::from_hours(1));
        self.hours += 1;
        if self.hours % LIST_EVERY_H == 0 {
            self.list();
        }
    }

    fn push(&mut self, life: usize) {
        let one = &self.lives[life];
        one.change(&mut self.dice);
        let (_, name) = one.source.split_once('/').expect("a device");
        let folder = one.folder.display().to_string();
        let before = self.clock.now();
        let pushed = self.json(one.computer, &["push", &folder, "--source", name]);
        let number = find_number(&pushed, "snapshot").expect("a number");
        let after = self.clock.now();
        let one = &mut self.lives[life];
        one.contents.insert(number, describe(&one.folder));
        one.backups.push(Listed { number, arrived: before, last: after, missing: None });
    }

    /// Looks at what there is, and at when the agent says that it came.
    fn list(&mut self) {
        let now = self.clock.now();
        for at in 0..self.lives.len() {
            let (computer, source) = (self.lives[at].computer, self.lives[at].source);
            if self.lives[at].backups.is_empty() {
                continue;
            }
            let listed = self.json(computer, &["snapshots", source]);
            let listed: BTreeMap<u64, Timestamp> =
                listed.as_array().expect("a list").iter().map(arrival).collect();
            for backup in &mut self.lives[at].backups {
                match listed.get(&backup.number) {
                    Some(arrived) => {
                        let off = arrived.duration_since(backup.arrived).as_secs();
                        assert!((-1..60).contains(&off), "{source}: {backup:?} arrived {arrived}");
                        assert_eq!(backup.missing, None, "{source}: {} is back", backup.number);
                        backup.last = now;
                    }
                    None => drop(backup.missing.get_or_insert(now)),
                }
            }
        }
        self.packs_ever.extend(packs_of(&self.home.disk()));
    }

    /// The box is off for some hours, after a kill in the middle of whatever it did, or after a stop.
    fn restart(&mut self, is_killed: bool) {
        if is_killed {
            self.clock.half_a_step(&self.home);
            self.hours += 1;
            self.home.kill_agent();
            self.kills += 1;
        } else {
            assert_eq!(self.home.stop_agent(), Some(0), "{}", self.home.log());
        }
        let hours = self.dice.below(OFF_H_MAX);
        self.clock.advance(SignedDuration::from_hours(i64::try_from(hours).expect("few")));
        assert!(self.clock.start(&mut self.home), "{}", self.home.log());
        self.starts += 1;
    }

    /// The owner writes another rule.
    fn set_rule(&mut self, rule: WrittenRule, is_shorter: bool) {
        let (_, before) = self.rules.last().expect("a rule");
        let path = self.home.path("larder.toml");
        let settings = fs::read_to_string(&path).expect("settings");
        fs::write(path, settings.replace(&before.settings(), &rule.settings())).expect("settings");
        self.restart(false);
        let from = self.clock.now() + if is_shorter { THREE_DAYS } else { SignedDuration::ZERO };
        self.rules.push((from, rule));
    }

    /// One day: backups at any hours, now and then a restart.
    fn day(&mut self, day: i64) {
        let mut plan: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (life, backups) in [(0, 2 + self.dice.below(3)), (1, self.dice.below(3))] {
            (0..backups).for_each(|_| plan.entry(self.dice.below(24)).or_default().push(life));
        }
        // Pushed once and never again: nothing of it grows old.
        if day == 0 {
            plan.entry(3).or_default().extend([2; 6]);
        }
        let falls = [day % 3 == 2, day % 7 == 5].map(|falls| falls.then(|| self.dice.below(24)));
        for hour in 0..24 {
            plan.remove(&hour).into_iter().flatten().for_each(|life| self.push(life));
            if falls.contains(&Some(hour)) {
                self.restart(falls[0] == Some(hour));
            }
            self.hour();
        }
    }

    fn wishes(&self, life: &Life) -> Wishes {
        Wishes { rules: self.rules.clone(), holds: life.holds.clone() }
    }

    fn judged(&self, wrong: impl Fn(WrittenRule) -> WrittenRule) -> Vec<Judged> {
        let off_h = i64::try_from(OFF_H_MAX).expect("few");
        let judge_one = |life: &Life| {
            let mut wishes = self.wishes(life);
            wishes.rules.iter_mut().for_each(|(_, rule)| *rule = wrong(*rule));
            judge(&life.backups, &wishes, off_h)
        };
        self.lives.iter().map(judge_one).collect()
    }

    /// Every kept backup comes back, both disks alone say the same, and what went went in time.
    fn check(&mut self) {
        self.list();
        for (life, judged) in self.lives.iter().zip(self.judged(|rule| rule)) {
            let (wishes, log) = (self.wishes(life), self.home.log());
            assert!(judged.is_right(), "{}: {judged:?}\n{wishes:?}\n{:#?}\n{log}", life.source, life.backups);
        }
        for (life, number) in self.kept() {
            let life = &self.lives[life];
            let back = self.restored(life, number);
            assert_eq!(describe(&back), life.contents[&number], "{} {number}", life.source);
        }
        self.restored += self.kept().len() as u64;
        let kept: BTreeSet<_> = self.kept().into_iter().map(|(_, number)| number).collect();
        for disk in ["disk", "second"].map(|disk| self.home.path(disk)) {
            assert_eq!(
                rescued(&self.json("", &["rescue", &disk.display().to_string(), "--list"])),
                kept,
                "{disk:?}"
            );
            assert_eq!(read_independently(&disk, &["--list"]), kept, "{disk:?}");
        }
    }

    fn kept(&self) -> Vec<(usize, u64)> {
        let of = |(at, life): (usize, &Life)| {
            let kept = life.backups.iter().filter(|backup| backup.missing.is_none());
            kept.map(move |backup| (at, backup.number)).collect::<Vec<_>>()
        };
        self.lives.iter().enumerate().flat_map(of).collect()
    }

    fn restored(&self, life: &Life, number: u64) -> PathBuf {
        let to = self.home.path("back");
        let _ = fs::remove_dir_all(&to);
        let spot = format!("{}@{number}", life.source);
        let output = self.larder(life.computer, &["restore", &spot, "--to", &to.display().to_string()]);
        assert!(output.status.success(), "{spot}: {}\n{}", text(&output), self.home.log());
        to
    }

    /// Bytes of packs on each disk, and those of a vault into which only what is kept was ever pushed.
    fn room(&mut self) -> (u64, u64) {
        let mut fresh = Home::new();
        for (life, number) in self.kept() {
            let back = self.restored(&self.lives[life], number);
            let name = self.lives[life].source.replace('/', "-");
            fresh.ok(&["push", &back.display().to_string(), "--source", &name, "--moved"]);
        }
        assert_eq!((fresh.stop_agent(), self.home.stop_agent()), (Some(0), Some(0)));
        let [first, second] = ["disk", "second"].map(|disk| packs_of(&self.home.path(disk).join("larder")));
        assert_eq!(first, second, "both disks hold the same packs");
        (first.values().sum(), packs_of(&fresh.disk()).values().sum())
    }
}

/// Lives begin on the 20th of a month: weeks and a month end within the first days.
fn to_the_twentieth(now: Timestamp) -> SignedDuration {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut date = today.tomorrow().expect("a date");
    while date.day() != 20 {
        date = date.tomorrow().expect("a date");
    }
    let start = date.to_zoned(TimeZone::UTC).expect("a moment").timestamp();
    start.duration_since(now)
}

/// Number and arrival of a snapshot in a list.
fn arrival(snapshot: &serde_json::Value) -> (u64, Timestamp) {
    let time = snapshot["time"].as_str().and_then(|time| time.parse().ok());
    (snapshot["snapshot"].as_u64().expect("a number"), time.expect("a moment"))
}

fn rescued(listed: &serde_json::Value) -> BTreeSet<u64> {
    let kept = listed["snapshots"].as_array().expect("a list").iter().filter(|one| one["standing"] == "kept");
    kept.map(|one| find_number(one, "snapshot").expect("a number")).collect()
}

/// Numbers that the independent reader names; it must find everything whole.
fn read_independently(disk: &Path, args: &[&str]) -> BTreeSet<u64> {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("independent/larder_read.py");
    let output = Command::new(python()).arg(reader).arg(disk).args(args).output().expect("python runs");
    assert!(output.status.success(), "{}", text(&output));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed.lines().filter_map(|line| line.split_whitespace().nth(1)?.parse().ok()).collect()
}

/// Packs below the folder of a vault, with their lengths.
fn packs_of(vault: &Path) -> BTreeMap<String, u64> {
    let files = harness::fault_injection::files_below(&vault.join("packs"));
    let packs = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "pack"));
    // A sweep under way may take one.
    let len = |path: &PathBuf| fs::metadata(path).ok().map(|meta| meta.len());
    packs.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), len(&path)?))).collect()
}

/// For weeks: what the rule keeps is there and comes back, what it does not keep goes the day after, and its room comes
/// back, whatever happens to the agent meanwhile.
#[test]
fn weeks_of_letting_go_keep_what_the_rule_says_and_give_the_room_back() {
    let days = days();
    let rule = WrittenRule::for_a_life_of(days);
    let mut household = Household::new(rule);
    let shorter = WrittenRule { daily: rule.daily - 1, ..rule };
    for day in 0..days {
        if day == days / 3 {
            let held = household.larderd(&["hold", "desk/work", "--reason", "looks odd"]);
            let from = household.clock.now();
            household.lives[1].holds.push((from, from + THREE_DAYS * 2));
            let number = held["hold"].as_u64().expect("a number");
            (0..3).for_each(|more| household.day(day * 1000 + more));
            household.larderd(&["unhold", &number.to_string()]);
            household.lives[1].holds[0].1 = household.clock.now() + THREE_DAYS;
        }
        if day == days / 2 {
            household.set_rule(shorter, true);
        }
        if day == days * 2 / 3 {
            household.set_rule(rule, false);
        }
        household.day(day);
        if day % 30 == 29 {
            household.check();
        }
    }
    (0..QUIET_DAYS * 24).for_each(|_| household.hour());
    household.check();
    told(&mut household);
}

/// Prints what was lived, and fails if a rule that is slightly wrong would have gone unnoticed or the room is not back.
fn told(household: &mut Household) {
    for (what, wrong) in household.rules[0].1.slightly_wrong(days()) {
        let judged = household.judged(|rule| {
            let right = household.rules[0].1;
            let is_shorter = rule != right;
            WrittenRule { daily: wrong.daily - i64::from(is_shorter), ..wrong }
        });
        assert!(!judged.iter().all(Judged::is_right), "nobody would notice a rule with {what}");
    }
    let latest_h = household.judged(|rule| rule).iter().map(|judged| judged.latest_h).max();
    let (packs, fresh) = household.room();
    let ever: u64 = household.packs_ever.values().sum();
    let made: usize = household.lives.iter().map(|life| life.backups.len()).sum();
    let kept = household.kept().len();
    println!(
        "{} hours, {made} backups, {} kills and {} starts: {} let go of, 0 too early, the latest {} hours after its time; \
         {} restores, 0 different; packs take {packs} bytes on each disk of {ever} ever, a fresh vault {fresh}: {}.{:02}",
        household.hours,
        household.kills,
        household.starts,
        made - kept,
        latest_h.unwrap_or_default(),
        household.restored,
        packs / fresh,
        packs % fresh * 100 / fresh,
    );
    assert!(packs * 2 < ever, "the room is not back");
    // Packs of a few megabytes, of which most but not all is needed, are not written anew.
    assert!(packs * 4 <= fresh * 7, "the disks hold much more than is kept");
}
