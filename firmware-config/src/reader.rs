//! Reads a TOML text section by section and collects every mistake instead of stopping at the first.
//!
//! Each key is taken out of the file when read; keys left at the end are unknown. An unknown key is compared with the
//! keys asked for, so no second list of keys can fall behind.
//!
//! Not here: lines outside TOML (`syntax`), the meaning of a value (`values`), the list of keys (`settings`, `board`).

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::mistake::Mistake;
use crate::syntax::{Readable, line_at, shorten};
use crate::values::nearest;

/// A file being read.
pub(crate) struct Reader<'t> {
    text: &'t str,
    root: DeTable<'t>,
    known: Vec<(&'static str, &'static str)>,
    /// Line of each written key.
    written: Vec<(&'static str, &'static str, usize)>,
    mistakes: Vec<Mistake>,
}

impl<'t> Reader<'t> {
    /// Parses the readable part of a text.
    pub(crate) fn new(readable: &'t Readable) -> Reader<'t> {
        Reader {
            text: &readable.text,
            root: DeTable::parse_recoverable(&readable.text).0.into_inner(),
            known: Vec::new(),
            written: Vec::new(),
            mistakes: readable.mistakes.clone(),
        }
    }

    /// The value of a key, or `default` for an unwritten or invalid value.
    pub(crate) fn read<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) -> T {
        self.read_if_written(section, key, parse).unwrap_or(default)
    }

    /// The value of a key, if written and valid.
    pub(crate) fn read_if_written<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push((section, key));
        let DeValue::Table(table) = self.root.get_mut(section)?.get_mut() else { return None };
        let (name, value) = table.remove_entry(key)?;
        let line = line_at(self.text, name.span().start);
        self.written.push((section, key, line));
        match parse(value.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(instead) => {
                let found = self.shown(&value);
                self.blame(line, &format!("{section}.{key}"), found, instead);
                None
            }
        }
    }

    /// The value of a required key.
    pub(crate) fn require<T: Default>(
        &mut self,
        section: &'static str,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) -> T {
        let value = self.read_if_written(section, key, parse);
        if !self.is_written(section, key) {
            self.blame(
                1,
                &format!("{section}.{key}"),
                "nothing".to_owned(),
                format!("write {key} below [{section}]"),
            );
        }
        value.unwrap_or_default()
    }

    /// A key never to be written, because its value would be a secret. The value is not shown.
    pub(crate) fn forbid(&mut self, section: &'static str, key: &'static str, found: &str, instead: &str) {
        let Some(DeValue::Table(table)) = self.root.get_mut(section).map(Spanned::get_mut) else { return };
        let Some((name, _)) = table.remove_entry(key) else { return };
        let line = line_at(self.text, name.span().start);
        self.blame(line, &format!("{section}.{key}"), found.to_owned(), instead.to_owned());
    }

    /// Every key asked for so far.
    #[cfg(test)]
    pub(crate) fn known(&self) -> &[(&'static str, &'static str)] {
        &self.known
    }

    /// Whether a key is written, rightly or wrongly.
    pub(crate) fn is_written(&self, section: &str, key: &str) -> bool {
        self.line_of(section, key).is_some()
    }

    /// Reports contradicting settings. The mistake stands at the first written key of `keys`; without a written key the
    /// values are defaults and not a mistake.
    pub(crate) fn contradiction(&mut self, keys: &[(&str, &str)], found: String, instead: String) {
        let at = keys.iter().find_map(|(section, key)| Some((section, key, self.line_of(section, key)?)));
        if let Some((section, key, line)) = at {
            self.blame(line, &format!("{section}.{key}"), found, instead);
        }
    }

    /// Reports every key not asked for, and returns every mistake in the order of the file.
    pub(crate) fn finish(&mut self) -> Vec<Mistake> {
        for (section, value) in std::mem::take(&mut self.root) {
            let line = line_at(self.text, section.span().start);
            let known = self.known.iter().any(|(known, _)| *known == section.get_ref());
            match value.into_inner() {
                DeValue::Table(table) if known => self.blame_leftovers(section.get_ref(), table),
                DeValue::Table(_) => self.blame_section(section.get_ref(), line),
                _ if known => {
                    let instead =
                        format!("write [{}] on a line of its own, and its keys below", section.get_ref());
                    self.blame(line, section.get_ref(), "a value instead of a section".to_owned(), instead);
                }
                _ => {
                    let instead = match self.home_of(section.get_ref()) {
                        Some((home, key)) => format!("write {key} below [{home}]"),
                        None => "remove it, or write it below its [section]".to_owned(),
                    };
                    self.blame(line, section.get_ref(), "a key outside of any section".to_owned(), instead);
                }
            }
        }
        // One wrong line often has followers without news.
        self.mistakes.sort();
        self.mistakes.dedup_by(|a, b| a.line == b.line && a.key == b.key);
        std::mem::take(&mut self.mistakes)
    }

    fn blame_leftovers(&mut self, section: &str, table: DeTable<'_>) {
        for (key, _) in table {
            let line = line_at(self.text, key.span().start);
            let here = self.known.iter().filter(|(home, _)| *home == section).map(|(_, key)| *key);
            let instead = match (nearest(key.get_ref(), here), self.home_of(key.get_ref())) {
                (_, Some((home, word))) if word == key.get_ref() => format!("write it below [{home}]"),
                (Some(near), _) => format!("write {near}"),
                (None, Some((home, word))) => format!("write {word} below [{home}]"),
                (None, None) => "remove it".to_owned(),
            };
            let name = format!("{section}.{}", shorten(key.get_ref()));
            self.blame(line, &name, "a setting that does not exist".to_owned(), instead);
        }
    }

    fn blame_section(&mut self, section: &str, line: usize) {
        let mut sections: Vec<&str> = self.known.iter().map(|(section, _)| *section).collect();
        sections.dedup();
        let instead = match nearest(section, sections.iter().copied()) {
            Some(near) => format!("write [{near}]"),
            None => format!("use one of [{}]", sections.join("], [")),
        };
        self.blame(line, &shorten(section), "a section that does not exist".to_owned(), instead);
    }

    /// The section with a key like this: the same name, else the nearest.
    fn home_of(&self, key: &str) -> Option<(&'static str, &'static str)> {
        let near = nearest(key, self.known.iter().map(|(_, known)| *known))?;
        self.known.iter().find(|(_, known)| *known == near).copied()
    }

    /// Adds a mistake, unless the line is known to be unreadable: a value recovered from there is a guess.
    fn blame(&mut self, line: usize, key: &str, found: String, instead: String) {
        if !self.mistakes.iter().any(|mistake| mistake.line == line && mistake.key == "file") {
            self.mistakes.push(Mistake { line, key: key.to_owned(), found, instead });
        }
    }

    /// The line where a key is written, rightly or wrongly.
    pub(crate) fn line_of(&self, section: &str, key: &str) -> Option<usize> {
        self.written.iter().find(|(s, k, _)| *s == section && *k == key).map(|(_, _, line)| *line)
    }

    fn shown(&self, value: &Spanned<DeValue<'_>>) -> String {
        let written = self.text.get(value.span()).unwrap_or("a value");
        // `mqtts://USER:PASSWORD@HOST`: other programs take a password there, and a mistake must not repeat it.
        if written.contains("://") && written.contains('@') {
            return "an address with a user in it".to_owned();
        }
        shorten(written)
    }
}
