//! Lines of the log that somebody on the network can cause without end: one line within a time, or they would push
//! everything else out of the log.
//!
//! Time comes in. Not here: the lines.

use std::time::Duration;

use tokio::time::Instant;

/// When the line was last written.
#[derive(Default)]
pub(super) struct LastTold(Option<Instant>);

impl LastTold {
    /// Whether to write the line at `now`: the first one, or the first one since `apart`.
    pub(super) fn is_news(&mut self, now: Instant, apart: Duration) -> bool {
        let is_news = self.0.is_none_or(|told| now >= told + apart);
        if is_news {
            self.0 = Some(now);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_causes_a_line_without_end_gets_one_within_a_time() {
        let (begin, minute) = (Instant::now(), Duration::from_secs(60));
        let mut told = LastTold::default();
        let moments = (0..=120).map(|second| begin + Duration::from_secs(second));
        assert_eq!(moments.filter(|now| told.is_news(*now, minute)).count(), 3);
    }
}
