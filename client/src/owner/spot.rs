//! A typed `SOURCE[@WHEN][:PATH]`.
//!
//! A time has colons, and so has the end of WHEN. The longest text up to a colon, or up to the end, that is a WHEN counts
//! as WHEN: `@2026-12-01 09:31:2024/cat.jpg` ends behind 09:31, since no time has four digits there. Where a name of two
//! digits would be taken for seconds, a slash begins the path (`@2026-12-01 09:31:/20`), quotes hold the WHEN, or WHEN
//! stands apart (`--at`).

use crate::{
    ClientError, Connection, Remote,
    link::{path::checked_source, questions},
    platform::name_bytes,
};
use clap::Args;
use larder_format::{
    ledger::composed,
    when::{WHEN_BYTES_MAX, When},
    wire::{escape_name, unescape_name},
};
use std::ffi::OsStr;

/// The WHEN of an empty input.
pub(super) const NEWEST: &str = "newest";

/// A WHEN apart from its place.
#[derive(Debug, Args)]
pub(super) struct AtOption {
    /// The moment, in place of @WHEN
    // A WHEN such as `-1` begins like an option.
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    at: Option<String>,
}

impl AtOption {
    /// The moment for a whole source.
    pub(super) fn when(&self) -> Result<&str, ClientError> {
        match self.at.as_deref() {
            Some(at) if at.trim().is_empty() => Err(ClientError::Usage("--at needs a moment".to_owned())),
            at => Ok(at.unwrap_or(NEWEST)),
        }
    }
}

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
        let wrong = || {
            let typed = typed.to_string_lossy();
            ClientError::Usage(format!(
                "\"{typed}\" is not SOURCE[@WHEN][:PATH], such as laptop/photos@12:2024"
            ))
        };
        let (when, path) = match rest {
            [b'@', rest @ ..] => when_and_path(rest).ok_or_else(wrong)?,
            [b':', path @ ..] => (NEWEST.as_bytes(), path),
            _ => (NEWEST.as_bytes(), rest),
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

    /// Takes a typed place apart, with its WHEN typed apart, if at all.
    pub(super) fn parse_at(typed: &OsStr, AtOption { at }: &AtOption) -> Result<Self, ClientError> {
        let spot = Self::parse(typed)?;
        match at {
            None => Ok(spot),
            Some(_) if take_source(&name_bytes(typed)).1.starts_with(b"@") => {
                Err(ClientError::Usage("the moment is said twice; write @WHEN or --at WHEN".to_owned()))
            }
            Some(at) if at.trim().is_empty() => Err(ClientError::Usage("--at needs a moment".to_owned())),
            Some(at) => Ok(Self { when: at.clone(), ..spot }),
        }
    }

    /// A whole snapshot, or a path in it, as a person types it in a shell.
    pub(super) fn typed(source: &str, snapshot: u64, path: &[u8]) -> String {
        let mut typed = String::new();
        for c in source.chars() {
            if matches!(c, '\\' | '@' | ':') {
                typed.push('\\');
            }
            typed.push(c);
        }
        typed.push_str(&format!("@{snapshot}"));
        if !path.is_empty() {
            typed.push_str(&format!(":{}", escape_name(path)));
        }
        quoted(&typed)
    }

    /// The full name of the source; without a device, the only source of the name.
    pub(super) fn full_source(&self, connection: &Connection) -> Result<String, ClientError> {
        full_source(&self.source, connection)
    }
}

/// A word as a person types it in a shell.
pub(super) fn quoted(word: &str) -> String {
    let is_plain =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '@' | ':' | '.' | '_' | '-' | '+' | ',');
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
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

/// Takes apart what stands behind the `@`. Nothing where a quote has no end.
fn when_and_path(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    if let [b'"', quoted @ ..] = rest {
        let end = quoted.iter().position(|byte| *byte == b'"')?;
        return match &quoted[end + 1..] {
            [] => Some((&quoted[..end], &[])),
            [b':', path @ ..] => Some((&quoted[..end], path)),
            _ => None,
        };
    }
    let end = end_of_when(rest);
    Some((&rest[..end], rest.get(end + 1..).unwrap_or_default()))
}

/// The last colon, or the end, behind a WHEN. Behind nonsense the first colon, so that a message quotes the nonsense.
fn end_of_when(rest: &[u8]) -> usize {
    let is_end = |at: &usize| rest.get(*at).is_none_or(|byte| *byte == b':');
    let is_when = |at: &usize| std::str::from_utf8(&rest[..*at]).is_ok_and(When::is_form);
    let longest = (1..=rest.len().min(WHEN_BYTES_MAX)).rev().filter(is_end).find(is_when);
    longest.or_else(|| rest.iter().position(|byte| *byte == b':')).unwrap_or(rest.len())
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
    fn a_path_may_begin_with_digits() {
        check("p@2026-12-01 09:31:2024/cat.jpg", "p", "2026-12-01 09:31", "2024/cat.jpg");
        check("p@2026-12-01:2024", "p", "2026-12-01", "2024");
        check("p@2026-12-01 09:31:20/cat.jpg", "p", "2026-12-01 09:31", "20/cat.jpg");
        check("p@2026-12-01 09:31:20:cat.jpg", "p", "2026-12-01 09:31:20", "cat.jpg");
        check("p@12:34:56", "p", "12", "34:56");
        check("p@yesterday 09:31:2024", "p", "yesterday 09:31", "2024");
        check("p@last tuesday:14:00", "p", "last tuesday", "14:00");
        check("p@-1:20", "p", "-1", "20");
        check("p@latest", "p", "latest", "");
        check("p@2026-03-31T10:30:05+02:00:15", "p", "2026-03-31T10:30:05+02:00", "15");
        // Seconds, unless the place says otherwise.
        check("p@2026-12-01 09:31:20", "p", "2026-12-01 09:31:20", "");
        check("p@2026-12-01 09:31:/20", "p", "2026-12-01 09:31", "20");
        check("p@\"2026-12-01 09:31\":20", "p", "2026-12-01 09:31", "20");
        check("p@\"2026-12-01 09:31\"", "p", "2026-12-01 09:31", "");
        // A newer appliance may know the word.
        check("p@before-change:a:b", "p", "before-change", "a:b");
    }

    #[test]
    fn the_moment_may_stand_apart() {
        let parse = |typed: &str, at: Option<&str>| {
            Spot::parse_at(OsStr::new(typed), &AtOption { at: at.map(str::to_owned) })
        };
        let spot = parse("p:20/a", Some("2026-12-01 09:31")).unwrap();
        assert_eq!((&*spot.when, &*spot.path), ("2026-12-01 09:31", &b"20/a"[..]));
        assert_eq!(parse("p:a@b", Some("-1")).unwrap().path, b"a@b");
        assert_eq!(parse("p:a", None).unwrap().when, NEWEST);
        for (typed, at) in [("p@3:a", "4"), ("p@newest", "4"), ("p", " ")] {
            assert_eq!(parse(typed, Some(at)).unwrap_err().exit_code(), 2, "{typed} {at}");
        }
    }

    const FORMS: [&str; 16] = [
        "latest",
        "newest",
        "-1",
        "-20",
        "12",
        "2026-12-01",
        "2026-12-01 09:31",
        "2026-12-01T09:31",
        "2026-12-01 09:31:20",
        "2026-12-01T09:31:20.5+05:30",
        "2026-12-01 09:31Z",
        "yesterday",
        "yesterday 09:31",
        "last tuesday 09:31",
        "2 weeks ago",
        "1h 30m",
    ];

    proptest::proptest! {
        /// Every moment can be written with every path, in three ways; plainly too, but for a name of two digits behind
        /// a time without seconds.
        #[test]
        fn every_place_can_be_written(
            form in 0..FORMS.len(),
            path in proptest::collection::vec("[0-9]{1,4}|[a-z:@\"+. ]{1,4}|[0-9:]{1,8}|.{1,4}", 0..3),
        ) {
            let when = FORMS[form];
            let path = tidy(path.join("/").as_bytes());
            let written = escape_name(&path);
            let spot = Spot { source: "a/b".into(), when: when.into(), path };
            let parse = |typed: String| Spot::parse(OsStr::new(&typed)).unwrap();
            proptest::prop_assert_eq!(&parse(format!("a/b@\"{when}\":{written}")), &spot);
            proptest::prop_assert_eq!(&parse(format!("a/b@{when}:/{written}")), &spot);
            let at = AtOption { at: Some(when.into()) };
            proptest::prop_assert_eq!(&Spot::parse_at(OsStr::new(&format!("a/b:{written}")), &at).unwrap(), &spot);
            let begins_like_seconds = match written.as_bytes() {
                [a, b, rest @ ..] => {
                    let is_more = |byte: &u8| byte.is_ascii_digit() || *byte == b'/';
                    a.is_ascii_digit() && b.is_ascii_digit() && !rest.first().is_some_and(is_more)
                }
                _ => false,
            };
            if !(when.ends_with(":31") && begins_like_seconds) {
                proptest::prop_assert_eq!(&parse(format!("a/b@{when}:{written}")), &spot);
            }
        }
    }

    #[test]
    fn a_told_place_can_be_typed_again() {
        assert_eq!(Spot::typed("laptop/photos", 12, b""), "laptop/photos@12");
        assert_eq!(Spot::typed("laptop/photos", 12, b"2024/cat.jpg"), "laptop/photos@12:2024/cat.jpg");
        assert_eq!(Spot::typed("laptop/My Files", 3, b""), "'laptop/My Files@3'");
        assert_eq!(Spot::typed("laptop/it's", 3, b"a"), "'laptop/it'\\''s@3:a'");
        for source in ["a/b@c:d", "a/b\\", "a/b c"] {
            let typed = Spot::typed(source, 7, b"20/x\n");
            let unquoted = typed.trim_matches('\'');
            let spot = Spot::parse(OsStr::new(unquoted)).unwrap();
            assert_eq!((&*spot.source, &*spot.when, &*spot.path), (source, "7", &b"20/x\n"[..]), "{typed}");
        }
    }

    #[test]
    fn nonsense_is_wrong_usage() {
        for typed in ["", "@12", ":a", "p@", "p@ :a", "p:a\\q", "p@\"12", "p@\"12\"a", "p@\"\":a"] {
            assert_eq!(Spot::parse(OsStr::new(typed)).unwrap_err().exit_code(), 2, "{typed}");
        }
    }
}
