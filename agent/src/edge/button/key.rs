//! A button that the kernel reports as a key under `/dev/input`.
//!
//! The device is found by the key that it has, as sysfs tells it, and never by its number. What is read are the kernel's own
//! records of a fixed size (`struct input_event` of `linux/input.h`): two numbers of the machine's word for the time, which
//! nobody needs here, then kind, code and value. A crate for that would bring its own ioctls and a few thousand lines for
//! sixteen bytes.
//!
//! A keyboard is no button of the box: whoever opens one reads every password that is typed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::contact::{AnyContact, wait_for};

const TIME_BYTES: usize = 2 * size_of::<usize>();
const RECORD_BYTES: usize = TIME_BYTES + 8;
/// The kernel keeps as many for one reader of such a device.
const RECORDS_MAX: usize = 64;
/// Buttons of a box; a keyboard has a hundred and more.
const KEYS_MAX: u32 = 32;

/// Kinds and values of records (`linux/input-event-codes.h`).
const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const SYN_DROPPED: u16 = 3;
const RELEASED: i32 = 0;
const PRESSED: i32 = 1;

/// One key of a device.
pub(super) struct KeyContact {
    file: File,
    /// None: every key counts.
    code: Option<u16>,
    is_pressed: bool,
}

impl KeyContact {
    /// The key on the device that has it; of several the one with the fewest keys.
    pub(super) fn find(root: &Path, code: u16) -> Result<KeyContact, String> {
        let name = device_with(root, code)?;
        KeyContact::open(&root.join("dev/input").join(name), OFlags::RDONLY, Some(code))
    }

    /// A file of records instead of a device. Open for writing too, so that it outlives each of its writers.
    pub(super) fn simulated(file: &Path) -> Result<KeyContact, String> {
        KeyContact::open(file, OFlags::RDWR, None)
    }

    fn open(path: &Path, access: OFlags, code: Option<u16>) -> Result<KeyContact, String> {
        let opened = rustix::fs::open(path, access | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
        let file = opened.map_err(|error| match error {
            rustix::io::Errno::ACCESS => {
                format!("{} may not be read; is 70-larder.rules among the udev rules?", path.display())
            }
            error => format!("{}: {error}", path.display()),
        })?;
        Ok(KeyContact { file: file.into(), code, is_pressed: false })
    }

    fn take(&mut self, record: &[u8]) {
        let number = |at: usize| u16::from_ne_bytes([record[at], record[at + 1]]);
        let (kind, code) = (number(TIME_BYTES), number(TIME_BYTES + 2));
        let value = record[TIME_BYTES + 4..].try_into().map_or(0, i32::from_ne_bytes);
        match (kind, value) {
            // Records were lost, a release perhaps among them. Taken as let go: a press too few is harmless.
            (EV_SYN, _) if code == SYN_DROPPED => self.is_pressed = false,
            // Not the repeats of a key that is held: held since before the start, it was not pressed for us.
            (EV_KEY, RELEASED | PRESSED) if self.code.is_none_or(|ours| ours == code) => {
                self.is_pressed = value == PRESSED;
            }
            _ => {}
        }
    }
}

impl AnyContact for KeyContact {
    fn rest(&mut self, at_most_ms: u64) -> Result<(), String> {
        if !wait_for(&self.file, at_most_ms)? {
            return Ok(());
        }
        let mut records = [0; RECORDS_MAX * RECORD_BYTES];
        match self.file.read(&mut records) {
            Ok(0) => Err("it ended".to_owned()),
            Ok(read) => {
                records[..read].chunks_exact(RECORD_BYTES).for_each(|record| self.take(record));
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn is_pressed(&mut self) -> Result<bool, String> {
        Ok(self.is_pressed)
    }
}

/// Name of the device, such as `event2`.
fn device_with(root: &Path, code: u16) -> Result<PathBuf, String> {
    let class = root.join("sys/class/input");
    let devices = fs::read_dir(&class).map_err(|error| format!("{}: {error}", class.display()))?;
    let mut found: Option<(u32, PathBuf)> = None;
    let mut is_keyboard = false;
    for device in devices.filter_map(Result::ok) {
        let keys = fs::read_to_string(device.path().join("device/capabilities/key"));
        // Others in this folder are mice and the inputs behind the devices.
        let Some(keys) = keys.ok().filter(|_| device.file_name().as_encoded_bytes().starts_with(b"event"))
        else {
            continue;
        };
        let (has, count) = keys_of(&keys, code);
        is_keyboard |= has && count > KEYS_MAX;
        let name = PathBuf::from(device.file_name());
        if has && count <= KEYS_MAX && found.as_ref().is_none_or(|best| (count, &name) < (best.0, &best.1)) {
            found = Some((count, name));
        }
    }
    found.map(|(_, name)| name).ok_or_else(|| {
        let only_keyboard = "only a keyboard has this key, and no keyboard is read";
        if is_keyboard { only_keyboard.to_owned() } else { "no device has this key".to_owned() }
    })
}

/// Whether sysfs tells of this key, and of how many. A bit for each key in words of the machine's size, the highest word
/// first.
fn keys_of(words: &str, code: u16) -> (bool, u32) {
    let words: Vec<usize> =
        words.split_whitespace().rev().map_while(|word| usize::from_str_radix(word, 16).ok()).collect();
    let (word, bit) = (u32::from(code) / usize::BITS, u32::from(code) % usize::BITS);
    let has = words.get(word as usize).is_some_and(|word| word >> bit & 1 == 1);
    (has, words.iter().map(|word| word.count_ones()).sum())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A record as the kernel writes it.
    fn record(kind: u16, code: u16, value: i32) -> Vec<u8> {
        [&[7; TIME_BYTES][..], &kind.to_ne_bytes(), &code.to_ne_bytes(), &value.to_ne_bytes()].concat()
    }

    /// The words of sysfs for these keys.
    fn words(codes: &[u16]) -> String {
        let mut words = vec![0_usize; 0x300 / usize::BITS as usize];
        for code in codes {
            words[usize::from(*code) / usize::BITS as usize] |= 1 << (u32::from(*code) % usize::BITS);
        }
        let shown: Vec<String> = words.iter().rev().map(|word| format!("{word:x}")).collect();
        shown.join(" ")
    }

    fn box_with(devices: &[(&str, &[u16])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("dev/input")).unwrap();
        for (name, codes) in devices {
            let folder = root.path().join("sys/class/input").join(name).join("device/capabilities");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("key"), words(codes) + "\n").unwrap();
            fs::write(root.path().join("dev/input").join(name), []).unwrap();
        }
        root
    }

    #[test]
    fn the_device_is_found_by_its_key_and_no_keyboard_is_ever_read() {
        let keyboard: Vec<u16> = (1..200).collect();
        let root = box_with(&[
            ("event0", &keyboard),
            ("event1", &[116]),
            ("event2", &[116, 133, 408]),
            ("event3", &[133, 408]),
            ("input3", &[133]),
        ]);
        assert_eq!(device_with(root.path(), 133), Ok("event3".into()));
        assert_eq!(device_with(root.path(), 116), Ok("event1".into()));
        assert_eq!(device_with(root.path(), 257), Err("no device has this key".to_owned()));
        assert!(device_with(root.path(), 30).unwrap_err().contains("keyboard"));
        assert!(KeyContact::find(root.path(), 133).is_ok());
        assert!(device_with(box_with(&[]).path(), 133).unwrap_err().contains("sys/class/input"));
    }

    #[test]
    fn garbage_in_sysfs_is_no_key() {
        for garbage in ["", "x", "zz 0", "-1", &"f".repeat(100)] {
            assert!(!keys_of(garbage, 133).0, "{garbage}");
        }
    }

    #[test]
    fn a_key_is_down_between_its_records_and_no_other_record_moves_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let check = |records: &[Vec<u8>], expect: bool| {
            fs::write(&path, records.concat()).unwrap();
            let mut key = KeyContact::open(&path, OFlags::RDONLY, Some(133)).unwrap();
            key.rest(0).unwrap();
            assert_eq!(key.is_pressed(), Ok(expect), "{records:?}");
        };
        let down = || record(EV_KEY, 133, PRESSED);
        check(&[down()], true);
        check(&[down(), record(EV_SYN, 0, 0), record(EV_KEY, 133, 2)], true);
        check(&[down(), record(EV_KEY, 133, RELEASED)], false);
        check(&[down(), record(EV_KEY, 134, RELEASED)], true);
        check(&[record(EV_KEY, 134, PRESSED), record(4, 133, 1)], false);
        check(&[record(EV_KEY, 133, 2)], false);
        check(&[down(), record(EV_SYN, SYN_DROPPED, 0)], false);
        check(&[down(), vec![0; 5]], true);
    }

    #[test]
    fn a_device_that_ends_is_an_error_and_a_flood_is_read_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let mut file = File::create(&path).unwrap();
        for value in [PRESSED, RELEASED].into_iter().cycle().take(3 * RECORDS_MAX) {
            file.write_all(&record(EV_KEY, 133, value)).unwrap();
        }
        let mut key = KeyContact::open(&path, OFlags::RDONLY, Some(133)).unwrap();
        let rests = (0..10).take_while(|_| key.rest(0).is_ok()).count();
        assert_eq!(rests, 3);
    }
}
