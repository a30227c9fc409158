//! A person's words at the box, typed and read.

mod acknowledge;
mod answers;
mod asking;
pub(crate) mod cli;
mod commands;
#[cfg(feature = "demo")]
mod demo;
mod disks;
mod keeping;
mod keys;
mod let_go;
mod letting_go;
mod output;
mod scrub;
mod space;
mod which;
mod words;
