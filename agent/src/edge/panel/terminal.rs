//! A lamp made of words, for trying Larder on a computer without a lamp.
//!
//! The terminal gets each change once, as a whole line with its end, and the cursor never moves: other output stays
//! whole and a recording of the terminal stays readable. Signs differ by shape, so no colour is needed.

use std::io::{self, IsTerminal, Write};

use larder_panel::Rhythm;

use super::any_lamp::AnyLamp;

/// No sign changes by itself here.
const REST_MS: u64 = 60_000;

/// Writes one line for each new rhythm.
pub(super) struct Terminal<W = io::Stderr> {
    out: W,
    rhythm: Rhythm,
    said: Rhythm,
}

impl Terminal {
    /// On standard error, if standard error is a terminal and not a file or a log.
    pub(super) fn on_stderr() -> Option<Terminal> {
        io::stderr().is_terminal().then(|| Terminal::on(io::stderr()))
    }
}

impl<W: Write + Send> Terminal<W> {
    fn on(out: W) -> Terminal<W> {
        Terminal { out, rhythm: Rhythm::Off, said: Rhythm::Off }
    }

    fn say(&mut self) -> io::Result<()> {
        if self.rhythm == self.said {
            return Ok(());
        }
        self.said = self.rhythm;
        // One write, so that no output of another thread can come between.
        self.out.write_all(format!("{} {}\n", sign(self.rhythm), self.rhythm.meaning()).as_bytes())
    }
}

impl<W: Write + Send> AnyLamp for Terminal<W> {
    fn show(&mut self, rhythm: Rhythm, _now_ms: u64) {
        self.rhythm = rhythm;
    }

    fn tick(&mut self, now_ms: u64) -> Result<u64, String> {
        self.say().map_err(|e| e.to_string())?;
        Ok(now_ms.saturating_add(REST_MS))
    }

    fn put_out(&mut self) -> Result<(), String> {
        self.rhythm = Rhythm::Off;
        self.say().map_err(|e| e.to_string())
    }
}

fn sign(rhythm: Rhythm) -> char {
    match rhythm {
        Rhythm::Alarm => '▲',
        Rhythm::NeedsYou(_) => '◆',
        Rhythm::Pairing => '◎',
        Rhythm::CodeStart => '◍',
        Rhythm::CodeDigit(_) => '◒',
        Rhythm::Heard => '◈',
        Rhythm::Identify => '◉',
        Rhythm::MayUnplug => '◇',
        Rhythm::Busy => '◐',
        Rhythm::Starting => '◌',
        Rhythm::Quiet => '◦',
        Rhythm::Ready => '●',
        Rhythm::Off => '○',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_one_whole_line_and_nothing_is_said_twice() {
        let mut terminal = Terminal::on(Vec::new());
        for (now_ms, rhythm) in
            [Rhythm::Starting, Rhythm::Ready, Rhythm::Ready, Rhythm::Busy].into_iter().enumerate()
        {
            terminal.show(rhythm, now_ms as u64);
            assert_eq!(terminal.tick(now_ms as u64), Ok(now_ms as u64 + REST_MS));
        }
        terminal.put_out().unwrap();
        let said = String::from_utf8(terminal.out).unwrap();
        assert_eq!(
            said,
            "◌ starting\n● you could restore right now\n◐ working on your files\n○ not running\n"
        );
        assert!(!said.contains('\u{1b}'));
    }

    #[test]
    fn signs_are_told_apart_by_shape() {
        let mut signs: Vec<char> = Rhythm::ALL.into_iter().map(sign).collect();
        signs.dedup();
        assert_eq!(signs.len(), 13);
    }
}
