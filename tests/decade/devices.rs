//! The devices of the home: folders that people work in. What they hold follows from the pushes that there were.
//!
//! Not here: sending it (`life`).

use harness::plain::Files;
use larder_store::disk::Dice;
use std::sync::Arc;

const SOURCES: [&str; 3] = ["laptop/documents", "phone/dcim", "studio/projects"];
/// The chunks of the harness are 700 bytes long.
const FILE_BYTES_MAX: usize = 2400;
const FILES_MAX: usize = 12;

/// One protected folder and what is in it now.
pub(crate) struct Device {
    pub(crate) source: &'static str,
    pub(crate) files: Arc<Files>,
}

/// Every device, before anybody worked.
pub(crate) fn devices() -> Vec<Device> {
    SOURCES.map(|source| Device { source, files: Arc::default() }).into()
}

impl Device {
    /// Somebody works for a day: new files, edits, deletions, renames, or nothing at all.
    pub(crate) fn work(&mut self, dice: &mut Dice) {
        let mut files = Files::clone(&self.files);
        for _ in 0..dice.below(4) {
            let names: Vec<String> = files.keys().cloned().collect();
            let some = names.get(dice.below(names.len())).cloned();
            match (dice.below(8), some) {
                (0, Some(name)) => drop(files.remove(&name)),
                (1, Some(name)) => {
                    let bytes = files.remove(&name).unwrap_or_default();
                    files.insert(new_name(dice), bytes);
                }
                (2..=4, Some(name)) => edit(files.entry(name).or_default(), dice),
                _ if files.len() < FILES_MAX => drop(files.insert(new_name(dice), bytes(dice))),
                (_, Some(name)) => edit(files.entry(name).or_default(), dice),
                _ => {}
            }
        }
        self.files = Arc::new(files);
    }

    /// What somebody who took the device over sends instead: every file replaced, and many new ones.
    pub(crate) fn garbage(&self, dice: &mut Dice) -> Arc<Files> {
        let ruined = self.files.keys().map(|name| (format!("{name}.locked"), bytes(dice)));
        Arc::new(ruined.take(3).collect())
    }
}

fn new_name(dice: &mut Dice) -> String {
    let folder = ["", "letters/", "photos/2030/", "work/plans/old/"][dice.below(4)];
    format!("{folder}{:08x}.txt", dice.roll() >> 32)
}

fn bytes(dice: &mut Dice) -> Vec<u8> {
    let len = dice.below(FILE_BYTES_MAX);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&dice.roll().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn edit(file: &mut Vec<u8>, dice: &mut Dice) {
    if file.is_empty() || dice.one_in(3) {
        file.extend_from_slice(&dice.roll().to_le_bytes());
        file.truncate(FILE_BYTES_MAX);
    } else {
        let at = dice.below(file.len());
        file[at] ^= 1 << dice.below(8);
    }
}
