//! What stands below the options in `larder COMMAND --help`: how places and moments are written.
//!
//! Not here: the parsers (`spot`, `larder_format::when`); a test feeds them each form that is written here.

/// Below the list of commands.
pub(super) const PLACES: &str = "\
A place is SOURCE[@WHEN][:PATH], for example laptop/photos@2026-03-31:2024/cat.jpg
  SOURCE  DEVICE/NAME; NAME alone where it is clear
  WHEN    a snapshot number, a date, a time with its date, \"2 weeks ago\"; the newest if left out;
          `larder restore --help` tells all forms
  PATH    names with slashes between; \\xNN stands for a byte that cannot be typed

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 done but some files were skipped (each is named) or \
came back without their owner or some attribute, 4 not reachable or not paired, 5 refused (no room, no right, another \
folder than before or an empty one), 6 damaged data met. `status --check`: 0 fine, 3 it needs you, 6 alarm.";

/// Below each command that takes a WHEN.
pub(super) const WHEN: &str = "\
WHEN chooses a snapshot, in this computer's time zone; a moment means the newest one by then:
  latest, newest              the newest; also if WHEN is left out
  -1, -2                      one before the newest, two before it
  47                          a number from `larder snapshots SOURCE`
  2026-03-31                  the end of that day
  2026-03-31 18:00            the end of that minute; 18:00:30 the end of that second
  2026-03-31T18:00:30+02:00   with a zone of its own
  today, yesterday 18:00      days; alone the end of the day
  tuesday, last tuesday 18:00 the newest one, today too; with `last` the one before today
  2 weeks ago, 5 hours ago    spans
A label of `larder keep` chooses its snapshot: larder ls 'photos@before the move'
Quote what has spaces: larder ls 'photos@last tuesday 18:00:2024'
A PATH that begins with two digits can be taken for seconds; then write @'2026-03-31 18:00':/20";

/// Below `larder rollback`.
pub(super) const ROLLBACK: &str = "\
The folder is the one that the backups say they are of; --to DIR names another. What is there now is \
backed up first, and nothing is replaced or removed that is not in that backup. What a push leaves out \
stays as it is: give the same --exclude as to `larder push` (those of a schedule are known).

WHEN is as for `larder restore --help`. A WHEN that is counted from the newest (`-1`, or none) means another \
snapshot once the present was backed up; to go on after a break, use the line that was told.";

/// Below `larder push`.
pub(super) const LEFT_OUT: &str = "\
What is left out, and told at the end of each push:
  what --exclude matches, and what a file .larderignore in a folder matches
      in and below that folder (both are written as a .gitignore; what a
      .gitignore itself names is backed up)
  the content of folders that a program marked as its cache with a file
      CACHEDIR.TAG (--include-caches)
  halves of files that a broken-off restore left, such as
      .larder-restore-4711-0 (--no-default-excludes)
  always: this computer's key to the appliance, Larder's own cache, and the
      kernel's /proc, /sys and the like";

/// Below `larder versions`.
pub(super) const VERSIONS: &str = "\
Versions are those of all snapshots, so there is no WHEN here. A number from the first column brings \
one back: larder restore SOURCE@NUMBER:PATH --to DIR";

/// Below `larder snapshots`.
pub(super) const SNAPSHOTS: &str = "\
A number, a time or a label from this list is a WHEN: larder ls SOURCE@47, larder ls 'SOURCE@2026-03-31 18:00'";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::around::AFTER;
    use larder_format::when::When;

    /// A line that is wider than the screen is broken by the screen, and what follows in the text stands on a line of its own
    /// once more. So a paragraph is one line, and only a list has several, each narrow.
    #[test]
    fn no_line_of_the_help_is_broken_twice() {
        for text in [PLACES, WHEN, ROLLBACK, LEFT_OUT, VERSIONS, SNAPSHOTS, AFTER] {
            let lines: Vec<_> = text.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                let is_paragraph =
                    !line.starts_with(' ') && lines.get(number + 1).is_none_or(|next| next.is_empty());
                assert!(line.chars().count() <= 98 || is_paragraph, "{line}");
            }
        }
    }

    /// Help that tells of a form which nobody understands would be worse than none.
    #[test]
    fn every_form_in_the_help_is_understood() {
        let now = "2026-04-20T12:00:00+02:00[Europe/Berlin]".parse().unwrap();
        let mut forms = 0;
        for line in WHEN.lines().filter_map(|line| line.strip_prefix("  ")) {
            for form in line[..28].split(',').map(str::trim) {
                assert!(When::parse(form, &now).is_some(), "{form}");
                forms += 1;
            }
        }
        assert_eq!(forms, 14);
    }
}
