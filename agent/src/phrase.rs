//! Pieces of sentences for the messages of every part of the agent. Not here: the messages.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_format::when;

/// `1 file`, `2 files`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A span as people say it: whole days where it is some, else hours, rounded up.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0 => counted(0, "hour", "hours"),
        days if days.is_multiple_of(86_400) => counted(days / 86_400, "day", "days"),
        other if other < 3600 => counted(other.div_ceil(60), "minute", "minutes"),
        other => counted(other.div_ceil(3600), "hour", "hours"),
    }
}

/// A moment as a reader in `zone` sees it, to the minute, with the zone's name.
pub(crate) fn moment_in(time: Timestamp, zone: &TimeZone) -> String {
    let minute = Timestamp::from_second(time.as_second().div_euclid(60) * 60);
    when::in_words(minute.unwrap_or(time), zone)
}

/// A cause as a sentence of its own.
pub(crate) fn sentence(cause: &str) -> String {
    let mut rest = cause.chars();
    let first = rest.next().map(char::to_uppercase);
    format!("{}{}.", first.into_iter().flatten().collect::<String>(), rest.as_str())
}

/// An error with its whole chain of causes.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut rest = error.source();
    while let Some(cause) = rest {
        text = format!("{text}: {cause}");
        rest = cause.source();
    }
    text
}

/// Whether the system refused for want of rights, anywhere in the chain of causes: an owner told of a cable would look at
/// the wrong end.
pub(crate) fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let mut kinds =
        chain.filter_map(|error| error.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    kinds.any(|kind| kind == std::io::ErrorKind::PermissionDenied)
}

/// The command that hands a folder to the agent of the service.
pub(crate) fn hand_over(folder: &std::path::Path) -> String {
    format!("`sudo chown larder:larder {}`", folder.display())
}

/// `1.3 GB`: sizes count in thousands, as disks are sold and as `larder` counts. Two units beside each other would look
/// like two different sizes.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes, 0);
    // Integers only: 999,950 must not become "1000.0 kB".
    while value >= 999_950 && unit + 1 < UNITS.len() {
        value /= 1000;
        unit += 1;
    }
    let tenths = (value + 50) / 100;
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A full disk, with what is free there all the same.
pub(crate) fn full_disk(disk: &str, free_mib: Option<u64>) -> String {
    // Less is as good as nothing, and is no reserve.
    let free = free_mib
        .filter(|free| *free >= 16)
        .map(|free| format!(" but for {}, most of it a reserve that letting go needs", size_of_mib(free)));
    format!("The backup disk at {disk} is full{}", free.unwrap_or_default())
}

/// `size` for a number of mebibytes.
pub(crate) fn size_of_mib(mib: u64) -> String {
    size(mib.saturating_mul(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_of_one_unit() {
        let sizes = [0, 999, 1000, 999_950, 1_340_000_000, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "999 B", "1.0 kB", "1.0 MB", "1.3 GB", "18.4 EB"]);
        assert_eq!(size_of_mib(58), "60.8 MB");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(counted(1, "file is", "files are"), "1 file is");
        assert_eq!(counted(0, "file is", "files are"), "0 files are");
        assert_eq!(
            [60, 3600, 86_400, 90_000, 172_800].map(span),
            ["1 minute", "1 hour", "1 day", "25 hours", "2 days"]
        );
        assert_eq!(sentence("the disk at /a is away"), "The disk at /a is away.");
        assert_eq!(sentence("\"a\" means more"), "\"a\" means more.");
        assert_eq!(sentence(""), ".");
    }
}
