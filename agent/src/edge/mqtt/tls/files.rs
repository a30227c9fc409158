//! Certificates and keys in the files that the settings name.
//!
//! Whoever can write them decides whom the appliance believes, so their bytes are the owner's; they are read under a cap all the
//! same, since a setting may name any file. Not here: the system's own authorities (`super`).

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use larder_firmware_config::{BrokerTrust, ClientCertificate, MqttSettings};
use rustix::fs::OFlags;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey};

use super::super::failure::{FileFault, FileProblem};

/// More than all authorities of a system together.
const PEM_BYTES_MAX: u64 = 1024 * 1024;
/// How a key behind a passphrase begins, in either of its forms.
const LOCKED: [&str; 2] = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];

/// Every named file that cannot be used; for a check before the start.
pub(crate) fn file_problems(settings: &MqttSettings) -> Vec<FileProblem> {
    let mut problems = Vec::new();
    if let Some(path) = &settings.password_file {
        problems.extend(read("password_file", path).err());
    }
    let Some(tls) = &settings.tls else { return problems };
    if let BrokerTrust::Authority(path) = &tls.trust {
        problems.extend(authorities(path).err());
    }
    if let Some(client) = &tls.client {
        let chain = certificates("certificate_file", &client.certificate);
        match (chain, signer(&client.key, &ring::default_provider())) {
            (Ok(chain), Ok(signer)) => problems.extend(together(client, chain, signer).err()),
            (chain, signer) => problems.extend(chain.err().into_iter().chain(signer.err())),
        }
    }
    problems
}

/// The authorities in a file.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, FileProblem> {
    const KEY: &str = "ca_file";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(KEY, path)? {
        roots.add(certificate).map_err(|_| problem(KEY, path, FileFault::NoCertificate))?;
    }
    Ok(roots)
}

/// The certificate that the appliance shows, with its key.
pub(super) fn client_key(
    client: &ClientCertificate,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, FileProblem> {
    together(client, certificates("certificate_file", &client.certificate)?, signer(&client.key, provider)?)
}

fn together(
    client: &ClientCertificate,
    chain: Vec<CertificateDer<'static>>,
    signer: Arc<dyn SigningKey>,
) -> Result<CertifiedKey, FileProblem> {
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(|_| problem("key_file", &client.key, FileFault::OtherKey))?;
    Ok(certified)
}

/// The private key in a file.
fn signer(path: &Path, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, FileProblem> {
    const KEY: &str = "key_file";
    let text = read(KEY, path)?;
    if LOCKED.iter().any(|locked| text.windows(locked.len()).any(|part| part == locked.as_bytes())) {
        return Err(problem(KEY, path, FileFault::LockedKey));
    }
    let no_key = || problem(KEY, path, FileFault::NoKey);
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| no_key())?;
    provider.key_provider.load_private_key(key).map_err(|_| no_key())
}

/// The certificates in a file, at least one.
fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, FileProblem> {
    let text = read(key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    found
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| problem(key, path, FileFault::NoCertificate))
}

/// Follows links, which is how certificates that are renewed often lie; a FIFO would wait for ever.
fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, FileProblem> {
    let read = || {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(PEM_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error| problem(key, path, FileFault::Unreadable(error)))
}

fn problem(key: &'static str, path: &Path, fault: FileFault) -> FileProblem {
    FileProblem { key, path: path.to_owned(), fault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use std::fs;
    use std::path::PathBuf;

    type IsFault = fn(&FileFault) -> bool;

    /// A certificate and its key in PEM.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["larder.lan".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// The faults of a client certificate, by setting.
    fn faults(certificate: &Path, key: &Path) -> Vec<(&'static str, FileFault)> {
        let client = ClientCertificate { certificate: certificate.to_owned(), key: key.to_owned() };
        let trust = BrokerTrust::SystemAuthorities;
        let tls = larder_firmware_config::BrokerTls { trust, client: Some(client) };
        let settings = MqttSettings { tls: Some(tls), ..MqttSettings::default() };
        file_problems(&settings).into_iter().map(|problem| (problem.key, problem.fault)).collect()
    }

    #[test]
    fn a_certificate_and_its_key_are_taken_as_they_often_lie() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (certificate, key) = pair();
        fs::write(at("1.pem"), format!("a remark\n{certificate}")).unwrap();
        fs::write(at("1.key"), key).unwrap();
        std::os::unix::fs::symlink("1.pem", at("current.pem")).unwrap();
        assert!(faults(&at("current.pem"), &at("1.key")).is_empty(), "renewed certificates lie behind links");
        let roots = authorities(&at("1.pem")).unwrap();
        assert_eq!(roots.len(), 1);
    }

    #[test]
    fn each_fault_of_a_file_is_told_apart_and_all_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| -> PathBuf {
            fs::write(at(name), text).unwrap();
            at(name)
        };
        let (certificate, key) = pair();
        let (good, own) = (write("c.pem", &certificate), write("k.pem", &key));
        let other = write("o.pem", &pair().1);
        let locked = key
            .replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE")
            .replace("END PRIVATE", "END ENCRYPTED PRIVATE");
        let locked = write("l.pem", &locked);
        let empty = write("e.pem", "");
        let half = write("h.pem", &certificate[..certificate.len() / 2]);
        let fifo = at("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let check = |certificate: &Path, key: &Path, expect: &[(&str, IsFault)]| {
            let found = faults(certificate, key);
            assert_eq!(found.len(), expect.len(), "{found:?}");
            for ((setting, fault), (expected, is_it)) in found.iter().zip(expect) {
                assert!(setting == expected && is_it(fault), "{setting}: {fault:?}");
            }
        };
        let (chain, of_key) = ("certificate_file", "key_file");
        check(&good, &other, &[(of_key, |fault| matches!(fault, FileFault::OtherKey))]);
        check(&good, &locked, &[(of_key, |fault| matches!(fault, FileFault::LockedKey))]);
        check(&good, &good, &[(of_key, |fault| matches!(fault, FileFault::NoKey))]);
        check(&own, &own, &[(chain, |fault| matches!(fault, FileFault::NoCertificate))]);
        check(&half, &own, &[(chain, |fault| matches!(fault, FileFault::NoCertificate))]);
        let unreadable: IsFault = |fault| matches!(fault, FileFault::Unreadable(_));
        check(&fifo, folder.path(), &[(chain, unreadable), (of_key, unreadable)]);
        check(
            &at("none"),
            &empty,
            &[(chain, unreadable), (of_key, |fault| matches!(fault, FileFault::NoKey))],
        );
    }
}
