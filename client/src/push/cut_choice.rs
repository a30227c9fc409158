//! The choice of files that are cut in fixed sizes: files that are rewritten in place, so that a changed page costs a page.
//!
//! A wrong guess costs room or names, never bytes, so each rule may be wrong now and then:
//! - by ending: disk images, databases and mail stores are pages that get overwritten;
//! - by first bytes: the same kinds under another name;
//! - by holes: a large sparse file is an image or a database, since other programs leave no holes;
//! - by comparison: same file, same size and another time mean a write in place.
//!
//! Files below 256 KiB are a single chunk and never come here. Once fixed-size, always fixed-size: a file with a new kind of cut
//! would be stored again whole.

use crate::platform::FileStatus;
use larder_format::cut::Cut;

/// Large enough that finer cuts pay for their names.
const LARGE_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// First bytes that `choose` looks at, up to the magic of ext4.
pub(crate) const FIRST_BYTES: usize = 2048;

const ENDINGS: [&str; 34] = [
    // Disk images. Not iso: iso files are written once and shared between folders at odd offsets.
    "img",
    "raw",
    "qcow",
    "qcow2",
    "qed",
    "vmdk",
    "vdi",
    "vhd",
    "vhdx",
    "hdd",
    "dd",
    "dsk",
    "sparsebundle",
    // Databases.
    "db",
    "db3",
    "sqlite",
    "sqlite3",
    "s3db",
    "mdb",
    "accdb",
    "ibd",
    "ibdata1",
    "myd",
    "myi",
    "frm",
    "fdb",
    "gdb",
    "ldf",
    "mdf",
    "realm", // Mail stores.
    "pst",
    "ost",
    "mbox",
    "edb",
];

/// The knowledge of the last push about the same name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Earlier {
    pub(crate) status: Fingerprint,
    pub(crate) fixed_size: bool,
}

pub(crate) use crate::push::cache::Fingerprint;

/// The kind of cut for a file of several chunks.
pub(crate) fn choose(name: &[u8], status: &FileStatus, first: &[u8], earlier: Option<Earlier>) -> Cut {
    let sparse = status.size >= LARGE_BYTES_MIN && status.stored_bytes < status.size / 8 * 7;
    let rewritten =
        earlier.is_some_and(|earlier| earlier.fixed_size || is_rewritten(&earlier.status, status));
    if has_known_ending(name) || has_known_magic(first, status.size) || sparse || rewritten {
        Cut::FixedSize
    } else {
        Cut::Content
    }
}

fn is_rewritten(before: &Fingerprint, now: &FileStatus) -> bool {
    now.size >= LARGE_BYTES_MIN
        && before.inode == now.inode
        && before.size == now.size
        && before.modified != now.modified
}

fn has_known_ending(name: &[u8]) -> bool {
    let ending = name.rsplit(|byte| *byte == b'.').next().filter(|ending| ending.len() < name.len());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known.as_bytes())))
}

fn has_known_magic(first: &[u8], size: u64) -> bool {
    let at = |offset: usize, magic: &[u8]| first.get(offset..offset + magic.len()) == Some(magic);
    let sectors = size.is_multiple_of(512);
    at(0, b"SQLite format 3\0")
        || at(0, b"QFI\xfb")
        || at(0, b"KDMV")
        || at(0, b"vhdxfile")
        || at(0, b"!BDN")
        || at(4, b"Standard Jet DB")
        || at(4, b"Standard ACE DB")
        || (sectors && at(512, b"EFI PART"))
        // Boot signature: two bytes alone are weak, so the partition table's status bytes must look right too.
        || (sectors && at(510, &[0x55, 0xaa]) && [446, 462, 478, 494].iter().all(|o| matches!(first[*o], 0 | 0x80)))
        || (sectors && at(1080, &[0x53, 0xef]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::{FileKind, OwnerIds};
    use larder_format::tree::Time;

    fn status(size: u64) -> FileStatus {
        let time = Time { seconds: 9, nanos: 0 };
        FileStatus {
            device: 1,
            inode: 2,
            links: 1,
            kind: FileKind::File,
            permissions: 0o644,
            owner: OwnerIds { user: 0, group: 0 },
            size,
            stored_bytes: size,
            modified: time,
            changed: time,
        }
    }

    #[test]
    fn kinds_are_known_by_name_and_by_first_bytes() {
        let choose = |name: &[u8], first: &[u8]| choose(name, &status(1 << 20), first, None);
        assert_eq!(choose(b"disk.QCOW2", b""), Cut::FixedSize);
        assert_eq!(choose(b"places.sqlite", b""), Cut::FixedSize);
        assert_eq!(choose(b"places", b"SQLite format 3\0rest"), Cut::FixedSize);
        assert_eq!(choose(b"img", b""), Cut::Content, "a name without a dot has no ending");
        assert_eq!(choose(b"film.mkv", &[0; FIRST_BYTES]), Cut::Content);
    }

    #[test]
    fn a_file_that_is_rewritten_in_place_is_cut_fine_from_then_on() {
        let now = status(LARGE_BYTES_MIN);
        let mut before = Fingerprint::of(&now);
        before.modified.seconds = 1;
        let earlier = |fixed_size| Some(Earlier { status: before, fixed_size });
        assert_eq!(choose(b"vault", &now, b"", earlier(false)), Cut::FixedSize);
        let mut grown = now;
        grown.size += 1;
        assert_eq!(choose(b"vault", &grown, b"", earlier(false)), Cut::Content);
        assert_eq!(choose(b"vault", &grown, b"", earlier(true)), Cut::FixedSize);
    }
}
