//! Why a call of the system failed, as far as a backup tells failures apart.

/// The cause of a failed call, the same on every system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorCause {
    /// There is nothing of this name, or no more.
    Gone,
    /// The account that runs this program may not do that.
    Denied,
    /// The disk gave an error.
    BadDisk,
    /// Another thing stands where a file or folder of known kind was expected.
    Exchanged,
    /// The name is taken.
    Taken,
    /// The disk or the quota is full.
    Full,
    /// Something else; the system's own words say what.
    Other,
}
