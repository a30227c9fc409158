//! Rust files with comments and strings taken out and test code marked, so that a word found in one is code.
//!
//! Knows only as much of Rust as that takes. Not here: what words mean (`rules`).

use crate::files::{files, read};
use crate::rules::{Applies, has_word};
use std::collections::BTreeSet;

/// One Rust file, with everything but code taken out.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with blanks for comments and strings; lines stay where they are.
    bare: String,
    /// Marks bytes of `bare` that are only compiled for tests.
    test_bytes: Vec<bool>,
    /// The whole file is a test.
    pub(crate) is_test: bool,
    /// A `mod tests;` of another file, which has the header for both.
    pub(crate) is_test_module: bool,
}

impl Source {
    pub(crate) fn new(path: String, text: String, test_modules: &BTreeSet<String>) -> Self {
        let bare = without_words(&text);
        let mut test_bytes = vec![false; bare.len()];
        for (at, end) in test_attributes(&bare) {
            let rest = &bare[end..];
            let Some(open) = rest.find(['{', ';']) else { continue };
            let len = if rest[open..].starts_with('{') { open + block_len(&rest[open..]) } else { open };
            test_bytes[at..end + len].fill(true);
        }
        let is_test_module = test_modules.contains(&path);
        let in_folder =
            |folder: &str| path.starts_with(&format!("{folder}/")) || path.contains(&format!("/{folder}/"));
        let is_test = is_test_module || ["tests", "bench", "fuzz"].into_iter().any(in_folder);
        Self { path, text, bare, test_bytes, is_test, is_test_module }
    }

    /// The code that a rule looks at; the rest is blank.
    pub(crate) fn code(&self, applies: Applies) -> String {
        let wanted = |is_test: bool| match applies {
            Applies::Shipped => !(is_test || self.is_test),
            Applies::Tests => is_test || self.is_test,
            Applies::Everywhere => true,
        };
        let bytes = self.bare.bytes().zip(&self.test_bytes);
        let kept = bytes.map(|(byte, is_test)| if byte == b'\n' || wanted(*is_test) { byte } else { b' ' });
        String::from_utf8_lossy(&kept.collect::<Vec<u8>>()).into_owned()
    }
}

/// Beginning and end of each attribute that keeps what follows for tests.
fn test_attributes(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    text.match_indices("#[cfg(").filter_map(|(at, _)| {
        let end = at + text[at..].find(']')? + 1;
        let condition = &text[at..end];
        (has_word(condition, "test") && !condition.contains("not(test")).then_some((at, end))
    })
}

/// Length of the block in braces at the start of `text`.
fn block_len(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Blanks out comments, strings and characters. Knows as much of Rust as that takes.
fn without_words(text: &str) -> String {
    let mut bare = text.as_bytes().to_vec();
    let mut at = 0;
    while at < bare.len() {
        let rest = &text.as_bytes()[at..];
        let len = match rest {
            [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => comment_len(rest),
            [b'"', ..] => 1 + quoted_len(&rest[1..], b'"'),
            [b'r', b'"' | b'#', ..] if !is_in_name(text, at) => raw_len(rest),
            // A character, not a lifetime: those have no quote behind their first letter.
            [b'\'', b'\\', ..] => 1 + quoted_len(&rest[1..], b'\''),
            [b'\'', tail @ ..] if char_len(tail) > 0 => 1 + char_len(tail),
            _ => 0,
        };
        bare[at..at + len].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at += len.max(1);
    }
    String::from_utf8_lossy(&bare).into_owned()
}

/// Whether the letter at `at` goes on a name: `for"` is no raw string, `br"` is.
fn is_in_name(text: &str, at: usize) -> bool {
    let before = at.checked_sub(1).map(|at| text.as_bytes()[at]);
    before.is_some_and(|byte| byte != b'b' && (byte.is_ascii_alphanumeric() || byte == b'_'))
}

fn comment_len(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at + 1 < text.len() {
        match &text[at..at + 2] {
            b"/*" => (at, depth) = (at + 2, depth + 1),
            b"*/" if depth == 1 => return at + 2,
            b"*/" => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    text.len()
}

fn quoted_len(text: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < text.len() && text[at] != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn raw_len(text: &[u8]) -> usize {
    let hashes = text[1..].iter().take_while(|byte| **byte == b'#').count();
    if text.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let end = [&b"\""[..], &text[1..1 + hashes]].concat();
    let body = 2 + hashes;
    let found = text[body..].windows(end.len()).position(|window| window == end);
    found.map_or(text.len(), |at| body + at + end.len())
}

/// Length of one character and its closing quote; nothing for a lifetime.
fn char_len(text: &[u8]) -> usize {
    (1..=4)
        .find(|len| {
            text.get(*len) == Some(&b'\'')
                && std::str::from_utf8(&text[..*len]).is_ok_and(|c| c.chars().count() == 1)
        })
        .map_or(0, |len| len + 1)
}

pub(crate) fn sources() -> Vec<Source> {
    let rust: Vec<_> = texts_of_rust();
    let mut test_modules = BTreeSet::new();
    for (path, text) in &rust {
        let beside = match path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
            _ => path.trim_end_matches(".rs").to_owned(),
        };
        for (_, end) in test_attributes(text) {
            let name =
                text[end..].trim_start().strip_prefix("mod ").and_then(|rest| rest.split([';', ' ']).next());
            test_modules.extend(name.map(|name| format!("{beside}/{name}.rs")));
        }
    }
    rust.into_iter().map(|(path, text)| Source::new(path, text, &test_modules)).collect()
}

fn texts_of_rust() -> Vec<(String, String)> {
    files().into_iter().filter(|path| path.ends_with(".rs")).map(|path| (path.clone(), read(&path))).collect()
}
