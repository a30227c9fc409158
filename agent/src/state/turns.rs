//! Places for work that takes memory or a disk's time, so many in total and fewer for each device.
//!
//! A device waits for a place of its own first and only then beside other devices, so a thousand questions of one
//! device stand in that device's own queue. Not here: memory for uploads, whose senders set the pace
//! (`upload_memory`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for one kind of work.
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    each_max: usize,
    /// One entry for each device that ever asked, no more than there are keys.
    devices: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place, free again when it is dropped.
pub(crate) struct Turn {
    /// Both are always there: no code closes a semaphore.
    _places: [Option<OwnedSemaphorePermit>; 2],
}

impl Turns {
    /// `all_max` places, of which a device has at most `each_max` at once.
    pub(crate) fn new(all_max: usize, each_max: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all_max)), each_max, devices: Mutex::default() }
    }

    /// Waits for a place.
    pub(crate) fn take(&self, device: &str) -> impl Future<Output = Turn> + Send + use<> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let own = devices.entry(device.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.each_max)));
        let (own, all) = (own.clone(), self.all.clone());
        async move {
            let own = own.acquire_owned().await.ok();
            Turn { _places: [own, all.acquire_owned().await.ok()] }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> Poll<F::Output> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_device_that_asks_a_thousand_things_keeps_nobody_waiting() {
        let turns = Turns::new(4, 3);
        let mut asked: Vec<_> = (0..1000).map(|_| Box::pin(turns.take("greedy"))).collect();
        let taken: Vec<_> = asked.iter_mut().map(poll).filter(Poll::is_ready).collect();
        assert_eq!(taken.len(), 3);
        let mut other = Box::pin(turns.take("other"));
        let Poll::Ready(held) = poll(&mut other) else { panic!("the other waits") };
        let mut third = Box::pin(turns.take("third"));
        assert!(poll(&mut third).is_pending(), "there are four places, and no more");
        drop(held);
        assert!(poll(&mut third).is_ready(), "a place that is free goes on to the next");
    }
}
