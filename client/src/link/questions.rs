//! Questions of a person to the appliance, one function for each question.
//!
//! Answers come in the types of `wire`; answers that only go on to people and programs stay JSON. Not here: the
//! questions of a push and a restore (`Connection`), lists of folders (`listing`).

use super::{
    answer::AnswerSize,
    connection::Connection,
    path::{percent_encode, query_path, source_path},
};
use crate::ClientError;
use larder_format::{
    FormatError, Hash,
    ledger::Expect,
    wire::{
        EntryWord, Expectation, FoundNames, KeepWish, LINKS_MAX, OLDER_HEADER, ReceiptStanding, Retirement,
        SnapshotInfo, SourceExpectation, SourceInfo, StandingAsked, VersionInfo,
    },
};
use serde_json::Value;

/// Every source that the key may see.
///
/// # Errors
/// As `Connection::get`, of this and of every other question.
pub(crate) fn sources(connection: &Connection) -> Result<Vec<SourceInfo>, ClientError> {
    connection.get("/v1/sources", AnswerSize::Report)
}

/// The newest kept snapshots of a source.
pub(crate) struct NewestSnapshots {
    /// The oldest of them first.
    pub(crate) snapshots: Vec<SnapshotInfo>,
    /// Number of kept snapshots that are older.
    pub(crate) older: u64,
}

/// The newest kept snapshots of `source`, at most `limit`.
pub(crate) fn newest_snapshots(
    connection: &Connection,
    source: &str,
    limit: usize,
) -> Result<NewestSnapshots, ClientError> {
    let path = format!("/v1/sources/{}/snapshots?limit={limit}", source_path(source)?);
    let answer = connection.get_answer(&path)?;
    let older = answer.headers().get(OLDER_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = connection.read(answer, AnswerSize::Report)?;
    let mut snapshots: Vec<SnapshotInfo> =
        serde_json::from_slice(&body).map_err(|error| connection.strange(&error))?;
    // An older appliance gives all of them.
    let beyond = snapshots.len().saturating_sub(limit);
    snapshots.drain(..beyond);
    Ok(NewestSnapshots { snapshots, older: older.unwrap_or(0) + beyond as u64 })
}

/// The kept snapshots of `source`, the oldest first.
pub(crate) fn snapshots(connection: &Connection, source: &str) -> Result<Vec<SnapshotInfo>, ClientError> {
    connection.get(&format!("/v1/sources/{}/snapshots", source_path(source)?), AnswerSize::Report)
}

/// What to find over all kept snapshots.
pub(crate) struct FindWish<'a> {
    /// A part of a name, or a pattern.
    pub(crate) name: &'a str,
    /// Everywhere, if none.
    pub(crate) source: Option<&'a str>,
    /// Only what is not in the newest snapshot.
    pub(crate) deleted: bool,
    /// Names at most.
    pub(crate) limit: u64,
}

/// Where names are or were.
pub(crate) fn find(connection: &Connection, wish: &FindWish<'_>) -> Result<FoundNames, ClientError> {
    let FindWish { name, source, deleted, limit } = wish;
    let source = source.map(|source| format!("&source={}", percent_encode(source))).unwrap_or_default();
    let deleted = if *deleted { "&deleted=true" } else { "" };
    let path = format!("/v1/find?name={}{source}{deleted}&limit={limit}", percent_encode(name));
    connection.get(&path, AnswerSize::Report)
}

/// The kept versions of the file `path`.
pub(crate) fn versions(
    connection: &Connection,
    source: &str,
    path: &[u8],
) -> Result<Vec<VersionInfo>, ClientError> {
    let (source, path) = (source_path(source)?, query_path(path));
    connection.get(&format!("/v1/sources/{source}/versions?path={path}"), AnswerSize::Report)
}

/// Has the snapshot `number` of `source` stay.
pub(crate) fn keep(
    connection: &Connection,
    source: &str,
    number: u64,
    wish: &KeepWish,
) -> Result<SnapshotInfo, ClientError> {
    let body = serde_json::to_vec(wish).expect("plain values encode");
    connection.say(&format!("/v1/sources/{}/snapshots/{number}/keep", source_path(source)?), &body)
}

/// What is expected of `source`.
pub(crate) fn expectation(connection: &Connection, source: &str) -> Result<SourceExpectation, ClientError> {
    connection.get(&format!("/v1/sources/{}/expect", source_path(source)?), AnswerSize::Facts)
}

/// Says how long `source` may be silent.
pub(crate) fn expect(
    connection: &Connection,
    source: &str,
    expect: Expect,
) -> Result<SourceExpectation, ClientError> {
    let body = serde_json::to_vec(&Expectation { expect }).expect("plain values encode");
    connection.say(&format!("/v1/sources/{}/expect", source_path(source)?), &body)
}

/// Retires `source`, or takes that back.
pub(crate) fn retire(
    connection: &Connection,
    source: &str,
    retired: bool,
) -> Result<SourceExpectation, ClientError> {
    let body = serde_json::to_vec(&Retirement { retired }).expect("plain values encode");
    connection.say(&format!("/v1/sources/{}/retire", source_path(source)?), &body)
}

/// The answers to the four questions, of `source` or of every source, with times in the reader's zone.
pub(crate) fn answers(connection: &Connection, source: Option<&str>) -> Result<Value, ClientError> {
    let source = source.map(|source| format!("&source={}", percent_encode(source))).unwrap_or_default();
    connection.with_zone(|zone| connection.get(&format!("/v1/answers?{zone}{source}"), AnswerSize::Report))
}

/// How the appliance is.
pub(crate) fn status(connection: &Connection) -> Result<Value, ClientError> {
    connection.get("/v1/status", AnswerSize::Report)
}

/// How long snapshots of `source` are kept, and why.
pub(crate) fn retention(connection: &Connection, source: &str) -> Result<Value, ClientError> {
    connection.get(&format!("/v1/sources/{}/retention", source_path(source)?), AnswerSize::Report)
}

/// An entry of the appliance's ledger with the appliance's word on it; nothing without such an entry.
pub(crate) fn ledger_entry(connection: &Connection, number: u64) -> Result<Option<EntryWord>, ClientError> {
    match connection.get(&format!("/v1/ledger/{number}"), AnswerSize::Facts) {
        Err(trouble) if trouble.has_code("not_found") => Ok(None),
        entry => entry.map(Some),
    }
}

/// Hashes of entries from `first` on, as the appliance reads them from its disks now; zero for an entry that is missing or does not
/// follow the one before. Fewer than `LINKS_MAX` end with the newest entry.
pub(crate) fn ledger_links(connection: &Connection, first: u64) -> Result<Vec<Hash>, ClientError> {
    let answer = connection.get_answer(&format!("/v1/ledger/{first}/links"))?;
    let body = connection.read(answer, AnswerSize::Links)?;
    let (links, rest) = body.as_chunks::<32>();
    if !rest.is_empty() || links.len() > LINKS_MAX {
        return Err(connection.strange(&FormatError::Invalid {
            what: "a list of entries",
            why: "its length is not that of 0 to 8192 hashes",
        }));
    }
    Ok(links.iter().copied().map(Hash).collect())
}

/// What became of this computer's own snapshots, at most `STANDINGS_MAX`.
pub(crate) fn standings(
    connection: &Connection,
    snapshots: &[u64],
) -> Result<Vec<ReceiptStanding>, ClientError> {
    let asked = StandingAsked { snapshots: snapshots.to_vec() };
    let body = serde_json::to_vec(&asked).expect("numbers encode");
    connection.say_for("/v1/ledger/standing", &body, AnswerSize::Links)
}
