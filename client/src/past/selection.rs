//! A part of a snapshot, as a person asks for it.

/// A part of a snapshot to bring back.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// `DEVICE/NAME`.
    pub source: &'a str,
    /// A snapshot number, `newest`, a date, a time, or a span such as `2 weeks ago`.
    pub when: &'a str,
    /// Names with slashes between, below the pushed folder. The path of a folder or a file brings back that name in
    /// the target. The empty path brings back the content of the pushed folder: the target becomes the pushed folder.
    pub path: &'a [u8],
}
