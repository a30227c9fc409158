//! Comparing restored files with the originals: names, bytes, modes and times.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The comparison and its result.
#[derive(Debug)]
pub(super) struct Comparison {
    what: String,
    differs: Vec<String>,
}

impl Comparison {
    pub(super) fn held(&self) -> bool {
        self.differs.is_empty()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.held() {
            return write!(f, "equal:     {}", self.what);
        }
        let shown = self.differs.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        write!(f, "DIFFERENT: {}: {shown}", self.what)
    }
}

/// Compares every name in `copy` with its original in `original`. Paths left out of the push on purpose are not in
/// the copy.
pub(super) fn folders(copy: &Path, original: &Path) -> io::Result<Comparison> {
    let mut differs = Vec::new();
    let (mut files, mut bytes) = (0u64, 0u64);
    for path in names(copy)? {
        let (a, b) = (copy.join(&path), original.join(&path));
        let found = fs::symlink_metadata(&a)?;
        let same = fs::symlink_metadata(&b).is_ok_and(|expected| {
            let records = |m: &fs::Metadata| (m.mode(), m.mtime(), m.mtime_nsec(), m.is_dir() || m.len() > 0);
            records(&found) == records(&expected)
        });
        files += u64::from(!found.is_dir());
        let same_content = if found.is_file() {
            bytes += found.len();
            fs::read(&a)? == fs::read(&b)?
        } else if found.is_symlink() {
            fs::read_link(&a)? == fs::read_link(&b)?
        } else {
            true
        };
        if !same || !same_content {
            differs.push(path.display().to_string());
        }
    }
    Ok(Comparison {
        what: format!("all {files} files of the first backup, {bytes} bytes, modes and times"),
        differs,
    })
}

/// Compares one restored file with its original bytes.
pub(super) fn file(path: &Path, target: &Path, before: &[u8]) -> Comparison {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let found = fs::read(target.join(name));
    let same = found.is_ok_and(|found| found == before);
    let what = format!("{} as it was, {} bytes", path.display(), before.len());
    Comparison { what, differs: if same { Vec::new() } else { vec![path.display().to_string()] } }
}

/// Three different files with content; none if there are fewer.
pub(super) fn three_files(folder: &Path) -> io::Result<Option<[PathBuf; 3]>> {
    let files = names(folder)?.into_iter().filter(|path| {
        fs::symlink_metadata(folder.join(path)).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
    });
    let files: Vec<_> = files.collect();
    // From the start, the middle and the end: different folders, where there are some.
    let picks = [0, files.len() / 2, files.len().saturating_sub(1)];
    Ok((files.len() >= 3).then(|| picks.map(|at| files[at].clone())))
}

fn names(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(path) = folders.pop() {
        for entry in fs::read_dir(folder.join(&path))? {
            let entry = entry?;
            let path = path.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
