//! Reading a file: holes, chunks, pieces.
//!
//! A small file is read at once into the batch; a large file streams through the batch, so memory does not depend on
//! the size. The filesystem is asked for holes only where a file takes less room than its size. Not here: noticing a
//! file that changes meanwhile (`entry`), by the status before and after.

use crate::{
    platform::{FileStatus, SystemError, next_data, next_hole, read_at},
    progress::FileMeter,
    push::batch::{Batcher, Stopped},
    push::cut_choice::{Earlier, FIRST_BYTES, choose},
};
use larder_format::{
    cut::{CHUNK_BYTES_AVG, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Cut, FIXED_SIZE_BYTES},
    tree::{Made, Piece, PieceBuilder},
};
use std::{
    fs::File,
    io::{ErrorKind, Read},
    ops::Range,
};

/// Where chunks of files and lists of pieces go.
pub(crate) struct Batches<'a> {
    pub(crate) files: Batcher<'a>,
    pub(crate) trees: Batcher<'a>,
    /// How far the file under way has come.
    pub(crate) meter: FileMeter<'a>,
}

/// The content of a file, as read.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) size: u64,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) fixed_size: bool,
}

/// Why a file's content could not be had.
#[derive(Debug)]
pub(crate) enum ReadError {
    Stopped,
    Io(SystemError),
}

impl From<Stopped> for ReadError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// Reads an open file of the given status.
pub(crate) fn read(
    file: &File,
    name: &[u8],
    status: &FileStatus,
    earlier: Option<Earlier>,
    out: &mut Batches<'_>,
) -> Result<Content, ReadError> {
    let order = order_of(name);
    let is_sparse = status.stored_bytes < status.size;
    if status.size <= CHUNK_BYTES_MIN as u64 && !(is_sparse && status.stored_bytes == 0) {
        let len = usize::try_from(status.size).expect("at most 256 KiB");
        return read_small(file, len, order, out);
    }
    let _one_of_few = out.files.begin_large_file();
    out.meter.restart();
    let mut first = [0; FIRST_BYTES];
    let seen = retry_on_signal(|space| read_at(file, space, 0), &mut first)?;
    let cut = choose(name, status, &first[..seen], earlier);
    let mut stream = Stream { file, cut, order, pieces: PieceBuilder::default(), out };
    let mut at = 0;
    while at < status.size {
        let run = if is_sparse { next_run(file, at, status.size) } else { at..status.size };
        stream.hole(run.start - at)?;
        at = run.end;
        if !stream.data(run)? {
            break;
        }
    }
    stream.finish()
}

fn read_small(file: &File, len: usize, order: u64, out: &mut Batches<'_>) -> Result<Content, ReadError> {
    if len == 0 {
        return Ok(Content { size: 0, pieces: Vec::new(), fixed_size: false });
    }
    out.files.make_room(len)?;
    let mut have = 0;
    while have < len {
        let read = retry_on_signal(|space| (&*file).read(space), out.files.space(len - have));
        let read = read.inspect_err(|_| out.files.drop_tail())?;
        if read == 0 {
            break;
        }
        out.files.grew(read);
        have += read;
    }
    if have == 0 {
        return Ok(Content { size: 0, pieces: Vec::new(), fixed_size: false });
    }
    let chunk = out.files.seal(have, order)?;
    Ok(Content { size: have as u64, pieces: vec![Piece::Chunk(chunk)], fixed_size: false })
}

fn retry_on_signal(
    read: impl Fn(&mut [u8]) -> std::io::Result<usize>,
    space: &mut [u8],
) -> Result<usize, ReadError> {
    loop {
        match read(space) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other.map_err(|error| ReadError::Io(error.into())),
        }
    }
}

/// A large file on its way through the batches.
struct Stream<'a, 'b> {
    file: &'a File,
    cut: Cut,
    order: u64,
    pieces: PieceBuilder,
    out: &'a mut Batches<'b>,
}

/// Bytes of a read: enough that calls do not count, few enough that the bytes are still in the processor's cache.
const READ_BYTES: usize = 512 * 1024;

impl Stream<'_, '_> {
    fn hole(&mut self, bytes: u64) -> Result<(), ReadError> {
        self.out.meter.add(bytes);
        if bytes > 0 { self.piece(Piece::Hole(bytes)) } else { Ok(()) }
    }

    fn piece(&mut self, piece: Piece) -> Result<(), ReadError> {
        let trees = &mut self.out.trees;
        Ok(self.pieces.push(piece, &mut |made: Made| trees.add(&made).map(|_| ()))?)
    }

    /// Cuts the bytes of a run; false when the file ended too early.
    fn data(&mut self, run: Range<u64>) -> Result<bool, ReadError> {
        let base = match self.cut {
            Cut::FixedSize => FIXED_SIZE_BYTES,
            // A border below the length at hand is final once an average chunk is there: the rule for borders changes
            // at the average, and looks at the length that follows only below the average.
            Cut::Content => CHUNK_BYTES_AVG + CHUNK_BYTES_MIN,
        };
        let (mut at, mut end, mut wanted) = (run.start, run.end, base);
        loop {
            let have = self.out.files.tail().len();
            if have < wanted && at < end {
                let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(READ_BYTES);
                let (file, space) = (self.file, self.out.files.space(len));
                let read = retry_on_signal(|space| read_at(file, space, at), space);
                let read = read.inspect_err(|_| self.out.files.drop_tail())?;
                if read == 0 {
                    end = at;
                }
                self.out.files.grew(read);
                at += read as u64;
                continue;
            }
            if have == 0 {
                return Ok(end == run.end);
            }
            let len = match self.cut {
                // Aligned to the start of the file: a hole that moves must not move the cuts behind the hole.
                Cut::FixedSize => have.min(up_to_fine_border(at - have as u64)),
                Cut::Content => self.cut.first_len(self.out.files.tail()),
            };
            if self.cut == Cut::Content && len == have && at < end && have < CHUNK_BYTES_MAX {
                wanted = (have + CHUNK_BYTES_MIN).min(CHUNK_BYTES_MAX);
                continue;
            }
            wanted = base;
            let chunk = self.out.files.seal(len, self.order)?;
            self.out.meter.add(len as u64);
            self.piece(Piece::Chunk(chunk))?;
        }
    }

    fn finish(self) -> Result<Content, ReadError> {
        let trees = &mut self.out.trees;
        let (size, pieces) = self.pieces.finish(&mut |made: Made| trees.add(&made).map(|_| ()))?;
        Ok(Content { size, pieces, fixed_size: self.cut == Cut::FixedSize })
    }
}

/// The next run of data at or after `at`; an empty run at the end when only a hole follows.
fn next_run(file: &File, at: u64, size: u64) -> Range<u64> {
    let Some(start) = next_data(file, at).map(|start| start.min(size)) else { return size..size };
    start..next_hole(file, start).map_or(size, |end| end.clamp(start, size))
}

/// Bytes from `at` to the next place where a finely cut file is cut.
fn up_to_fine_border(at: u64) -> usize {
    let fixed_size = FIXED_SIZE_BYTES as u64;
    usize::try_from(fixed_size - at % fixed_size).expect("at most 16 KiB")
}

/// Files of a kind lie side by side in a batch; large files keep their own order.
fn order_of(name: &[u8]) -> u64 {
    let ending = name.rsplit(|byte| *byte == b'.').next().filter(|ending| ending.len() < name.len());
    let mut key = [0; 8];
    for (to, from) in key.iter_mut().zip(ending.unwrap_or_default()) {
        *to = from.to_ascii_lowercase();
    }
    u64::from_be_bytes(key)
}
