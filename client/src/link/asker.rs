//! WHEN on its way to the appliance: whoever types a time means their own clock, not the box's.
//!
//! A date is sent as a moment that is the same in every zone, so that a box of any version gives the right snapshot. What
//! counts from now stays as typed, for the clock of the box, by which snapshots are stamped; the zone goes along.

use crate::{ClientError, link::path::percent_encode};
use jiff::Zoned;
use larder_format::when::When;

/// Moment and zone of the person who asks.
#[derive(Debug, Clone)]
pub(super) struct Asker(pub(super) Zoned);

impl Asker {
    /// A WHEN for the address of a request.
    pub(super) fn written(&self, when: &str) -> String {
        percent_encode(&When::fixed(when, &self.0).unwrap_or_else(|| when.to_owned()))
    }

    /// Asks with the zone as a part of a query. A box without the name of the zone is told the distance from UTC.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(super) fn with_zone<T>(
        &self,
        ask: impl Fn(&str) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let zone = |name: &str| format!("zone={}", percent_encode(name));
        let offset = || zone(&self.0.strftime("%:z").to_string());
        match self.0.time_zone().iana_name() {
            None => ask(&offset()),
            Some(name) => match ask(&zone(name)) {
                Err(trouble) if trouble.has_code("unknown_zone") => ask(&offset()),
                answer => answer,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn refused() -> ClientError {
        let [code, what, meaning, remedy, details] = ["unknown_zone", "", "", "", ""].map(str::to_owned);
        ClientError::Refused(Box::new(larder_format::wire::Problem { code, what, meaning, remedy, details }))
    }

    fn asked_in(now: &str, refuses_names: bool) -> Vec<String> {
        let (asker, asked) = (Asker(now.parse().unwrap()), RefCell::new(Vec::new()));
        let answer = asker.with_zone(|zone| {
            asked.borrow_mut().push(zone.to_owned());
            if refuses_names && zone.contains("Tokyo") { Err(refused()) } else { Ok(()) }
        });
        answer.unwrap();
        asked.into_inner()
    }

    #[test]
    fn a_box_that_lacks_the_name_of_a_zone_is_told_the_distance() {
        let tokyo = "2026-03-20T12:00:00+09:00[Asia/Tokyo]";
        assert_eq!(asked_in(tokyo, false), ["zone=Asia%2FTokyo"]);
        assert_eq!(asked_in(tokyo, true), ["zone=Asia%2FTokyo", "zone=%2B09%3A00"]);
        assert_eq!(asked_in("2026-03-20T12:00:00-03:30[-03:30]", true), ["zone=-03%3A30"]);
    }

    #[test]
    fn dates_are_sent_as_moments_and_all_else_as_typed() {
        let asker = Asker("2026-03-20T12:00:00+09:00[Asia/Tokyo]".parse().unwrap());
        assert_eq!(asker.written("2026-03-20 18:30"), "2026-03-20T09%3A30%3A59.999999999Z");
        assert_eq!(asker.written("2 weeks ago"), "2%20weeks%20ago");
        assert_eq!(asker.written("-1"), "-1");
        assert_eq!(asker.written("yesterday"), "yesterday");
    }
}
