//! Compressors and their like, lent out and kept: whoever needs one waits for nobody, and none is made for one block.

use std::sync::{Mutex, PoisonError};

/// Things that take a megabyte and a while to make, kept for the next one who needs one.
pub(crate) struct Spare<T>(Mutex<Vec<T>>);

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Spare<T> {
    pub(crate) fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut thing = spare.unwrap_or_else(make);
        let result = work(&mut thing);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(thing);
        result
    }
}
