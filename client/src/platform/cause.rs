//! Why a call of the system failed, as far as a backup tells failures apart.

/// The cause of a failed call, the same on every system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorCause {
    /// The name does not exist, or no longer exists.
    Gone,
    /// The account of this program lacks the right.
    Denied,
    /// The disk gave an error.
    BadDisk,
    /// Another thing stands where a file or folder of known kind was expected.
    Exchanged,
    /// The name is taken.
    Taken,
    /// The disk or the quota is full.
    Full,
    /// Another cause; the system's own words tell more.
    Other,
}
