//! The task that plays the lamp. Not here: what the lamp shows and when (`panel`), the choice (`decide`).

use std::time::{Duration, Instant};

use larder_panel::{BlinkedCode, Rhythm};
use tokio::sync::watch;

use super::panel::Panel;

/// What the lamp is to show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LampWish {
    pub(crate) rhythm: Rhythm,
    /// Said by the lamp while a computer may be paired.
    pub(crate) code: Option<BlinkedCode>,
    /// Answers to the button since the start.
    pub(crate) answers: u64,
}

/// Plays the lamp until told to stop, then puts the lamp out: a light left on would speak for a dead process.
pub(crate) async fn play(
    mut panel: Panel,
    mut wishes: watch::Receiver<LampWish>,
    mut stop: watch::Receiver<bool>,
) {
    let started = Instant::now();
    let now_ms = || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut answered = 0;
    loop {
        let wish = *wishes.borrow_and_update();
        panel.show(wish.rhythm);
        panel.show_code(wish.code);
        if wish.answers != answered {
            answered = wish.answers;
            panel.answer(now_ms());
        }
        let wait = panel.next_tick(now_ms()).saturating_sub(now_ms());
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            changed = wishes.changed() => if changed.is_err() { break },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    panel.off();
}
