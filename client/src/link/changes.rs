//! The differences of two snapshots, one by one while they arrive: between two years of a photo folder lie millions.
//!
//! A list that broke off is an error and never a short list. Not here: how a difference is shown (`owner`).

use super::{connection::Connection, path::source_path};
use crate::ClientError;
use larder_format::wire::Change;
use std::io::{self, BufRead, BufReader, Read};
use ureq::{Body, http::Response};

/// A longer difference fills the memory: two entries and a path, each of the longest names.
const CHANGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Differences that begin to arrive.
pub(crate) struct ChangeList<'a> {
    connection: &'a Connection,
    answer: Response<Body>,
}

/// Changes in `source` between the snapshots `since` and `until`.
///
/// # Errors
/// As `Connection::get`.
pub(crate) fn changes<'a>(
    connection: &'a Connection,
    source: &str,
    [since, until]: &[String; 2],
) -> Result<ChangeList<'a>, ClientError> {
    let (source, since, until) = (source_path(source)?, connection.written(since), connection.written(until));
    let path = format!("/v1/sources/{source}/diff?from={since}&to={until}");
    let answer = connection.with_zone(|zone| connection.get_answer(&format!("{path}&{zone}")))?;
    Ok(ChangeList { connection, answer })
}

impl ChangeList<'_> {
    /// Hands over each difference.
    ///
    /// # Errors
    /// Those of `each`; `Unreachable` for a list that broke off, `Strange` for anything but a list.
    pub(crate) fn each<E: From<ClientError>>(
        self,
        each: &mut dyn FnMut(Change) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { connection, answer } = self;
        let mut reader = BufReader::new(answer.into_body().into_reader());
        loop {
            let change = next_change(&mut reader).map_err(|ended| match ended {
                ListTrouble::Broken(error) => connection.unreachable(&error.into()),
                ListTrouble::Strange(error) => connection.strange(&error),
            })?;
            match change {
                Some(change) => each(change)?,
                None => return Ok(()),
            }
        }
    }
}

/// Why there is no next difference, although the list is not over.
enum ListTrouble {
    Broken(io::Error),
    Strange(serde_json::Error),
}

/// The next line; none at the end of the list.
fn next_change(reader: &mut impl BufRead) -> Result<Option<Change>, ListTrouble> {
    let mut line = Vec::new();
    reader.take(CHANGE_BYTES_MAX).read_until(b'\n', &mut line).map_err(ListTrouble::Broken)?;
    if line.is_empty() {
        return Ok(None);
    }
    let is_whole = line.ends_with(b"\n");
    match serde_json::from_slice(&line) {
        // The connection was closed in the middle of a line.
        Err(error) if error.is_eof() && !is_whole && (line.len() as u64) < CHANGE_BYTES_MAX => {
            Err(ListTrouble::Broken(error.into()))
        }
        change => change.map(Some).map_err(ListTrouble::Strange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of differences, and how the list ended.
    fn read(text: &str) -> (usize, &'static str) {
        let (mut reader, mut count) = (text.as_bytes(), 0);
        loop {
            match next_change(&mut reader) {
                Ok(Some(_)) => count += 1,
                Ok(None) => return (count, "whole"),
                Err(ListTrouble::Broken(_)) => return (count, "broken"),
                Err(ListTrouble::Strange(_)) => return (count, "strange"),
            }
        }
    }

    #[test]
    fn a_list_is_whole_or_an_error() {
        const LINE: &str = r#"{"change":"added","path":"a","before":null,"after":null}"#;
        assert_eq!(read(""), (0, "whole"));
        assert_eq!(read(&format!("{LINE}\n{LINE}\n")), (2, "whole"));
        assert_eq!(read(&format!("{LINE}\n{}", &LINE[..20])), (1, "broken"));
        assert_eq!(read(&format!("{LINE}\n<html>\n")), (1, "strange"));
        let endless = format!("{{\"change\":\"{}", "a".repeat(5 * 1024 * 1024));
        assert_eq!(read(&endless), (0, "strange"));
    }
}
