//! The standard error: lines, questions, and the bar below them.
//!
//! Every line for the standard error goes through `say`. A line that came while a bar is drawn would be painted over,
//! so the bar makes room. Without a reader (`larder push … 2>&1 | head`) the work goes on: a panic would end the work
//! between a snapshot and the saving of its receipt. Not here: the standard output (`output`), what the bar shows
//! (`progress`).

use super::plain::plain;
use indicatif::ProgressBar;
use std::{
    fmt::Display,
    io::{BufRead, IsTerminal, Write, stderr, stdin},
    sync::{Mutex, PoisonError},
};

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The bar that is drawn from now on, or no bar.
pub(super) fn set_bar(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Does `work`, which writes to the terminal, with the bar out of the way.
pub(super) fn above_bar<T>(work: impl FnOnce() -> T) -> T {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(work),
        None => work(),
    }
}

/// Prints one line to the standard error, whatever the text holds.
pub(super) fn say(line: impl Display) {
    let line = line.to_string();
    above_bar(|| {
        let _ = writeln!(stderr(), "{}", plain(&line));
    });
}

/// Prints the last line of a program that is being ended. The bar is not asked for room: whoever draws it may be waiting
/// for an answer that never comes.
pub(super) fn say_last(line: &str) {
    // Over whatever stands in the line of the bar.
    let clear = if is_watched() { "\r\x1b[K" } else { "" };
    let _ = writeln!(stderr(), "{clear}{}", plain(line));
}

/// Whether a person sits before the standard error.
pub(super) fn is_watched() -> bool {
    stderr().is_terminal()
}

/// Whether a person can be asked and can answer.
pub(super) fn may_ask() -> bool {
    is_watched() && stdin().is_terminal()
}

/// Asks a question that is answered with yes or no; no answer is no.
pub(super) fn ask_yes(question: &str) -> bool {
    above_bar(|| {
        let mut asked = stderr();
        let _ = write!(asked, "{} [y/N] ", plain(question));
        let _ = asked.flush();
        let mut answer = String::new();
        stdin().lock().read_line(&mut answer).is_ok()
            && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    })
}
