//! The command `larder`: what is typed, what is printed, which exit code. All that the client prints is in here.
//!
//! Not here: anything that moves or checks bytes; the commands call the library's plain functions.

mod cli;
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
