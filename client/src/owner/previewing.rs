//! `larder restore --dry-run`: what would be made, replaced, left as it is, and what is in the way.
//!
//! Not here: finding it out (`restore::preview`), the plan of a roll-back (`rolling_back`).

use super::{
    output::{Output, count, counted, size},
    skipped::{Loudness, name_skipped, skipped_json},
    words,
};
use crate::{RestorePreview, Tally};
use serde_json::{Value, json};
use std::{io, path::Path};

/// What a preview is of.
#[derive(Clone, Copy)]
pub(super) struct PreviewTold<'a> {
    pub(super) source: &'a str,
    pub(super) to: &'a Path,
    pub(super) loudness: Loudness,
}

/// Shows a preview, and tells the exit code that the restore would have.
pub(super) fn show(told: &PreviewTold<'_>, seen: &RestorePreview, output: &mut Output) -> io::Result<u8> {
    if output.is_json() {
        output.json(&preview_json(told.source, seen))?;
    } else {
        tell(told, seen, output)?;
    }
    Ok(words::exit_code(seen.damaged, seen.skipped.count + seen.in_the_way.count(), 0))
}

/// The same for programs.
pub(super) fn preview_json(source: &str, seen: &RestorePreview) -> Value {
    json!({
        "source": source,
        "dry_run": true,
        "made": tally_json(&seen.made),
        "replaced": tally_json(&seen.replaced),
        "left": tally_json(&seen.left),
        "in_the_way": tally_json(&seen.in_the_way),
        "skipped": skipped_json(&seen.skipped),
        "damaged": seen.damaged,
    })
}

/// A tally for programs, with all of its names.
pub(super) fn tally_json(tally: &Tally) -> Value {
    json!({ "files": tally.files, "folders": tally.folders, "bytes": tally.bytes, "names": tally.named })
}

fn tell(told: &PreviewTold<'_>, seen: &RestorePreview, output: &mut Output) -> io::Result<()> {
    let (to, loudness) = (told.to.display(), told.loudness);
    let RestorePreview { made, replaced, left, in_the_way, skipped, .. } = seen;
    if made.count() > 0 {
        output.line(format!("Would be made in {to}: {}.", in_words(made)))?;
        name(made, loudness, output)?;
    }
    if replaced.count() > 0 {
        output.line(format!("Would be replaced there: {}.", in_words(replaced)))?;
        name(replaced, loudness, output)?;
    }
    if left.count() > 0 {
        output.line(format!("There already, the same: {}.", in_words(left)))?;
    }
    if in_the_way.count() > 0 {
        output.line(format!(
            "Would not come back, since something else of the same name is there: {}.",
            in_words(in_the_way)
        ))?;
        name(in_the_way, loudness, output)?;
    }
    output.line("This was a dry run: nothing was written.")?;
    output.flush()?;
    name_skipped(
        skipped,
        loudness,
        "Everything else would come back as said above.",
        "Without --dry-run the same is done and named again.",
    );
    Ok(())
}

/// `1,204 files and 3 folders, 3.2 GB`.
pub(super) fn in_words(tally: &Tally) -> String {
    let files = counted(tally.files, "file", "files");
    let folders = counted(tally.folders, "folder", "folders");
    match (tally.files, tally.folders) {
        (0, 1..) => folders,
        (_, 0) => format!("{files}, {}", size(tally.bytes)),
        _ => format!("{files} and {folders}, {}", size(tally.bytes)),
    }
}

/// A line for each of the first names, and a line for the rest.
pub(super) fn name(tally: &Tally, loudness: Loudness, output: &mut Output) -> io::Result<()> {
    let shown = loudness.shown(tally.named.len());
    tally.named[..shown].iter().try_for_each(|path| output.line(format!("  {path}")))?;
    let rest = tally.count().saturating_sub(shown as u64);
    if rest > 0 {
        let all = if shown < tally.named.len() { "; --verbose names them, and --json" } else { "" };
        output.line(format!("  and {} more{all}", count(rest)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_told_apart() {
        let mut tally = Tally::default();
        tally.add_folder(|| "a".to_owned());
        assert_eq!(in_words(&tally), "1 folder");
        tally.add_file(1500, || "a/b".to_owned());
        assert_eq!(in_words(&tally), "1 file and 1 folder, 1.5 kB");
        let mut files = Tally::default();
        (0..2).for_each(|_| files.add_file(1, || "a".to_owned()));
        assert_eq!(in_words(&files), "2 files, 2 B");
    }
}
