//! What is wrong with a file that the settings name: in the check of the settings, and in the state of the connection.

use std::io::ErrorKind;
use std::path::Path;

use super::super::failure::{FileFault, FileProblem};
use super::super::reason::BrokerTrouble;
use crate::phrase::sentence;

/// A file that cannot be used, found at a try.
pub(super) fn trouble(problem: &FileProblem) -> BrokerTrouble {
    let (found, instead) = file_in_words(problem);
    BrokerTrouble::lasting(
        format!("the setting `mqtt.{}` for the MQTT broker names {found}", problem.key),
        sentence(&instead),
    )
}

/// What the named file is, and what to do instead; the rest of "found ..." and of "instead ...".
pub(crate) fn file_in_words(problem: &FileProblem) -> (String, String) {
    let path = problem.path.display();
    let kind = if problem.key == "key_file" { "PRIVATE KEY" } else { "CERTIFICATE" };
    let name_one = format!("name a PEM file, which has the line -----BEGIN {kind}-----");
    match &problem.fault {
        FileFault::Unreadable(error) if error.kind() == ErrorKind::NotFound => {
            (format!("{path}, which is not there"), "correct the path, or put the file there".to_owned())
        }
        FileFault::Unreadable(error) if error.kind() == ErrorKind::PermissionDenied => {
            (format!("{path}, which may not be read"), readable(&problem.path))
        }
        FileFault::Unreadable(error) => {
            (format!("{path}, which cannot be read ({error})"), "name a file".to_owned())
        }
        FileFault::NoCertificate => (format!("{path}, in which there is no certificate"), name_one),
        FileFault::NoKey => (format!("{path}, in which there is no private key that can be used"), name_one),
        FileFault::LockedKey => (
            format!("{path}, a key behind a passphrase, which nobody is there to type"),
            format!("write the key without one: openssl pkey -in {path} -out NEW-FILE"),
        ),
        FileFault::OtherKey => (
            format!("{path}, which is not the key of the certificate in certificate_file"),
            "name the key that was made with that certificate".to_owned(),
        ),
    }
}

/// How the agent's account gets to read a file, and nobody else.
fn readable(path: &Path) -> String {
    let path = path.display();
    format!("let the agent read it: sudo chown root:larder {path}; sudo chmod 0640 {path}")
}
