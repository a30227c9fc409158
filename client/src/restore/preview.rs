//! What a restore would do, without doing it.
//!
//! The same questions as a restore, over the same open folders; nothing is made, not even the target. Not here: the
//! restore itself (`plan`).

use super::{
    Chosen,
    already::{PlannedEntry, is_back},
    choice::{Choice, EntryFate},
    options::{Existing, RestoreOptions, SpecialEntries},
    replacing::TargetSpot,
    site::Site,
    survey::joined,
    visit::{SnapshotVisitor, visit},
};
use crate::{
    ClientError, Past, SkippedList, Tally, TransferProgress,
    handle::{Budget, Handle},
    past::{selection::Selection, tree_reader::TreeReader},
    platform::{Attributes, FileKind, OpenFolder},
};
use larder_format::{
    tree::{Kind, read::Found},
    wire::escape_name,
};
use std::{path::Path, rc::Rc, sync::Arc};

/// What a restore would do.
#[derive(Debug, Default)]
pub struct RestorePreview {
    /// New files and folders.
    pub made: Tally,
    /// Files that would be replaced, and files that folders would replace.
    pub replaced: Tally,
    /// Files that are there already and equal.
    pub left: Tally,
    /// Files and folders that would not come back, since something else has the name.
    pub in_the_way: Tally,
    /// What would come back different or not at all.
    pub skipped: SkippedList,
    /// Lists of names that are damaged on the appliance.
    pub damaged: u64,
}

impl RestorePreview {
    /// Bytes of everything that was asked for and is not kept back by what is there.
    pub fn bytes_to_come(&self) -> u64 {
        [&self.made, &self.replaced, &self.left]
            .iter()
            .fold(0, |sum, tally| u64::saturating_add(sum, tally.bytes))
    }
}

/// Tells what `restore` would do, and on the way how many files it has looked at.
///
/// # Errors
/// As `restore`, without those of writing.
pub fn preview(
    past: &dyn Past,
    wanted: &Selection<'_>,
    to: &Path,
    options: &RestoreOptions,
    progress: &TransferProgress,
) -> Result<RestorePreview, ClientError> {
    let reader = TreeReader::new(past, progress);
    let Chosen { found, choice, .. } = Chosen::of(past, &reader, wanted, options)?;
    if to.exists() && !to.is_dir() {
        return Err(ClientError::no_folder(to));
    }
    // Nobody is asked anything before it is done.
    let special = match options.special {
        SpecialEntries::Ask(_) => SpecialEntries::LeaveOut,
        other => other,
    };
    let options = RestoreOptions { special, ..options.clone() };
    let site = Site::new(&options, progress, to).only_looking();
    let handle = if to.exists() {
        let opened = OpenFolder::open(to).and_then(|folder| Handle::root(folder, Budget::of_this_process()));
        Some(opened.map_err(|error| ClientError::local("looking into the target folder", to, error))?)
    } else {
        None
    };
    let place = Rc::new(SeenFolder { handle, path: Vec::new(), is_blocked: false });
    let existing = options.existing;
    let mut previewer = Previewer {
        site: &site,
        reader: &reader,
        choice: &choice,
        existing,
        seen: RestorePreview::default(),
    };
    visit(&reader, place, &found, &mut previewer)?;
    let seen = previewer.seen;
    let skipped = site.finish()?.skipped;
    Ok(RestorePreview { skipped, ..seen })
}

struct Previewer<'a> {
    site: &'a Site<'a>,
    reader: &'a TreeReader<'a>,
    choice: &'a Choice,
    existing: Existing,
    seen: RestorePreview,
}

struct SeenFolder {
    /// Nothing where the folder would be new.
    handle: Option<Arc<Handle>>,
    path: Vec<u8>,
    /// Something else has the name, and stays.
    is_blocked: bool,
}

impl Previewer<'_> {
    fn permitted(&self, found: &Found, path: &[u8]) -> Option<Attributes> {
        let attributes = Attributes::of(&found.entry, found.owner.clone());
        self.site.permitted(&found.entry.kind, attributes, || escape_name(path))
    }

    /// The folder `name` in the target.
    fn folder_in(&mut self, above: &SeenFolder, name: &[u8], path: Vec<u8>) -> SeenFolder {
        let told = || escape_name(&path);
        let opened = above.handle.as_ref().and_then(|handle| Some((handle, handle.open().ok()?)));
        let standing = opened.as_ref().and_then(|(_, folder)| folder.as_ref().status_at(name).ok());
        let (mut handle, mut is_blocked) = (None, above.is_blocked);
        match (opened, standing) {
            _ if is_blocked => self.seen.in_the_way.add_folder(told),
            (Some((parent, folder)), Some(status)) if status.kind == FileKind::Folder => {
                let below = folder.as_ref().open_folder(name);
                handle = below.ok().map(|below| Handle::child(parent, name, below, status.identity()).0);
                // A folder that cannot be entered takes nothing.
                is_blocked = handle.is_none();
            }
            (_, Some(_)) if self.existing == Existing::Keep => {
                is_blocked = true;
                self.seen.in_the_way.add_folder(told);
            }
            (_, Some(status)) => {
                self.seen.replaced.add_file(status.size, told);
                self.seen.made.add_folder(|| escape_name(&path));
            }
            _ => self.seen.made.add_folder(told),
        }
        SeenFolder { handle, path, is_blocked }
    }
}

impl SnapshotVisitor for Previewer<'_> {
    type Place = Rc<SeenFolder>;

    fn folder(&mut self, above: &Rc<SeenFolder>, found: &Found) -> Option<Rc<SeenFolder>> {
        let path = joined(&above.path, &found.entry.name);
        match self.choice.fate(true, || path.clone()) {
            EntryFate::LeftOut => return None,
            EntryFate::Passage if !self.choice.leads_on(&path) => return None,
            EntryFate::Passage | EntryFate::Wanted => {}
        }
        self.permitted(found, &path)?;
        Some(Rc::new(self.folder_in(above, &found.entry.name, path)))
    }

    fn other(&mut self, place: &Rc<SeenFolder>, found: &Found) {
        let entry = &found.entry;
        let path = joined(&place.path, &entry.name);
        if self.choice.fate(false, || path.clone()) != EntryFate::Wanted {
            return;
        }
        let Some(attributes) = self.permitted(found, &path) else { return };
        self.site.progress.add_files(1);
        let told = || escape_name(&path);
        let bytes = if let Kind::File { size, .. } = entry.kind { size } else { 0 };
        if place.is_blocked {
            return self.seen.in_the_way.add_file(bytes, told);
        }
        let opened = place.handle.as_ref().and_then(|handle| Some((handle, handle.open().ok()?)));
        let Some((handle, folder)) = opened else { return self.seen.made.add_file(bytes, told) };
        let folder = folder.as_ref();
        let Ok(status) = folder.status_at(&entry.name) else { return self.seen.made.add_file(bytes, told) };
        let planned = PlannedEntry {
            spot: TargetSpot { handle, folder, name: &entry.name },
            entry,
            attributes: &attributes,
        };
        let tally = match self.existing {
            Existing::Keep if is_back(self.site, self.reader, planned).unwrap_or(false) => {
                &mut self.seen.left
            }
            Existing::Replace if status.kind != FileKind::Folder => &mut self.seen.replaced,
            Existing::Keep | Existing::Replace => &mut self.seen.in_the_way,
        };
        tally.add_file(bytes, told);
        self.site.progress.pass(bytes);
    }

    fn unreadable(&mut self, place: &Rc<SeenFolder>) {
        self.seen.damaged += 1;
        let path = if place.path.is_empty() { ".".to_owned() } else { escape_name(&place.path) };
        self.site.skip_names(path);
    }

    fn leave(&mut self, _: Rc<SeenFolder>) {}
}
