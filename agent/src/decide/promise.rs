//! The owner's wish of how long things are kept, as the store's rule. Not here: the rule in words (`words::rules`).

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
        newest: settings.newest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_firmware_config::settings_from_toml;

    /// Whoever asks for a day and a half is promised two.
    #[test]
    fn a_promise_is_never_cut_short() {
        let settings = settings_from_toml("[retention]\neverything = \"36 hours\"\n").unwrap();
        assert_eq!(rule(&settings.retention).everything_days, 2);
        let whole = settings_from_toml("[retention]\neverything = \"2 days\"\n").unwrap();
        assert_eq!(rule(&whole.retention).everything_days, 2);
    }
}
