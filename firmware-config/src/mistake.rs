//! One mistake in a settings file, told so a person at home can mend the line.

/// An invalid entry in a file. Mistakes are ordered by line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("line {line}: {key}: found {found}; instead {instead}")]
pub struct Mistake {
    /// Line in the file, from 1.
    pub line: usize,
    /// Section and key, as `network.listen`; the section alone, or `file`, where no key can be named.
    pub key: String,
    /// The text found, as written. Never a secret.
    pub found: String,
    /// The text to write, or the step to take, instead.
    pub instead: String,
}
