//! Memory for uploads: which upload may bring its bytes next, and which one gives its memory back.
//!
//! An upload's memory is set aside as a whole before its first byte is read: what has not been read waits in the sender,
//! not here, and an upload that has begun can always end. So that no device starves another:
//!
//! 1. Each device that was here lately has a share, all memory divided by their number. Within its share a device waits
//!    only for memory that is on its way back. A device that holds nothing may always take what is free.
//! 2. Beyond its share a device takes what is left, and leaves each of the others `GUARANTEED_BYTES`.
//! 3. While anybody waits, an upload that brings less than `BYTES_PER_SECOND_MIN` is ended. While a device waits that is
//!    within its share, so are uploads of devices beyond theirs, unless they are over in a moment: the slowest first.
//!
//! An upload that was ended is asked for again by its client, as after a connection that broke. Time comes in as an
//! argument below `UploadMemory`. Not here: bodies and their silence (`push`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Opening an upload takes a decompressed block besides the upload itself.
const OPENING_BYTES: usize = larder_format::block::BLOCK_PLAIN_BYTES_MAX;
/// Left to each device that was here lately, whatever another one holds: two uploads of the usual size.
const GUARANTEED_BYTES: usize = 2 * 1024 * 1024;
/// An upload slower than this holds memory for minutes; slower links give up at the next upload anyway.
const BYTES_PER_SECOND_MIN: usize = 16 * 1024;
/// The pace of an upload is what it brought within this time, or within twice this time. Half of it would take the pause
/// of a busy radio link for the end.
const WINDOW: Duration = Duration::from_secs(1);
/// An upload that is over by then is waited for, and not ended: its bytes would have to be sent again.
const OVER_WITHIN: Duration = Duration::from_secs(1);
/// A push pauses between two uploads; its share is not given away meanwhile.
const LATELY: Duration = Duration::from_secs(10);
/// How often a waiting upload looks whether others have become slow.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The memory of all uploads.
pub(crate) struct UploadMemory {
    book: Mutex<Book>,
    openings: Arc<Semaphore>,
}

impl UploadMemory {
    /// `bytes` for everything: half of it for opened blocks, and at least one upload of the largest size.
    pub(crate) fn new(bytes: usize) -> Self {
        let openings = (bytes / 2 / OPENING_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        let rest = bytes.saturating_sub(openings.saturating_mul(OPENING_BYTES));
        let bytes = rest.max(larder_format::wire::UPLOAD_BYTES_MAX);
        Self { book: Mutex::new(Book::of(bytes)), openings: Arc::new(Semaphore::new(openings)) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `device` may bring an upload of `bytes`.
    pub(crate) async fn place(self: &Arc<Self>, device: &str, bytes: usize) -> UploadPlace {
        let (number, woken) = self.book().ask(device, bytes, Instant::now());
        // From here on the upload is taken out of the book on every way out, also when its sender hangs up.
        let place = UploadPlace { memory: Arc::clone(self), number, woken };
        while self.book().is_waiting(number) {
            tokio::select! {
                () = place.woken.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => self.book().look(Instant::now()),
            }
        }
        place
    }
}

/// The memory of one upload, given back when it is dropped.
pub(crate) struct UploadPlace {
    memory: Arc<UploadMemory>,
    number: u64,
    woken: Arc<Notify>,
}

impl UploadPlace {
    /// So many more bytes have come.
    pub(crate) fn arrived(&self, bytes: usize) {
        self.memory.book().arrived(self.number, bytes, Instant::now());
    }

    /// Comes to its end when the upload has to give its memory back.
    pub(crate) async fn is_ended(&self) {
        while !self.memory.book().is_ended(self.number) {
            self.woken.notified().await;
        }
    }

    /// The last byte has come: from here on the upload is never ended. Waits for memory to open it.
    pub(crate) async fn open(self) -> OpenedUpload {
        self.memory.book().set_whole(self.number);
        let opening = self.memory.openings.clone().acquire_owned().await;
        OpenedUpload { _opening: opening.ok(), _place: self }
    }
}

/// The memory of an upload that is here as a whole, and of its opened blocks. Goes along with the work on it: that work
/// goes on when the sender hangs up, and so does what it holds.
pub(crate) struct OpenedUpload {
    /// Always there, since nobody closes the semaphore.
    _opening: Option<OwnedSemaphorePermit>,
    _place: UploadPlace,
}

impl Drop for UploadPlace {
    fn drop(&mut self) {
        self.memory.book().leave(self.number, Instant::now());
    }
}

/// What uploads hold and wait for.
struct Book {
    bytes_max: usize,
    uploads: BTreeMap<u64, Upload>,
    next_number: u64,
    /// When each device that has no upload now was here last.
    left: BTreeMap<String, Instant>,
    looked: Option<Instant>,
}

struct Upload {
    device: String,
    bytes: usize,
    stage: Stage,
    woken: Arc<Notify>,
}

enum Stage {
    /// Holds nothing yet.
    Waiting,
    Arriving(ArrivalPace),
    /// Has to give its memory back.
    Ended,
    /// All of it is here; in a moment its memory is free again.
    Whole,
}

/// How fast an upload comes in: bytes so far, now and at two moments that lie a window apart.
struct ArrivalPace {
    bytes: usize,
    older: (Instant, usize),
    newer: (Instant, usize),
}

impl ArrivalPace {
    fn new(now: Instant) -> Self {
        Self { bytes: 0, older: (now, 0), newer: (now, 0) }
    }

    fn pass(&mut self, now: Instant) {
        if now.duration_since(self.newer.0) >= WINDOW {
            self.older = self.newer;
            self.newer = (now, self.bytes);
        }
    }

    /// Bytes a second of late; nothing before a whole window has passed.
    fn of_late(&self, now: Instant) -> Option<f64> {
        let passed = now.duration_since(self.older.0);
        let came = self.bytes - self.older.1;
        (passed >= WINDOW).then(|| came as f64 / passed.as_secs_f64())
    }
}

impl Upload {
    fn holds(&self) -> usize {
        if matches!(self.stage, Stage::Waiting) { 0 } else { self.bytes }
    }

    /// How fast it is while bytes come; nothing as long as that cannot be told.
    fn bytes_per_second(&self, now: Instant) -> Option<f64> {
        let Stage::Arriving(pace) = &self.stage else { return None };
        pace.of_late(now)
    }

    fn is_over_soon(&self, now: Instant) -> bool {
        let (Stage::Arriving(pace), Some(rate)) = (&self.stage, self.bytes_per_second(now)) else {
            return true;
        };
        self.bytes.saturating_sub(pace.bytes) as f64 <= rate * OVER_WITHIN.as_secs_f64()
    }
}

/// Who holds how much at one moment.
struct Holdings {
    /// Every device that was here lately, also those that hold nothing.
    held: BTreeMap<String, usize>,
    free: usize,
    share: usize,
}

impl Holdings {
    fn of(&self, device: &str) -> usize {
        self.held.get(device).copied().unwrap_or(0)
    }

    /// Whether a device stays within its share with this upload.
    fn is_entitled(&self, upload: &Upload) -> bool {
        let held = self.of(&upload.device);
        held == 0 || held + upload.bytes <= self.share
    }

    fn may_come(&self, upload: &Upload) -> bool {
        let Some(left) = self.free.checked_sub(upload.bytes) else { return false };
        let others = self.held.iter().filter(|(device, _)| **device != upload.device);
        let guaranteed = GUARANTEED_BYTES.min(self.share);
        left >= others.map(|(_, held)| guaranteed.saturating_sub(*held)).sum() || self.is_entitled(upload)
    }

    fn take(&mut self, upload: &Upload) {
        self.free -= upload.bytes;
        *self.held.entry(upload.device.clone()).or_default() += upload.bytes;
    }
}

impl Book {
    fn of(bytes_max: usize) -> Self {
        Self { bytes_max, uploads: BTreeMap::new(), next_number: 0, left: BTreeMap::new(), looked: None }
    }

    fn ask(&mut self, device: &str, bytes: usize, now: Instant) -> (u64, Arc<Notify>) {
        let (number, woken) = (self.next_number, Arc::new(Notify::new()));
        self.next_number += 1;
        let (device, stage) = (device.to_owned(), Stage::Waiting);
        self.uploads.insert(number, Upload { device, bytes, stage, woken: woken.clone() });
        self.let_in(now);
        if self.is_waiting(number) {
            // Those that have been slow for long are known: nobody waits for them for even a moment.
            let holdings = self.holdings(now);
            self.make_room(number, &holdings, now);
        }
        (number, woken)
    }

    fn is_waiting(&self, number: u64) -> bool {
        self.uploads.get(&number).is_some_and(|upload| matches!(upload.stage, Stage::Waiting))
    }

    fn is_ended(&self, number: u64) -> bool {
        self.uploads.get(&number).is_some_and(|upload| matches!(upload.stage, Stage::Ended))
    }

    fn arrived(&mut self, number: u64, bytes: usize, now: Instant) {
        if let Some(Upload { stage: Stage::Arriving(pace), .. }) = self.uploads.get_mut(&number) {
            pace.of_late(now);
            pace.bytes = pace.bytes.saturating_add(bytes);
        }
    }

    fn set_whole(&mut self, number: u64) {
        if let Some(upload) = self.uploads.get_mut(&number) {
            upload.stage = Stage::Whole;
        }
    }

    fn leave(&mut self, number: u64, now: Instant) {
        if let Some(upload) = self.uploads.remove(&number) {
            self.left.insert(upload.device, now);
        }
        self.let_in(now);
    }

    fn holdings(&mut self, now: Instant) -> Holdings {
        self.left.retain(|_, left| now.duration_since(*left) < LATELY);
        let mut held: BTreeMap<_, _> = self.left.keys().map(|device| (device.clone(), 0)).collect();
        for upload in self.uploads.values() {
            *held.entry(upload.device.clone()).or_default() += upload.holds();
        }
        let share = self.bytes_max / held.len().max(1);
        Holdings { free: self.bytes_max.saturating_sub(held.values().sum()), held, share }
    }

    /// Looks whether others have become slow. Every upload that waits asks for it, and one answer serves them all.
    fn look(&mut self, now: Instant) {
        if self.looked.is_some_and(|looked| now.duration_since(looked) < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        self.let_in(now);
        let holdings = self.holdings(now);
        for number in self.waiting(&holdings) {
            self.make_room(number, &holdings, now);
        }
    }

    fn let_in(&mut self, now: Instant) {
        let mut holdings = self.holdings(now);
        loop {
            let waiting = self.waiting(&holdings);
            let first = waiting.into_iter().find(|number| holdings.may_come(&self.uploads[number]));
            let Some(upload) = first.and_then(|number| self.uploads.get_mut(&number)) else { return };
            upload.stage = Stage::Arriving(ArrivalPace::new(now));
            upload.woken.notify_one();
            // This device holds more now, and comes after the others.
            holdings.take(upload);
        }
    }

    /// Uploads that wait: of the device that holds least first, then the small before the large, then in their order.
    fn waiting(&self, holdings: &Holdings) -> Vec<u64> {
        let waiting = self.uploads.iter().filter(|(_, upload)| matches!(upload.stage, Stage::Waiting));
        let mut waiting: Vec<_> =
            waiting.map(|(number, upload)| (holdings.of(&upload.device), upload.bytes, *number)).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(.., number)| number).collect()
    }

    /// Ends as many uploads as a waiting one needs, the slowest first, of those that have to give way to it.
    fn make_room(&mut self, number: u64, holdings: &Holdings, now: Instant) {
        let bytes = self.uploads[&number].bytes;
        let ended = self.uploads.values().filter(|upload| matches!(upload.stage, Stage::Ended));
        let mut coming = holdings.free + ended.map(|upload| upload.bytes).sum::<usize>();
        for slow in self.slowest(now) {
            if coming >= bytes {
                return;
            }
            let upload = &self.uploads[&slow];
            let is_too_slow =
                upload.bytes_per_second(now).is_some_and(|pace| pace < BYTES_PER_SECOND_MIN as f64);
            let is_beyond = self.is_beyond_share(&upload.device, &self.uploads[&number], holdings);
            if !is_too_slow && (!is_beyond || upload.is_over_soon(now)) {
                continue;
            }
            if let Some(upload) = self.uploads.get_mut(&slow) {
                upload.stage = Stage::Ended;
                upload.woken.notify_one();
                coming += upload.bytes;
            }
        }
    }

    /// Uploads whose pace is known, the slowest first.
    fn slowest(&mut self, now: Instant) -> Vec<u64> {
        let mut slowest = Vec::new();
        for (number, upload) in &mut self.uploads {
            if let Stage::Arriving(pace) = &mut upload.stage {
                pace.pass(now);
            }
            slowest.extend(upload.bytes_per_second(now).map(|pace| (pace, *number)));
        }
        slowest.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        slowest.into_iter().map(|(_, number)| number).collect()
    }

    /// Whether a device holds so much that some of it belongs to the upload that waits.
    fn is_beyond_share(&self, device: &str, waiting: &Upload, holdings: &Holdings) -> bool {
        let is_kept = |upload: &&Upload| {
            upload.device == device && matches!(upload.stage, Stage::Arriving(_) | Stage::Whole)
        };
        let kept: Vec<_> = self.uploads.values().filter(is_kept).map(|upload| upload.bytes).collect();
        // A slow link would never get anywhere if it lost its last upload to those who have some already.
        let is_left_alone = kept.len() == 1 && holdings.of(&waiting.device) > 0;
        let is_beyond = kept.iter().sum::<usize>() > holdings.share && !is_left_alone;
        is_beyond && device != waiting.device && holdings.is_entitled(waiting)
    }
}

#[cfg(test)]
mod tests;
