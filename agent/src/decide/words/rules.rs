//! How long things are kept, in words: one truth from one rule.

use crate::phrase::counted;
use larder_store::RuleInForce;
use larder_store::retention::Rule;

const YEAR_DAYS: u32 = 366;

/// The whole rule.
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

/// The part to rely on whatever happens.
pub(crate) fn promise_in_words(rule: &Rule) -> String {
    let kept = spell(rule.everything_days);
    format!("Every backup is kept {kept}. Nothing on the network can shorten that.")
}

/// A promise about to become shorter, in words; none otherwise.
pub(crate) fn shorter_in_words(in_force: &RuleInForce) -> Option<String> {
    in_force.shorter.map(|(rule, left_s)| shorter(&rule, left_s))
}

/// The shorter rule, and the hours until its start.
pub(super) fn shorter(rule: &Rule, left_s: i64) -> String {
    let hours = counted(left_s.unsigned_abs().div_ceil(3600), "hour", "hours");
    format!("A shorter rule comes into force in about {hours}: {}", rule_in_words(rule))
}

/// A year of the settings is 366 days: nobody who wrote `1 year` looks for 366 days.
fn spell(days: u32) -> String {
    match days {
        u32::MAX => "for ever".to_owned(),
        days if days > 0 && days.is_multiple_of(YEAR_DAYS) => {
            format!("for {}", counted((days / YEAR_DAYS).into(), "year", "years"))
        }
        days => format!("for {}", counted(days.into(), "day", "days")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_somebody_would_say_them() {
        let check = |days, said| assert_eq!(spell(days), said);
        check(0, "for 0 days");
        check(1, "for 1 day");
        check(365, "for 365 days");
        check(366, "for 1 year");
        check(1830, "for 5 years");
        check(u32::MAX, "for ever");
    }
}
