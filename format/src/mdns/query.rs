//! Questions from the network: which of our own records somebody asks for.

use super::{Announcement, OwnName, WantedRecords, message::kinds};
use crate::{Fields, FormatError};

/// Questions of one message; an honest message asks for a few names.
const QUESTIONS_MAX: usize = 32;
/// Known answers of one message that are looked at. More only make us say again what is known.
const KNOWN_MAX: usize = 64;
/// A name has no more bytes (RFC 1035).
const NAME_BYTES_MAX: usize = 255;
/// Jumps within one name; an honest writer needs one for each label at most.
const JUMPS_MAX: usize = 16;
/// Every bit of a header's second word that makes a message something else than a plain question.
const NO_PLAIN_QUERY: u16 = 0xf800;
const CLASS_INTERNET: u16 = 1;
const CLASS_ANY: u16 = 255;
/// In a question: an answer to the sender alone will do.
const UNICAST_WILL_DO: u16 = 0x8000;
/// Whoever knows our answer for at least so long need not hear it again (RFC 6762, 7.1).
const KNOWN_SECONDS_MIN: u32 = super::message::LONG_SECONDS / 2;

/// The part of a message that asks for our own records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdnsQuery {
    /// To be repeated to an asker who speaks plain DNS.
    pub(super) id: u16,
    /// Name and kind of each question about us; at most `QUESTIONS_MAX`.
    pub(super) questions: Vec<(OwnName, u16)>,
    /// What an answer has to tell.
    pub wanted: WantedRecords,
}

/// Reads a message; nothing where it asks for none of our records, or is no question, or is malformed.
pub fn read_query(message: &[u8], own: &Announcement) -> Option<MdnsQuery> {
    read(message, own).ok().filter(|query| !query.wanted.is_nothing())
}

fn read(message: &[u8], own: &Announcement) -> Result<MdnsQuery, FormatError> {
    let mut reader = MessageReader { message, at: 0 };
    let [id, flags, questions, known] = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    reader.skip(4)?;
    let mut query = MdnsQuery { id, questions: Vec::new(), wanted: WantedRecords::default() };
    let questions = usize::from(questions);
    if flags & NO_PLAIN_QUERY != 0 || questions > QUESTIONS_MAX {
        return Ok(query);
    }
    let names = OwnName::ALL.map(|name| (name, lower(own.name_of(name))));
    for _ in 0..questions {
        let (name, kind, class) = (reader.name()?, reader.u16()?, reader.u16()?);
        let is_for_us = matches!(class & !UNICAST_WILL_DO, CLASS_INTERNET | CLASS_ANY);
        if let Some((asked, _)) = names.iter().find(|(_, own)| is_for_us && *own == name) {
            query.questions.push((*asked, kind));
            query.wanted = query.wanted.and(wanted_by(*asked, kind));
        }
    }
    // A list of known answers that is cut off says nothing; the question stands all the same.
    if query.wanted.pointer
        && is_known(&mut reader, usize::from(known).min(KNOWN_MAX), &names).unwrap_or(false)
    {
        query.wanted.pointer = false;
    }
    Ok(query)
}

fn wanted_by(name: OwnName, kind: u16) -> WantedRecords {
    let is = |one: u16| kind == one || kind == kinds::ANY;
    let none = WantedRecords::default();
    match name {
        OwnName::ServiceTypes => WantedRecords { service_type: is(kinds::PTR), ..none },
        OwnName::Service => WantedRecords { pointer: is(kinds::PTR), ..none },
        OwnName::Instance => WantedRecords { service: is(kinds::SRV), text: is(kinds::TXT), ..none },
        OwnName::Host => WantedRecords { addresses: is(kinds::A) || is(kinds::AAAA), ..none },
    }
}

/// Whether the asker knows already that this appliance is there.
fn is_known(
    reader: &mut MessageReader<'_>,
    known: usize,
    names: &[(OwnName, Vec<u8>); 4],
) -> Result<bool, FormatError> {
    let own = |wanted: OwnName| names.iter().find(|(name, _)| *name == wanted).map(|(_, text)| text);
    for _ in 0..known {
        let name = reader.name()?;
        let (kind, _class, seconds, len) = (reader.u16()?, reader.u16()?, reader.u32()?, reader.u16()?);
        let behind = reader.at.saturating_add(usize::from(len));
        let is_list =
            kind == kinds::PTR && seconds >= KNOWN_SECONDS_MIN && own(OwnName::Service) == Some(&name);
        if is_list && own(OwnName::Instance) == Some(&reader.name()?) {
            return Ok(true);
        }
        reader.at = behind;
    }
    Ok(false)
}

/// Names are the same in any case of ASCII's letters.
fn lower(mut name: Vec<u8>) -> Vec<u8> {
    name.make_ascii_lowercase();
    name
}

/// Big-endian fields of a message, and names that point back into it.
struct MessageReader<'a> {
    message: &'a [u8],
    at: usize,
}

impl MessageReader<'_> {
    fn fields(&self) -> Result<Fields<'_>, FormatError> {
        let rest = self.message.get(self.at..).ok_or(FormatError::Short { what: MESSAGE })?;
        Ok(Fields::new(rest, MESSAGE))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let bytes = self.fields()?.array()?;
        self.at += N;
        Ok(bytes)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), FormatError> {
        self.fields()?.take(bytes)?;
        self.at += bytes;
        Ok(())
    }

    fn u16(&mut self) -> Result<u16, FormatError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A name as it would travel without compression, in small letters.
    fn name(&mut self) -> Result<Vec<u8>, FormatError> {
        let (mut name, mut at, mut behind, mut jumps) = (Vec::new(), self.at, None, 0);
        let short = FormatError::Short { what: MESSAGE };
        loop {
            let len = *self.message.get(at).ok_or(short.clone())?;
            match len {
                0 => break,
                1..=63 => {
                    let end = at + 1 + usize::from(len);
                    name.extend_from_slice(self.message.get(at..end).ok_or(short.clone())?);
                    at = end;
                }
                0xc0.. => {
                    let low = *self.message.get(at + 1).ok_or(short.clone())?;
                    behind = behind.or(Some(at + 2));
                    let to = usize::from(len & 0x3f) << 8 | usize::from(low);
                    jumps += 1;
                    // Forward or in a circle, a name would never end.
                    if to >= at || jumps > JUMPS_MAX {
                        return Err(FormatError::Invalid { what: MESSAGE, why: "a name points nowhere" });
                    }
                    at = to;
                }
                _ => return Err(FormatError::Invalid { what: MESSAGE, why: "a label of an unknown kind" }),
            }
            if name.len() >= NAME_BYTES_MAX {
                return Err(FormatError::Invalid { what: MESSAGE, why: "a name is too long" });
            }
        }
        name.push(0);
        self.at = behind.unwrap_or(at + 1);
        Ok(lower(name))
    }
}

const MESSAGE: &str = "a message of multicast DNS";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdns::tests::announcement;

    fn question(names: &[(&[&str], u16, u16)]) -> Vec<u8> {
        let count = u8::try_from(names.len()).unwrap();
        let mut message = vec![7, 9, 0, 0, 0, count, 0, 0, 0, 0, 0, 0];
        for (labels, kind, class) in names {
            message.extend(super::super::encoded(labels));
            message.extend(kind.to_be_bytes());
            message.extend(class.to_be_bytes());
        }
        message
    }

    fn wanted(message: &[u8]) -> Option<WantedRecords> {
        read_query(message, &announcement()).map(|query| query.wanted)
    }

    const SERVICE: &[&str] = &["_LARDER", "_tcp", "Local"];
    const INSTANCE: &[&str] = &["Larder 3fa90c21", "_larder", "_tcp", "local"];
    const HOST: &[&str] = &["larder-3fa90c21", "local"];

    #[test]
    fn each_question_about_us_is_understood() {
        let none = WantedRecords::default();
        let check = |labels, kind, class, expect| {
            assert_eq!(wanted(&question(&[(labels, kind, class)])), expect, "{labels:?} {kind} {class}");
        };
        check(SERVICE, kinds::PTR, 1, Some(WantedRecords { pointer: true, ..none }));
        check(SERVICE, kinds::PTR, 0x8001, Some(WantedRecords { pointer: true, ..none }));
        check(SERVICE, kinds::PTR, 2, None);
        check(SERVICE, kinds::SRV, 1, None);
        check(INSTANCE, kinds::ANY, 255, Some(WantedRecords { service: true, text: true, ..none }));
        check(HOST, kinds::AAAA, 1, Some(WantedRecords { addresses: true, ..none }));
        check(
            &["_services", "_dns-sd", "_udp", "local"],
            kinds::PTR,
            1,
            Some(WantedRecords { service_type: true, ..none }),
        );
        check(&["larder-00000000", "local"], kinds::A, 1, None);
        check(&["larder", "local"], kinds::A, 1, None);
    }

    #[test]
    fn answers_and_updates_are_no_questions() {
        for flags in [0x8000_u16, 0x8400, 0x2800, 0x7800] {
            let mut message = question(&[(SERVICE, kinds::PTR, 1)]);
            message[2..4].copy_from_slice(&flags.to_be_bytes());
            assert_eq!(wanted(&message), None, "{flags:x}");
        }
    }

    /// Somebody who knows of us for long hears nothing; a list that is cut off or old silences nobody.
    #[test]
    fn what_is_known_is_not_said_again() {
        let known = |seconds: u32, instance: &[&str]| {
            let mut message = question(&[(SERVICE, kinds::PTR, 1)]);
            message[7] = 1;
            // The name of the question, by a pointer back.
            message.extend([0xc0, 12]);
            message.extend(kinds::PTR.to_be_bytes());
            message.extend(1_u16.to_be_bytes());
            message.extend(seconds.to_be_bytes());
            let name = crate::mdns::encoded(instance);
            message.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
            message.extend(name);
            message
        };
        assert_eq!(wanted(&known(4500, INSTANCE)), None);
        let asks = Some(WantedRecords { pointer: true, ..WantedRecords::default() });
        assert_eq!(wanted(&known(100, INSTANCE)), asks);
        assert_eq!(wanted(&known(4500, &["Other", "_larder", "_tcp", "local"])), asks);
        let whole = known(4500, INSTANCE);
        assert_eq!(wanted(&whole[..whole.len() - 3]), asks);
    }

    #[test]
    fn hostile_names_end() {
        let header = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        // A pointer to itself, forward, two in a circle, behind the end, an unknown kind of label, a label without end.
        for name in
            [&[0xc0_u8, 12][..], &[0xc0, 40], &[1, b'a', 0xc0, 12], &[0xff, 0xff], &[0x80, 0], &[63, 1]]
        {
            let message = [&header[..], name, &[0; 8]].concat();
            assert_eq!(wanted(&message), None, "{name:?}");
        }
        let long = [&header[..], &[&[63][..], &[b'a'; 63]].concat().repeat(200), &[0, 0, 12, 0, 1]].concat();
        assert_eq!(wanted(&long), None);
        let whole = question(&[(SERVICE, kinds::PTR, 1)]);
        for len in 0..whole.len() {
            assert_eq!(wanted(&whole[..len]), None, "cut after {len}");
        }
        let many = vec![(SERVICE, kinds::PTR, 1); QUESTIONS_MAX + 1];
        assert_eq!(wanted(&question(&many)), None);
    }
}
