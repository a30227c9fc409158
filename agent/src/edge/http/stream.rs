//! Answers made while the client reads: no more than a few parts ahead of the reader, and not for ever.
//!
//! Not here: the parts (`read`).

use crate::state::Appliance;
use crate::state::activity::Busy;
use crate::state::turns::Turn;
use axum::body::{Body, Bytes};
use larder_store::StoreError;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Parts of an answer waiting for a slow reader. One more waits at each end of the queue, a part may be 4 MiB, and a
/// restore asks for three answers at once.
const PARTS_WAITING: usize = 1;
/// A reader without progress for so long has gone away while other readers wait for the place: a laptop that was
/// closed.
const STALLED_MAX: Duration = Duration::from_secs(30);

/// The reader of the answer.
pub(super) struct AnswerReader(mpsc::Sender<Bytes>);

impl AnswerReader {
    /// Hands over the next part. Breaks when the reader is gone.
    pub(super) fn take(&self, part: Bytes) -> ControlFlow<()> {
        let taken = tokio::runtime::Handle::current().block_on(self.0.send_timeout(part, STALLED_MAX));
        if taken.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Whether the reader still waits for more.
    pub(super) fn is_there(&self) -> bool {
        !self.0.is_closed()
    }
}

/// A body whose parts a thread makes, never more than a few ahead of the reader. `work` returns whether the answer is
/// whole. An error cuts the body short, and the reader notices. The body begins in its turn, and keeps the turn to its end.
pub(super) fn stream<T, W>(appliance: &Arc<Appliance>, turn: T, work: W) -> Body
where
    T: Future<Output = Turn> + Send + 'static,
    W: FnOnce(&Appliance, &AnswerReader) -> Result<bool, StoreError> + Send + 'static,
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
                Ok(whole) => is_whole.store(whole, Ordering::SeqCst),
                Err(error) => tracing::warn!(%error, "an answer ended early"),
            }
        });
        let _ = blocking.await;
    });
    body
}

/// The parts, and whether the last part was sent. Kept apart: a full queue has no room for an error, and a late
/// reader would take a part of the answer for the whole.
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
