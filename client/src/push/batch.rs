//! Batches of chunks on their way from readers to senders, and the bounded queue between the two.
//!
//! Files are read straight into a batch's buffer, so the bytes of a chunk are never copied before compression.
//! Buffers are used again and their number is fixed: this bounds the memory of a push. Not here: compressing and
//! sending a batch (`send`).

use crate::ClientError;
use larder_format::{
    ChunkId, ChunkRef,
    cut::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN},
};
use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Bytes at which a batch leaves. Twice as many bytes pack 0.6 % better and take 15 MB more memory.
pub(crate) const BATCH_BYTES_AIM: usize = 1024 * 1024;
/// Chunks at which a batch leaves, so that a question for missing names stays at 32 KiB.
pub(crate) const BATCH_CHUNKS_MAX: usize = 1024;
/// Nodes of folders leave earlier: nodes are small, and a block of nodes should hold neighbours.
const TREE_BYTES_AIM: usize = 512 * 1024;
/// A full batch and a further chunk of the largest kind. Untouched pages cost nothing.
const BUFFER_BYTES: usize = BATCH_BYTES_AIM + CHUNK_BYTES_MAX + CHUNK_BYTES_MIN;
/// Large files that are read at the same time. Their buffers take most of the memory of a push: eleven buffers of 5
/// MiB.
const LARGE_FILES_MAX: usize = 2;

/// The push cannot go on; the reason lies in the queue.
#[derive(Debug)]
pub(crate) struct Stopped;

/// A chunk in a batch.
#[derive(Debug, Clone)]
pub(crate) struct BatchedChunk {
    pub(crate) id: ChunkId,
    pub(crate) place: Range<usize>,
    /// Chunks of like content (by file ending) compress best side by side.
    pub(crate) order: u64,
}

/// Chunks that travel together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    buffer: Vec<u8>,
    filled: usize,
    sealed: usize,
    pub(crate) parts: Vec<BatchedChunk>,
}

impl Batch {
    pub(crate) fn bytes(&self, part: &BatchedChunk) -> &[u8] {
        &self.buffer[part.place.clone()]
    }

    /// The bytes of the chunks, back to back.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.buffer[..self.sealed]
    }
}

/// A reader's side: fills batches and hands batches over.
pub(crate) struct Batcher<'a> {
    queue: &'a Queue,
    batch: Batch,
    aim: usize,
    goes: BatchGoes,
}

/// What becomes of a finished batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchGoes {
    ToSenders,
    /// The walk looks at a part of the tree, so its nodes belong to no snapshot.
    Nowhere,
}

impl<'a> Batcher<'a> {
    /// For bytes of files.
    pub(crate) fn for_files(queue: &'a Queue) -> Self {
        Self { queue, batch: Batch::default(), aim: BATCH_BYTES_AIM, goes: BatchGoes::ToSenders }
    }

    /// For nodes and lists of pieces, so that nodes share blocks with nodes.
    pub(crate) fn for_trees(queue: &'a Queue, goes: BatchGoes) -> Self {
        Self { queue, batch: Batch::default(), aim: TREE_BYTES_AIM, goes }
    }

    /// Makes room for a chunk of `bytes`, so that the chunk stays with its batch.
    pub(crate) fn make_room(&mut self, bytes: usize) -> Result<(), Stopped> {
        if self.batch.sealed > 0 && self.batch.sealed + bytes > self.aim { self.flush() } else { Ok(()) }
    }

    /// Read bytes that are not part of a chunk yet.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.batch.buffer[self.batch.sealed..self.batch.filled]
    }

    /// Forgets the tail: the file could not be read to its end.
    pub(crate) fn drop_tail(&mut self) {
        self.batch.filled = self.batch.sealed;
    }

    /// Where the next `len` bytes of the tail (at most a largest chunk's) are to be put; tell `grew` how many came.
    pub(crate) fn space(&mut self, len: usize) -> &mut [u8] {
        if self.batch.buffer.capacity() == 0 {
            self.batch.buffer = self.queue.take_buffer(self.aim, len > CHUNK_BYTES_MIN);
        }
        let from = self.batch.filled;
        if self.batch.buffer.len() < from + len {
            self.batch.buffer.resize(from + len, 0);
        }
        &mut self.batch.buffer[from..from + len]
    }

    pub(crate) fn grew(&mut self, bytes: usize) {
        self.batch.filled += bytes;
    }

    /// Makes the first `len` bytes of the tail a chunk.
    pub(crate) fn seal(&mut self, len: usize, order: u64) -> Result<ChunkRef, Stopped> {
        let place = self.batch.sealed..self.batch.sealed + len;
        let chunk = ChunkRef::to(&self.batch.buffer[place.clone()]);
        self.batch.sealed = place.end;
        self.batch.parts.push(BatchedChunk { id: chunk.id, place, order });
        if self.batch.sealed >= self.aim || self.batch.parts.len() >= BATCH_CHUNKS_MAX {
            self.flush()?;
        }
        Ok(chunk)
    }

    /// Adds a finished chunk.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<ChunkRef, Stopped> {
        self.make_room(bytes.len())?;
        self.space(bytes.len()).copy_from_slice(bytes);
        self.grew(bytes.len());
        self.seal(bytes.len(), 0)
    }

    /// Hands over the finished chunks; the tail stays.
    pub(crate) fn flush(&mut self) -> Result<(), Stopped> {
        if self.batch.parts.is_empty() {
            return Ok(());
        }
        if self.goes == BatchGoes::Nowhere {
            // Nodes are added whole, so there is no tail.
            (self.batch.filled, self.batch.sealed) = (0, 0);
            self.batch.parts.clear();
            return Ok(());
        }
        // Before taking another buffer: a waiting reader should hold a single buffer.
        self.queue.reserve()?;
        let mut next = Batch::default();
        let tail = self.batch.filled - self.batch.sealed;
        if tail > 0 {
            next.buffer = self.queue.take_buffer(self.aim, true);
            if next.buffer.len() < tail {
                next.buffer.resize(tail, 0);
            }
            next.buffer[..tail].copy_from_slice(self.tail());
            next.filled = tail;
        }
        self.queue.push(std::mem::replace(&mut self.batch, next));
        Ok(())
    }

    /// Waits until few enough large files are being read; counts as a large file until the result is dropped.
    pub(crate) fn begin_large_file(&self) -> LargeFile<'a> {
        self.queue.begin_large_file()
    }
}

/// Full batches on their way to the senders, and empty buffers on their way back.
pub(crate) struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
    length_max: usize,
}

#[derive(Default)]
struct QueueState {
    batches: VecDeque<Batch>,
    /// Reserved places of batches on their way.
    reserved: usize,
    buffers: Vec<Vec<u8>>,
    large_files: usize,
    closed: bool,
    trouble: Option<ClientError>,
}

/// A large file while it is read.
pub(crate) struct LargeFile<'a>(&'a Queue);

impl Drop for LargeFile<'_> {
    fn drop(&mut self) {
        self.0.lock().large_files -= 1;
        self.0.changed.notify_all();
    }
}

impl Queue {
    /// Holds `length_max` batches: readers wait when the network is the slower side.
    pub(crate) fn new(length_max: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), length_max }
    }

    // No code panics while holding the lock, and the state is whole between any two lines.
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, QueueState>) -> MutexGuard<'s, QueueState> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_large_file(&self) -> LargeFile<'_> {
        let mut state = self.lock();
        // A reader of a large file waits for senders at most, and senders wait for nobody here, so the waiting ends.
        while state.large_files >= LARGE_FILES_MAX && state.trouble.is_none() {
            state = self.wait(state);
        }
        state.large_files += 1;
        LargeFile(self)
    }

    /// Touched pages of a buffer stay in memory. So a large file gets a buffer that held a large chunk before, and a
    /// small file gets another: otherwise every buffer would be touched to its end in time.
    fn take_buffer(&self, aim: usize, for_large_file: bool) -> Vec<u8> {
        if aim < BATCH_BYTES_AIM {
            return Vec::with_capacity(2 * aim);
        }
        let buffers = &mut self.lock().buffers;
        let touched = |at: &usize| buffers[*at].len();
        let chosen = if for_large_file {
            (0..buffers.len()).max_by_key(touched)
        } else {
            (0..buffers.len()).min_by_key(touched)
        };
        chosen.map_or_else(|| Vec::with_capacity(BUFFER_BYTES), |at| buffers.swap_remove(at))
    }

    /// Waits for a place in the queue.
    fn reserve(&self) -> Result<(), Stopped> {
        let mut state = self.lock();
        while state.batches.len() + state.reserved >= self.length_max && state.trouble.is_none() {
            state = self.wait(state);
        }
        if state.trouble.is_some() {
            return Err(Stopped);
        }
        state.reserved += 1;
        Ok(())
    }

    /// Puts a batch into its reserved place.
    fn push(&self, batch: Batch) {
        let mut state = self.lock();
        state.reserved -= 1;
        state.batches.push_back(batch);
        drop(state);
        self.changed.notify_all();
    }

    /// The next batch; nothing once the queue is closed and empty, or the push has stopped.
    pub(crate) fn pop(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if state.trouble.is_some() {
                return None;
            }
            if let Some(batch) = state.batches.pop_front() {
                drop(state);
                self.changed.notify_all();
                return Some(batch);
            }
            if state.closed {
                return None;
            }
            state = self.wait(state);
        }
    }

    /// Gives a buffer back for the next batch; buffers of nodes are small, and are dropped.
    pub(crate) fn recycle(&self, batch: Batch) {
        if batch.buffer.capacity() >= BUFFER_BYTES {
            self.lock().buffers.push(batch.buffer);
        }
    }

    /// No more batches will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Stops both sides; the first reason counts.
    pub(crate) fn stop(&self, trouble: ClientError) {
        self.lock().trouble.get_or_insert(trouble);
        self.changed.notify_all();
    }

    /// Whether `stop` was called.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().trouble.is_some()
    }

    /// The reason of the stop.
    pub(crate) fn trouble(&self) -> Option<ClientError> {
        self.lock().trouble.clone()
    }
}
