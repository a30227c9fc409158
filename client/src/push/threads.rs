//! How many threads a push has.

use std::thread;

/// Number of threads of a push; each thread costs a few MiB, together less than 64 MB.
pub(super) struct Threads {
    pub(super) walkers: usize,
    pub(super) senders: usize,
    pub(super) queued_batches: usize,
}

impl Threads {
    pub(super) fn for_this_computer() -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        // Walkers wait for disks and senders for the network, so there are more of both than of cores: four walkers
        // took a fifth less time than two for small files on a busy disk. Four senders compress a gigabyte a second;
        // more senders would only take memory.
        Self { walkers: 4, senders: (cores + 1).clamp(3, 4), queued_batches: 1 }
    }
}
