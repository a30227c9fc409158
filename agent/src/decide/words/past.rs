//! Words for a past that the appliance itself announced and its disks do not have. Times are in UTC, as the one who compares them
//! with the message at the broker finds them there.

use crate::decide::facts::RetainedStanding;
use crate::report::RetainedHead;

pub(super) fn lost(
    RetainedHead { head, said }: RetainedHead,
    newest: u64,
    standing: RetainedStanding,
    away_at: Option<&str>,
) -> [String; 3] {
    let seen = head.sequence;
    let when = said.strftime("%Y-%m-%d %H:%M UTC");
    if let Some(path) = away_at {
        return [
            format!(
                "The connected disks lack backups that this appliance had made by {when}; the disk of {path} is away."
            ),
            "What is on the connected disks is safe. The newer backups are on the disk that is away, as far as can be told."
                .to_owned(),
            format!(
                "Connect the disk of {path}. If it is lost for good, run `sudo larderd acknowledge` on the box; then computers \
                 back up again what is missing."
            ),
        ];
    }
    let what = match standing {
        RetainedStanding::AnotherEntry => format!(
            "The appliance's record of the past was changed: its entry {seen} is another one than it announced and signed at {when}."
        ),
        _ => format!(
            "The appliance's record of the past is older than it was: it ends with entry {newest}, and at {when} the appliance \
             announced and signed entry {seen}."
        ),
    };
    [
        what,
        "An old copy of a disk was put back, or entries were removed: backups made since then may be missing here. `larder verify` \
         on each computer says which."
            .to_owned(),
        "If you put an old copy back yourself, run `sudo larderd acknowledge` on the box, and pair each computer again. If not, \
         somebody was at the disks: trust none of this box before you know who."
            .to_owned(),
    ]
}
