//! The status of an entry, the same on every system.

use larder_format::tree::{Kind, Time};

/// Kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Folder,
    Symlink,
    Fifo,
    Socket,
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    /// A kind that no backup knows.
    Unknown,
}

/// Owner and group of an entry, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OwnerIds {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl OwnerIds {
    /// Whether this is the account that may do everything.
    pub(crate) fn is_root(self) -> bool {
        self.user == 0
    }
}

/// Parts of a status that a backup keeps or compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStatus {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Names of the file.
    pub(crate) links: u64,
    pub(crate) kind: FileKind,
    /// The 12 permission bits.
    pub(crate) permissions: u16,
    pub(crate) owner: OwnerIds,
    /// Bytes.
    pub(crate) size: u64,
    /// Bytes that the file takes on its disk; fewer than `size` where the file has holes.
    pub(crate) stored_bytes: u64,
    /// Last change of the content.
    pub(crate) modified: Time,
    /// Last change of content or attributes.
    pub(crate) changed: Time,
}

impl FileStatus {
    /// Tells the file from every other file of this computer.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether both were taken of the same content with the same attributes.
    pub(crate) fn same_state(&self, other: &Self) -> bool {
        (self.inode, self.size, self.modified, self.changed, self.device)
            == (other.inode, other.size, other.modified, other.changed, other.device)
    }

    /// The kind of an entry, for anything but a file, a folder and a symlink.
    pub(crate) fn special_kind(&self) -> Option<Kind> {
        Some(match self.kind {
            FileKind::Fifo => Kind::Fifo,
            FileKind::Socket => Kind::Socket,
            FileKind::CharDevice { major, minor } => Kind::CharDevice { major, minor },
            FileKind::BlockDevice { major, minor } => Kind::BlockDevice { major, minor },
            FileKind::File | FileKind::Folder | FileKind::Symlink | FileKind::Unknown => return None,
        })
    }
}
