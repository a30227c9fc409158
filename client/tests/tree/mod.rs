//! What lies in a folder, every attribute included, as a value that can be compared.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its own part")]

use rustix::fs::{AtFlags, FileType, statat};
use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs,
    os::unix::ffi::OsStrExt,
    path::Path,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub kind: FileType,
    pub mode: u32,
    pub owner: (u32, u32),
    pub size: i64,
    pub modified: (i64, u64),
    pub device: u64,
    pub content: Vec<u8>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Paths of the same file, the first one standing for all.
    pub first_name: Option<OsString>,
}

/// Everything below `folder` by path; the folder itself under the empty path.
pub fn look(folder: &Path) -> BTreeMap<OsString, Found> {
    let mut found = BTreeMap::new();
    let mut names: HashMap<(u64, u64), OsString> = HashMap::new();
    let mut todo = vec![OsString::new()];
    while let Some(path) = todo.pop() {
        let full = folder.join(&path);
        let stat = statat(rustix::fs::CWD, &full, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        let kind = FileType::from_raw_mode(stat.st_mode);
        let content = match kind {
            FileType::RegularFile => fs::read(&full).unwrap(),
            FileType::Symlink => fs::read_link(&full).unwrap().as_os_str().as_bytes().to_vec(),
            _ => Vec::new(),
        };
        if kind == FileType::Directory {
            let mut below: Vec<_> =
                fs::read_dir(&full).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            below.sort();
            todo.extend(below.into_iter().rev().map(|name| Path::new(&path).join(name).into_os_string()));
        }
        let is_linked = kind != FileType::Directory && stat.st_nlink > 1;
        let first_name = is_linked
            .then(|| names.entry((stat.st_dev, stat.st_ino)).or_insert_with(|| path.clone()).clone());
        let entry = Found {
            kind,
            mode: stat.st_mode & 0o7777,
            owner: (stat.st_uid, stat.st_gid),
            size: if kind == FileType::Directory { 0 } else { stat.st_size },
            modified: (stat.st_mtime, u64::try_from(stat.st_mtime_nsec).unwrap()),
            device: stat.st_rdev,
            content,
            xattrs: xattrs(&full),
            first_name,
        };
        found.insert(path, entry);
    }
    found
}

fn xattrs(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut list = vec![0; 65536];
    let len = rustix::fs::llistxattr(path, &mut list[..]).unwrap_or(0);
    let mut xattrs: Vec<_> = list[..len]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 65536];
            let len = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            value.truncate(len);
            (name.to_vec(), value)
        })
        .collect();
    xattrs.sort();
    xattrs
}
