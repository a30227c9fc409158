//! Pieces of sentences for the messages of every part of the agent. Not here: the messages.

/// `1 file`, `2 files`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Bytes to one digit behind the point, in the unit that leaves at most four digits before it.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // Printed to one digit, 1023.96 would be 1024.0 of the smaller unit.
    while value >= 1023.95 && units.len() > 0 {
        value /= 1024.0;
        unit = units.next();
    }
    format!("{value:.1} {}", unit.unwrap_or(&"TiB"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_of_one_unit() {
        let check = |bytes, expect: &str| assert_eq!(size(bytes), expect, "{bytes}");
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check((1 << 20) - 1, "1.0 MiB");
        check(58 << 20, "58.0 MiB");
        check(3 << 40, "3.0 TiB");
        check(u64::MAX, "16777216.0 TiB");
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
