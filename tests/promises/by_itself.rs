//! Backups without a person: at times, while folders are watched, with commands around them, at a limited speed.

use crate::messages::check;
use harness::device::Device;
use harness::home::{Home, put_program, text};
use larder_format::ChunkRef;
use larder_format::wire::encode_ids;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);

/// Looks until `is_so`.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn folder_with_letter(home: &Home) -> PathBuf {
    let folder = home.path("data");
    fs::create_dir_all(folder.join("deep/er")).expect("folders");
    fs::write(folder.join("letter.txt"), b"dear all").expect("written");
    folder
}

fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// Number of snapshots of `laptop/data`.
fn snapshots(home: &Home) -> usize {
    let output = home.larder(&["snapshots", "laptop/data", "--json"]).output().expect("larder runs");
    serde_json::from_slice(&output.stdout)
        .ok()
        .and_then(|told: serde_json::Value| Some(told.as_array()?.len()))
        .unwrap_or(0)
}

/// A command before a backup makes the folder ready or calls the backup off; one after is told how it went.
#[test]
fn commands_run_before_and_after_a_backup_and_their_failure_is_not_passed_over() {
    let home = Home::new();
    let folder = folder_with_letter(&home);
    let path = folder.display().to_string();
    let said = "The command before the backup of";
    check(
        &home,
        &["push", &path, "--before", "exit 7"],
        1,
        &[said, "ended with 7", "Nothing of this folder"],
    );
    assert_eq!(snapshots(&home), 0, "nothing was backed up");

    let before = format!("echo dump > {path}/dump.sql");
    let note = home.path("note");
    let after = format!(
        "echo $LARDER_SOURCE:$LARDER_RESULT:$LARDER_EXIT_CODE:$LARDER_SNAPSHOT:$LARDER_FOLDER > {}; echo aside",
        note.display()
    );
    let pushed = home.json(&["push", &path, "--before", &before, "--after", &after]);
    let snapshot = home.newest("data");
    let expect = format!("laptop/data:ok:0:{snapshot}:{path}\n");
    assert_eq!(fs::read_to_string(&note).expect("noted"), expect);
    assert!(pushed["pushes"][0]["after_failed"].is_null(), "{pushed}");
    assert_eq!(fs::read(home.restore("data", snapshot).join("dump.sql")).expect("kept"), b"dump\n");

    check(
        &home,
        &["push", &path, "--after", "exit 3"],
        1,
        &["snapshot", "after the backup", "is made and safe"],
    );
    assert_eq!(snapshots(&home), 2, "the backup stands");
}

/// A slow line is not filled: a backup takes as long as the limit says, and is whole.
#[test]
fn a_backup_goes_no_faster_than_it_may() {
    let home = Home::new();
    let folder = folder_with_letter(&home);
    let path = folder.display().to_string();
    check(&home, &["push", &path, "--limit", "1kB/s"], 2, &["100 kB/s"]);
    check(&home, &["push", &path, "--limit", "fast"], 2, &["2MB/s"]);
    fs::write(folder.join("film.bin"), noise(1, 3_000_000)).expect("written");
    let since = Instant::now();
    let pushed = home.json(&["push", &path, "--limit", "1MB/s"]);
    let took = since.elapsed().as_secs_f64();
    let sent = pushed["pushes"][0]["sent_bytes"].as_u64().expect("a number");
    assert!(sent >= 3_000_000, "{pushed}");
    // A busy machine may take longer, and never less.
    assert!((2.7..30.0).contains(&took), "{took} s");
    assert_eq!(
        fs::read(home.restore("data", home.newest("data")).join("film.bin")).expect("kept"),
        noise(1, 3_000_000)
    );
}

/// A watch that runs, with everything that it says.
struct Watch {
    child: Child,
    said: PathBuf,
}

impl Watch {
    fn start(home: &Home, folder: &Path, said: &str) -> Self {
        let said = home.path(said);
        let file = fs::File::create(&said).expect("a file");
        let mut command = home.larder_heeding_ctrl_c(&["push", "--watch", &folder.display().to_string()]);
        let errors = file.try_clone().expect("the same file");
        let child = command.stdout(file).stderr(errors).spawn().expect("larder runs");
        Self { child, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("there")
    }

    fn wait_for(&self, words: &str) {
        wait_until(words, || self.said().contains(words));
    }

    /// As Ctrl-C does.
    fn interrupt(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("told");
        let ended = self.child.wait().expect("it ends");
        assert_eq!(ended.code(), Some(0), "{}", self.said());
        self.said()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the appliance has a chunk of these bytes already.
fn has_arrived(device: &Device, bytes: &[u8]) -> bool {
    let ids = encode_ids(&[ChunkRef::to(bytes).id]);
    let answer = device.request("POST", "/v1/chunks/missing", &ids);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    !answer.ends_with(&ids)
}

/// What is saved in a watched folder reaches the appliance within seconds, also after it was away; snapshots come every
/// quarter-hour at most, also when the watch is started anew.
#[test]
fn a_watched_folder_travels_by_itself() {
    let mut home = Home::new();
    let device = home.device("laptop", "admin");
    let folder = folder_with_letter(&home);
    home.kill_agent();
    let watch = Watch::start(&home, &folder, "said-1");
    watch.wait_for("does not answer");
    fs::write(folder.join("deep/first.txt"), b"written while the box was away").expect("written");
    home.start();
    watch.wait_for("snapshot ");
    let kept = home.restore("data", home.newest("data"));
    assert_eq!(fs::read(kept.join("deep/first.txt")).expect("kept"), b"written while the box was away");

    // A folder that is new, one that was there, and a file that is only moved in.
    let (new, old, moved) = (noise(2, 90_000), noise(3, 90_000), noise(4, 90_000));
    fs::create_dir_all(folder.join("new/deep")).expect("folders");
    fs::write(folder.join("new/deep/a.bin"), &new).expect("written");
    fs::write(folder.join("deep/er/b.bin"), &old).expect("written");
    fs::write(home.path("outside.bin"), &moved).expect("written");
    fs::rename(home.path("outside.bin"), folder.join("c.bin")).expect("moved");
    for bytes in [&new, &old, &moved] {
        wait_until("the bytes are at the appliance", || has_arrived(&device, bytes));
    }
    let said = watch.interrupt();
    assert_eq!(said.matches("does not answer").count(), 1, "told once: {said}");
    assert!(said.contains("Stopped."), "{said}");
    assert_eq!(snapshots(&home), 1, "a quarter-hour is not over: {said}");

    let later = noise(5, 90_000);
    fs::write(folder.join("d.bin"), &later).expect("written");
    let watch = Watch::start(&home, &folder, "said-2");
    wait_until("the bytes are at the appliance", || has_arrived(&device, &later));
    let said = watch.interrupt();
    assert_eq!(snapshots(&home), 1, "a new start is no reason for a snapshot: {said}");

    // A person may make one at any time, and nearly nothing is left to send.
    let pushed = home.json(&["push", &folder.display().to_string()]);
    assert!(pushed["pushes"][0]["new_bytes"].as_u64().expect("a number") < 20_000, "{pushed}");
    let kept = home.restore("data", home.newest("data"));
    assert_eq!(fs::read(kept.join("new/deep/a.bin")).expect("kept"), new);
}

/// What is left out of backups is left out of a watch too.
#[test]
fn a_watch_sends_nothing_that_is_left_out() {
    let home = Home::new();
    let folder = folder_with_letter(&home);
    fs::create_dir_all(folder.join("private")).expect("a folder");
    fs::write(folder.join(".larderignore"), "private/\n*.key\n").expect("written");
    let watch = Watch::start(&home, &folder, "said");
    watch.wait_for("snapshot ");
    let device = home.device("laptop", "admin");
    let [secret, key, letter] = [6, 7, 8].map(|seed| noise(seed, 50_000));
    fs::write(folder.join("private/secret.bin"), &secret).expect("written");
    fs::write(folder.join("deep/my.key"), &key).expect("written");
    fs::write(folder.join("deep/letter.bin"), &letter).expect("written");
    wait_until("the bytes are at the appliance", || has_arrived(&device, &letter));
    assert_eq!([&secret, &key].map(|bytes| has_arrived(&device, bytes)), [false, false]);
    watch.interrupt();
    check(&home, &["push", "--watch", "--before", "true", &folder.display().to_string()], 2, &["--watch"]);
}

/// Stand-ins for the programs of systemd: this machine's own timers are left alone.
struct PlantedSystemd<'a> {
    home: &'a Home,
}

impl PlantedSystemd<'_> {
    fn new(home: &Home) -> PlantedSystemd<'_> {
        let programs = home.path("programs");
        fs::create_dir_all(home.path("units")).expect("a folder");
        fs::create_dir_all(&programs).expect("a folder");
        let log = home.path("calls").display().to_string();
        let show = "case \"$*\" in *show*timer*) echo ActiveState=active; echo NextElapseUSecRealtime=Wed 2036-12-02 \
                    12:30:00 UTC;; *show*) echo ConditionResult=yes;; esac";
        for (name, does) in [("systemctl", show), ("loginctl", "true"), ("busctl", "cat metered 2>/dev/null")]
        {
            let script = format!("#!/bin/sh\necho {name} \"$@\" >> {log}\n{does}\n");
            put_program(&programs.join(name), script.as_bytes());
        }
        PlantedSystemd { home }
    }

    /// `larder` beside the stand-ins; root's units go to a folder of the home.
    fn larder(&self, args: &[&str]) -> Command {
        let larder = self.home.larder(args);
        let units = self.home.path("units").display().to_string();
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("unshare");
            let mount =
                "mkdir -p /etc/systemd/system && mount --bind \"$0\" /etc/systemd/system && exec \"$@\"";
            command
                .args(["-m", "--propagation", "private", "sh", "-c", mount, &units])
                .arg(larder.get_program());
            command
        } else {
            Command::new(larder.get_program())
        };
        command.args(larder.get_args()).stdin(Stdio::null()).current_dir(self.home.path("programs"));
        command.envs(larder.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.home.path("programs").display()));
        command
    }

    fn check(&self, args: &[&str], code: i32, parts: &[&str]) -> String {
        let output = self.larder(args).output().expect("larder runs");
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "larder {args:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "larder {args:?} does not say {part:?}: {said}");
        }
        said
    }

    fn units(&self) -> Vec<PathBuf> {
        let folder = if rustix::process::geteuid().is_root() { "units" } else { "config/systemd/user" };
        let found = fs::read_dir(self.home.path(folder)).into_iter().flatten();
        let mut found: Vec<PathBuf> = found.map(|entry| entry.expect("a name").path()).collect();
        found.sort();
        found
    }
}

/// A folder is scheduled, seen, run and taken away again; what cannot be is told before anything is written.
#[test]
fn a_folder_is_backed_up_at_times() {
    let home = Home::new();
    let folder = folder_with_letter(&home);
    let path = folder.display().to_string();
    let systemd = PlantedSystemd::new(&home);
    systemd.check(&["schedule"], 0, &["Nothing is scheduled", "larder schedule FOLDER"]);
    systemd.check(&["schedule", "/nowhere"], 1, &["/nowhere"]);
    systemd.check(&["schedule", &path, "--every", "5m"], 2, &["15 minutes"]);
    systemd.check(&["schedule", &path, "--every", "1h", "--at", "12:30"], 2, &["--at"]);
    systemd.check(&["schedule", "--every", "1h"], 2, &["no folder"]);
    assert_eq!(systemd.units(), Vec::<PathBuf>::new());

    let set = [
        "schedule",
        &path,
        "--at",
        "12:30",
        "--exclude",
        "*.tmp",
        "--limit",
        "20MB/s",
        "--before",
        "date > when.txt",
    ];
    systemd.check(&set, 0, &["daily at 12:30", "--on-battery", "cannot be told"]);
    let units = systemd.units();
    assert_eq!(units.len(), 2, "{units:?}");
    let calls = fs::read_to_string(home.path("calls")).expect("called");
    assert!(calls.contains("daemon-reload") && calls.contains("enable larder-push-data.timer"), "{calls}");
    if let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(&units).output() {
        assert!(verified.status.success() && verified.stderr.is_empty(), "{}", text(&verified));
    }
    systemd.check(&["schedule"], 0, &["daily at 12:30", "never", &path]);

    fs::write(folder.join("odd.tmp"), b"left out").expect("written");
    systemd.check(&["schedule", "--run", "data"], 0, &["laptop/data: snapshot"]);
    let kept = home.restore("data", home.newest("data"));
    assert!(kept.join("letter.txt").exists() && !kept.join("odd.tmp").exists());
    assert!(home.path("programs/when.txt").exists(), "the command before ran");
    systemd.check(&["schedule"], 0, &["fine"]);
    systemd.check(&["schedule", "--run", "data"], 0, &["nothing is due"]);
    assert_eq!(snapshots(&home), 1);
    // The same appliance at another address.
    let pairing = home.path("config/larder/appliance.toml");
    let before = fs::read_to_string(&pairing).expect("a pairing");
    let moved = before.replace("https://127.0.0.1:", "https://localhost:");
    assert_ne!(moved, before);
    fs::write(&pairing, moved).expect("written");
    systemd.check(&["schedule"], 0, &["fine"]);
    systemd.check(&["schedule", "--run", "data"], 0, &["nothing is due"]);
    assert_eq!(snapshots(&home), 1);

    systemd.check(&["schedule", &path, "--every", "1h", "--exclude", "*.tmp"], 0, &["every hour"]);
    fs::write(home.path("programs/metered"), b"u 1").expect("planted");
    systemd.check(&["schedule", "--run", "data"], 0, &["costs by volume"]);
    assert_eq!(snapshots(&home), 1);
    fs::remove_file(home.path("programs/metered")).expect("taken away");
    systemd.check(&["schedule", "--run", "data"], 0, &["laptop/data: snapshot"]);

    fs::remove_dir_all(&folder).expect("deleted");
    systemd.check(&["schedule", "--run", "data"], 1, &["There is no folder"]);
    let shown = systemd.larder(&["schedule", "--json"]).output().expect("larder runs");
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let last = &shown["scheduled"][0]["last"];
    assert_eq!((last["exit_code"].as_u64(), last["succeeded"].is_string()), (Some(1), true), "{shown}");
    assert_eq!(shown["scheduled"][0]["next"], "2036-12-02T12:30:00Z", "{shown}");

    systemd.check(&["schedule", "--remove", "/elsewhere"], 1, &["not scheduled"]);
    systemd.check(&["schedule", "--remove", &path], 0, &["not backed up by itself any more", "is kept"]);
    assert_eq!(systemd.units(), Vec::<PathBuf>::new());
    systemd.check(&["schedule", "--run", "data"], 1, &["larder schedule"]);
}

/// A folder is watched by a service: it waits while the connection costs by volume, tells so, and goes on by itself.
#[test]
fn a_watched_folder_is_a_service_that_heeds_the_connection() {
    let home = Home::new();
    let folder = folder_with_letter(&home);
    let path = folder.display().to_string();
    let systemd = PlantedSystemd::new(&home);
    systemd.check(&["schedule", &path, "--watch", "--every", "1h"], 2, &["--every"]);
    systemd.check(&["push", &path, "--on-battery"], 2, &["--watch"]);
    systemd.check(&["schedule", &path, "--every", "1h"], 0, &["every hour"]);
    systemd.check(&["schedule", &path, "--watch"], 0, &["within seconds of a change", "--on-battery"]);
    let units = systemd.units();
    assert!(units.len() == 1 && units[0].ends_with("larder-push-data.service"), "{units:?}");
    if let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(&units).output() {
        assert!(verified.status.success() && verified.stderr.is_empty(), "{}", text(&verified));
    }
    let calls = fs::read_to_string(home.path("calls")).expect("called");
    assert!(calls.contains("disable --now larder-push-data.timer"), "{calls}");
    assert!(calls.contains("enable larder-push-data.service"), "{calls}");

    fs::write(home.path("programs/metered"), b"u 1").expect("planted");
    let log = fs::File::create(home.path("said")).expect("a file");
    let mut service = systemd.larder(&["schedule", "--run", "data"]);
    let mut service =
        service.stdout(log.try_clone().expect("a file")).stderr(log).spawn().expect("larder runs");
    let said = || fs::read_to_string(home.path("said")).expect("a file");
    let wait_until = |is_so: &dyn Fn() -> bool| {
        let since = Instant::now();
        while !is_so() {
            assert!(since.elapsed() < Duration::from_secs(40), "{}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_until(&|| said().contains("costs by volume"));
    systemd.check(&["schedule"], 0, &["waits: this connection costs by volume", &path]);
    assert_eq!(snapshots(&home), 0);
    fs::remove_file(home.path("programs/metered")).expect("taken away");
    wait_until(&|| said().contains("It goes on.") && snapshots(&home) == 1);
    wait_until(&|| systemd.check(&["schedule"], 0, &[]).contains("fine"));
    let pid = Pid::from_raw(service.id().cast_signed()).expect("a process");
    kill_process(pid, Signal::TERM).expect("it runs");
    assert_eq!(service.wait().expect("it ends").code(), Some(0), "{}", said());
    systemd.check(&["schedule", "--remove"], 0, &["not backed up by itself any more"]);
    assert_eq!(systemd.units(), Vec::<PathBuf>::new());
}

/// Starts a systemd of an account in a namespace of its own, then runs `$@` as that account (not root) beside it.
const WITH_SYSTEMD: &str = r#"
set -e
mount -t tmpfs none /run
mkdir -p -m 700 /run/systemd/system /run/account
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
cgroup=/sys/fs/cgroup/larder-test-$$
mkdir "$cgroup"
echo $$ > "$cgroup/cgroup.procs"
export XDG_RUNTIME_DIR=/run/account
/lib/systemd/systemd --user --log-target=null </dev/null >/dev/null 2>&1 &
manager=$!
for try in $(seq 100); do systemctl --user is-system-running >/dev/null 2>&1 && break; sleep 0.1; done
unshare --user --map-user=1000 --map-group=1000 sh -e -c "$@" && code=0 || code=$?
kill "$manager"
wait "$manager" || true
echo $$ > /sys/fs/cgroup/cgroup.procs
find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
exit $code
"#;

/// Not only stand-ins: a real systemd takes the timer, runs the backup and forgets both.
#[test]
fn a_real_systemd_runs_what_was_scheduled() {
    let home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("letter.txt"), b"dear all").expect("written");
    let run = |script: &str| {
        let larder = home.larder(&[]);
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "bash", "-c", WITH_SYSTEMD, "bash", script, "sh"]);
        command.arg(larder.get_program()).arg(&folder).stdin(Stdio::null());
        command.envs(larder.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.output().expect("unshare runs")
    };
    let probe = run("systemctl --user list-timers");
    if !probe.status.success() {
        println!("not tested, since no systemd can be started here: {}", text(&probe));
        return;
    }
    let output =
        run("\"$1\" schedule \"$2\" --every 15m --on-battery; \"$1\" schedule --json > \"$2/before.json\"; \
         systemctl --user start larder-push-data.service; \"$1\" schedule --json; \
         \"$1\" schedule --remove >&2; systemctl --user list-unit-files 'larder-push-*' >&2 || true");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("every 15 minutes") && said.contains("0 unit files listed"), "{said}");
    let json = said.split_once("\n{").map(|(_, rest)| format!("{{{rest}")).expect("JSON");
    let json = json.rsplit_once("\n}").map(|(start, _)| format!("{start}\n}}")).expect("JSON");
    let shown: serde_json::Value =
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {said}"));
    let data = &shown["scheduled"][0];
    assert_eq!(
        (&data["timer_is_active"], &data["last"]["result"]),
        (&true.into(), &"fine".into()),
        "{shown}"
    );
    assert!(data["next"].is_string(), "{shown}");
    let kept = home.restore("data", home.newest("data"));
    let before = fs::read_to_string(kept.join("before.json")).expect("kept");
    assert!(before.contains("\"last\": null"), "{before}");
}

/// Whoever has just seen the first backup is told, once and in one line, that it can go by itself.
#[test]
fn the_first_backup_at_a_terminal_offers_a_schedule() {
    let home = Home::new();
    let folder = folder_with_letter(&home);
    let at_a_terminal = || {
        let larder = home.larder(&[]);
        let mut command = Command::new("script");
        let line = format!("{} push '{}'", larder.get_program().to_string_lossy(), folder.display());
        command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
        command.envs(larder.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.output().map(|output| text(&output))
    };
    let Ok(first) = at_a_terminal() else {
        println!("not tested, since there is no program `script`");
        return;
    };
    let offer = format!("To do this by itself: larder schedule {}", folder.display());
    assert!(first.contains("snapshot") && first.contains(&offer), "{first}");
    let again = at_a_terminal().expect("there is `script`");
    assert!(again.contains("snapshot") && !again.contains("larder schedule"), "{again}");
    let other = Home::new();
    let aside = other.ok(&["push", &folder.display().to_string()]);
    assert!(!aside.contains("larder schedule"), "nobody is there to be told: {aside}");
}
