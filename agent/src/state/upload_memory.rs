//! Memory for uploads: which upload may bring its bytes next, and which upload gives its memory back.
//!
//! An upload's memory is set aside as a whole before the first byte is read. Unread bytes wait in the sender, not
//! here, and an upload can always end once begun. No device starves another:
//!
//! 1. Each device seen lately has a share, the whole memory divided by their number. Within its share a device waits
//!    only for memory on its way back. A device without any memory may always take free memory.
//! 2. Beyond its share a device takes the rest, and leaves `GUARANTEED_BYTES` to each other device.
//! 3. While an upload waits, any upload slower than `BYTES_PER_SECOND_MIN` is ended. While a device within its share
//!    waits, uploads of devices beyond their share are ended too, the slowest first, unless about to finish.
//!
//! The client asks again for an ended upload, as after a broken connection. Time is an argument below `UploadMemory`.
//! Not here: bodies and their silence (`push`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Opening an upload takes a decompressed block besides the upload itself.
const OPENING_BYTES: usize = larder_format::block::BLOCK_PLAIN_BYTES_MAX;
/// Left to each device seen lately, whatever the rest hold: two uploads of the usual size.
const GUARANTEED_BYTES: usize = 2 * 1024 * 1024;
/// An upload slower than this holds memory for minutes; slower links give up at the next upload anyway.
const BYTES_PER_SECOND_MIN: usize = 16 * 1024;
/// The pace of an upload counts the bytes of this time, or of twice this time. With half of it the pause of a busy
/// radio link would look like the end.
const WINDOW: Duration = Duration::from_secs(1);
/// An upload about to finish within this time is waited for: after an end its bytes would have to be sent again.
const OVER_WITHIN: Duration = Duration::from_secs(1);
/// A push pauses between two uploads; its share is not given away meanwhile.
const LATELY: Duration = Duration::from_secs(10);
/// How often a waiting upload looks for uploads that have become slow.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The memory of every upload.
pub(crate) struct UploadMemory {
    book: Mutex<Book>,
    openings: Arc<Semaphore>,
}

impl UploadMemory {
    /// `bytes` in total: half for opened blocks, and at least one upload of the largest size.
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
        // From here on the upload is taken out of the book on every way out, also when the sender hangs up.
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

/// The memory of one upload, given back on its drop.
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

    /// Ends when the upload has to give the memory back.
    pub(crate) async fn is_ended(&self) {
        while !self.memory.book().is_ended(self.number) {
            self.woken.notified().await;
        }
    }

    /// The last byte has come: from here on the upload is never ended. Waits for memory for its blocks.
    pub(crate) async fn open(self) -> OpenedUpload {
        self.memory.book().set_whole(self.number);
        let opening = self.memory.openings.clone().acquire_owned().await;
        OpenedUpload { _opening: opening.ok(), _place: self }
    }
}

/// The memory of a whole upload and of its opened blocks. Moves into the work on the upload: the work, and its
/// memory, outlive a sender's hang-up.
pub(crate) struct OpenedUpload {
    /// Always there: no code closes the semaphore.
    _opening: Option<OwnedSemaphorePermit>,
    _place: UploadPlace,
}

impl Drop for UploadPlace {
    fn drop(&mut self) {
        self.memory.book().leave(self.number, Instant::now());
    }
}

/// Memory of running and of waiting uploads.
struct Book {
    bytes_max: usize,
    uploads: BTreeMap<u64, Upload>,
    next_number: u64,
    /// Last moment of each device without an upload.
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
    /// Without memory so far.
    Waiting,
    Arriving(ArrivalPace),
    /// Has to give the memory back.
    Ended,
    /// Complete; in a moment its memory is free again.
    Whole,
}

/// How fast an upload comes in: bytes so far, now and at two moments a window apart.
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

    /// Bytes a second of late; none before a whole window has passed.
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

    /// The pace while bytes come; none before the pace is known.
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

/// The holders of memory at one moment.
struct Holdings {
    /// Every device seen lately, with or without memory.
    held: BTreeMap<String, usize>,
    free: usize,
    share: usize,
}

impl Holdings {
    fn of(&self, device: &str) -> usize {
        self.held.get(device).copied().unwrap_or(0)
    }

    /// Whether a device stays within the share with this upload.
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
            // Long-known slow uploads end at once: the new upload waits not even a moment for them.
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

    /// Looks for uploads that have become slow. Every waiting upload asks, and one answer serves all.
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
            // This device holds more now, and comes after the rest.
            holdings.take(upload);
        }
    }

    /// Waiting uploads: the device with the least memory first, then small before large, then in order of arrival.
    fn waiting(&self, holdings: &Holdings) -> Vec<u64> {
        let waiting = self.uploads.iter().filter(|(_, upload)| matches!(upload.stage, Stage::Waiting));
        let mut waiting: Vec<_> =
            waiting.map(|(number, upload)| (holdings.of(&upload.device), upload.bytes, *number)).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(.., number)| number).collect()
    }

    /// Ends as many uploads as a waiting upload needs, the slowest first, among the uploads that have to give way.
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

    /// Uploads with a known pace, the slowest first.
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

    /// Whether a device holds so much memory that a part belongs to the waiting upload.
    fn is_beyond_share(&self, device: &str, waiting: &Upload, holdings: &Holdings) -> bool {
        let is_kept = |upload: &&Upload| {
            upload.device == device && matches!(upload.stage, Stage::Arriving(_) | Stage::Whole)
        };
        let kept: Vec<_> = self.uploads.values().filter(is_kept).map(|upload| upload.bytes).collect();
        // A slow link would never get on if its last upload ended for a device with some uploads already.
        let is_left_alone = kept.len() == 1 && holdings.of(&waiting.device) > 0;
        let is_beyond = kept.iter().sum::<usize>() > holdings.share && !is_left_alone;
        is_beyond && device != waiting.device && holdings.is_entitled(waiting)
    }
}

#[cfg(test)]
mod tests;
