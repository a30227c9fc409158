//! Single calls of the real agent fail: writes, syncs, renames, opens, reads. No receipt is given for what is not
//! safe, nothing that was promised is lost, and the agent is well again after the next start. Of the real client the
//! last call of a restore fails, the one that asks whether its files arrived.

use crate::byte_exact::{Dice, describe};
use harness::fault_injection::{Injected, compiled};
use harness::home::{Home, text};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Longest that a push may go on trying while its appliance is in trouble.
const PUSH_WITHIN: Duration = Duration::from_secs(8);

/// Cases in one run; the long run raises them by `LARDER_SHIM_CASES`.
fn cases() -> u64 {
    std::env::var("LARDER_SHIM_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(14)
}

/// Call, error, and how many such calls a start and two small pushes make at least.
const FAULTS: [(&str, &str, u64); 7] = [
    ("fsync", "EIO", 14),
    ("write", "EIO", 9),
    ("write", "ENOSPC", 9),
    ("rename", "EIO", 4),
    ("open", "EIO", 40),
    ("write", "SHORT", 9),
    ("read", "EIO", 20),
];

fn injected(number: u64, dice: &mut Dice) -> Injected {
    let (call, error, calls) = FAULTS[usize::try_from(number).expect("few") % FAULTS.len()];
    Injected { call, error, at: 1 + dice.below(calls), times: 1 + 3 * dice.below(2) }
}

/// Pushes once more; true if the client was told that it is safe.
fn pushes(home: &Home) -> bool {
    let mut push = home.larder(&["push", &home.path("data").display().to_string(), "--source", "data"]);
    let mut child = push.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("larder runs");
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("larder ends") {
            return status.success();
        }
        if since.elapsed() > PUSH_WITHIN {
            let _ = child.kill();
            let _ = child.wait();
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whatever call fails at whatever moment: what was confirmed comes back, byte for byte.
#[test]
fn no_failing_call_makes_a_receipt_lie() {
    let mut home = Home::new();
    let shim = compiled("shim.c", home.path("").as_path());
    let (folder, log) = (home.path("data"), home.path("shim.log"));
    fs::create_dir_all(&folder).expect("a folder");
    let mut dice = Dice(31);
    let mut promised = Vec::new();
    let (mut fired, mut refused) = (0, 0);
    for number in 0..cases() {
        let plan = injected(number, &mut dice);
        home.kill_agent();
        let _ = fs::remove_file(&log);
        let two = number % 3 == 2;
        home.use_disks(if two { &["disk", "second"] } else { &["disk"] });
        home.set_variables(&plan.variables(&shim, &home.disk(), &log));
        // An agent that cannot even open its disk says so and ends; that is a refusal, too.
        if home.try_start() {
            for step in 0..2 {
                fs::write(folder.join("changes"), dice.bytes(40_000)).expect("written");
                fs::write(folder.join(format!("stays{step}")), dice.bytes(9000)).expect("written");
                if pushes(&home) {
                    promised.push((number, home.newest("data"), describe(&folder)));
                } else {
                    refused += 1;
                }
            }
        } else {
            refused += 1;
        }
        fired += u64::from(log.exists());
        home.kill_agent();
        home.set_variables(&[]);
        home.start();
        for (case, snapshot, expect) in promised.iter().rev().take(4) {
            let found = describe(&home.restore("data", *snapshot));
            assert_eq!(found, *expect, "{plan:?}: snapshot {snapshot} of case {case}\n{}", home.log());
        }
        assert!(pushes(&home), "{plan:?}: the agent is not well after a start\n{}", home.log());
    }
    for (case, snapshot, expect) in &promised {
        assert_eq!(describe(&home.restore("data", *snapshot)), *expect, "snapshot {snapshot} of case {case}");
    }
    assert!(fired * 2 >= cases(), "only {fired} of {} faults fired", cases());
    println!("{fired} of {} calls failed, {refused} refused, {} promised: 0 lost", cases(), promised.len());
}

/// A disk that says only in the end that it did not take the files: then they are not called back.
#[test]
fn files_that_did_not_reach_the_disk_are_not_called_back() {
    let mut home = Home::new();
    let shim = compiled("shim.c", home.path("").as_path());
    let (folder, log) = (home.path("data"), home.path("shim.log"));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("letter"), b"dear all").expect("written");
    home.push(&folder, "data");
    let to = home.path("back");
    let fails = |home: &Home, call, under: &std::path::Path, args: &[&str]| {
        let _ = fs::remove_file(&log);
        let _ = fs::remove_dir_all(&to);
        let plan = Injected { call, error: "ENOSPC", at: 1, times: 1 };
        let mut command = home.larder(args);
        command.envs(plan.variables(&shim, under, &log));
        if call == "fsync" {
            command.stdout(fs::File::create(under).expect("a file"));
        }
        let output = command.output().expect("larder runs");
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text(&output));
        assert!(log.exists(), "{args:?}: nothing was tested");
        text(&output)
    };
    let show = |path: &std::path::Path| path.display().to_string();
    let said = fails(&home, "syncfs", &to, &["restore", "data", "--to", &show(&to)]);
    assert!(said.contains("writing the restored files") && said.contains("No space left"), "{said}");
    assert!(!said.contains("are back") && said.contains("empty folder"), "{said}");
    fails(&home, "fsync", &home.path("copy"), &["cat", "data:letter"]);
    home.kill_agent();
    let said = fails(&home, "syncfs", &to, &["rescue", &show(&home.path("disk")), "--to", &show(&to)]);
    assert!(said.contains("writing the restored files") && !said.contains("are back"), "{said}");
}
