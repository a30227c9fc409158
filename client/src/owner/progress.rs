//! The bar while bytes move: how far, how fast, how long still. No bar without a terminal.

use super::output::{counted, size};
use crate::TransferProgress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::IsTerminal,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

const REDRAW: Duration = Duration::from_millis(150);

/// Runs `work`, with a bar if the standard error is a terminal. `folder` is measured alongside for the total.
pub(super) fn with_bar<T>(
    progress: &TransferProgress,
    json: bool,
    folder: Option<&Path>,
    work: impl FnOnce() -> T,
) -> T {
    if json || !std::io::stderr().is_terminal() {
        return work();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| draw(progress, &done));
        if let Some(folder) = folder {
            scope.spawn(|| measure(folder, progress, &done));
        }
        let result = work();
        done.store(true, Relaxed);
        result
    })
}

fn draw(progress: &TransferProgress, done: &AtomicBool) {
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style("{bytes} {bytes_per_sec}  {msg}"));
    while !done.load(Relaxed) {
        let expected = progress.expected_bytes();
        if expected > 0 && bar.length() != Some(expected) {
            bar.set_style(style(
                "{wide_bar} {percent}%  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left  {msg}",
            ));
            bar.set_length(expected);
        }
        bar.set_position(progress.bytes());
        bar.set_message(message(progress));
        thread::sleep(REDRAW);
    }
    bar.finish_and_clear();
}

fn message(progress: &TransferProgress) -> String {
    if progress.expected_packs() > 0 {
        return format!("looking through pack {} of {}", progress.packs(), progress.expected_packs());
    }
    let way = if progress.is_local() { "off the disk" } else { "over the network" };
    format!("{}, {} {way}", counted(progress.files(), "file", "files"), size(progress.sent_bytes()))
}

/// Tells the bar its end, unless the work is done before.
fn measure(folder: &Path, progress: &TransferProgress, done: &AtomicBool) {
    if let Some(bytes) = measured(folder, done) {
        progress.expect_bytes(bytes);
    }
}

/// Adds up what lies in a folder; nothing once `done`. An estimate: excludes and unreadable folders count.
pub(super) fn measured(folder: &Path, done: &AtomicBool) -> Option<u64> {
    let mut folders = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        if done.load(Relaxed) {
            return None;
        }
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => bytes += entry.metadata().map_or(0, |metadata| metadata.len()),
                _ => {}
            }
        }
    }
    Some(bytes)
}
