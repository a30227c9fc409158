//! The standard output: lines and JSON.
//!
//! A reader that goes away (`larder push … | head`) ends nothing: further output is dropped, and the work and its
//! exit code stay. Only here are numbers and times written for people; JSON carries the values of the appliance.
//! Whatever a line holds, the line stays one line and acts on nothing (`plain`). Sizes count in thousands, as disks are
//! sold. Not here: tables (`table`), the standard error (`screen`).

use super::{
    plain::{PlainJson, PlainJsonLine, plain},
    screen::above_bar,
};
use crate::{ClientError, platform::sync_output};
use jiff::{Timestamp, tz::TimeZone};
use larder_format::when;
use serde::{Serialize, Serializer, ser::SerializeSeq};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

/// The standard output, and whether a program reads the output.
pub(super) struct Output {
    out: BufWriter<Stdout>,
    json: bool,
    is_quiet: bool,
    /// Whether a person sits before it.
    is_watched: bool,
}

/// Why a command ended early.
pub(super) enum CommandError {
    ClientError(ClientError),
    Output(io::Error),
}

impl From<ClientError> for CommandError {
    fn from(trouble: ClientError) -> Self {
        Self::ClientError(trouble)
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl CommandError {
    pub(super) fn into_trouble(self) -> ClientError {
        match self {
            Self::ClientError(trouble) => trouble,
            Self::Output(error) => ClientError::local("writing the answer", "standard output", error),
        }
    }
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let out = io::stdout();
        let is_watched = out.is_terminal();
        Self { out: BufWriter::new(out), json, is_quiet: false, is_watched }
    }

    /// From now on `note` says nothing.
    pub(super) fn hush(&mut self) {
        self.is_quiet = true;
    }

    /// Whether nobody wants to hear of work that goes well: a timer, or a program that reads JSON.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_quiet || self.json
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one line.
    pub(super) fn line(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        or_nobody_reads(writeln!(self.out, "{}", plain(line.as_ref())))
    }

    /// Prints one line, for a caller that must know of a missing reader.
    pub(super) fn line_or_stop(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        let line = plain(line.as_ref());
        if !self.is_watched {
            return writeln!(self.out, "{line}");
        }
        // A bar on the same terminal would be painted over a line that comes out later.
        above_bar(|| {
            writeln!(self.out, "{line}")?;
            self.out.flush()
        })
    }

    /// Prints one line about work that went well.
    pub(super) fn note(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        if self.is_quiet { Ok(()) } else { self.line(line) }
    }

    /// Writes bytes unchanged.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<u8, CommandError> {
        or_nobody_reads(self.out.write_all(bytes))?;
        Ok(0)
    }

    /// For a caller that must know of a missing reader: a long file is not fetched for nobody.
    pub(super) fn writer(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        or_nobody_reads(self.out.flush())
    }

    /// Flushes, and waits until an output file lies on its disk: a full share may report the error only then.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.flush()?;
        Ok(sync_output()?)
    }

    pub(super) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut serializer = serde_json::Serializer::with_formatter(&mut self.out, PlainJson::default());
        let written = value.serialize(&mut serializer).map_err(io::Error::from);
        or_nobody_reads(written.and_then(|()| writeln!(self.out)))
    }

    /// A list of values as one array, written while `fill` hands the values over.
    pub(super) fn json_list<T: Serialize, E: From<io::Error>>(
        &mut self,
        fill: impl FnOnce(&mut dyn FnMut(T) -> Result<(), E>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error: serde_json::Error| E::from(io::Error::from(error));
        let mut serializer = serde_json::Serializer::with_formatter(&mut self.out, PlainJson::default());
        let mut list = serializer.serialize_seq(None).map_err(failed)?;
        fill(&mut |value| list.serialize_element(&value).map_err(failed))?;
        list.end().map_err(failed)?;
        Ok(or_nobody_reads(writeln!(self.out))?)
    }

    /// A value on a line of its own.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut serializer = serde_json::Serializer::with_formatter(&mut self.out, PlainJsonLine);
        value.serialize(&mut serializer)?;
        writeln!(self.out)
    }
}

/// A pipe with a closed reader is no failure; a full disk is a failure.
pub(super) fn or_nobody_reads(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// `1.3 GB`; three digits are enough to compare by.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes;
    let mut unit = 0;
    // Integers only: 999,950 must not become "1000.0 kB".
    while value >= 999_950 && unit + 1 < UNITS.len() {
        value /= 1000;
        unit += 1;
    }
    let tenths = (value + 50) / 100;
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

/// `1 file`, `2 files`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A time as sent, in this computer's zone, to the minute.
pub(super) fn moment(rfc3339: &str) -> String {
    rfc3339.parse::<Timestamp>().map_or_else(
        |_| rfc3339.to_owned(),
        |time| time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

/// The end of a span as sent, in this computer's zone: the day that was named, or the minute.
pub(super) fn end_there(rfc3339: &str) -> String {
    end_as(rfc3339, when::end_there)
}

/// The same, with the zone.
pub(super) fn end_in_words(rfc3339: &str) -> String {
    end_as(rfc3339, when::end_in_words)
}

fn end_as(rfc3339: &str, told: fn(Timestamp, &TimeZone) -> String) -> String {
    rfc3339.parse().map_or_else(|_| rfc3339.to_owned(), |time| told(time, &TimeZone::system()))
}

/// `rwxr-x---`, with the special bits at the usual places.
pub(super) fn permissions(mode: u16) -> String {
    let bit = |bit: u16, letter: char| if mode & bit != 0 { letter } else { '-' };
    let special = |execute: u16, flag: u16, with: char, without: char| match (mode & execute, mode & flag) {
        (_, 0) => bit(execute, 'x'),
        (0, _) => without,
        _ => with,
    };
    [
        bit(0o400, 'r'),
        bit(0o200, 'w'),
        special(0o100, 0o4000, 's', 'S'),
        bit(0o40, 'r'),
        bit(0o20, 'w'),
        special(0o10, 0o2000, 's', 'S'),
        bit(0o4, 'r'),
        bit(0o2, 'w'),
        special(0o1, 0o1000, 't', 'T'),
    ]
    .iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_340_000_000, "1.3 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(permissions(0o4755), "rwsr-xr-x");
        assert_eq!(permissions(0o1640), "rw-r----T");
    }
}
