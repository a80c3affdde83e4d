//! How a thread of the engine announces that there is something to fetch.

/// Wakes the receiver of a run, a watch or the sockets of an environment.
pub trait Waker: Send + Sync {
    /// Something waits to be fetched. It is called from a thread of the engine, at most once until the receiver has fetched.
    fn wake(&self);
}

impl<F: Fn() + Send + Sync> Waker for F {
    fn wake(&self) {
        self();
    }
}
