//! The runner, in a time made by the test.

use super::*;
use crate::state::sample;
use std::sync::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A script for a job under test: the answer to each step, and the ear for each step.
struct Script {
    rests: Vec<Option<Rest>>,
    told: mpsc::UnboundedSender<Instant>,
}

/// One test at a time plays the script: a job is made by `default`, so a value cannot be handed over.
static SCRIPT: Mutex<Option<Script>> = Mutex::new(None);

/// Plays the script; a step without a rest panics.
#[derive(Default)]
struct ScriptedJob {
    steps: u64,
}

impl Job for ScriptedJob {
    const NAME: &'static str = "scripted";
    const FIRST: Rest = Rest::of(Duration::from_secs(7));

    fn step(&mut self, _: &Arc<Appliance>, _: WallStamp) -> Rest {
        self.steps += 1;
        let rest = {
            let mut script = SCRIPT.lock().unwrap();
            let script = script.as_mut().unwrap();
            script.told.send(Instant::now()).unwrap();
            if script.rests.is_empty() {
                Some(Rest::of(Duration::from_secs(86_400)))
            } else {
                script.rests.remove(0)
            }
        };
        rest.expect("this step is meant to panic")
    }
}

/// Seconds from the start to each step, and the steps counted by the returned job.
async fn play(rests: Vec<Option<Rest>>, wake_at_s: Option<u64>) -> (Vec<u64>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let agent = sample::appliance(folder.path());
    let (steps, (told, mut heard)) = (rests.len() + 1, mpsc::unbounded_channel());
    *SCRIPT.lock().unwrap() = Some(Script { rests, told });
    let (stop, stopped) = watch::channel(false);
    let started = Instant::now();
    let running = tokio::spawn(run(ScriptedJob::default(), agent.clone(), stopped));
    if let Some(seconds) = wake_at_s {
        tokio::time::sleep_until(started + Duration::from_secs(seconds)).await;
        agent.room_wanted.notify_one();
    }
    let mut at = Vec::new();
    while at.len() < steps {
        at.push(heard.recv().await.unwrap().duration_since(started).as_secs());
    }
    stop.send_replace(true);
    (at, running.await.unwrap().steps)
}

/// One test for the whole script, since its job has one.
#[tokio::test(start_paused = true)]
async fn a_job_rests_as_it_says_wakes_when_called_and_begins_anew_after_a_panic() {
    let seconds = |length| Some(Rest::of(Duration::from_secs(length)));
    let (at, steps) = play(vec![seconds(0), seconds(5), seconds(100)], None).await;
    assert_eq!(
        (at, steps),
        (vec![7, 7, 12, 112], 4),
        "each rest is kept, also the one before the first step"
    );

    let until = |wake| Some(Rest::of(Duration::from_secs(1000)).or_until(wake));
    let (at, _) = play(vec![until(Wake::RoomWanted)], Some(20)).await;
    assert_eq!(at, [7, 20], "it is called");
    let (at, _) = play(vec![until(Wake::ScrubWanted)], Some(20)).await;
    assert_eq!(at, [7, 1007], "somebody else is called");

    let (at, steps) = play(vec![seconds(1), None], None).await;
    assert_eq!(at, [7, 8, 68], "a step that panics is not repeated at once");
    assert_eq!(steps, 1, "a new job took the place of the one that panicked");
}
