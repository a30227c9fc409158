//! What an appliance says: its records in one message.

use super::{ADDRESSES_MAX, Announcement, KEY_START_DIGITS, MdnsQuery, OwnName, WantedRecords};
use core::net::IpAddr;

/// Kinds of records (RFC 1035, 2782, 3596).
pub(super) mod kinds {
    pub(in crate::mdns) const A: u16 = 1;
    pub(in crate::mdns) const PTR: u16 = 12;
    pub(in crate::mdns) const TXT: u16 = 16;
    pub(in crate::mdns) const AAAA: u16 = 28;
    pub(in crate::mdns) const SRV: u16 = 33;
    pub(in crate::mdns) const ANY: u16 = 255;
}

/// An answer that speaks with authority.
const ANSWER: u16 = 0x8400;
const CLASS_INTERNET: u16 = 1;
/// Others are to forget what they knew of this name before.
const REPLACES: u16 = 0x8000;
/// Records that name a host (RFC 6762, 10).
const SHORT_SECONDS: u32 = 120;
/// All other records.
pub(super) const LONG_SECONDS: u32 = 4500;
/// Whoever speaks plain DNS hears of no change, so their answer must not last (RFC 6762, 6.7).
const PLAIN_SECONDS_MAX: u32 = 10;

/// How long others may believe a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordLifetime {
    /// As long as the standard says.
    Usual,
    /// No longer: the appliance goes.
    Goodbye,
}

impl Announcement {
    /// A message for everybody on the link where the appliance has these addresses.
    pub fn message(&self, wanted: WantedRecords, addresses: &[IpAddr], lifetime: RecordLifetime) -> Vec<u8> {
        let seconds_max = if lifetime == RecordLifetime::Goodbye { 0 } else { u32::MAX };
        Writer { own: self, addresses, seconds_max, replaces: REPLACES }.message(0, &[], wanted)
    }

    /// An answer for an asker who speaks plain DNS.
    pub fn plain_answer(&self, query: &MdnsQuery, addresses: &[IpAddr]) -> Vec<u8> {
        let writer = Writer { own: self, addresses, seconds_max: PLAIN_SECONDS_MAX, replaces: 0 };
        writer.message(query.id, &query.questions, query.wanted)
    }
}

struct Writer<'a> {
    own: &'a Announcement,
    addresses: &'a [IpAddr],
    seconds_max: u32,
    /// `REPLACES`, or nothing in plain DNS, which has no such bit.
    replaces: u16,
}

impl Writer<'_> {
    fn message(&self, id: u16, questions: &[(OwnName, u16)], wanted: WantedRecords) -> Vec<u8> {
        let (answers, besides) = (self.records(wanted), self.records(wanted.besides()));
        let count = |of: usize| u16::try_from(of).unwrap_or_default();
        let header = [id, ANSWER, count(questions.len()), count(answers.len()), 0, count(besides.len())];
        let mut message: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
        for (name, kind) in questions {
            message.extend(self.own.name_of(*name));
            message.extend([*kind, CLASS_INTERNET].iter().flat_map(|word| word.to_be_bytes()));
        }
        message.extend(answers.concat());
        message.extend(besides.concat());
        message
    }

    fn records(&self, wanted: WantedRecords) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        let own = |name| self.own.name_of(name);
        if wanted.service_type {
            records.push(self.record(OwnName::ServiceTypes, kinds::PTR, &own(OwnName::Service)));
        }
        if wanted.pointer {
            records.push(self.record(OwnName::Service, kinds::PTR, &own(OwnName::Instance)));
        }
        if wanted.service {
            // Priority and weight: there is one host.
            let target = [&[0; 4][..], &self.own.port.to_be_bytes(), &own(OwnName::Host)].concat();
            records.push(self.record(OwnName::Instance, kinds::SRV, &target));
        }
        if wanted.text {
            let texts = self.own.texts();
            let text =
                |text: &String| [&[u8::try_from(text.len()).unwrap_or_default()], text.as_bytes()].concat();
            records.push(self.record(
                OwnName::Instance,
                kinds::TXT,
                &texts.iter().flat_map(text).collect::<Vec<u8>>(),
            ));
        }
        if wanted.addresses {
            records.extend(self.addresses.iter().take(ADDRESSES_MAX).map(|address| match address {
                IpAddr::V4(address) => self.record(OwnName::Host, kinds::A, &address.octets()),
                IpAddr::V6(address) => self.record(OwnName::Host, kinds::AAAA, &address.octets()),
            }));
        }
        records
    }

    fn record(&self, name: OwnName, kind: u16, value: &[u8]) -> Vec<u8> {
        // Lists are made by many hosts together; all else is this appliance's own.
        let replaces = if kind == kinds::PTR { 0 } else { self.replaces };
        let seconds = if matches!(kind, kinds::PTR | kinds::TXT) { LONG_SECONDS } else { SHORT_SECONDS };
        let mut record = self.own.name_of(name);
        record.extend(kind.to_be_bytes());
        record.extend((CLASS_INTERNET | replaces).to_be_bytes());
        record.extend(seconds.min(self.seconds_max).to_be_bytes());
        record.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        record.extend_from_slice(value);
        record
    }
}

const _: () = assert!(KEY_START_DIGITS <= 16, "the labels are cut for a short key");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdns::{read_query, tests::announcement};

    fn addresses() -> Vec<IpAddr> {
        ["192.168.1.20", "fd00::20"].iter().map(|address| address.parse().unwrap()).collect()
    }

    /// Byte by byte what stands in the standard: a change here is one that other programs see.
    #[test]
    fn a_pointer_and_what_goes_along() {
        let message = announcement().message(
            WantedRecords { pointer: true, ..WantedRecords::default() },
            &addresses(),
            RecordLifetime::Usual,
        );
        let mut expect = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 4];
        expect.extend(b"\x07_larder\x04_tcp\x05local\0\0\x0c\0\x01\0\0\x11\x94\0\x24");
        expect.extend(b"\x0fLarder 3fa90c21\x07_larder\x04_tcp\x05local\0");
        expect.extend(b"\x0fLarder 3fa90c21\x07_larder\x04_tcp\x05local\0\0\x21\x80\x01\0\0\0\x78\0\x1d");
        expect.extend(b"\0\0\0\0\x21\x1d\x0flarder-3fa90c21\x05local\0");
        expect.extend(b"\x0fLarder 3fa90c21\x07_larder\x04_tcp\x05local\0\0\x10\x80\x01\0\0\x11\x94\0\x37");
        expect.extend(b"\x0bname=Larder\x0dversion=0.1.0\x0flevel=needs-you\x0ckey=3fa90c21");
        expect.extend(b"\x0flarder-3fa90c21\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\xc0\xa8\x01\x14");
        expect.extend(b"\x0flarder-3fa90c21\x05local\0\0\x1c\x80\x01\0\0\0\x78\0\x10\xfd\0");
        expect.extend([0; 13]);
        expect.push(0x20);
        assert_eq!(message, expect);
    }

    #[test]
    fn a_goodbye_ends_every_record() {
        let message = announcement().message(WantedRecords::ANNOUNCED, &addresses(), RecordLifetime::Goodbye);
        for seconds in [SHORT_SECONDS, LONG_SECONDS] {
            let bytes = seconds.to_be_bytes();
            assert!(!message.windows(6).any(|found| found[2..] == bytes && found[1] == 1), "{seconds}");
        }
    }

    #[test]
    fn the_longest_message_fits_into_a_packet() {
        let long = Announcement { name: "n".repeat(300), version: "v".repeat(300), ..announcement() };
        let addresses = ["2001:db8::1".parse().unwrap(); 100];
        let message = long.message(WantedRecords::ANNOUNCED, &addresses, RecordLifetime::Usual);
        // The smallest packet that every link takes under IPv6, without its headers.
        assert!(message.len() <= 1280 - 48, "{}", message.len());
    }

    /// Whoever speaks plain DNS gets their question back, and an answer that does not last.
    #[test]
    fn an_asker_of_plain_dns_is_answered_in_it() {
        let mut asked = vec![7, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        asked.extend(b"\x0flarder-3fa90c21\x05local\0\0\x01\0\x01");
        let query = read_query(&asked, &announcement()).expect("about us");
        let answer = announcement().plain_answer(&query, &addresses()[..1]);
        let mut expect = vec![7, 9, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0];
        expect.extend(&asked[12..]);
        expect.extend(b"\x0flarder-3fa90c21\x05local\0\0\x01\0\x01\0\0\0\x0a\0\x04\xc0\xa8\x01\x14");
        assert_eq!(answer, expect);
    }
}
