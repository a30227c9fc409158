//! The result of a rescue, in the owner's words: restored files, lost files, the state of the disk.

use super::{
    output::counted,
    screen::say,
    skipped::{Loudness, name_files, name_skipped, skipped_json},
    words,
};
use crate::{ClientError, Rescue, Restored, SkippedList};

/// Several restores added up.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) files: u64,
    pub(super) folders: u64,
    pub(super) bytes: u64,
    damaged: u64,
    pub(super) owners_left_out: u64,
    pub(super) attributes_left_out: u64,
    pub(super) skipped: SkippedList,
}

impl Sum {
    /// Adds the result of a restore. A snapshot without even a first folder is a loss like any other.
    pub(super) fn add(
        &mut self,
        source: &str,
        restored: Result<Restored, ClientError>,
    ) -> Result<(), ClientError> {
        match restored {
            Ok(restored) => self.add_restored(source, &restored),
            Err(ClientError::Damaged(why)) => {
                self.damaged += 1;
                self.skipped.add(below(source, ""), why);
            }
            // A missing path among several: the other paths are still wanted.
            Err(trouble) if !source.is_empty() && trouble.has_code("not_found") => {
                self.skipped.add(below(source, ""), trouble.to_string());
            }
            Err(trouble) => return Err(trouble),
        }
        Ok(())
    }

    /// Adds a restore that came to its end.
    pub(super) fn add_restored(&mut self, source: &str, restored: &Restored) {
        self.files += restored.files;
        self.folders += restored.folders;
        self.bytes += restored.bytes;
        self.damaged += restored.damaged;
        self.owners_left_out += restored.owners_left_out;
        self.attributes_left_out += restored.attributes_left_out;
        let unnamed = restored.skipped.count - restored.skipped.named.len() as u64;
        let named = &restored.skipped.named;
        named.iter().for_each(|file| self.skipped.add(below(source, &file.path), &*file.why));
        self.skipped.count += unnamed;
    }

    /// The exit code as far as files tell.
    pub(super) fn files_code(&self) -> u8 {
        let left_out = self.owners_left_out + self.attributes_left_out;
        words::exit_code(self.damaged, self.skipped.count, left_out)
    }

    pub(super) fn json(&self, rescue: &Rescue, seconds: f64) -> serde_json::Value {
        serde_json::json!({
            "files": self.files,
            "folders": self.folders,
            "bytes": self.bytes,
            "seconds": seconds,
            "damaged": self.damaged,
            "owners_left_out": self.owners_left_out,
            "attributes_left_out": self.attributes_left_out,
            "skipped": skipped_json(&self.skipped),
            "missing_entries": rescue.missing_entries(),
            "ledger_is_gone": rescue.is_ledger_gone(),
            "too_new": rescue.too_new(),
            "damage": skipped_json(&rescue.damage()),
            "not_looked_at": not_looked_at(rescue),
        })
    }

    pub(super) fn exit_code(&self, rescue: &Rescue) -> u8 {
        let is_ledger_whole = rescue.missing_entries().is_empty() && !rescue.is_ledger_gone();
        if rescue.damage().count > 0 || !is_ledger_whole { 6 } else { self.files_code() }
    }
}

fn below(source: &str, path: &str) -> String {
    if source.is_empty() { path.to_owned() } else { format!("{source}/{path}") }
}

/// Places on the disks that this account may not read, and that need hold nothing.
pub(super) fn not_looked_at(rescue: &Rescue) -> Vec<String> {
    rescue.not_looked_at().iter().map(|path| path.display().to_string()).collect()
}

/// Tells of files that could not be brought back, and of the state of the disk.
pub(super) fn tell(sum: &Sum, rescue: &Rescue, loudness: Loudness) {
    words::left_out(sum.owners_left_out, sum.attributes_left_out).for_each(say);
    let remedy = if sum.damaged > 0 {
        "If there is another disk of this backup, name both: what is damaged on one is taken from the other. Otherwise take \
         the damaged files from another snapshot."
    } else {
        "Mend what is said beside each name; a rescue replaces nothing."
    };
    name_skipped(&sum.skipped, loudness, "Everything else is back.", remedy);
    tell_about_disk(rescue, loudness);
    if sum.damaged == 0 && sum.skipped.count == 0 && rescue.damage().count > 0 {
        say("Every file that was asked for came back whole all the same.");
    }
}

/// Tells of damage of the disks themselves.
pub(super) fn tell_about_disk(rescue: &Rescue, loudness: Loudness) {
    let damage = rescue.damage();
    if damage.count > 0 {
        say(format_args!("{} on the disk not whole:", counted(damage.count, "thing is", "things are")));
        name_files(&damage, loudness, ["thing", "things"]);
    }
    for place in not_looked_at(rescue) {
        say(format_args!(
            "{place} was not looked at: only root may. What a check of the filesystem saved would lie there; usually nothing."
        ));
    }
    for (first, last) in rescue.missing_entries() {
        let numbers = if first == last { format!("{first} is") } else { format!("{first} to {last} are") };
        say(format_args!(
            "Of the ledger, {numbers} lost. If it was a backup, its files are still there: `--search` finds them, without \
             their source's name."
        ));
    }
    if rescue.is_ledger_gone() && !rescue.found().is_empty() {
        say(
            "The list of backups is gone from the disk: what the sources were called and when each backup was made is lost. \
             The files in them are not affected by that.",
        );
    }
    if rescue.too_new() > 0 {
        say(format_args!(
            "This disk was written by a newer Larder: {} not understood by this program. Nothing is wrong with the disk; take \
             the newest `larder` to read all of it.",
            counted(rescue.too_new(), "thing on it is", "things on it are")
        ));
    }
}
