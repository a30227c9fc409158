//! How often a device may say something that stays in the ledger for ever, other than a snapshot: each word is an entry, and
//! enough of them would fill the disk, the owner's reserve included.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Of one device in a day; a person says a few in a year.
const WISHES_A_DAY_MAX: u32 = 200;
const DAY_S: u64 = 24 * 3600;

/// Wishes of each device since its day began, by the seconds that the appliance has been on.
#[derive(Default)]
pub(crate) struct DailyWishes(Mutex<BTreeMap<String, WishDay>>);

#[derive(Clone, Copy)]
struct WishDay {
    began_s: u64,
    wishes: u32,
}

impl DailyWishes {
    /// Counts a wish of a device.
    ///
    /// # Errors
    /// Seconds until the device's next day, where this day has had enough.
    pub(crate) fn count(&self, device: &str, now_s: u64) -> Result<(), u64> {
        let mut days = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        days.retain(|_, day| now_s.saturating_sub(day.began_s) < DAY_S);
        let day = days.entry(device.to_owned()).or_insert(WishDay { began_s: now_s, wishes: 0 });
        if day.wishes >= WISHES_A_DAY_MAX {
            return Err((day.began_s + DAY_S).saturating_sub(now_s));
        }
        day.wishes += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_its_day_and_takes_nobody_elses() {
        let wishes = DailyWishes::default();
        for n in 0..WISHES_A_DAY_MAX {
            assert_eq!(wishes.count("phone", u64::from(n)), Ok(()));
        }
        assert_eq!(wishes.count("phone", 3600), Err(DAY_S - 3600));
        assert_eq!(wishes.count("laptop", 3600), Ok(()));
        assert_eq!(wishes.count("phone", DAY_S), Ok(()));
    }
}
