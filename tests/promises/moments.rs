//! The moment that is asked for is the moment that is given: every form of WHEN, wherever the reader and the box are.

use crate::messages::check;
use harness::home::{Home, text};
use jiff::{Timestamp, ToSpan, Zoned, tz::TimeZone};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where the readers are: what the system of each calls its zone, and the zone.
const READERS: [(&str, &str); 4] = [
    ("Asia/Tokyo", "Asia/Tokyo"),
    ("America/Los_Angeles", "America/Los_Angeles"),
    ("UTC", "UTC"),
    // A system that names no zone, as on many a small box.
    ("<+0545>-5:45", "Asia/Kathmandu"),
];
/// The box has its clock set for another zone than all readers.
const BOX: &str = "Europe/Berlin";

/// A box with three snapshots of different seconds; each holds one file, named for its place among the three.
struct Days {
    home: Home,
    numbers: Vec<u64>,
    times: Vec<Timestamp>,
}

const NAMES: [&str; 3] = ["first", "second", "third"];

impl Days {
    fn new() -> Self {
        let mut home = Home::new();
        home.set_variables(&[("TZ", BOX.to_owned())]);
        home.kill_agent();
        home.start();
        let folder = home.path("data");
        let (mut numbers, mut times): (Vec<u64>, Vec<Timestamp>) = (Vec::new(), Vec::new());
        for name in NAMES {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(folder.join("20")).expect("a folder");
            fs::write(folder.join(name), name).expect("written");
            fs::write(folder.join("20/name"), name).expect("written");
            // A second of its own for each, so that a time names it.
            while times.last().is_some_and(|last| last.as_second() == Timestamp::now().as_second()) {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            numbers.push(home.push(&folder, "data"));
            let listed = home.json(&["snapshots", "laptop/data"]);
            let listed = listed.as_array().expect("snapshots").last().expect("one").clone();
            times.push(listed["time"].as_str().expect("a time").parse().expect("RFC 3339"));
        }
        assert_eq!(times.iter().map(|time| time.as_second()).collect::<BTreeSet<_>>().len(), 3);
        Self { home, numbers, times }
    }

    /// The newest snapshot by then.
    fn by(&self, moment: Timestamp) -> Option<usize> {
        self.times.iter().rposition(|time| *time <= moment)
    }

    /// Every form of WHEN for a reader in `zone`, with the place of the snapshot that is meant; none for a moment before
    /// all of them.
    fn forms(&self, zone: &TimeZone) -> Vec<(String, Option<usize>)> {
        let there = |time: &Timestamp| time.to_zoned(zone.clone());
        let end_of = |time: &Zoned, second: i8| {
            let end = time.with().second(second).subsec_nanosecond(999_999_999).build();
            self.by(end.expect("a moment").timestamp())
        };
        let mut forms: Vec<(String, Option<usize>)> = ["latest", "newest", "now", "today", "0 hours ago"]
            .map(|form| (form.to_owned(), Some(2)))
            .into_iter()
            .chain([("-1".to_owned(), Some(1)), ("-2".to_owned(), Some(0))])
            .collect();
        for (place, time) in self.times.iter().enumerate() {
            let time = there(time);
            let second = end_of(&time, time.second());
            let is_today = time.date() == Timestamp::now().to_zoned(zone.clone()).date();
            forms.push((self.numbers[place].to_string(), Some(place)));
            forms.push((time.strftime("%Y-%m-%d %H:%M:%S").to_string(), second));
            forms.push((time.strftime("%Y-%m-%dT%H:%M:%S").to_string(), second));
            forms.push((time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(), second));
            forms.push((time.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), second));
            forms.push((time.timestamp().to_string(), Some(place)));
            forms.push((time.strftime("%Y-%m-%d %H:%M").to_string(), end_of(&time, 59)));
            forms.push((time.strftime("%Y-%m-%d").to_string(), self.by(end_of_day(&time))));
            let before = (&time - 1.day()).strftime("%Y-%m-%d").to_string();
            forms.push((before, None));
            if is_today {
                forms.push((time.strftime("today %H:%M:%S").to_string(), second));
                forms.push((time.strftime("%A %H:%M:%S").to_string().to_lowercase(), second));
                forms.push((time.strftime("%a").to_string().to_lowercase(), Some(2)));
                forms.push((time.strftime("last %A").to_string(), None));
                forms.push(("yesterday".to_owned(), None));
                forms.push((time.strftime("yesterday %H:%M").to_string(), None));
            }
        }
        forms.extend(["1 day ago", "2 weeks ago", "5 hours ago"].map(|form| (form.to_owned(), None)));
        forms
    }

    fn larder(&self, system_zone: &str, args: &[&str]) -> std::process::Output {
        self.home.larder(args).env("TZ", system_zone).output().expect("larder runs")
    }
}

fn end_of_day(time: &Zoned) -> Timestamp {
    let end = time.date().at(23, 59, 59, 999_999_999).to_zoned(time.time_zone().clone());
    end.expect("a moment").timestamp()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The place among the three of the files that came; none when nothing had been backed up by then.
fn place_in(listed: &str) -> Option<usize> {
    let found: Vec<usize> = (0..3).filter(|place| listed.contains(NAMES[*place])).collect();
    assert!(found.len() <= 1, "{listed}");
    found.first().copied()
}

/// Every form of WHEN, for readers in four zones of a box in a fifth, typed in each way, asked over the network, and read
/// from the disk without the box: one answer.
#[test]
fn the_moment_you_ask_for_is_the_moment_you_get() {
    let days = Days::new();
    let disk = days.home.path("disk").display().to_string();
    let admin = days.home.device("laptop", "admin");
    let mut asked = 0;
    for (system_zone, zone) in READERS {
        let tz = TimeZone::get(zone).expect("a zone");
        for (form, expect) in days.forms(&tz) {
            let check = |door: &str, said: &str, ended: Option<i32>| {
                assert_eq!(place_in(said), expect, "{door} @{form} in {zone}: {said}");
                assert_eq!(
                    ended,
                    Some(if expect.is_some() { 0 } else { 1 }),
                    "{door} @{form} in {zone}: {said}"
                );
                if expect.is_none() {
                    assert!(said.contains("nothing had been backed up by"), "{door} @{form}: {said}");
                }
            };
            let spot = format!("laptop/data@{form}");
            let ls = days.larder(system_zone, &["ls", &spot]);
            check("ls", &text(&ls), ls.status.code());
            let at = days.larder(system_zone, &["cat", "laptop/data:20/name", "--at", &form]);
            check("cat --at", &text(&at), at.status.code());
            let to = tempfile::tempdir().expect("a folder");
            let back = to.path().join("back").display().to_string();
            let rescue = days.larder(system_zone, &["rescue", &disk, "--to", &back, &spot]);
            let said = if rescue.status.success() { names_in(Path::new(&back)) } else { text(&rescue) };
            check("rescue", &said, rescue.status.code());
            let path =
                format!("/v1/sources/laptop/data/snapshots/{}/list?zone={}", encoded(&form), encoded(zone));
            let (status, body) = admin.ask("GET", &path);
            check(
                "GET",
                &body,
                Some(match status {
                    200 => 0,
                    404 => 1,
                    other => i32::from(other),
                }),
            );
            asked += 1;
        }
    }
    println!("{asked} moments through 4 doors");
    assert!(asked > 4 * 40);
}

fn names_in(folder: &Path) -> String {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// What is printed is in the reader's zone and says so; what a box cannot read it refuses, and an older client that names
/// no zone is answered as always.
#[test]
fn messages_name_the_readers_zone_and_unknown_zones_are_refused() {
    let days = Days::new();
    let disk = days.home.path("disk").display().to_string();
    for (system_zone, named) in
        [("Asia/Tokyo", "2001-02-03 04:05 (Asia/Tokyo)"), ("<+0545>-5:45", "2001-02-03 04:05 (UTC+05:45)")]
    {
        for args in [
            &["ls", "data@2001-02-03 04:05"][..],
            &["diff", "data@2001-02-03 04:05"],
            &["restore", "data@2001-02-03 04:05", "--to", "/nowhere"],
            &["rescue", &disk, "--to", "/nowhere", "data@2001-02-03 04:05"],
        ] {
            let said = days.larder(system_zone, args);
            assert!(text(&said).contains(named), "{args:?}: {}", text(&said));
            assert_eq!(said.status.code(), Some(1), "{args:?}");
        }
    }
    let admin = days.home.device("laptop", "admin");
    let get = |path: &str| admin.ask("GET", &format!("/v1/sources/laptop/data/{path}"));
    for path in [
        "snapshots/1?zone=Mars%2FBase",
        "snapshots/1/list?zone=%2B9",
        "diff?zone=",
        "snapshots/1/file?zone=x",
    ] {
        let (status, body) = get(path);
        let problem: Value = serde_json::from_str(&body).expect("a problem");
        assert_eq!((status, &problem["code"]), (400, &Value::from("unknown_zone")), "{path}: {body}");
        for part in ["what", "meaning", "remedy"] {
            assert!(problem[part].is_string(), "{body}");
        }
    }
    // Without a zone, the box's own clock.
    let berlin = days.times[1].to_zoned(TimeZone::get(BOX).expect("a zone"));
    let when = encoded(&berlin.strftime("%Y-%m-%d %H:%M:%S").to_string());
    let (status, body) = get(&format!("snapshots/{when}/list"));
    assert_eq!((status, place_in(&body)), (200, Some(1)), "{body}");
    let (_, body) = get("snapshots/2001-02-03/list");
    assert!(body.contains("2001-02-03 23:59 (Europe/Berlin)"), "{body}");
}

/// A path may begin with digits beside any moment, and a mistake tells which forms there are.
#[test]
fn every_path_can_be_written_beside_every_moment() {
    let days = Days::new();
    let home = &days.home;
    let time = days.times[2].to_zoned(TimeZone::system());
    let minute = time.strftime("%Y-%m-%d %H:%M").to_string();
    for spot in [
        format!("data@{minute}:20/name"),
        format!("data@\"{minute}\":20/name"),
        format!("data@{minute}:/20/name"),
        format!("data@{}:20/name", time.strftime("%Y-%m-%d %H:%M:%S")),
        format!("data@{}:20/name", time.strftime("%Y-%m-%d")),
    ] {
        check(home, &["cat", &spot], 0, &["third"]);
    }
    check(home, &["ls", &format!("data@{minute}:/20")], 0, &["name"]);
    check(home, &["ls", "data:20", "--at", &minute], 0, &["name"]);
    check(home, &["ls", "data@1", "--at", "-1"], 2, &["said twice"]);
    check(home, &["ls", "data@\"1"], 2, &["SOURCE[@WHEN][:PATH]"]);
    let forms = ["latest", "-1", "2026-03-31 18:00", "last tuesday", "2 weeks ago"];
    check(home, &["ls", "data@the day before"], 1, &forms);
    let disk = home.path("disk").display().to_string();
    check(home, &["rescue", &disk, "--to", "/nowhere", "data@the day before"], 1, &forms);
    for command in ["ls", "restore", "cat", "diff", "rescue"] {
        check(
            home,
            &[command, "--help"],
            0,
            &["in this computer's time zone", "last tuesday", "2 weeks ago"],
        );
    }
}
