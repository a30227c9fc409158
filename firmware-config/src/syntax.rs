//! Lines outside TOML: names each line once and removes the line, so the rest can still be read.
//!
//! One forgotten bracket makes a TOML reader stumble over everything below, and the owner would see twenty mistakes
//! instead of one. So the first line is blamed and blanked, and the text is read again.
//!
//! Not here: the meaning of the readable rest (`reader`).

use toml::de::{DeTable, Error};

use crate::mistake::Mistake;

/// Beyond any handwritten file; a larger text is not a settings file.
const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Each round removes at least one line; a text with more unclosed lists and texts is no settings file.
const ROUNDS_MAX: usize = 20;
/// Longest part of a value shown; enough to recognise the value.
const SHOWN_CHARS_MAX: usize = 60;

/// A text without its unreadable lines. Every remaining byte keeps its position.
pub(crate) struct Readable {
    /// The text, with blanks for unreadable parts.
    pub(crate) text: String,
    /// Mistakes removed, and mistakes left in the text.
    pub(crate) mistakes: Vec<Mistake>,
}

impl Readable {
    /// Checks a text.
    pub(crate) fn new(text: &str) -> Readable {
        let mut readable = Readable { text: text.to_owned(), mistakes: Vec::new() };
        if text.len() > TEXT_BYTES_MAX {
            let found = format!("a text of {} KiB", text.len() / 1024);
            readable.blame(1, found, "give a settings file; is this the right one?".to_owned());
            readable.text.clear();
        }
        for _ in 0..ROUNDS_MAX {
            let errors = DeTable::parse_recoverable(&readable.text).1;
            if !readable.take_out(&errors) {
                for error in &errors {
                    readable.blame_error(error);
                }
                return readable;
            }
        }
        readable.text.clear();
        readable
    }

    /// Removes the first mistake able to make the rest unreadable. False: the text has no such mistake.
    fn take_out(&mut self, errors: &[Error]) -> bool {
        let says = |words: &'static str| move |error: &&Error| error.message().contains(words);
        if errors.iter().any(|error| says("unclosed array")(&error)) {
            let first = errors.iter().find(|error| error.message().contains("array")).unwrap_or(&errors[0]);
            return self.take_out_open(first, &["[", "= ["], "close the list: write ] at its end");
        }
        if let Some(error) = errors.iter().find(says("multi-line")) {
            let end = if error.message().contains("literal") { "'''" } else { "\"\"\"" };
            return self.take_out_open(error, &[end], &format!("close the text: write {end} at its end"));
        }
        let lone: Vec<&Error> = errors.iter().filter(says("key with no value")).collect();
        for error in &lone {
            self.blame_error(error);
            let line = self.line_of(error);
            self.blank(line, line);
        }
        !lone.is_empty()
    }

    /// Blames the opening line, and removes the text swallowed up to the next key or section.
    fn take_out_open(&mut self, error: &Error, openings: &[&str], instead: &str) -> bool {
        let lines: Vec<&str> = self.text.lines().collect();
        let last = self.line_of(error).min(lines.len());
        let opens = |line: &str| {
            let value = line.split_once('=').map(|(_, value)| value.trim());
            value.is_some_and(|value| openings.iter().any(|opening| value.starts_with(opening)))
        };
        let first = (1..=last).rev().find(|line| opens(lines[line - 1])).unwrap_or(last.max(1));
        let next = lines.iter().skip(first).position(|line| is_key_or_section(line));
        let end = next.map_or(lines.len(), |ahead| first + ahead);
        let written = lines.get(first - 1).map_or("", |line| line.trim()).to_owned();
        self.blame(first, quoted(&written), instead.to_owned());
        self.blank(first, end.max(first));
        true
    }

    fn blame_error(&mut self, error: &Error) {
        let line = self.line_of(error);
        let written = self.text.lines().nth(line - 1).unwrap_or_default().trim().to_owned();
        let instead = match written.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            _ if error.message().contains("duplicate") => "write each key and each section once".to_owned(),
            Some((key, value)) if !is_secret(&written) && lacks_quotes(value) => match truth_in(value) {
                Some(truth) => format!("write {key} = {truth}, without quotes"),
                None => format!("put quotes around it: {key} = \"{value}\""),
            },
            _ => format!("write KEY = VALUE or [SECTION] ({})", error.message()),
        };
        self.blame(line, quoted(&written), instead);
    }

    fn blame(&mut self, line: usize, found: String, instead: String) {
        // One wrong line often has followers without news.
        if !self.mistakes.iter().any(|mistake| mistake.line == line) {
            self.mistakes.push(Mistake { line, key: "file".to_owned(), found, instead });
        }
    }

    fn line_of(&self, error: &Error) -> usize {
        line_at(&self.text, error.span().map_or(0, |span| span.start))
    }

    fn blank(&mut self, first: usize, last: usize) {
        let blanked = self.text.split('\n').enumerate().map(|(i, line)| {
            if (first..=last).contains(&(i + 1)) { " ".repeat(line.len()) } else { line.to_owned() }
        });
        self.text = blanked.collect::<Vec<_>>().join("\n");
    }
}

/// Line of a byte, from 1.
pub(crate) fn line_at(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().get(..byte).unwrap_or(text.as_bytes());
    before.iter().filter(|b| **b == b'\n').count() + 1
}

/// Fit to be shown on one line.
pub(crate) fn shorten(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.chars().map(plain).take(SHOWN_CHARS_MAX + 1).collect();
    if line.chars().count() <= SHOWN_CHARS_MAX {
        return line;
    }
    format!("{}...", line.chars().take(SHOWN_CHARS_MAX).collect::<String>())
}

/// The line, unless perhaps a secret: then only the place is told.
fn quoted(line: &str) -> String {
    if is_secret(line) { "a line that cannot be read".to_owned() } else { format!("`{}`", shorten(line)) }
}

fn is_secret(line: &str) -> bool {
    line.contains("password") || line.contains("secret")
}

fn is_key_or_section(line: &str) -> bool {
    let line = line.trim();
    let is_key =
        |key: &str| !key.trim().is_empty() && key.trim().chars().all(|c| c.is_ascii_lowercase() || c == '_');
    line.split_once('=').is_some_and(|(key, _)| is_key(key))
        || line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(is_key)
}

/// `true` or `false` for a word of other programs' settings with that meaning. In quotes the word would be refused again.
pub(crate) fn truth_in(word: &str) -> Option<bool> {
    match word.trim_matches('"').to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Whether the value looks like text without its quotes.
fn lacks_quotes(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '/' | '-' | '_' | ' ');
    !value.is_empty() && value.chars().all(plain)
}
