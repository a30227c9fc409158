//! What can go wrong on this side, told apart by what the owner must do next.
//!
//! Not here: the words that an owner reads (`owner::words`), and files that were skipped; those never stop a run.

use larder_format::wire::Problem;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a push or a restore stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// Nothing answers, or the connection broke and stayed broken.
    #[error("the appliance at {address} does not answer: {cause}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What the network said.
        cause: String,
    },
    /// Something answers that is no appliance, or one of a newer Larder.
    #[error("what answers at {address} cannot be understood: {cause}")]
    Strange {
        /// Where it was asked.
        address: String,
        /// What of the answer cannot be read.
        cause: String,
    },
    /// No key, or one that the appliance does not know.
    #[error("this computer is not paired: {cause}")]
    NotPaired {
        /// Which part is missing.
        cause: String,
    },
    /// The appliance understood and said no.
    #[error("{}", .0.what)]
    Refused(Box<Problem>),
    /// The appliance holds damaged bytes, or something on the way changed them.
    #[error("damaged data: {0}")]
    Damaged(String),
    /// A file, folder or disk of this computer.
    #[error("{what}: {path}: {cause}", path = .path.display())]
    Local {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The disk that files were restored to did not take all of them, and which ones is not known.
    #[error("writing the restored files: {path}: {cause}", path = .path.display())]
    Unwritten {
        /// The folder that they were restored to.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// What the owner named is not there.
    #[error("{what}")]
    NotThere {
        /// What is missing, as a sentence.
        what: String,
        /// How to find its right name.
        remedy: &'static str,
    },
    /// What the owner named is there, but no thing that this can be done with.
    #[error("{what}")]
    WrongKind {
        /// What it is, as a sentence.
        what: String,
        /// What to name instead.
        remedy: &'static str,
    },
    /// The owner asked for something that cannot be meant.
    #[error("{0}")]
    Usage(String),
}

impl ClientError {
    /// Something on this computer did not work.
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
        matches!(self, Self::Unreachable { .. }) || self.has_code("busy")
    }

    /// The exit code that product.md promises for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::Strange { .. } | Self::NotPaired { .. } => 4,
            Self::Refused(problem) => match problem.code.as_str() {
                "unauthorized" => 4,
                "forbidden" | "full" => 5,
                "damaged" => 6,
                _ => 1,
            },
            Self::Damaged(_) => 6,
            Self::Local { .. } | Self::Unwritten { .. } | Self::NotThere { .. } => 1,
            Self::WrongKind { .. } | Self::Usage(_) => 2,
        }
    }
}

/// A file that is not as it should be, and why. It never stops the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Path below the pushed or restored folder, as `wire::escape_name` writes it.
    pub path: String,
    /// Why, in the owner's words.
    pub why: String,
}

/// Files beyond this number are only counted: a folder of a million unreadable files must not fill the memory.
const SKIPPED_NAMED_MAX: usize = 10_000;

/// Every file that was skipped: all are counted, the first ten thousand are named.
#[derive(Debug, Clone, Default)]
pub struct SkippedList {
    /// The first of them.
    pub named: Vec<Skipped>,
    /// All of them.
    pub count: u64,
}

impl SkippedList {
    /// One more.
    pub fn add(&mut self, path: String, why: impl Into<String>) {
        self.count += 1;
        if self.named.len() < SKIPPED_NAMED_MAX {
            self.named.push(Skipped { path, why: why.into() });
        }
    }
}
