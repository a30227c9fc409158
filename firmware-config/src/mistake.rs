//! One mistake in a settings file, told so that a person at home can mend it.
//!
//! Not here: finding mistakes (`reader`, `settings`).

/// Something in a file that cannot be followed. Mistakes are ordered by line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("line {line}: {key}: found {found}; instead {instead}")]
pub struct Mistake {
    /// Line in the file, from 1.
    pub line: usize,
    /// Section and key, as `network.listen`; the section alone, or `file`, where no key can be named.
    pub key: String,
    /// What stands there, as written. Never a secret.
    pub found: String,
    /// What to write, or to do, so that it can be followed.
    pub instead: String,
}
