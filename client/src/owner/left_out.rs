//! What a push left out on purpose, in the owner's words: once, at the end, the first names and the number of the rest.

use super::output::count;
use crate::{LeftOut, LeftOutNames, LeftOutReason};
use serde_json::{Value, json};

/// Names for each reason; more would bury the result of the push.
const SHOWN_MAX: usize = 4;

/// Lines for a person; none where nothing was left out.
pub(super) fn told_of_left_out(left_out: &LeftOut) -> Vec<String> {
    let mut lines: Vec<String> =
        left_out.by_reason().map(|(reason, names)| format!("  {}", line(reason, names))).collect();
    if !lines.is_empty() {
        lines.insert(0, "Left out on purpose:".to_owned());
    }
    lines
}

fn line(reason: LeftOutReason, names: &LeftOutNames) -> String {
    let (one, many, remedy) = words(reason);
    let shown = &names.named[..names.named.len().min(SHOWN_MAX)];
    let rest = names.count.saturating_sub(shown.len() as u64);
    let more = if rest > 0 { format!(" and {} more", count(rest)) } else { String::new() };
    let what = if names.count == 1 { one } else { many };
    format!("{} {what}: {}{more}{remedy}", count(names.count), shown.join(", "))
}

/// One, many, and the way to have it in the backup.
fn words(reason: LeftOutReason) -> (&'static str, &'static str, &'static str) {
    match reason {
        LeftOutReason::MarkedCache => (
            "folder that is marked as a cache (CACHEDIR.TAG)",
            "folders that are marked as caches (CACHEDIR.TAG)",
            "; --include-caches takes them in",
        ),
        LeftOutReason::Pattern => ("name that --exclude matches", "names that --exclude matches", ""),
        LeftOutReason::IgnoreFile => {
            ("name that a .larderignore matches", "names that a .larderignore matches", "")
        }
        LeftOutReason::OtherFilesystem => (
            "folder on another filesystem, kept empty",
            "folders on other filesystems, kept empty",
            "; without --one-filesystem they are taken in",
        ),
        LeftOutReason::KernelView => {
            ("folder of the kernel's own, kept empty", "folders of the kernel's own, kept empty", "")
        }
        LeftOutReason::BrokenRestore => (
            "half of a file that a broken-off restore left",
            "halves of files that a broken-off restore left",
            "; they may be deleted",
        ),
        LeftOutReason::OwnCache => ("folder with Larder's own cache", "folders with Larder's own cache", ""),
        LeftOutReason::OwnKey => (
            "place with this computer's key to the appliance",
            "places with this computer's key to the appliance",
            "; whoever reads a backup must not get it",
        ),
    }
}

/// The same for programs.
pub(super) fn left_out_json(left_out: &LeftOut) -> Value {
    let one = |(reason, names): (LeftOutReason, &LeftOutNames)| json!({ "reason": reason.word(), "count": names.count, "names": names.named });
    left_out.by_reason().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_are_told_and_the_rest_is_counted() {
        let mut left_out = LeftOut::default();
        assert!(told_of_left_out(&left_out).is_empty());
        left_out.add(LeftOutReason::MarkedCache, || "Proj/notes".to_owned());
        (0..1204).for_each(|number| left_out.add(LeftOutReason::Pattern, || format!("{number}.o")));
        let told = told_of_left_out(&left_out);
        assert_eq!(
            told,
            [
                "Left out on purpose:",
                "  1 folder that is marked as a cache (CACHEDIR.TAG): Proj/notes; --include-caches takes them in",
                "  1,204 names that --exclude matches: 0.o, 1.o, 2.o, 3.o and 1,200 more",
            ]
        );
        let json = left_out_json(&left_out);
        assert_eq!((&json[0]["reason"], &json[1]["count"]), (&json!("cachedir_tag"), &json!(1204)));
    }
}
