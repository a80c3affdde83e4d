//! How a thread of the engine tells a receiver that there is something to fetch.

/// Wakes the receiver. It is called from the sweep's thread, once until the next [`Run::drain`](crate::validate::Run::drain).
pub trait Bell: Send + Sync {
    /// Verdicts or the result wait to be fetched.
    fn ring(&self);
}

impl<F: Fn() + Send + Sync> Bell for F {
    fn ring(&self) {
        self();
    }
}
