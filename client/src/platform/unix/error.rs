//! Error numbers of this system, and their causes.

use crate::platform::cause::ErrorCause;
use rustix::io::Errno;
use std::{fmt, io};

/// A failed call, by the system's own number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SystemError(Errno);

impl SystemError {
    /// As if the name did not exist.
    pub(crate) const GONE: Self = Self(Errno::NOENT);
    /// As if the name was taken.
    pub(crate) const TAKEN: Self = Self(Errno::EXIST);
    /// Another thing stands at the place of a known folder.
    pub(crate) const EXCHANGED: Self = Self(Errno::STALE);
    /// A folder lies deeper than a backup keeps.
    pub(crate) const TOO_DEEP: Self = Self(Errno::NAMETOOLONG);
    /// No file can be called so.
    pub(crate) const NO_NAME: Self = Self(Errno::INVAL);
    /// The work was called off.
    pub(crate) const CANCELED: Self = Self(Errno::CANCELED);
    /// The file was given up before.
    pub(crate) const CLOSED: Self = Self(Errno::BADF);

    pub(crate) fn cause(self) -> ErrorCause {
        match self.0 {
            Errno::NOENT => ErrorCause::Gone,
            Errno::ACCESS | Errno::PERM => ErrorCause::Denied,
            Errno::IO => ErrorCause::BadDisk,
            Errno::LOOP | Errno::NOTDIR | Errno::STALE => ErrorCause::Exchanged,
            Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR => ErrorCause::Taken,
            Errno::NOSPC | Errno::DQUOT => ErrorCause::Full,
            _ => ErrorCause::Other,
        }
    }

    pub(crate) fn is_gone(self) -> bool {
        self.cause() == ErrorCause::Gone
    }
}

impl From<Errno> for SystemError {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

impl From<SystemError> for io::Error {
    fn from(error: SystemError) -> Self {
        error.0.into()
    }
}

impl From<io::Error> for SystemError {
    fn from(error: io::Error) -> Self {
        // An error without a number does not come from the system: a write took no byte.
        Self(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from(*self).fmt(f)
    }
}

impl fmt::Debug for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
