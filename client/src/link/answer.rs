//! Answers, and answers that never came: how long an answer may be, and why there is none.
//!
//! A box, or a program on the way, may send for ever. So each question says how much an honest answer can need, and
//! the reading ends there. Not here: which question is asked (`questions`), trying again (`connection`).

use crate::{ClientError, NoAnswer};
use larder_format::wire::{IDS_MAX, Problem};
use rustls::CertificateError;
use std::io::{self, ErrorKind, Read};
use ureq::{Body, Timeout, http::Response};

/// How long an honest answer can be.
#[derive(Debug, Clone, Copy)]
pub(super) enum AnswerSize {
    /// A few values: who the caller is, a receipt, a snapshot.
    Facts,
    /// A list of names or places of chunks, as long as the question at most.
    PerChunk,
    /// Hashes of ledger entries, or what became of some snapshots.
    Links,
    /// A report of everything: sources, snapshots, versions, status.
    Report,
}

impl AnswerSize {
    /// Bytes. Without the limits, an endless answer would fill the memory of this computer.
    fn bytes_max(self) -> u64 {
        const KIB: u64 = 1024;
        match self {
            // A receipt names every disk that holds the snapshot, and every disk that does not.
            Self::Facts => 256 * KIB,
            // A name has 32 bytes, a place fewer.
            Self::PerChunk => 40 * IDS_MAX as u64 + KIB,
            // 8192 hashes are a quarter of that; a thousand snapshots let go of have some 300 bytes each.
            Self::Links => KIB * KIB,
            // A hundred thousand snapshots, at most 700 bytes each.
            Self::Report => 64 * KIB * KIB,
        }
    }
}

/// Why an answer could not be had whole.
pub(super) enum AnswerError {
    /// The connection ended.
    Cut(ureq::Error),
    /// More came than any honest answer needs; the limit in bytes.
    TooLong(u64),
}

/// Reads an answer up to the end.
pub(super) fn read_answer(answer: &mut Response<Body>, size: AnswerSize) -> Result<Vec<u8>, AnswerError> {
    read_up_to(answer.body_mut().as_reader(), size.bytes_max())
}

fn read_up_to(from: impl Read, most: u64) -> Result<Vec<u8>, AnswerError> {
    let mut body = Vec::new();
    let read = from.take(most + 1).read_to_end(&mut body);
    read.map_err(|error| AnswerError::Cut(error.into()))?;
    if body.len() as u64 > most { Err(AnswerError::TooLong(most)) } else { Ok(body) }
}

/// Why there is no answer, as far as this computer can tell.
pub(super) fn why_no_answer(error: &ureq::Error) -> NoAnswer {
    match error {
        ureq::Error::HostNotFound | ureq::Error::Timeout(Timeout::Resolve) => NoAnswer::UnknownName,
        ureq::Error::Timeout(_) => NoAnswer::TooSlow,
        ureq::Error::Io(error) if let Some(error) = tls_error(error) => why_no_handshake(error),
        ureq::Error::Io(error) => why_no_connection(error),
        _ => NoAnswer::BrokenOff,
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|cause| cause.downcast_ref())
}

fn why_no_handshake(error: &rustls::Error) -> NoAnswer {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            NoAnswer::OtherAppliance
        }
        // Bytes that are no record of TLS, or a server with certificates of another kind.
        rustls::Error::InvalidMessage(_)
        | rustls::Error::PeerIncompatible(_)
        | rustls::Error::InvalidCertificate(_) => NoAnswer::NoEncryption,
        _ => NoAnswer::BrokenOff,
    }
}

fn why_no_connection(error: &io::Error) -> NoAnswer {
    match error.kind() {
        ErrorKind::ConnectionRefused => NoAnswer::NothingListens,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            NoAnswer::NoWay
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => NoAnswer::TooSlow,
        // The standard library has no kind for an unknown name, only these words.
        _ if error.to_string().starts_with("failed to lookup address") => NoAnswer::UnknownName,
        _ => NoAnswer::BrokenOff,
    }
}

/// An answer of blocks went on after everything that was asked for could have come.
pub(super) fn endless(address: &str) -> ClientError {
    ClientError::Damaged(format!("{address} sent more blocks than chunks were asked for"))
}

/// Stands in for an answer without a problem of ours: a program between the client and the appliance made the answer.
pub(super) fn stand_in(status: u16) -> Problem {
    Problem {
        code: if matches!(status, 429 | 503) { "busy" } else { "failed" }.to_owned(),
        what: format!("The appliance answered with status {status} and no reason."),
        meaning: "Nothing that is already in the backup changed.".to_owned(),
        remedy: "Check the address: something else may answer there.".to_owned(),
        details: format!("HTTP status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_apart() {
        let kinds = [
            (ErrorKind::ConnectionRefused, NoAnswer::NothingListens),
            (ErrorKind::HostUnreachable, NoAnswer::NoWay),
            (ErrorKind::NetworkUnreachable, NoAnswer::NoWay),
            (ErrorKind::TimedOut, NoAnswer::TooSlow),
            (ErrorKind::ConnectionReset, NoAnswer::BrokenOff),
        ];
        for (kind, expect) in kinds {
            assert_eq!(why_no_answer(&ureq::Error::Io(kind.into())), expect, "{kind}");
        }
        assert_eq!(why_no_answer(&ureq::Error::Timeout(Timeout::Connect)), NoAnswer::TooSlow);
        // A name under a domain that is reserved for names that do not exist (RFC 6761).
        let asked = std::net::ToSocketAddrs::to_socket_addrs("nowhere.invalid:1").expect_err("no such name");
        assert_eq!(why_no_answer(&ureq::Error::Io(asked)), NoAnswer::UnknownName);
    }

    #[test]
    fn an_endless_answer_ends() {
        let read = read_up_to(io::repeat(b' '), 1000);
        assert!(matches!(read, Err(AnswerError::TooLong(1000))));
        assert_eq!(read_up_to(&[7u8; 1000][..], 1000).ok(), Some(vec![7; 1000]));
    }
}
