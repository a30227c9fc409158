//! What is not as it should be, worst first. Each condition says what happened, what it means for the files, and the
//! one thing to do.

use super::facts::{Facts, SourceFacts};
use super::pace::{LATE_AFTER_S, elapsed_s};
use super::{fullest, repaired};
use crate::phrase::counted;
use crate::report::{About, Condition, Level, VaultReport};
use larder_format::ledger::Scrubbed;
use larder_store::{MemberState, MemberView};

/// A broker that restarts is back by then; nobody need hear of it.
const BROKER_AWAY_S: i64 = 120;
/// Files that are named in one message; `larderd scrub` lists all.
const NAMED_MAX: usize = 3;
/// Time to buy a disk.
const DAYS_LEFT_MIN: u64 = 14;

/// Conditions with a key that stays the same as long as the condition holds.
pub(super) fn find(facts: &Facts<'_>, vault: &VaultReport) -> Vec<(String, Condition)> {
    let mut found = Vec::new();
    damage(facts, &mut found);
    suspected(facts, &mut found);
    super::disks::conditions(facts, vault, &mut found);
    scrubs(facts, &mut found);
    room(facts, vault, &mut found);
    overdue(facts, &mut found);
    shorter_promise(facts, &mut found);
    clock_and_broker(facts, &mut found);
    found.sort_by_key(|(_, condition)| (std::cmp::Reverse(condition.level), condition.code));
    found
}

pub(super) type Found = Vec<(String, Condition)>;

pub(super) fn raise(
    found: &mut Found,
    facts: &Facts<'_>,
    (level, code): (Level, u8),
    key: &str,
    words: [&str; 3],
) {
    let [what, meaning, remedy] = words.map(str::to_owned);
    let about = About::Appliance;
    found.push((key.to_owned(), Condition { code, level, since: facts.now, what, meaning, remedy, about }));
}

/// Says of the condition that was raised last whom it may be told to.
fn is_about(found: &mut Found, about: About) {
    if let Some((_, condition)) = found.last_mut() {
        condition.about = about;
    }
}

fn damage(facts: &Facts<'_>, found: &mut Found) {
    let is_away = |(disk, _): &&(MemberView, &'static str)| disk.state == MemberState::Away;
    if let (true, Some((away, _))) = (facts.gaps > 0, facts.disks.iter().find(is_away)) {
        let what = format!(
            "Something of the past is not on the disks that are here, maybe only on the one that was at {}.",
            away.path
        );
        let words = [
            &*what,
            "Some backups may be missing until it is back; every other one can be restored.",
            "Connect that disk; nothing else is needed if it has them.",
        ];
        raise(found, facts, (Level::Alarm, 1), "ledger", words);
    } else if facts.gaps > 0 {
        let entries = if facts.gaps == 1 {
            "entry of the backup ledger is"
        } else {
            "entries of the backup ledger are"
        };
        let what = format!("{} {entries} missing or damaged.", facts.gaps);
        let words = [
            &*what,
            "Some backups may be gone; every other one can be restored. Somebody or something touched the disk.",
            "Connect the second backup disk if there is one, and keep this one as it is.",
        ];
        raise(found, facts, (Level::Alarm, 1), "ledger", words);
    }
    let is_suspected = facts.scrubs.iter().any(|disk| disk.suspected > 0);
    let is_lost = !facts.lost_files.is_empty() || facts.damaged_snapshots.iter().any(|one| one.is_lost);
    // What could not be read is told disk by disk, and is not lost.
    if is_lost || (facts.damaged > 0 && !is_suspected) {
        let unnamed = "Some versions of some files are damaged; a restore names them.".to_owned();
        let meaning = what_is_damaged(facts).unwrap_or_else(|| unnamed.clone());
        let words = [
            "Stored pieces could not be read back whole, and could not be repaired.",
            &meaning,
            "Push from every computer: what it still has heals. Then replace the disk.",
        ];
        raise(found, facts, (Level::Alarm, 1), "damage", words);
        is_about(found, About::Files { unnamed });
    }
}

/// Which versions of which files cannot be given back, and which backups are not whole for that; nothing where it is not known.
fn what_is_damaged(facts: &Facts<'_>) -> Option<String> {
    let mut files: Vec<_> =
        facts.lost_files.iter().map(|file| (file.source.clone(), file.path.clone())).collect();
    // A file of which many versions are lost is named once.
    files.dedup();
    let backups: Vec<_> =
        facts.damaged_snapshots.iter().map(|one| format!("{}@{}", one.source, one.snapshot)).collect();
    let files = match names_of(&files) {
        names if names.is_empty() => None,
        names => Some(format!("Versions of these files are damaged: {names}.")),
    };
    let backups = match listed(backups) {
        names if names.is_empty() => None,
        names => Some(format!("These backups cannot be given back whole: {names}.")),
    };
    let told = [files, backups].into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!told.is_empty()).then(|| format!("{told} All others are whole."))
}

/// Packs that a disk did not give, and that it is asked for again.
fn suspected(facts: &Facts<'_>, found: &mut Found) {
    for disk in facts.scrubs.iter().filter(|disk| disk.suspected > 0) {
        let what = format!("Stored pieces on the backup disk at {} could not be read.", disk.path);
        let words = [
            &*what,
            "Nothing is given up: they are read again for a day. Until then a restore may miss some versions of some files.",
            "Check the disk's cable and power. Then push from every computer: what it still has heals.",
        ];
        raise(found, facts, (Level::Alarm, 1), &format!("suspected {}", disk.disk), words);
    }
}

/// The first few files, with the sources that they belong to.
pub(super) fn names_of(files: &[(String, String)]) -> String {
    let named = files.iter().map(|(source, path)| match path.as_str() {
        "/" => format!("everything of {source}"),
        path => format!("{path} of {source}"),
    });
    listed(named.collect())
}

fn listed(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let named = names.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named}, and {more} more") }
}

/// What reading the disks back found, and whether it was done in time.
fn scrubs(facts: &Facts<'_>, found: &mut Found) {
    for disk in &facts.scrubs {
        let key = |what: &str| format!("{what} {}", disk.disk);
        // What was lost is an alarm of its own.
        let was_left = |found: &Scrubbed| found.damaged > found.repaired && found.lost == 0;
        let is_left = disk.round.left > 0 || disk.last.is_some_and(|(_, found)| was_left(&found));
        // What is suspected is an alarm of its own too.
        if is_left && disk.suspected == 0 {
            let what = format!("Damaged files on the backup disk at {} wait for their repair.", disk.path);
            let words = [
                &*what,
                "What is whole can be restored; the damaged bytes cannot be used as long as they wait.",
                "See that the disk has room, and connect the other backup disk if there is one.",
            ];
            raise(found, facts, (Level::NeedsYou, 6), &key("unrepaired"), words);
        } else if repaired(disk) > 0 {
            let (files, were) = match repaired(disk) {
                1 => ("1 damaged file".to_owned(), "was"),
                count => (format!("{count} damaged files"), "were"),
            };
            let what = format!("{files} on the backup disk at {} {were} repaired.", disk.path);
            let words = [
                &*what,
                "Nothing was lost. The disk is read again from end to end to see whether there is more.",
                "If this comes again within a few weeks, replace the disk; this message goes after a clean round.",
            ];
            raise(found, facts, (Level::NeedsYou, 6), &key("repaired"), words);
        }
        // What was never read counts from the first backup.
        let since = disk.last.map(|(stamp, _)| stamp);
        let since = since
            .or_else(|| facts.sources.iter().map(|source| source.oldest.stamp).min_by_key(|s| s.time_ms));
        if since.is_some_and(|since| elapsed_s(&since, &facts.stamp) > LATE_AFTER_S) {
            let what = format!("The backup disk at {} was not read back for more than a month.", disk.path);
            let words = [
                &*what,
                "Its backups may be fine, but nobody has looked.",
                "Leave the appliance and the disk on for some days, or run `larderd scrub` on it.",
            ];
            raise(found, facts, (Level::NeedsYou, 10), &key("unread"), words);
        }
    }
}

fn shorter_promise(facts: &Facts<'_>, found: &mut Found) {
    if let Some(what) = super::promise::shorter_in_words(&facts.rule) {
        let words = [
            &*what,
            "Until then everything is kept as it was promised.",
            "Nothing, if you changed the settings. If not, set `[retention]` back to what it was and restart the agent.",
        ];
        raise(found, facts, (Level::NeedsYou, 9), "shorter promise", words);
    }
}

fn room(facts: &Facts<'_>, vault: &VaultReport, found: &mut Found) {
    let Some((disk, free_bytes)) = fullest(facts) else { return };
    let is_full = facts.refused_full > 0 || free_bytes <= facts.settings.vault.reserve_bytes;
    if is_full {
        let what = format!("The backup disk at {} is full.", disk.path);
        let words = [
            &*what,
            "Everything kept stays kept; new backups are refused.",
            "Connect a larger disk, or exclude what needs no backup.",
        ];
        raise(found, facts, (Level::NeedsYou, 5), "full", words);
    } else if let Some(days) = vault.days_left.filter(|days| *days < DAYS_LEFT_MIN) {
        let days = counted(days, "day", "days");
        let what = format!("The backup disk at {} will be full in about {days}.", disk.path);
        let words = [&*what, "Everything kept stays kept.", "Connect a larger disk."];
        raise(found, facts, (Level::NeedsYou, 5), "nearly full", words);
    }
}

/// Whether a source should have pushed by now.
pub(super) fn is_overdue(source: &SourceFacts, facts: &Facts<'_>) -> bool {
    let limit = facts.settings.sources.overdue_after.duration();
    // Also one whose stamp lies in the future, from a clock that was wrong, gets older.
    elapsed_s(&source.newest.stamp, &facts.stamp) > limit.as_secs()
}

fn overdue(facts: &Facts<'_>, found: &mut Found) {
    if facts.sources.is_empty() {
        let words = [
            "No computer has made a backup yet.",
            "Nothing is protected yet.",
            "Make a key with `larderd token`, then run `larder pair` and `larder push` on the computer.",
        ];
        raise(found, facts, (Level::NeedsYou, 3), "nothing yet", words);
    }
    for source in facts.sources.iter().filter(|source| is_overdue(source, facts)) {
        let what = format!(
            "{} has not made a backup for more than {}.",
            source.source, facts.settings.sources.overdue_after
        );
        let words = [
            &*what,
            "Its older backups are safe; what changed since then is not protected.",
            "Switch that computer on and run `larder push` there.",
        ];
        raise(found, facts, (Level::NeedsYou, 3), &format!("overdue {}", source.source), words);
        is_about(found, About::Source(source.source.clone()));
    }
}

fn clock_and_broker(facts: &Facts<'_>, found: &mut Found) {
    if !facts.system.clock_trusted {
        let words = [
            "The appliance's clock is not set.",
            "Backups still work; nothing is let go of until the clock is right.",
            "Connect the appliance to the internet, or set its clock.",
        ];
        raise(found, facts, (Level::NeedsYou, 7), "clock", words);
    }
    if facts.system.undervoltage == Some(true) {
        let words = [
            "The power supply was too weak at some moment since the start.",
            "Disks may drop out or lose what they were writing.",
            "Use a stronger power supply.",
        ];
        raise(found, facts, (Level::NeedsYou, 7), "power", words);
    }
    broker(facts, found);
}

fn broker(facts: &Facts<'_>, found: &mut Found) {
    let Some(since) = facts.broker.away_since else { return };
    let why = facts.broker.last_error.as_ref().map_or(String::new(), |error| format!(" ({error})"));
    let (what, meaning, remedy) = if facts.broker.is_given_up {
        (
            format!("The appliance's own MQTT broker could not be started{why}."),
            "Backups work; no dashboard shows them.",
            "Name the broker of your home in `mqtt.broker`, or correct `mqtt.listen` in the settings; then restart the agent.",
        )
    } else if facts.now.as_second() - since.as_second() > BROKER_AWAY_S {
        (
            format!("The MQTT broker cannot be reached{why}."),
            "Backups work; dashboards show old values.",
            "Start the broker, or correct `mqtt.broker` in the settings.",
        )
    } else {
        return;
    };
    raise(found, facts, (Level::NeedsYou, 8), "broker", [&*what, meaning, remedy]);
}
