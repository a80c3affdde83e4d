//! Work on a thread of its own, with a way to stop it and a place for its result.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::Error;
use crate::lock::lock;
use crate::waker::Waker;

/// A job on its own thread.
pub struct Job<T> {
    stop: AtomicBool,
    result: Mutex<Option<Arc<Result<T, Error>>>>,
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("stop", &self.stop).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Job<T> {
    /// Starts the thread. `work` is given a question, "shall I stop?", to ask often; `waker` is called once, when the result is
    /// there. A panic becomes [`Error::Internal`].
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(
        waker: Arc<dyn Waker>,
        work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Result<T, Error> + Send + 'static,
    ) -> Result<Arc<Self>, Error> {
        let job = Arc::new(Self { stop: AtomicBool::new(false), result: Mutex::new(None) });
        let own = Arc::clone(&job);
        let run = move || {
            let call = AssertUnwindSafe(|| work(&|| own.stop.load(Ordering::Relaxed)));
            let panicked = |_| Err(Error::Internal("a thread of routepool has panicked".to_owned()));
            let result = catch_unwind(call).unwrap_or_else(panicked);
            *lock(&own.result) = Some(Arc::new(result));
            waker.wake();
        };
        let thread = std::thread::Builder::new().name("routepool-job".to_owned()).spawn(run);
        thread.map_err(|source| Error::System { syscall: "pthread_create", address: None, source })?;
        Ok(job)
    }

    /// Ends it soon, with what it has found. Idempotent.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The result, once it is there.
    #[must_use]
    pub fn result(&self) -> Option<Arc<Result<T, Error>>> {
        lock(&self.result).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Told(Sender<()>);

    impl Waker for Told {
        fn wake(&self) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn a_result_a_stop_and_a_panic_all_ring_once() {
        let (tell, told) = channel();
        let waker = || Arc::new(Told(tell.clone()));
        let job = Job::start(waker(), |_| Ok(7)).expect("a thread");
        told.recv().expect("woken");
        assert!(matches!(*job.result().expect("there"), Ok(7)));
        let job = Job::start(waker(), |stop| {
            while !stop() {
                std::thread::yield_now();
            }
            Ok(8)
        })
        .expect("a thread");
        assert!(job.result().is_none());
        job.stop();
        told.recv().expect("woken");
        assert!(matches!(*job.result().expect("there"), Ok(8)));
        let job = Job::<u8>::start(waker(), |_| panic!("as a test")).expect("a thread");
        told.recv().expect("woken");
        assert!(matches!(*job.result().expect("there"), Err(Error::Internal(_))));
    }
}
