//! Where an appliance is asked: the address of its pairing, or another one when the router gave it another.
//!
//! Only an address that answers with the paired key is ever used, so nobody is led astray. Whoever waits out an outage
//! searches again and again: a box announces itself only once it has started. Not here: the search (`moved`).

use crate::{ClientError, platform::since_boot};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// After a search nobody searches for so long: each takes seconds, in which nobody is asked.
const SEARCH_PAUSE: Duration = Duration::from_secs(30);

/// Searches for the appliance that does not answer at this address; gives `https://HOST:PORT`.
pub(super) type ApplianceSearch = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

pub(super) struct AppliancePlace {
    address: Mutex<String>,
    search: Option<ApplianceSearch>,
    /// The end of the last search. Locked during a search, so that threads whose requests fail together make one.
    searched: Mutex<Option<Duration>>,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl AppliancePlace {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: Mutex::new(plain(address)),
            search: None,
            searched: Mutex::new(None),
            clock: Box::new(since_boot),
        }
    }

    pub(super) fn searched_by(&mut self, search: ApplianceSearch) {
        self.search = Some(search);
    }

    pub(super) fn address(&self) -> String {
        lock(&self.address).clone()
    }

    /// Asks; where nobody answers, the appliance is searched for and asked where it is found.
    pub(super) fn ask<T>(&self, ask: &mut impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
        let asked = self.address();
        let answer = ask();
        let is_silent = matches!(answer, Err(ClientError::Unreachable { .. }));
        if is_silent && self.is_elsewhere(&asked) { ask() } else { answer }
    }

    /// Whether the appliance may answer at another address than `asked`; searches for it unless that was just done.
    fn is_elsewhere(&self, asked: &str) -> bool {
        let Some(search) = &self.search else { return false };
        let mut searched = lock(&self.searched);
        // Otherwise another thread has found it meanwhile.
        if self.address() == asked {
            if searched.is_some_and(|ended| (self.clock)() < ended + SEARCH_PAUSE) {
                return false;
            }
            let found = search(asked);
            *searched = Some((self.clock)());
            if let Some(found) = found {
                *lock(&self.address) = plain(&found);
            }
        }
        self.address() != asked
    }
}

fn plain(address: &str) -> String {
    address.trim_end_matches('/').to_owned()
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoAnswer;
    use std::sync::Arc;

    /// A home where an appliance is at an address, or away; with a clock.
    #[derive(Default)]
    struct Home {
        at: Mutex<Option<&'static str>>,
        /// What a search finds: later than the appliance, or never.
        announced: Mutex<Option<&'static str>>,
        searches: Mutex<u32>,
        now: Mutex<Duration>,
    }

    impl Home {
        fn with(at: Option<&'static str>, announced: Option<&'static str>) -> Arc<Self> {
            Arc::new(Self { at: Mutex::new(at), announced: Mutex::new(announced), ..Self::default() })
        }

        fn becomes(&self, at: Option<&'static str>, announced: Option<&'static str>) {
            (*lock(&self.at), *lock(&self.announced)) = (at, announced);
        }

        fn place(self: &Arc<Self>, address: &str) -> AppliancePlace {
            let (clock, home) = (Arc::clone(self), Arc::clone(self));
            let mut place = AppliancePlace::new(address);
            place.clock = Box::new(move || *lock(&clock.now));
            place.searched_by(Box::new(move |_| {
                *lock(&home.searches) += 1;
                lock(&home.announced).map(str::to_owned)
            }));
            place
        }

        /// Asks `seconds` after the last time; gives the addresses that were asked.
        fn asked(&self, place: &AppliancePlace, seconds: u64) -> Vec<String> {
            *lock(&self.now) += Duration::from_secs(seconds);
            let mut asked = Vec::new();
            let _ = place.ask(&mut || {
                let address = place.address();
                asked.push(address.clone());
                if *lock(&self.at) == Some(&*address) { Ok(()) } else { Err(silent(address)) }
            });
            asked
        }
    }

    fn silent(address: String) -> ClientError {
        ClientError::Unreachable { address, why: NoAnswer::NoWay, cause: String::new() }
    }

    const FIRST: &str = "https://first:1";
    const SECOND: &str = "https://second:1";
    const THIRD: &str = "https://third:1";

    #[test]
    fn an_appliance_that_moved_is_asked_where_it_is() {
        let home = Home::with(Some(SECOND), Some(SECOND));
        let place = home.place("https://first:1/");
        assert_eq!(home.asked(&place, 0), [FIRST, SECOND]);
        assert_eq!(home.asked(&place, 0), [SECOND]);
        assert_eq!(*lock(&home.searches), 1, "nobody searches for what answers");
    }

    /// A watch has one connection for months.
    #[test]
    fn an_appliance_that_moves_again_is_found_again() {
        let home = Home::with(Some(FIRST), Some(FIRST));
        let place = home.place(FIRST);
        assert_eq!(home.asked(&place, 0), [FIRST]);
        for (moved, before) in [(SECOND, FIRST), (THIRD, SECOND), (FIRST, THIRD)] {
            home.becomes(Some(moved), Some(moved));
            assert_eq!(home.asked(&place, 3600), [before, moved]);
        }
    }

    /// After a power cut the computer asks before the box has started.
    #[test]
    fn an_appliance_that_still_starts_is_found_later() {
        let home = Home::with(None, None);
        let place = home.place(FIRST);
        assert_eq!(home.asked(&place, 0), [FIRST]);
        home.becomes(Some(SECOND), Some(SECOND));
        let tries: Vec<_> = (0..6).flat_map(|_| home.asked(&place, 10)).collect();
        assert_eq!(tries, [FIRST, FIRST, FIRST, SECOND, SECOND, SECOND, SECOND]);
    }

    #[test]
    fn an_outage_is_not_spent_with_searching() {
        let home = Home::with(None, None);
        let place = home.place(FIRST);
        for _ in 0..120 {
            home.asked(&place, 1);
        }
        assert_eq!(*lock(&home.searches), 4);
    }

    #[test]
    fn threads_that_fail_together_search_once() {
        let home = Home::with(Some(SECOND), Some(SECOND));
        let place = home.place(FIRST);
        let failed = std::sync::Barrier::new(4);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    let answer = place.ask(&mut || match place.address() {
                        address if address == SECOND => Ok(()),
                        address => {
                            failed.wait();
                            Err(silent(address))
                        }
                    });
                    assert!(answer.is_ok());
                });
            }
        });
        assert_eq!(*lock(&home.searches), 1);
    }
}
