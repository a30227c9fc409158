//! Lists of folders, entry by entry while they arrive: a folder of a million entries must not fill the memory.
//!
//! A list that broke off is an error and never a short list. Not here: how a list is shown (`owner`).

use super::{
    connection::Connection,
    path::{query_path, source_path},
};
use crate::ClientError;
use larder_format::wire::{EntryInfo, LISTING_TYPE, ListingLine};
use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};
use std::{
    cell::Cell,
    fmt,
    io::{self, BufRead, BufReader, Read},
};
use ureq::{Body, http::Response};

/// A longer entry fills the memory of whoever lists a folder; the longest possible name and target take half of it.
const ENTRY_BYTES_MAX: usize = 1024 * 1024;

/// A list that begins to arrive.
pub(crate) struct FolderList<'a> {
    connection: &'a Connection,
    answer: Response<Body>,
}

/// The place whose content is listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListedPlace<'a> {
    /// `DEVICE/NAME`.
    pub(crate) source: &'a str,
    /// As typed.
    pub(crate) when: &'a str,
    /// Bytes of the path.
    pub(crate) path: &'a [u8],
}

/// The end of a list with everything below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListEnd {
    /// Folders, and parts of large folders, whose entries are missing.
    pub(crate) unreadable: u64,
}

/// The entries of a folder, or the one file.
///
/// # Errors
/// As `Connection::get`.
pub(crate) fn list<'a>(
    connection: &'a Connection,
    place: ListedPlace<'_>,
) -> Result<FolderList<'a>, ClientError> {
    ask(connection, place, "")
}

/// A folder with everything below.
///
/// # Errors
/// As `Connection::get`; `NotThere` where the appliance is too old for such lists.
pub(crate) fn list_below<'a>(
    connection: &'a Connection,
    place: ListedPlace<'_>,
) -> Result<FolderList<'a>, ClientError> {
    as_lines(ask(connection, place, "&recursive=true")?)
}

fn as_lines(list: FolderList<'_>) -> Result<FolderList<'_>, ClientError> {
    // An older appliance passes over the wish and gives the entries of one folder.
    if list.answer.headers().get("content-type").is_none_or(|found| found != LISTING_TYPE) {
        return Err(ClientError::NotThere {
            what: "The appliance is too old to list a folder with everything below.".to_owned(),
            remedy: "Update larderd on the appliance, or list one folder after the other with `larder ls`.",
        });
    }
    Ok(list)
}

/// A folder with what is below, down to `levels` levels: 1 for its own entries.
///
/// # Errors
/// As `list_below`. An older appliance gives everything below: the caller passes over what is too deep.
pub(crate) fn list_levels<'a>(
    connection: &'a Connection,
    place: ListedPlace<'_>,
    levels: usize,
) -> Result<FolderList<'a>, ClientError> {
    as_lines(ask(connection, place, &format!("&recursive=true&depth={levels}"))?)
}

fn ask<'a>(
    connection: &'a Connection,
    ListedPlace { source, when, path }: ListedPlace<'_>,
    more: &str,
) -> Result<FolderList<'a>, ClientError> {
    let (source, when, path) = (source_path(source)?, connection.written(when), query_path(path));
    let answer = connection.with_zone(|zone| {
        connection.get_answer(&format!("/v1/sources/{source}/snapshots/{when}/list?path={path}{more}&{zone}"))
    })?;
    Ok(FolderList { connection, answer })
}

impl FolderList<'_> {
    /// Hands over each entry of `list`.
    ///
    /// # Errors
    /// Those of `each`; `Unreachable` for a list that broke off, `Strange` for anything but a list.
    pub(crate) fn entries<E: From<ClientError>>(
        self,
        each: &mut dyn FnMut(EntryInfo) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { connection, answer } = self;
        entries_of(answer.into_body().into_reader(), each).map_err(|ended| ended.into_error(connection))
    }

    /// Hands over path and entry of each line of `list_below`.
    ///
    /// # Errors
    /// As `entries`.
    pub(crate) fn paths<E: From<ClientError>>(
        self,
        each: &mut dyn FnMut(&ListingLine) -> Result<(), E>,
    ) -> Result<ListEnd, E> {
        let Self { connection, answer } = self;
        lines_of(answer.into_body().into_reader(), each).map_err(|ended| ended.into_error(connection))
    }
}

/// Why a list came to no end.
enum Ended<E> {
    /// `each` wanted no more.
    Each(E),
    /// Something else than a list.
    Strange(serde_json::Error),
    Broken(io::Error),
}

impl<E: From<ClientError>> Ended<E> {
    fn into_error(self, connection: &Connection) -> E {
        match self {
            Self::Each(error) => error,
            Self::Strange(error) => connection.strange(&error).into(),
            Self::Broken(error) => connection.unreachable(&error.into()).into(),
        }
    }
}

impl<E> Ended<E> {
    fn of(error: serde_json::Error) -> Self {
        // An entry that is too long is no trouble of the network.
        if error.io_error_kind().is_some_and(|kind| kind != io::ErrorKind::InvalidData) || error.is_eof() {
            Self::Broken(error.into())
        } else {
            Self::Strange(error)
        }
    }
}

fn entries_of<E>(
    answer: impl Read,
    each: &mut dyn FnMut(EntryInfo) -> Result<(), E>,
) -> Result<(), Ended<E>> {
    let left = Cell::new(ENTRY_BYTES_MAX);
    let reader = BufReader::new(Metered { answer, left: &left });
    let mut stopped = None;
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let read = EachEntry { each, left: &left, stopped: &mut stopped }.deserialize(&mut deserializer);
    match (stopped, read.and_then(|()| deserializer.end())) {
        (Some(error), _) => Err(Ended::Each(error)),
        (None, read) => read.map_err(Ended::of),
    }
}

fn lines_of<E>(
    answer: impl Read,
    each: &mut dyn FnMut(&ListingLine) -> Result<(), E>,
) -> Result<ListEnd, Ended<E>> {
    let (mut reader, mut line) = (BufReader::new(answer), Vec::new());
    loop {
        line.clear();
        let read = (&mut reader).take(ENTRY_BYTES_MAX as u64).read_until(b'\n', &mut line);
        if read.map_err(Ended::Broken)? == 0 {
            return Err(Ended::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        match serde_json::from_slice(&line).map_err(Ended::of)? {
            ListingLine::End { unreadable, .. } => return Ok(ListEnd { unreadable }),
            entry @ ListingLine::Entry { .. } => each(&entry).map_err(Ended::Each)?,
        }
    }
}

/// Bytes of an answer, so many for each entry.
struct Metered<'a, R> {
    answer: R,
    left: &'a Cell<usize>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = into.len().min(self.left.get());
        if room == 0 && !into.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an entry of a list has no end"));
        }
        let read = self.answer.read(&mut into[..room])?;
        self.left.set(self.left.get() - read);
        Ok(read)
    }
}

/// An array of which one entry at a time is in memory.
struct EachEntry<'a, E> {
    each: &'a mut dyn FnMut(EntryInfo) -> Result<(), E>,
    left: &'a Cell<usize>,
    stopped: &'a mut Option<E>,
}

impl<'de, E> DeserializeSeed<'de> for EachEntry<'_, E> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, E> Visitor<'de> for EachEntry<'_, E> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element()? {
            self.left.set(ENTRY_BYTES_MAX);
            if let Err(error) = (self.each)(entry) {
                *self.stopped = Some(error);
                return Err(Error::custom("nobody wants more"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        r#"{"name":"a","kind":"file","bytes":3,"mode":420,"modified":"x","user":"u","group":"g"}"#;

    /// Number of entries handed over, and how the list ended.
    fn entries(text: &str, wanted: usize) -> (usize, &'static str) {
        let mut count = 0;
        let ended = entries_of(text.as_bytes(), &mut |_| {
            count += 1;
            if count == wanted { Err(()) } else { Ok(()) }
        });
        (count, word(ended))
    }

    fn word<T>(ended: Result<T, Ended<()>>) -> &'static str {
        match ended {
            Ok(_) => "whole",
            Err(Ended::Each(())) => "enough",
            Err(Ended::Strange(_)) => "strange",
            Err(Ended::Broken(_)) => "broken",
        }
    }

    #[test]
    fn a_list_is_whole_or_an_error() {
        assert_eq!(entries("[]", 0), (0, "whole"));
        assert_eq!(entries(&format!("[\n{ENTRY},\n{ENTRY}]"), 0), (2, "whole"));
        assert_eq!(entries(&format!("[{ENTRY},{ENTRY},{ENTRY}]"), 2), (2, "enough"));
        assert_eq!(entries(&format!("[{ENTRY},{ENTRY}"), 0), (2, "broken"));
        assert_eq!(entries("", 0), (0, "broken"));
        assert_eq!(entries("<html>", 0), (0, "strange"));
        assert_eq!(entries(&format!("[{ENTRY},12]"), 0), (1, "strange"));
        assert_eq!(entries(&format!("[{ENTRY}] []"), 0), (1, "strange"));
        // Many entries are fine, one without an end is not.
        let many = vec![ENTRY; 3 * ENTRY_BYTES_MAX / ENTRY.len()];
        assert_eq!(entries(&format!("[{}]", many.join(",")), 0), (many.len(), "whole"));
        let endless = format!("[{ENTRY},{{\"name\":\"{}", "a".repeat(2 * ENTRY_BYTES_MAX));
        assert_eq!(entries(&endless, 0), (1, "strange"));
    }

    #[test]
    fn lines_end_with_the_last_line_or_in_an_error() {
        let paths = |text: &str| {
            let mut count = 0;
            let ended = lines_of(text.as_bytes(), &mut |_| {
                count += 1;
                Ok(())
            });
            (count, word(ended))
        };
        let line = ENTRY.replacen('{', "{\"path\":\"x/a\",", 1);
        let end = r#"{"entries":2,"unreadable":1}"#;
        assert_eq!(paths(&format!("{line}\n{line}\n{end}\n")), (2, "whole"));
        assert_eq!(paths(&format!("{line}\n{line}\n")), (2, "broken"));
        assert_eq!(paths(&format!("{line}\n{}", &line[..20])), (1, "broken"));
        assert_eq!(paths(""), (0, "broken"));
        assert_eq!(paths("nothing like it\n"), (0, "strange"));
        assert_eq!(paths(&format!("{line}\n{}", "a".repeat(2 * ENTRY_BYTES_MAX))), (1, "strange"));
        let unreadable = lines_of(end.as_bytes(), &mut |_| Ok::<_, ()>(())).ok();
        assert_eq!(unreadable, Some(ListEnd { unreadable: 1 }));
    }
}
