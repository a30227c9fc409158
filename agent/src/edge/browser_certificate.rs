//! The certificate that browsers see: made by this appliance itself, so a browser warns once and then knows it again.
//!
//! Its dates never end and never begin too late: a box whose clock stands at 1970 shows it as well. Computers with `larder` do
//! not look at it (`larder_trust`).

use super::secret_file::SecretFile;
use larder_format::mdns::{KEY_START_DIGITS, host_label};
use larder_trust::{BrowserIdentity, PublicKey};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use std::path::PathBuf;

const FILE: SecretFile<BrowserIdentity> = SecretFile {
    name: "browser-certificate",
    parse: BrowserIdentity::from_pem,
    text: |identity| identity.pem().to_owned(),
};

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate for browsers could be made: {0}")]
pub(crate) struct NoCertificate(#[from] rcgen::Error);

/// The certificate in the first of the folders that has one, or a new one for the host name that goes with `key`; from then
/// on each of the folders has it.
///
/// # Errors
/// `NoCertificate` without random numbers.
pub(crate) fn load_or_make(folders: &[PathBuf], key: &PublicKey) -> Result<BrowserIdentity, NoCertificate> {
    FILE.load_or_make(folders, || make(key))
}

/// Sees to it that each of the folders has the certificate.
pub(crate) fn keep(folders: &[PathBuf], certificate: &BrowserIdentity) {
    FILE.keep(folders, certificate);
}

fn make(key: &PublicKey) -> Result<BrowserIdentity, NoCertificate> {
    let host = format!("{}.local", host_label(&key.to_string()[..KEY_START_DIGITS]));
    let mut params = CertificateParams::new(vec![host])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Larder backup appliance");
    params.not_before = date_time_ymd(1970, 1, 1);
    // The end that RFC 5280 gives to certificates without one.
    params.not_after = date_time_ymd(9999, 12, 31);
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem() + &key.serialize_pem();
    Ok(BrowserIdentity::from_pem(&pem).expect("what was made here"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_trust::SecretKey;

    /// A browser that was told to trust the box is not asked again after a new card or a lost disk.
    #[test]
    fn any_disk_alone_shows_the_same_certificate() {
        let home = tempfile::tempdir().unwrap();
        let folders = ["a", "b"].map(|name| home.path().join(name));
        folders.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        let key = SecretKey::generate().unwrap().public();
        let seen = |folders: &[PathBuf]| load_or_make(folders, &key).unwrap().fingerprint();
        let made = seen(&folders[..1]);
        assert_eq!(seen(&folders), made);
        assert_eq!(seen(&folders[1..]), made);
        let text = std::fs::read_to_string(folders[1].join(FILE.name)).unwrap();
        // A certificate with the key of another one, as a copy that broke off may leave it.
        let other = make(&key).unwrap();
        let key_of = |pem: &str| pem[pem.find("-----BEGIN PRIVATE").unwrap()..].to_owned();
        let mixed = text.replace(&key_of(&text), &key_of(other.pem()));
        for spoilt in ["", "rubbish", &text[..text.len() / 2], &text.replace("CERTIFICATE", "CERT"), &mixed] {
            std::fs::write(folders[0].join(FILE.name), spoilt).unwrap();
            assert_eq!(seen(&folders), made, "{spoilt}");
        }
    }
}
