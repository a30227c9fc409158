//! Reading the kept past: chunks, trees and single files, from an appliance or a pulled disk.
//!
//! Not here: files on this computer's disk (`restore`), packs on a pulled disk (`rescue`).

pub(crate) mod fetch;
pub(crate) mod kept_blocks;
pub(crate) mod read_file;
pub(crate) mod selection;
pub(crate) mod tree_reader;
