//! `larder push --dry-run`: what would become a snapshot, what would be read anew, and what would not be in it.
//!
//! Not here: finding it out (`push::preview`).

use super::{
    left_out::{left_out_json, told_of_left_out},
    output::{Output, counted, size},
    previewing::{in_words, name, tally_json},
    skipped::{Loudness, name_skipped, skipped_json},
};
use crate::PushPreview;
use serde_json::{Value, json};
use std::{io, path::Path};

/// The preview of one folder's push.
pub(super) struct FolderPreview<'a> {
    pub(super) source: &'a str,
    pub(super) folder: &'a Path,
    pub(super) loudness: Loudness,
    pub(super) seen: PushPreview,
}

impl FolderPreview<'_> {
    /// The exit code that the push would have.
    pub(super) fn exit_code(&self) -> u8 {
        if self.seen.skipped.count > 0 { 3 } else { 0 }
    }

    /// For a person.
    pub(super) fn tell(&self, output: &mut Output) -> io::Result<()> {
        let PushPreview { totals, changed, gone, is_first, skipped, left_out, room_bytes } = &self.seen;
        output.line(format!(
            "{}: would become a snapshot with {} in {}, {}.",
            self.source,
            counted(totals.files, "file", "files"),
            counted(totals.directories, "folder", "folders"),
            size(totals.bytes),
        ))?;
        if *is_first {
            output.line("This computer has not backed it up yet: all of it would be read.")?;
        } else if changed.count() == 0 && gone.count() == 0 {
            output.line("Nothing in it changed since its last backup from this computer.")?;
        }
        if !is_first && changed.count() > 0 {
            output
                .line(format!("Changed since its last backup from this computer: {}.", in_words(changed)))?;
            name(changed, self.loudness, output)?;
        }
        if gone.count() > 0 {
            output.line(format!(
                "In it no more, since deleted, moved or left out now: {}. Earlier backups keep it.",
                in_words(gone)
            ))?;
            name(gone, self.loudness, output)?;
        }
        if let Some(room) = room_bytes.filter(|room| *room < changed.bytes) {
            output.line(format!(
                "The appliance has room for {}: what packs smaller, or is known there already, may fit all the same.",
                size(room)
            ))?;
        }
        for line in told_of_left_out(left_out) {
            output.line(line)?;
        }
        output.flush()?;
        name_skipped(
            skipped,
            self.loudness,
            &format!("Everything else in {} would be in the backup.", self.folder.display()),
            "Mend what is said beside each name, or leave them out with --exclude.",
        );
        Ok(())
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let PushPreview { totals, changed, gone, is_first, skipped, left_out, room_bytes } = &self.seen;
        json!({
            "source": self.source,
            "folder": self.folder.display().to_string(),
            "totals": totals,
            "is_first": is_first,
            "changed": tally_json(changed),
            "gone": tally_json(gone),
            "room_bytes": room_bytes,
            "skipped": skipped_json(skipped),
            "left_out": left_out_json(left_out),
        })
    }
}
