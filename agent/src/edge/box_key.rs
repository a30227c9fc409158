//! The key of this appliance, by which every paired computer knows it.

use super::secret_file::SecretFile;
use larder_trust::{SecretKey, TrustError};
use std::path::PathBuf;

const FILE: SecretFile<SecretKey> = SecretFile {
    name: "box-key",
    parse: |text| SecretKey::from_hex(text.trim()).ok(),
    text: |key| format!("{}\n", key.to_hex()),
};

/// The key in the first of the folders that has one, or a new key; from then on each of the folders has it.
///
/// # Errors
/// `NoRandom`.
pub(crate) fn load_or_make(folders: &[PathBuf]) -> Result<SecretKey, TrustError> {
    FILE.load_or_make(folders, SecretKey::generate)
}

/// Sees to it that each of the folders has the key.
pub(crate) fn keep(folders: &[PathBuf], key: &SecretKey) {
    FILE.keep(folders, key);
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
        let mode = fs::metadata(folders[2].join(FILE.name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(folders[0].join(FILE.name), "rubbish").unwrap();
        assert_eq!(load_or_make(&folders).unwrap(), made, "what cannot be read is put right from another");
        assert_eq!(load_or_make(&folders[..1]).unwrap(), made);
    }

    /// What cannot be read this once is not replaced: the next start finds it again.
    #[test]
    fn a_key_that_cannot_be_read_is_left_where_it_is() {
        let home = tempfile::tempdir().unwrap();
        let folder = [home.path().to_owned()];
        // Like a disk that fails, and also for root: no text is read.
        fs::create_dir(home.path().join(FILE.name)).unwrap();
        load_or_make(&folder).unwrap();
        assert!(home.path().join(FILE.name).is_dir());
        fs::remove_dir(home.path().join(FILE.name)).unwrap();
        fs::write(home.path().join(FILE.name), "rubbish").unwrap();
        let made = load_or_make(&folder).unwrap();
        assert_eq!(load_or_make(&folder).unwrap(), made);
        assert_eq!(fs::read_to_string(home.path().join("box-key.bad")).unwrap(), "rubbish");
    }
}
