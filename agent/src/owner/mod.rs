//! What a person types and reads at the box.

pub(crate) mod cli;
pub(crate) mod commands;
mod disks;
mod keys;
mod letting_go;
pub(crate) mod output;
mod scrub;
pub(crate) mod words;
