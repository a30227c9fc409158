//! Failures on this side, told apart by what the owner must do next.
//!
//! Not here: the words that an owner reads (`owner::words`), and skipped files, which never stop a run.

use larder_format::{FormatError, wire::Problem};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a push or a restore stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// No answer came, or the connection broke and stayed broken.
    #[error("the appliance at {address} does not answer: {cause}")]
    Unreachable {
        /// Address that was asked.
        address: String,
        /// Why, as far as this computer can tell.
        why: NoAnswer,
        /// Words of the network.
        cause: String,
    },
    /// An answer came from a program other than an appliance, or from a newer Larder.
    #[error("what answers at {address} cannot be understood: {cause}")]
    Strange {
        /// Address that was asked.
        address: String,
        /// Part of the answer that cannot be read.
        cause: String,
    },
    /// The key is missing, or the appliance does not know the key.
    #[error("this computer is not paired: {cause}")]
    NotPaired {
        /// The missing part.
        lack: PairingLack,
        /// Words of the system or of the appliance.
        cause: String,
    },
    /// The appliance understood and said no.
    #[error("{}", .0.what)]
    Refused(Box<Problem>),
    /// The appliance holds damaged bytes, or bytes changed on the way.
    #[error("damaged data: {0}")]
    Damaged(String),
    /// A file, folder or disk of this computer.
    #[error("{what}: {path}: {cause}", path = .path.display())]
    Local {
        /// The call that failed.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Words of the system.
        cause: String,
    },
    /// The target disk did not take every restored file, or has no room for all.
    #[error("writing the restored files: {path}: {why}", path = .path.display())]
    Unwritten {
        /// The target folder of the restore.
        path: PathBuf,
        /// How far the restore came.
        why: NotWritten,
    },
    /// The owner named a thing that is not there.
    #[error("{what}")]
    NotThere {
        /// The missing thing, as a sentence.
        what: String,
        /// The way to find the right name.
        remedy: &'static str,
    },
    /// The patterns of a restore leave nothing of a source.
    #[error("nothing in {of} is wanted by --include and --exclude")]
    NothingWanted {
        /// Source, as `DEVICE/NAME`.
        of: String,
    },
    /// The owner named a thing of the wrong kind for the command.
    #[error("{what}")]
    WrongKind {
        /// The kind of the thing, as a sentence.
        what: String,
        /// The kind of thing to name instead.
        remedy: &'static str,
    },
    /// The owner asked for a combination without a meaning.
    #[error("{0}")]
    Usage(String),
}

/// Why no answer came, told apart by what the owner must look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// No computer of this name is known.
    UnknownName,
    /// The computer is there, and no program listens at the port.
    NothingListens,
    /// This computer knows no way there, or nobody on the network answers for the address.
    NoWay,
    /// No answer within the time.
    TooSlow,
    /// The connection ended in the middle.
    BrokenOff,
    /// A program on the way says that the appliance is not there.
    Between,
    /// What answers does not speak TLS with keys like ours: another program, or an older Larder.
    NoEncryption,
    /// No appliance announces itself on this network.
    NotAnnounced,
    /// Another appliance than the paired one, by its key; or somebody who wants to pass for it.
    OtherAppliance,
}

/// The missing part of a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairingLack {
    /// This computer was never paired.
    Pairing,
    /// The appliance does not know the key: it was ended.
    KnownKey,
    /// The pairing is of the time before encryption.
    Encryption,
}

/// How far a restore came that the target disk did not take whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// Nothing was written.
    #[error("{needed} bytes are needed and {free} are free")]
    NoRoom {
        /// Bytes of the files that were asked for.
        needed: u64,
        /// Bytes free at the target.
        free: u64,
    },
    /// The disk became full.
    #[error("no room is left: {files} files are back, with {bytes} of {needed} bytes")]
    Full {
        /// Bytes of the files that were asked for.
        needed: u64,
        /// Files that are back and whole.
        files: u64,
        /// Bytes of the files that are back.
        bytes: u64,
    },
    /// Some files may be lost, and which is not known.
    #[error("{cause}")]
    Unsure {
        /// Words of the system.
        cause: String,
    },
}

impl ClientError {
    /// A call of this computer failed.
    pub fn local(what: &'static str, path: impl Into<PathBuf>, cause: impl Into<io::Error>) -> Self {
        Self::Local { what, path: path.into(), cause: cause.into().to_string() }
    }

    /// A folder was named, and this is none.
    pub(crate) fn no_folder(path: &Path) -> Self {
        let is = if path.is_file() { "is a file, not a folder" } else { "is not a folder" };
        Self::WrongKind { what: format!("{} {is}.", path.display()), remedy: "Name a folder." }
    }

    /// Whether the appliance lacks chunks that this side took for stored.
    pub fn is_missing_chunks(&self) -> bool {
        self.has_code("missing_chunks")
    }

    /// Whether the appliance gave this code (`Problem::code`).
    pub fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Refused(problem) if problem.code == code)
    }

    /// Whether the same request may work in a moment.
    pub fn is_passing(&self) -> bool {
        let is_another = |why| matches!(why, NoAnswer::OtherAppliance | NoAnswer::NoEncryption);
        matches!(self, Self::Unreachable { why, .. } if !is_another(*why)) || self.has_code("busy")
    }

    /// The exit code that product.md promises for the error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::Strange { .. } | Self::NotPaired { .. } => 4,
            Self::Refused(problem) => match problem.code.as_str() {
                "unauthorized" => 4,
                "forbidden" | "full" | "other_folder" | "empty_folder" | "too_many_sources"
                | "too_many_snapshots" => 5,
                "damaged" => 6,
                _ => 1,
            },
            Self::Damaged(_) => 6,
            Self::Local { .. }
            | Self::Unwritten { .. }
            | Self::NotThere { .. }
            | Self::NothingWanted { .. } => 1,
            Self::WrongKind { .. } | Self::Usage(_) => 2,
        }
    }
}

/// A tree that breaks a rule counts as damaged.
impl From<FormatError> for ClientError {
    fn from(error: FormatError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// A file that is missing or different, and why. A skipped file never stops the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Path below the pushed or restored folder, as `wire::escape_name` writes a name.
    pub path: String,
    /// Why, in the owner's words.
    pub why: String,
}

/// Files beyond this number are only counted: a folder of a million unreadable files must not fill the memory.
const SKIPPED_NAMED_MAX: usize = 10_000;
/// Bytes of all named paths and reasons: ten thousand paths, each of the deepest tree, would be 20 GB.
const SKIPPED_NAMED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Every skipped file: each is counted, the first ten thousand are named.
#[derive(Debug, Clone, Default)]
pub struct SkippedList {
    /// The first skipped files.
    pub named: Vec<Skipped>,
    /// Number of skipped files.
    pub count: u64,
    named_bytes: usize,
}

impl SkippedList {
    /// Adds a skipped file.
    pub fn add(&mut self, path: String, why: impl Into<String>) {
        self.count += 1;
        let why = why.into();
        let bytes = self.named_bytes + path.len() + why.len();
        if self.named.len() < SKIPPED_NAMED_MAX && bytes <= SKIPPED_NAMED_BYTES_MAX {
            self.named_bytes = bytes;
            self.named.push(Skipped { path, why });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_of_skipped_files_are_only_counted_in_the_end() {
        let mut skipped = SkippedList::default();
        for _ in 0..200 {
            skipped.add("d/".repeat(100_000), "planted");
        }
        assert_eq!((skipped.count, skipped.named.len()), (200, 83));
        (0..20_000).for_each(|_| skipped.add("short".to_owned(), "planted"));
        assert_eq!((skipped.count, skipped.named.len()), (20_200, 10_000));
    }
}
