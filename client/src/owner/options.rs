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

    /// To the paired appliance, with all the patience that it takes to start again.
    pub(super) fn connect(&self) -> Result<Connection, ClientError> {
        Ok(Connection::new(&PairedAppliance::load(&self.pairing_path()?)?))
    }

    /// To the paired appliance, for a question that somebody waits for.
    pub(super) fn ask(&self) -> Result<Connection, ClientError> {
        self.connect().map(Connection::without_retries)
    }
}
