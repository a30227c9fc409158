//! The command `larder`: typed words, printed words, exit codes. No other room of the client prints.
//!
//! Not here: moving and checking bytes; the commands call the library's plain functions.

mod around;
mod changed;
mod choice;
mod cli;
mod comparing;
mod discovering;
mod finding;
mod getting;
mod getting_all;
mod help;
mod keeping;
mod last_result;
mod left_out;
mod listing;
mod looking;
mod moves;
mod offering;
mod options;
mod output;
mod pace;
mod pairing;
mod past_watch;
mod plain;
mod previewing;
mod progress;
mod push_preview;
mod pushing;
mod rescued;
mod rescuing;
mod rollback_place;
mod rollback_words;
mod rolling_back;
mod schedule_state;
mod scheduled_run;
mod scheduling;
mod screen;
mod sizes;
mod skipped;
mod snapshots;
mod source;
mod source_name;
pub(crate) mod spot;
mod status;
mod table;
mod verifying;
mod walk_time;
mod watched_source;
mod watching;
mod words;

pub use cli::main;
pub use words::problem_of;
