//! The records of a block of names: names in groups, one group for each run of names in one folder.
//!
//! A record is a byte that says what it is, a text, and a NUL. `FOLDER` begins a group and has the path of the folder; all
//! others have a name in that folder. `FOLDED` follows a record whose text reads otherwise in `folded` form than with ASCII
//! letters made small. So a search looks through a whole block at once, and folds nothing. No name has `/` or NUL, thus no
//! text is taken for the beginning of a group.

use super::{NameChange, PATH_BYTES_MAX, WHAT};
use crate::FormatError;
use memchr::{memchr, memmem, memrchr};
use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

const FOLDER: u8 = b'/';
const FOLDED: u8 = b'~';
const GROUP: &[u8] = b"\0/";
/// Folded, a text has no more than this for each byte; the small letters of some are longer, and bytes that are no text
/// become U+FFFD.
const FOLDED_BYTES_MAX: usize = 4;
/// Bytes of the four records that a change adds at most.
pub(super) const CHANGE_BYTES_MAX: usize = (1 + FOLDED_BYTES_MAX) * PATH_BYTES_MAX + 4 * 2;

/// What a record says of a name: the byte, whether the path came, whether it is a folder's.
const KINDS: [(u8, bool, bool); 4] =
    [(b'+', true, false), (b'-', false, false), (b'>', true, true), (b'<', false, true)];

/// The form in which names are compared: composed as by NFC, in small letters. A Mac writes "é" as two characters, other
/// systems as one, and nobody remembers the case. Bytes that are no text become U+FFFD.
pub fn folded(text: &[u8]) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return if text.iter().any(u8::is_ascii_uppercase) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    let text = String::from_utf8_lossy(text);
    // Letter by letter, since the small letter of a Greek word's end depends on what follows the word.
    let small = |letters: &mut dyn Iterator<Item = char>| -> String {
        letters.flat_map(char::to_lowercase).map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
    };
    let small = match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => small(&mut text.chars()),
        _ => small(&mut text.nfc()),
    };
    // Some small letters are two characters.
    Cow::Owned(match is_nfc_quick(small.chars()) {
        IsNormalized::Yes => small.into_bytes(),
        _ => small.nfc().collect::<String>().into_bytes(),
    })
}

/// Adds the records of a change; `folder` is the folder of the newest record.
pub(super) fn push(plain: &mut Vec<u8>, folder: &mut Vec<u8>, change: &NameChange<'_>) {
    let path = change.path;
    if path.len() > PATH_BYTES_MAX || path.contains(&0) {
        return;
    }
    let (above, name) = memrchr(b'/', path).map_or((&path[..0], path), |at| (&path[..at], &path[at + 1..]));
    if plain.is_empty() || folder != above {
        add(plain, FOLDER, above);
        folder.clear();
        folder.extend_from_slice(above);
    }
    let kind =
        KINDS.iter().find(|(_, came, is_folder)| (*came, *is_folder) == (change.came, change.is_folder));
    add(plain, kind.map_or(b'+', |kind| kind.0), name);
}

fn add(plain: &mut Vec<u8>, kind: u8, text: &[u8]) {
    let mut record = |kind, text: &[u8]| {
        plain.push(kind);
        plain.extend_from_slice(text);
        plain.push(0);
    };
    record(kind, text);
    if !text.is_ascii() {
        let folded = folded(text);
        if *folded != *text.to_ascii_lowercase() {
            record(FOLDED, &folded);
        }
    }
}

/// The records of one block.
#[derive(Debug, Clone, Copy)]
pub struct NamesBlock<'a> {
    plain: &'a [u8],
    /// The same with ASCII letters made small: every folded text is in it.
    pub lower: &'a [u8],
}

impl<'a> NamesBlock<'a> {
    pub(super) fn new(plain: &'a [u8], lower: &'a [u8]) -> Result<Self, FormatError> {
        if !plain.is_empty() && (plain[0] != FOLDER || !plain.ends_with(&[0])) {
            return Err(FormatError::Invalid { what: WHAT, why: "it does not begin with a folder" });
        }
        Ok(Self { plain, lower })
    }

    /// The groups, in order.
    ///
    /// # Errors
    /// `Invalid` or `Short` where a record breaks a rule.
    pub fn groups(&self) -> impl Iterator<Item = Result<NamesGroup<'a>, FormatError>> + use<'a> {
        let (plain, lower) = (self.plain, self.lower);
        let ends = memmem::find_iter(plain, GROUP).map(|at| at + 1).chain([plain.len()]);
        let mut begin = 0;
        ends.filter(|end| *end > 0).map(move |end| {
            let group = NamesGroup::read(&plain[begin..end], &lower[begin..end]);
            begin = end;
            group
        })
    }
}

/// Names of one folder.
#[derive(Debug, Clone, Copy)]
pub struct NamesGroup<'a> {
    /// Path of the folder; empty for the uppermost.
    pub folder: &'a [u8],
    /// The path in folded form.
    pub folded_folder: &'a [u8],
    /// All of the group's records with ASCII letters made small: the folded form of the folder and of each name is in it.
    pub lower: &'a [u8],
    names: NameRecords<'a>,
}

impl<'a> NamesGroup<'a> {
    fn read(plain: &'a [u8], lower: &'a [u8]) -> Result<Self, FormatError> {
        let mut names = NameRecords { plain, lower };
        let (_, folder, folded_folder) = names.record()?;
        Ok(Self { folder, folded_folder, lower, names })
    }

    /// What changed about each name, in order.
    ///
    /// # Errors
    /// `Invalid` or `Short` where a record breaks a rule.
    pub fn records(&self) -> NameRecords<'a> {
        self.names
    }

    /// Writes the path of a name of the folder.
    pub fn path_of(&self, name: &[u8], path: &mut Vec<u8>) {
        path.clear();
        path.extend_from_slice(self.folder);
        if !self.folder.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
    }
}

/// What a snapshot changed about one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameRecord<'a> {
    /// Bytes of the name.
    pub name: &'a [u8],
    /// The name in folded form, always UTF-8.
    pub folded: &'a [u8],
    /// As in `NameChange`.
    pub came: bool,
    /// As in `NameChange`.
    pub is_folder: bool,
}

/// The names of a group, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct NameRecords<'a> {
    plain: &'a [u8],
    lower: &'a [u8],
}

impl<'a> NameRecords<'a> {
    /// The next record with its folded form.
    fn record(&mut self) -> Result<(u8, &'a [u8], &'a [u8]), FormatError> {
        let (kind, text, lower) = self.plain_record()?;
        if self.plain.first() == Some(&FOLDED) {
            let (_, folded, _) = self.plain_record()?;
            return Ok((kind, text, folded));
        }
        Ok((kind, text, lower))
    }

    fn plain_record(&mut self) -> Result<(u8, &'a [u8], &'a [u8]), FormatError> {
        let short = FormatError::Short { what: WHAT };
        let Some(end) = memchr(0, self.plain).filter(|end| *end > 0) else { return Err(short) };
        let (record, lower) = (&self.plain[..end], &self.lower[..end]);
        (self.plain, self.lower) = (&self.plain[end + 1..], &self.lower[end + 1..]);
        Ok((record[0], &record[1..], &lower[1..]))
    }
}

impl<'a> Iterator for NameRecords<'a> {
    type Item = Result<NameRecord<'a>, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.plain.is_empty() {
            return None;
        }
        let record = self.record().and_then(|(kind, name, folded)| {
            let invalid = FormatError::Invalid { what: WHAT, why: "nobody knows what a record says" };
            let (_, came, is_folder) = *KINDS.iter().find(|known| known.0 == kind).ok_or(invalid)?;
            Ok(NameRecord { name, folded, came, is_folder })
        });
        if record.is_err() {
            self.plain = &[];
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_take_for_the_same_are_folded_alike() {
        let same = |a: &str, b: &str| assert_eq!(folded(a.as_bytes()), folded(b.as_bytes()), "{a} {b}");
        same("My CAT.jpg", "my cat.JPG");
        same("Cafe\u{301}", "CAFÉ");
        same("ÄRGER", "a\u{308}rger");
        same("ΟΔΟΣ", "οδός".replace('ό', "ο").as_str());
        same("İ", "i\u{307}");
        assert_ne!(folded("café".as_bytes()), folded(b"cafe"));
        assert_eq!(&*folded(b"a\xff"), "a\u{fffd}".as_bytes());
    }
}
