//! Options that every command understands.

use crate::{Connection, Pairing, Trouble};
use clap::Args;
use std::path::PathBuf;

/// What every command understands.
#[derive(Debug, Args)]
pub(super) struct GlobalOptions {
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// The pairing to use instead of this account's own
    #[arg(long, global = true, value_name = "FILE")]
    appliance: Option<PathBuf>,
}

impl GlobalOptions {
    /// Where the pairing lies.
    pub(super) fn pairing_path(&self) -> Result<PathBuf, Trouble> {
        self.appliance.clone().map_or_else(Pairing::default_path, Ok)
    }

    /// To the paired appliance, with all the patience that it takes to start again.
    pub(super) fn connect(&self) -> Result<Connection, Trouble> {
        Ok(Connection::new(&Pairing::load(&self.pairing_path()?)?))
    }

    /// To the paired appliance, for a question that somebody waits for.
    pub(super) fn ask(&self) -> Result<Connection, Trouble> {
        self.connect().map(Connection::impatient)
    }
}
