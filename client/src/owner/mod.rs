//! The command `larder`: typed words, printed words, exit codes. No other room of the client prints.
//!
//! Not here: moving and checking bytes; the commands call the library's plain functions.

mod cli;
mod finding;
mod getting;
mod looking;
mod options;
mod output;
mod pairing;
mod progress;
mod pushing;
mod rescued;
mod rescuing;
pub(crate) mod spot;
mod words;

pub use cli::main;
pub use words::problem_of;
