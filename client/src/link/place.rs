//! Where an appliance is asked: the address of its pairing, or another one when the router gave it another.
//!
//! Only an address that answers with the paired key is ever used, so nobody is led astray. The search takes seconds and is
//! made only where nobody answered yet. Not here: the search (`moved`).

use crate::ClientError;
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// Searches for the appliance after this failure; gives `https://HOST:PORT`, with the key proven.
pub(super) type ApplianceSearch = Box<dyn Fn(&ClientError) -> Option<String> + Send + Sync>;

pub(super) struct AppliancePlace {
    known: String,
    moved: OnceLock<String>,
    search: Option<ApplianceSearch>,
    /// Set by the first answer, and by the first search: one of each is enough to know.
    is_settled: AtomicBool,
}

impl AppliancePlace {
    pub(super) fn new(address: &str) -> Self {
        let known = address.trim_end_matches('/').to_owned();
        Self { known, moved: OnceLock::new(), search: None, is_settled: AtomicBool::new(false) }
    }

    pub(super) fn searched_by(&mut self, search: ApplianceSearch) {
        self.search = Some(search);
    }

    pub(super) fn address(&self) -> &str {
        self.moved.get().unwrap_or(&self.known)
    }

    /// Asks; where nobody has ever answered, the appliance is searched for once and asked where it is found.
    pub(super) fn ask<T>(&self, ask: &mut impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
        let answer = ask();
        let Err(trouble @ ClientError::Unreachable { .. }) = &answer else {
            self.is_settled.store(true, Relaxed);
            return answer;
        };
        let Some(search) = self.search.as_ref().filter(|_| !self.is_settled.swap(true, Relaxed)) else {
            return answer;
        };
        let Some(found) = search(trouble) else { return answer };
        self.moved.get_or_init(|| found);
        ask()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoAnswer;
    use std::cell::RefCell;

    fn silent(address: &str) -> ClientError {
        let (address, why, cause) = (address.to_owned(), NoAnswer::NoWay, String::new());
        ClientError::Unreachable { address, why, cause }
    }

    /// Asks three times where only `answers` answers, with a search that finds `found`; gives the asked addresses.
    fn asked(answers: &str, found: Option<&'static str>) -> Vec<String> {
        let mut place = AppliancePlace::new("https://old:1/");
        place.searched_by(Box::new(move |_| found.map(str::to_owned)));
        let asked = RefCell::new(Vec::new());
        for _ in 0..3 {
            let _ = place.ask(&mut || {
                let address = place.address().to_owned();
                asked.borrow_mut().push(address.clone());
                if address == answers { Ok(()) } else { Err(silent(&address)) }
            });
        }
        asked.into_inner()
    }

    #[test]
    fn an_appliance_that_moved_is_asked_where_it_is() {
        let (old, new) = ("https://old:1", "https://new:1");
        assert_eq!(asked(new, Some(new)), [old, new, new, new]);
        assert_eq!(asked(old, Some(new)), [old; 3], "nobody searches for what answers");
        assert_eq!(asked(new, None), [old; 3]);
    }

    #[test]
    fn one_search_is_enough() {
        let mut place = AppliancePlace::new("https://old:1");
        let searches = std::sync::Arc::new(std::sync::Mutex::new(0));
        let counted = std::sync::Arc::clone(&searches);
        place.searched_by(Box::new(move |_| {
            *counted.lock().unwrap() += 1;
            None
        }));
        for _ in 0..5 {
            assert!(place.ask(&mut || Err::<(), _>(silent("https://old:1"))).is_err());
        }
        assert_eq!(*searches.lock().unwrap(), 1);
    }
}
