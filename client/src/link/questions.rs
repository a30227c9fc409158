//! Questions of a person to the appliance, one function for each question.
//!
//! Answers come in the types of `wire`; answers that only go on to people and programs stay JSON. Not here: the
//! questions of a push and a restore (`Connection`).

use super::{
    connection::Connection,
    path::{percent_encode, query_path},
};
use crate::ClientError;
use larder_format::{
    ledger::Head,
    wire::{Change, EntryInfo, FoundNames, SnapshotInfo, SourceInfo, VersionInfo},
};
use serde_json::Value;

/// Every source that the key may see.
///
/// # Errors
/// As `Connection::get`, of this and of every other question.
pub(crate) fn sources(connection: &Connection) -> Result<Vec<SourceInfo>, ClientError> {
    connection.get("/v1/sources")
}

/// The kept snapshots of `source`, the oldest first.
pub(crate) fn snapshots(connection: &Connection, source: &str) -> Result<Vec<SnapshotInfo>, ClientError> {
    connection.get(&format!("/v1/sources/{source}/snapshots"))
}

/// The names in the folder `path` of the snapshot `when`.
pub(crate) fn list(
    connection: &Connection,
    source: &str,
    when: &str,
    path: &[u8],
) -> Result<Vec<EntryInfo>, ClientError> {
    let (when, path) = (percent_encode(when), query_path(path));
    connection.get(&format!("/v1/sources/{source}/snapshots/{when}/list?path={path}"))
}

/// Where names with `typed` in them are or were, in `source` or everywhere.
pub(crate) fn find(
    connection: &Connection,
    typed: &str,
    source: Option<&str>,
    limit: u64,
) -> Result<FoundNames, ClientError> {
    let source = source.map(|source| format!("&source={}", percent_encode(source))).unwrap_or_default();
    connection.get(&format!("/v1/find?name={}{source}&limit={limit}", percent_encode(typed)))
}

/// The kept versions of the file `path`.
pub(crate) fn versions(
    connection: &Connection,
    source: &str,
    path: &[u8],
) -> Result<Vec<VersionInfo>, ClientError> {
    connection.get(&format!("/v1/sources/{source}/versions?path={}", query_path(path)))
}

/// Changes in `source` between the snapshots `since` and `until`.
pub(crate) fn changes(
    connection: &Connection,
    source: &str,
    [since, until]: &[String; 2],
) -> Result<Vec<Change>, ClientError> {
    let (since, until) = (percent_encode(since), percent_encode(until));
    let lines = connection.get_bytes(&format!("/v1/sources/{source}/diff?from={since}&to={until}"))?;
    let changes =
        serde_json::Deserializer::from_slice(&lines).into_iter().collect::<Result<_, serde_json::Error>>();
    changes.map_err(|error| connection.strange(&error))
}

/// The answers to the four questions, of `source` or of every source.
pub(crate) fn answers(connection: &Connection, source: Option<&str>) -> Result<Value, ClientError> {
    let query = source.map(|source| format!("?source={}", percent_encode(source))).unwrap_or_default();
    connection.get(&format!("/v1/answers{query}"))
}

/// How the appliance is.
pub(crate) fn status(connection: &Connection) -> Result<Value, ClientError> {
    connection.get("/v1/status")
}

/// How long snapshots of `source` are kept, and why.
pub(crate) fn retention(connection: &Connection, source: &str) -> Result<Value, ClientError> {
    connection.get(&format!("/v1/sources/{source}/retention"))
}

/// Number and hash of an entry of the appliance's ledger; nothing without such an entry, or where the appliance is
/// too old to tell.
pub(crate) fn ledger_entry(connection: &Connection, number: u64) -> Result<Option<Head>, ClientError> {
    match connection.get(&format!("/v1/ledger/{number}")) {
        Err(ClientError::Refused(_)) => Ok(None),
        entry => entry.map(Some),
    }
}
