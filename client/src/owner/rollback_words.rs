//! The plan and the end of a roll-back, for a person and for programs.
//!
//! Not here: finding out (`rollback`), asking (`rolling_back`).

use super::{
    left_out::{left_out_json, told_of_left_out},
    output::{Output, count, counted, moment},
    previewing::{in_words, name, tally_json},
    skipped::{Loudness, name_files, name_skipped, skipped_json},
    spot::quoted,
    words,
};
use crate::{
    SkippedList, Tally,
    rollback::{Removed, RollbackPlan, RolledBack},
    source_name_for,
};
use larder_format::wire::SnapshotInfo;
use serde_json::{Value, json};
use std::{io, path::Path};

/// A plan, with what it is about.
pub(super) struct ToldPlan<'a> {
    pub(super) source: &'a str,
    pub(super) old: &'a SnapshotInfo,
    pub(super) folder: &'a Path,
    pub(super) plan: &'a RollbackPlan,
}

impl ToldPlan<'_> {
    /// The folder is what it was.
    pub(super) fn nothing_to_do(&self, output: &mut Output) -> io::Result<()> {
        if output.is_json() {
            return output.json(&self.json());
        }
        let Self { source, old, folder, .. } = self;
        output.note(format!(
            "{} is what it was in snapshot {} of {source}: nothing to do.",
            folder.display(),
            old.snapshot
        ))
    }

    /// Shows the plan.
    pub(super) fn show(&self, present: &str, loudness: Loudness, output: &mut Output) -> io::Result<()> {
        let Self { source, old, folder, plan } = self;
        output.line(format!(
            "{} would become what it was in snapshot {} of {source} ({}):",
            folder.display(),
            old.snapshot,
            moment(&old.time)
        ))?;
        for (what, tally) in [("Comes back", &plan.back), ("Changes", &plan.changed), ("Goes", &plan.go)] {
            if tally.count() > 0 {
                output.line(format!("{what}: {}.", in_words(tally)))?;
                name(tally, loudness, output)?;
            }
        }
        if plan.same.files > 0 {
            let are = if plan.same.files == 1 { "is what it was" } else { "are what they were" };
            output.line(format!("{} {are}.", counted(plan.same.files, "file", "files")))?;
        }
        self.show_left(loudness, output)?;
        output.line(format!(
            "Before that, what is there now is backed up as a new snapshot of {present}, so that nothing is lost."
        ))
    }

    fn show_left(&self, loudness: Loudness, output: &mut Output) -> io::Result<()> {
        let plan = self.plan;
        let left_out = told_of_left_out(&plan.left_out);
        if !left_out.is_empty() {
            output.line("Stays as it is, since no backup takes it:")?;
            left_out[1..].iter().try_for_each(|line| output.line(line))?;
        }
        if plan.left_alone.count() > 0 {
            let names = counted(plan.left_alone.count(), "name", "names");
            output.line(format!("Not touched, since what has the name now is in no backup: {names}."))?;
            name(&plan.left_alone, loudness, output)?;
        }
        if plan.damaged.count > 0 {
            output.flush()?;
            name_files(&plan.damaged, loudness, ["folder", "folders"]);
        }
        Ok(())
    }

    /// The plan for programs.
    pub(super) fn json(&self) -> Value {
        let Self { source, old, folder, plan } = self;
        json!({
            "source": source,
            "snapshot": old.snapshot,
            "folder": folder.display().to_string(),
            "plan": {
                "back": tally_json(&plan.back),
                "changed": tally_json(&plan.changed),
                "go": tally_json(&plan.go),
                "same": counts_json(&plan.same),
                "left_alone": tally_json(&plan.left_alone),
                "left_out": left_out_json(&plan.left_out),
                "damaged": skipped_json(&plan.damaged),
            },
        })
    }
}

fn counts_json(tally: &Tally) -> Value {
    json!({ "files": tally.files, "bytes": tally.bytes })
}

/// Skipped files for programs.
pub(super) fn skipped_of(skipped: &SkippedList) -> Value {
    skipped_json(skipped)
}

/// The push of `folder` as `source`, as a person types it.
fn push_again(source: &str, folder: &Path) -> String {
    let name = source.split_once('/').map_or(source, |(_, name)| name);
    let is_own = source_name_for(folder).as_deref() == Some(name);
    let option = if is_own { String::new() } else { format!(" --source {}", quoted(name)) };
    format!("larder push {}{option}", quoted(&folder.display().to_string()))
}

/// What a roll-back did.
pub(super) struct RollbackEnd<'a> {
    pub(super) folder: &'a Path,
    pub(super) old: &'a SnapshotInfo,
    /// Source and number of the snapshot that holds what was there before.
    pub(super) present: (&'a str, u64),
    /// As typed for going back to that.
    pub(super) undo: &'a str,
    pub(super) damaged: &'a SkippedList,
    pub(super) done: &'a RolledBack,
    pub(super) seconds: f64,
}

impl RollbackEnd<'_> {
    fn skipped(&self) -> SkippedList {
        let mut all = self.done.restored.skipped.clone();
        for more in [&self.done.not_removed, self.damaged] {
            more.named.iter().for_each(|file| all.add(file.path.clone(), &*file.why));
            all.count += more.count - more.named.len() as u64;
        }
        all
    }

    /// Tells the end, and gives the exit code.
    pub(super) fn tell(&self, loudness: Loudness, output: &mut Output) -> io::Result<u8> {
        let RolledBack { restored, removed: Removed { files, folders }, .. } = self.done;
        let back = restored.files.saturating_sub(restored.already + restored.replaced);
        let skipped = self.skipped();
        let damaged = restored.damaged.max(self.damaged.count);
        let left_out = restored.owners_left_out + restored.attributes_left_out;
        let code = words::exit_code(damaged, skipped.count, left_out);
        let (source, number) = self.present;
        if output.is_json() {
            output.json(&json!({
                "source": self.old.source,
                "snapshot": self.old.snapshot,
                "folder": self.folder.display().to_string(),
                "present": { "source": source, "snapshot": number },
                "rolled_back": true,
                "back": back,
                "changed": restored.replaced,
                "gone": files,
                "gone_folders": folders,
                "seconds": self.seconds,
                "damaged": damaged,
                "owners_left_out": restored.owners_left_out,
                "attributes_left_out": restored.attributes_left_out,
                "skipped": skipped_json(&skipped),
            }))?;
            return Ok(code);
        }
        let is = if back == 1 { "is" } else { "are" };
        let gone_folders = if *folders > 0 {
            format!(" and {}", counted(*folders, "folder", "folders"))
        } else {
            String::new()
        };
        output.note(format!(
            "{} {is} back, {} changed, {} gone{gone_folders}; {:.1} s.",
            counted(back, "file", "files"),
            count(restored.replaced),
            count(*files),
            self.seconds
        ))?;
        if skipped.count == 0 {
            output.note(format!(
                "{} is what it was in snapshot {}.",
                self.folder.display(),
                self.old.snapshot
            ))?;
        }
        output.note(format!(
            "What was there before is snapshot {number} of {source}: `larder rollback {}` brings that back.",
            self.undo
        ))?;
        output.note(format!(
            "The newest backup is what was there before: `{}` backs up what is there now.",
            push_again(source, self.folder)
        ))?;
        for line in words::left_out(restored.owners_left_out, restored.attributes_left_out) {
            output.line(line)?;
        }
        output.flush()?;
        name_skipped(
            &skipped,
            loudness,
            "Everything else is what it was; these were left as they are.",
            "Look at each, then run the same again: what changed meanwhile is backed up first.",
        );
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A push under the folder's own name would begin a second past.
    #[test]
    fn the_push_after_a_roll_back_is_of_the_same_source() {
        let check = |source, folder: &str, expect| assert_eq!(push_again(source, Path::new(folder)), expect);
        check("laptop/docs", "/home/a/docs", "larder push /home/a/docs");
        check("laptop/Papers", "/home/a/docs", "larder push /home/a/docs --source Papers");
        check("laptop/My Files", "/home/a/My Files", "larder push '/home/a/My Files'");
        check("laptop/it's", "/srv/x", "larder push /srv/x --source 'it'\\''s'");
    }
}
