//! What somebody asks for of the past: which part of which snapshot.

/// What to bring back.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// `DEVICE/NAME`.
    pub source: &'a str,
    /// A snapshot number, `newest`, a date, a time, or a span such as `2 weeks ago`.
    pub when: &'a str,
    /// Names with slashes between, below the pushed folder. A folder's path and a file's bring back that name in the
    /// target; the empty path brings back what is in the pushed folder, so that the target becomes it.
    pub path: &'a [u8],
}
