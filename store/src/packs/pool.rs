//! Compressors and their like, lent out and kept: whoever needs one waits for nobody, and none is made for one block.

use crate::locks::{Mutex, rank};

/// Things that take a megabyte and a while to make, kept for the next one who needs one.
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
