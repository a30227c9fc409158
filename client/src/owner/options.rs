//! Options that every command understands.

use crate::{ClientError, Connection, PairedAppliance};
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
    pub(super) fn pairing_path(&self) -> Result<PathBuf, ClientError> {
        self.appliance.clone().map_or_else(PairedAppliance::default_path, Ok)
    }

    /// A connection to the paired appliance, with retries for as long as a box takes to start.
    pub(super) fn connect(&self) -> Result<Connection, ClientError> {
        Ok(Connection::new(&PairedAppliance::load(&self.pairing_path()?)?))
    }

    /// A connection to the paired appliance, for a question of a waiting person.
    pub(super) fn ask(&self) -> Result<Connection, ClientError> {
        self.connect().map(Connection::without_retries)
    }
}
