//! Files and folders of one fate: all counted, the first named.

/// Names beyond this number are only counted: nobody reads ten thousand names, and a home may have millions.
const NAMED_MAX: usize = 10_000;
/// Bytes of all names: ten thousand of the longest paths would be 20 GB.
const NAMED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Files and folders of one fate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files, and other entries than folders.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The first paths, as `wire::escape_name` writes a name; a folder's path ends with a slash.
    pub named: Vec<String>,
    named_bytes: usize,
}

impl Tally {
    /// Adds a file, or any other entry than a folder.
    pub(crate) fn add_file(&mut self, bytes: u64, path: impl FnOnce() -> String) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.name(path);
    }

    /// Adds a folder; what is in the folder is added by itself.
    pub(crate) fn add_folder(&mut self, path: impl FnOnce() -> String) {
        self.folders += 1;
        self.name(|| path() + "/");
    }

    fn name(&mut self, path: impl FnOnce() -> String) {
        if self.named.len() < NAMED_MAX && self.named_bytes < NAMED_BYTES_MAX {
            let path = path();
            self.named_bytes += path.len();
            self.named.push(path);
        }
    }

    /// Files and folders together.
    pub fn count(&self) -> u64 {
        self.files + self.folders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_and_the_first_are_named() {
        let mut tally = Tally::default();
        tally.add_folder(|| "a".to_owned());
        (0..20_000).for_each(|number| tally.add_file(2, || number.to_string()));
        assert_eq!((tally.files, tally.folders, tally.bytes), (20_000, 1, 40_000));
        assert_eq!((tally.count(), tally.named.len()), (20_001, NAMED_MAX));
        assert_eq!(tally.named[..2], ["a/", "0"]);
        let mut long = Tally::default();
        (0..100).for_each(|_| long.add_file(0, || "d".repeat(1 << 20)));
        assert_eq!((long.count(), long.named.len()), (100, 16));
    }
}
