//! How work is told to end.

use std::future::Future;

use tokio::sync::watch;

/// Says once that some work shall end; clones say it together. Work that is told so ends as soon as it waits for anything.
#[derive(Clone, Debug, Default)]
pub struct Cancel(watch::Sender<bool>);

impl Cancel {
    /// For work that goes on until it is told otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells it. Idempotent.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was told.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is told.
    pub async fn cancelled(&self) {
        // It fails only if the sender is gone, which is held here.
        let _ = self.0.subscribe().wait_for(|told| *told).await;
    }
    /// What comes of `work`, or `None` if it is told before: then the work is dropped.
    pub async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.cancelled() => None,
            done = work => Some(done),
        }
    }
}
