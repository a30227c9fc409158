//! How much of a snapshot is wanted, before anything is made.
//!
//! With patterns the snapshot itself no longer tells how much comes back, nor which folders stay empty. So the tree is
//! read once before the restore; no chunk of a file is fetched for that. Not here: the rules (`choice`).

use super::{
    choice::{Choice, EntryFate, PathSet},
    visit::{SnapshotVisitor, visit},
};
use crate::{ClientError, past::tree_reader::TreeReader};
use larder_format::tree::{Kind, read::Found};
use std::rc::Rc;

/// The wanted part of a snapshot.
#[derive(Default)]
pub(crate) struct WantedPart {
    /// Wanted files, folders and other entries.
    pub(crate) entries: u64,
    /// Bytes of the wanted files.
    pub(crate) bytes: u64,
    /// Damaged lists of names: some wanted names cannot be told.
    pub(crate) damaged: u64,
    /// Folders that lead to something wanted.
    pub(crate) passages: PathSet,
}

impl WantedPart {
    /// Looks through everything at and below `top`.
    ///
    /// # Errors
    /// Errors of the appliance; damaged folders count as empty.
    pub(crate) fn of(reader: &TreeReader<'_>, top: &Found, choice: &Choice) -> Result<Self, ClientError> {
        let mut surveyor = Surveyor { choice, survey: Self::default() };
        visit(reader, Rc::from(&b""[..]), top, &mut surveyor)?;
        Ok(surveyor.survey)
    }

    /// Notes every folder above `path` as leading to something.
    fn lead_to(&mut self, path: &[u8]) {
        let mut rest = path;
        while let Some(slash) = rest.iter().rposition(|byte| *byte == b'/') {
            rest = &rest[..slash];
            if !self.passages.insert(rest) {
                return;
            }
        }
    }
}

struct Surveyor<'a> {
    choice: &'a Choice,
    survey: WantedPart,
}

/// A path of `name` in the folder `above`.
pub(crate) fn joined(above: &[u8], name: &[u8]) -> Vec<u8> {
    if above.is_empty() { name.to_owned() } else { [above, name].join(&b'/') }
}

impl SnapshotVisitor for Surveyor<'_> {
    /// The path below the target.
    type Place = Rc<[u8]>;

    fn folder(&mut self, above: &Rc<[u8]>, found: &Found) -> Option<Rc<[u8]>> {
        let path = joined(above, &found.entry.name);
        match self.choice.fate(true, || path.clone()) {
            EntryFate::LeftOut => return None,
            EntryFate::Passage => {}
            EntryFate::Wanted => {
                self.survey.entries += 1;
                self.survey.lead_to(&path);
            }
        }
        Some(path.into())
    }

    fn other(&mut self, place: &Rc<[u8]>, found: &Found) {
        let path = joined(place, &found.entry.name);
        if self.choice.fate(false, || path.clone()) != EntryFate::Wanted {
            return;
        }
        self.survey.entries += 1;
        self.survey.lead_to(&path);
        if let Kind::File { size, .. } = found.entry.kind {
            self.survey.bytes = self.survey.bytes.saturating_add(size);
        }
    }

    /// The restore goes there, and names the damage.
    fn unreadable(&mut self, place: &Rc<[u8]>) {
        self.survey.damaged += 1;
        self.survey.lead_to(&joined(place, b"unreadable"));
    }

    fn leave(&mut self, _: Rc<[u8]>) {}
}
