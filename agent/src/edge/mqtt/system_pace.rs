//! How often the topic `system` changes: its figures always move a little.

use std::time::Duration;
use tokio::time::Instant;

/// More often, the figures would fill the owner's recorder.
const SYSTEM_EVERY: Duration = Duration::from_secs(60);

/// Keeps `system` to one change in `SYSTEM_EVERY`.
#[derive(Default)]
pub(super) struct SystemPace {
    shown: Option<(Instant, String)>,
    /// When a newer text may be shown, if one waits.
    pub(super) due: Option<Instant>,
}

impl SystemPace {
    /// The text to show at `now`: `text`, or what was shown last if that is too recent.
    pub(super) fn pace(&mut self, text: String, now: Instant) -> String {
        match &self.shown {
            Some((since, shown)) if *shown != text && now < *since + SYSTEM_EVERY => {
                self.due = Some(*since + SYSTEM_EVERY);
                shown.clone()
            }
            Some((_, shown)) if *shown == text => {
                self.due = None;
                text
            }
            _ => {
                self.due = None;
                self.shown = Some((now, text.clone()));
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_is_shown_once_a_minute_and_the_newest_text_is_not_forgotten() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = SystemPace::default();
        assert_eq!(pace.pace("1".to_owned(), at(0)), "1");
        assert_eq!(pace.pace("2".to_owned(), at(10)), "1");
        assert_eq!(pace.due, Some(at(60)));
        assert_eq!(pace.pace("3".to_owned(), at(60)), "3");
        assert_eq!(pace.due, None);
        assert_eq!(pace.pace("3".to_owned(), at(61)), "3");
        assert_eq!(pace.pace("4".to_owned(), at(125)), "4");
    }
}
