//! The key of this appliance, beside the vault on each disk: a new card with any of the old disks is the same appliance to
//! every computer, and nothing is typed. So whoever steals a disk can pass for the appliance, and has its backups anyway.

use super::small_file::{read_small, replace_durably, set_aside};
use larder_trust::{SecretKey, TrustError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

const NAME: &str = "box-key";
/// A planted file must not fill the memory.
const BYTES_MAX: u64 = 4096;

/// The key in the first of the folders that has one, or a new key; from then on each of the folders has it.
///
/// # Errors
/// `NoRandom`.
pub(crate) fn load_or_make(folders: &[PathBuf]) -> Result<SecretKey, TrustError> {
    let found = folders.iter().find_map(|folder| {
        let text = read_small(&folder.join(NAME), BYTES_MAX).ok()?;
        let key = SecretKey::from_hex(text.trim());
        key.inspect_err(|_| tracing::error!(path = %folder.join(NAME).display(), "the key of the appliance cannot be read here"))
            .ok()
    });
    let key = found.map_or_else(SecretKey::generate, Ok)?;
    keep(folders, &key);
    Ok(key)
}

/// Sees to it that each of the folders has the key: disks come and go while the agent runs.
pub(crate) fn keep(folders: &[PathBuf], key: &SecretKey) {
    for path in folders.iter().map(|folder| folder.join(NAME)) {
        if let Err(error) = keep_at(&path, key) {
            tracing::warn!(%error, path = %path.display(), "the key of the appliance could not be kept here");
        }
    }
}

fn keep_at(path: &Path, key: &SecretKey) -> io::Result<()> {
    match read_small(path, BYTES_MAX) {
        // Another key may be the one that computers know; which of two is meant, the next start decides.
        Ok(text) if SecretKey::from_hex(text.trim()).is_ok() => return Ok(()),
        // Half a key may still help whoever looks at it.
        Ok(_) => set_aside(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // A disk that could not be read this once must not lose the key by which every computer knows the appliance.
        Err(error) => return Err(error),
    }
    replace_durably(path, &format!("{}\n", key.to_hex()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn any_disk_alone_makes_the_same_appliance() {
        let home = tempfile::tempdir().unwrap();
        let folders = ["a", "b", "c"].map(|name| home.path().join(name));
        folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
        let made = load_or_make(&folders[..2]).unwrap();
        assert_eq!(load_or_make(&folders[1..2]).unwrap(), made);
        // A disk that comes later gets it, and keeps it when the others are gone.
        assert_eq!(load_or_make(&folders[1..]).unwrap(), made);
        assert_eq!(load_or_make(&folders[2..]).unwrap(), made);
        let mode = fs::metadata(folders[2].join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(folders[0].join(NAME), "rubbish").unwrap();
        assert_eq!(load_or_make(&folders).unwrap(), made, "what cannot be read is put right from another");
        assert_eq!(load_or_make(&folders[..1]).unwrap(), made);
    }

    /// What cannot be read this once is not replaced: the next start finds it again.
    #[test]
    fn a_key_that_cannot_be_read_is_left_where_it_is() {
        let home = tempfile::tempdir().unwrap();
        let folder = [home.path().to_owned()];
        // Like a disk that fails, and also for root: no text is read.
        fs::create_dir(home.path().join(NAME)).unwrap();
        load_or_make(&folder).unwrap();
        assert!(home.path().join(NAME).is_dir());
        fs::remove_dir(home.path().join(NAME)).unwrap();
        fs::write(home.path().join(NAME), "rubbish").unwrap();
        let made = load_or_make(&folder).unwrap();
        assert_eq!(load_or_make(&folder).unwrap(), made);
        assert_eq!(fs::read_to_string(home.path().join("box-key.bad")).unwrap(), "rubbish");
    }
}
