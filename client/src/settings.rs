//! The memory of this computer between runs: the pairing, the place of the cache, and the last seen head.
//!
//! The pairing holds a secret and is readable by the owner alone.

use crate::{
    ClientError, PairingLack,
    platform::{cache_folder, config_folder, private_file, public_file, state_folder},
};
use larder_format::{
    ChunkRef, Hash,
    ledger::{Head, composed, is_folder_name, is_plain_name, is_visible},
    statement::StatementKind,
    wire::SignedWord,
};
use larder_trust::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::{
    fs,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Address and keys of an appliance.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedAppliance {
    /// `https://HOST:PORT`.
    pub address: String,
    /// By which both ends know each other.
    pub keys: PairedKeys,
}

/// What stands in a pairing from before there was encryption.
#[derive(Deserialize)]
struct UnencryptedPairing {
    #[serde(rename = "token")]
    _token: IgnoredAny,
}

/// The keys of a pairing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedKeys {
    /// Of the appliance.
    #[serde(with = "key_text")]
    pub appliance: PublicKey,
    /// Of this computer, with its secret.
    #[serde(with = "key_text")]
    pub own: SecretKey,
}

/// Keys as hex digits.
mod key_text {
    use larder_trust::{PublicKey, SecretKey, TrustError};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// A key that is written as a text.
    pub(super) trait KeyText: Sized {
        fn read(text: &str) -> Result<Self, TrustError>;
        fn text(&self) -> String;
    }

    impl KeyText for PublicKey {
        fn read(text: &str) -> Result<Self, TrustError> {
            Self::from_hex(text)
        }

        fn text(&self) -> String {
            self.to_string()
        }
    }

    impl KeyText for SecretKey {
        fn read(text: &str) -> Result<Self, TrustError> {
            Self::from_hex(text)
        }

        fn text(&self) -> String {
            self.to_hex()
        }
    }

    pub(super) fn serialize<K: KeyText, S: Serializer>(key: &K, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&key.text())
    }

    pub(super) fn deserialize<'de, K: KeyText, D: Deserializer<'de>>(from: D) -> Result<K, D::Error> {
        K::read(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

// The secret must not end up in a log by way of `{:?}`.
impl std::fmt::Debug for PairedAppliance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairedAppliance").field("address", &self.address).finish_non_exhaustive()
    }
}

impl PairedAppliance {
    /// Where the pairing lies unless the owner says otherwise.
    ///
    /// # Errors
    /// `Usage` when this account has no home.
    pub fn default_path() -> Result<PathBuf, ClientError> {
        Ok(home(config_folder())?.join("larder/appliance.toml"))
    }

    /// Reads a pairing.
    ///
    /// # Errors
    /// `NotPaired` without a pairing, `Local` when the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, ClientError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (lack, cause) = (PairingLack::Pairing, format!("{} does not exist", path.display()));
                return Err(ClientError::NotPaired { lack, cause });
            }
            Err(error) => return Err(ClientError::local("reading the pairing", path, error)),
        };
        toml::from_str(&text).map_err(|error| {
            if toml::from_str::<UnencryptedPairing>(&text).is_ok() {
                let cause = format!("{} has a token, and no keys", path.display());
                return ClientError::NotPaired { lack: PairingLack::Encryption, cause };
            }
            ClientError::local("reading the pairing", path, io::Error::other(without_key(&text, &error)))
        })
    }

    /// Writes the pairing, readable by the owner alone.
    ///
    /// # Errors
    /// `Local`.
    pub fn store(&self, path: &Path) -> Result<(), ClientError> {
        let text = toml::to_string(self).expect("two lines of text");
        replace(path, text.as_bytes()).map_err(|error| ClientError::local("writing the pairing", path, error))
    }
}

/// The mistake and the number of the line. The error's own text shows the whole line, and the key may stand in the
/// line.
fn without_key(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before.map(|before| before.matches('\n').count() + 1) {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

/// Where the cache of `source` lies, for the vault with this name.
///
/// # Errors
/// `Usage` when this account has no home.
pub(crate) fn cache_path(vault: &str, source: &str) -> Result<PathBuf, ClientError> {
    let file = match source.split_once('/') {
        Some((device, name)) if is_plain_name(name) => format!("{device}@{name}.cache"),
        // A longer name would not fit as a file's name.
        _ => format!("{}.cache", Hash::of(source.as_bytes())),
    };
    Ok(home(cache_folder())?.join("larder").join(plain(vault)).join(file))
}

/// Path of the file that remembers the last seen head of a vault.
///
/// # Errors
/// `Usage` when this account has no home.
pub(crate) fn state_path(vault: &str) -> Result<PathBuf, ClientError> {
    Ok(home(state_folder())?.join("larder").join(format!("{}.json", plain(vault))))
}

/// The vault's name comes over the network and must not lead anywhere as a path.
fn plain(vault: &str) -> String {
    vault.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}

pub(crate) fn home(folder: Option<PathBuf>) -> Result<PathBuf, ClientError> {
    folder.ok_or_else(|| {
        ClientError::Usage(
            "this account has no home folder; set HOME, or name the pairing with --appliance".to_owned(),
        )
    })
}

/// A source's name made of a folder's name: as it is written. None where the folder's name cannot be a source's.
pub fn source_name_for(folder: &Path) -> Option<String> {
    let Some(name) = folder.file_name() else { return Some("files".to_owned()) };
    name.to_str().map(composed).filter(|name| is_folder_name(name) && is_visible(name))
}

/// The name that earlier versions gave: each character outside ASCII's letters, digits, `_` and `.` became `-`.
pub(crate) fn former_source_name_for(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') { c } else { '-' };
    let name: String = name.chars().map(plain).take(64).collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "files".to_owned() } else { name.to_owned() }
}

/// A name for the files and timers that belong to the source called `name`, in letters that every system takes.
pub(crate) fn handle_of(name: &str) -> String {
    if is_plain_name(name) {
        return name.to_owned();
    }
    let mut letters = former_source_name_for(Path::new(name));
    letters.truncate(48);
    // Without the hash `写真` and `音楽` would be one.
    format!("{letters}-{}", Hash::of(name.as_bytes()).short())
}

/// The head of a vault's ledger as this computer last saw the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenHead {
    /// The head.
    pub(crate) head: Head,
    /// The last receipt, if any.
    pub(crate) receipt: Option<larder_format::wire::Receipt>,
    /// The root that the receipt is for; none in a file of an earlier version.
    #[serde(default)]
    pub(crate) root: Option<ChunkRef>,
    /// The appliance's word on the head, where there is no receipt.
    #[serde(default)]
    pub(crate) signed: Option<SignedWord>,
}

impl SeenHead {
    /// The last seen head; nothing at first, and nothing where the file cannot be read.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Remembers the head.
    ///
    /// # Errors
    /// Errors of writing the file.
    pub(crate) fn store(&self, path: &Path) -> io::Result<()> {
        replace(path, &serde_json::to_vec_pretty(self)?)
    }

    /// The appliance's word on the head, and what kind of word it is.
    pub(crate) fn word(&self) -> Option<(&SignedWord, StatementKind<'_>)> {
        match (&self.receipt, &self.root) {
            (Some(receipt), Some(root)) if receipt.head == self.head => {
                Some((receipt.signed.as_ref()?, StatementKind::Snapshot { source: &receipt.source, root }))
            }
            _ => Some((self.signed.as_ref()?, StatementKind::Newest)),
        }
    }

    /// Whether `head` cannot follow from the last seen head: the past was cut off or written anew.
    pub(crate) fn contradicts(&self, head: &Head) -> bool {
        head.sequence < self.head.sequence
            || (head.sequence == self.head.sequence && head.hash != self.head.hash)
    }
}

/// Writes a file beside the old file and renames the new file: half a pairing would be no pairing.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(path, bytes, private_file)
}

/// The same for a file that other accounts may read, such as a unit of systemd.
pub(crate) fn replace_public(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(path, bytes, public_file)
}

/// Adds a line to the end of a file that only this account reads, and waits until it is on the disk. A line that was cut off before
/// ends first, so that one torn line costs no other. Returns the length of the file.
pub(crate) fn append_line(path: &Path, line: &str) -> io::Result<u64> {
    if !path.try_exists()? {
        replace(path, b"")?;
    }
    let mut file = fs::OpenOptions::new().read(true).append(true).open(path)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(io::SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let before = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{before}{line}\n").as_bytes())?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// Keeps other runs of this program out until the guard is dropped.
pub(crate) fn locked(path: &Path) -> io::Result<fs::File> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.lock()?;
    Ok(file)
}

fn put(path: &Path, bytes: &[u8], make: fn(&Path) -> io::Result<NamedTempFile>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = make(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(|_| ()).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::OpenFolder;

    #[test]
    fn a_source_is_called_as_its_folder_is_written() {
        let name = |folder: &str| source_name_for(Path::new(folder));
        for folder in ["Photos", "My Files (2024)", "Böse", "...", ".config", "写真"] {
            assert_eq!(name(&format!("/home/ada/{folder}")).as_deref(), Some(folder));
        }
        assert_eq!(name("/").as_deref(), Some("files"));
        assert_eq!(name("/a/Bo\u{308}se").as_deref(), Some("B\u{f6}se"));
        for none in ["/a/two\nlines", "/a/ space", "/a/b\u{202e}c"] {
            assert_eq!(name(none), None, "{none:?}");
        }
    }

    #[test]
    fn the_former_name_of_a_folder_is_still_known() {
        let check = |folder: &str, expect: &str| {
            assert_eq!(former_source_name_for(Path::new(folder)), expect, "{folder}");
            assert!(is_plain_name(expect));
        };
        check("/a/My Files", "My-Files");
        check("/a/Böse", "B-se");
        check("/x/...", "files");
        check("/x/äöü", "files");
        check("/a/Photos", "Photos");
    }

    #[test]
    fn names_of_any_letters_have_different_plain_handles() {
        assert_eq!(handle_of("Photos"), "Photos");
        let long = "ä".repeat(120);
        let mut handles = ["B-se", "Böse", "写真", "音楽", ".config", "My Files", &long].map(handle_of);
        assert!(handles.iter().all(|handle| is_plain_name(handle)), "{handles:?}");
        handles.sort();
        assert!(handles.windows(2).all(|two| two[0] != two[1]), "{handles:?}");
    }

    /// Each source has a cache of its own, in a file that every filesystem takes.
    #[test]
    fn caches_of_different_sources_are_different_files() {
        let long = format!("laptop/{}", "ä".repeat(127));
        let sources = ["laptop/a", "laptop/A b", "laptop/a@b", "laptop/..a", &long];
        let mut files: Vec<_> = sources.iter().map(|source| cache_path("v", source).unwrap()).collect();
        assert!(files[0].ends_with("v/laptop@a.cache"), "as before: {:?}", files[0]);
        assert!(files.iter().all(|file| file.file_name().unwrap().len() <= 255));
        files.sort();
        files.dedup();
        assert_eq!(files.len(), sources.len());
    }

    #[test]
    fn a_pairing_comes_back_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/appliance.toml");
        let own = SecretKey::generate().unwrap();
        let keys = PairedKeys { appliance: own.public(), own: own.clone() };
        let pairing = PairedAppliance { address: "https://larder:8477".into(), keys };
        pairing.store(&path).unwrap();
        assert_eq!(PairedAppliance::load(&path).unwrap(), pairing);
        let found =
            OpenFolder::open(path.parent().unwrap()).unwrap().as_ref().status_at(b"appliance.toml").unwrap();
        assert_eq!(found.permissions & 0o777, 0o600);
        assert!(!format!("{pairing:?}").contains(&own.to_hex()));
    }

    #[test]
    fn a_pairing_without_encryption_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("appliance.toml");
        fs::write(&path, "address = \"http://larder:8477\"\ntoken = \"s3cret\"\n").unwrap();
        let told = PairedAppliance::load(&path).unwrap_err();
        assert!(matches!(&told, ClientError::NotPaired { lack: PairingLack::Encryption, .. }), "{told:?}");
        assert!(!format!("{told:?}").contains("s3cret"));
    }

    #[test]
    fn a_mistake_in_the_pairing_does_not_print_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("appliance.toml");
        let check = |text: &str, line: &str| {
            fs::write(&path, text).unwrap();
            let trouble = PairedAppliance::load(&path).unwrap_err();
            let told = format!("{trouble} {trouble:?}");
            assert!(told.contains(line) && !told.contains("s3cret"), "{text}: {told}");
        };
        let address = "address = \"https://larder:8477\"\n[keys]\n";
        check(&format!("{address}own = \"s3cret\n"), "line 3");
        check(&format!("{address}own = s3cret\n"), "line 3");
        check(&format!("{address}own = \"s3cret\"\n"), "line 3");
        check(&format!("{address}\nown: \"s3cret\"\n"), "line 4");
        check("address = 5 # s3cret\nown = \"s3cret\"\n", "line 1");
        check(&format!("{address}own = \"00\"\nown = \"s3cret\"\n"), "line 4");
        check(&format!("{address}onw = \"s3cret\"\n"), "line 3");
    }

    #[test]
    fn a_head_that_goes_back_or_forks_is_noticed() {
        let head = |sequence, hash: &[u8]| Head { sequence, hash: Hash::of(hash) };
        let seen = SeenHead { head: head(5, b"five"), receipt: None, root: None, signed: None };
        assert!(seen.contradicts(&head(4, b"four")));
        assert!(seen.contradicts(&head(5, b"another five")));
        assert!(!seen.contradicts(&head(5, b"five")));
        assert!(!seen.contradicts(&head(6, b"six")));
    }
}
