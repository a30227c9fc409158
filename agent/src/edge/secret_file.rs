//! Secrets of this appliance, each in a small file beside the vault on each disk: a new card with any of the old disks is the
//! same appliance to computers and browsers, and nothing is typed. So whoever steals a disk can pass for the appliance, and
//! has its backups anyway.

use super::small_file::{read_small, replace_durably, set_aside};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A planted file must not fill the memory.
const BYTES_MAX: u64 = 4096;

/// One kind of secret.
pub(super) struct SecretFile<T> {
    /// Name of the file.
    pub(super) name: &'static str,
    /// The secret in the text of a file; none in any other text.
    pub(super) parse: fn(&str) -> Option<T>,
    /// The text of a file.
    pub(super) text: fn(&T) -> String,
}

impl<T> SecretFile<T> {
    /// The secret in the first of the folders that has one, or a new secret; from then on each of the folders has it.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn load_or_make<E>(
        &self,
        folders: &[PathBuf],
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let found = folders.iter().find_map(|folder| {
            let path = folder.join(self.name);
            let secret = (self.parse)(&read_small(&path, BYTES_MAX).ok()?);
            if secret.is_none() {
                tracing::error!(path = %path.display(), "a secret of the appliance cannot be read here");
            }
            secret
        });
        let secret = found.map_or_else(make, Ok)?;
        self.keep(folders, &secret);
        Ok(secret)
    }

    /// Sees to it that each of the folders has the secret: disks come and go while the agent runs.
    pub(super) fn keep(&self, folders: &[PathBuf], secret: &T) {
        for path in folders.iter().map(|folder| folder.join(self.name)) {
            if let Err(error) = self.keep_at(&path, secret) {
                tracing::warn!(%error, path = %path.display(), "a secret of the appliance could not be kept here");
            }
        }
    }

    fn keep_at(&self, path: &Path, secret: &T) -> io::Result<()> {
        match read_small(path, BYTES_MAX) {
            // Another secret may be the one that computers know; which of two is meant, the next start decides.
            Ok(text) if (self.parse)(&text).is_some() => return Ok(()),
            // Half a secret may still help whoever looks at it.
            Ok(_) => set_aside(path)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // A disk that could not be read this once must not lose the key by which every computer knows the appliance.
            Err(error) => return Err(error),
        }
        replace_durably(path, &(self.text)(secret))
    }
}
