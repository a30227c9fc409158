//! A clock that the test moves, for the release programs as they are: weeks of a real agent in seconds.
//!
//! The clock is `moved_clock.c`, preloaded into agent and client. The time goes by as always, and the test adds hours to
//! it. A wait of the agent whose time has come by that ends at once, as if the hours had passed. `step` then waits until
//! every thread of the agent waits again: whatever was due in that hour is done. Not here: what an agent should do in the
//! time (`tests/promises/year`).

use crate::fault_injection::compiled;
use crate::home::Home;
use jiff::{SignedDuration, Timestamp};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An hour's work of an agent takes milliseconds.
const DONE_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks at whether the agent waits.
const LOOK_EVERY: Duration = Duration::from_micros(300);

/// The clock of one home.
pub struct MovedClock {
    library: PathBuf,
    file: PathBuf,
    life: PathBuf,
    ahead: SignedDuration,
}

/// What the agent's threads are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Life {
    waiting: u64,
    timed_out: u64,
    waits: u64,
}

impl MovedClock {
    /// A clock that is right.
    ///
    /// # Panics
    /// Without a C compiler, or without room.
    pub fn new(folder: &Path) -> Self {
        let library = compiled("moved_clock.c", folder);
        let clock = Self {
            library,
            file: folder.join("clock"),
            life: folder.join("clock-life"),
            ahead: SignedDuration::ZERO,
        };
        clock.write();
        clock
    }

    fn write(&self) {
        let ahead_ns = i64::try_from(self.ahead.as_nanos()).expect("less than 292 years");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.file);
        file.and_then(|file| file.write_all_at(&ahead_ns.to_ne_bytes(), 0)).expect("the clock is moved");
    }

    /// With these variables any program lives by this clock.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let show = |path: &Path| path.display().to_string();
        [("LD_PRELOAD", show(&self.library)), ("LARDER_CLOCK", show(&self.file))]
    }

    /// With these variables any program has this time of day, which may be long before the machine was started, and the
    /// machine's own running time.
    pub fn time_of_day(&self) -> [(&'static str, String); 3] {
        let [preload, clock] = self.variables();
        [preload, clock, ("LARDER_CLOCK_WALL", "1".to_owned())]
    }

    /// Starts the agent of `home` by this clock; false if the agent ended at once.
    ///
    /// # Panics
    /// When it does neither.
    pub fn start(&self, home: &mut Home) -> bool {
        fs::write(&self.life, [0; size_of::<Life>()]).expect("counters");
        let life = ("LARDER_CLOCK_LIFE", self.life.display().to_string());
        home.set_variables(&[&self.variables()[..], &[life]].concat());
        home.try_start()
    }

    /// This moment.
    ///
    /// # Panics
    /// After many centuries.
    pub fn now(&self) -> Timestamp {
        Timestamp::now().checked_add(self.ahead).expect("a moment")
    }

    /// Time goes by; nobody waits for anything.
    pub fn advance(&mut self, time: SignedDuration) {
        self.ahead += time;
        self.write();
    }

    /// Time goes by, and the agent does what was due in it.
    ///
    /// # Panics
    /// When the agent ended, or does not come to rest.
    pub fn step(&mut self, home: &Home, time: SignedDuration) {
        let (file, pid) = (File::open(&self.life).expect("counters"), home.agent_pid());
        let (before, since) = (life(&file), Instant::now());
        self.advance(time);
        let mut last = None;
        loop {
            let now = life(&file);
            let is_at_rest = now.timed_out > before.timed_out && now.waiting == threads(pid);
            // A thread that was woken a moment ago still counts as waiting: the second look sees that it moved.
            if is_at_rest && last == Some(now) {
                return;
            }
            last = is_at_rest.then_some(now);
            assert!(
                since.elapsed() < DONE_WITHIN,
                "the agent does not come to rest: {now:?}\n{}",
                home.log()
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// An hour goes by, and the agent has only begun to see it.
    ///
    /// # Panics
    /// When the agent does not see it.
    pub fn half_a_step(&mut self, home: &Home) {
        let file = File::open(&self.life).expect("counters");
        let (before, since) = (life(&file), Instant::now());
        self.advance(SignedDuration::from_hours(1));
        while life(&file).timed_out == before.timed_out {
            assert!(since.elapsed() < DONE_WITHIN, "the agent sees no time go by\n{}", home.log());
            std::thread::yield_now();
        }
    }
}

fn life(file: &File) -> Life {
    let mut bytes = [0; size_of::<Life>()];
    file.read_exact_at(&mut bytes, 0).expect("counters");
    let (words, _) = bytes.as_chunks::<8>();
    Life {
        waiting: u64::from_ne_bytes(words[0]),
        timed_out: u64::from_ne_bytes(words[1]),
        waits: u64::from_ne_bytes(words[2]),
    }
}

/// Threads of a process.
fn threads(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let count = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    count.and_then(|count| count.trim().parse().ok()).expect("the agent runs")
}
