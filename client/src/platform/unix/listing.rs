//! The names in one folder, sorted by their bytes, in as little memory as they need.
//!
//! A folder of a million files costs its names and 8 bytes each: no allocation per name.

use rustix::{
    fd::AsFd,
    fs::{FileType, RawDir},
    io::Errno,
};
use std::ffi::CStr;

/// Names of one folder, sorted; `.` and `..` are not among them.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Each name with its closing NUL.
    bytes: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    /// With the NUL.
    len: u16,
    hint: Hint,
}

/// What the folder itself says about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    Directory,
    Other,
    /// Some filesystems do not say.
    Unknown,
}

impl Listing {
    /// Reads all names of an open folder. `room` is scratch space that is kept between calls.
    pub(crate) fn read(folder: impl AsFd, room: &mut Vec<u8>) -> rustix::io::Result<Self> {
        room.reserve(ROOM_BYTES);
        let mut listing = Self::default();
        let mut raw = RawDir::new(folder, room.spare_capacity_mut());
        while let Some(entry) = raw.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let hint = match entry.file_type() {
                FileType::Directory => Hint::Directory,
                FileType::Unknown => Hint::Unknown,
                _ => Hint::Other,
            };
            let bytes = name.to_bytes_with_nul();
            // 4 GiB of names in one folder: more than any filesystem holds in one.
            let start = u32::try_from(listing.bytes.len()).map_err(|_| Errno::OVERFLOW)?;
            let len = u16::try_from(bytes.len()).map_err(|_| Errno::NAMETOOLONG)?;
            listing.bytes.extend_from_slice(bytes);
            listing.places.push(Place { start, len, hint });
        }
        listing.sort();
        Ok(listing)
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let name =
            |place: &Place| &bytes[place.start as usize..place.start as usize + usize::from(place.len) - 1];
        self.places.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        // A folder that changes while it is read may show a name twice; a node must not.
        self.places.dedup_by(|a, b| name(a) == name(b));
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn name(&self, position: usize) -> &CStr {
        let place = self.places[position];
        let start = place.start as usize;
        CStr::from_bytes_until_nul(&self.bytes[start..start + usize::from(place.len)])
            .expect("every name was stored with its NUL")
    }

    pub(crate) fn hint(&self, position: usize) -> Hint {
        self.places[position].hint
    }

    pub(crate) fn set_hint(&mut self, position: usize, hint: Hint) {
        self.places[position].hint = hint;
    }

    /// Keeps only the names for which `keep` says so.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8], Hint) -> bool) {
        let bytes = &self.bytes;
        self.places.retain(|place| {
            let start = place.start as usize;
            keep(&bytes[start..start + usize::from(place.len) - 1], place.hint)
        });
    }

    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.places
            .binary_search_by(|place| {
                let start = place.start as usize;
                self.bytes[start..start + usize::from(place.len) - 1].cmp(name)
            })
            .is_ok()
    }
}

/// One call of the kernel fills at most this much; larger rooms were not faster.
const ROOM_BYTES: usize = 64 * 1024;
