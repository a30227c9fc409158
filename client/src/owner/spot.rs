//! A typed `SOURCE[@WHEN][:PATH]`.

use crate::{
    ClientError, Connection, Remote,
    link::{path::checked_source, questions},
    platform::name_bytes,
};
use larder_format::{ledger::composed, wire::unescape_name};
use std::ffi::OsStr;

/// The WHEN of an empty input.
pub(super) const NEWEST: &str = "newest";

/// A part of a snapshot, as typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// As typed: `DEVICE/NAME` or `NAME`.
    pub(crate) source: String,
    /// `NEWEST` where no WHEN was typed.
    pub(crate) when: String,
    /// Bytes of the path, without slashes at the ends; empty for the whole source.
    pub(crate) path: Vec<u8>,
}

impl Spot {
    /// Takes a typed place apart.
    pub(crate) fn parse(typed: &OsStr) -> Result<Self, ClientError> {
        let bytes = &*name_bytes(typed);
        let (source, rest) = take_source(bytes);
        let (when, path) = match rest {
            [b'@', rest @ ..] => {
                let end = end_of_when(rest);
                (&rest[..end], rest.get(end + 1..).unwrap_or_default())
            }
            [b':', path @ ..] => (NEWEST.as_bytes(), path),
            _ => (NEWEST.as_bytes(), rest),
        };
        let wrong = || {
            let typed = typed.to_string_lossy();
            ClientError::Usage(format!(
                "\"{typed}\" is not SOURCE[@WHEN][:PATH], such as laptop/photos@12:2024"
            ))
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| wrong());
        let (source, when) = (text(&source)?, text(when)?);
        if source.is_empty() || when.trim().is_empty() {
            return Err(wrong());
        }
        // Bytes that are no text were completed by a shell: the bytes stand for themselves.
        let path = match std::str::from_utf8(path) {
            Ok(text) => unescape_name(text).ok_or_else(|| {
                ClientError::Usage("in a path a backslash is written \\\\, and other bytes \\xNN".to_owned())
            })?,
            Err(_) => path.to_vec(),
        };
        Ok(Self { source, when, path: tidy(&path) })
    }

    /// The full name of the source; without a device, the only source of the name.
    pub(super) fn full_source(&self, connection: &Connection) -> Result<String, ClientError> {
        full_source(&self.source, connection)
    }
}

/// The source, which ends at the first `@` or `:` without a backslash before, and the part behind.
fn take_source(typed: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut source = Vec::new();
    let mut rest = typed;
    loop {
        match rest {
            [] | [b'@' | b':', ..] => return (source, rest),
            [b'\\', byte, behind @ ..] | [byte, behind @ ..] => {
                source.push(*byte);
                rest = behind;
            }
        }
    }
}

/// Slashes at the ends and doubled slashes mean nothing.
fn tidy(path: &[u8]) -> Vec<u8> {
    let names: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    names.join(&b'/')
}

/// The end of WHEN: the first colon outside a time of day. A time of day stands behind its date, so that `@12:34`
/// remains the path `34` in snapshot 12.
fn end_of_when(rest: &[u8]) -> usize {
    let is_digit = |at: usize| rest.get(at).is_some_and(u8::is_ascii_digit);
    let mut in_time = false;
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'T' | b' ' | b'+' if at > 0 => in_time = is_digit(at + 1),
            b':' if in_time && at > 1 && is_digit(at - 1) && is_digit(at + 1) && is_digit(at + 2) => {}
            b':' => return at,
            _ => {}
        }
        at += 1;
    }
    rest.len()
}

/// The full name of a source, also where only the second half was typed.
pub(super) fn full_source(typed: &str, connection: &Connection) -> Result<String, ClientError> {
    if typed.contains('/') {
        return checked_source(typed);
    }
    let typed = &*composed(typed);
    let sources = questions::sources(connection)?;
    let mut named: Vec<String> = sources
        .into_iter()
        .map(|source| source.source)
        .filter(|source| source.split_once('/').is_some_and(|(_, name)| name == typed))
        .collect();
    if named.len() > 1 {
        // This computer's own source is meant, if any.
        let own = format!("{}/{typed}", connection.identity()?.device);
        if named.contains(&own) {
            return Ok(own);
        }
        return Err(ClientError::Usage(format!(
            "\"{typed}\" could be {}; write the one you mean",
            named.join(" or ")
        )));
    }
    named.pop().ok_or_else(|| ClientError::NotThere {
        what: format!("There is no source called \"{typed}\"."),
        remedy: "`larder sources` lists what there is.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, source: &str, when: &str, path: &str) {
        let expected = Spot { source: source.into(), when: when.into(), path: path.as_bytes().to_vec() };
        assert_eq!(Spot::parse(OsStr::new(typed)).unwrap(), expected, "{typed}");
    }

    #[test]
    fn places_are_understood() {
        check("laptop/photos", "laptop/photos", "newest", "");
        check("photos:2024/cat.jpg", "photos", "newest", "2024/cat.jpg");
        check("laptop/photos@12", "laptop/photos", "12", "");
        check("laptop/photos@12:34", "laptop/photos", "12", "34");
        check("p@2 weeks ago:a b/@:x", "p", "2 weeks ago", "a b/@:x");
        check("p@2026-03-31:a", "p", "2026-03-31", "a");
        check("p@2026-03-31 10:30:a", "p", "2026-03-31 10:30", "a");
        check("p@2026-03-31T10:30:05+02:00:a:b", "p", "2026-03-31T10:30:05+02:00", "a:b");
        check("p:/a//b/./c/", "p", "newest", "a/b/c");
        check("p:a\\x0ab\\\\", "p", "newest", "a\nb\\");
        check("laptop/Böse Dinge:a", "laptop/Böse Dinge", "newest", "a");
        check("a\\@b\\:c\\\\@12:d", "a@b:c\\", "12", "d");
        check("a\\", "a\\", "newest", "");
    }

    #[test]
    fn nonsense_is_wrong_usage() {
        for typed in ["", "@12", ":a", "p@", "p@ :a", "p:a\\q"] {
            assert_eq!(Spot::parse(OsStr::new(typed)).unwrap_err().exit_code(), 2, "{typed}");
        }
    }
}
