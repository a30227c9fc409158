//! Compressors and similar objects, lent out and reused: no borrower waits, and no object is made for a single block.

use crate::locks::{Mutex, rank};

/// Objects that take a megabyte and a while to make, kept for the next borrower.
pub(crate) struct Pool<T>(Mutex<Vec<T>, { rank::POOL }>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Pool<T> {
    pub(crate) fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let spare = self.0.lock().pop();
        let mut thing = spare.unwrap_or_else(make);
        let result = work(&mut thing);
        self.0.lock().push(thing);
        result
    }
}
