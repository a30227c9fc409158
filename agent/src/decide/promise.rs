//! How long things are kept, in words and as the store's rule: one truth from one setting.

use larder_firmware_config::{Keep, RetentionSettings};
use larder_store::retention::Rule;
use std::time::Duration;

/// The store's form of the owner's wish. Parts of a day count as a whole one: a promise is never cut short.
pub(crate) fn rule(settings: &RetentionSettings) -> Rule {
    let days = |span: Duration| u32::try_from(span.as_secs().div_ceil(86_400)).unwrap_or(u32::MAX);
    let bounded = |keep: &Keep| keep.duration().map_or(u32::MAX, days);
    Rule {
        everything_days: bounded(&settings.everything),
        daily_days: bounded(&settings.daily),
        weekly_days: bounded(&settings.weekly),
        monthly_days: settings.monthly.duration().map(days),
        newest: usize::try_from(settings.newest).unwrap_or(usize::MAX),
    }
}

/// All of the rule.
pub(crate) fn rule_in_words(settings: &RetentionSettings) -> String {
    let RetentionSettings { everything, daily, weekly, monthly, newest } = settings;
    format!(
        "Every backup {}; then the first and last of each day {}, of each week {}, of each month {}. The newest {newest} always stay.",
        spell(everything),
        spell(daily),
        spell(weekly),
        spell(monthly),
    )
}

/// What can be relied on whatever happens.
pub(crate) fn promise_in_words(settings: &RetentionSettings) -> String {
    format!("Every backup is kept {}. Nothing on the network can shorten that.", spell(&settings.everything))
}

fn spell(keep: &Keep) -> String {
    match keep {
        Keep::ForEver => "for ever".to_owned(),
        Keep::For(span) => format!("for {span}"),
    }
}
