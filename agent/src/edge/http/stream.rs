//! Answers that are made while they are read: no more than a few parts ahead of the reader, and not for ever.
//!
//! Not here: what the parts are (`read`).

use crate::state::Appliance;
use crate::state::activity::Busy;
use crate::state::turns::Turn;
use axum::body::{Body, Bytes};
use larder_store::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Parts of an answer that wait for a slow reader. One more waits at each end of the queue, a part may be 4 MiB, and a
/// restore asks for three answers at once.
const PARTS_WAITING: usize = 1;
/// A reader that takes nothing for so long has gone away, and others wait for its place: a laptop that was closed.
const STALLED_MAX: Duration = Duration::from_secs(30);

/// Whoever reads the answer.
pub(super) struct AnswerReader(mpsc::Sender<Bytes>);

impl AnswerReader {
    /// Hands over the next part.
    pub(super) fn take(&self, part: Bytes) -> Result<(), StoreError> {
        let taken = tokio::runtime::Handle::current().block_on(self.0.send_timeout(part, STALLED_MAX));
        taken.map_err(|_| gone())
    }

    /// Whether somebody still waits for more.
    pub(super) fn is_there(&self) -> bool {
        !self.0.is_closed()
    }
}

pub(super) fn gone() -> StoreError {
    StoreError::Disk { path: "the reader".to_owned(), source: std::io::ErrorKind::BrokenPipe.into() }
}

/// A body whose parts a thread makes, never more than a few ahead of the reader. An error ends it short, and the
/// reader sees that it is not whole. It begins in its turn, and keeps that to its end.
pub(super) fn stream<T, W>(appliance: &Arc<Appliance>, turn: T, work: W) -> Body
where
    T: Future<Output = Turn> + Send + 'static,
    W: FnOnce(&Appliance, &AnswerReader) -> Result<(), StoreError> + Send + 'static,
{
    let (sender, parts) = mpsc::channel(PARTS_WAITING);
    let is_whole = Arc::new(AtomicBool::new(false));
    let body = Body::from_stream(Parts { parts, is_whole: is_whole.clone() });
    let appliance = appliance.clone();
    tokio::spawn(async move {
        let _turn = turn.await;
        let blocking = tokio::task::spawn_blocking(move || {
            let _busy = Busy::with(&appliance.activity.restoring);
            match work(&appliance, &AnswerReader(sender)) {
                Ok(()) => is_whole.store(true, Ordering::SeqCst),
                Err(error) => tracing::warn!(%error, "an answer ended early"),
            }
        });
        let _ = blocking.await;
    });
    body
}

/// The parts, and whether the last one was sent. Told apart from them: a queue that is full has no room for an error,
/// and a reader that comes back late would take what it got for everything.
struct Parts {
    parts: mpsc::Receiver<Bytes>,
    is_whole: Arc<AtomicBool>,
}

impl futures_core::Stream for Parts {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.parts.poll_recv(context).map(|part| match part {
            None if !self.is_whole.load(Ordering::SeqCst) => {
                Some(Err(std::io::ErrorKind::UnexpectedEof.into()))
            }
            part => part.map(Ok),
        })
    }
}
