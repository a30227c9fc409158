//! How long things are kept, in words and as the store's rule: one truth from one rule.

use crate::phrase::counted;
use larder_firmware_config::{Keep, RetentionSettings};
use larder_store::RuleInForce;
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
        newest: settings.newest,
    }
}

/// All of a rule.
pub(crate) fn rule_in_words(rule: &Rule) -> String {
    let Rule { everything_days, daily_days, weekly_days, monthly_days, newest } = *rule;
    format!(
        "Every backup {}; then the first and last of each day {}, of each week {}, of each month {}. The newest {newest} always stay.",
        spell(everything_days),
        spell(daily_days),
        spell(weekly_days),
        spell(monthly_days.unwrap_or(u32::MAX)),
    )
}

/// What can be relied on whatever happens.
pub(crate) fn promise_in_words(rule: &Rule) -> String {
    let kept = spell(rule.everything_days);
    format!("Every backup is kept {kept}. Nothing on the network can shorten that.")
}

/// A promise that is about to become shorter, in words; nothing while none is.
pub(crate) fn shorter_in_words(in_force: &RuleInForce) -> Option<String> {
    let (rule, left_s) = in_force.shorter?;
    let hours = left_s.unsigned_abs().div_ceil(3600);
    let hours = counted(hours, "hour", "hours");
    Some(format!("A shorter rule comes into force in about {hours}: {}", rule_in_words(&rule)))
}

fn spell(days: u32) -> String {
    match days {
        u32::MAX => "for ever".to_owned(),
        days => format!("for {}", counted(days.into(), "day", "days")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_firmware_config::Settings;

    /// Whoever asks for a day and a half is promised two.
    #[test]
    fn a_promise_is_never_cut_short() {
        let settings = Settings::from_toml("[retention]\neverything = \"36 hours\"\n").unwrap();
        assert_eq!(rule(&settings.retention).everything_days, 2);
        let whole = Settings::from_toml("[retention]\neverything = \"2 days\"\n").unwrap();
        assert_eq!(rule(&whole.retention).everything_days, 2);
    }
}
