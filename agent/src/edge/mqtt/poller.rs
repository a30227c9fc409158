//! The poller: owns the library's event loop, polls it without pause, and passes on what it sees. The library hangs if the
//! polling task publishes, so nothing else happens here.

use rumqttc::Outgoing;
use rumqttc::v5::{ConnectionError, Event, EventLoop};
use tokio::sync::mpsc;

/// Polls and passes on, until the first error.
pub(super) async fn poll(mut event_loop: EventLoop, sender: mpsc::Sender<Result<Event, ConnectionError>>) {
    loop {
        let event = event_loop.poll().await;
        let last = event.is_err();
        if sender.send(event).await.is_err() || last {
            return;
        }
    }
}

/// Ends when the goodbye has left, or the connection has ended anyway.
pub(super) async fn disconnected(events: &mut mpsc::Receiver<Result<Event, ConnectionError>>) {
    while let Some(Ok(event)) = events.recv().await {
        if event == Event::Outgoing(Outgoing::Disconnect) {
            return;
        }
    }
}
